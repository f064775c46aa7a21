/* SPDX-License-Identifier: MIT */
/*
 * The inbox: two pushers and a drainer. Each pusher sends two nodes of its own and then wants to
 * send its first again, and the node that both share; who may push a node is settled by the flag
 * beside it, as for a task that is woken from several sides. Each push arrives once, with what was
 * written before it, and what one pusher sent arrives in the order sent.
 */
#include "explorer.h"

#include <stdio.h>

#ifndef MODEL_INBOX_H
#define MODEL_INBOX_H "core/inbox.h"
#endif
#include MODEL_INBOX_H

#define PUSHERS 2
#define OWN	2
#define SHARED	(PUSHERS * OWN)
#define NODES	(SHARED + 1)
#define TAG(n)	(1u + (n) % 7u)

struct message {
	struct inbox_node node;
	struct a32 queued; /* won by exchange: the right to push; given back by the drainer */
	struct a32 order;  /* the pusher's count of pushes: relaxed, covered by the push alone */
	/* Plain, for the checks: pushes and arrivals, both counted where the inbox changes. */
	uint8_t pushed;
	uint8_t arrived;
	uint8_t pusher;
};

static struct {
	struct inbox inbox;
	struct message message[NODES] __attribute__((aligned(8)));
	uint32_t last[PUSHERS]; /* the order of what arrived last */
} s;

static bool push(unsigned int self, unsigned int n, uint32_t order)
{
	struct message *message = &s.message[n];

	if (a32_exchange_acq_rel(&message->queued, 1)) {
		model_note("node %u is on its way already", n);
		return false;
	}
	model_note("pushes node %u", n);
	message->pusher = (uint8_t)self;
	a32_store_relaxed(&message->order, order);
	inbox_push(&s.inbox, &message->node, TAG(n));
	message->pushed++;
	return true;
}

static void pusher(unsigned int self)
{
	uint32_t order = 1;

	for (unsigned int i = 0; i < OWN + 1; i++) {
		order += push(self, self * OWN + i % OWN, order);
		model_forget(i << 8 | order);
	}
	push(self, SHARED, order);
}

static void one_then_shared(unsigned int self)
{
	push(self, self * OWN, 1);
	model_forget(1);
	push(self, SHARED, 2);
}

static void arrive(unsigned int n)
{
	struct message *message = &s.message[n];
	unsigned int from = message->pusher;
	uint32_t order = a32_load_relaxed(&message->order);

	model_note("node %u arrives, %u of pusher %u", n, order, from);
	model_observe(n << 8 | from);
	message->arrived++;
	model_check(order > s.last[from], "node %u: %u of pusher %u after %u", n, order, from,
		s.last[from]);
	s.last[from] = order;
	/* Pairs with: the exchange in push(). The node is free from here on. */
	a32_store_release(&message->queued, 0);
}

static void drain(void)
{
	uintptr_t at = inbox_drain(&s.inbox);
	unsigned int count = 0;

	while (at) {
		struct message *message = container_of(inbox_node(at), struct message, node);
		unsigned int n = (unsigned int)(message - s.message);
		uintptr_t next = message->node.next;

		model_check(n < NODES && inbox_tag(at) == TAG(n), "node %u has a wrong tag", n);
		model_check(++count <= NODES, "a circle of nodes");
		arrive(n);
		at = next;
	}
}

static void drainer(unsigned int self)
{
	(void)self;
	for (unsigned int i = 0; i < 2; i++) {
		model_forget(i);
		if (!inbox_empty(&s.inbox))
			drain();
	}
}

static void at_end(void)
{
	drain();
	for (unsigned int n = 0; n < NODES; n++)
		model_check(s.message[n].pushed == s.message[n].arrived,
			"node %u: pushed %u times, arrived %u times", n, s.message[n].pushed,
			s.message[n].arrived);
}

static void format_tagged(char *out, size_t size, uint64_t value)
{
	const struct inbox_node *node = inbox_node((uintptr_t)value);

	for (unsigned int n = 0; n < NODES; n++)
		if (node == &s.message[n].node)
			snprintf(out, size, "node %u", n);
	if (!node)
		snprintf(out, size, "empty");
}

static void names(void)
{
	model_name(&s.inbox.head, format_tagged, "head");
	for (unsigned int n = 0; n < NODES; n++) {
		model_name(&s.message[n].queued, NULL, "queued[%u]", n);
		model_name(&s.message[n].order, NULL, "order[%u]", n);
	}
}

#define INBOX_SCRIPT(id, text, second) \
	static const struct model_script script_##id = { \
		.name = #id, \
		.what = text, \
		.preemptions = MODEL_ALL, \
		.state = &s, \
		.state_size = sizeof(s), \
		.thread = { \
			{ .name = "pusher 0", .run = pusher }, \
			{ .name = "pusher 1", .run = second }, \
			{ .name = "drainer", .run = drainer }, \
		}, \
		.at_end = at_end, \
		.names = names, \
	}

INBOX_SCRIPT(again, "one pusher sends a node again, the other sends two", one_then_shared);
INBOX_SCRIPT(both, "both pushers send a node again", pusher);

_Static_assert(sizeof(s) % 8 == 0, "hashed in words");

int main(int argc, char **argv)
{
	static const struct model_script *const scripts[] = { &script_again, &script_both, NULL };

	return model_main(argc, argv, scripts);
}
