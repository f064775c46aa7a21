/* SPDX-License-Identifier: MIT */
/*
 * The birth of a task and the end of its block, inline: a spawn is some tens of nanoseconds in all,
 * and each call in between would be a tenth of it.
 */
#ifndef ROTA_CORE_CREATE_H
#define ROTA_CORE_CREATE_H

#include <errno.h>

#include "core/runtime.h"

/* The slow halves (core/blocks.c, core/task.c, core/schedule.c). */
struct rota_task *rota__block_get_slow(struct loop *loop, struct rota_runtime *rt);
void rota__block_put_slow(struct loop *loop, struct rota_runtime *rt, struct rota_task *task);
int rota__task_dress(struct rota_task *task, const struct task_plan *plan);
uint64_t rota__task_id_of_thread(struct rota_runtime *rt);
void rota__task_schedule_slow(struct loop *loop, struct rota_runtime *rt, struct rota_task *task);
void rota__task_answer_request(struct loop *loop);
void rota__task_extra_free(struct rota_task *task);

#define BLOCK_CACHE_MAX 512 /* blocks; above it half goes to the depot */

static inline struct rota_task *block_get(struct loop *loop, struct rota_runtime *rt)
{
	struct rota_task *task;

	if (unlikely(!loop || !loop->free_tasks))
		return rota__block_get_slow(loop, rt);
	task = loop->free_tasks;
	loop->free_tasks = task->joiner;
	loop->free_task_count--;
	return task;
}

static inline void block_put(struct loop *loop, struct rota_runtime *rt, struct rota_task *task)
{
	if (unlikely(!loop || loop->free_task_count >= BLOCK_CACHE_MAX)) {
		rota__block_put_slow(loop, rt, task);
		return;
	}
	task->joiner = loop->free_tasks;
	loop->free_tasks = task;
	loop->free_task_count++;
}

/* Drops one reference; the last one frees the block. */
static inline void task_unref(struct loop *loop, struct rota_runtime *rt, struct rota_task *task)
{
	/* Pairs with: itself. The last holder sees what the others did with the block. */
	if (unlikely(a32_load_acquire(&task->refs) != 1) &&
		a32_add_acq_rel(&task->refs, (uint32_t)-1) != 1)
		return;
	if (unlikely(aptr_load_relaxed(&task->extra) != NULL))
		rota__task_extra_free(task);
	block_put(loop, rt, task);
}

/* A block's first words; without an id, and bound to no loop. */
static ROTA__ALWAYS_INLINE void task_init(struct rota_task *task, const char *site,
	rota_task_fn *fn, void *arg, struct scope *owner, uint32_t flags)
{
	task->fn = fn;
	task->arg = arg;
	task->owner = owner;
	task->fiber = NULL;
	aptr_store_relaxed(&task->loop, NULL);
	a32_store_relaxed(&task->state, ROTA_TASK_CREATED);
	a32_store_relaxed(&task->flags, flags);
	task->joiner = NULL;
	aptr_store_relaxed(&task->waiters, NULL);
	task->site = site;
	aptr_store_relaxed(&task->extra, NULL);
	task->status = 0;
	a32_store_relaxed(&task->refs, 1);
}

/* The number of a task that is spawned on this loop. */
static ROTA__ALWAYS_INLINE uint64_t task_next_id(struct loop *loop)
{
	uint64_t id = loop->next_id;

	loop->next_id = id + loop->id_step;
	a64_count(&loop->counters.spawned, 1);
	return id;
}

/*
 * Makes a task in CREATED, or -ENOMEM. loop: the caller's, NULL on a plain thread. On success the
 * caller links it into its group, then calls task_schedule().
 */
static ROTA__ALWAYS_INLINE int task_create(struct loop *loop, struct rota_runtime *rt,
	const struct task_plan *plan, struct rota_task **ret_task)
{
	struct rota_task *task = block_get(loop, rt);
	uint32_t flags = plan->stack_class << TASK_STACK_SHIFT;

	if (unlikely(!task))
		return -ENOMEM;
	flags |= plan->handle ? TASK_HANDLE : 0;
	flags |= plan->bound ? TASK_BOUND : 0;
	flags |= plan->linked ? TASK_LINKED : 0;
	flags |= plan->cancelled ? TASK_CANCELLED : 0;
	flags |= plan->arg_bytes ? TASK_ARG_COPY : 0;
	task_init(task, plan->site, plan->fn, plan->arg, plan->owner, flags);
	aptr_store_relaxed(&task->loop, plan->bound);
	task->id = likely(loop != NULL) ? task_next_id(loop) : rota__task_id_of_thread(rt);
	if (unlikely(plan->arg_bytes || plan->name || plan->locals) &&
		rota__task_dress(task, plan)) {
		block_put(loop, rt, task);
		return -ENOMEM;
	}
	*ret_task = task;
	return 0;
}

/* CREATED -> SCHEDULED: makes it runnable. The caller may not touch it any more. */
static ROTA__ALWAYS_INLINE void task_schedule(
	struct loop *loop, struct rota_runtime *rt, struct rota_task *task)
{
	task_state_set(loop, task, ROTA_TASK_SCHEDULED);
	if (unlikely(!loop || task_loop(task) || !deque_push(&loop->fresh, task)))
		rota__task_schedule_slow(loop, rt, task);
	else if (unlikely(deque_asked(&loop->fresh)))
		rota__task_answer_request(loop);
}

#endif
