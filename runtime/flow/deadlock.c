/* SPDX-License-Identifier: MIT */
/*
 * Who waits for whom: the wait-for graph of mutexes, writers, awaits and closes of groups, and the
 * names for messages. Only with ROTA_CONFIG_DEBUG, and only on the slow paths, which wait anyhow.
 *
 * A wait has an edge in the graph from before it is linked until after it is over. Whoever enters
 * one follows the edges from there, and has found a deadlock when they lead back. A lock's edge
 * leads to who holds it at that moment; an await's to the task; that of a close to each member of
 * the group that waits itself. All edges are entered, left and followed under one lock.
 *
 * No cycle is missed. Who holds what others wait for took it before it entered its own edge, so the
 * last one of a cycle to enter finds all the others there, whether they are linked in their queues
 * yet or not. A lock that is handed over later goes to somebody who then runs, without a true edge:
 * it has to enter another one to close a cycle.
 *
 * No cycle is made up. Edges may be stale for a while: the wait is over, its task has not run yet.
 *
 *	A lock was handed over to the waiter, or taken by it before it queued: then the holder that
 *	is read is the waiter itself, and its edge leads nowhere. It cannot let go of the lock while
 *	somebody searches, since it has to leave its edge first.
 *	A cancel, or the end of the task or members that were waited for, was there first: then the
 *	wait is claimed, or the task is on its way to run (SCHEDULED).
 *	A cancel is on its way: whoever asked for it has left a mark before that call returned, on
 *	the waiter, on one of its scopes and groups, or on an owner above it. Then an edge that can
 *	be cancelled counts for nothing, also where the search starts. So a task may cancel another
 *	one and await it while it holds what that waits for. (Behind a shield the mark says too
 *	much: there a cycle may be missed.)
 *
 * In a cycle every holder has an edge of its own, so it is between entering and leaving, and lets
 * go of nothing: what was read of it holds for all of the search. A member with an edge has not
 * ended. So all edges of the cycle are true at one moment, the end of the search.
 *
 * Tasks are looked into only where an edge says that they wait: they live until they have left it.
 * Edges are looked up by address, never ordered by it: the search goes in the order of entering.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "flow/deadlock.h"
#include "flow/group.h"
#include "flow/sync.h"
#include "os/seam.h"

#define BUCKETS 1024 /* a power of two */

static struct {
	pthread_mutex_t lock;
	struct list edges;	      /* L(lock), as all below; in the order of entering */
	struct edge *bucket[BUCKETS]; /* by waiter */
	uint64_t searches;
} graph = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.edges = { &graph.edges, &graph.edges },
};

/* Texts. */

struct text {
	size_t len;
	char text[4096];
};

static ROTA__FORMAT(2, 3) void add(struct text *text, const char *format, ...)
{
	size_t room = sizeof(text->text) - text->len;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text->text + text->len, room, format, args);
	va_end(args);
	if (n > 0)
		text->len += (size_t)n < room ? (size_t)n : room - 1;
}

/* A task that lives: the caller, or one that waits. */
static void add_who(struct text *text, uintptr_t who)
{
	const struct rota_task *task = who_task(who);
	char name[32];

	if (!task) {
		add(text, "a plain thread");
		return;
	}
	rota__task_name_copy(task, name);
	add(text, "task %llu%s%s%s of %s", (unsigned long long)task->id, name[0] ? " \"" : "", name,
		name[0] ? "\"" : "", task->site);
}

/* A holder that may end at any moment: no name, which goes with it. */
static void add_holder(struct text *text, uintptr_t holder)
{
	const struct loop *self = rota__loop_self();
	const struct rota_task *task = who_task(holder);

	/* The block stays as long as the runtime does. */
	if (!task)
		add(text, ", a plain thread holds it");
	else if (!rota__visit(self))
		add(text, ", a task holds it");
	else
		add(text, ", task %llu of %s holds it", (unsigned long long)task->id, task->site);
}

void rota__sync_die(
	const char *what, const void *object, const char *misuse, uintptr_t who, uintptr_t holder)
{
	struct text *text = rota__alloc(sizeof(*text));

	if (text) {
		add(text, "rota: %s %p %s: ", what, object, misuse);
		add_who(text, who);
		if (holder && holder != who)
			add_holder(text, holder);
		add(text, "\n");
		rota__write_text(2, text->text);
	} else {
		rota__write_text(2, "rota: misuse of a lock\n");
	}
	abort();
}

/* The graph. L(graph.lock). */

static struct edge **bucket_of(uintptr_t who)
{
	return &graph.bucket[(who >> 7 ^ who >> 17) & (BUCKETS - 1)];
}

static void link_edge(struct edge *edge)
{
	struct edge **bucket = bucket_of(edge->waiter);

	edge->same = *bucket;
	*bucket = edge;
	list_add_tail(&graph.edges, &edge->list);
	edge->linked = true;
}

static void unlink_edge(struct edge *edge)
{
	struct edge **at = bucket_of(edge->waiter);

	while (*at != edge)
		at = &(*at)->same;
	*at = edge->same;
	list_remove(&edge->list);
	edge->linked = false;
}

/* What `who` waits for, or NULL. */
static struct edge *edge_of(uintptr_t who)
{
	struct edge *edge = *bucket_of(who);

	while (edge && edge->waiter != who)
		edge = edge->same;
	return edge;
}

/* Whether somebody has asked to cancel what is in this scope: a group has `ended`, see group.c. */
static bool is_marked(const struct scope *scope)
{
	const struct group *group;

	if (!scope->ops->ended)
		return a32_load_relaxed(&scope->word) & (SCOPE_CANCELLED | SCOPE_TIMED_OUT);
	group = container_of((struct scope *)(uintptr_t)scope, struct group, scope);
	return a32_load_relaxed(&group->causes) & ~CAUSE_OUTSIDE;
}

/*
 * Outwards from a task that waits. Its own scopes are as it left them; those around its group stay
 * open as long as it lives. What others change in them is atomic.
 */
static bool cancel_is_coming(const struct rota_task *task)
{
	const struct scope *scope = task->fiber->scopes;

	for (; task; task = scope->task) {
		for (; scope; scope = scope->outer)
			if (is_marked(scope))
				return true;
		if (a32_load_relaxed(&task->flags) & (TASK_CANCELLED | TASK_BY_ITSELF))
			return true;
		scope = task->owner; /* the runtime's own, of no task, is the last */
	}
	return false;
}

/* Whether the wait of an edge may last; but for a lock that was handed over, see follow(). */
static bool is_waiting(const struct edge *edge)
{
	const struct rota_task *task = who_task(edge->waiter);

	if (edge->wait && claim_winner(&edge->wait->claim))
		return false;
	if (!task)
		return true;
	if (task_state(task) == ROTA_TASK_SCHEDULED)
		return false;
	return !(edge->cancelable && cancel_is_coming(task));
}

struct search {
	struct edge *start;
	struct edge *last; /* of those found so far, in order; start is the first */
};

/* The search has come from one edge to another: true when that closes a cycle. */
static bool reach(struct search *search, struct edge *from, struct edge *to)
{
	if (to == search->start) {
		to->from = from;
		return true;
	}
	if (to->seen == graph.searches)
		return false;
	to->seen = graph.searches;
	to->from = from;
	to->next = NULL;
	search->last->next = to;
	search->last = to;
	return false;
}

static bool reach_members(struct search *search, struct edge *from)
{
	for (struct list *at = graph.edges.next; at != &graph.edges; at = at->next) {
		struct edge *edge = container_of(at, struct edge, list);
		const struct rota_task *task = who_task(edge->waiter);

		if (task && task->owner == from->target && reach(search, from, edge))
			return true;
	}
	return false;
}

/* On from an edge: true when that closes a cycle. */
static bool follow(struct search *search, struct edge *from)
{
	uintptr_t who;
	struct edge *edge;

	if (!is_waiting(from))
		return false;
	if (from->kind == EDGE_GROUP)
		return reach_members(search, from);
	who = from->kind == EDGE_TASK ? (uintptr_t)from->target : from->holder(from->target);
	if (!who || who == from->waiter)
		return false;
	edge = edge_of(who);
	return edge && reach(search, from, edge);
}

/* Whether the edge closes a cycle, which is then linked by `from`, backwards. */
static bool closes_cycle(struct edge *start)
{
	struct search search = { .start = start, .last = start };

	graph.searches++;
	start->next = NULL;
	for (struct edge *at = start; at; at = at->next)
		if (follow(&search, at))
			return true;
	return false;
}

static void add_link(struct text *text, const struct edge *edge)
{
	static const char *const lock[] = { [EDGE_MUTEX] = "mutex", [EDGE_RWLOCK] = "rwlock" };
	const struct scope *group = edge->target;

	if (edge->kind == EDGE_TASK)
		add(text, " awaits ");
	else if (edge->kind == EDGE_GROUP)
		add(text, " closes the group %s and waits for its member ", group->site);
	else
		add(text, " waits for %s %p held by ", lock[edge->kind], edge->target);
}

/* The cycle in words: everybody in it, and what they wait for. */
static void describe(struct text *text, struct edge *start)
{
	struct edge *next = start;

	/* Turns the links round. */
	for (struct edge *at = start->from; at != start; at = at->from) {
		at->next = next;
		next = at;
	}
	start->next = next;
	add(text, "deadlock: ");
	add_who(text, start->waiter);
	add_link(text, start);
	for (struct edge *at = start->next; at != start; at = at->next) {
		add_who(text, at->waiter);
		add(text, ", which");
		add_link(text, at);
	}
	if (who_task(start->waiter))
		add(text, "task %llu", (unsigned long long)who_task(start->waiter)->id);
	else
		add(text, "the first thread");
}

/* rota__log() would cut it. */
static void say(const struct loop *loop, const struct text *text)
{
	struct rota_runtime *rt = rota__visit(loop);
	void (*on_log)(void *, int, const char *) = rt ? rt->config.on_log : NULL;
	void *arg = rt ? rt->config.hook_arg : NULL;

	if (rt)
		rota__visit_end(loop);
	if (on_log) {
		on_log(arg, ROTA_LOG_ERROR, text->text);
		return;
	}
	rota__write_text(2, "rota: ");
	rota__write_text(2, text->text);
	rota__write_text(2, "\n");
}

static bool is_watched(const struct loop *loop)
{
	struct rota_runtime *rt;
	bool watched;

	if (loop)
		return a32_load_relaxed(&loop->watched) & LOOP_WATCH_DEBUG;
	rt = rota__visit(NULL);
	if (!rt)
		return false;
	watched = rt->config.flags & ROTA_CONFIG_DEBUG;
	rota__visit_end(NULL);
	return watched;
}

int rota__deadlock_enter(struct loop *loop, struct edge *edge)
{
	struct text *text = NULL;
	bool found;

	if (likely(!is_watched(loop)))
		return 0;
	pthread_mutex_lock(&graph.lock);
	link_edge(edge);
	found = closes_cycle(edge);
	if (found) {
		text = rota__alloc(sizeof(*text));
		if (text)
			describe(text, edge);
		unlink_edge(edge);
	}
	pthread_mutex_unlock(&graph.lock);
	if (!found)
		return 0;
	if (text)
		say(loop, text);
	rota__free(text);
	if (!edge->cancelable)
		abort();
	return -EDEADLK;
}

void rota__deadlock_unlink(struct edge *edge)
{
	pthread_mutex_lock(&graph.lock);
	unlink_edge(edge);
	pthread_mutex_unlock(&graph.lock);
}

int rota__deadlock_await(struct loop *loop, struct rota_task *task,
	int (*wait)(struct loop *loop, struct rota_task *task))
{
	struct edge edge = {
		.kind = EDGE_TASK,
		.waiter = who_calls(loop),
		.target = task,
		.cancelable = true,
	};
	int err = rota__deadlock_enter(loop, &edge);

	if (err)
		return err;
	err = wait(loop, task);
	rota__deadlock_leave(&edge);
	return err;
}
