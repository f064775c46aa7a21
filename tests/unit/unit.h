/* SPDX-License-Identifier: MIT */
/*
 * What the unit tests share: a main task as a test, checks that work in tasks, children that may
 * die. Criterion's own assertions leave by longjmp and talk to the runner over one socket, so they
 * stay on the test's own stack: in tasks there are EXPECT() and EXPECT_EQ().
 */
#ifndef ROTA_TESTS_UNIT_H
#define ROTA_TESTS_UNIT_H

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rota.h>

#include "base/atomic.h"

/* How long a test may take before it is a hang. Long: the machine may be slow, valgrind is. */
#define HANG_SECONDS 20

/* Checks in tasks and threads: what failed is kept until run_task() has the loops stopped. */

#define FAILURES_SHOWN 8

struct failures {
	pthread_mutex_t lock;
	unsigned int count;
	size_t len;
	char text[4096];
};

static struct failures failures = { .lock = PTHREAD_MUTEX_INITIALIZER };

static inline __attribute__((format(printf, 2, 3))) bool expect_at(
	bool good, const char *format, ...)
{
	va_list args;
	int n;

	if (good)
		return true;
	pthread_mutex_lock(&failures.lock);
	failures.count++;
	if (failures.count > FAILURES_SHOWN)
		goto unlock;
	va_start(args, format);
	n = vsnprintf(
		failures.text + failures.len, sizeof(failures.text) - failures.len, format, args);
	va_end(args);
	failures.len += (size_t)n;
	if (failures.len >= sizeof(failures.text))
		failures.len = sizeof(failures.text) - 1;
unlock:
	pthread_mutex_unlock(&failures.lock);
	return false;
}

static inline bool expect_eq_at(const char *file, int line, const char *what, const char *wanted,
	long long is, long long want)
{
	return expect_at(is == want, "%s:%d: %s is %lld, not %s (%lld)\n", file, line, what, is,
		wanted, want);
}

static inline bool expect_str_at(
	const char *file, int line, const char *what, const char *is, const char *want)
{
	return expect_at(
		!strcmp(is, want), "%s:%d: %s is \"%s\", not \"%s\"\n", file, line, what, is, want);
}

#define EXPECT(condition) expect_at((condition), "%s:%d: " #condition "\n", __FILE__, __LINE__)

/* For numbers of any integer type. */
#define EXPECT_EQ(is, want) \
	expect_eq_at(__FILE__, __LINE__, #is, #want, (long long)(is), (long long)(want))

#define EXPECT_STR_EQ(is, want) expect_str_at(__FILE__, __LINE__, #is, (is), (want))

/* Hands what failed in tasks to Criterion. */
static inline void report_failures(void)
{
	cr_expect(failures.count == 0, "%u failed:\n%s", failures.count, failures.text);
	failures.count = 0;
	failures.len = 0;
	failures.text[0] = '\0';
}

/* Lines of on_log, without those that only inform. */
struct log {
	pthread_mutex_t lock;
	unsigned int lines;
	size_t len;
	char text[4096];
};

static struct log the_log = { .lock = PTHREAD_MUTEX_INITIALIZER };

static inline void keep_log(void *arg, int level, const char *text)
{
	int n;

	(void)arg;
	if (level >= ROTA_LOG_INFO)
		return;
	pthread_mutex_lock(&the_log.lock);
	the_log.lines++;
	n = snprintf(the_log.text + the_log.len, sizeof(the_log.text) - the_log.len, "%s\n", text);
	the_log.len += (size_t)n;
	if (the_log.len >= sizeof(the_log.text))
		the_log.len = sizeof(the_log.text) - 1;
	pthread_mutex_unlock(&the_log.lock);
}

static inline void clear_log(void)
{
	the_log.lines = 0;
	the_log.len = 0;
	the_log.text[0] = '\0';
}

/* Two loops, transitions checked, nothing on stderr. */
#define UNIT_CONFIG                                                        \
	{                                                                  \
		.loops = 2, .flags = ROTA_CONFIG_DEBUG, .on_log = keep_log \
	}

static inline int run_void(void *arg)
{
	void (*const *body)(void) = arg;

	(*body)();
	return 0;
}

static inline void run_task(void (*body)(void))
{
	struct rota_config config = UNIT_CONFIG;
	int status;

	if (getenv("ROTA_LOOPS"))
		config.loops = 0;
	status = rota_run(run_void, &body, &config);
	cr_expect_eq(status, 0, "rota_run() returned %d; %s", status, the_log.text);
	report_failures();
}

/* A test whose body is the main task of a runtime. */
#define TASK_TEST(suite, name)                   \
	static void suite##_##name##_body(void); \
	Test(suite, name)                        \
	{                                        \
		run_task(suite##_##name##_body); \
	}                                        \
	static void suite##_##name##_body(void)

/* Whether the loops are simulated: no plain threads then. */
static inline bool is_simulated(void)
{
	return getenv("ROTA_SIM") != NULL;
}

/* A child that may die: what it wrote to stderr, and how it ended. */
struct child {
	int wait_status;
	size_t len;
	char err[16384];
};

static inline bool child_exited(const struct child *child, int status)
{
	return WIFEXITED(child->wait_status) && WEXITSTATUS(child->wait_status) == status;
}

/* Sanitizers turn a deadly signal into an exit status of their own. */
static inline bool child_died_by(const struct child *child, int signal_number)
{
	if (WIFSIGNALED(child->wait_status))
		return WTERMSIG(child->wait_status) == signal_number;
	return ROTA__ASAN && WEXITSTATUS(child->wait_status) != 0;
}

/* Runs fn(arg) in a child, which exits with its result. A child that hangs is killed. */
static inline struct child *run_child(int (*fn)(void *arg), void *arg)
{
	static struct child child;
	ssize_t n;
	int fd[2];
	pid_t pid;

	cr_assert_eq(pipe2(fd, O_CLOEXEC), 0);
	fflush(NULL);
	pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		dup2(fd[1], 2);
		close(fd[0]);
		signal(SIGALRM, SIG_DFL);
		signal(SIGABRT, SIG_DFL);
		signal(SIGSEGV, SIG_DFL);
		alarm(HANG_SECONDS - 5);
		_exit(fn(arg));
	}
	close(fd[1]);
	child.len = 0;
	while ((n = read(fd[0], child.err + child.len, sizeof(child.err) - 1 - child.len)) > 0)
		child.len += (size_t)n;
	child.err[child.len] = '\0';
	close(fd[0]);
	cr_assert_eq(waitpid(pid, &child.wait_status, 0), pid);
	return &child;
}

static inline unsigned int lines_of(const char *text)
{
	unsigned int lines = 0;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

/* Tasks that many tests want. */

static inline int task_forever(void *arg)
{
	(void)arg;
	return rota_sleep(ROTA_FOREVER);
}

static inline int task_return(void *arg)
{
	return (int)(intptr_t)arg;
}

/* What task_return() returns, as its argument. */
#define STATUS(status) ((void *)(intptr_t)(status))

static inline int task_count(void *arg)
{
	a32_add_acq_rel(arg, 1);
	return 0;
}

/* Sleeps until it is cancelled, and stores what it saw. */
static inline int task_store_cancel(void *arg)
{
	int *ret_status = arg;

	*ret_status = rota_sleep(ROTA_FOREVER);
	return *ret_status;
}

/* Lets others run until *cell is `value`; false if the caller is cancelled before. */
static inline bool wait_cell(struct a32 *cell, uint32_t value)
{
	while (a32_load_acquire(cell) != value)
		if (rota_yield())
			return a32_load_acquire(cell) == value;
	return true;
}

static inline void wait_state(struct rota_task *task, enum rota_task_state state)
{
	while (rota_task_state(task) != state)
		EXPECT_EQ(rota_yield(), 0);
}

/* Spawns without options, with a handle. */
static inline struct rota_task *spawn(struct rota_group *group, rota_task_fn *fn, void *arg)
{
	struct rota_task *task = NULL;

	EXPECT_EQ(rota_group_spawn_with(group, fn, arg, &task, NULL), 0);
	return task;
}

#endif
