/* SPDX-License-Identifier: MIT */
/*
 * The demo of what rota is for. Part one: three tasks of one second, sync, concurrent, parallel.
 * Part two: SHA-256 of a tree of files in the same three ways. See README.md for how to read it.
 */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "hash.h"
#include "options.h"
#include "report.h"
#include "tasks.h"
#include "text.h"
#include "tree.h"

/* Results and what the exit status must tell. */
struct demo {
	struct options options;
	struct tasks_result tasks;
	struct tree_result tree;
	FILE *text; /* NULL: JSON is wanted */
	bool failed;
};

/* Many files are open at once on many loops: use all descriptors that the system grants. */
static void raise_descriptor_limit(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

static void run_tasks(struct demo *demo)
{
	if (tasks_run(&demo->options, &demo->tasks) < 0)
		demo->failed = true;
	if (demo->text)
		report_tasks(&demo->options, &demo->tasks, demo->text);
}

static void run_tree(struct demo *demo)
{
	if (tree_run(&demo->options, &demo->tree) < 0)
		demo->failed = true;
	if (!demo->tree.agree || demo->tree.unreadable > 0)
		demo->failed = true;
	if (demo->text)
		report_tree(&demo->options, &demo->tree, demo->text);
}

static void write_check(struct demo *demo)
{
	const char *path = demo->options.check;
	bool to_stdout = strcmp(path, "-") == 0;
	FILE *stream = to_stdout ? stdout : fopen(path, "we");
	int status = stream ? file_set_write(&demo->tree.files, stream) : -errno;

	if (stream && fflush(stream) == EOF && status == 0)
		status = -errno;
	if (stream && !to_stdout && fclose(stream) == EOF && status == 0)
		status = -errno;
	if (status == 0)
		return;
	text_complain("cannot write the digests to %s: %s",
		to_stdout ? "standard output" : text_path(path), text_status(status));
	demo->failed = true;
}

static const struct timeline *drawable(const struct timeline *timeline)
{
	return timeline->count > 0 && timeline->lane_count > 0 ? timeline : NULL;
}

static void write_timeline(struct demo *demo)
{
	const struct engine_report *report = demo->tree.parallel.ran ? &demo->tree.parallel.report
								     : &demo->tasks.parallel_report;
	char subtitle[160];
	struct timeline_page page = {
		.tasks = { drawable(&demo->tasks.sync_timeline),
			drawable(&demo->tasks.concurrent_timeline),
			drawable(&demo->tasks.parallel_timeline) },
		.tree = drawable(&demo->tree.timeline),
		.subtitle = subtitle,
	};
	int status;

	snprintf(subtitle, sizeof(subtitle), "parallel_demo: %u loop%s on %u CPU%s, %s",
		report->loops, report->loops == 1 ? "" : "s", engine_cpus(),
		engine_cpus() == 1 ? "" : "s", report->backend);
	status = timeline_save_svg(&page, demo->options.timeline);
	if (status == 0)
		return;
	text_complain("cannot write the picture to %s: %s", text_path(demo->options.timeline),
		text_status(status));
	demo->failed = true;
}

static void run(struct demo *demo)
{
	const struct options *options = &demo->options;
	bool tree = options->tree && options->path_count > 0;
	int status = 0;

	if (options->tree && !tree) {
		text_complain("neither /usr/share/doc nor /usr/include is here: name a PATH");
		demo->failed = true;
	}
	if (options->tasks)
		run_tasks(demo);
	if (tree)
		run_tree(demo);
	if (options->check && tree)
		write_check(demo);
	if (options->timeline)
		write_timeline(demo);
	if (options->json)
		status = report_json(options, options->tasks ? &demo->tasks : NULL,
			tree ? &demo->tree : NULL, stdout);
	else if (fflush(demo->text) == EOF || ferror(demo->text))
		status = -EIO;
	if (status < 0) {
		text_complain("cannot write the result: %s", text_status(status));
		demo->failed = true;
	}
}

int main(int argc, char **argv)
{
	static struct demo demo;
	int status;

	setlocale(LC_CTYPE, "");
	status = options_parse(&demo.options, argc, argv);
	if (status != OPTIONS_GO_ON)
		return status;
	if (!demo.options.json) {
		bool digests_on_stdout = demo.options.check && strcmp(demo.options.check, "-") == 0;

		demo.text = digests_on_stdout ? stderr : stdout;
	}
	status = hash_init();
	if (status < 0) {
		text_complain("libcrypto offers no SHA-256: %s", text_status(status));
		return EXIT_FAILURE;
	}
	raise_descriptor_limit();
	run(&demo);
	tasks_finish(&demo.tasks);
	tree_finish(&demo.tree);
	hash_finish();
	return demo.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
