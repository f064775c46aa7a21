/* SPDX-License-Identifier: MIT */
/*
 * A task: its block, its states, its birth and its end.
 *
 * Letters on fields: I immutable after the spawn, T whoever holds the task's state (see the table
 * in core/README.md), O its loop only once it has started, H the loop of its group, A atomic for
 * all.
 */
#ifndef ROTA_CORE_TASK_H
#define ROTA_CORE_TASK_H

#include <rota/task.h>

#include "base/list.h"
#include "core/inbox.h"
#include "core/scope.h"

struct loop;
struct fiber;
struct locals;
struct report;
struct waiter;
struct rota_runtime;

/* Flags of a task. */
#define TASK_HANDLE	 (1u << 0) /* I: the spawner has a handle */
#define TASK_BOUND	 (1u << 1) /* I: starts on `loop`, not where it is found */
#define TASK_ARG_COPY	 (1u << 2) /* I: arg is ours to free */
#define TASK_CANCELLED	 (1u << 3) /* A: cancelled from outside; in effect by fiber->outside */
#define TASK_BY_ITSELF	 (1u << 4) /* A: cancelled by rota_task_cancel(), not by its group */
#define TASK_LINKED	 (1u << 5) /* A: in its group's list of members */
#define TASK_ENDED	 (1u << 6) /* A: ended before its group saw it arrive */
#define TASK_CANCEL_SENT (1u << 7) /* A: cancel_link is in an inbox */
#define TASK_LOCALS	 (1u << 8) /* A, written by O: extra->locals is there */
#define TASK_STACK_SHIFT 24	   /* I: the stack class, 8 bits */

/* waiters: a list of waits under a bit lock, and what becomes of the handle; see core/await.c. */
#define WAITERS_LOCK	 ((uintptr_t)1)
#define WAITERS_CLOSED	 ((uintptr_t)2)	 /* the task has ended: no list any more */
#define WAITERS_RELEASED ((uintptr_t)4)	 /* the handle has been given back */
#define WAITERS_KEPT	 ((uintptr_t)8)	 /* CLOSED, and its group keeps it for the handle's sake */
#define WAITERS_LIST	 (~(uintptr_t)7) /* the first wait, unless CLOSED */

/* 128 bytes in a type-stable slab, for the task's whole life. */
struct rota_task {
	struct inbox_node link; /* T: ready, overflow or inbox; after its end the group's events */
	rota_task_fn *fn;	/* I */
	void *arg;		/* I */
	struct scope *owner;	/* I: the group it belongs to */
	struct fiber *fiber;	/* O: from its start to its end */
	struct aptr loop;	/* where it runs: I if BOUND, else set at its start; read by all */
	struct a32 state;	/* enum rota_task_state, written by task_state_set() only */
	struct a32 flags;	/* TASK_* */
	struct rota_task *joiner; /* O: a task of the same loop that waits for the end */
	/* second line */
	union {
		struct list member;	   /* H: among the members of the group */
		struct inbox_node arrival; /* spawned elsewhere, on its way to H */
	};
	struct aptr waiters;	       /* A: waits of other loops and threads */
	const char *site;	       /* I */
	uint64_t id;		       /* I */
	struct aptr extra;	       /* A: struct task_extra, or NULL */
	int32_t status;		       /* T: valid in DONE and ERROR */
	struct a32 refs;	       /* A: its group, a cancel under way; the last one frees */
	struct inbox_node cancel_link; /* whoever set TASK_CANCEL_SENT */
};

_Static_assert(sizeof(struct rota_task) == 128, "two cache lines");

/* What few tasks have. Allocated on demand; lives as long as the block's use. */
struct task_extra {
	char name[32];
	char message[160];	/* of rota_fail() */
	int message_status;	/* the status it came with */
	char cancel_reason[64]; /* written once */
	struct a32 has_reason;	/* A: it is there */
	struct locals *locals;	/* O: flow/local.c; a reference */
	/* Errors (flow/report.c), struct report *: the last one that the task was given, A; that
	 * of its own end, for who awaits it, A, set once. */
	struct aptr report;
	struct aptr kept;
};

static inline enum rota_task_state task_state(const struct rota_task *task)
{
	/* Pairs with: task_state_set() of the end. What the task wrote is seen with its end. */
	return (enum rota_task_state)a32_load_acquire(&task->state);
}

static inline bool task_has_ended(const struct rota_task *task)
{
	return task_state(task) >= ROTA_TASK_DONE;
}

/* NULL while it may still start anywhere. */
static inline struct loop *task_loop(const struct rota_task *task)
{
	return aptr_load_relaxed(&task->loop);
}

static inline unsigned int task_stack_class(const struct rota_task *task)
{
	return a32_load_relaxed(&task->flags) >> TASK_STACK_SHIFT;
}

static inline struct rota_task *task_of_link(struct inbox_node *node)
{
	return container_of(node, struct rota_task, link);
}

/* How to make a task; what the public options come down to. */
struct task_plan {
	const char *site;
	const char *name;
	rota_task_fn *fn;
	void *arg;
	struct scope *owner;
	struct loop *bound;    /* NULL: may start anywhere */
	struct locals *locals; /* to inherit, or NULL; the spawner's reference */
	size_t arg_bytes;      /* > 0: copy */
	unsigned int stack_class;
	bool handle;
	bool linked;	/* the caller links it into its group's members */
	bool cancelled; /* born cancelled */
};

/* The extra part, made when it is not there; NULL when there is no memory. */
struct task_extra *rota__task_extra(struct rota_task *task);
/* Copies the task's name ("" if none): safe from any thread while the block lives. */
void rota__task_name_copy(const struct rota_task *task, char name[32]);
void rota__task_name_set(struct rota_task *task, const char *name);

/*
 * Cancel (core/cancel.c). The first asks from any thread, by way of the group's loop; the second is
 * for that loop itself; the third takes in what the first two have sent.
 */
void rota__task_cancel(struct loop *loop, struct rota_task *task, const char *reason);
void rota__task_cancel_member(struct loop *home, struct rota_task *task, const char *reason);
void rota__task_cancel_arrived(struct loop *loop, struct rota_task *task);
/* Why it will be, or was, cancelled; the first one stays. NULL or "": nobody said. */
void rota__task_reason_set(struct rota_task *task, const char *reason);
/* Why the task was cancelled, copied; "" when nobody said. Any thread, while the block lives. */
void rota__task_cancel_reason(const struct rota_task *task, char reason[64]);
/* Cuts the wait that a task of this loop is in short, if it may be. */
void rota__task_interrupt(struct loop *loop, struct rota_task *task);

/* Hangs a waiter on a task with a handle: false when it has ended. And takes it out again. */
bool rota__task_waiters_add(struct rota_task *task, struct waiter *waiter);
void rota__task_waiters_leave(struct rota_task *task, struct waiter *waiter);

/*
 * The end of a task with a handle (core/await.c): wakes whoever waits. True: `kept`, and the block
 * stays for the handle's sake until it is given back; then the caller may not touch it any more.
 * For a group's ended(); kept: the caller is its home.
 */
bool rota__task_waiters_close(struct loop *loop, struct rota_task *task, bool kept);
/* Home, for a task that ended elsewhere: true when the block stays for its handle's sake. */
bool rota__task_keep(struct rota_task *task);
/* Gives the handle back: true when the task is KEPT, and its group has to let it go. */
bool rota__task_handle_drop(struct rota_task *task);

#endif
