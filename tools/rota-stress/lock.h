/* SPDX-License-Identifier: MIT */
/* What the passes of the lock scenario share: who takes part, and the line in which they wait. */
#ifndef ROTA_STRESS_LOCK_H
#define ROTA_STRESS_LOCK_H

#include "crew.h"
#include "victim.h"

#define CONTENDERS 9 /* the last one a thread, if there are threads */
#define PATIENT	   4 /* the first ones: nobody cancels them */
#define TURNS	   60

struct contest;

struct contender {
	struct contest *contest;
	struct victim *victim; /* NULL: nobody cancels it */
	uint64_t seed;
	uint32_t index;
	bool thread;
	/*
	 * How often it was passed in the line. Whoever gets what the line is for marks those that
	 * it sees suspended in their wait: from then on each other may get it once more before
	 * them, the ones that stood before it.
	 */
	_Atomic(struct rota_task *) task;
	_Atomic(uint32_t) wants;  /* number of its wait; 0: it is in none */
	_Atomic(uint32_t) marked; /* the wait in which it was seen */
	_Atomic(uint32_t) passed;
	uint32_t waits;
};

/* One lock, or what else tasks and threads meet at, and a part of the work of each contender. */
struct contest {
	struct run *run;
	uint64_t seed;
	void *object;
	void (*turn)(struct contender *contender, struct prng *prng);
	uint32_t turns;
	struct contender contenders[CONTENDERS];
	struct victim victims[CONTENDERS];
	struct frames frames;
	struct crew crew;
	_Atomic(uint32_t) patient; /* live, with the thread */
	_Atomic(uint32_t) live;
	_Atomic(bool) over; /* nobody is */
};

/* Has all contenders do their turns while some are cancelled. extra: one more task, may be NULL. */
void contest_run(struct contest *contest, struct prng *prng, rota_task_fn *extra);

/* Around a wait in a line, which must not be cancelled. */
void line_enter(struct contender *contender);
void line_leave(struct contender *contender);
/* The contender has just got what the line is for; before it lets go of it. */
void line_got(struct contender *contender, const char *what);

/* A short stay in a critical section: sometimes it suspends, sometimes it computes. */
void linger(struct contender *contender, struct prng *prng);

/* One pass each, with objects of its own (lock-exclusive.c, lock-leave.c, lock-signal.c). */
void pass_mutex(struct run *run, struct prng *prng);
void pass_rwlock(struct run *run, struct prng *prng);
void pass_sem(struct run *run, struct prng *prng);
void pass_leave_sem(struct run *run, struct prng *prng);
void pass_leave_rwlock(struct run *run, struct prng *prng);
void pass_cond(struct run *run, struct prng *prng);
void pass_barrier(struct run *run, struct prng *prng);

#endif
