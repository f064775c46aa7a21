/* SPDX-License-Identifier: MIT */
/*
 * The command line of rota-bench.
 */
#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage_text[] =
	"usage: rota-bench [BENCH...] [OPTION...]\n"
	"Measures the runtime: all benches, or those named.\n"
	"\n"
	"  --loops N      run on N loops instead of each bench's own choice\n"
	"  --repeat N     repetitions, at most 99 (default 5; idle-tasks 3)\n"
	"  --tasks N      how much work: operations, rounds, leaves or tasks (see --list)\n"
	"  --compare      run the Go, OpenMP and oneTBB versions too, if they were built\n"
	"  --peers DIR    where those are (default: beside rota-bench, then in its peers/)\n"
	"  --json         one object, or an array when several benches run\n"
	"  --list         name the benches and end\n"
	"\n"
	"Figures are medians with the least and the greatest value. all_loops_, two_loops_\n"
	"and one_loop_ stand before the figures of a second number of loops.\n"
	"Status: 0, 1 failed, 2 wrong use.\n";

static const struct option long_options[] = {
	{ "loops", required_argument, NULL, 'l' },
	{ "repeat", required_argument, NULL, 'r' },
	{ "tasks", required_argument, NULL, 't' },
	{ "peers", required_argument, NULL, 'p' },
	{ "compare", no_argument, NULL, 'c' },
	{ "json", no_argument, NULL, 'j' },
	{ "list", no_argument, NULL, 'L' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* A number in 1 .. max, or 0 after saying what is wrong with it. */
static uint64_t parse_number(const char *option, const char *text, uint64_t max)
{
	char *end = NULL;
	unsigned long long number;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno == 0 && *end == '\0' && *text != '-' && number >= 1 && number <= max)
		return number;
	fprintf(stderr, "rota-bench: --%s %s: must be a number in 1 .. %llu\n", option, text,
		(unsigned long long)max);
	return 0;
}

static bool parse_option(struct bench_options *options, int letter)
{
	switch (letter) {
	case 'l':
		options->loops = (unsigned int)parse_number("loops", optarg, BENCH_LOOPS_MAX);
		return options->loops != 0;
	case 'r':
		options->repeat = (unsigned int)parse_number("repeat", optarg, BENCH_REPEAT_MAX);
		return options->repeat != 0;
	case 't':
		options->tasks = parse_number("tasks", optarg, 1000000000);
		return options->tasks != 0;
	case 'p':
		options->peers = optarg;
		return true;
	case 'c':
		options->compare = true;
		return true;
	case 'j':
		options->json = true;
		return true;
	case 'L':
		options->list = true;
		return true;
	case 'h':
		fputs(usage_text, stdout);
		exit(EXIT_SUCCESS);
	default:
		return false;
	}
}

int bench_options_parse(struct bench_options *options, int argc, char **argv)
{
	int letter;

	while ((letter = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
		if (!parse_option(options, letter)) {
			fprintf(stderr, "Try 'rota-bench --help'.\n");
			return -1;
		}
	}
	return optind;
}
