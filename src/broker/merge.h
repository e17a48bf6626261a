/*
 * broker/merge.h - makes one segment of several that have little left in them.
 *
 * A segment goes when nothing in it is wanted; one old message would keep all its company on the
 * disk. So neighbours in the row of segments that are sparse are merged into one, under the number
 * of the last. They are neighbours because a queue's runs are in the order of the segments: what
 * a queue has in them becomes one run. The server does it in steps, none of them long:
 *
 *   lv_merge_begin()    picks a row of segments
 *   lv_merge_collect()  notes for some queues which of their numbers are left, until all are done
 *   lv_merge_is_due()   what is not noted is gone, and the disk knows
 *   lv_merge_wanted()   helper: asks while lv_segment_merge() writes
 *   lv_merge_switch()   some queues find their messages in the new segment, until all do
 *   lv_merge_end()      the others may be removed
 *
 * Messages are settled, queues deleted, segments spilled and loaded meanwhile. Owning shard only,
 * but for lv_merge_prepare() and lv_merge_wanted().
 */
#pragma once

#include "broker/cold.h"

/* Segments that are merged at once. */
#define LV_MERGE_SOURCES_MAX 32u

/* What is left of a queue in the sources. */
struct lv_merge_queue {
    uint64_t queue_id;
    uint64_t waiting;      /* transient messages from this number on; UINT64_MAX: none */
    uint32_t range, count; /* numbers of persistent ones, in lv_merge.ranges */
};

struct lv_merge_range {
    uint64_t from, to;
};

struct lv_merge {
    struct lv_segment_use *sources[LV_MERGE_SOURCES_MAX]; /* view  ascending, all busy */
    uint64_t numbers[LV_MERGE_SOURCES_MAX];               /*       theirs; any thread */
    uint32_t source_count;
    uint32_t range_count, range_capacity;
    uint32_t queue_count, queue_capacity;
    uint32_t switched; /*       queues */
    bool is_ours;      /*       the sources were written since the broker started */
    uint64_t log_end, topology_lsn;
    struct lv_merge_queue *queues; /* own */
    struct lv_merge_range *ranges; /* own */
};

/* Is there any segment that may be worth it? */
bool lv_merge_is_worth_a_look(const struct lv_broker *broker);
/* Are there many? Then it is not only that one is just becoming empty. */
bool lv_merge_is_behind(const struct lv_broker *broker);
/* Picks segments. False: none are worth it at the moment. */
bool lv_merge_begin(struct lv_broker *broker, struct lv_merge *merge);
/* 1: all queues are noted; 0: not yet; -LV_E_NOMEM: end it. */
int lv_merge_collect(struct lv_broker *broker, struct lv_merge *merge) LV_MUST_CHECK;
/* Is all that has been collected true of the disk, too? Nothing may be written before. */
bool lv_merge_is_due(const struct lv_broker *broker, const struct lv_merge *merge);
/* Any thread, before the first lv_merge_wanted(). */
void lv_merge_prepare(struct lv_merge *merge);
/* An lv_segment_wanted_fn; the context is the struct lv_merge. */
bool lv_merge_wanted(void *ctx, uint64_t queue_id, uint64_t seq, uint32_t flags);
/* The new segment is durable, and who reads the last source's number from now on reads that. True:
 * all queues have been seen to. */
bool lv_merge_switch(struct lv_broker *broker, struct lv_merge *merge);

/* How it ended. */
enum lv_merge_result {
    LV_MERGE_DONE,    /* all queues are switched: all sources but the last may be removed */
    LV_MERGE_EMPTY,   /* nothing was wanted, nothing was written: the sources go by themselves */
    LV_MERGE_FAILED,  /* the sources stay, and may be merged another time */
    LV_MERGE_DAMAGED, /* one of them can't be read whole: that one never */
};

/* `merging` as lv_segment_merge() left it. Frees what the merge owns. */
void lv_merge_end(struct lv_broker *broker, struct lv_merge *merge, enum lv_merge_result result,
                  const struct lv_segment_merging *merging);
/* Without a word to the broker, which is gone. */
void lv_merge_fini(struct lv_merge *merge);

/* ---- for cold.c ---- */

/* The segment has less in it than it had: notes it if it may be worth merging. */
void lv_merge_note(struct lv_broker *broker, struct lv_segment_use *segment);
/* The queue has nothing in segments any more: a walk over those that do leaves it out. */
void lv_merge_pass(struct lv_broker *broker, const struct lv_cold *cold);
