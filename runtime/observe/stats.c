/* SPDX-License-Identifier: MIT */
/* The counters, added up. */
#include <string.h>

#include <rota/observe.h>

#include "core/runtime.h"

static void add_loop(struct rota_stats *stats, const struct loop *loop)
{
	const struct loop_counters *counters = &loop->counters;
	uint64_t submitted = a64_load_relaxed(&counters->ops_submitted);
	uint64_t completed = a64_load_relaxed(&counters->ops_completed);

	stats->tasks_spawned += a64_load_relaxed(&counters->spawned);
	stats->tasks_ended += a64_load_relaxed(&counters->ended);
	stats->tasks_failed += a64_load_relaxed(&counters->failed);
	stats->tasks_stolen += a64_load_relaxed(&counters->stolen);
	stats->switches += a64_load_relaxed(&counters->switches);
	stats->parks += a64_load_relaxed(&counters->parks);
	stats->wakes += a64_load_relaxed(&counters->wakes);
	stats->errors_unjoined += a64_load_relaxed(&counters->errors_unjoined);
	stats->ops_submitted += submitted;
	stats->ops_completed += completed;
	stats->ops_in_flight += submitted - completed;
}

size_t rota_stats_get(struct rota_stats *ret_stats, size_t bytes, int loop)
{
	struct loop *self = rota__loop_self();
	struct rota_runtime *rt = rota__visit(self);
	struct rota_stats stats = { 0 };

	if (!rt)
		return 0;
	if (loop < -1 || loop >= (int)rt->loop_count) {
		rota__visit_end(self);
		return 0;
	}
	for (int i = 0; i < (int)rt->loop_count; i++)
		if (loop == -1 || loop == i)
			add_loop(&stats, rt->loop[i]);
	if (loop == -1) {
		stats.tasks_spawned += a64_load_relaxed(&rt->spawned_by_threads);
		stats.stack_bytes_mapped = a64_load_relaxed(&rt->stacks.bytes);
		/* A task may end on another loop than it was spawned on: only the sum has sense. */
		stats.tasks_live = stats.tasks_spawned - stats.tasks_ended;
	}
	rota__visit_end(self);
	if (bytes > sizeof(stats))
		bytes = sizeof(stats);
	memcpy(ret_stats, &stats, bytes);
	return bytes;
}
