/* SPDX-License-Identifier: MIT */
/* Yielding: whoever yields holds nobody up, however busy the loop is. */
#include "unit.h"

TestSuite(yield, .timeout = HANG_SECONDS);

static const struct rota_group_options local = { .flags = ROTA_SPAWN_LOCAL };

struct turns {
	int order[100];
	int count;
};

struct player {
	struct turns *turns;
	int number;
};

static int play(void *arg)
{
	struct player *player = arg;
	struct turns *turns = player->turns;

	for (int i = 0; i < 10; i++) {
		turns->order[turns->count++] = player->number;
		EXPECT_EQ(rota_yield(), 0);
	}
	return 0;
}

TASK_TEST(yield, takes_turns)
{
	struct turns turns = { .count = 0 };
	struct player player[10];
	struct rota_group group;

	rota_group_open(&group, &local);
	for (int i = 0; i < 10; i++) {
		player[i] = (struct player){ &turns, i };
		EXPECT_EQ(rota_group_spawn(&group, play, &player[i]), 0);
	}
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(turns.count, 100);
	/* Each has one turn before anybody has the next. */
	for (int round = 0; round < 10; round++) {
		int seen = 0;

		for (int i = 0; i < 10; i++)
			seen |= 1 << turns.order[10 * round + i];
		EXPECT_EQ(seen, 1023);
	}
}

static int set_cell(void *arg)
{
	a32_store_release(arg, 1);
	return 0;
}

TASK_TEST(yield, does_not_starve_fresh_tasks)
{
	for (int i = 0; i < 20; i++) {
		struct a32 cell = { 0 };
		struct rota_group group;

		rota_group_open(&group, NULL);
		EXPECT_EQ(rota_group_spawn(&group, set_cell, &cell), 0);
		EXPECT(wait_cell(&cell, 1));
		EXPECT_EQ(rota_group_close(&group, 0), 0);
	}
}

static int spin(void *arg)
{
	return wait_cell(arg, 1) ? 0 : -ECANCELED;
}

TASK_TEST(yield, many_spinners_do_not_starve_fresh_tasks)
{
	struct a32 cell = { 0 };
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (int i = 0; i < 20; i++)
		EXPECT_EQ(rota_group_spawn(&group, spin, &cell), 0);
	/* All of them have started before the one that they wait for is there. */
	for (int i = 0; i < 100; i++)
		EXPECT_EQ(rota_yield(), 0);
	EXPECT_EQ(rota_group_spawn(&group, set_cell, &cell), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

static int sleep_and_set(void *arg)
{
	EXPECT_EQ(rota_sleep(100 * ROTA_MICROSECOND), 0);
	return set_cell(arg);
}

TASK_TEST(yield, does_not_starve_timers)
{
	struct a32 cell = { 0 };
	struct rota_group group;

	rota_group_open(&group, &local);
	EXPECT_EQ(rota_group_spawn(&group, sleep_and_set, &cell), 0);
	EXPECT(wait_cell(&cell, 1));
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

struct pipe_end {
	int fd;
	struct a32 *cell;
};

static int read_and_set(void *arg)
{
	struct pipe_end *end = arg;
	char c;

	EXPECT_EQ(rota_read(end->fd, &c, 1), 1);
	return set_cell(end->cell);
}

TASK_TEST(yield, does_not_starve_completions)
{
	struct a32 cell = { 0 };
	struct rota_group group;
	struct rota_task *task;
	int fd[2];

	EXPECT_EQ(pipe2(fd, O_CLOEXEC), 0);
	rota_group_open(&group, &local);
	task = spawn(&group, read_and_set, &(struct pipe_end){ fd[0], &cell });
	wait_state(task, ROTA_TASK_SUSPENDED);
	EXPECT_EQ(write(fd[1], "x", 1), 1);
	EXPECT(wait_cell(&cell, 1));
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	rota_close(fd[0]);
	rota_close(fd[1]);
}

static int send_work(void *arg)
{
	for (uint32_t i = 0; i < rota_loop_count(); i++) {
		const struct rota_spawn_options options = { .flags = ROTA_SPAWN_ON_LOOP,
			.loop = i };
		struct a32 cell = { 0 };
		struct rota_group group;

		rota_group_open(&group, NULL);
		EXPECT_EQ(rota_group_spawn_with(&group, set_cell, &cell, NULL, &options), 0);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
	}
	return set_cell(arg);
}

/* A spinner on each loop, and messages between them. */
TASK_TEST(yield, does_not_starve_the_inbox)
{
	struct a32 cell = { 0 };
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (uint32_t i = 0; i < rota_loop_count(); i++) {
		const struct rota_spawn_options options = { .flags = ROTA_SPAWN_ON_LOOP,
			.loop = i };

		EXPECT_EQ(rota_group_spawn_with(&group, spin, &cell, NULL, &options), 0);
	}
	EXPECT_EQ(rota_group_spawn(&group, send_work, &cell), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

static int spawn_on(void *arg)
{
	struct a32 *cell = arg;
	struct rota_group group;

	/* Tasks that spawn for ever: each has one more before it ends. */
	for (int i = 0; !a32_load_acquire(cell); i++) {
		rota_group_open(&group, NULL);
		EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(0)), 0);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
	}
	return 0;
}

TASK_TEST(yield, the_oldest_fresh_task_has_its_turn)
{
	struct a32 cell = { 0 };
	struct rota_group group;

	rota_group_open(&group, NULL);
	/* The newest comes first, so this one is at the bottom of the deque. */
	EXPECT_EQ(rota_group_spawn(&group, set_cell, &cell), 0);
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(rota_group_spawn(&group, spawn_on, &cell), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}
