/* SPDX-License-Identifier: MIT */
/*
 * rota_race(): the first of several calls that succeeds.
 *
 * Behaviours of CPython's test_tasks.py: wait for the first completed (one ends, the others are
 * cancelled and joined), with a timeout, with errors before the first success; of Trio's manual:
 * the race that is built from a nursery and its cancel. Left out: losers that go on (CPython's wait
 * leaves them running; here nothing outlives the call).
 */
#include "unit.h"

TestSuite(race, .timeout = HANG_SECONDS);

#define HOUR (3600 * ROTA_SECOND)

static int yield_and_return(void *arg)
{
	for (int i = 0; i < 10; i++)
		if (rota_yield())
			return -ECANCELED;
	return (int)(intptr_t)arg;
}

static int return_when_cancelled(void *arg)
{
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	return (int)(intptr_t)arg;
}

TASK_TEST(race, gives_the_index_of_the_first_success)
{
	for (int winner = 0; winner < 5; winner++) {
		struct rota_call calls[5];

		for (int i = 0; i < 5; i++)
			calls[i] = (struct rota_call){ .fn = task_forever, .status = 99 };
		calls[winner] = (struct rota_call){
			.fn = winner % 2 ? yield_and_return : task_return,
			.arg = STATUS(7 * winner),
		};
		EXPECT_EQ(rota_race(calls, 5), winner);
		for (int i = 0; i < 5; i++)
			EXPECT_EQ(calls[i].status, i == winner ? 7 * winner : -ECANCELED);
		EXPECT_EQ(rota_yield(), 0);
	}
}

TASK_TEST(race, of_one)
{
	struct rota_call call = { .fn = task_return, .arg = STATUS(0) };

	EXPECT_EQ(rota_race(&call, 1), 0);
	call.arg = STATUS(123);
	EXPECT_EQ(rota_race(&call, 1), 0);
	EXPECT_EQ(call.status, 123);
	call.arg = STATUS(-EXDEV);
	EXPECT_EQ(rota_race(&call, 1), -EXDEV);
	EXPECT_EQ(call.status, -EXDEV);
}

TASK_TEST(race, failures_do_not_end_it)
{
	struct rota_call calls[] = {
		{ .fn = task_return, .arg = STATUS(-ENOENT) },
		{ .fn = yield_and_return, .arg = STATUS(3) },
		{ .fn = task_return, .arg = STATUS(-EXDEV) },
		{ .fn = task_forever },
	};

	EXPECT_EQ(rota_race(calls, ARRAY_SIZE(calls)), 1);
	EXPECT_EQ(calls[0].status, -ENOENT);
	EXPECT_EQ(calls[1].status, 3);
	EXPECT_EQ(calls[2].status, -EXDEV);
	EXPECT_EQ(calls[3].status, -ECANCELED);
}

TASK_TEST(race, gives_an_error_when_all_fail)
{
	struct rota_call calls[20];

	for (int i = 0; i < 20; i++)
		calls[i] = (struct rota_call){
			.fn = i % 2 ? task_return : yield_and_return,
			.arg = STATUS(-EXDEV),
		};
	EXPECT_EQ(rota_race(calls, 20), -EXDEV);
	for (int i = 0; i < 20; i++)
		EXPECT_EQ(calls[i].status, -EXDEV);
	EXPECT_EQ(rota_yield(), 0);
}

struct chain {
	const struct chain *after; /* who ends before */
	struct a32 ended;
	int status;
};

static int end_in_turn(void *arg)
{
	struct chain *chain = arg;

	if (chain->after && !wait_cell((struct a32 *)&chain->after->ended, 1))
		return -EINTR;
	a32_store_release(&chain->ended, 1);
	return chain->status;
}

static int race_in_turn(void *arg)
{
	struct chain chain[3] = { { .after = &chain[1], .status = -ENOENT },
		{ .after = NULL, .status = -EXDEV }, { .after = &chain[0], .status = -EDOM } };
	struct rota_call calls[3];

	(void)arg;
	for (int i = 0; i < 3; i++)
		calls[i] = (struct rota_call){ .fn = end_in_turn, .arg = &chain[i] };
	EXPECT_EQ(rota_race(calls, 3), -EDOM);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(calls[i].status, chain[i].status);
	return 0;
}

/* On one loop, where who has said that it ends has ended before another one runs. */
Test(race, gives_the_last_error_when_all_fail)
{
	const struct rota_config config = { .loops = 1, .flags = ROTA_CONFIG_DEBUG };

	cr_expect_eq(rota_run(race_in_turn, NULL, &config), 0);
	report_failures();
}

/* More than one may succeed: one of them is it, and the others have their status. */
TASK_TEST(race, of_many_that_succeed)
{
	enum { CALLS = 100 };
	struct rota_call calls[CALLS];
	int winner;

	for (int i = 0; i < CALLS; i++)
		calls[i] = (struct rota_call){
			.fn = i % 3 ? task_return : return_when_cancelled,
			.arg = STATUS(i),
		};
	winner = rota_race(calls, CALLS);
	EXPECT(winner >= 0 && winner < CALLS);
	EXPECT(calls[winner].fn == task_return);
	for (int i = 0; i < CALLS; i++)
		EXPECT_EQ(calls[i].status, i);
}

TASK_TEST(race, the_losers_have_ended_when_it_returns)
{
	struct rota_call calls[] = {
		{ .fn = return_when_cancelled, .arg = STATUS(-EDOM) },
		{ .fn = return_when_cancelled, .arg = STATUS(5) },
		{ .fn = yield_and_return, .arg = STATUS(0) },
	};

	for (int i = 0; i < 20; i++) {
		EXPECT_EQ(rota_race(calls, ARRAY_SIZE(calls)), 2);
		EXPECT_EQ(calls[0].status, -EDOM);
		EXPECT_EQ(calls[1].status, 5);
		EXPECT_EQ(calls[2].status, 0);
	}
}

struct meeting {
	struct a32 here;
	uint32_t wanted;
};

static int meet(void *arg)
{
	struct meeting *meeting = arg;

	a32_add_acq_rel(&meeting->here, 1);
	return wait_cell(&meeting->here, meeting->wanted) ? 0 : -ECANCELED;
}

TASK_TEST(race, runs_them_at_the_same_time)
{
	struct rota_call calls[50];
	struct meeting meeting = { .wanted = ARRAY_SIZE(calls) };

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		calls[i] = (struct rota_call){ .fn = meet, .arg = &meeting };
	EXPECT(rota_race(calls, ARRAY_SIZE(calls)) >= 0);
	EXPECT_EQ(a32_load_relaxed(&meeting.here), ARRAY_SIZE(calls));
}

static int expect_name(void *arg)
{
	EXPECT_STR_EQ(rota_task_name(), arg);
	return -EXDEV;
}

TASK_TEST(race, names_its_tasks)
{
	struct rota_call calls[] = {
		{ .fn = expect_name, .arg = (char[]){ "v6" }, .name = "v6" },
		{ .fn = expect_name, .arg = (char[]){ "" } },
	};

	EXPECT_EQ(rota_race(calls, ARRAY_SIZE(calls)), -EXDEV);
}

/* Cancels. */

static int race_forever(void *arg)
{
	struct rota_call calls[] = { { .fn = task_forever }, { .fn = task_forever } };
	int status;

	a32_store_release(arg, 1);
	status = rota_race(calls, ARRAY_SIZE(calls));
	EXPECT_EQ(calls[0].status, -ECANCELED);
	EXPECT_EQ(calls[1].status, -ECANCELED);
	return status;
}

TASK_TEST(race, passes_a_cancel_on)
{
	struct a32 ready = { 0 };
	struct rota_group group;
	struct rota_task *task;
	int status = 0;

	rota_group_open(&group, NULL);
	task = spawn(&group, race_forever, &ready);
	EXPECT(wait_cell(&ready, 1));
	rota_task_cancel(task, NULL);
	EXPECT_EQ(rota_task_await(task, &status), 0);
	EXPECT_EQ(status, -ECANCELED);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

TASK_TEST(race, in_a_scope_that_is_struck)
{
	struct rota_call calls[] = { { .fn = task_forever }, { .fn = yield_and_return } };
	struct rota_scope scope;

	rota_scope_open(&scope, 0);
	EXPECT_EQ(rota_race(calls, ARRAY_SIZE(calls)), -ECANCELED);
	EXPECT_EQ(calls[0].status, -ECANCELED);
	EXPECT_EQ(calls[1].status, -ECANCELED);
	EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
}

TASK_TEST(race, against_the_clock)
{
	struct rota_call calls[] = { { .fn = task_forever },
		{ .fn = task_return, .arg = STATUS(-EXDEV) }, { .fn = task_forever } };

	for (int i = 0; i < 5; i++)
		EXPECT_EQ(ROTA_WITHIN(100 * ROTA_MICROSECOND, rota_race(calls, 1)), -ETIMEDOUT);
	EXPECT_EQ(rota_yield(), 0);
	/* One was refused, the others hang: it was not that all have failed. */
	EXPECT_EQ(ROTA_WITHIN(20 * ROTA_MILLISECOND, rota_race(calls, 3)), -ETIMEDOUT);
	EXPECT_EQ(calls[0].status, -ECANCELED);
	EXPECT_EQ(calls[1].status, -EXDEV);
	EXPECT_EQ(calls[2].status, -ECANCELED);
}

/* Calls that make an error of their cancel: it was cancelled before one won. */
TASK_TEST(race, calls_that_fail_of_their_cancel)
{
	struct rota_call calls[] = {
		{ .fn = return_when_cancelled, .arg = STATUS(-EXDEV) },
		{ .fn = return_when_cancelled, .arg = STATUS(-EXDEV) },
	};

	EXPECT_EQ(ROTA_WITHIN(ROTA_MILLISECOND, rota_race(calls, 2)), -ETIMEDOUT);
	EXPECT_EQ(calls[0].status, -EXDEV);
	EXPECT_EQ(calls[1].status, -EXDEV);
}

/* Races in races. */

static int race_below(void *arg)
{
	struct rota_call calls[] = { { .fn = task_forever },
		{ .fn = yield_and_return, .arg = arg } };

	return rota_race(calls, ARRAY_SIZE(calls));
}

TASK_TEST(race, nests)
{
	struct rota_call calls[] = { { .fn = race_below, .arg = STATUS(-EXDEV) },
		{ .fn = race_below, .arg = STATUS(0) }, { .fn = task_forever } };

	/* The first one waits for ever: its inner race has no winner. */
	EXPECT_EQ(rota_race(calls, ARRAY_SIZE(calls)), 1);
	EXPECT_EQ(calls[0].status, -ECANCELED);
	EXPECT_EQ(calls[1].status, 1);
}

/* Misuse. */

TASK_TEST(race, of_nobody_has_no_winner)
{
	struct rota_call call = { .fn = task_return };

	EXPECT_EQ(rota_race(NULL, 0), -EINVAL);
	EXPECT_EQ(rota_race(&call, 0), -EINVAL);
}

TASK_TEST(race, refuses_a_call_without_a_function)
{
	struct rota_call calls[] = { { .fn = task_forever }, { .fn = NULL } };

	EXPECT_EQ(rota_race(calls, ARRAY_SIZE(calls)), -EINVAL);
	EXPECT_EQ(calls[0].status, -ECANCELED);
	EXPECT_EQ(rota_yield(), 0);
}

Test(race, outside_a_task_is_refused)
{
	struct rota_call call = { .fn = task_return };

	cr_expect_eq(rota_race(&call, 1), -ENXIO);
}
