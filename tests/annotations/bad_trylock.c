/* SPDX-License-Identifier: MIT */
/* A lock that may have failed, and an unlock in any case. */
/* expect: 'mutex' that was not held */
/* expect: 'mutex' is not held on every path through here */
#include <rota.h>

int try(struct rota_mutex *mutex);

int try(struct rota_mutex *mutex)
{
	int err = rota_mutex_lock_cancelable(mutex);

	if (err)
		rota_mutex_unlock(mutex);
	return err;
}
