/* SPDX-License-Identifier: MIT */
/* The runtime: the loops together, what they share, how they start and stop. */
#ifndef ROTA_CORE_RUNTIME_H
#define ROTA_CORE_RUNTIME_H

#include <pthread.h>

#include <rota/runtime.h>

#include "base/spin.h"
#include "core/loop.h"

#define LOOPS_MAX 256

struct rota__topology;

/* Blocks of tasks that no loop has cached, and the slabs that they come from. */
struct task_depot {
	pthread_mutex_t lock;
	struct rota_task *free; /* L(lock), through joiner */
	struct task_slab *slabs;
	uint64_t blocks; /* carved so far */
	uint64_t blocks_max;
};

struct stack_slab {
	struct stack_slab *next;
	char *base;
	size_t bytes;
};

/* Stacks that no loop has cached. All L(lock). */
struct stack_depot {
	pthread_mutex_t lock;
	struct {
		struct fiber *free; /* with their pages */
		char **trimmed;	    /* low ends, without */
		size_t trimmed_count;
		size_t trimmed_room;
		size_t slab_count; /* how many slabs there are, for their growth */
	} of_class[STACK_CLASSES];
	struct stack_slab *slabs;
	struct a64 bytes; /* mapped */
	uint32_t colour;
};

/* rota_run() and rota_start() are two ways to make one of these. */
struct rota_runtime {
	/* I */
	struct rota_config config;
	const struct rota__backend *backend;
	struct rota__topology *topology;
	uint32_t loop_count;
	uint32_t disable;
	unsigned int stack_class;
	bool pin;
	bool caller_is_loop; /* of rota_run(): loop 0 runs on the calling thread */
	struct loop **loop;
	pthread_t *thread;

	/* Runs wait(loop, task) with ROTA_CONFIG_DEBUG; flow's. */
	int (*await_watched)(struct loop *loop, struct rota_task *task,
		int (*wait)(struct loop *loop, struct rota_task *task));

	/* A */
	struct idle idle;
	struct a32 stop; /* the loops end when they see it */
	struct a64 spawned_by_threads;
	struct a32 gate; /* GATE_*: who is entering from outside, and whether one may */

	/* Descriptors below fd_max are watched: 1 while rota_close() ends the ops on it. */
	struct a32 *fd_closing;
	uint32_t fd_max;

	/* Tasks that may start anywhere and are in no deque. */
	struct {
		struct spin lock;
		struct a32 count;	 /* A, written under the lock */
		struct task_queue queue; /* L(lock) */
	} overflow ROTA__LINE_ALIGNED;

	struct task_depot tasks;
	struct stack_depot stacks;

	/* The main task and its end. */
	rota_task_fn *main_fn;
	void *main_arg;
	struct rota_task *main_task;
	struct report *main_report; /* of its error, or NULL */
	int main_status;
	bool late;	       /* some tasks came in after the shutdown deadline */
	int64_t stop_until_ns; /* that deadline, once the stop has begun */
	struct aptr offload;   /* A: the pool of rota_offload() (flow/offload.c), or NULL */
	struct scope root;
	struct rota_group *background; /* A by gate: valid while the gate is open */
	struct message stop_message;   /* rota_stop() to loop 0 */
	struct rota_task *stop_waiter; /* loop 0 only */
	bool stop_asked;	       /* loop 0 only */

	/* Starting: everybody waits until all rings are enabled or one has failed. */
	pthread_mutex_t start_lock;
	pthread_cond_t start_cond;
	uint32_t start_count; /* L(start_lock) */
	uint32_t running;     /* threads [first, running) are to be joined; the starter's */
	int start_error;      /* L(start_lock) */

	uint64_t seed;	    /* simulation */
	uint64_t *sim_hash; /* simulation: the hash of all events */
};

#define GATE_CLOSED 0x80000000u
#define GATE_DEAD   0x40000000u /* the main task has ended and never opened it */

/* The process's runtime; NULL when there is none. It may be gone when the caller looks at it. */
struct rota_runtime *rota__runtime(void);
/*
 * The same, and it stays until rota__visit_end(); loop: the caller's. Between the two nothing waits
 * for a stop of the runtime. NULL when there is none: no end then.
 */
struct rota_runtime *rota__visit(const struct loop *loop);
void rota__visit_end(const struct loop *loop);
/* Whether this process is the child of one that had a runtime: every call returns -EPERM. */
bool rota__forked(void);
/* Why a call that needs a loop has none: -EPERM in a forked child, else -ENXIO. */
int rota__no_loop(void);

/* One line to on_log or stderr, "rota: " put in front of it there. */
void rota__log(const struct rota_runtime *rt, int level, const char *format, ...)
	ROTA__FORMAT(3, 4);

/* Enters from any thread: true when the runtime is there to stay until rota__gate_leave(). */
bool rota__gate_enter(struct rota_runtime *rt);
void rota__gate_leave(struct rota_runtime *rt);

/* Options and environment to rt's immutable part: 0 or a negative errno, said (core/config.c). */
int rota__config_read(struct rota_runtime *rt);

/* The handler that names the task whose stack overflowed (core/overflow.c). */
int rota__guard_handler_install(void);
void rota__guard_handler_remove(void);
int rota__alt_stack_set(struct loop *loop);
void rota__alt_stack_clear(struct loop *loop);

/* Gives all task blocks back (core/blocks.c); no loop runs any more. */
void rota__blocks_free(struct rota_runtime *rt);

/*
 * Starts the loops with `main` as the main task: 0 or a negative errno, said. With caller_is_loop
 * the calling thread is loop 0 and has to call rota__runtime_join() next. main(rt) ends by
 * calling rota__runtime_stop().
 */
struct main_plan {
	rota_task_fn *task; /* the main task: gets the runtime, runs fn(arg) */
	rota_task_fn *fn;
	void *arg;
	bool caller_is_loop;
	/* See struct rota_runtime. */
	int (*await_watched)(struct loop *loop, struct rota_task *task,
		int (*wait)(struct loop *loop, struct rota_task *task));
};

int rota__runtime_start(struct rota_runtime **ret_runtime, const struct rota_config *config,
	const struct main_plan *plan);
/* Tells the loops to return. From a task, when no other task is left. */
void rota__runtime_stop(struct loop *loop);
/* Waits for the loops, or is loop 0. 0, or why they could not start. */
int rota__runtime_join(struct rota_runtime *rt);
void rota__runtime_free(struct rota_runtime *rt);

#endif
