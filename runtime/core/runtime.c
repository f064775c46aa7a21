/* SPDX-License-Identifier: MIT */
/*
 * Starting and stopping the loops.
 *
 * Start: all ports are opened (disabled) by the starter; each loop's thread enables its own and
 * waits at the gate until all have; so nobody sends a token to a ring that is not enabled.
 * Stop: the main task ends last, when no other task lives. It sets `stop`, then wakes every loop;
 * a loop that parks in that moment sees `stop` in its look after the fence. The threads are joined
 * before a port, a stack or a block is freed: no token, completion or message is under way then.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/create.h"
#include "os/seam.h"
#include "os/topology.h"

static struct a32 taken;	/* 1 from a start to the end of its stop: one runtime a process */
static struct aptr the_runtime; /* while its loops are there to be asked */
static struct a32 visitors;	/* threads between rota__visit() and rota__visit_end() */
static struct a32 forked;	/* this is the child of a process that had a runtime at the fork */

struct rota_runtime *rota__visit(const struct loop *loop)
{
	struct rota_runtime *rt;

	if (loop)
		return loop->rt;
	/* Pairs with: runtime_hide(). Counted before the look; else it could be freed under us. */
	a32_add_acq_rel(&visitors, 1);
	fence_after_rmw();
	rt = aptr_load_acquire(&the_runtime);
	if (!rt)
		rota__visit_end(NULL);
	return rt;
}

void rota__visit_end(const struct loop *loop)
{
	if (!loop)
		a32_add_acq_rel(&visitors, (uint32_t)-1); /* Pairs with: runtime_hide(). */
}

/* Nobody finds it any more, and who had found it has left. */
static void runtime_hide(void)
{
	aptr_store_release(&the_runtime, NULL); /* Pairs with: rota__visit(). */
	fence_seq_cst();
	while (a32_load_acquire(&visitors)) /* Pairs with: rota__visit_end(). */
		cpu_relax();
}

struct rota_runtime *rota__runtime(void)
{
	return aptr_load_acquire(&the_runtime); /* Pairs with: rota__runtime_start(). */
}

bool rota__forked(void)
{
	return a32_load_relaxed(&forked);
}

int rota__no_loop(void)
{
	return rota__forked() ? -EPERM : -ENXIO;
}

void rota__log(const struct rota_runtime *rt, int level, const char *format, ...)
{
	char text[512] = "rota: ";
	size_t prefix = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(text + prefix, sizeof(text) - prefix - 1, format, args);
	va_end(args);
	if (rt && rt->config.on_log) {
		rt->config.on_log(rt->config.hook_arg, level, text + prefix);
		return;
	}
	memcpy(text + strlen(text), "\n", 2);
	rota__write_text(2, text);
}

/*
 * The child of a fork has the memory of the rings but must not touch them (B20). It has one thread,
 * with no loop; when that was a task, the task may exec or _exit, but not return.
 */
static void child_of_fork(void)
{
	struct loop *loop = rota__loop_self();

	if (!a32_load_relaxed(&taken))
		return;
	a32_store_relaxed(&forked, 1);
	aptr_store_relaxed(&the_runtime, NULL);
	if (loop)
		loop->forked = true;
	rota__loop_self_set(NULL);
}

static void atfork_register(void)
{
	pthread_atfork(NULL, NULL, child_of_fork);
}

bool rota__gate_enter(struct rota_runtime *rt)
{
	/* Pairs with: the close of the gate (flow/main.c). */
	if (!(a32_add_acq_rel(&rt->gate, 1) & GATE_CLOSED))
		return true;
	rota__gate_leave(rt);
	return false;
}

void rota__gate_leave(struct rota_runtime *rt)
{
	a32_add_acq_rel(&rt->gate, (uint32_t)-1); /* Pairs with: drain() (flow/main.c). */
}

static ROTA__COLD int no_memory(const struct rota_runtime *rt)
{
	rota__log(rt, ROTA_LOG_ERROR,
		"no memory or address space to start %u loops (ulimit -v, ROTA_LOOPS)",
		rt->loop_count);
	return -ENOMEM;
}

/* A cell per descriptor: address space only, until one is used. */
static int fd_table_open(struct rota_runtime *rt, struct a32 **ret_table)
{
	void *memory;
	int err = rota__map(rt->fd_max * sizeof(struct a32), &memory);

	if (!err)
		*ret_table = memory;
	return err;
}

static void fd_table_close(struct rota_runtime *rt, struct a32 *table)
{
	if (table)
		rota__unmap(table, rt->fd_max * sizeof(*table));
}

/* One loop's memory and port. */
static int loop_open(struct rota_runtime *rt, uint32_t index)
{
	struct loop *loop = rota__alloc_aligned(2 * ROTA__CACHE_LINE, sizeof(*loop));
	struct rota__port_config config = {
		.owner = loop,
		.disable = rt->disable,
		.index = index,
	};
	char why[400];
	int err;

	if (!loop)
		return no_memory(rt);
	rt->loop[index] = loop;
	loop->rt = rt;
	loop->index = (uint16_t)index;
	loop->next_id = index + 1;
	loop->id_step = rt->loop_count + 1;
	loop->budget = LOOP_BUDGET;
	loop->direct = !rt->backend->play;
	loop->many = rt->loop_count > 1;
	if (rt->config.flags & ROTA_CONFIG_DEBUG)
		a32_store_relaxed(&loop->watched, LOOP_WATCH_DEBUG);
	loop->order = rota__topology_order(rt->topology, index);
	list_init(&loop->op_waiters);
	list_init(&loop->close_requests);
	err = fd_table_open(rt, &loop->fd_ops);
	if (err)
		return no_memory(rt);
	err = rt->backend->open(&loop->port, &config, why, sizeof(why));
	if (err)
		rota__log(rt, ROTA_LOG_ERROR, "%s", why);
	return err;
}

static void loops_close(struct rota_runtime *rt)
{
	for (uint32_t i = 0; i < rt->loop_count; i++) {
		struct loop *loop = rt->loop[i];

		if (!loop)
			continue;
		/* A cancel on its way to a task that has ended holds the task's block. */
		rota__loop_drain(loop);
		if (loop->port)
			rt->backend->close(loop->port);
		rota__timers_finish(&loop->timers);
	}
	rota__fibers_free(rt);
	rota__blocks_free(rt);
	for (uint32_t i = 0; i < rt->loop_count; i++) {
		if (rt->loop[i])
			fd_table_close(rt, rt->loop[i]->fd_ops);
		rota__free(rt->loop[i]);
	}
}

/* Waits until every loop is ready, or one has failed: what that one failed with. */
static int meet(struct rota_runtime *rt, int err)
{
	pthread_mutex_lock(&rt->start_lock);
	if (err && !rt->start_error)
		rt->start_error = err;
	rt->start_count++;
	if (rt->start_count == rt->loop_count)
		pthread_cond_broadcast(&rt->start_cond);
	while (rt->start_count < rt->loop_count)
		pthread_cond_wait(&rt->start_cond, &rt->start_lock);
	err = rt->start_error;
	pthread_mutex_unlock(&rt->start_lock);
	return err;
}

static int port_enable(struct loop *loop)
{
	char why[400];
	int err = loop->rt->backend->enable(loop->port, why, sizeof(why));

	if (err && loop->index == 0) /* the others fail for the same reason */
		rota__log(loop->rt, ROTA_LOG_ERROR, "%s", why);
	return err;
}

/* A loop's life on the calling thread. */
static void loop_live(struct loop *loop)
{
	struct rota_runtime *rt = loop->rt;
	int err = rota__alt_stack_set(loop);

	if (!err && rt->pin)
		err = rota__topology_bind(rt->topology, loop->index);
	if (err == -EINVAL || err == -EPERM || err == -ENOSYS) {
		rota__log(rt, ROTA_LOG_WARNING, "loop %u is not bound to its CPU: %s", loop->index,
			rota_status_text(err));
		err = 0;
	}
	if (err)
		rota__log(rt, ROTA_LOG_ERROR, "loop %u cannot start: %s", loop->index,
			rota_status_text(err));
	else
		err = port_enable(loop);
	rota__loop_self_set(loop);
	if (!meet(rt, err))
		rota__loop_run(loop);
	rt->backend->leave(loop->port);
	rota__loop_self_set(NULL);
	rota__alt_stack_clear(loop);
}

static void *loop_thread(void *arg)
{
	loop_live(arg);
	return NULL;
}

/* Threads of the loops from `first` on; signals of the process are not for them. */
static int threads_start(struct rota_runtime *rt, uint32_t first)
{
	sigset_t all;
	sigset_t before;
	uint32_t failed = first;
	int err = 0;

	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGTRAP);
	sigdelset(&all, SIGABRT);
	sigdelset(&all, SIGSYS);
	sigdelset(&all, SIGPROF);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (uint32_t i = first; i < rt->loop_count && !err; i++) {
		err = -pthread_create(&rt->thread[i], NULL, loop_thread, rt->loop[i]);
		if (!err)
			rt->running = i + 1;
		else
			failed = i;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!err)
		return 0;
	rota__log(rt, ROTA_LOG_ERROR, "no thread for loop %u: %s (see ulimit -u)", failed,
		rota_status_text(err));
	/* The others must not wait for the missing ones. */
	pthread_mutex_lock(&rt->start_lock);
	rt->start_error = err;
	rt->start_count = rt->loop_count;
	pthread_cond_broadcast(&rt->start_cond);
	pthread_mutex_unlock(&rt->start_lock);
	return err;
}

/* Memory, topology and ports: everything before the threads. */
static int runtime_open(struct rota_runtime *rt)
{
	int err = rt->backend->begin ? rt->backend->begin(rt) : 0;

	if (!err)
		err = rota__topology_open(rt->config.loops, &rt->topology);
	if (err == -ENOMEM)
		return no_memory(rt);
	if (err) {
		rota__log(rt, ROTA_LOG_ERROR, "hwloc cannot tell this machine's CPUs: %s",
			rota_status_text(err));
		return err;
	}
	rt->loop_count = rota__topology_loops(rt->topology);
	rt->loop = rota__alloc(rt->loop_count * sizeof(*rt->loop));
	rt->thread = rota__alloc(rt->loop_count * sizeof(*rt->thread));
	if (!rt->loop || !rt->thread)
		return no_memory(rt);
	rt->fd_max = rota__descriptors_max();
	err = fd_table_open(rt, &rt->fd_closing);
	if (err)
		return no_memory(rt);
	for (uint32_t i = 0; i < rt->loop_count && !err; i++)
		err = loop_open(rt, i);
	return err;
}

static void runtime_destroy(struct rota_runtime *rt)
{
	pthread_mutex_destroy(&rt->tasks.lock);
	pthread_mutex_destroy(&rt->stacks.lock);
	pthread_mutex_destroy(&rt->start_lock);
	pthread_cond_destroy(&rt->start_cond);
	rota__free(rt->loop);
	rota__free(rt->thread);
	rota__free(rt);
}

void rota__runtime_free(struct rota_runtime *rt)
{
	runtime_hide();
	if (rt->loop)
		loops_close(rt);
	fd_table_close(rt, rt->fd_closing);
	if (rt->backend && rt->backend->end)
		rt->backend->end(rt);
	rota__topology_close(rt->topology);
	runtime_destroy(rt);
	a32_store_release(&taken, 0); /* Pairs with: the CAS in rota__runtime_start(). */
}

static struct rota_runtime *runtime_create(const struct rota_config *config)
{
	struct rota_runtime *rt = rota__alloc_aligned(2 * ROTA__CACHE_LINE, sizeof(*rt));

	if (!rt)
		return NULL;
	pthread_mutex_init(&rt->tasks.lock, NULL);
	pthread_mutex_init(&rt->stacks.lock, NULL);
	pthread_mutex_init(&rt->start_lock, NULL);
	pthread_cond_init(&rt->start_cond, NULL);
	if (config)
		rt->config = *config;
	return rt;
}

/* The main task, in no group but the runtime's root. */
static int main_create(struct rota_runtime *rt, rota_task_fn *fn)
{
	struct task_plan plan = {
		.site = "main",
		.name = "main",
		.fn = fn,
		.arg = rt,
		.owner = &rt->root,
		.bound = rt->loop[0],
		.stack_class = rt->stack_class,
	};
	int err;

	rt->root.home = rt->loop[0];
	err = task_create(NULL, rt, &plan, &rt->main_task);
	if (err)
		return err;
	task_state_set(NULL, rt->main_task, ROTA_TASK_SCHEDULED);
	task_queue_push(&rt->loop[0]->ready, rt->main_task);
	return 0;
}

static void main_ended(struct loop *loop, struct scope *owner, struct rota_task *task)
{
	struct rota_runtime *rt = container_of(owner, struct rota_runtime, root);

	task_unref(loop, rt, task);
	if (!rt->background) {
		/* It got no stack. Pairs with: rota_start(), which waits for the gate. */
		a32_or_acq_rel(&rt->gate, GATE_DEAD);
		rota__futex_wake(&rt->gate, 1);
	}
	rota__runtime_stop(loop);
}

static const struct scope_ops root_ops = { .ended = main_ended };

static void *play_thread(void *arg)
{
	struct rota_runtime *rt = arg;

	rt->backend->play(rt);
	return NULL;
}

/* The threads of the loops, but not the caller's. 0, or what one of them failed with. */
static int runtime_launch(struct rota_runtime *rt)
{
	int err;

	if (rt->backend->play) {
		if (rt->caller_is_loop)
			return 0;
		err = -pthread_create(&rt->thread[0], NULL, play_thread, rt);
		rt->running = err ? 0 : 1;
		return err;
	}
	err = threads_start(rt, rt->caller_is_loop ? 1 : 0);
	if (err || rt->caller_is_loop)
		return err;
	pthread_mutex_lock(&rt->start_lock);
	while (rt->start_count < rt->loop_count)
		pthread_cond_wait(&rt->start_cond, &rt->start_lock);
	err = rt->start_error;
	pthread_mutex_unlock(&rt->start_lock);
	return err;
}

int rota__runtime_start(struct rota_runtime **ret_runtime, const struct rota_config *config,
	const struct main_plan *plan)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct rota_runtime *rt;
	uint32_t free = 0;
	int err;

	if (rota__forked())
		return -EPERM;
	if (rota__loop_self())
		return -EDEADLK;
	rt = runtime_create(config);
	if (!rt)
		return -ENOMEM;
	/* Pairs with: rota__runtime_free(). */
	if (!a32_cas_acq_rel(&taken, &free, 1)) {
		rota__log(rt, ROTA_LOG_ERROR, "a runtime is running already: one a process");
		runtime_destroy(rt);
		return -EBUSY;
	}
	rt->caller_is_loop = plan->caller_is_loop;
	rt->await_watched = plan->await_watched;
	rt->main_fn = plan->fn;
	rt->main_arg = plan->arg;
	rt->main_status = -ENOMEM; /* until it has run: it may get no stack */
	a32_store_relaxed(&rt->gate, GATE_CLOSED);
	pthread_once(&once, atfork_register);
	rt->root.ops = &root_ops;
	err = rota__config_read(rt);
	if (!err)
		err = runtime_open(rt);
	if (!err)
		err = main_create(rt, plan->task);
	if (err) {
		rota__runtime_free(rt);
		return err;
	}
	rota__guard_handler_install();
	aptr_store_release(&the_runtime, rt); /* Pairs with: rota__visit(), rota__runtime(). */
	err = runtime_launch(rt);
	if (err && !rt->caller_is_loop) {
		rota__runtime_join(rt);
		rota__runtime_free(rt);
		return err;
	}
	*ret_runtime = rt;
	return 0;
}

void rota__runtime_stop(struct loop *loop)
{
	struct rota_runtime *rt = loop->rt;

	a32_store_release(&rt->stop, 1); /* Pairs with: rota__loop_run(). */
	/* Pairs with: park_begin(). Each loop sees `stop`, or we see it sleep. */
	fence_seq_cst();
	for (uint32_t i = 0; i < rt->loop_count; i++)
		if (rt->loop[i] != loop && park_claim(&rt->idle, &rt->loop[i]->parker))
			rt->backend->wake(loop->port, rt->loop[i]->port);
}

int rota__runtime_join(struct rota_runtime *rt)
{
	struct rota__binding *binding = NULL;
	bool was_blocked;

	rota__sigpipe_block(&was_blocked);
	if (rt->caller_is_loop && rt->backend->play) {
		rt->backend->play(rt);
	} else if (rt->caller_is_loop) {
		rota__topology_save_binding(rt->topology, &binding);
		loop_live(rt->loop[0]);
		rota__topology_restore_binding(binding);
	}
	rota__sigpipe_restore(was_blocked);
	for (uint32_t i = rt->caller_is_loop ? 1 : 0; i < rt->running; i++)
		pthread_join(rt->thread[i], NULL);
	rota__guard_handler_remove();
	runtime_hide();
	return rt->start_error;
}
