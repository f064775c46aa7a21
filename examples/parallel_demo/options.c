/* SPDX-License-Identifier: MIT */
/* The command line. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <rota/runtime.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

#define EXIT_USAGE 2

enum {
	OPTION_LOOPS = 256,
	OPTION_JSON,
	OPTION_CHECK,
	OPTION_TIMELINE,
	OPTION_ONLY,
	OPTION_MODES,
	OPTION_TASK_SECONDS,
	OPTION_IN_FLIGHT,
	OPTION_NO_WARM_UP,
	OPTION_COLD,
	OPTION_VERSION,
};

static const struct option long_options[] = {
	{ "loops", required_argument, NULL, OPTION_LOOPS },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "check", required_argument, NULL, OPTION_CHECK },
	{ "timeline", required_argument, NULL, OPTION_TIMELINE },
	{ "only", required_argument, NULL, OPTION_ONLY },
	{ "modes", required_argument, NULL, OPTION_MODES },
	{ "task-seconds", required_argument, NULL, OPTION_TASK_SECONDS },
	{ "in-flight", required_argument, NULL, OPTION_IN_FLIGHT },
	{ "cold", no_argument, NULL, OPTION_COLD },
	{ "no-warm-up", no_argument, NULL, OPTION_NO_WARM_UP },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ NULL, 0, NULL, 0 },
};

static const char *const default_paths[] = { "/usr/share/doc", "/usr/include" };

static const char help[] =
	"Usage: parallel_demo [OPTION]... [PATH]...\n"
	"\n"
	"Shows what sync, concurrent and parallel mean, and measures it.\n"
	"Part one: three tasks of one second each, one after another, waiting all at\n"
	"once on one loop, computing at once on all loops. Part two: SHA-256 of every\n"
	"regular file below the PATHs, in the same three ways. Links are not followed.\n"
	"Without a PATH: /usr/share/doc and /usr/include.\n"
	"\n"
	"  --loops N         loops of the parallel runs, 1 to 256 (default: one per CPU)\n"
	"  --json            one JSON object on standard output instead of the text\n"
	"  --check FILE      write a line per file that 'sha256sum -c' accepts; FILE '-':\n"
	"                    standard output, and the text goes to standard error\n"
	"  --timeline FILE   draw the loops over time into FILE, an SVG picture\n"
	"  --only PART       'tasks' (part one) or 'tree' (part two)\n"
	"  --modes LIST      some of sync,concurrent,parallel (default: all three)\n"
	"  --task-seconds S  length of each task of part one, 0.01 to 60 (default: 1)\n"
	"  --in-flight N     files being read at a time on each loop, 1 to 4096\n"
	"                    (default: 64)\n"
	"  --cold            drop the files from the page cache before each pass of part two\n"
	"  --no-warm-up      do not read the tree once before the clock starts\n"
	"  -h, --help        this text\n"
	"  --version         version of the library\n"
	"\n"
	"Exit status: 0 all is well; 1 a file could not be read, the runs do not agree, or\n"
	"something could not be written (the rest is done all the same); 2 wrong usage.\n";

static int usage(void)
{
	fputs("Try 'parallel_demo --help'.\n", stderr);
	return EXIT_USAGE;
}

/* A whole number from min to max, or -EINVAL. */
static int parse_number(const char *text, long min, long max, unsigned int *ret_value)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || end == text || *end || value < min || value > max)
		return -EINVAL;
	*ret_value = (unsigned int)value;
	return 0;
}

static int parse_seconds(const char *text, int64_t *ret_ns)
{
	char *end;
	double value;

	errno = 0;
	value = strtod(text, &end);
	/* Written so that a NaN fails it. */
	if (errno || end == text || *end || !(value >= 0.01 && value <= 60))
		return -EINVAL;
	*ret_ns = (int64_t)(value * 1e9);
	return 0;
}

static int parse_modes(const char *text, unsigned int *ret_modes)
{
	static const char *const names[] = { "sync", "concurrent", "parallel" };
	unsigned int modes = 0;

	for (;;) {
		size_t len = strcspn(text, ",");
		size_t i = 0;

		while (i < 3 && (strlen(names[i]) != len || memcmp(names[i], text, len) != 0))
			i++;
		if (i == 3)
			return -EINVAL;
		modes |= 1u << i;
		if (!text[len])
			break;
		text += len + 1;
	}
	*ret_modes = modes;
	return 0;
}

static int parse_only(const char *text, struct options *options)
{
	if (strcmp(text, "tasks") == 0)
		options->tree = false;
	else if (strcmp(text, "tree") == 0)
		options->tasks = false;
	else
		return -EINVAL;
	return options->tasks || options->tree ? 0 : -EINVAL;
}

/* Stores one option's value. Returns 0, or -EINVAL if the value is wrong. */
static int store(struct options *options, int option, const char *value)
{
	switch (option) {
	case OPTION_LOOPS:
		return parse_number(value, 1, 256, &options->loops);
	case OPTION_IN_FLIGHT:
		return parse_number(value, 1, 4096, &options->in_flight);
	case OPTION_TASK_SECONDS:
		return parse_seconds(value, &options->task_ns);
	case OPTION_MODES:
		return parse_modes(value, &options->modes);
	case OPTION_ONLY:
		return parse_only(value, options);
	case OPTION_CHECK:
		options->check = value;
		return *value ? 0 : -EINVAL;
	case OPTION_TIMELINE:
		options->timeline = value;
		return *value ? 0 : -EINVAL;
	case OPTION_JSON:
		options->json = true;
		return 0;
	case OPTION_COLD:
		options->cold = true;
		return 0;
	default:
		options->warm_up = false;
		return 0;
	}
}

/* What the options say only together. Returns OPTIONS_GO_ON or the exit status. */
static int finish_parse(struct options *options, int argc, char **argv)
{
	static const char *existing[2];

	if (options->json && options->check && strcmp(options->check, "-") == 0) {
		text_complain("--json and --check - both want standard output");
		return usage();
	}
	if (!options->tree && (options->check || optind < argc)) {
		text_complain("%s belongs to the tree, which --only tasks leaves out",
			options->check ? "--check" : "a PATH");
		return usage();
	}
	if (options->cold && !options->warm_up) {
		text_complain("--cold needs the list of files that --no-warm-up leaves out");
		return usage();
	}
	if (optind < argc) {
		options->paths = (const char *const *)(argv + optind);
		options->path_count = (size_t)(argc - optind);
		for (size_t i = 0; i < options->path_count; i++) {
			if (!*options->paths[i]) {
				text_complain("a PATH is empty");
				return usage();
			}
		}
		return OPTIONS_GO_ON;
	}
	for (size_t i = 0; i < 2; i++) {
		if (access(default_paths[i], F_OK) == 0)
			existing[options->path_count++] = default_paths[i];
	}
	options->paths = existing;
	return OPTIONS_GO_ON;
}

int options_parse(struct options *ret_options, int argc, char **argv)
{
	struct options options = {
		.modes = MODE_ALL,
		.in_flight = 64,
		.task_ns = 1000000000,
		.tasks = true,
		.tree = true,
		.warm_up = true,
	};
	int option, index = 0, status;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":h", long_options, &index)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			return 0;
		}
		if (option == OPTION_VERSION) {
			int version = rota_version();

			printf("parallel_demo (rota %d.%d.%d)\n", version / 10000,
				version / 100 % 100, version % 100);
			return 0;
		}
		if (option == ':') {
			text_complain("option '%s' needs a value", text_path(argv[optind - 1]));
			return usage();
		}
		if (option == '?') {
			/* A letter may stand among others in one word; a long option never does. */
			if (optopt > 0 && optopt < 256)
				text_complain("no such option: '-%c'", optopt);
			else
				text_complain("no such option, or it takes no value: '%s'",
					text_path(argv[optind - 1]));
			return usage();
		}
		if (store(&options, option, optarg) < 0) {
			text_complain(
				"--%s cannot be '%s'", long_options[index].name, text_path(optarg));
			return usage();
		}
	}
	status = finish_parse(&options, argc, argv);
	if (status == OPTIONS_GO_ON)
		*ret_options = options;
	return status;
}
