/* SPDX-License-Identifier: MIT */
/* A group that is closed twice. */
/* expect: 'g' that was not held */
#include <rota.h>

int twice(void);

int twice(void)
{
	struct rota_group g;
	int err;

	rota_group_open(&g, NULL);
	err = rota_group_close(&g, 0);
	return err ? err : rota_group_close(&g, 0);
}
