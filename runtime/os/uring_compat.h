/* SPDX-License-Identifier: MIT */
/* What newer kernels have and liburing 2.3 (Debian 12) does not name. Only for os/uring.c. */
#ifndef ROTA_OS_URING_COMPAT_H
#define ROTA_OS_URING_COMPAT_H

#include <errno.h>
#include <liburing.h>
#include <sys/syscall.h>
#include <unistd.h>

/* io_uring_enable_rings(): liburing 2.3 declares it and does not export it. */
static inline int uring_enable_rings(const struct io_uring *ring)
{
	if (syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0))
		return -errno;
	return 0;
}

#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif

#endif
