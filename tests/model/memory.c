/* SPDX-License-Identifier: MIT */
/*
 * Model memory: a store buffer a thread, and the accesses of the shim on it.
 *
 * tso: a buffer is first in, first out; a read-modify-write or fence waits until it is empty. This
 * is x86. weak: stores become visible in any order, but a release one not before older ones and two
 * to one cell in order; a read-modify-write reads memory at once, while what it writes goes into
 * the buffer and locks the cell until it is visible: later loads and stores pass it, as they do on
 * aarch64 without LSE. weak has every behaviour of tso. Neither moves a load: see README.md.
 */
#include <string.h>

#include "engine.h"

static uint64_t cell_read(const void *cell, size_t size)
{
	uint64_t wide;
	uint32_t narrow;

	if (size == sizeof(wide)) {
		memcpy(&wide, cell, sizeof(wide));
		return wide;
	}
	memcpy(&narrow, cell, sizeof(narrow));
	return narrow;
}

static void cell_write(void *cell, size_t size, uint64_t value)
{
	uint32_t narrow = (uint32_t)value;

	if (size == sizeof(value))
		memcpy(cell, &value, sizeof(value));
	else
		memcpy(cell, &narrow, sizeof(narrow));
}

/* Changes memory: who waits for that looks again, and the invariants must hold. */
static void memory_write(const struct thread *by, void *cell, size_t size, uint64_t value)
{
	if (cell_read(cell, size) == value)
		return;
	cell_write(cell, size, value);
	for (unsigned int i = 0; i < engine.threads; i++)
		if (&engine.thread[i] != by)
			engine.thread[i].stale = false;
	if (engine.script->always)
		engine.script->always();
}

static bool locked_by_other(const struct thread *thread, const void *cell)
{
	if (engine.memory == MEMORY_TSO)
		return false;
	for (unsigned int i = 0; i < engine.threads; i++) {
		const struct thread *other = &engine.thread[i];

		if (other == thread)
			continue;
		for (unsigned int j = 0; j < other->stores; j++)
			if (other->buffer[j].locks && other->buffer[j].cell == cell)
				return true;
	}
	return false;
}

static const struct entry *newest_store(const struct thread *thread, const void *cell)
{
	for (unsigned int i = thread->stores; i-- > 0;)
		if (thread->buffer[i].cell == cell)
			return &thread->buffer[i];
	return NULL;
}

bool memory_flushable(const struct thread *thread, unsigned int entry)
{
	const struct entry *e = &thread->buffer[entry];

	if (engine.memory == MEMORY_TSO)
		return entry == 0;
	if (e->ordered && entry > 0)
		return false;
	for (unsigned int i = 0; i < entry; i++)
		if (thread->buffer[i].cell == e->cell)
			return false;
	/* What locks is never behind another of its cell, so this cannot close a circle. */
	return !locked_by_other(thread, e->cell);
}

void memory_flush(struct thread *thread, unsigned int entry)
{
	struct entry e = thread->buffer[entry];

	if (engine.tracing)
		report_flush(thread, &e);
	if (e.adds)
		e.value += cell_read(e.cell, e.size);
	thread->stores--;
	memmove(&thread->buffer[entry], &thread->buffer[entry + 1],
		(thread->stores - entry) * sizeof(e));
	memory_write(thread, e.cell, e.size, e.value);
}

static void buffer_append(struct thread *thread, struct entry entry)
{
	thread->buffer[thread->stores++] = entry;
}

static bool update_ready(const struct thread *thread)
{
	const struct op *op = &thread->op;

	if (engine.memory == MEMORY_TSO || op->order == MODEL_RELEASE ||
		op->order == MODEL_ACQ_REL) {
		if (thread->stores != 0)
			return false;
	} else if (thread->stores == BUFFER_MAX || newest_store(thread, op->cell)) {
		return false;
	}
	if (!locked_by_other(thread, op->cell))
		return true;
	/* Bound to fail, it writes nothing: it may do so while another's write is on its way. */
	return op->kind == OP_CAS && cell_read(op->cell, op->size) != op->expected;
}

/* Whether the thread's op can be done now. */
bool memory_ready(const struct thread *thread)
{
	switch (thread->op.kind) {
	case OP_LOAD:
		return true;
	case OP_STORE:
		return thread->stores < BUFFER_MAX;
	case OP_CAS:
	case OP_UPDATE:
		return update_ready(thread);
	case OP_FENCE:
		return thread->stores == 0;
	case OP_WAIT:
		return thread->token != 0;
	case OP_RELAX:
		return !thread->stale;
	case OP_END:
		break;
	}
	return false;
}

/* Has the thread's op chosen, and notes which kind of access its last one is. */
static struct thread *chosen(const struct op *op)
{
	struct thread *thread = engine.self;

	thread->op = *op;
	explorer_schedule();
	thread->after_rmw = op->kind == OP_CAS || op->kind == OP_UPDATE;
	/* What reads nothing is remembered too: where a thread stands is part of the state. */
	if (op->kind != OP_LOAD && !thread->after_rmw)
		explorer_remember(thread, op->kind);
	return thread;
}

uint64_t model_load(const void *cell, size_t size, enum model_order order)
{
	struct op op = {
		.kind = OP_LOAD, .order = order, .cell = (void *)(uintptr_t)cell, .size = size
	};
	const struct entry *own;
	struct thread *thread;
	uint64_t value;

	if (!engine.self)
		return cell_read(cell, size);
	thread = chosen(&op);
	own = newest_store(thread, cell);
	value = own ? own->value : cell_read(cell, size);
	explorer_remember(thread, value);
	if (engine.tracing)
		report_access(thread, &op, value, true);
	return value;
}

uint64_t model_view(const void *cell, size_t size)
{
	const struct entry *own = engine.self ? newest_store(engine.self, cell) : NULL;

	return own ? own->value : cell_read(cell, size);
}

void model_store(void *cell, size_t size, uint64_t value, enum model_order order)
{
	struct op op = {
		.kind = OP_STORE, .order = order, .cell = cell, .size = size, .value = value
	};
	struct thread *thread = engine.self;

	if (!thread) {
		cell_write(cell, size, value);
		return;
	}
	/* Into the own buffer: nobody can tell when, so no choice unless the buffer is full. */
	if (thread->stores == BUFFER_MAX)
		chosen(&op);
	thread->after_rmw = false;
	buffer_append(thread, (struct entry){ .cell = cell,
				      .value = value,
				      .size = (uint8_t)size,
				      .ordered = order == MODEL_RELEASE });
	if (engine.tracing)
		report_access(thread, &op, 0, true);
}

static void update_write(struct thread *thread, const struct op *op, uint64_t value)
{
	if (engine.memory == MEMORY_TSO) {
		memory_write(thread, op->cell, op->size, value);
		return;
	}
	/* The buffer is empty if it is a release: nothing older is left to be ordered after. */
	buffer_append(thread, (struct entry){ .cell = op->cell,
				      .value = value,
				      .size = (uint8_t)op->size,
				      .locks = true });
}

bool model_cas(
	void *cell, size_t size, uint64_t *expected, uint64_t desired, enum model_order order)
{
	struct op op = { .kind = OP_CAS,
		.order = order,
		.cell = cell,
		.size = size,
		.value = desired,
		.expected = *expected };
	struct thread *thread;
	uint64_t old;
	bool done;

	if (!engine.self) {
		old = cell_read(cell, size);
		done = old == *expected;
		if (done)
			cell_write(cell, size, desired);
		*expected = old;
		return done;
	}
	thread = chosen(&op);
	old = cell_read(cell, size);
	done = old == op.expected;
	explorer_remember(thread, old);
	if (engine.tracing)
		report_access(thread, &op, old, done);
	if (done)
		update_write(thread, &op, desired);
	*expected = old;
	return done;
}

uint64_t model_update(
	void *cell, size_t size, enum model_update update, uint64_t value, enum model_order order)
{
	struct op op = { .kind = OP_UPDATE,
		.order = order,
		.update = update,
		.cell = cell,
		.size = size,
		.value = value };
	struct thread *thread = NULL;
	uint64_t old;

	if (engine.self)
		thread = chosen(&op);
	old = cell_read(cell, size);
	if (update == MODEL_ADD)
		op.value = size == sizeof(uint32_t) ? (uint32_t)(old + value) : old + value;
	else if (update == MODEL_OR)
		op.value = old | value;
	if (!thread) {
		cell_write(cell, size, op.value);
		return old;
	}
	explorer_remember(thread, old);
	if (engine.tracing)
		report_access(thread, &op, old, true);
	update_write(thread, &op, op.value);
	return old;
}

void model_fence(void)
{
	struct op op = { .kind = OP_FENCE };
	struct thread *thread = engine.self;

	if (!thread)
		return;
	if (thread->stores)
		chosen(&op);
	thread->after_rmw = false;
	if (engine.tracing)
		report_access(thread, &op, 0, true);
}

void model_fence_after_rmw(void)
{
	struct thread *thread = engine.self;

	if (!thread)
		return;
	/* In tso the buffer is then empty: this is the whole of what x86 does here. */
	model_check(thread->after_rmw, "fence_after_rmw() not directly after a read-modify-write");
	if (engine.memory == MEMORY_TSO)
		model_check(thread->stores == 0, "fence_after_rmw() with stores in the buffer");
	model_fence();
}

void model_relax(void)
{
	struct op op = { .kind = OP_RELAX };

	if (!engine.self)
		return;
	engine.self->stale = true;
	chosen(&op);
	if (engine.tracing)
		report_access(engine.self, &op, 0, true);
}

void model_wait(void)
{
	struct op op = { .kind = OP_WAIT };
	struct thread *thread = chosen(&op);

	thread->token--;
	if (engine.tracing)
		report_access(thread, &op, 0, true);
}

void model_post(unsigned int to)
{
	struct op op = { .kind = OP_STORE, .order = MODEL_RELEASE };
	struct thread *thread = engine.self;

	op.cell = &engine.thread[to].token;
	op.size = sizeof(engine.thread[to].token);
	op.value = 1;
	if (thread->stores == BUFFER_MAX)
		chosen(&op);
	thread->after_rmw = false;
	buffer_append(thread, (struct entry){ .cell = op.cell,
				      .value = 1,
				      .size = sizeof(engine.thread[to].token),
				      .ordered = true,
				      .adds = true });
	if (engine.tracing)
		report_access(thread, &op, 0, true);
}
