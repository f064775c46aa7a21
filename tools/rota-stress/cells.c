/* SPDX-License-Identifier: MIT */
/* One byte a task: spawned or not, and how often it ran. */
#include "cells.h"

#define SPAWNED	  0x80u
#define RAN_COUNT 0x7fu

/* Relaxed throughout: the joins must order these, not the cells. */

void cell_spawned(struct cell *cell)
{
	atomic_fetch_or_explicit(&cell->state, (uint8_t)SPAWNED, memory_order_relaxed);
}

void cell_refused(struct cell *cell)
{
	atomic_fetch_and_explicit(&cell->state, (uint8_t)~SPAWNED, memory_order_relaxed);
}

void cell_ran(struct cell *cell)
{
	atomic_fetch_add_explicit(&cell->state, 1, memory_order_relaxed);
}

void cells_check(struct run *run, const struct cell *cells, size_t count)
{
	uint64_t spawned = 0;

	for (size_t i = 0; i < count; i++) {
		unsigned int value = atomic_load_explicit(&cells[i].state, memory_order_relaxed);
		unsigned int expected = value & SPAWNED ? 1 : 0;

		spawned += expected;
		STRESS_CHECK(run, "exactly-once", (value & RAN_COUNT) == expected,
			"task %zu ran %u times instead of %u", i, value & RAN_COUNT, expected);
	}
	atomic_fetch_add_explicit(&run->tasks, spawned, memory_order_relaxed);
}
