#include "store/logfile_set.h"

#include "base/alloc.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

struct lv_logset lv_logset;
struct lv_shown lv_shown;

uint64_t lv_logset_base(void)
{
    return lv_logset.head.number * LV_LOG_FILE_SIZE;
}

void lv_logset_put(const void *data, size_t size, uint64_t offset)
{
    assert_int_equal(
        lv_logset.disk->ops->write(lv_logset.disk, lv_logset.file, offset, lv_bytes(data, size)),
        0);
}

void lv_logset_make_file(uint64_t number, uint64_t size)
{
    char name[LV_DISK_NAME_SIZE];

    lv_logfile_name(LV_LOGSET_SHARD, number, name);
    lv_image_disk_put(lv_logset.image, name, lv_text(""));
    assert_int_equal(lv_image_disk_resize(lv_logset.image, name, size), 0);
    assert_int_equal(lv_logset.disk->ops->open(lv_logset.disk, name, false, &lv_logset.file), 0);
    assert_int_equal(lv_logset.disk->ops->sync_directory(lv_logset.disk), 0);
}

void lv_logset_begin_file(uint64_t number, uint64_t size)
{
    if (lv_logset.file >= 0)
        lv_logset.disk->ops->close(lv_logset.disk, lv_logset.file);
    lv_logset_make_file(number, size);
    lv_logset.head = (struct lv_log_head){
        .shard = LV_LOGSET_SHARD, .number = number, .file_size = size, .seed = 77 + number * 1000};
    lv_log_head_seal(&lv_logset.head);
    lv_logset_put(&lv_logset.head, sizeof lv_logset.head, 0);
    lv_logset.lsn = lv_logset_base() + LV_LOG_HEAD_SIZE;
}

void lv_logset_next_page(void)
{
    lv_logset.lsn = (lv_logset.lsn + LV_PAGE_SIZE - 1) / LV_PAGE_SIZE * LV_PAGE_SIZE;
}

void lv_logset_add_record(uint8_t kind, uint16_t count, const void *payload, uint32_t size)
{
    struct lv_record_head head = {.size = size, .kind = kind, .count = count};
    uint8_t *p = lv_logset.block + lv_logset.size;

    assert_true(lv_logset.size + lv_record_size(size) <= sizeof lv_logset.block);
    memset(p, 0, lv_record_size(size));
    memcpy(p, &head, sizeof head);
    if (size > 0)
        memcpy(p + sizeof head, payload, size);
    lv_logset.size += (uint32_t)lv_record_size(size);
    lv_logset.count++;
}

void lv_logset_add_message(uint64_t number, uint32_t size)
{
    uint8_t payload[1024] = {0};
    struct lv_record_place place = {.queue_id = 9, .seq = number};

    assert_true(sizeof place + size <= sizeof payload);
    memcpy(payload, &place, sizeof place);
    memset(payload + sizeof place, (int)('a' + number % 26), size);
    lv_logset_add_record(LV_RECORD_MESSAGE, 1, payload, (uint32_t)(sizeof place + size));
}

uint64_t lv_logset_seal(void)
{
    struct lv_block_head head = {.lsn = lv_logset.lsn,
                                 .previous = lv_logset.previous,
                                 .synced = lv_logset.synced,
                                 .size = lv_logset.size,
                                 .count = lv_logset.count};

    memcpy(lv_logset.block, &head, sizeof head);
    head.hash = lv_block_hash(lv_logset.block, head.size, lv_logset.head.seed);
    memcpy(lv_logset.block, &head.hash, sizeof head.hash);
    lv_logset_put(lv_logset.block, head.size, lv_logset.lsn - lv_logset_base());
    lv_logset.lsn += head.size;
    lv_logset.previous = lv_logset.lsn;
    lv_logset.size = sizeof head;
    lv_logset.count = 0;
    return head.lsn;
}

uint64_t lv_logset_write(uint64_t number, uint32_t size)
{
    lv_logset_add_message(number, size);
    return lv_logset_seal();
}

void lv_logset_sync(void)
{
    assert_int_equal(lv_logset.disk->ops->sync(lv_logset.disk, lv_logset.file), 0);
    lv_logset.synced = lv_logset.lsn;
}

uint64_t lv_logset_write_synced(uint64_t number, uint32_t size)
{
    uint64_t lsn = lv_logset_write(number, size);

    lv_logset_sync();
    return lsn;
}

void lv_logset_begin(uint64_t number)
{
    lv_logset = (struct lv_logset){.image = lv_logset.image,
                                   .disk = lv_logset.disk,
                                   .file = -1,
                                   .size = sizeof(struct lv_block_head)};
    lv_logset_begin_file(number, LV_LOG_FILE_SIZE);
}

int lv_logset_up(void **state)
{
    (void)state;
    lv_logset.image = lv_image_disk_new(1);
    lv_logset.disk = lv_image_disk_view(lv_logset.image);
    lv_logset_begin(LV_LOGSET_FIRST);
    return 0;
}

int lv_logset_down(void **state)
{
    (void)state;
    lv_image_disk_free(lv_logset.image);
    return 0;
}

void lv_logset_turn_to(struct lv_image_disk *image)
{
    lv_image_disk_free(lv_logset.image);
    lv_logset.image = image;
    lv_logset.disk = lv_image_disk_view(image);
    lv_logset.file = -1;
}

const char *lv_logset_name(uint64_t number)
{
    static char name[LV_DISK_NAME_SIZE];

    lv_logfile_name(LV_LOGSET_SHARD, number, name);
    return name;
}

static int show_record(void *ctx, uint64_t lsn, const struct lv_record_head *head,
                       const uint8_t *payload)
{
    struct lv_record_place place;

    (void)ctx;
    assert_true(lsn > 0);
    if (head->kind != LV_RECORD_MESSAGE)
        return 0;
    memcpy(&place, payload, sizeof place);
    assert_true(lv_shown.count < LV_SHOWN_MAX);
    lv_shown.numbers[lv_shown.count++] = place.seq;
    return 0;
}

static int show_block(void *ctx, const struct lv_logfile *file, const struct lv_block_head *block,
                      const uint8_t *bytes)
{
    assert_ptr_equal(ctx, &lv_shown);
    assert_true(block->lsn >= file->head.number * LV_LOG_FILE_SIZE);
    assert_memory_equal(bytes, block, sizeof *block);
    lv_shown.block_count++;
    if (lv_shown.stop_after > 0 && lv_shown.block_count == (unsigned)lv_shown.stop_after)
        return -LV_E_STOPPED;
    return lv_block_each(block, bytes, show_record, NULL);
}

static int show_damage(void *ctx, const struct lv_logfile_damage *damage)
{
    assert_ptr_equal(ctx, &lv_shown);
    if (lv_shown.damage_count++ == 0) {
        lv_shown.damage = *damage;
        snprintf(lv_shown.next_name, sizeof lv_shown.next_name, "%s",
                 damage->next == NULL ? "" : damage->next->name);
    }
    return 0;
}

static int scan_with(int (*damage)(void *, const struct lv_logfile_damage *))
{
    struct lv_logfile_visitor visitor = {.block = show_block, .damage = damage, .ctx = &lv_shown};
    struct lv_logfile *files = NULL;
    size_t count;
    int stop_after = lv_shown.stop_after;

    memset(&lv_shown, 0, sizeof lv_shown);
    lv_shown.stop_after = stop_after;
    lv_shown.rc = lv_logfile_list(lv_logset.disk, LV_LOGSET_SHARD, &files, &count, &lv_shown.diag);
    if (lv_shown.rc == 0)
        lv_shown.rc =
            lv_logfile_scan(lv_logset.disk, files, count, &visitor, &lv_shown.end, &lv_shown.diag);
    lv_free(files);
    return lv_shown.rc;
}

int lv_logset_scan(void)
{
    return scan_with(NULL);
}

int lv_logset_scan_on(void)
{
    return scan_with(show_damage);
}

const char *lv_logset_numbers(void)
{
    static char text[2048];
    size_t size = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < lv_shown.count; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "%s%u", i == 0 ? "" : " ",
                                 (unsigned)lv_shown.numbers[i]);
    return text;
}

void lv_logset_assert_said(const char *words)
{
    if (strstr(lv_shown.diag.text, words) == NULL)
        fail_msg("\"%s\" says nothing of \"%s\"", lv_shown.diag.text, words);
}
