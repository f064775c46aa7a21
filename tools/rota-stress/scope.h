/* SPDX-License-Identifier: MIT */
/*
 * What the scope scenario knows of the scopes that a task has open. Others cancel them at any time,
 * so for each moment there is what may be in force and what must be.
 */
#ifndef ROTA_STRESS_SCOPE_H
#define ROTA_STRESS_SCOPE_H

#include "victim.h"

#define LEVELS_MAX 7

enum level_kind {
	LEVEL_SCOPE,
	LEVEL_SHIELD,
	LEVEL_GROUP,
};

struct nest;

struct level {
	enum level_kind kind;
	struct pin pin; /* for who cancels it */
	struct rota_scope scope;
	struct rota_group group;
	_Atomic(bool) asked; /* somebody has cancelled it, or is about to */
	int64_t deadline_ns; /* a shield's limit */
	bool due;	     /* it was past the deadline while it was open */
	bool must;	     /* a cancel is in force in it, by itself or from around it */
	int cause;	     /* as seen last */
	/* A group's member. */
	bool endless;
	_Atomic(bool) released; /* it may end now */
	bool member_cancelled;	/* written by it */
};

/* All that a task has open, the innermost last. */
struct nest {
	struct run *run;
	struct level levels[LEVELS_MAX];
	size_t depth;
	_Atomic(bool) asked; /* the task was cancelled, or is about to be */
	bool must;	     /* and has seen it */
	uint64_t seed;
};

/* Whether a cancel may or must be in force inside of the first `depth` levels. */
bool nest_may(struct nest *nest, size_t depth);
bool nest_must(struct nest *nest, size_t depth);
/* The same for a struck scope that an endless wait may rely on. */
bool nest_is_struck(struct nest *nest);
/* One whose deadline will strike before when_ns, if nobody cancels it first; NULL: none. */
struct level *nest_strikes_before(struct nest *nest, int64_t when_ns);

/*
 * A call was made in the nest: it was refused or cut short, or was not. must: what nest_must() said
 * before it, as what strikes meanwhile may come too late. what: for messages.
 */
void nest_saw(struct nest *nest, const char *what, bool must, bool cancelled);
/* The questions of scope.h that do not suspend. */
void nest_ask(struct nest *nest);

void nest_open(struct nest *nest, struct prng *prng);
void nest_close(struct nest *nest, struct prng *prng);
void nest_move_deadline(struct nest *nest, struct prng *prng);
void nest_cancel_own(struct nest *nest, struct prng *prng);

/* Cancels any level. Any thread. */
void nest_strike(struct nest *nest, struct prng *prng);

#endif
