/* SPDX-License-Identifier: MIT */
/*
 * Scopes: a nesting range of a task's code with a deadline, a cancel or a shield.
 *
 * Inside a scope that was struck (its deadline came, or somebody cancelled it) every suspending
 * call that returns an int returns -ECANCELED, at once and each time, until the scope is closed.
 * Only the close of the scope whose own deadline struck turns that into -ETIMEDOUT. So inside a
 * scope -ETIMEDOUT is always somebody's own timeout or the network's, and may be retried; a loop
 * that stops at -ECANCELED stops for outer deadlines too.
 *
 * Groups are scopes as well (group.h): both nest in one order and are closed innermost first. A
 * member of a group is inside all scopes around its group, not inside those around its spawn.
 */
#ifndef ROTA_SCOPE_H
#define ROTA_SCOPE_H

#include <rota/base.h>

ROTA_BEGIN_DECLS

/* The caller's memory. All zero is a valid closed scope. Not to be moved while open. */
struct ROTA_CAPABILITY("scope") rota_scope {
	uint64_t opaque[10];
};

/*
 * Opens a scope of the calling task that strikes after timeout_ns nanoseconds (<= 0: at once;
 * ROTA_FOREVER: only when it is cancelled). site: static storage. Cannot fail: without memory for
 * the timer the scope is struck by a cancel at once, and the reason says so. Outside a task the
 * scope stays closed.
 */
ROTA_API void rota_scope_open_at(const char *site, struct rota_scope *scope, int64_t timeout_ns)
	ROTA_ACQUIRE(scope);

/* The same with an absolute deadline, in rota_now()'s time. */
ROTA_API void rota_scope_open_until_at(const char *site, struct rota_scope *scope, int64_t when_ns)
	ROTA_ACQUIRE(scope);

/*
 * Opens a scope that holds the deadlines and cancels around it off, for at most limit_ns
 * nanoseconds (ROTA_FOREVER: until its close): for cleaning up with calls that may be cancelled.
 * When the limit has passed it holds nothing off any more; if nothing was, nothing happens.
 * What is inside the shield, and members of groups that are opened inside it, are shielded.
 */
ROTA_API void rota_shield_open_at(const char *site, struct rota_scope *scope, int64_t limit_ns)
	ROTA_ACQUIRE(scope);

/* The first and the third for a variable with a cleanup attribute: see ROTA_SCOPE(). */
ROTA_API void rota_scope_open_auto_at(
	const char *site, struct rota_scope *scope, int64_t timeout_ns) ROTA_ASSERT_HELD(scope);
ROTA_API void rota_shield_open_auto_at(const char *site, struct rota_scope *scope, int64_t limit_ns)
	ROTA_ASSERT_HELD(scope);

/*
 * Ends the scope. status is how the block went; returns it, but -ETIMEDOUT for an -ECANCELED that
 * this scope's deadline caused. (Not when an outer cancel is in force as well: that one goes on.)
 * A result beats a cancel: any other status comes back as it is. -EINVAL when the scope is not
 * open, -ENXIO outside a task. Owner only, innermost first: anything else is reported and aborts.
 * No cancellation point.
 */
ROTA_API int rota_scope_close(struct rota_scope *scope, int status) ROTA_RELEASE(scope);

/* For cleanup attributes: closes an open scope. */
ROTA_API void rota_scope_cleanup(struct rota_scope *scope);

/*
 * Cancels what is inside the scope. Does not wait. reason may be NULL; copied, cut at 63 bytes;
 * the first one stays. Harmless when the scope is closed. Any thread, while the memory lives.
 */
ROTA_API void rota_scope_cancel(struct rota_scope *scope, const char *reason);

/*
 * Moves the deadline of an open scope (of a shield: its limit) to when_ns; ROTA_FOREVER takes it
 * away. One that has struck stays struck. Owner only; does nothing on a closed scope.
 */
ROTA_API void rota_scope_set_deadline(struct rota_scope *scope, int64_t when_ns);

/*
 * Whether and why this scope struck: 0, -ETIMEDOUT its deadline, -ECANCELED rota_scope_cancel().
 * Whichever was first; also after the close. Any thread, while the memory lives.
 */
ROTA_API int rota_scope_cause(const struct rota_scope *scope);

/*
 * -ECANCELED when a suspending call of the caller would be refused now, else 0 (also outside a
 * task). A load, no switch: for loops that compute.
 */
ROTA_API int rota_cancelled(void);

/*
 * 1 while a cancel is on its way to the caller: a group around it was cancelled from outside and
 * is in its grace (rota_group_options.grace_ns). Finish what is under way, then leave. Else 0.
 */
ROTA_API int rota_draining(void);

/*
 * Why the caller's calls return -ECANCELED: the reason of the innermost struck scope or group, or
 * of the cancel of the task; "" if nothing is in force or nobody said. Valid until the scope is
 * closed or the task ends.
 */
ROTA_API const char *rota_cancel_reason(void);

/*
 * The earliest deadline in force for the caller, in rota_now()'s time, or ROTA_FOREVER: to hand to
 * a foreign library. What stands around the group of the task counts as it was when the group was
 * opened, or when rota_scope_set_deadline() last moved a deadline around it in the same task.
 */
ROTA_API int64_t rota_deadline(void);

/* The same without a site: for bindings. The macros below hide these; (rota_scope_open)(…). */
ROTA_API void rota_scope_open(struct rota_scope *scope, int64_t timeout_ns) ROTA_ACQUIRE(scope);
ROTA_API void rota_scope_open_until(struct rota_scope *scope, int64_t when_ns) ROTA_ACQUIRE(scope);
ROTA_API void rota_shield_open(struct rota_scope *scope, int64_t limit_ns) ROTA_ACQUIRE(scope);

/* rota_scope_open(scope, timeout_ns) */
#define rota_scope_open(scope, ...) rota_scope_open_at(ROTA_SITE(#scope), (scope), __VA_ARGS__)

/* rota_scope_open_until(scope, when_ns) */
#define rota_scope_open_until(scope, ...) \
	rota_scope_open_until_at(ROTA_SITE(#scope), (scope), __VA_ARGS__)

/* rota_shield_open(scope, limit_ns) */
#define rota_shield_open(scope, ...) rota_shield_open_at(ROTA_SITE(#scope), (scope), __VA_ARGS__)

/*
 * ROTA_SCOPE(name, timeout_ns), ROTA_SHIELD(name, limit_ns): declares and opens a scope that no
 * return, break or goto can leave behind.
 */
#define ROTA_SCOPE(name, ...)                                                \
	__attribute__((cleanup(rota_scope_cleanup))) struct rota_scope name; \
	rota_scope_open_auto_at(ROTA_SITE(#name), &name, __VA_ARGS__)
#define ROTA_SHIELD(name, ...)                                               \
	__attribute__((cleanup(rota_scope_cleanup))) struct rota_scope name; \
	rota_shield_open_auto_at(ROTA_SITE(#name), &name, __VA_ARGS__)

/*
 * ROTA_WITHIN(timeout_ns, call): the call's result, -ETIMEDOUT if it did not come in time:
 * n = ROTA_WITHIN(5 * ROTA_SECOND, rota_read(fd, buf, len)); No return or goto inside the call.
 */
#define ROTA_WITHIN(timeout_ns, ...) \
	ROTA_WITHIN_(ROTA_PASTE(rota_within_, __COUNTER__), timeout_ns, __VA_ARGS__)
#define ROTA_WITHIN_(name, timeout_ns, ...)                                 \
	__extension__({                                                     \
		struct rota_scope name;                                     \
		rota_scope_open_at(ROTA_SITE("within"), &name, timeout_ns); \
		rota_scope_close(&name, (__VA_ARGS__));                     \
	})

ROTA_END_DECLS

#endif
