/* SPDX-License-Identifier: MIT */
/*
 * A latch: set or not, and the waiters that wait for that, behind one word. Setting is
 * async-signal-safe. Header only; compiled as it is by tests/model.
 *
 *	word = first waiter | LOCK | SET		all zero: not set, nobody waits
 *
 * The list belongs to who has LOCK. A setter never waits for it: it adds SET to the word, and who
 * has LOCK finds it there when it lets go, and wakes in the setter's stead. So a signal handler
 * that interrupts the holder only leaves a bit behind, and goes.
 *
 * (L1) SET without LOCK: the list is empty. (L2) Letting go is the last touch of the latch; the
 * wakes come after it. Whoever sees SET without LOCK may free the latch: so a wait is over, and a
 * poll says yes, only then. (L3) A waiter is claimed and unlinked under LOCK; one that lost its
 * claim to a cancel takes LOCK itself to leave, so its frame stays until then.
 */
#ifndef ROTA_CORE_LATCH_H
#define ROTA_CORE_LATCH_H

#include "base/list.h"
#include "core/claim.h"
#include "core/wait.h"

#define LATCH_SET  ((uintptr_t)1)
#define LATCH_LOCK ((uintptr_t)2)
#define LATCH_LIST (~(uintptr_t)7)

struct latch {
	struct aptr word; /* A */
};

static inline struct list *latch_list(uintptr_t word)
{
	return (struct list *)(word & LATCH_LIST);
}

/* Whether it is set, and the setter has done with it. */
static inline bool latch_is_set(const struct latch *latch)
{
	/* Pairs with: latch_unlock(), latch_set(). What was written before the set is seen. */
	uintptr_t word = (uintptr_t)aptr_load_acquire(&latch->word);

	return (word & (LATCH_SET | LATCH_LOCK)) == LATCH_SET;
}

/* Takes LOCK: the word before. Not from a signal handler. */
static inline uintptr_t latch_lock(struct latch *latch)
{
	void *word = aptr_load_relaxed(&latch->word);

	for (;;) {
		uintptr_t value = (uintptr_t)word;

		if (value & LATCH_LOCK) {
			cpu_relax();
			word = aptr_load_relaxed(&latch->word);
			continue;
		}
		/* Pairs with: latch_unlock(). */
		if (aptr_cas_acquire(&latch->word, &word, (void *)(value | LATCH_LOCK)))
			return value;
	}
}

/* Unlinks a waiter of the list: the first one after that. Harmless when it is in none. */
static inline struct list *latch_unlink(struct list *first, struct list *node)
{
	struct list *next = node->next;

	list_remove(node);
	if (first != node)
		return first;
	return next == node ? NULL : next;
}

/* Claims all waiters of a list, and moves those that were to be had to `won`. L(LOCK). */
static inline void latch_claim_all(struct list *first, struct list *won)
{
	while (first) {
		struct waiter *waiter = container_of(first, struct waiter, list);

		first = latch_unlink(first, first);
		if (claim_take(&waiter->wait->claim, waiter->source))
			list_add_tail(won, &waiter->list);
	}
}

/*
 * Lets LOCK go with the list as it is now; word: what latch_lock() gave. If it was set meanwhile,
 * the waiters are claimed and put into `won` (an initialised list): the caller wakes them.
 */
static inline void latch_unlock(
	struct latch *latch, uintptr_t word, struct list *first, struct list *won)
{
	void *held = (void *)(word | LATCH_LOCK);
	uintptr_t next = (word & LATCH_SET) | (uintptr_t)first;

	/* Pairs with: latch_lock(), latch_is_set(). It can only have changed by a SET. */
	if (aptr_cas_acq_rel(&latch->word, &held, (void *)next))
		return;
	latch_claim_all(first, won);
	aptr_store_release(&latch->word, (void *)LATCH_SET);
}

/* Sets it. The waiters that are the caller's to wake go into `won` (an initialised list). */
static inline void latch_set(struct latch *latch, struct list *won)
{
	void *word = aptr_load_relaxed(&latch->word);
	uintptr_t value;

	for (;;) {
		uintptr_t next;

		value = (uintptr_t)word;
		if (!(value & LATCH_LOCK) && latch_list(value))
			next = value | LATCH_SET | LATCH_LOCK;
		else
			next = value | LATCH_SET;
		/* Pairs with: latch_is_set(), latch_lock(): also when it was set already. */
		if (aptr_cas_acq_rel(&latch->word, &word, (void *)next))
			break;
	}
	if ((value & LATCH_LOCK) || !latch_list(value))
		return;
	latch_claim_all(latch_list(value), won);
	/* Pairs with: latch_lock(), latch_is_set(). Others can only have added SET. */
	aptr_store_release(&latch->word, (void *)LATCH_SET);
}

/*
 * Links a waiter: false when the latch is set. `won` as for latch_unlock(); the caller itself is
 * never in it.
 */
static inline bool latch_add(struct latch *latch, struct waiter *waiter, struct list *won)
{
	uintptr_t word = latch_lock(latch);
	struct list *first = latch_list(word);
	void *held;
	void *next;

	if (word & LATCH_SET) {
		latch_unlock(latch, word, NULL, won);
		return false;
	}
	if (first) {
		list_add_tail(first, &waiter->list);
	} else {
		list_init(&waiter->list);
		first = &waiter->list;
	}
	held = (void *)(word | LATCH_LOCK);
	next = first;
	/* Pairs with: latch_lock(). */
	if (aptr_cas_acq_rel(&latch->word, &held, next))
		return true;
	/* Set while we had LOCK: the others are ours to wake, and we do not wait. */
	latch_claim_all(latch_unlink(first, &waiter->list), won);
	aptr_store_release(&latch->word, (void *)LATCH_SET); /* Pairs with: latch_is_set(). */
	return false;
}

/* Takes a waiter out that was linked: after its wait was claimed by another source. */
static inline void latch_leave(struct latch *latch, struct waiter *waiter, struct list *won)
{
	uintptr_t word = latch_lock(latch);

	latch_unlock(latch, word, latch_unlink(latch_list(word), &waiter->list), won);
}

/* Not set any more. Not from a signal handler. */
static inline void latch_clear(struct latch *latch)
{
	void *word = aptr_load_relaxed(&latch->word);

	while ((uintptr_t)word & LATCH_SET) {
		if ((uintptr_t)word & LATCH_LOCK) {
			cpu_relax(); /* its waiters are being taken out */
			word = aptr_load_relaxed(&latch->word);
			continue;
		}
		/* Pairs with: latch_set(), latch_lock(). */
		if (aptr_cas_acq_rel(&latch->word, &word, NULL))
			return;
	}
}

#endif
