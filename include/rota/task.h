/* SPDX-License-Identifier: MIT */
/*
 * One task: handle, state, errors, sleeping and yielding. Tasks are spawned by groups (group.h).
 *
 * A handle exists only if it was asked for. It is valid until its group closes or it is released,
 * however often it is awaited; any number of tasks and threads may await it.
 */
#ifndef ROTA_TASK_H
#define ROTA_TASK_H

#include <rota/base.h>

ROTA_BEGIN_DECLS

struct rota_task;

/* The life of a task. ERROR: it ended with a status < 0. */
enum rota_task_state {
	ROTA_TASK_CREATED = 0,
	ROTA_TASK_SCHEDULED = 1,
	ROTA_TASK_RUNNING = 2,
	ROTA_TASK_SUSPENDED = 3,
	ROTA_TASK_DONE = 4,
	ROTA_TASK_ERROR = 5,
};

/* Spawn flags; a group may carry them for all of its members. */
#define ROTA_SPAWN_LOCAL   (1u << 0) /* runs on the spawner's loop (of a group: on its loop) */
#define ROTA_SPAWN_ON_LOOP (1u << 1) /* runs on loop .loop */
/* May change its thread at any suspend. A permission: this version does not make use of it. */
#define ROTA_SPAWN_MOBILE  (1u << 2)

/* How to spawn. All zero is the default. */
struct rota_spawn_options {
	const char *name; /* copied, cut at 31 bytes; NULL: the site stands in for it */
	uint32_t flags;	  /* ROTA_SPAWN_* */
	uint32_t loop;	  /* for ROTA_SPAWN_ON_LOOP, from 0 */
	/* Bytes of stack, rounded up to a class of 16 KiB .. 8 MiB; 0: the runtime's default. */
	uint64_t stack_bytes;
	uint64_t arg_bytes; /* > 0: the task gets a copy of so many bytes at arg */
	uint64_t reserved[4];
};

/* What is known about a failure. Strings live as long as the struct's owner says. */
struct rota_error {
	int status;			  /* a negative errno */
	uint32_t depth;			  /* number of awaiters that follow */
	uint64_t task_id;		  /* who failed */
	const char *task_name;		  /* never NULL, "" when it has none */
	const char *site;		  /* where it was spawned: "fn (file.c:12)" */
	const char *message;		  /* from rota_fail(); "" if none */
	const struct rota_error *awaiter; /* who waited for it; NULL at the main task */
};

/* A task that does not let its loop turn. Reported by the monitor of a later version. */
struct rota_stall {
	uint64_t task_id;
	const char *task_name;
	const char *site;
	int64_t elapsed_ns;
	uint32_t loop;
	uint32_t frame_count;
	void *const *frames;
};

/*
 * Waits until the task has ended. Returns 0 and stores how it ended in *ret_status (may be NULL,
 * untouched otherwise), or < 0 when this wait was cut short: -ECANCELED the caller was cancelled,
 * -EDEADLK the caller awaits itself (or, with
 * ROTA_CONFIG_DEBUG, a cycle of waits), -ENXIO no runtime runs, -EINVAL task is NULL or no handle
 * that a spawn gave out (rota_task_self() of another task).
 * Context: task (a cancellation point) or plain thread (blocks it).
 */
ROTA_API int rota_task_await(struct rota_task *task, int *ret_status);

/*
 * Asks the task to end: its suspending calls return -ECANCELED from now on, the one it is in
 * included. What it has open (groups) is cancelled with it. A task that has not started still
 * runs. Does not wait. reason may be NULL; it is copied, cut at 63 bytes; the first one stays.
 * The handle must stay valid during the call. Any thread; NULL is fine.
 */
ROTA_API void rota_task_cancel(struct rota_task *task, const char *reason);

/*
 * Gives a handle back before its group closes. The task itself goes on. Any thread; NULL is fine.
 */
ROTA_API void rota_task_release(struct rota_task *task);

/* A snapshot of the task's state. Any thread. */
ROTA_API enum rota_task_state rota_task_state(const struct rota_task *task);

/* "running" and the like; "unknown" for other numbers. Any context. */
ROTA_API const char *rota_task_state_name(enum rota_task_state state);

/* The task's number, unique in the process, as shown in traces and dumps. Any thread. */
ROTA_API uint64_t rota_task_id(const struct rota_task *task);

/* The handle of the calling task, valid while it runs; NULL outside a task. */
ROTA_API struct rota_task *rota_task_self(void);

/* Names the calling task; copied, cut at 31 bytes. Does nothing outside a task or out of memory. */
ROTA_API void rota_task_set_name(const char *name);

/* The calling task's name; "" if it has none and outside a task. Valid while the task runs. */
ROTA_API const char *rota_task_name(void);

/*
 * Sleeps for duration_ns nanoseconds; never early. <= 0: lets the others run once.
 * Returns 0, -ECANCELED, -ENXIO outside a task, -ENOMEM when there is no room for a timer.
 */
ROTA_API int rota_sleep(int64_t duration_ns);

/* Sleeps until rota_now() >= when_ns. Otherwise as rota_sleep(). */
ROTA_API int rota_sleep_until(int64_t when_ns);

/*
 * Lets every other ready task of the loop run once.
 * Returns 0, -ECANCELED, -ENXIO outside a task.
 */
ROTA_API int rota_yield(void);

/*
 * Attaches a message to status and returns status: return rota_fail(-EIO, "reading %s", path).
 * The message is cut at 159 bytes; the last one counts, and only for the status it came with.
 * Outside a task it returns status and does nothing else. For an error that the task was given by a
 * close or an await and passes on, the message comes before the one that the error had.
 */
ROTA_API int rota_fail(int status, const char *format, ...) ROTA_FORMAT(2, 3);

/* rota_fail() without a format. text may be NULL. */
ROTA_API int rota_fail_text(int status, const char *text);

/*
 * The report behind the last error that a close, gather, race or await gave this task; NULL if
 * there is none, and outside a task. Valid until the next of these calls, or the end of the task.
 */
ROTA_API const struct rota_error *rota_error_last(void);

/*
 * Writes an error with its chain of awaiters to fd, a line each. error may be NULL (then nothing
 * is written). Any thread.
 */
ROTA_API void rota_error_print(const struct rota_error *error, int fd);

ROTA_END_DECLS

#endif
