/* SPDX-License-Identifier: MIT */
/*
 * The values of a task's locals, one a key, shared by reference between a task and what it spawns.
 * Whoever holds the only reference may write; a shared one is copied first (flow/local.c).
 */
#ifndef ROTA_CORE_LOCALS_H
#define ROTA_CORE_LOCALS_H

#include "base/atomic.h"
#include "os/seam.h"

struct locals {
	struct a32 refs; /* A: tasks */
	uint32_t count;	 /* I */
	void *value[];	 /* by the key's index; I while refs > 1 */
};

/* The caller holds a reference. */
static inline struct locals *locals_ref(struct locals *locals)
{
	a32_add_relaxed(&locals->refs, 1);
	return locals;
}

/* NULL is fine. */
static inline void locals_unref(struct locals *locals)
{
	/* Pairs with: itself, and locals_shared(). The last holder comes after all others. */
	if (locals && (a32_load_acquire(&locals->refs) == 1 ||
			      a32_add_acq_rel(&locals->refs, (uint32_t)-1) == 1))
		rota__free(locals);
}

static inline bool locals_shared(const struct locals *locals)
{
	/* Pairs with: locals_unref(). What the others read, they have read before we write. */
	return a32_load_acquire(&locals->refs) != 1;
}

#endif
