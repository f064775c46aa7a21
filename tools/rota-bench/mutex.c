/* SPDX-License-Identifier: MIT */
/*
 * A lock and an unlock: by one task alone, by several tasks that add one under it, and by several
 * that let the others run while they hold it. A figure is the wall time divided by all pairs.
 */
#include "bench.h"

#include <errno.h>
#include <rota/sync.h>
#include <stdio.h>

#define TASKS_A_LOOP 2
#define MANY	     16
#define WORKERS_MAX  (TASKS_A_LOOP * BENCH_LOOPS_MAX)

/* Nothing else in its lines. */
struct counter {
	_Alignas(128) struct rota_mutex mutex;
	uint64_t count; /* L(mutex) */
};

/* What all workers of one measurement do. */
struct contest {
	struct counter counter;
	uint64_t ops; /* of each */
};

static int work_alone(uint64_t ops)
{
	struct counter counter = { 0 };

	for (uint64_t i = 0; i < ops; i++) {
		rota_mutex_lock(&counter.mutex);
		counter.count++;
		rota_mutex_unlock(&counter.mutex);
	}
	return 0;
}

static int work_add(void *arg)
{
	struct contest *contest = arg;

	for (uint64_t i = 0; i < contest->ops; i++) {
		rota_mutex_lock(&contest->counter.mutex);
		contest->counter.count++;
		rota_mutex_unlock(&contest->counter.mutex);
	}
	return 0;
}

static int work_hold(void *arg)
{
	struct contest *contest = arg;
	int status = 0;

	for (uint64_t i = 0; i < contest->ops && status >= 0; i++) {
		rota_mutex_lock(&contest->counter.mutex);
		contest->counter.count++;
		status = rota_yield();
		rota_mutex_unlock(&contest->counter.mutex);
	}
	return status;
}

/* Shares ops pairs between so many tasks, which take turns on the loops. */
static int compete(const struct bench_run *run, int (*work)(void *arg), unsigned int tasks,
	uint64_t ops, double *ret_ns_per_op)
{
	struct bench_worker workers[WORKERS_MAX];
	struct contest contest = { .ops = ops / tasks + 1 };
	int64_t elapsed_ns = 0;
	int status;

	for (unsigned int i = 0; i < tasks; i++) {
		workers[i].work = work;
		workers[i].arg = &contest;
		workers[i].loop = (int)(i % run->loops);
	}
	status = bench_crew(workers, tasks, &elapsed_ns);
	if (status >= 0 && contest.counter.count != contest.ops * tasks) {
		fprintf(stderr, "rota-bench: mutex: additions under it were lost\n");
		return -EPROTO;
	}
	*ret_ns_per_op = (double)elapsed_ns / (double)(contest.ops * tasks);
	return status;
}

static int measure(struct bench_run *run, const char *key, int (*work)(void *arg),
	unsigned int tasks, uint64_t ops)
{
	double ns_per_op = 0;
	int status = compete(run, work, tasks, ops / 10, &ns_per_op);

	if (status >= 0)
		status = compete(run, work, tasks, ops, &ns_per_op);
	if (status >= 0)
		bench_add(run, NULL, key, ns_per_op);
	return status;
}

static int mutex_task(void *arg)
{
	struct bench_run *run = arg;
	unsigned int few = TASKS_A_LOOP * run->loops;
	int status = bench_lanes(run, "ns_per_op", run->loops, work_alone, run->tasks);

	if (status >= 0)
		status = measure(run, "contended_ns_per_op", work_add, few, run->tasks);
	if (status >= 0)
		status = measure(run, "many_ns_per_op", work_add, MANY, run->tasks);
	if (status >= 0)
		status = measure(run, "held_ns_per_op", work_hold, few, run->tasks / 4);
	return status;
}

const struct bench bench_mutex = {
	.name = "mutex",
	.about = "lock + unlock; contended: 2 tasks a loop; many: 16; held: 2 a loop, over a yield",
	.target = "<= 15 ns alone; faster than Go",
	.loops = BENCH_LOOPS_ONE,
	.also = BENCH_LOOPS_TWO,
	.tasks = 2000000,
	.task = mutex_task,
};
