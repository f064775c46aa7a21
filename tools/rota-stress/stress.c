/* SPDX-License-Identifier: MIT */
/* What the scenarios share: broken invariants, the clock, the runtime of a run. */
#include "stress.h"

#include <dirent.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "segment.h"

/* After so many the rest of a scenario's violations are only counted. */
#define REPORTS_MAX  5
/* Virtual time: a pass of a scenario takes some milliseconds. */
#define SIM_PATIENCE (10 * ROTA_SECOND)

void stress_broken(struct run *run, const char *invariant, const char *format, ...)
{
	uint64_t before = atomic_fetch_add_explicit(&run->violations, 1, memory_order_relaxed);
	char detail[256];
	char text[1280];
	va_list args;
	int n;

	if (before >= REPORTS_MAX)
		return;
	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
	n = snprintf(text, sizeof(text),
		"rota-stress: invariant %s broken: scenario %s, seed %llu: %s\n"
		"rota-stress: replay: %s\n",
		invariant, run->scenario->name, (unsigned long long)run->options->seed, detail,
		run->replay);
	/* One write: reports of several loops must not mix. */
	if (n > 0 && write(STDERR_FILENO, text, (size_t)n) < 0)
		abort();
}

struct rota_config stress_config(const struct run *run)
{
	return (struct rota_config){
		.loops = run->loops,
		.offload_threads = run->offload_threads,
		.on_error = run->on_error,
		.hook_arg = run->hook_arg,
	};
}

void stress_clock_start(struct run *run)
{
	int64_t now = rota_now();
	int64_t end = run->limit_ns > INT64_MAX - now ? INT64_MAX : now + run->limit_ns;

	atomic_store_explicit(&run->end_ns, end, memory_order_relaxed);
}

bool stress_over(const struct run *run)
{
	return rota_now() >= atomic_load_explicit(&run->end_ns, memory_order_relaxed);
}

bool stress_more(const struct run *run, uint64_t done)
{
	return done < run->quota && !stress_over(run);
}

void stress_collect(struct run *run)
{
	struct rota_stats stats = { 0 };

	if (rota_stats_get(&stats, sizeof(stats), -1) != sizeof(stats))
		stress_broken(run, "stats", "rota_stats_get() does not fill its struct");
	run->stolen += stats.tasks_stolen;
	run->loops_seen = rota_loop_count();
}

/* The main task is all that lives. Ended tasks may be counted a moment after their join. */
static void check_nothing_left(struct run *run)
{
	struct rota_stats stats = { 0 };

	for (int i = 0; i < 2000; i++) {
		(void)rota_stats_get(&stats, sizeof(stats), -1);
		if (stats.tasks_live <= 1 && stats.ops_in_flight == 0)
			return;
		(void)rota_sleep(ROTA_MILLISECOND);
	}
	stress_broken(run, "nothing-left", "%llu tasks live, %llu operations in flight at the end",
		(unsigned long long)stats.tasks_live, (unsigned long long)stats.ops_in_flight);
}

struct entry {
	struct run *run;
	rota_task_fn *fn;
	void *arg;
};

static int enter(void *arg)
{
	struct entry *entry = arg;
	int64_t start = rota_now();
	int status;

	stress_clock_start(entry->run);
	status = entry->fn(entry->arg);
	entry->run->elapsed_ns += rota_now() - start;
	check_nothing_left(entry->run);
	stress_collect(entry->run);
	return status;
}

int stress_main_task(struct run *run, rota_task_fn *fn, void *arg)
{
	struct entry entry = { .run = run, .fn = fn, .arg = arg };
	struct rota_config config = stress_config(run);
	int status;

	segment_reset();
	status = rota_run(enter, &entry, &config);
	STRESS_CHECK(run, "main-ends-well", status == 0, "rota_run() gives %d (%s)", status,
		rota_status_name(status));
	return status;
}

void stress_not_stuck(const struct run *run, int64_t since_ns)
{
	if (!run->sim || rota_now() - since_ns < SIM_PATIENCE)
		return;
	fprintf(stderr,
		"rota-stress: invariant no-hang broken: scenario %s, seed %llu\n"
		"rota-stress: replay: %s\n",
		run->scenario->name, (unsigned long long)run->options->seed, run->replay);
	abort();
}

void stress_busy(const struct run *run, int64_t ns)
{
	int64_t end;

	if (run->sim || ns <= 0)
		return;
	end = rota_now() + ns;
	while (rota_now() < end)
		;
}

void stress_thread_sleep(int64_t ns)
{
	struct timespec time = { .tv_sec = ns / ROTA_SECOND, .tv_nsec = ns % ROTA_SECOND };

	while (nanosleep(&time, &time) < 0 && errno == EINTR)
		;
}

void *stress_alloc(size_t count, size_t bytes)
{
	void *memory = calloc(count, bytes);

	if (!memory) {
		fprintf(stderr, "rota-stress: no memory for %zu times %zu bytes\n", count, bytes);
		abort();
	}
	return memory;
}

unsigned int stress_fd_count(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int count = 0;

	if (!dir)
		return 0;
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}
