/* SPDX-License-Identifier: MIT */
/* What the tests from outside share: a started runtime, and plain threads beside it. */
#ifndef ROTA_TESTS_OUTSIDE_H
#define ROTA_TESTS_OUTSIDE_H

#include <sched.h>

#include "select.h"

static inline struct rota_runtime *start(void)
{
	struct rota_config config = UNIT_CONFIG;
	struct rota_runtime *rt = NULL;

	if (getenv("ROTA_LOOPS"))
		config.loops = 0;
	cr_assert_eq(rota_start(&rt, &config), 0);
	return rt;
}

static inline void stop(struct rota_runtime *rt)
{
	cr_expect_eq(rota_stop(rt), 0);
	report_failures();
}

static inline pthread_t thread_start(void *(*fn)(void *arg), void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, fn, arg))
		abort();
	return thread;
}

/* wait_cell() and wait_state() of a thread. */
static inline void thread_wait_cell(struct a32 *cell, uint32_t value)
{
	while (a32_load_acquire(cell) != value)
		sched_yield();
}

static inline void thread_wait_waiting(const struct rota_task *task)
{
	while (rota_task_state(task) != ROTA_TASK_SUSPENDED)
		sched_yield();
}

static inline struct rota_task *thread_spawn_at(
	struct rota_runtime *rt, uint32_t place, rota_task_fn *fn, void *arg)
{
	const struct rota_spawn_options there = {
		.flags = ROTA_SPAWN_ON_LOOP,
		.loop = place % rota_loop_count(),
	};
	struct rota_task *task = NULL;

	EXPECT_EQ(rota_runtime_spawn(rt, fn, arg, &task, &there), 0);
	return task;
}

/* Awaits the task and gives its handle back. */
static inline int thread_join_task(struct rota_task *task)
{
	int status = UNTOUCHED;

	EXPECT_EQ(rota_task_await(task, &status), 0);
	rota_task_release(task);
	return status;
}

#endif
