/* SPDX-License-Identifier: MIT */
/*
 * One pass over the tree on the runtime: what the walkers (pass_walk.c) and the tasks that hash
 * (pass_hash.c) share. They are members of two groups, so that a walker that is at the files' limit
 * waits there, and a walker at the walkers' limit keeps the directory for itself.
 */
#ifndef DEMO_PASS_H
#define DEMO_PASS_H

#include <rota.h>
#include <stdatomic.h>

#include "files.h"
#include "meter.h"
#include "options.h"

/*
 * What belongs to one loop. Only the task that runs on the loop touches it, and never across a
 * suspend: one task at a time a loop, and a started task stays on its loop. Hence no lock. The two
 * counters are read by the progress task from elsewhere.
 */
struct pass_loop {
	_Alignas(64) struct file_list list;
	struct hasher *idle; /* the one used last is on top: its buffer is still in the cache */
	unsigned int in_flight;
	unsigned int in_flight_max;
	_Atomic uint64_t files;
	_Atomic uint64_t bytes;
};

/* Immutable while the pass runs, but for what the pointers lead to. */
struct pass {
	const struct options *options;
	struct pass_loop *loops;
	unsigned int loop_count;
	struct meter meter;
	struct rota_group hashing;
	struct rota_group walking;
};

/* A directory that is still to be read. */
struct pending {
	struct pending *next;
	struct pass *pass;
	char *path;
};

/* The calling task's loop. */
static inline struct pass_loop *pass_here(struct pass *pass)
{
	return &pass->loops[rota_loop_self()];
}

/* Hashes the struct file at arg. A task. */
rota_task_fn pass_hash;

/*
 * Reads the struct pending at arg, which it frees, spawns a task for each file, and a walker or a
 * place in its own list for each directory. A task.
 */
rota_task_fn pass_walk;

/* Begins with what the command line named. Main task, between opening and closing the groups. */
int pass_walk_root(struct pass *pass, struct meter_task *meter, const char *path);

#endif
