/* SPDX-License-Identifier: MIT */
/*
 * Stands in for runtime/core/loop.h where a protocol header needs to know only whose task a wait
 * is of. The guard's name is the real one's, so that only one of the two can be included.
 */
#ifndef ROTA_CORE_LOOP_H
#define ROTA_CORE_LOOP_H

#include "core/wait.h"

struct rota_task {
	void *fiber;
	struct loop *loop;
};

struct loop {
	struct rota_task *running;
};

static inline struct loop *task_loop(const struct rota_task *task)
{
	return task->loop;
}

static inline bool task_is_cancelled(const struct rota_task *task)
{
	(void)task;
	return false;
}

#endif
