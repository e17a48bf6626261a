#include "base/alloc.h"
#include "store/logfile.h"
#include "store/logfile_block.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>

#define NOT_LOADED SIZE_MAX
/* A file is read in pieces: most end long before their end. */
#define PIECE_SIZE ((uint64_t)64 * 1024)

/* A walk over the blocks of one shard; one file at a time is in memory, as far as it was read. */
struct scan {
    struct lv_disk *disk;           /* view */
    const struct lv_logfile *files; /* view */
    size_t count;
    const struct lv_logfile_visitor *visitor; /* view */
    struct lv_diag *diag;                     /* view */
    struct lv_logfile_end *end;               /* view */
    uint8_t *buffer;                          /* own */
    uint64_t capacity;                        /*       of the buffer, bytes */
    struct lv_logfile_view view;              /*       the file in it, as far as it was read */
    size_t loaded;                            /*       which that is */
    int file;                                 /*       its handle; -1: none is loaded */
    uint64_t file_size;                       /*       bytes that are there of it */
    size_t index;                             /*       the file of the last block */
};

/* Behind the last block shown there are others that the walk does not lead to. */
struct gap {
    bool is_damage; /* one of them says that what is missing had been synced */
    size_t index;   /* file and offset where the last row of them begins, as each names the end of
                       the one before it */
    uint64_t offset;
    uint64_t end;     /* LSN behind that row */
    uint64_t dropped; /* bytes of blocks that nobody vouches for */
};

static uint64_t first_lsn(const struct lv_logfile *file)
{
    return file->head.number * LV_LOG_FILE_SIZE;
}

/* Where the walk stands in its file. */
static uint64_t position(const struct scan *scan)
{
    assert(scan->end->lsn >= first_lsn(&scan->files[scan->index]));
    return scan->end->lsn - first_lsn(&scan->files[scan->index]);
}

static int fail_read(const struct scan *scan, int rc, const char *name)
{
    assert(rc < 0);
    return lv_fail(scan->diag, rc, "%s can't be read: %s", name,
                   rc == -LV_E_NOT_FOUND ? "it is not there" : "input/output error");
}

static int grow(struct scan *scan, uint64_t size)
{
    uint8_t *buffer;

    if (size <= scan->capacity)
        return 0;
    buffer = lv_realloc(scan->buffer, size);
    if (buffer == NULL)
        return lv_fail(scan->diag, -LV_E_NOMEM, "out of memory: a log file has %" PRIu64 " bytes",
                       size);
    scan->buffer = buffer;
    scan->capacity = size;
    assert(scan->capacity > 0);
    return 0;
}

static void unload(struct scan *scan)
{
    assert((scan->file >= 0) == (scan->loaded != NOT_LOADED));
    if (scan->file >= 0)
        scan->disk->ops->close(scan->disk, scan->file);
    scan->file = -1;
    scan->loaded = NOT_LOADED;
}

/* Opens the file, which may be shorter than its head says. */
static int load(struct scan *scan, size_t index)
{
    const struct lv_logfile *file = &scan->files[index];
    int rc;

    assert(index < scan->count);
    if (scan->loaded == index)
        return 0;
    unload(scan);
    rc = scan->disk->ops->open(scan->disk, file->name, false, &scan->file);
    if (rc < 0) {
        scan->file = -1;
        return fail_read(scan, rc, file->name);
    }
    scan->loaded = index;
    scan->view = (struct lv_logfile_view){scan->buffer, 0, first_lsn(file)};
    rc = scan->disk->ops->size(scan->disk, scan->file, &scan->file_size);
    if (rc < 0)
        return fail_read(scan, rc, file->name);
    if (scan->file_size > file->head.file_size)
        scan->file_size = file->head.file_size;
    return 0;
}

/* Reads the loaded file up to there, if it is so long; more and more at a time. */
static int reach(struct scan *scan, uint64_t to)
{
    uint64_t size = scan->view.size;
    size_t got;
    int rc;

    assert(scan->loaded != NOT_LOADED);
    if (to > scan->file_size)
        to = scan->file_size;
    if (to <= size)
        return 0;
    if (to < 2 * size)
        to = 2 * size;
    if (to < PIECE_SIZE)
        to = PIECE_SIZE;
    if (to > scan->file_size)
        to = scan->file_size;
    rc = grow(scan, to);
    if (rc < 0)
        return rc;
    scan->view.data = scan->buffer;
    rc = scan->disk->ops->read(scan->disk, scan->file, size, scan->buffer + size, to - size, &got);
    if (rc < 0)
        return fail_read(scan, rc, scan->files[scan->loaded].name);
    scan->view.size = size + got;
    if (got < to - size)
        scan->file_size = size + got; /* it became shorter */
    return 0;
}

/* 1: there is a whole block at this place of the loaded file; 0: there is none. */
static int find_block(struct scan *scan, uint64_t offset, struct lv_block_head *ret_head)
{
    int rc = reach(scan, offset + sizeof *ret_head);

    assert(offset % 8 == 0);
    if (rc < 0 || !lv_block_is_plausible(&scan->view, offset, ret_head))
        return rc;
    rc = reach(scan, offset + ret_head->size);
    if (rc < 0)
        return rc;
    return lv_block_is_valid(&scan->view, offset, scan->files[scan->loaded].head.seed, ret_head);
}

/* 1: there is a block in the loaded file that follows the last one. The first of all follows one in
 * a file that is not needed any more. */
static int continues(struct scan *scan, uint64_t offset, struct lv_block_head *ret_head)
{
    int rc = find_block(scan, offset, ret_head);

    if (rc != 1)
        return rc;
    assert(ret_head->previous <= ret_head->lsn);
    if (scan->end->block_count == 0)
        return ret_head->previous <= first_lsn(&scan->files[0]);
    return ret_head->previous == scan->end->lsn;
}

/* 1: the block that follows is at *ret_offset of the loaded file; 0: none follows. */
static int find_next(struct scan *scan, uint64_t *ret_offset, struct lv_block_head *ret_head)
{
    uint64_t at = position(scan);
    uint64_t page = (at + LV_PAGE_SIZE - 1) / LV_PAGE_SIZE * LV_PAGE_SIZE;
    int rc = load(scan, scan->index);

    assert(at % 8 == 0);
    if (rc < 0)
        return rc;
    *ret_offset = at;
    rc = continues(scan, at, ret_head);
    if (rc != 0)
        return rc;
    *ret_offset = page;
    if (page != at && scan->end->block_count > 0)
        rc = continues(scan, page, ret_head);
    for (size_t i = scan->index + 1; rc == 0 && i < scan->count; i++) {
        *ret_offset = LV_LOG_HEAD_SIZE;
        rc = load(scan, i);
        if (rc == 0)
            rc = continues(scan, LV_LOG_HEAD_SIZE, ret_head);
    }
    return rc;
}

/* Looks at a block that the walk does not lead to. True: it shows that there is damage. */
static bool judge(const struct scan *scan, const struct lv_block_head *head, struct gap *gap)
{
    if (head->previous != gap->end || gap->end == 0) {
        gap->index = scan->loaded;
        gap->offset = head->lsn - scan->view.lsn;
    }
    gap->end = head->lsn + head->size;
    gap->dropped += head->size;
    gap->is_damage = head->synced > scan->end->lsn;
    assert(head->lsn >= scan->end->lsn);
    return gap->is_damage;
}

/* One file from `at` on. */
static void look_behind(struct scan *scan, uint64_t at, struct gap *gap)
{
    uint64_t seed = scan->files[scan->loaded].head.seed;
    struct lv_block_head head;

    while (!gap->is_damage && (at = lv_block_search(&scan->view, at, &head)) != UINT64_MAX) {
        if (lv_block_is_valid(&scan->view, at, seed, &head)) {
            judge(scan, &head, gap);
            at += head.size;
            continue;
        }
        if (head.lsn == scan->end->lsn) /* torn, right here */
            gap->dropped += head.size < scan->view.size - at ? head.size : scan->view.size - at;
        at += 8;
        assert(at % 8 == 0);
    }
}

static int find_gap(struct scan *scan, struct gap *ret_gap)
{
    int rc = 0;

    *ret_gap = (struct gap){.is_damage = false};
    for (size_t i = scan->index; !ret_gap->is_damage && i < scan->count; i++) {
        rc = load(scan, i);
        if (rc == 0)
            rc = reach(scan, UINT64_MAX);
        if (rc < 0)
            return rc;
        assert(scan->loaded == i);
        look_behind(scan, i == scan->index ? position(scan) : LV_LOG_HEAD_SIZE, ret_gap);
    }
    return 0;
}

/* To the visitor, or the end with a sentence. */
static int report(struct scan *scan, struct lv_logfile_damage *damage, const char *sentence)
{
    assert(sentence[0] != '\0');
    damage->sentence = sentence;
    if (scan->visitor->damage != NULL) {
        int rc = scan->visitor->damage(scan->visitor->ctx, damage);

        assert(rc <= 0);
        return rc;
    }
    return lv_fail(scan->diag, -LV_E_CORRUPT, "%s", sentence);
}

/* Names the file that should be between two, when there is none. */
static void describe_missing(const struct scan *scan, size_t next, char *text, size_t size)
{
    const struct lv_logfile *file = &scan->files[scan->index];
    uint64_t number = file->head.number + file->head.file_size / LV_LOG_FILE_SIZE;
    char name[LV_DISK_NAME_SIZE];

    text[0] = '\0';
    if (file->head.file_size % LV_LOG_FILE_SIZE != 0)
        number++;
    if (next == scan->index || scan->files[scan->index + 1].head.number <= number)
        return;
    assert(next > scan->index);
    lv_logfile_name(file->head.shard, number, name);
    snprintf(text, size, "; %s is missing or unusable", name);
}

static int report_gap(struct scan *scan, const struct gap *gap)
{
    const struct lv_logfile *file = &scan->files[scan->index], *next = &scan->files[gap->index];
    struct lv_logfile_damage damage = {.file = file,
                                       .offset = position(scan),
                                       .next = next,
                                       .next_offset = gap->offset,
                                       .size = first_lsn(next) + gap->offset - scan->end->lsn};
    char text[400], missing[LV_DISK_NAME_SIZE + 40];

    assert(gap->is_damage);
    describe_missing(scan, gap->index, missing, sizeof missing);
    if (next == file)
        snprintf(text, sizeof text,
                 "%s is damaged at offset %" PRIu64 ": what was written in the %" PRIu64
                 " bytes from there can't be read",
                 file->name, damage.offset, damage.size);
    else
        snprintf(text, sizeof text,
                 "%s is damaged at offset %" PRIu64 ": what was written from there to offset "
                 "%" PRIu64 " of %s can't be read%s",
                 file->name, damage.offset, damage.next_offset, next->name, missing);
    return report(scan, &damage, text);
}

/* Files are as long as they will ever be before the first block is written to them, so what is
 * shorter has lost its end. */
static int check_lengths(struct scan *scan)
{
    char text[400];
    int rc = 0;

    for (size_t i = scan->index; rc == 0 && i < scan->count; i++) {
        const struct lv_logfile *file = &scan->files[i];
        struct lv_logfile_damage damage = {.file = file};

        rc = load(scan, i);
        if (rc < 0)
            return rc;
        assert(scan->file_size <= file->head.file_size);
        if (scan->file_size == file->head.file_size)
            continue;
        damage.offset = i == scan->index ? position(scan) : scan->file_size;
        if (damage.offset > scan->file_size)
            damage.offset = scan->file_size;
        damage.size = file->head.file_size - damage.offset;
        snprintf(text, sizeof text,
                 "%s is damaged at offset %" PRIu64 ": it has %" PRIu64 " bytes instead of %" PRIu64
                 "; what was written behind the offset is lost",
                 file->name, damage.offset, scan->file_size, file->head.file_size);
        rc = report(scan, &damage, text);
    }
    return rc;
}

static int note_kind(void *ctx, uint64_t lsn, const struct lv_record_head *head,
                     const uint8_t *payload)
{
    struct lv_logfile_end *end = ctx;

    (void)payload;
    assert(lsn > end->lsn);
    end->is_clean = head->kind == LV_RECORD_CLEAN;
    end->record_count++;
    return 0;
}

/* The block was written as it is, but what is in it is no records: a fault of who wrote it. */
static int report_nonsense(struct scan *scan, uint64_t offset, const struct lv_block_head *head)
{
    const struct lv_logfile *file = &scan->files[scan->index];
    struct lv_logfile_damage damage = {.file = file,
                                       .offset = offset,
                                       .next = file,
                                       .next_offset = offset + head->size,
                                       .size = head->size};
    char text[200];

    assert(head->size > 0);
    snprintf(text, sizeof text,
             "%s is damaged at offset %" PRIu64 ": the block of %" PRIu32
             " bytes there holds what is no record",
             file->name, offset, head->size);
    return report(scan, &damage, text);
}

/* A block of the loaded file is the log's next. */
static int visit(struct scan *scan, uint64_t offset, const struct lv_block_head *head)
{
    const uint8_t *bytes = scan->view.data + offset;
    const struct lv_logfile *file = &scan->files[scan->loaded];
    int rc;

    assert(head->lsn == scan->view.lsn + offset);
    scan->index = scan->loaded;
    scan->end->lsn = head->lsn;
    rc = lv_block_each(head, bytes, note_kind, scan->end);
    if (rc < 0)
        rc = report_nonsense(scan, offset, head);
    else if (scan->visitor->block != NULL)
        rc = scan->visitor->block(scan->visitor->ctx, file, head, bytes);
    scan->end->lsn = head->lsn + head->size;
    scan->end->block_count++;
    return rc;
}

/* What was read may be older than a block behind it, when a broker writes while we read: so what
 * was missing is looked for again before it counts as damage. */
static int find_again(struct scan *scan, uint64_t *ret_offset, struct lv_block_head *ret_head)
{
    assert(scan->loaded != NOT_LOADED);
    unload(scan);
    return find_next(scan, ret_offset, ret_head);
}

/* Nothing is written behind the mark of a clean end: who goes on begins with another file. */
static bool is_ended(const struct scan *scan)
{
    assert(scan->count > 0);
    return scan->end->is_clean && scan->index + 1 == scan->count;
}

/* No block follows the last one: this is the end, or damage that was shown. 1: the walk goes on at
 * *ret_offset of the loaded file. */
static int pass_gap(struct scan *scan, uint64_t *ret_offset, struct lv_block_head *ret_head)
{
    struct gap gap;
    int rc;

    if (is_ended(scan))
        return check_lengths(scan);
    rc = find_gap(scan, &gap);
    if (rc == 0 && !gap.is_damage) {
        scan->end->dropped_size = gap.dropped;
        return check_lengths(scan);
    }
    if (rc == 0)
        rc = find_again(scan, ret_offset, ret_head);
    if (rc != 0)
        return rc;
    rc = report_gap(scan, &gap);
    if (rc == 0)
        rc = load(scan, gap.index);
    if (rc == 0)
        rc = find_block(scan, gap.offset, ret_head);
    if (rc < 0)
        return rc;
    *ret_offset = gap.offset;
    if (rc == 0)
        return lv_fail(scan->diag, -LV_E_IO, "%s changed while it was read",
                       scan->files[gap.index].name);
    assert(ret_head->lsn >= scan->end->lsn);
    return 1;
}

static int walk(struct scan *scan)
{
    struct lv_block_head head;
    uint64_t offset;
    int rc;

    assert(scan->count > 0);
    do {
        rc = find_next(scan, &offset, &head);
        if (rc == 0)
            rc = pass_gap(scan, &offset, &head);
        if (rc == 1)
            rc = visit(scan, offset, &head);
        else
            break;
    } while (rc == 0);
    return rc;
}

int lv_logfile_scan(struct lv_disk *disk, const struct lv_logfile *files, size_t count,
                    const struct lv_logfile_visitor *visitor, struct lv_logfile_end *ret_end,
                    struct lv_diag *diag)
{
    struct lv_logfile_end end = {.next_number = 1};
    struct scan scan = {.disk = disk,
                        .files = files,
                        .count = count,
                        .visitor = visitor,
                        .diag = diag,
                        .end = &end,
                        .file = -1,
                        .loaded = NOT_LOADED};
    int rc = 0;

    assert(visitor != NULL);
    if (count > 0) {
        const struct lv_log_head *last = &files[count - 1].head;

        end.lsn = first_lsn(&files[0]) + LV_LOG_HEAD_SIZE;
        end.next_number = last->number + (last->file_size - 1) / LV_LOG_FILE_SIZE + 1;
        rc = walk(&scan);
    }
    unload(&scan);
    lv_free(scan.buffer);
    if (rc == 0)
        *ret_end = end;
    return rc;
}
