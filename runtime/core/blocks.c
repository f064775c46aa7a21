/* SPDX-License-Identifier: MIT */
/*
 * Task blocks: a type-stable slab allocator with a cache per loop and a depot for all. A block that
 * is freed on another loop than it came from goes into that loop's cache; the depot balances, so
 * that one-way traffic does not grow for ever. No lock-free list, hence no ABA (B7).
 */
#include "core/create.h"
#include "os/seam.h"

#define SLAB_BYTES (256u * 1024)
#define BATCH	   256

struct task_slab {
	struct task_slab *next;
	uint32_t used; /* blocks carved */
	struct rota_task block[] __attribute__((aligned(128)));
};

#define SLAB_BLOCKS ((SLAB_BYTES - sizeof(struct task_slab)) / sizeof(struct rota_task))

/* A never used block, L(lock); NULL at the limit or out of memory. */
static struct rota_task *carve(struct task_depot *depot)
{
	struct task_slab *slab = depot->slabs;
	void *memory;

	if (depot->blocks >= depot->blocks_max)
		return NULL;
	if (!slab || slab->used == SLAB_BLOCKS) {
		if (rota__map(SLAB_BYTES, &memory))
			return NULL;
		slab = memory;
		slab->next = depot->slabs;
		depot->slabs = slab;
	}
	depot->blocks++;
	return &slab->block[slab->used++];
}

static struct rota_task *depot_get(struct task_depot *depot)
{
	struct rota_task *task = depot->free;

	if (task)
		depot->free = task->joiner;
	else
		task = carve(depot);
	return task;
}

static void cache_put(struct loop *loop, struct rota_task *task)
{
	task->joiner = loop->free_tasks;
	loop->free_tasks = task;
	loop->free_task_count++;
}

static struct rota_task *cache_get(struct loop *loop)
{
	struct rota_task *task = loop->free_tasks;

	loop->free_tasks = task->joiner;
	loop->free_task_count--;
	return task;
}

static void cache_fill(struct loop *loop, struct task_depot *depot)
{
	pthread_mutex_lock(&depot->lock);
	for (int i = 0; i < BATCH; i++) {
		struct rota_task *task = depot_get(depot);

		if (!task)
			break;
		cache_put(loop, task);
	}
	pthread_mutex_unlock(&depot->lock);
}

static void cache_spill(struct loop *loop, struct task_depot *depot)
{
	pthread_mutex_lock(&depot->lock);
	for (int i = 0; i < BATCH; i++) {
		struct rota_task *task = cache_get(loop);

		task->joiner = depot->free;
		depot->free = task;
	}
	pthread_mutex_unlock(&depot->lock);
}

struct rota_task *rota__block_get_slow(struct loop *loop, struct rota_runtime *rt)
{
	struct rota_task *task;

	if (loop) {
		cache_fill(loop, &rt->tasks);
		return loop->free_tasks ? cache_get(loop) : NULL;
	}
	pthread_mutex_lock(&rt->tasks.lock);
	task = depot_get(&rt->tasks);
	pthread_mutex_unlock(&rt->tasks.lock);
	return task;
}

void rota__block_put_slow(struct loop *loop, struct rota_runtime *rt, struct rota_task *task)
{
	if (loop) {
		cache_spill(loop, &rt->tasks);
		cache_put(loop, task);
		return;
	}
	pthread_mutex_lock(&rt->tasks.lock);
	task->joiner = rt->tasks.free;
	rt->tasks.free = task;
	pthread_mutex_unlock(&rt->tasks.lock);
}

void rota__blocks_free(struct rota_runtime *rt)
{
	struct task_slab *slab = rt->tasks.slabs;

	while (slab) {
		struct task_slab *next = slab->next;

		rota__unmap(slab, SLAB_BYTES);
		slab = next;
	}
	rt->tasks.slabs = NULL;
}
