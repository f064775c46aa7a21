/* SPDX-License-Identifier: MIT */
/* One run of the runtime: start it, run a main task, look at its counters, stop it. */
#ifndef DEMO_ENGINE_H
#define DEMO_ENGINE_H

#include <rota/base.h>

/* What a run leaves behind. */
struct engine_report {
	unsigned int loops;
	char backend[96];
	int64_t start_ns; /* from the call until the main task ran */
	uint64_t stolen;
};

/*
 * Runs fn(arg) as the main task on loops loops (0: one per CPU). Complains if it cannot.
 * Returns fn's status or why there was no run.
 */
int engine_run(unsigned int loops, rota_task_fn *fn, void *arg, struct engine_report *ret_report);

/* CPUs that this process may use. */
unsigned int engine_cpus(void);

#endif
