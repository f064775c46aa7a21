/* SPDX-License-Identifier: MIT */
/*
 * The same work on several loops at once, a lane each. All begin together: the wall time from the
 * first begin to the last end, divided by all operations, is what one operation costs.
 */
#include "bench.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

struct lanes {
	unsigned int count;	   /* I */
	atomic_uint arrived;	   /* A: lanes that have warmed up */
	int (*work)(uint64_t ops); /* I */
	uint64_t ops;		   /* I */
};

struct lane {
	struct lanes *lanes;
	int64_t begin_ns;
	int64_t end_ns;
};

static int lane_run(void *arg)
{
	struct lane *lane = arg;
	struct lanes *lanes = lane->lanes;
	int status = lanes->work(lanes->ops / 10 + 1);

	/* Counted also when it failed: the others wait for it. */
	atomic_fetch_add(&lanes->arrived, 1);
	while (status >= 0 && atomic_load(&lanes->arrived) < lanes->count)
		status = rota_yield();
	if (status < 0)
		return status;
	lane->begin_ns = bench_now();
	status = lanes->work(lanes->ops);
	lane->end_ns = bench_now();
	return status;
}

static int64_t wall_ns(const struct lane *lane, unsigned int count)
{
	int64_t begin = lane[0].begin_ns;
	int64_t end = lane[0].end_ns;

	for (unsigned int i = 1; i < count; i++) {
		if (lane[i].begin_ns < begin)
			begin = lane[i].begin_ns;
		if (lane[i].end_ns > end)
			end = lane[i].end_ns;
	}
	return end - begin;
}

int bench_lanes(struct bench_run *run, const char *key, unsigned int lanes,
	int (*work)(uint64_t ops), uint64_t ops)
{
	struct lanes all = { .count = lanes, .work = work, .ops = ops };
	struct lane *lane = calloc(lanes, sizeof(*lane));
	struct rota_group group;
	int status;

	if (!lane)
		return -ENOMEM;
	rota_group_open(&group, NULL);
	for (unsigned int i = 0; i < lanes; i++) {
		struct rota_spawn_options on_loop = { .flags = ROTA_SPAWN_ON_LOOP, .loop = i };

		lane[i].lanes = &all;
		rota_group_spawn_with(&group, lane_run, &lane[i], NULL, &on_loop);
	}
	status = rota_group_close(&group, 0);
	if (status >= 0)
		bench_add(run, NULL, key,
			(double)wall_ns(lane, lanes) / ((double)ops * (double)lanes));
	free(lane);
	return status;
}
