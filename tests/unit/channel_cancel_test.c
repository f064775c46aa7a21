/* SPDX-License-Identifier: MIT */
/*
 * Cancelled senders and receivers: a cancel takes nothing along and leaves nothing behind, and
 * what had been handed over before it is kept.
 *
 * Behaviours that CPython's test_queues.py checks of asyncio.Queue: maxsize, blocking and
 * non-blocking put and get, order, get_with_putters, put_with_getters, get_cancelled,
 * get_cancelled_race, get_cancel_drop_one/many_pending_readers, put_cancelled, put_cancelled_race,
 * cancelled getters and putters not being held, why_are_getters/putters_waiting, and of its
 * shutdown: waiting getters and putters are woken, what is left can be got (channel_test.c). Left
 * out: LIFO and priority queues, join() and task_done(), shutdown(immediate=True) (there are none),
 * repr, loops and subscripts (Python's).
 */
#include "channel.h"

TestSuite(channel_cancel, .timeout = HANG_SECONDS);

static const size_t capacities[] = { 0, 1, 3 };

/* Cancelled before the call. */

static int call_all(void *arg)
{
	struct rota_chan *chan = arg;
	int item = UNTOUCHED;

	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	/* There is an item and there is room: it makes no difference. */
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(rota_chan_recv(chan, &item), -ECANCELED);
		EXPECT_EQ(rota_chan_send(chan, &item), -ECANCELED);
		EXPECT_EQ(rota_chan_count(chan), 1);
	}
	/* No cancellation points. */
	EXPECT_EQ(chan_trysend(chan, 1), 0);
	EXPECT_EQ(chan_tryrecv(chan), 0);
	EXPECT_EQ(chan_tryrecv(chan), 1);
	EXPECT_EQ(chan_tryrecv(chan), UNTOUCHED);
	rota_chan_close(chan);
	EXPECT_EQ(rota_chan_recv(chan, &item), -ECANCELED);
	EXPECT_EQ(rota_chan_send(chan, &item), -ECANCELED);
	EXPECT_EQ(rota_chan_trysend(chan, &item), -EPIPE);
	EXPECT_EQ(rota_chan_tryrecv(chan, &item), 0);
	EXPECT_EQ(item, UNTOUCHED);
	return 0;
}

TASK_TEST(channel_cancel, is_seen_at_entry)
{
	struct rota_group group;
	struct rota_chan chan;
	struct rota_task *task;

	rota_group_open(&group, NULL);
	chan_init(&chan, 2);
	EXPECT_EQ(chan_trysend(&chan, 0), 0);
	task = spawn(&group, call_all, &chan);
	wait_waiting(task);
	rota_task_cancel(task, NULL);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	chan_finish(&chan);
}

/* Cancelled in the queue: at its front, in the middle, at its end, on each loop. */

enum { QUEUE = 3 };

TASK_TEST(channel_cancel, a_sender_leaves_nothing_behind)
{
	for (uint32_t i = 0; i < QUEUE * ARRAY_SIZE(capacities) * 2; i++) {
		const size_t capacity = capacities[i / QUEUE % ARRAY_SIZE(capacities)];
		const uint32_t cut = i % QUEUE;
		struct chan_call call[QUEUE];
		struct rota_group group;
		struct rota_chan chan;

		rota_group_open(&group, NULL);
		chan_init(&chan, capacity);
		chan_fill(&chan, capacity);
		for (uint32_t k = 0; k < QUEUE; k++)
			spawn_waiting(&group, i + k, send_one, &call[k], &chan, 100 + (int)k);
		call_cancel(&call[cut]);
		EXPECT_EQ(call_result(&call[cut]), -ECANCELED);
		EXPECT_EQ(rota_chan_count(&chan), capacity);
		EXPECT_EQ(chan_trysend(&chan, 99), -EAGAIN);
		for (size_t k = 0; k < capacity; k++)
			EXPECT_EQ(chan_tryrecv(&chan), k);
		for (uint32_t k = 0; k < QUEUE; k++)
			if (k != cut)
				EXPECT_EQ(chan_tryrecv(&chan), 100 + k);
		EXPECT_EQ(chan_tryrecv(&chan), UNTOUCHED);
		for (uint32_t k = 0; k < QUEUE; k++)
			EXPECT_EQ(call_result(&call[k]), k == cut ? -ECANCELED : 0);
		chan_finish(&chan);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
	}
}

TASK_TEST(channel_cancel, a_receiver_takes_nothing_along)
{
	for (uint32_t i = 0; i < QUEUE * ARRAY_SIZE(capacities) * 2; i++) {
		const size_t capacity = capacities[i / QUEUE % ARRAY_SIZE(capacities)];
		const uint32_t cut = i % QUEUE;
		struct chan_call call[QUEUE];
		struct rota_group group;
		struct rota_chan chan;

		rota_group_open(&group, NULL);
		chan_init(&chan, capacity);
		for (uint32_t k = 0; k < QUEUE; k++)
			spawn_waiting(&group, i + k, recv_one, &call[k], &chan, UNTOUCHED);
		call_cancel(&call[cut]);
		EXPECT_EQ(call_result(&call[cut]), -ECANCELED);
		EXPECT_EQ(call[cut].item, UNTOUCHED);
		for (uint32_t k = 0; k < QUEUE; k++) {
			if (k == cut)
				continue;
			EXPECT_EQ(chan_trysend(&chan, (int)k), 0);
			EXPECT_EQ(rota_chan_count(&chan), 0);
			EXPECT_EQ(call_result(&call[k]), 1);
			EXPECT_EQ(call[k].item, k);
		}
		/* Nobody is left in the queue: room there is, receivers there are none. */
		chan_fill(&chan, capacity);
		EXPECT_EQ(chan_trysend(&chan, 99), -EAGAIN);
		EXPECT_EQ(rota_chan_count(&chan), capacity);
		chan_finish(&chan);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
	}
}

TASK_TEST(channel_cancel, a_group_takes_all_of_its_waiters_away)
{
	for (size_t i = 0; i < ARRAY_SIZE(capacities); i++) {
		struct chan_call call[2 * QUEUE];
		struct rota_chan empty, full;
		struct rota_group group;

		rota_group_open(&group, NULL);
		chan_init(&empty, capacities[i]);
		chan_init(&full, capacities[i]);
		chan_fill(&full, capacities[i]);
		for (uint32_t k = 0; k < QUEUE; k++) {
			spawn_waiting(&group, k, recv_one, &call[k], &empty, UNTOUCHED);
			spawn_waiting(&group, k, send_one, &call[QUEUE + k], &full, 99);
		}
		rota_group_cancel(&group, NULL);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		for (uint32_t k = 0; k < 2 * QUEUE; k++)
			EXPECT_EQ(call[k].result, -ECANCELED);
		EXPECT_EQ(rota_chan_count(&full), capacities[i]);
		chan_finish(&empty);
		chan_finish(&full);
	}
}

/* A deadline is a cancel like any other. */
TASK_TEST(channel_cancel, by_a_deadline)
{
	for (int i = 0; i < 4; i++) {
		const int64_t timeout_ns = i % 2 ? ROTA_MILLISECOND : 0;
		struct rota_scope scope;
		struct rota_chan chan;
		int item = UNTOUCHED;

		chan_init(&chan, 1);
		rota_scope_open(&scope, timeout_ns);
		EXPECT_EQ(rota_scope_close(&scope, rota_chan_recv(&chan, &item)), -ETIMEDOUT);
		EXPECT_EQ(item, UNTOUCHED);
		EXPECT_EQ(chan_trysend(&chan, 1), 0);
		rota_scope_open(&scope, timeout_ns);
		EXPECT_EQ(rota_scope_close(&scope, rota_chan_send(&chan, &item)), -ETIMEDOUT);
		EXPECT_EQ(chan_tryrecv(&chan), 1);
		EXPECT_EQ(chan_tryrecv(&chan), UNTOUCHED);
		chan_finish(&chan);
	}
}

/* Handed over first, cancelled then: the result stays, and the next call says so. */

static int recv_two(void *arg)
{
	struct chan_call *call = arg;
	int item;

	recv_one(call);
	EXPECT_EQ(rota_chan_recv(call->chan, &item), -ECANCELED);
	return 0;
}

static int send_two(void *arg)
{
	struct chan_call *call = arg;

	send_one(call);
	EXPECT_EQ(rota_chan_send(call->chan, &call->item), -ECANCELED);
	return 0;
}

TASK_TEST(channel_cancel, comes_too_late_for_what_was_handed_over)
{
	for (uint32_t i = 0; i < 10 * ARRAY_SIZE(capacities); i++) {
		const size_t capacity = capacities[i % ARRAY_SIZE(capacities)];
		struct rota_group group;
		struct chan_call call;
		struct rota_chan chan;

		rota_group_open(&group, NULL);
		chan_init(&chan, capacity);
		spawn_waiting(&group, i, recv_two, &call, &chan, UNTOUCHED);
		EXPECT_EQ(chan_trysend(&chan, 7), 0);
		call_cancel(&call);
		EXPECT_EQ(call_result(&call), 1);
		EXPECT_EQ(call.item, 7);

		chan_fill(&chan, capacity);
		spawn_waiting(&group, i, send_two, &call, &chan, (int)capacity);
		EXPECT_EQ(chan_tryrecv(&chan), 0);
		call_cancel(&call);
		EXPECT_EQ(call_result(&call), 0);
		for (size_t k = 1; k <= capacity; k++)
			EXPECT_EQ(chan_tryrecv(&chan), k);
		EXPECT_EQ(chan_tryrecv(&chan), UNTOUCHED);
		chan_finish(&chan);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
	}
}

TASK_TEST(channel_cancel, comes_too_late_for_the_end)
{
	for (uint32_t i = 0; i < 20; i++) {
		struct chan_call call[2];
		struct rota_group group;
		struct rota_chan chan;

		rota_group_open(&group, NULL);
		chan_init(&chan, 0);
		spawn_waiting(&group, i, i % 2 ? recv_one : send_one, &call[0], &chan, 1);
		rota_chan_close(&chan);
		call_cancel(&call[0]);
		EXPECT_EQ(call_result(&call[0]), i % 2 ? 0 : -EPIPE);
		chan_finish(&chan);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
	}
}

/* At the same moment: the one or the other, on both sides. */

TASK_TEST(channel_cancel, and_a_send_at_once)
{
	for (uint32_t i = 0; i < 300; i++) {
		const size_t capacity = i % 2;
		struct rota_group group;
		struct chan_call call;
		struct rota_chan chan;
		int sent;

		rota_group_open(&group, NULL);
		chan_init(&chan, capacity);
		call = (struct chan_call){ .chan = &chan, .item = UNTOUCHED };
		call.task = spawn_at(&group, i / 2, recv_one, &call);
		if (i % 3)
			wait_waiting(call.task);
		call_cancel(&call);
		sent = chan_trysend(&chan, 3);
		if (call_result(&call) == 1) {
			EXPECT_EQ(sent, 0);
			EXPECT_EQ(call.item, 3);
			EXPECT_EQ(rota_chan_count(&chan), 0);
		} else {
			EXPECT_EQ(call.result, -ECANCELED);
			EXPECT_EQ(call.item, UNTOUCHED);
			EXPECT_EQ(sent, capacity ? 0 : -EAGAIN);
			EXPECT_EQ(rota_chan_count(&chan), capacity);
		}
		chan_finish(&chan);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
	}
}

TASK_TEST(channel_cancel, and_a_receive_at_once)
{
	for (uint32_t i = 0; i < 300; i++) {
		const size_t capacity = i % 2;
		struct rota_group group;
		struct chan_call call;
		struct rota_chan chan;
		int item;

		rota_group_open(&group, NULL);
		chan_init(&chan, capacity);
		chan_fill(&chan, capacity);
		call = (struct chan_call){ .chan = &chan, .item = 3 };
		call.task = spawn_at(&group, i / 2, send_one, &call);
		if (i % 3)
			wait_waiting(call.task);
		call_cancel(&call);
		item = chan_tryrecv(&chan);
		if (capacity) {
			EXPECT_EQ(item, 0);
			/* The sender's comes next, if it was taken. */
			item = call_result(&call) ? 3 : chan_tryrecv(&chan);
			EXPECT_EQ(item, 3);
		} else {
			EXPECT_EQ(item, call_result(&call) ? UNTOUCHED : 3);
		}
		EXPECT(call.result == 0 || call.result == -ECANCELED);
		EXPECT_EQ(chan_tryrecv(&chan), UNTOUCHED);
		chan_finish(&chan);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
	}
}

/* The first who waits is cancelled while the item comes: it is the second's if not the first's. */
TASK_TEST(channel_cancel, passes_the_item_on)
{
	for (uint32_t i = 0; i < 200; i++) {
		struct chan_call call[2];
		struct rota_group group;
		struct rota_chan chan;
		int got = 0;

		rota_group_open(&group, NULL);
		chan_init(&chan, i % 2);
		for (uint32_t k = 0; k < 2; k++)
			spawn_waiting(&group, i / 2 + k, recv_one, &call[k], &chan, UNTOUCHED);
		call_cancel(&call[0]);
		EXPECT_EQ(chan_trysend(&chan, 3), 0);
		got = call_result(&call[0]) == 1;
		EXPECT_EQ(rota_chan_count(&chan), 0);
		rota_chan_close(&chan);
		EXPECT_EQ(call_result(&call[1]), got ? 0 : 1);
		EXPECT_EQ(call[got ? 0 : 1].item, 3);
		EXPECT_EQ(call[got ? 1 : 0].item, UNTOUCHED);
		chan_finish(&chan);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
	}
}

/* A storm: whatever is cancelled when, what was taken comes out or is still inside. */

enum { CROWD = 60 };

struct storm {
	struct rota_chan chan;
	struct a32 sent;
	struct a32 received;
};

static int send_some(void *arg)
{
	struct storm *storm = arg;
	int err = 0;

	for (int i = 1; i <= 5 && !err; i++) {
		err = rota_chan_send(&storm->chan, &i);
		if (!err)
			a32_add_acq_rel(&storm->sent, (uint32_t)i);
	}
	EXPECT(!err || err == -ECANCELED);
	return 0;
}

static int receive_some(void *arg)
{
	struct storm *storm = arg;
	int n = 1;

	for (int i = 1; i <= 5 && n == 1; i++) {
		int item = 0;

		n = rota_chan_recv(&storm->chan, &item);
		EXPECT(n == 1 ? item > 0 : item == 0);
		a32_add_acq_rel(&storm->received, (uint32_t)item);
	}
	EXPECT(n == 1 || n == -ECANCELED);
	return 0;
}

TASK_TEST(channel_cancel, from_everywhere_at_any_time)
{
	for (uint32_t round = 0; round < 40; round++) {
		struct storm storm = { .sent = { 0 } };
		struct rota_task *task[CROWD];
		struct rota_group group;
		uint32_t left = 0;
		unsigned char cut;
		int item;

		rota_group_open(&group, NULL);
		chan_init(&storm.chan, capacities[round % ARRAY_SIZE(capacities)]);
		for (uint32_t i = 0; i < CROWD; i++)
			task[i] = spawn_at(&group, i / 2, i % 2 ? send_some : receive_some, &storm);
		for (int i = 0; i < CROWD; i++) {
			rota_random(&cut, 1);
			rota_task_cancel(task[cut % CROWD], NULL);
			if (cut % 4 == 0)
				EXPECT_EQ(rota_yield(), 0);
		}
		rota_group_cancel(&group, NULL);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		while ((item = chan_tryrecv(&storm.chan)) != UNTOUCHED)
			left += (uint32_t)item;
		EXPECT_EQ(a32_load_relaxed(&storm.sent), a32_load_relaxed(&storm.received) + left);
		chan_finish(&storm.chan);
	}
}
