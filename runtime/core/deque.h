/* SPDX-License-Identifier: MIT */
/*
 * The split deque that holds the tasks of a loop which have not started ("fresh"). Header only and
 * free of everything but base/, so that tests/model compiles it as it is, with a tiny capacity.
 *
 *	   tail          split          head
 *	    | shared       | private      |
 *	    | thieves: CAS | owner: plain |
 *
 * A ring of DEQUE_SIZE slots under free-running 16-bit indices, compared by difference. One atomic
 * word holds tail:16, split:16, version:32 and is always written whole. The owner pushes and pops
 * at head without fence or CAS; a thief takes up to half of [tail, split) with one CAS.
 *
 * Invariants:
 * (D1) tail <= split <= head <= tail + DEQUE_SIZE, by difference.
 * (D2) Slots of [split, head) are touched by the owner only.
 * (D3) split changes only by the owner, and each such change bumps the version: a thief whose CAS
 *      succeeds has seen the same split, and no slot below it has been written since its load.
 * (D4) The owner writes slot i again only after tail has passed it (seen by load-acquire) or split
 *      has come down below it (then the version has changed).
 *
 * Orders, argued in core/README.md: publish CAS release, thief load acquire, thief CAS release
 * (else its slot reads sink below it), acquire on failure.
 *
 * From Lace's split deque (van Dijk and van de Pol, 2014), with a version for ABA and batches.
 */
#ifndef ROTA_CORE_DEQUE_H
#define ROTA_CORE_DEQUE_H

#include "base/atomic.h"

#ifndef DEQUE_SIZE
#define DEQUE_SIZE 1024
#endif
#define DEQUE_MASK (DEQUE_SIZE - 1)

_Static_assert((DEQUE_SIZE & DEQUE_MASK) == 0 && DEQUE_SIZE <= 32768, "a power of two below 2^16");

/* Letters: O owner only, A atomic for all, R written by thieves, S owner writes, thieves read. */
struct deque {
	/* the owner's line */
	struct {
		uint16_t head;	    /* O */
		uint16_t split;	    /* O: a copy of the word's split */
		uint16_t tail_seen; /* O: a tail that has been; tail is not below it */
	} ROTA__LINE_ALIGNED;
	/* the shared line */
	struct {
		struct a64 word; /* A: tail:16, split:16, version:32 */
	} ROTA__LINE_ALIGNED;
	/* idle loops ask for work here: 1 asks the owner to publish at its next spawn */
	struct {
		struct a32 request; /* R */
	} ROTA__LINE_ALIGNED;
	struct aptr slot[DEQUE_SIZE] ROTA__LINE_ALIGNED; /* S */
};

static inline uint16_t deque_tail(uint64_t word)
{
	return (uint16_t)word;
}

static inline uint16_t deque_split(uint64_t word)
{
	return (uint16_t)(word >> 16);
}

/* The word with another tail and the same split and version: what a thief writes. */
static inline uint64_t deque_word_taken(uint64_t word, uint16_t count)
{
	return (word & ~(uint64_t)0xffff) | (uint16_t)(deque_tail(word) + count);
}

/* The word with another split and a new version: what the owner writes. */
static inline uint64_t deque_word_split(uint64_t word, uint16_t tail, uint16_t split)
{
	uint64_t version = (word >> 32) + 1;

	return version << 32 | (uint64_t)split << 16 | tail;
}

/* Puts an item into the private part: false when the ring is full. Owner. */
static inline bool deque_push(struct deque *d, void *item)
{
	if (unlikely((uint16_t)(d->head - d->tail_seen) == DEQUE_SIZE)) {
		/* Pairs with: the thief's CAS. Its slot reads come before our overwrite. */
		d->tail_seen = deque_tail(a64_load_acquire(&d->word));
		if ((uint16_t)(d->head - d->tail_seen) == DEQUE_SIZE)
			return false;
	}
	aptr_store_relaxed(&d->slot[d->head & DEQUE_MASK], item);
	d->head++;
	return true;
}

/* Number of items in the private part. Owner. */
static inline uint16_t deque_private(const struct deque *d)
{
	return (uint16_t)(d->head - d->split);
}

/* The newest item of the private part, left where it is; NULL when that is empty. Owner. */
static inline void *deque_peek_newest(const struct deque *d)
{
	if (d->head == d->split)
		return NULL;
	return aptr_load_relaxed(&d->slot[(uint16_t)(d->head - 1) & DEQUE_MASK]);
}

/* Drops what deque_peek_newest() has shown. Owner. */
static inline void deque_drop_newest(struct deque *d)
{
	d->head--;
}

/*
 * Shares the whole private part: true when there was any. Owner. The caller goes on with
 * fence_after_rmw() and a look for sleepers.
 */
static inline bool deque_publish(struct deque *d)
{
	uint64_t word;

	if (d->head == d->split)
		return false;
	word = a64_load_relaxed(&d->word);
	/* Pairs with: the thief's load. The slots are written before split covers them. */
	while (!a64_cas_release(&d->word, &word, deque_word_split(word, deque_tail(word), d->head)))
		;
	d->split = d->head;
	return true;
}

/* The newest item, from the private part or else back from the shared one; or NULL. Owner. */
static inline void *deque_take_newest(struct deque *d)
{
	uint64_t word;
	uint16_t split;

	if (d->head == d->split) {
		word = a64_load_relaxed(&d->word);
		split = d->split;
		do {
			if (deque_tail(word) == split)
				return NULL;
		} while (!a64_cas_acquire(&d->word, &word,
			deque_word_split(word, deque_tail(word), (uint16_t)(split - 1))));
		d->split--;
	}
	d->head--;
	return aptr_load_relaxed(&d->slot[d->head & DEQUE_MASK]);
}

/* The oldest item, or NULL: what keeps the deque fair every now and then. Owner. */
static inline void *deque_take_oldest(struct deque *d)
{
	uint64_t word = a64_load_acquire(&d->word);
	void *item;

	while (deque_tail(word) != deque_split(word)) {
		item = aptr_load_relaxed(&d->slot[deque_tail(word) & DEQUE_MASK]);
		if (a64_cas_release(&d->word, &word, deque_word_taken(word, 1)))
			return item;
	}
	if (d->head == d->split)
		return NULL;
	/* The shared part is empty: no thief can win any more, so a store will do. */
	item = aptr_load_relaxed(&d->slot[d->split & DEQUE_MASK]);
	d->split++;
	a64_store_release(&d->word, deque_word_split(word, d->split, d->split));
	return item;
}

/*
 * Takes up to max of the oldest shared items, at most half of them (rounded up): how many went to
 * items[], oldest first. Any thread.
 */
static inline unsigned int deque_steal(struct deque *d, void **items, unsigned int max)
{
	/* Pairs with: deque_publish(), and with the owner's CAS in deque_take_newest(). */
	uint64_t word = a64_load_acquire(&d->word);

	for (;;) {
		uint16_t tail = deque_tail(word);
		unsigned int shared = (uint16_t)(deque_split(word) - tail);
		unsigned int n = (shared + 1) / 2;

		if (n > max)
			n = max;
		if (n == 0)
			return 0;
		/* Read first, then CAS: afterwards the owner may write these slots again. */
		for (unsigned int i = 0; i < n; i++)
			items[i] = aptr_load_relaxed(&d->slot[(tail + i) & DEQUE_MASK]);
		/* Pairs with: the load in deque_push(). */
		if (a64_cas_release(&d->word, &word, deque_word_taken(word, (uint16_t)n)))
			return n;
	}
}

/* Whether there is anything to steal. Any thread. */
static inline bool deque_has_shared(const struct deque *d)
{
	uint64_t word = a64_load_acquire(&d->word);

	return deque_tail(word) != deque_split(word);
}

/* Asks the owner to publish at its next spawn. Any thread. */
static inline void deque_ask(struct deque *d)
{
	if (!a32_load_relaxed(&d->request))
		a32_store_relaxed(&d->request, 1);
}

/* Whether somebody has asked; answers it. Owner; publish and wake after it. */
static inline bool deque_asked(struct deque *d)
{
	if (likely(!a32_load_relaxed(&d->request)))
		return false;
	a32_store_relaxed(&d->request, 0);
	return true;
}

#endif
