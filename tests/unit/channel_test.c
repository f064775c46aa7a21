/* SPDX-License-Identifier: MIT */
/*
 * Channels: arguments, what waits and what does not, order, closing, rendezvous, conservation.
 *
 * Behaviours of Go's runtime/chan_test.go: TestChan (empty and full ones wait, closing, order, len,
 * for several capacities), TestNonblockRecvRace, TestMultiConsumer; and of its test/chan: fifo,
 * goroutines, nonblock, sieve1, zerosize. Those of select are in select_test.c, and with cancels in
 * channel_cancel_test.c. Left out: perm and sendstmt (Go's grammar and types), powser (big programs
 * of the same calls as sieve), TestShrinkStackDuringBlockedSend (stacks do not move), nil channels
 * (there are none: all zero is a rendezvous), the panic of a second close (fine here).
 */
#include "channel.h"

TestSuite(channel, .timeout = HANG_SECONDS);

static const size_t capacities[] = { 0, 1, 2, 3, 10 };

/* Arguments and memory. */

TASK_TEST(channel, init_checks_its_arguments)
{
	static const size_t sizes[] = { 1, 2, 8, 100, 65535, 65536 };
	static const size_t too_many[] = { SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2, SIZE_MAX / 2 + 1,
		SIZE_MAX / 100, SIZE_MAX / 65536 + 1 };
	struct rota_chan chan;

	EXPECT_EQ(rota_chan_init(&chan, 65537, 0), -EINVAL);
	EXPECT_EQ(rota_chan_init(&chan, SIZE_MAX, 0), -EINVAL);
	EXPECT_EQ(rota_chan_init(&chan, SIZE_MAX, 1), -EINVAL);
	EXPECT_EQ(rota_chan_init(&chan, SIZE_MAX, SIZE_MAX), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		EXPECT_EQ(rota_chan_init(&chan, sizes[i], 3), 0);
		chan_finish(&chan);
		for (size_t k = 0; k < ARRAY_SIZE(too_many); k++) {
			int err;

			/* May be a question of memory only; ASAN aborts where malloc refuses. */
			if (too_many[k] <= (ROTA__ASAN ? SIZE_MAX / 2 : SIZE_MAX / 4) / sizes[i])
				continue;
			err = rota_chan_init(&chan, sizes[i], too_many[k]);
			expect_at(err == -EINVAL || err == -ENOMEM, "%zu of %zu: %d\n", too_many[k],
				sizes[i], err);
		}
	}
}

TASK_TEST(channel, all_zero_is_a_rendezvous_of_signals)
{
	struct rota_chan chan = { { 0 } };
	struct rota_group group;
	struct chan_call call;

	EXPECT_EQ(rota_chan_count(&chan), 0);
	EXPECT_EQ(rota_chan_trysend(&chan, NULL), -EAGAIN);
	EXPECT_EQ(rota_chan_tryrecv(&chan, NULL), -EAGAIN);
	rota_group_open(&group, NULL);
	spawn_waiting(&group, 1, recv_one, &call, &chan, 5);
	EXPECT_EQ(rota_chan_send(&chan, NULL), 0);
	EXPECT_EQ(call_result(&call), 1);
	EXPECT_EQ(call.item, 5);
	spawn_waiting(&group, 1, send_one, &call, &chan, 5);
	EXPECT_EQ(rota_chan_recv(&chan, NULL), 1);
	EXPECT_EQ(call_result(&call), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	rota_chan_close(&chan);
	EXPECT_EQ(rota_chan_recv(&chan, NULL), 0);
	EXPECT_EQ(rota_chan_send(&chan, NULL), -EPIPE);
	chan_finish(&chan);
}

TASK_TEST(channel, finish_leaves_all_zero_whatever_is_inside)
{
	static const struct rota_chan zero;
	struct rota_chan chan;

	for (int i = 0; i < 8; i++) {
		memset(&chan, 0xa5, sizeof(chan));
		chan_init(&chan, i % 2 ? 5 : 0);
		if (i & 2)
			rota_chan_close(&chan);
		else if (i & 4)
			chan_fill(&chan, i % 2 ? 3 : 0);
		chan_finish(&chan);
		EXPECT(!memcmp(&chan, &zero, sizeof(chan)));
		EXPECT_EQ(rota_chan_trysend(&chan, NULL), -EAGAIN);
		EXPECT_EQ(rota_chan_tryrecv(&chan, NULL), -EAGAIN);
		chan_finish(&chan);
	}
}

TASK_TEST(channel, finish_is_busy_while_somebody_waits)
{
	for (uint32_t place = 0; place < 2; place++) {
		struct rota_group group;
		struct chan_call call[2];
		struct rota_chan chan;

		rota_group_open(&group, NULL);
		chan_init(&chan, 1);
		for (uint32_t i = 0; i < 2; i++)
			spawn_waiting(&group, place + i, recv_one, &call[i], &chan, UNTOUCHED);
		EXPECT_EQ(rota_chan_finish(&chan), -EBUSY);
		EXPECT_EQ(chan_trysend(&chan, 1), 0);
		EXPECT_EQ(rota_chan_finish(&chan), -EBUSY);
		EXPECT_EQ(chan_trysend(&chan, 2), 0);
		for (int i = 0; i < 2; i++) {
			EXPECT_EQ(call_result(&call[i]), 1);
			EXPECT_EQ(call[i].item, i + 1);
		}
		chan_fill(&chan, 1);
		spawn_waiting(&group, place, send_one, &call[0], &chan, 3);
		EXPECT_EQ(rota_chan_finish(&chan), -EBUSY);
		EXPECT_EQ(chan_tryrecv(&chan), 0);
		EXPECT_EQ(call_result(&call[0]), 0);
		EXPECT_EQ(chan_tryrecv(&chan), 3);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		chan_finish(&chan);
	}
}

/* Items of every size. */

static unsigned char byte_of(size_t at, unsigned int number)
{
	return (unsigned char)(number * 31 + at * 7 + (at >> 8) + 1);
}

struct parcels {
	struct rota_chan chan;
	size_t bytes;
};

enum { PARCELS = 7, MARGIN = 16 };

static int send_parcels(void *arg)
{
	struct parcels *parcels = arg;
	unsigned char *item = malloc(parcels->bytes + 1);

	for (unsigned int number = 0; number < PARCELS; number++) {
		for (size_t i = 0; i < parcels->bytes; i++)
			item[i] = byte_of(i, number);
		EXPECT_EQ(rota_chan_send(&parcels->chan, item), 0);
		/* It was copied. */
		memset(item, 0xee, parcels->bytes);
	}
	free(item);
	return 0;
}

static void receive_parcels(struct parcels *parcels)
{
	unsigned char *item = malloc(parcels->bytes + MARGIN);

	for (unsigned int number = 0; number < PARCELS; number++) {
		size_t good = 0;

		memset(item, 0xcc, parcels->bytes + MARGIN);
		EXPECT_EQ(rota_chan_recv(&parcels->chan, item), 1);
		for (size_t i = 0; i < parcels->bytes; i++)
			good += item[i] == byte_of(i, number);
		EXPECT_EQ(good, parcels->bytes);
		for (size_t i = 0; i < MARGIN; i++)
			EXPECT_EQ(item[parcels->bytes + i], 0xcc);
	}
	free(item);
}

TASK_TEST(channel, carries_items_of_any_size)
{
	static const size_t sizes[] = { 0, 1, 3, 8, 24, 100, 4096, 65535, 65536 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (size_t k = 0; k < 4; k++) {
			struct parcels parcels = { .bytes = sizes[i] };
			struct rota_group group;

			EXPECT_EQ(rota_chan_init(&parcels.chan, sizes[i], capacities[k]), 0);
			rota_group_open(&group, NULL);
			spawn_at(&group, (uint32_t)k, send_parcels, &parcels);
			receive_parcels(&parcels);
			EXPECT_EQ(rota_group_close(&group, 0), 0);
			chan_finish(&parcels.chan);
		}
	}
}

TASK_TEST(channel, counts_signals_without_bytes)
{
	struct rota_chan chan;

	EXPECT_EQ(rota_chan_init(&chan, 0, 1000), 0);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < 1000; i++) {
			EXPECT_EQ(rota_chan_count(&chan), i);
			EXPECT_EQ(rota_chan_send(&chan, NULL), 0);
		}
		EXPECT_EQ(rota_chan_trysend(&chan, NULL), -EAGAIN);
		for (size_t i = 1000; i > 0; i--) {
			EXPECT_EQ(rota_chan_count(&chan), i);
			EXPECT_EQ(rota_chan_recv(&chan, NULL), 1);
		}
		EXPECT_EQ(rota_chan_tryrecv(&chan, NULL), -EAGAIN);
	}
	chan_finish(&chan);
}

/* Who waits, who does not. */

TASK_TEST(channel, count_says_how_many_are_inside)
{
	for (size_t i = 0; i < ARRAY_SIZE(capacities); i++) {
		struct rota_chan chan;

		chan_init(&chan, capacities[i]);
		EXPECT_EQ(rota_chan_count(&chan), 0);
		chan_fill(&chan, capacities[i]);
		EXPECT_EQ(rota_chan_count(&chan), capacities[i]);
		rota_chan_close(&chan);
		EXPECT_EQ(rota_chan_count(&chan), capacities[i]);
		if (capacities[i])
			EXPECT_EQ(chan_tryrecv(&chan), 0);
		EXPECT_EQ(rota_chan_count(&chan), capacities[i] ? capacities[i] - 1 : 0);
		chan_finish(&chan);
	}
}

TASK_TEST(channel, a_receive_from_an_empty_one_waits)
{
	for (size_t i = 0; i < ARRAY_SIZE(capacities); i++) {
		struct chan_call call[2];
		struct rota_group group;
		struct rota_chan chan;

		rota_group_open(&group, NULL);
		chan_init(&chan, capacities[i]);
		for (uint32_t k = 0; k < 2; k++)
			spawn_waiting(&group, k, recv_one, &call[k], &chan, UNTOUCHED);
		EXPECT_EQ(chan_tryrecv(&chan), UNTOUCHED);
		EXPECT_EQ(rota_chan_count(&chan), 0);
		for (int k = 0; k < 2; k++)
			EXPECT_EQ(rota_chan_send(&chan, &k), 0);
		for (int k = 0; k < 2; k++) {
			EXPECT_EQ(call_result(&call[k]), 1);
			EXPECT_EQ(call[k].item, k);
		}
		EXPECT_EQ(rota_chan_count(&chan), 0);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		chan_finish(&chan);
	}
}

TASK_TEST(channel, a_send_to_a_full_one_waits)
{
	for (size_t i = 0; i < ARRAY_SIZE(capacities); i++) {
		const int capacity = (int)capacities[i];
		struct rota_group group;
		struct chan_call call;
		struct rota_chan chan;

		rota_group_open(&group, NULL);
		chan_init(&chan, capacities[i]);
		chan_fill(&chan, capacities[i]);
		spawn_waiting(&group, (uint32_t)i, send_one, &call, &chan, capacity);
		EXPECT_EQ(chan_trysend(&chan, 99), -EAGAIN);
		EXPECT_EQ(rota_chan_count(&chan), capacity);
		for (int k = 0; k <= capacity; k++)
			EXPECT_EQ(chan_tryrecv(&chan), k);
		EXPECT_EQ(call_result(&call), 0);
		EXPECT_EQ(chan_tryrecv(&chan), UNTOUCHED);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		chan_finish(&chan);
	}
}

TASK_TEST(channel, waiting_receivers_are_served_in_order)
{
	enum { MANY = 12 };

	for (size_t i = 0; i < ARRAY_SIZE(capacities); i++) {
		struct chan_call call[MANY];
		struct rota_group group;
		struct rota_chan chan;

		rota_group_open(&group, NULL);
		chan_init(&chan, capacities[i]);
		for (uint32_t k = 0; k < MANY; k++)
			spawn_waiting(&group, k, recv_one, &call[k], &chan, UNTOUCHED);
		/* By direct hand-over: also the try form meets them, and nothing lies inside. */
		for (int k = 0; k < MANY; k++) {
			EXPECT_EQ(chan_trysend(&chan, k), 0);
			EXPECT_EQ(rota_chan_count(&chan), 0);
		}
		for (int k = 0; k < MANY; k++) {
			EXPECT_EQ(call_result(&call[k]), 1);
			EXPECT_EQ(call[k].item, k);
		}
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		chan_finish(&chan);
	}
}

TASK_TEST(channel, waiting_senders_are_served_in_order_and_not_overtaken)
{
	enum { MANY = 12 };

	for (size_t i = 0; i < ARRAY_SIZE(capacities); i++) {
		const int capacity = (int)capacities[i];
		struct chan_call call[MANY];
		struct rota_group group;
		struct rota_chan chan;

		rota_group_open(&group, NULL);
		chan_init(&chan, capacities[i]);
		chan_fill(&chan, capacities[i]);
		for (int k = 0; k < MANY; k++)
			spawn_waiting(&group, (uint32_t)k, send_one, &call[k], &chan, capacity + k);
		for (int k = 0; k < MANY; k++) {
			EXPECT_EQ(chan_tryrecv(&chan), k);
			/* The place went to the first who waited: there is none for us. */
			EXPECT_EQ(rota_chan_count(&chan), capacity);
			if (k < MANY - 1)
				EXPECT_EQ(chan_trysend(&chan, 99), -EAGAIN);
			EXPECT_EQ(call_result(&call[k]), 0);
		}
		for (int k = 0; k < capacity; k++)
			EXPECT_EQ(chan_tryrecv(&chan), MANY + k);
		EXPECT_EQ(chan_tryrecv(&chan), UNTOUCHED);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		chan_finish(&chan);
	}
}

/* Closing. */

TASK_TEST(channel, a_closed_one_gives_what_is_left_then_the_end)
{
	for (size_t i = 0; i < ARRAY_SIZE(capacities); i++) {
		struct rota_chan chan;
		int item = UNTOUCHED;

		chan_init(&chan, capacities[i]);
		chan_fill(&chan, capacities[i]);
		rota_chan_close(&chan);
		rota_chan_close(&chan);
		for (int k = 0; k < (int)capacities[i]; k++) {
			if (k % 2)
				EXPECT_EQ(rota_chan_recv(&chan, &item), 1);
			else
				EXPECT_EQ(rota_chan_tryrecv(&chan, &item), 1);
			EXPECT_EQ(item, k);
		}
		item = UNTOUCHED;
		for (int k = 0; k < 3; k++) {
			EXPECT_EQ(rota_chan_recv(&chan, &item), 0);
			EXPECT_EQ(rota_chan_tryrecv(&chan, &item), 0);
			EXPECT_EQ(rota_chan_send(&chan, &k), -EPIPE);
			EXPECT_EQ(rota_chan_trysend(&chan, &k), -EPIPE);
			rota_chan_close(&chan);
		}
		EXPECT_EQ(item, UNTOUCHED);
		EXPECT_EQ(rota_chan_count(&chan), 0);
		chan_finish(&chan);
	}
}

TASK_TEST(channel, a_close_wakes_all_receivers)
{
	enum { MANY = 9 };

	for (size_t i = 0; i < ARRAY_SIZE(capacities); i++) {
		struct chan_call call[MANY];
		struct rota_group group;
		struct rota_chan chan;

		rota_group_open(&group, NULL);
		chan_init(&chan, capacities[i]);
		for (uint32_t k = 0; k < MANY; k++)
			spawn_waiting(&group, k, recv_one, &call[k], &chan, UNTOUCHED);
		EXPECT_EQ(chan_trysend(&chan, 5), 0);
		rota_chan_close(&chan);
		EXPECT_EQ(call_result(&call[0]), 1);
		EXPECT_EQ(call[0].item, 5);
		for (int k = 1; k < MANY; k++) {
			EXPECT_EQ(call_result(&call[k]), 0);
			EXPECT_EQ(call[k].item, UNTOUCHED);
		}
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		chan_finish(&chan);
	}
}

TASK_TEST(channel, a_close_wakes_all_senders_and_takes_nothing_of_theirs)
{
	enum { MANY = 9 };

	for (size_t i = 0; i < ARRAY_SIZE(capacities); i++) {
		struct chan_call call[MANY];
		struct rota_group group;
		struct rota_chan chan;

		rota_group_open(&group, NULL);
		chan_init(&chan, capacities[i]);
		chan_fill(&chan, capacities[i]);
		for (uint32_t k = 0; k < MANY; k++)
			spawn_waiting(&group, k, send_one, &call[k], &chan, 99);
		rota_chan_close(&chan);
		EXPECT_EQ(rota_chan_count(&chan), capacities[i]);
		for (int k = 0; k < MANY; k++)
			EXPECT_EQ(call_result(&call[k]), -EPIPE);
		for (int k = 0; k < (int)capacities[i]; k++)
			EXPECT_EQ(chan_tryrecv(&chan), k);
		EXPECT_EQ(rota_chan_recv(&chan, &call[0].item), 0);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		chan_finish(&chan);
	}
}

/* Somebody may take the item first, but then it is closed: never is there nothing to say. */
static int look_once(void *arg)
{
	struct chan_call *call = arg;

	call->result = rota_chan_tryrecv(call->chan, &call->item);
	return 0;
}

TASK_TEST(channel, is_never_seen_between_its_last_item_and_the_close)
{
	for (uint32_t i = 0; i < 300; i++) {
		struct chan_call call = { .item = UNTOUCHED };
		struct rota_group group;
		struct rota_chan chan;
		int item = UNTOUCHED;
		int n;

		rota_group_open(&group, NULL);
		chan_init(&chan, 1);
		EXPECT_EQ(chan_trysend(&chan, 1), 0);
		call.chan = &chan;
		call.task = spawn_at(&group, i, look_once, &call);
		if (i % 3 == 0)
			EXPECT_EQ(rota_yield(), 0);
		rota_chan_close(&chan);
		n = rota_chan_recv(&chan, &item);
		EXPECT_EQ(call_result(&call) + n, 1);
		EXPECT_EQ(n ? item : call.item, 1);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		chan_finish(&chan);
	}
}
