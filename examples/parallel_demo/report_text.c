/* SPDX-License-Identifier: MIT */
/* The text for a person: figures in columns, what they mean beside them, then the pictures. */
#include "report.h"

#include <inttypes.h>

#include "text.h"

/* The common style of the pictures of one part. */
static struct timeline_style style_for(FILE *stream, int64_t length_ns)
{
	return (struct timeline_style){
		.columns = text_columns(fileno(stream)),
		.colour = text_takes_colour(fileno(stream)),
		.length_ns = length_ns > 0 ? length_ns : 1,
	};
}

static void print_picture(
	const struct timeline *timeline, const struct timeline_style *style, FILE *stream)
{
	if (timeline->count > 0)
		timeline_print(timeline, style, stream);
}

static void print_engine(const struct engine_report *report, FILE *stream)
{
	fprintf(stream, "  (%u loop%s on %u CPU%s, %s; up in %.1f ms)\n", report->loops,
		report->loops == 1 ? "" : "s", engine_cpus(), engine_cpus() == 1 ? "" : "s",
		report->backend, (double)report->start_ns / 1e6);
}

static void print_tasks_pictures(const struct tasks_result *tasks, FILE *stream)
{
	int64_t longest_ns = tasks->sync_timeline.length_ns;
	struct timeline_style style;

	if (tasks->concurrent_timeline.length_ns > longest_ns)
		longest_ns = tasks->concurrent_timeline.length_ns;
	if (tasks->parallel_timeline.length_ns > longest_ns)
		longest_ns = tasks->parallel_timeline.length_ns;
	style = style_for(stream, longest_ns);
	fputc('\n', stream);
	print_picture(&tasks->sync_timeline, &style, stream);
	print_picture(&tasks->concurrent_timeline, &style, stream);
	print_picture(&tasks->parallel_timeline, &style, stream);
	fputs("  A letter is the task that ran then; a dot: none did. The percentage: busy time.\n",
		stream);
}

void report_tasks(const struct options *options, const struct tasks_result *tasks, FILE *stream)
{
	const struct engine_report *parallel = &tasks->parallel_report;

	fprintf(stream, "1. Three tasks of %.4g s each\n\n", text_seconds(options->task_ns));
	if (tasks->sync_ns > 0)
		fprintf(stream, "  sync        %7.3f s  waiting one after another, plain C\n",
			text_seconds(tasks->sync_ns));
	if (tasks->concurrent_ns > 0)
		fprintf(stream, "  concurrent  %7.3f s  waiting all at once on 1 loop\n",
			text_seconds(tasks->concurrent_ns));
	if (tasks->parallel_ns > 0) {
		fprintf(stream, "  parallel    %7.3f s  computing all at once on %u loop%s\n",
			text_seconds(tasks->parallel_ns), parallel->loops,
			parallel->loops == 1 ? "" : "s");
		fprintf(stream,
			"  its ideal   %7.3f s  3 tasks of %.3f s each on %u CPU%s; measured: "
			"%.3f x ideal\n",
			text_seconds(tasks->ideal_ns), text_seconds(tasks->job_ns), tasks->workers,
			tasks->workers == 1 ? "" : "s",
			(double)tasks->parallel_ns / (double)tasks->ideal_ns);
		print_engine(parallel, stream);
	}
	print_tasks_pictures(tasks, stream);
	if (tasks->running_max > 0)
		fprintf(stream, "  At most %d task ran at a time on any one loop",
			tasks->running_max);
	if (tasks->running_max > 0 && tasks->together_max > 0)
		fprintf(stream, ", and %d at once on all of them", tasks->together_max);
	fputs(tasks->running_max > 0 ? ".\n\n" : "\n", stream);
	fflush(stream);
}

/* One row of the table. */
static void print_pass(const struct tree_pass *pass, const char *name, const char *how,
	int64_t base_ns, FILE *stream)
{
	double seconds = text_seconds(pass->elapsed_ns);
	double per_second = seconds > 0 ? 1 / seconds : 0;

	if (!pass->ran)
		return;
	fprintf(stream, "  %-10s %7.3f %8.0f %9.0f", name, seconds,
		(double)pass->bytes / 1e6 * per_second, (double)pass->files * per_second);
	if (base_ns > 0)
		fprintf(stream, " %8.2f", text_seconds(base_ns) * per_second);
	else
		fprintf(stream, " %8s", "-");
	fprintf(stream, "   %s\n", how);
}

/* The digests: one if they agree, all of them if not. */
static void print_digests(const struct tree_result *tree, FILE *stream)
{
	const struct tree_pass *passes[] = { &tree->sync, &tree->concurrent, &tree->parallel };
	static const char *const names[] = { "sync", "concurrent", "parallel" };
	char hex[HASH_HEX_BYTES];
	int ran = 0;

	for (int i = 0; i < 3; i++) {
		if (!passes[i]->ran)
			continue;
		hash_to_hex(hex, passes[i]->digest);
		if (!tree->agree || ran == 0)
			fprintf(stream, "  digest  %s%s%s\n", hex, tree->agree ? "" : "  ",
				tree->agree ? "" : names[i]);
		ran++;
	}
	if (ran < 2)
		return;
	if (tree->agree)
		fprintf(stream,
			"  The %s passes agree on every file. The digest is that of all the "
			"lines that\n  sha256sum prints for them, sorted.\n",
			ran == 2 ? "two" : "three");
	else
		fputs("  THE PASSES DO NOT AGREE: see above.\n", stream);
}

static void print_skipped(const struct tree_result *tree, FILE *stream)
{
	fprintf(stream,
		"  %" PRIu64 " directories; skipped: %" PRIu64 " links, %" PRIu64
		" devices, sockets and pipes; %" PRIu64 " unreadable\n",
		tree->directories, tree->links, tree->others, tree->unreadable);
}

static void print_paths(const struct options *options, FILE *stream)
{
	for (size_t i = 0; i < options->path_count && i < 4; i++)
		fprintf(stream, "%s%s",
			i == 0			       ? ""
			: i + 1 == options->path_count ? " and "
						       : ", ",
			text_path(options->paths[i]));
	if (options->path_count > 4)
		fprintf(stream, " and %zu more", options->path_count - 4);
}

void report_tree(const struct options *options, const struct tree_result *tree, FILE *stream)
{
	const struct tree_pass *any = tree->parallel.ran     ? &tree->parallel
				      : tree->concurrent.ran ? &tree->concurrent
							     : &tree->sync;
	int64_t base_ns = tree->sync.ran ? tree->sync.elapsed_ns : 0;
	char how[96];

	fprintf(stream, "2. SHA-256 of %" PRIu64 " files, %.1f MB, below ", any->files,
		(double)any->bytes / 1e6);
	print_paths(options, stream);
	fputs("\n\n", stream);
	fputs("             seconds     MB/s   files/s speed-up\n", stream);
	print_pass(&tree->sync, "sync", "one by one, plain C", base_ns, stream);
	snprintf(how, sizeof(how), "1 loop, %u files in flight", tree->concurrent.in_flight_max);
	print_pass(&tree->concurrent, "concurrent", how, base_ns, stream);
	snprintf(how, sizeof(how), "%u loop%s, %" PRIu64 " tasks stolen",
		tree->parallel.report.loops, tree->parallel.report.loops == 1 ? "" : "s",
		tree->parallel.report.stolen);
	print_pass(&tree->parallel, "parallel", how, base_ns, stream);
	print_skipped(tree, stream);
	if (tree->larger_than_memory)
		fputs("  The tree does not fit in memory: every pass reads the disk.\n", stream);
	else if (options->cold)
		fputs("  Before each pass the files were dropped from memory: what one loop gains "
		      "is that\n  many files wait for the disk at the same time.\n",
			stream);
	else if (tree->warm_up_ns > 0)
		fprintf(stream,
			"  Everything was read once before (%.3f s), so no pass waits for a "
			"disk: what is\n  left is computing, which more loops do faster, and more "
			"tasks on one loop do not.\n",
			text_seconds(tree->warm_up_ns));
	print_digests(tree, stream);
	if (tree->timeline.count > 0) {
		struct timeline_style style = style_for(stream, tree->timeline.length_ns);

		fputc('\n', stream);
		print_picture(&tree->timeline, &style, stream);
		fputs("  A dot: no task ran, the loop was idle or in the kernel, which reads.\n",
			stream);
	}
	if (any->running_max > 0)
		fprintf(stream, "  At most %d task ran at a time on any one loop.\n",
			any->running_max);
	fflush(stream);
}
