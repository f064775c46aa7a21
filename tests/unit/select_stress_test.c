/* SPDX-License-Identifier: MIT */
/*
 * Selects against selects, closes, cancels and clocks, all at any time: what was sent is received
 * once, and nobody is left waiting.
 *
 * Behaviours of Go's runtime/chan_test.go: TestNonblockSelectRace, TestNonblockSelectRace2 (a
 * select looks at one moment, not at each case at its own), TestSelectStress; of its test/chan:
 * doubleselect.
 */
#include "select.h"

TestSuite(select_stress, .timeout = HANG_SECONDS);

static void spin_for(uint32_t turns)
{
	for (volatile uint32_t i = 0; i < turns; i++)
		;
}

/* At every moment one of two channels is ready, though not always the same. */

struct seesaw {
	struct rota_chan chan[2];
	struct a32 round;
	struct a32 looked;
	unsigned int missed;
};

enum { SWINGS = 1500 };

static int look_at_both(void *arg)
{
	struct seesaw *seesaw = arg;

	for (uint32_t round = 1; round <= SWINGS; round++) {
		struct rota_case cases[2];
		int item[2];

		wait_cell(&seesaw->round, round);
		for (int i = 0; i < 2; i++)
			cases[i] = rota_case_recv(&seesaw->chan[i], &item[i]);
		if (rota_select_try(cases, 2) < 0)
			seesaw->missed++;
		a32_store_release(&seesaw->looked, round);
	}
	return 0;
}

static void run_seesaw(uint32_t place, bool by_close)
{
	struct seesaw seesaw = { .missed = 0 };
	struct rota_group group;

	rota_group_open(&group, NULL);
	spawn_at(&group, place, look_at_both, &seesaw);
	for (uint32_t round = 1; round <= SWINGS; round++) {
		struct rota_chan *first = &seesaw.chan[round % 2];
		struct rota_chan *second = &seesaw.chan[1 - round % 2];

		chan_init(first, 1);
		chan_init(second, by_close ? 0 : 1);
		EXPECT_EQ(chan_trysend(first, 1), 0);
		a32_store_release(&seesaw.round, round);
		/* A little later or at once. */
		spin_for(round % 64);
		if (by_close)
			rota_chan_close(second);
		else
			EXPECT_EQ(chan_trysend(second, 2), 0);
		chan_tryrecv(first);
		wait_cell(&seesaw.looked, round);
		chan_finish(first);
		chan_finish(second);
	}
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(seesaw.missed, 0);
}

TASK_TEST(select_stress, looks_at_all_channels_at_one_moment)
{
	run_seesaw(1, false);
	run_seesaw(1, true);
}

/* Sends, receives, selects over sends and selects over receives, on the same channels. */

enum { CHANNELS = 4, EACH = 400 };

struct mill {
	struct rota_chan chan[CHANNELS];
	struct a32 senders;
	struct a32 receivers;
	struct a64 sent;
	struct a64 received;
};

static int plain_send(void *arg)
{
	struct mill *mill = arg;
	uint32_t self = a32_add_acq_rel(&mill->senders, 1) % CHANNELS;

	for (int i = 0; i < EACH; i++) {
		EXPECT_EQ(rota_chan_send(&mill->chan[self], &i), 0);
		a64_add_relaxed(&mill->sent, (uint64_t)i);
	}
	return 0;
}

static int plain_receive(void *arg)
{
	struct mill *mill = arg;
	uint32_t self = a32_add_acq_rel(&mill->receivers, 1) % CHANNELS;

	for (int i = 0; i < EACH; i++) {
		int item = -1;

		EXPECT_EQ(rota_chan_recv(&mill->chan[self], &item), 1);
		a64_add_relaxed(&mill->received, (uint64_t)item);
	}
	return 0;
}

/* EACH on each channel, in whatever order; what has had its share is switched off. */
static int select_all(struct mill *mill, bool sends)
{
	struct rota_case cases[CHANNELS];
	int left[CHANNELS];
	int item;

	for (int i = 0; i < CHANNELS; i++) {
		struct rota_chan *chan = &mill->chan[sends ? CHANNELS - 1 - i : i];

		cases[i] = sends ? rota_case_send(chan, &item) : rota_case_recv(chan, &item);
		left[i] = EACH;
	}
	for (int i = 0; i < CHANNELS * EACH; i++) {
		int index;

		item = sends ? i : -1;
		index = rota_select(cases, CHANNELS);
		if (!EXPECT(index >= 0 && index < CHANNELS && left[index] > 0))
			return 0;
		EXPECT_EQ(cases[index].status, !sends);
		a64_add_relaxed(sends ? &mill->sent : &mill->received, (uint64_t)item);
		if (--left[index] == 0)
			cases[index].kind = ROTA_CASE_NONE;
	}
	EXPECT_EQ(rota_select_try(cases, CHANNELS), -EINVAL);
	return 0;
}

static int select_sends(void *arg)
{
	return select_all(arg, true);
}

static int select_receives(void *arg)
{
	return select_all(arg, false);
}

static void mill_open(struct mill *mill, size_t more)
{
	memset(mill, 0, sizeof(*mill));
	for (size_t i = 0; i < CHANNELS; i++)
		chan_init(&mill->chan[i], i < 2 ? 0 : i + more);
}

/* What was sent and not received is still inside. */
static void mill_close(struct mill *mill)
{
	uint64_t left = 0;
	int item;

	for (int i = 0; i < CHANNELS; i++) {
		while ((item = chan_tryrecv(&mill->chan[i])) != UNTOUCHED)
			left += (uint64_t)item;
		chan_finish(&mill->chan[i]);
	}
	EXPECT_EQ(a64_load_relaxed(&mill->sent), a64_load_relaxed(&mill->received) + left);
}

TASK_TEST(select_stress, all_at_once_on_the_same_channels)
{
	for (uint32_t round = 0; round < 3; round++) {
		struct rota_group group;
		struct mill mill;

		mill_open(&mill, round);
		rota_group_open(&group, NULL);
		for (uint32_t i = 0; i < CHANNELS; i++)
			spawn_at(&group, i + round, plain_send, &mill);
		for (uint32_t i = 0; i < CHANNELS; i++)
			spawn_at(&group, i / 2, plain_receive, &mill);
		spawn_at(&group, round, select_sends, &mill);
		spawn_at(&group, round + 1, select_receives, &mill);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		mill_close(&mill);
	}
}

TASK_TEST(select_stress, selects_meet_selects)
{
	for (uint32_t round = 0; round < 2; round++) {
		struct rota_group group;
		struct mill mill;

		mill_open(&mill, round);
		rota_group_open(&group, NULL);
		for (uint32_t i = 0; i < 4; i++) {
			spawn_at(&group, i, select_sends, &mill);
			spawn_at(&group, i + 1 + round, select_receives, &mill);
		}
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		mill_close(&mill);
	}
}

/* One item through several cases goes by one of them only. */

struct fan {
	struct rota_chan lane[CHANNELS];
	struct rota_chan sum;
	struct a32 next;
	struct a32 running;
};

static int forward(void *arg)
{
	struct fan *fan = arg;
	uint32_t self = a32_add_acq_rel(&fan->next, 1);
	int item;

	while (rota_chan_recv(&fan->lane[self], &item) > 0)
		EXPECT_EQ(rota_chan_send(&fan->sum, &item), 0);
	if (a32_add_acq_rel(&fan->running, (uint32_t)-1) == 1)
		rota_chan_close(&fan->sum);
	return 0;
}

static int send_by_any(void *arg)
{
	struct fan *fan = arg;

	for (int i = 0; i < 2 * EACH; i++) {
		struct rota_case cases[CHANNELS];

		for (int k = 0; k < CHANNELS; k++)
			cases[k] = rota_case_send(&fan->lane[k], &i);
		EXPECT(rota_select(cases, CHANNELS) >= 0);
	}
	for (int k = 0; k < CHANNELS; k++)
		rota_chan_close(&fan->lane[k]);
	return 0;
}

TASK_TEST(select_stress, one_of_several_sends_fires)
{
	for (uint32_t round = 0; round < 2; round++) {
		struct fan fan = { .running = { CHANNELS } };
		unsigned char seen[2 * EACH] = { 0 };
		struct rota_group group;
		int count = 0;
		int item;

		rota_group_open(&group, NULL);
		chan_init(&fan.sum, round);
		for (uint32_t i = 0; i < CHANNELS; i++)
			chan_init(&fan.lane[i], round);
		spawn_at(&group, round, send_by_any, &fan);
		for (uint32_t i = 0; i < CHANNELS; i++)
			spawn_at(&group, i, forward, &fan);
		while (rota_chan_recv(&fan.sum, &item) > 0) {
			if (EXPECT(item >= 0 && item < 2 * EACH))
				EXPECT_EQ(seen[item]++, 0);
			count++;
		}
		EXPECT_EQ(count, 2 * EACH);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		chan_finish(&fan.sum);
		for (uint32_t i = 0; i < CHANNELS; i++)
			chan_finish(&fan.lane[i]);
	}
}

/*
 * Whoever sends to and receives from all channels at once, until it is told to stop, all channels
 * are closed, or it is cancelled. With a time now and then.
 */

struct swarm {
	struct mill mill;
	struct rota_event stop;
	struct a32 done;
	bool timed;
};

static int swarm_about(void *arg)
{
	enum { STOP = 2 * CHANNELS, CLOCK, CASES };
	struct swarm *swarm = arg;
	struct rota_case cases[CASES];
	int out, in, index;

	for (int i = 0; i < CHANNELS; i++) {
		cases[2 * i] = rota_case_send(&swarm->mill.chan[i], &out);
		cases[2 * i + 1] = rota_case_recv(&swarm->mill.chan[i], &in);
	}
	cases[STOP] = rota_case_event(&swarm->stop);
	for (out = 1;; out++) {
		in = 0;
		cases[CLOCK] = rota_case_time(
			rota_now() +
			(swarm->timed ? (int64_t)(out % 50) * ROTA_MICROSECOND : ROTA_SECOND));
		index = rota_select(cases, CASES);
		if (index < 0 || index == STOP)
			break;
		a32_add_acq_rel(&swarm->done, 1);
		/* There may always be something to do: then nobody else would have a turn. */
		if (out % 8 == 0)
			(void)rota_yield();
		if (index == CLOCK)
			continue;
		if (index % 2 == 0 && cases[index].status == 0)
			a64_add_relaxed(&swarm->mill.sent, (uint64_t)out);
		else if (index % 2 == 1 && cases[index].status == 1)
			a64_add_relaxed(&swarm->mill.received, (uint64_t)in);
		else
			cases[index].kind = ROTA_CASE_NONE; /* closed */
		EXPECT_EQ(in != 0, index % 2 == 1 && cases[index].status == 1);
	}
	EXPECT(index == STOP || index == -ECANCELED);
	return 0;
}

enum { SWARM = 7 };

static void swarm_open(
	struct swarm *swarm, struct rota_group *group, struct rota_task **task, uint32_t round)
{
	memset(swarm, 0, sizeof(*swarm));
	mill_open(&swarm->mill, round);
	swarm->timed = round % 3 == 0;
	rota_group_open(group, NULL);
	for (uint32_t i = 0; i < SWARM; i++)
		task[i] = spawn_at(group, i, swarm_about, swarm);
}

static void swarm_wait(struct swarm *swarm, uint32_t done)
{
	while (a32_load_acquire(&swarm->done) < done)
		EXPECT_EQ(rota_yield(), 0);
}

TASK_TEST(select_stress, everybody_with_everybody)
{
	for (uint32_t round = 0; round < 4; round++) {
		struct rota_task *task[SWARM];
		struct rota_group group;
		struct swarm swarm;

		swarm_open(&swarm, &group, task, round);
		swarm_wait(&swarm, 1500);
		rota_event_set(&swarm.stop);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		mill_close(&swarm.mill);
	}
}

TASK_TEST(select_stress, closes_at_any_time)
{
	for (uint32_t round = 0; round < 40; round++) {
		struct rota_task *task[SWARM];
		struct rota_group group;
		struct swarm swarm;

		swarm_open(&swarm, &group, task, round);
		for (uint32_t i = 0; i < CHANNELS; i++) {
			swarm_wait(&swarm, round * i);
			rota_chan_close(&swarm.mill.chan[(round + i) % CHANNELS]);
		}
		rota_event_set(&swarm.stop);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		mill_close(&swarm.mill);
	}
}

TASK_TEST(select_stress, cancels_at_any_time)
{
	for (uint32_t round = 0; round < 60; round++) {
		struct rota_task *task[SWARM];
		struct rota_group group;
		struct swarm swarm;

		swarm_open(&swarm, &group, task, round);
		for (uint32_t i = 0; i < SWARM - 2; i++) {
			swarm_wait(&swarm, (round + 3) * i);
			rota_task_cancel(task[(round + i) % SWARM], NULL);
		}
		rota_group_cancel(&group, NULL);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		mill_close(&swarm.mill);
	}
}

/* A thing of each kind becomes ready while the select is cancelled: the one or the other. */
TASK_TEST(select_stress, a_cancel_and_each_kind_at_once)
{
	for (uint32_t i = 0; i < 60 * KINDS; i++) {
		const int kind = (int)(i % KINDS);
		struct things things;
		int index;

		/* With room for one item: out is full, so that it is sent after a receive. */
		things_open(&things, i / 2, 1);
		if (kind == TIME)
			set_time(&things, rota_now() + (int64_t)(i % 32) * ROTA_MICROSECOND);
		things.selector = spawn_at(&things.group, i / KINDS, select_things, &things);
		if (i % 3 && kind != TIME)
			wait_waiting(things.selector);
		rota_task_cancel(things.selector, NULL);
		fire(&things, kind);
		index = select_result(&things);
		EXPECT(index == kind || index == -ECANCELED);
		check_done(&things, index, done_status[kind]);
		EXPECT_EQ(rota_chan_count(&things.out), kind != OUT || index == OUT);
		EXPECT_EQ(rota_chan_count(&things.in), kind == IN && index != IN);
		things_close(&things);
	}
}

/* What comes between the look of a select and its wait is not missed. */

struct ambush {
	struct rota_future future;
	struct rota_event event;
	struct a32 ready;
	struct a32 go;
	uint32_t delay;
	int kind;
};

/* Ready, then at once, or a little later: on another loop at the moment of the select. */
static int spring(void *arg)
{
	struct ambush *ambush = arg;

	a32_store_release(&ambush->ready, 1);
	if (rota_loop_count() > 1 && !is_simulated())
		while (!a32_load_acquire(&ambush->go))
			cpu_relax();
	spin_for(ambush->delay);
	if (ambush->kind == FUTURE)
		EXPECT_EQ(rota_future_set(&ambush->future, 43), 0);
	else if (ambush->kind == EVENT)
		rota_event_set(&ambush->event);
	return 43;
}

TASK_TEST(select_stress, misses_nothing_between_look_and_wait)
{
	for (uint32_t i = 0; i < 1200; i++) {
		struct ambush ambush = { .delay = i / 3 % 100, .kind = (int)(TASK + i % 3) };
		struct rota_case cases[4];
		struct rota_group group;
		struct rota_chan chan;
		int item;

		rota_group_open(&group, NULL);
		chan_init(&chan, 0);
		cases[0] = rota_case_recv(&chan, &item);
		cases[1] = rota_case_task(spawn_at(&group, 1, spring, &ambush));
		cases[2] = rota_case_future(&ambush.future);
		cases[3] = rota_case_event(&ambush.event);
		/* The task ends a little after what it does, so one of them at a time. */
		if (ambush.kind != TASK)
			cases[1].kind = ROTA_CASE_NONE;
		wait_cell(&ambush.ready, 1);
		a32_store_release(&ambush.go, 1);
		EXPECT_EQ(rota_select(cases, 4), ambush.kind - TASK + 1);
		EXPECT_EQ(cases[ambush.kind - TASK + 1].status, ambush.kind == EVENT ? 0 : 43);
		chan_finish(&chan);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
	}
}

/* Many selects wait for one thing: all of them have it, or one. */
TASK_TEST(select_stress, many_wait_for_the_same)
{
	enum { MANY = 8 };
	static struct things things[MANY];

	for (int kind = 0; kind < KINDS; kind++) {
		int served = 0;

		if (kind == TIME)
			continue;
		for (uint32_t i = 0; i < MANY; i++) {
			things_open(&things[i], i, 0);
			/* All look at the first one's things, with their own cases. */
			memcpy(things[i].cases, things[0].cases, sizeof(things[i].cases));
			things[i].cases[OUT].value = &things[i].item_out;
			things[i].cases[IN].value = &things[i].item_in;
			memcpy(things[i].before, things[i].cases, sizeof(things[i].cases));
			select_waiting(&things[i], i);
		}
		fire(&things[0], kind);
		/* First come, first served. */
		EXPECT_EQ(select_result(&things[0]), kind);
		for (uint32_t i = 0; i < MANY; i++) {
			if (kind <= IN && i > 0)
				rota_task_cancel(things[i].selector, NULL);
			served += select_result(&things[i]) == kind;
			check_done(&things[i], things[i].index, done_status[kind]);
		}
		EXPECT_EQ(served, kind <= IN ? 1 : MANY);
		for (uint32_t i = MANY; i-- > 0;)
			things_close(&things[i]);
	}
}
