#include "store/checkpoint.h"

#include "base/alloc.h"
#include "store/logfile_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define NAME "checkpoint-03"

static struct lv_checkpoint found;
static struct lv_diag diag;

static int advance(uint64_t begin, uint64_t end, bool is_syncing)
{
    const struct lv_checkpoint checkpoint = {.begin = begin, .end = end, .is_syncing = is_syncing};

    return lv_checkpoint_advance(lv_logset.disk, LV_LOGSET_SHARD, &checkpoint);
}

static int read_back(struct lv_image_disk *image)
{
    memset(&found, 0, sizeof found);
    diag.text[0] = '\0';
    return lv_checkpoint_read(lv_image_disk_view(image), LV_LOGSET_SHARD, &found, &diag);
}

static void assert_said(const char *words)
{
    if (strstr(diag.text, words) == NULL)
        fail_msg("\"%s\" says nothing of \"%s\"", diag.text, words);
}

static void a_name_leads_to_its_shard_and_nothing_else_does(void **state)
{
    char name[LV_DISK_NAME_SIZE];
    uint32_t shard = 7;

    (void)state;
    lv_checkpoint_name(0x3f, name);
    assert_string_equal(name, "checkpoint-3f");
    assert_true(lv_checkpoint_parse_name(name, &shard));
    assert_int_equal(shard, 0x3f);
    assert_false(lv_checkpoint_parse_name("checkpoint-3F", &shard));
    assert_false(lv_checkpoint_parse_name("checkpoint-3f.tmp", &shard));
    assert_false(lv_checkpoint_parse_name("checkpoint-", &shard));
}

static void what_was_written_is_read_and_never_goes_back(void **state)
{
    (void)state;
    assert_int_equal(read_back(lv_logset.image), -LV_E_NOT_FOUND);
    assert_int_equal(advance(5, 1000, true), 0);
    assert_int_equal(read_back(lv_logset.image), 0);
    assert_int_equal(found.begin, 5);
    assert_int_equal(found.end, 1000);
    assert_true(found.is_syncing && !found.is_torn);
    assert_int_equal(advance(4, 2000, false), 0);
    assert_int_equal(advance(6, 0, false), 0);
    assert_int_equal(read_back(lv_logset.image), 0);
    assert_int_equal(found.begin, 6);
    assert_int_equal(found.end, 2000);
    assert_true(!found.is_syncing && !found.is_torn);
}

static void what_says_nothing_new_is_not_written(void **state)
{
    uint64_t writes;

    (void)state;
    assert_int_equal(advance(5, 1000, true), 0);
    writes = lv_image_disk_count(lv_logset.image, LV_IMAGE_CHANGE);
    assert_int_equal(advance(5, 900, true), 0);
    assert_int_equal(lv_image_disk_count(lv_logset.image, LV_IMAGE_CHANGE), writes);
    assert_int_equal(advance(5, 1001, true), 0);
    assert_true(lv_image_disk_count(lv_logset.image, LV_IMAGE_CHANGE) > writes);
}

static struct lv_image_disk *crashed[400];
static unsigned crash_count;

static void take_images(void *ctx, enum lv_image_op op)
{
    (void)ctx;
    (void)op;
    for (unsigned i = 0; i < 8; i++) {
        assert_true(crash_count < sizeof crashed / sizeof *crashed);
        crashed[crash_count] = lv_image_disk_crash(lv_logset.image, crash_count + 1);
        crash_count++;
    }
}

static void free_images(void)
{
    while (crash_count > 0)
        lv_image_disk_free(crashed[--crash_count]);
}

/* Each is done before the next begins, so a crash leaves the last that was done or the next. */
static void a_crash_at_any_moment_leaves_the_old_one_or_the_new_one(void **state)
{
    (void)state;
    for (uint64_t begin = 1; begin < 7; begin++) {
        lv_image_disk_watch(lv_logset.image, take_images, NULL);
        assert_int_equal(advance(begin, 100 * begin, true), 0);
        take_images(NULL, LV_IMAGE_CHANGE);
        lv_image_disk_watch(lv_logset.image, NULL, NULL);
        for (unsigned i = 0; i < crash_count; i++) {
            int rc = read_back(crashed[i]);
            if (begin == 1 && rc == -LV_E_NOT_FOUND && i < crash_count - 8)
                continue;
            assert_int_equal(rc, 0);
            assert_true(found.begin == begin || (found.begin == begin - 1 && i < crash_count - 8));
            assert_int_equal(found.end, 100 * found.begin);
        }
        free_images();
    }
}

static void a_full_disk_keeps_the_old_one(void **state)
{
    (void)state;
    lv_image_disk_fail(lv_logset.image, LV_IMAGE_WRITE, 1, -LV_E_FULL, false);
    assert_int_equal(advance(1, 10, true), -LV_E_FULL);
    assert_int_equal(read_back(lv_logset.image), -LV_E_NOT_FOUND);
    assert_int_equal(advance(1, 10, true), 0);
    lv_image_disk_fail(lv_logset.image, LV_IMAGE_WRITE, 1, -LV_E_FULL, false);
    assert_int_equal(advance(2, 20, true), -LV_E_FULL);
    assert_int_equal(read_back(lv_logset.image), 0);
    assert_int_equal(found.begin, 1);
    assert_int_equal(advance(2, 20, true), 0);
    assert_int_equal(read_back(lv_logset.image), 0);
    assert_int_equal(found.begin, 2);
    assert_false(found.is_torn);
}

static void a_disk_that_breaks_is_an_error(void **state)
{
    static const enum lv_image_op ops[] = {LV_IMAGE_OPEN, LV_IMAGE_READ, LV_IMAGE_WRITE,
                                           LV_IMAGE_SYNC};

    (void)state;
    lv_image_disk_fail(lv_logset.image, LV_IMAGE_RENAME, 1, -LV_E_IO, false);
    assert_int_equal(advance(1, 10, true), -LV_E_IO);
    lv_image_disk_fail(lv_logset.image, LV_IMAGE_SYNC_DIRECTORY, 1, -LV_E_IO, false);
    assert_int_equal(advance(1, 10, true), -LV_E_IO);
    assert_int_equal(advance(1, 10, true), 0);
    for (unsigned i = 0; i < sizeof ops / sizeof *ops; i++) {
        lv_image_disk_fail(lv_logset.image, ops[i], 1, -LV_E_IO, false);
        assert_int_equal(advance(2 + i, 20, true),
                         -LV_E_IO); /* the last may be there all the same */
    }
    lv_image_disk_fail(lv_logset.image, LV_IMAGE_READ, 1, -LV_E_IO, false);
    assert_int_equal(read_back(lv_logset.image), -LV_E_IO);
    assert_said(NAME);
}

/* The newer slot's damage leaves the older one, which says that it may not be the last. */
static void any_flipped_bit_is_noticed(void **state)
{
    (void)state;
    assert_int_equal(advance(1, 10, true), 0);
    assert_int_equal(advance(2, 20, true), 0); /* into the second slot */
    for (uint64_t at = 0; at < 8 * sizeof(struct lv_checkpoint_slot); at++) {
        for (unsigned slot = 0; slot < 2; slot++) {
            struct lv_image_disk *image = lv_image_disk_copy(lv_logset.image);

            assert_int_equal(lv_image_disk_flip(image, NAME, slot * LV_CHECKPOINT_STRIDE + at / 8,
                                                (uint8_t)(1u << at % 8)),
                             0);
            assert_int_equal(read_back(image), 0);
            assert_true(found.is_torn);
            assert_int_equal(found.begin, slot == 0 ? 2 : 1);
            lv_image_disk_free(image);
        }
    }
}

static void without_a_whole_slot_it_is_damaged_or_of_another_version(void **state)
{
    struct lv_checkpoint_slot slots[2] = {{.version = 9, .magic = LV_CHECKPOINT_MAGIC},
                                          {.version = 0}};

    (void)state;
    assert_int_equal(advance(1, 10, true), 0);
    for (uint64_t size = 0; size < sizeof *slots; size++) {
        struct lv_image_disk *image = lv_image_disk_copy(lv_logset.image);

        assert_int_equal(lv_image_disk_resize(image, NAME, size), 0);
        assert_int_equal(read_back(image), -LV_E_CORRUPT);
        assert_said(NAME);
        lv_image_disk_free(image);
    }
    lv_image_disk_put(lv_logset.image, NAME, lv_bytes(slots, sizeof slots));
    assert_int_equal(read_back(lv_logset.image), -LV_E_VERSION);
    assert_said("version 9");
    assert_said("use the Leveret that wrote it");
    assert_int_equal(advance(2, 20, true), -LV_E_CORRUPT); /* nor is it written over */
}

static int check(void)
{
    struct lv_logfile *files = NULL;
    struct lv_logfile_end end;
    const struct lv_logfile_visitor visitor = {.block = NULL};
    size_t count;
    int rc;

    assert_int_equal(read_back(lv_logset.image), 0);
    assert_int_equal(lv_logfile_list(lv_logset.disk, LV_LOGSET_SHARD, &files, &count, &diag), 0);
    rc = lv_checkpoint_check_begin(&found, LV_LOGSET_SHARD, files, count, &diag);
    if (rc == 0 && count > 0) {
        assert_int_equal(lv_logfile_scan(lv_logset.disk, files, count, &visitor, &end, &diag), 0);
        rc = lv_checkpoint_check_end(&found, files, count, end.lsn, &diag);
    }
    lv_free(files);
    return rc;
}

static void wipe(uint64_t number)
{
    assert_int_equal(
        lv_image_disk_zero(lv_logset.image, lv_logset_name(number), 0, LV_LOG_FILE_SIZE), 0);
}

/* Three files; what lies in the second was synced by nobody but the third's own blocks. */
static void write_log(void)
{
    lv_logset_write_synced(1, 10);
    for (uint64_t i = 1; i < 3; i++) {
        lv_logset_begin_file(LV_LOGSET_FIRST + i, LV_LOG_FILE_SIZE);
        lv_logset_write(2 * i, 10);
        lv_logset_write(2 * i + 1, 10);
    }
    lv_logset_write_synced(9, 10);
}

static void a_log_that_lost_its_first_files_is_damaged(void **state)
{
    (void)state;
    write_log();
    assert_int_equal(advance(LV_LOGSET_FIRST, 0, true), 0);
    assert_int_equal(check(), 0);
    wipe(LV_LOGSET_FIRST);
    assert_int_equal(check(), -LV_E_CORRUPT);
    assert_said("log-03-0000001a is damaged at offset 0");
    assert_int_equal(advance(LV_LOGSET_FIRST + 1, 0, true), 0); /* given up in good order */
    assert_int_equal(check(), 0);
    assert_int_equal(
        lv_logset.disk->ops->remove(lv_logset.disk, lv_logset_name(LV_LOGSET_FIRST + 1)), 0);
    assert_int_equal(check(), -LV_E_CORRUPT);
    assert_said("log-03-0000001b is damaged at offset 0");
}

static void a_log_that_lost_its_last_blocks_is_damaged(void **state)
{
    (void)state;
    write_log();
    assert_int_equal(advance(LV_LOGSET_FIRST, lv_logset.lsn, true), 0);
    assert_int_equal(check(), 0);
    assert_int_equal(lv_image_disk_flip(lv_logset.image, lv_logset_name(LV_LOGSET_FIRST + 2),
                                        lv_logset.lsn - lv_logset_base() - 8, 1),
                     0);
    assert_int_equal(check(), -LV_E_CORRUPT);
    assert_said("log-03-0000001c is damaged at offset");
    wipe(LV_LOGSET_FIRST + 2);
    assert_int_equal(check(), -LV_E_CORRUPT);
    assert_said("log-03-0000001b is damaged at offset");
}

static void a_log_that_lost_all_its_files_is_damaged(void **state)
{
    (void)state;
    wipe(LV_LOGSET_FIRST);
    assert_int_equal(advance(LV_LOGSET_FIRST, 0, true), 0);
    assert_int_equal(check(), 0); /* it may not have begun */
    assert_int_equal(advance(LV_LOGSET_FIRST, lv_logset.lsn, true), 0);
    assert_int_equal(check(), -LV_E_CORRUPT);
    assert_said("log-03-0000001a is damaged at offset 0");
}

static void a_damaged_checkpoint_is_not_taken_for_a_damaged_log(void **state)
{
    (void)state;
    write_log();
    wipe(LV_LOGSET_FIRST);
    assert_int_equal(advance(LV_LOGSET_FIRST, 0, true), 0);
    assert_int_equal(advance(LV_LOGSET_FIRST + 1, 0, true), 0);
    assert_int_equal(lv_image_disk_flip(lv_logset.image, NAME, LV_CHECKPOINT_STRIDE + 20, 1), 0);
    assert_int_equal(check(), -LV_E_CORRUPT);
    assert_said(NAME " is damaged");
}

int main(void)
{
#define CHECKPOINT_TEST(name) cmocka_unit_test_setup_teardown(name, lv_logset_up, lv_logset_down)
    const struct CMUnitTest tests[] = {
        CHECKPOINT_TEST(a_name_leads_to_its_shard_and_nothing_else_does),
        CHECKPOINT_TEST(what_was_written_is_read_and_never_goes_back),
        CHECKPOINT_TEST(what_says_nothing_new_is_not_written),
        CHECKPOINT_TEST(a_crash_at_any_moment_leaves_the_old_one_or_the_new_one),
        CHECKPOINT_TEST(a_full_disk_keeps_the_old_one),
        CHECKPOINT_TEST(a_disk_that_breaks_is_an_error),
        CHECKPOINT_TEST(any_flipped_bit_is_noticed),
        CHECKPOINT_TEST(without_a_whole_slot_it_is_damaged_or_of_another_version),
        CHECKPOINT_TEST(a_log_that_lost_its_first_files_is_damaged),
        CHECKPOINT_TEST(a_log_that_lost_its_last_blocks_is_damaged),
        CHECKPOINT_TEST(a_log_that_lost_all_its_files_is_damaged),
        CHECKPOINT_TEST(a_damaged_checkpoint_is_not_taken_for_a_damaged_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
