/*
 * base/alloc.h - the one door to the heap.
 *
 * Every allocation in src/ goes through here, so that a test can make the n-th one fail. Sizes are
 * bytes; NULL means out of memory; size 0 gives a pointer that may be freed. Any thread.
 */
#pragma once

#include "base/defs.h"

#include <stddef.h>
#include <stdint.h>

/* Not zeroed. */
void *lv_alloc(size_t size) LV_MUST_CHECK;
/* Zeroed; overflow of count * size is out of memory. */
void *lv_calloc(size_t count, size_t size) LV_MUST_CHECK;
/* Takes `memory` (or NULL); when it returns NULL the old block is untouched and still owned. */
void *lv_realloc(void *memory, size_t size) LV_MUST_CHECK;
/* `alignment` is a power of two and divides `size`. */
void *lv_alloc_aligned(size_t alignment, size_t size) LV_MUST_CHECK;
/* Takes NULL. */
void lv_free(void *memory);
/* A terminated copy of `size` bytes. */
char *lv_strndup(const char *text, size_t size) LV_MUST_CHECK;

/* Tests only: the `after`-th allocation of this thread from now on fails (1: the next), and so
 * do all after it when `forever`. 0 lets all succeed. */
void lv_alloc_fail_after(uint64_t after, int forever);
