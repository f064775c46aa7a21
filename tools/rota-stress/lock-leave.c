/* SPDX-License-Identifier: MIT */
/*
 * Passes of the lock scenario over who leaves a line: some wait for what never comes, and are
 * cancelled; those behind them need less and must go on then, though nobody gives anything back.
 */
#include "lock.h"

#define LOOKS_MAX 3000 /* a millisecond apart */
#define TOO_MANY  1000000

struct line_of_greed {
	struct rota_sem sem;
	struct rota_rwlock lock; /* read by the pass itself, all the time */
	_Atomic(uint64_t) served;
	bool is_sem;
	bool let_go; /* the pass reads no more */
};

static void greedy_turn(struct contender *contender, struct prng *prng)
{
	struct line_of_greed *line = contender->contest->object;
	int err;

	victim_begin(contender->victim, prng);
	if (line->is_sem)
		err = rota_sem_wait_many(&line->sem, TOO_MANY);
	else
		err = rota_rwlock_wrlock_cancelable(&line->lock);
	STRESS_CHECK(contender->contest->run, "one-outcome", err == -ECANCELED,
		"who waits for what is not there gets %d", err);
	(void)victim_end(contender->victim, "greedy wait", err);
	if (err == 0 && !line->is_sem)
		rota_rwlock_wrunlock(&line->lock);
}

static void leave_turn(struct contender *contender, struct prng *prng)
{
	struct line_of_greed *line = contender->contest->object;
	int err = 0;

	if (contender->victim) {
		greedy_turn(contender, prng);
		return;
	}
	if (line->is_sem) {
		err = rota_sem_wait(&line->sem);
	} else {
		rota_rwlock_rdlock(&line->lock);
		rota_rwlock_rdunlock(&line->lock);
	}
	STRESS_CHECK(contender->contest->run, "one-outcome", err == 0, "a semaphore gives %d", err);
	atomic_fetch_add(&line->served, 1);
	if (prng_once_in(prng, 4))
		linger(contender, prng);
}

/* Looks whether they get on. If not it gives back what helps. */
static int watch_run(void *arg)
{
	struct contest *contest = arg;
	struct line_of_greed *line = contest->object;
	uint64_t served = 0;
	int looks = 0;

	while (atomic_load(&contest->patient) > 0) {
		(void)rota_sleep(ROTA_MILLISECOND);
		looks = served == atomic_load(&line->served) ? looks + 1 : 0;
		served = atomic_load(&line->served);
		if (looks < LOOKS_MAX)
			continue;
		stress_broken(contest->run, "lost-place",
			"%u wait for what is there, behind those that have left the line",
			atomic_load(&contest->patient));
		looks = 0;
		if (line->is_sem)
			rota_sem_post(&line->sem);
		else if (!line->let_go)
			rota_rwlock_rdunlock(&line->lock);
		line->let_go = true;
	}
	return 0;
}

static void pass_leave(struct run *run, struct prng *prng, bool is_sem)
{
	struct line_of_greed line = { .is_sem = is_sem };
	struct contest *contest = stress_alloc(1, sizeof(*contest));

	contest->run = run;
	contest->object = &line;
	contest->turn = leave_turn;
	contest->turns = TURNS / 2;
	rota_sem_init(&line.sem, (PATIENT + 1) * contest->turns);
	rota_rwlock_rdlock(&line.lock);
	contest_run(contest, prng, watch_run);
	STRESS_CHECK(run, "semaphore", !is_sem || rota_sem_trywait(&line.sem) == -EAGAIN,
		"more is left than there was to take");
	if (!line.let_go)
		rota_rwlock_rdunlock(&line.lock);
	STRESS_CHECK(run, "finish", rota_rwlock_finish(&line.lock) == 0,
		"an rwlock that nobody uses is busy");
	frames_check(run, &contest->frames, "semaphore", &line.sem, sizeof(line.sem));
	frames_check(run, &contest->frames, "rwlock", &line.lock, sizeof(line.lock));
	free(contest);
}

void pass_leave_sem(struct run *run, struct prng *prng)
{
	pass_leave(run, prng, true);
}

void pass_leave_rwlock(struct run *run, struct prng *prng)
{
	pass_leave(run, prng, false);
}
