/* SPDX-License-Identifier: MIT */
/*
 * The command line of a script program. Explores 0, 1, 2 ... preemptions up to the bound, so that
 * the first violation found is one with the fewest.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine.h"

/* Below "all", this many bounds are tried first, for a short schedule. */
#define SHORT_BOUNDS 3

struct options {
	const char *program;
	const char *script;
	const char *replay;
	bool bounded; /* preemptions was given */
	int preemptions;
	const char *expect; /* part of the violation's text */
};

static void usage(const char *program, const struct model_script *const *scripts)
{
	fprintf(stderr,
		"usage: %s [--memory tso|weak] [--preemptions N|all] [--mutant NAME]\n"
		"       [--expect VIOLATION] [--replay LIST] SCRIPT\n",
		program);
	for (; *scripts; scripts++)
		fprintf(stderr, "  %-12s %s\n", (*scripts)->name, (*scripts)->what);
	exit(2);
}

static bool parse_preemptions(struct options *options, const char *value)
{
	char *end;
	long n;

	options->bounded = true;
	options->preemptions = MODEL_ALL;
	if (strcmp(value, "all") == 0)
		return true;
	errno = 0;
	n = strtol(value, &end, 10);
	options->preemptions = (int)n;
	return errno == 0 && end != value && *end == '\0' && n >= 0 && n < NO_BOUND;
}

static bool parse_memory(const char *value)
{
	engine.memory = strcmp(value, "weak") == 0 ? MEMORY_WEAK : MEMORY_TSO;
	return strcmp(value, "weak") == 0 || strcmp(value, "tso") == 0;
}

static bool parse(struct options *options, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i];
		bool ok = true;

		if (arg[0] != '-') {
			options->script = arg;
			continue;
		}
		if (++i == argc)
			return false;
		if (strcmp(arg, "--memory") == 0)
			ok = parse_memory(argv[i]);
		else if (strcmp(arg, "--preemptions") == 0)
			ok = parse_preemptions(options, argv[i]);
		else if (strcmp(arg, "--mutant") == 0)
			engine.mutant = argv[i];
		else if (strcmp(arg, "--replay") == 0)
			options->replay = argv[i];
		else if (strcmp(arg, "--expect") == 0)
			options->expect = argv[i];
		else
			ok = false;
		if (!ok)
			return false;
	}
	return options->script != NULL;
}

/* The choices of a list like 0,2,1 into engine.path. */
static bool parse_path(const char *list)
{
	while (*list) {
		char *end;
		unsigned long taken = strtoul(list, &end, 10);

		if (end == list || (*end != ',' && *end != '\0') || taken > UINT8_MAX ||
			engine.length == CHOICES_MAX)
			return false;
		engine.path[engine.length++].taken = (uint8_t)taken;
		list = *end ? end + 1 : end;
	}
	return true;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool explore(const struct options *options, uint64_t *executions)
{
	int bound = options->bounded ? options->preemptions : engine.script->preemptions;
	int limit = bound == MODEL_ALL ? SHORT_BOUNDS - 1 : bound;

	for (int i = 0; i <= limit; i++)
		if (!explorer_run((unsigned int)i, executions))
			return false;
	return bound != MODEL_ALL || explorer_run(NO_BOUND, executions);
}

static int run(const struct options *options)
{
	int bound = options->bounded ? options->preemptions : engine.script->preemptions;
	uint64_t executions = 0;
	char limit[24] = "all";
	bool holds;

	if (options->replay) {
		if (!parse_path(options->replay)) {
			fprintf(stderr,
				"model: --replay takes the list that a violation printed\n");
			return 2;
		}
		report_schedule(options->program, true);
		return engine.outcome == OUTCOME_FAILED;
	}
	holds = explore(options, &executions);
	if (!holds)
		report_schedule(options->program, false);
	if (bound != MODEL_ALL)
		snprintf(limit, sizeof(limit), "up to %d", bound);
	printf("%s: %s: %s, preemptions: %s, %llu executions, %llu states, %.1f s\n",
		engine.script->name, holds ? "holds" : "violated",
		engine.memory == MEMORY_TSO ? "tso" : "weak", limit, (unsigned long long)executions,
		(unsigned long long)explorer_states(), seconds());
	explorer_finish();
	if (!options->expect)
		return !holds;
	if (!holds && strstr(engine.failure, options->expect))
		return 0;
	printf("expected a violation: %s\n", options->expect);
	return 1;
}

int model_main(int argc, char **argv, const struct model_script *const *scripts)
{
	struct options options = { .program = argv[0] };

	if (!parse(&options, argc, argv))
		usage(argv[0], scripts);
	for (unsigned int i = 0; scripts[i]; i++) {
		if (strcmp(scripts[i]->name, options.script) != 0)
			continue;
		engine.script = scripts[i];
		while (engine.threads < MODEL_THREADS_MAX && scripts[i]->thread[engine.threads].run)
			engine.threads++;
		return run(&options);
	}
	usage(argv[0], scripts);
	return 2;
}
