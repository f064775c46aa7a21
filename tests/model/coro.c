/* SPDX-License-Identifier: MIT */
/*
 * Switches stacks: by hand on x86-64 (swapcontext makes two system calls, the explorer switches
 * millions of times a second), with ucontext elsewhere.
 */
#include "coro.h"

#include <stdint.h>

#if defined(__x86_64__) && !defined(MODEL_UCONTEXT)

/* The System V ABI's callee-saved registers; nothing here changes the floating-point modes. */
__asm__(".text\n"
	".p2align 4\n"
	".globl coro_switch\n"
	".hidden coro_switch\n"
	".type coro_switch, @function\n"
	"coro_switch:\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq (%rsi), %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	ret\n"
	".size coro_switch, .-coro_switch\n");

void coro_init(struct coro *coro, void *stack, size_t size, void (*entry)(void))
{
	uintptr_t *top = (uintptr_t *)(((uintptr_t)stack + size) & ~(uintptr_t)15);

	/* Six registers, the address to return to, and the word that makes a call's alignment. */
	top -= 8;
	for (unsigned int i = 0; i < 8; i++)
		top[i] = 0;
	top[6] = (uintptr_t)entry;
	coro->stack_pointer = top;
}

#else

void coro_init(struct coro *coro, void *stack, size_t size, void (*entry)(void))
{
	getcontext(&coro->context);
	coro->context.uc_stack.ss_sp = stack;
	coro->context.uc_stack.ss_size = size;
	coro->context.uc_link = NULL;
	makecontext(&coro->context, entry, 0);
}

void coro_switch(struct coro *from, struct coro *to)
{
	swapcontext(&from->context, &to->context);
}

#endif
