/* SPDX-License-Identifier: MIT */
/*
 * Children that die on purpose: of a stack overflow in a task named "deep", on several loops and
 * stack sizes; and for comparison one that goes deep and lives, one that dies of something else.
 */
#include "child.h"

#include "stress.h"

#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <signal.h>

#define FRAME_BYTES 512
#define ENDLESS	    (1u << 30)

struct child {
	const char *name;
	unsigned int depth;
	uint32_t loop;
	uint64_t stack_bytes;
	bool calls; /* every level calls into the C library: the overflow may be there */
};

static const struct child children[] = {
	{ .name = "overflow", .depth = ENDLESS },
	{ .name = "overflow-elsewhere", .depth = ENDLESS, .loop = 1 },
	{ .name = "overflow-small", .depth = ENDLESS, .loop = 1, .stack_bytes = 65536 },
	{ .name = "overflow-in-call", .depth = ENDLESS, .calls = true },
	/* Half of the 8 MiB class: far beyond the default size. */
	{ .name = "deep-lives", .depth = 4096, .loop = 1, .stack_bytes = 8u << 20 },
	{ .name = "null-pointer", .depth = 0 },
};

/* Not optimised into a loop: the result is used after the call, through memory. */
__attribute__((noinline)) static unsigned int dig(const struct child *child, unsigned int depth)
{
	volatile char frame[FRAME_BYTES];
	char text[32];

	frame[0] = (char)depth;
	frame[FRAME_BYTES - 1] = (char)depth;
	if (child->calls)
		snprintf(text, sizeof(text), "%u %g", depth, (double)depth / 3.0);
	if (depth == 0)
		return 0;
	return dig(child, depth - 1) + (unsigned int)(unsigned char)frame[FRAME_BYTES - 1] + 1;
}

static int deep(void *arg)
{
	const struct child *child = arg;
	volatile int *volatile nowhere = NULL;

	if (child->depth == 0)
		*nowhere = 1;
	return dig(child, child->depth) > 0 ? 0 : -EIO;
}

static int sleeping(void *arg)
{
	(void)arg;
	return rota_sleep(10 * ROTA_SECOND);
}

/* Some suspended company, so that there is another task that could be blamed. */
static int child_task(void *arg)
{
	const struct child *child = arg;
	struct rota_spawn_options options = stress_on_loop(child->loop);
	struct rota_group others;
	struct rota_group group;
	int status;

	options.stack_bytes = child->stack_bytes;
	options.name = "deep";
	rota_group_open(&others, NULL);
	for (int i = 0; i < 4; i++)
		(void)rota_group_spawn(&others, sleeping, NULL);
	(void)rota_yield();
	rota_group_open(&group, NULL);
	(void)rota_group_spawn_with(&group, deep, (void *)child, NULL, &options);
	status = rota_group_close(&group, 0);
	rota_group_cancel(&others, "done");
	(void)!rota_group_close(&others, 0);
	return status;
}

int child_main(const char *name)
{
	struct rota_config config = { .loops = 2 };

	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < sizeof(children) / sizeof(children[0]); i++) {
		if (strcmp(children[i].name, name) == 0)
			return rota_run(child_task, (void *)&children[i], &config) == 0 ? 0 : 1;
	}
	return 2;
}
