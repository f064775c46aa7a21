/* SPDX-License-Identifier: MIT */
/*
 * Select: its cases, each kind alone and beside all others, ready before or while it waits, closed,
 * cancelled; times.
 *
 * Behaviours of Go's test/chan: select, select3 (what waits and what does not, for each state of a
 * channel), select4, select7 (each way to send meets it). Go's nil channel is a case of kind NONE
 * where it switches a case off, and -EINVAL where an object is missing; its default case is
 * rota_select_try(). What needs numbers, chance or rivals is in select_race_test.c. Left out:
 * select2 (a collector's memory; a queue left dirty shows in rota_chan_finish() here), select5
 * (order of evaluation) and select8 (break) in Go's grammar.
 */
#include "select.h"

TestSuite(select, .timeout = HANG_SECONDS);

/* What is no case. */

TASK_TEST(select, of_nothing_is_invalid)
{
	struct rota_case none[3] = { { .kind = ROTA_CASE_NONE } };

	for (size_t count = 0; count <= 3; count++) {
		EXPECT_EQ(rota_select(none, count), -EINVAL);
		EXPECT_EQ(rota_select_try(none, count), -EINVAL);
	}
	EXPECT_EQ(rota_select(NULL, 0), -EINVAL);
	EXPECT_EQ(rota_select_try(NULL, 0), -EINVAL);
}

TASK_TEST(select, checks_every_case)
{
	const struct rota_case bad[] = {
		rota_case_send(NULL, ""),
		rota_case_recv(NULL, NULL),
		rota_case_task(NULL),
		rota_case_future(NULL),
		rota_case_event(NULL),
		{ .kind = ROTA_CASE_FD + 1 },
		{ .kind = UINT32_MAX },
		rota_case_fd(0, POLLIN),
	};
	struct rota_event set = { { 0 } };

	rota_event_set(&set);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const int want = bad[i].kind == ROTA_CASE_FD ? -ENOTSUP : -EINVAL;

		/* Also beside cases that could be done. */
		for (size_t place = 0; place < 3; place++) {
			struct rota_case cases[3];

			for (size_t k = 0; k < 3; k++) {
				cases[k] = k == place ? bad[i] : rota_case_event(&set);
				cases[k].status = UNTOUCHED;
			}
			EXPECT_EQ(rota_select(cases, 3), want);
			EXPECT_EQ(rota_select_try(cases, 3), want);
			EXPECT_EQ(rota_select(&cases[place], 1), want);
			EXPECT_EQ(rota_select_try(&cases[place], 1), want);
			for (size_t k = 0; k < 3; k++)
				EXPECT_EQ(cases[k].status, UNTOUCHED);
		}
	}
}

static int look_at(void *arg)
{
	struct rota_case cases[2] = { rota_case_task(arg), rota_case_task(rota_task_self()) };

	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(rota_select(&cases[i], 1), -EINVAL);
		EXPECT_EQ(rota_select_try(&cases[i], 1), -EINVAL);
	}
	return 0;
}

TASK_TEST(select, a_task_needs_a_handle_that_a_spawn_gave_out)
{
	struct rota_group group;

	look_at(rota_task_self());
	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, look_at, rota_task_self()), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

TASK_TEST(select, makers_fill_in_what_they_are_told)
{
	struct rota_case fd = rota_case_fd(5, POLLOUT);
	struct things things;

	things_open(&things, 0, 0);
	for (uint32_t i = 0; i < KINDS; i++)
		EXPECT_EQ(things.cases[i].kind, ROTA_CASE_SEND + i);
	EXPECT(things.cases[OUT].object == &things.out);
	EXPECT(things.cases[OUT].value == &things.item_out);
	EXPECT(things.cases[IN].object == &things.in);
	EXPECT(things.cases[IN].value == &things.item_in);
	EXPECT(things.cases[TASK].object == things.task);
	EXPECT(things.cases[FUTURE].object == &things.future);
	EXPECT(things.cases[EVENT].object == &things.event);
	EXPECT_EQ(things.cases[TIME].when_ns, ROTA_FOREVER);
	EXPECT_EQ(fd.kind, ROTA_CASE_FD);
	EXPECT_EQ(fd.fd, 5);
	EXPECT_EQ(fd.events, POLLOUT);
	things_close(&things);
}

/* Each kind. */

TASK_TEST(select, try_says_when_nothing_is_ready)
{
	for (size_t capacity = 0; capacity < 3; capacity++) {
		struct things things;

		things_open(&things, 1, capacity);
		EXPECT_EQ(rota_select_try(things.cases, KINDS), -EAGAIN);
		set_time(&things, rota_now() + 3600 * ROTA_SECOND);
		EXPECT_EQ(rota_select_try(things.cases, KINDS), -EAGAIN);
		for (int i = 0; i < KINDS; i++)
			EXPECT_EQ(rota_select_try(&things.cases[i], 1), -EAGAIN);
		check_done(&things, -1, 0);
		things_close(&things);
	}
}

/* One kind is ready; alone, or beside the others. */
static void select_ready(int kind, size_t capacity, bool alone, bool try)
{
	struct things things;
	int index;

	things_open(&things, (uint32_t)capacity, capacity);
	fire_early(&things, kind);
	things.list = alone ? &things.cases[kind] : things.cases;
	things.count = alone ? 1 : KINDS;
	index = try ? rota_select_try(things.list, things.count)
		    : rota_select(things.list, things.count);
	EXPECT_EQ(index, alone ? 0 : kind);
	check_done(&things, kind, done_status[kind]);
	if (kind == OUT && capacity == 0) {
		EXPECT_EQ(call_result(&things.partner), 1);
		EXPECT_EQ(things.partner.item, 50);
	} else if (kind == IN && capacity == 0) {
		EXPECT_EQ(call_result(&things.partner), 0);
	} else {
		EXPECT_EQ(rota_chan_count(&things.out), capacity);
		EXPECT_EQ(rota_chan_count(&things.in), 0);
	}
	things_close(&things);
}

TASK_TEST(select, does_what_is_ready)
{
	for (int kind = 0; kind < KINDS; kind++)
		for (size_t capacity = 0; capacity < 3; capacity++)
			for (int i = 0; i < 4; i++)
				select_ready(kind, capacity, i & 1, i & 2);
}

/* One kind becomes ready while the select waits on loop `place`. */
static void select_wait(int kind, size_t capacity, bool alone, uint32_t place)
{
	struct things things;

	things_open(&things, place / 2, capacity);
	things.list = alone ? &things.cases[kind] : things.cases;
	things.count = alone ? 1 : KINDS;
	if (kind == TIME)
		set_time(&things, rota_now() + ROTA_MILLISECOND / 2);
	if (kind == TIME)
		things.selector = spawn_at(&things.group, place, select_things, &things);
	else
		select_waiting(&things, place);
	fire(&things, kind);
	EXPECT_EQ(select_result(&things), alone ? 0 : kind);
	check_done(&things, kind, done_status[kind]);
	EXPECT_EQ(rota_chan_count(&things.out), capacity);
	EXPECT_EQ(rota_chan_count(&things.in), 0);
	if (kind == OUT && capacity) {
		/* Behind what was there already. */
		for (size_t i = 1; i < capacity; i++)
			EXPECT_EQ(chan_tryrecv(&things.out), i);
		EXPECT_EQ(chan_tryrecv(&things.out), 50);
	}
	wait_waiting(things.selector);
	things_close(&things);
}

TASK_TEST(select, waits_for_what_becomes_ready)
{
	for (int kind = 0; kind < KINDS; kind++)
		for (size_t capacity = 0; capacity < 3; capacity++)
			for (uint32_t i = 0; i < 4; i++)
				select_wait(kind, capacity, i & 1, i / 2 + (uint32_t)kind);
}

TASK_TEST(select, a_closed_channel_is_ready)
{
	for (uint32_t i = 0; i < 24; i++) {
		const int kind = i & 1 ? IN : OUT;
		const int status = i & 1 ? 0 : -EPIPE;
		struct things things;

		things_open(&things, i, i / 8);
		things.list = i & 2 ? &things.cases[kind] : things.cases;
		things.count = i & 2 ? 1 : KINDS;
		if (i & 4)
			select_waiting(&things, i / 8);
		rota_chan_close(kind == OUT ? &things.out : &things.in);
		if (!(i & 4))
			things.index = rota_select(things.list, things.count);
		else
			(void)select_result(&things);
		EXPECT_EQ(things.index, i & 2 ? 0 : kind);
		check_done(&things, kind, status);
		/* And stays so. */
		things.cases[kind].status = UNTOUCHED;
		EXPECT_EQ(rota_select_try(things.list, things.count), things.index);
		check_done(&things, kind, status);
		EXPECT_EQ(rota_chan_count(&things.out), i / 8);
		things_close(&things);
	}
}

TASK_TEST(select, receives_what_a_closed_channel_has_left)
{
	struct rota_chan chan;
	struct rota_case of_chan;
	int item = UNTOUCHED;

	chan_init(&chan, 3);
	chan_fill(&chan, 3);
	rota_chan_close(&chan);
	of_chan = rota_case_recv(&chan, &item);
	for (int i = 0; i < 5; i++) {
		EXPECT_EQ(i % 2 ? rota_select(&of_chan, 1) : rota_select_try(&of_chan, 1), 0);
		EXPECT_EQ(of_chan.status, i < 3);
		EXPECT_EQ(item, i < 3 ? i : 2);
	}
	chan_finish(&chan);
}

/* Exactly one, whichever. */
TASK_TEST(select, does_one_of_several_and_no_more)
{
	for (int i = 0; i < 200; i++) {
		struct things things;
		int kind;

		things_open(&things, 0, 1);
		for (kind = 0; kind < KINDS; kind++)
			fire_early(&things, kind);
		kind = i % 2 ? rota_select(things.cases, KINDS)
			     : rota_select_try(things.cases, KINDS);
		if (!EXPECT(kind >= 0 && kind < KINDS))
			kind = 0;
		check_done(&things, kind, done_status[kind]);
		EXPECT_EQ(rota_chan_count(&things.out), kind == OUT);
		EXPECT_EQ(rota_chan_count(&things.in), kind != IN);
		things_close(&things);
	}
}

TASK_TEST(select, none_is_never_ready)
{
	struct rota_case cases[7] = { { .kind = ROTA_CASE_NONE } };
	struct rota_event event = { { 0 } };

	for (int i = 0; i < 7; i++) {
		/* Whatever else is in it. */
		cases[i].object = &event;
		cases[i].when_ns = -1;
	}
	for (int i = 0; i < 7; i++) {
		cases[i] = rota_case_event(&event);
		EXPECT_EQ(rota_select_try(cases, 7), -EAGAIN);
		rota_event_set(&event);
		for (int k = 0; k < 10; k++)
			EXPECT_EQ(k % 2 ? rota_select(cases, 7) : rota_select_try(cases, 7), i);
		rota_event_clear(&event);
		cases[i].kind = ROTA_CASE_NONE;
	}
}

TASK_TEST(select, carries_signals_without_bytes)
{
	struct rota_chan chan = { { 0 } };
	struct rota_case cases[2] = { rota_case_send(&chan, NULL), rota_case_recv(&chan, NULL) };
	struct rota_group group;
	struct chan_call call;

	EXPECT_EQ(rota_select_try(cases, 2), -EAGAIN);
	rota_group_open(&group, NULL);
	spawn_waiting(&group, 1, recv_one, &call, &chan, 5);
	EXPECT_EQ(rota_select(cases, 2), 0);
	EXPECT_EQ(call_result(&call), 1);
	spawn_waiting(&group, 1, send_one, &call, &chan, 5);
	EXPECT_EQ(rota_select(cases, 2), 1);
	EXPECT_EQ(cases[1].status, 1);
	EXPECT_EQ(call_result(&call), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	chan_finish(&chan);
}

/* Times. */

TASK_TEST(select, a_time_that_has_come_is_ready)
{
	const int64_t past[] = { 0, 1, -1, INT64_MIN, rota_now() - 1, rota_now() };
	struct things things;

	things_open(&things, 0, 1);
	for (size_t i = 0; i < ARRAY_SIZE(past); i++) {
		set_time(&things, past[i]);
		things.cases[TIME].status = UNTOUCHED;
		EXPECT_EQ(rota_select(things.cases, KINDS), TIME);
		check_done(&things, TIME, 0);
		things.cases[TIME].status = UNTOUCHED;
		EXPECT_EQ(rota_select_try(&things.cases[TIME], 1), 0);
		check_done(&things, TIME, 0);
	}
	things_close(&things);
}

TASK_TEST(select, never_comes_early)
{
	static const int64_t waits[] = { 1, ROTA_MICROSECOND, 50 * ROTA_MICROSECOND,
		2 * ROTA_MILLISECOND };

	for (size_t i = 0; i < 3 * ARRAY_SIZE(waits); i++) {
		const int64_t when_ns = rota_now() + waits[i % ARRAY_SIZE(waits)];
		struct things things;

		things_open(&things, 0, i % 2);
		set_time(&things, when_ns);
		EXPECT_EQ(rota_select(things.cases, KINDS), TIME);
		EXPECT(rota_now() >= when_ns);
		check_done(&things, TIME, 0);
		things_close(&things);
	}
}

TASK_TEST(select, the_first_of_several_times)
{
	for (size_t first = 0; first < 4; first++) {
		const int64_t when_ns = rota_now() + ROTA_MILLISECOND;
		struct rota_case cases[4];

		for (size_t i = 0; i < 4; i++)
			cases[i] = rota_case_time(
				i % 2 ? ROTA_FOREVER : rota_now() + 3600 * ROTA_SECOND);
		cases[first] = rota_case_time(when_ns);
		EXPECT_EQ(rota_select(cases, 4), first);
		EXPECT(rota_now() >= when_ns);
	}
}

/* Cancelled. */

/* What waits in a channel keeps it busy; a cancel does nothing, and leaves nobody anywhere. */
static void select_cancel(uint32_t i, size_t first, size_t count)
{
	struct things things;

	things_open(&things, i, i % 3);
	set_time(&things, i % 2 ? ROTA_FOREVER : rota_now() + 3600 * ROTA_SECOND);
	things.list = &things.cases[first];
	things.count = count;
	select_waiting(&things, i / 2);
	if (first <= OUT && first + count > OUT)
		EXPECT_EQ(rota_chan_finish(&things.out), -EBUSY);
	if (first <= IN && first + count > IN)
		EXPECT_EQ(rota_chan_finish(&things.in), -EBUSY);
	rota_task_cancel(things.selector, NULL);
	EXPECT_EQ(select_result(&things), -ECANCELED);
	check_done(&things, -1, 0);
	EXPECT_EQ(rota_task_await(things.selector, NULL), 0);
	EXPECT_EQ(rota_chan_count(&things.out), things.capacity);
	if (!things.capacity) {
		EXPECT_EQ(chan_tryrecv(&things.out), UNTOUCHED);
		EXPECT_EQ(chan_trysend(&things.in, 1), -EAGAIN);
	}
	things_close(&things);
}

TASK_TEST(select, a_cancel_does_nothing_and_leaves_nobody)
{
	for (uint32_t i = 0; i < 12; i++) {
		select_cancel(i, 0, KINDS);
		select_cancel(i, i % KINDS, 1);
	}
}

static int select_cancelled(void *arg)
{
	struct things *things = arg;
	struct rota_case *cases = things->cases;

	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT_EQ(rota_select(cases, KINDS), -ECANCELED);
	for (int i = 0; i < KINDS; i++)
		EXPECT_EQ(rota_select(&cases[i], 1), -ECANCELED);
	check_done(things, -1, 0);
	EXPECT_EQ(rota_chan_count(&things->out), 0);
	EXPECT_EQ(rota_chan_count(&things->in), 1);
	/* No cancellation point. */
	for (int i = 0; i < KINDS; i++) {
		EXPECT_EQ(rota_select_try(&cases[i], 1), 0);
		EXPECT_EQ(cases[i].status, done_status[i]);
	}
	EXPECT_EQ(rota_select_try(&cases[IN], 1), -EAGAIN);
	return 0;
}

TASK_TEST(select, a_cancel_is_seen_at_entry_whatever_is_ready)
{
	struct things things;
	struct rota_task *task;

	things_open(&things, 0, 1);
	for (int kind = 0; kind < KINDS; kind++)
		fire_early(&things, kind);
	task = spawn(&things.group, select_cancelled, &things);
	wait_waiting(task);
	rota_task_cancel(task, NULL);
	EXPECT_EQ(rota_task_await(task, NULL), 0);
	things_close(&things);
}

/* Fired, then cancelled: the result stays. */
TASK_TEST(select, a_cancel_comes_too_late_for_what_was_done)
{
	static const int kinds[] = { OUT, IN, FUTURE, EVENT };

	for (uint32_t i = 0; i < 12 * ARRAY_SIZE(kinds); i++) {
		const int kind = kinds[i % ARRAY_SIZE(kinds)];
		struct things things;

		things_open(&things, 0, i / 4 % 2);
		select_waiting(&things, i / 8);
		fire(&things, kind);
		rota_task_cancel(things.selector, NULL);
		EXPECT_EQ(select_result(&things), kind);
		check_done(&things, kind, done_status[kind]);
		EXPECT_EQ(rota_task_await(things.selector, NULL), 0);
		things_close(&things);
	}
}
