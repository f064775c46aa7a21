/* SPDX-License-Identifier: MIT */
/*
 * What members inherit: the scopes around their group, and its deadline; not those around the
 * spawn. And rota_deadline().
 *
 * Behaviours of Trio's test_run.py: cancel inheritance, nested nurseries, spawning into a nursery
 * from inside a scope, a task that is spawned into a cancelled nursery, effective deadlines with
 * shields (current_effective_deadline). Of CPython's test_taskgroups.py: cancellation of nested
 * groups. Left out: system tasks (background tasks stand for them), deadlines that follow a scope
 * which moves further out than one task (the header says how far they do).
 */
#include "unit.h"

TestSuite(inherit, .timeout = HANG_SECONDS);

#define HOUR (3600 * ROTA_SECOND)

static void expect_calls_go_on(void)
{
	EXPECT_EQ(rota_cancelled(), 0);
	EXPECT_EQ(rota_yield(), 0);
	EXPECT_EQ(rota_sleep(1), 0);
}

/* Cancels. */

enum { LEVELS = 5, MEMBERS = 3 };

struct tree {
	int level;
	struct a32 *leaves;
	struct a32 *cancelled;
};

static int grow(void *arg)
{
	const struct tree *tree = arg;
	struct tree below = { tree->level - 1, tree->leaves, tree->cancelled };
	struct rota_group group;
	int err;

	if (!tree->level) {
		a32_add_acq_rel(tree->leaves, 1);
		err = rota_sleep(ROTA_FOREVER);
		EXPECT_EQ(err, -ECANCELED);
		EXPECT_EQ(rota_cancelled(), -ECANCELED);
		a32_add_acq_rel(tree->cancelled, 1);
		return err;
	}
	rota_group_open(&group, NULL);
	for (int i = 0; i < MEMBERS; i++)
		EXPECT_EQ(rota_group_spawn(&group, grow, &below), 0);
	return rota_group_close(&group, 0);
}

static uint32_t leaves_of_all(void)
{
	uint32_t leaves = 1;

	for (int i = 0; i < LEVELS; i++)
		leaves *= MEMBERS;
	return leaves;
}

TASK_TEST(inherit, a_cancel_reaches_all_below)
{
	for (int deadline = 0; deadline < 2; deadline++) {
		struct a32 leaves = { 0 };
		struct a32 cancelled = { 0 };
		struct tree tree = { LEVELS - 1, &leaves, &cancelled };
		struct rota_scope scope;
		struct rota_group group;

		rota_scope_open(&scope, HOUR);
		rota_group_open(&group, NULL);
		for (int i = 0; i < MEMBERS; i++)
			EXPECT_EQ(rota_group_spawn(&group, grow, &tree), 0);
		EXPECT(wait_cell(&leaves, leaves_of_all()));
		if (deadline)
			rota_scope_set_deadline(&scope, rota_now() + ROTA_MICROSECOND);
		else
			rota_scope_cancel(&scope, NULL);
		EXPECT_EQ(rota_group_close(&group, 0), -ECANCELED);
		EXPECT_EQ(a32_load_relaxed(&cancelled), leaves_of_all());
		EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), deadline ? -ETIMEDOUT : -ECANCELED);
		expect_calls_go_on();
	}
}

/* Struck while the tree still grows: who is born later is born cancelled. */
TASK_TEST(inherit, a_cancel_reaches_those_that_are_not_born_yet)
{
	for (int i = 0; i < 10; i++) {
		struct a32 leaves = { 0 };
		struct a32 cancelled = { 0 };
		struct tree tree = { LEVELS - 1, &leaves, &cancelled };
		struct rota_scope scope;
		struct rota_group group;

		rota_scope_open(&scope, HOUR);
		rota_group_open(&group, NULL);
		EXPECT_EQ(rota_group_spawn(&group, grow, &tree), 0);
		for (int k = 0; k < i; k++)
			EXPECT_EQ(rota_yield(), 0);
		rota_scope_cancel(&scope, NULL);
		EXPECT_EQ(rota_group_spawn(&group, grow, &tree), 0);
		EXPECT_EQ(rota_group_close(&group, 0), -ECANCELED);
		EXPECT_EQ(a32_load_relaxed(&leaves), leaves_of_all() / MEMBERS * 2);
		EXPECT_EQ(a32_load_relaxed(&cancelled), leaves_of_all() / MEMBERS * 2);
		EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ECANCELED);
	}
}

static int count_first_call(void *arg)
{
	int err = rota_yield();

	EXPECT_EQ(err, -ECANCELED);
	a32_add_acq_rel(arg, 1);
	return err;
}

TASK_TEST(inherit, members_of_a_group_in_a_struck_scope_run_cancelled)
{
	struct a32 count = { 0 };
	struct rota_scope scope;
	struct rota_group group;

	rota_scope_open(&scope, 0);
	rota_group_open(&group, NULL);
	for (int i = 0; i < 50; i++)
		EXPECT_EQ(rota_group_spawn(&group, count_first_call, &count), 0);
	EXPECT_EQ(rota_group_close(&group, 0), -ECANCELED);
	EXPECT_EQ(a32_load_relaxed(&count), 50);
	EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
}

static int run_uncancelled(void *arg)
{
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(rota_yield(), 0);
	EXPECT_EQ(rota_sleep(ROTA_MICROSECOND), 0);
	EXPECT_EQ(rota_cancelled(), 0);
	EXPECT_EQ(rota_deadline(), ROTA_FOREVER);
	a32_add_acq_rel(arg, 1);
	return 0;
}

TASK_TEST(inherit, not_the_scopes_around_the_spawn)
{
	struct a32 count = { 0 };
	struct rota_scope scope[3];
	struct rota_group group;

	rota_group_open(&group, NULL);
	rota_scope_open(&scope[0], 0);
	rota_scope_open(&scope[1], HOUR);
	rota_scope_open(&scope[2], HOUR);
	rota_scope_cancel(&scope[1], NULL);
	for (int i = 0; i < 20; i++)
		EXPECT_EQ(rota_group_spawn(&group, run_uncancelled, &count), 0);
	/* Two are closed before the members have ended, one is struck in the middle of it. */
	rota_scope_cancel(&scope[2], NULL);
	EXPECT_EQ(rota_scope_close(&scope[2], 0), 0);
	EXPECT_EQ(rota_scope_close(&scope[1], 0), 0);
	for (int i = 0; i < 20; i++)
		EXPECT_EQ(rota_group_spawn(&group, run_uncancelled, &count), 0);
	EXPECT_EQ(rota_scope_close(&scope[0], 0), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(a32_load_relaxed(&count), 40);
}

struct spawner {
	struct rota_group *group;
	struct a32 *count;
};

static int spawn_from_a_struck_scope(void *arg)
{
	const struct spawner *self = arg;
	struct rota_scope scope;

	rota_scope_open(&scope, 0);
	EXPECT_EQ(rota_yield(), -ECANCELED);
	EXPECT_EQ(rota_group_spawn(self->group, run_uncancelled, self->count), 0);
	return rota_scope_close(&scope, 0);
}

TASK_TEST(inherit, not_the_scopes_of_a_member_that_spawns)
{
	struct a32 count = { 0 };
	struct rota_group group;
	struct spawner spawner = { &group, &count };

	rota_group_open(&group, NULL);
	for (uint32_t i = 0; i < 20; i++) {
		const struct rota_spawn_options there = {
			.flags = ROTA_SPAWN_ON_LOOP,
			.loop = i % rota_loop_count(),
		};

		EXPECT_EQ(rota_group_spawn_with(
				  &group, spawn_from_a_struck_scope, &spawner, NULL, &there),
			0);
	}
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(a32_load_relaxed(&count), 20);
}

TASK_TEST(inherit, background_tasks_inherit_nothing)
{
	const struct rota_group_options options = { .timeout_ns = HOUR };
	struct a32 count = { 0 };
	struct rota_scope scope[2];
	struct rota_group group;

	rota_scope_open(&scope[0], HOUR);
	rota_group_open(&group, &options);
	rota_scope_open(&scope[1], 0);
	EXPECT_EQ(rota_background(run_uncancelled, &count), 0);
	rota_group_cancel(&group, NULL);
	rota_scope_cancel(&scope[0], NULL);
	EXPECT_EQ(rota_background(run_uncancelled, &count), 0);
	EXPECT_EQ(rota_scope_close(&scope[1], 0), 0);
	EXPECT_EQ(rota_group_close(&group, -EDOM), -EDOM);
	EXPECT_EQ(rota_scope_close(&scope[0], 0), 0);
	EXPECT(wait_cell(&count, 2));
}

/* rota_deadline(). */

TASK_TEST(inherit, no_deadline)
{
	struct rota_scope scope;

	EXPECT_EQ(rota_deadline(), ROTA_FOREVER);
	rota_scope_open(&scope, ROTA_FOREVER);
	EXPECT_EQ(rota_deadline(), ROTA_FOREVER);
	EXPECT_EQ(rota_scope_close(&scope, 0), 0);
	rota_scope_open_until(&scope, ROTA_FOREVER);
	EXPECT_EQ(rota_deadline(), ROTA_FOREVER);
	EXPECT_EQ(rota_scope_close(&scope, 0), 0);
}

TASK_TEST(inherit, the_deadline_of_a_timeout_counts_from_now)
{
	int64_t before = rota_now();
	struct rota_scope scope;

	rota_scope_open(&scope, HOUR);
	EXPECT(rota_deadline() >= before + HOUR);
	EXPECT(rota_deadline() <= rota_now() + HOUR);
	EXPECT_EQ(rota_scope_close(&scope, 0), 0);
	EXPECT_EQ(rota_deadline(), ROTA_FOREVER);
}

TASK_TEST(inherit, the_earliest_deadline_counts)
{
	int64_t now = rota_now();
	struct rota_scope scope[4];

	rota_scope_open_until(&scope[0], now + 3 * HOUR);
	EXPECT_EQ(rota_deadline(), now + 3 * HOUR);
	rota_scope_open_until(&scope[1], now + 1 * HOUR);
	EXPECT_EQ(rota_deadline(), now + 1 * HOUR);
	rota_scope_open_until(&scope[2], now + 2 * HOUR);
	EXPECT_EQ(rota_deadline(), now + 1 * HOUR);
	rota_scope_open(&scope[3], ROTA_FOREVER);
	EXPECT_EQ(rota_deadline(), now + 1 * HOUR);
	/* Moved: down, up, away. */
	rota_scope_set_deadline(&scope[0], now + HOUR / 2);
	EXPECT_EQ(rota_deadline(), now + HOUR / 2);
	rota_scope_set_deadline(&scope[0], now + 3 * HOUR);
	EXPECT_EQ(rota_deadline(), now + 1 * HOUR);
	rota_scope_set_deadline(&scope[1], ROTA_FOREVER);
	EXPECT_EQ(rota_deadline(), now + 2 * HOUR);
	EXPECT_EQ(rota_scope_close(&scope[3], 0), 0);
	EXPECT_EQ(rota_scope_close(&scope[2], 0), 0);
	EXPECT_EQ(rota_deadline(), now + 3 * HOUR);
	EXPECT_EQ(rota_scope_close(&scope[1], 0), 0);
	EXPECT_EQ(rota_scope_close(&scope[0], 0), 0);
	EXPECT_EQ(rota_deadline(), ROTA_FOREVER);
}

TASK_TEST(inherit, a_shield_holds_the_outer_deadlines_off)
{
	int64_t now = rota_now();
	struct rota_scope scope;
	struct rota_scope shield;
	struct rota_scope inner;

	rota_scope_open_until(&scope, now + HOUR);
	rota_shield_open(&shield, ROTA_FOREVER);
	EXPECT_EQ(rota_deadline(), ROTA_FOREVER);
	rota_scope_open_until(&inner, now + 2 * HOUR);
	EXPECT_EQ(rota_deadline(), now + 2 * HOUR);
	EXPECT_EQ(rota_scope_close(&inner, 0), 0);
	EXPECT_EQ(rota_scope_close(&shield, 0), 0);
	EXPECT_EQ(rota_deadline(), now + HOUR);
	EXPECT_EQ(rota_scope_close(&scope, 0), 0);
}

/* What was cancelled comes in when the limit strikes. */
TASK_TEST(inherit, a_shields_limit_is_a_deadline)
{
	int64_t before = rota_now();
	struct rota_scope scope;
	struct rota_scope shield;

	rota_scope_open(&scope, 0);
	rota_shield_open(&shield, HOUR);
	EXPECT(rota_deadline() >= before + HOUR);
	EXPECT(rota_deadline() <= rota_now() + HOUR);
	rota_scope_set_deadline(&shield, before + 2 * HOUR);
	EXPECT_EQ(rota_deadline(), before + 2 * HOUR);
	EXPECT_EQ(rota_scope_close(&shield, 0), 0);
	EXPECT_EQ(rota_scope_close(&scope, 0), 0);
}

TASK_TEST(inherit, a_groups_timeout_is_a_deadline)
{
	const struct rota_group_options options = { .timeout_ns = HOUR };
	int64_t before = rota_now();
	struct rota_scope scope;
	struct rota_group group;

	rota_group_open(&group, &options);
	EXPECT(rota_deadline() >= before + HOUR);
	EXPECT(rota_deadline() <= rota_now() + HOUR);
	rota_scope_open_until(&scope, before + HOUR / 2);
	EXPECT_EQ(rota_deadline(), before + HOUR / 2);
	EXPECT_EQ(rota_scope_close(&scope, 0), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(rota_deadline(), ROTA_FOREVER);
}

/* One that has struck is in force until its close: nothing foreign is to wait on. */
TASK_TEST(inherit, a_deadline_that_has_struck_is_past)
{
	struct rota_scope scope;
	struct rota_scope inner;

	rota_scope_open(&scope, ROTA_MICROSECOND);
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT(rota_deadline() <= rota_now());
	rota_scope_open(&inner, HOUR);
	EXPECT(rota_deadline() <= rota_now());
	EXPECT_EQ(rota_scope_close(&inner, 0), 0);
	EXPECT_EQ(rota_scope_close(&scope, 0), 0);
	rota_scope_open(&scope, 0);
	EXPECT(rota_deadline() <= rota_now());
	EXPECT_EQ(rota_scope_close(&scope, 0), 0);
	EXPECT_EQ(rota_deadline(), ROTA_FOREVER);
}

/* What members see of it. */

static int store_deadline(void *arg)
{
	*(int64_t *)arg = rota_deadline();
	return 0;
}

static int store_deadline_below(void *arg)
{
	struct rota_scope scope;
	struct rota_group group;

	rota_scope_open(&scope, ROTA_FOREVER);
	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, store_deadline, arg), 0);
	return rota_scope_close(&scope, rota_group_close(&group, 0));
}

static int64_t deadline_of_members(struct rota_group *group)
{
	int64_t deadline[4] = { 0 };

	for (int i = 0; i < 4; i++)
		EXPECT_EQ(rota_group_spawn(group, i < 2 ? store_deadline : store_deadline_below,
				  &deadline[i]),
			0);
	EXPECT_EQ(rota_group_wait(group), 0);
	for (int i = 1; i < 4; i++)
		EXPECT_EQ(deadline[i], deadline[0]);
	return deadline[0];
}

TASK_TEST(inherit, members_have_the_deadlines_around_their_group)
{
	const struct rota_group_options options = { .timeout_ns = HOUR };
	int64_t now = rota_now();
	struct rota_group group;
	struct rota_scope scope;
	struct rota_scope inner;

	rota_scope_open_until(&scope, now + HOUR / 2);
	rota_group_open(&group, NULL);
	rota_scope_open_until(&inner, now + HOUR / 4);
	EXPECT_EQ(deadline_of_members(&group), now + HOUR / 2);
	EXPECT_EQ(rota_scope_close(&inner, 0), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(rota_scope_close(&scope, 0), 0);

	rota_scope_open_until(&scope, now + 3 * HOUR);
	rota_group_open(&group, &options);
	EXPECT_EQ(deadline_of_members(&group), rota_deadline());
	EXPECT(deadline_of_members(&group) <= rota_now() + HOUR);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(rota_scope_close(&scope, 0), 0);

	rota_group_open(&group, NULL);
	EXPECT_EQ(deadline_of_members(&group), ROTA_FOREVER);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

TASK_TEST(inherit, members_in_a_shield_have_its_deadline)
{
	int64_t now = rota_now();
	struct rota_group group;
	struct rota_scope scope;
	struct rota_scope shield;

	rota_scope_open_until(&scope, now + HOUR);
	rota_shield_open(&shield, ROTA_FOREVER);
	rota_group_open(&group, NULL);
	EXPECT_EQ(deadline_of_members(&group), ROTA_FOREVER);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(rota_scope_close(&shield, 0), 0);
	EXPECT_EQ(rota_scope_close(&scope, 0), 0);
}

TASK_TEST(inherit, members_see_a_deadline_that_moves)
{
	int64_t now = rota_now();
	struct rota_group group;
	struct rota_scope scope;

	rota_scope_open_until(&scope, now + HOUR);
	rota_group_open(&group, NULL);
	EXPECT_EQ(deadline_of_members(&group), now + HOUR);
	rota_scope_set_deadline(&scope, now + HOUR / 2);
	EXPECT_EQ(deadline_of_members(&group), now + HOUR / 2);
	rota_scope_set_deadline(&scope, now + 2 * HOUR);
	EXPECT_EQ(deadline_of_members(&group), now + 2 * HOUR);
	rota_scope_set_deadline(&scope, ROTA_FOREVER);
	EXPECT_EQ(deadline_of_members(&group), ROTA_FOREVER);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(rota_scope_close(&scope, 0), 0);
}

/* A foreign call with a timeout of its own is handed the rest of ours. */
TASK_TEST(inherit, the_deadline_bounds_a_foreign_wait)
{
	struct rota_scope scope;
	int64_t left;

	rota_scope_open(&scope, 10 * ROTA_SECOND);
	left = rota_deadline() - rota_now();
	EXPECT(left > 0 && left <= 10 * ROTA_SECOND);
	EXPECT_EQ(rota_scope_close(&scope, 0), 0);
}
