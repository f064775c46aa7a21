/* SPDX-License-Identifier: MIT */
/*
 * From the runtime's trace to a timeline. A trace is Chrome JSON: an object with an array
 * "traceEvents", or that array alone; the events of kind "X" and category "task" are stretches in
 * which a task ran, with ts and dur in microseconds, the loop as tid, the task's number as args.id.
 */
#include "timeline.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

struct reader {
	struct timeline *timeline;
	const uint64_t *ids;
	const char *const *names;
	size_t task_count;
	double first_us; /* the trace's clock at the picture's start */
};

/* The number of an event's task; task_count if it is none of ours. */
static size_t find_task(const struct reader *reader, const json_t *event)
{
	const char *kind = json_string_value(json_object_get(event, "ph"));
	const char *category = json_string_value(json_object_get(event, "cat"));
	const json_t *id = json_object_get(json_object_get(event, "args"), "id");
	size_t i = 0;

	if (!kind || strcmp(kind, "X") != 0 || !category || strcmp(category, "task") != 0)
		return reader->task_count;
	while (i < reader->task_count && reader->ids[i] != (uint64_t)json_integer_value(id))
		i++;
	return i;
}

static int read_event(struct reader *reader, const json_t *event, bool measure_only)
{
	size_t task = find_task(reader, event);
	double ts_us = json_number_value(json_object_get(event, "ts"));
	double dur_us = json_number_value(json_object_get(event, "dur"));
	json_int_t lane = json_integer_value(json_object_get(event, "tid"));
	struct timeline_span span;

	if (task == reader->task_count || lane < 0)
		return 0;
	if (measure_only) {
		if (ts_us < reader->first_us)
			reader->first_us = ts_us;
		return 0;
	}
	span = (struct timeline_span){
		.start_ns = (int64_t)((ts_us - reader->first_us) * 1e3),
		.end_ns = (int64_t)((ts_us - reader->first_us + dur_us) * 1e3),
		.task = task,
		.label = reader->names[task],
		.lane = (uint32_t)lane,
	};
	return timeline_add(reader->timeline, &span);
}

static int read_events(struct reader *reader, const json_t *events)
{
	size_t count = json_array_size(events);
	int status = 0;

	reader->first_us = 1e300;
	for (size_t i = 0; i < count; i++)
		read_event(reader, json_array_get(events, i), true);
	for (size_t i = 0; i < count && status == 0; i++)
		status = read_event(reader, json_array_get(events, i), false);
	return status;
}

/* Between two stretches on its loop a task has waited there. */
static int add_waits(struct timeline *timeline, size_t task_count)
{
	size_t running_count = timeline->count;

	timeline_seal(timeline);
	for (size_t task = 0; task < task_count; task++) {
		struct timeline_span wait = { 0 };
		bool seen = false;

		for (size_t i = 0; i < running_count; i++) {
			struct timeline_span span = timeline->spans[i];
			int status = 0;

			if (span.task != task)
				continue;
			wait.end_ns = span.start_ns;
			if (seen && wait.end_ns > wait.start_ns)
				status = timeline_add(timeline, &wait);
			if (status < 0)
				return status;
			wait = span;
			wait.start_ns = span.end_ns;
			wait.waiting = true;
			seen = true;
		}
	}
	timeline_seal(timeline);
	return 0;
}

int timeline_read_trace(struct timeline *timeline, const char *path, const uint64_t *ids,
	const char *const *names, size_t task_count)
{
	struct reader reader = {
		.timeline = timeline, .ids = ids, .names = names, .task_count = task_count
	};
	json_error_t error;
	json_t *root = json_load_file(path, JSON_DISABLE_EOF_CHECK, &error);
	const json_t *events;
	int status;

	if (!root)
		return -EBADMSG;
	events = json_is_array(root) ? root : json_object_get(root, "traceEvents");
	status = read_events(&reader, events);
	json_decref(root);
	if (status == 0)
		status = add_waits(timeline, task_count);
	if (status == 0 && timeline->count == 0)
		status = -ENODATA;
	return status;
}
