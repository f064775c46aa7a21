/* SPDX-License-Identifier: MIT */
/* The trace: a file that any JSON reader takes, and in it the law that a loop has one runner. */
#include "unit.h"

#ifdef HAVE_JANSSON
#include <jansson.h>
#endif

TestSuite(trace, .timeout = HANG_SECONDS);

/* One task stretch of the file. Each event has a line of its own. */
struct stretch {
	unsigned int loop;
	int64_t begin_ns;
	int64_t end_ns;
	unsigned long long id;
	char name[64];
};

struct trace {
	struct stretch *stretch;
	size_t count;
	char *text;
};

static char path[64];

static void make_path(void)
{
	int fd;

	snprintf(path, sizeof(path), "/tmp/rota-trace-XXXXXX");
	fd = mkstemp(path);
	cr_assert_geq(fd, 0);
	close(fd);
}

static char *read_path(void)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t len = 0;

	cr_assert_not_null(file);
	cr_assert_geq(getdelim(&text, &len, '\0', file), 0);
	fclose(file);
	unlink(path);
	return text;
}

/* Valid JSON, or without a library for that at least closed in the right order. */
static void expect_json(const char *text)
{
#ifdef HAVE_JANSSON
	json_error_t error;
	json_t *root = json_loads(text, 0, &error);
	json_t *events = json_object_get(root, "traceEvents");

	cr_assert_not_null(root, "%s at line %d", error.text, error.line);
	cr_expect(json_is_array(events));
	cr_expect_gt(json_array_size(events), 0);
	json_decref(root);
#else
	char open[16];
	size_t depth = 0;
	bool quoted = false;

	for (; *text; text++) {
		if (*text == '"')
			quoted = !quoted;
		if (quoted)
			continue;
		cr_assert_lt(depth, sizeof(open));
		if (*text == '{' || *text == '[')
			open[depth++] = *text == '{' ? '}' : ']';
		else if (*text == '}' || *text == ']')
			cr_assert(depth > 0 && open[--depth] == *text);
	}
	cr_expect_eq(depth, 0);
	cr_expect_not(quoted);
#endif
}

static int64_t ns_of(const char *line, const char *key)
{
	const char *at = strstr(line, key);
	long long us = 0;
	long long ns = 0;

	cr_assert_not_null(at, "%s", line);
	cr_assert_eq(sscanf(at + strlen(key), "%lld.%lld", &us, &ns), 2, "%s", at);
	return 1000 * us + ns;
}

static struct trace load(void)
{
	struct trace trace = { .text = read_path() };
	char *copy;

	expect_json(trace.text);
	copy = strdup(trace.text);
	trace.stretch = calloc(lines_of(copy) + 1, sizeof(*trace.stretch));
	for (char *line = strtok(copy, "\n"); line; line = strtok(NULL, "\n")) {
		struct stretch *stretch = &trace.stretch[trace.count];

		if (!strstr(line, "\"cat\":\"task\"") || !strstr(line, "\"ph\":\"X\""))
			continue;
		sscanf(line, "{\"name\":\"%63[^\"]", stretch->name);
		sscanf(strstr(line, "\"tid\":") + 6, "%u", &stretch->loop);
		sscanf(strstr(line, "\"id\":") + 5, "%llu", &stretch->id);
		stretch->begin_ns = ns_of(line, "\"ts\":");
		stretch->end_ns = stretch->begin_ns + ns_of(line, "\"dur\":");
		trace.count++;
	}
	free(copy);
	return trace;
}

static void unload(struct trace *trace)
{
	free(trace->stretch);
	free(trace->text);
}

static int by_loop_and_time(const void *a, const void *b)
{
	const struct stretch *left = a;
	const struct stretch *right = b;

	if (left->loop != right->loop)
		return left->loop < right->loop ? -1 : 1;
	return left->begin_ns < right->begin_ns ? -1 : left->begin_ns > right->begin_ns;
}

static size_t count_named(const struct trace *trace, const char *name)
{
	size_t count = 0;

	for (size_t i = 0; i < trace->count; i++)
		count += !strcmp(trace->stretch[i].name, name);
	return count;
}

static int busy(void *arg)
{
	for (int i = 0; i < 20; i++) {
		for (int k = 0; k < 2000; k++)
			compiler_barrier();
		EXPECT_EQ(i % 5 ? rota_yield() : rota_sleep(ROTA_MICROSECOND), 0);
	}
	(void)arg;
	return 0;
}

static void work(void)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	for (int i = 0; i < 100; i++)
		EXPECT_EQ(rota_group_spawn(&group, busy, NULL), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
}

static void trace_work(void)
{
	EXPECT_EQ(rota_trace_start(0), 0);
	work();
	rota_trace_mark("a \"mark\" with \\ and \n", 4711);
	EXPECT_EQ(rota_trace_save(path), 0);
}

Test(trace, has_one_runner_at_a_time_on_each_loop)
{
	struct trace trace;

	make_path();
	run_task(trace_work);
	trace = load();
	qsort(trace.stretch, trace.count, sizeof(*trace.stretch), by_loop_and_time);
	for (size_t i = 1; i < trace.count; i++) {
		const struct stretch *one = &trace.stretch[i - 1];
		const struct stretch *next = &trace.stretch[i];

		cr_assert(one->loop != next->loop || one->end_ns <= next->begin_ns,
			"loop %u: task %llu until %lld, task %llu from %lld", one->loop, one->id,
			(long long)one->end_ns, next->id, (long long)next->begin_ns);
	}
	cr_expect_geq(count_named(&trace, "busy"), 100 * 20, "%zu", count_named(&trace, "busy"));
	unload(&trace);
}

/* The other half of law L1: a task is on one loop at a time, and once started it stays. */
Test(trace, has_each_task_on_one_loop)
{
	struct trace trace;

	make_path();
	run_task(trace_work);
	trace = load();
	for (size_t i = 0; i < trace.count; i++)
		for (size_t k = 0; k < i; k++)
			if (trace.stretch[i].id == trace.stretch[k].id)
				cr_assert_eq(trace.stretch[i].loop, trace.stretch[k].loop);
	unload(&trace);
}

Test(trace, has_marks)
{
	struct trace trace;

	make_path();
	run_task(trace_work);
	trace = load();
	cr_expect_not_null(strstr(trace.text, "\"name\":\"a _mark_ with _ and _\""));
	cr_expect_not_null(strstr(trace.text, "\"value\":4711"));
	unload(&trace);
}

static void trace_into_little_room(void)
{
	/* Far fewer events than there are: the last ones stay. */
	EXPECT_EQ(rota_trace_start(1), 0);
	work();
	EXPECT_EQ(rota_trace_save(path), 0);
}

Test(trace, keeps_the_last_events)
{
	struct trace trace;

	make_path();
	run_task(trace_into_little_room);
	trace = load();
	cr_expect_gt(trace.count, 0);
	/* There were 2000, and a ring has room for 64 events. */
	cr_expect_lt(trace.count, 1000);
	unload(&trace);
}

static void stop_and_go_on(void)
{
	EXPECT_EQ(rota_trace_save(path), -ENODATA);
	EXPECT_EQ(rota_trace_start(0), 0);
	rota_trace_stop();
	rota_trace_mark("after the stop", 1);
	work();
	EXPECT_EQ(rota_trace_save(path), 0);
	/* What was there stays, and can be saved again. */
	EXPECT_EQ(rota_trace_save(path), 0);
	EXPECT_EQ(rota_trace_save("/nonexistent/trace.json"), -ENOENT);
	EXPECT_EQ(rota_trace_save("/dev"), -EISDIR);
	EXPECT_EQ(rota_trace_save("/dev/full"), -ENOSPC);
}

Test(trace, stops)
{
	struct trace trace;

	make_path();
	run_task(stop_and_go_on);
	trace = load();
	cr_expect_eq(count_named(&trace, "busy"), 0);
	cr_expect_null(strstr(trace.text, "after the stop"));
	unload(&trace);
}

static void start_again(void)
{
	EXPECT_EQ(rota_trace_start(0), 0);
	rota_trace_mark("dropped", 1);
	EXPECT_EQ(rota_trace_start(100), 0);
	rota_trace_mark("kept", 2);
	EXPECT_EQ(rota_trace_start(SIZE_MAX), -ENOMEM);
	EXPECT_EQ(rota_trace_start(SIZE_MAX / 16), -ENOMEM);
	rota_trace_mark("also kept", 3);
	EXPECT_EQ(rota_trace_save(path), 0);
}

Test(trace, drops_what_was_there_when_it_starts)
{
	struct trace trace;

	make_path();
	run_task(start_again);
	trace = load();
	cr_expect_null(strstr(trace.text, "dropped"));
	cr_expect_not_null(strstr(trace.text, "\"kept\""));
	cr_expect_not_null(strstr(trace.text, "also kept"));
	unload(&trace);
}

static int set_name(void *arg)
{
	rota_task_set_name(arg);
	return rota_yield();
}

static void trace_names(void)
{
	struct rota_group group;

	EXPECT_EQ(rota_trace_start(0), 0);
	rota_group_open(&group, NULL);
	EXPECT_EQ(rota_group_spawn(&group, set_name, (char[]){ "a \"quoted\" name" }), 0);
	EXPECT_EQ(rota_group_spawn(&group, busy, NULL), 0);
	EXPECT_EQ(rota_group_close(&group, 0), 0);
	EXPECT_EQ(rota_trace_save(path), 0);
}

Test(trace, has_names)
{
	struct trace trace;

	make_path();
	run_task(trace_names);
	trace = load();
	cr_expect_geq(count_named(&trace, "a _quoted_ name"), 1);
	cr_expect_geq(count_named(&trace, "busy"), 20);
	unload(&trace);
}

Test(trace, is_written_at_the_stop_if_the_environment_says_so)
{
	struct trace trace;

	make_path();
	setenv("ROTA_TRACE", path, 1);
	run_task(work);
	trace = load();
	cr_expect_geq(count_named(&trace, "busy"), 100);
	unload(&trace);
}

Test(trace, that_cannot_be_written_is_a_warning)
{
	setenv("ROTA_TRACE", "/nonexistent/trace.json", 1);
	run_task(work);
	cr_expect_eq(the_log.lines, 1, "%s", the_log.text);
	cr_expect_not_null(
		strstr(the_log.text, "ROTA_TRACE=/nonexistent/trace.json"), "%s", the_log.text);
}

/* Starting, stopping and saving from a thread while tasks run. */
static struct a32 over;

static void *trace_on_thread(void *arg)
{
	for (int i = 0; i < 30; i++) {
		EXPECT_EQ(rota_trace_start(256), 0);
		EXPECT_EQ(rota_trace_save(path), 0);
	}
	a32_store_release(&over, 1);
	return arg;
}

static void work_until_over(void)
{
	pthread_t thread;

	EXPECT_EQ(pthread_create(&thread, NULL, trace_on_thread, NULL), 0);
	while (!a32_load_acquire(&over))
		work();
	pthread_join(thread, NULL);
}

Test(trace, from_a_thread_while_tasks_run)
{
	struct trace trace;

	if (is_simulated())
		return;
	make_path();
	run_task(work_until_over);
	trace = load();
	unload(&trace);
}
