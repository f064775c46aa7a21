/* SPDX-License-Identifier: MIT */
/* A return that leaves a group open: its members would use a frame that has gone. */
/* expect: 'g' is not held on every path through here */
#include <errno.h>

#include <rota.h>

int leave(rota_task_fn *fn);

int leave(rota_task_fn *fn)
{
	struct rota_group g;

	rota_group_open(&g, NULL);
	if (rota_group_spawn(&g, fn, NULL))
		return -ENOMEM;
	return rota_group_close(&g, 0);
}
