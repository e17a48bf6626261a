/*
 * store/segment_set.h - messages to write into segments, and what must come back from them.
 *
 * Tests only. A message's bytes follow from its queue and number, so that one that is shown in
 * another's place is noticed.
 */
#pragma once

#include "base/random.h"
#include "store/segment.h"

struct lv_segment_set {
    struct lv_segment_entry *entries; /* own */
    size_t count, room;
};

/* Appends one. */
void lv_segment_set_add(struct lv_segment_set *set, uint64_t queue_id, uint64_t seq, uint32_t size,
                        uint32_t flags);
/* `count` messages over some of `queue_count` queues, with gaps between their numbers and all
 * flags, in the order of their numbers. */
void lv_segment_set_draw(struct lv_segment_set *set, struct lv_random *random, size_t count,
                         size_t queue_count, uint32_t size_max);
/* In an order that no log has. */
void lv_segment_set_shuffle(struct lv_segment_set *set, struct lv_random *random);
/* Ascending by queue, then by number. */
void lv_segment_set_sort(struct lv_segment_set *set);
/* Frees the list; the bytes are nobody's. */
void lv_segment_set_fini(struct lv_segment_set *set);

/* Writes them, in the order they have then. */
void lv_segment_set_write(struct lv_segment_set *set, struct lv_disk *disk,
                          const struct lv_segment_info *info);
/* Gives shard 0's segment of this number. */
struct lv_segment *lv_segment_set_open(struct lv_disk *disk, uint64_t number);

/* Reads every run in steps of `max_size` bytes and compares with the set, which is sorted: every
 * message that is shown is in it and equal, and in order. `is_lost` (or NULL) is set for those that
 * did not come; returns how many did. The count of damaged messages has to agree. */
size_t lv_segment_set_compare(const struct lv_segment_set *set, struct lv_segment *segment,
                              size_t max_size, bool *is_lost);
/* The same, and all are there. */
void lv_segment_set_expect(const struct lv_segment_set *set, struct lv_segment *segment,
                           size_t max_size);
/* The same, of what the disk has under this number. */
void lv_segment_set_expect_on(const struct lv_segment_set *set, struct lv_disk *disk,
                              uint64_t number);
