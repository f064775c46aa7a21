/* SPDX-License-Identifier: MIT */
/* Part one: three tasks of one second, in three ways. */
#ifndef DEMO_TASKS_H
#define DEMO_TASKS_H

#include "engine.h"
#include "options.h"
#include "timeline.h"

#define TASKS_COUNT 3

/* Times are 0 for what was not run. */
struct tasks_result {
	int64_t sync_ns;
	int64_t concurrent_ns;
	int64_t parallel_ns;
	int64_t job_ns;	      /* one computing task alone, without the runtime */
	int64_t ideal_ns;     /* what parallel_ns would be if nothing but the computing took time */
	unsigned int workers; /* loops that have a CPU of their own */
	struct engine_report concurrent_report;
	struct engine_report parallel_report;
	int running_max;  /* on any one loop */
	int together_max; /* over all loops, in the parallel run */
	struct timeline sync_timeline;
	struct timeline concurrent_timeline;
	struct timeline parallel_timeline;
};

/* Runs what options ask for. Returns 0 or a negative errno, having complained. */
int tasks_run(const struct options *options, struct tasks_result *ret_result);
void tasks_finish(struct tasks_result *result);

#endif
