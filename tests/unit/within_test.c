/* SPDX-License-Identifier: MIT */
/*
 * ROTA_WITHIN(): a timeout on one call.
 *
 * Behaviours of CPython's test_waitfor.py: wait_for in time, too late, with a timeout of nothing
 * and below, waits for what it cancels to end (also with a timeout of nothing), gives the error
 * that the cancelled one makes of it, a result at the last moment, cancel of who waits, a timeout
 * that never strikes. Left out: the case that a timeout of nothing still gives the result of what
 * is done already (here a struck scope refuses each call, ready or not), futures and their
 * callbacks.
 */
#include "unit.h"

TestSuite(within, .timeout = HANG_SECONDS);

#define HOUR (3600 * ROTA_SECOND)

TASK_TEST(within, gives_the_result_of_the_call)
{
	static const int64_t timeouts[] = { HOUR, ROTA_FOREVER };

	for (size_t i = 0; i < ARRAY_SIZE(timeouts); i++) {
		EXPECT_EQ(ROTA_WITHIN(timeouts[i], 7), 7);
		EXPECT_EQ(ROTA_WITHIN(timeouts[i], rota_yield()), 0);
		EXPECT_EQ(ROTA_WITHIN(timeouts[i], -EIO), -EIO);
		EXPECT_EQ(ROTA_WITHIN(timeouts[i], -ECANCELED), -ECANCELED);
		EXPECT_EQ(ROTA_WITHIN(timeouts[i], -ETIMEDOUT), -ETIMEDOUT);
	}
	EXPECT_EQ(rota_yield(), 0);
}

TASK_TEST(within, says_that_it_came_too_late)
{
	static const int64_t timeouts[] = { INT64_MIN, -1, 0, 1, ROTA_MICROSECOND,
		ROTA_MILLISECOND };

	for (size_t i = 0; i < ARRAY_SIZE(timeouts); i++) {
		EXPECT_EQ(ROTA_WITHIN(timeouts[i], rota_sleep(ROTA_FOREVER)), -ETIMEDOUT);
		EXPECT_EQ(rota_yield(), 0);
	}
}

TASK_TEST(within, is_an_expression)
{
	int n = ROTA_WITHIN(HOUR, 1) + ROTA_WITHIN(HOUR, 2) * ROTA_WITHIN(HOUR, 3);

	EXPECT_EQ(n, 7);
	n = ROTA_WITHIN(HOUR, rota_yield(), rota_yield(), 4);
	EXPECT_EQ(n, 4);
	if (ROTA_WITHIN(0, rota_yield()) != -ETIMEDOUT)
		EXPECT(false);
	else if (ROTA_WITHIN(HOUR, rota_yield()))
		EXPECT(false);
}

TASK_TEST(within, nests)
{
	/* The outer one is first: it is the outer one that says so. */
	EXPECT_EQ(ROTA_WITHIN(ROTA_MILLISECOND, ROTA_WITHIN(HOUR, rota_sleep(ROTA_FOREVER))),
		-ETIMEDOUT);
	/* The inner one is first: its result goes through the outer one. */
	EXPECT_EQ(ROTA_WITHIN(HOUR, ROTA_WITHIN(ROTA_MILLISECOND, rota_sleep(ROTA_FOREVER))),
		-ETIMEDOUT);
	EXPECT_EQ(ROTA_WITHIN(HOUR, ROTA_WITHIN(HOUR, ROTA_WITHIN(HOUR, 5))), 5);
	EXPECT_EQ(rota_yield(), 0);
}

TASK_TEST(within, an_outer_one_that_is_over_is_not_taken_for_the_inner_one)
{
	int inner = 0;

	EXPECT_EQ(
		ROTA_WITHIN(ROTA_MILLISECOND, inner = ROTA_WITHIN(HOUR, rota_sleep(ROTA_FOREVER))),
		-ETIMEDOUT);
	EXPECT_EQ(inner, -ECANCELED);
}

/* What one code for both would make an endless loop. */
static int try_again(int *tries)
{
	int err;

	do {
		++*tries;
		err = ROTA_WITHIN(100 * ROTA_MICROSECOND, rota_sleep(ROTA_FOREVER));
	} while (err == -ETIMEDOUT);
	return err;
}

TASK_TEST(within, a_loop_that_tries_again_stops_at_the_outer_deadline)
{
	struct rota_scope scope;
	int tries = 0;

	EXPECT_EQ(ROTA_WITHIN(5 * ROTA_MILLISECOND, try_again(&tries)), -ETIMEDOUT);
	EXPECT(tries >= 1);
	tries = 0;
	rota_scope_open(&scope, 0);
	EXPECT_EQ(try_again(&tries), -ECANCELED);
	EXPECT_EQ(tries, 1);
	EXPECT_EQ(rota_scope_close(&scope, 0), 0);
}

/* The same with a group that has a timeout, for what is tried. */
static int try_a_group(int *tries)
{
	const struct rota_group_options options = { .timeout_ns = 100 * ROTA_MICROSECOND };
	struct rota_group group;
	int err;

	do {
		++*tries;
		rota_group_open(&group, &options);
		EXPECT_EQ(rota_group_spawn(&group, task_forever, NULL), 0);
		err = rota_group_close(&group, 0);
	} while (err == -ETIMEDOUT);
	return err;
}

TASK_TEST(within, groups_that_are_tried_again_stop_as_well)
{
	struct rota_scope scope;
	int tries = 0;

	EXPECT_EQ(ROTA_WITHIN(5 * ROTA_MILLISECOND, try_a_group(&tries)), -ETIMEDOUT);
	EXPECT(tries >= 1);
	tries = 0;
	rota_scope_open(&scope, 0);
	EXPECT_EQ(try_a_group(&tries), -ECANCELED);
	EXPECT_EQ(tries, 1);
	EXPECT_EQ(rota_scope_close(&scope, 0), 0);
}

/* A call that waits for others. */

struct slow {
	struct a32 ended;
	int status;
};

/* Does not end at once when it is cancelled. */
static int end_slowly(void *arg)
{
	struct slow *slow = arg;
	struct rota_scope shield;

	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	rota_shield_open(&shield, HOUR);
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(rota_sleep(100 * ROTA_MICROSECOND), 0);
	a32_store_release(&slow->ended, 1);
	EXPECT_EQ(rota_scope_close(&shield, 0), 0);
	return slow->status;
}

static int call_slow(struct slow *slow)
{
	struct rota_call call = { .fn = end_slowly, .arg = slow };

	return rota_gather(&call, 1);
}

TASK_TEST(within, waits_for_what_it_cancels)
{
	static const int64_t timeouts[] = { 0, 100 * ROTA_MICROSECOND };

	for (size_t i = 0; i < ARRAY_SIZE(timeouts); i++) {
		struct slow slow = { .status = -ECANCELED };

		EXPECT_EQ(ROTA_WITHIN(timeouts[i], call_slow(&slow)), -ETIMEDOUT);
		EXPECT_EQ(a32_load_acquire(&slow.ended), 1);
	}
}

TASK_TEST(within, gives_the_error_that_the_cancelled_makes_of_it)
{
	struct slow slow = { .status = -EXDEV };

	EXPECT_EQ(ROTA_WITHIN(100 * ROTA_MICROSECOND, call_slow(&slow)), -EXDEV);
	EXPECT_EQ(a32_load_acquire(&slow.ended), 1);
}

TASK_TEST(within, an_await_leaves_the_task_alone)
{
	struct rota_group group;
	struct rota_task *task;
	int status = 1;

	rota_group_open(&group, NULL);
	task = spawn(&group, task_forever, NULL);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(ROTA_WITHIN(100 * ROTA_MICROSECOND, rota_task_await(task, &status)),
			-ETIMEDOUT);
	EXPECT_EQ(status, 1);
	EXPECT(rota_task_state(task) < ROTA_TASK_DONE);
	rota_task_cancel(task, NULL);
	EXPECT_EQ(ROTA_WITHIN(HOUR, rota_task_await(task, &status)), 0);
	EXPECT_EQ(status, -ECANCELED);
	/* What has ended is refused as well when the time is up. */
	status = 1;
	EXPECT_EQ(ROTA_WITHIN(0, rota_task_await(task, &status)), -ETIMEDOUT);
	EXPECT_EQ(status, 1);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

TASK_TEST(within, a_gather_is_cancelled_whole)
{
	struct rota_call calls[] = { { .fn = task_return, .arg = STATUS(4) },
		{ .fn = task_forever }, { .fn = task_forever } };

	EXPECT_EQ(ROTA_WITHIN(5 * ROTA_MILLISECOND, rota_gather(calls, 3)), -ETIMEDOUT);
	EXPECT_EQ(calls[0].status, 4);
	EXPECT_EQ(calls[1].status, -ECANCELED);
	EXPECT_EQ(calls[2].status, -ECANCELED);
}

/* The result comes when the time is up: the one or the other, and nothing lost. */
TASK_TEST(within, a_result_at_the_last_moment)
{
	for (int i = 0; i < 100; i++) {
		int64_t when = 50 * ROTA_MICROSECOND;
		struct rota_scope scope;
		int err;

		rota_scope_open(&scope, when);
		err = rota_sleep(when);
		EXPECT(err == 0 || err == -ECANCELED);
		EXPECT_EQ(rota_scope_close(&scope, err), err ? -ETIMEDOUT : 0);
	}
	EXPECT_EQ(rota_yield(), 0);
}

static int wait_within(void *arg)
{
	int err;

	a32_store_release(arg, 1);
	err = ROTA_WITHIN(HOUR, rota_sleep(ROTA_FOREVER));
	EXPECT_EQ(ROTA_WITHIN(HOUR, rota_yield()), -ECANCELED);
	EXPECT_EQ(ROTA_WITHIN(0, rota_yield()), -ECANCELED);
	return err;
}

TASK_TEST(within, a_cancel_of_who_waits_is_no_timeout)
{
	struct a32 ready = { 0 };
	struct rota_group group;
	struct rota_task *task;
	int status = 0;

	rota_group_open(&group, NULL);
	task = spawn(&group, wait_within, &ready);
	EXPECT(wait_cell(&ready, 1));
	rota_task_cancel(task, NULL);
	EXPECT_EQ(rota_task_await(task, &status), 0);
	EXPECT_EQ(status, -ECANCELED);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

Test(within, outside_a_task_the_call_is_made_and_refused)
{
	int calls = 0;

	cr_expect_eq(ROTA_WITHIN(HOUR, ++calls), -ENXIO);
	cr_expect_eq(calls, 1);
}
