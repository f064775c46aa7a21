/* SPDX-License-Identifier: MIT */
/*
 * Sleeping: processor time a sleep when the loops have no rest (dense: at most 1 ms each), and how
 * late sleepers wake when they have (sparse: fewer of them, at most 50 ms each). Never early.
 */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define ROUNDS		 20
#define SPARSE_TASKS_MAX 1000

/* One task of the bench. */
struct sleeper {
	uint64_t random; /* its own, so that every run sleeps the same durations */
	int64_t longest_ns;
	int64_t begin_ns;     /* its first wake-up: all are asleep before */
	int64_t late[ROUNDS]; /* output */
};

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static int sleeper_run(void *arg)
{
	struct sleeper *sleeper = arg;
	int status = rota_sleep_until(sleeper->begin_ns);

	for (unsigned int i = 0; i < ROUNDS && status >= 0; i++) {
		uint64_t random = random_next(&sleeper->random);
		int64_t when = rota_now() + (int64_t)(random % (uint64_t)sleeper->longest_ns);

		status = rota_sleep_until(when);
		sleeper->late[i] = rota_now() - when;
	}
	return status;
}

static int64_t cpu_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (int64_t)now.tv_sec * ROTA_SECOND + now.tv_nsec;
}

/* Runs them; *ret_cpu_ns is the time of all processors from their first wake-up to the end. */
static int sleep_all(
	struct sleeper *sleepers, uint64_t count, int64_t longest_ns, int64_t *ret_cpu_ns)
{
	/* Time enough for all to get their stacks, which is not what is measured. */
	int64_t begin = rota_now() + 20 * ROTA_MILLISECOND + (int64_t)count * 3000;
	struct rota_group group;
	int64_t cpu;
	int status;

	rota_group_open(&group, NULL);
	for (uint64_t i = 0; i < count; i++) {
		sleepers[i].random = (i + 1) * 0x9e3779b97f4a7c15u;
		sleepers[i].longest_ns = longest_ns;
		sleepers[i].begin_ns = begin;
		rota_group_spawn(&group, sleeper_run, &sleepers[i]);
	}
	status = rota_sleep_until(begin - ROTA_MILLISECOND);
	cpu = cpu_now();
	status = rota_group_close(&group, status);
	*ret_cpu_ns = cpu_now() - cpu;
	return status;
}

static void add_lateness(struct bench_run *run, const int64_t *late, size_t count)
{
	bench_add(run, NULL, "late_p50_ns", (double)late[count / 2]);
	bench_add(run, NULL, "late_p99_ns", (double)late[count - 1 - count / 100]);
	bench_add(run, NULL, "late_max_ns", (double)late[count - 1]);
}

static int64_t *collect(const struct sleeper *sleepers, size_t count)
{
	int64_t *late = calloc(count * ROUNDS, sizeof(*late));

	if (!late)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < ROUNDS; k++)
			late[i * ROUNDS + k] = sleepers[i].late[k];
	}
	bench_sort(late, count * ROUNDS);
	return late;
}

static size_t count_early(const int64_t *late, size_t count)
{
	size_t early = 0;

	while (early < count && late[early] < 0)
		early++;
	return early;
}

static int measure(struct bench_run *run, struct sleeper *sleepers)
{
	uint64_t sparse = run->tasks < SPARSE_TASKS_MAX ? run->tasks : SPARSE_TASKS_MAX;
	size_t early = 0;
	int64_t cpu_ns;
	int64_t *late;
	int status = sleep_all(sleepers, run->tasks, ROTA_MILLISECOND, &cpu_ns);

	if (status < 0)
		return status;
	late = collect(sleepers, run->tasks);
	if (!late)
		return -ENOMEM;
	early += count_early(late, run->tasks * ROUNDS);
	free(late);
	bench_add(run, NULL, "ns_per_op", (double)cpu_ns / (double)(run->tasks * (ROUNDS + 1)));

	status = sleep_all(sleepers, sparse, 50 * ROTA_MILLISECOND, &cpu_ns);
	if (status < 0)
		return status;
	late = collect(sleepers, sparse);
	if (!late)
		return -ENOMEM;
	early += count_early(late, sparse * ROUNDS);
	bench_add(run, NULL, "sparse_cpu_ns_per_op",
		(double)cpu_ns / (double)(sparse * (ROUNDS + 1)));
	add_lateness(run, late, sparse * ROUNDS);
	free(late);
	bench_add(run, NULL, "early_count", (double)early);
	if (early > 0) {
		fprintf(stderr, "rota-bench: sleep: %zu sleeps ended too early\n", early);
		return -EPROTO;
	}
	return 0;
}

static int sleep_task(void *arg)
{
	struct bench_run *run = arg;
	struct sleeper *sleepers = calloc(run->tasks, sizeof(*sleepers));
	int status;

	if (!sleepers)
		return -ENOMEM;
	status = measure(run, sleepers);
	free(sleepers);
	return status;
}

const struct bench bench_sleep = {
	.name = "sleep",
	.about = "processor time a sleep, loops busy; sparse: loops idle in between, lateness",
	.loops = BENCH_LOOPS_ALL,
	.tasks = 10000,
	.task = sleep_task,
};
