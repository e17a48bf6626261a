/*
 * server/spill.h - what a shard's log gives to segments, and queues take back from them.
 *
 * When the log's window has grown beyond LV_WINDOW_SIZE, its oldest file is spilled: the helper
 * writes what lives in it as a segment; when that is durable and the states that the file had are
 * in the log again, the window moves on and the file becomes a spare one. Loads and removals are
 * the helper's jobs too, in one row, so that what was written before is there to be read. All
 * functions are the shard's thread's, but for start-up.
 */
#pragma once

#include "base/deadline.h"
#include "broker/cold.h"
#include "server/helper.h"
#include "store/disk.h"

/* Memory of the log before its oldest file is spilled: two files and what is being written. */
#ifndef LV_WINDOW_SIZE /* tests make it small */
#define LV_WINDOW_SIZE (32u << 20)
#endif
/* Transient messages that are spilled in one go, once they and all else take half of the memory
 * limit.
 */
#ifndef LV_TRANSIENT_SIZE /* the same */
#define LV_TRANSIENT_SIZE (16u << 20)
#endif
/* The shard reads nothing more while the log is that far ahead of the disk. */
#define LV_WINDOW_MAX (56u << 20)

struct lv_durable;
struct lv_open_segment;
struct load;

enum lv_spill_state {
    LV_SPILL_IDLE,
    LV_SPILL_SYNCING, /* waits for the logs */
    LV_SPILL_WRITING, /* the helper's */
    LV_SPILL_FAILED,  /* full disk: to be tried again */
    LV_SPILL_WRITTEN  /* waits for the log, if nothing was to be written, and the metadata */
};

struct lv_spiller {
    struct lv_durable *durable; /* view */
    enum lv_spill_state state;
    struct lv_spill spill; /*       while not idle */
    bool is_sorted;        /*       its entries, by queue and number */
    struct lv_job job;     /*       the helper's while writing */
    int error;             /*       of the job */
    struct lv_diag diag;   /*       its sentence */
    struct lv_deadline again;
    uint64_t next_look;           /* no queue was long: not before then */
    uint64_t no_drop_before;      /* time: a segment could not be removed */
    uint64_t next_number;         /* of the next segment */
    struct lv_open_segment *open; /* own   the helper's: segments that it has open */
    struct lv_letter *waiting;    /* own   loads from the segment that could not be written yet */
    struct load *unread;          /* own   loads that the disk gave an error for */
    struct lv_deadline reread;    /*       of these */
};

/* Idle; its jobs will be those of the helper of `durable`, which outlives it. */
void lv_spiller_init(struct lv_spiller *spiller, struct lv_durable *durable);
/* After the helper has ended. */
void lv_spiller_fini(struct lv_spiller *spiller);
/* How the broker gets at what is in segments; the context is the struct lv_durable. */
extern const struct lv_cold_ops lv_spiller_ops;

/* Once a turn: begins, goes on. */
void lv_spiller_turn(struct lv_spiller *spiller);
/* The helper's thread: the segment's file will be another one, or gone. */
void lv_spiller_close_segment(struct lv_spiller *spiller, uint64_t number);
/* Is the log so far ahead that nothing more should come in? */
bool lv_spiller_is_behind(const struct lv_spiller *spiller);
