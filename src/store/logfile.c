#include "store/logfile.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "store/logfile_block.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>

/* So that no LSN is near the end of its 64 bits. */
#define NUMBER_MAX    (UINT64_MAX / 4 / LV_LOG_FILE_SIZE)
#define FILE_SIZE_MAX (UINT64_C(1) << 40)

void lv_logfile_name(uint32_t shard, uint64_t number, char name[LV_DISK_NAME_SIZE])
{
    int size = snprintf(name, LV_DISK_NAME_SIZE, "log-%02" PRIx32 "-%08" PRIx64, shard, number);

    assert(size > 0);
    assert((size_t)size < LV_DISK_NAME_SIZE);
    (void)size;
}

/* Reads `least` or more lower-case digits, up to 16. Behind them, or NULL. */
static const char *parse_hex(const char *text, unsigned least, uint64_t *ret_value)
{
    uint64_t value = 0;
    unsigned count = 0;

    assert(least <= 16);
    for (; count < 16; count++) {
        char c = text[count];

        if (c >= '0' && c <= '9')
            value = value * 16 + (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value * 16 + (uint64_t)(c - 'a') + 10;
        else
            break;
    }
    *ret_value = value;
    return count < least ? NULL : text + count;
}

/* Only what lv_logfile_name() writes: so a number has one name. */
bool lv_logfile_parse_name(const char *name, uint32_t *ret_shard, uint64_t *ret_number)
{
    char again[LV_DISK_NAME_SIZE];
    uint64_t shard, number;
    const char *p = strncmp(name, "log-", 4) == 0 ? parse_hex(name + 4, 2, &shard) : NULL;

    if (p == NULL || *p != '-' || (p = parse_hex(p + 1, 8, &number)) == NULL || *p != '\0')
        return false;
    if (shard > UINT32_MAX || number > NUMBER_MAX)
        return false;
    lv_logfile_name((uint32_t)shard, number, again);
    if (strcmp(again, name) != 0)
        return false;
    assert(p > name);
    *ret_shard = (uint32_t)shard;
    *ret_number = number;
    return true;
}

bool lv_block_is_plausible(const struct lv_logfile_view *view, uint64_t offset,
                           struct lv_block_head *ret_head)
{
    struct lv_block_head head;

    assert(offset % 8 == 0);
    if (offset > view->size || view->size - offset < sizeof head)
        return false;
    memcpy(&head, view->data + offset, sizeof head);
    if (head.lsn != view->lsn + offset || head.previous > head.lsn || head.synced > head.lsn)
        return false;
    if (head.size % 8 != 0 || head.size < sizeof head || head.count == 0 ||
        head.count > (head.size - sizeof head) / sizeof(struct lv_record_head))
        return false;
    *ret_head = head;
    return true;
}

bool lv_block_is_valid(const struct lv_logfile_view *view, uint64_t offset, uint64_t seed,
                       struct lv_block_head *ret_head)
{
    struct lv_block_head head;

    if (!lv_block_is_plausible(view, offset, &head) || head.size > view->size - offset)
        return false;
    /* Only the first block of a page may go beyond it. This bounds what is hashed for nothing when
     * a message is full of what looks like heads. */
    if (offset % LV_PAGE_SIZE + head.size > LV_PAGE_SIZE && offset % LV_PAGE_SIZE != 0 &&
        offset != LV_LOG_HEAD_SIZE)
        return false;
    if (lv_block_hash(view->data + offset, head.size, seed) != head.hash)
        return false;
    assert(head.lsn == view->lsn + offset);
    *ret_head = head;
    return true;
}

/* Two million places in a file: one comparison decides about nearly all of them. */
uint64_t lv_block_search(const struct lv_logfile_view *view, uint64_t offset,
                         struct lv_block_head *ret_head)
{
    const size_t field = offsetof(struct lv_block_head, lsn);

    assert(offset % 8 == 0);
    for (; offset + sizeof *ret_head <= view->size; offset += 8) {
        uint64_t lsn;

        memcpy(&lsn, view->data + offset + field, sizeof lsn);
        if (LV_UNLIKELY(lsn == view->lsn + offset) && lv_block_is_plausible(view, offset, ret_head))
            return offset;
    }
    return UINT64_MAX;
}

/* The error that the disk gave, with a sentence. */
static int fail_read(struct lv_diag *diag, int rc, const char *name)
{
    const char *why = rc == -LV_E_NOT_FOUND ? "it is not there"
                      : rc == -LV_E_NOMEM   ? "out of memory"
                                            : "input/output error";

    assert(rc < 0);
    return lv_fail(diag, rc, "%s can't be read: %s", name, why);
}

/* A head of zeros: no block of this life was ever synced, as its head would have been synced with
 * it. A block that says otherwise shows that the head was there. Its hash can't be verified without
 * the head's seed; but no other life of the file and no message can have it at this position. */
static int check_unused(struct lv_disk *disk, int file, const char *name, uint64_t number,
                        struct lv_diag *diag)
{
    struct lv_logfile_view view = {.lsn = number * LV_LOG_FILE_SIZE};
    struct lv_block_head head;
    uint8_t *data = NULL;
    uint64_t whole = 0;
    size_t size = 0;
    int rc = disk->ops->size(disk, file, &whole);

    if (rc == 0)
        data = lv_alloc(whole + 1);
    if (rc == 0)
        rc = data == NULL ? -LV_E_NOMEM : disk->ops->read(disk, file, 0, data, whole, &size);
    if (rc < 0) {
        lv_free(data);
        return fail_read(diag, rc, name);
    }
    assert(size <= whole);
    view.data = data;
    view.size = size;
    rc = lv_fail(diag, -LV_E_NOT_FOUND, "%s is not used yet", name);
    for (uint64_t at = LV_LOG_HEAD_SIZE; at < view.size; at += 8) {
        at = lv_block_search(&view, at, &head);
        if (at == UINT64_MAX)
            break;
        if (head.synced > view.lsn)
            rc = lv_fail(diag, -LV_E_CORRUPT,
                         "%s is damaged at offset 0: its head is gone, so none of the blocks in it "
                         "can be verified",
                         name);
    }
    lv_free(data);
    return rc;
}

static bool is_zero(const struct lv_log_head *head)
{
    static const struct lv_log_head zeros;

    return memcmp(head, &zeros, sizeof zeros) == 0;
}

static bool is_head_whole(const struct lv_log_head *head)
{
    return head->check == lv_xxh3(head, offsetof(struct lv_log_head, check), 0);
}

/* A version that we don't know may have its check elsewhere, so what tells it from a damaged
 * version field is whether ours would make the head whole. */
static int check_version(const struct lv_log_head *head, const char *name, struct lv_diag *diag)
{
    struct lv_log_head ours = *head;

    assert(head->version != LV_FORMAT_VERSION);
    ours.version = LV_FORMAT_VERSION;
    if (is_head_whole(&ours))
        return lv_fail(diag, -LV_E_CORRUPT,
                       "%s is damaged at offset 8: the version is not the one "
                       "that was written",
                       name);
    return lv_fail(diag, -LV_E_VERSION,
                   "%s has version %" PRIu32 " of the log's format and this program knows version "
                   "%u: use the Leveret that wrote it, or a newer one",
                   name, head->version, LV_FORMAT_VERSION);
}

/* What a name says against what the head says. A file that is used again has its new name before
 * its new head, so an older number is one that was not used yet under the new. */
static int check_head(const struct lv_log_head *head, const char *name, uint32_t shard,
                      uint64_t number, struct lv_diag *diag)
{
    if (memcmp(head->magic, LV_LOG_MAGIC, sizeof head->magic) != 0)
        return lv_fail(diag, -LV_E_CORRUPT,
                       "%s is damaged at offset 0: it does not begin as a log file does", name);
    if (head->version != LV_FORMAT_VERSION)
        return check_version(head, name, diag);
    if (!is_head_whole(head))
        return lv_fail(diag, -LV_E_CORRUPT,
                       "%s is damaged within its first %zu bytes: its head's check fails, so "
                       "none of the blocks in it can be verified",
                       name, sizeof *head);
    assert(head->version == LV_FORMAT_VERSION);
    if (head->shard != shard || head->number > number)
        return lv_fail(diag, -LV_E_CORRUPT,
                       "%s has the head of file %" PRIx64 " of shard %" PRIx32
                       ": it was given another's name",
                       name, head->number, head->shard);
    if (head->number < number)
        return lv_fail(diag, -LV_E_NOT_FOUND, "%s is not used yet", name);
    if (head->file_size < LV_LOG_FILE_SIZE || head->file_size % LV_PAGE_SIZE != 0 ||
        head->file_size > FILE_SIZE_MAX)
        return lv_fail(diag, -LV_E_CORRUPT,
                       "%s says that it has %" PRIu64 " bytes, which no log "
                       "file has",
                       name, head->file_size);
    return 0;
}

int lv_logfile_read_head(struct lv_disk *disk, const char *name, struct lv_logfile *ret_file,
                         struct lv_diag *diag)
{
    struct lv_log_head head = {.version = 0};
    uint32_t shard;
    uint64_t number;
    size_t size;
    int file, rc;

    if (!lv_logfile_parse_name(name, &shard, &number))
        return lv_fail(diag, -LV_E_USAGE, "%s is not the name of a log file", name);
    rc = disk->ops->open(disk, name, false, &file);
    if (rc < 0)
        return fail_read(diag, rc, name);
    rc = disk->ops->read(disk, file, 0, &head, sizeof head, &size);
    if (rc == 0 && is_zero(&head)) {
        rc = check_unused(disk, file, name, number, diag);
        /* A broker may have begun to use it meanwhile. */
        if (rc == -LV_E_CORRUPT && disk->ops->read(disk, file, 0, &head, sizeof head, &size) == 0 &&
            !is_zero(&head))
            rc = 0;
    } else if (rc < 0) {
        (void)fail_read(diag, rc, name);
    }
    disk->ops->close(disk, file);
    if (rc == 0)
        rc = check_head(&head, name, shard, number, diag);
    if (rc < 0)
        return rc;
    assert(head.number == number);
    *ret_file = (struct lv_logfile){.head = head};
    memcpy(ret_file->name, name, strlen(name) + 1);
    return 0;
}

struct listing {
    struct lv_disk *disk;     /* view */
    struct lv_diag *diag;     /* view */
    struct lv_logfile *files; /* own */
    size_t count, capacity;
    uint32_t shard;
};

static int add_file(struct listing *listing, const struct lv_logfile *file)
{
    if (listing->count == listing->capacity) {
        size_t capacity = listing->capacity * 2 + 8;
        struct lv_logfile *files = lv_realloc(listing->files, capacity * sizeof *files);

        if (files == NULL)
            return lv_fail(listing->diag, -LV_E_NOMEM, "out of memory");
        listing->files = files;
        listing->capacity = capacity;
    }
    assert(listing->count < listing->capacity);
    listing->files[listing->count++] = *file;
    return 0;
}

static int list_one(void *ctx, const char *name)
{
    struct listing *listing = ctx;
    struct lv_logfile file;
    uint32_t shard;
    uint64_t number;
    int rc;

    if (!lv_logfile_parse_name(name, &shard, &number) || shard != listing->shard)
        return 0;
    rc = lv_logfile_read_head(listing->disk, name, &file, listing->diag);
    assert(rc <= 0);
    if (rc == -LV_E_NOT_FOUND) {
        listing->diag->text[0] = '\0'; /* that is no failure */
        return 0;
    }
    return rc < 0 ? rc : add_file(listing, &file);
}

static int by_number(const void *a, const void *b)
{
    const struct lv_logfile *x = a, *y = b;

    assert(x->head.shard == y->head.shard);
    return x->head.number < y->head.number ? -1 : x->head.number > y->head.number;
}

/* A file's last number. */
static uint64_t last_number(const struct lv_logfile *file)
{
    assert(file->head.file_size > 0);
    return file->head.number + (file->head.file_size - 1) / LV_LOG_FILE_SIZE;
}

static int check_overlaps(const struct listing *listing)
{
    for (size_t i = 1; i < listing->count; i++) {
        const struct lv_logfile *file = &listing->files[i - 1], *next = file + 1;

        assert(file->head.number < next->head.number);
        if (last_number(file) >= next->head.number)
            return lv_fail(listing->diag, -LV_E_CORRUPT,
                           "%s is as long as if %s were a part of it: one of them does not belong "
                           "here",
                           file->name, next->name);
    }
    return 0;
}

int lv_logfile_list(struct lv_disk *disk, uint32_t shard, struct lv_logfile **ret_files,
                    size_t *ret_count, struct lv_diag *diag)
{
    struct lv_diag why = {""};
    struct listing listing = {.disk = disk, .shard = shard, .diag = &why};
    int rc = disk->ops->list(disk, list_one, &listing);

    if (rc == 0 && listing.count > 0) {
        qsort(listing.files, listing.count, sizeof *listing.files, by_number);
        rc = check_overlaps(&listing);
    }
    if (rc < 0) {
        lv_free(listing.files);
        return lv_fail(diag, rc, "%s",
                       why.text[0] != '\0' ? why.text : "the directory can't be read");
    }
    assert(listing.count <= listing.capacity);
    *ret_files = listing.files;
    *ret_count = listing.count;
    return 0;
}

/* Is the payload as long as a record of this kind with this count has it? */
static bool is_record_sound(const struct lv_record_head *head)
{
    uint64_t ranges = head->count * (uint64_t)sizeof(struct lv_record_range);

    if (head->flags != 0)
        return false;
    switch (head->kind) {
    case LV_RECORD_MESSAGE:
        return head->count > 0 &&
               head->size >= head->count * (uint64_t)sizeof(struct lv_record_place);
    case LV_RECORD_SETTLE:
    case LV_RECORD_STATE:
        return head->size == sizeof(struct lv_record_queue) + ranges;
    case LV_RECORD_BITS:
        return head->count > 0 && head->size == sizeof(struct lv_record_queue) +
                                                    sizeof(struct lv_record_bits) +
                                                    head->count * (uint64_t)sizeof(uint64_t);
    case LV_RECORD_CHANGE:
        return head->size > 0;
    case LV_RECORD_CLEAN:
        return head->size == 0;
    default:
        return false;
    }
}

int lv_block_each(const struct lv_block_head *block, const uint8_t *bytes,
                  lv_logfile_record_fn *each, void *ctx)
{
    uint64_t at = sizeof *block;
    int rc = 0;

    assert(block->size >= sizeof *block);
    for (uint32_t i = 0; rc == 0 && i < block->count; i++) {
        struct lv_record_head head;

        if (block->size - at < sizeof head)
            return -LV_E_CORRUPT;
        memcpy(&head, bytes + at, sizeof head);
        if (lv_record_size(head.size) > block->size - at || !is_record_sound(&head))
            return -LV_E_CORRUPT;
        if (each != NULL)
            rc = each(ctx, block->lsn + at + sizeof head, &head, bytes + at + sizeof head);
        at += lv_record_size(head.size);
        assert(at <= block->size);
    }
    return rc == 0 && at != block->size ? -LV_E_CORRUPT : rc;
}
