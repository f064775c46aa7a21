/* SPDX-License-Identifier: MIT */
/* Sleeping. */
#include <errno.h>

#include "core/runtime.h"

struct sleep_wait {
	struct wait wait;
	struct timer timer;
};

static void sleep_over(struct loop *loop, struct timer *timer)
{
	struct sleep_wait *sleep = container_of(timer, struct sleep_wait, timer);

	rota__loop_ready(loop, sleep->wait.task);
}

static void sleep_abort(struct loop *loop, struct wait *wait)
{
	struct sleep_wait *sleep = container_of(wait, struct sleep_wait, wait);

	rota__timer_clear(&loop->timers, &sleep->timer);
	wait->result = -ECANCELED;
	rota__loop_ready(loop, wait->task);
}

static const struct wait_kind sleep_kind = { .name = "sleep", .abort = sleep_abort };

static int sleep_until(struct loop *loop, int64_t when_ns)
{
	struct sleep_wait sleep = {
		.wait = { .kind = &sleep_kind, .task = loop->running },
		.timer = { .fire = sleep_over },
	};
	int err;

	if (when_ns != ROTA_FOREVER) {
		err = rota__timer_set(&loop->timers, &sleep.timer, when_ns);
		if (err)
			return err;
	}
	rota__task_suspend(loop, &sleep.wait);
	return sleep.wait.result;
}

int rota_sleep(int64_t duration_ns)
{
	struct loop *loop = rota__loop_self();
	if (!loop || !loop->running)
		return rota__no_loop();
	if (duration_ns <= 0)
		return rota_yield();
	if (task_is_cancelled(loop->running))
		return -ECANCELED;
	return sleep_until(loop, time_after(rota_now(), duration_ns));
}

int rota_sleep_until(int64_t when_ns)
{
	struct loop *loop = rota__loop_self();

	if (!loop || !loop->running)
		return rota__no_loop();
	if (task_is_cancelled(loop->running))
		return -ECANCELED;
	if (when_ns <= rota_now())
		return rota_yield();
	return sleep_until(loop, when_ns);
}
