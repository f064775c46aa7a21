/* SPDX-License-Identifier: MIT */
/*
 * What a bench came to, for people: a line a figure, the peers' ones below rota's.
 */
#include "bench.h"

#include <stdio.h>
#include <string.h>

static void print_number(double number)
{
	int digits = number >= 100000 ? 0 : number >= 100 ? 1 : number >= 1 ? 2 : 3;

	printf(" %12.*f", digits, number);
}

/* rota: the figure that a peer's is compared with; NULL: none. */
static void print_series(const struct bench_series *series, const struct bench_series *rota)
{
	double median = bench_series_median(series);

	if (series->who)
		printf("      %-34s", series->who);
	else
		printf("  %-38s", series->key);
	print_number(median);
	print_number(series->values[0]);
	print_number(series->values[series->count - 1]);
	if (rota && bench_series_median(rota) > 0)
		printf(" %10.2fx", median / bench_series_median(rota));
	putchar('\n');
}

/* Figures of a peer that rota has none to compare with. */
static void print_orphans(const struct bench_result *result)
{
	for (unsigned int i = 0; i < result->series_count; i++) {
		const struct bench_series *series = &result->series[i];

		if (!series->who || bench_result_find(result, NULL, series->key))
			continue;
		printf("  %s\n", series->key);
		print_series(series, NULL);
	}
}

static void print_figures(const struct bench_result *result)
{
	for (unsigned int i = 0; i < result->series_count; i++) {
		const struct bench_series *rota = &result->series[i];

		if (rota->who)
			continue;
		print_series(rota, NULL);
		for (unsigned int k = 0; k < result->series_count; k++) {
			const struct bench_series *peer = &result->series[k];

			if (peer->who && strcmp(peer->key, rota->key) == 0)
				print_series(peer, rota);
		}
	}
}

static bool has_peers(const struct bench_result *result)
{
	for (unsigned int i = 0; i < result->series_count; i++) {
		if (result->series[i].who)
			return true;
	}
	return false;
}

void bench_print_text(const struct bench *bench, const struct bench_result *result)
{
	printf("%s: %s\n", bench->name, bench->about);
	printf("  %u %s, --tasks %llu, %u %s, %s\n", result->loops,
		result->loops == 1 ? "loop" : "loops", (unsigned long long)result->tasks,
		result->repeat, result->repeat == 1 ? "repetition" : "repetitions",
		result->backend);
	if (result->also_loops > 1)
		printf("  %s: %u loops\n", result->also, result->also_loops);
	if (bench->target)
		printf("  target: %s\n", bench->target);
	printf("  %-38s %12s %12s %12s%s\n", "", "median", "min", "max",
		has_peers(result) ? "  peer/rota" : "");
	print_figures(result);
	print_orphans(result);
	putchar('\n');
	fflush(stdout);
}
