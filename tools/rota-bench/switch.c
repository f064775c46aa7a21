/* SPDX-License-Identifier: MIT */
/*
 * What it costs to go from one task to the next ready one of the same loop: tasks that only yield.
 */
#include "bench.h"

#define MANY 1000

static int yielder(void *arg)
{
	uint64_t count = *(const uint64_t *)arg;
	int status = 0;

	for (uint64_t i = 0; i < count && status >= 0; i++)
		status = rota_yield();
	return status;
}

/* Shares ops switches between so many tasks of this loop. */
static int yield_among(uint64_t tasks, uint64_t ops)
{
	static const struct rota_group_options local = { .flags = ROTA_SPAWN_LOCAL };
	uint64_t count = ops / tasks + 1;
	struct rota_group group;

	rota_group_open(&group, &local);
	for (uint64_t i = 0; i < tasks; i++)
		rota_group_spawn(&group, yielder, &count);
	return rota_group_close(&group, 0);
}

static int work_two(uint64_t ops)
{
	return yield_among(2, ops);
}

/* More stacks than the first-level cache has room for. */
static int work_many(uint64_t ops)
{
	return yield_among(MANY, ops);
}

static int work_alone(uint64_t ops)
{
	return yield_among(1, ops);
}

static int switch_task(void *arg)
{
	struct bench_run *run = arg;
	int status = bench_lanes(run, "ns_per_op", run->loops, work_two, run->tasks);

	if (status >= 0)
		status = bench_lanes(run, "many_ns_per_op", run->loops, work_many, run->tasks);
	if (status >= 0)
		status = bench_lanes(run, "alone_ns_per_op", run->loops, work_alone, run->tasks);
	return status;
}

const struct bench bench_switch = {
	.name = "switch",
	.about = "rota_yield() between two tasks of a loop; many: 1000 tasks; alone: nobody else",
	.target = "<= 10 ns a switch",
	.loops = BENCH_LOOPS_ONE,
	.tasks = 5000000,
	.task = switch_task,
};
