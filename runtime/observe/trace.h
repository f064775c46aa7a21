/* SPDX-License-Identifier: MIT */
/*
 * The event writer: a ring of 16-byte events per loop, written by its thread only. Knows base/ and
 * os/ only. Readers (observe/chrome.c) come when it is stopped.
 */
#ifndef ROTA_OBSERVE_TRACE_H
#define ROTA_OBSERVE_TRACE_H

#include "base/atomic.h"

enum trace_type {
	TRACE_NONE = 0,
	TRACE_STATE_CREATED = 1, /* 1 + enum rota_task_state; value: task id */
	TRACE_STATE_SCHEDULED = 2,
	TRACE_STATE_RUNNING = 3,
	TRACE_STATE_SUSPENDED = 4,
	TRACE_STATE_DONE = 5,
	TRACE_STATE_ERROR = 6,
	TRACE_SITE = 7,	     /* value: const char *, the site of the task of the event before */
	TRACE_NAME = 8,	     /* value: 8 characters of its name; up to four of them */
	TRACE_STEAL = 9,     /* value: number << 16 | victim */
	TRACE_SUBMIT = 10,   /* value: op code */
	TRACE_COMPLETE = 11, /* value: the result, sign-extended */
	TRACE_PARK = 12,
	TRACE_UNPARK = 13,
	TRACE_MARK = 14,       /* value: const char * */
	TRACE_MARK_VALUE = 15, /* value of the mark before */
};

/* Relaxed atomics: a reader may come while the last event is being written. */
struct trace_event {
	struct a64 when_type; /* ns since the start of the trace << 8 | enum trace_type */
	struct a64 value;
};

struct trace_ring {
	int64_t start_ns;
	struct a64 head; /* events written so far */
	uint64_t mask;	 /* capacity - 1 */
	uint64_t *hash;	 /* simulation: where every event is mixed in; else NULL */
	uint16_t loop;
	struct trace_event *event;  /* NULL: for the hash only */
	struct trace_ring *retired; /* the one before, freed with the runtime */
};

void rota__trace_write(struct trace_ring *ring, enum trace_type type, uint64_t value);
/* A transition of a task; with RUNNING also its site, which names it. */
void rota__trace_state(struct trace_ring *ring, uint64_t id, unsigned int state, const char *site);
void rota__trace_name(struct trace_ring *ring, const char *name);

#endif
