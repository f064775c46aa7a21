/* SPDX-License-Identifier: MIT */
/*
 * One counter, many tasks, three ways to keep it right:
 *
 * local	all tasks on one loop: no two of them ever run at the same moment, so that what they
 *		do between two suspending calls needs no lock. Not parallel.
 * mutex	tasks on all loops, a lock around the counter.
 * channel	the counter belongs to one task, the others send it what to add.
 */
#include <stdio.h>

#include <rota.h>

#define TASKS  8
#define ROUNDS 10000

struct counter {
	uint64_t value;
	struct rota_mutex lock;
	struct rota_chan deltas;
};

static int add_alone(void *arg)
{
	struct counter *counter = arg;

	for (int i = 0; i < ROUNDS; i++) {
		counter->value++; /* nobody else runs */
		if (i % 100 == 0 && rota_yield())
			return 1;
	}
	return 0;
}

static int add_locked(void *arg)
{
	struct counter *counter = arg;

	for (int i = 0; i < ROUNDS; i++) {
		rota_mutex_lock(&counter->lock);
		counter->value++;
		rota_mutex_unlock(&counter->lock);
	}
	return 0;
}

static int add_by_message(void *arg)
{
	struct counter *counter = arg;
	const uint32_t one = 1;
	int err = 0;

	for (int i = 0; i < ROUNDS && !err; i++)
		err = rota_chan_send(&counter->deltas, &one);
	return err;
}

/* The only one that touches the value. */
static int keep(void *arg)
{
	struct counter *counter = arg;
	uint32_t delta;
	int got;

	while ((got = rota_chan_recv(&counter->deltas, &delta)) > 0)
		counter->value += delta;
	return got;
}

/* Runs so many tasks; the sum when all have ended. */
static int run(rota_task_fn *add, struct counter *counter, uint32_t flags)
{
	struct rota_group group;

	counter->value = 0;
	rota_group_open(&group, &(struct rota_group_options){ .flags = flags });
	for (int i = 0; i < TASKS; i++)
		rota_group_spawn(&group, add, counter);
	return rota_group_close(&group, 0);
}

static int report(const char *how, const struct counter *counter, int err)
{
	printf("%-8s %llu of %d\n", how, (unsigned long long)counter->value, TASKS * ROUNDS);
	return err || counter->value != (uint64_t)TASKS * ROUNDS;
}

static int app(int argc, char **argv)
{
	struct counter counter = { 0 };
	struct rota_group keeper;
	int wrong;
	int err;

	(void)argc;
	(void)argv;
	wrong = report("local", &counter, run(add_alone, &counter, ROTA_SPAWN_LOCAL));
	wrong |= report("mutex", &counter, run(add_locked, &counter, 0));

	err = rota_chan_init(&counter.deltas, sizeof(uint32_t), 256);
	if (err)
		return err;
	rota_group_open(&keeper, NULL);
	rota_group_spawn(&keeper, keep, &counter);
	err = run(add_by_message, &counter, 0);
	rota_chan_close(&counter.deltas);
	err = rota_group_close(&keeper, err);
	wrong |= report("channel", &counter, err);
	(void)!rota_chan_finish(&counter.deltas);
	return wrong;
}

int main(int argc, char **argv)
{
	return rota_main(app, argc, argv);
}
