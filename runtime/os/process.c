/* SPDX-License-Identifier: MIT */
/* What belongs to the process and has no ring operation: limits, signals, directory reading. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "os/seam.h"

#define DESCRIPTORS_MAX (1u << 20)

uint32_t rota__descriptors_max(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_max > DESCRIPTORS_MAX)
		return DESCRIPTORS_MAX;
	return limit.rlim_max ? (uint32_t)limit.rlim_max : 1;
}

int rota__getdents(int fd, void *buf, size_t bytes)
{
	int saved = errno;
	ssize_t n = getdents64(fd, buf, bytes);
	int result = n < 0 ? -errno : (int)n;

	errno = saved;
	return result;
}

int64_t rota__file_position(int fd)
{
	int saved = errno;
	off_t at = lseek(fd, 0, SEEK_CUR);
	int64_t result = at < 0 ? -errno : at;

	errno = saved;
	return result;
}

void rota__file_position_set(int fd, int64_t position)
{
	int saved = errno;

	lseek(fd, position, SEEK_SET);
	errno = saved;
}

int rota__close_now(int fd)
{
	int saved = errno;
	int result = close(fd) ? -errno : 0;

	errno = saved;
	return result;
}

int rota__file_create(const char *path, FILE **ret_file)
{
	*ret_file = fopen(path, "we");
	return *ret_file ? 0 : -errno;
}

int rota__file_finish(FILE *file)
{
	/* A full disk shows at the latest when the last of it is written out. */
	int err = fflush(file) || ferror(file) ? -(errno ? errno : EIO) : 0;

	if (fclose(file) && !err)
		err = -errno;
	return err;
}

void rota__sigpipe_block(bool *ret_was_blocked)
{
	sigset_t pipe_set;
	sigset_t before;

	sigemptyset(&pipe_set);
	sigaddset(&pipe_set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe_set, &before);
	*ret_was_blocked = sigismember(&before, SIGPIPE) == 1;
}

void rota__sigpipe_restore(bool was_blocked)
{
	const struct timespec now = { 0, 0 };
	sigset_t pipe_set;

	if (was_blocked)
		return;
	sigemptyset(&pipe_set);
	sigaddset(&pipe_set, SIGPIPE);
	while (sigtimedwait(&pipe_set, NULL, &now) == SIGPIPE)
		;
	pthread_sigmask(SIG_UNBLOCK, &pipe_set, NULL);
}
