/* SPDX-License-Identifier: MIT */
/*
 * From outside: plain threads that cancel tasks and share locks and futures with them; what is
 * refused while the runtime stops and outside a task; and what works when there is no runtime.
 */
#include "outside.h"

TestSuite(outside_sync, .timeout = HANG_SECONDS);

/* Cancelling a task in each kind of wait. */

struct patient {
	struct rota_chan chan;
	struct rota_mutex mutex; /* the thread's */
	struct rota_rwlock rwlock;
	struct rota_event event;
	struct rota_future future;
	struct rota_sem sem;
	struct rota_task *other;
};

static int wait_in_send(void *arg)
{
	struct patient *patient = arg;

	return rota_chan_send(&patient->chan, &(int){ 1 });
}

static int wait_in_receive(void *arg)
{
	struct patient *patient = arg;
	int item;

	return rota_chan_recv(&patient->chan, &item);
}

static int wait_in_select(void *arg)
{
	struct patient *patient = arg;
	int item = 1;
	struct rota_case cases[] = {
		rota_case_recv(&patient->chan, &item),
		rota_case_send(&patient->chan, &item),
		rota_case_event(&patient->event),
		rota_case_future(&patient->future),
		rota_case_task(patient->other),
		rota_case_time(ROTA_FOREVER),
	};

	return rota_select(cases, ARRAY_SIZE(cases));
}

static int wait_in_mutex(void *arg)
{
	struct patient *patient = arg;

	return rota_mutex_lock_cancelable(&patient->mutex);
}

static int wait_in_rwlock(void *arg)
{
	struct patient *patient = arg;

	return rota_rwlock_rdlock_cancelable(&patient->rwlock);
}

static int wait_in_event(void *arg)
{
	struct patient *patient = arg;

	return rota_event_wait(&patient->event);
}

static int wait_in_future(void *arg)
{
	struct patient *patient = arg;

	return rota_future_wait(&patient->future, NULL);
}

static int wait_in_sem(void *arg)
{
	struct patient *patient = arg;

	return rota_sem_wait(&patient->sem);
}

static int wait_in_await(void *arg)
{
	struct patient *patient = arg;

	return rota_task_await(patient->other, NULL);
}

Test(outside_sync, a_thread_cancels_every_wait)
{
	static rota_task_fn *const waits[] = { wait_in_send, wait_in_receive, wait_in_select,
		wait_in_mutex, wait_in_rwlock, wait_in_event, wait_in_future, wait_in_sem,
		wait_in_await };
	struct patient patient = { .other = NULL };
	struct rota_runtime *rt;

	if (is_simulated())
		return;
	rt = start();
	chan_init(&patient.chan, 0);
	rota_mutex_lock(&patient.mutex);
	rota_rwlock_wrlock(&patient.rwlock);
	patient.other = thread_spawn_at(rt, 0, task_forever, NULL);
	for (size_t i = 0; i < 4 * ARRAY_SIZE(waits); i++) {
		struct rota_task *task = thread_spawn_at(
			rt, (uint32_t)(i / 9), waits[i % ARRAY_SIZE(waits)], &patient);
		int status;

		/* One time in four at once. */
		if (i / ARRAY_SIZE(waits))
			thread_wait_waiting(task);
		rota_task_cancel(task, "by a thread");
		status = thread_join_task(task);
		expect_at(status == -ECANCELED, "wait %zu: %d\n", i, status);
	}
	/* Nobody was left behind. */
	EXPECT_EQ(chan_trysend(&patient.chan, 1), -EAGAIN);
	EXPECT_EQ(chan_tryrecv(&patient.chan), UNTOUCHED);
	chan_finish(&patient.chan);
	rota_mutex_unlock(&patient.mutex);
	EXPECT_EQ(rota_mutex_trylock(&patient.mutex), 0);
	rota_mutex_unlock(&patient.mutex);
	EXPECT_EQ(rota_mutex_finish(&patient.mutex), 0);
	rota_rwlock_wrunlock(&patient.rwlock);
	EXPECT_EQ(rota_rwlock_finish(&patient.rwlock), 0);
	rota_event_set(&patient.event);
	EXPECT_EQ(rota_future_set(&patient.future, 0), 0);
	rota_sem_post(&patient.sem);
	EXPECT_EQ(rota_sem_trywait(&patient.sem), 0);
	rota_task_cancel(patient.other, NULL);
	EXPECT_EQ(thread_join_task(patient.other), -ECANCELED);
	stop(rt);
}

/* A thread sends while it cancels the receiver: the item is taken or it is not. */
Test(outside_sync, a_cancel_and_a_send_of_a_thread)
{
	struct rota_runtime *rt;

	if (is_simulated())
		return;
	rt = start();
	for (uint32_t i = 0; i < 300; i++) {
		struct chan_call call = { .item = UNTOUCHED };
		struct rota_chan chan;
		int sent;

		chan_init(&chan, 0);
		call.chan = &chan;
		call.task = thread_spawn_at(rt, i / 2, recv_one, &call);
		if (i % 4)
			thread_wait_waiting(call.task);
		if (i % 2)
			rota_task_cancel(call.task, NULL);
		sent = chan_trysend(&chan, 5);
		rota_task_cancel(call.task, NULL);
		EXPECT_EQ(thread_join_task(call.task), 0);
		EXPECT_EQ(call.result, sent ? -ECANCELED : 1);
		EXPECT_EQ(call.item, sent ? UNTOUCHED : 5);
		chan_finish(&chan);
	}
	stop(rt);
}

/* One mutex for threads and tasks. */

enum { LOCKERS = 3, LOCKS = 400 };

struct safe {
	struct rota_mutex mutex;
	int inside;
	int count;
};

static int lock_often(void *arg)
{
	struct safe *safe = arg;

	for (int i = 0; i < LOCKS; i++) {
		if (i % 3)
			rota_mutex_lock(&safe->mutex);
		else if (!EXPECT_EQ(rota_mutex_lock_cancelable(&safe->mutex), 0))
			return 0;
		EXPECT_EQ(safe->inside++, 0);
		safe->count++;
		/* Held over a suspend too; a thread cannot do that. */
		if (i % 16 == 0)
			(void)rota_yield();
		safe->inside--;
		rota_mutex_unlock(&safe->mutex);
	}
	return 0;
}

static void *lock_on_thread(void *arg)
{
	lock_often(arg);
	return NULL;
}

Test(outside_sync, threads_and_tasks_share_a_mutex)
{
	struct safe safe = { .count = 0 };
	struct rota_task *task[LOCKERS];
	pthread_t thread[LOCKERS];
	struct rota_runtime *rt;

	if (is_simulated())
		return;
	rt = start();
	for (uint32_t i = 0; i < LOCKERS; i++) {
		task[i] = thread_spawn_at(rt, i, lock_often, &safe);
		thread[i] = thread_start(lock_on_thread, &safe);
	}
	lock_often(&safe);
	for (int i = 0; i < LOCKERS; i++) {
		pthread_join(thread[i], NULL);
		EXPECT_EQ(thread_join_task(task[i]), 0);
	}
	EXPECT_EQ(safe.count, (2 * LOCKERS + 1) * LOCKS);
	EXPECT_EQ(rota_mutex_finish(&safe.mutex), 0);
	stop(rt);
}

/* A future and an event: set on the one side, waited for on both. */

struct news {
	struct rota_future future;
	struct rota_event event;
	int written; /* before the set, plain */
};

static int wait_for_news(void *arg)
{
	struct news *news = arg;
	int status = UNTOUCHED;

	EXPECT_EQ(rota_future_wait(&news->future, &status), 0);
	EXPECT_EQ(status, -EXDEV);
	EXPECT_EQ(news->written, 12);
	EXPECT_EQ(rota_event_wait(&news->event), 0);
	return 0;
}

static void *wait_on_thread(void *arg)
{
	wait_for_news(arg);
	return NULL;
}

static int set_news(void *arg)
{
	struct news *news = arg;

	news->written = 12;
	EXPECT_EQ(rota_future_set(&news->future, -EXDEV), 0);
	EXPECT_EQ(rota_future_set(&news->future, 0), -EALREADY);
	rota_event_set(&news->event);
	return 0;
}

Test(outside_sync, threads_and_tasks_share_a_future_and_an_event)
{
	struct rota_runtime *rt;

	if (is_simulated())
		return;
	rt = start();
	for (uint32_t i = 0; i < 40; i++) {
		struct news news = { .written = 0 };
		struct rota_task *task[3];
		pthread_t thread[2];

		for (uint32_t k = 0; k < 2; k++) {
			task[k] = thread_spawn_at(rt, i + k, wait_for_news, &news);
			thread[k] = thread_start(wait_on_thread, &news);
		}
		if (i % 2)
			set_news(&news);
		task[2] = thread_spawn_at(rt, i / 2, i % 2 ? wait_for_news : set_news, &news);
		for (int k = 0; k < 2; k++)
			pthread_join(thread[k], NULL);
		for (int k = 0; k < 3; k++)
			EXPECT_EQ(thread_join_task(task[k]), 0);
	}
	stop(rt);
}

/* While the runtime stops. */

struct closing {
	struct rota_runtime *rt;
	struct rota_chan chan;
	struct rota_future future;
	struct a32 draining;
	struct a32 tried;
};

static int hold_the_door(void *arg)
{
	struct closing *closing = arg;
	int item = UNTOUCHED;

	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	a32_store_release(&closing->draining, 1);
	thread_wait_cell(&closing->tried, 1);
	/* What a thread sent meanwhile is here. */
	EXPECT_EQ(rota_chan_tryrecv(&closing->chan, &item), 1);
	EXPECT_EQ(item, 9);
	EXPECT_EQ(rota_future_poll(&closing->future, &item), 0);
	EXPECT_EQ(item, 3);
	return 0;
}

static void *try_the_door(void *arg)
{
	struct closing *closing = arg;
	struct rota_task *task = (void *)closing;

	thread_wait_cell(&closing->draining, 1);
	EXPECT_EQ(rota_runtime_spawn(closing->rt, task_return, NULL, &task, NULL), -ESHUTDOWN);
	EXPECT(task == NULL);
	EXPECT_EQ(rota_runtime_call(closing->rt, task_return, NULL), -ESHUTDOWN);
	EXPECT_EQ(rota_background(task_return, NULL), -ESHUTDOWN);
	EXPECT_EQ(rota_chan_send(&closing->chan, &(int){ 9 }), 0);
	EXPECT_EQ(rota_future_set(&closing->future, 3), 0);
	a32_store_release(&closing->tried, 1);
	return NULL;
}

Test(outside_sync, nothing_comes_in_while_it_stops)
{
	if (is_simulated())
		return;
	for (uint32_t i = 0; i < 4; i++) {
		struct closing closing = { .tried = { 0 } };
		struct rota_task *task;
		pthread_t thread;

		closing.rt = start();
		chan_init(&closing.chan, 1);
		task = thread_spawn_at(closing.rt, i, hold_the_door, &closing);
		rota_task_release(task);
		thread = thread_start(try_the_door, &closing);
		stop(closing.rt);
		pthread_join(thread, NULL);
		chan_finish(&closing.chan);
	}
}

/* Outside a task: without a runtime, beside one, after one. */

static void expect_refused(void)
{
	struct rota_call call = { .fn = task_return };
	static struct rota_local key;
	struct rota_scope scope = { { 0 } };
	struct rota_group group = { { 0 } };
	struct rota_result result;

	EXPECT_EQ(rota_sleep(1), -ENXIO);
	EXPECT_EQ(rota_sleep(0), -ENXIO);
	EXPECT_EQ(rota_sleep_until(0), -ENXIO);
	EXPECT_EQ(rota_yield(), -ENXIO);
	EXPECT_EQ(rota_loop_self(), -ENXIO);
	EXPECT(rota_task_self() == NULL);
	EXPECT_EQ(rota_offload(task_return, NULL), -ENXIO);
	EXPECT_EQ(rota_offload_abandonable(task_return, NULL, NULL), -ENXIO);
	EXPECT_EQ(rota_local_set(&key, &key), -ENXIO);
	EXPECT(rota_local_get(&key) == NULL);
	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_wait(&group), -ENXIO);
	EXPECT_EQ(rota_group_next(&group, &result), -ENXIO);
	EXPECT_EQ(rota_group_close(&group, 0), -ENXIO);
	EXPECT_EQ(rota_gather(&call, 1), -ENXIO);
	EXPECT_EQ(rota_race(&call, 1), -ENXIO);
	rota_scope_open(&scope, ROTA_SECOND);
	EXPECT_EQ(rota_scope_close(&scope, 0), -ENXIO);
	EXPECT_EQ(rota_cancelled(), 0);
	EXPECT_EQ(rota_draining(), 0);
	EXPECT_STR_EQ(rota_cancel_reason(), "");
	EXPECT_EQ(rota_deadline(), ROTA_FOREVER);
	EXPECT(rota_error_last() == NULL);
}

static void *be_refused(void *arg)
{
	expect_refused();
	return arg;
}

static int join_refused_thread(void *arg)
{
	pthread_join(thread_start(be_refused, arg), NULL);
	return 0;
}

Test(outside_sync, what_needs_a_task_is_refused)
{
	struct rota_runtime *rt;

	if (is_simulated())
		return;
	expect_refused();
	rt = start();
	expect_refused();
	EXPECT_EQ(rota_runtime_call(rt, join_refused_thread, NULL), 0);
	expect_refused();
	stop(rt);
	expect_refused();
	report_failures();
}

/* No runtime at all: threads among themselves. */

struct bench {
	struct rota_chan chan;
	struct rota_chan back;
	struct rota_future future;
	struct rota_event event;
	struct rota_mutex mutex;
	int count;
};

static void *work_alone(void *arg)
{
	struct bench *bench = arg;
	struct rota_case cases[3];
	int status = UNTOUCHED;
	int item;

	while (rota_chan_recv(&bench->chan, &item) > 0) {
		rota_mutex_lock(&bench->mutex);
		bench->count++;
		rota_mutex_unlock(&bench->mutex);
		item = -item;
		EXPECT_EQ(rota_chan_send(&bench->back, &item), 0);
	}
	EXPECT_EQ(rota_event_wait(&bench->event), 0);
	EXPECT_EQ(rota_future_wait(&bench->future, &status), 0);
	EXPECT_EQ(status, 5);
	cases[0] = rota_case_recv(&bench->back, &item);
	cases[1] = rota_case_time(rota_now() + 3600 * ROTA_SECOND);
	cases[2] = rota_case_task(NULL);
	EXPECT_EQ(rota_select(cases, 2), 0);
	EXPECT_EQ(cases[0].status, 0);
	EXPECT_EQ(rota_select(cases, 3), -EINVAL);
	return NULL;
}

static void run_bench(size_t capacity)
{
	struct bench bench = { .count = 0 };
	pthread_t thread[2];
	struct rota_case cases[2];
	int64_t when_ns;
	int item;

	chan_init(&bench.chan, capacity);
	chan_init(&bench.back, capacity);
	for (int i = 0; i < 2; i++)
		thread[i] = thread_start(work_alone, &bench);
	for (int i = 1; i <= 200; i++) {
		EXPECT_EQ(rota_chan_send(&bench.chan, &i), 0);
		EXPECT_EQ(rota_chan_recv(&bench.back, &item), 1);
		EXPECT_EQ(item, -i);
	}
	rota_chan_close(&bench.chan);
	when_ns = rota_now() + ROTA_MILLISECOND;
	cases[0] = rota_case_time(when_ns);
	cases[1] = rota_case_event(&bench.event);
	EXPECT_EQ(rota_select(cases, 2), 0);
	EXPECT(rota_now() >= when_ns);
	rota_event_set(&bench.event);
	EXPECT_EQ(rota_future_set(&bench.future, 5), 0);
	rota_chan_close(&bench.back);
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	EXPECT_EQ(bench.count, 200);
	chan_finish(&bench.chan);
	chan_finish(&bench.back);
}

Test(outside_sync, threads_need_no_runtime)
{
	struct rota_runtime *rt;

	if (is_simulated())
		return;
	run_bench(0);
	run_bench(2);
	rt = start();
	run_bench(0);
	stop(rt);
	run_bench(1);
	report_failures();
}

/* A thread that waits while runtimes come and go, and objects that outlive them. */

static int send_and_leave(void *arg)
{
	struct chan_call *call = arg;

	EXPECT_EQ(rota_chan_send(call->chan, &call->item), 0);
	return 0;
}

static void *receive_three(void *arg)
{
	struct chan_call *call = arg;
	int item;

	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(rota_chan_recv(call->chan, &item), 1);
		call->result = call->result * 10 + item;
	}
	return NULL;
}

Test(outside_sync, a_wait_outlives_runtimes)
{
	struct rota_config config = UNIT_CONFIG;
	struct chan_call sender, receiver = { .result = 0 };
	struct rota_chan chan;
	pthread_t thread;
	int item = 3;

	if (is_simulated())
		return;
	chan_init(&chan, 0);
	sender.chan = receiver.chan = &chan;
	thread = thread_start(receive_three, &receiver);
	for (sender.item = 1; sender.item <= 2; sender.item++)
		EXPECT_EQ(rota_run(send_and_leave, &sender, &config), 0);
	EXPECT_EQ(rota_chan_send(&chan, &item), 0);
	pthread_join(thread, NULL);
	EXPECT_EQ(receiver.result, 123);
	chan_finish(&chan);
	report_failures();
}

static int fill_and_set(void *arg)
{
	struct bench *bench = arg;

	chan_init(&bench->chan, 3);
	chan_fill(&bench->chan, 3);
	rota_chan_close(&bench->chan);
	rota_mutex_lock(&bench->mutex);
	rota_mutex_unlock(&bench->mutex);
	rota_event_set(&bench->event);
	EXPECT_EQ(rota_future_set(&bench->future, 6), 0);
	return 0;
}

Test(outside_sync, what_a_task_left_can_be_used_after_the_end)
{
	struct rota_config config = UNIT_CONFIG;
	struct bench bench = { .count = 0 };
	int status = UNTOUCHED;

	if (is_simulated())
		return;
	EXPECT_EQ(rota_run(fill_and_set, &bench, &config), 0);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(chan_tryrecv(&bench.chan), i);
	EXPECT_EQ(rota_chan_recv(&bench.chan, &status), 0);
	EXPECT_EQ(rota_event_wait(&bench.event), 0);
	EXPECT_EQ(rota_future_wait(&bench.future, &status), 0);
	EXPECT_EQ(status, 6);
	EXPECT_EQ(rota_mutex_trylock(&bench.mutex), 0);
	rota_mutex_unlock(&bench.mutex);
	chan_finish(&bench.chan);
	EXPECT_EQ(rota_background(task_return, NULL), -ENXIO);
	EXPECT(rota_runtime_self() == NULL);
	report_failures();
}
