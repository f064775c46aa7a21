/* SPDX-License-Identifier: MIT */
/* Waiting for the members of a group: all of them, or the next. The protocol: flow/group.h. */
#include <errno.h>

#include "flow/group.h"

bool rota__group_count_out(struct group *group)
{
	uint64_t count = a64_load_relaxed(&group->remote);
	uint64_t next;

	/* Pairs with: arm(), wait_abort(). The last touch of the group. */
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
	/* Pairs with: rota__group_count_out(). */
	count = a64_add_acq_rel(&group->remote, add) + add;
	/* A spawn and its end may have come in between: then that end does it. */
	return count == GROUP_WAIT && a64_cas_acq_rel(&group->remote, &count, 0);
}

bool rota__group_count_out_at_home(struct group *group)
{
	if (unlikely(group->armed))
		return rota__group_count_out(group);
	a64_count(&group->local, (uint64_t)-1);
	/* A single loop, see wait_empty(). Zero or below: what is left is counted in remote. */
	return group->waiting && (int64_t)a64_load_relaxed(&group->local) <= 0 && arm(group);
}

/* rota_group_wait() is cut short, unless the last member has done its CAS already. */
static void wait_abort(struct loop *home, struct wait *wait)
{
	struct group *group = container_of(wait, struct group_wait, wait)->group;
	/* Pairs with: rota__group_count_out(). */
	uint64_t count = a64_load_acquire(&group->remote);

	/* Pairs with: rota__group_count_out(): one of the two CASes succeeds. */
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
	struct group_wait wait = {
		.wait = { .kind = kind, .task = home->running },
		.group = group,
	};
	uint64_t local = a64_load_relaxed(&group->local);

	/* Nothing is left that happened elsewhere, and nobody here. Pairs with: count_out. */
	if (local == 0 && !a64_load_acquire(&group->remote))
		return 0;
	group->waiting = true;
	/* With other loops a member of ours may end there: armed at once. Alone, at zero. */
	if ((!home->many && (int64_t)local > 0) || !arm(group))
		rota__task_suspend(home, &wait.wait);
	group->waiting = false;
	group->armed = false;
	return wait.wait.result;
}

void rota__group_join(struct loop *home, struct group *group)
{
	(void)wait_empty(home, group, &close_kind);
}

/* Whether the running task may wait for the members of a group: 0 or a negative errno. */
static int check_owner(const struct loop *loop, const struct group *group)
{
	if (!loop || !loop->running)
		return rota__no_loop();
	if (!group->scope.ops || group->scope.task != loop->running)
		return -EINVAL;
	return task_is_cancelled(loop->running) ? -ECANCELED : 0;
}

int rota_group_wait(struct rota_group *public)
{
	struct group *group = group_of(public);
	struct loop *loop = rota__loop_self();
	int err = check_owner(loop, group);

	return err ? err : wait_empty(loop, group, &wait_kind);
}

/* The next one. */

static void next_abort(struct loop *home, struct wait *wait)
{
	struct group_wait *next = container_of(wait, struct group_wait, wait);

	next->group->extra->next = NULL;
	wait->result = -ECANCELED;
	rota__loop_ready(home, wait->task);
}

static const struct wait_kind next_kind = { .name = "group next", .abort = next_abort };

void rota__group_next_wake(struct loop *home, struct group *group)
{
	struct group_wait *next = group->extra->next;

	if (!next)
		return;
	group->extra->next = NULL;
	rota__loop_ready(home, next->wait.task);
}

/* Waits until a member is kept, or none can come: 0 or -ECANCELED. */
static int wait_next(struct loop *home, struct group *group)
{
	struct group_extra *extra = group->extra;
	struct group_wait wait = {
		.wait = { .kind = &next_kind, .task = home->running },
		.group = group,
	};

	rota__group_drain(home, group);
	while (list_empty(&extra->kept) && extra->unended && !wait.wait.result) {
		a32_store_relaxed(&extra->next_waits, 1);
		/* Pairs with: ended_elsewhere(). Said before we look. */
		fence_seq_cst();
		rota__group_drain(home, group);
		if (list_empty(&extra->kept) && extra->unended) {
			extra->next = &wait;
			rota__task_suspend(home, &wait.wait);
		}
		a32_store_relaxed(&extra->next_waits, 0);
	}
	return wait.wait.result;
}

int rota_group_next(struct rota_group *public, struct rota_result *ret_result)
{
	struct group *group = group_of(public);
	struct loop *loop = rota__loop_self();
	struct rota_task *task;
	int err = check_owner(loop, group);

	if (err)
		return err;
	if (!ret_result || !group_keeps(group))
		return group->option_error ? group->option_error : -EINVAL;
	err = wait_next(loop, group);
	if (err)
		return err;
	if (list_empty(&group->extra->kept))
		return 0;
	task = container_of(group->extra->kept.next, struct rota_task, member);
	*ret_result = (struct rota_result){
		.arg = a32_load_relaxed(&task->flags) & TASK_ARG_COPY ? NULL : task->arg,
		.status = task->status,
	};
	if (rota__group_unkeep(loop, task))
		ret_result->task = task;
	return 1;
}

size_t rota_group_live(const struct rota_group *public)
{
	struct group *group = group_of((struct rota_group *)(uintptr_t) public);
	struct loop *loop = rota__loop_self();
	uint64_t live;

	if (!group->scope.ops)
		return 0;
	if (group->extra && group->extra->limit)
		return a64_load_relaxed(&group->extra->live);
	/* An owner who takes them one by one has the end of some before they are counted out. */
	if (group_keeps(group) && loop == group->scope.home) {
		rota__group_drain(loop, group);
		return group->extra->unended;
	}
	live = a64_load_relaxed(&group->remote);
	if (count_is_waiting(live))
		live -= GROUP_WAIT;
	live += a64_load_relaxed(&group->local);
	return (int64_t)live > 0 ? (size_t)live : 0;
}
