/* SPDX-License-Identifier: MIT */
/*
 * Scopes and groups that are closed twice, in the wrong order, by others, or not at all; scopes in
 * the child of a fork(). What cannot be gone on from is a report that names the site, and an abort.
 *
 * Behaviours of Trio's test_run.py: misnesting of cancel scopes and nurseries, an exit from an
 * unrelated task; of CPython's test_timeouts.py and test_taskgroups.py: used twice, not entered,
 * without a task (in scope_test.c and group_test.c). Left out: that the program goes on after it.
 */
#include "unit.h"

#include "callers.h"

TestSuite(scope_misuse, .timeout = HANG_SECONDS);

#define HOUR (3600 * ROTA_SECOND)
#define HERE "(scope_misuse_test.c:"

/* The wrong order. */

static int close_the_outer_scope(void *arg)
{
	struct rota_scope outer;
	struct rota_scope inner;

	(void)arg;
	rota_scope_open(&outer, HOUR);
	rota_scope_open(&inner, HOUR);
	return rota_scope_close(&outer, 0);
}

static int close_the_outer_shield(void *arg)
{
	struct rota_scope outer;
	struct rota_scope inner;

	(void)arg;
	rota_shield_open(&outer, HOUR);
	rota_shield_open(&inner, HOUR);
	return rota_scope_close(&outer, 0);
}

static int close_a_scope_around_a_group(void *arg)
{
	struct rota_scope outer;
	struct rota_group inner;

	(void)arg;
	rota_scope_open(&outer, HOUR);
	rota_group_open(&inner, NULL);
	return rota_scope_close(&outer, 0);
}

static int close_a_group_around_a_scope(void *arg)
{
	struct rota_group outer;
	struct rota_scope inner;

	(void)arg;
	rota_group_open(&outer, NULL);
	rota_scope_open(&inner, HOUR);
	return rota_group_close(&outer, 0);
}

Test(scope_misuse, the_wrong_order_aborts)
{
	EXPECT_REPORT(close_the_outer_scope, "scope &outer " HERE);
	EXPECT_REPORT(close_the_outer_scope, "scope &inner " HERE);
	EXPECT_REPORT(close_the_outer_shield, "shield &outer " HERE);
	EXPECT_REPORT(close_a_scope_around_a_group, "scope &outer " HERE);
	EXPECT_REPORT(close_a_scope_around_a_group, "group &inner " HERE);
	EXPECT_REPORT(close_a_group_around_a_scope, "group &outer " HERE);
	EXPECT_REPORT(close_a_group_around_a_scope, "scope &inner " HERE);
}

/* By another task. */

static int close_it(void *arg)
{
	return rota_scope_close(arg, 0);
}

static int close_it_from_inside(void *arg)
{
	struct rota_scope own;

	rota_scope_open(&own, HOUR);
	return rota_scope_close(arg, 0);
}

static int lend_scope(rota_task_fn *fn)
{
	struct rota_scope lent;
	struct rota_group group;

	rota_scope_open(&lent, HOUR);
	rota_group_open(&group, NULL);
	rota_group_spawn(&group, fn, &lent);
	return rota_group_close(&group, 0);
}

static int lend_to_one(void *arg)
{
	(void)arg;
	return lend_scope(close_it);
}

static int lend_to_one_with_a_scope(void *arg)
{
	(void)arg;
	return lend_scope(close_it_from_inside);
}

Test(scope_misuse, closing_anothers_aborts)
{
	EXPECT_REPORT(lend_to_one, "scope &lent " HERE);
	EXPECT_REPORT(lend_to_one_with_a_scope, "scope &lent " HERE);
}

/* Not at all. */

/* Static: the report must not depend on the frame that is gone. */
static struct rota_scope forgotten;

static int forget_scope(void *arg)
{
	(void)arg;
	rota_scope_open(&forgotten, HOUR);
	return 0;
}

static int forget_shield(void *arg)
{
	(void)arg;
	rota_shield_open(&forgotten, ROTA_FOREVER);
	return 0;
}

static int spawn_who_forgets_a_scope(void *arg)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	rota_group_spawn(&group, forget_scope, arg);
	return rota_group_close(&group, 0);
}

static int spawn_who_forgets_a_shield(void *arg)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	rota_group_spawn(&group, forget_shield, arg);
	return rota_group_close(&group, 0);
}

Test(scope_misuse, ending_with_an_open_one_aborts)
{
	EXPECT_REPORT(forget_scope, "&forgotten " HERE);
	EXPECT_REPORT(spawn_who_forgets_a_scope, "&forgotten " HERE);
	EXPECT_REPORT(spawn_who_forgets_a_scope, "of forget_scope " HERE);
	EXPECT_REPORT(spawn_who_forgets_a_shield, "&forgotten " HERE);
}

/* A frame that was left, found at the next open: debug checks only. */

static __attribute__((noinline)) int leave_a_scope(void)
{
	struct rota_scope left;

	rota_scope_open(&left, HOUR);
	return rota_yield();
}

static __attribute__((noinline)) int leave_a_group(void)
{
	struct rota_group left;

	rota_group_open(&left, NULL);
	return rota_yield();
}

static int open_after_a_scope_was_left(void *arg)
{
	struct rota_scope scope;

	(void)arg;
	leave_a_scope();
	rota_scope_open(&scope, HOUR);
	return rota_scope_close(&scope, 0);
}

static int open_after_a_group_was_left(void *arg)
{
	struct rota_group group;

	(void)arg;
	leave_a_group();
	rota_group_open(&group, NULL);
	return rota_group_close(&group, 0);
}

static int open_a_group_after_a_scope_was_left(void *arg)
{
	struct rota_group group;

	(void)arg;
	leave_a_scope();
	rota_group_open(&group, NULL);
	return rota_group_close(&group, 0);
}

static void expect_debug_report(rota_task_fn *fn, const char *what)
{
	const struct child_task task = { .fn = fn, .flags = ROTA_CONFIG_DEBUG };

	expect_report_at(__FILE__, __LINE__, &task, what);
}

Test(scope_misuse, a_frame_that_was_left_aborts_with_debug_checks)
{
	expect_debug_report(open_after_a_scope_was_left, "&scope " HERE);
	expect_debug_report(open_after_a_group_was_left, "&group " HERE);
	expect_debug_report(open_a_group_after_a_scope_was_left, "&group " HERE);
}

/* What was left is in dead memory by then: the report must not look at it. */

static __attribute__((noinline)) int overwrite_the_stack(int value)
{
	volatile char dead[4096];

	memset((void *)dead, value, sizeof(dead));
	return dead[100];
}

static int close_the_outer_one_of_a_scope_that_was_left(void *arg)
{
	struct rota_scope outer;

	(void)arg;
	rota_scope_open(&outer, HOUR);
	leave_a_scope();
	overwrite_the_stack(0x55);
	return rota_scope_close(&outer, 0);
}

static int close_the_outer_one_of_a_group_that_was_left(void *arg)
{
	struct rota_group outer;

	(void)arg;
	rota_group_open(&outer, NULL);
	leave_a_group();
	overwrite_the_stack(0x55);
	return rota_group_close(&outer, 0);
}

static int open_after_a_scope_was_overwritten(void *arg)
{
	struct rota_scope scope;

	(void)arg;
	leave_a_scope();
	overwrite_the_stack(0x55);
	rota_scope_open(&scope, HOUR);
	return rota_scope_close(&scope, 0);
}

static int end_after_a_scope_was_left(void *arg)
{
	(void)arg;
	leave_a_scope();
	return overwrite_the_stack(0x55);
}

static int spawn_who_leaves_a_scope(void *arg)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	rota_group_spawn(&group, end_after_a_scope_was_left, arg);
	return rota_group_close(&group, 0);
}

Test(scope_misuse, what_was_left_in_dead_memory_is_reported)
{
	EXPECT_REPORT(close_the_outer_one_of_a_scope_that_was_left, "scope &outer " HERE);
	EXPECT_REPORT(close_the_outer_one_of_a_group_that_was_left, "group &outer " HERE);
	EXPECT_REPORT(spawn_who_leaves_a_scope, "of end_after_a_scope_was_left " HERE);
	expect_debug_report(open_after_a_scope_was_overwritten, "&scope " HERE);
}

/* Whatever the order of the variables in a frame, and wherever they lie: nothing to report. */

struct both {
	struct rota_scope low;
	struct rota_scope high;
};

static int open_below(struct rota_scope *outer, int depth)
{
	struct rota_scope inner;
	int err;

	rota_scope_open(&inner, HOUR);
	err = depth ? open_below(&inner, depth - 1) : rota_yield();
	EXPECT(rota_scope_cause(outer) == 0);
	return rota_scope_close(&inner, err);
}

/* Opened for its caller. */
static __attribute__((noinline)) void open_for_the_caller(struct rota_scope *scope)
{
	rota_scope_open(scope, HOUR);
}

static void open_both(struct rota_scope *first, struct rota_scope *second)
{
	open_for_the_caller(first);
	rota_scope_open(second, HOUR);
	EXPECT_EQ(open_below(second, 5), 0);
	EXPECT_EQ(rota_scope_close(second, 0), 0);
	EXPECT_EQ(rota_scope_close(first, 0), 0);
}

TASK_TEST(scope_misuse, frames_in_use_are_no_misuse)
{
	struct both *heap = calloc(1, sizeof(*heap));
	static struct both fixed;
	struct both local;

	open_both(&local.low, &local.high);
	open_both(&local.high, &local.low);
	open_both(&heap->low, &heap->high);
	open_both(&heap->high, &heap->low);
	open_both(&fixed.low, &local.low);
	open_both(&local.low, &fixed.low);
	open_for_the_caller(&local.low);
	open_both(&heap->low, &fixed.low);
	open_both(&fixed.low, &local.high);
	EXPECT_EQ(rota_scope_close(&local.low, 0), 0);
	free(heap);
}

/* The child of a fork(). */

#define REFUSED(call)                                                                        \
	do {                                                                                 \
		int result_ = (call);                                                        \
		if (result_ != -EPERM) {                                                     \
			dprintf(2, "%s:%d: " #call " is %d\n", __FILE__, __LINE__, result_); \
			bad = 1;                                                             \
		}                                                                            \
	} while (0)

static int try_in_child(struct rota_scope *inherited, struct rota_group *kept)
{
	struct rota_call call = { .fn = task_return };
	struct rota_result result;
	struct rota_scope scope;
	int bad = 0;

	rota_scope_open(&scope, 0);
	REFUSED(rota_scope_close(&scope, 0));
	rota_shield_open(&scope, ROTA_FOREVER);
	REFUSED(rota_scope_close(&scope, 0));
	REFUSED(rota_race(&call, 1));
	REFUSED(rota_group_next(kept, &result));
	REFUSED(rota_scope_close(inherited, 0));
	if (rota_cancelled() || rota_draining() || rota_deadline() != ROTA_FOREVER ||
		rota_cancel_reason()[0] || rota_error_last())
		bad = 2;
	rota_scope_set_deadline(inherited, 0);
	rota_scope_cancel(inherited, "in the child");
	rota_scope_cleanup(inherited);
	return bad;
}

TASK_TEST(scope_misuse, in_the_child_of_a_fork_all_is_refused)
{
	const struct rota_group_options keep = { .flags = ROTA_GROUP_KEEP };
	struct rota_scope scope;
	struct rota_group group;
	int wait_status = -1;
	pid_t pid;

	rota_group_open(&group, &keep);
	rota_scope_open(&scope, HOUR);
	pid = fork();
	if (pid == 0) {
		alarm(HANG_SECONDS - 5);
		_exit(try_in_child(&scope, &group));
	}
	EXPECT_EQ(waitpid(pid, &wait_status, 0), pid);
	EXPECT_EQ(wait_status, 0);
	EXPECT_EQ(rota_yield(), 0);
	EXPECT_EQ(rota_scope_cause(&scope), 0);
	EXPECT_EQ(rota_scope_close(&scope, 0), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

/* Forms with a cleanup that are closed by hand as well. */
TASK_TEST(scope_misuse, a_cleanup_after_the_close_is_none)
{
	for (int i = 0; i < 3; i++) {
		ROTA_SCOPE(scope, HOUR);
		ROTA_GROUP(group, NULL);
		ROTA_SHIELD(shield, ROTA_FOREVER);

		EXPECT_EQ(rota_scope_close(&shield, 1), 1);
		EXPECT_EQ(rota_group_close(&group, 2), 2);
		EXPECT_EQ(rota_scope_close(&scope, 3), 3);
		EXPECT_EQ(rota_scope_close(&scope, 3), -EINVAL);
	}
	EXPECT_EQ(rota_yield(), 0);
}
