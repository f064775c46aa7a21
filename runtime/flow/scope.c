/* SPDX-License-Identifier: MIT */
/*
 * Scopes with a deadline, and shields. How a cancel comes into force is in core/scope.h; here is
 * what strikes: a timer of the scope's loop, or rota_scope_cancel() from anywhere.
 *
 * `word` says OPEN, and which of the two came first: CANCELLED or TIMED_OUT, set by CAS while OPEN.
 * Whoever set CANCELLED owns the scope's link and sends it, with SCOPE_POSTED set by the same CAS;
 * the close takes OPEN away, then waits until a posted link has come. So a cancel that races with
 * the close either sees it closed and touches nothing more, or is waited for:
 *
 *	canceller: CAS OPEN -> OPEN|CANCELLED|POSTED, send
 *	close: take OPEN away, wait for POSTED
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "flow/group.h"
#include "flow/scope.h"
#include "os/seam.h"

/* What a struct rota_scope is. */
struct timed_scope {
	struct scope scope;
	struct timer timer; /* the deadline; a shield's limit */
	char *reason;	    /* whoever set CANCELLED; rota__free() */
};

_Static_assert(sizeof(struct timed_scope) <= sizeof(struct rota_scope), "fits the public struct");

#define SCOPE_OVER (SCOPE_CANCELLED | SCOPE_TIMED_OUT)

/* rota_cancelled() reads the clock each so many times only. */
#define LOOKS_PER_CLOCK 16

static const char no_timer[] = "no memory for a timer";

static struct timed_scope *timed_scope(struct rota_scope *scope)
{
	return (struct timed_scope *)(void *)scope;
}

/* Sets `bits` if the scope is open and has not struck yet. */
static bool claim_strike(struct scope *scope, uint32_t bits)
{
	uint32_t word = a32_load_relaxed(&scope->word);

	do
		if (!(word & SCOPE_OPEN) || (word & SCOPE_OVER))
			return false;
	/* Pairs with: rota_scope_close(), rota_scope_cause(). */
	while (!a32_cas_acq_rel(&scope->word, &word, word | bits));
	return true;
}

static void deadline_fire(struct loop *loop, struct timer *timer)
{
	struct timed_scope *timed = container_of(timer, struct timed_scope, timer);

	if (timed->scope.shield)
		rota__scope_unshield(loop, &timed->scope);
	else if (claim_strike(&timed->scope, SCOPE_TIMED_OUT))
		rota__scope_strike(loop, &timed->scope);
}

static void arrived(struct loop *loop, struct scope *scope)
{
	/* Pairs with: claim_strike(). The close goes on after this. */
	a32_add_acq_rel(&scope->word, (uint32_t)0 - SCOPE_POSTED);
	rota__scope_strike(loop, scope);
}

static const char *reason(const struct scope *scope)
{
	const struct timed_scope *timed = container_of(scope, struct timed_scope, scope);

	if (a32_load_relaxed(&scope->word) & SCOPE_TIMED_OUT)
		return "deadline";
	return timed->reason;
}

static const struct scope_ops timed_ops = { .what = "scope", .arrived = arrived, .reason = reason };
static const struct scope_ops shield_ops = {
	.what = "shield",
	.arrived = arrived,
	.reason = reason,
};

/* Open and close. `frame` is that of the public call, for the debug check. */

/* Strikes from within the task itself: a deadline that is past, or no timer for it. */
static void strike_now(struct loop *loop, struct timed_scope *timed, uint32_t cause)
{
	if (claim_strike(&timed->scope, cause))
		rota__scope_strike(loop, &timed->scope);
}

/* Sets the timer of an open scope; now_ns: the clock, or anything before when_ns. */
static void set_timer(struct loop *loop, struct timed_scope *timed, int64_t when_ns, int64_t now_ns)
{
	if (when_ns == ROTA_FOREVER)
		return;
	if (when_ns <= now_ns) {
		deadline_fire(loop, &timed->timer);
	} else if (rota__timer_set(&loop->timers, &timed->timer, when_ns)) {
		/* Better too early than never. */
		timed->reason = rota__alloc(sizeof(no_timer));
		if (timed->reason)
			memcpy(timed->reason, no_timer, sizeof(no_timer));
		strike_now(loop, timed, SCOPE_CANCELLED);
	}
}

static void open_until(const char *site, struct rota_scope *public, int64_t when_ns, int64_t now_ns,
	const struct scope_ops *ops, const void *frame)
{
	struct timed_scope *timed = timed_scope(public);
	struct loop *loop = rota__loop_self();

	/* Somebody may try to cancel it, as it was before: he looks at the word alone. */
	a32_store_relaxed(&timed->scope.word, 0);
	timed->scope.ops = NULL;
	if (!loop || !loop->running)
		return;
	timed->scope.ops = ops;
	timed->scope.shield = ops == &shield_ops;
	timed->timer = (struct timer){ .fire = deadline_fire };
	timed->reason = NULL;
	rota__scope_push(loop, &timed->scope, site, frame);
	/* Pairs with: claim_strike(). From here on it can be struck. */
	a32_store_release(&timed->scope.word, SCOPE_OPEN);
	set_timer(loop, timed, when_ns, now_ns);
}

static void open_for(const char *site, struct rota_scope *public, int64_t duration_ns,
	const struct scope_ops *ops, const void *frame)
{
	int64_t now_ns;

	/* Neither for ever nor at once needs the clock. */
	if (duration_ns == ROTA_FOREVER || duration_ns <= 0) {
		open_until(site, public, duration_ns <= 0 ? 0 : ROTA_FOREVER, 0, ops, frame);
		return;
	}
	now_ns = rota_now();
	open_until(site, public, time_after(now_ns, duration_ns), now_ns, ops, frame);
}

void rota_scope_open_at(const char *site, struct rota_scope *scope, int64_t timeout_ns)
{
	open_for(site, scope, timeout_ns, &timed_ops, __builtin_frame_address(0));
}

void rota_scope_open_until_at(const char *site, struct rota_scope *scope, int64_t when_ns)
{
	open_until(site, scope, when_ns, rota_now(), &timed_ops, __builtin_frame_address(0));
}

void rota_shield_open_at(const char *site, struct rota_scope *scope, int64_t limit_ns)
{
	open_for(site, scope, limit_ns, &shield_ops, __builtin_frame_address(0));
}

void rota_scope_open_auto_at(const char *site, struct rota_scope *scope, int64_t timeout_ns)
{
	rota_scope_open_at(site, scope, timeout_ns);
}

void rota_shield_open_auto_at(const char *site, struct rota_scope *scope, int64_t limit_ns)
{
	rota_shield_open_at(site, scope, limit_ns);
}

void(rota_scope_open)(struct rota_scope *scope, int64_t timeout_ns)
{
	rota_scope_open_at("scope", scope, timeout_ns);
}

void(rota_scope_open_until)(struct rota_scope *scope, int64_t when_ns)
{
	rota_scope_open_until_at("scope", scope, when_ns);
}

void(rota_shield_open)(struct rota_scope *scope, int64_t limit_ns)
{
	rota_shield_open_at("shield", scope, limit_ns);
}

int rota_scope_close(struct rota_scope *public, int status)
{
	struct timed_scope *timed = timed_scope(public);
	struct loop *loop = rota__loop_self();
	struct scope *scope = &timed->scope;
	uint32_t word;

	if (!loop || !loop->running)
		return rota__no_loop();
	if (!scope->ops)
		return -EINVAL;
	rota__scope_check(loop, scope);
	rota__timer_clear(&loop->timers, &timed->timer);
	word = a32_load_relaxed(&scope->word);
	/* Pairs with: claim_strike(). From now on nobody begins to cancel it. */
	while (!a32_cas_acq_rel(&scope->word, &word, word & ~SCOPE_OPEN))
		;
	/* A link under way strikes it while it is still in the chain. */
	if (unlikely(word & SCOPE_POSTED))
		rota__scope_settle(loop, scope);
	rota__scope_pop(loop, scope);
	scope->ops = NULL;
	rota__free(timed->reason);
	timed->reason = NULL;
	/* An outer cancel that is in force as well goes on as it is. */
	if (status == -ECANCELED && (word & SCOPE_TIMED_OUT) && !loop->running->fiber->struck)
		return -ETIMEDOUT;
	return status;
}

void rota_scope_cleanup(struct rota_scope *scope)
{
	if (timed_scope(scope)->scope.ops)
		(void)rota_scope_close(scope, 0);
}

/* Cancel, and moving the deadline. */

void rota_scope_cancel(struct rota_scope *public, const char *why)
{
	struct timed_scope *timed = timed_scope(public);
	struct scope *scope = &timed->scope;
	struct loop *loop = rota__loop_self();
	char *copy = NULL;

	if (!(a32_load_relaxed(&scope->word) & SCOPE_OPEN))
		return;
	if (why && why[0]) {
		copy = rota__alloc(64);
		if (copy)
			snprintf(copy, 64, "%s", why);
	}
	/* The runtime stays while the scope is open, and for us until the visit is over. */
	if (!rota__visit(loop)) {
		rota__free(copy);
		return;
	}
	if (!claim_strike(scope, SCOPE_CANCELLED | SCOPE_POSTED)) {
		rota__free(copy);
	} else {
		timed->reason = copy;
		if (loop == scope->home)
			arrived(loop, scope);
		else
			rota__loop_send(loop, scope->home, &scope->link, INBOX_SCOPE);
	}
	rota__visit_end(loop);
}

/* The deadlines of groups inside a scope whose own was moved. */
static void deadlines_moved(struct loop *loop, const struct scope *scope)
{
	for (struct scope *at = loop->running->fiber->scopes; at != scope; at = at->outer)
		if (at->ops != &timed_ops && at->ops != &shield_ops)
			a64_store_relaxed(&group_of_scope(at)->deadline_ns,
				(uint64_t)rota__deadline(loop, at));
}

void rota_scope_set_deadline(struct rota_scope *public, int64_t when_ns)
{
	struct timed_scope *timed = timed_scope(public);
	struct loop *loop = rota__loop_self();
	struct scope *scope = &timed->scope;

	if (!loop || !scope->ops || scope->task != loop->running)
		return;
	if (a32_load_relaxed(&scope->word) & SCOPE_OVER)
		return;
	/* A shield whose limit has passed holds nothing off any more. */
	if (scope->ops == &shield_ops && !scope->shield)
		return;
	rota__timer_clear(&loop->timers, &timed->timer);
	set_timer(loop, timed, when_ns, rota_now());
	deadlines_moved(loop, scope);
}

int rota_scope_cause(const struct rota_scope *public)
{
	const struct timed_scope *timed = (const struct timed_scope *)(const void *)public;
	uint32_t word = a32_load_acquire(&timed->scope.word); /* Pairs with: claim_strike(). */

	if (word & SCOPE_TIMED_OUT)
		return -ETIMEDOUT;
	return word & SCOPE_CANCELLED ? -ECANCELED : 0;
}

/* Questions of the running task. */

/* A loop that computes does not turn: what would strike the task is taken in here. */
static void look(struct loop *loop)
{
	if (!inbox_empty(&loop->inbox))
		rota__loop_drain(loop);
	if (++loop->looks % LOOKS_PER_CLOCK == 0 && loop->timers.count)
		rota__timers_fire(&loop->timers, loop, rota_now());
}

int rota_cancelled(void)
{
	struct loop *loop = rota__loop_self();

	if (!loop || !loop->running)
		return 0;
	if (!task_is_cancelled(loop->running))
		look(loop);
	return task_is_cancelled(loop->running) ? -ECANCELED : 0;
}

const char *rota_cancel_reason(void)
{
	struct loop *loop = rota__loop_self();

	if (!loop || !loop->running || !task_is_cancelled(loop->running))
		return "";
	return rota__scope_reason(loop->running, loop->running->fiber->scopes);
}

/* Whether a task is in a group at all; the main task is not. */
static const struct group *group_around(const struct rota_task *task)
{
	return task->owner->task ? group_of_scope(task->owner) : NULL;
}

int rota_draining(void)
{
	const struct loop *loop = rota__loop_self();
	const struct group *group;

	if (!loop || !loop->running)
		return 0;
	/* Owners outlive their groups, and groups their members: all of this is there. */
	for (group = group_around(loop->running); group; group = group_around(group->scope.task))
		if (a32_load_relaxed(&group->doom) == DOOM_DRAIN)
			return 1;
	return 0;
}

/* The deadline of a scope itself; for one that was struck it is past. */
static int64_t own_deadline(const struct loop *loop, const struct scope *scope)
{
	const struct timer *timer;

	if (scope->struck)
		return INT64_MIN;
	if (scope->ops != &timed_ops && scope->ops != &shield_ops)
		return group_of_scope(scope)->extra ? group_of_scope(scope)->extra->timeout_when_ns
						    : ROTA_FOREVER;
	timer = &container_of(scope, struct timed_scope, scope)->timer;
	return timer->index ? loop->timers.slot[timer->index - 1].when_ns : ROTA_FOREVER;
}

/*
 * Each scope turns the deadline around it into the one inside: the earlier one of it and its own;
 * a shield the later one of it and its limit. From the innermost outwards these are put together
 * into one bound from below and one from above.
 */
int64_t rota__deadline(const struct loop *loop, const struct scope *scope)
{
	const struct group *around = group_around(loop->running);
	int64_t low = INT64_MIN;
	int64_t high = ROTA_FOREVER;
	int64_t outside = ROTA_FOREVER;

	for (; scope; scope = scope->outer) {
		int64_t own = own_deadline(loop, scope);

		/* The cancel of a shield itself is in force inside it as in any scope. */
		if (scope->shield && !scope->struck && own > low)
			low = own < high ? own : high;
		else if ((!scope->shield || scope->struck) && own < high)
			high = own > low ? own : low;
	}
	if (loop->running->fiber->outside)
		outside = INT64_MIN;
	else if (around)
		outside = (int64_t)a64_load_relaxed(&around->deadline_ns);
	if (outside < low)
		return low;
	return outside < high ? outside : high;
}

int64_t rota_deadline(void)
{
	const struct loop *loop = rota__loop_self();

	if (!loop || !loop->running)
		return ROTA_FOREVER;
	return rota__deadline(loop, loop->running->fiber->scopes);
}
