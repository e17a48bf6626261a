#include "store/log.h"

#include "base/alloc.h"
#include "base/random.h"
#include "store/image_disk.h"
#include "store/logfile.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SHARD       2u
#define RECORDS_MAX 4096u

/* A log, the disk it is written to, and what was appended. */
static struct world {
    struct lv_log *log;
    struct lv_image_disk *image;
    struct lv_disk *disk;
    int file;                   /* that is written; -1: none */
    uint64_t number;            /* its number */
    uint64_t lsns[RECORDS_MAX]; /* of payloads */
    uint32_t sizes[RECORDS_MAX];
    unsigned serials[RECORDS_MAX];
    unsigned serial;
    unsigned count;  /* records appended */
    unsigned synced; /* of these, known to be on disk */
    unsigned seen;   /* by a scan */
    struct lv_log *restored;
} world;

static int make_world(void **state)
{
    (void)state;
    world =
        (struct world){.log = lv_log_new(SHARD, 1, 7), .image = lv_image_disk_new(1), .file = -1};
    world.disk = lv_image_disk_view(world.image);
    return world.log == NULL ? -1 : 0;
}

static int free_world(void **state)
{
    (void)state;
    lv_log_free(world.log);
    lv_image_disk_free(world.image);
    return 0;
}

/* A record's bytes depend on how many were appended before, those that are lost included. */
static uint8_t byte_of(unsigned record, uint64_t at)
{
    return (uint8_t)(world.serials[record] * 131u + at * 7u + (at >> 8));
}

/* A change of the topology as far as the log knows: any bytes. */
static int append(uint32_t size)
{
    void *payload;
    uint8_t *bytes;
    int rc =
        lv_log_append(world.log, LV_RECORD_CHANGE, 0, size, &world.lsns[world.count], &payload);

    if (rc < 0)
        return rc;
    bytes = payload;
    world.serials[world.count] = ++world.serial;
    for (uint32_t i = 0; i < size; i++)
        bytes[i] = byte_of(world.count, i);
    world.sizes[world.count++] = size;
    assert_true(world.count < RECORDS_MAX);
    return 0;
}

static void write_head(const struct lv_log_write *write, int file)
{
    struct lv_log_head head = {.shard = SHARD,
                               .number = write->number,
                               .file_size = write->file_size,
                               .seed = write->seed};

    lv_log_head_seal(&head);
    assert_int_equal(world.disk->ops->write(world.disk, file, 0, lv_bytes(&head, sizeof head)), 0);
}

static int open_file(const struct lv_log_write *write)
{
    char name[LV_DISK_NAME_SIZE];
    int file;

    lv_logfile_name(SHARD, write->number, name);
    if (world.disk->ops->open(world.disk, name, false, &file) == 0)
        return file;
    lv_image_disk_put(world.image, name, lv_text(""));
    assert_int_equal(lv_image_disk_resize(world.image, name, write->file_size), 0);
    assert_int_equal(world.disk->ops->open(world.disk, name, false, &file), 0);
    write_head(write, file);
    return file;
}

/* The file that is written, or none. */
static void sync_file(void)
{
    if (world.file >= 0)
        assert_int_equal(world.disk->ops->sync(world.disk, world.file), 0);
}

static void turn_file(const struct lv_log_write *write)
{
    if (world.file >= 0 && world.number == write->number)
        return;
    sync_file();
    if (world.file >= 0)
        world.disk->ops->close(world.disk, world.file);
    world.file = open_file(write);
    world.number = write->number;
    sync_file();
}

/* All that is sealed is written, and perhaps not on the disk yet. */
static void write_unsynced(void)
{
    struct lv_log_write write;

    lv_log_seal(world.log);
    assert_int_equal(lv_log_open_size(world.log), 0);
    while (lv_log_next_write(world.log, &write)) {
        turn_file(&write);
        assert_true(write.size > 0);
        assert_int_equal(world.disk->ops->write(world.disk, world.file,
                                                write.lsn - write.number * LV_LOG_FILE_SIZE,
                                                lv_bytes(write.data, write.size)),
                         0);
    }
}

/* All that was appended goes to the disk. */
static void write_out(void)
{
    write_unsynced();
    sync_file();
    lv_log_synced(world.log, lv_log_end(world.log));
    world.synced = world.count;
}

static int see_record(void *ctx, uint64_t lsn, const struct lv_record_head *head,
                      const uint8_t *payload)
{
    unsigned record = world.seen++;

    (void)ctx;
    assert_true(record < world.count);
    assert_int_equal(head->kind, LV_RECORD_CHANGE);
    assert_int_equal(lsn, world.lsns[record]);
    assert_int_equal(head->size, world.sizes[record]);
    for (uint32_t i = 0; i < head->size; i++) {
        if (payload[i] != byte_of(record, i))
            fail_msg("record %u differs at %u", record, i);
    }
    return 0;
}

static int see_block(void *ctx, const struct lv_logfile *file, const struct lv_block_head *block,
                     const uint8_t *bytes)
{
    if (world.restored != NULL)
        assert_int_equal(
            lv_log_restore(world.restored, &file->head, block->lsn, lv_bytes(bytes, block->size)),
            0);
    return lv_block_each(block, bytes, see_record, ctx);
}

/* What is on the disk is the beginning of what was appended; with `restored` it goes there too. */
static void read_back(struct lv_log *restored)
{
    const struct lv_logfile_visitor visitor = {.block = see_block};
    struct lv_logfile *files = NULL;
    struct lv_logfile_end end;
    struct lv_diag diag = {""};
    size_t count = 0;
    int rc = lv_logfile_list(world.disk, SHARD, &files, &count, &diag);

    world.seen = 0;
    world.restored = restored;
    if (rc == 0)
        rc = lv_logfile_scan(world.disk, files, count, &visitor, &end, &diag);
    if (rc < 0)
        fail_msg("%s", diag.text);
    assert_int_equal(end.record_count, world.seen);
    if (restored != NULL)
        lv_log_start(restored, end.next_number);
    lv_free(files);
}

/* Nothing is missing. */
static void read_all(void)
{
    read_back(NULL);
    assert_int_equal(world.seen, world.count);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    assert_int_equal(append(1), 0);
    assert_int_equal(append(8), 0);
    write_out();
    assert_int_equal(append(100), 0);
    write_out();
    read_all();
}

/* Each block begins where the one before it ended, also with the first record of a page. */
static void every_block_of_every_page_is_there(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 900; i++) {
        assert_int_equal(append(60000 + i), 0);
        if (i % 3 == 0)
            write_out();
    }
    write_out();
    read_all();
}

/* Around the sizes where one more page, or a file of its own, is needed. */
static void records_of_every_size_around_a_page_are_read(void **state)
{
    (void)state;
    for (uint32_t pages = 1; pages <= 2; pages++) {
        for (uint32_t less = 0; less <= 4240; less += 8) {
            if (less > 112 && less < 4080)
                continue;
            assert_int_equal(append(pages * LV_PAGE_SIZE - less), 0);
            assert_int_equal(append(200), 0);
            write_out();
            assert_int_equal(append(2000), 0); /* a block behind a large one */
            write_out();
        }
    }
    read_all();
}

static void a_record_larger_than_a_file_has_one_of_its_own(void **state)
{
    (void)state;
    for (uint32_t less = 0; less <= 4200; less += 600) {
        assert_int_equal(append(LV_LOG_FILE_SIZE - less), 0);
        assert_int_equal(append(10), 0);
        write_out();
        assert_int_equal(append(10), 0);
        write_out();
    }
    assert_int_equal(append(2 * LV_LOG_FILE_SIZE + 5), 0);
    assert_int_equal(append(10), 0);
    write_out();
    read_all();
}

/* A power loss where nothing is synced: whatever is left of it, the log goes on before it. */
static int scan_without_the_second_block(bool vouches)
{
    struct lv_logfile_visitor visitor = {.block = NULL};
    struct lv_logfile *files = NULL;
    struct lv_logfile_end end;
    size_t count = 0;
    uint64_t offset;
    int rc;

    lv_log_set_vouching(world.log, vouches);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(append(100), 0);
        write_out();
    }
    offset = world.lsns[world.count - 2] % LV_LOG_FILE_SIZE;
    assert_int_equal(lv_image_disk_zero(world.image, "log-02-00000001", offset, 100), 0);
    assert_int_equal(lv_logfile_list(world.disk, SHARD, &files, &count, NULL), 0);
    rc = lv_logfile_scan(world.disk, files, count, &visitor, &end, NULL);
    lv_free(files);
    return rc;
}

static void blocks_vouch_for_what_was_synced(void **state)
{
    (void)state;
    assert_int_equal(scan_without_the_second_block(true), -LV_E_CORRUPT);
}

static void where_nothing_is_synced_they_do_not(void **state)
{
    (void)state;
    assert_int_equal(scan_without_the_second_block(false), 0);
}

/* What a record's payload is found by, from memory. */
static void view_everything(const struct lv_log *log)
{
    for (unsigned i = 0; i < world.count; i++) {
        const uint8_t *payload = lv_log_view(log, world.lsns[i]);

        assert_non_null(payload);
        assert_int_equal(payload[0], byte_of(i, 0));
        assert_int_equal(payload[world.sizes[i] - 1], byte_of(i, world.sizes[i] - 1));
    }
}

static void append_any(struct lv_random *random)
{
    uint32_t size = 1 + (uint32_t)lv_random_below(random, 300);

    if (lv_random_below(random, 10) == 0)
        size = 1 + (uint32_t)lv_random_below(random, 2 * LV_PAGE_SIZE);
    if (lv_random_below(random, 40) == 0)
        size = 1 + (uint32_t)lv_random_below(random, LV_LOG_FILE_SIZE + LV_PAGE_SIZE);
    assert_int_equal(append(size), 0);
    if (lv_random_below(random, 3) == 0)
        write_out();
}

/* Life after life: each begins with what the one before it left, and goes on. */
static void any_log_is_restored_and_goes_on(void **state)
{
    struct lv_random random;

    (void)state;
    lv_random_seed(&random, 4);
    for (unsigned life = 0; life < 6; life++) {
        struct lv_log *next = lv_log_new(SHARD, 1, 100 + life);

        assert_non_null(next);
        for (unsigned i = 0; i < 60; i++)
            append_any(&random);
        write_out();
        view_everything(world.log);
        read_back(next);
        assert_int_equal(world.seen, world.count);
        view_everything(next);
        assert_int_equal(lv_log_end(next), lv_log_end(world.log));
        lv_log_free(world.log);
        world.log = next;
    }
}

/* The power fails; whoever comes next begins with what is there. */
static void crash(uint64_t seed)
{
    struct lv_image_disk *left = lv_image_disk_crash(world.image, seed);
    struct lv_log *next = lv_log_new(SHARD, 1, seed);

    assert_non_null(next);
    lv_image_disk_free(world.image);
    world.image = left;
    world.disk = lv_image_disk_view(left);
    world.file = -1;
    read_back(next);
    if (world.seen < world.synced)
        fail_msg("seed %u: %u records of %u that were on the disk", (unsigned)seed, world.seen,
                 world.synced);
    lv_log_free(world.log);
    world.log = next;
    world.count = world.seen;
}

static void append_some(struct lv_random *random)
{
    static const uint32_t bounds[] = {100, 100, 5000, 300000};
    uint64_t bound = bounds[lv_random_below(random, LV_COUNT(bounds))];

    assert_int_equal(append(1 + (uint32_t)lv_random_below(random, bound)), 0);
    switch (lv_random_below(random, 6)) {
    case 0:
        write_out();
        break;
    case 1:
    case 2:
        write_unsynced();
        break;
    case 3:
        lv_log_seal(world.log);
        break;
    default:
        break;
    }
}

/* And what a crash has left of later blocks is never taken up again: records would differ. */
static void what_was_synced_survives_every_crash(void **state)
{
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct lv_random random;

        lv_random_seed(&random, seed);
        for (unsigned life = 0; life < 4; life++) {
            for (uint64_t i = 1 + lv_random_below(&random, 80); i > 0; i--)
                append_some(&random);
            crash(seed * 100 + life);
        }
        free_world(state);
        assert_int_equal(make_world(state), 0);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, make_world, free_world)
        LOG_TEST(what_is_written_is_read),
        LOG_TEST(every_block_of_every_page_is_there),
        LOG_TEST(records_of_every_size_around_a_page_are_read),
        LOG_TEST(a_record_larger_than_a_file_has_one_of_its_own),
        LOG_TEST(blocks_vouch_for_what_was_synced),
        LOG_TEST(where_nothing_is_synced_they_do_not),
        LOG_TEST(any_log_is_restored_and_goes_on),
        LOG_TEST(what_was_synced_survives_every_crash),
#undef LOG_TEST
    };

    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
