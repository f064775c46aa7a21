/* SPDX-License-Identifier: MIT */
/* Attributes and small macros of the compiler that every room may use. */
#ifndef ROTA_BASE_ATTR_H
#define ROTA_BASE_ATTR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define ROTA__NOINLINE	    __attribute__((noinline))
#define ROTA__ALWAYS_INLINE inline __attribute__((always_inline))
#define ROTA__NORETURN	    __attribute__((noreturn))
#define ROTA__COLD	    __attribute__((cold, noinline))
#define ROTA__FORMAT(s, f)  __attribute__((format(printf, s, f)))

/* Two loops never write to one of these: adjacent-line prefetch makes it two lines on x86. */
#define ROTA__CACHE_LINE   64
#define ROTA__LINE_ALIGNED __attribute__((aligned(2 * ROTA__CACHE_LINE)))

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define ARRAY_SIZE(a)			(sizeof(a) / sizeof((a)[0]))

/* The compiler may not move memory accesses across; the CPU may. */
#define compiler_barrier() __asm__ volatile("" ::: "memory")

#if defined(__SANITIZE_THREAD__)
#define ROTA__TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ROTA__TSAN 1
#endif
#endif
#ifndef ROTA__TSAN
#define ROTA__TSAN 0
#endif

#if defined(__SANITIZE_ADDRESS__)
#define ROTA__ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ROTA__ASAN 1
#endif
#endif
#ifndef ROTA__ASAN
#define ROTA__ASAN 0
#endif

#endif
