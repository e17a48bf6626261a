/*
 * store/logfile_block.h - is there a block of the log at this place? For the readers of log files.
 * Pure; any thread.
 */
#pragma once

#include "store/logfile.h"

/* A log file's bytes, or the first of them. */
struct lv_logfile_view {
    const uint8_t *data; /* view */
    uint64_t size;       /*       bytes that are there */
    uint64_t lsn;        /*       of the first */
};

/* Could the bytes at `offset`, a multiple of 8, be a block's head? Cheap: its hash is not looked
 * at, nor whether all of it is there. */
bool lv_block_is_plausible(const struct lv_logfile_view *view, uint64_t offset,
                           struct lv_block_head *ret_head) LV_MUST_CHECK;
/* Is there a block at `offset` with all of its bytes as they were written? */
bool lv_block_is_valid(const struct lv_logfile_view *view, uint64_t offset, uint64_t seed,
                       struct lv_block_head *ret_head) LV_MUST_CHECK;
/* The first multiple of 8 from `offset` on that is plausible, or UINT64_MAX. */
uint64_t lv_block_search(const struct lv_logfile_view *view, uint64_t offset,
                         struct lv_block_head *ret_head) LV_MUST_CHECK;
