/* SPDX-License-Identifier: MIT */
/*
 * Blocking calls on a bounded pool of plain threads, made when they are needed. In this room and
 * not in a higher one: io needs it for reading directories and for resolving names.
 *
 * A call is a job, first in the pool's queue, then on a thread. The pool's lock decides between a
 * cancel and the pool, not a claim: a queued job is taken out by whichever comes first; a running
 * one is waited for (law L3), or is abandoned if its end has not been noted yet:
 *
 *	QUEUED -> RUNNING -> DONE	its call is woken with the status
 *	QUEUED -> (gone)		cancelled: it never runs
 *	RUNNING -> ABANDONED		its call returns -ECANCELED: job and arg are the pool's
 *
 * The job of a plain call lies in the caller's frame and is not touched after the wake; that of an
 * abandonable one is on the heap, and belongs to its call until it is ABANDONED.
 *
 * At the stop no task is left, so all that can still run is ABANDONED. Threads that do so for too
 * long are left behind; the last of them frees the pool, which by then knows no runtime any more.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <rota/offload.h>

#include "core/queue.h"
#include "core/runtime.h"
#include "flow/offload.h"
#include "os/seam.h"
#include "os/topology.h"

#define THREADS_DEFAULT 64

struct offload_pool {
	pthread_mutex_t lock;
	pthread_cond_t work;  /* a job was queued, or the pool quits */
	pthread_cond_t ended; /* the pool quits, and an abandoned call has ended */
	/* All L(lock). */
	struct list queue;     /* of jobs, in order */
	struct list abandoned; /* jobs that run, and nobody waits for them */
	struct list threads;   /* but those left behind */
	uint32_t queued;       /* jobs */
	uint32_t idle;	       /* threads that wait for work */
	uint32_t thread_count;
	uint32_t users; /* the runtime, and each thread that it left behind */
	bool quit;
	/* I */
	uint32_t threads_max;
	const struct rota__topology *topology; /* for threads that start */
};

struct offload_thread {
	struct list link; /* L(lock) */
	struct offload_pool *pool;
	pthread_t handle;
	uint32_t index;
	bool left; /* L(lock): the runtime is gone, and nobody joins it */
};

enum job_state {
	JOB_QUEUED,
	JOB_RUNNING,
	JOB_ABANDONED,
	JOB_DONE,
};

struct offload_call;

struct offload_job {
	struct list link; /* L(lock): in queue or abandoned */
	rota_task_fn *fn;
	void *arg;
	void (*discard)(void *arg);
	struct offload_call *call;     /* not once it is ABANDONED */
	struct offload_thread *thread; /* L(lock): that runs it */
	enum job_state state;	       /* L(lock) */
	bool abandonable;
	const char *site; /* who made the call */
	char name[32];	  /* likewise; "" before it is ABANDONED */
};

/* The wait for a job, in the caller's frame. */
struct offload_call {
	struct shared_wait wait; /* its claim is not used */
	struct offload_pool *pool;
	struct offload_job *job; /* NULL: abandoned */
	int status;		 /* of fn */
};

static void pool_free(struct offload_pool *pool)
{
	pthread_mutex_destroy(&pool->lock);
	pthread_cond_destroy(&pool->work);
	pthread_cond_destroy(&pool->ended);
	rota__free(pool);
}

static void pool_unref(struct offload_pool *pool)
{
	bool last;

	pthread_mutex_lock(&pool->lock);
	last = --pool->users == 0;
	pthread_mutex_unlock(&pool->lock);
	if (last)
		pool_free(pool);
}

static struct offload_pool *pool_create(const struct rota_runtime *rt)
{
	struct offload_pool *pool = rota__alloc(sizeof(*pool));
	pthread_condattr_t attr;

	if (!pool)
		return NULL;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&pool->ended, &attr);
	pthread_condattr_destroy(&attr);
	list_init(&pool->queue);
	list_init(&pool->abandoned);
	list_init(&pool->threads);
	pool->users = 1;
	pool->threads_max =
		rt->config.offload_threads ? rt->config.offload_threads : THREADS_DEFAULT;
	pool->topology = rt->topology;
	return pool;
}

/* The runtime's pool, made when it is not there; NULL when there is no memory. */
static struct offload_pool *pool_get(struct rota_runtime *rt)
{
	/* Pairs with: the CAS below. */
	struct offload_pool *pool = aptr_load_acquire(&rt->offload);
	void *none = NULL;

	if (likely(pool != NULL))
		return pool;
	pool = pool_create(rt);
	/* Pairs with: the loads of offload, here and in rota__offload_stop(). */
	if (!pool || aptr_cas_acq_rel(&rt->offload, &none, pool))
		return pool;
	pool_free(pool);
	return none;
}

/* Threads. */

/* A child of fork() has no loop and no other thread: it may not come back from fn. */
static ROTA__COLD ROTA__NORETURN void die_forked(const struct offload_job *job)
{
	fprintf(stderr,
		"rota: an offloaded call of %s returned in the child of a fork(): "
		"the child must exec or _exit\n",
		job->site);
	abort();
}

/* Waits for a job and takes it; NULL when the pool quits. L(lock). */
static struct offload_job *take_job(struct offload_pool *pool, struct offload_thread *self)
{
	struct offload_job *job;

	while (list_empty(&pool->queue) && !pool->quit) {
		pool->idle++;
		pthread_cond_wait(&pool->work, &pool->lock);
		pool->idle--;
	}
	if (list_empty(&pool->queue))
		return NULL;
	job = container_of(pool->queue.next, struct offload_job, link);
	list_remove(&job->link);
	pool->queued--;
	job->state = JOB_RUNNING;
	job->thread = self;
	return job;
}

static void discard(const struct offload_job *job)
{
	if (job->discard)
		job->discard(job->arg);
}

/* Ends a job that nobody waits for. L(lock), which is free meanwhile. */
static void end_abandoned(struct offload_pool *pool, struct offload_job *job)
{
	pthread_mutex_unlock(&pool->lock);
	discard(job);
	pthread_mutex_lock(&pool->lock);
	list_remove(&job->link);
	rota__free(job);
	if (pool->quit)
		pthread_cond_signal(&pool->ended);
}

/* Ends a job whose call waits: the wake is the last touch of both. L(lock), as above. */
static void end_awaited(struct offload_pool *pool, struct offload_job *job, int status)
{
	struct offload_call *call = job->call;

	job->state = JOB_DONE;
	pthread_mutex_unlock(&pool->lock);
	/* The caller cannot tell fn's -ECANCELED from a cancel's, so arg's end is the same. */
	if (status == -ECANCELED)
		discard(job);
	call->status = status;
	rota__shared_wait_wake(NULL, &call->wait);
	pthread_mutex_lock(&pool->lock);
}

static void name_thread(const struct offload_thread *self)
{
	char name[32];

	snprintf(name, sizeof(name), "rota-offload/%u", self->index);
	name[15] = '\0'; /* the kernel takes no more */
	pthread_setname_np(pthread_self(), name);
}

static void *thread_main(void *arg)
{
	struct offload_thread *self = arg;
	struct offload_pool *pool = self->pool;
	struct offload_job *job;
	bool left;

	name_thread(self);
	/* A loop made it, and may be bound to a CPU. */
	(void)rota__topology_unbind(pool->topology);
	pthread_mutex_lock(&pool->lock);
	while ((job = take_job(pool, self))) {
		int status;

		pthread_mutex_unlock(&pool->lock);
		status = job->fn(job->arg);
		if (unlikely(rota__forked()))
			die_forked(job);
		pthread_mutex_lock(&pool->lock);
		if (job->state == JOB_ABANDONED)
			end_abandoned(pool, job);
		else
			end_awaited(pool, job, status);
	}
	left = self->left;
	pthread_mutex_unlock(&pool->lock);
	if (left) {
		rota__free(self);
		pool_unref(pool);
	}
	return NULL;
}

/* All that are not the thread's own doing: the program's signals are for its own threads. */
static void block_signals(sigset_t *ret_before)
{
	static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS };
	sigset_t set;

	sigfillset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		sigdelset(&set, own[i]);
	pthread_sigmask(SIG_SETMASK, &set, ret_before);
}

/* One more thread: 0 or -EAGAIN. L(lock), under which few threads are ever made. */
static int thread_create(struct offload_pool *pool)
{
	struct offload_thread *thread = rota__alloc(sizeof(*thread));
	sigset_t before;
	int err;

	if (!thread)
		return -EAGAIN;
	thread->pool = pool;
	thread->index = pool->thread_count;
	block_signals(&before);
	err = pthread_create(&thread->handle, NULL, thread_main, thread);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err) {
		rota__free(thread);
		return -EAGAIN;
	}
	list_add_tail(&pool->threads, &thread->link);
	pool->thread_count++;
	return 0;
}

/* Calls. */

/* Queues a job: 0, or -EAGAIN when there is no thread for it and can be none. */
static int submit(struct offload_pool *pool, struct offload_job *job)
{
	int err = 0;

	pthread_mutex_lock(&pool->lock);
	/* Each waiting thread has one of the queued jobs for it. */
	if (pool->queued >= pool->idle && pool->thread_count < pool->threads_max)
		err = thread_create(pool);
	if (err && pool->thread_count)
		err = 0;
	if (!err) {
		job->state = JOB_QUEUED;
		list_add_tail(&pool->queue, &job->link);
		pool->queued++;
		pthread_cond_signal(&pool->work);
	}
	pthread_mutex_unlock(&pool->lock);
	return err;
}

/* The caller will not wait for it. L(lock). */
static void abandon(struct offload_call *call, const struct rota_task *task)
{
	struct offload_job *job = call->job;

	job->state = JOB_ABANDONED;
	job->call = NULL;
	rota__task_name_copy(task, job->name);
	list_add_tail(&call->pool->abandoned, &job->link);
	call->job = NULL;
}

static void call_abort(struct loop *loop, struct wait *wait)
{
	struct offload_call *call = container_of(wait, struct offload_call, wait.wait);
	struct offload_pool *pool = call->pool;
	struct offload_job *job = call->job;
	bool over = false;

	pthread_mutex_lock(&pool->lock);
	if (job->state == JOB_QUEUED) {
		list_remove(&job->link);
		pool->queued--;
		over = true;
	} else if (job->state == JOB_RUNNING && job->abandonable) {
		abandon(call, wait->task);
		over = true;
	}
	pthread_mutex_unlock(&pool->lock);
	if (!over)
		return;
	wait->result = -ECANCELED;
	rota__loop_ready(loop, wait->task);
}

static const struct wait_kind call_kind = { .name = "offload", .abort = call_abort };

/* Runs a job: what became of it is in *call. 0, -ECANCELED, or -EAGAIN: it was not queued. */
static int call_pool(struct loop *loop, struct offload_call *call, struct offload_job *job)
{
	int err;

	*call = (struct offload_call){
		.wait.wait = { .kind = &call_kind, .task = loop->running },
		.pool = pool_get(loop->rt),
		.job = job,
	};
	if (!call->pool)
		return -EAGAIN;
	job->call = call;
	job->site = loop->running->site;
	err = submit(call->pool, job);
	if (err)
		return err;
	rota__task_suspend(loop, &call->wait.wait);
	return call->wait.wait.result;
}

/* Simulation: *ret_status is fn's, if it ran; -ECANCELED if not. */
static int play(struct loop *loop, rota_task_fn *fn, void *arg, int *ret_status)
{
	rota__task_step_back(loop);
	if (caller_is_cancelled(loop))
		return -ECANCELED;
	*ret_status = fn(arg);
	rota__task_step_back(loop);
	return 0;
}

int rota_offload(rota_task_fn *fn, void *arg)
{
	struct loop *loop = rota__loop_self();
	struct offload_job job = { .fn = fn, .arg = arg };
	struct offload_call call;
	int err;

	if (!loop || !loop->running)
		return rota__no_loop();
	if (!fn)
		return -EINVAL;
	if (caller_is_cancelled(loop))
		return -ECANCELED;
	if (!loop->direct)
		err = play(loop, fn, arg, &call.status);
	else
		err = call_pool(loop, &call, &job);
	return err ? err : call.status;
}

/* The status of an abandonable call. Cancelled before fn ran: arg has nobody else. */
static int call_abandonable(
	struct loop *loop, rota_task_fn *fn, void *arg, void (*discard_fn)(void *arg))
{
	struct offload_job *job = rota__alloc(sizeof(*job));
	struct offload_call call;
	int err;

	if (!job)
		return -ENOMEM;
	job->fn = fn;
	job->arg = arg;
	job->discard = discard_fn;
	job->abandonable = true;
	err = call_pool(loop, &call, job);
	if (!call.job)
		return err;
	if (err == -ECANCELED)
		discard(job);
	rota__free(job);
	return err ? err : call.status;
}

/* A cancel that came in the step behind fn: as if fn were still running. */
static int play_abandonable(
	struct loop *loop, rota_task_fn *fn, void *arg, void (*discard_fn)(void *arg))
{
	int status = 0;
	int err = play(loop, fn, arg, &status);

	if (err || caller_is_cancelled(loop))
		status = -ECANCELED;
	if (status == -ECANCELED && discard_fn)
		discard_fn(arg);
	return status;
}

int rota_offload_abandonable(rota_task_fn *fn, void *arg, void (*discard_fn)(void *arg))
{
	struct loop *loop = rota__loop_self();

	if (!loop || !loop->running)
		return rota__no_loop();
	if (!fn)
		return -EINVAL;
	if (caller_is_cancelled(loop)) {
		if (discard_fn)
			discard_fn(arg);
		return -ECANCELED;
	}
	if (!loop->direct)
		return play_abandonable(loop, fn, arg, discard_fn);
	return call_abandonable(loop, fn, arg, discard_fn);
}

/* The end of the pool. */

/* Waits until no call runs any more, or for the deadline. L(lock). */
static void wait_for_abandoned(struct offload_pool *pool, int64_t until_ns)
{
	const struct timespec until = {
		.tv_sec = until_ns / ROTA_SECOND,
		.tv_nsec = until_ns % ROTA_SECOND,
	};
	int err = 0;

	while (!list_empty(&pool->abandoned) && !err) {
		if (until_ns == ROTA_FOREVER)
			pthread_cond_wait(&pool->ended, &pool->lock);
		else
			err = pthread_cond_timedwait(&pool->ended, &pool->lock, &until);
	}
}

/* Leaves one thread that still runs a call behind, and says whose in *ret_job. False: none. */
static bool leave_one(struct offload_pool *pool, struct offload_job *ret_job)
{
	bool found = false;

	pthread_mutex_lock(&pool->lock);
	rota__list_for_each_safe(node, next, &pool->abandoned) {
		struct offload_job *job = container_of(node, struct offload_job, link);
		struct offload_thread *thread = job->thread;

		if (thread->left)
			continue;
		thread->left = true;
		pool->users++;
		list_remove(&thread->link);
		pthread_detach(thread->handle);
		*ret_job = *job;
		found = true;
		break;
	}
	pthread_mutex_unlock(&pool->lock);
	return found;
}

void rota__offload_stop(struct rota_runtime *rt)
{
	/* Pairs with: pool_get(). */
	struct offload_pool *pool = aptr_load_acquire(&rt->offload);
	struct offload_job job;

	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->quit = true;
	pthread_cond_broadcast(&pool->work);
	wait_for_abandoned(pool, rt->stop_until_ns);
	pthread_mutex_unlock(&pool->lock);
	while (leave_one(pool, &job)) {
		rt->late = true;
		rota__log(rt, ROTA_LOG_WARNING,
			"shutdown: an offloaded call of %s still runs: left behind",
			job.name[0] ? job.name : job.site);
	}
	if (rt->late && (rt->config.flags & ROTA_CONFIG_ABORT_LATE))
		abort();
	/* The others have nothing to do, and nobody else touches the list any more. */
	rota__list_for_each_safe(node, next, &pool->threads) {
		struct offload_thread *thread = container_of(node, struct offload_thread, link);

		pthread_join(thread->handle, NULL);
		rota__free(thread);
	}
	pool_unref(pool);
	aptr_store_relaxed(&rt->offload, NULL);
}
