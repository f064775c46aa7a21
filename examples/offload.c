/* SPDX-License-Identifier: MIT */
/*
 * Calls that block: a library that computes, one that sleeps. On a loop they would stop every task
 * of it; on the pool's threads they stop nobody. A deadline leaves behind what cannot be stopped:
 * the argument then has a new owner, who frees it when the call is over.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rota.h>

#define ARRAYS	6
#define NUMBERS 300000

static uint32_t numbers[ARRAYS][NUMBERS];

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Plain C that knows nothing of loops. */
static int sort(void *arg)
{
	const uint32_t *number = arg;

	qsort(arg, NUMBERS, sizeof(*number), compare);
	for (int i = 1; i < NUMBERS; i++)
		if (number[i - 1] > number[i])
			return -EBADMSG;
	return 0;
}

static int sort_aside(void *arg)
{
	return rota_offload(sort, arg);
}

/* Somebody else's work on the loops: a step each millisecond. */
static int tick(void *arg)
{
	int *ticks = arg;

	while (rota_sleep(ROTA_MILLISECOND) == 0)
		++*ticks;
	return 0;
}

/* A request to a slow service: it can be waited for, or forgotten. */
struct request {
	struct timespec takes;
	int answer;
};

static int ask(void *arg)
{
	struct request *request = arg;

	nanosleep(&request->takes, NULL);
	request->answer = 42;
	return 0;
}

/* The answer, or -ETIMEDOUT: then free() gets the request when ask() has come back. */
static int ask_within(int64_t timeout_ns, struct timespec takes)
{
	struct request *request = calloc(1, sizeof(*request));
	int status;

	if (!request)
		return -ENOMEM;
	request->takes = takes;
	status = ROTA_WITHIN(timeout_ns, rota_offload_abandonable(ask, request, free));
	if (status == -ETIMEDOUT || status == -ECANCELED)
		return status;
	if (!status)
		status = request->answer;
	free(request);
	return status;
}

static int app(int argc, char **argv)
{
	/* The simulation plays the calls one by one, and no time passes in them. */
	int simulated = !strncmp(rota_backend_name(), "sim", 3);
	struct rota_group tickers, sorters;
	int ticks = 0, sorted, quick, slow;

	(void)argc;
	(void)argv;
	rota_random(numbers, sizeof(numbers));
	rota_group_open(&tickers, NULL);
	rota_group_spawn(&tickers, tick, &ticks);
	rota_group_open(&sorters, NULL);
	for (int i = 0; i < ARRAYS; i++)
		rota_group_spawn(&sorters, sort_aside, numbers[i]);
	sorted = rota_group_close(&sorters, 0);
	rota_group_cancel(&tickers, NULL);
	sorted = rota_group_close(&tickers, sorted);
	printf("%d arrays sorted aside: %s; %d ticks meanwhile\n", ARRAYS,
		sorted ? rota_status_name(sorted) : "good", ticks);

	quick = ask_within(10 * ROTA_SECOND, (struct timespec){ .tv_nsec = 1000000 });
	slow = ask_within(50 * ROTA_MILLISECOND, (struct timespec){ .tv_sec = 1 });
	printf("a quick answer: %d; a slow one: %s\n", quick,
		slow < 0 ? rota_status_name(slow) : "waited for");
	return !sorted && quick == 42 && (simulated || (ticks && slow == -ETIMEDOUT)) ? 0 : 1;
}

int main(int argc, char **argv)
{
	return rota_main(app, argc, argv);
}
