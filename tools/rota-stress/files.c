/* SPDX-License-Identifier: MIT */
/*
 * Reads of a file with known contents, into stacks and the heap, while cancels happen: what arrived
 * is right, what was asked for is not more, and nobody writes to a buffer after the return.
 */
#include "scenarios.h"

#include <fcntl.h>

#include "tempfile.h"

#define WAVE	   64
#define READS	   8
#define STACK_MOST 4096
#define HEAP_MOST  65536
#define PATTERN	   0xa5

struct reader {
	struct run *run;
	uint64_t number;
	struct rota_task *task;
	int fd;
	_Atomic(bool) asked;
	_Atomic(uint32_t) ends;
};

static void check_buffer(struct run *run, const unsigned char *buf, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		if (buf[i] != PATTERN) {
			stress_broken(run, "settled-io",
				"byte %zu of a buffer was written to that no read had a right to",
				i);
			return;
		}
	}
}

/* Some pages are dropped from the cache now and then: such a read does not complete at once. */
static void drop_pages(struct reader *reader, uint64_t offset, struct prng *prng)
{
	if (!reader->run->sim && prng_once_in(prng, 8))
		(void)posix_fadvise(reader->fd, (off_t)offset, HEAP_MOST, POSIX_FADV_DONTNEED);
}

static int read_once(struct reader *reader, unsigned char *buf, size_t most, struct prng *prng)
{
	size_t bytes = prng_below(prng, most) + 1;
	uint64_t offset = prng_below(prng, TEMPFILE_BYTES + 100);
	int n;

	memset(buf, PATTERN, most);
	drop_pages(reader, offset, prng);
	n = rota_pread(reader->fd, buf, bytes, (off_t)offset);
	STRESS_CHECK(reader->run, "read", n == -ECANCELED || (n >= 0 && n <= (int)bytes),
		"a read of %zu bytes at %llu gives %d (%s)", bytes, (unsigned long long)offset, n,
		rota_status_name(n));
	STRESS_CHECK(reader->run, "read", n != 0 || offset >= TEMPFILE_BYTES,
		"a read at %llu finds the end", (unsigned long long)offset);
	if (n > 0)
		STRESS_CHECK(reader->run, "read", tempfile_matches(buf, (size_t)n, offset),
			"%d bytes at %llu are not the file's", n, (unsigned long long)offset);
	check_buffer(reader->run, buf, n > 0 ? (size_t)n : bytes, most);
	memset(buf, PATTERN, most);
	if (prng_once_in(prng, 2))
		stress_busy(reader->run, prng_ns(prng, 20 * ROTA_MICROSECOND));
	else
		(void)rota_yield();
	check_buffer(reader->run, buf, 0, most);
	return n < 0 ? n : 0;
}

static int read_to_stack(struct reader *reader, struct prng *prng)
{
	unsigned char buf[STACK_MOST];

	return read_once(reader, buf, sizeof(buf), prng);
}

static int read_to_heap(struct reader *reader, struct prng *prng)
{
	unsigned char *buf = stress_alloc(1, HEAP_MOST);
	int status = read_once(reader, buf, HEAP_MOST, prng);

	free(buf);
	return status;
}

static int reader_run(void *arg)
{
	struct reader *reader = arg;
	struct prng prng = prng_of(reader->run->seed, reader->number);
	int status = 0;

	for (int i = 0; i < READS && status == 0; i++) {
		if (prng_once_in(&prng, 4))
			status = read_to_heap(reader, &prng);
		else
			status = read_to_stack(reader, &prng);
	}
	STRESS_CHECK(reader->run, "cancel-has-cause",
		status != -ECANCELED || atomic_load(&reader->asked),
		"a read was cancelled that nobody cancelled");
	atomic_fetch_add_explicit(&reader->ends, 1, memory_order_relaxed);
	return status;
}

static void wave(struct run *run, int fd, uint64_t number, struct reader *readers)
{
	struct prng prng = prng_of(run->seed, ~number);
	uint64_t cancels = prng_below(&prng, WAVE);
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (uint64_t i = 0; i < WAVE; i++) {
		struct rota_spawn_options options = stress_on_loop(prng_loop(&prng));

		readers[i] = (struct reader){ .run = run, .number = number + i, .fd = fd };
		(void)rota_group_spawn_with(
			&group, reader_run, &readers[i], &readers[i].task, &options);
	}
	for (; cancels > 0; cancels--) {
		struct reader *reader = &readers[prng_below(&prng, WAVE)];

		(void)rota_sleep(prng_ns(&prng, 10 * ROTA_MICROSECOND));
		atomic_store(&reader->asked, true);
		rota_task_cancel(reader->task, NULL);
	}
	STRESS_CHECK(run, "group-close", rota_group_close(&group, 0) == 0,
		"the readers' group does not close with 0");
	for (uint64_t i = 0; i < WAVE; i++)
		STRESS_CHECK(run, "exactly-once", atomic_load(&readers[i].ends) == 1,
			"a reader ended %u times", atomic_load(&readers[i].ends));
	atomic_fetch_add(&run->tasks, WAVE);
}

static int files_main(void *arg)
{
	struct run *run = arg;
	struct reader *readers;
	int fd = tempfile_open(run);
	int status;

	if (fd < 0) {
		stress_broken(run, "temporary-file", "a file in TMPDIR or /tmp: %s",
			rota_status_text(fd));
		return 0;
	}
	readers = stress_alloc(WAVE, sizeof(*readers));
	for (uint64_t number = 0; stress_more(run, number); number += WAVE)
		wave(run, fd, number, readers);
	free(readers);
	status = rota_close(fd);
	STRESS_CHECK(run, "close", status == 0, "rota_close() gives %d", status);
	return 0;
}

static void run_files(struct run *run)
{
	(void)stress_main_task(run, files_main, run);
}

const struct scenario scenario_files = {
	.name = "files",
	.text = "reads are right and settled while they are cancelled",
	.run = run_files,
	.quota = 20000,
};
