/*
 * store/segment_writer.h - writes one segment from messages that come in order.
 *
 * One buffer, one pass: messages first, then the table that was gathered on the way. Blocks on the
 * disk; one thread.
 */
#pragma once

#include "store/segment_format.h"

struct lv_segment_writer {
    struct lv_disk *disk; /* view */
    struct lv_segment_info info;
    char name[LV_DISK_NAME_SIZE];
    char temporary[LV_DISK_NAME_SIZE];
    int file;                      /*      -1: none is open */
    uint8_t *buffer;               /* own */
    size_t used;                   /*      bytes in the buffer */
    uint64_t offset;               /*      of the buffer's first byte in the file */
    struct lv_segment_run *runs;   /* own  the last one is being written */
    struct lv_segment_mark *marks; /* own */
    uint32_t run_count, run_room;
    uint32_t mark_count, mark_room;
    uint64_t run_seed;
    uint64_t mark_offset; /*      the next message from here on gets a mark */
};

/* Begins the file, under its temporary name. Whatever it returns, lv_segment_writer_fini() ends. */
int lv_segment_writer_init(struct lv_segment_writer *writer, struct lv_disk *disk,
                           const struct lv_segment_info *info, struct lv_diag *diag) LV_MUST_CHECK;
/* Entries ascend by queue and number. */
int lv_segment_writer_append(struct lv_segment_writer *writer, const struct lv_segment_entry *entry,
                             struct lv_diag *diag) LV_MUST_CHECK;
/* The file gets its name; it survives a power loss when this returns 0. */
int lv_segment_writer_finish(struct lv_segment_writer *writer, struct lv_diag *diag) LV_MUST_CHECK;
/* Removes the temporary file of what has not been finished. */
void lv_segment_writer_fini(struct lv_segment_writer *writer);
