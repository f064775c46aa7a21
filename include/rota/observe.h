/* SPDX-License-Identifier: MIT */
/* Looking inside: counters and the trace. All may be called from any thread. */
#ifndef ROTA_OBSERVE_H
#define ROTA_OBSERVE_H

#include <rota/base.h>

ROTA_BEGIN_DECLS

/*
 * Counters since the start. New members are added at the end: say how many bytes there is room for.
 * Members of parts that a version does not have stay 0.
 */
struct rota_stats {
	uint64_t tasks_live;
	uint64_t tasks_spawned;
	uint64_t tasks_ended;
	uint64_t tasks_failed;
	uint64_t tasks_stolen;
	uint64_t jobs_forked;
	uint64_t jobs_stolen;
	uint64_t switches;
	uint64_t parks;
	uint64_t wakes;
	uint64_t ops_submitted;
	uint64_t ops_completed;
	uint64_t ops_in_flight;
	uint64_t stalls;
	uint64_t stack_bytes_mapped;
	uint64_t errors_unjoined;
};

/*
 * Fills at most bytes of *ret_stats for one loop, or for all with loop -1. Returns how many bytes
 * were filled: 0 when no runtime runs or there is no such loop.
 */
ROTA_API size_t rota_stats_get(struct rota_stats *ret_stats, size_t bytes, int loop);

/*
 * Starts writing events into a ring per loop; events_per_loop (16 bytes each) is rounded up to a
 * power of two, 0: 65536. What was there is dropped. Returns 0, -ENOMEM, -ENXIO without a runtime.
 */
ROTA_API int rota_trace_start(size_t events_per_loop) ROTA_MUST_CHECK;

/* Stops it; the rings keep what they have. */
ROTA_API void rota_trace_stop(void);

/*
 * Stops the trace and writes what is in the rings as Chrome JSON (chrome://tracing, Perfetto).
 * Blocks the calling thread while it writes. Returns 0 or a negative errno (-ENODATA: no trace
 * was started).
 */
ROTA_API int rota_trace_save(const char *path) ROTA_MUST_CHECK;

/* Puts a mark of the program's own into the trace, in a task. text has static storage. */
ROTA_API void rota_trace_mark(const char *text, uint64_t value);

ROTA_END_DECLS

#endif
