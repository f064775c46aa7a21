/* SPDX-License-Identifier: MIT */
/* One task: its states, name, number, stack; what debug builds check of its transitions. */
#include "unit.h"

#include "core/loop.h"
#include "core/runtime.h"

TestSuite(task, .timeout = HANG_SECONDS);

Test(task, states_have_names)
{
	cr_expect_str_eq(rota_task_state_name(ROTA_TASK_CREATED), "created");
	cr_expect_str_eq(rota_task_state_name(ROTA_TASK_SCHEDULED), "scheduled");
	cr_expect_str_eq(rota_task_state_name(ROTA_TASK_RUNNING), "running");
	cr_expect_str_eq(rota_task_state_name(ROTA_TASK_SUSPENDED), "suspended");
	cr_expect_str_eq(rota_task_state_name(ROTA_TASK_DONE), "done");
	cr_expect_str_eq(rota_task_state_name(ROTA_TASK_ERROR), "error");
	cr_expect_str_eq(rota_task_state_name((enum rota_task_state)6), "unknown");
	cr_expect_str_eq(rota_task_state_name((enum rota_task_state) - 1), "unknown");
	cr_expect_str_eq(rota_task_state_name((enum rota_task_state)INT32_MAX), "unknown");
}

static int run_until_cancelled(void *arg)
{
	struct rota_task *self = rota_task_self();

	(void)arg;
	EXPECT_EQ(rota_task_state(self), ROTA_TASK_RUNNING);
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT_EQ(rota_task_state(self), ROTA_TASK_RUNNING);
	return -ECANCELED;
}

TASK_TEST(task, goes_through_its_states)
{
	const struct rota_group_options local = { .flags = ROTA_SPAWN_LOCAL };
	struct rota_group group;
	struct rota_task *error;
	struct rota_task *done;

	rota_group_open(&group, &local);
	error = spawn(&group, run_until_cancelled, NULL);
	done = spawn(&group, task_return, STATUS(1));
	EXPECT_EQ(rota_task_state(error), ROTA_TASK_SCHEDULED);
	EXPECT_EQ(rota_task_state(done), ROTA_TASK_SCHEDULED);
	EXPECT_EQ(rota_yield(), 0);
	EXPECT_EQ(rota_task_state(error), ROTA_TASK_SUSPENDED);
	EXPECT_EQ(rota_task_state(done), ROTA_TASK_DONE);
	rota_task_cancel(error, NULL);
	EXPECT_EQ(rota_task_await(error, NULL), 0);
	EXPECT_EQ(rota_task_state(error), ROTA_TASK_ERROR);
	EXPECT_EQ(rota_task_state(done), ROTA_TASK_DONE);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

/* The table of transitions: what is not in it ends the program, if somebody watches. */

struct transition {
	enum rota_task_state from;
	enum rota_task_state to;
};

static int make_transition(void *arg)
{
	const struct transition *transition = arg;
	struct rota_task block = { .id = 4711, .site = "here (file.c:1)" };

	a32_store_relaxed(&block.state, transition->from);
	task_state_set(rota__loop_self(), &block, transition->to);
	return task_state(&block) == transition->to ? 0 : 2;
}

static int run_transition(void *arg)
{
	const struct rota_config config = {
		.loops = 1,
		.flags = ROTA_CONFIG_DEBUG | ROTA_CONFIG_NO_ENV,
	};

	return rota_run(make_transition, arg, &config);
}

Test(task, transitions_are_checked)
{
	/* By state: the set of those that may follow. */
	static const unsigned int allowed[] = {
		[ROTA_TASK_CREATED] = 1u << ROTA_TASK_SCHEDULED,
		[ROTA_TASK_SCHEDULED] = 1u << ROTA_TASK_RUNNING | 1u << ROTA_TASK_ERROR,
		[ROTA_TASK_RUNNING] = 1u << ROTA_TASK_SCHEDULED | 1u << ROTA_TASK_SUSPENDED |
				      1u << ROTA_TASK_DONE | 1u << ROTA_TASK_ERROR,
		[ROTA_TASK_SUSPENDED] = 1u << ROTA_TASK_SCHEDULED,
		/* A block that is used again. */
		[ROTA_TASK_DONE] = 1u << ROTA_TASK_CREATED,
		[ROTA_TASK_ERROR] = 1u << ROTA_TASK_CREATED,
	};

	for (unsigned int from = 0; from < 6; from++) {
		for (unsigned int to = 0; to < 6; to++) {
			struct transition transition = { from, to };
			struct child *child = run_child(run_transition, &transition);
			char text[64];

			if (allowed[from] & 1u << to) {
				cr_expect(child_exited(child, 0), "%u to %u: %s", from, to,
					child->err);
				continue;
			}
			snprintf(text, sizeof(text), "cannot go from %s to %s\n",
				rota_task_state_name(from), rota_task_state_name(to));
			cr_expect(child_died_by(child, SIGABRT), "%u to %u", from, to);
			cr_expect_not_null(strstr(child->err, text), "%s", child->err);
			cr_expect_not_null(strstr(child->err, "task 4711 of here (file.c:1)"));
		}
	}
}

static int expect_names(void *arg)
{
	char longest[100];

	EXPECT_STR_EQ(rota_task_name(), arg);
	rota_task_set_name("another");
	EXPECT_STR_EQ(rota_task_name(), "another");
	memset(longest, 'n', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	rota_task_set_name(longest);
	longest[31] = '\0';
	EXPECT_STR_EQ(rota_task_name(), longest);
	rota_task_set_name(NULL);
	EXPECT_STR_EQ(rota_task_name(), "");
	rota_task_set_name("x");
	EXPECT_EQ(rota_yield(), 0);
	EXPECT_STR_EQ(rota_task_name(), "x");
	return 0;
}

TASK_TEST(task, has_a_name)
{
	char name[] = "a-name-that-has-more-than-31-characters";
	char cut[32];
	struct rota_spawn_options options = { .name = name };
	struct rota_group group;

	EXPECT_STR_EQ(rota_task_name(), "main");
	snprintf(cut, sizeof(cut), "%s", name);
	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn_with(&group, expect_names, cut, NULL, &options), 0);
	memset(name, 'x', sizeof(name) - 1); /* copied */
	EXPECT_EQ(rota_group_spawn(&group, expect_names, (char[]){ "" }), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

static int store_id(void *arg)
{
	*(uint64_t *)arg = rota_task_id(rota_task_self());
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a;
	uint64_t right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

TASK_TEST(task, has_a_number_of_its_own)
{
	enum { TASKS = 3000 };
	static uint64_t ids[TASKS];
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (int i = 0; i < TASKS; i++)
		EXPECT_EQ(rota_group_spawn(&group, store_id, &ids[i]), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	qsort(ids, TASKS, sizeof(ids[0]), compare_ids);
	EXPECT(ids[0] > 0);
	for (int i = 1; i < TASKS; i++)
		EXPECT(ids[i] != ids[i - 1]);
}

TASK_TEST(task, its_handle_has_its_number)
{
	struct rota_group group;
	struct rota_task *task;
	uint64_t id = 0;

	rota_group_open(&group, NULL);
	task = spawn(&group, store_id, &id);
	EXPECT_EQ(rota_task_await(task, NULL), 0);
	EXPECT_EQ(rota_task_id(task), id);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

/* Stacks: three quarters of what was asked for can be used. */

static ROTA__NOINLINE int use_bytes(size_t bytes)
{
	volatile char frame[1024];

	memset((void *)(uintptr_t)frame, 1, sizeof(frame));
	if (bytes > sizeof(frame) + 64)
		return use_bytes(bytes - sizeof(frame) - 64) + frame[0];
	return frame[1];
}

static int use_stack(void *arg)
{
	size_t bytes = (size_t)(uintptr_t)arg;

	EXPECT(use_bytes(bytes / 4 * 3) > 0);
	EXPECT_EQ(rota_yield(), 0);
	EXPECT(use_bytes(bytes / 4 * 3) > 0);
	return 0;
}

TASK_TEST(task, stacks_of_every_class)
{
	static const size_t odd[] = { 1, 16383, 16385, 100000, 300000, 1000000, (8u << 20) - 1 };
	/* The address sanitizer makes frames larger. */
	size_t use = ROTA__ASAN ? 2 : 1;

	for (int round = 0; round < 3; round++) {
		struct rota_group group;

		rota_group_open(&group, NULL);
		for (size_t bytes = 16384; bytes <= 8u << 20; bytes *= 2) {
			const struct rota_spawn_options options = { .stack_bytes = bytes };

			EXPECT_EQ(
				rota_group_spawn_with(&group, use_stack,
					STATUS(bytes > 16384 ? bytes / use : 4096), NULL, &options),
				0);
		}
		for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
			const struct rota_spawn_options options = { .stack_bytes = odd[i] };

			EXPECT_EQ(rota_group_spawn_with(&group, use_stack,
					  STATUS(odd[i] > 65536 ? odd[i] / use : 4096), NULL,
					  &options),
				0);
		}
		EXPECT_EQ(rota_group_close(&group, 0), 0);
	}
}

static int stay(void *arg)
{
	a32_add_relaxed(arg, 1);
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	return 0;
}

/* Tasks that all live at once, then end. */
static void live_at_once(uint32_t count, const struct rota_spawn_options *options)
{
	struct a32 started = { 0 };
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (uint32_t i = 0; i < count; i++)
		EXPECT_EQ(rota_group_spawn_with(&group, stay, &started, NULL, options), 0);
	while (a32_load_relaxed(&started) < count)
		EXPECT_EQ(rota_sleep(ROTA_MICROSECOND), 0);
	rota_group_cancel(&group, NULL);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

/* Each size has a cache of its own: one full of common stacks is no reason to spill a rare one. */
TASK_TEST(task, rare_stacks_beside_a_full_cache_of_common_ones)
{
	const struct rota_spawn_options rare = { .stack_bytes = 16384 };

	for (uint32_t count = 256; count < 260; count++) {
		live_at_once(count, NULL);
		live_at_once(3, &rare);
	}
}

TASK_TEST(task, stacks_end_at_eight_mebibytes)
{
	static const uint64_t bytes[] = { (8u << 20) + 1, 16u << 20, UINT64_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(bytes); i++) {
		const struct rota_spawn_options options = { .stack_bytes = bytes[i] };
		struct rota_group group;

		rota_group_open(&group, NULL);
		EXPECT_EQ(
			rota_group_spawn_with(&group, task_return, NULL, NULL, &options), -EINVAL);
		EXPECT_EQ(rota_group_close(&group, 0), -EINVAL);
	}
}

/* Registers and the rounding mode live across switches. */

static int keep_numbers(void *arg)
{
	double number = (double)(intptr_t)arg;
	long a = (long)number + 1;
	long b = (long)number + 2;
	long c = (long)number + 3;

	for (int i = 0; i < 30; i++) {
		double before = number;

		number = number * 1.5 + 1.0;
		EXPECT_EQ(rota_yield(), 0);
		EXPECT(number > before);
		number = (number - 1.0) / 1.5;
		a += i;
		b ^= a;
		EXPECT_EQ(rota_yield(), 0);
		b ^= a;
		a -= i;
	}
	EXPECT_EQ(a, (intptr_t)arg + 1);
	EXPECT_EQ(b, (intptr_t)arg + 2);
	EXPECT_EQ(c, (intptr_t)arg + 3);
	EXPECT(number > (double)(intptr_t)arg - 0.5 && number < (double)(intptr_t)arg + 0.5);
	return 0;
}

TASK_TEST(task, keeps_its_registers)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (int i = 0; i < 100; i++)
		EXPECT_EQ(rota_group_spawn(&group, keep_numbers, STATUS(i * 1000)), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

/* Each task has its own errno as long as it does not suspend: nothing here ever sets it. */
static int keep_errno(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20; i++) {
		errno = 4711;
		EXPECT_EQ(rota_open("/nonexistent", O_RDONLY, 0), -ENOENT);
		EXPECT_EQ(errno, 4711);
	}
	return 0;
}

TASK_TEST(task, errno_is_never_set)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (int i = 0; i < 20; i++)
		EXPECT_EQ(rota_group_spawn(&group, keep_errno, NULL), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}
