/* SPDX-License-Identifier: MIT */
/* Part two: SHA-256 of every regular file below some paths, in three ways. */
#ifndef DEMO_TREE_H
#define DEMO_TREE_H

#include "engine.h"
#include "files.h"
#include "options.h"
#include "timeline.h"

/* One pass over the tree. */
struct tree_pass {
	bool ran;
	int64_t elapsed_ns; /* to find, read and hash all; not to start nor to sort */
	uint64_t files;
	uint64_t bytes;
	unsigned char digest[HASH_BYTES]; /* of all the lines of sha256sum */
	/* The rest is of passes on the runtime. */
	struct engine_report report;
	int running_max; /* on any one loop */
	unsigned int in_flight_max;
};

struct tree_result {
	struct tree_pass sync;
	struct tree_pass concurrent;
	struct tree_pass parallel;
	int64_t warm_up_ns; /* 0: there was none */
	bool agree;
	bool larger_than_memory;
	uint64_t unreadable;
	uint64_t links;
	uint64_t others;
	uint64_t directories;
	struct timeline timeline; /* of the parallel pass */
	struct file_set files;	  /* of the last pass; the labels of the timeline live in it */
};

/* Runs what options ask for. Returns 0, or a negative errno if a pass broke off. Complains. */
int tree_run(const struct options *options, struct tree_result *ret_result);
void tree_finish(struct tree_result *result);

/*
 * The passes. Each fills *ret_set, which the caller finishes also after a failure, and *ret_pass
 * but for the digest. A file that cannot be read is no failure.
 */
int tree_pass_sync(
	const struct options *options, struct tree_pass *ret_pass, struct file_set *ret_set);
/* timeline may be NULL. */
int tree_pass_rota(const struct options *options, unsigned int loops, struct tree_pass *ret_pass,
	struct file_set *ret_set, struct timeline *timeline);

#endif
