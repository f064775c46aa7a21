/* SPDX-License-Identifier: MIT */
/*
 * rota: asyncio's picture on all cores. One io_uring event loop per core, pinned, with
 * work-stealing between them, and on each loop exactly one task that runs at a time.
 *
 * This header includes all the others. Five rules hold everywhere:
 *
 * - A result is an int: bytes, a descriptor, 1/0, or a negative errno. errno is never set.
 * - A call that returns void and suspends cannot be cancelled; one that returns int can, unless
 *   its comment says otherwise. A cancelled call returns -ECANCELED.
 * - A call that need not wait does not let other tasks run: a loop of such calls has a
 *   rota_yield() in it.
 * - Options are structs, all zero by default; unknown or reserved members that are not zero are
 *   refused with -EINVAL, known ones that this version does not implement yet with -ENOTSUP.
 * - Tasks run in parallel: a task that has not started may start on another loop while the task
 *   that spawned it runs. What two tasks share needs a lock, or a group with ROTA_SPAWN_LOCAL.
 *   Once started, a task never changes its thread.
 */
#ifndef ROTA_H
#define ROTA_H

#include <rota/base.h>
#include <rota/task.h>
#include <rota/runtime.h>
#include <rota/scope.h>
#include <rota/group.h>
#include <rota/sync.h>
#include <rota/channel.h>
#include <rota/local.h>
#include <rota/offload.h>
#include <rota/fd.h>
#include <rota/file.h>
#include <rota/observe.h>

#endif
