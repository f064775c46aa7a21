/* SPDX-License-Identifier: MIT */
/*
 * Scopes around nothing, with a deadline and without one; and groups of members that all wait:
 * what it takes from their cancel to the end of their close, and their whole life from the open.
 */
#include "bench.h"

#include <rota/scope.h>
#include <rota/sync.h>
#include <stdatomic.h>

#define MEMBERS 100

/* Where the members run. */
enum where {
	FREE,
	SPREAD, /* in turns on all loops */
};

/* One kind of members, and what it came to. */
struct batch {
	rota_task_fn *member;
	enum where where;
	unsigned int loops;
	uint64_t rounds;
	int64_t cancel_ns; /* output */
	int64_t life_ns;   /* output */
};

/* One group of members that wait. */
struct crowd {
	struct rota_event never;
	struct rota_event all_wait;
	_Alignas(128) atomic_uint waiting;
};

static int work_scope(uint64_t ops)
{
	int status = 0;

	for (uint64_t i = 0; i < ops && status >= 0; i++) {
		struct rota_scope scope;

		rota_scope_open(&scope, 60 * ROTA_SECOND);
		status = rota_scope_close(&scope, 0);
	}
	return status;
}

static int work_plain_scope(uint64_t ops)
{
	int status = 0;

	for (uint64_t i = 0; i < ops && status >= 0; i++) {
		struct rota_scope scope;

		rota_scope_open(&scope, ROTA_FOREVER);
		status = rota_scope_close(&scope, 0);
	}
	return status;
}

/* Just before a member's wait. */
static void count_in(struct crowd *crowd)
{
	if (atomic_fetch_add_explicit(&crowd->waiting, 1, memory_order_relaxed) + 1 == MEMBERS)
		rota_event_set(&crowd->all_wait);
}

static int sleeper(void *arg)
{
	struct crowd *crowd = arg;

	count_in(crowd);
	return rota_sleep(3600 * ROTA_SECOND);
}

static int waiter(void *arg)
{
	struct crowd *crowd = arg;

	count_in(crowd);
	return rota_event_wait(&crowd->never);
}

static void spawn_member(
	struct rota_group *group, const struct batch *batch, struct crowd *crowd, uint32_t i)
{
	struct rota_spawn_options on_loop = { .flags = ROTA_SPAWN_ON_LOOP,
		.loop = i % batch->loops };

	if (batch->where == SPREAD)
		rota_group_spawn_with(group, batch->member, crowd, NULL, &on_loop);
	else
		rota_group_spawn(group, batch->member, crowd);
}

static int run_round(struct batch *batch)
{
	struct crowd crowd = { 0 };
	struct rota_group group;
	int64_t opened = bench_now();
	int64_t cancelled;
	int64_t closed;
	int status;

	rota_group_open(&group, NULL);
	for (uint32_t i = 0; i < MEMBERS; i++)
		spawn_member(&group, batch, &crowd, i);
	status = rota_event_wait(&crowd.all_wait);
	cancelled = bench_now();
	rota_group_cancel(&group, "measured");
	status = rota_group_close(&group, status);
	closed = bench_now();
	batch->cancel_ns += closed - cancelled;
	batch->life_ns += closed - opened;
	return status;
}

static int run_batch(void *arg)
{
	struct batch *batch = arg;
	int status = 0;

	for (uint64_t i = 0; i < batch->rounds && status >= 0; i++)
		status = run_round(batch);
	return status;
}

/* The owner of the groups is on loop 0, so that the members of the others are on other loops. */
static int measure(struct bench_run *run, const char *cancel_key, const char *life_key,
	rota_task_fn *member, enum where where)
{
	struct rota_spawn_options on_loop_0 = { .flags = ROTA_SPAWN_ON_LOOP };
	struct batch warm_up = { .member = member,
		.where = where,
		.loops = run->loops,
		.rounds = run->tasks / MEMBERS / 10 + 1 };
	struct batch batch = warm_up;
	double members;
	struct rota_group group;
	int status;

	batch.rounds = run->tasks / MEMBERS + 1;
	members = (double)(batch.rounds * MEMBERS);
	rota_group_open(&group, NULL);
	rota_group_spawn_with(&group, run_batch, &warm_up, NULL, &on_loop_0);
	status = rota_group_wait(&group);
	rota_group_spawn_with(&group, run_batch, &batch, NULL, &on_loop_0);
	status = rota_group_close(&group, status);
	if (status < 0)
		return status;
	bench_add(run, NULL, cancel_key, (double)batch.cancel_ns / members);
	bench_add(run, NULL, life_key, (double)batch.life_ns / members);
	return 0;
}

static int cancel_task(void *arg)
{
	struct bench_run *run = arg;
	int status = bench_lanes(run, "ns_per_op", run->loops, work_scope, run->tasks);

	if (status >= 0)
		status = bench_lanes(
			run, "plain_ns_per_op", run->loops, work_plain_scope, run->tasks);
	if (status >= 0)
		status = measure(
			run, "sleeping_ns_per_op", "sleeping_life_ns_per_op", sleeper, FREE);
	if (status >= 0)
		status = measure(run, "waiting_ns_per_op", "waiting_life_ns_per_op", waiter, FREE);
	if (status >= 0 && run->loops > 1)
		status = measure(run, "spread_sleeping_ns_per_op", "spread_sleeping_life_ns_per_op",
			sleeper, SPREAD);
	if (status >= 0 && run->loops > 1)
		status = measure(run, "spread_waiting_ns_per_op", "spread_waiting_life_ns_per_op",
			waiter, SPREAD);
	return status;
}

const struct bench bench_cancel = {
	.name = "cancel",
	.about = "scope with a deadline; plain: without; 100 sleeping, waiting: cancel + close, "
		 "a member",
	.target = "faster than Go",
	.loops = BENCH_LOOPS_ONE,
	.also = BENCH_LOOPS_TWO,
	.tasks = 1000000,
	.task = cancel_task,
};
