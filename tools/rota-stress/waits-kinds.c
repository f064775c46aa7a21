/* SPDX-License-Identifier: MIT */
/*
 * The kinds of waits: each is one that a cancel may cut short, and says whether it was. What it got
 * is counted, so that nothing can be lost between a cancel and a hand-over.
 */
#include "waits.h"

#include "base/attr.h"

#define NAP_MAX (60 * ROTA_MICROSECOND)
#define UNSET	(-4711)

static int64_t nap(struct prng *prng)
{
	return prng_ns(prng, NAP_MAX);
}

/* A wait gives 0 or is cut short. */
static int zero_or_cancelled(struct waits *waits, const char *what, int status)
{
	STRESS_CHECK(waits->run, "one-outcome", status == 0 || status == -ECANCELED,
		"%s gives %d (%s)", what, status, rota_status_name(status));
	return status;
}

/* Time. */

static int wait_sleep(struct waits *waits, struct prng *prng)
{
	int64_t start = rota_now();
	int64_t ns = prng_once_in(prng, 2) ? ROTA_FOREVER : nap(prng);
	int status = zero_or_cancelled(waits, "a sleep", rota_sleep(ns));

	STRESS_CHECK(waits->run, "never-early", status < 0 || rota_now() - start >= ns,
		"a sleep ends early");
	return status;
}

static int wait_yield(struct waits *waits, struct prng *prng)
{
	(void)prng;
	return zero_or_cancelled(waits, "a yield", rota_yield());
}

/* An inner scope's deadline is its own: outside of it, it was only a nap. */
static int wait_inner_deadline(struct waits *waits, struct prng *prng)
{
	int64_t ns = nap(prng);
	int64_t start = rota_now();
	struct rota_scope scope;
	int status;

	rota_scope_open(&scope, ns);
	status = zero_or_cancelled(waits, "an endless sleep", rota_sleep(ROTA_FOREVER));
	STRESS_CHECK(waits->run, "one-outcome", status == -ECANCELED, "an endless sleep gives %d",
		status);
	status = rota_scope_close(&scope, status);
	STRESS_CHECK(waits->run, "one-outcome", status == -ETIMEDOUT || status == -ECANCELED,
		"a scope with a deadline closes with %d", status);
	STRESS_CHECK(waits->run, "scope-cause",
		status != -ETIMEDOUT || rota_scope_cause(&scope) == -ETIMEDOUT,
		"a scope closes with ETIMEDOUT and has the cause %d", rota_scope_cause(&scope));
	STRESS_CHECK(waits->run, "never-early", status != -ETIMEDOUT || rota_now() - start >= ns,
		"a deadline strikes early");
	return status == -ETIMEDOUT ? 0 : status;
}

/* Behind a shield there is no cancel, until its time is up. */
static int wait_shielded(struct waits *waits, struct prng *prng)
{
	bool limited = prng_once_in(prng, 2);
	int64_t limit_ns = limited ? nap(prng) + 1 : ROTA_FOREVER;
	int64_t start = rota_now();
	struct rota_scope shield;
	int status;

	rota_shield_open(&shield, limit_ns);
	status = rota_sleep(nap(prng));
	if (status == 0 && prng_once_in(prng, 2)) {
		status = rota_mutex_lock_cancelable(&waits->mutex);
		if (status == 0)
			rota_mutex_unlock(&waits->mutex);
	}
	STRESS_CHECK(waits->run, "shield", status == 0 || status == -ECANCELED,
		"a wait behind a shield gives %d", status);
	STRESS_CHECK(waits->run, "shield",
		status == 0 || (limited && rota_now() - start >= limit_ns),
		"a cancel comes through a shield %s",
		limited ? "before its time is up" : "without a limit");
	status = rota_scope_close(&shield, status);
	return status == -ETIMEDOUT ? 0 : status;
}

/* A cancel that is held off comes through at the end of the shield: a longer sleep sees it. */
static int wait_held_off(struct waits *waits, struct prng *prng)
{
	int64_t limit_ns = nap(prng) + 1;
	struct rota_scope shield;
	struct rota_scope scope;
	int64_t start;
	int status;

	rota_scope_open(&scope, ROTA_FOREVER);
	rota_scope_cancel(&scope, "by itself");
	STRESS_CHECK(waits->run, "cancel-stays", rota_yield() == -ECANCELED,
		"a task's own cancel has no effect");
	start = rota_now();
	rota_shield_open(&shield, limit_ns);
	status = rota_sleep(limit_ns + ROTA_MILLISECOND);
	STRESS_CHECK(waits->run, "shield", status == -ECANCELED && rota_now() - start >= limit_ns,
		"a shield of %lld ns: a sleep behind it gives %d after %lld ns",
		(long long)limit_ns, status, (long long)(rota_now() - start));
	(void)rota_scope_close(&shield, status);
	(void)rota_scope_close(&scope, status);
	return rota_cancelled();
}

/* Tasks and groups. */

static int sleeper_run(void *arg)
{
	int64_t *ns = arg;

	return rota_sleep(*ns) == 0 ? 1 : -ECANCELED;
}

static int wait_pebble(struct waits *waits, struct prng *prng)
{
	int index = (int)prng_below(prng, PEBBLES);
	int status = UNSET;
	int err = rota_task_await(waits->pebbles[index].task, &status);

	zero_or_cancelled(waits, "an await", err);
	STRESS_CHECK(waits->run, "await", status == (err ? UNSET : PEBBLE_STATUS + index),
		"an await gives %d and the status %d", err, status);
	return err;
}

static int take_next(struct waits *waits, struct rota_group *group, bool *taken, size_t count)
{
	struct rota_result result = { 0 };
	size_t index;
	int err = rota_group_next(group, &result);

	if (err <= 0)
		return zero_or_cancelled(waits, "the end of the members", err);
	index = (size_t)result.arg;
	STRESS_CHECK(waits->run, "group-next", err == 1 && index < count && !taken[index],
		"rota_group_next() gives %d and member %zu, again or unknown", err, index);
	STRESS_CHECK(waits->run, "group-next", result.status == 1 || result.status == -ECANCELED,
		"a member has the status %d", result.status);
	if (index < count)
		taken[index] = true;
	return 1;
}

static int numbered_run(void *arg)
{
	struct prng prng = prng_of((uint64_t)arg, 25);

	return rota_sleep(nap(&prng)) == 0 ? 1 : -ECANCELED;
}

static int wait_next(struct waits *waits, struct prng *prng)
{
	struct rota_group_options options = { .flags = ROTA_GROUP_KEEP };
	size_t count = (size_t)prng_below(prng, 3) + 1;
	bool taken[3] = { false };
	struct rota_group group;
	int status = 1;
	int result;

	rota_group_open(&group, &options);
	for (size_t i = 0; i < count; i++)
		(void)rota_group_spawn(&group, numbered_run, (void *)i);
	while (status == 1)
		status = take_next(waits, &group, taken, count);
	for (size_t i = 0; status == 0 && i < count; i++)
		STRESS_CHECK(waits->run, "group-next", taken[i], "a member was never given out");
	result = rota_group_close(&group, status);
	STRESS_CHECK(waits->run, "close-result", result == status || result == -ECANCELED,
		"a group closes with %d for %d", result, status);
	return result;
}

/* A group around a wait for its members; both are inside the scope that may be struck. */
static int wait_members(struct waits *waits, struct prng *prng)
{
	static int64_t endless = ROTA_FOREVER;
	int64_t ns = nap(prng);
	struct rota_group_options options = { 0 };
	struct rota_task *task = NULL;
	bool awaits = prng_once_in(prng, 2);
	struct rota_group group;
	int status;
	int result;

	if (prng_once_in(prng, 4))
		options.grace_ns = nap(prng);
	rota_group_open(&group, &options);
	(void)rota_group_spawn(&group, sleeper_run, prng_once_in(prng, 2) ? &endless : &ns);
	(void)rota_group_spawn_with(&group, sleeper_run, &ns, &task, NULL);
	status = awaits && task ? rota_task_await(task, NULL) : rota_group_wait(&group);
	zero_or_cancelled(waits, awaits ? "an await of a member" : "a wait for members", status);
	STRESS_CHECK(waits->run, "group-wait", awaits || status || rota_group_live(&group) == 0,
		"after a wait for members %zu are live", rota_group_live(&group));
	if (status == 0)
		rota_group_cancel(&group, "had what it wanted");
	result = rota_group_close(&group, status);
	STRESS_CHECK(waits->run, "close-result", result == status || result == -ECANCELED,
		"a group closes with %d for %d", result, status);
	return result;
}

static int limited_run(void *arg)
{
	struct waits *waits = arg;
	struct prng prng = prng_of(waits->seed, 26);

	flow_add(&waits->members.out, 1);
	(void)rota_sleep(nap(&prng));
	return 0;
}

static int wait_limit(struct waits *waits, struct prng *prng)
{
	int err;

	(void)prng;
	err = zero_or_cancelled(waits, "a spawn at the limit",
		rota_group_spawn(&waits->limited, limited_run, waits));
	if (err == 0)
		flow_add(&waits->members.in, 1);
	return err;
}

/* Locks. */

static int wait_mutex(struct waits *waits, struct prng *prng)
{
	int err = zero_or_cancelled(waits, "a lock", rota_mutex_lock_cancelable(&waits->mutex));

	if (err)
		return err;
	flow_add(&waits->locks, 1);
	waits->locked++;
	if (prng_once_in(prng, 4))
		(void)rota_sleep(nap(prng) / 8);
	rota_mutex_unlock(&waits->mutex);
	return 0;
}

static int wait_read_lock(struct waits *waits, struct prng *prng)
{
	int err = zero_or_cancelled(
		waits, "a read lock", rota_rwlock_rdlock_cancelable(&waits->rwlock));
	uint64_t seen;

	if (err)
		return err;
	atomic_fetch_add(&waits->readers, 1);
	seen = waits->written;
	if (prng_once_in(prng, 4))
		(void)rota_sleep(nap(prng) / 8);
	STRESS_CHECK(
		waits->run, "rwlock", waits->written == seen, "somebody writes beside readers");
	atomic_fetch_sub(&waits->readers, 1);
	rota_rwlock_rdunlock(&waits->rwlock);
	return 0;
}

static int wait_write_lock(struct waits *waits, struct prng *prng)
{
	int err = zero_or_cancelled(
		waits, "a write lock", rota_rwlock_wrlock_cancelable(&waits->rwlock));

	if (err)
		return err;
	flow_add(&waits->writes, 1);
	waits->written++;
	if (prng_once_in(prng, 4))
		(void)rota_sleep(nap(prng) / 8);
	STRESS_CHECK(waits->run, "rwlock", atomic_load(&waits->readers) == 0,
		"somebody reads beside a writer");
	rota_rwlock_wrunlock(&waits->rwlock);
	return 0;
}

/* A signal is for one waiter, and none wakes without one. */
static int wait_cond(struct waits *waits, struct prng *prng)
{
	int err;

	(void)prng;
	rota_mutex_lock(&waits->cond_mutex);
	waits->cond_waiting++;
	err = zero_or_cancelled(
		waits, "a condition", rota_cond_wait(&waits->cond, &waits->cond_mutex));
	STRESS_CHECK(waits->run, "cond", !waits->cond_held, "a wait returns without the mutex");
	waits->cond_held = true;
	waits->cond_waiting--;
	if (err == 0) {
		flow_add(&waits->signals.out, 1);
		STRESS_CHECK(waits->run, "cond",
			atomic_load(&waits->signals.out) <= atomic_load(&waits->signals.in),
			"more waits ended than were signalled");
	}
	waits->cond_held = false;
	rota_mutex_unlock(&waits->cond_mutex);
	return err;
}

static int wait_sem(struct waits *waits, struct prng *prng)
{
	uint32_t n = (uint32_t)prng_below(prng, 4);
	int err;

	if (prng_once_in(prng, 2)) {
		n = 1;
		err = rota_sem_wait(&waits->sem);
	} else {
		err = rota_sem_wait_many(&waits->sem, n);
	}
	if (zero_or_cancelled(waits, "a semaphore", err) == 0)
		flow_add(&waits->tokens.out, n);
	return err;
}

/* Things that happen. */

static int wait_event(struct waits *waits, struct prng *prng)
{
	(void)prng;
	return zero_or_cancelled(waits, "an event", rota_event_wait(&waits->event));
}

static int wait_barrier(struct waits *waits, struct prng *prng)
{
	struct meeting *meeting = &waits->meetings[prng_below(prng, BARRIERS)];
	int status = rota_barrier_wait(&meeting->barrier);

	switch (status) {
	case 0:
		flow_add(&meeting->zeros, 1);
		return 0;
	case 1:
		flow_add(&meeting->ones, 1);
		return 0;
	case -EPIPE:
		flow_add(&meeting->broken, 1);
		return 0;
	default:
		flow_add(&meeting->cancelled, 1);
		return zero_or_cancelled(waits, "a barrier", status);
	}
}

struct once_call {
	struct waits *waits;
	struct once_state *state;
	struct prng *prng;
	int status; /* UNSET: it did not run */
};

static int once_run(void *arg)
{
	struct once_call *call = arg;
	struct run *run = call->waits->run;

	STRESS_CHECK(run, "once", atomic_fetch_add(&call->state->inside, 1) == 0,
		"two run the function of a once");
	STRESS_CHECK(
		run, "once", !atomic_load(&call->state->done), "the function of a once runs again");
	call->status = rota_sleep(nap(call->prng));
	if (call->status == 0 && prng_once_in(call->prng, 2))
		call->status = -EBUSY;
	if (call->status == 0) {
		call->status = ONCE_STATUS + (int)(call->state - call->waits->once_states);
		atomic_store(&call->state->done, true);
	}
	atomic_fetch_sub(&call->state->inside, 1);
	return call->status;
}

static int wait_once(struct waits *waits, struct prng *prng)
{
	int index = (int)prng_below(prng, ONCES);
	struct once_call call = {
		.waits = waits, .state = &waits->once_states[index], .prng = prng, .status = UNSET
	};
	int status = rota_once_call(&waits->onces[index], once_run, &call);

	if (call.status != UNSET)
		STRESS_CHECK(waits->run, "once", status == call.status,
			"a function gave %d, the once %d", call.status, status);
	else
		STRESS_CHECK(waits->run, "once",
			status == -ECANCELED ||
				(status == ONCE_STATUS + index && atomic_load(&call.state->done)),
			"a once that another ran gives %d", status);
	return status == -ECANCELED ? status : 0;
}

static int wait_future(struct waits *waits, struct prng *prng)
{
	int index = (int)prng_below(prng, FUTURES);
	int status = UNSET;
	int err = rota_future_wait(&waits->futures[index], &status);

	zero_or_cancelled(waits, "a future", err);
	STRESS_CHECK(waits->run, "future", status == (err ? UNSET : FUTURE_STATUS + index),
		"a future gives %d and the status %d", err, status);
	return err;
}

/* Channels. */

static int wait_send(struct waits *waits, struct prng *prng)
{
	uint64_t which = prng_below(prng, 2);
	uint64_t item = waits_item(waits);
	int err =
		zero_or_cancelled(waits, "a send", rota_chan_send(&waits->channels[which], &item));

	if (err == 0)
		flow_in(&waits->items[which], item);
	return err;
}

static int wait_recv(struct waits *waits, struct prng *prng)
{
	uint64_t which = prng_below(prng, 2);
	uint64_t item = 0;
	int err = rota_chan_recv(&waits->channels[which], &item);

	STRESS_CHECK(waits->run, "one-outcome", err == 1 || err == -ECANCELED,
		"a receive gives %d (%s)", err, rota_status_name(err));
	STRESS_CHECK(waits->run, "one-outcome", err == 1 || item == 0,
		"a receive gives %d and an item", err);
	if (err == 1)
		flow_out(&waits->items[which], item);
	return err == 1 ? 0 : err;
}

static int wait_select(struct waits *waits, struct prng *prng)
{
	int future = (int)prng_below(prng, FUTURES);
	int pebble = (int)prng_below(prng, PEBBLES);
	uint64_t sent = waits_item(waits);
	uint64_t received = 0;
	struct rota_case cases[] = {
		rota_case_send(&waits->channels[0], &sent),
		rota_case_recv(&waits->channels[1], &received),
		rota_case_future(&waits->futures[future]),
		rota_case_task(waits->pebbles[pebble].task),
		rota_case_event(&waits->event),
		rota_case_time(rota_now() + nap(prng)),
	};
	int statuses[] = { 0, 1, FUTURE_STATUS + future, PEBBLE_STATUS + pebble, 0, 0 };
	int done;

	for (size_t i = 0; i < 5; i++)
		if (prng_once_in(prng, 2))
			cases[i] = (struct rota_case){ 0 };
	if (prng_once_in(prng, 2))
		cases[5].when_ns = ROTA_FOREVER;
	done = rota_select(cases, 6);
	STRESS_CHECK(waits->run, "select",
		done == -ECANCELED || (done >= 0 && done < 6 && cases[done].kind != ROTA_CASE_NONE),
		"a select gives %d", done);
	STRESS_CHECK(waits->run, "select", done == 1 || received == 0,
		"a select gives %d and has received", done);
	if (done < 0 || done >= 6)
		return -ECANCELED;
	STRESS_CHECK(waits->run, "select", cases[done].status == statuses[done],
		"case %d has the status %d", done, cases[done].status);
	if (done == 0)
		flow_in(&waits->items[0], sent);
	if (done == 1)
		flow_out(&waits->items[1], received);
	return 0;
}

/* The outside. */

struct blocking {
	struct waits *waits;
	_Atomic(uint32_t) ran;
	int64_t ns;
};

static int blocking_run(void *arg)
{
	struct blocking *blocking = arg;

	if (!blocking->waits->run->sim)
		stress_thread_sleep(blocking->ns);
	atomic_fetch_add(&blocking->ran, 1);
	return 77;
}

static int wait_offload(struct waits *waits, struct prng *prng)
{
	struct blocking blocking = { .waits = waits, .ns = nap(prng) };
	int status = rota_offload(blocking_run, &blocking);
	uint32_t ran = atomic_load(&blocking.ran);

	STRESS_CHECK(waits->run, "offload",
		(status == 77 && ran == 1) || (status == -ECANCELED && ran == 0),
		"an offloaded function ran %u times and gave %d", ran, status);
	return status == 77 ? 0 : status;
}

static void discard(void *arg)
{
	struct blocking *blocking = arg;

	struct waits *waits = blocking->waits;

	free(blocking);
	/* Not relaxed: the set is used anew when all have come. */
	atomic_fetch_add(&waits->abandoned.out, 1);
}

static int wait_abandonable(struct waits *waits, struct prng *prng)
{
	struct blocking *blocking = stress_alloc(1, sizeof(*blocking));
	int status;

	blocking->waits = waits;
	blocking->ns = nap(prng);
	status = rota_offload_abandonable(blocking_run, blocking, discard);
	STRESS_CHECK(waits->run, "offload", status == 77 || status == -ECANCELED,
		"an offloaded function gave %d", status);
	if (status == -ECANCELED) {
		flow_add(&waits->abandoned.in, 1);
		return status;
	}
	STRESS_CHECK(waits->run, "offload", atomic_load(&blocking->ran) == 1,
		"an offloaded function did not run and gave %d", status);
	free(blocking);
	return 0;
}

static int wait_read(struct waits *waits, struct prng *prng)
{
	char buffer[32];
	size_t bytes = prng_below(prng, sizeof(buffer)) + 1;
	int n = rota_read(waits->pipe[0], buffer, bytes);

	STRESS_CHECK(waits->run, "one-outcome", n == -ECANCELED || (n > 0 && n <= (int)bytes),
		"a read gives %d (%s)", n, rota_status_name(n));
	if (n > 0)
		flow_add(&waits->bytes.out, (uint64_t)n);
	return n > 0 ? 0 : -ECANCELED;
}

static const struct {
	const char *name;
	int (*fn)(struct waits *waits, struct prng *prng);
} kinds[] = {
	{ "read", wait_read }, /* first: not under simulation */
	{ "sleep", wait_sleep },
	{ "yield", wait_yield },
	{ "inner deadline", wait_inner_deadline },
	{ "shield", wait_shielded },
	{ "held off", wait_held_off },
	{ "await", wait_pebble },
	{ "group next", wait_next },
	{ "group wait", wait_members },
	{ "group limit", wait_limit },
	{ "mutex", wait_mutex },
	{ "read lock", wait_read_lock },
	{ "write lock", wait_write_lock },
	{ "cond", wait_cond },
	{ "sem", wait_sem },
	{ "event", wait_event },
	{ "barrier", wait_barrier },
	{ "once", wait_once },
	{ "future", wait_future },
	{ "send", wait_send },
	{ "receive", wait_recv },
	{ "select", wait_select },
	{ "offload", wait_offload },
	{ "abandonable", wait_abandonable },
};

int waits_one(struct waits *waits, struct prng *prng, const char **ret_what)
{
	size_t first = waits->run->sim ? 1 : 0;
	size_t kind = first + (size_t)prng_below(prng, ARRAY_SIZE(kinds) - first);

	*ret_what = kinds[kind].name;
	return kinds[kind].fn(waits, prng);
}
