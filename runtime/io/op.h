/* SPDX-License-Identifier: MIT */
/*
 * Running one kernel operation for the calling task. The op lies in the task's frame; the call
 * returns at its final completion only (law L3): a cancel asks the kernel to end it, and waits.
 */
#ifndef ROTA_IO_OP_H
#define ROTA_IO_OP_H

#include "core/runtime.h"

struct op_wait {
	struct wait wait;
	struct list queue; /* in loop->op_waiters, for room in the port */
	struct rota__op op;
	bool watched; /* counted in loop->fd_ops */
};

/* Runs `op` (code and arguments filled in): its result. A cancellation point. */
int rota__op_run(struct loop *loop, const struct rota__op *op);
/* The same, but it cannot be cancelled, and its descriptor is not watched: for close. */
int rota__op_run_to_end(struct loop *loop, const struct rota__op *op);

/* The loop of the calling task, or NULL and in *ret_err why not. */
struct loop *rota__op_loop(int *ret_err);

/* Cancels every op on fd of this loop (io/op.c); whoever waits for it is in close_requests. */
void rota__ops_cancel_fd(struct loop *loop, int fd);
/* An op on fd has ended on this loop: answers close requests (io/close.c). */
void rota__close_check(struct loop *loop, int fd);

#endif
