/* SPDX-License-Identifier: MIT */
/*
 * Barriers: generations, who gets the 1, and what breaks one.
 *
 * Behaviours of asyncio's BarrierTests and of threading.Barrier's (all go on together, again and
 * again, one of them is told so, parties of one, a broken barrier refuses everybody until it is
 * mended). As in threading, and other than in asyncio, a waiter that is cut short breaks it: the
 * others would wait for ever. Left out: abort(), reset() under waiters, actions, counts of waiters,
 * which have no counterpart.
 */
#include "callers.h"

TestSuite(barrier, .timeout = HANG_SECONDS);

static int wait_call(void *object)
{
	return rota_barrier_wait(object);
}

struct crowd {
	struct rota_barrier barrier;
	struct a32 served;
	struct rota_group group;
	struct caller callers[6];
	uint32_t count;
};

/* One more party than there are callers: the test itself. */
static void crowd_open(struct crowd *crowd, uint32_t count)
{
	*crowd = (struct crowd){ .count = count };
	rota_barrier_init(&crowd->barrier, count + 1);
	for (uint32_t i = 0; i < count; i++)
		crowd->callers[i] = (struct caller){
			.call = wait_call,
			.object = &crowd->barrier,
			.served = &crowd->served,
		};
	rota_group_open(&crowd->group, NULL);
}

static void crowd_close(struct crowd *crowd)
{
	EXPECT_EQ(rota_group_close(&crowd->group, 0), 0);
}

/* It works: so many meet once. */
static int meet(void *arg)
{
	int n = rota_barrier_wait(arg);

	EXPECT(n == 0 || n == 1);
	return n;
}

static void expect_works(struct rota_barrier *barrier, uint32_t parties)
{
	struct rota_call calls[8];
	int ones = 0;

	for (uint32_t i = 0; i < parties; i++)
		calls[i] = (struct rota_call){ .fn = meet, .arg = barrier };
	EXPECT_EQ(rota_gather(calls, parties), 0);
	for (uint32_t i = 0; i < parties; i++)
		ones += calls[i].status;
	EXPECT_EQ(ones, 1);
}

Test(barrier, has_its_size)
{
	cr_expect_eq(sizeof(struct rota_barrier), 32);
}

static void use_alone(void)
{
	struct rota_barrier barrier = { { 0 } };

	EXPECT_EQ(rota_barrier_wait(&barrier), -EINVAL);
	EXPECT_EQ(rota_barrier_wait(&barrier), -EINVAL);
	rota_barrier_init(&barrier, 1);
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(rota_barrier_wait(&barrier), 1);
	rota_barrier_init(&barrier, 0);
	EXPECT_EQ(rota_barrier_wait(&barrier), -EINVAL);
}

TASK_TEST(barrier, of_none_and_of_one)
{
	use_alone();
}

Test(barrier, works_without_a_runtime)
{
	use_alone();
	report_failures();
}

TASK_TEST(barrier, the_last_to_come_gets_the_one)
{
	for (uint32_t count = 1; count <= 6; count++) {
		struct crowd crowd;

		crowd_open(&crowd, count);
		line_up(&crowd.group, crowd.callers, count);
		EXPECT_WAITS(&crowd.callers[0]);
		EXPECT_EQ(a32_load_acquire(&crowd.served), 0);
		EXPECT_EQ(rota_barrier_wait(&crowd.barrier), 1);
		crowd_close(&crowd);
		for (uint32_t i = 0; i < count; i++)
			EXPECT_EQ(crowd.callers[i].result, 0);
	}
}

/* Many rounds: nobody is a round ahead, and one a round is told. */

struct rounds {
	struct rota_barrier barrier;
	uint32_t parties;
	uint32_t count;
	struct a32 came;
	struct a32 ones;
};

static int go_round(void *arg)
{
	struct rounds *rounds = arg;

	for (uint32_t i = 0; i < rounds->count; i++) {
		int n;

		a32_add_acq_rel(&rounds->came, 1);
		n = rota_barrier_wait(&rounds->barrier);
		EXPECT(n == 0 || n == 1);
		if (n == 1)
			a32_add_acq_rel(&rounds->ones, 1);
		EXPECT(a32_load_acquire(&rounds->came) >= (i + 1) * rounds->parties);
		EXPECT(a32_load_acquire(&rounds->ones) <= i + 1);
		if (i % 5 == 0)
			(void)rota_yield();
	}
	return 0;
}

static void *go_round_on_thread(void *arg)
{
	go_round(arg);
	return NULL;
}

static void run_rounds(uint32_t tasks, uint32_t threads, uint32_t count)
{
	struct rounds rounds = { .parties = tasks + threads, .count = count };
	struct rota_group group;
	pthread_t thread[4];

	rota_barrier_init(&rounds.barrier, rounds.parties);
	if (tasks)
		rota_group_open(&group, NULL);
	for (uint32_t i = 0; i < threads; i++)
		EXPECT_EQ(pthread_create(&thread[i], NULL, go_round_on_thread, &rounds), 0);
	for (uint32_t i = 0; i < tasks; i++) {
		const struct rota_spawn_options there = {
			.flags = ROTA_SPAWN_ON_LOOP,
			.loop = i % rota_loop_count(),
		};

		EXPECT_EQ(rota_group_spawn_with(&group, go_round, &rounds, NULL, &there), 0);
	}
	if (tasks)
		EXPECT_EQ(rota_group_close(&group, 0), 0);
	for (uint32_t i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	EXPECT_EQ(a32_load_relaxed(&rounds.ones), count);
	EXPECT_EQ(a32_load_relaxed(&rounds.came), count * rounds.parties);
}

TASK_TEST(barrier, again_and_again)
{
	run_rounds(2, 0, 200);
	run_rounds(7, 0, 100);
}

TASK_TEST(barrier, of_threads_and_tasks)
{
	if (is_simulated())
		return;
	run_rounds(3, 3, 50);
	run_rounds(1, 1, 100);
}

Test(barrier, of_threads_without_a_runtime)
{
	run_rounds(0, 4, 50);
	report_failures();
}

/* More come than fit: they are the next generation. */
TASK_TEST(barrier, two_generations_in_one_line)
{
	struct crowd crowd;

	crowd_open(&crowd, 6);
	rota_barrier_init(&crowd.barrier, 3);
	line_up_on(&crowd.group, &crowd.callers[0], 0);
	line_up_on(&crowd.group, &crowd.callers[1], 1);
	for (uint32_t i = 2; i < 6; i++)
		spawn(&crowd.group, make_call, &crowd.callers[i]);
	crowd_close(&crowd);
	EXPECT_EQ(a32_load_relaxed(&crowd.served), 6);
	EXPECT_EQ(crowd.callers[0].result, 0);
	EXPECT_EQ(crowd.callers[1].result, 0);
}

/* Broken. */

TASK_TEST(barrier, a_cancelled_waiter_breaks_it)
{
	for (uint32_t which = 0; which < 4; which++) {
		struct crowd crowd;

		crowd_open(&crowd, 4);
		line_up(&crowd.group, crowd.callers, crowd.count);
		rota_task_cancel(crowd.callers[which].task, NULL);
		/* The others do not wait for who will not come. */
		crowd_close(&crowd);
		for (uint32_t i = 0; i < crowd.count; i++)
			EXPECT_EQ(crowd.callers[i].result, i == which ? -ECANCELED : -EPIPE);
		EXPECT_EQ(rota_barrier_wait(&crowd.barrier), -EPIPE);
		EXPECT_EQ(rota_barrier_wait(&crowd.barrier), -EPIPE);
		rota_barrier_init(&crowd.barrier, 5);
		expect_works(&crowd.barrier, 5);
		expect_works(&crowd.barrier, 5);
	}
}

TASK_TEST(barrier, a_cancelled_task_that_comes_breaks_it)
{
	struct crowd crowd;

	crowd_open(&crowd, 3);
	line_up(&crowd.group, crowd.callers, crowd.count);
	EXPECT_EQ(result_when_cancelled(wait_call, &crowd.barrier), -ECANCELED);
	crowd_close(&crowd);
	for (uint32_t i = 0; i < crowd.count; i++)
		EXPECT_EQ(crowd.callers[i].result, -EPIPE);
	EXPECT_EQ(rota_barrier_wait(&crowd.barrier), -EPIPE);
	EXPECT_EQ(result_when_cancelled(wait_call, &crowd.barrier), -ECANCELED);
	rota_barrier_init(&crowd.barrier, 1);
	EXPECT_EQ(rota_barrier_wait(&crowd.barrier), 1);
	EXPECT_EQ(result_when_cancelled(wait_call, &crowd.barrier), -ECANCELED);
	EXPECT_EQ(rota_barrier_wait(&crowd.barrier), -EPIPE);
}

TASK_TEST(barrier, a_deadline_breaks_it)
{
	struct rota_barrier barrier;

	rota_barrier_init(&barrier, 2);
	EXPECT_EQ(ROTA_WITHIN(ROTA_MILLISECOND, wait_call(&barrier)), -ETIMEDOUT);
	EXPECT_EQ(rota_barrier_wait(&barrier), -EPIPE);
	rota_barrier_init(&barrier, 2);
	expect_works(&barrier, 2);
}

TASK_TEST(barrier, two_cancelled_waiters)
{
	struct crowd crowd;

	crowd_open(&crowd, 4);
	line_up_here(&crowd.group, crowd.callers, crowd.count);
	rota_task_cancel(crowd.callers[1].task, NULL);
	rota_task_cancel(crowd.callers[3].task, NULL);
	crowd_close(&crowd);
	for (uint32_t i = 0; i < crowd.count; i++)
		EXPECT(crowd.callers[i].result == -EPIPE ||
			(i & 1 && crowd.callers[i].result == -ECANCELED));
	EXPECT(crowd.callers[1].result == -ECANCELED || crowd.callers[3].result == -ECANCELED);
	EXPECT_EQ(rota_barrier_wait(&crowd.barrier), -EPIPE);
}

/* All have come before the cancel: it is delivered by the next call, and nothing is broken. */
TASK_TEST(barrier, met_and_then_cancelled)
{
	struct crowd crowd;

	crowd_open(&crowd, 3);
	line_up_here(&crowd.group, crowd.callers, crowd.count);
	EXPECT_EQ(rota_barrier_wait(&crowd.barrier), 1);
	rota_task_cancel(crowd.callers[1].task, NULL);
	crowd_close(&crowd);
	for (uint32_t i = 0; i < crowd.count; i++)
		EXPECT_EQ(crowd.callers[i].result, 0);
	EXPECT_EQ(crowd.callers[1].after, -ECANCELED);
	expect_works(&crowd.barrier, 4);
}

/* A generation meets whole, or not at all. */
static void expect_whole(const struct crowd *crowd, uint32_t cut, int last)
{
	bool met = last == 1;

	EXPECT(met || last == -EPIPE);
	for (uint32_t i = 0; i < crowd->count; i++) {
		int result = crowd->callers[i].result;

		if (met)
			EXPECT_EQ(result, 0);
		else
			EXPECT_EQ(result, i == cut ? -ECANCELED : -EPIPE);
	}
}

TASK_TEST(barrier, cancelled_and_then_met)
{
	for (int turns = 0; turns < CANCEL_TURNS; turns++) {
		for (uint32_t which = 0; which < 3; which++) {
			struct crowd crowd;
			bool struck;
			int last;

			crowd_open(&crowd, 3);
			line_up_here(&crowd.group, crowd.callers, crowd.count);
			struck = cancel_here(&crowd.callers[which], turns);
			last = rota_barrier_wait(&crowd.barrier);
			EXPECT_EQ(last, struck ? -EPIPE : 1);
			crowd_close(&crowd);
			expect_whole(&crowd, which, last);
			EXPECT_EQ(crowd.callers[which].after, -ECANCELED);
			if (struck)
				EXPECT_EQ(rota_barrier_wait(&crowd.barrier), -EPIPE);
			else
				expect_works(&crowd.barrier, 4);
		}
	}
}

TASK_TEST(barrier, met_and_cancelled_at_once)
{
	for (uint32_t round = 0; round < 100; round++) {
		uint32_t cut = round / 2 % 4;
		struct crowd crowd;
		int last;

		crowd_open(&crowd, 4);
		line_up(&crowd.group, crowd.callers, crowd.count);
		if (round % 2)
			for (uint32_t i = 0; i < round % 5; i++)
				EXPECT_EQ(rota_yield(), 0);
		rota_task_cancel(crowd.callers[cut].task, NULL);
		if (round % 2 == 0)
			for (uint32_t i = 0; i < round % 5; i++)
				EXPECT_EQ(rota_yield(), 0);
		last = rota_barrier_wait(&crowd.barrier);
		crowd_close(&crowd);
		expect_whole(&crowd, cut, last);
	}
}

/* Plain threads see it broken, too. */

static void *wait_on_thread(void *arg)
{
	EXPECT_EQ(rota_barrier_wait(arg), -EPIPE);
	return NULL;
}

TASK_TEST(barrier, a_cancelled_task_breaks_it_for_threads)
{
	struct crowd crowd;
	pthread_t thread;

	if (is_simulated())
		return;
	crowd_open(&crowd, 3);
	line_up(&crowd.group, crowd.callers, 2);
	EXPECT_EQ(pthread_create(&thread, NULL, wait_on_thread, &crowd.barrier), 0);
	EXPECT_EQ(rota_sleep(2 * ROTA_MILLISECOND), 0);
	rota_task_cancel(crowd.callers[0].task, NULL);
	crowd_close(&crowd);
	pthread_join(thread, NULL);
	EXPECT_EQ(crowd.callers[0].result, -ECANCELED);
	EXPECT_EQ(crowd.callers[1].result, -EPIPE);
}
