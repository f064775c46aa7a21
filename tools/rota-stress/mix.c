/* SPDX-License-Identifier: MIT */
/*
 * Everything at once: a random tree of groups, sleeps, yields, awaits, gathers, reads, failing
 * members, cancels and timeouts, each running segment marked. No error is dropped, every accepted
 * task runs once.
 */
#include "scenarios.h"

#include "segment.h"
#include "tempfile.h"

#define DEPTH_MAX   4
#define HANDLES_MAX 8

struct mix {
	struct run *run;
	int fd;
	_Atomic(uint64_t) accepted;
	_Atomic(uint64_t) ran;
};

struct node {
	struct mix *mix;
	struct node *parent;
	struct segment segment;
	struct prng prng;
	struct rota_group group;
	struct rota_task *handles[HANDLES_MAX];
	size_t handle_count;
	unsigned int depth;
	bool cancelled_own; /* its own group, by itself */
	bool has_timeout;
	bool local;
	_Atomic(uint64_t) failed; /* members that ended with an error */
};

struct node_arg {
	struct mix *mix;
	struct node *parent;
	uint64_t seed;
	unsigned int depth;
};

static rota_task_fn node_run;

static int step_spawn(struct node *node)
{
	struct node_arg child = { .mix = node->mix, .parent = node, .depth = node->depth + 1 };
	struct rota_spawn_options options = { 0 };
	struct rota_task **handle = NULL;
	int err;

	child.seed = prng_next(&node->prng);
	switch (prng_below(&node->prng, 4)) {
	case 0:
		options.flags = ROTA_SPAWN_LOCAL;
		break;
	case 1:
		/* Two places at once would be refused. */
		if (!node->local)
			options = stress_on_loop(prng_loop(&node->prng));
		break;
	default:
		break;
	}
	options.arg_bytes = sizeof(child);
	if (node->handle_count < HANDLES_MAX && prng_once_in(&node->prng, 2))
		handle = &node->handles[node->handle_count];
	/* Before the spawn: the child may be faster than the return. */
	atomic_fetch_add_explicit(&node->mix->accepted, 1, memory_order_relaxed);
	err = segment_spawn(&node->segment, &node->group, node_run, &child, handle, &options);
	if (err)
		atomic_fetch_sub_explicit(&node->mix->accepted, 1, memory_order_relaxed);
	else if (handle)
		node->handle_count++;
	STRESS_CHECK(node->mix->run, "spawn-works", !err || err == -ECANCELED,
		"a spawn gives %d (%s)", err, rota_status_name(err));
	return err;
}

static int step_await(struct node *node)
{
	size_t which;
	int status = 0;
	int err;

	if (node->handle_count == 0)
		return segment_yield(&node->segment);
	which = (size_t)prng_below(&node->prng, node->handle_count);
	if (prng_once_in(&node->prng, 8))
		rota_task_cancel(node->handles[which], "mix");
	err = segment_await(&node->segment, node->handles[which], &status);
	if (prng_once_in(&node->prng, 2)) {
		rota_task_release(node->handles[which]);
		node->handles[which] = node->handles[--node->handle_count];
	}
	return err;
}

static int step_read(struct node *node)
{
	uint64_t offset = prng_below(&node->prng, TEMPFILE_BYTES - 256);
	unsigned char buf[256];
	int n;

	if (node->mix->fd < 0)
		return segment_yield(&node->segment);
	segment_leave(&node->segment);
	n = rota_pread(node->mix->fd, buf, sizeof(buf), (off_t)offset);
	segment_back(&node->segment);
	STRESS_CHECK(node->mix->run, "read",
		n == -ECANCELED || (n > 0 && tempfile_matches(buf, (size_t)n, offset)),
		"a read gives %d (%s) or the wrong bytes", n, rota_status_name(n));
	return n < 0 ? n : 0;
}

static int gathered(void *arg)
{
	struct mix *mix = arg;
	struct segment segment;

	segment_start(&segment, mix->run);
	(void)segment_yield(&segment);
	segment_end(&segment);
	atomic_fetch_add_explicit(&mix->ran, 1, memory_order_relaxed);
	return 5;
}

static int step_gather(struct node *node)
{
	struct rota_call calls[3];
	size_t count = (size_t)prng_below(&node->prng, 3) + 1;
	uint64_t before = count;
	int status;

	for (size_t i = 0; i < count; i++)
		calls[i] = (struct rota_call){ .fn = gathered, .arg = node->mix };
	atomic_fetch_add_explicit(&node->mix->accepted, before, memory_order_relaxed);
	segment_leave(&node->segment);
	status = rota_gather(calls, count);
	segment_back(&node->segment);
	for (size_t i = 0; i < count; i++) {
		/* What could not be spawned any more in a cancelled group did not run. */
		if (calls[i].status == -ECANCELED)
			atomic_fetch_sub_explicit(&node->mix->accepted, 1, memory_order_relaxed);
		STRESS_CHECK(node->mix->run, "gather",
			calls[i].status == 5 || (calls[i].status == -ECANCELED && status < 0),
			"a gathered call has status %d, the whole %d", calls[i].status, status);
	}
	return status < 0 ? status : 0;
}

static int step(struct node *node)
{
	switch (prng_below(&node->prng, 24)) {
	case 0:
	case 1:
		return segment_yield(&node->segment);
	case 2:
	case 3:
		return segment_sleep(&node->segment, prng_ns(&node->prng, 60 * ROTA_MICROSECOND));
	case 4:
	case 5:
	case 6:
		return step_await(node);
	case 7:
		return segment_wait(&node->segment, &node->group);
	case 8:
	case 9:
		return step_read(node);
	case 10:
		return step_gather(node);
	case 11:
		return prng_once_in(&node->prng, 2) ? rota_fail(-EIO, "by chance") : 0;
	case 12:
		node->cancelled_own = prng_once_in(&node->prng, 3);
		if (node->cancelled_own)
			rota_group_cancel(&node->group, "by chance");
		return 0;
	case 13:
		stress_busy(node->mix->run, prng_ns(&node->prng, 5 * ROTA_MICROSECOND));
		return 0;
	default:
		return node->depth < DEPTH_MAX ? step_spawn(node) : 0;
	}
}

static void open_group(struct node *node)
{
	struct rota_group_options options = { 0 };

	if (prng_once_in(&node->prng, 4))
		options.limit = prng_below(&node->prng, 4) + 1;
	node->local = prng_once_in(&node->prng, 4);
	if (node->local)
		options.flags = ROTA_SPAWN_LOCAL;
	node->has_timeout = prng_once_in(&node->prng, 16);
	if (node->has_timeout)
		options.timeout_ns = prng_ns(&node->prng, 200 * ROTA_MICROSECOND) + 1;
	rota_group_open(&node->group, &options);
}

/* What the group's contract allows, seen from its owner. */
static void check_close(struct node *node, int own, int result)
{
	struct run *run = node->mix->run;
	uint64_t failed = atomic_load(&node->failed);

	STRESS_CHECK(run, "no-error-dropped", failed == 0 || result < 0,
		"%llu members failed and the close gives %d", (unsigned long long)failed, result);
	STRESS_CHECK(run, "close-result", own >= 0 || own == -ECANCELED || result == own,
		"the owner failed with %d, the close gives %d", own, result);
	STRESS_CHECK(run, "close-result", result != -ETIMEDOUT || node->has_timeout || failed > 0,
		"a group without a timeout closes with ETIMEDOUT");
	STRESS_CHECK(run, "close-result",
		result == 0 || result == -ECANCELED || result == -EIO || result == -ETIMEDOUT,
		"a close gives %d (%s)", result, rota_status_name(result));
	STRESS_CHECK(run, "close-result", result != -EIO || own == -EIO || failed > 0,
		"a close gives EIO and nobody failed");
}

static int node_run(void *arg)
{
	struct node_arg *node_arg = arg;
	struct node node = { .mix = node_arg->mix,
		.parent = node_arg->parent,
		.prng = prng_of(node_arg->seed, 13),
		.depth = node_arg->depth };
	uint64_t steps = prng_below(&node.prng, 14);
	int status = 0;
	int result;

	segment_start(&node.segment, node.mix->run);
	atomic_fetch_add_explicit(&node.mix->ran, 1, memory_order_relaxed);
	open_group(&node);
	for (; steps > 0 && status == 0; steps--)
		status = step(&node);
	result = segment_close(&node.segment, &node.group, status);
	check_close(&node, status, result);
	/* Some errors are handled here, the rest goes up; a cancel that was ours is not a member's
	 * concern. */
	if (result == -ECANCELED && node.cancelled_own)
		result = 0;
	if (result != -ECANCELED && prng_once_in(&node.prng, 2))
		result = 0;
	if (node.parent && result < 0 && result != -ECANCELED)
		atomic_fetch_add(&node.parent->failed, 1);
	segment_end(&node.segment);
	return result;
}

static int mix_main(void *arg)
{
	struct run *run = arg;
	struct mix mix = { .run = run };

	mix.fd = tempfile_open(run);
	STRESS_CHECK(run, "temporary-file", mix.fd >= 0, "a file in TMPDIR or /tmp: %s",
		rota_status_text(mix.fd));
	for (uint64_t tree = 0; stress_more(run, atomic_load(&mix.ran)); tree++) {
		struct node_arg root = { .mix = &mix, .seed = run->seed + tree };

		atomic_fetch_add(&mix.accepted, 1);
		(void)node_run(&root);
	}
	STRESS_CHECK(run, "exactly-once", atomic_load(&mix.accepted) == atomic_load(&mix.ran),
		"%llu tasks were accepted, %llu ran",
		(unsigned long long)atomic_load(&mix.accepted),
		(unsigned long long)atomic_load(&mix.ran));
	atomic_fetch_add(&run->tasks, atomic_load(&mix.ran));
	if (mix.fd >= 0)
		(void)rota_close(mix.fd);
	return 0;
}

static void run_mix(struct run *run)
{
	(void)stress_main_task(run, mix_main, run);
}

const struct scenario scenario_mix = {
	.name = "mix",
	.text = "a random tree of groups, sleeps, awaits, reads, failures and cancels",
	.run = run_mix,
	.quota = 50000,
};
