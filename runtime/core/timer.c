/* SPDX-License-Identifier: MIT */
/* The timer heap. */
#include <errno.h>

#include "core/timer.h"
#include "os/seam.h"

#define ARITY	       4
#define CAPACITY_FIRST 256

static int heap_grow(struct timer_heap *heap)
{
	uint32_t capacity = heap->capacity ? 2 * heap->capacity : CAPACITY_FIRST;
	size_t bytes = capacity * sizeof(struct timer_slot);
	void *memory = heap->slot;
	int err;

	if (capacity < heap->capacity)
		return -ENOMEM;
	if (memory)
		err = rota__remap(&memory, heap->capacity * sizeof(struct timer_slot), bytes);
	else
		err = rota__map(bytes, &memory);
	if (err)
		return err;
	heap->slot = memory;
	heap->capacity = capacity;
	return 0;
}

static void heap_put(struct timer_heap *heap, uint32_t at, struct timer_slot slot)
{
	heap->slot[at] = slot;
	slot.timer->index = at + 1;
}

static void sift_up(struct timer_heap *heap, uint32_t at, struct timer_slot slot)
{
	while (at > 0) {
		uint32_t parent = (at - 1) / ARITY;

		if (heap->slot[parent].when_ns <= slot.when_ns)
			break;
		heap_put(heap, at, heap->slot[parent]);
		at = parent;
	}
	heap_put(heap, at, slot);
}

static void sift_down(struct timer_heap *heap, uint32_t at, struct timer_slot slot)
{
	for (;;) {
		uint32_t first = at * ARITY + 1;
		uint32_t least = first;

		if (first >= heap->count)
			break;
		for (uint32_t i = first + 1; i < first + ARITY && i < heap->count; i++)
			if (heap->slot[i].when_ns < heap->slot[least].when_ns)
				least = i;
		if (slot.when_ns <= heap->slot[least].when_ns)
			break;
		heap_put(heap, at, heap->slot[least]);
		at = least;
	}
	heap_put(heap, at, slot);
}

int rota__timer_set(struct timer_heap *heap, struct timer *timer, int64_t when_ns)
{
	if (heap->count == heap->capacity) {
		int err = heap_grow(heap);

		if (err)
			return -ENOMEM;
	}
	sift_up(heap, heap->count++, (struct timer_slot){ .when_ns = when_ns, .timer = timer });
	return 0;
}

void rota__timer_clear(struct timer_heap *heap, struct timer *timer)
{
	uint32_t at = timer->index;
	struct timer_slot last;

	if (!at)
		return;
	timer->index = 0;
	at--;
	last = heap->slot[--heap->count];
	if (at == heap->count)
		return;
	if (at > 0 && last.when_ns < heap->slot[(at - 1) / ARITY].when_ns)
		sift_up(heap, at, last);
	else
		sift_down(heap, at, last);
}

unsigned int rota__timers_fire(struct timer_heap *heap, struct loop *loop, int64_t now_ns)
{
	unsigned int fired = 0;

	while (timer_next(heap) <= now_ns) {
		struct timer *timer = heap->slot[0].timer;

		rota__timer_clear(heap, timer);
		timer->fire(loop, timer);
		fired++;
	}
	return fired;
}

void rota__timers_finish(struct timer_heap *heap)
{
	if (heap->slot)
		rota__unmap(heap->slot, heap->capacity * sizeof(struct timer_slot));
	*heap = (struct timer_heap){ 0 };
}
