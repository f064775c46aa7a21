/* SPDX-License-Identifier: MIT */
/*
 * rota_error_last(): the report behind the error that a close, a gather, a race or an await gave.
 *
 * Behaviours of CPython's tests of exceptions through tasks, gather and task groups, as far as they
 * can be: which task it was, what it said, who waited for it, in what order; that a handled error
 * does not turn up again; that tasks do not see one another's. Left out: several errors in one
 * report, causes and contexts, frames (a report has the sites of the spawns).
 */
#include "unit.h"

TestSuite(trace_back, .timeout = HANG_SECONDS);

#define HERE "(trace_back_test.c:"

static int fail_with_text(void *arg)
{
	rota_task_set_name("fetcher");
	return rota_fail((int)(intptr_t)arg, "fetching %s, try %d", "http://x", 3);
}

static int fail_later(void *arg)
{
	for (int i = 0; i < 5; i++)
		if (rota_yield())
			return -ECANCELED;
	return fail_with_text(arg);
}

static bool begins_with(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

/* A report of fail_with_text(), which was spawned by the main task. */
static void expect_fetcher(const struct rota_error *error, int status, const char *site)
{
	const struct rota_error *main_task;

	if (!EXPECT(error != NULL))
		return;
	EXPECT_EQ(error->status, status);
	EXPECT_STR_EQ(error->task_name, "fetcher");
	EXPECT_STR_EQ(error->message, "fetching http://x, try 3");
	expect_at(begins_with(error->site, site), "site: %s\n", error->site);
	EXPECT(error->task_id != rota_task_id(rota_task_self()));
	EXPECT_EQ(error->depth, 1);
	main_task = error->awaiter;
	if (!EXPECT(main_task != NULL))
		return;
	EXPECT_EQ(main_task->depth, 0);
	EXPECT_EQ(main_task->task_id, rota_task_id(rota_task_self()));
	EXPECT_STR_EQ(main_task->message, "");
	EXPECT(main_task->task_name != NULL && main_task->site != NULL);
	EXPECT(main_task->awaiter == NULL);
}

/* None yet. */

Test(trace_back, outside_a_task_there_is_none)
{
	cr_expect_null(rota_error_last());
}

TASK_TEST(trace_back, without_an_error_there_is_none)
{
	struct rota_call call = { .fn = task_return };
	struct rota_group group;

	EXPECT(rota_error_last() == NULL);
	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(4)), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(rota_gather(&call, 1), 0);
	EXPECT(rota_error_last() == NULL);
}

/* Who gives one. */

TASK_TEST(trace_back, of_a_close)
{
	static const uint32_t policies[] = { ROTA_GROUP_FAIL_FAST, ROTA_GROUP_COLLECT,
		ROTA_GROUP_FIRST_WINS };

	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		const struct rota_group_options options = { .policy = policies[i] };
		struct rota_group group;

		rota_group_open(&group, &options);
		EXPECT_EQ(rota_group_spawn(&group, fail_with_text, STATUS(-EXDEV)), 0);
		EXPECT_EQ(rota_group_close(&group, 0), -EXDEV);
		expect_fetcher(rota_error_last(), -EXDEV, "fail_with_text " HERE);
	}
}

TASK_TEST(trace_back, of_a_gather)
{
	struct rota_call calls[] = { { .fn = task_forever },
		{ .fn = fail_with_text, .arg = STATUS(-EDOM) } };

	EXPECT_EQ(rota_gather(calls, ARRAY_SIZE(calls)), -EDOM);
	expect_fetcher(rota_error_last(), -EDOM, "");
}

TASK_TEST(trace_back, of_a_race)
{
	struct rota_call calls[] = { { .fn = fail_with_text, .arg = STATUS(-EDOM) },
		{ .fn = fail_later, .arg = STATUS(-EDOM) } };

	EXPECT_EQ(rota_race(calls, ARRAY_SIZE(calls)), -EDOM);
	expect_fetcher(rota_error_last(), -EDOM, "");
}

TASK_TEST(trace_back, of_an_await)
{
	const struct rota_group_options options = { .policy = ROTA_GROUP_COLLECT };

	for (uint32_t loop = 0; loop < rota_loop_count(); loop++) {
		const struct rota_spawn_options there = {
			.flags = ROTA_SPAWN_ON_LOOP,
			.loop = loop,
		};
		struct rota_group group;
		struct rota_task *task[2];
		int status = 0;

		rota_group_open(&group, &options);
		/* Waited for before its end, and some time after it. */
		for (int i = 0; i < 2; i++)
			EXPECT_EQ(rota_group_spawn_with(&group, fail_later,
					  STATUS(i ? -EDOM : -EXDEV), &task[i], &there),
				0);
		EXPECT_EQ(rota_task_await(task[0], &status), 0);
		EXPECT_EQ(status, -EXDEV);
		expect_fetcher(rota_error_last(), -EXDEV, "fail_later " HERE);
		EXPECT_EQ(rota_group_wait(&group), 0);
		for (int i = 0; i < 2; i++) {
			EXPECT_EQ(rota_task_await(task[1], &status), 0);
			EXPECT_EQ(status, -EDOM);
			expect_fetcher(rota_error_last(), -EDOM, "fail_later " HERE);
			EXPECT_EQ(rota_task_await(task[0], &status), 0);
			EXPECT_EQ(status, -EXDEV);
			expect_fetcher(rota_error_last(), -EXDEV, "fail_later " HERE);
		}
		EXPECT_EQ(rota_group_close(&group, 0), -EXDEV);
	}
}

/* The status is asked for or not: there is a report. */
TASK_TEST(trace_back, of_an_await_that_does_not_ask)
{
	const struct rota_group_options options = { .policy = ROTA_GROUP_COLLECT };
	struct rota_group group;
	struct rota_task *task;

	rota_group_open(&group, &options);
	EXPECT_EQ(rota_group_spawn_with(&group, fail_with_text, STATUS(-EXDEV), &task, NULL), 0);
	EXPECT_EQ(rota_task_await(task, NULL), 0);
	expect_fetcher(rota_error_last(), -EXDEV, "fail_with_text " HERE);
	EXPECT_EQ(rota_group_close(&group, 0), -EXDEV);
	expect_fetcher(rota_error_last(), -EXDEV, "fail_with_text " HERE);
}

/* Several wait for one: each of them has it. */

struct awaiter {
	struct rota_task *task;
	struct a32 *count;
};

static int await_and_look(void *arg)
{
	const struct awaiter *awaiter = arg;
	const struct rota_error *error;
	int status = 0;

	EXPECT_EQ(rota_task_await(awaiter->task, &status), 0);
	EXPECT_EQ(status, -EXDEV);
	error = rota_error_last();
	if (EXPECT(error != NULL)) {
		EXPECT_EQ(error->status, -EXDEV);
		EXPECT_STR_EQ(error->task_name, "fetcher");
		EXPECT_STR_EQ(error->message, "fetching http://x, try 3");
	}
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(rota_yield(), 0);
	EXPECT(rota_error_last() == error);
	a32_add_acq_rel(awaiter->count, 1);
	return 0;
}

TASK_TEST(trace_back, of_each_that_awaits)
{
	const struct rota_group_options options = { .policy = ROTA_GROUP_COLLECT };
	struct a32 count = { 0 };
	struct rota_group helpers;
	struct rota_group group;

	for (int round = 0; round < 10; round++) {
		struct awaiter awaiter = { .count = &count };

		rota_group_open(&group, &options);
		rota_group_open(&helpers, NULL);
		awaiter.task = spawn(&group, fail_later, STATUS(-EXDEV));
		for (int i = 0; i < 10; i++)
			EXPECT_EQ(rota_group_spawn_copy(
					  &helpers, await_and_look, &awaiter, sizeof(awaiter)),
				0);
		EXPECT_EQ(rota_group_close(&helpers, 0), 0);
		EXPECT_EQ(rota_group_close(&group, 0), -EXDEV);
	}
	EXPECT_EQ(a32_load_relaxed(&count), 100);
}

/* How long. */

TASK_TEST(trace_back, lasts_until_the_next_one)
{
	const struct rota_error *error;
	struct rota_scope scope;
	struct rota_group group;

	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, fail_with_text, STATUS(-EXDEV)), 0);
	EXPECT_EQ(rota_group_close(&group, 0), -EXDEV);
	error = rota_error_last();
	/* Not touched by what gives none. */
	rota_scope_open(&scope, 0);
	EXPECT_EQ(rota_scope_close(&scope, rota_yield()), -ETIMEDOUT);
	EXPECT_EQ(rota_sleep(ROTA_MICROSECOND), 0);
	EXPECT(rota_fail(-EIO, "of its own") == -EIO);
	expect_fetcher(rota_error_last(), -EXDEV, "fail_with_text " HERE);
	EXPECT(rota_error_last() == error);

	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, fail_with_text, STATUS(-EDOM)), 0);
	EXPECT_EQ(rota_group_close(&group, 0), -EDOM);
	expect_fetcher(rota_error_last(), -EDOM, "fail_with_text " HERE);
}

static int look_for_none(void *arg)
{
	(void)arg;
	for (int i = 0; i < 10; i++) {
		EXPECT(rota_error_last() == NULL);
		EXPECT_EQ(rota_yield(), 0);
	}
	return 0;
}

TASK_TEST(trace_back, is_the_tasks_own)
{
	struct rota_group others;
	struct rota_group group;

	rota_group_open(&others, NULL);
	for (int i = 0; i < 20; i++)
		EXPECT_EQ(rota_group_spawn(&others, look_for_none, NULL), 0);
	for (int i = 0; i < 20; i++) {
		rota_group_open(&group, NULL);
		EXPECT_EQ(rota_group_spawn(&group, fail_with_text, STATUS(-EXDEV)), 0);
		EXPECT_EQ(rota_group_close(&group, 0), -EXDEV);
		EXPECT_EQ(rota_group_spawn(&others, look_for_none, NULL), 0);
	}
	EXPECT_EQ(rota_group_close(&others, 0), 0);
}

/* The chain. */

static const struct rota_spawn_options named[] = { { .name = "outer" }, { .name = "middle" },
	{ .name = "inner" } };

static int nest(void *arg)
{
	int level = (int)(intptr_t)arg;
	const struct rota_error *error;
	struct rota_group group;
	int err;

	if (level == 3)
		return rota_fail(-EMLINK, "at the bottom");
	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn_with(&group, nest, STATUS(level + 1), NULL, &named[level]), 0);
	err = rota_group_close(&group, 0);
	error = rota_error_last();
	/* On each level the same story, of the one at the bottom. */
	if (EXPECT(error != NULL)) {
		EXPECT_STR_EQ(error->task_name, "inner");
		EXPECT_STR_EQ(error->message, "at the bottom");
	}
	return err;
}

static void expect_chain(const struct rota_error *error, const char *const *names, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (!EXPECT(error != NULL))
			return;
		EXPECT_STR_EQ(error->task_name, names[i]);
		EXPECT_EQ(error->depth, count - 1 - i);
		expect_at(begins_with(error->site, i + 1 < count ? "nest " HERE : "main"),
			"site %u: %s\n", i, error->site);
		error = error->awaiter;
	}
	EXPECT(error == NULL);
}

TASK_TEST(trace_back, names_who_waited)
{
	static const char *const names[] = { "inner", "middle", "outer", "main" };

	rota_task_set_name("main");
	EXPECT_EQ(nest(STATUS(0)), -EMLINK);
	EXPECT_EQ(rota_error_last()->status, -EMLINK);
	expect_chain(rota_error_last(), names, ARRAY_SIZE(names));
}

TASK_TEST(trace_back, is_printed_with_its_chain)
{
	char text[4096] = "";
	ssize_t n;
	int fd[2];

	EXPECT_EQ(pipe2(fd, O_CLOEXEC), 0);
	EXPECT_EQ(nest(STATUS(0)), -EMLINK);
	rota_error_print(rota_error_last(), fd[1]);
	n = read(fd[0], text, sizeof(text) - 1);
	EXPECT(n > 0);
	EXPECT(begins_with(text, "rota: error: "));
	EXPECT(strstr(text, "(EMLINK): at the bottom\n"));
	EXPECT(strstr(text, "\"inner\"") && strstr(text, "\"middle\"") &&
		strstr(text, "\"outer\""));
	EXPECT(strstr(text, "nest " HERE));
	EXPECT_EQ(lines_of(text), 5);
	rota_close(fd[0]);
	rota_close(fd[1]);
}

/* Handled on the way: what comes after it is another story. */

static int handle_and_fail_otherwise(void *arg)
{
	struct rota_group group;

	(void)arg;
	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, fail_with_text, STATUS(-EXDEV)), 0);
	EXPECT_EQ(rota_group_close(&group, 0), -EXDEV);
	rota_task_set_name("handler");
	return rota_fail(-EDOM, "of its own");
}

TASK_TEST(trace_back, of_who_handled_another)
{
	const struct rota_error *error;
	struct rota_group group;

	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, handle_and_fail_otherwise, NULL), 0);
	EXPECT_EQ(rota_group_close(&group, 0), -EDOM);
	error = rota_error_last();
	if (!EXPECT(error != NULL))
		return;
	EXPECT_STR_EQ(error->task_name, "handler");
	EXPECT_STR_EQ(error->message, "of its own");
}

/* Cancelled. */

TASK_TEST(trace_back, of_a_cancelled_task_says_why)
{
	const struct rota_error *error;
	struct rota_group group;
	struct rota_task *task;
	int status = 0;

	rota_group_open(&group, NULL);
	task = spawn(&group, task_forever, NULL);
	rota_task_cancel(task, "no longer wanted");
	EXPECT_EQ(rota_task_await(task, &status), 0);
	EXPECT_EQ(status, -ECANCELED);
	error = rota_error_last();
	if (EXPECT(error != NULL)) {
		EXPECT_EQ(error->status, -ECANCELED);
		EXPECT_STR_EQ(error->message, "no longer wanted");
	}
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

/* Many, in all orders: for the sanitizers. */

static int await_other(void *arg)
{
	int status = 0;
	int err = rota_task_await(arg, &status);

	return err ? err : status;
}

TASK_TEST(trace_back, of_many)
{
	const struct rota_group_options options = { .policy = ROTA_GROUP_COLLECT };
	struct rota_group group;
	struct rota_task *task[20];

	for (int round = 0; round < 10; round++) {
		rota_group_open(&group, &options);
		task[0] = spawn(&group, fail_later, STATUS(-EXDEV));
		for (int i = 1; i < 20; i++)
			task[i] = spawn(&group, await_other, task[i / 2]);
		for (int i = 19; i >= 0; i--) {
			int status = 0;

			EXPECT_EQ(rota_task_await(task[i], &status), 0);
			EXPECT_EQ(status, -EXDEV);
			EXPECT(rota_error_last() && rota_error_last()->status == -EXDEV);
			if (i % 3 == 0)
				rota_task_release(task[i]);
		}
		EXPECT_EQ(rota_group_close(&group, 0), -EXDEV);
		EXPECT(rota_error_last() && rota_error_last()->status == -EXDEV);
	}
}
