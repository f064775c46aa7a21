/* SPDX-License-Identifier: MIT */
/*
 * What the objects of rota/sync.h share: who calls, the word with a lock bit, waking; and what
 * select has to know of events and futures.
 */
#ifndef ROTA_FLOW_SYNC_H
#define ROTA_FLOW_SYNC_H

#include <errno.h>
#include <pthread.h>

#include <rota/sync.h>

#include "core/latch.h"
#include "core/queue.h"
#include "core/runtime.h"

/*
 * Who holds a lock or waits for one: the address of a task, or pthread_self() with this bit. A
 * hook on a loop's thread without a running task is a plain thread.
 */
#define WHO_THREAD ((uintptr_t)4)

static inline uintptr_t who_calls(const struct loop *loop)
{
	if (likely(loop && loop->running))
		return (uintptr_t)loop->running;
	return (uintptr_t)pthread_self() | WHO_THREAD;
}

/* NULL: a plain thread, which may not be looked into. */
static inline struct rota_task *who_task(uintptr_t who)
{
	return who & WHO_THREAD ? NULL : (struct rota_task *)who;
}

/*
 * The loop, if its running task can suspend; else NULL, and the caller waits as a thread does. A
 * task that has ended is still `running` while its group's hooks are called.
 */
static inline struct loop *loop_to_wait(struct loop *loop)
{
	return loop && loop->running && loop->running->fiber ? loop : NULL;
}

/* For int calls: whether they have to return -ECANCELED at once. */
static inline bool is_cancelled(struct loop *loop)
{
	return loop_to_wait(loop) && task_is_cancelled(loop->running);
}

/* For int calls that would wait now: 0, or what they return instead. */
static inline int may_wait(struct loop *loop)
{
	if (likely(loop_to_wait(loop) != NULL))
		return 0;
	/* A hook would block its loop; in the child of a fork() nobody is left to wake. */
	return loop || rota__forked() ? rota__no_loop() : 0;
}

/*
 * The word of a mutex, rwlock, semaphore or once: its state in the high bits, and
 *
 *	WORD_LOCK	somebody changes the queue; the word is his, nobody else writes it
 *	WORD_WAITERS	the queue is not empty (while LOCK is free: exactly then)
 *
 * LOCK is held for some instructions, never across a suspend.
 */
#define WORD_WAITERS ((uint64_t)1)
#define WORD_LOCK    ((uint64_t)2)

/* Takes LOCK: the word without it. It is given back by a store-release of the new word. */
static inline uint64_t word_lock(struct a64 *word)
{
	uint64_t value = a64_load_relaxed(word);

	for (;;) {
		if (value & WORD_LOCK) {
			cpu_relax();
			value = a64_load_relaxed(word);
			continue;
		}
		/* Pairs with: the store that lets go. */
		if (a64_cas_acquire(word, &value, value | WORD_LOCK))
			return value;
	}
}

/*
 * The same for a waiter that has to leave because its wait was cancelled. False: somebody has taken
 * it out of the queue already, and has let go of LOCK.
 */
static inline bool word_lock_to_leave(struct a64 *word, uint64_t *ret_value)
{
	for (;;) {
		/* Pairs with: the store that lets go. The waiter's frame may go after that. */
		uint64_t value = a64_load_acquire(word);

		if (value & WORD_LOCK) {
			cpu_relax();
		} else if (!(value & WORD_WAITERS)) {
			return false;
		} else if (a64_cas_acquire(word, &value, value | WORD_LOCK)) {
			*ret_value = value;
			return true;
		}
	}
}

/* WORD_WAITERS or 0, for the word that lets go. */
static inline uint64_t word_waiters(const struct wait_queue *queue)
{
	return queue_empty(queue) ? 0 : WORD_WAITERS;
}

/* Claims all of a queue, under its lock, into `won` (an initialised list), with a result. */
static inline void queue_claim_all(
	struct loop *loop, struct wait_queue *queue, struct list *won, int result)
{
	struct waiter *waiter;

	while ((waiter = queue_claim_first(loop, queue))) {
		waiter->result = result;
		list_add_tail(won, &waiter->list);
	}
}

/* Wakes all waiters of a list, after their claims were won. Each may be gone once it is woken. */
static inline void wake_all(struct loop *loop, struct list *won)
{
	rota__list_for_each_safe(node, next, won)
		rota__shared_wait_wake(loop, container_of(node, struct waiter, list)->wait);
}

/* A misuse that cannot be gone on from: says who did what to which object, then aborts. */
ROTA__NORETURN void rota__sync_die(
	const char *what, const void *object, const char *misuse, uintptr_t who, uintptr_t holder);

/* Whether the caller holds the mutex. */
bool rota__mutex_is_mine(const struct rota_mutex *mutex, uintptr_t who);

struct event {
	struct latch latch;
	uint64_t unused[2];
};

static inline struct event *event_of(struct rota_event *event)
{
	return (struct event *)(void *)event;
}

struct future {
	struct a32 claimed; /* A: 1 once a set has won */
	int32_t status;	    /* I once the latch is set */
	struct latch latch;
	uint64_t unused[2];
};

static inline struct future *future_of(struct rota_future *future)
{
	return (struct future *)(void *)future;
}

_Static_assert(sizeof(struct event) == sizeof(struct rota_event), "fits the public struct");
_Static_assert(sizeof(struct future) == sizeof(struct rota_future), "fits the public struct");

#endif
