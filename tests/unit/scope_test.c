/* SPDX-License-Identifier: MIT */
/*
 * One scope at a time: its deadline, its cancel, its close. Several of them are in nest_test.c,
 * shields in shield_test.c, who cancels and in what wait in scope_cancel_test.c, what members
 * inherit in inherit_test.c, misuse in scope_misuse_test.c, ROTA_WITHIN() in within_test.c.
 *
 * Behaviours of CPython's test_timeouts.py: basic, at, not called, disabled, zero, zero with a
 * sleep of zero, in the past, foreign error passed on and on timeout, reschedule (also after the
 * expiry and after the end), entered twice one after the other, outside a task. Of Trio's
 * test_run.py and test_timeouts.py: cancel twice, level-triggered, cancel before the first wait,
 * basic timeout with moved deadlines, a pending cancel that is closed before it was seen, yields
 * that see a deadline, cancel of a closed scope. Left out: their repr and exception plumbing (no
 * such thing here); entering an open one again (the memory is the caller's: nothing could be found
 * out); NaN; a cancel before the open (Trio's unbound scopes: here it is harmless).
 */
#include "unit.h"

TestSuite(scope, .timeout = HANG_SECONDS);

#define HOUR (3600 * ROTA_SECOND)

/* Calls outside of any scope that is struck. */
static void expect_calls_go_on(void)
{
	EXPECT_EQ(rota_cancelled(), 0);
	EXPECT_EQ(rota_yield(), 0);
	EXPECT_EQ(rota_sleep(1), 0);
}

/* The close. */

static const int statuses[] = { 0, 1, 255, INT32_MAX, -EIO, -ECANCELED, -ETIMEDOUT, INT32_MIN };

TASK_TEST(scope, a_quiet_scope_gives_the_status)
{
	static const int64_t timeouts[] = { HOUR, ROTA_FOREVER, ROTA_FOREVER - 1,
		ROTA_FOREVER / 2 };

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(timeouts); k++) {
			struct rota_scope scope;

			rota_scope_open(&scope, timeouts[k]);
			EXPECT_EQ(rota_scope_cause(&scope), 0);
			expect_calls_go_on();
			EXPECT_EQ(rota_scope_close(&scope, statuses[i]), statuses[i]);
			EXPECT_EQ(rota_scope_cause(&scope), 0);
		}
	}
}

TASK_TEST(scope, a_result_beats_the_deadline)
{
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		int want = statuses[i] == -ECANCELED ? -ETIMEDOUT : statuses[i];
		struct rota_scope scope;

		rota_scope_open(&scope, 0);
		EXPECT_EQ(rota_scope_close(&scope, statuses[i]), want);
		EXPECT_EQ(rota_scope_cause(&scope), -ETIMEDOUT);
		expect_calls_go_on();
	}
}

TASK_TEST(scope, a_cancel_never_becomes_a_timeout)
{
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		struct rota_scope scope;

		rota_scope_open(&scope, HOUR);
		rota_scope_cancel(&scope, NULL);
		EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
		EXPECT_EQ(rota_scope_close(&scope, statuses[i]), statuses[i]);
		EXPECT_EQ(rota_scope_cause(&scope), -ECANCELED);
		expect_calls_go_on();
	}
}

TASK_TEST(scope, what_was_done_before_the_cancel_is_not_lost)
{
	struct rota_scope scope;
	int fd[2];
	char c = 0;
	int n;

	EXPECT_EQ(pipe2(fd, O_CLOEXEC), 0);
	EXPECT_EQ(write(fd[1], "x", 1), 1);
	rota_scope_open(&scope, HOUR);
	n = rota_read(fd[0], &c, 1);
	rota_scope_cancel(&scope, NULL);
	EXPECT_EQ(rota_scope_close(&scope, n), 1);
	EXPECT_EQ(c, 'x');
	rota_close(fd[0]);
	rota_close(fd[1]);
}

/* All zero, closed, used again. */

static void expect_closed(struct rota_scope *scope)
{
	rota_scope_cancel(scope, "nobody");
	rota_scope_set_deadline(scope, 0);
	rota_scope_set_deadline(scope, ROTA_FOREVER);
	expect_calls_go_on();
	EXPECT_EQ(rota_scope_close(scope, 0), -EINVAL);
	EXPECT_EQ(rota_scope_close(scope, 5), -EINVAL);
	EXPECT_EQ(rota_scope_close(scope, -ECANCELED), -EINVAL);
	rota_scope_cleanup(scope);
	expect_calls_go_on();
}

TASK_TEST(scope, all_zero_is_closed)
{
	struct rota_scope scope = { { 0 } };

	EXPECT_EQ(rota_scope_cause(&scope), 0);
	expect_closed(&scope);
	EXPECT_EQ(rota_scope_cause(&scope), 0);
}

TASK_TEST(scope, a_closed_one_refuses_everything_and_opens_again)
{
	struct rota_scope scope = { { 0 } };

	for (int round = 0; round < 100; round++) {
		rota_scope_open(&scope, round % 2 ? 0 : HOUR);
		EXPECT_EQ(rota_scope_cause(&scope), round % 2 ? -ETIMEDOUT : 0);
		EXPECT_EQ(rota_yield(), round % 2 ? -ECANCELED : 0);
		EXPECT_EQ(rota_scope_close(&scope, 3), 3);
		EXPECT_EQ(rota_scope_cause(&scope), round % 2 ? -ETIMEDOUT : 0);
		expect_closed(&scope);
		EXPECT_EQ(rota_scope_cause(&scope), round % 2 ? -ETIMEDOUT : 0);
	}
}

TASK_TEST(scope, what_the_memory_held_before_does_not_matter)
{
	struct rota_scope scope;

	for (int i = 0; i < 256; i++) {
		memset(&scope, i, sizeof(scope));
		rota_scope_open(&scope, HOUR);
		EXPECT_EQ(rota_scope_cause(&scope), 0);
		EXPECT_EQ(rota_cancelled(), 0);
		EXPECT_EQ(rota_scope_close(&scope, i), i);
	}
}

Test(scope, outside_a_task_it_stays_closed)
{
	struct rota_scope scope;

	for (int i = 0; i < 3; i++) {
		memset(&scope, 0xff, sizeof(scope));
		if (i == 0)
			rota_scope_open(&scope, 0);
		else if (i == 1)
			rota_scope_open_until(&scope, 0);
		else
			rota_shield_open(&scope, 0);
		cr_expect_eq(rota_scope_cause(&scope), 0);
		rota_scope_cancel(&scope, "nobody");
		rota_scope_set_deadline(&scope, 0);
		cr_expect_eq(rota_scope_close(&scope, 0), -ENXIO);
		rota_scope_cleanup(&scope);
		cr_expect_eq(rota_scope_cause(&scope), 0);
	}
	cr_expect_eq(rota_cancelled(), 0);
	cr_expect_eq(rota_draining(), 0);
	cr_expect_str_eq(rota_cancel_reason(), "");
	cr_expect_eq(rota_deadline(), ROTA_FOREVER);
}

/* The deadline. */

TASK_TEST(scope, the_deadline_cuts_a_wait_short)
{
	static const int64_t timeouts[] = { 1, ROTA_MICROSECOND, ROTA_MILLISECOND,
		7 * ROTA_MILLISECOND };

	for (size_t i = 0; i < ARRAY_SIZE(timeouts); i++) {
		int64_t begin = rota_now();
		struct rota_scope scope;

		rota_scope_open(&scope, timeouts[i]);
		EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
		EXPECT(rota_now() - begin >= timeouts[i]);
		EXPECT_EQ(rota_cancelled(), -ECANCELED);
		EXPECT_EQ(rota_scope_cause(&scope), -ETIMEDOUT);
		EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
		EXPECT_EQ(rota_scope_cause(&scope), -ETIMEDOUT);
		expect_calls_go_on();
	}
}

TASK_TEST(scope, an_absolute_deadline_is_never_early)
{
	for (int i = 0; i < 5; i++) {
		int64_t when = rota_now() + i * ROTA_MILLISECOND;
		struct rota_scope scope;

		rota_scope_open_until(&scope, when);
		EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
		EXPECT(rota_now() >= when);
		EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
	}
}

/* The loop of a task that never sleeps turns as well. */
TASK_TEST(scope, the_deadline_reaches_a_task_that_only_yields)
{
	struct rota_scope scope;

	rota_scope_open(&scope, ROTA_MILLISECOND);
	while (!rota_yield())
		;
	EXPECT_EQ(rota_yield(), -ECANCELED);
	EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
	expect_calls_go_on();
}

TASK_TEST(scope, a_timeout_of_nothing_strikes_at_once)
{
	static const int64_t timeouts[] = { 0, -1, -HOUR, INT64_MIN + 1, INT64_MIN };

	for (size_t i = 0; i < ARRAY_SIZE(timeouts); i++) {
		struct rota_scope scope;

		rota_scope_open(&scope, timeouts[i]);
		EXPECT_EQ(rota_cancelled(), -ECANCELED);
		EXPECT_EQ(rota_scope_cause(&scope), -ETIMEDOUT);
		EXPECT_EQ(rota_sleep(0), -ECANCELED);
		EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
		EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
		expect_calls_go_on();
	}
}

TASK_TEST(scope, a_deadline_in_the_past_strikes_at_once)
{
	const int64_t whens[] = { INT64_MIN, INT64_MIN + 1, -1, 0, 1, rota_now() - 1, rota_now() };

	for (size_t i = 0; i < ARRAY_SIZE(whens); i++) {
		struct rota_scope scope;

		rota_scope_open_until(&scope, whens[i]);
		EXPECT_EQ(rota_cancelled(), -ECANCELED);
		EXPECT_EQ(rota_scope_cause(&scope), -ETIMEDOUT);
		EXPECT_EQ(rota_yield(), -ECANCELED);
		EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
		expect_calls_go_on();
	}
}

TASK_TEST(scope, forever_never_strikes)
{
	static const int64_t whens[] = { ROTA_FOREVER, ROTA_FOREVER - 1, ROTA_FOREVER / 2 };

	for (size_t i = 0; i < ARRAY_SIZE(whens); i++) {
		struct rota_scope scope;

		rota_scope_open_until(&scope, whens[i]);
		expect_calls_go_on();
		EXPECT_EQ(rota_sleep(ROTA_MILLISECOND), 0);
		EXPECT_EQ(rota_scope_close(&scope, 0), 0);
		EXPECT_EQ(rota_scope_cause(&scope), 0);
	}
}

TASK_TEST(scope, a_deadline_after_the_close_strikes_nobody)
{
	struct rota_scope scope[20];

	for (size_t i = 0; i < ARRAY_SIZE(scope); i++) {
		rota_scope_open(&scope[i], 20 * ROTA_MILLISECOND);
		EXPECT_EQ(rota_scope_close(&scope[i], 0), 0);
	}
	EXPECT_EQ(rota_sleep(25 * ROTA_MILLISECOND), 0);
	for (size_t i = 0; i < ARRAY_SIZE(scope); i++)
		EXPECT_EQ(rota_scope_cause(&scope[i]), 0);
	expect_calls_go_on();
}

/* Level-triggered: every call that returns an int and may suspend, and each time. */

struct things {
	struct rota_group *group; /* with a limit of 1, and full */
	struct rota_task *ended;
	int fd[2];
};

static void expect_all_refused(const struct things *things)
{
	struct rota_call call = { .fn = task_return };
	struct rota_group *group = things->group;
	char c = 'x';

	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT_EQ(rota_sleep(1), -ECANCELED);
	EXPECT_EQ(rota_sleep(0), -ECANCELED);
	EXPECT_EQ(rota_sleep(-1), -ECANCELED);
	EXPECT_EQ(rota_sleep_until(0), -ECANCELED);
	EXPECT_EQ(rota_sleep_until(ROTA_FOREVER), -ECANCELED);
	EXPECT_EQ(rota_yield(), -ECANCELED);
	EXPECT_EQ(rota_task_await(things->ended, NULL), -ECANCELED);
	EXPECT_EQ(rota_group_wait(group), -ECANCELED);
	EXPECT_EQ(rota_group_spawn(group, task_return, STATUS(0)), -ECANCELED);
	/* Ready, every one of them: refused all the same. */
	EXPECT_EQ(rota_read(things->fd[0], &c, 1), -ECANCELED);
	EXPECT_EQ(rota_write(things->fd[1], &c, 1), -ECANCELED);
	EXPECT_EQ(rota_write_all(things->fd[1], &c, 1, NULL), -ECANCELED);
	EXPECT_EQ(rota_open("/", O_RDONLY, 0), -ECANCELED);
	EXPECT_EQ(rota_gather(&call, 1), -ECANCELED);
}

static void open_things(struct things *things, struct rota_group *group)
{
	things->group = group;
	EXPECT_EQ(pipe2(things->fd, O_CLOEXEC), 0);
	EXPECT_EQ(write(things->fd[1], "xyz", 3), 3);
	things->ended = spawn(group, task_return, STATUS(0));
	EXPECT_EQ(rota_task_await(things->ended, NULL), 0);
	EXPECT_EQ(rota_group_wait(group), 0);
	spawn(group, task_forever, NULL);
}

TASK_TEST(scope, a_struck_scope_refuses_each_call_each_time)
{
	const struct rota_group_options full = { .limit = 1 };
	struct rota_scope scope;
	struct rota_group group;
	struct things things;

	rota_group_open(&group, &full);
	open_things(&things, &group);
	for (int cancel = 0; cancel < 2; cancel++) {
		rota_scope_open(&scope, cancel ? HOUR : 0);
		if (cancel)
			rota_scope_cancel(&scope, NULL);
		for (int i = 0; i < 3; i++)
			expect_all_refused(&things);
		EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), cancel ? -ECANCELED : -ETIMEDOUT);
		expect_calls_go_on();
	}
	rota_close(things.fd[0]);
	rota_close(things.fd[1]);
	/* The refused spawn is the group's result. */
	EXPECT_EQ(rota_group_close(&group, -EDOM), -EDOM);
}

/* What finishes always, and what does not suspend. */
TASK_TEST(scope, a_struck_scope_leaves_the_rest_alone)
{
	struct a32 count = { 0 };
	struct rota_scope scope;
	struct rota_group group;
	int fd;

	rota_scope_open(&scope, 0);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	EXPECT_EQ(rota_close(fd), 0);
	EXPECT_EQ(fcntl(fd, F_GETFD), -1);
	EXPECT_EQ(rota_fail(-EIO, "as it is"), -EIO);
	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, task_count, &count), 0);
	EXPECT_EQ(rota_group_close(&group, 0), -ECANCELED);
	EXPECT_EQ(a32_load_relaxed(&count), 1);
	EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
}

/* The cancel. */

TASK_TEST(scope, the_owner_may_cancel_its_own)
{
	struct rota_scope scope;

	rota_scope_open(&scope, ROTA_FOREVER);
	expect_calls_go_on();
	rota_scope_cancel(&scope, "enough");
	/* At once: there is no way to go for it. */
	EXPECT_EQ(rota_cancelled(), -ECANCELED);
	EXPECT_EQ(rota_scope_cause(&scope), -ECANCELED);
	EXPECT_EQ(rota_yield(), -ECANCELED);
	rota_scope_cancel(&scope, NULL);
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ECANCELED);
	expect_calls_go_on();
}

TASK_TEST(scope, a_cancel_that_nobody_saw_is_gone_with_the_scope)
{
	struct rota_scope scope;

	for (int i = 0; i < 100; i++) {
		rota_scope_open(&scope, ROTA_FOREVER);
		rota_scope_cancel(&scope, NULL);
		EXPECT_EQ(rota_scope_close(&scope, i), i);
		EXPECT_EQ(rota_scope_cause(&scope), -ECANCELED);
		expect_calls_go_on();
	}
}

TASK_TEST(scope, the_first_cause_stays)
{
	struct rota_scope scope;

	rota_scope_open(&scope, 0);
	rota_scope_cancel(&scope, "too late");
	EXPECT_EQ(rota_scope_cause(&scope), -ETIMEDOUT);
	EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
	rota_scope_cancel(&scope, "much too late");
	EXPECT_EQ(rota_scope_cause(&scope), -ETIMEDOUT);

	rota_scope_open(&scope, HOUR);
	rota_scope_cancel(&scope, "first");
	rota_scope_set_deadline(&scope, rota_now());
	EXPECT_EQ(rota_yield(), -ECANCELED);
	EXPECT_EQ(rota_scope_cause(&scope), -ECANCELED);
	EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ECANCELED);
	EXPECT_EQ(rota_scope_cause(&scope), -ECANCELED);
}

TASK_TEST(scope, a_deadline_after_the_cancel_is_no_cause)
{
	struct rota_scope shield;
	struct rota_scope scope;

	rota_scope_open(&scope, 2 * ROTA_MILLISECOND);
	rota_scope_cancel(&scope, "first");
	rota_shield_open(&shield, ROTA_FOREVER);
	EXPECT_EQ(rota_sleep(5 * ROTA_MILLISECOND), 0);
	EXPECT_EQ(rota_scope_close(&shield, 0), 0);
	EXPECT_EQ(rota_scope_cause(&scope), -ECANCELED);
	EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ECANCELED);
}

/* Reasons. */

TASK_TEST(scope, the_first_reason_stays)
{
	char want[64] = "";
	char text[200];
	struct rota_scope scope;

	EXPECT_STR_EQ(rota_cancel_reason(), "");
	rota_scope_open(&scope, ROTA_FOREVER);
	EXPECT_STR_EQ(rota_cancel_reason(), "");
	memset(text, 'r', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memset(want, 'r', 63);
	rota_scope_cancel(&scope, text);
	text[0] = 'x'; /* copied */
	rota_scope_cancel(&scope, "second");
	EXPECT_STR_EQ(rota_cancel_reason(), want);
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT_STR_EQ(rota_cancel_reason(), want);
	EXPECT_EQ(rota_scope_close(&scope, 0), 0);
	EXPECT_STR_EQ(rota_cancel_reason(), "");
}

TASK_TEST(scope, a_reason_is_of_one_opening)
{
	struct rota_scope scope;

	for (int i = 0; i < 3; i++) {
		rota_scope_open(&scope, ROTA_FOREVER);
		rota_scope_cancel(&scope, i == 0 ? "with" : NULL);
		EXPECT_STR_EQ(rota_cancel_reason(), i == 0 ? "with" : "");
		EXPECT_EQ(rota_scope_close(&scope, 0), 0);
	}
}

/* Moving the deadline. */

TASK_TEST(scope, a_deadline_may_come_earlier)
{
	struct rota_scope scope;
	int64_t when;

	for (int i = 0; i < 2; i++) {
		rota_scope_open(&scope, i ? ROTA_FOREVER : HOUR);
		EXPECT_EQ(rota_yield(), 0);
		when = rota_now() + ROTA_MILLISECOND;
		rota_scope_set_deadline(&scope, when);
		EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
		EXPECT(rota_now() >= when);
		EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
		expect_calls_go_on();
	}
}

TASK_TEST(scope, a_deadline_may_come_later_or_never)
{
	struct rota_scope scope;

	for (int i = 0; i < 2; i++) {
		int64_t first = rota_now() + 20 * ROTA_MILLISECOND;

		rota_scope_open_until(&scope, first);
		rota_scope_set_deadline(&scope, i ? ROTA_FOREVER : first + HOUR);
		EXPECT_EQ(rota_sleep_until(first + ROTA_MILLISECOND), 0);
		expect_calls_go_on();
		EXPECT_EQ(rota_scope_cause(&scope), 0);
		EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ECANCELED);
	}
}

TASK_TEST(scope, a_deadline_moved_into_the_past_strikes_at_once)
{
	const int64_t whens[] = { INT64_MIN, -1, 0, rota_now() };

	for (size_t i = 0; i < ARRAY_SIZE(whens); i++) {
		struct rota_scope scope;

		rota_scope_open(&scope, i % 2 ? ROTA_FOREVER : HOUR);
		rota_scope_set_deadline(&scope, whens[i]);
		EXPECT_EQ(rota_cancelled(), -ECANCELED);
		EXPECT_EQ(rota_scope_cause(&scope), -ETIMEDOUT);
		EXPECT_EQ(rota_sleep(0), -ECANCELED);
		EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
	}
}

TASK_TEST(scope, one_that_has_struck_stays_struck)
{
	static const int64_t whens[] = { ROTA_FOREVER, ROTA_FOREVER - 1, 0 };
	struct rota_scope scope;

	for (size_t i = 0; i < ARRAY_SIZE(whens); i++) {
		for (int cancel = 0; cancel < 2; cancel++) {
			int cause = cancel ? -ECANCELED : -ETIMEDOUT;

			rota_scope_open(&scope, cancel ? HOUR : 0);
			if (cancel)
				rota_scope_cancel(&scope, NULL);
			rota_scope_set_deadline(&scope, whens[i]);
			EXPECT_EQ(rota_yield(), -ECANCELED);
			EXPECT_EQ(rota_scope_cause(&scope), cause);
			EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), cause);
		}
	}
}

/* A watchdog that is fed: as often as it likes, and the last word counts. */
TASK_TEST(scope, a_deadline_may_move_often)
{
	int64_t begin = rota_now();
	struct rota_scope scope;

	rota_scope_open(&scope, 50 * ROTA_MILLISECOND);
	for (int i = 0; i < 1000; i++)
		rota_scope_set_deadline(
			&scope, i % 3 ? begin + HOUR + i * 7919 % 1000 : ROTA_FOREVER);
	EXPECT_EQ(rota_sleep_until(begin + 60 * ROTA_MILLISECOND), 0);
	rota_scope_set_deadline(&scope, rota_now() + ROTA_MILLISECOND);
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
}

TASK_TEST(scope, functions_behind_the_macros_work)
{
	struct rota_scope scope;

	(rota_scope_open)(&scope, 0);
	EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
	(rota_scope_open_until)(&scope, 0);
	EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
	(rota_shield_open)(&scope, ROTA_FOREVER);
	EXPECT_EQ(rota_scope_close(&scope, 4), 4);
	rota_scope_open_at("by hand", &scope, ROTA_FOREVER);
	rota_scope_cancel(&scope, NULL);
	EXPECT_EQ(rota_yield(), -ECANCELED);
	EXPECT_EQ(rota_scope_close(&scope, 0), 0);
}

/* ROTA_SCOPE(). */

static int leave_by_return(int how)
{
	ROTA_SCOPE(scope, HOUR);

	rota_scope_cancel(&scope, NULL);
	EXPECT_EQ(rota_yield(), -ECANCELED);
	if (how == 0)
		return -EDOM;
	if (how == 1)
		return rota_scope_close(&scope, 9);
	goto out;
out:
	return how;
}

TASK_TEST(scope, the_cleanup_form_closes_on_every_way_out)
{
	int rounds = 0;

	EXPECT_EQ(leave_by_return(0), -EDOM);
	expect_calls_go_on();
	EXPECT_EQ(leave_by_return(1), 9);
	expect_calls_go_on();
	EXPECT_EQ(leave_by_return(2), 2);
	expect_calls_go_on();
	for (int i = 0; i < 10; i++) {
		ROTA_SCOPE(scope, 0);

		EXPECT_EQ(rota_yield(), -ECANCELED);
		rounds++;
		if (i % 2)
			continue;
		if (i == 8)
			break;
	}
	EXPECT_EQ(rounds, 9);
	expect_calls_go_on();
}

TASK_TEST(scope, several_cleanup_forms_close_inside_out)
{
	{
		ROTA_SCOPE(outer, HOUR);
		ROTA_SHIELD(shield, ROTA_FOREVER);
		ROTA_SCOPE(inner, HOUR);

		rota_scope_cancel(&outer, NULL);
		EXPECT_EQ(rota_yield(), 0);
		rota_scope_cancel(&inner, NULL);
		EXPECT_EQ(rota_yield(), -ECANCELED);
		EXPECT_EQ(rota_scope_cause(&shield), 0);
	}
	expect_calls_go_on();
}

/* Computing: the loop does not turn meanwhile. */

TASK_TEST(scope, a_deadline_that_passed_while_computing_strikes_the_next_wait)
{
	int64_t when = rota_now() + ROTA_MILLISECOND;
	struct rota_scope scope;

	rota_scope_open_until(&scope, when);
	while (rota_now() < when + ROTA_MILLISECOND)
		;
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
}

TASK_TEST(scope, a_loop_that_computes_can_ask)
{
	int64_t when = rota_now() + ROTA_MILLISECOND;
	struct rota_scope scope;

	rota_scope_open_until(&scope, when);
	while (!rota_cancelled())
		(void)rota_now();
	EXPECT(rota_now() >= when);
	EXPECT_EQ(rota_cancelled(), -ECANCELED);
	EXPECT_EQ(rota_scope_cause(&scope), -ETIMEDOUT);
	EXPECT_EQ(rota_yield(), -ECANCELED);
	EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
	expect_calls_go_on();
}
