/* SPDX-License-Identifier: MIT */
/* A call for the pool that blocks its thread until the test lets it go. */
#ifndef ROTA_TESTS_BLOCKER_H
#define ROTA_TESTS_BLOCKER_H

#include "unit.h"

#include <semaphore.h>

/* A call that blocks until it is let go, and what became of it. */
struct blocker {
	sem_t begun;
	sem_t go;
	sem_t discarded;
	struct a32 ran;
	struct a32 discards;
	struct a32 on_pool; /* the discard was */
	int status;
};

static inline void blocker_init(struct blocker *blocker, int status)
{
	memset(blocker, 0, sizeof(*blocker));
	sem_init(&blocker->begun, 0, 0);
	sem_init(&blocker->go, 0, 0);
	sem_init(&blocker->discarded, 0, 0);
	blocker->status = status;
}

/* A semaphore that tells no EINTR. */
static inline void sem_take(sem_t *sem)
{
	while (sem_wait(sem))
		;
}

static inline int block(void *arg)
{
	struct blocker *blocker = arg;

	a32_add_acq_rel(&blocker->ran, 1);
	sem_post(&blocker->begun);
	sem_take(&blocker->go);
	return blocker->status;
}

static inline bool on_pool_thread(void)
{
	char name[16] = "";

	pthread_getname_np(pthread_self(), name, sizeof(name));
	return !strncmp(name, "rota-offload/", strlen("rota-offload/"));
}

static inline void count_discard(void *arg)
{
	struct blocker *blocker = arg;

	a32_store_release(&blocker->on_pool, on_pool_thread());
	a32_add_acq_rel(&blocker->discards, 1);
	sem_post(&blocker->discarded);
}

/* Lets the tasks run until the call has begun. */
static inline void wait_begun(struct blocker *blocker)
{
	while (sem_trywait(&blocker->begun))
		EXPECT_EQ(rota_sleep(ROTA_MILLISECOND / 10), 0);
}

#endif
