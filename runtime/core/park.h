/* SPDX-License-Identifier: MIT */
/*
 * Parking: how a loop that found nothing goes to sleep without missing what comes in that moment.
 * An eventcount. Header only; compiled as it is by tests/model.
 *
 *	parker:  sleepers++, sleeping = 1 -> [searchers--] -> FENCE -> look at everything -> sleep
 *	pusher:  push -> FENCE -> searchers > 0 ? leave it to them
 *	                       : a sleeper ? claim it (CAS), searchers++, send it a token
 *
 * Either the pusher sees the sleeper, or the sleeper sees what was pushed: the two fences forbid
 * both to miss (each one-sided acquire/release loses a wake-up).
 *
 * A pusher that leaves it to a searcher relies on this: a searcher that gives up leaves `searchers`
 * before its fence, so its look comes after and sees the push; a searcher that finds something
 * wakes one more (the chain wake), always, also when what it found is only in its own inbox, and
 * when its last look finds something shared but the loop has other things to do first.
 *
 * `searchers` is signed and may be too small for a moment, never too large: a waker counts the
 * loop it has claimed after the claim, the loop may have uncounted itself before. Were it counted
 * before the claim, a failed claim would leave a phantom searcher on which a third party relies.
 *
 * A directed wake (something lies in this loop's own inbox) does not make a searcher.
 *
 * The wake itself is a token that stays until it is taken (a completion in the ring): one that
 * comes before the sleep ends the sleep at once, one that comes late ends the next one too early,
 * which is harmless.
 *
 * After rayon's sleep module and Go's proc.go.
 */
#ifndef ROTA_CORE_PARK_H
#define ROTA_CORE_PARK_H

#include "base/atomic.h"

enum parker_state {
	PARKER_AWAKE = 0,
	PARKER_SLEEPING = 1,
	PARKER_TO_SEARCH = 2, /* claimed by a pusher: counted in searchers */
	PARKER_TO_INBOX = 3,  /* claimed for its own inbox */
};

/* One a loop. */
struct parker {
	struct a32 state ROTA__LINE_ALIGNED; /* A: enum parker_state */
};

/* One a runtime. */
struct idle {
	struct a32 sleepers ROTA__LINE_ALIGNED; /* A: loops in PARKER_SLEEPING */
	struct a32 searchers;			/* A: signed, see above */
};

static inline void idle_search_begin(struct idle *idle)
{
	a32_add_relaxed(&idle->searchers, 1);
}

/* A searcher has found something. The caller then wakes one more. */
static inline void idle_search_end(struct idle *idle)
{
	a32_add_acq_rel(&idle->searchers, (uint32_t)-1);
}

static inline int32_t idle_searchers(const struct idle *idle)
{
	return (int32_t)a32_load_relaxed(&idle->searchers);
}

/*
 * Announces that the caller is about to sleep; searching: it is counted as a searcher, and is not
 * any more. The caller then looks at everything, once, and calls park_end() or sleeps first.
 */
static inline void park_begin(struct idle *idle, struct parker *me, bool searching)
{
	/* Counted before it can be claimed: else a claim could hide another sleeper. */
	a32_add_relaxed(&idle->sleepers, 1);
	a32_store_release(&me->state, PARKER_SLEEPING);
	if (searching)
		a32_add_relaxed(&idle->searchers, (uint32_t)-1);
	/* Pairs with: the fence before park_claim_any() and park_claim(). Store -> load. */
	fence_seq_cst();
}

/* The caller is awake, whoever woke it: true when it is now counted as a searcher. */
static inline bool park_end(struct idle *idle, struct parker *me)
{
	uint32_t was = a32_exchange_acq_rel(&me->state, PARKER_AWAKE);

	if (was == PARKER_SLEEPING)
		a32_add_relaxed(&idle->sleepers, (uint32_t)-1);
	return was == PARKER_TO_SEARCH;
}

static inline bool park_claim_as(struct idle *idle, struct parker *who, uint32_t state)
{
	uint32_t sleeping = PARKER_SLEEPING;

	if (a32_load_relaxed(&who->state) != PARKER_SLEEPING)
		return false;
	if (!a32_cas_acq_rel(&who->state, &sleeping, state))
		return false;
	a32_add_relaxed(&idle->sleepers, (uint32_t)-1);
	return true;
}

/*
 * For its inbox: true when the caller must send `who` a token.
 * After a push and fence_after_rmw() or fence_seq_cst(). Any thread.
 */
static inline bool park_claim(struct idle *idle, struct parker *who)
{
	return park_claim_as(idle, who, PARKER_TO_INBOX);
}

/*
 * For something any loop may take: whether it is worth to look for a sleeper at all.
 * After a push and fence_after_rmw() or fence_seq_cst(). Any thread.
 */
static inline bool park_wanted(const struct idle *idle)
{
	return a32_load_relaxed(&idle->sleepers) != 0 && idle_searchers(idle) <= 0;
}

/* True when the caller must send `who` a token; it then searches. Any thread. */
static inline bool park_claim_any(struct idle *idle, struct parker *who)
{
	if (!park_claim_as(idle, who, PARKER_TO_SEARCH))
		return false;
	idle_search_begin(idle);
	return true;
}

#endif
