/* SPDX-License-Identifier: MIT */
/*
 * Conservation of messages: many senders and receivers on all loops and on plain threads, channels
 * with and without room, sends and receives that are cancelled at random, a close at a random time.
 * What a send was accepted for is received exactly once or found in the buffer, in its sender's
 * order; and there are never more on the way than there is room for.
 */
#include "crew.h"
#include "scenarios.h"
#include "victim.h"

#define SENDERS	    6 /* the last one a thread, if there are threads */
#define RECEIVERS   5 /* likewise */
#define MESSAGES    400
#define PADDING_MAX 200

/* How an item begins; padding follows, which says the same again. */
struct message {
	uint32_t sender;
	uint32_t number;
};

struct post;

struct sender {
	struct post *post;
	uint32_t index;
	uint64_t seed;
	_Atomic(uint8_t) accepted[MESSAGES];
	_Atomic(uint8_t) received[MESSAGES];
};

struct receiver {
	struct post *post;
	uint64_t seed;
	int64_t last[SENDERS]; /* number of each sender's last message; -1: none */
};

/* One channel and who uses it. */
struct post {
	struct run *run;
	struct rota_chan chan;
	size_t capacity;
	size_t item_bytes;
	struct sender senders[SENDERS];
	struct receiver receivers[RECEIVERS];
	struct victim victims[SENDERS + RECEIVERS];
	struct frames frames;
	struct crew crew;
	_Atomic(bool) closed; /* a close has returned */
	_Atomic(bool) closing;
	_Atomic(uint32_t) busy; /* senders that have not ended */
	_Atomic(bool) over;	/* all have */
	_Atomic(uint64_t) sent;
	_Atomic(uint64_t) got;
};

static void fill(const struct post *post, unsigned char *item, uint32_t sender, uint32_t number)
{
	struct message message = { .sender = sender, .number = number };

	memset(item, (int)(number & 0xff), post->item_bytes);
	memcpy(item, &message, sizeof(message));
}

static bool is_whole(const struct post *post, const unsigned char *item, uint32_t number)
{
	for (size_t i = sizeof(struct message); i < post->item_bytes; i++)
		if (item[i] != (unsigned char)number)
			return false;
	return true;
}

/* The channel holds what it has room for; each receiver may have one that it has not said yet. */
static void check_room(struct post *post, uint64_t sent_before)
{
	size_t count = rota_chan_count(&post->chan);
	uint64_t got = atomic_load(&post->got);

	STRESS_CHECK(post->run, "capacity", count <= post->capacity,
		"%zu items in a channel with room for %zu", count, post->capacity);
	STRESS_CHECK(post->run, "capacity", sent_before <= got + post->capacity + RECEIVERS,
		"%llu were sent and %llu received, with room for %zu",
		(unsigned long long)sent_before, (unsigned long long)got, post->capacity);
}

/* One attempt: in a scope that may be struck, unless it is a thread's. */
static int try_send(struct sender *sender, const unsigned char *item, struct prng *prng, bool task)
{
	struct post *post = sender->post;
	struct victim *victim = &post->victims[sender->index];
	struct rota_case one = rota_case_send(&post->chan, item);
	int err;

	if (task)
		victim_begin(victim, prng);
	switch (prng_below(prng, 4)) {
	case 0:
		err = rota_chan_trysend(&post->chan, item);
		break;
	case 1:
		err = rota_select(&one, 1);
		err = err == 0 ? one.status : err;
		break;
	default:
		err = rota_chan_send(&post->chan, item);
	}
	return task ? victim_end(victim, "send", err) : err;
}

static void send_all(struct sender *sender, struct prng *prng, bool task)
{
	struct post *post = sender->post;
	unsigned char item[sizeof(struct message) + PADDING_MAX];
	bool over = false;

	for (uint32_t number = 0; number < MESSAGES && !over; number++) {
		bool closed = atomic_load(&post->closed);
		uint64_t sent;
		int err;

		fill(post, item, sender->index, number);
		err = try_send(sender, item, prng, task);
		STRESS_CHECK(post->run, "one-outcome",
			err == 0 || err == -EPIPE || err == -EAGAIN || (task && err == -ECANCELED),
			"a send gives %d (%s)", err, rota_status_name(err));
		STRESS_CHECK(post->run, "closed", !closed || err == -EPIPE || err == -ECANCELED,
			"a send into a closed channel gives %d", err);
		STRESS_CHECK(post->run, "closed", err != -EPIPE || atomic_load(&post->closing),
			"a send into an open channel gives EPIPE");
		over = err == -EPIPE;
		if (err == 0) {
			atomic_store(&sender->accepted[number], 1);
			sent = atomic_fetch_add(&post->sent, 1) + 1;
			check_room(post, sent);
		} else if (err == -EAGAIN && task && prng_once_in(prng, 4)) {
			(void)rota_yield();
		}
	}
}

static void take(struct receiver *receiver, const unsigned char *item)
{
	struct post *post = receiver->post;
	struct message message;
	uint8_t times;

	memcpy(&message, item, sizeof(message));
	atomic_fetch_add(&post->got, 1);
	if (message.sender >= SENDERS || message.number >= MESSAGES) {
		stress_broken(post->run, "conservation", "a message that nobody sent");
		return;
	}
	STRESS_CHECK(post->run, "conservation", is_whole(post, item, message.number),
		"a message is torn");
	times = atomic_fetch_add(&post->senders[message.sender].received[message.number], 1);
	STRESS_CHECK(post->run, "conservation", times == 0, "a message is received twice");
	STRESS_CHECK(post->run, "order", (int64_t)message.number > receiver->last[message.sender],
		"message %u of sender %u comes after %lld", message.number, message.sender,
		(long long)receiver->last[message.sender]);
	receiver->last[message.sender] = message.number;
}

static int try_recv(
	struct receiver *receiver, unsigned char *item, struct prng *prng, struct victim *victim)
{
	struct post *post = receiver->post;
	struct rota_case one = rota_case_recv(&post->chan, item);
	int n;

	if (victim)
		victim_begin(victim, prng);
	switch (prng_below(prng, 4)) {
	case 0:
		n = rota_chan_tryrecv(&post->chan, item);
		break;
	case 1:
		n = rota_select(&one, 1);
		n = n == 0 ? one.status : n;
		break;
	default:
		n = rota_chan_recv(&post->chan, item);
	}
	return victim ? victim_end(victim, "receive", n) : n;
}

static void receive_all(struct receiver *receiver, struct prng *prng, struct victim *victim)
{
	struct post *post = receiver->post;
	unsigned char item[sizeof(struct message) + PADDING_MAX];
	int n = 1;

	while (n != 0) {
		n = try_recv(receiver, item, prng, victim);
		STRESS_CHECK(post->run, "one-outcome",
			n == 1 || n == 0 || n == -EAGAIN || (victim && n == -ECANCELED),
			"a receive gives %d (%s)", n, rota_status_name(n));
		if (n == 1)
			take(receiver, item);
		if (n == -EAGAIN && victim)
			(void)rota_sleep(prng_ns(prng, 5 * ROTA_MICROSECOND));
		if (prng_once_in(prng, 16))
			stress_busy(post->run, prng_ns(prng, 10 * ROTA_MICROSECOND));
	}
	STRESS_CHECK(post->run, "closed", atomic_load(&post->closing),
		"a receive says that an open channel is at its end");
	n = rota_chan_tryrecv(&post->chan, item);
	STRESS_CHECK(post->run, "closed", n == 0, "after the end a receive gives %d", n);
}

static void close_channel(struct post *post)
{
	atomic_store(&post->closing, true);
	rota_chan_close(&post->chan);
	atomic_store(&post->closed, true);
}

/* The last sender ends it for the receivers. */
static void sender_done(struct post *post)
{
	if (atomic_fetch_sub(&post->busy, 1) == 1)
		close_channel(post);
}

static int sender_run(void *arg)
{
	struct sender *sender = arg;
	struct prng prng = prng_of(sender->seed, 31);

	frames_note(&sender->post->frames);
	send_all(sender, &prng, true);
	sender_done(sender->post);
	return 0;
}

static void sender_thread(void *arg, uint64_t seed)
{
	struct sender *sender = arg;
	struct prng prng = prng_of(seed, 31);

	frames_note(&sender->post->frames);
	send_all(sender, &prng, false);
	sender_done(sender->post);
}

static int receiver_run(void *arg)
{
	struct receiver *receiver = arg;
	struct post *post = receiver->post;
	struct prng prng = prng_of(receiver->seed, 32);

	frames_note(&post->frames);
	receive_all(receiver, &prng, &post->victims[SENDERS + (receiver - post->receivers)]);
	return 0;
}

static void receiver_thread(void *arg, uint64_t seed)
{
	struct receiver *receiver = arg;
	struct prng prng = prng_of(seed, 32);

	frames_note(&receiver->post->frames);
	receive_all(receiver, &prng, NULL);
}

/* Closes it while they send, in some passes. */
static int closer_run(void *arg)
{
	struct post *post = arg;
	struct prng prng = prng_of(post->senders[0].seed, 33);

	(void)rota_sleep(prng_ns(&prng, 2 * ROTA_MILLISECOND));
	close_channel(post);
	return 0;
}

static void spawn_all(struct post *post, struct rota_group *group, struct prng *prng)
{
	uint32_t threads = post->run->sim ? 0 : 1;

	for (uint32_t i = 0; i < SENDERS; i++) {
		struct sender *sender = &post->senders[i];
		struct rota_spawn_options options = stress_on_loop(prng_loop(prng));

		sender->post = post;
		sender->index = i;
		sender->seed = prng_next(prng);
		if (i < SENDERS - threads)
			(void)rota_group_spawn_with(group, sender_run, sender, NULL, &options);
		else
			crew_add(post->run, &post->crew, sender_thread, sender, sender->seed);
	}
	for (uint32_t i = 0; i < RECEIVERS; i++) {
		struct receiver *receiver = &post->receivers[i];
		struct rota_spawn_options options = stress_on_loop(prng_loop(prng));

		receiver->post = post;
		receiver->seed = prng_next(prng);
		for (size_t k = 0; k < SENDERS; k++)
			receiver->last[k] = -1;
		if (i < RECEIVERS - threads)
			(void)rota_group_spawn_with(group, receiver_run, receiver, NULL, &options);
		else
			crew_add(post->run, &post->crew, receiver_thread, receiver, receiver->seed);
	}
	if (prng_once_in(prng, 2))
		(void)rota_group_spawn(group, closer_run, post);
}

static void check_post(struct post *post)
{
	unsigned char item[sizeof(struct message) + PADDING_MAX];
	uint64_t count = 0;

	/* Receivers have taken all, or there is something left that nobody was told of. */
	STRESS_CHECK(post->run, "conservation", rota_chan_tryrecv(&post->chan, item) == 0,
		"receivers left with something in the channel");
	for (size_t i = 0; i < SENDERS; i++) {
		const struct sender *sender = &post->senders[i];

		for (size_t k = 0; k < MESSAGES; k++) {
			uint8_t accepted = atomic_load(&sender->accepted[k]);
			uint8_t received = atomic_load(&sender->received[k]);

			STRESS_CHECK(post->run, "conservation", accepted == received,
				"message %zu of sender %zu was accepted %u times, received %u", k,
				i, accepted, received);
			count += received;
		}
	}
	frames_check(post->run, &post->frames, "channel", &post->chan, sizeof(post->chan));
	STRESS_CHECK(post->run, "finish", rota_chan_finish(&post->chan) == 0,
		"a channel that nobody uses is busy");
	atomic_fetch_add(&post->run->tasks, count);
}

static void one_pass(struct post *post, uint64_t pass)
{
	static const size_t capacities[] = { 0, 1, 7, 64 };
	struct prng prng = prng_of(post->run->seed, pass);
	struct rota_group group;
	struct rota_group hunt;
	struct hunter hunter = { .run = post->run,
		.victims = post->victims,
		.count = SENDERS + RECEIVERS,
		.over = &post->over };

	post->capacity = capacities[prng_below(&prng, 4)];
	post->item_bytes = sizeof(struct message);
	if (prng_once_in(&prng, 2))
		post->item_bytes += prng_below(&prng, PADDING_MAX + 1);
	atomic_store(&post->busy, SENDERS);
	if (rota_chan_init(&post->chan, post->item_bytes, post->capacity) != 0)
		abort();
	for (size_t i = 0; i < SENDERS + RECEIVERS; i++)
		post->victims[i].run = post->run;
	hunter.seed = prng_next(&prng);
	rota_group_open(&hunt, NULL);
	rota_group_open(&group, NULL);
	spawn_all(post, &group, &prng);
	if (!prng_once_in(&prng, 4))
		(void)rota_group_spawn(&hunt, hunter_run, &hunter);
	STRESS_CHECK(post->run, "close-result", rota_group_close(&group, 0) == 0,
		"the group of senders and receivers does not close with 0");
	crew_join(&post->crew);
	atomic_store(&post->over, true);
	STRESS_CHECK(post->run, "close-result", rota_group_close(&hunt, 0) == 0,
		"the hunter's group does not close with 0");
	check_post(post);
}

static int channel_main(void *arg)
{
	struct run *run = arg;
	struct post *post = stress_alloc(1, sizeof(*post));
	uint64_t pass = 0;

	for (; stress_more(run, atomic_load(&run->tasks)); pass++) {
		memset(post, 0, sizeof(*post));
		post->run = run;
		one_pass(post, pass);
	}
	free(post);
	return 0;
}

static void run_channel(struct run *run)
{
	(void)stress_main_task(run, channel_main, run);
}

const struct scenario scenario_channel = {
	.name = "channel",
	.text = "messages of many senders to many receivers: none lost, doubled or overtaken",
	.run = run_channel,
	.quota = 20000,
};
