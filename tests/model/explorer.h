/* SPDX-License-Identifier: MIT */
/*
 * The explorer as a script sees it: threads on model memory, run in every order. A script includes
 * protocol headers (which get shim/base/atomic.h) and this file; see README.md.
 */
#ifndef ROTA_MODEL_EXPLORER_H
#define ROTA_MODEL_EXPLORER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_THREADS_MAX 6
#define MODEL_ALL	  (-1) /* no bound on preemptions */

struct model_thread {
	const char *name;
	void (*run)(unsigned int self);
	/* Waiting for a token when nothing moves any more is right, not a deadlock. */
	bool may_sleep;
};

struct model_script {
	const char *name;
	const char *what;
	int preemptions; /* the bound unless the command line says otherwise */
	/*
	 * All memory that model threads share, cleared before each execution and part of what makes
	 * two states equal. A thread's locals are on its stack: a function of what it read.
	 */
	void *state;
	size_t state_size; /* a multiple of 8 */
	struct model_thread thread[MODEL_THREADS_MAX];
	void (*setup)(void); /* before the threads start */
	void (*always)(
		void); /* after each change of memory: invariants on .v members; may be NULL */
	void (*at_end)(void); /* when nothing moves any more and all stores are visible */
	void (*names)(void);  /* calls model_name() for what a schedule should name */
};

/* A script program: runs the scripts named on the command line. NULL ends the list. */
int model_main(int argc, char **argv, const struct model_script *const *scripts);

/* What a script does beside its accesses. */

/* Takes each value below n in turn, as one more thing to enumerate. */
unsigned int model_choose(unsigned int n);
/*
 * A token: sleeps until one is there, takes it. Posting orders like a release store and is no
 * fence: what a kernel promises at least.
 */
void model_wait(void);
void model_post(unsigned int thread);
/* Adds what was read from plain shared memory to what the thread knows. */
void model_observe(uint64_t value);
/*
 * Says that what the thread does from here on depends on `all` only, and on nothing else that it
 * has read: states that differ in its past are then one. `all` must tell its locals that live and
 * the place of the call. A loop that comes back to a state is then found as one that never ends.
 */
void model_forget(uint64_t all);
/* What the thread would load now; no access of the protocol, for checks only. */
uint64_t model_view(const void *cell, size_t size);
/* For at_end(): whether the thread waits for a token. */
bool model_asleep(unsigned int thread);
/* Whether the command line has --mutant name. */
bool model_mutant(const char *name);
/* A line in the schedule; costs nothing unless one is printed. */
void model_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The violation; does not return. */
void model_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
#define model_check(condition, ...)              \
	do {                                     \
		if (!(condition))                \
			model_fail(__VA_ARGS__); \
	} while (0)

/* How a schedule names a cell, and how it writes its value (NULL: in hexadecimal). */
typedef void model_format_fn(char *out, size_t size, uint64_t value);
void model_name(const void *cell, model_format_fn *format, const char *name, ...)
	__attribute__((format(printf, 3, 4)));

/* What the shim calls. Outside of model threads they act on memory at once. */

enum model_order {
	MODEL_RELAXED,
	MODEL_ACQUIRE,
	MODEL_RELEASE,
	MODEL_ACQ_REL,
};

enum model_update {
	MODEL_EXCHANGE,
	MODEL_ADD,
	MODEL_OR,
};

uint64_t model_load(const void *cell, size_t size, enum model_order order);
void model_store(void *cell, size_t size, uint64_t value, enum model_order order);
bool model_cas(
	void *cell, size_t size, uint64_t *expected, uint64_t desired, enum model_order order);
uint64_t model_update(
	void *cell, size_t size, enum model_update update, uint64_t value, enum model_order order);
void model_fence(void);
void model_fence_after_rmw(void);
void model_relax(void);

#endif
