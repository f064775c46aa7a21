/* SPDX-License-Identifier: MIT */
/*
 * Blocking calls on plain threads, so that the loop goes on turning. The pool has as many threads
 * as are needed at once, at most rota_config.offload_threads (0: 64); calls above that wait their
 * turn. The threads are called "rota-offload/N" and block all signals but faults.
 */
#ifndef ROTA_OFFLOAD_H
#define ROTA_OFFLOAD_H

#include <rota/base.h>

ROTA_BEGIN_DECLS

/*
 * Runs fn(arg) on a pool thread and waits for its end: fn's status. Can be cancelled before fn
 * started only (-ECANCELED: then fn does not run); later it returns when fn does, so what arg
 * points to may lie on the caller's stack. -ENXIO outside a task, -EINVAL, -EAGAIN no thread
 * could be made. fn is no task: locks, channels and futures work there, I/O calls do not.
 */
ROTA_API int rota_offload(rota_task_fn *fn, void *arg);

/*
 * The same, but it returns at a cancel even while fn runs. It takes arg over at the call: on
 * -ECANCELED, also when that is fn's own status, it is the library's, which calls discard(arg)
 * once, at fn's end on the pool thread, or at once if fn has not started and never will. On any
 * other return arg is the caller's again. discard may be NULL. -ENOMEM besides the errors above.
 * At the end of the runtime a call that still runs after shutdown_ns is named and left behind.
 */
ROTA_API int rota_offload_abandonable(rota_task_fn *fn, void *arg, void (*discard)(void *arg));

ROTA_END_DECLS

#endif
