/* SPDX-License-Identifier: MIT */
/*
 * The task that reads directories. As many walk at once as their group's limit allows; beyond it a
 * walker keeps what it finds in a list of its own, so that neither the stack nor the number of open
 * directories grows with the depth of the tree.
 */
#include "pass.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

/* One walker. */
struct walker {
	struct pass *pass;
	struct pass_loop *here;
	struct pending *pending;
	struct meter_task meter;
};

static int add_failure(struct pass_loop *here, const char *dir, const char *name, int status)
{
	struct file *file = file_list_add(&here->list, dir, name);

	if (!file)
		return -ENOMEM;
	file->status = status;
	return 0;
}

static int spawn_hash(struct pass *pass, struct meter_task *meter, struct file *file)
{
	int status;

	if (!file)
		return -ENOMEM;
	file->pass = pass;
	meter_pause(meter);
	/* At the limit this waits: no more files are found than can be hashed. */
	status = rota_group_spawn(&pass->hashing, pass_hash, file);
	meter_resume(meter);
	if (status < 0)
		file->status = status;
	return status;
}

/* Takes path, whatever it returns. */
static struct pending *new_pending(struct pass *pass, char *path)
{
	struct pending *pending = path ? malloc(sizeof(*pending)) : NULL;

	if (pending)
		*pending = (struct pending){ .pass = pass, .path = path };
	else
		free(path);
	return pending;
}

static void free_pending(struct pending *pending)
{
	free(pending->path);
	free(pending);
}

/* Gives a directory to a new walker, or keeps it if there are enough of them. */
static int spawn_walk(struct walker *walker, char *path)
{
	struct pending *pending = new_pending(walker->pass, path);
	int status;

	if (!pending)
		return -ENOMEM;
	meter_pause(&walker->meter);
	status = rota_group_spawn(&walker->pass->walking, pass_walk, pending);
	meter_resume(&walker->meter);
	if (status == -EAGAIN) {
		pending->next = walker->pending;
		walker->pending = pending;
		return 0;
	}
	if (status < 0)
		free_pending(pending);
	return status;
}

/* The type of an entry that the file system did not tell. Returns DT_* or a negative errno. */
static int ask_type(struct walker *walker, struct rota_dir *dir, const char *name)
{
	struct statx stat;
	int status;

	meter_pause(&walker->meter);
	status = rota_statx(rota_dir_fd(dir), name, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &stat);
	meter_resume(&walker->meter);
	return status < 0 ? status : (int)IFTODT(stat.stx_mode);
}

static int visit(
	struct walker *walker, struct rota_dir *dir, const char *path, const struct dirent *entry)
{
	struct pass_loop *here = walker->here;
	int type = entry->d_type;

	if (type == DT_UNKNOWN)
		type = ask_type(walker, dir, entry->d_name);
	if (type < 0)
		return add_failure(here, path, entry->d_name, type);
	switch (type) {
	case DT_REG:
		return spawn_hash(walker->pass, &walker->meter,
			file_list_add(&here->list, path, entry->d_name));
	case DT_DIR:
		return spawn_walk(walker, file_path_join(path, entry->d_name));
	case DT_LNK:
		here->list.links++;
		return 0;
	default:
		here->list.others++;
		return 0;
	}
}

static int walk_directory(struct walker *walker, const char *path)
{
	struct rota_dir *dir;
	int status;

	meter_pause(&walker->meter);
	status = rota_dir_open(&dir, AT_FDCWD, path, O_NOFOLLOW);
	meter_resume(&walker->meter);
	if (status < 0)
		return add_failure(walker->here, path, NULL, status);
	walker->here->list.directories++;
	while (status >= 0) {
		const struct dirent *entry;
		int more = rota_dir_next(dir, &entry);

		if (more < 0)
			status = add_failure(walker->here, path, NULL, more);
		if (more <= 0)
			break;
		status = visit(walker, dir, path, entry);
	}
	meter_pause(&walker->meter);
	rota_dir_close(dir);
	meter_resume(&walker->meter);
	return status;
}

int pass_walk(void *arg)
{
	struct walker walker = { .pending = arg };
	int status = 0;

	walker.pass = walker.pending->pass;
	walker.here = pass_here(walker.pass);
	meter_begin(&walker.meter, &walker.pass->meter, "a directory");
	while (walker.pending) {
		struct pending *pending = walker.pending;

		walker.pending = pending->next;
		if (status == 0)
			status = walk_directory(&walker, pending->path);
		free_pending(pending);
	}
	meter_pause(&walker.meter);
	return status;
}

/* A directory of the command line. Called by the groups' owner, who waits at a limit. */
static int spawn_root(struct pass *pass, struct meter_task *meter, const char *path)
{
	struct pending *pending = new_pending(pass, file_path_join(path, ""));
	int status;

	if (!pending)
		return -ENOMEM;
	meter_pause(meter);
	status = rota_group_spawn(&pass->walking, pass_walk, pending);
	meter_resume(meter);
	if (status < 0)
		free_pending(pending);
	return status;
}

int pass_walk_root(struct pass *pass, struct meter_task *meter, const char *path)
{
	struct file_list *list = &pass_here(pass)->list;
	struct statx stat;
	struct file *file;
	int status;

	meter_pause(meter);
	status = rota_statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &stat);
	meter_resume(meter);
	if (status == 0 && S_ISDIR(stat.stx_mode))
		return spawn_root(pass, meter, path);
	if (status == 0 && !S_ISREG(stat.stx_mode)) {
		*(S_ISLNK(stat.stx_mode) ? &list->links : &list->others) += 1;
		return 0;
	}
	file = file_list_add(list, path, NULL);
	if (!file)
		return -ENOMEM;
	file->is_root = true;
	if (status == 0)
		return spawn_hash(pass, meter, file);
	file->status = status;
	return 0;
}
