/*
 * `leveret store check`: is everything in the directory as it was written?
 */
#include "base/alloc.h"
#include "cli/store.h"
#include "store/metadata.h"
#include "store/segment.h"

#include <inttypes.h>
#include <stdio.h>

#define READ_SIZE   ((size_t)1 << 20)
#define DAMAGES_MAX 1000u /* lines about one shard's log */

struct check {
    struct lv_inspect *store; /* view */
    uint64_t file_count, damaged_count;
    uint64_t applied; /* LSN: the metadata has what the log of shard 0 has below it */
};

/* What was found in one log file. */
struct file_result {
    uint64_t blocks, records;
    bool is_damaged;
};

struct damage {
    size_t file;
    uint64_t offset, size;
    char sentence[400];
};

/* The log of one shard. Nothing is printed before a scan has come to its end. */
struct log_check {
    struct lv_logfile *files;    /* own */
    struct file_result *results; /* own */
    struct damage *damages;      /* own */
    size_t file_count, damage_count;
    struct lv_logfile_end end;
    struct lv_checkpoint checkpoint;
    int known;          /* of the checkpoint: as lv_checkpoint_read() had it */
    struct lv_diag why; /* its sentence */
};

static void say_damaged(struct check *check, const char *name, const uint64_t *offset,
                        const uint64_t *size, const char *sentence)
{
    struct lv_inspect *store = check->store;

    assert(sentence[0] != '\0');
    lv_inspect_begin(store, "damaged ");
    if (store->is_json) {
        lv_inspect_string(store, "file", lv_text(name));
        lv_inspect_flag(store, "ok", false);
        if (offset != NULL)
            lv_inspect_number(store, "offset", *offset);
        if (size != NULL)
            lv_inspect_number(store, "size", *size);
        lv_inspect_string(store, "problem", lv_text(sentence));
    }
    lv_inspect_words(store, sentence);
    lv_inspect_end(store);
}

/* Fields and the end of the line follow. */
static void begin_sound(struct check *check, const char *name)
{
    struct lv_inspect *store = check->store;

    assert(name[0] != '\0');
    lv_inspect_begin(store, "ok ");
    lv_inspect_words(store, name);
    if (store->is_json) {
        lv_inspect_string(store, "file", lv_text(name));
        lv_inspect_flag(store, "ok", true);
    }
}

static void say_unused(struct check *check, const char *name)
{
    begin_sound(check, name);
    assert(check->file_count > 0);
    lv_inspect_flag(check->store, "unused", true);
    lv_inspect_end(check->store);
}

static int see_block(void *ctx, const struct lv_logfile *file, const struct lv_block_head *block,
                     const uint8_t *bytes)
{
    struct log_check *log = ctx;
    struct file_result *result = &log->results[file - log->files];

    (void)bytes;
    assert(file >= log->files);
    result->blocks++;
    result->records += block->count;
    return 0;
}

static int see_damage(void *ctx, const struct lv_logfile_damage *damage)
{
    struct log_check *log = ctx;
    struct damage *copy = &log->damages[log->damage_count];

    assert(damage->file >= log->files);
    log->results[damage->file - log->files].is_damaged = true;
    if (log->damage_count == DAMAGES_MAX)
        return 0;
    *copy = (struct damage){.file = (size_t)(damage->file - log->files),
                            .offset = damage->offset,
                            .size = damage->size};
    snprintf(copy->sentence, sizeof copy->sentence, "%s", damage->sentence);
    log->damage_count++;
    return 0;
}

static void free_log(struct log_check *log)
{
    lv_free(log->files);
    lv_free(log->results);
    lv_free(log->damages);
    *log = (struct log_check){.files = NULL};
    assert(log->damage_count == 0);
}

/* The arrays beside the files. */
static int allocate_log(struct check *check, struct log_check *log)
{
    log->results = lv_calloc(log->file_count + 1, sizeof *log->results);
    log->damages = lv_calloc(DAMAGES_MAX + 1, sizeof *log->damages);
    assert(log->damage_count == 0);
    if (log->results == NULL || log->damages == NULL)
        return lv_fail(&check->store->diag, -LV_E_NOMEM, "out of memory");
    return 0;
}

static void say_other(void *ctx, const char *name, int rc, const char *sentence)
{
    struct check *check = ctx;

    assert(rc < 0);
    check->file_count++;
    check->damaged_count += rc != -LV_E_NOT_FOUND;
    if (rc == -LV_E_NOT_FOUND)
        say_unused(check, name);
    else
        say_damaged(check, name, NULL, NULL, sentence);
}

/* The checkpoint comes first: when a broker runs, the log can only have become longer since, but
 * may have lost files that were its first. */
static int list_log(struct check *check, uint32_t shard, bool is_last, struct log_check *log)
{
    struct lv_inspect *store = check->store;
    int rc;

    log->known = lv_checkpoint_read(&store->disk.disk, shard, &log->checkpoint, &log->why);
    rc = lv_inspect_list(store);
    if (rc == 0)
        rc = lv_inspect_heads(store, shard, &log->files, &log->file_count, NULL, NULL);
    assert(rc <= 0);
    if (rc == 0 && !is_last && log->known == 0 &&
        lv_checkpoint_check_begin(&log->checkpoint, shard, log->files, log->file_count, NULL) < 0)
        return -LV_E_NOT_FOUND;
    return rc;
}

static int scan(struct check *check, uint32_t shard, struct log_check *log)
{
    const struct lv_logfile_visitor visitor = {see_block, see_damage, log};
    struct lv_inspect *store = check->store;
    int rc = -LV_E_NOT_FOUND;

    for (unsigned i = 0; rc == -LV_E_NOT_FOUND && i < LV_INSPECT_ATTEMPTS; i++) {
        free_log(log);
        rc = list_log(check, shard, i + 1 == LV_INSPECT_ATTEMPTS, log);
        if (rc == 0)
            rc = allocate_log(check, log);
        if (rc == 0)
            rc = lv_logfile_scan(&store->disk.disk, log->files, log->file_count, &visitor,
                                 &log->end, &store->diag);
        assert(rc <= 0);
    }
    return rc;
}

/* Of the files that the scan left out, and of the others. */
static int say_others(struct check *check, uint32_t shard)
{
    struct lv_logfile *files = NULL;
    size_t count;
    int rc = lv_inspect_heads(check->store, shard, &files, &count, say_other, check);

    assert(rc <= 0);
    lv_free(files);
    return rc;
}

static void say_log(struct check *check, uint32_t shard, const struct log_check *log)
{
    struct lv_inspect *store = check->store;

    for (size_t i = 0; i < log->file_count; i++) {
        const struct file_result *result = &log->results[i];

        check->file_count++;
        check->damaged_count += result->is_damaged;
        if (result->is_damaged)
            continue;
        begin_sound(check, log->files[i].name);
        lv_inspect_number(store, "blocks", result->blocks);
        lv_inspect_number(store, "records", result->records);
        lv_inspect_end(store);
    }
    for (size_t i = 0; i < log->damage_count; i++) {
        const struct damage *damage = &log->damages[i];

        assert(damage->file < log->file_count);
        say_damaged(check, log->files[damage->file].name, &damage->offset, &damage->size,
                    damage->sentence);
    }
    lv_inspect_begin(store, "log");
    lv_inspect_number(store, "shard", shard);
    lv_inspect_number(store, "end", log->end.lsn);
    lv_inspect_number(store, "blocks", log->end.block_count);
    lv_inspect_number(store, "records", log->end.record_count);
    lv_inspect_number(store, "cut_off_bytes", log->end.dropped_size);
    lv_inspect_flag(store, "closed", log->end.is_clean);
    lv_inspect_end(store);
}

/* Does the log begin and end where the checkpoint says? */
static void say_checkpoint(struct check *check, uint32_t shard, const struct log_check *log)
{
    struct lv_inspect *store = check->store;
    char name[LV_DISK_NAME_SIZE], first[LV_DISK_NAME_SIZE];
    struct lv_diag diag = {""};

    lv_checkpoint_name(shard, name);
    check->file_count++;
    if (log->known < 0) {
        say_damaged(check, name, NULL, NULL, log->why.text);
        check->damaged_count++;
        return;
    }
    assert(log->checkpoint.begin > 0);
    begin_sound(check, name);
    lv_inspect_number(store, "begin", log->checkpoint.begin);
    lv_inspect_number(store, "end", log->checkpoint.end);
    lv_inspect_end(store);
    lv_logfile_name(shard, log->checkpoint.begin, first);
    if (lv_checkpoint_check_begin(&log->checkpoint, shard, log->files, log->file_count, &diag) < 0)
        say_damaged(check, first, NULL, NULL, diag.text);
    else if (log->file_count > 0 &&
             lv_checkpoint_check_end(&log->checkpoint, log->files, log->file_count, log->end.lsn,
                                     &diag) < 0)
        say_damaged(check, log->files[log->file_count - 1].name, NULL, NULL, diag.text);
    check->damaged_count += diag.text[0] != '\0';
}

/* The end of the log is where nothing follows; the metadata may know better. */
static void compare_end(struct check *check, const struct log_check *log)
{
    char sentence[300];

    if (check->applied <= log->end.lsn)
        return;
    snprintf(sentence, sizeof sentence,
             "the log of shard 0 ends at LSN %" PRIu64 ", but metadata.sqlite has changes from up "
             "to LSN %" PRIu64 ": what the log had between them is lost",
             log->end.lsn, check->applied);
    assert(check->applied > 0);
    say_damaged(check, "log-00", NULL, NULL, sentence);
    check->damaged_count++;
}

static int check_log(struct check *check, uint32_t shard)
{
    struct log_check log = {.files = NULL};
    int rc = scan(check, shard, &log);

    if (rc == 0)
        rc = say_others(check, shard);
    if (rc == 0) {
        say_log(check, shard, &log);
        say_checkpoint(check, shard, &log);
        if (shard == 0)
            compare_end(check, &log);
    }
    assert(rc <= 0);
    free_log(&log);
    return rc;
}

/* All of a run's messages. Damage is counted; the first of it has its sentence in `diag`. */
static int read_run(struct lv_segment *segment, const struct lv_segment_run *run,
                    lv_segment_each_fn *each, uint64_t *ret_damaged, struct lv_diag *diag)
{
    struct lv_segment_reading reading = {
        .from_seq = run->first_seq, .max_size = READ_SIZE, .each = each};
    int rc = 0;

    assert(run->count > 0);
    do {
        struct lv_diag why = {""};

        rc = lv_segment_read(segment, run, &reading, &why);
        if (diag->text[0] == '\0')
            *diag = why;
        *ret_damaged += reading.damaged_count;
        reading.from_seq = reading.next_seq;
    } while (rc == 0 && reading.next_seq != UINT64_MAX);
    return rc;
}

static int see_entry(void *ctx, const struct lv_segment_entry *entry)
{
    (void)ctx;
    assert(entry->data != NULL || entry->size == 0);
    return 0;
}

static int check_runs(struct check *check, const char *name, struct lv_segment *segment)
{
    struct lv_inspect *store = check->store;
    size_t count;
    const struct lv_segment_run *runs = lv_segment_runs(segment, &count);
    uint64_t messages = 0, damaged = 0;
    struct lv_diag diag = {""};
    int rc = 0;

    for (size_t i = 0; i < count && rc != -LV_E_NOMEM; i++) {
        rc = read_run(segment, &runs[i], see_entry, &damaged, &diag);
        messages += runs[i].count;
        if (rc < 0)
            damaged++;
    }
    if (rc == -LV_E_NOMEM)
        return lv_fail(&store->diag, rc, "out of memory");
    check->damaged_count += damaged > 0;
    if (damaged > 0) {
        say_damaged(check, name, NULL, NULL, diag.text);
        return 0;
    }
    assert(messages >= count);
    begin_sound(check, name);
    lv_inspect_number(store, "messages", messages);
    lv_inspect_number(store, "queues", count);
    lv_inspect_end(store);
    return 0;
}

static int check_segment(struct check *check, const char *name, uint32_t shard, uint64_t number)
{
    struct lv_inspect *store = check->store;
    struct lv_segment *segment;
    struct lv_diag diag = {""};
    int rc = lv_segment_open(&store->disk.disk, shard, number, &segment, &diag);

    if (rc == -LV_E_NOT_FOUND) /* a broker has removed it meanwhile */
        return 0;
    check->file_count++;
    if (rc == -LV_E_NOMEM)
        return lv_fail(&store->diag, rc, "out of memory");
    if (rc < 0) {
        check->damaged_count++;
        say_damaged(check, name, NULL, NULL, diag.text);
        return 0;
    }
    rc = check_runs(check, name, segment);
    assert(rc <= 0);
    lv_segment_close(segment);
    return rc;
}

static int count_row(void *ctx, const struct lv_row *row)
{
    uint64_t *counts = ctx;

    assert(row->kind < LV_ROW_COUNT);
    counts[row->kind]++;
    return 0;
}

static int check_metadata(struct check *check)
{
    struct lv_inspect *store = check->store;
    uint64_t counts[LV_ROW_COUNT] = {0};
    struct lv_metadata *metadata = NULL;
    struct lv_diag diag = {"metadata.sqlite can't be read"};
    int rc = lv_metadata_open_read_only(store->directory, &metadata, &diag);

    if (rc == -LV_E_NOT_FOUND)
        return 0;
    check->file_count++;
    if (rc == 0)
        rc = lv_metadata_lsn(metadata, &check->applied, &diag);
    if (rc == 0)
        rc = lv_metadata_load(metadata, count_row, counts, &diag);
    if (rc == 0)
        rc = lv_metadata_check(metadata, &diag);
    lv_metadata_close(metadata);
    assert(rc <= 0);
    if (rc == -LV_E_NOMEM)
        return lv_fail(&store->diag, rc, "out of memory");
    if (rc < 0) {
        check->damaged_count++;
        say_damaged(check, "metadata.sqlite", NULL, NULL, diag.text);
        return 0;
    }
    begin_sound(check, "metadata.sqlite");
    for (int kind = 0; kind < LV_ROW_COUNT; kind++)
        lv_inspect_number(store, lv_row_table((enum lv_row_kind)kind), counts[kind]);
    lv_inspect_number(store, "applied", check->applied);
    lv_inspect_end(store);
    return 0;
}

static int check_segments(struct check *check)
{
    struct lv_inspect *store = check->store;
    int rc = lv_inspect_list(store); /* segments of what was in the log when that was checked */

    for (size_t i = 0; rc == 0 && i < store->name_count; i++) {
        uint32_t shard;
        uint64_t number;

        if (lv_segment_parse_name(store->names[i], &shard, &number))
            rc = check_segment(check, store->names[i], shard, number);
    }
    assert(rc <= 0);
    return rc;
}

int lv_inspect_check(struct lv_inspect *store)
{
    struct check check = {.store = store};
    uint32_t shard = 0;
    /* The metadata first: when a broker runs, the log can only have become longer since. */
    int rc = check_metadata(&check);

    while (rc == 0 && lv_inspect_next_shard(store, shard, &shard))
        rc = check_log(&check, shard++);
    if (rc == 0)
        rc = check_segments(&check);
    if (rc < 0)
        return rc;
    if (check.file_count == 0)
        return lv_fail(&store->diag, -LV_E_NOT_FOUND, "%s holds nothing of a broker's",
                       store->directory);
    assert(check.damaged_count <= check.file_count + 1);
    lv_inspect_begin(store, "all");
    lv_inspect_number(store, "files", check.file_count);
    lv_inspect_number(store, "damaged", check.damaged_count);
    lv_inspect_end(store);
    return check.damaged_count > 0 ? 1 : 0;
}
