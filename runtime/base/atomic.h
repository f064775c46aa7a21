/* SPDX-License-Identifier: MIT */
/*
 * Atomics with the ordering in the name. The only file that knows <stdatomic.h>; the explorer in
 * tests/model puts its own file of this name first in the include path and so sees every access.
 *
 * struct a32, a64, aptr: a cell of that width. Operations: load_{relaxed,acquire},
 * store_{relaxed,release}, cas_{relaxed,acquire,release,acq_rel} (strong; *expected gets what was
 * there, read with acquire unless relaxed), exchange_{acquire,acq_rel}, and for numbers
 * add_{relaxed,acq_rel}, or_acq_rel, which return the value before.
 */
#ifndef ROTA_BASE_ATOMIC_H
#define ROTA_BASE_ATOMIC_H

#include <stdatomic.h>

#include "base/attr.h"

struct a32 {
	_Atomic(uint32_t) v;
};
struct a64 {
	_Atomic(uint64_t) v;
};
struct aptr {
	_Atomic(void *) v;
};

#define ROTA__ATOMIC_CAS(cell, type, order, success, failure)                               \
	static inline bool cell##_cas_##order(struct cell *a, type *expected, type desired) \
	{                                                                                   \
		return atomic_compare_exchange_strong_explicit(                             \
			&a->v, expected, desired, success, failure);                        \
	}

#define ROTA__ATOMIC_CELL(cell, type)                                                     \
	static inline type cell##_load_relaxed(const struct cell *a)                      \
	{                                                                                 \
		return atomic_load_explicit(&a->v, memory_order_relaxed);                 \
	}                                                                                 \
	static inline type cell##_load_acquire(const struct cell *a)                      \
	{                                                                                 \
		return atomic_load_explicit(&a->v, memory_order_acquire);                 \
	}                                                                                 \
	static inline void cell##_store_relaxed(struct cell *a, type value)               \
	{                                                                                 \
		atomic_store_explicit(&a->v, value, memory_order_relaxed);                \
	}                                                                                 \
	static inline void cell##_store_release(struct cell *a, type value)               \
	{                                                                                 \
		atomic_store_explicit(&a->v, value, memory_order_release);                \
	}                                                                                 \
	static inline type cell##_exchange_acquire(struct cell *a, type value)            \
	{                                                                                 \
		return atomic_exchange_explicit(&a->v, value, memory_order_acquire);      \
	}                                                                                 \
	static inline type cell##_exchange_acq_rel(struct cell *a, type value)            \
	{                                                                                 \
		return atomic_exchange_explicit(&a->v, value, memory_order_acq_rel);      \
	}                                                                                 \
	ROTA__ATOMIC_CAS(cell, type, relaxed, memory_order_relaxed, memory_order_relaxed) \
	ROTA__ATOMIC_CAS(cell, type, acquire, memory_order_acquire, memory_order_acquire) \
	ROTA__ATOMIC_CAS(cell, type, release, memory_order_release, memory_order_acquire) \
	ROTA__ATOMIC_CAS(cell, type, acq_rel, memory_order_acq_rel, memory_order_acquire)

#define ROTA__ATOMIC_NUMBER(cell, type)                                               \
	static inline type cell##_add_relaxed(struct cell *a, type value)             \
	{                                                                             \
		return atomic_fetch_add_explicit(&a->v, value, memory_order_relaxed); \
	}                                                                             \
	static inline type cell##_add_acq_rel(struct cell *a, type value)             \
	{                                                                             \
		return atomic_fetch_add_explicit(&a->v, value, memory_order_acq_rel); \
	}                                                                             \
	static inline type cell##_or_acq_rel(struct cell *a, type value)              \
	{                                                                             \
		return atomic_fetch_or_explicit(&a->v, value, memory_order_acq_rel);  \
	}

ROTA__ATOMIC_CELL(a32, uint32_t)
ROTA__ATOMIC_CELL(a64, uint64_t)
ROTA__ATOMIC_CELL(aptr, void *)
ROTA__ATOMIC_NUMBER(a32, uint32_t)
ROTA__ATOMIC_NUMBER(a64, uint64_t)

/* Orders earlier stores before later loads (and everything else): the fence of Dekker's pattern. */
static inline void fence_seq_cst(void)
{
#if ROTA__TSAN
	/* TSAN does not know fences; the accesses around them carry the order that it must see. */
	static struct a32 tsan_order;

	a32_add_acq_rel(&tsan_order, 0);
#elif defined(__x86_64__)
	/* A locked instruction is a full fence on x86 and twice as fast as mfence. */
	__asm__ volatile("lock; orl $0, -4(%%rsp)" ::: "memory", "cc");
#else
	atomic_thread_fence(memory_order_seq_cst);
#endif
}

/* The same directly after a read-modify-write of this thread, which on x86 is a full fence. */
static inline void fence_after_rmw(void)
{
#if defined(__x86_64__) && !ROTA__TSAN
	compiler_barrier();
#else
	fence_seq_cst();
#endif
}

static inline void cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* A counter that one thread writes and any may read: no locked instruction. */
static inline void a64_count(struct a64 *a, uint64_t n)
{
	a64_store_relaxed(a, a64_load_relaxed(a) + n);
}

#endif
