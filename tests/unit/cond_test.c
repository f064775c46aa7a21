/* SPDX-License-Identifier: MIT */
/*
 * Conditions: who is woken, what becomes of a signal under a cancel, and that the mutex is held
 * again whatever the wait returns.
 *
 * Behaviours of asyncio's ConditionTests (wait, notify one by one, notify all, cancel while
 * waiting, cancel while the mutex is contested, cancel after the notify, a notify that is handed on
 * when its task is cancelled, waiting without the mutex) and of Trio's (a waiter cancelled before
 * it has begun, order). Left out: notify(n), wait_for() and conditions without a lock of their own,
 * which do not exist here; signalling without the mutex is no error here.
 */
#include "callers.h"

TestSuite(cond, .timeout = HANG_SECONDS);

struct place {
	struct rota_mutex mutex;
	struct rota_cond cond;
	struct a32 served;
	struct rota_group group;
	struct caller callers[6];
	uint32_t count;
	unsigned int waits; /* plain, the mutex protects it: calls that wait or have waited */
};

/* Returns what the wait returned, with the mutex when it was 0. */
static int wait_call(void *object)
{
	struct place *place = object;
	int err;

	rota_mutex_lock(&place->mutex);
	place->waits++;
	err = rota_cond_wait(&place->cond, &place->mutex);
	/* Nobody else may unlock: that would abort. */
	EXPECT_EQ(rota_mutex_trylock(&place->mutex), -EAGAIN);
	if (err)
		rota_mutex_unlock(&place->mutex);
	return err;
}

static void leave(void *object)
{
	struct place *place = object;

	rota_mutex_unlock(&place->mutex);
}

static void place_open(struct place *place, uint32_t count)
{
	*place = (struct place){ .count = count };
	for (uint32_t i = 0; i < count; i++)
		place->callers[i] = (struct caller){
			.call = wait_call,
			.undo = leave,
			.object = place,
			.served = &place->served,
		};
	rota_group_open(&place->group, NULL);
}

static void place_close(struct place *place)
{
	for (uint32_t i = 0; i < place->count; i++)
		let_go(&place->callers[i]);
	EXPECT_EQ(rota_group_close(&place->group, 0), 0);
	EXPECT_EQ(rota_mutex_finish(&place->mutex), 0);
}

/* All wait for the condition, and the mutex is free. */
static void place_fill(struct place *place)
{
	line_up(&place->group, place->callers, place->count);
	rota_mutex_lock(&place->mutex);
	EXPECT_EQ(place->waits, place->count);
	rota_mutex_unlock(&place->mutex);
}

static void place_fill_here(struct place *place)
{
	line_up_here(&place->group, place->callers, place->count);
	EXPECT_EQ(rota_mutex_finish(&place->mutex), 0);
}

Test(cond, has_its_size)
{
	cr_expect_eq(sizeof(struct rota_cond), 24);
}

TASK_TEST(cond, a_signal_wakes_the_first)
{
	struct place place;

	place_open(&place, 5);
	place_fill(&place);
	EXPECT_WAITS(&place.callers[0]);
	for (uint32_t i = 0; i < place.count; i++) {
		if (i % 2)
			rota_mutex_lock(&place.mutex);
		rota_cond_signal(&place.cond);
		if (i % 2)
			rota_mutex_unlock(&place.mutex);
		wait_end(&place.callers[i]);
		EXPECT_EQ(a32_load_acquire(&place.served), i + 1);
		for (uint32_t k = i + 1; k < place.count; k++)
			EXPECT_WAITS(&place.callers[k]);
	}
	place_close(&place);
	expect_in_order(place.callers, place.count);
}

TASK_TEST(cond, as_many_wake_as_signals_were_sent)
{
	struct place place;

	place_open(&place, 6);
	place_fill(&place);
	rota_mutex_lock(&place.mutex);
	for (int i = 0; i < 4; i++)
		rota_cond_signal(&place.cond);
	EXPECT_EQ(a32_load_acquire(&place.served), 0);
	rota_mutex_unlock(&place.mutex);
	for (int i = 0; i < 4; i++)
		wait_end(&place.callers[i]);
	EXPECT_WAITS(&place.callers[4]);
	EXPECT_WAITS(&place.callers[5]);
	rota_cond_signal(&place.cond);
	rota_cond_signal(&place.cond);
	place_close(&place);
	for (uint32_t i = 0; i < place.count; i++)
		EXPECT_EQ(place.callers[i].result, 0);
}

TASK_TEST(cond, a_signal_for_nobody_is_gone)
{
	struct place place;

	place_open(&place, 2);
	rota_cond_signal(&place.cond);
	rota_cond_broadcast(&place.cond);
	place_fill(&place);
	EXPECT_WAITS(&place.callers[0]);
	EXPECT_WAITS(&place.callers[1]);
	rota_cond_broadcast(&place.cond);
	rota_cond_broadcast(&place.cond);
	place_close(&place);
}

TASK_TEST(cond, a_woken_waiter_has_the_mutex_before_it_returns)
{
	struct place place;

	place_open(&place, 2);
	place_fill(&place);
	rota_mutex_lock(&place.mutex);
	rota_cond_signal(&place.cond);
	EXPECT_WAITS(&place.callers[0]);
	rota_mutex_unlock(&place.mutex);
	wait_end(&place.callers[0]);
	EXPECT_EQ(place.callers[0].result, 0);
	rota_cond_signal(&place.cond);
	place_close(&place);
}

/* Waits again as soon as it is woken. */
static int wait_twice(void *object)
{
	struct place *place = object;

	rota_mutex_lock(&place->mutex);
	EXPECT_EQ(rota_cond_wait(&place->cond, &place->mutex), 0);
	a32_add_acq_rel(&place->served, 1);
	return rota_cond_wait(&place->cond, &place->mutex);
}

TASK_TEST(cond, a_broadcast_wakes_all_who_are_there_and_nobody_later)
{
	struct place place;
	struct a32 second = { 0 };

	place_open(&place, 6);
	for (uint32_t i = 0; i < place.count; i++) {
		place.callers[i].call = wait_twice;
		place.callers[i].served = &second;
	}
	line_up(&place.group, place.callers, place.count);
	rota_cond_broadcast(&place.cond);
	EXPECT(wait_cell(&place.served, place.count));
	for (uint32_t i = 0; i < place.count; i++)
		wait_state(place.callers[i].task, ROTA_TASK_SUSPENDED);
	for (uint32_t i = 0; i < place.count; i++)
		EXPECT_WAITS(&place.callers[i]);
	EXPECT_EQ(a32_load_acquire(&second), 0);
	rota_mutex_lock(&place.mutex);
	rota_cond_broadcast(&place.cond);
	rota_mutex_unlock(&place.mutex);
	place_close(&place);
	EXPECT_EQ(a32_load_relaxed(&second), place.count);
}

/* Those whom a broadcast wakes get the mutex in their order. */
TASK_TEST(cond, a_broadcast_keeps_the_order)
{
	struct place place;

	place_open(&place, 6);
	place_fill_here(&place);
	rota_cond_broadcast(&place.cond);
	place_close(&place);
	expect_in_order(place.callers, place.count);
}

TASK_TEST(cond, waiting_lets_the_mutex_go)
{
	struct place place;

	place_open(&place, 1);
	place_fill(&place);
	EXPECT_EQ(rota_mutex_trylock(&place.mutex), 0);
	rota_mutex_unlock(&place.mutex);
	rota_cond_signal(&place.cond);
	place_close(&place);
}

/* Cancel. */

TASK_TEST(cond, a_cancelled_waiter_leaves_the_line)
{
	for (uint32_t which = 0; which < 4; which++) {
		struct place place;
		uint32_t served = 0;

		place_open(&place, 4);
		place_fill(&place);
		rota_task_cancel(place.callers[which].task, NULL);
		wait_end(&place.callers[which]);
		EXPECT_EQ(place.callers[which].result, -ECANCELED);
		for (uint32_t i = 0; i < place.count; i++) {
			if (i == which)
				continue;
			EXPECT_WAITS(&place.callers[i]);
			rota_cond_signal(&place.cond);
			wait_end(&place.callers[i]);
			EXPECT_EQ(place.callers[i].place, ++served);
		}
		place_close(&place);
	}
}

TASK_TEST(cond, a_cancelled_waiter_waits_for_the_mutex)
{
	struct place place;

	place_open(&place, 2);
	place_fill(&place);
	rota_mutex_lock(&place.mutex);
	rota_task_cancel(place.callers[0].task, NULL);
	EXPECT_WAITS(&place.callers[0]);
	EXPECT_EQ(rota_sleep(ROTA_MILLISECOND), 0);
	EXPECT_WAITS(&place.callers[0]);
	rota_mutex_unlock(&place.mutex);
	wait_end(&place.callers[0]);
	EXPECT_EQ(place.callers[0].result, -ECANCELED);
	/* It has taken no signal along. */
	EXPECT_WAITS(&place.callers[1]);
	rota_cond_signal(&place.cond);
	place_close(&place);
	EXPECT_EQ(place.callers[1].result, 0);
}

/* The signal was for it: it returns 0, and the cancel comes with the next call. */
TASK_TEST(cond, signalled_and_then_cancelled)
{
	for (int contested = 0; contested < 2; contested++) {
		struct place place;

		place_open(&place, 3);
		place_fill_here(&place);
		if (contested)
			rota_mutex_lock(&place.mutex);
		rota_cond_signal(&place.cond);
		rota_task_cancel(place.callers[0].task, NULL);
		if (contested) {
			EXPECT_WAITS(&place.callers[0]);
			rota_mutex_unlock(&place.mutex);
		}
		wait_end(&place.callers[0]);
		EXPECT_EQ(place.callers[0].result, 0);
		EXPECT_EQ(place.callers[0].after, -ECANCELED);
		EXPECT_WAITS(&place.callers[1]);
		EXPECT_WAITS(&place.callers[2]);
		rota_cond_broadcast(&place.cond);
		place_close(&place);
	}
}

/* The cancel was first: the signal goes to the next one. */
TASK_TEST(cond, cancelled_and_then_signalled)
{
	for (int turns = 0; turns < CANCEL_TURNS; turns++) {
		struct place place;
		bool struck;

		place_open(&place, 3);
		place_fill_here(&place);
		struck = cancel_here(&place.callers[0], turns);
		rota_cond_signal(&place.cond);
		wait_end(&place.callers[0]);
		EXPECT_EQ(place.callers[0].result, struck ? -ECANCELED : 0);
		if (struck)
			wait_end(&place.callers[1]);
		else
			EXPECT_WAITS(&place.callers[1]);
		EXPECT_WAITS(&place.callers[2]);
		EXPECT_EQ(a32_load_acquire(&place.served), 1);
		rota_cond_broadcast(&place.cond);
		place_close(&place);
	}
}

TASK_TEST(cond, a_signal_is_not_lost_when_all_before_are_cancelled)
{
	for (int turns = 0; turns < CANCEL_TURNS; turns++) {
		struct place place;

		place_open(&place, 4);
		place_fill_here(&place);
		for (int i = 0; i < 3; i++)
			rota_task_cancel(place.callers[i].task, NULL);
		if (!cancel_here(&place.callers[0], turns)) {
			rota_cond_signal(&place.cond);
			rota_cond_signal(&place.cond);
			rota_cond_signal(&place.cond);
		}
		rota_cond_signal(&place.cond);
		wait_end(&place.callers[3]);
		EXPECT_EQ(place.callers[3].result, 0);
		place_close(&place);
	}
}

/* Whatever comes first: as many return 0 as there were signals that found a waiter. */
TASK_TEST(cond, signalled_and_cancelled_at_once)
{
	for (uint32_t round = 0; round < 100; round++) {
		struct place place;
		uint32_t good = 0;

		place_open(&place, 4);
		place_fill(&place);
		if (round % 2)
			rota_task_cancel(place.callers[round / 2 % 4].task, NULL);
		rota_cond_signal(&place.cond);
		rota_cond_signal(&place.cond);
		if (round % 2 == 0)
			rota_task_cancel(place.callers[round / 2 % 4].task, NULL);
		wait_end(&place.callers[round / 2 % 4]);
		/* Two signals, three that nobody cancelled: two are served, whoever it is. */
		while (a32_load_acquire(&place.served) < 2)
			EXPECT_EQ(rota_yield(), 0);
		rota_mutex_lock(&place.mutex);
		rota_cond_broadcast(&place.cond);
		rota_mutex_unlock(&place.mutex);
		place_close(&place);
		for (uint32_t i = 0; i < place.count; i++)
			good += place.callers[i].result == 0;
		EXPECT_EQ(a32_load_relaxed(&place.served), good);
		EXPECT(good >= 3);
	}
}

/* Cancelled before the call: the mutex is not let go for a moment. */

struct keeper {
	struct rota_mutex mutex;
	struct rota_cond cond;
	struct caller caller;
	struct a32 served;
};

static int lock_keeper(void *object)
{
	rota_mutex_lock(object);
	return 0;
}

static void unlock_keeper(void *object)
{
	rota_mutex_unlock(object);
}

static int wait_cancelled(void *arg)
{
	struct keeper *keeper = arg;
	struct rota_group group;

	rota_group_open(&group, NULL);
	rota_mutex_lock(&keeper->mutex);
	line_up_here(&group, &keeper->caller, 1);
	rota_task_cancel(rota_task_self(), NULL);
	while (!rota_yield())
		;
	EXPECT_EQ(rota_cond_wait(&keeper->cond, &keeper->mutex), -ECANCELED);
	/* Had it been free, the one in the line would have it. */
	EXPECT_EQ(rota_task_state(keeper->caller.task), ROTA_TASK_SUSPENDED);
	rota_mutex_unlock(&keeper->mutex);
	return rota_group_close(&group, 0);
}

TASK_TEST(cond, is_not_waited_for_by_a_cancelled_task)
{
	struct keeper keeper = { .caller = { .call = lock_keeper, .undo = unlock_keeper } };
	struct rota_group group;

	keeper.caller.object = &keeper.mutex;
	keeper.caller.served = &keeper.served;
	rota_group_open(&group, NULL);
	spawn(&group, wait_cancelled, &keeper);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(keeper.caller.result, 0);
	EXPECT_EQ(rota_mutex_finish(&keeper.mutex), 0);
}

TASK_TEST(cond, waiting_ends_at_a_deadline)
{
	struct place place;

	place_open(&place, 0);
	rota_mutex_lock(&place.mutex);
	EXPECT_EQ(ROTA_WITHIN(ROTA_MILLISECOND, rota_cond_wait(&place.cond, &place.mutex)),
		-ETIMEDOUT);
	EXPECT_EQ(ROTA_WITHIN(0, rota_cond_wait(&place.cond, &place.mutex)), -ETIMEDOUT);
	EXPECT_EQ(rota_mutex_trylock(&place.mutex), -EAGAIN);
	rota_mutex_unlock(&place.mutex);
	place_close(&place);
}

/* A bounded buffer: what conditions are for. */

struct buffer {
	struct rota_mutex mutex;
	struct rota_cond not_empty;
	struct rota_cond not_full;
	unsigned int held; /* plain, like all here */
	unsigned int put;
	unsigned int taken;
	unsigned int total;
	bool broadcast;
};

static void wake(struct buffer *buffer, struct rota_cond *cond)
{
	if (buffer->broadcast)
		rota_cond_broadcast(cond);
	else
		rota_cond_signal(cond);
}

static int produce(void *arg)
{
	struct buffer *buffer = arg;
	bool more = true;

	while (more) {
		rota_mutex_lock(&buffer->mutex);
		while (buffer->put < buffer->total && buffer->held == 4)
			EXPECT_EQ(rota_cond_wait(&buffer->not_full, &buffer->mutex), 0);
		more = buffer->put < buffer->total;
		if (more) {
			buffer->held++;
			buffer->put++;
		}
		/* Also to the next one of us, who may wait for room that is no more needed. */
		if (buffer->put == buffer->total)
			rota_cond_broadcast(&buffer->not_full);
		wake(buffer, &buffer->not_empty);
		rota_mutex_unlock(&buffer->mutex);
	}
	return 0;
}

static int consume(void *arg)
{
	struct buffer *buffer = arg;
	bool more = true;

	while (more) {
		rota_mutex_lock(&buffer->mutex);
		while (buffer->taken < buffer->total && !buffer->held)
			EXPECT_EQ(rota_cond_wait(&buffer->not_empty, &buffer->mutex), 0);
		more = buffer->taken < buffer->total;
		if (more) {
			buffer->held--;
			buffer->taken++;
		}
		if (buffer->taken == buffer->total)
			rota_cond_broadcast(&buffer->not_empty);
		wake(buffer, &buffer->not_full);
		rota_mutex_unlock(&buffer->mutex);
	}
	return 0;
}

static void *produce_on_thread(void *arg)
{
	produce(arg);
	return NULL;
}

static void *consume_on_thread(void *arg)
{
	consume(arg);
	return NULL;
}

static void run_buffer(struct buffer *buffer, int tasks, int threads)
{
	struct rota_group group;
	pthread_t thread[4];

	if (tasks)
		rota_group_open(&group, NULL);
	for (int i = 0; i < threads; i++)
		EXPECT_EQ(pthread_create(&thread[i], NULL,
				  i % 2 ? produce_on_thread : consume_on_thread, buffer),
			0);
	for (int i = 0; i < tasks; i++)
		spawn(&group, i % 2 ? produce : consume, buffer);
	if (tasks)
		EXPECT_EQ(rota_group_close(&group, 0), 0);
	for (int i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	EXPECT_EQ(buffer->put, buffer->total);
	EXPECT_EQ(buffer->taken, buffer->total);
	EXPECT_EQ(buffer->held, 0);
	EXPECT_EQ(rota_mutex_finish(&buffer->mutex), 0);
}

TASK_TEST(cond, a_bounded_buffer)
{
	for (int broadcast = 0; broadcast < 2; broadcast++) {
		struct buffer buffer = { .total = 2000, .broadcast = broadcast };

		run_buffer(&buffer, 8, 0);
	}
}

TASK_TEST(cond, a_bounded_buffer_of_threads_and_tasks)
{
	struct buffer buffer = { .total = 1000 };

	if (!is_simulated())
		run_buffer(&buffer, 4, 4);
}

Test(cond, a_bounded_buffer_without_a_runtime)
{
	struct buffer buffer = { .total = 1000 };

	run_buffer(&buffer, 0, 4);
	report_failures();
}

/* A thread and a task in one line, in their order. */

static void *wait_on_thread(void *arg)
{
	make_call(arg);
	return NULL;
}

TASK_TEST(cond, threads_stand_in_the_same_line)
{
	struct place place;
	pthread_t thread;
	unsigned int waits = 0;

	if (is_simulated())
		return;
	place_open(&place, 3);
	line_up_on(&place.group, &place.callers[0], 0);
	EXPECT_EQ(pthread_create(&thread, NULL, wait_on_thread, &place.callers[1]), 0);
	while (waits != 2) {
		rota_mutex_lock(&place.mutex);
		waits = place.waits;
		rota_mutex_unlock(&place.mutex);
		EXPECT_EQ(rota_yield(), 0);
	}
	line_up_on(&place.group, &place.callers[2], 1);
	rota_cond_signal(&place.cond);
	wait_end(&place.callers[0]);
	EXPECT_EQ(a32_load_acquire(&place.served), 1);
	rota_cond_signal(&place.cond);
	wait_back(&place.callers[1]);
	EXPECT_WAITS(&place.callers[2]);
	rota_cond_signal(&place.cond);
	place_close(&place);
	pthread_join(thread, NULL);
	expect_in_order(place.callers, 3);
}

/* Misuse. */

static int wait_without(void *arg)
{
	static struct rota_mutex mutex;
	static struct rota_cond cond;

	(void)arg;
	return rota_cond_wait(&cond, &mutex);
}

static int wait_with_anothers(void *arg)
{
	static struct rota_cond cond;

	return rota_cond_wait(&cond, arg);
}

static int lend_mutex(void *arg)
{
	struct rota_mutex mutex = { { 0 } };
	struct rota_group group;

	(void)arg;
	rota_group_open(&group, NULL);
	rota_mutex_lock(&mutex);
	EXPECT_EQ(rota_group_spawn(&group, wait_with_anothers, &mutex), 0);
	return rota_group_close(&group, 0);
}

Test(cond, waiting_without_the_mutex_is_reported_and_aborts)
{
	EXPECT_REPORT(wait_without, "mutex");
	EXPECT_REPORT(lend_mutex, "mutex");
}
