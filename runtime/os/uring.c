/* SPDX-License-Identifier: MIT */
/*
 * The io_uring port: one ring per loop, made disabled and enabled on its loop's thread, with
 * SINGLE_ISSUER | DEFER_TASKRUN where the kernel has them. The only file that knows liburing.
 *
 * Wake tokens: MSG_RING from another loop, an eventfd with an always-armed read from a thread, and
 * whenever MSG_RING fails. A token is a completion: it stays until it is taken.
 *
 * user_data: an op's address (48 bits, 8-aligned) with its tag above, so that a completion that is
 * not of this use of the memory is found out; or one of UD_* in the low three bits.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rota/base.h>

#include "os/port.h"
#include "os/seam.h"
#include "os/uring_compat.h"

#define SQ_ENTRIES     256
#define SQ_ENTRIES_MIN 32 /* where locked memory is scarce */
#define CQ_FACTOR      8  /* completions per submission entry */

#define UD_KIND		7u /* mask */
#define UD_OP		0u
#define UD_MSG		1u /* our own MSG_RING failed; the rest is the port it was for */
#define UD_CANCEL	2u
#define UD_TOKEN	3u
#define UD_EVENT	4u
#define UD_ADDRESS_BITS 48

struct uring {
	struct rota__port port;
	struct io_uring ring;
	uint64_t event_count; /* where the eventfd's read puts what it read */
	int event_fd;
	unsigned int setup_flags;
	unsigned int index; /* of its loop, for messages */
	bool event_armed;
	bool msgring;
	uint16_t next_tag;
};

static struct uring *uring_of(struct rota__port *port)
{
	return container_of(port, struct uring, port);
}

/* What cannot be survived: the kernel lost a completion, or the ring itself is broken. */
static ROTA__COLD ROTA__NORETURN void uring_die(const char *what, int err)
{
	char text[160];

	snprintf(text, sizeof(text), "rota: %s failed: %s; the ring is lost, giving up\n", what,
		rota_status_name(err));
	rota__write_text(2, text);
	abort();
}

/* The op table. */

static void prepare_read(struct io_uring_sqe *sqe, const struct rota__op *op)
{
	io_uring_prep_read(sqe, op->fd, op->addr, op->len, op->offset);
}

static void prepare_write(struct io_uring_sqe *sqe, const struct rota__op *op)
{
	io_uring_prep_write(sqe, op->fd, op->addr, op->len, op->offset);
}

static void prepare_openat(struct io_uring_sqe *sqe, const struct rota__op *op)
{
	io_uring_prep_openat(sqe, op->fd, op->path, (int)op->flags, op->len);
}

static void prepare_close(struct io_uring_sqe *sqe, const struct rota__op *op)
{
	io_uring_prep_close(sqe, op->fd);
}

static void prepare_statx(struct io_uring_sqe *sqe, const struct rota__op *op)
{
	io_uring_prep_statx(sqe, op->fd, op->path, (int)op->flags, op->len, op->addr);
}

/* All of these are older than the floor of 5.15; the probe finds a profile that forbids them. */
static const struct uring_op {
	const char *name;
	void (*prepare)(struct io_uring_sqe *sqe, const struct rota__op *op);
	int opcode;
} uring_ops[ROTA__OP_COUNT] = {
	[ROTA__OP_READ] = { "read", prepare_read, IORING_OP_READ },
	[ROTA__OP_WRITE] = { "write", prepare_write, IORING_OP_WRITE },
	[ROTA__OP_OPENAT] = { "openat", prepare_openat, IORING_OP_OPENAT },
	[ROTA__OP_CLOSE] = { "close", prepare_close, IORING_OP_CLOSE },
	[ROTA__OP_STATX] = { "statx", prepare_statx, IORING_OP_STATX },
};

/* Starting and stopping. */

static ROTA__COLD int explain(int err, unsigned int index, char *why, size_t bytes)
{
	struct rlimit limit = { 0, 0 };

	switch (-err) {
	case EPERM:
	case EACCES:
		snprintf(why, bytes,
			"io_uring is forbidden (%s): allow io_uring_setup, io_uring_enter and "
			"io_uring_register in the seccomp profile of the container or service, and "
			"see that sysctl kernel.io_uring_disabled is 0",
			rota_status_name(err));
		return -EPERM;
	case ENOSYS:
		snprintf(why, bytes,
			"io_uring is missing (ENOSYS): it needs Linux 5.15 or later with "
			"CONFIG_IO_URING, and a seccomp profile that does not hide io_uring_setup "
			"and io_uring_enter");
		break;
	case ENOMEM:
		getrlimit(RLIMIT_MEMLOCK, &limit);
		snprintf(why, bytes,
			"no locked memory for the ring of loop %u (ENOMEM, RLIMIT_MEMLOCK is %llu "
			"KiB): raise it (ulimit -l, LimitMEMLOCK=) or use fewer loops (ROTA_LOOPS)",
			index, (unsigned long long)limit.rlim_cur / 1024);
		break;
	case EMFILE:
	case ENFILE:
		getrlimit(RLIMIT_NOFILE, &limit);
		snprintf(why, bytes,
			"no descriptor for the ring of loop %u (%s, RLIMIT_NOFILE is %llu): raise "
			"it (ulimit -n, LimitNOFILE=) or use fewer loops (ROTA_LOOPS)",
			index, rota_status_name(err), (unsigned long long)limit.rlim_cur);
		break;
	default:
		snprintf(why, bytes, "io_uring_setup failed for loop %u: %s", index,
			rota_status_text(err));
	}
	return err;
}

static int uring_setup(struct uring *u, uint32_t disable, unsigned int sq_entries)
{
	/* The best first; what a kernel does not know it refuses with EINVAL. */
	static const unsigned int attempts[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
		0,
	};
	size_t first = disable & ROTA__DISABLE_DEFER ? 1 : 0;
	int err = -EINVAL;

	for (size_t i = first; i < ARRAY_SIZE(attempts) && err == -EINVAL; i++) {
		struct io_uring_params params = {
			.flags = attempts[i] | IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE |
				 IORING_SETUP_CLAMP,
			.cq_entries = sq_entries * CQ_FACTOR,
		};

		err = io_uring_queue_init_params(sq_entries, &u->ring, &params);
		u->setup_flags = params.flags;
	}
	return err;
}

/* Asks the kernel for every op of the table. */
static int uring_probe(struct uring *u, char *why, size_t why_bytes)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(&u->ring);
	int err = 0;

	if (!probe) {
		snprintf(why, why_bytes,
			"io_uring_register is forbidden: allow it beside "
			"io_uring_setup in the seccomp profile");
		return -EPERM;
	}
	for (size_t i = 0; i < ROTA__OP_COUNT && !err; i++) {
		if (io_uring_opcode_supported(probe, uring_ops[i].opcode))
			continue;
		snprintf(why, why_bytes,
			"this kernel's io_uring has no %s: use Linux 5.15 or later",
			uring_ops[i].name);
		err = -ENOSYS;
	}
	u->msgring = io_uring_opcode_supported(probe, IORING_OP_MSG_RING);
	io_uring_free_probe(probe);
	return err;
}

static int uring_open(struct rota__port **ret_port, const struct rota__port_config *config,
	char *why, size_t why_bytes)
{
	struct uring *u = rota__alloc_aligned(2 * ROTA__CACHE_LINE, sizeof(*u));
	int err;

	if (!u)
		return explain(-ENOMEM, config->index, why, why_bytes);
	err = -ENOMEM;
	for (unsigned int n = SQ_ENTRIES; n >= SQ_ENTRIES_MIN && err == -ENOMEM; n /= 2)
		err = uring_setup(u, config->disable, n);
	if (err) {
		err = explain(err, config->index, why, why_bytes);
		goto free_port;
	}
	err = uring_probe(u, why, why_bytes);
	if (err)
		goto exit_ring;
	if (config->disable & ROTA__DISABLE_MSGRING)
		u->msgring = false;
	u->event_fd = eventfd(0, EFD_CLOEXEC);
	if (u->event_fd < 0) {
		err = explain(-errno, config->index, why, why_bytes);
		goto exit_ring;
	}
	list_init(&u->port.ops);
	u->port.owner = config->owner;
	u->index = config->index;
	u->port.flags = u->ring.sq.kflags;
	u->port.flags_mask = IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN;
	u->port.cq_tail = u->ring.cq.ktail;
	u->port.cq_head = u->ring.cq.khead;
	u->port.in_flight_max = u->ring.cq.ring_entries / 4 * 3;
	*ret_port = &u->port;
	return 0;

exit_ring:
	io_uring_queue_exit(&u->ring);
free_port:
	rota__free(u);
	return err;
}

/* A first operation that does nothing: a profile may allow the set-up and forbid the use. */
static int uring_try(struct uring *u)
{
	struct io_uring_cqe *cqe;
	int err;

	io_uring_prep_nop(io_uring_get_sqe(&u->ring));
	do
		err = io_uring_submit_and_wait(&u->ring, 1);
	while (err == -EINTR);
	if (err < 0)
		return err;
	err = io_uring_peek_cqe(&u->ring, &cqe);
	if (!err)
		io_uring_cqe_seen(&u->ring, cqe);
	return err;
}

static int uring_enable(struct rota__port *port, char *why, size_t why_bytes)
{
	struct uring *u = uring_of(port);
	int err = uring_enable_rings(&u->ring);

	if (!err)
		err = uring_try(u);
	if (err)
		return explain(err, u->index, why, why_bytes);
	/* Saves a look-up of the descriptor on each enter; no harm where it is refused. */
	(void)io_uring_register_ring_fd(&u->ring);
	return 0;
}

/* Operations. */

static void event_write(struct uring *u)
{
	uint64_t one = 1;
	int saved = errno;

	/* EAGAIN would mean 2^64 - 2 unread tokens: there is one already. */
	while (write(u->event_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	errno = saved;
}

static uint64_t op_user_data(const struct rota__op *op)
{
	return (uint64_t)op->tag << UD_ADDRESS_BITS | (uint64_t)(uintptr_t)op;
}

static void complete_op(struct uring *u, uint64_t data, int result)
{
	uint64_t address = data & (((uint64_t)1 << UD_ADDRESS_BITS) - 1);
	struct rota__op *op = (struct rota__op *)(uintptr_t)address;

	if (op->tag != (uint16_t)(data >> UD_ADDRESS_BITS))
		uring_die("a completion of an operation that has ended", -EINVAL);
	op->tag = 0;
	op->result = result;
	list_remove(&op->link);
	u->port.in_flight--;
	u->port.completed++;
	op->complete(u->port.owner, op);
}

static void cancel_missed(struct uring *u, uint64_t data);

static void complete(struct uring *u, uint64_t data, int result)
{
	switch (data & UD_KIND) {
	case UD_OP:
		complete_op(u, data, result);
		break;
	case UD_MSG:
		/* The other ring did not take the message: the eventfd does. */
		if (result < 0)
			event_write((struct uring *)(uintptr_t)(data & ~(uint64_t)UD_KIND));
		break;
	case UD_EVENT:
		u->event_armed = false;
		break;
	case UD_CANCEL:
		if (result == -ENOENT)
			cancel_missed(u, data & ~(uint64_t)UD_KIND);
		break;
	default: /* a token has done its work by being there */
		break;
	}
}

/* Each completion is given back before it is acted on: what it sets off may come here again. */
static void reap(struct uring *u)
{
	struct io_uring_cqe *cqe;
	unsigned int head;

	for (;;) {
		uint64_t data = 0;
		int result = 0;
		bool found = false;

		io_uring_for_each_cqe(&u->ring, head, cqe)
		{
			data = cqe->user_data;
			result = cqe->res;
			found = true;
			break;
		}
		if (!found)
			return;
		io_uring_cq_advance(&u->ring, 1);
		complete(u, data, result);
	}
}

/* EINTR, and a kernel that is short of something for the moment: what was not taken stays. */
static void check_enter(int result)
{
	if (result < 0 && result != -EINTR && result != -EAGAIN && result != -EBUSY &&
		result != -ETIME && result != -ENOMEM)
		uring_die("io_uring_enter", result);
}

static void uring_poll(struct rota__port *port)
{
	struct uring *u = uring_of(port);

	if (io_uring_sq_ready(&u->ring) || (*port->flags & port->flags_mask))
		check_enter(io_uring_submit_and_get_events(&u->ring));
	port->unsubmitted = io_uring_sq_ready(&u->ring);
	reap(u);
}

static struct io_uring_sqe *get_sqe(struct uring *u)
{
	struct io_uring_sqe *sqe;

	while (unlikely(!(sqe = io_uring_get_sqe(&u->ring)))) {
		check_enter(io_uring_submit_and_get_events(&u->ring));
		/* Nothing was taken: the kernel waits for room among the completions. */
		if (!io_uring_sq_space_left(&u->ring))
			reap(u);
	}
	return sqe;
}

static void uring_submit(struct rota__port *port, struct rota__op *op)
{
	struct uring *u = uring_of(port);
	struct io_uring_sqe *sqe = get_sqe(u);

	uring_ops[op->code].prepare(sqe, op);
	if (!++u->next_tag)
		u->next_tag = 1;
	op->tag = u->next_tag;
	op->cancelling = false;
	io_uring_sqe_set_data64(sqe, op_user_data(op));
	list_add_tail(&port->ops, &op->link);
	port->in_flight++;
	port->submitted++;
	port->unsubmitted++;
}

static void uring_cancel(struct rota__port *port, struct rota__op *op)
{
	struct uring *u = uring_of(port);
	struct io_uring_sqe *sqe;

	if (op->cancelling)
		return;
	op->cancelling = true;
	sqe = get_sqe(u);
	io_uring_prep_cancel64(sqe, op_user_data(op), 0);
	io_uring_sqe_set_data64(sqe, op_user_data(op) | UD_CANCEL);
	port->unsubmitted++;
}

/*
 * The kernel did not find the op. Mostly it has completed; but a read that is between its wake-up
 * and its next wait is not to be found either, and would then wait for ever: asked again.
 */
static void cancel_missed(struct uring *u, uint64_t data)
{
	rota__list_for_each_safe(node, next, &u->port.ops) {
		struct rota__op *op = container_of(node, struct rota__op, link);

		if (op_user_data(op) != data)
			continue;
		op->cancelling = false;
		uring_cancel(&u->port, op);
		return;
	}
}

static void uring_wait(struct rota__port *port, int64_t timeout_ns)
{
	struct uring *u = uring_of(port);
	struct io_uring_cqe *cqe;

	if (!u->event_armed) {
		struct io_uring_sqe *sqe = get_sqe(u);

		io_uring_prep_read(sqe, u->event_fd, &u->event_count, sizeof(u->event_count), 0);
		io_uring_sqe_set_data64(sqe, UD_EVENT);
		u->event_armed = true;
	}
	if (timeout_ns < 0) {
		check_enter(io_uring_submit_and_wait(&u->ring, 1));
	} else {
		struct __kernel_timespec ts = {
			.tv_sec = timeout_ns / ROTA_SECOND,
			.tv_nsec = timeout_ns % ROTA_SECOND,
		};

		check_enter(io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, &ts, NULL));
	}
	port->unsubmitted = io_uring_sq_ready(&u->ring);
	reap(u);
}

static void uring_wake(struct rota__port *from_port, struct rota__port *to_port)
{
	struct uring *to = uring_of(to_port);
	struct io_uring_sqe *sqe;
	struct uring *from;

	if (!from_port || !uring_of(from_port)->msgring) {
		event_write(to);
		return;
	}
	from = uring_of(from_port);
	sqe = get_sqe(from);
	io_uring_prep_msg_ring(sqe, to->ring.ring_fd, 0, UD_TOKEN, 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	io_uring_sqe_set_data64(sqe, (uint64_t)(uintptr_t)to | UD_MSG);
	/* Now, not at the end of the turn: the task that runs may take long. */
	check_enter(io_uring_submit(&from->ring));
	from_port->unsubmitted = io_uring_sq_ready(&from->ring);
}

/* The eventfd's read is the only thing that can be in flight: takes it back. */
static void uring_leave(struct rota__port *port)
{
	struct uring *u = uring_of(port);
	struct io_uring_sqe *sqe;

	if (!u->event_armed)
		return;
	sqe = get_sqe(u);
	io_uring_prep_cancel64(sqe, UD_EVENT, 0);
	io_uring_sqe_set_data64(sqe, UD_CANCEL);
	while (u->event_armed) {
		check_enter(io_uring_submit_and_wait(&u->ring, 1));
		reap(u);
	}
}

static void uring_close(struct rota__port *port)
{
	struct uring *u = uring_of(port);

	io_uring_queue_exit(&u->ring);
	close(u->event_fd);
	rota__free(u);
}

static const char *uring_describe(const struct rota__port *port)
{
	const struct uring *u =
		container_of((struct rota__port *)(uintptr_t)port, struct uring, port);
	bool defer = u->setup_flags & IORING_SETUP_DEFER_TASKRUN;

	if (u->msgring)
		return defer ? "uring (defer, msgring)" : "uring (msgring)";
	return defer ? "uring (defer)" : "uring";
}

const struct rota__backend rota__backend_uring = {
	.name = "uring",
	.open = uring_open,
	.enable = uring_enable,
	.leave = uring_leave,
	.close = uring_close,
	.submit = uring_submit,
	.cancel = uring_cancel,
	.poll = uring_poll,
	.wait = uring_wait,
	.wake = uring_wake,
	.describe = uring_describe,
};
