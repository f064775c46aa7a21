/* SPDX-License-Identifier: MIT */
/* Groups: open, cancel, close. The protocol is in flow/group.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/create.h"
#include "flow/deadlock.h"
#include "flow/group.h"
#include "flow/scope.h"
#include "os/seam.h"

static const struct scope_ops group_ops;

#define REASON_BYTES 64

/* Options. */

static void timeout_fire(struct loop *loop, struct timer *timer)
{
	struct group_extra *extra = container_of(timer, struct group_extra, timeout);

	rota__group_cancel(loop, extra->group, CAUSE_TIMEOUT);
}

static void cancel_members(struct loop *home, struct group *group);

static void grace_fire(struct loop *loop, struct timer *timer)
{
	cancel_members(loop, container_of(timer, struct group_extra, grace)->group);
}

static int check_options(const struct rota_group_options *options)
{
	for (size_t i = 0; i < ARRAY_SIZE(options->reserved); i++)
		if (options->reserved[i])
			return -EINVAL;
	if (options->flags & ~(ROTA_SPAWN_LOCAL | ROTA_GROUP_KEEP) || options->timeout_ns < 0 ||
		options->grace_ns < 0 || options->policy > ROTA_GROUP_SUPERVISE)
		return -EINVAL;
	return 0;
}

/* Whether an option asks for more than flags. */
static bool needs_extra(const struct rota_group_options *options)
{
	return options->name || options->limit || options->timeout_ns || options->grace_ns ||
	       options->flags & ROTA_GROUP_KEEP;
}

static int apply_options(
	struct loop *loop, struct group *group, const struct rota_group_options *options)
{
	struct group_extra *extra;
	int err = check_options(options);

	if (err)
		return err;
	group->policy = (uint8_t)options->policy;
	group->local_only = options->flags & ROTA_SPAWN_LOCAL;
	if (!needs_extra(options))
		return 0;
	extra = rota__alloc(sizeof(*extra));
	if (!extra)
		return -ENOMEM;
	group->extra = extra;
	extra->group = group;
	extra->limit = options->limit;
	extra->grace_ns = options->grace_ns;
	extra->keep = options->flags & ROTA_GROUP_KEEP;
	extra->timeout.fire = timeout_fire;
	extra->grace.fire = grace_fire;
	extra->timeout_when_ns = ROTA_FOREVER;
	list_init(&extra->kept);
	if (options->name)
		snprintf(extra->name, sizeof(extra->name), "%s", options->name);
	if (!options->timeout_ns || options->timeout_ns == ROTA_FOREVER)
		return 0;
	extra->timeout_when_ns = time_after(rota_now(), options->timeout_ns);
	return rota__timer_set(&loop->timers, &extra->timeout, extra->timeout_when_ns);
}

static void in_force(struct loop *home, struct scope *scope);

void rota__group_open(struct loop *loop, struct group *group, const char *site,
	const struct rota_group_options *options, const void *frame)
{
	memset(group, 0, sizeof(*group));
	group->scope.ops = &group_ops;
	list_init(&group->members);
	rota__scope_push(loop, &group->scope, site, frame);
	group->member_flags = TASK_LINKED | loop->rt->stack_class << TASK_STACK_SHIFT;
	group->special = options != NULL;
	if (options)
		group->option_error = apply_options(loop, group, options);
	a64_store_relaxed(&group->deadline_ns, (uint64_t)rota__deadline(loop, &group->scope));
	if (unlikely(group->scope.in_force))
		in_force(loop, &group->scope);
}

void rota_group_open_at(
	const char *site, struct rota_group *group, const struct rota_group_options *options)
{
	struct loop *loop = rota__loop_self();

	if (loop && loop->running)
		rota__group_open(loop, group_of(group), site, options, __builtin_frame_address(0));
	else
		memset(group, 0, sizeof(*group));
}

void rota_group_open_auto_at(
	const char *site, struct rota_group *group, const struct rota_group_options *options)
{
	rota_group_open_at(site, group, options);
}

void(rota_group_open)(struct rota_group *group, const struct rota_group_options *options)
{
	rota_group_open_at("group", group, options);
}

/* Cancel. */

static const char *reason(const struct scope *scope)
{
	const struct group *group = group_of_scope(scope);
	const char *given = aptr_load_acquire(&group->reason); /* Pairs with: keep_reason(). */
	uint32_t causes = a32_load_relaxed(&group->causes);

	if (given)
		return given;
	if (causes & CAUSE_FAILED)
		return "a member of the group failed";
	if (causes & CAUSE_WON)
		return "a member of the group has won";
	if (causes & CAUSE_TIMEOUT)
		return "the group's time is up";
	return NULL;
}

/* Keeps the first reason in `cell`. */
static void keep_reason(struct aptr *cell, const char *why)
{
	void *none = NULL;
	char *copy;

	if (!why || !why[0] || aptr_load_relaxed(cell))
		return;
	copy = rota__alloc(REASON_BYTES);
	if (!copy)
		return;
	snprintf(copy, REASON_BYTES, "%s", why);
	/* Pairs with: reason(), rota__group_reason(). */
	if (!aptr_cas_acq_rel(cell, &none, copy))
		rota__free(copy);
}

const char *rota__group_reason(const struct group *group)
{
	const char *own = reason(&group->scope);

	/* Pairs with: keep_reason(). */
	return own ? own : aptr_load_acquire(&group->around_reason);
}

/* At home; again does nothing. */
static void cancel_members(struct loop *home, struct group *group)
{
	const char *why;

	if (a32_load_relaxed(&group->doom) == DOOM_CANCELLED)
		return;
	if (group->extra)
		rota__timer_clear(&home->timers, &group->extra->grace);
	a32_store_relaxed(&group->doom, DOOM_CANCELLED);
	/* Pairs with: link_elsewhere(). Drained after doom is there: see flow/group.h. */
	fence_seq_cst();
	rota__group_drain(home, group);
	why = rota__scope_reason(group->scope.task, &group->scope);
	if (!group->scope.struck)
		keep_reason(&group->around_reason, why); /* for members to come */
	rota__list_for_each_safe(node, next, &group->members)
		rota__task_cancel_member(home, container_of(node, struct rota_task, member), why);
}

/* A cancel is in force inside the group, by a cause of its own or from around it. */
static void in_force(struct loop *home, struct scope *scope)
{
	struct group *group = group_of_scope(scope);
	struct group_extra *extra = group->extra;

	if (scope->struck) {
		cancel_members(home, group);
		return;
	}
	a32_or_acq_rel(&group->causes, CAUSE_OUTSIDE); /* Pairs with: itself; a cause among many. */
	group->applied |= CAUSE_OUTSIDE;
	if (!extra || !extra->grace_ns || a32_load_relaxed(&group->doom)) {
		cancel_members(home, group);
		return;
	}
	/* Without memory for the timer the grace ends before it begins. */
	if (extra->grace_ns != ROTA_FOREVER && rota__timer_set(&home->timers, &extra->grace,
						       time_after(rota_now(), extra->grace_ns)))
		cancel_members(home, group);
	else
		a32_store_relaxed(&group->doom, DOOM_DRAIN);
}

/* Gives the causes that have come in their effect. At home. */
static void apply_causes(struct loop *home, struct group *group)
{
	uint32_t come = a32_load_relaxed(&group->causes) & ~group->applied;

	group->applied |= come;
	/* The owner first: the cancel cuts its wait for the members short, not their end. */
	if (come & CAUSES_OF_OWN)
		rota__scope_strike(home, &group->scope);
	if (come)
		cancel_members(home, group); /* no grace, also if a cancel was in force before */
}

static void arrived(struct loop *home, struct scope *scope)
{
	struct group *group = group_of_scope(scope);

	/* Pairs with: rota__group_post(). What comes from now on posts anew. */
	a32_add_acq_rel(&scope->word, (uint32_t)0 - SCOPE_POSTED);
	apply_causes(home, group);
	rota__group_drain(home, group);
}

void rota__group_post(struct loop *loop, struct group *group)
{
	/* Pairs with: arrived(). Whoever sets it owns the link. */
	if (!(a32_or_acq_rel(&group->scope.word, SCOPE_POSTED) & SCOPE_POSTED))
		rota__loop_send(loop, group->scope.home, &group->scope.link, INBOX_SCOPE);
}

void rota__group_cancel(struct loop *loop, struct group *group, uint32_t cause)
{
	/* Pairs with: apply_causes(), by way of the link. */
	a32_or_acq_rel(&group->causes, cause);
	if (loop == group->scope.home)
		apply_causes(loop, group);
	else
		rota__group_post(loop, group);
}

static const struct scope_ops group_ops = {
	.what = "group",
	.in_force = in_force,
	.arrived = arrived,
	.reason = reason,
	.failed = rota__group_failed,
	.ended = rota__group_ended,
	.awaited = rota__report_awaited,
};

void rota_group_cancel(struct rota_group *public, const char *why)
{
	struct group *group = group_of(public);

	if (!group->scope.ops)
		return;
	if (!(a32_load_relaxed(&group->causes) & CAUSES_OF_OWN))
		keep_reason(&group->reason, why);
	rota__group_cancel(rota__loop_self(), group, CAUSE_EXPLICIT);
}

/* Closing. */

/* What a group that was cut short returns, or `status` if it was not. */
static int result_of_causes(const struct group *group, int status)
{
	uint32_t causes = a32_load_relaxed(&group->causes);

	if (rota__scope_is_cancelled_around(&group->scope))
		return -ECANCELED;
	if (causes & CAUSE_TIMEOUT)
		return -ETIMEDOUT;
	if ((causes & CAUSE_EXPLICIT) && status >= 0)
		return 0;
	return status;
}

/* What the close returns: the table in rota/group.h. */
static int group_result(const struct group *group, int status)
{
	uint32_t causes = a32_load_relaxed(&group->causes);
	int error = (int)a32_load_acquire(&group->error); /* Pairs with: rota__group_failed(). */
	int spawn_error = (int)a32_load_relaxed(&group->spawn_error);
	bool cut_short = causes & (CAUSE_OUTSIDE | CAUSE_TIMEOUT | CAUSE_EXPLICIT);

	if (group->option_error)
		return group->option_error;
	if (status < 0 && status != -ECANCELED)
		return status;
	if (causes & CAUSE_WON)
		return 0;
	/* Cut short before one has won: so not all have failed. */
	if (group->policy == ROTA_GROUP_FIRST_WINS && cut_short)
		return result_of_causes(group, status);
	if (error)
		return error;
	if (spawn_error)
		return spawn_error;
	return result_of_causes(group, status);
}

static void group_finish(struct loop *home, struct group *group, int result)
{
	/* The link of a member was sent before the member was counted out. */
	rota__scope_settle(home, &group->scope);
	rota__group_drain(home, group);
	rota__group_forget(home, group);
	rota__scope_pop(home, &group->scope);
	rota__report_take(home, group, result);
	group->scope.ops = NULL;
	group->scope.home = NULL;
	if (group->extra) {
		rota__timer_clear(&home->timers, &group->extra->timeout);
		rota__timer_clear(&home->timers, &group->extra->grace);
	}
	rota__free(aptr_load_relaxed(&group->reason));
	rota__free(aptr_load_relaxed(&group->around_reason));
	rota__free(group->extra);
	group->extra = NULL;
}

/* With ROTA_CONFIG_DEBUG a cycle of waits is looked for first: it aborts. */
static void join(struct loop *home, struct group *group)
{
	if (unlikely(a32_load_relaxed(&home->watched) & LOOP_WATCH_DEBUG)) {
		struct edge edge = {
			.kind = EDGE_GROUP,
			.waiter = (uintptr_t)home->running,
			.target = &group->scope,
		};

		(void)rota__deadlock_enter(home, &edge);
		rota__group_join(home, group);
		rota__deadlock_leave(&edge);
	} else {
		rota__group_join(home, group);
	}
}

int rota_group_close(struct rota_group *public, int status)
{
	struct group *group = group_of(public);
	struct loop *loop = rota__loop_self();
	int result;

	if (!loop || !loop->running)
		return rota__no_loop();
	if (!group->scope.ops)
		return -EINVAL;
	rota__scope_check(loop, &group->scope);
	/* What came from outside leaves the members their grace. */
	if (status < 0 && !(status == -ECANCELED && a32_load_relaxed(&group->doom) == DOOM_DRAIN))
		rota__group_cancel(loop, group, CAUSE_CLOSING);
	join(loop, group);
	result = group_result(group, status);
	group_finish(loop, group, result);
	return result;
}

void rota_group_cleanup(struct rota_group *public)
{
	struct loop *loop = rota__loop_self();
	struct report *report;
	int result;

	if (!loop || !group_of(public)->scope.ops)
		return;
	result = rota_group_close(public, -ECANCELED);
	if (result >= 0 || result == -ECANCELED)
		return;
	report = rota__report_create(loop->running, result);
	rota__report_unjoined(loop, report, true);
	rota__free(report);
}
