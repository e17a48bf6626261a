/*
 * A segment of arbitrary bytes: it is refused, or what it shows lies where its table says, in
 * order, and its end is reached.
 *
 * The first byte of the input says which checks are made right, because no fuzzer guesses a hash:
 * of the head, of the table and foot, of the messages as they follow each other. The rest is the
 * file.
 */
#include "store/segment_format.h"

#include <stdlib.h>

enum {
    SEAL_HEAD = 1,
    SEAL_TABLE = 2,
    SEAL_MESSAGES = 4,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- a disk that has one file ---- */

struct file_disk {
    struct lv_disk disk;
    struct lv_bytes file;
};

static int disk_open(struct lv_disk *disk, const char *name, bool create, int *ret_file)
{
    (void)disk;
    assert(!create);
    assert(name[0] == 's');
    *ret_file = 0;
    return 0;
}

static void disk_close(struct lv_disk *disk, int file)
{
    (void)disk;
    assert(file == 0);
}

static int disk_read(struct lv_disk *disk, int file, uint64_t offset, void *buffer, size_t size,
                     size_t *ret_size)
{
    struct lv_bytes bytes = lv_container(disk, struct file_disk, disk)->file;

    assert(file == 0);
    *ret_size = offset >= bytes.size ? 0 : bytes.size - offset;
    *ret_size = *ret_size > size ? size : *ret_size;
    if (*ret_size > 0)
        memcpy(buffer, bytes.data + offset, *ret_size);
    return 0;
}

static int disk_size(struct lv_disk *disk, int file, uint64_t *ret_size)
{
    assert(file == 0);
    *ret_size = lv_container(disk, struct file_disk, disk)->file.size;
    return 0;
}

static const struct lv_disk_ops disk_ops = {
    .open = disk_open, .close = disk_close, .read = disk_read, .size = disk_size};

/* ---- checks made right ---- */

static void seal_messages(uint8_t *data, const struct lv_segment_run *run, size_t end,
                          uint64_t seed)
{
    uint64_t run_seed = lv_segment_run_seed(seed, run->queue_id);
    struct lv_segment_record record;

    for (size_t at = run->offset; at <= end && end - at >= sizeof record;) {
        uint64_t hash;
        memcpy(&record, data + at, sizeof record);
        if (record.size > end - at - sizeof record)
            return;
        hash = lv_segment_head_hash(&record, run_seed);
        record.tag = lv_segment_tag(hash, record.tag);
        record.check = lv_xxh3(data + at + sizeof record, record.size, hash);
        memcpy(data + at, &record, sizeof record);
        at += lv_segment_record_size(record.size);
    }
}

/* Counts that do not fit the file are left for the code under test. */
static void seal_table(uint8_t *data, size_t size, uint64_t seed, bool with_messages)
{
    struct lv_segment_foot foot;
    size_t table_size;
    uint8_t *table;

    if (size < sizeof foot)
        return;
    memcpy(&foot, data + size - sizeof foot, sizeof foot);
    table_size = foot.run_count * sizeof(struct lv_segment_run) +
                 foot.mark_count * sizeof(struct lv_segment_mark);
    if (table_size > size - sizeof foot)
        return;
    foot.table_offset = size - sizeof foot - table_size;
    table = malloc(table_size + 1);
    assert(table != NULL);
    memcpy(table, data + foot.table_offset, table_size);
    for (uint32_t i = 0; with_messages && i < foot.run_count; i++)
        seal_messages(data, (const struct lv_segment_run *)(void *)table + i, foot.table_offset,
                      seed);
    foot.table_check = lv_segment_table_check(
        (const void *)table, foot.run_count,
        (const void *)(table + foot.run_count * sizeof(struct lv_segment_run)), foot.mark_count,
        seed);
    foot.check = lv_segment_foot_check(&foot, seed);
    memcpy(data + size - sizeof foot, &foot, sizeof foot);
    free(table);
}

static void seal(uint8_t *data, size_t size, uint8_t what)
{
    struct lv_segment_head head;

    if (size < sizeof head)
        return;
    memcpy(&head, data, sizeof head);
    if ((what & SEAL_HEAD) != 0) {
        memcpy(head.magic, LV_SEGMENT_MAGIC, sizeof head.magic);
        head.shard = 0;
        head.number = head.first_number = 1;
        head.check = lv_segment_head_check(&head);
        memcpy(data, &head, sizeof head);
    }
    if ((what & SEAL_TABLE) != 0)
        seal_table(data, size, head.seed, (what & SEAL_MESSAGES) != 0);
}

/* ---- what must hold ---- */

struct seen {
    const struct lv_segment_run *run;
    uint64_t low_seq;
    uint64_t size;
};

static int check_message(void *ctx, const struct lv_segment_entry *entry)
{
    struct seen *seen = ctx;
    const uint8_t *data = entry->data;
    unsigned sum = 0;

    assert(entry->queue_id == seen->run->queue_id);
    assert(entry->seq >= seen->low_seq);
    assert(entry->seq <= seen->run->last_seq);
    for (uint32_t i = 0; i < entry->size; i++)
        sum += data[i]; /* all of it may be read */
    assert(sum <= entry->size * 255u);
    seen->low_seq = entry->seq + 1;
    seen->size += lv_segment_record_size(entry->size);
    assert(seen->size <= seen->run->size);
    return 0;
}

static void check_run(struct lv_segment *segment, const struct lv_segment_run *run, size_t max_size,
                      uint64_t from_seq)
{
    struct seen seen = {run, from_seq, 0};
    struct lv_segment_reading reading = {
        .from_seq = from_seq, .max_size = max_size, .each = check_message, .ctx = &seen};
    struct lv_diag diag;

    while (reading.from_seq != UINT64_MAX) {
        int rc = lv_segment_read(segment, run, &reading, &diag);
        assert(rc == 0);
        assert(reading.next_seq > reading.from_seq);
        reading.from_seq = reading.next_seq;
    }
}

static void check_segment(struct lv_segment *segment)
{
    size_t count;
    const struct lv_segment_run *runs = lv_segment_runs(segment, &count);

    for (size_t i = 0; i < count; i++) {
        check_run(segment, &runs[i], SIZE_MAX, 0);
        check_run(segment, &runs[i], 1, runs[i].first_seq);
        check_run(segment, &runs[i], 100, runs[i].first_seq / 2 + runs[i].last_seq / 2);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct file_disk disk = {.disk.ops = &disk_ops};
    struct lv_segment *segment;
    struct lv_diag diag;
    uint8_t *file;
    int rc;

    if (size == 0)
        return 0;
    file = malloc(size);
    assert(file != NULL);
    memcpy(file, data + 1, size - 1);
    seal(file, size - 1, data[0]);
    disk.file = lv_bytes(file, size - 1);
    rc = lv_segment_open(&disk.disk, 0, 1, &segment, &diag);
    assert(rc == 0 || rc == -LV_E_CORRUPT || rc == -LV_E_VERSION);
    if (rc == 0) {
        check_segment(segment);
        lv_segment_close(segment);
    }
    free(file);
    return 0;
}
