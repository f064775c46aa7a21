/* SPDX-License-Identifier: MIT */
/*
 * The other half of the waits: who hands over what others wait for, a plain thread that waits among
 * the tasks, and the account at the end.
 */
#include "waits.h"

#include <unistd.h>

static const char junk[32];

/* With and without the mutex; a broadcast is for all who wait, which only the mutex can tell. */
static void signal_some(struct waits *waits, struct prng *prng)
{
	if (prng_once_in(prng, 3)) {
		flow_add(&waits->signals.in, 1);
		rota_cond_signal(&waits->cond);
		return;
	}
	rota_mutex_lock(&waits->cond_mutex);
	if (prng_once_in(prng, 4)) {
		flow_add(&waits->signals.in, waits->cond_waiting);
		rota_cond_broadcast(&waits->cond);
	} else {
		flow_add(&waits->signals.in, 1);
		rota_cond_signal(&waits->cond);
	}
	rota_mutex_unlock(&waits->cond_mutex);
}

static void post_some(struct waits *waits, struct prng *prng)
{
	uint32_t n = (uint32_t)prng_below(prng, 4);

	flow_add(&waits->tokens.in, n);
	if (n == 1)
		rota_sem_post(&waits->sem);
	else
		rota_sem_post_many(&waits->sem, n);
}

static void send_some(struct waits *waits, struct prng *prng)
{
	uint64_t which = prng_below(prng, 2);
	uint64_t item = waits_item(waits);
	int err = rota_chan_trysend(&waits->channels[which], &item);

	STRESS_CHECK(waits->run, "channel", err == 0 || err == -EAGAIN, "a trysend gives %d", err);
	if (err == 0)
		flow_in(&waits->items[which], item);
}

static void receive_some(struct waits *waits, struct prng *prng)
{
	uint64_t which = prng_below(prng, 2);
	uint64_t item;
	int err = rota_chan_tryrecv(&waits->channels[which], &item);

	STRESS_CHECK(waits->run, "channel", err == 1 || err == -EAGAIN, "a tryrecv gives %d", err);
	if (err == 1)
		flow_out(&waits->items[which], item);
}

/* Slowly: a future that is set is nothing to wait for any more. */
static void set_future(struct waits *waits, struct prng *prng)
{
	int index = (int)prng_below(prng, FUTURES);
	int status = 0;
	int err = rota_future_set(&waits->futures[index], FUTURE_STATUS + index);

	STRESS_CHECK(waits->run, "future", err == 0 || err == -EALREADY,
		"setting a future gives %d", err);
	err = rota_future_poll(&waits->futures[index], &status);
	STRESS_CHECK(waits->run, "future", err == 0 && status == FUTURE_STATUS + index,
		"a future that is set gives %d and %d", err, status);
}

/* Holds a lock for a while, so that others queue up behind it. */
static void hold_lock(struct waits *waits, struct prng *prng)
{
	int64_t ns = prng_ns(prng, 20 * ROTA_MICROSECOND);

	switch (prng_below(prng, 3)) {
	case 0:
		rota_mutex_lock(&waits->mutex);
		flow_add(&waits->locks, 1);
		waits->locked++;
		(void)rota_sleep(ns);
		rota_mutex_unlock(&waits->mutex);
		break;
	case 1:
		rota_rwlock_rdlock(&waits->rwlock);
		atomic_fetch_add(&waits->readers, 1);
		(void)rota_sleep(ns);
		atomic_fetch_sub(&waits->readers, 1);
		rota_rwlock_rdunlock(&waits->rwlock);
		break;
	default:
		rota_rwlock_wrlock(&waits->rwlock);
		flow_add(&waits->writes, 1);
		waits->written++;
		(void)rota_sleep(ns);
		rota_rwlock_wrunlock(&waits->rwlock);
	}
}

static void write_some(struct waits *waits, struct prng *prng)
{
	ssize_t n;

	if (waits->run->sim)
		return;
	n = write(waits->pipe[1], junk, prng_below(prng, sizeof(junk)) + 1);
	if (n > 0)
		flow_add(&waits->bytes.in, (uint64_t)n);
}

static void feed(struct waits *waits, struct prng *prng)
{
	switch (prng_below(prng, 12)) {
	case 0:
	case 1:
		signal_some(waits, prng);
		break;
	case 2:
	case 3:
		post_some(waits, prng);
		break;
	case 4:
	case 5:
		send_some(waits, prng);
		break;
	case 6:
	case 7:
		receive_some(waits, prng);
		break;
	case 8:
		rota_event_set(&waits->event);
		break;
	case 9:
		rota_event_clear(&waits->event);
		break;
	case 10:
		hold_lock(waits, prng);
		break;
	default:
		write_some(waits, prng);
		if (prng_once_in(prng, 20))
			set_future(waits, prng);
	}
}

/* The plain thread needs it until it has seen that all are gone. */
int waits_feeder(void *arg)
{
	struct waits *waits = arg;
	struct prng prng = prng_of(waits->seed, rota_task_id(rota_task_self()));

	while (!atomic_load(&waits->gone) || crew_live(&waits->crew) > 0) {
		feed(waits, &prng);
		if (prng_once_in(&prng, 2))
			(void)rota_sleep(prng_ns(&prng, 30 * ROTA_MICROSECOND));
		else if (prng_once_in(&prng, 2))
			(void)rota_yield();
	}
	return 0;
}

static void thread_waits(struct waits *waits, struct prng *prng)
{
	struct rota_case when = rota_case_time(rota_now() + prng_ns(prng, 50 * ROTA_MICROSECOND));
	int index = (int)prng_below(prng, PEBBLES);
	int status = 0;

	switch (prng_below(prng, 5)) {
	case 0:
		rota_mutex_lock(&waits->mutex);
		flow_add(&waits->locks, 1);
		waits->locked++;
		rota_mutex_unlock(&waits->mutex);
		break;
	case 1:
		rota_rwlock_wrlock(&waits->rwlock);
		flow_add(&waits->writes, 1);
		waits->written++;
		rota_rwlock_wrunlock(&waits->rwlock);
		break;
	case 2:
		status = rota_task_await(waits->pebbles[index].task, &status);
		STRESS_CHECK(
			waits->run, "await", status == 0, "an await of a thread gives %d", status);
		break;
	case 3:
		status = rota_select(&when, 1);
		STRESS_CHECK(waits->run, "select", status == 0 && rota_now() >= when.when_ns,
			"a select of a thread gives %d", status);
		break;
	default:
		feed(waits, prng);
	}
}

/* feed() sleeps in places, which gives an error at once outside of a task. */
void waits_thread(void *arg, uint64_t seed)
{
	struct waits *waits = arg;
	struct prng prng = prng_of(seed, 27);

	frames_note(&waits->frames);
	while (!atomic_load(&waits->gone)) {
		thread_waits(waits, &prng);
		stress_busy(waits->run, prng_ns(&prng, 20 * ROTA_MICROSECOND));
	}
}

/* The account. */

static void check_flow(struct waits *waits, const char *what, const struct flow *flow)
{
	uint64_t in = atomic_load(&flow->in);
	uint64_t out = atomic_load(&flow->out);

	STRESS_CHECK(waits->run, "nothing-lost", in == out, "%s: %llu went in, %llu came out", what,
		(unsigned long long)in, (unsigned long long)out);
	STRESS_CHECK(waits->run, "nothing-lost",
		atomic_load(&flow->in_sum) == atomic_load(&flow->out_sum),
		"%s: what came out is not what went in", what);
}

static void check_queue(struct waits *waits, const char *what, const void *object, size_t bytes)
{
	frames_check(waits->run, &waits->frames, what, object, bytes);
}

static void check_locks(struct waits *waits)
{
	STRESS_CHECK(waits->run, "mutual-exclusion",
		waits->locked == atomic_load(&waits->locks) &&
			waits->written == atomic_load(&waits->writes),
		"a counter under a lock is behind");
	STRESS_CHECK(waits->run, "finish", rota_mutex_finish(&waits->mutex) == 0,
		"a mutex that nobody uses is busy");
	STRESS_CHECK(waits->run, "finish", rota_mutex_finish(&waits->cond_mutex) == 0,
		"a condition's mutex that nobody uses is busy");
	STRESS_CHECK(waits->run, "finish", rota_rwlock_finish(&waits->rwlock) == 0,
		"an rwlock that nobody uses is busy");
	STRESS_CHECK(waits->run, "cond", waits->cond_waiting == 0,
		"%llu waits for a condition have not ended",
		(unsigned long long)waits->cond_waiting);
	check_queue(waits, "mutex", &waits->mutex, sizeof(waits->mutex));
	check_queue(waits, "rwlock", &waits->rwlock, sizeof(waits->rwlock));
	check_queue(waits, "cond", &waits->cond, sizeof(waits->cond));
}

static void check_meetings(struct waits *waits)
{
	for (size_t i = 0; i < BARRIERS; i++) {
		struct meeting *meeting = &waits->meetings[i];
		uint64_t ones = atomic_load(&meeting->ones);
		uint64_t zeros = atomic_load(&meeting->zeros);

		STRESS_CHECK(waits->run, "barrier", zeros == ones * (PARTIES - 1),
			"a barrier was left by %llu first and %llu others",
			(unsigned long long)ones, (unsigned long long)zeros);
		STRESS_CHECK(waits->run, "barrier",
			atomic_load(&meeting->broken) == 0 || atomic_load(&meeting->cancelled) > 0,
			"a barrier is broken and nobody was cancelled");
		check_queue(waits, "barrier", &meeting->barrier, sizeof(meeting->barrier));
	}
}

static void check_channels(struct waits *waits)
{
	uint64_t item;

	while (rota_chan_tryrecv(&waits->channels[1], &item) == 1)
		flow_out(&waits->items[1], item);
	STRESS_CHECK(waits->run, "channel",
		rota_chan_tryrecv(&waits->channels[0], &item) == -EAGAIN,
		"a sender is left in a channel");
	check_flow(waits, "rendezvous", &waits->items[0]);
	check_flow(waits, "channel", &waits->items[1]);
	for (int i = 0; i < 2; i++) {
		check_queue(waits, "channel", &waits->channels[i], sizeof(waits->channels[i]));
		STRESS_CHECK(waits->run, "finish", rota_chan_finish(&waits->channels[i]) == 0,
			"a channel that nobody uses is busy");
	}
}

static void check_bytes(struct waits *waits)
{
	char buffer[4096];
	ssize_t n;

	if (waits->run->sim)
		return;
	(void)rota_close(waits->pipe[1]);
	while ((n = read(waits->pipe[0], buffer, sizeof(buffer))) > 0)
		flow_add(&waits->bytes.out, (uint64_t)n);
	(void)rota_close(waits->pipe[0]);
	check_flow(waits, "pipe", &waits->bytes);
}

/* A discard may come some time after the call has returned. */
static void check_abandoned(struct waits *waits)
{
	for (int i = 0; i < 2000; i++) {
		if (atomic_load(&waits->abandoned.in) == atomic_load(&waits->abandoned.out))
			break;
		(void)rota_sleep(ROTA_MILLISECOND);
	}
	check_flow(waits, "abandoned", &waits->abandoned);
}

void waits_check(struct waits *waits)
{
	while (rota_sem_trywait(&waits->sem) == 0)
		flow_add(&waits->tokens.out, 1);
	check_flow(waits, "semaphore", &waits->tokens);
	check_queue(waits, "semaphore", &waits->sem, sizeof(waits->sem));
	check_flow(waits, "group limit", &waits->members);
	check_locks(waits);
	check_meetings(waits);
	check_channels(waits);
	check_bytes(waits);
	check_abandoned(waits);
	check_queue(waits, "event", &waits->event, sizeof(waits->event));
	for (size_t i = 0; i < FUTURES; i++)
		check_queue(waits, "future", &waits->futures[i], sizeof(waits->futures[i]));
	for (size_t i = 0; i < ONCES; i++)
		check_queue(waits, "once", &waits->onces[i], sizeof(waits->onces[i]));
}
