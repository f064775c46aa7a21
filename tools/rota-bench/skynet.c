/* SPDX-License-Identifier: MIT */
/*
 * A tree of tasks: every inner node opens a group and spawns ten children into it, every leaf
 * gives its number, and the sums go up. A figure is the wall time divided by all nodes.
 */
#include "bench.h"

#include <errno.h>
#include <stdio.h>

#define FAN_OUT 10

struct node {
	uint64_t number; /* of its first leaf */
	uint64_t leaves;
	uint64_t sum; /* output */
};

static int node_run(void *arg)
{
	struct node *node = arg;
	struct node children[FAN_OUT];
	struct rota_group group;
	int status;

	node->sum = node->number;
	if (node->leaves == 1)
		return 0;
	rota_group_open(&group, NULL);
	for (unsigned int i = 0; i < FAN_OUT; i++) {
		children[i].leaves = node->leaves / FAN_OUT;
		children[i].number = node->number + i * children[i].leaves;
		rota_group_spawn(&group, node_run, &children[i]);
	}
	status = rota_group_close(&group, 0);
	node->sum = 0;
	for (unsigned int i = 0; i < FAN_OUT && status >= 0; i++)
		node->sum += children[i].sum;
	return status;
}

static int run_tree(uint64_t leaves)
{
	struct node root = { .leaves = leaves };
	int status = node_run(&root);

	if (status >= 0 && root.sum != leaves * (leaves - 1) / 2) {
		fprintf(stderr, "rota-bench: skynet: the sum of %llu leaves is wrong\n",
			(unsigned long long)leaves);
		return -EPROTO;
	}
	return status;
}

static int skynet_task(void *arg)
{
	struct bench_run *run = arg;
	uint64_t leaves = 1;
	uint64_t nodes = 1;
	int64_t begin;
	int status;

	while (leaves < run->tasks) {
		leaves *= FAN_OUT;
		nodes += leaves;
	}
	status = run_tree(leaves > FAN_OUT ? leaves / FAN_OUT : leaves);
	if (status < 0)
		return status;
	begin = bench_now();
	status = run_tree(leaves);
	if (status >= 0)
		bench_add(run, NULL, "ns_per_op", (double)(bench_now() - begin) / (double)nodes);
	return status;
}

const struct bench bench_skynet = {
	.name = "skynet",
	.about = "a tree of tasks, fan-out 10, a group for each inner node; a node",
	.loops = BENCH_LOOPS_ALL,
	.also = BENCH_LOOPS_ONE,
	.tasks = 1000000,
	.task = skynet_task,
};
