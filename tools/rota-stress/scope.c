/* SPDX-License-Identifier: MIT */
/*
 * Nested scopes, shields and groups with deadlines that move, cancelled by their owner, by tasks of
 * other loops and by threads; a model says what may and what must be in force at each call, and
 * what each close gives. Inside what was struck every call is refused until the close.
 */
#include "scope.h"

#include "crew.h"
#include "scenarios.h"

#define NESTS_PER_LOOP 3
#define NESTS_MAX      16
#define LIVES	       20 /* tasks, one after the other, in each nest */
#define STEPS_MAX      80

struct scopes {
	struct run *run;
	struct nest nests[NESTS_MAX];
	size_t count;
	struct rota_mutex mutex;
	struct rota_chan quiet; /* nothing ever comes */
	struct crew crew;
	_Atomic(uint32_t) live;
	_Atomic(bool) over;
};

struct life {
	struct scopes *scopes;
	struct nest *nest;
	uint64_t seed;
};

/* A wait that only a cancel ends, where one is certain. */
static int endless(struct scopes *scopes, struct prng *prng)
{
	char byte;

	if (prng_once_in(prng, 2))
		return rota_sleep(ROTA_FOREVER);
	return rota_chan_recv(&scopes->quiet, &byte);
}

/* A timer of the same loop that is due earlier strikes first. */
static int sleep_over_deadlines(struct nest *nest, struct prng *prng)
{
	int64_t ns = prng_ns(prng, 120 * ROTA_MICROSECOND) + 1;
	int64_t start_ns = rota_now();
	struct level *level = nest_strikes_before(nest, start_ns + ns);
	int err = rota_sleep(ns);

	/* A cancel that was faster than the deadline may still be on its way to this loop. */
	STRESS_CHECK(nest->run, "deadline",
		err == -ECANCELED || (err == 0 && (!level || atomic_load(&level->asked))),
		"a sleep that ends after a deadline gives %d", err);
	STRESS_CHECK(nest->run, "never-early", err != 0 || rota_now() - start_ns >= ns,
		"a sleep ends early");
	return err;
}

static void call(struct scopes *scopes, struct nest *nest, struct prng *prng)
{
	static const char *const names[] = { "yield", "endless wait", "mutex", "sleep" };
	bool must = nest_must(nest, nest->depth);
	uint64_t choice = prng_below(prng, 5);
	int err;

	switch (choice) {
	case 0:
		err = rota_yield();
		break;
	case 1:
		if (!nest_is_struck(nest))
			return;
		err = endless(scopes, prng);
		break;
	case 2:
		err = rota_mutex_lock_cancelable(&scopes->mutex);
		if (err == 0)
			rota_mutex_unlock(&scopes->mutex);
		break;
	case 3:
		err = sleep_over_deadlines(nest, prng);
		break;
	default:
		/* The lock is no cancellation point. */
		rota_mutex_lock(&scopes->mutex);
		stress_busy(nest->run, prng_ns(prng, ROTA_MICROSECOND));
		rota_mutex_unlock(&scopes->mutex);
		nest_ask(nest);
		return;
	}
	nest_saw(nest, names[choice], must, err == -ECANCELED);
}

static void step(struct scopes *scopes, struct nest *nest, struct prng *prng)
{
	uint64_t choice = prng_below(prng, 100);

	if (choice < 25)
		nest_open(nest, prng);
	else if (choice < 45)
		nest_close(nest, prng);
	else if (choice < 53)
		nest_move_deadline(nest, prng);
	else if (choice < 56)
		nest_cancel_own(nest, prng);
	else
		call(scopes, nest, prng);
}

static int life_run(void *arg)
{
	struct life *life = arg;
	struct nest *nest = life->nest;
	struct prng prng = prng_of(life->seed, 61);

	for (uint64_t steps = prng_below(&prng, STEPS_MAX); steps > 0; steps--)
		step(life->scopes, nest, &prng);
	while (nest->depth > 0)
		nest_close(nest, &prng);
	atomic_fetch_add(&nest->run->tasks, 1);
	return 0;
}

/* One task after the other; some are cancelled as a whole. */
static int nest_run(void *arg)
{
	struct life *life = arg;
	struct nest *nest = life->nest;
	struct prng prng = prng_of(life->seed, 62);

	for (int i = 0; i < LIVES; i++) {
		struct rota_spawn_options options = stress_on_loop(prng_loop(&prng));
		struct rota_task *task = NULL;
		struct rota_group group;
		int status = -1;

		life->seed = prng_next(&prng);
		nest->must = false;
		atomic_store(&nest->asked, false);
		rota_group_open(&group, NULL);
		(void)rota_group_spawn_with(&group, life_run, life, &task, &options);
		if (prng_once_in(&prng, 4)) {
			(void)rota_sleep(prng_ns(&prng, 300 * ROTA_MICROSECOND));
			atomic_store(&nest->asked, true);
			rota_task_cancel(task, "chosen by the stress test");
			atomic_fetch_add(&nest->run->cancels, 1);
		}
		STRESS_CHECK(nest->run, "await", rota_task_await(task, &status) == 0 && status == 0,
			"a task with scopes ends with %d", status);
		STRESS_CHECK(nest->run, "close-result", rota_group_close(&group, 0) == 0,
			"a group around one task does not close with 0");
	}
	if (atomic_fetch_sub(&life->scopes->live, 1) == 1)
		atomic_store(&life->scopes->over, true);
	return 0;
}

static int striker_run(void *arg)
{
	struct life *life = arg;
	struct scopes *scopes = life->scopes;
	struct prng prng = prng_of(life->seed, 63);
	int64_t start_ns = rota_now();

	while (!atomic_load(&scopes->over)) {
		stress_not_stuck(scopes->run, start_ns);
		nest_strike(&scopes->nests[prng_below(&prng, scopes->count)], &prng);
		if (prng_once_in(&prng, 4))
			(void)rota_yield();
		else
			(void)rota_sleep(prng_ns(&prng, 30 * ROTA_MICROSECOND));
	}
	return 0;
}

static void striker_thread(void *arg, uint64_t seed)
{
	struct scopes *scopes = arg;
	struct prng prng = prng_of(seed, 64);

	while (!atomic_load(&scopes->over)) {
		nest_strike(&scopes->nests[prng_below(&prng, scopes->count)], &prng);
		stress_busy(scopes->run, prng_ns(&prng, 40 * ROTA_MICROSECOND));
	}
}

static void one_pass(struct scopes *scopes, uint64_t pass)
{
	struct prng prng = prng_of(scopes->run->seed, pass);
	struct life lives[NESTS_MAX + 1];
	struct rota_group group;

	scopes->count = NESTS_PER_LOOP * rota_loop_count();
	if (scopes->count > NESTS_MAX)
		scopes->count = NESTS_MAX;
	atomic_store(&scopes->live, (uint32_t)scopes->count);
	if (rota_chan_init(&scopes->quiet, 1, 0) != 0)
		abort();
	rota_group_open(&group, NULL);
	for (size_t i = 0; i <= scopes->count; i++) {
		lives[i] = (struct life){ .scopes = scopes, .seed = prng_next(&prng) };
		if (i == scopes->count)
			break;
		lives[i].nest = &scopes->nests[i];
		lives[i].nest->run = scopes->run;
		(void)rota_group_spawn(&group, nest_run, &lives[i]);
	}
	(void)rota_group_spawn(&group, striker_run, &lives[scopes->count]);
	crew_add(scopes->run, &scopes->crew, striker_thread, scopes, prng_next(&prng));
	STRESS_CHECK(scopes->run, "close-result", rota_group_close(&group, 0) == 0,
		"the group of all does not close with 0");
	crew_join(&scopes->crew);
	STRESS_CHECK(scopes->run, "finish",
		rota_mutex_finish(&scopes->mutex) == 0 && rota_chan_finish(&scopes->quiet) == 0,
		"a mutex or a channel that nobody uses is busy");
}

static int scope_main(void *arg)
{
	struct run *run = arg;
	struct scopes *scopes = stress_alloc(1, sizeof(*scopes));
	uint64_t pass = 0;

	for (; stress_more(run, atomic_load(&run->tasks)); pass++) {
		memset(scopes, 0, sizeof(*scopes));
		scopes->run = run;
		one_pass(scopes, pass);
	}
	free(scopes);
	return 0;
}

static void run_scope(struct run *run)
{
	(void)stress_main_task(run, scope_main, run);
}

const struct scenario scenario_scope = {
	.name = "scope",
	.text = "nested scopes and shields, moving deadlines, cancels from everywhere, by a model",
	.run = run_scope,
	.quota = 5000,
};
