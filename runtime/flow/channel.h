/* SPDX-License-Identifier: MIT */
/*
 * What a channel is inside: a ring of items and two queues of waiters under one spin lock. What a
 * call needs is in the 96 bytes of struct rota_chan; the ring is the only memory beside it.
 *
 * Whoever comes looks under the lock once. A partner that waits gets its item straight: it is
 * claimed, copied to or from its memory (C1: that stays until it is woken), unlinked, and woken
 * after the unlock. Else the ring. Else the caller links itself under that same lock, so nobody
 * comes between its look and its wait.
 *
 *	waiting	  those in a queue whose wait nobody has claimed yet; the others in it are on their
 *		  way out (cancelled, or a select that did another case) and are passed over
 *	(CH1)	  a receiver waits only while count == 0, a sender only while count == capacity
 *	(CH2)	  a sender and a receiver that wait at once are cases of the same select
 *	(CH3)	  once closed nobody waits
 *
 * (CH1) and (CH2) hold because each change that would break them serves the waiter instead: an item
 * that comes goes to the first receiver and not into the ring; a slot that gets free is filled by
 * the first sender at once. So a later caller finds no room that an earlier one waits for: order is
 * kept. A wait that is over never begins anew: leaving breaks nothing, nobody has to be told.
 *
 * Cancel against hand-over. Both claim. The hand-over has: the result is there, and the next call
 * sees the cancel. The cancel has: the partner that finds the waiter passes it over, or the waiter
 * takes itself out first; either way nothing was copied.
 *
 *	S: send, finds R, loses the claim to a cancel: takes R out and goes on: ring, or wait
 *	R: runs, lock, queue_remove() (harmless when S was first), -ECANCELED
 *
 * The end of a call. Its last touch of the channel is the unlock, the wake comes after it. So who
 * got the last item may finish the channel.
 */
#ifndef ROTA_FLOW_CHANNEL_H
#define ROTA_FLOW_CHANNEL_H

#include <rota/channel.h>

#include "base/spin.h"
#include "flow/sync.h"

#define CHAN_ITEM_BYTES_MAX 65536u

/* L: under the lock. I: immutable after the init. */
struct chan {
	struct spin lock;
	uint32_t item_bytes;	     /* I */
	struct a64 count;	     /* L, read by anybody: items in the ring */
	uint64_t capacity;	     /* I */
	char *put;		     /* L: where the next item goes in */
	char *take;		     /* L: where the next one comes out */
	char *ring;		     /* I: NULL when it has no bytes */
	char *end;		     /* I */
	struct wait_queue senders;   /* L; value: the item */
	struct wait_queue receivers; /* L; value: where the item goes */
	uint64_t random; /* L: of the selects that lock this channel first; 0: no seed */
	bool closed;	 /* L */
};

_Static_assert(sizeof(struct chan) <= sizeof(struct rota_chan), "the caller's memory");
_Static_assert(_Alignof(struct chan) <= _Alignof(struct rota_chan), "the caller's memory");

static inline struct chan *chan_of(struct rota_chan *chan)
{
	return (struct chan *)chan;
}

/* The usual sizes without a call. No bytes: the pointers may be NULL. */
static ROTA__ALWAYS_INLINE void item_copy(void *to, const void *from, uint32_t bytes)
{
	switch (bytes) {
	case 0:
		break;
	case 4:
		__builtin_memcpy(to, from, 4);
		break;
	case 8:
		__builtin_memcpy(to, from, 8);
		break;
	case 16:
		__builtin_memcpy(to, from, 16);
		break;
	default:
		__builtin_memcpy(to, from, bytes);
	}
}

static ROTA__ALWAYS_INLINE void ring_put(struct chan *chan, const void *item)
{
	char *at = chan->put;
	uint32_t bytes = chan->item_bytes;

	chan->put = at + bytes == chan->end ? chan->ring : at + bytes;
	item_copy(at, item, bytes);
}

static ROTA__ALWAYS_INLINE void ring_take(struct chan *chan, void *ret_item)
{
	const char *at = chan->take;
	uint32_t bytes = chan->item_bytes;

	chan->take = at + bytes == chan->end ? chan->ring : chan->take + bytes;
	item_copy(ret_item, at, bytes);
}

/*
 * Sends if that needs no waiting: 0, -EPIPE, -EAGAIN. L(lock). *ret_woken: whom the caller wakes
 * after the unlock; untouched when there is nobody.
 */
static ROTA__ALWAYS_INLINE int chan_put(
	struct loop *loop, struct chan *chan, const void *item, struct waiter **ret_woken)
{
	uint64_t count = a64_load_relaxed(&chan->count);
	struct waiter *receiver;

	if (unlikely(chan->closed))
		return -EPIPE;
	if (!queue_empty(&chan->receivers)) {
		receiver = queue_claim_first(loop, &chan->receivers);
		if (receiver) {
			item_copy(receiver->value, item, chan->item_bytes);
			receiver->result = 1;
			*ret_woken = receiver;
			return 0;
		}
	}
	if (count == chan->capacity)
		return -EAGAIN;
	ring_put(chan, item);
	a64_store_relaxed(&chan->count, count + 1);
	return 0;
}

/* Receives if that needs no waiting: 1, 0 at the end, -EAGAIN. As chan_put(). */
static ROTA__ALWAYS_INLINE int chan_take(
	struct loop *loop, struct chan *chan, void *ret_item, struct waiter **ret_woken)
{
	uint64_t count = a64_load_relaxed(&chan->count);
	struct waiter *sender = NULL;

	if (count)
		ring_take(chan, ret_item);
	if (!queue_empty(&chan->senders))
		sender = queue_claim_first(loop, &chan->senders);
	if (sender) {
		if (count)
			ring_put(chan, sender->value);
		else
			item_copy(ret_item, sender->value, chan->item_bytes);
		sender->result = 0;
		*ret_woken = sender;
		return 1;
	}
	if (count) {
		a64_store_relaxed(&chan->count, count - 1);
		return 1;
	}
	return chan->closed ? 0 : -EAGAIN;
}

/*
 * For calls that may wait: 0, or what they return at once. A hook on a loop's thread has no task
 * that could (one that has ended may still be `running`); in the child of a fork() nobody is left
 * to come.
 */
static ROTA__ALWAYS_INLINE int chan_may_wait(const struct loop *loop)
{
	const struct rota_task *task;

	if (unlikely(!loop))
		return unlikely(rota__forked()) ? rota__no_loop() : 0;
	task = loop->running;
	if (unlikely(!task || !task->fiber))
		return rota__no_loop();
	return unlikely(task_is_cancelled(task)) ? -ECANCELED : 0;
}

/* Wakes one that was claimed; the lock is free again. */
static ROTA__ALWAYS_INLINE void chan_wake(struct loop *loop, struct waiter *waiter)
{
	struct shared_wait *wait = waiter->wait;
	struct rota_task *task = wait->wait.task;

	if (likely(loop && task && task_loop(task) == loop))
		rota__loop_ready(loop, task);
	else
		rota__shared_wait_wake(loop, wait);
}

#endif
