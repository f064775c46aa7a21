/* SPDX-License-Identifier: MIT */
/*
 * The main task, and the ways in and out of a runtime.
 *
 * Shutdown: fn has returned (or the stop was asked for) -> the gate closes, so that nothing comes
 * in from outside any more -> whoever is between the gate's two ends leaves -> the background group
 * is cancelled and joined, the late ones named at the deadline -> the main task ends, the last of
 * all -> the loops stop (core/runtime.c).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "flow/deadlock.h"
#include "flow/group.h"
#include "flow/offload.h"
#include "observe/chrome.h"
#include "os/seam.h"

struct shutdown {
	struct timer timer;
	struct group *background;
};

/* The deadline has come: names what still runs. */
static void name_late(struct loop *loop, struct timer *timer)
{
	struct shutdown *shutdown = container_of(timer, struct shutdown, timer);
	struct rota_runtime *rt = loop->rt;

	rt->late = true;
	rota__group_drain(loop, shutdown->background);
	rota__list_for_each_safe(node, next, &shutdown->background->members) {
		const struct rota_task *task = container_of(node, struct rota_task, member);
		char name[32];

		if (task_has_ended(task))
			continue;
		rota__task_name_copy(task, name);
		rota__log(rt, ROTA_LOG_WARNING,
			"shutdown: task %llu%s%s%s of %s is late: it was cancelled %lld ms ago and "
			"is %s",
			(unsigned long long)task->id, name[0] ? " \"" : "", name,
			name[0] ? "\"" : "", task->site,
			(long long)(rt->config.shutdown_ns / ROTA_MILLISECOND),
			rota_task_state_name(task_state(task)));
	}
	if (rt->config.flags & ROTA_CONFIG_ABORT_LATE)
		abort();
}

static void drain(struct loop *loop, struct rota_group *background)
{
	struct rota_runtime *rt = loop->rt;
	struct shutdown shutdown = {
		.timer = { .fire = name_late },
		.background = group_of(background),
	};

	rt->stop_until_ns = time_after(rota_now(), rt->config.shutdown_ns);
	/* Pairs with: rota__gate_enter(). */
	a32_or_acq_rel(&rt->gate, GATE_CLOSED);
	while (a32_load_acquire(&rt->gate) != GATE_CLOSED) /* Pairs with: rota__gate_leave(). */
		rota__task_step_back(loop);
	if (rota_group_live(background)) {
		/* Without memory for the timer nobody is named, and all are joined. */
		if (rt->config.shutdown_ns != ROTA_FOREVER)
			(void)rota__timer_set(&loop->timers, &shutdown.timer,
				time_after(rota_now(), rt->config.shutdown_ns));
		rota_group_cancel(background, NULL);
	}
	/* Errors of background tasks have gone to the hook: the close has none. */
	(void)!rota_group_close(background, 0);
	rota__timer_clear(&loop->timers, &shutdown.timer);
}

/* What rota_run() and rota_start() run first and last. */
static int main_task(void *arg)
{
	struct rota_runtime *rt = arg;
	struct loop *loop = rt->loop[0];
	struct rota_group background;
	int status;

	rota__group_open(loop, group_of(&background), "background", NULL, NULL);
	group_of(&background)->background = true;
	group_of(&background)->policy = ROTA_GROUP_SUPERVISE;
	rt->background = &background;
	/* Pairs with: rota__gate_enter(). */
	a32_add_acq_rel(&rt->gate, (uint32_t)0 - GATE_CLOSED);
	rota__futex_wake(&rt->gate, 1);
	status = rt->main_fn(rt->main_arg);
	rt->main_status = status;
	if (status < 0)
		rt->main_report = rota__report_create(rt->main_task, status);
	drain(loop, &background);
	return status;
}

static int run(
	rota_task_fn *fn, void *arg, const struct rota_config *config, struct report **ret_report)
{
	struct main_plan plan = {
		.task = main_task,
		.fn = fn,
		.arg = arg,
		.caller_is_loop = true,
		.await_watched = rota__deadlock_await,
	};
	struct rota_runtime *rt;
	int status;

	if (!fn)
		return -EINVAL;
	status = rota__runtime_start(&rt, config, &plan);
	if (status)
		return status;
	rota__trace_open(rt);
	status = rota__runtime_join(rt);
	rota__offload_stop(rt);
	if (!status)
		status = rt->main_status;
	rota__trace_close(rt);
	*ret_report = rt->main_report;
	rota__runtime_free(rt);
	return status;
}

int rota_run(rota_task_fn *fn, void *arg, const struct rota_config *config)
{
	struct report *report = NULL;
	int status = run(fn, arg, config, &report);

	rota__free(report);
	return status;
}

struct main_call {
	int (*fn)(int argc, char **argv);
	int argc;
	char **argv;
	bool ran;
};

static int call_main(void *arg)
{
	struct main_call *call = arg;

	call->ran = true;
	return call->fn(call->argc, call->argv);
}

int rota_main(int (*fn)(int argc, char **argv), int argc, char **argv)
{
	struct main_call call = { .fn = fn, .argc = argc, .argv = argv };
	struct report *report = NULL;
	int status = run(call_main, &call, NULL, &report);

	/* What kept the runtime from starting has been said already. */
	if (status < 0 && call.ran && report)
		rota_error_print(&report->error, 2);
	else if (status < 0 && call.ran)
		rota__log(NULL, ROTA_LOG_ERROR, "error: %s (%s)", rota_status_text(status),
			rota_status_name(status));
	rota__free(report);
	return status >= 0 && status <= 255 ? status : 1;
}

/* The main task of rota_start(): waits for rota_stop(). A cancel of all is not for it. */
static const struct wait_kind stop_kind = { .name = "stop" };

static int wait_for_stop(void *arg)
{
	struct loop *loop = rota__loop_self();
	struct rota_runtime *rt = loop->rt;
	struct wait wait = { .kind = &stop_kind, .task = loop->running };

	(void)arg;
	if (rt->stop_asked)
		return 0;
	rt->stop_waiter = loop->running;
	rota__task_suspend(loop, &wait);
	return 0;
}

static void stop_arrived(struct loop *loop, struct message *message)
{
	struct rota_runtime *rt = container_of(message, struct rota_runtime, stop_message);

	rt->stop_asked = true;
	if (rt->stop_waiter)
		rota__loop_ready(loop, rt->stop_waiter);
}

static int wait_for_gate(struct rota_runtime *rt)
{
	for (;;) {
		uint32_t gate = a32_load_acquire(&rt->gate); /* Pairs with: main_task(). */

		if (gate & GATE_DEAD)
			return rt->main_status;
		if (!(gate & GATE_CLOSED))
			return 0;
		rota__futex_wait(&rt->gate, gate);
	}
}

int rota_start(struct rota_runtime **ret_runtime, const struct rota_config *config)
{
	struct main_plan plan = {
		.task = main_task,
		.fn = wait_for_stop,
		.await_watched = rota__deadlock_await,
	};
	struct rota_runtime *rt;
	int err = rota__runtime_start(&rt, config, &plan);

	if (err)
		return err;
	rota__trace_open(rt);
	/* Until the main task has opened the gate nobody could get in. */
	err = wait_for_gate(rt);
	if (err) {
		rota__runtime_join(rt);
		rota__trace_close(rt);
		rota__runtime_free(rt);
		return err;
	}
	*ret_runtime = rt;
	return 0;
}

int rota_stop(struct rota_runtime *rt)
{
	int status;

	if (rota__forked())
		return -EPERM;
	if (rota__loop_self())
		return -EDEADLK;
	if (!rt || rt != rota__runtime() || rt->caller_is_loop)
		return -EINVAL;
	rt->stop_message.arrived = stop_arrived;
	rota__loop_send(NULL, rt->loop[0], &rt->stop_message.link, INBOX_MESSAGE);
	rota__runtime_join(rt);
	rota__offload_stop(rt);
	status = rt->late ? -ETIMEDOUT : 0;
	rota__trace_close(rt);
	rota__free(rt->main_report);
	rota__runtime_free(rt);
	return status;
}

/* A call from a plain thread: lies in its frame. */
struct thread_call {
	rota_task_fn *fn;
	void *arg;
	int status;
	struct a32 done;
};

static int run_thread_call(void *arg)
{
	struct thread_call *call = arg;
	int status = call->fn(call->arg);

	call->status = status;
	/* Pairs with: rota_runtime_call(). The last touch of the frame. */
	a32_store_release(&call->done, 1);
	rota__futex_wake(&call->done, 1);
	/* The caller has the status: it is nobody else's error. */
	return 0;
}

int rota_runtime_call(struct rota_runtime *rt, rota_task_fn *fn, void *arg)
{
	struct thread_call call = { .fn = fn, .arg = arg };
	int err;

	if (rota__loop_self())
		return -EDEADLK;
	if (!fn)
		return -EINVAL;
	err = rota_runtime_spawn(rt, run_thread_call, &call, NULL, NULL);
	if (err)
		return err;
	/* Pairs with: run_thread_call(). */
	while (!a32_load_acquire(&call.done))
		rota__futex_wait(&call.done, 0);
	return call.status;
}

void rota_runtime_cancel(struct rota_runtime *rt, const char *reason)
{
	if (!rt || rota__forked() || !rota__gate_enter(rt))
		return;
	rota__task_cancel(
		rota__loop_self(), rt->main_task, reason ? reason : "rota_runtime_cancel()");
	rota__gate_leave(rt);
}

struct rota_runtime *rota_runtime_self(void)
{
	struct loop *self = rota__loop_self();

	return self ? self->rt : rota__runtime();
}

unsigned int rota_loop_count(void)
{
	struct loop *self = rota__loop_self();
	struct rota_runtime *rt = rota__visit(self);
	unsigned int count;

	if (!rt)
		return 0;
	count = rt->loop_count;
	rota__visit_end(self);
	return count;
}

int rota_loop_self(void)
{
	struct loop *loop = rota__loop_self();

	return loop && loop->running ? loop->index : rota__no_loop();
}

const char *rota_backend_name(void)
{
	struct loop *self = rota__loop_self();
	struct rota_runtime *rt = rota__visit(self);
	const char *name;

	if (!rt)
		return "none";
	name = rt->backend->describe(rt->loop[0]->port);
	rota__visit_end(self);
	return name;
}
