/* SPDX-License-Identifier: MIT */
/*
 * A running segment of a task: from where it starts or comes back to where it suspends. Checks
 * from inside the tasks what L1 and L2 say: one runner a loop, one loop a task, tied tasks stay on
 * their thread. All tasks of a scenario that uses them must leave before they may suspend.
 */
#ifndef ROTA_STRESS_SEGMENT_H
#define ROTA_STRESS_SEGMENT_H

#include "stress.h"

struct segment {
	struct run *run;
	uint64_t task;
	int loop;
	long thread;
	const void *errno_cell;
	_Atomic(uint32_t) running;
};

/* All loops run nothing: between two runtimes. */
void segment_reset(void);

/* At the start and at the end of a task's function. */
void segment_start(struct segment *segment, struct run *run);
void segment_end(struct segment *segment);

/* Directly before and after a call that may suspend. */
void segment_leave(struct segment *segment);
void segment_back(struct segment *segment);

/* The calls of their names with the two around. */
int segment_sleep(struct segment *segment, int64_t ns);
int segment_yield(struct segment *segment);
int segment_await(struct segment *segment, struct rota_task *task, int *ret_status);
int segment_spawn(struct segment *segment, struct rota_group *group, rota_task_fn *fn, void *arg,
	struct rota_task **ret_task, const struct rota_spawn_options *options);
int segment_wait(struct segment *segment, struct rota_group *group);
int segment_close(struct segment *segment, struct rota_group *group, int status);

/* What identifies the thread; read anew at each call. */
long segment_thread(void);

#endif
