/* SPDX-License-Identifier: MIT */
/* Messages and names as a person reads them. Knows the locale and the terminal, nothing else. */
#include "text.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#include "progress.h"

void text_complain(const char *format, ...)
{
	va_list args;

	progress_clear();
	fputs("rota: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

const char *text_path(const char *path)
{
	static char buffers[4][4 * PATH_MAX + 8];
	static unsigned int turn;
	char *buffer = buffers[turn++ % 4];
	size_t left = strlen(path);
	size_t used = 0;
	mbstate_t state = { 0 };

	while (left > 0 && used + 4 * MB_LEN_MAX < sizeof(buffers[0])) {
		wchar_t wide;
		size_t n = mbrtowc(&wide, path, left, &state);

		if (n != (size_t)-1 && n != (size_t)-2 && iswprint((wint_t)wide) && wide != L'\\') {
			memcpy(buffer + used, path, n);
			used += n;
		} else {
			n = 1;
			used += (size_t)sprintf(buffer + used, "\\%03o", (unsigned char)*path);
			memset(&state, 0, sizeof(state));
		}
		path += n;
		left -= n;
	}
	buffer[used] = '\0';
	return buffer;
}

const char *text_status(int status)
{
	return strerror(status < 0 ? -status : status);
}

double text_seconds(int64_t ns)
{
	return (double)ns / 1e9;
}

bool text_takes_colour(int fd)
{
	const char *no_colour = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	if (no_colour && *no_colour)
		return false;
	return isatty(fd) && term && *term && strcmp(term, "dumb") != 0;
}

size_t text_columns(int fd)
{
	struct winsize size;

	if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col < 40)
		return 80;
	return size.ws_col < 200 ? size.ws_col : 200;
}
