/* SPDX-License-Identifier: MIT */
/*
 * The simulated backend: one thread plays all loops, the seed chooses which loop turns next, whom
 * it robs and when it is fair, and the clock is virtual: it moves a little at each step and each
 * look at it, and jumps to the next timer or completion when every loop is parked. So the same
 * binary with the same seed has the same run (law L6), and a sleep of an hour takes no time.
 *
 * File operations are real system calls, made at a time of the seed's choice: they replay as long
 * as the files are the same. A read of a pipe that is empty stays in flight. There is no simulated
 * network yet, and no faults. Plain threads are outside of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/runtime.h"
#include "os/seam.h"
#include "sim/sim.h"

#define CLOCK_START   (1000 * ROTA_SECOND)
#define WALL_START    (1700000000 * ROTA_SECOND)
#define STEP_NS_MAX   1000 /* what a turn takes, at most */
#define OP_NS_MAX     (100 * ROTA_MICROSECOND)
#define NOT_READY_NS  ROTA_MILLISECOND
#define IN_FLIGHT_MAX 1024

/* A port: its ops wait until they are due. */
struct sim_port {
	struct rota__port port;
	struct loop *loop;
	unsigned int attention; /* 1: something is due */
	unsigned int cq;	/* never changes: completions show in `attention` */
	bool parked;
	int64_t until_ns; /* parked: the next timer */
	struct a32 token;
};

static struct {
	uint64_t random;
	uint64_t hash;
	struct a64 clock;
	struct a32 wakes;
	uint64_t steps;
	bool used;
} sim;

static uint64_t next_random(void)
{
	/* splitmix64 (Steele, Lea, Flood 2014). */
	uint64_t z = sim.random += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static uint64_t choose(uint64_t below)
{
	return next_random() % below;
}

static int64_t sim_now(void)
{
	return (int64_t)a64_add_relaxed(&sim.clock, 25);
}

static int64_t sim_wall(void)
{
	return sim_now() - CLOCK_START + WALL_START;
}

static void sim_random(void *buf, size_t len)
{
	unsigned char *at = buf;

	/* A plain thread is not played: it must not disturb the run. */
	if (!rota__loop_self()) {
		rota__seam_real.random(buf, len);
		return;
	}
	while (len--)
		*at++ = (unsigned char)next_random();
}

static const struct rota__seam sim_seam = {
	.now = sim_now,
	.wall = sim_wall,
	.random = sim_random,
};

bool rota__sim_active(void)
{
	return sim.used;
}

uint64_t rota__sim_trace_hash(void)
{
	return sim.hash;
}

static int64_t clock_read(void)
{
	return (int64_t)a64_load_relaxed(&sim.clock);
}

/* Operations. */

static struct sim_port *sim_port_of(struct rota__port *port)
{
	return container_of(port, struct sim_port, port);
}

static bool op_is_transfer(const struct rota__op *op)
{
	return op->code == ROTA__OP_READ || op->code == ROTA__OP_WRITE;
}

/* Without waiting where the file can do so: a pipe that takes a part only must not stop us. */
static ssize_t transfer(const struct rota__op *op)
{
	struct iovec iov = { .iov_base = op->addr, .iov_len = op->len };
	off_t offset = op->offset == UINT64_MAX ? -1 : (off_t)op->offset;
	struct stat file;
	int flags = !fstat(op->fd, &file) && S_ISFIFO(file.st_mode) ? RWF_NOWAIT : 0;

	if (op->code == ROTA__OP_READ)
		return preadv2(op->fd, &iov, 1, offset, flags);
	return pwritev2(op->fd, &iov, 1, offset, flags);
}

static int op_perform(const struct rota__op *op)
{
	int saved = errno;
	ssize_t result;

	/* As bare calls: the C library's declare what io_uring answers with EFAULT undefined. */
	if (op_is_transfer(op))
		result = transfer(op);
	else if (op->code == ROTA__OP_OPENAT)
		result = syscall(SYS_openat, op->fd, op->path, op->flags, op->len);
	else if (op->code == ROTA__OP_CLOSE)
		result = close(op->fd);
	else
		result = syscall(SYS_statx, op->fd, op->path, op->flags, op->len, op->addr);
	if (result < 0)
		result = -errno;
	errno = saved;
	return (int)result;
}

static void sim_submit(struct rota__port *port, struct rota__op *op)
{
	op->cancelling = false;
	op->due_ns = clock_read() + (int64_t)choose(OP_NS_MAX);
	list_add_tail(&port->ops, &op->link);
	port->in_flight++;
	port->submitted++;
}

static void sim_cancel(struct rota__port *port, struct rota__op *op)
{
	(void)port;
	op->cancelling = true;
	op->due_ns = clock_read() + (int64_t)choose(OP_NS_MAX);
}

static void op_finish(struct rota__port *port, struct rota__op *op, int result)
{
	list_remove(&op->link);
	port->in_flight--;
	port->completed++;
	op->result = result;
	op->complete(port->owner, op);
}

/* Its time has come: it completes, is cancelled, or has to wait on. */
static void op_try(struct rota__port *port, struct rota__op *op, int64_t now)
{
	int result = -ECANCELED;

	/* A cancel loses against an op that had happened: half of the time it did. */
	if (!op->cancelling || choose(2))
		result = op_perform(op);
	if (result == -EAGAIN && op_is_transfer(op) && !op->cancelling)
		op->due_ns = now + NOT_READY_NS;
	else
		op_finish(port, op, result == -EAGAIN && op->cancelling ? -ECANCELED : result);
}

static void sim_poll(struct rota__port *port)
{
	int64_t now = clock_read();

	rota__list_for_each_safe(node, next, &port->ops) {
		struct rota__op *op = container_of(node, struct rota__op, link);

		if (op->due_ns <= now)
			op_try(port, op, now);
	}
	sim_port_of(port)->attention = 0;
}

/* When the port's next op is due. */
static int64_t next_due(const struct sim_port *port)
{
	int64_t first = ROTA_FOREVER;

	for (const struct list *at = port->port.ops.next; at != &port->port.ops; at = at->next) {
		const struct rota__op *op =
			container_of((struct list *)(uintptr_t)at, struct rota__op, link);

		if (op->due_ns < first)
			first = op->due_ns;
	}
	return first;
}

/* Ports. */

static int sim_open(struct rota__port **ret_port, const struct rota__port_config *config, char *why,
	size_t why_bytes)
{
	struct sim_port *port = rota__alloc(sizeof(*port));
	struct trace_ring *ring = rota__alloc(sizeof(*ring));

	if (!port || !ring) {
		rota__free(port);
		rota__free(ring);
		memset(why, 0, why_bytes);
		memcpy(why, "out of memory", sizeof("out of memory"));
		return -ENOMEM;
	}
	port->loop = config->owner;
	port->port.owner = config->owner;
	port->port.flags = &port->attention;
	port->port.flags_mask = 1;
	port->port.cq_tail = &port->cq;
	port->port.cq_head = &port->cq;
	port->port.in_flight_max = IN_FLIGHT_MAX;
	list_init(&port->port.ops);
	/* Every event goes into the hash, whether a trace is on or not. */
	ring->hash = &sim.hash;
	ring->loop = port->loop->index;
	port->loop->trace_ring = ring;
	aptr_store_release(&port->loop->trace, ring); /* Pairs with: loop_trace(). */
	/* Pairs with: task_state_set(). */
	a32_or_acq_rel(&port->loop->watched, LOOP_WATCH_TRACE);
	*ret_port = &port->port;
	return 0;
}

static int sim_enable(struct rota__port *port, char *why, size_t why_bytes)
{
	(void)port;
	(void)why;
	(void)why_bytes;
	return 0;
}

static void sim_leave(struct rota__port *port)
{
	(void)port;
}

static void sim_close(struct rota__port *port)
{
	rota__free(sim_port_of(port));
}

static void sim_wait(struct rota__port *port, int64_t timeout_ns)
{
	/* Parking is sim_play()'s business: a loop never sleeps by itself here. */
	(void)port;
	(void)timeout_ns;
	abort();
}

static void sim_wake(struct rota__port *from, struct rota__port *to)
{
	(void)from;
	a32_store_release(&sim_port_of(to)->token, 1); /* Pairs with: is_runnable(). */
	a32_add_acq_rel(&sim.wakes, 1);		       /* Pairs with: wait_for_threads(). */
	rota__futex_wake(&sim.wakes, 1);
}

static const char *sim_describe(const struct rota__port *port)
{
	(void)port;
	return "sim";
}

/* Playing. */

static struct sim_port *port_at(const struct rota_runtime *rt, uint32_t index)
{
	return sim_port_of(rt->loop[index]->port);
}

static bool is_runnable(struct sim_port *port)
{
	int64_t now = clock_read();

	if (next_due(port) <= now)
		port->attention = 1;
	/* Pairs with: sim_wake(). */
	return !port->parked || port->attention || port->until_ns <= now ||
	       a32_load_acquire(&port->token);
}

/* One of the loops that can do something, or NULL. */
static struct sim_port *choose_port(const struct rota_runtime *rt)
{
	struct sim_port *chosen = NULL;
	uint64_t seen = 0;

	for (uint32_t i = 0; i < rt->loop_count; i++)
		if (is_runnable(port_at(rt, i)) && choose(++seen) == 0)
			chosen = port_at(rt, i);
	return chosen;
}

/* Every loop is parked: on to the next thing that is due. False: there is none. */
static bool jump(const struct rota_runtime *rt)
{
	int64_t first = ROTA_FOREVER;

	for (uint32_t i = 0; i < rt->loop_count; i++) {
		struct sim_port *port = port_at(rt, i);
		int64_t due = next_due(port);

		if (due < first)
			first = due;
		if (port->until_ns < first)
			first = port->until_ns;
	}
	if (first == ROTA_FOREVER)
		return false;
	if (first > clock_read())
		a64_store_relaxed(&sim.clock, (uint64_t)first);
	return true;
}

static ROTA__COLD ROTA__NORETURN void die_deadlocked(const struct rota_runtime *rt)
{
	rota__log(rt, ROTA_LOG_ERROR,
		"simulation: every task waits, and no timer or operation will ever end that; "
		"replay it with ROTA_SIM=%" PRIu64,
		rt->seed);
	abort();
}

/* One turn of a loop, or its way into the park and out of it. */
static void step(struct sim_port *port)
{
	struct loop *loop = port->loop;
	int64_t timeout_ns = -1;

	rota__loop_self_set(loop);
	if (port->parked) {
		port->parked = false;
		a32_store_relaxed(&port->token, 0);
		rota__loop_park_end(loop);
	}
	if (loop->many)
		loop->last_victim = (uint16_t)choose(loop->rt->loop_count - 1);
	loop->budget = choose(8) ? LOOP_BUDGET : 0;
	if (rota__loop_turn(loop))
		return;
	if (!loop->searching && loop->many && choose(2)) {
		/* It searches for a while, as a real loop that spins would. */
		idle_search_begin(&loop->rt->idle);
		loop->searching = true;
		return;
	}
	if (rota__loop_park_begin(loop, &timeout_ns)) {
		a64_count(&loop->counters.parks, 1);
		rota__trace_write(loop_trace(loop), TRACE_PARK, 0);
		port->parked = true;
		port->until_ns = timeout_ns < 0 ? ROTA_FOREVER : clock_read() + timeout_ns;
		return;
	}
	rota__loop_park_end(loop);
}

/* Nothing can happen inside: something may come from a plain thread. */
static void wait_for_threads(const struct rota_runtime *rt, uint32_t seen)
{
	if (rt->caller_is_loop)
		die_deadlocked(rt);
	rota__futex_wait(&sim.wakes, seen);
}

static void sim_play(struct rota_runtime *rt)
{
	rota__alt_stack_set(rt->loop[0]);
	for (uint32_t i = 0; i < rt->loop_count; i++)
		rota__context_adopt(&rt->loop[i]->sched);
	/* Pairs with: rota__runtime_stop(). */
	while (!a32_load_acquire(&rt->stop)) {
		uint32_t seen = a32_load_acquire(&sim.wakes); /* Pairs with: sim_wake(). */
		struct sim_port *port = choose_port(rt);

		if (port) {
			sim.steps++;
			a64_add_relaxed(&sim.clock, 1 + choose(STEP_NS_MAX));
			step(port);
		} else if (!jump(rt)) {
			wait_for_threads(rt, seen);
		}
	}
	rota__loop_self_set(NULL);
	rota__alt_stack_clear(rt->loop[0]);
}

static int sim_begin(struct rota_runtime *rt)
{
	if (!sim.used)
		sim.hash = rt->seed;
	sim.used = true;
	sim.random = rt->seed;
	sim.steps = 0;
	a64_store_relaxed(&sim.clock, CLOCK_START);
	rota__seam = &sim_seam;
	return 0;
}

static void sim_end(struct rota_runtime *rt)
{
	rota__seam = &rota__seam_real;
	if (!sim.steps)
		return;
	rota__log(rt, ROTA_LOG_INFO,
		"simulation: seed %" PRIu64 ", %" PRIu64
		" steps, %.6f s virtual, trace hash %016" PRIx64,
		rt->seed, sim.steps, (double)(clock_read() - CLOCK_START) / (double)ROTA_SECOND,
		sim.hash);
}

const struct rota__backend rota__backend_sim = {
	.name = "sim",
	.open = sim_open,
	.enable = sim_enable,
	.leave = sim_leave,
	.close = sim_close,
	.submit = sim_submit,
	.cancel = sim_cancel,
	.poll = sim_poll,
	.wait = sim_wait,
	.wake = sim_wake,
	.begin = sim_begin,
	.play = sim_play,
	.end = sim_end,
	.describe = sim_describe,
};
