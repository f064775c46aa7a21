/* SPDX-License-Identifier: MIT */
/*
 * How many CPUs the cgroup quota of this process amounts to, in version 1 and 2 of cgroups. Knows
 * nothing of loops and topology.
 */
#ifndef ROTA_OS_CGROUP_H
#define ROTA_OS_CGROUP_H

#include "base/attr.h"

/*
 * CPUs that the CPU quota of this process's cgroup, or the smallest one of those above it, allows:
 * quota / period, rounded up. 0 when there is none, or it cannot be found out. Read anew at every
 * call: a quota may change. Context: any thread; not a signal handler.
 */
int rota__cgroup_cpus(void);

/* The same with `root` before every path that is read: a test brings a tree of its own. */
int rota__cgroup_cpus_below(const char *root);

#endif
