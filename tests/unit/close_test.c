/* SPDX-License-Identifier: MIT */
/* rota_close(): ends what is under way on the descriptor, wherever it is (B13). */
#include "unit.h"

TestSuite(close, .timeout = HANG_SECONDS);

static int read_until_closed(void *arg)
{
	char c;

	EXPECT_EQ(rota_read(*(int *)arg, &c, 1), -ECANCELED);
	/* It was the descriptor, not the task. */
	EXPECT_EQ(rota_yield(), 0);
	return 0;
}

static void spawn_readers(struct rota_group *group, int *fd)
{
	struct rota_task *task;

	for (uint32_t i = 0; i < 3 * rota_loop_count(); i++) {
		const struct rota_spawn_options options = {
			.flags = ROTA_SPAWN_ON_LOOP,
			.loop = i % rota_loop_count(),
		};

		EXPECT_EQ(rota_group_spawn_with(group, read_until_closed, fd, &task, &options), 0);
		wait_state(task, ROTA_TASK_SUSPENDED);
	}
}

TASK_TEST(close, ends_pending_reads_on_all_loops)
{
	for (int i = 0; i < 20; i++) {
		struct rota_group group;
		int fd[2];

		EXPECT_EQ(pipe2(fd, O_CLOEXEC), 0);
		rota_group_open(&group, NULL);
		spawn_readers(&group, &fd[0]);
		EXPECT_EQ(rota_close(fd[0]), 0);
		EXPECT_EQ(fcntl(fd[0], F_GETFD), -1);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		EXPECT_EQ(rota_close(fd[1]), 0);
	}
}

TASK_TEST(close, leaves_other_descriptors_alone)
{
	struct rota_group group;
	struct rota_group others;
	int fd[2];
	int other;

	EXPECT_EQ(pipe2(fd, O_CLOEXEC), 0);
	other = fcntl(fd[0], F_DUPFD_CLOEXEC, 0); /* the same pipe by another number */
	rota_group_open(&others, NULL);
	rota_group_open(&group, NULL);
	spawn_readers(&others, &other);
	spawn_readers(&group, &fd[0]);
	EXPECT_EQ(rota_close(fd[0]), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(rota_group_live(&others), 3 * rota_loop_count());
	EXPECT_EQ(rota_close(other), 0);
	EXPECT_EQ(rota_group_close(&others, 0), 0);
	EXPECT_EQ(rota_close(fd[1]), 0);
}

static int read_byte(void *arg)
{
	char c = 0;

	EXPECT_EQ(rota_read(*(int *)arg, &c, 1), 1);
	return c;
}

/* A read that was left armed would take the byte of the next file of that number. */
TASK_TEST(close, the_number_can_be_used_again)
{
	for (int i = 0; i < 50; i++) {
		struct rota_group group;
		struct rota_task *task;
		int status = 0;
		int again[2];
		int fd[2];

		EXPECT_EQ(pipe2(fd, O_CLOEXEC), 0);
		rota_group_open(&group, NULL);
		spawn_readers(&group, &fd[0]);
		EXPECT_EQ(rota_close(fd[0]), 0);
		EXPECT_EQ(pipe2(again, O_CLOEXEC), 0);
		EXPECT_EQ(again[0], fd[0]);
		task = spawn(&group, read_byte, &again[0]);
		EXPECT_EQ(rota_write(again[1], "n", 1), 1);
		EXPECT_EQ(rota_task_await(task, &status), 0);
		EXPECT_EQ(status, 'n');
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		EXPECT_EQ(rota_close(again[0]), 0);
		EXPECT_EQ(rota_close(again[1]), 0);
		EXPECT_EQ(rota_close(fd[1]), 0);
	}
}

static int read_either(void *arg)
{
	char c;

	EXPECT_EQ(rota_read(*(int *)arg, &c, 1), -ECANCELED);
	return -ECANCELED;
}

struct closer {
	int fd[2];
	struct a32 ready;
};

static int own_reader_and_close(void *arg)
{
	struct closer *closer = arg;
	struct rota_group group;

	rota_group_open(&group, NULL);
	wait_state(spawn(&group, read_either, &closer->fd[0]), ROTA_TASK_SUSPENDED);
	a32_store_release(&closer->ready, 1);
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT_EQ(rota_close(closer->fd[0]), 0);
	EXPECT_EQ(rota_close(closer->fd[1]), 0);
	return rota_group_close(&group, 0);
}

TASK_TEST(close, is_no_cancellation_point)
{
	for (int i = 0; i < 20; i++) {
		struct closer closer = { .ready = { 0 } };
		struct rota_group group;
		struct rota_task *task;

		EXPECT_EQ(pipe2(closer.fd, O_CLOEXEC), 0);
		rota_group_open(&group, NULL);
		task = spawn(&group, own_reader_and_close, &closer);
		EXPECT(wait_cell(&closer.ready, 1));
		rota_task_cancel(task, NULL);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		EXPECT_EQ(fcntl(closer.fd[0], F_GETFD), -1);
		EXPECT_EQ(fcntl(closer.fd[1], F_GETFD), -1);
	}
}

static void *close_on_thread(void *arg)
{
	EXPECT_EQ(rota_close(*(int *)arg), 0);
	return NULL;
}

TASK_TEST(close, from_a_plain_thread)
{
	if (is_simulated())
		return;
	for (int i = 0; i < 20; i++) {
		struct rota_group group;
		pthread_t thread;
		int fd[2];

		EXPECT_EQ(pipe2(fd, O_CLOEXEC), 0);
		rota_group_open(&group, NULL);
		spawn_readers(&group, &fd[0]);
		EXPECT_EQ(pthread_create(&thread, NULL, close_on_thread, &fd[0]), 0);
		EXPECT_EQ(rota_group_wait(&group), 0);
		pthread_join(thread, NULL);
		EXPECT_EQ(rota_group_close(&group, 0), 0);
		EXPECT_EQ(rota_close(fd[1]), 0);
	}
}

Test(close, from_a_plain_thread_without_a_runtime)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	cr_expect_eq(rota_close(fd), 0);
	cr_expect_eq(rota_close(fd), -EBADF);
	cr_expect_eq(rota_close(-1), -EBADF);
}

static int write_full(void *arg)
{
	static const char page[4096];
	int n;

	do
		n = rota_write(*(int *)arg, page, sizeof(page));
	while (n > 0);
	EXPECT_EQ(n, -ECANCELED);
	return 0;
}

TASK_TEST(close, ends_pending_writes)
{
	struct rota_group group;
	struct rota_task *task;
	int fd[2];

	EXPECT_EQ(pipe2(fd, O_CLOEXEC), 0);
	rota_group_open(&group, NULL);
	task = spawn(&group, write_full, &fd[1]);
	wait_state(task, ROTA_TASK_SUSPENDED);
	/* Full, not just slow. */
	for (struct pollfd end = { .fd = fd[1], .events = POLLOUT }; poll(&end, 1, 0);)
		EXPECT_EQ(rota_yield(), 0);
	wait_state(task, ROTA_TASK_SUSPENDED);
	EXPECT_EQ(rota_close(fd[1]), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(rota_close(fd[0]), 0);
}
