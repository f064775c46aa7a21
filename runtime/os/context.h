/* SPDX-License-Identifier: MIT */
/*
 * The context switch, inline: it names every register that the compiler may keep a value in as
 * clobbered, so that only what lives is saved, and resumes by jmp (an indirect `ret` to another
 * stack would always be mispredicted). Nothing is pushed: the red zone stays whole.
 *
 * No function that switches may read a thread-local or errno: core/self.c explains.
 */
#ifndef ROTA_OS_CONTEXT_H
#define ROTA_OS_CONTEXT_H

#include "base/attr.h"

#if ROTA__ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#if ROTA__TSAN
#include <sanitizer/tsan_interface.h>
#endif

/* Where a suspended flow of control goes on. Offsets are known to the assembly below. */
struct context {
	void *sp;	     /* 0 */
	void *fp;	     /* 8: rbp, x29 */
	void *base;	     /* 16: rbx, x19 */
	void *pc;	     /* 24 */
	uint64_t fp_control; /* x86: MXCSR in the low half, x87 control word above; FPCR */
#if ROTA__ASAN
	void *fake_stack;
	const void *stack_low;
	size_t stack_bytes;
#endif
#if ROTA__TSAN
	void *tsan;
#endif
};

/* Never returns to its caller. base holds its argument. In os/context.c. */
void rota__context_entry(void);

#if defined(__x86_64__)

/* The bits of MXCSR that the ABI preserves: masks, rounding, FTZ, DAZ; not the sticky flags. */
#define CONTEXT_MXCSR_CONTROL 0xffc0u

static ROTA__ALWAYS_INLINE uint64_t context_fp_control(void)
{
	uint16_t x87;

	__asm__ volatile("fnstcw %0" : "=m"(x87));
	return (uint64_t)x87 << 32 | (__builtin_ia32_stmxcsr() & CONTEXT_MXCSR_CONTROL);
}

static ROTA__ALWAYS_INLINE void context_fp_control_set(uint64_t control)
{
	uint16_t x87 = (uint16_t)(control >> 32);

	__asm__ volatile("fldcw %0" : : "m"(x87));
	__builtin_ia32_ldmxcsr((uint32_t)control);
}

#ifdef __AVX512F__
#define CONTEXT_CLOBBER_AVX512                                                                   \
	, "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24",       \
		"xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", \
		"k4", "k5", "k6", "k7"
#else
#define CONTEXT_CLOBBER_AVX512
#endif

static ROTA__ALWAYS_INLINE void context_jump(struct context *from, struct context *to)
{
	__asm__ volatile("movq %%rsp, 0(%0)\n\t"
			 "movq %%rbp, 8(%0)\n\t"
			 "movq %%rbx, 16(%0)\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "movq %%rax, 24(%0)\n\t"
			 "movq 0(%1), %%rsp\n\t"
			 "movq 8(%1), %%rbp\n\t"
			 "movq 16(%1), %%rbx\n\t"
			 "jmpq *24(%1)\n"
			 "1:\n\t"
			 "endbr64"
			 : "+D"(from), "+S"(to)
			 :
			 : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
			 "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
			 "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",
			 "mm0", "mm1", "mm2", "mm3", "mm4", "mm5", "mm6", "mm7", "st", "st(1)",
			 "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", "memory",
			 "cc" CONTEXT_CLOBBER_AVX512);
}

#elif defined(__aarch64__)

static ROTA__ALWAYS_INLINE uint64_t context_fp_control(void)
{
	uint64_t control;

	__asm__ volatile("mrs %0, fpcr" : "=r"(control));
	return control;
}

static ROTA__ALWAYS_INLINE void context_fp_control_set(uint64_t control)
{
	__asm__ volatile("msr fpcr, %0" : : "r"(control));
}

static ROTA__ALWAYS_INLINE void context_jump(struct context *from, struct context *to)
{
	register struct context *x0 __asm__("x0") = from;
	register struct context *x1 __asm__("x1") = to;

	__asm__ volatile("mov x2, sp\n\t"
			 "adr x3, 1f\n\t"
			 "stp x2, x29, [x0, #0]\n\t"
			 "stp x19, x3, [x0, #16]\n\t"
			 "ldp x2, x29, [x1, #0]\n\t"
			 "ldp x19, x16, [x1, #16]\n\t"
			 "mov sp, x2\n\t"
			 "br x16\n"
			 "1:\n\t"
			 "hint #36" /* bti j */
			 : "+r"(x0), "+r"(x1)
			 :
			 : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12",
			 "x13", "x14", "x15", "x16", "x17", "x18", "x20", "x21", "x22", "x23",
			 "x24", "x25", "x26", "x27", "x28", "x30", "v0", "v1", "v2", "v3", "v4",
			 "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15",
			 "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25",
			 "v26", "v27", "v28", "v29", "v30", "v31", "memory", "cc");
}

#else
#error "rota knows x86-64 and aarch64"
#endif

/* What a sanitizer must be told first on a stack that was just entered. */
static ROTA__ALWAYS_INLINE void context_entered(struct context *to)
{
	(void)to;
#if ROTA__ASAN
	__sanitizer_finish_switch_fiber(to->fake_stack, NULL, NULL);
#endif
}

/*
 * Leaves for `to`; returns when somebody switches back to `from`. from->fp_control says what is in
 * force: where that is known, reading it is spared, a third of a switch on some CPUs.
 */
static ROTA__ALWAYS_INLINE void context_switch_known(struct context *from, struct context *to)
{
	if (unlikely(from->fp_control != to->fp_control))
		context_fp_control_set(to->fp_control);
#if ROTA__ASAN
	__sanitizer_start_switch_fiber(&from->fake_stack, to->stack_low, to->stack_bytes);
#endif
#if ROTA__TSAN
	__tsan_switch_to_fiber(to->tsan, 0);
#endif
	context_jump(from, to);
	context_entered(from);
}

static ROTA__ALWAYS_INLINE void context_switch(struct context *from, struct context *to)
{
	from->fp_control = context_fp_control();
	context_switch_known(from, to);
}

/* A context that enters rota__context_entry() on a fresh stack, then calls main(argument). */
void rota__context_init(struct context *context, void *stack_low, void *stack_top,
	void (*main)(void *argument), void *argument);
/* The context of the running thread's own stack; the sanitizers want to know it. */
void rota__context_adopt(struct context *context);
void rota__context_finish(struct context *context);

#endif
