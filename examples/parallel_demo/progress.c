/* SPDX-License-Identifier: MIT */
/*
 * The progress bar. Writes to the terminal with plain stdio, also from a task: a terminal takes 80
 * bytes at once, and ten of them a second are nothing that a loop would notice.
 */
#include "progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define BAR_COLUMNS 30

static struct {
	const char *what; /* NULL: no bar */
	uint64_t bytes_total;
	int64_t drawn_ns;
	bool visible;
} bar;

static int64_t coarse_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool progress_wanted(void)
{
	static int answer = -1;

	if (answer < 0)
		answer = isatty(STDERR_FILENO);
	return answer != 0;
}

static void draw(uint64_t files, uint64_t bytes)
{
	char picture[BAR_COLUMNS + 1];
	uint64_t full;

	bar.visible = true;
	if (bar.bytes_total == 0) {
		fprintf(stderr, "\r\033[K%s", bar.what);
		if (bytes > 0)
			fprintf(stderr, "  %llu files, %.1f MB", (unsigned long long)files,
				(double)bytes / 1e6);
		fflush(stderr);
		return;
	}
	full = bytes >= bar.bytes_total
		       ? BAR_COLUMNS
		       : (uint64_t)((double)bytes / (double)bar.bytes_total * BAR_COLUMNS);
	for (uint64_t i = 0; i < BAR_COLUMNS; i++)
		picture[i] = i < full ? '#' : '.';
	picture[BAR_COLUMNS] = '\0';
	fprintf(stderr, "\r\033[K%-10s [%s] %3.0f %%  %llu files, %.1f MB", bar.what, picture,
		100 * (double)bytes / (double)bar.bytes_total, (unsigned long long)files,
		(double)bytes / 1e6);
	fflush(stderr);
}

void progress_start(const char *what, uint64_t bytes_total)
{
	if (!progress_wanted())
		return;
	bar.what = what;
	bar.bytes_total = bytes_total;
	bar.drawn_ns = coarse_now();
	draw(0, 0);
}

void progress_update(uint64_t files, uint64_t bytes)
{
	int64_t now;

	if (!bar.what)
		return;
	now = coarse_now();
	if (now - bar.drawn_ns < PROGRESS_INTERVAL_NS / 2)
		return;
	bar.drawn_ns = now;
	draw(files, bytes);
}

void progress_clear(void)
{
	if (!bar.visible)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	bar.visible = false;
}

void progress_end(void)
{
	progress_clear();
	bar.what = NULL;
}
