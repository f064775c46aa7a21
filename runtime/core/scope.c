/* SPDX-License-Identifier: MIT */
/* The chain of scopes of a task: core/scope.h. */
#include <stdio.h>
#include <stdlib.h>

#include "core/runtime.h"
#include "os/seam.h"

static ROTA__COLD ROTA__NORETURN void die(
	const struct scope_ops *ops, const char *site, const char *what)
{
	char text[512];

	snprintf(text, sizeof(text), "rota: %s %s: %s\n", ops->what, site, what);
	rota__write_text(2, text);
	abort();
}

void rota__scope_check(const struct loop *loop, const struct scope *scope)
{
	const struct fiber *fiber = loop->running->fiber;
	char text[256];

	if (unlikely(scope->task != loop->running))
		die(scope->ops, scope->site, "closed by a task that did not open it");
	if (likely(fiber->scopes == scope))
		return;
	snprintf(text, sizeof(text), "closed while there is open inside it: %s %s",
		fiber->scopes ? fiber->scope_ops->what : "nothing",
		fiber->scopes ? fiber->scope_site : "");
	die(scope->ops, scope->site, text);
}

/*
 * An open scope in a frame below the one that opens the next: that frame was left without a close.
 * Scopes of one frame lie in any order, hence the look at the frame and not at the new scope.
 */
static void check_frames(
	const struct fiber *fiber, const struct scope *scope, const char *site, const char *frame)
{
	const char *outer = (const char *)fiber->scopes;
	char text[256];

	if (outer < fiber->low || outer >= frame)
		return;
	snprintf(text, sizeof(text), "its function has left it open, seen at the opening of %s %s",
		scope->ops->what, site);
	die(fiber->scope_ops, fiber->scope_site, text);
}

void rota__scope_push(struct loop *loop, struct scope *scope, const char *site, const void *frame)
{
	struct fiber *fiber = loop->running->fiber;

	scope->task = loop->running;
	scope->home = loop;
	scope->site = site;
	scope->outer = fiber->scopes;
	scope->struck = false;
	scope->in_force = !scope->shield && fiber->struck;
	if (unlikely(a32_load_relaxed(&loop->watched) & LOOP_WATCH_DEBUG) && fiber->scopes)
		check_frames(fiber, scope, site, frame);
	fiber->scopes = scope;
	fiber->scope_ops = scope->ops;
	fiber->scope_site = site;
	fiber->struck = scope->in_force;
}

void rota__scope_pop(struct loop *loop, struct scope *scope)
{
	struct fiber *fiber = loop->running->fiber;
	struct scope *outer = scope->outer;

	rota__scope_check(loop, scope);
	fiber->scopes = outer;
	fiber->struck = fiber->outside;
	if (!outer)
		return;
	fiber->struck = outer->in_force;
	fiber->scope_ops = outer->ops;
	fiber->scope_site = outer->site;
}

/* A cancel has come into force in `from` (NULL: around all scopes): takes it inwards. */
static void spread(struct loop *loop, struct rota_task *task, struct scope *from)
{
	struct fiber *fiber = task->fiber;
	struct scope *first = fiber->scopes;

	/* A shield keeps what is inside it out of this. */
	for (struct scope *at = fiber->scopes; at != from; at = at->outer)
		if (at->shield)
			first = at->outer;
	/* Its own wait first: else the end of members would end a wait for them with 0. */
	if (first == fiber->scopes && !fiber->struck) {
		fiber->struck = true;
		rota__task_interrupt(loop, task);
	}
	for (struct scope *at = first; at; at = at->outer) {
		if (!at->in_force) {
			at->in_force = true;
			if (at->ops->in_force)
				at->ops->in_force(loop, at);
		}
		if (at == from)
			break;
	}
}

void rota__scope_strike(struct loop *loop, struct scope *scope)
{
	if (scope->struck)
		return;
	scope->struck = true;
	spread(loop, scope->task, scope);
}

bool rota__scope_is_cancelled_around(const struct scope *scope)
{
	return scope->outer ? scope->outer->in_force : scope->task->fiber->outside;
}

void rota__scope_unshield(struct loop *loop, struct scope *scope)
{
	scope->shield = false;
	if (rota__scope_is_cancelled_around(scope))
		spread(loop, scope->task, scope);
}

void rota__task_strike(struct loop *loop, struct rota_task *task)
{
	if (task->fiber->outside)
		return;
	task->fiber->outside = true;
	spread(loop, task, NULL);
}

const char *rota__scope_reason(const struct rota_task *task, const struct scope *scope)
{
	const struct task_extra *extra;
	const char *reason;

	for (; scope; scope = scope->outer) {
		if (!scope->struck && !scope->shield)
			continue;
		reason = scope->struck ? scope->ops->reason(scope) : NULL;
		return reason ? reason : "";
	}
	/* Pairs with: rota__task_extra(). */
	extra = task->fiber->outside ? aptr_load_acquire(&task->extra) : NULL;
	/* Pairs with: rota__task_reason_set(). Written once. */
	return extra && a32_load_acquire(&extra->has_reason) ? extra->cancel_reason : "";
}

void rota__scope_settle(struct loop *loop, struct scope *scope)
{
	/* Pairs with: whoever set SCOPE_POSTED; it sends the link at once. */
	while (a32_load_acquire(&scope->word) & SCOPE_POSTED) {
		rota__loop_drain(loop);
		cpu_relax();
	}
}
