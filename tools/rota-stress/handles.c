/* SPDX-License-Identifier: MIT */
/*
 * Handles: many awaiters of one task, tasks on several loops and plain threads; cancels through the
 * handle; released at random times by whoever used it last, before or after the task's end, or
 * left to the group. Every await gets the task's own status.
 */
#include "scenarios.h"

#include <pthread.h>

#define TARGETS	      100
#define AWAITERS      6
#define PLAIN_THREADS 2

/* Who gives the handle back. */
enum release {
	RELEASE_AT_ONCE, /* the spawner, with nobody awaiting */
	RELEASE_BY_LAST,
	RELEASE_NEVER, /* the group's close */
	RELEASES,
};

struct handles;

struct target {
	struct handles *handles;
	struct rota_task *task;
	uint64_t seed;
	int status;
	enum release release;
	_Atomic(uint32_t) users;
	_Atomic(uint32_t) ran;
};

struct handles {
	struct run *run;
	struct target targets[TARGETS];
	_Atomic(uint32_t) threads_done;
	uint64_t pass;
};

static int target_run(void *arg)
{
	struct target *target = arg;
	struct prng prng = prng_of(target->seed, 7);

	atomic_fetch_add_explicit(&target->ran, 1, memory_order_relaxed);
	if (prng_once_in(&prng, 3))
		stress_busy(target->handles->run, prng_ns(&prng, 20 * ROTA_MICROSECOND));
	else
		(void)rota_sleep(prng_ns(&prng, 300 * ROTA_MICROSECOND));
	return target->status;
}

static void done_with(struct target *target)
{
	if (atomic_fetch_sub(&target->users, 1) == 1 && target->release == RELEASE_BY_LAST)
		rota_task_release(target->task);
}

static void await_target(struct target *target, struct prng *prng)
{
	struct run *run = target->handles->run;
	enum rota_task_state state;
	int status = 4711;
	int err;

	if (prng_once_in(prng, 16))
		rota_task_cancel(target->task, NULL);
	err = rota_task_await(target->task, &status);
	STRESS_CHECK(run, "await", err == 0 && status == target->status,
		"an await gives %d and status %d instead of %d", err, status, target->status);
	state = rota_task_state(target->task);
	STRESS_CHECK(run, "task-state", state == ROTA_TASK_DONE, "an ended task is %s",
		rota_task_state_name(state));
	done_with(target);
}

static int awaiter_run(void *arg)
{
	struct target *target = arg;
	struct prng prng = prng_of(target->seed, 8);

	await_target(target, &prng);
	return 0;
}

/* Awaits every target that is not released at once, in an order of its own. */
static void *thread_run(void *arg)
{
	struct handles *handles = arg;
	struct prng prng = prng_of(handles->run->seed + handles->pass, 9);
	uint64_t start = prng_below(&prng, TARGETS);

	for (uint64_t i = 0; i < TARGETS; i++) {
		struct target *target = &handles->targets[(start + i) % TARGETS];

		if (target->release != RELEASE_AT_ONCE)
			await_target(target, &prng);
	}
	atomic_fetch_add(&handles->threads_done, 1);
	return NULL;
}

/* All end well: an error would cancel the others, and this is about handles. */
static int spawn_target(struct target *target, struct rota_group *group, struct prng *prng)
{
	struct rota_spawn_options options = stress_on_loop(prng_loop(prng));
	int err;

	if (prng_once_in(prng, 2))
		options = (struct rota_spawn_options){ 0 };
	target->seed = prng_next(prng);
	target->status = (int)prng_below(prng, 1000);
	target->release = (enum release)prng_below(prng, RELEASES);
	err = rota_group_spawn_with(group, target_run, target, &target->task, &options);
	STRESS_CHECK(target->handles->run, "spawn-works", !err, "a spawn gives %d", err);
	return err;
}

static void spawn_awaiters(struct target *target, struct rota_group *group, struct prng *prng)
{
	uint32_t count = (uint32_t)prng_below(prng, AWAITERS);

	for (uint32_t i = 0; i < count; i++) {
		struct rota_spawn_options options = stress_on_loop(prng_loop(prng));

		/* Counted before it can end; the spawner holds one itself until then. */
		atomic_fetch_add(&target->users, 1);
		if (rota_group_spawn_with(group, awaiter_run, target, NULL, &options) != 0)
			done_with(target);
	}
}

static void start_threads(struct handles *handles, pthread_t *threads, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (pthread_create(&threads[i], NULL, thread_run, handles) != 0)
			abort();
	}
}

/* Not by joining alone: that would block the loop that the threads wait for. */
static void join_threads(struct handles *handles, pthread_t *threads, uint32_t count)
{
	while (atomic_load(&handles->threads_done) < count)
		(void)rota_sleep(100 * ROTA_MICROSECOND);
	for (uint32_t i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

static void check_targets(struct handles *handles)
{
	for (size_t i = 0; i < TARGETS; i++) {
		uint32_t ran = atomic_load(&handles->targets[i].ran);

		STRESS_CHECK(handles->run, "exactly-once", ran == 1, "a target ran %u times", ran);
	}
	atomic_fetch_add(&handles->run->tasks, TARGETS);
}

static void one_pass(struct handles *handles)
{
	struct prng prng = prng_of(handles->run->seed, handles->pass);
	uint32_t thread_count = handles->run->sim ? 0 : PLAIN_THREADS;
	pthread_t threads[PLAIN_THREADS];
	struct rota_group awaiters;
	struct rota_group targets;

	rota_group_open(&targets, NULL);
	for (size_t i = 0; i < TARGETS; i++) {
		struct target *target = &handles->targets[i];

		target->handles = handles;
		atomic_store(&target->users, 1 + thread_count);
		if (spawn_target(target, &targets, &prng) != 0)
			abort();
	}
	start_threads(handles, threads, thread_count);
	rota_group_open(&awaiters, NULL);
	for (size_t i = 0; i < TARGETS; i++) {
		struct target *target = &handles->targets[i];

		if (prng_once_in(&prng, 8))
			(void)rota_sleep(prng_ns(&prng, 20 * ROTA_MICROSECOND));
		if (target->release == RELEASE_AT_ONCE)
			rota_task_release(target->task);
		else
			spawn_awaiters(target, &awaiters, &prng);
		done_with(target);
	}
	STRESS_CHECK(handles->run, "group-close", rota_group_close(&awaiters, 0) == 0,
		"the awaiters' group does not close with 0");
	join_threads(handles, threads, thread_count);
	STRESS_CHECK(handles->run, "group-close", rota_group_close(&targets, 0) == 0,
		"the targets' group does not close with 0");
	check_targets(handles);
}

static int handles_main(void *arg)
{
	struct run *run = arg;
	struct handles *handles = stress_alloc(1, sizeof(*handles));
	uint64_t pass = 0;

	for (; stress_more(run, atomic_load(&run->tasks)); pass++) {
		memset(handles, 0, sizeof(*handles));
		handles->run = run;
		handles->pass = pass;
		one_pass(handles);
	}
	free(handles);
	return 0;
}

static void run_handles(struct run *run)
{
	(void)stress_main_task(run, handles_main, run);
}

const struct scenario scenario_handles = {
	.name = "handles",
	.text = "many awaiters of one task, on loops and plain threads; releases at random times",
	.run = run_handles,
	.quota = 20000,
};
