/* SPDX-License-Identifier: MIT */
/*
 * A started task never changes its thread, however hungry the other loops are and wherever its
 * wake comes from. A few tasks, so that there is always a loop with nothing to do.
 */
#include "scenarios.h"

#include "segment.h"

#define SUSPENDS 40

struct wanderer {
	struct run *run;
	uint64_t number;
};

static int waker(void *arg)
{
	struct wanderer *wanderer = arg;
	struct prng prng = prng_of(wanderer->run->seed, ~wanderer->number);

	stress_busy(wanderer->run, prng_ns(&prng, 20 * ROTA_MICROSECOND));
	return 0;
}

/* A wake from another loop: by the end of a task that was bound to it. */
static void woken_from_afar(struct segment *segment, struct wanderer *wanderer, struct prng *prng)
{
	struct rota_spawn_options options = stress_on_loop(prng_loop(prng));
	struct rota_task *task = NULL;
	struct rota_group group;

	rota_group_open(&group, NULL);
	(void)rota_group_spawn_with(&group, waker, wanderer, &task, &options);
	if (prng_once_in(prng, 2))
		(void)segment_await(segment, task, NULL);
	else if (prng_once_in(prng, 2))
		(void)segment_wait(segment, &group);
	STRESS_CHECK(segment->run, "group-close", segment_close(segment, &group, 0) == 0,
		"a group of one member does not close with 0");
}

static int wander(void *arg)
{
	struct wanderer *wanderer = arg;
	struct prng prng = prng_of(wanderer->run->seed, wanderer->number);
	struct segment segment;

	segment_start(&segment, wanderer->run);
	for (int i = 0; i < SUSPENDS; i++) {
		switch (prng_below(&prng, 4)) {
		case 0:
			(void)segment_yield(&segment);
			break;
		case 1:
			(void)segment_sleep(&segment, prng_ns(&prng, 100 * ROTA_MICROSECOND));
			break;
		default:
			woken_from_afar(&segment, wanderer, &prng);
		}
		stress_busy(wanderer->run, prng_ns(&prng, 5 * ROTA_MICROSECOND));
	}
	segment_end(&segment);
	atomic_fetch_add_explicit(&wanderer->run->tasks, 1, memory_order_relaxed);
	return 0;
}

/* Wakers do not mark their segments: they never suspend, but they would find our marks. */
static int tied_main(void *arg)
{
	struct run *run = arg;
	uint64_t number = 0;

	while (stress_more(run, number)) {
		struct rota_group group;

		rota_group_open(&group, NULL);
		for (unsigned int i = 0; i < 2 * rota_loop_count(); i++) {
			struct wanderer wanderer = { .run = run, .number = number++ };

			(void)rota_group_spawn_copy(&group, wander, &wanderer, sizeof(wanderer));
		}
		STRESS_CHECK(run, "group-close", rota_group_close(&group, 0) == 0,
			"the wanderers' group does not close with 0");
	}
	return 0;
}

static void run_tied(struct run *run)
{
	(void)stress_main_task(run, tied_main, run);
}

const struct scenario scenario_tied = {
	.name = "tied",
	.text = "started tasks never change their thread",
	.run = run_tied,
	.quota = 5000,
};
