/*
 * store/segment.h - messages that have outlived the log's window, sorted by queue.
 *
 * When a log file is to be used again, the messages in it that are still wanted are written to one
 * segment, a file of its own: grouped by queue, each group (a run) in the order of its numbers. A
 * queue knows of its runs only where they lie and how much of them is left; so a backlog of
 * millions costs bytes. A segment never changes; one with little left in it is written together
 * with others into a new one, and goes. Every message has a check of its own that is verified
 * whenever it is read.
 *
 * Files: `seg-SS-NNNNNNNNNNNNNNNN` (shard, number; hexadecimal), written under a name that ends in
 * `.tmp`, synced, then renamed: a segment is whole or it is not there. The head carries
 * LV_FORMAT_VERSION; an unknown one is -LV_E_VERSION with what to do. Segments that are merged are
 * neighbours: the new one takes the last one's name and place, and says from which number on it
 * stands for all others. So it makes no difference when those are removed, or after which crash.
 *
 * Functions here block on the disk: helper threads and start-up call them, never a shard. Pure but
 * for disk.h. A struct lv_segment belongs to one thread at a time.
 */
#pragma once

#include "store/disk.h"
#include "store/format.h"

enum lv_segment_flag {
    LV_SEGMENT_TRANSIENT = 1u << 0,  /* gone after a restart: only spilled to free memory */
    LV_SEGMENT_REDELIVERED = 1u << 1 /* has been delivered before */
};

/* A message to be written, or one that was read. */
struct lv_segment_entry {
    uint64_t queue_id, seq;
    const void *data; /* view */
    uint32_t size;
    uint32_t flags; /* enum lv_segment_flag */
};

/* What a segment has of one queue. */
struct lv_segment_run {
    uint64_t queue_id;
    uint64_t first_seq, last_seq;
    uint64_t offset, size; /* bytes in the file */
    uint32_t count;        /* messages */
    uint32_t transient_count;
};

struct lv_segment_info {
    uint32_t shard;
    uint64_t number;
    uint64_t covers; /* every live record of the log below this LSN, as of the shard that wrote it,
                        is in this segment or an older one; 0: says nothing */
    uint64_t seed;   /* random, new for every segment: all checks in the file depend on it, so that
                        nothing else can look like a message of this one */
    uint64_t first_number; /* segments from this number on, up to its own, are no more: what they
                              had is here. Its own number when it was not merged; 0 is written so */
};

struct lv_segment; /* one that is open for reading */

/* The file's name; shard below 256. */
void lv_segment_name(uint32_t shard, uint64_t number, char name[LV_DISK_NAME_SIZE]);
/* False: not a segment's name. */
bool lv_segment_parse_name(const char *name, uint32_t *ret_shard, uint64_t *ret_number)
    LV_MUST_CHECK;

/* By queue and number, as they are written. */
void lv_segment_sort(struct lv_segment_entry *entries, size_t count);
/* Sorts the entries in place and writes them (count ≥ 1; no queue has a number twice). When it
 * returns 0 the segment survives a power loss. On an error nothing is left behind but perhaps a
 * `.tmp`. */
int lv_segment_write(struct lv_disk *disk, const struct lv_segment_info *info,
                     struct lv_segment_entry *entries, size_t count, struct lv_diag *diag)
    LV_MUST_CHECK;

/* Reads head and table of runs and verifies them. -LV_E_CORRUPT, -LV_E_VERSION, -LV_E_NOT_FOUND.
 * Gives a segment for lv_segment_close(). */
int lv_segment_open(struct lv_disk *disk, uint32_t shard, uint64_t number,
                    struct lv_segment **ret_segment, struct lv_diag *diag) LV_MUST_CHECK;
/* Takes NULL. */
void lv_segment_close(struct lv_segment *segment);
/* As it was written. */
const struct lv_segment_info *lv_segment_info(const struct lv_segment *segment);
/* Ascending by queue; valid until the segment is closed. */
const struct lv_segment_run *lv_segment_runs(const struct lv_segment *segment, size_t *ret_count);
/* Bytes of the file. */
uint64_t lv_segment_size(const struct lv_segment *segment);

/* The first_number of a segment, by a look at its head alone. Errors as lv_segment_open(). */
int lv_segment_first(struct lv_disk *disk, uint32_t shard, uint64_t number, uint64_t *ret_first,
                     struct lv_diag *diag) LV_MUST_CHECK;

/* Called for each message; `entry->data` is valid during the call and aligned to 8. Not zero stops
 * behind this message; a negative result becomes that of lv_segment_read(). */
typedef int lv_segment_each_fn(void *ctx, const struct lv_segment_entry *entry);

struct lv_segment_reading {
    uint64_t from_seq;        /* the first number to show */
    size_t max_size;          /* stop when so many bytes have been shown, but show one at least */
    lv_segment_each_fn *each; /* view */
    void *ctx;                /* view */
    /* results */
    uint64_t next_seq;      /* the number to go on with, UINT64_MAX behind the last */
    uint32_t damaged_count; /* messages left out because their check failed; who goes on with
                               next_seq until UINT64_MAX has seen each of the run's messages, or
                               had it counted here */
};

/* Messages of the run with numbers from `from_seq` on, in order, until `each` stops it or about
 * `max_size` bytes have been shown. `run` is one of lv_segment_runs() or a copy of it. A number is
 * found by the segment's own marks, so that starting anywhere reads little. When messages are
 * damaged `diag` says where the first of them lay, although the result is 0. What can't be walked
 * any further (the file has become shorter) ends with -LV_E_CORRUPT and the sentence says file,
 * offset and how many messages are affected; on an error the results tell how far it came. */
int lv_segment_read(struct lv_segment *segment, const struct lv_segment_run *run,
                    struct lv_segment_reading *reading, struct lv_diag *diag) LV_MUST_CHECK;

/* Which messages are still wanted, when segments are merged; `flags`: enum lv_segment_flag. */
typedef bool lv_segment_wanted_fn(void *ctx, uint64_t queue_id, uint64_t seq, uint32_t flags);

struct lv_segment_merging {
    struct lv_segment *const *sources; /* view  of a message that two have, the first's is taken */
    size_t source_count;
    lv_segment_wanted_fn *wanted; /* view  NULL: all of them are */
    void *ctx;                    /* view */
    /* results */
    uint64_t count; /* messages in the new segment; 0: none has been written */
    uint64_t size;  /* bytes of its file */
    size_t damaged; /* after -LV_E_CORRUPT: the source that has something that can't be read */
};

/* Writes what is wanted of the sources into one new segment, with its flags; the new one may have
 * the name of a source, which it replaces. Durable when it returns 0. On an error the sources are
 * all there, but one that was to be replaced may have been. What can't be read is not left behind:
 * then it is -LV_E_CORRUPT, nothing is written, and `diag` says where it lies. */
int lv_segment_merge(struct lv_disk *disk, const struct lv_segment_info *info,
                     struct lv_segment_merging *merging, struct lv_diag *diag) LV_MUST_CHECK;
