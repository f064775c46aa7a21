/* SPDX-License-Identifier: MIT */
/*
 * The meter. Two clock reads and two uncontended atomic operations each time that a task runs:
 * about 60 ns, and no memory without bound: a loop whose spans are full halves their number.
 */
#include "meter.h"

#include <errno.h>
#include <rota/task.h>
#include <rota/runtime.h>
#include <stdlib.h>
#include <string.h>

/* A pause shorter than this is not worth a span of its own: the task was not really away. */
#define GAP_NS	  1000
#define SPANS_MIN ((size_t)1024)

int meter_init(struct meter *meter, unsigned int loop_count, size_t spans_max)
{
	size_t each = spans_max / loop_count;

	memset(meter, 0, sizeof(*meter));
	meter->loops = aligned_alloc(64, loop_count * sizeof(*meter->loops));
	if (!meter->loops)
		return -ENOMEM;
	memset(meter->loops, 0, loop_count * sizeof(*meter->loops));
	meter->loop_count = loop_count;
	for (unsigned int i = 0; i < loop_count && spans_max > 0; i++) {
		struct meter_loop *loop = &meter->loops[i];

		loop->size = each > SPANS_MIN ? each : SPANS_MIN;
		loop->spans = malloc(loop->size * sizeof(*loop->spans));
		if (!loop->spans) {
			meter_finish(meter);
			return -ENOMEM;
		}
	}
	meter->start_ns = rota_now();
	return 0;
}

void meter_finish(struct meter *meter)
{
	for (unsigned int i = 0; i < meter->loop_count; i++)
		free(meter->loops[i].spans);
	free(meter->loops);
	memset(meter, 0, sizeof(*meter));
}

static void count_up(atomic_int *count, atomic_int *max)
{
	int now = atomic_fetch_add_explicit(count, 1, memory_order_relaxed) + 1;
	int seen = atomic_load_explicit(max, memory_order_relaxed);

	while (now > seen && !atomic_compare_exchange_weak_explicit(
				     max, &seen, now, memory_order_relaxed, memory_order_relaxed))
		;
}

void meter_resume(struct meter_task *task)
{
	/* Asked each time, not remembered: the claim that started tasks stay is not for granted. */
	task->lane = (unsigned int)rota_loop_self();
	task->loop = &task->meter->loops[task->lane];
	count_up(&task->loop->running, &task->loop->running_max);
	if (task->loop->spans)
		task->since_ns = rota_now() - task->meter->start_ns;
	if (task->meter->count_together)
		count_up(&task->meter->together, &task->meter->together_max);
}

void meter_begin(struct meter_task *task, struct meter *meter, const char *label)
{
	task->meter = meter;
	task->id = rota_task_id(rota_task_self());
	task->label = label;
	meter_resume(task);
}

/*
 * Full: every two neighbours become one, which begins with the first, lasts as long as both, and is
 * of the task that ran longer. So the share of busy time stays true at any length.
 */
static void halve(struct meter_loop *loop)
{
	size_t half = loop->count / 2;

	for (size_t i = 0; i < half; i++) {
		struct timeline_span first = loop->spans[2 * i];
		struct timeline_span second = loop->spans[2 * i + 1];
		int64_t first_ns = first.end_ns - first.start_ns;
		int64_t second_ns = second.end_ns - second.start_ns;

		if (second_ns > first_ns) {
			first.task = second.task;
			first.label = second.label;
		}
		first.end_ns = first.start_ns + first_ns + second_ns;
		loop->spans[i] = first;
	}
	loop->count = half;
}

static void record(const struct meter_task *task, int64_t end_ns)
{
	struct meter_loop *loop = task->loop;
	struct timeline_span *last = loop->count > 0 ? &loop->spans[loop->count - 1] : NULL;

	if (last && last->task == task->id && task->since_ns - last->end_ns < GAP_NS) {
		last->end_ns = end_ns;
		return;
	}
	if (loop->count == loop->size)
		halve(loop);
	loop->spans[loop->count++] = (struct timeline_span){
		.start_ns = task->since_ns,
		.end_ns = end_ns,
		.task = task->id,
		.label = task->label,
		.lane = task->lane,
	};
}

void meter_pause(struct meter_task *task)
{
	if (task->loop->spans)
		record(task, rota_now() - task->meter->start_ns);
	if (task->meter->count_together)
		atomic_fetch_sub_explicit(&task->meter->together, 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&task->loop->running, 1, memory_order_relaxed);
}

int meter_running_max(const struct meter *meter)
{
	int max = 0;

	for (unsigned int i = 0; i < meter->loop_count; i++) {
		int here = atomic_load_explicit(&meter->loops[i].running_max, memory_order_relaxed);

		max = here > max ? here : max;
	}
	return max;
}

int meter_timeline(struct meter *meter, struct timeline *timeline)
{
	for (unsigned int i = 0; i < meter->loop_count; i++) {
		for (size_t k = 0; k < meter->loops[i].count; k++) {
			if (timeline_add(timeline, &meter->loops[i].spans[k]) < 0)
				return -ENOMEM;
		}
	}
	timeline_seal(timeline);
	return 0;
}
