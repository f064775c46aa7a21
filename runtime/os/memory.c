/* SPDX-License-Identifier: MIT */
/*
 * Memory from the kernel: plain mappings, and slabs of stacks with a guard page below each.
 *
 * Guards are MADV_GUARD_INSTALL (Linux 6.13), a slab at a time: they need no mapping of their own,
 * while mprotect splits the mapping and stops at vm.max_map_count (32,753 stacks by default).
 */
#include <errno.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "os/seam.h"

#if ROTA__ASAN
#include <sanitizer/asan_interface.h>
#endif

#define GUARD_INSTALL 102      /* MADV_GUARD_INSTALL, in no header of Debian 12 */
#define PIDFD_OF_SELF (-10000) /* PIDFD_SELF_THREAD_GROUP, likewise (Linux 6.14) */
#define BATCH	      256

size_t rota__page_bytes(void)
{
	return (size_t)getauxval(AT_PAGESZ);
}

int rota__map(size_t bytes, void **ret_memory)
{
	void *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return -errno;
	*ret_memory = memory;
	return 0;
}

/* What ASAN remembers of a stack must not outlive it. */
void rota__forget_frames(void *memory, size_t bytes)
{
	(void)memory;
	(void)bytes;
#if ROTA__ASAN
	__asan_unpoison_memory_region(memory, bytes);
#endif
}

void rota__unmap(void *memory, size_t bytes)
{
	rota__forget_frames(memory, bytes);
	munmap(memory, bytes);
}

int rota__remap(void **memory, size_t bytes, size_t new_bytes)
{
	void *moved = mremap(*memory, bytes, new_bytes, MREMAP_MAYMOVE);

	if (moved == MAP_FAILED)
		return -errno;
	*memory = moved;
	return 0;
}

/* One advice for many ranges: all at once where the kernel can, else one by one. */
static int advise_all(char *const *low, size_t count, size_t bytes, int advice)
{
	struct iovec ranges[BATCH];
	size_t done = 0;

	while (done < count) {
		size_t n = count - done < BATCH ? count - done : BATCH;

		for (size_t i = 0; i < n; i++) {
			ranges[i].iov_base = low[done + i];
			ranges[i].iov_len = bytes;
		}
		if (syscall(SYS_process_madvise, PIDFD_OF_SELF, ranges, n, advice, 0) !=
			(long)(n * bytes)) {
			for (size_t i = 0; i < n; i++)
				if (madvise(low[done + i], bytes, advice))
					return -errno;
		}
		done += n;
	}
	return 0;
}

static int guards_install(char *base, size_t stack_bytes, size_t count)
{
	char *low[BATCH];
	size_t done = 0;

	while (done < count) {
		size_t n = count - done < BATCH ? count - done : BATCH;
		int err;

		for (size_t i = 0; i < n; i++)
			low[i] = base + (done + i) * stack_bytes;
		err = advise_all(low, n, rota__page_bytes(), GUARD_INSTALL);
		if (err)
			return err;
		done += n;
	}
	return 0;
}

static int guards_protect(char *base, size_t stack_bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (mprotect(base + i * stack_bytes, rota__page_bytes(), PROT_NONE))
			return -errno;
	return 0;
}

int rota__stacks_map(
	size_t stack_bytes, size_t count, bool guard_install, void **ret_base, const char **why)
{
	size_t bytes = stack_bytes * count;
	int err = -EINVAL;
	char *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

	if (base == MAP_FAILED) {
		*why = "no address space for stacks (ulimit -v, vm.overcommit_memory)";
		return -ENOMEM;
	}
	/* A huge page a stack would cost 65 KiB and more for a task that uses one page. */
	madvise(base, bytes, MADV_NOHUGEPAGE);
	if (guard_install)
		err = guards_install(base, stack_bytes, count);
	if (err)
		err = guards_protect(base, stack_bytes, count);
	if (err) {
		munmap(base, bytes);
		*why = "no room for guard pages: raise vm.max_map_count, "
		       "or use Linux 6.13, which needs no mapping for them";
		return -ENOMEM;
	}
	*ret_base = base;
	return 0;
}

void rota__stacks_trim(char *const *low, size_t count, size_t stack_bytes)
{
	char *start[BATCH];
	size_t page = rota__page_bytes();

	while (count > 0) {
		size_t n = count < BATCH ? count : BATCH;

		for (size_t i = 0; i < n; i++)
			start[i] = low[i] + page;
		(void)advise_all(start, n, stack_bytes - page, MADV_DONTNEED);
		low += n;
		count -= n;
	}
}
