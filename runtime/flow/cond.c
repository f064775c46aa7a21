/* SPDX-License-Identifier: MIT */
/*
 * The condition: a queue of waiters under a spin lock.
 *
 * A waiter is linked before it unlocks the mutex: whoever changes what is waited for does so with
 * the mutex, after that, and its signal finds the waiter, whether it has blocked yet or not. A
 * signal claims one waiter and wakes it; one that has lost its claim to a cancel is passed over, so
 * no signal is lost on it. A waiter that was cancelled takes itself out, then locks the mutex, in
 * which it cannot be cancelled, and says -ECANCELED.
 *
 *	A waits: linked, unlocks		B: locks, changes, unlocks, signals: claims A
 *	A: cancelled at that moment		its claim fails: B's signal is A's, A returns 0
 *	A: cancelled before			B's claim fails: the one behind A is woken
 *
 * The signal's last touch of the condition is the unlock of the spin lock; the wakes come after it.
 */
#include "base/spin.h"
#include "flow/sync.h"

struct cond {
	struct spin lock;
	struct wait_queue queue; /* L(lock) */
	uint64_t unused;
};

_Static_assert(sizeof(struct cond) == sizeof(struct rota_cond), "fits the public struct");

static const struct wait_kind cond_kind = { .name = "cond", .abort = rota__shared_wait_abort };

static struct cond *cond_of(struct rota_cond *cond)
{
	return (struct cond *)(void *)cond;
}

int rota_cond_wait(struct rota_cond *public, struct rota_mutex *mutex)
{
	struct cond *cond = cond_of(public);
	struct loop *caller = rota__loop_self();
	struct loop *loop = loop_to_wait(caller);
	struct shared_wait wait;
	struct waiter waiter;
	bool signalled;
	int err = may_wait(caller);

	if (!rota__mutex_is_mine(mutex, who_calls(caller)))
		rota__sync_die("mutex", mutex, "of a condition, is not held by who waits",
			who_calls(caller), 0);
	if (is_cancelled(caller))
		return -ECANCELED;
	if (err)
		return err;
	shared_wait_init(loop, &wait, &waiter, &cond_kind);
	spin_lock(&cond->lock);
	queue_add(&cond->queue, &waiter);
	spin_unlock(&cond->lock);
	rota_mutex_unlock(mutex);
	signalled = rota__shared_wait_block(loop, &wait) == WAIT_BY_EVENT;
	if (!signalled) {
		spin_lock(&cond->lock);
		queue_remove(&cond->queue, &waiter);
		spin_unlock(&cond->lock);
	}
	rota_mutex_lock(mutex);
	return signalled ? 0 : -ECANCELED;
}

void rota_cond_signal(struct rota_cond *public)
{
	struct cond *cond = cond_of(public);
	struct loop *loop = rota__loop_self();
	struct waiter *first;

	spin_lock(&cond->lock);
	first = queue_claim_first(loop, &cond->queue);
	spin_unlock(&cond->lock);
	if (first)
		rota__shared_wait_wake(loop, first->wait);
}

void rota_cond_broadcast(struct rota_cond *public)
{
	struct cond *cond = cond_of(public);
	struct loop *loop = rota__loop_self();
	struct list won;

	list_init(&won);
	spin_lock(&cond->lock);
	queue_claim_all(loop, &cond->queue, &won, 0);
	spin_unlock(&cond->lock);
	wake_all(loop, &won);
}
