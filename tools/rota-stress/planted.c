/* SPDX-License-Identifier: MIT */
/*
 * A negative control: two tasks on two loops add to a plain int without a lock. A run under TSAN
 * has to report it; if it does not, TSAN's silence about the rest means nothing.
 */
#include "scenarios.h"

#define INCREMENTS 1000000

static int planted;

static int increment(void *arg)
{
	(void)arg;
	for (int i = 0; i < INCREMENTS; i++)
		*(volatile int *)&planted += 1;
	return 0;
}

static int planted_main(void *arg)
{
	struct run *run = arg;
	struct rota_group group;

	planted = 0;
	rota_group_open(&group, NULL);
	for (unsigned int i = 0; i < 2; i++) {
		struct rota_spawn_options options = stress_on_loop(i % rota_loop_count());

		(void)rota_group_spawn_with(&group, increment, NULL, NULL, &options);
	}
	atomic_fetch_add(&run->tasks, 2);
	return rota_group_close(&group, 0);
}

static void run_planted_race(struct run *run)
{
	(void)stress_main_task(run, planted_main, run);
	STRESS_CHECK(run, "planted", planted == 2 * INCREMENTS,
		"two loops that add without a lock lost %d of %d increments",
		2 * INCREMENTS - planted, 2 * INCREMENTS);
}

const struct scenario scenario_planted_race = {
	.name = "planted-race",
	.text = "two loops add to a plain int without a lock: TSAN must report it",
	.run = run_planted_race,
	.quota = 1,
	.flags = STRESS_ROUNDS | STRESS_NEGATIVE | STRESS_REAL_ONLY,
};
