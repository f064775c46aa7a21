/* SPDX-License-Identifier: MIT */
/*
 * The inbox of a loop: what other loops and threads send it. Many push, the owner takes all at
 * once with one exchange. Header only; compiled as it is by tests/model.
 *
 * A node is embedded in what is sent (task, group …) and tagged in its low bits with what it is.
 * It may be pushed again only after it has been drained: whoever pushes has won the right to
 * (a claim, or the flag beside the node).
 *
 * Invariant (I1): a node is in at most one inbox, once. (I2) push is the pusher's last touch.
 */
#ifndef ROTA_CORE_INBOX_H
#define ROTA_CORE_INBOX_H

#include "base/atomic.h"

struct inbox_node {
	uintptr_t next; /* a tagged pointer: written by the pusher, read by the drainer */
};

struct inbox {
	struct aptr head; /* A: newest first, tagged */
};

#define INBOX_TAG_MASK ((uintptr_t)7)

static inline struct inbox_node *inbox_node(uintptr_t tagged)
{
	return (struct inbox_node *)(tagged & ~INBOX_TAG_MASK);
}

static inline unsigned int inbox_tag(uintptr_t tagged)
{
	return (unsigned int)(tagged & INBOX_TAG_MASK);
}

/* Sends a node. Any thread. The caller goes on with fence_after_rmw() and a look at the sleeper. */
static inline void inbox_push(struct inbox *inbox, struct inbox_node *node, unsigned int tag)
{
	void *old = aptr_load_relaxed(&inbox->head);

	/* Pairs with: inbox_drain(). What the node says is written before it is seen. */
	do
		node->next = (uintptr_t)old;
	while (!aptr_cas_release(&inbox->head, &old, (void *)((uintptr_t)node | tag)));
}

static inline bool inbox_empty(const struct inbox *inbox)
{
	return aptr_load_relaxed(&inbox->head) == NULL;
}

/* Takes everything, oldest first, linked by next and ended by 0. Owner. */
static inline uintptr_t inbox_drain(struct inbox *inbox)
{
	/* Pairs with: inbox_push(). */
	uintptr_t at = (uintptr_t)aptr_exchange_acquire(&inbox->head, NULL);
	uintptr_t first = 0;

	while (at) {
		uintptr_t next = inbox_node(at)->next;

		inbox_node(at)->next = first;
		first = at;
		at = next;
	}
	return first;
}

#endif
