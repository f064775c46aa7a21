/* SPDX-License-Identifier: MIT */
/*
 * Random trees of groups: all policies, limits, timeouts, graces, kept members; members that fail,
 * succeed, nap, are cancelled, or have groups of their own. Each close gives what its members and
 * its owner have caused, every member has ended by then, and nobody sees a cancel without a cause.
 */
#include "group.h"

#include "scenarios.h"

#define WORKERS_PER_LOOP 2
#define STEPS_MAX	 12
#define SUPERVISED	 (-EPROTO) /* only ever of members of supervising groups */

void tree_cause(struct tree *tree, int64_t when_ns)
{
	int64_t first = atomic_load(&tree->first_cause_ns);

	while (when_ns < first &&
		!atomic_compare_exchange_weak(&tree->first_cause_ns, &first, when_ns))
		;
}

static int node_run(struct tree *tree, uint64_t seed, unsigned int depth);

/* Members. */

static int nap(struct member *member, struct prng *prng)
{
	struct tree *tree = member->node->tree;

	for (uint64_t slices = prng_below(prng, 4) + 1; slices > 0; slices--) {
		int err = rota_sleep(prng_ns(prng, 30 * ROTA_MICROSECOND));

		STRESS_CHECK(tree->run, "draining",
			!rota_draining() || atomic_load(&tree->has_grace),
			"a member drains, and no group in the tree has a grace");
		if (err)
			return err;
	}
	return member->planned;
}

static int do_job(struct member *member)
{
	struct node *node = member->node;
	struct prng prng = prng_of(member->seed, 51);

	switch (member->job) {
	case JOB_NAP:
		return nap(member, &prng);
	case JOB_FAIL:
		if (prng_once_in(&prng, 2))
			(void)nap(member, &prng);
		return member->planned;
	case JOB_ENDLESS:
		return rota_sleep(ROTA_FOREVER);
	case JOB_NODE:
		return node_run(node->tree, member->seed, node->depth + 1);
	default:
		return member->planned;
	}
}

static int member_run(void *arg)
{
	struct member *member = arg;
	struct node *node = member->node;
	struct tree *tree = node->tree;
	uint32_t policy = node->options.policy;
	int status = do_job(member);

	if (status == -ECANCELED) {
		int err = rota_yield();

		member->cancel_ns = rota_now();
		STRESS_CHECK(tree->run, "cancel-stays", err == -ECANCELED,
			"after a cancel a member's yield gives %d", err);
	}
	member->status = status;
	if (status < 0 || policy == ROTA_GROUP_FIRST_WINS)
		tree_cause(tree, rota_now());
	if (status == SUPERVISED)
		atomic_fetch_add(&tree->supervised, 1);
	atomic_fetch_add(&tree->tasks, 1);
	/* Nothing suspends from here on: in a group of one loop this is the order of the ends. */
	member->stamp = atomic_fetch_add(&tree->stamps, 1) + 1;
	atomic_fetch_add(&member->ends, 1);
	return status;
}

/* Steps of an owner. */

static enum job choose_job(struct node *node)
{
	enum job job = (enum job)prng_below(&node->prng, JOBS);

	if (job == JOB_NODE && node->depth >= DEPTH_MAX)
		return JOB_NAP;
	/* At a limit the owner would wait for its end. */
	if (job == JOB_ENDLESS && node->options.limit)
		return JOB_NAP;
	/* Else next to nothing would ever live longer than the first few. */
	if (job == JOB_FAIL && prng_once_in(&node->prng, 2))
		return JOB_OK;
	return job;
}

static int step_spawn(struct node *node)
{
	static const int failures[] = { -EIO, -EDOM, -ENOENT };
	struct rota_spawn_options options = { 0 };
	struct member *member;
	int err;

	if (node->count == MEMBERS_MAX)
		return 0;
	member = &node->members[node->count];
	member->node = node;
	member->seed = prng_next(&node->prng);
	member->job = choose_job(node);
	member->planned = (int)prng_below(&node->prng, 3);
	if (member->job == JOB_FAIL)
		member->planned = node->options.policy == ROTA_GROUP_SUPERVISE
					  ? SUPERVISED
					  : failures[prng_below(&node->prng, 3)];
	if (!(node->options.flags & ROTA_SPAWN_LOCAL) && prng_once_in(&node->prng, 2))
		options = stress_on_loop(prng_loop(&node->prng));
	err = rota_group_spawn_with(&node->group, member_run, member, &member->task, &options);
	STRESS_CHECK(node->tree->run, "spawn-works",
		err == 0 || (node->options.limit && err == -ECANCELED), "a spawn gives %d (%s)",
		err, rota_status_name(err));
	if (err && !node->spawn_error)
		node->spawn_error = err;
	if (!err) {
		node->count++;
		node->endless += member->job == JOB_ENDLESS;
	}
	return err;
}

static void cancel_member(struct node *node, struct member *member)
{
	tree_cause(node->tree, rota_now());
	atomic_store(&member->asked, true);
	rota_task_cancel(member->task, "chosen by its owner");
}

/* One that never ends by itself is cancelled first. */
static int step_await(struct node *node)
{
	struct member *member;
	int status = -4711;
	int err;

	if (node->count == 0)
		return 0;
	member = &node->members[prng_below(&node->prng, node->count)];
	if (member->job == JOB_ENDLESS || prng_once_in(&node->prng, 4))
		cancel_member(node, member);
	err = rota_task_await(member->task, &status);
	STRESS_CHECK(node->tree->run, "await",
		err == -ECANCELED || (err == 0 && status == member->status),
		"an await gives %d and the status %d", err, status);
	return err;
}

static int step_wait(struct node *node)
{
	int err;

	if (node->endless > 0 && !node->options.timeout_ns)
		return 0;
	err = rota_group_wait(&node->group);
	STRESS_CHECK(node->tree->run, "group-wait", err == 0 || err == -ECANCELED,
		"a wait for members gives %d", err);
	for (size_t i = 0; err == 0 && i < node->count; i++)
		STRESS_CHECK(node->tree->run, "group-wait",
			atomic_load(&node->members[i].ends) == 1,
			"after a wait for members one has ended %u times",
			atomic_load(&node->members[i].ends));
	return err;
}

static int step_next(struct node *node)
{
	struct rota_result result = { 0 };
	int n;

	if (!(node->options.flags & ROTA_GROUP_KEEP))
		return 0;
	if (node->endless > 0 && !node->options.timeout_ns)
		return 0;
	n = rota_group_next(&node->group, &result);
	node_check_next(node, n, &result);
	return n < 0 ? n : 0;
}

static void cancel_group(struct node *node)
{
	tree_cause(node->tree, rota_now());
	node->explicit = true;
	rota_group_cancel(&node->group, "chosen by its owner");
}

static int step(struct node *node)
{
	switch (prng_below(&node->prng, 20)) {
	case 0:
		return rota_yield();
	case 1:
	case 2:
		return rota_sleep(prng_ns(&node->prng, 40 * ROTA_MICROSECOND));
	case 3:
		stress_busy(node->tree->run, prng_ns(&node->prng, 10 * ROTA_MICROSECOND));
		return 0;
	case 4:
	case 5:
		return step_await(node);
	case 6:
		return step_wait(node);
	case 7:
	case 8:
	case 9:
		return step_next(node);
	case 10:
		return calls_run(node);
	case 11:
		if (prng_once_in(&node->prng, 4))
			cancel_group(node);
		return 0;
	case 12:
		return prng_once_in(&node->prng, 4) ? -EEXIST : 0;
	default:
		return step_spawn(node);
	}
}

static void choose_options(struct node *node)
{
	struct rota_group_options *options = &node->options;
	struct prng *prng = &node->prng;

	options->policy = (uint32_t)prng_below(prng, 4);
	if (prng_once_in(prng, 3))
		options->flags |= ROTA_GROUP_KEEP;
	if (prng_once_in(prng, 4))
		options->flags |= ROTA_SPAWN_LOCAL;
	if (prng_once_in(prng, 5))
		options->limit = prng_below(prng, 3) + 1;
	if (prng_once_in(prng, 6))
		options->timeout_ns = prng_ns(prng, 150 * ROTA_MICROSECOND) + 1;
	if (prng_once_in(prng, 4)) {
		options->grace_ns = prng_ns(prng, 100 * ROTA_MICROSECOND) + 1;
		if (prng_once_in(prng, 8))
			options->grace_ns = ROTA_FOREVER;
		atomic_store(&node->tree->has_grace, true);
	}
}

static void open_group(struct node *node)
{
	choose_options(node);
	node->cancelled_before = rota_cancelled() != 0;
	node->opened_ns = rota_now();
	if (node->options.timeout_ns)
		tree_cause(node->tree, node->opened_ns + node->options.timeout_ns);
	rota_group_open(&node->group, &node->options);
}

/* What is endless has to be cancelled by somebody, also if a grace is for ever. */
static int close_group(struct node *node, int own)
{
	if (node->endless > 0 && !node->options.timeout_ns && !node->explicit)
		cancel_group(node);
	if (own < 0)
		tree_cause(node->tree, rota_now());
	return rota_group_close(&node->group, own);
}

static int node_run(struct tree *tree, uint64_t seed, unsigned int depth)
{
	struct node node = { .tree = tree, .prng = prng_of(seed, 52), .depth = depth };
	struct prng prng = prng_of(seed, 53);
	int own = 0;
	int result;

	open_group(&node);
	for (uint64_t steps = prng_below(&prng, STEPS_MAX); steps > 0 && own == 0; steps--)
		own = step(&node);
	if (own == 0 && prng_once_in(&prng, 4))
		own = 7;
	result = close_group(&node, own);
	node_check_close(&node, own, result);
	/* What was cancelled in here only is nobody else's concern. */
	if (result == -ECANCELED && rota_cancelled() == 0)
		return 0;
	/* Some errors are handled. */
	if (result < 0 && result != -ECANCELED && prng_once_in(&prng, 2))
		return 0;
	return result;
}

/* The roots, and who cancels them. */

struct root {
	struct tree *tree;
	uint64_t seed;
};

static int root_run(void *arg)
{
	struct root *root = arg;

	atomic_fetch_add(&root->tree->tasks, 1);
	return node_run(root->tree, root->seed, 0);
}

static void grow_tree(struct tree *tree, uint64_t seed)
{
	struct prng prng = prng_of(seed, 54);
	struct rota_spawn_options options = stress_on_loop(prng_loop(&prng));
	struct root root = { .tree = tree, .seed = prng_next(&prng) };
	/* A root that fails must not cut the await short. */
	struct rota_group_options collect = { .policy = ROTA_GROUP_COLLECT };
	int64_t timeout_ns = ROTA_FOREVER;
	struct rota_task *task = NULL;
	struct rota_scope scope;
	struct rota_group group;
	int err;

	atomic_store(&tree->first_cause_ns, INT64_MAX);
	if (prng_once_in(&prng, 4)) {
		timeout_ns = prng_ns(&prng, 300 * ROTA_MICROSECOND);
		tree_cause(tree, rota_now() + timeout_ns);
	}
	rota_scope_open(&scope, timeout_ns);
	rota_group_open(&group, &collect);
	(void)rota_group_spawn_with(&group, root_run, &root, &task, &options);
	err = 0;
	if (prng_once_in(&prng, 3))
		err = rota_sleep(prng_ns(&prng, 200 * ROTA_MICROSECOND));
	if (prng_once_in(&prng, 3)) {
		tree_cause(tree, rota_now());
		rota_task_cancel(task, "from outside");
	} else if (prng_once_in(&prng, 4)) {
		tree_cause(tree, rota_now());
		rota_scope_cancel(&scope, "from around");
	}
	err = err ? err : rota_task_await(task, NULL);
	STRESS_CHECK(tree->run, "await",
		err == 0 || (err == -ECANCELED && rota_scope_cause(&scope)),
		"an await of a root gives %d", err);
	err = rota_group_close(&group, 0);
	err = rota_scope_close(&scope, err);
	STRESS_CHECK(tree->run, "cancel-has-cause", rota_cancelled() == 0,
		"a cancel outlives its scope");
}

struct worker {
	struct run *run;
	_Atomic(uint64_t) *supervised;
	uint64_t number;
};

static int worker_run(void *arg)
{
	struct worker *worker = arg;
	struct run *run = worker->run;

	for (uint64_t i = 0; stress_more(run, atomic_load(&run->tasks)); i++) {
		struct tree tree = { .run = run };

		grow_tree(&tree, run->seed + i * 1000003 + worker->number);
		atomic_fetch_add(&run->tasks, atomic_load(&tree.tasks));
		atomic_fetch_add(worker->supervised, atomic_load(&tree.supervised));
	}
	return 0;
}

struct hook {
	_Atomic(uint64_t) supervised; /* errors that it was told of */
};

static void on_error(void *arg, const struct rota_error *error)
{
	struct hook *hook = arg;

	if (error && error->status == SUPERVISED)
		atomic_fetch_add(&hook->supervised, 1);
}

static int group_main(void *arg)
{
	struct run *run = arg;
	struct hook *hook = run->hook_arg;
	uint64_t count = WORKERS_PER_LOOP * rota_loop_count();
	_Atomic(uint64_t) supervised = 0;
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (uint64_t i = 0; i < count; i++) {
		struct worker worker = { .run = run, .supervised = &supervised, .number = i };

		(void)rota_group_spawn_copy(&group, worker_run, &worker, sizeof(worker));
	}
	STRESS_CHECK(run, "close-result", rota_group_close(&group, 0) == 0,
		"the workers' group does not close with 0");
	STRESS_CHECK(run, "no-error-dropped",
		atomic_load(&supervised) == atomic_load(&hook->supervised),
		"%llu supervised members failed, the hook was told of %llu",
		(unsigned long long)atomic_load(&supervised),
		(unsigned long long)atomic_load(&hook->supervised));
	return 0;
}

static void run_group(struct run *run)
{
	struct hook hook = { 0 };

	run->on_error = on_error;
	run->hook_arg = &hook;
	(void)stress_main_task(run, group_main, run);
	run->on_error = NULL;
	run->hook_arg = NULL;
}

const struct scenario scenario_group = {
	.name = "group",
	.text = "trees of groups of all policies: results, cancels and members as the table says",
	.run = run_group,
	.quota = 50000,
};
