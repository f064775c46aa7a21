/* SPDX-License-Identifier: MIT */
/*
 * Part two: the passes in order, and what must be true of them together. The list of files of the
 * first pass is kept to compare the later ones with. Of the others only the last is kept, and those
 * with unreadable files, so that each of these is reported once: memory for two lists as a rule.
 */
#include "tree.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "progress.h"
#include "text.h"

/* What goes on from pass to pass. */
struct course {
	const struct options *options;
	struct tree_result *result;
	struct file_set reference; /* of the first timed pass */
	const char *reference_name;
	struct file_set warm;	/* of the warm-up, and */
	struct file_set middle; /* of the second of three passes, if they have bad files */
	uint64_t bytes_total;	/* for the progress bar */
};

static void complain_about(const struct file *file)
{
	const char *hint = "";

	if (file->status == -ENOENT && !file->is_root)
		hint = " (gone since its directory was read)";
	text_complain(
		"cannot read %s: %s%s", text_path(file->path), text_status(file->status), hint);
}

/* Reports every unreadable file once, in whatever pass it showed up first. */
static void complain_once(struct course *course, const struct file_set *set)
{
	for (size_t i = 0; i < set->bad_count; i++) {
		const struct file *file = set->bad[i];

		if (file_set_has_bad(&course->warm, file->path) ||
			file_set_has_bad(&course->reference, file->path) ||
			file_set_has_bad(&course->middle, file->path))
			continue;
		complain_about(file);
		course->result->unreadable++;
	}
}

static void complain_difference(const struct course *course, const char *name,
	const struct file_difference *first, size_t count)
{
	const struct file *file = first->left ? first->left : first->right;

	text_complain("the %s and %s passes do not agree on %zu file%s, the first one: %s (%s)",
		course->reference_name, name, count, count == 1 ? "" : "s", text_path(file->path),
		!first->left				    ? "the former did not have it"
		: !first->right				    ? "the latter did not have it"
		: first->left->bytes != first->right->bytes ? "its length changed"
							    : "its bytes changed");
	text_complain("a tree that is written to meanwhile does that; run it again on a quiet one");
}

/* Looks at a finished pass: its digest, its complaints, its agreement with the first one. */
static int judge(
	struct course *course, struct tree_pass *pass, const char *name, struct file_set *set)
{
	struct tree_result *result = course->result;
	struct file_difference first;
	size_t differences;
	int status = file_set_digest(set, pass->digest);

	progress_end();
	if (status < 0)
		return status;
	pass->ran = true;
	pass->files = set->good_count;
	pass->bytes = set->bytes;
	complain_once(course, set);
	result->links = set->links;
	result->others = set->others;
	result->directories = set->directories;
	course->bytes_total = set->bytes;
	if (!course->reference_name)
		return 0;
	differences = file_set_compare(&course->reference, set, &first);
	if (differences > 0) {
		result->agree = false;
		complain_difference(course, name, &first, differences);
	}
	return 0;
}

/* Keeps a finished pass's files: the first as what others are compared with, the last as result. */
static void keep(struct course *course, const char *name, struct file_set *set, bool last)
{
	if (last) {
		course->result->files = *set;
	} else if (!course->reference_name) {
		course->reference = *set;
		course->reference_name = name;
	} else if (set->bad_count > 0) {
		course->middle = *set;
	} else {
		file_set_finish(set);
	}
}

static int warm_up(struct course *course)
{
	struct tree_pass pass = { 0 };
	struct file_set set = { 0 };
	struct sysinfo memory;
	int status;

	progress_start("reading once", 0);
	status = tree_pass_sync(course->options, &pass, &set);
	progress_end();
	if (status == 0) {
		course->result->warm_up_ns = pass.elapsed_ns;
		course->bytes_total = set.bytes;
		if (sysinfo(&memory) == 0)
			course->result->larger_than_memory =
				set.bytes / memory.mem_unit > memory.totalram / 4 * 3;
		complain_once(course, &set);
	}
	if (status == 0 && (set.bad_count > 0 || course->options->cold))
		course->warm = set;
	else
		file_set_finish(&set);
	return status;
}

static int run_pass(struct course *course, unsigned int mode)
{
	const struct options *options = course->options;
	struct tree_result *result = course->result;
	bool last = options->modes < 2 * mode;
	struct file_set set = { 0 };
	struct tree_pass *pass;
	const char *name;
	int status;

	if (!(options->modes & mode))
		return 0;
	if (options->cold)
		file_set_drop_cache(&course->warm);
	if (mode == MODE_SYNC) {
		name = "sync";
		pass = &result->sync;
		progress_start(name, course->bytes_total);
		status = tree_pass_sync(options, pass, &set);
	} else if (mode == MODE_CONCURRENT) {
		name = "concurrent";
		pass = &result->concurrent;
		progress_start(name, course->bytes_total);
		status = tree_pass_rota(options, 1, pass, &set, NULL);
	} else {
		name = "parallel";
		pass = &result->parallel;
		progress_start(name, course->bytes_total);
		status = tree_pass_rota(options, options->loops, pass, &set,
			options->json && !options->timeline ? NULL : &result->timeline);
	}
	progress_end();
	if (status == 0)
		status = judge(course, pass, name, &set);
	if (status < 0) {
		file_set_finish(&set);
		return status;
	}
	keep(course, name, &set, last);
	return 0;
}

int tree_run(const struct options *options, struct tree_result *ret_result)
{
	struct course course = { .options = options, .result = ret_result };
	int status = 0;

	*ret_result = (struct tree_result){
		.agree = true,
		.timeline.name = "parallel, the tree",
		.timeline.heading = "each letter or colour is a task, each task a file",
		.timeline.lane_name = "loop",
	};
	if (options->warm_up)
		status = warm_up(&course);
	for (unsigned int mode = MODE_SYNC; mode <= MODE_PARALLEL && status == 0; mode <<= 1)
		status = run_pass(&course, mode);
	if (status == -ENOMEM)
		text_complain("out of memory for the list of files");
	file_set_finish(&course.reference);
	file_set_finish(&course.warm);
	file_set_finish(&course.middle);
	return status;
}

void tree_finish(struct tree_result *result)
{
	timeline_finish(&result->timeline);
	file_set_finish(&result->files);
}
