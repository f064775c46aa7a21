/* SPDX-License-Identifier: MIT */
/* Operations: submit, wait, cancel, the limit in flight. */
#include <errno.h>

#include "io/op.h"

static bool is_watched(const struct loop *loop, const struct rota__op *op)
{
	return op->fd >= 0 && (uint32_t)op->fd < loop->rt->fd_max && op->code != ROTA__OP_CLOSE;
}

static void fd_count(struct loop *loop, int fd, uint32_t n)
{
	struct a32 *cell = &loop->fd_ops[fd];

	a32_store_relaxed(cell, a32_load_relaxed(cell) + n);
}

/* There is room for one more: the first that waits for it tries again. */
static void room_made(struct loop *loop)
{
	struct op_wait *first;

	if (likely(list_empty(&loop->op_waiters)))
		return;
	first = container_of(loop->op_waiters.next, struct op_wait, queue);
	list_remove(&first->queue);
	rota__loop_ready(loop, first->wait.task);
}

static void op_completed(void *owner, struct rota__op *op)
{
	struct op_wait *w = container_of(op, struct op_wait, op);
	struct loop *loop = owner;

	if (loop_trace(loop))
		rota__trace_write(loop_trace(loop), TRACE_COMPLETE, (uint64_t)(int64_t)op->result);
	rota__loop_ready(loop, w->wait.task);
	room_made(loop);
}

static void op_abort(struct loop *loop, struct wait *wait)
{
	struct op_wait *w = container_of(wait, struct op_wait, wait);

	loop->rt->backend->cancel(loop->port, &w->op);
}

static const struct wait_kind op_kind = { .name = "io", .abort = op_abort };
static const struct wait_kind close_kind = { .name = "close" };

static void queue_abort(struct loop *loop, struct wait *wait)
{
	struct op_wait *w = container_of(wait, struct op_wait, wait);

	list_remove(&w->queue);
	wait->result = -ECANCELED;
	rota__loop_ready(loop, wait->task);
}

static const struct wait_kind queue_kind = { .name = "room for io", .abort = queue_abort };
static const struct wait_kind queue_close_kind = { .name = "room for io" };

/* Whether the op must not start any more. */
static bool is_over(const struct loop *loop, const struct op_wait *w)
{
	return task_is_cancelled(w->wait.task) ||
	       (w->watched && a32_load_relaxed(&loop->rt->fd_closing[w->op.fd]));
}

/* Waits until the port takes one more: 0 or -ECANCELED. */
static int wait_for_room(struct loop *loop, struct op_wait *w, bool cancelable)
{
	while (unlikely(loop->port->in_flight >= loop->port->in_flight_max)) {
		w->wait.kind = cancelable ? &queue_kind : &queue_close_kind;
		w->wait.result = 0;
		list_add_tail(&loop->op_waiters, &w->queue);
		rota__task_suspend(loop, &w->wait);
		if (w->wait.result)
			return w->wait.result;
		/* A cancel or a close may have come after there was room, and before our turn. */
		if (cancelable && is_over(loop, w)) {
			room_made(loop);
			return -ECANCELED;
		}
	}
	return 0;
}

static int op_run(struct loop *loop, struct op_wait *w, bool cancelable)
{
	int err = wait_for_room(loop, w, cancelable);

	if (err)
		return err;
	w->wait.kind = cancelable ? &op_kind : &close_kind;
	w->op.complete = op_completed;
	if (loop_trace(loop))
		rota__trace_write(loop_trace(loop), TRACE_SUBMIT, w->op.code);
	loop->rt->backend->submit(loop->port, &w->op);
	rota__task_suspend(loop, &w->wait);
	/* A cancel interrupts what sleeps in a kernel worker. */
	if (w->op.cancelling && w->op.result == -EINTR)
		return -ECANCELED;
	return w->op.result;
}

int rota__op_run(struct loop *loop, const struct rota__op *op)
{
	struct op_wait w = { .wait = { .task = loop->running }, .op = *op };
	int result;

	if (unlikely(task_is_cancelled(loop->running)))
		return -ECANCELED;
	w.watched = is_watched(loop, op);
	if (!w.watched)
		return op_run(loop, &w, true);
	if (unlikely(a32_load_relaxed(&loop->rt->fd_closing[op->fd])))
		return -EBADF;
	fd_count(loop, op->fd, 1);
	result = op_run(loop, &w, true);
	fd_count(loop, op->fd, (uint32_t)-1);
	if (unlikely(!list_empty(&loop->close_requests)))
		rota__close_check(loop, op->fd);
	return result;
}

int rota__op_run_to_end(struct loop *loop, const struct rota__op *op)
{
	struct op_wait w = { .wait = { .task = loop->running }, .op = *op };

	return op_run(loop, &w, false);
}

struct loop *rota__op_loop(int *ret_err)
{
	struct loop *loop = rota__loop_self();

	if (unlikely(!loop || !loop->running)) {
		*ret_err = rota__no_loop();
		return NULL;
	}
	return loop;
}

void rota__ops_cancel_fd(struct loop *loop, int fd)
{
	rota__list_for_each_safe(node, next, &loop->op_waiters) {
		struct op_wait *w = container_of(node, struct op_wait, queue);

		if (w->watched && w->op.fd == fd)
			queue_abort(loop, &w->wait);
	}
	/* Asking for a cancel may complete any of them: from the beginning after each. */
again:
	rota__list_for_each_safe(node, next, &loop->port->ops) {
		struct rota__op *op = container_of(node, struct rota__op, link);

		if (op->fd != fd || op->code == ROTA__OP_CLOSE || op->cancelling)
			continue;
		loop->rt->backend->cancel(loop->port, op);
		goto again;
	}
}
