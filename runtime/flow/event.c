/* SPDX-License-Identifier: MIT */
/*
 * The event: a latch (core/latch.h), where the protocol is, that can be cleared.
 *
 * Setting is async-signal-safe: it takes no lock that it could meet held, and wakes by the inbox of
 * the waiter's loop only, as from a foreign thread. Others may wake in a setter's stead, when it
 * came while they had the latch; they are no signal handlers and wake as usual.
 */
#include "flow/sync.h"

static const struct wait_kind event_kind = { .name = "event", .abort = rota__shared_wait_abort };

int rota_event_wait(struct rota_event *public)
{
	struct latch *latch = &event_of(public)->latch;
	struct loop *caller = rota__loop_self();
	struct loop *loop = loop_to_wait(caller);
	struct shared_wait wait;
	struct waiter waiter;
	struct list won;
	int err;

	if (is_cancelled(caller))
		return -ECANCELED;
	if (latch_is_set(latch))
		return 0;
	err = may_wait(caller);
	if (err)
		return err;
	list_init(&won);
	shared_wait_init(loop, &wait, &waiter, &event_kind);
	if (latch_add(latch, &waiter, &won)) {
		if (rota__shared_wait_block(loop, &wait) == WAIT_BY_EVENT)
			return 0;
		latch_leave(latch, &waiter, &won);
		err = -ECANCELED;
	}
	wake_all(caller, &won);
	return err;
}

void rota_event_set(struct rota_event *event)
{
	struct list won;

	list_init(&won);
	latch_set(&event_of(event)->latch, &won);
	wake_all(NULL, &won);
}

void rota_event_clear(struct rota_event *event)
{
	latch_clear(&event_of(event)->latch);
}

int rota_event_is_set(const struct rota_event *event)
{
	return latch_is_set(&((const struct event *)(const void *)event)->latch);
}
