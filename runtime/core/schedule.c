/* SPDX-License-Identifier: MIT */
/* Making a new task runnable where that is not a push into the loop's own deque. */
#include "core/create.h"

/* Idle loops wait for this one's next spawn: shares everything and wakes one of them. */
void rota__task_answer_request(struct loop *loop)
{
	deque_publish(&loop->fresh);
	/* Pairs with: park_begin(). */
	fence_after_rmw();
	rota__loop_wake_any(loop, loop->rt);
}

void rota__task_schedule_slow(struct loop *loop, struct rota_runtime *rt, struct rota_task *task)
{
	struct loop *bound = task_loop(task);

	if (!bound) {
		/* The ring is full: whatever is in it is for everybody now, asked for or not. */
		if (loop && !deque_asked(&loop->fresh))
			deque_publish(&loop->fresh);
		else if (loop)
			rota__task_answer_request(loop);
		rota__overflow_push(loop, rt, task);
	} else if (bound == loop) {
		task_queue_push(&loop->ready, task);
	} else {
		rota__loop_send(loop, bound, &task->link, INBOX_TASK);
	}
}
