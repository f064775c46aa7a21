/* SPDX-License-Identifier: MIT */
/*
 * Messages and names as a person or sha256sum reads them. Knows nothing of the runtime. For the
 * main thread between the passes, not for tasks: the buffers are shared.
 */
#ifndef DEMO_TEXT_H
#define DEMO_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One line on stderr, with "rota: " before it, below a progress bar that is in the way. */
void text_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * A file name as it can go to a terminal: what does not print is \ooo, so that no name can move
 * the cursor or end the line. Valid until the fourth call after this one.
 */
const char *text_path(const char *path);

/* "Permission denied" for -EACCES. */
const char *text_status(int status);

/* Nanoseconds as seconds. */
double text_seconds(int64_t ns);

/* True if stream is a terminal that takes colours, and NO_COLOR does not object. */
bool text_takes_colour(int fd);

/* Columns of the terminal behind fd; 80 if it is none. */
size_t text_columns(int fd);

#endif
