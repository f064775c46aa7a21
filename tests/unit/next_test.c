/* SPDX-License-Identifier: MIT */
/*
 * rota_group_next(): the ended members of a ROTA_GROUP_KEEP group, one by one.
 *
 * Behaviours of CPython's test_tasks.py: as_completed (all of them once, those that end first come
 * first, a timeout on the whole, several that wait at the same time are refused, with what has
 * ended already), wait for the first completed, with errors among them. Of Trio's: nurseries whose
 * results are collected by a channel. Left out: duplicates (a member is spawned once), iterating
 * more than once.
 */
#include "unit.h"

TestSuite(next, .timeout = HANG_SECONDS);

#define HOUR (3600 * ROTA_SECOND)

static const struct rota_group_options keep = {
	.flags = ROTA_GROUP_KEEP,
	.policy = ROTA_GROUP_COLLECT,
};

static struct rota_spawn_options on_loop(uint32_t loop)
{
	return (struct rota_spawn_options){
		.flags = ROTA_SPAWN_ON_LOOP,
		.loop = loop % rota_loop_count(),
	};
}

static void expect_end(struct rota_group *group)
{
	struct rota_result result;

	for (int i = 0; i < 3; i++)
		EXPECT_EQ(rota_group_next(group, &result), 0);
}

/* What a result says. */

TASK_TEST(next, of_nobody)
{
	struct rota_result result = { .status = 77 };
	struct rota_group group;

	rota_group_open(&group, &keep);
	EXPECT_EQ(rota_group_next(&group, &result), 0);
	EXPECT_EQ(result.status, 77);
	expect_end(&group);
	EXPECT_EQ(rota_group_close(&group, 6), 6);
}

struct copied {
	int number;
};

static int return_copied(void *arg)
{
	const struct copied *copy = arg;

	return copy->number;
}

TASK_TEST(next, says_who_it_was_and_how_it_ended)
{
	struct copied copy = { 12 };
	struct rota_result result;
	struct rota_group group;
	struct rota_task *task;

	rota_group_open(&group, &keep);
	EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(3)), 0);
	EXPECT_EQ(rota_group_next(&group, &result), 1);
	EXPECT(result.arg == STATUS(3));
	EXPECT(result.task == NULL);
	EXPECT_EQ(result.status, 3);

	task = spawn(&group, task_return, STATUS(4));
	EXPECT_EQ(rota_group_next(&group, &result), 1);
	EXPECT(result.arg == STATUS(4));
	EXPECT(result.task == task);
	EXPECT_EQ(result.status, 4);

	EXPECT_EQ(rota_group_spawn_copy(&group, return_copied, &copy, sizeof(copy)), 0);
	EXPECT_EQ(rota_group_next(&group, &result), 1);
	EXPECT(result.arg == NULL);
	EXPECT(result.task == NULL);
	EXPECT_EQ(result.status, 12);

	EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(-EXDEV)), 0);
	EXPECT_EQ(rota_group_next(&group, &result), 1);
	EXPECT(result.arg == STATUS(-EXDEV));
	EXPECT_EQ(result.status, -EXDEV);
	expect_end(&group);
	EXPECT_EQ(rota_group_close(&group, 0), -EXDEV);
}

TASK_TEST(next, a_member_that_was_cancelled_has_a_result_too)
{
	struct rota_result result;
	struct rota_group group;
	struct rota_task *task;

	rota_group_open(&group, &keep);
	task = spawn(&group, task_forever, NULL);
	rota_task_cancel(task, NULL);
	EXPECT_EQ(rota_group_next(&group, &result), 1);
	EXPECT(result.task == task);
	EXPECT_EQ(result.status, -ECANCELED);
	expect_end(&group);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

/* The order is that of the ends. */

struct turn {
	struct a32 go;
	int number;
};

static int wait_for_turn(void *arg)
{
	struct turn *turn = arg;

	EXPECT(wait_cell(&turn->go, 1));
	return turn->number;
}

TASK_TEST(next, waits_for_the_next_wherever_it_runs)
{
	enum { TURNS = 40 };
	struct turn turn[TURNS];
	struct rota_group group;
	struct rota_result result;

	rota_group_open(&group, &keep);
	for (int i = 0; i < TURNS; i++) {
		struct rota_spawn_options there = on_loop((uint32_t)i);

		turn[i] = (struct turn){ .number = i };
		EXPECT_EQ(rota_group_spawn_with(&group, wait_for_turn, &turn[i], NULL, &there), 0);
	}
	for (int i = 0; i < TURNS; i++) {
		int k = i * 7 % TURNS;

		a32_store_release(&turn[k].go, 1);
		EXPECT_EQ(rota_group_next(&group, &result), 1);
		EXPECT(result.arg == &turn[k]);
		EXPECT_EQ(result.status, k);
		/* A snapshot: it may have been taken before it was counted out. */
		EXPECT(rota_group_live(&group) <= (size_t)(TURNS - i));
	}
	expect_end(&group);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

struct ends {
	int count;
	int order[64];
};

struct ender {
	struct ends *ends;
	int yields;
	int number;
};

static int end_in_turn(void *arg)
{
	struct ender *ender = arg;

	for (int i = 0; i < ender->yields; i++)
		EXPECT_EQ(rota_yield(), 0);
	ender->ends->order[ender->ends->count++] = ender->number;
	return 0;
}

/* On one loop, where the order of ends can be told: all before the first is taken. */
TASK_TEST(next, in_the_order_of_the_ends)
{
	const struct rota_group_options local = { .flags = ROTA_GROUP_KEEP | ROTA_SPAWN_LOCAL };

	for (int wait_first = 0; wait_first < 2; wait_first++) {
		struct ends ends = { .count = 0 };
		struct ender ender[64];
		struct rota_result result;
		struct rota_group group;

		rota_group_open(&group, &local);
		for (int i = 0; i < 64; i++) {
			ender[i] = (struct ender){ &ends, i * 37 % 64, i };
			EXPECT_EQ(rota_group_spawn(&group, end_in_turn, &ender[i]), 0);
		}
		if (wait_first)
			EXPECT_EQ(rota_group_wait(&group), 0);
		for (int i = 0; i < 64; i++) {
			EXPECT_EQ(rota_group_next(&group, &result), 1);
			EXPECT(result.arg == &ender[ends.order[i]]);
		}
		expect_end(&group);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
	}
}

/* Many, each once. */

static int yield_some(void *arg)
{
	int number = (int)(intptr_t)arg;

	for (int i = 0; i < number % 7; i++)
		EXPECT_EQ(rota_yield(), 0);
	if (number % 11 == 0)
		EXPECT_EQ(rota_sleep(number % 50 * ROTA_MICROSECOND), 0);
	return number;
}

static void take_all(struct rota_group *group, unsigned char *seen, int count)
{
	struct rota_result result;

	for (int i = 0; i < count; i++) {
		EXPECT_EQ(rota_group_next(group, &result), 1);
		EXPECT(result.status >= 0 && result.arg == STATUS(result.status));
		EXPECT_EQ(seen[result.status]++, 0);
	}
}

TASK_TEST(next, gives_each_of_many_once)
{
	enum { MEMBERS = 2000 };
	unsigned char *seen = calloc(MEMBERS, 1);
	struct rota_group group;

	rota_group_open(&group, &keep);
	for (int i = 0; i < MEMBERS; i++) {
		struct rota_spawn_options there = on_loop((uint32_t)i);

		if (i % 3)
			EXPECT_EQ(rota_group_spawn(&group, yield_some, STATUS(i)), 0);
		else
			EXPECT_EQ(
				rota_group_spawn_with(&group, yield_some, STATUS(i), NULL, &there),
				0);
		if (i % 100 == 99)
			take_all(&group, seen, 60);
	}
	take_all(&group, seen, MEMBERS - MEMBERS / 100 * 60);
	expect_end(&group);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	free(seen);
}

/* The end is not the end for ever. */
TASK_TEST(next, goes_on_after_the_end)
{
	struct rota_result result;
	struct rota_group group;

	rota_group_open(&group, &keep);
	for (int i = 0; i < 50; i++) {
		for (int k = 0; k < i % 4; k++)
			EXPECT_EQ(rota_group_spawn(&group, yield_some, STATUS(i)), 0);
		for (int k = 0; k < i % 4; k++) {
			EXPECT_EQ(rota_group_next(&group, &result), 1);
			EXPECT_EQ(result.status, i);
		}
		expect_end(&group);
	}
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

/* Members that spawn. */

struct spawner {
	struct rota_group *group;
	int levels;
};

static int spawn_on_other_loops(void *arg)
{
	const struct spawner *self = arg;
	struct spawner below = { self->group, self->levels - 1 };

	for (uint32_t i = 0; i < 3 && self->levels; i++) {
		struct rota_spawn_options there = on_loop((uint32_t)rota_loop_self() + i);

		there.arg_bytes = sizeof(below);
		EXPECT_EQ(rota_group_spawn_with(
				  self->group, spawn_on_other_loops, &below, NULL, &there),
			0);
	}
	return self->levels;
}

TASK_TEST(next, gives_those_that_members_spawned)
{
	static const int want[] = { 243, 81, 27, 9, 3, 1 };
	int seen[6] = { 0 };
	struct rota_result result;
	struct rota_group group;
	struct spawner first = { &group, 5 };
	int n;

	rota_group_open(&group, &keep);
	EXPECT_EQ(rota_group_spawn(&group, spawn_on_other_loops, &first), 0);
	while ((n = rota_group_next(&group, &result)) > 0)
		seen[result.status]++;
	EXPECT_EQ(n, 0);
	for (int i = 0; i < 6; i++)
		EXPECT_EQ(seen[i], want[i]);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

/* Limits: who has ended and was not taken does not count. */
TASK_TEST(next, kept_members_take_no_place)
{
	const struct rota_group_options options = {
		.flags = ROTA_GROUP_KEEP,
		.limit = 3,
	};
	unsigned char seen[100] = { 0 };
	struct rota_group group;

	rota_group_open(&group, &options);
	for (int i = 0; i < 100; i++) {
		EXPECT_EQ(rota_group_spawn(&group, yield_some, STATUS(i)), 0);
		EXPECT(rota_group_live(&group) <= 3);
	}
	EXPECT_EQ(rota_group_wait(&group), 0);
	EXPECT_EQ(rota_group_live(&group), 0);
	take_all(&group, seen, 100);
	expect_end(&group);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

/* A window of as many as you like: take one, spawn one. */
TASK_TEST(next, a_window_of_members)
{
	struct rota_result result;
	struct rota_group group;
	int taken = 0;
	int spawned;

	rota_group_open(&group, &keep);
	for (spawned = 0; spawned < 5; spawned++)
		EXPECT_EQ(rota_group_spawn(&group, yield_some, STATUS(spawned)), 0);
	while (rota_group_next(&group, &result) > 0) {
		taken++;
		if (spawned < 200)
			EXPECT_EQ(rota_group_spawn(&group, yield_some, STATUS(spawned++)), 0);
	}
	EXPECT_EQ(taken, 200);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

/* Handles. */

TASK_TEST(next, a_handle_is_valid_until_the_close)
{
	struct rota_result result;
	struct rota_group group;
	struct rota_task *task[20];

	rota_group_open(&group, &keep);
	for (int i = 0; i < 20; i++) {
		struct rota_spawn_options there = on_loop((uint32_t)i);

		EXPECT_EQ(
			rota_group_spawn_with(&group, yield_some, STATUS(i), &task[i], &there), 0);
	}
	for (int i = 0; i < 10; i++) {
		EXPECT_EQ(rota_group_next(&group, &result), 1);
		EXPECT(result.task == task[result.status]);
	}
	for (int i = 0; i < 20; i++) {
		int status = -1;

		EXPECT_EQ(rota_task_await(task[i], &status), 0);
		EXPECT_EQ(status, i);
	}
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

TASK_TEST(next, a_handle_may_be_released_at_any_time)
{
	struct rota_result result;
	struct rota_group group;
	int n;

	rota_group_open(&group, &keep);
	for (int i = 0; i < 300; i++) {
		struct rota_spawn_options there = on_loop((uint32_t)i);
		struct rota_task *task = NULL;

		EXPECT_EQ(rota_group_spawn_with(&group, yield_some, STATUS(i), &task, &there), 0);
		if (i % 4 == 0) /* before its end, mostly */
			rota_task_release(task);
		else if (i % 4 == 1) { /* after its end, before it is taken */
			EXPECT_EQ(rota_task_await(task, NULL), 0);
			rota_task_release(task);
		}
	}
	while ((n = rota_group_next(&group, &result)) > 0) {
		if (result.status % 4 < 2) {
			EXPECT(result.task == NULL);
			continue;
		}
		EXPECT(result.task != NULL);
		if (result.status % 4 == 2)
			rota_task_release(result.task);
	}
	EXPECT_EQ(n, 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

static int release_handle(void *arg)
{
	rota_task_release(arg);
	return 0;
}

TASK_TEST(next, a_handle_may_be_released_by_another_task)
{
	struct rota_result result;
	struct rota_group helpers;
	struct rota_group group;
	int count = 0;

	rota_group_open(&helpers, NULL);
	rota_group_open(&group, &keep);
	for (int i = 0; i < 300; i++) {
		struct rota_spawn_options there = on_loop((uint32_t)i);
		struct rota_task *task = spawn(&group, yield_some, STATUS(i));

		EXPECT_EQ(rota_group_spawn_with(&helpers, release_handle, task, NULL, &there), 0);
		if (i % 3 == 0)
			count += rota_group_next(&group, &result);
	}
	EXPECT_EQ(rota_group_wait(&helpers), 0);
	while (rota_group_next(&group, &result) > 0)
		count++;
	EXPECT_EQ(count, 300);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(rota_group_close(&helpers, 0), 0);
}

/* Nobody takes them. */
TASK_TEST(next, what_is_not_taken_goes_with_the_group)
{
	for (int taken = 0; taken < 40; taken += 8) {
		struct rota_result result;
		struct rota_group group;
		struct rota_task *task[30];

		rota_group_open(&group, &keep);
		for (int i = 0; i < 30; i++) {
			struct rota_spawn_options there = on_loop((uint32_t)i);

			EXPECT_EQ(rota_group_spawn_with(&group, yield_some, STATUS(i),
					  i % 2 ? &task[i] : NULL, &there),
				0);
		}
		for (int i = 0; i < taken && i < 30; i++)
			EXPECT_EQ(rota_group_next(&group, &result), 1);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
	}
}

/* Cancels. */

TASK_TEST(next, may_be_cut_short_and_tried_again)
{
	struct turn turn = { .number = 5 };
	struct rota_result result = { .status = 77 };
	struct rota_group group;

	rota_group_open(&group, &keep);
	EXPECT_EQ(rota_group_spawn(&group, wait_for_turn, &turn), 0);
	for (int i = 0; i < 20; i++)
		EXPECT_EQ(ROTA_WITHIN(i % 2 ? 0 : 20 * ROTA_MICROSECOND,
				  rota_group_next(&group, &result)),
			-ETIMEDOUT);
	EXPECT_EQ(result.status, 77);
	a32_store_release(&turn.go, 1);
	EXPECT_EQ(ROTA_WITHIN(HOUR, rota_group_next(&group, &result)), 1);
	EXPECT_EQ(result.status, 5);
	expect_end(&group);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

TASK_TEST(next, a_timeout_loses_nobody)
{
	unsigned char seen[300] = { 0 };
	struct rota_group group;
	int count = 0;

	rota_group_open(&group, &keep);
	for (int i = 0; i < 300; i++) {
		struct rota_spawn_options there = on_loop((uint32_t)i);

		EXPECT_EQ(rota_group_spawn_with(&group, yield_some, STATUS(i), NULL, &there), 0);
	}
	while (count < 300) {
		struct rota_result result = { .status = 0 };
		int n = ROTA_WITHIN(
			count % 5 * ROTA_MICROSECOND + 1, rota_group_next(&group, &result));

		if (n == -ETIMEDOUT) {
			EXPECT_EQ(rota_sleep(10 * ROTA_MICROSECOND), 0);
			continue;
		}
		if (!EXPECT_EQ(n, 1))
			break;
		EXPECT_EQ(seen[result.status]++, 0);
		count++;
	}
	expect_end(&group);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

TASK_TEST(next, is_refused_in_a_cancelled_group)
{
	struct rota_result result = { .status = 77 };
	struct rota_scope shield;
	struct rota_group group;

	rota_group_open(&group, &keep);
	EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(1)), 0);
	EXPECT_EQ(rota_group_spawn(&group, task_forever, NULL), 0);
	while (rota_group_live(&group) > 1)
		EXPECT_EQ(rota_yield(), 0);
	rota_group_cancel(&group, NULL);
	/* One is there: refused all the same. */
	EXPECT_EQ(rota_group_next(&group, &result), -ECANCELED);
	EXPECT_EQ(result.status, 77);
	/* What is left can be had in a shield. */
	rota_shield_open(&shield, ROTA_FOREVER);
	EXPECT_EQ(rota_group_next(&group, &result), 1);
	EXPECT_EQ(result.status, 1);
	EXPECT_EQ(rota_group_next(&group, &result), 1);
	EXPECT_EQ(result.status, -ECANCELED);
	expect_end(&group);
	EXPECT_EQ(rota_scope_close(&shield, 0), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

TASK_TEST(next, ends_when_a_member_fails_in_a_fail_fast_group)
{
	const struct rota_group_options options = { .flags = ROTA_GROUP_KEEP };
	struct rota_result result;
	struct rota_group group;
	struct turn turn = { .number = -EXDEV };

	rota_group_open(&group, &options);
	EXPECT_EQ(rota_group_spawn(&group, task_forever, NULL), 0);
	EXPECT_EQ(rota_group_spawn(&group, wait_for_turn, &turn), 0);
	EXPECT_EQ(ROTA_WITHIN(ROTA_MILLISECOND, rota_group_next(&group, &result)), -ETIMEDOUT);
	a32_store_release(&turn.go, 1);
	/* Its own result may be taken before the cancel, or not. */
	while (rota_group_next(&group, &result) > 0)
		EXPECT_EQ(result.status, -EXDEV);
	EXPECT_EQ(rota_yield(), -ECANCELED);
	EXPECT_EQ(rota_group_next(&group, &result), -ECANCELED);
	EXPECT_EQ(rota_group_close(&group, -ECANCELED), -EXDEV);
}

static int take_for_ever(void *arg)
{
	struct rota_result result;
	struct rota_group group;
	int err;

	rota_group_open(&group, &keep);
	EXPECT_EQ(rota_group_spawn(&group, task_forever, NULL), 0);
	a32_store_release(arg, 1);
	err = rota_group_next(&group, &result);
	EXPECT_EQ(rota_group_next(&group, &result), -ECANCELED);
	EXPECT_EQ(rota_group_close(&group, err), -ECANCELED);
	return err;
}

TASK_TEST(next, is_cut_short_by_a_cancel_of_the_owner)
{
	for (uint32_t loop = 0; loop < rota_loop_count(); loop++) {
		struct rota_spawn_options there = on_loop(loop);
		struct a32 ready = { 0 };
		struct rota_group group;
		struct rota_task *task;
		int status = 0;

		rota_group_open(&group, NULL);
		EXPECT_EQ(rota_group_spawn_with(&group, take_for_ever, &ready, &task, &there), 0);
		EXPECT(wait_cell(&ready, 1));
		rota_task_cancel(task, NULL);
		EXPECT_EQ(rota_task_await(task, &status), 0);
		EXPECT_EQ(status, -ECANCELED);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
	}
}

/* Policies. */

TASK_TEST(next, gives_errors_where_they_cancel_nobody)
{
	static const uint32_t policies[] = { ROTA_GROUP_COLLECT, ROTA_GROUP_FIRST_WINS };

	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		const struct rota_group_options options = {
			.flags = ROTA_GROUP_KEEP,
			.policy = policies[i],
		};
		struct rota_result result;
		struct rota_group group;

		rota_group_open(&group, &options);
		for (int k = 0; k < 10; k++)
			EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(-EXDEV)), 0);
		for (int k = 0; k < 10; k++) {
			EXPECT_EQ(rota_group_next(&group, &result), 1);
			EXPECT_EQ(result.status, -EXDEV);
		}
		expect_end(&group);
		EXPECT_EQ(rota_group_close(&group, 0), -EXDEV);
	}
}

/* Misuse. */

TASK_TEST(next, of_a_group_that_keeps_nobody)
{
	static const struct rota_group_options plain[] = { { .flags = 0 },
		{ .flags = ROTA_SPAWN_LOCAL }, { .limit = 3 }, { .name = "plain" } };
	struct rota_result result;

	for (size_t i = 0; i <= ARRAY_SIZE(plain); i++) {
		struct rota_group group;

		rota_group_open(&group, i < ARRAY_SIZE(plain) ? &plain[i] : NULL);
		EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(0)), 0);
		EXPECT_EQ(rota_group_next(&group, &result), -EINVAL);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
	}
}

TASK_TEST(next, of_a_closed_group)
{
	struct rota_group group = { { 0 } };
	struct rota_result result;

	EXPECT_EQ(rota_group_next(&group, &result), -EINVAL);
	rota_group_open(&group, &keep);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(rota_group_next(&group, &result), -EINVAL);
}

static int take_anothers(void *arg)
{
	struct rota_result result;

	EXPECT_EQ(rota_group_next(arg, &result), -EINVAL);
	return 0;
}

TASK_TEST(next, is_the_owners)
{
	struct rota_result result;
	struct rota_group group;

	rota_group_open(&group, &keep);
	EXPECT_EQ(rota_group_spawn(&group, take_anothers, &group), 0);
	EXPECT_EQ(rota_group_next(&group, &result), 1);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

Test(next, outside_a_task)
{
	struct rota_group group = { { 0 } };
	struct rota_result result;

	cr_expect_eq(rota_group_next(&group, &result), -ENXIO);
}
