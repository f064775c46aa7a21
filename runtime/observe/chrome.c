/* SPDX-License-Identifier: MIT */
/*
 * Starting, stopping and saving the trace. The file is Chrome's JSON: a complete event ("X") for
 * each stretch that a task runs on a loop, and for each park; instants for steals and marks.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rota/observe.h>

#include "core/runtime.h"
#include "observe/chrome.h"
#include "os/seam.h"

#define EVENTS_DEFAULT 65536
#define NAME_BYTES     64

/* What is known while one ring is read. */
struct reader {
	FILE *file;
	const char *separator;
	unsigned int loop;
	uint64_t running; /* task id; 0: none */
	uint64_t began_ns;
	uint64_t parked_ns; /* 0: not */
	const char *mark;
	char name[NAME_BYTES];
	unsigned int name_len; /* of what TRACE_NAME has brought so far */
};

static struct trace_ring *ring_create(const struct loop *loop, size_t events)
{
	struct trace_ring *ring = rota__alloc(sizeof(*ring));
	const struct trace_ring *before = loop_trace(loop);
	void *memory;

	if (!ring)
		return NULL;
	if (rota__map(events * sizeof(struct trace_event), &memory)) {
		rota__free(ring);
		return NULL;
	}
	ring->event = memory;
	ring->mask = events - 1;
	ring->loop = loop->index;
	ring->hash = before ? before->hash : NULL;
	ring->retired = loop->trace_ring;
	return ring;
}

static int trace_start(struct rota_runtime *rt, size_t events)
{
	size_t rounded = 64;
	int64_t now = rota_now();

	if (events > (size_t)1 << 32)
		return -ENOMEM;
	while (rounded < (events ? events : EVENTS_DEFAULT))
		rounded *= 2;
	for (uint32_t i = 0; i < rt->loop_count; i++) {
		struct trace_ring *ring = ring_create(rt->loop[i], rounded);

		if (!ring)
			return -ENOMEM;
		ring->start_ns = now;
		rt->loop[i]->trace_ring = ring;
		/* Pairs with: loop_trace(). */
		aptr_store_release(&rt->loop[i]->trace, ring);
		a32_or_acq_rel(&rt->loop[i]->watched,
			LOOP_WATCH_TRACE); /* Pairs with: task_state_set(). */
	}
	return 0;
}

/* Under simulation the events go on into the hash. */
static void trace_stop(struct rota_runtime *rt)
{
	for (uint32_t i = 0; i < rt->loop_count; i++) {
		struct loop *loop = rt->loop[i];
		struct trace_ring *first = loop->trace_ring;

		while (first && first->retired)
			first = first->retired;
		if (first && first->event)
			first = NULL;
		aptr_store_release(&loop->trace, first); /* Pairs with: loop_trace(). */
	}
}

/* Text into JSON: what must be escaped is replaced. */
static void put_text(FILE *file, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		fputc(c < 0x20 || c == '"' || c == '\\' ? '_' : c, file);
	}
}

static void put_event(struct reader *reader, const char *name, const char *category,
	uint64_t began_ns, uint64_t ended_ns, uint64_t id)
{
	fprintf(reader->file, "%s\n{\"name\":\"", reader->separator);
	put_text(reader->file, name);
	fprintf(reader->file,
		"\",\"cat\":\"%s\",\"ph\":\"X\",\"ts\":%" PRIu64 ".%03u,\"dur\":%" PRIu64
		".%03u,\"pid\":1,\"tid\":%u,\"args\":{\"id\":%" PRIu64 "}}",
		category, began_ns / 1000, (unsigned int)(began_ns % 1000),
		(ended_ns - began_ns) / 1000, (unsigned int)((ended_ns - began_ns) % 1000),
		reader->loop, id);
	reader->separator = ",";
}

static void put_instant(struct reader *reader, const char *name, uint64_t when_ns, uint64_t value)
{
	fprintf(reader->file, "%s\n{\"name\":\"", reader->separator);
	put_text(reader->file, name);
	fprintf(reader->file,
		"\",\"cat\":\"mark\",\"ph\":\"i\",\"s\":\"t\",\"ts\":%" PRIu64
		".%03u,\"pid\":1,\"tid\":%u,\"args\":{\"value\":%" PRIu64 "}}",
		when_ns / 1000, (unsigned int)(when_ns % 1000), reader->loop, value);
	reader->separator = ",";
}

/* "fetch (app.c:12)" is the task fetch, unless it has a name of its own. */
static void name_from_site(struct reader *reader, const char *site)
{
	size_t len = site ? strcspn(site, " (") : 0;

	snprintf(reader->name, sizeof(reader->name), "%.*s", (int)len, site ? site : "");
	reader->name_len = 0;
}

static void name_from_text(struct reader *reader, uint64_t value)
{
	if (reader->name_len + sizeof(value) >= sizeof(reader->name))
		return;
	memcpy(reader->name + reader->name_len, &value, sizeof(value));
	reader->name_len += sizeof(value);
	reader->name[reader->name_len] = '\0';
}

static void stretch_over(struct reader *reader, uint64_t when_ns)
{
	if (!reader->running)
		return;
	put_event(reader, reader->name[0] ? reader->name : "task", "task", reader->began_ns,
		when_ns, reader->running);
	reader->running = 0;
}

static void read_event(struct reader *reader, enum trace_type type, uint64_t when, uint64_t value)
{
	switch (type) {
	case TRACE_STATE_RUNNING:
		stretch_over(reader, when);
		reader->running = value;
		reader->began_ns = when;
		reader->name[0] = '\0';
		break;
	case TRACE_SITE:
		name_from_site(reader, (const char *)(uintptr_t)value);
		break;
	case TRACE_NAME:
		name_from_text(reader, value);
		break;
	case TRACE_STATE_SCHEDULED:
	case TRACE_STATE_SUSPENDED:
	case TRACE_STATE_DONE:
	case TRACE_STATE_ERROR:
		if (value == reader->running)
			stretch_over(reader, when);
		break;
	case TRACE_PARK:
		reader->parked_ns = when;
		break;
	case TRACE_UNPARK:
		if (reader->parked_ns)
			put_event(reader, "parked", "park", reader->parked_ns, when, 0);
		reader->parked_ns = 0;
		break;
	case TRACE_STEAL:
		put_instant(reader, "steal", when, value >> 16);
		break;
	case TRACE_MARK:
		reader->mark = (const char *)(uintptr_t)value;
		break;
	case TRACE_MARK_VALUE:
		put_instant(reader, reader->mark ? reader->mark : "mark", when, value);
		break;
	default:
		break;
	}
}

static void write_ring(struct reader *reader, const struct trace_ring *ring)
{
	/* Pairs with: rota__trace_write(). */
	uint64_t head = a64_load_acquire(&ring->head);
	/* The oldest may be under the writer's pen. */
	uint64_t at = head > ring->mask ? head - ring->mask + 8 : 0;
	uint64_t when = 0;

	reader->loop = ring->loop;
	reader->running = 0;
	reader->parked_ns = 0;
	reader->mark = NULL;
	for (; at < head; at++) {
		const struct trace_event *event = &ring->event[at & ring->mask];
		uint64_t when_type = a64_load_relaxed(&event->when_type);

		when = when_type >> 8;
		read_event(reader, (enum trace_type)(when_type & 0xff), when,
			a64_load_relaxed(&event->value));
	}
	stretch_over(reader, when);
}

static int trace_write(const struct rota_runtime *rt, const char *path)
{
	struct reader reader = { .separator = "" };
	bool any = false;
	int err;

	for (uint32_t i = 0; i < rt->loop_count; i++)
		any = any || (rt->loop[i]->trace_ring && rt->loop[i]->trace_ring->event);
	if (!any)
		return -ENODATA;
	err = rota__file_create(path, &reader.file);
	if (err)
		return err;
	fprintf(reader.file, "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[");
	for (uint32_t i = 0; i < rt->loop_count; i++) {
		fprintf(reader.file,
			"%s\n{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":%u,"
			"\"args\":{\"name\":\"loop %u\"}}",
			reader.separator, i, i);
		reader.separator = ",";
		if (rt->loop[i]->trace_ring && rt->loop[i]->trace_ring->event)
			write_ring(&reader, rt->loop[i]->trace_ring);
	}
	fprintf(reader.file, "\n]}\n");
	return rota__file_finish(reader.file);
}

int rota_trace_start(size_t events_per_loop)
{
	struct loop *self = rota__loop_self();
	struct rota_runtime *rt = rota__visit(self);
	int err;

	if (!rt)
		return rota__no_loop();
	err = trace_start(rt, events_per_loop);
	rota__visit_end(self);
	return err;
}

void rota_trace_stop(void)
{
	struct loop *self = rota__loop_self();
	struct rota_runtime *rt = rota__visit(self);

	if (!rt)
		return;
	trace_stop(rt);
	rota__visit_end(self);
}

int rota_trace_save(const char *path)
{
	struct loop *self = rota__loop_self();
	struct rota_runtime *rt = rota__visit(self);
	int err;

	if (!rt)
		return rota__no_loop();
	trace_stop(rt);
	err = trace_write(rt, path);
	rota__visit_end(self);
	return err;
}

void rota_trace_mark(const char *text, uint64_t value)
{
	struct loop *loop = rota__loop_self();
	struct trace_ring *ring = loop ? loop_trace(loop) : NULL;

	if (!ring)
		return;
	rota__trace_write(ring, TRACE_MARK, (uint64_t)(uintptr_t)text);
	rota__trace_write(ring, TRACE_MARK_VALUE, value);
}

void rota__trace_open(struct rota_runtime *rt)
{
	const char *path =
		rt->config.flags & ROTA_CONFIG_NO_ENV ? NULL : secure_getenv("ROTA_TRACE");
	int err;

	if (!path || !*path)
		return;
	err = trace_start(rt, 0);
	if (err)
		rota__log(rt, ROTA_LOG_WARNING, "ROTA_TRACE=%s: no trace: %s", path,
			rota_status_text(err));
}

void rota__trace_close(struct rota_runtime *rt)
{
	const char *path =
		rt->config.flags & ROTA_CONFIG_NO_ENV ? NULL : secure_getenv("ROTA_TRACE");
	int err = 0;

	trace_stop(rt);
	if (path && *path)
		err = trace_write(rt, path);
	if (err && err != -ENODATA)
		rota__log(rt, ROTA_LOG_WARNING, "ROTA_TRACE=%s: the trace was not written: %s",
			path, rota_status_text(err));
	for (uint32_t i = 0; i < rt->loop_count; i++) {
		struct trace_ring *ring = rt->loop[i]->trace_ring;

		aptr_store_relaxed(&rt->loop[i]->trace, NULL);
		while (ring) {
			struct trace_ring *before = ring->retired;

			if (ring->event)
				rota__unmap(ring->event, (ring->mask + 1) * sizeof(*ring->event));
			rota__free(ring);
			ring = before;
		}
		rt->loop[i]->trace_ring = NULL;
	}
}
