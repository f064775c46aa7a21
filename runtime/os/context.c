/* SPDX-License-Identifier: MIT */
/* The first steps of a new stack, in assembly, with unwind information that ends there. */
#include <pthread.h>

#include "os/context.h"

#if ROTA__TSAN
#include <sanitizer/tsan_interface.h>
#endif

/*
 * Entered by a jmp with the argument in `base` and the function in `fp`. The return address is
 * undefined on purpose: debuggers and backtrace() stop here.
 */
#if defined(__x86_64__)
__asm__(".text\n"
	".globl rota__context_entry\n"
	".hidden rota__context_entry\n"
	".type rota__context_entry, @function\n"
	"rota__context_entry:\n"
	"	.cfi_startproc\n"
	"	.cfi_undefined rip\n"
	"	endbr64\n"
	"	movq %rbx, %rdi\n"
	"	movq %rbp, %rax\n"
	"	xorl %ebp, %ebp\n"
	"	call *%rax\n"
	"	ud2\n"
	"	.cfi_endproc\n"
	".size rota__context_entry, . - rota__context_entry\n");
#elif defined(__aarch64__)
__asm__(".text\n"
	".globl rota__context_entry\n"
	".hidden rota__context_entry\n"
	".type rota__context_entry, %function\n"
	"rota__context_entry:\n"
	"	.cfi_startproc\n"
	"	.cfi_undefined x30\n"
	"	hint #36\n"
	"	mov x0, x19\n"
	"	mov x1, x29\n"
	"	mov x29, xzr\n"
	"	mov x30, xzr\n"
	"	blr x1\n"
	"	brk #0\n"
	"	.cfi_endproc\n"
	".size rota__context_entry, . - rota__context_entry\n");
#endif

void rota__context_init(struct context *context, void *stack_low, void *stack_top,
	void (*main)(void *argument), void *argument)
{
	/* An ABI stack is 16-byte aligned before a call; the entry makes the call itself. */
	context->sp = (void *)((uintptr_t)stack_top & ~(uintptr_t)15);
	context->fp = (void *)(uintptr_t)main;
	context->base = argument;
	context->pc = (void *)(uintptr_t)rota__context_entry;
	context->fp_control = context_fp_control();
	(void)stack_low;
#if ROTA__ASAN
	context->fake_stack = NULL;
	context->stack_low = stack_low;
	context->stack_bytes = (size_t)((char *)stack_top - (char *)stack_low);
#endif
#if ROTA__TSAN
	if (!context->tsan)
		context->tsan = __tsan_create_fiber(0);
#endif
}

void rota__context_adopt(struct context *context)
{
	context->fp_control = context_fp_control();
#if ROTA__ASAN
	pthread_attr_t attr;
	void *low;

	if (!pthread_getattr_np(pthread_self(), &attr)) {
		pthread_attr_getstack(&attr, &low, &context->stack_bytes);
		context->stack_low = low;
		pthread_attr_destroy(&attr);
	} else {
		/* Short of descriptors it cannot read the maps: about here, then. */
		context->stack_low = (char *)__builtin_frame_address(0) - (4u << 20);
		context->stack_bytes = (4u << 20) + (64u << 10);
	}
#endif
#if ROTA__TSAN
	context->tsan = __tsan_get_current_fiber();
#endif
}

void rota__context_finish(struct context *context)
{
	(void)context;
#if ROTA__TSAN
	if (context->tsan)
		__tsan_destroy_fiber(context->tsan);
	context->tsan = NULL;
#endif
}
