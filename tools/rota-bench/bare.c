/* SPDX-License-Identifier: MIT */
/*
 * What the kernel itself takes to wake a thread that sleeps in its io_uring by a message from
 * another ring, and to be woken by the answer: the floor for a wake between parked loops.
 */
#include "bench.h"

#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

/* The kernel's numbers: the headers that a build finds may be older than the kernel. */
#define SETUP_FLAGS ((1u << 12) | (1u << 13)) /* SINGLE_ISSUER | DEFER_TASKRUN */

struct side {
	struct io_uring ring;
	struct side *other;
	struct bench_bare *bare;
	pthread_barrier_t *barrier;
	pthread_t thread;
	unsigned int index;
	int ring_status;      /* written before the barrier, read by the other side after it */
	int status;	      /* of the rounds */
	int64_t *round_trips; /* side 0's */
};

static int send_message(struct side *side)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&side->ring);
	int status;

	io_uring_prep_msg_ring(sqe, side->other->ring.ring_fd, 1, 1, 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = 0;
	status = io_uring_submit(&side->ring);
	return status < 0 ? status : 0;
}

static int receive_message(struct side *side)
{
	for (;;) {
		struct io_uring_cqe *cqe;
		uint64_t data;
		int status = io_uring_submit_and_wait(&side->ring, 1);

		if (status < 0 && status != -EINTR)
			return status;
		if (io_uring_peek_cqe(&side->ring, &cqe) != 0)
			continue;
		data = cqe->user_data;
		status = cqe->res;
		io_uring_cqe_seen(&side->ring, cqe);
		/* 0 is the sender's own failure. */
		if (data != 0)
			return 0;
		if (status < 0)
			return status;
	}
}

static void pause_for(int64_t duration_ns)
{
	struct timespec time = { .tv_sec = duration_ns / ROTA_SECOND,
		.tv_nsec = duration_ns % ROTA_SECOND };

	if (duration_ns > 0)
		nanosleep(&time, NULL);
}

static int run_rounds(struct side *side)
{
	int status = 0;

	for (unsigned int i = 0; i < side->bare->rounds && status >= 0; i++) {
		int64_t begin;

		if (side->index == 1) {
			status = receive_message(side);
			if (status >= 0)
				status = send_message(side);
			continue;
		}
		pause_for(side->bare->pause_ns);
		begin = bench_now();
		status = send_message(side);
		if (status >= 0)
			status = receive_message(side);
		side->round_trips[i] = bench_now() - begin;
	}
	return status;
}

static void *side_run(void *arg)
{
	struct side *side = arg;
	bool both;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET((unsigned int)side->bare->cpus[side->index], &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	/* On the thread that is to be its single issuer. */
	side->ring_status = io_uring_queue_init(8, &side->ring, SETUP_FLAGS);
	pthread_barrier_wait(side->barrier);
	both = side->ring_status >= 0 && side->other->ring_status >= 0;
	if (both)
		side->status = run_rounds(side);
	/* The other one may still be sending to this ring. */
	pthread_barrier_wait(side->barrier);
	if (side->ring_status >= 0)
		io_uring_queue_exit(&side->ring);
	return NULL;
}

static int run_sides(struct side *sides)
{
	int status;

	for (unsigned int i = 0; i < 2; i++) {
		status = pthread_create(&sides[i].thread, NULL, side_run, &sides[i]);
		/* The first one waits at the barrier for ever: there is no way on from here. */
		if (status != 0 && i == 1)
			abort();
		if (status != 0)
			return -status;
	}
	for (unsigned int i = 0; i < 2; i++)
		pthread_join(sides[i].thread, NULL);
	for (unsigned int i = 0; i < 2; i++) {
		if (sides[i].ring_status < 0)
			return sides[i].ring_status;
		if (sides[i].status < 0)
			return sides[i].status;
	}
	return 0;
}

int bench_bare_wake(struct bench_bare *bare)
{
	pthread_barrier_t barrier;
	struct side sides[2] = { 0 };
	int status;

	sides[0].round_trips = calloc(bare->rounds, sizeof(int64_t));
	if (!sides[0].round_trips)
		return -ENOMEM;
	pthread_barrier_init(&barrier, NULL, 2);
	for (unsigned int i = 0; i < 2; i++) {
		sides[i].other = &sides[!i];
		sides[i].bare = bare;
		sides[i].barrier = &barrier;
		sides[i].index = i;
	}
	status = run_sides(sides);
	pthread_barrier_destroy(&barrier);
	if (status >= 0) {
		bench_sort(sides[0].round_trips, bare->rounds);
		bare->round_trip_ns = (double)sides[0].round_trips[bare->rounds / 2];
	}
	free(sides[0].round_trips);
	return status;
}
