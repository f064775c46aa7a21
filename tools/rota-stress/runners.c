/* SPDX-License-Identifier: MIT */
/*
 * One runner a loop and one loop a task at any time: tasks of all kinds that suspend in all ways,
 * each running segment marked. What only tasks of one loop touch is plain memory, without a lock.
 */
#include "scenarios.h"

#include "segment.h"

#define WAVE	  256
#define LOOPS_MAX 256

/* Plain on purpose: each is touched by the tasks of one loop only. A lost update breaks L1. */
static struct {
	uint64_t increments;
	uint64_t expected;
	char pad[112];
} plain[LOOPS_MAX];

struct runners {
	struct run *run;
	uint64_t wave;
};

struct member {
	struct runners *runners;
	uint64_t number;
	bool leaf;
};

static rota_task_fn member_run;

static void touch(const struct segment *segment, struct prng *prng)
{
	volatile uint64_t *increments = &plain[segment->loop].increments;
	uint64_t value = *increments;

	/* The window in which a second runner of the loop would lose an update. */
	stress_busy(segment->run, prng_ns(prng, 2 * ROTA_MICROSECOND));
	*increments = value + 1;
	plain[segment->loop].expected++;
}

static void spawn_child(struct segment *segment, struct member *parent, struct prng *prng)
{
	struct member child = { .runners = parent->runners, .leaf = true };
	struct rota_spawn_options options = { .arg_bytes = sizeof(child) };
	struct rota_group_options local = { .flags = ROTA_SPAWN_LOCAL };
	bool in_local = prng_once_in(prng, 3);
	struct rota_task *task = NULL;
	struct rota_group group;
	int status = -1;

	child.number = prng_next(prng);
	if (!in_local && prng_once_in(prng, 2)) {
		options.flags = ROTA_SPAWN_ON_LOOP;
		options.loop = prng_loop(prng);
	}
	rota_group_open(&group, in_local ? &local : NULL);
	(void)segment_spawn(segment, &group, member_run, &child, &task, &options);
	if (task && prng_once_in(prng, 2))
		STRESS_CHECK(segment->run, "await",
			segment_await(segment, task, &status) == 0 && status == 0,
			"an await gives status %d", status);
	STRESS_CHECK(segment->run, "group-close", segment_close(segment, &group, 0) == 0,
		"a group of one member does not close with 0");
}

static int member_run(void *arg)
{
	struct member *member = arg;
	struct run *run = member->runners->run;
	struct prng prng = prng_of(run->seed, member->number);
	uint64_t steps = prng_below(&prng, 12) + 1;
	struct segment segment;

	segment_start(&segment, run);
	for (; steps > 0; steps--) {
		touch(&segment, &prng);
		switch (prng_below(&prng, member->leaf ? 3 : 4)) {
		case 0:
			(void)segment_yield(&segment);
			break;
		case 1:
			(void)segment_sleep(&segment, prng_ns(&prng, 30 * ROTA_MICROSECOND));
			break;
		case 2:
			(void)segment_sleep(&segment, 0);
			break;
		default:
			spawn_child(&segment, member, &prng);
		}
	}
	touch(&segment, &prng);
	segment_end(&segment);
	atomic_fetch_add_explicit(&run->tasks, 1, memory_order_relaxed);
	return 0;
}

static void wave(struct runners *runners, struct segment *segment, struct rota_group *group)
{
	struct prng prng = prng_of(runners->run->seed, runners->wave);

	for (uint64_t i = 0; i < WAVE; i++) {
		struct member member = { .runners = runners, .number = runners->wave * WAVE + i };
		struct rota_spawn_options options = { .arg_bytes = sizeof(member) };

		switch (prng_below(&prng, 4)) {
		case 0:
			options.flags = ROTA_SPAWN_LOCAL;
			break;
		case 1:
			options.flags = ROTA_SPAWN_ON_LOOP;
			options.loop = prng_loop(&prng);
			break;
		default:
			break;
		}
		(void)segment_spawn(segment, group, member_run, &member, NULL, &options);
	}
}

static int runners_main(void *arg)
{
	struct runners runners = { .run = arg };
	struct segment segment;
	struct rota_group group;

	memset(plain, 0, sizeof(plain));
	segment_start(&segment, runners.run);
	while (stress_more(runners.run, atomic_load(&runners.run->tasks))) {
		rota_group_open(&group, NULL);
		wave(&runners, &segment, &group);
		STRESS_CHECK(runners.run, "group-close", segment_close(&segment, &group, 0) == 0,
			"the wave's group does not close with 0");
		runners.wave++;
	}
	segment_end(&segment);
	for (unsigned int i = 0; i < rota_loop_count(); i++)
		STRESS_CHECK(runners.run, "one-runner-a-loop",
			plain[i].increments == plain[i].expected,
			"loop %u lost updates: %llu instead of %llu", i,
			(unsigned long long)plain[i].increments,
			(unsigned long long)plain[i].expected);
	return 0;
}

static void run_runners(struct run *run)
{
	(void)stress_main_task(run, runners_main, run);
}

const struct scenario scenario_runners = {
	.name = "runners",
	.text = "one runner a loop, one loop a task, at any time",
	.run = run_runners,
	.quota = 50000,
};
