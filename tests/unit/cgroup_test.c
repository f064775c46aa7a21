/* SPDX-License-Identifier: MIT */
/*
 * The CPU quota of cgroups, against made-up trees in a temporary directory. Knows os/cgroup.h only.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <criterion/criterion.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "os/cgroup.h"

#define MOUNT_V2 "30 25 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"
#define MOUNT_V1 "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"

static char root[] = "/tmp/rota-cgroup-XXXXXX";

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void setup(void)
{
	cr_assert_not_null(mkdtemp(root));
}

static void teardown(void)
{
	nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void put_bytes(const char *name, const void *bytes, size_t len)
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s%s", root, name);
	for (char *p = strchr(path + sizeof(root), '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		cr_assert(!mkdir(path, 0700) || errno == EEXIST);
		*p = '/';
	}
	file = fopen(path, "w");
	cr_assert_not_null(file);
	cr_assert_eq(fwrite(bytes, 1, len, file), len);
	fclose(file);
}

static void put(const char *name, const char *text)
{
	put_bytes(name, text, strlen(text));
}

static void put_process(const char *membership, const char *mounts)
{
	put("/proc/self/cgroup", membership);
	put("/proc/self/mountinfo", mounts);
}

static int cpus(void)
{
	return rota__cgroup_cpus_below(root);
}

TestSuite(cgroup, .init = setup, .fini = teardown);

Test(cgroup, nothing_to_read_means_no_quota)
{
	cr_expect_eq(cpus(), 0);
	put_process("", "");
	cr_expect_eq(cpus(), 0);
}

Test(cgroup, this_system_gives_a_plausible_answer)
{
	cr_expect_geq(rota__cgroup_cpus(), 0);
}

Test(cgroup, v2_quota_is_rounded_up)
{
	put_process("0::/\n", MOUNT_V2);
	put("/sys/fs/cgroup/cpu.max", "150000 100000\n");
	cr_expect_eq(cpus(), 2);
	put("/sys/fs/cgroup/cpu.max", "200000 100000\n");
	cr_expect_eq(cpus(), 2);
	put("/sys/fs/cgroup/cpu.max", "200001 100000\n");
	cr_expect_eq(cpus(), 3);
	put("/sys/fs/cgroup/cpu.max", "1000 100000\n");
	cr_expect_eq(cpus(), 1);
}

Test(cgroup, v2_max_means_no_quota)
{
	put_process("0::/\n", MOUNT_V2);
	put("/sys/fs/cgroup/cpu.max", "max 100000\n");
	cr_expect_eq(cpus(), 0);
}

Test(cgroup, v2_smallest_of_the_ancestors_counts)
{
	put_process("0::/a/b/c\n", MOUNT_V2);
	put("/sys/fs/cgroup/a/b/c/cpu.max", "800000 100000\n");
	cr_expect_eq(cpus(), 8);
	put("/sys/fs/cgroup/a/cpu.max", "300000 100000\n");
	cr_expect_eq(cpus(), 3);
	put("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
	cr_expect_eq(cpus(), 3);
	put("/sys/fs/cgroup/cpu.max", "500000 100000\n");
	cr_expect_eq(cpus(), 3);
	put("/sys/fs/cgroup/a/b/c/cpu.max", "100000 100000\n");
	cr_expect_eq(cpus(), 1);
}

Test(cgroup, siblings_and_what_lies_above_the_mount_do_not_count)
{
	put_process("0::/a\n", MOUNT_V2);
	put("/sys/fs/cgroup/b/cpu.max", "100000 100000\n");
	put("/sys/fs/cpu.max", "100000 100000\n");
	put("/cpu.max", "100000 100000\n");
	cr_expect_eq(cpus(), 0);
}

Test(cgroup, a_removed_cgroup_still_has_ancestors)
{
	put_process("0::/a/gone (deleted)\n", MOUNT_V2);
	put("/sys/fs/cgroup/a/cpu.max", "400000 100000\n");
	cr_expect_eq(cpus(), 4);
}

Test(cgroup, v1_quota_is_rounded_up)
{
	put_process("4:memory:/m\n3:cpu,cpuacct:/a\n1:name=systemd:/s\n", MOUNT_V1);
	put("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "250000\n");
	cr_expect_eq(cpus(), 0, "a quota without its period");
	put("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
	cr_expect_eq(cpus(), 3);
	put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n");
	put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
	cr_expect_eq(cpus(), 2);
}

Test(cgroup, v1_minus_one_means_no_quota)
{
	put_process("3:cpu:/\n", MOUNT_V1);
	put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
	put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
	cr_expect_eq(cpus(), 0);
}

Test(cgroup, v1_hierarchies_with_similar_names_do_not_count)
{
	put_process("3:cpuset:/\n2:cpuacct:/\n1:name=cpu:/\n",
		"32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpuset,cpuacct,name=cpu\n");
	put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n");
	put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
	cr_expect_eq(cpus(), 0);
}

Test(cgroup, hybrid_takes_the_one_that_has_a_quota)
{
	put_process("1:cpu:/a\n0::/b\n",
		MOUNT_V1 "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
	put("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "300000\n");
	put("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
	cr_expect_eq(cpus(), 3);
	put("/sys/fs/cgroup/unified/b/cpu.max", "200000 100000\n");
	cr_expect_eq(cpus(), 2);
}

Test(cgroup, container_without_namespace_sees_the_host_path_in_both)
{
	put_process("0::/docker/abc/sub\n",
		"30 25 0:27 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
	put("/sys/fs/cgroup/sub/cpu.max", "max 100000\n");
	put("/sys/fs/cgroup/cpu.max", "600000 100000\n");
	cr_expect_eq(cpus(), 6);
}

Test(cgroup, a_mount_of_another_cgroup_does_not_count)
{
	put("/sys/fs/cgroup/cpu.max", "100000 100000\n");
	put("/sys/fs/cgroupdef/cpu.max", "100000 100000\n");
	put_process("0::/docker/abcdef\n",
		"30 25 0:27 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
	cr_expect_eq(cpus(), 0);
	put_process("0::/\n", "30 25 0:27 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
	cr_expect_eq(cpus(), 0);
	put_process("0::/../other\n", MOUNT_V2);
	cr_expect_eq(cpus(), 0);
}

Test(cgroup, a_mount_from_above_the_namespace_counts_at_its_top)
{
	put_process("0::/a\n", "30 25 0:27 /../.. /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
	put("/sys/fs/cgroup/cpu.max", "700000 100000\n");
	put("/sys/fs/cgroup/a/cpu.max", "100000 100000\n");
	cr_expect_eq(cpus(), 7);
}

Test(cgroup, blanks_in_paths_are_unescaped)
{
	put_process("0::/my group:x\n",
		"30 25 0:27 / /mnt/c\\040g\\134 rw master:1 propagate_from:2 - cgroup2  rw\n");
	put("/mnt/c g\\/my group:x/cpu.max", "500000 100000\n");
	cr_expect_eq(cpus(), 5);
}

Test(cgroup, a_hierarchy_mounted_at_the_root_directory)
{
	put_process("0::/a\n", "30 25 0:27 / / rw - cgroup2 none rw\n");
	put("/a/cpu.max", "900000 100000\n");
	put("/cpu.max", "400000 100000\n");
	cr_expect_eq(cpus(), 4);
}

Test(cgroup, garbage_in_the_quota_means_no_quota)
{
	static const char *const garbage[] = { "", "\n", " ", "100000", "100000\n", "100000 ",
		"100000  100000", "0 100000", "100000 0", "-5 100000", "+5 1", "100000 -1",
		"99999999999999999999999 1", "1 99999999999999999999999", "0x10 1", "1e9 1", "max",
		"1.5 1", "100000 100000x", "100000,100000",
		"1000000000000000000000000000000000000000000000000000000000000000000000000 1" };

	put_process("0::/\n", MOUNT_V2);
	for (size_t i = 0; i < ARRAY_SIZE(garbage); i++) {
		put("/sys/fs/cgroup/cpu.max", garbage[i]);
		cr_expect_eq(cpus(), 0, "\"%s\" gave %d", garbage[i], cpus());
	}
}

Test(cgroup, a_huge_quota_does_not_overflow)
{
	put_process("0::/\n", MOUNT_V2);
	put("/sys/fs/cgroup/cpu.max", "18446744073709551615 1\n");
	cr_expect_eq(cpus(), INT_MAX);
}

Test(cgroup, bad_lines_are_skipped_and_good_ones_found)
{
	put_process("\n:\n::\n0\n0:\n0::\n0::relative\nx::/no\n0:\n0::/a",
		"\n \n-\n - \n30 25 0:27 /\n30 25 0:27 / /x rw\n30 25 0:27 / /x rw -\n"
		"30 25 0:27 / /x rw - cgroup2\n30 25 0:27 / /x rw - cgroup2 c\n"
		"30 25 0:27 x /x rw - cgroup2 c rw\n30 25 0:27 / x rw - cgroup2 c rw\n" MOUNT_V2);
	put("/x/cpu.max", "100000 100000\n");
	put("/sys/fs/cgroup/a/cpu.max", "300000 100000\n");
	cr_expect_eq(cpus(), 3);
}

Test(cgroup, a_directory_in_place_of_a_file_means_no_quota)
{
	put_process("0::/\n", MOUNT_V2);
	put("/sys/fs/cgroup/cpu.max/x", "");
	cr_expect_eq(cpus(), 0);
}

Test(cgroup, a_path_that_is_too_long_leaves_its_ancestors)
{
	char line[3 * PATH_MAX];

	snprintf(line, sizeof(line), "0::/a/%0*d\n", 2 * PATH_MAX, 0);
	put_process(line, MOUNT_V2);
	put("/sys/fs/cgroup/a/cpu.max", "200000 100000\n");
	cr_expect_eq(cpus(), 2);
}

Test(cgroup, errno_is_untouched)
{
	put_process("0::/a/b\n", MOUNT_V2);
	errno = 77;
	cpus();
	cr_expect_eq(errno, 77);
}

/* Valid files with random bytes changed: nothing to expect but that it survives. */
Test(cgroup, survives_mutated_files)
{
	char membership[] = "3:cpu,cpuacct:/a/b\n0::/a/b\n";
	char mounts[] = MOUNT_V1 MOUNT_V2;
	unsigned int seed = 1;

	put("/sys/fs/cgroup/a/b/cpu.max", "100000 100000\n");
	for (int i = 0; i < 3000; i++) {
		char m[sizeof(membership)], n[sizeof(mounts)];

		memcpy(m, membership, sizeof(m));
		memcpy(n, mounts, sizeof(n));
		for (int k = rand_r(&seed) % 4; k >= 0; k--) {
			m[(size_t)rand_r(&seed) % sizeof(m)] = (char)rand_r(&seed);
			n[(size_t)rand_r(&seed) % sizeof(n)] = " -/\\:,0\n"[rand_r(&seed) % 8];
		}
		put_bytes("/proc/self/cgroup", m, sizeof(m));
		put_bytes("/proc/self/mountinfo", n, sizeof(n));
		cr_assert_geq(cpus(), 0);
	}
}
