/* SPDX-License-Identifier: MIT */
/* Options and environment: checked once, at the start, with a message that says what to change. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/runtime.h"

#define TASKS_MAX_DEFAULT   (16u * 1024 * 1024)
#define SHUTDOWN_NS_DEFAULT (10 * ROTA_SECOND)
#define CONFIG_FLAGS                                                         \
	(ROTA_CONFIG_NO_PIN | ROTA_CONFIG_NO_WATCHDOG | ROTA_CONFIG_NO_ENV | \
		ROTA_CONFIG_ABORT_LATE | ROTA_CONFIG_DEBUG)

static ROTA__COLD int refuse(const struct rota_runtime *rt, int err, const char *what)
{
	rota__log(rt, ROTA_LOG_ERROR, "%s", what);
	return err;
}

/* A whole decimal number: false for anything else. */
static bool parse_number(const char *text, uint64_t *ret_number)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*ret_number = strtoull(text, &end, 10);
	return *end == '\0' && errno == 0;
}

static int read_loops(struct rota_runtime *rt)
{
	const char *text = secure_getenv("ROTA_LOOPS");
	uint64_t number;

	if (!text)
		return 0;
	if (!parse_number(text, &number) || number < 1 || number > LOOPS_MAX) {
		rota__log(rt, ROTA_LOG_ERROR,
			"ROTA_LOOPS=%s: set it to a number of loops from 1 to %d, or unset it for "
			"one loop per CPU",
			text, LOOPS_MAX);
		return -EINVAL;
	}
	if (!rt->config.loops)
		rt->config.loops = (uint32_t)number;
	return 0;
}

static int read_backend(struct rota_runtime *rt)
{
	const char *text = secure_getenv("ROTA_BACKEND");
	const char *seed = secure_getenv("ROTA_SIM");
	uint32_t backend = ROTA_BACKEND_AUTO;

	if (text && !strcmp(text, "uring"))
		backend = ROTA_BACKEND_URING;
	else if (text && !strcmp(text, "sim"))
		backend = ROTA_BACKEND_SIM;
	else if (text && !strcmp(text, "epoll"))
		backend = ROTA_BACKEND_EPOLL;
	else if (text && strcmp(text, "auto")) {
		rota__log(rt, ROTA_LOG_ERROR,
			"ROTA_BACKEND=%s: set it to uring, sim or auto, or unset it", text);
		return -EINVAL;
	}
	if (rt->config.backend == ROTA_BACKEND_AUTO)
		rt->config.backend = backend;
	if (!seed)
		return 0;
	if (!parse_number(seed, &rt->seed)) {
		rota__log(rt, ROTA_LOG_ERROR,
			"ROTA_SIM=%s: set it to a seed, a number from 0 to 2^64 - 1, or unset it "
			"to run for real",
			seed);
		return -EINVAL;
	}
	rt->config.backend = ROTA_BACKEND_SIM;
	return 0;
}

static int read_disable(struct rota_runtime *rt)
{
	static const struct {
		const char *name;
		uint32_t bit;
	} features[] = {
		{ "defer", ROTA__DISABLE_DEFER },
		{ "msgring", ROTA__DISABLE_MSGRING },
		{ "guard", ROTA__DISABLE_GUARD },
	};
	const char *at = secure_getenv("ROTA_DISABLE");

	while (at && *at) {
		size_t len = strcspn(at, ",");
		size_t i = 0;

		while (i < ARRAY_SIZE(features) &&
			(strlen(features[i].name) != len || strncmp(features[i].name, at, len)))
			i++;
		if (i == ARRAY_SIZE(features)) {
			rota__log(rt, ROTA_LOG_ERROR,
				"ROTA_DISABLE: no feature \"%.*s\": there are defer, msgring and "
				"guard",
				(int)len, at);
			return -EINVAL;
		}
		rt->disable |= features[i].bit;
		at += len + (at[len] == ',');
	}
	return 0;
}

static int read_environment(struct rota_runtime *rt)
{
	int err = read_loops(rt);

	if (!err)
		err = read_backend(rt);
	if (!err)
		err = read_disable(rt);
	return err;
}

static int check_config(struct rota_runtime *rt)
{
	const struct rota_config *config = &rt->config;

	for (size_t i = 0; i < ARRAY_SIZE(config->reserved); i++)
		if (config->reserved[i])
			return refuse(rt, -EINVAL, "rota_config.reserved must be zero");
	if (config->flags & ~CONFIG_FLAGS)
		return refuse(rt, -EINVAL, "rota_config.flags has an unknown bit");
	if (config->loops > LOOPS_MAX)
		return refuse(
			rt, -EINVAL, "rota_config.loops: at most 256 loops, 0 for one per CPU");
	if (config->shutdown_ns < 0)
		return refuse(rt, -EINVAL, "rota_config.shutdown_ns must not be negative");
	if (config->signals || config->stall_ns || config->on_stall)
		return refuse(rt, -ENOTSUP,
			"rota_config: signals, stall_ns and on_stall are not in this version; "
			"leave them zero");
	return 0;
}

int rota__config_read(struct rota_runtime *rt)
{
	int err = check_config(rt);

	if (!err && !(rt->config.flags & ROTA_CONFIG_NO_ENV))
		err = read_environment(rt);
	if (err)
		return err;
	err = rota__stack_class(rt->config.stack_bytes);
	if (err < 0)
		return refuse(rt, err, "rota_config.stack_bytes: at most 8 MiB");
	rt->stack_class = (unsigned int)err;
	rt->tasks.blocks_max = rt->config.tasks_max ? rt->config.tasks_max : TASKS_MAX_DEFAULT;
	if (!rt->config.shutdown_ns)
		rt->config.shutdown_ns = SHUTDOWN_NS_DEFAULT;
	rt->pin = !(rt->config.flags & ROTA_CONFIG_NO_PIN);
	switch (rt->config.backend) {
	case ROTA_BACKEND_AUTO:
	case ROTA_BACKEND_URING:
		rt->backend = &rota__backend_uring;
		return 0;
	case ROTA_BACKEND_SIM:
		rt->backend = &rota__backend_sim;
		return 0;
	case ROTA_BACKEND_EPOLL:
		return refuse(rt, -ENOTSUP, "the epoll backend is not in this version: use uring");
	default:
		return refuse(rt, -EINVAL, "rota_config.backend: unknown");
	}
}
