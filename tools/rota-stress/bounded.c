/* SPDX-License-Identifier: MIT */
/*
 * A group that stays open, like a server's, keeps nothing of its ended members: its owner waits in
 * the close while a member on another loop spawns and spawns there.
 */
#include "scenarios.h"

#include <stdio.h>
#include <unistd.h>

#include "base/attr.h"

#define WAVE	    200
#define BLOCK_BYTES 128
/* Before so many have run a growth says nothing. */
#define TASKS_LEAST 400000

struct bounded {
	struct run *run;
	struct rota_group *group;
	uint64_t spawned;
	_Atomic(uint64_t) ran;
};

static uint64_t resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long long pages = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%*u %llu", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int short_lived(void *arg)
{
	struct bounded *bounded = arg;

	atomic_fetch_add_explicit(&bounded->ran, 1, memory_order_relaxed);
	return 0;
}

static int server(void *arg)
{
	struct bounded *bounded = arg;
	struct rota_spawn_options options = { .flags = ROTA_SPAWN_LOCAL };
	uint64_t before = 0;
	uint64_t after;

	while (stress_more(bounded->run, bounded->spawned)) {
		for (int i = 0; i < WAVE; i++)
			bounded->spawned += !rota_group_spawn_with(
				bounded->group, short_lived, bounded, NULL, &options);
		while (atomic_load(&bounded->ran) < bounded->spawned)
			(void)rota_yield();
		/* The group's loop may be behind by a moment of a busy machine, not by more. */
		if (bounded->spawned % 10000 == 0)
			(void)rota_sleep(ROTA_MILLISECOND);
		if (!before)
			before = resident_bytes();
	}
	after = resident_bytes();
	/*
	 * Half of what keeping all would cost: on a busy machine the home may come late, and what
	 * has ended meanwhile waits for it. The sanitizers keep memory of their own.
	 */
	if (bounded->spawned < TASKS_LEAST || ROTA__ASAN || ROTA__TSAN)
		return 0;
	STRESS_CHECK(bounded->run, "bounded", after < before + bounded->spawned * BLOCK_BYTES / 2,
		"%llu members came and went in an open group, memory grew by %llu KiB",
		(unsigned long long)bounded->spawned, (unsigned long long)(after - before) / 1024);
	return 0;
}

static int bounded_main(void *arg)
{
	struct bounded bounded = { .run = arg };
	struct rota_spawn_options options = stress_on_loop(rota_loop_count() - 1);
	struct rota_group group;

	bounded.group = &group;
	rota_group_open(&group, NULL);
	(void)rota_group_spawn_with(&group, server, &bounded, NULL, &options);
	STRESS_CHECK(bounded.run, "group-close", rota_group_close(&group, 0) == 0,
		"the server's group does not close with 0");
	STRESS_CHECK(bounded.run, "exactly-once", bounded.spawned == atomic_load(&bounded.ran),
		"%llu tasks were accepted, %llu ran", (unsigned long long)bounded.spawned,
		(unsigned long long)atomic_load(&bounded.ran));
	atomic_fetch_add(&bounded.run->tasks, bounded.spawned);
	return 0;
}

static void run_bounded(struct run *run)
{
	(void)stress_main_task(run, bounded_main, run);
}

const struct scenario scenario_bounded = {
	.name = "bounded",
	.text = "an open group keeps nothing of its ended members",
	.run = run_bounded,
	.quota = 2000000,
	.flags = STRESS_REAL_ONLY,
};
