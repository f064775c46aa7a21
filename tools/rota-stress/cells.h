/* SPDX-License-Identifier: MIT */
/*
 * One byte a task: whether it was spawned, how often it ran. What a task needs to say "I ran" is
 * a pointer to its cell; the check at the end is exact, however many tasks there were.
 */
#ifndef ROTA_STRESS_CELLS_H
#define ROTA_STRESS_CELLS_H

#include "stress.h"

struct cell {
	_Atomic(uint8_t) state;
};

/* Before its spawn, and if that failed. */
void cell_spawned(struct cell *cell);
void cell_refused(struct cell *cell);

/* First thing in the task. */
void cell_ran(struct cell *cell);

/* After all have ended: each that was spawned ran once, no other did. Adds to the run's tasks. */
void cells_check(struct run *run, const struct cell *cells, size_t count);

#endif
