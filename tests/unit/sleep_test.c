/* SPDX-License-Identifier: MIT */
/* Sleeping: never early, in order, for ever. How late it is depends on the machine: not tested. */
#include "unit.h"

TestSuite(sleep, .timeout = HANG_SECONDS);

TASK_TEST(sleep, is_never_early)
{
	static const int64_t durations[] = { 1, 10, 999, 1000, 12345, 100000, 1000000, 7654321 };

	for (size_t i = 0; i < ARRAY_SIZE(durations); i++) {
		int64_t begin = rota_now();

		EXPECT_EQ(rota_sleep(durations[i]), 0);
		EXPECT(rota_now() - begin >= durations[i]);
	}
}

static int sleep_some(void *arg)
{
	int64_t duration = (int64_t)(intptr_t)arg;
	int64_t begin = rota_now();

	EXPECT_EQ(rota_sleep(duration), 0);
	EXPECT(rota_now() - begin >= duration);
	return 0;
}

TASK_TEST(sleep, many_at_once_are_never_early)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (int i = 0; i < 1000; i++)
		EXPECT_EQ(rota_group_spawn(&group, sleep_some, STATUS(i * 7919 % 1000 * 5000)), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

TASK_TEST(sleep, until_is_never_early)
{
	for (int i = 0; i < 10; i++) {
		int64_t when = rota_now() + i * 100 * ROTA_MICROSECOND;

		EXPECT_EQ(rota_sleep_until(when), 0);
		EXPECT(rota_now() >= when);
	}
}

TASK_TEST(sleep, until_the_past_returns)
{
	static const int64_t whens[] = { INT64_MIN, -1, 0, 1 };

	for (size_t i = 0; i < ARRAY_SIZE(whens); i++)
		EXPECT_EQ(rota_sleep_until(whens[i]), 0);
	EXPECT_EQ(rota_sleep_until(rota_now()), 0);
}

struct order {
	int64_t base;
	int place[64];
	int count;
};

struct sleeper {
	struct order *order;
	int number;
};

static int sleep_to_place(void *arg)
{
	struct sleeper *sleeper = arg;
	struct order *order = sleeper->order;

	EXPECT_EQ(rota_sleep_until(order->base + sleeper->number * ROTA_MILLISECOND / 4), 0);
	order->place[order->count++] = sleeper->number;
	return 0;
}

/* False: they did not all begin before the first deadline, so there is nothing to be seen. */
static bool sleep_in_order(int64_t head_start)
{
	const struct rota_group_options local = { .flags = ROTA_SPAWN_LOCAL };
	struct order order = { .base = rota_now() + head_start };
	struct sleeper sleeper[64];
	struct rota_group group;
	bool in_time;

	rota_group_open(&group, &local);
	for (int i = 0; i < 64; i++) {
		sleeper[i] = (struct sleeper){ &order, (i * 37 + 11) % 64 };
		EXPECT_EQ(rota_group_spawn(&group, sleep_to_place, &sleeper[i]), 0);
	}
	EXPECT_EQ(rota_yield(), 0);
	in_time = rota_now() < order.base;
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(order.count, 64);
	for (int i = 0; i < 64 && in_time; i++)
		EXPECT_EQ(order.place[i], i);
	return in_time;
}

/* All on one loop, so without a lock: the earlier deadline runs first. */
TASK_TEST(sleep, earlier_deadlines_wake_first)
{
	int64_t head_start = 5 * ROTA_MILLISECOND;

	while (!sleep_in_order(head_start))
		head_start *= 2;
}

TASK_TEST(sleep, for_ever_ends_by_cancel_only)
{
	static const int64_t durations[] = { ROTA_FOREVER, ROTA_FOREVER - 1, ROTA_FOREVER / 2,
		3600 * ROTA_SECOND };
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(durations); i++) {
		struct rota_task *task = spawn(&group, sleep_some, STATUS(durations[i]));

		wait_state(task, ROTA_TASK_SUSPENDED);
	}
	/* None of them was due at once, and a short one is not held up by them. */
	sleep_some(STATUS(ROTA_MILLISECOND));
	EXPECT_EQ(rota_group_live(&group), ARRAY_SIZE(durations));
	EXPECT_EQ(failures.count, 0);
	rota_group_cancel(&group, NULL);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	/* sleep_some() expects 0: each of them has complained twice. */
	EXPECT_EQ(failures.count, 2 * ARRAY_SIZE(durations));
	failures.count = 0;
	failures.len = 0;
}

struct turns {
	int count;
};

static int take_turn(void *arg)
{
	struct turns *turns = arg;

	turns->count++;
	return 0;
}

TASK_TEST(sleep, nothing_or_less_lets_the_others_run)
{
	static const int64_t durations[] = { 0, -1, INT64_MIN };
	const struct rota_group_options local = { .flags = ROTA_SPAWN_LOCAL };

	for (size_t i = 0; i < ARRAY_SIZE(durations); i++) {
		struct rota_group group;
		struct turns turns = { 0 };

		rota_group_open(&group, &local);
		for (int k = 0; k < 5; k++)
			EXPECT_EQ(rota_group_spawn(&group, take_turn, &turns), 0);
		EXPECT_EQ(turns.count, 0);
		EXPECT_EQ(rota_sleep(durations[i]), 0);
		EXPECT_EQ(turns.count, 5);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
	}
}

Test(sleep, outside_a_task_is_refused)
{
	cr_expect_eq(rota_sleep(1), -ENXIO);
	cr_expect_eq(rota_sleep(0), -ENXIO);
	cr_expect_eq(rota_sleep_until(0), -ENXIO);
	cr_expect_eq(rota_yield(), -ENXIO);
}

Test(sleep, clocks_go_forward)
{
	int64_t before = rota_now();
	int64_t wall = rota_time_wall();

	cr_expect_geq(rota_now(), before);
	/* Later than this was written. */
	cr_expect_gt(wall, 1700000000 * ROTA_SECOND);
}
