/* SPDX-License-Identifier: MIT */
/* A return that keeps a mutex. */
/* expect: 'mutex' is not held on every path through here */
#include <rota.h>

int leave(struct rota_mutex *mutex, int bad);

int leave(struct rota_mutex *mutex, int bad)
{
	rota_mutex_lock(mutex);
	if (bad)
		return -1;
	rota_mutex_unlock(mutex);
	return 0;
}
