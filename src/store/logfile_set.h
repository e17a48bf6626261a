/*
 * store/logfile_set.h - a log that is written block by block, and what a scan shows of it.
 *
 * Tests only, one log at a time. A message is known by its number.
 */
#pragma once

#include "store/image_disk.h"
#include "store/logfile.h"

#define LV_LOGSET_SHARD 3u
#define LV_LOGSET_FIRST UINT64_C(0x1a) /* number of the first file */
#define LV_SHOWN_MAX    3000u

/* The writer's state, free to be changed: so tests write what no log has. */
struct lv_logset {
    struct lv_image_disk *image; /* own */
    struct lv_disk *disk;        /* view  of the image */
    struct lv_log_head head;     /*       of the file that is written */
    int file;                    /*       handle; -1: none */
    uint64_t lsn;                /*       of the next block */
    uint64_t previous, synced;   /*       what the next block says */
    uint8_t block[4096];
    uint32_t size, count; /* of what is in it */
};

/* What the last scan showed. */
struct lv_shown {
    uint64_t numbers[LV_SHOWN_MAX]; /* of messages */
    unsigned count;                 /* messages */
    unsigned block_count, damage_count;
    struct lv_logfile_damage damage; /* the first; what it points to is gone */
    char next_name[LV_DISK_NAME_SIZE];
    int stop_after; /* blocks; 0: never */
    int rc;
    struct lv_logfile_end end;
    struct lv_diag diag;
};

extern struct lv_logset lv_logset;
extern struct lv_shown lv_shown;

/* A disk with a log of one file, as cmocka calls it, and its end. */
int lv_logset_up(void **state);
/* A teardown: frees the disk and what is left of the log. */
int lv_logset_down(void **state);
/* Leaves what was there. */
void lv_logset_begin(uint64_t number);
/* The state's disk becomes `image`, the one before is freed. */
void lv_logset_turn_to(struct lv_image_disk *image);
/* Of the file with this number; valid until the next call. */
const char *lv_logset_name(uint64_t number);
/* First LSN of the file that is written. */
uint64_t lv_logset_base(void);

/* Into the file as it is. */
void lv_logset_put(const void *data, size_t size, uint64_t offset);
/* A file of zeros that is on disk, as the log has it before it is used. */
void lv_logset_make_file(uint64_t number, uint64_t size);
/* The file gets its head; blocks come into it from here on. */
void lv_logset_begin_file(uint64_t number, uint64_t size);
/* The next block begins a page. */
void lv_logset_next_page(void);
/* To the block that is being made. */
void lv_logset_add_record(uint8_t kind, uint16_t count, const void *payload, uint32_t size);
/* In one queue, with a body of so many bytes. */
void lv_logset_add_message(uint64_t number, uint32_t size);
/* Writes the block; gives its LSN. */
uint64_t lv_logset_seal(void);
/* A block with one message, and one that is on disk and known to be. */
uint64_t lv_logset_write(uint64_t number, uint32_t size);
/* The same, synced: later blocks vouch for it. */
uint64_t lv_logset_write_synced(uint64_t number, uint32_t size);
/* What was written lasts, and later blocks vouch for it. */
void lv_logset_sync(void);

/* As at start-up: damage is an error. */
int lv_logset_scan(void);
/* Goes on behind damage. */
int lv_logset_scan_on(void);
/* The messages that were shown as text, "1 2 3". */
const char *lv_logset_numbers(void);
/* The scan's sentence has these words. */
void lv_logset_assert_said(const char *words);
