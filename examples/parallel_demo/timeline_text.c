/* SPDX-License-Identifier: MIT */
/*
 * The timeline as rows of letters: a row for each loop, a letter for the task that ran most in
 * that column's time, a dot where none ran, and a thin row for what a task waited.
 */
#include "timeline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_COLUMNS 14
#define BUSY_COLUMNS  7
/* More rows than this are no longer a picture. */
#define LANES_MAX     32

/* ANSI background colours that black letters are legible on. */
static const int colours[] = { 43, 46, 42, 45, 47, 103, 106, 102 };

#define COLOUR_COUNT (sizeof(colours) / sizeof(colours[0]))

static char letter_of(const struct timeline_span *span)
{
	return (char)('A' + (int)(span->task % 26));
}

static size_t plot_columns(const struct timeline_style *style)
{
	return style->columns - LABEL_COLUMNS - BUSY_COLUMNS;
}

/* How many columns the picture itself takes; the rest of the row lies behind its end. */
static size_t used_columns(const struct timeline *timeline, const struct timeline_style *style)
{
	size_t columns = plot_columns(style);
	size_t used;

	if (timeline->length_ns >= style->length_ns)
		return columns;
	used = (size_t)((double)timeline->length_ns / (double)style->length_ns * (double)columns +
			0.5);
	return used > 0 ? used : 1;
}

static void print_cells(const struct timeline_span **cells, size_t count, bool colour, FILE *stream)
{
	int current = 0;

	for (size_t i = 0; i < count; i++) {
		int wanted = cells[i] && colour ? colours[cells[i]->task % COLOUR_COUNT] : 0;

		if (wanted != current) {
			if (wanted)
				fprintf(stream, "\033[30;%dm", wanted);
			else
				fputs("\033[0m", stream);
			current = wanted;
		}
		fputc(cells[i] ? letter_of(cells[i]) : '.', stream);
	}
	if (current)
		fputs("\033[0m", stream);
}

static void print_label(const char *what, unsigned int number, FILE *stream)
{
	char label[32];

	snprintf(label, sizeof(label), "%s %u", what, number);
	fprintf(stream, "    %-*s", LABEL_COLUMNS - 4, label);
}

/* A wait as a line from its start to its end. */
static void print_wait(
	const struct timeline_span *span, const struct timeline_style *style, FILE *stream)
{
	size_t columns = plot_columns(style);
	double per_ns = (double)columns / (double)style->length_ns;
	size_t from = (size_t)((double)span->start_ns * per_ns);
	size_t to = (size_t)((double)span->end_ns * per_ns + 0.5);

	fprintf(stream, "    %c waits   ", letter_of(span));
	for (size_t i = 0; i < columns && i < to; i++)
		fputc(i < from ? ' ' : '-', stream);
	fputc('\n', stream);
}

/* Marks at round times, their figures behind them. */
static void print_axis(const struct timeline_style *style, FILE *stream)
{
	size_t columns = plot_columns(style);
	bool milliseconds = style->length_ns < 1000000000;
	double length = (double)style->length_ns / (milliseconds ? 1e6 : 1e9);
	double step = timeline_step(length, 6);
	char row[256];

	memset(row, ' ', sizeof(row));
	for (int i = 0; i * step < length; i++) {
		size_t at = (size_t)(i * step / length * (double)columns);
		char figure[32];
		int len = snprintf(
			figure, sizeof(figure), "|%.3g %s", i * step, milliseconds ? "ms" : "s");

		if (at + (size_t)len <= columns)
			memcpy(row + at, figure, (size_t)len);
	}
	fprintf(stream, "%*s%.*s\n", LABEL_COLUMNS, "", (int)columns, row);
}

int timeline_print(
	const struct timeline *timeline, const struct timeline_style *style, FILE *stream)
{
	size_t columns = used_columns(timeline, style);
	const struct timeline_span **cells = malloc(columns * sizeof(const struct timeline_span *));
	double *cost = malloc(columns * sizeof(*cost));
	unsigned int lanes = timeline->lane_count;

	if (!cells || !cost) {
		free(cells);
		free(cost);
		return -ENOMEM;
	}
	if (lanes > LANES_MAX)
		lanes = LANES_MAX;
	fprintf(stream, "  %s: %s\n", timeline->name, timeline->heading);
	for (unsigned int lane = 0; lane < lanes; lane++) {
		size_t i, end = timeline_lane(timeline, lane, &i);

		timeline_cells(timeline, lane, 0, timeline->length_ns, cells, cost, columns);
		print_label(timeline->lane_name, lane, stream);
		print_cells(cells, columns, style->colour, stream);
		fprintf(stream, " %3.0f %%\n", 100 * timeline_busy(timeline, lane));
		for (; i < end; i++) {
			if (timeline->spans[i].waiting)
				print_wait(&timeline->spans[i], style, stream);
		}
	}
	if (timeline->lane_count > lanes)
		fprintf(stream, "    and %u more loops\n", timeline->lane_count - lanes);
	print_axis(style, stream);
	free(cells);
	free(cost);
	return 0;
}
