/* SPDX-License-Identifier: MIT */
/*
 * Stacks: slabs of them with guards, a cache per loop, a depot for all. The tops are staggered by
 * cache lines, else the hot ends of all stacks would fall into the same cache sets.
 */
#include <errno.h>
#include <string.h>

#include "core/runtime.h"
#include "os/seam.h"

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif

#define COLOURS		16
#define SLAB_STACKS_MIN 16
#define SLAB_BYTES_MAX	(64u * 1024 * 1024)
#define BATCH		128

int rota__stack_class(uint64_t bytes)
{
	if (bytes == 0)
		return STACK_CLASS_DEFAULT;
	for (unsigned int i = 0; i < STACK_CLASSES; i++)
		if (bytes <= stack_class_bytes(i))
			return (int)i;
	return -EINVAL;
}

bool rota__fiber_guards(const struct fiber *fiber, const void *address)
{
	const char *at = address;

	return at >= fiber->low && at < fiber->low + rota__page_bytes();
}

/* Makes a fiber at the top of a stack that has none. Touches its first page. */
static struct fiber *fiber_init(char *low, unsigned int stack_class, uint32_t colour)
{
	char *top = low + stack_class_bytes(stack_class);
	struct fiber *fiber;

	top -= sizeof(struct fiber) + (size_t)(colour % COLOURS) * ROTA__CACHE_LINE;
	fiber = (struct fiber *)((uintptr_t)top & ~(uintptr_t)(ROTA__CACHE_LINE - 1));
	rota__forget_frames(low, stack_class_bytes(stack_class));
	memset(fiber, 0, sizeof(*fiber));
	fiber->low = low;
	fiber->stack_class = stack_class;
	rota__context_init(&fiber->context, low, fiber, rota__fiber_main, fiber);
#ifdef VALGRIND_STACK_REGISTER
	fiber->valgrind_id = VALGRIND_STACK_REGISTER(low, fiber);
#endif
	return fiber;
}

/*
 * A new slab for the loop: twice as many stacks as the last one of the class, within bounds. Mapped
 * without the lock: the guards of a large one take a tenth of a millisecond.
 */
static int slab_add(struct loop *loop, unsigned int stack_class, size_t shift)
{
	struct rota_runtime *rt = loop->rt;
	size_t bytes = stack_class_bytes(stack_class);
	size_t count = (size_t)SLAB_STACKS_MIN << (shift < 10 ? shift : 10);
	struct stack_slab *slab = rota__alloc(sizeof(*slab));
	const char *why = "out of memory";
	void *base;
	int err = -ENOMEM;

	if (count * bytes > SLAB_BYTES_MAX)
		count = SLAB_BYTES_MAX / bytes;
	if (slab)
		err = rota__stacks_map(
			bytes, count, !(rt->disable & ROTA__DISABLE_GUARD), &base, &why);
	if (err) {
		rota__log(rt, ROTA_LOG_ERROR, "no stack of %zu KiB for a task: %s", bytes / 1024,
			why);
		rota__free(slab);
		return err;
	}
	slab->base = base;
	slab->bytes = count * bytes;
	pthread_mutex_lock(&rt->stacks.lock);
	slab->next = rt->stacks.slabs;
	rt->stacks.slabs = slab;
	pthread_mutex_unlock(&rt->stacks.lock);
	a64_add_relaxed(&rt->stacks.bytes, slab->bytes);
	loop->stacks[stack_class].next = base;
	loop->stacks[stack_class].left = count;
	return 0;
}

/* What the depot has, L(lock): the low end of a trimmed stack, or a fiber, or neither. */
static char *depot_get(
	struct stack_depot *depot, unsigned int stack_class, struct fiber **ret_fiber)
{
	size_t trimmed = depot->of_class[stack_class].trimmed_count;

	*ret_fiber = depot->of_class[stack_class].free;
	if (*ret_fiber) {
		depot->of_class[stack_class].free = (*ret_fiber)->next;
		return NULL;
	}
	if (!trimmed)
		return NULL;
	depot->of_class[stack_class].trimmed_count = trimmed - 1;
	return depot->of_class[stack_class].trimmed[trimmed - 1];
}

struct fiber *rota__fiber_get_new(struct loop *loop, unsigned int stack_class)
{
	struct stack_depot *depot = &loop->rt->stacks;
	struct fiber *fiber;
	uint32_t colour;
	size_t slabs = 0;
	char *low;

	pthread_mutex_lock(&depot->lock);
	low = depot_get(depot, stack_class, &fiber);
	colour = depot->colour++;
	if (!low && !fiber && !loop->stacks[stack_class].left)
		slabs = depot->of_class[stack_class].slab_count++;
	pthread_mutex_unlock(&depot->lock);
	if (!low && !fiber) {
		if (!loop->stacks[stack_class].left && slab_add(loop, stack_class, slabs))
			return NULL;
		low = loop->stacks[stack_class].next;
		loop->stacks[stack_class].next += stack_class_bytes(stack_class);
		loop->stacks[stack_class].left--;
	}
	/* Outside of the lock: it faults the stack's first page in, which is most of the time. */
	if (!fiber)
		fiber = fiber_init(low, stack_class, colour);
	fiber->loop = loop;
	return fiber;
}

/* Ends a fiber but not its stack; the low end is what is left. */
static char *fiber_finish(struct fiber *fiber)
{
	char *low = fiber->low;

	rota__context_finish(&fiber->context);
#ifdef VALGRIND_STACK_DEREGISTER
	VALGRIND_STACK_DEREGISTER(fiber->valgrind_id);
#endif
	return low;
}

/* Room for `count` more in the list of trimmed stacks, L(lock). */
static bool trimmed_reserve(struct stack_depot *depot, unsigned int stack_class, size_t count)
{
	size_t room = depot->of_class[stack_class].trimmed_room;
	size_t used = depot->of_class[stack_class].trimmed_count;
	char **list;

	if (used + count <= room)
		return true;
	room = 2 * room + 1024;
	list = rota__alloc(room * sizeof(*list));
	if (!list)
		return false;
	if (used)
		memcpy(list, depot->of_class[stack_class].trimmed, used * sizeof(*list));
	rota__free(depot->of_class[stack_class].trimmed);
	depot->of_class[stack_class].trimmed = list;
	depot->of_class[stack_class].trimmed_room = room;
	return true;
}

/* Moves fibers from the loop's cache to the depot and their pages back to the kernel. */
void rota__fiber_spill(struct loop *loop, unsigned int stack_class)
{
	struct stack_depot *depot = &loop->rt->stacks;
	char *low[BATCH];
	size_t n = 0;

	/* The newest one may be the stack that this very call runs on: it stays. */
	for (struct fiber *newest = loop->free_fibers[stack_class]; n < BATCH && newest->next;
		n++) {
		struct fiber *fiber = newest->next;

		newest->next = fiber->next;
		low[n] = fiber_finish(fiber);
	}
	loop->free_fiber_count[stack_class] -= (uint32_t)n;
	rota__stacks_trim(low, n, stack_class_bytes(stack_class));
	pthread_mutex_lock(&depot->lock);
	if (trimmed_reserve(depot, stack_class, n)) {
		memcpy(depot->of_class[stack_class].trimmed +
				depot->of_class[stack_class].trimmed_count,
			low, n * sizeof(*low));
		depot->of_class[stack_class].trimmed_count += n;
	} else {
		for (size_t i = 0; i < n; i++) {
			struct fiber *fiber = fiber_init(low[i], stack_class, depot->colour++);

			fiber->next = depot->of_class[stack_class].free;
			depot->of_class[stack_class].free = fiber;
		}
	}
	pthread_mutex_unlock(&depot->lock);
}

static void fibers_finish(struct fiber *fiber)
{
	while (fiber) {
		struct fiber *next = fiber->next;

		fiber_finish(fiber);
		fiber = next;
	}
}

void rota__fibers_free(struct rota_runtime *rt)
{
	struct stack_slab *slab = rt->stacks.slabs;

	for (unsigned int i = 0; i < STACK_CLASSES; i++) {
		for (uint32_t k = 0; k < rt->loop_count; k++)
			if (rt->loop[k])
				fibers_finish(rt->loop[k]->free_fibers[i]);
		fibers_finish(rt->stacks.of_class[i].free);
		rota__free(rt->stacks.of_class[i].trimmed);
	}
	while (slab) {
		struct stack_slab *next = slab->next;

		rota__unmap(slab->base, slab->bytes);
		rota__free(slab);
		slab = next;
	}
	rt->stacks.slabs = NULL;
}
