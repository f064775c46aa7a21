/* SPDX-License-Identifier: MIT */
/*
 * The tree in plain C: one thread, one system call after another. This is what the other two are
 * measured against, so it is written as well as one would write it without the runtime.
 */
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "progress.h"

/* A directory that is still to be read. */
struct pending {
	struct pending *next;
	char *path;
};

struct walk {
	struct file_list list;
	struct hasher *hasher;
	struct pending *pending;
	uint64_t files;
	uint64_t bytes;
};

static int read_all(struct walk *walk, struct file *file, int fd)
{
	int status = hasher_begin(walk->hasher);

	while (status == 0) {
		ssize_t n = read(fd, walk->hasher->buffer, HASH_BUFFER_BYTES);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return hasher_end(walk->hasher, file->digest);
		status = hasher_add(walk->hasher, walk->hasher->buffer, (size_t)n);
		file->bytes += (uint64_t)n;
		walk->bytes += (uint64_t)n;
		progress_update(walk->files, walk->bytes);
	}
	return status;
}

static void hash_file(struct walk *walk, struct file *file)
{
	int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);

	if (fd < 0) {
		file->status = -errno;
		return;
	}
	file->status = read_all(walk, file, fd);
	close(fd);
	walk->files++;
}

static int push_directory(struct walk *walk, char *path)
{
	struct pending *pending = path ? malloc(sizeof(*pending)) : NULL;

	if (!pending) {
		free(path);
		return -ENOMEM;
	}
	*pending = (struct pending){ .next = walk->pending, .path = path };
	walk->pending = pending;
	return 0;
}

static int add_failure(struct walk *walk, const char *path, int status)
{
	struct file *file = file_list_add(&walk->list, path, NULL);

	if (!file)
		return -ENOMEM;
	file->status = status;
	return 0;
}

static int visit(struct walk *walk, DIR *dir, const char *path, const struct dirent *entry)
{
	unsigned char type = entry->d_type;
	struct file *file;
	struct stat stat;

	if (type == DT_UNKNOWN) {
		if (fstatat(dirfd(dir), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) < 0) {
			file = file_list_add(&walk->list, path, entry->d_name);
			if (file)
				file->status = -errno;
			return file ? 0 : -ENOMEM;
		}
		type = IFTODT(stat.st_mode);
	}
	switch (type) {
	case DT_REG:
		file = file_list_add(&walk->list, path, entry->d_name);
		if (!file)
			return -ENOMEM;
		hash_file(walk, file);
		return 0;
	case DT_DIR:
		return push_directory(walk, file_path_join(path, entry->d_name));
	case DT_LNK:
		walk->list.links++;
		return 0;
	default:
		walk->list.others++;
		return 0;
	}
}

static int walk_directory(struct walk *walk, const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	int status = 0;

	if (!dir) {
		status = add_failure(walk, path, -errno);
		if (fd >= 0)
			close(fd);
		return status;
	}
	walk->list.directories++;
	while (status == 0) {
		const struct dirent *entry;
		const char *name;

		errno = 0;
		entry = readdir(dir);
		if (!entry) {
			if (errno)
				status = add_failure(walk, path, -errno);
			break;
		}
		name = entry->d_name;
		if (name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2])))
			continue;
		status = visit(walk, dir, path, entry);
	}
	closedir(dir);
	return status;
}

static int walk_root(struct walk *walk, const char *path)
{
	struct file *file;
	struct stat stat;

	if (lstat(path, &stat) < 0) {
		int status = -errno;

		file = file_list_add(&walk->list, path, NULL);
		if (!file)
			return -ENOMEM;
		file->status = status;
		file->is_root = true;
		return 0;
	}
	if (S_ISDIR(stat.st_mode))
		return push_directory(walk, file_path_join(path, ""));
	if (S_ISREG(stat.st_mode)) {
		file = file_list_add(&walk->list, path, NULL);
		if (!file)
			return -ENOMEM;
		file->is_root = true;
		hash_file(walk, file);
	} else if (S_ISLNK(stat.st_mode)) {
		walk->list.links++;
	} else {
		walk->list.others++;
	}
	return 0;
}

int tree_pass_sync(
	const struct options *options, struct tree_pass *ret_pass, struct file_set *ret_set)
{
	struct walk walk = { .hasher = hasher_create() };
	int64_t start_ns = rota_now();
	int status = walk.hasher ? 0 : -ENOMEM;

	for (size_t i = 0; i < options->path_count && status == 0; i++) {
		status = walk_root(&walk, options->paths[i]);
		while (walk.pending) {
			struct pending *pending = walk.pending;

			walk.pending = pending->next;
			if (status == 0)
				status = walk_directory(&walk, pending->path);
			free(pending->path);
			free(pending);
		}
	}
	ret_pass->elapsed_ns = rota_now() - start_ns;
	hasher_destroy(walk.hasher);
	if (status == 0)
		return file_set_init(ret_set, &walk.list, 1);
	file_set_init(ret_set, &walk.list, 1);
	return status;
}
