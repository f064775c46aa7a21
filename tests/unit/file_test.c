/* SPDX-License-Identifier: MIT */
/* Descriptors and files: what moves, what is short, what each mistake is called. */
#include "unit.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

TestSuite(file, .timeout = HANG_SECONDS);

/* A file without a name, with a text in it. */
static int open_text(const char *text)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0) {
		char name[] = "/tmp/rota-file-XXXXXX";

		fd = mkostemp(name, O_CLOEXEC);
		unlink(name);
	}
	EXPECT(fd >= 0);
	EXPECT_EQ(pwrite(fd, text, strlen(text), 0), strlen(text));
	return fd;
}

TASK_TEST(file, read_moves_the_position)
{
	int fd = open_text("hello, world");
	char buf[8] = "";

	EXPECT_EQ(rota_read(fd, buf, 5), 5);
	EXPECT(!memcmp(buf, "hello", 5));
	EXPECT_EQ(rota_read(fd, buf, 2), 2);
	EXPECT(!memcmp(buf, ", ", 2));
	EXPECT_EQ(rota_read(fd, buf, 8), 5); /* short: that is all there is */
	EXPECT(!memcmp(buf, "world", 5));
	EXPECT_EQ(rota_read(fd, buf, 8), 0);
	EXPECT_EQ(rota_read(fd, buf, 0), 0);
	EXPECT_EQ(rota_close(fd), 0);
}

TASK_TEST(file, pread_does_not)
{
	int fd = open_text("hello, world");
	char buf[16] = "";

	EXPECT_EQ(rota_pread(fd, buf, 5, 7), 5);
	EXPECT(!memcmp(buf, "world", 5));
	EXPECT_EQ(rota_pread(fd, buf, 16, 10), 2);
	EXPECT_EQ(rota_pread(fd, buf, 16, 12), 0);
	EXPECT_EQ(rota_pread(fd, buf, 16, 1000000), 0);
	EXPECT_EQ(rota_pread(fd, buf, 16, (off_t)1 << 40), 0);
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 0);
	EXPECT_EQ(rota_close(fd), 0);
}

TASK_TEST(file, write_moves_the_position)
{
	int fd = open_text("");
	char buf[8] = "";

	EXPECT_EQ(rota_write(fd, "abc", 3), 3);
	EXPECT_EQ(rota_write(fd, "def", 3), 3);
	EXPECT_EQ(rota_write(fd, "", 0), 0);
	EXPECT_EQ(rota_pread(fd, buf, 8, 0), 6);
	EXPECT(!memcmp(buf, "abcdef", 6));
	EXPECT_EQ(rota_close(fd), 0);
}

TASK_TEST(file, bad_arguments_have_their_names)
{
	char buf[8];
	int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int closed = dup(dir);
	int fd = open_text("x");
	int reader = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(closed);
	EXPECT_EQ(rota_pread(fd, buf, 1, -1), -EINVAL);
	EXPECT_EQ(rota_pread(fd, buf, 1, INT64_MIN), -EINVAL);
	EXPECT_EQ(rota_read(closed, buf, 1), -EBADF);
	EXPECT_EQ(rota_read(-1, buf, 1), -EBADF);
	EXPECT_EQ(rota_read(1 << 30, buf, 1), -EBADF);
	EXPECT_EQ(rota_write(closed, buf, 1), -EBADF);
	EXPECT_EQ(rota_write(reader, "x", 1), -EBADF);
	EXPECT_EQ(rota_write_all(reader, "x", 1, NULL), -EBADF);
	EXPECT_EQ(rota_read(dir, buf, 1), -EISDIR);
	EXPECT_EQ(rota_read(fd, NULL, 1), -EFAULT);
	EXPECT_EQ(rota_close(closed), -EBADF);
	EXPECT_EQ(rota_close(-1), -EBADF);
	EXPECT_EQ(rota_close(INT32_MIN), -EBADF);
	EXPECT_EQ(rota_close(1 << 30), -EBADF);
	EXPECT_EQ(rota_close(dir), 0);
	EXPECT_EQ(rota_close(dir), -EBADF);
	EXPECT_EQ(rota_close(fd), 0);
	EXPECT_EQ(rota_close(reader), 0);
}

TASK_TEST(file, open_errors_have_their_names)
{
	EXPECT_EQ(rota_open("/nonexistent/file", O_RDONLY, 0), -ENOENT);
	EXPECT_EQ(rota_open("/", O_WRONLY, 0), -EISDIR);
	EXPECT_EQ(rota_open("/dev/null/file", O_RDONLY, 0), -ENOTDIR);
	EXPECT_EQ(rota_open("/dev/null", O_RDONLY | O_DIRECTORY, 0), -ENOTDIR);
	EXPECT_EQ(rota_open("/dev/null", O_CREAT | O_EXCL | O_RDWR, 0600), -EEXIST);
	EXPECT_EQ(rota_open("", O_RDONLY, 0), -ENOENT);
	EXPECT_EQ(rota_open(NULL, O_RDONLY, 0), -EFAULT);
	EXPECT_EQ(rota_openat(-1, "file", O_RDONLY, 0), -EBADF);
}

TASK_TEST(file, open_adds_cloexec)
{
	int fd = rota_open("/dev/null", O_RDONLY, 0);
	int dir = rota_open("/dev", O_RDONLY | O_DIRECTORY, 0);
	int at = rota_openat(dir, "null", O_RDONLY, 0);

	EXPECT(fd >= 0 && dir >= 0 && at >= 0);
	EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	EXPECT_EQ(fcntl(dir, F_GETFD), FD_CLOEXEC);
	EXPECT_EQ(fcntl(at, F_GETFD), FD_CLOEXEC);
	EXPECT_EQ(rota_close(fd), 0);
	EXPECT_EQ(rota_close(dir), 0);
	EXPECT_EQ(rota_close(at), 0);
}

TASK_TEST(file, open_creates_with_the_mode)
{
	char root[] = "/tmp/rota-file-XXXXXX";
	struct statx st;
	int dir;
	int fd;

	EXPECT(mkdtemp(root) != NULL);
	dir = rota_open(root, O_RDONLY | O_DIRECTORY, 0);
	fd = rota_openat(dir, "new", O_CREAT | O_EXCL | O_RDWR, 0600);
	EXPECT(fd >= 0);
	EXPECT_EQ(rota_write_all(fd, "12345", 5, NULL), 0);
	EXPECT_EQ(rota_statx(dir, "new", 0, STATX_BASIC_STATS, &st), 0);
	EXPECT_EQ(st.stx_mode & 07777, 0600);
	EXPECT_EQ(st.stx_size, 5);
	EXPECT_EQ(rota_close(fd), 0);
	EXPECT_EQ(unlinkat(dir, "new", 0), 0);
	EXPECT_EQ(rota_close(dir), 0);
	EXPECT_EQ(rmdir(root), 0);
}

TASK_TEST(file, statx)
{
	struct statx st = { .stx_mask = 0 };
	int fd = open_text("four");

	EXPECT_EQ(rota_statx(AT_FDCWD, "/", 0, STATX_TYPE, &st), 0);
	EXPECT(S_ISDIR(st.stx_mode));
	EXPECT_EQ(rota_statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &st), 0);
	EXPECT_EQ(st.stx_size, 4);
	EXPECT_EQ(rota_statx(AT_FDCWD, "/nonexistent", 0, STATX_TYPE, &st), -ENOENT);
	EXPECT_EQ(rota_statx(AT_FDCWD, "/dev/null/x", 0, STATX_TYPE, &st), -ENOTDIR);
	EXPECT_EQ(rota_statx(-1, "x", 0, STATX_TYPE, &st), -EBADF);
	EXPECT_EQ(rota_statx(AT_FDCWD, "/", 1 << 30, STATX_TYPE, &st), -EINVAL);
	EXPECT_EQ(rota_statx(AT_FDCWD, "/", 0, STATX_TYPE, NULL), -EFAULT);
	EXPECT_EQ(rota_close(fd), 0);
}

/* Pipes: waiting, short, full, broken. */

struct pump {
	int fd;
	size_t bytes;
	unsigned char at;
};

static int drain_pump(void *arg)
{
	struct pump *pump = arg;
	unsigned char buf[5000];
	int n;

	while ((n = rota_read(pump->fd, buf, sizeof(buf))) > 0) {
		for (int i = 0; i < n; i++)
			if (buf[i] != pump->at++)
				return -EBADMSG;
		pump->bytes += (size_t)n;
	}
	return n;
}

TASK_TEST(file, write_all_goes_on_through_a_full_pipe)
{
	enum { BYTES = 300001 };
	static unsigned char data[BYTES];
	struct rota_group group;
	struct pump pump = { 0 };
	size_t done = 0;
	int fd[2];

	for (size_t i = 0; i < BYTES; i++)
		data[i] = (unsigned char)i;
	EXPECT_EQ(pipe2(fd, O_CLOEXEC), 0);
	pump.fd = fd[0];
	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, drain_pump, &pump), 0);
	EXPECT_EQ(rota_write_all(fd[1], data, BYTES, &done), 0);
	EXPECT_EQ(done, BYTES);
	EXPECT_EQ(rota_close(fd[1]), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(pump.bytes, BYTES);
	EXPECT_EQ(rota_close(fd[0]), 0);
}

TASK_TEST(file, write_all_of_nothing)
{
	size_t done = 99;

	EXPECT_EQ(rota_write_all(-1, NULL, 0, &done), 0);
	EXPECT_EQ(done, 0);
	EXPECT_EQ(rota_write_all(-1, NULL, 0, NULL), 0);
}

static int write_broken(void *arg)
{
	size_t done = 99;
	int fd[2];

	(void)arg;
	for (int i = 0; i < 10; i++) {
		EXPECT_EQ(pipe2(fd, O_CLOEXEC), 0);
		close(fd[0]);
		EXPECT_EQ(rota_write(fd[1], "x", 1), -EPIPE);
		EXPECT_EQ(rota_write_all(fd[1], "x", 1, &done), -EPIPE);
		EXPECT_EQ(done, 0);
		EXPECT_EQ(rota_close(fd[1]), 0);
	}
	return 0;
}

/* No SIGPIPE: its default would end this process, whichever loop it is. */
TASK_TEST(file, a_broken_pipe_is_an_error_and_no_signal)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (uint32_t i = 0; i < rota_loop_count(); i++) {
		const struct rota_spawn_options options = { .flags = ROTA_SPAWN_ON_LOOP,
			.loop = i };

		EXPECT_EQ(rota_group_spawn_with(&group, write_broken, NULL, NULL, &options), 0);
	}
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

Test(file, no_broken_pipe_is_left_pending)
{
	const struct rota_config config = UNIT_CONFIG;
	sigset_t pending;

	signal(SIGPIPE, SIG_DFL);
	cr_expect_eq(rota_run(write_broken, NULL, &config), 0);
	sigpending(&pending);
	cr_expect_eq(sigismember(&pending, SIGPIPE), 0);
	sigprocmask(SIG_SETMASK, NULL, &pending);
	cr_expect_eq(sigismember(&pending, SIGPIPE), 0, "it is still blocked");
	report_failures();
}

static int break_later(void *arg)
{
	const int *fd = arg;
	char buf[1000];

	EXPECT(rota_read(*fd, buf, sizeof(buf)) > 0);
	EXPECT_EQ(rota_close(*fd), 0);
	return 0;
}

TASK_TEST(file, write_all_says_how_far_it_came)
{
	static const char data[1 << 20];
	struct rota_group group;
	size_t done = 0;
	int fd[2];

	EXPECT_EQ(pipe2(fd, O_CLOEXEC), 0);
	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, break_later, &fd[0]), 0);
	EXPECT_EQ(rota_write_all(fd[1], data, sizeof(data), &done), -EPIPE);
	EXPECT(done >= 1000 && done < sizeof(data));
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(rota_close(fd[1]), 0);
}

static int read_byte(void *arg)
{
	const int *fd = arg;
	char c = 0;

	EXPECT_EQ(rota_read(*fd, &c, 1), 1);
	return c;
}

TASK_TEST(file, a_read_waits_for_data)
{
	struct rota_group group;
	struct rota_task *task;
	int status = 0;
	int fd[2];

	EXPECT_EQ(pipe2(fd, O_CLOEXEC), 0);
	rota_group_open(&group, NULL);
	task = spawn(&group, read_byte, &fd[0]);
	wait_state(task, ROTA_TASK_SUSPENDED);
	for (int i = 0; i < 100; i++)
		EXPECT_EQ(rota_yield(), 0);
	EXPECT_EQ(rota_task_state(task), ROTA_TASK_SUSPENDED);
	EXPECT_EQ(rota_write(fd[1], "q", 1), 1);
	EXPECT_EQ(rota_task_await(task, &status), 0);
	EXPECT_EQ(status, 'q');
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(rota_close(fd[0]), 0);
	EXPECT_EQ(rota_close(fd[1]), 0);
}

static int read_zeros(void *arg)
{
	static const char zeros[512];
	char buf[512];

	for (int i = 0; i < 20; i++) {
		memset(buf, 0xff, sizeof(buf));
		EXPECT_EQ(rota_read(*(int *)arg, buf, sizeof(buf)), sizeof(buf));
		EXPECT(!memcmp(buf, zeros, sizeof(buf)));
	}
	return 0;
}

/* More at once than the rings have room for. */
TASK_TEST(file, many_operations_at_once)
{
	struct rota_group group;
	int fd = rota_open("/dev/zero", O_RDONLY, 0);

	rota_group_open(&group, NULL);
	for (int i = 0; i < 3000; i++)
		EXPECT_EQ(rota_group_spawn(&group, read_zeros, &fd), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(rota_close(fd), 0);
}

static int read_forever(void *arg)
{
	char c;

	EXPECT_EQ(rota_read(*(int *)arg, &c, 1), -ECANCELED);
	return -ECANCELED;
}

TASK_TEST(file, many_reads_that_wait_can_be_cancelled)
{
	struct rota_group group;
	int fd[2];

	EXPECT_EQ(pipe2(fd, O_CLOEXEC), 0);
	rota_group_open(&group, NULL);
	for (int i = 0; i < 4000; i++)
		EXPECT_EQ(rota_group_spawn(&group, read_forever, &fd[0]), 0);
	for (int i = 0; i < 100; i++)
		EXPECT_EQ(rota_yield(), 0);
	rota_group_cancel(&group, NULL);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(rota_close(fd[0]), 0);
	EXPECT_EQ(rota_close(fd[1]), 0);
}

/* No space. */

TASK_TEST(file, a_full_device)
{
	size_t done = 99;
	int fd = rota_open("/dev/full", O_WRONLY, 0);

	EXPECT_EQ(rota_write(fd, "x", 1), -ENOSPC);
	EXPECT_EQ(rota_write_all(fd, "x", 1, &done), -ENOSPC);
	EXPECT_EQ(done, 0);
	EXPECT_EQ(rota_close(fd), 0);
}

static int fill_file(void *arg)
{
	static const char data[200000];
	size_t done = 0;
	int fd = rota_open(arg, O_CREAT | O_WRONLY, 0600);

	EXPECT(fd >= 0);
	EXPECT_EQ(rota_write_all(fd, data, sizeof(data), &done), -ENOSPC);
	EXPECT_EQ(done, 65536);
	EXPECT_EQ(rota_close(fd), 0);
	return 0;
}

Test(file, a_full_file_system)
{
	const struct rota_config config = UNIT_CONFIG;
	char root[] = "/tmp/rota-full-XXXXXX";
	char path[64];

	cr_assert_not_null(mkdtemp(root));
	snprintf(path, sizeof(path), "%s/file", root);
	/* In a namespace of its own, which is gone with this process. */
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		mount("none", root, "tmpfs", 0, "size=64k")) {
		rmdir(root);
		cr_skip_test("may not mount a small file system");
	}
	cr_expect_eq(rota_run(fill_file, path, &config), 0);
	umount(root);
	rmdir(root);
	report_failures();
}
