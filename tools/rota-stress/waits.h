/* SPDX-License-Identifier: MIT */
/* The objects of the waits scenario, and what each kind of wait must account for. */
#ifndef ROTA_STRESS_WAITS_H
#define ROTA_STRESS_WAITS_H

#include "crew.h"
#include "victim.h"

#define SLOTS_MAX     24
#define PEBBLES	      16
#define FUTURES	      16
#define ONCES	      8
#define BARRIERS      12
#define PARTIES	      2
#define LIMIT	      3
#define CHANNEL_ROOM  3
#define PEBBLE_STATUS 300
#define FUTURE_STATUS 200
#define ONCE_STATUS   100

/* What went in and what came out. */
struct flow {
	_Atomic(uint64_t) in;
	_Atomic(uint64_t) out;
	_Atomic(uint64_t) in_sum;
	_Atomic(uint64_t) out_sum;
};

/* A function of a once: the calls of one caller. */
struct once_state {
	_Atomic(uint32_t) inside;
	_Atomic(bool) done;
};

struct meeting {
	struct rota_barrier barrier;
	_Atomic(uint64_t) ones;
	_Atomic(uint64_t) zeros;
	_Atomic(uint64_t) cancelled;
	_Atomic(uint64_t) broken;
};

struct pebble {
	struct rota_task *task;
	int64_t nap_ns;
	int status;
};

/* One set of objects, and who waits in them. */
struct waits {
	struct run *run;
	uint64_t seed;
	uint64_t cancels_end; /* so many cancels in the whole run, then this set is done with */
	struct victim victims[SLOTS_MAX];
	struct hunter hunter; /* the thread's */
	size_t slots;
	_Atomic(bool) over;	   /* nobody begins a wait any more */
	_Atomic(uint32_t) keepers; /* live */
	_Atomic(bool) gone;	   /* all of them have ended */
	struct crew crew;
	struct frames frames;
	_Atomic(uint64_t) ids; /* of items */

	struct rota_mutex mutex;
	uint64_t locked; /* L(mutex) */
	_Atomic(uint64_t) locks;
	struct rota_rwlock rwlock;
	uint64_t written; /* L(rwlock) */
	_Atomic(uint64_t) writes;
	_Atomic(int32_t) readers;
	struct rota_mutex cond_mutex;
	struct rota_cond cond;
	uint64_t cond_waiting; /* L(cond_mutex) */
	bool cond_held;	       /* L(cond_mutex) */
	struct flow signals;
	struct rota_sem sem;
	struct flow tokens;
	struct rota_event event;
	struct meeting meetings[BARRIERS];
	struct rota_once onces[ONCES];
	struct once_state once_states[ONCES];
	struct rota_future futures[FUTURES];
	struct rota_chan channels[2]; /* a rendezvous, and one with room */
	struct flow items[2];
	struct rota_group limited;
	struct flow members;
	struct rota_group pebble_group;
	struct pebble pebbles[PEBBLES];
	int pipe[2];
	struct flow bytes;
	struct flow abandoned; /* in: given to the library; out: discarded */
};

/* One random wait of a victim, in its scope: the name of its kind and what it gave. */
int waits_one(struct waits *waits, struct prng *prng, const char **ret_what);

/* The other half of the waits, as a task (arg: struct waits) until all victims are gone. */
int waits_feeder(void *arg);
/* What a plain thread does: waits that always end. */
void waits_thread(void *arg, uint64_t seed);

/* After all have ended: what went in has come out. In a task. */
void waits_check(struct waits *waits);

static inline void flow_add(_Atomic(uint64_t) *count, uint64_t n)
{
	atomic_fetch_add_explicit(count, n, memory_order_relaxed);
}

/* A new item for a channel. */
static inline uint64_t waits_item(struct waits *waits)
{
	return prng_mix(atomic_fetch_add_explicit(&waits->ids, 1, memory_order_relaxed));
}

static inline void flow_in(struct flow *flow, uint64_t item)
{
	flow_add(&flow->in, 1);
	flow_add(&flow->in_sum, item);
}

static inline void flow_out(struct flow *flow, uint64_t item)
{
	flow_add(&flow->out, 1);
	flow_add(&flow->out_sum, item);
}

#endif
