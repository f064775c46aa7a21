/* SPDX-License-Identifier: MIT */
/*
 * Work from elsewhere: the overflow list that all loops share, and the deques of the others,
 * nearest first (order from hwloc), the last successful victim before all.
 *
 * Only tasks that have not started are ever taken (law L2).
 */
#include "core/runtime.h"

#define STEAL_MAX 32 /* items at once */

void rota__overflow_push(struct loop *from, struct rota_runtime *rt, struct rota_task *task)
{
	spin_lock(&rt->overflow.lock);
	task_queue_push(&rt->overflow.queue, task);
	a32_store_relaxed(&rt->overflow.count, a32_load_relaxed(&rt->overflow.count) + 1);
	spin_unlock(&rt->overflow.lock);
	/* Pairs with: park_begin(). */
	fence_seq_cst();
	rota__loop_wake_any(from, rt);
}

struct rota_task *rota__overflow_pop(struct loop *loop, unsigned int more)
{
	struct rota_runtime *rt = loop->rt;
	struct rota_task *first;
	uint32_t count;

	if (likely(!a32_load_relaxed(&rt->overflow.count)))
		return NULL;
	spin_lock(&rt->overflow.lock);
	count = a32_load_relaxed(&rt->overflow.count);
	first = task_queue_pop(&rt->overflow.queue);
	count -= first != NULL;
	for (; more && rt->overflow.queue.head; more--) {
		if (!deque_push(&loop->fresh, rt->overflow.queue.head))
			break;
		task_queue_pop(&rt->overflow.queue);
		count--;
	}
	a32_store_relaxed(&rt->overflow.count, count);
	spin_unlock(&rt->overflow.lock);
	return first;
}

void rota__loop_wake_any(struct loop *from, struct rota_runtime *rt)
{
	if (likely(!park_wanted(&rt->idle)))
		return;
	for (uint32_t i = 0; i < rt->loop_count; i++) {
		/* Nearest first; a plain thread has no near. */
		uint32_t index = from && i < rt->loop_count - 1 ? from->order[i] : i;
		struct loop *loop = rt->loop[index];

		if (loop == from || !park_claim_any(&rt->idle, &loop->parker))
			continue;
		if (from)
			a64_count(&from->counters.wakes, 1);
		rt->backend->wake(from ? from->port : NULL, loop->port);
		return;
	}
}

/* Takes from one victim: the oldest is the result, the others go into the own deque. */
static struct rota_task *steal_from(struct loop *loop, struct loop *victim)
{
	void *items[STEAL_MAX];
	unsigned int n = deque_steal(&victim->fresh, items, STEAL_MAX);

	if (n == 0)
		return NULL;
	for (unsigned int i = 1; i < n; i++)
		if (!deque_push(&loop->fresh, items[i]))
			rota__overflow_push(loop, loop->rt, items[i]);
	a64_count(&loop->counters.stolen, n);
	if (loop_trace(loop))
		rota__trace_write(loop_trace(loop), TRACE_STEAL, (uint64_t)n << 16 | victim->index);
	if (n > 1)
		deque_publish(&loop->fresh);
	/*
	 * Pairs with: park_begin(). Whoever steals wakes one more, always: a publish of many items
	 * wakes one loop only. A loop that is counted as a searcher does so in search_over().
	 */
	fence_seq_cst();
	if (!loop->searching)
		rota__loop_wake_any(loop, loop->rt);
	return items[0];
}

struct rota_task *rota__loop_steal(struct loop *loop)
{
	struct rota_runtime *rt = loop->rt;
	uint32_t others = rt->loop_count - 1;

	for (uint32_t i = 0; i < others; i++) {
		uint32_t at = (i + loop->last_victim) % others;
		struct rota_task *task = steal_from(loop, rt->loop[loop->order[at]]);

		if (!task)
			continue;
		loop->last_victim = (uint16_t)at;
		return task;
	}
	return NULL;
}

bool rota__loop_look(struct loop *loop, bool ask)
{
	struct rota_runtime *rt = loop->rt;
	bool found = a32_load_relaxed(&rt->overflow.count) != 0;

	for (uint32_t i = 0; i + 1 < rt->loop_count && !found; i++) {
		struct deque *fresh = &rt->loop[loop->order[i]]->fresh;

		found = deque_has_shared(fresh);
		if (!found && ask)
			deque_ask(fresh);
	}
	return found;
}
