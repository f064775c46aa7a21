/* SPDX-License-Identifier: MIT */
/*
 * What the parts of rota-bench share: a bench, one run of it, and the series of figures that the
 * runs add to. Knows the public headers of the library only.
 */
#ifndef ROTA_BENCH_H
#define ROTA_BENCH_H

#include <rota/group.h>
#include <rota/runtime.h>
#include <stdbool.h>
#include <time.h>

#define BENCH_REPEAT_MAX  99
#define BENCH_SERIES_MAX  64
#define BENCH_LOOPS_MAX	  256
/* What a task gets when nobody says otherwise; 0 in rota_config means the same. */
#define BENCH_STACK_BYTES ((size_t)256 << 10)

/* On how many loops a bench runs where --loops does not say. */
enum bench_loops {
	BENCH_LOOPS_NONE, /* not at all */
	BENCH_LOOPS_ONE,
	BENCH_LOOPS_TWO,
	BENCH_LOOPS_ALL,
};

/* One figure, a value a repetition. */
struct bench_series {
	char key[48];	 /* the unit is part of it: "ns_per_op" */
	const char *who; /* a peer's name; NULL: rota */
	unsigned int count;
	double values[BENCH_REPEAT_MAX];
};

/* What all repetitions of a bench came to. */
struct bench_result {
	unsigned int loops;	 /* of the figures without prefix */
	unsigned int also_loops; /* of the figures with the prefix "also"; 0: none */
	const char *also;
	uint64_t tasks;
	unsigned int repeat;
	char backend[96];
	unsigned int series_count;
	struct bench_series series[BENCH_SERIES_MAX];
};

/* One repetition on one number of loops: the argument of a bench's functions. */
struct bench_run {
	const struct bench *bench;
	struct bench_result *result;
	const char *prefix; /* of the keys of this number of loops */
	uint64_t tasks;
	unsigned int loops;
	unsigned int repetition; /* from 0 */
};

struct bench {
	const char *name;
	const char *about;
	const char *target;
	enum bench_loops loops;
	enum bench_loops also;
	unsigned int loops_min;
	unsigned int repeat_max; /* where --repeat does not say; 0: no limit of its own */
	uint64_t tasks;		 /* how much work, where --tasks does not say */
	/* All get a struct bench_run. before and after may be NULL and run without a runtime. */
	int (*before)(struct bench_run *run);
	rota_task_fn *task; /* the main task of a rota_run() */
	int (*after)(struct bench_run *run);
};

struct bench_options {
	unsigned int loops;  /* 0: each bench's own */
	unsigned int repeat; /* 0: each bench's own */
	uint64_t tasks;	     /* 0: each bench's own */
	bool json;
	bool compare;
	bool list;
	const char *peers; /* where the peers are; NULL: beside the executable */
};

extern const struct bench bench_cancel;
extern const struct bench bench_channel;
extern const struct bench bench_group;
extern const struct bench bench_idle;
extern const struct bench bench_mutex;
extern const struct bench bench_select;
extern const struct bench bench_skynet;
extern const struct bench bench_sleep;
extern const struct bench bench_spawn;
extern const struct bench bench_switch;
extern const struct bench bench_wake;

/* Not rota_now(): that one may be virtual, and belongs to what is measured. */
static inline int64_t bench_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * ROTA_SECOND + now.tv_nsec;
}

/* options.c: returns the index of the first bench in argv, -1 for a wrong use, which it says. */
int bench_options_parse(struct bench_options *options, int argc, char **argv);

/* result.c: adds one value to a figure of rota (who NULL) or of a peer. */
void bench_add(struct bench_run *run, const char *who, const char *key, double value);
void bench_sort(int64_t *values, size_t count);
/* Sorts the series, which the functions below rely on: values[0] is the least then. */
void bench_result_finish(struct bench_result *result);
double bench_series_median(const struct bench_series *series);
bool bench_series_is_of(const struct bench_series *series, const char *who);
const struct bench_series *bench_result_find(
	const struct bench_result *result, const char *who, const char *key);

/* text.c and json.c: what was measured, to stdout. */
void bench_print_text(const struct bench *bench, const struct bench_result *result);
void bench_print_json(const struct bench *bench, const struct bench_result *result);

/*
 * lanes.c: runs work(ops) in one task on each of the first lanes loops, all at the same time, and
 * adds the wall time divided by all their operations. Returns 0 or a negative errno.
 */
int bench_lanes(struct bench_run *run, const char *key, unsigned int lanes,
	int (*work)(uint64_t ops), uint64_t ops);

/* A task of a crew. */
struct bench_worker {
	int (*work)(void *arg);
	void *arg;
	int loop; /* < 0: wherever the runtime lets it start */
};

/*
 * crew.c: runs all workers at once, each in a task. Returns 0 and the wall time from the first
 * begin to the last end, or a negative errno.
 */
int bench_crew(const struct bench_worker *workers, unsigned int count, int64_t *ret_ns);

/* peers.c: runs the bench of every peer that is there once. Returns < 0 if one of them failed. */
int bench_peers_run(struct bench_run *run, const char *directory);

/* What two plain threads pay to wake each other out of their rings. */
struct bench_bare {
	int cpus[2];
	unsigned int rounds;
	int64_t pause_ns;     /* before each round */
	double round_trip_ns; /* output: the median */
};

/* bare.c: measures it. Returns 0, or a negative errno: no io_uring, no DEFER_TASKRUN. */
int bench_bare_wake(struct bench_bare *bare);

/* touch.c: seconds for touching one page of each of so many stacks, by so many threads; < 0. */
double bench_touch(uint64_t stacks, unsigned int threads);

#endif
