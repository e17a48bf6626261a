#include "store/segment_reader.h"

#include "base/alloc.h"

typedef unsigned long long ull;

/* ---- reading ahead ---- */

/* Makes room for `size` bytes and keeps the first `keep` of those that are there from `offset`. */
static int make_room(struct lv_segment_reader *reader, uint64_t offset, size_t keep, size_t size)
{
    uint8_t *data = reader->data;

    assert(keep <= size);
    if (size > reader->capacity) {
        data = lv_alloc(size);
        if (data == NULL)
            return -LV_E_NOMEM;
        reader->capacity = size;
    }
    if (keep > 0)
        memmove(data, reader->data + (offset - reader->data_from), keep);
    if (data != reader->data)
        lv_free(reader->data);
    reader->data = data;
    reader->data_from = offset;
    reader->data_size = keep;
    return 0;
}

static int cannot_read(const struct lv_segment_reader *reader, int rc, uint64_t offset,
                       struct lv_diag *diag)
{
    const struct lv_segment_run *run = reader->source.run;
    uint32_t walked = reader->place.index;

    assert(rc < 0);
    return lv_fail(diag, rc, "%s: %s at %llu: up to %lu messages of queue %llu are affected",
                   reader->source.name,
                   rc == -LV_E_CORRUPT ? "the file has become shorter and ends" : "can't be read",
                   (ull)offset, (unsigned long)(run->count > walked ? run->count - walked : 0),
                   (ull)run->queue_id);
}

/* Reads so that [offset, offset + size), a part of the run, is in memory. */
static int fill(struct lv_segment_reader *reader, uint64_t offset, uint64_t size,
                struct lv_diag *diag)
{
    struct lv_disk *disk = reader->source.disk;
    const struct lv_segment_run *run = reader->source.run;
    uint64_t left = run->offset + run->size - offset;
    uint64_t want = size > reader->piece ? size : reader->piece;
    uint64_t have_end = reader->data_from + reader->data_size;
    size_t keep = 0, got;
    int rc;

    assert(size <= left);
    want = want > left ? left : want;
    if (offset >= reader->data_from && offset < have_end)
        keep = have_end - offset;
    rc = make_room(reader, offset, keep, want);
    if (rc < 0)
        return lv_fail(diag, rc, "%s: no memory to read a message of %llu bytes",
                       reader->source.name, (ull)size);
    rc = disk->ops->read(disk, reader->source.file, offset + keep, reader->data + keep, want - keep,
                         &got);
    if (rc < 0)
        return cannot_read(reader, rc, offset + keep, diag);
    reader->data_size = keep + got;
    if (reader->data_size < size)
        return cannot_read(reader, -LV_E_CORRUPT, offset + reader->data_size, diag);
    return 0;
}

/* The bytes at `offset`, which with `size` lie in the run; valid until the next call. */
static inline int view(struct lv_segment_reader *reader, uint64_t offset, uint64_t size,
                       const uint8_t **ret_data, struct lv_diag *diag)
{
    if (LV_UNLIKELY(offset < reader->data_from ||
                    offset + size > reader->data_from + reader->data_size)) {
        int rc = fill(reader, offset, size, diag);
        if (rc < 0)
            return rc;
    }
    *ret_data = reader->data + (offset - reader->data_from);
    return 0;
}

/* ---- messages ---- */

/* From one mark to the next: what the table knows about the messages there. */
struct stretch {
    uint64_t end;      /* offset in the file */
    uint64_t last_seq; /* no number is above */
    uint32_t index;    /* messages of the run up to the end */
};

static inline struct stretch stretch_at(const struct lv_segment_reader *reader)
{
    const struct lv_segment_run *run = reader->source.run;
    const struct lv_segment_mark *mark = &reader->source.marks[reader->place.mark];

    assert(reader->place.mark <= reader->source.mark_count);
    if (reader->place.mark == reader->source.mark_count)
        return (struct stretch){run->offset + run->size, run->last_seq, run->count};
    return (struct stretch){mark->offset, mark->seq - 1, mark->index};
}

enum look { LOOK_GOOD, LOOK_BAD_DATA, LOOK_BAD_HEAD, LOOK_PASSED };

static inline bool is_wanted(const struct lv_segment_reader *reader,
                             const struct lv_segment_entry *entry)
{
    if (entry->seq < reader->from_seq)
        return false;
    return reader->wanted == NULL ||
           reader->wanted(reader->wanted_ctx, entry->queue_id, entry->seq, entry->flags);
}

/* Judges what lies at the place, whatever it is: an enum look or an error. The entry is complete
 * when it is good, and all of it but the data when the head is. */
static int look(struct lv_segment_reader *reader, const struct stretch *stretch,
                struct lv_segment_entry *ret_entry, struct lv_diag *diag)
{
    uint64_t offset = reader->place.offset;
    struct lv_segment_record record;
    const uint8_t *data = NULL;
    uint64_t hash;
    int rc;

    assert(offset < stretch->end);
    if (stretch->end - offset < sizeof record)
        return LOOK_BAD_HEAD;
    rc = view(reader, offset, sizeof record, &data, diag);
    if (rc < 0)
        return rc;
    memcpy(&record, data, sizeof record);
    if (record.seq < reader->place.low_seq || record.seq > stretch->last_seq ||
        lv_segment_record_size(record.size) > stretch->end - offset)
        return LOOK_BAD_HEAD;
    hash = lv_segment_head_hash(&record, reader->run_seed);
    if (record.tag != lv_segment_tag(hash, record.tag))
        return LOOK_BAD_HEAD;
    *ret_entry = (struct lv_segment_entry){.queue_id = reader->source.run->queue_id,
                                           .seq = record.seq,
                                           .size = record.size,
                                           .flags = record.tag & LV_SEGMENT_FLAGS};
    if (!is_wanted(reader, ret_entry))
        return LOOK_PASSED;
    rc = view(reader, offset, lv_segment_record_size(record.size), &data, diag);
    if (rc < 0)
        return rc;
    ret_entry->data = data + sizeof record;
    return lv_xxh3(ret_entry->data, record.size, hash) == record.check ? LOOK_GOOD : LOOK_BAD_DATA;
}

static inline void step_over(struct lv_segment_reader *reader, const struct lv_segment_entry *entry)
{
    reader->place.offset += lv_segment_record_size(entry->size);
    reader->place.low_seq = entry->seq + 1;
    reader->place.index++;
}

static void note_damage(struct lv_segment_reader *reader, uint64_t from, uint64_t to,
                        struct lv_diag *diag)
{
    assert(from < to);
    if (reader->damaged_count == 0)
        (void)lv_fail(diag, -LV_E_CORRUPT,
                      "%s: damaged from offset %llu to %llu: messages of queue %llu from number "
                      "%llu on",
                      reader->source.name, (ull)from, (ull)to, (ull)reader->source.run->queue_id,
                      (ull)reader->place.low_seq);
}

/* The head at the place is damaged, so nobody knows where the next message lies: tries every
 * address, until the end of the stretch. What is found is not stepped over. */
static int search(struct lv_segment_reader *reader, const struct stretch *stretch,
                  struct lv_diag *diag)
{
    uint64_t from = reader->place.offset;
    struct lv_segment_entry entry = {.seq = 0};
    int rc = LOOK_BAD_HEAD;

    /* Damaged data is passed as well: there may be a false head in it. */
    while (rc == LOOK_BAD_HEAD || rc == LOOK_BAD_DATA) {
        reader->place.offset += 8;
        if (reader->place.offset >= stretch->end)
            break;
        rc = look(reader, stretch, &entry, diag);
    }
    if (rc < 0) {
        reader->place.offset = from;
        return rc;
    }
    /* At least one is lost; if there are more, the next mark knows. */
    reader->place.index++;
    if (reader->place.offset == stretch->end || entry.seq > reader->from_seq) {
        note_damage(reader, from, reader->place.offset, diag);
        reader->damaged_count++;
    }
    return 0;
}

/* At the end of a stretch what has not been met is lost. False: that was the run's last. */
static bool next_stretch(struct lv_segment_reader *reader, const struct stretch *stretch,
                         struct lv_diag *diag)
{
    assert(reader->place.offset == stretch->end);
    if (reader->place.index < stretch->index) {
        uint32_t lost_count = stretch->index - reader->place.index;

        /* An earlier walk may have met the damage and said where it is, but not how much. */
        if (reader->damaged_count == 0)
            (void)lv_fail(diag, -LV_E_CORRUPT,
                          "%s: damaged before offset %llu: %u messages of queue %llu",
                          reader->source.name, (ull)stretch->end, lost_count,
                          (ull)reader->source.run->queue_id);
        reader->damaged_count += lost_count;
    }
    reader->place.index = stretch->index;
    if (reader->place.mark == reader->source.mark_count)
        return false;
    reader->place.low_seq = reader->source.marks[reader->place.mark].seq;
    reader->place.mark++;
    return true;
}

/* ---- the walk ---- */

void lv_segment_reader_init(struct lv_segment_reader *reader, size_t piece)
{
    assert(piece >= sizeof(struct lv_segment_record));
    *reader = (struct lv_segment_reader){.piece = piece};
}

void lv_segment_reader_fini(struct lv_segment_reader *reader)
{
    lv_free(reader->data);
}

void lv_segment_reader_resume(struct lv_segment_reader *reader,
                              const struct lv_segment_source *source,
                              const struct lv_segment_place *place)
{
    assert(place->offset >= source->run->offset);
    assert(place->mark <= source->mark_count);
    /* What was read ahead may be of another file. */
    reader->data_size = 0;
    reader->source = *source;
    reader->place = *place;
    reader->from_seq = 0;
    reader->run_seed = lv_segment_run_seed(source->seed, source->run->queue_id);
}

void lv_segment_reader_start(struct lv_segment_reader *reader,
                             const struct lv_segment_source *source, uint64_t from_seq)
{
    struct lv_segment_place place = {.offset = source->run->offset,
                                     .low_seq = source->run->first_seq};
    uint32_t low = 0, high = source->mark_count;

    while (low < high) { /* the first mark above from_seq */
        uint32_t middle = low + (high - low) / 2;
        if (source->marks[middle].seq <= from_seq)
            low = middle + 1;
        else
            high = middle;
    }
    if (low > 0) {
        const struct lv_segment_mark *mark = &source->marks[low - 1];
        place = (struct lv_segment_place){mark->offset, mark->seq, mark->index, low};
    }
    lv_segment_reader_resume(reader, source, &place);
    reader->from_seq = from_seq;
}

void lv_segment_reader_pause(struct lv_segment_reader *reader, struct lv_diag *diag)
{
    struct stretch stretch = stretch_at(reader);

    assert(reader->source.run != NULL);
    if (reader->place.offset == stretch.end && reader->place.index < stretch.index)
        (void)next_stretch(reader, &stretch, diag);
}

int lv_segment_reader_next(struct lv_segment_reader *reader, struct lv_segment_entry *ret_entry,
                           struct lv_diag *diag)
{
    struct stretch stretch = stretch_at(reader);

    assert(reader->place.offset <= stretch.end);
    for (;;) {
        int rc;

        while (reader->place.offset == stretch.end) {
            if (!next_stretch(reader, &stretch, diag))
                return 0;
            stretch = stretch_at(reader);
        }
        rc = look(reader, &stretch, ret_entry, diag);
        if (rc < 0)
            return rc;
        if (rc == LOOK_BAD_HEAD) {
            rc = search(reader, &stretch, diag);
            if (rc < 0)
                return rc;
            continue;
        }
        if (rc == LOOK_BAD_DATA) {
            note_damage(reader, reader->place.offset,
                        reader->place.offset + lv_segment_record_size(ret_entry->size), diag);
            reader->damaged_count++;
        }
        step_over(reader, ret_entry);
        if (rc == LOOK_GOOD)
            return 1;
    }
}
