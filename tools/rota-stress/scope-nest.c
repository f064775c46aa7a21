/* SPDX-License-Identifier: MIT */
/* The model of a task's scopes: what may be in force, what must be, what a close gives. */
#include "scope.h"

#define REASON "chosen by the stress test"

/* The model. */

static bool is_group(const struct level *level)
{
	return level->kind == LEVEL_GROUP;
}

/* Looks at a level anew: its cause and its deadline. Not after its close. */
static void look_at(struct nest *nest, struct level *level)
{
	struct run *run = nest->run;
	int cause = is_group(level) ? 0 : rota_scope_cause(&level->scope);

	level->due = level->due || rota_now() >= level->deadline_ns;
	STRESS_CHECK(run, "scope-cause", level->cause == 0 || cause == level->cause,
		"the cause of a scope was %d and is %d", level->cause, cause);
	STRESS_CHECK(run, "scope-cause",
		cause == 0 || (cause == -ECANCELED && atomic_load(&level->asked)) ||
			(cause == -ETIMEDOUT && level->due && level->kind == LEVEL_SCOPE),
		"a scope of kind %d has the cause %d without a reason", (int)level->kind, cause);
	level->cause = cause;
	/* Deadlines strike on the loop of the task: nothing is on its way. */
	level->must = level->must || cause == -ETIMEDOUT;
}

/* Whether a level may be struck itself. */
static bool may_be_struck(struct nest *nest, struct level *level)
{
	look_at(nest, level);
	return level->must || atomic_load(&level->asked) ||
	       (level->due && level->kind == LEVEL_SCOPE);
}

static bool holds_off(const struct level *level)
{
	return level->kind == LEVEL_SHIELD && !level->due;
}

bool nest_may(struct nest *nest, size_t depth)
{
	for (size_t i = depth; i-- > 0;) {
		if (may_be_struck(nest, &nest->levels[i]))
			return true;
		if (holds_off(&nest->levels[i]))
			return false;
	}
	return nest->must || atomic_load(&nest->asked);
}

bool nest_must(struct nest *nest, size_t depth)
{
	for (size_t i = depth; i-- > 0;) {
		look_at(nest, &nest->levels[i]);
		if (nest->levels[i].must)
			return true;
		/* Also one whose limit has passed: when it lets through is not known. */
		if (nest->levels[i].kind == LEVEL_SHIELD)
			return false;
	}
	return nest->must;
}

bool nest_is_struck(struct nest *nest)
{
	for (size_t i = nest->depth; i-- > 0;) {
		look_at(nest, &nest->levels[i]);
		if (nest->levels[i].cause)
			return true;
		if (nest->levels[i].kind == LEVEL_SHIELD)
			return false;
	}
	return false;
}

struct level *nest_strikes_before(struct nest *nest, int64_t when_ns)
{
	for (size_t i = nest->depth; i-- > 0;) {
		struct level *level = &nest->levels[i];

		if (level->kind == LEVEL_SHIELD)
			return NULL;
		if (level->kind == LEVEL_SCOPE && level->deadline_ns < when_ns)
			return level;
	}
	return NULL;
}

void nest_saw(struct nest *nest, const char *what, bool must, bool cancelled)
{
	STRESS_CHECK(nest->run, "cancel-has-cause", !cancelled || nest_may(nest, nest->depth),
		"%s: cancelled at depth %zu, and nothing that is visible was", what, nest->depth);
	STRESS_CHECK(nest->run, "cancel-stays", cancelled || !must,
		"%s: not cancelled at depth %zu inside something struck", what, nest->depth);
	if (!cancelled)
		return;
	/*
	 * From now on it must be so inside the innermost one that may be the cause: if it was one
	 * further out, that goes on inside this one as well.
	 */
	for (size_t i = nest->depth; i-- > 0;) {
		if (may_be_struck(nest, &nest->levels[i])) {
			nest->levels[i].must = true;
			return;
		}
		if (holds_off(&nest->levels[i]))
			return;
	}
	nest->must = true;
}

/* The deadline in force, as long as nothing has struck: outer ones come through a shield late. */
static int64_t expected_deadline(const struct nest *nest)
{
	int64_t when_ns = ROTA_FOREVER;

	for (size_t i = 0; i < nest->depth; i++) {
		const struct level *level = &nest->levels[i];

		if (level->kind == LEVEL_SHIELD)
			when_ns = when_ns > level->deadline_ns ? when_ns : level->deadline_ns;
		else if (level->deadline_ns < when_ns)
			when_ns = level->deadline_ns;
	}
	return when_ns;
}

/* Nothing has struck, anywhere. */
static bool is_quiet(struct nest *nest)
{
	for (size_t i = 0; i < nest->depth; i++) {
		struct level *level = &nest->levels[i];

		look_at(nest, level);
		if (level->due || level->cause || atomic_load(&level->asked))
			return false;
	}
	return !atomic_load(&nest->asked);
}

void nest_ask(struct nest *nest)
{
	bool must = nest_must(nest, nest->depth);
	int64_t when_ns = rota_deadline();
	int cancelled = rota_cancelled();
	const char *reason = rota_cancel_reason();

	STRESS_CHECK(nest->run, "cancel-reason",
		cancelled ? strcmp(reason, REASON) == 0 || strcmp(reason, "deadline") == 0
			  : reason[0] == '\0',
		"rota_cancelled() gives %d, the reason is \"%s\"", cancelled, reason);
	nest_saw(nest, "rota_cancelled()", must, cancelled != 0);
	if (is_quiet(nest))
		STRESS_CHECK(nest->run, "deadline", when_ns == expected_deadline(nest),
			"rota_deadline() is %lld ns off",
			(long long)(when_ns - expected_deadline(nest)));
}

/* What the owner does. */

static int member_run(void *arg)
{
	struct level *level = arg;
	int err = 0;

	while (!err && (level->endless || !atomic_load(&level->released)))
		err = rota_sleep(level->endless ? ROTA_FOREVER : 5 * ROTA_MICROSECOND);
	level->member_cancelled = err == -ECANCELED;
	return err;
}

static int64_t choose_deadline(struct prng *prng)
{
	switch (prng_below(prng, 8)) {
	case 0:
		return rota_now() - prng_ns(prng, ROTA_MICROSECOND);
	case 1:
	case 2:
	case 3:
		return rota_now() + prng_ns(prng, 100 * ROTA_MICROSECOND);
	default:
		return ROTA_FOREVER;
	}
}

static void open_group(struct level *level, struct prng *prng)
{
	struct rota_spawn_options options = stress_on_loop(prng_loop(prng));

	level->deadline_ns = ROTA_FOREVER;
	level->endless = prng_once_in(prng, 2);
	level->member_cancelled = false;
	atomic_store(&level->released, false);
	rota_group_open(&level->group, NULL);
	(void)rota_group_spawn_with(&level->group, member_run, level, NULL, &options);
}

/* Its limit is a duration; moved to the very time, or past already. */
static void open_shield(struct level *level)
{
	int64_t limit_ns = level->deadline_ns;

	if (limit_ns != ROTA_FOREVER)
		limit_ns -= rota_now();
	rota_shield_open(&level->scope, limit_ns);
	rota_scope_set_deadline(&level->scope, level->deadline_ns);
}

void nest_open(struct nest *nest, struct prng *prng)
{
	struct level *level = &nest->levels[nest->depth];
	uint64_t choice = prng_below(prng, 8);

	if (nest->depth == LEVELS_MAX)
		return;
	pin_shut(&level->pin);
	atomic_store(&level->asked, false);
	level->due = false;
	level->must = false;
	level->cause = 0;
	level->deadline_ns = choose_deadline(prng);
	if (choice == 0) {
		level->kind = LEVEL_GROUP;
		open_group(level, prng);
	} else if (choice <= 2) {
		level->kind = LEVEL_SHIELD;
		open_shield(level);
	} else {
		level->kind = LEVEL_SCOPE;
		rota_scope_open_until(&level->scope, level->deadline_ns);
	}
	nest->depth++;
	pin_open(&level->pin);
}

static void check_close(struct nest *nest, const struct level *level, int status, int result)
{
	bool may = nest_may(nest, nest->depth);
	bool must = nest_must(nest, nest->depth);
	bool right = result == status;

	if (status == -ECANCELED && level->cause == -ETIMEDOUT)
		right = (result == -ETIMEDOUT && !must) || (result == -ECANCELED && may);
	STRESS_CHECK(nest->run, "scope-close", right,
		"a scope of kind %d with cause %d closes with %d for %d, outside may %d, must %d",
		(int)level->kind, level->cause, result, status, may, must);
}

static void check_close_group(struct nest *nest, const struct level *level, int status, int result)
{
	bool may = nest_may(nest, nest->depth);
	bool asked = atomic_load(&level->asked);
	bool right = result == status;

	if (status >= 0)
		right = (right && !asked) || (asked && result == 0) ||
			(may && result == -ECANCELED);
	STRESS_CHECK(nest->run, "close-result", right,
		"a group closes with %d for %d, cancelled %d, outside may %d", result, status,
		asked, may);
	STRESS_CHECK(nest->run, "cancel-has-cause",
		!level->member_cancelled || asked || may || status < 0,
		"a member was cancelled, and nothing around its group was");
	STRESS_CHECK(nest->run, "one-outcome", level->member_cancelled || !level->endless,
		"an endless member ends without a cancel");
}

void nest_close(struct nest *nest, struct prng *prng)
{
	static const int statuses[] = { 0, 9, -EIO, -ECANCELED, -ECANCELED, -ECANCELED };
	int status = statuses[prng_below(prng, 6)];
	struct level *level;
	int result;

	if (nest->depth == 0)
		return;
	level = &nest->levels[nest->depth - 1];
	if (is_group(level)) {
		/* Cancelled while it is open only. */
		pin_shut(&level->pin);
		if (level->endless && status >= 0 && !nest_must(nest, nest->depth)) {
			atomic_store(&level->asked, true);
			rota_group_cancel(&level->group, REASON);
		}
		atomic_store(&level->released, true);
		result = rota_group_close(&level->group, status);
		nest->depth--;
		check_close_group(nest, level, status, result);
		return;
	}
	result = rota_scope_close(&level->scope, status);
	/* The cause says what there was at the close. */
	look_at(nest, level);
	nest->depth--;
	check_close(nest, level, status, result);
	if (level->cause == -ECANCELED)
		atomic_fetch_add_explicit(&nest->run->cancels, 1, memory_order_relaxed);
	if (level->cause == -ETIMEDOUT)
		atomic_fetch_add_explicit(&nest->run->deadlines, 1, memory_order_relaxed);
}

/* A cause stays; a shield whose limit has passed stays open. */
void nest_move_deadline(struct nest *nest, struct prng *prng)
{
	struct level *level;
	int64_t when_ns = choose_deadline(prng);
	bool past = when_ns <= rota_now();

	if (nest->depth == 0)
		return;
	level = &nest->levels[prng_below(prng, nest->depth)];
	if (is_group(level))
		return;
	look_at(nest, level);
	rota_scope_set_deadline(&level->scope, when_ns);
	/* Somebody may have cancelled it meanwhile: then it has stayed where it was. */
	if (level->kind == LEVEL_SCOPE && past && !atomic_load(&level->asked))
		STRESS_CHECK(nest->run, "scope-cause",
			rota_scope_cause(&level->scope) == -ETIMEDOUT,
			"a deadline in the past does not strike");
	if (level->cause == 0)
		level->deadline_ns = when_ns;
}

void nest_cancel_own(struct nest *nest, struct prng *prng)
{
	struct level *level;

	if (nest->depth == 0)
		return;
	level = &nest->levels[prng_below(prng, nest->depth)];
	/* Nobody else meanwhile: then it has its effect before the call returns. */
	pin_shut(&level->pin);
	if (!atomic_exchange(&level->asked, true)) {
		if (is_group(level))
			rota_group_cancel(&level->group, REASON);
		else
			rota_scope_cancel(&level->scope, REASON);
		level->must = true;
	}
	pin_open(&level->pin);
}

void nest_strike(struct nest *nest, struct prng *prng)
{
	struct level *level = &nest->levels[prng_below(prng, LEVELS_MAX)];

	if (!pin_take(&level->pin))
		return;
	atomic_store(&level->asked, true);
	if (is_group(level))
		rota_group_cancel(&level->group, REASON);
	else
		rota_scope_cancel(&level->scope, REASON);
	pin_drop(&level->pin);
}
