/*
 * cli/bench_histogram.h - latencies, counted in buckets that keep their relative error below 1 %.
 *
 * Values below 128 have a bucket each; above, every power of two is cut into 128 buckets. Pure; one
 * thread writes, others read after it has ended.
 */
#pragma once

#include <stdint.h>

#define LV_HISTOGRAM_BITS    7u
#define LV_HISTOGRAM_BUCKETS ((64u - LV_HISTOGRAM_BITS + 1u) << LV_HISTOGRAM_BITS)

struct lv_histogram {
    uint64_t count;
    uint64_t highest;
    uint64_t buckets[LV_HISTOGRAM_BUCKETS];
};

/* Inline: it runs once per message. */
static inline void lv_histogram_add(struct lv_histogram *histogram, uint64_t value)
{
    unsigned top = 63u - (unsigned)__builtin_clzll(value | 1u);
    uint64_t index = value;

    if (top >= LV_HISTOGRAM_BITS) {
        unsigned shift = top - LV_HISTOGRAM_BITS;
        index = ((uint64_t)(shift + 1) << LV_HISTOGRAM_BITS) +
                ((value >> shift) & ((1u << LV_HISTOGRAM_BITS) - 1));
    }
    histogram->buckets[index]++;
    histogram->count++;
    if (value > histogram->highest)
        histogram->highest = value;
}

/* Adds all values of the other one. */
void lv_histogram_merge(struct lv_histogram *histogram, const struct lv_histogram *other);
/* The value that `quantile` (0..1) of all values do not exceed; 0 when there are none. */
uint64_t lv_histogram_quantile(const struct lv_histogram *histogram, double quantile);
