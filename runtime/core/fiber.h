/* SPDX-License-Identifier: MIT */
/*
 * Fibers: a stack and a saved context, given to a task when it first runs. The struct lies at the
 * top of its own stack, so that an idle task costs one page.
 */
#ifndef ROTA_CORE_FIBER_H
#define ROTA_CORE_FIBER_H

#include "os/context.h"

struct loop;
struct rota_task;
struct scope;
struct scope_ops;
struct wait;
struct rota_runtime;

#define STACK_CLASSES	    10 /* 16 KiB << class: 16 KiB .. 8 MiB */
#define STACK_CLASS_DEFAULT 4  /* 256 KiB */
#define STACK_BYTES_MIN	    (16u * 1024)

/* All of it belongs to the loop that runs the fiber's task. */
struct fiber {
	struct context context;
	struct loop *loop;
	struct rota_task *task;
	struct fiber *next;   /* in a cache */
	struct wait *wait;    /* what the suspended task waits for; NULL while it is runnable */
	struct scope *scopes; /* the innermost open one of the task, */
	const struct scope_ops *scope_ops; /* and what it is, for messages: its frame may */
	const char *scope_site;		   /* have been left, and it is not to be read then */
	int64_t since_ns;		   /* turn clock at the suspend */
	bool outside; /* the task was cancelled from outside; see core/scope.h */
	bool struck;  /* its suspending calls return -ECANCELED */
	uint32_t stack_class;
	char *low; /* the low end of the stack, its guard page included */
	unsigned int valgrind_id;
};

static inline size_t stack_class_bytes(unsigned int stack_class)
{
	return (size_t)STACK_BYTES_MIN << stack_class;
}

/* The smallest class that holds `bytes`; -EINVAL above 8 MiB. 0 bytes: the default. */
int rota__stack_class(uint64_t bytes);
/* The loop's cache has none of a class: one from the depot, or NULL and a message. */
struct fiber *rota__fiber_get_new(struct loop *loop, unsigned int stack_class);
/* The loop's cache is long: gives pages of it back. The newest one stays, it may be in use. */
void rota__fiber_spill(struct loop *loop, unsigned int stack_class);
#define FIBER_CACHE_MAX 256 /* in a loop's cache, of each class */
/* Gives all stacks of a runtime back; no loop runs any more. */
void rota__fibers_free(struct rota_runtime *rt);
/* Whether `address` is in the guard page of the fiber's stack. Signal handlers may ask. */
bool rota__fiber_guards(const struct fiber *fiber, const void *address);

/* Where every fiber begins (core/loop.c). */
void rota__fiber_main(void *fiber);

#endif
