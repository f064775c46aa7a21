/* SPDX-License-Identifier: MIT */
/* A circular doubly linked list of embedded nodes, as in the Linux kernel. */
#ifndef ROTA_BASE_LIST_H
#define ROTA_BASE_LIST_H

#include "base/attr.h"

struct list {
	struct list *next;
	struct list *prev;
};

#define rota__list_for_each_safe(pos, n, head) \
	for (struct list *pos = (head)->next, *n = pos->next; pos != (head); pos = n, n = pos->next)

static inline void list_init(struct list *head)
{
	head->next = head;
	head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

static inline void list_add_tail(struct list *head, struct list *node)
{
	node->next = head;
	node->prev = head->prev;
	head->prev->next = node;
	head->prev = node;
}

/* The node is left linked to itself: removing it again is harmless. */
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

#endif
