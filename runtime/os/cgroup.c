/* SPDX-License-Identifier: MIT */
/*
 * Reads the CPU quota: where the process is comes from /proc/self/cgroup, where that can be looked
 * at from /proc/self/mountinfo. Everything read is taken as text that may be garbage, and garbage
 * means no quota: a wrong number of loops must not follow from a strange container.
 *
 * Formats: cgroups(7), proc(5) and the kernel's Documentation/admin-guide/cgroup-v2.rst.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/cgroup.h"

/* The paths of the process in the two hierarchies that can have a CPU quota. NULL: not in it. */
struct membership {
	char *v1;
	char *v2;
};

/* What one line of mountinfo says, as pointers into that line. */
struct mount {
	char *root;  /* which directory of the hierarchy is mounted */
	char *point; /* where */
	const char *type;
	const char *options;
};

typedef int limit_fn(const char *dir);

/* 0 stands for no limit. */
static int tighter(int a, int b)
{
	if (!a || !b)
		return a ? a : b;
	return a < b ? a : b;
}

/* strtoull() would take signs, leading blanks and a wrapped value. */
static bool take_number(const char **text, uint64_t *ret_value)
{
	const char *p = *text;
	uint64_t value = 0;

	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(value, 10u, &value) ||
			__builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return false;
	}
	if (p == *text || (*p && *p != ' ' && *p != '\n'))
		return false;
	*text = p;
	*ret_value = value;
	return true;
}

static int cpus_of(uint64_t quota, uint64_t period)
{
	if (!quota || !period)
		return 0;

	uint64_t cpus = quota / period + (quota % period != 0);

	return cpus > INT_MAX ? INT_MAX : (int)cpus;
}

/* Reads a file of one short line as a string. False when it is absent or not short. */
static bool read_short(const char *dir, const char *name, char *buf, size_t size)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s", dir, name);

	if (n < 0 || (size_t)n >= sizeof(path))
		return false;

	/* What a garbled path leads to may be a pipe without a writer. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return false;

	ssize_t got = read(fd, buf, size);

	close(fd);
	if (got < 0 || (size_t)got >= size)
		return false;
	buf[got] = '\0';
	return true;
}

/* cpu.max is "QUOTA PERIOD" or "max PERIOD"; the root of the hierarchy does not have it. */
static int limit_v2(const char *dir)
{
	char buf[64];
	const char *p = buf;
	uint64_t quota, period;

	if (!read_short(dir, "cpu.max", buf, sizeof(buf)) || !take_number(&p, &quota))
		return 0;
	if (*p != ' ')
		return 0;
	p++;
	return take_number(&p, &period) ? cpus_of(quota, period) : 0;
}

/* No limit is a quota of -1, which is not a number here. */
static int limit_v1(const char *dir)
{
	char quota_buf[64], period_buf[64];
	const char *p = quota_buf, *q = period_buf;
	uint64_t quota, period;

	if (!read_short(dir, "cpu.cfs_quota_us", quota_buf, sizeof(quota_buf)) ||
		!read_short(dir, "cpu.cfs_period_us", period_buf, sizeof(period_buf)))
		return 0;
	return take_number(&p, &quota) && take_number(&q, &period) ? cpus_of(quota, period) : 0;
}

/* The limits of a directory and of those above it, which bind it too, down to a length of top. */
static int tightest_upwards(char *dir, size_t top, limit_fn *limit)
{
	int cpus = limit(dir);

	while (strlen(dir) > top) {
		*strrchr(dir, '/') = '\0';
		cpus = tighter(cpus, limit(dir));
	}
	return cpus;
}

static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = list; *p; p += strspn(p, ",\n")) {
		size_t n = strcspn(p, ",\n");

		if (n == len && !memcmp(p, word, len))
			return true;
		p += n;
	}
	return false;
}

/* mountinfo writes blanks, newlines and backslashes of a path as \ooo. */
static void unescape(char *path)
{
	char *out = path;

	for (const char *p = path; *p; out++) {
		unsigned int value = 0;
		int i = 0;

		if (*p == '\\')
			for (i = 1; i < 4 && p[i] >= '0' && p[i] <= '7'; i++)
				value = value * 8 + (unsigned int)(p[i] - '0');
		if (i == 4 && value && value <= UCHAR_MAX) {
			*out = (char)value;
			p += 4;
		} else {
			*out = *p++;
		}
	}
	*out = '\0';
}

/* Lines are "ID PARENT DEV ROOT POINT OPTIONS [TAGS...] - TYPE SOURCE SUPER_OPTIONS". */
static bool parse_mount(char *line, struct mount *ret_mount)
{
	enum { ROOT = 3, POINT = 4, BEFORE_TAGS = 6 };
	char *field[BEFORE_TAGS];
	char *tag, *type, *source;

	line[strcspn(line, "\n")] = '\0';
	for (int i = 0; i < BEFORE_TAGS; i++) {
		field[i] = strsep(&line, " ");
		if (!field[i])
			return false;
	}
	do
		tag = strsep(&line, " ");
	while (tag && strcmp(tag, "-") != 0);
	type = strsep(&line, " ");
	source = strsep(&line, " ");
	if (!tag || !type || !source || !line || *field[ROOT] != '/' || *field[POINT] != '/')
		return false;
	unescape(field[ROOT]);
	unescape(field[POINT]);
	*ret_mount = (struct mount){
		.root = field[ROOT],
		.point = field[POINT],
		.type = type,
		.options = line,
	};
	return true;
}

static void replace(char **text, const char *by)
{
	free(*text);
	*text = strdup(by);
}

/* Lines are "ID:CONTROLLERS:PATH"; version 2 is ID 0 without controllers. */
static void parse_membership(char *line, struct membership *m)
{
	line[strcspn(line, "\n")] = '\0';

	const char *id = strsep(&line, ":");
	const char *controllers = strsep(&line, ":");

	if (!controllers || !line || *line != '/')
		return;
	if (!strcmp(id, "0") && !*controllers)
		replace(&m->v2, line);
	else if (has_word(controllers, "cpu"))
		replace(&m->v1, line);
}

/* "/..", "/../..": seen from a cgroup namespace, something above its root is mounted. */
static bool only_upwards(const char *path)
{
	while (!strncmp(path, "/..", 3))
		path += 3;
	return !*path;
}

/*
 * Where below a mount's point the cgroup `path` is: "" for the point itself. False when the mount
 * does not show it. A container without a cgroup namespace has the host's path in both, one with a
 * namespace "/" in both. Of what is mounted from above a namespace only the top is known to lie on
 * the way up from here.
 */
static bool path_in_mount(const char *path, const char *mount_root, const char **ret_rest)
{
	size_t len = strcmp(mount_root, "/") ? strlen(mount_root) : 0;
	const char *rest = path + len;

	if (strncmp(path, mount_root, len) != 0 || (*rest && *rest != '/')) {
		*ret_rest = "";
		return only_upwards(mount_root);
	}
	/* "/../x" without such a mount: a cgroup outside of the namespace, which is not mounted. */
	if (!strncmp(rest, "/..", 3) && (!rest[3] || rest[3] == '/'))
		return false;
	*ret_rest = strcmp(rest, "/") ? rest : "";
	return true;
}

static int mount_cpus(const char *root, const struct mount *mount, const struct membership *m)
{
	bool v2 = !strcmp(mount->type, "cgroup2");
	bool v1 = !strcmp(mount->type, "cgroup") && has_word(mount->options, "cpu");
	const char *path = v2 ? m->v2 : v1 ? m->v1 : NULL;
	const char *rest;
	char *dir;

	if (!path || !path_in_mount(path, mount->root, &rest))
		return 0;
	if (asprintf(&dir, "%s%s%s", root, mount->point, rest) < 0)
		return 0;

	int cpus = tightest_upwards(
		dir, strlen(root) + strlen(mount->point), v2 ? limit_v2 : limit_v1);

	free(dir);
	return cpus;
}

static FILE *open_below(const char *root, const char *name)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s%s", root, name);

	return n < 0 || (size_t)n >= sizeof(path) ? NULL : fopen(path, "re");
}

int rota__cgroup_cpus_below(const char *root)
{
	int saved_errno = errno;
	struct membership m = { NULL, NULL };
	struct mount mount;
	char *line = NULL;
	size_t size = 0;
	int cpus = 0;
	FILE *file = open_below(root, "/proc/self/cgroup");

	if (file) {
		while (getline(&line, &size, file) >= 0)
			parse_membership(line, &m);
		fclose(file);
	}
	/* Every mount that shows the process counts: in a hybrid set-up only one has the quota. */
	file = m.v1 || m.v2 ? open_below(root, "/proc/self/mountinfo") : NULL;
	if (file) {
		while (getline(&line, &size, file) >= 0)
			if (parse_mount(line, &mount))
				cpus = tighter(cpus, mount_cpus(root, &mount, &m));
		fclose(file);
	}
	free(line);
	free(m.v1);
	free(m.v2);
	errno = saved_errno;
	return cpus;
}

int rota__cgroup_cpus(void)
{
	return rota__cgroup_cpus_below("");
}
