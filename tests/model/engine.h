/* SPDX-License-Identifier: MIT */
/*
 * What the explorer's own files share: memory.c (store buffers and accesses), explorer.c (choices),
 * report.c (schedules for people), main.c (the command line). Scripts do not include this.
 */
#ifndef ROTA_MODEL_ENGINE_H
#define ROTA_MODEL_ENGINE_H

#include "coro.h"
#include "explorer.h"

#define BUFFER_MAX  8	  /* a store into a full buffer waits */
#define CHOICES_MAX 2000  /* a longer execution is a livelock */
#define STEPS_MAX   4000  /* so is one of more accesses */
#define STACK_SIZE  65536 /* printf of a schedule included */
#define NO_BOUND    255

enum memory {
	MEMORY_TSO,  /* stores become visible in order, a read-modify-write is a full fence */
	MEMORY_WEAK, /* in any order unless release says so; a read-modify-write is no fence */
};

enum op_kind {
	OP_LOAD,
	OP_STORE,
	OP_CAS,
	OP_UPDATE,
	OP_FENCE,
	OP_WAIT,
	OP_RELAX,
	OP_END,
};

struct op {
	enum op_kind kind;
	enum model_order order;
	enum model_update update;
	void *cell;
	size_t size;
	uint64_t value;
	uint64_t expected; /* of a CAS */
};

/* A store that is not visible yet. */
struct entry {
	void *cell;
	uint64_t value;
	uint8_t size;
	bool ordered; /* release: not before the older ones */
	bool locks;   /* of a read-modify-write: nobody writes the cell before it is visible */
	bool adds;    /* a token */
};

struct thread {
	const struct model_thread *spec;
	struct coro coro;
	struct op op; /* what it does when it is chosen */
	struct entry buffer[BUFFER_MAX];
	unsigned int stores;
	bool after_rmw; /* its last access was a read-modify-write */
	bool stale;	/* relaxing: nothing has changed since */
	uint64_t token;
	uint64_t history; /* hash of everything it has read */
};

enum outcome {
	OUTCOME_NONE,
	OUTCOME_QUIET, /* nothing moves any more */
	OUTCOME_KNOWN, /* reached a state that was explored from before */
	OUTCOME_FAILED,
};

struct choice {
	uint8_t taken;
	uint64_t allowed; /* bit i: option i is within the bound */
	uint64_t key;	  /* the state before it; 0 for model_choose() */
};

struct engine {
	const struct model_script *script;
	enum memory memory;
	const char *mutant;

	/* one execution */
	struct thread thread[MODEL_THREADS_MAX];
	unsigned int threads;
	struct thread *self; /* whose code runs; NULL: the main program */
	struct thread *last; /* who ran last: running another one is a preemption */
	struct coro main;
	unsigned int left; /* preemptions left, or NO_BOUND */
	unsigned int preemptions;
	unsigned int steps;
	enum outcome outcome;
	char failure[256];

	/* the path: a prefix to follow, then what was decided */
	struct choice path[CHOICES_MAX];
	unsigned int length; /* of the known path */
	unsigned int depth;  /* choices made in this execution */
	bool replaying;	     /* follow the path to its end and ask no table */
	bool tracing;
	unsigned int lines; /* of a printed schedule */
};

extern struct engine engine;

/* memory.c */
bool memory_flushable(const struct thread *thread, unsigned int entry);
void memory_flush(struct thread *thread, unsigned int entry);
bool memory_ready(const struct thread *thread);
void memory_add_token(struct thread *from, struct thread *to);

/* explorer.c: comes back when the thread's op has been chosen. */
void explorer_schedule(void);
void explorer_remember(struct thread *thread, uint64_t value);
/* Explores up to that many preemptions: false when a violation was found. */
bool explorer_run(unsigned int bound, uint64_t *executions);
void explorer_execute(void);
uint64_t explorer_states(void);
void explorer_finish(void);

/* report.c */
void report_access(const struct thread *thread, const struct op *op, uint64_t old, bool done);
void report_flush(const struct thread *thread, const struct entry *entry);
void report_schedule(const char *program, bool replayed);

#endif
