/* SPDX-License-Identifier: MIT */
/*
 * Measures from inside the tasks who runs where: how many at a time on each loop, and for the
 * picture from when to when. A task calls meter_begin() first, meter_pause() before each call that
 * may suspend, meter_resume() after it, and meter_pause() last.
 */
#ifndef DEMO_METER_H
#define DEMO_METER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "timeline.h"

/*
 * One loop's part. The counters are atomic although they should never need it: if two tasks ever
 * ran on one loop at once, a plain counter might hide just that.
 */
struct meter_loop {
	_Alignas(64) atomic_int running;
	atomic_int running_max;
	struct timeline_span *spans; /* only the task that runs on this loop touches the rest */
	size_t count;
	size_t size;
};

struct meter {
	struct meter_loop *loops;
	unsigned int loop_count;
	int64_t start_ns;
	bool count_together;
	/* Over all loops: a line that every loop writes, hence for few and long tasks only. */
	_Alignas(64) atomic_int together;
	atomic_int together_max;
};

/* One task's part: a local variable of it. */
struct meter_task {
	struct meter *meter;
	struct meter_loop *loop;
	uint64_t id;
	const char *label;
	int64_t since_ns;
	unsigned int lane;
};

/*
 * spans_max: how many spans all loops keep together; 0: none are recorded, and the clock is not
 * read. count_together may be set afterwards. Returns 0 or -ENOMEM.
 */
int meter_init(struct meter *meter, unsigned int loop_count, size_t spans_max);
void meter_finish(struct meter *meter);

/* label lives as long as the meter's timeline. */
void meter_begin(struct meter_task *task, struct meter *meter, const char *label);
void meter_pause(struct meter_task *task);
void meter_resume(struct meter_task *task);

/* The most tasks that ever ran at once on any one loop. Should be 1. */
int meter_running_max(const struct meter *meter);

/* Moves what was recorded into timeline. Returns 0 or -ENOMEM. */
int meter_timeline(struct meter *meter, struct timeline *timeline);

#endif
