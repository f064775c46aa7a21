/* SPDX-License-Identifier: MIT */
/* A wait without the mutex. */
/* expect: calling function 'rota_cond_wait' requires holding mutex 'mutex' exclusively */
#include <rota.h>

int wait(struct rota_cond *cond, struct rota_mutex *mutex);

int wait(struct rota_cond *cond, struct rota_mutex *mutex)
{
	return rota_cond_wait(cond, mutex);
}
