/* SPDX-License-Identifier: MIT */
/*
 * Cancelling a task. Level-triggered and for good: from the mark on, each suspending call of the
 * task returns -ECANCELED; the one it is in is cut short.
 *
 * Where the task runs is known for sure only on its own loop, and whether it has started only
 * there or on the loop of its group (its home). So a cancel travels: any thread -> home -> the
 * task's loop, each step by that loop's inbox, and what touches the wait of a task is always the
 * thread that runs it. Nothing on the paths of spawn, start and suspend pays for it, but for a
 * fence when a task starts away from its home:
 *
 *	home:		  mark, fence, read task->loop
 *	the task's loop:  write task->loop, fence, read the mark
 *
 * Either the home sees where it runs and sends the cancel on, or the start sees the mark, or both:
 * striking a task twice is harmless. What a cancel does there is in core/scope.h.
 *
 * The message is in the task's block, once in its life (TASK_CANCEL_SENT), and holds a reference.
 */
#include <stdio.h>
#include <string.h>

#include "core/create.h"

static struct spin reason_lock; /* the first one stays */

void rota__task_reason_set(struct rota_task *task, const char *reason)
{
	struct task_extra *extra = reason && reason[0] ? rota__task_extra(task) : NULL;

	if (!extra)
		return;
	spin_lock(&reason_lock);
	if (!a32_load_relaxed(&extra->has_reason)) {
		snprintf(extra->cancel_reason, sizeof(extra->cancel_reason), "%s", reason);
		/* Pairs with: who reads it: here and in core/scope.c. */
		a32_store_release(&extra->has_reason, 1);
	}
	spin_unlock(&reason_lock);
}

void rota__task_cancel_reason(const struct rota_task *task, char reason[64])
{
	/* Pairs with: rota__task_extra(). */
	const struct task_extra *extra = aptr_load_acquire(&task->extra);

	reason[0] = '\0';
	/* Pairs with: rota__task_reason_set(). */
	if (extra && a32_load_acquire(&extra->has_reason))
		memcpy(reason, extra->cancel_reason, sizeof(extra->cancel_reason));
}

/* Sends the task's cancel message to a loop, the first time. */
static void cancel_send(struct loop *loop, struct loop *to, struct rota_task *task)
{
	/* Pairs with: itself. Whoever sets the flag owns cancel_link. */
	if (a32_or_acq_rel(&task->flags, TASK_CANCEL_SENT) & TASK_CANCEL_SENT)
		return;
	a32_add_relaxed(&task->refs, 1);
	rota__loop_send(loop, to, &task->cancel_link, INBOX_CANCEL);
}

void rota__task_cancel(struct loop *loop, struct rota_task *task, const char *reason)
{
	if (task_has_ended(task))
		return;
	rota__task_reason_set(task, reason);
	/* Pairs with: the look at TASK_BY_ITSELF when a member fails. */
	a32_or_acq_rel(&task->flags, TASK_BY_ITSELF);
	cancel_send(loop, task->owner->home, task);
}

void rota__task_interrupt(struct loop *loop, struct rota_task *task)
{
	struct wait *wait = task->fiber->wait;

	if (wait && wait->kind->abort)
		wait->kind->abort(loop, wait);
}

void rota__task_cancel_member(struct loop *home, struct rota_task *task, const char *reason)
{
	struct loop *where;

	if (task_has_ended(task))
		return;
	rota__task_reason_set(task, reason);
	/* Pairs with: the fence where a task starts (core/loop.c). Mark before look. */
	a32_or_acq_rel(&task->flags, TASK_CANCELLED);
	fence_after_rmw();
	where = task_loop(task);
	if (where && where != home)
		cancel_send(home, where, task);
	else if (where && task->fiber && task->fiber->scopes)
		cancel_send(home, home, task); /* not by recursion: a tree may be deep */
	else if (where && task->fiber)
		rota__task_strike(home, task);
}

void rota__task_cancel_arrived(struct loop *loop, struct rota_task *task)
{
	struct loop *where;

	if (task_has_ended(task))
		goto done;
	/* Pairs with: the fence where a task starts (core/loop.c). Mark before look. */
	a32_or_acq_rel(&task->flags, TASK_CANCELLED);
	fence_after_rmw();
	where = task_loop(task);
	if (where && where != loop) {
		/* Home is not where it runs: on to there, with the reference. */
		rota__loop_send(loop, where, &task->cancel_link, INBOX_CANCEL);
		return;
	}
	if (where && task->fiber)
		rota__task_strike(loop, task);
done:
	task_unref(loop, loop->rt, task);
}

void rota_task_cancel(struct rota_task *task, const char *reason)
{
	struct loop *loop = rota__loop_self();

	if (task && rota__runtime())
		rota__task_cancel(loop, task, reason);
}
