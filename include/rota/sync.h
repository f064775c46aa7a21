/* SPDX-License-Identifier: MIT */
/*
 * Locks and signals between tasks of all loops and plain threads.
 *
 * Each is the caller's memory, all zero is valid and idle, none needs to be freed, none may be
 * moved or copied while it is in use. Whoever waits is served in order (FIFO), by direct hand-over.
 * Context: task, or plain thread (which then blocks). A call that returns void and waits is no
 * cancellation point, so cleaning up may use it; one that returns int and waits is: -ECANCELED.
 * A cancelled waiter leaves the queue without taking anything along. Not from a signal handler,
 * but for rota_event_set() and rota_future_set().
 *
 * With ROTA_CONFIG_DEBUG a cycle of tasks that wait for each other through mutexes, write locks,
 * awaits and closes of groups is named, each task and lock of it: the cancelable forms return
 * -EDEADLK, the others abort.
 */
#ifndef ROTA_SYNC_H
#define ROTA_SYNC_H

#include <rota/base.h>

ROTA_BEGIN_DECLS

struct ROTA_CAPABILITY("mutex") rota_mutex {
	uint64_t opaque[3];
};

/* Locks. Relocking by the holder is reported and aborts. */
ROTA_API void rota_mutex_lock(struct rota_mutex *mutex) ROTA_ACQUIRE(mutex);

/*
 * Locks: 0. Or not: -ECANCELED; -EDEADLK the caller holds it already, or (debug) a cycle.
 */
ROTA_API int rota_mutex_lock_cancelable(struct rota_mutex *mutex) ROTA_MUST_CHECK
	ROTA_TRY_ACQUIRE(0, mutex);

/* Locks if that needs no waiting: 0 or -EAGAIN. */
ROTA_API int rota_mutex_trylock(struct rota_mutex *mutex) ROTA_MUST_CHECK
	ROTA_TRY_ACQUIRE(0, mutex);

/* Unlocks. By somebody who does not hold it: reported, aborts. */
ROTA_API void rota_mutex_unlock(struct rota_mutex *mutex) ROTA_RELEASE(mutex);

/* Checks that nobody holds it or waits for it: 0 or -EBUSY. Optional; there is nothing to free. */
ROTA_API int rota_mutex_finish(struct rota_mutex *mutex) ROTA_MUST_CHECK;

/*
 * For cleanup attributes: unlocks what the variable points to, NULL is fine:
 * struct rota_mutex *held __attribute__((cleanup(rota_mutex_cleanup))) = &mutex;
 */
ROTA_API void rota_mutex_cleanup(struct rota_mutex **mutex);

/*
 * Many readers or one writer, in the order in which they came: a reader that comes after a waiting
 * writer waits behind it. So a reader must not lock for reading again.
 */
struct ROTA_CAPABILITY("rwlock") rota_rwlock {
	uint64_t opaque[5];
};

ROTA_API void rota_rwlock_rdlock(struct rota_rwlock *lock) ROTA_ACQUIRE_SHARED(lock);
ROTA_API void rota_rwlock_wrlock(struct rota_rwlock *lock) ROTA_ACQUIRE(lock);
/* 0, or not locked: -ECANCELED, -EDEADLK as for a mutex. */
ROTA_API int rota_rwlock_rdlock_cancelable(struct rota_rwlock *lock) ROTA_MUST_CHECK
	ROTA_TRY_ACQUIRE_SHARED(0, lock);
ROTA_API int rota_rwlock_wrlock_cancelable(struct rota_rwlock *lock) ROTA_MUST_CHECK
	ROTA_TRY_ACQUIRE(0, lock);
/* 0 or -EAGAIN. */
ROTA_API int rota_rwlock_tryrdlock(struct rota_rwlock *lock) ROTA_MUST_CHECK
	ROTA_TRY_ACQUIRE_SHARED(0, lock);
ROTA_API int rota_rwlock_trywrlock(struct rota_rwlock *lock) ROTA_MUST_CHECK
	ROTA_TRY_ACQUIRE(0, lock);
/* Ends reading. When nobody reads: reported, aborts. */
ROTA_API void rota_rwlock_rdunlock(struct rota_rwlock *lock) ROTA_RELEASE_SHARED(lock);
/* Ends writing. By somebody who is not the writer: reported, aborts. */
ROTA_API void rota_rwlock_wrunlock(struct rota_rwlock *lock) ROTA_RELEASE(lock);
/* 0, or -EBUSY: somebody holds it or waits. */
ROTA_API int rota_rwlock_finish(struct rota_rwlock *lock) ROTA_MUST_CHECK;

/* A condition, always used with one mutex. */
struct rota_cond {
	uint64_t opaque[3];
};

/*
 * Unlocks the mutex, waits for a signal, locks again, also when it returns -ECANCELED. 0 means
 * that a signal was for this caller: there are no spurious wake-ups (but what it signals may have
 * changed until the mutex is locked again). Cancelled already: -ECANCELED, the mutex stays locked.
 * A cancelled waiter consumes no signal. The caller must hold the mutex: reported, aborts.
 */
ROTA_API int rota_cond_wait(struct rota_cond *cond, struct rota_mutex *mutex) ROTA_REQUIRES(mutex);
/* Wakes the first waiter. Whether the mutex is held does not matter. */
ROTA_API void rota_cond_signal(struct rota_cond *cond);
/* Wakes all waiters. */
ROTA_API void rota_cond_broadcast(struct rota_cond *cond);

/* A counting semaphore. All zero has the count 0. */
struct rota_sem {
	uint64_t opaque[4];
};

/* Sets the count of a semaphore that nobody uses. */
ROTA_API void rota_sem_init(struct rota_sem *sem, uint32_t count);
/* Takes one: 0 or -ECANCELED. */
ROTA_API int rota_sem_wait(struct rota_sem *sem) ROTA_MUST_CHECK;
/*
 * Takes n at once, in order with the others: whoever waits at the front for many is not overtaken
 * by one behind that needs few. n == 0 takes nothing and does not wait.
 */
ROTA_API int rota_sem_wait_many(struct rota_sem *sem, uint32_t n) ROTA_MUST_CHECK;
/* Takes one if there is one and nobody waits: 0 or -EAGAIN. */
ROTA_API int rota_sem_trywait(struct rota_sem *sem) ROTA_MUST_CHECK;
/* Gives one back. A count above 2^32 - 1 is reported and aborts. */
ROTA_API void rota_sem_post(struct rota_sem *sem);
/* Gives n back. */
ROTA_API void rota_sem_post_many(struct rota_sem *sem, uint32_t n);

/* Set or not; all who wait go on when it is set. */
struct rota_event {
	uint64_t opaque[3];
};

/* Waits until the event is set: 0 or -ECANCELED. */
ROTA_API int rota_event_wait(struct rota_event *event);
/* Sets it and wakes all. Any thread, and async-signal-safe. */
ROTA_API void rota_event_set(struct rota_event *event);
/* Clears it. */
ROTA_API void rota_event_clear(struct rota_event *event);
/* 1 when set, else 0. */
ROTA_API int rota_event_is_set(const struct rota_event *event);

/* So many parties meet, again and again. */
struct rota_barrier {
	uint64_t opaque[4];
};

/* Sets the number of parties of a barrier that nobody uses; mends a broken one. */
ROTA_API void rota_barrier_init(struct rota_barrier *barrier, uint32_t parties);
/*
 * Waits for the others: 1 for one of them (the last to come), 0 for the rest. -ECANCELED: cancelled
 * while waiting, or before; that breaks the barrier. -EPIPE: it is broken. -EINVAL: it has no
 * parties.
 */
ROTA_API int rota_barrier_wait(struct rota_barrier *barrier);

/* Something to be done once. */
struct rota_once {
	uint64_t opaque[3];
};

/*
 * Calls fn(arg) unless a call of this once has succeeded already; all callers get the status
 * (>= 0) of the one that did. Others wait while one runs it. When it fails its own caller gets the
 * error, and the next one tries again. -ECANCELED while waiting; -EDEADLK called from within fn.
 */
ROTA_API int rota_once_call(struct rota_once *once, rota_task_fn *fn, void *arg);

/* One status, set once: the bridge from callbacks. */
struct rota_future {
	uint64_t opaque[4];
};

/*
 * Completes it with a status, the first one wins: 0, or -EALREADY. Does not touch the future any
 * more once a waiter can run, so it may lie on the waiter's stack. Any thread, a callback, and
 * async-signal-safe.
 */
ROTA_API int rota_future_set(struct rota_future *future, int status);
/* Waits for it: 0 and the status in *ret_status (may be NULL), or -ECANCELED. */
ROTA_API int rota_future_wait(struct rota_future *future, int *ret_status);
/* 0 and the status, or -EAGAIN. Never waits. */
ROTA_API int rota_future_poll(struct rota_future *future, int *ret_status);

ROTA_END_DECLS

#endif
