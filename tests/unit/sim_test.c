/* SPDX-License-Identifier: MIT */
/*
 * Simulation: one seed one run, virtual time, deadlocks that are found. Each run is a child, since
 * the hash goes on over all runs of a process.
 */
#include "unit.h"

#include <inttypes.h>

#include "sim/sim.h"

TestSuite(sim, .timeout = HANG_SECONDS);

static int step(void *arg)
{
	unsigned char byte;

	(void)arg;
	for (int i = 0; i < 5; i++) {
		rota_random(&byte, 1);
		if (byte % 2 ? rota_yield() : rota_sleep(byte * ROTA_MILLISECOND))
			return -EIO;
	}
	return 0;
}

static int play(void *arg)
{
	struct rota_group group;
	int fd[2];
	char c;

	(void)arg;
	rota_group_open(&group, NULL);
	for (int i = 0; i < 50; i++)
		EXPECT_EQ(rota_group_spawn(&group, step, NULL), 0);
	EXPECT_EQ(pipe2(fd, O_CLOEXEC), 0);
	EXPECT_EQ(rota_write(fd[1], "x", 1), 1);
	EXPECT_EQ(rota_read(fd[0], &c, 1), 1);
	EXPECT_EQ(rota_close(fd[0]), 0);
	EXPECT_EQ(rota_close(fd[1]), 0);
	return rota_group_close(&group, 0);
}

struct seed {
	const char *seed;
	uint32_t loops;
};

/* Prints the hash, nothing else. */
static int run_seed(void *arg)
{
	const struct seed *seed = arg;
	const struct rota_config config = {
		.loops = seed->loops,
		.on_log = keep_log,
		.flags = ROTA_CONFIG_DEBUG,
	};
	int status;

	setenv("ROTA_SIM", seed->seed, 1);
	status = rota_run(play, NULL, &config);
	dprintf(2, "%016" PRIx64 "%s", rota__sim_trace_hash(), failures.text);
	return status;
}

static void hash_of(const char *seed, uint32_t loops, char hash[32])
{
	struct seed arg = { seed, loops };
	struct child *child = run_child(run_seed, &arg);

	cr_expect(child_exited(child, 0), "%x %s", child->wait_status, child->err);
	cr_expect_eq(child->len, 16, "%s", child->err);
	snprintf(hash, 32, "%.16s", child->err);
}

Test(sim, the_same_seed_is_the_same_run)
{
	static const char *const seeds[] = { "0", "1", "2", "3", "18446744073709551615" };

	for (uint32_t loops = 1; loops <= 5; loops += 2) {
		for (size_t i = 0; i < ARRAY_SIZE(seeds); i++) {
			char first[32];
			char second[32];

			hash_of(seeds[i], loops, first);
			hash_of(seeds[i], loops, second);
			cr_expect_str_eq(first, second, "seed %s, %u loops", seeds[i], loops);
		}
	}
}

Test(sim, different_seeds_are_different_runs)
{
	enum { SEEDS = 20 };
	char hash[SEEDS][32];

	for (int i = 0; i < SEEDS; i++) {
		char seed[16];

		snprintf(seed, sizeof(seed), "%d", i);
		hash_of(seed, 3, hash[i]);
		for (int k = 0; k < i; k++)
			cr_expect_str_neq(hash[i], hash[k], "seeds %d and %d", k, i);
	}
}

Test(sim, the_number_of_loops_is_part_of_it)
{
	char two[32];
	char three[32];

	hash_of("7", 2, two);
	hash_of("7", 3, three);
	cr_expect_str_neq(two, three);
}

static void run_simulated(rota_task_fn *fn)
{
	const struct rota_config config = {
		.loops = 3,
		.backend = ROTA_BACKEND_SIM,
		.on_log = keep_log,
		.flags = ROTA_CONFIG_DEBUG,
	};

	cr_expect_eq(rota_run(fn, NULL, &config), 0, "%s", the_log.text);
	report_failures();
}

static int sleep_an_hour(void *arg)
{
	int64_t begin = rota_now();
	int64_t wall = rota_time_wall();

	(void)arg;
	EXPECT_EQ(rota_sleep(3600 * ROTA_SECOND), 0);
	EXPECT(rota_now() - begin >= 3600 * ROTA_SECOND);
	EXPECT(rota_time_wall() - wall >= 3600 * ROTA_SECOND);
	/* Nothing else to do meanwhile: the clock jumps there, and not far beyond. */
	EXPECT(rota_now() - begin < 3601 * ROTA_SECOND);
	EXPECT_EQ(rota_sleep(24 * 365 * 3600 * ROTA_SECOND), 0);
	return 0;
}

Test(sim, an_hour_takes_no_time)
{
	int64_t before = rota_now();
	int64_t after;

	run_simulated(sleep_an_hour);
	cr_expect(rota__sim_active());
	/* The real clock is back. It would be years ahead, were it the virtual one. */
	after = rota_now();
	cr_expect_geq(after, before);
	cr_expect_lt(after - before, 3600 * ROTA_SECOND);
}

static int look_around(void *arg)
{
	(void)arg;
	EXPECT_STR_EQ(rota_backend_name(), "sim");
	EXPECT_EQ(rota_loop_count(), 3);
	EXPECT(rota_loop_self() >= 0);
	EXPECT(rota_runtime_self() != NULL);
	return 0;
}

Test(sim, is_a_runtime_like_any_other)
{
	run_simulated(look_around);
}

Test(sim, begins_as_not_simulated)
{
	const struct rota_config config = UNIT_CONFIG;

	cr_expect_eq(rota_run(task_return, NULL, &config), 0);
	cr_expect_not(rota__sim_active());
	cr_expect_eq(rota__sim_trace_hash(), 0);
}

static int wait_for_ever(void *arg)
{
	(void)arg;
	return rota_sleep(ROTA_FOREVER);
}

static int await_each_other(void *arg)
{
	struct rota_task **other = arg;

	return rota_task_await(*other, NULL);
}

static int lock_up(void *arg)
{
	struct rota_task *a = NULL;
	struct rota_task *b = NULL;
	const struct rota_group_options local = { .flags = ROTA_SPAWN_LOCAL };
	struct rota_group group;

	(void)arg;
	rota_group_open(&group, &local);
	rota_group_spawn_with(&group, await_each_other, &b, &a, NULL);
	rota_group_spawn_with(&group, await_each_other, &a, &b, NULL);
	return rota_group_close(&group, 0);
}

static rota_task_fn *stuck;

static int run_stuck(void *arg)
{
	const struct rota_config config = { .loops = 2 };

	setenv("ROTA_SIM", arg, 1);
	return rota_run(stuck, NULL, &config);
}

Test(sim, a_deadlock_is_reported)
{
	static rota_task_fn *const fns[] = { wait_for_ever, lock_up };

	for (size_t i = 0; i < ARRAY_SIZE(fns); i++) {
		struct child *child;

		stuck = fns[i];
		child = run_child(run_stuck, (char[]){ "4711" });
		cr_expect(child_died_by(child, SIGABRT), "%x %s", child->wait_status, child->err);
		cr_expect_not_null(strstr(child->err, "every task waits"), "%s", child->err);
		cr_expect_not_null(strstr(child->err, "ROTA_SIM=4711"), "%s", child->err);
	}
}

/* Which task comes first is the seed's choice: all orders of three come up. */
static unsigned int orders;
static char order[8];

static int note_turn(void *arg)
{
	order[strlen(order)] = (char)('0' + (intptr_t)arg);
	return 0;
}

static int take_turns(void *arg)
{
	struct rota_group group;

	(void)arg;
	memset(order, 0, sizeof(order));
	rota_group_open(&group, NULL);
	for (intptr_t i = 0; i < 3; i++)
		EXPECT_EQ(rota_group_spawn(&group, note_turn, STATUS(i)), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	orders |= 1u << (9 * (order[0] - '0') + 3 * (order[1] - '0') + order[2] - '0');
	return 0;
}

Test(sim, the_seed_chooses_the_order)
{
	for (int seed = 0; seed < 500; seed++) {
		char text[16];

		snprintf(text, sizeof(text), "%d", seed);
		setenv("ROTA_SIM", text, 1);
		run_simulated(take_turns);
	}
	cr_expect_geq(__builtin_popcount(orders), 4, "%x", orders);
}

static int random_number(void *arg)
{
	rota_random(arg, sizeof(uint64_t));
	return 0;
}

Test(sim, random_numbers_come_from_the_seed)
{
	const struct rota_config config = { .loops = 1, .on_log = keep_log };
	uint64_t number[3] = { 0 };

	setenv("ROTA_SIM", "5", 1);
	cr_expect_eq(rota_run(random_number, &number[0], &config), 0);
	cr_expect_eq(rota_run(random_number, &number[1], &config), 0);
	setenv("ROTA_SIM", "6", 1);
	cr_expect_eq(rota_run(random_number, &number[2], &config), 0);
	cr_expect_eq(number[0], number[1]);
	cr_expect_neq(number[0], number[2]);
	/* And not any more, when it is over. */
	random_number(&number[1]);
	cr_expect_neq(number[0], number[1]);
}

static void keep_info(void *arg, int level, const char *text)
{
	if (level == ROTA_LOG_INFO)
		keep_log(arg, ROTA_LOG_WARNING, text);
}

Test(sim, says_what_it_was)
{
	const struct rota_config config = { .loops = 1, .on_log = keep_info };

	setenv("ROTA_SIM", "99", 1);
	cr_expect_eq(rota_run(task_return, NULL, &config), 0);
	cr_expect_eq(the_log.lines, 1, "%s", the_log.text);
	cr_expect_not_null(strstr(the_log.text, "seed 99"), "%s", the_log.text);
	cr_expect_not_null(strstr(the_log.text, "trace hash"), "%s", the_log.text);
}

/* Started on a thread of its own, with plain threads outside of it. */
Test(sim, threads_may_call_into_it)
{
	const struct rota_config config = {
		.loops = 2,
		.backend = ROTA_BACKEND_SIM,
		.on_log = keep_log,
		.flags = ROTA_CONFIG_NO_ENV,
	};
	struct rota_runtime *rt = NULL;
	struct rota_task *task = NULL;
	int status = 0;

	cr_assert_eq(rota_start(&rt, &config), 0);
	for (int i = 0; i < 20; i++)
		cr_expect_eq(rota_runtime_call(rt, task_return, STATUS(i)), i);
	cr_expect_eq(rota_runtime_spawn(rt, task_forever, NULL, &task, NULL), 0);
	rota_task_cancel(task, NULL);
	cr_expect_eq(rota_task_await(task, &status), 0);
	cr_expect_eq(status, -ECANCELED);
	rota_task_release(task);
	cr_expect_eq(rota_stop(rt), 0);
}
