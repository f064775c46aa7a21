/* SPDX-License-Identifier: MIT */
/*
 * The whole life of a group, again and again: opened, empty tasks spawned into it, closed. A figure
 * is the wall time divided by all members.
 */
#include "bench.h"

#define FEW  10
#define MANY 1000

static int member(void *arg)
{
	(void)arg;
	return 0;
}

static int run_groups(uint64_t members, uint64_t ops)
{
	int status = 0;

	for (uint64_t i = 0; i < ops && status >= 0; i += members) {
		struct rota_group group;

		rota_group_open(&group, NULL);
		/* The last one has what is left, so that all have ops members. */
		for (uint64_t k = i; k < i + members && k < ops; k++)
			rota_group_spawn(&group, member, NULL);
		status = rota_group_close(&group, 0);
	}
	return status;
}

static int work_few(uint64_t ops)
{
	return run_groups(FEW, ops);
}

static int work_many(uint64_t ops)
{
	return run_groups(MANY, ops);
}

static int group_task(void *arg)
{
	struct bench_run *run = arg;
	int status = bench_lanes(run, "ns_per_op", run->loops, work_few, run->tasks);

	if (status >= 0)
		status = bench_lanes(run, "many_ns_per_op", run->loops, work_many, run->tasks);
	/* One owner for all loops: the others take members from it, or look for some. */
	if (status >= 0 && run->loops > 1)
		status = bench_lanes(run, "owner_ns_per_op", 1, work_few, run->tasks);
	if (status >= 0 && run->loops > 1)
		status = bench_lanes(run, "owner_many_ns_per_op", 1, work_many, run->tasks);
	return status;
}

const struct bench bench_group = {
	.name = "group",
	.about = "open + 10 empty tasks + close on all loops; many: 1000; owner: on one; a member",
	.target = "faster than Go",
	.loops = BENCH_LOOPS_ONE,
	.also = BENCH_LOOPS_TWO,
	.tasks = 1000000,
	.task = group_task,
};
