/* SPDX-License-Identifier: MIT */
/*
 * Random cancels at random times over every kind of wait: of scopes by other tasks and threads, by
 * deadlines, of whole tasks. Each wait has one outcome, what was handed over is accounted for, and
 * at the end nobody is left in any object's queue. --rounds counts the cancels.
 */
#include "waits.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/attr.h"
#include "scenarios.h"

#define SLOTS_PER_LOOP	 6
#define HUNTERS		 2
#define FEEDERS		 2
#define CANCELS_OF_A_SET 2000
#define WAITS_OF_A_TASK	 40

/* The waits of one task, after which, or after whose cancel, another takes its place. */
struct keeper {
	struct waits *waits;
	struct victim *victim;
	uint64_t seed;
};

static int victim_run(void *arg)
{
	struct keeper *keeper = arg;
	struct waits *waits = keeper->waits;
	struct victim *victim = keeper->victim;
	struct prng prng = prng_of(keeper->seed, 23);
	uint64_t count = prng_below(&prng, WAITS_OF_A_TASK) + 1;
	uint64_t done = 0;

	frames_note(&waits->frames);
	for (; done < count && !atomic_load(&waits->over) && !rota_cancelled(); done++) {
		const char *what = "";
		int status;

		victim_begin(victim, &prng);
		status = waits_one(waits, &prng, &what);
		(void)victim_end(victim, what, status);
	}
	atomic_fetch_add_explicit(&waits->run->tasks, 1, memory_order_relaxed);
	return 0;
}

static int keeper_run(void *arg)
{
	struct keeper *keeper = arg;
	struct waits *waits = keeper->waits;
	struct victim *victim = keeper->victim;
	struct prng prng = prng_of(keeper->seed, 24);

	while (!atomic_load(&waits->over)) {
		struct rota_spawn_options options = stress_on_loop(prng_loop(&prng));
		struct rota_task *task = NULL;
		struct rota_group group;
		int status = -1;

		keeper->seed = prng_next(&prng);
		atomic_store(&victim->asked, false);
		rota_group_open(&group, NULL);
		(void)rota_group_spawn_with(&group, victim_run, keeper, &task, &options);
		victim_expose(victim, task);
		STRESS_CHECK(waits->run, "await",
			rota_task_await(task, &status) == 0 && status == 0, "a victim ends with %d",
			status);
		victim_hide(victim);
		STRESS_CHECK(waits->run, "close-result", rota_group_close(&group, 0) == 0,
			"a victim's group does not close with 0");
	}
	pin_shut(&victim->scope_pin);
	if (atomic_fetch_sub(&waits->keepers, 1) == 1)
		atomic_store(&waits->gone, true);
	return 0;
}

/* Says when enough was cancelled. */
static int timekeeper_run(void *arg)
{
	struct waits *waits = arg;
	struct run *run = waits->run;

	while (atomic_load(&run->cancels) < waits->cancels_end && !stress_over(run))
		(void)rota_sleep(100 * ROTA_MICROSECOND);
	atomic_store(&waits->over, true);
	return 0;
}

static int pebble_run(void *arg)
{
	struct pebble *pebble = arg;

	(void)rota_sleep(pebble->nap_ns);
	return pebble->status;
}

static void open_objects(struct waits *waits, struct prng *prng)
{
	struct rota_group_options options = { .limit = LIMIT, .policy = ROTA_GROUP_COLLECT };

	rota_sem_init(&waits->sem, 0);
	for (size_t i = 0; i < BARRIERS; i++)
		rota_barrier_init(&waits->meetings[i].barrier, PARTIES);
	if (rota_chan_init(&waits->channels[0], sizeof(uint64_t), 0) != 0 ||
		rota_chan_init(&waits->channels[1], sizeof(uint64_t), CHANNEL_ROOM) != 0)
		abort();
	if (!waits->run->sim && pipe2(waits->pipe, O_CLOEXEC) < 0)
		abort();
	rota_group_open(&waits->limited, &options);
	rota_group_open(&waits->pebble_group, NULL);
	for (int i = 0; i < PEBBLES; i++) {
		struct pebble *pebble = &waits->pebbles[i];
		struct rota_spawn_options on_loop = stress_on_loop(prng_loop(prng));

		pebble->nap_ns = prng_ns(prng, 10 * ROTA_MILLISECOND);
		pebble->status = PEBBLE_STATUS + i;
		(void)rota_group_spawn_with(
			&waits->pebble_group, pebble_run, pebble, &pebble->task, &on_loop);
	}
}

static void close_objects(struct waits *waits)
{
	struct run *run = waits->run;
	int status;

	rota_group_cancel(&waits->pebble_group, "the end of the set");
	STRESS_CHECK(run, "close-result", rota_group_close(&waits->pebble_group, 0) == 0,
		"a group of sleepers does not close with 0");
	status = rota_group_wait(&waits->limited);
	STRESS_CHECK(run, "limit", status == 0 && rota_group_live(&waits->limited) == 0,
		"a wait for members gives %d, %zu places are taken then", status,
		rota_group_live(&waits->limited));
	status = rota_group_close(&waits->limited, 0);
	/* A spawner that was cancelled at the limit leaves its error to the close. */
	STRESS_CHECK(run, "close-result", status == 0 || status == -ECANCELED,
		"a group with a limit closes with %d", status);
	waits_check(waits);
}

/* All who wait, cancel and feed, until the set has had its share of cancels. */
static void run_actors(struct waits *waits, struct prng *prng)
{
	struct keeper keepers[SLOTS_MAX];
	struct hunter hunters[HUNTERS];
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (size_t i = 0; i < waits->slots; i++) {
		keepers[i] = (struct keeper){
			.waits = waits, .victim = &waits->victims[i], .seed = prng_next(prng)
		};
		(void)rota_group_spawn(&group, keeper_run, &keepers[i]);
	}
	for (size_t i = 0; i < HUNTERS; i++) {
		struct rota_spawn_options options = stress_on_loop(prng_loop(prng));

		hunters[i] = waits->hunter;
		hunters[i].seed = prng_next(prng);
		(void)rota_group_spawn_with(&group, hunter_run, &hunters[i], NULL, &options);
	}
	for (size_t i = 0; i < FEEDERS; i++) {
		struct rota_spawn_options options = stress_on_loop(prng_loop(prng));

		(void)rota_group_spawn_with(&group, waits_feeder, waits, NULL, &options);
	}
	crew_add(waits->run, &waits->crew, hunter_thread, &waits->hunter, prng_next(prng));
	crew_add(waits->run, &waits->crew, waits_thread, waits, prng_next(prng));
	(void)rota_group_spawn(&group, timekeeper_run, waits);
	STRESS_CHECK(waits->run, "close-result", rota_group_close(&group, 0) == 0,
		"the actors' group does not close with 0");
	crew_join(&waits->crew);
}

static void one_set(struct run *run, struct waits *waits, uint64_t number)
{
	struct prng prng = prng_of(run->seed, number);
	uint64_t end = atomic_load(&run->cancels) + CANCELS_OF_A_SET;

	memset(waits, 0, sizeof(*waits));
	waits->run = run;
	waits->seed = prng_next(&prng);
	waits->cancels_end = end < run->quota ? end : run->quota;
	waits->slots = SLOTS_PER_LOOP * rota_loop_count();
	if (waits->slots > SLOTS_MAX)
		waits->slots = SLOTS_MAX;
	atomic_store(&waits->keepers, (uint32_t)waits->slots);
	for (size_t i = 0; i < waits->slots; i++)
		waits->victims[i].run = run;
	waits->hunter = (struct hunter){
		.run = run, .victims = waits->victims, .count = waits->slots, .over = &waits->gone
	};
	open_objects(waits, &prng);
	run_actors(waits, &prng);
	close_objects(waits);
}

static int waits_main(void *arg)
{
	struct run *run = arg;
	struct waits *waits = stress_alloc(1, sizeof(*waits));
	unsigned int fds = stress_fd_count();
	uint64_t number = 0;

	for (; stress_more(run, atomic_load(&run->cancels)); number++)
		one_set(run, waits, number);
	free(waits);
	/* TSAN opens a pipe to its symbolizer with its first report. */
	STRESS_CHECK(run, "nothing-leaks", run->sim || ROTA__TSAN || stress_fd_count() == fds,
		"%u descriptors became %u", fds, stress_fd_count());
	return 0;
}

static void run_waits(struct run *run)
{
	run->offload_threads = 2;
	(void)stress_main_task(run, waits_main, run);
}

const struct scenario scenario_waits = {
	.name = "waits",
	.text = "random cancels over every kind of wait: one outcome each, nothing lost or left",
	.run = run_waits,
	.quota = 20000,
	.flags = STRESS_ROUNDS,
};
