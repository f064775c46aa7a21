/* SPDX-License-Identifier: MIT */
/*
 * Scopes: what nests in a task. A group is one, which owns tasks; a public scope or shield is one
 * with a deadline. This is the chain of them, and how a cancel comes into force along it.
 *
 * fiber->scopes is the innermost open scope of the task, `outer` leads out; beyond the last one
 * lies the cancel of the task itself, fiber->outside. A scope is *struck* by a cancel of its own.
 * A cancel is *in force* inside a scope that is struck; and inside one whose surroundings it is in
 * force in, unless that one is a shield that holds it off:
 *
 *	in_force = struck || (!shield && (outer ? outer->in_force : fiber->outside))
 *
 * This holds for each open scope at any time that the task or its loop may look. fiber->struck says
 * the same of the place where the task is: its suspending calls return -ECANCELED. Nothing is ever
 * taken back but by the close of the scope (level-triggered).
 *
 * All of it is touched by the loop of the task only: whoever wants to strike a scope from elsewhere
 * sends its `link` there (INBOX_SCOPE). Members of a group are not in the chain of the owner: the
 * group's in_force() cancels them, and each passes that on to its own scopes.
 */
#ifndef ROTA_CORE_SCOPE_H
#define ROTA_CORE_SCOPE_H

#include "core/inbox.h"

struct loop;
struct rota_task;
struct scope;

struct scope_ops {
	const char *what; /* "scope", "group": for messages */
	/* A cancel has come into force inside; on the scope's loop. May be NULL. */
	void (*in_force)(struct loop *loop, struct scope *scope);
	/* Somebody has sent its link here, and set SCOPE_POSTED before. */
	void (*arrived)(struct loop *loop, struct scope *scope);
	/* Why it was struck, static or as long as the scope; NULL: nobody said. */
	const char *(*reason)(const struct scope *scope);
	/*
	 * Groups: the task is about to end with a status < 0, on `loop`. Nobody knows yet, so what
	 * follows from it is ordered before what its end lets others do.
	 */
	void (*failed)(struct loop *loop, struct scope *scope, struct rota_task *task);
	/*
	 * Groups: the task has ended, on `loop`: state and status are final. Gives the block back
	 * in time. The group may be gone as soon as the call has counted the task out.
	 */
	void (*ended)(struct loop *loop, struct scope *scope, struct rota_task *task);
	/* Groups: the running task of `loop` has awaited a member that failed. */
	void (*awaited)(struct loop *loop, struct scope *scope, struct rota_task *task);
};

#define SCOPE_POSTED	(1u << 0) /* link is under way */
#define SCOPE_OPEN	(1u << 1) /* these three: public scopes, flow/scope.c */
#define SCOPE_CANCELLED (1u << 2)
#define SCOPE_TIMED_OUT (1u << 3)

struct scope {
	const struct scope_ops *ops; /* NULL: closed */
	struct scope *outer;	     /* O */
	struct rota_task *task;	     /* I: who opened it, the owner */
	struct loop *home;	     /* I: its loop */
	const char *site;	     /* I */
	struct inbox_node link;	     /* whoever set SCOPE_POSTED */
	struct a32 word;	     /* A: SCOPE_* */
	bool struck;		     /* O */
	bool in_force;		     /* O */
	bool shield;		     /* O */
};

/*
 * Opens a scope of the running task, after ops and the rest were filled in: into the chain. With
 * ROTA_CONFIG_DEBUG it aborts when a frame with an open scope was left; frame: of the public call.
 */
void rota__scope_push(struct loop *loop, struct scope *scope, const char *site, const void *frame);
/* Aborts with a message unless it is the innermost open scope of the running task. */
void rota__scope_check(const struct loop *loop, const struct scope *scope);
/* Takes the innermost scope out of the chain; checks that it is. */
void rota__scope_pop(struct loop *loop, struct scope *scope);
/* A cancel of the scope's own. On its loop. */
void rota__scope_strike(struct loop *loop, struct scope *scope);
/* Whether a cancel is in force around an open scope; on its loop. */
bool rota__scope_is_cancelled_around(const struct scope *scope);
/* A shield's time is up: what it held off comes into force. */
void rota__scope_unshield(struct loop *loop, struct scope *scope);
/* The task was cancelled from outside. On its loop, after it has started. */
void rota__task_strike(struct loop *loop, struct rota_task *task);
/*
 * Why a cancel is in force in `scope` of a task of this loop (NULL: around all of its scopes): ""
 * when nobody said. Valid until that scope closes or the task ends.
 */
const char *rota__scope_reason(const struct rota_task *task, const struct scope *scope);
/* Waits until nobody is about to send the scope's link, before its memory goes. */
void rota__scope_settle(struct loop *loop, struct scope *scope);

#endif
