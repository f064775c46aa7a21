/* SPDX-License-Identifier: MIT */
/*
 * Task-local pointers. A key gets its index at its first set; a task's values are an array by that
 * index, which hangs in the task's extra part and which a spawn into a group passes on by reference
 * (flow/spawn.c). So inheriting costs a counter, and setting in a task that shares its values costs
 * a copy.
 */
#include <errno.h>
#include <string.h>

#include <rota/local.h>

#include "base/spin.h"
#include "core/locals.h"
#include "core/runtime.h"

#define KEYS_MAX 64
#define GROWTH	 8 /* values: an array has room for the next few keys */

/* What a key is inside. */
struct key {
	struct a32 number; /* A: its index + 1, for good; 0: never set */
};

_Static_assert(sizeof(struct key) <= sizeof(struct rota_local), "fits the public struct");

static struct spin keys_lock;
static uint32_t keys_given; /* L(keys_lock) */

static struct key *key_of(struct rota_local *key)
{
	return (struct key *)(void *)key;
}

/* The key's index, given to it now if it has none; -ENOSPC. */
static int key_index(struct key *key)
{
	uint32_t number = a32_load_relaxed(&key->number);

	if (number)
		return (int)number - 1;
	spin_lock(&keys_lock);
	number = a32_load_relaxed(&key->number);
	if (!number && keys_given < KEYS_MAX) {
		number = ++keys_given;
		a32_store_relaxed(&key->number, number);
	}
	spin_unlock(&keys_lock);
	return number ? (int)number - 1 : -ENOSPC;
}

/* Values of the task's own, with room for `index`: those that it has, or a copy; NULL. */
static struct locals *locals_writable(struct locals *has, uint32_t index)
{
	uint32_t count = has ? has->count : 0;
	struct locals *copy;

	if (has && index < count && !locals_shared(has))
		return has;
	if (index >= count)
		count = (index + GROWTH) / GROWTH * GROWTH;
	copy = rota__alloc(sizeof(*copy) + count * sizeof(copy->value[0]));
	if (!copy)
		return NULL;
	a32_store_relaxed(&copy->refs, 1);
	copy->count = count;
	if (has)
		memcpy(copy->value, has->value, has->count * sizeof(has->value[0]));
	locals_unref(has);
	return copy;
}

int rota_local_set(struct rota_local *key, void *value)
{
	struct loop *loop = rota__loop_self();
	struct task_extra *extra;
	struct locals *locals;
	int index;

	if (!loop || !loop->running)
		return rota__no_loop();
	index = key_index(key_of(key));
	if (index < 0)
		return index;
	extra = rota__task_extra(loop->running);
	if (!extra)
		return -ENOMEM;
	locals = locals_writable(extra->locals, (uint32_t)index);
	if (!locals)
		return -ENOMEM;
	locals->value[index] = value;
	extra->locals = locals;
	/* Pairs with: nothing. Others may set other flags at the same time. */
	if (!(a32_load_relaxed(&loop->running->flags) & TASK_LOCALS))
		a32_or_acq_rel(&loop->running->flags, TASK_LOCALS);
	return 0;
}

void *rota_local_get(struct rota_local *key)
{
	struct loop *loop = rota__loop_self();
	uint32_t number = a32_load_relaxed(&key_of(key)->number);
	const struct task_extra *extra;

	if (!number || !loop || !loop->running ||
		!(a32_load_relaxed(&loop->running->flags) & TASK_LOCALS))
		return NULL;
	extra = aptr_load_relaxed(&loop->running->extra);
	return number <= extra->locals->count ? extra->locals->value[number - 1] : NULL;
}
