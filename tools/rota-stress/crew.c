/* SPDX-License-Identifier: MIT */
/* Plain threads beside the tasks of a scenario. */
#include "crew.h"

#include <stdio.h>

static void *crew_thread(void *arg)
{
	struct crew_member *member = arg;

	member->fn(member->arg, member->seed);
	atomic_fetch_sub(&member->crew->live, 1);
	return NULL;
}

void crew_add(struct run *run, struct crew *crew, void (*fn)(void *arg, uint64_t seed), void *arg,
	uint64_t seed)
{
	struct crew_member *member;

	if (run->sim)
		return;
	if (crew->count == CREW_MAX)
		abort();
	member = &crew->members[crew->count++];
	*member = (struct crew_member){ .crew = crew, .fn = fn, .arg = arg, .seed = seed };
	atomic_fetch_add(&crew->live, 1);
	if (pthread_create(&member->thread, NULL, crew_thread, member) != 0) {
		fprintf(stderr, "rota-stress: no thread\n");
		abort();
	}
}

uint32_t crew_live(const struct crew *crew)
{
	return atomic_load(&crew->live);
}

void crew_join(struct crew *crew)
{
	/* Not by joining alone: that would block the loop that the threads may wait for. */
	while (crew_live(crew) > 0)
		(void)rota_sleep(100 * ROTA_MICROSECOND);
	for (uint32_t i = 0; i < crew->count; i++)
		pthread_join(crew->members[i].thread, NULL);
	crew->count = 0;
}
