/* SPDX-License-Identifier: MIT */
/*
 * The benches of rota-bench as tasks of oneTBB: spawn and skynet. Knows nothing of rota.
 */
#include "peer.h"

#include <atomic>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>
#include <thread>
#include <vector>

static void child(uint64_t *counter)
{
	/* Something that the compiler must not take out together with the task. */
	__asm__ volatile("" : : "r"(counter) : "memory");
}

static void work_await(uint64_t ops)
{
	oneapi::tbb::task_group group;
	uint64_t counter = 0;

	for (uint64_t i = 0; i < ops; i++) {
		group.run([&counter] { child(&counter); });
		group.wait();
	}
}

static void work_batch(uint64_t ops)
{
	oneapi::tbb::task_group group;
	uint64_t counter = 0;

	for (uint64_t i = 0; i < ops; i += PEER_BATCH) {
		for (uint64_t k = i; k < i + PEER_BATCH && k < ops; k++)
			group.run([&counter] { child(&counter); });
		group.wait();
	}
}

/* The same in as many threads at once, each the master of an arena of its own. */
static void measure(const char *key, int threads, void (*work)(uint64_t ops), uint64_t ops)
{
	std::vector<std::thread> all;
	std::atomic<int> arrived{ 0 };
	int64_t begin;

	for (int i = 0; i < threads; i++) {
		all.emplace_back([&] {
			oneapi::tbb::task_arena arena(1);

			arena.execute([&] {
				work(ops / 10 + 1);
				arrived++;
				while (arrived.load() <= threads)
					std::this_thread::yield();
				work(ops);
			});
		});
	}
	while (arrived.load() < threads)
		std::this_thread::yield();
	begin = peer_now();
	arrived++;
	for (std::thread &thread : all)
		thread.join();
	peer_print(key, peer_now() - begin, (double)ops * threads);
}

static int bench_spawn(const struct peer_args &args)
{
	measure("ns_per_op", args.threads, work_await, args.tasks);
	measure("batch_ns_per_op", args.threads, work_batch, args.tasks);
	return 0;
}

static uint64_t node(uint64_t number, uint64_t leaves)
{
	oneapi::tbb::task_group group;
	uint64_t sums[PEER_FAN_OUT];
	uint64_t part = leaves / PEER_FAN_OUT;
	uint64_t sum = 0;

	if (leaves == 1)
		return number;
	for (uint64_t i = 0; i < PEER_FAN_OUT; i++)
		group.run([&sums, number, part, i] { sums[i] = node(number + i * part, part); });
	group.wait();
	for (uint64_t i = 0; i < PEER_FAN_OUT; i++)
		sum += sums[i];
	return sum;
}

static int bench_skynet(const struct peer_args &args)
{
	uint64_t leaves = 1;
	uint64_t nodes = 1;
	uint64_t sum;
	int64_t begin;

	while (leaves < args.tasks) {
		leaves *= PEER_FAN_OUT;
		nodes += leaves;
	}
	node(0, leaves > PEER_FAN_OUT ? leaves / PEER_FAN_OUT : leaves);
	begin = peer_now();
	sum = node(0, leaves);
	peer_print("ns_per_op", peer_now() - begin, (double)nodes);
	return sum == leaves * (leaves - 1) / 2 ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct peer_args args = peer_args_parse(argc, argv);
	oneapi::tbb::global_control control(
		oneapi::tbb::global_control::max_allowed_parallelism, (size_t)args.threads);

	if (strcmp(args.bench, "spawn") == 0)
		return bench_spawn(args);
	if (strcmp(args.bench, "skynet") == 0)
		return bench_skynet(args);
	return 2;
}
