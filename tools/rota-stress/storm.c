/* SPDX-License-Identifier: MIT */
/*
 * Spawn storms: from one loop, from all loops, as a tree. Every task runs exactly once, bound ones
 * on the loop that was asked for.
 */
#include "scenarios.h"

#include "cells.h"

/* As many live tasks are let pile up, so that 10^7 of them do not need a gigabyte. */
#define LIVE_MAX 100000
/* Cells of one pass. */
#define PASS_MAX 10000000

struct storm {
	struct run *run;
	struct cell *cells;
	uint64_t count;
	uint64_t pass;
	struct rota_group *shared; /* storm-all: the group of all, or NULL: each its own */
};

/* The argument of a task that gets a copy. */
struct storm_task {
	struct storm *storm;
	uint64_t index;
	int loop; /* where it has to run; < 0: anywhere */
};

/* The part of one spawner. */
struct storm_slice {
	struct storm *storm;
	uint64_t first;
	uint64_t count;
};

static int by_pointer(void *arg)
{
	cell_ran(arg);
	return 0;
}

static int by_copy(void *arg)
{
	struct storm_task *task = arg;

	cell_ran(&task->storm->cells[task->index]);
	STRESS_CHECK(task->storm->run, "bound-loop",
		task->loop < 0 || task->loop == rota_loop_self(),
		"task %llu runs on loop %d instead of %d", (unsigned long long)task->index,
		rota_loop_self(), task->loop);
	return 0;
}

static void spawn_one(
	struct storm *storm, struct rota_group *group, struct prng *prng, uint64_t index)
{
	struct rota_spawn_options options = { .arg_bytes = sizeof(struct storm_task) };
	struct storm_task task = { .storm = storm, .index = index, .loop = -1 };
	struct cell *cell = &storm->cells[index];
	int err;

	cell_spawned(cell);
	switch (prng_below(prng, 16)) {
	case 0:
		err = rota_group_spawn_copy(group, by_copy, &task, sizeof(task));
		break;
	case 1:
		options.flags = ROTA_SPAWN_LOCAL;
		task.loop = rota_loop_self();
		err = rota_group_spawn_with(group, by_copy, &task, NULL, &options);
		break;
	case 2:
		options.flags = ROTA_SPAWN_ON_LOOP;
		options.loop = prng_loop(prng);
		task.loop = (int)options.loop;
		err = rota_group_spawn_with(group, by_copy, &task, NULL, &options);
		break;
	default:
		err = rota_group_spawn(group, by_pointer, cell);
	}
	if (err)
		cell_refused(cell);
	STRESS_CHECK(storm->run, "spawn-works", !err, "a spawn gives %d (%s)", err,
		rota_status_name(err));
}

/* Bursts of all sizes, with a chance to run for the others between. */
static void spawn_slice(const struct storm_slice *slice, struct rota_group *group, bool own)
{
	struct storm *storm = slice->storm;
	struct prng prng = prng_of(storm->run->seed + storm->pass, slice->first);
	uint64_t done = 0;

	while (done < slice->count && !stress_over(storm->run)) {
		uint64_t burst = prng_below(&prng, 1ull << prng_below(&prng, 15)) + 1;

		for (; burst > 0 && done < slice->count; burst--)
			spawn_one(storm, group, &prng, slice->first + done++);
		if (own && prng_once_in(&prng, 8))
			STRESS_CHECK(storm->run, "group-wait", rota_group_wait(group) == 0,
				"rota_group_wait() fails");
		else if (prng_once_in(&prng, 2))
			(void)rota_yield();
		while (rota_group_live(group) > LIVE_MAX)
			(void)rota_sleep(50 * ROTA_MICROSECOND);
	}
}

static void storm_begin(struct storm *storm, uint64_t done)
{
	uint64_t left = storm->run->quota - done;

	storm->count = left < PASS_MAX ? left : PASS_MAX;
	/* With a time limit alone: passes that are not too long to look at it. */
	if (storm->run->quota == UINT64_MAX)
		storm->count = 300000;
	storm->cells = stress_alloc(storm->count, sizeof(*storm->cells));
}

static void storm_end(struct storm *storm)
{
	cells_check(storm->run, storm->cells, storm->count);
	free(storm->cells);
	storm->pass++;
}

static void check_close(struct run *run, int status)
{
	STRESS_CHECK(run, "group-close", status == 0, "rota_group_close() gives %d (%s)", status,
		rota_status_name(status));
}

static int storm_one(void *arg)
{
	struct storm storm = { .run = arg };

	for (uint64_t done = 0; stress_more(storm.run, done); done += storm.count) {
		struct storm_slice slice = { .storm = &storm };
		struct rota_group group;

		storm_begin(&storm, done);
		slice.count = storm.count;
		rota_group_open(&group, NULL);
		spawn_slice(&slice, &group, true);
		check_close(storm.run, rota_group_close(&group, 0));
		storm_end(&storm);
	}
	return 0;
}

static int spawner(void *arg)
{
	struct storm_slice *slice = arg;
	struct rota_group own;

	if (slice->storm->shared) {
		spawn_slice(slice, slice->storm->shared, false);
		return 0;
	}
	rota_group_open(&own, NULL);
	spawn_slice(slice, &own, true);
	return rota_group_close(&own, 0);
}

static void storm_all_pass(struct storm *storm)
{
	unsigned int loops = rota_loop_count();
	uint64_t part = storm->count / loops;
	struct rota_group group;

	rota_group_open(&group, NULL);
	storm->shared = storm->pass % 2 ? &group : NULL;
	for (unsigned int i = 0; i < loops; i++) {
		struct storm_slice slice = { .storm = storm, .first = i * part, .count = part };
		struct rota_spawn_options options = stress_on_loop(i);

		if (i == loops - 1)
			slice.count = storm->count - slice.first;
		options.arg_bytes = sizeof(slice);
		(void)rota_group_spawn_with(&group, spawner, &slice, NULL, &options);
	}
	check_close(storm->run, rota_group_close(&group, 0));
}

static int storm_all(void *arg)
{
	struct storm storm = { .run = arg };

	for (uint64_t done = 0; stress_more(storm.run, done); done += storm.count) {
		storm_begin(&storm, done);
		storm_all_pass(&storm);
		storm_end(&storm);
	}
	return 0;
}

/* A node of the tree is its own cell, and spawns the rest of its slice in parts. */
static int node(void *arg)
{
	struct storm_slice *slice = arg;
	struct storm *storm = slice->storm;
	struct prng prng = prng_of(storm->run->seed + storm->pass, slice->first);
	uint64_t parts = prng_below(&prng, 7) + 2;
	uint64_t first = slice->first + 1;
	uint64_t left = slice->count - 1;
	struct rota_group group;

	cell_ran(&storm->cells[slice->first]);
	if (left == 0 || stress_over(storm->run))
		return 0;
	rota_group_open(&group, NULL);
	for (; parts > 0 && left > 0; parts--) {
		uint64_t count = parts == 1 ? left : prng_below(&prng, left) + 1;
		struct storm_slice part = { .storm = storm, .first = first, .count = count };

		cell_spawned(&storm->cells[first]);
		if (rota_group_spawn_copy(&group, node, &part, sizeof(part)) != 0)
			cell_refused(&storm->cells[first]);
		first += count;
		left -= count;
		if (prng_once_in(&prng, 64))
			(void)rota_yield();
	}
	return rota_group_close(&group, 0);
}

static int storm_tree(void *arg)
{
	struct storm storm = { .run = arg };

	for (uint64_t done = 0; stress_more(storm.run, done); done += storm.count) {
		struct storm_slice root = { .storm = &storm };

		storm_begin(&storm, done);
		root.count = storm.count;
		cell_spawned(&storm.cells[0]);
		check_close(storm.run, node(&root));
		storm_end(&storm);
	}
	return 0;
}

static void run_storm_one(struct run *run)
{
	(void)stress_main_task(run, storm_one, run);
}

static void run_storm_all(struct run *run)
{
	(void)stress_main_task(run, storm_all, run);
}

static void run_storm_tree(struct run *run)
{
	(void)stress_main_task(run, storm_tree, run);
}

const struct scenario scenario_storm_one = {
	.name = "storm-one",
	.text = "every task runs exactly once: spawned in bursts from one loop",
	.run = run_storm_one,
	.quota = 1000000,
};

const struct scenario scenario_storm_all = {
	.name = "storm-all",
	.text = "every task runs exactly once: spawned from all loops, own groups and a shared one",
	.run = run_storm_all,
	.quota = 1000000,
};

const struct scenario scenario_storm_tree = {
	.name = "storm-tree",
	.text = "every task runs exactly once: a random tree of groups",
	.run = run_storm_tree,
	.quota = 1000000,
};
