/* SPDX-License-Identifier: MIT */
/*
 * A pipeline: numbers -> squares -> sum, each stage a task or several, channels between them. A
 * channel is bounded, so a fast stage waits for a slow one. The end travels by closing: whoever
 * sends last closes, and whoever receives sees 0.
 */
#include <stdio.h>

#include <rota.h>

#define NUMBERS	 100000
#define SQUARERS 4

struct pipeline {
	struct rota_chan numbers;
	struct rota_chan squares;
	uint64_t sum;
};

static int count(void *arg)
{
	struct pipeline *p = arg;
	int err = 0;

	for (uint64_t i = 1; i <= NUMBERS && !err; i++)
		err = rota_chan_send(&p->numbers, &i);
	rota_chan_close(&p->numbers);
	return err;
}

static int square(void *arg)
{
	struct pipeline *p = arg;
	uint64_t n;
	int got;

	while ((got = rota_chan_recv(&p->numbers, &n)) > 0) {
		int err;

		n *= n;
		err = rota_chan_send(&p->squares, &n);
		if (err)
			return err;
	}
	return got;
}

/* All squarers share the next channel: when all have ended nobody sends any more. */
static int square_all(void *arg)
{
	struct pipeline *p = arg;
	struct rota_group squarers;
	int err;

	rota_group_open(&squarers, NULL);
	for (int i = 0; i < SQUARERS; i++)
		rota_group_spawn(&squarers, square, p);
	err = rota_group_close(&squarers, 0);
	rota_chan_close(&p->squares);
	return err;
}

static int add(void *arg)
{
	struct pipeline *p = arg;
	uint64_t n;
	int got;

	while ((got = rota_chan_recv(&p->squares, &n)) > 0)
		p->sum += n;
	return got;
}

static int app(int argc, char **argv)
{
	const uint64_t want = (uint64_t)NUMBERS * (NUMBERS + 1) * (2 * NUMBERS + 1) / 6;
	struct pipeline p = { .sum = 0 };
	struct rota_group stages;
	int err;

	(void)argc;
	(void)argv;
	err = rota_chan_init(&p.numbers, sizeof(uint64_t), 64);
	if (err)
		return err;
	err = rota_chan_init(&p.squares, sizeof(uint64_t), 64);
	if (err)
		goto finish_numbers;
	rota_group_open(&stages, NULL);
	rota_group_spawn(&stages, count, &p);
	rota_group_spawn(&stages, square_all, &p);
	rota_group_spawn(&stages, add, &p);
	err = rota_group_close(&stages, 0);
	printf("the squares of 1 .. %d add up to %llu, and should to %llu\n", NUMBERS,
		(unsigned long long)p.sum, (unsigned long long)want);
	if (!err && p.sum != want)
		err = 1;
	(void)!rota_chan_finish(&p.squares);
finish_numbers:
	(void)!rota_chan_finish(&p.numbers);
	return err;
}

int main(int argc, char **argv)
{
	return rota_main(app, argc, argv);
}
