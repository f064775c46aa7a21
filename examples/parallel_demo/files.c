/* SPDX-License-Identifier: MIT */
/*
 * Lists of files in memory. Paths are packed one behind the other, files stand on cache lines of
 * their own; nothing moves and nothing is freed before all of it is.
 */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILES_PER_CHUNK	     511
#define TEXT_BYTES_PER_CHUNK ((size_t)64 * 1024)

struct file_chunk {
	_Alignas(64) struct file_chunk *next;
	size_t used;
	_Alignas(64) struct file files[FILES_PER_CHUNK];
};

struct text_chunk {
	struct text_chunk *next;
	size_t used;
	size_t size;
	char text[];
};

_Static_assert(sizeof(struct file) == 64, "a file is one cache line");

static struct file *new_file(struct file_list *list)
{
	struct file_chunk *chunk = list->files;

	if (!chunk || chunk->used == FILES_PER_CHUNK) {
		chunk = aligned_alloc(64, sizeof(*chunk));
		if (!chunk)
			return NULL;
		chunk->next = list->files;
		chunk->used = 0;
		list->files = chunk;
	}
	return &chunk->files[chunk->used++];
}

static char *new_text(struct file_list *list, size_t len)
{
	struct text_chunk *chunk = list->text;
	char *text;

	if (!chunk || chunk->size - chunk->used < len) {
		size_t size = len > TEXT_BYTES_PER_CHUNK ? len : TEXT_BYTES_PER_CHUNK;

		chunk = malloc(sizeof(*chunk) + size);
		if (!chunk)
			return NULL;
		chunk->next = list->text;
		chunk->used = 0;
		chunk->size = size;
		list->text = chunk;
	}
	text = chunk->text + chunk->used;
	chunk->used += len;
	return text;
}

/* Writes dir/name to text, which has room for both, a slash and the end. */
static void join(char *text, const char *dir, size_t dir_len, const char *name, size_t name_len)
{
	memcpy(text, dir, dir_len);
	/* "/" and "dir/" have their slash already. */
	if (name_len > 0 && dir[dir_len - 1] != '/')
		text[dir_len++] = '/';
	memcpy(text + dir_len, name, name_len);
	text[dir_len + name_len] = '\0';
}

struct file *file_list_add(struct file_list *list, const char *dir, const char *name)
{
	size_t dir_len = strlen(dir);
	size_t name_len = name ? strlen(name) : 0;
	char *text = new_text(list, dir_len + name_len + 2);
	struct file *file = text ? new_file(list) : NULL;

	if (!file)
		return NULL;
	join(text, dir, dir_len, name ? name : "", name_len);
	*file = (struct file){ .path = text };
	return file;
}

char *file_path_join(const char *dir, const char *name)
{
	size_t dir_len = strlen(dir);
	size_t name_len = strlen(name);
	char *text = malloc(dir_len + name_len + 2);

	if (text)
		join(text, dir, dir_len, name, name_len);
	return text;
}

static void free_chunks(struct file_chunk *files, struct text_chunk *text)
{
	while (files) {
		struct file_chunk *next = files->next;

		free(files);
		files = next;
	}
	while (text) {
		struct text_chunk *next = text->next;

		free(text);
		text = next;
	}
}

static int compare_paths(const void *left, const void *right)
{
	const struct file *const *a = left;
	const struct file *const *b = right;

	return strcmp((*a)->path, (*b)->path);
}

/* Takes the chunks and counters of a list over, and empties it. Returns how many files came. */
static size_t take_list(struct file_set *set, struct file_list *list)
{
	struct file_chunk **last = &list->files;
	struct text_chunk **last_text = &list->text;
	size_t count = 0;

	for (; *last; last = &(*last)->next)
		count += (*last)->used;
	*last = set->files;
	set->files = list->files;
	while (*last_text)
		last_text = &(*last_text)->next;
	*last_text = set->text;
	set->text = list->text;
	set->links += list->links;
	set->others += list->others;
	set->directories += list->directories;
	*list = (struct file_list){ 0 };
	return count;
}

int file_set_init(struct file_set *set, struct file_list *lists, size_t count)
{
	size_t total = 0;

	*set = (struct file_set){ 0 };
	for (size_t i = 0; i < count; i++)
		total += take_list(set, &lists[i]);
	/* The good ones grow from the front of one array, the bad ones from its end. */
	set->good = malloc((total + 1) * sizeof(struct file *));
	if (!set->good) {
		file_set_finish(set);
		return -ENOMEM;
	}
	set->bad = set->good + total;
	for (struct file_chunk *chunk = set->files; chunk; chunk = chunk->next) {
		for (size_t i = 0; i < chunk->used; i++) {
			struct file *file = &chunk->files[i];

			if (file->status < 0) {
				*--set->bad = file;
				set->bad_count++;
				continue;
			}
			set->good[set->good_count++] = file;
			set->bytes += file->bytes;
		}
	}
	qsort(set->good, set->good_count, sizeof(struct file *), compare_paths);
	qsort(set->bad, set->bad_count, sizeof(struct file *), compare_paths);
	return 0;
}

void file_set_finish(struct file_set *set)
{
	free_chunks(set->files, set->text);
	free(set->good);
	*set = (struct file_set){ 0 };
}

bool file_set_has_bad(const struct file_set *set, const char *path)
{
	struct file wanted = { .path = path };
	struct file *key = &wanted;

	return set->bad_count > 0 &&
	       bsearch(&key, set->bad, set->bad_count, sizeof(struct file *), compare_paths);
}

void file_set_drop_cache(const struct file_set *set)
{
	for (size_t i = 0; i < set->good_count; i++) {
		int fd = open(set->good[i]->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);

		if (fd < 0)
			continue;
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		close(fd);
	}
}

size_t file_set_compare(const struct file_set *left, const struct file_set *right,
	struct file_difference *ret_first)
{
	size_t l = 0, r = 0, count = 0;

	while (l < left->good_count || r < right->good_count) {
		struct file_difference here = {
			.left = l < left->good_count ? left->good[l] : NULL,
			.right = r < right->good_count ? right->good[r] : NULL,
		};

		if (here.left && here.right) {
			int order = strcmp(here.left->path, here.right->path);

			if (order < 0)
				here.right = NULL;
			else if (order > 0)
				here.left = NULL;
			else if (memcmp(here.left->digest, here.right->digest, HASH_BYTES) == 0) {
				l++;
				r++;
				continue;
			}
		}
		l += here.left != NULL;
		r += here.right != NULL;
		if (count++ == 0)
			*ret_first = here;
	}
	return count;
}
