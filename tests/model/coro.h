/* SPDX-License-Identifier: MIT */
/*
 * The explorer's coroutines: a stack and a saved stack pointer. Not the runtime's context switch:
 * what checks the runtime must not stand on it.
 */
#ifndef ROTA_MODEL_CORO_H
#define ROTA_MODEL_CORO_H

#include <stddef.h>

#if defined(__x86_64__) && !defined(MODEL_UCONTEXT)
struct coro {
	void *stack_pointer;
};
#else
#include <ucontext.h>
struct coro {
	ucontext_t context;
};
#endif

/* Makes one that starts in entry(), which must not return. */
void coro_init(struct coro *coro, void *stack, size_t size, void (*entry)(void));
/* Saves the caller into `from` and goes on with `to`. */
void coro_switch(struct coro *from, struct coro *to);

#endif
