/*
 * store/segment_reader.h - walks the messages of one run and finds its way around damage.
 *
 * Reads ahead in pieces; nothing that comes from the file is used before it is checked. Blocks on
 * the disk; one thread.
 */
#pragma once

#include "store/segment_format.h"

/* A run, and how to get at it. */
struct lv_segment_source {
    struct lv_disk *disk; /* view */
    int file;
    const char *name;                    /* view  the file's, for sentences */
    uint64_t seed;                       /*       the file's */
    const struct lv_segment_run *run;    /* view */
    const struct lv_segment_mark *marks; /* view  the run's */
    uint32_t mark_count;
};

/* Where in its run a walk is. */
struct lv_segment_place {
    uint64_t offset;  /* of the next message in the file */
    uint64_t low_seq; /* its number is not below this */
    uint32_t index;   /* messages of the run that have been walked over, or known to be lost */
    uint32_t mark;    /* the first mark behind the place */
};

struct lv_segment_reader {
    struct lv_segment_source source;
    struct lv_segment_place place;
    uint64_t run_seed;
    uint64_t from_seq;            /*      messages below are passed over */
    lv_segment_wanted_fn *wanted; /* view or NULL: others are passed over */
    void *wanted_ctx;             /* view */
    uint32_t damaged_count;
    /* What has been read ahead. */
    uint8_t *data;      /* own */
    size_t capacity;    /*     of `data` */
    size_t piece;       /*     bytes to read at once, unless a message is larger */
    uint64_t data_from; /*     the file's bytes from here */
    size_t data_size;   /*     so many of them */
};

/* Reads `piece` bytes at once. All zeros is fine for _fini() too. */
void lv_segment_reader_init(struct lv_segment_reader *reader, size_t piece);
/* Frees what was read ahead; the file stays open. */
void lv_segment_reader_fini(struct lv_segment_reader *reader);
/* Goes to where the run has `from_seq` or the first number behind it. */
void lv_segment_reader_start(struct lv_segment_reader *reader,
                             const struct lv_segment_source *source, uint64_t from_seq);
/* Goes on from a place that an earlier walk came to. */
void lv_segment_reader_resume(struct lv_segment_reader *reader,
                              const struct lv_segment_source *source,
                              const struct lv_segment_place *place);
/* The walk may go on elsewhere, by the number alone: who begins at a mark does not see what is
 * missing before it, so that is counted now. */
void lv_segment_reader_pause(struct lv_segment_reader *reader, struct lv_diag *diag);
/* The next message: 1, 0 behind the last or an error. Its data is valid until the next call. The
 * first damage is described in `diag`. */
int lv_segment_reader_next(struct lv_segment_reader *reader, struct lv_segment_entry *ret_entry,
                           struct lv_diag *diag) LV_MUST_CHECK;
