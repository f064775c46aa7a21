/* SPDX-License-Identifier: MIT */
/* Waits that are cancelled at random, and what must hold around them. */
#include "victim.h"

#include <sched.h>

#define TASK_ONE_IN  64
#define REASON	     "chosen by the stress test"
#define FRAME_BYTES  (24u << 10) /* how far below a noted frame waits may lie */
#define DEADLINE_MAX (150 * ROTA_MICROSECOND)

bool pin_take(struct pin *pin)
{
	uint32_t word = atomic_load(&pin->word);

	while (word > 0) {
		if (atomic_compare_exchange_weak(&pin->word, &word, word + 1))
			return true;
	}
	return false;
}

void pin_drop(struct pin *pin)
{
	atomic_fetch_sub(&pin->word, 1);
}

void pin_open(struct pin *pin)
{
	atomic_store(&pin->word, 1);
}

void pin_shut(struct pin *pin)
{
	for (;;) {
		uint32_t one = 1;

		if (atomic_compare_exchange_weak(&pin->word, &one, 0) || one == 0)
			return;
		sched_yield();
	}
}

void victim_expose(struct victim *victim, struct rota_task *task)
{
	victim->task = task;
	pin_open(&victim->task_pin);
}

void victim_hide(struct victim *victim)
{
	pin_shut(&victim->task_pin);
	victim->task = NULL;
}

void victim_begin(struct victim *victim, struct prng *prng)
{
	int64_t timeout_ns = ROTA_FOREVER;

	if (prng_once_in(prng, 5))
		timeout_ns = prng_ns(prng, DEADLINE_MAX);
	pin_shut(&victim->scope_pin);
	rota_scope_open(&victim->scope, timeout_ns);
	pin_open(&victim->scope_pin);
}

/* The wait was cut short: there is a cause, and while the scope is open it stays. */
static void check_cancelled(struct victim *victim, const char *what)
{
	struct run *run = victim->run;
	int cause = rota_scope_cause(&victim->scope);
	bool asked = atomic_load(&victim->asked);
	const char *reason;
	int err;

	STRESS_CHECK(run, "cancel-has-cause", cause != 0 || asked,
		"%s: cancelled, and nobody asked for it", what);
	err = rota_cancelled();
	STRESS_CHECK(run, "cancel-stays", err == -ECANCELED,
		"%s: after a cancel rota_cancelled() gives %d", what, err);
	err = rota_yield();
	STRESS_CHECK(run, "cancel-stays", err == -ECANCELED, "%s: after a cancel a yield gives %d",
		what, err);
	err = rota_sleep(ROTA_FOREVER);
	STRESS_CHECK(run, "cancel-stays", err == -ECANCELED, "%s: after a cancel a sleep gives %d",
		what, err);
	reason = rota_cancel_reason();
	STRESS_CHECK(run, "cancel-reason",
		asked || cause != -ECANCELED || strcmp(reason, REASON) == 0,
		"%s: cancelled because of \"%s\"", what, reason);
}

/* What the close makes of an -ECANCELED: -ETIMEDOUT if the scope's deadline was what it was. */
static void check_close(struct victim *victim, const char *what, int status, int result)
{
	int cause = rota_scope_cause(&victim->scope);
	int expected = status == -ECANCELED && cause == -ETIMEDOUT ? -ETIMEDOUT : status;
	bool right = result == expected;

	STRESS_CHECK(victim->run, "scope-cause",
		cause == 0 || cause == -ETIMEDOUT || cause == -ECANCELED,
		"%s: a scope has the cause %d", what, cause);
	/* A cancel around it goes on. */
	if (expected == -ETIMEDOUT && atomic_load(&victim->asked))
		right = right || result == -ECANCELED;
	STRESS_CHECK(victim->run, "scope-close", right,
		"%s: a scope with cause %d closes with %d (%s) for %d", what, cause, result,
		rota_status_name(result), status);
	if (cause == -ECANCELED)
		atomic_fetch_add_explicit(&victim->run->cancels, 1, memory_order_relaxed);
	if (cause == -ETIMEDOUT)
		atomic_fetch_add_explicit(&victim->run->deadlines, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&victim->run->waits, 1, memory_order_relaxed);
	if (status == -ECANCELED)
		atomic_fetch_add_explicit(&victim->run->cancels_won, 1, memory_order_relaxed);
}

int victim_end(struct victim *victim, const char *what, int status)
{
	int cancelled;
	int result;

	if (status == -ECANCELED)
		check_cancelled(victim, what);
	result = rota_scope_close(&victim->scope, status);
	check_close(victim, what, status, result);
	cancelled = rota_cancelled();
	STRESS_CHECK(victim->run, "cancel-has-cause", !cancelled || atomic_load(&victim->asked),
		"%s: a cancel outlives the scope that it struck", what);
	return status;
}

void victim_strike(struct victim *victim, struct prng *prng)
{
	if (prng_once_in(prng, TASK_ONE_IN) && pin_take(&victim->task_pin)) {
		if (!atomic_exchange(&victim->asked, true))
			atomic_fetch_add_explicit(&victim->run->cancels, 1, memory_order_relaxed);
		rota_task_cancel(victim->task, REASON);
		pin_drop(&victim->task_pin);
	} else if (pin_take(&victim->scope_pin)) {
		rota_scope_cancel(&victim->scope, REASON);
		pin_drop(&victim->scope_pin);
	}
}

int hunter_run(void *arg)
{
	struct hunter *hunter = arg;
	struct prng prng = prng_of(hunter->seed, 21);
	int64_t start_ns = rota_now();

	while (!atomic_load(hunter->over)) {
		stress_not_stuck(hunter->run, start_ns);
		for (uint64_t shots = prng_below(&prng, 4) + 1; shots > 0; shots--)
			victim_strike(&hunter->victims[prng_below(&prng, hunter->count)], &prng);
		if (prng_once_in(&prng, 2))
			(void)rota_sleep(prng_ns(&prng, 30 * ROTA_MICROSECOND));
		else if (prng_once_in(&prng, 2))
			(void)rota_yield();
		else
			stress_busy(hunter->run, prng_ns(&prng, 5 * ROTA_MICROSECOND));
	}
	return 0;
}

void hunter_thread(void *arg, uint64_t seed)
{
	struct hunter *hunter = arg;
	struct prng prng = prng_of(seed, 22);

	while (!atomic_load(hunter->over)) {
		victim_strike(&hunter->victims[prng_below(&prng, hunter->count)], &prng);
		if (prng_once_in(&prng, 4))
			stress_thread_sleep(prng_ns(&prng, 50 * ROTA_MICROSECOND));
		else
			stress_busy(hunter->run, prng_ns(&prng, 5 * ROTA_MICROSECOND));
	}
}

void frames_note(struct frames *frames)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	uint32_t index = atomic_fetch_add(&frames->count, 1);

	/* Stacks are used again and again: the last ones are enough. */
	atomic_store_explicit(&frames->at[index % 1024], here, memory_order_relaxed);
}

void frames_check(struct run *run, const struct frames *frames, const char *what,
	const void *object, size_t bytes)
{
	uint32_t count = atomic_load(&frames->count);
	const char *at = object;

	for (size_t i = 0; i + sizeof(uintptr_t) <= bytes; i += sizeof(uintptr_t)) {
		uintptr_t word;
		bool inside = false;

		memcpy(&word, at + i, sizeof(word));
		for (uint32_t k = 0; k < count && k < 1024; k++)
			inside = inside || frames->at[k] - word < FRAME_BYTES;
		STRESS_CHECK(run, "clean-queue", !inside,
			"%s: nobody waits any more, and word %zu points to where somebody did",
			what, i / sizeof(uintptr_t));
	}
}
