/* SPDX-License-Identifier: MIT */
/*
 * rota-bench: what the runtime's operations cost, how far the figures spread, and what peers take
 * for the same work in the same run. Judges nothing: it fails only when something did not work.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct bench *const benches[] = {
	&bench_spawn,
	&bench_switch,
	&bench_sleep,
	&bench_wake,
	&bench_skynet,
	&bench_mutex,
	&bench_channel,
	&bench_select,
	&bench_group,
	&bench_cancel,
	&bench_idle,
};

#define BENCH_COUNT (sizeof(benches) / sizeof(benches[0]))

static int entered(void *arg)
{
	struct bench_run *run = arg;

	/* The environment may have had its say. */
	run->loops = rota_loop_count();
	snprintf(run->result->backend, sizeof(run->result->backend), "%s", rota_backend_name());
	return run->bench->task(run);
}

static int count_loops(void *arg)
{
	*(unsigned int *)arg = rota_loop_count();
	return 0;
}

static int run_rota(struct bench_run *run)
{
	struct rota_config config = { .loops = run->loops };
	int status = run->bench->before ? run->bench->before(run) : 0;

	if (status >= 0)
		status = rota_run(entered, run, &config);
	if (status >= 0 && run->bench->after)
		status = run->bench->after(run);
	if (status < 0)
		fprintf(stderr, "rota-bench: %s on %u loops: %s\n", run->bench->name, run->loops,
			rota_status_text(status));
	return status;
}

static int run_once(struct bench_run *run, const struct bench_options *options)
{
	int status = run_rota(run);

	if (status >= 0 && options->compare)
		status = bench_peers_run(run, options->peers);
	return status;
}

static unsigned int choose_loops(
	const struct bench *bench, enum bench_loops loops, unsigned int all)
{
	unsigned int count = 0;

	if (loops == BENCH_LOOPS_ONE)
		count = 1;
	else if (loops == BENCH_LOOPS_TWO)
		count = 2;
	else if (loops == BENCH_LOOPS_ALL)
		count = all;
	return count < bench->loops_min ? bench->loops_min : count;
}

static void choose_all_loops(const struct bench *bench, const struct bench_options *options,
	unsigned int all, struct bench_result *result)
{
	if (options->loops) {
		result->loops = options->loops;
		if (result->loops < bench->loops_min)
			result->loops = bench->loops_min;
		return;
	}
	result->loops = choose_loops(bench, bench->loops, all);
	if (bench->also == BENCH_LOOPS_NONE)
		return;
	result->also_loops = choose_loops(bench, bench->also, all);
	result->also = bench->also == BENCH_LOOPS_ONE	? "one_loop"
		       : bench->also == BENCH_LOOPS_TWO ? "two_loops"
							: "all_loops";
	if (result->also_loops == result->loops)
		result->also_loops = 0;
}

static unsigned int choose_repeat(const struct bench *bench, const struct bench_options *options)
{
	if (options->repeat)
		return options->repeat;
	return bench->repeat_max && bench->repeat_max < 5 ? bench->repeat_max : 5;
}

/* All repetitions; rota, its second number of loops and the peers take turns. */
static int run_bench(const struct bench *bench, const struct bench_options *options,
	unsigned int all, struct bench_result *result)
{
	char also_prefix[sizeof("all_loops_")] = "";

	memset(result, 0, sizeof(*result));
	choose_all_loops(bench, options, all, result);
	result->tasks = options->tasks ? options->tasks : bench->tasks;
	result->repeat = choose_repeat(bench, options);
	if (result->also_loops)
		snprintf(also_prefix, sizeof(also_prefix), "%s_", result->also);
	for (unsigned int i = 0; i < result->repeat; i++) {
		struct bench_run run = { .bench = bench,
			.result = result,
			.prefix = "",
			.tasks = result->tasks,
			.loops = result->loops,
			.repetition = i };
		int status = run_once(&run, options);

		result->loops = run.loops;
		if (status >= 0 && result->also_loops) {
			run.loops = result->also_loops;
			run.prefix = also_prefix;
			status = run_once(&run, options);
		}
		if (status < 0)
			return status;
	}
	bench_result_finish(result);
	return 0;
}

static const struct bench *find_bench(const char *name)
{
	for (size_t i = 0; i < BENCH_COUNT; i++) {
		if (strcmp(benches[i]->name, name) == 0)
			return benches[i];
	}
	fprintf(stderr, "rota-bench: no bench '%s': see --list\n", name);
	return NULL;
}

static int list_benches(void)
{
	for (size_t i = 0; i < BENCH_COUNT; i++)
		printf("%-12s %s (default --tasks %llu)\n", benches[i]->name, benches[i]->about,
			(unsigned long long)benches[i]->tasks);
	return EXIT_SUCCESS;
}

static int run_list(
	const struct bench *const *list, size_t count, const struct bench_options *options)
{
	static struct bench_result result;
	const char *before = count > 1 ? "[" : "";
	unsigned int all = options->loops;
	int exit_status = EXIT_SUCCESS;

	if (all == 0 && rota_run(count_loops, &all, NULL) < 0)
		return EXIT_FAILURE;
	for (size_t i = 0; i < count; i++) {
		if (run_bench(list[i], options, all, &result) < 0) {
			exit_status = EXIT_FAILURE;
			continue;
		}
		if (options->json) {
			fputs(before, stdout);
			before = ",\n";
			bench_print_json(list[i], &result);
		} else {
			bench_print_text(list[i], &result);
		}
	}
	if (options->json && count > 1)
		fputs(*before == '[' ? "[]\n" : "]\n", stdout);
	else if (options->json)
		fputs("\n", stdout);
	return exit_status;
}

int main(int argc, char **argv)
{
	struct bench_options options = { 0 };
	const struct bench **list;
	size_t count;
	int first = bench_options_parse(&options, argc, argv);
	int exit_status;

	if (first < 0)
		return 2;
	if (options.list)
		return list_benches();
	count = (size_t)(argc - first);
	list = calloc(count ? count : BENCH_COUNT, sizeof(struct bench *));
	if (!list)
		return EXIT_FAILURE;
	for (size_t i = 0; i < count; i++) {
		list[i] = find_bench(argv[first + (int)i]);
		if (!list[i]) {
			free(list);
			return 2;
		}
	}
	if (count == 0) {
		count = BENCH_COUNT;
		memcpy(list, benches, sizeof(benches));
	}
	exit_status = run_list(list, count, &options);
	free(list);
	return exit_status;
}
