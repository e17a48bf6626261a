/*
 * base/defs.h - the few words of C that every room uses.
 *
 * Nothing here has state; any thread may use it.
 */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

/* The result must be looked at: these functions fail for reasons that a caller has to answer. */
#define LV_MUST_CHECK __attribute__((warn_unused_result))

/* Leaves a library although everything else is hidden (-fvisibility=hidden). */
#define LV_API __attribute__((visibility("default")))

/* Formats like printf: argument `fmt` is the format, `args` the first of its arguments. */
#define LV_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* The object that holds `member` at address `pointer`. */
#define lv_container(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define LV_COUNT(array)        (sizeof(array) / sizeof((array)[0]))

#define LV_LIKELY(condition)   __builtin_expect(!!(condition), 1)
#define LV_UNLIKELY(condition) __builtin_expect(!!(condition), 0)
/* For what every message passes and the compiler would call because it stands in two places. */
#define LV_ALWAYS_INLINE inline __attribute__((always_inline))

/* Closes an exhaustive switch or a case that our own code has ruled out. */
#define LV_IMPOSSIBLE(why)                                                                         \
    do {                                                                                           \
        assert(0 && why);                                                                          \
        abort();                                                                                   \
    } while (0)

/* An assert whose cost shows; test builds define LV_EXPENSIVE_ASSERTS. */
#ifdef LV_EXPENSIVE_ASSERTS
#define LV_EXPENSIVE_ASSERT(condition) assert(condition)
#else
#define LV_EXPENSIVE_ASSERT(condition) ((void)0)
#endif
