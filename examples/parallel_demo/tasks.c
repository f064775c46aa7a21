/* SPDX-License-Identifier: MIT */
/*
 * Part one. What runs on the runtime is two small tasks: one that waits and one that computes. The
 * picture is drawn from the runtime's own trace, not from what this program believes happened.
 */
#include "tasks.h"

#include <errno.h>
#include <rota.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "meter.h"
#include "progress.h"
#include "text.h"

static const char *const names[TASKS_COUNT] = { "A", "B", "C" };

/* What the tasks of one run share. */
struct run {
	const struct options *options;
	struct meter *meter;
	uint64_t rounds; /* of a computing task */
	rota_task_fn *fn;
	struct timeline *timeline;
	int64_t elapsed_ns;
	int running_max;
	int together_max;
};

struct member {
	struct run *run;
	const char *name;
	uint64_t *ret_id; /* where the task leaves its number */
};

/* Where the results of grind() go, lest the compiler leaves the work out. */
static volatile uint64_t sink;

/*
 * A fixed amount of work: every step needs the one before, and no memory is touched, so it takes
 * the same time whatever the neighbours do.
 */
__attribute__((noinline)) static void grind(uint64_t rounds)
{
	uint64_t x = sink | 1;

	for (uint64_t i = 0; i < rounds; i++) {
		x ^= x >> 29;
		x *= UINT64_C(6364136223846793005);
	}
	sink = x;
}

/* How many rounds take ns nanoseconds on this machine: the best of several short trials. */
static uint64_t calibrate(int64_t ns)
{
	const uint64_t rounds = 4 << 20;
	int64_t best_ns = INT64_MAX;

	for (int trial = 0; trial < 12; trial++) {
		int64_t start_ns = rota_now();
		int64_t took_ns;

		grind(rounds);
		took_ns = rota_now() - start_ns;
		best_ns = took_ns < best_ns ? took_ns : best_ns;
	}
	return (uint64_t)((double)rounds * (double)ns / (double)best_ns);
}

static int waiting_task(void *arg)
{
	struct member *member = arg;
	struct meter_task task;
	int status;

	meter_begin(&task, member->run->meter, member->name);
	*member->ret_id = task.id;
	meter_pause(&task);
	status = rota_sleep(member->run->options->task_ns);
	meter_resume(&task);
	meter_pause(&task);
	return status;
}

static int computing_task(void *arg)
{
	struct member *member = arg;
	struct meter_task task;

	meter_begin(&task, member->run->meter, member->name);
	*member->ret_id = task.id;
	grind(member->run->rounds);
	meter_pause(&task);
	return 0;
}

/* Saves the trace to a temporary file and reads it back as a timeline. */
static int read_trace(struct timeline *timeline, const uint64_t *ids)
{
	char path[] = "/tmp/parallel_demo-XXXXXX";
	int fd = mkstemp(path);
	int status;

	if (fd < 0)
		return -errno;
	close(fd);
	status = rota_trace_save(path);
	if (status == 0)
		status = timeline_read_trace(timeline, path, ids, names, TASKS_COUNT);
	unlink(path);
	return status;
}

/* The main task: three of run->fn at once. */
static int run_three(void *arg)
{
	struct run *run = arg;
	struct member members[TASKS_COUNT];
	struct rota_call calls[TASKS_COUNT];
	uint64_t ids[TASKS_COUNT] = { 0 };
	struct meter meter;
	int64_t start_ns;
	int traced, status;

	status = meter_init(&meter, rota_loop_count(), 0);
	if (status < 0)
		return status;
	meter.count_together = true;
	run->meter = &meter;
	for (size_t i = 0; i < TASKS_COUNT; i++) {
		members[i] = (struct member){ .run = run, .name = names[i], .ret_id = &ids[i] };
		calls[i] =
			(struct rota_call){ .fn = run->fn, .arg = &members[i], .name = names[i] };
	}
	traced = rota_trace_start(0);
	start_ns = rota_now();
	status = rota_gather(calls, TASKS_COUNT);
	run->elapsed_ns = rota_now() - start_ns;
	if (traced == 0)
		traced = read_trace(run->timeline, ids);
	/* A picture that is missing spoils no measurement. */
	if (traced < 0)
		text_complain("no picture of this run: %s", text_status(traced));
	run->running_max = meter_running_max(&meter);
	run->together_max = atomic_load(&meter.together_max);
	meter_finish(&meter);
	return status;
}

static int run_sync(const struct options *options, struct tasks_result *result)
{
	struct timespec pause = {
		.tv_sec = options->task_ns / 1000000000,
		.tv_nsec = options->task_ns % 1000000000,
	};
	int64_t start_ns = rota_now();

	result->sync_timeline.lane_count = 1;
	for (uint64_t i = 0; i < TASKS_COUNT; i++) {
		struct timeline_span span = { .task = i, .label = names[i] };
		struct timespec left = pause;

		span.start_ns = rota_now() - start_ns;
		while (nanosleep(&left, &left) < 0 && errno == EINTR)
			;
		span.end_ns = rota_now() - start_ns;
		if (timeline_add(&result->sync_timeline, &span) < 0)
			return -ENOMEM;
	}
	result->sync_ns = rota_now() - start_ns;
	timeline_seal(&result->sync_timeline);
	return 0;
}

static int run_concurrent(const struct options *options, struct tasks_result *result)
{
	struct run run = {
		.options = options,
		.fn = waiting_task,
		.timeline = &result->concurrent_timeline,
	};
	int status = engine_run(1, run_three, &run, &result->concurrent_report);

	result->concurrent_timeline.lane_count = result->concurrent_report.loops;
	result->concurrent_ns = run.elapsed_ns;
	result->running_max = run.running_max;
	return status;
}

static int run_parallel(const struct options *options, struct tasks_result *result)
{
	struct run run = {
		.options = options,
		.fn = computing_task,
		.timeline = &result->parallel_timeline,
		.rounds = calibrate(options->task_ns),
	};
	unsigned int cpus = engine_cpus();
	int64_t start_ns = rota_now();
	int status;

	grind(run.rounds);
	result->job_ns = rota_now() - start_ns;
	status = engine_run(options->loops, run_three, &run, &result->parallel_report);
	if (status < 0)
		return status;
	result->workers = result->parallel_report.loops;
	if (result->workers > cpus)
		result->workers = cpus;
	result->ideal_ns = (TASKS_COUNT + result->workers - 1) / result->workers * result->job_ns;
	result->parallel_timeline.lane_count = result->parallel_report.loops;
	result->parallel_ns = run.elapsed_ns;
	result->together_max = run.together_max;
	if (run.running_max > result->running_max)
		result->running_max = run.running_max;
	return 0;
}

int tasks_run(const struct options *options, struct tasks_result *ret_result)
{
	static const struct timeline sync = {
		.name = "sync",
		.heading = "one after another, plain C: the thread is stuck in each",
		.lane_name = "thread",
	};
	static const struct timeline concurrent = {
		.name = "concurrent",
		.heading = "all three wait at the same time, the loop is free",
		.lane_name = "loop",
	};
	static const struct timeline parallel = {
		.name = "parallel",
		.heading = "all three compute: one at a time on each loop, all loops at once",
		.lane_name = "loop",
	};
	int status = 0;

	*ret_result = (struct tasks_result){
		.sync_timeline = sync,
		.concurrent_timeline = concurrent,
		.parallel_timeline = parallel,
	};
	if (options->modes & MODE_SYNC) {
		progress_start("three tasks, one after another", 0);
		status = run_sync(options, ret_result);
	}
	if (status == 0 && (options->modes & MODE_CONCURRENT)) {
		progress_start("three tasks that wait, on one loop", 0);
		status = run_concurrent(options, ret_result);
	}
	if (status == 0 && (options->modes & MODE_PARALLEL)) {
		progress_start("three tasks that compute, on all loops", 0);
		status = run_parallel(options, ret_result);
	}
	progress_end();
	return status;
}

void tasks_finish(struct tasks_result *result)
{
	timeline_finish(&result->sync_timeline);
	timeline_finish(&result->concurrent_timeline);
	timeline_finish(&result->parallel_timeline);
}
