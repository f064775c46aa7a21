/* SPDX-License-Identifier: MIT */
/*
 * What cancels a group, and what the owner's calls, the members and the close see of it: the rows
 * of the cancellation table, for fail-fast.
 */
#include "unit.h"

TestSuite(cancel_table, .timeout = HANG_SECONDS);

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

/* The owner's calls inside a group that is cancelled, as soon as it is. */
static void expect_own_calls_end(struct rota_group *group)
{
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT_EQ(rota_sleep(1), -ECANCELED);
	EXPECT_EQ(rota_yield(), -ECANCELED);
	EXPECT_EQ(rota_group_wait(group), -ECANCELED);
}

/* And after it: nothing is left of it. */
static void expect_own_calls_go_on(void)
{
	EXPECT_EQ(rota_yield(), 0);
	EXPECT_EQ(rota_sleep(1), 0);
}

/* Member fails. */

TASK_TEST(cancel_table, member_fails)
{
	static const struct {
		int status;
		int want;
	} closes[] = { { 0, -EXDEV }, { 5, -EXDEV }, { -ECANCELED, -EXDEV }, { -EDOM, -EDOM } };

	for (size_t i = 0; i < ARRAY_SIZE(closes); i++) {
		struct sleepers sleepers;
		struct rota_group group;

		rota_group_open(&group, NULL);
		spawn_sleepers(&group, &sleepers);
		EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(-EXDEV)), 0);
		expect_own_calls_end(&group);
		EXPECT_EQ(rota_group_close(&group, closes[i].status), closes[i].want);
		expect_cancelled(&sleepers);
		expect_own_calls_go_on();
	}
}

TASK_TEST(cancel_table, member_fails_while_the_owner_closes)
{
	struct sleepers sleepers;
	struct rota_group group;

	rota_group_open(&group, NULL);
	spawn_sleepers(&group, &sleepers);
	EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(-EXDEV)), 0);
	EXPECT_EQ(rota_group_close(&group, 0), -EXDEV);
	expect_cancelled(&sleepers);
}

TASK_TEST(cancel_table, member_fails_while_the_owner_waits)
{
	struct sleepers sleepers;
	struct rota_group group;

	rota_group_open(&group, NULL);
	spawn_sleepers(&group, &sleepers);
	EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(-EXDEV)), 0);
	EXPECT_EQ(rota_group_wait(&group), -ECANCELED);
	EXPECT_EQ(rota_group_close(&group, -ECANCELED), -EXDEV);
	expect_cancelled(&sleepers);
}

TASK_TEST(cancel_table, member_fails_only_its_group_is_struck)
{
	struct rota_group outer;
	struct rota_group inner;
	struct sleepers sleepers;

	rota_group_open(&outer, NULL);
	spawn_sleepers(&outer, &sleepers);
	rota_group_open(&inner, NULL);
	EXPECT_EQ(rota_group_spawn(&inner, task_return, STATUS(-EXDEV)), 0);
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT_EQ(rota_group_close(&inner, -ECANCELED), -EXDEV);
	/* Between the two: the outer one is not concerned. */
	expect_own_calls_go_on();
	EXPECT_EQ(rota_group_live(&outer), 2);
	EXPECT_EQ(sleepers.status[0], 0);
	EXPECT_EQ(rota_group_close(&outer, -EDOM), -EDOM);
	expect_cancelled(&sleepers);
}

TASK_TEST(cancel_table, member_of_the_outer_group_fails)
{
	struct rota_group outer;
	struct rota_group inner;
	struct sleepers sleepers;

	rota_group_open(&outer, NULL);
	rota_group_open(&inner, NULL);
	spawn_sleepers(&inner, &sleepers);
	EXPECT_EQ(rota_group_spawn(&outer, task_return, STATUS(-EXDEV)), 0);
	expect_own_calls_end(&inner);
	EXPECT_EQ(rota_group_close(&inner, 0), -ECANCELED);
	expect_cancelled(&sleepers);
	EXPECT_EQ(rota_yield(), -ECANCELED);
	EXPECT_EQ(rota_group_close(&outer, -ECANCELED), -EXDEV);
	expect_own_calls_go_on();
}

static int fail_when_cancelled(void *arg)
{
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	return (int)(intptr_t)arg;
}

TASK_TEST(cancel_table, member_fails_first_the_first_error_stays)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(rota_group_spawn(&group, fail_when_cancelled, STATUS(-EDOM)), 0);
	EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(-EXDEV)), 0);
	EXPECT_EQ(rota_group_close(&group, 0), -EXDEV);
}

static int succeed_when_cancelled(void *arg)
{
	(void)arg;
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	return 3;
}

TASK_TEST(cancel_table, member_fails_others_may_still_succeed)
{
	struct rota_group group;
	struct rota_task *task;
	int status = 0;

	rota_group_open(&group, NULL);
	task = spawn(&group, succeed_when_cancelled, NULL);
	EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(-EXDEV)), 0);
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	while (rota_task_state(task) < ROTA_TASK_DONE)
		rota_close(open("/dev/null", O_RDONLY | O_CLOEXEC));
	EXPECT_EQ(rota_task_state(task), ROTA_TASK_DONE);
	EXPECT_EQ(rota_task_await(task, &status), -ECANCELED);
	EXPECT_EQ(status, 0);
	EXPECT_EQ(rota_group_close(&group, -ECANCELED), -EXDEV);
}

TASK_TEST(cancel_table, an_uncalled_for_ecanceled_is_a_failure)
{
	struct rota_group group;
	struct sleepers sleepers;

	rota_group_open(&group, NULL);
	spawn_sleepers(&group, &sleepers);
	EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(-ECANCELED)), 0);
	EXPECT_EQ(rota_group_close(&group, 0), -ECANCELED);
	expect_cancelled(&sleepers);
}

/* Member cancelled by itself. */

TASK_TEST(cancel_table, member_cancelled_by_itself)
{
	static const int statuses[] = { 0, 4, -EDOM };

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		struct sleepers sleepers;
		struct rota_group group;
		struct rota_task *task;
		int status = 0;

		rota_group_open(&group, NULL);
		spawn_sleepers(&group, &sleepers);
		task = spawn(&group, task_forever, NULL);
		rota_task_cancel(task, NULL);
		EXPECT_EQ(rota_task_await(task, &status), 0);
		EXPECT_EQ(status, -ECANCELED);
		expect_own_calls_go_on();
		EXPECT_EQ(rota_group_live(&group), 2);
		EXPECT_EQ(sleepers.status[0], 0);
		rota_group_cancel(&group, NULL);
		EXPECT_EQ(rota_group_close(&group, statuses[i]), statuses[i] < 0 ? statuses[i] : 0);
		expect_cancelled(&sleepers);
	}
}

TASK_TEST(cancel_table, member_cancelled_by_itself_is_no_failure)
{
	struct rota_group group;
	struct rota_task *task;

	rota_group_open(&group, NULL);
	task = spawn(&group, task_forever, NULL);
	rota_task_cancel(task, NULL);
	EXPECT_EQ(rota_group_wait(&group), 0);
	EXPECT_EQ(rota_group_close(&group, 6), 6);
}

TASK_TEST(cancel_table, member_cancelled_by_itself_may_fail_otherwise)
{
	struct rota_group group;
	struct rota_task *task;

	rota_group_open(&group, NULL);
	task = spawn(&group, fail_when_cancelled, STATUS(-EDOM));
	wait_state(task, ROTA_TASK_SUSPENDED);
	rota_task_cancel(task, NULL);
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT_EQ(rota_group_close(&group, 0), -EDOM);
}

/* Owner fails. */

TASK_TEST(cancel_table, owner_fails)
{
	static const int statuses[] = { -EDOM, -ETIMEDOUT, -ECANCELED };

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		struct sleepers sleepers;
		struct rota_group group;

		rota_group_open(&group, NULL);
		spawn_sleepers(&group, &sleepers);
		EXPECT_EQ(rota_group_close(&group, statuses[i]), statuses[i]);
		expect_cancelled(&sleepers);
		expect_own_calls_go_on();
	}
}

TASK_TEST(cancel_table, owner_fails_and_members_fail_after_it)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, fail_when_cancelled, STATUS(-EXDEV)), 0);
	EXPECT_EQ(rota_group_close(&group, -EDOM), -EDOM);
}

/* The group's own timeout. */

TASK_TEST(cancel_table, timeout)
{
	static const struct {
		int status;
		int want;
	} closes[] = { { 0, -ETIMEDOUT }, { -ECANCELED, -ETIMEDOUT }, { -EDOM, -EDOM } };
	const struct rota_group_options options = { .timeout_ns = ROTA_MILLISECOND };

	for (size_t i = 0; i < ARRAY_SIZE(closes); i++) {
		struct sleepers sleepers;
		struct rota_group group;

		rota_group_open(&group, &options);
		spawn_sleepers(&group, &sleepers);
		expect_own_calls_end(&group);
		EXPECT_EQ(rota_group_close(&group, closes[i].status), closes[i].want);
		expect_cancelled(&sleepers);
		expect_own_calls_go_on();
	}
}

TASK_TEST(cancel_table, timeout_while_the_owner_closes)
{
	const struct rota_group_options options = { .timeout_ns = ROTA_MILLISECOND };
	struct sleepers sleepers;
	struct rota_group group;

	rota_group_open(&group, &options);
	spawn_sleepers(&group, &sleepers);
	EXPECT_EQ(rota_group_close(&group, 0), -ETIMEDOUT);
	expect_cancelled(&sleepers);
}

TASK_TEST(cancel_table, timeout_while_the_owner_waits)
{
	const struct rota_group_options options = { .timeout_ns = ROTA_MILLISECOND };
	struct sleepers sleepers;
	struct rota_group group;

	rota_group_open(&group, &options);
	spawn_sleepers(&group, &sleepers);
	EXPECT_EQ(rota_group_wait(&group), -ECANCELED);
	EXPECT_EQ(rota_group_close(&group, -ECANCELED), -ETIMEDOUT);
	expect_cancelled(&sleepers);
}

TASK_TEST(cancel_table, timeout_is_never_early)
{
	const struct rota_group_options options = { .timeout_ns = 3 * ROTA_MILLISECOND };
	struct rota_group group;
	int64_t begin = rota_now();

	rota_group_open(&group, &options);
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT(rota_now() - begin >= options.timeout_ns);
	EXPECT_EQ(rota_group_close(&group, 0), -ETIMEDOUT);
}

TASK_TEST(cancel_table, timeout_that_does_not_strike)
{
	static const int64_t timeouts[] = { 3600 * ROTA_SECOND, ROTA_FOREVER, ROTA_FOREVER - 1,
		ROTA_FOREVER / 2 };

	for (size_t i = 0; i < ARRAY_SIZE(timeouts); i++) {
		const struct rota_group_options options = { .timeout_ns = timeouts[i] };
		struct rota_group group;

		rota_group_open(&group, &options);
		EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(0)), 0);
		expect_own_calls_go_on();
		EXPECT_EQ(rota_group_close(&group, 2), 2);
	}
}

TASK_TEST(cancel_table, timeout_of_the_outer_group_reaches_the_inner_one)
{
	const struct rota_group_options options = { .timeout_ns = ROTA_MILLISECOND };
	struct sleepers sleepers;
	struct rota_group outer;
	struct rota_group inner;

	rota_group_open(&outer, &options);
	rota_group_open(&inner, NULL);
	spawn_sleepers(&inner, &sleepers);
	/* Cancelled, not timed out: only the group whose time was up says so. */
	EXPECT_EQ(rota_group_close(&inner, 0), -ECANCELED);
	expect_cancelled(&sleepers);
	EXPECT_EQ(rota_group_close(&outer, -ECANCELED), -ETIMEDOUT);
	expect_own_calls_go_on();
}

TASK_TEST(cancel_table, a_member_that_failed_first_comes_before_the_timeout)
{
	const struct rota_group_options options = { .timeout_ns = ROTA_MILLISECOND };
	struct rota_group group;

	rota_group_open(&group, &options);
	EXPECT_EQ(rota_group_spawn(&group, fail_when_cancelled, STATUS(-EDOM)), 0);
	EXPECT_EQ(rota_group_close(&group, 0), -EDOM);
}

/* A cancel from outside. */

struct outside {
	struct a32 ready;
	int status;
	int want;
	rota_task_fn *member;
	void *member_arg;
};

static int own_a_group(void *arg)
{
	struct outside *outside = arg;
	struct sleepers sleepers;
	struct rota_group group;

	rota_group_open(&group, NULL);
	spawn_sleepers(&group, &sleepers);
	if (outside->member)
		EXPECT_EQ(rota_group_spawn(&group, outside->member, outside->member_arg), 0);
	a32_store_release(&outside->ready, 1);
	expect_own_calls_end(&group);
	EXPECT_EQ(rota_group_close(&group, outside->status), outside->want);
	expect_cancelled(&sleepers);
	/* It is the task that was cancelled: for good. */
	EXPECT_EQ(rota_yield(), -ECANCELED);
	return 0;
}

static void cancel_from_outside(struct outside *outside)
{
	struct rota_group group;
	struct rota_task *task;

	rota_group_open(&group, NULL);
	task = spawn(&group, own_a_group, outside);
	EXPECT(wait_cell(&outside->ready, 1));
	rota_task_cancel(task, NULL);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

TASK_TEST(cancel_table, outside_cancel)
{
	static const struct {
		int status;
		int want;
	} closes[] = { { 0, -ECANCELED }, { 8, -ECANCELED }, { -ECANCELED, -ECANCELED },
		{ -EDOM, -EDOM } };

	for (size_t i = 0; i < ARRAY_SIZE(closes); i++) {
		struct outside outside = { .status = closes[i].status, .want = closes[i].want };

		cancel_from_outside(&outside);
	}
}

TASK_TEST(cancel_table, outside_cancel_gives_way_to_a_members_error)
{
	struct outside outside = {
		.status = -ECANCELED,
		.want = -EXDEV,
		.member = fail_when_cancelled,
		.member_arg = STATUS(-EXDEV),
	};

	cancel_from_outside(&outside);
}

static int close_at_once(void *arg)
{
	struct outside *outside = arg;
	struct sleepers sleepers;
	struct rota_group group;

	rota_group_open(&group, NULL);
	spawn_sleepers(&group, &sleepers);
	a32_store_release(&outside->ready, 1);
	/* No cancellation point: it joins all the same. */
	EXPECT_EQ(rota_group_close(&group, 0), -ECANCELED);
	expect_cancelled(&sleepers);
	return 0;
}

TASK_TEST(cancel_table, outside_cancel_while_the_owner_closes)
{
	struct outside outside = { .status = 0 };
	struct rota_group group;
	struct rota_task *task;

	rota_group_open(&group, NULL);
	task = spawn(&group, close_at_once, &outside);
	EXPECT(wait_cell(&outside.ready, 1));
	wait_state(task, ROTA_TASK_SUSPENDED);
	rota_task_cancel(task, NULL);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

static int open_when_cancelled(void *arg)
{
	struct sleepers sleepers;
	struct rota_group group;

	(void)arg;
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	rota_group_open(&group, NULL);
	spawn_sleepers(&group, &sleepers);
	EXPECT_EQ(rota_group_wait(&group), -ECANCELED);
	EXPECT_EQ(rota_group_close(&group, 0), -ECANCELED);
	expect_cancelled(&sleepers);
	return 0;
}

TASK_TEST(cancel_table, a_group_opened_by_a_cancelled_task_is_cancelled)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	rota_task_cancel(spawn(&group, open_when_cancelled, NULL), NULL);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

/* rota_group_cancel(). */

TASK_TEST(cancel_table, group_cancel)
{
	static const struct {
		int status;
		int want;
	} closes[] = { { 0, 0 }, { 9, 0 }, { -ECANCELED, -ECANCELED }, { -EDOM, -EDOM } };

	for (size_t i = 0; i < ARRAY_SIZE(closes); i++) {
		struct sleepers sleepers;
		struct rota_group group;

		rota_group_open(&group, NULL);
		spawn_sleepers(&group, &sleepers);
		rota_group_cancel(&group, i % 2 ? NULL : "no longer wanted");
		rota_group_cancel(&group, "twice");
		expect_own_calls_end(&group);
		EXPECT_EQ(rota_group_close(&group, closes[i].status), closes[i].want);
		expect_cancelled(&sleepers);
		expect_own_calls_go_on();
	}
}

static int cancel_group(void *arg)
{
	rota_group_cancel(arg, "by a member");
	return rota_sleep(ROTA_FOREVER);
}

TASK_TEST(cancel_table, group_cancel_by_a_member)
{
	struct sleepers sleepers;
	struct rota_group group;

	rota_group_open(&group, NULL);
	spawn_sleepers(&group, &sleepers);
	EXPECT_EQ(rota_group_spawn(&group, cancel_group, &group), 0);
	expect_own_calls_end(&group);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	expect_cancelled(&sleepers);
	expect_own_calls_go_on();
}

TASK_TEST(cancel_table, group_cancel_does_not_hide_a_members_error)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, fail_when_cancelled, STATUS(-EXDEV)), 0);
	rota_group_cancel(&group, NULL);
	EXPECT_EQ(rota_group_close(&group, 0), -EXDEV);
}

static int count_and_sleep(void *arg)
{
	a32_add_acq_rel(arg, 1);
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	return 0;
}

TASK_TEST(cancel_table, what_is_spawned_into_a_cancelled_group_runs_cancelled)
{
	struct a32 count = { 0 };
	struct rota_group group;

	rota_group_open(&group, NULL);
	rota_group_cancel(&group, NULL);
	for (int i = 0; i < 100; i++)
		EXPECT_EQ(rota_group_spawn(&group, count_and_sleep, &count), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(a32_load_relaxed(&count), 100);
}

TASK_TEST(cancel_table, what_was_spawned_before_the_cancel_always_runs)
{
	struct a32 count = { 0 };
	struct rota_group group;

	for (uint32_t round = 1; round <= 20; round++) {
		rota_group_open(&group, NULL);
		for (int i = 0; i < 50; i++)
			EXPECT_EQ(rota_group_spawn(&group, count_and_sleep, &count), 0);
		rota_group_cancel(&group, NULL);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		EXPECT_EQ(a32_load_relaxed(&count), 50 * round);
	}
}

static void *cancel_on_thread(void *arg)
{
	rota_group_cancel(arg, "by a thread");
	return NULL;
}

TASK_TEST(cancel_table, group_cancel_by_a_plain_thread)
{
	struct sleepers sleepers;
	struct rota_group group;
	pthread_t thread;

	if (is_simulated())
		return;
	rota_group_open(&group, NULL);
	spawn_sleepers(&group, &sleepers);
	EXPECT_EQ(pthread_create(&thread, NULL, cancel_on_thread, &group), 0);
	expect_own_calls_end(&group);
	pthread_join(thread, NULL);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	expect_cancelled(&sleepers);
}
