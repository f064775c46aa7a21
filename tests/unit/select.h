/* SPDX-License-Identifier: MIT */
/* What the tests of select share: one thing of each kind, and a task that selects over them. */
#ifndef ROTA_TESTS_SELECT_H
#define ROTA_TESTS_SELECT_H

#include "channel.h"

enum { OUT, IN, TASK, FUTURE, EVENT, TIME, KINDS };

/* The status of a case that was done. */
static const int done_status[KINDS] = { 0, 1, 43, -EIO, 0, 0 };

struct things {
	struct rota_group group;
	struct rota_chan out; /* full, or a rendezvous */
	struct rota_chan in;  /* empty */
	size_t capacity;
	struct rota_event go; /* ends the task */
	struct rota_task *task;
	struct rota_future future;
	struct rota_event event;
	int item_out;
	int item_in;
	struct rota_case cases[KINDS];
	struct rota_case before[KINDS];

	/* The selector: looks at `count` cases from `list` on. */
	struct rota_case *list;
	size_t count;
	struct rota_task *selector;
	int index;
	struct a32 selected;
	struct rota_event last;
	struct a32 over;
	struct chan_call partner; /* who waits on the other side of a rendezvous */
};

static inline int end_on_go(void *arg)
{
	struct things *things = arg;

	rota_event_wait(&things->go);
	return done_status[TASK];
}

/* Nothing is ready. The task runs on loop `place`. */
static inline void things_open(struct things *things, uint32_t place, size_t capacity)
{
	memset(things, 0, sizeof(*things));
	rota_group_open(&things->group, NULL);
	things->capacity = capacity;
	chan_init(&things->out, capacity);
	chan_fill(&things->out, capacity);
	chan_init(&things->in, capacity);
	things->task = spawn_at(&things->group, place, end_on_go, things);
	things->item_out = 50;
	things->item_in = UNTOUCHED;
	things->cases[OUT] = rota_case_send(&things->out, &things->item_out);
	things->cases[IN] = rota_case_recv(&things->in, &things->item_in);
	things->cases[TASK] = rota_case_task(things->task);
	things->cases[FUTURE] = rota_case_future(&things->future);
	things->cases[EVENT] = rota_case_event(&things->event);
	things->cases[TIME] = rota_case_time(ROTA_FOREVER);
	for (int i = 0; i < KINDS; i++)
		things->cases[i].status = UNTOUCHED;
	memcpy(things->before, things->cases, sizeof(things->before));
	things->list = things->cases;
	things->count = KINDS;
	things->index = UNTOUCHED;
}

static inline void set_time(struct things *things, int64_t when_ns)
{
	things->cases[TIME].when_ns = when_ns;
	things->before[TIME].when_ns = when_ns;
}

/* Makes the case of one kind ready while a select waits. The time must be set before. */
static inline void fire(struct things *things, int kind)
{
	switch (kind) {
	case OUT:
		EXPECT_EQ(chan_tryrecv(&things->out), things->capacity ? 0 : 50);
		break;
	case IN:
		EXPECT_EQ(chan_trysend(&things->in, 7), 0);
		break;
	case TASK:
		rota_event_set(&things->go);
		break;
	case FUTURE:
		EXPECT_EQ(rota_future_set(&things->future, done_status[FUTURE]), 0);
		break;
	case EVENT:
		rota_event_set(&things->event);
		break;
	default:
		break;
	}
}

/* Makes it ready when no select waits yet. */
static inline void fire_early(struct things *things, int kind)
{
	if (things->capacity || kind > IN)
		fire(things, kind);
	else
		spawn_waiting(&things->group, 1, kind == OUT ? recv_one : send_one,
			&things->partner, kind == OUT ? &things->out : &things->in, 7);
	if (kind == TIME)
		set_time(things, rota_now());
	if (kind == TASK)
		EXPECT_EQ(rota_task_await(things->task, NULL), 0);
}

/* The case number `index` was done with this status, and no other; < 0: none was. */
static inline void check_done(const struct things *things, int index, int status)
{
	for (int i = 0; i < KINDS; i++) {
		struct rota_case now = things->cases[i];

		expect_at(now.status == (i == index ? status : UNTOUCHED),
			"case %d has the status %d after case %d\n", i, now.status, index);
		now.status = UNTOUCHED;
		EXPECT(!memcmp(&now, &things->before[i], sizeof(now)));
	}
	EXPECT_EQ(things->item_in, index == IN && status == 1 ? 7 : UNTOUCHED);
	EXPECT_EQ(things->item_out, 50);
}

static inline int select_things(void *arg)
{
	struct things *things = arg;

	things->index = rota_select(things->list, things->count);
	a32_store_release(&things->selected, 1);
	/* A waiter that was left behind would end this one as well. */
	if (rota_event_wait(&things->last) == 0)
		EXPECT_EQ(a32_load_acquire(&things->over), 1);
	return 0;
}

/* Spawns a task that selects, until it waits. */
static inline void select_waiting(struct things *things, uint32_t place)
{
	things->selector = spawn_at(&things->group, place, select_things, things);
	wait_waiting(things->selector);
}

/* The selector's index. */
static inline int select_result(struct things *things)
{
	EXPECT(wait_cell(&things->selected, 1));
	return things->index;
}

/* Nobody is left in any queue: whoever fires now finds nobody. */
static inline void things_close(struct things *things)
{
	bool waits = things->selector && rota_task_state(things->selector) < ROTA_TASK_DONE;

	if (things->partner.task)
		(void)call_result(&things->partner);
	chan_finish(&things->out);
	chan_finish(&things->in);
	rota_event_set(&things->event);
	(void)rota_future_set(&things->future, 0);
	rota_event_set(&things->go);
	EXPECT_EQ(rota_task_await(things->task, NULL), 0);
	for (int i = 0; i < 3 && waits; i++)
		EXPECT_EQ(rota_yield(), 0);
	a32_store_release(&things->over, 1);
	rota_event_set(&things->last);
	EXPECT_EQ(rota_group_close(&things->group, 0), 0);
}

#endif
