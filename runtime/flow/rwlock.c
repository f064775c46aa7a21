/* SPDX-License-Identifier: MIT */
/*
 * The lock of many readers or one writer: one word, and a queue of both under a bit of it.
 *
 *	word = readers << 3 | WRITER | WORD_LOCK | WORD_WAITERS		0: free
 *
 * Alone, each of the four operations is one CAS of the word, possible only while neither LOCK nor
 * WAITERS is set (an unlock that leaves other readers behind does not mind WAITERS). Everything
 * else happens under LOCK.
 *
 * The order. A caller that finds WAITERS goes to the end of the queue, reader or writer: so a
 * reader does not overtake a writer, and neither starves. The grant gives the lock to the front of
 * the queue as far as it goes: to one writer when the lock is free, or to all readers up to the
 * next writer when no writer has it. It is made by every change that may let the front go: the
 * last reader's unlock, the writer's, and a waiter that leaves.
 *
 * (R1) With LOCK free and WAITERS set somebody holds the lock, and the front of the queue cannot
 * have it: each store that lets go of LOCK comes from a grant, or from a caller that could not have
 * the lock itself. (R2) The last touch of the lock by an unlock is the CAS or store that lets go;
 * the wakes come after it.
 *
 *	A reads. W (writer) queues. R, S (readers) queue behind it.
 *	W is cancelled, on its loop	A unlocks: LOCK, W cannot be claimed: out; R, S granted
 *	W runs: the queue is empty, LOCK is free: it has left already
 * or	W runs before that: LOCK, takes itself out, and grants again: R and S read beside A
 *
 * `writer` names the writer, for the checks. It is written by who has or gives WRITER, and cleared
 * before WRITER is: whoever reads it reads the writer of now, or 0.
 */
#include "flow/deadlock.h"
#include "flow/sync.h"

struct rwlock {
	struct a64 word;	 /* A: readers * READER | WRITER | WORD_* */
	struct wait_queue queue; /* L(WORD_LOCK) */
	struct aptr writer;	 /* A: who, or 0 */
	uint64_t unused[2];
};

_Static_assert(sizeof(struct rwlock) == sizeof(struct rota_rwlock), "fits the public struct");

#define WRITER	((uint64_t)4)
#define READER	((uint64_t)8)
#define READERS (~(uint64_t)7)

/* What a caller wants; waiter.count. */
enum want { WANT_READ, WANT_WRITE };

static const struct wait_kind kinds[] = {
	[WANT_READ] = { .name = "read lock" },
	[WANT_WRITE] = { .name = "write lock" },
};
static const struct wait_kind cancelable_kinds[] = {
	[WANT_READ] = { .name = "read lock", .abort = rota__shared_wait_abort },
	[WANT_WRITE] = { .name = "write lock", .abort = rota__shared_wait_abort },
};

static struct rwlock *rwlock_of(struct rota_rwlock *lock)
{
	return (struct rwlock *)(void *)lock;
}

static uintptr_t writer_now(const void *target)
{
	const struct rwlock *lock = target;

	return (uintptr_t)aptr_load_relaxed(&lock->writer);
}

static void writer_set(struct rwlock *lock, uintptr_t who)
{
	aptr_store_relaxed(&lock->writer, (void *)who);
}

static ROTA__COLD ROTA__NORETURN void die(
	const struct rwlock *lock, const char *misuse, uintptr_t who)
{
	rota__sync_die("rwlock", lock, misuse, who, writer_now(lock));
}

/* Whether the word lets one more in; LOCK apart. */
static bool has_room(uint64_t word, enum want want)
{
	if (want == WANT_WRITE)
		return !(word & ~WORD_LOCK);
	return !(word & (WRITER | WORD_WAITERS));
}

static uint64_t with_one(uint64_t word, enum want want)
{
	return want == WANT_WRITE ? word | WRITER : word + READER;
}

/* Takes it if there is room: without a wait, but for LOCK. Pairs with: the unlocks, grant(). */
static ROTA__ALWAYS_INLINE bool take(struct rwlock *lock, enum want want)
{
	uint64_t word = a64_load_relaxed(&lock->word);

	while (has_room(word, want)) {
		if (unlikely(word & WORD_LOCK)) {
			cpu_relax();
			word = a64_load_relaxed(&lock->word);
		} else if (a64_cas_acquire(&lock->word, &word, with_one(word, want))) {
			return true;
		}
	}
	return false;
}

/*
 * Gives the lock to the front of the queue as far as it goes, and lets go of LOCK. word: without
 * LOCK, and as if nobody waited. `won`: who has it now, for the caller to wake.
 */
static void grant(struct loop *loop, struct rwlock *lock, uint64_t word, struct list *won)
{
	struct waiter *first;

	word &= ~WORD_WAITERS;
	while ((first = queue_first(&lock->queue)) && has_room(word, first->count)) {
		queue_remove(&lock->queue, first);
		if (!waiter_claim(loop, first))
			continue;
		list_add_tail(won, &first->list);
		word = with_one(word, first->count);
		if (first->count == WANT_WRITE)
			writer_set(lock, (uintptr_t)first->value);
	}
	/* Pairs with: take(), and who takes LOCK. */
	a64_store_release(&lock->word, word | word_waiters(&lock->queue));
}

/* True: it is ours. False: the waiter stands in line. */
static bool take_or_queue(struct rwlock *lock, enum want want, struct waiter *waiter)
{
	uint64_t word;

	if (take(lock, want))
		return true;
	word = word_lock(&lock->word);
	if (has_room(word, want)) {
		word = with_one(word, want);
	} else {
		queue_add(&lock->queue, waiter);
		word |= WORD_WAITERS;
	}
	a64_store_release(&lock->word, word); /* Pairs with: take(), and who takes LOCK. */
	return !(word & WORD_WAITERS);
}

/* The wait was cancelled: out of the line, and those behind it may go now. */
static void leave_queue(struct loop *loop, struct rwlock *lock, struct waiter *waiter)
{
	struct list won;
	uint64_t word;

	if (!word_lock_to_leave(&lock->word, &word))
		return;
	list_init(&won);
	queue_remove(&lock->queue, waiter);
	grant(loop, lock, word, &won);
	wake_all(loop, &won);
}

static int wait_in_line(struct loop *loop, struct rwlock *lock, enum want want,
	struct shared_wait *wait, struct waiter *waiter)
{
	if (take_or_queue(lock, want, waiter)) {
		if (want == WANT_WRITE)
			writer_set(lock, (uintptr_t)waiter->value);
		return 0;
	}
	if (rota__shared_wait_block(loop, wait) == WAIT_BY_EVENT)
		return 0;
	leave_queue(loop, lock, waiter);
	return -ECANCELED;
}

static ROTA__NOINLINE int lock_slow(
	struct loop *caller, struct rwlock *lock, uintptr_t self, enum want want, bool cancelable)
{
	const struct wait_kind *kind = cancelable ? &cancelable_kinds[want] : &kinds[want];
	struct loop *loop = loop_to_wait(caller);
	struct shared_wait wait;
	struct waiter waiter;
	struct edge edge = {
		.kind = EDGE_RWLOCK,
		.waiter = self,
		.target = lock,
		.holder = writer_now,
		.wait = &wait,
		.cancelable = cancelable,
	};
	int err;

	if (writer_now(lock) == self)
		return -EDEADLK;
	err = cancelable ? may_wait(caller) : 0;
	if (err)
		return err;
	shared_wait_init(loop, &wait, &waiter, kind);
	waiter.value = (void *)self;
	waiter.count = want;
	err = rota__deadlock_enter(caller, &edge);
	if (err)
		return err;
	err = wait_in_line(loop, lock, want, &wait, &waiter);
	rota__deadlock_leave(&edge);
	return err;
}

static ROTA__ALWAYS_INLINE int lock_as(struct rota_rwlock *public, enum want want, bool cancelable)
{
	struct rwlock *lock = rwlock_of(public);
	struct loop *loop = rota__loop_self();
	uintptr_t self = who_calls(loop);

	if (cancelable && is_cancelled(loop))
		return -ECANCELED;
	if (unlikely(!take(lock, want)))
		return lock_slow(loop, lock, self, want, cancelable);
	if (want == WANT_WRITE)
		writer_set(lock, self);
	return 0;
}

void rota_rwlock_rdlock(struct rota_rwlock *lock)
{
	if (lock_as(lock, WANT_READ, false))
		die(rwlock_of(lock), "locked again by its writer", who_calls(rota__loop_self()));
}

void rota_rwlock_wrlock(struct rota_rwlock *lock)
{
	if (lock_as(lock, WANT_WRITE, false))
		die(rwlock_of(lock), "locked again by its writer", who_calls(rota__loop_self()));
}

int rota_rwlock_rdlock_cancelable(struct rota_rwlock *lock)
{
	return lock_as(lock, WANT_READ, true);
}

int rota_rwlock_wrlock_cancelable(struct rota_rwlock *lock)
{
	return lock_as(lock, WANT_WRITE, true);
}

int rota_rwlock_tryrdlock(struct rota_rwlock *lock)
{
	return take(rwlock_of(lock), WANT_READ) ? 0 : -EAGAIN;
}

int rota_rwlock_trywrlock(struct rota_rwlock *lock)
{
	if (!take(rwlock_of(lock), WANT_WRITE))
		return -EAGAIN;
	writer_set(rwlock_of(lock), who_calls(rota__loop_self()));
	return 0;
}

/* Lets go of LOCK with this word, but for what the grant makes of it. */
static ROTA__NOINLINE void unlock_slow(struct rwlock *lock, uint64_t word)
{
	struct loop *loop = rota__loop_self();
	struct list won;

	list_init(&won);
	grant(loop, lock, word, &won);
	wake_all(loop, &won);
}

void rota_rwlock_rdunlock(struct rota_rwlock *public)
{
	struct rwlock *lock = rwlock_of(public);
	uint64_t word = a64_load_relaxed(&lock->word);

	for (;;) {
		if (unlikely(!(word & READERS)))
			die(lock, "unlocked by a reader, but nobody reads",
				who_calls(rota__loop_self()));
		if (word & WORD_LOCK) {
			cpu_relax();
			word = a64_load_relaxed(&lock->word);
		} else if (!(word & WORD_WAITERS) || (word & READERS) != READER) {
			/* Pairs with: take(), and who takes LOCK. */
			if (likely(a64_cas_release(&lock->word, &word, word - READER)))
				return;
		} else if (a64_cas_acquire(&lock->word, &word, word | WORD_LOCK)) {
			break; /* the last one, and somebody waits */
		}
	}
	unlock_slow(lock, word - READER);
}

void rota_rwlock_wrunlock(struct rota_rwlock *public)
{
	struct rwlock *lock = rwlock_of(public);
	uintptr_t self = who_calls(rota__loop_self());
	uint64_t word = WRITER;

	if (unlikely(writer_now(lock) != self))
		die(lock, "unlocked by a stranger", self);
	writer_set(lock, 0);
	/* Pairs with: take(), and who takes LOCK. */
	if (likely(a64_cas_release(&lock->word, &word, 0)))
		return;
	unlock_slow(lock, word_lock(&lock->word) & ~WRITER);
}

int rota_rwlock_finish(struct rota_rwlock *lock)
{
	/* Pairs with: the unlocks. The memory may go next. */
	return a64_load_acquire(&rwlock_of(lock)->word) ? -EBUSY : 0;
}
