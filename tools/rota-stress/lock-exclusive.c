/* SPDX-License-Identifier: MIT */
/* Passes of the lock scenario over what keeps others out: mutex, rwlock, semaphore. */
#include "lock.h"

#define TOKENS 5

static struct contest *contest_create(
	struct run *run, void *object, void (*turn)(struct contender *contender, struct prng *prng))
{
	struct contest *contest = stress_alloc(1, sizeof(*contest));

	contest->run = run;
	contest->object = object;
	contest->turn = turn;
	contest->turns = TURNS;
	return contest;
}

/* Mutex. */

struct exclusive {
	struct rota_mutex mutex;
	uint64_t count;		/* L(mutex) */
	uint32_t inside;	/* L(mutex) */
	_Atomic(uint64_t) took; /* how often it was locked */
};

static void mutex_inside(struct contender *contender, struct prng *prng)
{
	struct exclusive *exclusive = contender->contest->object;

	STRESS_CHECK(contender->contest->run, "mutual-exclusion", exclusive->inside == 0,
		"%u others hold the mutex", exclusive->inside);
	exclusive->inside++;
	exclusive->count++;
	line_got(contender, "mutex");
	linger(contender, prng);
	exclusive->inside--;
	atomic_fetch_add(&exclusive->took, 1);
	rota_mutex_unlock(&exclusive->mutex);
}

static int mutex_impatient(struct contender *contender, struct prng *prng)
{
	struct exclusive *exclusive = contender->contest->object;
	bool tries = prng_once_in(prng, 3);
	int err;

	if (tries)
		err = rota_mutex_trylock(&exclusive->mutex);
	else
		err = rota_mutex_lock_cancelable(&exclusive->mutex);
	STRESS_CHECK(contender->contest->run, "one-outcome",
		err == 0 || err == (tries ? -EAGAIN : -ECANCELED), "a lock gives %d", err);
	if (err == 0)
		mutex_inside(contender, prng);
	return err;
}

static void mutex_turn(struct contender *contender, struct prng *prng)
{
	struct exclusive *exclusive = contender->contest->object;

	if (contender->victim) {
		victim_begin(contender->victim, prng);
		(void)victim_end(contender->victim, "mutex", mutex_impatient(contender, prng));
		return;
	}
	line_enter(contender);
	rota_mutex_lock(&exclusive->mutex);
	line_leave(contender);
	mutex_inside(contender, prng);
	if (prng_once_in(prng, 4))
		linger(contender, prng);
}

void pass_mutex(struct run *run, struct prng *prng)
{
	struct exclusive exclusive = { 0 };
	struct contest *contest = contest_create(run, &exclusive, mutex_turn);

	contest_run(contest, prng, NULL);
	STRESS_CHECK(run, "mutual-exclusion", exclusive.count == atomic_load(&exclusive.took),
		"a counter under a mutex is %llu after %llu locks",
		(unsigned long long)exclusive.count,
		(unsigned long long)atomic_load(&exclusive.took));
	STRESS_CHECK(run, "finish", rota_mutex_finish(&exclusive.mutex) == 0,
		"a mutex that nobody uses is busy");
	frames_check(run, &contest->frames, "mutex", &exclusive.mutex, sizeof(exclusive.mutex));
	free(contest);
}

/* Rwlock: two halves that only a writer may find different. */

struct shared {
	struct rota_rwlock lock;
	uint64_t left;	/* L(lock) */
	uint64_t right; /* L(lock) */
	_Atomic(uint32_t) readers;
	_Atomic(uint32_t) writers;
	_Atomic(uint64_t) writes;
};

static void read_inside(struct contender *contender, struct prng *prng)
{
	struct shared *shared = contender->contest->object;
	struct run *run = contender->contest->run;
	uint64_t left;

	atomic_fetch_add(&shared->readers, 1);
	left = shared->left;
	line_got(contender, "rwlock");
	linger(contender, prng);
	STRESS_CHECK(run, "mutual-exclusion",
		atomic_load(&shared->writers) == 0 && left == shared->right,
		"somebody writes beside a reader");
	atomic_fetch_sub(&shared->readers, 1);
	rota_rwlock_rdunlock(&shared->lock);
}

static void write_inside(struct contender *contender, struct prng *prng)
{
	struct shared *shared = contender->contest->object;
	struct run *run = contender->contest->run;

	STRESS_CHECK(run, "mutual-exclusion", atomic_fetch_add(&shared->writers, 1) == 0,
		"two write at once");
	shared->left++;
	line_got(contender, "rwlock");
	linger(contender, prng);
	STRESS_CHECK(run, "mutual-exclusion", atomic_load(&shared->readers) == 0,
		"somebody reads beside a writer");
	shared->right++;
	atomic_fetch_add(&shared->writes, 1);
	atomic_fetch_sub(&shared->writers, 1);
	rota_rwlock_wrunlock(&shared->lock);
}

static int rwlock_impatient(struct contender *contender, struct prng *prng)
{
	struct shared *shared = contender->contest->object;
	bool tries = prng_once_in(prng, 3);
	bool writes = prng_once_in(prng, 3);
	int err;

	if (tries && writes)
		err = rota_rwlock_trywrlock(&shared->lock);
	else if (tries)
		err = rota_rwlock_tryrdlock(&shared->lock);
	else if (writes)
		err = rota_rwlock_wrlock_cancelable(&shared->lock);
	else
		err = rota_rwlock_rdlock_cancelable(&shared->lock);
	STRESS_CHECK(contender->contest->run, "one-outcome",
		err == 0 || err == (tries ? -EAGAIN : -ECANCELED), "a lock gives %d", err);
	if (err == 0 && writes)
		write_inside(contender, prng);
	else if (err == 0)
		read_inside(contender, prng);
	return err;
}

static void rwlock_turn(struct contender *contender, struct prng *prng)
{
	struct shared *shared = contender->contest->object;

	if (contender->victim) {
		victim_begin(contender->victim, prng);
		(void)victim_end(contender->victim, "rwlock", rwlock_impatient(contender, prng));
	} else if (contender->index % 2) {
		/* Only writers are in the line: who has got it for reading may not have run yet
		 * while others pass. */
		line_enter(contender);
		rota_rwlock_wrlock(&shared->lock);
		line_leave(contender);
		write_inside(contender, prng);
	} else {
		rota_rwlock_rdlock(&shared->lock);
		read_inside(contender, prng);
	}
}

void pass_rwlock(struct run *run, struct prng *prng)
{
	struct shared shared = { 0 };
	struct contest *contest = contest_create(run, &shared, rwlock_turn);

	contest_run(contest, prng, NULL);
	STRESS_CHECK(run, "mutual-exclusion",
		shared.left == atomic_load(&shared.writes) && shared.left == shared.right,
		"a counter under an rwlock is behind");
	STRESS_CHECK(run, "finish", rota_rwlock_finish(&shared.lock) == 0,
		"an rwlock that nobody uses is busy");
	frames_check(run, &contest->frames, "rwlock", &shared.lock, sizeof(shared.lock));
	free(contest);
}

/* Semaphore. */

struct counted {
	struct rota_sem sem;
	_Atomic(uint32_t) taken;
};

static void sem_inside(struct contender *contender, struct prng *prng, uint32_t n)
{
	struct counted *counted = contender->contest->object;
	uint32_t taken = atomic_fetch_add(&counted->taken, n) + n;

	STRESS_CHECK(contender->contest->run, "semaphore", taken <= TOKENS, "%u of %d are taken",
		taken, TOKENS);
	if (n > 0)
		line_got(contender, "semaphore");
	linger(contender, prng);
	atomic_fetch_sub(&counted->taken, n);
	if (n == 1)
		rota_sem_post(&counted->sem);
	else
		rota_sem_post_many(&counted->sem, n);
}

static int sem_some(struct contender *contender, struct prng *prng)
{
	struct counted *counted = contender->contest->object;
	uint32_t n = (uint32_t)prng_below(prng, TOKENS - 1);
	bool tries = prng_once_in(prng, 4);
	int err;

	if (tries) {
		n = 1;
		err = rota_sem_trywait(&counted->sem);
	} else {
		err = rota_sem_wait_many(&counted->sem, n);
	}
	STRESS_CHECK(contender->contest->run, "one-outcome",
		err == 0 || err == (tries ? -EAGAIN : -ECANCELED), "a semaphore gives %d", err);
	if (err == 0)
		sem_inside(contender, prng, n);
	return err;
}

/* The patient want all: who has got that is passed by nobody, whether it runs yet or not. */
static void sem_turn(struct contender *contender, struct prng *prng)
{
	struct counted *counted = contender->contest->object;
	int err;

	if (contender->victim) {
		victim_begin(contender->victim, prng);
		(void)victim_end(contender->victim, "semaphore", sem_some(contender, prng));
		return;
	}
	if (contender->index % 2) {
		(void)sem_some(contender, prng);
		return;
	}
	line_enter(contender);
	err = rota_sem_wait_many(&counted->sem, TOKENS);
	line_leave(contender);
	STRESS_CHECK(contender->contest->run, "one-outcome", err == 0, "a semaphore gives %d", err);
	if (err == 0)
		sem_inside(contender, prng, TOKENS);
}

void pass_sem(struct run *run, struct prng *prng)
{
	struct counted counted = { 0 };
	struct contest *contest = contest_create(run, &counted, sem_turn);
	uint32_t left = 0;

	rota_sem_init(&counted.sem, TOKENS);
	contest_run(contest, prng, NULL);
	while (rota_sem_trywait(&counted.sem) == 0)
		left++;
	STRESS_CHECK(
		run, "semaphore", left == TOKENS, "%u of %d are left at the end", left, TOKENS);
	frames_check(run, &contest->frames, "semaphore", &counted.sem, sizeof(counted.sem));
	free(contest);
}
