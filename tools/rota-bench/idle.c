/* SPDX-License-Identifier: MIT */
/*
 * Very many tasks that sleep for an hour: how long it takes until all sleep, beside the time that
 * touching one page of each such stack takes in the same run, and the memory of each.
 */
#include "bench.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More than a task needs, so that the machine keeps some when all are there. */
#define BYTES_PER_TASK_MAX 6144

/* Tasks of one loop that are about to sleep; a line each, or the counter would be measured. */
struct asleep {
	_Alignas(128) atomic_ulong count;
};

static struct asleep asleep[BENCH_LOOPS_MAX];

/* Bytes of a line like "VmRSS:  123 kB" of a file in /proc; 0 if there is none. */
static double proc_bytes(const char *path, const char *name)
{
	FILE *file = fopen(path, "re");
	size_t length = strlen(name);
	double bytes = 0;
	char line[256];

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, name, length) == 0 && line[length] == ':')
			bytes = strtod(line + length + 1, NULL) * 1024;
	}
	fclose(file);
	return bytes;
}

/* Page tables count: with a page each they are an eighth of the memory. */
static double memory_used(void)
{
	return proc_bytes("/proc/self/status", "VmRSS") + proc_bytes("/proc/self/status", "VmPTE");
}

static int sleeper(void *arg)
{
	int loop = rota_loop_self();

	(void)arg;
	if (loop >= 0)
		atomic_fetch_add_explicit(&asleep[loop].count, 1, memory_order_relaxed);
	return rota_sleep(3600 * ROTA_SECOND);
}

static uint64_t count_asleep(unsigned int loops)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < loops; i++)
		sum += atomic_load_explicit(&asleep[i].count, memory_order_relaxed);
	return sum;
}

static int touch_floor(struct bench_run *run)
{
	double available = proc_bytes("/proc/meminfo", "MemAvailable");
	double seconds;

	if (available > 0 && available < (double)run->tasks * BYTES_PER_TASK_MAX) {
		fprintf(stderr,
			"rota-bench: idle-tasks: %llu tasks need %.1f GiB, %.1f are available; "
			"name fewer with --tasks\n",
			(unsigned long long)run->tasks,
			(double)run->tasks * BYTES_PER_TASK_MAX / (1 << 30), available / (1 << 30));
		return -ENOMEM;
	}
	/* A virtual machine gets its memory at the first touch ever, which is much slower. */
	if (run->repetition == 0)
		bench_touch(run->tasks, run->loops);
	seconds = bench_touch(run->tasks, run->loops);
	if (seconds < 0)
		return -ENOMEM;
	bench_add(run, NULL, "touch_seconds", seconds);
	return 0;
}

/* Adds the figures once all are asleep. Ends early, with an error, when a member failed. */
static int watch(struct bench_run *run, int64_t begin, double memory)
{
	double tasks = (double)run->tasks;
	double seconds;
	int status = 0;

	while (status >= 0 && count_asleep(run->loops) < run->tasks)
		status = rota_sleep(ROTA_MILLISECOND);
	seconds = (double)(bench_now() - begin) / (double)ROTA_SECOND;
	if (status < 0)
		return status;
	/* The last of them has counted itself just before its sleep. */
	status = rota_sleep(ROTA_MILLISECOND);
	bench_add(run, NULL, "ns_per_op", seconds * 1e9 / tasks);
	bench_add(run, NULL, "seconds", seconds);
	bench_add(run, NULL, "bytes_per_task", (memory_used() - memory) / tasks);
	return status;
}

static int idle_task(void *arg)
{
	struct bench_run *run = arg;
	double memory = memory_used();
	struct rota_group group;
	int64_t begin = bench_now();
	int status;

	memset(asleep, 0, sizeof(asleep));
	rota_group_open(&group, NULL);
	for (uint64_t i = 0; i < run->tasks; i++)
		rota_group_spawn(&group, sleeper, NULL);
	status = watch(run, begin, memory);
	begin = bench_now();
	rota_group_cancel(&group, "measured");
	status = rota_group_close(&group, status);
	if (status >= 0)
		bench_add(run, NULL, "cancel_seconds",
			(double)(bench_now() - begin) / (double)ROTA_SECOND);
	return status;
}

/* Touching and creating of this repetition ran side by side: their ratio says more than either. */
static int add_ratio(struct bench_run *run)
{
	const struct bench_series *touch = bench_result_find(run->result, NULL, "touch_seconds");
	const struct bench_series *create = bench_result_find(run->result, NULL, "seconds");

	if (touch && create)
		bench_add(run, NULL, "ratio",
			create->values[create->count - 1] / touch->values[touch->count - 1]);
	return 0;
}

const struct bench bench_idle = {
	.name = "idle-tasks",
	.about = "tasks that all sleep; touch: one page of each such stack; ratio of the two",
	.target = "<= 4.8 KiB (4915 bytes) a task, ratio <= 1.3",
	.loops = BENCH_LOOPS_ALL,
	.repeat_max = 3,
	.tasks = 1000000,
	.before = touch_floor,
	.task = idle_task,
	.after = add_ratio,
};
