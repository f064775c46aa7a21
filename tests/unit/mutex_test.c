/* SPDX-License-Identifier: MIT */
/*
 * Mutexes: order, hand-over, cancel, misuse, between tasks of all loops and plain threads.
 *
 * Behaviours of asyncio's LockTests (fairness, a cancelled waiter and the release race, a waiter
 * cancelled after the release had chosen it, nothing lost when all are cancelled) and of Trio's
 * test_sync (FIFO, no overtaking by a try, stranger and second lock, cancelled before the call).
 * Left out: repr and locked(), which have no counterpart; releasing in another task, which is
 * misuse here.
 */
#include "callers.h"

TestSuite(mutex, .timeout = HANG_SECONDS);

static int lock_call(void *object)
{
	return rota_mutex_lock_cancelable(object);
}

static int lock_void(void *object)
{
	rota_mutex_lock(object);
	return 0;
}

static void unlock(void *object)
{
	rota_mutex_unlock(object);
}

static void init_callers(
	struct caller *callers, int count, struct rota_mutex *mutex, struct a32 *served)
{
	for (int i = 0; i < count; i++)
		callers[i] = (struct caller){
			.call = lock_call,
			.undo = unlock,
			.object = mutex,
			.served = served,
		};
}

Test(mutex, has_its_size)
{
	cr_expect_eq(sizeof(struct rota_mutex), 24);
}

static void use_alone(void)
{
	struct rota_mutex mutex = { { 0 } };

	EXPECT_EQ(rota_mutex_finish(&mutex), 0);
	for (int i = 0; i < 3; i++) {
		rota_mutex_lock(&mutex);
		EXPECT_EQ(rota_mutex_trylock(&mutex), -EAGAIN);
		EXPECT_EQ(rota_mutex_lock_cancelable(&mutex), -EDEADLK);
		EXPECT_EQ(rota_mutex_finish(&mutex), -EBUSY);
		rota_mutex_unlock(&mutex);
		EXPECT_EQ(rota_mutex_trylock(&mutex), 0);
		rota_mutex_unlock(&mutex);
		EXPECT_EQ(rota_mutex_lock_cancelable(&mutex), 0);
		rota_mutex_unlock(&mutex);
	}
	EXPECT_EQ(rota_mutex_finish(&mutex), 0);
}

TASK_TEST(mutex, all_zero_is_free)
{
	use_alone();
}

Test(mutex, works_without_a_runtime)
{
	use_alone();
	report_failures();
}

TASK_TEST(mutex, cleans_up)
{
	struct rota_mutex mutex = { { 0 } };
	struct rota_mutex *none = NULL;

	{
		struct rota_mutex *held __attribute__((cleanup(rota_mutex_cleanup))) = &mutex;

		rota_mutex_lock(held);
		EXPECT_EQ(rota_mutex_finish(&mutex), -EBUSY);
	}
	EXPECT_EQ(rota_mutex_finish(&mutex), 0);
	rota_mutex_cleanup(&none);
}

TASK_TEST(mutex, is_handed_over_in_order)
{
	enum { COUNT = 12 };
	struct rota_mutex mutex = { { 0 } };
	struct a32 served = { 0 };
	struct caller callers[COUNT];
	struct rota_group group;

	init_callers(callers, COUNT, &mutex, &served);
	for (int i = 0; i < COUNT; i += 3)
		callers[i].call = lock_void;
	rota_group_open(&group, NULL);
	rota_mutex_lock(&mutex);
	line_up(&group, callers, COUNT);
	EXPECT_EQ(a32_load_relaxed(&served), 0);
	EXPECT_EQ(rota_mutex_finish(&mutex), -EBUSY);
	rota_mutex_unlock(&mutex);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	expect_in_order(callers, COUNT);
	EXPECT_EQ(rota_mutex_finish(&mutex), 0);
}

TASK_TEST(mutex, is_not_had_by_a_late_comer)
{
	struct rota_mutex mutex = { { 0 } };
	struct a32 served = { 0 };
	struct caller callers[3];
	struct rota_group group;

	init_callers(callers, 3, &mutex, &served);
	rota_group_open(&group, NULL);
	rota_mutex_lock(&mutex);
	line_up(&group, callers, 3);
	rota_mutex_unlock(&mutex);
	/* The first of the line has it now, whether it has run since or not. */
	rota_mutex_lock(&mutex);
	EXPECT_EQ(a32_load_relaxed(&served), 3);
	EXPECT_EQ(rota_mutex_finish(&mutex), -EBUSY);
	rota_mutex_unlock(&mutex);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	expect_in_order(callers, 3);
}

TASK_TEST(mutex, a_try_does_not_take_what_was_handed_over)
{
	struct rota_mutex mutex = { { 0 } };
	struct a32 served = { 0 };
	struct caller callers[2];
	struct rota_group group;

	init_callers(callers, 2, &mutex, &served);
	rota_group_open(&group, NULL);
	rota_mutex_lock(&mutex);
	line_up_here(&group, callers, 2);
	rota_mutex_unlock(&mutex);
	EXPECT_EQ(rota_mutex_trylock(&mutex), -EAGAIN);
	EXPECT_EQ(rota_mutex_finish(&mutex), -EBUSY);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	expect_in_order(callers, 2);
	EXPECT_EQ(rota_mutex_trylock(&mutex), 0);
	rota_mutex_unlock(&mutex);
}

/* Cancel. */

TASK_TEST(mutex, a_cancelled_waiter_leaves_the_line)
{
	enum { COUNT = 4 };

	for (int which = 0; which < COUNT; which++) {
		struct rota_mutex mutex = { { 0 } };
		struct a32 served = { 0 };
		struct caller callers[COUNT];
		struct rota_group group;
		uint32_t place = 0;

		init_callers(callers, COUNT, &mutex, &served);
		rota_group_open(&group, NULL);
		rota_mutex_lock(&mutex);
		line_up(&group, callers, COUNT);
		rota_task_cancel(callers[which].task, NULL);
		wait_end(&callers[which]);
		EXPECT_EQ(callers[which].result, -ECANCELED);
		EXPECT_EQ(a32_load_relaxed(&served), 0);
		for (int i = 0; i < COUNT; i++)
			if (i != which)
				EXPECT_WAITS(&callers[i]);
		EXPECT_EQ(rota_mutex_trylock(&mutex), -EAGAIN);
		rota_mutex_unlock(&mutex);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		for (int i = 0; i < COUNT; i++)
			if (i != which)
				EXPECT_EQ(callers[i].place, ++place);
		EXPECT_EQ(rota_mutex_finish(&mutex), 0);
	}
}

TASK_TEST(mutex, nothing_is_left_when_all_waiters_are_cancelled)
{
	enum { COUNT = 5 };
	struct rota_mutex mutex = { { 0 } };
	struct a32 served = { 0 };
	struct caller callers[COUNT];
	struct rota_group group;

	init_callers(callers, COUNT, &mutex, &served);
	rota_group_open(&group, NULL);
	rota_mutex_lock(&mutex);
	line_up(&group, callers, COUNT);
	for (int i = 0; i < COUNT; i++)
		rota_task_cancel(callers[i].task, NULL);
	for (int i = 0; i < COUNT; i++)
		wait_end(&callers[i]);
	rota_mutex_unlock(&mutex);
	EXPECT_EQ(rota_mutex_finish(&mutex), 0);
	EXPECT_EQ(rota_mutex_trylock(&mutex), 0);
	rota_mutex_unlock(&mutex);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	for (int i = 0; i < COUNT; i++)
		EXPECT_EQ(callers[i].result, -ECANCELED);
	EXPECT_EQ(a32_load_relaxed(&served), 0);
}

/* Chosen by the unlock, cancelled before it ran: it has the lock, and the cancel comes next. */
TASK_TEST(mutex, handed_over_and_then_cancelled)
{
	struct rota_mutex mutex = { { 0 } };
	struct a32 served = { 0 };
	struct caller callers[3];
	struct rota_group group;

	init_callers(callers, 3, &mutex, &served);
	rota_group_open(&group, NULL);
	rota_mutex_lock(&mutex);
	line_up_here(&group, callers, 3);
	rota_mutex_unlock(&mutex);
	rota_task_cancel(callers[0].task, NULL);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	expect_in_order(callers, 3);
	EXPECT_EQ(callers[0].after, -ECANCELED);
	EXPECT_EQ(callers[1].after, 0);
	EXPECT_EQ(rota_mutex_finish(&mutex), 0);
}

/* Cancelled, and the unlock comes before it has run: the next one gets the lock. */
TASK_TEST(mutex, cancelled_and_then_handed_over)
{
	for (int turns = 0; turns < CANCEL_TURNS; turns++) {
		for (int which = 0; which < 2; which++) {
			struct rota_mutex mutex = { { 0 } };
			struct a32 served = { 0 };
			struct caller callers[3];
			struct rota_group group;
			bool struck;

			init_callers(callers, 3, &mutex, &served);
			rota_group_open(&group, NULL);
			rota_mutex_lock(&mutex);
			line_up_here(&group, callers, 3);
			struck = cancel_here(&callers[which], turns);
			rota_mutex_unlock(&mutex);
			EXPECT_EQ(rota_group_close(&group, 0), 0);
			/* Not struck yet: by its turn the second may be cancelled or served. */
			if (struck)
				EXPECT_EQ(callers[which].result, -ECANCELED);
			else if (which == 0)
				EXPECT_EQ(callers[which].result, 0);
			EXPECT_EQ(callers[which].after, -ECANCELED);
			EXPECT_EQ(callers[!which].place, callers[which].place == 1 ? 2 : 1);
			EXPECT_EQ(callers[2].place, callers[which].result ? 2 : 3);
			EXPECT_EQ(rota_mutex_finish(&mutex), 0);
		}
	}
}

/* On several loops it is one or the other, and nothing is lost or doubled. */
TASK_TEST(mutex, handed_over_and_cancelled_at_once)
{
	enum { COUNT = 4 };

	for (int round = 0; round < 100; round++) {
		struct rota_mutex mutex = { { 0 } };
		struct a32 served = { 0 };
		struct caller callers[COUNT];
		struct rota_group group;
		uint32_t good = 0;

		init_callers(callers, COUNT, &mutex, &served);
		rota_group_open(&group, NULL);
		rota_mutex_lock(&mutex);
		line_up(&group, callers, COUNT);
		if (round % 2)
			rota_task_cancel(callers[round % COUNT].task, NULL);
		rota_mutex_unlock(&mutex);
		if (round % 2 == 0)
			rota_task_cancel(callers[round % COUNT].task, NULL);
		rota_task_cancel(callers[round / COUNT % COUNT].task, NULL);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		for (int i = 0; i < COUNT; i++) {
			bool cut = i == round % COUNT || i == round / COUNT % COUNT;

			EXPECT(callers[i].result == 0 || (cut && callers[i].result == -ECANCELED));
			if (callers[i].result == 0)
				EXPECT_EQ(callers[i].place, ++good);
		}
		EXPECT_EQ(a32_load_relaxed(&served), good);
		EXPECT_EQ(rota_mutex_finish(&mutex), 0);
	}
}

TASK_TEST(mutex, is_not_taken_by_a_cancelled_task)
{
	struct rota_mutex mutex = { { 0 } };

	EXPECT_EQ(result_when_cancelled(lock_call, &mutex), -ECANCELED);
	EXPECT_EQ(rota_mutex_finish(&mutex), 0);
	rota_mutex_lock(&mutex);
	EXPECT_EQ(result_when_cancelled(lock_call, &mutex), -ECANCELED);
	rota_mutex_unlock(&mutex);
	EXPECT_EQ(rota_mutex_finish(&mutex), 0);
}

static int lock_and_unlock(void *object)
{
	rota_mutex_lock(object);
	rota_mutex_unlock(object);
	return 7;
}

static int try_and_unlock(void *object)
{
	int err = rota_mutex_trylock(object);

	if (!err)
		rota_mutex_unlock(object);
	return err;
}

TASK_TEST(mutex, is_taken_by_a_cancelled_task_that_cannot_fail)
{
	struct rota_mutex mutex = { { 0 } };

	EXPECT_EQ(result_when_cancelled(lock_and_unlock, &mutex), 7);
	EXPECT_EQ(result_when_cancelled(try_and_unlock, &mutex), 0);
	EXPECT_EQ(rota_mutex_finish(&mutex), 0);
}

TASK_TEST(mutex, waiting_without_an_error_is_not_cut_short)
{
	struct rota_mutex mutex = { { 0 } };
	struct a32 served = { 0 };
	struct caller callers[3];
	struct rota_group group;

	init_callers(callers, 3, &mutex, &served);
	callers[1].call = lock_void;
	rota_group_open(&group, NULL);
	rota_mutex_lock(&mutex);
	line_up(&group, callers, 3);
	rota_task_cancel(callers[1].task, NULL);
	EXPECT_WAITS(&callers[1]);
	rota_mutex_unlock(&mutex);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	expect_in_order(callers, 3);
	EXPECT_EQ(callers[1].after, -ECANCELED);
}

TASK_TEST(mutex, waiting_ends_at_a_deadline)
{
	struct rota_mutex mutex = { { 0 } };
	struct a32 served = { 0 };
	struct caller holder;
	struct rota_group group;

	init_callers(&holder, 1, &mutex, &served);
	holder.hold = true;
	rota_group_open(&group, NULL);
	spawn(&group, make_call, &holder);
	wait_back(&holder);
	EXPECT_EQ(ROTA_WITHIN(ROTA_MILLISECOND, lock_call(&mutex)), -ETIMEDOUT);
	EXPECT_EQ(ROTA_WITHIN(0, lock_call(&mutex)), -ETIMEDOUT);
	let_go(&holder);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(rota_mutex_finish(&mutex), 0);
}

/* Exclusion. */

struct counter {
	struct rota_mutex mutex;
	struct a32 inside;
	unsigned int count; /* plain: the mutex protects it */
	unsigned int rounds;
};

static void count_once(struct counter *counter, unsigned int round)
{
	EXPECT_EQ(a32_add_acq_rel(&counter->inside, 1), 0);
	counter->count++;
	if (round % 7 == 0)
		(void)rota_yield();
	a32_add_acq_rel(&counter->inside, (uint32_t)-1);
	rota_mutex_unlock(&counter->mutex);
}

static int count_up(void *arg)
{
	struct counter *counter = arg;

	for (unsigned int i = 0; i < counter->rounds; i++) {
		if (i % 5 == 4)
			while (rota_mutex_trylock(&counter->mutex))
				(void)rota_yield();
		else if (i % 2)
			EXPECT_EQ(rota_mutex_lock_cancelable(&counter->mutex), 0);
		else
			rota_mutex_lock(&counter->mutex);
		count_once(counter, i);
	}
	return 0;
}

TASK_TEST(mutex, lets_one_in_at_a_time)
{
	enum { TASKS = 16 };
	struct counter counter = { .rounds = 100 };
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (uint32_t i = 0; i < TASKS; i++) {
		const struct rota_spawn_options there = {
			.flags = ROTA_SPAWN_ON_LOOP,
			.loop = i % rota_loop_count(),
		};

		EXPECT_EQ(rota_group_spawn_with(&group, count_up, &counter, NULL, &there), 0);
	}
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(counter.count, TASKS * counter.rounds);
	EXPECT_EQ(rota_mutex_finish(&counter.mutex), 0);
}

/* Deadlines that strike at any moment: whoever got it, has it. */
static int count_within(void *arg)
{
	struct counter *counter = arg;
	unsigned int done = 0;

	for (unsigned int i = 0; i < counter->rounds; i++) {
		int64_t limit = (int64_t)(i % 9) * 10 * ROTA_MICROSECOND;
		int err = ROTA_WITHIN(limit, rota_mutex_lock_cancelable(&counter->mutex));

		EXPECT(err == 0 || err == -ETIMEDOUT);
		if (err)
			continue;
		count_once(counter, i);
		done++;
	}
	return (int)done;
}

TASK_TEST(mutex, survives_deadlines_at_any_moment)
{
	enum { TASKS = 12 };
	struct counter counter = { .rounds = 100 };
	struct rota_call calls[TASKS];
	unsigned int done = 0;

	for (int i = 0; i < TASKS; i++)
		calls[i] = (struct rota_call){ .fn = count_within, .arg = &counter };
	EXPECT_EQ(rota_gather(calls, TASKS), 0);
	for (int i = 0; i < TASKS; i++)
		done += (unsigned int)calls[i].status;
	EXPECT_EQ(counter.count, done);
	EXPECT_EQ(rota_mutex_finish(&counter.mutex), 0);
}

/* Plain threads. */

static void *count_on_thread(void *arg)
{
	count_up(arg);
	return NULL;
}

TASK_TEST(mutex, of_threads_and_tasks)
{
	enum { TASKS = 4, THREADS = 3 };
	struct counter counter = { .rounds = 200 };
	pthread_t thread[THREADS];
	struct rota_group group;

	if (is_simulated())
		return;
	rota_group_open(&group, NULL);
	for (int i = 0; i < THREADS; i++)
		EXPECT_EQ(pthread_create(&thread[i], NULL, count_on_thread, &counter), 0);
	for (int i = 0; i < TASKS; i++)
		EXPECT_EQ(rota_group_spawn(&group, count_up, &counter), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	EXPECT_EQ(counter.count, (TASKS + THREADS) * counter.rounds);
	EXPECT_EQ(rota_mutex_finish(&counter.mutex), 0);
}

Test(mutex, of_threads_without_a_runtime)
{
	enum { THREADS = 3 };
	struct counter counter = { .rounds = 500 };
	pthread_t thread[THREADS];

	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&thread[i], NULL, count_on_thread, &counter), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	cr_expect_eq(counter.count, THREADS * counter.rounds);
	cr_expect_eq(rota_mutex_finish(&counter.mutex), 0);
	report_failures();
}

/* A thread as a caller: what it holds, it holds until it is let go. */
static void *hold_on_thread(void *arg)
{
	struct caller *caller = arg;

	caller->result = caller->call(caller->object);
	a32_add_acq_rel(caller->served, 1);
	a32_store_release(&caller->back, 1);
	while (!a32_load_acquire(&caller->go))
		sched_yield();
	caller->undo(caller->object);
	return NULL;
}

TASK_TEST(mutex, a_thread_holds_while_tasks_wait)
{
	struct rota_mutex mutex = { { 0 } };
	struct a32 served = { 0 };
	struct caller callers[5];
	struct rota_group group;
	pthread_t thread;

	if (is_simulated())
		return;
	init_callers(callers, 5, &mutex, &served);
	rota_group_open(&group, NULL);
	EXPECT_EQ(pthread_create(&thread, NULL, hold_on_thread, &callers[0]), 0);
	wait_back(&callers[0]);
	EXPECT_EQ(rota_mutex_trylock(&mutex), -EAGAIN);
	line_up(&group, &callers[1], 4);
	rota_task_cancel(callers[2].task, NULL);
	wait_end(&callers[2]);
	EXPECT_EQ(callers[2].result, -ECANCELED);
	EXPECT_WAITS(&callers[1]);
	let_go(&callers[0]);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	pthread_join(thread, NULL);
	EXPECT_EQ(callers[1].place, 2);
	EXPECT_EQ(callers[3].place, 3);
	EXPECT_EQ(callers[4].place, 4);
	EXPECT_EQ(rota_mutex_finish(&mutex), 0);
}

TASK_TEST(mutex, a_task_holds_while_threads_wait)
{
	enum { THREADS = 3 };
	struct rota_mutex mutex = { { 0 } };
	struct a32 served = { 0 };
	struct caller callers[THREADS];
	pthread_t thread[THREADS];

	if (is_simulated())
		return;
	init_callers(callers, THREADS, &mutex, &served);
	rota_mutex_lock(&mutex);
	for (int i = 0; i < THREADS; i++) {
		let_go(&callers[i]);
		EXPECT_EQ(pthread_create(&thread[i], NULL, hold_on_thread, &callers[i]), 0);
	}
	EXPECT_EQ(rota_sleep(5 * ROTA_MILLISECOND), 0);
	EXPECT_EQ(a32_load_acquire(&served), 0);
	rota_mutex_unlock(&mutex);
	EXPECT(wait_cell(&served, THREADS));
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	EXPECT_EQ(rota_mutex_finish(&mutex), 0);
}

/* Misuse. */

static int lock_twice(void *arg)
{
	static struct rota_mutex mutex;

	(void)arg;
	rota_mutex_lock(&mutex);
	rota_mutex_lock(&mutex);
	return 0;
}

static int unlock_free(void *arg)
{
	static struct rota_mutex mutex;

	(void)arg;
	rota_mutex_unlock(&mutex);
	return 0;
}

static int unlock_arg(void *arg)
{
	rota_mutex_unlock(arg);
	return 0;
}

static int unlock_as_a_stranger(void *arg)
{
	struct rota_mutex mutex = { { 0 } };
	struct rota_group group;

	(void)arg;
	rota_group_open(&group, NULL);
	rota_mutex_lock(&mutex);
	EXPECT_EQ(rota_group_spawn(&group, unlock_arg, &mutex), 0);
	return rota_group_close(&group, 0);
}

static void *unlock_on_thread(void *arg)
{
	rota_mutex_unlock(arg);
	return NULL;
}

static int unlock_as_a_thread(void *arg)
{
	struct rota_mutex mutex = { { 0 } };
	pthread_t thread;

	(void)arg;
	rota_mutex_lock(&mutex);
	EXPECT_EQ(pthread_create(&thread, NULL, unlock_on_thread, &mutex), 0);
	pthread_join(thread, NULL);
	return 0;
}

Test(mutex, misuse_is_reported_and_aborts)
{
	EXPECT_REPORT(lock_twice, "mutex");
	EXPECT_REPORT(unlock_free, "mutex");
	EXPECT_REPORT(unlock_as_a_stranger, "mutex");
	if (!is_simulated())
		EXPECT_REPORT(unlock_as_a_thread, "mutex");
}

static int misuse_without_a_runtime(void *arg)
{
	rota_task_fn *const *body = arg;

	return (*body)(NULL);
}

Test(mutex, misuse_by_threads_too)
{
	rota_task_fn *const bodies[] = { lock_twice, unlock_free, unlock_as_a_thread };

	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		struct child *child = run_child(misuse_without_a_runtime, (void *)&bodies[i]);

		cr_expect(child_died_by(child, SIGABRT), "%zu: %x %s", i, child->wait_status,
			child->err);
		cr_expect(strstr(child->err, "mutex"), "%zu: %s", i, child->err);
	}
}
