/* SPDX-License-Identifier: MIT */
/*
 * A select over several channels that one task feeds in turn: over two, over eight, over two and a
 * deadline, which each select has of its own, or which is the same for all; over two with room. An
 * operation is one send and one select. Both on one loop; across: on two; free: anywhere.
 */
#include "bench.h"

#include <errno.h>
#include <rota/channel.h>
#include <stdio.h>

#define CHANNELS_MAX  8
#define ROOM	      128
/* As in the bench of channels. */
#define ACROSS_FACTOR 50
#define DEADLINE_NS   (60 * ROTA_SECOND)

enum deadline {
	NO_DEADLINE,
	EACH_ITS_OWN,
	ONE_FOR_ALL,
};

struct shape {
	const char *name; /* of the key, before "ns_per_op" */
	unsigned int channels;
	enum deadline deadline;
	size_t room;
};

static const struct shape shapes[] = {
	{ "", 2, NO_DEADLINE, 0 },
	{ "eight_", 8, NO_DEADLINE, 0 },
	{ "deadline_", 2, EACH_ITS_OWN, 0 },
	{ "until_", 2, ONE_FOR_ALL, 0 },
	{ "buffered_", 2, NO_DEADLINE, ROOM },
};

struct feed {
	const struct shape *shape;
	uint64_t ops;
	uint64_t sum;	    /* output: of what was received */
	unsigned int ready; /* channels that need finishing */
	struct rota_chan chans[CHANNELS_MAX];
};

static int work_feed(void *arg)
{
	struct feed *feed = arg;
	int status = 0;

	for (uint64_t i = 0; i < feed->ops && status >= 0; i++)
		status = rota_chan_send(&feed->chans[i % feed->shape->channels], &i);
	return status;
}

static int work_select(void *arg)
{
	struct feed *feed = arg;
	const struct shape *shape = feed->shape;
	struct rota_case cases[CHANNELS_MAX + 1];
	unsigned int count = shape->channels;
	int64_t until = rota_now() + DEADLINE_NS;
	int done = 0;

	for (uint64_t i = 0; i < feed->ops; i++) {
		uint64_t item = 0;

		for (unsigned int k = 0; k < shape->channels; k++)
			cases[k] = rota_case_recv(&feed->chans[k], &item);
		if (shape->deadline != NO_DEADLINE) {
			if (shape->deadline == EACH_ITS_OWN)
				until = rota_now() + DEADLINE_NS;
			cases[shape->channels] = rota_case_time(until);
			count = shape->channels + 1;
		}
		done = rota_select(cases, count);
		if (done < 0)
			return done;
		/* The deadline came: something has gone wrong, and the sum would be. */
		if ((unsigned int)done == shape->channels)
			return -ETIMEDOUT;
		feed->sum += item;
	}
	return 0;
}

static int run_feed(struct feed *feed, const int *loops, double *ret_ns_per_op)
{
	struct bench_worker workers[2] = {
		{ .work = work_select, .arg = feed, .loop = loops[0] },
		{ .work = work_feed, .arg = feed, .loop = loops[1] },
	};
	int64_t elapsed_ns = 0;
	int status = bench_crew(workers, 2, &elapsed_ns);

	if (status >= 0 && feed->sum != feed->ops * (feed->ops - 1) / 2) {
		fprintf(stderr, "rota-bench: select: items were lost or came twice\n");
		return -EPROTO;
	}
	*ret_ns_per_op = (double)elapsed_ns / (double)feed->ops;
	return status;
}

static int run_shape(
	const struct shape *shape, const int *loops, uint64_t ops, double *ret_ns_per_op)
{
	struct feed feed = { .shape = shape, .ops = ops };
	int status = 0;

	while (feed.ready < shape->channels && status >= 0) {
		status = rota_chan_init(&feed.chans[feed.ready], sizeof(uint64_t), shape->room);
		if (status >= 0)
			feed.ready++;
	}
	if (status >= 0)
		status = run_feed(&feed, loops, ret_ns_per_op);
	while (feed.ready > 0) {
		int finished = rota_chan_finish(&feed.chans[--feed.ready]);

		/* Nobody is in it any more: a failure here is one of the channel. */
		if (status >= 0)
			status = finished;
	}
	return status;
}

/* All shapes with the select on one loop and the feeder on another one. */
static int measure(struct bench_run *run, const char *where, const int *loops, uint64_t ops)
{
	int status = 0;

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]) && status >= 0; i++) {
		double ns_per_op = 0;
		char key[32];

		snprintf(key, sizeof(key), "%s%sns_per_op", where, shapes[i].name);
		status = run_shape(&shapes[i], loops, ops / 10 + 1, &ns_per_op);
		if (status >= 0)
			status = run_shape(&shapes[i], loops, ops, &ns_per_op);
		if (status >= 0)
			bench_add(run, NULL, key, ns_per_op);
	}
	return status;
}

static int select_task(void *arg)
{
	struct bench_run *run = arg;
	int status = measure(run, "", (const int[]){ 0, 0 }, run->tasks);

	if (run->loops < 2)
		return status;
	if (status >= 0)
		status = measure(
			run, "across_", (const int[]){ 0, 1 }, run->tasks / ACROSS_FACTOR + 1);
	if (status >= 0)
		status = measure(run, "free_", (const int[]){ -1, -1 }, run->tasks / 2 + 1);
	return status;
}

const struct bench bench_select = {
	.name = "select",
	.about = "send + select over 2 channels; eight; deadline: a new one each; until: 1 for all",
	.target = "faster than Go",
	.loops = BENCH_LOOPS_ONE,
	.also = BENCH_LOOPS_TWO,
	.tasks = 500000,
	.task = select_task,
};
