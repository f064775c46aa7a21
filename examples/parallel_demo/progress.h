/* SPDX-License-Identifier: MIT */
/*
 * A progress bar on stderr, if that is a terminal; otherwise every call does nothing. One bar at a
 * time. It is fed by one thread or task at a time.
 */
#ifndef DEMO_PROGRESS_H
#define DEMO_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* What a progress task sleeps between two pictures. */
#define PROGRESS_INTERVAL_NS ((int64_t)100000000)

/* True if there is a terminal to draw on. */
bool progress_wanted(void);

/* Begins a bar. bytes_total 0: not known, there are figures only. what has static storage. */
void progress_start(const char *what, uint64_t bytes_total);

/* Draws it again, but not more often than ten times a second. Cheap enough for every file. */
void progress_update(uint64_t files, uint64_t bytes);

/* Takes the bar away for something else to be printed; the next update brings it back. */
void progress_clear(void);

/* Ends it and wipes the line. */
void progress_end(void);

#endif
