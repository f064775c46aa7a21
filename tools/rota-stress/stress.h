/* SPDX-License-Identifier: MIT */
/*
 * What the scenarios of rota-stress share: options, one run, broken invariants, random numbers.
 * Scenarios take time from rota_now() and chance from --seed and a task's number only, so that the
 * same binary replays under simulation.
 */
#ifndef ROTA_STRESS_H
#define ROTA_STRESS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <rota.h>

/* Needs real threads, processes or descriptors: skips itself under simulation. */
#define STRESS_REAL_ONLY (1u << 0)
/* Breaks on purpose, to show that the tools would see it; not in the default set. */
#define STRESS_NEGATIVE	 (1u << 1)
/* The quota is --rounds; otherwise --tasks. */
#define STRESS_ROUNDS	 (1u << 2)

struct run;

struct scenario {
	const char *name;
	const char *text; /* what it tries to break, one line */
	void (*run)(struct run *run);
	uint64_t quota; /* tasks or rounds when neither they nor seconds were asked for */
	uint32_t flags;
};

/* The command line. 0: not given, but seed. */
struct options {
	int64_t limit_ns;
	uint64_t seed;
	uint64_t tasks;
	uint64_t rounds;
	uint32_t loops;
	bool json;
	bool sim;
};

/* One run of one scenario. */
struct run {
	const struct scenario *scenario;
	const struct options *options;
	uint64_t seed;	  /* of this scenario, made from --seed and its name */
	uint64_t quota;	  /* tasks or rounds to do */
	int64_t limit_ns; /* for each runtime that the scenario starts */
	uint32_t loops;	  /* for the config */
	bool sim;

	_Atomic(int64_t) end_ns; /* when the time is up, on the clock of rota_now() */
	_Atomic(uint64_t) tasks; /* that ran */
	_Atomic(uint64_t) violations;
	_Atomic(uint64_t) cancels;     /* that struck something open */
	_Atomic(uint64_t) deadlines;   /* of scopes, that struck */
	_Atomic(uint64_t) waits;       /* that could be cut short */
	_Atomic(uint64_t) cancels_won; /* those that were */

	uint32_t offload_threads; /* these three: for the config */
	void (*on_error)(void *arg, const struct rota_error *error);
	void *hook_arg;

	const char *skipped; /* why it did not run; NULL: it did */
	uint64_t stolen;
	unsigned int loops_seen;
	int64_t elapsed_ns;
	char replay[640]; /* the command that runs it again */
};

/* Every scenario, NULL at the end. */
extern const struct scenario *const stress_scenarios[];

/* Reports a broken invariant with what replays it; the program will exit with 1. Any thread. */
void stress_broken(struct run *run, const char *invariant, const char *format, ...)
	ROTA_FORMAT(3, 4);

#define STRESS_CHECK(run, invariant, cond, ...)                         \
	do {                                                            \
		if (!(cond))                                            \
			stress_broken((run), (invariant), __VA_ARGS__); \
	} while (0)

/*
 * Runs fn(arg) as the main task of a runtime with the run's number of loops; starts the run's
 * clock, adds up counters, checks that nothing is left alive. Plain thread.
 */
int stress_main_task(struct run *run, rota_task_fn *fn, void *arg);

/* Starts the run's clock: where a scenario starts its runtimes itself. */
void stress_clock_start(struct run *run);

/* The config of a runtime of this run. */
struct rota_config stress_config(const struct run *run);

/* Adds the runtime's counters to the run's. In a task, or before rota_stop(). */
void stress_collect(struct run *run);

/* Whether time is up. Any thread. */
bool stress_over(const struct run *run);

/* Whether the scenario goes on after done tasks or rounds. */
bool stress_more(const struct run *run, uint64_t done);

/* Simulation has no watchdog: says so and aborts when too much virtual time has passed since. */
void stress_not_stuck(const struct run *run, int64_t since_ns);

/* Computes for so long. Nothing under simulation, whose clock stands while a task runs. */
void stress_busy(const struct run *run, int64_t ns);

/* Sleeps in the thread, not in the runtime. */
void stress_thread_sleep(int64_t ns);

/* Memory that is there: all zero, aborts when there is none. */
void *stress_alloc(size_t count, size_t bytes);

/* Descriptors that this process has open. */
unsigned int stress_fd_count(void);

/* Options that bind a task to one loop. */
static inline struct rota_spawn_options stress_on_loop(uint32_t loop)
{
	return (struct rota_spawn_options){ .flags = ROTA_SPAWN_ON_LOOP, .loop = loop };
}

/* Random numbers: splitmix64 by Sebastiano Vigna (public domain, prng.di.unimi.it). */
struct prng {
	uint64_t state;
};

static inline uint64_t prng_mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static inline uint64_t prng_next(struct prng *prng)
{
	prng->state += 0x9e3779b97f4a7c15u;
	return prng_mix(prng->state);
}

/* The numbers of one task: the same for the same seed, whatever thread it runs on. */
static inline struct prng prng_of(uint64_t seed, uint64_t key)
{
	return (struct prng){ .state = prng_mix(seed) ^ prng_mix(key + 0x9e3779b97f4a7c15u) };
}

/* 0 .. n - 1; the bias of the remainder does not matter here. n > 0. */
static inline uint64_t prng_below(struct prng *prng, uint64_t n)
{
	return prng_next(prng) % n;
}

/* One time in n. */
static inline bool prng_once_in(struct prng *prng, uint64_t n)
{
	return prng_below(prng, n) == 0;
}

/* 0 .. max - 1 nanoseconds. */
static inline int64_t prng_ns(struct prng *prng, int64_t max)
{
	return (int64_t)prng_below(prng, (uint64_t)max);
}

/* Any loop of the runtime. */
static inline uint32_t prng_loop(struct prng *prng)
{
	return (uint32_t)prng_below(prng, rota_loop_count());
}

#endif
