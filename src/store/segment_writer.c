#include "store/segment_writer.h"

#include "base/alloc.h"

#define BUFFER_SIZE (256u << 10)
#define ROOM_MIN    64u

static int say(struct lv_segment_writer *writer, int rc, const char *what, struct lv_diag *diag)
{
    assert(rc < 0);
    return lv_fail(diag, rc, "%s: can't %s: %s", writer->temporary, what,
                   rc == -LV_E_FULL ? "the disk is full" : lv_error_name(rc));
}

/* ---- the stream ---- */

static int flush(struct lv_segment_writer *writer, struct lv_diag *diag)
{
    struct lv_disk *disk = writer->disk;
    int rc;

    if (writer->used == 0)
        return 0;
    rc = disk->ops->write(disk, writer->file, writer->offset,
                          lv_bytes(writer->buffer, writer->used));
    if (rc < 0)
        return say(writer, rc, "write it", diag);
    disk->ops->write_back(disk, writer->file, writer->offset, writer->used);
    writer->offset += writer->used;
    writer->used = 0;
    return 0;
}

/* Any number of bytes; what fills the buffer by itself does not go through it. */
static int put(struct lv_segment_writer *writer, const void *data, size_t size,
               struct lv_diag *diag)
{
    struct lv_disk *disk = writer->disk;
    int rc;

    if (size > BUFFER_SIZE - writer->used) {
        rc = flush(writer, diag);
        if (rc < 0)
            return rc;
    }
    if (size > BUFFER_SIZE) {
        rc = disk->ops->write(disk, writer->file, writer->offset, lv_bytes(data, size));
        if (rc < 0)
            return say(writer, rc, "write it", diag);
        writer->offset += size;
        return 0;
    }
    if (size > 0)
        memcpy(writer->buffer + writer->used, data, size);
    writer->used += size;
    assert(writer->used <= BUFFER_SIZE);
    return 0;
}

static inline uint64_t position(const struct lv_segment_writer *writer)
{
    return writer->offset + writer->used;
}

/* ---- the table ---- */

/* Room for one more in an array. NULL: out of memory. */
static void *reserve(void *items, uint32_t count, uint32_t *room, size_t item_size)
{
    uint32_t new_room = *room == 0 ? ROOM_MIN : *room * 2;
    void *grown;

    assert(count <= *room);
    if (count < *room)
        return items;
    if (new_room <= *room)
        return NULL;
    grown = lv_realloc(items, new_room * item_size);
    if (grown != NULL)
        *room = new_room;
    return grown;
}

static int begin_run(struct lv_segment_writer *writer, const struct lv_segment_entry *entry,
                     struct lv_diag *diag)
{
    struct lv_segment_run *runs =
        reserve(writer->runs, writer->run_count, &writer->run_room, sizeof *runs);

    if (runs == NULL)
        return say(writer, -LV_E_NOMEM, "keep its table", diag);
    writer->runs = runs;
    runs[writer->run_count++] = (struct lv_segment_run){
        .queue_id = entry->queue_id, .first_seq = entry->seq, .offset = position(writer)};
    writer->run_seed = lv_segment_run_seed(writer->info.seed, entry->queue_id);
    writer->mark_offset = position(writer) + LV_SEGMENT_MARK_SIZE;
    return 0;
}

static int set_mark(struct lv_segment_writer *writer, const struct lv_segment_run *run,
                    uint64_t seq, struct lv_diag *diag)
{
    struct lv_segment_mark *marks =
        reserve(writer->marks, writer->mark_count, &writer->mark_room, sizeof *marks);

    if (marks == NULL)
        return say(writer, -LV_E_NOMEM, "keep its table", diag);
    writer->marks = marks;
    marks[writer->mark_count++] =
        (struct lv_segment_mark){.seq = seq, .offset = position(writer), .index = run->count};
    writer->mark_offset = position(writer) + LV_SEGMENT_MARK_SIZE;
    return 0;
}

/* Behind the messages. */
static int put_table(struct lv_segment_writer *writer, struct lv_diag *diag)
{
    struct lv_segment_foot foot = {.table_offset = position(writer),
                                   .run_count = writer->run_count,
                                   .mark_count = writer->mark_count};
    size_t runs_size = writer->run_count * sizeof *writer->runs;
    size_t marks_size = writer->mark_count * sizeof *writer->marks;
    int rc;

    foot.table_check = lv_segment_table_check(writer->runs, writer->run_count, writer->marks,
                                              writer->mark_count, writer->info.seed);
    foot.check = lv_segment_foot_check(&foot, writer->info.seed);
    rc = put(writer, writer->runs, runs_size, diag);
    if (rc == 0)
        rc = put(writer, writer->marks, marks_size, diag);
    if (rc == 0)
        rc = put(writer, &foot, sizeof foot, diag);
    return rc;
}

/* ---- the whole ---- */

int lv_segment_writer_init(struct lv_segment_writer *writer, struct lv_disk *disk,
                           const struct lv_segment_info *info, struct lv_diag *diag)
{
    struct lv_segment_head head = {.magic = LV_SEGMENT_MAGIC,
                                   .version = LV_FORMAT_VERSION,
                                   .shard = info->shard,
                                   .number = info->number,
                                   .first_number =
                                       info->first_number > 0 ? info->first_number : info->number,
                                   .covers = info->covers,
                                   .seed = info->seed};
    int rc, file;

    *writer = (struct lv_segment_writer){.disk = disk, .info = *info, .file = -1};
    lv_segment_name(info->shard, info->number, writer->name);
    snprintf(writer->temporary, sizeof writer->temporary, "%.*s.tmp", LV_DISK_NAME_SIZE - 5,
             writer->name);
    writer->buffer = lv_alloc(BUFFER_SIZE);
    if (writer->buffer == NULL)
        return say(writer, -LV_E_NOMEM, "write it", diag);
    rc = disk->ops->open(disk, writer->temporary, true, &file);
    if (rc < 0)
        return say(writer, rc, "create it", diag);
    writer->file = file;
    head.check = lv_segment_head_check(&head);
    return put(writer, &head, sizeof head, diag);
}

int lv_segment_writer_append(struct lv_segment_writer *writer, const struct lv_segment_entry *entry,
                             struct lv_diag *diag)
{
    static const uint8_t zeros[8];
    struct lv_segment_record record = {.seq = entry->seq, .size = entry->size, .tag = entry->flags};
    uint64_t size = lv_segment_record_size(entry->size);
    size_t padding = size - sizeof record - entry->size;
    struct lv_segment_run *run;
    uint64_t head_hash;
    int rc = 0;

    assert(entry->flags <= LV_SEGMENT_FLAGS);
    assert(entry->seq < UINT64_MAX);
    if (writer->run_count == 0 || writer->runs[writer->run_count - 1].queue_id != entry->queue_id) {
        rc = begin_run(writer, entry, diag);
        if (rc < 0)
            return rc;
        run = &writer->runs[writer->run_count - 1];
        assert(writer->run_count == 1 || run[-1].queue_id < run->queue_id);
    } else {
        run = &writer->runs[writer->run_count - 1];
        assert(run->last_seq < entry->seq);
        assert(run->count < UINT32_MAX);
        if (position(writer) >= writer->mark_offset)
            rc = set_mark(writer, run, entry->seq, diag);
        if (rc < 0)
            return rc;
    }
    head_hash = lv_segment_head_hash(&record, writer->run_seed);
    record.tag = lv_segment_tag(head_hash, entry->flags);
    record.check = lv_xxh3(entry->data, entry->size, head_hash);
    rc = put(writer, &record, sizeof record, diag);
    if (rc == 0)
        rc = put(writer, entry->data, entry->size, diag);
    if (rc == 0)
        rc = put(writer, zeros, padding, diag);
    run->last_seq = entry->seq;
    run->size += size;
    run->count++;
    run->transient_count += (entry->flags & LV_SEGMENT_TRANSIENT) != 0;
    return rc;
}

int lv_segment_writer_finish(struct lv_segment_writer *writer, struct lv_diag *diag)
{
    struct lv_disk *disk = writer->disk;
    int rc;

    assert(writer->run_count > 0);
    assert(writer->info.first_number <= writer->info.number);
    rc = put_table(writer, diag);
    if (rc == 0)
        rc = flush(writer, diag);
    if (rc < 0)
        return rc;
    rc = disk->ops->sync(disk, writer->file);
    if (rc < 0)
        return say(writer, rc, "sync it", diag);
    disk->ops->close(disk, writer->file);
    writer->file = -1;
    rc = disk->ops->rename(disk, writer->temporary, writer->name);
    if (rc < 0) {
        (void)disk->ops->remove(disk, writer->temporary);
        return say(writer, rc, "give it its name", diag);
    }
    /* Without it the next start may find this segment or not: it can use either. */
    rc = disk->ops->sync_directory(disk);
    return rc < 0 ? say(writer, rc, "sync the directory", diag) : 0;
}

void lv_segment_writer_fini(struct lv_segment_writer *writer)
{
    struct lv_disk *disk = writer->disk;

    if (writer->file >= 0) {
        disk->ops->close(disk, writer->file);
        (void)disk->ops->remove(disk, writer->temporary);
    }
    lv_free(writer->buffer);
    lv_free(writer->runs);
    lv_free(writer->marks);
}
