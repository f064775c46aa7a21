/* SPDX-License-Identifier: MIT */
/*
 * Files and directories. AT_FDCWD is welcome where a directory is asked for. All that return int
 * are cancellation points and belong in tasks (-ENXIO outside, -EPERM in the child of a fork()).
 */
#ifndef ROTA_FILE_H
#define ROTA_FILE_H

#include <rota/base.h>
#include <sys/types.h>

ROTA_BEGIN_DECLS

struct statx;
struct dirent;
struct rota_dir;

/* openat(2), O_CLOEXEC added; mode is always passed. Returns a descriptor or a negative errno. */
ROTA_API int rota_openat(int dir, const char *path, int flags, mode_t mode) ROTA_MUST_CHECK;

/* rota_openat(AT_FDCWD, …). */
ROTA_API int rota_open(const char *path, int flags, mode_t mode) ROTA_MUST_CHECK;

/* statx(2). Returns 0 and fills *ret_stat, or a negative errno. */
ROTA_API int rota_statx(int dir, const char *path, int flags, unsigned int mask,
	struct statx *ret_stat) ROTA_MUST_CHECK;

/*
 * Opens a directory for reading; flags may add O_NOFOLLOW. On success *ret_dir must be closed by
 * rota_dir_close(). Returns 0, or a negative errno (-ENOTDIR, -ENOENT, -ENOMEM …).
 */
ROTA_API int rota_dir_open(
	struct rota_dir **ret_dir, int at, const char *path, int flags) ROTA_MUST_CHECK;

/*
 * The next entry without "." and "..": 1 and *ret_entry, valid until the next call; 0 at the end;
 * or a negative errno. Every 32 KiB of entries cost one getdents64(2) on the loop's own thread.
 */
ROTA_API int rota_dir_next(struct rota_dir *dir, const struct dirent **ret_entry) ROTA_MUST_CHECK;

/* Its descriptor, for the *at calls. */
ROTA_API int rota_dir_fd(const struct rota_dir *dir);

/* Closes it. NULL is fine. No cancellation point. */
ROTA_API void rota_dir_close(struct rota_dir *dir);

ROTA_END_DECLS

#endif
