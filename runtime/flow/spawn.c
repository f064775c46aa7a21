/* SPDX-License-Identifier: MIT */
/* Spawning into groups. */
#include <errno.h>

#include "core/create.h"
#include "flow/group.h"

/* The options of a spawn, checked: 0 or a negative errno. */
static int plan_options(struct task_plan *plan, struct loop *loop, const struct group *group,
	const struct rota_spawn_options *options)
{
	struct rota_runtime *rt = group->scope.home->rt;
	int stack_class;

	for (size_t i = 0; i < ARRAY_SIZE(options->reserved); i++)
		if (options->reserved[i])
			return -EINVAL;
	if (options->flags & ~(ROTA_SPAWN_LOCAL | ROTA_SPAWN_ON_LOOP | ROTA_SPAWN_MOBILE))
		return -EINVAL;
	if (options->flags & ROTA_SPAWN_ON_LOOP) {
		if (options->loop >= rt->loop_count)
			return -EINVAL;
		/* A group with ROTA_SPAWN_LOCAL keeps its promise. */
		if (plan->bound && plan->bound != rt->loop[options->loop])
			return -EINVAL;
		plan->bound = rt->loop[options->loop];
	} else if (options->flags & ROTA_SPAWN_LOCAL && !plan->bound) {
		plan->bound = loop ? loop : group->scope.home;
	}
	if (options->stack_bytes) {
		stack_class = rota__stack_class(options->stack_bytes);
		if (stack_class < 0)
			return stack_class;
		plan->stack_class = (unsigned int)stack_class;
	}
	if (options->arg_bytes && !plan->arg)
		return -EINVAL;
	plan->arg_bytes = options->arg_bytes;
	plan->name = options->name;
	return 0;
}

static ROTA__ALWAYS_INLINE void link_at_home(struct group *group, struct rota_task *task)
{
	list_add_tail(&group->members, &task->member);
	if (unlikely(group->armed))
		a64_add_relaxed(&group->remote, 1);
	else
		a64_count(&group->local, 1);
}

/* Links a new member at another loop than the group's. */
static void link_elsewhere(struct group *group, struct rota_task *task)
{
	a64_add_relaxed(&group->remote, 1);
	inbox_push(&group->events, &task->arrival, EVENT_ARRIVED);
	/* Pairs with: cancel_members(). Its walk finds the arrival, or we find the doom. */
	fence_after_rmw();
	if (a32_load_relaxed(&group->doom) == DOOM_CANCELLED)
		a32_or_acq_rel(&task->flags, TASK_CANCELLED); /* Pairs with: task_is_cancelled(). */
}

/* The first failed spawn is the close's result; a cancel that the group knows of is not news. */
static ROTA__COLD int spawn_failed(struct group *group, int err)
{
	uint32_t none = 0;

	if (err != -EAGAIN && !(err == -ECANCELED && a32_load_relaxed(&group->causes)))
		a32_cas_relaxed(&group->spawn_error, &none, (uint32_t)err);
	return err;
}

static int spawn(
	struct loop *loop, struct group *group, struct task_plan *plan, struct rota_task **ret_task)
{
	struct rota_runtime *rt = group->scope.home->rt;
	struct rota_task *task;
	int err = 0;

	if (unlikely(group->extra != NULL))
		err = rota__limit_acquire(loop, group);
	if (unlikely(err))
		return err;
	/* Not before the wait for a place: what ended there may have cancelled the group. */
	plan->cancelled = a32_load_relaxed(&group->doom) == DOOM_CANCELLED;
	err = task_create(loop, rt, plan, &task);
	if (unlikely(err)) {
		rota__limit_release(loop, group);
		return err;
	}
	if (unlikely(plan->cancelled))
		rota__task_reason_set(task, rota__group_reason(group));
	if (ret_task)
		*ret_task = task;
	if (plan->linked && group_keeps(group))
		group->extra->unended++;
	if (plan->linked)
		link_at_home(group, task);
	else
		link_elsewhere(group, task);
	task_schedule(loop, rt, task);
	return 0;
}

static int spawn_at(struct loop *loop, struct group *group, struct task_plan *plan,
	struct rota_task **ret_task, const struct rota_spawn_options *options)
{
	struct loop *home = group->scope.home;
	int err = 0;

	plan->owner = &group->scope;
	plan->stack_class = home->rt->stack_class;
	plan->handle = ret_task != NULL;
	plan->linked = loop == home;
	if (unlikely(group->local_only))
		plan->bound = home;
	if (unlikely(!plan->fn))
		err = -EINVAL;
	else if (unlikely(group->option_error))
		err = group->option_error;
	else if (options)
		err = plan_options(plan, loop, group, options);
	if (likely(!err))
		err = spawn(loop, group, plan, ret_task);
	return likely(!err) ? 0 : spawn_failed(group, err);
}

/* What the spawner has of locals. A hook may spawn when the task in `running` is at its end. */
static struct locals *inheritance(const struct loop *loop)
{
	const struct rota_task *task = loop ? loop->running : NULL;

	if (!task || !(a32_load_relaxed(&task->flags) & TASK_LOCALS) ||
		task_state(task) != ROTA_TASK_RUNNING || task_loop(task) != loop)
		return NULL;
	return ((const struct task_extra *)aptr_load_relaxed(&task->extra))->locals;
}

static ROTA__NOINLINE int spawn_any(struct loop *loop, const char *site, struct group *group,
	rota_task_fn *fn, void *arg, struct rota_task **ret_task,
	const struct rota_spawn_options *options)
{
	struct task_plan plan = { .site = site, .fn = fn, .arg = arg };

	if (ret_task)
		*ret_task = NULL;
	if (unlikely(!group->scope.ops))
		return -EINVAL;
	if (!group->background)
		plan.locals = inheritance(loop);
	return spawn_at(loop, group, &plan, ret_task, options);
}

int rota_group_spawn_at(const char *site, struct rota_group *public, rota_task_fn *fn, void *arg,
	struct rota_task **ret_task, const struct rota_spawn_options *options)
{
	struct group *group = group_of(public);
	struct loop *loop = rota__loop_self();
	struct rota_task *task;

	/* Anything out of the ordinary; a closed group has no home. */
	if (unlikely(!loop || loop != group->scope.home || options || group->special || !fn ||
		     !loop->free_tasks || a32_load_relaxed(&group->doom) || !loop->running ||
		     (a32_load_relaxed(&loop->running->flags) & TASK_LOCALS)))
		return spawn_any(loop, site, group, fn, arg, ret_task, options);
	task = block_get(loop, loop->rt);
	task_init(task, site, fn, arg, &group->scope,
		group->member_flags | (ret_task ? TASK_HANDLE : 0));
	task->id = task_next_id(loop);
	if (ret_task)
		*ret_task = task;
	link_at_home(group, task);
	task_schedule(loop, loop->rt, task);
	return 0;
}

int rota_group_spawn_copy_at(const char *site, struct rota_group *group, rota_task_fn *fn,
	const void *arg, size_t arg_bytes)
{
	struct rota_spawn_options options = { .arg_bytes = arg_bytes };

	return rota_group_spawn_at(site, group, fn, (void *)(uintptr_t)arg, NULL, &options);
}

int(rota_group_spawn)(struct rota_group *group, rota_task_fn *fn, void *arg)
{
	return rota_group_spawn_at("task", group, fn, arg, NULL, NULL);
}

int(rota_group_spawn_copy)(
	struct rota_group *group, rota_task_fn *fn, const void *arg, size_t arg_bytes)
{
	return rota_group_spawn_copy_at("task", group, fn, arg, arg_bytes);
}

int(rota_group_spawn_with)(struct rota_group *group, rota_task_fn *fn, void *arg,
	struct rota_task **ret_task, const struct rota_spawn_options *options)
{
	return rota_group_spawn_at("task", group, fn, arg, ret_task, options);
}

static int background(struct rota_runtime *rt, const char *site, rota_task_fn *fn, void *arg,
	struct rota_task **ret_task, const struct rota_spawn_options *options)
{
	int err;

	if (!rota__gate_enter(rt))
		return -ESHUTDOWN;
	err = rota_group_spawn_at(site, rt->background, fn, arg, ret_task, options);
	rota__gate_leave(rt);
	return err;
}

int rota_background_at(
	const char *site, rota_task_fn *fn, void *arg, const struct rota_spawn_options *options)
{
	struct loop *self = rota__loop_self();
	struct rota_runtime *rt = rota__visit(self);
	int err;

	if (!rt)
		return rota__no_loop();
	err = background(rt, site, fn, arg, NULL, options);
	rota__visit_end(self);
	return err;
}

int(rota_background)(rota_task_fn *fn, void *arg)
{
	return rota_background_at("background", fn, arg, NULL);
}

int rota_runtime_spawn(struct rota_runtime *rt, rota_task_fn *fn, void *arg,
	struct rota_task **ret_task, const struct rota_spawn_options *options)
{
	if (ret_task)
		*ret_task = NULL;
	if (!rt)
		return -EINVAL;
	if (rota__forked())
		return -EPERM;
	return background(rt, "rota_runtime_spawn", fn, arg, ret_task, options);
}
