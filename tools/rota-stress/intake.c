/* SPDX-License-Identifier: MIT */
/*
 * Plain threads spawn background tasks and look at counters the whole time while the runtime
 * starts and stops under them: each call is refused with an error or its task runs once.
 */
#include "scenarios.h"

#include <pthread.h>

#define THREADS 2

struct intake {
	struct run *run;
	_Atomic(uint64_t) accepted;
	_Atomic(uint64_t) ran;
	_Atomic(int) stop;
};

struct feeder {
	struct intake *intake;
	pthread_t thread;
	uint64_t number;
};

static int taken_in(void *arg)
{
	struct intake *intake = arg;

	atomic_fetch_add_explicit(&intake->ran, 1, memory_order_relaxed);
	(void)rota_yield();
	return 0;
}

static void *feed(void *arg)
{
	struct feeder *feeder = arg;
	struct intake *intake = feeder->intake;
	struct prng prng = prng_of(intake->run->seed, feeder->number);
	struct rota_stats stats;

	while (!atomic_load_explicit(&intake->stop, memory_order_relaxed)) {
		int err = rota_background(taken_in, intake);

		if (!err)
			atomic_fetch_add_explicit(&intake->accepted, 1, memory_order_relaxed);
		STRESS_CHECK(intake->run, "refusal", !err || err == -ENXIO || err == -ESHUTDOWN,
			"rota_background() while the runtime starts and stops gives %d (%s)", err,
			rota_status_name(err));
		if (prng_once_in(&prng, 8))
			(void)rota_stats_get(&stats, sizeof(stats), -1);
		if (prng_once_in(&prng, 8))
			(void)rota_loop_count();
		stress_busy(intake->run, prng_ns(&prng, 20 * ROTA_MICROSECOND));
	}
	return NULL;
}

static void on_error(void *arg, const struct rota_error *error)
{
	(void)arg;
	(void)error;
}

static void one_life(struct intake *intake, uint64_t round)
{
	struct prng prng = prng_of(intake->run->seed, ~round);
	struct rota_config config = stress_config(intake->run);
	struct rota_runtime *runtime = NULL;
	int err;

	config.on_error = on_error;
	err = rota_start(&runtime, &config);
	STRESS_CHECK(intake->run, "start", !err, "rota_start() gives %d (%s)", err,
		rota_status_name(err));
	if (err)
		return;
	stress_thread_sleep(prng_ns(&prng, ROTA_MILLISECOND));
	err = rota_stop(runtime);
	STRESS_CHECK(
		intake->run, "stop", !err, "rota_stop() gives %d (%s)", err, rota_status_name(err));
}

static void run_intake(struct run *run)
{
	struct intake intake = { .run = run };
	struct feeder feeders[THREADS];
	uint64_t accepted;
	uint64_t ran;

	stress_clock_start(run);
	for (uint64_t i = 0; i < THREADS; i++) {
		feeders[i] = (struct feeder){ .intake = &intake, .number = i };
		if (pthread_create(&feeders[i].thread, NULL, feed, &feeders[i]) != 0)
			abort();
	}
	for (uint64_t round = 0; stress_more(run, round); round++)
		one_life(&intake, round);
	atomic_store(&intake.stop, 1);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(feeders[i].thread, NULL);
	accepted = atomic_load(&intake.accepted);
	ran = atomic_load(&intake.ran);
	STRESS_CHECK(run, "exactly-once", accepted == ran, "%llu tasks were accepted, %llu ran",
		(unsigned long long)accepted, (unsigned long long)ran);
	atomic_store(&run->tasks, ran);
}

const struct scenario scenario_intake = {
	.name = "intake",
	.text = "plain threads spawn while the runtime starts and stops under them",
	.run = run_intake,
	.quota = 1000,
	.flags = STRESS_ROUNDS | STRESS_REAL_ONLY,
};
