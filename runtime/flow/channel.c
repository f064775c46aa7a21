/* SPDX-License-Identifier: MIT */
/* Channels: sending, receiving, closing. The protocol is in channel.h. */
#include <string.h>

#include "flow/channel.h"
#include "os/seam.h"

static const struct wait_kind send_kind = {
	.name = "channel send",
	.abort = rota__shared_wait_abort,
};

static const struct wait_kind recv_kind = {
	.name = "channel receive",
	.abort = rota__shared_wait_abort,
};

int rota_chan_init(struct rota_chan *public, size_t item_bytes, size_t capacity)
{
	struct chan chan = { .item_bytes = (uint32_t)item_bytes, .capacity = capacity };
	size_t bytes;

	if (item_bytes > CHAN_ITEM_BYTES_MAX)
		return -EINVAL;
	if (__builtin_mul_overflow(item_bytes, capacity, &bytes) || bytes > PTRDIFF_MAX)
		return -ENOMEM;
	if (capacity) {
		chan.ring = rota__alloc(bytes);
		if (!chan.ring)
			return -ENOMEM;
		chan.end = chan.ring + bytes;
		chan.put = chan.ring;
		chan.take = chan.ring;
	}
	*chan_of(public) = chan;
	return 0;
}

int rota_chan_finish(struct rota_chan *public)
{
	struct chan *chan = chan_of(public);
	bool busy;

	spin_lock(&chan->lock);
	busy = !queue_empty(&chan->senders) || !queue_empty(&chan->receivers);
	spin_unlock(&chan->lock);
	if (busy)
		return -EBUSY;
	rota__free(chan->ring);
	memset(public, 0, sizeof(*public));
	return 0;
}

/* Waits in a queue until a partner, a close or a cancel comes. Takes the lock over and unlocks. */
static ROTA__NOINLINE int wait_in(struct loop *loop, struct chan *chan, struct wait_queue *queue,
	void *value, const struct wait_kind *kind)
{
	struct shared_wait wait;
	struct waiter waiter;

	shared_wait_init(loop, &wait, &waiter, kind);
	waiter.value = value;
	queue_add(queue, &waiter);
	spin_unlock(&chan->lock);
	if (likely(rota__shared_wait_block(loop, &wait) == WAIT_BY_EVENT))
		return waiter.result;
	spin_lock(&chan->lock);
	queue_remove(queue, &waiter);
	spin_unlock(&chan->lock);
	return -ECANCELED;
}

int rota_chan_send(struct rota_chan *public, const void *item)
{
	struct chan *chan = chan_of(public);
	struct loop *loop = rota__loop_self();
	struct waiter *woken = NULL;
	int result = chan_may_wait(loop);

	if (unlikely(result))
		return result;
	spin_lock(&chan->lock);
	result = chan_put(loop, chan, item, &woken);
	if (result == -EAGAIN)
		return wait_in(loop, chan, &chan->senders, (void *)(uintptr_t)item, &send_kind);
	spin_unlock(&chan->lock);
	if (woken)
		chan_wake(loop, woken);
	return result;
}

int rota_chan_recv(struct rota_chan *public, void *ret_item)
{
	struct chan *chan = chan_of(public);
	struct loop *loop = rota__loop_self();
	struct waiter *woken = NULL;
	int result = chan_may_wait(loop);

	if (unlikely(result))
		return result;
	spin_lock(&chan->lock);
	result = chan_take(loop, chan, ret_item, &woken);
	if (result == -EAGAIN)
		return wait_in(loop, chan, &chan->receivers, ret_item, &recv_kind);
	spin_unlock(&chan->lock);
	if (woken)
		chan_wake(loop, woken);
	return result;
}

int rota_chan_trysend(struct rota_chan *public, const void *item)
{
	struct chan *chan = chan_of(public);
	struct loop *loop = rota__loop_self();
	struct waiter *woken = NULL;
	int result;

	spin_lock(&chan->lock);
	result = chan_put(loop, chan, item, &woken);
	spin_unlock(&chan->lock);
	if (woken)
		chan_wake(loop, woken);
	return result;
}

int rota_chan_tryrecv(struct rota_chan *public, void *ret_item)
{
	struct chan *chan = chan_of(public);
	struct loop *loop = rota__loop_self();
	struct waiter *woken = NULL;
	int result;

	spin_lock(&chan->lock);
	result = chan_take(loop, chan, ret_item, &woken);
	spin_unlock(&chan->lock);
	if (woken)
		chan_wake(loop, woken);
	return result;
}

void rota_chan_close(struct rota_chan *public)
{
	struct chan *chan = chan_of(public);
	struct loop *loop = rota__loop_self();
	struct list won;

	list_init(&won);
	spin_lock(&chan->lock);
	chan->closed = true;
	/* Receivers wait: so there is nothing left in the ring. */
	queue_claim_all(loop, &chan->receivers, &won, 0);
	queue_claim_all(loop, &chan->senders, &won, -EPIPE);
	spin_unlock(&chan->lock);
	wake_all(loop, &won);
}

size_t rota_chan_count(const struct rota_chan *public)
{
	return a64_load_relaxed(&((const struct chan *)public)->count);
}
