/* SPDX-License-Identifier: MIT */
/* The members of the cancel scenario: what each waits in, and how it may end. */
#ifndef ROTA_STRESS_CANCEL_H
#define ROTA_STRESS_CANCEL_H

#include "stress.h"

#define MEMBERS 20

/* What a member does. Those of which a cancel is the only way out come last. */
enum member_kind {
	MEMBER_NAP,
	MEMBER_SHORT,
	MEMBER_DEADLINE, /* a group with a timeout */
	MEMBER_FAIL,	 /* only in a round that is made to fail */
	MEMBER_FOREVER,
	MEMBER_AWAIT,
	MEMBER_YIELD,
	MEMBER_GROUP,
	MEMBER_READ,
	MEMBER_KINDS,
};

struct cancel_round;

struct member {
	struct cancel_round *round;
	struct rota_task *task; /* NULL: its spawn was refused */
	enum member_kind kind;
	uint64_t seed;
	_Atomic(bool) asked; /* somebody has cancelled it, or is about to */
	_Atomic(uint32_t) ends;
};

struct cancel_round {
	struct run *run;
	uint64_t number;
	struct member members[MEMBERS];
	struct rota_task *self;	  /* of the round, for who cancels it from outside */
	struct rota_group *group; /* for helpers to cancel; NULL: not for them */
	_Atomic(bool) asked;	  /* all members: by the group, its owner or the round's cancel */
	int pipe[2];
	_Atomic(uint64_t) bytes_read;
	_Atomic(uint64_t) bytes_written;
};

/* A member's function; arg is its struct member. */
int cancel_member_run(void *arg);

#endif
