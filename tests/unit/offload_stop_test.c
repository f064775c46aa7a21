/* SPDX-License-Identifier: MIT */
/*
 * Offloaded calls at the edges: abandoned ones when the runtime stops, forks, no more threads, and
 * what a call may use of the library. Most of it is about real threads and does nothing under
 * simulation.
 */
#include "blocker.h"

#include <sys/resource.h>
#include <sys/syscall.h>

TestSuite(offload_stop, .timeout = HANG_SECONDS);

/* The stop. */

static int abandonable_block(void *arg)
{
	return rota_offload_abandonable(block, arg, count_discard);
}

static int named_block(void *arg)
{
	rota_task_set_name("slow look-up");
	return abandonable_block(arg);
}

static struct blocker slow[2];

/* Abandons two calls that run. */
static int abandon_two(void *arg)
{
	struct rota_group group;

	(void)arg;
	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, abandonable_block, &slow[0]), 0);
	EXPECT_EQ(rota_group_spawn(&group, named_block, &slow[1]), 0);
	wait_begun(&slow[0]);
	wait_begun(&slow[1]);
	rota_group_cancel(&group, NULL);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	return 4;
}

static void expect_left_behind(void)
{
	cr_expect_eq(the_log.lines, 2, "%s", the_log.text);
	cr_expect_not_null(strstr(the_log.text, "shutdown: an offloaded call of abandonable_block "
						"(offload_stop_test.c:"),
		"%s", the_log.text);
	cr_expect_not_null(
		strstr(the_log.text,
			"shutdown: an offloaded call of slow look-up still runs: left behind\n"),
		"%s", the_log.text);
	for (int i = 0; i < 2; i++) {
		cr_expect_eq(a32_load_acquire(&slow[i].discards), 0);
		sem_post(&slow[i].go);
		sem_take(&slow[i].discarded);
		cr_expect_eq(a32_load_acquire(&slow[i].discards), 1);
		cr_expect_eq(a32_load_acquire(&slow[i].on_pool), 1);
	}
	clear_log();
	report_failures();
}

Test(offload_stop, names_what_still_runs_and_leaves_it_behind)
{
	struct rota_config config = UNIT_CONFIG;

	if (is_simulated())
		return;
	config.shutdown_ns = ROTA_MILLISECOND;
	for (int i = 0; i < 3; i++) {
		blocker_init(&slow[0], 0);
		blocker_init(&slow[1], 0);
		cr_expect_eq(rota_run(abandon_two, NULL, &config), 4);
		expect_left_behind();
	}
}

Test(offload_stop, of_a_started_runtime_says_that_something_was_late)
{
	struct rota_config config = UNIT_CONFIG;
	struct rota_runtime *rt;

	if (is_simulated())
		return;
	config.shutdown_ns = ROTA_MILLISECOND;
	blocker_init(&slow[0], 0);
	blocker_init(&slow[1], 0);
	cr_assert_eq(rota_start(&rt, &config), 0);
	cr_expect_eq(rota_runtime_call(rt, abandon_two, NULL), 4);
	cr_expect_eq(rota_stop(rt), -ETIMEDOUT);
	expect_left_behind();
	/* The next one has nothing to do with them. */
	cr_assert_eq(rota_start(&rt, &config), 0);
	cr_expect_eq(rota_stop(rt), 0);
}

static sem_t abandoned;

static int abandon_one(void *arg)
{
	struct rota_group group;

	(void)arg;
	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, abandonable_block, &slow[0]), 0);
	wait_begun(&slow[0]);
	rota_group_cancel(&group, NULL);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	sem_post(&abandoned);
	return 0;
}

static int run_abort_late(void *arg)
{
	struct rota_config config = { .shutdown_ns = 1, .flags = ROTA_CONFIG_ABORT_LATE };

	(void)arg;
	sem_init(&abandoned, 0, 0);
	blocker_init(&slow[0], 0);
	return rota_run(abandon_one, NULL, &config);
}

Test(offload_stop, aborts_if_that_was_asked_for)
{
	struct child *child;

	if (is_simulated())
		return;
	child = run_child(run_abort_late, NULL);
	cr_expect(child_died_by(child, SIGABRT), "%x", child->wait_status);
	cr_expect_not_null(strstr(child->err, "still runs: left behind\n"), "%s", child->err);
}

static void *let_go_later(void *arg)
{
	struct blocker *blocker = arg;

	sem_take(&abandoned);
	usleep(20 * 1000);
	sem_post(&blocker->go);
	return NULL;
}

/* A call that comes to its end before the deadline is waited for, its discard included. */
Test(offload_stop, waits_for_an_abandoned_call)
{
	struct rota_config config = UNIT_CONFIG;
	const int64_t patience[] = { 0, ROTA_FOREVER };
	pthread_t thread;

	if (is_simulated())
		return;
	sem_init(&abandoned, 0, 0);
	for (size_t i = 0; i < ARRAY_SIZE(patience); i++) {
		config.shutdown_ns = patience[i];
		blocker_init(&slow[0], 0);
		pthread_create(&thread, NULL, let_go_later, &slow[0]);
		cr_expect_eq(rota_run(abandon_one, NULL, &config), 0);
		cr_expect_eq(a32_load_acquire(&slow[0].discards), 1);
		cr_expect_eq(the_log.lines, 0, "%s", the_log.text);
		pthread_join(thread, NULL);
	}
	report_failures();
}

struct stopped {
	struct a32 spawned;
	struct a32 begun;
	struct a32 runs;
	struct a32 returns;
	struct a32 cancels;
};

static int run_a_little(void *arg)
{
	struct stopped *stopped = arg;

	a32_add_acq_rel(&stopped->runs, 1);
	usleep(100);
	return 0;
}

static int offload_until_cancelled(void *arg)
{
	struct stopped *stopped = arg;

	a32_add_acq_rel(&stopped->begun, 1);
	while (rota_offload(run_a_little, stopped) == 0)
		a32_add_acq_rel(&stopped->returns, 1);
	a32_add_acq_rel(&stopped->cancels, 1);
	return 0;
}

/* Stopped with calls that run and calls that wait for a thread. */
Test(offload_stop, joins_the_calls_under_way)
{
	struct rota_config config = UNIT_CONFIG;
	struct stopped stopped = { 0 };
	struct rota_runtime *rt;

	config.offload_threads = 3;
	for (int i = 0; i < 20; i++) {
		cr_assert_eq(rota_start(&rt, &config), 0);
		for (int k = 0; k < 10; k++)
			if (!rota_runtime_spawn(rt, offload_until_cancelled, &stopped, NULL, NULL))
				a32_add_acq_rel(&stopped.spawned, 1);
		if (i % 4)
			usleep((useconds_t)i * 100);
		cr_expect_eq(rota_stop(rt), 0);
		/* Each has been joined, and each call that ran has returned. */
		cr_expect_eq(
			a32_load_relaxed(&stopped.cancels), a32_load_relaxed(&stopped.spawned));
		cr_expect_eq(a32_load_relaxed(&stopped.runs), a32_load_relaxed(&stopped.returns));
	}
	cr_expect_eq(a32_load_relaxed(&stopped.spawned), 200);
	cr_expect_eq(the_log.lines, 0, "%s", the_log.text);
}

/* fork(). */

static int fork_and_exit(void *arg)
{
	int wait_status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(rota_offload(task_return, arg) == -EPERM ? 0 : 1);
	EXPECT_EQ(waitpid(pid, &wait_status, 0), pid);
	return wait_status;
}

/* In a task with a pool beside it, then on a thread of the pool. */
TASK_TEST(offload_stop, calls_in_the_child_of_a_fork_are_refused)
{
	struct blocker blocker;

	blocker_init(&blocker, 0);
	EXPECT_EQ(rota_offload(task_return, STATUS(1)), 1);
	EXPECT_EQ(fork_and_exit(NULL), 0);
	if (is_simulated())
		return;
	EXPECT_EQ(rota_offload(fork_and_exit, NULL), 0);
	EXPECT_EQ(rota_offload_abandonable(fork_and_exit, NULL, count_discard), 0);
	EXPECT_EQ(rota_offload(task_return, STATUS(2)), 2);
}

static int return_in_the_child(void *arg)
{
	int wait_status = 0;
	pid_t pid = fork();

	(void)arg;
	if (pid == 0)
		return 0;
	EXPECT_EQ(waitpid(pid, &wait_status, 0), pid);
	return WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGABRT ? 0 : 1;
}

static int offload_returner(void *arg)
{
	return rota_offload(return_in_the_child, arg);
}

static int run_returner(void *arg)
{
	const struct rota_config config = UNIT_CONFIG;

	return rota_run(offload_returner, arg, &config);
}

Test(offload_stop, a_child_that_returns_from_the_call_is_told_why_not)
{
	struct child *child;

	if (is_simulated())
		return;
	child = run_child(run_returner, NULL);
	cr_expect(child_exited(child, 0), "%x %s", child->wait_status, child->err);
	cr_expect_not_null(strstr(child->err, "an offloaded call of main"), "%s", child->err);
	cr_expect_not_null(strstr(child->err, "the child must exec or _exit"), "%s", child->err);
}

/* No more threads: no address space for their stacks, and those that libc has kept are taken. */

static sem_t hold;

static void *wait_on_hold(void *arg)
{
	sem_take(arg);
	return NULL;
}

static bool address_space_set(bool little)
{
	static struct rlimit before;
	struct rlimit limit;
	pthread_t thread;

	if (little && getrlimit(RLIMIT_AS, &before))
		return false;
	limit = before;
	if (little)
		limit.rlim_cur = 1 << 20;
	if (setrlimit(RLIMIT_AS, &limit))
		return false;
	while (little && !pthread_create(&thread, NULL, wait_on_hold, &hold))
		;
	return true;
}

static int offload_block(void *arg)
{
	return rota_offload(block, arg);
}

static int without_threads(void *arg)
{
	struct rota_group group;
	struct blocker first;
	struct blocker second;
	struct rota_task *task[2];
	int bad = 0;

	(void)arg;
	sem_init(&hold, 0, 0);
	blocker_init(&first, 1);
	blocker_init(&second, 2);
	if (!address_space_set(true))
		return 77;
	bad |= rota_offload(block, &second) != -EAGAIN;
	bad |= rota_offload_abandonable(block, &second, count_discard) != -EAGAIN;
	address_space_set(false);
	bad |= a32_load_relaxed(&second.ran) != 0 || a32_load_relaxed(&second.discards) != 0;
	rota_group_open(&group, NULL);
	task[0] = spawn(&group, offload_block, &first);
	wait_begun(&first);
	task[1] = spawn(&group, offload_block, &second);
	address_space_set(true);
	wait_state(task[1], ROTA_TASK_SUSPENDED);
	address_space_set(false);
	/* It waits for the thread that there is. */
	bad |= a32_load_relaxed(&second.ran) != 0;
	sem_post(&first.go);
	sem_post(&second.go);
	bad |= rota_group_close(&group, 0) != 0;
	bad |= a32_load_relaxed(&second.ran) != 1;
	return bad | (failures.count != 0);
}

static int run_without_threads(void *arg)
{
	const struct rota_config config = { .loops = 1 };

	return rota_run(without_threads, arg, &config);
}

Test(offload_stop, without_any_thread_EAGAIN_and_with_one_it_waits)
{
	struct child *child;

	if (is_simulated() || ROTA__ASAN || ROTA__TSAN)
		cr_skip_test("needs threads, and sanitizers need the address space");
	child = run_child(run_without_threads, NULL);
	if (child_exited(child, 77))
		cr_skip_test("the limit cannot be set here");
	cr_expect(child_exited(child, 0), "%x %s", child->wait_status, child->err);
}

/* What a call may use. */

static int call_back(void *arg)
{
	return rota_runtime_call(rota_runtime_self(), task_return, arg);
}

TASK_TEST(offload_stop, a_call_may_have_a_task_run)
{
	if (is_simulated())
		return;
	EXPECT_EQ(rota_offload(call_back, STATUS(6)), 6);
}

#define LOCKERS 10
#define TURNS	50

struct counted {
	struct rota_mutex mutex;
	int count;
};

static int count_locked(void *arg)
{
	struct counted *counted = arg;

	for (int i = 0; i < TURNS; i++) {
		int count;

		rota_mutex_lock(&counted->mutex);
		count = counted->count;
		sched_yield();
		counted->count = count + 1;
		rota_mutex_unlock(&counted->mutex);
	}
	return 0;
}

static int offload_count(void *arg)
{
	return rota_offload(count_locked, arg);
}

TASK_TEST(offload_stop, calls_and_tasks_share_a_mutex)
{
	struct counted counted = { 0 };
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (int i = 0; i < LOCKERS; i++) {
		EXPECT_EQ(rota_group_spawn(&group, offload_count, &counted), 0);
		EXPECT_EQ(rota_group_spawn(&group, count_locked, &counted), 0);
	}
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(counted.count, 2 * LOCKERS * TURNS);
}

/* The call adds up what the task sends, and answers. */
struct talk {
	struct rota_chan numbers;
	struct rota_chan sums;
};

static int add_up(void *arg)
{
	struct talk *talk = arg;
	int number;
	int sum = 0;

	while (rota_chan_recv(&talk->numbers, &number) == 1) {
		sum += number;
		EXPECT_EQ(rota_chan_send(&talk->sums, &sum), 0);
	}
	return sum;
}

static int offload_add_up(void *arg)
{
	return rota_offload(add_up, arg);
}

TASK_TEST(offload_stop, a_call_talks_through_channels)
{
	struct rota_group group;
	struct rota_task *task;
	struct talk talk;
	int status = 0;
	int sum = 0;

	EXPECT_EQ(rota_chan_init(&talk.numbers, sizeof(int), 0), 0);
	EXPECT_EQ(rota_chan_init(&talk.sums, sizeof(int), 3), 0);
	rota_group_open(&group, NULL);
	task = spawn(&group, offload_add_up, &talk);
	for (int i = 1; i <= 100; i++) {
		EXPECT_EQ(rota_chan_send(&talk.numbers, &i), 0);
		EXPECT_EQ(rota_chan_recv(&talk.sums, &sum), 1);
		EXPECT_EQ(sum, i * (i + 1) / 2);
	}
	rota_chan_close(&talk.numbers);
	EXPECT_EQ(rota_task_await(task, &status), 0);
	EXPECT_EQ(status, 5050);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(rota_chan_finish(&talk.numbers), 0);
	EXPECT_EQ(rota_chan_finish(&talk.sums), 0);
}

static int wait_for_future(void *arg)
{
	int status = 0;

	EXPECT_EQ(rota_future_wait(arg, &status), 0);
	return status;
}

static int offload_wait_for_future(void *arg)
{
	return rota_offload(wait_for_future, arg);
}

static int set_future(void *arg)
{
	return rota_future_set(arg, 9);
}

TASK_TEST(offload_stop, a_call_waits_for_a_future_that_another_sets)
{
	struct rota_future future = { { 0 } };
	struct rota_group group;
	struct rota_task *task;
	int status = 0;

	rota_group_open(&group, NULL);
	task = spawn(&group, offload_wait_for_future, &future);
	EXPECT_EQ(rota_yield(), 0);
	EXPECT_EQ(rota_offload(set_future, &future), 0);
	EXPECT_EQ(rota_task_await(task, &status), 0);
	EXPECT_EQ(status, 9);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}
