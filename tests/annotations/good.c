/* SPDX-License-Identifier: MIT */
/* What is right: silent. */
#include <errno.h>

#include <rota.h>

int open_and_close(int bad);
int forms_that_close_themselves(int bad);
int within(void);
int locks(struct rota_mutex *mutex, struct rota_rwlock *lock, struct rota_cond *cond);

int open_and_close(int bad)
{
	struct rota_group group;
	struct rota_scope scope;
	int err;

	rota_group_open(&group, NULL);
	rota_scope_open(&scope, ROTA_SECOND);
	err = rota_scope_close(&scope, bad ? -EINVAL : 0);
	return rota_group_close(&group, err);
}

int forms_that_close_themselves(int bad)
{
	ROTA_GROUP(group, NULL);
	ROTA_SCOPE(scope, ROTA_SECOND);
	ROTA_SHIELD(shield, ROTA_SECOND);

	if (bad)
		return -EINVAL;
	return rota_sleep(1000);
}

int within(void)
{
	return ROTA_WITHIN(ROTA_SECOND, ROTA_WITHIN(ROTA_MILLISECOND, rota_yield()));
}

int locks(struct rota_mutex *mutex, struct rota_rwlock *lock, struct rota_cond *cond)
{
	int err = rota_mutex_lock_cancelable(mutex);

	if (err)
		return err;
	err = rota_cond_wait(cond, mutex);
	rota_mutex_unlock(mutex);
	rota_rwlock_rdlock(lock);
	rota_rwlock_rdunlock(lock);
	if (!rota_rwlock_trywrlock(lock))
		rota_rwlock_wrunlock(lock);
	return err;
}
