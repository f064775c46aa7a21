/* SPDX-License-Identifier: MIT */
/*
 * rota_close(): a plain close(2) would leave a read armed in some ring, which later gets the data
 * of another file under the same number (B13). So every op on the descriptor is ended first, on
 * whatever loop it is; the kernel cancels only on the ring that an op was submitted to.
 *
 * Each loop counts its ops per descriptor, a plain count that others read. The closer marks the
 * descriptor (new ops get -EBADF), asks each loop with a count, one after the other, and waits for
 * its answer. An op that starts on another loop in that very moment, unordered with the close, is
 * the caller's race, as it is with close(2).
 */
#include <errno.h>

#include <rota/fd.h>

#include "io/op.h"
#include "os/seam.h"

struct close_request {
	struct message message;
	struct shared_wait waiter;
	struct list list; /* in loop->close_requests */
	int fd;
};

static const struct wait_kind request_kind = { .name = "close" };

void rota__close_check(struct loop *loop, int fd)
{
	if (a32_load_relaxed(&loop->fd_ops[fd]))
		return;
	rota__list_for_each_safe(node, next, &loop->close_requests) {
		struct close_request *request = container_of(node, struct close_request, list);

		if (request->fd != fd)
			continue;
		list_remove(node);
		rota__shared_wait_wake(loop, &request->waiter);
	}
}

/* On the loop whose ops are to end. */
static void request_arrived(struct loop *loop, struct message *message)
{
	struct close_request *request = container_of(message, struct close_request, message);
	int fd = request->fd;

	list_add_tail(&loop->close_requests, &request->list);
	rota__ops_cancel_fd(loop, fd);
	/* The request may be answered, and gone, from here on. */
	rota__close_check(loop, fd);
}

/* Ends the ops of one loop on fd. from: the caller's loop, NULL on a plain thread. */
static void end_ops(struct loop *from, struct loop *loop, int fd)
{
	struct close_request request = {
		.message = { .arrived = request_arrived },
		.waiter = { .wait = { .kind = &request_kind } },
		.fd = fd,
	};

	if (from)
		request.waiter.wait.task = from->running;
	rota__loop_send(from, loop, &request.message.link, INBOX_MESSAGE);
	if (from) {
		rota__task_suspend(from, &request.waiter.wait);
		return;
	}
	/* Pairs with: rota__shared_wait_wake(). */
	while (!a32_load_acquire(&request.waiter.woken))
		rota__futex_wait(&request.waiter.woken, 0);
}

static void end_all_ops(struct loop *from, struct rota_runtime *rt, int fd)
{
	bool marked = false;

	for (uint32_t i = 0; i < rt->loop_count; i++) {
		if (likely(!a32_load_relaxed(&rt->loop[i]->fd_ops[fd])))
			continue;
		marked = true;
		a32_store_relaxed(&rt->fd_closing[fd], 1);
		end_ops(from, rt->loop[i], fd);
	}
	/* Before the close: after it the number may be somebody else's. */
	if (marked)
		a32_store_relaxed(&rt->fd_closing[fd], 0);
}

static int close_on_thread(int fd)
{
	struct rota_runtime *rt = rota__visit(NULL);

	if (rt && rota__gate_enter(rt)) {
		if ((uint32_t)fd < rt->fd_max)
			end_all_ops(NULL, rt, fd);
		rota__gate_leave(rt);
	}
	if (rt)
		rota__visit_end(NULL);
	return rota__close_now(fd);
}

int rota_close(int fd)
{
	struct loop *loop = rota__loop_self();
	struct rota__op op = { .code = ROTA__OP_CLOSE, .fd = fd };

	if (fd < 0)
		return -EBADF;
	if (!loop || !loop->running)
		return rota__forked() ? -EPERM : close_on_thread(fd);
	if ((uint32_t)fd < loop->rt->fd_max)
		end_all_ops(loop, loop->rt, fd);
	return rota__op_run_to_end(loop, &op);
}
