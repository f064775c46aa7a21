/* SPDX-License-Identifier: MIT */
/*
 * Tasks with different parts in one piece of work, each on a loop of its own choice. All begin
 * together; what counts is the wall time from the first begin to the last end. They wait for the
 * begin suspended: while one of them polls, other loops take those that have not started.
 */
#include "bench.h"

#include <errno.h>
#include <rota/sync.h>
#include <stdatomic.h>
#include <stdlib.h>

struct crew {
	unsigned int count;	 /* I */
	atomic_uint arrived;	 /* A: workers that have started */
	struct rota_event begin; /* all have */
};

struct member {
	struct crew *crew;
	const struct bench_worker *worker;
	int64_t begin_ns;
	int64_t end_ns;
};

static int member_run(void *arg)
{
	struct member *member = arg;
	struct crew *crew = member->crew;
	int status;

	if (atomic_fetch_add(&crew->arrived, 1) + 1 == crew->count)
		rota_event_set(&crew->begin);
	status = rota_event_wait(&crew->begin);
	if (status < 0)
		return status;
	member->begin_ns = bench_now();
	status = member->worker->work(member->worker->arg);
	member->end_ns = bench_now();
	return status;
}

static int64_t wall_ns(const struct member *members, unsigned int count)
{
	int64_t begin = members[0].begin_ns;
	int64_t end = members[0].end_ns;

	for (unsigned int i = 1; i < count; i++) {
		if (members[i].begin_ns < begin)
			begin = members[i].begin_ns;
		if (members[i].end_ns > end)
			end = members[i].end_ns;
	}
	return end - begin;
}

int bench_crew(const struct bench_worker *workers, unsigned int count, int64_t *ret_ns)
{
	struct crew crew = { .count = count };
	struct member *members = calloc(count, sizeof(*members));
	struct rota_group group;
	int status;

	if (!members)
		return -ENOMEM;
	rota_group_open(&group, NULL);
	for (unsigned int i = 0; i < count; i++) {
		struct rota_spawn_options options = { 0 };

		if (workers[i].loop >= 0) {
			options.flags = ROTA_SPAWN_ON_LOOP;
			options.loop = (uint32_t)workers[i].loop;
		}
		members[i].crew = &crew;
		members[i].worker = &workers[i];
		rota_group_spawn_with(&group, member_run, &members[i], NULL, &options);
	}
	status = rota_group_close(&group, 0);
	if (status >= 0)
		*ret_ns = wall_ns(members, count);
	free(members);
	return status;
}
