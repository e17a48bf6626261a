#include "store/segment.h"

#include "base/alloc.h"
#include "store/segment_format.h"
#include "store/segment_reader.h"
#include "store/segment_writer.h"

#define NAME_FORMAT      "seg-%02x-%016llx"
#define NAME_LENGTH      23u
#define READ_PIECE_SIZE  (256u << 10)
#define MERGE_PIECE_SIZE (64u << 10) /* there are many sources, and none is waited for */

typedef unsigned long long ull;

struct lv_segment {
    struct lv_disk *disk; /* view */
    int file;
    char name[LV_DISK_NAME_SIZE];
    struct lv_segment_info info;
    uint64_t size;
    struct lv_segment_run *runs;         /* own  the table, marks included */
    const struct lv_segment_mark *marks; /* view in `runs` */
    uint32_t run_count, mark_count;
    /* Where the last reading stopped: who goes on there needs no mark. */
    const struct lv_segment_run *last_run; /* view in `runs`, NULL at first */
    struct lv_segment_place last_place;
};

/* ---- names ---- */

void lv_segment_name(uint32_t shard, uint64_t number, char name[LV_DISK_NAME_SIZE])
{
    int length = snprintf(name, LV_DISK_NAME_SIZE, NAME_FORMAT, shard & 0xff, (ull)number);

    assert(shard <= 0xff);
    assert(length == NAME_LENGTH);
}

bool lv_segment_parse_name(const char *name, uint32_t *ret_shard, uint64_t *ret_number)
{
    char again[LV_DISK_NAME_SIZE];
    ull number;
    unsigned shard;

    if (strlen(name) != NAME_LENGTH || sscanf(name, "seg-%2x-%16llx", &shard, &number) != 2)
        return false;
    /* sscanf() takes signs, blanks and capitals; we write none. */
    lv_segment_name(shard, number, again);
    if (strcmp(again, name) != 0)
        return false;
    *ret_shard = shard;
    *ret_number = number;
    return true;
}

/* ---- writing ---- */

static int compare(const void *a, const void *b)
{
    const struct lv_segment_entry *x = a, *y = b;

    if (x->queue_id != y->queue_id)
        return x->queue_id < y->queue_id ? -1 : 1;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static bool is_sorted(const struct lv_segment_entry *entries, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (compare(&entries[i - 1], &entries[i]) > 0)
            return false;
    }
    return true;
}

/* One pass of a radix sort, by eight bits of the queue's id; keeps the order of equals. */
static void distribute(const struct lv_segment_entry *from, struct lv_segment_entry *to,
                       size_t count, unsigned shift)
{
    size_t next[256] = {0}, sum = 0;

    for (size_t i = 0; i < count; i++)
        next[from[i].queue_id >> shift & 0xff]++;
    for (size_t i = 0; i < LV_COUNT(next); i++) {
        size_t size = next[i];
        next[i] = sum;
        sum += size;
    }
    assert(sum == count);
    for (size_t i = 0; i < count; i++)
        to[next[from[i].queue_id >> shift & 0xff]++] = from[i];
}

/* By queue only. Ids are given one after the other, so few of their bytes differ. */
static void group(struct lv_segment_entry *entries, size_t count)
{
    struct lv_segment_entry *spare = lv_alloc(count * sizeof *entries);
    struct lv_segment_entry *from = entries, *to = spare;
    uint64_t differing = 0;

    assert(count > 1); /* fewer are always sorted */
    if (spare == NULL)
        return; /* comparing takes longer, and no memory */
    for (size_t i = 0; i < count; i++)
        differing |= entries[i].queue_id ^ entries[0].queue_id;
    for (unsigned shift = 0; shift < 64; shift += 8) {
        struct lv_segment_entry *sorted = to;
        if ((differing >> shift & 0xff) == 0)
            continue;
        distribute(from, to, count, shift);
        to = from;
        from = sorted;
    }
    if (from != entries)
        memcpy(entries, from, count * sizeof *entries);
    lv_free(spare);
}

/* What comes from one queue's backlog is in order already. In what comes from several the numbers
 * of each ascend, so that there is nothing to do but to group them, for a tenth of what comparing
 * them costs. */
void lv_segment_sort(struct lv_segment_entry *entries, size_t count)
{
    if (is_sorted(entries, count))
        return;
    group(entries, count);
    if (!is_sorted(entries, count))
        qsort(entries, count, sizeof *entries, compare);
}

int lv_segment_write(struct lv_disk *disk, const struct lv_segment_info *info,
                     struct lv_segment_entry *entries, size_t count, struct lv_diag *diag)
{
    struct lv_segment_writer writer;
    int rc;

    assert(count > 0);
    lv_segment_sort(entries, count);
    rc = lv_segment_writer_init(&writer, disk, info, diag);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = lv_segment_writer_append(&writer, &entries[i], diag);
    if (rc == 0)
        rc = lv_segment_writer_finish(&writer, diag);
    lv_segment_writer_fini(&writer);
    return rc;
}

/* ---- opening ---- */

/* All of it or an error: the sizes have been compared with the file's. */
static int read_all(const struct lv_segment *segment, uint64_t offset, void *data, size_t size,
                    struct lv_diag *diag)
{
    size_t got = 0;
    int rc = segment->disk->ops->read(segment->disk, segment->file, offset, data, size, &got);

    assert(got <= size);
    if (rc < 0)
        return lv_fail(diag, rc, "%s: can't read at %llu: %s", segment->name, (ull)offset,
                       lv_error_name(rc));
    if (got < size)
        return lv_fail(diag, -LV_E_CORRUPT, "%s: ends at %llu within what should be there",
                       segment->name, (ull)offset + got);
    return 0;
}

static int read_head(struct lv_segment *segment, struct lv_diag *diag)
{
    struct lv_segment_head head;
    int rc = segment->disk->ops->size(segment->disk, segment->file, &segment->size);

    if (rc < 0)
        return lv_fail(diag, rc, "%s: can't be measured: %s", segment->name, lv_error_name(rc));
    rc = read_all(segment, 0, &head, sizeof head, diag);
    if (rc < 0)
        return rc;
    if (memcmp(head.magic, LV_SEGMENT_MAGIC, sizeof head.magic) != 0 ||
        head.check != lv_segment_head_check(&head))
        return lv_fail(diag, -LV_E_CORRUPT,
                       "%s: its head at offset 0 is damaged: %llu bytes of "
                       "messages are affected",
                       segment->name, (ull)segment->size);
    if (head.version != LV_FORMAT_VERSION)
        return lv_fail(diag, -LV_E_VERSION,
                       "%s: has format version %u, and this program knows version %u only: open "
                       "the data directory with the version of Leveret that wrote it",
                       segment->name, head.version, LV_FORMAT_VERSION);
    if (head.shard != segment->info.shard || head.number != segment->info.number)
        return lv_fail(diag, -LV_E_CORRUPT, "%s: holds segment %llu of shard %u", segment->name,
                       (ull)head.number, head.shard);
    if (head.first_number == 0 || head.first_number > head.number)
        return lv_fail(diag, -LV_E_CORRUPT, "%s: can't stand for segments from number %llu on",
                       segment->name, (ull)head.first_number);
    segment->info.first_number = head.first_number;
    segment->info.covers = head.covers;
    segment->info.seed = head.seed;
    return 0;
}

static int damaged_table(const struct lv_segment *segment, uint64_t offset, struct lv_diag *diag)
{
    return lv_fail(diag, -LV_E_CORRUPT,
                   "%s: the table of its messages at offset %llu is damaged: %llu bytes of "
                   "messages are affected",
                   segment->name, (ull)offset, (ull)segment->size);
}

/* A run begins where the one before it ends, and could hold what is said of it. */
static bool is_run_possible(const struct lv_segment_run *run, uint64_t offset, uint64_t end)
{
    return run->offset == offset && run->size % 8 == 0 && run->size <= end - offset &&
           run->count > 0 && run->size / sizeof(struct lv_segment_record) >= run->count &&
           run->transient_count <= run->count && run->first_seq <= run->last_seq &&
           run->last_seq - run->first_seq >= run->count - 1 && run->last_seq < UINT64_MAX;
}

/* A mark lies in the run, behind the one before it. */
static bool is_mark_possible(const struct lv_segment_mark *mark, const struct lv_segment_run *run,
                             const struct lv_segment_mark *before)
{
    return mark->offset % 8 == 0 && mark->seq <= run->last_seq && mark->index < run->count &&
           mark->offset > (before == NULL ? run->offset : before->offset) &&
           mark->seq > (before == NULL ? run->first_seq : before->seq) &&
           mark->index > (before == NULL ? 0 : before->index);
}

/* The hash says that the table is as it was written. That what was written makes sense is one pass,
 * and then nobody has to ask again. */
static bool is_table_possible(const struct lv_segment *segment, uint64_t end)
{
    uint64_t offset = sizeof(struct lv_segment_head);
    uint32_t m = 0;

    for (uint32_t i = 0; i < segment->run_count; i++) {
        const struct lv_segment_run *run = &segment->runs[i];
        const struct lv_segment_mark *before = NULL;

        if (!is_run_possible(run, offset, end) || (i > 0 && run[-1].queue_id >= run->queue_id))
            return false;
        offset += run->size;
        for (; m < segment->mark_count && segment->marks[m].offset < offset; m++) {
            if (!is_mark_possible(&segment->marks[m], run, before))
                return false;
            before = &segment->marks[m];
        }
    }
    return offset == end && m == segment->mark_count && segment->run_count > 0;
}

static int read_table(struct lv_segment *segment, struct lv_diag *diag)
{
    struct lv_segment_foot foot;
    uint64_t foot_offset, size;
    int rc;

    if (segment->size < sizeof(struct lv_segment_head) + sizeof foot)
        return damaged_table(segment, sizeof(struct lv_segment_head), diag);
    foot_offset = segment->size - sizeof foot;
    rc = read_all(segment, foot_offset, &foot, sizeof foot, diag);
    if (rc < 0)
        return rc;
    size = foot.run_count * sizeof *segment->runs + foot.mark_count * sizeof *segment->marks;
    if (foot.check != lv_segment_foot_check(&foot, segment->info.seed) || size > foot_offset ||
        foot_offset - size != foot.table_offset)
        return damaged_table(segment, foot_offset, diag);
    segment->runs = lv_alloc(size);
    if (segment->runs == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "%s: no memory for its table", segment->name);
    rc = read_all(segment, foot.table_offset, segment->runs, size, diag);
    if (rc < 0)
        return rc;
    segment->run_count = foot.run_count;
    segment->mark_count = foot.mark_count;
    segment->marks = (const void *)(segment->runs + foot.run_count);
    if (foot.table_check != lv_segment_table_check(segment->runs, foot.run_count, segment->marks,
                                                   foot.mark_count, segment->info.seed) ||
        !is_table_possible(segment, foot.table_offset))
        return damaged_table(segment, foot.table_offset, diag);
    return 0;
}

/* The file and its head. */
static int begin(struct lv_segment *segment, struct lv_disk *disk, uint32_t shard, uint64_t number,
                 struct lv_diag *diag)
{
    int rc;

    segment->disk = disk;
    segment->file = -1;
    segment->info = (struct lv_segment_info){.shard = shard, .number = number};
    lv_segment_name(shard, number, segment->name);
    rc = disk->ops->open(disk, segment->name, false, &segment->file);
    if (rc < 0) {
        segment->file = -1;
        return lv_fail(diag, rc, "%s: can't be opened: %s", segment->name, lv_error_name(rc));
    }
    return read_head(segment, diag);
}

int lv_segment_open(struct lv_disk *disk, uint32_t shard, uint64_t number,
                    struct lv_segment **ret_segment, struct lv_diag *diag)
{
    struct lv_segment *segment = lv_calloc(1, sizeof *segment);
    int rc;

    if (segment == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "no memory to open a segment");
    rc = begin(segment, disk, shard, number, diag);
    if (rc == 0)
        rc = read_table(segment, diag);
    if (rc == 0)
        *ret_segment = segment;
    else
        lv_segment_close(segment);
    return rc;
}

int lv_segment_first(struct lv_disk *disk, uint32_t shard, uint64_t number, uint64_t *ret_first,
                     struct lv_diag *diag)
{
    struct lv_segment segment = {.size = 0};
    int rc = begin(&segment, disk, shard, number, diag);

    assert(segment.runs == NULL);
    if (segment.file >= 0)
        disk->ops->close(disk, segment.file);
    if (rc == 0)
        *ret_first = segment.info.first_number;
    return rc;
}

void lv_segment_close(struct lv_segment *segment)
{
    if (segment == NULL)
        return;
    if (segment->file >= 0)
        segment->disk->ops->close(segment->disk, segment->file);
    lv_free(segment->runs);
    lv_free(segment);
}

const struct lv_segment_info *lv_segment_info(const struct lv_segment *segment)
{
    return &segment->info;
}

const struct lv_segment_run *lv_segment_runs(const struct lv_segment *segment, size_t *ret_count)
{
    assert(segment->run_count > 0);
    *ret_count = segment->run_count;
    return segment->runs;
}

uint64_t lv_segment_size(const struct lv_segment *segment)
{
    return segment->size;
}

/* ---- reading ---- */

/* NULL: the segment has nothing of the queue. */
static const struct lv_segment_run *find_run(const struct lv_segment *segment, uint64_t queue_id)
{
    uint32_t low = 0, high = segment->run_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (segment->runs[middle].queue_id < queue_id)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == segment->run_count || segment->runs[low].queue_id != queue_id)
        return NULL;
    return &segment->runs[low];
}

/* The first mark at or behind an offset. */
static uint32_t find_mark(const struct lv_segment *segment, uint64_t offset)
{
    uint32_t low = 0, high = segment->mark_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (segment->marks[middle].offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct lv_segment_source source_of(const struct lv_segment *segment,
                                          const struct lv_segment_run *run)
{
    uint32_t first = find_mark(segment, run->offset);

    return (struct lv_segment_source){.disk = segment->disk,
                                      .file = segment->file,
                                      .name = segment->name,
                                      .seed = segment->info.seed,
                                      .run = run,
                                      .marks = segment->marks + first,
                                      .mark_count =
                                          find_mark(segment, run->offset + run->size) - first};
}

/* Shows messages until it is enough: 1, 0 behind the last or an error. */
static int show(struct lv_segment_reader *reader, const struct lv_segment_reading *reading,
                struct lv_diag *diag)
{
    size_t shown = 0;
    int rc, verdict = 0;

    do {
        struct lv_segment_entry entry;

        rc = lv_segment_reader_next(reader, &entry, diag);
        if (rc <= 0)
            return rc;
        shown += sizeof(struct lv_segment_record) + entry.size;
        verdict = reading->each(reading->ctx, &entry);
        if (verdict < 0)
            return verdict;
        /* Behind the last message the walk goes on once more: to its end, where losses are known.
         */
    } while (reader->place.low_seq > reader->source.run->last_seq ||
             (verdict == 0 && shown < reading->max_size));
    return 1;
}

int lv_segment_read(struct lv_segment *segment, const struct lv_segment_run *run,
                    struct lv_segment_reading *reading, struct lv_diag *diag)
{
    const struct lv_segment_run *own = find_run(segment, run->queue_id);
    struct lv_segment_source source;
    struct lv_segment_reader reader;
    size_t piece = READ_PIECE_SIZE;
    int rc;

    assert(own != NULL);
    if (reading->max_size < piece - LV_SEGMENT_MARK_SIZE)
        piece = reading->max_size + LV_SEGMENT_MARK_SIZE;
    source = source_of(segment, own);
    lv_segment_reader_init(&reader, piece);
    if (segment->last_run == own && segment->last_place.low_seq == reading->from_seq)
        lv_segment_reader_resume(&reader, &source, &segment->last_place);
    else
        lv_segment_reader_start(&reader, &source, reading->from_seq);
    rc = show(&reader, reading, diag);
    if (rc > 0)
        lv_segment_reader_pause(&reader, diag);
    segment->last_run = own;
    segment->last_place = reader.place;
    reading->next_seq = rc == 0 ? UINT64_MAX : reader.place.low_seq;
    reading->damaged_count = reader.damaged_count;
    lv_segment_reader_fini(&reader);
    return rc < 0 ? rc : 0;
}

/* ---- merging ---- */

/* A source with the next message of it that is wanted. */
struct feed {
    const struct lv_segment *segment; /* view */
    struct lv_segment_reader reader;
    struct lv_segment_entry entry; /*      valid unless the feed is dry */
    uint32_t run;                  /*      being read */
    bool is_dry;
};

static void begin_run(struct feed *feed)
{
    struct lv_segment_source source = source_of(feed->segment, &feed->segment->runs[feed->run]);

    lv_segment_reader_start(&feed->reader, &source, 0);
}

/* The feed with the lowest message, the first of equals; NULL when all are dry. *ret_rival is the
 * one that comes next, or NULL. */
static struct feed *lowest(struct feed *feeds, size_t count, const struct feed **ret_rival)
{
    struct feed *best = NULL;
    const struct feed *rival = NULL;

    for (size_t i = 0; i < count; i++) {
        if (feeds[i].is_dry)
            continue;
        if (best == NULL || compare(&feeds[i].entry, &best->entry) < 0) {
            rival = best;
            best = &feeds[i];
        } else if (rival == NULL || compare(&feeds[i].entry, &rival->entry) < 0) {
            rival = &feeds[i];
        }
    }
    assert(best != NULL || rival == NULL);
    *ret_rival = rival;
    return best;
}

/* A merge under way. */
struct merge {
    struct lv_segment_writer writer; /* once there is a message */
    struct feed *feeds;              /* own */
    size_t feed_count;
    struct lv_disk *disk;               /* view */
    const struct lv_segment_info *info; /* view */
    struct feed *unreadable;            /* view  why it ended */
    uint64_t count;                     /*      messages written */
    uint64_t queue_id, seq;             /*      of the last one */
};

static int take(struct merge *merge, const struct lv_segment_entry *entry, struct lv_diag *diag)
{
    int rc = 0;

    if (merge->count > 0 && entry->queue_id == merge->queue_id && entry->seq == merge->seq)
        return 0;
    assert(merge->count == 0 || merge->queue_id < entry->queue_id ||
           (merge->queue_id == entry->queue_id && merge->seq < entry->seq));
    if (merge->count == 0)
        rc = lv_segment_writer_init(&merge->writer, merge->disk, merge->info, diag);
    merge->count++;
    if (rc < 0)
        return rc;
    merge->queue_id = entry->queue_id;
    merge->seq = entry->seq;
    return lv_segment_writer_append(&merge->writer, entry, diag);
}

/* Damage ends the merge: what can still be read of the source is all that there will be of it. */
static int advance(struct merge *merge, struct feed *feed, struct lv_diag *diag)
{
    int rc;

    assert(!feed->is_dry);
    for (;;) {
        rc = lv_segment_reader_next(&feed->reader, &feed->entry, diag);
        if (rc == -LV_E_NOMEM)
            return rc;
        if (rc < 0 || feed->reader.damaged_count > 0) {
            merge->unreadable = feed;
            return -LV_E_CORRUPT;
        }
        if (rc > 0)
            return 0;
        feed->run++;
        if (feed->run == feed->segment->run_count) {
            feed->is_dry = true;
            return 0;
        }
        begin_run(feed);
    }
}

/* Runs seldom overlap: one feed is followed for as long as no other has something lower. */
static int merge_feeds(struct merge *merge, struct lv_diag *diag)
{
    struct feed *feed;
    const struct feed *rival;
    int rc = 0;

    while ((feed = lowest(merge->feeds, merge->feed_count, &rival)) != NULL) {
        do {
            rc = take(merge, &feed->entry, diag);
            if (rc == 0)
                rc = advance(merge, feed, diag);
            if (rc < 0)
                return rc;
        } while (!feed->is_dry && (rival == NULL || compare(&feed->entry, &rival->entry) < 0));
    }
    return merge->count > 0 ? lv_segment_writer_finish(&merge->writer, diag) : 0;
}

static int open_feeds(struct merge *merge, const struct lv_segment_merging *merging,
                      struct lv_diag *diag)
{
    int rc = 0;

    merge->feeds = lv_calloc(merging->source_count, sizeof *merge->feeds);
    if (merge->feeds == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "no memory to merge segments");
    merge->feed_count = merging->source_count;
    for (size_t i = 0; rc == 0 && i < merging->source_count; i++) {
        struct feed *feed = &merge->feeds[i];
        feed->segment = merging->sources[i];
        lv_segment_reader_init(&feed->reader, MERGE_PIECE_SIZE);
        feed->reader.wanted = merging->wanted;
        feed->reader.wanted_ctx = merging->ctx;
        begin_run(feed);
        rc = advance(merge, feed, diag);
    }
    return rc;
}

int lv_segment_merge(struct lv_disk *disk, const struct lv_segment_info *info,
                     struct lv_segment_merging *merging, struct lv_diag *diag)
{
    struct merge merge = {.disk = disk, .info = info};
    int rc = open_feeds(&merge, merging, diag);

    assert(merging->source_count > 0);
    if (rc == 0)
        rc = merge_feeds(&merge, diag);
    merging->count = merge.count;
    merging->size = merge.count > 0 ? merge.writer.offset : 0;
    if (merge.unreadable != NULL)
        merging->damaged = (size_t)(merge.unreadable - merge.feeds);
    for (size_t i = 0; i < merge.feed_count; i++)
        lv_segment_reader_fini(&merge.feeds[i].reader);
    lv_free(merge.feeds);
    if (merge.count > 0)
        lv_segment_writer_fini(&merge.writer);
    return rc;
}
