/* SPDX-License-Identifier: MIT */
/*
 * The port: what a loop sends operations through and sleeps on. A backend is a table of functions;
 * `uring` is the real one, `sim` plays it. Calls upward are function pointers: op->complete.
 *
 * Law L3 rests here: an op, its buffer and its descriptor belong to the port from submit() until
 * complete() is called, once, whatever happened in between.
 */
#ifndef ROTA_OS_PORT_H
#define ROTA_OS_PORT_H

#include "base/list.h"

struct rota_runtime;

enum rota__op_code {
	ROTA__OP_READ,	 /* fd, addr, len, offset (-1: the file position) */
	ROTA__OP_WRITE,	 /* the same */
	ROTA__OP_OPENAT, /* fd: directory, path, flags: open flags, len: mode */
	ROTA__OP_CLOSE,	 /* fd */
	ROTA__OP_STATX,	 /* fd: directory, path, addr: struct statx, flags, len: mask */
	ROTA__OP_COUNT,
};

/* One kernel operation; lies in the frame of the task that waits for it. */
struct rota__op {
	struct list link; /* in the port's list of what is in flight */
	void (*complete)(void *owner, struct rota__op *op);
	const char *path;
	void *addr;
	uint64_t offset;
	int32_t fd;
	uint32_t len;
	uint32_t flags;
	int32_t result; /* valid from complete() on: >= 0 or a negative errno */
	uint8_t code;
	bool cancelling; /* its cancel has been asked for, once */
	uint16_t tag;	 /* tells this use of the memory from the next one */
	int64_t due_ns;	 /* for a backend that plays time */
};

#define ROTA__DISABLE_DEFER   (1u << 0)
#define ROTA__DISABLE_MSGRING (1u << 1)
#define ROTA__DISABLE_GUARD   (1u << 2)

struct rota__port_config {
	void *owner; /* the first argument of complete() */
	uint32_t disable;
	unsigned int index;
};

/* The part of a port that its loop looks at without a call. Each backend's own state follows. */
struct rota__port {
	/* Something asks for poll(): completions lie there, or the kernel has work to run. */
	const volatile unsigned int *flags; /* never NULL */
	unsigned int flags_mask;
	const volatile unsigned int *cq_tail; /* never NULL */
	const volatile unsigned int *cq_head;
	uint32_t in_flight; /* ops between submit() and complete() */
	uint32_t in_flight_max;
	uint32_t unsubmitted; /* prepared, and not yet given to the kernel */
	struct list ops;      /* in flight */
	uint64_t submitted;   /* counters since the start */
	uint64_t completed;
	void *owner;
};

struct rota__backend {
	const char *name;
	/*
	 * Makes a port. On failure a negative errno, and in why[] a line that says what to change.
	 * Any thread.
	 */
	int (*open)(struct rota__port **ret_port, const struct rota__port_config *config, char *why,
		size_t why_bytes);
	/* Takes the port into use on the calling thread, its loop's; fails as open does. */
	int (*enable)(struct rota__port *port, char *why, size_t why_bytes);
	/* The loop's thread is about to end: nothing may be left with the kernel. Never fails. */
	void (*leave)(struct rota__port *port);
	/* Frees it. Nothing is in flight and nobody wakes it any more. */
	void (*close)(struct rota__port *port);
	/* Starts an op; in_flight < in_flight_max. Loop's thread; completes in poll() or wait(). */
	void (*submit)(struct rota__port *port, struct rota__op *op);
	/* Asks for an op's end; it completes all the same. Loop's thread. */
	void (*cancel)(struct rota__port *port, struct rota__op *op);
	/* Gives the kernel what was submitted, completes what is ready. Does not wait. */
	void (*poll)(struct rota__port *port);
	/* The same, but sleeps until a completion, a wake token or timeout_ns (< 0: for ever). */
	void (*wait)(struct rota__port *port, int64_t timeout_ns);
	/* Sends a token to another port's wait(). from: the caller's own port, NULL on a thread. */
	void (*wake)(struct rota__port *from, struct rota__port *to);
	/*
	 * A backend that plays all loops on one thread has these, others NULL: begin before the
	 * ports are opened (0 or a negative errno), play instead of the loops' threads, end after.
	 */
	int (*begin)(struct rota_runtime *rt);
	void (*play)(struct rota_runtime *rt);
	void (*end)(struct rota_runtime *rt);
	/* "uring (defer, msgring)": static storage. */
	const char *(*describe)(const struct rota__port *port);
};

extern const struct rota__backend rota__backend_uring;
extern const struct rota__backend rota__backend_sim;

/* Whether poll() has something to do, without a system call. */
static inline bool port_attention(const struct rota__port *port)
{
	return (*port->flags & port->flags_mask) || *port->cq_tail != *port->cq_head;
}

#endif
