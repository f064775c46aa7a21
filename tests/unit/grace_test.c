/* SPDX-License-Identifier: MIT */
/*
 * The grace of a group: after a cancel from outside the members run on for a while and know it
 * (rota_draining()); what ends it early, what does not begin it.
 *
 * Neither CPython nor Trio has one, so nothing is ported: the behaviours are those that group.h and
 * scope.h promise. Left out: how late the end of the grace is, and what rota_draining() says to the
 * owner itself, whose calls are refused already.
 */
#include "unit.h"

TestSuite(grace, .timeout = HANG_SECONDS);

#define HOUR (3600 * ROTA_SECOND)

static void expect_calls_end(void)
{
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT_EQ(rota_yield(), -ECANCELED);
	EXPECT_EQ(rota_cancelled(), -ECANCELED);
}

static void expect_calls_go_on(void)
{
	EXPECT_EQ(rota_cancelled(), 0);
	EXPECT_EQ(rota_yield(), 0);
	EXPECT_EQ(rota_sleep(1), 0);
}

/* Members. */

/* Waits until it drains, finishes what is under way, leaves. */
static int drain(void *arg)
{
	struct a32 *done = arg;

	while (!rota_draining())
		if (rota_yield())
			return -EINTR;
	for (int i = 0; i < 5; i++) {
		EXPECT_EQ(rota_draining(), 1);
		EXPECT_EQ(rota_cancelled(), 0);
		EXPECT_EQ(rota_yield(), 0);
		EXPECT_EQ(rota_sleep(10 * ROTA_MICROSECOND), 0);
	}
	a32_add_acq_rel(done, 1);
	return 0;
}

static int drain_below(void *arg)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(rota_group_spawn(&group, drain, arg), 0);
	EXPECT_EQ(drain(arg), 0);
	return rota_group_close(&group, 0);
}

static int drain_two_below(void *arg)
{
	struct rota_scope scope;
	struct rota_group group;

	rota_scope_open(&scope, HOUR);
	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, drain_below, arg), 0);
	return rota_scope_close(&scope, rota_group_close(&group, 0));
}

/* Says when it is cancelled; sees no cancel before the time. */
struct late {
	int64_t at;
	int draining;
};

static int be_cancelled(void *arg)
{
	struct late *late = arg;
	int err = rota_sleep(ROTA_FOREVER);

	late->at = rota_now();
	late->draining = rota_draining();
	EXPECT_EQ(err, -ECANCELED);
	EXPECT_EQ(rota_yield(), -ECANCELED);
	return err;
}

TASK_TEST(grace, nothing_is_draining)
{
	const struct rota_group_options options = { .grace_ns = HOUR };
	struct rota_group group;

	EXPECT_EQ(rota_draining(), 0);
	rota_group_open(&group, &options);
	EXPECT_EQ(rota_draining(), 0);
	expect_calls_go_on();
	EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(0)), 0);
	EXPECT_EQ(rota_group_close(&group, 7), 7);
	EXPECT_EQ(rota_draining(), 0);
}

/* Members run on, and may end in their own way. */
TASK_TEST(grace, members_run_on_and_know_it)
{
	static const int64_t graces[] = { HOUR, ROTA_FOREVER, ROTA_FOREVER - 1 };

	for (size_t i = 0; i < 2 * ARRAY_SIZE(graces); i++) {
		const struct rota_group_options options = { .grace_ns = graces[i / 2] };
		struct a32 done = { 0 };
		struct rota_scope scope;
		struct rota_group group;

		rota_scope_open(&scope, i % 2 ? ROTA_MILLISECOND : HOUR);
		rota_group_open(&group, &options);
		EXPECT_EQ(rota_group_spawn(&group, drain, &done), 0);
		EXPECT_EQ(rota_group_spawn(&group, drain_below, &done), 0);
		EXPECT_EQ(rota_group_spawn(&group, drain_two_below, &done), 0);
		if (i % 2 == 0)
			rota_scope_cancel(&scope, NULL);
		/* The owner has no grace. */
		expect_calls_end();
		EXPECT_EQ(rota_group_close(&group, -ECANCELED), -ECANCELED);
		EXPECT_EQ(a32_load_relaxed(&done), 7);
		EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), i % 2 ? -ETIMEDOUT : -ECANCELED);
		EXPECT_EQ(rota_draining(), 0);
		expect_calls_go_on();
	}
}

TASK_TEST(grace, the_close_gives_the_cancel_or_an_error)
{
	static const struct {
		int status;
		int member;
		int want;
	} closes[] = { { 0, 0, -ECANCELED }, { 5, 0, -ECANCELED }, { -ECANCELED, 0, -ECANCELED },
		{ 0, -EXDEV, -EXDEV }, { -ECANCELED, -EXDEV, -EXDEV } };
	const struct rota_group_options options = { .grace_ns = ROTA_FOREVER };

	for (size_t i = 0; i < ARRAY_SIZE(closes); i++) {
		struct a32 done = { 0 };
		struct rota_scope scope;
		struct rota_group group;

		rota_scope_open(&scope, HOUR);
		rota_group_open(&group, &options);
		if (closes[i].member)
			EXPECT_EQ(
				rota_group_spawn(&group, task_return, STATUS(closes[i].member)), 0);
		else
			EXPECT_EQ(rota_group_spawn(&group, drain, &done), 0);
		rota_scope_cancel(&scope, NULL);
		EXPECT_EQ(rota_group_close(&group, closes[i].status), closes[i].want);
		EXPECT_EQ(rota_scope_close(&scope, 0), 0);
	}
}

TASK_TEST(grace, after_it_the_members_are_cancelled)
{
	const struct rota_group_options options = { .grace_ns = 5 * ROTA_MILLISECOND };

	for (int i = 0; i < 3; i++) {
		struct late late[3] = { { .at = 0 } };
		struct rota_scope scope;
		struct rota_group group;
		int64_t begin;

		rota_scope_open(&scope, HOUR);
		rota_group_open(&group, &options);
		for (int k = 0; k < 3; k++)
			EXPECT_EQ(rota_group_spawn(&group, be_cancelled, &late[k]), 0);
		begin = rota_now();
		rota_scope_cancel(&scope, NULL);
		/* Alone in the close, in a call before it, or closing with what the call gave. */
		if (i)
			expect_calls_end();
		EXPECT_EQ(rota_group_close(&group, i == 2 ? -ECANCELED : 0), -ECANCELED);
		for (int k = 0; k < 3; k++) {
			EXPECT(late[k].at - begin >= 5 * ROTA_MILLISECOND);
			EXPECT_EQ(late[k].draining, 0);
		}
		EXPECT_EQ(rota_scope_close(&scope, 0), 0);
	}
}

/* Who would sit out the grace does not hold the close up when it ends before. */
TASK_TEST(grace, ends_with_the_last_member)
{
	const struct rota_group_options options = { .grace_ns = HOUR };

	for (int i = 0; i < 20; i++) {
		struct a32 done = { 0 };
		struct rota_scope scope;
		struct rota_group group;

		rota_scope_open(&scope, HOUR);
		rota_group_open(&group, &options);
		for (int k = 0; k < i; k++)
			EXPECT_EQ(rota_group_spawn(&group, drain, &done), 0);
		rota_scope_cancel(&scope, NULL);
		EXPECT_EQ(rota_group_close(&group, 0), -ECANCELED);
		EXPECT_EQ(a32_load_relaxed(&done), (uint32_t)i);
		EXPECT_EQ(rota_scope_close(&scope, 0), 0);
	}
}

/* Where the cancel comes from. */

static int own_a_draining_group(void *arg)
{
	const struct rota_group_options options = { .grace_ns = ROTA_FOREVER };
	struct a32 *cells = arg; /* [0]: ready, [1]: done */
	struct rota_group group;

	rota_group_open(&group, &options);
	EXPECT_EQ(rota_group_spawn(&group, drain, &cells[1]), 0);
	a32_store_release(&cells[0], 1);
	return rota_group_close(&group, rota_sleep(ROTA_FOREVER));
}

TASK_TEST(grace, of_a_task_that_is_cancelled)
{
	for (uint32_t loop = 0; loop < rota_loop_count(); loop++) {
		const struct rota_spawn_options there = {
			.flags = ROTA_SPAWN_ON_LOOP,
			.loop = loop,
		};
		struct a32 cells[2] = { { 0 } };
		struct rota_group group;
		struct rota_task *task;
		int status = 0;

		rota_group_open(&group, NULL);
		EXPECT_EQ(rota_group_spawn_with(&group, own_a_draining_group, cells, &task, &there),
			0);
		EXPECT(wait_cell(&cells[0], 1));
		rota_task_cancel(task, NULL);
		EXPECT_EQ(rota_task_await(task, &status), 0);
		EXPECT_EQ(status, -ECANCELED);
		EXPECT_EQ(a32_load_acquire(&cells[1]), 1);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
	}
}

TASK_TEST(grace, of_a_member_of_a_group_that_is_cancelled)
{
	for (int how = 0; how < 3; how++) {
		static const int want[] = { 0, -EXDEV, -ETIMEDOUT };
		const struct rota_group_options options = {
			.timeout_ns = how == 2 ? 5 * ROTA_MILLISECOND : 0,
		};
		struct a32 cells[2] = { { 0 } };
		struct rota_group group;

		rota_group_open(&group, &options);
		EXPECT_EQ(rota_group_spawn(&group, own_a_draining_group, cells), 0);
		if (how < 2)
			EXPECT(wait_cell(&cells[0], 1));
		if (how == 0)
			rota_group_cancel(&group, NULL);
		else if (how == 1)
			EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(-EXDEV)), 0);
		EXPECT_EQ(rota_group_close(&group, 0), want[how]);
		EXPECT_EQ(a32_load_acquire(&cells[1]), 1);
	}
}

TASK_TEST(grace, of_a_group_in_one_that_is_cancelled)
{
	const struct rota_group_options options = { .grace_ns = ROTA_FOREVER };
	struct a32 done = { 0 };
	struct rota_group outer;
	struct rota_group inner;
	int member = 0;

	rota_group_open(&outer, NULL);
	EXPECT_EQ(rota_group_spawn(&outer, task_store_cancel, &member), 0);
	rota_group_open(&inner, &options);
	EXPECT_EQ(rota_group_spawn(&inner, drain, &done), 0);
	rota_group_cancel(&outer, NULL);
	expect_calls_end();
	EXPECT_EQ(rota_group_close(&inner, -ECANCELED), -ECANCELED);
	EXPECT_EQ(a32_load_relaxed(&done), 1);
	EXPECT_EQ(rota_group_close(&outer, 0), 0);
	EXPECT_EQ(member, -ECANCELED);
}

TASK_TEST(grace, is_a_groups_own_not_that_of_the_one_inside)
{
	const struct rota_group_options options = { .grace_ns = ROTA_FOREVER };
	struct a32 done = { 0 };
	struct rota_scope scope;
	struct rota_group outer;
	struct rota_group inner;
	int member = 0;

	rota_scope_open(&scope, HOUR);
	rota_group_open(&outer, &options);
	EXPECT_EQ(rota_group_spawn(&outer, drain, &done), 0);
	rota_group_open(&inner, NULL);
	EXPECT_EQ(rota_group_spawn(&inner, task_store_cancel, &member), 0);
	rota_scope_cancel(&scope, NULL);
	EXPECT_EQ(rota_group_close(&inner, 0), -ECANCELED);
	EXPECT_EQ(member, -ECANCELED);
	EXPECT_EQ(rota_group_close(&outer, 0), -ECANCELED);
	EXPECT_EQ(a32_load_relaxed(&done), 1);
	EXPECT_EQ(rota_scope_close(&scope, 0), 0);
}

static int stop_the_runtime(void *arg)
{
	struct a32 *done = arg;

	rota_runtime_cancel(rota_runtime_self(), "stop");
	return drain(done);
}

TASK_TEST(grace, at_the_end_of_the_runtime)
{
	const struct rota_group_options options = { .grace_ns = HOUR };
	struct a32 done = { 0 };
	struct rota_group group;

	rota_group_open(&group, &options);
	EXPECT_EQ(rota_group_spawn(&group, stop_the_runtime, &done), 0);
	EXPECT_EQ(rota_group_spawn(&group, drain, &done), 0);
	expect_calls_end();
	EXPECT_EQ(rota_group_close(&group, -ECANCELED), -ECANCELED);
	EXPECT_EQ(a32_load_relaxed(&done), 2);
}

/* A group that is opened when the cancel is in force has its grace as well. */
TASK_TEST(grace, of_a_group_that_is_opened_in_a_struck_scope)
{
	const struct rota_group_options options = { .grace_ns = 5 * ROTA_MILLISECOND };
	struct late late = { .at = 0 };
	struct rota_scope scope;
	struct rota_group group;
	int64_t begin = rota_now();

	rota_scope_open(&scope, 0);
	rota_group_open(&group, &options);
	EXPECT_EQ(rota_group_spawn(&group, be_cancelled, &late), 0);
	EXPECT_EQ(rota_group_close(&group, 0), -ECANCELED);
	EXPECT(late.at - begin >= 5 * ROTA_MILLISECOND);
	EXPECT_EQ(rota_scope_close(&scope, 0), 0);
}

/* What does not begin one: a cancel of the group's own. */

TASK_TEST(grace, not_for_causes_of_the_group_itself)
{
	for (int how = 0; how < 5; how++) {
		static const int want[] = { 0, -EXDEV, -ETIMEDOUT, -EIO, -ECANCELED };
		const struct rota_group_options options = {
			.timeout_ns = how == 2 ? ROTA_MILLISECOND : 0,
			.grace_ns = ROTA_FOREVER,
		};
		struct late late = { .draining = -1 };
		struct rota_group group;
		int status = 0;

		rota_group_open(&group, &options);
		EXPECT_EQ(rota_group_spawn(&group, be_cancelled, &late), 0);
		if (how == 0)
			rota_group_cancel(&group, NULL);
		else if (how == 1)
			EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(-EXDEV)), 0);
		else if (how >= 3)
			status = want[how];
		/* It would never return. */
		EXPECT_EQ(rota_group_close(&group, status), want[how]);
		EXPECT_EQ(late.draining, 0);
	}
}

static int succeed_soon(void *arg)
{
	(void)arg;
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(rota_yield(), 0);
	return 0;
}

TASK_TEST(grace, not_for_a_success_in_first_wins)
{
	const struct rota_group_options options = {
		.policy = ROTA_GROUP_FIRST_WINS,
		.grace_ns = ROTA_FOREVER,
	};
	struct late late = { .draining = -1 };
	struct rota_group group;

	rota_group_open(&group, &options);
	EXPECT_EQ(rota_group_spawn(&group, be_cancelled, &late), 0);
	EXPECT_EQ(rota_group_spawn(&group, succeed_soon, NULL), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(late.draining, 0);
}

/* What ends one early. */

static int drain_and_cancel(void *arg)
{
	while (!rota_draining())
		EXPECT_EQ(rota_yield(), 0);
	rota_group_cancel(arg, "no more time");
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT_EQ(rota_draining(), 0);
	return 0;
}

static int drain_and_fail(void *arg)
{
	while (!rota_draining() && !rota_yield())
		;
	return (int)(intptr_t)arg;
}

TASK_TEST(grace, is_ended_by_a_cause_of_the_group_itself)
{
	for (int how = 0; how < 4; how++) {
		const struct rota_group_options options = {
			.timeout_ns = how == 2 ? 20 * ROTA_MILLISECOND : 0,
			.grace_ns = ROTA_FOREVER,
		};
		struct late late = { .draining = -1 };
		struct rota_scope scope;
		struct rota_group group;
		int result;

		rota_scope_open(&scope, HOUR);
		rota_group_open(&group, &options);
		EXPECT_EQ(rota_group_spawn(&group, be_cancelled, &late), 0);
		if (how == 0)
			EXPECT_EQ(rota_group_spawn(&group, drain_and_cancel, &group), 0);
		else if (how == 1)
			EXPECT_EQ(rota_group_spawn(&group, drain_and_fail, STATUS(-EXDEV)), 0);
		rota_scope_cancel(&scope, NULL);
		expect_calls_end();
		/* An error of the owner: not what came from outside. */
		result = rota_group_close(&group, how == 3 ? -EIO : -ECANCELED);
		EXPECT_EQ(result, how == 3 ? -EIO : how == 1 ? -EXDEV : -ECANCELED);
		EXPECT_EQ(late.draining, 0);
		EXPECT_EQ(rota_scope_close(&scope, 0), 0);
	}
}

/* A failure in a group that collects leaves the others their grace. */
TASK_TEST(grace, is_not_ended_by_a_failure_where_failures_cancel_nobody)
{
	static const uint32_t policies[] = { ROTA_GROUP_COLLECT, ROTA_GROUP_FIRST_WINS };

	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		const struct rota_group_options options = {
			.policy = policies[i],
			.grace_ns = ROTA_FOREVER,
		};
		struct a32 done = { 0 };
		struct rota_scope scope;
		struct rota_group group;
		int result;

		rota_scope_open(&scope, HOUR);
		rota_group_open(&group, &options);
		EXPECT_EQ(rota_group_spawn(&group, drain, &done), 0);
		EXPECT_EQ(rota_group_spawn(&group, drain_and_fail, STATUS(-EXDEV)), 0);
		rota_scope_cancel(&scope, NULL);
		result = rota_group_close(&group, 0);
		/* First-wins: who has drained has won. */
		EXPECT_EQ(result, i ? 0 : -EXDEV);
		EXPECT_EQ(a32_load_relaxed(&done), 1);
		EXPECT_EQ(rota_scope_close(&scope, 0), 0);
	}
}

/* Members in the grace. */

static int spawn_while_draining(void *arg)
{
	struct a32 *done = ((struct a32 **)arg)[0];
	struct rota_group *group = ((struct rota_group **)arg)[1];

	EXPECT_EQ(drain(done), 0);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(rota_group_spawn(group, drain, done), 0);
	return 0;
}

TASK_TEST(grace, is_for_those_that_come_later_too)
{
	const struct rota_group_options options = { .grace_ns = ROTA_FOREVER };
	struct a32 done = { 0 };
	struct rota_scope scope;
	struct rota_group group;
	void *arg[2] = { &done, &group };

	rota_scope_open(&scope, HOUR);
	rota_group_open(&group, &options);
	EXPECT_EQ(rota_group_spawn(&group, spawn_while_draining, arg), 0);
	rota_scope_cancel(&scope, NULL);
	expect_calls_end();
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(rota_group_spawn(&group, drain, &done), 0);
	EXPECT_EQ(rota_group_close(&group, -ECANCELED), -ECANCELED);
	EXPECT_EQ(a32_load_relaxed(&done), 7);
	EXPECT_EQ(rota_scope_close(&scope, 0), 0);
}

static int time_out_while_draining(void *arg)
{
	struct rota_scope scope;

	EXPECT_EQ(drain(arg), 0);
	rota_scope_open(&scope, ROTA_MILLISECOND);
	EXPECT_EQ(rota_draining(), 1);
	EXPECT_EQ(rota_scope_close(&scope, rota_sleep(ROTA_FOREVER)), -ETIMEDOUT);
	EXPECT_EQ(rota_draining(), 1);
	return rota_yield();
}

TASK_TEST(grace, members_may_use_scopes_in_it)
{
	const struct rota_group_options options = { .grace_ns = ROTA_FOREVER };
	struct a32 done = { 0 };
	struct rota_scope scope;
	struct rota_group group;

	rota_scope_open(&scope, HOUR);
	rota_group_open(&group, &options);
	EXPECT_EQ(rota_group_spawn(&group, time_out_while_draining, &done), 0);
	rota_scope_cancel(&scope, NULL);
	EXPECT_EQ(rota_group_close(&group, 0), -ECANCELED);
	EXPECT_EQ(a32_load_relaxed(&done), 1);
	EXPECT_EQ(rota_scope_close(&scope, 0), 0);
}

/* Two graces in a row: the inner one begins when the outer one is over. */

static int own_a_group_with_a_grace(void *arg)
{
	const struct rota_group_options options = { .grace_ns = 5 * ROTA_MILLISECOND };
	struct late *late = arg; /* [0]: the owner, [1]: the member */
	struct rota_group group;

	rota_group_open(&group, &options);
	EXPECT_EQ(rota_group_spawn(&group, be_cancelled, &late[1]), 0);
	return rota_group_close(&group, be_cancelled(&late[0]));
}

TASK_TEST(grace, of_a_member_begins_after_that_of_its_group)
{
	const struct rota_group_options options = { .grace_ns = 5 * ROTA_MILLISECOND };
	struct late late[2] = { { .at = 0 } };
	struct rota_scope scope;
	struct rota_group group;
	int64_t begin;

	rota_scope_open(&scope, HOUR);
	rota_group_open(&group, &options);
	EXPECT_EQ(rota_group_spawn(&group, own_a_group_with_a_grace, late), 0);
	begin = rota_now();
	rota_scope_cancel(&scope, NULL);
	EXPECT_EQ(rota_group_close(&group, 0), -ECANCELED);
	EXPECT(late[0].at - begin >= 5 * ROTA_MILLISECOND);
	EXPECT(late[1].at - begin >= 10 * ROTA_MILLISECOND);
	EXPECT_EQ(rota_scope_close(&scope, 0), 0);
}

/* The service and its clients, as in the manual: the log gets the last word. */

struct service {
	struct a32 lines; /* that were handed over */
	struct a32 closed;
	uint32_t written;
};

static int write_log(void *arg)
{
	struct service *service = arg;

	while (!a32_load_acquire(&service->closed) ||
		service->written != a32_load_acquire(&service->lines)) {
		if (service->written != a32_load_acquire(&service->lines))
			service->written++;
		/* Never cancelled, only told to end. */
		EXPECT_EQ(rota_yield(), 0);
	}
	return 0;
}

static int serve_client(void *arg)
{
	struct service *service = arg;
	int err;

	a32_add_acq_rel(&service->lines, 1);
	err = rota_sleep(ROTA_FOREVER);
	a32_add_acq_rel(&service->lines, 1); /* its last words */
	return err;
}

static int run_service(void *arg)
{
	const struct rota_group_options log_options = { .grace_ns = ROTA_FOREVER };
	struct service *service = arg;
	struct rota_group log;
	struct rota_group clients;
	int err;

	rota_group_open(&log, &log_options);
	EXPECT_EQ(rota_group_spawn(&log, write_log, service), 0);
	rota_group_open(&clients, NULL);
	for (int i = 0; i < 10; i++)
		EXPECT_EQ(rota_group_spawn(&clients, serve_client, service), 0);
	err = rota_group_close(&clients, rota_sleep(ROTA_FOREVER));
	a32_store_release(&service->closed, 1);
	return rota_group_close(&log, err);
}

TASK_TEST(grace, a_service_ends_after_its_clients)
{
	struct service service = { .written = 0 };
	struct rota_group group;
	struct rota_task *task;
	int status = 0;

	rota_group_open(&group, NULL);
	task = spawn(&group, run_service, &service);
	EXPECT(wait_cell(&service.lines, 10));
	rota_task_cancel(task, "the end");
	EXPECT_EQ(rota_task_await(task, &status), 0);
	EXPECT_EQ(status, -ECANCELED);
	EXPECT_EQ(service.written, 20);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}
