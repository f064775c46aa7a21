/* SPDX-License-Identifier: MIT */
/*
 * Task-local pointers: one value a task and key, inherited at the spawn. The library never looks
 * at what they point to; whoever sets one sees to it that it outlives the tasks that inherit it.
 */
#ifndef ROTA_LOCAL_H
#define ROTA_LOCAL_H

#include <rota/base.h>

ROTA_BEGIN_DECLS

/* A key: a static variable, all zero. At most 64 keys in a process. */
struct rota_local {
	uint64_t opaque[2];
};

/* The value of the calling task; NULL if it is not set, and outside a task. */
ROTA_API void *rota_local_get(struct rota_local *key);

/*
 * Sets it for this task, and for what it spawns into groups from now on; tasks that exist already
 * keep what they have, background tasks inherit nothing.
 * 0, -ENOMEM, -ENXIO outside a task, -ENOSPC there are 64 keys already.
 */
ROTA_API int rota_local_set(struct rota_local *key, void *value);

ROTA_END_DECLS

#endif
