/* SPDX-License-Identifier: MIT */
/*
 * Start, stop and enter the runtime: rota_main() for a main(), rota_run() for programs,
 * rota_start() and rota_stop() for libraries, bindings and programs with threads of their own.
 *
 * Environment, read unless ROTA_CONFIG_NO_ENV: ROTA_LOOPS=N and ROTA_BACKEND=uring|sim where the
 * config leaves the choice,
 * ROTA_SIM=SEED (simulation: virtual clock, all loops on one thread, the schedule from the seed),
 * ROTA_TRACE=FILE (Chrome JSON of the last events, written when the runtime stops),
 * ROTA_DISABLE=defer,msgring,guard (do without a kernel feature).
 */
#ifndef ROTA_RUNTIME_H
#define ROTA_RUNTIME_H

#include <rota/task.h>

ROTA_BEGIN_DECLS

struct rota_runtime;

/* What a loop waits on. EPOLL is refused (-ENOTSUP) in this version. */
enum rota_backend {
	ROTA_BACKEND_AUTO = 0,
	ROTA_BACKEND_URING = 1,
	ROTA_BACKEND_EPOLL = 2,
	ROTA_BACKEND_SIM = 3,
};

#define ROTA_CONFIG_NO_PIN	(1u << 0) /* loops are not bound to cores */
#define ROTA_CONFIG_NO_WATCHDOG (1u << 1) /* no stall reports (this version never has any) */
#define ROTA_CONFIG_NO_ENV	(1u << 2) /* ROTA_* variables are not read */
#define ROTA_CONFIG_ABORT_LATE	(1u << 3) /* abort when shutdown_ns has passed */
#define ROTA_CONFIG_DEBUG	(1u << 4) /* run-time checks also in a release build */

/* Levels of on_log. */
#define ROTA_LOG_ERROR	 0
#define ROTA_LOG_WARNING 1
#define ROTA_LOG_INFO	 2

/*
 * How to run. All zero is the default; reserved members must be zero. Not implemented yet, hence
 * refused with -ENOTSUP when not zero: signals, stall_ns, on_stall.
 */
struct rota_config {
	uint32_t flags;	  /* ROTA_CONFIG_* */
	uint32_t loops;	  /* 0: one per CPU that affinity and cgroup quota allow; at most 256 */
	uint32_t backend; /* enum rota_backend */
	uint32_t offload_threads; /* how many rota_offload() may use at once; 0: 64 */
	uint64_t stack_bytes;	  /* default stack of a task; 0: 256 KiB */
	uint64_t tasks_max;	  /* live tasks, after that a spawn gets -ENOMEM; 0: 16 million */
	uint64_t signals;
	int64_t stall_ns;
	/* How long the tasks that are left may take to end at the stop, then the late ones are
	 * named; 0: 10 s. */
	int64_t shutdown_ns;
	/* An error that nobody joined (background tasks). NULL: printed to stderr. Called on the
	 * thread of the loop; must not suspend. error is valid during the call. */
	void (*on_error)(void *arg, const struct rota_error *error);
	void (*on_stall)(void *arg, const struct rota_stall *stall);
	/* Messages of the runtime, one line without its newline. NULL: stderr. */
	void (*on_log)(void *arg, int level, const char *text);
	void *hook_arg; /* the first argument of the hooks */
	uint64_t reserved[8];
};

/*
 * Starts the loops (the calling thread is loop 0 until the call returns), runs fn(arg) as the main
 * task, cancels and joins what it left in the background, stops. config may be NULL.
 * Returns fn's status, or why the runtime did not start, which on_log has been told (but for
 * -EDEADLK, -EPERM in the child of a fork() and a NULL fn, the caller's mistakes):
 * -EINVAL a bad option or variable, -EBUSY a runtime is there already, -EDEADLK called in a task,
 * -EPERM or -ENOSYS io_uring is forbidden or missing, -EMFILE, -ENOMEM, -ENOTSUP, -EAGAIN.
 * Plain threads only.
 */
ROTA_API int rota_run(rota_task_fn *fn, void *arg, const struct rota_config *config);

/*
 * rota_run() for a main(): runs fn(argc, argv) as the main task, prints the report of an error to
 * stderr, returns an exit status: fn's own for 0 .. 255, 1 for the rest.
 */
ROTA_API int rota_main(int (*fn)(int argc, char **argv), int argc, char **argv);

/*
 * Starts the loops on threads of their own and returns. One runtime a process at a time: -EBUSY.
 * On success *ret_runtime must be given to rota_stop(). Errors as rota_run().
 */
ROTA_API int rota_start(
	struct rota_runtime **ret_runtime, const struct rota_config *config) ROTA_MUST_CHECK;

/*
 * Cancels and joins everything, frees the runtime. Returns 0; -ETIMEDOUT some tasks came in later
 * than shutdown_ns, or offloaded calls were left behind, and have been named; -EINVAL not a
 * runtime of rota_start(); -EDEADLK in a task. Plain threads only.
 */
ROTA_API int rota_stop(struct rota_runtime *runtime);

/*
 * Runs fn(arg) as a task and waits for it. Returns fn's status, or -EDEADLK in a task, -ESHUTDOWN
 * while the runtime stops, -ENOMEM. Plain threads only.
 */
ROTA_API int rota_runtime_call(struct rota_runtime *runtime, rota_task_fn *fn, void *arg);

/*
 * Spawns a background task from any thread. ret_task and options may be NULL; a handle that was
 * asked for must be released. Returns 0, -EINVAL, -ENOMEM, -ESHUTDOWN.
 */
ROTA_API int rota_runtime_spawn(struct rota_runtime *runtime, rota_task_fn *fn, void *arg,
	struct rota_task **ret_task, const struct rota_spawn_options *options);

/*
 * Cancels every task: the main task sees -ECANCELED. reason as for rota_task_cancel().
 * Any thread; does not wait.
 */
ROTA_API void rota_runtime_cancel(struct rota_runtime *runtime, const char *reason);

/* The process's runtime; NULL when there is none. Any thread. */
ROTA_API struct rota_runtime *rota_runtime_self(void);

/* Number of loops; 0 when no runtime runs. Any thread. */
ROTA_API unsigned int rota_loop_count(void);

/* Index of the loop that runs the caller, from 0; -ENXIO outside a task. */
ROTA_API int rota_loop_self(void);

/* "uring" or "sim" with the features in use, for logs; "none" when no runtime runs. Any thread. */
ROTA_API const char *rota_backend_name(void);

ROTA_END_DECLS

#endif
