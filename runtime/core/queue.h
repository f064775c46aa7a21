/* SPDX-License-Identifier: MIT */
/*
 * A queue of waiters: who waits for an object, in order. All zero is an empty one. Everything here
 * happens under the object's lock.
 *
 * A waiter leaves the queue in one of two ways: the object takes it out and claims it; or its wait
 * is cancelled (or fired by another object), and its task takes it out when it runs again. Between
 * the cancel's claim and that it may still be linked: whoever finds it then cannot claim it, takes
 * it out and goes on to the next. Taking one out twice is harmless.
 */
#ifndef ROTA_CORE_QUEUE_H
#define ROTA_CORE_QUEUE_H

#include "core/loop.h"

struct wait_queue {
	struct list *first; /* circular; NULL: empty */
};

static inline bool queue_empty(const struct wait_queue *queue)
{
	return queue->first == NULL;
}

static inline void queue_add(struct wait_queue *queue, struct waiter *waiter)
{
	if (queue->first) {
		list_add_tail(queue->first, &waiter->list);
	} else {
		list_init(&waiter->list);
		queue->first = &waiter->list;
	}
}

/* The waiter was linked at some time, and is either still or has been taken out. */
static inline void queue_remove(struct wait_queue *queue, struct waiter *waiter)
{
	struct list *next = waiter->list.next;

	if (queue->first == &waiter->list)
		queue->first = next == &waiter->list ? NULL : next;
	list_remove(&waiter->list);
}

static inline struct waiter *queue_first(const struct wait_queue *queue)
{
	return queue->first ? container_of(queue->first, struct waiter, list) : NULL;
}

/*
 * Claims a wait for one of its waiters, under the lock that links it. loop: the caller's or NULL.
 * A wait of this very loop in a single queue has no rival at this moment: other objects have no
 * place in it, and its cancel comes on this thread. Then the claim needs no locked instruction.
 */
static inline bool waiter_claim(struct loop *loop, struct waiter *waiter)
{
	struct shared_wait *wait = waiter->wait;

	if (loop && wait->single && wait->wait.task && task_loop(wait->wait.task) == loop)
		return claim_take_alone(&wait->claim, waiter->source);
	return claim_take(&wait->claim, waiter->source);
}

/* Takes the first one out that can be claimed: the caller wakes it. NULL: nobody waits. */
static inline struct waiter *queue_claim_first(struct loop *loop, struct wait_queue *queue)
{
	struct waiter *waiter;

	while ((waiter = queue_first(queue))) {
		queue_remove(queue, waiter);
		if (waiter_claim(loop, waiter))
			return waiter;
	}
	return NULL;
}

/*
 * Fills in a wait in one queue and its waiter. loop: the caller's, or NULL on a plain thread; what
 * is on a loop's thread without a task (a hook) waits as a thread does.
 */
static inline void shared_wait_init(struct loop *loop, struct shared_wait *wait,
	struct waiter *waiter, const struct wait_kind *kind)
{
	*wait = (struct shared_wait){
		.wait = { .kind = kind, .task = loop ? loop->running : NULL },
		.single = true,
	};
	*waiter = (struct waiter){ .wait = wait, .source = WAIT_BY_EVENT };
}

/* Whether a call of this loop's task (or of a plain thread: loop NULL) must not wait any more. */
static inline bool caller_is_cancelled(const struct loop *loop)
{
	return loop && loop->running && loop->running->fiber && task_is_cancelled(loop->running);
}

#endif
