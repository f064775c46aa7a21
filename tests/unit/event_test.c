/* SPDX-License-Identifier: MIT */
/*
 * Events: set before and after the wait, many waiters, cancel, set by threads and signal handlers.
 *
 * Behaviours of asyncio's EventTests (wait, wait on a set one, cancelled wait, set again, clear,
 * clear with waiters there: who was waiting goes on) and of Trio's (a wait on a set event is a
 * cancellation point). Left out: repr, statistics().
 */
#include "callers.h"

TestSuite(event, .timeout = HANG_SECONDS);

static int wait_call(void *object)
{
	return rota_event_wait(object);
}

struct crowd {
	struct rota_event event;
	struct a32 served;
	struct rota_group group;
	struct caller callers[8];
	uint32_t count;
};

static void crowd_open(struct crowd *crowd, uint32_t count)
{
	*crowd = (struct crowd){ .count = count };
	for (uint32_t i = 0; i < count; i++)
		crowd->callers[i] = (struct caller){
			.call = wait_call,
			.object = &crowd->event,
			.served = &crowd->served,
		};
	rota_group_open(&crowd->group, NULL);
}

static void crowd_close(struct crowd *crowd, uint32_t served)
{
	EXPECT_EQ(rota_group_close(&crowd->group, 0), 0);
	EXPECT_EQ(a32_load_relaxed(&crowd->served), served);
}

Test(event, has_its_size)
{
	cr_expect_eq(sizeof(struct rota_event), 24);
}

static void use_alone(void)
{
	struct rota_event event = { { 0 } };

	EXPECT_EQ(rota_event_is_set(&event), 0);
	rota_event_clear(&event);
	EXPECT_EQ(rota_event_is_set(&event), 0);
	for (int i = 0; i < 3; i++) {
		rota_event_set(&event);
		rota_event_set(&event);
		EXPECT_EQ(rota_event_is_set(&event), 1);
		EXPECT_EQ(rota_event_wait(&event), 0);
		EXPECT_EQ(rota_event_wait(&event), 0);
		EXPECT_EQ(rota_event_is_set(&event), 1);
		rota_event_clear(&event);
		rota_event_clear(&event);
		EXPECT_EQ(rota_event_is_set(&event), 0);
	}
}

TASK_TEST(event, all_zero_is_not_set)
{
	use_alone();
}

Test(event, works_without_a_runtime)
{
	use_alone();
	report_failures();
}

TASK_TEST(event, all_who_wait_go_on)
{
	for (uint32_t count = 1; count <= 8; count++) {
		struct crowd crowd;

		crowd_open(&crowd, count);
		line_up(&crowd.group, crowd.callers, count);
		EXPECT_EQ(a32_load_acquire(&crowd.served), 0);
		rota_event_set(&crowd.event);
		EXPECT_EQ(rota_event_wait(&crowd.event), 0);
		crowd_close(&crowd, count);
		EXPECT_EQ(rota_event_is_set(&crowd.event), 1);
	}
}

/* Who waited when it was set has seen it, whatever comes after. */
TASK_TEST(event, a_clear_right_behind_the_set_takes_nothing_back)
{
	for (int round = 0; round < 20; round++) {
		struct crowd crowd;

		crowd_open(&crowd, 4);
		if (round % 2)
			line_up(&crowd.group, crowd.callers, crowd.count);
		else
			line_up_here(&crowd.group, crowd.callers, crowd.count);
		rota_event_set(&crowd.event);
		rota_event_clear(&crowd.event);
		EXPECT_EQ(rota_event_is_set(&crowd.event), 0);
		crowd_close(&crowd, 4);
	}
}

TASK_TEST(event, waits_again_after_a_clear)
{
	struct crowd crowd;

	crowd_open(&crowd, 4);
	line_up(&crowd.group, crowd.callers, 2);
	rota_event_set(&crowd.event);
	wait_end(&crowd.callers[0]);
	wait_end(&crowd.callers[1]);
	rota_event_clear(&crowd.event);
	line_up(&crowd.group, &crowd.callers[2], 2);
	EXPECT_WAITS(&crowd.callers[2]);
	EXPECT_WAITS(&crowd.callers[3]);
	rota_event_clear(&crowd.event);
	EXPECT_WAITS(&crowd.callers[3]);
	rota_event_set(&crowd.event);
	crowd_close(&crowd, 4);
}

/* What was written before the set is seen after the wait. */

struct message {
	struct rota_event event;
	int text[32]; /* plain */
};

static int write_message(void *arg)
{
	struct message *message = arg;

	for (int i = 0; i < 32; i++)
		message->text[i] = i;
	rota_event_set(&message->event);
	return 0;
}

TASK_TEST(event, orders_memory)
{
	for (int round = 0; round < 100; round++) {
		struct message message = { .text = { -1 } };
		struct rota_group group;

		rota_group_open(&group, NULL);
		EXPECT_EQ(rota_group_spawn(&group, write_message, &message), 0);
		if (round % 2)
			while (!rota_event_is_set(&message.event))
				EXPECT_EQ(rota_yield(), 0);
		else
			EXPECT_EQ(rota_event_wait(&message.event), 0);
		for (int i = 0; i < 32; i++)
			if (!EXPECT_EQ(message.text[i], i))
				break;
		EXPECT_EQ(rota_group_close(&group, 0), 0);
	}
}

/* Cancel. */

TASK_TEST(event, a_cancelled_waiter_leaves_the_others_waiting)
{
	for (uint32_t which = 0; which < 4; which++) {
		struct crowd crowd;

		crowd_open(&crowd, 4);
		line_up(&crowd.group, crowd.callers, crowd.count);
		rota_task_cancel(crowd.callers[which].task, NULL);
		wait_end(&crowd.callers[which]);
		EXPECT_EQ(crowd.callers[which].result, -ECANCELED);
		for (uint32_t i = 0; i < crowd.count; i++)
			if (i != which)
				EXPECT_WAITS(&crowd.callers[i]);
		EXPECT_EQ(rota_event_is_set(&crowd.event), 0);
		rota_event_set(&crowd.event);
		crowd_close(&crowd, 3);
	}
}

TASK_TEST(event, nothing_is_left_when_all_waiters_are_cancelled)
{
	struct crowd crowd;

	crowd_open(&crowd, 5);
	line_up(&crowd.group, crowd.callers, crowd.count);
	for (uint32_t i = 0; i < crowd.count; i++)
		rota_task_cancel(crowd.callers[i].task, NULL);
	crowd_close(&crowd, 0);
	rota_event_set(&crowd.event);
	EXPECT_EQ(rota_event_wait(&crowd.event), 0);
	rota_event_clear(&crowd.event);
	EXPECT_EQ(rota_event_is_set(&crowd.event), 0);
}

TASK_TEST(event, set_and_then_cancelled)
{
	struct crowd crowd;

	crowd_open(&crowd, 3);
	line_up_here(&crowd.group, crowd.callers, crowd.count);
	rota_event_set(&crowd.event);
	rota_task_cancel(crowd.callers[1].task, NULL);
	crowd_close(&crowd, 3);
	EXPECT_EQ(crowd.callers[1].after, -ECANCELED);
	EXPECT_EQ(crowd.callers[0].after, 0);
}

TASK_TEST(event, cancelled_and_then_set)
{
	for (int turns = 0; turns < CANCEL_TURNS; turns++) {
		for (int which = 0; which < 3; which++) {
			struct crowd crowd;
			bool struck;

			crowd_open(&crowd, 3);
			line_up_here(&crowd.group, crowd.callers, crowd.count);
			struck = cancel_here(&crowd.callers[which], turns);
			rota_event_set(&crowd.event);
			if (turns % 2)
				rota_event_clear(&crowd.event);
			crowd_close(&crowd, struck ? 2 : 3);
			EXPECT_EQ(crowd.callers[which].result, struck ? -ECANCELED : 0);
			EXPECT_EQ(crowd.callers[which].after, -ECANCELED);
		}
	}
}

TASK_TEST(event, set_and_cancelled_at_once)
{
	for (uint32_t round = 0; round < 100; round++) {
		uint32_t cut = round / 2 % 4;
		struct crowd crowd;

		crowd_open(&crowd, 4);
		line_up(&crowd.group, crowd.callers, crowd.count);
		if (round % 2)
			rota_task_cancel(crowd.callers[cut].task, NULL);
		rota_event_set(&crowd.event);
		if (round % 2 == 0)
			rota_task_cancel(crowd.callers[cut].task, NULL);
		if (round % 3 == 0)
			rota_event_clear(&crowd.event);
		EXPECT_EQ(rota_group_close(&crowd.group, 0), 0);
		for (uint32_t i = 0; i < crowd.count; i++) {
			int result = crowd.callers[i].result;

			EXPECT(result == 0 || (i == cut && result == -ECANCELED));
		}
	}
}

TASK_TEST(event, is_not_waited_for_by_a_cancelled_task)
{
	struct rota_event event = { { 0 } };

	EXPECT_EQ(result_when_cancelled(wait_call, &event), -ECANCELED);
	rota_event_set(&event);
	EXPECT_EQ(result_when_cancelled(wait_call, &event), -ECANCELED);
	EXPECT_EQ(rota_event_wait(&event), 0);
}

TASK_TEST(event, waiting_ends_at_a_deadline)
{
	struct rota_event event = { { 0 } };

	EXPECT_EQ(ROTA_WITHIN(ROTA_MILLISECOND, wait_call(&event)), -ETIMEDOUT);
	rota_event_set(&event);
	EXPECT_EQ(ROTA_WITHIN(ROTA_SECOND, wait_call(&event)), 0);
}

/* Several set, clear and wait at once; nobody waits for ever once it stays set. */

struct flicker {
	struct rota_event event;
	struct a32 setters;
};

static int set_and_clear(void *arg)
{
	struct flicker *flicker = arg;

	for (int i = 0; i < 200; i++) {
		rota_event_set(&flicker->event);
		if (i % 3 == 0)
			EXPECT_EQ(rota_yield(), 0);
		rota_event_clear(&flicker->event);
		if (i % 7 == 0)
			EXPECT_EQ(rota_yield(), 0);
	}
	rota_event_set(&flicker->event);
	a32_add_acq_rel(&flicker->setters, (uint32_t)-1);
	return 0;
}

static int wait_often(void *arg)
{
	struct flicker *flicker = arg;

	/* With a deadline: another one may clear what the last set has left. */
	for (int i = 0; i < 300 && a32_load_acquire(&flicker->setters); i++) {
		int err = ROTA_WITHIN(
			(i % 5) * 10 * ROTA_MICROSECOND, rota_event_wait(&flicker->event));

		EXPECT(err == 0 || err == -ETIMEDOUT);
	}
	return 0;
}

TASK_TEST(event, set_cleared_and_waited_for_by_many)
{
	struct flicker flicker = { .setters = { 3 } };
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (int i = 0; i < 9; i++)
		spawn(&group, i % 3 ? wait_often : set_and_clear, &flicker);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	rota_event_set(&flicker.event);
	EXPECT_EQ(rota_event_wait(&flicker.event), 0);
}

/* Signal handlers. */

static struct rota_event signalled;

static void set_signalled(void)
{
	rota_event_set(&signalled);
}

static int raise_signal(void *arg)
{
	(void)arg;
	handle_sigusr1(set_signalled);
	EXPECT_EQ(raise(SIGUSR1), 0);
	EXPECT_EQ(rota_event_is_set(&signalled), 1);
	return 0;
}

TASK_TEST(event, set_from_a_signal_handler)
{
	for (uint32_t i = 0; i < 3 * rota_loop_count(); i++) {
		const struct rota_spawn_options there = {
			.flags = ROTA_SPAWN_ON_LOOP,
			.loop = i % rota_loop_count(),
		};
		struct crowd crowd;

		crowd_open(&crowd, 8);
		for (uint32_t k = 0; k < crowd.count; k++)
			crowd.callers[k].object = &signalled;
		line_up(&crowd.group, crowd.callers, crowd.count);
		EXPECT_EQ(rota_group_spawn_with(&crowd.group, raise_signal, NULL, NULL, &there), 0);
		crowd_close(&crowd, 8);
		rota_event_clear(&signalled);
	}
}

struct storm {
	pthread_t target;
	struct a32 stop;
	struct a32 waiting; /* tasks */
};

static void *send_signals(void *arg)
{
	struct storm *storm = arg;

	while (!a32_load_acquire(&storm->stop)) {
		pthread_kill(storm->target, SIGUSR1);
		usleep(20); /* the target has to get on, too */
	}
	return NULL;
}

static int wait_and_clear(void *arg)
{
	struct storm *storm = arg;

	for (int i = 0; i < 500; i++) {
		EXPECT_EQ(rota_event_wait(&signalled), 0);
		rota_event_clear(&signalled);
		if (i % 4 == 0)
			(void)ROTA_WITHIN(
				(i % 3) * 10 * ROTA_MICROSECOND, rota_event_wait(&signalled));
	}
	a32_add_acq_rel(&storm->waiting, (uint32_t)-1);
	return 0;
}

/* Keeps its loop at what a handler must not touch: the queue of ready tasks. */
static int yield_on(void *arg)
{
	struct storm *storm = arg;

	while (a32_load_acquire(&storm->waiting))
		EXPECT_EQ(rota_yield(), 0);
	return 0;
}

/* The handler comes in at any instruction, also within a wait, a clear, a set. */
TASK_TEST(event, a_storm_of_signals)
{
	enum { TASKS = 6 };
	struct storm storm = { .target = pthread_self(), .waiting = { TASKS } };
	struct rota_group group;
	pthread_t thread;

	if (is_simulated())
		return;
	handle_sigusr1(set_signalled);
	EXPECT_EQ(pthread_create(&thread, NULL, send_signals, &storm), 0);
	rota_group_open(&group, NULL);
	for (uint32_t i = 0; i < 2 * TASKS; i++) {
		const struct rota_spawn_options there = {
			.flags = ROTA_SPAWN_ON_LOOP,
			.loop = i < TASKS ? i / 2 % rota_loop_count() : 0,
		};

		EXPECT_EQ(rota_group_spawn_with(&group, i < TASKS ? wait_and_clear : yield_on,
				  &storm, NULL, &there),
			0);
	}
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	a32_store_release(&storm.stop, 1);
	pthread_join(thread, NULL);
}

/* Plain threads. */

static void *wait_on_thread(void *arg)
{
	make_call(arg);
	return NULL;
}

TASK_TEST(event, threads_and_tasks_wait_together)
{
	enum { THREADS = 3 };
	struct crowd crowd;
	pthread_t thread[THREADS];

	if (is_simulated())
		return;
	crowd_open(&crowd, 8);
	for (int i = 0; i < THREADS; i++)
		EXPECT_EQ(pthread_create(&thread[i], NULL, wait_on_thread, &crowd.callers[i]), 0);
	line_up(&crowd.group, &crowd.callers[THREADS], 8 - THREADS);
	EXPECT_EQ(rota_sleep(2 * ROTA_MILLISECOND), 0);
	EXPECT_EQ(a32_load_acquire(&crowd.served), 0);
	rota_event_set(&crowd.event);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	crowd_close(&crowd, 8);
}

static void *set_on_thread(void *arg)
{
	rota_event_set(arg);
	return NULL;
}

TASK_TEST(event, set_by_a_thread)
{
	if (is_simulated())
		return;
	for (int round = 0; round < 20; round++) {
		struct crowd crowd;
		pthread_t thread;

		crowd_open(&crowd, 4);
		if (round % 2)
			line_up(&crowd.group, crowd.callers, crowd.count);
		EXPECT_EQ(pthread_create(&thread, NULL, set_on_thread, &crowd.event), 0);
		if (round % 2 == 0)
			for (uint32_t i = 0; i < crowd.count; i++)
				spawn(&crowd.group, make_call, &crowd.callers[i]);
		EXPECT_EQ(rota_event_wait(&crowd.event), 0);
		crowd_close(&crowd, 4);
		pthread_join(thread, NULL);
	}
}

struct hand_over {
	struct rota_event there;
	struct rota_event back;
	int rounds;
};

static void *hand_back(void *arg)
{
	struct hand_over *hand_over = arg;

	for (int i = 0; i < hand_over->rounds; i++) {
		EXPECT_EQ(rota_event_wait(&hand_over->there), 0);
		rota_event_clear(&hand_over->there);
		rota_event_set(&hand_over->back);
	}
	return NULL;
}

Test(event, of_threads_without_a_runtime)
{
	struct hand_over hand_over = { .rounds = 200 };
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, hand_back, &hand_over), 0);
	for (int i = 0; i < hand_over.rounds; i++) {
		rota_event_set(&hand_over.there);
		EXPECT_EQ(rota_event_wait(&hand_over.back), 0);
		rota_event_clear(&hand_over.back);
	}
	pthread_join(thread, NULL);
	report_failures();
}
