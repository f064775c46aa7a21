/* SPDX-License-Identifier: MIT */
/*
 * Random cancels, of tasks in every kind of wait and of whole groups, at random times, from several
 * loops. Each has one outcome, no byte is lost, the close always returns and says the right thing.
 */
#include "cancel.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/attr.h"
#include "scenarios.h"

/* How a round ends. */
enum ending {
	END_GROUP_CANCEL, /* rota_group_cancel(): the close gives 0 */
	END_CLOSE_CANCELED,
	END_CLOSE_ERROR,
	END_TIMEOUT, /* of the group */
	END_MEMBER,  /* a member fails */
	ENDINGS,
};

struct canceller {
	struct cancel_round *round;
	uint64_t seed;
};

static const char junk[64];

static void write_some(struct cancel_round *round, struct prng *prng)
{
	ssize_t n;

	if (round->run->sim)
		return;
	n = write(round->pipe[1], junk, prng_below(prng, sizeof(junk)) + 1);
	if (n > 0)
		atomic_fetch_add(&round->bytes_written, (uint64_t)n);
}

/* Cancels members that it picks, some twice, and feeds the readers. */
static int canceller_run(void *arg)
{
	struct canceller *canceller = arg;
	struct cancel_round *round = canceller->round;
	struct prng prng = prng_of(canceller->seed, 6);
	uint64_t actions = prng_below(&prng, 2 * MEMBERS);

	for (; actions > 0; actions--) {
		struct member *member = &round->members[prng_below(&prng, MEMBERS)];

		if (prng_once_in(&prng, 3)) {
			write_some(round, &prng);
		} else if (round->group && prng_once_in(&prng, 20)) {
			rota_group_cancel(round->group, "chosen by the stress test");
		} else {
			atomic_store(&member->asked, true);
			rota_task_cancel(member->task, "chosen by the stress test");
		}
		if (prng_once_in(&prng, 2))
			stress_busy(round->run, prng_ns(&prng, 10 * ROTA_MICROSECOND));
		else
			(void)rota_sleep(prng_ns(&prng, 40 * ROTA_MICROSECOND));
	}
	return 0;
}

static enum member_kind any_kind(const struct run *run, struct prng *prng)
{
	enum member_kind kind = (enum member_kind)prng_below(prng, MEMBER_KINDS);

	if (kind == MEMBER_FAIL || (run->sim && kind == MEMBER_READ))
		return MEMBER_FOREVER;
	return kind;
}

static int spawn_members(
	struct cancel_round *round, struct rota_group *group, enum ending ending, struct prng *prng)
{
	uint64_t failing = prng_below(prng, MEMBERS - 1) + 1;
	int first_err = 0;

	for (uint64_t i = 0; i < MEMBERS; i++) {
		struct member *member = &round->members[i];
		struct rota_spawn_options options = stress_on_loop(prng_loop(prng));
		int err;

		if (prng_once_in(prng, 2))
			options = (struct rota_spawn_options){ 0 };
		member->round = round;
		member->seed = prng_next(prng);
		member->kind = i == 0 ? MEMBER_FOREVER : any_kind(round->run, prng);
		if (ending == END_MEMBER && i == failing)
			member->kind = MEMBER_FAIL;
		err = rota_group_spawn_with(
			group, cancel_member_run, member, &member->task, &options);
		STRESS_CHECK(round->run, "spawn-works",
			!err || (err == -ECANCELED && atomic_load(&round->asked)),
			"a spawn gives %d (%s)", err, rota_status_name(err));
		STRESS_CHECK(round->run, "spawn-works", !err == !!member->task,
			"a spawn gives %d and a handle that does not match", err);
		first_err = first_err ? first_err : err;
	}
	return first_err;
}

static int finish(struct cancel_round *round, struct rota_group *group, enum ending ending)
{
	if (ending == END_GROUP_CANCEL) {
		atomic_store(&round->asked, true);
		rota_group_cancel(group, "the end of the round");
		return rota_group_close(group, 0);
	}
	if (ending == END_TIMEOUT || ending == END_MEMBER)
		return rota_group_close(group, 0);
	atomic_store(&round->asked, true);
	return rota_group_close(group, ending == END_CLOSE_ERROR ? -EIO : -ECANCELED);
}

/* A round that was itself cancelled, or had a spawn refused, may also close with -ECANCELED. */
static void check_result(
	struct cancel_round *round, enum ending ending, bool outside, int spawn_err, int status)
{
	static const int expected[] = { 0, -ECANCELED, -EIO, -ETIMEDOUT, -EPROTO };
	bool right = status == expected[ending];

	/* The owner's own error is the result, whatever else happened. */
	if (ending != END_CLOSE_ERROR && (outside || spawn_err))
		right = right || status == -ECANCELED;
	/* All members may have ended before it could strike. */
	if (ending == END_TIMEOUT)
		right = right || status == 0;
	STRESS_CHECK(round->run, "close-result", right,
		"a group with ending %d closes with %d (%s), expected %d%s", (int)ending, status,
		rota_status_name(status), expected[ending], outside ? " or -ECANCELED" : "");
}

static void check_members(struct cancel_round *round)
{
	for (size_t i = 0; i < MEMBERS; i++) {
		const struct member *member = &round->members[i];
		uint32_t ends = atomic_load(&member->ends);

		STRESS_CHECK(round->run, "exactly-once", ends == (member->task ? 1 : 0),
			"a member of kind %d ended %u times", (int)member->kind, ends);
	}
}

/* What was written and not read is still there: a cancel that lost has kept its bytes. */
static void check_bytes(struct cancel_round *round)
{
	uint64_t left = 0;
	char buffer[4096];
	ssize_t n;

	if (round->run->sim)
		return;
	(void)rota_close(round->pipe[1]);
	while ((n = read(round->pipe[0], buffer, sizeof(buffer))) > 0)
		left += (uint64_t)n;
	(void)rota_close(round->pipe[0]);
	STRESS_CHECK(round->run, "no-byte-lost",
		atomic_load(&round->bytes_read) + left == atomic_load(&round->bytes_written),
		"%llu bytes were written, %llu read, %llu left",
		(unsigned long long)atomic_load(&round->bytes_written),
		(unsigned long long)atomic_load(&round->bytes_read), (unsigned long long)left);
}

static int round_run(void *arg)
{
	struct cancel_round *round = arg;
	struct prng prng = prng_of(round->run->seed, round->number);
	enum ending ending = (enum ending)prng_below(&prng, ENDINGS);
	struct rota_group_options options = { 0 };
	bool outside = atomic_load(&round->asked);
	struct canceller cancellers[2];
	struct rota_group members;
	struct rota_group helpers;
	uint64_t count;
	int spawn_err;
	int status;

	if (!round->run->sim && pipe2(round->pipe, O_CLOEXEC) < 0)
		abort();
	if (ending == END_TIMEOUT)
		options.timeout_ns = prng_ns(&prng, 300 * ROTA_MICROSECOND) + 1;
	if (ending == END_GROUP_CANCEL && prng_once_in(&prng, 2))
		round->group = &members;
	if (ending == END_TIMEOUT || ending == END_MEMBER || round->group)
		atomic_store(&round->asked, true);
	rota_group_open(&members, &options);
	spawn_err = spawn_members(round, &members, ending, &prng);
	/* Opened later, closed earlier: they hold handles of the members. */
	rota_group_open(&helpers, NULL);
	count = prng_below(&prng, 2) + 1;
	for (uint64_t i = 0; i < count; i++) {
		cancellers[i] = (struct canceller){ .round = round, .seed = prng_next(&prng) };
		(void)rota_group_spawn(&helpers, canceller_run, &cancellers[i]);
	}
	status = rota_group_close(&helpers, 0);
	STRESS_CHECK(round->run, "close-result", status == 0 || status == -ECANCELED,
		"the cancellers' group closes with %d", status);
	status = finish(round, &members, ending);
	check_result(round, ending, outside, spawn_err, status);
	check_members(round);
	check_bytes(round);
	return 0;
}

struct cancel_worker {
	struct run *run;
	uint64_t first;
	uint64_t step;
};

/* One round after the other; now and then cancels one from outside. */
static int worker(void *arg)
{
	struct cancel_worker *self = arg;
	struct cancel_round *round = stress_alloc(1, sizeof(*round));

	for (uint64_t i = self->first; stress_more(self->run, i); i += self->step) {
		struct prng prng = prng_of(self->run->seed, ~i);
		bool outside = prng_once_in(&prng, 3);
		struct rota_group group;
		int status = -1;

		memset(round, 0, sizeof(*round));
		round->run = self->run;
		round->number = i;
		/* Told before, so that the round knows what it may see. */
		atomic_store(&round->asked, outside);
		rota_group_open(&group, NULL);
		(void)rota_group_spawn_with(&group, round_run, round, &round->self, NULL);
		if (outside) {
			(void)rota_sleep(prng_ns(&prng, 300 * ROTA_MICROSECOND));
			rota_task_cancel(round->self, "from outside");
		}
		STRESS_CHECK(self->run, "await",
			rota_task_await(round->self, &status) == 0 && status == 0,
			"a round ends with %d", status);
		STRESS_CHECK(self->run, "close-result", rota_group_close(&group, 0) == 0,
			"a round's group does not close with 0");
	}
	free(round);
	return 0;
}

static int cancel_main(void *arg)
{
	struct run *run = arg;
	uint64_t count = 2 * rota_loop_count();
	unsigned int fds = stress_fd_count();
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (uint64_t i = 0; i < count; i++) {
		struct cancel_worker self = { .run = run, .first = i, .step = count };

		(void)rota_group_spawn_copy(&group, worker, &self, sizeof(self));
	}
	STRESS_CHECK(run, "close-result", rota_group_close(&group, 0) == 0,
		"the workers' group does not close with 0");
	/* TSAN opens a pipe to its symbolizer with its first report. */
	STRESS_CHECK(run, "nothing-leaks", run->sim || ROTA__TSAN || stress_fd_count() == fds,
		"%u descriptors became %u", fds, stress_fd_count());
	return 0;
}

static void run_cancel(struct run *run)
{
	(void)stress_main_task(run, cancel_main, run);
}

const struct scenario scenario_cancel = {
	.name = "cancel",
	.text = "random cancels of tasks and groups: one outcome each, nothing lost or left",
	.run = run_cancel,
	.quota = 5000,
	.flags = STRESS_ROUNDS,
};
