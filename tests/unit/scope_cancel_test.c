/* SPDX-License-Identifier: MIT */
/*
 * Who may cancel a scope, and in what wait its owner may be: tasks of this loop and of others,
 * plain threads, several at once, too late.
 *
 * Behaviours of Trio's test_run.py: cancel while acquiring (here: each kind of wait of the group
 * and descriptor calls), cancel from a child, cancel inheritance, a scope that is cancelled after
 * its close, a wait that cannot be cut short is not. Of CPython's test_waitfor.py and
 * test_tasks.py: cancel of who waits for another task does not cancel that task; a result and a
 * cancel at the same time: one of them, and nothing lost. Left out: locks and channels (each in
 * its own unit), abort functions that say no (there is no such hook here).
 */
#include "unit.h"

TestSuite(scope_cancel, .timeout = HANG_SECONDS);

#define HOUR (3600 * ROTA_SECOND)

static void expect_calls_go_on(void)
{
	EXPECT_EQ(rota_cancelled(), 0);
	EXPECT_EQ(rota_yield(), 0);
	EXPECT_EQ(rota_sleep(1), 0);
}

/* Each kind of wait, inside a scope. */

struct held {
	struct rota_group *full; /* one member, limit 1 */
	struct rota_group *kept; /* one member, ROTA_GROUP_KEEP */
	struct rota_task *sleeper;
	int fd[2];
};

static int in_sleep(const struct held *held)
{
	(void)held;
	return rota_sleep(ROTA_FOREVER);
}

static int in_timed_sleep(const struct held *held)
{
	(void)held;
	return rota_sleep_until(rota_now() + HOUR);
}

static int in_await(const struct held *held)
{
	return rota_task_await(held->sleeper, NULL);
}

static int in_group_wait(const struct held *held)
{
	return rota_group_wait(held->full);
}

static int in_group_next(const struct held *held)
{
	struct rota_result result;

	return rota_group_next(held->kept, &result);
}

static int in_read(const struct held *held)
{
	char c;

	return rota_read(held->fd[0], &c, 1);
}

static int in_gather(const struct held *held)
{
	struct rota_call calls[] = { { .fn = task_forever }, { .fn = task_forever } };
	int err = rota_gather(calls, 2);

	(void)held;
	EXPECT_EQ(calls[0].status, -ECANCELED);
	EXPECT_EQ(calls[1].status, -ECANCELED);
	return err;
}

static int in_race(const struct held *held)
{
	struct rota_call calls[] = { { .fn = task_forever }, { .fn = task_forever } };
	int err = rota_race(calls, 2);

	(void)held;
	EXPECT_EQ(calls[0].status, -ECANCELED);
	EXPECT_EQ(calls[1].status, -ECANCELED);
	return err;
}

static int in_group_close(const struct held *held)
{
	struct rota_group group;
	int member = 0;
	int err;

	(void)held;
	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, task_store_cancel, &member), 0);
	err = rota_group_close(&group, 0);
	EXPECT_EQ(member, -ECANCELED);
	return err;
}

static int (*const waits[])(const struct held *held) = {
	in_sleep,
	in_timed_sleep,
	in_await,
	in_group_wait,
	in_group_next,
	in_read,
	in_gather,
	in_race,
	in_group_close,
};

/* A task with a scope, for others to cancel. */

struct victim {
	struct rota_scope scope;
	struct rota_task *task;
	struct a32 open;
	size_t wait;
	int result;
};

static int wait_in_a_scope(void *arg)
{
	const struct rota_group_options full_options = { .limit = 1 };
	const struct rota_group_options kept_options = { .flags = ROTA_GROUP_KEEP };
	struct victim *victim = arg;
	struct rota_group full;
	struct rota_group kept;
	struct held held = { .full = &full, .kept = &kept };

	EXPECT_EQ(pipe2(held.fd, O_CLOEXEC), 0);
	rota_group_open(&full, &full_options);
	rota_group_open(&kept, &kept_options);
	held.sleeper = spawn(&full, task_forever, NULL);
	spawn(&kept, task_forever, NULL);
	rota_scope_open(&victim->scope, victim->wait % 2 ? HOUR : ROTA_FOREVER);
	a32_store_release(&victim->open, 1);
	victim->result = waits[victim->wait](&held);
	EXPECT_EQ(rota_yield(), -ECANCELED);
	EXPECT_STR_EQ(rota_cancel_reason(), "you");
	EXPECT_EQ(rota_scope_cause(&victim->scope), -ECANCELED);
	victim->result = rota_scope_close(&victim->scope, victim->result);
	expect_calls_go_on();
	/* Who was waited for knows nothing of it. */
	EXPECT(rota_task_state(held.sleeper) < ROTA_TASK_DONE);
	rota_group_cancel(&kept, NULL);
	EXPECT_EQ(rota_group_close(&kept, 0), 0);
	rota_group_cancel(&full, NULL);
	EXPECT_EQ(rota_group_close(&full, 0), 0);
	rota_close(held.fd[0]);
	rota_close(held.fd[1]);
	return 0;
}

static void spawn_victim(struct rota_group *group, struct victim *victim, uint32_t loop)
{
	const struct rota_spawn_options there = {
		.flags = ROTA_SPAWN_ON_LOOP,
		.loop = loop % rota_loop_count(),
	};

	EXPECT_EQ(rota_group_spawn_with(group, wait_in_a_scope, victim, &victim->task, &there), 0);
	EXPECT(wait_cell(&victim->open, 1));
}

TASK_TEST(scope_cancel, by_another_task_cuts_every_wait_short)
{
	for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
		for (uint32_t loop = 0; loop < rota_loop_count(); loop++) {
			struct victim victim = { .wait = i };
			struct rota_group group;

			rota_group_open(&group, NULL);
			spawn_victim(&group, &victim, loop);
			/* Mostly in the wait, sometimes on the way there. */
			if (loop % 2 == 0)
				wait_state(victim.task, ROTA_TASK_SUSPENDED);
			rota_scope_cancel(&victim.scope, "you");
			EXPECT_EQ(rota_group_close(&group, 0), 0);
			expect_at(victim.result == -ECANCELED, "wait %zu on loop %u: %d\n", i, loop,
				victim.result);
		}
	}
}

static void *cancel_on_thread(void *arg)
{
	rota_scope_cancel(arg, "you");
	return NULL;
}

TASK_TEST(scope_cancel, by_a_plain_thread_cuts_every_wait_short)
{
	if (is_simulated())
		return;
	for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
		struct victim victim = { .wait = i };
		struct rota_group group;
		pthread_t thread;

		rota_group_open(&group, NULL);
		spawn_victim(&group, &victim, (uint32_t)i);
		EXPECT_EQ(pthread_create(&thread, NULL, cancel_on_thread, &victim.scope), 0);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		EXPECT_EQ(victim.result, -ECANCELED);
		pthread_join(thread, NULL);
	}
}

/* The owner in a wait for a place, whose group goes on. */
TASK_TEST(scope_cancel, while_a_spawn_waits_at_the_limit)
{
	const struct rota_group_options full = { .limit = 1 };
	struct a32 count = { 0 };
	struct rota_scope scope;
	struct rota_group group;

	rota_group_open(&group, &full);
	spawn(&group, task_forever, NULL);
	rota_scope_open(&scope, ROTA_MILLISECOND);
	EXPECT_EQ(
		rota_scope_close(&scope, rota_group_spawn(&group, task_count, &count)), -ETIMEDOUT);
	EXPECT_EQ(rota_group_live(&group), 1);
	expect_calls_go_on();
	rota_group_cancel(&group, NULL);
	/* The spawn that failed counts. */
	EXPECT_EQ(rota_group_close(&group, 0), -ECANCELED);
	EXPECT_EQ(a32_load_relaxed(&count), 0);
}

/* A member cancels the scope around its group, and so itself. */
static int cancel_scope(void *arg)
{
	rota_scope_cancel(arg, "by a member");
	return rota_sleep(ROTA_FOREVER);
}

TASK_TEST(scope_cancel, by_a_member_of_a_group_inside)
{
	struct rota_scope scope;
	struct rota_group group;

	for (int i = 0; i < 20; i++) {
		rota_scope_open(&scope, HOUR);
		rota_group_open(&group, NULL);
		EXPECT_EQ(rota_group_spawn(&group, cancel_scope, &scope), 0);
		EXPECT_EQ(rota_group_close(&group, 0), -ECANCELED);
		EXPECT_STR_EQ(rota_cancel_reason(), "by a member");
		EXPECT_EQ(rota_scope_close(&scope, -ECANCELED), -ECANCELED);
		expect_calls_go_on();
	}
}

/* A loop that computes does not turn: it can ask. */
static void compute_until_cancelled(struct rota_scope *scope)
{
	int64_t begin = rota_now();

	while (!rota_cancelled() && rota_now() - begin < 10 * ROTA_SECOND)
		;
	EXPECT_EQ(rota_cancelled(), -ECANCELED);
	EXPECT_EQ(rota_scope_cause(scope), -ECANCELED);
	EXPECT_EQ(rota_scope_close(scope, -ECANCELED), -ECANCELED);
}

TASK_TEST(scope_cancel, reaches_a_loop_that_computes)
{
	struct rota_scope scope;
	pthread_t thread;

	if (is_simulated())
		return;
	rota_scope_open(&scope, ROTA_FOREVER);
	EXPECT_EQ(pthread_create(&thread, NULL, cancel_on_thread, &scope), 0);
	compute_until_cancelled(&scope);
	pthread_join(thread, NULL);
	expect_calls_go_on();
}

/* Cancels that come too late, or at any time. */

struct hunted {
	struct rota_scope scope;
	struct a32 stop;
	uint32_t rounds;
	uint32_t struck;
};

static int hunt(void *arg)
{
	struct hunted *hunted = arg;

	while (!a32_load_acquire(&hunted->stop)) {
		rota_scope_cancel(&hunted->scope, "hunted");
		if (rota_yield())
			break;
	}
	return 0;
}

/* Whatever comes when: it says what it was, and does not reach beyond the close. */
static void be_hunted(struct hunted *hunted)
{
	int err;

	for (uint32_t i = 0; i < hunted->rounds; i++) {
		rota_scope_open(&hunted->scope, i % 4 ? ROTA_FOREVER : i % 3 * ROTA_MICROSECOND);
		err = i % 2 ? rota_yield() : rota_sleep(i % 5 * ROTA_MICROSECOND);
		if (err) {
			EXPECT_EQ(err, -ECANCELED);
			EXPECT_EQ(rota_cancelled(), -ECANCELED);
			err = rota_scope_close(&hunted->scope, err);
			EXPECT(err < 0 && err == rota_scope_cause(&hunted->scope));
			hunted->struck += err == -ECANCELED;
		} else {
			EXPECT_EQ(rota_scope_close(&hunted->scope, 3), 3);
		}
		EXPECT_EQ(rota_cancelled(), 0);
		EXPECT_EQ(rota_yield(), 0);
	}
	a32_store_release(&hunted->stop, 1);
}

TASK_TEST(scope_cancel, never_reaches_beyond_the_close)
{
	struct hunted hunted = { .rounds = 3000 };
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (uint32_t i = 0; i < 2; i++) {
		const struct rota_spawn_options there = {
			.flags = ROTA_SPAWN_ON_LOOP,
			.loop = i % rota_loop_count(),
		};

		EXPECT_EQ(rota_group_spawn_with(&group, hunt, &hunted, NULL, &there), 0);
	}
	be_hunted(&hunted);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

static void *hunt_on_thread(void *arg)
{
	struct hunted *hunted = arg;

	while (!a32_load_acquire(&hunted->stop)) {
		rota_scope_cancel(&hunted->scope, "hunted");
		sched_yield();
	}
	return NULL;
}

TASK_TEST(scope_cancel, by_threads_never_reaches_beyond_the_close)
{
	struct hunted hunted = { .rounds = 3000 };
	pthread_t thread[2];

	if (is_simulated())
		return;
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(pthread_create(&thread[i], NULL, hunt_on_thread, &hunted), 0);
	be_hunted(&hunted);
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
}

struct crowd {
	struct rota_scope scope;
	struct a32 go;
	char reason[16];
};

struct canceller {
	struct crowd *crowd;
	char reason[16];
};

static int cancel_with_the_others(void *arg)
{
	struct canceller *self = arg;

	EXPECT(wait_cell(&self->crowd->go, 1));
	rota_scope_cancel(&self->crowd->scope, self->reason);
	return 0;
}

TASK_TEST(scope_cancel, one_reason_of_many)
{
	enum { CANCELLERS = 8 };
	struct crowd crowd = { .go = { 0 } };
	struct canceller canceller[CANCELLERS];
	struct rota_group group;
	char first[16];
	int number = -1;

	for (int round = 0; round < 20; round++) {
		a32_store_relaxed(&crowd.go, 0);
		rota_group_open(&group, NULL);
		rota_scope_open(&crowd.scope, HOUR);
		for (int i = 0; i < CANCELLERS; i++) {
			canceller[i].crowd = &crowd;
			snprintf(canceller[i].reason, sizeof(canceller[i].reason), "reason %d", i);
			EXPECT_EQ(
				rota_group_spawn(&group, cancel_with_the_others, &canceller[i]), 0);
		}
		a32_store_release(&crowd.go, 1);
		EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
		snprintf(first, sizeof(first), "%s", rota_cancel_reason());
		EXPECT_EQ(sscanf(first, "reason %d", &number), 1);
		EXPECT(number >= 0 && number < CANCELLERS);
		while (rota_group_live(&group)) {
			struct rota_scope shield;

			rota_shield_open(&shield, ROTA_FOREVER);
			EXPECT_EQ(rota_yield(), 0);
			EXPECT_EQ(rota_scope_close(&shield, 0), 0);
		}
		/* All the others came later. */
		EXPECT_STR_EQ(rota_cancel_reason(), first);
		EXPECT_EQ(rota_scope_close(&crowd.scope, -ECANCELED), -ECANCELED);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
	}
}

/* A cancel and a result at the same time: one or the other, and nothing lost. */

struct reader {
	struct rota_scope scope;
	struct a32 open;
	int fd[2];
	int status;
};

static int cancel_and_write(void *arg)
{
	struct reader *reader = arg;

	EXPECT(wait_cell(&reader->open, 1));
	EXPECT_EQ(rota_write(reader->fd[1], "x", 1), 1);
	rota_scope_cancel(&reader->scope, NULL);
	return 0;
}

TASK_TEST(scope_cancel, a_result_at_the_same_time_is_not_lost)
{
	for (int i = 0; i < 100; i++) {
		struct reader reader = { .open = { 0 } };
		struct rota_group group;
		char c = 0;
		int n;

		EXPECT_EQ(pipe2(reader.fd, O_CLOEXEC), 0);
		rota_group_open(&group, NULL);
		EXPECT_EQ(rota_group_spawn(&group, cancel_and_write, &reader), 0);
		rota_scope_open(&reader.scope, HOUR);
		a32_store_release(&reader.open, 1);
		n = rota_read(reader.fd[0], &c, 1);
		n = rota_scope_close(&reader.scope, n);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		if (n == -ECANCELED)
			EXPECT_EQ(read(reader.fd[0], &c, 1), 1);
		else
			EXPECT_EQ(n, 1);
		EXPECT_EQ(c, 'x');
		rota_close(reader.fd[0]);
		rota_close(reader.fd[1]);
	}
}

/* A deadline and a cancel at the same time: one of them, and the close agrees with the cause. */

static int cancel_at(void *arg)
{
	struct reader *reader = arg;

	EXPECT(wait_cell(&reader->open, 1));
	EXPECT_EQ(rota_sleep(50 * ROTA_MICROSECOND), 0);
	rota_scope_cancel(&reader->scope, NULL);
	return 0;
}

TASK_TEST(scope_cancel, a_deadline_at_the_same_time)
{
	for (int i = 0; i < 100; i++) {
		struct reader reader = { .open = { 0 } };
		struct rota_group group;
		int err;

		rota_group_open(&group, NULL);
		EXPECT_EQ(rota_group_spawn(&group, cancel_at, &reader), 0);
		rota_scope_open(&reader.scope, (40 + i % 20) * ROTA_MICROSECOND);
		a32_store_release(&reader.open, 1);
		EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
		err = rota_scope_close(&reader.scope, -ECANCELED);
		EXPECT(err == -ETIMEDOUT || err == -ECANCELED);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		EXPECT_EQ(rota_scope_cause(&reader.scope), err);
		expect_calls_go_on();
	}
}

/* Causes are seen by others. */

static int watch_cause(void *arg)
{
	struct victim *victim = arg;

	while (!rota_scope_cause(&victim->scope))
		if (rota_yield())
			return -ECANCELED;
	EXPECT_EQ(rota_scope_cause(&victim->scope), -ETIMEDOUT);
	return 0;
}

TASK_TEST(scope_cancel, the_cause_is_seen_by_all)
{
	struct victim victim = { .wait = 0 };
	struct rota_group group;

	rota_group_open(&group, NULL);
	rota_scope_open(&victim.scope, ROTA_MILLISECOND);
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(rota_group_spawn(&group, watch_cause, &victim), 0);
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT_EQ(rota_scope_close(&victim.scope, -ECANCELED), -ETIMEDOUT);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

/* Reasons of members. */

static int store_reason(void *arg)
{
	int err = rota_sleep(ROTA_FOREVER);

	snprintf(arg, 64, "%s", rota_cancel_reason());
	return err;
}

static int store_reason_below(void *arg)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, store_reason, arg), 0);
	return rota_group_close(&group, 0);
}

TASK_TEST(scope_cancel, members_know_the_reason)
{
	for (int how = 0; how < 2; how++) {
		char reason[4][64] = { "" };
		struct rota_scope scope;
		struct rota_group group;

		rota_scope_open(&scope, HOUR);
		rota_group_open(&group, NULL);
		for (int i = 0; i < 4; i++)
			EXPECT_EQ(rota_group_spawn(&group,
					  i < 2 ? store_reason : store_reason_below, reason[i]),
				0);
		if (how == 0)
			rota_scope_cancel(&scope, "no longer wanted");
		else
			rota_group_cancel(&group, "no longer wanted");
		EXPECT_STR_EQ(rota_cancel_reason(), "no longer wanted");
		EXPECT_EQ(rota_group_close(&group, -ECANCELED), -ECANCELED);
		for (int i = 0; i < 4; i++)
			EXPECT_STR_EQ(reason[i], "no longer wanted");
		EXPECT_EQ(rota_scope_close(&scope, 0), 0);
	}
}

TASK_TEST(scope_cancel, a_group_without_options_has_a_reason_too)
{
	char text[100];
	char want[64] = "";
	struct rota_group group;

	memset(text, 'g', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memset(want, 'g', 63);
	rota_group_open(&group, NULL);
	rota_group_cancel(&group, text);
	rota_group_cancel(&group, "second");
	EXPECT_EQ(rota_yield(), -ECANCELED);
	EXPECT_STR_EQ(rota_cancel_reason(), want);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_STR_EQ(rota_cancel_reason(), "");
}

static int store_own_reason(void *arg)
{
	struct rota_scope scope;

	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	snprintf(arg, 64, "%s", rota_cancel_reason());
	/* What is struck further in comes first. */
	rota_scope_open(&scope, HOUR);
	EXPECT_STR_EQ(rota_cancel_reason(), "the task");
	rota_scope_cancel(&scope, "the scope");
	EXPECT_STR_EQ(rota_cancel_reason(), "the scope");
	EXPECT_EQ(rota_scope_close(&scope, 0), 0);
	EXPECT_STR_EQ(rota_cancel_reason(), "the task");
	return 0;
}

TASK_TEST(scope_cancel, a_task_has_a_reason_of_its_own)
{
	char reason[64] = "";
	struct rota_group group;
	struct rota_task *task;

	rota_group_open(&group, NULL);
	task = spawn(&group, store_own_reason, reason);
	rota_task_cancel(task, "the task");
	rota_task_cancel(task, "again");
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_STR_EQ(reason, "the task");
}

TASK_TEST(scope_cancel, without_a_reason_there_is_none)
{
	char reason[64] = "?";
	struct rota_group group;

	rota_group_open(&group, NULL);
	rota_task_cancel(spawn(&group, store_reason, reason), NULL);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_STR_EQ(reason, "");
	rota_group_open(&group, NULL);
	rota_group_cancel(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, store_reason, reason), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_STR_EQ(reason, "");
}
