/*
 * server/harness.h - a broker of one shard over a disk in memory, whose threads are steps.
 *
 * Spiller, merger, log files and recovery are the real ones; here are only the threads between
 * them. Nothing reaches the disk by itself: lv_hand_sync() is the writer, lv_hand_run_job() does
 * one job of a helper, lv_hand_turn() is what the shard does once a turn. The process ends and
 * begins again by lv_hand_restart(), with what the disk has. The metadata has every change that is
 * on disk in the log, at once. Tests only, one hand at a time.
 */
#pragma once

#include "broker/harness.h"
#include "server/logfiles.h"
#include "server/recovery.h"
#include "server/shard.h"
#include "store/image_disk.h"

/* A change of the topology. */
struct lv_hand_change {
    uint64_t lsn_end;
    size_t size;
    uint8_t *bytes; /* own */
};

struct lv_hand {
    struct lv_image_disk *image; /* own */
    struct lv_shared shared;     /*       disk, memory and shards are used of it */
    struct lv_shard shard; /*       broker, store, now, deadlines and durable are used of it */
    struct lv_logfiles files;
    struct lv_log_write write; /*       that the full disk did not take */
    bool is_full;
    struct lv_sim sim;
    struct lv_sim_client a; /* publishes and consumes */
    struct lv_hand_change *changes;
    uint32_t change_count;
    uint64_t applied;          /* LSN: the metadata has what is below */
    uint64_t oldest;           /* number of the first log file */
    uint64_t fail_after;       /* not 0: the allocation of the recovery that fails */
    bool is_held;              /* the metadata gets nothing more, and the log's files stay */
    int error;                 /* what the broker would have stopped for */
    char error_text[256];      /* its sentence */
    uint32_t damaged_count;    /* times that something damaged was said in the log */
    struct lv_logfile_end end; /* as it was recovered */
};

/* An empty directory; the durable queue "q" and the transient one "t" are declared. */
void lv_hand_begin(struct lv_hand *hand);
/* Takes the image: a broker over what a crash has left. Less than zero: nothing runs, and only
 * lv_hand_end() may follow. */
int lv_hand_open(struct lv_hand *hand, struct lv_image_disk *image, struct lv_diag *diag)
    LV_MUST_CHECK;
/* The process ends, in good order or at once. What is on the disk stays. */
void lv_hand_close(struct lv_hand *hand, bool is_clean);
/* After lv_hand_close(): frees what is left, the disk too. */
void lv_hand_end(struct lv_hand *hand);
/* The process ends, and another one begins with what is in the files. */
void lv_hand_restart(struct lv_hand *hand, bool is_clean);

/* Writes what was logged, syncs it, tells the broker. The error of the disk; a full one takes the
 * rest the next time. */
int lv_hand_sync(struct lv_hand *hand);
/* What the shard does in a turn: takes what helpers have done, spills, merges. */
void lv_hand_turn(struct lv_hand *hand);
/* So many nanoseconds later. */
void lv_hand_wait(struct lv_hand *hand, uint64_t delay);
/* One job, of the spiller's helper or of the merger's. False: there is none. */
bool lv_hand_run_job(struct lv_hand *hand);
/* All of this until nothing moves. */
void lv_hand_settle(struct lv_hand *hand);

/* To a queue of "/", with this body. */
void lv_hand_publish(struct lv_hand *hand, const char *queue, const char *body, bool is_persistent);
/* So many persistent ones to "q", with numbers as bodies that are filled up to `size` bytes; every
 * hundred a sync, so that the log's files fill. */
void lv_hand_fill(struct lv_hand *hand, unsigned from, unsigned to, size_t size);
/* Gets and settles the next message of the queue: its number, and whether it had been delivered.
 * False: the queue is empty. */
bool lv_hand_get(struct lv_hand *hand, const char *queue, unsigned *ret_number, bool *ret_again);
/* What is ready in the queue. */
uint64_t lv_hand_ready(struct lv_hand *hand, const char *queue);
/* Files whose names begin so. */
unsigned lv_hand_count_files(struct lv_hand *hand, const char *prefix);
