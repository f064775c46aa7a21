/* SPDX-License-Identifier: MIT */
/*
 * More reads on one loop than its ring takes at once, cancelled while some wait for room and others
 * get it: every one ends, no byte is lost.
 */
#include "scenarios.h"

#include <fcntl.h>
#include <unistd.h>

/* A ring takes about 1,500. */
#define READERS 2000

struct crowd {
	struct run *run;
	int pipe[2];
	struct rota_task *tasks[READERS];
	_Atomic(uint64_t) bytes_read;
	_Atomic(uint64_t) ends;
};

static int reader_run(void *arg)
{
	struct crowd *crowd = arg;
	char buf[4];
	int n = rota_read(crowd->pipe[0], buf, sizeof(buf));

	STRESS_CHECK(crowd->run, "one-outcome", n > 0 || n == -ECANCELED,
		"a read from a pipe gives %d (%s)", n, rota_status_name(n));
	if (n > 0)
		atomic_fetch_add(&crowd->bytes_read, (uint64_t)n);
	atomic_fetch_add(&crowd->ends, 1);
	return n < 0 ? n : 0;
}

/* Some bytes in portions, from this loop: reads end, others get their room. */
static uint64_t feed(struct crowd *crowd, struct prng *prng)
{
	static const char bytes[64];
	uint64_t portions = prng_below(prng, 40);
	uint64_t written = 0;

	for (; portions > 0; portions--) {
		ssize_t n = write(crowd->pipe[1], bytes, prng_below(prng, sizeof(bytes)) + 1);

		written += n > 0 ? (uint64_t)n : 0;
		stress_busy(crowd->run, prng_ns(prng, 20 * ROTA_MICROSECOND));
	}
	return written;
}

static uint64_t cancel_each(struct crowd *crowd, struct prng *prng)
{
	uint64_t start = prng_below(prng, READERS);
	uint64_t written = 0;

	for (uint64_t i = 0; i < READERS; i++) {
		rota_task_cancel(crowd->tasks[(start + i) % READERS], NULL);
		if (prng_once_in(prng, 200))
			written += feed(crowd, prng);
	}
	return written;
}

static uint64_t left_in_pipe(struct crowd *crowd)
{
	uint64_t left = 0;
	char buf[4096];
	ssize_t n;

	close(crowd->pipe[1]);
	while ((n = read(crowd->pipe[0], buf, sizeof(buf))) > 0)
		left += (uint64_t)n;
	close(crowd->pipe[0]);
	return left;
}

static void one_round(struct crowd *crowd, uint64_t round)
{
	struct prng prng = prng_of(crowd->run->seed, round);
	struct rota_spawn_options options = stress_on_loop(prng_loop(&prng));
	struct rota_group group;
	uint64_t written;
	uint64_t left;

	if (pipe2(crowd->pipe, O_CLOEXEC) < 0)
		abort();
	rota_group_open(&group, NULL);
	for (size_t i = 0; i < READERS; i++)
		(void)rota_group_spawn_with(&group, reader_run, crowd, &crowd->tasks[i], &options);
	(void)rota_sleep(prng_ns(&prng, 10 * ROTA_MILLISECOND));
	written = feed(crowd, &prng);
	if (prng_once_in(&prng, 2))
		written += cancel_each(crowd, &prng);
	else
		rota_group_cancel(&group, NULL);
	STRESS_CHECK(crowd->run, "group-close", rota_group_close(&group, 0) == 0,
		"the readers' group does not close with 0");
	STRESS_CHECK(crowd->run, "exactly-once", atomic_load(&crowd->ends) == READERS,
		"%llu of %d readers ended", (unsigned long long)atomic_load(&crowd->ends), READERS);
	left = left_in_pipe(crowd);
	STRESS_CHECK(crowd->run, "no-byte-lost", atomic_load(&crowd->bytes_read) + left == written,
		"%llu bytes were written, %llu read, %llu left", (unsigned long long)written,
		(unsigned long long)atomic_load(&crowd->bytes_read), (unsigned long long)left);
	atomic_fetch_add(&crowd->run->tasks, READERS);
}

static int crowd_main(void *arg)
{
	struct run *run = arg;
	struct crowd *crowd = stress_alloc(1, sizeof(*crowd));

	for (uint64_t round = 0; stress_more(run, round); round++) {
		memset(crowd, 0, sizeof(*crowd));
		crowd->run = run;
		one_round(crowd, round);
	}
	free(crowd);
	return 0;
}

static void run_crowd(struct run *run)
{
	(void)stress_main_task(run, crowd_main, run);
}

const struct scenario scenario_crowd = {
	.name = "crowd",
	.text = "more reads than a ring takes, cancelled while some wait for room",
	.run = run_crowd,
	.quota = 50,
	.flags = STRESS_ROUNDS | STRESS_REAL_ONLY,
};
