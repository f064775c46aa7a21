/* SPDX-License-Identifier: MIT */
/*
 * Going to sleep. The protocol is core/park.h; this is the loop's part: what "look at everything"
 * means, and the spin before it. There is no safety timeout: it would hide a lost wake-up.
 */
#include "core/runtime.h"

/* A wake through the kernel costs more than this; a wake within it is seen by the spin. */
#define SPIN_NS		 (50 * ROTA_MICROSECOND)
#define SPIN_BACKOFF_MAX 15
#define SPIN_STEP	 16 /* pauses between two looks at the clock */

/* What needs no search: it came to this very loop, or the runtime stops. */
static bool has_own(const struct loop *loop)
{
	return !inbox_empty(&loop->inbox) || port_attention(loop->port) ||
	       a32_load_relaxed(&loop->rt->stop);
}

/* Waits a little without sleeping: true when there is something to do. */
static bool spin(struct loop *loop)
{
	int64_t now = rota_now();
	int64_t end = now + SPIN_NS;

	while (now < end) {
		if (has_own(loop) || timer_next(&loop->timers) <= now)
			return true;
		if (loop->searching && rota__loop_look(loop, true))
			return true;
		for (int i = 0; i < SPIN_STEP; i++)
			cpu_relax();
		now = rota_now();
	}
	loop->turn_ns = now;
	return false;
}

/*
 * Whether it is worth to spin: something could come, and the last spins were not in vain; after
 * each vain one it is left out twice as often, up to SPIN_BACKOFF_MAX times.
 */
static bool may_spin(struct loop *loop)
{
	struct rota_runtime *rt = loop->rt;

	if (!loop->many && !loop->port->in_flight)
		return false;
	if (loop->spins_to_skip) {
		loop->spins_to_skip--;
		return false;
	}
	/* At most half of the loops search at once; the others spin for what is their own. */
	if (loop->many && !loop->searching &&
		2 * idle_searchers(&rt->idle) < (int32_t)rt->loop_count) {
		idle_search_begin(&rt->idle);
		loop->searching = true;
	}
	return true;
}

static bool spin_found(struct loop *loop)
{
	bool found = spin(loop);

	if (found)
		loop->spin_backoff = 0;
	else if (loop->spin_backoff < SPIN_BACKOFF_MAX)
		loop->spin_backoff = (uint8_t)(2 * loop->spin_backoff + 1);
	loop->spins_to_skip = loop->spin_backoff;
	return found;
}

bool rota__loop_park_begin(struct loop *loop, int64_t *ret_timeout_ns)
{
	struct rota_runtime *rt = loop->rt;
	int64_t next = timer_next(&loop->timers);
	bool searched = loop->searching;
	bool shared;

	park_begin(&rt->idle, &loop->parker, searched);
	loop->searching = false;
	/* Everything again, also the request flags: their owners may have reset them. */
	shared = rota__loop_look(loop, true);
	if (shared && searched) {
		/*
		 * A pusher may have left this to us. The next turn may have other things to do
		 * first (our own inbox, a timer): so one more is woken for it now.
		 */
		rota__loop_wake_any(loop, rt);
	}
	if (shared || has_own(loop))
		return false;
	*ret_timeout_ns = -1;
	if (next == ROTA_FOREVER)
		return true;
	loop->turn_ns = rota_now();
	*ret_timeout_ns = next - loop->turn_ns;
	return *ret_timeout_ns > 0;
}

void rota__loop_park_end(struct loop *loop)
{
	loop->searching = park_end(&loop->rt->idle, &loop->parker);
}

void rota__loop_idle(struct loop *loop)
{
	int64_t timeout_ns;

	if (may_spin(loop) && spin_found(loop))
		return;
	if (rota__loop_park_begin(loop, &timeout_ns)) {
		a64_count(&loop->counters.parks, 1);
		if (loop_trace(loop))
			rota__trace_write(loop_trace(loop), TRACE_PARK, 0);
		loop->rt->backend->wait(loop->port, timeout_ns);
		loop_count_ops(loop);
		if (loop_trace(loop))
			rota__trace_write(loop_trace(loop), TRACE_UNPARK, 0);
	}
	rota__loop_park_end(loop);
}
