/* SPDX-License-Identifier: MIT */
/* What the command line asks for. */
#ifndef DEMO_OPTIONS_H
#define DEMO_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The three ways to do the same work. */
#define MODE_SYNC	(1u << 0)
#define MODE_CONCURRENT (1u << 1)
#define MODE_PARALLEL	(1u << 2)
#define MODE_ALL	(MODE_SYNC | MODE_CONCURRENT | MODE_PARALLEL)

struct options {
	unsigned int loops;	/* of the parallel runs; 0: what the runtime thinks right */
	unsigned int modes;	/* MODE_* */
	unsigned int in_flight; /* files open at a time, a loop */
	int64_t task_ns;	/* how long each task of part one takes */
	bool tasks;		/* part one */
	bool tree;		/* part two */
	bool json;
	bool warm_up;
	bool cold;	      /* drop the files from the page cache before each pass */
	const char *check;    /* NULL, a file, or "-" for stdout */
	const char *timeline; /* NULL or a file */
	const char *const *paths;
	size_t path_count;
};

/* What options_parse() returns if the program is to go on. */
#define OPTIONS_GO_ON (-1)

/* Fills *ret_options. Returns OPTIONS_GO_ON, or the exit status: 0 after --help, 2 if wrong. */
int options_parse(struct options *ret_options, int argc, char **argv);

#endif
