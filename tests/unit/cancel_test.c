/* SPDX-License-Identifier: MIT */
/*
 * Cancelling one task: every kind of wait is cut short, every later call says so too, nothing that
 * has happened is lost.
 */
#include "unit.h"

#include <sys/ioctl.h>
#include <sys/stat.h>

#include "core/task.h"

TestSuite(cancel, .timeout = HANG_SECONDS);

/* Each kind of wait, in a task that does nothing else. */

struct waiter {
	int fd[2];
	struct rota_task *other;
	struct a32 begun;
};

static int wait_in_sleep(void *arg)
{
	(void)arg;
	return rota_sleep(ROTA_FOREVER);
}

static int wait_in_timed_sleep(void *arg)
{
	(void)arg;
	return rota_sleep(3600 * ROTA_SECOND);
}

static int wait_in_sleep_until(void *arg)
{
	(void)arg;
	return rota_sleep_until(ROTA_FOREVER);
}

static int wait_in_await(void *arg)
{
	const struct waiter *waiter = arg;

	return rota_task_await(waiter->other, NULL);
}

static int wait_in_read(void *arg)
{
	const struct waiter *waiter = arg;
	char c;

	return rota_read(waiter->fd[0], &c, 1);
}

static int wait_in_write(void *arg)
{
	static const char page[4096];
	const struct waiter *waiter = arg;
	int n;

	do
		n = rota_write(waiter->fd[1], page, sizeof(page));
	while (n > 0);
	return n;
}

/* A member that sleeps already, unless the caller is cancelled before. */
static void spawn_started(struct rota_group *group, int *ret_status)
{
	struct rota_task *task = spawn(group, task_store_cancel, ret_status);

	while (rota_task_state(task) != ROTA_TASK_SUSPENDED && !rota_yield())
		;
}

static int wait_in_group_wait(void *arg)
{
	struct rota_group group;
	int member = 0;
	int err;

	(void)arg;
	rota_group_open(&group, NULL);
	spawn_started(&group, &member);
	err = rota_group_wait(&group);
	EXPECT_EQ(rota_group_close(&group, err), -ECANCELED);
	EXPECT_EQ(member, -ECANCELED);
	return err;
}

static int wait_in_close(void *arg)
{
	struct rota_group group;
	int member = 0;
	int err;

	(void)arg;
	rota_group_open(&group, NULL);
	spawn_started(&group, &member);
	err = rota_group_close(&group, 0);
	EXPECT_EQ(member, -ECANCELED);
	return err;
}

static int wait_in_gather(void *arg)
{
	struct rota_call call = { .fn = task_forever, .arg = arg };

	return rota_gather(&call, 1);
}

static rota_task_fn *const waits[] = {
	wait_in_sleep,
	wait_in_timed_sleep,
	wait_in_sleep_until,
	wait_in_await,
	wait_in_read,
	wait_in_write,
	wait_in_group_wait,
	wait_in_close,
	wait_in_gather,
};

TASK_TEST(cancel, cuts_every_wait_short)
{
	struct waiter waiter = { .other = NULL };
	struct rota_group group;

	EXPECT_EQ(pipe2(waiter.fd, O_CLOEXEC), 0);
	rota_group_open(&group, NULL);
	waiter.other = spawn(&group, task_forever, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
		for (uint32_t k = 0; k < rota_loop_count(); k++) {
			const struct rota_spawn_options options = {
				.flags = ROTA_SPAWN_ON_LOOP,
				.loop = k,
			};
			struct rota_task *task;
			int status = 0;

			EXPECT_EQ(rota_group_spawn_with(&group, waits[i], &waiter, &task, &options),
				0);
			wait_state(task, ROTA_TASK_SUSPENDED);
			rota_task_cancel(task, NULL);
			EXPECT_EQ(rota_task_await(task, &status), 0);
			expect_at(status == -ECANCELED, "wait %zu on loop %u: %d\n", i, k, status);
			if (waits[i] != wait_in_write)
				continue;
			/* The pipe is full now: room for the next one to begin. */
			rota_close(waiter.fd[0]);
			rota_close(waiter.fd[1]);
			EXPECT_EQ(pipe2(waiter.fd, O_CLOEXEC), 0);
		}
	}
	rota_task_cancel(waiter.other, NULL);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	rota_close(waiter.fd[0]);
	rota_close(waiter.fd[1]);
}

TASK_TEST(cancel, before_the_start_is_seen_at_the_first_wait)
{
	struct waiter waiter = { .other = NULL };
	struct rota_group group;

	EXPECT_EQ(pipe2(waiter.fd, O_CLOEXEC), 0);
	rota_group_open(&group, NULL);
	waiter.other = spawn(&group, task_forever, NULL);
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
			struct rota_task *task;
			int status = 0;

			if (waits[i] == wait_in_write)
				continue;
			task = spawn(&group, waits[i], &waiter);
			rota_task_cancel(task, NULL);
			EXPECT_EQ(rota_task_await(task, &status), 0);
			expect_at(status == -ECANCELED, "wait %zu: %d\n", i, status);
		}
	}
	rota_task_cancel(waiter.other, NULL);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	rota_close(waiter.fd[0]);
	rota_close(waiter.fd[1]);
}

static int fill(void *arg)
{
	const int *fd = arg;
	char c[16] = "";
	size_t done = 99;

	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	/* The pipe has data, the file is there, the time has come: it makes no difference. */
	for (int i = 0; i < 3; i++) {
		struct statx st;

		EXPECT_EQ(rota_yield(), -ECANCELED);
		EXPECT_EQ(rota_sleep(0), -ECANCELED);
		EXPECT_EQ(rota_sleep(-1), -ECANCELED);
		EXPECT_EQ(rota_sleep(1), -ECANCELED);
		EXPECT_EQ(rota_sleep_until(0), -ECANCELED);
		EXPECT_EQ(rota_read(fd[0], c, sizeof(c)), -ECANCELED);
		EXPECT_EQ(rota_pread(fd[0], c, sizeof(c), 0), -ECANCELED);
		EXPECT_EQ(rota_write(fd[1], c, sizeof(c)), -ECANCELED);
		EXPECT_EQ(rota_write_all(fd[1], c, sizeof(c), &done), -ECANCELED);
		EXPECT_EQ(done, 0);
		EXPECT_EQ(rota_open("/dev/null", O_RDONLY, 0), -ECANCELED);
		EXPECT_EQ(rota_statx(AT_FDCWD, "/", 0, STATX_BASIC_STATS, &st), -ECANCELED);
	}
	/* No cancellation point. */
	EXPECT_EQ(rota_close(dup(fd[0])), 0);
	EXPECT_EQ(rota_close(-1), -EBADF);
	return -ECANCELED;
}

TASK_TEST(cancel, is_level_triggered)
{
	struct rota_group group;
	struct rota_task *task;
	int fd[2];

	EXPECT_EQ(pipe2(fd, O_CLOEXEC), 0);
	EXPECT_EQ(write(fd[1], "data", 4), 4);
	rota_group_open(&group, NULL);
	task = spawn(&group, fill, fd);
	wait_state(task, ROTA_TASK_SUSPENDED);
	rota_task_cancel(task, NULL);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	rota_close(fd[0]);
	rota_close(fd[1]);
}

static int work_on(void *arg)
{
	struct a32 count = { 0 };
	struct rota_group group;

	(void)arg;
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	/* Cleaning up may take tasks: they run, and see the cancel. */
	rota_group_open(&group, NULL);
	for (int i = 0; i < 10; i++)
		EXPECT_EQ(rota_group_spawn(&group, task_count, &count), 0);
	EXPECT_EQ(rota_group_close(&group, 0), -ECANCELED);
	EXPECT_EQ(a32_load_relaxed(&count), 10);
	return 12;
}

TASK_TEST(cancel, a_cancelled_task_may_end_well)
{
	struct rota_group group;
	struct rota_task *task;
	int status = 0;

	rota_group_open(&group, NULL);
	task = spawn(&group, work_on, NULL);
	wait_state(task, ROTA_TASK_SUSPENDED);
	rota_task_cancel(task, NULL);
	EXPECT_EQ(rota_task_await(task, &status), 0);
	EXPECT_EQ(status, 12);
	EXPECT_EQ(rota_task_state(task), ROTA_TASK_DONE);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

TASK_TEST(cancel, of_an_ended_task_is_harmless)
{
	struct rota_group group;
	struct rota_task *task;
	int status = 0;

	rota_group_open(&group, NULL);
	task = spawn(&group, task_return, STATUS(3));
	EXPECT_EQ(rota_task_await(task, NULL), 0);
	rota_task_cancel(task, "too late");
	EXPECT_EQ(rota_yield(), 0);
	EXPECT_EQ(rota_task_await(task, &status), 0);
	EXPECT_EQ(status, 3);
	rota_task_cancel(NULL, "nobody");
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

static int cancel_oneself(void *arg)
{
	struct rota_task *self = rota_task_self();

	(void)arg;
	rota_task_cancel(self, "enough");
	return rota_sleep(ROTA_FOREVER);
}

TASK_TEST(cancel, of_oneself)
{
	struct rota_group group;
	struct rota_task *task;
	int status = 0;

	rota_group_open(&group, NULL);
	task = spawn(&group, cancel_oneself, NULL);
	EXPECT_EQ(rota_task_await(task, &status), 0);
	EXPECT_EQ(status, -ECANCELED);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

static int end_with_reason(void *arg)
{
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT_STR_EQ(rota__task_extra(rota_task_self())->cancel_reason, arg);
	return 0;
}

TASK_TEST(cancel, the_first_reason_stays_and_is_cut)
{
	char first[65];
	char want[64];
	struct rota_group group;
	struct rota_task *task;

	memset(first, 'r', 64);
	first[64] = '\0';
	memset(want, 'r', 63);
	want[63] = '\0';
	rota_group_open(&group, NULL);
	task = spawn(&group, end_with_reason, want);
	wait_state(task, ROTA_TASK_SUSPENDED);
	rota_task_cancel(task, first);
	memset(first, 'x', 64);
	rota_task_cancel(task, "second");
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

/* Whatever wins, the bytes are either read or still there (B12). */

struct reader {
	int fd;
	int got;
};

static int read_eight(void *arg)
{
	struct reader *reader = arg;
	char buf[8];

	reader->got = rota_read(reader->fd, buf, sizeof(buf));
	if (reader->got >= 0)
		return 0;
	EXPECT_EQ(reader->got, -ECANCELED);
	return 0;
}

TASK_TEST(cancel, a_result_is_never_dropped)
{
	int fd[2];

	EXPECT_EQ(pipe2(fd, O_CLOEXEC), 0);
	for (int i = 0; i < 300; i++) {
		struct reader reader = { .fd = fd[0] };
		struct rota_group group;
		struct rota_task *task;
		char buf[8];
		int left = 0;

		rota_group_open(&group, NULL);
		task = spawn(&group, read_eight, &reader);
		if (i % 3)
			wait_state(task, ROTA_TASK_SUSPENDED);
		EXPECT_EQ(write(fd[1], "12345678", 8), 8);
		for (int k = 0; k < i % 5; k++)
			EXPECT_EQ(rota_yield(), 0);
		rota_task_cancel(task, NULL);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		EXPECT_EQ(ioctl(fd[0], FIONREAD, &left), 0);
		EXPECT(reader.got == 8 ? left == 0 : left == 8);
		if (left)
			EXPECT_EQ(read(fd[0], buf, sizeof(buf)), 8);
	}
	rota_close(fd[0]);
	rota_close(fd[1]);
}

/* The same for descriptors: an open that won is delivered, one that lost leaves nothing open. */
static int open_it(void *arg)
{
	int *ret_fd = arg;

	*ret_fd = rota_open("/dev/null", O_RDONLY, 0);
	return 0;
}

static int lowest_free_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

TASK_TEST(cancel, no_descriptor_is_lost)
{
	int before = lowest_free_fd();

	for (int i = 0; i < 200; i++) {
		struct rota_group group;
		struct rota_task *task;
		int fd = -1;

		rota_group_open(&group, NULL);
		task = spawn(&group, open_it, &fd);
		for (int k = 0; k < i % 4; k++)
			EXPECT_EQ(rota_yield(), 0);
		rota_task_cancel(task, NULL);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		if (fd >= 0)
			EXPECT_EQ(rota_close(fd), 0);
		else
			EXPECT_EQ(fd, -ECANCELED);
	}
	EXPECT_EQ(lowest_free_fd(), before);
}

/* A storm: tasks that begin, wait and end while they are cancelled from everywhere. */
static int wait_a_little(void *arg)
{
	struct a32 *count = arg;
	int err = rota_yield();

	if (!err)
		err = rota_sleep(ROTA_MICROSECOND);
	if (!err)
		err = rota_yield();
	a32_add_acq_rel(count, 1);
	return err;
}

static int cancel_all(void *arg)
{
	struct rota_task **task = arg;

	for (int i = 0; i < 100; i++)
		rota_task_cancel(task[i], "storm");
	return 0;
}

TASK_TEST(cancel, from_everywhere_at_any_time)
{
	for (int round = 0; round < 20; round++) {
		struct rota_task *task[100];
		struct a32 count = { 0 };
		struct rota_group cancellers;
		struct rota_group group;

		rota_group_open(&cancellers, NULL);
		rota_group_open(&group, NULL);
		for (int i = 0; i < 100; i++)
			task[i] = spawn(&group, wait_a_little, &count);
		for (int i = 0; i < 4; i++)
			EXPECT_EQ(rota_group_spawn(&cancellers, cancel_all, task), 0);
		EXPECT_EQ(rota_group_wait(&cancellers), 0);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		EXPECT_EQ(rota_group_close(&cancellers, 0), 0);
		EXPECT_EQ(a32_load_relaxed(&count), 100);
	}
}
