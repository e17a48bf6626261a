/*
 * cli/bench_seen.h - which of the numbers 0, 1, 2, … have come: finds every loss and duplicate.
 *
 * Numbers come mostly in order, so all below `base` have come and a window of bits behind it holds
 * what came early. Memory grows with the largest gap, not with the count. Pure; one owner.
 */
#pragma once

#include "base/defs.h"

#include <stdbool.h>
#include <stdint.h>

/* A number this far ahead of the lowest missing one is foreign: 32 MiB of bits. */
#define LV_SEEN_WINDOW_MAX ((uint64_t)1 << 28)

enum lv_seen_result { LV_SEEN_NEW, LV_SEEN_AGAIN, LV_SEEN_FOREIGN, LV_SEEN_NOMEM };

/* All zeros is one that has seen nothing. */
struct lv_seen {
    uint64_t base;   /* every number below has come */
    uint64_t count;  /* numbers that have come */
    uint64_t *words; /* own   bit n & (window - 1) stands for number n */
    uint64_t window; /*       bits, a power of two, or 0 */
};

/* May be used again after it. */
void lv_seen_fini(struct lv_seen *seen);

/* What lv_seen_add() does when numbers have come early or twice. */
enum lv_seen_result lv_seen_add_unordered(struct lv_seen *seen, uint64_t number);

/* Inline: it runs once per message. */
static inline enum lv_seen_result lv_seen_add(struct lv_seen *seen, uint64_t number)
{
    if (LV_UNLIKELY(number != seen->base || seen->count != seen->base))
        return lv_seen_add_unordered(seen, number);
    seen->base++;
    seen->count++;
    return LV_SEEN_NEW;
}
