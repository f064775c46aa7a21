/* SPDX-License-Identifier: MIT */
/*
 * Starting where something is missing or forbidden: one clear line and an error, no crash, no
 * hang (B18, B19). Each case is a child, since what is given up here does not come back.
 */
#include "unit.h"

#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

TestSuite(limits, .timeout = HANG_SECONDS);

#define NOBODY 65534

/* How a child says what rota_run() returned. */
#define RAN	     42
#define COULD_NOT    99
#define CODE(status) ((status) < 0 ? -(status) : (status))

static int run_two_loops(void *arg)
{
	const struct rota_config config = { .loops = 2, .flags = ROTA_CONFIG_NO_ENV };
	int status = rota_run(task_return, STATUS(RAN), &config);

	(void)arg;
	return CODE(status);
}

static void expect_one_line(const struct child *child, int err, const char *part)
{
	cr_expect(child_exited(child, err), "wait status %x, not an exit with %d: %s",
		child->wait_status, err, child->err);
	cr_expect_eq(lines_of(child->err), 1, "not one line: %s", child->err);
	cr_expect_eq(strncmp(child->err, "rota: ", 6), 0, "%s", child->err);
	cr_expect_not_null(strstr(child->err, part), "no \"%s\" in %s", part, child->err);
}

static void expect_good(const struct child *child)
{
	cr_expect(child_exited(child, RAN), "wait status %x: %s", child->wait_status, child->err);
	cr_expect_str_empty(child->err);
}

/* A seccomp filter that answers one io_uring call with an errno. */
struct forbidden {
	unsigned int call;
	unsigned int err;
};

static bool forbid(const struct forbidden *forbidden)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, forbidden->call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | forbidden->err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = ARRAY_SIZE(filter), .filter = filter };

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int run_forbidden(void *arg)
{
	return forbid(arg) ? run_two_loops(NULL) : COULD_NOT;
}

Test(limits, io_uring_setup_forbidden)
{
	static const struct {
		unsigned int err;
		const char *part;
	} cases[] = { { EPERM, "io_uring is forbidden (EPERM)" },
		{ EACCES, "io_uring is forbidden (EACCES)" },
		{ ENOSYS, "io_uring is missing (ENOSYS)" } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct forbidden forbidden = { __NR_io_uring_setup, cases[i].err };
		struct child *child = run_child(run_forbidden, &forbidden);

		if (child_exited(child, COULD_NOT))
			cr_skip_test("no seccomp filters here");
		/* EACCES is one more way to forbid it. */
		expect_one_line(
			child, cases[i].err == EACCES ? EPERM : (int)cases[i].err, cases[i].part);
		cr_expect_not_null(strstr(child->err, "seccomp"), "%s", child->err);
	}
}

Test(limits, io_uring_register_forbidden)
{
	static const unsigned int errs[] = { EPERM, EACCES, ENOSYS };

	for (size_t i = 0; i < ARRAY_SIZE(errs); i++) {
		struct forbidden forbidden = { __NR_io_uring_register, errs[i] };
		struct child *child = run_child(run_forbidden, &forbidden);

		if (child_exited(child, COULD_NOT))
			cr_skip_test("no seccomp filters here");
		expect_one_line(child, EPERM, "io_uring_register is forbidden");
	}
}

static int sleep_a_little(void *arg)
{
	(void)arg;
	return rota_sleep(ROTA_MILLISECOND) ? 1 : RAN;
}

static int run_forbidden_sleep(void *arg)
{
	const struct rota_config config = { .loops = 2, .flags = ROTA_CONFIG_NO_ENV };

	int status;

	if (!forbid(arg))
		return COULD_NOT;
	status = rota_run(sleep_a_little, NULL, &config);
	return CODE(status);
}

Test(limits, io_uring_enter_forbidden)
{
	static const unsigned int errs[] = { EPERM, EACCES, ENOSYS };

	for (size_t i = 0; i < ARRAY_SIZE(errs); i++) {
		struct forbidden forbidden = { __NR_io_uring_enter, errs[i] };
		struct child *child = run_child(run_forbidden_sleep, &forbidden);

		if (child_exited(child, COULD_NOT))
			cr_skip_test("no seccomp filters here");
		expect_one_line(child, errs[i] == ENOSYS ? ENOSYS : EPERM, "io_uring_enter");
		cr_expect_not_null(strstr(child->err, "seccomp"), "%s", child->err);
	}
}

static int run_simulated(void *arg)
{
	const struct rota_config config = {
		.loops = 2,
		.flags = ROTA_CONFIG_NO_ENV,
		.backend = ROTA_BACKEND_SIM,
		.on_log = keep_log,
	};

	if (!forbid(arg))
		return COULD_NOT;
	return CODE(rota_run(task_return, STATUS(RAN), &config));
}

Test(limits, simulation_needs_no_io_uring)
{
	struct forbidden forbidden = { __NR_io_uring_setup, EPERM };
	struct child *child = run_child(run_simulated, &forbidden);

	if (child_exited(child, COULD_NOT))
		cr_skip_test("no seccomp filters here");
	expect_good(child);
}

/* Optional features that the kernel does not have, played by a filter or by ROTA_DISABLE. */
static int run_disabled(void *arg)
{
	const struct rota_config config = { .loops = 2 };

	setenv("ROTA_DISABLE", arg, 1);
	return CODE(rota_run(task_return, STATUS(RAN), &config));
}

Test(limits, optional_features_may_be_missing)
{
	static const char *const features[] = { "defer", "msgring", "guard",
		"defer,msgring,guard" };

	for (size_t i = 0; i < ARRAY_SIZE(features); i++)
		expect_good(run_child(run_disabled, (void *)(uintptr_t)features[i]));
}

/* Limits of a user without privileges. */

struct rlimits {
	int resource;
	rlim_t bytes;
};

static int run_limited(void *arg)
{
	const struct rlimits *limits = arg;
	struct rlimit limit = { limits->bytes, limits->bytes };

	if (setrlimit((__rlimit_resource_t)limits->resource, &limit))
		return COULD_NOT;
	if (getuid() == 0 && (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY)))
		return COULD_NOT;
	return run_two_loops(NULL);
}

Test(limits, without_privileges_it_runs)
{
	struct rlimits limits = { RLIMIT_CORE, 0 };

	expect_good(run_child(run_limited, &limits));
}

Test(limits, no_locked_memory)
{
	struct rlimits limits = { RLIMIT_MEMLOCK, 0 };
	struct child *child = run_child(run_limited, &limits);

	if (child_exited(child, COULD_NOT))
		cr_skip_test("the limit cannot be set here");
	if (child_exited(child, RAN))
		cr_skip_test("this kernel does not charge rings to RLIMIT_MEMLOCK");
	expect_one_line(child, ENOMEM, "RLIMIT_MEMLOCK is 0 KiB");
	cr_expect_not_null(strstr(child->err, "ulimit -l"), "%s", child->err);
}

/* Every number of descriptors from too few for anything to enough. */
Test(limits, too_few_descriptors)
{
	unsigned int said = 0;

	for (rlim_t n = 3; n < 24; n++) {
		struct rlimits limits = { RLIMIT_NOFILE, n };
		struct child *child = run_child(run_limited, &limits);

		if (child_exited(child, RAN)) {
			expect_good(child);
			continue;
		}
		expect_one_line(child, EMFILE, "RLIMIT_NOFILE");
		cr_expect_not_null(strstr(child->err, "ulimit -n"), "%s", child->err);
		said++;
	}
	cr_expect_gt(said, 0);
}

Test(limits, no_threads)
{
	struct rlimits limits = { RLIMIT_NPROC, 0 };
	struct child *child;

	if (getuid() != 0)
		cr_skip_test("needs root, to become a user who has no process yet");
	child = run_child(run_limited, &limits);
	if (child_exited(child, COULD_NOT))
		cr_skip_test("the limit cannot be set here");
	expect_one_line(child, EAGAIN, "no thread for loop 1");
	cr_expect_not_null(strstr(child->err, "ulimit -u"), "%s", child->err);
}

static int start_with_little(void *arg)
{
	const struct rota_config config = { .loops = 2, .flags = ROTA_CONFIG_NO_ENV };
	const struct rlimit limit = { *(rlim_t *)arg, *(rlim_t *)arg };
	struct rota_runtime *rt;
	int err;

	if (setrlimit(RLIMIT_AS, &limit))
		return COULD_NOT;
	err = rota_start(&rt, &config);
	return err ? CODE(err) : rota_stop(rt) ? 1 : RAN;
}

static int run_with_little(void *arg)
{
	const struct rlimit limit = { *(rlim_t *)arg, *(rlim_t *)arg };

	return setrlimit(RLIMIT_AS, &limit) ? COULD_NOT : run_two_loops(NULL);
}

/* Refused with a line, or good: never a crash, never a hang, never good without having run. */
static void expect_run_or_refused(int (*fn)(void *arg))
{
	if (ROTA__ASAN)
		cr_skip_test("the address sanitizer needs terabytes of it");
	for (rlim_t mib = 16; mib <= 256; mib += 8) {
		rlim_t bytes = mib << 20;
		struct child *child = run_child(fn, &bytes);

		if (child_exited(child, RAN))
			continue;
		cr_expect(child_exited(child, ENOMEM) || child_exited(child, EAGAIN),
			"%zu MiB: %x %s", (size_t)mib, child->wait_status, child->err);
		cr_expect_geq(lines_of(child->err), 1, "%zu MiB: not a word", (size_t)mib);
	}
}

Test(limits, run_in_little_address_space)
{
	expect_run_or_refused(run_with_little);
}

Test(limits, start_in_little_address_space)
{
	expect_run_or_refused(start_with_little);
}
