/* SPDX-License-Identifier: MIT */
/* A stack that is too small: the program ends as ever, but says which task it was (B8). */
#include "unit.h"

TestSuite(overflow, .timeout = HANG_SECONDS);

static ROTA__NOINLINE int dig(int levels)
{
	volatile char frame[512];

	memset((void *)(uintptr_t)frame, levels, sizeof(frame));
	if (levels > 0)
		return dig(levels - 1) + frame[levels % 512];
	return frame[0];
}

static int dig_deep(void *arg)
{
	return dig((int)(intptr_t)arg);
}

static int spawn_digger(void *arg)
{
	const struct rota_spawn_options options = {
		.name = "digger",
		.stack_bytes = (uint64_t)(uintptr_t)arg,
	};
	struct rota_group group;

	rota_group_open(&group, NULL);
	rota_group_spawn_with(&group, dig_deep, STATUS(100000), NULL, &options);
	return rota_group_close(&group, 0);
}

static int run_digger(void *arg)
{
	const struct rota_config config = { .loops = 2, .flags = ROTA_CONFIG_NO_ENV };

	return rota_run(spawn_digger, arg, &config);
}

static void expect_named(size_t bytes)
{
	struct child *child = run_child(run_digger, STATUS(bytes));
	char part[64];

	snprintf(part, sizeof(part), "all of its %zu KiB of stack are used", bytes / 1024);
	cr_expect(child_died_by(child, SIGSEGV), "%x %s", child->wait_status, child->err);
	cr_expect_not_null(strstr(child->err, "rota: stack overflow in task "), "%s", child->err);
	cr_expect_not_null(strstr(child->err, " \"digger\", spawned at dig_deep (overflow_test.c:"),
		"%s", child->err);
	cr_expect_not_null(strstr(child->err, part), "%s", child->err);
}

Test(overflow, names_the_task)
{
	expect_named(16384);
	expect_named(65536);
	expect_named(1 << 20);
}

static int run_unguarded(void *arg)
{
	const struct rota_config config = { .loops = 2 };

	setenv("ROTA_DISABLE", "guard", 1);
	return rota_run(spawn_digger, arg, &config);
}

Test(overflow, names_the_task_also_with_the_older_guards)
{
	struct child *child = run_child(run_unguarded, STATUS(65536));

	cr_expect(child_died_by(child, SIGSEGV), "%x %s", child->wait_status, child->err);
	cr_expect_not_null(
		strstr(child->err, " \"digger\", spawned at dig_deep"), "%s", child->err);
}

static int run_simulated(void *arg)
{
	const struct rota_config config = {
		.loops = 2,
		.flags = ROTA_CONFIG_NO_ENV,
		.backend = ROTA_BACKEND_SIM,
	};

	return rota_run(spawn_digger, arg, &config);
}

Test(overflow, names_the_task_also_under_simulation)
{
	struct child *child = run_child(run_simulated, STATUS(65536));

	cr_expect(child_died_by(child, SIGSEGV), "%x %s", child->wait_status, child->err);
	cr_expect_not_null(
		strstr(child->err, " \"digger\", spawned at dig_deep"), "%s", child->err);
}

static int crash(void *arg)
{
	*(volatile int *)arg = 1;
	return 0;
}

static int run_crash(void *arg)
{
	const struct rota_config config = { .loops = 2, .flags = ROTA_CONFIG_NO_ENV };

	return rota_run(crash, arg, &config);
}

Test(overflow, is_not_blamed_for_other_faults)
{
	struct child *child = run_child(run_crash, (void *)16);

	cr_expect(child_died_by(child, SIGSEGV), "%x %s", child->wait_status, child->err);
	cr_expect_null(strstr(child->err, "rota: stack overflow"), "%s", child->err);
}

/* The host program's own handler still has the last word. */
static void own_handler(int signal_number)
{
	static const char text[] = "own handler\n";

	if (signal_number == SIGSEGV && write(2, text, sizeof(text) - 1))
		_exit(77);
}

static int run_with_handler(void *arg)
{
	const struct sigaction action = { .sa_handler = own_handler, .sa_flags = SA_ONSTACK };

	sigaction(SIGSEGV, &action, NULL);
	return run_digger(arg);
}

Test(overflow, the_programs_own_handler_is_called)
{
	struct child *child = run_child(run_with_handler, STATUS(65536));

	cr_expect(child_exited(child, 77), "%x %s", child->wait_status, child->err);
	cr_expect_not_null(strstr(child->err, "rota: stack overflow in task "), "%s", child->err);
	cr_expect_not_null(strstr(child->err, "own handler\n"), "%s", child->err);
}
