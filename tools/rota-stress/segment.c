/* SPDX-License-Identifier: MIT */
/* A running segment of a task and what has to be true at its two ends. */
#include "segment.h"

#include <stdalign.h>
#include <unistd.h>

#define LOOPS_MAX 256

/* The task that runs on a loop; 0: none. Relaxed, so that no order of ours hides a race. */
static struct {
	alignas(128) _Atomic(uint64_t) task;
} marker[LOOPS_MAX];

void segment_reset(void)
{
	for (size_t i = 0; i < LOOPS_MAX; i++)
		atomic_store_explicit(&marker[i].task, 0, memory_order_relaxed);
}

/* Not pthread_self(): that is declared const, so compilers keep it over a suspend. */
long segment_thread(void)
{
	return (long)gettid();
}

/* Not inlined: a compiler may keep the address in a register over a suspend (design, L2). */
__attribute__((noinline)) static const void *errno_cell(void)
{
	__asm__ volatile("" ::: "memory");
	return &errno;
}

static void mark(struct segment *segment)
{
	uint64_t other;
	uint32_t running;

	running = atomic_exchange_explicit(&segment->running, 1, memory_order_relaxed);
	STRESS_CHECK(segment->run, "one-loop-a-task", running == 0,
		"task %llu runs on loop %d while it runs elsewhere",
		(unsigned long long)segment->task, segment->loop);
	other = atomic_exchange_explicit(
		&marker[segment->loop].task, segment->task, memory_order_relaxed);
	STRESS_CHECK(segment->run, "one-runner-a-loop", other == 0,
		"task %llu starts to run on loop %d while task %llu runs there",
		(unsigned long long)segment->task, segment->loop, (unsigned long long)other);
}

void segment_start(struct segment *segment, struct run *run)
{
	segment->run = run;
	segment->task = rota_task_id(rota_task_self());
	segment->loop = rota_loop_self();
	segment->thread = segment_thread();
	segment->errno_cell = errno_cell();
	atomic_init(&segment->running, 0);
	if (segment->loop < 0 || segment->loop >= LOOPS_MAX) {
		stress_broken(run, "loop-number", "a task runs on loop %d", segment->loop);
		segment->loop = LOOPS_MAX - 1;
	}
	STRESS_CHECK(run, "task-state", rota_task_state(rota_task_self()) == ROTA_TASK_RUNNING,
		"a running task's state is %s",
		rota_task_state_name(rota_task_state(rota_task_self())));
	mark(segment);
}

void segment_leave(struct segment *segment)
{
	uint64_t other;

	other = atomic_exchange_explicit(&marker[segment->loop].task, 0, memory_order_relaxed);
	STRESS_CHECK(segment->run, "one-runner-a-loop", other == segment->task,
		"task %llu ran on loop %d and finds the mark of task %llu",
		(unsigned long long)segment->task, segment->loop, (unsigned long long)other);
	atomic_store_explicit(&segment->running, 0, memory_order_relaxed);
}

void segment_back(struct segment *segment)
{
	long thread = segment_thread();
	int loop = rota_loop_self();

	STRESS_CHECK(segment->run, "tied-stays", thread == segment->thread,
		"task %llu went from thread %ld to thread %ld", (unsigned long long)segment->task,
		segment->thread, thread);
	STRESS_CHECK(segment->run, "tied-stays", loop == segment->loop,
		"task %llu went from loop %d to loop %d", (unsigned long long)segment->task,
		segment->loop, loop);
	STRESS_CHECK(segment->run, "tied-stays", errno_cell() == segment->errno_cell,
		"task %llu has another errno after a suspend", (unsigned long long)segment->task);
	if (loop >= 0 && loop < LOOPS_MAX)
		segment->loop = loop;
	mark(segment);
}

void segment_end(struct segment *segment)
{
	segment_leave(segment);
}

int segment_sleep(struct segment *segment, int64_t ns)
{
	int status;

	segment_leave(segment);
	status = rota_sleep(ns);
	segment_back(segment);
	return status;
}

int segment_yield(struct segment *segment)
{
	int status;

	segment_leave(segment);
	status = rota_yield();
	segment_back(segment);
	return status;
}

int segment_await(struct segment *segment, struct rota_task *task, int *ret_status)
{
	int status;

	segment_leave(segment);
	status = rota_task_await(task, ret_status);
	segment_back(segment);
	return status;
}

int segment_spawn(struct segment *segment, struct rota_group *group, rota_task_fn *fn, void *arg,
	struct rota_task **ret_task, const struct rota_spawn_options *options)
{
	int status;

	segment_leave(segment);
	status = rota_group_spawn_with(group, fn, arg, ret_task, options);
	segment_back(segment);
	return status;
}

int segment_wait(struct segment *segment, struct rota_group *group)
{
	int status;

	segment_leave(segment);
	status = rota_group_wait(group);
	segment_back(segment);
	return status;
}

int segment_close(struct segment *segment, struct rota_group *group, int status)
{
	segment_leave(segment);
	status = rota_group_close(group, status);
	segment_back(segment);
	return status;
}
