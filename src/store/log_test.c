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

static void view_last(void)
{
    const uint8_t *payload = lv_log_view(world.log, world.lsns[world.count - 1]);

    assert_non_null(payload);
    assert_int_equal(payload[0], byte_of(world.count - 1, 0));
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

/* ---- what a record may still become ---- */

static int append_kind(enum lv_record_kind kind, uint16_t count, uint64_t size, uint64_t *ret_lsn)
{
    void *payload;
    int rc = lv_log_append(world.log, kind, count, size, ret_lsn, &payload);

    if (rc == 0)
        memset(payload, 0x5a, size);
    return rc;
}

/* LSN and size of each record, count of each head. */
struct listing {
    uint64_t lsns[64];
    struct lv_record_head heads[64];
    unsigned count;
};

static void list_record(void *ctx, uint64_t lsn, const struct lv_record_head *head,
                        const uint8_t *payload)
{
    struct listing *listing = ctx;

    assert_true(listing->count < LV_COUNT(listing->lsns));
    assert_ptr_equal(lv_log_view(world.log, lsn), payload);
    listing->lsns[listing->count] = lsn;
    listing->heads[listing->count++] = *head;
}

static void the_last_record_grows_until_it_is_sealed(void **state)
{
    struct listing listing = {.count = 0};
    uint64_t first, second;
    uint8_t *more;

    (void)state;
    assert_int_equal(append_kind(LV_RECORD_SETTLE, 1, 48, &first), 0);
    assert_true(lv_log_is_open(world.log, first));
    more = lv_log_extend(world.log, first, 16);
    assert_ptr_equal(more, (const uint8_t *)lv_log_view(world.log, first) + 48);
    assert_int_equal(append_kind(LV_RECORD_SETTLE, 0, 32, &second), 0);
    assert_null(lv_log_extend(world.log, first, 16)); /* not the last any more */
    assert_true(lv_log_is_open(world.log, first));    /* but what it has may be changed */
    assert_non_null(lv_log_extend(world.log, second, 16));
    lv_log_seal(world.log);
    assert_false(lv_log_is_open(world.log, first));
    assert_false(lv_log_is_open(world.log, second));
    assert_null(lv_log_extend(world.log, second, 16));
    lv_log_each(world.log, UINT64_MAX, false, list_record, &listing);
    assert_int_equal(listing.count, 2);
    assert_int_equal(listing.heads[0].size, 64);
    assert_int_equal(listing.heads[0].count, 2);
    assert_int_equal(listing.heads[1].size, 48);
    assert_int_equal(listing.heads[1].count, 1);
}

static void a_record_grows_to_the_last_byte_of_its_page_and_no_further(void **state)
{
    uint64_t filler, lsn, room;
    struct listing listing = {.count = 0};

    (void)state;
    assert_int_equal(append_kind(LV_RECORD_CLEAN, 0, 0, &filler), 0);
    room = LV_PAGE_SIZE - lv_log_end(world.log) % LV_PAGE_SIZE;
    assert_int_equal(append_kind(LV_RECORD_CHANGE, 0, room - 8 - 80, &filler), 0);
    assert_int_equal(append_kind(LV_RECORD_SETTLE, 0, 32, &lsn), 0);
    assert_non_null(lv_log_extend(world.log, lsn, 16));
    assert_null(lv_log_extend(world.log, lsn, 32));
    assert_non_null(lv_log_extend(world.log, lsn, 24));
    assert_int_equal(lv_log_end(world.log) % LV_PAGE_SIZE, 0);
    assert_null(lv_log_extend(world.log, lsn, 8));
    assert_int_equal(append_kind(LV_RECORD_CLEAN, 0, 0, &filler), 0); /* on the next page */
    lv_log_seal(world.log);
    lv_log_each(world.log, UINT64_MAX, false, list_record, &listing);
    assert_int_equal(listing.count, 4);
    assert_int_equal(listing.heads[2].size, 72);
    assert_int_equal(listing.lsns[3] % LV_PAGE_SIZE, 48);
}

static void a_record_without_payload_is_open_until_it_is_sealed(void **state)
{
    uint64_t lsn;

    (void)state;
    assert_int_equal(append_kind(LV_RECORD_CLEAN, 0, 0, &lsn), 0);
    assert_int_equal(lsn, lv_log_end(world.log));
    assert_true(lv_log_is_open(world.log, lsn));
    lv_log_seal(world.log);
    assert_false(lv_log_is_open(world.log, lsn));
}

/* ---- to the writer ---- */

static void sealed_bytes_are_handed_over_once_and_in_order(void **state)
{
    struct lv_log_write write, before = {.lsn = 0};
    struct lv_random random;
    uint64_t given = 0;

    (void)state;
    lv_random_seed(&random, 9);
    assert_false(lv_log_next_write(world.log, &write));
    for (unsigned i = 0; i < 300; i++) {
        assert_int_equal(append(1 + (uint32_t)lv_random_below(&random, 200000)), 0);
        if (lv_random_below(&random, 2) == 0)
            lv_log_seal(world.log);
        if (lv_random_below(&random, 4) != 0)
            continue;
        while (lv_log_next_write(world.log, &write)) {
            assert_true(write.size > 0);
            assert_true(write.lsn >= before.lsn + before.size);
            assert_true(write.lsn + write.size <= lv_log_end(world.log));
            assert_int_equal(write.lsn / LV_LOG_FILE_SIZE, write.number);
            if (write.number == before.number)
                assert_int_equal(write.seed, before.seed);
            else
                assert_int_equal(write.lsn % LV_LOG_FILE_SIZE, LV_LOG_HEAD_SIZE);
            before = write;
            given += write.size;
        }
        assert_true(before.lsn + before.size <=
                    lv_log_end(world.log) - lv_log_open_size(world.log));
    }
    assert_true(given > 20 * LV_PAGE_SIZE);
}

/* ---- the window ---- */

/* Each in a file of its own. */
static void append_files(unsigned count, uint64_t *lsns)
{
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(append_kind(LV_RECORD_MESSAGE, 0, LV_LOG_FILE_SIZE, &lsns[i]), 0);
    lv_log_seal(world.log);
}

static void sync_all(void)
{
    struct lv_log_write write;

    while (lv_log_next_write(world.log, &write))
        lv_log_synced(world.log, write.lsn + write.size);
}

static void what_is_forgotten_is_not_found_and_gives_its_memory_back(void **state)
{
    uint64_t lsns[4], memory, second;

    (void)state;
    append_files(4, lsns);
    sync_all();
    memory = lv_log_memory_size(world.log);
    assert_int_equal(lv_log_begin(world.log), LV_LOG_FILE_SIZE);
    second = lv_log_next_file(world.log, lsns[0]);
    assert_int_equal(lsns[1], second + LV_LOG_HEAD_SIZE + sizeof(struct lv_block_head) + 8);
    lv_log_forget(world.log, second);
    assert_int_equal(lv_log_begin(world.log), second);
    assert_null(lv_log_view(world.log, lsns[0]));
    assert_non_null(lv_log_view(world.log, lsns[1]));
    assert_true(lv_log_memory_size(world.log) <= memory - LV_LOG_FILE_SIZE);
    lv_log_hold(world.log, lsns[0], 1); /* whoever holds what is gone holds nothing */
    lv_log_release(world.log, lsns[0]);
    assert_int_equal(lv_log_held(world.log, UINT64_MAX), 0);
    lv_log_forget(world.log, lv_log_next_file(world.log, lsns[2]));
    assert_null(lv_log_view(world.log, lsns[2]));
    assert_non_null(lv_log_view(world.log, lsns[3]));
    assert_int_equal(append(100), 0); /* and it goes on */
    view_last();
}

static void a_pinned_page_outlives_the_window_and_the_log(void **state)
{
    uint64_t lsns[3];
    const uint8_t *bytes;
    void *pins[2];

    (void)state;
    append_files(3, lsns);
    sync_all();
    bytes = lv_log_view(world.log, lsns[0]);
    pins[0] = lv_log_pin(world.log, lsns[0]);
    pins[1] = lv_log_pin(world.log, lsns[0]);
    lv_log_forget(world.log, lv_log_next_file(world.log, lsns[1]));
    assert_null(lv_log_view(world.log, lsns[0]));
    lv_log_unpin(pins[0]);
    assert_int_equal(bytes[0], 0x5a);
    assert_int_equal(bytes[LV_LOG_FILE_SIZE - 1], 0x5a);
    lv_log_free(world.log);
    world.log = NULL;
    assert_int_equal(bytes[0], 0x5a);
    lv_log_unpin(pins[1]); /* the sanitizers see whether this was the last of it */
}

static void holders_are_counted_by_page(void **state)
{
    uint64_t lsns[2], next;

    (void)state;
    assert_int_equal(append_kind(LV_RECORD_MESSAGE, 3, 100, &lsns[0]), 0);
    assert_int_equal(append_kind(LV_RECORD_SETTLE, 7, 32 + 7 * 16, &next), 0);
    append_files(1, &next);
    assert_int_equal(append_kind(LV_RECORD_MESSAGE, 2, 100, &lsns[1]), 0);
    assert_int_equal(lv_log_held(world.log, UINT64_MAX), 5);
    assert_int_equal(lv_log_held(world.log, next / LV_LOG_FILE_SIZE * LV_LOG_FILE_SIZE), 3);
    lv_log_hold(world.log, lsns[0] + 50, 2); /* any of its bytes */
    lv_log_release(world.log, lsns[1]);
    assert_int_equal(lv_log_held(world.log, UINT64_MAX), 6);
    assert_int_equal(lv_log_held(world.log, LV_LOG_FILE_SIZE), 0);
}

static void only_pages_with_holders_are_shown_if_asked_for(void **state)
{
    uint64_t lsn, filler;
    struct listing listing = {.count = 0};

    (void)state;
    assert_int_equal(append_kind(LV_RECORD_MESSAGE, 1, 10, &lsn), 0);
    append_files(1, &filler);
    lv_log_seal(world.log);
    lv_log_each(world.log, UINT64_MAX, true, list_record, &listing);
    assert_int_equal(listing.count, 1);
    assert_int_equal(listing.lsns[0], lsn);
    lv_log_release(world.log, lsn);
    lv_log_each(world.log, UINT64_MAX, true, list_record, &listing);
    assert_int_equal(listing.count, 1);
    lv_log_each(world.log, filler / LV_LOG_FILE_SIZE * LV_LOG_FILE_SIZE, false, list_record,
                &listing);
    assert_int_equal(listing.count, 2); /* what begins below the end */
}

/* Pages that were given up are used again before more are taken. */
static void an_endless_log_in_a_window_takes_no_more_memory(void **state)
{
    uint64_t lsn, most = 0;

    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        assert_int_equal(append_kind(LV_RECORD_CHANGE, 0, 100000, &lsn), 0);
        lv_log_seal(world.log);
        sync_all();
        while (lsn / LV_LOG_FILE_SIZE - lv_log_begin(world.log) / LV_LOG_FILE_SIZE > 1)
            lv_log_forget(world.log, lv_log_next_file(world.log, lv_log_begin(world.log)));
        if (i == 500)
            most = lv_log_memory_size(world.log);
        if (i > 500)
            assert_true(lv_log_memory_size(world.log) <= most + 17 * LV_PAGE_SIZE);
    }
    assert_true(most <= 40 * LV_PAGE_SIZE);
}

/* The n-th allocation of an append fails: the log is as before, and the next one succeeds. */
static void without_memory_nothing_is_appended(void **state)
{
    static const uint32_t sizes[] = {100, LV_PAGE_SIZE, 3 * LV_PAGE_SIZE, LV_LOG_FILE_SIZE};
    unsigned failed = 0;

    (void)state;
    for (unsigned round = 0; round < 80; round++) {
        uint64_t end = lv_log_end(world.log), lsn;
        void *payload;
        int rc;

        lv_alloc_fail_after(1 + round % 4, 0);
        rc = lv_log_append(world.log, LV_RECORD_CHANGE, 0, sizes[round / 4 % 4], &lsn, &payload);
        lv_alloc_fail_after(0, 0);
        if (rc == 0) { /* it needed fewer: leave it as it is for read_back() */
            memset(payload, 0, sizes[round / 4 % 4]);
            world.lsns[world.count] = lsn;
            for (uint32_t i = 0; i < sizes[round / 4 % 4]; i++)
                ((uint8_t *)payload)[i] = byte_of(world.count, i);
            world.sizes[world.count++] = sizes[round / 4 % 4];
        } else {
            assert_int_equal(rc, -LV_E_NOMEM);
            assert_int_equal(lv_log_end(world.log), end);
            failed++;
        }
        if (round % 3 == 0)
            assert_int_equal(append(5000), 0);
    }
    assert_true(failed > 10);
    write_out();
    read_back(NULL);
}

/* Files that are no more leave a gap of numbers, which costs no pages. */
static void a_log_that_goes_on_in_a_later_file_is_whole(void **state)
{
    uint64_t end;

    (void)state;
    assert_int_equal(append(1000), 0);
    write_out();
    end = lv_log_end(world.log);
    lv_log_start(world.log, 9);
    assert_int_equal(lv_log_end(world.log), end);
    assert_int_equal(append(1000), 0);
    assert_int_equal(world.lsns[1], 9 * (uint64_t)LV_LOG_FILE_SIZE + LV_LOG_HEAD_SIZE +
                                        sizeof(struct lv_block_head) +
                                        sizeof(struct lv_record_head));
    view_everything(world.log);
    write_out();
    assert_int_equal(lv_log_synced_lsn(world.log), lv_log_end(world.log));
    lv_log_forget(world.log, 9 * (uint64_t)LV_LOG_FILE_SIZE);
    assert_int_equal(lv_log_begin(world.log), 9 * (uint64_t)LV_LOG_FILE_SIZE);
    assert_null(lv_log_view(world.log, world.lsns[0]));
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
        LOG_TEST(the_last_record_grows_until_it_is_sealed),
        LOG_TEST(a_record_grows_to_the_last_byte_of_its_page_and_no_further),
        LOG_TEST(a_record_without_payload_is_open_until_it_is_sealed),
        LOG_TEST(sealed_bytes_are_handed_over_once_and_in_order),
        LOG_TEST(what_is_forgotten_is_not_found_and_gives_its_memory_back),
        LOG_TEST(a_pinned_page_outlives_the_window_and_the_log),
        LOG_TEST(holders_are_counted_by_page),
        LOG_TEST(only_pages_with_holders_are_shown_if_asked_for),
        LOG_TEST(an_endless_log_in_a_window_takes_no_more_memory),
        LOG_TEST(without_memory_nothing_is_appended),
        LOG_TEST(a_log_that_goes_on_in_a_later_file_is_whole),
#undef LOG_TEST
    };

    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
