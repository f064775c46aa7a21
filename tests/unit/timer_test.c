/* SPDX-License-Identifier: MIT */
/* The timer heap by itself: order, clearing, growth. */
#include "unit.h"

#include "core/timer.h"

TestSuite(timer, .timeout = HANG_SECONDS);

/* A timer that writes down when it fired. */
struct probe {
	struct timer timer;
	int64_t when_ns;
	unsigned int fired; /* its place among all; 0: not yet */
};

static unsigned int fired_count;
static int64_t last_when;

static void note(struct loop *loop, struct timer *timer)
{
	struct probe *probe = container_of(timer, struct probe, timer);

	(void)loop;
	cr_assert_eq(probe->fired, 0, "twice");
	cr_assert_eq(timer->index, 0, "it is not set any more");
	cr_assert_geq(probe->when_ns, last_when, "out of order");
	last_when = probe->when_ns;
	probe->fired = ++fired_count;
}

static void set(struct timer_heap *heap, struct probe *probe, int64_t when_ns)
{
	probe->timer = (struct timer){ .fire = note };
	probe->when_ns = when_ns;
	probe->fired = 0;
	cr_assert_eq(rota__timer_set(heap, &probe->timer, when_ns), 0);
	cr_assert_neq(probe->timer.index, 0);
}

static unsigned int fire(struct timer_heap *heap, int64_t now_ns)
{
	last_when = INT64_MIN;
	return rota__timers_fire(heap, NULL, now_ns);
}

Test(timer, an_empty_heap_has_no_next)
{
	struct timer_heap heap = { 0 };

	cr_expect_eq(timer_next(&heap), INT64_MAX);
	cr_expect_eq(fire(&heap, INT64_MAX - 1), 0);
	rota__timers_finish(&heap);
}

Test(timer, fires_what_is_due_and_no_more)
{
	struct timer_heap heap = { 0 };
	struct probe probe[3];

	set(&heap, &probe[0], 30);
	set(&heap, &probe[1], 10);
	set(&heap, &probe[2], 20);
	cr_expect_eq(timer_next(&heap), 10);
	cr_expect_eq(fire(&heap, 9), 0);
	cr_expect_eq(fire(&heap, 20), 2);
	cr_expect_eq(probe[1].fired, 1);
	cr_expect_eq(probe[2].fired, 2);
	cr_expect_eq(probe[0].fired, 0);
	cr_expect_eq(timer_next(&heap), 30);
	cr_expect_eq(fire(&heap, 29), 0);
	cr_expect_eq(fire(&heap, 30), 1);
	cr_expect_eq(timer_next(&heap), INT64_MAX);
	rota__timers_finish(&heap);
}

Test(timer, equal_times_all_fire)
{
	struct timer_heap heap = { 0 };
	struct probe probe[100];

	for (size_t i = 0; i < 100; i++)
		set(&heap, &probe[i], 5);
	cr_expect_eq(fire(&heap, 4), 0);
	cr_expect_eq(fire(&heap, 5), 100);
	rota__timers_finish(&heap);
}

Test(timer, negative_and_extreme_times)
{
	struct timer_heap heap = { 0 };
	struct probe probe[4];

	set(&heap, &probe[0], INT64_MAX - 1);
	set(&heap, &probe[1], INT64_MIN);
	set(&heap, &probe[2], -1);
	set(&heap, &probe[3], 0);
	cr_expect_eq(fire(&heap, -1), 2);
	cr_expect_eq(fire(&heap, INT64_MAX - 2), 1);
	cr_expect_eq(fire(&heap, INT64_MAX - 1), 1);
	rota__timers_finish(&heap);
}

Test(timer, clearing_takes_out_and_is_harmless_twice)
{
	struct timer_heap heap = { 0 };
	struct probe probe[20];
	struct timer idle = { .fire = note };

	for (size_t i = 0; i < 20; i++)
		set(&heap, &probe[i], (int64_t)((i * 7) % 20));
	for (size_t i = 0; i < 20; i += 2) {
		rota__timer_clear(&heap, &probe[i].timer);
		rota__timer_clear(&heap, &probe[i].timer);
		cr_expect_eq(probe[i].timer.index, 0);
	}
	rota__timer_clear(&heap, &idle);
	cr_expect_eq(heap.count, 10);
	cr_expect_eq(fire(&heap, 100), 10);
	for (size_t i = 0; i < 20; i++)
		cr_expect_eq(probe[i].fired != 0, i % 2 == 1);
	rota__timers_finish(&heap);
}

Test(timer, grows_and_keeps_all)
{
	enum { TIMERS = 20000 };
	static struct probe probe[TIMERS];
	struct timer_heap heap = { 0 };

	for (size_t i = 0; i < TIMERS; i++)
		set(&heap, &probe[i], (int64_t)(i * 7919 % TIMERS));
	cr_expect_eq(heap.count, TIMERS);
	cr_expect_eq(timer_next(&heap), 0);
	cr_expect_eq(fire(&heap, TIMERS / 2 - 1), TIMERS / 2);
	cr_expect_eq(fire(&heap, TIMERS), TIMERS / 2);
	rota__timers_finish(&heap);
	cr_expect_eq(heap.count, 0);
	cr_expect_null(heap.slot);
}

/* A timer that sets itself again, and one that clears another, while they fire. */

struct chain {
	struct timer timer;
	struct timer_heap *heap;
	struct timer *victim;
	int64_t next_ns;
	int left;
};

static void fire_again(struct loop *loop, struct timer *timer)
{
	struct chain *chain = container_of(timer, struct chain, timer);

	(void)loop;
	if (chain->victim)
		rota__timer_clear(chain->heap, chain->victim);
	if (!chain->left--)
		return;
	chain->next_ns += 10;
	cr_assert_eq(rota__timer_set(chain->heap, timer, chain->next_ns), 0);
}

Test(timer, may_set_and_clear_while_it_fires)
{
	struct timer_heap heap = { 0 };
	struct probe victim;
	struct chain chain = { { .fire = fire_again }, &heap, &victim.timer, 10, 5 };

	set(&heap, &victim, 20);
	cr_assert_eq(rota__timer_set(&heap, &chain.timer, 10), 0);
	cr_expect_eq(fire(&heap, 35), 3);
	cr_expect_eq(victim.fired, 0);
	cr_expect_eq(timer_next(&heap), 40);
	cr_expect_eq(fire(&heap, 1000), 3);
	cr_expect_eq(heap.count, 0);
	rota__timers_finish(&heap);
}

/* Random sets, clears and fires against a reference: a sorted look at plain arrays. */
Test(timer, behaves_like_a_sorted_list)
{
	enum { TIMERS = 200, STEPS = 100000 };
	static struct probe probe[TIMERS];
	struct timer_heap heap = { 0 };
	unsigned int seed = 12345;
	int64_t now = 0;

	for (int step = 0; step < STEPS; step++) {
		struct probe *one = &probe[rand_r(&seed) % TIMERS];
		int64_t least = INT64_MAX;
		unsigned int due = 0;
		unsigned int count = 0;

		if (one->timer.index)
			rota__timer_clear(&heap, &one->timer);
		else if (rand_r(&seed) % 4)
			set(&heap, one, now + rand_r(&seed) % 1000);
		now += rand_r(&seed) % 8;
		for (size_t i = 0; i < TIMERS; i++) {
			if (!probe[i].timer.index)
				continue;
			count++;
			due += probe[i].when_ns <= now;
			if (probe[i].when_ns < least)
				least = probe[i].when_ns;
		}
		cr_assert_eq(heap.count, count);
		cr_assert_eq(timer_next(&heap), least);
		if (rand_r(&seed) % 3)
			continue;
		cr_assert_eq(fire(&heap, now), due);
		for (size_t i = 0; i < TIMERS; i++)
			cr_assert(!probe[i].timer.index || probe[i].when_ns > now);
	}
	rota__timers_finish(&heap);
}
