/* SPDX-License-Identifier: MIT */
/*
 * Blocking calls on the pool: whose the argument is, what a cancel does at which time, how many run
 * at once, and what the stop of the runtime does with those that nobody waits for any more. Calls
 * that block until the test says so need real threads: those tests do nothing under simulation.
 */
#include "blocker.h"

#include <dirent.h>
#include <sched.h>

TestSuite(offload, .timeout = HANG_SECONDS);

static void run_with(struct rota_config *config, void (*body)(void))
{
	if (getenv("ROTA_LOOPS"))
		config->loops = 0;
	cr_expect_eq(rota_run(run_void, &body, config), 0, "%s", the_log.text);
	report_failures();
}

/* A test as TASK_TEST(), with that many threads in the pool, and not simulated. */
#define POOL_TEST(threads, name)                          \
	static void offload_##name##_body(void);          \
	Test(offload, name)                               \
	{                                                 \
		struct rota_config config = UNIT_CONFIG;  \
		if (is_simulated())                       \
			return;                           \
		config.offload_threads = (threads);       \
		run_with(&config, offload_##name##_body); \
	}                                                 \
	static void offload_##name##_body(void)

static int offload_block(void *arg)
{
	return rota_offload(block, arg);
}

static int abandonable_block(void *arg)
{
	return rota_offload_abandonable(block, arg, count_discard);
}

static int await_status(struct rota_task *task)
{
	int status = 99;

	EXPECT_EQ(rota_task_await(task, &status), 0);
	return status;
}

/* The call itself. */

TASK_TEST(offload, runs_fn_and_passes_its_status_on)
{
	struct a32 count = { 0 };
	const int statuses[] = { 0, 7, INT32_MAX, -EXDEV, -ETIMEDOUT };

	EXPECT_EQ(rota_offload(task_count, &count), 0);
	EXPECT_EQ(a32_load_relaxed(&count), 1);
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		EXPECT_EQ(rota_offload(task_return, STATUS(statuses[i])), statuses[i]);
		EXPECT_EQ(rota_offload_abandonable(task_return, STATUS(statuses[i]), NULL),
			statuses[i]);
	}
}

TASK_TEST(offload, refuses_no_function)
{
	struct blocker blocker;

	blocker_init(&blocker, 0);
	EXPECT_EQ(rota_offload(NULL, NULL), -EINVAL);
	EXPECT_EQ(rota_offload_abandonable(NULL, &blocker, count_discard), -EINVAL);
	EXPECT_EQ(a32_load_relaxed(&blocker.discards), 0);
}

Test(offload, outside_a_task_is_refused)
{
	struct blocker blocker;

	blocker_init(&blocker, 0);
	cr_expect_eq(rota_offload(task_return, NULL), -ENXIO);
	cr_expect_eq(rota_offload_abandonable(task_count, &blocker, count_discard), -ENXIO);
	cr_expect_eq(a32_load_relaxed(&blocker.discards), 0);
}

static int offload_again(void *arg)
{
	EXPECT(rota_task_self() == NULL);
	EXPECT(rota_runtime_self() != NULL);
	EXPECT(on_pool_thread());
	EXPECT_EQ(rota_sleep(1), -ENXIO);
	return rota_offload(task_return, arg);
}

POOL_TEST(0, fn_is_no_task)
{
	EXPECT_EQ(rota_offload(offload_again, NULL), -ENXIO);
}

static int let_go(void *arg)
{
	struct blocker *blocker = arg;

	wait_begun(blocker);
	sem_post(&blocker->go);
	return 0;
}

/* The other task of the loop lets the blocked call go. */
POOL_TEST(0, the_loop_goes_on_meanwhile)
{
	struct rota_group_options options = { .flags = ROTA_SPAWN_LOCAL };
	struct rota_group group;
	struct blocker blocker;

	blocker_init(&blocker, 3);
	rota_group_open(&group, &options);
	EXPECT_EQ(rota_group_spawn(&group, let_go, &blocker), 0);
	EXPECT_EQ(rota_offload(block, &blocker), 3);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

static int offload_in_little_stack(void *arg)
{
	return rota_offload(task_return, arg);
}

TASK_TEST(offload, from_the_smallest_stack)
{
	struct rota_spawn_options options = { .stack_bytes = ROTA__ASAN ? 256 * 1024 : 16 * 1024 };
	struct rota_group group;
	struct rota_task *task = NULL;

	rota_group_open(&group, NULL);
	EXPECT_EQ(
		rota_group_spawn_with(&group, offload_in_little_stack, STATUS(5), &task, &options),
		0);
	EXPECT_EQ(await_status(task), 5);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

#define MANY_TASKS 40
#define MANY_CALLS 25

struct tally {
	struct a32 calls[MANY_TASKS];
	struct a32 next;
};

static int one_more(void *arg)
{
	return (int)a32_add_acq_rel(arg, 1);
}

static int offload_many(void *arg)
{
	struct tally *tally = arg;
	struct a32 *cell = &tally->calls[a32_add_acq_rel(&tally->next, 1)];

	for (int i = 0; i < MANY_CALLS; i++) {
		int status = i % 2 ? rota_offload(one_more, cell)
				   : rota_offload_abandonable(one_more, cell, NULL);

		EXPECT_EQ(status, i);
	}
	return 0;
}

TASK_TEST(offload, from_many_tasks_each_call_runs_once)
{
	static struct tally tally;
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (int i = 0; i < MANY_TASKS; i++)
		EXPECT_EQ(rota_group_spawn(&group, offload_many, &tally), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	for (int i = 0; i < MANY_TASKS; i++)
		EXPECT_EQ(a32_load_relaxed(&tally.calls[i]), MANY_CALLS);
}

/* A bit for each N of "rota-offload/N" among the threads of the process. */
static uint64_t pool_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	uint64_t found = 0;
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char path[300];
		unsigned int number;
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fscanf(file, "rota-offload/%u", &number) == 1 && EXPECT(number < 64))
			found |= (uint64_t)1 << number;
		fclose(file);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* How many at once. */

/* The first `wanted` calls wait for each other; all look how many there are. */
struct crowd {
	pthread_mutex_t lock;
	pthread_cond_t here;
	uint32_t wanted;
	uint32_t came;
	uint32_t now;
	uint32_t most;
};

static int enter_crowd(void *arg)
{
	struct crowd *crowd = arg;

	pthread_mutex_lock(&crowd->lock);
	crowd->came++;
	crowd->now++;
	if (crowd->now > crowd->most)
		crowd->most = crowd->now;
	pthread_cond_broadcast(&crowd->here);
	while (crowd->came < crowd->wanted)
		pthread_cond_wait(&crowd->here, &crowd->lock);
	crowd->now--;
	pthread_mutex_unlock(&crowd->lock);
	return 0;
}

static int offload_crowd(void *arg)
{
	return rota_offload(enter_crowd, arg);
}

static void expect_crowd(uint32_t wanted, int calls)
{
	struct crowd crowd = {
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.here = PTHREAD_COND_INITIALIZER,
		.wanted = wanted,
	};
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (int i = 0; i < calls; i++)
		EXPECT_EQ(rota_group_spawn(&group, offload_crowd, &crowd), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(crowd.came, calls);
	EXPECT_EQ(crowd.now, 0);
	EXPECT_EQ(crowd.most, wanted);
}

POOL_TEST(3, never_more_at_once_than_there_may_be_threads)
{
	expect_crowd(3, 100);
	expect_crowd(3, 3);
}

POOL_TEST(1, one_thread_is_enough)
{
	expect_crowd(1, 50);
}

POOL_TEST(0, as_many_as_64_by_default)
{
	expect_crowd(64, 200);
	EXPECT_EQ(pool_threads(), UINT64_MAX);
}

/* Who they are. */

#define HELD 12

static void hold_and_look(void)
{
	static struct blocker blockers[HELD];
	struct rota_group group;

	EXPECT_EQ(pool_threads(), 0);
	rota_group_open(&group, NULL);
	for (int i = 0; i < HELD; i++) {
		blocker_init(&blockers[i], 0);
		EXPECT_EQ(rota_group_spawn(&group, offload_block, &blockers[i]), 0);
		wait_begun(&blockers[i]);
	}
	EXPECT_EQ(pool_threads(), ((uint64_t)1 << HELD) - 1);
	for (int i = 0; i < HELD; i++)
		sem_post(&blockers[i].go);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

Test(offload, threads_are_named_and_gone_after_the_stop)
{
	struct rota_config config = UNIT_CONFIG;

	if (is_simulated())
		return;
	run_with(&config, hold_and_look);
	cr_expect_eq(pool_threads(), 0);
	run_with(&config, hold_and_look);
	cr_expect_eq(pool_threads(), 0);
}

/*
 * Calls one after the other need one thread. It may not wait again yet when the next one comes, and
 * on a busy machine a few may be late: but not half of them.
 */
POOL_TEST(0, no_thread_without_need)
{
	for (int i = 0; i < 60; i++)
		EXPECT_EQ(rota_offload(task_return, STATUS(i)), i);
	EXPECT(__builtin_popcountll(pool_threads()) < 30);
}

static int signal_mask(void *arg)
{
	return -pthread_sigmask(SIG_BLOCK, NULL, arg);
}

POOL_TEST(0, signals_are_not_for_them)
{
	static const int blocked[] = { SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGPIPE, SIGUSR1, SIGALRM,
		SIGURG };
	sigset_t mask;

	sigemptyset(&mask);
	EXPECT_EQ(rota_offload(signal_mask, &mask), 0);
	for (size_t i = 0; i < ARRAY_SIZE(blocked); i++)
		EXPECT(sigismember(&mask, blocked[i]) == 1);
	/* A fault is the thread's own: whoever handles it, sanitizers say, must see it. */
	EXPECT(sigismember(&mask, SIGSEGV) == 0);
}

static int affinity(void *arg)
{
	return sched_getaffinity(0, sizeof(cpu_set_t), arg);
}

/* The loop that makes them is bound to its core; they are not. */
static cpu_set_t cpus_outside;

static void expect_cpus(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	EXPECT_EQ(rota_offload(affinity, &cpus), 0);
	EXPECT(CPU_EQUAL(&cpus, &cpus_outside));
}

Test(offload, threads_run_on_all_cpus_of_the_process)
{
	struct rota_config config = UNIT_CONFIG;

	if (is_simulated())
		return;
	CPU_ZERO(&cpus_outside);
	cr_assert_eq(sched_getaffinity(0, sizeof(cpus_outside), &cpus_outside), 0);
	run_with(&config, expect_cpus);
}

/* Cancel. */

TASK_TEST(offload, cancelled_before_the_call_it_does_not_run)
{
	struct blocker blocker;
	struct a32 count = { 0 };

	blocker_init(&blocker, 0);
	rota_task_cancel(rota_task_self(), NULL);
	while (rota_yield() == 0)
		;
	EXPECT_EQ(rota_offload(task_count, &count), -ECANCELED);
	EXPECT_EQ(rota_offload_abandonable(block, &blocker, NULL), -ECANCELED);
	EXPECT_EQ(a32_load_relaxed(&blocker.discards), 0);
	EXPECT_EQ(rota_offload_abandonable(block, &blocker, count_discard), -ECANCELED);
	EXPECT_EQ(a32_load_relaxed(&count), 0);
	EXPECT_EQ(a32_load_relaxed(&blocker.ran), 0);
	EXPECT_EQ(a32_load_relaxed(&blocker.discards), 1);
}

/* Three calls for one thread: the first runs, the second is cancelled, the third runs later. */
static void cancel_in_queue(rota_task_fn *fn, uint32_t discards)
{
	struct blocker blockers[3];
	struct rota_task *task[3];
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (int i = 0; i < 3; i++)
		blocker_init(&blockers[i], i);
	task[0] = spawn(&group, fn, &blockers[0]);
	wait_begun(&blockers[0]);
	for (int i = 1; i < 3; i++) {
		task[i] = spawn(&group, fn, &blockers[i]);
		wait_state(task[i], ROTA_TASK_SUSPENDED);
	}
	rota_task_cancel(task[1], NULL);
	EXPECT_EQ(await_status(task[1]), -ECANCELED);
	EXPECT_EQ(a32_load_relaxed(&blockers[1].ran), 0);
	EXPECT_EQ(a32_load_relaxed(&blockers[1].discards), discards);
	EXPECT_EQ(a32_load_relaxed(&blockers[1].on_pool), 0);
	for (int i = 0; i < 3; i++)
		sem_post(&blockers[i].go);
	EXPECT_EQ(await_status(task[0]), 0);
	EXPECT_EQ(await_status(task[2]), 2);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(a32_load_relaxed(&blockers[1].ran), 0);
	EXPECT_EQ(a32_load_relaxed(&blockers[0].discards), 0);
	EXPECT_EQ(a32_load_relaxed(&blockers[1].discards), discards);
	EXPECT_EQ(a32_load_relaxed(&blockers[2].discards), 0);
}

POOL_TEST(1, cancelled_in_the_queue_it_does_not_run)
{
	cancel_in_queue(offload_block, 0);
}

POOL_TEST(1, abandoned_in_the_queue_it_is_discarded_at_once)
{
	cancel_in_queue(abandonable_block, 1);
}

static int offload_then_yield(void *arg)
{
	struct blocker *blocker = arg;

	EXPECT_EQ(rota_offload(block, blocker), blocker->status);
	return rota_yield();
}

POOL_TEST(0, cancelled_while_it_runs_it_is_waited_for)
{
	struct rota_group group;
	struct blocker blocker;
	struct rota_task *task;

	blocker_init(&blocker, 42);
	rota_group_open(&group, NULL);
	task = spawn(&group, offload_then_yield, &blocker);
	wait_begun(&blocker);
	rota_task_cancel(task, NULL);
	rota_task_cancel(task, NULL);
	EXPECT_EQ(rota_sleep(ROTA_MILLISECOND), 0);
	EXPECT_EQ(rota_task_state(task), ROTA_TASK_SUSPENDED);
	sem_post(&blocker.go);
	/* The status first, the cancel at the next call. */
	EXPECT_EQ(await_status(task), -ECANCELED);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

POOL_TEST(0, abandoned_while_it_runs_it_is_discarded_at_its_end)
{
	struct rota_group group;
	struct blocker blocker;
	struct rota_task *task;

	blocker_init(&blocker, 42);
	rota_group_open(&group, NULL);
	task = spawn(&group, abandonable_block, &blocker);
	wait_begun(&blocker);
	rota_task_cancel(task, NULL);
	EXPECT_EQ(await_status(task), -ECANCELED);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(a32_load_acquire(&blocker.discards), 0);
	sem_post(&blocker.go);
	sem_take(&blocker.discarded);
	EXPECT_EQ(a32_load_acquire(&blocker.discards), 1);
	EXPECT_EQ(a32_load_acquire(&blocker.on_pool), 1);
	/* Its thread goes on. */
	EXPECT_EQ(rota_offload(task_return, STATUS(1)), 1);
	EXPECT_EQ(a32_load_acquire(&blocker.discards), 1);
}

/* The argument on the heap, as it would be: whoever has it frees it. */
struct owned {
	struct a32 *frees;
	int value;
};

static void owned_free(void *arg)
{
	struct owned *owned = arg;

	a32_add_acq_rel(owned->frees, 1);
	free(owned);
}

static int use_owned(void *arg)
{
	struct owned *owned = arg;

	for (int i = 0; i < owned->value % 1000; i++)
		sched_yield();
	return owned->value;
}

static struct a32 owned_frees;

static int offload_owned(void *arg)
{
	struct owned *owned = malloc(sizeof(*owned));
	int value = (int)(intptr_t)arg;
	int status;

	*owned = (struct owned){ .frees = &owned_frees, .value = value };
	status = rota_offload_abandonable(use_owned, owned, owned_free);
	if (status != -ECANCELED) {
		EXPECT_EQ(status, value);
		EXPECT_EQ(owned->value, value);
		owned_free(owned);
	}
	return status == value ? 0 : status;
}

#define OWNERS 200

static void cancel_owners(void)
{
	struct rota_task *task[OWNERS];
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (int i = 0; i < OWNERS; i++)
		task[i] = spawn(&group, offload_owned, STATUS(i));
	for (int i = 0; i < OWNERS; i += 2) {
		rota_task_cancel(task[i], NULL);
		if (i % 20 == 0)
			EXPECT_EQ(rota_yield(), 0);
	}
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

/* Cancelled whenever that may be: ASAN says whether each argument is freed once, we count. */
Test(offload, an_abandonable_argument_has_one_owner)
{
	struct rota_config config = UNIT_CONFIG;

	config.offload_threads = 4;
	run_with(&config, cancel_owners);
	cr_expect_eq(a32_load_relaxed(&owned_frees), OWNERS);
}

TASK_TEST(offload, an_end_that_is_waited_for_discards_nothing)
{
	struct blocker blocker;

	blocker_init(&blocker, 7);
	sem_post(&blocker.go);
	EXPECT_EQ(rota_offload_abandonable(block, &blocker, count_discard), 7);
	EXPECT_EQ(a32_load_relaxed(&blocker.ran), 1);
	EXPECT_EQ(a32_load_relaxed(&blocker.discards), 0);
}

/* Nobody can tell it from a cancel's: so arg goes the same way. */
TASK_TEST(offload, a_status_of_ECANCELED_discards)
{
	struct blocker blocker;

	blocker_init(&blocker, -ECANCELED);
	sem_post(&blocker.go);
	EXPECT_EQ(rota_offload_abandonable(block, &blocker, count_discard), -ECANCELED);
	EXPECT_EQ(a32_load_relaxed(&blocker.discards), 1);
	sem_post(&blocker.go);
	EXPECT_EQ(rota_offload_abandonable(block, &blocker, NULL), -ECANCELED);
	EXPECT_EQ(rota_offload(task_return, STATUS(-ECANCELED)), -ECANCELED);
}

/* Deadlines. */

POOL_TEST(0, a_deadline_abandons_and_does_not_cut_short)
{
	struct blocker blocker;
	struct blocker waited;

	blocker_init(&blocker, 0);
	EXPECT_EQ(ROTA_WITHIN(ROTA_MILLISECOND,
			  rota_offload_abandonable(block, &blocker, count_discard)),
		-ETIMEDOUT);
	sem_post(&blocker.go);
	/* It may have been struck before the thread had begun. */
	sem_take(&blocker.discarded);
	EXPECT_EQ(a32_load_acquire(&blocker.discards), 1);
	blocker_init(&waited, 5);
	sem_post(&waited.go);
	EXPECT_EQ(ROTA_WITHIN(ROTA_FOREVER, rota_offload(block, &waited)), 5);
}
