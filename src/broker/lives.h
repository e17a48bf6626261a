/*
 * broker/lives.h - a world of one shard whose broker ends and begins again, for tests: what reached
 * the disk is all that the next one has.
 *
 * The disk is a row of log blocks, a row of changes of the topology and a set of segments, all in
 * memory. Nothing gets there by itself: lv_lives_sync() brings the log there, lv_lives_spill()
 * makes a segment of what lives in the log's files but the newest, lv_lives_read() answers what the
 * broker has asked of segments. Tests only.
 */
#pragma once

#include "broker/core.h"
#include "broker/harness.h"
#include "broker/restore.h"

#define LV_LIVES_SEGMENTS 200u

struct lv_lives_block;
struct lv_lives_change;

struct lv_lives_segment {
    struct lv_segment_entry *entries; /* own   with their bytes; NULL: it is not there */
    uint64_t count, covers;
};

struct lv_lives_load {
    uint64_t queue_id, segment, from;
    bool one;
};

struct lv_lives {
    struct lv_sim sim;
    struct lv_sim_client a;          /* publishes and consumes */
    struct lv_broker *broker;        /* view */
    struct lv_log *log;              /* view */
    struct lv_lives_block *blocks;   /* own   in the order of the log */
    struct lv_lives_change *changes; /* own */
    uint32_t block_count, change_count;
    struct lv_lives_segment segments[LV_LIVES_SEGMENTS]; /* by number */
    uint64_t dropped[LV_LIVES_SEGMENTS];                 /* the broker has not heard of it */
    uint32_t dropped_count;
    bool is_stuck; /* no segment can be dropped */
    uint64_t next_segment;
    uint64_t first_segment; /* of this life */
    uint64_t synced, next_number;
    struct lv_spill spill; /* begun */
    bool is_spilling;
    struct lv_lives_load loads[64];
    uint32_t load_count;
    uint32_t load_size;                /* messages that are read in one go */
    uint64_t damaged_from, damaged_to; /* numbers that can't be read */
};

/* A durable queue "q" and a transient one "t" are declared. */
void lv_lives_begin(struct lv_lives *lives);
/* No memory is left of it. */
void lv_lives_end(struct lv_lives *lives);

/* All that was logged is on disk, and the broker knows. */
void lv_lives_sync(struct lv_lives *lives);
/* What comes next goes to another file of the log. */
void lv_lives_turn_file(struct lv_lives *lives);
/* What lives in all files but the newest goes to a segment, which is not durable yet; then it is,
 * and the files go. `spill` may also be begun otherwise. */
void lv_lives_spill_begin(struct lv_lives *lives);
/* Makes the segment durable, and tells the broker. */
void lv_lives_spill_end(struct lv_lives *lives);
/* Between these: the segment is durable, and the broker has not heard of it. */
void lv_lives_write_segment(struct lv_lives *lives);
/* Both, with a file of its own for what comes next. */
void lv_lives_spill(struct lv_lives *lives);
/* Answers the oldest question about a segment. False: none is open. */
bool lv_lives_read_one(struct lv_lives *lives);
/* Settles, and answers until no question is open. */
void lv_lives_read(struct lv_lives *lives);
/* The process ends, in good order or as it is, and another begins with what is on the disk. */
void lv_lives_restart(struct lv_lives *lives, bool is_clean);

/* Persistent, or transient; numbered bodies from `first` on. */
void lv_lives_publish(struct lv_lives *lives, const char *queue, const char *body,
                      bool is_persistent);
/* Bodies `first` to `last`, both included; persistent. */
void lv_lives_publish_many(struct lv_lives *lives, const char *queue, unsigned first,
                           unsigned last);
/* Of "/"; it must be there. */
struct lv_queue *lv_lives_queue(const struct lv_lives *lives, const char *name);
/* Gets and acknowledges all that is there, and expects these bodies, with spaces between them; "!"
 * behind one that was delivered before. */
void lv_lives_expect(struct lv_lives *lives, const char *queue, const char *bodies);
/* Segments that are there. */
unsigned lv_lives_segment_count(const struct lv_lives *lives);
