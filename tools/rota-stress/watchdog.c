/* SPDX-License-Identifier: MIT */
/* The tool's own watchdog: a thread that waits for the end of a scenario, and aborts. */
#include "watchdog.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define SHORTEST_SECONDS 60

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static pthread_t thread;
static const struct run *armed;
static bool armed_ever;

/* 20 times what the scenario was given; a count without a time may take its time. */
static int64_t patience_seconds(const struct run *run)
{
	const struct options *options = run->options;
	int64_t seconds = SHORTEST_SECONDS;
	uint64_t count = options->tasks > options->rounds ? options->tasks : options->rounds;

	if (options->limit_ns)
		seconds = 20 * (options->limit_ns / ROTA_SECOND);
	else if (count)
		seconds = (int64_t)(count / 1000);
	return seconds < SHORTEST_SECONDS ? SHORTEST_SECONDS : seconds;
}

static void *watch(void *arg)
{
	const struct run *run = arg;
	struct timespec end;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += patience_seconds(run);
	pthread_mutex_lock(&lock);
	while (armed == run && err != ETIMEDOUT)
		err = pthread_cond_timedwait(&changed, &lock, &end);
	if (armed == run) {
		fprintf(stderr, "rota-stress: invariant no-hang broken: scenario %s, seed %llu\n",
			run->scenario->name, (unsigned long long)run->options->seed);
		fprintf(stderr, "rota-stress: replay: %s\n", run->replay);
		abort();
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

void watchdog_arm(const struct run *run)
{
	pthread_condattr_t attr;

	if (run->sim)
		return;
	if (!armed_ever) {
		pthread_condattr_init(&attr);
		pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
		pthread_cond_init(&changed, &attr);
		pthread_condattr_destroy(&attr);
		armed_ever = true;
	}
	armed = run;
	if (pthread_create(&thread, NULL, watch, (void *)run) != 0) {
		fprintf(stderr, "rota-stress: no thread for the watchdog\n");
		abort();
	}
}

void watchdog_disarm(void)
{
	if (!armed)
		return;
	pthread_mutex_lock(&lock);
	armed = NULL;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
}
