/* SPDX-License-Identifier: MIT */
/*
 * Select: waits until one of several cases can be done, and does exactly that one.
 *
 * The look. All channels of the cases are locked, each once, and every case is looked at; one that
 * can be done is chosen and done while they are still locked. Nobody else can see the select before
 * it waits, so it cannot lose what it found to a partner that chose otherwise; only the partner's
 * wait may be claimed by somebody else between the look and the claim, and then all is looked at
 * anew. The channels are locked in the order of their addresses, so two selects over the same ones
 * never wait for each other's locks. That order decides nothing else: which case is done depends on
 * the cases' places and on random numbers only.
 *
 * The wait. Nothing can be done: one waiter a case, all of one shared wait, each with its case's
 * number as source. Those of channels are linked before the unlock, so nothing comes between look
 * and wait. Tasks, futures and events have locks of their own and are looked at again when a waiter
 * is hung into them, one after the other; the timer is set last. From the unlock on the wait can be
 * claimed:
 *
 *	S: select, links into c1 and c2, unlocks		P: sends to c1: claims S, copies,
 *	S: hangs a waiter into event e: e is set already	   wakes S
 *	S: claims its own wait for e's case
 *
 * One claim wins. S has: no one wakes it, it does not block, P finds the claim lost and passes S
 * over. P has: S blocks as if e had not been set; it is woken, or has been already (a wake that
 * comes before the block is kept: in the loop's inbox, in the thread's word).
 *
 * Two selects that meet: A waits with a send to c, B looks with a receive from c. B holds c's lock,
 * claims A's wait by A's send to c, copies A's item. A's waiters in other objects lose from then
 * on; A takes them out when it runs. B itself is in no queue, nobody can claim it.
 *
 * Several cases may become ready at one moment only when they are of the same object. Of one that
 * comes to all of them alike (an end, a set, a time) one is drawn after the wait. The partner in a
 * channel takes the first in the queue, so there the waiters are linked in a random order.
 *
 * After the wait every waiter is taken out of its queue, but for the winner's: its object has done
 * so, and has linked it into its own list of those to wake, where it must not be touched.
 */
#include "flow/channel.h"
#include "os/seam.h"

#define CASES_MAX   65535
#define CASES_LOCAL 8 /* so many need no memory */

/* A source for the wait that nobody comes for: its timer could not be set. */
#define WAIT_BY_NOBODY WAIT_BY_EVENT

struct select {
	struct rota_case *cases;
	uint32_t count;
	uint32_t chan_count;
	struct chan **chans;	/* each channel once, by address */
	struct chan *first;	/* that of the first case with one: gives the random numbers */
	struct waiter *waiters; /* one a case */
	struct loop *loop;	/* the caller's, or NULL */
	uint64_t seed;		/* for `first`, when it has no state yet */
	bool unseeded;		/* a random number was asked for and there was no state */
	bool repeats;		/* a channel is there twice */
	uint32_t time;		/* the case with the earliest time; count: none */
	uint32_t hung;		/* below it the waiters of tasks, futures and events are linked */
	struct shared_wait wait;
	struct timer timer;
};

static const struct wait_kind select_kind = {
	.name = "select",
	.abort = rota__shared_wait_abort,
};

/* What a case waits for: 1, nothing: 0, or what is wrong with it. */
static int case_check(const struct rota_case *at)
{
	const struct rota_task *task = at->object;

	switch (at->kind) {
	case ROTA_CASE_NONE:
		return 0;
	case ROTA_CASE_TASK:
		/* Without a handle it may be gone before the wait for it is over. */
		return task && (a32_load_relaxed(&task->flags) & TASK_HANDLE) ? 1 : -EINVAL;
	case ROTA_CASE_SEND:
	case ROTA_CASE_RECV:
	case ROTA_CASE_FUTURE:
	case ROTA_CASE_EVENT:
		return at->object ? 1 : -EINVAL;
	case ROTA_CASE_TIME:
		return 1;
	case ROTA_CASE_FD:
		return -ENOTSUP;
	default:
		return -EINVAL;
	}
}

static int cases_check(const struct rota_case *cases, size_t count)
{
	int result = -EINVAL;

	if (count > CASES_MAX)
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		int found = case_check(&cases[i]);

		if (found < 0)
			return found;
		if (found)
			result = 0;
	}
	return result;
}

static bool is_channel(const struct rota_case *at)
{
	return at->kind == ROTA_CASE_SEND || at->kind == ROTA_CASE_RECV;
}

static struct latch *latch_of(const struct rota_case *at)
{
	if (at->kind == ROTA_CASE_FUTURE)
		return &future_of(at->object)->latch;
	return &event_of(at->object)->latch;
}

static struct wait_queue *queue_of(const struct rota_case *at)
{
	struct chan *chan = at->object;

	return at->kind == ROTA_CASE_SEND ? &chan->senders : &chan->receivers;
}

static void sort_by_address(struct chan **chans, uint32_t count)
{
	uint32_t gap = 1;

	/* Shell's way: no memory, and for a few it is plain insertion. */
	while (gap < count / 3)
		gap = 3 * gap + 1;
	for (; gap; gap /= 3) {
		for (uint32_t i = gap; i < count; i++) {
			struct chan *chan = chans[i];
			uint32_t at = i;

			for (; at >= gap && (uintptr_t)chans[at - gap] > (uintptr_t)chan; at -= gap)
				chans[at] = chans[at - gap];
			chans[at] = chan;
		}
	}
}

/* Finds the channels and the earliest time. */
static void collect(struct select *sel)
{
	uint32_t found = 0;

	sel->time = sel->count;
	for (uint32_t i = 0; i < sel->count; i++) {
		const struct rota_case *at = &sel->cases[i];

		if (is_channel(at))
			sel->chans[found++] = chan_of(at->object);
		else if (at->kind == ROTA_CASE_TIME &&
			 (sel->time == sel->count || at->when_ns < sel->cases[sel->time].when_ns))
			sel->time = i;
	}
	if (!found)
		return;
	sel->first = sel->chans[0];
	sort_by_address(sel->chans, found);
	sel->chan_count = 1;
	for (uint32_t i = 1; i < found; i++)
		if (sel->chans[i] != sel->chans[sel->chan_count - 1])
			sel->chans[sel->chan_count++] = sel->chans[i];
	sel->repeats = sel->chan_count < found;
}

static void lock_all(const struct select *sel)
{
	for (uint32_t i = 0; i < sel->chan_count; i++)
		spin_lock(&sel->chans[i]->lock);
}

static void unlock_all(const struct select *sel)
{
	for (uint32_t i = 0; i < sel->chan_count; i++)
		spin_unlock(&sel->chans[i]->lock);
}

/*
 * A random number below n. Its state is a channel's, so that no loop and no thread needs one, and
 * the same seed gives the same run. L(locks): so a missing seed is only asked for here.
 */
static uint32_t draw(struct select *sel, uint32_t n)
{
	uint64_t x = sel->first && sel->first->random ? sel->first->random : sel->seed;

	if (!x) {
		sel->unseeded = true;
		return 0;
	}
	/* xorshift64 (Marsaglia 2003). */
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	if (sel->first)
		sel->first->random = x;
	else
		sel->seed = x;
	return (uint32_t)((x >> 32) * n >> 32);
}

/* Whether somebody waits in a queue. Takes out those who only leave. L(lock). */
static bool somebody_waits(struct wait_queue *queue)
{
	struct waiter *waiter;

	while ((waiter = queue_first(queue)) && claim_winner(&waiter->wait->claim))
		queue_remove(queue, waiter);
	return waiter != NULL;
}

/* L(lock) of its channel. */
static bool case_is_ready(const struct rota_case *at, int64_t now_ns)
{
	struct chan *chan = at->object;

	switch (at->kind) {
	case ROTA_CASE_SEND:
		return chan->closed || a64_load_relaxed(&chan->count) < chan->capacity ||
		       somebody_waits(&chan->receivers);
	case ROTA_CASE_RECV:
		return chan->closed || a64_load_relaxed(&chan->count) ||
		       somebody_waits(&chan->senders);
	case ROTA_CASE_TASK:
		return task_has_ended(at->object);
	case ROTA_CASE_FUTURE:
	case ROTA_CASE_EVENT:
		return latch_is_set(latch_of(at));
	case ROTA_CASE_TIME:
		return at->when_ns <= now_ns && at->when_ns != ROTA_FOREVER;
	default:
		return false;
	}
}

/* What became of a task, a future, an event, a time. */
static int case_status(const struct rota_case *at)
{
	if (at->kind == ROTA_CASE_TASK)
		return ((const struct rota_task *)at->object)->status;
	return at->kind == ROTA_CASE_FUTURE ? future_of(at->object)->status : 0;
}

/* L(locks). False: its partner has gone meanwhile. */
static bool case_do(struct loop *loop, struct rota_case *at, struct waiter **ret_woken)
{
	int status;

	if (at->kind == ROTA_CASE_SEND)
		status = chan_put(loop, at->object, at->value, ret_woken);
	else if (at->kind == ROTA_CASE_RECV)
		status = chan_take(loop, at->object, at->value, ret_woken);
	else
		status = case_status(at);
	if (status == -EAGAIN && is_channel(at))
		return false;
	at->status = status;
	return true;
}

/*
 * Does one of those that can be done: its index, or `count`. L(locks). Each is the chosen one of
 * those seen so far with the same probability, so one that is alone needs no random number.
 */
static uint32_t do_one(struct select *sel, int64_t now_ns, struct waiter **ret_woken)
{
	uint32_t chosen;

	do {
		uint32_t ready = 0;

		chosen = sel->count;
		for (uint32_t i = 0; i < sel->count; i++)
			if (case_is_ready(&sel->cases[i], now_ns) &&
				(++ready == 1 || draw(sel, ready) == 0))
				chosen = i;
		if (!ready && sel->repeats)
			draw(sel, 1); /* shuffle() is going to need them */
		if (sel->unseeded)
			break;
	} while (chosen < sel->count && !case_do(sel->loop, &sel->cases[chosen], ret_woken));
	return chosen;
}

/* Locks, and does one if it can: as do_one(). The locks stay. */
static uint32_t lock_and_do_one(struct select *sel, struct waiter **ret_woken)
{
	int64_t now_ns = sel->time < sel->count ? rota_now() : 0;
	uint32_t chosen;

	lock_all(sel);
	chosen = do_one(sel, now_ns, ret_woken);
	while (unlikely(sel->unseeded)) {
		/* A system call, so not under the locks. */
		unlock_all(sel);
		rota_random(&sel->seed, sizeof(sel->seed));
		sel->seed |= 1;
		sel->unseeded = false;
		lock_all(sel);
		chosen = do_one(sel, now_ns, ret_woken);
	}
	return chosen;
}

/* Puts the waiters' places (count) in a random order. L(locks). */
static void shuffle(struct select *sel)
{
	for (uint32_t i = sel->count; i > 1; i--) {
		uint32_t other = draw(sel, i);
		uint32_t place = sel->waiters[other].count;

		sel->waiters[other].count = sel->waiters[i - 1].count;
		sel->waiters[i - 1].count = place;
	}
}

/* Makes a waiter of each case and links those of channels. L(locks). */
static void link_waiters(struct select *sel)
{
	sel->wait = (struct shared_wait){
		.wait = { .kind = &select_kind, .task = sel->loop ? sel->loop->running : NULL },
	};
	for (uint32_t i = 0; i < sel->count; i++)
		sel->waiters[i] = (struct waiter){
			.wait = &sel->wait,
			.value = sel->cases[i].value,
			.source = WAIT_BY_CASE + i,
			.count = i,
		};
	if (sel->repeats)
		shuffle(sel);
	for (uint32_t i = 0; i < sel->count; i++) {
		uint32_t place = sel->waiters[i].count;

		if (is_channel(&sel->cases[place]))
			queue_add(queue_of(&sel->cases[place]), &sel->waiters[place]);
	}
}

/*
 * Hangs the waiters into tasks, futures and events. True: one of them had come already, and the
 * wait is claimed for it, by us. False: somebody has claimed it or will.
 */
static bool hang_waiters(struct select *sel)
{
	struct list won;
	bool hangs = true;

	list_init(&won);
	for (sel->hung = 0; sel->hung < sel->count; sel->hung++) {
		struct rota_case *at = &sel->cases[sel->hung];
		struct waiter *waiter = &sel->waiters[sel->hung];

		if (at->kind == ROTA_CASE_TASK)
			hangs = rota__task_waiters_add(at->object, waiter);
		else if (at->kind == ROTA_CASE_FUTURE || at->kind == ROTA_CASE_EVENT)
			hangs = latch_add(latch_of(at), waiter, &won);
		if (!hangs)
			break;
	}
	wake_all(sel->loop, &won);
	return !hangs && claim_take(&sel->wait.claim, WAIT_BY_CASE + sel->hung);
}

static void time_has_come(struct loop *loop, struct timer *timer)
{
	struct select *sel = container_of(timer, struct select, timer);

	if (claim_take(&sel->wait.claim, WAIT_BY_CASE + sel->time))
		rota__loop_ready(loop, sel->wait.wait.task);
}

/* Waits until somebody has claimed the wait: who. */
static uint32_t block(struct select *sel)
{
	int64_t when_ns = ROTA_FOREVER;

	if (sel->time < sel->count)
		when_ns = sel->cases[sel->time].when_ns;
	if (when_ns == ROTA_FOREVER)
		return rota__shared_wait_block(sel->loop, &sel->wait);
	if (!sel->loop)
		return rota__shared_wait_block_until(&sel->wait, when_ns, WAIT_BY_CASE + sel->time);
	sel->timer = (struct timer){ .fire = time_has_come };
	if (rota__timer_set(&sel->loop->timers, &sel->timer, when_ns) &&
		claim_take(&sel->wait.claim, WAIT_BY_NOBODY))
		return WAIT_BY_NOBODY;
	rota__shared_wait_block(sel->loop, &sel->wait);
	rota__timer_clear(&sel->loop->timers, &sel->timer);
	return claim_winner(&sel->wait.claim);
}

/* Takes all waiters out but the winner's. */
static void leave(struct select *sel, uint32_t winner)
{
	struct list won;

	list_init(&won);
	for (uint32_t i = 0; i < sel->count; i++) {
		struct rota_case *at = &sel->cases[i];
		struct waiter *waiter = &sel->waiters[i];
		struct chan *chan = at->object;

		if (waiter->source == winner)
			continue;
		if (is_channel(at)) {
			spin_lock(&chan->lock);
			queue_remove(queue_of(at), waiter);
			spin_unlock(&chan->lock);
		} else if (i >= sel->hung) {
			continue;
		} else if (at->kind == ROTA_CASE_TASK) {
			rota__task_waiters_leave(at->object, waiter);
		} else if (at->kind == ROTA_CASE_FUTURE || at->kind == ROTA_CASE_EVENT) {
			latch_leave(latch_of(at), waiter, &won);
		}
	}
	wake_all(sel->loop, &won);
}

/* The case was done: its index. */
static int done(const struct select *sel, uint32_t index)
{
	const struct rota_case *at = &sel->cases[index];

	/* As after an await: for the report. */
	if (at->kind == ROTA_CASE_TASK && at->status < 0 && loop_to_wait(sel->loop)) {
		struct rota_task *task = at->object;

		task->owner->ops->awaited(sel->loop, task->owner, task);
	}
	return (int)index;
}

/* Of the cases that one and the same thing has made ready, a random one. */
static uint32_t draw_among_alike(const struct select *sel, uint32_t index)
{
	const struct rota_case *won = &sel->cases[index];
	uint32_t alike = 0;

	for (uint32_t i = 0; i < sel->count; i++) {
		const struct rota_case *at = &sel->cases[i];
		uint32_t random;

		if (at->kind != won->kind || at->object != won->object ||
			at->when_ns != won->when_ns)
			continue;
		if (++alike == 1) {
			index = i;
			continue;
		}
		rota_random(&random, sizeof(random));
		if (random % alike == 0)
			index = i;
	}
	return index;
}

/* Nothing can be done now. L(locks), which it gives back. */
static ROTA__NOINLINE int wait_for_one(struct select *sel)
{
	struct rota_case *at;
	uint32_t winner;
	uint32_t index;

	link_waiters(sel);
	unlock_all(sel);
	if (hang_waiters(sel))
		winner = claim_winner(&sel->wait.claim);
	else
		winner = block(sel);
	leave(sel, winner);
	if (winner == WAIT_BY_CANCEL)
		return -ECANCELED;
	if (winner == WAIT_BY_NOBODY)
		return -ENOMEM;
	index = winner - WAIT_BY_CASE;
	at = &sel->cases[index];
	if (is_channel(at)) {
		at->status = sel->waiters[index].result;
		return (int)index;
	}
	index = draw_among_alike(sel, index);
	sel->cases[index].status = case_status(at);
	return done(sel, index);
}

static int select_run(struct select *sel, bool waits)
{
	struct waiter *woken = NULL;
	uint32_t index;

	collect(sel);
	index = lock_and_do_one(sel, &woken);
	if (index == sel->count && waits)
		return wait_for_one(sel);
	unlock_all(sel);
	if (woken)
		chan_wake(sel->loop, woken);
	return index == sel->count ? -EAGAIN : done(sel, index);
}

/* With memory for as many cases as there are. */
static int select_with_memory(struct select *sel, bool waits)
{
	struct waiter waiters[CASES_LOCAL];
	struct chan *chans[CASES_LOCAL];
	void *memory;
	int result;

	sel->waiters = waiters;
	sel->chans = chans;
	if (likely(sel->count <= CASES_LOCAL))
		return select_run(sel, waits);
	memory = rota__alloc(sel->count * (sizeof(*sel->waiters) + sizeof(*sel->chans)));
	if (!memory)
		return -ENOMEM;
	sel->waiters = memory;
	sel->chans = (struct chan **)(void *)(sel->waiters + sel->count);
	result = select_run(sel, waits);
	rota__free(memory);
	return result;
}

int rota_select(struct rota_case *cases, size_t count)
{
	struct loop *loop = rota__loop_self();
	struct select sel = { .cases = cases, .count = (uint32_t)count, .loop = loop };
	int err = cases_check(cases, count);

	if (!err)
		err = chan_may_wait(loop);
	return err ? err : select_with_memory(&sel, true);
}

int rota_select_try(struct rota_case *cases, size_t count)
{
	struct select sel = {
		.cases = cases,
		.count = (uint32_t)count,
		.loop = rota__loop_self(),
	};
	int err = cases_check(cases, count);

	return err ? err : select_with_memory(&sel, false);
}

struct rota_case rota_case_send(struct rota_chan *chan, const void *item)
{
	return (struct rota_case){
		.kind = ROTA_CASE_SEND,
		.object = chan,
		.value = (void *)(uintptr_t)item,
	};
}

struct rota_case rota_case_recv(struct rota_chan *chan, void *ret_item)
{
	return (struct rota_case){ .kind = ROTA_CASE_RECV, .object = chan, .value = ret_item };
}

struct rota_case rota_case_task(struct rota_task *task)
{
	return (struct rota_case){ .kind = ROTA_CASE_TASK, .object = task };
}

struct rota_case rota_case_future(struct rota_future *future)
{
	return (struct rota_case){ .kind = ROTA_CASE_FUTURE, .object = future };
}

struct rota_case rota_case_event(struct rota_event *event)
{
	return (struct rota_case){ .kind = ROTA_CASE_EVENT, .object = event };
}

struct rota_case rota_case_time(int64_t when_ns)
{
	return (struct rota_case){ .kind = ROTA_CASE_TIME, .when_ns = when_ns };
}

struct rota_case rota_case_fd(int fd, uint32_t events)
{
	return (struct rota_case){ .kind = ROTA_CASE_FD, .fd = fd, .events = events };
}
