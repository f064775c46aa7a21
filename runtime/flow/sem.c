/* SPDX-License-Identifier: MIT */
/*
 * The semaphore: a count in a word, and a queue of waiters under a bit of it.
 *
 *	word = count << 32 | WORD_LOCK | WORD_WAITERS
 *
 * Alone, wait and post are one CAS each, possible while neither bit is set. Who finds WAITERS goes
 * to the end of the queue, also when the count would do: so who waits for many is not overtaken.
 * The grant gives to the front of the queue as long as the count reaches for it. It is made by each
 * post, and by a waiter that leaves: when it was the front, those behind it may need less.
 *
 * (S1) With LOCK free and WAITERS set, the count does not reach for the front of the queue, unless
 * that has been cancelled and is on its way out. (S2) A post's last touch of the semaphore is the
 * CAS or store that lets go; the wakes come after it.
 *
 *	count 1. A waits for 3, B behind it for 1.
 *	A is cancelled, by its loop: claimed		C posts 1: LOCK, count 2, cannot claim A:
 *	A runs: WAITERS is clear: it has left already	takes it out, grants 1 to B
 * or	A runs before that: LOCK, takes itself out, grants 1 to B
 */
#include "flow/sync.h"

struct sem {
	struct a64 word;	 /* A: count << 32 | WORD_* */
	struct wait_queue queue; /* L(WORD_LOCK) */
	uint64_t unused[2];
};

_Static_assert(sizeof(struct sem) == sizeof(struct rota_sem), "fits the public struct");

#define COUNT_SHIFT 32

static const struct wait_kind sem_kind = { .name = "semaphore", .abort = rota__shared_wait_abort };

static struct sem *sem_of(struct rota_sem *sem)
{
	return (struct sem *)(void *)sem;
}

static uint64_t count_of(uint64_t word)
{
	return word >> COUNT_SHIFT;
}

static ROTA__COLD ROTA__NORETURN void die(const struct sem *sem)
{
	rota__sync_die(
		"semaphore", sem, "was posted above 2^32 - 1", who_calls(rota__loop_self()), 0);
}

void rota_sem_init(struct rota_sem *public, uint32_t count)
{
	struct sem *sem = sem_of(public);

	sem->queue.first = NULL;
	a64_store_relaxed(&sem->word, (uint64_t)count << COUNT_SHIFT);
}

/*
 * Takes n if they are there and nobody waits; waits for LOCK at most. Pairs with:
 * rota_sem_post_many(), grant().
 */
static ROTA__ALWAYS_INLINE bool take(struct sem *sem, uint32_t n)
{
	uint64_t word = a64_load_relaxed(&sem->word);

	while (!(word & WORD_WAITERS) && count_of(word) >= n) {
		if (unlikely(word & WORD_LOCK)) {
			cpu_relax();
			word = a64_load_relaxed(&sem->word);
		} else if (a64_cas_acquire(
				   &sem->word, &word, word - ((uint64_t)n << COUNT_SHIFT))) {
			return true;
		}
	}
	return false;
}

/*
 * Gives to the front of the queue as long as the count reaches, and lets go of LOCK. `won`: who
 * has got his, for the caller to wake.
 */
static void grant(struct loop *loop, struct sem *sem, uint64_t count, struct list *won)
{
	struct waiter *first;

	while ((first = queue_first(&sem->queue)) && first->count <= count) {
		queue_remove(&sem->queue, first);
		if (!waiter_claim(loop, first))
			continue;
		list_add_tail(won, &first->list);
		count -= first->count;
	}
	if (unlikely(count > UINT32_MAX))
		die(sem);
	/* Pairs with: take(), and who takes LOCK. */
	a64_store_release(&sem->word, count << COUNT_SHIFT | word_waiters(&sem->queue));
}

/* The wait was cancelled: out of the line, and those behind it may go now. */
static void leave_queue(struct loop *loop, struct sem *sem, struct waiter *waiter)
{
	struct list won;
	uint64_t word;

	if (!word_lock_to_leave(&sem->word, &word))
		return;
	list_init(&won);
	queue_remove(&sem->queue, waiter);
	grant(loop, sem, count_of(word), &won);
	wake_all(loop, &won);
}

static ROTA__NOINLINE int wait_slow(struct loop *caller, struct sem *sem, uint32_t n)
{
	struct loop *loop = loop_to_wait(caller);
	struct shared_wait wait;
	struct waiter waiter;
	uint64_t word;
	int err = may_wait(caller);

	if (err)
		return err;
	shared_wait_init(loop, &wait, &waiter, &sem_kind);
	waiter.count = n;
	word = word_lock(&sem->word);
	if (!(word & WORD_WAITERS) && count_of(word) >= n) {
		/* Pairs with: who takes LOCK. They came in between. */
		a64_store_release(&sem->word, word - ((uint64_t)n << COUNT_SHIFT));
		return 0;
	}
	queue_add(&sem->queue, &waiter);
	a64_store_release(&sem->word, word | WORD_WAITERS); /* Pairs with: who takes LOCK. */
	if (rota__shared_wait_block(loop, &wait) == WAIT_BY_EVENT)
		return 0;
	leave_queue(loop, sem, &waiter);
	return -ECANCELED;
}

int rota_sem_wait_many(struct rota_sem *public, uint32_t n)
{
	struct sem *sem = sem_of(public);
	struct loop *loop = rota__loop_self();

	if (is_cancelled(loop))
		return -ECANCELED;
	if (n == 0 || take(sem, n))
		return 0;
	return wait_slow(loop, sem, n);
}

int rota_sem_wait(struct rota_sem *sem)
{
	return rota_sem_wait_many(sem, 1);
}

int rota_sem_trywait(struct rota_sem *sem)
{
	return take(sem_of(sem), 1) ? 0 : -EAGAIN;
}

/* Somebody waits, or is about to. */
static ROTA__NOINLINE void post_slow(struct sem *sem, uint32_t n)
{
	struct loop *loop = rota__loop_self();
	struct list won;

	list_init(&won);
	grant(loop, sem, count_of(word_lock(&sem->word)) + n, &won);
	wake_all(loop, &won);
}

void rota_sem_post_many(struct rota_sem *public, uint32_t n)
{
	struct sem *sem = sem_of(public);
	uint64_t word = a64_load_relaxed(&sem->word);

	if (n == 0)
		return;
	while (!(word & (WORD_WAITERS | WORD_LOCK))) {
		if (unlikely(count_of(word) + n > UINT32_MAX))
			die(sem);
		/* Pairs with: take(), and who takes LOCK. */
		if (likely(a64_cas_release(&sem->word, &word, word + ((uint64_t)n << COUNT_SHIFT))))
			return;
	}
	post_slow(sem, n);
}

void rota_sem_post(struct rota_sem *sem)
{
	rota_sem_post_many(sem, 1);
}
