/* SPDX-License-Identifier: MIT */
/*
 * For tests of what tasks wait for (sync.h): tasks that make one call each, stand in line in a
 * known order, and say what came of it.
 */
#ifndef ROTA_TESTS_CALLERS_H
#define ROTA_TESTS_CALLERS_H

#include "unit.h"

/* A task that makes one call, which may wait. */
struct caller {
	/* Set by the test. */
	int (*call)(void *object);
	void (*undo)(void *object); /* gives back what the call took; NULL: nothing to give back */
	void *object;
	struct a32 *served; /* counts the calls that went well */
	bool hold;	    /* keeps what it took until it is let go */
	/* What came of it. */
	struct rota_task *task;
	struct a32 back; /* 1: the call has returned */
	struct a32 go;	 /* 1: what it holds is to be given back */
	uint32_t place;	 /* 1 for the first that was served, and so on; 0: was not */
	int result;	 /* of the call */
	int after;	 /* of yields behind it: -ECANCELED when the task is cancelled by then */
};

static inline int make_call(void *arg)
{
	struct caller *caller = arg;

	caller->result = caller->call(caller->object);
	if (caller->result >= 0)
		caller->place = a32_add_acq_rel(caller->served, 1) + 1;
	a32_store_release(&caller->back, 1);
	for (int i = 0; i < 3 && !caller->after; i++)
		caller->after = rota_yield();
	if (caller->hold)
		wait_cell(&caller->go, 1);
	if (caller->result >= 0 && caller->undo)
		caller->undo(caller->object);
	return 0;
}

/* Starts it on a loop, and returns when it waits. */
static inline void line_up_on(struct rota_group *group, struct caller *caller, uint32_t loop)
{
	const struct rota_spawn_options there = {
		.flags = ROTA_SPAWN_ON_LOOP,
		.loop = loop % rota_loop_count(),
	};

	EXPECT_EQ(rota_group_spawn_with(group, make_call, caller, &caller->task, &there), 0);
	while (rota_task_state(caller->task) < ROTA_TASK_SUSPENDED &&
		!a32_load_acquire(&caller->back))
		if (rota_yield())
			break;
	EXPECT_EQ(a32_load_acquire(&caller->back), 0);
}

/* One after the other, on all loops in turn. */
static inline void line_up(struct rota_group *group, struct caller *callers, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		line_up_on(group, &callers[i], i);
}

/*
 * On the loop of the calling task: none of them runs before that suspends, and what it does until
 * then happens at one moment for them.
 */
static inline void line_up_here(struct rota_group *group, struct caller *callers, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		line_up_on(group, &callers[i], (uint32_t)rota_loop_self());
}

/* Waits until the task has ended; not by an await, which debug checks take for a wait of ours. */
static inline void wait_end(struct caller *caller)
{
	while (rota_task_state(caller->task) < ROTA_TASK_DONE)
		if (rota_yield())
			return;
}

static inline void wait_back(struct caller *caller)
{
	EXPECT(wait_cell(&caller->back, 1));
}

static inline void let_go(struct caller *caller)
{
	a32_store_release(&caller->go, 1);
}

/* It still waits, after all who could have woken it had their turn here. */
static inline void expect_waits_at(const char *file, int line, struct caller *caller)
{
	for (int i = 0; i < 3; i++)
		if (rota_yield())
			break;
	expect_at(rota_task_state(caller->task) == ROTA_TASK_SUSPENDED &&
			  !a32_load_acquire(&caller->back),
		"%s:%d: it does not wait any more\n", file, line);
}

#define EXPECT_WAITS(caller) expect_waits_at(__FILE__, __LINE__, caller)

/* They were served in the order in which they came. Once all have ended. */
static inline void expect_in_order(const struct caller *callers, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		EXPECT_EQ(callers[i].result, 0);
		EXPECT_EQ(callers[i].place, i + 1);
	}
}

/*
 * Cancels one that waits on the loop of the calling task, and lets others run so many times. True:
 * the cancel has struck. The task may not have run since, and may still stand in line then. False:
 * it has not arrived, and nothing of it will before the calling task suspends.
 */
static inline bool cancel_here(struct caller *caller, int turns)
{
	rota_task_cancel(caller->task, NULL);
	while (turns-- > 0)
		EXPECT_EQ(rota_yield(), 0);
	return rota_task_state(caller->task) != ROTA_TASK_SUSPENDED;
}

/* How many turns are worth trying: not yet, struck, on its way, gone. */
#define CANCEL_TURNS 4

/* A call that is made by a task which is cancelled already. */
struct late_call {
	int (*call)(void *object);
	void *object;
	int result;
};

static inline int call_cancelled(void *arg)
{
	struct late_call *late = arg;

	rota_task_cancel(rota_task_self(), NULL);
	while (!rota_yield())
		;
	late->result = late->call(late->object);
	return 0;
}

/* What the call returns to a task that is cancelled. It must not wait. */
static inline int result_when_cancelled(int (*call)(void *object), void *object)
{
	struct late_call late = { .call = call, .object = object, .result = 1000 };
	struct rota_group group;

	rota_group_open(&group, NULL);
	spawn(&group, call_cancelled, &late);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	return late.result;
}

/* Runs fn(arg) in a child as the main task of two loops: how it ended. */
struct child_task {
	rota_task_fn *fn;
	void *arg;
	uint32_t flags;
};

static inline int run_child_task(void *arg)
{
	const struct child_task *child = arg;
	const struct rota_config config = { .loops = 2, .flags = child->flags };

	rota_run(child->fn, child->arg, &config);
	return 0;
}

/* A misuse, by the main task of a runtime: it must abort, and the report names `what`. */
static inline void expect_report_at(
	const char *file, int line, const struct child_task *task, const char *what)
{
	struct child *child = run_child(run_child_task, (void *)task);

	cr_expect(child_died_by(child, SIGABRT), "%s:%d: %x %s", file, line, child->wait_status,
		child->err);
	cr_expect(strstr(child->err, "rota: ") && strstr(child->err, what),
		"%s:%d: no \"%s\" in: %s", file, line, what, child->err);
}

#define EXPECT_REPORT(body, what) \
	expect_report_at(__FILE__, __LINE__, &(struct child_task){ .fn = (body) }, what)

/* A signal whose handler calls one of the calls that may be made there. */
static void (*on_signal)(void);

static inline void handle_signal(int number)
{
	(void)number;
	on_signal();
}

/* From now on SIGUSR1 runs fn, on the calling thread too: the loops' threads block signals. */
static inline void handle_sigusr1(void (*fn)(void))
{
	struct sigaction action = { .sa_handler = handle_signal, .sa_flags = SA_RESTART };
	sigset_t set;

	on_signal = fn;
	EXPECT_EQ(sigaction(SIGUSR1, &action, NULL), 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	EXPECT_EQ(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
}

#endif
