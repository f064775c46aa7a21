/* SPDX-License-Identifier: MIT */
/* An unlock of what nobody locked. */
/* expect: 'mutex' that was not held */
#include <rota.h>

void unlock(struct rota_mutex *mutex);

void unlock(struct rota_mutex *mutex)
{
	rota_mutex_unlock(mutex);
}
