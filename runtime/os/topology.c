/* SPDX-License-Identifier: MIT */
/*
 * Asks hwloc what the machine looks like and copies what loops need to know. The only file that
 * includes hwloc, and the only one that reads and sets affinity. Nothing of hwloc's outlives
 * rota__topology_open() but its tree, which the process keeps: loading it costs milliseconds, and
 * runtimes are started and stopped in tight loops.
 *
 * The CPU that the caller happens to run on does not matter: the stealing order would differ from
 * run to run, and so would a simulation with the same seed.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <assert.h>
#include <errno.h>
#include <hwloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/cgroup.h"
#include "os/topology.h"

#define NEAR_COUNT (ROTA__NEAR_MACHINE + 1)

static_assert(ROTA__LOOPS_MAX <= UINT16_MAX, "an entry of the order holds any loop");

/* A CPU and what it is part of, as numbers that are equal for the same thing; -1: no such thing. */
struct place {
	int cpu;
	int core;
	int l2;
	int l3;
	int node;
	int rank; /* how many CPUs of its core come before it */
};

struct rota__binding {
	size_t bytes;
	cpu_set_t *mask;
};

/* All of it is immutable after the open. */
struct rota__topology {
	unsigned int loops;
	unsigned int cpus;	    /* the loops use */
	unsigned int cpus_allowed;  /* there are */
	int quota;		    /* CPUs; 0: none, or not asked for */
	struct place *place;	    /* [loops] */
	uint16_t *order;	    /* [loops][loops - 1] */
	struct rota__binding *home; /* the opener's; NULL: never bind anything */
	char text[160];
};

/* What of the tree the caller may use. */
struct found {
	struct place *place; /* in the order of the machine */
	unsigned int count;
	struct rota__binding *mask; /* of the caller; NULL: not to be had, or not this system */
	bool real;		    /* it is this system */
};

/* The process's tree. L(machine_lock) */
static pthread_mutex_t machine_lock = PTHREAD_MUTEX_INITIALIZER;
static hwloc_topology_t machine;
static char *machine_synthetic; /* HWLOC_SYNTHETIC at the load */

static void binding_free(struct rota__binding *binding)
{
	if (!binding)
		return;
	if (binding->mask)
		CPU_FREE(binding->mask);
	free(binding);
}

/* The kernel refuses a mask that is shorter than its own, without saying how long that is. */
static int binding_read(struct rota__binding **ret_binding)
{
	enum { CPUS_FIRST = 1024, CPUS_LAST = 1 << 20 };
	struct rota__binding *binding = calloc(1, sizeof(*binding));
	int err = ENOMEM;

	if (!binding)
		return -err;
	for (size_t cpus = CPUS_FIRST; cpus <= CPUS_LAST; cpus *= 2) {
		binding->bytes = CPU_ALLOC_SIZE(cpus);
		binding->mask = CPU_ALLOC(cpus);
		if (!binding->mask) {
			err = ENOMEM;
			break;
		}
		if (!sched_getaffinity(0, binding->bytes, binding->mask)) {
			*ret_binding = binding;
			return 0;
		}
		err = errno;
		if (err != EINVAL)
			break;
		CPU_FREE(binding->mask);
		binding->mask = NULL;
	}
	binding_free(binding);
	return -err;
}

static int binding_apply(const struct rota__binding *binding)
{
	int saved_errno = errno;
	int err = sched_setaffinity(0, binding->bytes, binding->mask) ? -errno : 0;

	errno = saved_errno;
	return err;
}

static int machine_load(const char *synthetic)
{
	hwloc_topology_t fresh;
	char *copy = NULL;
	int err;

	errno = 0;
	if (synthetic) {
		copy = strdup(synthetic);
		if (!copy)
			return -ENOMEM;
	}
	if (hwloc_topology_init(&fresh))
		goto err_copy;
	/* Its x86 part would walk the calling thread over all CPUs. The rest is not looked at. */
	if (hwloc_topology_set_flags(fresh,
		    HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING | HWLOC_TOPOLOGY_FLAG_NO_DISTANCES |
			    HWLOC_TOPOLOGY_FLAG_NO_MEMATTRS | HWLOC_TOPOLOGY_FLAG_NO_CPUKINDS) ||
		hwloc_topology_set_io_types_filter(fresh, HWLOC_TYPE_FILTER_KEEP_NONE) ||
		hwloc_topology_set_type_filter(
			fresh, HWLOC_OBJ_MISC, HWLOC_TYPE_FILTER_KEEP_NONE) ||
		hwloc_topology_load(fresh))
		goto err_fresh;
	if (machine)
		hwloc_topology_destroy(machine);
	free(machine_synthetic);
	machine = fresh;
	machine_synthetic = copy;
	return 0;

err_fresh:
	err = errno;
	hwloc_topology_destroy(fresh);
	errno = err;
err_copy:
	free(copy);
	return errno ? -errno : -EIO;
}

static bool machine_is_loaded(const char *synthetic)
{
	if (!machine || !synthetic != !machine_synthetic)
		return false;
	return !synthetic || !strcmp(synthetic, machine_synthetic);
}

static int ancestor(hwloc_obj_t pu, hwloc_obj_type_t type)
{
	hwloc_obj_t obj = hwloc_get_ancestor_obj_by_type(machine, type, pu);

	return obj ? (int)obj->logical_index : -1;
}

/*
 * The NUMA node that hangs lowest above the CPU. Its nodeset would also name those of the whole
 * machine (CXL memory, for one), and with that every two CPUs would share a node.
 */
static int nearest_node(hwloc_obj_t pu)
{
	hwloc_obj_t obj = pu;

	while (obj && !obj->memory_first_child)
		obj = obj->parent;
	while (obj && obj->type != HWLOC_OBJ_NUMANODE)
		obj = obj->memory_first_child;
	return obj ? (int)obj->logical_index : -1;
}

/* Fills place[] with the CPUs that the mask (NULL: any) has, in the order of the machine. */
static unsigned int collect(const struct rota__binding *mask, struct place *place)
{
	hwloc_const_cpuset_t allowed = hwloc_topology_get_allowed_cpuset(machine);
	hwloc_obj_t pu = NULL;
	unsigned int n = 0;

	while ((pu = hwloc_get_next_obj_by_type(machine, HWLOC_OBJ_PU, pu))) {
		if (!hwloc_bitmap_isset(allowed, pu->os_index))
			continue;
		if (mask && !CPU_ISSET_S((size_t)pu->os_index, mask->bytes, mask->mask))
			continue;
		place[n] = (struct place){
			.cpu = (int)pu->os_index,
			.core = ancestor(pu, HWLOC_OBJ_CORE),
			.l2 = ancestor(pu, HWLOC_OBJ_L2CACHE),
			.l3 = ancestor(pu, HWLOC_OBJ_L3CACHE),
			.node = nearest_node(pu),
		};
		/* CPUs of a core follow each other. */
		if (n && place[n].core >= 0 && place[n].core == place[n - 1].core)
			place[n].rank = place[n - 1].rank + 1;
		n++;
	}
	return n;
}

/* Without a mask (seccomp, say) hwloc's word has to do; but then binding would fail too. */
static int machine_read(struct found *ret_found)
{
	struct found found = { .real = hwloc_topology_is_thissystem(machine) };
	int count = hwloc_get_nbobjs_by_type(machine, HWLOC_OBJ_PU);

	if (found.real && binding_read(&found.mask) == -ENOMEM)
		return -ENOMEM;
	found.place = calloc(count > 0 ? (size_t)count : 1, sizeof(*found.place));
	if (!found.place) {
		binding_free(found.mask);
		return -ENOMEM;
	}
	found.count = count > 0 ? collect(found.mask, found.place) : 0;
	*ret_found = found;
	return 0;
}

static void found_finish(struct found *found)
{
	binding_free(found->mask);
	free(found->place);
}

/*
 * Loads the tree if there is none for this HWLOC_SYNTHETIC, and again if no CPU is left: the cpuset
 * of the process may have been changed since.
 */
static int machine_find(struct found *ret_found)
{
	const char *synthetic = getenv("HWLOC_SYNTHETIC");
	bool cached = machine_is_loaded(synthetic);
	int err = cached ? 0 : machine_load(synthetic);

	if (!err)
		err = machine_read(ret_found);
	if (err || ret_found->count || !cached)
		return err;
	err = machine_load(synthetic);
	if (err)
		return 0;
	found_finish(ret_found);
	*ret_found = (struct found){ 0 };
	return machine_read(ret_found);
}

static int find_places(struct found *ret_found)
{
	int err;

	pthread_mutex_lock(&machine_lock);
	err = machine_find(ret_found);
	pthread_mutex_unlock(&machine_lock);
	if (err || ret_found->count)
		return err;

	/* A machine that is described wrongly still runs: on one CPU that we cannot name. */
	ret_found->place[0] = (struct place){ -1, -1, -1, -1, -1, 0 };
	ret_found->count = 1;
	binding_free(ret_found->mask);
	ret_found->mask = NULL;
	return 0;
}

static enum rota__near distance(const struct place *a, const struct place *b)
{
	if (a->cpu == b->cpu || (a->core >= 0 && a->core == b->core))
		return ROTA__NEAR_SMT;
	if (a->l2 >= 0 && a->l2 == b->l2)
		return ROTA__NEAR_L2;
	if (a->l3 >= 0 && a->l3 == b->l3)
		return ROTA__NEAR_L3;
	if (a->node >= 0 && a->node == b->node)
		return ROTA__NEAR_NODE;
	return ROTA__NEAR_MACHINE;
}

/* Keeps `want` of the places, the first CPUs of all cores before the second ones. */
static void choose(struct place *place, unsigned int count, unsigned int want)
{
	unsigned int left = want, kept = 0;
	int last_rank = -1; /* all up to here are wanted, and `partly` of the next */
	unsigned int partly = 0;

	for (int rank = 0; left; rank++) {
		unsigned int here = 0;

		for (unsigned int i = 0; i < count; i++)
			here += place[i].rank == rank;
		if (here > left) {
			partly = left;
			break;
		}
		left -= here;
		last_rank = rank;
	}
	for (unsigned int i = 0; i < count; i++) {
		bool keep = place[i].rank <= last_rank;

		if (!keep && partly && place[i].rank == last_rank + 1) {
			keep = true;
			partly--;
		}
		if (keep)
			place[kept++] = place[i];
	}
	assert(kept == want);
}

/*
 * Those at the same distance are in the order of their numbers, rotated by the number of the one
 * who steals: neighbours then begin with different victims also in a far part of the machine.
 */
static void fill_order(struct rota__topology *t, unsigned int loop)
{
	uint16_t *row = t->order + (size_t)loop * (t->loops - 1);
	unsigned int size[NEAR_COUNT] = { 0 };
	unsigned int base[NEAR_COUNT], seen[NEAR_COUNT] = { 0 };

	for (unsigned int i = 0; i < t->loops; i++)
		if (i != loop)
			size[distance(&t->place[loop], &t->place[i])]++;
	base[0] = 0;
	for (unsigned int d = 1; d < NEAR_COUNT; d++)
		base[d] = base[d - 1] + size[d - 1];
	for (unsigned int i = 0; i < t->loops; i++) {
		if (i == loop)
			continue;

		unsigned int d = distance(&t->place[loop], &t->place[i]);

		row[base[d] + (seen[d]++ + size[d] - loop % size[d]) % size[d]] = (uint16_t)i;
	}
}

/* Distinct numbers of one kind; equal ones follow each other, in the order of the machine. */
static unsigned int count_kind(const struct rota__topology *t, size_t offset)
{
	unsigned int n = 0;
	int last = -1;

	for (unsigned int i = 0; i < t->cpus; i++) {
		int id;

		memcpy(&id, (const char *)&t->place[i] + offset, sizeof(id));
		n += id >= 0 && id != last;
		last = id;
	}
	return n;
}

static void describe(struct rota__topology *t)
{
	char quota[32] = "";

	if (t->quota)
		snprintf(quota, sizeof(quota), "; cgroup quota %d", t->quota);
	snprintf(t->text, sizeof(t->text),
		"%u loop%s on %u of %u CPU%s: cores %u, L2 %u, L3 %u, NUMA nodes %u%s%s", t->loops,
		t->loops == 1 ? "" : "s", t->cpus, t->cpus_allowed, t->cpus_allowed == 1 ? "" : "s",
		count_kind(t, offsetof(struct place, core)),
		count_kind(t, offsetof(struct place, l2)),
		count_kind(t, offsetof(struct place, l3)),
		count_kind(t, offsetof(struct place, node)), quota, t->home ? "" : "; not bound");
}

/* Lays t->loops loops on the CPUs found, works out who steals from whom, and takes the mask. */
static int lay_out(struct rota__topology *t, struct found *found)
{
	t->cpus_allowed = found->count;
	t->cpus = t->loops < found->count ? t->loops : found->count;
	t->place = calloc(t->loops, sizeof(*t->place));
	t->order = calloc((size_t)t->loops * t->loops, sizeof(*t->order));
	if (!t->place || !t->order)
		return -ENOMEM;
	t->home = found->mask;
	found->mask = NULL;
	choose(found->place, found->count, t->cpus);
	for (unsigned int i = 0; i < t->loops; i++)
		t->place[i] = found->place[i % t->cpus];
	for (unsigned int i = 0; i < t->loops; i++)
		fill_order(t, i);
	describe(t);
	return 0;
}

static unsigned int default_loops(unsigned int cpus, int quota)
{
	if (quota > 0 && (unsigned int)quota < cpus)
		cpus = (unsigned int)quota;
	return cpus < ROTA__LOOPS_MAX ? cpus : ROTA__LOOPS_MAX;
}

int rota__topology_open_below(
	const char *root, uint32_t want_loops, struct rota__topology **ret_topology)
{
	int saved_errno = errno;
	struct found found = { 0 };
	struct rota__topology *t;
	int err;

	if (want_loops > ROTA__LOOPS_MAX)
		return -E2BIG;
	err = find_places(&found);
	if (err)
		goto out;
	t = calloc(1, sizeof(*t));
	if (!t) {
		err = -ENOMEM;
		goto out_found;
	}
	if (!want_loops && found.real)
		t->quota = rota__cgroup_cpus_below(root);
	t->loops = want_loops ? want_loops : default_loops(found.count, t->quota);
	err = lay_out(t, &found);
	if (err)
		rota__topology_close(t);
	else
		*ret_topology = t;
out_found:
	found_finish(&found);
out:
	errno = saved_errno;
	return err;
}

int rota__topology_open(uint32_t want_loops, struct rota__topology **ret_topology)
{
	return rota__topology_open_below("", want_loops, ret_topology);
}

void rota__topology_close(struct rota__topology *topology)
{
	if (!topology)
		return;
	binding_free(topology->home);
	free(topology->order);
	free(topology->place);
	free(topology);
}

unsigned int rota__topology_loops(const struct rota__topology *topology)
{
	return topology->loops;
}

int rota__topology_cpu(const struct rota__topology *topology, unsigned int loop)
{
	assert(loop < topology->loops);
	return topology->place[loop].cpu;
}

const uint16_t *rota__topology_order(const struct rota__topology *topology, unsigned int loop)
{
	assert(loop < topology->loops);
	return topology->order + (size_t)loop * (topology->loops - 1);
}

unsigned int rota__topology_distance(
	const struct rota__topology *topology, unsigned int a, unsigned int b)
{
	assert(a < topology->loops && b < topology->loops);
	return distance(&topology->place[a], &topology->place[b]);
}

int rota__topology_bind(const struct rota__topology *topology, unsigned int loop)
{
	struct rota__binding one;
	int saved_errno = errno;
	int err;

	assert(loop < topology->loops);
	if (!topology->home)
		return 0;

	/* A mask as long as the opener's holds any CPU that came out of that one. */
	one.bytes = topology->home->bytes;
	one.mask = CPU_ALLOC(one.bytes * 8);
	if (!one.mask) {
		errno = saved_errno;
		return -ENOMEM;
	}
	CPU_ZERO_S(one.bytes, one.mask);
	CPU_SET_S((size_t)topology->place[loop].cpu, one.bytes, one.mask);
	err = binding_apply(&one);
	CPU_FREE(one.mask);
	return err;
}

int rota__topology_unbind(const struct rota__topology *topology)
{
	return topology->home ? binding_apply(topology->home) : 0;
}

int rota__topology_save_binding(
	const struct rota__topology *topology, struct rota__binding **ret_binding)
{
	int saved_errno = errno;
	int err = 0;

	if (topology->home)
		err = binding_read(ret_binding);
	else
		*ret_binding = NULL;
	errno = saved_errno;
	return err;
}

int rota__topology_restore_binding(struct rota__binding *binding)
{
	int err = binding ? binding_apply(binding) : 0;

	binding_free(binding);
	return err;
}

const char *rota__topology_text(const struct rota__topology *topology)
{
	return topology->text;
}
