/* SPDX-License-Identifier: MIT */
/*
 * Cycles of tasks that wait for each other: found with ROTA_CONFIG_DEBUG, named, and not seen where
 * there is none.
 *
 * asyncio and Trio have nothing like it; the cases are those of lock-order checkers: two locks
 * crossed, a ring of many, locks mixed with joins. Left out: cycles through readers, semaphores,
 * conditions and plain threads, whose holders nobody knows.
 */
#include "callers.h"

TestSuite(deadlock, .timeout = HANG_SECONDS);

/* The log names the task, or the object by its address. */
static void expect_named(const char *text, const char *what)
{
	expect_at(strstr(text, what) != NULL, "no \"%s\" in: %s\n", what, text);
}

static void expect_address(const char *text, const void *object)
{
	char address[32];

	snprintf(address, sizeof(address), "%p", object);
	expect_named(text, address);
}

static void expect_silence(void)
{
	expect_at(!the_log.lines, "reported: %s\n", the_log.text);
}

/* A ring: each holds a lock and wants that of the next. */

enum { RING_MAX = 6 };

struct ring {
	struct rota_mutex mutex[RING_MAX];
	struct rota_rwlock lock[RING_MAX]; /* used where `kind` has a 'w' */
	const char *kind;		   /* a letter each: 'm' mutex, 'w' write lock */
	struct a32 ready;
	uint32_t count;
};

struct link {
	struct ring *ring;
	uint32_t index;
	int result;
};

static int take(struct ring *ring, uint32_t index)
{
	index %= ring->count;
	if (ring->kind[index] == 'w')
		return rota_rwlock_wrlock_cancelable(&ring->lock[index]);
	return rota_mutex_lock_cancelable(&ring->mutex[index]);
}

static void give(struct ring *ring, uint32_t index)
{
	index %= ring->count;
	if (ring->kind[index] == 'w')
		rota_rwlock_wrunlock(&ring->lock[index]);
	else
		rota_mutex_unlock(&ring->mutex[index]);
}

static int hold_and_want(void *arg)
{
	struct link *link = arg;
	struct ring *ring = link->ring;
	char name[16];

	snprintf(name, sizeof(name), "link-%u", link->index);
	rota_task_set_name(name);
	EXPECT_EQ(take(ring, link->index), 0);
	a32_add_acq_rel(&ring->ready, 1);
	EXPECT(wait_cell(&ring->ready, ring->count));
	link->result = take(ring, link->index + 1);
	if (!link->result)
		give(ring, link->index + 1);
	give(ring, link->index);
	return 0;
}

static void expect_ring_named(const struct ring *ring)
{
	for (uint32_t i = 0; i < ring->count; i++) {
		char name[16];

		snprintf(name, sizeof(name), "link-%u", i);
		expect_named(the_log.text, name);
		if (ring->kind[i] == 'w')
			expect_address(the_log.text, &ring->lock[i]);
		else
			expect_address(the_log.text, &ring->mutex[i]);
	}
}

static void run_ring(const char *kind, bool one_loop)
{
	struct ring ring = { .kind = kind, .count = (uint32_t)strlen(kind) };
	struct link links[RING_MAX];
	struct rota_group group;
	int found = 0;

	clear_log();
	rota_group_open(&group, NULL);
	for (uint32_t i = 0; i < ring.count; i++) {
		const struct rota_spawn_options there = {
			.flags = ROTA_SPAWN_ON_LOOP,
			.loop = one_loop ? 0 : i % rota_loop_count(),
		};

		links[i] = (struct link){ .ring = &ring, .index = i };
		EXPECT_EQ(rota_group_spawn_with(&group, hold_and_want, &links[i], NULL, &there), 0);
	}
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	/* The one whose wait would have closed the ring goes back, all others get through. */
	for (uint32_t i = 0; i < ring.count; i++) {
		EXPECT(links[i].result == 0 || links[i].result == -EDEADLK);
		found += links[i].result == -EDEADLK;
		EXPECT_EQ(rota_mutex_finish(&ring.mutex[i]), 0);
		EXPECT_EQ(rota_rwlock_finish(&ring.lock[i]), 0);
	}
	EXPECT_EQ(found, 1);
	expect_ring_named(&ring);
	clear_log();
}

TASK_TEST(deadlock, two_locks_crossed)
{
	run_ring("mm", true);
	run_ring("mm", false);
	run_ring("ww", false);
	run_ring("mw", false);
}

TASK_TEST(deadlock, a_ring_of_many)
{
	run_ring("mmm", true);
	run_ring("mmm", false);
	run_ring("mwmwmm", false);
	for (int i = 0; i < 30; i++)
		run_ring("mmmm", i % 2);
}

/* Joins. */

/* Waits, in its way, for somebody who wants the mutex that it holds. */
struct joiner {
	struct rota_mutex mutex;
	struct rota_task *other;
	struct a32 held;
	struct a32 wanted; /* 1: the other one may want it now */
	struct a32 go;
	int result; /* what the other one got */
	bool whole; /* it wants it by the call that cannot fail */
};

static int want_it(void *arg)
{
	struct joiner *joiner = arg;

	rota_task_set_name("wanter");
	EXPECT(wait_cell(&joiner->wanted, 1));
	if (joiner->whole)
		rota_mutex_lock(&joiner->mutex);
	else
		joiner->result = rota_mutex_lock_cancelable(&joiner->mutex);
	if (!joiner->result)
		rota_mutex_unlock(&joiner->mutex);
	return 0;
}

static int hold_and_await(void *arg)
{
	struct joiner *joiner = arg;
	int err;

	rota_task_set_name("holder");
	rota_mutex_lock(&joiner->mutex);
	a32_store_release(&joiner->held, 1);
	EXPECT(wait_cell(&joiner->go, 1));
	err = rota_task_await(joiner->other, NULL);
	rota_mutex_unlock(&joiner->mutex);
	return err;
}

TASK_TEST(deadlock, a_lock_and_an_await)
{
	for (uint32_t i = 0; i < 2 * rota_loop_count(); i++) {
		const struct rota_spawn_options there = {
			.flags = ROTA_SPAWN_ON_LOOP,
			.loop = i % rota_loop_count(),
		};
		struct joiner joiner = { .go = { 1 } };
		struct rota_group group;
		struct rota_task *holder;

		rota_group_open(&group, NULL);
		EXPECT_EQ(
			rota_group_spawn_with(&group, want_it, &joiner, &joiner.other, &there), 0);
		holder = spawn(&group, hold_and_await, &joiner);
		wait_state(holder, ROTA_TASK_SUSPENDED);
		a32_store_release(&joiner.wanted, 1);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		EXPECT_EQ(joiner.result, -EDEADLK);
		expect_named(the_log.text, "wanter");
		expect_named(the_log.text, "holder");
		expect_address(the_log.text, &joiner.mutex);
		clear_log();
	}
}

TASK_TEST(deadlock, an_await_that_closes_the_cycle)
{
	for (uint32_t i = 0; i < 2 * rota_loop_count(); i++) {
		const struct rota_spawn_options there = {
			.flags = ROTA_SPAWN_ON_LOOP,
			.loop = i % rota_loop_count(),
		};
		struct joiner joiner = { .result = 0 };
		struct rota_group group;
		struct rota_task *holder;
		int status = 0;

		rota_group_open(
			&group, &(struct rota_group_options){ .policy = ROTA_GROUP_COLLECT });
		EXPECT_EQ(
			rota_group_spawn_with(&group, want_it, &joiner, &joiner.other, &there), 0);
		holder = spawn(&group, hold_and_await, &joiner);
		EXPECT(wait_cell(&joiner.held, 1));
		a32_store_release(&joiner.wanted, 1);
		wait_state(joiner.other, ROTA_TASK_SUSPENDED);
		a32_store_release(&joiner.go, 1);
		EXPECT_EQ(rota_task_await(holder, &status), 0);
		EXPECT_EQ(status, -EDEADLK);
		EXPECT_EQ(rota_group_close(&group, 0), -EDEADLK);
		EXPECT_EQ(joiner.result, 0);
		expect_named(the_log.text, "wanter");
		expect_named(the_log.text, "holder");
		clear_log();
	}
}

static int hold_and_close(void *arg)
{
	struct joiner *joiner = arg;
	struct rota_group group;
	int err;

	rota_task_set_name("holder");
	rota_group_open(&group, NULL);
	rota_mutex_lock(&joiner->mutex);
	joiner->other = spawn(&group, want_it, joiner);
	a32_store_release(&joiner->held, 1);
	EXPECT(wait_cell(&joiner->go, 1));
	err = rota_group_close(&group, 0);
	rota_mutex_unlock(&joiner->mutex);
	return err;
}

TASK_TEST(deadlock, a_lock_and_the_close_of_a_group)
{
	struct joiner joiner = { .go = { 1 } };
	struct rota_group group;
	struct rota_task *holder;

	rota_group_open(&group, NULL);
	holder = spawn(&group, hold_and_close, &joiner);
	EXPECT(wait_cell(&joiner.held, 1));
	wait_state(holder, ROTA_TASK_SUSPENDED);
	a32_store_release(&joiner.wanted, 1);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(joiner.result, -EDEADLK);
	expect_named(the_log.text, "wanter");
	expect_named(the_log.text, "holder");
	expect_address(the_log.text, &joiner.mutex);
	clear_log();
}

/* What cannot fail, aborts. */

static int cross_whole(void *arg)
{
	struct joiner *joiner = arg;
	struct rota_mutex other = { { 0 } };
	struct rota_group group;
	struct rota_task *wanter;

	rota_task_set_name("holder");
	rota_group_open(&group, NULL);
	rota_mutex_lock(&joiner->mutex);
	joiner->whole = true;
	wanter = spawn(&group, want_it, joiner);
	a32_store_release(&joiner->wanted, 1);
	wait_state(wanter, ROTA_TASK_SUSPENDED);
	rota_mutex_lock(&other);
	/* The close waits for the one that waits for us, and cannot say so. */
	return rota_group_close(&group, 0);
}

struct pair {
	struct rota_mutex first;
	struct rota_mutex second;
	struct a32 held;
};

static int lock_second_first(void *arg)
{
	struct pair *pair = arg;

	rota_task_set_name("right");
	rota_mutex_lock(&pair->second);
	a32_store_release(&pair->held, 1);
	rota_mutex_lock(&pair->first);
	return 0;
}

static int lock_crosswise(void *arg)
{
	struct pair *pair = arg;
	struct rota_group group;
	struct rota_task *other;

	rota_task_set_name("left");
	rota_group_open(&group, NULL);
	rota_mutex_lock(&pair->first);
	other = spawn(&group, lock_second_first, pair);
	EXPECT(wait_cell(&pair->held, 1));
	wait_state(other, ROTA_TASK_SUSPENDED);
	rota_mutex_lock(&pair->second);
	return 0;
}

static void expect_death(rota_task_fn *fn, void *arg, const char *first, const char *second)
{
	const struct child_task task = { .fn = fn, .arg = arg, .flags = ROTA_CONFIG_DEBUG };
	struct child *child = run_child(run_child_task, (void *)&task);

	cr_expect(child_died_by(child, SIGABRT), "%x %s", child->wait_status, child->err);
	expect_named(child->err, first);
	expect_named(child->err, second);
	expect_named(child->err, "mutex");
	report_failures();
}

Test(deadlock, locks_that_cannot_fail_abort)
{
	struct pair pair = { .held = { 0 } };

	expect_death(lock_crosswise, &pair, "left", "right");
}

Test(deadlock, a_close_that_cannot_fail_aborts)
{
	struct joiner joiner = { .result = 0 };

	expect_death(cross_whole, &joiner, "holder", "wanter");
}

/* No false reports. */

static int lock_call(void *object)
{
	return rota_mutex_lock_cancelable(object);
}

static void unlock(void *object)
{
	rota_mutex_unlock(object);
}

static void init_callers(
	struct caller *callers, int count, struct rota_mutex *mutex, struct a32 *served)
{
	for (int i = 0; i < count; i++)
		callers[i] = (struct caller){
			.call = lock_call,
			.undo = unlock,
			.object = mutex,
			.served = served,
		};
}

TASK_TEST(deadlock, not_when_the_awaited_is_cancelled)
{
	struct rota_mutex mutex = { { 0 } };
	struct a32 served = { 0 };
	struct caller callers[4];
	struct rota_group group;

	init_callers(callers, 4, &mutex, &served);
	rota_group_open(&group, NULL);
	rota_mutex_lock(&mutex);
	line_up(&group, callers, 4);
	for (int i = 0; i < 4; i++) {
		rota_task_cancel(callers[i].task, NULL);
		EXPECT_EQ(rota_task_await(callers[i].task, NULL), 0);
		EXPECT_EQ(callers[i].result, -ECANCELED);
	}
	rota_mutex_unlock(&mutex);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	expect_silence();
}

TASK_TEST(deadlock, not_when_the_close_cancels_who_waits)
{
	struct rota_mutex mutex = { { 0 } };
	struct a32 served = { 0 };
	struct caller callers[4];
	struct rota_group group;

	init_callers(callers, 4, &mutex, &served);
	rota_group_open(&group, NULL);
	rota_mutex_lock(&mutex);
	line_up(&group, callers, 4);
	EXPECT_EQ(rota_group_close(&group, -EIO), -EIO);
	rota_mutex_unlock(&mutex);
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(callers[i].result, -ECANCELED);
	EXPECT_EQ(rota_mutex_finish(&mutex), 0);
	expect_silence();
}

/* Who was handed the lock still looks as if it waited for it, until it runs. */

static int hold_second_want_first(void *arg)
{
	struct pair *pair = arg;

	rota_mutex_lock(&pair->second);
	a32_store_release(&pair->held, 1);
	EXPECT_EQ(rota_mutex_lock_cancelable(&pair->first), 0);
	rota_mutex_unlock(&pair->first);
	rota_mutex_unlock(&pair->second);
	return 0;
}

TASK_TEST(deadlock, not_when_the_lock_was_just_handed_over)
{
	for (uint32_t i = 0; i < 20; i++) {
		const struct rota_spawn_options there = {
			.flags = ROTA_SPAWN_ON_LOOP,
			.loop = i % rota_loop_count(),
		};
		struct pair pair = { .held = { 0 } };
		struct rota_group group;
		struct rota_task *other;

		rota_group_open(&group, NULL);
		rota_mutex_lock(&pair.first);
		EXPECT_EQ(rota_group_spawn_with(
				  &group, hold_second_want_first, &pair, &other, &there),
			0);
		EXPECT(wait_cell(&pair.held, 1));
		wait_state(other, ROTA_TASK_SUSPENDED);
		rota_mutex_unlock(&pair.first);
		/* It waits for the first no more. */
		EXPECT_EQ(rota_mutex_lock_cancelable(i % 2 ? &pair.second : &pair.first), 0);
		rota_mutex_unlock(i % 2 ? &pair.second : &pair.first);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
	}
	expect_silence();
}

/* The same with an await that is over: its deadline struck, and it has not run since. */

struct late {
	struct rota_mutex mutex;
	struct rota_task *awaiter;
	struct a32 awaits;
	struct a32 over; /* 1: it has run again */
};

static int want_when_it_is_over(void *arg)
{
	struct late *late = arg;

	EXPECT(wait_cell(&late->awaits, 1));
	wait_state(late->awaiter, ROTA_TASK_SUSPENDED);
	while (rota_task_state(late->awaiter) == ROTA_TASK_SUSPENDED &&
		!a32_load_acquire(&late->over))
		EXPECT_EQ(rota_yield(), 0);
	EXPECT_EQ(rota_mutex_lock_cancelable(&late->mutex), 0);
	rota_mutex_unlock(&late->mutex);
	return 0;
}

TASK_TEST(deadlock, not_when_the_await_was_cut_short)
{
	for (uint32_t i = 0; i < 10; i++) {
		const struct rota_spawn_options there = {
			.flags = ROTA_SPAWN_ON_LOOP,
			.loop = i % rota_loop_count(),
		};
		struct late late = { .awaiter = rota_task_self() };
		struct rota_group group;
		struct rota_task *task;

		rota_group_open(&group, NULL);
		rota_mutex_lock(&late.mutex);
		EXPECT_EQ(rota_group_spawn_with(&group, want_when_it_is_over, &late, &task, &there),
			0);
		a32_store_release(&late.awaits, 1);
		EXPECT_EQ(ROTA_WITHIN(ROTA_MILLISECOND, rota_task_await(task, NULL)), -ETIMEDOUT);
		a32_store_release(&late.over, 1);
		rota_mutex_unlock(&late.mutex);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
	}
	expect_silence();
}

/* The await of somebody who waits for a lock of a third: nobody waits for the one who awaits. */
TASK_TEST(deadlock, not_in_a_chain)
{
	struct rota_mutex mutex = { { 0 } };
	struct a32 served = { 0 };
	struct caller callers[3];
	struct rota_group group;

	init_callers(callers, 3, &mutex, &served);
	callers[0].hold = true;
	rota_group_open(&group, NULL);
	callers[0].task = spawn(&group, make_call, &callers[0]);
	wait_back(&callers[0]);
	line_up(&group, &callers[1], 2);
	let_go(&callers[0]);
	EXPECT_EQ(rota_task_await(callers[2].task, NULL), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	expect_silence();
}

TASK_TEST(deadlock, not_in_a_long_line)
{
	enum { COUNT = 100 };
	static struct caller callers[COUNT];
	struct rota_mutex mutex = { { 0 } };
	struct a32 served = { 0 };
	struct rota_group group;

	init_callers(callers, COUNT, &mutex, &served);
	rota_group_open(&group, NULL);
	rota_mutex_lock(&mutex);
	line_up(&group, callers, COUNT);
	rota_mutex_unlock(&mutex);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	expect_in_order(callers, COUNT);
	expect_silence();
}

/* Many tasks and locks, always in the same order: no cycle at any moment. */

struct stairs {
	struct rota_mutex steps[5];
	unsigned int count[5]; /* plain */
};

static int climb(void *arg)
{
	struct stairs *stairs = arg;

	for (int i = 0; i < 30; i++) {
		for (int k = i % 3; k < 5; k++) {
			EXPECT_EQ(rota_mutex_lock_cancelable(&stairs->steps[k]), 0);
			stairs->count[k]++;
			if ((i + k) % 6 == 0)
				EXPECT_EQ(rota_yield(), 0);
		}
		for (int k = i % 3; k < 5; k++)
			rota_mutex_unlock(&stairs->steps[k]);
	}
	return 0;
}

TASK_TEST(deadlock, not_in_a_crowd_that_keeps_the_order)
{
	enum { TASKS = 12 };
	struct stairs stairs = { .count = { 0 } };
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (int i = 0; i < TASKS; i++)
		EXPECT_EQ(rota_group_spawn(&group, climb, &stairs), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	for (unsigned int k = 0; k < 5; k++)
		EXPECT_EQ(stairs.count[k], TASKS * (k == 0 ? 10u : k == 1 ? 20u : 30u));
	expect_silence();
}

/* A thread is looked through like a task, where it waits for a lock. */

static void *hold_on_thread(void *arg)
{
	hold_second_want_first(arg);
	return NULL;
}

TASK_TEST(deadlock, not_through_a_thread)
{
	struct pair pair = { .held = { 0 } };
	struct a32 served = { 0 };
	struct caller caller;
	struct rota_group group;
	pthread_t thread;

	if (is_simulated())
		return;
	init_callers(&caller, 1, &pair.second, &served);
	rota_group_open(&group, NULL);
	rota_mutex_lock(&pair.first);
	EXPECT_EQ(pthread_create(&thread, NULL, hold_on_thread, &pair), 0);
	EXPECT(wait_cell(&pair.held, 1));
	/* By now it waits, most likely. */
	EXPECT_EQ(rota_sleep(2 * ROTA_MILLISECOND), 0);
	line_up(&group, &caller, 1);
	rota_mutex_unlock(&pair.first);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	pthread_join(thread, NULL);
	EXPECT_EQ(caller.result, 0);
	expect_silence();
}

/* The wait for a condition lets the mutex go. */

struct bell {
	struct rota_mutex mutex;
	struct rota_cond cond;
	struct a32 there;
};

static int wait_for_bell(void *arg)
{
	struct bell *bell = arg;

	rota_mutex_lock(&bell->mutex);
	a32_store_release(&bell->there, 1);
	EXPECT_EQ(rota_cond_wait(&bell->cond, &bell->mutex), 0);
	rota_mutex_unlock(&bell->mutex);
	return 0;
}

TASK_TEST(deadlock, not_with_a_condition)
{
	struct bell bell = { .there = { 0 } };
	struct rota_group group;
	struct rota_task *task;

	rota_group_open(&group, NULL);
	task = spawn(&group, wait_for_bell, &bell);
	EXPECT(wait_cell(&bell.there, 1));
	rota_mutex_lock(&bell.mutex);
	rota_cond_signal(&bell.cond);
	/* It waits for the mutex now, which we hold. We do not wait for it yet. */
	wait_state(task, ROTA_TASK_SUSPENDED);
	rota_mutex_unlock(&bell.mutex);
	EXPECT_EQ(rota_task_await(task, NULL), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	expect_silence();
}

/* Without the debug flag nobody looks. */

static int cross_with_deadlines(void *arg)
{
	struct link *link = arg;
	struct ring *ring = link->ring;

	EXPECT_EQ(take(ring, link->index), 0);
	a32_add_acq_rel(&ring->ready, 1);
	EXPECT(wait_cell(&ring->ready, ring->count));
	link->result =
		ROTA_WITHIN((1 + link->index) * 5 * ROTA_MILLISECOND, take(ring, link->index + 1));
	if (!link->result)
		give(ring, link->index + 1);
	give(ring, link->index);
	return 0;
}

static int cross_unseen(void *arg)
{
	struct ring ring = { .kind = "mm", .count = 2 };
	struct link links[2];
	struct rota_group group;

	(void)arg;
	rota_group_open(&group, NULL);
	for (uint32_t i = 0; i < 2; i++) {
		links[i] = (struct link){ .ring = &ring, .index = i };
		EXPECT_EQ(rota_group_spawn(&group, cross_with_deadlines, &links[i]), 0);
	}
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT(links[0].result == -ETIMEDOUT || links[1].result == -ETIMEDOUT);
	for (int i = 0; i < 2; i++)
		EXPECT(links[i].result == 0 || links[i].result == -ETIMEDOUT);
	return 0;
}

Test(deadlock, is_not_looked_for_without_the_debug_flag)
{
	const struct rota_config config = { .loops = 2, .on_log = keep_log };

	cr_expect_eq(rota_run(cross_unseen, NULL, &config), 0);
	expect_silence();
	report_failures();
}
