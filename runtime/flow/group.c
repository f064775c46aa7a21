/* SPDX-License-Identifier: MIT */
/* Groups: open, the end of members, cancel, close. The protocol is in flow/group.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/create.h"
#include "flow/group.h"
#include "os/seam.h"

static const struct owner_ops group_ops;

/* A misuse that cannot be gone on from: says which group, then aborts. */
static ROTA__COLD ROTA__NORETURN void die(const struct group *group, const char *what)
{
	char text[256];

	snprintf(text, sizeof(text), "rota: group %s: %s\n", group->owner.site, what);
	rota__write_text(2, text);
	abort();
}

/* Options. */

static void timeout_fire(struct loop *loop, struct timer *timer)
{
	struct group_extra *extra = container_of(timer, struct group_extra, timeout);

	rota__group_cancel(loop, extra->group, CAUSE_TIMEOUT);
}

static int check_options(const struct rota_group_options *options)
{
	for (size_t i = 0; i < ARRAY_SIZE(options->reserved); i++)
		if (options->reserved[i])
			return -EINVAL;
	if (options->flags & ~ROTA_SPAWN_LOCAL || options->timeout_ns < 0)
		return -EINVAL;
	if (options->policy != ROTA_GROUP_FAIL_FAST || options->grace_ns)
		return -ENOTSUP;
	return 0;
}

static int apply_options(
	struct loop *loop, struct group *group, const struct rota_group_options *options)
{
	struct group_extra *extra;
	int err = check_options(options);

	if (err)
		return err;
	group->spawn_flags = options->flags;
	if (!options->name && !options->limit && !options->timeout_ns)
		return 0;
	extra = rota__alloc(sizeof(*extra));
	if (!extra)
		return -ENOMEM;
	group->extra = extra;
	extra->group = group;
	extra->limit = options->limit;
	extra->timeout.fire = timeout_fire;
	list_init(&extra->waiters);
	if (options->name)
		snprintf(extra->name, sizeof(extra->name), "%s", options->name);
	if (!options->timeout_ns || options->timeout_ns == ROTA_FOREVER)
		return 0;
	return rota__timer_set(
		&loop->timers, &extra->timeout, time_after(rota_now(), options->timeout_ns));
}

void rota__group_open(struct loop *loop, struct group *group, const char *site,
	const struct rota_group_options *options)
{
	struct fiber *fiber = loop->running->fiber;

	memset(group, 0, sizeof(*group));
	group->owner.ops = &group_ops;
	group->owner.task = loop->running;
	group->owner.home = loop;
	group->owner.site = site;
	group->owner.outer = fiber->groups;
	list_init(&group->members);
	fiber->groups = &group->owner;
	if (task_is_cancelled(loop->running)) {
		a32_store_relaxed(&group->causes, CAUSE_OUTSIDE);
		group->applied = CAUSE_OUTSIDE;
	}
	group->member_flags = TASK_LINKED | loop->rt->stack_class << TASK_STACK_SHIFT;
	group->special = options != NULL;
	if (options)
		group->option_error = apply_options(loop, group, options);
}

void rota_group_open_at(
	const char *site, struct rota_group *group, const struct rota_group_options *options)
{
	struct loop *loop = rota__loop_self();

	if (loop && loop->running)
		rota__group_open(loop, group_of(group), site, options);
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

static void post(struct loop *loop, struct group *group);

/* Members that end. */

/* The group's part in the block is over. At home. */
static void member_gone(struct loop *home, struct rota_task *task)
{
	list_remove(&task->member);
	task_unref(home, home->rt, task);
}

static bool has_handle(const struct rota_task *task)
{
	return a32_load_relaxed(&task->flags) & TASK_HANDLE;
}

/* The event of an end elsewhere has come home: the block goes, or stays for a handle's sake. */
static void ended_arrived(struct loop *home, struct rota_task *task)
{
	if (!has_handle(task) || !rota__task_keep(task))
		member_gone(home, task);
}

void rota__group_drain(struct loop *home, struct group *group)
{
	uintptr_t at = inbox_empty(&group->events) ? 0 : inbox_drain(&group->events);

	while (at) {
		struct inbox_node *node = inbox_node(at);
		unsigned int event = inbox_tag(at);
		struct rota_task *task = task_of_link(node);

		at = node->next;
		switch (event) {
		case EVENT_ARRIVED:
			task = container_of(node, struct rota_task, arrival);
			list_add_tail(&group->members, &task->member);
			/* Pairs with: ended_elsewhere(). It ended before it was linked? */
			if (a32_or_acq_rel(&task->flags, TASK_LINKED) & TASK_ENDED)
				ended_arrived(home, task);
			break;
		case EVENT_ENDED:
			ended_arrived(home, task);
			break;
		default: /* EVENT_RELEASED */
			member_gone(home, task);
		}
	}
}

/*
 * Takes one from a count that the owner waits on: true when it was the last, and the owner is the
 * caller's to wake. The last touch of the group.
 */
static bool count_out(struct group *group)
{
	uint64_t count = a64_load_relaxed(&group->remote);
	uint64_t next;

	/* Pairs with: arm(), wait_abort(). */
	do
		next = count == GROUP_WAIT + 1 ? 0 : count - 1;
	while (!a64_cas_acq_rel(&group->remote, &count, next));
	return count == GROUP_WAIT + 1;
}

/*
 * The owner waits and no member of home's own count is left: from now on the last one to be
 * counted out of `remote` wakes it. True when there is none any more.
 */
static bool arm(struct group *group)
{
	uint64_t add = GROUP_WAIT + a64_load_relaxed(&group->local);
	uint64_t count;

	group->armed = true;
	a64_store_relaxed(&group->local, 0);
	/* Pairs with: count_out(). */
	count = a64_add_acq_rel(&group->remote, add) + add;
	/* A spawn and its end may have come in between: then that end does it. */
	return count == GROUP_WAIT && a64_cas_acq_rel(&group->remote, &count, 0);
}

/* The first failure cancels the rest; later ones are nobody's but the hook's. */
static void member_failed(struct loop *loop, struct group *group, struct rota_task *task)
{
	uint32_t flags = a32_load_relaxed(&task->flags);
	uint32_t none = 0;
	struct report *report;

	if (task->status == -ECANCELED && (flags & (TASK_CANCELLED | TASK_BY_ITSELF)))
		return;
	report = rota__report_create(task, task->status);
	/* Pairs with: the load in group_result(), by way of the count. */
	if (group->background || !a32_cas_acq_rel(&group->error, &none, (uint32_t)task->status)) {
		rota__report_unjoined(loop, report, group->background);
		rota__free(report);
		return;
	}
	aptr_store_release(&group->report, report); /* Pairs with: the load in take_report(). */
	rota__group_cancel(loop, group, CAUSE_FAILED);
}

static void ended_elsewhere(struct loop *loop, struct group *group, struct rota_task *task)
{
	struct rota_task *owner = group->owner.task;
	struct loop *home = group->owner.home;

	if (has_handle(task))
		rota__task_waiters_close(loop, task, false);
	/* Pairs with: rota__group_drain(). Not linked yet: the home finds TASK_ENDED. */
	if (a32_or_acq_rel(&task->flags, TASK_ENDED) & TASK_LINKED)
		inbox_push(&group->events, &task->link, EVENT_ENDED);
	if (unlikely(a32_add_relaxed(&group->undrained, 1) % EVENTS_MAX == EVENTS_MAX - 1))
		post(loop, group);
	if (count_out(group))
		rota__loop_send(loop, home, &owner->link, INBOX_TASK);
}

/* One less at home: true when the owner has waited for it. */
static bool count_out_at_home(struct group *group)
{
	if (unlikely(group->armed))
		return count_out(group);
	a64_count(&group->local, (uint64_t)-1);
	/* A single loop, see wait_empty(). Zero or below: what is left is counted in remote. */
	return group->waiting && (int64_t)a64_load_relaxed(&group->local) <= 0 && arm(group);
}

static void ended_at_home(struct loop *home, struct group *group, struct rota_task *task)
{
	/* KEPT must be said before the events are drained: they may give the handle back. */
	bool kept = has_handle(task) && rota__task_waiters_close(home, task, true);

	if (unlikely(!inbox_empty(&group->events)))
		rota__group_drain(home, group);
	if (!kept)
		member_gone(home, task);
	if (count_out_at_home(group))
		rota__loop_ready(home, group->owner.task);
}

static void group_ended(struct loop *loop, struct owner *owner, struct rota_task *task)
{
	struct group *group = container_of(owner, struct group, owner);

	if (unlikely(task->status < 0))
		member_failed(loop, group, task);
	if (unlikely(group->extra != NULL))
		rota__limit_release(loop, group);
	if (loop == owner->home)
		ended_at_home(loop, group, task);
	else
		ended_elsewhere(loop, group, task);
}

void rota_task_release(struct rota_task *task)
{
	struct loop *loop = rota__loop_self();
	struct group *group;

	if (!task)
		return;
	group = container_of(task->owner, struct group, owner);
	if (loop != group->owner.home) {
		/* The home lets it go: at once if it keeps it, else when it ends. */
		if (rota__task_handle_drop(task))
			inbox_push(&group->events, &task->link, EVENT_RELEASED);
		return;
	}
	/* Pairs with: rota__task_waiters_close(). KEPT at home, and we are its home: no race. */
	if (!((uintptr_t)aptr_load_acquire(&task->waiters) & WAITERS_KEPT) &&
		!rota__task_handle_drop(task))
		return;
	member_gone(loop, task);
}

/* Cancel. */

static const char *reason_of(const struct group *group)
{
	uint32_t causes = a32_load_acquire(&group->causes); /* Pairs with: rota_group_cancel(). */

	if (group->extra && group->extra->reason[0])
		return group->extra->reason;
	if (causes & CAUSE_FAILED)
		return "a member of the group failed";
	if (causes & CAUSE_TIMEOUT)
		return "the group's time is up";
	return NULL;
}

/* Gives the causes that have come in their effect. At home. */
static void apply_causes(struct loop *home, struct group *group)
{
	uint32_t come = a32_load_relaxed(&group->causes) & ~group->applied;
	bool first = group->applied == 0;
	bool of_own = (come & CAUSES_OF_OWN) && !(group->applied & CAUSES_OF_OWN);
	struct rota_task *owner = group->owner.task;

	group->applied |= come;
	if (of_own)
		owner->fiber->struck++;
	/* The owner first: the cancel cuts its wait for the members short, not their end. */
	if (of_own) {
		for (struct owner *inner = owner->fiber->groups; inner != &group->owner;
			inner = inner->outer)
			inner->ops->cancel(home, inner);
		/* Harmless while it runs: then it waits for nothing. Not so while it suspends. */
		rota__task_interrupt(home, owner);
	}
	if (!first || !come)
		return;
	/* Drained after the cause is there: see flow/group.h. */
	rota__group_drain(home, group);
	rota__list_for_each_safe(node, next, &group->members)
		rota__task_cancel_member(
			home, container_of(node, struct rota_task, member), reason_of(group));
}

static void message_arrived(struct loop *home, struct message *message)
{
	struct group *group = container_of(message, struct group, message);

	/* Pairs with: post(). What comes from now on posts anew. */
	a32_exchange_acq_rel(&group->posted, 0);
	apply_causes(home, group);
	rota__group_drain(home, group);
}

/* Sends the group's message to its home: there are causes to apply, or events to drain. */
static void post(struct loop *loop, struct group *group)
{
	/* Pairs with: message_arrived(). Whoever sets it owns the message. */
	if (a32_exchange_acq_rel(&group->posted, 1))
		return;
	group->message.arrived = message_arrived;
	rota__loop_send(loop, group->owner.home, &group->message.link, INBOX_MESSAGE);
}

void rota__group_cancel(struct loop *loop, struct group *group, uint32_t cause)
{
	/* Pairs with: the look at causes in a spawn from elsewhere (flow/spawn.c). */
	a32_or_acq_rel(&group->causes, cause);
	fence_after_rmw();
	if (loop == group->owner.home) {
		apply_causes(loop, group);
		return;
	}
	post(loop, group);
}

static void cancel_from_outside(struct loop *home, struct owner *owner)
{
	rota__group_cancel(home, container_of(owner, struct group, owner), CAUSE_OUTSIDE);
}

static const struct owner_ops group_ops = { .ended = group_ended, .cancel = cancel_from_outside };

void rota_group_cancel(struct rota_group *public, const char *reason)
{
	struct group *group = group_of(public);

	if (!group->owner.ops)
		return;
	if (group->extra) {
		/* Written before there is any cause, and read after. */
		spin_lock(&group->extra->lock);
		if (reason && !a32_load_relaxed(&group->causes))
			snprintf(group->extra->reason, sizeof(group->extra->reason), "%s", reason);
		/* Pairs with: apply_causes(). */
		a32_or_acq_rel(&group->causes, CAUSE_EXPLICIT);
		spin_unlock(&group->extra->lock);
	}
	rota__group_cancel(rota__loop_self(), group, CAUSE_EXPLICIT);
}

/* Waiting and closing. */

/* rota_group_wait() is cut short, unless the last member has done its CAS already. */
static void wait_abort(struct loop *home, struct wait *wait)
{
	struct group *group = container_of(wait->task->fiber->groups, struct group, owner);
	uint64_t count;

	while (!group->waiting)
		group = container_of(group->owner.outer, struct group, owner);
	/* Pairs with: count_out(). */
	count = a64_load_acquire(&group->remote);
	while (group->armed) {
		if (!count_is_waiting(count))
			return;
		if (a64_cas_acq_rel(&group->remote, &count, count - GROUP_WAIT))
			break;
	}
	/* Not when the owner runs again: members may end before that, and would wake it twice. */
	group->waiting = false;
	group->armed = false;
	wait->result = -ECANCELED;
	rota__loop_ready(home, wait->task);
}

static const struct wait_kind wait_kind = { .name = "group", .abort = wait_abort };
static const struct wait_kind close_kind = { .name = "group close" };

static int wait_empty(struct loop *home, struct group *group, const struct wait_kind *kind)
{
	struct wait wait = { .kind = kind, .task = home->running };
	uint64_t local = a64_load_relaxed(&group->local);

	/* Nothing is left that happened elsewhere, and nobody here. Pairs with: count_out(). */
	if (local == 0 && !a64_load_acquire(&group->remote))
		return 0;
	group->waiting = true;
	/* With other loops a member of ours may end there: armed at once. Alone, at zero. */
	if ((!home->many && (int64_t)local > 0) || !arm(group))
		rota__task_suspend(home, &wait);
	group->waiting = false;
	group->armed = false;
	return wait.result;
}

/* What the close returns: the table in api.md. */
static int group_result(const struct group *group, int status)
{
	uint32_t causes = a32_load_relaxed(&group->causes);
	int error = (int)a32_load_acquire(&group->error); /* Pairs with: member_failed(). */
	int spawn_error = (int)a32_load_relaxed(&group->spawn_error);

	if (group->option_error)
		return group->option_error;
	if (status < 0 && status != -ECANCELED)
		return status;
	if (error)
		return error;
	if (spawn_error)
		return spawn_error;
	if (causes & CAUSE_TIMEOUT)
		return -ETIMEDOUT;
	if (causes & CAUSE_OUTSIDE)
		return -ECANCELED;
	if ((causes & CAUSE_EXPLICIT) && status >= 0)
		return 0;
	return status;
}

/* The report of the first failure goes to the owner if it is what the close returns. */
static void take_report(struct loop *home, struct group *group, int result)
{
	struct report *report =
		aptr_load_acquire(&group->report); /* Pairs with: member_failed(). */
	struct task_extra *extra;

	if (!report)
		return;
	extra = report->error.status == result ? rota__task_extra(group->owner.task) : NULL;
	if (extra) {
		rota__free(extra->report);
		extra->report = report;
		return;
	}
	rota__report_unjoined(home, report, false);
	rota__free(report);
}

static void group_finish(struct loop *home, struct group *group, int result)
{
	struct fiber *fiber = group->owner.task->fiber;

	/* A message of a member was sent before the member was counted out. */
	while (a32_load_acquire(&group->posted)) /* Pairs with: post(). */
		rota__loop_drain(home);
	rota__group_drain(home, group);
	/* What is left are ended members whose handles were not given back. */
	rota__list_for_each_safe(node, next, &group->members) {
		list_remove(node);
		task_unref(home, home->rt, container_of(node, struct rota_task, member));
	}
	if (group->extra)
		rota__timer_clear(&home->timers, &group->extra->timeout);
	if (group->applied & CAUSES_OF_OWN)
		fiber->struck--;
	take_report(home, group, result);
	fiber->groups = group->owner.outer;
	group->owner.ops = NULL;
	group->owner.home = NULL;
	rota__free(group->extra);
	group->extra = NULL;
}

int rota_group_close(struct rota_group *public, int status)
{
	struct group *group = group_of(public);
	struct loop *loop = rota__loop_self();
	int result;

	if (!loop || !loop->running)
		return rota__no_loop();
	if (!group->owner.ops)
		return -EINVAL;
	if (group->owner.task != loop->running)
		die(group, "closed by a task that did not open it");
	if (loop->running->fiber->groups != &group->owner)
		die(group, "closed while a group inside it is open");
	if (status < 0)
		rota__group_cancel(loop, group, CAUSE_CLOSING);
	wait_empty(loop, group, &close_kind);
	result = group_result(group, status);
	group_finish(loop, group, result);
	return result;
}

void rota_group_cleanup(struct rota_group *public)
{
	struct loop *loop = rota__loop_self();
	struct report *report;
	int result;

	if (!loop || !group_of(public)->owner.ops)
		return;
	result = rota_group_close(public, -ECANCELED);
	if (result == -ECANCELED)
		return;
	report = rota__report_create(loop->running, result);
	rota__report_unjoined(loop, report, true);
	rota__free(report);
}

int rota_group_wait(struct rota_group *public)
{
	struct group *group = group_of(public);
	struct loop *loop = rota__loop_self();

	if (!loop || !loop->running)
		return rota__no_loop();
	if (!group->owner.ops || group->owner.task != loop->running)
		return -EINVAL;
	if (task_is_cancelled(loop->running))
		return -ECANCELED;
	return wait_empty(loop, group, &wait_kind);
}

size_t rota_group_live(const struct rota_group *public)
{
	const struct group *group = (const struct group *)(const void *)public;
	uint64_t live;

	if (!group->owner.ops)
		return 0;
	if (group->extra && group->extra->limit)
		return a64_load_relaxed(&group->extra->live);
	live = a64_load_relaxed(&group->remote);
	if (count_is_waiting(live))
		live -= GROUP_WAIT;
	live += a64_load_relaxed(&group->local);
	return (int64_t)live > 0 ? (size_t)live : 0;
}
