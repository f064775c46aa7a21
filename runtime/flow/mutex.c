/* SPDX-License-Identifier: MIT */
/*
 * The mutex: one word, and a queue of waiters under a bit of it.
 *
 *	word = holder | WORD_LOCK | WORD_WAITERS	0: free
 *
 * The holder is a task or a plain thread (flow/sync.h). Lock and unlock alone are one CAS each,
 * 0 -> self and self -> 0. Everything else happens under LOCK, which makes both of them fail.
 *
 * (M1) The word is 0 or names a holder, also under LOCK: LOCK is taken to queue behind a holder, by
 * the holder to hand over, and by a cancelled waiter while the queue is not empty; and while it is
 * not, there is a holder. So under LOCK the holder does not change but by who has it. (M2) The
 * unlock of a mutex with waiters does not free it: the first waiter that can be claimed is the
 * holder from the moment at which LOCK is let go, before it has run. (M3) The unlock's last touch
 * of the mutex is the store or CAS that lets it go; the wake comes after it, and who is woken may
 * free the mutex.
 *
 *	A unlocks: LOCK, claims B, word = B | WAITERS, wakes B	C: CAS 0 -> C fails: B has it
 *	A unlocks: CAS A -> 0 fails or comes first		B: LOCK with holder A, or takes it
 *	A unlocks: LOCK, cannot claim B (a cancel was there first), takes it out, word = 0
 *		B runs: the queue is empty and LOCK is free: gone already, it does not touch it
 *	B is cancelled: claimed by its own loop, still in line; it runs, LOCK, takes itself out
 *
 * Order. Who is queued is served strictly in order, and nobody overtakes: while there is a queue
 * the word is never 0. Before it queues, a caller tries for a moment (SPINS) to get the mutex of a
 * holder that runs elsewhere, as long as nobody is queued: to be handed it by a wake from another
 * loop takes longer than most sections last. So a caller may be overtaken in its first microseconds
 * (some 6), by callers that come in that time, and not after that.
 */
#include "flow/deadlock.h"
#include "flow/sync.h"

struct mutex {
	struct a64 word;	 /* A: holder | WORD_* */
	struct wait_queue queue; /* L(WORD_LOCK) */
	uint64_t unused;
};

_Static_assert(sizeof(struct mutex) == sizeof(struct rota_mutex), "fits the public struct");

/*
 * How often it is tried before the caller queues, with 1, 2, 4 … 32 pauses in between: 10 to 50 ns
 * each, by CPU, 255 in all.
 */
#define SPINS	   12
#define PAUSES_LOG 5

static const struct wait_kind lock_kind = { .name = "mutex" };
static const struct wait_kind cancelable_kind = {
	.name = "mutex",
	.abort = rota__shared_wait_abort,
};

static struct mutex *mutex_of(struct rota_mutex *mutex)
{
	return (struct mutex *)(void *)mutex;
}

static uintptr_t holder_of(uint64_t word)
{
	return (uintptr_t)(word & ~(WORD_LOCK | WORD_WAITERS));
}

static uintptr_t holder_now(const void *target)
{
	const struct mutex *mutex = target;

	return holder_of(a64_load_relaxed(&mutex->word));
}

bool rota__mutex_is_mine(const struct rota_mutex *mutex, uintptr_t who)
{
	return holder_now(mutex) == who;
}

static ROTA__COLD ROTA__NORETURN void die(
	const struct mutex *mutex, const char *misuse, uintptr_t who)
{
	rota__sync_die("mutex", mutex, misuse, who, holder_now(mutex));
}

/*
 * Whether the holder may let go while the caller spins: it runs, and on another loop. A task's
 * block may have got another task since the word was read, but it is still one: the answer is then
 * about the wrong task, once. A plain thread does not look: the runtime may stop under it.
 */
static bool holder_runs(const struct loop *loop, uintptr_t holder)
{
	const struct rota_task *task = who_task(holder);

	if (!loop || !task)
		return true;
	return task_loop(task) != loop && task_state(task) == ROTA_TASK_RUNNING;
}

/* Tries for a moment: true when it is ours. */
static bool spin(const struct loop *loop, struct mutex *mutex, uintptr_t self)
{
	/* Nobody runs beside a single loop's task but threads; under simulation nobody at all. */
	if (loop && (!loop->many || !loop->direct))
		return false;
	for (int i = 0; i < SPINS; i++) {
		uint64_t word = a64_load_relaxed(&mutex->word);

		if (word & WORD_WAITERS)
			return false;
		/* Pairs with: rota_mutex_unlock(). */
		if (!word && a64_cas_acquire(&mutex->word, &word, self))
			return true;
		if (word && !holder_runs(loop, holder_of(word)))
			return false;
		for (int n = 1 << (i < PAUSES_LOG ? i : PAUSES_LOG); n; n--)
			cpu_relax();
	}
	return false;
}

/* True: it is ours. False: the waiter stands in line. */
static bool take_or_queue(struct mutex *mutex, uintptr_t self, struct waiter *waiter)
{
	uint64_t word = a64_load_relaxed(&mutex->word);

	for (;;) {
		if (!word) {
			/* Pairs with: rota_mutex_unlock(). */
			if (a64_cas_acquire(&mutex->word, &word, self))
				return true;
		} else if (word & WORD_LOCK) {
			cpu_relax();
			word = a64_load_relaxed(&mutex->word);
		} else if (a64_cas_acquire(&mutex->word, &word, word | WORD_LOCK)) {
			break;
		}
	}
	queue_add(&mutex->queue, waiter);
	a64_store_release(&mutex->word, word | WORD_WAITERS); /* Pairs with: who takes LOCK. */
	return false;
}

/* The wait was cancelled: out of the line. */
static void leave_queue(struct mutex *mutex, struct waiter *waiter)
{
	uint64_t word;

	if (!word_lock_to_leave(&mutex->word, &word))
		return;
	queue_remove(&mutex->queue, waiter);
	/* Pairs with: who takes LOCK, or the mutex. */
	a64_store_release(&mutex->word, holder_of(word) | word_waiters(&mutex->queue));
}

static int wait_in_line(struct loop *loop, struct mutex *mutex, uintptr_t self,
	struct shared_wait *wait, struct waiter *waiter)
{
	if (take_or_queue(mutex, self, waiter))
		return 0;
	if (rota__shared_wait_block(loop, wait) == WAIT_BY_EVENT)
		return 0;
	leave_queue(mutex, waiter);
	return -ECANCELED;
}

/* 0, or -EDEADLK and what a cancelable wait returns. */
static ROTA__NOINLINE int lock_slow(
	struct loop *caller, struct mutex *mutex, uintptr_t self, const struct wait_kind *kind)
{
	struct loop *loop = loop_to_wait(caller);
	struct shared_wait wait;
	struct waiter waiter;
	struct edge edge = {
		.kind = EDGE_MUTEX,
		.waiter = self,
		.target = mutex,
		.holder = holder_now,
		.wait = &wait,
		.cancelable = kind->abort != NULL,
	};
	int err;

	if (holder_now(mutex) == self)
		return -EDEADLK;
	if (spin(caller, mutex, self))
		return 0;
	err = kind->abort ? may_wait(caller) : 0;
	if (err)
		return err;
	shared_wait_init(loop, &wait, &waiter, kind);
	waiter.value = (void *)self;
	err = rota__deadlock_enter(caller, &edge);
	if (err)
		return err;
	err = wait_in_line(loop, mutex, self, &wait, &waiter);
	rota__deadlock_leave(&edge);
	return err;
}

static ROTA__ALWAYS_INLINE bool take(struct mutex *mutex, uintptr_t self)
{
	uint64_t free = 0;

	/* Pairs with: rota_mutex_unlock(). */
	return likely(a64_cas_acquire(&mutex->word, &free, self));
}

void rota_mutex_lock(struct rota_mutex *public)
{
	struct mutex *mutex = mutex_of(public);
	struct loop *loop = rota__loop_self();
	uintptr_t self = who_calls(loop);

	if (!take(mutex, self) && lock_slow(loop, mutex, self, &lock_kind))
		die(mutex, "locked again by its holder", self);
}

int rota_mutex_lock_cancelable(struct rota_mutex *public)
{
	struct mutex *mutex = mutex_of(public);
	struct loop *loop = rota__loop_self();
	uintptr_t self = who_calls(loop);

	if (is_cancelled(loop))
		return -ECANCELED;
	return take(mutex, self) ? 0 : lock_slow(loop, mutex, self, &cancelable_kind);
}

int rota_mutex_trylock(struct rota_mutex *public)
{
	return take(mutex_of(public), who_calls(rota__loop_self())) ? 0 : -EAGAIN;
}

/* Somebody waits, or somebody is about to; or the caller does not hold it. */
static ROTA__NOINLINE void unlock_slow(struct loop *loop, struct mutex *mutex, uintptr_t self)
{
	uint64_t word = a64_load_relaxed(&mutex->word);
	struct waiter *next;

	for (;;) {
		if (holder_of(word) != self)
			die(mutex,
				holder_of(word) ? "unlocked by a stranger" : "unlocked, but free",
				self);
		if (word == self) {
			/* Pairs with: take(). */
			if (a64_cas_release(&mutex->word, &word, 0))
				return;
		} else if (word & WORD_LOCK) {
			cpu_relax();
			word = a64_load_relaxed(&mutex->word);
		} else if (a64_cas_acquire(&mutex->word, &word, word | WORD_LOCK)) {
			break;
		}
	}
	next = queue_claim_first(loop, &mutex->queue);
	word = next ? (uintptr_t)next->value | word_waiters(&mutex->queue) : 0;
	/* Pairs with: who takes it, or LOCK. The new holder has it by its claim. */
	a64_store_release(&mutex->word, word);
	if (next)
		rota__shared_wait_wake(loop, next->wait);
}

void rota_mutex_unlock(struct rota_mutex *public)
{
	struct mutex *mutex = mutex_of(public);
	struct loop *loop = rota__loop_self();
	uintptr_t self = who_calls(loop);
	uint64_t word = self;

	/* Pairs with: take(). */
	if (unlikely(!a64_cas_release(&mutex->word, &word, 0)))
		unlock_slow(loop, mutex, self);
}

int rota_mutex_finish(struct rota_mutex *mutex)
{
	/* Pairs with: rota_mutex_unlock(). The memory may go next. */
	return a64_load_acquire(&mutex_of(mutex)->word) ? -EBUSY : 0;
}

void rota_mutex_cleanup(struct rota_mutex **mutex)
{
	if (*mutex)
		rota_mutex_unlock(*mutex);
}
