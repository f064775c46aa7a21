/* SPDX-License-Identifier: MIT */
/*
 * Random selects over channels, futures, events, ends of tasks and times, by tasks of all loops and
 * a plain thread, waiting or not, some of them cancelled: exactly one case is done, or none when it
 * says so. Items are accounted for one by one. What is ready is not overlooked.
 */
#include "crew.h"
#include "scenarios.h"
#include "victim.h"

#define CHANNELS  3
#define FUTURES	  4
#define SLEEPERS  4
#define SELECTORS 9 /* the last one a thread, if there are threads */
#define HUNTED	  5 /* the first ones; the others must not need a cancel to go on */
#define CASES_MAX 8
#define SELECTS	  50 /* of each selector */
#define ITEMS_MAX 65536
#define NO_ITEM	  UINT64_MAX
#define STATUS	  40 /* of future and sleeper 0 */

struct item {
	_Atomic(uint8_t) accepted;
	_Atomic(uint8_t) received;
};

struct sleeper {
	struct rota_task *task;
	int64_t ns;
	int status;
};

struct fair {
	struct run *run;
	uint64_t seed;
	struct rota_chan channels[CHANNELS];
	_Atomic(bool) closing; /* the last channel */
	_Atomic(bool) closed;
	struct rota_future futures[FUTURES];
	struct rota_event event;
	_Atomic(bool) event_was_set;
	struct sleeper sleepers[SLEEPERS];
	struct item items[ITEMS_MAX];
	_Atomic(uint64_t) item_count;
	struct victim victims[HUNTED];
	struct frames frames;
	struct crew crew;
	_Atomic(uint32_t) selecting;
	_Atomic(bool) over;
};

struct selector {
	struct fair *fair;
	struct victim *victim; /* NULL: nobody cancels it */
	uint64_t seed;
	bool thread;
};

/* One select and what it works on. */
struct attempt {
	struct fair *fair;
	struct rota_case cases[CASES_MAX];
	uint64_t items[CASES_MAX]; /* to send, or where one is received */
	size_t objects[CASES_MAX];
	size_t count;
	bool something; /* there is a case that is not NONE */
	bool ready;	/* one of them was ready before */
};

static uint64_t new_item(struct fair *fair)
{
	uint64_t item = atomic_fetch_add(&fair->item_count, 1);

	if (item >= ITEMS_MAX)
		abort();
	return item;
}

static void item_received(struct fair *fair, uint64_t item)
{
	bool known = item < ITEMS_MAX && item < atomic_load(&fair->item_count);

	STRESS_CHECK(fair->run, "conservation", known, "an item that nobody sent");
	if (known)
		STRESS_CHECK(fair->run, "conservation",
			atomic_fetch_add(&fair->items[item].received, 1) == 0,
			"an item is received twice");
}

/* Making cases. */

static void add_channel(struct attempt *attempt, size_t i, struct prng *prng, bool sends)
{
	struct fair *fair = attempt->fair;
	size_t which = (size_t)prng_below(prng, CHANNELS);

	attempt->objects[i] = which;
	attempt->ready = attempt->ready || (which == CHANNELS - 1 && atomic_load(&fair->closed));
	if (sends) {
		attempt->items[i] = new_item(fair);
		attempt->cases[i] = rota_case_send(&fair->channels[which], &attempt->items[i]);
	} else {
		attempt->cases[i] = rota_case_recv(&fair->channels[which], &attempt->items[i]);
	}
}

static void add_time(struct attempt *attempt, size_t i, struct prng *prng, bool may_be_endless)
{
	int64_t when_ns = rota_now() + prng_ns(prng, 60 * ROTA_MICROSECOND);

	if (prng_once_in(prng, 8)) {
		when_ns = rota_now();
		attempt->ready = true;
	} else if (may_be_endless && prng_once_in(prng, 4)) {
		when_ns = ROTA_FOREVER;
	}
	attempt->cases[i] = rota_case_time(when_ns);
}

static void add_case(struct attempt *attempt, size_t i, struct prng *prng, bool may_be_endless)
{
	struct fair *fair = attempt->fair;
	uint64_t kind = prng_below(prng, 8);
	struct rota_task *task;

	attempt->items[i] = NO_ITEM;
	attempt->something = attempt->something || kind != ROTA_CASE_NONE;
	switch (kind) {
	case ROTA_CASE_NONE:
		attempt->cases[i] = (struct rota_case){ 0 };
		break;
	case ROTA_CASE_TASK:
		attempt->objects[i] = (size_t)prng_below(prng, SLEEPERS);
		task = fair->sleepers[attempt->objects[i]].task;
		attempt->cases[i] = rota_case_task(task);
		attempt->ready = attempt->ready || rota_task_state(task) == ROTA_TASK_DONE;
		break;
	case ROTA_CASE_FUTURE:
		attempt->objects[i] = (size_t)prng_below(prng, FUTURES);
		attempt->cases[i] = rota_case_future(&fair->futures[attempt->objects[i]]);
		attempt->ready = attempt->ready ||
				 rota_future_poll(&fair->futures[attempt->objects[i]], NULL) == 0;
		break;
	case ROTA_CASE_EVENT:
		attempt->cases[i] = rota_case_event(&fair->event);
		break;
	case ROTA_CASE_TIME:
		add_time(attempt, i, prng, may_be_endless);
		break;
	default:
		add_channel(attempt, i, prng, kind == ROTA_CASE_SEND);
	}
}

/* What came of it. */

static void check_done_channel(struct attempt *attempt, size_t done)
{
	struct fair *fair = attempt->fair;
	const struct rota_case *one = &attempt->cases[done];
	bool sends = one->kind == ROTA_CASE_SEND;
	bool at_end = one->status == (sends ? -EPIPE : 0);

	if (at_end) {
		STRESS_CHECK(fair->run, "closed",
			attempt->objects[done] == CHANNELS - 1 && atomic_load(&fair->closing),
			"an open channel is said to be closed");
		return;
	}
	STRESS_CHECK(fair->run, "one-case", one->status == (sends ? 0 : 1),
		"a %s has the status %d", sends ? "send" : "receive", one->status);
	if (sends)
		atomic_store(&fair->items[attempt->items[done]].accepted, 1);
	else
		item_received(fair, attempt->items[done]);
}

static void check_done(struct attempt *attempt, size_t done)
{
	struct fair *fair = attempt->fair;
	const struct rota_case *one = &attempt->cases[done];
	size_t object = attempt->objects[done];
	int expected = 0;
	bool happened = true;

	switch (one->kind) {
	case ROTA_CASE_SEND:
	case ROTA_CASE_RECV:
		check_done_channel(attempt, done);
		return;
	case ROTA_CASE_TASK:
		happened = rota_task_state(fair->sleepers[object].task) == ROTA_TASK_DONE;
		expected = STATUS + (int)object;
		break;
	case ROTA_CASE_FUTURE:
		happened = rota_future_poll(&fair->futures[object], NULL) == 0;
		expected = STATUS + (int)object;
		break;
	case ROTA_CASE_EVENT:
		happened = atomic_load(&fair->event_was_set);
		break;
	case ROTA_CASE_TIME:
		happened = rota_now() >= one->when_ns;
		break;
	default:
		happened = false;
	}
	STRESS_CHECK(fair->run, "one-case", happened,
		"a case of kind %u is done and has not happened", one->kind);
	STRESS_CHECK(fair->run, "one-case", one->status == expected,
		"a case of kind %u has the status %d instead of %d", one->kind, one->status,
		expected);
}

static void check_attempt(struct attempt *attempt, int done, bool tried, bool hunted)
{
	struct run *run = attempt->fair->run;

	if (done >= 0 && done < (int)attempt->count) {
		check_done(attempt, (size_t)done);
	} else if (!attempt->something) {
		STRESS_CHECK(run, "one-case", done == -EINVAL || (hunted && done == -ECANCELED),
			"a select over nothing gives %d", done);
	} else {
		STRESS_CHECK(run, "one-case",
			(tried && done == -EAGAIN) || (!tried && hunted && done == -ECANCELED),
			"a select gives %d (%s)", done, rota_status_name(done));
		STRESS_CHECK(run, "overlooked", done != -EAGAIN || !attempt->ready,
			"a select finds nothing where something was ready");
	}
	for (int i = 0; i < (int)attempt->count; i++)
		STRESS_CHECK(run, "one-case",
			i == done || attempt->cases[i].kind != ROTA_CASE_RECV ||
				attempt->items[i] == NO_ITEM,
			"case %d was done and case %d has received", done, i);
}

static void select_once(struct selector *selector, struct prng *prng)
{
	struct fair *fair = selector->fair;
	struct attempt attempt = { .fair = fair, .count = (size_t)prng_below(prng, CASES_MAX) + 1 };
	bool tried = prng_once_in(prng, 3);
	int done;

	for (size_t i = 0; i < attempt.count; i++)
		add_case(&attempt, i, prng, selector->victim != NULL);
	if (selector->victim)
		victim_begin(selector->victim, prng);
	if (tried)
		done = rota_select_try(attempt.cases, attempt.count);
	else
		done = rota_select(attempt.cases, attempt.count);
	if (selector->victim)
		done = victim_end(selector->victim, "select", done);
	check_attempt(&attempt, done, tried, selector->victim != NULL);
	if (selector->thread || prng_once_in(prng, 4))
		stress_busy(fair->run, prng_ns(prng, 5 * ROTA_MICROSECOND));
	else
		(void)rota_yield();
}

static void select_many(struct selector *selector, uint64_t seed)
{
	struct prng prng = prng_of(seed, 34);

	frames_note(&selector->fair->frames);
	for (int i = 0; i < SELECTS; i++)
		select_once(selector, &prng);
	if (atomic_fetch_sub(&selector->fair->selecting, 1) == 1)
		atomic_store(&selector->fair->over, true);
}

static int selector_run(void *arg)
{
	struct selector *selector = arg;

	select_many(selector, selector->seed);
	return 0;
}

static void selector_thread(void *arg, uint64_t seed)
{
	struct selector *selector = arg;

	select_many(selector, seed);
}

/* The other side: feeds all of them until nobody selects any more. */

/* spare: an item that nobody took; NO_ITEM: there is none. */
static void feed_channel(struct fair *fair, struct prng *prng, uint64_t *spare)
{
	struct rota_chan *chan = &fair->channels[prng_below(prng, CHANNELS)];
	uint64_t item = NO_ITEM;

	if (prng_once_in(prng, 2)) {
		if (rota_chan_tryrecv(chan, &item) == 1)
			item_received(fair, item);
		return;
	}
	if (*spare == NO_ITEM)
		*spare = new_item(fair);
	if (rota_chan_trysend(chan, spare) == 0) {
		atomic_store(&fair->items[*spare].accepted, 1);
		*spare = NO_ITEM;
	}
}

static void feed(struct fair *fair, struct prng *prng, uint64_t *spare)
{
	int future;

	switch (prng_below(prng, 8)) {
	case 0:
		future = (int)prng_below(prng, FUTURES);
		if (prng_once_in(prng, 8))
			(void)rota_future_set(&fair->futures[future], STATUS + future);
		break;
	case 1:
		atomic_store(&fair->event_was_set, true);
		rota_event_set(&fair->event);
		break;
	case 2:
		rota_event_clear(&fair->event);
		break;
	case 3:
		if (!prng_once_in(prng, 40))
			break;
		atomic_store(&fair->closing, true);
		rota_chan_close(&fair->channels[CHANNELS - 1]);
		atomic_store(&fair->closed, true);
		break;
	default:
		feed_channel(fair, prng, spare);
	}
}

static int feeder_run(void *arg)
{
	struct fair *fair = arg;
	struct prng prng = prng_of(fair->seed, 35);
	uint64_t spare = NO_ITEM;

	while (!atomic_load(&fair->over)) {
		feed(fair, &prng, &spare);
		if (prng_once_in(&prng, 2))
			(void)rota_sleep(prng_ns(&prng, 10 * ROTA_MICROSECOND));
		else
			(void)rota_yield();
	}
	return 0;
}

static int sleeper_run(void *arg)
{
	const struct sleeper *sleeper = arg;

	(void)rota_sleep(sleeper->ns);
	return sleeper->status;
}

/* When several are ready each has its chance. */
static void check_chance(struct fair *fair)
{
	struct rota_future set = { 0 };
	struct rota_event event = { 0 };
	uint32_t chosen[3] = { 0 };

	rota_event_set(&event);
	(void)rota_future_set(&set, 0);
	for (int i = 0; i < 300; i++) {
		struct rota_case cases[3] = {
			rota_case_future(&set),
			rota_case_event(&event),
			rota_case_time(0),
		};
		int done = i % 2 ? rota_select_try(cases, 3) : rota_select(cases, 3);

		if (done < 0 || done > 2)
			stress_broken(fair->run, "one-case", "a ready select gives %d", done);
		else
			chosen[done]++;
	}
	for (int i = 0; i < 3; i++)
		STRESS_CHECK(fair->run, "fairness", chosen[i] >= 30,
			"of three ready cases number %d was done %u times in 300", i, chosen[i]);
}

static void check_items(struct fair *fair)
{
	static const size_t capacities[CHANNELS] = { 0, 2, 16 };
	uint64_t item;

	for (size_t i = 0; i < CHANNELS; i++) {
		size_t left = rota_chan_count(&fair->channels[i]);

		STRESS_CHECK(fair->run, "capacity", left <= capacities[i],
			"%zu items in a channel with room for %zu", left, capacities[i]);
		while (rota_chan_tryrecv(&fair->channels[i], &item) == 1)
			item_received(fair, item);
		frames_check(fair->run, &fair->frames, "channel", &fair->channels[i],
			sizeof(fair->channels[i]));
		STRESS_CHECK(fair->run, "finish", rota_chan_finish(&fair->channels[i]) == 0,
			"a channel that nobody uses is busy");
	}
	for (uint64_t i = 0; i < atomic_load(&fair->item_count); i++) {
		uint8_t accepted = atomic_load(&fair->items[i].accepted);
		uint8_t received = atomic_load(&fair->items[i].received);

		STRESS_CHECK(fair->run, "conservation", accepted == received,
			"an item was accepted %u times and received %u times", accepted, received);
	}
	frames_check(fair->run, &fair->frames, "event", &fair->event, sizeof(fair->event));
	frames_check(fair->run, &fair->frames, "future", fair->futures, sizeof(fair->futures));
}

static void open_objects(struct fair *fair, struct rota_group *sleepers, struct prng *prng)
{
	if (rota_chan_init(&fair->channels[0], sizeof(uint64_t), 0) != 0 ||
		rota_chan_init(&fair->channels[1], sizeof(uint64_t), 2) != 0 ||
		rota_chan_init(&fair->channels[2], sizeof(uint64_t), 16) != 0)
		abort();
	for (int i = 0; i < SLEEPERS; i++) {
		struct sleeper *sleeper = &fair->sleepers[i];
		struct rota_spawn_options options = stress_on_loop(prng_loop(prng));

		sleeper->ns = prng_ns(prng, 2 * ROTA_MILLISECOND);
		sleeper->status = STATUS + i;
		(void)rota_group_spawn_with(
			sleepers, sleeper_run, sleeper, &sleeper->task, &options);
	}
	for (size_t i = 0; i < HUNTED; i++)
		fair->victims[i].run = fair->run;
	atomic_store(&fair->selecting, SELECTORS);
}

static void spawn_selectors(
	struct fair *fair, struct selector *selectors, struct rota_group *group, struct prng *prng)
{
	for (size_t i = 0; i < SELECTORS; i++) {
		struct selector *selector = &selectors[i];
		struct rota_spawn_options options = stress_on_loop(prng_loop(prng));

		selector->fair = fair;
		selector->victim = i < HUNTED ? &fair->victims[i] : NULL;
		selector->seed = prng_next(prng);
		selector->thread = i == SELECTORS - 1 && !fair->run->sim;
		if (selector->thread)
			crew_add(fair->run, &fair->crew, selector_thread, selector, selector->seed);
		else
			(void)rota_group_spawn_with(group, selector_run, selector, NULL, &options);
	}
}

static void one_pass(struct fair *fair, uint64_t pass)
{
	struct prng prng = prng_of(fair->run->seed, pass);
	struct selector selectors[SELECTORS];
	struct rota_group sleepers;
	struct rota_group group;
	struct hunter hunter = {
		.run = fair->run, .victims = fair->victims, .count = HUNTED, .over = &fair->over
	};

	fair->seed = prng_next(&prng);
	hunter.seed = prng_next(&prng);
	check_chance(fair);
	rota_group_open(&sleepers, NULL);
	open_objects(fair, &sleepers, &prng);
	rota_group_open(&group, NULL);
	spawn_selectors(fair, selectors, &group, &prng);
	(void)rota_group_spawn(&group, feeder_run, fair);
	(void)rota_group_spawn(&group, hunter_run, &hunter);
	STRESS_CHECK(fair->run, "close-result", rota_group_close(&group, 0) == 0,
		"the selectors' group does not close with 0");
	crew_join(&fair->crew);
	STRESS_CHECK(fair->run, "close-result", rota_group_close(&sleepers, 0) == 0,
		"the sleepers' group does not close with 0");
	check_items(fair);
	atomic_fetch_add(&fair->run->tasks, SELECTORS * SELECTS);
}

static int select_main(void *arg)
{
	struct run *run = arg;
	struct fair *fair = stress_alloc(1, sizeof(*fair));
	uint64_t pass = 0;

	for (; stress_more(run, atomic_load(&run->tasks)); pass++) {
		memset(fair, 0, sizeof(*fair));
		fair->run = run;
		one_pass(fair, pass);
	}
	free(fair);
	return 0;
}

static void run_select(struct run *run)
{
	(void)stress_main_task(run, select_main, run);
}

const struct scenario scenario_select = {
	.name = "select",
	.text = "random selects over everything: exactly one case each, nothing ready overlooked",
	.run = run_select,
	.quota = 20000,
};
