/* SPDX-License-Identifier: MIT */
/* Reading directories. */
#include "unit.h"

#include <dirent.h>
#include <sys/stat.h>

TestSuite(dir, .timeout = HANG_SECONDS);

/* A directory with entries called e0, e1 …, each name padded to `bytes`. */
static void fill_dir(char *root, int entries, int bytes)
{
	int dir;

	EXPECT(mkdtemp(root) != NULL);
	dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < entries; i++) {
		char name[256];

		snprintf(name, sizeof(name), "e%0*d", bytes, i);
		EXPECT_EQ(mknodat(dir, name, S_IFREG | 0600, 0), 0);
	}
	close(dir);
}

static void remove_dir(const char *root, int entries, int bytes)
{
	int dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; i < entries; i++) {
		char name[256];

		snprintf(name, sizeof(name), "e%0*d", bytes, i);
		EXPECT_EQ(unlinkat(dir, name, 0), 0);
	}
	close(dir);
	EXPECT_EQ(rmdir(root), 0);
}

/* Each entry once, and nothing else. */
static void expect_entries(const char *root, int entries)
{
	static unsigned char seen[5000];
	const struct dirent *entry = NULL;
	struct rota_dir *dir = NULL;
	int count = 0;
	int n;

	memset(seen, 0, sizeof(seen));
	EXPECT_EQ(rota_dir_open(&dir, AT_FDCWD, root, 0), 0);
	while ((n = rota_dir_next(dir, &entry)) == 1) {
		int number = -1;

		EXPECT_EQ(sscanf(entry->d_name, "e%d", &number), 1);
		EXPECT(number >= 0 && number < entries && !seen[number]);
		if (number >= 0 && number < entries)
			seen[number] = 1;
		count++;
	}
	EXPECT_EQ(n, 0);
	EXPECT_EQ(count, entries);
	/* At the end it stays. */
	EXPECT_EQ(rota_dir_next(dir, &entry), 0);
	rota_dir_close(dir);
}

TASK_TEST(dir, entries_without_the_dots)
{
	char root[] = "/tmp/rota-dir-XXXXXX";

	fill_dir(root, 20, 1);
	expect_entries(root, 20);
	remove_dir(root, 20, 1);
}

TASK_TEST(dir, an_empty_one)
{
	char root[] = "/tmp/rota-dir-XXXXXX";

	fill_dir(root, 0, 1);
	expect_entries(root, 0);
	remove_dir(root, 0, 1);
}

TASK_TEST(dir, more_entries_than_one_buffer_holds)
{
	char root[] = "/tmp/rota-dir-XXXXXX";

	fill_dir(root, 1000, 200);
	expect_entries(root, 1000);
	remove_dir(root, 1000, 200);
}

TASK_TEST(dir, names_that_begin_with_a_dot_are_entries)
{
	char root[] = "/tmp/rota-dir-XXXXXX";
	static const char *const names[] = { ".hidden", "...", "..x", ".x" };
	const struct dirent *entry;
	struct rota_dir *dir = NULL;
	int count = 0;

	EXPECT(mkdtemp(root) != NULL);
	EXPECT_EQ(rota_dir_open(&dir, AT_FDCWD, root, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		EXPECT_EQ(mknodat(rota_dir_fd(dir), names[i], S_IFREG | 0600, 0), 0);
	while (rota_dir_next(dir, &entry) == 1)
		count++;
	EXPECT_EQ(count, ARRAY_SIZE(names));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		EXPECT_EQ(unlinkat(rota_dir_fd(dir), names[i], 0), 0);
	rota_dir_close(dir);
	EXPECT_EQ(rmdir(root), 0);
}

TASK_TEST(dir, its_descriptor_is_good_for_the_at_calls)
{
	struct rota_dir *dir = NULL;
	struct rota_dir *inner = NULL;
	struct statx st;
	int fd;

	EXPECT_EQ(rota_dir_open(&dir, AT_FDCWD, "/dev", 0), 0);
	EXPECT_EQ(fcntl(rota_dir_fd(dir), F_GETFD), FD_CLOEXEC);
	fd = rota_openat(rota_dir_fd(dir), "null", O_RDONLY, 0);
	EXPECT(fd >= 0);
	EXPECT_EQ(rota_close(fd), 0);
	EXPECT_EQ(rota_statx(rota_dir_fd(dir), "null", 0, STATX_TYPE, &st), 0);
	EXPECT_EQ(rota_dir_open(&inner, rota_dir_fd(dir), ".", 0), 0);
	rota_dir_close(inner);
	rota_dir_close(dir);
}

TASK_TEST(dir, errors_have_their_names)
{
	struct rota_dir *dir = NULL;

	EXPECT_EQ(rota_dir_open(&dir, AT_FDCWD, "/nonexistent", 0), -ENOENT);
	EXPECT_EQ(rota_dir_open(&dir, AT_FDCWD, "/dev/null", 0), -ENOTDIR);
	EXPECT_EQ(rota_dir_open(&dir, -1, "dir", 0), -EBADF);
	EXPECT(dir == NULL);
	rota_dir_close(NULL);
}

TASK_TEST(dir, nofollow_refuses_a_link)
{
	char root[] = "/tmp/rota-dir-XXXXXX";
	struct rota_dir *dir = NULL;
	char link[64];

	EXPECT(mkdtemp(root) != NULL);
	snprintf(link, sizeof(link), "%s/link", root);
	EXPECT_EQ(symlink("/dev", link), 0);
	EXPECT(rota_dir_open(&dir, AT_FDCWD, link, O_NOFOLLOW) < 0);
	EXPECT(dir == NULL);
	EXPECT_EQ(rota_dir_open(&dir, AT_FDCWD, link, 0), 0);
	rota_dir_close(dir);
	unlink(link);
	rmdir(root);
}

static int read_dev(void *arg)
{
	const struct dirent *entry;
	struct rota_dir *dir = NULL;
	int err = rota_dir_open(&dir, AT_FDCWD, "/dev", 0);

	(void)arg;
	if (err)
		return err;
	EXPECT_EQ(rota_sleep(ROTA_FOREVER), -ECANCELED);
	EXPECT_EQ(rota_dir_next(dir, &entry), -ECANCELED);
	rota_dir_close(dir);
	return 0;
}

TASK_TEST(dir, next_is_a_cancellation_point_and_close_is_not)
{
	struct rota_group group;
	struct rota_task *task;
	int before = dup(0);
	int after;

	close(before);
	rota_group_open(&group, NULL);
	task = spawn(&group, read_dev, NULL);
	/* Suspended in the open first, then in the sleep. */
	for (int i = 0; i < 100; i++)
		EXPECT_EQ(rota_sleep(10 * ROTA_MICROSECOND), 0);
	rota_task_cancel(task, NULL);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	after = dup(0);
	close(after);
	EXPECT_EQ(after, before);
}

/* Deleting while reading: it ends, and never says the same entry twice. */
TASK_TEST(dir, may_shrink_while_it_is_read)
{
	char root[] = "/tmp/rota-dir-XXXXXX";
	const struct dirent *entry;
	struct rota_dir *dir = NULL;

	fill_dir(root, 600, 200);
	EXPECT_EQ(rota_dir_open(&dir, AT_FDCWD, root, 0), 0);
	while (rota_dir_next(dir, &entry) == 1)
		EXPECT_EQ(unlinkat(rota_dir_fd(dir), entry->d_name, 0), 0);
	rota_dir_close(dir);
	expect_entries(root, 0);
	EXPECT_EQ(rmdir(root), 0);
}
