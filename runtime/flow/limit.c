/* SPDX-License-Identifier: MIT */
/*
 * The limit of a group: a FIFO semaphore. A member that ends hands its place to the first spawner
 * that waits, so `live` never goes above the limit and nobody overtakes.
 */
#include <errno.h>

#include "flow/group.h"

static void limit_abort(struct loop *loop, struct wait *wait)
{
	if (claim_take(&wait->claim, WAIT_BY_CANCEL))
		rota__loop_ready(loop, wait->task);
}

static const struct wait_kind limit_kind = { .name = "group limit", .abort = limit_abort };

/* Whether the task is a member of the group, or of a group of a member, and so on. */
static bool is_inside(const struct rota_task *task, const struct group *group)
{
	for (; task; task = task->owner->task)
		if (task->owner == &group->owner)
			return true;
	return false;
}

/* At the limit: waits for a place. */
static int wait_for_place(struct loop *loop, struct group_extra *extra, struct shared_wait *wait)
{
	rota__task_suspend(loop, &wait->wait);
	if (claim_winner(&wait->wait.claim) == WAIT_BY_EVENT)
		return 0;
	spin_lock(&extra->lock);
	list_remove(&wait->list);
	spin_unlock(&extra->lock);
	return -ECANCELED;
}

int rota__limit_acquire(struct loop *loop, struct group *group)
{
	struct group_extra *extra = group->extra;
	struct shared_wait wait = { .wait = { .kind = &limit_kind } };
	int err = 0;

	if (!extra || !extra->limit)
		return 0;
	spin_lock(&extra->lock);
	if (a64_load_relaxed(&extra->live) < extra->limit) {
		a64_count(&extra->live, 1);
	} else if (!loop || is_inside(loop->running, group)) {
		err = -EAGAIN;
	} else if (task_is_cancelled(loop->running)) {
		err = -ECANCELED;
	} else {
		wait.wait.task = loop->running;
		list_add_tail(&extra->waiters, &wait.list);
	}
	spin_unlock(&extra->lock);
	if (!wait.wait.task)
		return err;
	return wait_for_place(loop, extra, &wait);
}

void rota__limit_release(struct loop *loop, struct group *group)
{
	struct group_extra *extra = group->extra;
	struct shared_wait *next = NULL;

	if (!extra || !extra->limit)
		return;
	spin_lock(&extra->lock);
	while (!next && !list_empty(&extra->waiters)) {
		struct shared_wait *wait =
			container_of(extra->waiters.next, struct shared_wait, list);

		/* One that was cancelled is on its way to unlink itself: it stays harmless. */
		list_remove(&wait->list);
		if (claim_take(&wait->wait.claim, WAIT_BY_EVENT))
			next = wait;
	}
	if (!next)
		a64_count(&extra->live, (uint64_t)-1);
	spin_unlock(&extra->lock);
	if (next)
		rota__shared_wait_wake(loop, next);
}
