/* SPDX-License-Identifier: MIT */
/*
 * No lost wake-up: loops that go idle and are woken over and over, with gaps of all lengths so
 * that every step of spin, announce, look again and sleep is hit. A wake that is lost hangs the
 * scenario (nothing here wakes twice); the watchdog then says so.
 */
#include "scenarios.h"

/* How long a free task may lie before an idle loop has stolen it: far above what a busy machine
 * takes to run a thread. */
#define STEAL_PATIENCE_NS (30 * ROTA_SECOND)
#define STEAL_RESPAWN_NS  (200 * ROTA_MICROSECOND)

struct wake {
	struct run *run;
	uint64_t seed;
	uint64_t rounds;
};

/* A task that is bound to a loop and wakes another by its end. */
struct partner {
	struct run *run;
	uint64_t seed;
	uint32_t loop;
	uint32_t hops;
	int status;
};

/* Short enough to meet a spinning loop, long enough to meet a sleeping one, and most of all about
 * as long as it spins. */
static int64_t gap_ns(struct prng *prng)
{
	switch (prng_below(prng, 5)) {
	case 0:
		return 0;
	case 1:
		return prng_ns(prng, 5 * ROTA_MICROSECOND);
	case 2:
		return prng_ns(prng, 200 * ROTA_MICROSECOND);
	default:
		return 40 * ROTA_MICROSECOND + prng_ns(prng, 40 * ROTA_MICROSECOND);
	}
}

/* Any other loop. */
static uint32_t other_loop(struct prng *prng)
{
	unsigned int loops = rota_loop_count();
	uint32_t self = (uint32_t)rota_loop_self();

	if (loops < 2)
		return self;
	return (self + 1 + (uint32_t)prng_below(prng, loops - 1)) % loops;
}

static int partner_run(void *arg)
{
	struct partner *partner = arg;
	struct prng prng = prng_of(partner->seed, 1);

	STRESS_CHECK(partner->run, "bound-loop", rota_loop_self() == (int)partner->loop,
		"a task for loop %u runs on loop %d", partner->loop, rota_loop_self());
	if (prng_once_in(&prng, 4))
		(void)rota_sleep(gap_ns(&prng));
	else
		stress_busy(partner->run, gap_ns(&prng));
	return partner->status;
}

static struct partner partner_make(struct wake *wake, struct prng *prng)
{
	return (struct partner){
		.run = wake->run,
		.seed = prng_next(prng),
		.loop = other_loop(prng),
		.status = (int)prng_below(prng, 1000),
	};
}

/* Woken by the end of one task. */
static void round_await(struct wake *wake, struct prng *prng)
{
	struct partner partner = partner_make(wake, prng);
	struct rota_spawn_options options = stress_on_loop(partner.loop);
	struct rota_task *task = NULL;
	struct rota_group group;
	int status = -1;
	int err;

	rota_group_open(&group, NULL);
	(void)rota_group_spawn_with(&group, partner_run, &partner, &task, &options);
	err = rota_task_await(task, &status);
	STRESS_CHECK(wake->run, "await", err == 0 && status == partner.status,
		"an await gives %d and status %d instead of %d", err, status, partner.status);
	rota_task_release(task);
	STRESS_CHECK(wake->run, "group-close", rota_group_close(&group, 0) == 0,
		"a group of one member does not close with 0");
}

/* Woken by the last member of a group, members on several loops. */
static void round_group(struct wake *wake, struct prng *prng)
{
	struct partner partners[3];
	uint64_t count = prng_below(prng, 3) + 1;
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (uint64_t i = 0; i < count; i++) {
		struct rota_spawn_options options;

		partners[i] = partner_make(wake, prng);
		options = stress_on_loop(partners[i].loop);
		(void)rota_group_spawn_with(&group, partner_run, &partners[i], NULL, &options);
	}
	if (prng_once_in(prng, 2))
		STRESS_CHECK(wake->run, "group-wait", rota_group_wait(&group) == 0,
			"rota_group_wait() fails");
	STRESS_CHECK(wake->run, "group-close", rota_group_close(&group, 0) == 0,
		"a group does not close with 0");
}

/* Each of the relay spawns the next on another loop and is woken by its end. */
static int relay_run(void *arg)
{
	struct partner *self = arg;
	struct prng prng = prng_of(self->seed, 2);
	struct partner next = *self;
	struct rota_spawn_options options;
	struct rota_group group;

	stress_busy(self->run, gap_ns(&prng));
	if (self->hops == 0)
		return 0;
	next.seed = prng_next(&prng);
	next.loop = other_loop(&prng);
	next.hops--;
	options = stress_on_loop(next.loop);
	rota_group_open(&group, NULL);
	(void)rota_group_spawn_with(&group, relay_run, &next, NULL, &options);
	return rota_group_close(&group, 0);
}

static void round_relay(struct wake *wake, struct prng *prng)
{
	struct partner first = partner_make(wake, prng);

	first.hops = (uint32_t)prng_below(prng, 2 * rota_loop_count()) + 1;
	STRESS_CHECK(
		wake->run, "group-close", relay_run(&first) == 0, "a relay does not end with 0");
}

static int raise_flag(void *arg)
{
	_Atomic(int) *flag = arg;

	atomic_store_explicit(flag, 1, memory_order_release);
	return 0;
}

/*
 * The spawner computes on: an idle loop has to come and take the task. A single spawn may cross
 * with a loop that goes to sleep and is then shared by the next one only, so there is a next one.
 */
static void round_steal(struct wake *wake, struct prng *prng)
{
	int64_t end = rota_now() + STEAL_PATIENCE_NS;
	_Atomic(int) flag = 0;
	struct rota_group group;

	(void)prng;
	rota_group_open(&group, NULL);
	(void)rota_group_spawn(&group, raise_flag, (void *)&flag);
	while (!atomic_load_explicit(&flag, memory_order_acquire) && rota_now() < end) {
		stress_busy(wake->run, STEAL_RESPAWN_NS);
		(void)rota_group_spawn(&group, raise_flag, (void *)&flag);
	}
	STRESS_CHECK(wake->run, "no-lost-wake", atomic_load(&flag),
		"no idle loop stole a task while its spawner computed");
	STRESS_CHECK(wake->run, "group-close", rota_group_close(&group, 0) == 0,
		"a group of one member does not close with 0");
}

/* All loops go idle, a timer wakes this one. */
static void round_timer(struct wake *wake, struct prng *prng)
{
	int64_t when = rota_now() + gap_ns(prng);

	STRESS_CHECK(wake->run, "sleep", rota_sleep_until(when) == 0, "a sleep fails");
	STRESS_CHECK(wake->run, "never-early", rota_now() >= when, "a sleep ends early");
}

static int wake_rounds(void *arg)
{
	struct wake *wake = arg;
	struct prng prng = prng_of(wake->seed, 3);
	/* With one runner for each loop nobody would be idle; and one cannot wait by computing
	 * where all loops are one thread. */
	bool steal = !wake->run->sim && rota_loop_count() > 1 && wake->rounds > 16;

	for (uint64_t i = 0; i < wake->rounds && !stress_over(wake->run); i++) {
		stress_busy(wake->run, gap_ns(&prng));
		switch (prng_below(&prng, steal ? 6 : 5)) {
		case 0:
		case 1:
			round_await(wake, &prng);
			break;
		case 2:
			round_group(wake, &prng);
			break;
		case 3:
			round_relay(wake, &prng);
			break;
		case 4:
			round_timer(wake, &prng);
			break;
		default:
			round_steal(wake, &prng);
		}
		atomic_fetch_add_explicit(&wake->run->tasks, 1, memory_order_relaxed);
	}
	return 0;
}

/* Two loops that spawn into each other at once, for a few rounds. */
static void cross_rounds(struct wake *wake, struct prng *prng)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (unsigned int i = 0; i < 2; i++) {
		struct wake part = { .run = wake->run, .seed = prng_next(prng), .rounds = 16 };
		struct rota_spawn_options options = stress_on_loop(i % rota_loop_count());

		options.arg_bytes = sizeof(part);
		(void)rota_group_spawn_with(&group, wake_rounds, &part, NULL, &options);
	}
	STRESS_CHECK(wake->run, "group-close", rota_group_close(&group, 0) == 0,
		"the group of two spawners does not close with 0");
}

static int wake_main(void *arg)
{
	struct wake *wake = arg;
	struct prng prng = prng_of(wake->seed, 4);
	uint64_t goal = atomic_load(&wake->run->tasks) + wake->rounds;

	while (!stress_over(wake->run)) {
		uint64_t done = atomic_load(&wake->run->tasks);
		struct wake part = { .run = wake->run, .seed = prng_next(&prng) };

		if (done >= goal)
			break;
		part.rounds = goal - done < 200 ? goal - done : 200;
		(void)wake_rounds(&part);
		cross_rounds(wake, &prng);
	}
	return 0;
}

/* Two loops, then more than there may be cores. */
static void run_wake(struct run *run)
{
	static const uint32_t loops[] = { 2, 3, 4 };
	size_t passes = run->options->loops ? 1 : sizeof(loops) / sizeof(loops[0]);

	if (run->limit_ns != INT64_MAX)
		run->limit_ns /= (int64_t)passes;
	for (size_t i = 0; i < passes; i++) {
		struct wake wake = { .run = run, .seed = run->seed + i };

		wake.rounds = run->quota == UINT64_MAX ? UINT64_MAX / 8 : run->quota / passes + 1;
		if (!run->options->loops)
			run->loops = loops[i];
		if (stress_main_task(run, wake_main, &wake) != 0)
			return;
	}
}

const struct scenario scenario_wake = {
	.name = "wake",
	.text = "no lost wake-up: from idle, across loops, with gaps of all lengths",
	.run = run_wake,
	.quota = 20000,
	.flags = STRESS_ROUNDS,
};
