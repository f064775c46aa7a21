/* SPDX-License-Identifier: MIT */
/*
 * Runs the same work written for others: `PEER BENCH THREADS TASKS`, one repetition, which prints
 * lines "KEY NUMBER" with the keys of rota's own figures. A peer that was not built is left out.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH_BYTES 4096

struct peer {
	const char *name;
	const char *program;
	const char *benches; /* with a space before and after each */
};

static const struct peer peers[] = {
	{ "go", "rota-bench-go",
		" spawn switch sleep wake skynet idle-tasks mutex channel select group cancel " },
	{ "openmp", "rota-bench-openmp", " spawn skynet " },
	{ "tbb", "rota-bench-tbb", " spawn skynet " },
};

static bool has_bench(const struct peer *peer, const char *bench)
{
	char word[64];

	snprintf(word, sizeof(word), " %s ", bench);
	return strstr(peer->benches, word) != NULL;
}

static bool try_path(char *path, const char *directory, const char *sub, const char *program)
{
	int length = snprintf(path, PATH_BYTES, "%s%s/%s", directory, sub, program);

	return length > 0 && length < PATH_BYTES && access(path, X_OK) == 0;
}

/* Where it is: in the directory that was named, else beside this executable. */
static bool find_program(char *path, const char *directory, const char *program)
{
	char self[PATH_BYTES];
	ssize_t length;

	if (directory)
		return try_path(path, directory, "", program);
	length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (length <= 0)
		return false;
	self[length] = '\0';
	*strrchr(self, '/') = '\0';
	return try_path(path, self, "", program) || try_path(path, self, "/peers", program);
}

/* Starts it with its output in *ret_output. Returns 0 or a negative errno. */
static int start(const char *path, const struct bench_run *run, pid_t *ret_pid, FILE **ret_output)
{
	posix_spawn_file_actions_t actions;
	char threads[16];
	char tasks[24];
	char *argv[] = { (char *)path, (char *)run->bench->name, threads, tasks, NULL };
	int ends[2];
	int status;

	snprintf(threads, sizeof(threads), "%u", run->loops);
	snprintf(tasks, sizeof(tasks), "%llu", (unsigned long long)run->tasks);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	*ret_output = fdopen(ends[0], "r");
	if (!*ret_output) {
		close(ends[0]);
		close(ends[1]);
		return -ENOMEM;
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	status = posix_spawn(ret_pid, path, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	if (status == 0)
		return 0;
	fclose(*ret_output);
	return status > 0 ? -status : -EINVAL;
}

static int run_peer(struct bench_run *run, const struct peer *peer, const char *path)
{
	char key[32];
	double value;
	FILE *output = NULL;
	pid_t pid = -1;
	int wait_status;
	int status = start(path, run, &pid, &output);

	if (status < 0) {
		fprintf(stderr, "rota-bench: %s: %s\n", path, strerror(-status));
		return status;
	}
	while (fscanf(output, "%31s %lf", key, &value) == 2)
		bench_add(run, peer->name, key, value);
	fclose(output);
	while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR)
		continue;
	if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0)
		return 0;
	fprintf(stderr, "rota-bench: %s %s failed\n", path, run->bench->name);
	return -EPROTO;
}

int bench_peers_run(struct bench_run *run, const char *directory)
{
	for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++) {
		char path[PATH_BYTES];
		int status;

		if (!has_bench(&peers[i], run->bench->name))
			continue;
		if (!find_program(path, directory, peers[i].program)) {
			if (run->repetition == 0)
				fprintf(stderr, "rota-bench: %s: peer %s was not built\n",
					run->bench->name, peers[i].name);
			continue;
		}
		status = run_peer(run, &peers[i], path);
		if (status < 0)
			return status;
	}
	return 0;
}
