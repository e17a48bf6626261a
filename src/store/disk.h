/*
 * store/disk.h - the store's only way to a disk: a table of functions.
 *
 * io fills it with real files in the data directory; tests fill it with images of what a crash, a
 * full disk or a broken one would leave behind. Names are plain file names in one directory,
 * without a slash. Every function gives 0 or an error: -LV_E_NOT_FOUND, -LV_E_FULL (no space, a
 * quota or a limit on the size of files: trying again later may work) or -LV_E_IO (anything else:
 * after it nothing may be assumed about the file). Any thread may call; two threads never write the
 * same bytes of a file at once.
 */
#pragma once

#include "base/bytes.h"
#include "base/defs.h"
#include "base/err.h"

#include <stdbool.h>

#define LV_DISK_NAME_SIZE 64u /* bytes of a file's name, the zero included */

struct lv_disk;

/* Called for each file of the directory; not zero ends the listing with that result. */
typedef int lv_disk_each_fn(void *ctx, const char *name);

struct lv_disk_ops {
    /* Opens for reading and writing. `create`: a new, empty file; one of that name is emptied.
     * Gives *ret_file for the other functions. */
    int (*open)(struct lv_disk *disk, const char *name, bool create, int *ret_file);
    void (*close)(struct lv_disk *disk, int file);
    /* Fewer bytes than asked for only at the file's end. */
    int (*read)(struct lv_disk *disk, int file, uint64_t offset, void *buffer, size_t size,
                size_t *ret_size);
    /* All of it or an error, after which any part may have been written. */
    int (*write)(struct lv_disk *disk, int file, uint64_t offset, struct lv_bytes bytes);
    /* What was written to the file survives a power loss when this returns 0 (fdatasync). Fails
     * with -LV_E_IO only and is never tried again: the kernel may have dropped what it could not
     * write, also when it was space that was missing. */
    int (*sync)(struct lv_disk *disk, int file);
    /* Waits until these bytes, which were written, are on their way to the disk: a later sync has
     * less to do, and so have those of other files. Promises nothing; errors are the sync's. */
    void (*write_back)(struct lv_disk *disk, int file, uint64_t offset, uint64_t size);
    int (*size)(struct lv_disk *disk, int file, uint64_t *ret_size);
    /* Replaces a file that has the new name. Survives a power loss after sync_directory(). */
    int (*rename)(struct lv_disk *disk, const char *from, const char *to);
    int (*remove)(struct lv_disk *disk, const char *name);
    /* New names, changed names and removals survive a power loss when this returns 0. Else
     * -LV_E_IO, as from sync(): whether they will is not known. */
    int (*sync_directory)(struct lv_disk *disk);
    int (*list)(struct lv_disk *disk, lv_disk_each_fn *each, void *ctx);
    /* Bytes that may still be written. */
    int (*free_space)(struct lv_disk *disk, uint64_t *ret_size);
};

/* First member of what fills the table. */
struct lv_disk {
    const struct lv_disk_ops *ops;
};
