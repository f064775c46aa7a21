/* SPDX-License-Identifier: MIT */
/*
 * Calls on descriptors, as io_uring operations. Every result is an int: bytes, 0, or a negative
 * errno; one call moves at most 0x7ffff000 bytes. No call returns before the kernel has let go of
 * the memory it was given, also when it was cancelled: buffers on the stack are safe.
 *
 * All are cancellation points but rota_close(). Outside a task they return -ENXIO, but
 * rota_close() works from plain threads too. -EPERM: in the child of a fork().
 */
#ifndef ROTA_FD_H
#define ROTA_FD_H

#include <rota/base.h>
#include <sys/types.h>

ROTA_BEGIN_DECLS

/* read(2) at the file position. Returns the bytes read, 0 at the end, or a negative errno. */
ROTA_API int rota_read(int fd, void *buf, size_t len) ROTA_MUST_CHECK;

/* write(2) at the file position; may be short. Returns the bytes written or a negative errno. */
ROTA_API int rota_write(int fd, const void *buf, size_t len) ROTA_MUST_CHECK;

/* pread(2). Returns the bytes read, 0 at the end, or a negative errno (-EINVAL: offset < 0). */
ROTA_API int rota_pread(int fd, void *buf, size_t len, off_t offset) ROTA_MUST_CHECK;

/*
 * Writes all len bytes: 0, or < 0 with the number of bytes written in *ret_done, which is stored
 * in either case and may be NULL. A broken pipe is -EPIPE, never SIGPIPE.
 */
ROTA_API int rota_write_all(int fd, const void *buf, size_t len, size_t *ret_done) ROTA_MUST_CHECK;

/*
 * Ends every operation of this library on fd, on whatever loop (they return -ECANCELED), then
 * closes it. Always closes, whatever it returns; no cancellation point. Returns 0 or what close(2)
 * had to say. Context: task; any plain thread (blocks it).
 */
ROTA_API int rota_close(int fd);

ROTA_END_DECLS

#endif
