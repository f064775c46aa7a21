/* SPDX-License-Identifier: MIT */
/*
 * The benches of rota-bench as OpenMP tasks: spawn and skynet. Knows nothing of rota.
 */
#include "peer.h"

static void child(uint64_t *counter)
{
	/* Something that the compiler must not take out together with the task. */
	__asm__ volatile("" : : "r"(counter) : "memory");
}

static void work_await(uint64_t ops)
{
	uint64_t counter = 0;

	for (uint64_t i = 0; i < ops; i++) {
#pragma omp task shared(counter)
		child(&counter);
#pragma omp taskwait
	}
}

static void work_batch(uint64_t ops)
{
	uint64_t counter = 0;

	for (uint64_t i = 0; i < ops; i += PEER_BATCH) {
		for (uint64_t k = i; k < i + PEER_BATCH && k < ops; k++) {
#pragma omp task shared(counter)
			child(&counter);
		}
#pragma omp taskwait
	}
}

/* The same in every thread of the team at once, as rota has a lane a loop. */
static void measure(const char *key, int threads, void (*work)(uint64_t ops), uint64_t ops)
{
	int64_t begin = 0;
	int64_t end = 0;

#pragma omp parallel num_threads(threads)
	{
		work(ops / 10 + 1);
#pragma omp barrier
#pragma omp master
		begin = peer_now();
		work(ops);
#pragma omp barrier
#pragma omp master
		end = peer_now();
	}
	peer_print(key, end - begin, (double)ops * threads);
}

static void bench_spawn(const struct peer_args *args)
{
	measure("ns_per_op", args->threads, work_await, args->tasks);
	measure("batch_ns_per_op", args->threads, work_batch, args->tasks);
}

static uint64_t node(uint64_t number, uint64_t leaves)
{
	uint64_t sums[PEER_FAN_OUT];
	uint64_t sum = 0;

	if (leaves == 1)
		return number;
	for (uint64_t i = 0; i < PEER_FAN_OUT; i++) {
		uint64_t part = leaves / PEER_FAN_OUT;

#pragma omp task shared(sums) firstprivate(i, part)
		sums[i] = node(number + i * part, part);
	}
#pragma omp taskwait
	for (uint64_t i = 0; i < PEER_FAN_OUT; i++)
		sum += sums[i];
	return sum;
}

static int bench_skynet(const struct peer_args *args)
{
	uint64_t leaves = 1;
	uint64_t nodes = 1;
	uint64_t sum = 0;
	int64_t begin = 0;
	int64_t end = 0;

	while (leaves < args->tasks) {
		leaves *= PEER_FAN_OUT;
		nodes += leaves;
	}
#pragma omp parallel num_threads(args->threads)
#pragma omp single
	{
		node(0, leaves > PEER_FAN_OUT ? leaves / PEER_FAN_OUT : leaves);
		begin = peer_now();
		sum = node(0, leaves);
		end = peer_now();
	}
	peer_print("ns_per_op", end - begin, (double)nodes);
	return sum == leaves * (leaves - 1) / 2 ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct peer_args args = peer_args_parse(argc, argv);

	if (strcmp(args.bench, "spawn") == 0) {
		bench_spawn(&args);
		return 0;
	}
	if (strcmp(args.bench, "skynet") == 0)
		return bench_skynet(&args);
	return 2;
}
