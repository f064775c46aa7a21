/* SPDX-License-Identifier: MIT */
/*
 * Which CPU each loop runs on, and from whom it steals first. Knows the machine (through hwloc,
 * which stays in topology.c), the affinity mask and the cgroup quota; nothing of loops but their
 * number.
 *
 * Where HWLOC_SYNTHETIC in the environment describes a machine, that one is taken whole: all of its
 * CPUs, no affinity, no quota, and nothing is bound.
 */
#ifndef ROTA_OS_TOPOLOGY_H
#define ROTA_OS_TOPOLOGY_H

#include "base/attr.h"

#define ROTA__LOOPS_MAX 256u

struct rota__topology;
struct rota__binding;

/* What is the nearest thing that two loops share. */
enum rota__near {
	ROTA__NEAR_SMT, /* a core, or the very CPU */
	ROTA__NEAR_L2,
	ROTA__NEAR_L3,
	ROTA__NEAR_NODE, /* a NUMA node */
	ROTA__NEAR_MACHINE,
};

/*
 * Spreads loops over the CPUs that the affinity mask of the calling thread and hwloc allow.
 * want_loops 0: one per such CPU, at most what the cgroup quota allows and ROTA__LOOPS_MAX. Fewer
 * loops than CPUs: one per core before the second of a core, in the order of the machine, so that
 * they lie close together. More: they share CPUs round robin. The same machine, mask and number
 * give the same result every time.
 *
 * Context: any thread, several at once; not a signal handler. The first call takes milliseconds,
 * the later ones use what hwloc found then, unless HWLOC_SYNTHETIC has changed.
 * Returns 0, -E2BIG (more than ROTA__LOOPS_MAX), -ENOMEM, or what hwloc failed with.
 */
int rota__topology_open(uint32_t want_loops, struct rota__topology **ret_topology);

/* The same; the quota is looked for below the directory `root`, see cgroup.h. */
int rota__topology_open_below(
	const char *root, uint32_t want_loops, struct rota__topology **ret_topology);

/* NULL is fine. */
void rota__topology_close(struct rota__topology *topology);

unsigned int rota__topology_loops(const struct rota__topology *topology);

/* The number that the system (or the synthetic machine) gives to the CPU of a loop; -1: unknown. */
int rota__topology_cpu(const struct rota__topology *topology, unsigned int loop);

/*
 * The other loops, nearest first: loops - 1 entries, valid until the close. Those at the same
 * distance are rotated, so that not everybody robs the same one.
 */
const uint16_t *rota__topology_order(const struct rota__topology *topology, unsigned int loop);

/* An enum rota__near; symmetric; ROTA__NEAR_SMT for a loop and itself. */
unsigned int rota__topology_distance(
	const struct rota__topology *topology, unsigned int a, unsigned int b);

/*
 * Binds the calling thread to the CPU of the loop. Threads and processes that it creates inherit
 * that: see rota__topology_unbind(). Returns 0 or a negative errno (-EINVAL: the CPU has gone
 * offline or out of the cpuset).
 */
int rota__topology_bind(const struct rota__topology *topology, unsigned int loop);

/*
 * Gives the calling thread the mask that the opener had: for helper threads and child processes of
 * a bound thread. Context: any, also a child after fork() or vfork(). Returns 0 or -errno.
 */
int rota__topology_unbind(const struct rota__topology *topology);

/*
 * Remembers the mask of the calling thread, for a thread that becomes a loop and goes back to its
 * own life. *ret_binding may be NULL and still good: nothing to restore on a synthetic machine.
 * Pairs with: rota__topology_restore_binding(). Returns 0, -ENOMEM or a negative errno.
 */
int rota__topology_save_binding(
	const struct rota__topology *topology, struct rota__binding **ret_binding);

/* Gives the calling thread that mask and frees it, also on failure; NULL is fine. 0 or -errno. */
int rota__topology_restore_binding(struct rota__binding *binding);

/* One line for logs, without newline: "2 loops on 2 of 8 CPUs: cores 2, ...". */
const char *rota__topology_text(const struct rota__topology *topology);

#endif
