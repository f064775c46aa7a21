/* SPDX-License-Identifier: MIT */
/*
 * The only file that reads a thread-local, behind a function that is never inlined.
 *
 * Compilers keep the address of a thread-local (and the result of __errno_location()) in a register
 * across an opaque context switch (llvm-project#98479). So a function that may switch takes its
 * loop as an argument, or asks here once, before it switches. This file is never built with LTO.
 */
#include "core/loop.h"

static _Thread_local struct loop *self __attribute__((tls_model("initial-exec")));

ROTA__NOINLINE struct loop *rota__loop_self(void)
{
	compiler_barrier();
	return self;
}

ROTA__NOINLINE void rota__loop_self_set(struct loop *loop)
{
	self = loop;
	compiler_barrier();
}
