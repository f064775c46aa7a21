/* SPDX-License-Identifier: MIT */
/*
 * Groups: every task belongs to one, and none outlives it. A group is opened by a task, its owner,
 * and closed by it, innermost first; the close joins all members.
 *
 * A group is a scope as well: it nests with those of scope.h, and inside a group that is cancelled
 * the owner's suspending calls return -ECANCELED until the close. What a member, the owner or
 * somebody outside may cause:
 *
 *	event                            owner's calls  members          close(status) gives
 *	member fails, FAIL_FAST          -ECANCELED     cancelled        that error
 *	member fails, COLLECT            go on          go on            the first error
 *	member fails, SUPERVISE          go on          go on            status
 *	member succeeds, FIRST_WINS      -ECANCELED     cancelled        0; an error if all failed
 *	member cancelled by itself       go on          go on            (no failure)
 *	owner closes with status < 0                    cancelled        status
 *	the group's own timeout          -ECANCELED     cancelled        -ETIMEDOUT
 *	cancel, deadline from outside    -ECANCELED     after the grace  -ECANCELED
 *	rota_group_cancel()              -ECANCELED     cancelled        status, 0 for one >= 0
 *
 * A status < 0 other than -ECANCELED is always the close's result.
 */
#ifndef ROTA_GROUP_H
#define ROTA_GROUP_H

#include <rota/scope.h>
#include <rota/task.h>

ROTA_BEGIN_DECLS

/* What the end of a member means for the others. */
enum rota_group_policy {
	ROTA_GROUP_FAIL_FAST = 0,  /* the first error cancels the rest and is the close's result */
	ROTA_GROUP_COLLECT = 1,	   /* all run to their end; the first error is the close's result */
	ROTA_GROUP_FIRST_WINS = 2, /* the first success cancels the rest; an error if all failed */
	ROTA_GROUP_SUPERVISE = 3,  /* errors go to on_error and touch nobody else: servers */
};

/* Beside ROTA_SPAWN_LOCAL in the flags of a group: ended members wait for rota_group_next(). */
#define ROTA_GROUP_KEEP (1u << 16)

/* How a group is. All zero is the default. */
struct rota_group_options {
	const char *name;   /* copied, cut at 31 bytes */
	uint32_t policy;    /* enum rota_group_policy */
	uint32_t flags;	    /* ROTA_SPAWN_LOCAL: all on the owner's loop; ROTA_GROUP_KEEP */
	uint64_t limit;	    /* live members; at the limit a spawn waits. 0: none */
	int64_t timeout_ns; /* > 0: cancelled after so long, the close then gives -ETIMEDOUT */
	/*
	 * How long after a cancel from outside the members are cancelled too; meanwhile
	 * rota_draining() tells them. ROTA_FOREVER: not at all, they end in their own way.
	 */
	int64_t grace_ns;
	uint64_t reserved[3];
};

/* The caller's memory, usually a local variable. All zero is a valid closed group. */
struct ROTA_CAPABILITY("group") rota_group {
	uint64_t opaque[24];
};

/* A member that has ended. */
struct rota_result {
	void *arg;		/* what it was spawned with; NULL if that was a copy */
	struct rota_task *task; /* its handle, if the spawn asked for one and it is not released */
	int status;
};

/* One call of rota_gather() or rota_race(). */
struct rota_call {
	rota_task_fn *fn;
	void *arg;
	const char *name; /* may be NULL */
	int status;	  /* output: how it ended; 0 before */
};

/*
 * Opens a group of the calling task. Cannot fail: bad options are the close's result, and spawns
 * into such a group are refused with the same error. options may be NULL. site: static storage.
 * Outside a task the group stays closed and the close gives -ENXIO.
 */
ROTA_API void rota_group_open_at(const char *site, struct rota_group *group,
	const struct rota_group_options *options) ROTA_ACQUIRE(group);

/* The same for a variable with a cleanup attribute: see ROTA_GROUP(). */
ROTA_API void rota_group_open_auto_at(const char *site, struct rota_group *group,
	const struct rota_group_options *options) ROTA_ASSERT_HELD(group);

/*
 * Joins all members and ends the group. status is how the owner's own part went: < 0 cancels the
 * members (but an -ECANCELED that came from outside leaves them their grace), and is the result,
 * but an -ECANCELED that the group itself caused gives way to what caused it; >= 0: the policy
 * decides,
 * see the table above; a spawn or an option that failed counts as a failure.
 * No cancellation point: it always finishes; a cancel from outside reaches the members.
 * Owner only, innermost first: anything else is reported and aborts. Closing a group that is not
 * open gives -EINVAL, outside a task -ENXIO.
 */
ROTA_API int rota_group_close(struct rota_group *group, int status) ROTA_MUST_CHECK
	ROTA_RELEASE(group);

/* For cleanup attributes: closes an open group with -ECANCELED; its error goes to on_error. */
ROTA_API void rota_group_cleanup(struct rota_group *group);

/*
 * Spawns fn(arg) as a member. ret_task, if not NULL, gets a handle, on failure NULL. options may
 * be NULL. At the limit it waits (a cancellation point then); called from inside the group, that
 * is by a member or by what a member spawned, it returns -EAGAIN instead: call fn yourself,
 * waiting could never end. fn always runs once this returned 0, also when it was cancelled before
 * it started. Returns 0, -EAGAIN, -ECANCELED, -ENOMEM, -EINVAL (a bad option; ROTA_SPAWN_ON_LOOP
 * into a ROTA_SPAWN_LOCAL group, but for its own loop), -ESHUTDOWN; every failure but
 * -EAGAIN is also the close's result, so it need not be checked unless arg owns something.
 * Any thread, while the group is open (a plain thread gets -EAGAIN at the limit).
 */
ROTA_API int rota_group_spawn_at(const char *site, struct rota_group *group, rota_task_fn *fn,
	void *arg, struct rota_task **ret_task, const struct rota_spawn_options *options);

/* Spawns fn with a copy of arg_bytes bytes at arg, which die with the task. */
ROTA_API int rota_group_spawn_copy_at(const char *site, struct rota_group *group, rota_task_fn *fn,
	const void *arg, size_t arg_bytes);

/*
 * Waits until no member is live; the group stays open. Does not cancel members. Returns 0,
 * -ECANCELED when the owner or the group was cancelled, -EINVAL not open or not the owner's,
 * -ENXIO outside a task.
 */
ROTA_API int rota_group_wait(struct rota_group *group);

/*
 * Takes the next ended member of a ROTA_GROUP_KEEP group, in the order of their ends: 1 and
 * *ret_result, or 0 when no member is left, or < 0: -ECANCELED, -EINVAL no such group, not open or
 * not the owner's, -ENXIO outside a task. A cancellation point. Ended members that nobody takes
 * are kept until the close.
 */
ROTA_API int rota_group_next(struct rota_group *group, struct rota_result *ret_result);

/*
 * Cancels the members and the owner's calls inside the group. Does not wait. reason may be NULL;
 * copied, cut at 63 bytes. Any thread, while the group is open.
 */
ROTA_API void rota_group_cancel(struct rota_group *group, const char *reason);

/* Live members. A snapshot. Any thread, while the group is open. */
ROTA_API size_t rota_group_live(const struct rota_group *group);

/*
 * Spawns into the runtime's background group, which is cancelled at shutdown. Inherits no cancel.
 * An error goes to the on_error hook. Returns 0, -ENXIO no runtime, -ESHUTDOWN, -ENOMEM, -EINVAL.
 * Any thread.
 */
ROTA_API int rota_background_at(
	const char *site, rota_task_fn *fn, void *arg, const struct rota_spawn_options *options);

/*
 * Runs all calls at once and waits for all; the first error cancels the rest and is returned, else
 * 0. calls[i].status holds how each ended. Context: task.
 */
ROTA_API int rota_gather(struct rota_call *calls, size_t count);

/*
 * Runs all calls at once; the first success (>= 0) cancels the rest, and when all have ended its
 * index is returned; the last error if all failed, -ECANCELED if it was cancelled and none has won,
 * -EINVAL without calls. calls[i].status holds how each ended. Context: task.
 */
ROTA_API int rota_race(struct rota_call *calls, size_t count);

/* The same without a site: for bindings. The macros below hide these; (rota_group_open)(…). */
ROTA_API void rota_group_open(struct rota_group *group, const struct rota_group_options *options)
	ROTA_ACQUIRE(group);
ROTA_API int rota_group_spawn(struct rota_group *group, rota_task_fn *fn, void *arg);
ROTA_API int rota_group_spawn_copy(
	struct rota_group *group, rota_task_fn *fn, const void *arg, size_t arg_bytes);
ROTA_API int rota_group_spawn_with(struct rota_group *group, rota_task_fn *fn, void *arg,
	struct rota_task **ret_task, const struct rota_spawn_options *options);
ROTA_API int rota_background(rota_task_fn *fn, void *arg);

/* rota_group_open(group, options) */
#define rota_group_open(group, ...) rota_group_open_at(ROTA_SITE(#group), (group), __VA_ARGS__)

/* rota_group_spawn(group, fn, arg): without a handle or options. */
#define rota_group_spawn(group, fn, ...) \
	rota_group_spawn_at(ROTA_SITE(#fn), (group), (fn), __VA_ARGS__, NULL, NULL)

/* rota_group_spawn_copy(group, fn, arg, arg_bytes) */
#define rota_group_spawn_copy(group, fn, ...) \
	rota_group_spawn_copy_at(ROTA_SITE(#fn), (group), (fn), __VA_ARGS__)

/* rota_group_spawn_with(group, fn, arg, ret_task, options): with a handle, options or both. */
#define rota_group_spawn_with(group, fn, ...) \
	rota_group_spawn_at(ROTA_SITE(#fn), (group), (fn), __VA_ARGS__)

/* rota_background(fn, arg) */
#define rota_background(fn, ...) rota_background_at(ROTA_SITE(#fn), (fn), __VA_ARGS__, NULL)

/*
 * ROTA_GROUP(name, options): declares and opens a group that no return, break or goto can leave
 * behind. What the members use is declared before it.
 */
#define ROTA_GROUP(name, ...)                                                \
	__attribute__((cleanup(rota_group_cleanup))) struct rota_group name; \
	rota_group_open_auto_at(ROTA_SITE(#name), &name, __VA_ARGS__)

ROTA_END_DECLS

#endif
