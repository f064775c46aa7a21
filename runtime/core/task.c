/* SPDX-License-Identifier: MIT */
/* Tasks: making them, their states, names and messages. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/create.h"
#include "core/locals.h"
#include "os/seam.h"

/* Names and reasons are rare, and may be read while their task changes them. */
static struct spin text_lock;

static const char *const state_names[] = {
	[ROTA_TASK_CREATED] = "created",
	[ROTA_TASK_SCHEDULED] = "scheduled",
	[ROTA_TASK_RUNNING] = "running",
	[ROTA_TASK_SUSPENDED] = "suspended",
	[ROTA_TASK_DONE] = "done",
	[ROTA_TASK_ERROR] = "error",
};

#define TO(state) (1u << ROTA_TASK_##state)

/* Which state may follow which. A block that is used again begins with CREATED. */
static const uint8_t state_next[] = {
	[ROTA_TASK_CREATED] = TO(SCHEDULED),
	[ROTA_TASK_SCHEDULED] = TO(RUNNING) | TO(ERROR),
	[ROTA_TASK_RUNNING] = TO(SCHEDULED) | TO(SUSPENDED) | TO(DONE) | TO(ERROR),
	[ROTA_TASK_SUSPENDED] = TO(SCHEDULED),
	[ROTA_TASK_DONE] = TO(CREATED),
	[ROTA_TASK_ERROR] = TO(CREATED),
};

void rota__task_watched(struct loop *loop, struct rota_task *task, enum rota_task_state to)
{
	enum rota_task_state from = (enum rota_task_state)a32_load_relaxed(&task->state);
	struct trace_ring *ring = loop_trace(loop);

	if ((a32_load_relaxed(&loop->watched) & LOOP_WATCH_DEBUG) &&
		!(state_next[from] & (1u << to))) {
		fprintf(stderr, "rota: task %llu of %s cannot go from %s to %s\n",
			(unsigned long long)task->id, task->site, state_names[from],
			state_names[to]);
		abort();
	}
	if (!ring)
		return;
	rota__trace_state(ring, task->id, to, task->site);
	/* Its name with each stretch: the ring may have lost the one before. */
	if (to == ROTA_TASK_RUNNING && ring->event && aptr_load_relaxed(&task->extra)) {
		char name[32];

		rota__task_name_copy(task, name);
		rota__trace_name(ring, name);
	}
}

uint64_t rota__task_id_of_thread(struct rota_runtime *rt)
{
	/* Loop i of n counts i + 1, i + 1 + (n + 1), …; threads have the multiples of n + 1. */
	return (a64_add_relaxed(&rt->spawned_by_threads, 1) + 1) * (rt->loop_count + 1);
}

/* The child's reference to what its spawner has. */
static int inherit(struct rota_task *task, struct locals *locals)
{
	struct task_extra *extra = rota__task_extra(task);

	if (!extra)
		return -ENOMEM;
	extra->locals = locals_ref(locals);
	a32_store_relaxed(&task->flags, a32_load_relaxed(&task->flags) | TASK_LOCALS);
	return 0;
}

int rota__task_dress(struct rota_task *task, const struct task_plan *plan)
{
	if (plan->arg_bytes) {
		task->arg = rota__alloc(plan->arg_bytes);
		if (!task->arg)
			return -ENOMEM;
		if (plan->arg)
			memcpy(task->arg, plan->arg, plan->arg_bytes);
	}
	if (plan->locals && inherit(task, plan->locals)) {
		if (plan->arg_bytes)
			rota__free(task->arg);
		return -ENOMEM;
	}
	if (plan->name)
		rota__task_name_set(task, plan->name);
	return 0;
}

void rota__task_extra_free(struct rota_task *task)
{
	struct task_extra *extra = aptr_load_relaxed(&task->extra);

	rota__free(aptr_load_relaxed(&extra->report));
	rota__free(aptr_load_relaxed(&extra->kept));
	locals_unref(extra->locals);
	rota__free(extra);
	aptr_store_relaxed(&task->extra, NULL);
}

struct task_extra *rota__task_extra(struct rota_task *task)
{
	/* Pairs with: the CAS below. */
	struct task_extra *extra = aptr_load_acquire(&task->extra);
	void *none = NULL;

	if (extra)
		return extra;
	extra = rota__alloc(sizeof(*extra));
	if (!extra)
		return NULL;
	/* Pairs with: the loads of extra, here and in rota__task_name_copy(). */
	if (aptr_cas_acq_rel(&task->extra, &none, extra))
		return extra;
	rota__free(extra);
	return none;
}

static void text_set(char *to, size_t bytes, const char *from)
{
	spin_lock(&text_lock);
	snprintf(to, bytes, "%s", from);
	spin_unlock(&text_lock);
}

void rota__task_name_set(struct rota_task *task, const char *name)
{
	struct task_extra *extra = rota__task_extra(task);

	if (extra)
		text_set(extra->name, sizeof(extra->name), name ? name : "");
}

void rota__task_name_copy(const struct rota_task *task, char name[32])
{
	/* Pairs with: rota__task_extra(). */
	const struct task_extra *extra = aptr_load_acquire(&task->extra);

	name[0] = '\0';
	if (!extra)
		return;
	spin_lock(&text_lock);
	memcpy(name, extra->name, sizeof(extra->name));
	spin_unlock(&text_lock);
}

enum rota_task_state rota_task_state(const struct rota_task *task)
{
	return task_state(task);
}

const char *rota_task_state_name(enum rota_task_state state)
{
	return (unsigned int)state < ARRAY_SIZE(state_names) ? state_names[state] : "unknown";
}

uint64_t rota_task_id(const struct rota_task *task)
{
	return task->id;
}

struct rota_task *rota_task_self(void)
{
	struct loop *loop = rota__loop_self();

	return loop ? loop->running : NULL;
}

void rota_task_set_name(const char *name)
{
	struct loop *loop = rota__loop_self();

	if (!loop || !loop->running)
		return;
	rota__task_name_set(loop->running, name);
	if (loop_trace(loop) && name)
		rota__trace_name(loop_trace(loop), name);
}

const char *rota_task_name(void)
{
	struct rota_task *task = rota_task_self();
	const struct task_extra *extra = task ? aptr_load_relaxed(&task->extra) : NULL;

	return extra ? extra->name : "";
}

int rota_fail_text(int status, const char *text)
{
	struct rota_task *task = rota_task_self();
	struct task_extra *extra = task ? rota__task_extra(task) : NULL;

	if (extra) {
		text_set(extra->message, sizeof(extra->message), text ? text : "");
		extra->message_status = status;
	}
	return status;
}

int rota_fail(int status, const char *format, ...)
{
	char text[160];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return rota_fail_text(status, text);
}
