/* SPDX-License-Identifier: MIT */
/* fork() (B20): in the child every call is refused, and the parent does not notice. */
#include "unit.h"

#include <sys/stat.h>

TestSuite(fork, .timeout = HANG_SECONDS);

static const struct rota_config config = UNIT_CONFIG;

/* The handles of the parent that its child tries to use. */
struct inherited {
	struct rota_runtime *rt;
	struct rota_task *task;
	struct rota_group *group;
	int fd;
};

#define REFUSED(call)                                                                        \
	do {                                                                                 \
		int result_ = (call);                                                        \
		if (result_ != -EPERM) {                                                     \
			dprintf(2, "%s:%d: " #call " is %d\n", __FILE__, __LINE__, result_); \
			bad = 1;                                                             \
		}                                                                            \
	} while (0)

static int try_everything(const struct inherited *had)
{
	struct rota_call call = { .fn = task_return };
	struct rota_dir *dir = NULL;
	struct rota_runtime *rt = NULL;
	struct rota_stats stats;
	struct rota_group group;
	struct statx st;
	char c = 'x';
	int bad = 0;

	REFUSED(rota_run(task_return, NULL, &config));
	REFUSED(rota_start(&rt, &config));
	REFUSED(rota_stop(had->rt));
	REFUSED(rota_runtime_call(had->rt, task_return, NULL));
	REFUSED(rota_runtime_spawn(had->rt, task_return, NULL, NULL, NULL));
	REFUSED(rota_background(task_return, NULL));
	REFUSED(rota_sleep(1));
	REFUSED(rota_sleep_until(0));
	REFUSED(rota_yield());
	REFUSED(rota_loop_self());
	REFUSED(rota_read(had->fd, &c, 1));
	REFUSED(rota_pread(had->fd, &c, 1, 0));
	REFUSED(rota_write(had->fd, &c, 1));
	REFUSED(rota_write_all(had->fd, &c, 1, NULL));
	REFUSED(rota_close(had->fd));
	REFUSED(rota_open("/", O_RDONLY, 0));
	REFUSED(rota_openat(AT_FDCWD, "/", O_RDONLY, 0));
	REFUSED(rota_statx(AT_FDCWD, "/", 0, STATX_MODE, &st));
	REFUSED(rota_dir_open(&dir, AT_FDCWD, "/", 0));
	REFUSED(rota_gather(&call, 1));
	REFUSED(rota_trace_start(0));
	REFUSED(rota_trace_save("/dev/null"));
	rota_group_open(&group, NULL);
	REFUSED(rota_group_close(&group, 0));
	if (had->task)
		REFUSED(rota_task_await(had->task, NULL));
	if (had->group)
		REFUSED(rota_group_wait(had->group));
	if (rota_stats_get(&stats, sizeof(stats), -1) || rota_runtime_self() || rota_loop_count() ||
		rota_task_self())
		bad = 2;
	rota_runtime_cancel(had->rt, NULL);
	rota_trace_stop();
	rota_trace_mark("nowhere", 1);
	return bad;
}

/* Forks, and expects the child to exit with 0. Blocks the loop, which is no matter here. */
static void fork_and_try(const struct inherited *had)
{
	int wait_status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		alarm(HANG_SECONDS - 5);
		_exit(try_everything(had));
	}
	EXPECT_EQ(waitpid(pid, &wait_status, 0), pid);
	EXPECT_EQ(wait_status, 0);
}

static int fork_in_a_task(void *arg)
{
	struct inherited had = { .rt = rota_runtime_self(), .fd = 0 };
	struct rota_group group;
	int pipe_fd[2];
	char c = 0;

	(void)arg;
	EXPECT_EQ(pipe2(pipe_fd, O_CLOEXEC), 0);
	had.fd = pipe_fd[0];
	rota_group_open(&group, NULL);
	had.group = &group;
	had.task = spawn(&group, task_forever, NULL);
	for (int i = 0; i < 5; i++) {
		fork_and_try(&had);
		/* The parent goes on. */
		EXPECT_EQ(rota_sleep(1), 0);
		EXPECT_EQ(rota_write(pipe_fd[1], "p", 1), 1);
		EXPECT_EQ(rota_read(pipe_fd[0], &c, 1), 1);
	}
	rota_group_cancel(&group, NULL);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	rota_close(pipe_fd[0]);
	rota_close(pipe_fd[1]);
	return 0;
}

Test(fork, in_a_task)
{
	cr_expect_eq(rota_run(fork_in_a_task, NULL, &config), 0);
	report_failures();
}

Test(fork, in_a_thread_beside_the_runtime)
{
	struct inherited had = { .fd = 0 };

	cr_assert_eq(rota_start(&had.rt, &config), 0);
	cr_assert_eq(rota_runtime_spawn(had.rt, task_forever, NULL, &had.task, NULL), 0);
	had.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	fork_and_try(&had);
	cr_expect_eq(rota_runtime_call(had.rt, task_return, STATUS(4)), 4);
	rota_task_release(had.task);
	cr_expect_eq(rota_stop(had.rt), 0);
	report_failures();
}

static int run_in_child(void *arg)
{
	return rota_run(task_return, arg, &config);
}

Test(fork, before_and_between_runtimes_is_free)
{
	cr_expect(child_exited(run_child(run_in_child, STATUS(3)), 3));
	cr_expect_eq(rota_run(task_return, STATUS(2), &config), 2);
	cr_expect(child_exited(run_child(run_in_child, STATUS(4)), 4));
}

static int exec_in_a_task(void *arg)
{
	int wait_status = -1;
	pid_t pid = fork();

	(void)arg;
	if (pid == 0) {
		execl("/bin/true", "true", (char *)NULL);
		_exit(1);
	}
	EXPECT_EQ(waitpid(pid, &wait_status, 0), pid);
	EXPECT_EQ(wait_status, 0);
	return 0;
}

Test(fork, and_exec)
{
	cr_expect_eq(rota_run(exec_in_a_task, NULL, &config), 0);
	report_failures();
}

static int return_in_the_child(void *arg)
{
	int wait_status = 0;
	pid_t pid = fork();

	(void)arg;
	if (pid == 0)
		return 0;
	EXPECT_EQ(waitpid(pid, &wait_status, 0), pid);
	return WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGABRT ? 0 : 1;
}

static int spawn_returner(void *arg)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	rota_group_spawn(&group, return_in_the_child, arg);
	return rota_group_close(&group, 0);
}

static int run_returner(void *arg)
{
	return rota_run(spawn_returner, arg, &config);
}

Test(fork, a_child_that_returns_is_told_why_not)
{
	struct child *child = run_child(run_returner, NULL);

	cr_expect(child_exited(child, 0), "%x", child->wait_status);
	cr_expect_not_null(
		strstr(child->err, "return_in_the_child (fork_test.c:"), "%s", child->err);
	cr_expect_not_null(strstr(child->err, "the child must exec or _exit"), "%s", child->err);
}
