/* SPDX-License-Identifier: MIT */
/* One run of the runtime. */
#include "engine.h"

#include <rota/observe.h>
#include <rota/runtime.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

struct engine {
	rota_task_fn *fn;
	void *arg;
	struct engine_report *report;
	int64_t called_ns;
	bool ran;
};

static int engine_main(void *arg)
{
	struct engine *engine = arg;
	struct engine_report *report = engine->report;
	struct rota_stats stats = { 0 };
	int status;

	engine->ran = true;
	report->start_ns = rota_now() - engine->called_ns;
	report->loops = rota_loop_count();
	snprintf(report->backend, sizeof(report->backend), "%s", rota_backend_name());
	status = engine->fn(engine->arg);
	rota_stats_get(&stats, sizeof(stats), -1);
	report->stolen = stats.tasks_stolen;
	return status;
}

int engine_run(unsigned int loops, rota_task_fn *fn, void *arg, struct engine_report *ret_report)
{
	struct engine engine = {
		.fn = fn, .arg = arg, .report = ret_report, .called_ns = rota_now()
	};
	struct rota_config config = { .loops = loops };
	const char *environment = getenv("ROTA_LOOPS");
	char *saved = environment && loops > 0 ? strdup(environment) : NULL;
	int status;

	/* ROTA_LOOPS beats the config, but a run on one loop is about the one loop. */
	if (saved)
		unsetenv("ROTA_LOOPS");
	status = rota_run(engine_main, &engine, &config);
	if (saved)
		setenv("ROTA_LOOPS", saved, 1);
	free(saved);
	if (!engine.ran)
		text_complain("the runtime does not start: %s", rota_status_text(status));
	else if (status < 0)
		text_complain("a run failed: %s", rota_status_text(status));
	return status;
}

unsigned int engine_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return (unsigned int)CPU_COUNT(&set);
}
