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
 * Cancel. Anybody may or a cause into `causes`; the home applies it: members, inner groups, the
 * owner's own wait. The message that asks the home for it is in the group, hence `posted`; the
 * close waits until it has come. A member that is spawned elsewhere first pushes its arrival, then
 * looks at causes; the home first has the cause, then drains the arrivals: one of them sees.
 */
#ifndef ROTA_FLOW_GROUP_H
#define ROTA_FLOW_GROUP_H

#include <rota/group.h>

#include "base/spin.h"
#include "core/runtime.h"

#define GROUP_WAIT ((uint64_t)1 << 62)

/* Whether GROUP_WAIT is in the count, which without it may be negative. */
static inline bool count_is_waiting(uint64_t count)
{
	return (int64_t)count > (int64_t)(GROUP_WAIT / 2);
}

/* Why a group is cancelled. */
#define CAUSE_OUTSIDE  (1u << 0) /* its owner is, or a group around it */
#define CAUSE_FAILED   (1u << 1) /* a member failed */
#define CAUSE_TIMEOUT  (1u << 2)
#define CAUSE_EXPLICIT (1u << 3) /* rota_group_cancel() */
#define CAUSE_CLOSING  (1u << 4) /* the owner closes with an error */
/* Those that also cancel the owner's calls inside the group. */
#define CAUSES_OF_OWN  (CAUSE_FAILED | CAUSE_TIMEOUT | CAUSE_EXPLICIT)

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
	char reason[64]; /* of rota_group_cancel() */
	struct timer timeout;
	/* The limit: a semaphore. */
	struct spin lock;
	uint64_t limit;
	struct a64 live;     /* written under the lock */
	struct list waiters; /* L(lock): struct shared_wait, FIFO */
};

struct group {
	struct owner owner;
	struct list members;	   /* H */
	struct inbox events;	   /* A */
	struct a64 local;	   /* A, written by H: spawned minus ended at home */
	struct a64 remote;	   /* A */
	struct message message;	   /* whoever set posted */
	struct a32 posted;	   /* A: 1 while the message is under way */
	struct a32 undrained;	   /* A: events since the home last looked */
	struct a32 causes;	   /* A: CAUSE_* */
	uint32_t applied;	   /* H: the causes that have had their effect */
	struct a32 error;	   /* A: the first failure of a member */
	struct a32 spawn_error;	   /* A: the first spawn that failed */
	int32_t option_error;	   /* I */
	struct aptr report;	   /* A: struct report * of the first failure */
	struct group_extra *extra; /* I; NULL without options */
	uint32_t spawn_flags;	   /* I: ROTA_SPAWN_LOCAL or 0 */
	bool waiting;		   /* H: the owner waits for none */
	bool armed;		   /* H: and all count in remote */
	bool background;	   /* I: errors go to the hook and touch nobody else */
	bool special;		   /* I: has options, so that a spawn has to look at them */
	uint32_t member_flags;	   /* I: the flags of a member without options of its own */
};

_Static_assert(sizeof(struct group) <= sizeof(struct rota_group), "fits the public struct");

static inline struct group *group_of(struct rota_group *group)
{
	return (struct group *)(void *)group;
}

/* Opens a group of the running task. */
void rota__group_open(struct loop *loop, struct group *group, const char *site,
	const struct rota_group_options *options);
/* After so many events the home is asked to drain them, so that none pile up (law L5). */
#define EVENTS_MAX 256

/* Applies a cause: at home at once, from elsewhere by a message. */
void rota__group_cancel(struct loop *loop, struct group *group, uint32_t cause);
/* Takes in what happened elsewhere. At home. */
void rota__group_drain(struct loop *home, struct group *group);

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

#endif
