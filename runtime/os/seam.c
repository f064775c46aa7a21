/* SPDX-License-Identifier: MIT */
/* The real side of the seam: clock, random numbers, heap, futex, plain output. */
#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <rota/base.h>

#include "os/seam.h"

static int64_t clock_read(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * ROTA_SECOND + ts.tv_nsec;
}

static int64_t real_now(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

static int64_t real_wall(void)
{
	return clock_read(CLOCK_REALTIME);
}

static void real_random(void *buf, size_t len)
{
	char *at = buf;

	while (len > 0) {
		ssize_t n = getrandom(at, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			rota__write_text(2, "rota: getrandom() failed: no source of randomness\n");
			abort();
		}
		at += n;
		len -= (size_t)n;
	}
}

const struct rota__seam rota__seam_real = {
	.now = real_now,
	.wall = real_wall,
	.random = real_random,
};

const struct rota__seam *rota__seam = &rota__seam_real;

int64_t rota_now(void)
{
	return rota__seam->now();
}

int64_t rota_time_wall(void)
{
	return rota__seam->wall();
}

void rota_random(void *buf, size_t len)
{
	int saved = errno;

	rota__seam->random(buf, len);
	errno = saved;
}

void *rota__alloc(size_t bytes)
{
	return calloc(1, bytes ? bytes : 1);
}

void rota__free(void *memory)
{
	free(memory);
}

void *rota__alloc_aligned(size_t alignment, size_t bytes)
{
	void *memory = aligned_alloc(alignment, (bytes + alignment - 1) & ~(alignment - 1));

	if (memory)
		memset(memory, 0, bytes);
	return memory;
}

void rota__futex_wait(const void *word, uint32_t value)
{
	int saved = errno;

	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
	errno = saved;
}

bool rota__futex_wait_for(const void *word, uint32_t value, int64_t timeout_ns)
{
	struct timespec timeout = {
		.tv_sec = timeout_ns / ROTA_SECOND,
		.tv_nsec = timeout_ns % ROTA_SECOND,
	};

	int saved = errno;
	bool in_time = !syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, &timeout, NULL, 0) ||
		       errno != ETIMEDOUT;

	errno = saved;
	return in_time;
}

void rota__futex_wake(const void *word, int count)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

void rota__write_text(int fd, const char *text)
{
	size_t len = strlen(text);

	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}
