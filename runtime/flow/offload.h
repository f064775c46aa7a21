/* SPDX-License-Identifier: MIT */
/*
 * The pool of threads behind rota_offload(); what it is for stands in <rota/offload.h>.
 *
 * Under simulation there are no threads. The call is played on the thread of the loops, between two
 * steps of the calling task, where the seed lets others run. What that does not show: two calls at
 * once, and a call beside the tasks; the limit on threads and the wait for one; a cancel while the
 * call runs (one in the step behind it counts as such). fn is part of the task there: if it blocks
 * on a lock, a channel or a future of the library, the task is suspended, a cancel reaches those of
 * fn's calls that return an int, and rota_task_self() is not NULL. If it blocks on anything else,
 * the simulation stands still; time that passes in fn does not pass on the virtual clock.
 */
#ifndef ROTA_FLOW_OFFLOAD_H
#define ROTA_FLOW_OFFLOAD_H

struct rota_runtime;

/*
 * Ends the pool, if there is one: after the last task, on the thread that stops the runtime. Waits
 * for abandoned calls until rt->stop_until_ns; those that still run then are named and left behind.
 */
void rota__offload_stop(struct rota_runtime *rt);

#endif
