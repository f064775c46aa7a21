/* SPDX-License-Identifier: MIT */
/* The task that reads and hashes one file. Many of them are in flight on each loop. */
#include "pass.h"

#include <errno.h>
#include <fcntl.h>

/* A hasher of this loop: an idle one, or a new one. As many come to be as files are in flight. */
static struct hasher *take_hasher(struct pass_loop *here)
{
	struct hasher *hasher = here->idle;

	if (hasher)
		here->idle = hasher->next;
	else
		hasher = hasher_create();
	if (hasher && ++here->in_flight > here->in_flight_max)
		here->in_flight_max = here->in_flight;
	return hasher;
}

static void give_hasher_back(struct pass_loop *here, struct hasher *hasher)
{
	hasher->next = here->idle;
	here->idle = hasher;
	here->in_flight--;
}

static void count(_Atomic uint64_t *counter, uint64_t n)
{
	/* One writer, so a load and a store do. */
	uint64_t old = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, old + n, memory_order_relaxed);
}

/*
 * Reads to the very end: a short read might be the end or a bad block, and only the next read
 * tells.
 */
static int read_all(struct pass_loop *here, struct meter_task *meter, struct hasher *hasher,
	struct file *file, int fd)
{
	int status = hasher_begin(hasher);

	while (status == 0) {
		int n;

		meter_pause(meter);
		n = rota_pread(fd, hasher->buffer, HASH_BUFFER_BYTES, (off_t)file->bytes);
		meter_resume(meter);
		if (n < 0)
			return n;
		if (n == 0)
			return hasher_end(hasher, file->digest);
		status = hasher_add(hasher, hasher->buffer, (size_t)n);
		file->bytes += (uint64_t)n;
		count(&here->bytes, (uint64_t)n);
	}
	return status;
}

static int hash_file(
	struct pass_loop *here, struct meter_task *meter, struct hasher *hasher, struct file *file)
{
	int fd, status;

	meter_pause(meter);
	fd = rota_open(file->path, O_RDONLY | O_NOCTTY | O_NOFOLLOW, 0);
	meter_resume(meter);
	if (fd < 0)
		return fd;
	status = read_all(here, meter, hasher, file, fd);
	meter_pause(meter);
	rota_close(fd);
	meter_resume(meter);
	return status;
}

int pass_hash(void *arg)
{
	struct file *file = arg;
	struct pass *pass = file->pass;
	struct pass_loop *here = pass_here(pass);
	struct meter_task meter;
	struct hasher *hasher;

	meter_begin(&meter, &pass->meter, file->path);
	hasher = take_hasher(here);
	file->status = -ENOMEM;
	if (hasher) {
		file->status = hash_file(here, &meter, hasher, file);
		give_hasher_back(here, hasher);
	}
	count(&here->files, 1);
	meter_pause(&meter);
	/* One file's trouble is no reason to cancel the others: it is kept with the file. */
	return 0;
}
