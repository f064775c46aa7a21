/* SPDX-License-Identifier: MIT */
/*
 * Plain threads that spawn into a runtime, call, await, cancel and release, all at once; the wakes
 * of the loops come from outside then.
 */
#include "scenarios.h"

#include <pthread.h>

#define THREADS 3

struct threads {
	struct run *run;
	struct rota_runtime *runtime;
	_Atomic(uint64_t) accepted;
	_Atomic(uint64_t) ran;
};

struct caller {
	struct threads *threads;
	pthread_t thread;
	uint64_t number;
};

/* What a thread asks for; it waits for the end, so this may lie on its stack. */
struct request {
	struct threads *threads;
	uint64_t seed;
	int status;
	bool cancels;
};

static int request_run(void *arg)
{
	struct request *request = arg;
	struct prng prng = prng_of(request->seed, 16);

	atomic_fetch_add(&request->threads->ran, 1);
	if (request->cancels)
		return rota_sleep(ROTA_FOREVER);
	if (prng_once_in(&prng, 2))
		stress_busy(request->threads->run, prng_ns(&prng, 20 * ROTA_MICROSECOND));
	else
		(void)rota_sleep(prng_ns(&prng, 100 * ROTA_MICROSECOND));
	return request->status;
}

static int forgotten_run(void *arg)
{
	struct request *request = arg;

	atomic_fetch_add(&request->threads->ran, 1);
	return 0;
}

static void call(struct threads *threads, struct request *request)
{
	int status;

	atomic_fetch_add(&threads->accepted, 1);
	status = rota_runtime_call(threads->runtime, request_run, request);
	STRESS_CHECK(threads->run, "call", status == request->status,
		"rota_runtime_call() gives %d instead of %d", status, request->status);
}

static void spawn_and_await(struct threads *threads, struct request *request, struct prng *prng)
{
	struct rota_spawn_options options = { .flags = ROTA_SPAWN_ON_LOOP };
	struct rota_task *task = NULL;
	int expected = request->cancels ? -ECANCELED : request->status;
	int status = 4711;
	int err;

	options.loop = prng_loop(prng);
	if (prng_once_in(prng, 2))
		options.flags = 0;
	if (!options.flags)
		options.loop = 0;
	err = rota_runtime_spawn(threads->runtime, request_run, request, &task, &options);
	STRESS_CHECK(
		threads->run, "spawn-works", !err && task, "rota_runtime_spawn() gives %d", err);
	if (err)
		return;
	atomic_fetch_add(&threads->accepted, 1);
	stress_busy(threads->run, prng_ns(prng, 100 * ROTA_MICROSECOND));
	if (request->cancels)
		rota_task_cancel(task, "a thread");
	err = rota_task_await(task, &status);
	STRESS_CHECK(threads->run, "await", err == 0 && status == expected,
		"a thread's await gives %d and status %d instead of %d", err, status, expected);
	rota_task_release(task);
}

/* Nobody waits: the argument goes along. */
static void spawn_and_forget(struct threads *threads)
{
	struct request request = { .threads = threads };
	struct rota_spawn_options options = { .arg_bytes = sizeof(request) };
	struct rota_task *task = NULL;
	int err;

	err = rota_runtime_spawn(threads->runtime, forgotten_run, &request, &task, &options);
	STRESS_CHECK(threads->run, "spawn-works", !err, "rota_runtime_spawn() gives %d", err);
	if (!err)
		atomic_fetch_add(&threads->accepted, 1);
	rota_task_release(task);
}

static void *caller_run(void *arg)
{
	struct caller *caller = arg;
	struct threads *threads = caller->threads;

	for (uint64_t i = caller->number; stress_more(threads->run, i); i += THREADS) {
		struct prng prng = prng_of(threads->run->seed, i);
		struct request request = { .threads = threads, .seed = i };

		request.status = (int)prng_below(&prng, 1000);
		switch (prng_below(&prng, 4)) {
		case 0:
			call(threads, &request);
			break;
		case 1:
			spawn_and_forget(threads);
			break;
		default:
			request.cancels = prng_once_in(&prng, 3);
			spawn_and_await(threads, &request, &prng);
		}
		/* Long enough for the loops to go to sleep, now and then. */
		if (prng_once_in(&prng, 8))
			stress_thread_sleep(prng_ns(&prng, 300 * ROTA_MICROSECOND));
	}
	return NULL;
}

/* A cancelled task's status may go to on_error: nothing is wrong with that here. */
static void on_error(void *arg, const struct rota_error *error)
{
	STRESS_CHECK((struct run *)arg, "error-report", error->status == -ECANCELED,
		"on_error is told of status %d", error->status);
}

static void run_threads(struct run *run)
{
	struct rota_config config = stress_config(run);
	struct threads threads = { .run = run };
	struct caller callers[THREADS];
	int err;

	config.on_error = on_error;
	config.hook_arg = run;
	err = rota_start(&threads.runtime, &config);
	STRESS_CHECK(run, "start", !err, "rota_start() gives %d (%s)", err, rota_status_name(err));
	if (err)
		return;
	stress_clock_start(run);
	for (uint64_t i = 0; i < THREADS; i++) {
		callers[i] = (struct caller){ .threads = &threads, .number = i };
		if (pthread_create(&callers[i].thread, NULL, caller_run, &callers[i]) != 0)
			abort();
	}
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(callers[i].thread, NULL);
	stress_collect(run);
	err = rota_stop(threads.runtime);
	STRESS_CHECK(run, "stop", !err, "rota_stop() gives %d (%s)", err, rota_status_name(err));
	STRESS_CHECK(run, "exactly-once",
		atomic_load(&threads.accepted) == atomic_load(&threads.ran),
		"%llu tasks were accepted, %llu ran",
		(unsigned long long)atomic_load(&threads.accepted),
		(unsigned long long)atomic_load(&threads.ran));
	atomic_fetch_add(&run->tasks, atomic_load(&threads.ran));
}

const struct scenario scenario_threads = {
	.name = "threads",
	.text = "plain threads spawn, call, await, cancel and release",
	.run = run_threads,
	.quota = 20000,
	.flags = STRESS_REAL_ONLY,
};
