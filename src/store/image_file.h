/*
 * store/image_file.h - a file in memory that knows what of it would survive a power loss.
 *
 * For store/image_disk.h. Bytes lie in pages that images share until one of them writes; pages of
 * zeros cost nothing. Tests only; the disk's lock guards all of it.
 */
#pragma once

#include "base/bytes.h"
#include "base/random.h"

#include <stdatomic.h>

#define LV_IMAGE_SECTOR_SIZE 512u /* what a disk writes as a whole */

struct lv_image_page;

/* The bytes of a file. */
struct lv_image_bytes {
    struct lv_image_page **pages; /* ref  NULL: zeros */
    size_t page_count;
    uint64_t size;
};

/* Something that was done to a file since its last sync. */
struct lv_image_change {
    uint8_t *data;   /* own   NULL: the file was emptied */
    uint64_t offset; /* bytes */
    size_t size;
};

struct lv_image_file {
    struct lv_image_bytes now, durable;
    struct lv_image_change *changes; /* own  oldest first */
    size_t change_count, change_capacity;
};

/* What is not there yet between its end and `offset` becomes zeros. */
void lv_image_bytes_put(struct lv_image_bytes *bytes, uint64_t offset, struct lv_bytes data);
/* Bytes read; fewer than asked for only at the end. */
size_t lv_image_bytes_get(const struct lv_image_bytes *bytes, uint64_t offset, void *buffer,
                          size_t size);
/* Cuts what lies behind, or adds zeros. */
void lv_image_bytes_resize(struct lv_image_bytes *bytes, uint64_t size);
/* `to` is empty before. */
void lv_image_bytes_share(struct lv_image_bytes *to, const struct lv_image_bytes *from);
/* Lets go of what it shares with others. */
void lv_image_bytes_fini(struct lv_image_bytes *bytes);

/* Frees what the file has, not the file. */
void lv_image_file_fini(struct lv_image_file *file);
/* Not synced, so that a crash may leave any part of it. */
void lv_image_file_write(struct lv_image_file *file, uint64_t offset, struct lv_bytes data);
/* As open() with O_TRUNC does. */
void lv_image_file_empty(struct lv_image_file *file);
/* All that was written lasts. */
void lv_image_file_sync(struct lv_image_file *file);
/* What a sync leaves that failed: any part of what was written lasts, and no later sync brings the
 * rest, although reading still shows it. */
void lv_image_file_fail_sync(struct lv_image_file *file, struct lv_random *random);
/* What a crash now might leave, drawn at random: of what was written since the last sync each write
 * may be lost, whole or torn into sectors, whatever the order. `ret_bytes` is empty before. */
void lv_image_file_draw(const struct lv_image_file *file, struct lv_random *random,
                        struct lv_image_bytes *ret_bytes);
