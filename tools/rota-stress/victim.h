/* SPDX-License-Identifier: MIT */
/*
 * A victim: a task whose waits others cancel at random, each in a scope of its own, and what must
 * hold around such a wait: one outcome, a cancel has a cause, stays until the close of what was
 * struck, and is gone after it.
 */
#ifndef ROTA_STRESS_VICTIM_H
#define ROTA_STRESS_VICTIM_H

#include "stress.h"

/*
 * Who is about to cancel something holds a pin, so that its memory is not used anew meanwhile. A
 * close may come at any time. All zero: shut, nobody gets one.
 */
struct pin {
	_Atomic(uint32_t) word; /* 0: shut; else 1 + how many hold one */
};

bool pin_take(struct pin *pin);
void pin_drop(struct pin *pin);
void pin_open(struct pin *pin);
/* Waits (without suspending) until nobody holds one; does nothing when it is shut. */
void pin_shut(struct pin *pin);

/* All zero but for the run is a victim that nobody can strike yet. */
struct victim {
	struct run *run;
	struct pin scope_pin;
	struct pin task_pin;
	struct rota_scope scope; /* around the wait; P(scope_pin) */
	struct rota_task *task;	 /* P(task_pin) */
	_Atomic(bool) asked;	 /* the task itself, or what it is in, is or will be cancelled */
};

/* The task may be cancelled for good by its handle, from now on. */
void victim_expose(struct victim *victim, struct rota_task *task);
/* It has ended; its handle may be given back. */
void victim_hide(struct victim *victim);

/*
 * Around one wait, in the victim's task: opens its scope, sometimes with a deadline; closes it with
 * what the wait gave, does the checks, and returns that again. what: for messages.
 */
void victim_begin(struct victim *victim, struct prng *prng);
int victim_end(struct victim *victim, const char *what, int status);

/* Cancels its wait, or rarely its task. Any thread. */
void victim_strike(struct victim *victim, struct prng *prng);

/* Somebody who strikes one of several at random, again and again, until it is all over. */
struct hunter {
	struct run *run;
	struct victim *victims;
	size_t count;
	uint64_t seed;
	const _Atomic(bool) *over;
};

/* As a task, and on a plain thread; arg is a struct hunter. */
int hunter_run(void *arg);
void hunter_thread(void *arg, uint64_t seed);

/*
 * Remembers where frames of waits may lie, so that an object in which one was left is found. Call
 * it in each task and thread that waits.
 */
struct frames {
	_Atomic(uint32_t) count;
	_Atomic(uintptr_t) at[1024];
};

void frames_note(struct frames *frames);
/* Nobody waits in the object any more: no word of it points into such a frame. */
void frames_check(struct run *run, const struct frames *frames, const char *what,
	const void *object, size_t bytes);

#endif
