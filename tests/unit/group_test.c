/* SPDX-License-Identifier: MIT */
/*
 * Groups: opening, spawning, handles, nesting, closing, misuse. What cancels them is in
 * cancel_table_test.c, the limit in limit_test.c, ROTA_SPAWN_LOCAL in local_test.c.
 */
#include "unit.h"

TestSuite(group, .timeout = HANG_SECONDS);

TASK_TEST(group, empty_group_gives_the_status)
{
	static const int statuses[] = { 0, 1, 255, 1 << 30, -EIO, -ECANCELED, -ETIMEDOUT };

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		struct rota_group group;

		rota_group_open(&group, NULL);
		EXPECT_EQ(rota_group_close(&group, statuses[i]), statuses[i]);
	}
}

TASK_TEST(group, close_joins_all_members)
{
	enum { MEMBERS = 5000 };
	struct rota_group group;
	struct a32 count = { 0 };

	rota_group_open(&group, NULL);
	for (int i = 0; i < MEMBERS; i++)
		EXPECT_EQ(rota_group_spawn(&group, task_count, &count), 0);
	EXPECT_EQ(rota_group_close(&group, 7), 7);
	EXPECT_EQ(a32_load_relaxed(&count), MEMBERS);
}

static int yield_then_count(void *arg)
{
	for (int i = 0; i < 10; i++)
		EXPECT_EQ(rota_yield(), 0);
	EXPECT_EQ(rota_sleep(ROTA_MICROSECOND), 0);
	return task_count(arg);
}

TASK_TEST(group, close_joins_members_that_suspend)
{
	struct rota_group group;
	struct a32 count = { 0 };

	rota_group_open(&group, NULL);
	for (int i = 0; i < 200; i++)
		EXPECT_EQ(rota_group_spawn(&group, yield_then_count, &count), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(a32_load_relaxed(&count), 200);
}

TASK_TEST(group, wait_joins_and_leaves_the_group_open)
{
	struct rota_group group;
	struct a32 count = { 0 };

	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_wait(&group), 0);
	for (uint32_t round = 1; round <= 20; round++) {
		for (int i = 0; i < 5; i++)
			EXPECT_EQ(rota_group_spawn(&group, yield_then_count, &count), 0);
		EXPECT_EQ(rota_group_wait(&group), 0);
		EXPECT_EQ(a32_load_relaxed(&count), 5 * round);
		EXPECT_EQ(rota_group_live(&group), 0);
	}
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

TASK_TEST(group, positive_results_of_members_are_no_news)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(42)), 0);
	EXPECT_EQ(rota_group_close(&group, 3), 3);
}

TASK_TEST(group, live_counts_members)
{
	struct rota_group group;
	struct rota_task *task[4];

	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_live(&group), 0);
	for (size_t i = 0; i < 4; i++) {
		task[i] = spawn(&group, task_forever, NULL);
		EXPECT_EQ(rota_group_live(&group), i + 1);
	}
	rota_task_cancel(task[0], NULL);
	EXPECT_EQ(rota_task_await(task[0], NULL), 0);
	while (rota_group_live(&group) != 3)
		EXPECT_EQ(rota_yield(), 0);
	EXPECT_EQ(rota_group_close(&group, -EIO), -EIO);
}

struct copied {
	int number;
	char text[100];
	struct a32 *sum;
};

static int add_copy(void *arg)
{
	const struct copied *copy = arg;

	EXPECT_STR_EQ(copy->text, "copied");
	a32_add_relaxed(copy->sum, (uint32_t)copy->number);
	return 0;
}

TASK_TEST(group, spawn_copy_hands_over_a_copy)
{
	struct a32 sum = { 0 };
	struct copied copy = { .text = "copied", .sum = &sum };
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (copy.number = 1; copy.number <= 100; copy.number++)
		EXPECT_EQ(rota_group_spawn_copy(&group, add_copy, &copy, sizeof(copy)), 0);
	memset(&copy, 0xff, sizeof(copy));
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(a32_load_relaxed(&sum), 5050);
}

TASK_TEST(group, functions_behind_the_macros_work)
{
	struct a32 sum = { 0 };
	struct copied copy = { .number = 10, .text = "copied", .sum = &sum };
	struct rota_task *task = NULL;
	struct rota_group group;
	int status = -1;

	(rota_group_open)(&group, NULL);
	EXPECT_EQ((rota_group_spawn)(&group, task_count, &sum), 0);
	EXPECT_EQ((rota_group_spawn_copy)(&group, add_copy, &copy, sizeof(copy)), 0);
	EXPECT_EQ((rota_group_spawn_with)(&group, task_count, &sum, &task, NULL), 0);
	EXPECT_EQ(rota_task_await(task, &status), 0);
	EXPECT_EQ(status, 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(a32_load_relaxed(&sum), 12);
}

struct spawner {
	struct rota_group *group;
	struct a32 *count;
	unsigned int levels;
};

static int spawn_two_more(void *arg)
{
	struct spawner *self = arg;
	struct spawner next = { self->group, self->count, self->levels - 1 };

	a32_add_relaxed(self->count, 1);
	for (int i = 0; i < 2 && self->levels; i++)
		EXPECT_EQ(
			rota_group_spawn_copy(self->group, spawn_two_more, &next, sizeof(next)), 0);
	return 0;
}

TASK_TEST(group, members_may_spawn_into_their_own_group)
{
	struct rota_group group;
	struct a32 count = { 0 };
	struct spawner first = { &group, &count, 9 };

	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, spawn_two_more, &first), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(a32_load_relaxed(&count), 1023);
}

TASK_TEST(group, handles_are_valid_until_the_close)
{
	enum { MEMBERS = 300 };
	struct rota_task *task[MEMBERS];
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (int i = 0; i < MEMBERS; i++) {
		EXPECT_EQ(rota_group_spawn_with(&group, task_return, STATUS(i), &task[i], NULL), 0);
		EXPECT(task[i] != NULL);
	}
	for (int round = 0; round < 3; round++) {
		/* Whatever is free is used again by these. */
		for (int i = 0; i < 2 * MEMBERS; i++)
			EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(1 << 20)), 0);
		EXPECT_EQ(rota_group_wait(&group), 0);
		for (int i = 0; i < MEMBERS; i++) {
			int status = -1;

			EXPECT_EQ(rota_task_state(task[i]), ROTA_TASK_DONE);
			EXPECT_EQ(rota_task_await(task[i], &status), 0);
			EXPECT_EQ(status, i);
		}
	}
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

TASK_TEST(group, a_handle_may_be_released_before_and_after_the_end)
{
	struct rota_group group;
	struct a32 count = { 0 };

	rota_group_open(&group, NULL);
	for (int i = 0; i < 500; i++) {
		struct rota_task *task = spawn(&group, task_count, &count);

		if (i % 3 == 1)
			EXPECT_EQ(rota_task_await(task, NULL), 0);
		else if (i % 3 == 2)
			EXPECT_EQ(rota_yield(), 0);
		rota_task_release(task);
	}
	rota_task_release(NULL);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(a32_load_relaxed(&count), 500);
}

static int release_handle(void *arg)
{
	rota_task_release(arg);
	return 0;
}

TASK_TEST(group, a_handle_may_be_released_by_another_task)
{
	struct rota_group outer;
	struct rota_group group;
	struct a32 count = { 0 };

	rota_group_open(&outer, NULL);
	rota_group_open(&group, NULL);
	for (int i = 0; i < 500; i++)
		EXPECT_EQ(rota_group_spawn(&outer, release_handle,
				  spawn(&group, i % 2 ? task_count : yield_then_count, &count)),
			0);
	/* The releasers are done with the handles before the group closes. */
	EXPECT_EQ(rota_group_wait(&outer), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(rota_group_close(&outer, 0), 0);
	EXPECT_EQ(a32_load_relaxed(&count), 500);
}

TASK_TEST(group, a_refused_spawn_stores_null_and_is_the_result)
{
	static const struct rota_spawn_options bad[] = {
		{ .reserved = { 1 } }, { .reserved = { [3] = 1 } }, { .flags = 1u << 31 },
		{ .flags = ROTA_SPAWN_ON_LOOP, .loop = 1000 }, { .stack_bytes = (8u << 20) + 1 },
		{ .arg_bytes = 8 }, /* arg is NULL */
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct rota_task *task = (void *)&bad;
		struct rota_group group;

		rota_group_open(&group, NULL);
		EXPECT_EQ(
			rota_group_spawn_with(&group, task_return, NULL, &task, &bad[i]), -EINVAL);
		EXPECT(task == NULL);
		EXPECT_EQ(rota_yield(), 0);
		EXPECT_EQ(rota_group_close(&group, 0), -EINVAL);
	}
}

TASK_TEST(group, a_spawn_without_a_function_is_refused)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, NULL, NULL), -EINVAL);
	EXPECT_EQ(rota_group_close(&group, 0), -EINVAL);
}

TASK_TEST(group, a_members_error_comes_before_a_refused_spawn)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, NULL, NULL), -EINVAL);
	EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(-EIO)), 0);
	EXPECT_EQ(rota_group_close(&group, 0), -EIO);
}

TASK_TEST(group, bad_options_are_the_result_and_refuse_spawns)
{
	static const struct {
		struct rota_group_options options;
		int want;
	} bad[] = {
		{ { .reserved = { 1 } }, -EINVAL },
		{ { .reserved = { [2] = 1 } }, -EINVAL },
		{ { .flags = ROTA_SPAWN_ON_LOOP }, -EINVAL },
		{ { .flags = 1u << 31 }, -EINVAL },
		{ { .timeout_ns = -1 }, -EINVAL },
		{ { .policy = ROTA_GROUP_SUPERVISE + 1 }, -EINVAL },
		{ { .grace_ns = -1 }, -EINVAL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct rota_task *task = (void *)&failures;
		struct rota_group group;

		rota_group_open(&group, &bad[i].options);
		EXPECT_EQ(
			rota_group_spawn_with(&group, task_return, NULL, &task, NULL), bad[i].want);
		EXPECT(task == NULL);
		EXPECT_EQ(rota_group_wait(&group), 0);
		EXPECT_EQ(rota_group_close(&group, 0), bad[i].want);
	}
}

Test(group, outside_a_task_it_stays_closed)
{
	struct rota_task *task = (void *)&failures;
	struct rota_group group;

	memset(&group, 0xff, sizeof(group));
	rota_group_open(&group, NULL);
	cr_expect_lt(rota_group_spawn_with(&group, task_return, NULL, &task, NULL), 0);
	cr_expect_null(task);
	cr_expect_eq(rota_group_live(&group), 0);
	rota_group_cancel(&group, NULL);
	cr_expect_eq(rota_group_wait(&group), -ENXIO);
	cr_expect_eq(rota_group_close(&group, 0), -ENXIO);
	rota_group_cleanup(&group);
}

TASK_TEST(group, a_closed_group_refuses_everything)
{
	struct rota_group group = { { 0 } };

	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(rota_group_close(&group, 0), -EINVAL);
		EXPECT_EQ(rota_group_wait(&group), -EINVAL);
		EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(0)), -EINVAL);
		EXPECT_EQ(rota_group_live(&group), 0);
		rota_group_cancel(&group, "nobody");
		rota_group_cleanup(&group);
		rota_group_open(&group, NULL);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
	}
}

static int wait_for_anothers_group(void *arg)
{
	EXPECT_EQ(rota_group_wait(arg), -EINVAL);
	return 0;
}

TASK_TEST(group, wait_is_the_owners)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, wait_for_anothers_group, &group), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

TASK_TEST(group, groups_nest_in_one_task)
{
	struct rota_group group[20];
	struct a32 count = { 0 };

	for (size_t i = 0; i < 20; i++) {
		rota_group_open(&group[i], NULL);
		for (size_t k = 0; k <= i; k++)
			EXPECT_EQ(rota_group_spawn(&group[k], task_count, &count), 0);
	}
	for (size_t i = 20; i-- > 0;)
		EXPECT_EQ(rota_group_close(&group[i], (int)i), i);
	EXPECT_EQ(a32_load_relaxed(&count), 210);
}

struct level {
	unsigned int left;
	struct a32 *leaves;
	int leaf_status;
};

static const struct rota_spawn_options small = { .stack_bytes = 16384 };

/* A chain: each level waits for the one below. */
static int descend(void *arg)
{
	const struct level *level = arg;
	struct level next = { level->left - 1, level->leaves, level->leaf_status };
	struct rota_group group;

	if (!level->left) {
		a32_add_acq_rel(level->leaves, 1);
		return level->leaf_status == -ECANCELED ? task_forever(NULL) : level->leaf_status;
	}
	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn_with(&group, descend, &next, NULL, &small), 0);
	return rota_group_close(&group, 0);
}

TASK_TEST(group, a_deep_chain_hands_its_error_up)
{
	struct a32 leaves = { 0 };
	struct level top = { 3000, &leaves, -EXDEV };

	EXPECT_EQ(descend(&top), -EXDEV);
	EXPECT_EQ(a32_load_relaxed(&leaves), 1);
}

TASK_TEST(group, a_deep_chain_is_cancelled_down_to_its_leaf)
{
	struct a32 leaves = { 0 };
	struct level top = { 3000, &leaves, -ECANCELED };
	struct rota_group group;
	struct rota_task *task;
	int status = 0;

	rota_group_open(&group, NULL);
	task = spawn(&group, descend, &top);
	EXPECT(wait_cell(&leaves, 1));
	rota_task_cancel(task, "all of it");
	EXPECT_EQ(rota_task_await(task, &status), 0);
	EXPECT_EQ(status, -ECANCELED);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

static int leave_early(void *arg)
{
	int *member = arg;
	ROTA_GROUP(group, NULL);

	EXPECT_EQ(rota_group_spawn(&group, task_store_cancel, member), 0);
	return -EDOM;
}

static int leave_by_close(void *arg)
{
	ROTA_GROUP(group, &(struct rota_group_options){ .name = "named", .limit = 2 });

	EXPECT_EQ(rota_group_spawn(&group, task_count, arg), 0);
	return rota_group_close(&group, 9);
}

TASK_TEST(group, the_cleanup_form_joins_on_every_way_out)
{
	struct a32 count = { 0 };
	int member = 0;

	EXPECT_EQ(leave_early(&member), -EDOM);
	EXPECT_EQ(member, -ECANCELED);
	EXPECT_EQ(rota_yield(), 0);
	EXPECT_EQ(leave_by_close(&count), 9);
	EXPECT_EQ(a32_load_relaxed(&count), 1);
}

/* Misuse that cannot be gone on from: a report that names the group, and an abort. */

static struct child *run_dying(int (*body)(void *arg))
{
	return run_child(body, NULL);
}

static int close_outer_first(void *arg)
{
	struct rota_group outer;
	struct rota_group inner;

	(void)arg;
	rota_group_open(&outer, NULL);
	rota_group_open(&inner, NULL);
	return rota_group_close(&outer, 0);
}

static int die_by_order(void *arg)
{
	return rota_run(close_outer_first, arg, NULL);
}

Test(group, closing_out_of_order_aborts, .timeout = HANG_SECONDS)
{
	struct child *child = run_dying(die_by_order);

	cr_expect(child_died_by(child, SIGABRT), "%x %s", child->wait_status, child->err);
	cr_expect_not_null(
		strstr(child->err, "rota: group &outer (group_test.c:"), "%s", child->err);
	cr_expect_not_null(strstr(child->err, "is open inside it: group &inner (group_test.c:"),
		"%s", child->err);
}

static int close_anothers(void *arg)
{
	return rota_group_close(arg, 0);
}

static int lend_group(void *arg)
{
	struct rota_group lent;

	(void)arg;
	rota_group_open(&lent, NULL);
	rota_group_spawn(&lent, close_anothers, &lent);
	return rota_group_close(&lent, 0);
}

static int die_by_owner(void *arg)
{
	return rota_run(lend_group, arg, NULL);
}

Test(group, closing_anothers_group_aborts, .timeout = HANG_SECONDS)
{
	struct child *child = run_dying(die_by_owner);

	cr_expect(child_died_by(child, SIGABRT), "%x %s", child->wait_status, child->err);
	cr_expect_not_null(
		strstr(child->err, "rota: group &lent (group_test.c:"), "%s", child->err);
}

static int forget(void *arg)
{
	/* Static: the report must not depend on the frame that is gone. */
	static struct rota_group forgotten;

	(void)arg;
	rota_group_open(&forgotten, NULL);
	return 0;
}

static int spawn_forgetful(void *arg)
{
	struct rota_group group;

	(void)arg;
	rota_group_open(&group, NULL);
	rota_group_spawn(&group, forget, NULL);
	return rota_group_close(&group, 0);
}

static int die_by_open_group(void *arg)
{
	return rota_run(spawn_forgetful, arg, NULL);
}

Test(group, ending_with_an_open_group_aborts, .timeout = HANG_SECONDS)
{
	struct child *child = run_dying(die_by_open_group);

	cr_expect(child_died_by(child, SIGABRT), "%x %s", child->wait_status, child->err);
	cr_expect_not_null(strstr(child->err, "of forget (group_test.c:"), "%s", child->err);
	cr_expect_not_null(
		strstr(child->err, "ended with an open group: &forgotten (group_test.c:"), "%s",
		child->err);
}
