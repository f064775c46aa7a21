/* SPDX-License-Identifier: MIT */
/*
 * What a full task costs: spawned with a handle, awaited and released, one at a time in one
 * long-lived group; and spawned without handles in batches that the group waits for.
 */
#include "bench.h"

#define BATCH 512

static int child(void *arg)
{
	(void)arg;
	return 0;
}

static int work_await(uint64_t ops)
{
	struct rota_group group;
	int status = 0;

	rota_group_open(&group, NULL);
	for (uint64_t i = 0; i < ops && status >= 0; i++) {
		struct rota_task *task;

		status = rota_group_spawn_with(&group, child, NULL, &task, NULL);
		if (status < 0)
			break;
		status = rota_task_await(task, NULL);
		rota_task_release(task);
	}
	return rota_group_close(&group, status);
}

static int work_batch(uint64_t ops)
{
	struct rota_group group;
	int status = 0;

	rota_group_open(&group, NULL);
	for (uint64_t i = 0; i < ops && status >= 0; i += BATCH) {
		for (uint64_t k = i; k < i + BATCH && k < ops && status >= 0; k++)
			status = rota_group_spawn(&group, child, NULL);
		if (status >= 0)
			status = rota_group_wait(&group);
	}
	return rota_group_close(&group, status);
}

static int spawn_task(void *arg)
{
	struct bench_run *run = arg;
	int status = bench_lanes(run, "ns_per_op", run->loops, work_await, run->tasks);

	if (status >= 0)
		status = bench_lanes(run, "batch_ns_per_op", run->loops, work_batch, run->tasks);
	/* While the other loops look for work that is not there: what their search costs the one
	 * that has some. */
	if (status >= 0 && run->loops > 1)
		status = bench_lanes(run, "others_idle_ns_per_op", 1, work_await, run->tasks);
	return status;
}

const struct bench bench_spawn = {
	.name = "spawn",
	.about = "spawn + await + release of one task at a time; batch: 512 without handles",
	.target = "<= 30 ns on 1 loop, then <= 20; at least 5x faster than Go",
	.loops = BENCH_LOOPS_ONE,
	.also = BENCH_LOOPS_ALL,
	.tasks = 1000000,
	.task = spawn_task,
};
