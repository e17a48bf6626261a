/*
 * server/disk.h - the real disk behind store/disk.h: files of one directory.
 *
 * Any thread, as store/disk.h says. Interrupted calls are repeated and short ones continued. A
 * limit on the size of files (RLIMIT_FSIZE) is an error like a full disk only where SIGXFSZ is
 * ignored, which lv_signals_open() sees to.
 */
#pragma once

#include "store/disk.h"

#include <stdatomic.h>

struct lv_file_disk {
    struct lv_disk disk;
    int directory; /* descriptor */
    bool is_read_only;
    atomic_int error; /* any: errno of the last failure, for a sentence about it */
};

/* The directory is there already. Files that are made belong to their owner alone. */
int lv_file_disk_open(struct lv_file_disk *disk, const char *directory, struct lv_diag *diag)
    LV_MUST_CHECK;
/* The same for looking only: files are opened for reading, and what would change anything is
 * -LV_E_IO. */
int lv_file_disk_open_read_only(struct lv_file_disk *disk, const char *directory,
                                struct lv_diag *diag) LV_MUST_CHECK;
/* Files that are open stay so. */
void lv_file_disk_close(struct lv_file_disk *disk);
