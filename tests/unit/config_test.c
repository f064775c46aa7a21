/* SPDX-License-Identifier: MIT */
/* Options and environment variables: what is wrong is refused, with a line that says what to do. */
#include "unit.h"

TestSuite(config, .timeout = HANG_SECONDS);

static void expect_refused(const struct rota_config *change, int want, const char *part)
{
	struct rota_config config = *change;
	struct rota_runtime *rt = NULL;
	struct a32 count = { 0 };

	config.on_log = keep_log;
	for (int i = 0; i < 2; i++) {
		int err;

		clear_log();
		if (i == 0)
			err = rota_run(task_count, &count, &config);
		else
			err = rota_start(&rt, &config);
		cr_expect_eq(err, want, "%d, not %d: %s", err, want, the_log.text);
		cr_expect_eq(the_log.lines, 1, "%u lines: %s", the_log.lines, the_log.text);
		cr_expect_not_null(
			strstr(the_log.text, part), "no \"%s\" in %s", part, the_log.text);
	}
	cr_expect_null(rt);
	cr_expect_eq(a32_load_relaxed(&count), 0, "it ran");
	cr_expect_null(rota_runtime_self());
}

/* The loops that a good environment leads to; 0: it did not start. */
static int store_loops(void *arg)
{
	*(unsigned int *)arg = rota_loop_count();
	return 0;
}

static unsigned int loops_of(const struct rota_config *change)
{
	struct rota_config config = *change;
	unsigned int loops = 0;

	clear_log();
	config.on_log = keep_log;
	cr_expect_eq(rota_run(store_loops, &loops, &config), 0, "%s", the_log.text);
	cr_expect_eq(the_log.lines, 0, "%s", the_log.text);
	return loops;
}

static const struct rota_config zero;

Test(config, loops_from_the_environment)
{
	static const char *const bad[] = { "abc", "0", "1000000", "257", "-1", "", " 2", "2 ",
		"2.5", "0x2", "+2", "18446744073709551618", "99999999999999999999" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char part[64];

		setenv("ROTA_LOOPS", bad[i], 1);
		snprintf(part, sizeof(part), "ROTA_LOOPS=%s:", bad[i]);
		expect_refused(&zero, -EINVAL, part);
		cr_expect_not_null(strstr(the_log.text, "from 1 to 256"), "%s", the_log.text);
	}
	setenv("ROTA_LOOPS", "3", 1);
	cr_expect_eq(loops_of(&zero), 3);
	/* What the program asks for stays. */
	cr_expect_eq(loops_of(&(struct rota_config){ .loops = 5 }), 5);
}

Test(config, simulation_from_the_environment)
{
	static const char *const bad[] = { "x", "", "-1", "1x", "18446744073709551616" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char part[64];

		setenv("ROTA_SIM", bad[i], 1);
		snprintf(part, sizeof(part), "ROTA_SIM=%s:", bad[i]);
		expect_refused(&zero, -EINVAL, part);
	}
	setenv("ROTA_SIM", "18446744073709551615", 1);
	cr_expect_eq(loops_of(&(struct rota_config){ .loops = 2 }), 2);
}

Test(config, backend_from_the_environment)
{
	static const char *const bad[] = { "foo", "", "URING", "uring ", "uringx" };
	static const char *const good[] = { "uring", "sim", "auto" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char part[64];

		setenv("ROTA_BACKEND", bad[i], 1);
		snprintf(part, sizeof(part), "ROTA_BACKEND=%s:", bad[i]);
		expect_refused(&zero, -EINVAL, part);
	}
	setenv("ROTA_BACKEND", "epoll", 1);
	expect_refused(&zero, -ENOTSUP, "epoll");
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		setenv("ROTA_BACKEND", good[i], 1);
		cr_expect_eq(loops_of(&(struct rota_config){ .loops = 2 }), 2);
	}
}

Test(config, disabled_features_from_the_environment)
{
	static const char *const bad[] = { "foo", "defer,foo", "defer,,msgring", "guards", "gua",
		"defer msgring" };
	static const char *const good[] = { "defer", "msgring", "guard", "defer,msgring,guard",
		"guard,guard", "" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		setenv("ROTA_DISABLE", bad[i], 1);
		expect_refused(&zero, -EINVAL, "ROTA_DISABLE: no feature");
	}
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		setenv("ROTA_DISABLE", good[i], 1);
		cr_expect_eq(loops_of(&(struct rota_config){ .loops = 2 }), 2);
	}
}

static int store_backend(void *arg)
{
	snprintf(arg, 64, "%s", rota_backend_name());
	return 0;
}

Test(config, disabled_features_are_not_used)
{
	struct rota_config config = { .loops = 2 };
	char name[64] = "";

	setenv("ROTA_DISABLE", "defer,msgring", 1);
	cr_expect_eq(rota_run(store_backend, name, &config), 0);
	cr_expect_str_eq(name, "uring");
}

Test(config, the_environment_may_be_ignored)
{
	const struct rota_config config = { .loops = 2, .flags = ROTA_CONFIG_NO_ENV };

	setenv("ROTA_LOOPS", "abc", 1);
	setenv("ROTA_SIM", "abc", 1);
	setenv("ROTA_BACKEND", "abc", 1);
	setenv("ROTA_DISABLE", "abc", 1);
	setenv("ROTA_TRACE", "/nonexistent/trace.json", 1);
	cr_expect_eq(loops_of(&config), 2);
}

Test(config, reserved_members_must_be_zero)
{
	for (size_t i = 0; i < ARRAY_SIZE(zero.reserved); i++) {
		struct rota_config config = { .loops = 1 };

		config.reserved[i] = 1;
		expect_refused(&config, -EINVAL, "reserved");
	}
}

Test(config, unknown_flags_are_refused)
{
	for (unsigned int bit = 5; bit < 32; bit++)
		expect_refused(&(struct rota_config){ .flags = 1u << bit }, -EINVAL, "flags");
}

Test(config, known_flags_are_accepted)
{
	for (uint32_t flags = 0; flags < 32; flags++)
		cr_expect_eq(loops_of(&(struct rota_config){ .loops = 1, .flags = flags }), 1);
}

static void never_called(void *arg, const struct rota_stall *stall)
{
	(void)arg;
	(void)stall;
}

Test(config, what_is_not_implemented_is_refused)
{
	expect_refused(&(struct rota_config){ .signals = 1 }, -ENOTSUP, "signals");
	expect_refused(&(struct rota_config){ .stall_ns = 1 }, -ENOTSUP, "stall_ns");
	expect_refused(&(struct rota_config){ .stall_ns = -1 }, -ENOTSUP, "stall_ns");
	expect_refused(&(struct rota_config){ .on_stall = never_called }, -ENOTSUP, "on_stall");
	expect_refused(&(struct rota_config){ .backend = ROTA_BACKEND_EPOLL }, -ENOTSUP, "epoll");
}

Test(config, numbers_out_of_range_are_refused)
{
	expect_refused(&(struct rota_config){ .loops = 257 }, -EINVAL, "loops");
	expect_refused(&(struct rota_config){ .loops = UINT32_MAX }, -EINVAL, "loops");
	expect_refused(&(struct rota_config){ .shutdown_ns = -1 }, -EINVAL, "shutdown_ns");
	expect_refused(&(struct rota_config){ .backend = 4 }, -EINVAL, "backend");
	expect_refused(
		&(struct rota_config){ .stack_bytes = (8u << 20) + 1 }, -EINVAL, "stack_bytes");
	expect_refused(&(struct rota_config){ .stack_bytes = UINT64_MAX }, -EINVAL, "stack_bytes");
}

Test(config, any_number_of_offload_threads_is_accepted)
{
	const struct rota_config config = { .loops = 1, .offload_threads = UINT32_MAX };

	cr_expect_eq(loops_of(&config), 1);
}

static int spawn_until_refused(void *arg)
{
	struct rota_group group;
	int spawned = 0;
	int err;

	rota_group_open(&group, NULL);
	while (!(err = rota_group_spawn(&group, task_forever, arg)))
		if (++spawned > 1000)
			break;
	EXPECT_EQ(err, -ENOMEM);
	/* One of them is the main task. */
	EXPECT(spawned <= 99);
	EXPECT(spawned > 0);
	rota_group_cancel(&group, NULL);
	EXPECT_EQ(rota_group_close(&group, 0), -ENOMEM);
	/* They have ended: there is room again. */
	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, task_return, NULL), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	return 0;
}

Test(config, live_tasks_have_a_limit)
{
	struct rota_config config = { .loops = 2, .tasks_max = 100, .on_log = keep_log };

	cr_expect_eq(rota_run(spawn_until_refused, NULL, &config), 0);
	report_failures();
}

static int use_stack(void *arg)
{
	volatile char big[600 * 1024];

	for (size_t i = 0; i < sizeof(big); i += 1024)
		big[i] = 1;
	EXPECT_EQ(big[1024], 1);
	(void)arg;
	return 0;
}

static int spawn_use_stack(void *arg)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, use_stack, arg), 0);
	return rota_group_close(&group, use_stack(arg));
}

Test(config, the_default_stack_may_be_larger)
{
	struct rota_config config = { .loops = 2, .stack_bytes = 1 << 20, .on_log = keep_log };

	cr_expect_eq(rota_run(spawn_use_stack, NULL, &config), 0);
	report_failures();
}

struct hook {
	struct a32 calls;
};

static void count_line(void *arg, int level, const char *text)
{
	struct hook *hook = arg;

	a32_add_acq_rel(&hook->calls, 1);
	cr_expect_eq(level, ROTA_LOG_ERROR);
	cr_expect_null(strchr(text, '\n'));
	cr_expect_neq(strncmp(text, "rota:", 5), 0);
}

Test(config, on_log_gets_its_argument_and_one_line)
{
	struct hook hook = { .calls = { 0 } };
	const struct rota_config config = {
		.flags = 1u << 31,
		.on_log = count_line,
		.hook_arg = &hook,
	};

	cr_expect_eq(rota_run(task_return, NULL, &config), -EINVAL);
	cr_expect_eq(a32_load_relaxed(&hook.calls), 1);
}

static int run_badly(void *arg)
{
	return rota_run(task_return, NULL, arg) == -EINVAL ? 0 : 1;
}

Test(config, without_on_log_stderr_is_told)
{
	struct rota_config config = { .flags = 1u << 31 };
	struct child *child = run_child(run_badly, &config);

	cr_expect(child_exited(child, 0));
	cr_expect_str_eq(child->err, "rota: rota_config.flags has an unknown bit\n");
}
