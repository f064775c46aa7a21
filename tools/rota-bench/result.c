/* SPDX-License-Identifier: MIT */
/*
 * The series of a bench: values are added a repetition, sorted once all are there.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_int64(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a;
	int64_t right = *(const int64_t *)b;

	return (left > right) - (left < right);
}

static int compare_double(const void *a, const void *b)
{
	double left = *(const double *)a;
	double right = *(const double *)b;

	return (left > right) - (left < right);
}

void bench_sort(int64_t *values, size_t count)
{
	qsort(values, count, sizeof(*values), compare_int64);
}

double bench_series_median(const struct bench_series *series)
{
	return (series->values[(series->count - 1) / 2] + series->values[series->count / 2]) / 2;
}

bool bench_series_is_of(const struct bench_series *series, const char *who)
{
	return series->who == who || (series->who && who && strcmp(series->who, who) == 0);
}

const struct bench_series *bench_result_find(
	const struct bench_result *result, const char *who, const char *key)
{
	for (unsigned int i = 0; i < result->series_count; i++) {
		const struct bench_series *series = &result->series[i];

		if (bench_series_is_of(series, who) && strcmp(series->key, key) == 0)
			return series;
	}
	return NULL;
}

void bench_add(struct bench_run *run, const char *who, const char *key, double value)
{
	struct bench_result *result = run->result;
	struct bench_series *series;
	char full[sizeof(series->key)];

	snprintf(full, sizeof(full), "%s%s", run->prefix, key);
	series = (struct bench_series *)bench_result_find(result, who, full);
	if (!series) {
		if (result->series_count == BENCH_SERIES_MAX)
			abort();
		series = &result->series[result->series_count++];
		memcpy(series->key, full, sizeof(full));
		series->who = who;
	}
	if (series->count == BENCH_REPEAT_MAX)
		abort();
	series->values[series->count++] = value;
}

void bench_result_finish(struct bench_result *result)
{
	for (unsigned int i = 0; i < result->series_count; i++) {
		struct bench_series *series = &result->series[i];

		qsort(series->values, series->count, sizeof(series->values[0]), compare_double);
	}
}
