/* SPDX-License-Identifier: MIT */
/*
 * Stands in for runtime/base/atomic.h when a protocol header is compiled for the explorer: the same
 * cells and functions, each access handed to the explorer. Keep the list of functions equal to the
 * real file's; the guard's name is the real one's, so that only one of the two can be included.
 */
#ifndef ROTA_BASE_ATOMIC_H
#define ROTA_BASE_ATOMIC_H

#include "base/attr.h"
#include "explorer.h"

/* Plain members: only the explorer touches them, on one OS thread. */
struct a32 {
	uint32_t v;
};
struct a64 {
	uint64_t v;
};
struct aptr {
	void *v;
};

_Static_assert(sizeof(void *) == sizeof(uint64_t), "the explorer's values are 64 bits wide");

#define MODEL_CAS(cell, type, bits, order, how)                                             \
	static inline bool cell##_cas_##order(struct cell *a, type *expected, type desired) \
	{                                                                                   \
		uint64_t old = (bits)*expected;                                             \
		bool done = model_cas(a, sizeof(a->v), &old, (bits)desired, how);           \
                                                                                            \
		*expected = (type)(bits)old;                                                \
		return done;                                                                \
	}

#define MODEL_CELL(cell, type, bits)                                                  \
	static inline type cell##_load_relaxed(const struct cell *a)                  \
	{                                                                             \
		return (type)(bits)model_load(a, sizeof(a->v), MODEL_RELAXED);        \
	}                                                                             \
	static inline type cell##_load_acquire(const struct cell *a)                  \
	{                                                                             \
		return (type)(bits)model_load(a, sizeof(a->v), MODEL_ACQUIRE);        \
	}                                                                             \
	static inline void cell##_store_relaxed(struct cell *a, type value)           \
	{                                                                             \
		model_store(a, sizeof(a->v), (bits)value, MODEL_RELAXED);             \
	}                                                                             \
	static inline void cell##_store_release(struct cell *a, type value)           \
	{                                                                             \
		model_store(a, sizeof(a->v), (bits)value, MODEL_RELEASE);             \
	}                                                                             \
	static inline type cell##_exchange_acquire(struct cell *a, type value)        \
	{                                                                             \
		return (type)(bits)model_update(                                      \
			a, sizeof(a->v), MODEL_EXCHANGE, (bits)value, MODEL_ACQUIRE); \
	}                                                                             \
	static inline type cell##_exchange_acq_rel(struct cell *a, type value)        \
	{                                                                             \
		return (type)(bits)model_update(                                      \
			a, sizeof(a->v), MODEL_EXCHANGE, (bits)value, MODEL_ACQ_REL); \
	}                                                                             \
	MODEL_CAS(cell, type, bits, relaxed, MODEL_RELAXED)                           \
	MODEL_CAS(cell, type, bits, acquire, MODEL_ACQUIRE)                           \
	MODEL_CAS(cell, type, bits, release, MODEL_RELEASE)                           \
	MODEL_CAS(cell, type, bits, acq_rel, MODEL_ACQ_REL)

#define MODEL_NUMBER(cell, type)                                                             \
	static inline type cell##_add_relaxed(struct cell *a, type value)                    \
	{                                                                                    \
		return (type)model_update(a, sizeof(a->v), MODEL_ADD, value, MODEL_RELAXED); \
	}                                                                                    \
	static inline type cell##_add_acq_rel(struct cell *a, type value)                    \
	{                                                                                    \
		return (type)model_update(a, sizeof(a->v), MODEL_ADD, value, MODEL_ACQ_REL); \
	}                                                                                    \
	static inline type cell##_or_acq_rel(struct cell *a, type value)                     \
	{                                                                                    \
		return (type)model_update(a, sizeof(a->v), MODEL_OR, value, MODEL_ACQ_REL);  \
	}

MODEL_CELL(a32, uint32_t, uint32_t)
MODEL_CELL(a64, uint64_t, uint64_t)
MODEL_CELL(aptr, void *, uintptr_t)
MODEL_NUMBER(a32, uint32_t)
MODEL_NUMBER(a64, uint64_t)

static inline void fence_seq_cst(void)
{
	model_fence();
}

static inline void fence_after_rmw(void)
{
	model_fence_after_rmw();
}

static inline void cpu_relax(void)
{
	model_relax();
}

static inline void a64_count(struct a64 *a, uint64_t n)
{
	a64_store_relaxed(a, a64_load_relaxed(a) + n);
}

#endif
