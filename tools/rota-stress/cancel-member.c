/* SPDX-License-Identifier: MIT */
/* The members of the cancel scenario: each has exactly one outcome, and a cause for it. */
#include "cancel.h"

#define BUFFER_BYTES 64
#define PATTERN	     0x5a

static int sleep_forever(void *arg)
{
	(void)arg;
	return rota_sleep(ROTA_FOREVER);
}

/* The rock is member 0, which ends by a cancel only. */
static int await_rock(struct member *member)
{
	int status = 0;
	int err = rota_task_await(member->round->members[0].task, &status);

	STRESS_CHECK(member->round->run, "one-outcome", err != 0 || status == -ECANCELED,
		"a task that can only be cancelled ended with %d", status);
	return err;
}

/* Not for ever: under simulation a task that is always ready would stop the clock. */
static int yield_long(void)
{
	for (int i = 0; i < 200; i++) {
		int err = rota_yield();

		if (err)
			return err;
	}
	return rota_sleep(ROTA_FOREVER);
}

static int group_of_sleepers(struct member *member, struct prng *prng)
{
	struct run *run = member->round->run;
	uint64_t count = prng_below(prng, 3) + 1;
	bool waits = prng_once_in(prng, 2);
	struct rota_group group;
	int status = 0;

	rota_group_open(&group, NULL);
	for (uint64_t i = 0; i < count; i++)
		(void)rota_group_spawn(&group, sleep_forever, NULL);
	if (waits) {
		status = rota_group_wait(&group);
		/* 0: the cancelled members were gone before the wait itself was cut short. */
		STRESS_CHECK(run, "one-outcome", status == -ECANCELED || status == 0,
			"a wait for endless members gives %d", status);
	}
	status = rota_group_close(&group, status);
	STRESS_CHECK(run, "one-outcome", status == -ECANCELED,
		"a group that was cancelled from outside closes with %d", status);
	return status;
}

static int group_with_deadline(struct member *member, struct prng *prng)
{
	struct rota_group_options options = {
		.timeout_ns = prng_ns(prng, 200 * ROTA_MICROSECOND) + 1,
	};
	int64_t start = rota_now();
	struct rota_group group;
	int status;

	rota_group_open(&group, &options);
	(void)rota_group_spawn(&group, sleep_forever, NULL);
	status = prng_once_in(prng, 2) ? rota_sleep(ROTA_FOREVER) : 0;
	status = rota_group_close(&group, status);
	STRESS_CHECK(member->round->run, "one-outcome",
		status == -ETIMEDOUT || status == -ECANCELED,
		"a group with a timeout and an endless member closes with %d", status);
	if (status != -ETIMEDOUT)
		return status;
	STRESS_CHECK(member->round->run, "never-early", rota_now() - start >= options.timeout_ns,
		"a timeout strikes early");
	return 0;
}

/* After the return the buffer is ours again: the kernel must not write to it any more. */
static void check_settled(struct member *member, unsigned char *buffer, struct prng *prng)
{
	memset(buffer, PATTERN, BUFFER_BYTES);
	(void)rota_sleep(prng_ns(prng, 50 * ROTA_MICROSECOND));
	stress_busy(member->round->run, prng_ns(prng, 20 * ROTA_MICROSECOND));
	for (int i = 0; i < BUFFER_BYTES; i++)
		STRESS_CHECK(member->round->run, "settled-io", buffer[i] == PATTERN,
			"a buffer is written to after its read has returned");
}

static int read_pipe(struct member *member, struct prng *prng)
{
	struct cancel_round *round = member->round;
	unsigned char buffer[BUFFER_BYTES];
	size_t bytes = prng_below(prng, BUFFER_BYTES) + 1;
	int status;

	for (;;) {
		status = rota_read(round->pipe[0], buffer, bytes);
		STRESS_CHECK(round->run, "one-outcome",
			status == -ECANCELED || (status > 0 && status <= (int)bytes),
			"a read of %zu bytes from a pipe gives %d (%s)", bytes, status,
			rota_status_name(status));
		if (status > 0)
			atomic_fetch_add_explicit(
				&round->bytes_read, (uint64_t)status, memory_order_relaxed);
		check_settled(member, buffer, prng);
		if (status <= 0)
			return status;
	}
}

static int act(struct member *member, struct prng *prng)
{
	switch (member->kind) {
	case MEMBER_NAP:
		return rota_sleep(prng_ns(prng, 200 * ROTA_MICROSECOND));
	case MEMBER_DEADLINE:
		return group_with_deadline(member, prng);
	case MEMBER_FAIL:
		(void)rota_sleep(prng_ns(prng, 200 * ROTA_MICROSECOND));
		return -EPROTO;
	case MEMBER_FOREVER:
		return rota_sleep(ROTA_FOREVER);
	case MEMBER_AWAIT:
		return await_rock(member);
	case MEMBER_YIELD:
		return yield_long();
	case MEMBER_GROUP:
		return group_of_sleepers(member, prng);
	case MEMBER_READ:
		return read_pipe(member, prng);
	default:
		return 0;
	}
}

/* A cancel has a cause, and stays: every later call sees it too. */
static void check_cancelled(struct member *member)
{
	struct run *run = member->round->run;
	bool asked = atomic_load(&member->asked) || atomic_load(&member->round->asked);
	int err;

	STRESS_CHECK(run, "cancel-has-cause", asked,
		"a member of kind %d sees a cancel that nobody asked for", (int)member->kind);
	err = rota_yield();
	STRESS_CHECK(run, "cancel-stays", err == -ECANCELED,
		"after a cancel in kind %d a yield gives %d", (int)member->kind, err);
	err = rota_sleep(ROTA_FOREVER);
	STRESS_CHECK(run, "cancel-stays", err == -ECANCELED,
		"after a cancel in kind %d a sleep gives %d", (int)member->kind, err);
}

int cancel_member_run(void *arg)
{
	struct member *member = arg;
	struct prng prng = prng_of(member->seed, 5);
	int status = act(member, &prng);

	STRESS_CHECK(member->round->run, "one-outcome",
		member->kind < MEMBER_FOREVER || member->kind == MEMBER_AWAIT ||
			status == -ECANCELED,
		"a member of kind %d that can only be cancelled ends with %d", (int)member->kind,
		status);
	if (status == -ECANCELED)
		check_cancelled(member);
	atomic_fetch_add_explicit(&member->ends, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&member->round->run->tasks, 1, memory_order_relaxed);
	return status;
}
