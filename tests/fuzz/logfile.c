/*
 * A log of a few files, written as the input says: blocks that are whole, torn, out of place or
 * boastful, pages and files that are left, any bytes between them. Whatever it is, a scan ends,
 * shows whole blocks in ascending order and nothing twice, and finds damage when it stops at the
 * first exactly when it does so going on.
 *
 * The files are of the kind that holds one large record, since these may be shorter than they say:
 * a scan of kilobytes instead of megabytes.
 */
#include "store/logfile.h"
#include "base/bytes.h"
#include "store/image_disk.h"
#include "store/store.h"

#include <stdlib.h>

#define FILES_MAX 4u
#define BLOCK_MAX 2048u
#define FIRST     7u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct writer {
    struct lv_bytes input;
    struct lv_disk *disk; /* view */
    struct lv_log_head head;
    uint64_t lsn, previous, before; /* `before`: what `previous` was before the last block */
    unsigned file_count;
    int file;
};

/* 0 at the end. */
static uint8_t take(struct writer *writer)
{
    uint8_t byte = writer->input.size > 0 ? writer->input.data[0] : 0;

    if (writer->input.size > 0)
        writer->input = lv_bytes(writer->input.data + 1, writer->input.size - 1);
    return byte;
}

static void put(struct writer *writer, uint64_t lsn, struct lv_bytes bytes)
{
    uint64_t offset = lsn - writer->head.number * LV_LOG_FILE_SIZE;
    int rc = writer->disk->ops->write(writer->disk, writer->file, offset, bytes);

    assert(rc == 0);
    (void)rc;
}

static void next_file(struct writer *writer)
{
    char name[LV_DISK_NAME_SIZE];
    uint64_t number = FIRST + 2 * writer->file_count;
    int rc;

    if (writer->file_count == FILES_MAX)
        return;
    if (writer->file_count > 0)
        writer->disk->ops->close(writer->disk, writer->file);
    writer->file_count++;
    lv_logfile_name(0, number, name);
    rc = writer->disk->ops->open(writer->disk, name, true, &writer->file);
    assert(rc == 0);
    (void)rc;
    writer->head = (struct lv_log_head){
        .number = number, .file_size = LV_LOG_FILE_SIZE + LV_PAGE_SIZE, .seed = number};
    lv_log_head_seal(&writer->head);
    writer->lsn = number * LV_LOG_FILE_SIZE;
    put(writer, writer->lsn, lv_bytes(&writer->head, sizeof writer->head));
    writer->lsn += LV_LOG_HEAD_SIZE;
}

/* A byte of ways to be wrong, one for the count, one for the size. */
static void write_block(struct writer *writer)
{
    uint8_t bytes[BLOCK_MAX] = {0}, flaws = take(writer);
    struct lv_block_head head = {.lsn = writer->lsn, .count = take(writer)};
    size_t size = take(writer) * 8u;

    if (size > writer->input.size)
        size = writer->input.size;
    if (size > sizeof bytes - sizeof head)
        size = sizeof bytes - sizeof head;
    if (size > 0)
        memcpy(bytes + sizeof head, writer->input.data, size);
    writer->input = lv_bytes(writer->input.data + size, writer->input.size - size);
    head.size = (uint32_t)((sizeof head + size + 7) & ~(size_t)7);
    head.previous = flaws & 1 ? writer->before : writer->previous;
    head.synced = flaws & 2 ? writer->lsn : flaws & 4 ? writer->previous : 0;
    memcpy(bytes, &head, sizeof head);
    head.hash = lv_block_hash(bytes, head.size, writer->head.seed + (flaws & 8));
    memcpy(bytes, &head, sizeof head);
    put(writer, writer->lsn, lv_bytes(bytes, flaws & 16 ? head.size / 2 : head.size));
    writer->lsn += head.size;
    writer->before = writer->previous;
    writer->previous = writer->lsn;
}

static void write_one(struct writer *writer)
{
    uint8_t size;

    switch (take(writer) % 8) {
    case 5:
        writer->lsn = (writer->lsn + LV_PAGE_SIZE - 1) / LV_PAGE_SIZE * LV_PAGE_SIZE;
        if (writer->lsn - writer->head.number * LV_LOG_FILE_SIZE > 2 * LV_PAGE_SIZE)
            next_file(writer);
        break;
    case 6:
        next_file(writer);
        break;
    case 7: /* bytes that are no block, or a place behind some that are none */
        size = take(writer);
        if (size <= writer->input.size)
            put(writer, writer->lsn, lv_bytes(writer->input.data, size));
        writer->lsn += (size + 7u) & ~7u;
        break;
    default:
        write_block(writer);
    }
}

struct seen {
    uint64_t lsn; /* behind the last block */
    unsigned block_count, damage_count;
};

static int see_block(void *ctx, const struct lv_logfile *file, const struct lv_block_head *block,
                     const uint8_t *bytes)
{
    struct seen *seen = ctx;

    assert(block->lsn >= seen->lsn);
    assert(lv_block_hash(bytes, block->size, file->head.seed) == block->hash);
    assert(lv_block_each(block, bytes, NULL, NULL) == 0);
    seen->lsn = block->lsn + block->size;
    seen->block_count++;
    return 0;
}

static int see_damage(void *ctx, const struct lv_logfile_damage *damage)
{
    struct seen *seen = ctx;

    assert(damage->sentence[0] != '\0');
    assert(damage->size < FILES_MAX * 4 * LV_LOG_FILE_SIZE); /* 0: whole, but not in its place */
    seen->damage_count++;
    return 0;
}

static void check(struct lv_disk *disk)
{
    struct seen on = {.lsn = 0}, stopped = {.lsn = 0};
    struct lv_logfile_visitor visitor = {see_block, see_damage, &on};
    struct lv_logfile_visitor strict = {see_block, NULL, &stopped};
    struct lv_logfile *files = NULL;
    struct lv_logfile_end end = {.lsn = 0}, strict_end;
    struct lv_diag diag;
    size_t count = 0;
    int rc = lv_logfile_list(disk, 0, &files, &count, &diag);

    assert(rc == 0);
    rc = lv_logfile_scan(disk, files, count, &visitor, &end, &diag);
    assert(rc == 0);
    assert(end.lsn >= on.lsn);
    assert(end.block_count >= on.block_count);
    rc = lv_logfile_scan(disk, files, count, &strict, &strict_end, &diag);
    assert(rc == (on.damage_count > 0 ? -LV_E_CORRUPT : 0));
    assert(rc < 0 || stopped.block_count == on.block_count);
    assert(stopped.block_count <= on.block_count);
    free(files);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lv_image_disk *image = lv_image_disk_new(1);
    struct writer writer = {.input = lv_bytes(data, size), .disk = lv_image_disk_view(image)};

    next_file(&writer);
    while (writer.input.size > 0)
        write_one(&writer);
    check(writer.disk);
    lv_image_disk_free(image);
    return 0;
}
