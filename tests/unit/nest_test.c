/* SPDX-License-Identifier: MIT */
/*
 * Scopes in scopes, scopes and groups in one another, in one task: who strikes whom, and which
 * close says -ETIMEDOUT.
 *
 * Behaviours of CPython's test_timeouts.py: nested timeouts with one deadline, concurrent ones,
 * those that a busy loop finds expired together, a timeout in the clean-up of another, a foreign
 * cancel in a timeout that has not expired, a timeout and a cancel in one after a cancel, the task
 * around a timeout is not cancelled. Of Trio's test_run.py: scope nesting (two at once: the outer
 * one goes on), a struck scope that is closed leaves nothing behind, filtering (a cancel of the
 * inner one, then of the outer one, and a member with another error). Left out: uncancel() and
 * cancelling() (a cancel here is for good), unshielding (shields cannot be switched).
 */
#include "unit.h"

TestSuite(nest, .timeout = HANG_SECONDS);

#define HOUR (3600 * ROTA_SECOND)

static void expect_calls_go_on(void)
{
	EXPECT_EQ(rota_cancelled(), 0);
	EXPECT_EQ(rota_yield(), 0);
	EXPECT_EQ(rota_sleep(1), 0);
}

/* Lets time pass whatever is struck around the caller. */
static void let_time_pass(int64_t until)
{
	struct rota_scope shield;

	rota_shield_open(&shield, ROTA_FOREVER);
	EXPECT_EQ(rota_sleep_until(until), 0);
	EXPECT_EQ(rota_scope_close(&shield, 0), 0);
}

/* Two deadlines. */

TASK_TEST(nest, the_inner_deadline_is_first)
{
	struct rota_scope outer;
	struct rota_scope inner;

	rota_scope_open(&outer, HOUR);
	rota_scope_open(&inner, ROTA_MILLISECOND);
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT_EQ(rota_scope_close(&inner, -ECANCELED), -ETIMEDOUT);
	expect_calls_go_on();
	EXPECT_EQ(rota_scope_cause(&outer), 0);
	/* What the inner one gave is a result like others. */
	EXPECT_EQ(rota_scope_close(&outer, -ETIMEDOUT), -ETIMEDOUT);
	EXPECT_EQ(rota_scope_cause(&outer), 0);
}

TASK_TEST(nest, the_outer_deadline_is_first)
{
	struct rota_scope outer;
	struct rota_scope inner;

	rota_scope_open(&outer, ROTA_MILLISECOND);
	rota_scope_open(&inner, HOUR);
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT_EQ(rota_scope_cause(&inner), 0);
	EXPECT_EQ(rota_scope_close(&inner, -ECANCELED), -ECANCELED);
	EXPECT_EQ(rota_yield(), -ECANCELED);
	EXPECT_EQ(rota_scope_close(&outer, -ECANCELED), -ETIMEDOUT);
	expect_calls_go_on();
}

TASK_TEST(nest, one_deadline_for_both)
{
	for (int i = 0; i < 3; i++) {
		int64_t when = rota_now() + i * ROTA_MILLISECOND;
		struct rota_scope outer;
		struct rota_scope inner;

		rota_scope_open_until(&outer, when);
		rota_scope_open_until(&inner, when);
		EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
		EXPECT_EQ(rota_scope_cause(&outer), -ETIMEDOUT);
		/* The outer one is in force as well, and goes on. */
		EXPECT_EQ(rota_scope_close(&inner, -ECANCELED), -ECANCELED);
		EXPECT_EQ(rota_yield(), -ECANCELED);
		EXPECT_EQ(rota_scope_close(&outer, -ECANCELED), -ETIMEDOUT);
		expect_calls_go_on();
	}
}

TASK_TEST(nest, both_deadlines_have_passed)
{
	for (int i = 0; i < 2; i++) {
		int64_t begin = rota_now();
		struct rota_scope outer;
		struct rota_scope inner;

		rota_scope_open_until(&outer, begin + (i ? 20 : 21) * ROTA_MILLISECOND);
		rota_scope_open_until(&inner, begin + (i ? 21 : 20) * ROTA_MILLISECOND);
		let_time_pass(begin + 22 * ROTA_MILLISECOND);
		EXPECT_EQ(rota_yield(), -ECANCELED);
		EXPECT_EQ(rota_scope_cause(&inner), -ETIMEDOUT);
		EXPECT_EQ(rota_scope_cause(&outer), -ETIMEDOUT);
		EXPECT_EQ(rota_scope_close(&inner, -ECANCELED), -ECANCELED);
		EXPECT_EQ(rota_yield(), -ECANCELED);
		EXPECT_EQ(rota_scope_close(&outer, -ECANCELED), -ETIMEDOUT);
		expect_calls_go_on();
	}
}

TASK_TEST(nest, one_deadline_after_the_other)
{
	int64_t begin = rota_now();
	struct rota_scope outer;
	struct rota_scope inner;
	int inner_result;

	rota_scope_open_until(&outer, begin + 40 * ROTA_MILLISECOND);
	rota_scope_open_until(&inner, begin + 1 * ROTA_MILLISECOND);
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	inner_result = rota_scope_close(&inner, -ECANCELED);
	/* A slow machine may have come to the second deadline by now. */
	EXPECT(inner_result == (rota_scope_cause(&outer) ? -ECANCELED : -ETIMEDOUT));
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT(rota_now() >= begin + 40 * ROTA_MILLISECOND);
	EXPECT_EQ(rota_scope_close(&outer, -ECANCELED), -ETIMEDOUT);
	expect_calls_go_on();
}

TASK_TEST(nest, a_struck_inner_scope_of_many_in_turn)
{
	struct rota_scope outer;

	rota_scope_open(&outer, HOUR);
	for (int i = 0; i < 20; i++) {
		struct rota_scope inner;

		rota_scope_open(&inner, i % 2 ? 0 : ROTA_MICROSECOND);
		EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
		EXPECT_EQ(rota_scope_close(&inner, -ECANCELED), -ETIMEDOUT);
		expect_calls_go_on();
	}
	EXPECT_EQ(rota_scope_close(&outer, 0), 0);
}

TASK_TEST(nest, a_timeout_in_the_clean_up_of_another_needs_a_shield)
{
	struct rota_scope outer;
	struct rota_scope shield;
	struct rota_scope inner;

	rota_scope_open(&outer, ROTA_MILLISECOND);
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	/* Without: refused at once, and by the outer one. */
	rota_scope_open(&inner, HOUR);
	EXPECT_EQ(rota_sleep(1), -ECANCELED);
	EXPECT_EQ(rota_scope_cause(&inner), 0);
	EXPECT_EQ(rota_scope_close(&inner, -ECANCELED), -ECANCELED);
	/* With: it times out by itself. */
	rota_shield_open(&shield, ROTA_FOREVER);
	rota_scope_open(&inner, ROTA_MILLISECOND);
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT_EQ(rota_scope_close(&inner, -ECANCELED), -ETIMEDOUT);
	EXPECT_EQ(rota_scope_close(&shield, 0), 0);
	EXPECT_EQ(rota_scope_close(&outer, -ECANCELED), -ETIMEDOUT);
	expect_calls_go_on();
}

/* Cancels and deadlines. */

TASK_TEST(nest, a_cancel_of_the_inner_one_is_over_with_it)
{
	struct rota_scope outer;
	struct rota_scope inner;

	rota_scope_open(&outer, HOUR);
	rota_scope_open(&inner, HOUR);
	rota_scope_cancel(&inner, "inner");
	EXPECT_STR_EQ(rota_cancel_reason(), "inner");
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT_EQ(rota_scope_close(&inner, -ECANCELED), -ECANCELED);
	expect_calls_go_on();
	EXPECT_STR_EQ(rota_cancel_reason(), "");
	EXPECT_EQ(rota_scope_cause(&outer), 0);
	EXPECT_EQ(rota_scope_close(&outer, 0), 0);
}

TASK_TEST(nest, a_cancel_of_the_outer_one_goes_through_the_inner_one)
{
	struct rota_scope outer;
	struct rota_scope inner;

	rota_scope_open(&outer, HOUR);
	rota_scope_open(&inner, HOUR);
	rota_scope_cancel(&outer, "outer");
	EXPECT_EQ(rota_cancelled(), -ECANCELED);
	EXPECT_STR_EQ(rota_cancel_reason(), "outer");
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT_EQ(rota_scope_cause(&inner), 0);
	EXPECT_EQ(rota_scope_close(&inner, -ECANCELED), -ECANCELED);
	EXPECT_EQ(rota_yield(), -ECANCELED);
	EXPECT_STR_EQ(rota_cancel_reason(), "outer");
	EXPECT_EQ(rota_scope_close(&outer, -ECANCELED), -ECANCELED);
	expect_calls_go_on();
}

TASK_TEST(nest, the_reason_is_the_innermost_struck_ones)
{
	struct rota_scope scope[3];

	for (size_t i = 0; i < 3; i++)
		rota_scope_open(&scope[i], HOUR);
	rota_scope_cancel(&scope[0], "outermost");
	EXPECT_STR_EQ(rota_cancel_reason(), "outermost");
	rota_scope_cancel(&scope[1], "middle");
	EXPECT_STR_EQ(rota_cancel_reason(), "middle");
	EXPECT_EQ(rota_scope_close(&scope[2], 0), 0);
	EXPECT_STR_EQ(rota_cancel_reason(), "middle");
	EXPECT_EQ(rota_scope_close(&scope[1], 0), 0);
	EXPECT_STR_EQ(rota_cancel_reason(), "outermost");
	EXPECT_EQ(rota_scope_close(&scope[0], 0), 0);
	EXPECT_STR_EQ(rota_cancel_reason(), "");
}

TASK_TEST(nest, a_group_that_is_cancelled_later_still_has_its_reason)
{
	const struct rota_group_options options = { .name = "with options" };
	struct rota_scope scope;
	struct rota_group group;

	rota_scope_open(&scope, HOUR);
	rota_group_open(&group, &options);
	rota_scope_cancel(&scope, "outer");
	EXPECT_STR_EQ(rota_cancel_reason(), "outer");
	rota_group_cancel(&group, "inner");
	EXPECT_STR_EQ(rota_cancel_reason(), "inner");
	EXPECT_EQ(rota_group_close(&group, -ECANCELED), -ECANCELED);
	EXPECT_STR_EQ(rota_cancel_reason(), "outer");
	EXPECT_EQ(rota_scope_close(&scope, 0), 0);
}

TASK_TEST(nest, a_cancel_around_a_deadline_that_struck)
{
	struct rota_scope outer;
	struct rota_scope inner;

	for (int cancel_first = 0; cancel_first < 2; cancel_first++) {
		rota_scope_open(&outer, HOUR);
		if (cancel_first)
			rota_scope_cancel(&outer, NULL);
		rota_scope_open(&inner, 0);
		EXPECT_EQ(rota_yield(), -ECANCELED);
		rota_scope_cancel(&outer, NULL);
		EXPECT_EQ(rota_scope_cause(&inner), -ETIMEDOUT);
		EXPECT_EQ(rota_scope_close(&inner, -ECANCELED), -ECANCELED);
		EXPECT_EQ(rota_scope_close(&outer, -ECANCELED), -ECANCELED);
		expect_calls_go_on();
	}
}

TASK_TEST(nest, a_deadline_around_a_cancel)
{
	struct rota_scope outer;
	struct rota_scope inner;

	rota_scope_open(&outer, HOUR);
	rota_scope_open(&inner, HOUR);
	rota_scope_cancel(&inner, NULL);
	rota_scope_set_deadline(&outer, 0);
	EXPECT_EQ(rota_scope_cause(&inner), -ECANCELED);
	EXPECT_EQ(rota_scope_close(&inner, -ECANCELED), -ECANCELED);
	EXPECT_EQ(rota_scope_close(&outer, -ECANCELED), -ETIMEDOUT);
}

TASK_TEST(nest, the_outer_deadline_may_be_moved_from_inside)
{
	struct rota_scope outer;
	struct rota_scope inner;

	rota_scope_open(&outer, HOUR);
	rota_scope_open(&inner, HOUR);
	rota_scope_set_deadline(&outer, rota_now() + ROTA_MILLISECOND);
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT_EQ(rota_scope_close(&inner, -ECANCELED), -ECANCELED);
	EXPECT_EQ(rota_scope_close(&outer, -ECANCELED), -ETIMEDOUT);
}

TASK_TEST(nest, a_result_passes_through_all_struck_ones)
{
	struct rota_scope scope[5];
	int n = 17;

	for (size_t i = 0; i < ARRAY_SIZE(scope); i++)
		rota_scope_open(&scope[i], i % 2 ? HOUR : 0);
	for (size_t i = ARRAY_SIZE(scope); i-- > 0;)
		n = rota_scope_close(&scope[i], n);
	EXPECT_EQ(n, 17);
	expect_calls_go_on();
}

/* Each of many is struck in turn: what is inside it is refused, what is outside is not. */
TASK_TEST(nest, each_of_many)
{
	enum { DEPTH = 12 };
	struct rota_scope scope[DEPTH];

	for (int strike = 0; strike < DEPTH; strike++) {
		for (int how = 0; how < 3; how++) {
			int want = how ? -ETIMEDOUT : -ECANCELED;
			int status = -ECANCELED;

			for (int i = 0; i < DEPTH; i++)
				rota_scope_open(&scope[i], HOUR);
			if (how == 0)
				rota_scope_cancel(&scope[strike], NULL);
			else if (how == 1)
				rota_scope_set_deadline(&scope[strike], 0);
			else
				rota_scope_set_deadline(&scope[strike], rota_now() + 1000);
			EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
			for (int i = DEPTH; i-- > 0;) {
				EXPECT_EQ(rota_cancelled(), i >= strike ? -ECANCELED : 0);
				EXPECT_EQ(rota_yield(), i >= strike ? -ECANCELED : 0);
				status = rota_scope_close(&scope[i], status);
				EXPECT_EQ(status, i > strike ? -ECANCELED : want);
			}
			expect_calls_go_on();
		}
	}
}

TASK_TEST(nest, as_deep_as_you_like)
{
	enum { DEPTH = 5000 };
	struct rota_scope *scope = calloc(DEPTH, sizeof(*scope));
	int status = -ECANCELED;

	/* On the heap: the outermost cannot be told by its address. */
	for (int i = 0; i < DEPTH; i++)
		rota_scope_open(&scope[i], HOUR - i);
	rota_scope_cancel(&scope[0], "all");
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT_STR_EQ(rota_cancel_reason(), "all");
	for (int i = DEPTH; i-- > 0;)
		status = rota_scope_close(&scope[i], status);
	EXPECT_EQ(status, -ECANCELED);
	expect_calls_go_on();
	free(scope);
}

/* The task itself. */

static void cancel_one(rota_task_fn *fn)
{
	struct a32 ready = { 0 };
	struct rota_group group;
	struct rota_task *task;
	int status = -EDOM;

	rota_group_open(&group, NULL);
	task = spawn(&group, fn, &ready);
	EXPECT(wait_cell(&ready, 1));
	rota_task_cancel(task, "by name");
	EXPECT_EQ(rota_task_await(task, &status), 0);
	EXPECT_EQ(status, -ECANCELED);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

static int cancelled_in_a_timeout(void *arg)
{
	struct rota_scope scope;
	int err;

	rota_scope_open(&scope, HOUR);
	a32_store_release(arg, 1);
	err = rota_sleep(ROTA_FOREVER);
	EXPECT_STR_EQ(rota_cancel_reason(), "by name");
	EXPECT_EQ(rota_scope_cause(&scope), 0);
	EXPECT_EQ(rota_scope_close(&scope, err), -ECANCELED);
	EXPECT_EQ(rota_yield(), -ECANCELED);
	return err;
}

static int timeout_after_a_cancel(void *arg)
{
	struct rota_scope scope;
	int err;

	a32_store_release(arg, 1);
	err = rota_sleep(ROTA_FOREVER);
	for (int i = 0; i < 2; i++) {
		rota_scope_open(&scope, i ? HOUR : 0);
		EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
		/* Not a timeout: the cancel of the task is in force and goes on. */
		EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ECANCELED);
	}
	return err;
}

static int cancelled_after_a_timeout(void *arg)
{
	struct rota_scope shield;
	struct rota_scope scope;
	int err;

	rota_scope_open(&scope, 0);
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	a32_store_release(arg, 1);
	/* Until the cancel has come: the inner one cannot tell, so look from a shield. */
	do {
		rota_shield_open(&shield, ROTA_FOREVER);
		EXPECT_EQ(rota_sleep(ROTA_MILLISECOND), 0);
		EXPECT_EQ(rota_scope_close(&shield, 0), 0);
		err = rota_scope_close(&scope, -ECANCELED);
		rota_scope_open(&scope, 0);
	} while (err == -ETIMEDOUT);
	EXPECT_EQ(err, -ECANCELED);
	EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ECANCELED);
	return rota_yield();
}

TASK_TEST(nest, a_cancel_of_the_task_goes_through_its_scopes)
{
	cancel_one(cancelled_in_a_timeout);
	cancel_one(timeout_after_a_cancel);
	cancel_one(cancelled_after_a_timeout);
}

static int time_out(void *arg)
{
	struct rota_scope scope;

	(void)arg;
	rota_scope_open(&scope, ROTA_MILLISECOND);
	EXPECT_EQ(rota_scope_close(&scope, rota_sleep(ROTA_FOREVER)), -ETIMEDOUT);
	expect_calls_go_on();
	return 6;
}

TASK_TEST(nest, a_timeout_does_not_cancel_its_task)
{
	struct rota_group group;
	struct rota_task *task;
	int status = 0;

	rota_group_open(&group, NULL);
	task = spawn(&group, time_out, NULL);
	EXPECT_EQ(rota_task_await(task, &status), 0);
	EXPECT_EQ(status, 6);
	EXPECT_EQ(rota_task_state(task), ROTA_TASK_DONE);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

/* Scopes and groups. */

TASK_TEST(nest, a_deadline_around_a_group)
{
	for (int i = 0; i < 3; i++) {
		struct rota_scope scope;
		struct rota_group group;
		int member = 0;
		int err = 0;

		rota_scope_open(&scope, ROTA_MILLISECOND);
		rota_group_open(&group, NULL);
		EXPECT_EQ(rota_group_spawn(&group, task_store_cancel, &member), 0);
		/* In a call of its own, in a wait for the members, in the close. */
		if (i == 0)
			err = rota_sleep(ROTA_FOREVER);
		else if (i == 1)
			err = rota_group_wait(&group);
		EXPECT_EQ(err, i == 2 ? 0 : -ECANCELED);
		EXPECT_EQ(rota_group_close(&group, err), -ECANCELED);
		EXPECT_EQ(member, -ECANCELED);
		EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
		expect_calls_go_on();
	}
}

TASK_TEST(nest, a_deadline_in_a_group_is_not_the_groups)
{
	struct rota_scope scope;
	struct rota_group group;
	int member = 0;

	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, task_store_cancel, &member), 0);
	rota_scope_open(&scope, ROTA_MILLISECOND);
	EXPECT_EQ(rota_group_wait(&group), -ECANCELED);
	EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
	/* A wait with a timeout: the members know nothing of it. */
	expect_calls_go_on();
	EXPECT_EQ(rota_group_live(&group), 1);
	EXPECT_EQ(member, 0);
	EXPECT_EQ(rota_group_close(&group, -EDOM), -EDOM);
	EXPECT_EQ(member, -ECANCELED);
}

TASK_TEST(nest, a_wait_for_members_may_be_tried_again)
{
	struct a32 count = { 0 };
	struct rota_scope scope;
	struct rota_group group;

	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, task_forever, NULL), 0);
	for (int i = 0; i < 20; i++) {
		rota_scope_open(&scope, i % 2 ? 0 : 10 * ROTA_MICROSECOND);
		EXPECT_EQ(rota_scope_close(&scope, rota_group_wait(&group)), -ETIMEDOUT);
		EXPECT_EQ(rota_group_spawn(&group, task_count, &count), 0);
	}
	rota_group_cancel(&group, NULL);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(a32_load_relaxed(&count), 20);
}

TASK_TEST(nest, a_group_that_fails_around_a_scope)
{
	struct rota_scope scope;
	struct rota_group group;

	rota_group_open(&group, NULL);
	rota_scope_open(&scope, HOUR);
	EXPECT_EQ(rota_group_spawn(&group, task_return, STATUS(-EXDEV)), 0);
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT_EQ(rota_scope_cause(&scope), 0);
	EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ECANCELED);
	EXPECT_EQ(rota_yield(), -ECANCELED);
	EXPECT_EQ(rota_group_close(&group, -ECANCELED), -EXDEV);
	expect_calls_go_on();
}

TASK_TEST(nest, a_groups_timeout_around_a_scope)
{
	const struct rota_group_options options = { .timeout_ns = ROTA_MILLISECOND };
	struct rota_scope scope;
	struct rota_group group;

	rota_group_open(&group, &options);
	rota_scope_open(&scope, HOUR);
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ECANCELED);
	EXPECT_EQ(rota_yield(), -ECANCELED);
	EXPECT_EQ(rota_group_close(&group, -ECANCELED), -ETIMEDOUT);
	expect_calls_go_on();
}

/*
 * As with scopes: the outer one is in force as well, and goes on. With -ETIMEDOUT, a loop that
 * tries again after it would be told to.
 */
TASK_TEST(nest, a_scopes_deadline_and_that_of_a_group_in_it)
{
	for (int group_first = 0; group_first < 2; group_first++) {
		const struct rota_group_options options = {
			.timeout_ns = (group_first ? 20 : 30) * ROTA_MILLISECOND,
		};
		int64_t begin = rota_now();
		struct rota_scope scope;
		struct rota_group group;

		rota_scope_open(&scope, 25 * ROTA_MILLISECOND);
		rota_group_open(&group, &options);
		let_time_pass(begin + 60 * ROTA_MILLISECOND);
		EXPECT_EQ(rota_yield(), -ECANCELED);
		EXPECT_EQ(rota_group_close(&group, -ECANCELED), -ECANCELED);
		EXPECT_EQ(rota_yield(), -ECANCELED);
		EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ETIMEDOUT);
		expect_calls_go_on();
	}
}

/* Layers, scopes and groups in turn; each group has a member. One of them is struck. */

enum { LAYERS = 8 };

struct layer {
	struct rota_scope scope;
	struct rota_group group;
	int member;
	bool is_group;
};

static int close_layer(struct layer *layer, int status)
{
	if (!layer->is_group)
		return rota_scope_close(&layer->scope, status);
	return rota_group_close(&layer->group, status);
}

static void strike_one_of_the_layers(bool groups_first, int strike)
{
	struct layer layer[LAYERS];
	int status = -ECANCELED;

	for (int i = 0; i < LAYERS; i++) {
		layer[i].is_group = i % 2 == !groups_first;
		layer[i].member = 0;
		if (!layer[i].is_group) {
			rota_scope_open(&layer[i].scope, HOUR);
			continue;
		}
		rota_group_open(&layer[i].group, NULL);
		EXPECT_EQ(
			rota_group_spawn(&layer[i].group, task_store_cancel, &layer[i].member), 0);
	}
	if (layer[strike].is_group)
		rota_group_cancel(&layer[strike].group, NULL);
	else
		rota_scope_cancel(&layer[strike].scope, NULL);
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	for (int i = LAYERS; i-- > 0;) {
		EXPECT_EQ(rota_yield(), i >= strike ? -ECANCELED : 0);
		if (i < strike) {
			/* Not concerned. */
			EXPECT_EQ(layer[i].member, 0);
			if (layer[i].is_group)
				rota_group_cancel(&layer[i].group, NULL);
			EXPECT_EQ(close_layer(&layer[i], 0), 0);
		} else {
			status = close_layer(&layer[i], status);
			EXPECT_EQ(status, -ECANCELED);
		}
		if (layer[i].is_group)
			EXPECT_EQ(layer[i].member, -ECANCELED);
	}
	expect_calls_go_on();
}

TASK_TEST(nest, scopes_and_groups_in_turn)
{
	for (int strike = 0; strike < LAYERS; strike++) {
		strike_one_of_the_layers(false, strike);
		strike_one_of_the_layers(true, strike);
	}
}

static int fail_when_cancelled(void *arg)
{
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	return (int)(intptr_t)arg;
}

/* Both are cancelled, and a member makes something else of it: that is what comes out. */
TASK_TEST(nest, an_error_goes_through_scopes_that_were_struck)
{
	struct rota_scope scope;
	struct rota_group group;
	int member[2] = { 0 };

	rota_scope_open(&scope, HOUR);
	rota_group_open(&group, NULL);
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(rota_group_spawn(&group, task_store_cancel, &member[i]), 0);
	EXPECT_EQ(rota_group_spawn(&group, fail_when_cancelled, STATUS(-EXDEV)), 0);
	rota_group_cancel(&group, NULL);
	rota_scope_cancel(&scope, NULL);
	EXPECT_EQ(rota_group_close(&group, -ECANCELED), -EXDEV);
	EXPECT_EQ(rota_scope_close(&scope, -EXDEV), -EXDEV);
	EXPECT_EQ(member[0], -ECANCELED);
	EXPECT_EQ(member[1], -ECANCELED);
}

TASK_TEST(nest, a_struck_scope_that_is_closed_leaves_the_group_alone)
{
	struct a32 count = { 0 };
	struct rota_scope scope;
	struct rota_group group;

	rota_group_open(&group, NULL);
	rota_scope_open(&scope, 0);
	/* A member runs as the group is, wherever it was spawned. */
	EXPECT_EQ(rota_group_spawn(&group, task_count, &count), 0);
	EXPECT_EQ(rota_scope_close(&scope, rota_yield()), -ETIMEDOUT);
	EXPECT_EQ(rota_group_wait(&group), 0);
	EXPECT_EQ(rota_group_spawn(&group, task_count, &count), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(a32_load_relaxed(&count), 2);
}
