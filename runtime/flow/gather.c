/* SPDX-License-Identifier: MIT */
/* Running several calls at once. */
#include <errno.h>

#include "flow/group.h"

static int call_task(void *arg)
{
	struct rota_call *call = arg;

	call->status = call->fn(call->arg);
	return call->status;
}

int rota_gather(struct rota_call *calls, size_t count)
{
	struct loop *loop = rota__loop_self();
	struct rota_group group;
	int err = 0;

	if (!loop || !loop->running)
		return rota__no_loop();
	for (size_t i = 0; i < count; i++)
		calls[i].status = 0;
	rota_group_open_at("gather", &group, NULL);
	for (size_t i = 0; i < count && !err; i++) {
		struct rota_spawn_options options = { .name = calls[i].name };

		if (!calls[i].fn)
			err = -EINVAL;
		else
			err = rota_group_spawn_at(calls[i].name ? "gather" : "call", &group,
				call_task, &calls[i], NULL, calls[i].name ? &options : NULL);
	}
	return rota_group_close(&group, err);
}
