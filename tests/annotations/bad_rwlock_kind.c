/* SPDX-License-Identifier: MIT */
/* Locked for reading, unlocked as a writer. */
/* expect: 'lock' using exclusive access, expected shared */
#include <rota.h>

void read(struct rota_rwlock *lock);

void read(struct rota_rwlock *lock)
{
	rota_rwlock_rdlock(lock);
	rota_rwlock_wrunlock(lock);
}
