/* SPDX-License-Identifier: MIT */
/*
 * The files that a pass over the tree found, with their digests. While the pass runs each loop
 * has a list of its own, so that none needs a lock; then they become one sorted set.
 */
#ifndef DEMO_FILES_H
#define DEMO_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "hash.h"

/*
 * One file. 64 bytes on a line of its own: neighbours are hashed on different loops at the same
 * time. Written by the walker, then by the one who hashes it.
 */
struct file {
	const char *path; /* dies with the list or set */
	void *pass;	  /* for whoever runs the pass */
	uint64_t bytes;
	int32_t status;	  /* 0, or why there is no digest */
	uint32_t is_root; /* named on the command line */
	unsigned char digest[HASH_BYTES];
};

struct file_chunk;
struct text_chunk;

/* All zero is an empty list. One thread or loop at a time. */
struct file_list {
	struct file_chunk *files;
	struct text_chunk *text;
	uint64_t links;
	uint64_t others; /* neither file, directory nor link: sockets, devices … */
	uint64_t directories;
};

/*
 * Adds dir/name, or dir alone if name is NULL. The file stays where it is until the list's end.
 * NULL: out of memory.
 */
struct file *file_list_add(struct file_list *list, const char *dir, const char *name);

/* "dir/name" as find(1) writes it, for the caller to free. NULL: out of memory. */
char *file_path_join(const char *dir, const char *name);

/* What a pass found. All zero is an empty set. */
struct file_set {
	struct file **good; /* with a digest, sorted by path */
	size_t good_count;
	struct file **bad; /* without one, sorted by path */
	size_t bad_count;
	uint64_t bytes; /* of the good ones */
	uint64_t links;
	uint64_t others;
	uint64_t directories;
	struct file_chunk *files;
	struct text_chunk *text;
};

/* Makes one set of count lists, which are empty afterwards. Returns 0 or -ENOMEM. */
int file_set_init(struct file_set *set, struct file_list *lists, size_t count);
void file_set_finish(struct file_set *set);

/* True if path is among the bad ones. */
bool file_set_has_bad(const struct file_set *set, const char *path);

/*
 * Writes what sha256sum would, sorted by the bytes of the names. Returns 0 or a negative errno.
 */
int file_set_write(const struct file_set *set, FILE *stream);

/* SHA-256 of just those lines. Returns 0 or a negative errno. */
int file_set_digest(const struct file_set *set, unsigned char ret_digest[HASH_BYTES]);

/*
 * Asks the kernel to forget what it has in memory of the good files. A wish: pages that are being
 * written or mapped stay, and so do names and inodes.
 */
void file_set_drop_cache(const struct file_set *set);

/* One difference between two sets: either may be NULL, for a file that only the other one has. */
struct file_difference {
	const struct file *left;
	const struct file *right;
};

/* Counts the good files that differ; *ret_first is the first one, if there is any. */
size_t file_set_compare(const struct file_set *left, const struct file_set *right,
	struct file_difference *ret_first);

#endif
