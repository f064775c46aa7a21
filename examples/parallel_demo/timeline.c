/* SPDX-License-Identifier: MIT */
/* Spans and what can be asked about them; the drawing stands in two files of its own. */
#include "timeline.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

int timeline_add(struct timeline *timeline, const struct timeline_span *span)
{
	if (timeline->count == timeline->size) {
		size_t size = timeline->size ? 2 * timeline->size : 64;
		struct timeline_span *spans = realloc(timeline->spans, size * sizeof(*spans));

		if (!spans)
			return -ENOMEM;
		timeline->spans = spans;
		timeline->size = size;
	}
	timeline->spans[timeline->count++] = *span;
	return 0;
}

static int compare_spans(const void *left, const void *right)
{
	const struct timeline_span *a = left;
	const struct timeline_span *b = right;

	if (a->lane != b->lane)
		return a->lane < b->lane ? -1 : 1;
	return (a->start_ns > b->start_ns) - (a->start_ns < b->start_ns);
}

void timeline_seal(struct timeline *timeline)
{
	if (timeline->count > 0)
		qsort(timeline->spans, timeline->count, sizeof(*timeline->spans), compare_spans);
	if (timeline->length_ns > 0)
		return;
	for (size_t i = 0; i < timeline->count; i++) {
		if (timeline->spans[i].end_ns > timeline->length_ns)
			timeline->length_ns = timeline->spans[i].end_ns;
	}
}

void timeline_finish(struct timeline *timeline)
{
	free(timeline->spans);
	*timeline = (struct timeline){ 0 };
}

/* The first span of a lane, or of one behind it. */
static size_t lane_start(const struct timeline *timeline, unsigned int lane)
{
	size_t low = 0, high = timeline->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (timeline->spans[middle].lane < lane)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t timeline_lane(const struct timeline *timeline, unsigned int lane, size_t *ret_first)
{
	*ret_first = lane_start(timeline, lane);
	return lane_start(timeline, lane + 1);
}

double timeline_busy(const struct timeline *timeline, unsigned int lane)
{
	size_t i, end = timeline_lane(timeline, lane, &i);
	int64_t busy_ns = 0;

	for (; i < end; i++) {
		const struct timeline_span *span = &timeline->spans[i];

		if (!span->waiting)
			busy_ns += span->end_ns - span->start_ns;
	}
	return timeline->length_ns > 0 ? (double)busy_ns / (double)timeline->length_ns : 0;
}

/* Enters one span into the cells from .. to that it touches; positions are in cells. */
static void fill_cells(const struct timeline_span *span, double from, double to,
	const struct timeline_span **cells, double *cost, size_t count)
{
	size_t first = from <= 0 ? 0 : (size_t)from;

	for (size_t cell = first; cell < count && (double)cell <= to; cell++) {
		double left = from > (double)cell ? from : (double)cell;
		double right = to < (double)cell + 1 ? to : (double)cell + 1;

		/* A span of no length at all still shows where nothing else does. */
		if (!cells[cell] || right - left > cost[cell]) {
			cells[cell] = span;
			cost[cell] = right - left;
		}
	}
}

void timeline_cells(const struct timeline *timeline, unsigned int lane, int64_t from_ns,
	int64_t to_ns, const struct timeline_span **cells, double *cost, size_t count)
{
	double per_ns = (double)count / (double)(to_ns - from_ns);
	size_t i, end = timeline_lane(timeline, lane, &i);

	for (size_t cell = 0; cell < count; cell++) {
		cells[cell] = NULL;
		cost[cell] = 0;
	}
	for (; i < end; i++) {
		const struct timeline_span *span = &timeline->spans[i];

		if (span->waiting || span->end_ns < from_ns || span->start_ns >= to_ns)
			continue;
		fill_cells(span, (double)(span->start_ns - from_ns) * per_ns,
			(double)(span->end_ns - from_ns) * per_ns, cells, cost, count);
	}
}

double timeline_step(double length, int marks_max)
{
	double least = length / marks_max;
	double step = pow(10, floor(log10(least)));

	if (step >= least)
		return step;
	if (2 * step >= least)
		return 2 * step;
	return 5 * step >= least ? 5 * step : 10 * step;
}
