/* SPDX-License-Identifier: MIT */
/*
 * Reading directories. io_uring has no getdents64, so each buffer of entries is one call on the
 * loop's own thread; it goes to the offload threads when there are any.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <rota/fd.h>
#include <rota/file.h>

#include "io/op.h"
#include "os/seam.h"

#define DIR_BYTES 32768

struct rota_dir {
	int fd;
	int len; /* bytes in buf */
	int at;
	char buf[DIR_BYTES] __attribute__((aligned(8)));
};

/* The kernel's record and the C library's struct are the same on 64-bit machines. */
_Static_assert(sizeof(((struct dirent *)0)->d_off) == 8, "64-bit offsets");

int rota_dir_open(struct rota_dir **ret_dir, int at, const char *path, int flags)
{
	struct rota_dir *dir;
	int fd = rota_openat(at, path, flags | O_RDONLY | O_DIRECTORY, 0);

	if (fd < 0)
		return fd;
	dir = rota__alloc(sizeof(*dir));
	if (!dir) {
		rota_close(fd);
		return -ENOMEM;
	}
	dir->fd = fd;
	*ret_dir = dir;
	return 0;
}

static bool is_dots(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

int rota_dir_next(struct rota_dir *dir, const struct dirent **ret_entry)
{
	int err;
	struct loop *loop = rota__op_loop(&err);

	if (!loop)
		return err;
	if (task_is_cancelled(loop->running))
		return -ECANCELED;
	for (;;) {
		const struct dirent *entry;

		if (dir->at == dir->len) {
			int n = rota__getdents(dir->fd, dir->buf, sizeof(dir->buf));

			if (n <= 0)
				return n;
			dir->len = n;
			dir->at = 0;
		}
		entry = (const struct dirent *)(const void *)(dir->buf + dir->at);
		dir->at += entry->d_reclen;
		if (is_dots(entry->d_name))
			continue;
		*ret_entry = entry;
		return 1;
	}
}

int rota_dir_fd(const struct rota_dir *dir)
{
	return dir->fd;
}

void rota_dir_close(struct rota_dir *dir)
{
	if (!dir)
		return;
	rota_close(dir->fd);
	rota__free(dir);
}
