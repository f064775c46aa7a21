/* SPDX-License-Identifier: MIT */
/*
 * Enumerates the orders of a script's accesses: depth first over lists of choices, each execution
 * run anew from the start, along the known prefix and then with the first allowed option.
 *
 * What is a choice: which thread's access or which buffered store comes next. A store into the own
 * buffer, a fence on an empty buffer and taking a token that is there commute with everything that
 * others do: they are done at once, which loses no behaviour.
 *
 * What is left out: an execution ends when it reaches a state from which as much or more was
 * explored before. A state is: the script's memory, the buffers, the tokens, what each thread has
 * read (of which its locals and its place are a function), and under a bound the preemptions left
 * and who ran last. It is kept as a 64-bit hash: a collision among 10^7 states, which could hide
 * something, has a chance of about 10^-6.
 *
 * A preemption is a switch away from a thread that could go on. Making a store visible is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

struct engine engine;

/* Where a violation in setup, at_end or before the first switch goes. */
static jmp_buf execution_failed;

static _Alignas(16) unsigned char stacks[MODEL_THREADS_MAX][STACK_SIZE];

/* The states explored from: an open table, 0 is free; beside each, the preemptions it had left. */
static struct {
	uint64_t *key;
	uint8_t *left;
	size_t size; /* a power of two */
	size_t used;
} known;

/* An option of a choice: a thread's access, or a store of its buffer made visible. */
struct option {
	struct thread *thread;
	int entry; /* -1: the access */
};

#define OPTIONS_MAX (MODEL_THREADS_MAX * (BUFFER_MAX + 1))
_Static_assert(OPTIONS_MAX <= 64, "a choice's options are the bits of a word");

static uint64_t mix(uint64_t hash, uint64_t value)
{
	/* The sum keeps zero from being a fixed point. */
	hash = (hash ^ value) * 0x9e3779b97f4a7c15u + 0x632be59bd9b4e019u;
	return hash ^ hash >> 29;
}

static uint64_t hash_bytes(const void *data, size_t size)
{
	uint64_t lane[4] = { 1, 2, 3, 4 };
	const unsigned char *at = data;
	uint64_t word;

	for (size_t i = 0; i < size / sizeof(word); i++) {
		memcpy(&word, at + i * sizeof(word), sizeof(word));
		lane[i % 4] = mix(lane[i % 4], word);
	}
	return mix(mix(mix(lane[0], lane[1]), lane[2]), lane[3]);
}

static uint64_t hash_state(void)
{
	uint64_t hash = hash_bytes(engine.script->state, engine.script->state_size);

	for (unsigned int i = 0; i < engine.threads; i++) {
		const struct thread *thread = &engine.thread[i];

		hash = mix(hash, thread->history);
		hash = mix(hash, thread->token << 8 | thread->stores << 1 | thread->stale);
		for (unsigned int j = 0; j < thread->stores; j++) {
			const struct entry *e = &thread->buffer[j];

			hash = mix(hash,
				(uintptr_t)e->cell << 2 | (unsigned int)e->ordered << 1 | e->locks);
			hash = mix(hash, e->value);
		}
	}
	if (engine.left != NO_BOUND)
		hash = mix(hash, (uint64_t)(engine.last - engine.thread));
	return hash ? hash : 1;
}

static void *allocate(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory) {
		fprintf(stderr, "model: no memory for %zu states\n", count);
		exit(2);
	}
	return memory;
}

static size_t known_find(uint64_t key)
{
	size_t i = (key ^ key >> 32) & (known.size - 1);

	while (known.key[i] && known.key[i] != key)
		i = (i + 1) & (known.size - 1);
	return i;
}

static void known_grow(void)
{
	size_t old_size = known.size;
	uint64_t *key = known.key;
	uint8_t *left = known.left;

	known.size = old_size ? 2 * old_size : 1u << 16;
	known.key = allocate(known.size, sizeof(*known.key));
	known.left = allocate(known.size, sizeof(*known.left));
	for (size_t i = 0; i < old_size; i++) {
		if (key[i]) {
			size_t at = known_find(key[i]);

			known.key[at] = key[i];
			known.left[at] = left[i];
		}
	}
	free(key);
	free(left);
}

/* Without model_forget() no state comes back: each access makes the thread's history longer. */
static void check_path_for(uint64_t key)
{
	for (unsigned int i = 0; i < engine.depth; i++)
		if (engine.path[i].key == key)
			model_fail("livelock: the state of choice %u again", i);
}

/* Whether this state was explored with as many preemptions left; from now on it is. */
static bool known_state(uint64_t key)
{
	size_t at;

	if (4 * known.used >= 3 * known.size)
		known_grow();
	at = known_find(key);
	if (known.key[at] == key) {
		check_path_for(key);
		if (known.left[at] >= engine.left)
			return true;
	} else {
		known.key[at] = key;
		known.used++;
	}
	known.left[at] = (uint8_t)engine.left;
	return false;
}

static void known_clear(void)
{
	free(known.key);
	free(known.left);
	memset(&known, 0, sizeof(known));
	known_grow();
}

uint64_t explorer_states(void)
{
	return known.used;
}

void explorer_finish(void)
{
	free(known.key);
	free(known.left);
}

void explorer_remember(struct thread *thread, uint64_t value)
{
	thread->history = mix(thread->history, value);
}

/* Ends the execution from a thread, or fails it from anywhere: does not come back then. */
static void execution_end(enum outcome outcome)
{
	struct thread *self = engine.self;

	engine.outcome = outcome;
	engine.self = NULL;
	if (self)
		coro_switch(&self->coro, &engine.main);
	else if (outcome == OUTCOME_FAILED)
		longjmp(execution_failed, 1);
}

void model_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(engine.failure, sizeof(engine.failure), format, args);
	va_end(args);
	execution_end(OUTCOME_FAILED);
	abort();
}

/*
 * The next choice among count options: along the path, or the first allowed one. key: the state it
 * is made in, or 0.
 */
static unsigned int decide(unsigned int count, uint64_t allowed, uint64_t key)
{
	struct choice *choice = &engine.path[engine.depth];

	if (count == 1)
		return 0;
	if (engine.depth == CHOICES_MAX)
		model_fail("livelock: no end after %d choices", CHOICES_MAX);
	if (engine.depth++ < engine.length)
		return choice->taken;
	choice->allowed = allowed;
	choice->key = key;
	choice->taken = (uint8_t)__builtin_ctzll(allowed);
	engine.length = engine.depth;
	return choice->taken;
}

unsigned int model_choose(unsigned int n)
{
	unsigned int taken = decide(n, ((uint64_t)1 << n) - 1, 0);

	explorer_remember(engine.self, taken);
	return taken;
}

void model_observe(uint64_t value)
{
	if (engine.self)
		explorer_remember(engine.self, value);
}

void model_forget(uint64_t all)
{
	engine.self->history = 0;
	explorer_remember(engine.self, all);
}

bool model_asleep(unsigned int thread)
{
	return engine.thread[thread].op.kind == OP_WAIT && engine.thread[thread].token == 0;
}

bool model_mutant(const char *name)
{
	return engine.mutant && strcmp(engine.mutant, name) == 0;
}

static unsigned int options_of(struct thread *thread, struct option *options, unsigned int count)
{
	for (unsigned int i = 0; i < thread->stores; i++)
		if (memory_flushable(thread, i))
			options[count++] = (struct option){ thread, (int)i };
	if (memory_ready(thread))
		options[count++] = (struct option){ thread, -1 };
	return count;
}

/* All that can happen next; that of the thread which ran last comes first. */
static unsigned int options_all(struct option *options)
{
	unsigned int count = 0;

	if (engine.last)
		count = options_of(engine.last, options, count);
	for (unsigned int i = 0; i < engine.threads; i++)
		if (&engine.thread[i] != engine.last)
			count = options_of(&engine.thread[i], options, count);
	return count;
}

/* Whether a switch away from the thread which ran last is a preemption. */
static bool last_could_go_on(void)
{
	const struct thread *last = engine.last;

	if (!last)
		return false;
	return memory_ready(last) ||
	       (last->op.kind != OP_WAIT && last->op.kind != OP_RELAX && last->op.kind != OP_END);
}

static uint64_t options_allowed(
	const struct option *options, unsigned int count, bool preempts_others)
{
	uint64_t allowed = 0;

	for (unsigned int i = 0; i < count; i++)
		if (options[i].entry >= 0 || options[i].thread == engine.last || !preempts_others ||
			engine.left != 0)
			allowed |= (uint64_t)1 << i;
	return allowed;
}

/*
 * Chooses until a thread's access is chosen, and returns that thread; NULL, with engine.outcome
 * set, when it is over.
 */
static struct thread *next_thread(void)
{
	for (;;) {
		struct option options[OPTIONS_MAX];
		unsigned int count = options_all(options);
		bool preempts = last_could_go_on();
		struct option *option;
		uint64_t key = 0;
		uint64_t allowed;

		if (++engine.steps > STEPS_MAX)
			model_fail("livelock: no end after %d steps", STEPS_MAX);
		if (count == 0) {
			engine.outcome = OUTCOME_QUIET;
			return NULL;
		}
		allowed = options_allowed(options, count, preempts);
		if (count > 1 && (engine.depth >= engine.length || engine.replaying))
			key = hash_state();
		if (key && !engine.replaying && known_state(key)) {
			engine.outcome = OUTCOME_KNOWN;
			return NULL;
		}
		if (key && engine.replaying) {
			check_path_for(key);
			engine.path[engine.depth].key = key;
		}
		option = &options[decide(count, allowed, key)];
		if (option->entry >= 0) {
			memory_flush(option->thread, (unsigned int)option->entry);
			continue;
		}
		if (preempts && option->thread != engine.last) {
			engine.preemptions++;
			if (engine.left != NO_BOUND)
				engine.left--;
		}
		return option->thread;
	}
}

void explorer_schedule(void)
{
	struct thread *self = engine.self;
	struct thread *next;

	/* Commutes with all that others do: no choice. See above. */
	if (self && engine.last && (self->op.kind == OP_FENCE || self->op.kind == OP_WAIT) &&
		memory_ready(self))
		return;
	if (self && !engine.last) {
		/* The start: each thread runs up to its first access. */
		engine.self = NULL;
		coro_switch(&self->coro, &engine.main);
		return;
	}
	next = next_thread();
	if (!next) {
		execution_end(engine.outcome);
		return;
	}
	engine.last = next;
	if (next == self)
		return;
	engine.self = next;
	coro_switch(self ? &self->coro : &engine.main, &next->coro);
}

static void thread_main(void)
{
	struct thread *self = engine.self;

	self->spec->run((unsigned int)(self - engine.thread));
	self->op = (struct op){ .kind = OP_END };
	self->after_rmw = false;
	for (;;)
		explorer_schedule();
}

static void check_end(void)
{
	for (unsigned int i = 0; i < engine.threads; i++) {
		const struct thread *thread = &engine.thread[i];

		if (thread->op.kind == OP_END || (model_asleep(i) && thread->spec->may_sleep))
			continue;
		model_fail("deadlock: %s can never go on", thread->spec->name);
		return;
	}
	engine.last = NULL;
	engine.script->at_end();
}

/* One execution along engine.path. */
void explorer_execute(void)
{
	const struct model_script *script = engine.script;

	engine.depth = 0;
	engine.steps = 0;
	engine.lines = 0;
	engine.preemptions = 0;
	engine.outcome = OUTCOME_NONE;
	engine.last = NULL;
	engine.self = NULL;
	memset(script->state, 0, script->state_size);
	for (unsigned int i = 0; i < engine.threads; i++) {
		struct thread *thread = &engine.thread[i];

		thread->spec = &script->thread[i];
		thread->stores = 0;
		thread->after_rmw = false;
		thread->stale = false;
		thread->token = 0;
		thread->history = 0;
	}
	if (setjmp(execution_failed))
		return;
	if (script->setup)
		script->setup();
	for (unsigned int i = 0; i < engine.threads && engine.outcome == OUTCOME_NONE; i++) {
		struct thread *thread = &engine.thread[i];

		coro_init(&thread->coro, stacks[i], STACK_SIZE, thread_main);
		engine.self = thread;
		coro_switch(&engine.main, &thread->coro);
	}
	if (engine.outcome == OUTCOME_NONE)
		explorer_schedule();
	if (engine.outcome == OUTCOME_QUIET)
		check_end();
}

/* Turns the path to its next unexplored branch: false when there is none. */
static bool path_advance(void)
{
	while (engine.length > 0) {
		struct choice *choice = &engine.path[engine.length - 1];
		uint64_t rest = choice->allowed & ~(((uint64_t)2 << choice->taken) - 1);

		if (rest) {
			choice->taken = (uint8_t)__builtin_ctzll(rest);
			return true;
		}
		engine.length--;
	}
	return false;
}

bool explorer_run(unsigned int bound, uint64_t *executions)
{
	known_clear();
	engine.length = 0;
	engine.replaying = false;
	do {
		engine.left = bound;
		explorer_execute();
		++*executions;
		if (engine.outcome == OUTCOME_FAILED)
			return false;
	} while (path_advance());
	return true;
}
