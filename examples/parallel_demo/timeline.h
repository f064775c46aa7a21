/* SPDX-License-Identifier: MIT */
/*
 * Who ran when on which loop, and the two ways to draw it. Knows nothing of the runtime but the
 * form of its trace.
 */
#ifndef DEMO_TIMELINE_H
#define DEMO_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A stretch of time in which a task ran on a lane (a loop or thread), or waited there. */
struct timeline_span {
	int64_t start_ns; /* from the start of the picture */
	int64_t end_ns;
	uint64_t task;
	const char *label; /* NULL: none; lives as long as its owner says */
	uint32_t lane;
	bool waiting;
};

/* One picture. All zero is none. */
struct timeline {
	const char *name;      /* "parallel"; static */
	const char *heading;   /* what is seen; static */
	const char *lane_name; /* "loop" or "thread"; static */
	unsigned int lane_count;
	struct timeline_span *spans; /* sorted by lane, then start */
	size_t count;
	size_t size;
	int64_t length_ns;
};

/* Adds a span. Returns 0 or -ENOMEM. */
int timeline_add(struct timeline *timeline, const struct timeline_span *span);

/* To be called after the last timeline_add(): sorts, and takes the length if it is 0. */
void timeline_seal(struct timeline *timeline);

void timeline_finish(struct timeline *timeline);

/* The spans of one lane: [*ret_first, the result). */
size_t timeline_lane(const struct timeline *timeline, unsigned int lane, size_t *ret_first);

/* The share of its length in which a lane ran something, 0 to 1. */
double timeline_busy(const struct timeline *timeline, unsigned int lane);

/*
 * Cuts [from_ns, to_ns) of a lane into count cells and stores in each the running span that fills
 * most of it; NULL where none ran. cost: count doubles of scratch memory.
 */
void timeline_cells(const struct timeline *timeline, unsigned int lane, int64_t from_ns,
	int64_t to_ns, const struct timeline_span **cells, double *cost, size_t count);

/* A step of 1, 2 or 5 times a power of ten that gives at most marks_max marks over length. */
double timeline_step(double length, int marks_max);

/* How to draw: length_ns is the time that the full width stands for. */
struct timeline_style {
	size_t columns;
	bool colour;
	int64_t length_ns;
};

/* Draws rows of letters. Returns 0 or -ENOMEM. */
int timeline_print(
	const struct timeline *timeline, const struct timeline_style *style, FILE *stream);

/* What one SVG shows: three pictures on one scale, and one with its middle enlarged. */
struct timeline_page {
	const struct timeline *tasks[3]; /* NULL or empty: left out */
	const struct timeline *tree;
	const char *subtitle;
};

/* Writes the picture to path. Returns 0 or a negative errno. */
int timeline_save_svg(const struct timeline_page *page, const char *path);

/*
 * Reads the Chrome JSON that rota_trace_save() wrote to path: spans of the tasks with the numbers
 * ids[], as tasks 0, 1 … called names[], and what they waited between two of them. Returns 0 or a
 * negative errno.
 */
int timeline_read_trace(struct timeline *timeline, const char *path, const uint64_t *ids,
	const char *const *names, size_t task_count);

#endif
