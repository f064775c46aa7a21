/* SPDX-License-Identifier: MIT */
/*
 * Bounded channels between tasks of all loops and plain threads, and select over them and other
 * things that can be waited for. Items are copied by value. Senders and receivers are served in
 * order.
 */
#ifndef ROTA_CHANNEL_H
#define ROTA_CHANNEL_H

#include <rota/base.h>

ROTA_BEGIN_DECLS

struct rota_task;
struct rota_future;
struct rota_event;

/* The caller's memory; finish it when nobody uses it any more. */
struct rota_chan {
	uint64_t opaque[12];
};

/*
 * A channel of items of item_bytes (at most 64 KiB; 0 for bare signals) with room for `capacity` of
 * them; 0 is a rendezvous: a send waits for its receiver. 0, -ENOMEM, -EINVAL.
 */
ROTA_API int rota_chan_init(
	struct rota_chan *chan, size_t item_bytes, size_t capacity) ROTA_MUST_CHECK;

/*
 * Frees it: 0, or -EBUSY while somebody waits in it. Items inside are lost: take them first if they
 * own something. All zero afterwards: a rendezvous of empty items.
 */
ROTA_API int rota_chan_finish(struct rota_chan *chan) ROTA_MUST_CHECK;

/*
 * Copies an item in, waits while the channel is full: 0, -EPIPE when it is closed, before or while
 * it waits, -ECANCELED. The item was taken if and only if it returns 0.
 */
ROTA_API int rota_chan_send(struct rota_chan *chan, const void *item) ROTA_MUST_CHECK;

/* Copies an item out, waits for one: 1, or 0 when closed and empty, or -ECANCELED. */
ROTA_API int rota_chan_recv(struct rota_chan *chan, void *ret_item) ROTA_MUST_CHECK;

/* The same without waiting: -EAGAIN instead. No cancellation points. */
ROTA_API int rota_chan_trysend(struct rota_chan *chan, const void *item) ROTA_MUST_CHECK;
ROTA_API int rota_chan_tryrecv(struct rota_chan *chan, void *ret_item) ROTA_MUST_CHECK;

/* No more sends; receivers get what is left, then 0. Twice is fine. */
ROTA_API void rota_chan_close(struct rota_chan *chan);

/* Items inside. A snapshot. */
ROTA_API size_t rota_chan_count(const struct rota_chan *chan);

enum rota_case_kind {
	ROTA_CASE_NONE = 0, /* never ready: a case that is switched off */
	ROTA_CASE_SEND = 1,
	ROTA_CASE_RECV = 2,
	ROTA_CASE_TASK = 3,
	ROTA_CASE_FUTURE = 4,
	ROTA_CASE_EVENT = 5,
	ROTA_CASE_TIME = 6,
	ROTA_CASE_FD = 7, /* not in this version: -ENOTSUP */
};

/* One thing to wait for. All zero is NONE. Made by the functions below. */
struct rota_case {
	uint32_t kind; /* enum rota_case_kind */
	/*
	 * Output of the case that was done. SEND: 0, or -EPIPE. RECV: 1, or 0 at the end. TASK and
	 * FUTURE: its status. EVENT, TIME: 0.
	 */
	int status;
	void *object;
	void *value; /* SEND: the item; RECV: where it goes */
	int64_t when_ns;
	int fd;
	uint32_t events;
};

/*
 * Waits until one case can be done and does exactly that one: its index. When several can, one of
 * them at random. A closed channel can be sent to and received from: see status.
 * -ECANCELED (no case was done); -EINVAL a case without its object, of an unknown kind or without
 * the handle of a task, more than 65535 cases, or nothing to wait for at all.
 * Context: task (a cancellation point) or plain thread.
 */
ROTA_API int rota_select(struct rota_case *cases, size_t count) ROTA_MUST_CHECK;

/* The same without waiting, or -EAGAIN. No cancellation point. */
ROTA_API int rota_select_try(struct rota_case *cases, size_t count) ROTA_MUST_CHECK;

/* Sends a copy of *item, which must stay until the select returns. */
ROTA_API struct rota_case rota_case_send(struct rota_chan *chan, const void *item);
/* Receives into *ret_item. */
ROTA_API struct rota_case rota_case_recv(struct rota_chan *chan, void *ret_item);
/* The task has ended. A handle that a spawn gave out. */
ROTA_API struct rota_case rota_case_task(struct rota_task *task);
/* The future is set. */
ROTA_API struct rota_case rota_case_future(struct rota_future *future);
/* The event is set. */
ROTA_API struct rota_case rota_case_event(struct rota_event *event);
/* rota_now() >= when_ns. ROTA_FOREVER: never. */
ROTA_API struct rota_case rota_case_time(int64_t when_ns);
/* fd is ready for one of the poll(2) events. */
ROTA_API struct rota_case rota_case_fd(int fd, uint32_t events);

ROTA_END_DECLS

#endif
