/* SPDX-License-Identifier: MIT */
/* The members of a group: what their ends do, where their blocks go. The protocol: flow/group.h. */
#include <errno.h>

#include "core/create.h"
#include "flow/group.h"
#include "os/seam.h"

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

/* Puts a member that has ended where rota_group_next() finds it; it has its handle in any case. */
static void keep(struct loop *home, struct group *group, struct rota_task *task)
{
	struct group_extra *extra = group->extra;

	list_remove(&task->member);
	list_add_tail(&extra->kept, &task->member);
	extra->unended--;
	rota__group_next_wake(home, group);
}

/* The event of an end elsewhere has come home: the block goes, or stays. */
static void ended_arrived(struct loop *home, struct group *group, struct rota_task *task)
{
	if (group_keeps(group))
		keep(home, group, task);
	else if (!has_handle(task) || !rota__task_keep(task))
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
			if (group_keeps(group))
				group->extra->unended++;
			/* Pairs with: ended_elsewhere(). It ended before it was linked? */
			if (a32_or_acq_rel(&task->flags, TASK_LINKED) & TASK_ENDED)
				ended_arrived(home, group, task);
			break;
		case EVENT_ENDED:
			ended_arrived(home, group, task);
			break;
		default: /* EVENT_RELEASED */
			member_gone(home, task);
		}
	}
}

bool rota__group_unkeep(struct loop *home, struct rota_task *task)
{
	struct group *group = group_of_scope(task->owner);

	list_remove(&task->member);
	list_add_tail(&group->members, &task->member);
	if (has_handle(task) && rota__task_keep(task))
		return true;
	member_gone(home, task);
	return false;
}

void rota__group_forget(struct loop *home, struct group *group)
{
	/* What is left are ended members that nobody took, or with handles not given back. */
	rota__list_for_each_safe(node, next, &group->members)
		member_gone(home, container_of(node, struct rota_task, member));
	if (!group_keeps(group))
		return;
	rota__list_for_each_safe(node, next, &group->extra->kept)
		member_gone(home, container_of(node, struct rota_task, member));
}

/* An error that is not the close's: to the hook, if there is one. */
static void error_dropped(struct loop *loop, struct report *report, bool print)
{
	rota__report_unjoined(loop, report, print);
	rota__free(report);
}

/* The first failure counts; in a first-wins group the last one. Others are only the hook's. */
void rota__group_failed(struct loop *loop, struct scope *scope, struct rota_task *task)
{
	struct group *group = group_of_scope(scope);
	uint32_t flags = a32_load_relaxed(&task->flags);
	uint32_t none = 0;
	struct report *report;

	if (task->status == -ECANCELED && (flags & (TASK_CANCELLED | TASK_BY_ITSELF)))
		return;
	report = rota__report_create(task, task->status);
	if (has_handle(task))
		rota__report_keep(task, report);
	if (group->policy == ROTA_GROUP_SUPERVISE) {
		error_dropped(loop, report, true);
		return;
	}
	if (group->policy == ROTA_GROUP_FIRST_WINS) {
		/* Pairs with: itself, group_result() by way of the count. */
		a32_exchange_acq_rel(&group->error, (uint32_t)task->status);
		report = aptr_exchange_acq_rel(&group->report, report);
		if (report)
			error_dropped(loop, report, false);
		return;
	}
	/* Pairs with: the load in group_result(), by way of the count. */
	if (!a32_cas_acq_rel(&group->error, &none, (uint32_t)task->status)) {
		error_dropped(loop, report, false);
		return;
	}
	/* Pairs with: the load in rota__report_take(). */
	aptr_store_release(&group->report, report);
	if (group->policy == ROTA_GROUP_FAIL_FAST)
		rota__group_cancel(loop, group, CAUSE_FAILED);
}

static void ended_elsewhere(struct loop *loop, struct group *group, struct rota_task *task)
{
	struct rota_task *owner = group->scope.task;
	struct loop *home = group->scope.home;

	if (has_handle(task))
		rota__task_waiters_close(loop, task, false);
	/* Pairs with: rota__group_drain(). Not linked yet: the home finds TASK_ENDED. */
	if (a32_or_acq_rel(&task->flags, TASK_ENDED) & TASK_LINKED)
		inbox_push(&group->events, &task->link, EVENT_ENDED);
	if (unlikely(a32_add_relaxed(&group->undrained, 1) % EVENTS_MAX == EVENTS_MAX - 1))
		rota__group_post(loop, group);
	if (group_keeps(group)) {
		/* Pairs with: rota_group_next(). The event is there before we look. */
		fence_seq_cst();
		if (a32_load_relaxed(&group->extra->next_waits))
			rota__group_post(loop, group);
	}
	if (rota__group_count_out(group))
		rota__loop_send(loop, home, &owner->link, INBOX_TASK);
}

static void ended_at_home(struct loop *home, struct group *group, struct rota_task *task)
{
	bool wait_for_next = group_keeps(group);
	/* KEPT must be said before the events are drained: they may give the handle back. */
	bool kept = has_handle(task) && rota__task_waiters_close(home, task, !wait_for_next);

	if (unlikely(!inbox_empty(&group->events)))
		rota__group_drain(home, group);
	if (wait_for_next)
		keep(home, group, task);
	else if (!kept)
		member_gone(home, task);
	if (rota__group_count_out_at_home(group))
		rota__loop_ready(home, group->scope.task);
}

void rota__group_ended(struct loop *loop, struct scope *scope, struct rota_task *task)
{
	struct group *group = group_of_scope(scope);

	if (unlikely(group->policy == ROTA_GROUP_FIRST_WINS) && task->status >= 0)
		rota__group_cancel(loop, group, CAUSE_WON);
	if (unlikely(group->extra != NULL))
		rota__limit_release(loop, group);
	if (loop == scope->home)
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
	group = group_of_scope(task->owner);
	if (loop != group->scope.home) {
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
