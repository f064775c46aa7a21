/* SPDX-License-Identifier: MIT */
/* Where tasks run: LOCAL groups and spawns, ON_LOOP, and what they promise without a lock. */
#include "unit.h"

TestSuite(local, .timeout = HANG_SECONDS);

static const struct rota_group_options local = { .flags = ROTA_SPAWN_LOCAL };

/* Shared by the members and their owner without a lock or an atomic. */
struct shared {
	int loop;
	int inside;
	int ran;
};

static int enter(void *arg)
{
	struct shared *shared = arg;

	for (int i = 0; i < 20; i++) {
		EXPECT_EQ(shared->inside++, 0);
		EXPECT_EQ(rota_loop_self(), shared->loop);
		/* Long enough that a second one would be seen. */
		for (int k = 0; k < 1000; k++)
			compiler_barrier();
		EXPECT_EQ(--shared->inside, 0);
		EXPECT_EQ(rota_yield(), 0);
	}
	shared->ran++;
	return 0;
}

TASK_TEST(local, members_never_run_at_once)
{
	struct shared shared = { .loop = rota_loop_self() };
	struct rota_group group;

	rota_group_open(&group, &local);
	for (int i = 0; i < 200; i++)
		EXPECT_EQ(rota_group_spawn(&group, enter, &shared), 0);
	for (int i = 0; i < 20; i++) {
		EXPECT_EQ(shared.inside, 0);
		EXPECT_EQ(rota_yield(), 0);
	}
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(shared.ran, 200);
}

struct remote_spawn {
	struct rota_group *group;
	struct shared *shared;
};

static int spawn_from_here(void *arg)
{
	const struct remote_spawn *remote = arg;

	for (int i = 0; i < 20; i++)
		EXPECT_EQ(rota_group_spawn(remote->group, enter, remote->shared), 0);
	return 0;
}

TASK_TEST(local, members_spawned_from_other_loops_come_to_the_owners)
{
	struct shared shared = { .loop = rota_loop_self() };
	struct rota_group outer;
	struct rota_group group;
	struct remote_spawn remote = { &group, &shared };

	rota_group_open(&outer, NULL);
	rota_group_open(&group, &local);
	for (uint32_t i = 0; i < rota_loop_count(); i++) {
		const struct rota_spawn_options options = { .flags = ROTA_SPAWN_ON_LOOP,
			.loop = i };

		EXPECT_EQ(
			rota_group_spawn_with(&outer, spawn_from_here, &remote, NULL, &options), 0);
	}
	EXPECT_EQ(rota_group_wait(&outer), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(rota_group_close(&outer, 0), 0);
	EXPECT_EQ(shared.ran, 20 * (int)rota_loop_count());
}

static int expect_loop(void *arg)
{
	int loop = (int)(intptr_t)arg;

	EXPECT_EQ(rota_loop_self(), loop);
	EXPECT_EQ(rota_yield(), 0);
	EXPECT_EQ(rota_loop_self(), loop);
	EXPECT_EQ(rota_sleep(ROTA_MICROSECOND), 0);
	EXPECT_EQ(rota_loop_self(), loop);
	return 0;
}

TASK_TEST(local, on_loop_runs_there)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (uint32_t i = 0; i < 20 * rota_loop_count(); i++) {
		const struct rota_spawn_options options = {
			.flags = ROTA_SPAWN_ON_LOOP,
			.loop = i % rota_loop_count(),
		};

		EXPECT_EQ(rota_group_spawn_with(
				  &group, expect_loop, STATUS(options.loop), NULL, &options),
			0);
	}
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

TASK_TEST(local, on_loop_in_a_local_group_only_for_its_own)
{
	struct rota_spawn_options options = {
		.flags = ROTA_SPAWN_ON_LOOP,
		.loop = (uint32_t)rota_loop_self(),
	};
	struct rota_group group;

	rota_group_open(&group, &local);
	EXPECT_EQ(rota_group_spawn_with(&group, expect_loop, STATUS(options.loop), NULL, &options),
		0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	if (rota_loop_count() < 2)
		return;
	options.loop = (options.loop + 1) % rota_loop_count();
	rota_group_open(&group, &local);
	EXPECT_EQ(rota_group_spawn_with(&group, expect_loop, NULL, NULL, &options), -EINVAL);
	EXPECT_EQ(rota_group_close(&group, 0), -EINVAL);
}

static int spawn_local_member(void *arg)
{
	const struct rota_spawn_options options = { .flags = ROTA_SPAWN_LOCAL };

	EXPECT_EQ(rota_group_spawn_with(arg, expect_loop, STATUS(rota_loop_self()), NULL, &options),
		0);
	return 0;
}

TASK_TEST(local, a_local_spawn_runs_on_the_spawners_loop)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (uint32_t i = 0; i < rota_loop_count(); i++) {
		const struct rota_spawn_options options = { .flags = ROTA_SPAWN_ON_LOOP,
			.loop = i };

		EXPECT_EQ(rota_group_spawn_with(&group, spawn_local_member, &group, NULL, &options),
			0);
	}
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

static int keep_thread(void *arg)
{
	pthread_t thread = pthread_self();

	(void)arg;
	for (int i = 0; i < 50; i++) {
		EXPECT_EQ(rota_yield(), 0);
		EXPECT(pthread_equal(pthread_self(), thread));
		if (i % 10 == 0)
			EXPECT_EQ(rota_sleep(ROTA_MICROSECOND), 0);
	}
	EXPECT(pthread_equal(pthread_self(), thread));
	return 0;
}

/* Law L2, also for those that permit more. */
TASK_TEST(local, started_tasks_stay)
{
	const struct rota_spawn_options mobile = { .flags = ROTA_SPAWN_MOBILE };
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (int i = 0; i < 100; i++)
		EXPECT_EQ(rota_group_spawn_with(
				  &group, keep_thread, NULL, NULL, i % 2 ? &mobile : NULL),
			0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

/* Law L1: each loop's own count of who is on it. */
struct runners {
	struct a32 on[256];
};

static int run_alone(void *arg)
{
	struct runners *runners = arg;

	for (int i = 0; i < 20; i++) {
		struct a32 *on = &runners->on[rota_loop_self()];

		EXPECT_EQ(a32_add_acq_rel(on, 1), 0);
		for (int k = 0; k < 1000; k++)
			compiler_barrier();
		EXPECT_EQ(a32_add_acq_rel(on, (uint32_t)-1), 1);
		EXPECT_EQ(rota_yield(), 0);
	}
	return 0;
}

TASK_TEST(local, one_runner_a_loop)
{
	static struct runners runners;
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (int i = 0; i < 500; i++)
		EXPECT_EQ(rota_group_spawn(&group, run_alone, &runners), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}
