/* SPDX-License-Identifier: MIT */
/*
 * Loops on CPUs and the stealing order: the rules on synthetic machines, binding and limits on the
 * real one. Knows os/topology.h only.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <criterion/criterion.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "os/topology.h"

#define TWO_NODES   "node:2 l3:1 l2:4 core:1 pu:2"
#define NO_CORES    "pack:1 l3:2 l2:2 pu:1"
#define NO_CACHES   "core:64 pu:2"
#define ALL_CLASSES "node:2 l3:2 l2:2 core:2 pu:2"
#define REPEATED    "node:3 l3:3 l2:1 core:5 pu:1"

static const char *const machines[] = { TWO_NODES, NO_CORES, NO_CACHES, ALL_CLASSES, REPEATED };

static struct rota__topology *open_real(uint32_t loops)
{
	struct rota__topology *t = NULL;

	unsetenv("HWLOC_SYNTHETIC");
	cr_assert_eq(rota__topology_open(loops, &t), 0);
	cr_assert_not_null(t);
	return t;
}

static struct rota__topology *open_synthetic(const char *machine, uint32_t loops)
{
	struct rota__topology *t = NULL;

	setenv("HWLOC_SYNTHETIC", machine, 1);
	cr_assert_eq(rota__topology_open(loops, &t), 0, "%s", machine);
	cr_assert_not_null(t);
	return t;
}

/* The mask of the calling thread, as far as these tests look. */
static cpu_set_t mask_now(void)
{
	cpu_set_t mask;

	CPU_ZERO(&mask);
	cr_assert_eq(sched_getaffinity(0, sizeof(mask), &mask), 0);
	return mask;
}

static int first_cpu(const cpu_set_t *mask)
{
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET((size_t)cpu, mask))
			return cpu;
	return -1;
}

static void expect_only(int cpu)
{
	cpu_set_t mask = mask_now();

	cr_expect_eq(CPU_COUNT(&mask), 1);
	cr_expect_eq(first_cpu(&mask), cpu);
}

static void expect_sound(const struct rota__topology *t)
{
	unsigned int loops = rota__topology_loops(t);

	for (unsigned int a = 0; a < loops; a++) {
		const uint16_t *order = rota__topology_order(t, a);
		bool seen[ROTA__LOOPS_MAX] = { false };
		unsigned int last = ROTA__NEAR_SMT;

		seen[a] = true;
		cr_expect_eq(rota__topology_distance(t, a, a), ROTA__NEAR_SMT);
		for (unsigned int i = 0; i + 1 < loops; i++) {
			cr_assert_lt(order[i], loops);
			cr_expect_not(seen[order[i]], "loop %u has %u twice", a, order[i]);
			seen[order[i]] = true;

			unsigned int d = rota__topology_distance(t, a, order[i]);

			cr_expect_leq(d, ROTA__NEAR_MACHINE);
			cr_expect_eq(d, rota__topology_distance(t, order[i], a));
			cr_expect_geq(
				d, last, "loop %u: %u is nearer than the one before", a, order[i]);
			last = d;
		}
	}
}

/* A loop without an entry at that distance gets -1. */
static int first_at(const struct rota__topology *t, unsigned int loop, unsigned int distance)
{
	const uint16_t *order = rota__topology_order(t, loop);

	for (unsigned int i = 0; i + 1 < rota__topology_loops(t); i++)
		if (rota__topology_distance(t, loop, order[i]) == distance)
			return order[i];
	return -1;
}

Test(topology, synthetic_machine_has_a_loop_per_cpu)
{
	static const unsigned int cpus[] = { 16, 4, 128, 32, 45 };

	for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
		struct rota__topology *t = open_synthetic(machines[i], 0);

		cr_expect_eq(rota__topology_loops(t), cpus[i], "%s", machines[i]);
		for (unsigned int loop = 0; loop < cpus[i]; loop++)
			cr_expect_eq(rota__topology_cpu(t, loop), (int)loop);
		rota__topology_close(t);
	}
}

Test(topology, order_is_complete_and_nearest_first_and_distance_symmetric)
{
	static const uint32_t wants[] = { 0, 1, 2, 3, 7, 64, 200, 256 };

	for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(wants); k++) {
			struct rota__topology *t = open_synthetic(machines[i], wants[k]);

			expect_sound(t);
			rota__topology_close(t);
		}
	}
}

Test(topology, smt_sibling_comes_first)
{
	static const char *const smt[] = { TWO_NODES, NO_CACHES, ALL_CLASSES };

	for (size_t i = 0; i < ARRAY_SIZE(smt); i++) {
		struct rota__topology *t = open_synthetic(smt[i], 0);

		for (unsigned int loop = 0; loop < rota__topology_loops(t); loop++) {
			cr_expect_eq(rota__topology_order(t, loop)[0], loop ^ 1);
			cr_expect_eq(rota__topology_distance(t, loop, loop ^ 1), ROTA__NEAR_SMT);
		}
		rota__topology_close(t);
	}
}

Test(topology, classes_follow_what_cpus_share)
{
	struct rota__topology *t = open_synthetic(ALL_CLASSES, 0);

	cr_expect_eq(rota__topology_distance(t, 0, 1), ROTA__NEAR_SMT);
	cr_expect_eq(rota__topology_distance(t, 0, 2), ROTA__NEAR_L2);
	cr_expect_eq(rota__topology_distance(t, 0, 3), ROTA__NEAR_L2);
	cr_expect_eq(rota__topology_distance(t, 3, 4), ROTA__NEAR_L3);
	cr_expect_eq(rota__topology_distance(t, 7, 8), ROTA__NEAR_NODE);
	cr_expect_eq(rota__topology_distance(t, 15, 16), ROTA__NEAR_MACHINE);
	rota__topology_close(t);
}

Test(topology, machines_without_cores_or_caches_still_have_distances)
{
	struct rota__topology *t = open_synthetic(NO_CORES, 0);

	cr_expect_eq(rota__topology_distance(t, 0, 1), ROTA__NEAR_L3);
	cr_expect_eq(rota__topology_distance(t, 1, 2), ROTA__NEAR_NODE);
	rota__topology_close(t);

	t = open_synthetic(NO_CACHES, 0);
	cr_expect_eq(rota__topology_distance(t, 0, 2), ROTA__NEAR_NODE);
	rota__topology_close(t);
}

/* Memory of the whole machine, such as CXL, must not make two sockets one node. */
Test(topology, memory_of_the_whole_machine_does_not_join_nodes)
{
	struct rota__topology *t = open_synthetic("[numa] pack:2 [numa] core:2 pu:1", 0);

	cr_expect_eq(rota__topology_distance(t, 0, 1), ROTA__NEAR_NODE);
	cr_expect_eq(rota__topology_distance(t, 1, 2), ROTA__NEAR_MACHINE);
	rota__topology_close(t);
}

Test(topology, first_victims_are_spread)
{
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
		struct rota__topology *t = open_synthetic(machines[i], 0);
		unsigned int loops = rota__topology_loops(t);

		for (unsigned int d = ROTA__NEAR_SMT; d <= ROTA__NEAR_MACHINE; d++) {
			unsigned int chosen[ROTA__LOOPS_MAX] = { 0 };

			for (unsigned int loop = 0; loop < loops; loop++) {
				int first = first_at(t, loop, d);

				if (first >= 0)
					chosen[first]++;
			}
			for (unsigned int loop = 0; loop < loops; loop++)
				cr_expect_leq(chosen[loop], 2, "%s: %u of %u begin with loop %u",
					machines[i], chosen[loop], loops, loop);
		}
		rota__topology_close(t);
	}
}

Test(topology, fewer_loops_take_one_cpu_of_each_core_first)
{
	struct rota__topology *t = open_synthetic(TWO_NODES, 3);

	cr_expect_eq(rota__topology_loops(t), 3);
	for (unsigned int loop = 0; loop < 3; loop++)
		cr_expect_eq(rota__topology_cpu(t, loop), 2 * (int)loop);
	cr_expect_eq(rota__topology_distance(t, 0, 1), ROTA__NEAR_L3);
	rota__topology_close(t);

	/* Eight cores: the ninth and tenth loop go to second CPUs. */
	t = open_synthetic(TWO_NODES, 10);

	static const int cpus[] = { 0, 1, 2, 3, 4, 6, 8, 10, 12, 14 };

	for (unsigned int loop = 0; loop < 10; loop++)
		cr_expect_eq(rota__topology_cpu(t, loop), cpus[loop]);
	rota__topology_close(t);
}

Test(topology, more_loops_share_cpus_round_robin)
{
	struct rota__topology *t = open_synthetic(NO_CORES, 10);

	cr_expect_eq(rota__topology_loops(t), 10);
	for (unsigned int loop = 0; loop < 10; loop++)
		cr_expect_eq(rota__topology_cpu(t, loop), (int)(loop % 4));
	cr_expect_eq(rota__topology_distance(t, 1, 5), ROTA__NEAR_SMT);
	cr_expect_eq(rota__topology_distance(t, 1, 9), ROTA__NEAR_SMT);
	cr_expect_eq(rota__topology_distance(t, 1, 4), ROTA__NEAR_L3);
	rota__topology_close(t);
}

Test(topology, one_loop_has_nobody_to_steal_from)
{
	struct rota__topology *t = open_synthetic(NO_CACHES, 1);

	cr_expect_eq(rota__topology_loops(t), 1);
	cr_expect_not_null(rota__topology_order(t, 0));
	rota__topology_close(t);
}

Test(topology, loops_are_limited)
{
	struct rota__topology *t = NULL;

	setenv("HWLOC_SYNTHETIC", "core:300 pu:1", 1);
	cr_expect_eq(rota__topology_open(ROTA__LOOPS_MAX + 1, &t), -E2BIG);
	cr_expect_eq(rota__topology_open(UINT32_MAX, &t), -E2BIG);
	cr_expect_null(t);
	cr_assert_eq(rota__topology_open(0, &t), 0);
	cr_expect_eq(rota__topology_loops(t), ROTA__LOOPS_MAX);
	rota__topology_close(t);
}

Test(topology, the_cached_machine_follows_hwloc_synthetic)
{
	for (int i = 0; i < 3; i++) {
		struct rota__topology *a = open_synthetic(NO_CORES, 0);
		struct rota__topology *b = open_synthetic(NO_CACHES, 0);
		struct rota__topology *c = open_real(0);
		cpu_set_t mask = mask_now();

		cr_expect_eq(rota__topology_loops(a), 4);
		cr_expect_eq(rota__topology_loops(b), 128);
		cr_expect_leq((int)rota__topology_loops(c), CPU_COUNT(&mask));
		cr_expect(CPU_ISSET((size_t)rota__topology_cpu(c, 0), &mask));
		rota__topology_close(a);
		rota__topology_close(b);
		rota__topology_close(c);
	}
}

Test(topology, the_same_every_time)
{
	struct rota__topology *a = open_synthetic(ALL_CLASSES, 11);
	struct rota__topology *b = open_synthetic(ALL_CLASSES, 11);

	for (unsigned int loop = 0; loop < 11; loop++) {
		cr_expect_eq(rota__topology_cpu(a, loop), rota__topology_cpu(b, loop));
		cr_expect_arr_eq(rota__topology_order(a, loop), rota__topology_order(b, loop),
			10 * sizeof(uint16_t));
	}
	rota__topology_close(a);
	rota__topology_close(b);
}

static void *open_and_close(void *arg)
{
	struct rota__topology *t = NULL;
	bool *good = arg;

	for (int i = 0; i < 50; i++) {
		if (rota__topology_open(0, &t))
			return NULL;
		rota__topology_close(t);
	}
	*good = true;
	return NULL;
}

Test(topology, several_threads_may_open_at_once)
{
	enum { THREADS = 4 };
	pthread_t thread[THREADS];
	bool good[THREADS] = { false };

	setenv("HWLOC_SYNTHETIC", TWO_NODES, 1);
	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&thread[i], NULL, open_and_close, &good[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
		cr_expect(good[i]);
	}
}

Test(topology, close_takes_null)
{
	rota__topology_close(NULL);
	cr_expect_eq(rota__topology_restore_binding(NULL), 0);
}

Test(topology, errno_is_untouched)
{
	struct rota__topology *t;

	errno = 77;
	t = open_real(0);
	cr_expect_eq(errno, 77);
	rota__topology_close(t);
}

Test(topology, text_is_one_line_that_names_loops_and_cpus)
{
	struct rota__topology *t = open_synthetic(TWO_NODES, 3);

	cr_expect_str_eq(rota__topology_text(t),
		"3 loops on 3 of 16 CPUs: cores 3, L2 3, L3 1, NUMA nodes 1; not bound");
	rota__topology_close(t);

	t = open_synthetic(NO_CORES, 0);
	cr_expect_str_eq(rota__topology_text(t),
		"4 loops on 4 of 4 CPUs: cores 0, L2 4, L3 2, NUMA nodes 1; not bound");
	rota__topology_close(t);
}

Test(topology, affinity_mask_is_respected)
{
	cpu_set_t mask = mask_now(), one;
	struct rota__topology *t;

	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET((size_t)cpu, &mask))
			continue;
		CPU_ZERO(&one);
		CPU_SET((size_t)cpu, &one);
		cr_assert_eq(sched_setaffinity(0, sizeof(one), &one), 0);
		t = open_real(0);
		cr_expect_eq(rota__topology_loops(t), 1);
		cr_expect_eq(rota__topology_cpu(t, 0), cpu);
		rota__topology_close(t);

		t = open_real(3);
		cr_expect_eq(rota__topology_loops(t), 3);
		for (unsigned int loop = 0; loop < 3; loop++)
			cr_expect_eq(rota__topology_cpu(t, loop), cpu);
		rota__topology_close(t);
	}
}

Test(topology, bind_and_restore)
{
	cpu_set_t before = mask_now(), after;
	struct rota__topology *t = open_real(4);
	struct rota__binding *binding = NULL;

	cr_assert_eq(rota__topology_save_binding(t, &binding), 0);
	cr_assert_not_null(binding);
	for (unsigned int loop = 0; loop < 4; loop++) {
		cr_expect_eq(rota__topology_bind(t, loop), 0);
		expect_only(rota__topology_cpu(t, loop));
	}
	cr_expect_eq(rota__topology_restore_binding(binding), 0);
	after = mask_now();
	cr_expect(CPU_EQUAL(&before, &after));

	cr_expect_eq(rota__topology_bind(t, 0), 0);
	cr_expect_eq(rota__topology_unbind(t), 0);
	after = mask_now();
	cr_expect(CPU_EQUAL(&before, &after));
	rota__topology_close(t);
}

Test(topology, synthetic_machine_binds_nothing)
{
	cpu_set_t before = mask_now(), one, after;
	struct rota__topology *t = open_synthetic(NO_CACHES, 0);
	struct rota__binding *binding;

	cr_expect_eq(rota__topology_save_binding(t, &binding), 0);
	cr_expect_null(binding);
	cr_expect_eq(rota__topology_bind(t, 127), 0);
	after = mask_now();
	cr_expect(CPU_EQUAL(&before, &after));

	/* Nor is anything undone that others did meanwhile. */
	CPU_ZERO(&one);
	CPU_SET((size_t)first_cpu(&before), &one);
	cr_assert_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	cr_expect_eq(rota__topology_unbind(t), 0);
	cr_expect_eq(rota__topology_restore_binding(binding), 0);
	expect_only(first_cpu(&one));

	/* All of its CPUs count, whatever the mask. */
	rota__topology_close(t);
	t = open_synthetic(NO_CORES, 0);
	cr_expect_eq(rota__topology_loops(t), 4);
	rota__topology_close(t);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void put(const char *root, const char *dir, const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", root, dir);
	for (char *p = strchr(path + strlen(root) + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		cr_assert(!mkdir(path, 0700) || errno == EEXIST);
		*p = '/';
	}
	cr_assert(!mkdir(path, 0700) || errno == EEXIST);
	snprintf(path, sizeof(path), "%s/%s/%s", root, dir, name);
	file = fopen(path, "w");
	cr_assert_not_null(file);
	fputs(text, file);
	fclose(file);
}

/* The number of loops with a quota of so many thousandths of a CPU. */
static unsigned int loops_with_quota(unsigned int thousandths, uint32_t want)
{
	char root[] = "/tmp/rota-topology-XXXXXX";
	struct rota__topology *t = NULL;
	char quota[64];
	unsigned int loops;

	cr_assert_not_null(mkdtemp(root));
	snprintf(quota, sizeof(quota), "%u 100000\n", 100 * thousandths);
	put(root, "proc/self", "cgroup", "0::/\n");
	put(root, "proc/self", "mountinfo", "30 25 0:27 / /cg rw - cgroup2 cgroup2 rw\n");
	put(root, "cg", "cpu.max", quota);
	cr_assert_eq(rota__topology_open_below(root, want, &t), 0);
	loops = rota__topology_loops(t);
	rota__topology_close(t);
	nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return loops;
}

Test(topology, quota_caps_the_default_number_of_loops)
{
	cpu_set_t mask = mask_now();
	unsigned int cpus = (unsigned int)CPU_COUNT(&mask);

	unsetenv("HWLOC_SYNTHETIC");
	cr_expect_eq(loops_with_quota(1, 0), 1);
	cr_expect_eq(loops_with_quota(1000, 0), 1);
	cr_expect_eq(loops_with_quota(1001, 0), cpus < 2 ? cpus : 2);
	cr_expect_eq(loops_with_quota(1000000, 0), cpus);
	cr_expect_eq(loops_with_quota(1000, 5), 5, "asked for");
}

Test(topology, quota_does_not_cap_a_synthetic_machine)
{
	setenv("HWLOC_SYNTHETIC", TWO_NODES, 1);
	cr_expect_eq(loops_with_quota(1000, 0), 16);
}
