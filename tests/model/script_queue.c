/* SPDX-License-Identifier: MIT */
/*
 * The hand-over: a semaphore made of a spin lock, a count and the queue of waiters. A giver gives
 * twice; two tasks take, and the first one's wait has a cancel and a timer besides. What is given
 * is taken exactly once or left in the count, nobody sleeps beside a count, and no waiter is
 * touched after its frame has gone.
 *
 * The loop of the first waiter is a thread of its own: it runs the waiter's abort (cancel) and its
 * timer, and in `home` the giver as well, whose claim is then the plain one.
 */
#include "explorer.h"

#include "base/spin.h"

#ifndef MODEL_QUEUE_H
#define MODEL_QUEUE_H "core/queue.h"
#endif
#include MODEL_QUEUE_H

enum {
	FIRST,
	SECOND,
	LOOP,
	GIVER,
};

#define WAIT_BY_TIMER 3

static struct {
	struct spin lock;
	struct a32 count; /* L(lock) */
	struct wait_queue queue;
	struct shared_wait wait[2] __attribute__((aligned(8)));
	struct waiter waiter[2];
	struct rota_task task[2];
	struct loop loop[2];
	/* Plain, for the checks. */
	uint8_t gone[2];
	uint8_t got[2];
	uint8_t cut[2];
	uint8_t given;
	uint8_t pad;
} s __attribute__((aligned(8)));

static void setup(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		s.task[i].loop = &s.loop[i];
		s.loop[i].running = &s.task[i];
	}
}

/* The frame of a waiter goes: whoever follows its links from now on is caught. */
static void leave_frame(unsigned int self)
{
	s.gone[self] = 1;
	s.waiter[self].list.next = NULL;
	s.waiter[self].list.prev = NULL;
}

static void take(unsigned int self)
{
	static const struct wait_kind kind = { .name = "model" };
	uint32_t winner;

	spin_lock(&s.lock);
	if (a32_load_relaxed(&s.count)) {
		a32_store_relaxed(&s.count, a32_load_relaxed(&s.count) - 1);
		s.got[self]++;
		spin_unlock(&s.lock);
		return;
	}
	shared_wait_init(&s.loop[self], &s.wait[self], &s.waiter[self], &kind);
	queue_add(&s.queue, &s.waiter[self]);
	spin_unlock(&s.lock);
	/* Suspended: from here on its loop may cut the wait short. */
	if (self == FIRST)
		model_post(LOOP);
	model_wait();
	winner = claim_winner(&s.wait[self].claim);
	if (winner == WAIT_BY_EVENT) {
		s.got[self]++;
	} else {
		model_check(winner == WAIT_BY_CANCEL || winner == WAIT_BY_TIMER, "by nobody");
		s.cut[self]++;
		spin_lock(&s.lock);
		queue_remove(&s.queue, &s.waiter[self]);
		spin_unlock(&s.lock);
	}
	leave_frame(self);
}

static struct waiter *claim_first(struct loop *loop)
{
	struct waiter *waiter = queue_first(&s.queue);

	if (waiter)
		model_check(!s.gone[waiter - s.waiter], "a frame that is gone is in the queue");
	return queue_claim_first(loop, &s.queue);
}

static void give(struct loop *loop)
{
	struct waiter *waiter;

	spin_lock(&s.lock);
	s.given++;
	if (model_mutant("claim-after-unlock")) {
		waiter = queue_first(&s.queue);
		if (waiter)
			queue_remove(&s.queue, waiter);
		else
			a32_store_relaxed(&s.count, a32_load_relaxed(&s.count) + 1);
		spin_unlock(&s.lock);
		if (!waiter)
			return;
		model_check(!s.gone[waiter - s.waiter], "a frame that is gone is claimed");
		if (waiter_claim(loop, waiter))
			model_post((unsigned int)(waiter - s.waiter));
		return;
	}
	waiter = claim_first(loop);
	if (!waiter && !model_mutant("nobody-drops-it"))
		a32_store_relaxed(&s.count, a32_load_relaxed(&s.count) + 1);
	spin_unlock(&s.lock);
	if (waiter)
		model_post((unsigned int)(waiter - s.waiter));
}

static void cut_short(uint32_t source)
{
	if (claim_take(&s.wait[FIRST].claim, source))
		model_post(FIRST);
}

/* The first waiter's loop: its cancel, its timer, or neither, once it sleeps. */
static void loop_elsewhere(unsigned int self)
{
	(void)self;
	model_wait();
	if (model_choose(2))
		cut_short(model_choose(2) ? WAIT_BY_CANCEL : WAIT_BY_TIMER);
}

/* The same loop gives as well, before or after. */
static void loop_at_home(unsigned int self)
{
	unsigned int before = model_choose(2);

	(void)self;
	if (before)
		give(&s.loop[FIRST]);
	model_wait();
	if (!before)
		give(&s.loop[FIRST]);
	/* One that it has woken does not wait any more; the giver elsewhere may still. */
	if (!s.gone[FIRST] && model_choose(2))
		cut_short(WAIT_BY_CANCEL);
}

static void giver_twice(unsigned int self)
{
	(void)self;
	give(NULL);
	give(NULL);
}

static void giver_once(unsigned int self)
{
	(void)self;
	give(NULL);
}

static void at_end(void)
{
	unsigned int taken = s.got[FIRST] + s.got[SECOND];
	unsigned int left = s.count.v;

	model_check(s.given == taken + left, "%u given, %u taken, %u left", s.given, taken, left);
	model_check(!left || !(model_asleep(FIRST) || model_asleep(SECOND)),
		"somebody sleeps, %u are left", left);
	model_check(s.got[FIRST] + s.cut[FIRST] <= 1 && s.got[SECOND] <= 1, "two outcomes");
}

static void names(void)
{
	model_name(&s.lock.held, NULL, "lock");
	model_name(&s.count, NULL, "count");
	for (unsigned int i = 0; i < 2; i++)
		model_name(&s.wait[i].claim.by, NULL, "claim[%u]", i);
}

#define QUEUE_SCRIPT(id, text, loop_run, giver_run) \
	static const struct model_script script_##id = { \
		.name = #id, \
		.what = text, \
		.preemptions = MODEL_ALL, \
		.state = &s, \
		.state_size = sizeof(s), \
		.thread = { \
			[FIRST] = { .name = "first", .run = take, .may_sleep = true }, \
			[SECOND] = { .name = "second", .run = take, .may_sleep = true }, \
			[LOOP] = { .name = "loop", .run = loop_run, .may_sleep = true }, \
			[GIVER] = { .name = "giver", .run = giver_run }, \
		}, \
		.setup = setup, \
		.at_end = at_end, \
		.names = names, \
	}

QUEUE_SCRIPT(elsewhere, "two takers, cancel and timer of one, a giver elsewhere", loop_elsewhere,
	giver_twice);
QUEUE_SCRIPT(home, "the same, and the taker's own loop gives too", loop_at_home, giver_once);

_Static_assert(sizeof(s) % 8 == 0, "hashed in words");

int main(int argc, char **argv)
{
	static const struct model_script *const scripts[] = { &script_elsewhere, &script_home,
		NULL };

	return model_main(argc, argv, scripts);
}
