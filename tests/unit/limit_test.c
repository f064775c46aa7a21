/* SPDX-License-Identifier: MIT */
/* The limit of a group: never more members than that, waiting at it, and who may not wait. */
#include "unit.h"

TestSuite(limit, .timeout = HANG_SECONDS);

struct crowd {
	struct rota_group *group;
	struct a32 inside;
	struct a32 most;
	struct a32 count;
};

static int be_inside(void *arg)
{
	struct crowd *crowd = arg;
	uint32_t inside = a32_add_acq_rel(&crowd->inside, 1) + 1;
	uint32_t most = a32_load_relaxed(&crowd->most);

	while (most < inside && !a32_cas_relaxed(&crowd->most, &most, inside))
		;
	EXPECT(rota_group_live(crowd->group) <= 3);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(rota_yield(), 0);
	a32_add_acq_rel(&crowd->inside, (uint32_t)-1);
	a32_add_acq_rel(&crowd->count, 1);
	return 0;
}

TASK_TEST(limit, is_exact)
{
	const struct rota_group_options options = { .limit = 3 };
	struct rota_group group;
	struct crowd crowd = { .group = &group };

	rota_group_open(&group, &options);
	for (int i = 0; i < 200; i++)
		EXPECT_EQ(rota_group_spawn(&group, be_inside, &crowd), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(a32_load_relaxed(&crowd.count), 200);
	EXPECT(a32_load_relaxed(&crowd.most) <= 3);
}

TASK_TEST(limit, is_reached)
{
	const struct rota_group_options options = { .limit = 3 };
	struct rota_group group;
	struct rota_task *task[3];

	rota_group_open(&group, &options);
	for (int i = 0; i < 3; i++)
		task[i] = spawn(&group, task_forever, NULL);
	for (int i = 0; i < 3; i++)
		wait_state(task[i], ROTA_TASK_SUSPENDED);
	EXPECT_EQ(rota_group_live(&group), 3);
	rota_group_cancel(&group, NULL);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

struct fence {
	struct a32 spawned;
	struct rota_task *first;
	struct rota_task *spawner;
};

/* Ends the member that the spawner waits for, once the spawner does wait. */
static int make_room(void *arg)
{
	struct fence *fence = arg;

	wait_state(fence->spawner, ROTA_TASK_SUSPENDED);
	EXPECT_EQ(a32_load_acquire(&fence->spawned), 1);
	rota_task_cancel(fence->first, NULL);
	return 0;
}

static int spawn_two_into_one(void *arg)
{
	const struct rota_group_options options = { .limit = 1 };
	struct fence *fence = arg;
	struct rota_group helpers;
	struct rota_group group;
	struct a32 count = { 0 };

	fence->spawner = rota_task_self();
	rota_group_open(&helpers, NULL);
	rota_group_open(&group, &options);
	fence->first = spawn(&group, task_forever, NULL);
	a32_store_release(&fence->spawned, 1);
	EXPECT_EQ(rota_group_spawn(&helpers, make_room, fence), 0);
	EXPECT_EQ(rota_group_spawn(&group, task_count, &count), 0);
	a32_store_release(&fence->spawned, 2);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(rota_group_close(&helpers, 0), 0);
	EXPECT_EQ(a32_load_relaxed(&count), 1);
	return 0;
}

TASK_TEST(limit, the_spawner_waits_for_a_place)
{
	struct fence fence = { .spawned = { 0 } };
	struct rota_group group;

	rota_group_open(&group, NULL);
	spawn(&group, spawn_two_into_one, &fence);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

static int spawn_into(void *arg)
{
	struct rota_task *task = (void *)&failures;

	EXPECT_EQ(rota_group_spawn_with(arg, task_return, STATUS(0), &task, NULL), -EAGAIN);
	EXPECT(task == NULL);
	return 0;
}

static int spawn_into_from_below(void *arg)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, spawn_into, arg), 0);
	return rota_group_close(&group, 0);
}

TASK_TEST(limit, members_get_eagain_and_the_close_does_not)
{
	const struct rota_group_options options = { .limit = 1 };
	struct rota_group group;

	rota_group_open(&group, &options);
	EXPECT_EQ(rota_group_spawn(&group, spawn_into, &group), 0);
	EXPECT_EQ(rota_group_wait(&group), 0);
	EXPECT_EQ(rota_group_spawn(&group, spawn_into_from_below, &group), 0);
	EXPECT_EQ(rota_group_close(&group, 1), 1);
}

struct tree {
	struct rota_group *group;
	struct a32 *leaves;
	unsigned int levels;
};

/* The advice of the header: at the limit, call it yourself. */
static int grow(void *arg)
{
	struct tree *tree = arg;
	struct tree below = { tree->group, tree->leaves, tree->levels - 1 };
	int err;

	if (!tree->levels) {
		a32_add_relaxed(tree->leaves, 1);
		return 0;
	}
	for (int i = 0; i < 2; i++) {
		err = rota_group_spawn_copy(tree->group, grow, &below, sizeof(below));
		if (err == -EAGAIN)
			err = grow(&below);
		EXPECT_EQ(err, 0);
	}
	return 0;
}

TASK_TEST(limit, a_tree_in_one_group_cannot_lock_up)
{
	const struct rota_group_options options = { .limit = 4 };
	struct a32 leaves = { 0 };
	struct rota_group group;
	struct tree tree = { &group, &leaves, 10 };

	rota_group_open(&group, &options);
	EXPECT_EQ(rota_group_spawn(&group, grow, &tree), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(a32_load_relaxed(&leaves), 1024);
}

TASK_TEST(limit, waiting_ends_when_the_group_is_cancelled)
{
	const struct rota_group_options options = { .limit = 2, .timeout_ns = ROTA_MILLISECOND };
	struct rota_task *task = (void *)&failures;
	struct rota_group group;

	rota_group_open(&group, &options);
	spawn(&group, task_forever, NULL);
	spawn(&group, task_forever, NULL);
	/* Cancelled: it may also have got the place of a member that the timeout ended. */
	if (rota_group_spawn_with(&group, task_forever, NULL, &task, NULL) == -ECANCELED)
		EXPECT(task == NULL);
	EXPECT_EQ(rota_group_close(&group, 0), -ETIMEDOUT);
}

static int fail_when_somebody_waits(void *arg)
{
	wait_state(arg, ROTA_TASK_SUSPENDED);
	return -EXDEV;
}

/* Its failure makes room, and cancels the group: whoever comes in then is cancelled as well. */
TASK_TEST(limit, what_comes_in_after_a_failure_is_cancelled)
{
	const struct rota_group_options options = { .limit = 1 };

	for (uint32_t i = 0; i < 10 * rota_loop_count(); i++) {
		const struct rota_spawn_options there = {
			.flags = ROTA_SPAWN_ON_LOOP,
			.loop = i % rota_loop_count(),
		};
		struct rota_group group;
		int err;

		rota_group_open(&group, &options);
		EXPECT_EQ(rota_group_spawn_with(
				  &group, fail_when_somebody_waits, rota_task_self(), NULL, &there),
			0);
		err = rota_group_spawn(&group, task_forever, NULL);
		EXPECT(err == 0 || err == -ECANCELED);
		EXPECT_EQ(rota_group_close(&group, 0), -EXDEV);
	}
}

static int wait_at_limit(void *arg)
{
	const struct rota_group_options options = { .limit = 1 };
	struct rota_group group;
	struct a32 *ready = arg;

	rota_group_open(&group, &options);
	spawn(&group, task_forever, NULL);
	a32_store_release(ready, 1);
	EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(0)), -ECANCELED);
	return rota_group_close(&group, 0);
}

TASK_TEST(limit, waiting_ends_when_the_spawner_is_cancelled)
{
	struct a32 ready = { 0 };
	struct rota_group group;
	struct rota_task *task;
	int status = 0;

	rota_group_open(&group, NULL);
	task = spawn(&group, wait_at_limit, &ready);
	EXPECT(wait_cell(&ready, 1));
	rota_task_cancel(task, NULL);
	EXPECT_EQ(rota_task_await(task, &status), 0);
	EXPECT_EQ(status, -ECANCELED);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

static int spawn_many_into(void *arg)
{
	struct crowd *crowd = arg;

	for (int i = 0; i < 50; i++)
		EXPECT_EQ(rota_group_spawn(crowd->group, be_inside, crowd), 0);
	return 0;
}

TASK_TEST(limit, several_spawners_may_wait)
{
	const struct rota_group_options options = { .limit = 3 };
	struct rota_group spawners;
	struct rota_group group;
	struct crowd crowd = { .group = &group };

	rota_group_open(&spawners, NULL);
	rota_group_open(&group, &options);
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(rota_group_spawn(&spawners, spawn_many_into, &crowd), 0);
	EXPECT_EQ(rota_group_wait(&spawners), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(rota_group_close(&spawners, 0), 0);
	EXPECT_EQ(a32_load_relaxed(&crowd.count), 200);
	EXPECT(a32_load_relaxed(&crowd.most) <= 3);
}

TASK_TEST(limit, a_place_is_given_back_by_a_refused_spawn)
{
	const struct rota_spawn_options bad = { .stack_bytes = UINT64_MAX };
	const struct rota_group_options options = { .limit = 1 };
	struct a32 count = { 0 };
	struct rota_group group;

	rota_group_open(&group, &options);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(rota_group_spawn_with(&group, task_count, &count, NULL, &bad), -EINVAL);
	EXPECT_EQ(rota_group_live(&group), 0);
	EXPECT_EQ(rota_group_spawn(&group, task_count, &count), 0);
	EXPECT_EQ(rota_group_close(&group, 0), -EINVAL);
	EXPECT_EQ(a32_load_relaxed(&count), 1);
}

static void *spawn_on_thread(void *arg)
{
	spawn_into(arg);
	return NULL;
}

TASK_TEST(limit, plain_threads_get_eagain)
{
	const struct rota_group_options options = { .limit = 1 };
	struct rota_group group;
	pthread_t thread;

	if (is_simulated())
		return;
	rota_group_open(&group, &options);
	spawn(&group, task_forever, NULL);
	EXPECT_EQ(pthread_create(&thread, NULL, spawn_on_thread, &group), 0);
	pthread_join(thread, NULL);
	rota_group_cancel(&group, NULL);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}
