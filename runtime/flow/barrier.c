/* SPDX-License-Identifier: MIT */
/*
 * The barrier: a count and a queue of those who are there, under a spin lock.
 *
 * The last to come claims all others and opens the barrier: 0 for them, 1 for itself. Each round
 * ends for all in the same way: when one of them cannot be claimed, because a cancel was there
 * first, the barrier is broken for all, the last included (-EPIPE), though they were complete. The
 * results are written between claim and wake, when it is known which it is.
 *
 *	A and B wait. A is cancelled, by its loop: claimed
 *	C comes: claims B, cannot claim A: broken; -EPIPE for B and C	A runs: out already
 * or	A runs before that: takes itself out, breaks it: -EPIPE for B	C comes: -EPIPE
 *
 * Nobody who was woken touches the barrier again, and who opens or breaks it does not after the
 * unlock: it may be gone as soon as all calls have returned.
 */
#include "base/spin.h"
#include "flow/sync.h"

struct barrier {
	struct spin lock;
	uint32_t parties; /* L(lock), as all below */
	uint32_t count;	  /* who wait */
	bool broken;	  /* until the next init */
	struct wait_queue queue;
	uint64_t unused;
};

_Static_assert(sizeof(struct barrier) == sizeof(struct rota_barrier), "fits the public struct");

static const struct wait_kind barrier_kind = {
	.name = "barrier",
	.abort = rota__shared_wait_abort,
};

static struct barrier *barrier_of(struct rota_barrier *barrier)
{
	return (struct barrier *)(void *)barrier;
}

void rota_barrier_init(struct rota_barrier *barrier, uint32_t parties)
{
	*barrier_of(barrier) = (struct barrier){ .parties = parties };
}

/* All who wait, into `won`, to be woken with -EPIPE. L(lock). */
static void break_it(struct loop *loop, struct barrier *barrier, struct list *won)
{
	barrier->broken = true;
	barrier->count = 0;
	queue_claim_all(loop, &barrier->queue, won, -EPIPE);
}

/* The last one is here: 1, or -EPIPE. L(lock). */
static int open_it(struct loop *loop, struct barrier *barrier, struct list *won)
{
	struct waiter *waiter;

	while ((waiter = queue_first(&barrier->queue))) {
		queue_remove(&barrier->queue, waiter);
		if (waiter_claim(loop, waiter)) {
			waiter->result = 0;
			list_add_tail(won, &waiter->list);
		} else {
			barrier->broken = true;
		}
	}
	barrier->count = 0;
	if (likely(!barrier->broken))
		return 1;
	rota__list_for_each_safe(node, next, won)
		container_of(node, struct waiter, list)->result = -EPIPE;
	return -EPIPE;
}

/* The caller is cancelled: the others will not meet it. waiter: where it stands, or NULL. */
static int leave(struct loop *loop, struct barrier *barrier, struct waiter *waiter)
{
	struct list won;

	list_init(&won);
	spin_lock(&barrier->lock);
	if (waiter)
		queue_remove(&barrier->queue, waiter);
	if (barrier->parties)
		break_it(loop, barrier, &won);
	spin_unlock(&barrier->lock);
	wake_all(loop, &won);
	return -ECANCELED;
}

/* 1: the waiter stands in line. Else what the call returns is in *ret_result. */
static bool queue_or_open(
	struct loop *caller, struct barrier *barrier, struct waiter *waiter, int *ret_result)
{
	struct list won;
	int result = 0;

	list_init(&won);
	spin_lock(&barrier->lock);
	if (!barrier->parties)
		result = -EINVAL;
	else if (barrier->broken)
		result = -EPIPE;
	else if (barrier->count + 1 == barrier->parties)
		result = open_it(caller, barrier, &won);
	else
		result = may_wait(caller);
	if (!result) {
		queue_add(&barrier->queue, waiter);
		barrier->count++;
	}
	spin_unlock(&barrier->lock);
	wake_all(caller, &won);
	*ret_result = result;
	return !result;
}

int rota_barrier_wait(struct rota_barrier *public)
{
	struct barrier *barrier = barrier_of(public);
	struct loop *caller = rota__loop_self();
	struct loop *loop = loop_to_wait(caller);
	struct shared_wait wait;
	struct waiter waiter;
	int result;

	if (is_cancelled(caller))
		return leave(caller, barrier, NULL);
	shared_wait_init(loop, &wait, &waiter, &barrier_kind);
	if (!queue_or_open(caller, barrier, &waiter, &result))
		return result;
	if (rota__shared_wait_block(loop, &wait) == WAIT_BY_EVENT)
		return waiter.result;
	return leave(caller, barrier, &waiter);
}
