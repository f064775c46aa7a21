/* SPDX-License-Identifier: MIT */
/*
 * A group's limit: never more live members than it says, whoever spawns; at the limit the owner and
 * strangers wait, members are told -EAGAIN and run the function themselves; a cancel ends the wait.
 */
#include "scenarios.h"

#define HELPERS 3

struct limited {
	struct run *run;
	struct rota_group *group;
	uint64_t limit;
	uint64_t tasks; /* of each spawner */
	bool may_cancel;
	_Atomic(uint64_t) running;
	_Atomic(uint64_t) ran;
	_Atomic(uint64_t) accepted;
};

struct limited_task {
	struct limited *limited;
	uint64_t seed;
	bool spawns; /* members of its own group */
};

static rota_task_fn limited_run;

static void spawn_from_inside(struct limited *limited, struct prng *prng)
{
	struct limited_task task = { .limited = limited, .seed = prng_next(prng) };
	int err = rota_group_spawn_copy(limited->group, limited_run, &task, sizeof(task));

	if (!err)
		atomic_fetch_add_explicit(&limited->accepted, 1, memory_order_relaxed);
	STRESS_CHECK(limited->run, "limit-inside",
		!err || err == -EAGAIN || (limited->may_cancel && err == -ECANCELED),
		"a member's spawn gives %d (%s)", err, rota_status_name(err));
}

static int limited_run(void *arg)
{
	struct limited_task *task = arg;
	struct limited *limited = task->limited;
	struct prng prng = prng_of(task->seed, 10);
	uint64_t running = atomic_fetch_add(&limited->running, 1) + 1;
	uint64_t live = rota_group_live(limited->group);

	STRESS_CHECK(limited->run, "limit", running <= limited->limit,
		"%llu members run, the limit is %llu", (unsigned long long)running,
		(unsigned long long)limited->limit);
	/* One that ends may have handed its place on before it is counted out: one a loop. */
	STRESS_CHECK(limited->run, "limit", live <= limited->limit + rota_loop_count(),
		"%llu members live, the limit is %llu", (unsigned long long)live,
		(unsigned long long)limited->limit);
	if (prng_once_in(&prng, 3))
		(void)rota_sleep(prng_ns(&prng, 50 * ROTA_MICROSECOND));
	if (task->spawns)
		spawn_from_inside(limited, &prng);
	atomic_fetch_add_explicit(&limited->ran, 1, memory_order_relaxed);
	atomic_fetch_sub(&limited->running, 1);
	return 0;
}

/* The owner or a stranger: waits at the limit. */
static int spawn_many(struct limited *limited, uint64_t seed)
{
	struct prng prng = prng_of(seed, 11);

	for (uint64_t i = 0; i < limited->tasks; i++) {
		struct limited_task task = { .limited = limited, .seed = prng_next(&prng) };
		int err;

		task.spawns = prng_once_in(&prng, 4);
		err = rota_group_spawn_copy(limited->group, limited_run, &task, sizeof(task));
		if (err == -ECANCELED && limited->may_cancel)
			return err;
		STRESS_CHECK(limited->run, "limit-waits", !err,
			"a spawn at the limit gives %d (%s)", err, rota_status_name(err));
		if (!err)
			atomic_fetch_add_explicit(&limited->accepted, 1, memory_order_relaxed);
	}
	return 0;
}

struct helper {
	struct limited *limited;
	uint64_t seed;
};

static int helper_run(void *arg)
{
	struct helper *helper = arg;

	(void)spawn_many(helper->limited, helper->seed);
	return 0;
}

static void one_pass(struct limited *limited, struct prng *prng)
{
	struct rota_group_options options = { .limit = limited->limit };
	struct rota_group helpers;
	struct rota_group group;
	int status;

	if (limited->may_cancel)
		options.timeout_ns = prng_ns(prng, ROTA_MILLISECOND) + 1;
	rota_group_open(&group, &options);
	limited->group = &group;
	/* Its members are strangers to the other; it closes first, since they spawn into that. */
	rota_group_open(&helpers, NULL);
	for (uint32_t i = 0; i < HELPERS; i++) {
		struct helper helper = { .limited = limited, .seed = prng_next(prng) };
		struct rota_spawn_options on_loop = stress_on_loop(prng_loop(prng));

		on_loop.arg_bytes = sizeof(helper);
		(void)rota_group_spawn_with(&helpers, helper_run, &helper, NULL, &on_loop);
	}
	(void)spawn_many(limited, prng_next(prng));
	status = rota_group_close(&helpers, 0);
	STRESS_CHECK(limited->run, "group-close", status == 0 || limited->may_cancel,
		"the strangers' group closes with %d", status);
	status = rota_group_close(&group, 0);
	STRESS_CHECK(limited->run, "group-close",
		status == 0 || (limited->may_cancel && status == -ETIMEDOUT),
		"a group with a limit closes with %d (%s)", status, rota_status_name(status));
}

static int limit_main(void *arg)
{
	struct run *run = arg;

	for (uint64_t pass = 0; stress_more(run, atomic_load(&run->tasks)); pass++) {
		struct prng prng = prng_of(run->seed, pass);
		struct limited limited = { .run = run };
		uint64_t ran;

		limited.limit = prng_once_in(&prng, 4) ? 1 : prng_below(&prng, 64) + 1;
		limited.tasks = prng_below(&prng, 200);
		limited.may_cancel = prng_once_in(&prng, 4);
		one_pass(&limited, &prng);
		ran = atomic_load(&limited.ran);
		STRESS_CHECK(run, "exactly-once", ran == atomic_load(&limited.accepted),
			"%llu members were accepted, %llu ran",
			(unsigned long long)atomic_load(&limited.accepted),
			(unsigned long long)ran);
		atomic_fetch_add(&run->tasks, ran);
	}
	return 0;
}

static void run_limit(struct run *run)
{
	(void)stress_main_task(run, limit_main, run);
}

const struct scenario scenario_limit = {
	.name = "limit",
	.text = "a group's limit holds, at it spawns wait or are told -EAGAIN",
	.run = run_limit,
	.quota = 50000,
};
