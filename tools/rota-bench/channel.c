/* SPDX-License-Identifier: MIT */
/*
 * Channels of 8-byte items: a round trip of two tasks over two channels without room, a stream
 * from one task to another, and one from several to several. Tasks on one loop; across: on two;
 * free: wherever the runtime lets them start.
 */
#include "bench.h"

#include <errno.h>
#include <rota/channel.h>
#include <stdio.h>

#define STREAM_ROOM   128
#define MANY_ROOM     64
#define MANY	      4 /* senders, and as many receivers */
/* Round trips across loops take that much longer, for peers most of all. */
#define ACROSS_FACTOR 50

/* Where the tasks of a measurement run. */
enum where {
	ONE_LOOP,
	ACROSS, /* in turns on all loops; of two tasks: one each on the first two */
	FREE,
};

struct end {
	struct rota_chan *in;
	struct rota_chan *out;
	uint64_t ops;
	uint64_t sum; /* output: of what it received */
};

static int choose_loop(const struct bench_run *run, enum where where, unsigned int i)
{
	if (where == FREE)
		return -1;
	return where == ONE_LOOP ? 0 : (int)(i % run->loops);
}

static int work_ping(void *arg)
{
	struct end *end = arg;
	uint64_t item = 0;
	int status = 1;

	for (uint64_t i = 0; i < end->ops && status >= 0; i++) {
		status = rota_chan_send(end->out, &i);
		if (status >= 0)
			status = rota_chan_recv(end->in, &item);
		end->sum += item;
	}
	return status < 0 ? status : 0;
}

static int work_pong(void *arg)
{
	struct end *end = arg;
	int status = 1;

	for (uint64_t i = 0; i < end->ops && status >= 0; i++) {
		uint64_t item;

		status = rota_chan_recv(end->in, &item);
		if (status >= 0)
			status = rota_chan_send(end->out, &item);
	}
	return status;
}

static int work_send(void *arg)
{
	struct end *end = arg;
	int status = 0;

	for (uint64_t i = 0; i < end->ops && status >= 0; i++)
		status = rota_chan_send(end->out, &i);
	return status;
}

static int work_receive(void *arg)
{
	struct end *end = arg;
	int status = 1;

	for (uint64_t i = 0; i < end->ops && status >= 0; i++) {
		uint64_t item;

		status = rota_chan_recv(end->in, &item);
		if (status >= 0)
			end->sum += item;
	}
	return status < 0 ? status : 0;
}

static int check_sum(uint64_t sum, uint64_t senders, uint64_t ops)
{
	if (sum == senders * (ops * (ops - 1) / 2))
		return 0;
	fprintf(stderr, "rota-bench: channel: items were lost or came twice\n");
	return -EPROTO;
}

/* Nobody is in it any more: a failure here is one of the channel. */
static int finish(struct rota_chan *chan, int status)
{
	int finished = rota_chan_finish(chan);

	return status < 0 ? status : finished;
}

static int run_pair(
	const struct bench_run *run, enum where where, uint64_t ops, double *ret_ns_per_op)
{
	struct rota_chan there;
	struct rota_chan back;
	struct end ends[2] = {
		{ .in = &back, .out = &there, .ops = ops },
		{ .in = &there, .out = &back, .ops = ops },
	};
	struct bench_worker workers[2] = {
		{ .work = work_ping, .arg = &ends[0], .loop = choose_loop(run, where, 0) },
		{ .work = work_pong, .arg = &ends[1], .loop = choose_loop(run, where, 1) },
	};
	int64_t elapsed_ns = 0;
	int status = rota_chan_init(&there, sizeof(uint64_t), 0);

	if (status < 0)
		return status;
	status = rota_chan_init(&back, sizeof(uint64_t), 0);
	if (status < 0)
		goto finish_there;
	status = bench_crew(workers, 2, &elapsed_ns);
	if (status >= 0)
		status = check_sum(ends[0].sum, 1, ops);
	*ret_ns_per_op = (double)elapsed_ns / (double)ops;
	status = finish(&back, status);
finish_there:
	return finish(&there, status);
}

/* One channel with so much room: as many senders as receivers share ops items. */
static int run_stream(const struct bench_run *run, enum where where, unsigned int senders,
	size_t room, uint64_t ops, double *ret_ns_per_op)
{
	struct bench_worker workers[2 * MANY];
	struct end ends[2 * MANY];
	struct rota_chan chan;
	uint64_t each = ops / senders + 1;
	uint64_t sum = 0;
	int64_t elapsed_ns = 0;
	int status = rota_chan_init(&chan, sizeof(uint64_t), room);

	if (status < 0)
		return status;
	for (unsigned int i = 0; i < 2 * senders; i++) {
		ends[i] = (struct end){ .in = &chan, .out = &chan, .ops = each };
		workers[i].work = i < senders ? work_send : work_receive;
		workers[i].arg = &ends[i];
		/* A lone pair is parted; of several, each loop has as many senders as receivers. */
		workers[i].loop = choose_loop(run, where, i);
	}
	status = bench_crew(workers, 2 * senders, &elapsed_ns);
	for (unsigned int i = senders; i < 2 * senders; i++)
		sum += ends[i].sum;
	if (status >= 0)
		status = check_sum(sum, senders, each);
	*ret_ns_per_op = (double)elapsed_ns / (double)(each * senders);
	return finish(&chan, status);
}

/* One shape of the work. */
struct shape {
	const char *key;
	enum where where;
	unsigned int senders; /* 0: a pair that sends one item there and back */
	size_t room;
	unsigned int loops_min;
	unsigned int divide; /* the work by this */
};

static const struct shape shapes[] = {
	{ "ns_per_op", ONE_LOOP, 0, 0, 1, 1 },
	{ "stream_ns_per_op", ONE_LOOP, 1, STREAM_ROOM, 1, 1 },
	{ "many_ns_per_op", ACROSS, MANY, MANY_ROOM, 1, 1 },
	{ "across_ns_per_op", ACROSS, 0, 0, 2, ACROSS_FACTOR },
	{ "across_stream_ns_per_op", ACROSS, 1, STREAM_ROOM, 2, 2 },
	{ "free_ns_per_op", FREE, 0, 0, 2, 2 },
	{ "free_stream_ns_per_op", FREE, 1, STREAM_ROOM, 2, 1 },
	{ "free_many_ns_per_op", FREE, MANY, MANY_ROOM, 2, 1 },
};

static int run_shape(
	const struct bench_run *run, const struct shape *shape, uint64_t ops, double *ret_ns_per_op)
{
	if (shape->senders == 0)
		return run_pair(run, shape->where, ops, ret_ns_per_op);
	return run_stream(run, shape->where, shape->senders, shape->room, ops, ret_ns_per_op);
}

static int channel_task(void *arg)
{
	struct bench_run *run = arg;
	int status = 0;

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]) && status >= 0; i++) {
		uint64_t ops = run->tasks / shapes[i].divide + 1;
		double ns_per_op = 0;

		if (run->loops < shapes[i].loops_min)
			continue;
		status = run_shape(run, &shapes[i], ops / 10 + 1, &ns_per_op);
		if (status >= 0)
			status = run_shape(run, &shapes[i], ops, &ns_per_op);
		if (status >= 0)
			bench_add(run, NULL, shapes[i].key, ns_per_op);
	}
	return status;
}

const struct bench bench_channel = {
	.name = "channel",
	.about =
		"round trip of two tasks; stream: 1 to 1, room 128, an item; many: 4 to 4, room 64",
	.target = "<= 50 ns a round trip on one loop; faster than Go",
	.loops = BENCH_LOOPS_ONE,
	.also = BENCH_LOOPS_TWO,
	.tasks = 1000000,
	.task = channel_task,
};
