/* SPDX-License-Identifier: MIT */
/*
 * Reader-writer locks: sharing, exclusion, order, cancel, misuse, between tasks and threads.
 *
 * Neither asyncio nor Trio has one: the behaviours of their plain locks (order, no overtaking, a
 * cancelled waiter, cancel and hand-over at one moment), for either kind of waiter, and what
 * follows from sharing: readers come in together, a writer is not starved, the readers behind a
 * cancelled writer come in at once.
 */
#include "callers.h"

TestSuite(rwlock, .timeout = HANG_SECONDS);

static int read_call(void *object)
{
	return rota_rwlock_rdlock_cancelable(object);
}

static int write_call(void *object)
{
	return rota_rwlock_wrlock_cancelable(object);
}

static int read_void(void *object)
{
	rota_rwlock_rdlock(object);
	return 0;
}

static int write_void(void *object)
{
	rota_rwlock_wrlock(object);
	return 0;
}

static void read_end(void *object)
{
	rota_rwlock_rdunlock(object);
}

static void write_end(void *object)
{
	rota_rwlock_wrunlock(object);
}

/* A line of readers and writers, as "rwr"; capitals: by the calls that cannot be cancelled. */
struct crowd {
	struct rota_rwlock lock;
	struct a32 served;
	uint32_t count;
	struct caller callers[8];
	struct rota_group group;
};

static void crowd_open(struct crowd *crowd, const char *line)
{
	*crowd = (struct crowd){ .count = (uint32_t)strlen(line) };
	for (uint32_t i = 0; i < crowd->count; i++) {
		bool reads = line[i] == 'r' || line[i] == 'R';
		bool whole = line[i] == 'R' || line[i] == 'W';

		crowd->callers[i] = (struct caller){
			.call = reads	? whole ? read_void : read_call
				: whole ? write_void
					: write_call,
			.undo = reads ? read_end : write_end,
			.object = &crowd->lock,
			.served = &crowd->served,
			.hold = true,
		};
	}
}

static void crowd_line_up(struct crowd *crowd)
{
	rota_group_open(&crowd->group, NULL);
	line_up(&crowd->group, crowd->callers, crowd->count);
}

static void crowd_line_up_here(struct crowd *crowd)
{
	rota_group_open(&crowd->group, NULL);
	line_up_here(&crowd->group, crowd->callers, crowd->count);
}

static void crowd_close(struct crowd *crowd)
{
	for (uint32_t i = 0; i < crowd->count; i++)
		let_go(&crowd->callers[i]);
	EXPECT_EQ(rota_group_close(&crowd->group, 0), 0);
	EXPECT_EQ(rota_rwlock_finish(&crowd->lock), 0);
}

Test(rwlock, has_its_size)
{
	cr_expect_eq(sizeof(struct rota_rwlock), 40);
}

static void use_alone(void)
{
	struct rota_rwlock lock = { { 0 } };

	EXPECT_EQ(rota_rwlock_finish(&lock), 0);
	for (int i = 0; i < 3; i++) {
		rota_rwlock_rdlock(&lock);
		EXPECT_EQ(rota_rwlock_tryrdlock(&lock), 0);
		EXPECT_EQ(rota_rwlock_trywrlock(&lock), -EAGAIN);
		EXPECT_EQ(rota_rwlock_finish(&lock), -EBUSY);
		rota_rwlock_rdunlock(&lock);
		EXPECT_EQ(rota_rwlock_trywrlock(&lock), -EAGAIN);
		EXPECT_EQ(rota_rwlock_finish(&lock), -EBUSY);
		rota_rwlock_rdunlock(&lock);
		EXPECT_EQ(rota_rwlock_trywrlock(&lock), 0);
		EXPECT_EQ(rota_rwlock_tryrdlock(&lock), -EAGAIN);
		EXPECT_EQ(rota_rwlock_trywrlock(&lock), -EAGAIN);
		EXPECT_EQ(rota_rwlock_wrlock_cancelable(&lock), -EDEADLK);
		EXPECT_EQ(rota_rwlock_rdlock_cancelable(&lock), -EDEADLK);
		EXPECT_EQ(rota_rwlock_finish(&lock), -EBUSY);
		rota_rwlock_wrunlock(&lock);
		EXPECT_EQ(rota_rwlock_finish(&lock), 0);
		rota_rwlock_wrlock(&lock);
		rota_rwlock_wrunlock(&lock);
		EXPECT_EQ(rota_rwlock_rdlock_cancelable(&lock), 0);
		rota_rwlock_rdunlock(&lock);
		EXPECT_EQ(rota_rwlock_wrlock_cancelable(&lock), 0);
		rota_rwlock_wrunlock(&lock);
	}
	EXPECT_EQ(rota_rwlock_finish(&lock), 0);
}

TASK_TEST(rwlock, all_zero_is_free)
{
	use_alone();
}

Test(rwlock, works_without_a_runtime)
{
	use_alone();
	report_failures();
}

/* Sharing and order. */

struct meeting {
	struct rota_rwlock lock;
	struct a32 inside;
	uint32_t all;
};

static int meet_inside(void *arg)
{
	struct meeting *meeting = arg;

	rota_rwlock_rdlock(&meeting->lock);
	a32_add_acq_rel(&meeting->inside, 1);
	EXPECT(wait_cell(&meeting->inside, meeting->all));
	rota_rwlock_rdunlock(&meeting->lock);
	return 0;
}

TASK_TEST(rwlock, readers_share)
{
	struct meeting meeting = { .all = 10 };
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (uint32_t i = 0; i < meeting.all; i++)
		EXPECT_EQ(rota_group_spawn(&group, meet_inside, &meeting), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(rota_rwlock_finish(&meeting.lock), 0);
}

TASK_TEST(rwlock, a_writer_waits_for_all_readers)
{
	struct crowd crowd;

	crowd_open(&crowd, "w");
	rota_rwlock_rdlock(&crowd.lock);
	EXPECT_EQ(rota_rwlock_tryrdlock(&crowd.lock), 0);
	crowd_line_up(&crowd);
	rota_rwlock_rdunlock(&crowd.lock);
	EXPECT_WAITS(&crowd.callers[0]);
	EXPECT_EQ(rota_rwlock_finish(&crowd.lock), -EBUSY);
	rota_rwlock_rdunlock(&crowd.lock);
	wait_back(&crowd.callers[0]);
	EXPECT_EQ(rota_rwlock_tryrdlock(&crowd.lock), -EAGAIN);
	crowd_close(&crowd);
	EXPECT_EQ(crowd.callers[0].result, 0);
}

TASK_TEST(rwlock, a_writer_is_not_starved_by_readers)
{
	struct crowd crowd;

	crowd_open(&crowd, "wr");
	rota_rwlock_rdlock(&crowd.lock);
	crowd_line_up(&crowd); /* the reader does wait, behind the writer */
	EXPECT_EQ(rota_rwlock_tryrdlock(&crowd.lock), -EAGAIN);
	rota_rwlock_rdunlock(&crowd.lock);
	EXPECT_EQ(rota_rwlock_tryrdlock(&crowd.lock), -EAGAIN);
	wait_back(&crowd.callers[0]);
	EXPECT_WAITS(&crowd.callers[1]);
	crowd_close(&crowd);
	expect_in_order(crowd.callers, 2);
}

TASK_TEST(rwlock, readers_come_in_together_up_to_the_next_writer)
{
	struct crowd crowd;

	crowd_open(&crowd, "rRwWrrRw");
	rota_rwlock_wrlock(&crowd.lock);
	crowd_line_up(&crowd);
	rota_rwlock_wrunlock(&crowd.lock);
	EXPECT(wait_cell(&crowd.served, 2)); /* both, and neither has let go */
	wait_back(&crowd.callers[1]);
	wait_back(&crowd.callers[0]);
	for (int i = 2; i < 8; i++)
		EXPECT_WAITS(&crowd.callers[i]);
	let_go(&crowd.callers[1]);
	wait_end(&crowd.callers[1]);
	EXPECT_WAITS(&crowd.callers[2]);
	let_go(&crowd.callers[0]);
	wait_back(&crowd.callers[2]);
	EXPECT_WAITS(&crowd.callers[3]);
	EXPECT_WAITS(&crowd.callers[4]);
	let_go(&crowd.callers[2]);
	wait_back(&crowd.callers[3]);
	EXPECT_WAITS(&crowd.callers[4]);
	let_go(&crowd.callers[3]);
	EXPECT(wait_cell(&crowd.served, 7));
	EXPECT_WAITS(&crowd.callers[7]);
	crowd_close(&crowd);
	EXPECT_EQ(crowd.callers[2].place, 3);
	EXPECT_EQ(crowd.callers[3].place, 4);
	EXPECT_EQ(crowd.callers[7].place, 8);
}

TASK_TEST(rwlock, a_late_comer_does_not_overtake)
{
	struct crowd crowd;

	crowd_open(&crowd, "wrw");
	for (uint32_t i = 0; i < crowd.count; i++)
		let_go(&crowd.callers[i]);
	rota_rwlock_wrlock(&crowd.lock);
	crowd_line_up(&crowd);
	rota_rwlock_wrunlock(&crowd.lock);
	rota_rwlock_rdlock(&crowd.lock);
	EXPECT_EQ(a32_load_relaxed(&crowd.served), 3);
	rota_rwlock_rdunlock(&crowd.lock);
	crowd_close(&crowd);
	expect_in_order(crowd.callers, 3);
}

/* Cancel. */

TASK_TEST(rwlock, readers_behind_a_cancelled_writer_come_in)
{
	struct crowd crowd;

	crowd_open(&crowd, "wrrwr");
	rota_rwlock_rdlock(&crowd.lock);
	crowd_line_up(&crowd);
	rota_task_cancel(crowd.callers[0].task, NULL);
	/* We still read: nobody unlocks. */
	EXPECT(wait_cell(&crowd.served, 2));
	wait_back(&crowd.callers[1]);
	wait_back(&crowd.callers[2]);
	EXPECT_WAITS(&crowd.callers[3]);
	EXPECT_WAITS(&crowd.callers[4]);
	rota_task_cancel(crowd.callers[3].task, NULL);
	wait_back(&crowd.callers[4]);
	rota_rwlock_rdunlock(&crowd.lock);
	crowd_close(&crowd);
	EXPECT_EQ(crowd.callers[0].result, -ECANCELED);
	EXPECT_EQ(crowd.callers[3].result, -ECANCELED);
	EXPECT_EQ(crowd.callers[4].place, 3);
}

TASK_TEST(rwlock, a_cancelled_waiter_leaves_the_line)
{
	static const char *const lines[] = { "rrr", "www", "rwr", "wrw" };

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		for (int which = 0; which < 3; which++) {
			struct crowd crowd;

			crowd_open(&crowd, lines[i]);
			rota_rwlock_wrlock(&crowd.lock);
			crowd_line_up(&crowd);
			rota_task_cancel(crowd.callers[which].task, NULL);
			wait_end(&crowd.callers[which]);
			EXPECT_EQ(crowd.callers[which].result, -ECANCELED);
			EXPECT_EQ(a32_load_acquire(&crowd.served), 0);
			rota_rwlock_wrunlock(&crowd.lock);
			for (int k = 0; k < 3; k++) {
				if (k == which)
					continue;
				wait_back(&crowd.callers[k]);
				let_go(&crowd.callers[k]);
			}
			crowd_close(&crowd);
			EXPECT_EQ(a32_load_relaxed(&crowd.served), 2);
		}
	}
}

TASK_TEST(rwlock, two_readers_around_a_cancelled_writer_share)
{
	struct crowd crowd;

	crowd_open(&crowd, "rwr");
	rota_rwlock_wrlock(&crowd.lock);
	crowd_line_up(&crowd);
	rota_task_cancel(crowd.callers[1].task, NULL);
	wait_end(&crowd.callers[1]);
	rota_rwlock_wrunlock(&crowd.lock);
	EXPECT(wait_cell(&crowd.served, 2));
	wait_back(&crowd.callers[0]);
	wait_back(&crowd.callers[2]);
	crowd_close(&crowd);
}

TASK_TEST(rwlock, nothing_is_left_when_all_waiters_are_cancelled)
{
	struct crowd crowd;

	crowd_open(&crowd, "wrwrrw");
	rota_rwlock_rdlock(&crowd.lock);
	crowd_line_up(&crowd);
	/* From the back, so that nobody comes in. */
	for (uint32_t i = crowd.count; i-- > 0;)
		rota_task_cancel(crowd.callers[i].task, NULL);
	for (uint32_t i = 0; i < crowd.count; i++)
		let_go(&crowd.callers[i]);
	for (uint32_t i = 0; i < crowd.count; i++)
		wait_end(&crowd.callers[i]);
	rota_rwlock_rdunlock(&crowd.lock);
	EXPECT_EQ(rota_rwlock_trywrlock(&crowd.lock), 0);
	rota_rwlock_wrunlock(&crowd.lock);
	crowd_close(&crowd);
	EXPECT_EQ(crowd.callers[0].result, -ECANCELED);
}

TASK_TEST(rwlock, handed_over_and_then_cancelled)
{
	static const char *const lines[] = { "wrw", "rrw" };

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct crowd crowd;

		crowd_open(&crowd, lines[i]);
		for (int k = 0; k < 3; k++)
			let_go(&crowd.callers[k]);
		rota_rwlock_wrlock(&crowd.lock);
		crowd_line_up_here(&crowd);
		rota_rwlock_wrunlock(&crowd.lock);
		EXPECT_EQ(rota_rwlock_trywrlock(&crowd.lock), -EAGAIN);
		rota_task_cancel(crowd.callers[0].task, NULL);
		crowd_close(&crowd);
		expect_in_order(crowd.callers, 3);
		EXPECT_EQ(crowd.callers[0].after, -ECANCELED);
		EXPECT_EQ(crowd.callers[1].after, 0);
	}
}

/* The cancelled one may still stand in the line when the lock is given on. */
TASK_TEST(rwlock, cancelled_and_then_handed_over)
{
	static const char *const lines[] = { "wrr", "rww", "www", "rrr" };

	for (size_t i = 0; i < ARRAY_SIZE(lines) * CANCEL_TURNS; i++) {
		const char *line = lines[i / CANCEL_TURNS];
		struct crowd crowd;
		bool struck;

		crowd_open(&crowd, line);
		for (int k = 0; k < 3; k++)
			let_go(&crowd.callers[k]);
		rota_rwlock_wrlock(&crowd.lock);
		crowd_line_up_here(&crowd);
		struck = cancel_here(&crowd.callers[0], (int)(i % CANCEL_TURNS));
		rota_rwlock_wrunlock(&crowd.lock);
		crowd_close(&crowd);
		EXPECT_EQ(crowd.callers[0].result, struck ? -ECANCELED : 0);
		EXPECT_EQ(crowd.callers[0].after, -ECANCELED);
		EXPECT_EQ(crowd.callers[1].result, 0);
		EXPECT_EQ(crowd.callers[2].result, 0);
		EXPECT(crowd.callers[1].place < crowd.callers[2].place);
	}
}

/* The same when a reader is what the cancelled writer waited for. */
TASK_TEST(rwlock, the_last_reader_leaves_as_the_writer_is_cancelled)
{
	for (int turns = 0; turns < CANCEL_TURNS; turns++) {
		struct crowd crowd;
		bool struck;

		crowd_open(&crowd, "wrr");
		for (int k = 0; k < 3; k++)
			let_go(&crowd.callers[k]);
		rota_rwlock_rdlock(&crowd.lock);
		crowd_line_up_here(&crowd);
		struck = cancel_here(&crowd.callers[0], turns);
		rota_rwlock_rdunlock(&crowd.lock);
		crowd_close(&crowd);
		EXPECT_EQ(crowd.callers[0].result, struck ? -ECANCELED : 0);
		EXPECT_EQ(crowd.callers[1].result, 0);
		EXPECT_EQ(crowd.callers[2].result, 0);
	}
}

TASK_TEST(rwlock, handed_over_and_cancelled_at_once)
{
	static const char *const lines[] = { "wrwr", "rwrw", "rrww", "wwrr" };

	for (uint32_t round = 0; round < 100; round++) {
		uint32_t cut = round % 4;
		uint32_t good = 0;
		struct crowd crowd;

		crowd_open(&crowd, lines[round / 4 % ARRAY_SIZE(lines)]);
		for (uint32_t i = 0; i < crowd.count; i++)
			let_go(&crowd.callers[i]);
		rota_rwlock_wrlock(&crowd.lock);
		crowd_line_up(&crowd);
		if (round % 3)
			rota_task_cancel(crowd.callers[cut].task, NULL);
		rota_rwlock_wrunlock(&crowd.lock);
		if (round % 3 != 1)
			rota_task_cancel(crowd.callers[(cut + round % 3) % 4].task, NULL);
		crowd_close(&crowd);
		for (uint32_t i = 0; i < crowd.count; i++) {
			EXPECT(crowd.callers[i].result == 0 ||
				crowd.callers[i].result == -ECANCELED);
			good += crowd.callers[i].result == 0;
		}
		EXPECT(good >= 2);
		EXPECT_EQ(a32_load_relaxed(&crowd.served), good);
	}
}

TASK_TEST(rwlock, is_not_taken_by_a_cancelled_task)
{
	struct rota_rwlock lock = { { 0 } };

	EXPECT_EQ(result_when_cancelled(read_call, &lock), -ECANCELED);
	EXPECT_EQ(result_when_cancelled(write_call, &lock), -ECANCELED);
	EXPECT_EQ(rota_rwlock_finish(&lock), 0);
	rota_rwlock_rdlock(&lock);
	EXPECT_EQ(result_when_cancelled(read_call, &lock), -ECANCELED);
	EXPECT_EQ(result_when_cancelled(write_call, &lock), -ECANCELED);
	EXPECT_EQ(rota_rwlock_tryrdlock(&lock), 0); /* the writer did not line up */
	rota_rwlock_rdunlock(&lock);
	rota_rwlock_rdunlock(&lock);
	EXPECT_EQ(rota_rwlock_finish(&lock), 0);
}

static int lock_and_unlock(void *object)
{
	rota_rwlock_rdlock(object);
	rota_rwlock_rdunlock(object);
	rota_rwlock_wrlock(object);
	rota_rwlock_wrunlock(object);
	return 7;
}

TASK_TEST(rwlock, is_taken_by_a_cancelled_task_that_cannot_fail)
{
	struct rota_rwlock lock = { { 0 } };
	struct crowd crowd;

	EXPECT_EQ(result_when_cancelled(lock_and_unlock, &lock), 7);
	crowd_open(&crowd, "WR");
	rota_rwlock_wrlock(&crowd.lock);
	crowd_line_up(&crowd);
	rota_task_cancel(crowd.callers[0].task, NULL);
	rota_task_cancel(crowd.callers[1].task, NULL);
	EXPECT_WAITS(&crowd.callers[0]);
	EXPECT_WAITS(&crowd.callers[1]);
	rota_rwlock_wrunlock(&crowd.lock);
	crowd_close(&crowd);
	expect_in_order(crowd.callers, 2);
	EXPECT_EQ(crowd.callers[1].after, -ECANCELED);
}

TASK_TEST(rwlock, waiting_ends_at_a_deadline)
{
	struct crowd crowd;

	crowd_open(&crowd, "w");
	rota_group_open(&crowd.group, NULL);
	crowd.callers[0].task = spawn(&crowd.group, make_call, &crowd.callers[0]);
	wait_back(&crowd.callers[0]);
	EXPECT_EQ(ROTA_WITHIN(ROTA_MILLISECOND, read_call(&crowd.lock)), -ETIMEDOUT);
	EXPECT_EQ(ROTA_WITHIN(ROTA_MILLISECOND, write_call(&crowd.lock)), -ETIMEDOUT);
	crowd_close(&crowd);
}

/* Exclusion. */

struct ledger {
	struct rota_rwlock lock;
	struct a32 readers;
	struct a32 writers;
	unsigned int a; /* plain: the lock protects them, and keeps them equal */
	unsigned int b;
	unsigned int rounds;
	bool deadlines;
};

static int read_ledger(struct ledger *ledger, unsigned int round)
{
	int64_t limit = (int64_t)(round % 9) * 10 * ROTA_MICROSECOND;
	int err = 0;

	if (ledger->deadlines)
		err = ROTA_WITHIN(limit, rota_rwlock_rdlock_cancelable(&ledger->lock));
	else
		rota_rwlock_rdlock(&ledger->lock);
	if (err)
		return err;
	a32_add_acq_rel(&ledger->readers, 1);
	EXPECT_EQ(a32_load_acquire(&ledger->writers), 0);
	EXPECT_EQ(ledger->a, ledger->b);
	if (round % 5 == 0)
		(void)rota_yield();
	a32_add_acq_rel(&ledger->readers, (uint32_t)-1);
	rota_rwlock_rdunlock(&ledger->lock);
	return 0;
}

static int write_ledger(struct ledger *ledger, unsigned int round)
{
	int64_t limit = (int64_t)(round % 9) * 10 * ROTA_MICROSECOND;
	int err = 0;

	if (ledger->deadlines)
		err = ROTA_WITHIN(limit, rota_rwlock_wrlock_cancelable(&ledger->lock));
	else
		rota_rwlock_wrlock(&ledger->lock);
	if (err)
		return err;
	EXPECT_EQ(a32_add_acq_rel(&ledger->writers, 1), 0);
	EXPECT_EQ(a32_load_acquire(&ledger->readers), 0);
	ledger->a++;
	if (round % 3 == 0)
		(void)rota_yield();
	ledger->b++;
	a32_add_acq_rel(&ledger->writers, (uint32_t)-1);
	rota_rwlock_wrunlock(&ledger->lock);
	return 0;
}

/* Returns how often it wrote. */
static int keep_ledger(void *arg)
{
	struct ledger *ledger = arg;
	int written = 0;

	for (unsigned int i = 0; i < ledger->rounds; i++) {
		bool writes = i % 4 == 3;
		int err = writes ? write_ledger(ledger, i) : read_ledger(ledger, i);

		EXPECT(err == 0 || (ledger->deadlines && err == -ETIMEDOUT));
		written += writes && !err;
	}
	return written;
}

TASK_TEST(rwlock, readers_or_one_writer)
{
	enum { TASKS = 12 };

	for (int deadlines = 0; deadlines < 2; deadlines++) {
		struct ledger ledger = { .rounds = 100, .deadlines = deadlines };
		struct rota_call calls[TASKS];
		unsigned int written = 0;

		for (int i = 0; i < TASKS; i++)
			calls[i] = (struct rota_call){ .fn = keep_ledger, .arg = &ledger };
		EXPECT_EQ(rota_gather(calls, TASKS), 0);
		for (int i = 0; i < TASKS; i++)
			written += (unsigned int)calls[i].status;
		EXPECT_EQ(ledger.a, written);
		EXPECT_EQ(ledger.b, written);
		EXPECT_EQ(rota_rwlock_finish(&ledger.lock), 0);
	}
}

/* Plain threads. */

static void *keep_on_thread(void *arg)
{
	keep_ledger(arg);
	return NULL;
}

static void run_ledger(int tasks)
{
	enum { THREADS = 3 };
	struct ledger ledger = { .rounds = 200 };
	struct rota_call calls[4];
	pthread_t thread[THREADS];

	for (int i = 0; i < THREADS; i++)
		EXPECT_EQ(pthread_create(&thread[i], NULL, keep_on_thread, &ledger), 0);
	for (int i = 0; i < tasks; i++)
		calls[i] = (struct rota_call){ .fn = keep_ledger, .arg = &ledger };
	if (tasks)
		EXPECT_EQ(rota_gather(calls, (size_t)tasks), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	EXPECT_EQ(ledger.a, (unsigned int)(tasks + THREADS) * ledger.rounds / 4);
	EXPECT_EQ(rota_rwlock_finish(&ledger.lock), 0);
}

TASK_TEST(rwlock, of_threads_and_tasks)
{
	if (!is_simulated())
		run_ledger(4);
}

Test(rwlock, of_threads_without_a_runtime)
{
	run_ledger(0);
	report_failures();
}

static void *write_on_thread(void *arg)
{
	rota_rwlock_wrlock(arg);
	rota_rwlock_wrunlock(arg);
	return NULL;
}

TASK_TEST(rwlock, a_thread_that_wants_to_write_is_not_starved)
{
	struct rota_rwlock lock = { { 0 } };
	pthread_t thread;

	if (is_simulated())
		return;
	rota_rwlock_rdlock(&lock);
	EXPECT_EQ(pthread_create(&thread, NULL, write_on_thread, &lock), 0);
	/* Once it stands in the line no reader comes in. */
	while (!rota_rwlock_tryrdlock(&lock)) {
		rota_rwlock_rdunlock(&lock);
		EXPECT_EQ(rota_yield(), 0);
	}
	rota_rwlock_rdunlock(&lock);
	rota_rwlock_rdlock(&lock);
	rota_rwlock_rdunlock(&lock);
	pthread_join(thread, NULL);
	EXPECT_EQ(rota_rwlock_finish(&lock), 0);
}

/* Misuse. */

static int rdunlock_free(void *arg)
{
	static struct rota_rwlock lock;

	(void)arg;
	rota_rwlock_rdunlock(&lock);
	return 0;
}

static int wrunlock_free(void *arg)
{
	static struct rota_rwlock lock;

	(void)arg;
	rota_rwlock_wrunlock(&lock);
	return 0;
}

static int rdunlock_while_writing(void *arg)
{
	static struct rota_rwlock lock;

	(void)arg;
	rota_rwlock_wrlock(&lock);
	rota_rwlock_rdunlock(&lock);
	return 0;
}

static int wrunlock_while_reading(void *arg)
{
	static struct rota_rwlock lock;

	(void)arg;
	rota_rwlock_rdlock(&lock);
	rota_rwlock_wrunlock(&lock);
	return 0;
}

static int wrlock_twice(void *arg)
{
	static struct rota_rwlock lock;

	(void)arg;
	rota_rwlock_wrlock(&lock);
	rota_rwlock_wrlock(&lock);
	return 0;
}

static int wrlock_and_rdlock(void *arg)
{
	static struct rota_rwlock lock;

	(void)arg;
	rota_rwlock_wrlock(&lock);
	rota_rwlock_rdlock(&lock);
	return 0;
}

static int wrunlock_arg(void *arg)
{
	rota_rwlock_wrunlock(arg);
	return 0;
}

static int wrunlock_as_a_stranger(void *arg)
{
	struct rota_rwlock lock = { { 0 } };
	struct rota_group group;

	(void)arg;
	rota_group_open(&group, NULL);
	rota_rwlock_wrlock(&lock);
	EXPECT_EQ(rota_group_spawn(&group, wrunlock_arg, &lock), 0);
	return rota_group_close(&group, 0);
}

static void *wrunlock_on_thread(void *arg)
{
	rota_rwlock_wrunlock(arg);
	return NULL;
}

static int wrunlock_as_a_thread(void *arg)
{
	struct rota_rwlock lock = { { 0 } };
	pthread_t thread;

	(void)arg;
	rota_rwlock_wrlock(&lock);
	EXPECT_EQ(pthread_create(&thread, NULL, wrunlock_on_thread, &lock), 0);
	pthread_join(thread, NULL);
	return 0;
}

Test(rwlock, misuse_is_reported_and_aborts)
{
	EXPECT_REPORT(rdunlock_free, "rwlock");
	EXPECT_REPORT(wrunlock_free, "rwlock");
	EXPECT_REPORT(rdunlock_while_writing, "rwlock");
	EXPECT_REPORT(wrunlock_while_reading, "rwlock");
	EXPECT_REPORT(wrlock_twice, "rwlock");
	EXPECT_REPORT(wrlock_and_rdlock, "rwlock");
	EXPECT_REPORT(wrunlock_as_a_stranger, "rwlock");
	if (!is_simulated())
		EXPECT_REPORT(wrunlock_as_a_thread, "rwlock");
}
