/* SPDX-License-Identifier: MIT */
/*
 * Shields: what they hold off and for how long, in one task and for the members of groups in them.
 *
 * Behaviours of CPython's test_tasks.py: shield result, shield error, cancel of what is inside,
 * the cancel of the outer one does not reach the inner one and is delivered behind it, a shield
 * around a gather, shields in the calls of a gather, a shield over what is done already. Of Trio's
 * test_run.py: cancel shielding (a scope in a shield may be struck, the shield itself may be
 * cancelled), shield before the cancel and after it, a shield around members, sleeping in one
 * until it ends. Left out: switching a shield on and off in an open scope (here it is opened and
 * closed; the limit, which it has instead, is tested), the rest of CPython's, which is about
 * futures.
 */
#include "unit.h"

TestSuite(shield, .timeout = HANG_SECONDS);

#define HOUR (3600 * ROTA_SECOND)

static void expect_calls_go_on(void)
{
	EXPECT_EQ(rota_cancelled(), 0);
	EXPECT_EQ(rota_yield(), 0);
	EXPECT_EQ(rota_sleep(1), 0);
}

static void expect_calls_end(void)
{
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT_EQ(rota_yield(), -ECANCELED);
	EXPECT_EQ(rota_cancelled(), -ECANCELED);
}

/* A scope around a shield. */

TASK_TEST(shield, without_anything_to_hold_off)
{
	static const int statuses[] = { 0, 9, -EIO, -ECANCELED, -ETIMEDOUT };

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		struct rota_scope shield;

		rota_shield_open(&shield, i % 2 ? ROTA_FOREVER : HOUR);
		expect_calls_go_on();
		EXPECT_EQ(rota_scope_close(&shield, statuses[i]), statuses[i]);
		EXPECT_EQ(rota_scope_cause(&shield), 0);
		EXPECT_EQ(rota_scope_close(&shield, 0), -EINVAL);
	}
}

TASK_TEST(shield, holds_off_what_struck_before)
{
	for (int cancel = 0; cancel < 2; cancel++) {
		struct rota_scope scope;
		struct rota_scope shield;

		rota_scope_open(&scope, cancel ? HOUR : 0);
		if (cancel)
			rota_scope_cancel(&scope, "outside");
		expect_calls_end();
		for (int i = 0; i < 3; i++) {
			rota_shield_open(&shield, HOUR);
			expect_calls_go_on();
			EXPECT_STR_EQ(rota_cancel_reason(), "");
			EXPECT_EQ(rota_sleep(ROTA_MICROSECOND), 0);
			EXPECT_EQ(rota_scope_close(&shield, 0), 0);
			expect_calls_end();
		}
		if (cancel)
			EXPECT_STR_EQ(rota_cancel_reason(), "outside");
		EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), cancel ? -ECANCELED : -ETIMEDOUT);
		expect_calls_go_on();
	}
}

TASK_TEST(shield, holds_off_what_strikes_meanwhile)
{
	for (int cancel = 0; cancel < 2; cancel++) {
		int64_t when = rota_now() + (cancel ? HOUR : 3 * ROTA_MILLISECOND);
		struct rota_scope scope;
		struct rota_scope shield;

		rota_scope_open_until(&scope, when);
		rota_shield_open(&shield, ROTA_FOREVER);
		if (cancel)
			rota_scope_cancel(&scope, NULL);
		expect_calls_go_on();
		EXPECT_EQ(rota_sleep(6 * ROTA_MILLISECOND), 0);
		EXPECT_EQ(rota_scope_cause(&scope), cancel ? -ECANCELED : -ETIMEDOUT);
		EXPECT_EQ(rota_scope_close(&shield, 0), 0);
		EXPECT_EQ(rota_cancelled(), -ECANCELED);
		expect_calls_end();
		EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), cancel ? -ECANCELED : -ETIMEDOUT);
		expect_calls_go_on();
	}
}

/* An -ECANCELED of something else in the shield is a status like others. */
TASK_TEST(shield, gives_statuses_back_as_they_are)
{
	static const int statuses[] = { 0, 9, -EIO, -ECANCELED, -ETIMEDOUT };

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		struct rota_scope scope;
		struct rota_scope shield;

		rota_scope_open(&scope, 0);
		rota_shield_open(&shield, ROTA_FOREVER);
		EXPECT_EQ(rota_scope_close(&shield, statuses[i]), statuses[i]);
		EXPECT_EQ(rota_scope_close(&scope, 0), 0);
	}
}

TASK_TEST(shield, may_be_cancelled_itself)
{
	struct rota_scope scope;
	struct rota_scope shield;

	rota_scope_open(&scope, HOUR);
	rota_shield_open(&shield, ROTA_FOREVER);
	rota_scope_cancel(&shield, "the shield");
	expect_calls_end();
	EXPECT_STR_EQ(rota_cancel_reason(), "the shield");
	EXPECT_EQ(rota_scope_cause(&shield), -ECANCELED);
	EXPECT_EQ(rota_scope_close(&shield, -ECANCELED), -ECANCELED);
	expect_calls_go_on();
	EXPECT_EQ(rota_scope_close(&scope, 0), 0);
}

TASK_TEST(shield, a_scope_inside_may_be_struck)
{
	for (int cancel = 0; cancel < 2; cancel++) {
		struct rota_scope scope;
		struct rota_scope shield;
		struct rota_scope inner;

		rota_scope_open(&scope, 0);
		rota_shield_open(&shield, ROTA_FOREVER);
		rota_scope_open(&inner, cancel ? HOUR : ROTA_MILLISECOND);
		expect_calls_go_on();
		if (cancel)
			rota_scope_cancel(&inner, NULL);
		expect_calls_end();
		/* The outer cancel is held off: it is not in force here. */
		EXPECT_EQ(rota_scope_close(&inner, -ECANCELED), cancel ? -ECANCELED : -ETIMEDOUT);
		expect_calls_go_on();
		EXPECT_EQ(rota_scope_close(&shield, 0), 0);
		expect_calls_end();
		EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
	}
}

TASK_TEST(shield, shields_nest)
{
	struct rota_scope scope[3];
	struct rota_scope shield[3];

	for (int i = 0; i < 3; i++) {
		rota_scope_open(&scope[i], HOUR);
		rota_shield_open(&shield[i], i == 1 ? HOUR : ROTA_FOREVER);
	}
	for (int i = 0; i < 3; i++)
		rota_scope_cancel(&scope[i], NULL);
	for (int i = 3; i-- > 0;) {
		expect_calls_go_on();
		EXPECT_EQ(rota_scope_close(&shield[i], 0), 0);
		expect_calls_end();
		EXPECT_EQ(rota_scope_close(&scope[i], -ECANCELED), -ECANCELED);
	}
	expect_calls_go_on();
}

/* Only the innermost of two lies around the scope that is struck between them. */
TASK_TEST(shield, holds_off_what_lies_around_it_only)
{
	struct rota_scope shield;
	struct rota_scope scope;
	struct rota_scope inner;

	rota_shield_open(&shield, ROTA_FOREVER);
	rota_scope_open(&scope, HOUR);
	rota_shield_open(&inner, ROTA_FOREVER);
	rota_scope_cancel(&scope, NULL);
	expect_calls_go_on();
	EXPECT_EQ(rota_scope_close(&inner, 0), 0);
	expect_calls_end();
	EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ECANCELED);
	expect_calls_go_on();
	EXPECT_EQ(rota_scope_close(&shield, 0), 0);
}

/* The limit. */

TASK_TEST(shield, the_limit_lets_the_outer_cancel_in)
{
	for (int cancel = 0; cancel < 2; cancel++) {
		int64_t begin = rota_now();
		struct rota_scope scope;
		struct rota_scope shield;

		rota_scope_open(&scope, cancel ? HOUR : 0);
		if (cancel)
			rota_scope_cancel(&scope, "outside");
		rota_shield_open(&shield, 2 * ROTA_MILLISECOND);
		EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
		EXPECT(rota_now() - begin >= 2 * ROTA_MILLISECOND);
		expect_calls_end();
		/* The outer one is in force, and says itself what it was. */
		EXPECT_EQ(rota_scope_close(&shield, -ECANCELED), -ECANCELED);
		expect_calls_end();
		EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), cancel ? -ECANCELED : -ETIMEDOUT);
		expect_calls_go_on();
	}
}

TASK_TEST(shield, a_limit_of_nothing_holds_nothing_off)
{
	static const int64_t limits[] = { 0, -1, INT64_MIN };

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		struct rota_scope scope;
		struct rota_scope shield;

		rota_scope_open(&scope, HOUR);
		rota_scope_cancel(&scope, NULL);
		rota_shield_open(&shield, limits[i]);
		EXPECT_EQ(rota_cancelled(), -ECANCELED);
		expect_calls_end();
		EXPECT_EQ(rota_scope_close(&shield, -ECANCELED), -ECANCELED);
		EXPECT_EQ(rota_scope_close(&scope, 4), 4);
	}
}

TASK_TEST(shield, after_the_limit_an_outer_cancel_comes_in_at_once)
{
	int64_t begin = rota_now();
	struct rota_scope scope;
	struct rota_scope shield;

	rota_scope_open_until(&scope, begin + 40 * ROTA_MILLISECOND);
	rota_shield_open(&shield, 1 * ROTA_MILLISECOND);
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	expect_calls_end();
	EXPECT_EQ(rota_scope_close(&shield, -EINTR), -EINTR);
	/* By now, or a little later where the limit strikes by itself. */
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT(rota_now() >= begin + 40 * ROTA_MILLISECOND);
	EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
	expect_calls_go_on();
}

TASK_TEST(shield, the_limit_may_be_moved)
{
	struct rota_scope scope;
	struct rota_scope shield;
	int64_t begin;

	rota_scope_open(&scope, 0);
	/* Later, and away. */
	for (int i = 0; i < 2; i++) {
		begin = rota_now();
		rota_shield_open(&shield, 20 * ROTA_MILLISECOND);
		rota_scope_set_deadline(&shield, i ? ROTA_FOREVER : begin + HOUR);
		EXPECT_EQ(rota_sleep_until(begin + 25 * ROTA_MILLISECOND), 0);
		EXPECT_EQ(rota_scope_close(&shield, 0), 0);
	}
	/* Earlier, and past. */
	for (int i = 0; i < 2; i++) {
		rota_shield_open(&shield, i ? ROTA_FOREVER : HOUR);
		expect_calls_go_on();
		rota_scope_set_deadline(&shield, i ? 0 : rota_now() + ROTA_MILLISECOND);
		if (i)
			EXPECT_EQ(rota_cancelled(), -ECANCELED);
		expect_calls_end();
		EXPECT_EQ(rota_scope_close(&shield, -ECANCELED), -ECANCELED);
	}
	EXPECT_EQ(rota_scope_close(&scope, 0), 0);
	expect_calls_go_on();
}

TASK_TEST(shield, the_limit_of_an_outer_shield_does_not_reach_the_inner_one)
{
	struct rota_scope scope;
	struct rota_scope outer;
	struct rota_scope inner;

	rota_scope_open(&scope, 0);
	rota_shield_open(&outer, ROTA_MILLISECOND);
	rota_shield_open(&inner, ROTA_FOREVER);
	EXPECT_EQ(rota_sleep(5 * ROTA_MILLISECOND), 0);
	EXPECT_EQ(rota_scope_close(&inner, 0), 0);
	expect_calls_end();
	EXPECT_EQ(rota_scope_close(&outer, -ECANCELED), -ECANCELED);
	EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
}

/* Groups around a shield. */

TASK_TEST(shield, holds_off_a_group_that_is_cancelled)
{
	for (int how = 0; how < 3; how++) {
		const struct rota_group_options options = {
			.timeout_ns = how == 2 ? ROTA_MILLISECOND : 0,
		};
		static const int want[] = { 0, -EXDEV, -ETIMEDOUT };
		struct rota_scope shield;
		struct rota_group group;
		int member = 0;

		rota_group_open(&group, &options);
		EXPECT_EQ(rota_group_spawn(&group, task_store_cancel, &member), 0);
		rota_shield_open(&shield, ROTA_FOREVER);
		if (how == 0)
			rota_group_cancel(&group, NULL);
		else if (how == 1)
			EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(-EXDEV)), 0);
		/* The members are cancelled, the owner's calls are not. */
		EXPECT_EQ(rota_group_wait(&group), 0);
		EXPECT_EQ(member, -ECANCELED);
		expect_calls_go_on();
		EXPECT_EQ(rota_scope_close(&shield, 0), 0);
		expect_calls_end();
		EXPECT_EQ(rota_group_close(&group, 0), want[how]);
		expect_calls_go_on();
	}
}

static int clean_up(void *arg)
{
	struct a32 *cleaned = arg;
	struct rota_scope shield;
	int err = rota_sleep(ROTA_FOREVER);

	EXPECT_EQ(err, -ECANCELED);
	rota_shield_open(&shield, HOUR);
	for (int i = 0; i < 10; i++)
		EXPECT_EQ(rota_sleep(ROTA_MICROSECOND), 0);
	a32_add_acq_rel(cleaned, 1);
	EXPECT_EQ(rota_scope_close(&shield, 0), 0);
	EXPECT_EQ(rota_yield(), -ECANCELED);
	return err;
}

TASK_TEST(shield, members_clean_up_in_one)
{
	struct a32 cleaned = { 0 };
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (int i = 0; i < 20; i++)
		EXPECT_EQ(rota_group_spawn(&group, clean_up, &cleaned), 0);
	rota_group_cancel(&group, NULL);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(a32_load_relaxed(&cleaned), 20);
}

struct shielded {
	struct a32 state; /* 1: in the shield, 2: it may leave, 3: it has left */
	int inside;
	int after;
};

static int wait_in_a_shield(void *arg)
{
	struct shielded *self = arg;
	struct rota_scope shield;

	rota_shield_open(&shield, ROTA_FOREVER);
	a32_store_release(&self->state, 1);
	while (a32_load_acquire(&self->state) != 2 && !self->inside)
		self->inside = rota_yield();
	EXPECT_EQ(rota_scope_close(&shield, 0), 0);
	self->after = rota_sleep(ROTA_FOREVER);
	a32_store_release(&self->state, 3);
	return self->after;
}

TASK_TEST(shield, a_cancel_of_the_task_is_delivered_behind_it)
{
	for (uint32_t loop = 0; loop < rota_loop_count(); loop++) {
		const struct rota_spawn_options there = {
			.flags = ROTA_SPAWN_ON_LOOP,
			.loop = loop,
		};
		struct shielded self = { .state = { 0 } };
		struct rota_task *task;
		struct rota_group group;

		rota_group_open(&group, NULL);
		EXPECT_EQ(rota_group_spawn_with(&group, wait_in_a_shield, &self, &task, &there), 0);
		EXPECT(wait_cell(&self.state, 1));
		rota_task_cancel(task, NULL);
		for (int i = 0; i < 20; i++)
			EXPECT_EQ(rota_yield(), 0);
		EXPECT_EQ(a32_load_acquire(&self.state), 1);
		a32_store_release(&self.state, 2);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		EXPECT_EQ(self.inside, 0);
		EXPECT_EQ(self.after, -ECANCELED);
	}
}

static int born_cancelled(void *arg)
{
	struct rota_scope shield;

	rota_shield_open(&shield, HOUR);
	EXPECT_EQ(rota_sleep(ROTA_MICROSECOND), 0);
	a32_add_acq_rel(arg, 1);
	EXPECT_EQ(rota_scope_close(&shield, 0), 0);
	return rota_yield();
}

TASK_TEST(shield, a_task_that_was_cancelled_before_it_started_has_them_too)
{
	struct a32 count = { 0 };
	struct rota_group group;

	rota_group_open(&group, NULL);
	rota_group_cancel(&group, NULL);
	for (int i = 0; i < 50; i++)
		EXPECT_EQ(rota_group_spawn(&group, born_cancelled, &count), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(a32_load_relaxed(&count), 50);
}

static int stop_all(void *arg)
{
	struct shielded *self = arg;

	rota_runtime_cancel(rota_runtime_self(), "all");
	while (rota_yield() == 0)
		;
	a32_store_release(&self->state, 2);
	return 0;
}

TASK_TEST(shield, holds_off_the_end_of_the_runtime)
{
	struct shielded self = { .state = { 0 } };
	struct rota_group group;

	rota_group_open(&group, NULL);
	spawn(&group, wait_in_a_shield, &self);
	EXPECT(wait_cell(&self.state, 1));
	EXPECT_EQ(rota_group_spawn(&group, stop_all, &self), 0);
	EXPECT_EQ(rota_group_close(&group, 0), -ECANCELED);
	EXPECT_EQ(self.inside, 0);
	EXPECT_EQ(self.after, -ECANCELED);
}

/* Groups in a shield. */

/* Sleeps while *arg is 0. */
static int wait_for_go(void *arg)
{
	return wait_cell(arg, 1) ? 0 : -ECANCELED;
}

static int own_a_shielded_group(void *arg)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, wait_for_go, arg), 0);
	return rota_group_close(&group, 0);
}

TASK_TEST(shield, members_of_groups_in_it_are_shielded)
{
	for (int strike_first = 0; strike_first < 2; strike_first++) {
		struct a32 go = { 0 };
		struct rota_scope scope;
		struct rota_scope shield;
		struct rota_group group;

		rota_scope_open(&scope, HOUR);
		if (strike_first)
			rota_scope_cancel(&scope, NULL);
		rota_shield_open(&shield, ROTA_FOREVER);
		rota_group_open(&group, NULL);
		for (int i = 0; i < 5; i++)
			EXPECT_EQ(rota_group_spawn(&group, own_a_shielded_group, &go), 0);
		rota_scope_cancel(&scope, NULL);
		for (int i = 0; i < 20; i++)
			EXPECT_EQ(rota_yield(), 0);
		EXPECT_EQ(rota_group_live(&group), 5);
		a32_store_release(&go, 1);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		EXPECT_EQ(rota_scope_close(&shield, 0), 0);
		expect_calls_end();
		EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ECANCELED);
	}
}

TASK_TEST(shield, members_of_groups_around_it_are_not)
{
	struct rota_scope scope;
	struct rota_scope shield;
	struct rota_group group;
	int member[2] = { 0 };

	rota_scope_open(&scope, HOUR);
	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, task_store_cancel, &member[0]), 0);
	rota_shield_open(&shield, ROTA_FOREVER);
	EXPECT_EQ(rota_group_spawn(&group, task_store_cancel, &member[1]), 0);
	rota_scope_cancel(&scope, NULL);
	EXPECT_EQ(rota_group_wait(&group), 0);
	EXPECT_EQ(rota_scope_close(&shield, 0), 0);
	EXPECT_EQ(rota_group_close(&group, 0), -ECANCELED);
	EXPECT_EQ(member[0], -ECANCELED);
	EXPECT_EQ(member[1], -ECANCELED);
	EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ECANCELED);
}

TASK_TEST(shield, the_limit_reaches_the_members)
{
	struct rota_scope scope;
	struct rota_scope shield;
	struct rota_group group;
	int member[3] = { 0 };

	rota_scope_open(&scope, 0);
	rota_shield_open(&shield, 2 * ROTA_MILLISECOND);
	rota_group_open(&group, NULL);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(rota_group_spawn(&group, task_store_cancel, &member[i]), 0);
	EXPECT_EQ(rota_group_close(&group, 0), -ECANCELED);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(member[i], -ECANCELED);
	EXPECT_EQ(rota_scope_close(&shield, -ECANCELED), -ECANCELED);
	EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
}

TASK_TEST(shield, a_group_in_it_may_be_cancelled_by_itself)
{
	struct rota_scope scope;
	struct rota_scope shield;
	struct rota_group group;
	int member = 0;

	rota_scope_open(&scope, 0);
	rota_shield_open(&shield, ROTA_FOREVER);
	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, task_store_cancel, &member), 0);
	expect_calls_go_on();
	rota_group_cancel(&group, NULL);
	expect_calls_end();
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(member, -ECANCELED);
	expect_calls_go_on();
	EXPECT_EQ(rota_scope_close(&shield, 0), 0);
	EXPECT_EQ(rota_scope_close(&scope, 0), 0);
}

/* A group in which only a part of what the owner does is shielded. */
TASK_TEST(shield, group_in_shield_in_group)
{
	struct a32 go = { 0 };
	struct rota_group outer;
	struct rota_scope shield;
	struct rota_group inner;
	int member = 0;

	rota_group_open(&outer, NULL);
	EXPECT_EQ(rota_group_spawn(&outer, task_store_cancel, &member), 0);
	rota_shield_open(&shield, HOUR);
	rota_group_open(&inner, NULL);
	EXPECT_EQ(rota_group_spawn(&inner, wait_for_go, &go), 0);
	EXPECT_EQ(rota_group_spawn(&outer, task_return, STATUS(-EXDEV)), 0);
	while (rota_group_live(&outer))
		EXPECT_EQ(rota_yield(), 0);
	EXPECT_EQ(member, -ECANCELED);
	EXPECT_EQ(rota_group_live(&inner), 1);
	a32_store_release(&go, 1);
	EXPECT_EQ(rota_group_close(&inner, 0), 0);
	EXPECT_EQ(rota_scope_close(&shield, 0), 0);
	expect_calls_end();
	EXPECT_EQ(rota_group_close(&outer, -ECANCELED), -EXDEV);
}

static int gather_in_a_shield(void *arg)
{
	struct rota_call calls[] = { { .fn = wait_for_go, .arg = arg },
		{ .fn = wait_for_go, .arg = arg } };
	struct rota_scope shield;
	int err;

	rota_shield_open(&shield, ROTA_FOREVER);
	err = rota_scope_close(&shield, rota_gather(calls, ARRAY_SIZE(calls)));
	EXPECT_EQ(err, 0);
	EXPECT_EQ(rota_cancelled(), -ECANCELED);
	return rota_yield();
}

TASK_TEST(shield, around_a_gather)
{
	struct a32 go = { 0 };
	struct rota_group group;
	struct rota_task *task;
	int status = 0;

	rota_group_open(&group, NULL);
	task = spawn(&group, gather_in_a_shield, &go);
	wait_state(task, ROTA_TASK_SUSPENDED);
	rota_task_cancel(task, NULL);
	for (int i = 0; i < 20; i++)
		EXPECT_EQ(rota_yield(), 0);
	a32_store_release(&go, 1);
	EXPECT_EQ(rota_task_await(task, &status), 0);
	EXPECT_EQ(status, -ECANCELED);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

static int finish_in_a_shield(void *arg)
{
	struct rota_scope shield;
	int err;

	rota_shield_open(&shield, ROTA_FOREVER);
	err = rota_sleep(2 * ROTA_MILLISECOND);
	a32_add_acq_rel(arg, 1);
	return rota_scope_close(&shield, err);
}

TASK_TEST(shield, in_the_calls_of_a_gather)
{
	struct a32 done = { 0 };
	struct rota_call calls[] = { { .fn = finish_in_a_shield, .arg = &done },
		{ .fn = finish_in_a_shield, .arg = &done } };
	struct rota_scope scope;

	rota_scope_open(&scope, ROTA_MICROSECOND);
	EXPECT_EQ(rota_scope_close(&scope, rota_gather(calls, ARRAY_SIZE(calls))), -ETIMEDOUT);
	/* They were not cut short: who gathers waits for them. */
	EXPECT_EQ(a32_load_relaxed(&done), 2);
	EXPECT_EQ(calls[0].status, 0);
	EXPECT_EQ(calls[1].status, 0);
}

static int leave_a_shield(void)
{
	ROTA_SHIELD(shield, ROTA_FOREVER);

	EXPECT_EQ(rota_yield(), 0);
	return -EDOM;
}

TASK_TEST(shield, the_cleanup_form_closes_on_the_way_out)
{
	struct rota_scope scope;

	rota_scope_open(&scope, 0);
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(leave_a_shield(), -EDOM);
		EXPECT_EQ(rota_cancelled(), -ECANCELED);
	}
	EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
	expect_calls_go_on();
}

/* The pattern of the header: a cancelled task says good-bye, but not for ever. */
TASK_TEST(shield, a_clean_up_that_hangs_is_ended_by_the_limit)
{
	struct rota_scope scope;
	struct rota_scope shield;
	int fd[2];
	char c;

	EXPECT_EQ(pipe2(fd, O_CLOEXEC), 0);
	rota_scope_open(&scope, 0);
	EXPECT_EQ(rota_write(fd[1], "bye", 3), -ECANCELED);
	rota_shield_open(&shield, HOUR);
	EXPECT_EQ(rota_write(fd[1], "b", 1), 1);
	EXPECT_EQ(rota_read(fd[0], &c, 1), 1);
	rota_scope_set_deadline(&shield, rota_now() + ROTA_MILLISECOND);
	EXPECT_EQ(rota_scope_close(&shield, rota_read(fd[0], &c, 1)), -ECANCELED);
	EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
	rota_close(fd[0]);
	rota_close(fd[1]);
}
