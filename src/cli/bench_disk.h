/*
 * cli/bench_disk.h - the cheapest log there can be: a file of zeros, written again and again.
 *
 * What a broker's promises cost is measured against it. The file has its length and blocks before
 * the first append, so a sync writes data and nothing else; it has no name and goes with the
 * process. One owner; every call blocks.
 */
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct lv_bench_disk {
    int fd;      /* -1: none */
    uint64_t at; /* where the next append goes */
};

/* Makes the file in a directory that exists. -LV_E_IO says what the system said. */
int lv_bench_disk_open(const char *directory, struct lv_bench_disk *ret_disk, struct lv_diag *diag)
    LV_MUST_CHECK;
/* May be called again. */
void lv_bench_disk_close(struct lv_bench_disk *disk);

/* Writes all pieces behind what was written last, or at the beginning when they do not fit there.
 * The pieces are used up. -LV_E_IO, also for more than a file's length at once. */
int lv_bench_disk_append(struct lv_bench_disk *disk, struct iovec *pieces, size_t count)
    LV_MUST_CHECK;
/* What was appended outlives the machine's power. -LV_E_IO. */
int lv_bench_disk_sync(struct lv_bench_disk *disk) LV_MUST_CHECK;

/* `leveret bench fsync`, with its own options: how long such a sync takes. */
int lv_bench_fsync(int argc, char **argv);
