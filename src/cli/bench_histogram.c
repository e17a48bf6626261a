#include "cli/bench_histogram.h"

#include "base/defs.h"

void lv_histogram_merge(struct lv_histogram *histogram, const struct lv_histogram *other)
{
    assert(histogram != other);
    for (unsigned i = 0; i < LV_HISTOGRAM_BUCKETS; i++)
        histogram->buckets[i] += other->buckets[i];
    histogram->count += other->count;
    if (other->highest > histogram->highest)
        histogram->highest = other->highest;
}

/* The largest value that falls into a bucket. */
static uint64_t bucket_end(unsigned index)
{
    unsigned shift = index >> LV_HISTOGRAM_BITS;
    uint64_t low = index & ((1u << LV_HISTOGRAM_BITS) - 1);

    assert(index < LV_HISTOGRAM_BUCKETS);
    if (shift == 0)
        return index;
    shift--;
    return (((low + (1u << LV_HISTOGRAM_BITS)) << shift) - 1) + ((uint64_t)1 << shift);
}

uint64_t lv_histogram_quantile(const struct lv_histogram *histogram, double quantile)
{
    uint64_t wanted, seen = 0;

    assert(quantile >= 0);
    assert(quantile <= 1);
    if (histogram->count == 0)
        return 0;
    wanted = (uint64_t)(quantile * (double)histogram->count);
    if (wanted == 0)
        wanted = 1;
    for (unsigned i = 0; i < LV_HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen >= wanted) {
            uint64_t end = bucket_end(i);
            return end < histogram->highest ? end : histogram->highest;
        }
    }
    LV_IMPOSSIBLE("the buckets hold fewer values than were counted");
}
