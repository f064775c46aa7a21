/* SPDX-License-Identifier: MIT */
/* The inbox: everything comes out once, in the order in which it was sent, with its tag. */
#include "unit.h"

#include "core/inbox.h"

TestSuite(inbox, .timeout = HANG_SECONDS);

struct letter {
	struct inbox_node node;
	unsigned int number;
	unsigned int sender;
} __attribute__((aligned(8)));

static struct letter *letter_of(uintptr_t at)
{
	return container_of(inbox_node(at), struct letter, node);
}

Test(inbox, empty_gives_nothing)
{
	struct inbox inbox = { .head = { NULL } };

	cr_expect(inbox_empty(&inbox));
	cr_expect_eq(inbox_drain(&inbox), 0);
}

Test(inbox, oldest_first_with_tags)
{
	struct inbox inbox = { .head = { NULL } };
	struct letter letter[100];
	unsigned int count = 0;

	for (int round = 0; round < 3; round++) {
		count = 0;
		for (unsigned int i = 0; i < 100; i++) {
			letter[i].number = i;
			inbox_push(&inbox, &letter[i].node, i % 8);
			cr_expect_not(inbox_empty(&inbox));
		}
		for (uintptr_t at = inbox_drain(&inbox); at; at = inbox_node(at)->next) {
			cr_expect_eq(letter_of(at)->number, count);
			cr_expect_eq(inbox_tag(at), count % 8);
			count++;
		}
		cr_expect_eq(count, 100);
		cr_expect(inbox_empty(&inbox));
		cr_expect_eq(inbox_drain(&inbox), 0);
	}
}

Test(inbox, a_node_may_be_sent_again_with_another_tag)
{
	struct inbox inbox = { .head = { NULL } };
	struct letter letter = { .number = 5 };
	uintptr_t at;

	for (unsigned int i = 0; i < 20; i++) {
		inbox_push(&inbox, &letter.node, i % 3);
		at = inbox_drain(&inbox);
		cr_expect_eq(letter_of(at), &letter);
		cr_expect_eq(inbox_tag(at), i % 3);
		cr_expect_eq(inbox_node(at)->next, 0);
	}
}

/* Several senders: each one's letters come in its order, none twice, none lost. */

enum { SENDERS = 3, LETTERS = 20000 };

static struct inbox shared;
static struct letter letters[SENDERS][LETTERS];

static void *send_all(void *arg)
{
	struct letter *mine = arg;

	for (unsigned int i = 0; i < LETTERS; i++)
		inbox_push(&shared, &mine[i].node, i % 8);
	return NULL;
}

Test(inbox, several_senders)
{
	unsigned int next[SENDERS] = { 0 };
	pthread_t thread[SENDERS];
	unsigned int count = 0;

	for (unsigned int i = 0; i < SENDERS; i++) {
		for (unsigned int k = 0; k < LETTERS; k++)
			letters[i][k] = (struct letter){ .number = k, .sender = i };
		cr_assert_eq(pthread_create(&thread[i], NULL, send_all, letters[i]), 0);
	}
	while (count < SENDERS * LETTERS) {
		for (uintptr_t at = inbox_drain(&shared); at; at = inbox_node(at)->next) {
			const struct letter *letter = letter_of(at);

			cr_assert_eq(letter->number, next[letter->sender]);
			cr_assert_eq(inbox_tag(at), letter->number % 8);
			next[letter->sender]++;
			count++;
		}
	}
	for (unsigned int i = 0; i < SENDERS; i++)
		pthread_join(thread[i], NULL);
	cr_expect(inbox_empty(&shared));
}
