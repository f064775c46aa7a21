/* SPDX-License-Identifier: MIT */
/*
 * Timers of one loop: a 4-ary heap of {when, node}, so that sifting reads one dense array. Owner
 * only. Never early; equal times fire in any order.
 */
#ifndef ROTA_CORE_TIMER_H
#define ROTA_CORE_TIMER_H

#include "base/attr.h"

struct loop;

/* Intrusive; lies in the waiting task's frame or in the object that it belongs to. */
struct timer {
	void (*fire)(struct loop *loop, struct timer *timer);
	uint32_t index; /* position + 1 in the heap; 0: not set */
};

struct timer_slot {
	int64_t when_ns;
	struct timer *timer;
};

struct timer_heap {
	struct timer_slot *slot;
	uint32_t count;
	uint32_t capacity;
};

/* Sets an idle timer: 0 or -ENOMEM. */
int rota__timer_set(struct timer_heap *heap, struct timer *timer, int64_t when_ns);
/* Clears it; harmless when it is not set. */
void rota__timer_clear(struct timer_heap *heap, struct timer *timer);
/* Fires what is due at now_ns: how many. */
unsigned int rota__timers_fire(struct timer_heap *heap, struct loop *loop, int64_t now_ns);
void rota__timers_finish(struct timer_heap *heap);

/* now + duration, ROTA_FOREVER where that is past all numbers. duration_ns >= 0. */
static inline int64_t time_after(int64_t now_ns, int64_t duration_ns)
{
	return duration_ns > INT64_MAX - now_ns ? INT64_MAX : now_ns + duration_ns;
}

/* When the first one is due; INT64_MAX: none. */
static inline int64_t timer_next(const struct timer_heap *heap)
{
	return heap->count ? heap->slot[0].when_ns : INT64_MAX;
}

#endif
