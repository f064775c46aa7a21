/* SPDX-License-Identifier: MIT */
/*
 * Once: one word, and a queue of those who wait for the call that runs, under a bit of it.
 *
 *	word = 0				nobody has called it, or all have failed
 *	word = RUNNING | WORD_*			somebody runs fn; `runner` says who
 *	word = status << 32 | DONE | WORD_LOCK	done; never changes again
 *
 * 0 -> RUNNING is a CAS, and makes the caller the runner. When its fn succeeds it claims all who
 * wait and gives them the status. When it fails, the turn goes to the first waiter that can be
 * claimed: RUNNING stays, that one is the runner from then on, before it has run, and calls its own
 * fn. Without any the word is 0 again. A waiter that is cancelled after it has got the turn takes
 * it all the same; its fn sees the cancel.
 *
 *	A runs fn, B and C wait		B is cancelled, by its loop: claimed
 *	A's fn fails: LOCK, cannot claim B: out; claims C: runner = C, wakes C
 *	B runs: the queue is empty, LOCK is free: it has left already
 *
 * `runner` is written by the runner itself or by who gives it the turn, and cleared by the runner:
 * so a caller that finds itself there is called from within its own fn.
 */
#include "flow/sync.h"

struct once {
	struct a64 word;	 /* A */
	struct wait_queue queue; /* L(WORD_LOCK) */
	struct aptr runner;	 /* A: who, or 0 */
};

_Static_assert(sizeof(struct once) == sizeof(struct rota_once), "fits the public struct");

#define RUNNING	     ((uint64_t)4)
#define DONE	     ((uint64_t)8)
#define STATUS_SHIFT 32

#define TURN (-1) /* waiter.result: it is your turn; else the status */

static const struct wait_kind once_kind = { .name = "once", .abort = rota__shared_wait_abort };

static struct once *once_of(struct rota_once *once)
{
	return (struct once *)(void *)once;
}

static void runner_set(struct once *once, uintptr_t who)
{
	aptr_store_relaxed(&once->runner, (void *)who);
}

/* fn has succeeded: all who wait get the status. */
static void finish(struct loop *loop, struct once *once, int status)
{
	struct list won;

	list_init(&won);
	runner_set(once, 0);
	(void)word_lock(&once->word);
	queue_claim_all(loop, &once->queue, &won, status);
	/* Pairs with: rota_once_call(), and who takes LOCK. What fn wrote is seen with DONE. */
	a64_store_release(&once->word, (uint64_t)status << STATUS_SHIFT | DONE);
	wake_all(loop, &won);
}

/* fn has failed: the next one's turn. */
static void pass_on(struct loop *loop, struct once *once)
{
	struct waiter *next;
	uint64_t word;

	runner_set(once, 0);
	(void)word_lock(&once->word);
	next = queue_claim_first(loop, &once->queue);
	if (next) {
		next->result = TURN;
		runner_set(once, (uintptr_t)next->value);
	}
	word = next ? RUNNING | word_waiters(&once->queue) : 0;
	a64_store_release(&once->word, word); /* Pairs with: rota_once_call(), who takes LOCK. */
	if (next)
		rota__shared_wait_wake(loop, next->wait);
}

static int run(struct loop *loop, struct once *once, rota_task_fn *fn, void *arg)
{
	int status = fn(arg);

	if (status >= 0)
		finish(loop, once, status);
	else
		pass_on(loop, once);
	return status;
}

static int leave_queue(struct once *once, struct waiter *waiter)
{
	uint64_t word;

	if (!word_lock_to_leave(&once->word, &word))
		return -ECANCELED;
	queue_remove(&once->queue, waiter);
	word = (word & ~WORD_WAITERS) | word_waiters(&once->queue);
	a64_store_release(&once->word, word); /* Pairs with: who takes LOCK. */
	return -ECANCELED;
}

/*
 * Somebody runs it, or did a moment ago: waits for the end of that. The status; or TURN, and the
 * caller is the runner; or why it does not wait.
 */
static int wait_for_runner(struct loop *caller, struct once *once, uintptr_t self, bool *ret_turn)
{
	struct loop *loop = loop_to_wait(caller);
	struct shared_wait wait;
	struct waiter waiter;
	uint64_t word;
	int err = may_wait(caller);

	shared_wait_init(loop, &wait, &waiter, &once_kind);
	waiter.value = (void *)self;
	word = word_lock(&once->word);
	if (!(word & RUNNING)) {
		/* Done, or failed and nobody's turn: then it is ours. */
		*ret_turn = !(word & DONE);
		if (*ret_turn)
			runner_set(once, self);
		/* Pairs with: rota_once_call(), and who takes LOCK. */
		a64_store_release(&once->word, *ret_turn ? RUNNING : word);
		return (int)(word >> STATUS_SHIFT);
	}
	if (!err)
		queue_add(&once->queue, &waiter);
	a64_store_release(
		&once->word, word | word_waiters(&once->queue)); /* Pairs with: the same. */
	if (err)
		return err;
	if (rota__shared_wait_block(loop, &wait) != WAIT_BY_EVENT)
		return leave_queue(once, &waiter);
	*ret_turn = waiter.result == TURN;
	return waiter.result;
}

int rota_once_call(struct rota_once *public, rota_task_fn *fn, void *arg)
{
	struct once *once = once_of(public);
	struct loop *loop = rota__loop_self();
	uintptr_t self = who_calls(loop);
	uint64_t word = 0;
	bool turn = false;
	int status;

	if (!fn)
		return -EINVAL;
	if (is_cancelled(loop))
		return -ECANCELED;
	/* Pairs with: finish(). */
	word = a64_load_acquire(&once->word);
	if (likely(word & DONE))
		return (int)(word >> STATUS_SHIFT);
	word = 0;
	/* Pairs with: pass_on(). */
	if (a64_cas_acquire(&once->word, &word, RUNNING)) {
		runner_set(once, self);
		return run(loop, once, fn, arg);
	}
	if ((uintptr_t)aptr_load_relaxed(&once->runner) == self)
		return -EDEADLK;
	status = wait_for_runner(loop, once, self, &turn);
	return turn ? run(loop, once, fn, arg) : status;
}
