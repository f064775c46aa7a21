/* SPDX-License-Identifier: MIT */
/*
 * The future: a status behind a latch (core/latch.h), where the protocol is.
 *
 * The set that wins `claimed` writes the status and sets the latch; the others have nothing to do
 * with it. The future may lie in a waiter's frame: a wait or a poll says that it is set only once
 * the latch is let go (latch_is_set()), which is the last touch of it by whoever had it, be it the
 * setter or a caller that wakes in its stead. The wakes come after that and touch the waits only.
 *
 *	S: claimed, status, SET			S: a signal handler, on the thread of H
 *	W: sees SET without LOCK: goes		H: has the latch: lets go, finds SET, wakes all
 */
#include "flow/sync.h"

static const struct wait_kind future_kind = { .name = "future", .abort = rota__shared_wait_abort };

int rota_future_set(struct rota_future *public, int status)
{
	struct future *future = future_of(public);
	uint32_t none = 0;
	struct list won;

	/* Pairs with: itself. One set wins. */
	if (!a32_cas_acq_rel(&future->claimed, &none, 1))
		return -EALREADY;
	future->status = status;
	list_init(&won);
	latch_set(&future->latch, &won);
	/* NULL: this may be a signal handler. */
	wake_all(NULL, &won);
	return 0;
}

static int wait_set(struct loop *caller, struct future *future)
{
	struct loop *loop = loop_to_wait(caller);
	struct shared_wait wait;
	struct waiter waiter;
	struct list won;
	int err = may_wait(caller);

	if (err)
		return err;
	list_init(&won);
	shared_wait_init(loop, &wait, &waiter, &future_kind);
	if (latch_add(&future->latch, &waiter, &won)) {
		if (rota__shared_wait_block(loop, &wait) == WAIT_BY_EVENT)
			return 0;
		latch_leave(&future->latch, &waiter, &won);
		err = -ECANCELED;
	}
	wake_all(caller, &won);
	return err;
}

int rota_future_wait(struct rota_future *public, int *ret_status)
{
	struct future *future = future_of(public);
	struct loop *loop = rota__loop_self();
	int err;

	if (is_cancelled(loop))
		return -ECANCELED;
	err = latch_is_set(&future->latch) ? 0 : wait_set(loop, future);
	if (!err && ret_status)
		*ret_status = future->status;
	return err;
}

int rota_future_poll(struct rota_future *public, int *ret_status)
{
	struct future *future = future_of(public);

	if (!latch_is_set(&future->latch))
		return -EAGAIN;
	if (ret_status)
		*ret_status = future->status;
	return 0;
}
