/* SPDX-License-Identifier: MIT */
/* What may come out of a group, given what its members, its owner and time have done. */
#include "group.h"

/* What has happened to a group, by the time it is closed. */
struct events {
	bool failed;  /* a member ended with an error */
	bool won;     /* a member ended well */
	bool timeout; /* it was due; it may have been too late to matter */
	bool outside; /* a cancel from around it is in force; this too */
	bool surely;  /* something that changes what the close gives, not only perhaps */
};

static struct events events_of(const struct node *node)
{
	uint32_t policy = node->options.policy;
	int64_t timeout_ns = node->options.timeout_ns;
	struct events events = { 0 };

	for (size_t i = 0; i < node->count; i++) {
		int status = node->members[i].status;

		events.failed = events.failed || (status < 0 && status != -ECANCELED);
		events.won = events.won || status >= 0;
	}
	events.timeout = timeout_ns && rota_now() - node->opened_ns >= timeout_ns;
	events.outside = rota_cancelled() != 0;
	events.surely = node->explicit || node->spawn_error || node->cancelled_before ||
			(events.failed && policy != ROTA_GROUP_SUPERVISE) ||
			(events.won && policy == ROTA_GROUP_FIRST_WINS);
	return events;
}

/* Whether a member's error may be the result. */
static bool is_members_error(const struct node *node, int result)
{
	const struct member *first = NULL;
	bool found = false;

	for (size_t i = 0; i < node->count; i++) {
		const struct member *member = &node->members[i];

		if (member->status >= 0 || member->status == -ECANCELED)
			continue;
		found = found || member->status == result;
		if (!first || member->stamp < first->stamp)
			first = member;
	}
	/* On one loop the first one is known. */
	if (node->options.flags & ROTA_SPAWN_LOCAL && node->options.policy != ROTA_GROUP_FIRST_WINS)
		return first && first->status == result;
	return found;
}

static bool is_allowed(const struct node *node, const struct events *events, int own, int result)
{
	uint32_t policy = node->options.policy;

	if (own < 0 && own != -ECANCELED)
		return result == own;
	/* What only may have happened may have come too late. */
	if (!events->surely && own >= 0 && result == own)
		return true;
	if (policy == ROTA_GROUP_FIRST_WINS && events->won && result == 0)
		return true;
	if (policy != ROTA_GROUP_SUPERVISE && is_members_error(node, result))
		return policy != ROTA_GROUP_FIRST_WINS || !events->won;
	if (events->timeout && result == -ETIMEDOUT)
		return true;
	if (events->outside && result == -ECANCELED)
		return true;
	if (node->explicit && result == (own < 0 ? own : 0))
		return true;
	/* Nobody won and nobody failed: there is no more than that. */
	if (policy == ROTA_GROUP_FIRST_WINS && !events->won && !events->failed && result == 0)
		return true;
	return node->spawn_error && result == node->spawn_error;
}

/* Why a member may have been cancelled, but for a cancel from outside. */
static bool has_own_cause(
	const struct node *node, const struct events *events, const struct member *member, int own)
{
	uint32_t policy = node->options.policy;

	if (atomic_load(&member->asked) || node->explicit || events->timeout || node->spawn_error)
		return true;
	if (own < 0 && (own != -ECANCELED || !node->options.grace_ns))
		return true;
	if (policy == ROTA_GROUP_FIRST_WINS && events->won)
		return true;
	return policy == ROTA_GROUP_FAIL_FAST && events->failed;
}

static void check_member(
	const struct node *node, const struct events *events, const struct member *member, int own)
{
	struct run *run = node->tree->run;
	int64_t grace_ns = node->options.grace_ns;
	int64_t first_ns = atomic_load(&node->tree->first_cause_ns);

	STRESS_CHECK(run, "exactly-once", atomic_load(&member->ends) == 1,
		"a member with job %d has ended %u times at the close", (int)member->job,
		atomic_load(&member->ends));
	STRESS_CHECK(run, "one-outcome",
		member->job == JOB_NODE || member->status == -ECANCELED ||
			(member->job != JOB_ENDLESS && member->status == member->planned),
		"a member with job %d ends with %d instead of %d", (int)member->job, member->status,
		member->planned);
	if (member->cancel_ns == 0 || has_own_cause(node, events, member, own))
		return;
	STRESS_CHECK(run, "cancel-has-cause", events->outside,
		"a member of a group with policy %u was cancelled without a cause",
		node->options.policy);
	STRESS_CHECK(run, "grace",
		grace_ns != ROTA_FOREVER && member->cancel_ns - first_ns >= grace_ns,
		"a member was cancelled %lld ns after the first cause, in a grace of %lld ns",
		(long long)(member->cancel_ns - first_ns), (long long)grace_ns);
}

void node_check_close(struct node *node, int own, int result)
{
	struct events events = events_of(node);
	struct run *run = node->tree->run;

	for (size_t i = 0; i < node->count; i++)
		check_member(node, &events, &node->members[i], own);
	STRESS_CHECK(run, "close-result", is_allowed(node, &events, own, result),
		"a group with policy %u closes with %d (%s) for %d; failed %d, won %d, timeout %d, "
		"outside %d, cancelled %d, spawn %d",
		node->options.policy, result, rota_status_name(result), own, events.failed,
		events.won, events.timeout, events.outside, node->explicit, node->spawn_error);
	STRESS_CHECK(run, "cancel-has-cause",
		!events.outside || !node->cancelled_before || rota_yield() == -ECANCELED,
		"a cancel from outside is gone after a close");
}

void node_check_next(struct node *node, int n, const struct rota_result *result)
{
	struct run *run = node->tree->run;
	struct member *member = result->arg;

	if (n == 0) {
		for (size_t i = 0; i < node->count; i++)
			STRESS_CHECK(run, "group-next", node->members[i].taken,
				"no member is left, and one was never given out");
		return;
	}
	if (n < 0) {
		STRESS_CHECK(run, "group-next", n == -ECANCELED, "rota_group_next() gives %d", n);
		return;
	}
	if (n != 1 || member < node->members || member >= node->members + node->count) {
		stress_broken(run, "group-next", "rota_group_next() gives %d and nobody known", n);
		return;
	}
	STRESS_CHECK(run, "group-next", !member->taken, "a member is given out twice");
	STRESS_CHECK(run, "group-next",
		result->status == member->status && result->task == member->task,
		"a member that ended with %d is given out with %d", member->status, result->status);
	STRESS_CHECK(run, "group-next",
		!(node->options.flags & ROTA_SPAWN_LOCAL) || member->stamp > node->last_stamp,
		"members of one loop are not given out in the order of their ends");
	member->taken = true;
	node->last_stamp = member->stamp;
}

/* Gathers and races. */

#define CALLS_MAX 4

struct small_call {
	uint64_t seed;
	int status; /* -ECANCELED: endless */
};

static int small_run(void *arg)
{
	struct small_call *call = arg;
	struct prng prng = prng_of(call->seed, 55);
	int err = 0;

	if (call->status == -ECANCELED)
		return rota_sleep(ROTA_FOREVER);
	if (prng_once_in(&prng, 2))
		err = rota_sleep(prng_ns(&prng, 30 * ROTA_MICROSECOND));
	return err ? err : call->status;
}

static void check_calls(
	struct run *run, const struct rota_call *calls, size_t count, bool race, int result)
{
	bool cancelled = rota_cancelled() != 0;
	bool won = false;
	bool failed = false;
	bool found = false;

	for (size_t i = 0; i < count; i++) {
		const struct small_call *call = calls[i].arg;
		int status = calls[i].status;

		STRESS_CHECK(run, "one-outcome", status == call->status || status == -ECANCELED,
			"a call that gives %d has the status %d", call->status, status);
		won = won || status >= 0;
		failed = failed || (status < 0 && status != -ECANCELED);
		found = found || (status < 0 && status == result);
	}
	if (race)
		STRESS_CHECK(run, "race",
			(result >= 0 && result < (int)count && calls[result].status >= 0) ||
				(found && !won) || (result == -ECANCELED && cancelled),
			"a race gives %d, some won: %d, cancelled: %d", result, won, cancelled);
	else
		STRESS_CHECK(run, "gather",
			(result == 0 && !failed) || (result != -ECANCELED && found) ||
				(result == -ECANCELED && cancelled),
			"a gather gives %d, some failed: %d, cancelled: %d", result, failed,
			cancelled);
}

int calls_run(struct node *node)
{
	struct prng *prng = &node->prng;
	size_t count = (size_t)prng_below(prng, CALLS_MAX) + 1;
	bool race = prng_once_in(prng, 2);
	struct small_call small[CALLS_MAX];
	struct rota_call calls[CALLS_MAX];
	int result;

	for (size_t i = 0; i < count; i++) {
		small[i] = (struct small_call){ .seed = prng_next(prng), .status = 3 };
		if (prng_once_in(prng, 3))
			small[i].status = -ERANGE;
		/* The first one ends by itself, but as a success only it ends a race. */
		if (race && i > 0 && small[0].status >= 0 && prng_once_in(prng, 3))
			small[i].status = -ECANCELED;
		calls[i] = (struct rota_call){ .fn = small_run, .arg = &small[i] };
	}
	result = race ? rota_race(calls, count) : rota_gather(calls, count);
	check_calls(node->tree->run, calls, count, race, result);
	return result == -ECANCELED ? result : 0;
}
