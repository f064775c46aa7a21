/* SPDX-License-Identifier: MIT */
/*
 * The runtime is started and stopped in a tight loop, with nothing, much or endless work in it.
 * What was accepted runs once; nothing is left: no descriptor, no mapping, no thread.
 */
#include "scenarios.h"

#include <stdio.h>

#define TASKS_MAX 64
#define WARM_UP	  10

struct lifetime {
	struct run *run;
	struct rota_runtime *runtime;
	struct prng prng;
	_Atomic(uint64_t) ran;
	uint64_t accepted;
};

static int at_once(void *arg)
{
	struct lifetime *life = arg;

	atomic_fetch_add_explicit(&life->ran, 1, memory_order_relaxed);
	return 0;
}

/* Ends by the stop only. */
static int for_ever(void *arg)
{
	struct lifetime *life = arg;
	int status;

	atomic_fetch_add_explicit(&life->ran, 1, memory_order_relaxed);
	status = rota_sleep(ROTA_FOREVER);
	STRESS_CHECK(life->run, "stop-cancels", status == -ECANCELED,
		"an endless sleep gives %d (%s) at the stop", status, rota_status_name(status));
	return status;
}

static int for_ever_in_group(void *arg)
{
	struct lifetime *life = arg;
	struct rota_group group;

	/* Counts once: by its member, or here when the stop was faster than the spawn. */
	rota_group_open(&group, NULL);
	if (rota_group_spawn(&group, for_ever, life) != 0)
		atomic_fetch_add_explicit(&life->ran, 1, memory_order_relaxed);
	return rota_group_close(&group, 0);
}

static int wrong_calls(void *arg)
{
	struct lifetime *life = arg;
	struct rota_runtime *other = NULL;
	int err;

	err = rota_stop(life->runtime);
	STRESS_CHECK(life->run, "refusal", err == -EDEADLK, "rota_stop() in a task gives %d", err);
	err = rota_run(at_once, life, NULL);
	STRESS_CHECK(life->run, "refusal", err == -EDEADLK, "rota_run() in a task gives %d", err);
	err = rota_start(&other, NULL);
	STRESS_CHECK(life->run, "refusal", err == -EBUSY || err == -EDEADLK,
		"rota_start() in a task gives %d", err);
	err = rota_runtime_call(life->runtime, at_once, life);
	STRESS_CHECK(life->run, "refusal", err == -EDEADLK,
		"rota_runtime_call() in a task gives %d", err);
	return 77;
}

static rota_task_fn *any_task(struct prng *prng)
{
	static rota_task_fn *const fns[] = { at_once, for_ever, for_ever_in_group };

	return fns[prng_below(prng, 3)];
}

static int life_main(void *arg)
{
	struct lifetime *life = arg;
	uint64_t count = prng_below(&life->prng, TASKS_MAX);

	for (uint64_t i = 0; i < count; i++) {
		struct rota_spawn_options options = stress_on_loop(prng_loop(&life->prng));
		int err;

		if (prng_once_in(&life->prng, 2))
			options = (struct rota_spawn_options){ 0 };
		err = rota_background_at(
			"life (start-stop.c)", any_task(&life->prng), life, &options);
		STRESS_CHECK(life->run, "spawn-works", !err, "rota_background() gives %d", err);
		life->accepted += !err;
	}
	if (prng_once_in(&life->prng, 2))
		(void)rota_sleep(prng_ns(&life->prng, 300 * ROTA_MICROSECOND));
	stress_collect(life->run);
	return 0;
}

static void spawn_from_outside(struct lifetime *life)
{
	uint64_t count = prng_below(&life->prng, TASKS_MAX);

	for (uint64_t i = 0; i < count; i++) {
		int err =
			rota_runtime_spawn(life->runtime, any_task(&life->prng), life, NULL, NULL);

		STRESS_CHECK(life->run, "spawn-works", !err, "rota_runtime_spawn() gives %d", err);
		life->accepted += !err;
	}
	if (prng_once_in(&life->prng, 2))
		stress_thread_sleep(prng_ns(&life->prng, 300 * ROTA_MICROSECOND));
	if (prng_once_in(&life->prng, 4))
		rota_runtime_cancel(life->runtime, "enough");
}

/* Only cancelled tasks are let end with an error here. */
static void on_error(void *arg, const struct rota_error *error)
{
	STRESS_CHECK((struct run *)arg, "no-error", error->status == -ECANCELED,
		"a background task ends with %d (%s)", error->status,
		rota_status_name(error->status));
}

/* The refusal of a second runtime is expected: not printed. */
static void on_log(void *arg, int level, const char *text)
{
	(void)arg;
	(void)level;
	(void)text;
}

static void start_and_stop(struct lifetime *life, const struct rota_config *config)
{
	struct rota_config second = { .on_log = on_log };
	struct rota_runtime *other = NULL;
	int err;

	err = rota_start(&life->runtime, config);
	STRESS_CHECK(
		life->run, "start", !err, "rota_start() gives %d (%s)", err, rota_status_name(err));
	if (err)
		return;
	STRESS_CHECK(life->run, "start", rota_runtime_self() == life->runtime,
		"rota_runtime_self() is another runtime");
	switch (prng_below(&life->prng, 5)) {
	case 0:
		break;
	case 1:
		err = rota_start(&other, &second);
		STRESS_CHECK(life->run, "refusal", err == -EBUSY, "a second rota_start(): %d", err);
		err = rota_runtime_call(life->runtime, wrong_calls, life);
		STRESS_CHECK(life->run, "call", err == 77, "rota_runtime_call() gives %d", err);
		break;
	case 2:
		life->accepted++;
		err = rota_runtime_call(life->runtime, at_once, life);
		STRESS_CHECK(life->run, "call", err == 0, "rota_runtime_call() gives %d", err);
		break;
	default:
		spawn_from_outside(life);
	}
	err = rota_stop(life->runtime);
	STRESS_CHECK(
		life->run, "stop", !err, "rota_stop() gives %d (%s)", err, rota_status_name(err));
}

static void one_life(struct run *run, uint64_t round)
{
	struct lifetime life = { .run = run, .prng = prng_of(run->seed, round) };
	struct rota_config config = stress_config(run);
	uint64_t ran;
	int err;

	config.on_error = on_error;
	config.hook_arg = run;
	if (!run->options->loops)
		config.loops = (uint32_t)prng_below(&life.prng, 4) + 1;
	/* Simulation plays all loops on the thread of rota_run(). */
	if (run->sim || prng_once_in(&life.prng, 2)) {
		err = rota_run(life_main, &life, &config);
		STRESS_CHECK(run, "main-ends-well", err == 0, "rota_run() gives %d (%s)", err,
			rota_status_name(err));
	} else {
		start_and_stop(&life, &config);
	}
	ran = atomic_load(&life.ran);
	STRESS_CHECK(run, "exactly-once", ran == life.accepted,
		"round %llu: %llu tasks were accepted, %llu ran", (unsigned long long)round,
		(unsigned long long)life.accepted, (unsigned long long)ran);
	STRESS_CHECK(run, "stop", rota_runtime_self() == NULL && rota_loop_count() == 0,
		"there is a runtime after the stop");
	atomic_fetch_add_explicit(&run->tasks, ran, memory_order_relaxed);
}

/* What a process holds. Mappings may grow a little: allocators have arenas a thread. */
struct holdings {
	unsigned int fds;
	unsigned int threads;
	unsigned int mappings;
};

static unsigned int count_lines(const char *path)
{
	FILE *file = fopen(path, "re");
	unsigned int lines = 0;
	int c;

	if (!file)
		return 0;
	while ((c = getc(file)) != EOF)
		lines += c == '\n';
	fclose(file);
	return lines;
}

static unsigned int count_threads(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	unsigned int threads = 0;
	char line[256];

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, "Threads:", 8) == 0)
			threads = (unsigned int)strtoul(line + 8, NULL, 10);
	}
	fclose(file);
	return threads;
}

static struct holdings holdings_now(void)
{
	return (struct holdings){
		.fds = stress_fd_count(),
		.threads = count_threads(),
		.mappings = count_lines("/proc/self/maps"),
	};
}

static void check_holdings(struct run *run, const struct holdings *before)
{
	struct holdings now = holdings_now();

	/* The kernel takes a moment to forget a joined thread and a closed ring. */
	for (int i = 0; i < 1000 && (now.fds > before->fds || now.threads > before->threads); i++) {
		stress_thread_sleep(ROTA_MILLISECOND);
		now = holdings_now();
	}
	STRESS_CHECK(run, "nothing-leaks", now.fds <= before->fds, "%u descriptors became %u",
		before->fds, now.fds);
	STRESS_CHECK(run, "nothing-leaks", now.threads <= before->threads, "%u threads became %u",
		before->threads, now.threads);
	STRESS_CHECK(run, "nothing-leaks", now.mappings <= before->mappings + 200,
		"%u mappings became %u", before->mappings, now.mappings);
}

static void run_start_stop(struct run *run)
{
	struct holdings before = { 0 };
	uint64_t round = 0;

	stress_clock_start(run);
	for (; round < WARM_UP || stress_more(run, round); round++) {
		if (round == WARM_UP)
			before = holdings_now();
		one_life(run, round);
	}
	if (round > WARM_UP && !run->sim)
		check_holdings(run, &before);
}

const struct scenario scenario_start_stop = {
	.name = "start-stop",
	.text = "start and stop of the runtime in a tight loop, at all times of its life",
	.run = run_start_stop,
	.quota = 2000,
	.flags = STRESS_ROUNDS,
};
