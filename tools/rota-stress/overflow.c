/* SPDX-License-Identifier: MIT */
/*
 * A stack overflow kills the process by SIGSEGV, and before that says which task it was. Each in a
 * child process: this program again, with a hidden option.
 */
#include "scenarios.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/attr.h"
#include "child.h"

/* The sanitizers have handlers of their own, which end the process in their own way. */
#define SANITIZED (ROTA__ASAN || ROTA__TSAN)

enum fate {
	NAMES_THE_TASK, /* dies by SIGSEGV and says "deep" and "stack" */
	DIES,		/* dies by SIGSEGV and does not speak of an overflow */
	LIVES,
};

struct expectation {
	const char *child;
	enum fate fate;
};

static const struct expectation expectations[] = {
	{ "overflow", NAMES_THE_TASK },
	{ "overflow-elsewhere", NAMES_THE_TASK },
	{ "overflow-small", NAMES_THE_TASK },
	{ "overflow-in-call", NAMES_THE_TASK },
	{ "deep-lives", LIVES },
	{ "null-pointer", DIES },
};

static pid_t start_child(const char *name, int stderr_fd)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	dup2(stderr_fd, STDERR_FILENO);
	execl("/proc/self/exe", "rota-stress", CHILD_OPTION, name, (char *)NULL);
	_exit(127);
}

/* What the child writes until it is dead; cut at the buffer's size. */
static void read_all(int fd, char *text, size_t bytes)
{
	size_t used = 0;
	char rest[512];
	ssize_t n = 1;

	while (n > 0 || (n < 0 && errno == EINTR)) {
		if (used < bytes - 1)
			n = read(fd, text + used, bytes - 1 - used);
		else
			n = read(fd, rest, sizeof(rest));
		if (n > 0 && used < bytes - 1)
			used += (size_t)n;
	}
	text[used] = '\0';
}

static void check_fate(struct run *run, const struct expectation *e, int status, const char *text)
{
	bool segv = WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
	bool ended_well = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	if (e->fate == LIVES) {
		STRESS_CHECK(run, "deep-stack-lives", ended_well, "child %s: wait status %#x: %s",
			e->child, (unsigned int)status, text);
		return;
	}
	STRESS_CHECK(run, "overflow-kills", segv || (SANITIZED && !ended_well),
		"child %s: wait status %#x instead of death by SIGSEGV", e->child,
		(unsigned int)status);
	if (e->fate == NAMES_THE_TASK)
		STRESS_CHECK(run, "overflow-is-named",
			strstr(text, "deep") && strstr(text, "stack"),
			"child %s names no task 'deep' or no 'stack': '%s'", e->child, text);
	else
		STRESS_CHECK(run, "overflow-is-named", !strstr(text, "stack overflow in task"),
			"child %s dies of a null pointer, said to be an overflow: '%s'", e->child,
			text);
}

static void one_child(struct run *run, const struct expectation *expectation)
{
	char *text = stress_alloc(1, 65536);
	int status = 0;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		abort();
	pid = start_child(expectation->child, fds[1]);
	close(fds[1]);
	if (pid < 0)
		abort();
	read_all(fds[0], text, 65536);
	close(fds[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	check_fate(run, expectation, status, text);
	atomic_fetch_add(&run->tasks, 1);
	free(text);
}

static void run_overflow(struct run *run)
{
	stress_clock_start(run);
	for (uint64_t round = 0; stress_more(run, round); round++) {
		for (size_t i = 0; i < sizeof(expectations) / sizeof(expectations[0]); i++)
			one_child(run, &expectations[i]);
	}
}

const struct scenario scenario_overflow = {
	.name = "overflow",
	.text = "a stack overflow in a child process is reported by the task's name",
	.run = run_overflow,
	.quota = 1,
	.flags = STRESS_ROUNDS | STRESS_REAL_ONLY,
};
