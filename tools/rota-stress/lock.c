/* SPDX-License-Identifier: MIT */
/*
 * Locks: mutual exclusion (of plain memory, so that TSAN sees what is missing), order (once in the
 * line nobody is passed by one who came later), no lost signal, counts that hold, generations of a
 * barrier; among cancels.
 */
#include "lock.h"

#include "base/attr.h"
#include "scenarios.h"

void line_enter(struct contender *contender)
{
	atomic_store(&contender->task, rota_task_self());
	atomic_store(&contender->wants, ++contender->waits);
}

void line_leave(struct contender *contender)
{
	atomic_store(&contender->wants, 0);
}

/* Whether it is suspended in its wait number `wants`. */
static bool is_in_line(struct contender *contender, uint32_t wants)
{
	struct rota_task *task = atomic_load(&contender->task);

	return task && rota_task_state(task) == ROTA_TASK_SUSPENDED &&
	       atomic_load(&contender->wants) == wants;
}

void line_got(struct contender *contender, const char *what)
{
	struct contest *contest = contender->contest;

	for (size_t i = 0; i < CONTENDERS; i++) {
		struct contender *other = &contest->contenders[i];
		uint32_t wants = atomic_load(&other->wants);
		uint32_t passed;

		if (other == contender || wants == 0)
			continue;
		if (atomic_load(&other->marked) == wants) {
			passed = atomic_fetch_add(&other->passed, 1) + 1;
			STRESS_CHECK(contest->run, "fairness", passed < CONTENDERS,
				"%s: %u of %d got it before one that waited", what, passed,
				CONTENDERS);
		} else if (is_in_line(other, wants)) {
			atomic_store(&other->passed, 0);
			atomic_store(&other->marked, wants);
		}
	}
}

void linger(struct contender *contender, struct prng *prng)
{
	switch (prng_below(prng, 4)) {
	case 0:
		if (contender->thread)
			stress_busy(contender->contest->run, prng_ns(prng, 3 * ROTA_MICROSECOND));
		else
			(void)rota_sleep(prng_ns(prng, 5 * ROTA_MICROSECOND));
		break;
	case 1:
		stress_busy(contender->contest->run, prng_ns(prng, 3 * ROTA_MICROSECOND));
		break;
	case 2:
		(void)rota_yield(); /* nothing in a thread */
		break;
	default:
		break;
	}
}

static void take_turns(struct contender *contender, uint64_t seed)
{
	struct contest *contest = contender->contest;
	struct prng prng = prng_of(seed, 41);

	frames_note(&contest->frames);
	for (uint32_t i = 0; i < contest->turns; i++)
		contest->turn(contender, &prng);
	if (!contender->victim)
		atomic_fetch_sub(&contest->patient, 1);
	if (atomic_fetch_sub(&contest->live, 1) == 1)
		atomic_store(&contest->over, true);
}

static int contender_run(void *arg)
{
	struct contender *contender = arg;

	take_turns(contender, contender->seed);
	return 0;
}

static void contender_thread(void *arg, uint64_t seed)
{
	struct contender *contender = arg;

	take_turns(contender, seed);
}

static void start(struct contest *contest, struct rota_group *group, struct prng *prng, uint32_t i)
{
	struct contender *contender = &contest->contenders[i];
	struct rota_spawn_options options = stress_on_loop(prng_loop(prng));
	struct rota_task *task;

	contender->contest = contest;
	contender->index = i;
	contender->seed = prng_next(prng);
	contender->thread = i == CONTENDERS - 1 && !contest->run->sim;
	contest->victims[i].run = contest->run;
	if (i >= PATIENT && i < CONTENDERS - 1)
		contender->victim = &contest->victims[i];
	/* The handle keeps the task's state to be looked at until the close. */
	if (contender->thread)
		crew_add(
			contest->run, &contest->crew, contender_thread, contender, contender->seed);
	else
		(void)rota_group_spawn_with(group, contender_run, contender, &task, &options);
}

void contest_run(struct contest *contest, struct prng *prng, rota_task_fn *extra)
{
	struct hunter hunter = { .run = contest->run,
		.victims = &contest->victims[PATIENT],
		.count = CONTENDERS - 1 - PATIENT,
		.over = &contest->over };
	struct rota_group group;

	contest->seed = prng_next(prng);
	hunter.seed = prng_next(prng);
	atomic_store(&contest->patient, PATIENT + 1);
	atomic_store(&contest->live, CONTENDERS);
	rota_group_open(&group, NULL);
	for (uint32_t i = 0; i < CONTENDERS; i++)
		start(contest, &group, prng, i);
	(void)rota_group_spawn(&group, hunter_run, &hunter);
	if (extra)
		(void)rota_group_spawn(&group, extra, contest);
	/* The thread may be in the line with tasks: they run on meanwhile. */
	STRESS_CHECK(contest->run, "close-result", rota_group_close(&group, 0) == 0,
		"the contenders' group does not close with 0");
	crew_join(&contest->crew);
	atomic_fetch_add(&contest->run->tasks, CONTENDERS * (uint64_t)contest->turns);
}

static int lock_main(void *arg)
{
	static void (*const passes[])(struct run *, struct prng *) = { pass_mutex, pass_rwlock,
		pass_sem, pass_leave_sem, pass_leave_rwlock, pass_cond, pass_barrier };
	struct run *run = arg;

	for (uint64_t i = 0; stress_more(run, atomic_load(&run->tasks)); i++) {
		struct prng prng = prng_of(run->seed, i);

		passes[i % ARRAY_SIZE(passes)](run, &prng);
	}
	return 0;
}

static void run_lock(struct run *run)
{
	(void)stress_main_task(run, lock_main, run);
}

const struct scenario scenario_lock = {
	.name = "lock",
	.text = "locks exclude, serve in order, lose no signal; semaphores, barriers count right",
	.run = run_lock,
	.quota = 20000,
};
