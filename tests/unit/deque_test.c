/* SPDX-License-Identifier: MIT */
/*
 * The split deque on one thread: who gets what, in which order, at every position of its indices.
 * What several threads do to it is tests/model's business.
 */
#include "unit.h"

#include "core/deque.h"

TestSuite(deque, .timeout = HANG_SECONDS);

static struct deque deque;
static char items[4 * DEQUE_SIZE];

/* Items are addresses in items[]: their number. */
static void *item(size_t number)
{
	return &items[number];
}

static long number_of(const void *what)
{
	return what ? (const char *)what - items : -1;
}

static void push(size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		cr_assert(deque_push(&deque, item(i)));
}

/* Moves the indices on by n, with the deque empty before and after. */
static void move_on(size_t n)
{
	while (n--) {
		cr_assert(deque_push(&deque, item(0)));
		cr_assert_eq(number_of(deque_take_oldest(&deque)), 0);
	}
}

Test(deque, empty_gives_nothing)
{
	void *got[4];

	cr_expect_null(deque_take_newest(&deque));
	cr_expect_null(deque_take_oldest(&deque));
	cr_expect_null(deque_peek_newest(&deque));
	cr_expect_eq(deque_steal(&deque, got, 4), 0);
	cr_expect_not(deque_has_shared(&deque));
	cr_expect_not(deque_publish(&deque));
	cr_expect_eq(deque_private(&deque), 0);
}

Test(deque, the_owner_takes_the_newest_first)
{
	push(0, 100);
	cr_expect_eq(deque_private(&deque), 100);
	for (long i = 99; i >= 0; i--) {
		cr_expect_eq(number_of(deque_peek_newest(&deque)), i);
		cr_expect_eq(number_of(deque_take_newest(&deque)), i);
	}
	cr_expect_null(deque_take_newest(&deque));
}

Test(deque, peek_and_drop)
{
	push(0, 3);
	cr_expect_eq(number_of(deque_peek_newest(&deque)), 2);
	deque_drop_newest(&deque);
	cr_expect_eq(number_of(deque_peek_newest(&deque)), 1);
	/* What is shared is not for peeking. */
	deque_publish(&deque);
	cr_expect_null(deque_peek_newest(&deque));
	cr_expect_eq(number_of(deque_take_newest(&deque)), 1);
	cr_expect_eq(number_of(deque_take_newest(&deque)), 0);
}

Test(deque, the_oldest_comes_first_when_it_is_asked_for)
{
	push(0, 50);
	for (long i = 0; i < 10; i++)
		cr_expect_eq(number_of(deque_take_oldest(&deque)), i);
	deque_publish(&deque);
	push(50, 60);
	for (long i = 10; i < 60; i++)
		cr_expect_eq(number_of(deque_take_oldest(&deque)), i);
	cr_expect_null(deque_take_oldest(&deque));
	cr_expect_null(deque_take_newest(&deque));
}

Test(deque, thieves_see_only_what_is_published)
{
	void *got[8];

	push(0, 8);
	cr_expect_not(deque_has_shared(&deque));
	cr_expect_eq(deque_steal(&deque, got, 8), 0);
	cr_expect(deque_publish(&deque));
	cr_expect_not(deque_publish(&deque), "there is nothing new");
	cr_expect(deque_has_shared(&deque));
	cr_expect_eq(deque_private(&deque), 0);
	cr_expect_eq(deque_steal(&deque, got, 8), 4);
}

Test(deque, thieves_take_the_older_half_rounded_up)
{
	void *got[DEQUE_SIZE];

	for (unsigned int n = 1; n <= 200; n++) {
		unsigned int half = (n + 1) / 2;

		push(0, n);
		deque_publish(&deque);
		cr_assert_eq(deque_steal(&deque, got, DEQUE_SIZE), half);
		for (unsigned int i = 0; i < half; i++)
			cr_assert_eq(number_of(got[i]), (long)i);
		for (unsigned int i = n; i > half; i--)
			cr_assert_eq(number_of(deque_take_newest(&deque)), (long)i - 1);
		cr_assert_null(deque_take_newest(&deque));
	}
}

Test(deque, thieves_take_no_more_than_they_want)
{
	void *got[DEQUE_SIZE + 1];

	memset(got, 0, sizeof(got));
	push(0, 100);
	deque_publish(&deque);
	cr_expect_eq(deque_steal(&deque, got, 32), 32);
	cr_expect_null(got[32]);
	cr_expect_eq(deque_steal(&deque, got, 1), 1);
	cr_expect_eq(number_of(got[0]), 32);
	cr_expect_eq(deque_steal(&deque, got, 0), 0);
}

Test(deque, the_owner_takes_back_what_was_published)
{
	void *got[4];

	push(0, 4);
	deque_publish(&deque);
	push(4, 6);
	for (long i = 5; i >= 0; i--)
		cr_expect_eq(number_of(deque_take_newest(&deque)), i);
	cr_expect_not(deque_has_shared(&deque));
	cr_expect_eq(deque_steal(&deque, got, 4), 0);
}

Test(deque, is_full_at_its_size)
{
	void *got[DEQUE_SIZE];

	push(0, DEQUE_SIZE);
	cr_expect_not(deque_push(&deque, item(0)));
	/* Room comes from either end. */
	cr_expect_eq(number_of(deque_take_newest(&deque)), DEQUE_SIZE - 1);
	push(DEQUE_SIZE - 1, DEQUE_SIZE);
	cr_expect_not(deque_push(&deque, item(0)));
	cr_expect_eq(number_of(deque_take_oldest(&deque)), 0);
	push(DEQUE_SIZE, DEQUE_SIZE + 1);
	cr_expect_not(deque_push(&deque, item(0)));
	deque_publish(&deque);
	cr_expect_not(deque_push(&deque, item(0)));
	cr_expect_eq(deque_steal(&deque, got, DEQUE_SIZE), DEQUE_SIZE / 2);
	push(DEQUE_SIZE + 1, DEQUE_SIZE + 1 + DEQUE_SIZE / 2);
	cr_expect_not(deque_push(&deque, item(0)));
	for (long i = DEQUE_SIZE + DEQUE_SIZE / 2; i > DEQUE_SIZE / 2; i--)
		cr_assert_eq(number_of(deque_take_newest(&deque)), i);
	cr_expect_null(deque_take_newest(&deque));
}

/* The 16-bit indices go round; at each position the deque is filled, robbed and emptied. */
Test(deque, works_wherever_its_indices_are)
{
	static const size_t starts[] = { 0, 1, DEQUE_SIZE - 1, DEQUE_SIZE, 32767 - DEQUE_SIZE,
		32768, 65536 - DEQUE_SIZE, 65535, 65536, 131071 };

	for (size_t s = 0; s < ARRAY_SIZE(starts); s++) {
		void *got[DEQUE_SIZE];
		unsigned int n;

		memset(&deque, 0, sizeof(deque));
		move_on(starts[s]);
		push(0, DEQUE_SIZE);
		cr_assert_not(deque_push(&deque, item(0)));
		deque_publish(&deque);
		n = deque_steal(&deque, got, DEQUE_SIZE);
		cr_assert_eq(n, DEQUE_SIZE / 2);
		cr_assert_eq(number_of(got[n - 1]), (long)n - 1);
		push(0, n);
		cr_assert_not(deque_push(&deque, item(0)));
		for (long i = (long)n - 1; i >= 0; i--)
			cr_assert_eq(number_of(deque_take_newest(&deque)), i);
		for (long i = n; i < DEQUE_SIZE; i++)
			cr_assert_eq(number_of(deque_take_oldest(&deque)), i);
		cr_assert_null(deque_take_oldest(&deque));
		cr_assert_not(deque_has_shared(&deque));
	}
}

/* Each change of split by the owner has a new version: what ABA is prevented by. */
Test(deque, every_owners_change_has_a_new_version)
{
	uint64_t before = a64_load_relaxed(&deque.word) >> 32;

	push(0, 3);
	cr_expect_eq(a64_load_relaxed(&deque.word) >> 32, before, "private");
	deque_publish(&deque);
	cr_expect_eq(a64_load_relaxed(&deque.word) >> 32, before + 1);
	deque_take_newest(&deque);
	cr_expect_eq(a64_load_relaxed(&deque.word) >> 32, before + 2);
	deque_take_oldest(&deque);
	cr_expect_eq(a64_load_relaxed(&deque.word) >> 32, before + 2, "as a thief");
	deque_take_oldest(&deque);
	push(0, 1);
	deque_take_oldest(&deque);
	cr_expect_eq(a64_load_relaxed(&deque.word) >> 32, before + 3);
}

Test(deque, a_request_is_answered_once)
{
	cr_expect_not(deque_asked(&deque));
	deque_ask(&deque);
	deque_ask(&deque);
	cr_expect(deque_asked(&deque));
	cr_expect_not(deque_asked(&deque));
}

/* Random operations against an array that says what must be there. */
Test(deque, behaves_like_an_array)
{
	static size_t model[DEQUE_SIZE];
	size_t count = 0;
	size_t next = 0;
	unsigned int seed = 777;

	for (int step = 0; step < 400000; step++) {
		void *got[DEQUE_SIZE];
		unsigned int n;
		long is;

		switch (rand_r(&seed) % 8) {
		case 0:
			deque_publish(&deque);
			break;
		case 1:
			is = number_of(deque_take_oldest(&deque));
			cr_assert_eq(is, count ? (long)model[0] : -1);
			if (count)
				memmove(model, model + 1, --count * sizeof(model[0]));
			break;
		case 2:
			n = deque_steal(&deque, got, 1 + (unsigned int)rand_r(&seed) % 40);
			cr_assert_leq(n, (count + 1) / 2);
			for (unsigned int i = 0; i < n; i++)
				cr_assert_eq(number_of(got[i]), (long)model[i]);
			count -= n;
			memmove(model, model + n, count * sizeof(model[0]));
			break;
		case 3:
			is = number_of(deque_take_newest(&deque));
			cr_assert_eq(is, count ? (long)model[count - 1] : -1);
			if (count)
				count--;
			break;
		default:
			cr_assert_eq(deque_push(&deque, item(next)), count < DEQUE_SIZE);
			if (count < DEQUE_SIZE)
				model[count++] = next;
			next = (next + 1) % sizeof(items);
		}
	}
}
