/* SPDX-License-Identifier: MIT */
/*
 * A spin lock for sections of a few instructions. All zero is unlocked. Holders never suspend, call
 * the system or take a second one, but for the order in runtime/README.md.
 */
#ifndef ROTA_BASE_SPIN_H
#define ROTA_BASE_SPIN_H

#include "base/atomic.h"

struct spin {
	struct a32 held;
};

static inline void spin_lock(struct spin *lock)
{
	/* Pairs with: spin_unlock(). */
	while (unlikely(a32_exchange_acquire(&lock->held, 1)))
		while (a32_load_relaxed(&lock->held))
			cpu_relax();
}

static inline void spin_unlock(struct spin *lock)
{
	/* Pairs with: spin_lock(). */
	a32_store_release(&lock->held, 0);
}

#endif
