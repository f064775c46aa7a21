/* SPDX-License-Identifier: MIT */
/*
 * rota_close() of a pipe with reads pending on all loops, by a task or a plain thread: every read
 * ends before the close returns, and the descriptor's next owner loses nothing to them. In some
 * rounds more reads begin in that very moment: they have to end some way, at the latest by a byte.
 */
#include "scenarios.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#define READERS_MAX 12
#define SECRET	    0x77

struct closing {
	struct run *run;
	int fd;
	bool racy;	      /* reads begin at any time */
	_Atomic(bool) closed; /* rota_close() has returned */
	_Atomic(int) thread_status;
	_Atomic(uint32_t) thread_done;
};

struct reader {
	struct closing *closing;
	uint64_t seed;
};

static int reader_run(void *arg)
{
	struct reader *reader = arg;
	struct closing *closing = reader->closing;
	struct prng prng = prng_of(reader->seed, 12);
	unsigned char buf[16] = { 0 };
	int n;

	if (closing->racy && prng_once_in(&prng, 2))
		(void)rota_sleep(prng_ns(&prng, 200 * ROTA_MICROSECOND));
	/* Only a read that begins before the close is about this descriptor. */
	if (atomic_load(&closing->closed))
		return 0;
	n = rota_read(closing->fd, buf, sizeof(buf));
	STRESS_CHECK(closing->run, "closed-reads-end",
		n == -ECANCELED || (closing->racy && (n == -EBADF || n > 0)),
		"a read from an empty pipe that is closed gives %d (%s)", n, rota_status_name(n));
	STRESS_CHECK(closing->run, "closed-reads-end", buf[0] != SECRET,
		"a read got what was written to the descriptor's next owner");
	return 0;
}

static void *close_in_thread(void *arg)
{
	struct closing *closing = arg;

	atomic_store(&closing->thread_status, rota_close(closing->fd));
	atomic_store(&closing->closed, true);
	atomic_store(&closing->thread_done, 1);
	return NULL;
}

static int close_in_task(void *arg)
{
	struct closing *closing = arg;
	int status = rota_close(closing->fd);

	atomic_store(&closing->closed, true);
	return status;
}

static int do_close(struct closing *closing, struct prng *prng)
{
	struct rota_spawn_options options = stress_on_loop(prng_loop(prng));
	struct rota_group group;
	pthread_t thread;

	if (prng_once_in(prng, 2)) {
		rota_group_open(&group, NULL);
		(void)rota_group_spawn_with(&group, close_in_task, closing, NULL, &options);
		return rota_group_close(&group, 0);
	}
	if (pthread_create(&thread, NULL, close_in_thread, closing) != 0)
		abort();
	while (!atomic_load(&closing->thread_done))
		(void)rota_sleep(20 * ROTA_MICROSECOND);
	pthread_join(thread, NULL);
	return atomic_load(&closing->thread_status);
}

/* The lowest free number: mostly the one that was just closed. */
static void reuse(struct closing *closing, struct prng *prng)
{
	unsigned char secret = SECRET;
	unsigned char back = 0;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0 || write(fds[1], &secret, 1) != 1)
		abort();
	(void)rota_sleep(prng_ns(prng, 50 * ROTA_MICROSECOND));
	STRESS_CHECK(closing->run, "closed-reads-end",
		fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0 && read(fds[0], &back, 1) == 1 &&
			back == SECRET,
		"what was written to the descriptor's next owner has gone");
	STRESS_CHECK(closing->run, "close", rota_close(fds[0]) == 0 && rota_close(fds[1]) == 0,
		"rota_close() fails");
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

/* Returns when the readers spawned before have begun to read: bound tasks start in order. */
static void let_begin(struct run *run)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (uint32_t i = 0; i < rota_loop_count(); i++) {
		struct rota_spawn_options options = stress_on_loop(i);

		(void)rota_group_spawn_with(&group, nothing, NULL, NULL, &options);
	}
	STRESS_CHECK(run, "group-close", rota_group_close(&group, 0) == 0,
		"a group does not close with 0");
}

/* What began too late for the close reads one of these; SIGPIPE is ignored meanwhile. */
static void feed_late_readers(int fd)
{
	static const char bytes[READERS_MAX * 16];

	if (write(fd, bytes, sizeof(bytes)) < 0 && errno != EPIPE)
		abort();
}

static void one_round(struct run *run, uint64_t round)
{
	struct prng prng = prng_of(run->seed, round);
	uint64_t count = prng_below(&prng, READERS_MAX) + 1;
	struct closing closing = { .run = run };
	struct rota_group group;
	int status;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		abort();
	closing.fd = fds[0];
	closing.racy = prng_once_in(&prng, 2);
	rota_group_open(&group, NULL);
	for (uint64_t i = 0; i < count; i++) {
		struct reader reader = { .closing = &closing, .seed = prng_next(&prng) };
		struct rota_spawn_options options = stress_on_loop(prng_loop(&prng));

		options.arg_bytes = sizeof(reader);
		(void)rota_group_spawn_with(&group, reader_run, &reader, NULL, &options);
	}
	if (closing.racy)
		(void)rota_sleep(prng_ns(&prng, 100 * ROTA_MICROSECOND));
	else
		let_begin(run);
	status = do_close(&closing, &prng);
	STRESS_CHECK(run, "close", status == 0, "rota_close() of a busy pipe gives %d (%s)", status,
		rota_status_name(status));
	if (closing.racy)
		feed_late_readers(fds[1]);
	status = rota_group_close(&group, 0);
	STRESS_CHECK(run, "group-close", status == 0, "the readers' group closes with %d", status);
	reuse(&closing, &prng);
	(void)rota_close(fds[1]);
	atomic_fetch_add(&run->tasks, count);
}

static int close_main(void *arg)
{
	struct run *run = arg;

	for (uint64_t round = 0; stress_more(run, round); round++)
		one_round(run, round);
	return 0;
}

static void run_close(struct run *run)
{
	signal(SIGPIPE, SIG_IGN);
	(void)stress_main_task(run, close_main, run);
	signal(SIGPIPE, SIG_DFL);
}

const struct scenario scenario_close = {
	.name = "close",
	.text = "rota_close() ends the reads of all loops before it returns",
	.run = run_close,
	.quota = 3000,
	.flags = STRESS_ROUNDS | STRESS_REAL_ONLY,
};
