/* SPDX-License-Identifier: MIT */
/*
 * Select among many: fairness, many cases, several cases of one channel, queues that it leaves.
 *
 * Behaviours of Go's runtime/chan_test.go: TestSelfSelect, TestSelectFairness,
 * TestPseudoRandomSend, TestSelectDuplicateChannel; of its test/chan: select6 (leaving the middle
 * of a queue). Left out: TestSelectStackAdjust (stacks do not move), TestChanSendInterface (Go's
 * types). Rivals are in select_stress_test.c.
 */
#include "select.h"

TestSuite(select_race, .timeout = HANG_SECONDS);

/*
 * Fairness. Chosen at random among n, a case is chosen rounds / n times on average; by Hoeffding's
 * bound it is 500 times fewer of 10000 with a probability below exp(-50).
 */

enum { ROUNDS = 10000, SLACK = 500, READY_MAX = 16 };

static void expect_fair(const unsigned int *chosen, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		expect_at(chosen[i] + SLACK >= ROUNDS / n, "number %u of %u: %u times of %u\n", i,
			n, chosen[i], ROUNDS);
}

/* n of them ready, at the places where `ready` has a bit. */
static void run_fairness(uint32_t ready, size_t count, bool try)
{
	struct rota_event set = { { 0 } }, clear = { { 0 } };
	unsigned int chosen[32] = { 0 };
	struct rota_case cases[32];
	unsigned int n = 0;

	rota_event_set(&set);
	for (size_t i = 0; i < count; i++)
		cases[i] = rota_case_event(ready >> i & 1 ? &set : &clear);
	for (int i = 0; i < ROUNDS; i++) {
		int index = try ? rota_select_try(cases, count) : rota_select(cases, count);

		if (!EXPECT(index >= 0 && (size_t)index < count && (ready >> index & 1)))
			return;
		chosen[index]++;
	}
	for (size_t i = 0; i < count; i++)
		if (ready >> i & 1)
			chosen[n++] = chosen[i];
	expect_fair(chosen, n);
}

TASK_TEST(select_race, is_fair_among_ready_cases)
{
	static const struct {
		uint32_t ready;
		size_t count;
	} tries[] = {
		{ 0x3, 2 },
		{ 0x7, 3 },
		{ 0xff, 8 },
		{ 0xffff, 16 },
		/* Gaps must not make one of them likelier. */
		{ 0x81, 8 },
		{ 0x80000003, 32 },
		{ 0x00010101, 20 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		run_fairness(tries[i].ready, tries[i].count, false);
		run_fairness(tries[i].ready, tries[i].count, true);
	}
}

TASK_TEST(select_race, is_fair_among_kinds)
{
	unsigned int chosen[KINDS] = { 0 };
	struct things things;

	things_open(&things, 0, 1);
	for (int kind = 0; kind < KINDS; kind++)
		fire_early(&things, kind);
	for (int i = 0; i < ROUNDS; i++) {
		int kind = rota_select(things.cases, KINDS);

		if (!EXPECT(kind >= 0 && kind < KINDS))
			break;
		chosen[kind]++;
		if (kind == OUT)
			EXPECT_EQ(chan_tryrecv(&things.out), 50);
		if (kind == IN)
			EXPECT_EQ(chan_trysend(&things.in, 7), 0);
	}
	expect_fair(chosen, KINDS);
	things_close(&things);
}

/* Several cases of one channel: each has its share, when the select looks and when it waits. */

enum { BITS = 1000 };

TASK_TEST(select_race, a_send_of_a_random_bit)
{
	static const int zero = 0, one = 1;
	struct rota_chan chan;
	int sum = 0;

	chan_init(&chan, BITS);
	for (int i = 0; i < BITS; i++) {
		struct rota_case cases[2] = { rota_case_send(&chan, &one),
			rota_case_send(&chan, &zero) };
		int index = rota_select(cases, 2);

		EXPECT(index == 0 || index == 1);
	}
	for (int i = 0; i < BITS; i++)
		sum += chan_tryrecv(&chan);
	/* Fewer than 100 of 1000 with a probability < 1e-140. */
	EXPECT(sum > BITS / 10 && sum < BITS - BITS / 10);
	chan_finish(&chan);
}

struct chooser {
	struct rota_chan chan;
	bool sends;
	int chosen[3];
};

static int choose_again(void *arg)
{
	struct chooser *chooser = arg;
	int item = 0;

	for (int i = 0; i < BITS; i++) {
		struct rota_case one = chooser->sends ? rota_case_send(&chooser->chan, &item)
						      : rota_case_recv(&chooser->chan, &item);
		struct rota_case cases[5] = { one, { .kind = ROTA_CASE_NONE }, one,
			rota_case_time(ROTA_FOREVER), one };
		int index = rota_select(cases, 5);

		if (EXPECT(index == 0 || index == 2 || index == 4))
			chooser->chosen[index / 2]++;
	}
	return 0;
}

TASK_TEST(select_race, waits_with_all_cases_of_one_channel)
{
	for (uint32_t i = 0; i < 4; i++) {
		struct chooser chooser = { .sends = i % 2 };
		struct rota_group group;

		rota_group_open(&group, NULL);
		chan_init(&chooser.chan, 0);
		spawn_at(&group, i / 2, choose_again, &chooser);
		for (int k = 0; k < BITS; k++) {
			/* The try forms meet only who waits. */
			while (chooser.sends ? chan_tryrecv(&chooser.chan) == UNTOUCHED
					     : chan_trysend(&chooser.chan, 0) == -EAGAIN)
				if (!EXPECT_EQ(rota_yield(), 0))
					break;
		}
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		chan_finish(&chooser.chan);
		/* By Hoeffding's bound 150 fewer than the average with a probability < 1e-19. */
		for (int k = 0; k < 3; k++)
			expect_at(chooser.chosen[k] > BITS / 3 - 150, "number %d: %d times of %d\n",
				k, chooser.chosen[k], BITS);
	}
}

/* The same for what comes to all cases of one thing alike. */
static void run_repeats(int kind)
{
	enum { TIMES = 300 };
	int chosen[3] = { 0 };

	for (uint32_t i = 0; i < TIMES; i++) {
		struct rota_case cases[3];
		struct things things;

		things_open(&things, i, 0);
		for (int k = 0; k < 3; k++) {
			cases[k] = things.cases[kind];
			if (kind == TIME)
				cases[k].when_ns = rota_now() - k + 20 * ROTA_MICROSECOND;
		}
		things.list = cases;
		things.count = 3;
		if (kind == TIME)
			things.selector = spawn_at(&things.group, i / 2, select_things, &things);
		else
			select_waiting(&things, i / 2);
		fire(&things, kind);
		if (EXPECT(select_result(&things) >= 0 && things.index < 3)) {
			chosen[things.index]++;
			EXPECT_EQ(cases[things.index].status, done_status[kind]);
		}
		for (int k = 0; k < 3; k++)
			EXPECT(k == things.index || cases[k].status == UNTOUCHED);
		things_close(&things);
	}
	/* As above: 70 fewer, < 1e-14. Which of several times comes first is not chance. */
	for (int k = 0; k < 3 && kind != TIME; k++)
		expect_at(chosen[k] > TIMES / 3 - 70, "number %d of kind %d: %d times of %d\n", k,
			kind, chosen[k], TIMES);
}

TASK_TEST(select_race, waits_with_all_cases_of_one_thing)
{
	for (int kind = TASK; kind < KINDS; kind++)
		run_repeats(kind);
}

/* Many cases. */

static int select_here(void *arg)
{
	struct things *things = arg;

	things->index = rota_select(things->list, things->count);
	return 0;
}

/* Waits on count channels, and receives from one of them. */
static void run_many(size_t count, size_t chosen, uint32_t place)
{
	struct rota_case *cases = calloc(count, sizeof(*cases));
	struct rota_chan *chans = calloc(count, sizeof(*chans));
	int *items = calloc(count, sizeof(*items));
	struct things things = { .list = cases, .count = count };
	struct rota_group group;
	size_t written = 0;

	rota_group_open(&group, NULL);
	for (size_t i = 0; i < count; i++) {
		chan_init(&chans[i], 0);
		cases[i] = rota_case_recv(&chans[i], &items[i]);
	}
	EXPECT_EQ(rota_select_try(cases, count), -EAGAIN);
	things.selector = spawn_at(&group, place, select_here, &things);
	wait_waiting(things.selector);
	EXPECT_EQ(chan_trysend(&chans[chosen], 7), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(things.index, chosen);
	EXPECT_EQ(cases[chosen].status, 1);
	EXPECT_EQ(items[chosen], 7);
	for (size_t i = 0; i < count; i++) {
		written += items[i] != 0;
		chan_finish(&chans[i]);
	}
	EXPECT_EQ(written, 1);
	free(items);
	free(chans);
	free(cases);
}

TASK_TEST(select_race, many_cases)
{
	for (size_t i = 0; i < 9; i++) {
		run_many(8, i % 8, (uint32_t)i);
		run_many(9, i, (uint32_t)i);
		run_many(120, i * 14, (uint32_t)i);
	}
	run_many(1000, 999, 0);
	run_many(1000, 500, 1);
}

TASK_TEST(select_race, takes_65535_cases_and_no_more)
{
	enum { MOST = 65535 };
	struct rota_case *cases = calloc(MOST + 1, sizeof(*cases));
	struct things things = { .list = cases, .count = MOST };
	struct rota_group group;
	struct rota_chan chan;
	int item = UNTOUCHED;

	rota_group_open(&group, NULL);
	chan_init(&chan, 1);
	EXPECT_EQ(chan_trysend(&chan, 5), 0);
	cases[MOST - 1] = rota_case_recv(&chan, &item);
	EXPECT_EQ(rota_select(cases, MOST + 1), -EINVAL);
	EXPECT_EQ(rota_select_try(cases, MOST + 1), -EINVAL);
	EXPECT_EQ(rota_select(cases, SIZE_MAX), -EINVAL);
	EXPECT_EQ(rota_select(cases, MOST), MOST - 1);
	EXPECT_EQ(item, 5);
	EXPECT_EQ(rota_select_try(cases, MOST), -EAGAIN);
	/* All of them wait. */
	for (int i = 0; i < MOST; i++)
		cases[i] = rota_case_recv(&chan, &item);
	things.selector = spawn_at(&group, 1, select_here, &things);
	wait_waiting(things.selector);
	EXPECT_EQ(chan_trysend(&chan, 6), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT(things.index >= 0 && things.index < MOST);
	EXPECT_EQ(item, 6);
	chan_finish(&chan);
	free(cases);
}

/* Cases of one channel. */

TASK_TEST(select_race, does_not_meet_itself)
{
	for (uint32_t i = 0; i < 8; i++) {
		struct chan_call partner;
		struct things things;
		struct rota_case cases[2];
		int in = UNTOUCHED;
		int out = 5;

		things_open(&things, 0, 0);
		cases[0] = rota_case_send(&things.in, &out);
		cases[1] = rota_case_recv(&things.in, &in);
		if (i & 1) {
			struct rota_case swap = cases[0];

			cases[0] = cases[1];
			cases[1] = swap;
		}
		things.list = cases;
		things.count = 2;
		EXPECT_EQ(rota_select_try(cases, 2), -EAGAIN);
		select_waiting(&things, i / 4);
		EXPECT_EQ(rota_chan_count(&things.in), 0);
		if (i & 2)
			EXPECT_EQ(chan_tryrecv(&things.in), 5);
		else
			EXPECT_EQ(chan_trysend(&things.in, 9), 0);
		EXPECT_EQ(select_result(&things), (i & 1) == (i >> 1 & 1));
		EXPECT_EQ(in, i & 2 ? UNTOUCHED : 9);
		/* Nor does it hold up others. */
		spawn_waiting(&things.group, 1, recv_one, &partner, &things.in, 0);
		EXPECT_EQ(chan_trysend(&things.in, 4), 0);
		EXPECT_EQ(call_result(&partner), 1);
		EXPECT_EQ(partner.item, 4);
		things_close(&things);
	}
}

TASK_TEST(select_race, sends_to_and_receives_from_one_buffer)
{
	struct rota_case cases[2];
	struct rota_chan chan;
	int in = UNTOUCHED;
	int out = 5;

	chan_init(&chan, 1);
	cases[0] = rota_case_send(&chan, &out);
	cases[1] = rota_case_recv(&chan, &in);
	for (int i = 0; i < 10; i++) {
		EXPECT_EQ(rota_select(cases, 2), i % 2);
		EXPECT_EQ(rota_chan_count(&chan), 1 - i % 2);
	}
	EXPECT_EQ(in, 5);
	chan_finish(&chan);
}

/* Two that select over a send to and a receive from one channel meet each other, not themselves. */

struct pair {
	struct rota_chan chan;
	size_t capacity;
	struct a32 next;
};

static int exchange(void *arg)
{
	struct pair *pair = arg;
	int self = (int)a32_add_acq_rel(&pair->next, 1);

	for (int i = 0; i < 500; i++) {
		int item = UNTOUCHED;
		struct rota_case out = rota_case_send(&pair->chan, &self);
		struct rota_case in = rota_case_recv(&pair->chan, &item);
		bool out_first = self == 0 || i % 2 == 0;
		struct rota_case cases[2] = { out_first ? out : in, out_first ? in : out };
		int index = rota_select(cases, 2);

		if (!EXPECT(index == 0 || index == 1))
			return 0;
		if (cases[index].kind == ROTA_CASE_SEND)
			EXPECT_EQ(item, UNTOUCHED);
		else if (pair->capacity == 0)
			EXPECT_EQ(item, 1 - self);
		else
			EXPECT(item == 0 || item == 1);
	}
	return 0;
}

TASK_TEST(select_race, two_meet_each_other)
{
	for (uint32_t i = 0; i < 8; i++) {
		struct pair pair = { .capacity = i % 2 * 10 };
		struct rota_group group;

		rota_group_open(&group, NULL);
		chan_init(&pair.chan, pair.capacity);
		spawn_at(&group, i / 2, exchange, &pair);
		spawn_at(&group, i / 4, exchange, &pair);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		chan_finish(&pair.chan);
	}
}

/* Waits on one channel twice, goes by another: the queue of the first is in order. */
TASK_TEST(select_race, leaves_a_channel_in_which_it_waits_twice)
{
	for (uint32_t i = 0; i < 20; i++) {
		struct chan_call partner;
		struct rota_case cases[4];
		struct things things;
		int item[4] = { UNTOUCHED, UNTOUCHED, UNTOUCHED, UNTOUCHED };

		things_open(&things, 0, 0);
		cases[0] = rota_case_recv(&things.in, &item[0]);
		cases[1] = rota_case_recv(&things.in, &item[1]);
		cases[2] = rota_case_event(&things.event);
		cases[3] = rota_case_recv(&things.in, &item[3]);
		things.list = cases;
		things.count = 4;
		select_waiting(&things, i);
		spawn_waiting(&things.group, i / 2, recv_one, &partner, &things.in, UNTOUCHED);
		if (i % 5) {
			rota_event_set(&things.event);
			EXPECT_EQ(select_result(&things), 2);
		} else {
			/* By one of the two, and once. */
			EXPECT_EQ(chan_trysend(&things.in, 7), 0);
			EXPECT(select_result(&things) != 2);
			EXPECT_EQ(item[things.index], 7);
			item[things.index] = UNTOUCHED;
		}
		EXPECT_EQ(chan_trysend(&things.in, 8), 0);
		EXPECT_EQ(call_result(&partner), 1);
		EXPECT_EQ(partner.item, 8);
		EXPECT_EQ(chan_trysend(&things.in, 9), -EAGAIN);
		for (int k = 0; k < 4; k++)
			EXPECT_EQ(item[k], UNTOUCHED);
		things_close(&things);
	}
}

/* A select at the front, in the middle or at the end of a queue goes by another case. */
TASK_TEST(select_race, leaves_the_others_in_their_order)
{
	enum { QUEUE = 4 };

	for (uint32_t i = 0; i < 2 * QUEUE * 2; i++) {
		const uint32_t cut = i % QUEUE;
		const bool sends = i / QUEUE % 2;
		struct chan_call call[QUEUE];
		struct things things;

		things_open(&things, 0, 0);
		things.list = &things.cases[sends ? OUT : IN];
		things.count = 1 + (size_t)(EVENT - (sends ? OUT : IN));
		for (uint32_t k = 0; k < QUEUE; k++) {
			if (k == cut)
				select_waiting(&things, i + k);
			else
				spawn_waiting(&things.group, i + k, sends ? send_one : recv_one,
					&call[k], sends ? &things.out : &things.in, (int)k);
		}
		rota_event_set(&things.event);
		EXPECT_EQ(select_result(&things), things.count - 1);
		check_done(&things, EVENT, 0);
		for (uint32_t k = 0; k < QUEUE; k++) {
			if (k == cut)
				continue;
			if (sends)
				EXPECT_EQ(chan_tryrecv(&things.out), k);
			else
				EXPECT_EQ(chan_trysend(&things.in, (int)(10 + k)), 0);
			EXPECT_EQ(call_result(&call[k]), !sends);
			EXPECT_EQ(call[k].item, sends ? k : 10 + k);
		}
		things_close(&things);
	}
}
