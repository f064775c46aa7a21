/* SPDX-License-Identifier: MIT */
/*
 * Deadlines: one call, a block of calls, a retry loop under an outer deadline, and cleaning up
 * after one has struck. Inside a struck scope every call returns -ECANCELED; only the close of the
 * scope whose deadline it was says -ETIMEDOUT.
 */
#include <errno.h>
#include <stdio.h>

#include <rota.h>

static const char *name(int status)
{
	return status >= 0 ? "done" : rota_status_name(status);
}

/* Two steps under one deadline. */
static int two_steps(int64_t first_ns, int64_t second_ns)
{
	struct rota_scope scope;
	int err;

	rota_scope_open(&scope, 100 * ROTA_MILLISECOND);
	err = rota_sleep(first_ns);
	if (!err)
		err = rota_sleep(second_ns);
	return rota_scope_close(&scope, err);
}

/* Tries again whenever an attempt times out. An outer deadline ends it: that is -ECANCELED here. */
static int try_for_ever(int *ret_attempts)
{
	int err;

	do {
		++*ret_attempts;
		err = ROTA_WITHIN(20 * ROTA_MILLISECOND, rota_sleep(ROTA_SECOND));
	} while (err == -ETIMEDOUT);
	return err;
}

/* What a cancelled task has to do before it leaves gets time of its own. */
static int say_goodbye(void)
{
	ROTA_SHIELD(shield, 50 * ROTA_MILLISECOND);

	return rota_sleep(10 * ROTA_MILLISECOND);
}

static int worker(void *arg)
{
	int *goodbye = arg;
	int err = rota_sleep(ROTA_FOREVER);

	*goodbye = say_goodbye();
	return err;
}

static int app(int argc, char **argv)
{
	struct rota_group group;
	int attempts = 0;
	int goodbye = -1;
	int quick, slow, retried, whole;

	(void)argc;
	(void)argv;
	quick = two_steps(10 * ROTA_MILLISECOND, 10 * ROTA_MILLISECOND);
	slow = two_steps(10 * ROTA_MILLISECOND, ROTA_SECOND);
	printf("two steps in time: %s; with a slow one: %s\n", name(quick), name(slow));

	retried = ROTA_WITHIN(100 * ROTA_MILLISECOND, try_for_ever(&attempts));
	printf("retried %d times, then the outer deadline: %s\n", attempts, name(retried));

	rota_group_open(
		&group, &(struct rota_group_options){ .timeout_ns = 50 * ROTA_MILLISECOND });
	rota_group_spawn(&group, worker, &goodbye);
	whole = rota_group_close(&group, 0);
	printf("a group with a timeout: %s; its member said goodbye: %s\n", name(whole),
		name(goodbye));

	return quick == 0 && slow == -ETIMEDOUT && retried == -ETIMEDOUT && attempts > 1 &&
			       whole == -ETIMEDOUT && goodbye == 0
		       ? 0
		       : 1;
}

int main(int argc, char **argv)
{
	return rota_main(app, argc, argv);
}
