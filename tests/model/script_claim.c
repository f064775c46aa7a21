/* SPDX-License-Identifier: MIT */
/*
 * The claim: three sources (end, cancel, timer) of one wait. Exactly one wins, wakes the waiter
 * once, and the waiter sees what the winner wrote, both before its claim and after.
 *
 * wait: the waiter sleeps until the winner's token comes. poll: it looks at claim_winner() instead
 * (a wait that ends while its task still runs), so that only the claim orders what it reads.
 */
#include "explorer.h"

#ifndef MODEL_CLAIM_H
#define MODEL_CLAIM_H "core/claim.h"
#endif
#include MODEL_CLAIM_H

enum {
	WAITER,
	END,
	CANCEL,
	TIMER,
	SOURCES_END,
};

static struct {
	struct claim claim __attribute__((aligned(8)));
	struct a32 before[SOURCES_END]; /* written by each source before its claim: relaxed */
	struct a32 after;		/* written by the winner after it */
	uint8_t wins;
	uint8_t woken;
} s;

static void setup(void)
{
	claim_init(&s.claim);
}

static void source(unsigned int self)
{
	a32_store_relaxed(&s.before[self], 10 + self);
	if (!claim_take(&s.claim, self))
		return;
	s.wins++;
	model_note("wins");
	model_check(s.wins == 1, "two winners");
	a32_store_relaxed(&s.after, 20 + self);
	model_post(WAITER);
}

static void see(uint32_t winner)
{
	uint32_t before;

	model_check(winner > WAITER && winner < SOURCES_END, "woken by source %u", winner);
	before = a32_load_relaxed(&s.before[winner]);
	model_check(before == 10 + winner, "what source %u wrote is not seen", winner);
}

static void waiter(unsigned int self)
{
	uint32_t winner;

	(void)self;
	model_wait();
	s.woken++;
	winner = claim_winner(&s.claim);
	see(winner);
	model_check(a32_load_relaxed(&s.after) == 20 + winner, "the winner's result is not seen");
}

static void poller(unsigned int self)
{
	uint32_t winner = claim_winner(&s.claim);

	if (winner)
		see(winner);
	waiter(self);
	model_check(!winner || winner == claim_winner(&s.claim), "the winner has changed");
}

static void at_end(void)
{
	model_check(s.wins == 1 && s.woken == 1, "%u winners, %u wakes", s.wins, s.woken);
}

static void names(void)
{
	static const char *const source_names[] = { "waiter", "end", "cancel", "timer" };

	model_name(&s.claim.by, NULL, "by");
	model_name(&s.after, NULL, "after");
	for (unsigned int i = END; i < SOURCES_END; i++)
		model_name(&s.before[i], NULL, "before[%s]", source_names[i]);
}

#define CLAIM_SCRIPT(id, text, waits) \
	static const struct model_script script_##id = { \
		.name = #id, \
		.what = text, \
		.preemptions = MODEL_ALL, \
		.state = &s, \
		.state_size = sizeof(s), \
		.thread = { \
			[WAITER] = { .name = "waiter", .run = waits }, \
			[END] = { .name = "end", .run = source }, \
			[CANCEL] = { .name = "cancel", .run = source }, \
			[TIMER] = { .name = "timer", .run = source }, \
		}, \
		.setup = setup, \
		.at_end = at_end, \
		.names = names, \
	}

CLAIM_SCRIPT(wait, "three sources, a waiter that sleeps", waiter);
CLAIM_SCRIPT(poll, "three sources, a waiter that looks before it sleeps", poller);

_Static_assert(sizeof(s) % 8 == 0, "hashed in words");

int main(int argc, char **argv)
{
	static const struct model_script *const scripts[] = { &script_wait, &script_poll, NULL };

	return model_main(argc, argv, scripts);
}
