#include "store/logfile.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/random.h"
#include "store/image_disk.h"
#include "store/logfile_block.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define SHARD     3u
#define FIRST     UINT64_C(0x1a) /* number of the first file */
#define SHOWN_MAX 3000u

static struct lv_image_disk *image;
static struct lv_disk *disk;

/* ---- a log that is written block by block ---- */

static struct writer {
    struct lv_log_head head;
    int file;
    uint64_t lsn, previous, synced;
    uint8_t block[4096];
    uint32_t size, count;
} writer;

static uint64_t base(void)
{
    return writer.head.number * LV_LOG_FILE_SIZE;
}

static void put(const void *data, size_t size, uint64_t offset)
{
    assert_int_equal(disk->ops->write(disk, writer.file, offset, lv_bytes(data, size)), 0);
}

/* A file of zeros that is on disk, as the log has it before it is used. */
static void make_file(uint64_t number, uint64_t size)
{
    char name[LV_DISK_NAME_SIZE];

    lv_logfile_name(SHARD, number, name);
    lv_image_disk_put(image, name, lv_text(""));
    assert_int_equal(lv_image_disk_resize(image, name, size), 0);
    assert_int_equal(disk->ops->open(disk, name, false, &writer.file), 0);
    assert_int_equal(disk->ops->sync_directory(disk), 0);
}

static void begin_file(uint64_t number, uint64_t size)
{
    if (writer.file >= 0)
        disk->ops->close(disk, writer.file);
    make_file(number, size);
    writer.head = (struct lv_log_head){
        .shard = SHARD, .number = number, .file_size = size, .seed = 77 + number * 1000};
    lv_log_head_seal(&writer.head);
    put(&writer.head, sizeof writer.head, 0);
    writer.lsn = base() + LV_LOG_HEAD_SIZE;
}

static void next_page(void)
{
    writer.lsn = (writer.lsn + LV_PAGE_SIZE - 1) / LV_PAGE_SIZE * LV_PAGE_SIZE;
}

static void add_record(uint8_t kind, uint16_t count, const void *payload, uint32_t size)
{
    struct lv_record_head head = {.size = size, .kind = kind, .count = count};
    uint8_t *p = writer.block + writer.size;

    assert_true(writer.size + lv_record_size(size) <= sizeof writer.block);
    memset(p, 0, lv_record_size(size));
    memcpy(p, &head, sizeof head);
    if (size > 0)
        memcpy(p + sizeof head, payload, size);
    writer.size += (uint32_t)lv_record_size(size);
    writer.count++;
}

/* A message in one queue; its number is what tells it from others. */
static void add_message(uint64_t number, uint32_t size)
{
    uint8_t payload[1024] = {0};
    struct lv_record_place place = {.queue_id = 9, .seq = number};

    assert_true(sizeof place + size <= sizeof payload);
    memcpy(payload, &place, sizeof place);
    memset(payload + sizeof place, (int)('a' + number % 26), size);
    add_record(LV_RECORD_MESSAGE, 1, payload, (uint32_t)(sizeof place + size));
}

/* Gives the block's LSN. */
static uint64_t seal(void)
{
    struct lv_block_head head = {.lsn = writer.lsn,
                                 .previous = writer.previous,
                                 .synced = writer.synced,
                                 .size = writer.size,
                                 .count = writer.count};

    memcpy(writer.block, &head, sizeof head);
    head.hash = lv_block_hash(writer.block, head.size, writer.head.seed);
    memcpy(writer.block, &head.hash, sizeof head.hash);
    put(writer.block, head.size, writer.lsn - base());
    writer.lsn += head.size;
    writer.previous = writer.lsn;
    writer.size = sizeof head;
    writer.count = 0;
    return head.lsn;
}

static uint64_t write_block(uint64_t number, uint32_t size)
{
    add_message(number, size);
    return seal();
}

static void sync_log(void)
{
    assert_int_equal(disk->ops->sync(disk, writer.file), 0);
    writer.synced = writer.lsn;
}

/* A block of this number on disk. */
static uint64_t write_synced(uint64_t number, uint32_t size)
{
    uint64_t lsn = write_block(number, size);

    sync_log();
    return lsn;
}

static void begin_log(uint64_t number)
{
    writer = (struct writer){.file = -1, .size = sizeof(struct lv_block_head)};
    begin_file(number, LV_LOG_FILE_SIZE);
}

static int make_log(void **state)
{
    (void)state;
    image = lv_image_disk_new(1);
    disk = lv_image_disk_view(image);
    begin_log(FIRST);
    return 0;
}

static int free_log(void **state)
{
    (void)state;
    lv_image_disk_free(image);
    return 0;
}

static const char *file_name(uint64_t number)
{
    static char name[LV_DISK_NAME_SIZE];

    lv_logfile_name(SHARD, number, name);
    return name;
}

/* ---- what a scan shows ---- */

static struct shown {
    uint64_t numbers[SHOWN_MAX]; /* of messages */
    uint64_t lsns[SHOWN_MAX];    /* of blocks */
    unsigned count, block_count, damage_count;
    struct lv_logfile_damage damage; /* the first */
    char sentence[512];
    int stop_after; /* blocks; 0: never */
    int rc;
    struct lv_logfile_end end;
    struct lv_diag diag;
} shown;

static int show_record(void *ctx, uint64_t lsn, const struct lv_record_head *head,
                       const uint8_t *payload)
{
    struct lv_record_place place;

    (void)ctx;
    assert_true(lsn > 0);
    if (head->kind != LV_RECORD_MESSAGE)
        return 0;
    memcpy(&place, payload, sizeof place);
    assert_true(shown.count < SHOWN_MAX);
    shown.numbers[shown.count++] = place.seq;
    return 0;
}

static int show_block(void *ctx, const struct lv_logfile *file, const struct lv_block_head *block,
                      const uint8_t *bytes)
{
    assert_ptr_equal(ctx, &shown);
    assert_true(block->lsn >= file->head.number * LV_LOG_FILE_SIZE);
    assert_memory_equal(bytes, block, sizeof *block);
    if (shown.block_count < SHOWN_MAX)
        shown.lsns[shown.block_count] = block->lsn;
    shown.block_count++;
    if (shown.stop_after > 0 && shown.block_count == (unsigned)shown.stop_after)
        return -LV_E_STOPPED;
    return lv_block_each(block, bytes, show_record, NULL);
}

static int show_damage(void *ctx, const struct lv_logfile_damage *damage)
{
    assert_ptr_equal(ctx, &shown);
    if (shown.damage_count++ == 0) {
        shown.damage = *damage;
        snprintf(shown.sentence, sizeof shown.sentence, "%s", damage->sentence);
    }
    return 0;
}

static int scan_with(int (*damage)(void *, const struct lv_logfile_damage *))
{
    struct lv_logfile_visitor visitor = {.block = show_block, .damage = damage, .ctx = &shown};
    struct lv_logfile *files = NULL;
    size_t count;
    int stop_after = shown.stop_after;

    memset(&shown, 0, sizeof shown);
    shown.stop_after = stop_after;
    shown.rc = lv_logfile_list(disk, SHARD, &files, &count, &shown.diag);
    if (shown.rc == 0)
        shown.rc = lv_logfile_scan(disk, files, count, &visitor, &shown.end, &shown.diag);
    lv_free(files);
    return shown.rc;
}

/* As at start-up: damage is an error. */
static int scan(void)
{
    return scan_with(NULL);
}

/* The messages as text, "1 2 3". */
static const char *numbers(void)
{
    static char text[2048];
    size_t size = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < shown.count; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "%s%u", i == 0 ? "" : " ",
                                 (unsigned)shown.numbers[i]);
    return text;
}

static void assert_said(const char *words)
{
    if (strstr(shown.diag.text, words) == NULL)
        fail_msg("\"%s\" says nothing of \"%s\"", shown.diag.text, words);
}

/* ---- names, heads, lists ---- */

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
    begin_file(FIRST + 9, LV_LOG_FILE_SIZE);
    begin_file(FIRST + 2, 2 * LV_LOG_FILE_SIZE);
    begin_file(FIRST + 4, LV_LOG_FILE_SIZE);
    lv_image_disk_put(image, "log-04-0000001b", lv_text("of another shard"));
    lv_image_disk_put(image, "metadata.sqlite", lv_text("of others"));
    assert_int_equal(lv_logfile_list(disk, SHARD, &files, &count, NULL), 0);
    assert_int_equal(count, 4);
    assert_string_equal(files[0].name, "log-03-0000001a");
    assert_int_equal(files[1].head.number, FIRST + 2);
    assert_int_equal(files[1].head.file_size, 2 * LV_LOG_FILE_SIZE);
    assert_int_equal(files[2].head.number, FIRST + 4);
    assert_int_equal(files[3].head.number, FIRST + 9);
    lv_free(files);
}

static void a_file_in_place_of_another_is_damage(void **state)
{
    (void)state;
    begin_file(FIRST + 1, 2 * LV_LOG_FILE_SIZE);
    begin_file(FIRST + 2, LV_LOG_FILE_SIZE);
    assert_int_equal(scan(), -LV_E_CORRUPT);
    assert_said("log-03-0000001b");
    assert_said("log-03-0000001c");
}

static void what_was_made_ready_is_no_part_of_the_log(void **state)
{
    struct lv_logfile file;

    (void)state;
    write_synced(1, 10);
    make_file(FIRST + 1, LV_LOG_FILE_SIZE); /* zeros */
    make_file(FIRST + 2, 0);                /* a crash came while it was made */
    assert_int_equal(lv_logfile_read_head(disk, file_name(FIRST + 1), &file, NULL),
                     -LV_E_NOT_FOUND);
    assert_int_equal(lv_logfile_read_head(disk, file_name(FIRST + 2), &file, NULL),
                     -LV_E_NOT_FOUND);
    assert_int_equal(scan(), 0);
    assert_string_equal(numbers(), "1");
    assert_int_equal(shown.end.next_number, FIRST + 1);
}

/* It is given its next number first and its new head later. */
static void a_file_that_is_used_again_begins_with_its_old_head(void **state)
{
    struct lv_logfile file;
    char from[LV_DISK_NAME_SIZE];

    (void)state;
    write_synced(1, 10);
    memcpy(from, file_name(FIRST), sizeof from);
    begin_file(FIRST + 1, LV_LOG_FILE_SIZE);
    write_synced(2, 10);
    assert_int_equal(disk->ops->rename(disk, from, file_name(FIRST + 2)), 0);
    assert_int_equal(lv_logfile_read_head(disk, file_name(FIRST + 2), &file, NULL),
                     -LV_E_NOT_FOUND);
    assert_int_equal(scan(), 0);
    assert_string_equal(numbers(), "2");
    /* The other way round nobody ever does it. */
    memcpy(from, file_name(FIRST + 1), sizeof from);
    assert_int_equal(disk->ops->rename(disk, from, file_name(FIRST)), 0);
    assert_int_equal(scan(), -LV_E_CORRUPT);
    assert_said("log-03-0000001a");
}

static void a_lost_head_is_damage_when_blocks_were_synced_behind_it(void **state)
{
    (void)state;
    write_block(1, 10);
    write_block(2, 10); /* neither knows of a sync */
    assert_int_equal(lv_image_disk_zero(image, file_name(FIRST), 0, LV_LOG_HEAD_SIZE), 0);
    assert_int_equal(scan(), 0);
    assert_int_equal(shown.block_count, 0);
    writer.synced = writer.lsn;
    write_block(3, 10);
    assert_int_equal(scan(), -LV_E_CORRUPT);
    assert_said("log-03-0000001a is damaged at offset 0");
}

static void every_bit_of_a_head_counts(void **state)
{
    struct lv_logfile file;
    struct lv_diag diag;

    (void)state;
    for (uint64_t bit = 0; bit < 8 * sizeof(struct lv_log_head); bit++) {
        assert_int_equal(
            lv_image_disk_flip(image, file_name(FIRST), bit / 8, (uint8_t)(1 << bit % 8)), 0);
        assert_int_equal(lv_logfile_read_head(disk, file_name(FIRST), &file, &diag), -LV_E_CORRUPT);
        assert_non_null(strstr(diag.text, "log-03-0000001a"));
        assert_int_equal(
            lv_image_disk_flip(image, file_name(FIRST), bit / 8, (uint8_t)(1 << bit % 8)), 0);
    }
    assert_int_equal(lv_logfile_read_head(disk, file_name(FIRST), &file, NULL), 0);
}

static void an_unknown_version_is_refused_with_what_to_do(void **state)
{
    (void)state;
    writer.head.version = 2;
    writer.head.check = lv_xxh3(&writer.head, offsetof(struct lv_log_head, check), 0);
    put(&writer.head, sizeof writer.head, 0);
    assert_int_equal(scan(), -LV_E_VERSION);
    assert_said("log-03-0000001a");
    assert_said("version 2");
    assert_said("use the Leveret that wrote it");
    writer.head.check = 12345; /* a later version may put something else there */
    put(&writer.head, sizeof writer.head, 0);
    assert_int_equal(scan(), -LV_E_VERSION);
}

static void a_head_that_nobody_writes_is_damage(void **state)
{
    static const uint64_t sizes[] = {0, LV_PAGE_SIZE, LV_LOG_FILE_SIZE + 4096, UINT64_MAX};

    (void)state;
    for (size_t i = 0; i < LV_COUNT(sizes); i++) {
        writer.head.file_size = sizes[i];
        writer.head.check = lv_xxh3(&writer.head, offsetof(struct lv_log_head, check), 0);
        put(&writer.head, sizeof writer.head, 0);
        assert_int_equal(scan(), -LV_E_CORRUPT);
    }
    writer.head.file_size = LV_LOG_FILE_SIZE;
    writer.head.shard = SHARD + 1;
    lv_log_head_seal(&writer.head);
    put(&writer.head, sizeof writer.head, 0);
    assert_int_equal(scan(), -LV_E_CORRUPT);
}

/* ---- a whole log ---- */

static void no_files_are_an_empty_log(void **state)
{
    (void)state;
    assert_int_equal(disk->ops->remove(disk, file_name(FIRST)), 0);
    assert_int_equal(scan(), 0);
    assert_int_equal(shown.end.lsn, 0);
    assert_int_equal(shown.end.next_number, 1);
    assert_int_equal(shown.block_count, 0);
}

static void a_file_without_blocks_ends_where_the_first_would_be(void **state)
{
    (void)state;
    assert_int_equal(scan(), 0);
    assert_int_equal(shown.end.lsn, FIRST * LV_LOG_FILE_SIZE + LV_LOG_HEAD_SIZE);
    assert_int_equal(shown.end.block_count, 0);
    assert_int_equal(shown.end.dropped_size, 0);
    assert_int_equal(shown.end.next_number, FIRST + 1);
}

/* Pages that are left, files that are left, a file for one large record. */
static void blocks_are_shown_in_order_over_pages_and_files(void **state)
{
    static uint8_t large[LV_LOG_FILE_SIZE + 5000];
    struct lv_record_head record = {.kind = LV_RECORD_MESSAGE, .count = 1};
    struct lv_block_head head = {.count = 1};
    struct lv_record_place place = {.queue_id = 9, .seq = 6};

    (void)state;
    write_synced(1, 10);
    add_message(2, 17);
    add_message(3, 0);
    seal();
    next_page();
    write_synced(4, 300);
    begin_file(FIRST + 1, LV_LOG_FILE_SIZE);
    write_synced(5, 5);
    begin_file(FIRST + 2, 2 * LV_LOG_FILE_SIZE);
    head.lsn = writer.lsn;
    head.previous = writer.previous;
    head.size = (sizeof large - 40) & ~7u;
    record.size = (uint32_t)(head.size - sizeof head - sizeof record);
    memcpy(large + sizeof head, &record, sizeof record);
    memcpy(large + sizeof head + sizeof record, &place, sizeof place);
    memcpy(large, &head, sizeof head);
    head.hash = lv_block_hash(large, head.size, writer.head.seed);
    memcpy(large, &head, sizeof head);
    put(large, head.size, LV_LOG_HEAD_SIZE);
    writer.previous = writer.lsn += head.size;
    begin_file(FIRST + 4, LV_LOG_FILE_SIZE);
    write_synced(7, 5);
    assert_int_equal(scan(), 0);
    assert_string_equal(numbers(), "1 2 3 4 5 6 7");
    assert_int_equal(shown.end.block_count, 6);
    assert_int_equal(shown.end.record_count, 7);
    assert_int_equal(shown.end.lsn, writer.lsn);
    assert_int_equal(shown.end.next_number, FIRST + 5);
    assert_int_equal(shown.end.dropped_size, 0);
    assert_false(shown.end.is_clean);
}

static void a_block_may_end_with_its_page_or_its_file(void **state)
{
    unsigned count = 0;

    (void)state;
    while (writer.lsn - base() < LV_PAGE_SIZE)
        write_block(count++, 1024 - 64); /* a head, a record's head and a place are 64 bytes */
    assert_int_equal(writer.lsn - base(), LV_PAGE_SIZE);
    for (; writer.lsn - base() < LV_LOG_FILE_SIZE - LV_PAGE_SIZE; next_page())
        write_block(count++, 8);
    while (writer.lsn - base() < LV_LOG_FILE_SIZE)
        write_block(count++, 1024 - 64);
    assert_int_equal(writer.lsn - base(), LV_LOG_FILE_SIZE);
    begin_file(FIRST + 1, LV_LOG_FILE_SIZE);
    write_synced(count++, 8);
    assert_int_equal(scan(), 0);
    assert_int_equal(shown.count, count);
    assert_int_equal(shown.end.lsn, writer.lsn);
}

/* What came before the first file has been used again or removed. */
static void the_first_block_follows_one_that_is_not_there_any_more(void **state)
{
    (void)state;
    writer.previous = base() - 5 * LV_PAGE_SIZE;
    writer.synced = writer.previous;
    write_synced(1, 10);
    write_synced(2, 10);
    assert_int_equal(scan(), 0);
    assert_string_equal(numbers(), "1 2");
}

static void a_log_that_was_closed_says_so(void **state)
{
    (void)state;
    write_synced(1, 10);
    add_message(2, 10);
    add_record(LV_RECORD_CLEAN, 0, NULL, 0);
    seal();
    assert_int_equal(scan(), 0);
    assert_true(shown.end.is_clean);
    write_block(3, 10);
    assert_int_equal(scan(), 0);
    assert_false(shown.end.is_clean);
}

static void who_looks_can_stop(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++)
        write_synced(i, 10);
    shown.stop_after = 2;
    assert_int_equal(scan(), -LV_E_STOPPED);
    assert_int_equal(shown.block_count, 2);
    shown.stop_after = 0;
}

/* ---- the end, and damage ---- */

/* Nobody says that the last two were synced; the third knows of the first. */
static void write_a_tail(uint64_t lsns[4])
{
    lsns[0] = write_synced(1, 100);
    lsns[1] = write_block(2, 100);
    lsns[2] = write_block(3, 100);
    lsns[3] = writer.lsn;
}

static void a_torn_tail_is_the_end(void **state)
{
    uint64_t lsns[4];

    (void)state;
    write_a_tail(lsns);
    for (uint64_t from = lsns[1]; from < lsns[3]; from += 7) {
        struct lv_image_disk *whole = image;

        image = lv_image_disk_copy(whole);
        disk = lv_image_disk_view(image);
        assert_int_equal(lv_image_disk_zero(image, file_name(FIRST), from - base(), 4096), 0);
        assert_int_equal(scan(), 0);
        /* The block may end in zeros. */
        assert_string_equal(numbers(), from < lsns[2] - 4   ? "1"
                                       : from < lsns[3] - 4 ? "1 2"
                                                            : "1 2 3");
        assert_int_equal(shown.end.lsn, lsns[shown.count]);
        if (from > shown.end.lsn + sizeof(struct lv_block_head) && shown.end.lsn < lsns[3])
            assert_true(shown.end.dropped_size > 0);
        lv_image_disk_free(image);
        image = whole;
        disk = lv_image_disk_view(image);
    }
}

/* The second was torn, the third was not: neither had been synced. */
static void later_blocks_that_nobody_vouches_for_are_dropped(void **state)
{
    uint64_t lsns[4];

    (void)state;
    write_a_tail(lsns);
    assert_int_equal(lv_image_disk_zero(image, file_name(FIRST), lsns[1] - base() + 50, 8), 0);
    assert_int_equal(scan(), 0);
    assert_string_equal(numbers(), "1");
    assert_int_equal(shown.end.lsn, lsns[1]);
    assert_int_equal(shown.end.dropped_size, lsns[3] - lsns[1]);
}

static void a_later_block_that_vouches_makes_it_damage(void **state)
{
    uint64_t lsns[4];
    char words[64];

    (void)state;
    write_a_tail(lsns);
    sync_log();
    write_block(4, 10);
    assert_int_equal(lv_image_disk_zero(image, file_name(FIRST), lsns[1] - base() + 50, 8), 0);
    assert_int_equal(scan(), -LV_E_CORRUPT);
    snprintf(words, sizeof words, "log-03-0000001a is damaged at offset %u",
             (unsigned)(lsns[1] - base()));
    assert_said(words);
    assert_int_equal(scan_with(show_damage), 0);
    assert_string_equal(numbers(), "1 3 4"); /* the damaged one alone is missing */
    assert_int_equal(shown.damage_count, 1);
    assert_int_equal(shown.damage.offset, lsns[1] - base());
    assert_int_equal(shown.damage.next_offset, lsns[2] - base());
    assert_int_equal(shown.damage.size, lsns[2] - lsns[1]);
    assert_int_equal(shown.end.lsn, writer.lsn);
}

/* A page that was skipped because it was full looks like one that was wiped. */
static void a_wiped_block_before_a_page_or_a_file_is_damage(void **state)
{
    uint64_t lsn, next;

    (void)state;
    write_synced(1, 10);
    lsn = write_synced(2, 10);
    next_page();
    next = write_synced(3, 10);
    assert_int_equal(scan(), 0);
    assert_int_equal(lv_image_disk_zero(image, file_name(FIRST), lsn - base(), 4096), 0);
    assert_int_equal(scan(), -LV_E_CORRUPT);
    assert_int_equal(scan_with(show_damage), 0);
    assert_string_equal(numbers(), "1 3");
    assert_int_equal(shown.damage.size, next - lsn);
    lsn = write_synced(4, 10);
    begin_file(FIRST + 1, LV_LOG_FILE_SIZE);
    write_synced(5, 10);
    assert_int_equal(
        lv_image_disk_zero(image, file_name(FIRST), lsn - FIRST * LV_LOG_FILE_SIZE, 4096), 0);
    assert_int_equal(scan_with(show_damage), 0);
    assert_string_equal(numbers(), "1 3 5");
    assert_int_equal(shown.damage_count, 2);
}

static void a_missing_file_is_named(void **state)
{
    (void)state;
    write_synced(1, 10);
    begin_file(FIRST + 1, LV_LOG_FILE_SIZE);
    write_synced(2, 10);
    begin_file(FIRST + 2, LV_LOG_FILE_SIZE);
    write_synced(3, 10);
    assert_int_equal(disk->ops->remove(disk, file_name(FIRST + 1)), 0);
    assert_int_equal(scan(), -LV_E_CORRUPT);
    assert_said("log-03-0000001a is damaged at offset");
    assert_said("log-03-0000001b is missing");
    assert_int_equal(scan_with(show_damage), 0);
    assert_string_equal(numbers(), "1 3");
    assert_string_equal(shown.damage.next->name, "log-03-0000001c");
}

static void a_file_that_is_too_short_is_damage(void **state)
{
    uint64_t lsns[4];

    (void)state;
    write_a_tail(lsns);
    for (uint64_t size = lsns[0] - base(); size < lsns[3] - base() + 100; size += 9) {
        struct lv_image_disk *whole = image;

        image = lv_image_disk_copy(whole);
        disk = lv_image_disk_view(image);
        assert_int_equal(lv_image_disk_resize(image, file_name(FIRST), size), 0);
        assert_int_equal(scan(), -LV_E_CORRUPT);
        assert_said("log-03-0000001a is damaged at offset");
        assert_int_equal(scan_with(show_damage), 0);
        assert_int_equal(shown.end.lsn, lsns[shown.count]);
        assert_true(shown.end.lsn - base() <= size);
        assert_null(shown.damage.next);
        lv_image_disk_free(image);
        image = whole;
        disk = lv_image_disk_view(image);
    }
    begin_file(FIRST + 1, LV_LOG_FILE_SIZE);
    sync_log();
    write_synced(4, 10);
    assert_int_equal(
        lv_image_disk_resize(image, file_name(FIRST), lsns[2] - FIRST * LV_LOG_FILE_SIZE), 0);
    assert_int_equal(scan_with(show_damage), 0);
    assert_string_equal(numbers(), "1 2 4");
}

/* A byte at a time, each with another bit. */
static void every_byte_of_a_block_counts(void **state)
{
    uint64_t lsns[4];

    (void)state;
    lsns[0] = write_synced(1, 3);
    lsns[1] = write_synced(2, 3);
    lsns[2] = write_synced(3, 3);
    for (uint64_t at = lsns[0]; at < lsns[2]; at++) {
        unsigned index = at < lsns[1] ? 0 : 1;
        uint8_t bit = (uint8_t)(1 << at % 7);

        assert_int_equal(lv_image_disk_flip(image, file_name(FIRST), at - base(), bit), 0);
        assert_int_equal(scan_with(show_damage), 0);
        assert_string_equal(numbers(), index == 0 ? "2 3" : "1 3");
        assert_int_equal(shown.damage.offset, lsns[index] - base());
        assert_int_equal(shown.damage.next_offset, lsns[index + 1] - base());
        assert_int_equal(lv_image_disk_flip(image, file_name(FIRST), at - base(), bit), 0);
    }
    assert_int_equal(scan(), 0);
}

static void every_bit_of_a_block_is_hashed(void **state)
{
    struct lv_logfile_view view;
    struct lv_block_head head;
    uint64_t block[32] = {0};
    uint8_t *bytes = (uint8_t *)block;

    (void)state;
    add_message(1, 100);
    head = (struct lv_block_head){
        .lsn = 4096, .previous = 4000, .synced = 4000, .size = writer.size, .count = 1};
    memcpy(bytes, writer.block, writer.size);
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
        write_synced(i, 10);
    assert_int_equal(disk->ops->rename(disk, "log-03-0000001a", "log-03-0000001b"), 0);
    writer.head.number = FIRST + 1;
    writer.head.seed = 999;
    writer.lsn = base() + LV_LOG_HEAD_SIZE;
    lv_log_head_seal(&writer.head);
    put(&writer.head, sizeof writer.head, 0);
    write_synced(7, 10);
    write_synced(8, 10);
    assert_int_equal(scan(), 0);
    assert_string_equal(numbers(), "7 8");
    assert_int_equal(shown.end.dropped_size, 0);
}

/* Who publishes may guess where it will lie, but not the file's seed. */
static void a_message_that_looks_like_a_block_is_none(void **state)
{
    uint64_t body[24] = {0}, lsn;
    struct lv_block_head head;

    (void)state;
    write_synced(1, 10);
    lsn = writer.lsn + 64; /* where the body will be */
    head = (struct lv_block_head){
        .lsn = lsn, .previous = writer.lsn, .synced = lsn, .size = 128, .count = 1};
    memcpy(body, &head, sizeof head);
    head.hash = lv_block_hash((uint8_t *)body, 128, 0);
    memcpy(body + 2, &head, sizeof head);
    body[0] = 9;
    add_record(LV_RECORD_MESSAGE, 1, body, sizeof body);
    lsn = seal();
    assert_int_equal(lv_image_disk_flip(image, file_name(FIRST), lsn - base(), 1), 0);
    assert_int_equal(scan(), 0);
    assert_string_equal(numbers(), "1");
}

/* A crash left the third block and not the second; the log went on in another file. */
static void what_a_crash_left_is_not_taken_up_later(void **state)
{
    uint64_t lsns[4];

    (void)state;
    write_a_tail(lsns);
    next_page();
    write_block(4, 10);
    assert_int_equal(lv_image_disk_zero(image, file_name(FIRST), lsns[1] - base(), 60), 0);
    assert_int_equal(scan(), 0);
    assert_string_equal(numbers(), "1");
    writer.previous = writer.synced = shown.end.lsn;
    begin_file(shown.end.next_number, LV_LOG_FILE_SIZE);
    write_synced(10, 10);
    write_synced(11, 10);
    assert_int_equal(scan(), 0);
    assert_string_equal(numbers(), "1 10 11");
    assert_int_equal(shown.end.dropped_size, 0);
}

/* The file that a crash left without a block of the log stays behind, the log goes on after it. */
static void a_file_may_be_passed_over_after_a_crash(void **state)
{
    uint64_t end;

    (void)state;
    write_synced(1, 10);
    end = writer.lsn;
    begin_file(FIRST + 1, LV_LOG_FILE_SIZE);
    write_block(2, 10);
    write_block(3, 10);
    assert_int_equal(lv_image_disk_zero(image, file_name(FIRST + 1), LV_LOG_HEAD_SIZE, 50), 0);
    assert_int_equal(scan(), 0);
    assert_string_equal(numbers(), "1");
    assert_int_equal(shown.end.next_number, FIRST + 2);
    writer.previous = writer.synced = end;
    begin_file(FIRST + 2, LV_LOG_FILE_SIZE);
    write_synced(4, 10);
    write_synced(5, 10);
    assert_int_equal(scan(), 0);
    assert_string_equal(numbers(), "1 4 5");
    /* And when the first file has gone too. */
    assert_int_equal(disk->ops->remove(disk, file_name(FIRST)), 0);
    assert_int_equal(scan(), 0);
    assert_string_equal(numbers(), "4 5");
}

static void the_first_block_may_be_the_damaged_one(void **state)
{
    uint64_t lsn = write_synced(1, 10);

    (void)state;
    write_synced(2, 10);
    assert_int_equal(lv_image_disk_flip(image, file_name(FIRST), lsn - base() + 44, 1), 0);
    assert_int_equal(scan(), -LV_E_CORRUPT);
    assert_said("damaged at offset 4096");
    assert_int_equal(scan_with(show_damage), 0);
    assert_string_equal(numbers(), "2");
}

static void a_block_of_nonsense_is_damage(void **state)
{
    uint64_t lsn;

    (void)state;
    write_synced(1, 10);
    add_record(99, 1, "what is this", 12);
    lsn = seal();
    write_synced(3, 10);
    assert_int_equal(scan(), -LV_E_CORRUPT);
    assert_said("holds what is no record");
    assert_int_equal(scan_with(show_damage), 0);
    assert_string_equal(numbers(), "1 3");
    assert_int_equal(shown.damage.offset, lsn - base());
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

/* ---- a disk that fails, and memory that does ---- */

static void every_failing_read_is_said(void **state)
{
    uint64_t reads;
    int rc;

    (void)state;
    write_synced(1, 10);
    begin_file(FIRST + 1, LV_LOG_FILE_SIZE);
    write_synced(2, 10);
    make_file(FIRST + 2, LV_LOG_FILE_SIZE);
    reads = lv_image_disk_count(image, LV_IMAGE_READ);
    assert_int_equal(scan(), 0);
    reads = lv_image_disk_count(image, LV_IMAGE_READ) - reads;
    assert_true(reads >= 5);
    for (uint64_t n = 1; n <= reads; n++) {
        lv_image_disk_fail(image, LV_IMAGE_READ, n, -LV_E_IO, false);
        assert_int_equal(scan(), -LV_E_IO);
        assert_said("log-03-0000001");
        assert_said("can't be read");
    }
    lv_image_disk_fail(image, LV_IMAGE_OPEN, 4, -LV_E_NOT_FOUND, false);
    rc = scan(); /* listed, and then gone */
    assert_int_equal(rc, -LV_E_NOT_FOUND);
}

static void every_failing_allocation_is_said(void **state)
{
    unsigned after = 0;
    int rc;

    (void)state;
    write_synced(1, 10);
    make_file(FIRST + 2, LV_LOG_FILE_SIZE);
    do {
        lv_alloc_fail_after(++after, 0);
        rc = scan();
        lv_alloc_fail_after(0, 0);
        assert_true(rc == 0 || rc == -LV_E_NOMEM);
    } while (rc != 0);
    assert_true(after >= 3);
}

/* ---- any log, any crash, any damage ---- */

/* A log with pages and files left; gives how many blocks are known to be on disk. */
static unsigned write_any(struct lv_random *random, unsigned first, unsigned count)
{
    unsigned synced = first;

    for (unsigned i = first; i < first + count; i++) {
        if (writer.lsn - base() > LV_LOG_HEAD_SIZE && lv_random_below(random, 8) == 0)
            next_page(); /* the first has room for any block */
        if (lv_random_below(random, 12) == 0) {
            sync_log();
            synced = i;
            begin_file(writer.head.number + 1, LV_LOG_FILE_SIZE);
        }
        write_block(i, (uint32_t)lv_random_below(random, 900));
        if (lv_random_below(random, 4) == 0) {
            sync_log();
            synced = i + 1;
        }
    }
    return synced;
}

/* The disk becomes what a crash left of it, and whoever opens it begins behind what there is. */
static void crash(uint64_t seed)
{
    struct lv_image_disk *left = lv_image_disk_crash(image, seed);

    lv_image_disk_free(image);
    image = left;
    disk = lv_image_disk_view(image);
    writer.file = -1;
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
        begin_log(FIRST);
        for (unsigned life = 0; life < 3; life++) {
            unsigned count = 1 + (unsigned)lv_random_below(&random, 20);
            unsigned synced = write_any(&random, expected, count);

            crash(seed * 10 + life);
            if (scan() < 0)
                fail_msg("seed %u, life %u: %s", (unsigned)seed, life, shown.diag.text);
            if (shown.count < synced || shown.count > expected + count)
                fail_msg("seed %u: %u of %u synced, %u written", (unsigned)seed, shown.count,
                         synced, expected + count);
            for (unsigned i = 0; i < shown.count; i++)
                assert_int_equal(shown.numbers[i], i);
            expected = shown.count;
            writer.previous = writer.synced = shown.end.block_count == 0 ? 0 : shown.end.lsn;
            begin_file(shown.end.next_number, LV_LOG_FILE_SIZE);
        }
        lv_image_disk_free(image);
        image = lv_image_disk_new(1);
        disk = lv_image_disk_view(image);
    }
}

static void damage_any(struct lv_random *random, const char *name)
{
    uint64_t offset = LV_LOG_HEAD_SIZE + lv_random_below(random, 4000);

    if (lv_random_below(random, 4) == 0)
        offset = LV_PAGE_SIZE * lv_random_below(random, 3) + lv_random_below(random, 8000);
    switch (lv_random_below(random, 3)) {
    case 0:
        assert_int_equal(
            lv_image_disk_flip(image, name, offset, (uint8_t)(1 << lv_random_below(random, 8))), 0);
        break;
    case 1:
        assert_int_equal(lv_image_disk_zero(image, name, offset, lv_random_below(random, 3000)), 0);
        break;
    default:
        assert_int_equal(lv_image_disk_resize(image, name, offset), 0);
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
        begin_log(FIRST);
        count = write_any(&random, 0, 5 + (unsigned)lv_random_below(&random, 15));
        sync_log();
        damage_any(&random,
                   file_name(FIRST + lv_random_below(&random, writer.head.number - FIRST + 1)));
        if (scan_with(show_damage) == 0) {
            for (unsigned i = 0; i < shown.count; i++) {
                assert_true(i == 0 || shown.numbers[i] > last);
                if (shown.numbers[i] != (i == 0 ? 0 : last + 1))
                    assert_true(shown.damage_count > 0);
                last = (unsigned)shown.numbers[i];
            }
            /* A block that was written later knows what was synced before. */
            if (shown.count == 0 || last + 1 < count - 1)
                found += shown.damage_count > 0;
        } else {
            assert_int_equal(shown.rc, -LV_E_CORRUPT);
            found++;
        }
        lv_image_disk_free(image);
        image = lv_image_disk_new(1);
        disk = lv_image_disk_view(image);
    }
    assert_true(found > 10);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, make_log, free_log)
        cmocka_unit_test(names_are_written_one_way),
        LOG_TEST(files_of_a_shard_are_listed_by_number),
        LOG_TEST(a_file_in_place_of_another_is_damage),
        LOG_TEST(what_was_made_ready_is_no_part_of_the_log),
        LOG_TEST(a_file_that_is_used_again_begins_with_its_old_head),
        LOG_TEST(a_lost_head_is_damage_when_blocks_were_synced_behind_it),
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
        LOG_TEST(a_torn_tail_is_the_end),
        LOG_TEST(later_blocks_that_nobody_vouches_for_are_dropped),
        LOG_TEST(a_later_block_that_vouches_makes_it_damage),
        LOG_TEST(a_wiped_block_before_a_page_or_a_file_is_damage),
        LOG_TEST(a_missing_file_is_named),
        LOG_TEST(a_file_that_is_too_short_is_damage),
        LOG_TEST(every_byte_of_a_block_counts),
        LOG_TEST(every_bit_of_a_block_is_hashed),
        LOG_TEST(blocks_of_an_earlier_life_are_nothing),
        LOG_TEST(a_message_that_looks_like_a_block_is_none),
        LOG_TEST(what_a_crash_left_is_not_taken_up_later),
        LOG_TEST(a_file_may_be_passed_over_after_a_crash),
        LOG_TEST(the_first_block_may_be_the_damaged_one),
        LOG_TEST(a_block_of_nonsense_is_damage),
        cmocka_unit_test(every_kind_has_its_size),
        cmocka_unit_test(records_fill_their_block),
        LOG_TEST(every_failing_read_is_said),
        LOG_TEST(every_failing_allocation_is_said),
        LOG_TEST(crashes_lose_the_end_and_nothing_else),
        LOG_TEST(damage_is_never_passed_over),
#undef LOG_TEST
    };

    return cmocka_run_group_tests_name("log files", tests, NULL, NULL);
}
