/* SPDX-License-Identifier: MIT */
/* Shared waits: blocking on one, waking it. */
#include "core/runtime.h"
#include "os/seam.h"

void rota__shared_wait_abort(struct loop *loop, struct wait *wait)
{
	struct shared_wait *shared = container_of(wait, struct shared_wait, wait);

	if (claim_take(&shared->claim, WAIT_BY_CANCEL))
		rota__loop_ready(loop, wait->task);
}

uint32_t rota__shared_wait_block(struct loop *loop, struct shared_wait *wait)
{
	if (likely(wait->wait.task != NULL)) {
		rota__task_suspend(loop, &wait->wait);
	} else {
		/* Pairs with: rota__shared_wait_wake(). */
		while (!a32_load_acquire(&wait->woken))
			rota__futex_wait(&wait->woken, 0);
	}
	return claim_winner(&wait->claim);
}

uint32_t rota__shared_wait_block_until(struct shared_wait *wait, int64_t when_ns, uint32_t source)
{
	bool over = false;

	/* Pairs with: rota__shared_wait_wake(). */
	while (!a32_load_acquire(&wait->woken)) {
		int64_t left_ns;

		if (over) {
			rota__futex_wait(&wait->woken, 0); /* who was faster is about to wake us */
			continue;
		}
		left_ns = when_ns - rota_now();
		/* A simulated clock may stand still meanwhile: what counts is that we waited. */
		over = left_ns <= 0 || !rota__futex_wait_for(&wait->woken, 0, left_ns);
		if (over && claim_take(&wait->claim, source))
			return source;
	}
	return claim_winner(&wait->claim);
}

void rota__shared_wait_wake(struct loop *loop, struct shared_wait *wait)
{
	struct rota_task *task = wait->wait.task;
	struct loop *home;
	struct loop *self;

	if (!task) {
		/* Pairs with: rota__shared_wait_block(). The word may be gone after the store. */
		a32_store_release(&wait->woken, 1);
		rota__futex_wake(&wait->woken, 1);
		return;
	}
	home = task_loop(task);
	if (home == loop) {
		rota__loop_ready(loop, task);
	} else if (loop) {
		rota__loop_send(loop, home, &task->link, INBOX_TASK);
	} else {
		/*
		 * The runtime stays until the task has run, and for us until the visit is over. On
		 * the thread of a loop it stays anyhow.
		 */
		self = rota__loop_self();
		if (!rota__visit(self))
			return; /* the child of a fork(): that task is not in this process */
		rota__loop_send(NULL, home, &task->link, INBOX_TASK);
		rota__visit_end(self);
	}
}
