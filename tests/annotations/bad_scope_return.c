/* SPDX-License-Identifier: MIT */
/* A return that leaves a scope open. */
/* expect: 's' is not held on every path through here */
#include <errno.h>

#include <rota.h>

int leave(int bad);

int leave(int bad)
{
	struct rota_scope s;

	rota_scope_open(&s, ROTA_SECOND);
	if (bad)
		return -EINVAL;
	return rota_scope_close(&s, 0);
}
