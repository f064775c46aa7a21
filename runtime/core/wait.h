/* SPDX-License-Identifier: MIT */
/*
 * What a suspended task waits for. It lies in the waiting task's frame.
 *
 * A wait whose only sources are its own loop's (timer, op, cancel: a cancel always comes by the
 * inbox of the task's loop) needs no claim: struct wait. One that another loop or thread can fire
 * has one: struct shared_wait; a plain thread may wait on it as well.
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
	int result;		/* 0 or -ECANCELED: written by who wakes */
};

/* Sources of a claim. A select numbers its cases from WAIT_BY_CASE. */
enum wait_source {
	WAIT_BY_EVENT = 1, /* what was waited for has come */
	WAIT_BY_CANCEL = 2,
	WAIT_BY_CASE = 3,
};

/* A wait that other loops and threads can fire. */
struct shared_wait {
	struct wait wait;
	struct claim claim;
	struct a32 woken; /* a plain thread sleeps here until it is 1 */
	bool single;	  /* I: it hangs in one queue only, under one lock */
};

/*
 * A place in a queue: a shared wait hangs one into each object that it waits for, a select several.
 * Linked, unlinked and fired under the object's lock only (C2).
 */
struct waiter {
	struct list list;
	struct shared_wait *wait;
	void *value;	 /* the object's: an item to send, where one goes */
	uint32_t source; /* what the claim says when this one has fired */
	uint32_t count;	 /* the object's */
	int result;	 /* the object's; written between claim and wake */
};

/* For wait_kind.abort of a shared wait that is a cancellation point: claims it for the cancel. */
void rota__shared_wait_abort(struct loop *loop, struct wait *wait);

/*
 * Waits until a source has claimed the wait: which one. The waiter was linked, under the object's
 * lock, which is free again. On WAIT_BY_CANCEL the caller takes its waiters out of their queues.
 * loop: the caller's with a running task, or NULL on a plain thread.
 */
uint32_t rota__shared_wait_block(struct loop *loop, struct shared_wait *wait);

/* The same for a plain thread, which at when_ns claims the wait for `source` itself. */
uint32_t rota__shared_wait_block_until(struct shared_wait *wait, int64_t when_ns, uint32_t source);

/*
 * Wakes the waiter after its claim was won: a task through its loop, a thread by futex. The last
 * touch of the wait. loop: the caller's, NULL on a plain thread and where the caller may be a
 * signal handler: then nothing of any loop is touched but its inbox.
 */
void rota__shared_wait_wake(struct loop *loop, struct shared_wait *wait);

#endif
