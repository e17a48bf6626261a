#include "store/logfile.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "store/logfile_set.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void names_are_written_one_way(void **state)
{
    static const char *const others[] = {"log-03-1a",         "log-3-0000001a",
                                         "log-03-0000001A",   "log-03-0000001a.tmp",
                                         "log-03-0000001a ",  "log-03-",
                                         "log--0000001a",     "seg-03-0000001a",
                                         "log-03-000000001a", "log-03",
                                         "log-03-0000001g",   "",
                                         "log-003-0000001a",  "log-03-ffffffffffffffff",
                                         "metadata.sqlite"};
    char name[LV_DISK_NAME_SIZE];
    uint32_t shard;
    uint64_t number;

    (void)state;
    lv_logfile_name(3, 0x1a, name);
    assert_string_equal(name, "log-03-0000001a");
    assert_true(lv_logfile_parse_name(name, &shard, &number));
    assert_int_equal(shard, 3);
    assert_int_equal(number, 0x1a);
    lv_logfile_name(0x123, 0x123456789a, name);
    assert_true(lv_logfile_parse_name(name, &shard, &number));
    assert_int_equal(shard, 0x123);
    assert_int_equal(number, 0x123456789a);
    for (size_t i = 0; i < LV_COUNT(others); i++)
        assert_false(lv_logfile_parse_name(others[i], &shard, &number));
}

static void files_of_a_shard_are_listed_by_number(void **state)
{
    struct lv_logfile *files;
    size_t count;

    (void)state;
    lv_logset_begin_file(LV_LOGSET_FIRST + 9, LV_LOG_FILE_SIZE);
    lv_logset_begin_file(LV_LOGSET_FIRST + 2, 2 * LV_LOG_FILE_SIZE);
    lv_logset_begin_file(LV_LOGSET_FIRST + 4, LV_LOG_FILE_SIZE);
    lv_image_disk_put(lv_logset.image, "log-04-0000001b", lv_text("of another shard"));
    lv_image_disk_put(lv_logset.image, "metadata.sqlite", lv_text("of others"));
    assert_int_equal(lv_logfile_list(lv_logset.disk, LV_LOGSET_SHARD, &files, &count, NULL), 0);
    assert_int_equal(count, 4);
    assert_string_equal(files[0].name, "log-03-0000001a");
    assert_int_equal(files[1].head.number, LV_LOGSET_FIRST + 2);
    assert_int_equal(files[1].head.file_size, 2 * LV_LOG_FILE_SIZE);
    assert_int_equal(files[2].head.number, LV_LOGSET_FIRST + 4);
    assert_int_equal(files[3].head.number, LV_LOGSET_FIRST + 9);
    lv_free(files);
}

static void a_file_in_place_of_another_is_damage(void **state)
{
    (void)state;
    lv_logset_begin_file(LV_LOGSET_FIRST + 1, 2 * LV_LOG_FILE_SIZE);
    lv_logset_begin_file(LV_LOGSET_FIRST + 2, LV_LOG_FILE_SIZE);
    assert_int_equal(lv_logset_scan(), -LV_E_CORRUPT);
    lv_logset_assert_said("log-03-0000001b");
    lv_logset_assert_said("log-03-0000001c");
}

static void what_was_made_ready_is_no_part_of_the_log(void **state)
{
    struct lv_logfile file;

    (void)state;
    lv_logset_write_synced(1, 10);
    lv_logset_make_file(LV_LOGSET_FIRST + 1, LV_LOG_FILE_SIZE); /* zeros */
    lv_logset_make_file(LV_LOGSET_FIRST + 2, 0);                /* a crash came while it was made */
    assert_int_equal(
        lv_logfile_read_head(lv_logset.disk, lv_logset_name(LV_LOGSET_FIRST + 1), &file, NULL),
        -LV_E_NOT_FOUND);
    assert_int_equal(
        lv_logfile_read_head(lv_logset.disk, lv_logset_name(LV_LOGSET_FIRST + 2), &file, NULL),
        -LV_E_NOT_FOUND);
    assert_int_equal(lv_logset_scan(), 0);
    assert_string_equal(lv_logset_numbers(), "1");
    assert_int_equal(lv_shown.end.next_number, LV_LOGSET_FIRST + 1);
}

/* It is given its next number first and its new head later. */
static void a_file_that_is_used_again_begins_with_its_old_head(void **state)
{
    struct lv_logfile file;
    char from[LV_DISK_NAME_SIZE];

    (void)state;
    lv_logset_write_synced(1, 10);
    memcpy(from, lv_logset_name(LV_LOGSET_FIRST), sizeof from);
    lv_logset_begin_file(LV_LOGSET_FIRST + 1, LV_LOG_FILE_SIZE);
    lv_logset_write_synced(2, 10);
    assert_int_equal(
        lv_logset.disk->ops->rename(lv_logset.disk, from, lv_logset_name(LV_LOGSET_FIRST + 2)), 0);
    assert_int_equal(
        lv_logfile_read_head(lv_logset.disk, lv_logset_name(LV_LOGSET_FIRST + 2), &file, NULL),
        -LV_E_NOT_FOUND);
    assert_int_equal(lv_logset_scan(), 0);
    assert_string_equal(lv_logset_numbers(), "2");
    /* The other way round nobody ever does it. */
    memcpy(from, lv_logset_name(LV_LOGSET_FIRST + 1), sizeof from);
    assert_int_equal(
        lv_logset.disk->ops->rename(lv_logset.disk, from, lv_logset_name(LV_LOGSET_FIRST)), 0);
    assert_int_equal(lv_logset_scan(), -LV_E_CORRUPT);
    lv_logset_assert_said("log-03-0000001a");
}

static void a_lost_head_is_damage_when_blocks_were_synced_behind_it(void **state)
{
    (void)state;
    lv_logset_write(1, 10);
    lv_logset_write(2, 10); /* neither knows of a sync */
    assert_int_equal(
        lv_image_disk_zero(lv_logset.image, lv_logset_name(LV_LOGSET_FIRST), 0, LV_LOG_HEAD_SIZE),
        0);
    assert_int_equal(lv_logset_scan(), 0);
    assert_int_equal(lv_shown.block_count, 0);
    lv_logset.synced = lv_logset.lsn;
    lv_logset_write(3, 10);
    assert_int_equal(lv_logset_scan(), -LV_E_CORRUPT);
    lv_logset_assert_said("log-03-0000001a is damaged at offset 0");
}

/* As a power loss leaves it where nothing is synced. */
static void a_first_file_that_was_never_there_is_none(void **state)
{
    (void)state;
    lv_logset_begin_file(LV_LOGSET_FIRST + 1, LV_LOG_FILE_SIZE);
    lv_logset_write(2, 10);
    assert_int_equal(
        lv_image_disk_zero(lv_logset.image, lv_logset_name(LV_LOGSET_FIRST), 0, LV_LOG_HEAD_SIZE),
        0);
    assert_int_equal(lv_logset_scan(), 0);
    assert_string_equal(lv_logset_numbers(), "2");
}

static void every_bit_of_a_head_counts(void **state)
{
    struct lv_logfile file;
    struct lv_diag diag;

    (void)state;
    for (uint64_t bit = 0; bit < 8 * sizeof(struct lv_log_head); bit++) {
        assert_int_equal(lv_image_disk_flip(lv_logset.image, lv_logset_name(LV_LOGSET_FIRST),
                                            bit / 8, (uint8_t)(1 << bit % 8)),
                         0);
        assert_int_equal(
            lv_logfile_read_head(lv_logset.disk, lv_logset_name(LV_LOGSET_FIRST), &file, &diag),
            -LV_E_CORRUPT);
        assert_non_null(strstr(diag.text, "log-03-0000001a"));
        assert_int_equal(lv_image_disk_flip(lv_logset.image, lv_logset_name(LV_LOGSET_FIRST),
                                            bit / 8, (uint8_t)(1 << bit % 8)),
                         0);
    }
    assert_int_equal(
        lv_logfile_read_head(lv_logset.disk, lv_logset_name(LV_LOGSET_FIRST), &file, NULL), 0);
}

static void an_unknown_version_is_refused_with_what_to_do(void **state)
{
    (void)state;
    lv_logset.head.version = 2;
    lv_logset.head.check = lv_xxh3(&lv_logset.head, offsetof(struct lv_log_head, check), 0);
    lv_logset_put(&lv_logset.head, sizeof lv_logset.head, 0);
    assert_int_equal(lv_logset_scan(), -LV_E_VERSION);
    lv_logset_assert_said("log-03-0000001a");
    lv_logset_assert_said("version 2");
    lv_logset_assert_said("use the Leveret that wrote it");
    lv_logset.head.check = 12345; /* a later version may put something else there */
    lv_logset_put(&lv_logset.head, sizeof lv_logset.head, 0);
    assert_int_equal(lv_logset_scan(), -LV_E_VERSION);
}

static void a_head_that_nobody_writes_is_damage(void **state)
{
    static const uint64_t sizes[] = {0, LV_PAGE_SIZE, LV_LOG_FILE_SIZE + 4096, UINT64_MAX};

    (void)state;
    for (size_t i = 0; i < LV_COUNT(sizes); i++) {
        lv_logset.head.file_size = sizes[i];
        lv_logset.head.check = lv_xxh3(&lv_logset.head, offsetof(struct lv_log_head, check), 0);
        lv_logset_put(&lv_logset.head, sizeof lv_logset.head, 0);
        assert_int_equal(lv_logset_scan(), -LV_E_CORRUPT);
    }
    lv_logset.head.file_size = LV_LOG_FILE_SIZE;
    lv_logset.head.shard = LV_LOGSET_SHARD + 1;
    lv_log_head_seal(&lv_logset.head);
    lv_logset_put(&lv_logset.head, sizeof lv_logset.head, 0);
    assert_int_equal(lv_logset_scan(), -LV_E_CORRUPT);
}

static void no_files_are_an_empty_log(void **state)
{
    (void)state;
    assert_int_equal(lv_logset.disk->ops->remove(lv_logset.disk, lv_logset_name(LV_LOGSET_FIRST)),
                     0);
    assert_int_equal(lv_logset_scan(), 0);
    assert_int_equal(lv_shown.end.lsn, 0);
    assert_int_equal(lv_shown.end.next_number, 1);
    assert_int_equal(lv_shown.block_count, 0);
}

static void a_file_without_blocks_ends_where_the_first_would_be(void **state)
{
    (void)state;
    assert_int_equal(lv_logset_scan(), 0);
    assert_int_equal(lv_shown.end.lsn, LV_LOGSET_FIRST * LV_LOG_FILE_SIZE + LV_LOG_HEAD_SIZE);
    assert_int_equal(lv_shown.end.block_count, 0);
    assert_int_equal(lv_shown.end.dropped_size, 0);
    assert_int_equal(lv_shown.end.next_number, LV_LOGSET_FIRST + 1);
}

/* Pages that are left, files that are left, a file for one large record. */
static void blocks_are_shown_in_order_over_pages_and_files(void **state)
{
    static uint8_t large[LV_LOG_FILE_SIZE + 5000];
    struct lv_record_head record = {.kind = LV_RECORD_MESSAGE, .count = 1};
    struct lv_block_head head = {.count = 1};
    struct lv_record_place place = {.queue_id = 9, .seq = 6};

    (void)state;
    lv_logset_write_synced(1, 10);
    lv_logset_add_message(2, 17);
    lv_logset_add_message(3, 0);
    lv_logset_seal();
    lv_logset_next_page();
    lv_logset_write_synced(4, 300);
    lv_logset_begin_file(LV_LOGSET_FIRST + 1, LV_LOG_FILE_SIZE);
    lv_logset_write_synced(5, 5);
    lv_logset_begin_file(LV_LOGSET_FIRST + 2, 2 * LV_LOG_FILE_SIZE);
    head.lsn = lv_logset.lsn;
    head.previous = lv_logset.previous;
    head.size = (sizeof large - 40) & ~7u;
    record.size = (uint32_t)(head.size - sizeof head - sizeof record);
    memcpy(large + sizeof head, &record, sizeof record);
    memcpy(large + sizeof head + sizeof record, &place, sizeof place);
    memcpy(large, &head, sizeof head);
    head.hash = lv_block_hash(large, head.size, lv_logset.head.seed);
    memcpy(large, &head, sizeof head);
    lv_logset_put(large, head.size, LV_LOG_HEAD_SIZE);
    lv_logset.previous = lv_logset.lsn += head.size;
    lv_logset_begin_file(LV_LOGSET_FIRST + 4, LV_LOG_FILE_SIZE);
    lv_logset_write_synced(7, 5);
    assert_int_equal(lv_logset_scan(), 0);
    assert_string_equal(lv_logset_numbers(), "1 2 3 4 5 6 7");
    assert_int_equal(lv_shown.end.block_count, 6);
    assert_int_equal(lv_shown.end.record_count, 7);
    assert_int_equal(lv_shown.end.lsn, lv_logset.lsn);
    assert_int_equal(lv_shown.end.next_number, LV_LOGSET_FIRST + 5);
    assert_int_equal(lv_shown.end.dropped_size, 0);
    assert_false(lv_shown.end.is_clean);
}

static void a_block_may_end_with_its_page_or_its_file(void **state)
{
    unsigned count = 0;

    (void)state;
    while (lv_logset.lsn - lv_logset_base() < LV_PAGE_SIZE)
        lv_logset_write(count++, 1024 - 64); /* a head, a record's head and a place are 64 bytes */
    assert_int_equal(lv_logset.lsn - lv_logset_base(), LV_PAGE_SIZE);
    for (; lv_logset.lsn - lv_logset_base() < LV_LOG_FILE_SIZE - LV_PAGE_SIZE;
         lv_logset_next_page())
        lv_logset_write(count++, 8);
    while (lv_logset.lsn - lv_logset_base() < LV_LOG_FILE_SIZE)
        lv_logset_write(count++, 1024 - 64);
    assert_int_equal(lv_logset.lsn - lv_logset_base(), LV_LOG_FILE_SIZE);
    lv_logset_begin_file(LV_LOGSET_FIRST + 1, LV_LOG_FILE_SIZE);
    lv_logset_write_synced(count++, 8);
    assert_int_equal(lv_logset_scan(), 0);
    assert_int_equal(lv_shown.count, count);
    assert_int_equal(lv_shown.end.lsn, lv_logset.lsn);
}

/* What came before the first file has been used again or removed. */
static void the_first_block_follows_one_that_is_not_there_any_more(void **state)
{
    (void)state;
    lv_logset.previous = lv_logset_base() - 5 * LV_PAGE_SIZE;
    lv_logset.synced = lv_logset.previous;
    lv_logset_write_synced(1, 10);
    lv_logset_write_synced(2, 10);
    assert_int_equal(lv_logset_scan(), 0);
    assert_string_equal(lv_logset_numbers(), "1 2");
}

static void a_log_that_was_closed_says_so(void **state)
{
    (void)state;
    lv_logset_write_synced(1, 10);
    lv_logset_add_message(2, 10);
    lv_logset_add_record(LV_RECORD_CLEAN, 0, NULL, 0);
    lv_logset_seal();
    assert_int_equal(lv_logset_scan(), 0);
    assert_true(lv_shown.end.is_clean);
    lv_logset_write(3, 10);
    assert_int_equal(lv_logset_scan(), 0);
    assert_false(lv_shown.end.is_clean);
}

static void who_looks_can_stop(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++)
        lv_logset_write_synced(i, 10);
    lv_shown.stop_after = 2;
    assert_int_equal(lv_logset_scan(), -LV_E_STOPPED);
    assert_int_equal(lv_shown.block_count, 2);
    lv_shown.stop_after = 0;
}

static int count_record(void *ctx, uint64_t lsn, const struct lv_record_head *head,
                        const uint8_t *payload)
{
    unsigned *count = ctx;

    (void)lsn;
    (void)payload;
    ++*count;
    return head->kind == LV_RECORD_CHANGE ? -LV_E_STOPPED : 0;
}

/* Walks one record alone in a block. */
static int walk(uint8_t kind, uint8_t flags, uint16_t count, uint32_t size)
{
    struct lv_block_head block = {.lsn = 4096, .count = 1};
    struct lv_record_head record = {.size = size, .kind = kind, .flags = flags, .count = count};
    uint8_t bytes[512] = {0};
    unsigned records = 0;
    int rc;

    block.size = (uint32_t)(sizeof block + lv_record_size(size));
    memcpy(bytes + sizeof block, &record, sizeof record);
    rc = lv_block_each(&block, bytes, count_record, &records);
    assert_int_equal(records, rc == -LV_E_CORRUPT ? 0 : 1);
    return rc;
}

static void every_kind_has_its_size(void **state)
{
    (void)state;
    assert_int_equal(walk(LV_RECORD_MESSAGE, 0, 1, 16), 0);
    assert_int_equal(walk(LV_RECORD_MESSAGE, 0, 2, 33), 0);
    assert_int_equal(walk(LV_RECORD_MESSAGE, 0, 2, 31), -LV_E_CORRUPT);
    assert_int_equal(walk(LV_RECORD_MESSAGE, 0, 0, 31), -LV_E_CORRUPT);
    assert_int_equal(walk(LV_RECORD_MESSAGE, 1, 1, 16), -LV_E_CORRUPT);
    assert_int_equal(walk(LV_RECORD_SETTLE, 0, 0, 32), 0);
    assert_int_equal(walk(LV_RECORD_SETTLE, 0, 2, 64), 0);
    assert_int_equal(walk(LV_RECORD_SETTLE, 0, 2, 63), -LV_E_CORRUPT);
    assert_int_equal(walk(LV_RECORD_SETTLE, 0, 1, 64), -LV_E_CORRUPT);
    assert_int_equal(walk(LV_RECORD_STATE, 0, 1, 48), 0);
    assert_int_equal(walk(LV_RECORD_STATE, 0, 1, 40), -LV_E_CORRUPT);
    assert_int_equal(walk(LV_RECORD_BITS, 0, 2, 32 + 8 + 16), 0);
    assert_int_equal(walk(LV_RECORD_BITS, 0, 2, 32 + 16), -LV_E_CORRUPT);
    assert_int_equal(walk(LV_RECORD_BITS, 0, 0, 32 + 8), -LV_E_CORRUPT);
    assert_int_equal(walk(LV_RECORD_CHANGE, 0, 0, 5), -LV_E_STOPPED);
    assert_int_equal(walk(LV_RECORD_CHANGE, 0, 0, 0), -LV_E_CORRUPT);
    assert_int_equal(walk(LV_RECORD_CLEAN, 0, 0, 0), 0);
    assert_int_equal(walk(LV_RECORD_CLEAN, 0, 0, 8), -LV_E_CORRUPT);
    assert_int_equal(walk(0, 0, 0, 0), -LV_E_CORRUPT);
    assert_int_equal(walk(6, 0, 0, 0), -LV_E_CORRUPT);
}

static void records_fill_their_block(void **state)
{
    struct lv_record_head clean = {.kind = LV_RECORD_CLEAN};
    struct lv_block_head block = {.lsn = 4096, .size = 40 + 3 * 8, .count = 3};
    uint8_t bytes[64] = {0};
    unsigned count = 0;

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        memcpy(bytes + sizeof block + i * sizeof clean, &clean, sizeof clean);
    assert_int_equal(lv_block_each(&block, bytes, count_record, &count), 0);
    assert_int_equal(count, 3);
    block.count = 2;
    assert_int_equal(lv_block_each(&block, bytes, NULL, NULL), -LV_E_CORRUPT);
    block.count = 4;
    assert_int_equal(lv_block_each(&block, bytes, NULL, NULL), -LV_E_CORRUPT);
    clean.size = UINT32_MAX;
    memcpy(bytes + sizeof block + 16, &clean, sizeof clean);
    block.count = 3;
    assert_int_equal(lv_block_each(&block, bytes, NULL, NULL), -LV_E_CORRUPT);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, lv_logset_up, lv_logset_down)
        cmocka_unit_test(names_are_written_one_way),
        LOG_TEST(files_of_a_shard_are_listed_by_number),
        LOG_TEST(a_file_in_place_of_another_is_damage),
        LOG_TEST(what_was_made_ready_is_no_part_of_the_log),
        LOG_TEST(a_file_that_is_used_again_begins_with_its_old_head),
        LOG_TEST(a_lost_head_is_damage_when_blocks_were_synced_behind_it),
        LOG_TEST(a_first_file_that_was_never_there_is_none),
        LOG_TEST(every_bit_of_a_head_counts),
        LOG_TEST(an_unknown_version_is_refused_with_what_to_do),
        LOG_TEST(a_head_that_nobody_writes_is_damage),
        LOG_TEST(no_files_are_an_empty_log),
        LOG_TEST(a_file_without_blocks_ends_where_the_first_would_be),
        LOG_TEST(blocks_are_shown_in_order_over_pages_and_files),
        LOG_TEST(a_block_may_end_with_its_page_or_its_file),
        LOG_TEST(the_first_block_follows_one_that_is_not_there_any_more),
        LOG_TEST(a_log_that_was_closed_says_so),
        LOG_TEST(who_looks_can_stop),
        cmocka_unit_test(every_kind_has_its_size),
        cmocka_unit_test(records_fill_their_block),
#undef LOG_TEST
    };

    return cmocka_run_group_tests_name("log files", tests, NULL, NULL);
}
