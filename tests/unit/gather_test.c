/* SPDX-License-Identifier: MIT */
/* rota_gather(): several calls at once, each with its status. */
#include "unit.h"

TestSuite(gather, .timeout = HANG_SECONDS);

TASK_TEST(gather, runs_all_and_stores_each_status)
{
	struct a32 count = { 0 };
	struct rota_call calls[] = {
		{ .fn = task_count, .arg = &count, .status = 99 },
		{ .fn = task_return, .arg = STATUS(7), .name = "seven", .status = 99 },
		{ .fn = task_count, .arg = &count, .status = 99 },
	};

	EXPECT_EQ(rota_gather(calls, ARRAY_SIZE(calls)), 0);
	EXPECT_EQ(a32_load_relaxed(&count), 2);
	EXPECT_EQ(calls[0].status, 0);
	EXPECT_EQ(calls[1].status, 7);
	EXPECT_EQ(calls[2].status, 0);
}

TASK_TEST(gather, of_nothing_is_good)
{
	EXPECT_EQ(rota_gather(NULL, 0), 0);
}

TASK_TEST(gather, the_first_error_cancels_the_rest)
{
	struct rota_call calls[] = {
		{ .fn = task_forever },
		{ .fn = task_return, .arg = STATUS(-EXDEV) },
		{ .fn = task_forever },
	};

	EXPECT_EQ(rota_gather(calls, ARRAY_SIZE(calls)), -EXDEV);
	EXPECT_EQ(calls[0].status, -ECANCELED);
	EXPECT_EQ(calls[1].status, -EXDEV);
	EXPECT_EQ(calls[2].status, -ECANCELED);
	EXPECT_EQ(rota_yield(), 0);
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

/* Each of them waits for all the others: one after the other would never end. */
TASK_TEST(gather, runs_them_at_the_same_time)
{
	struct rota_call calls[50];
	struct meeting meeting = { .wanted = ARRAY_SIZE(calls) };

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		calls[i] = (struct rota_call){ .fn = meet, .arg = &meeting };
	EXPECT_EQ(rota_gather(calls, ARRAY_SIZE(calls)), 0);
}

static int expect_name(void *arg)
{
	EXPECT_STR_EQ(rota_task_name(), arg);
	return 0;
}

TASK_TEST(gather, names_its_tasks)
{
	struct rota_call calls[] = {
		{ .fn = expect_name, .arg = (char[]){ "fetch" }, .name = "fetch" },
		{ .fn = expect_name, .arg = (char[]){ "" } },
	};

	EXPECT_EQ(rota_gather(calls, ARRAY_SIZE(calls)), 0);
}

TASK_TEST(gather, refuses_a_call_without_a_function)
{
	struct rota_call calls[] = { { .fn = task_forever }, { .fn = NULL } };

	EXPECT_EQ(rota_gather(calls, ARRAY_SIZE(calls)), -EINVAL);
	EXPECT_EQ(calls[0].status, -ECANCELED);
}

static int gather_forever(void *arg)
{
	struct rota_call calls[] = { { .fn = task_forever }, { .fn = task_forever } };
	int status = rota_gather(calls, ARRAY_SIZE(calls));

	(void)arg;
	EXPECT_EQ(calls[0].status, -ECANCELED);
	EXPECT_EQ(calls[1].status, -ECANCELED);
	return status;
}

TASK_TEST(gather, passes_a_cancel_on)
{
	struct rota_group group;
	struct rota_task *task;
	int status = 0;

	rota_group_open(&group, NULL);
	task = spawn(&group, gather_forever, NULL);
	wait_state(task, ROTA_TASK_SUSPENDED);
	rota_task_cancel(task, NULL);
	EXPECT_EQ(rota_task_await(task, &status), 0);
	EXPECT_EQ(status, -ECANCELED);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

Test(gather, outside_a_task_is_refused)
{
	struct rota_call call = { .fn = task_return };

	cr_expect_eq(rota_gather(&call, 1), -ENXIO);
}
