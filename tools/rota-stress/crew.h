/* SPDX-License-Identifier: MIT */
/* Plain threads beside the tasks of a scenario; none under simulation. */
#ifndef ROTA_STRESS_CREW_H
#define ROTA_STRESS_CREW_H

#include <pthread.h>

#include "stress.h"

#define CREW_MAX 4

struct crew_member {
	struct crew *crew;
	void (*fn)(void *arg, uint64_t seed);
	void *arg;
	uint64_t seed;
	pthread_t thread;
};

/* All zero is an empty one. */
struct crew {
	struct crew_member members[CREW_MAX];
	uint32_t count;
	_Atomic(uint32_t) live;
};

/* One more thread that runs fn(arg, seed), which ends by itself. Nothing under simulation. */
void crew_add(struct run *run, struct crew *crew, void (*fn)(void *arg, uint64_t seed), void *arg,
	uint64_t seed);

/* How many run. */
uint32_t crew_live(const struct crew *crew);

/* Waits for the end of all without blocking the loop. In a task. */
void crew_join(struct crew *crew);

#endif
