/* SPDX-License-Identifier: MIT */
/*
 * The loop: one per core, one task at a time on it. What its thread does is in core/loop.c, how it
 * finds work elsewhere in core/steal.c, how it sleeps in core/idle.c.
 */
#ifndef ROTA_CORE_LOOP_H
#define ROTA_CORE_LOOP_H

#include <signal.h>

#include "core/deque.h"
#include "core/fiber.h"
#include "core/inbox.h"
#include "core/park.h"
#include "core/task.h"
#include "core/timer.h"
#include "core/wait.h"
#include "observe/trace.h"
#include "os/port.h"

/* What an inbox node is. */
enum inbox_kind {
	INBOX_TASK = 0,	   /* rota_task.link: has been woken, or is bound here and unstarted */
	INBOX_CANCEL = 1,  /* rota_task.cancel_link */
	INBOX_MESSAGE = 2, /* struct message */
	INBOX_SCOPE = 3,   /* scope.link */
};

/* A call to make on another loop, in the sender's memory until it is made. */
struct message {
	struct inbox_node link;
	void (*arrived)(struct loop *loop, struct message *message);
};

/* Single-writer counters: the loop's thread adds, anybody reads. */
struct loop_counters {
	struct a64 spawned;
	struct a64 ended;
	struct a64 failed;
	struct a64 stolen;
	struct a64 switches;
	struct a64 parks;
	struct a64 wakes;
	struct a64 errors_unjoined;
	struct a64 ops_submitted; /* copies of the port's, made when the loop turns */
	struct a64 ops_completed;
};

/* A queue of tasks through their link; owner only, or under a lock. */
struct task_queue {
	struct rota_task *head;
	struct rota_task *tail;
};

/* After so many picks the other sources have their turn; prime, as in Go and Tokio. */
#define LOOP_BUDGET 61

#define LOOP_WATCH_DEBUG 1u /* transitions are checked */
#define LOOP_WATCH_TRACE 2u /* `trace` is set */

struct loop {
	/* Owner only, hot. */
	struct {
		struct rota_task *running; /* NULL: the scheduler itself */
		uint32_t budget;	   /* picks until the loop looks around */
		struct a32 watched;	   /* A: LOOP_WATCH_*; 0: nobody wants to know */
		bool direct;		   /* may switch from task to task; not under simulation */
		bool many;		   /* there are other loops */
		bool searching;		   /* counted in idle.searchers */
		uint8_t spins_to_skip;	   /* idle times until it spins again */
		uint8_t spin_backoff;	   /* how many it skips after the next vain one */
		uint8_t looks;		   /* of rota_cancelled() */
		bool forked;		   /* this is the child of a fork() that a task made */
		struct task_queue ready;   /* woken tied tasks, bound ones; FIFO */
		struct aptr trace;	   /* A: struct trace_ring *, NULL: off */
		struct rota__port *port;
		struct rota_runtime *rt;
		struct rota_task *free_tasks; /* cached blocks, through joiner */
		uint32_t free_task_count;
		struct fiber *free_fibers[STACK_CLASSES];
		uint32_t free_fiber_count[STACK_CLASSES];
		struct {
			char *next; /* the rest of the loop's newest slab */
			size_t left;
		} stacks[STACK_CLASSES];
		struct timer_heap timers;
		int64_t turn_ns;  /* the clock when the loop last read it */
		uint64_t next_id; /* of the next task; then id_step further */
		uint64_t id_step;
	} ROTA__LINE_ALIGNED;
	struct context sched;
	struct loop_counters counters;
	struct trace_ring *trace_ring; /* the newest one, also when it is off; observe/chrome.c */
	struct list op_waiters;	       /* tasks that wait for room in the port */
	struct list close_requests;    /* io/close.c: who waits for ops to end here */
	struct a32 *fd_ops; /* per descriptor: ops that this loop has under way; A, O writes */
	/* Immutable. */
	const uint16_t *order; /* the other loops, nearest first */
	uint16_t index;
	uint16_t last_victim; /* O: index into order */
	void *alt_stack;
	stack_t alt_stack_before;
	/* Written by others. */
	struct inbox inbox ROTA__LINE_ALIGNED;
	struct parker parker;
	struct deque fresh;
};

/* The loop of the calling thread; NULL outside. The only reader of a thread-local (core/self.c). */
struct loop *rota__loop_self(void);
void rota__loop_self_set(struct loop *loop);

/* One turn: runs tasks until there is nothing to run here. False: the loop found nothing. */
bool rota__loop_turn(struct loop *loop);
/* A real loop's life on its own thread: returns when the runtime stops. */
void rota__loop_run(struct loop *loop);

/*
 * Suspends the running task on `wait`; returns when somebody made it ready. The caller has seen to
 * it that somebody will. No thread-local and no errno may be live across.
 */
void rota__task_suspend(struct loop *loop, struct wait *wait);
/* Puts the running task behind the ready ones and lets them run. */
void rota__task_step_back(struct loop *loop);
/* Runs a task that has not started now; the running one waits for its end on `wait`. */
void rota__task_suspend_into(struct loop *loop, struct wait *wait, struct rota_task *next);
/* SUSPENDED -> SCHEDULED on the task's own loop. */
void rota__loop_ready(struct loop *loop, struct rota_task *task);
/* Takes what others have sent. */
void rota__loop_drain(struct loop *loop);
/* Sends a node to a loop and wakes it if it sleeps. from: the caller's loop or NULL. */
void rota__loop_send(
	struct loop *from, struct loop *to, struct inbox_node *node, unsigned int kind);
/* After a publication and its fence: wakes one sleeper if nobody searches. */
void rota__loop_wake_any(struct loop *from, struct rota_runtime *rt);

/* A task that may start anywhere and has no room in a deque. */
void rota__overflow_push(struct loop *from, struct rota_runtime *rt, struct rota_task *task);
/* The oldest of them, or NULL; up to `more` others go into the loop's own deque. */
struct rota_task *rota__overflow_pop(struct loop *loop, unsigned int more);

/* Something of the other loops, or NULL; asks them to publish (core/steal.c). */
struct rota_task *rota__loop_steal(struct loop *loop);
/* Whether there is anything to steal; with ask, leaves a request where there is not. */
bool rota__loop_look(struct loop *loop, bool ask);
/* Spins, then sleeps until there may be something to do (core/idle.c). */
void rota__loop_idle(struct loop *loop);
/* The two halves of going to sleep, for a backend that plays all loops on one thread. */
bool rota__loop_park_begin(struct loop *loop, int64_t *ret_timeout_ns);
void rota__loop_park_end(struct loop *loop);

/* The port's own counters are plain: copies for other threads. */
static inline void loop_count_ops(struct loop *loop)
{
	a64_store_relaxed(&loop->counters.ops_submitted, loop->port->submitted);
	a64_store_relaxed(&loop->counters.ops_completed, loop->port->completed);
}

static inline void task_queue_push(struct task_queue *queue, struct rota_task *task)
{
	task->link.next = 0;
	if (queue->head)
		queue->tail->link.next = (uintptr_t)task;
	else
		queue->head = task;
	queue->tail = task;
}

static inline struct rota_task *task_queue_pop(struct task_queue *queue)
{
	struct rota_task *task = queue->head;

	if (task)
		queue->head = (struct rota_task *)task->link.next;
	return task;
}

static inline struct trace_ring *loop_trace(const struct loop *loop)
{
	/* Pairs with: rota_trace_start(). */
	return aptr_load_acquire(&loop->trace);
}

/* What debug and trace want to know of a transition (core/task.c). */
void rota__task_watched(struct loop *loop, struct rota_task *task, enum rota_task_state state);

/* The one writer of the state word. loop: the caller's, NULL on a plain thread. */
static inline void task_state_set(
	struct loop *loop, struct rota_task *task, enum rota_task_state state)
{
	if (loop && unlikely(a32_load_relaxed(&loop->watched)))
		rota__task_watched(loop, task, state);
	/* Pairs with: task_state(). */
	a32_store_release(&task->state, state);
}

/* Whether the running task's suspending calls have to return -ECANCELED. */
static inline bool task_is_cancelled(const struct rota_task *task)
{
	return task->fiber->struck;
}

#endif
