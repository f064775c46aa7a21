/* SPDX-License-Identifier: MIT */
/*
 * Awaiting a task. A task of the same loop is waited for through its `joiner`, a plain field that
 * only that loop touches: one waiter, no claim. All others hang a shared wait into `waiters`, a
 * circular list behind one word: the first wait's address, a lock bit, and CLOSED once the task has
 * ended.
 *
 * A shared wait has two sources: the end of the task (any loop) and a cancel of the waiter (its own
 * loop). Whoever takes the claim wakes. The list is unlinked under the lock only: the waiter does
 * it after a cancel, the end for all others. So a wait is linked only while its frame lives, and
 * the end touches a wait that it could not claim only under the lock.
 */
#include <errno.h>

#include "core/queue.h"
#include "core/runtime.h"

struct join_wait {
	struct wait wait;
	struct rota_task *target;
};

static void join_abort(struct loop *loop, struct wait *wait)
{
	struct join_wait *join = container_of(wait, struct join_wait, wait);

	join->target->joiner = NULL;
	wait->result = -ECANCELED;
	rota__loop_ready(loop, wait->task);
}

static const struct wait_kind join_kind = { .name = "task", .abort = join_abort };

static const struct wait_kind shared_kind = { .name = "task", .abort = rota__shared_wait_abort };

/* Locks the word and returns what it held: bits, and the first wait unless CLOSED. */
static uintptr_t waiters_lock(struct rota_task *task)
{
	void *word = aptr_load_relaxed(&task->waiters);

	for (;;) {
		uintptr_t value = (uintptr_t)word & ~WAITERS_LOCK;

		word = (void *)value;
		/* Pairs with: waiters_unlock(). */
		if (aptr_cas_acquire(&task->waiters, &word, (void *)(value | WAITERS_LOCK)))
			return value;
		cpu_relax();
	}
}

static void waiters_unlock(struct rota_task *task, uintptr_t value)
{
	/* Pairs with: waiters_lock(). */
	aptr_store_release(&task->waiters, (void *)value);
}

static struct list *first_wait(uintptr_t value)
{
	return value & WAITERS_CLOSED ? NULL : (struct list *)(value & WAITERS_LIST);
}

bool rota__task_waiters_add(struct rota_task *task, struct waiter *waiter)
{
	uintptr_t value = waiters_lock(task);
	struct list *first = first_wait(value);
	bool ended = value & WAITERS_CLOSED;

	if (first) {
		list_add_tail(first, &waiter->list);
	} else if (!ended) {
		list_init(&waiter->list);
		value |= (uintptr_t)&waiter->list;
	}
	waiters_unlock(task, value);
	return !ended;
}

/* Unlinks a wait: the value after it. L(waiters). */
static uintptr_t unlink_wait(uintptr_t value, struct list *node)
{
	struct list *first = first_wait(value);
	struct list *next = node->next == node ? NULL : node->next;

	list_remove(node);
	return first == node ? (value & ~WAITERS_LIST) | (uintptr_t)next : value;
}

void rota__task_waiters_leave(struct rota_task *task, struct waiter *waiter)
{
	uintptr_t value = waiters_lock(task);

	if (!(value & WAITERS_CLOSED))
		value = unlink_wait(value, &waiter->list);
	waiters_unlock(task, value);
}

/* Somebody waits, or the handle has been given back already. */
static ROTA__NOINLINE bool close_slow(struct loop *loop, struct rota_task *task, uintptr_t closed)
{
	struct list won;
	struct list *node;
	uintptr_t value;

	list_init(&won);
	value = waiters_lock(task);
	while ((node = first_wait(value))) {
		struct waiter *waiter = container_of(node, struct waiter, list);

		value = unlink_wait(value, node);
		/* Claimed: ours until it is woken. Else its task is on its way to unlink it. */
		if (waiter_claim(loop, waiter))
			list_add_tail(&won, node);
	}
	if (value & WAITERS_RELEASED)
		closed = WAITERS_CLOSED | WAITERS_RELEASED;
	waiters_unlock(task, closed);
	rota__list_for_each_safe(at, next, &won)
		rota__shared_wait_wake(loop, container_of(at, struct waiter, list)->wait);
	return closed & WAITERS_KEPT;
}

bool rota__task_waiters_close(struct loop *loop, struct rota_task *task, bool kept)
{
	uintptr_t closed = kept ? WAITERS_CLOSED | WAITERS_KEPT : WAITERS_CLOSED;
	void *none = NULL;

	/* Pairs with: waiters_lock(). Nobody waits: the usual case. */
	if (likely(aptr_cas_acq_rel(&task->waiters, &none, (void *)closed)))
		return kept;
	return close_slow(loop, task, closed);
}

bool rota__task_keep(struct rota_task *task)
{
	/* Pairs with: waiters_unlock() of whoever releases. */
	uintptr_t value = (uintptr_t)aptr_load_acquire(&task->waiters);

	if (value & WAITERS_KEPT)
		return true;
	value = waiters_lock(task);
	if (!(value & WAITERS_RELEASED))
		value |= WAITERS_KEPT;
	waiters_unlock(task, value);
	return value & WAITERS_KEPT;
}

bool rota__task_handle_drop(struct rota_task *task)
{
	uintptr_t value = waiters_lock(task);

	waiters_unlock(task, value | WAITERS_RELEASED);
	return (value & WAITERS_KEPT) && !(value & WAITERS_RELEASED);
}

/* loop: the caller's, or NULL on a plain thread. */
static int await_shared(struct loop *loop, struct rota_task *task)
{
	struct shared_wait wait;
	struct waiter waiter;

	shared_wait_init(loop, &wait, &waiter, &shared_kind);
	if (!rota__task_waiters_add(task, &waiter))
		return 0;
	if (rota__shared_wait_block(loop, &wait) == WAIT_BY_EVENT)
		return 0;
	rota__task_waiters_leave(task, &waiter);
	return -ECANCELED;
}

static int await_on_loop(struct loop *loop, struct rota_task *task)
{
	struct join_wait join = {
		.wait = { .kind = &join_kind, .task = loop->running },
		.target = task,
	};

	if (likely(task == deque_peek_newest(&loop->fresh)) && loop->direct) {
		/* It lies on top of the own queue: straight into it. */
		deque_drop_newest(&loop->fresh);
		task->joiner = loop->running;
		rota__task_suspend_into(loop, &join.wait, task);
		return join.wait.result;
	}
	if (task_loop(task) != loop || task->joiner)
		return await_shared(loop, task);
	task->joiner = loop->running;
	rota__task_suspend(loop, &join.wait);
	return join.wait.result;
}

static int await_anywhere(struct loop *loop, struct rota_task *task)
{
	return likely(loop != NULL) ? await_on_loop(loop, task) : await_shared(NULL, task);
}

/* With ROTA_CONFIG_DEBUG a cycle of waits is looked for first. */
static int await_watched(struct rota_runtime *rt, struct loop *loop, struct rota_task *task)
{
	if (unlikely(rt->config.flags & ROTA_CONFIG_DEBUG))
		return rt->await_watched(loop, task, await_anywhere);
	return await_anywhere(loop, task);
}

/* On a plain thread. The runtime stays while the handle does. */
static int await_on_thread(struct rota_task *task)
{
	struct rota_runtime *rt = rota__runtime();

	return rt ? await_watched(rt, NULL, task) : rota__no_loop();
}

int rota_task_await(struct rota_task *task, int *ret_status)
{
	struct loop *loop = rota__loop_self();
	int err = 0;

	/* A task without a handle may be gone before the wait for it is over. */
	if (!task || !(a32_load_relaxed(&task->flags) & TASK_HANDLE))
		return task && loop && task == loop->running ? -EDEADLK : -EINVAL;
	if (unlikely(!loop || !loop->running)) {
		if (rota__forked() || loop)
			return rota__no_loop();
		err = await_on_thread(task);
	} else if (unlikely(task == loop->running)) {
		return -EDEADLK;
	} else if (unlikely(task_is_cancelled(loop->running))) {
		return -ECANCELED;
	} else if (!task_has_ended(task)) {
		err = await_watched(loop->rt, loop, task);
	}
	if (err)
		return err;
	if (unlikely(task->status < 0) && loop)
		task->owner->ops->awaited(loop, task->owner, task);
	if (ret_status)
		*ret_status = task->status;
	return 0;
}
