#include "server/recovery.h"

#include "base/alloc.h"
#include "broker/change.h"
#include "broker/cold.h"
#include "store/segment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Memory for one change of the topology. */
#define CHANGE_MAX ((size_t)64 << 20)

/* What a walk over one shard's files fills. */
struct walk {
    struct lv_recovery *recovery;    /* view */
    struct lv_recovery_shard *shard; /* view */
    uint32_t number;                 /*       of the shard */
    struct lv_arena arena;           /*       for one change */
    uint64_t covers;                 /*       LSN: segments have the messages of the log below it */
    uint64_t last_queue_id;          /*       that is named anywhere */
    int error;
    uint64_t lsn; /* of the last record that was restored */
};

/* A queue whose declare was lost may have messages that were not. */
static void note_queue(struct walk *walk, uint64_t queue_id)
{
    if (queue_id > walk->last_queue_id)
        walk->last_queue_id = queue_id;
}

/* ---- segments ---- */

struct survey {
    uint32_t shard;
    const char *suffix; /* view  of the names */
    uint64_t *numbers;  /* own */
    size_t count, capacity;
};

static int survey_name(void *ctx, const char *name)
{
    struct survey *survey = ctx;
    size_t size = strlen(name), suffix_size = strlen(survey->suffix);
    char stem[LV_DISK_NAME_SIZE];
    uint64_t number;
    uint32_t shard;

    if (size >= sizeof stem || size < suffix_size ||
        strcmp(name + size - suffix_size, survey->suffix) != 0)
        return 0;
    snprintf(stem, sizeof stem, "%.*s", (int)(size - suffix_size), name);
    if (!lv_segment_parse_name(stem, &shard, &number) || shard != survey->shard)
        return 0;
    if (survey->count == survey->capacity) {
        size_t capacity = survey->capacity == 0 ? 64 : 2 * survey->capacity;
        uint64_t *numbers = lv_realloc(survey->numbers, capacity * sizeof *numbers);
        if (numbers == NULL)
            return -LV_E_NOMEM;
        survey->numbers = numbers;
        survey->capacity = capacity;
    }
    survey->numbers[survey->count++] = number;
    return 0;
}

static int compare(const void *a, const void *b)
{
    uint64_t left, right;

    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return left < right ? -1 : left > right;
}

int lv_recovery_next_segment(struct lv_disk *disk, uint32_t shard, uint64_t *ret_number)
{
    struct survey survey = {.shard = shard, .suffix = ""};
    uint64_t next = 1;
    int rc = disk->ops->list(disk, survey_name, &survey);

    for (size_t i = 0; i < survey.count; i++)
        if (survey.numbers[i] >= next)
            next = survey.numbers[i] + 1;
    lv_free(survey.numbers);
    if (rc < 0)
        return rc;
    *ret_number = next;
    return 0;
}

/* One that stayed would be read again at the next start, when the log may not know any more what is
 * gone of it. */
static int remove_segment(const struct walk *walk, uint64_t number, const char *suffix,
                          struct lv_diag *diag)
{
    struct lv_disk *disk = walk->recovery->disk;
    char stem[LV_DISK_NAME_SIZE], name[LV_DISK_NAME_SIZE + 8];
    int rc;

    lv_segment_name(walk->number, number, stem);
    snprintf(name, sizeof name, "%s%s", stem, suffix);
    rc = disk->ops->remove(disk, name);
    assert(rc <= 0);
    if (rc < 0 && rc != -LV_E_NOT_FOUND)
        return lv_fail(diag, rc, "%s can't be removed: %s", name, lv_error_name(rc));
    return 0;
}

static int restore_segment(struct walk *walk, uint64_t number, struct lv_diag *diag)
{
    struct lv_disk *disk = walk->recovery->disk;
    struct lv_segment *segment;
    const struct lv_segment_run *runs;
    char name[LV_DISK_NAME_SIZE];
    uint64_t messages = 0, size;
    size_t count;
    int rc = lv_segment_open(disk, walk->number, number, &segment, diag);

    lv_segment_name(walk->number, number, name);
    if (rc < 0)
        return rc;
    runs = lv_segment_runs(segment, &count);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        messages += runs[i].count;
        note_queue(walk, runs[i].queue_id);
        if (runs[i].count > runs[i].transient_count)
            rc = lv_broker_restore_run(walk->shard->broker, number, &runs[i]);
        if (rc == -LV_E_CORRUPT)
            (void)lv_fail(diag, rc,
                          "%s: has messages %" PRIu64 " to %" PRIu64 " of queue %" PRIu64
                          ", which don't follow those of the segments before it",
                          name, runs[i].first_seq, runs[i].last_seq, runs[i].queue_id);
    }
    if (lv_segment_info(segment)->covers > walk->covers)
        walk->covers = lv_segment_info(segment)->covers;
    size = lv_segment_size(segment);
    lv_segment_close(segment);
    if (rc == 0 && lv_broker_uses_segment(walk->shard->broker, number))
        lv_broker_restored_segment(walk->shard->broker, number, messages, size);
    else if (rc == 0)
        rc = remove_segment(walk, number, "", diag);
    return rc;
}

/* Those that were merged into another, and were to be removed when the broker ended. They go for
 * good before that one may. */
static int remove_merged(struct walk *walk, struct survey *survey, struct lv_diag *diag)
{
    struct lv_disk *disk = walk->recovery->disk;
    uint64_t first = UINT64_MAX;
    size_t from = survey->count;

    for (size_t i = survey->count; i-- > 0;) {
        int rc;
        if (survey->numbers[i] >= first) {
            rc = remove_segment(walk, survey->numbers[i], "", diag);
            if (rc < 0)
                return rc;
            continue;
        }
        rc = lv_segment_first(disk, walk->number, survey->numbers[i], &first, diag);
        if (rc < 0)
            return rc;
        survey->numbers[--from] = survey->numbers[i];
    }
    survey->count -= from;
    if (from == 0)
        return 0;
    memmove(survey->numbers, survey->numbers + from, survey->count * sizeof *survey->numbers);
    return disk->ops->sync_directory(disk);
}

/* What was being written when the broker ended. */
static int remove_temporary(const struct walk *walk, struct lv_diag *diag)
{
    struct survey survey = {.shard = walk->number, .suffix = ".tmp"};
    struct lv_disk *disk = walk->recovery->disk;
    int rc = disk->ops->list(disk, survey_name, &survey);

    for (size_t i = 0; rc == 0 && i < survey.count; i++)
        rc = remove_segment(walk, survey.numbers[i], ".tmp", diag);
    lv_free(survey.numbers);
    return rc;
}

static int restore_segments(struct walk *walk, struct lv_diag *diag)
{
    struct survey survey = {.shard = walk->number, .suffix = ""};
    struct lv_disk *disk = walk->recovery->disk;
    int rc = disk->ops->list(disk, survey_name, &survey);

    walk->covers = 0;
    if (survey.count > 0)
        qsort(survey.numbers, survey.count, sizeof *survey.numbers, compare);
    if (rc == 0)
        rc = remove_temporary(walk, diag);
    if (rc == 0)
        rc = remove_merged(walk, &survey, diag);
    for (size_t i = 0; rc == 0 && i < survey.count; i++)
        rc = restore_segment(walk, survey.numbers[i], diag);
    lv_free(survey.numbers);
    return rc;
}

/* ---- the topology ---- */

int lv_recovery_apply(void *ctx, const struct lv_change *change)
{
    struct lv_recovery *recovery = ctx;
    int rc = 0;

    for (uint32_t i = 0; rc != -LV_E_NOMEM && i < recovery->shard_count; i++)
        rc = lv_broker_restore_change(recovery->shards[i].broker, change, NULL);
    return rc == -LV_E_NOMEM ? rc : 0;
}

static int restore_change(void *ctx, uint64_t lsn, const struct lv_record_head *head,
                          const uint8_t *payload)
{
    struct walk *walk = ctx;
    struct lv_recovery *recovery = walk->recovery;
    struct lv_bytes bytes = lv_bytes(payload, head->size);
    struct lv_change change;
    int rc;

    if (head->kind != LV_RECORD_CHANGE || walk->number != 0 || lsn < recovery->applied)
        return 0;
    rc = lv_change_decode(bytes, &walk->arena, &change);
    if (rc == 0)
        rc = lv_recovery_apply(recovery, &change);
    if (rc == 0)
        rc = recovery->changed(recovery->ctx, lsn + lv_record_size(head->size), bytes);
    lv_arena_reset(&walk->arena);
    return rc;
}

/* What the log no longer has, the metadata must have; and what that has, a log that is synced. */
static int check_topology(const struct walk *walk, size_t count, struct lv_diag *diag)
{
    uint64_t applied = walk->recovery->applied;
    const struct lv_checkpoint *checkpoint = &walk->shard->checkpoint;

    if (walk->number != 0)
        return 0;
    if (applied > walk->shard->end.lsn && (count == 0 || checkpoint->is_syncing))
        return lv_fail(diag, -LV_E_CORRUPT,
                       "log-00 ends at LSN %" PRIu64 ", but metadata.sqlite has changes from up to "
                       "LSN %" PRIu64 ": what the log had between them is lost",
                       walk->shard->end.lsn, applied);
    if (applied >= checkpoint->changes)
        return 0;
    return lv_fail(diag, -LV_E_CORRUPT,
                   "metadata.sqlite ends at LSN %" PRIu64
                   " and had changes of queues and exchanges "
                   "up to LSN %" PRIu64 ", which the log no longer has: what lies between them is "
                   "lost; put a whole metadata.sqlite back",
                   applied, checkpoint->changes);
}

/* ---- the log ---- */

static int restore_block(void *ctx, const struct lv_logfile *file,
                         const struct lv_block_head *block, const uint8_t *bytes)
{
    struct walk *walk = ctx;
    int rc =
        lv_log_restore(walk->shard->log, &file->head, block->lsn, lv_bytes(bytes, block->size));

    return rc < 0 ? rc : lv_block_each(block, bytes, restore_change, walk);
}

static void restore_gone(void *ctx, uint64_t lsn, const struct lv_record_head *head,
                         const uint8_t *payload)
{
    struct walk *walk = ctx;

    if (walk->error == 0 && head->kind == LV_RECORD_MESSAGE)
        for (uint32_t i = 0; i < head->count; i++)
            note_queue(walk, ((const struct lv_record_place *)(const void *)payload)[i].queue_id);
    if (walk->error == 0 && lv_record_is_gone(head))
        walk->error = lv_broker_restore_gone(walk->shard->broker, head, payload);
    if (walk->error == 0)
        walk->lsn = lsn;
}

static void restore_message(void *ctx, uint64_t lsn, const struct lv_record_head *head,
                            const uint8_t *payload)
{
    struct walk *walk = ctx;

    if (walk->error == 0 && head->kind == LV_RECORD_MESSAGE && lsn >= walk->covers)
        walk->error = lv_broker_restore_message(walk->shard->broker, lsn, head, payload,
                                                walk->shard->end.is_clean);
    if (walk->error == 0)
        walk->lsn = lsn;
}

/* Its block was written as it is: a fault of who wrote it. */
static int fail_record(const struct walk *walk, struct lv_diag *diag)
{
    assert(walk->error < 0);
    if (walk->error != -LV_E_CORRUPT)
        return walk->error;
    return lv_fail(diag, -LV_E_CORRUPT,
                   "log-%02" PRIx32 " is damaged: a record behind LSN %" PRIu64
                   " says what can't be of a queue",
                   walk->number, walk->lsn);
}

/* After a crash of the process alone what it wrote is there, but perhaps not on the disk; nor are
 * the names of files. Up to where the checkpoint says the log was on disk, it is. */
static int sync_files(struct lv_disk *disk, const struct lv_logfile *files, size_t count,
                      struct lv_diag *diag)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < count; i++) {
        int file;

        rc = disk->ops->open(disk, files[i].name, false, &file);
        if (rc == 0) {
            rc = disk->ops->sync(disk, file);
            disk->ops->close(disk, file);
        }
        if (rc < 0)
            return lv_fail(diag, rc, "%s: can't be synced: %s", files[i].name, lv_error_name(rc));
    }
    return rc == 0 ? disk->ops->sync_directory(disk) : rc;
}

/* The metadata may know of changes that the log lost (`durability = os`, and the power failed): new
 * ones come behind them. */
static uint64_t first_number(const struct walk *walk)
{
    const struct lv_logfile_end *end = &walk->shard->end;
    uint64_t next = end->next_number > 0 ? end->next_number : 1;
    uint64_t applied = walk->recovery->applied, above = applied / LV_LOG_FILE_SIZE + 1;

    return walk->number == 0 && applied > end->lsn && next < above ? above : next;
}

/* A shard that has none never had anything. */
static int read_checkpoint(struct walk *walk, size_t count, struct lv_diag *diag)
{
    struct lv_checkpoint *checkpoint = &walk->shard->checkpoint;
    char name[LV_DISK_NAME_SIZE];
    uint64_t next_segment = 1;
    int rc = lv_checkpoint_read(walk->recovery->disk, walk->number, checkpoint, diag), listed;

    if (rc != -LV_E_NOT_FOUND)
        return rc;
    listed = lv_recovery_next_segment(walk->recovery->disk, walk->number, &next_segment);
    if (listed < 0)
        return lv_fail(diag, listed, "the directory can't be read");
    lv_checkpoint_name(walk->number, name);
    if (count > 0 || next_segment > 1)
        return lv_fail(diag, -LV_E_CORRUPT,
                       "%s is missing: without it it can't be known from where to where the log "
                       "goes; put it back",
                       name);
    *checkpoint = (struct lv_checkpoint){.begin = 1};
    assert(checkpoint->end == 0);
    return 0;
}

/* The blocks, and on shard 0 the changes of the topology. */
static int scan_blocks(struct walk *walk, const struct lv_logfile *files, size_t count,
                       struct lv_diag *diag)
{
    const struct lv_logfile_visitor visitor = {.block = restore_block, .ctx = walk};
    struct lv_checkpoint *checkpoint = &walk->shard->checkpoint;
    int rc = lv_checkpoint_check_begin(checkpoint, walk->number, files, count, diag);

    if (rc == 0)
        rc = lv_logfile_scan(walk->recovery->disk, files, count, &visitor, &walk->shard->end, diag);
    if (rc == 0 && count > 0)
        rc = lv_checkpoint_check_end(checkpoint, files, count, walk->shard->end.lsn, diag);
    if (rc == 0)
        rc = check_topology(walk, count, diag);
    if (rc == 0 && walk->shard->end.lsn > checkpoint->end)
        rc = sync_files(walk->recovery->disk, files, count, diag);
    if (rc < 0)
        return rc;
    checkpoint->begin = count > 0 ? checkpoint->begin : first_number(walk);
    checkpoint->end = walk->shard->end.lsn;
    assert(checkpoint->begin > 0);
    return 0;
}

/* The log. */
static int scan(struct walk *walk, struct lv_diag *diag)
{
    struct lv_logfile *files = NULL;
    size_t count = 0;
    int rc = lv_logfile_list(walk->recovery->disk, walk->number, &files, &count, diag);

    if (rc == 0)
        rc = read_checkpoint(walk, count, diag);
    if (rc == 0)
        rc = scan_blocks(walk, files, count, diag);
    if (rc == 0) {
        lv_log_start(walk->shard->log, first_number(walk));
        walk->shard->oldest = count > 0 ? files[0].head.number : first_number(walk);
    }
    lv_free(files);
    return rc;
}

/* What is gone comes first: then it is known what segments and log have that isn't. */
static int restore_queues(struct walk *walk, struct lv_diag *diag)
{
    const struct lv_log *log = walk->shard->log;
    uint64_t end = lv_log_end(log);
    int rc;

    lv_log_each(log, end, false, restore_gone, walk);
    if (walk->error < 0)
        return fail_record(walk, diag);
    rc = restore_segments(walk, diag);
    if (rc < 0)
        return rc;
    lv_log_each(log, end, false, restore_message, walk);
    if (walk->error < 0)
        return fail_record(walk, diag);
    return lv_broker_restored(walk->shard->broker, walk->shard->end.is_clean);
}

/* ---- running ---- */

/* There while a broker runs. A log that was ended in good order says who had been delivered before
 * then; what the next broker delivers is in the log only later, so until that one has ended in
 * good order too its log's end must not be believed. */
#define RUNNING "running"

static int was_running(struct lv_disk *disk, bool *ret_was)
{
    int file, rc = disk->ops->open(disk, RUNNING, false, &file);

    if (rc < 0 && rc != -LV_E_NOT_FOUND)
        return rc;
    if (rc == 0)
        disk->ops->close(disk, file);
    *ret_was = rc == 0;
    return 0;
}

/* On a full disk it goes without: a crash then may keep a mark of redelivery from a message. */
static int begin_running(struct lv_disk *disk)
{
    int file, rc = disk->ops->open(disk, RUNNING, true, &file);

    if (rc == 0)
        disk->ops->close(disk, file);
    if (rc == 0)
        rc = disk->ops->sync_directory(disk);
    return rc == -LV_E_FULL ? 0 : rc;
}

/* From here on nothing of what was found may be missing. On a full disk an older one that is there
 * will do. */
static int write_checkpoint(struct lv_recovery *recovery, uint32_t shard, struct lv_diag *diag)
{
    struct lv_checkpoint *checkpoint = &recovery->shards[shard].checkpoint, old;
    char name[LV_DISK_NAME_SIZE];
    int rc;

    checkpoint->is_syncing = recovery->is_syncing;
    rc = lv_checkpoint_advance(recovery->disk, shard, checkpoint);
    if (rc == -LV_E_FULL && lv_checkpoint_read(recovery->disk, shard, &old, NULL) == 0)
        rc = 0;
    assert(rc <= 0);
    if (rc == 0)
        return 0;
    lv_checkpoint_name(shard, name);
    return lv_fail(diag, rc, "%s can't be written: %s", name,
                   rc == -LV_E_FULL ? "the disk is full" : lv_error_name(rc));
}

/* `begin` never goes back: it is what it was. */
int lv_recovery_end(struct lv_disk *disk, uint32_t shard_count, const uint64_t *ends,
                    bool is_syncing)
{
    int rc = 0;

    for (uint32_t i = 0; rc == 0 && i < shard_count; i++) {
        const struct lv_checkpoint checkpoint = {
            .begin = 1, .end = is_syncing ? ends[i] : 0, .is_syncing = is_syncing};
        rc = lv_checkpoint_advance(disk, i, &checkpoint);
    }
    if (rc == -LV_E_FULL)
        rc = 0; /* the older one says less, and nothing wrong */
    if (rc == 0)
        rc = disk->ops->remove(disk, RUNNING);
    return rc < 0 ? rc : disk->ops->sync_directory(disk);
}

/* All shards' topology comes first, as messages name queues. */
static int recover(struct lv_recovery *recovery, struct lv_diag *diag)
{
    struct walk walk = {.recovery = recovery};
    bool was = false;
    int rc = was_running(recovery->disk, &was);

    assert(recovery->shard_count <= LV_RECOVERY_SHARDS_MAX);
    lv_arena_init(&walk.arena, CHANGE_MAX);
    for (walk.number = 0; rc == 0 && walk.number < recovery->shard_count; walk.number++) {
        walk.shard = &recovery->shards[walk.number];
        rc = scan(&walk, diag);
        if (rc == 0 && was)
            walk.shard->end.is_clean = false;
    }
    for (walk.number = 0; rc == 0 && walk.number < recovery->shard_count; walk.number++) {
        walk.shard = &recovery->shards[walk.number];
        rc = restore_queues(&walk, diag);
    }
    for (uint32_t i = 0; i < recovery->shard_count; i++)
        lv_broker_restore_last_id(recovery->shards[i].broker, walk.last_queue_id);
    lv_arena_fini(&walk.arena);
    for (uint32_t i = 0; rc == 0 && i < recovery->shard_count; i++)
        rc = write_checkpoint(recovery, i, diag);
    return rc == 0 ? begin_running(recovery->disk) : rc;
}

/* What fails without a sentence is the disk, at something that is about no file's content. */
int lv_recovery_run(struct lv_recovery *recovery, struct lv_diag *diag)
{
    struct lv_diag why = {.text = ""};
    int rc = recover(recovery, &why);

    assert(rc <= 0);
    if (rc == -LV_E_NOMEM)
        return lv_fail(diag, rc, "out of memory for what is in the data directory");
    if (rc < 0)
        return lv_fail(diag, rc, "%s%s",
                       why.text[0] != '\0' ? why.text : "the data directory can't be used: ",
                       why.text[0] != '\0' ? "" : lv_error_name(rc));
    return 0;
}
