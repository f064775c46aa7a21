/* SPDX-License-Identifier: MIT */
/* Waiting for the end of a task: by one, by many, on its loop and on others, cut short. */
#include "unit.h"

TestSuite(await, .timeout = HANG_SECONDS);

TASK_TEST(await, stores_how_the_task_ended)
{
	static const int statuses[] = { 0, 1, 77, 1 << 30 };

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		struct rota_group group;
		struct rota_task *task;
		int status = -1;

		rota_group_open(&group, NULL);
		task = spawn(&group, task_return, STATUS(statuses[i]));
		EXPECT_EQ(rota_task_await(task, &status), 0);
		EXPECT_EQ(status, statuses[i]);
		EXPECT_EQ(rota_task_state(task), ROTA_TASK_DONE);
		EXPECT_EQ(rota_task_await(task, NULL), 0);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
	}
}

static int await_and_fail(void *arg)
{
	struct rota_task *task = *(struct rota_task **)arg;
	int status = 0;

	/* It fails and cancels us with it: either way this returns. */
	if (rota_task_await(task, &status) == 0)
		EXPECT_EQ(status, -EXDEV);
	else
		EXPECT_EQ(status, 0);
	return 0;
}

TASK_TEST(await, of_a_member_that_fails)
{
	for (int i = 0; i < 50; i++) {
		struct rota_group group;
		struct rota_task *task;

		rota_group_open(&group, NULL);
		task = spawn(&group, task_return, STATUS(-EXDEV));
		EXPECT_EQ(rota_group_spawn(&group, await_and_fail, &task), 0);
		EXPECT_EQ(rota_group_close(&group, 0), -EXDEV);
	}
}

TASK_TEST(await, an_ended_task_again_and_again)
{
	struct rota_group group;
	struct rota_task *task;

	rota_group_open(&group, NULL);
	task = spawn(&group, task_return, STATUS(5));
	EXPECT_EQ(rota_group_wait(&group), 0);
	for (int i = 0; i < 100; i++) {
		int status = -1;

		EXPECT_EQ(rota_task_await(task, &status), 0);
		EXPECT_EQ(status, 5);
	}
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

TASK_TEST(await, null_is_invalid)
{
	int status = 12;

	EXPECT_EQ(rota_task_await(NULL, &status), -EINVAL);
	EXPECT_EQ(status, 12);
}

Test(await, null_is_invalid_outside_too)
{
	cr_expect_eq(rota_task_await(NULL, NULL), -EINVAL);
}

static int await_itself(void *arg)
{
	int status = 12;

	(void)arg;
	EXPECT_EQ(rota_task_await(rota_task_self(), &status), -EDEADLK);
	EXPECT_EQ(status, 12);
	return 0;
}

TASK_TEST(await, oneself_is_a_deadlock)
{
	struct rota_group group;

	await_itself(NULL);
	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, await_itself, NULL), 0);
	spawn(&group, await_itself, NULL);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

/* Many await one task: on each loop some, before and after its end. */

struct awaited {
	struct a32 go;
	struct rota_task *task;
	struct a32 woken;
};

static int end_on_go(void *arg)
{
	struct awaited *awaited = arg;

	return wait_cell(&awaited->go, 1) ? 31 : -ECANCELED;
}

static int await_it(void *arg)
{
	struct awaited *awaited = arg;
	int status = -1;

	EXPECT_EQ(rota_task_await(awaited->task, &status), 0);
	EXPECT_EQ(status, 31);
	a32_add_acq_rel(&awaited->woken, 1);
	return 0;
}

static void *await_on_thread(void *arg)
{
	await_it(arg);
	return NULL;
}

TASK_TEST(await, many_tasks_on_all_loops)
{
	for (uint32_t where = 0; where < rota_loop_count(); where++) {
		const struct rota_spawn_options there = { .flags = ROTA_SPAWN_ON_LOOP,
			.loop = where };
		struct awaited awaited = { .task = NULL };
		struct rota_group group;

		rota_group_open(&group, NULL);
		EXPECT_EQ(rota_group_spawn_with(&group, end_on_go, &awaited, &awaited.task, &there),
			0);
		for (uint32_t i = 0; i < 10 * rota_loop_count(); i++) {
			const struct rota_spawn_options options = {
				.flags = ROTA_SPAWN_ON_LOOP,
				.loop = i % rota_loop_count(),
			};

			EXPECT_EQ(rota_group_spawn_with(&group, await_it, &awaited, NULL, &options),
				0);
			if (i % 3 == 0)
				EXPECT_EQ(rota_yield(), 0);
		}
		a32_store_release(&awaited.go, 1);
		await_it(&awaited);
		EXPECT_EQ(rota_group_wait(&group), 0);
		/* The handle is still good, whatever else has come into its group since. */
		for (int i = 0; i < 300; i++)
			EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(i)), 0);
		EXPECT_EQ(rota_group_wait(&group), 0);
		await_it(&awaited);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		EXPECT_EQ(a32_load_relaxed(&awaited.woken), 10 * rota_loop_count() + 2);
	}
}

TASK_TEST(await, plain_threads_and_tasks_together)
{
	enum { THREADS = 3 };
	struct awaited awaited = { .task = NULL };
	pthread_t thread[THREADS];
	struct rota_group group;

	if (is_simulated())
		return;
	rota_group_open(&group, NULL);
	awaited.task = spawn(&group, end_on_go, &awaited);
	for (int i = 0; i < THREADS; i++)
		EXPECT_EQ(pthread_create(&thread[i], NULL, await_on_thread, &awaited), 0);
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(rota_group_spawn(&group, await_it, &awaited), 0);
	EXPECT_EQ(rota_yield(), 0);
	a32_store_release(&awaited.go, 1);
	EXPECT(wait_cell(&awaited.woken, THREADS + 4));
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

static int await_until_cancelled(void *arg)
{
	struct awaited *awaited = arg;
	int status = 12;

	EXPECT_EQ(rota_task_await(awaited->task, &status), -ECANCELED);
	EXPECT_EQ(status, 12);
	/* Again: still cancelled. */
	EXPECT_EQ(rota_task_await(awaited->task, &status), -ECANCELED);
	return -ECANCELED;
}

TASK_TEST(await, a_cancelled_awaiter_leaves_the_others_waiting)
{
	for (uint32_t i = 0; i < 20; i++) {
		const struct rota_spawn_options options = {
			.flags = ROTA_SPAWN_ON_LOOP,
			.loop = i % rota_loop_count(),
		};
		struct awaited awaited = { .task = NULL };
		struct rota_group group;
		struct rota_task *cut[3];

		rota_group_open(&group, NULL);
		awaited.task = spawn(&group, end_on_go, &awaited);
		for (int k = 0; k < 3; k++) {
			EXPECT_EQ(rota_group_spawn(&group, await_it, &awaited), 0);
			EXPECT_EQ(rota_group_spawn_with(&group, await_until_cancelled, &awaited,
					  &cut[k], &options),
				0);
		}
		wait_state(cut[0], ROTA_TASK_SUSPENDED);
		for (int k = 0; k < 3; k++) {
			rota_task_cancel(cut[k], NULL);
			EXPECT_EQ(rota_task_await(cut[k], NULL), 0);
		}
		EXPECT_EQ(a32_load_acquire(&awaited.woken), 0);
		a32_store_release(&awaited.go, 1);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		EXPECT_EQ(a32_load_relaxed(&awaited.woken), 3);
	}
}

/* The end of the task and the cancel of its awaiter at the same moment: exactly one counts. */
static int await_either(void *arg)
{
	struct awaited *awaited = arg;
	int status = 12;
	int err = rota_task_await(awaited->task, &status);

	EXPECT(err == 0 ? status == 31 : err == -ECANCELED && status == 12);
	a32_add_acq_rel(&awaited->woken, 1);
	return 0;
}

TASK_TEST(await, the_end_and_a_cancel_at_once)
{
	for (int i = 0; i < 300; i++) {
		struct awaited awaited = { .task = NULL };
		struct rota_group group;
		struct rota_task *awaiter;

		rota_group_open(&group, NULL);
		awaited.task = spawn(&group, end_on_go, &awaited);
		awaiter = spawn(&group, await_either, &awaited);
		if (i % 2)
			wait_state(awaiter, ROTA_TASK_SUSPENDED);
		a32_store_release(&awaited.go, 1);
		rota_task_cancel(awaiter, NULL);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		EXPECT_EQ(a32_load_relaxed(&awaited.woken), 1);
	}
}

/* A chain: each awaits the one before. */
struct link {
	struct rota_task *before;
	int sum;
};

static int add_one(void *arg)
{
	struct link *link = arg;
	int status = 0;

	if (link->before)
		EXPECT_EQ(rota_task_await(link->before, &status), 0);
	return status + 1;
}

TASK_TEST(await, a_chain)
{
	enum { LINKS = 500 };
	static struct link links[LINKS];
	struct rota_group group;
	struct rota_task *last = NULL;
	int status = 0;

	rota_group_open(&group, NULL);
	for (int i = 0; i < LINKS; i++) {
		links[i].before = last;
		last = spawn(&group, add_one, &links[i]);
	}
	EXPECT_EQ(rota_task_await(last, &status), 0);
	EXPECT_EQ(status, LINKS);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

/* What a task wrote is seen by who awaited it. */
static int write_plain(void *arg)
{
	int *numbers = arg;

	for (int i = 0; i < 100; i++)
		numbers[i] = i;
	return 0;
}

TASK_TEST(await, orders_memory)
{
	for (int round = 0; round < 100; round++) {
		struct rota_group group;
		int numbers[100];

		memset(numbers, 0xff, sizeof(numbers));
		rota_group_open(&group, NULL);
		EXPECT_EQ(rota_task_await(spawn(&group, write_plain, numbers), NULL), 0);
		for (int i = 0; i < 100; i++)
			if (!EXPECT_EQ(numbers[i], i))
				break;
		EXPECT_EQ(rota_group_close(&group, 0), 0);
	}
}
