/* SPDX-License-Identifier: MIT */
/*
 * Futures: one status, set once, by anybody; gone as soon as the waiter has it.
 *
 * Behaviours of asyncio's FutureTests that apply (result, a second set is refused, a waiter that
 * was there before and one that comes after, a cancelled waiter does not harm the future). Left
 * out: callbacks, exceptions, cancelling the future itself: a status is all it has.
 */
#include "callers.h"

TestSuite(future, .timeout = HANG_SECONDS);

Test(future, has_its_size)
{
	cr_expect_eq(sizeof(struct rota_future), 32);
}

static void use_alone(void)
{
	static const int statuses[] = { 0, 1, -1, -EIO, INT32_MAX, INT32_MIN, -ECANCELED };

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		struct rota_future future = { { 0 } };
		int status = 12;

		EXPECT_EQ(rota_future_poll(&future, &status), -EAGAIN);
		EXPECT_EQ(status, 12);
		EXPECT_EQ(rota_future_set(&future, statuses[i]), 0);
		EXPECT_EQ(rota_future_poll(&future, &status), 0);
		EXPECT_EQ(status, statuses[i]);
		EXPECT_EQ(rota_future_set(&future, 77), -EALREADY);
		status = 12;
		EXPECT_EQ(rota_future_wait(&future, &status), 0);
		EXPECT_EQ(status, statuses[i]);
		EXPECT_EQ(rota_future_wait(&future, NULL), 0);
		EXPECT_EQ(rota_future_poll(&future, NULL), 0);
		status = 12;
		EXPECT_EQ(rota_future_poll(&future, &status), 0);
		EXPECT_EQ(status, statuses[i]);
	}
}

TASK_TEST(future, keeps_the_first_status)
{
	use_alone();
}

Test(future, works_without_a_runtime)
{
	use_alone();
	report_failures();
}

/* Several wait. */

struct crowd {
	struct rota_future future;
	struct a32 served;
	struct rota_group group;
	struct caller callers[6];
	uint32_t count;
};

#define WANTED 4711

static int wait_call(void *object)
{
	int status = 12;
	int err = rota_future_wait(object, &status);

	EXPECT_EQ(status, err ? 12 : WANTED);
	return err;
}

static void crowd_open(struct crowd *crowd, uint32_t count)
{
	*crowd = (struct crowd){ .count = count };
	for (uint32_t i = 0; i < count; i++)
		crowd->callers[i] = (struct caller){
			.call = wait_call,
			.object = &crowd->future,
			.served = &crowd->served,
		};
	rota_group_open(&crowd->group, NULL);
}

static void crowd_close(struct crowd *crowd, uint32_t served)
{
	EXPECT_EQ(rota_group_close(&crowd->group, 0), 0);
	EXPECT_EQ(a32_load_relaxed(&crowd->served), served);
}

TASK_TEST(future, all_who_wait_get_the_status)
{
	struct crowd crowd;

	crowd_open(&crowd, 6);
	line_up(&crowd.group, crowd.callers, 5);
	EXPECT_EQ(rota_future_set(&crowd.future, WANTED), 0);
	EXPECT_EQ(rota_future_set(&crowd.future, 1), -EALREADY);
	spawn(&crowd.group, make_call, &crowd.callers[5]);
	EXPECT_EQ(wait_call(&crowd.future), 0);
	crowd_close(&crowd, 6);
}

struct race {
	struct rota_future future;
	struct a32 go;
	struct a32 winner; /* 1 + its number */
};

struct runner {
	struct race *race;
	int number;
};

static int set_first(void *arg)
{
	struct runner *runner = arg;
	int err;

	EXPECT(wait_cell(&runner->race->go, 1));
	err = rota_future_set(&runner->race->future, runner->number);
	if (err)
		EXPECT_EQ(err, -EALREADY);
	else
		EXPECT_EQ(a32_add_acq_rel(&runner->race->winner, (uint32_t)runner->number + 1), 0);
	return 0;
}

TASK_TEST(future, the_first_of_many_wins)
{
	enum { COUNT = 8 };

	for (int round = 0; round < 50; round++) {
		struct race race = { .winner = { 0 } };
		struct runner runners[COUNT];
		struct rota_group group;
		int status = -1;

		rota_group_open(&group, NULL);
		for (int i = 0; i < COUNT; i++) {
			runners[i] = (struct runner){ &race, i };
			spawn(&group, set_first, &runners[i]);
		}
		a32_store_release(&race.go, 1);
		EXPECT_EQ(rota_future_wait(&race.future, &status), 0);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		EXPECT_EQ(a32_load_relaxed(&race.winner), status + 1);
	}
}

/* The waiter's own memory: nobody touches it once it goes on. */

static int set_it(void *arg)
{
	EXPECT_EQ(rota_future_set(arg, WANTED), 0);
	return 0;
}

/* The setter gets its own copy of the address: the heap shows a late touch to sanitizers. */
static void use_and_free(int how)
{
	struct rota_future *future = calloc(1, sizeof(*future));
	struct rota_group group;
	int status = 0;

	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, set_it, future), 0);
	if (how == 0)
		EXPECT_EQ(rota_future_wait(future, &status), 0);
	else if (how == 1)
		while (rota_future_poll(future, &status) == -EAGAIN)
			EXPECT_EQ(rota_yield(), 0);
	else
		while (ROTA_WITHIN(10 * ROTA_MICROSECOND, rota_future_wait(future, &status)))
			;
	memset(future, 0xff, sizeof(*future));
	free(future);
	EXPECT_EQ(status, WANTED);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

TASK_TEST(future, is_freed_by_its_waiter)
{
	for (int i = 0; i < 300; i++)
		use_and_free(i % 3);
}

static int wait_on_the_stack(void *arg)
{
	struct rota_future future = { { 0 } };
	struct rota_group *group = arg;
	int status = 0;

	EXPECT_EQ(rota_group_spawn(group, set_it, &future), 0);
	EXPECT_EQ(rota_future_wait(&future, &status), 0);
	EXPECT_EQ(status, WANTED);
	return 0;
}

TASK_TEST(future, lies_on_the_stack_of_its_waiter)
{
	struct rota_group setters;
	struct rota_group group;

	rota_group_open(&setters, NULL);
	rota_group_open(&group, NULL);
	for (int i = 0; i < 200; i++)
		EXPECT_EQ(rota_group_spawn(&group, wait_on_the_stack, &setters), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(rota_group_close(&setters, 0), 0);
}

/* What was written before the set is seen after the wait. */

struct answer {
	struct rota_future future;
	int text[32]; /* plain */
};

static int write_answer(void *arg)
{
	struct answer *answer = arg;

	for (int i = 0; i < 32; i++)
		answer->text[i] = i;
	EXPECT_EQ(rota_future_set(&answer->future, 0), 0);
	return 0;
}

TASK_TEST(future, orders_memory)
{
	for (int round = 0; round < 100; round++) {
		struct answer answer = { .text = { -1 } };
		struct rota_group group;

		rota_group_open(&group, NULL);
		EXPECT_EQ(rota_group_spawn(&group, write_answer, &answer), 0);
		if (round % 2)
			while (rota_future_poll(&answer.future, NULL))
				EXPECT_EQ(rota_yield(), 0);
		else
			EXPECT_EQ(rota_future_wait(&answer.future, NULL), 0);
		for (int i = 0; i < 32; i++)
			if (!EXPECT_EQ(answer.text[i], i))
				break;
		EXPECT_EQ(rota_group_close(&group, 0), 0);
	}
}

/* Cancel. */

TASK_TEST(future, a_cancelled_waiter_does_not_harm_it)
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
		EXPECT_EQ(rota_future_poll(&crowd.future, NULL), -EAGAIN);
		EXPECT_EQ(rota_future_set(&crowd.future, WANTED), 0);
		crowd_close(&crowd, 3);
	}
}

TASK_TEST(future, set_and_then_cancelled)
{
	struct crowd crowd;

	crowd_open(&crowd, 2);
	line_up_here(&crowd.group, crowd.callers, crowd.count);
	EXPECT_EQ(rota_future_set(&crowd.future, WANTED), 0);
	rota_task_cancel(crowd.callers[0].task, NULL);
	crowd_close(&crowd, 2);
	EXPECT_EQ(crowd.callers[0].after, -ECANCELED);
	EXPECT_EQ(crowd.callers[1].after, 0);
}

TASK_TEST(future, cancelled_and_then_set)
{
	for (int turns = 0; turns < CANCEL_TURNS; turns++) {
		struct crowd crowd;
		bool struck;

		crowd_open(&crowd, 2);
		line_up_here(&crowd.group, crowd.callers, crowd.count);
		struck = cancel_here(&crowd.callers[0], turns);
		EXPECT_EQ(rota_future_set(&crowd.future, WANTED), 0);
		EXPECT_EQ(rota_future_poll(&crowd.future, NULL), 0);
		crowd_close(&crowd, struck ? 1 : 2);
		EXPECT_EQ(crowd.callers[0].result, struck ? -ECANCELED : 0);
		EXPECT_EQ(crowd.callers[0].after, -ECANCELED);
	}
}

TASK_TEST(future, set_and_cancelled_at_once)
{
	for (uint32_t round = 0; round < 100; round++) {
		uint32_t cut = round / 2 % 4;
		struct crowd crowd;

		crowd_open(&crowd, 4);
		line_up(&crowd.group, crowd.callers, crowd.count);
		if (round % 2)
			rota_task_cancel(crowd.callers[cut].task, NULL);
		EXPECT_EQ(rota_future_set(&crowd.future, WANTED), 0);
		if (round % 2 == 0)
			rota_task_cancel(crowd.callers[cut].task, NULL);
		EXPECT_EQ(rota_group_close(&crowd.group, 0), 0);
		for (uint32_t i = 0; i < crowd.count; i++) {
			int result = crowd.callers[i].result;

			EXPECT(result == 0 || (i == cut && result == -ECANCELED));
		}
	}
}

TASK_TEST(future, is_not_waited_for_by_a_cancelled_task)
{
	struct rota_future future = { { 0 } };

	EXPECT_EQ(result_when_cancelled(wait_call, &future), -ECANCELED);
	EXPECT_EQ(rota_future_set(&future, WANTED), 0);
	EXPECT_EQ(result_when_cancelled(wait_call, &future), -ECANCELED);
	EXPECT_EQ(wait_call(&future), 0);
}

static int poll_call(void *object)
{
	return rota_future_poll(object, NULL);
}

static int set_call(void *object)
{
	return rota_future_set(object, WANTED);
}

TASK_TEST(future, is_polled_and_set_by_a_cancelled_task)
{
	struct rota_future future = { { 0 } };

	EXPECT_EQ(result_when_cancelled(poll_call, &future), -EAGAIN);
	EXPECT_EQ(result_when_cancelled(set_call, &future), 0);
	EXPECT_EQ(result_when_cancelled(poll_call, &future), 0);
	EXPECT_EQ(wait_call(&future), 0);
}

TASK_TEST(future, waiting_ends_at_a_deadline)
{
	struct rota_future future = { { 0 } };

	EXPECT_EQ(ROTA_WITHIN(ROTA_MILLISECOND, wait_call(&future)), -ETIMEDOUT);
	EXPECT_EQ(rota_future_set(&future, WANTED), 0);
	EXPECT_EQ(ROTA_WITHIN(ROTA_SECOND, wait_call(&future)), 0);
}

/* Signal handlers. */

static struct aptr awaited; /* the future that the handler completes, or NULL */

static void set_awaited(void)
{
	struct rota_future *future = aptr_exchange_acq_rel(&awaited, NULL);

	if (future)
		EXPECT_EQ(rota_future_set(future, WANTED), 0);
}

static int raise_signal(void *arg)
{
	(void)arg;
	handle_sigusr1(set_awaited);
	EXPECT_EQ(raise(SIGUSR1), 0);
	return 0;
}

TASK_TEST(future, set_from_a_signal_handler)
{
	for (uint32_t i = 0; i < 3 * rota_loop_count(); i++) {
		const struct rota_spawn_options there = {
			.flags = ROTA_SPAWN_ON_LOOP,
			.loop = i % rota_loop_count(),
		};
		struct crowd crowd;

		crowd_open(&crowd, 6);
		line_up(&crowd.group, crowd.callers, crowd.count);
		aptr_store_release(&awaited, &crowd.future);
		EXPECT_EQ(rota_group_spawn_with(&crowd.group, raise_signal, NULL, NULL, &there), 0);
		crowd_close(&crowd, 6);
	}
}

struct storm {
	pthread_t target;
	struct a32 stop;
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

/* The handler comes in at any instruction, also within the wait. */
TASK_TEST(future, a_storm_of_signals)
{
	struct storm storm = { .target = pthread_self() };
	pthread_t thread;

	if (is_simulated())
		return;
	handle_sigusr1(set_awaited);
	EXPECT_EQ(pthread_create(&thread, NULL, send_signals, &storm), 0);
	for (int i = 0; i < 200; i++) {
		struct rota_future future = { { 0 } };
		int status = 0;

		aptr_store_release(&awaited, &future);
		if (i % 3 == 0)
			EXPECT_EQ(rota_yield(), 0);
		if (i % 2)
			EXPECT_EQ(rota_future_wait(&future, &status), 0);
		else
			while (ROTA_WITHIN(
				10 * ROTA_MICROSECOND, rota_future_wait(&future, &status)))
				;
		EXPECT_EQ(status, WANTED);
	}
	a32_store_release(&storm.stop, 1);
	pthread_join(thread, NULL);
}

/* Plain threads. */

static void *set_on_thread(void *arg)
{
	set_it(arg);
	return NULL;
}

static void *wait_on_thread(void *arg)
{
	make_call(arg);
	return NULL;
}

TASK_TEST(future, set_by_a_thread)
{
	if (is_simulated())
		return;
	for (int i = 0; i < 100; i++) {
		struct rota_future *future = calloc(1, sizeof(*future));
		pthread_t thread;

		EXPECT_EQ(pthread_create(&thread, NULL, set_on_thread, future), 0);
		if (i % 3 == 0)
			EXPECT_EQ(rota_yield(), 0);
		EXPECT_EQ(wait_call(future), 0);
		free(future);
		pthread_join(thread, NULL);
	}
}

TASK_TEST(future, threads_and_tasks_wait_together)
{
	enum { THREADS = 3 };
	struct crowd crowd;
	pthread_t thread[THREADS];

	if (is_simulated())
		return;
	crowd_open(&crowd, 6);
	for (int i = 0; i < THREADS; i++)
		EXPECT_EQ(pthread_create(&thread[i], NULL, wait_on_thread, &crowd.callers[i]), 0);
	line_up(&crowd.group, &crowd.callers[THREADS], 6 - THREADS);
	EXPECT_EQ(rota_sleep(2 * ROTA_MILLISECOND), 0);
	EXPECT_EQ(a32_load_acquire(&crowd.served), 0);
	EXPECT_EQ(rota_future_set(&crowd.future, WANTED), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	crowd_close(&crowd, 6);
}

Test(future, of_threads_without_a_runtime)
{
	for (int i = 0; i < 50; i++) {
		struct rota_future *future = calloc(1, sizeof(*future));
		pthread_t thread;

		cr_assert_eq(pthread_create(&thread, NULL, set_on_thread, future), 0);
		EXPECT_EQ(wait_call(future), 0);
		free(future);
		pthread_join(thread, NULL);
	}
	report_failures();
}

/* A thread of the program asks a task of the runtime, and waits for its answer. */
Test(future, the_answer_of_a_task_to_a_thread)
{
	const struct rota_config config = UNIT_CONFIG;
	struct rota_runtime *runtime;

	if (is_simulated())
		return;
	cr_assert_eq(rota_start(&runtime, &config), 0);
	for (int i = 0; i < 50; i++) {
		struct rota_future *future = calloc(1, sizeof(*future));

		EXPECT_EQ(rota_runtime_spawn(runtime, set_it, future, NULL, NULL), 0);
		EXPECT_EQ(wait_call(future), 0);
		free(future);
	}
	cr_expect_eq(rota_stop(runtime), 0);
	report_failures();
}
