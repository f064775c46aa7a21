/* SPDX-License-Identifier: MIT */
/*
 * Channels at work: many to many, rendezvous, chains, pipelines. What was taken comes out once and
 * in order, whenever somebody closes; what was written before a send is seen after the receive.
 *
 * Behaviours of Go's TestChan (its last parts) and TestMultiConsumer, and of test/chan: fifo,
 * goroutines, nonblock, sieve1. What was left out stands in channel_test.c.
 */
#include "channel.h"

TestSuite(channel_traffic, .timeout = HANG_SECONDS);

static const size_t capacities[] = { 0, 1, 2, 3, 10 };

/* Many senders, many receivers, a close at any time: what was taken comes out, once, in order. */

enum { SENDERS = 4, RECEIVERS = 3, PARTS = 300 };

struct traffic {
	struct rota_chan chan;
	struct a32 next_sender;
	struct a32 next_receiver;
	struct a32 seen[SENDERS * PARTS];
	struct a32 sent;
	struct a32 received;
	bool to_the_end; /* else closed under way */
};

static int send_traffic(void *arg)
{
	struct traffic *traffic = arg;
	int first = (int)a32_add_acq_rel(&traffic->next_sender, 1) * PARTS;

	for (int i = 0; i < PARTS; i++) {
		int item = first + i;
		int err;

		/* Both forms, so that each meets each; only to try could go on for ever. */
		err = i % 3 ? -EAGAIN : rota_chan_trysend(&traffic->chan, &item);
		if (err == -EAGAIN)
			err = rota_chan_send(&traffic->chan, &item);
		if (err == -EPIPE && !traffic->to_the_end) {
			/* Now and for ever. */
			EXPECT_EQ(rota_chan_send(&traffic->chan, &item), -EPIPE);
			break;
		}
		EXPECT_EQ(err, 0);
		a32_add_acq_rel(&traffic->sent, 1);
	}
	return 0;
}

static int receive_traffic(void *arg)
{
	struct traffic *traffic = arg;
	uint32_t self = a32_add_acq_rel(&traffic->next_receiver, 1);
	int last[SENDERS] = { -1, -1, -1, -1 };
	int item;
	int n;

	for (uint32_t i = self;; i++) {
		n = i % 3 ? -EAGAIN : rota_chan_tryrecv(&traffic->chan, &item);
		if (n == -EAGAIN)
			n = rota_chan_recv(&traffic->chan, &item);
		if (n != 1)
			break;
		if (!EXPECT(item >= 0 && item < SENDERS * PARTS))
			continue;
		EXPECT(item > last[item / PARTS]);
		last[item / PARTS] = item;
		a32_add_acq_rel(&traffic->seen[item], 1);
		a32_add_acq_rel(&traffic->received, 1);
	}
	EXPECT_EQ(n, 0);
	return 0;
}

static void run_traffic(size_t capacity, bool to_the_end, int close_after)
{
	struct traffic *traffic = calloc(1, sizeof(*traffic));
	struct rota_group receivers;
	struct rota_group senders;

	traffic->to_the_end = to_the_end;
	chan_init(&traffic->chan, capacity);
	rota_group_open(&receivers, NULL);
	rota_group_open(&senders, NULL);
	for (uint32_t i = 0; i < RECEIVERS; i++)
		spawn_at(&receivers, i, receive_traffic, traffic);
	for (uint32_t i = 0; i < SENDERS; i++)
		spawn_at(&senders, i, send_traffic, traffic);
	for (int i = 0; i < close_after; i++)
		EXPECT_EQ(rota_yield(), 0);
	if (!to_the_end)
		rota_chan_close(&traffic->chan);
	EXPECT_EQ(rota_group_close(&senders, 0), 0);
	rota_chan_close(&traffic->chan);
	EXPECT_EQ(rota_group_close(&receivers, 0), 0);

	EXPECT_EQ(a32_load_relaxed(&traffic->received), a32_load_relaxed(&traffic->sent));
	if (to_the_end)
		EXPECT_EQ(a32_load_relaxed(&traffic->sent), SENDERS * PARTS);
	for (int i = 0; i < SENDERS * PARTS; i++)
		EXPECT(a32_load_relaxed(&traffic->seen[i]) <= 1);
	EXPECT_EQ(rota_chan_count(&traffic->chan), 0);
	chan_finish(&traffic->chan);
	free(traffic);
}

TASK_TEST(channel_traffic, many_to_many_loses_and_doubles_nothing)
{
	for (size_t i = 0; i < ARRAY_SIZE(capacities); i++)
		run_traffic(capacities[i], true, 0);
	run_traffic(SENDERS * PARTS, true, 0);
}

TASK_TEST(channel_traffic, a_close_at_any_time_loses_and_doubles_nothing)
{
	for (int i = 0; i < 60; i++)
		run_traffic(capacities[(size_t)i % ARRAY_SIZE(capacities)], false, i);
}

/* Rendezvous: a send is over when its receiver has come, not before. */

struct meeting {
	struct rota_chan chan;
	struct a32 came;
	int item;
};

static int come_late(void *arg)
{
	struct meeting *meeting = arg;

	for (int i = 0; i < 10; i++)
		EXPECT_EQ(rota_yield(), 0);
	a32_store_release(&meeting->came, 1);
	EXPECT_EQ(rota_chan_recv(&meeting->chan, &meeting->item), 1);
	return 0;
}

TASK_TEST(channel_traffic, a_rendezvous_waits_for_its_receiver)
{
	for (int i = 0; i < 100; i++) {
		struct meeting meeting = { .item = UNTOUCHED };
		struct rota_group group;

		rota_group_open(&group, NULL);
		chan_init(&meeting.chan, 0);
		spawn_at(&group, (uint32_t)i, come_late, &meeting);
		EXPECT_EQ(rota_chan_send(&meeting.chan, &i), 0);
		EXPECT_EQ(a32_load_acquire(&meeting.came), 1);
		EXPECT_EQ(rota_chan_count(&meeting.chan), 0);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		EXPECT_EQ(meeting.item, i);
		chan_finish(&meeting.chan);
	}
}

/* To and fro between two tasks: with rendezvous each is one step ahead at most. */

struct match {
	struct rota_chan there;
	struct rota_chan back;
};

enum { STROKES = 500 };

static int return_ball(void *arg)
{
	struct match *match = arg;
	int ball;
	int n;

	while ((n = rota_chan_recv(&match->there, &ball)) > 0) {
		ball++;
		EXPECT_EQ(rota_chan_send(&match->back, &ball), 0);
	}
	EXPECT_EQ(n, 0);
	rota_chan_close(&match->back);
	return 0;
}

TASK_TEST(channel_traffic, to_and_fro)
{
	for (uint32_t i = 0; i < 4; i++) {
		struct rota_group group;
		struct match match;
		int ball = 0;

		rota_group_open(&group, NULL);
		chan_init(&match.there, i / 2);
		chan_init(&match.back, i / 2);
		spawn_at(&group, i, return_ball, &match);
		for (int k = 0; k < STROKES; k++) {
			EXPECT_EQ(rota_chan_send(&match.there, &ball), 0);
			EXPECT_EQ(rota_chan_recv(&match.back, &ball), 1);
		}
		EXPECT_EQ(ball, STROKES);
		rota_chan_close(&match.there);
		EXPECT_EQ(rota_chan_recv(&match.back, &ball), 0);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		chan_finish(&match.there);
		chan_finish(&match.back);
	}
}

/* What a task wrote before it sent is seen by who received, and the other way round. */

struct loan {
	struct rota_chan lend;
	struct rota_chan give_back;
};

static int sum_and_clear(void *arg)
{
	struct loan *loan = arg;
	int *numbers;

	while (rota_chan_recv(&loan->lend, &numbers) > 0) {
		for (int i = 0; i < 100; i++) {
			EXPECT_EQ(numbers[i], i);
			numbers[i] = -i;
		}
		EXPECT_EQ(rota_chan_send(&loan->give_back, &numbers), 0);
	}
	return 0;
}

TASK_TEST(channel_traffic, orders_memory)
{
	for (uint32_t where = 0; where < rota_loop_count(); where++) {
		struct rota_group group;
		int numbers[100];
		struct loan loan;
		int *lent = numbers;

		rota_group_open(&group, NULL);
		EXPECT_EQ(rota_chan_init(&loan.lend, sizeof(lent), where % 2), 0);
		EXPECT_EQ(rota_chan_init(&loan.give_back, sizeof(lent), where % 2), 0);
		spawn_at(&group, where, sum_and_clear, &loan);
		for (int round = 0; round < 50; round++) {
			int *back = NULL;

			for (int i = 0; i < 100; i++)
				numbers[i] = i;
			EXPECT_EQ(rota_chan_send(&loan.lend, &lent), 0);
			EXPECT_EQ(rota_chan_recv(&loan.give_back, &back), 1);
			EXPECT(back == numbers);
			for (int i = 0; i < 100; i++)
				EXPECT_EQ(numbers[i], -i);
		}
		rota_chan_close(&loan.lend);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		chan_finish(&loan.lend);
		chan_finish(&loan.give_back);
	}
}

/* A chain of tasks, each of which adds one to what passes; it ends from the front. */

enum { LINKS = 300, PASSES = 5 };

struct link {
	struct rota_chan *from;
	struct rota_chan *to;
};

static int pass_on(void *arg)
{
	struct link *link = arg;
	int item;

	while (rota_chan_recv(link->from, &item) > 0) {
		item++;
		EXPECT_EQ(rota_chan_send(link->to, &item), 0);
	}
	rota_chan_close(link->to);
	return 0;
}

static void run_chain(size_t capacity)
{
	static struct rota_chan chan[LINKS + 1];
	static struct link link[LINKS];
	struct rota_group group;
	int item;

	rota_group_open(&group, NULL);
	for (int i = 0; i <= LINKS; i++)
		chan_init(&chan[i], capacity);
	for (int i = 0; i < LINKS; i++) {
		link[i] = (struct link){ &chan[i], &chan[i + 1] };
		EXPECT_EQ(rota_group_spawn(&group, pass_on, &link[i]), 0);
	}
	for (int i = 0; i < PASSES; i++)
		EXPECT_EQ(rota_chan_send(&chan[0], &i), 0);
	rota_chan_close(&chan[0]);
	for (int i = 0; i < PASSES; i++) {
		EXPECT_EQ(rota_chan_recv(&chan[LINKS], &item), 1);
		EXPECT_EQ(item, i + LINKS);
	}
	EXPECT_EQ(rota_chan_recv(&chan[LINKS], &item), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	for (int i = 0; i <= LINKS; i++)
		chan_finish(&chan[i]);
}

TASK_TEST(channel_traffic, a_chain)
{
	run_chain(0);
	run_chain(1);
}

/* The sieve of Eratosthenes, a task for each prime; whoever has enough cancels them all. */

enum { PRIMES = 40 };

struct filter {
	struct rota_chan *from;
	struct rota_chan *to;
	int prime;
};

static int count_up(void *arg)
{
	int err = 0;

	for (int i = 2; !err; i++)
		err = rota_chan_send(arg, &i);
	return err;
}

static int filter_multiples(void *arg)
{
	struct filter *filter = arg;
	int item;
	int err = 0;

	while (!err && (err = rota_chan_recv(filter->from, &item)) > 0)
		err = item % filter->prime ? rota_chan_send(filter->to, &item) : 0;
	return err;
}

TASK_TEST(channel_traffic, a_sieve_cancelled_under_way)
{
	static struct filter filter[PRIMES];
	static struct rota_chan chan[PRIMES + 1];

	for (size_t capacity = 0; capacity < 2; capacity++) {
		struct rota_group group;
		int prime = 0;

		rota_group_open(&group, NULL);
		for (int i = 0; i <= PRIMES; i++)
			chan_init(&chan[i], capacity);
		EXPECT_EQ(rota_group_spawn(&group, count_up, &chan[0]), 0);
		for (int i = 0; i < PRIMES; i++) {
			EXPECT_EQ(rota_chan_recv(&chan[i], &prime), 1);
			filter[i] = (struct filter){ &chan[i], &chan[i + 1], prime };
			EXPECT_EQ(rota_group_spawn(&group, filter_multiples, &filter[i]), 0);
		}
		EXPECT_EQ(prime, 173);
		rota_group_cancel(&group, NULL);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		for (int i = 0; i <= PRIMES; i++)
			chan_finish(&chan[i]);
	}
}

/* Work goes out to many, results come back; the closes go the same way. */

enum { WORKERS = 23, JOBS = 3000 };

struct factory {
	struct rota_chan work;
	struct rota_chan results;
	struct a32 at_work;
};

static int work(void *arg)
{
	struct factory *factory = arg;
	int item;
	int n;

	while ((n = rota_chan_recv(&factory->work, &item)) > 0) {
		if (item % 7 == 0)
			EXPECT_EQ(rota_yield(), 0);
		EXPECT_EQ(rota_chan_send(&factory->results, &item), 0);
	}
	EXPECT_EQ(n, 0);
	/* The last one to leave closes. */
	if (a32_add_acq_rel(&factory->at_work, (uint32_t)-1) == 1)
		rota_chan_close(&factory->results);
	return 0;
}

static int feed(void *arg)
{
	struct factory *factory = arg;

	for (int i = 0; i < JOBS; i++)
		EXPECT_EQ(rota_chan_send(&factory->work, &i), 0);
	rota_chan_close(&factory->work);
	return 0;
}

TASK_TEST(channel_traffic, workers)
{
	struct factory factory = { .at_work = { WORKERS } };
	struct rota_group group;
	int count = 0;
	int sum = 0;
	int item;

	rota_group_open(&group, NULL);
	chan_init(&factory.work, WORKERS);
	chan_init(&factory.results, 2);
	EXPECT_EQ(rota_group_spawn(&group, feed, &factory), 0);
	for (int i = 0; i < WORKERS; i++)
		EXPECT_EQ(rota_group_spawn(&group, work, &factory), 0);
	while (rota_chan_recv(&factory.results, &item) > 0) {
		count++;
		sum += item;
	}
	EXPECT_EQ(count, JOBS);
	EXPECT_EQ(sum, JOBS * (JOBS - 1) / 2);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	chan_finish(&factory.work);
	chan_finish(&factory.results);
}
