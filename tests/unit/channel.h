/* SPDX-License-Identifier: MIT */
/* What the tests of channels and of select share: channels of ints, and tasks that do one call. */
#ifndef ROTA_TESTS_CHANNEL_H
#define ROTA_TESTS_CHANNEL_H

#include "unit.h"

/* In ret_item, status and result before they are written. */
#define UNTOUCHED (-77777)

static inline void chan_init(struct rota_chan *chan, size_t capacity)
{
	EXPECT_EQ(rota_chan_init(chan, sizeof(int), capacity), 0);
}

/* Nobody waits in it any more. */
static inline void chan_finish(struct rota_chan *chan)
{
	EXPECT_EQ(rota_chan_finish(chan), 0);
}

static inline int chan_trysend(struct rota_chan *chan, int item)
{
	return rota_chan_trysend(chan, &item);
}

/* Fills it with 0, 1, ... up to its capacity. */
static inline void chan_fill(struct rota_chan *chan, size_t capacity)
{
	for (size_t i = 0; i < capacity; i++)
		EXPECT_EQ(chan_trysend(chan, (int)i), 0);
}

/* The item, or UNTOUCHED when there is none. */
static inline int chan_tryrecv(struct rota_chan *chan)
{
	int item = UNTOUCHED;
	int n = rota_chan_tryrecv(chan, &item);

	EXPECT(n == 1 || item == UNTOUCHED);
	return item;
}

/* A task, and the one call that it does. */
struct chan_call {
	struct rota_chan *chan;
	struct rota_task *task;
	int item;
	int result;
};

static inline int send_one(void *arg)
{
	struct chan_call *call = arg;

	call->result = rota_chan_send(call->chan, &call->item);
	return 0;
}

static inline int recv_one(void *arg)
{
	struct chan_call *call = arg;

	call->result = rota_chan_recv(call->chan, &call->item);
	return 0;
}

/* Lets others run until the task waits for something. */
static inline void wait_waiting(struct rota_task *task)
{
	enum rota_task_state state;

	while ((state = rota_task_state(task)) != ROTA_TASK_SUSPENDED) {
		if (!EXPECT(state < ROTA_TASK_DONE) || !EXPECT_EQ(rota_yield(), 0))
			return;
	}
}

/* Spawns fn(arg) on the loop number `place`, counted round and round. */
static inline struct rota_task *spawn_at(
	struct rota_group *group, uint32_t place, rota_task_fn *fn, void *arg)
{
	const struct rota_spawn_options there = {
		.flags = ROTA_SPAWN_ON_LOOP,
		.loop = place % rota_loop_count(),
	};
	struct rota_task *task = NULL;

	EXPECT_EQ(rota_group_spawn_with(group, fn, arg, &task, &there), 0);
	return task;
}

/* The same with send_one() or recv_one(), until it waits. */
static inline void spawn_waiting(struct rota_group *group, uint32_t place, rota_task_fn *fn,
	struct chan_call *call, struct rota_chan *chan, int item)
{
	*call = (struct chan_call){ .chan = chan, .item = item, .result = UNTOUCHED };
	call->task = spawn_at(group, place, fn, call);
	wait_waiting(call->task);
}

/* Waits for its end: the result of its call. */
static inline int call_result(struct chan_call *call)
{
	EXPECT_EQ(rota_task_await(call->task, NULL), 0);
	return call->result;
}

static inline void call_cancel(struct chan_call *call)
{
	rota_task_cancel(call->task, NULL);
}

#endif
