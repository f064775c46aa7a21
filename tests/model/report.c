/* SPDX-License-Identifier: MIT */
/*
 * Writes an execution for people: a line an access, a line a store that becomes visible. The
 * execution is run once more for it; nothing is recorded while exploring.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine.h"

#define NAMES_MAX 128

static struct name {
	const void *cell;
	model_format_fn *format;
	char name[28];
} names[NAMES_MAX];
static unsigned int names_count;

void model_name(const void *cell, model_format_fn *format, const char *name, ...)
{
	struct name *n = &names[names_count];
	va_list args;

	if (names_count == NAMES_MAX)
		return;
	names_count++;
	n->cell = cell;
	n->format = format;
	va_start(args, name);
	vsnprintf(n->name, sizeof(n->name), name, args);
	va_end(args);
}

static const struct name *name_of(const void *cell)
{
	static struct name token;

	for (unsigned int i = 0; i < names_count; i++)
		if (names[i].cell == cell)
			return &names[i];
	for (unsigned int i = 0; i < engine.threads; i++) {
		if (cell == &engine.thread[i].token) {
			snprintf(token.name, sizeof(token.name), "token of %s",
				engine.thread[i].spec->name);
			return &token;
		}
	}
	snprintf(token.name, sizeof(token.name), "cell %p", cell);
	return &token;
}

static const char *value_of(const struct name *name, uint64_t value, char *out, size_t size)
{
	if (name->format)
		name->format(out, size, value);
	else
		snprintf(out, size, "%#llx", (unsigned long long)value);
	return out;
}

static void report_line(const struct thread *thread, const char *op, const char *text)
{
	printf("%5u  %-10s %-18s %s\n", ++engine.lines, thread->spec->name, op, text);
}

void model_note(const char *format, ...)
{
	char text[128];
	va_list args;

	if (!engine.tracing || !engine.self)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	printf("       %-10s -- %s\n", engine.self->spec->name, text);
}

static const char *op_name(const struct op *op)
{
	static const char *const kinds[] = {
		[OP_LOAD] = "load",
		[OP_STORE] = "store",
		[OP_CAS] = "cas",
		[OP_UPDATE] = "update",
		[OP_FENCE] = "fence",
		[OP_WAIT] = "wakes",
		[OP_RELAX] = "looks again",
		[OP_END] = "end",
	};
	static const char *const updates[] = {
		[MODEL_EXCHANGE] = "exchange",
		[MODEL_ADD] = "add",
		[MODEL_OR] = "or",
	};

	return op->kind == OP_UPDATE ? updates[op->update] : kinds[op->kind];
}

void report_access(const struct thread *thread, const struct op *op, uint64_t old, bool done)
{
	static const char *const orders[] = {
		[MODEL_RELAXED] = "relaxed",
		[MODEL_ACQUIRE] = "acquire",
		[MODEL_RELEASE] = "release",
		[MODEL_ACQ_REL] = "acq_rel",
	};
	const struct name *name = name_of(op->cell);
	char from[48], to[48], how[32], text[192];

	if (!op->cell) {
		report_line(thread, op_name(op), "");
		return;
	}
	value_of(name, old, from, sizeof(from));
	value_of(name, op->value, to, sizeof(to));
	snprintf(how, sizeof(how), "%s %s", op_name(op), orders[op->order]);
	if (op->kind == OP_LOAD)
		snprintf(text, sizeof(text), "%-20s is %s", name->name, from);
	else if (op->kind == OP_STORE)
		snprintf(text, sizeof(text), "%-20s := %s, in the buffer", name->name, to);
	else if (!done)
		snprintf(text, sizeof(text), "%-20s is %s: fails", name->name, from);
	else
		snprintf(text, sizeof(text), "%-20s %s -> %s%s", name->name, from, to,
			engine.memory == MEMORY_WEAK ? ", in the buffer" : "");
	report_line(thread, how, text);
}

void report_flush(const struct thread *thread, const struct entry *entry)
{
	const struct name *name = name_of(entry->cell);
	char value[48], text[96];

	snprintf(text, sizeof(text), "%-20s = %s", name->name,
		value_of(name, entry->value, value, sizeof(value)));
	report_line(thread, "  becomes visible", text);
}

/* Runs engine.path once more, in words, and says how to see it again. */
void report_schedule(const char *program, bool replayed)
{
	names_count = 0;
	if (engine.script->names)
		engine.script->names();
	printf("       thread     access             cell and value\n");
	engine.tracing = true;
	engine.replaying = true;
	engine.left = NO_BOUND;
	explorer_execute();
	engine.tracing = false;
	if (engine.outcome == OUTCOME_FAILED)
		printf("violation: %s\n", engine.failure);
	else
		printf("no violation\n");
	if (replayed)
		return;
	printf("replay: %s --memory %s%s%s %s --replay ", program,
		engine.memory == MEMORY_TSO ? "tso" : "weak", engine.mutant ? " --mutant " : "",
		engine.mutant ? engine.mutant : "", engine.script->name);
	for (unsigned int i = 0; i < engine.depth; i++)
		printf("%s%u", i ? "," : "", engine.path[i].taken);
	printf("\n");
}
