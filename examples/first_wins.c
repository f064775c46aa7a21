/* SPDX-License-Identifier: MIT */
/*
 * Several ways to the same answer: the first that succeeds wins, the others are cancelled and
 * joined before the call returns. A failure is no answer.
 */
#include <errno.h>
#include <stdio.h>

#include <rota.h>

struct mirror {
	const char *name;
	int64_t takes_ns;
	int status;
};

static int ask(void *arg)
{
	const struct mirror *mirror = arg;
	int err = rota_sleep(mirror->takes_ns);

	return err ? err : mirror->status;
}

static int app(int argc, char **argv)
{
	struct mirror mirrors[] = {
		{ "far", ROTA_SECOND, 0 },
		{ "broken", ROTA_MILLISECOND, -ECONNREFUSED },
		{ "near", 20 * ROTA_MILLISECOND, 0 },
	};
	struct rota_call calls[3] = { 0 };
	int winner;
	int none;

	(void)argc;
	(void)argv;
	for (int i = 0; i < 3; i++)
		calls[i] = (struct rota_call){ ask, &mirrors[i], mirrors[i].name, 0 };
	winner = rota_race(calls, 3);
	if (winner < 0)
		return winner;
	printf("%s wins; ", mirrors[winner].name);
	for (int i = 0; i < 3; i++)
		printf("%s: %s%s", mirrors[i].name,
			calls[i].status < 0 ? rota_status_name(calls[i].status) : "an answer",
			i < 2 ? ", " : "\n");

	mirrors[0].status = mirrors[2].status = -EHOSTUNREACH;
	mirrors[0].takes_ns = 30 * ROTA_MILLISECOND;
	none = rota_race(calls, 3);
	printf("nobody wins: %s, from the one that was last\n", rota_status_name(none));
	return winner == 2 && calls[1].status == -ECONNREFUSED && none == -EHOSTUNREACH ? 0 : 1;
}

int main(int argc, char **argv)
{
	return rota_main(app, argc, argv);
}
