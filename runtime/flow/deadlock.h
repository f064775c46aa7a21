/* SPDX-License-Identifier: MIT */
/*
 * Wait-for cycles, looked for with ROTA_CONFIG_DEBUG. An edge says who waits for what; it lies in
 * the waiter's frame, from before the wait until after it. The argument is in flow/deadlock.c.
 */
#ifndef ROTA_FLOW_DEADLOCK_H
#define ROTA_FLOW_DEADLOCK_H

#include "core/wait.h"

struct loop;
struct rota_task;

enum edge_kind {
	EDGE_MUTEX,  /* target: the lock */
	EDGE_RWLOCK, /* target: the lock; only a writer is known to hold it */
	EDGE_TASK,   /* target: struct rota_task, awaited */
	EDGE_GROUP,  /* target: struct scope of a group that is being closed */
};

struct edge {
	/* The caller's. */
	enum edge_kind kind;
	uintptr_t waiter; /* who, see flow/sync.h */
	const void *target;
	uintptr_t (*holder)(const void *target); /* locks: who holds it now; 0: nobody known */
	const struct shared_wait *wait;		 /* NULL: has none */
	bool cancelable;			 /* the wait is a cancellation point */
	/* L(graph). */
	bool linked;
	struct list list;
	struct edge *same; /* the next in its bucket */
	uint64_t seen;	   /* the last search that came by */
	struct edge *from; /* from where it came */
	struct edge *next; /* in the order of the search; then along the cycle */
};

/*
 * Before a wait, which must not be linked where a wake could miss it afterwards: 0. When the wait
 * would close a cycle, that is reported, and then: -EDEADLK where it is cancelable (the caller does
 * not wait), else abort. Without ROTA_CONFIG_DEBUG it does nothing. loop: the caller's or NULL.
 */
int rota__deadlock_enter(struct loop *loop, struct edge *edge);
void rota__deadlock_unlink(struct edge *edge);

/* After the wait, before anything else that others may wait for. */
static inline void rota__deadlock_leave(struct edge *edge)
{
	if (unlikely(edge->linked))
		rota__deadlock_unlink(edge);
}

/* An await, wait(loop, task), with its edge: what it returns, or -EDEADLK. loop: may be NULL. */
int rota__deadlock_await(struct loop *loop, struct rota_task *task,
	int (*wait)(struct loop *loop, struct rota_task *task));

#endif
