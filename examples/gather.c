/* SPDX-License-Identifier: MIT */
/*
 * The classic picture: three waits at once. One after another they take as long as their sum,
 * gathered as long as the slowest; and the first error ends the others.
 */
#include <errno.h>
#include <stdio.h>

#include <rota.h>

struct fetch {
	const char *what;
	int64_t takes_ns;
	int fails; /* a negative errno, or 0 */
};

/* Stands for a request over the network. */
static int fetch(void *arg)
{
	const struct fetch *f = arg;
	int err = rota_sleep(f->takes_ns);

	if (err) {
		printf("  %-9s cut short: %s\n", f->what, rota_cancel_reason());
		return err;
	}
	if (f->fails)
		return rota_fail(f->fails, "no %s today", f->what);
	printf("  %-9s arrived\n", f->what);
	return 0;
}

static double seconds_since(int64_t start_ns)
{
	return (double)(rota_now() - start_ns) / (double)ROTA_SECOND;
}

static int app(int argc, char **argv)
{
	struct fetch user = { "user", 100 * ROTA_MILLISECOND, 0 };
	struct fetch posts = { "posts", 200 * ROTA_MILLISECOND, 0 };
	struct fetch comments = { "comments", 300 * ROTA_MILLISECOND, 0 };
	struct rota_call calls[] = {
		{ .fn = fetch, .arg = &user, .name = "user" },
		{ .fn = fetch, .arg = &posts, .name = "posts" },
		{ .fn = fetch, .arg = &comments, .name = "comments" },
	};
	int64_t start_ns = rota_now();
	int err;

	(void)argc;
	(void)argv;
	printf("one after another:\n");
	for (size_t i = 0; i < 3; i++) {
		err = calls[i].fn(calls[i].arg);
		if (err)
			return err;
	}
	printf("  %.1f s\n", seconds_since(start_ns));

	start_ns = rota_now();
	printf("gathered:\n");
	err = rota_gather(calls, 3);
	if (err)
		return err;
	printf("  %.1f s\n", seconds_since(start_ns));

	start_ns = rota_now();
	printf("gathered, and posts fail:\n");
	posts.fails = -ENOENT;
	err = rota_gather(calls, 3);
	printf("  %.1f s, %s; statuses: user %s, posts %s, comments %s\n", seconds_since(start_ns),
		rota_status_name(err), rota_status_name(calls[0].status),
		rota_status_name(calls[1].status), rota_status_name(calls[2].status));
	fflush(stdout);
	rota_error_print(rota_error_last(), 1); /* who failed, why, who waited for it */

	/* The one that had arrived keeps its result, the slow one was cancelled. */
	return err == -ENOENT && calls[0].status == 0 && calls[2].status == -ECANCELED ? 0 : 1;
}

int main(int argc, char **argv)
{
	return rota_main(app, argc, argv);
}
