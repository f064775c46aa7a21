/* SPDX-License-Identifier: MIT */
/*
 * The tree on the runtime, on one loop or on all: the same code. Here a pass is set up, watched and
 * taken down; what it does stands in pass_walk.c and pass_hash.c.
 */
#include "tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "pass.h"
#include "progress.h"
#include "text.h"

/* Directories being read at a time, a loop. More bring nothing: a directory has many files. */
#define WALKERS_EACH 4
/* Spans kept for the picture: far more than it has pixels. */
#define SPANS_MAX    ((size_t)1 << 19)

/* What the main task gets. */
struct run {
	struct pass pass;
	struct tree_pass *result;
	struct file_set *set;
	struct timeline *timeline;
};

/* Draws the progress bar until it is cancelled. A task. */
static int watch(void *arg)
{
	struct pass *pass = arg;

	while (rota_sleep(PROGRESS_INTERVAL_NS) == 0) {
		uint64_t files = 0, bytes = 0;

		for (unsigned int i = 0; i < pass->loop_count; i++) {
			struct pass_loop *loop = &pass->loops[i];

			files += atomic_load_explicit(&loop->files, memory_order_relaxed);
			bytes += atomic_load_explicit(&loop->bytes, memory_order_relaxed);
		}
		progress_update(files, bytes);
	}
	return 0;
}

/* How many descriptors there may be; a lot if there is no limit. */
static uint64_t descriptors(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur == RLIM_INFINITY)
		return 1 << 20;
	return files.rlim_cur;
}

/*
 * each for each loop, but no more than its part of the descriptors: half of them for the files, a
 * quarter for the directories, the rest is the runtime's. At least one.
 */
static uint64_t limit_for(const struct pass *pass, uint64_t each, unsigned int divisor)
{
	uint64_t wanted = each * pass->loop_count;
	uint64_t most = descriptors() / divisor;

	if (wanted < most)
		return wanted;
	return most > 0 ? most : 1;
}

/* Finds and hashes everything. */
static int run_groups(struct pass *pass)
{
	struct rota_group_options hashing = { .name = "hash",
		.limit = limit_for(pass, pass->options->in_flight, 2) };
	struct rota_group_options walking = { .name = "walk",
		.limit = limit_for(pass, WALKERS_EACH, 4) };
	struct meter_task meter;
	int status = 0;

	meter_begin(&meter, &pass->meter, "the main task");
	rota_group_open(&pass->hashing, &hashing);
	rota_group_open(&pass->walking, &walking);
	for (size_t i = 0; i < pass->options->path_count && status == 0; i++)
		status = pass_walk_root(pass, &meter, pass->options->paths[i]);
	meter_pause(&meter);
	status = rota_group_close(&pass->walking, status);
	return rota_group_close(&pass->hashing, status);
}

/* run_groups() with a progress bar beside it if somebody looks. */
static int run_watched(struct run *run)
{
	struct pass *pass = &run->pass;
	struct rota_group watching;
	int64_t start_ns;
	int status;

	rota_group_open(&watching, NULL);
	if (progress_wanted())
		rota_group_spawn(&watching, watch, pass);
	start_ns = rota_now();
	status = run_groups(pass);
	run->result->elapsed_ns = rota_now() - start_ns;
	rota_group_cancel(&watching, "the pass is over");
	return rota_group_close(&watching, status);
}

/* Moves what the loops have gathered into the result. */
static int collect(struct run *run, int status)
{
	struct pass *pass = &run->pass;
	struct file_list *lists = calloc(pass->loop_count, sizeof(*lists));
	int collected;

	if (!lists)
		return -ENOMEM;
	for (unsigned int i = 0; i < pass->loop_count; i++) {
		lists[i] = pass->loops[i].list;
		run->result->in_flight_max += pass->loops[i].in_flight_max;
	}
	collected = file_set_init(run->set, lists, pass->loop_count);
	free(lists);
	run->result->running_max = meter_running_max(&pass->meter);
	if (status >= 0)
		status = collected;
	if (run->timeline && status >= 0) {
		run->timeline->lane_count = pass->loop_count;
		run->timeline->length_ns = run->result->elapsed_ns;
		status = meter_timeline(&pass->meter, run->timeline);
	}
	return status;
}

/* The main task. */
static int pass_main(void *arg)
{
	struct run *run = arg;
	struct pass *pass = &run->pass;
	int status;

	pass->loop_count = rota_loop_count();
	pass->loops = aligned_alloc(64, pass->loop_count * sizeof(*pass->loops));
	if (!pass->loops)
		return -ENOMEM;
	memset(pass->loops, 0, pass->loop_count * sizeof(*pass->loops));
	status = meter_init(&pass->meter, pass->loop_count, run->timeline ? SPANS_MAX : 0);
	if (status == 0) {
		status = run_watched(run);
		status = collect(run, status);
		meter_finish(&pass->meter);
	}
	for (unsigned int i = 0; i < pass->loop_count; i++) {
		struct hasher *hasher = pass->loops[i].idle;

		while (hasher) {
			struct hasher *next = hasher->next;

			hasher_destroy(hasher);
			hasher = next;
		}
	}
	free(pass->loops);
	return status;
}

int tree_pass_rota(const struct options *options, unsigned int loops, struct tree_pass *ret_pass,
	struct file_set *ret_set, struct timeline *timeline)
{
	struct run run = {
		.pass.options = options,
		.result = ret_pass,
		.set = ret_set,
		.timeline = timeline,
	};

	return engine_run(loops, pass_main, &run, &ret_pass->report);
}
