/* SPDX-License-Identifier: MIT */
/*
 * From outside: plain threads that spawn into the runtime, wait for its tasks, and use
 * the same channels and selects as they do. Real threads, so nothing of it is simulated. Locks, and
 * what is refused when, are in outside_sync_test.c.
 */
#include "outside.h"

TestSuite(outside, .timeout = HANG_SECONDS);

/* Spawning and waiting. */

static int where_am_i(void *arg)
{
	(void)arg;
	EXPECT_EQ(rota_yield(), 0);
	return rota_loop_self();
}

Test(outside, spawns_on_each_loop_and_awaits)
{
	struct rota_runtime *rt;

	if (is_simulated())
		return;
	rt = start();
	for (uint32_t i = 0; i < 20; i++) {
		struct rota_task *task = thread_spawn_at(rt, i, where_am_i, NULL);

		EXPECT(task != NULL);
		EXPECT_EQ(thread_join_task(task), i % rota_loop_count());
	}
	stop(rt);
}

struct awaited {
	struct rota_chan chan;
	struct rota_task *task;
};

static int return_what_comes(void *arg)
{
	struct awaited *awaited = arg;
	int item = UNTOUCHED;

	EXPECT_EQ(rota_chan_recv(&awaited->chan, &item), 1);
	return item;
}

static void *await_on_thread(void *arg)
{
	struct awaited *awaited = arg;
	int status = UNTOUCHED;

	EXPECT_EQ(rota_task_await(awaited->task, &status), 0);
	EXPECT_EQ(status, 77);
	return NULL;
}

Test(outside, many_threads_await_one_task)
{
	enum { THREADS = 4 };
	struct rota_runtime *rt;

	if (is_simulated())
		return;
	rt = start();
	for (uint32_t round = 0; round < 10; round++) {
		pthread_t thread[THREADS];
		struct awaited awaited;
		const int item = 77;

		chan_init(&awaited.chan, 0);
		awaited.task = thread_spawn_at(rt, round, return_what_comes, &awaited);
		for (int i = 0; i < THREADS; i++)
			thread[i] = thread_start(await_on_thread, &awaited);
		EXPECT_EQ(rota_chan_send(&awaited.chan, &item), 0);
		for (int i = 0; i < THREADS; i++)
			pthread_join(thread[i], NULL);
		EXPECT_EQ(thread_join_task(awaited.task), 77);
		chan_finish(&awaited.chan);
	}
	stop(rt);
}

/* Into a group that a task has open. */

struct guests {
	struct rota_group group;
	struct rota_chan chan;
};

static int greet(void *arg)
{
	struct guests *guests = arg;

	return rota_chan_send(&guests->chan, &(int){ 1 });
}

static void *bring_guests(void *arg)
{
	struct guests *guests = arg;
	struct rota_task *task = NULL;

	for (int i = 0; i < 20; i++)
		EXPECT_EQ(rota_group_spawn(&guests->group, greet, guests), 0);
	EXPECT_EQ(rota_group_spawn_with(&guests->group, greet, guests, &task, NULL), 0);
	EXPECT_EQ(rota_task_await(task, NULL), 0);
	rota_chan_close(&guests->chan);
	return NULL;
}

TASK_TEST(outside, spawns_into_a_group)
{
	struct guests guests;
	pthread_t thread;
	int count = 0;
	int item;

	if (is_simulated())
		return;
	rota_group_open(&guests.group, NULL);
	chan_init(&guests.chan, 30);
	thread = thread_start(bring_guests, &guests);
	while (rota_chan_recv(&guests.chan, &item) > 0)
		count++;
	pthread_join(thread, NULL);
	/* Those that came behind the close were refused, and that is the group's error. */
	EXPECT_EQ(rota_group_close(&guests.group, 0), count == 21 ? 0 : -EPIPE);
	chan_finish(&guests.chan);
}

/* Channels. */

enum { SENDERS = 3, RECEIVERS = 3, WORKERS = 5, EACH = 300 };

/* Threads send, tasks add one and pass it on, threads receive. */
struct relay {
	struct rota_chan in;
	struct rota_chan out;
	struct a32 next;
	struct a32 workers;
	struct a32 seen[SENDERS * EACH + 1];
};

static void *relay_send(void *arg)
{
	struct relay *relay = arg;
	int first = (int)a32_add_acq_rel(&relay->next, 1) * EACH;

	for (int item = first; item < first + EACH; item++)
		EXPECT_EQ(rota_chan_send(&relay->in, &item), 0);
	return NULL;
}

static int relay_work(void *arg)
{
	struct relay *relay = arg;
	int item;

	while (rota_chan_recv(&relay->in, &item) > 0) {
		item++;
		EXPECT_EQ(rota_chan_send(&relay->out, &item), 0);
	}
	if (a32_add_acq_rel(&relay->workers, (uint32_t)-1) == 1)
		rota_chan_close(&relay->out);
	return 0;
}

static void *relay_receive(void *arg)
{
	struct relay *relay = arg;
	int item;
	int n;

	while ((n = rota_chan_recv(&relay->out, &item)) > 0)
		if (EXPECT(item > 0 && item <= SENDERS * EACH))
			a32_add_acq_rel(&relay->seen[item], 1);
	EXPECT_EQ(n, 0);
	return NULL;
}

static void run_relay(struct rota_runtime *rt, size_t capacity)
{
	struct relay *relay = calloc(1, sizeof(*relay));
	pthread_t sender[SENDERS], receiver[RECEIVERS];

	chan_init(&relay->in, capacity);
	chan_init(&relay->out, capacity);
	a32_store_release(&relay->workers, WORKERS);
	for (int i = 0; i < RECEIVERS; i++)
		receiver[i] = thread_start(relay_receive, relay);
	for (uint32_t i = 0; i < WORKERS; i++)
		rota_task_release(thread_spawn_at(rt, i, relay_work, relay));
	for (int i = 0; i < SENDERS; i++)
		sender[i] = thread_start(relay_send, relay);
	for (int i = 0; i < SENDERS; i++)
		pthread_join(sender[i], NULL);
	rota_chan_close(&relay->in);
	for (int i = 0; i < RECEIVERS; i++)
		pthread_join(receiver[i], NULL);
	for (int i = 1; i <= SENDERS * EACH; i++)
		EXPECT_EQ(a32_load_relaxed(&relay->seen[i]), 1);
	chan_finish(&relay->in);
	chan_finish(&relay->out);
	free(relay);
}

Test(outside, threads_and_tasks_share_channels)
{
	struct rota_runtime *rt;

	if (is_simulated())
		return;
	rt = start();
	run_relay(rt, 0);
	run_relay(rt, 1);
	run_relay(rt, 10);
	stop(rt);
}

/* What wakes a thread that waits. */

static void *receive_until_closed(void *arg)
{
	struct chan_call *call = arg;
	int item;

	while ((call->result = rota_chan_recv(call->chan, &item)) == 1)
		call->item += item;
	EXPECT_EQ(rota_chan_send(call->chan, &item), -EPIPE);
	return NULL;
}

static void *send_until_closed(void *arg)
{
	struct chan_call *call = arg;

	do
		call->result = rota_chan_send(call->chan, &call->item);
	while (call->result == 0);
	return NULL;
}

static int poke_and_close(void *arg)
{
	struct rota_chan *chan = arg;
	int item = 0;

	/* The try form meets only those that wait already. */
	for (int i = 1; i <= 3; i++)
		while (chan_trysend(chan, i))
			EXPECT_EQ(rota_yield(), 0);
	rota_chan_close(chan);
	EXPECT_EQ(rota_chan_recv(chan, &item), 0);
	return 0;
}

static int take_and_close(void *arg)
{
	struct rota_chan *chan = arg;

	for (int i = 1; i <= 3; i++)
		while (chan_tryrecv(chan) == UNTOUCHED)
			EXPECT_EQ(rota_yield(), 0);
	rota_chan_close(chan);
	return 0;
}

Test(outside, a_task_wakes_threads_and_closes_on_them)
{
	struct rota_runtime *rt;

	if (is_simulated())
		return;
	rt = start();
	for (uint32_t i = 0; i < 20; i++) {
		struct chan_call call[2] = { { .item = 0 } };
		struct rota_chan chan;
		pthread_t thread[2];
		bool sends = i % 2;

		chan_init(&chan, 0);
		for (int k = 0; k < 2; k++) {
			call[k].chan = &chan;
			thread[k] = thread_start(
				sends ? send_until_closed : receive_until_closed, &call[k]);
		}
		EXPECT_EQ(thread_join_task(thread_spawn_at(
				  rt, i / 2, sends ? take_and_close : poke_and_close, &chan)),
			0);
		for (int k = 0; k < 2; k++)
			pthread_join(thread[k], NULL);
		for (int k = 0; k < 2; k++)
			EXPECT_EQ(call[k].result, sends ? -EPIPE : 0);
		if (!sends)
			EXPECT_EQ(call[0].item + call[1].item, 6);
		chan_finish(&chan);
	}
	stop(rt);
}

/* Select. */

static void *select_on_thread(void *arg)
{
	select_things(arg);
	return NULL;
}

TASK_TEST(outside, a_thread_selects_each_kind)
{
	if (is_simulated())
		return;
	for (uint32_t i = 0; i < 6 * KINDS; i++) {
		const int kind = (int)(i % KINDS);
		const bool alone = i / KINDS % 2;
		const int64_t when_ns = rota_now() + ROTA_MILLISECOND;
		struct things things;
		pthread_t thread;
		int item = 7;

		things_open(&things, i, i / KINDS % 3);
		things.list = alone ? &things.cases[kind] : things.cases;
		things.count = alone ? 1 : KINDS;
		if (kind == TIME)
			set_time(&things, when_ns);
		thread = thread_start(select_on_thread, &things);
		for (uint32_t k = 0; k < i; k++)
			EXPECT_EQ(rota_yield(), 0);
		/* Whether it waits already or not. */
		if (kind == OUT && !things.capacity)
			EXPECT_EQ(rota_chan_recv(&things.out, &item), 1);
		else if (kind == IN && !things.capacity)
			EXPECT_EQ(rota_chan_send(&things.in, &item), 0);
		else
			fire(&things, kind);
		EXPECT_EQ(select_result(&things), alone ? 0 : kind);
		EXPECT(kind != TIME || rota_now() >= when_ns);
		check_done(&things, kind, done_status[kind]);
		EXPECT_EQ(rota_chan_count(&things.out), things.capacity);
		EXPECT_EQ(rota_chan_count(&things.in), 0);
		things_close(&things);
		pthread_join(thread, NULL);
	}
}

TASK_TEST(outside, a_thread_tries_each_kind)
{
	struct things things;

	if (is_simulated())
		return;
	things_open(&things, 0, 1);
	EXPECT_EQ(rota_select_try(things.cases, KINDS), -EAGAIN);
	things_close(&things);
}

/* Threads and tasks send to and receive from all channels at once, by select. */

enum { CHANNELS = 3 };

struct swarm {
	struct rota_chan chan[CHANNELS];
	struct rota_event stop;
	struct a32 done;
	struct a64 sent;
	struct a64 received;
};

static int swarm_about(void *arg)
{
	enum { STOP = 2 * CHANNELS, CLOCK, CASES };
	struct swarm *swarm = arg;
	struct rota_case cases[CASES];
	int out, in, index;

	for (int i = 0; i < CHANNELS; i++) {
		cases[2 * i] = rota_case_send(&swarm->chan[i], &out);
		cases[2 * i + 1] = rota_case_recv(&swarm->chan[i], &in);
	}
	cases[STOP] = rota_case_event(&swarm->stop);
	for (out = 1;; out++) {
		in = 0;
		cases[CLOCK] = rota_case_time(rota_now() + (int64_t)(out % 100) * ROTA_MICROSECOND);
		index = rota_select(cases, CASES);
		if (!EXPECT(index >= 0) || index == STOP)
			return 0;
		a32_add_acq_rel(&swarm->done, 1);
		if (index == CLOCK)
			continue;
		if (index % 2 == 0 && EXPECT_EQ(cases[index].status, 0))
			a64_add_relaxed(&swarm->sent, (uint64_t)out);
		if (index % 2 == 1 && EXPECT_EQ(cases[index].status, 1))
			a64_add_relaxed(&swarm->received, (uint64_t)in);
	}
}

static void *swarm_on_thread(void *arg)
{
	swarm_about(arg);
	return NULL;
}

Test(outside, threads_and_tasks_select_from_each_other)
{
	enum { EACH_KIND = 3 };
	struct rota_runtime *rt;

	if (is_simulated())
		return;
	rt = start();
	for (size_t capacity = 0; capacity < 2; capacity++) {
		struct swarm swarm = { .done = { 0 } };
		struct rota_task *task[EACH_KIND];
		pthread_t thread[EACH_KIND];
		uint64_t left = 0;
		int item;

		for (int i = 0; i < CHANNELS; i++)
			chan_init(&swarm.chan[i], capacity);
		for (uint32_t i = 0; i < EACH_KIND; i++) {
			task[i] = thread_spawn_at(rt, i, swarm_about, &swarm);
			thread[i] = thread_start(swarm_on_thread, &swarm);
		}
		while (a32_load_acquire(&swarm.done) < 1500)
			sched_yield();
		rota_event_set(&swarm.stop);
		for (int i = 0; i < EACH_KIND; i++) {
			pthread_join(thread[i], NULL);
			EXPECT_EQ(thread_join_task(task[i]), 0);
		}
		for (int i = 0; i < CHANNELS; i++) {
			while ((item = chan_tryrecv(&swarm.chan[i])) != UNTOUCHED)
				left += (uint64_t)item;
			chan_finish(&swarm.chan[i]);
		}
		EXPECT_EQ(a64_load_relaxed(&swarm.sent), a64_load_relaxed(&swarm.received) + left);
	}
	stop(rt);
}

/* A thread waits for an item and for a time, both come at once: what was sent is received. */

struct deadline {
	struct rota_chan chan;
	struct a32 over;
	uint32_t received;
	uint32_t timed_out;
};

static void *receive_in_time(void *arg)
{
	struct deadline *deadline = arg;

	for (int i = 0; i < 4000; i++) {
		struct rota_case cases[2];
		int item = UNTOUCHED;
		int index;

		cases[0] = rota_case_recv(&deadline->chan, &item);
		cases[1] = rota_case_time(rota_now() + (i % 8) * ROTA_MICROSECOND / 4);
		index = rota_select(cases, 2);
		EXPECT_EQ(item, index == 0 ? 1 : UNTOUCHED);
		if (index == 0)
			deadline->received++;
		else if (EXPECT_EQ(index, 1))
			deadline->timed_out++;
	}
	a32_store_release(&deadline->over, 1);
	return NULL;
}

Test(outside, a_time_and_an_item_at_once)
{
	struct deadline deadline = { .received = 0 };
	uint32_t sent = 0;
	pthread_t thread;

	if (is_simulated())
		return;
	chan_init(&deadline.chan, 0);
	thread = thread_start(receive_in_time, &deadline);
	while (!a32_load_acquire(&deadline.over))
		sent += chan_trysend(&deadline.chan, 1) == 0;
	pthread_join(thread, NULL);
	cr_expect_eq(deadline.received, sent);
	cr_expect_eq(deadline.received + deadline.timed_out, 4000);
	chan_finish(&deadline.chan);
	report_failures();
}
