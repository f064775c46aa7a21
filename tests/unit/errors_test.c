/* SPDX-License-Identifier: MIT */
/* What is known about a failure: the message, the chain of awaiters, the hook, the printed text. */
#include "unit.h"

TestSuite(errors, .timeout = HANG_SECONDS);

/* What the hook was told, last and how often. */
struct told {
	struct a32 calls;
	int status;
	uint32_t depth;
	uint64_t task_id;
	char name[64];
	char site[64];
	char message[256];
	char awaiters[512]; /* "name site, " each */
	uint32_t awaiter_count;
};

static void keep_error(void *arg, const struct rota_error *error)
{
	struct told *told = arg;

	told->status = error->status;
	told->depth = error->depth;
	told->task_id = error->task_id;
	snprintf(told->name, sizeof(told->name), "%s", error->task_name);
	snprintf(told->site, sizeof(told->site), "%s", error->site);
	snprintf(told->message, sizeof(told->message), "%s", error->message);
	told->awaiters[0] = '\0';
	told->awaiter_count = 0;
	for (const struct rota_error *at = error->awaiter; at; at = at->awaiter) {
		size_t len = strlen(told->awaiters);

		snprintf(told->awaiters + len, sizeof(told->awaiters) - len, "%s %.*s, ",
			at->task_name, (int)strcspn(at->site, " ("), at->site);
		told->awaiter_count++;
		EXPECT_EQ(at->depth, error->depth - told->awaiter_count);
	}
	a32_add_acq_rel(&told->calls, 1);
}

static int run_told(rota_task_fn *fn, struct told *told)
{
	const struct rota_config config = {
		.loops = 2,
		.flags = ROTA_CONFIG_DEBUG,
		.on_log = keep_log,
		.on_error = keep_error,
		.hook_arg = told,
	};
	int status = rota_run(fn, told, &config);

	report_failures();
	return status;
}

/* Background tasks. */

static int fail_with_text(void *arg)
{
	(void)arg;
	rota_task_set_name("fetcher");
	return rota_fail(-ECONNREFUSED, "fetching %s, try %d", "http://x", 3);
}

static int fail_in_background(void *arg)
{
	struct told *told = arg;

	EXPECT_EQ(rota_background(fail_with_text, NULL), 0);
	EXPECT(wait_cell(&told->calls, 1));
	return 0;
}

Test(errors, of_a_background_task_go_to_the_hook)
{
	struct told told = { .status = 0 };

	cr_expect_eq(run_told(fail_in_background, &told), 0);
	cr_expect_eq(a32_load_relaxed(&told.calls), 1);
	cr_expect_eq(told.status, -ECONNREFUSED);
	cr_expect_str_eq(told.name, "fetcher");
	cr_expect_str_eq(told.message, "fetching http://x, try 3");
	cr_expect_eq(strncmp(told.site, "fail_with_text (errors_test.c:", 30), 0, "%s", told.site);
	cr_expect_gt(told.task_id, 0);
}

static int end_well_or_cancelled(void *arg)
{
	(void)arg;
	for (int i = 0; i < 10; i++) {
		EXPECT_EQ(rota_background(task_return, STATUS(i)), 0);
		EXPECT_EQ(rota_background(task_forever, NULL), 0);
	}
	return 0;
}

Test(errors, only_errors_go_to_the_hook)
{
	struct told told = { .status = 0 };

	cr_expect_eq(run_told(end_well_or_cancelled, &told), 0);
	cr_expect_eq(a32_load_relaxed(&told.calls), 0);
}

static int fail_for_real(void *arg)
{
	(void)arg;
	EXPECT_EQ(rota_background(fail_with_text, NULL), 0);
	EXPECT_EQ(rota_sleep(ROTA_MILLISECOND), 0);
	return 0;
}

static int run_without_hook(void *arg)
{
	const struct rota_config config = { .loops = 2, .flags = ROTA_CONFIG_NO_ENV };

	return rota_run(fail_for_real, arg, &config);
}

Test(errors, without_a_hook_they_are_printed)
{
	struct child *child = run_child(run_without_hook, NULL);

	cr_expect(child_exited(child, 0), "%x", child->wait_status);
	cr_expect_not_null(strstr(child->err, "rota: error: Connection refused (ECONNREFUSED): "
					      "fetching http://x, try 3\n"),
		"%s", child->err);
	cr_expect_not_null(strstr(child->err, "\"fetcher\""), "%s", child->err);
}

/* Members. */

static int fail_twice(void *arg)
{
	struct rota_group group;

	(void)arg;
	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, fail_with_text, NULL), 0);
	return rota_group_close(&group, 0);
}

Test(errors, that_are_joined_do_not_go_to_the_hook)
{
	struct told told = { .status = 0 };

	cr_expect_eq(run_told(fail_twice, &told), -ECONNREFUSED);
	cr_expect_eq(a32_load_relaxed(&told.calls), 0);
}

static int fail_when_cancelled(void *arg)
{
	(void)arg;
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	return rota_fail(-EXDEV, "second");
}

static int fail_and_fail(void *arg)
{
	struct told *told = arg;
	struct rota_group group;

	rota_group_open(&group, NULL);
	spawn(&group, fail_when_cancelled, NULL);
	EXPECT_EQ(rota_group_spawn(&group, fail_with_text, NULL), 0);
	EXPECT_EQ(rota_group_close(&group, 0), -ECONNREFUSED);
	/* One error can be the result: the other one is nobody's. */
	EXPECT_EQ(a32_load_acquire(&told->calls), 1);
	return 0;
}

Test(errors, that_come_second_go_to_the_hook)
{
	struct told told = { .status = 0 };

	cr_expect_eq(run_told(fail_and_fail, &told), 0);
	cr_expect_eq(told.status, -EXDEV);
	cr_expect_str_eq(told.message, "second");
}

static int close_with_another(void *arg)
{
	struct told *told = arg;
	struct rota_group group;

	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, fail_with_text, NULL), 0);
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT_EQ(rota_group_close(&group, -EDOM), -EDOM);
	EXPECT_EQ(a32_load_acquire(&told->calls), 1);
	return 0;
}

Test(errors, that_give_way_to_the_owners_go_to_the_hook)
{
	struct told told = { .status = 0 };

	cr_expect_eq(run_told(close_with_another, &told), 0);
	cr_expect_eq(told.status, -ECONNREFUSED);
	cr_expect_str_eq(told.message, "fetching http://x, try 3");
}

static int leave_by_cleanup(void *arg)
{
	ROTA_GROUP(group, NULL);

	EXPECT_EQ(rota_group_spawn(&group, fail_with_text, arg), 0);
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	return 0;
}

static int use_cleanup(void *arg)
{
	struct told *told = arg;

	EXPECT_EQ(leave_by_cleanup(NULL), 0);
	EXPECT_EQ(a32_load_acquire(&told->calls), 1);
	return 0;
}

Test(errors, of_a_cleanup_go_to_the_hook)
{
	struct told told = { .status = 0 };

	cr_expect_eq(run_told(use_cleanup, &told), 0);
	cr_expect_eq(told.status, -ECONNREFUSED);
	cr_expect_str_eq(told.message, "fetching http://x, try 3");
}

/* Messages. */

static int fail_long(void *arg)
{
	char text[300];

	(void)arg;
	memset(text, 'm', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	return rota_fail(-EIO, "%s", text);
}

static int fail_other_status(void *arg)
{
	(void)arg;
	rota_fail(-EIO, "of another status");
	return -EXDEV;
}

static int fail_last_message(void *arg)
{
	(void)arg;
	rota_fail(-EIO, "first");
	return rota_fail_text(-EIO, "last, with %s");
}

static int fail_null_text(void *arg)
{
	(void)arg;
	return rota_fail_text(-EIO, NULL);
}

static int fail_in_turn(void *arg)
{
	static rota_task_fn *const fns[] = { fail_long, fail_other_status, fail_last_message,
		fail_null_text };
	struct told *told = arg;
	char want[4][200] = { "", "", "last, with %s", "" };

	memset(want[0], 'm', 159);
	for (uint32_t i = 0; i < 4; i++) {
		EXPECT_EQ(rota_background(fns[i], NULL), 0);
		EXPECT(wait_cell(&told->calls, i + 1));
		EXPECT_STR_EQ(told->message, want[i]);
	}
	return 0;
}

Test(errors, messages_are_cut_and_belong_to_their_status)
{
	struct told told = { .status = 0 };

	cr_expect_eq(run_told(fail_in_turn, &told), 0);
}

TASK_TEST(errors, fail_returns_the_status)
{
	EXPECT_EQ(rota_fail(-EIO, "%s", "x"), -EIO);
	EXPECT_EQ(rota_fail(7, "%s", "x"), 7);
	EXPECT_EQ(rota_fail_text(-EXDEV, "x"), -EXDEV);
}

/* The chain. */

static const struct rota_spawn_options named[] = { { .name = "outer" }, { .name = "middle" },
	{ .name = "inner" } };

static int nest(void *arg)
{
	int level = (int)(intptr_t)arg;
	struct rota_group group;

	if (level == 3)
		return rota_fail(-EMLINK, "at the bottom");
	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn_with(&group, nest, STATUS(level + 1), NULL, &named[level]), 0);
	return rota_group_close(&group, 0);
}

static int nest_in_background(void *arg)
{
	struct told *told = arg;

	EXPECT_EQ(rota_background(nest, STATUS(0)), 0);
	EXPECT(wait_cell(&told->calls, 1));
	return 0;
}

Test(errors, name_who_failed_and_who_waited)
{
	struct told told = { .status = 0 };

	cr_expect_eq(run_told(nest_in_background, &told), 0);
	cr_expect_eq(told.status, -EMLINK);
	cr_expect_str_eq(told.message, "at the bottom");
	cr_expect_str_eq(told.name, "inner");
	cr_expect_eq(told.depth, told.awaiter_count);
	cr_expect_str_eq(told.awaiters, "middle nest, outer nest,  nest, main main, ");
}

static int descend(void *arg)
{
	intptr_t level = (intptr_t)arg;
	struct rota_group group;

	if (!level)
		return rota_fail(-EMLINK, "far below");
	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, descend, STATUS(level - 1)), 0);
	return rota_group_close(&group, 0);
}

static int descend_in_background(void *arg)
{
	struct told *told = arg;

	EXPECT_EQ(rota_background(descend, STATUS(100)), 0);
	EXPECT(wait_cell(&told->calls, 1));
	return 0;
}

Test(errors, of_a_deep_tree_have_a_bounded_chain)
{
	struct told told = { .status = 0 };

	cr_expect_eq(run_told(descend_in_background, &told), 0);
	cr_expect_str_eq(told.message, "far below");
	cr_expect_eq(told.depth, told.awaiter_count);
	cr_expect_geq(told.depth, 4);
}

static int handle_and_fail_otherwise(void *arg)
{
	struct rota_group group;

	(void)arg;
	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, fail_with_text, NULL), 0);
	EXPECT_EQ(rota_group_close(&group, 0), -ECONNREFUSED);
	return rota_fail(-EDOM, "of its own");
}

static int background_otherwise(void *arg)
{
	struct told *told = arg;

	EXPECT_EQ(rota_background(handle_and_fail_otherwise, NULL), 0);
	EXPECT(wait_cell(&told->calls, 1));
	return 0;
}

Test(errors, that_were_handled_are_not_told_later)
{
	struct told told = { .status = 0 };

	cr_expect_eq(run_told(background_otherwise, &told), 0);
	cr_expect_eq(told.status, -EDOM);
	cr_expect_str_eq(told.message, "of its own");
}

/* Printing. */

static const char *printed(const struct rota_error *error)
{
	static char text[4096];
	ssize_t n;
	int fd[2];

	cr_assert_eq(pipe2(fd, O_CLOEXEC), 0);
	rota_error_print(error, fd[1]);
	close(fd[1]);
	n = read(fd[0], text, sizeof(text) - 1);
	close(fd[0]);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

Test(errors, print_as_lines)
{
	const struct rota_error main_error = {
		.status = -EIO,
		.task_id = 1,
		.task_name = "main",
		.site = "main",
		.message = "",
	};
	const struct rota_error error = {
		.status = -EIO,
		.depth = 1,
		.task_id = 77,
		.task_name = "",
		.site = "fetch (app.c:12)",
		.message = "reading x",
		.awaiter = &main_error,
	};

	cr_expect_str_eq(printed(&error), "rota: error: Input/output error (EIO): reading x\n"
					  "  in task 77, spawned at fetch (app.c:12)\n"
					  "  awaited by task 1 \"main\", spawned at main\n");
	cr_expect_str_eq(printed(&main_error), "rota: error: Input/output error (EIO)\n"
					       "  in task 1 \"main\", spawned at main\n");
	cr_expect_str_empty(printed(NULL));
}

Test(errors, print_whole_even_if_they_are_long)
{
	char message[160];
	char name[32];
	struct rota_error error = { .status = -EIO, .task_id = UINT64_MAX, .site = NULL };

	memset(message, 'm', 159);
	message[159] = '\0';
	memset(name, 'n', 31);
	name[31] = '\0';
	error.message = message;
	error.task_name = name;
	cr_expect_not_null(strstr(printed(&error), message));
	cr_expect_not_null(strstr(printed(&error), name));
	cr_expect_not_null(strstr(printed(&error), "18446744073709551615"));
	cr_expect_eq(lines_of(printed(&error)), 2, "%s", printed(&error));
}

Test(errors, print_a_site_of_any_length)
{
	char site[400];
	struct rota_error error = { .status = -EIO, .task_name = "", .message = "", .site = site };

	memset(site, 's', sizeof(site) - 1);
	site[sizeof(site) - 1] = '\0';
	/* Cut or not, it is lines. */
	cr_expect_eq(lines_of(printed(&error)), 2, "%s", printed(&error));
}
