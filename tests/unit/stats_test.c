/* SPDX-License-Identifier: MIT */
/* The counters: they add up. */
#include "unit.h"

#include <stddef.h>

TestSuite(stats, .timeout = HANG_SECONDS);

static struct rota_stats stats_of(int loop)
{
	struct rota_stats stats;

	memset(&stats, 0xff, sizeof(stats));
	EXPECT_EQ(rota_stats_get(&stats, sizeof(stats), loop), sizeof(stats));
	return stats;
}

TASK_TEST(stats, count_tasks)
{
	struct rota_stats before = stats_of(-1);
	struct rota_stats after;
	struct rota_group group;

	EXPECT_EQ(before.tasks_live, 1);
	rota_group_open(&group, NULL);
	for (int i = 0; i < 100; i++)
		EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(0)), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	rota_group_open(&group, NULL);
	for (int i = 0; i < 7; i++)
		EXPECT_EQ(rota_group_spawn(&group, task_forever, NULL), 0);
	after = stats_of(-1);
	EXPECT_EQ(after.tasks_spawned - before.tasks_spawned, 107);
	EXPECT_EQ(after.tasks_ended - before.tasks_ended, 100);
	EXPECT_EQ(after.tasks_failed - before.tasks_failed, 0);
	EXPECT_EQ(after.tasks_live, 8);
	EXPECT_EQ(rota_group_close(&group, -ECANCELED), -ECANCELED);
	after = stats_of(-1);
	EXPECT_EQ(after.tasks_ended - before.tasks_ended, 107);
	EXPECT_EQ(after.tasks_failed - before.tasks_failed, 7);
	EXPECT_EQ(after.tasks_live, 1);
	EXPECT(after.switches > before.switches);
	EXPECT(after.stack_bytes_mapped > 0);
}

static int read_zeros(void *arg)
{
	char buf[16];

	return rota_read(*(int *)arg, buf, sizeof(buf));
}

TASK_TEST(stats, count_operations)
{
	struct rota_stats before;
	struct rota_stats after;
	struct rota_group group;
	int fd = rota_open("/dev/zero", O_RDONLY, 0);

	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_sleep(1), 0);
	before = stats_of(-1);
	for (int i = 0; i < 50; i++)
		EXPECT_EQ(rota_group_spawn(&group, read_zeros, &fd), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	/* A loop says so when it turns. */
	do {
		EXPECT_EQ(rota_sleep(1), 0);
		after = stats_of(-1);
	} while (after.ops_completed - before.ops_completed < 50);
	EXPECT_EQ(after.ops_completed - before.ops_completed, 50);
	EXPECT_EQ(after.ops_submitted - before.ops_submitted, 50);
	EXPECT_EQ(after.ops_in_flight, 0);
	EXPECT_EQ(rota_close(fd), 0);
}

TASK_TEST(stats, of_the_loops_add_up)
{
	struct rota_stats sum = { .tasks_live = 0 };
	struct rota_stats all;
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (int i = 0; i < 500; i++)
		EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(0)), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	for (int i = 0; i < (int)rota_loop_count(); i++) {
		struct rota_stats one = stats_of(i);

		sum.tasks_ended += one.tasks_ended;
		sum.tasks_spawned += one.tasks_spawned;
		sum.tasks_stolen += one.tasks_stolen;
	}
	all = stats_of(-1);
	EXPECT_EQ(sum.tasks_ended, all.tasks_ended);
	EXPECT_EQ(sum.tasks_ended, 500);
	/* The main task was spawned by a plain thread. */
	EXPECT_EQ(sum.tasks_spawned, all.tasks_spawned - 1);
	EXPECT_EQ(sum.tasks_stolen, all.tasks_stolen);
}

TASK_TEST(stats, fill_only_the_room_that_there_is)
{
	struct rota_stats stats;

	memset(&stats, 0xff, sizeof(stats));
	EXPECT_EQ(rota_stats_get(&stats, 0, -1), 0);
	EXPECT_EQ(stats.tasks_live, UINT64_MAX);
	EXPECT_EQ(rota_stats_get(&stats, 16, -1), 16);
	EXPECT_EQ(stats.tasks_live, 1);
	EXPECT_EQ(stats.tasks_spawned, 1);
	EXPECT_EQ(stats.tasks_ended, UINT64_MAX);
	EXPECT_EQ(rota_stats_get(&stats, sizeof(stats) + 1000, -1), sizeof(stats));
}

TASK_TEST(stats, of_a_loop_that_is_not_there)
{
	struct rota_stats stats;

	EXPECT_EQ(rota_stats_get(&stats, sizeof(stats), (int)rota_loop_count()), 0);
	EXPECT_EQ(rota_stats_get(&stats, sizeof(stats), -2), 0);
	EXPECT_EQ(rota_stats_get(&stats, sizeof(stats), INT32_MAX), 0);
	EXPECT_EQ(rota_stats_get(&stats, sizeof(stats), INT32_MIN), 0);
}

static int fail(void *arg)
{
	struct rota_group group;

	(void)arg;
	EXPECT_EQ(rota_background(task_return, STATUS(-EIO)), 0);
	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(-EIO)), 0);
	EXPECT_EQ(rota_group_close(&group, 0), -EIO);
	while (stats_of(-1).tasks_failed != 2)
		EXPECT_EQ(rota_yield(), 0);
	while (stats_of(-1).errors_unjoined != 1)
		EXPECT_EQ(rota_yield(), 0);
	return 0;
}

static void ignore_error(void *arg, const struct rota_error *error)
{
	(void)arg;
	(void)error;
}

Test(stats, count_errors_that_nobody_joined)
{
	struct rota_config config = UNIT_CONFIG;

	config.on_error = ignore_error;
	cr_expect_eq(rota_run(fail, NULL, &config), 0);
	report_failures();
}
