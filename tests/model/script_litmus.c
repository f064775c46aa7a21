/* SPDX-License-Identifier: MIT */
/*
 * The explorer's own test: litmus tests whose answers are known. Each asserts that an outcome does
 * not come about; meson.build says where it must (the explorer sees it) and must not. They
 * include spin.h, which is too small to have a script of its own.
 */
#include "explorer.h"

#include "base/atomic.h"
#include "base/spin.h"

static struct {
	struct a32 x __attribute__((aligned(8)));
	struct a32 y;
	struct spin lock;
	uint32_t seen[4];
	uint32_t plain;
} s;

/* Store buffering, Dekker's pattern: both read 0. tso and weak have it. */
static void sb(unsigned int self)
{
	struct a32 *cells[] = { &s.x, &s.y };

	a32_store_release(cells[self], 1);
	s.seen[self] = 1 + a32_load_acquire(cells[!self]);
}

/* With fences: never. */
static void sb_fence(unsigned int self)
{
	struct a32 *cells[] = { &s.x, &s.y };

	a32_store_relaxed(cells[self], 1);
	fence_seq_cst();
	s.seen[self] = 1 + a32_load_relaxed(cells[!self]);
}

/* With exchanges in the place of the stores: weak only. */
static void sb_rmw(unsigned int self)
{
	struct a32 *cells[] = { &s.x, &s.y };

	a32_exchange_acq_rel(cells[self], 1);
	s.seen[self] = 1 + a32_load_acquire(cells[!self]);
}

/* With exchanges and fence_after_rmw(): never. */
static void sb_rmw_fence(unsigned int self)
{
	struct a32 *cells[] = { &s.x, &s.y };

	a32_exchange_acq_rel(cells[self], 1);
	fence_after_rmw();
	s.seen[self] = 1 + a32_load_acquire(cells[!self]);
}

static void sb_end(void)
{
	model_check(s.seen[0] != 1 || s.seen[1] != 1, "both read 0");
}

/* Message passing: the flag is seen and the message is not. Relaxed: weak only. Release: never. */
static void mp_relaxed(unsigned int self)
{
	(void)self;
	a32_store_relaxed(&s.x, 1);
	a32_store_relaxed(&s.y, 1);
}

static void mp_release(unsigned int self)
{
	(void)self;
	a32_store_relaxed(&s.x, 1);
	a32_store_release(&s.y, 1);
}

static void mp_cas(unsigned int self)
{
	uint32_t none = 0;

	(void)self;
	a32_store_relaxed(&s.x, 1);
	a32_cas_release(&s.y, &none, 1);
}

static void mp_read(unsigned int self)
{
	(void)self;
	if (a32_load_acquire(&s.y))
		model_check(a32_load_relaxed(&s.x), "the flag without the message");
}

static void nothing(void)
{
}

/* Coherence and forwarding: own stores are read back, others' are not read backwards. */
static void coherence_write(unsigned int self)
{
	(void)self;
	a32_store_relaxed(&s.x, 1);
	a32_store_relaxed(&s.x, 2);
	model_check(a32_load_relaxed(&s.x) == 2, "own store not seen");
}

static void coherence_read(unsigned int self)
{
	uint32_t first = a32_load_relaxed(&s.x);

	(void)self;
	model_check(a32_load_relaxed(&s.x) >= first, "read backwards");
}

/* Read-modify-writes lose nothing. */
static void add(unsigned int self)
{
	uint32_t old;

	a32_add_relaxed(&s.x, 1);
	old = a32_load_relaxed(&s.x);
	while (!a32_cas_relaxed(&s.x, &old, old + 1))
		;
	s.seen[self] = 1;
}

static void add_end(void)
{
	model_check(s.x.v == 6, "%u of 6", s.x.v);
}

/* A counter written by load and store does. */
static void count(unsigned int self)
{
	(void)self;
	a32_store_relaxed(&s.x, a32_load_relaxed(&s.x) + 1);
}

static void count_end(void)
{
	model_check(s.x.v == 2, "%u of 2", s.x.v);
}

/* spin.h excludes, and a spinning thread does not hang the explorer. */
static void locked(unsigned int self)
{
	(void)self;
	spin_lock(&s.lock);
	a32_store_relaxed(&s.x, a32_load_relaxed(&s.x) + 1);
	s.plain++;
	spin_unlock(&s.lock);
}

static void locked_end(void)
{
	model_check(s.x.v == 3 && s.plain == 3, "%u and %u of 3", s.x.v, s.plain);
}

/* Two locks taken in two orders: a deadlock of spinners is found. */
static void crossed(unsigned int self)
{
	struct a32 *cells[] = { &s.x, &s.y };

	while (a32_exchange_acquire(cells[self], 1))
		cpu_relax();
	while (a32_exchange_acquire(cells[!self], 1))
		cpu_relax();
	a32_store_release(cells[!self], 0);
	a32_store_release(cells[self], 0);
}

/* A loop that nobody ends is found. */
static void forever(unsigned int self)
{
	(void)self;
	while (!a32_load_relaxed(&s.x))
		;
}

/* A token stays: posted before or after the wait, it wakes; with it comes what was written. */
static void token_post(unsigned int self)
{
	a32_store_relaxed(&s.x, 1);
	model_post(!self);
}

static void token_wait(unsigned int self)
{
	(void)self;
	model_wait();
	model_check(a32_load_relaxed(&s.x) == 1, "woken without what was written");
}

/* A wait without a post is a deadlock where a thread may not sleep. */
static void sleeper(unsigned int self)
{
	(void)self;
	model_wait();
}

static void names(void)
{
	model_name(&s.x, NULL, "x");
	model_name(&s.y, NULL, "y");
	model_name(&s.lock, NULL, "lock");
}

_Static_assert(sizeof(s) % 8 == 0, "hashed in words");

#define LITMUS(id, end, ...)                                                                       \
	{                                                                                          \
		.name = id, .what = #__VA_ARGS__, .preemptions = MODEL_ALL, .state = &s,           \
		.state_size = sizeof(s), .at_end = end, .names = names, .thread = { __VA_ARGS__ }, \
	}
#define T(id, function)                     \
	{                                   \
		.name = id, .run = function \
	}

static const struct model_script litmus[] = {
	LITMUS("sb", sb_end, T("0", sb), T("1", sb)),
	LITMUS("sb-fence", sb_end, T("0", sb_fence), T("1", sb_fence)),
	LITMUS("sb-one-fence", sb_end, T("0", sb_fence), T("1", sb)),
	LITMUS("sb-rmw", sb_end, T("0", sb_rmw), T("1", sb_rmw)),
	LITMUS("sb-rmw-fence", sb_end, T("0", sb_rmw_fence), T("1", sb_rmw_fence)),
	LITMUS("mp-relaxed", nothing, T("writer", mp_relaxed), T("reader", mp_read)),
	LITMUS("mp-release", nothing, T("writer", mp_release), T("reader", mp_read)),
	LITMUS("mp-cas", nothing, T("writer", mp_cas), T("reader", mp_read)),
	LITMUS("coherence", nothing, T("writer", coherence_write), T("reader", coherence_read)),
	LITMUS("add", add_end, T("0", add), T("1", add), T("2", add)),
	LITMUS("count", count_end, T("0", count), T("1", count)),
	LITMUS("lock", locked_end, T("0", locked), T("1", locked), T("2", locked)),
	LITMUS("crossed", nothing, T("0", crossed), T("1", crossed)),
	LITMUS("forever", nothing, T("0", forever)),
	LITMUS("token", nothing, T("poster", token_post), T("waiter", token_wait)),
	LITMUS("asleep", nothing, T("waiter", sleeper)),
};

int main(int argc, char **argv)
{
	const struct model_script *scripts[ARRAY_SIZE(litmus) + 1] = { NULL };

	for (unsigned int i = 0; i < ARRAY_SIZE(litmus); i++)
		scripts[i] = &litmus[i];
	return model_main(argc, argv, scripts);
}
