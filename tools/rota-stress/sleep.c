/* SPDX-License-Identifier: MIT */
/* Random sleeps on all loops: never early, never cut short, always ended. */
#include "scenarios.h"

#define WAVE   500
#define SLEEPS 4

struct sleeper {
	struct run *run;
	uint64_t number;
	int64_t meeting_ns; /* when all of its wave have a sleep that ends */
};

static int64_t duration_ns(struct prng *prng)
{
	switch (prng_below(prng, 8)) {
	case 0:
		return 0;
	case 1:
		return -prng_ns(prng, ROTA_SECOND);
	case 2:
		return prng_ns(prng, ROTA_MICROSECOND);
	case 3:
		return prng_ns(prng, 5 * ROTA_MILLISECOND);
	case 4:
		return prng_ns(prng, prng_once_in(prng, 20) ? 50 * ROTA_MILLISECOND : 1000);
	default:
		return prng_ns(prng, 200 * ROTA_MICROSECOND);
	}
}

static void sleep_once(struct sleeper *sleeper, struct prng *prng)
{
	bool until = prng_once_in(prng, 3);
	bool meeting = prng_once_in(prng, 6);
	int64_t duration = duration_ns(prng);
	int64_t when = meeting ? sleeper->meeting_ns : rota_now() + duration;
	int64_t late;
	int status;

	status = until || meeting ? rota_sleep_until(when) : rota_sleep(duration);
	late = rota_now() - when;
	STRESS_CHECK(sleeper->run, "sleep", status == 0, "a sleep of %lld ns gives %d (%s)",
		(long long)duration, status, rota_status_name(status));
	STRESS_CHECK(sleeper->run, "never-early", late >= 0,
		"a sleep of %lld ns ends %lld ns early", (long long)duration, -(long long)late);
}

static int sleeper_run(void *arg)
{
	struct sleeper *sleeper = arg;
	struct prng prng = prng_of(sleeper->run->seed, sleeper->number);

	for (int i = 0; i < SLEEPS; i++)
		sleep_once(sleeper, &prng);
	atomic_fetch_add_explicit(&sleeper->run->tasks, 1, memory_order_relaxed);
	return 0;
}

static int sleep_main(void *arg)
{
	struct run *run = arg;

	for (uint64_t number = 0; stress_more(run, number);) {
		int64_t meeting_ns = rota_now() + 2 * ROTA_MILLISECOND;
		struct rota_group group;

		rota_group_open(&group, NULL);
		for (uint64_t i = 0; i < WAVE && number < run->quota; i++) {
			struct sleeper sleeper = {
				.run = run, .number = number++, .meeting_ns = meeting_ns
			};

			(void)rota_group_spawn_copy(&group, sleeper_run, &sleeper, sizeof(sleeper));
		}
		STRESS_CHECK(run, "group-close", rota_group_close(&group, 0) == 0,
			"the sleepers' group does not close with 0");
	}
	return 0;
}

static void run_sleep(struct run *run)
{
	(void)stress_main_task(run, sleep_main, run);
}

const struct scenario scenario_sleep = {
	.name = "sleep",
	.text = "random sleeps are never early, many with the same deadline",
	.run = run_sleep,
	.quota = 20000,
};
