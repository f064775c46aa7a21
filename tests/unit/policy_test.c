/* SPDX-License-Identifier: MIT */
/*
 * The policies of groups: each row of the cancellation table, for each policy and each status of
 * the owner. Fail-fast has more in cancel_table_test.c, the grace is in grace_test.c.
 *
 * Behaviours of CPython's test_tasks.py: gather with return_exceptions (collect: all run to their
 * end), wait for the first completed and the first exception; of its test_taskgroups.py: children
 * are cancelled on an error of a child (three of them fail), an error of the body, a cancel from
 * outside with and without members, members that make another error of their cancel, no failure
 * when cancelled, spawning from members while the group fails. Left out: groups of exceptions (a
 * status is one number: the first), KeyboardInterrupt and SystemExit.
 */
#include "unit.h"

TestSuite(policy, .timeout = HANG_SECONDS);

#define HOUR (3600 * ROTA_SECOND)

static const struct rota_group_options fail_fast = { .policy = ROTA_GROUP_FAIL_FAST };
static const struct rota_group_options collect = { .policy = ROTA_GROUP_COLLECT };
static const struct rota_group_options first_wins = { .policy = ROTA_GROUP_FIRST_WINS };
static const struct rota_group_options supervise = { .policy = ROTA_GROUP_SUPERVISE };

static const struct rota_group_options *const policies[] = { &fail_fast, &collect, &first_wins,
	&supervise };

static const char *const names[] = { "fail-fast", "collect", "first-wins", "supervise" };

/* What the owner closes with, and what comes of it in a row of the table. */
struct expected {
	int status;
	int want;
};

/* Two members that sleep until they are cancelled, and where they say so. */
struct sleepers {
	int status[2];
};

static void spawn_sleepers(struct rota_group *group, struct sleepers *sleepers)
{
	for (size_t i = 0; i < 2; i++) {
		sleepers->status[i] = 0;
		EXPECT_EQ(rota_group_spawn(group, task_store_cancel, &sleepers->status[i]), 0);
	}
}

static void expect_cancelled(const struct sleepers *sleepers)
{
	EXPECT_EQ(sleepers->status[0], -ECANCELED);
	EXPECT_EQ(sleepers->status[1], -ECANCELED);
}

static void expect_own_calls_end(struct rota_group *group)
{
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT_EQ(rota_yield(), -ECANCELED);
	EXPECT_EQ(rota_group_wait(group), -ECANCELED);
	EXPECT_EQ(rota_cancelled(), -ECANCELED);
}

static void expect_own_calls_go_on(void)
{
	EXPECT_EQ(rota_cancelled(), 0);
	EXPECT_EQ(rota_yield(), 0);
	EXPECT_EQ(rota_sleep(1), 0);
}

static void expect_close_at(int line, struct rota_group *group, size_t policy, int status, int want)
{
	int result = rota_group_close(group, status);

	expect_at(result == want, "%s:%d: %s: close(%d) is %d, not %d\n", __FILE__, line,
		names[policy], status, result, want);
	EXPECT_EQ(rota_yield(), 0);
}

#define EXPECT_CLOSE(group, policy, status, want) \
	expect_close_at(__LINE__, group, policy, status, want)

static const int statuses[] = { 0, 5, -EIO, -ECANCELED };

static int fail_when_cancelled(void *arg)
{
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	return (int)(intptr_t)arg;
}

/* Runs a member to its end, without an await: that could be cut short. */
static void run_member(struct rota_group *group, rota_task_fn *fn, void *arg)
{
	struct rota_task *task = spawn(group, fn, arg);
	struct rota_scope shield;

	rota_shield_open(&shield, ROTA_FOREVER);
	while (rota_task_state(task) < ROTA_TASK_DONE)
		EXPECT_EQ(rota_yield(), 0);
	EXPECT_EQ(rota_scope_close(&shield, 0), 0);
}

/* Nobody, nothing. */

TASK_TEST(policy, nothing_happens)
{
	for (size_t p = 0; p < ARRAY_SIZE(policies); p++) {
		for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
			struct rota_group group;

			rota_group_open(&group, policies[p]);
			expect_own_calls_go_on();
			EXPECT_CLOSE(&group, p, statuses[i], statuses[i]);
		}
	}
}

TASK_TEST(policy, an_unknown_one_is_refused)
{
	static const uint32_t unknown[] = { 4, 5, UINT32_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
		const struct rota_group_options options = { .policy = unknown[i] };
		struct rota_group group;

		rota_group_open(&group, &options);
		EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(0)), -EINVAL);
		EXPECT_EQ(rota_group_close(&group, 0), -EINVAL);
	}
}

/* Members that succeed are no news but for first-wins. */
TASK_TEST(policy, all_succeed)
{
	for (size_t p = 0; p < ARRAY_SIZE(policies); p++) {
		for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
			struct rota_group group;
			bool wins = policies[p] == &first_wins && statuses[i] == -ECANCELED;

			rota_group_open(&group, policies[p]);
			for (int k = 0; k < 10; k++)
				EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(k)), 0);
			if (policies[p] != &first_wins)
				EXPECT_EQ(rota_group_wait(&group), 0);
			else if (statuses[i] == 5)
				wins = true;
			else
				EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
			EXPECT_CLOSE(&group, p, statuses[i], wins ? 0 : statuses[i]);
		}
	}
}

/* Member fails, collect. */

TASK_TEST(policy, collect_goes_on_and_gives_the_first_error)
{
	static const struct expected closes[] = { { 0, -EXDEV }, { 5, -EXDEV }, { -EIO, -EIO },
		{ -ECANCELED, -EXDEV } };

	for (size_t i = 0; i < ARRAY_SIZE(closes); i++) {
		struct a32 count = { 0 };
		struct rota_group group;
		struct rota_task *sleeper;

		rota_group_open(&group, &collect);
		sleeper = spawn(&group, task_forever, NULL);
		run_member(&group, task_return, STATUS(-EXDEV));
		expect_own_calls_go_on();
		run_member(&group, task_return, STATUS(-EDOM));
		/* Members go on, and new ones start. */
		for (int k = 0; k < 20; k++)
			EXPECT_EQ(rota_group_spawn(&group, task_count, &count), 0);
		expect_own_calls_go_on();
		EXPECT(rota_task_state(sleeper) < ROTA_TASK_DONE);
		rota_task_cancel(sleeper, NULL);
		EXPECT_EQ(rota_group_wait(&group), 0);
		EXPECT_EQ(a32_load_relaxed(&count), 20);
		EXPECT_CLOSE(&group, 1, closes[i].status, closes[i].want);
	}
}

static int yield_and_fail(void *arg)
{
	for (int i = 0; i < 10 && !rota_yield(); i++)
		;
	return (int)(intptr_t)arg;
}

TASK_TEST(policy, collect_joins_all_whatever_they_return)
{
	struct a32 count = { 0 };
	struct rota_group group;

	rota_group_open(&group, &collect);
	for (int i = 0; i < 50; i++) {
		EXPECT_EQ(rota_group_spawn(&group, yield_and_fail, STATUS(-EXDEV)), 0);
		EXPECT_EQ(rota_group_spawn(&group, task_count, &count), 0);
	}
	EXPECT_EQ(rota_group_close(&group, 0), -EXDEV);
	EXPECT_EQ(a32_load_relaxed(&count), 50);
}

/* Member succeeds, first-wins. */

TASK_TEST(policy, first_wins_is_ended_by_a_success)
{
	static const struct expected closes[] = { { 0, 0 }, { -EIO, -EIO }, { -ECANCELED, 0 } };

	for (size_t i = 0; i < ARRAY_SIZE(closes); i++) {
		struct sleepers sleepers;
		struct rota_group group;

		rota_group_open(&group, &first_wins);
		spawn_sleepers(&group, &sleepers);
		run_member(&group, task_return, STATUS(-EXDEV));
		run_member(&group, task_return, STATUS(-ENOENT));
		expect_own_calls_go_on();
		while (rota_group_live(&group) != 2)
			EXPECT_EQ(rota_yield(), 0);
		EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(3)), 0);
		expect_own_calls_end(&group);
		EXPECT_CLOSE(&group, 2, closes[i].status, closes[i].want);
		expect_cancelled(&sleepers);
	}
}

TASK_TEST(policy, first_wins_while_the_owner_closes)
{
	struct sleepers sleepers;
	struct rota_group group;

	rota_group_open(&group, &first_wins);
	spawn_sleepers(&group, &sleepers);
	EXPECT_EQ(rota_group_spawn(&group, yield_and_fail, STATUS(-EXDEV)), 0);
	EXPECT_EQ(rota_group_spawn(&group, yield_and_fail, STATUS(0)), 0);
	EXPECT_CLOSE(&group, 2, 0, 0);
	expect_cancelled(&sleepers);
}

TASK_TEST(policy, first_wins_while_the_owner_waits)
{
	struct sleepers sleepers;
	struct rota_group group;

	rota_group_open(&group, &first_wins);
	spawn_sleepers(&group, &sleepers);
	EXPECT_EQ(rota_group_spawn(&group, yield_and_fail, STATUS(0)), 0);
	EXPECT_EQ(rota_group_wait(&group), -ECANCELED);
	EXPECT_CLOSE(&group, 2, -ECANCELED, 0);
	expect_cancelled(&sleepers);
}

/* Errors of the losers, also of those that the cancel made fail, change nothing. */
TASK_TEST(policy, first_wins_forgets_the_losers)
{
	struct rota_group group;

	rota_group_open(&group, &first_wins);
	run_member(&group, task_return, STATUS(-ENOENT));
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(rota_group_spawn(&group, fail_when_cancelled, STATUS(-EDOM)), 0);
	EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(1)), 0);
	EXPECT_CLOSE(&group, 2, 0, 0);
}

TASK_TEST(policy, first_wins_when_all_fail)
{
	static const struct expected closes[] = { { 0, -EXDEV }, { 5, -EXDEV }, { -EIO, -EIO },
		{ -ECANCELED, -EXDEV } };

	for (size_t i = 0; i < ARRAY_SIZE(closes); i++) {
		struct rota_group group;

		rota_group_open(&group, &first_wins);
		for (int k = 0; k < 5; k++)
			run_member(&group, k % 2 ? yield_and_fail : task_return, STATUS(-EXDEV));
		expect_own_calls_go_on();
		EXPECT_CLOSE(&group, 2, closes[i].status, closes[i].want);
	}
}

/* A member that was cancelled by itself has neither won nor failed. */
TASK_TEST(policy, first_wins_with_a_member_that_was_cancelled)
{
	struct rota_group group;
	struct rota_task *task;

	for (int success = 0; success < 2; success++) {
		rota_group_open(&group, &first_wins);
		task = spawn(&group, task_forever, NULL);
		rota_task_cancel(task, NULL);
		EXPECT_EQ(rota_task_await(task, NULL), 0);
		expect_own_calls_go_on();
		if (success)
			EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(0)), 0);
		else
			run_member(&group, task_return, STATUS(-EXDEV));
		EXPECT_CLOSE(&group, 2, 0, success ? 0 : -EXDEV);
	}
}

/* One has failed and the others were cancelled: that is not a failure of all. */
TASK_TEST(policy, first_wins_that_is_cancelled_after_a_failure)
{
	for (int how = 0; how < 3; how++) {
		const struct rota_group_options options = {
			.policy = ROTA_GROUP_FIRST_WINS,
			.timeout_ns = how == 2 ? 20 * ROTA_MILLISECOND : 0,
		};
		struct sleepers sleepers;
		struct rota_scope scope;
		struct rota_group group;

		rota_scope_open(&scope, HOUR);
		rota_group_open(&group, &options);
		spawn_sleepers(&group, &sleepers);
		run_member(&group, task_return, STATUS(-EXDEV));
		if (how < 2)
			rota_scope_cancel(&scope, NULL);
		EXPECT_EQ(rota_group_close(&group, how == 1 ? -ECANCELED : 0),
			how == 2 ? -ETIMEDOUT : -ECANCELED);
		expect_cancelled(&sleepers);
		EXPECT_EQ(rota_scope_close(&scope, 0), 0);
	}
}

/* Whoever comes after the first success is cancelled at once, and may still succeed. */
TASK_TEST(policy, first_wins_has_one_winner_of_many)
{
	struct a32 count = { 0 };
	struct rota_group group;

	rota_group_open(&group, &first_wins);
	for (int i = 0; i < 200; i++)
		EXPECT_EQ(rota_group_spawn(&group, task_count, &count), 0);
	EXPECT_CLOSE(&group, 2, 0, 0);
	EXPECT_EQ(a32_load_relaxed(&count), 200);
}

/* Member fails, supervise. */

struct told {
	struct a32 calls;
	struct a32 sum; /* of what failed */
	int status;
	char message[64];
};

static void keep_error(void *arg, const struct rota_error *error)
{
	struct told *told = arg;

	told->status = error->status;
	snprintf(told->message, sizeof(told->message), "%s", error->message);
	a32_add_acq_rel(&told->sum, (uint32_t)-error->status);
	a32_add_acq_rel(&told->calls, 1);
}

static uint64_t errors_counted(void)
{
	struct rota_stats stats = { .errors_unjoined = 0 };

	rota_stats_get(&stats, sizeof(stats), -1);
	return stats.errors_unjoined;
}

/* Runs fn(told) as the main task of one loop, so that the hook needs no lock. */
static void run_told(rota_task_fn *fn, struct told *told)
{
	const struct rota_config config = {
		.loops = 1,
		.flags = ROTA_CONFIG_DEBUG,
		.on_log = keep_log,
		.on_error = keep_error,
		.hook_arg = told,
	};

	cr_expect_eq(rota_run(fn, told, &config), 0);
	report_failures();
}

static int fail_with_text(void *arg)
{
	return rota_fail((int)(intptr_t)arg, "told");
}

static int supervise_failures(void *arg)
{
	struct told *told = arg;

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		uint32_t before = a32_load_relaxed(&told->calls);
		uint64_t counted = errors_counted();
		struct rota_group group;
		struct rota_task *sleeper;

		rota_group_open(&group, &supervise);
		sleeper = spawn(&group, task_forever, NULL);
		EXPECT_EQ(rota_group_spawn(&group, fail_with_text, STATUS(-EXDEV)), 0);
		EXPECT_EQ(rota_group_spawn(&group, fail_with_text, STATUS(-EXDEV)), 0);
		while (rota_group_live(&group) > 1)
			EXPECT_EQ(rota_yield(), 0);
		/* Told at once, not at the close. */
		EXPECT_EQ(a32_load_acquire(&told->calls), before + 2);
		EXPECT_EQ(told->status, -EXDEV);
		EXPECT_STR_EQ(told->message, "told");
		EXPECT_EQ(errors_counted(), counted + 2);
		expect_own_calls_go_on();
		EXPECT(rota_task_state(sleeper) < ROTA_TASK_DONE);
		rota_task_cancel(sleeper, NULL);
		EXPECT_EQ(rota_group_wait(&group), 0);
		EXPECT_CLOSE(&group, 3, statuses[i], statuses[i]);
		EXPECT_EQ(a32_load_acquire(&told->calls), before + 2);
	}
	return 0;
}

Test(policy, supervise_tells_the_hook_and_goes_on)
{
	struct told told = { .status = 0 };

	run_told(supervise_failures, &told);
	cr_expect_eq(a32_load_relaxed(&told.calls), 2 * ARRAY_SIZE(statuses));
}

/* A server: connections come and go, some of them by a reset. */
static int serve(void *arg)
{
	struct told *told = arg;
	struct rota_group group;

	rota_group_open(
		&group, &(struct rota_group_options){ .policy = ROTA_GROUP_SUPERVISE, .limit = 3 });
	for (int i = 1; i <= 100; i++)
		EXPECT_EQ(rota_group_spawn(&group, i % 2 ? yield_and_fail : task_return,
				  STATUS(i % 4 ? i : -i)),
			0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	/* 4 + 8 + … + 100 */
	EXPECT_EQ(a32_load_acquire(&told->calls), 25);
	EXPECT_EQ(a32_load_acquire(&told->sum), 1300);
	return 0;
}

Test(policy, supervise_serves)
{
	struct told told = { .status = 0 };

	run_told(serve, &told);
}

static int supervise_cancelled(void *arg)
{
	struct told *told = arg;
	struct rota_group group;
	struct rota_task *task;

	rota_group_open(&group, &supervise);
	/* Cancelled by itself, then by the group: no errors. */
	task = spawn(&group, task_forever, NULL);
	rota_task_cancel(task, NULL);
	EXPECT_EQ(rota_task_await(task, NULL), 0);
	EXPECT_EQ(rota_group_spawn(&group, task_forever, NULL), 0);
	rota_group_cancel(&group, NULL);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(a32_load_acquire(&told->calls), 0);
	/* What the cancel made of it is one. */
	rota_group_open(&group, &supervise);
	EXPECT_EQ(rota_group_spawn(&group, fail_when_cancelled, STATUS(-EDOM)), 0);
	rota_group_cancel(&group, NULL);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(a32_load_acquire(&told->calls), 1);
	EXPECT_EQ(told->status, -EDOM);
	return 0;
}

Test(policy, supervise_does_not_tell_of_cancels)
{
	struct told told = { .status = 0 };

	run_told(supervise_cancelled, &told);
}

/* An error can be the result of one close; the others of a collection are told. */
static int collect_several(void *arg)
{
	struct told *told = arg;
	struct rota_group group;

	rota_group_open(&group, &collect);
	run_member(&group, task_return, STATUS(-1));
	run_member(&group, task_return, STATUS(-2));
	run_member(&group, task_return, STATUS(-4));
	EXPECT_EQ(rota_group_close(&group, 0), -1);
	EXPECT_EQ(a32_load_acquire(&told->calls), 2);
	EXPECT_EQ(a32_load_acquire(&told->sum), 6);
	return 0;
}

Test(policy, collect_tells_of_the_later_errors)
{
	struct told told = { .status = 0 };

	run_told(collect_several, &told);
}

/* Member cancelled by itself. */

TASK_TEST(policy, a_member_cancelled_by_itself_is_no_failure)
{
	for (size_t p = 0; p < ARRAY_SIZE(policies); p++) {
		for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
			struct rota_group group;
			struct rota_task *task;
			int status = 0;

			if (policies[p] == &first_wins)
				continue;
			rota_group_open(&group, policies[p]);
			task = spawn(&group, task_forever, NULL);
			rota_task_cancel(task, NULL);
			EXPECT_EQ(rota_task_await(task, &status), 0);
			EXPECT_EQ(status, -ECANCELED);
			expect_own_calls_go_on();
			EXPECT_CLOSE(&group, p, statuses[i], statuses[i]);
		}
	}
}

/* Owner fails. */

TASK_TEST(policy, the_owner_fails)
{
	static const int errors[] = { -EIO, -ECANCELED, -ETIMEDOUT };

	for (size_t p = 0; p < ARRAY_SIZE(policies); p++) {
		for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
			struct sleepers sleepers;
			struct rota_group group;

			rota_group_open(&group, policies[p]);
			spawn_sleepers(&group, &sleepers);
			EXPECT_CLOSE(&group, p, errors[i], errors[i]);
			expect_cancelled(&sleepers);
		}
	}
}

/* The group's own timeout. */

TASK_TEST(policy, the_groups_own_timeout)
{
	static const struct expected closes[] = { { 0, -ETIMEDOUT }, { 5, -ETIMEDOUT },
		{ -EIO, -EIO }, { -ECANCELED, -ETIMEDOUT } };

	for (size_t p = 0; p < ARRAY_SIZE(policies); p++) {
		for (size_t i = 0; i < ARRAY_SIZE(closes); i++) {
			struct rota_group_options options = *policies[p];
			struct sleepers sleepers;
			struct rota_group group;

			options.timeout_ns = 100 * ROTA_MICROSECOND;
			rota_group_open(&group, &options);
			spawn_sleepers(&group, &sleepers);
			expect_own_calls_end(&group);
			EXPECT_CLOSE(&group, p, closes[i].status, closes[i].want);
			expect_cancelled(&sleepers);
		}
	}
}

/* Cancel or deadline from outside. */

TASK_TEST(policy, a_cancel_from_outside)
{
	static const struct expected closes[] = { { 0, -ECANCELED }, { 5, -ECANCELED },
		{ -EIO, -EIO }, { -ECANCELED, -ECANCELED } };

	for (size_t p = 0; p < ARRAY_SIZE(policies); p++) {
		for (size_t i = 0; i < 2 * ARRAY_SIZE(closes); i++) {
			const struct expected *close = &closes[i / 2];
			struct sleepers sleepers;
			struct rota_scope scope;
			struct rota_group group;
			int result;

			rota_scope_open(&scope, i % 2 ? 100 * ROTA_MICROSECOND : HOUR);
			rota_group_open(&group, policies[p]);
			spawn_sleepers(&group, &sleepers);
			if (i % 2 == 0)
				rota_scope_cancel(&scope, NULL);
			expect_own_calls_end(&group);
			result = rota_group_close(&group, close->status);
			expect_at(result == close->want, "%s: close(%d) is %d\n", names[p],
				close->status, result);
			expect_cancelled(&sleepers);
			EXPECT_EQ(rota_yield(), -ECANCELED);
			EXPECT_EQ(rota_scope_close(&scope, -ECANCELED),
				i % 2 ? -ETIMEDOUT : -ECANCELED);
			expect_own_calls_go_on();
		}
	}
}

static int succeed_when_cancelled(void *arg)
{
	(void)arg;
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	return 3;
}

/* A result beats a cancel: what the winner has brought is not thrown away. */
TASK_TEST(policy, first_wins_with_a_success_after_a_cancel_from_outside)
{
	static const struct expected closes[] = { { 0, 0 }, { -EIO, -EIO }, { -ECANCELED, 0 } };

	for (size_t i = 0; i < ARRAY_SIZE(closes); i++) {
		struct rota_scope scope;
		struct rota_group group;

		rota_scope_open(&scope, HOUR);
		rota_group_open(&group, &first_wins);
		EXPECT_EQ(rota_group_spawn(&group, succeed_when_cancelled, NULL), 0);
		rota_scope_cancel(&scope, NULL);
		EXPECT_EQ(rota_group_close(&group, closes[i].status), closes[i].want);
		/* The cancel goes on all the same. */
		EXPECT_EQ(rota_yield(), -ECANCELED);
		EXPECT_EQ(rota_scope_close(&scope, 0), 0);
	}
}

TASK_TEST(policy, first_wins_with_a_success_before_a_cancel_from_outside)
{
	struct rota_scope scope;
	struct rota_group group;

	rota_scope_open(&scope, HOUR);
	rota_group_open(&group, &first_wins);
	EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(0)), 0);
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	rota_scope_cancel(&scope, NULL);
	EXPECT_EQ(rota_group_close(&group, -ECANCELED), 0);
	EXPECT_EQ(rota_yield(), -ECANCELED);
	EXPECT_EQ(rota_scope_close(&scope, 0), 0);
}

/* rota_group_cancel(). */

TASK_TEST(policy, a_cancel_of_the_group)
{
	static const struct expected closes[] = { { 0, 0 }, { 5, 0 }, { -EIO, -EIO },
		{ -ECANCELED, -ECANCELED } };

	for (size_t p = 0; p < ARRAY_SIZE(policies); p++) {
		for (size_t i = 0; i < ARRAY_SIZE(closes); i++) {
			struct sleepers sleepers;
			struct rota_group group;

			rota_group_open(&group, policies[p]);
			spawn_sleepers(&group, &sleepers);
			rota_group_cancel(&group, "enough");
			expect_own_calls_end(&group);
			EXPECT_STR_EQ(rota_cancel_reason(), "enough");
			EXPECT_CLOSE(&group, p, closes[i].status, closes[i].want);
			expect_cancelled(&sleepers);
		}
	}
}

/* Several things at once. */

TASK_TEST(policy, several_members_fail_at_once)
{
	for (size_t p = 0; p < 3; p++) {
		struct rota_group group;

		rota_group_open(&group, policies[p]);
		for (int i = 0; i < 100; i++)
			EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(-EXDEV)), 0);
		EXPECT_CLOSE(&group, p, 0, -EXDEV);
	}
}

/* A refused spawn counts as a failure of the group's. */
TASK_TEST(policy, a_refused_spawn_is_the_result)
{
	for (size_t p = 0; p < ARRAY_SIZE(policies); p++) {
		struct rota_group group;

		rota_group_open(&group, policies[p]);
		EXPECT_EQ(rota_group_spawn(&group, NULL, NULL), -EINVAL);
		expect_own_calls_go_on();
		EXPECT_CLOSE(&group, p, 0, -EINVAL);
	}
}

/* Whatever the policy, a member may spawn on into a group that is ending. */

struct hydra {
	struct rota_group *group;
	struct a32 *heads;
};

static int kill_hydra(void *arg)
{
	struct a32 *heads = arg;

	while (a32_load_acquire(heads) < 10)
		EXPECT_EQ(rota_yield(), 0);
	return -EXDEV;
}

static int keep_growing(void *arg)
{
	const struct hydra *hydra = arg;
	int err;

	a32_add_acq_rel(hydra->heads, 1);
	err = rota_yield();
	for (int i = 0; i < 2 && !err; i++)
		EXPECT_EQ(rota_group_spawn(hydra->group, keep_growing, arg), 0);
	return err;
}

TASK_TEST(policy, fail_fast_ends_a_group_that_grows)
{
	struct a32 heads = { 0 };
	struct rota_group group;
	struct hydra hydra = { &group, &heads };

	rota_group_open(&group, &fail_fast);
	EXPECT_EQ(rota_group_spawn(&group, keep_growing, &hydra), 0);
	EXPECT_EQ(rota_group_spawn(&group, kill_hydra, &heads), 0);
	EXPECT_CLOSE(&group, 0, 0, -EXDEV);
	EXPECT(a32_load_relaxed(&heads) >= 10);
}
