/* SPDX-License-Identifier: MIT */
/* The JSON object. What was not run is null. */
#include "report.h"

#include <errno.h>
#include <jansson.h>

#include "text.h"

static json_t *seconds_or_null(bool ran, int64_t ns)
{
	return ran ? json_real(text_seconds(ns)) : json_null();
}

static json_t *digest_or_null(const struct tree_pass *pass)
{
	char hex[HASH_HEX_BYTES];

	if (!pass->ran)
		return json_null();
	hash_to_hex(hex, pass->digest);
	return json_string(hex);
}

static json_t *count(uint64_t n)
{
	return json_integer((json_int_t)n);
}

/* Adds a member. The value is consumed; NULL, and so out of memory, is counted in *failures. */
static void put(json_t *object, const char *key, json_t *value, int *failures)
{
	if (json_object_set_new(object, key, value) < 0)
		++*failures;
}

static json_t *tasks_object(
	const struct options *options, const struct tasks_result *tasks, int *failures)
{
	bool parallel = tasks->parallel_ns > 0;
	json_t *object = json_object();

	put(object, "task_s", json_real(text_seconds(options->task_ns)), failures);
	put(object, "sync_s", seconds_or_null(tasks->sync_ns > 0, tasks->sync_ns), failures);
	put(object, "concurrent_s", seconds_or_null(tasks->concurrent_ns > 0, tasks->concurrent_ns),
		failures);
	put(object, "parallel_s", seconds_or_null(parallel, tasks->parallel_ns), failures);
	put(object, "parallel_ideal_s", seconds_or_null(parallel, tasks->ideal_ns), failures);
	put(object, "job_alone_s", seconds_or_null(parallel, tasks->job_ns), failures);
	put(object, "max_running_on_all_loops", json_integer(tasks->together_max), failures);
	return object;
}

static json_t *paths_array(const struct options *options)
{
	json_t *paths = json_array();

	for (size_t i = 0; i < options->path_count; i++) {
		json_t *path = json_string(options->paths[i]);

		/* JSON is UTF-8; a name that is not is written with \ooo. */
		json_array_append_new(
			paths, path ? path : json_string(text_path(options->paths[i])));
	}
	return paths;
}

static void put_pass(json_t *object, const char *name, const struct tree_pass *pass, int *failures)
{
	char key[32];

	snprintf(key, sizeof(key), "%s_s", name);
	put(object, key, seconds_or_null(pass->ran, pass->elapsed_ns), failures);
	snprintf(key, sizeof(key), "digest_%s", name);
	put(object, key, digest_or_null(pass), failures);
}

static json_t *tree_object(
	const struct options *options, const struct tree_result *tree, int *failures)
{
	const struct tree_pass *any = tree->parallel.ran     ? &tree->parallel
				      : tree->concurrent.ran ? &tree->concurrent
							     : &tree->sync;
	bool warmed_up = tree->warm_up_ns > 0;
	json_t *object = json_object();

	put(object, "paths", paths_array(options), failures);
	put(object, "files", count(any->files), failures);
	put(object, "bytes", count(any->bytes), failures);
	put(object, "directories", count(tree->directories), failures);
	put(object, "links", count(tree->links), failures);
	put(object, "others", count(tree->others), failures);
	put(object, "unreadable", count(tree->unreadable), failures);
	put(object, "larger_than_memory", json_boolean(tree->larger_than_memory), failures);
	put(object, "cold", json_boolean(options->cold), failures);
	put(object, "warm_up_s", seconds_or_null(warmed_up, tree->warm_up_ns), failures);
	put_pass(object, "sync", &tree->sync, failures);
	put_pass(object, "concurrent", &tree->concurrent, failures);
	put_pass(object, "parallel", &tree->parallel, failures);
	put(object, "agree", json_boolean(tree->agree), failures);
	put(object, "in_flight_max", count(tree->concurrent.in_flight_max), failures);
	return object;
}

/* The figures of both parts together. */
static void put_totals(json_t *root, const struct tasks_result *tasks,
	const struct tree_result *tree, int *failures)
{
	const struct engine_report *report = NULL;
	uint64_t stolen = 0;
	int running_max = 0;

	if (tasks) {
		running_max = tasks->running_max;
		stolen += tasks->parallel_report.stolen;
		report = &tasks->parallel_report;
		if (report->loops == 0)
			report = &tasks->concurrent_report;
	}
	if (tree) {
		const struct tree_pass *one = &tree->concurrent, *all = &tree->parallel;

		stolen += all->report.stolen;
		running_max = one->running_max > running_max ? one->running_max : running_max;
		running_max = all->running_max > running_max ? all->running_max : running_max;
		if (!report || report->loops == 0 || all->ran)
			report = all->ran ? &all->report : &one->report;
	}
	put(root, "loops", json_integer(report ? report->loops : 0), failures);
	put(root, "cpus", json_integer(engine_cpus()), failures);
	put(root, "backend", json_string(report ? report->backend : ""), failures);
	put(root, "max_running_per_loop", json_integer(running_max), failures);
	put(root, "stolen", count(stolen), failures);
}

int report_json(const struct options *options, const struct tasks_result *tasks,
	const struct tree_result *tree, FILE *stream)
{
	json_t *root = json_object();
	int failures = 0;
	int status = 0;

	put_totals(root, tasks, tree, &failures);
	put(root, "tasks", tasks ? tasks_object(options, tasks, &failures) : json_null(),
		&failures);
	put(root, "tree", tree ? tree_object(options, tree, &failures) : json_null(), &failures);
	if (failures > 0)
		status = -ENOMEM;
	else if (json_dumpf(root, stream, JSON_INDENT(2) | JSON_REAL_PRECISION(7)) < 0 ||
		 fputc('\n', stream) == EOF || fflush(stream) == EOF)
		status = -EIO;
	json_decref(root);
	return status;
}
