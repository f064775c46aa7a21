/* SPDX-License-Identifier: MIT */
/*
 * The seam (law L6): every clock read, random number and allocation of the library passes here;
 * kernel operations and sleeping pass os/port.h. Simulation puts its own functions in.
 */
#ifndef ROTA_OS_SEAM_H
#define ROTA_OS_SEAM_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/attr.h"

struct rota__seam {
	int64_t (*now)(void);  /* monotonic ns */
	int64_t (*wall)(void); /* ns since 1970 */
	void (*random)(void *buf, size_t len);
};

/* The one in force: changed only while no runtime runs, before threads exist. */
extern const struct rota__seam *rota__seam;
extern const struct rota__seam rota__seam_real;

/* NULL when there is none. Zeroed. */
void *rota__alloc(size_t bytes);
void rota__free(void *memory);
/* Zeroed and aligned to `alignment`, a power of two. */
void *rota__alloc_aligned(size_t alignment, size_t bytes);

/* Anonymous memory straight from the kernel: 0 or a negative errno. */
int rota__map(size_t bytes, void **ret_memory);
void rota__unmap(void *memory, size_t bytes);
/* For sanitizers: this memory is used as a stack anew. */
void rota__forget_frames(void *memory, size_t bytes);
/* Makes a mapping of rota__map() larger, moving it: 0 or a negative errno. */
int rota__remap(void **memory, size_t bytes, size_t new_bytes);

/* Blocks the calling thread while *word is `value`; returns early at will. */
void rota__futex_wait(const void *word, uint32_t value);
/* The same for timeout_ns at most: false when that is over. */
bool rota__futex_wait_for(const void *word, uint32_t value, int64_t timeout_ns);
/* Wakes up to count threads. word may be gone: it is only an address. */
void rota__futex_wake(const void *word, int count);

/*
 * Stack slabs: `count` stacks of stack_bytes, each with one guard page at its low end. Returns the
 * base, or a negative errno: -ENOMEM with the reason in *why (static storage) for the log.
 */
int rota__stacks_map(
	size_t stack_bytes, size_t count, bool guard_install, void **ret_base, const char **why);
/* Gives the pages of stacks back to the kernel; the guards stay. */
void rota__stacks_trim(char *const *low, size_t count, size_t stack_bytes);

/* How many descriptors a process may have, at most 2^20. */
uint32_t rota__descriptors_max(void);
/* getdents64(2) and close(2): the result or a negative errno. */
int rota__getdents(int fd, void *buf, size_t bytes);
int rota__close_now(int fd);
/* The file position, or a negative errno (a pipe has none); and setting it. */
int64_t rota__file_position(int fd);
void rota__file_position_set(int fd, int64_t position);
/* A stdio file to write, and its end: 0 or a negative errno, also for what went wrong before. */
int rota__file_create(const char *path, FILE **ret_file);
int rota__file_finish(FILE *file);

/*
 * SIGPIPE on the calling thread: a write to a broken pipe must not kill. Restoring takes back one
 * that came in between.
 */
void rota__sigpipe_block(bool *ret_was_blocked);
void rota__sigpipe_restore(bool was_blocked);

size_t rota__page_bytes(void);
/* Writes text to fd, all of it, without stdio: for messages, also from a signal handler. */
void rota__write_text(int fd, const char *text);

#endif
