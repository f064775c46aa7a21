/* SPDX-License-Identifier: MIT */
/*
 * Waking another loop: a task on loop 0 spawns one on loop 1 and awaits it. Spinning: one round
 * after the other, so that the loops find the task before they sleep. Parked: after an idle time,
 * so that loop 1 sleeps in the kernel. Beside it what the kernel takes on the same two processors.
 */
#include "bench.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Far longer than any spin before a loop parks. */
#define IDLE_NS		  (2 * ROTA_MILLISECOND)
/* Rounds with a pause in each are for a bounded time: this many at most. */
#define PARKED_ROUNDS_MAX 400

/* One kind of rounds and what they came to. */
struct rounds {
	unsigned int count;
	int64_t pause_ns;
	int64_t *round_trips;
	int64_t *starts; /* from the spawn to the first instruction of the task */
};

static int cpus[2];

static int woken(void *arg)
{
	*(int64_t *)arg = bench_now();
	cpus[1] = sched_getcpu();
	return 0;
}

static int run_round(struct rota_group *group, const struct rounds *rounds, unsigned int i)
{
	static const struct rota_spawn_options on_loop_1 = { .flags = ROTA_SPAWN_ON_LOOP,
		.loop = 1 };
	struct rota_task *task;
	int64_t begin = bench_now();
	int64_t started = 0;
	int status = rota_group_spawn_with(group, woken, &started, &task, &on_loop_1);

	if (status < 0)
		return status;
	status = rota_task_await(task, NULL);
	if (status < 0)
		return status;
	rounds->round_trips[i] = bench_now() - begin;
	rounds->starts[i] = started - begin;
	rota_task_release(task);
	return 0;
}

static int run_rounds(void *arg)
{
	const struct rounds *rounds = arg;
	struct rota_group group;
	int status = 0;

	cpus[0] = sched_getcpu();
	rota_group_open(&group, NULL);
	for (unsigned int i = 0; i < rounds->count && status >= 0; i++) {
		if (rounds->pause_ns > 0)
			status = rota_sleep(rounds->pause_ns);
		if (status >= 0)
			status = run_round(&group, rounds, i);
	}
	return rota_group_close(&group, status);
}

static double median_of(int64_t *values, unsigned int count)
{
	bench_sort(values, count);
	return (double)values[count / 2];
}

/* In a task of its own: only ON_LOOP says that it is loop 0 that wakes loop 1. */
static int measure(struct rounds *rounds)
{
	static const struct rota_spawn_options on_loop_0 = { .flags = ROTA_SPAWN_ON_LOOP };
	struct rota_group group;

	rota_group_open(&group, NULL);
	rota_group_spawn_with(&group, run_rounds, rounds, NULL, &on_loop_0);
	return rota_group_close(&group, 0);
}

static unsigned int parked_rounds(const struct bench_run *run)
{
	uint64_t count = run->tasks / 50 + 1;

	return count < PARKED_ROUNDS_MAX ? (unsigned int)count : PARKED_ROUNDS_MAX;
}

static int measure_both(struct bench_run *run, struct rounds *rounds)
{
	double round_trip;
	int status;

	rounds->count = (unsigned int)run->tasks;
	rounds->pause_ns = 0;
	status = measure(rounds);
	if (status < 0)
		return status;
	round_trip = median_of(rounds->round_trips, rounds->count);
	bench_add(run, NULL, "ns_per_op", round_trip / 2);
	bench_add(run, NULL, "start_ns", median_of(rounds->starts, rounds->count));

	rounds->count = parked_rounds(run);
	rounds->pause_ns = IDLE_NS;
	status = measure(rounds);
	if (status < 0)
		return status;
	round_trip = median_of(rounds->round_trips, rounds->count);
	bench_add(run, NULL, "parked_ns_per_op", round_trip / 2);
	bench_add(run, NULL, "parked_start_ns", median_of(rounds->starts, rounds->count));
	bench_add(run, NULL, "parked_round_trip_ns", round_trip);
	return 0;
}

static int wake_task(void *arg)
{
	struct bench_run *run = arg;
	struct rounds rounds = { 0 };
	int status = -ENOMEM;

	rounds.round_trips = calloc(run->tasks, sizeof(int64_t));
	rounds.starts = calloc(run->tasks, sizeof(int64_t));
	if (rounds.round_trips && rounds.starts)
		status = measure_both(run, &rounds);
	free(rounds.starts);
	free(rounds.round_trips);
	return status;
}

/* With and without the idle time: a processor that has gone to sleep wakes later. */
static int measure_bare(struct bench_run *run)
{
	struct bench_bare bare = { .cpus = { cpus[0], cpus[1] } };
	int status;

	bare.rounds = (unsigned int)run->tasks;
	status = bench_bare_wake(&bare);
	if (status >= 0) {
		bench_add(run, NULL, "bare_round_trip_ns", bare.round_trip_ns);
		bare.rounds = parked_rounds(run);
		bare.pause_ns = IDLE_NS;
		status = bench_bare_wake(&bare);
	}
	if (status >= 0)
		bench_add(run, NULL, "bare_idle_round_trip_ns", bare.round_trip_ns);
	else
		/* Nothing that is measured has failed, only what it is compared with. */
		fprintf(stderr, "rota-bench: wake: no bare MSG_RING figure: %s\n",
			strerror(-status));
	return 0;
}

const struct bench bench_wake = {
	.name = "wake",
	.about = "spawn on another loop + await, half a round trip; bare: MSG_RING, no runtime",
	.target = "<= 1000 ns; parked round trip not slower than the bare one",
	.loops = BENCH_LOOPS_TWO,
	.loops_min = 2,
	.tasks = 20000,
	.task = wake_task,
	.after = measure_bare,
};
