/* SPDX-License-Identifier: MIT */
/*
 * What a loop's thread does: picks a task, runs it until it suspends, yields or ends, and every now
 * and then looks at the kernel, the timers and the other sources.
 *
 * A task that suspends picks its successor itself and switches straight to it; only when there is
 * none, or the budget is used up, it goes back to the scheduler's own stack. So a switch between
 * two tasks is one switch, not two. Under simulation every switch goes by the scheduler, where the
 * seed chooses.
 *
 * Invariant (L1): loop->running is the only task of this loop in RUNNING; it is changed only here,
 * on the loop's thread, directly before the switch.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/runtime.h"
#include "os/seam.h"

#define OVERFLOW_BATCH 31 /* taken along with the first one, so that not each needs the lock */

void rota__loop_ready(struct loop *loop, struct rota_task *task)
{
	task->fiber->wait = NULL;
	task_state_set(loop, task, ROTA_TASK_SCHEDULED);
	task_queue_push(&loop->ready, task);
}

/* A task that came by the inbox: woken, or bound here and not started. */
static void arrived(struct loop *loop, struct rota_task *task)
{
	if (task->fiber)
		rota__loop_ready(loop, task);
	else
		task_queue_push(&loop->ready, task);
}

ROTA__NOINLINE void rota__loop_drain(struct loop *loop)
{
	uintptr_t at = inbox_drain(&loop->inbox);

	while (at) {
		struct inbox_node *node = inbox_node(at);
		unsigned int kind = inbox_tag(at);

		at = node->next;
		switch (kind) {
		case INBOX_TASK:
			arrived(loop, task_of_link(node));
			break;
		case INBOX_CANCEL:
			rota__task_cancel_arrived(
				loop, container_of(node, struct rota_task, cancel_link));
			break;
		case INBOX_SCOPE: {
			struct scope *scope = container_of(node, struct scope, link);

			scope->ops->arrived(loop, scope);
			break;
		}
		default: {
			struct message *message = container_of(node, struct message, link);

			message->arrived(loop, message);
		}
		}
	}
}

void rota__loop_send(struct loop *from, struct loop *to, struct inbox_node *node, unsigned int kind)
{
	struct rota_runtime *rt = to->rt;

	inbox_push(&to->inbox, node, kind);
	/* Pairs with: park_begin(). Push before look; else both could miss each other. */
	fence_after_rmw();
	if (from == to)
		return;
	if (from)
		from->spins_to_skip = 0; /* it may soon get an answer */
	if (!park_claim(&rt->idle, &to->parker))
		return;
	if (from)
		a64_count(&from->counters.wakes, 1);
	rt->backend->wake(from ? from->port : NULL, to->port);
}

/* Shares what is left in the private part, so that a long task cannot hold it back. */
static ROTA__NOINLINE void share_rest(struct loop *loop)
{
	deque_publish(&loop->fresh);
	/* Pairs with: park_begin(). */
	fence_after_rmw();
	rota__loop_wake_any(loop, loop->rt);
}

/* The next task of this loop's own queues, or NULL: then the scheduler looks further. */
static ROTA__ALWAYS_INLINE struct rota_task *next_own(struct loop *loop)
{
	struct rota_task *task;

	if (unlikely(!inbox_empty(&loop->inbox)))
		rota__loop_drain(loop);
	task = task_queue_pop(&loop->ready);
	if (!task)
		task = deque_take_newest(&loop->fresh);
	if (loop->many && deque_private(&loop->fresh))
		share_rest(loop);
	return task;
}

/* The same for a task that leaves: NULL also when it is time to look around. */
static ROTA__ALWAYS_INLINE struct rota_task *next_direct(struct loop *loop)
{
	if (unlikely(--loop->budget == 0) || !loop->direct)
		return NULL;
	return next_own(loop);
}

/*
 * The end of a task that ran, or could not (-ENOMEM). After it the block may be gone. Who awaits it
 * on this loop is ready before the failure strikes anybody: it gets the status, then the cancel.
 */
static void task_end(struct loop *loop, struct rota_task *task, int status)
{
	const struct scope_ops *ops = task->owner->ops;

	task->status = status;
	task->fiber = NULL;
	/* Hooks that are called from here are in no task any more. */
	loop->running = NULL;
	if (unlikely(a32_load_relaxed(&task->flags) & TASK_ARG_COPY))
		rota__free(task->arg);
	a64_count(&loop->counters.ended, 1);
	if (task->joiner)
		rota__loop_ready(loop, task->joiner);
	if (unlikely(status < 0)) {
		a64_count(&loop->counters.failed, 1);
		if (ops->failed)
			ops->failed(loop, task->owner, task);
	}
	task_state_set(loop, task, status < 0 ? ROTA_TASK_ERROR : ROTA_TASK_DONE);
	ops->ended(loop, task->owner, task);
}

/* A task ended with a scope open: it, and what its members use, is about to go away. */
static ROTA__COLD ROTA__NORETURN void die_open(
	const struct rota_task *task, const struct fiber *fiber)
{
	fprintf(stderr, "rota: task %llu of %s ended with an open %s: %s\n",
		(unsigned long long)task->id, task->site, fiber->scope_ops->what,
		fiber->scope_site);
	abort();
}

/* A task called fork() and came back in the child, where no loop may run. */
static ROTA__COLD ROTA__NORETURN void die_forked(const struct rota_task *task)
{
	fprintf(stderr,
		"rota: task %llu of %s returned in the child of a fork(): "
		"the child must exec or _exit\n",
		(unsigned long long)task->id, task->site);
	abort();
}

static ROTA__ALWAYS_INLINE struct fiber *fiber_get(struct loop *loop, unsigned int stack_class)
{
	struct fiber *fiber = loop->free_fibers[stack_class];

	if (unlikely(!fiber))
		return rota__fiber_get_new(loop, stack_class);
	loop->free_fibers[stack_class] = fiber->next;
	loop->free_fiber_count[stack_class]--;
	return fiber;
}

static ROTA__ALWAYS_INLINE void fiber_put(struct loop *loop, struct fiber *fiber)
{
	unsigned int stack_class = fiber->stack_class;

	fiber->next = loop->free_fibers[stack_class];
	loop->free_fibers[stack_class] = fiber;
	if (unlikely(++loop->free_fiber_count[stack_class] > FIBER_CACHE_MAX))
		rota__fiber_spill(loop, stack_class);
}

/* Gives a task that starts its fiber. False: there is none, and the task has ended. */
static ROTA__ALWAYS_INLINE bool start(
	struct loop *loop, struct rota_task *task, struct fiber *fiber)
{
	if (!fiber)
		fiber = fiber_get(loop, task_stack_class(task));
	aptr_store_relaxed(&task->loop, loop);
	if (loop != task->owner->home) {
		/*
		 * Pairs with: rota__task_cancel_arrived(). The group's loop marks the task, then
		 * reads where it runs; we say where, then look at the mark.
		 */
		fence_seq_cst();
	}
	if (unlikely(!fiber)) {
		task_end(loop, task, -ENOMEM);
		return false;
	}
	fiber->task = task;
	fiber->scopes = NULL;
	fiber->wait = NULL;
	/* Pairs with: who marks it, after the reason was given. */
	fiber->outside = a32_load_acquire(&task->flags) & TASK_CANCELLED;
	fiber->struck = fiber->outside;
	task->fiber = fiber;
	return true;
}

static ROTA__ALWAYS_INLINE void set_running(struct loop *loop, struct rota_task *task)
{
	task_state_set(loop, task, ROTA_TASK_RUNNING);
	loop->running = task;
	a64_count(&loop->counters.switches, 1);
}

/* Leaves `from` for the next task, or for the scheduler. */
static ROTA__ALWAYS_INLINE void leave(struct loop *loop, struct context *from)
{
	struct rota_task *next;

	do
		next = next_direct(loop);
	while (next && unlikely(!next->fiber) && !start(loop, next, NULL));
	if (!next) {
		loop->running = NULL;
		context_switch(from, &loop->sched);
		return;
	}
	set_running(loop, next);
	if (likely(from != &next->fiber->context))
		context_switch(from, &next->fiber->context);
}

void rota__task_suspend(struct loop *loop, struct wait *wait)
{
	struct rota_task *self = loop->running;

	self->fiber->wait = wait;
	self->fiber->since_ns = loop->turn_ns;
	task_state_set(loop, self, ROTA_TASK_SUSPENDED);
	leave(loop, &self->fiber->context);
}

void rota__task_step_back(struct loop *loop)
{
	struct rota_task *self = loop->running;

	task_state_set(loop, self, ROTA_TASK_SCHEDULED);
	task_queue_push(&loop->ready, self);
	leave(loop, &self->fiber->context);
}

/* Here and not beside rota_sleep(): it is rota__task_step_back() without a call in between. */
int rota_yield(void)
{
	struct loop *loop = rota__loop_self();
	struct rota_task *self;

	if (unlikely(!loop || !loop->running))
		return rota__no_loop();
	self = loop->running;
	if (unlikely(task_is_cancelled(self)))
		return -ECANCELED;
	task_state_set(loop, self, ROTA_TASK_SCHEDULED);
	task_queue_push(&loop->ready, self);
	leave(loop, &self->fiber->context);
	return 0;
}

void rota__task_suspend_into(struct loop *loop, struct wait *wait, struct rota_task *next)
{
	struct rota_task *self = loop->running;

	self->fiber->wait = wait;
	self->fiber->since_ns = loop->turn_ns;
	task_state_set(loop, self, ROTA_TASK_SUSPENDED);
	if (unlikely(!start(loop, next, NULL))) {
		leave(loop, &self->fiber->context);
		return;
	}
	loop->budget -= loop->budget > 1;
	set_running(loop, next);
	context_switch(&self->fiber->context, &next->fiber->context);
}

/* A task has ended on its fiber, and no other starts on it now. Returns when one does. */
static ROTA__ALWAYS_INLINE void fiber_leave(
	struct loop *loop, struct fiber *fiber, struct rota_task *next, uint64_t fp_control)
{
	fiber_put(loop, fiber);
	while (next && unlikely(!next->fiber) && !start(loop, next, NULL))
		next = next_direct(loop);
	/* As any C function, the task's has left the floating-point control as it found it. */
	fiber->context.fp_control = fp_control;
	if (likely(next && next->fiber != fiber)) {
		set_running(loop, next);
		context_switch_known(&fiber->context, &next->fiber->context);
	} else if (next) {
		set_running(loop, next); /* it got this very fiber from the cache */
	} else {
		loop->running = NULL;
		context_switch_known(&fiber->context, &loop->sched);
	}
}

void rota__fiber_main(void *argument)
{
	struct fiber *fiber = argument;
	uint64_t fp_control = context_fp_control();

	context_entered(&fiber->context);
	for (;;) {
		struct rota_task *task = fiber->task;
		int status = task->fn(task->arg);
		struct loop *loop = fiber->loop;
		struct rota_task *next;

		if (unlikely(fiber->scopes != NULL))
			die_open(task, fiber);
		if (unlikely(loop->forked))
			die_forked(task);
		task_end(loop, task, status);
		next = next_direct(loop);
		if (next && !next->fiber && task_stack_class(next) == fiber->stack_class) {
			/* The next one starts: on this stack, without any switch. */
			start(loop, next, fiber);
			set_running(loop, next);
		} else {
			fiber_leave(loop, fiber, next, fp_control);
		}
	}
}

/* Completions, timers, the inbox: what makes tasks ready. */
static void look_around(struct loop *loop)
{
	struct rota__port *port = loop->port;

	if (port->unsubmitted || port_attention(port)) {
		loop->rt->backend->poll(port);
		loop_count_ops(loop);
	}
	if (loop->timers.count) {
		loop->turn_ns = rota_now();
		rota__timers_fire(&loop->timers, loop, loop->turn_ns);
	}
	if (!inbox_empty(&loop->inbox))
		rota__loop_drain(loop);
}

/* The budget is used up: what waits longest, before the newest again. */
static struct rota_task *next_fair(struct loop *loop)
{
	struct rota_task *task = rota__overflow_pop(loop, 0);

	if (!task)
		task = deque_take_oldest(&loop->fresh);
	return task ? task : next_own(loop);
}

/* Somebody woke this loop to search, or it was searching, and now it has work. */
static void search_over(struct loop *loop)
{
	loop->searching = false;
	idle_search_end(&loop->rt->idle);
	/* Pairs with: park_begin(). A pusher may have left its item to us: one more looks. */
	fence_after_rmw();
	rota__loop_wake_any(loop, loop->rt);
}

/* Runs a task from the scheduler; returns when some task comes back here. */
static void run(struct loop *loop, struct rota_task *task)
{
	if (!task->fiber && !start(loop, task, NULL))
		return;
	set_running(loop, task);
	context_switch(&loop->sched, &task->fiber->context);
}

bool rota__loop_turn(struct loop *loop)
{
	bool fair = loop->budget == 0;
	struct rota_task *task;

	loop->budget = LOOP_BUDGET;
	look_around(loop);
	task = fair ? next_fair(loop) : next_own(loop);
	if (!task)
		task = rota__overflow_pop(loop, OVERFLOW_BATCH);
	if (!task && loop->many)
		task = rota__loop_steal(loop);
	if (!task)
		return false;
	if (loop->searching)
		search_over(loop);
	run(loop, task);
	return true;
}

void rota__loop_run(struct loop *loop)
{
	rota__context_adopt(&loop->sched);
	/* Pairs with: rota__runtime_stop(). */
	while (!a32_load_acquire(&loop->rt->stop))
		if (!rota__loop_turn(loop))
			rota__loop_idle(loop);
}
