/* SPDX-License-Identifier: MIT */
/*
 * What the C and C++ peers share: their arguments `PEER BENCH THREADS TASKS` and the clock.
 */
#ifndef ROTA_BENCH_PEER_H
#define ROTA_BENCH_PEER_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* As rota's own benches have them. */
#define PEER_FAN_OUT 10
#define PEER_BATCH   512

struct peer_args {
	const char *bench;
	int threads;
	uint64_t tasks;
};

static inline struct peer_args peer_args_parse(int argc, char **argv)
{
	struct peer_args args = { NULL, 0, 0 };

	if (argc == 4) {
		args.bench = argv[1];
		args.threads = atoi(argv[2]);
		args.tasks = strtoull(argv[3], NULL, 10);
	}
	if (args.threads < 1 || args.tasks < 1) {
		fprintf(stderr, "usage: %s BENCH THREADS TASKS\n", argv[0]);
		exit(2);
	}
	return args;
}

static inline int64_t peer_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline void peer_print(const char *key, int64_t elapsed_ns, double ops)
{
	printf("%s %.6f\n", key, (double)elapsed_ns / ops);
}

#endif
