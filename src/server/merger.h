/*
 * server/merger.h - merges segments that have little left in them (broker/merge.h), so that an old
 * message does not keep the room of thousands that are gone.
 *
 * It looks now and then, as most segments that become sparse are empty soon afterwards. The writing
 * is a thread's own, since what queues want to load must not wait for it. All functions are the
 * shard's thread's.
 */
#pragma once

#include "base/deadline.h"
#include "broker/merge.h"
#include "server/helper.h"
#include "store/segment.h"

struct lv_durable;

enum lv_merger_state {
    LV_MERGER_IDLE,
    LV_MERGER_COLLECTING, /* what is left in the sources */
    LV_MERGER_WAITING,    /* for the log */
    LV_MERGER_WRITING,    /* the helper */
    LV_MERGER_SWITCHING,  /* the queues to what was written */
    LV_MERGER_REMOVING    /* the sources: the spiller's helper */
};

struct lv_merger {
    struct lv_durable *durable; /* view */
    enum lv_merger_state state;
    struct lv_deadline look; /*       idle: whether there is something; else to go on */
    struct lv_merge merge;
    struct lv_segment_merging merging; /* while writing: the helper's */
    struct lv_job job;
    struct lv_job removal; /*       the spiller's helper's */
    uint64_t numbers[LV_MERGE_SOURCES_MAX];
    uint32_t number_count; /*       of segments: to be removed, or reopened */
    int error;
    struct lv_diag diag;
    struct lv_helper helper;
    bool is_started; /* its helper */
    bool is_refused; /* while removing: there was no room to do it */
};

/* Idle, without a thread. */
void lv_merger_init(struct lv_merger *merger, struct lv_durable *durable);
/* Once a turn. */
void lv_merger_turn(struct lv_merger *merger);
/* The shard's thread has ended: what is being written is written to its end. */
void lv_merger_stop(struct lv_merger *merger);
/* After the broker, which is told nothing any more. */
void lv_merger_fini(struct lv_merger *merger);
