/* SPDX-License-Identifier: MIT */
/* The calls on descriptors and files: arguments into an op. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <rota/fd.h>
#include <rota/file.h>

#include "io/op.h"
#include "os/seam.h"

#define TRANSFER_MAX 0x7ffff000u
#define AT_POSITION  UINT64_MAX /* the file position, as read(2) and write(2) */

static int transfer(uint8_t code, int fd, const void *buf, size_t len, uint64_t offset)
{
	int err;
	struct loop *loop = rota__op_loop(&err);
	struct rota__op op = {
		.code = code,
		.fd = fd,
		.addr = (void *)(uintptr_t)buf,
		.len = len < TRANSFER_MAX ? (uint32_t)len : TRANSFER_MAX,
		.offset = offset,
	};

	return loop ? rota__op_run(loop, &op) : err;
}

int rota_read(int fd, void *buf, size_t len)
{
	return transfer(ROTA__OP_READ, fd, buf, len, AT_POSITION);
}

/*
 * When a write of a regular file is cut short by an error (a full disk), io_uring reports the bytes
 * and leaves the file position where it was (seen on 6.18): the next write would go over them.
 */
int rota_write(int fd, const void *buf, size_t len)
{
	int64_t before = rota__file_position(fd);
	int n = transfer(ROTA__OP_WRITE, fd, buf, len, AT_POSITION);

	if (n > 0 && (size_t)n < len && before >= 0 && rota__file_position(fd) == before)
		rota__file_position_set(fd, before + n);
	return n;
}

int rota_pread(int fd, void *buf, size_t len, off_t offset)
{
	if (offset < 0)
		return -EINVAL;
	return transfer(ROTA__OP_READ, fd, buf, len, (uint64_t)offset);
}

int rota_write_all(int fd, const void *buf, size_t len, size_t *ret_done)
{
	const char *at = buf;
	size_t done = 0;
	int n = 0;

	while (done < len) {
		n = rota_write(fd, at + done, len - done);
		if (n == 0)
			n = -EIO; /* a file that takes nothing and names no error */
		if (n < 0 && n != -EINTR)
			break;
		if (n > 0)
			done += (size_t)n;
	}
	if (ret_done)
		*ret_done = done;
	return done == len ? 0 : n;
}

int rota_openat(int dir, const char *path, int flags, mode_t mode)
{
	int err;
	struct loop *loop = rota__op_loop(&err);
	struct rota__op op = {
		.code = ROTA__OP_OPENAT,
		.fd = dir,
		.path = path,
		.flags = (uint32_t)flags | O_CLOEXEC,
		.len = mode,
	};

	return loop ? rota__op_run(loop, &op) : err;
}

int rota_open(const char *path, int flags, mode_t mode)
{
	return rota_openat(AT_FDCWD, path, flags, mode);
}

int rota_statx(int dir, const char *path, int flags, unsigned int mask, struct statx *ret_stat)
{
	int err;
	struct loop *loop = rota__op_loop(&err);
	struct rota__op op = {
		.code = ROTA__OP_STATX,
		.fd = dir,
		.path = path,
		.addr = ret_stat,
		.flags = (uint32_t)flags,
		.len = mask,
	};

	return loop ? rota__op_run(loop, &op) : err;
}
