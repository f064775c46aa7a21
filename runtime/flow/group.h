/* SPDX-License-Identifier: MIT */
/*
 * What a group is inside. It lies in its owner's frame (struct rota_group), and belongs to the loop
 * of its owner, its home.
 *
 * Members. The home keeps a plain list and a plain count. What happens elsewhere comes in two ways:
 * an event (a member arrived, ended, or its handle was given back) on an MPSC list that the home
 * drains when it has to do with the group, and a count, `remote`, which may be negative: spawned
 * minus ended elsewhere. local + remote is the number of live members.
 *
 * The home drains at its next end, spawn or close of a member; and so that an owner that waits for
 * days does not keep the blocks of all that have ended meanwhile, it is sent the group's message
 * after each EVENTS_MAX events.
 *
 * Waiting for none. A single loop counts local down to zero for itself first. Then the group is
 * armed: it moves local into remote and adds GROUP_WAIT. From then on everybody counts there, and
 * whoever takes it from GROUP_WAIT + 1 to 0, with one CAS that takes GROUP_WAIT away as well, wakes
 * the owner. That CAS is the last touch of the group by a member that ended elsewhere: its event
 * was pushed before. A cancel of rota_group_wait() takes GROUP_WAIT away by the same kind of CAS:
 * one of the two succeeds, so there is one wake.
 *
 * Cancel. A group is a scope (core/scope.h): a cause of its own strikes it, which reaches the
 * owner's calls and what is open inside; and a cancel that is in force around it comes into force
 * in it. Anybody may or a cause into `causes`; the home applies it. The link that asks the home
 * for it is the scope's, hence SCOPE_POSTED; the close waits until it has come.
 *
 * What becomes of the members is in `doom`. A cause of the group's own or the owner's failure
 * cancels them at once; a cancel from outside first lets them drain for the grace. A member that
 * is spawned elsewhere first pushes its arrival, then looks at doom; the home first writes doom,
 * then drains the arrivals: one of them sees.
 *
 * Kept members (ROTA_GROUP_KEEP). A member that ended stays in extra->kept, with its block, until
 * rota_group_next() takes it. There is one left to wait for as long as `unended`, the home's own
 * count of members that it has seen arrive and not end, is not zero: what a member spawned
 * elsewhere arrives before the member's own end, by the same list. An owner that waits for the
 * next one says so in next_waits; who ends elsewhere pushes its event, then looks at it, and posts
 * the link:
 *
 *	owner: next_waits = 1, fence, drain, sleep	member: push the event, fence, look, post
 */
#ifndef ROTA_FLOW_GROUP_H
#define ROTA_FLOW_GROUP_H

#include <rota/group.h>

#include "base/spin.h"
#include "core/queue.h"
#include "core/runtime.h"

#define GROUP_WAIT ((uint64_t)1 << 62)

/* Whether GROUP_WAIT is in the count, which without it may be negative. */
static inline bool count_is_waiting(uint64_t count)
{
	return (int64_t)count > (int64_t)(GROUP_WAIT / 2);
}

/* Why a group is cancelled. */
#define CAUSE_OUTSIDE  (1u << 0) /* a cancel is in force around it */
#define CAUSE_FAILED   (1u << 1) /* a member failed */
#define CAUSE_TIMEOUT  (1u << 2)
#define CAUSE_EXPLICIT (1u << 3) /* rota_group_cancel() */
#define CAUSE_CLOSING  (1u << 4) /* the owner closes with an error */
#define CAUSE_WON      (1u << 5) /* a member of a first-wins group succeeded */
/* Those that strike the group: the owner's calls inside it are cancelled too. */
#define CAUSES_OF_OWN  (CAUSE_FAILED | CAUSE_TIMEOUT | CAUSE_EXPLICIT | CAUSE_WON)

/* What becomes of the members; only ever grows. */
enum doom {
	DOOM_NONE = 0,
	DOOM_DRAIN = 1, /* they will be cancelled when the grace is over */
	DOOM_CANCELLED = 2,
};

/* What an event is: the tag of its node. */
enum group_event {
	EVENT_ARRIVED = 0,  /* rota_task.arrival */
	EVENT_ENDED = 1,    /* rota_task.link */
	EVENT_RELEASED = 2, /* rota_task.link */
};

/* For groups with options. */
struct group_extra {
	struct group *group;
	char name[32];
	struct timer timeout;
	struct timer grace;
	int64_t timeout_when_ns; /* ROTA_FOREVER: none */
	int64_t grace_ns;
	/* ROTA_GROUP_KEEP. */
	bool keep;		 /* I */
	struct group_wait *next; /* H: the owner waits for the next end */
	struct a32 next_waits;	 /* A: it does */
	uint64_t unended;	 /* H: members that have arrived and not ended */
	struct list kept;	 /* H: members that have, oldest first; through member */
	/* The limit: a semaphore. */
	struct spin lock;
	uint64_t limit;
	struct a64 live;	   /* written under the lock */
	struct wait_queue waiters; /* L(lock) */
};

struct group {
	struct scope scope;
	struct list members;	   /* H */
	struct inbox events;	   /* A */
	struct a64 local;	   /* A, written by H: spawned minus ended at home */
	struct a64 remote;	   /* A */
	struct a64 deadline_ns;	   /* A, written by H: in force for the members */
	struct aptr report;	   /* A: struct report * of the failure that counts */
	struct aptr reason;	   /* A: char *: of the first rota_group_cancel() that gave one */
	struct aptr around_reason; /* A, written by H: char *: why it is cancelled from outside */
	struct group_extra *extra; /* I; NULL without options */
	struct a32 undrained;	   /* A: events since the home last looked */
	struct a32 causes;	   /* A: CAUSE_* */
	uint32_t applied;	   /* H: the causes that have had their effect */
	struct a32 doom;	   /* A, written by H: enum doom */
	struct a32 error;	   /* A: the failure of a member that counts */
	struct a32 spawn_error;	   /* A: the first spawn that failed */
	int32_t option_error;	   /* I */
	uint32_t member_flags;	   /* I: the flags of a member without options of its own */
	uint8_t policy;		   /* I: enum rota_group_policy */
	bool local_only;	   /* I: ROTA_SPAWN_LOCAL */
	bool background;	   /* I: the runtime's own; SUPERVISE */
	bool special;		   /* I: has options, so that a spawn has to look at them */
	bool waiting;		   /* H: the owner waits for none */
	bool armed;		   /* H: and all count in remote */
};

/* The owner waits for its members. */
struct group_wait {
	struct wait wait;
	struct group *group;
};

_Static_assert(sizeof(struct group) <= sizeof(struct rota_group), "fits the public struct");

static inline struct group *group_of(struct rota_group *group)
{
	return (struct group *)(void *)group;
}

static inline struct group *group_of_scope(const struct scope *scope)
{
	return container_of(scope, struct group, scope);
}

static inline bool group_keeps(const struct group *group)
{
	return unlikely(group->extra != NULL) && group->extra->keep;
}

/* After so many events the home is asked to drain them, so that none pile up (law L5). */
#define EVENTS_MAX 256

/* Open, cancel, close (flow/group.c). Opens a group of the running task; frame: of the call. */
void rota__group_open(struct loop *loop, struct group *group, const char *site,
	const struct rota_group_options *options, const void *frame);
/* Why a member that comes now is cancelled; NULL: nobody said. Any thread, while it is open. */
const char *rota__group_reason(const struct group *group);
/* Applies a cause: at home at once, from elsewhere by a message. */
void rota__group_cancel(struct loop *loop, struct group *group, uint32_t cause);
/* Has the home look at causes and events. */
void rota__group_post(struct loop *loop, struct group *group);

/* The members (flow/members.c). Takes in what happened elsewhere; at home. */
void rota__group_drain(struct loop *home, struct group *group);
void rota__group_failed(struct loop *loop, struct scope *scope, struct rota_task *task);
void rota__group_ended(struct loop *loop, struct scope *scope, struct rota_task *task);
/* Lets go what is left of the members of an empty group. */
void rota__group_forget(struct loop *home, struct group *group);
/* A member that ended is not kept any more: whether its handle still counts. */
bool rota__group_unkeep(struct loop *home, struct rota_task *task);

/* Waiting for them (flow/join.c). */
/* One less, of an owner that waits: true when it was the last, and the owner is to be woken. */
bool rota__group_count_out(struct group *group);
bool rota__group_count_out_at_home(struct group *group);
/* Waits until no member is live. */
void rota__group_join(struct loop *home, struct group *group);
/* A member has ended; wakes an owner that waits for the next. At home. */
void rota__group_next_wake(struct loop *home, struct group *group);

/* The limit (flow/limit.c). */
int rota__limit_acquire(struct loop *loop, struct group *group);
void rota__limit_release(struct loop *loop, struct group *group);

/* Reports (flow/report.c): one allocation each, freed by rota__free(). */
struct report {
	struct rota_error error; /* the first of the chain, which follows in the same memory */
};

/* What is known about a task that failed with `status`; NULL when out of memory. */
struct report *rota__report_create(struct rota_task *task, int status);
/* An error that nobody joins: to the hook, or printed if `print` is set. */
void rota__report_unjoined(struct loop *loop, const struct report *report, bool print);
/* A group's report goes to its owner if it is what the close returns. */
void rota__report_take(struct loop *home, struct group *group, int result);
/* For a member with a handle: keeps a copy for whoever awaits it. */
void rota__report_keep(struct rota_task *task, const struct report *report);
/* The running task has awaited one that failed. */
void rota__report_awaited(struct loop *loop, struct scope *scope, struct rota_task *task);

#endif
