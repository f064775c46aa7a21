/* SPDX-License-Identifier: MIT */
/*
 * Stealing under skew: all work spawned on one loop; a loop that does not come back while work
 * lies before it.
 */
#include "scenarios.h"

#include "cells.h"

#define BURST_MAX	 2000
#define SPINNER_TASKS	 1000
#define SPIN_PATIENCE_NS (60 * ROTA_SECOND)

struct skew {
	struct run *run;
	struct cell cells[BURST_MAX];
	_Atomic(uint64_t) ran;
	_Atomic(uint64_t) ran_elsewhere;
	int home;
};

struct skew_task {
	struct skew *skew;
	struct cell *cell;
	int64_t busy_ns;
};

static int skewed(void *arg)
{
	struct skew_task *task = arg;

	cell_ran(task->cell);
	stress_busy(task->skew->run, task->busy_ns);
	if (rota_loop_self() != task->skew->home)
		atomic_fetch_add_explicit(&task->skew->ran_elsewhere, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&task->skew->ran, 1, memory_order_release);
	return 0;
}

static void spawn_skewed(struct skew *skew, struct rota_group *group, uint64_t i, int64_t busy_ns)
{
	struct skew_task task = { .skew = skew, .cell = &skew->cells[i], .busy_ns = busy_ns };
	int err;

	cell_spawned(task.cell);
	err = rota_group_spawn_copy(group, skewed, &task, sizeof(task));
	STRESS_CHECK(skew->run, "spawn-works", !err, "a spawn gives %d (%s)", err,
		rota_status_name(err));
}

static void finish_burst(struct skew *skew, uint64_t count)
{
	cells_check(skew->run, skew->cells, count);
	memset(skew->cells, 0, sizeof(skew->cells));
	atomic_store(&skew->ran, 0);
}

static int skew_main(void *arg)
{
	struct run *run = arg;
	struct skew *skew = stress_alloc(1, sizeof(*skew));
	uint64_t bursts = 0;

	skew->run = run;
	skew->home = rota_loop_self();
	for (; stress_more(run, atomic_load(&run->tasks)); bursts++) {
		struct prng prng = prng_of(run->seed, bursts);
		uint64_t count = prng_below(&prng, BURST_MAX) + 1;
		struct rota_group group;

		rota_group_open(&group, NULL);
		for (uint64_t i = 0; i < count; i++)
			spawn_skewed(skew, &group, i, prng_ns(&prng, 20 * ROTA_MICROSECOND));
		STRESS_CHECK(run, "group-close", rota_group_close(&group, 0) == 0,
			"the burst's group does not close with 0");
		finish_burst(skew, count);
		/* The others go to sleep in between. */
		(void)rota_sleep(prng_ns(&prng, 300 * ROTA_MICROSECOND));
	}
	/* One burst may find the machine busy with something else; not all of so many. */
	STRESS_CHECK(run, "stealing",
		bursts < 20 || rota_loop_count() < 2 || atomic_load(&skew->ran_elsewhere) > 0,
		"%llu tasks were spawned on loop %d and all ran there",
		(unsigned long long)atomic_load(&run->tasks), skew->home);
	free(skew);
	return 0;
}

static void run_skew(struct run *run)
{
	(void)stress_main_task(run, skew_main, run);
}

/* The spinner's own spawns: it goes on spawning now and then, never suspends, and waits until
 * all but the last of them have run. Only other loops can do that. */
static int spinner_owner(void *arg)
{
	struct skew *skew = arg;
	int64_t end = rota_now() + SPIN_PATIENCE_NS;
	struct rota_group group;
	uint64_t spawned = 0;

	skew->home = rota_loop_self();
	rota_group_open(&group, NULL);
	while (spawned < SPINNER_TASKS)
		spawn_skewed(skew, &group, spawned++, 0);
	while (atomic_load_explicit(&skew->ran, memory_order_acquire) < SPINNER_TASKS) {
		if (rota_now() > end) {
			stress_broken(skew->run, "stealing",
				"%llu of %d tasks ran in 60 s beside a task that computes",
				(unsigned long long)atomic_load(&skew->ran), SPINNER_TASKS);
			break;
		}
		stress_busy(skew->run, 20 * ROTA_MICROSECOND);
		if (spawned < BURST_MAX)
			spawn_skewed(skew, &group, spawned++, 0);
	}
	return rota_group_close(&group, 0);
}

struct spin {
	struct run *run;
	_Atomic(int) spins;
	_Atomic(int) stop;
};

static int spin(void *arg)
{
	struct spin *spin = arg;

	atomic_store(&spin->spins, 1);
	while (!atomic_load(&spin->stop))
		;
	return 0;
}

/* A loop computes; what others spawn meanwhile runs on the rest of the loops, and what is bound to
 * it runs when it is done. */
static void spinner_remote(struct skew *skew)
{
	struct spin spinning = { .run = skew->run };
	struct rota_spawn_options options = stress_on_loop(rota_loop_count() - 1);
	int64_t end = rota_now() + SPIN_PATIENCE_NS;
	struct rota_task *bound = NULL;
	struct rota_group group;
	uint64_t i = 0;

	rota_group_open(&group, NULL);
	(void)rota_group_spawn_with(&group, spin, &spinning, NULL, &options);
	while (!atomic_load(&spinning.spins))
		(void)rota_sleep(20 * ROTA_MICROSECOND);
	for (; i < SPINNER_TASKS; i++)
		spawn_skewed(skew, &group, i, 0);
	options.arg_bytes = sizeof(struct skew_task);
	cell_spawned(&skew->cells[i]);
	(void)rota_group_spawn_with(&group, skewed,
		&(struct skew_task){ .skew = skew, .cell = &skew->cells[i] }, &bound, &options);
	while (atomic_load(&skew->ran) < SPINNER_TASKS && rota_now() < end)
		(void)rota_sleep(20 * ROTA_MICROSECOND);
	STRESS_CHECK(skew->run, "stealing", atomic_load(&skew->ran) == SPINNER_TASKS,
		"%llu of %d tasks ran while another loop computed",
		(unsigned long long)atomic_load(&skew->ran), SPINNER_TASKS);
	STRESS_CHECK(skew->run, "one-runner-a-loop",
		rota_task_state(bound) == ROTA_TASK_SCHEDULED ||
			rota_task_state(bound) == ROTA_TASK_CREATED,
		"a task bound to a loop that computes is %s",
		rota_task_state_name(rota_task_state(bound)));
	atomic_store(&spinning.stop, 1);
	STRESS_CHECK(skew->run, "group-close", rota_group_close(&group, 0) == 0,
		"the group around a spinner does not close with 0");
	finish_burst(skew, SPINNER_TASKS + 1);
}

static int spinner_main(void *arg)
{
	struct run *run = arg;
	struct skew *skew = stress_alloc(1, sizeof(*skew));

	skew->run = run;
	for (uint64_t round = 0; rota_loop_count() > 1 && stress_more(run, round); round++) {
		struct rota_spawn_options options = stress_on_loop(rota_loop_count() - 1);
		struct rota_group group;

		rota_group_open(&group, NULL);
		(void)rota_group_spawn_with(&group, spinner_owner, skew, NULL, &options);
		STRESS_CHECK(run, "group-close", rota_group_close(&group, 0) == 0,
			"the spinner's group does not close with 0");
		finish_burst(skew, BURST_MAX);
		spinner_remote(skew);
	}
	free(skew);
	return 0;
}

static void run_spinner(struct run *run)
{
	(void)stress_main_task(run, spinner_main, run);
}

const struct scenario scenario_skew = {
	.name = "skew",
	.text = "stealing: all work spawned on one loop",
	.run = run_skew,
	.quota = 200000,
};

const struct scenario scenario_spinner = {
	.name = "spinner",
	.text = "stealing: a task that does not suspend, 1,000 spawns before it, none is stuck",
	.run = run_spinner,
	.quota = 200,
	.flags = STRESS_ROUNDS | STRESS_REAL_ONLY,
};
