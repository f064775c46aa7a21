/* SPDX-License-Identifier: MIT */
/*
 * Once: who runs it, who waits, whose error it is, and what happens under a cancel.
 *
 * asyncio and Trio have none. The behaviours are those of pthread_once() and of C++'s call_once()
 * with a call that throws (the next one tries again), with the rules of this library for a cancel.
 */
#include "callers.h"

TestSuite(once, .timeout = HANG_SECONDS);

/* What is to be done once, as often as it is tried. */
struct job {
	struct rota_once once;
	struct a32 runs;
	struct a32 inside;
	struct a32 go;	/* 1: the run under way ends */
	bool waits;	/* each run waits for go */
	uint32_t fails; /* so many runs fail */
	int status;	/* of the first that does not */
	int text[16];	/* plain: written by the run */
	struct a32 served;
	struct rota_group group;
	struct caller callers[6];
	uint32_t count;
};

static int run_job(void *arg)
{
	struct job *job = arg;
	uint32_t run = a32_add_acq_rel(&job->runs, 1) + 1;
	int status = job->status;

	EXPECT_EQ(a32_add_acq_rel(&job->inside, 1), 0);
	if (job->waits && !wait_cell(&job->go, 1))
		status = -ECANCELED;
	else if (rota_task_self())
		(void)rota_yield();
	if (run <= job->fails)
		status = -EIO;
	else
		for (int i = 0; i < 16; i++)
			job->text[i] = i;
	a32_add_acq_rel(&job->inside, (uint32_t)-1);
	return status;
}

static int once_call(void *object)
{
	struct job *job = object;
	int status = rota_once_call(&job->once, run_job, job);

	for (int i = 0; i < 16 && status >= 0; i++)
		if (!EXPECT_EQ(job->text[i], i))
			break;
	return status;
}

static void init_callers(struct job *job, uint32_t count)
{
	job->count = count;
	for (uint32_t i = 0; i < count; i++)
		job->callers[i] = (struct caller){
			.call = once_call,
			.object = job,
			.served = &job->served,
		};
}

/* The first caller runs it and is in it, the others wait. */
static void job_line_up(struct job *job, uint32_t count)
{
	init_callers(job, count);
	job->waits = true;
	rota_group_open(&job->group, NULL);
	job->callers[0].task = spawn(&job->group, make_call, &job->callers[0]);
	EXPECT(wait_cell(&job->runs, 1));
	line_up(&job->group, &job->callers[1], count - 1);
}

Test(once, has_its_size)
{
	cr_expect_eq(sizeof(struct rota_once), 24);
}

static void use_alone(void)
{
	struct job job = { .status = 7, .fails = 2 };

	EXPECT_EQ(once_call(&job), -EIO);
	EXPECT_EQ(once_call(&job), -EIO);
	EXPECT_EQ(once_call(&job), 7);
	EXPECT_EQ(once_call(&job), 7);
	EXPECT_EQ(once_call(&job), 7);
	EXPECT_EQ(a32_load_relaxed(&job.runs), 3);
	job = (struct job){ .status = 0 };
	EXPECT_EQ(once_call(&job), 0);
	EXPECT_EQ(once_call(&job), 0);
	EXPECT_EQ(a32_load_relaxed(&job.runs), 1);
	job = (struct job){ .status = INT32_MAX };
	EXPECT_EQ(once_call(&job), INT32_MAX);
	EXPECT_EQ(once_call(&job), INT32_MAX);
}

TASK_TEST(once, runs_until_it_succeeds)
{
	use_alone();
}

Test(once, works_without_a_runtime)
{
	use_alone();
	report_failures();
}

TASK_TEST(once, others_wait_for_the_one_that_runs_it)
{
	struct job job = { .status = 5 };

	job_line_up(&job, 6);
	EXPECT_WAITS(&job.callers[1]);
	a32_store_release(&job.go, 1);
	EXPECT_EQ(once_call(&job), 5);
	EXPECT_EQ(rota_group_close(&job.group, 0), 0);
	for (uint32_t i = 0; i < job.count; i++)
		EXPECT_EQ(job.callers[i].result, 5);
	EXPECT_EQ(a32_load_relaxed(&job.runs), 1);
}

TASK_TEST(once, a_failure_is_its_own_callers_and_the_next_one_tries)
{
	struct job job = { .status = 5, .fails = 3 };

	job_line_up(&job, 6);
	a32_store_release(&job.go, 1);
	EXPECT_EQ(rota_group_close(&job.group, 0), 0);
	/* In their order. */
	for (uint32_t i = 0; i < job.count; i++)
		EXPECT_EQ(job.callers[i].result, i < 3 ? -EIO : 5);
	EXPECT_EQ(a32_load_relaxed(&job.runs), 4);
}

TASK_TEST(once, a_failure_with_nobody_there_is_tried_again_later)
{
	struct job job = { .status = 5, .fails = 1 };

	job_line_up(&job, 1);
	a32_store_release(&job.go, 1);
	EXPECT_EQ(rota_group_close(&job.group, 0), 0);
	EXPECT_EQ(job.callers[0].result, -EIO);
	EXPECT_EQ(once_call(&job), 5);
	EXPECT_EQ(a32_load_relaxed(&job.runs), 2);
}

static int add_ten(void *arg)
{
	*(int *)arg += 10;
	return 0;
}

TASK_TEST(once, only_the_argument_of_the_run_is_used)
{
	struct rota_once once = { { 0 } };
	int first = 1;
	int second = 2;

	EXPECT_EQ(rota_once_call(&once, add_ten, &first), 0);
	EXPECT_EQ(rota_once_call(&once, add_ten, &second), 0);
	EXPECT_EQ(first, 11);
	EXPECT_EQ(second, 2);
}

/* Recursion. */

static int call_again(void *arg)
{
	struct rota_once *once = arg;

	EXPECT_EQ(rota_once_call(once, call_again, once), -EDEADLK);
	(void)rota_yield();
	EXPECT_EQ(rota_once_call(once, call_again, once), -EDEADLK);
	return 3;
}

static void recurse(void)
{
	struct rota_once once = { { 0 } };

	EXPECT_EQ(rota_once_call(&once, call_again, &once), 3);
	EXPECT_EQ(rota_once_call(&once, call_again, &once), 3);
}

TASK_TEST(once, recursion_is_a_deadlock)
{
	recurse();
}

Test(once, recursion_without_a_runtime)
{
	recurse();
	report_failures();
}

/* Two of them, one within the other. */
static int call_inner(void *arg)
{
	return rota_once_call(arg, task_return, STATUS(4));
}

TASK_TEST(once, one_within_another)
{
	struct rota_once outer = { { 0 } };
	struct rota_once inner = { { 0 } };

	EXPECT_EQ(rota_once_call(&outer, call_inner, &inner), 4);
	EXPECT_EQ(rota_once_call(&inner, task_return, STATUS(9)), 4);
}

/* Cancel. */

TASK_TEST(once, a_cancelled_waiter_leaves_the_others_waiting)
{
	for (uint32_t which = 1; which < 4; which++) {
		struct job job = { .status = 5 };

		job_line_up(&job, 4);
		rota_task_cancel(job.callers[which].task, NULL);
		wait_end(&job.callers[which]);
		EXPECT_EQ(job.callers[which].result, -ECANCELED);
		for (uint32_t i = 1; i < job.count; i++)
			if (i != which)
				EXPECT_WAITS(&job.callers[i]);
		a32_store_release(&job.go, 1);
		EXPECT_EQ(rota_group_close(&job.group, 0), 0);
		for (uint32_t i = 0; i < job.count; i++)
			if (i != which)
				EXPECT_EQ(job.callers[i].result, 5);
		EXPECT_EQ(a32_load_relaxed(&job.runs), 1);
	}
}

/* The cancel of the one that runs it is a failure of the run, like any other. */
TASK_TEST(once, cancelled_while_it_runs_the_next_one_tries)
{
	struct job job = { .status = 5 };

	job_line_up(&job, 4);
	rota_task_cancel(job.callers[0].task, NULL);
	wait_end(&job.callers[0]);
	EXPECT_EQ(job.callers[0].result, -ECANCELED);
	EXPECT(wait_cell(&job.runs, 2));
	EXPECT_WAITS(&job.callers[2]);
	a32_store_release(&job.go, 1);
	EXPECT_EQ(rota_group_close(&job.group, 0), 0);
	for (uint32_t i = 1; i < job.count; i++)
		EXPECT_EQ(job.callers[i].result, 5);
	EXPECT_EQ(a32_load_relaxed(&job.runs), 2);
}

TASK_TEST(once, all_are_cancelled_and_it_is_as_if_nobody_had_come)
{
	struct job job = { .status = 5 };

	job_line_up(&job, 5);
	for (uint32_t i = job.count; i-- > 0;)
		rota_task_cancel(job.callers[i].task, NULL);
	EXPECT_EQ(rota_group_close(&job.group, 0), 0);
	for (uint32_t i = 0; i < job.count; i++)
		EXPECT_EQ(job.callers[i].result, -ECANCELED);
	EXPECT_EQ(a32_load_relaxed(&job.inside), 0);
	job.waits = false;
	EXPECT_EQ(once_call(&job), 5);
}

TASK_TEST(once, is_not_run_by_a_cancelled_task)
{
	struct job job = { .status = 5 };

	EXPECT_EQ(result_when_cancelled(once_call, &job), -ECANCELED);
	EXPECT_EQ(a32_load_relaxed(&job.runs), 0);
	EXPECT_EQ(once_call(&job), 5);
}

/* The failure makes a waiter the next to run, and the cancel meets it: nobody waits for ever. */
static int fail_for_cancel(void *arg)
{
	struct job *job = arg;

	a32_add_acq_rel(&job->runs, 1);
	if (job->waits)
		wait_cell(&job->go, 1);
	return a32_load_acquire(&job->runs) <= job->fails ? -EIO : job->status;
}

static int once_fails(void *object)
{
	struct job *job = object;

	return rota_once_call(&job->once, fail_for_cancel, job);
}

TASK_TEST(once, failed_and_cancelled_at_once)
{
	for (uint32_t round = 0; round < 100; round++) {
		struct job job = { .status = 5, .fails = 1 + round % 2, .waits = true };
		uint32_t cut = 1 + round / 4 % 3;

		init_callers(&job, 4);
		for (uint32_t i = 0; i < job.count; i++)
			job.callers[i].call = once_fails;
		rota_group_open(&job.group, NULL);
		job.callers[0].task = spawn(&job.group, make_call, &job.callers[0]);
		EXPECT(wait_cell(&job.runs, 1));
		line_up(&job.group, &job.callers[1], 3);
		if (round / 2 % 2)
			rota_task_cancel(job.callers[cut].task, NULL);
		a32_store_release(&job.go, 1);
		for (uint32_t i = 0; i < round % 3; i++)
			EXPECT_EQ(rota_yield(), 0);
		if (round / 2 % 2 == 0)
			rota_task_cancel(job.callers[cut].task, NULL);
		EXPECT_EQ(rota_group_close(&job.group, 0), 0);
		EXPECT_EQ(job.callers[0].result, -EIO);
		for (uint32_t i = 1; i < job.count; i++) {
			int result = job.callers[i].result;

			EXPECT(result == 5 || result == -EIO || (i == cut && result == -ECANCELED));
		}
		EXPECT_EQ(once_fails(&job), 5);
	}
}

/* Many callers on all loops and threads. */

struct crowd {
	struct job job;
	struct a32 errors;
};

static int call_often(void *arg)
{
	struct crowd *crowd = arg;
	int status;

	while ((status = once_call(&crowd->job)) < 0) {
		EXPECT_EQ(status, -EIO);
		a32_add_acq_rel(&crowd->errors, 1);
	}
	EXPECT_EQ(status, 5);
	return 0;
}

static void *call_on_thread(void *arg)
{
	call_often(arg);
	return NULL;
}

static void run_crowd(uint32_t tasks, uint32_t threads)
{
	struct crowd crowd = { .job = { .status = 5, .fails = 4 } };
	struct rota_group group;
	pthread_t thread[3];

	if (tasks)
		rota_group_open(&group, NULL);
	for (uint32_t i = 0; i < threads; i++)
		EXPECT_EQ(pthread_create(&thread[i], NULL, call_on_thread, &crowd), 0);
	for (uint32_t i = 0; i < tasks; i++)
		EXPECT_EQ(rota_group_spawn(&group, call_often, &crowd), 0);
	if (tasks)
		EXPECT_EQ(rota_group_close(&group, 0), 0);
	for (uint32_t i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	EXPECT_EQ(a32_load_relaxed(&crowd.errors), 4);
	EXPECT_EQ(a32_load_relaxed(&crowd.job.runs), 5);
}

TASK_TEST(once, of_tasks_on_all_loops)
{
	for (int i = 0; i < 20; i++)
		run_crowd(10, 0);
}

TASK_TEST(once, of_threads_and_tasks)
{
	if (is_simulated())
		return;
	for (int i = 0; i < 20; i++)
		run_crowd(3, 3);
}

Test(once, of_threads_without_a_runtime)
{
	for (int i = 0; i < 20; i++)
		run_crowd(0, 3);
	report_failures();
}
