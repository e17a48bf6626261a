#include "base/alloc.h"
#include "base/random.h"
#include "store/logfile_block.h"
#include "store/logfile_set.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void wipe(uint64_t number, uint64_t offset, uint64_t size)
{
    assert_int_equal(lv_image_disk_zero(lv_logset.image, lv_logset_name(number), offset, size), 0);
}

static void flip(uint64_t number, uint64_t offset, uint8_t bits)
{
    assert_int_equal(lv_image_disk_flip(lv_logset.image, lv_logset_name(number), offset, bits), 0);
}

static void cut(uint64_t number, uint64_t size)
{
    assert_int_equal(lv_image_disk_resize(lv_logset.image, lv_logset_name(number), size), 0);
}

/* Nobody says that the last two were synced; the third knows of the first. */
static void write_a_tail(uint64_t lsns[4])
{
    lsns[0] = lv_logset_write_synced(1, 100);
    lsns[1] = lv_logset_write(2, 100);
    lsns[2] = lv_logset_write(3, 100);
    lsns[3] = lv_logset.lsn;
}

static void a_torn_tail_is_the_end(void **state)
{
    uint64_t lsns[4];

    (void)state;
    write_a_tail(lsns);
    for (uint64_t from = lsns[1]; from < lsns[3]; from += 7) {
        struct lv_image_disk *whole = lv_logset.image;

        lv_logset.image = lv_image_disk_copy(whole);
        lv_logset.disk = lv_image_disk_view(lv_logset.image);
        wipe(LV_LOGSET_FIRST, from - lv_logset_base(), 4096);
        assert_int_equal(lv_logset_scan(), 0);
        /* The block may end in zeros. */
        assert_string_equal(lv_logset_numbers(), from < lsns[2] - 4   ? "1"
                                                 : from < lsns[3] - 4 ? "1 2"
                                                                      : "1 2 3");
        assert_int_equal(lv_shown.end.lsn, lsns[lv_shown.count]);
        if (from > lv_shown.end.lsn + sizeof(struct lv_block_head) && lv_shown.end.lsn < lsns[3])
            assert_true(lv_shown.end.dropped_size > 0);
        lv_image_disk_free(lv_logset.image);
        lv_logset.image = whole;
        lv_logset.disk = lv_image_disk_view(lv_logset.image);
    }
}

/* The second was torn, the third was not: neither had been synced. */
static void later_blocks_that_nobody_vouches_for_are_dropped(void **state)
{
    uint64_t lsns[4];

    (void)state;
    write_a_tail(lsns);
    wipe(LV_LOGSET_FIRST, lsns[1] - lv_logset_base() + 50, 8);
    assert_int_equal(lv_logset_scan(), 0);
    assert_string_equal(lv_logset_numbers(), "1");
    assert_int_equal(lv_shown.end.lsn, lsns[1]);
    assert_int_equal(lv_shown.end.dropped_size, lsns[3] - lsns[1]);
}

static void a_later_block_that_vouches_makes_it_damage(void **state)
{
    uint64_t lsns[4];
    char words[64];

    (void)state;
    write_a_tail(lsns);
    lv_logset_sync();
    lv_logset_write(4, 10);
    wipe(LV_LOGSET_FIRST, lsns[1] - lv_logset_base() + 50, 8);
    assert_int_equal(lv_logset_scan(), -LV_E_CORRUPT);
    snprintf(words, sizeof words, "log-03-0000001a is damaged at offset %u",
             (unsigned)(lsns[1] - lv_logset_base()));
    lv_logset_assert_said(words);
    assert_int_equal(lv_logset_scan_on(), 0);
    assert_string_equal(lv_logset_numbers(), "1 3 4"); /* the damaged one alone is missing */
    assert_int_equal(lv_shown.damage_count, 1);
    assert_int_equal(lv_shown.damage.offset, lsns[1] - lv_logset_base());
    assert_int_equal(lv_shown.damage.next_offset, lsns[2] - lv_logset_base());
    assert_int_equal(lv_shown.damage.size, lsns[2] - lsns[1]);
    assert_int_equal(lv_shown.end.lsn, lv_logset.lsn);
}

/* A page that was skipped because it was full looks like one that was wiped. */
static void a_wiped_block_before_a_page_or_a_file_is_damage(void **state)
{
    uint64_t lsn, next;

    (void)state;
    lv_logset_write_synced(1, 10);
    lsn = lv_logset_write_synced(2, 10);
    lv_logset_next_page();
    next = lv_logset_write_synced(3, 10);
    assert_int_equal(lv_logset_scan(), 0);
    wipe(LV_LOGSET_FIRST, lsn - lv_logset_base(), 4096);
    assert_int_equal(lv_logset_scan(), -LV_E_CORRUPT);
    assert_int_equal(lv_logset_scan_on(), 0);
    assert_string_equal(lv_logset_numbers(), "1 3");
    assert_int_equal(lv_shown.damage.size, next - lsn);
    lsn = lv_logset_write_synced(4, 10);
    lv_logset_begin_file(LV_LOGSET_FIRST + 1, LV_LOG_FILE_SIZE);
    lv_logset_write_synced(5, 10);
    wipe(LV_LOGSET_FIRST, lsn - LV_LOGSET_FIRST * LV_LOG_FILE_SIZE, 4096);
    assert_int_equal(lv_logset_scan_on(), 0);
    assert_string_equal(lv_logset_numbers(), "1 3 5");
    assert_int_equal(lv_shown.damage_count, 2);
}

static void a_missing_file_is_named(void **state)
{
    (void)state;
    lv_logset_write_synced(1, 10);
    lv_logset_begin_file(LV_LOGSET_FIRST + 1, LV_LOG_FILE_SIZE);
    lv_logset_write_synced(2, 10);
    lv_logset_begin_file(LV_LOGSET_FIRST + 2, LV_LOG_FILE_SIZE);
    lv_logset_write_synced(3, 10);
    assert_int_equal(
        lv_logset.disk->ops->remove(lv_logset.disk, lv_logset_name(LV_LOGSET_FIRST + 1)), 0);
    assert_int_equal(lv_logset_scan(), -LV_E_CORRUPT);
    lv_logset_assert_said("log-03-0000001a is damaged at offset");
    lv_logset_assert_said("log-03-0000001b is missing");
    assert_int_equal(lv_logset_scan_on(), 0);
    assert_string_equal(lv_logset_numbers(), "1 3");
    assert_string_equal(lv_shown.next_name, "log-03-0000001c");
}

/* Who goes on begins with another file: so a start need not read what was never used. */
static void behind_a_clean_end_only_later_files_are_looked_at(void **state)
{
    uint64_t end, lsn;

    (void)state;
    lv_logset_write_synced(1, 10);
    lv_logset_add_record(LV_RECORD_CLEAN, 0, NULL, 0);
    lv_logset_seal();
    lv_logset_sync();
    end = lv_logset.lsn;
    lv_logset_next_page();
    lv_logset.previous += 8; /* a block of a log that does not lead here */
    lv_logset_write_synced(2, 10);
    assert_int_equal(lv_logset_scan(), 0);
    assert_true(lv_shown.end.is_clean);
    assert_int_equal(lv_shown.end.lsn, end);
    assert_int_equal(lv_shown.end.dropped_size, 0);
    lv_logset.previous = end;
    lv_logset_begin_file(LV_LOGSET_FIRST + 1, LV_LOG_FILE_SIZE);
    lsn = lv_logset_write_synced(3, 10);
    lv_logset_write_synced(4, 10);
    assert_int_equal(lv_logset_scan(), 0);
    assert_string_equal(lv_logset_numbers(), "1 3 4");
    assert_false(lv_shown.end.is_clean);
    wipe(LV_LOGSET_FIRST + 1, lsn - lv_logset_base(), 8);
    assert_int_equal(lv_logset_scan(), -LV_E_CORRUPT);
    lv_logset_assert_said("log-03-0000001a is damaged at offset");
}

static void a_file_that_is_too_short_is_damage(void **state)
{
    uint64_t lsns[4];

    (void)state;
    write_a_tail(lsns);
    for (uint64_t size = lsns[0] - lv_logset_base(); size < lsns[3] - lv_logset_base() + 100;
         size += 9) {
        struct lv_image_disk *whole = lv_logset.image;

        lv_logset.image = lv_image_disk_copy(whole);
        lv_logset.disk = lv_image_disk_view(lv_logset.image);
        cut(LV_LOGSET_FIRST, size);
        assert_int_equal(lv_logset_scan(), -LV_E_CORRUPT);
        lv_logset_assert_said("log-03-0000001a is damaged at offset");
        assert_int_equal(lv_logset_scan_on(), 0);
        assert_int_equal(lv_shown.end.lsn, lsns[lv_shown.count]);
        assert_true(lv_shown.end.lsn - lv_logset_base() <= size);
        assert_null(lv_shown.damage.next);
        lv_image_disk_free(lv_logset.image);
        lv_logset.image = whole;
        lv_logset.disk = lv_image_disk_view(lv_logset.image);
    }
    lv_logset_begin_file(LV_LOGSET_FIRST + 1, LV_LOG_FILE_SIZE);
    lv_logset_sync();
    lv_logset_write_synced(4, 10);
    cut(LV_LOGSET_FIRST, lsns[2] - LV_LOGSET_FIRST * LV_LOG_FILE_SIZE);
    assert_int_equal(lv_logset_scan_on(), 0);
    assert_string_equal(lv_logset_numbers(), "1 2 4");
}

/* A byte at a time, each with another bit. */
static void every_byte_of_a_block_counts(void **state)
{
    uint64_t lsns[4];

    (void)state;
    lsns[0] = lv_logset_write_synced(1, 3);
    lsns[1] = lv_logset_write_synced(2, 3);
    lsns[2] = lv_logset_write_synced(3, 3);
    for (uint64_t at = lsns[0]; at < lsns[2]; at++) {
        unsigned index = at < lsns[1] ? 0 : 1;
        uint8_t bit = (uint8_t)(1 << at % 7);

        flip(LV_LOGSET_FIRST, at - lv_logset_base(), bit);
        assert_int_equal(lv_logset_scan_on(), 0);
        assert_string_equal(lv_logset_numbers(), index == 0 ? "2 3" : "1 3");
        assert_int_equal(lv_shown.damage.offset, lsns[index] - lv_logset_base());
        assert_int_equal(lv_shown.damage.next_offset, lsns[index + 1] - lv_logset_base());
        flip(LV_LOGSET_FIRST, at - lv_logset_base(), bit);
    }
    assert_int_equal(lv_logset_scan(), 0);
}

static void every_bit_of_a_block_is_hashed(void **state)
{
    struct lv_logfile_view view;
    struct lv_block_head head;
    uint64_t block[32] = {0};
    uint8_t *bytes = (uint8_t *)block;

    (void)state;
    lv_logset_add_message(1, 100);
    head = (struct lv_block_head){
        .lsn = 4096, .previous = 4000, .synced = 4000, .size = lv_logset.size, .count = 1};
    memcpy(bytes, lv_logset.block, lv_logset.size);
    memcpy(bytes, &head, sizeof head);
    head.hash = lv_block_hash(bytes, head.size, 5);
    memcpy(bytes, &head, sizeof head);
    view = (struct lv_logfile_view){.data = bytes, .size = head.size, .lsn = 4096};
    assert_true(lv_block_is_valid(&view, 0, 5, &head));
    assert_false(lv_block_is_valid(&view, 0, 6, &head)); /* another life of the file */
    for (size_t bit = 0; bit < 8 * view.size; bit++) {
        bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ (1 << bit % 8));
        assert_false(lv_block_is_valid(&view, 0, 5, &head));
        bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ (1 << bit % 8));
    }
    for (uint64_t size = 0; size < head.size; size++) {
        view.size = size;
        assert_false(lv_block_is_valid(&view, 0, 5, &head));
    }
}

/* The file is used again without being wiped: its old blocks lie behind the new ones. */
static void blocks_of_an_earlier_life_are_nothing(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 5; i++)
        lv_logset_write_synced(i, 10);
    assert_int_equal(
        lv_logset.disk->ops->rename(lv_logset.disk, "log-03-0000001a", "log-03-0000001b"), 0);
    lv_logset.head.number = LV_LOGSET_FIRST + 1;
    lv_logset.head.seed = 999;
    lv_logset.lsn = lv_logset_base() + LV_LOG_HEAD_SIZE;
    lv_log_head_seal(&lv_logset.head);
    lv_logset_put(&lv_logset.head, sizeof lv_logset.head, 0);
    lv_logset_write_synced(7, 10);
    lv_logset_write_synced(8, 10);
    assert_int_equal(lv_logset_scan(), 0);
    assert_string_equal(lv_logset_numbers(), "7 8");
    assert_int_equal(lv_shown.end.dropped_size, 0);
}

/* Who publishes may guess where it will lie, but not the file's seed. */
static void a_message_that_looks_like_a_block_is_none(void **state)
{
    uint64_t body[24] = {0}, lsn;
    struct lv_block_head head;

    (void)state;
    lv_logset_write_synced(1, 10);
    lsn = lv_logset.lsn + 64; /* where the body will be */
    head = (struct lv_block_head){
        .lsn = lsn, .previous = lv_logset.lsn, .synced = lsn, .size = 128, .count = 1};
    memcpy(body, &head, sizeof head);
    head.hash = lv_block_hash((uint8_t *)body, 128, 0);
    memcpy(body + 2, &head, sizeof head);
    body[0] = 9;
    lv_logset_add_record(LV_RECORD_MESSAGE, 1, body, sizeof body);
    lsn = lv_logset_seal();
    flip(LV_LOGSET_FIRST, lsn - lv_logset_base(), 1);
    assert_int_equal(lv_logset_scan(), 0);
    assert_string_equal(lv_logset_numbers(), "1");
}

/* A crash left the third block and not the second; the log went on in another file. */
static void what_a_crash_left_is_not_taken_up_later(void **state)
{
    uint64_t lsns[4];

    (void)state;
    write_a_tail(lsns);
    lv_logset_next_page();
    lv_logset_write(4, 10);
    wipe(LV_LOGSET_FIRST, lsns[1] - lv_logset_base(), 60);
    assert_int_equal(lv_logset_scan(), 0);
    assert_string_equal(lv_logset_numbers(), "1");
    lv_logset.previous = lv_logset.synced = lv_shown.end.lsn;
    lv_logset_begin_file(lv_shown.end.next_number, LV_LOG_FILE_SIZE);
    lv_logset_write_synced(10, 10);
    lv_logset_write_synced(11, 10);
    assert_int_equal(lv_logset_scan(), 0);
    assert_string_equal(lv_logset_numbers(), "1 10 11");
    assert_int_equal(lv_shown.end.dropped_size, 0);
}

/* The file that a crash left without a block of the log stays behind, the log goes on after it. */
static void a_file_may_be_passed_over_after_a_crash(void **state)
{
    uint64_t end;

    (void)state;
    lv_logset_write_synced(1, 10);
    end = lv_logset.lsn;
    lv_logset_begin_file(LV_LOGSET_FIRST + 1, LV_LOG_FILE_SIZE);
    lv_logset_write(2, 10);
    lv_logset_write(3, 10);
    wipe(LV_LOGSET_FIRST + 1, LV_LOG_HEAD_SIZE, 50);
    assert_int_equal(lv_logset_scan(), 0);
    assert_string_equal(lv_logset_numbers(), "1");
    assert_int_equal(lv_shown.end.next_number, LV_LOGSET_FIRST + 2);
    lv_logset.previous = lv_logset.synced = end;
    lv_logset_begin_file(LV_LOGSET_FIRST + 2, LV_LOG_FILE_SIZE);
    lv_logset_write_synced(4, 10);
    lv_logset_write_synced(5, 10);
    assert_int_equal(lv_logset_scan(), 0);
    assert_string_equal(lv_logset_numbers(), "1 4 5");
    /* And when the first file has gone too. */
    assert_int_equal(lv_logset.disk->ops->remove(lv_logset.disk, lv_logset_name(LV_LOGSET_FIRST)),
                     0);
    assert_int_equal(lv_logset_scan(), 0);
    assert_string_equal(lv_logset_numbers(), "4 5");
}

static void the_first_block_may_be_the_damaged_one(void **state)
{
    uint64_t lsn = lv_logset_write_synced(1, 10);

    (void)state;
    lv_logset_write_synced(2, 10);
    flip(LV_LOGSET_FIRST, lsn - lv_logset_base() + 44, 1);
    assert_int_equal(lv_logset_scan(), -LV_E_CORRUPT);
    lv_logset_assert_said("damaged at offset 4096");
    assert_int_equal(lv_logset_scan_on(), 0);
    assert_string_equal(lv_logset_numbers(), "2");
}

static void a_block_of_nonsense_is_damage(void **state)
{
    uint64_t lsn;

    (void)state;
    lv_logset_write_synced(1, 10);
    lv_logset_add_record(99, 1, "what is this", 12);
    lsn = lv_logset_seal();
    lv_logset_write_synced(3, 10);
    assert_int_equal(lv_logset_scan(), -LV_E_CORRUPT);
    lv_logset_assert_said("holds what is no record");
    assert_int_equal(lv_logset_scan_on(), 0);
    assert_string_equal(lv_logset_numbers(), "1 3");
    assert_int_equal(lv_shown.damage.offset, lsn - lv_logset_base());
}

static void every_failing_read_is_said(void **state)
{
    uint64_t reads;
    int rc;

    (void)state;
    lv_logset_write_synced(1, 10);
    lv_logset_begin_file(LV_LOGSET_FIRST + 1, LV_LOG_FILE_SIZE);
    lv_logset_write_synced(2, 10);
    lv_logset_make_file(LV_LOGSET_FIRST + 2, LV_LOG_FILE_SIZE);
    reads = lv_image_disk_count(lv_logset.image, LV_IMAGE_READ);
    assert_int_equal(lv_logset_scan(), 0);
    reads = lv_image_disk_count(lv_logset.image, LV_IMAGE_READ) - reads;
    assert_true(reads >= 5);
    for (uint64_t n = 1; n <= reads; n++) {
        lv_image_disk_fail(lv_logset.image, LV_IMAGE_READ, n, -LV_E_IO, false);
        assert_int_equal(lv_logset_scan(), -LV_E_IO);
        lv_logset_assert_said("log-03-0000001");
        lv_logset_assert_said("can't be read");
    }
    lv_image_disk_fail(lv_logset.image, LV_IMAGE_OPEN, 4, -LV_E_NOT_FOUND, false);
    rc = lv_logset_scan(); /* listed, and then gone */
    assert_int_equal(rc, -LV_E_NOT_FOUND);
}

static void every_failing_allocation_is_said(void **state)
{
    unsigned after = 0;
    int rc;

    (void)state;
    lv_logset_write_synced(1, 10);
    lv_logset_make_file(LV_LOGSET_FIRST + 2, LV_LOG_FILE_SIZE);
    do {
        lv_alloc_fail_after(++after, 0);
        rc = lv_logset_scan();
        lv_alloc_fail_after(0, 0);
        assert_true(rc == 0 || rc == -LV_E_NOMEM);
    } while (rc != 0);
    assert_true(after >= 3);
}

/* A log with pages and files left; gives how many blocks are known to be on disk. */
static unsigned write_any(struct lv_random *random, unsigned first, unsigned count)
{
    unsigned synced = first;

    for (unsigned i = first; i < first + count; i++) {
        if (lv_logset.lsn - lv_logset_base() > LV_LOG_HEAD_SIZE && lv_random_below(random, 8) == 0)
            lv_logset_next_page(); /* the first has room for any block */
        if (lv_random_below(random, 12) == 0) {
            lv_logset_sync();
            synced = i;
            lv_logset_begin_file(lv_logset.head.number + 1, LV_LOG_FILE_SIZE);
        }
        lv_logset_write(i, (uint32_t)lv_random_below(random, 900));
        if (lv_random_below(random, 4) == 0) {
            lv_logset_sync();
            synced = i + 1;
        }
    }
    return synced;
}

/* The disk becomes what a crash left of it, and whoever opens it begins behind what there is. */
static void crash(uint64_t seed)
{
    struct lv_image_disk *left = lv_image_disk_crash(lv_logset.image, seed);

    lv_logset_turn_to(left);
}

/* What was synced is there, what is there is the beginning of what was written, and a log that
 * lived through crashes is never taken for a damaged one. */
static void crashes_lose_the_end_and_nothing_else(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct lv_random random;
        unsigned expected = 0;

        lv_random_seed(&random, seed);
        lv_logset_begin(LV_LOGSET_FIRST);
        for (unsigned life = 0; life < 3; life++) {
            unsigned count = 1 + (unsigned)lv_random_below(&random, 20);
            unsigned synced = write_any(&random, expected, count);

            crash(seed * 10 + life);
            if (lv_logset_scan() < 0)
                fail_msg("seed %u, life %u: %s", (unsigned)seed, life, lv_shown.diag.text);
            if (lv_shown.count < synced || lv_shown.count > expected + count)
                fail_msg("seed %u: %u of %u synced, %u written", (unsigned)seed, lv_shown.count,
                         synced, expected + count);
            for (unsigned i = 0; i < lv_shown.count; i++)
                assert_int_equal(lv_shown.numbers[i], i);
            expected = lv_shown.count;
            lv_logset.previous = lv_logset.synced =
                lv_shown.end.block_count == 0 ? 0 : lv_shown.end.lsn;
            lv_logset_begin_file(lv_shown.end.next_number, LV_LOG_FILE_SIZE);
        }
        lv_logset_turn_to(lv_image_disk_new(1));
    }
}

static void damage_any(struct lv_random *random, uint64_t number)
{
    uint64_t offset = LV_LOG_HEAD_SIZE + lv_random_below(random, 4000);

    if (lv_random_below(random, 4) == 0)
        offset = LV_PAGE_SIZE * lv_random_below(random, 3) + lv_random_below(random, 8000);
    switch (lv_random_below(random, 3)) {
    case 0:
        flip(number, offset, (uint8_t)(1 << lv_random_below(random, 8)));
        break;
    case 1:
        wipe(number, offset, lv_random_below(random, 3000));
        break;
    default:
        cut(number, offset);
        break;
    }
}

/* All that is shown was written, in order; and when something else than the last of it is missing,
 * that is said. */
static void damage_is_never_passed_over(void **state)
{
    unsigned found = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 150; seed++) {
        struct lv_random random;
        unsigned count, last = 0;

        lv_random_seed(&random, seed);
        lv_logset_begin(LV_LOGSET_FIRST);
        count = write_any(&random, 0, 5 + (unsigned)lv_random_below(&random, 15));
        lv_logset_sync();
        damage_any(&random, LV_LOGSET_FIRST + lv_random_below(&random, lv_logset.head.number -
                                                                           LV_LOGSET_FIRST + 1));
        if (lv_logset_scan_on() == 0) {
            for (unsigned i = 0; i < lv_shown.count; i++) {
                assert_true(i == 0 || lv_shown.numbers[i] > last);
                if (lv_shown.numbers[i] != (i == 0 ? 0 : last + 1))
                    assert_true(lv_shown.damage_count > 0);
                last = (unsigned)lv_shown.numbers[i];
            }
            /* A block that was written later knows what was synced before. */
            if (lv_shown.count == 0 || last + 1 < count - 1)
                found += lv_shown.damage_count > 0;
        } else {
            assert_int_equal(lv_shown.rc, -LV_E_CORRUPT);
            found++;
        }
        lv_logset_turn_to(lv_image_disk_new(1));
    }
    assert_true(found > 10);
}

/* Files of one large record have their length before their head, like all others. */
static void a_large_file_that_was_cut_is_damaged(void **state)
{
    (void)state;
    lv_logset_begin_file(LV_LOGSET_FIRST + 1, 2 * LV_LOG_FILE_SIZE);
    (void)lv_logset_write(1, 100);
    assert_int_equal(lv_logset_scan(), 0);
    cut(LV_LOGSET_FIRST + 1, LV_LOG_FILE_SIZE);
    assert_int_equal(lv_logset_scan(), -LV_E_CORRUPT);
    lv_logset_assert_said("log-03-0000001b is damaged");
}

/* Its blocks may lie beyond what a file of the usual size has. */
static void a_large_file_that_lost_its_head_is_damaged(void **state)
{
    (void)state;
    lv_logset_begin_file(LV_LOGSET_FIRST + 1, 2 * LV_LOG_FILE_SIZE);
    (void)lv_logset_write_synced(1, 100);
    lv_logset.lsn += LV_LOG_FILE_SIZE;
    (void)lv_logset_write(2, 100);
    wipe(LV_LOGSET_FIRST + 1, 0, 8192);
    assert_int_equal(lv_logset_scan(), -LV_E_CORRUPT);
    lv_logset_assert_said("its head is gone");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, lv_logset_up, lv_logset_down)
        LOG_TEST(a_torn_tail_is_the_end),
        LOG_TEST(later_blocks_that_nobody_vouches_for_are_dropped),
        LOG_TEST(a_later_block_that_vouches_makes_it_damage),
        LOG_TEST(a_wiped_block_before_a_page_or_a_file_is_damage),
        LOG_TEST(a_missing_file_is_named),
        LOG_TEST(behind_a_clean_end_only_later_files_are_looked_at),
        LOG_TEST(a_file_that_is_too_short_is_damage),
        LOG_TEST(a_large_file_that_was_cut_is_damaged),
        LOG_TEST(a_large_file_that_lost_its_head_is_damaged),
        LOG_TEST(every_byte_of_a_block_counts),
        LOG_TEST(every_bit_of_a_block_is_hashed),
        LOG_TEST(blocks_of_an_earlier_life_are_nothing),
        LOG_TEST(a_message_that_looks_like_a_block_is_none),
        LOG_TEST(what_a_crash_left_is_not_taken_up_later),
        LOG_TEST(a_file_may_be_passed_over_after_a_crash),
        LOG_TEST(the_first_block_may_be_the_damaged_one),
        LOG_TEST(a_block_of_nonsense_is_damage),
        LOG_TEST(every_failing_read_is_said),
        LOG_TEST(every_failing_allocation_is_said),
        LOG_TEST(crashes_lose_the_end_and_nothing_else),
        LOG_TEST(damage_is_never_passed_over),
#undef LOG_TEST
    };

    return cmocka_run_group_tests_name("damaged log files", tests, NULL, NULL);
}
