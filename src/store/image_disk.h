/*
 * store/image_disk.h - a disk in memory that shows what a crash would leave, fills up and breaks.
 *
 * Files are written, synced, renamed and removed as on a real one; what was not synced is noted. At
 * any moment lv_image_disk_crash() draws from a seed a state that a loss of power now could leave:
 * of each file's writes since its last sync every one may be lost, whole or torn into sectors, in
 * any order; of the directory's changes since its last sync the first few are done. An image is a
 * disk of its own, so images of images may be taken.
 *
 * Any thread, one at a time inside. Tests only.
 */
#pragma once

#include "store/disk.h"

struct lv_image_disk;

/* What can be counted and made to fail. */
enum lv_image_op {
    LV_IMAGE_CREATE,
    LV_IMAGE_OPEN,
    LV_IMAGE_READ,
    LV_IMAGE_WRITE,
    LV_IMAGE_SYNC,
    LV_IMAGE_RENAME,
    LV_IMAGE_REMOVE,
    LV_IMAGE_SYNC_DIRECTORY,
    LV_IMAGE_CHANGE, /* any of these but open and read */
    LV_IMAGE_OP_COUNT
};

/* The seed decides what failing writes and syncs leave. */
struct lv_image_disk *lv_image_disk_new(uint64_t seed);
/* Files may still be open. Takes NULL. */
void lv_image_disk_free(struct lv_image_disk *image);
/* What the code under test is given; valid as long as the image. */
struct lv_disk *lv_image_disk_view(struct lv_image_disk *image);

/* Gives the disk as a loss of power could leave it now. */
struct lv_image_disk *lv_image_disk_crash(struct lv_image_disk *image, uint64_t seed);
/* Gives the disk as the end of the process leaves it now: nothing is lost, and all that was done
 * will last. */
struct lv_image_disk *lv_image_disk_copy(struct lv_image_disk *image);

/* Called before each change, by the thread that makes it: the moment to take an image. It may call
 * the functions of this header, not those of the disk. */
typedef void lv_image_watch_fn(void *ctx, enum lv_image_op op);
/* NULL: nobody is called any more. */
void lv_image_disk_watch(struct lv_image_disk *image, lv_image_watch_fn *watch, void *ctx);

/* How many of these were asked for so far, successful or not. */
uint64_t lv_image_disk_count(struct lv_image_disk *image, enum lv_image_op op);
/* The `after`-th from now on (1: the next) fails with `error`, and with `forever` all after it. A
 * write that fails leaves any sectors of itself, a sync that fails lets any part last. 0: none
 * fails.
 */
void lv_image_disk_fail(struct lv_image_disk *image, enum lv_image_op op, uint64_t after, int error,
                        bool forever);
/* Bytes of all files together, removed ones included while they are open; what would go over is
 * -LV_E_FULL, after the part of it that fits was written. */
void lv_image_disk_limit(struct lv_image_disk *image, uint64_t size);

/* Damage, and files from elsewhere. What was not synced of the file counts as synced from here on.
 * -LV_E_NOT_FOUND. */
int lv_image_disk_flip(struct lv_image_disk *image, const char *name, uint64_t offset, uint8_t bits)
    LV_MUST_CHECK;
/* Wipes so many bytes, as far as the file has them. */
int lv_image_disk_zero(struct lv_image_disk *image, const char *name, uint64_t offset,
                       uint64_t size) LV_MUST_CHECK;
/* Shorter, or longer by zeros. */
int lv_image_disk_resize(struct lv_image_disk *image, const char *name, uint64_t size)
    LV_MUST_CHECK;
/* Creates the file or replaces what is in it. */
void lv_image_disk_put(struct lv_image_disk *image, const char *name, struct lv_bytes data);
