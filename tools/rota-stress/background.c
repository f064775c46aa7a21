/* SPDX-License-Identifier: MIT */
/*
 * Background tasks at the shutdown: cancelled, joined, their errors told once, whatever they wait
 * for and whenever the main task returns; also those that are spawned while it goes down.
 */
#include "scenarios.h"

#define TASKS_MAX 100

struct background {
	struct run *run;
	_Atomic(uint64_t) accepted;
	_Atomic(uint64_t) ran;
	_Atomic(uint64_t) failed; /* that ended with -EPROTO */
	_Atomic(uint64_t) told;	  /* on_error saw -EPROTO */
	uint64_t round;
};

struct background_task {
	struct background *background;
	uint64_t seed;
	unsigned int depth;
};

static rota_task_fn background_run;

static int spawn_one(struct background *background, uint64_t seed, unsigned int depth)
{
	struct background_task task = { .background = background, .seed = seed, .depth = depth };
	struct rota_spawn_options options = { .arg_bytes = sizeof(task) };
	struct prng prng = prng_of(seed, 14);
	int err;

	if (prng_once_in(&prng, 2)) {
		options.flags = ROTA_SPAWN_ON_LOOP;
		options.loop = prng_loop(&prng);
	}
	atomic_fetch_add(&background->accepted, 1);
	err = rota_background_at("background (background.c)", background_run, &task, &options);
	if (err)
		atomic_fetch_sub(&background->accepted, 1);
	STRESS_CHECK(background->run, "spawn-works", !err || err == -ESHUTDOWN,
		"rota_background() gives %d (%s)", err, rota_status_name(err));
	return err;
}

static int sleep_forever(void *arg)
{
	(void)arg;
	return rota_sleep(ROTA_FOREVER);
}

static int in_group(void)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	(void)rota_group_spawn(&group, sleep_forever, NULL);
	(void)rota_group_spawn(&group, sleep_forever, NULL);
	return rota_group_close(&group, 0);
}

static int background_run(void *arg)
{
	struct background_task *task = arg;
	struct background *background = task->background;
	struct prng prng = prng_of(task->seed, 15);
	int status = 0;

	atomic_fetch_add(&background->ran, 1);
	switch (prng_below(&prng, 6)) {
	case 0:
		return 0;
	case 1:
		return rota_sleep(prng_ns(&prng, 500 * ROTA_MICROSECOND));
	case 2:
		status = in_group();
		break;
	case 3:
		(void)rota_sleep(prng_ns(&prng, 100 * ROTA_MICROSECOND));
		atomic_fetch_add(&background->failed, 1);
		return rota_fail(-EPROTO, "on purpose");
	case 4:
		/* Its children may come after the shutdown has begun. */
		status = rota_sleep(ROTA_FOREVER);
		if (task->depth < 3)
			(void)spawn_one(background, prng_next(&prng), task->depth + 1);
		break;
	default:
		status = rota_sleep(ROTA_FOREVER);
	}
	STRESS_CHECK(background->run, "stop-cancels", status == -ECANCELED,
		"an endless wait in the background ends with %d", status);
	return status;
}

static void on_error(void *arg, const struct rota_error *error)
{
	struct background *background = arg;

	if (error->status == -EPROTO)
		atomic_fetch_add(&background->told, 1);
	STRESS_CHECK(background->run, "error-report",
		error->status == -EPROTO || error->status == -ECANCELED,
		"on_error is told of status %d", error->status);
	STRESS_CHECK(background->run, "error-report",
		error->status != -EPROTO || strcmp(error->message, "on purpose") == 0,
		"on_error is told '%s' instead of the message", error->message);
	STRESS_CHECK(background->run, "error-report",
		strcmp(error->site, "background (background.c)") == 0,
		"on_error is told the site '%s'", error->site);
}

static int background_main(void *arg)
{
	struct background *background = arg;
	struct prng prng = prng_of(background->run->seed, background->round);
	uint64_t count = prng_below(&prng, TASKS_MAX);

	for (uint64_t i = 0; i < count; i++)
		(void)spawn_one(background, prng_next(&prng), 0);
	if (prng_once_in(&prng, 2))
		(void)rota_sleep(prng_ns(&prng, 500 * ROTA_MICROSECOND));
	stress_collect(background->run);
	return 33;
}

static void run_background(struct run *run)
{
	struct rota_config config = stress_config(run);

	config.on_error = on_error;
	stress_clock_start(run);
	for (uint64_t round = 0; round < 1 || stress_more(run, round); round++) {
		struct background background = { .run = run, .round = round };
		int status;

		config.hook_arg = &background;
		status = rota_run(background_main, &background, &config);
		STRESS_CHECK(run, "main-ends-well", status == 33, "rota_run() gives %d (%s)",
			status, rota_status_name(status));
		STRESS_CHECK(run, "exactly-once",
			atomic_load(&background.accepted) == atomic_load(&background.ran),
			"%llu tasks were accepted, %llu ran",
			(unsigned long long)atomic_load(&background.accepted),
			(unsigned long long)atomic_load(&background.ran));
		STRESS_CHECK(run, "no-error-dropped",
			atomic_load(&background.failed) == atomic_load(&background.told),
			"%llu background tasks failed, on_error was told of %llu",
			(unsigned long long)atomic_load(&background.failed),
			(unsigned long long)atomic_load(&background.told));
		atomic_fetch_add(&run->tasks, atomic_load(&background.ran));
	}
}

const struct scenario scenario_background = {
	.name = "background",
	.text = "background tasks are cancelled and joined at the stop, errors told once",
	.run = run_background,
	.quota = 1000,
	.flags = STRESS_ROUNDS,
};
