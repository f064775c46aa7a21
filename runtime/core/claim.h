/* SPDX-License-Identifier: MIT */
/*
 * The claim of a wait: who may wake. A wait with a source that another loop or thread can fire has
 * one; the first source to claim it wakes the waiter, exactly once, the others back off. Header
 * only; compiled as it is by tests/model.
 *
 * Invariant (C1): between its successful claim and its wake the source is the only one that acts
 * on the waiter; the waiter's memory stays until then. (C2) A source that lost the claim touches
 * the wait only under the lock that links it.
 */
#ifndef ROTA_CORE_CLAIM_H
#define ROTA_CORE_CLAIM_H

#include "base/atomic.h"

struct claim {
	struct a32 by; /* A: 0, or the source that won */
};

static inline void claim_init(struct claim *claim)
{
	a32_store_relaxed(&claim->by, 0);
}

/* True for exactly one source of a wait; source > 0. Any thread. */
static inline bool claim_take(struct claim *claim, uint32_t source)
{
	uint32_t none = 0;

	/* Pairs with: itself, claim_winner(). What the winner wrote is seen by the waiter. */
	return a32_cas_acq_rel(&claim->by, &none, source);
}

/*
 * The same where no other source can come in at this moment: they need the lock that the caller
 * holds, or the thread that it is. So load and store will do.
 */
static inline bool claim_take_alone(struct claim *claim, uint32_t source)
{
	if (a32_load_relaxed(&claim->by))
		return false;
	/* Pairs with: claim_winner(). */
	a32_store_release(&claim->by, source);
	return true;
}

/* Which source won; 0 while none has. */
static inline uint32_t claim_winner(const struct claim *claim)
{
	return a32_load_acquire(&claim->by);
}

#endif
