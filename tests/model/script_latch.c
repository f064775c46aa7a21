/* SPDX-License-Identifier: MIT */
/*
 * The latch: setters, waiters, the cancel of one wait. Whoever waits when it is set is woken once
 * or cut short, sees what the setter wrote before, and nobody sleeps beside a latch that is set.
 *
 * free: the owner frees the latch as soon as a poll says that it is set, or its own wait is over.
 */
#include "explorer.h"

#ifndef MODEL_LATCH_H
#define MODEL_LATCH_H "core/latch.h"
#endif
#include MODEL_LATCH_H

enum {
	FIRST,
	SECOND,
	CANCEL,
	SETTER,
	OTHER,
};

#define POISON ((uintptr_t)0xdead0000)

static struct {
	struct latch latch __attribute__((aligned(8)));
	struct a32 said; /* by the setter, before it sets: relaxed */
	struct shared_wait wait[2] __attribute__((aligned(8)));
	struct waiter waiter[2];
	/* Plain, for the checks. */
	uint8_t done[2]; /* its call has returned 0 */
	uint8_t cut[2];
	uint8_t alone; /* of the script `free`: no cancel */
	uint8_t freed;
	uint8_t pad[2];
} s __attribute__((aligned(8)));

/* Wakes as flow does: the link is read before each wake. */
static void wake_all(struct list *won)
{
	rota__list_for_each_safe(at, next, won) {
		struct waiter *waiter = container_of(at, struct waiter, list);

		model_observe((uint64_t)(waiter - s.waiter));
		model_post((unsigned int)(waiter - s.waiter));
	}
}

static void over(unsigned int self)
{
	model_check(a32_load_relaxed(&s.said) == 7, "what the setter wrote is not seen");
	s.done[self]++;
}

static void wait(unsigned int self)
{
	struct list won;

	list_init(&won);
	s.wait[self] = (struct shared_wait){ .wait = { .kind = NULL } };
	s.waiter[self] = (struct waiter){ .wait = &s.wait[self], .source = WAIT_BY_EVENT };
	if (!latch_add(&s.latch, &s.waiter[self], &won)) {
		wake_all(&won);
		over(self);
		if (self == SECOND && s.alone)
			model_post(FIRST);
		return;
	}
	if (self == FIRST && !s.alone)
		model_post(CANCEL);
	if (self == SECOND && s.alone)
		model_post(FIRST);
	model_wait();
	if (claim_winner(&s.wait[self].claim) == WAIT_BY_EVENT) {
		over(self);
		return;
	}
	latch_leave(&s.latch, &s.waiter[self], &won);
	wake_all(&won);
	s.cut[self]++;
}

static void cancel(unsigned int self)
{
	(void)self;
	model_wait();
	if (claim_take(&s.wait[FIRST].claim, WAIT_BY_CANCEL))
		model_post(FIRST);
}

static void set(unsigned int self)
{
	struct list won;

	(void)self;
	list_init(&won);
	a32_store_relaxed(&s.said, 7);
	latch_set(&s.latch, &won);
	wake_all(&won);
}

/* Threads are numbered without gaps. */
static void absent(unsigned int self)
{
	(void)self;
}

static void at_end(void)
{
	uintptr_t word = (uintptr_t)s.latch.word.v;

	if (s.freed) {
		model_check(word == POISON, "L2: written after the end");
		return;
	}
	model_check(word == LATCH_SET, "L1: the word is %lx", (unsigned long)word);
	model_check(s.done[FIRST] + s.cut[FIRST] == 1, "the first: %u, %u", s.done[FIRST],
		s.cut[FIRST]);
	model_check(s.done[SECOND] <= 1 && !model_asleep(SECOND), "the second sleeps on");
}

static void setup_alone(void)
{
	s.alone = 1;
}

/* It owns the memory, and another waits: whose wait is linked, or will not touch the latch. */
static void poll_and_free(unsigned int self)
{
	model_wait();
	if (latch_is_set(&s.latch))
		over(self);
	else
		wait(self);
	s.freed = 1;
	/* Whatever is written into what was freed stays to be seen. */
	aptr_store_relaxed(&s.latch.word, (void *)POISON);
}

static void names(void)
{
	model_name(&s.latch.word, NULL, "word");
	model_name(&s.said, NULL, "said");
	for (unsigned int i = 0; i < 2; i++)
		model_name(&s.wait[i].claim.by, NULL, "claim[%u]", i);
}

#define LATCH_SCRIPT(id, text, first, ...)               \
	static const struct model_script script_##id = { \
		.name = #id,                             \
		.what = text,                            \
		.preemptions = MODEL_ALL,                \
		.state = &s,                             \
		.state_size = sizeof(s),                 \
		.setup = first,                          \
		.thread = __VA_ARGS__,                   \
		.at_end = at_end,                        \
		.names = names,                          \
	}

#define THREAD(id, fn) [id] = { .name = #id, .run = fn, .may_sleep = (id) == CANCEL }

LATCH_SCRIPT(set, "a setter, two waiters, the cancel of one", NULL,
	{ THREAD(FIRST, wait), THREAD(SECOND, wait), THREAD(CANCEL, cancel), THREAD(SETTER, set) });
LATCH_SCRIPT(twice, "two setters, a waiter and its cancel", NULL,
	{ THREAD(FIRST, wait), THREAD(SECOND, absent), THREAD(CANCEL, cancel), THREAD(SETTER, set),
		THREAD(OTHER, set) });
LATCH_SCRIPT(free, "a setter, a waiter, and the owner who frees the latch", setup_alone,
	{ THREAD(FIRST, poll_and_free), THREAD(SECOND, wait), THREAD(CANCEL, absent),
		THREAD(SETTER, set) });

_Static_assert(sizeof(s) % 8 == 0, "hashed in words");

int main(int argc, char **argv)
{
	static const struct model_script *const scripts[] = {
		&script_set,
		&script_twice,
		&script_free,
		NULL,
	};

	return model_main(argc, argv, scripts);
}
