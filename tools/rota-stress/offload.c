/* SPDX-License-Identifier: MIT */
/*
 * Offloaded calls: never more at once than there are threads, each runs once or, cancelled before
 * its start, not at all; abandoned ones are discarded once, after they ran or instead of it. Among
 * them such that lock, set futures and send, as tasks do.
 */
#include "scenarios.h"
#include "victim.h"

#include <pthread.h>

#define THREADS 3
#define CALLERS 8
#define PATIENT 2 /* the first ones: nobody cancels them */
#define CALLS	60
#define STATUS	500
#define ROOM	4
#define FRESH	0xa5

struct pool;

/* One call: on the caller's stack, or handed over. */
struct call {
	struct pool *pool;
	int64_t ns;
	uint64_t choice;
	int status;
	_Atomic(uint32_t) ran;
	_Atomic(uint32_t) discarded;
	struct rota_future *future; /* to be set; may be NULL */
	unsigned char room[64];	    /* written all the time that it runs */
};

struct pool {
	struct run *run;
	_Atomic(uint32_t) running;
	_Atomic(uint64_t) abandoned;
	_Atomic(uint64_t) discarded;
	struct rota_mutex mutex;
	uint64_t count; /* L(mutex) */
	_Atomic(uint64_t) counted;
	struct rota_chan chan;
	_Atomic(uint64_t) sent;
	_Atomic(uint64_t) received;
	struct victim victims[CALLERS];
	_Atomic(uint32_t) live;
	_Atomic(bool) over;
};

struct caller {
	struct pool *pool;
	uint32_t index;
	uint64_t seed;
};

static void check_thread(struct run *run)
{
	char name[32] = "";

	if (run->sim)
		return;
	pthread_getname_np(pthread_self(), name, sizeof(name));
	STRESS_CHECK(run, "thread-name", strncmp(name, "rota-offload/", 13) == 0,
		"an offloaded call runs on a thread called \"%s\"", name);
}

/* What a function may do there. */
static void act(struct call *call)
{
	struct pool *pool = call->pool;
	uint64_t item = 1;
	int err;

	switch (call->choice) {
	case 0:
		rota_mutex_lock(&pool->mutex);
		pool->count++;
		atomic_fetch_add(&pool->counted, 1);
		rota_mutex_unlock(&pool->mutex);
		break;
	case 1:
		err = rota_chan_send(&pool->chan, &item);
		if (err == 0)
			atomic_fetch_add(&pool->sent, 1);
		/* Simulation plays the call in the task, where the cancel finds it. */
		STRESS_CHECK(pool->run, "one-outcome",
			err == 0 || (pool->run->sim && err == -ECANCELED),
			"a send in an offloaded call gives %d", err);
		break;
	default:
		break;
	}
}

static int call_run(void *arg)
{
	struct call *call = arg;
	struct pool *pool = call->pool;
	struct run *run = pool->run;
	uint32_t running = atomic_fetch_add(&pool->running, 1) + 1;

	/* Simulation has no threads, so no limit either. */
	STRESS_CHECK(run, "limit", running <= THREADS || run->sim,
		"%u calls run at once on %d threads", running, THREADS);
	STRESS_CHECK(run, "exactly-once", atomic_fetch_add(&call->ran, 1) == 0,
		"an offloaded call runs twice");
	STRESS_CHECK(run, "discard-once", atomic_load(&call->discarded) == 0,
		"an offloaded call runs after its discard");
	check_thread(run);
	memset(call->room, 1, sizeof(call->room));
	if (!run->sim && call->ns % 2)
		stress_thread_sleep(call->ns);
	else
		stress_busy(run, call->ns);
	act(call);
	memset(call->room, 2, sizeof(call->room));
	atomic_fetch_sub(&pool->running, 1);
	/* The last touch: who waits for it may go on. */
	if (call->future)
		(void)rota_future_set(call->future, call->status);
	return call->status;
}

/* After the return the caller's memory is its own again. */
static int offload(struct pool *pool, struct prng *prng)
{
	struct call call = { .pool = pool,
		.ns = prng_ns(prng, 40 * ROTA_MICROSECOND),
		.choice = prng_below(prng, 4),
		.status = STATUS };
	struct rota_future future = { 0 };
	int status;
	int told = 0;
	uint32_t ran;

	if (prng_once_in(prng, 3))
		call.future = &future;
	status = rota_offload(call_run, &call);
	ran = atomic_load(&call.ran);
	STRESS_CHECK(pool->run, "one-outcome",
		(status == STATUS && ran == 1) || (status == -ECANCELED && ran == 0),
		"an offloaded call ran %u times and gave %d", ran, status);
	if (call.future && status == STATUS)
		STRESS_CHECK(pool->run, "future",
			rota_future_poll(&future, &told) == 0 && told == STATUS,
			"the future of a call that has ended is not set");
	memset(call.room, FRESH, sizeof(call.room));
	stress_busy(pool->run, prng_ns(prng, 5 * ROTA_MICROSECOND));
	for (size_t i = 0; i < sizeof(call.room); i++)
		STRESS_CHECK(pool->run, "settled", call.room[i] == FRESH,
			"an offloaded call writes to its memory after its return");
	STRESS_CHECK(pool->run, "one-outcome", atomic_load(&call.ran) == ran,
		"an offloaded call runs after it was said to be cancelled");
	return status == STATUS ? 0 : status;
}

static void discard(void *arg)
{
	struct call *call = arg;
	struct pool *pool = call->pool;

	STRESS_CHECK(pool->run, "discard-once", atomic_fetch_add(&call->discarded, 1) == 0,
		"a call is discarded twice");
	STRESS_CHECK(pool->run, "discard-once", atomic_load(&call->ran) == 0 || call->room[0] == 2,
		"a call is discarded while it runs");
	free(call);
	atomic_fetch_add(&pool->discarded, 1);
}

static int offload_abandonable(struct pool *pool, struct prng *prng)
{
	struct call *call = stress_alloc(1, sizeof(*call));
	bool ran;
	int status;

	call->pool = pool;
	call->ns = prng_ns(prng, 60 * ROTA_MICROSECOND);
	call->choice = prng_below(prng, 4);
	call->status = STATUS;
	status = rota_offload_abandonable(call_run, call, discard);
	if (status == -ECANCELED) {
		atomic_fetch_add(&pool->abandoned, 1);
		return status;
	}
	ran = atomic_load(&call->ran) == 1 && call->room[0] == 2;
	STRESS_CHECK(pool->run, "one-outcome", status == STATUS && ran,
		"an abandonable call gives %d, it ran to its end: %d", status, ran);
	STRESS_CHECK(pool->run, "discard-once", atomic_load(&call->discarded) == 0,
		"a call that gave its status is discarded");
	free(call);
	return 0;
}

static int caller_run(void *arg)
{
	struct caller *caller = arg;
	struct pool *pool = caller->pool;
	struct victim *victim = &pool->victims[caller->index];
	struct prng prng = prng_of(caller->seed, 71);
	bool patient = caller->index < PATIENT;
	int err;

	for (int i = 0; i < CALLS; i++) {
		if (!patient)
			victim_begin(victim, &prng);
		if (prng_once_in(&prng, 2))
			err = offload(pool, &prng);
		else
			err = offload_abandonable(pool, &prng);
		if (!patient)
			(void)victim_end(victim, "offload", err);
		else
			STRESS_CHECK(pool->run, "cancel-has-cause", err == 0,
				"a call that nobody cancels gives %d", err);
		if (prng_once_in(&prng, 4))
			(void)rota_sleep(prng_ns(&prng, 20 * ROTA_MICROSECOND));
	}
	if (atomic_fetch_sub(&pool->live, 1) == 1)
		atomic_store(&pool->over, true);
	return 0;
}

/* Takes what they send, until the channel is closed. */
static int receiver_run(void *arg)
{
	struct pool *pool = arg;
	uint64_t item;

	while (rota_chan_recv(&pool->chan, &item) == 1)
		atomic_fetch_add(&pool->received, 1);
	return 0;
}

/* Abandoned calls may end some time after their callers. */
static void await_discards(struct pool *pool)
{
	for (int i = 0; i < 5000; i++) {
		if (atomic_load(&pool->discarded) == atomic_load(&pool->abandoned))
			break;
		(void)rota_sleep(ROTA_MILLISECOND);
	}
	STRESS_CHECK(pool->run, "discard-once",
		atomic_load(&pool->discarded) == atomic_load(&pool->abandoned),
		"%llu calls were abandoned, %llu discarded",
		(unsigned long long)atomic_load(&pool->abandoned),
		(unsigned long long)atomic_load(&pool->discarded));
}

static void check_pool(struct pool *pool)
{
	STRESS_CHECK(pool->run, "mutual-exclusion", pool->count == atomic_load(&pool->counted),
		"a counter under a mutex is behind");
	STRESS_CHECK(pool->run, "conservation",
		atomic_load(&pool->sent) == atomic_load(&pool->received),
		"%llu were sent from offloaded calls, %llu received",
		(unsigned long long)atomic_load(&pool->sent),
		(unsigned long long)atomic_load(&pool->received));
	STRESS_CHECK(pool->run, "finish",
		rota_mutex_finish(&pool->mutex) == 0 && rota_chan_finish(&pool->chan) == 0,
		"a mutex or channel that nobody uses is busy");
	atomic_fetch_add(&pool->run->tasks, CALLERS * CALLS);
}

static void one_pass(struct pool *pool, uint64_t pass)
{
	struct prng prng = prng_of(pool->run->seed, pass);
	struct hunter hunter = { .run = pool->run,
		.victims = &pool->victims[PATIENT],
		.count = CALLERS - PATIENT,
		.over = &pool->over };
	struct caller callers[CALLERS];
	struct rota_group receivers;
	struct rota_group group;

	if (rota_chan_init(&pool->chan, sizeof(uint64_t), ROOM) != 0)
		abort();
	atomic_store(&pool->live, CALLERS);
	hunter.seed = prng_next(&prng);
	rota_group_open(&receivers, NULL);
	(void)rota_group_spawn(&receivers, receiver_run, pool);
	rota_group_open(&group, NULL);
	for (uint32_t i = 0; i < CALLERS; i++) {
		struct rota_spawn_options options = stress_on_loop(prng_loop(&prng));

		pool->victims[i].run = pool->run;
		callers[i] = (struct caller){ .pool = pool, .index = i, .seed = prng_next(&prng) };
		(void)rota_group_spawn_with(&group, caller_run, &callers[i], NULL, &options);
	}
	(void)rota_group_spawn(&group, hunter_run, &hunter);
	STRESS_CHECK(pool->run, "close-result", rota_group_close(&group, 0) == 0,
		"the callers' group does not close with 0");
	await_discards(pool);
	rota_chan_close(&pool->chan);
	STRESS_CHECK(pool->run, "close-result", rota_group_close(&receivers, 0) == 0,
		"the receiver's group does not close with 0");
	check_pool(pool);
}

static int offload_main(void *arg)
{
	struct run *run = arg;
	struct pool *pool = stress_alloc(1, sizeof(*pool));
	uint64_t pass = 0;

	for (; stress_more(run, atomic_load(&run->tasks)); pass++) {
		memset(pool, 0, sizeof(*pool));
		pool->run = run;
		one_pass(pool, pass);
	}
	free(pool);
	return 0;
}

static void run_offload(struct run *run)
{
	run->offload_threads = THREADS;
	(void)stress_main_task(run, offload_main, run);
}

const struct scenario scenario_offload = {
	.name = "offload",
	.text = "offloaded calls: threads limited, run once or never, discarded once",
	.run = run_offload,
	.quota = 10000,
};
