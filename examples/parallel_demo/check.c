/* SPDX-License-Identifier: MIT */
/*
 * The lines of sha256sum: to a file, which sha256sum -c reads, and into the digest of a whole
 * tree, which therefore is the same as sha256sum's digest of that file.
 */
#include "files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where the lines go: a stream, a hasher, or both. */
struct sink {
	FILE *stream;
	struct hasher *hasher;
};

/*
 * Writes digest, two blanks, the name and a newline to line, which has room for HASH_HEX_BYTES + 8
 * bytes and the name twice. A name with a newline, a carriage return or a backslash is escaped,
 * which a backslash before the digest announces. Returns the length.
 */
static size_t format_line(char *line, const struct file *file)
{
	const char *path = file->path;
	bool escape = strpbrk(path, "\\\n\r") != NULL;
	char *to = line;

	if (escape)
		*to++ = '\\';
	hash_to_hex(to, file->digest);
	to += 2 * HASH_BYTES;
	*to++ = ' ';
	*to++ = ' ';
	/* sha256sum -c would take a bare dash for its standard input. */
	if (strcmp(path, "-") == 0) {
		*to++ = '.';
		*to++ = '/';
	}
	for (; *path; path++) {
		if (*path != '\\' && *path != '\n' && *path != '\r') {
			*to++ = *path;
			continue;
		}
		*to++ = '\\';
		*to++ = *path == '\n' ? 'n' : *path == '\r' ? 'r' : '\\';
	}
	*to++ = '\n';
	return (size_t)(to - line);
}

static int put_line(const struct sink *sink, const char *line, size_t len)
{
	if (sink->stream && fwrite(line, 1, len, sink->stream) != len)
		return errno ? -errno : -EIO;
	return sink->hasher ? hasher_add(sink->hasher, line, len) : 0;
}

static int put_lines(const struct file_set *set, const struct sink *sink)
{
	char *line = NULL;
	size_t size = 0;
	int status = 0;

	for (size_t i = 0; i < set->good_count && status == 0; i++) {
		size_t need = HASH_HEX_BYTES + 8 + 2 * strlen(set->good[i]->path);

		if (!line || need > size) {
			free(line);
			size = 2 * need;
			line = malloc(size);
			if (!line)
				return -ENOMEM;
		}
		status = put_line(sink, line, format_line(line, set->good[i]));
	}
	free(line);
	return status;
}

int file_set_write(const struct file_set *set, FILE *stream)
{
	struct sink sink = { .stream = stream };

	errno = 0;
	return put_lines(set, &sink);
}

int file_set_digest(const struct file_set *set, unsigned char ret_digest[HASH_BYTES])
{
	struct sink sink = { .hasher = hasher_create() };
	int status = -ENOMEM;

	if (!sink.hasher)
		return status;
	status = hasher_begin(sink.hasher);
	if (status == 0)
		status = put_lines(set, &sink);
	if (status == 0)
		status = hasher_end(sink.hasher, ret_digest);
	hasher_destroy(sink.hasher);
	return status;
}
