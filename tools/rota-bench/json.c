/* SPDX-License-Identifier: MIT */
/*
 * What a bench came to, for programs: one flat object, medians; the least and the greatest values
 * in "spread", the peers in "peers". All strings in it are our own and need no escapes.
 */
#include "bench.h"

#include <math.h>
#include <stdio.h>

/* JSON has no word for what is not finite. */
static void print_number(double number)
{
	if (isfinite(number))
		printf("%.10g", number);
	else
		fputs("null", stdout);
}

static void print_spread(const struct bench_result *result, const char *who)
{
	const char *comma = "";

	fputs(",\"spread\":{", stdout);
	for (unsigned int i = 0; i < result->series_count; i++) {
		const struct bench_series *series = &result->series[i];

		if (!bench_series_is_of(series, who))
			continue;
		printf("%s\"%s\":[", comma, series->key);
		print_number(series->values[0]);
		putchar(',');
		print_number(series->values[series->count - 1]);
		putchar(']');
		comma = ",";
	}
	putchar('}');
}

static void print_peer(const struct bench_result *result, const char *who)
{
	const struct bench_series *rota = bench_result_find(result, NULL, "ns_per_op");
	const struct bench_series *main_series = bench_result_find(result, who, "ns_per_op");
	const char *comma = "";

	printf("\"%s\":{", who);
	for (unsigned int i = 0; i < result->series_count; i++) {
		const struct bench_series *series = &result->series[i];

		if (!bench_series_is_of(series, who))
			continue;
		printf("%s\"%s\":", comma, series->key);
		print_number(bench_series_median(series));
		comma = ",";
	}
	if (rota && main_series) {
		fputs(",\"ratio\":", stdout);
		print_number(bench_series_median(main_series) / bench_series_median(rota));
	}
	print_spread(result, who);
	putchar('}');
}

static void print_peers(const struct bench_result *result)
{
	const char *comma = "";

	fputs(",\"peers\":{", stdout);
	for (unsigned int i = 0; i < result->series_count; i++) {
		const char *who = result->series[i].who;
		unsigned int first = 0;

		while (!bench_series_is_of(&result->series[first], who))
			first++;
		if (!who || first != i)
			continue;
		fputs(comma, stdout);
		print_peer(result, who);
		comma = ",";
	}
	putchar('}');
}

void bench_print_json(const struct bench *bench, const struct bench_result *result)
{
	printf("{\"bench\":\"%s\",\"loops\":%u,\"tasks\":%llu,\"repeat\":%u", bench->name,
		result->loops, (unsigned long long)result->tasks, result->repeat);
	printf(",\"backend\":\"%s\"", result->backend);
	if (result->also_loops > 1)
		printf(",\"%s\":%u", result->also, result->also_loops);
	for (unsigned int i = 0; i < result->series_count; i++) {
		const struct bench_series *series = &result->series[i];

		if (series->who)
			continue;
		printf(",\"%s\":", series->key);
		print_number(bench_series_median(series));
	}
	print_spread(result, NULL);
	print_peers(result);
	putchar('}');
	fflush(stdout);
}
