/* SPDX-License-Identifier: MIT */
/*
 * The split deque: an owner who does anything, two thieves. Not a few fixed scripts: each of the
 * owner's operations is a choice, so all sequences of that length are explored. The indices start
 * below 65535 and the version below 2^32, and wrap.
 *
 * Items are numbered as they are pushed. Each is taken at most once, and at the end all others are
 * still there; a thief and take_oldest get the oldest, take_newest the newest of what is left.
 */
#include "explorer.h"

#include <stdio.h>

#ifndef MODEL_DEQUE_H
#define MODEL_DEQUE_H "core/deque.h"
#endif
#include MODEL_DEQUE_H

#define ITEMS_MAX   15
#define START_INDEX ((uint16_t)65534)

static struct {
	struct deque deque;
	uint8_t taken[ITEMS_MAX + 1]; /* by the item's number: how often */
	uint8_t pushed;
} s;

/* How many operations the owner of the running script has. */
static unsigned int owner_ops;

static void setup(void)
{
	s.deque.head = START_INDEX;
	s.deque.split = START_INDEX;
	s.deque.tail_seen = START_INDEX;
	s.deque.word.v = 0xffffffffull << 32 | (uint64_t)START_INDEX << 16 | START_INDEX;
}

static void take(const void *item, const char *who)
{
	uintptr_t number = (uintptr_t)item;

	model_note("%s item %u", who, (unsigned int)number);
	model_check(number >= 1 && number <= s.pushed, "%s: %p is no item", who, item);
	s.taken[number]++;
	model_check(s.taken[number] == 1, "item %u taken twice", (unsigned int)number);
}

static void take_newest_of(const void *item, const char *who)
{
	take(item, who);
	for (uintptr_t i = (uintptr_t)item + 1; i <= s.pushed; i++)
		model_check(s.taken[i], "%s: not the newest", who);
}

static void take_oldest_of(const void *item, const char *who)
{
	take(item, who);
	for (uintptr_t i = 1; i < (uintptr_t)item; i++)
		model_check(s.taken[i], "%s: not the oldest", who);
}

/* The tail in the owner's eyes: its own stores may not be visible yet. */
static uint16_t owner_tail(void)
{
	return deque_tail(model_view(&s.deque.word, sizeof(s.deque.word.v)));
}

/* What the owner may rely on between its operations, (D1) included. */
static void owner_check(void)
{
	uint16_t tail = owner_tail();

	model_check((uint16_t)(s.deque.head - s.deque.split) <= (uint16_t)(s.deque.head - tail) &&
			    (uint16_t)(s.deque.head - tail) <= DEQUE_SIZE,
		"D1: head %u, split %u, tail %u", s.deque.head, s.deque.split, tail);
}

static void owner_push(void)
{
	uintptr_t number = s.pushed + 1u;

	/* Counted first: a thief may have it as soon as it is there. */
	s.pushed++;
	model_note("pushes item %u", (unsigned int)number);
	if (deque_push(&s.deque, (void *)number))
		return;
	s.pushed--;
	model_note("full");
	model_check((uint16_t)(s.deque.head - owner_tail()) == DEQUE_SIZE,
		"push refused with room left");
}

static void owner_take_newest(void)
{
	void *item = deque_take_newest(&s.deque);

	if (item) {
		take_newest_of(item, "take_newest");
		return;
	}
	model_check(s.deque.head == owner_tail(), "take_newest: none of some");
}

static void owner_take_oldest(void)
{
	void *item = deque_take_oldest(&s.deque);

	if (item) {
		take_oldest_of(item, "take_oldest");
		return;
	}
	model_check(s.deque.head == owner_tail(), "take_oldest: none of some");
}

static void owner_drop_newest(void)
{
	void *item = deque_peek_newest(&s.deque);

	if (!item)
		return;
	deque_drop_newest(&s.deque);
	take_newest_of(item, "drop_newest");
}

static void owner(unsigned int self)
{
	static void (*const ops[])(void) = {
		owner_take_newest,
		owner_take_oldest,
		owner_drop_newest,
	};

	(void)self;
	/* All sequences begin with this: nothing happens before it. */
	owner_push();
	for (unsigned int i = 1; i < owner_ops; i++) {
		unsigned int op = model_choose(5);

		if (op == 0)
			owner_push();
		else if (op == 1)
			deque_publish(&s.deque);
		else
			ops[op - 2]();
		owner_check();
	}
}

static void thief_take(unsigned int max)
{
	void *items[4];
	unsigned int count = deque_steal(&s.deque, items, max);

	model_check(count <= max, "stole %u of %u", count, max);
	for (unsigned int i = 0; i < count; i++)
		take_oldest_of(items[i], "steal");
}

static void thief_of_one(unsigned int self)
{
	(void)self;
	if (deque_has_shared(&s.deque))
		thief_take(1);
}

static void thief_of_two(unsigned int self)
{
	(void)self;
	thief_take(2);
}

static void thief_again(unsigned int self)
{
	(void)self;
	thief_take(2);
	thief_take(2);
}

static void always(void)
{
	uint64_t word = s.deque.word.v;

	model_check((uint16_t)(deque_split(word) - deque_tail(word)) <= DEQUE_SIZE,
		"D1: tail %u, split %u", deque_tail(word), deque_split(word));
}

static void at_end(void)
{
	void *item;

	owner_check();
	model_check(s.deque.split == deque_split(s.deque.word.v), "two splits");
	while ((item = deque_take_newest(&s.deque)) != NULL)
		take_newest_of(item, "the rest");
	for (unsigned int i = 1; i <= s.pushed; i++)
		model_check(s.taken[i] == 1, "item %u lost", i);
}

static void format_word(char *out, size_t size, uint64_t value)
{
	snprintf(out, size, "{tail %u split %u v %u}", deque_tail(value), deque_split(value),
		(unsigned int)(value >> 32));
}

static void format_item(char *out, size_t size, uint64_t value)
{
	snprintf(out, size, "item %llu", (unsigned long long)value);
}

static void names(void)
{
	model_name(&s.deque.word, format_word, "word");
	for (unsigned int i = 0; i < DEQUE_SIZE; i++)
		model_name(&s.deque.slot[i], format_item, "slot[%u]", i);
}

#define DEQUE_SCRIPT(id, text, ops, thief1, thief2) \
	static void setup_##id(void)                \
	{                                           \
		owner_ops = ops;                    \
		setup();                            \
	}                                           \
	static const struct model_script script_##id = { \
		.name = #id, \
		.what = text, \
		.preemptions = MODEL_ALL, \
		.state = &s, \
		.state_size = sizeof(s), \
		.thread = { \
			{ .name = "owner", .run = owner }, \
			{ .name = "thief 1", .run = thief1 }, \
			{ .name = "thief 2", .run = thief2 }, \
		}, \
		.setup = setup_##id, \
		.always = always, \
		.at_end = at_end, \
		.names = names, \
	}

DEQUE_SCRIPT(short, "5 operations; a thief of one, a thief of two", 5, thief_of_one, thief_of_two);
DEQUE_SCRIPT(long, "7 operations; a thief of one, a thief of two", 7, thief_of_one, thief_of_two);
DEQUE_SCRIPT(again, "6 operations; a thief that comes twice, a thief of two", 6, thief_again,
	thief_of_two);

int main(int argc, char **argv)
{
	static const struct model_script *const scripts[] = {
		&script_short,
		&script_long,
		&script_again,
		NULL,
	};

	return model_main(argc, argv, scripts);
}
