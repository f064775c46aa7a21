/* SPDX-License-Identifier: MIT */
/* Task-local pointers: whose a value is, and who inherits it. */
#include "unit.h"

TestSuite(tasklocal, .timeout = HANG_SECONDS);

#define KEYS_MAX 64

static struct rota_local key;
static struct rota_local other_key;

/* Values are addresses: of these. */
static int values[KEYS_MAX];

TASK_TEST(tasklocal, is_null_until_it_is_set)
{
	EXPECT(rota_local_get(&key) == NULL);
	EXPECT_EQ(rota_local_set(&key, &values[1]), 0);
	EXPECT(rota_local_get(&key) == &values[1]);
	EXPECT(rota_local_get(&other_key) == NULL);
	EXPECT_EQ(rota_local_set(&key, &values[2]), 0);
	EXPECT(rota_local_get(&key) == &values[2]);
	EXPECT_EQ(rota_local_set(&key, NULL), 0);
	EXPECT(rota_local_get(&key) == NULL);
}

Test(tasklocal, outside_a_task_there_is_none)
{
	cr_expect_eq(rota_local_set(&key, values), -ENXIO);
	cr_expect_null(rota_local_get(&key));
}

TASK_TEST(tasklocal, stays_across_a_suspend)
{
	EXPECT_EQ(rota_local_set(&key, &values[1]), 0);
	EXPECT_EQ(rota_sleep(1), 0);
	EXPECT_EQ(rota_yield(), 0);
	EXPECT(rota_local_get(&key) == &values[1]);
}

/* Each test is a process of its own, and so has all the keys for itself. */
TASK_TEST(tasklocal, there_are_64_keys)
{
	static struct rota_local keys[KEYS_MAX + 1];

	for (int i = 0; i < KEYS_MAX; i++)
		EXPECT_EQ(rota_local_set(&keys[i], &values[i]), 0);
	EXPECT_EQ(rota_local_set(&keys[KEYS_MAX], values), -ENOSPC);
	EXPECT_EQ(rota_local_set(&keys[KEYS_MAX], values), -ENOSPC);
	EXPECT(rota_local_get(&keys[KEYS_MAX]) == NULL);
	for (int i = 0; i < KEYS_MAX; i++)
		EXPECT(rota_local_get(&keys[i]) == &values[i]);
}

/* Inheriting. */

static int expect_value(void *arg)
{
	EXPECT(rota_local_get(&key) == arg);
	return 0;
}

static int expect_value_in_a_child(void *arg)
{
	struct rota_group group;

	EXPECT(rota_local_get(&key) == arg);
	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, expect_value, arg), 0);
	return rota_group_close(&group, 0);
}

TASK_TEST(tasklocal, children_and_their_children_inherit)
{
	struct rota_group group;

	EXPECT_EQ(rota_local_set(&key, &values[1]), 0);
	rota_group_open(&group, NULL);
	for (int i = 0; i < 10; i++)
		EXPECT_EQ(rota_group_spawn(&group, expect_value_in_a_child, &values[1]), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

TASK_TEST(tasklocal, what_is_set_after_the_spawn_is_not_inherited)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, expect_value, NULL), 0);
	EXPECT_EQ(rota_local_set(&key, &values[1]), 0);
	EXPECT_EQ(rota_group_spawn(&group, expect_value, &values[1]), 0);
	EXPECT_EQ(rota_local_set(&key, &values[2]), 0);
	EXPECT_EQ(rota_group_spawn(&group, expect_value, &values[2]), 0);
	/* Longer than what the children share: the array grows. */
	for (int i = 0; i < KEYS_MAX - 1; i++) {
		static struct rota_local keys[KEYS_MAX - 1];

		EXPECT_EQ(rota_local_set(&keys[i], &values[i]), 0);
	}
	EXPECT_EQ(rota_local_set(&key, NULL), 0);
	EXPECT_EQ(rota_group_spawn(&group, expect_value, NULL), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

/* Sets it to its own value and finds that there whatever the others do. */
static int set_own(void *arg)
{
	EXPECT(rota_local_get(&key) == &values[0]);
	for (int i = 0; i < 5; i++) {
		EXPECT_EQ(rota_local_set(&key, arg), 0);
		EXPECT_EQ(rota_yield(), 0);
		EXPECT(rota_local_get(&key) == arg);
		EXPECT(rota_local_get(&other_key) == &values[1]);
	}
	return expect_value_in_a_child(arg);
}

TASK_TEST(tasklocal, what_a_child_sets_is_its_own)
{
	struct rota_group group;

	EXPECT_EQ(rota_local_set(&key, &values[0]), 0);
	EXPECT_EQ(rota_local_set(&other_key, &values[1]), 0);
	rota_group_open(&group, NULL);
	for (int i = 0; i < 50; i++)
		EXPECT_EQ(rota_group_spawn(&group, set_own, &values[i]), 0);
	EXPECT_EQ(rota_group_wait(&group), 0);
	EXPECT(rota_local_get(&key) == &values[0]);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

/* It ends and leaves its block to the next task, which must not find its values there. */
TASK_TEST(tasklocal, end_with_the_task)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (int i = 0; i < 20; i++) {
		EXPECT_EQ(rota_local_set(&key, &values[1]), 0);
		EXPECT_EQ(rota_group_spawn(&group, expect_value, &values[1]), 0);
		EXPECT_EQ(rota_group_wait(&group), 0);
		EXPECT_EQ(rota_background(expect_value, NULL), 0);
		EXPECT_EQ(rota_sleep(1000), 0);
	}
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

struct copied {
	int *value;
};

static int expect_copied(void *arg)
{
	const struct copied *copied = arg;

	EXPECT_STR_EQ(rota_task_name(), "");
	return expect_value(copied->value);
}

static int expect_named(void *arg)
{
	EXPECT_STR_EQ(rota_task_name(), "child");
	return expect_value(arg);
}

TASK_TEST(tasklocal, every_kind_of_spawn_into_a_group_inherits)
{
	struct copied copied = { .value = &values[1] };
	struct rota_group_options local = { .flags = ROTA_SPAWN_LOCAL, .limit = 2 };
	struct rota_call call = { .fn = expect_value, .arg = &values[1] };
	struct rota_group group;

	EXPECT_EQ(rota_local_set(&key, &values[1]), 0);
	rota_group_open(&group, NULL);
	rota_task_release(spawn(&group, expect_value, &values[1]));
	EXPECT_EQ(rota_group_spawn_copy(&group, expect_copied, &copied, sizeof(copied)), 0);
	for (uint32_t i = 0; i < rota_loop_count(); i++) {
		struct rota_spawn_options options = {
			.name = "child",
			.flags = ROTA_SPAWN_ON_LOOP,
			.loop = i,
			.stack_bytes = 65536,
		};

		EXPECT_EQ(
			rota_group_spawn_with(&group, expect_named, &values[1], NULL, &options), 0);
	}
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	rota_group_open(&group, &local);
	for (int i = 0; i < 10; i++)
		EXPECT_EQ(rota_group_spawn(&group, expect_value, &values[1]), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(rota_gather(&call, 1), 0);
}

TASK_TEST(tasklocal, a_named_task_without_values_gives_none)
{
	struct rota_group group;

	rota_task_set_name("parent");
	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, expect_value, NULL), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

/* Spawns into the group that it is a member of itself. */
static int spawn_sibling(void *arg)
{
	EXPECT_EQ(rota_local_set(&key, &values[2]), 0);
	return rota_group_spawn(arg, expect_value, &values[2]);
}

TASK_TEST(tasklocal, the_spawner_gives_not_the_owner_of_the_group)
{
	struct rota_group group;

	EXPECT_EQ(rota_local_set(&key, &values[1]), 0);
	rota_group_open(&group, NULL);
	for (int i = 0; i < 20; i++)
		EXPECT_EQ(rota_group_spawn(&group, spawn_sibling, &group), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

struct background_check {
	struct a32 done;
	bool empty;
};

static int look_in_background(void *arg)
{
	struct background_check *check = arg;

	check->empty = rota_local_get(&key) == NULL;
	a32_store_release(&check->done, 1);
	return 0;
}

TASK_TEST(tasklocal, background_tasks_inherit_nothing)
{
	struct background_check check[2] = { 0 };

	EXPECT_EQ(rota_local_set(&key, &values[1]), 0);
	EXPECT_EQ(rota_background(look_in_background, &check[0]), 0);
	EXPECT_EQ(
		rota_runtime_spawn(rota_runtime_self(), look_in_background, &check[1], NULL, NULL),
		0);
	for (int i = 0; i < 2; i++) {
		EXPECT(wait_cell(&check[i].done, 1));
		EXPECT(check[i].empty);
	}
}

static void *spawn_on_thread(void *arg)
{
	EXPECT_EQ(rota_group_spawn(arg, expect_value, NULL), 0);
	return NULL;
}

TASK_TEST(tasklocal, what_a_plain_thread_spawns_inherits_nothing)
{
	struct rota_group group;
	pthread_t thread;

	if (is_simulated())
		return;
	EXPECT_EQ(rota_local_set(&key, &values[1]), 0);
	rota_group_open(&group, NULL);
	EXPECT_EQ(pthread_create(&thread, NULL, spawn_on_thread, &group), 0);
	pthread_join(thread, NULL);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

/* The first set of a key, by many at once: it gets one index. */
static int set_first(void *arg)
{
	EXPECT_EQ(rota_local_set(&key, arg), 0);
	return expect_value(arg);
}

TASK_TEST(tasklocal, a_key_that_many_set_first_takes_one_place)
{
	static struct rota_local keys[KEYS_MAX];
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (int i = 0; i < 20; i++) {
		struct rota_spawn_options options = {
			.flags = ROTA_SPAWN_ON_LOOP,
			.loop = (uint32_t)i % rota_loop_count(),
		};

		EXPECT_EQ(rota_group_spawn_with(&group, set_first, &values[i], NULL, &options), 0);
	}
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	for (int i = 1; i < KEYS_MAX; i++)
		EXPECT_EQ(rota_local_set(&keys[i], NULL), 0);
	EXPECT_EQ(rota_local_set(&keys[0], NULL), -ENOSPC);
}

static int fail_after_set(void *arg)
{
	EXPECT_EQ(rota_local_set(&key, arg), 0);
	return rota_fail(-EXDEV, "with a message");
}

/* A task's values live beside its name, message and reason, and go with them. */
TASK_TEST(tasklocal, of_tasks_that_fail_or_are_cancelled)
{
	struct rota_group group;
	struct rota_task *task;
	int status = 0;

	EXPECT_EQ(rota_local_set(&key, &values[0]), 0);
	rota_group_open(&group, NULL);
	task = spawn(&group, task_store_cancel, &status);
	rota_task_cancel(task, "with a reason");
	EXPECT_EQ(rota_task_await(task, NULL), 0);
	EXPECT_EQ(status, -ECANCELED);
	EXPECT_EQ(rota_group_spawn(&group, fail_after_set, &values[1]), 0);
	EXPECT_EQ(rota_group_close(&group, 0), -EXDEV);
	EXPECT(rota_local_get(&key) == &values[0]);
}
