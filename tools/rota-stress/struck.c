/* SPDX-License-Identifier: MIT */
/*
 * The owner of a group waits in something endless, and the group is struck from another loop: a
 * member fails, or cancels the group. Nothing else would ever end the wait: a cancel that is lost
 * while the owner suspends hangs the scenario.
 */
#include "scenarios.h"

#include <fcntl.h>
#include <unistd.h>

#define WORKERS_PER_LOOP 2

struct struck {
	struct run *run;
	int quiet_pipe; /* nobody writes to it */
	_Atomic(uint64_t) rounds;
};

struct worker {
	struct struck *struck;
	uint64_t number;
};

/* Strikes the group that it is a member of. */
struct striker {
	struct run *run;
	struct rota_group *group;
	uint64_t seed;
	bool fails; /* else it cancels the group */
};

static int striker_run(void *arg)
{
	struct striker *striker = arg;
	struct prng prng = prng_of(striker->seed, 17);

	if (prng_once_in(&prng, 2))
		stress_busy(striker->run, prng_ns(&prng, 50 * ROTA_MICROSECOND));
	else
		(void)rota_sleep(prng_ns(&prng, 50 * ROTA_MICROSECOND));
	if (striker->fails)
		return -EPROTO;
	rota_group_cancel(striker->group, "by another loop");
	return 0;
}

static int sleep_forever(void *arg)
{
	(void)arg;
	return rota_sleep(ROTA_FOREVER);
}

/* An await or a wait for members ends also when their cancel was faster than the owner's. */
static bool owner_waits(
	struct struck *struck, struct rota_group *group, struct prng *prng, int *ret)
{
	struct rota_task *endless = NULL;
	char byte;

	switch (prng_below(prng, struck->run->sim ? 3 : 4)) {
	case 0:
		(void)rota_group_spawn_with(group, sleep_forever, NULL, &endless, NULL);
		*ret = endless ? rota_task_await(endless, NULL) : -ECANCELED;
		return *ret == 0 || *ret == -ECANCELED;
	case 1:
		(void)rota_group_spawn(group, sleep_forever, NULL);
		*ret = rota_group_wait(group);
		return *ret == 0 || *ret == -ECANCELED;
	case 2:
		*ret = rota_sleep(ROTA_FOREVER);
		return *ret == -ECANCELED;
	default:
		*ret = rota_read(struck->quiet_pipe, &byte, 1);
		return *ret == -ECANCELED;
	}
}

static void one_round(struct struck *struck, struct prng *prng)
{
	struct rota_spawn_options options = stress_on_loop(prng_loop(prng));
	struct rota_group group;
	struct striker striker = { .run = struck->run, .group = &group };
	bool right;
	int own;
	int status;

	striker.seed = prng_next(prng);
	striker.fails = prng_once_in(prng, 2);
	rota_group_open(&group, NULL);
	(void)rota_group_spawn_with(&group, striker_run, &striker, NULL, &options);
	stress_busy(struck->run, prng_ns(prng, 50 * ROTA_MICROSECOND));
	right = owner_waits(struck, &group, prng, &own);
	STRESS_CHECK(struck->run, "one-outcome", right,
		"an endless wait in a group that is struck gives %d (%s)", own,
		rota_status_name(own));
	status = rota_group_close(&group, own);
	STRESS_CHECK(struck->run, "close-result", status == (striker.fails ? -EPROTO : own),
		"a group that another loop %s closes with %d (%s), its owner had %d",
		striker.fails ? "lets fail" : "cancels", status, rota_status_name(status), own);
	own = rota_yield();
	STRESS_CHECK(struck->run, "cancel-has-cause", own == 0,
		"after the close of a struck group a yield gives %d", own);
}

static int worker_run(void *arg)
{
	struct worker *worker = arg;
	struct struck *struck = worker->struck;
	struct prng prng = prng_of(struck->run->seed, worker->number);

	while (stress_more(struck->run, atomic_fetch_add(&struck->rounds, 1)))
		one_round(struck, &prng);
	return 0;
}

static int struck_main(void *arg)
{
	struct struck struck = { .run = arg };
	uint64_t count = WORKERS_PER_LOOP * rota_loop_count();
	int quiet[2] = { -1, -1 };
	struct rota_group group;

	if (!struck.run->sim && pipe2(quiet, O_CLOEXEC) < 0)
		abort();
	struck.quiet_pipe = quiet[0];
	rota_group_open(&group, NULL);
	for (uint64_t i = 0; i < count; i++) {
		struct worker worker = { .struck = &struck, .number = i };

		(void)rota_group_spawn_copy(&group, worker_run, &worker, sizeof(worker));
	}
	STRESS_CHECK(struck.run, "group-close", rota_group_close(&group, 0) == 0,
		"the workers' group does not close with 0");
	if (!struck.run->sim) {
		(void)rota_close(quiet[0]);
		(void)rota_close(quiet[1]);
	}
	atomic_fetch_add(&struck.run->tasks, atomic_load(&struck.rounds) - count);
	return 0;
}

static void run_struck(struct run *run)
{
	(void)stress_main_task(run, struck_main, run);
}

const struct scenario scenario_struck = {
	.name = "struck",
	.text = "a group's failure or cancel on another loop reaches its owner in every wait",
	.run = run_struck,
	.quota = 20000,
	.flags = STRESS_ROUNDS,
};
