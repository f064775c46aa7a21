/* SPDX-License-Identifier: MIT */
/* Running several calls at once: all of them, or for the first that succeeds. */
#include <errno.h>

#include "flow/group.h"

static int call_task(void *arg)
{
	struct rota_call *call = arg;

	call->status = call->fn(call->arg);
	return call->status;
}

int rota_gather(struct rota_call *calls, size_t count)
{
	struct loop *loop = rota__loop_self();
	struct rota_group group;
	int err = 0;

	if (!loop || !loop->running)
		return rota__no_loop();
	for (size_t i = 0; i < count; i++)
		calls[i].status = 0;
	rota_group_open_at("gather", &group, NULL);
	for (size_t i = 0; i < count && !err; i++) {
		struct rota_spawn_options options = { .name = calls[i].name };

		if (!calls[i].fn)
			err = -EINVAL;
		else
			err = rota_group_spawn_at(calls[i].name ? "gather" : "call", &group,
				call_task, &calls[i], NULL, calls[i].name ? &options : NULL);
	}
	return rota_group_close(&group, err);
}

struct race {
	struct rota_call *calls;
	struct a32 winner; /* A: index + 1 of the first to succeed */
};

/* Each member has its own. */
struct racer {
	struct race *race;
	struct rota_call *call;
};

static int race_task(void *arg)
{
	const struct racer *racer = arg;
	struct rota_call *call = racer->call;
	uint32_t none = 0;

	call->status = call->fn(call->arg);
	if (call->status >= 0)
		a32_cas_relaxed(
			&racer->race->winner, &none, (uint32_t)(call - racer->race->calls) + 1);
	return call->status;
}

int rota_race(struct rota_call *calls, size_t count)
{
	struct rota_group_options options = { .policy = ROTA_GROUP_FIRST_WINS };
	struct race race = { .calls = calls };
	struct loop *loop = rota__loop_self();
	struct rota_group group;
	uint32_t winner;
	int err = 0;

	if (!loop || !loop->running)
		return rota__no_loop();
	if (count == 0 || count > INT32_MAX)
		return -EINVAL;
	for (size_t i = 0; i < count; i++)
		calls[i].status = 0;
	rota_group_open_at("race", &group, &options);
	for (size_t i = 0; i < count && !err; i++) {
		struct racer racer = { .race = &race, .call = &calls[i] };
		struct rota_spawn_options spawn = {
			.name = calls[i].name,
			.arg_bytes = sizeof(racer),
		};

		err = calls[i].fn ? rota_group_spawn_at(calls[i].name ? "race" : "call", &group,
					    race_task, &racer, NULL, &spawn)
				  : -EINVAL;
	}
	/* Spawned while one has won already: not an error of ours. */
	err = rota_group_close(&group, err == -ECANCELED ? 0 : err);
	winner = a32_load_relaxed(&race.winner);
	if (err < 0)
		return err;
	return winner ? (int)winner - 1 : -ECANCELED;
}
