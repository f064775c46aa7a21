/* SPDX-License-Identifier: MIT */
/*
 * The floor for many sleeping tasks: reserving as many stacks and touching one page of each, by as
 * many threads as there are loops. No guards, no tasks. Runs while no runtime does.
 */
#include "bench.h"

#include <pthread.h>
#include <sys/mman.h>

#define SLAB_BYTES  ((size_t)64 << 20)
#define SLAB_STACKS (SLAB_BYTES / BENCH_STACK_BYTES)

struct toucher {
	pthread_t thread;
	uint64_t stacks;
	char *slabs; /* output: linked through their first words, which is not timed */
	bool failed; /* output */
};

struct slab_link {
	char *next;
};

/* Touches the topmost page of each stack, a few cache lines below the top as a task would. */
static bool touch_slab(struct toucher *me, char **slab, uint64_t stacks)
{
	*slab = mmap(NULL, SLAB_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (*slab == MAP_FAILED) {
		me->failed = true;
		return false;
	}
	madvise(*slab, SLAB_BYTES, MADV_NOHUGEPAGE);
	for (uint64_t i = 0; i < stacks; i++) {
		char *top = *slab + (i + 1) * BENCH_STACK_BYTES;

		*(volatile char *)(top - 512 - (i % 8) * 64) = 1;
	}
	return true;
}

static void *toucher_run(void *arg)
{
	struct toucher *me = arg;
	uint64_t left = me->stacks;

	while (left > 0) {
		uint64_t stacks = left < SLAB_STACKS ? left : SLAB_STACKS;
		char *slab;

		if (!touch_slab(me, &slab, stacks))
			break;
		/* In the page that is touched already: no page more than one a stack. */
		((struct slab_link *)(slab + BENCH_STACK_BYTES - 64))->next = me->slabs;
		me->slabs = slab;
		left -= stacks;
	}
	return NULL;
}

static void toucher_unmap(struct toucher *me)
{
	while (me->slabs) {
		char *slab = me->slabs;

		me->slabs = ((struct slab_link *)(slab + BENCH_STACK_BYTES - 64))->next;
		munmap(slab, SLAB_BYTES);
	}
}

double bench_touch(uint64_t stacks, unsigned int threads)
{
	struct toucher touchers[BENCH_LOOPS_MAX] = { 0 };
	int64_t begin = bench_now();
	bool failed = false;
	double seconds;

	for (unsigned int i = 0; i < threads; i++) {
		touchers[i].stacks = stacks * (i + 1) / threads - stacks * i / threads;
		if (pthread_create(&touchers[i].thread, NULL, toucher_run, &touchers[i]) != 0) {
			threads = i;
			failed = true;
		}
	}
	for (unsigned int i = 0; i < threads; i++)
		pthread_join(touchers[i].thread, NULL);
	seconds = (double)(bench_now() - begin) / (double)ROTA_SECOND;
	for (unsigned int i = 0; i < threads; i++) {
		failed |= touchers[i].failed;
		toucher_unmap(&touchers[i]);
	}
	return failed ? -1 : seconds;
}
