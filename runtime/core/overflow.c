/* SPDX-License-Identifier: MIT */
/*
 * Stack overflow: the handler that says which task it was, then lets happen what would have
 * happened without it (the host program's handler, or the default).
 *
 * It runs on the loop's alternate stack and touches only: the loop of the thread, its running
 * task's id, site and name, its fiber's stack bounds. It calls nothing but write(2) and
 * sigaction(2).
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>

#include "core/runtime.h"
#include "os/seam.h"

#define ALT_STACK_EXTRA (32u * 1024)

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

static const int guard_signals[] = { SIGSEGV, SIGBUS };
static struct sigaction guard_before[ARRAY_SIZE(guard_signals)];

struct text {
	char buf[512];
	size_t len;
};

static void text_add(struct text *text, const char *s)
{
	while (*s && text->len + 1 < sizeof(text->buf))
		text->buf[text->len++] = *s++;
	text->buf[text->len] = '\0';
}

static void text_add_number(struct text *text, uint64_t n)
{
	char digits[24];
	size_t at = sizeof(digits) - 1;

	digits[at] = '\0';
	do
		digits[--at] = (char)('0' + n % 10);
	while (n /= 10);
	text_add(text, digits + at);
}

static void report_overflow(const struct loop *loop)
{
	const struct rota_task *task = loop->running;
	const struct task_extra *extra = aptr_load_relaxed(&task->extra);
	struct text text = { .len = 0 };

	text_add(&text, "rota: stack overflow in task ");
	text_add_number(&text, task->id);
	if (extra && extra->name[0]) {
		text_add(&text, " \"");
		text_add(&text, extra->name);
		text_add(&text, "\"");
	}
	text_add(&text, ", spawned at ");
	text_add(&text, task->site ? task->site : "an unknown place");
	text_add(&text, ", on loop ");
	text_add_number(&text, loop->index);
	text_add(&text, ": all of its ");
	text_add_number(&text, stack_class_bytes(task->fiber->stack_class) / 1024);
	text_add(&text, " KiB of stack are used; spawn it with a larger .stack_bytes\n");
	rota__write_text(2, text.buf);
}

static void on_fault(int signal_number, siginfo_t *info, void *ucontext)
{
	const struct loop *loop = rota__loop_self();
	size_t i = signal_number == guard_signals[0] ? 0 : 1;
	const struct sigaction *before = &guard_before[i];

	if (loop && loop->running && loop->running->fiber &&
		rota__fiber_guards(loop->running->fiber, info->si_addr))
		report_overflow(loop);
	if (before->sa_flags & SA_SIGINFO) {
		before->sa_sigaction(signal_number, info, ucontext);
	} else if (before->sa_handler == SIG_DFL || before->sa_handler == SIG_IGN) {
		/* The instruction faults again, and then the default action happens. */
		struct sigaction action = { .sa_handler = SIG_DFL };

		sigaction(signal_number, &action, NULL);
	} else {
		before->sa_handler(signal_number);
	}
}

int rota__guard_handler_install(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < ARRAY_SIZE(guard_signals); i++)
		if (sigaction(guard_signals[i], &action, &guard_before[i]))
			return -errno;
	return 0;
}

void rota__guard_handler_remove(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(guard_signals); i++) {
		struct sigaction now;

		/* Whoever has replaced ours in the meantime keeps his. */
		if (!sigaction(guard_signals[i], NULL, &now) && now.sa_sigaction == on_fault)
			sigaction(guard_signals[i], &guard_before[i], NULL);
	}
}

static size_t alt_stack_bytes(void)
{
	size_t frame = (size_t)getauxval(AT_MINSIGSTKSZ);
	size_t page = rota__page_bytes();

	return ((frame ? frame : 2048) + ALT_STACK_EXTRA + page - 1) / page * page;
}

/* A guarded alternate stack for the calling thread, a loop's. What it had before is kept. */
int rota__alt_stack_set(struct loop *loop)
{
	size_t bytes = alt_stack_bytes();
	size_t page = rota__page_bytes();
	const char *why;
	stack_t stack;
	int err;

	err = rota__stacks_map(bytes + page, 1, false, &loop->alt_stack, &why);
	if (err)
		return err;
	stack = (stack_t){ .ss_sp = (char *)loop->alt_stack + page, .ss_size = bytes };
	sigaltstack(&stack, &loop->alt_stack_before);
	return 0;
}

void rota__alt_stack_clear(struct loop *loop)
{
	if (!loop->alt_stack)
		return;
	sigaltstack(&loop->alt_stack_before, NULL);
	rota__unmap(loop->alt_stack, alt_stack_bytes() + rota__page_bytes());
	loop->alt_stack = NULL;
}
