/* SPDX-License-Identifier: MIT */
/* Stealing: who gets what a busy loop has left in its queue. */
#include "unit.h"

#include "base/atomic.h"

#define TASKS 10

static struct a32 ran_on[2];

static void compute(int64_t ns)
{
	int64_t end = rota_now() + ns;

	while (rota_now() < end)
		;
}

static int busy_for_a_while(void *arg)
{
	a32_store_release(arg, 1);
	compute(50 * ROTA_MILLISECOND);
	return 0;
}

static int piece(void *arg)
{
	(void)arg;
	a32_add_relaxed(&ran_on[rota_loop_self()], 1);
	compute(30 * ROTA_MILLISECOND);
	return 0;
}

static int share(void *arg)
{
	const struct rota_spawn_options there = { .flags = ROTA_SPAWN_ON_LOOP, .loop = 1 };
	struct a32 busy = { 0 };
	struct rota_group group;

	(void)arg;
	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn_with(&group, busy_for_a_while, &busy, NULL, &there), 0);
	while (!a32_load_acquire(&busy))
		rota_sleep(ROTA_MICROSECOND);
	/* Nobody asks for these: the other loop has work. It comes later, for what is left. */
	for (int i = 0; i < TASKS; i++)
		EXPECT_EQ(rota_group_spawn(&group, piece, NULL), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	return 0;
}

/* A task that computes for long must not hold back those that were spawned beside it. */
Test(steal, what_was_spawned_while_all_were_busy_is_shared)
{
	const struct rota_config config = { .loops = 2, .flags = ROTA_CONFIG_NO_ENV };

	cr_expect_eq(rota_run(share, NULL, &config), 0);
	cr_expect_eq(a32_load_relaxed(&ran_on[0]) + a32_load_relaxed(&ran_on[1]), TASKS);
	/* One may have been asked for when the other loop was still idle; the others were not. */
	cr_expect_gt(a32_load_relaxed(&ran_on[1]), 1);
	report_failures();
}
