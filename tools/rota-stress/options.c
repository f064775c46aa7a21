/* SPDX-License-Identifier: MIT */
/* The command line of rota-stress: what it says, and what it means for one scenario. */
#include "options.h"

#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>

#define LOOPS_MAX      256
#define SECONDS_MAX    1000000.0
#define SECONDS_NORMAL 2

enum {
	OPTION_SECONDS = 256,
	OPTION_LOOPS,
	OPTION_SEED,
	OPTION_TASKS,
	OPTION_ROUNDS,
	OPTION_JSON,
	OPTION_LIST,
	OPTION_HELP,
};

static const struct option longopts[] = {
	{ "seconds", required_argument, NULL, OPTION_SECONDS },
	{ "loops", required_argument, NULL, OPTION_LOOPS },
	{ "seed", required_argument, NULL, OPTION_SEED },
	{ "tasks", required_argument, NULL, OPTION_TASKS },
	{ "rounds", required_argument, NULL, OPTION_ROUNDS },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "list", no_argument, NULL, OPTION_LIST },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ NULL, 0, NULL, 0 },
};

static const char usage[] =
	"Usage: rota-stress [SCENARIO...] [OPTION...]\n"
	"Tries to break the laws of the runtime; exits with 1 when it could.\n"
	"\n"
	"  --seconds S  each scenario, at most (default: 2)\n"
	"  --tasks N    of a scenario that counts tasks\n"
	"  --rounds N   of a scenario that counts rounds\n"
	"  --loops N    default: one per CPU, at least 2; 4 under simulation\n"
	"  --seed N     default: random; the one in ROTA_SIM under simulation\n"
	"  --json       the result as one JSON object\n"
	"  --list       the scenarios\n"
	"\n"
	"With --seconds only, the time decides; with --tasks or --rounds only, the count.\n"
	"ROTA_SIM=SEED runs it under simulation.\n";

static int parse_number(const char *name, const char *text, uint64_t max, uint64_t *ret_number)
{
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 0);
	if (errno || end == text || *end || *text == '-' || number > max) {
		fprintf(stderr, "rota-stress: --%s %s: a number up to %" PRIu64 " was expected\n",
			name, text, max);
		return 2;
	}
	*ret_number = number;
	return 0;
}

static int parse_seconds(const char *text, int64_t *ret_ns)
{
	double seconds;
	char *end;

	seconds = strtod(text, &end);
	if (end == text || *end || !(seconds > 0.0) || seconds > SECONDS_MAX) {
		fprintf(stderr, "rota-stress: --seconds %s: a number above 0 was expected\n", text);
		return 2;
	}
	*ret_ns = (int64_t)(seconds * (double)ROTA_SECOND);
	return 0;
}

static int parse_positive(const char *name, const char *text, uint64_t max, uint64_t *ret_number)
{
	int err = parse_number(name, text, max, ret_number);

	if (!err && !*ret_number) {
		fprintf(stderr, "rota-stress: --%s 0: a number above 0 was expected\n", name);
		return 2;
	}
	return err;
}

static const struct scenario *find_scenario(const char *name)
{
	for (size_t i = 0; stress_scenarios[i]; i++) {
		if (strcmp(stress_scenarios[i]->name, name) == 0)
			return stress_scenarios[i];
	}
	fprintf(stderr, "rota-stress: no scenario %s; --list names them\n", name);
	return NULL;
}

static int parse_scenarios(int count, char **names, struct command *command)
{
	size_t n = 0;

	for (int i = 0; i < count; i++) {
		if (n + 1 >= sizeof(command->scenarios) / sizeof(command->scenarios[0])) {
			fprintf(stderr, "rota-stress: too many scenarios\n");
			return 2;
		}
		command->scenarios[n] = find_scenario(names[i]);
		if (!command->scenarios[n++])
			return 2;
	}
	for (size_t i = 0; count == 0 && stress_scenarios[i]; i++) {
		if (!(stress_scenarios[i]->flags & STRESS_NEGATIVE))
			command->scenarios[n++] = stress_scenarios[i];
	}
	return 0;
}

/* Simulation is the environment's choice, as for every program. */
static void parse_environment(struct options *options)
{
	const char *seed = getenv("ROTA_SIM");
	const char *backend = getenv("ROTA_BACKEND");

	options->sim = seed || (backend && strcmp(backend, "sim") == 0);
	if (options->sim)
		options->seed = seed ? strtoull(seed, NULL, 0) : 1;
	else
		rota_random(&options->seed, sizeof(options->seed));
	/* Short enough to type. */
	options->seed &= 0xffffffff;
}

static int parse_option(int option, struct command *command)
{
	struct options *options = &command->options;
	uint64_t number;
	int err = 0;

	switch (option) {
	case OPTION_SECONDS:
		return parse_seconds(optarg, &options->limit_ns);
	case OPTION_LOOPS:
		err = parse_positive("loops", optarg, LOOPS_MAX, &number);
		if (!err)
			options->loops = (uint32_t)number;
		return err;
	case OPTION_SEED:
		return parse_number("seed", optarg, UINT64_MAX, &options->seed);
	case OPTION_TASKS:
		return parse_positive("tasks", optarg, UINT32_MAX, &options->tasks);
	case OPTION_ROUNDS:
		return parse_positive("rounds", optarg, UINT64_MAX, &options->rounds);
	case OPTION_JSON:
		options->json = true;
		return 0;
	case OPTION_LIST:
		command->list = true;
		return 0;
	case OPTION_HELP:
		fputs(usage, stdout);
		exit(0);
	default:
		fputs(usage, stderr);
		return 2;
	}
}

int options_parse(int argc, char **argv, struct command *ret_command)
{
	int option;

	*ret_command = (struct command){ 0 };
	parse_environment(&ret_command->options);
	while ((option = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		if (parse_option(option, ret_command) != 0)
			return 2;
	}
	return parse_scenarios(argc - optind, argv + optind, ret_command);
}

void options_list(void)
{
	for (size_t i = 0; stress_scenarios[i]; i++)
		printf("%-13s %s%s\n", stress_scenarios[i]->name,
			stress_scenarios[i]->flags & STRESS_NEGATIVE
				? "(negative control, not in the default set) "
				: "",
			stress_scenarios[i]->text);
}

/* Two at least, or there is nobody to race with. */
static uint32_t default_loops(bool sim)
{
	cpu_set_t cpus;

	if (getenv("ROTA_LOOPS"))
		return 0;
	if (sim)
		return 4;
	if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0 && CPU_COUNT(&cpus) > 1)
		return 0;
	return 2;
}

static void write_replay(struct run *run, const char *program)
{
	static const char *const variables[] = { "ROTA_SIM", "ROTA_BACKEND", "ROTA_LOOPS",
		"ROTA_DISABLE" };
	const struct options *options = run->options;
	FILE *out = fmemopen(run->replay, sizeof(run->replay), "w");

	if (!out)
		return;
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		if (getenv(variables[i]))
			fprintf(out, "%s=%s ", variables[i], getenv(variables[i]));
	}
	fprintf(out, "%s %s --seed %" PRIu64, program, run->scenario->name, options->seed);
	if (options->loops)
		fprintf(out, " --loops %" PRIu32, options->loops);
	if (options->tasks)
		fprintf(out, " --tasks %" PRIu64, options->tasks);
	if (options->rounds)
		fprintf(out, " --rounds %" PRIu64, options->rounds);
	if (options->limit_ns)
		fprintf(out, " --seconds %g", (double)options->limit_ns / (double)ROTA_SECOND);
	fclose(out);
}

void options_apply(const struct options *options, const struct scenario *scenario,
	const char *program, struct run *ret_run)
{
	uint64_t count = scenario->flags & STRESS_ROUNDS ? options->rounds : options->tasks;
	bool counted = options->tasks || options->rounds;
	uint64_t name_hash = 0;

	for (const char *c = scenario->name; *c; c++)
		name_hash = prng_mix(name_hash + (unsigned char)*c);
	*ret_run = (struct run){
		.scenario = scenario,
		.options = options,
		.seed = prng_mix(options->seed + name_hash),
		.quota = count ? count : scenario->quota,
		.limit_ns = options->limit_ns,
		.loops = options->loops ? options->loops : default_loops(options->sim),
		.sim = options->sim,
	};
	/* The virtual clock may stand: under simulation a count always ends it. */
	if (options->limit_ns && !counted && !options->sim)
		ret_run->quota = UINT64_MAX;
	if (!options->limit_ns)
		ret_run->limit_ns = count ? INT64_MAX : SECONDS_NORMAL * ROTA_SECOND;
	write_replay(ret_run, program);
}
