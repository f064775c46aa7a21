/* SPDX-License-Identifier: MIT */
/* A file whose every byte is known. */
#include "tempfile.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static unsigned char byte_at(uint64_t offset)
{
	return (unsigned char)(prng_mix(offset / 8 + 1) >> (8 * (offset % 8)));
}

bool tempfile_matches(const unsigned char *buf, size_t len, uint64_t offset)
{
	for (size_t i = 0; i < len; i++) {
		if (buf[i] != byte_at(offset + i))
			return false;
	}
	return true;
}

static int fill(int fd)
{
	unsigned char *content = stress_alloc(1, TEMPFILE_BYTES);
	int status;

	for (uint64_t i = 0; i < TEMPFILE_BYTES; i++)
		content[i] = byte_at(i);
	status = rota_write_all(fd, content, TEMPFILE_BYTES, NULL);
	free(content);
	return status;
}

int tempfile_open(struct run *run)
{
	const char *folder = getenv("TMPDIR");
	char path[4096];
	int status;
	int fd;

	/* No process number under simulation, where every run is to be the same. */
	snprintf(path, sizeof(path), "%s/rota-stress-%ld", folder && !run->sim ? folder : "/tmp",
		run->sim ? 0L : (long)getpid());
	fd = rota_open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0)
		return fd;
	if (!run->sim)
		(void)unlink(path);
	status = fill(fd);
	if (status < 0) {
		(void)rota_close(fd);
		return status;
	}
	return fd;
}
