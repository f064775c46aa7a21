/* SPDX-License-Identifier: MIT */
/*
 * Parking, with the deque and the inbox that it guards. Loops run the sequences of the real loop
 * (core/park.h, "A loop's turn" in the design): spawn, pick, search, park, look, sleep, chain wake.
 * A task that a loop runs may be long: its loop is then busy for ever and serves nobody.
 *
 * When nothing moves any more, and while a loop sleeps: (G1) nothing published is left on any
 * deque, and nothing in the inbox of a loop that sleeps; (G2) the request stands on every loop that
 * could spawn; and the counts agree with who sleeps. Items are run once.
 */
#include "explorer.h"

#include <stdio.h>

#ifndef MODEL_PARK_H
#define MODEL_PARK_H "core/park.h"
#endif
#ifndef MODEL_INBOX_H
#define MODEL_INBOX_H "core/inbox.h"
#endif
#ifndef MODEL_DEQUE_H
#define MODEL_DEQUE_H "core/deque.h"
#endif
#include MODEL_DEQUE_H
#include MODEL_INBOX_H
#include MODEL_PARK_H

#define LOOPS	  4
#define ITEMS_MAX 7

struct loop {
	struct parker parker;
	struct inbox inbox;
	struct deque deque;
};

static struct {
	struct idle idle;
	struct loop loop[LOOPS];
	struct inbox_node node[2] __attribute__((aligned(8)));
	uint8_t node_sent[2];
	uint8_t node_run[2];
	uint8_t run[ITEMS_MAX + 1]; /* by the item's number: how often */
	uint8_t spawned;
} s;

/* What differs between the scripts. */
static struct {
	unsigned int loops;
	unsigned int spawners; /* the first ones; the others' deques are never published */
	unsigned int search_max;
	unsigned int steal_max;
	bool long_tasks; /* a task may be long */
	bool no_chain_wake;
	bool no_ask_again;
	bool no_pusher_fence;
	bool no_look;
	bool no_chain_at_inbox;
	bool no_chain_at_look;
} config;

static void configure(unsigned int loops, unsigned int spawners)
{
	config.loops = loops;
	config.spawners = spawners;
	/* At most half of the loops search at once. */
	config.search_max = loops / 2;
	config.steal_max = 1;
	config.long_tasks = true;
	config.no_chain_wake = model_mutant("no-chain-wake");
	config.no_ask_again = model_mutant("no-ask-again");
	config.no_pusher_fence = model_mutant("no-pusher-fence");
	config.no_look = model_mutant("no-look");
	config.no_chain_at_inbox = model_mutant("no-chain-at-inbox");
	config.no_chain_at_look = model_mutant("no-chain-at-look");
}

static void pusher_fence(void)
{
	if (!config.no_pusher_fence)
		fence_after_rmw();
}

/* After a push of something that any loop may take, and the fence. */
static void wake_one(unsigned int self)
{
	if (!park_wanted(&s.idle))
		return;
	for (unsigned int i = 0; i < config.loops; i++) {
		if (i != self && park_claim_any(&s.idle, &s.loop[i].parker)) {
			model_post(i);
			return;
		}
	}
}

/* One of its items: true when it is long. */
static bool run_item(const void *item)
{
	uintptr_t number = (uintptr_t)item;

	model_note("runs item %u", (unsigned int)number);
	model_check(number >= 1 && number <= s.spawned, "%p is no item", item);
	s.run[number]++;
	model_check(s.run[number] == 1, "item %u run twice", (unsigned int)number);
	return config.long_tasks && model_choose(2);
}

static void publish(unsigned int self)
{
	if (!deque_publish(&s.loop[self].deque))
		return;
	pusher_fence();
	wake_one(self);
}

static void spawn(unsigned int self)
{
	struct deque *deque = &s.loop[self].deque;
	uintptr_t number = ++s.spawned;

	model_note("spawns item %u", (unsigned int)number);
	model_check(deque_push(deque, (void *)number), "the deque is too small for the script");
	if (deque_asked(deque))
		publish(self);
}

/* The owner's pick: what stays private while a task runs would be seen by nobody. */
static void *pick(unsigned int self)
{
	void *item = deque_take_newest(&s.loop[self].deque);

	publish(self);
	return item;
}

/* For one loop only. */
static void send_to(unsigned int to, unsigned int node)
{
	model_note("sends node %u", node);
	s.node_sent[node] = 1;
	inbox_push(&s.loop[to].inbox, &s.node[node], 1);
	pusher_fence();
	if (park_claim(&s.idle, &s.loop[to].parker))
		model_post(to);
}

enum found {
	FOUND_NOTHING,
	FOUND_SHORT,
	FOUND_LONG,
};

static enum found serve_inbox(unsigned int self)
{
	enum found found = FOUND_NOTHING;
	uintptr_t at;

	if (inbox_empty(&s.loop[self].inbox))
		return found;
	for (at = inbox_drain(&s.loop[self].inbox); at; at = inbox_node(at)->next) {
		unsigned int node = (unsigned int)(inbox_node(at) - s.node);

		model_note("runs node %u", node);
		model_observe(node);
		s.node_run[node]++;
		/* One that makes the loop busy for ever does so when all are served. */
		if (config.long_tasks && model_choose(2))
			found = FOUND_LONG;
		else if (found == FOUND_NOTHING)
			found = FOUND_SHORT;
	}
	return found;
}

/* Whoever takes something wakes one more, always: a publish of many wakes only one. */
static void chain_wake(unsigned int self, bool *searching)
{
	if (*searching)
		idle_search_end(&s.idle);
	*searching = false;
	if (config.no_chain_wake)
		return;
	/* After idle_search_end(), or else after the CAS that stole. */
	fence_after_rmw();
	wake_one(self);
}

/* For (G2): the next spawn of the others is to be published at once. */
static void ask(unsigned int self)
{
	for (unsigned int i = 0; i < config.spawners; i++)
		if (i != self)
			deque_ask(&s.loop[i].deque);
}

/* Takes from the others; what is more than one goes into the own deque and is shared again. */
static enum found steal(unsigned int self, bool *searching)
{
	struct deque *own = &s.loop[self].deque;
	void *items[DEQUE_SIZE];

	for (unsigned int i = 0; i < config.spawners; i++) {
		unsigned int count = 0;

		if (i != self)
			count = deque_steal(&s.loop[i].deque, items, config.steal_max);
		if (count == 0)
			continue;
		chain_wake(self, searching);
		for (unsigned int j = 1; j < count; j++)
			model_check(deque_push(own, items[j]), "no room for a batch");
		publish(self);
		return run_item(items[0]) ? FOUND_LONG : FOUND_SHORT;
	}
	ask(self);
	return FOUND_NOTHING;
}

static enum found serve_own(unsigned int self)
{
	void *item;

	if (self >= config.spawners)
		return FOUND_NOTHING;
	item = pick(self);
	if (!item)
		return FOUND_NOTHING;
	return run_item(item) ? FOUND_LONG : FOUND_SHORT;
}

static bool search_begin(void)
{
	if (idle_searchers(&s.idle) >= (int32_t)config.search_max)
		return false;
	idle_search_begin(&s.idle);
	return true;
}

/* The look after the announcement: at everything, and at the requests. */
static bool look(unsigned int self)
{
	if (config.no_look)
		return false;
	if (!inbox_empty(&s.loop[self].inbox))
		return true;
	for (unsigned int i = 0; i < config.spawners; i++)
		if (i != self && deque_has_shared(&s.loop[i].deque))
			return true;
	if (!config.no_ask_again)
		ask(self);
	return false;
}

/* Where a loop stands, and beside it all that it knows there: for model_forget(). */
enum place {
	PLACE_TURN = 0x10,   /* + searching, seen, relied_on */
	PLACE_PARK = 0x20,   /* + searching */
	PLACE_LOOKED = 0x30, /* + searching, seen */
	PLACE_SPAWN = 0x40,  /* + which */
};

/* What a loop knows between two turns. */
struct turn {
	bool searching; /* counted as a searcher */
	bool seen;	/* the look has shown something */
	/*
	 * It was a searcher when it announced its sleep: until then a pusher may have relied on it.
	 * If its look shows its own inbox, what it has not looked at is left to the next.
	 */
	bool relied_on;
};

/* Looks, and sleeps if there is nothing. */
static void park(unsigned int self, struct turn *turn)
{
	struct parker *me = &s.loop[self].parker;
	bool searching = turn->searching;

	model_forget(PLACE_PARK + searching);
	park_begin(&s.idle, me, searching);
	turn->seen = look(self);
	model_forget(PLACE_LOOKED + 2u * searching + turn->seen);
	if (!turn->seen)
		model_wait();
	turn->searching = park_end(&s.idle, me);
	turn->relied_on = turn->seen && searching && !config.no_chain_at_look;
}

/* The inbox first, as every turn begins. */
static enum found serve_inbox_first(unsigned int self, struct turn *turn)
{
	enum found found = serve_inbox(self);

	/* A pusher may have left something to this searcher, which now has other things to do. */
	if (found != FOUND_NOTHING && !config.no_chain_at_inbox &&
		(turn->searching || turn->relied_on))
		chain_wake(self, &turn->searching);
	turn->relied_on = false;
	return found;
}

/* The loop, until it sleeps for good or a long task keeps it. */
static void loop_run(unsigned int self, bool searching)
{
	struct turn turn = { .searching = searching };

	for (;;) {
		enum found found;

		model_forget(PLACE_TURN + 4u * turn.searching + 2u * turn.seen + turn.relied_on);
		found = serve_inbox_first(self, &turn);
		if (found == FOUND_NOTHING)
			found = serve_own(self);
		if (found == FOUND_NOTHING) {
			/* The cap on searchers does not hold back who has seen something. */
			if (!turn.searching && !turn.seen)
				turn.searching = search_begin();
			if (turn.searching || turn.seen)
				found = steal(self, &turn.searching);
		}
		turn.seen = false;
		if (found == FOUND_LONG) {
			model_note("is busy for ever");
			return;
		}
		if (found == FOUND_NOTHING)
			park(self, &turn);
	}
}

static void idle_loop(unsigned int self)
{
	loop_run(self, false);
}

/* Spawns inside of a task that never ends. */
static void spawns(unsigned int self)
{
	spawn(self);
	model_forget(PLACE_SPAWN + 1);
	spawn(self);
}

/* Runs the newest of three for ever: the others are published when it is picked. */
static void spawns_and_picks(unsigned int self)
{
	void *item;

	for (unsigned int i = 0; i < 3; i++) {
		model_forget(PLACE_SPAWN + i);
		spawn(self);
	}
	item = pick(self);
	if (item)
		run_item(item);
}

/* Spawns, and goes on as every loop. */
static void spawns_and_goes_on(unsigned int self)
{
	spawn(self);
	model_forget(PLACE_SPAWN + 1);
	spawn(self);
	loop_run(self, false);
}

/* Sends to loop 1 and spawns. */
static void sends(unsigned int self)
{
	send_to(1, 0);
	model_forget(PLACE_SPAWN + 1);
	spawn(self);
	model_forget(PLACE_SPAWN + 2);
	send_to(1, 1);
}

/* Wakes loop 2 for its inbox, and then another one for what it shares. */
static void sends_and_shares(unsigned int self)
{
	send_to(2, 0);
	model_forget(PLACE_SPAWN + 1);
	spawn(self);
	publish(self);
}

/* A loop that has found something before the script begins, wakes one more, and is busy. */
static void chain_wakes(unsigned int self)
{
	fence_seq_cst();
	wake_one(self);
}

/* Asleep before the script begins. */
static void sleeping_loop(unsigned int self)
{
	model_wait();
	loop_run(self, park_end(&s.idle, &s.loop[self].parker));
}

/* Loop 2 sleeps, and all that lies before its sleep is done. */
static void setup_phantom(void)
{
	configure(4, 1);
	s.idle.sleepers.v = 1;
	s.loop[2].parker.state.v = PARKER_SLEEPING;
	s.loop[0].deque.request.v = 1;
}

static void setup_three(void)
{
	configure(3, 1);
}

static void setup_all_spawn(void)
{
	configure(2, 2);
}

static void setup_batch(void)
{
	configure(3, 3);
	config.steal_max = 2;
}

static void check_asleep(unsigned int self)
{
	model_check(inbox_empty(&s.loop[self].inbox), "G1: loop %u sleeps on its inbox", self);
	for (unsigned int i = 0; i < config.spawners; i++) {
		model_check(!deque_has_shared(&s.loop[i].deque),
			"G1: loop %u sleeps, loop %u has shared work", self, i);
		model_check(i == self || s.loop[i].deque.request.v == 1,
			"G2: loop %u sleeps, no request on loop %u", self, i);
	}
}

static void at_end(void)
{
	unsigned int asleep = 0;

	for (unsigned int i = 0; i < config.loops; i++) {
		if (model_asleep(i)) {
			asleep++;
			check_asleep(i);
		}
	}
	model_check(s.idle.sleepers.v == asleep, "%u sleep, %d are counted", asleep,
		(int)s.idle.sleepers.v);
	model_check(idle_searchers(&s.idle) == 0, "nobody searches, %d are counted",
		idle_searchers(&s.idle));
	for (unsigned int i = 0; i < config.loops; i++) {
		void *item;

		while ((item = deque_take_newest(&s.loop[i].deque)) != NULL)
			s.run[(uintptr_t)item]++;
	}
	for (unsigned int i = 1; i <= s.spawned; i++)
		model_check(s.run[i] == 1, "item %u lost or there twice", i);
	for (unsigned int i = 0; i < 2; i++)
		model_check(s.node_run[i] <= s.node_sent[i], "node %u run twice", i);
}

static void format_word(char *out, size_t size, uint64_t value)
{
	snprintf(out, size, "{tail %u split %u v %u}", deque_tail(value), deque_split(value),
		(unsigned int)(value >> 32));
}

static void format_state(char *out, size_t size, uint64_t value)
{
	static const char *const states[] = { "AWAKE", "SLEEPING", "TO_SEARCH", "TO_INBOX" };

	snprintf(out, size, "%s", value < 4 ? states[value] : "?");
}

static void format_count(char *out, size_t size, uint64_t value)
{
	snprintf(out, size, "%d", (int)value);
}

static void format_tagged(char *out, size_t size, uint64_t value)
{
	if (value)
		snprintf(out, size, "node %u",
			(unsigned int)(inbox_node((uintptr_t)value) - s.node));
	else
		snprintf(out, size, "empty");
}

static void names(void)
{
	model_name(&s.idle.sleepers, format_count, "sleepers");
	model_name(&s.idle.searchers, format_count, "searchers");
	for (unsigned int i = 0; i < LOOPS; i++) {
		struct loop *loop = &s.loop[i];

		model_name(&loop->parker.state, format_state, "loop %u state", i);
		model_name(&loop->inbox.head, format_tagged, "loop %u inbox", i);
		model_name(&loop->deque.word, format_word, "loop %u word", i);
		model_name(&loop->deque.request, NULL, "loop %u request", i);
		for (unsigned int j = 0; j < DEQUE_SIZE; j++)
			model_name(&loop->deque.slot[j], NULL, "loop %u slot[%u]", i, j);
	}
}

#define BUSY(id, function)                  \
	{                                   \
		.name = id, .run = function \
	}
#define LOOP(id, function)                                     \
	{                                                      \
		.name = id, .run = function, .may_sleep = true \
	}
#define PARK_SCRIPT(id, text, bound, begin, ...)         \
	static const struct model_script script_##id = { \
		.name = #id,                             \
		.what = text,                            \
		.preemptions = bound,                    \
		.state = &s,                             \
		.state_size = sizeof(s),                 \
		.thread = { __VA_ARGS__ },               \
		.setup = begin,                          \
		.at_end = at_end,                        \
		.names = names,                          \
	}

PARK_SCRIPT(spawn, "two spawns in a long task, two idle loops", MODEL_ALL, setup_three,
	BUSY("spawner", spawns), LOOP("loop 1", idle_loop), LOOP("loop 2", idle_loop));
PARK_SCRIPT(pick, "three spawns, then a pick of a long task, two idle loops", MODEL_ALL,
	setup_three, BUSY("spawner", spawns_and_picks), LOOP("loop 1", idle_loop),
	LOOP("loop 2", idle_loop));
PARK_SCRIPT(goes_on, "a loop that spawns two and goes on, an idle loop", MODEL_ALL, setup_all_spawn,
	LOOP("spawner", spawns_and_goes_on), LOOP("loop 1", idle_loop));
PARK_SCRIPT(inbox, "two directed wakes, a spawn between them, two idle loops", MODEL_ALL,
	setup_three, BUSY("sender", sends), LOOP("loop 1", idle_loop), LOOP("loop 2", idle_loop));
PARK_SCRIPT(batch, "three spawns and a pick, thieves of two that share again", MODEL_ALL,
	setup_batch, BUSY("spawner", spawns_and_picks), LOOP("loop 1", idle_loop),
	LOOP("loop 2", idle_loop));
PARK_SCRIPT(phantom, "a directed wake against a chain wake, then a publish", MODEL_ALL,
	setup_phantom, BUSY("sharer", sends_and_shares), BUSY("waker", chain_wakes),
	LOOP("sleeping", sleeping_loop), LOOP("idle", idle_loop));

_Static_assert(sizeof(s) % 8 == 0, "hashed in words");

int main(int argc, char **argv)
{
	static const struct model_script *const scripts[] = {
		&script_spawn,
		&script_pick,
		&script_goes_on,
		&script_inbox,
		&script_batch,
		&script_phantom,
		NULL,
	};

	return model_main(argc, argv, scripts);
}
