/* SPDX-License-Identifier: MIT */
/*
 * What every public header needs: attributes, time units, the error vocabulary, the version.
 * Includes no other header of the library.
 */
#ifndef ROTA_BASE_H
#define ROTA_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define ROTA_BEGIN_DECLS extern "C" {
#define ROTA_END_DECLS	 }
#else
#define ROTA_BEGIN_DECLS
#define ROTA_END_DECLS
#endif

/* The version of this header: 10000 * major + 100 * minor + patch. */
#define ROTA_VERSION_NUMBER 100

/* The only symbols that the shared library exports carry this. */
#define ROTA_API		   __attribute__((visibility("default")))
/* The compiler warns when the result is not looked at. */
#define ROTA_MUST_CHECK		   __attribute__((warn_unused_result))
/* The compiler checks a printf-like format string. */
#define ROTA_FORMAT(string, first) __attribute__((format(printf, string, first)))

/*
 * For clang's -Wthread-safety: locks, scopes and groups are capabilities, so that a path that
 * leaves one behind is a warning at compile time. Nothing for other compilers.
 */
#if defined(__clang__)
#define ROTA_TSA_(x) __attribute__((x))
#else
#define ROTA_TSA_(x)
#endif
#define ROTA_CAPABILITY(name)	      ROTA_TSA_(capability(name))
#define ROTA_ACQUIRE(x)		      ROTA_TSA_(acquire_capability(x))
#define ROTA_ACQUIRE_SHARED(x)	      ROTA_TSA_(acquire_shared_capability(x))
#define ROTA_TRY_ACQUIRE(v, x)	      ROTA_TSA_(try_acquire_capability(v, x))
#define ROTA_TRY_ACQUIRE_SHARED(v, x) ROTA_TSA_(try_acquire_shared_capability(v, x))
#define ROTA_RELEASE(x)		      ROTA_TSA_(release_capability(x))
#define ROTA_RELEASE_SHARED(x)	      ROTA_TSA_(release_shared_capability(x))
#define ROTA_REQUIRES(x)	      ROTA_TSA_(requires_capability(x))
#define ROTA_ASSERT_HELD(x)	      ROTA_TSA_(assert_capability(x))

/* Time is int64_t nanoseconds: rota_sleep(5 * ROTA_SECOND). */
#define ROTA_NANOSECOND	 ((int64_t)1)
#define ROTA_MICROSECOND ((int64_t)1000)
#define ROTA_MILLISECOND ((int64_t)1000000)
#define ROTA_SECOND	 ((int64_t)1000000000)
/* A duration or a deadline that never comes. */
#define ROTA_FOREVER	 INT64_MAX

/* A site: one string with static storage, "name (file:line)". */
#define ROTA_STRING_(x)	  #x
#define ROTA_STRING(x)	  ROTA_STRING_(x)
#define ROTA_PASTE_(a, b) a##b
#define ROTA_PASTE(a, b)  ROTA_PASTE_(a, b)
#ifdef __FILE_NAME__
#define ROTA_SITE(name) name " (" __FILE_NAME__ ":" ROTA_STRING(__LINE__) ")"
#else
#define ROTA_SITE(name) name " (" __FILE__ ":" ROTA_STRING(__LINE__) ")"
#endif

ROTA_BEGIN_DECLS

/*
 * What a task runs. Returns >= 0 for good, < 0 a negative errno. A function type:
 * `static rota_task_fn serve;` declares one, `rota_task_fn *fn` points to one.
 */
typedef int rota_task_fn(void *arg);

/* The version of the library that runs, to compare with ROTA_VERSION_NUMBER. Any context. */
ROTA_API int rota_version(void);

/*
 * "Connection refused" for -ECONNREFUSED (a positive errno will do too), "success" for 0 and
 * for other positive numbers "unknown status". Never NULL; static storage. Any context.
 */
ROTA_API const char *rota_status_text(int status);

/* "ECONNREFUSED" for -ECONNREFUSED, "0" for 0, "unknown" for what has no name. Any context. */
ROTA_API const char *rota_status_name(int status);

/* Now, in ns, on the monotonic clock (the virtual one under simulation). Any thread. */
ROTA_API int64_t rota_now(void);

/* Nanoseconds since 1970-01-01 UTC (virtual under simulation). Any thread. */
ROTA_API int64_t rota_time_wall(void);

/*
 * Fills buf with len random bytes, good enough for keys; from the seed under simulation.
 * Any thread. Aborts when the kernel has no random source at all.
 */
ROTA_API void rota_random(void *buf, size_t len);

ROTA_END_DECLS

#endif
