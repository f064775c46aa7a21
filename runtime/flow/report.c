/* SPDX-License-Identifier: MIT */
/*
 * Error reports: the failed task and the chain of those that wait for it, with names and sites.
 * Made when a task fails, while the whole chain still lives: each owner of a group outlives it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "flow/group.h"
#include "os/seam.h"

#define DEPTH_MAX 16

struct entry {
	struct rota_error error;
	char name[32];
};

struct full_report {
	struct report report;
	struct entry awaiter[DEPTH_MAX];
	char name[32];
	char message[160];
};

static void fill(struct rota_error *error, char name[32], const struct rota_task *task)
{
	rota__task_name_copy(task, name);
	error->task_id = task->id;
	error->task_name = name;
	error->site = task->site;
	error->message = "";
}

/* The report that the task was given last, if it is about `status`. */
static struct report *given_with(const struct task_extra *extra, int status)
{
	struct report *report = aptr_load_acquire(&extra->report); /* Pairs with: give(). */

	return report && report->error.status == status ? report : NULL;
}

/* Gives a task a report, for rota_error_last() and to be passed on; takes it over. */
static void give(struct rota_task *task, struct report *report)
{
	struct task_extra *extra = report ? rota__task_extra(task) : NULL;

	if (extra) {
		extra->message_status = 0; /* it was about something else */
		/* Pairs with: given_with(). */
		report = aptr_exchange_acq_rel(&extra->report, report);
	}
	rota__free(report);
}

/* Pointers of a copy that point into the original. */
static const void *moved(const void *at, const struct full_report *from, struct full_report *to)
{
	uintptr_t offset = (uintptr_t)at - (uintptr_t)from;

	return offset < sizeof(*from) ? (const char *)to + offset : at;
}

static void relocate(
	struct rota_error *error, const struct full_report *from, struct full_report *to)
{
	error->task_name = moved(error->task_name, from, to);
	error->message = moved(error->message, from, to);
	error->awaiter = moved(error->awaiter, from, to);
}

static struct report *copy_of(const struct report *report)
{
	const struct full_report *from = container_of(report, struct full_report, report);
	struct full_report *to = rota__alloc(sizeof(*to));

	if (!to)
		return NULL;
	*to = *from;
	relocate(&to->report.error, from, to);
	for (uint32_t i = 0; i < DEPTH_MAX; i++)
		relocate(&to->awaiter[i].error, from, to);
	return &to->report;
}

/* What the blocks of a task and of those around it say. */
static struct report *describe(struct rota_task *task, int status)
{
	/* Pairs with: rota__task_extra(). A canceller may have made it. */
	struct task_extra *extra = aptr_load_acquire(&task->extra);
	struct full_report *full;
	const struct rota_error **link;
	uint32_t depth = 0;

	full = rota__alloc(sizeof(*full));
	if (!full)
		return NULL;
	fill(&full->report.error, full->name, task);
	full->report.error.status = status;
	if (extra && extra->message_status == status) {
		memcpy(full->message, extra->message, sizeof(full->message));
		full->report.error.message = full->message;
	} else if (status == -ECANCELED) {
		char reason[64];

		rota__task_cancel_reason(task, reason);
		snprintf(full->message, sizeof(full->message), "%s", reason);
		full->report.error.message = full->message;
	}
	link = &full->report.error.awaiter;
	for (struct rota_task *at = task->owner->task; at && depth < DEPTH_MAX;
		at = at->owner->task) {
		struct entry *entry = &full->awaiter[depth++];

		fill(&entry->error, entry->name, at);
		entry->error.status = status;
		*link = &entry->error;
		link = &entry->error.awaiter;
	}
	full->report.error.depth = depth;
	for (uint32_t i = 0; i < depth; i++)
		full->awaiter[i].error.depth = depth - 1 - i;
	return &full->report;
}

/* What a task says of an error that it passes on comes before what was said of it. */
static void add_message(struct full_report *full, const char *message)
{
	char text[2 * sizeof(full->message) + 4];
	const char *before = full->report.error.message;

	snprintf(text, sizeof(text), "%s%s%s", message, before[0] ? ": " : "", before);
	text[sizeof(full->message) - 1] = '\0';
	memcpy(full->message, text, sizeof(full->message));
	full->report.error.message = full->message;
}

struct report *rota__report_create(struct rota_task *task, int status)
{
	/* Pairs with: rota__task_extra(). */
	struct task_extra *extra = aptr_load_acquire(&task->extra);

	struct report *report;

	if (!extra || !given_with(extra, status))
		return describe(task, status);
	/* It passes on what it was given: the story begins there. Pairs with: give(). */
	report = aptr_exchange_acq_rel(&extra->report, NULL);
	if (extra->message_status == status)
		add_message(container_of(report, struct full_report, report), extra->message);
	return report;
}

void rota__report_unjoined(struct loop *loop, const struct report *report, bool print)
{
	const struct rota_config *config = &loop->rt->config;

	a64_count(&loop->counters.errors_unjoined, 1);
	if (!report)
		return;
	if (config->on_error)
		config->on_error(config->hook_arg, &report->error);
	else if (print)
		rota_error_print(&report->error, 2);
}

void rota__report_take(struct loop *home, struct group *group, int result)
{
	/* Pairs with: rota__group_failed(). */
	struct report *report = aptr_load_acquire(&group->report);

	if (!report)
		return;
	if (report->error.status == result) {
		give(group->scope.task, report);
		return;
	}
	rota__report_unjoined(home, report, false);
	rota__free(report);
}

void rota__report_keep(struct rota_task *task, const struct report *report)
{
	struct task_extra *extra = report ? rota__task_extra(task) : NULL;

	/* Pairs with: rota__report_awaited(). */
	if (extra)
		aptr_store_release(&extra->kept, copy_of(report));
}

void rota__report_awaited(struct loop *loop, struct scope *scope, struct rota_task *task)
{
	/* Pairs with: rota__task_extra(). */
	struct task_extra *extra = aptr_load_acquire(&task->extra);
	/* Pairs with: rota__report_keep(). Its group may not have come to it: then its block. */
	const struct report *kept = extra ? aptr_load_acquire(&extra->kept) : NULL;

	(void)scope;
	give(loop->running, kept ? copy_of(kept) : describe(task, task->status));
}

const struct rota_error *rota_error_last(void)
{
	const struct rota_task *task = rota_task_self();
	const struct task_extra *extra = task ? aptr_load_relaxed(&task->extra) : NULL;
	const struct report *report = extra ? aptr_load_relaxed(&extra->report) : NULL;

	return report ? &report->error : NULL;
}

static void print_task(const struct rota_error *error, const char *how, int fd)
{
	char line[128];

	snprintf(line, sizeof(line), "  %s task %llu%s%s%s, spawned at ", how,
		(unsigned long long)error->task_id, error->task_name[0] ? " \"" : "",
		error->task_name, error->task_name[0] ? "\"" : "");
	rota__write_text(fd, line);
	rota__write_text(fd, error->site ? error->site : "an unknown place"); /* of any length */
	rota__write_text(fd, "\n");
}

void rota_error_print(const struct rota_error *error, int fd)
{
	char line[320];

	if (!error)
		return;
	snprintf(line, sizeof(line), "rota: error: %s (%s)%s%s\n", rota_status_text(error->status),
		rota_status_name(error->status), error->message[0] ? ": " : "", error->message);
	rota__write_text(fd, line);
	print_task(error, "in", fd);
	for (const struct rota_error *at = error->awaiter; at; at = at->awaiter)
		print_task(at, "awaited by", fd);
}
