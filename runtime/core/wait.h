/* SPDX-License-Identifier: MIT */
/*
 * What a suspended task waits for. It lies in the waiting task's frame.
 *
 * A wait whose only sources are its own loop's (timer, op, cancel: a cancel always comes by the
 * inbox of the task's loop) needs no claim. One that another loop or thread can fire has one.
 */
#ifndef ROTA_CORE_WAIT_H
#define ROTA_CORE_WAIT_H

#include "base/list.h"
#include "core/claim.h"

struct loop;
struct rota_task;
struct wait;

struct wait_kind {
	const char *name; /* "sleep", "read": for dumps */
	/*
	 * The waiting task was cancelled. On its loop. Makes the task ready with result -ECANCELED,
	 * or sees to it that the wait ends soon. NULL: not a cancellation point.
	 */
	void (*abort)(struct loop *loop, struct wait *wait);
};

struct wait {
	const struct wait_kind *kind;
	struct rota_task *task; /* NULL: a plain thread */
	struct claim claim;
	int result; /* 0 or -ECANCELED: written by who wakes */
};

/* A wait that other loops and threads can fire; `list` is linked under its object's lock. */
struct shared_wait {
	struct wait wait;
	struct list list;
	struct a32 woken; /* a plain thread sleeps here until it is 1 */
};

/* Sources of a claim. */
enum wait_source {
	WAIT_BY_EVENT = 1, /* what was waited for has come */
	WAIT_BY_CANCEL = 2,
};

/*
 * Wakes the waiter after its claim was won: a task through its loop, a thread by futex. The last
 * touch of the wait. loop: the caller's, NULL on a plain thread.
 */
void rota__shared_wait_wake(struct loop *loop, struct shared_wait *wait);

#endif
