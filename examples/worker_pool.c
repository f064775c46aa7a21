/* SPDX-License-Identifier: MIT */
/*
 * Backpressure, two ways. A group with a limit: a spawn waits while so many members live, so a
 * source that never ends cannot fill the memory. And a semaphore, for something that only so many
 * tasks may use at once, here two printers for a hundred jobs.
 */
#include <stdio.h>

#include <rota.h>

#define JOBS	     100
#define JOBS_AT_ONCE 10
#define PRINTERS     2

struct office {
	struct rota_mutex lock; /* of all below */
	int working, working_max;
	int printing, printing_max;
	int done;
	struct rota_sem printers;
};

/* One more or less of what is counted; the most there ever were. */
static void count(struct office *office, int *now, int *max, int by)
{
	rota_mutex_lock(&office->lock);
	*now += by;
	if (max && *now > *max)
		*max = *now;
	rota_mutex_unlock(&office->lock);
}

static int print(struct office *office)
{
	int err = rota_sem_wait(&office->printers);

	if (err)
		return err; /* cancelled: it has no printer to give back */
	count(office, &office->printing, &office->printing_max, 1);
	err = rota_sleep(100 * ROTA_MICROSECOND);
	count(office, &office->printing, NULL, -1);
	rota_sem_post(&office->printers);
	return err;
}

static int job(void *arg)
{
	struct office *office = arg;
	int err;

	count(office, &office->working, &office->working_max, 1);
	err = print(office);
	count(office, &office->working, NULL, -1);
	if (!err)
		count(office, &office->done, NULL, 1);
	return err;
}

static int app(int argc, char **argv)
{
	struct rota_group_options options = { .name = "jobs", .limit = JOBS_AT_ONCE };
	struct office office = { 0 };
	struct rota_group jobs;
	int err;

	(void)argc;
	(void)argv;
	rota_sem_init(&office.printers, PRINTERS);
	rota_group_open(&jobs, &options);
	for (int i = 0; i < JOBS; i++)
		rota_group_spawn(&jobs, job, &office); /* waits for a place */
	err = rota_group_close(&jobs, 0);
	printf("%d jobs done, at most %d at work and %d printing at once\n", office.done,
		office.working_max, office.printing_max);
	if (err)
		return err;
	return office.done == JOBS && office.working_max <= JOBS_AT_ONCE &&
			       office.printing_max <= PRINTERS
		       ? 0
		       : 1;
}

int main(int argc, char **argv)
{
	return rota_main(app, argc, argv);
}
