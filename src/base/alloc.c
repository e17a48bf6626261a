#include "base/alloc.h"

#include <stdbool.h>
#include <string.h>

/* 0: nothing fails; 1: the next allocation does. Each thread has its own, so a test that runs dry
 * does not disturb the threads beside it. */
static _Thread_local uint64_t countdown;
static _Thread_local bool fails_forever;

/* Out of line: in production this is never reached. */
static __attribute__((noinline, cold)) bool count_down(void)
{
    assert(countdown > 0);
    if (countdown > 1) {
        countdown--;
        return false;
    }
    countdown = fails_forever ? 1 : 0;
    return true;
}

/* One compare when no test is counting. */
static inline bool must_fail(void)
{
    return LV_UNLIKELY(countdown != 0) && count_down();
}

/* malloc(0) and realloc(p, 0) may answer NULL, which here means out of memory and nothing else. */
static inline size_t at_least_one(size_t size)
{
    return size > 0 ? size : 1;
}

/* Of size 0 too it gives a block, so that NULL always means out of memory. */
void *lv_alloc(size_t size)
{
    if (must_fail())
        return NULL;
    return malloc(at_least_one(size));
}

/* Sizes may be a peer's product of two numbers; one that overflows is out of memory. */
void *lv_calloc(size_t count, size_t size)
{
    size_t total;

    assert(size > 0);
    if (must_fail() || __builtin_mul_overflow(count, size, &total))
        return NULL;
    return calloc(1, at_least_one(total));
}

/* The old block stays as it is on failure. */
void *lv_realloc(void *memory, size_t size)
{
    if (must_fail())
        return NULL;
    return realloc(memory, at_least_one(size));
}

/* For pages of the log: aligned to their size, so that an address leads to its page. */
void *lv_alloc_aligned(size_t alignment, size_t size)
{
    assert(alignment > 0);
    assert((alignment & (alignment - 1)) == 0);
    assert(size > 0);
    assert(size % alignment == 0);
    if (must_fail())
        return NULL;
    return aligned_alloc(alignment, size);
}

/* One function to free everything, whatever allocated it. */
void lv_free(void *memory)
{
    free(memory);
}

/* With a 0 behind it; the text may hold others. */
char *lv_strndup(const char *text, size_t size)
{
    char *copy;

    assert(size < SIZE_MAX);
    copy = lv_alloc(size + 1);
    if (copy == NULL)
        return NULL;
    if (size > 0)
        memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

/* For tests only; the count is for all threads together. */
void lv_alloc_fail_after(uint64_t after, int forever)
{
    countdown = after;
    fails_forever = forever != 0;
}
