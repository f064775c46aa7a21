/* SPDX-License-Identifier: MIT */
/* Starting, entering and stopping the runtime. Options are in config_test.c. */
#include "unit.h"

#include <sched.h>

TestSuite(runtime, .timeout = HANG_SECONDS);

static const struct rota_config config = UNIT_CONFIG;

/* rota_run(). */

Test(runtime, run_returns_the_status)
{
	static const int statuses[] = { 0, 1, 255, 256, 1 << 30, -1, -EIO, -ECANCELED, -4095 };

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
		cr_expect_eq(rota_run(task_return, STATUS(statuses[i]), &config), statuses[i]);
	cr_expect_str_empty(the_log.text);
}

Test(runtime, run_without_a_function_is_refused)
{
	cr_expect_eq(rota_run(NULL, NULL, &config), -EINVAL);
}

Test(runtime, nothing_runs_outside)
{
	struct rota_stats stats;

	for (int i = 0; i < 2; i++) {
		cr_expect_null(rota_runtime_self());
		cr_expect_eq(rota_loop_count(), 0);
		cr_expect_eq(rota_loop_self(), -ENXIO);
		cr_expect_str_eq(rota_backend_name(), "none");
		cr_expect_null(rota_task_self());
		cr_expect_str_eq(rota_task_name(), "");
		cr_expect_eq(rota_stats_get(&stats, sizeof(stats), -1), 0);
		cr_expect_eq(rota_background(task_return, NULL), -ENXIO);
		cr_expect_eq(rota_run(task_return, NULL, &config), 0);
	}
}

Test(runtime, calls_on_descriptors_outside_a_task_are_refused)
{
	struct rota_dir *dir = NULL;
	char c = 'x';
	int fd;

	cr_expect_eq(rota_read(0, &c, 1), -ENXIO);
	cr_expect_eq(rota_pread(0, &c, 1, 0), -ENXIO);
	cr_expect_eq(rota_write(2, &c, 1), -ENXIO);
	cr_expect_eq(rota_write_all(2, &c, 1, NULL), -ENXIO);
	cr_expect_eq(rota_open("/", O_RDONLY, 0), -ENXIO);
	cr_expect_eq(rota_openat(AT_FDCWD, "/", O_RDONLY, 0), -ENXIO);
	cr_expect_eq(rota_dir_open(&dir, AT_FDCWD, "/", 0), -ENXIO);
	cr_expect_null(dir);
	rota_dir_close(NULL);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	cr_expect_eq(rota_close(fd), 0);
	cr_expect_eq(fcntl(fd, F_GETFD), -1);
	cr_expect_eq(rota_trace_start(0), -ENXIO);
	cr_expect_eq(rota_trace_save("/dev/null"), -ENXIO);
	rota_trace_stop();
	rota_trace_mark("nowhere", 1);
	rota_task_set_name("nobody");
	cr_expect_eq(rota_fail(-EIO, "nothing %d", 1), -EIO);
	cr_expect_eq(rota_fail_text(-EIO, NULL), -EIO);
}

static int look_around(void *arg)
{
	EXPECT(rota_runtime_self() != NULL);
	EXPECT_EQ(rota_loop_count(), (uint32_t)(intptr_t)arg);
	EXPECT(rota_loop_self() >= 0 && rota_loop_self() < (int)rota_loop_count());
	EXPECT(!strncmp(rota_backend_name(), "uring", 5));
	EXPECT(rota_task_self() != NULL);
	EXPECT_EQ(rota_task_state(rota_task_self()), ROTA_TASK_RUNNING);
	return 0;
}

Test(runtime, any_number_of_loops)
{
	static const uint32_t loops[] = { 1, 2, 3, 8, 40 };

	for (size_t i = 0; i < ARRAY_SIZE(loops); i++) {
		struct rota_config many = config;

		many.loops = loops[i];
		cr_expect_eq(rota_run(look_around, STATUS(loops[i]), &many), 0);
	}
	report_failures();
}

Test(runtime, a_null_config_is_the_default)
{
	cr_expect_eq(rota_run(task_return, STATUS(6), NULL), 6);
}

static int start_another(void *arg)
{
	struct rota_runtime *rt = NULL;

	EXPECT_EQ(rota_run(task_return, arg, &config), -EDEADLK);
	EXPECT_EQ(rota_start(&rt, &config), -EDEADLK);
	EXPECT(rt == NULL);
	EXPECT_EQ(rota_stop(rota_runtime_self()), -EDEADLK);
	EXPECT_EQ(rota_runtime_call(rota_runtime_self(), task_return, arg), -EDEADLK);
	return 0;
}

Test(runtime, in_a_task_it_is_a_deadlock)
{
	cr_expect_eq(rota_run(start_another, NULL, &config), 0);
	report_failures();
}

static void *run_second(void *arg)
{
	struct rota_runtime *rt = NULL;

	(void)arg;
	EXPECT_EQ(rota_run(task_return, NULL, &config), -EBUSY);
	EXPECT_EQ(rota_start(&rt, &config), -EBUSY);
	EXPECT(rt == NULL);
	/* Of rota_run(): not for rota_stop(). */
	EXPECT_EQ(rota_stop(rota_runtime_self()), -EINVAL);
	return NULL;
}

static int start_on_thread(void *arg)
{
	pthread_t thread;

	EXPECT_EQ(pthread_create(&thread, NULL, run_second, arg), 0);
	pthread_join(thread, NULL);
	return 0;
}

Test(runtime, there_is_one_at_a_time)
{
	cr_expect_eq(rota_run(start_on_thread, NULL, &config), 0);
	report_failures();
	cr_expect_eq(the_log.lines, 2, "%s", the_log.text);
	cr_expect_not_null(
		strstr(the_log.text, "a runtime is running already"), "%s", the_log.text);
}

static cpu_set_t mask_now(void)
{
	cpu_set_t mask;

	CPU_ZERO(&mask);
	sched_getaffinity(0, sizeof(mask), &mask);
	return mask;
}

static int count_cpus(void *arg)
{
	cpu_set_t mask = mask_now();

	EXPECT_EQ(CPU_COUNT(&mask), (intptr_t)arg);
	return 0;
}

Test(runtime, the_callers_affinity_is_restored)
{
	struct rota_config unpinned = config;
	cpu_set_t before = mask_now();
	cpu_set_t after;

	cr_expect_eq(rota_run(count_cpus, STATUS(1), &config), 0);
	after = mask_now();
	cr_expect(CPU_EQUAL(&before, &after));

	unpinned.flags |= ROTA_CONFIG_NO_PIN;
	cr_expect_eq(rota_run(count_cpus, STATUS(CPU_COUNT(&before)), &unpinned), 0);
	after = mask_now();
	cr_expect(CPU_EQUAL(&before, &after));
	report_failures();
}

Test(runtime, signals_are_as_they_were)
{
	struct sigaction action_before, action_after;
	stack_t stack_before, stack_after;
	sigset_t before, after;

	sigaction(SIGSEGV, NULL, &action_before);
	sigaltstack(NULL, &stack_before);
	sigprocmask(SIG_SETMASK, NULL, &before);
	cr_expect_eq(rota_run(task_return, NULL, &config), 0);
	sigprocmask(SIG_SETMASK, NULL, &after);
	sigaltstack(NULL, &stack_after);
	sigaction(SIGSEGV, NULL, &action_after);
	for (int i = 1; i < NSIG; i++)
		cr_expect_eq(sigismember(&before, i), sigismember(&after, i), "signal %d", i);
	cr_expect_eq(stack_before.ss_sp, stack_after.ss_sp);
	cr_expect_eq(stack_before.ss_flags, stack_after.ss_flags);
	cr_expect(action_before.sa_sigaction == action_after.sa_sigaction);
}

static int open_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 1000; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

Test(runtime, descriptors_are_given_back)
{
	int before;

	/* hwloc may keep what it opened first. */
	cr_expect_eq(rota_run(task_return, NULL, &config), 0);
	before = open_descriptors();
	for (int i = 0; i < 10; i++)
		cr_expect_eq(rota_run(task_return, NULL, &config), 0);
	cr_expect_eq(open_descriptors(), before);
}

/* Background tasks and the end. */

static int leave_in_background(void *arg)
{
	int *status = arg;

	for (int i = 0; i < 3; i++)
		EXPECT_EQ(rota_background(task_store_cancel, &status[i]), 0);
	return 11;
}

Test(runtime, background_tasks_are_cancelled_and_joined_at_the_end)
{
	for (int i = 0; i < 20; i++) {
		int status[3] = { 0 };

		cr_expect_eq(rota_run(leave_in_background, status, &config), 11);
		for (int k = 0; k < 3; k++)
			cr_expect_eq(status[k], -ECANCELED);
	}
	report_failures();
}

static int background_into_the_end(void *arg)
{
	struct rota_task *task = (void *)&config;
	int *refused = arg;

	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT_EQ(rota_background(task_return, NULL), -ESHUTDOWN);
	EXPECT_EQ(rota_runtime_spawn(rota_runtime_self(), task_return, NULL, &task, NULL),
		-ESHUTDOWN);
	EXPECT(task == NULL);
	++*refused;
	return 0;
}

static int spawn_late_spawner(void *arg)
{
	return rota_background(background_into_the_end, arg);
}

Test(runtime, nothing_comes_in_during_the_shutdown)
{
	int refused = 0;

	cr_expect_eq(rota_run(spawn_late_spawner, &refused, &config), 0);
	cr_expect_eq(refused, 1);
	report_failures();
}

static int cancel_runtime(void *arg)
{
	(void)arg;
	rota_runtime_cancel(rota_runtime_self(), "all of it");
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	return 5;
}

Test(runtime, a_cancel_of_the_runtime_reaches_the_main_task)
{
	cr_expect_eq(rota_run(cancel_runtime, NULL, &config), 5);
	rota_runtime_cancel(NULL, NULL);
	report_failures();
}

/* Runs until the runtime has complained. */
static int come_late(void *arg)
{
	struct a32 *late = arg;

	while (!a32_load_acquire(late))
		rota_close(open("/dev/null", O_RDONLY | O_CLOEXEC));
	return 0;
}

static struct a32 late;

static void watch_for_late(void *arg, int level, const char *text)
{
	keep_log(arg, level, text);
	if (strstr(text, "is late"))
		a32_store_release(&late, 1);
}

static int spawn_late(void *arg)
{
	const struct rota_spawn_options options = { .name = "slowcoach" };

	return rota_background_at("here", come_late, arg, &options);
}

Test(runtime, late_tasks_are_named)
{
	struct rota_config impatient = config;

	impatient.shutdown_ns = ROTA_MILLISECOND;
	impatient.on_log = watch_for_late;
	cr_expect_eq(rota_run(spawn_late, &late, &impatient), 0);
	cr_expect_eq(the_log.lines, 1, "%s", the_log.text);
	cr_expect_not_null(strstr(the_log.text, "\"slowcoach\""), "%s", the_log.text);
}

Test(runtime, a_stop_with_late_tasks_says_so)
{
	struct rota_config impatient = config;
	struct rota_runtime *rt = NULL;

	impatient.shutdown_ns = ROTA_MILLISECOND;
	impatient.on_log = watch_for_late;
	cr_assert_eq(rota_start(&rt, &impatient), 0);
	cr_expect_eq(rota_runtime_spawn(rt, come_late, &late, NULL, NULL), 0);
	cr_expect_eq(rota_stop(rt), -ETIMEDOUT);
	cr_expect_eq(the_log.lines, 1, "%s", the_log.text);
}

Test(runtime, a_shutdown_may_take_for_ever)
{
	static const int64_t patience[] = { ROTA_FOREVER, ROTA_FOREVER - 1, 3600 * ROTA_SECOND };

	for (size_t i = 0; i < ARRAY_SIZE(patience); i++) {
		struct rota_config patient = config;
		int status[3] = { 0 };

		patient.shutdown_ns = patience[i];
		cr_expect_eq(rota_run(leave_in_background, status, &patient), 11);
		cr_expect_str_empty(the_log.text, "%s", the_log.text);
	}
	report_failures();
}

static int abort_late(void *arg)
{
	struct rota_config impatient = {
		.loops = 2,
		.flags = ROTA_CONFIG_ABORT_LATE,
		.shutdown_ns = ROTA_MILLISECOND,
	};

	return rota_run(spawn_late, arg, &impatient);
}

Test(runtime, abort_late_aborts)
{
	struct child *child = run_child(abort_late, &late);

	cr_expect(child_died_by(child, SIGABRT), "%x %s", child->wait_status, child->err);
	cr_expect_not_null(strstr(child->err, "is late"), "%s", child->err);
}

/* rota_start(). */

static struct rota_runtime *start(void)
{
	struct rota_runtime *rt = NULL;

	cr_assert_eq(rota_start(&rt, &config), 0);
	cr_assert_not_null(rt);
	return rt;
}

Test(runtime, start_and_stop_again_and_again)
{
	for (int i = 0; i < 20; i++) {
		struct rota_runtime *rt = start();

		cr_expect_eq(rota_runtime_self(), rt);
		cr_expect_eq(rota_loop_count(), 2);
		cr_expect_eq(rota_loop_self(), -ENXIO);
		cr_expect_eq(rota_stop(rt), 0);
	}
	cr_expect_str_empty(the_log.text);
}

Test(runtime, stop_takes_only_what_start_gave)
{
	struct rota_runtime *rt = start();

	cr_expect_eq(rota_stop(NULL), -EINVAL);
	cr_expect_eq(rota_stop((struct rota_runtime *)&late), -EINVAL);
	cr_expect_eq(rota_stop(rt), 0);
	cr_expect_eq(rota_stop(NULL), -EINVAL);
	cr_expect_eq(rota_stop(rt), -EINVAL);
}

Test(runtime, start_is_busy_while_one_runs)
{
	struct rota_runtime *second = NULL;
	struct rota_runtime *rt = start();

	cr_expect_eq(rota_start(&second, &config), -EBUSY);
	cr_expect_null(second);
	cr_expect_eq(rota_run(task_return, NULL, &config), -EBUSY);
	cr_expect_eq(rota_stop(rt), 0);
}

static int sleep_then_return(void *arg)
{
	EXPECT_EQ(rota_sleep(ROTA_MICROSECOND), 0);
	EXPECT(rota_loop_self() >= 0);
	return (int)(intptr_t)arg;
}

Test(runtime, call_returns_the_status)
{
	struct rota_runtime *rt = start();

	for (int i = -50; i < 50; i++)
		cr_expect_eq(rota_runtime_call(rt, sleep_then_return, STATUS(i)), i);
	cr_expect_eq(rota_runtime_call(rt, NULL, NULL), -EINVAL);
	cr_expect_eq(rota_runtime_call(NULL, task_return, NULL), -EINVAL);
	cr_expect_eq(rota_stop(rt), 0);
	report_failures();
	/* The caller has them: nobody else was told. */
	cr_expect_str_empty(the_log.text);
}

static void *call_often(void *arg)
{
	for (int i = 0; i < 200; i++)
		EXPECT_EQ(rota_runtime_call(rota_runtime_self(), task_count, arg), 0);
	return NULL;
}

Test(runtime, threads_may_call_at_once)
{
	struct rota_runtime *rt = start();
	struct a32 count = { 0 };
	pthread_t thread[4];

	for (int i = 0; i < 4; i++)
		cr_assert_eq(pthread_create(&thread[i], NULL, call_often, &count), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	cr_expect_eq(rota_stop(rt), 0);
	cr_expect_eq(a32_load_relaxed(&count), 800);
	report_failures();
}

Test(runtime, spawn_from_a_thread_with_a_handle)
{
	struct rota_runtime *rt = start();

	for (int i = 0; i < 50; i++) {
		/* Those that are not awaited may still run at the stop, and are cancelled then. */
		rota_task_fn *fn = i % 3 ? sleep_then_return : task_return;
		struct rota_task *task = NULL;
		int status = -1;

		cr_assert_eq(rota_runtime_spawn(rt, fn, STATUS(i), &task, NULL), 0);
		cr_assert_not_null(task);
		if (i % 3)
			cr_expect_eq(rota_task_await(task, &status), 0);
		cr_expect_eq(status, i % 3 ? i : -1);
		rota_task_release(task);
	}
	cr_expect_eq(rota_stop(rt), 0);
	report_failures();
}

Test(runtime, spawn_from_a_thread_can_be_cancelled)
{
	struct rota_runtime *rt = start();
	struct rota_task *task = NULL;
	int status = 0;

	cr_assert_eq(rota_runtime_spawn(rt, task_forever, NULL, &task, NULL), 0);
	rota_task_cancel(task, "by a thread");
	cr_expect_eq(rota_task_await(task, &status), 0);
	cr_expect_eq(status, -ECANCELED);
	rota_task_release(task);
	cr_expect_eq(rota_stop(rt), 0);
}

Test(runtime, spawn_from_a_thread_checks_its_options)
{
	const struct rota_spawn_options bad = { .reserved = { 1 } };
	struct rota_runtime *rt = start();
	struct rota_task *task = (void *)&late;

	cr_expect_eq(rota_runtime_spawn(rt, task_return, NULL, &task, &bad), -EINVAL);
	cr_expect_null(task);
	cr_expect_eq(rota_runtime_spawn(rt, NULL, NULL, NULL, NULL), -EINVAL);
	cr_expect_eq(rota_runtime_spawn(NULL, task_return, NULL, NULL, NULL), -EINVAL);
	cr_expect_eq(rota_stop(rt), 0);
}

Test(runtime, a_stop_cancels_what_runs)
{
	struct rota_runtime *rt = start();
	int status[2] = { 0 };

	for (int i = 0; i < 2; i++)
		cr_assert_eq(rota_runtime_spawn(rt, task_store_cancel, &status[i], NULL, NULL), 0);
	cr_expect_eq(rota_stop(rt), 0);
	cr_expect_eq(status[0], -ECANCELED);
	cr_expect_eq(status[1], -ECANCELED);
}

Test(runtime, a_cancel_of_a_started_runtime_reaches_its_tasks)
{
	struct rota_runtime *rt = start();
	struct rota_task *task = NULL;
	int status = 0;

	cr_assert_eq(rota_runtime_spawn(rt, task_forever, NULL, &task, NULL), 0);
	rota_runtime_cancel(rt, NULL);
	cr_expect_eq(rota_task_await(task, &status), 0);
	cr_expect_eq(status, -ECANCELED);
	rota_task_release(task);
	cr_expect_eq(rota_stop(rt), 0);
}

/* rota_main(). */

static int main_status;

static int main_fn(int argc, char **argv)
{
	EXPECT_EQ(argc, 2);
	EXPECT_STR_EQ(argv[1], "argument");
	return main_status;
}

Test(runtime, main_gives_an_exit_status)
{
	static const int statuses[][2] = { { 0, 0 }, { 1, 1 }, { 7, 7 }, { 255, 255 }, { 256, 1 },
		{ 1 << 30, 1 } };
	char *argv[] = { (char[]){ "program" }, (char[]){ "argument" }, NULL };

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		main_status = statuses[i][0];
		cr_expect_eq(rota_main(main_fn, 2, argv), statuses[i][1]);
	}
	report_failures();
}

static int fail_with_text(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return rota_fail(-ENOSPC, "writing %s", "the report");
}

static int main_that_fails(void *arg)
{
	return rota_main(arg ? fail_with_text : main_fn, 2,
		(char *[]){ (char[]){ "program" }, (char[]){ "argument" }, NULL });
}

Test(runtime, main_reports_an_error)
{
	struct child *child;

	main_status = -EIO;
	child = run_child(main_that_fails, NULL);
	cr_expect(child_exited(child, 1), "%x", child->wait_status);
	cr_expect_not_null(strstr(child->err, "Input/output error (EIO)"), "%s", child->err);

	child = run_child(main_that_fails, &late);
	cr_expect(child_exited(child, 1), "%x", child->wait_status);
	cr_expect_not_null(
		strstr(child->err, "No space left on device (ENOSPC): writing the report\n"), "%s",
		child->err);
}

Test(runtime, main_says_nothing_when_all_is_well)
{
	struct child *child;

	main_status = 3;
	child = run_child(main_that_fails, NULL);
	cr_expect(child_exited(child, 3), "%x", child->wait_status);
	cr_expect_str_empty(child->err);
}
