/* SPDX-License-Identifier: MIT */
/* rota-stress: runs the scenarios that the command line names and says how they went. */
#include "stress.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "child.h"
#include "options.h"
#include "sim/sim.h"
#include "watchdog.h"

static int64_t real_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * ROTA_SECOND + time.tv_nsec;
}

static double seconds_of(int64_t ns)
{
	return (double)ns / (double)ROTA_SECOND;
}

static void run_scenario(struct run *run)
{
	int64_t start;

	if (run->sim && (run->scenario->flags & STRESS_REAL_ONLY)) {
		run->skipped = "needs real threads, processes or descriptors";
		return;
	}
	watchdog_arm(run);
	start = real_now();
	run->scenario->run(run);
	/* Under simulation what is printed has to be the same in every run: virtual time. */
	if (!run->sim)
		run->elapsed_ns = real_now() - start;
	watchdog_disarm();
}

static void print_line(const struct run *run)
{
	uint64_t violations = atomic_load(&run->violations);
	uint64_t cancels = atomic_load(&run->cancels);

	if (run->skipped)
		printf("%-13s skipped: %s\n", run->scenario->name, run->skipped);
	else
		printf("%-13s %-6s %10" PRIu64 " tasks %8.3f s %9" PRIu64 " stolen\n",
			run->scenario->name, violations ? "BROKEN" : "ok", atomic_load(&run->tasks),
			seconds_of(run->elapsed_ns), run->stolen);
	if (cancels > 0)
		printf("%-13s %" PRIu64 " cancels, %" PRIu64 " deadlines, %" PRIu64 " of %" PRIu64
		       " waits were cut short\n",
			"", cancels, atomic_load(&run->deadlines), atomic_load(&run->cancels_won),
			atomic_load(&run->waits));
	fflush(stdout);
}

static void print_json(const struct run *run, bool first)
{
	uint64_t violations = atomic_load(&run->violations);

	printf("%s{\"name\":\"%s\",\"ok\":%s,\"tasks\":%" PRIu64
	       ",\"seconds\":%.3f,\"violations\":%" PRIu64 ",\"stolen\":%" PRIu64,
		first ? "" : ",", run->scenario->name, violations ? "false" : "true",
		atomic_load(&run->tasks), seconds_of(run->elapsed_ns), violations, run->stolen);
	if (atomic_load(&run->cancels) > 0)
		printf(",\"cancels\":%" PRIu64 ",\"deadlines\":%" PRIu64 ",\"waits\":%" PRIu64
		       ",\"cancels_won\":%" PRIu64,
			atomic_load(&run->cancels), atomic_load(&run->deadlines),
			atomic_load(&run->waits), atomic_load(&run->cancels_won));
	if (run->skipped)
		printf(",\"skipped\":\"%s\"", run->skipped);
	printf("}");
}

/* The end of the report; what a scenario found is known by then. */
static void print_end(const struct options *options, uint64_t violations)
{
	uint64_t trace_hash = rota__sim_trace_hash();

	if (options->json) {
		printf("],\"violations\":%" PRIu64, violations);
		if (options->sim)
			printf(",\"trace_hash\":\"%016" PRIx64 "\"", trace_hash);
		printf("}\n");
		return;
	}
	if (options->sim)
		printf("trace hash %016" PRIx64 "\n", trace_hash);
	printf("%" PRIu64 " violations, seed %" PRIu64 "\n", violations, options->seed);
}

static int run_all(const struct command *command, const char *program, struct run *runs)
{
	const struct options *options = &command->options;
	uint64_t violations = 0;
	unsigned int loops = 0;
	size_t n = 0;

	for (; command->scenarios[n]; n++) {
		struct run *run = &runs[n];

		options_apply(options, command->scenarios[n], program, run);
		run_scenario(run);
		violations += atomic_load(&run->violations);
		loops = run->loops_seen > loops ? run->loops_seen : loops;
		if (!options->json)
			print_line(run);
	}
	if (options->json) {
		printf("{\"seed\":%" PRIu64 ",\"loops\":%u,\"scenarios\":[", options->seed, loops);
		for (size_t i = 0; i < n; i++)
			print_json(&runs[i], i == 0);
	}
	print_end(options, violations);
	return violations ? 1 : 0;
}

int main(int argc, char **argv)
{
	static struct run runs[64];
	struct command command;

	if (argc == 3 && strcmp(argv[1], CHILD_OPTION) == 0)
		return child_main(argv[2]);
	if (options_parse(argc, argv, &command) != 0)
		return 2;
	if (command.list) {
		options_list();
		return 0;
	}
	return run_all(&command, argv[0], runs);
}
