/* SPDX-License-Identifier: MIT */
/*
 * The limit of a group: a FIFO semaphore. A member that ends hands its place to the first spawner
 * that waits, so `live` never goes above the limit and nobody overtakes.
 */
#include <errno.h>

#include "flow/group.h"

static const struct wait_kind limit_kind = {
	.name = "group limit",
	.abort = rota__shared_wait_abort,
};

/* Whether the task is a member of the group, or of a group of a member, and so on. */
static bool is_inside(const struct rota_task *task, const struct group *group)
{
	for (; task; task = task->owner->task)
		if (task->owner == &group->scope)
			return true;
	return false;
}

/* At the limit: waits for a place. */
static int wait_for_place(struct loop *loop, struct group_extra *extra, struct shared_wait *wait,
	struct waiter *waiter)
{
	if (rota__shared_wait_block(loop, wait) == WAIT_BY_EVENT)
		return 0;
	spin_lock(&extra->lock);
	queue_remove(&extra->waiters, waiter);
	spin_unlock(&extra->lock);
	return -ECANCELED;
}

int rota__limit_acquire(struct loop *loop, struct group *group)
{
	struct group_extra *extra = group->extra;
	struct shared_wait wait;
	struct waiter waiter;
	bool waits = false;
	int err = 0;

	if (!extra || !extra->limit)
		return 0;
	shared_wait_init(loop, &wait, &waiter, &limit_kind);
	spin_lock(&extra->lock);
	if (a64_load_relaxed(&extra->live) < extra->limit) {
		a64_count(&extra->live, 1);
	} else if (!loop || is_inside(loop->running, group)) {
		err = -EAGAIN;
	} else if (task_is_cancelled(loop->running)) {
		err = -ECANCELED;
	} else {
		queue_add(&extra->waiters, &waiter);
		waits = true;
	}
	spin_unlock(&extra->lock);
	return waits ? wait_for_place(loop, extra, &wait, &waiter) : err;
}

void rota__limit_release(struct loop *loop, struct group *group)
{
	struct group_extra *extra = group->extra;
	struct waiter *next;

	if (!extra || !extra->limit)
		return;
	spin_lock(&extra->lock);
	next = queue_claim_first(loop, &extra->waiters);
	if (!next)
		a64_count(&extra->live, (uint64_t)-1);
	spin_unlock(&extra->lock);
	if (next)
		rota__shared_wait_wake(loop, next->wait);
}
