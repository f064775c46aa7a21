/* SPDX-License-Identifier: MIT */
/* Passes of the lock scenario over what tasks tell each other by: condition, barrier. */
#include "lock.h"

#define STUCK_MAX 4000 /* looks, a millisecond apart at the end */

/*
 * A condition. The signaller signals only when one waits whom nobody cancels and no signal is on
 * its way: so each is taken, by whomever. A broadcast is for all who wait, the cancelled included.
 */
struct bell {
	struct rota_mutex mutex;
	struct rota_cond cond;
	/* All L(mutex). */
	uint32_t waiting;	  /* all */
	uint32_t waiting_patient; /* whom nobody cancels */
	uint32_t pending;	  /* ends of waits that are owed */
	uint64_t broadcasts;
	uint32_t stuck;
};

static void bell_wait(struct contender *contender, bool patient)
{
	struct bell *bell = contender->contest->object;
	struct run *run = contender->contest->run;
	uint64_t broadcasts;
	int err;

	rota_mutex_lock(&bell->mutex);
	if (contender->victim && rota_cancelled()) {
		err = rota_cond_wait(&bell->cond, &bell->mutex);
		STRESS_CHECK(run, "one-outcome", err == -ECANCELED,
			"a wait of a cancelled task gives %d", err);
		rota_mutex_unlock(&bell->mutex);
		return;
	}
	broadcasts = bell->broadcasts;
	bell->waiting++;
	bell->waiting_patient += patient;
	err = rota_cond_wait(&bell->cond, &bell->mutex);
	bell->waiting--;
	bell->waiting_patient -= patient;
	STRESS_CHECK(run, "one-outcome", err == 0 || (!patient && err == -ECANCELED),
		"a wait for a condition gives %d", err);
	if (err == 0 || bell->broadcasts != broadcasts) {
		STRESS_CHECK(run, "cond", bell->pending > 0, "a wait ends without a signal");
		bell->pending -= bell->pending > 0;
	}
	rota_mutex_unlock(&bell->mutex);
}

static void bell_turn(struct contender *contender, struct prng *prng)
{
	if (!contender->victim) {
		bell_wait(contender, true);
		return;
	}
	victim_begin(contender->victim, prng);
	bell_wait(contender, false);
	/* What it was is told by the account. */
	(void)victim_end(contender->victim, "cond", 0);
}

/* L(mutex). True: it is to be signalled, when the mutex is free again. */
static bool ring(struct contest *contest, struct prng *prng)
{
	struct bell *bell = contest->object;

	if (bell->pending > 0) {
		if (++bell->stuck < STUCK_MAX)
			return false;
		stress_broken(contest->run, "lost-signal",
			"%u signals have reached none of %u who wait", bell->pending,
			bell->waiting);
		bell->pending = 0;
	}
	bell->stuck = 0;
	if (bell->waiting_patient == 0 && atomic_load(&contest->patient) > 0)
		return false;
	if (prng_once_in(prng, 8)) {
		bell->pending = bell->waiting;
		bell->broadcasts++;
		rota_cond_broadcast(&bell->cond);
		return false;
	}
	/* With none left but those that are cancelled, a signal may find nobody. */
	if (bell->waiting_patient == 0)
		return false;
	bell->pending = 1;
	return true;
}

static int signaller_run(void *arg)
{
	struct contest *contest = arg;
	struct bell *bell = contest->object;
	struct prng prng = prng_of(contest->seed, 42);

	while (!atomic_load(&contest->over)) {
		bool signals;
		uint32_t stuck;

		rota_mutex_lock(&bell->mutex);
		signals = ring(contest, &prng);
		stuck = bell->stuck;
		if (signals && prng_once_in(&prng, 2)) {
			rota_cond_signal(&bell->cond);
			signals = false;
		}
		rota_mutex_unlock(&bell->mutex);
		if (signals)
			rota_cond_signal(&bell->cond);
		if (stuck > 100)
			(void)rota_sleep(ROTA_MILLISECOND);
		else if (prng_once_in(&prng, 2))
			(void)rota_sleep(prng_ns(&prng, 10 * ROTA_MICROSECOND));
		else
			(void)rota_yield();
	}
	return 0;
}

static struct contest *contest_create(
	struct run *run, void *object, void (*turn)(struct contender *contender, struct prng *prng))
{
	struct contest *contest = stress_alloc(1, sizeof(*contest));

	contest->run = run;
	contest->object = object;
	contest->turn = turn;
	contest->turns = TURNS / 2;
	return contest;
}

void pass_cond(struct run *run, struct prng *prng)
{
	struct bell bell = { 0 };
	struct contest *contest = contest_create(run, &bell, bell_turn);

	contest_run(contest, prng, signaller_run);
	STRESS_CHECK(run, "cond", bell.waiting == 0 && bell.pending == 0,
		"%u wait at the end, %u signals are on their way", bell.waiting, bell.pending);
	STRESS_CHECK(run, "finish", rota_mutex_finish(&bell.mutex) == 0,
		"a mutex that nobody uses is busy");
	frames_check(run, &contest->frames, "cond", &bell.cond, sizeof(bell.cond));
	free(contest);
}

/* A barrier: nobody leaves it before all have come, and one of them is told so. */
struct meeting {
	struct rota_barrier barrier;
	_Atomic(uint32_t) came[TURNS];
	_Atomic(uint32_t) ones[TURNS];
	uint32_t turn[CONTENDERS];
	uint64_t together; /* written by the one between two meetings */
};

static void meeting_turn(struct contender *contender, struct prng *prng)
{
	struct meeting *meeting = contender->contest->object;
	struct run *run = contender->contest->run;
	uint32_t turn = meeting->turn[contender->index]++;
	int result;

	linger(contender, prng);
	atomic_fetch_add(&meeting->came[turn], 1);
	result = rota_barrier_wait(&meeting->barrier);
	STRESS_CHECK(run, "barrier", result == 0 || result == 1, "a barrier gives %d", result);
	STRESS_CHECK(run, "barrier", atomic_load(&meeting->came[turn]) == CONTENDERS,
		"a barrier for %d is left when %u have come", CONTENDERS,
		atomic_load(&meeting->came[turn]));
	if (result == 1) {
		atomic_fetch_add(&meeting->ones[turn], 1);
		meeting->together++;
	}
}

void pass_barrier(struct run *run, struct prng *prng)
{
	struct meeting meeting = { 0 };
	struct contest *contest = contest_create(run, &meeting, meeting_turn);

	rota_barrier_init(&meeting.barrier, CONTENDERS);
	contest_run(contest, prng, NULL);
	for (uint32_t i = 0; i < contest->turns; i++)
		STRESS_CHECK(run, "barrier", atomic_load(&meeting.ones[i]) == 1,
			"a meeting had %u who were told 1", atomic_load(&meeting.ones[i]));
	STRESS_CHECK(run, "barrier", meeting.together == contest->turns,
		"%llu meetings instead of %u", (unsigned long long)meeting.together,
		contest->turns);
	frames_check(run, &contest->frames, "barrier", &meeting.barrier, sizeof(meeting.barrier));
	free(contest);
}
