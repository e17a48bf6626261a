/*
 * `leveret store dump`: prints everything that is stored, one record per line.
 */
#include "base/alloc.h"
#include "base/arena.h"
#include "broker/change.h"
#include "broker/message.h"
#include "cli/store.h"
#include "store/metadata.h"
#include "store/segment.h"

#include <inttypes.h>
#include <stdio.h>

#define READ_SIZE ((size_t)1 << 20)
#define ARENA_MAX ((size_t)64 << 20)

struct dump {
    struct lv_inspect *store; /* view */
    const char *file;         /* view  of the record that is printed */
    uint64_t base;            /*       first LSN of that file */
    uint64_t seen;            /*       LSN behind the last block that was printed */
    struct lv_arena arena;
    bool is_damaged;
};

static void complain(struct dump *dump, const char *sentence)
{
    assert(sentence[0] != '\0');
    dump->is_damaged = true;
    fprintf(stderr, "leveret store dump: %s\n", sentence);
}

/* FILE:OFFSET KIND, or the same as fields. */
static void begin(struct dump *dump, const uint64_t *offset, const char *kind)
{
    struct lv_inspect *store = dump->store;
    char title[LV_DISK_NAME_SIZE + 64];

    assert(kind[0] != '\0');
    if (offset == NULL)
        snprintf(title, sizeof title, "%s %s", dump->file, kind);
    else
        snprintf(title, sizeof title, "%s:%" PRIu64 " %s", dump->file, *offset, kind);
    lv_inspect_begin(store, title);
    if (!store->is_json)
        return;
    lv_inspect_string(store, "file", lv_text(dump->file));
    if (offset != NULL)
        lv_inspect_number(store, "offset", *offset);
    lv_inspect_string(store, "kind", lv_text(kind));
}

/* The message as the broker wrote it; what can't be one is shown as bytes. */
static void put_message(struct lv_inspect *store, struct lv_bytes record)
{
    struct lv_message_head head = {.body_size = 0};
    struct lv_message message;
    struct lv_json json = lv_inspect_json(store);

    if (record.size >= sizeof head)
        memcpy(&head, record.data, sizeof head);
    if (record.size < sizeof head ||
        record.size - sizeof head !=
            (uint64_t)head.body_size + head.properties_size + head.exchange_size + head.key_size) {
        lv_inspect_flag(store, "malformed", true);
        lv_inspect_bytes(store, "bytes", record);
        return;
    }
    message = lv_message_view(record.data);
    assert(message.body.size == head.body_size);
    lv_inspect_string(store, "exchange", message.exchange);
    lv_inspect_string(store, "routing_key", message.key);
    lv_inspect_flag(store, "persistent", (message.flags & LV_MESSAGE_PERSISTENT) != 0);
    lv_inspect_number(store, "properties_size", message.properties.size);
    lv_inspect_number(store, "body_size", message.body.size);
    if (!store->is_json)
        return;
    lv_inspect_bytes(store, "properties", message.properties);
    lv_inspect_field(store, "body");
    lv_json_text(&json, message.body);
}

/* Pairs of numbers: 1-5,7-7 or [[1,5],[7,7]]. */
static void put_pairs(struct lv_inspect *store, const char *name, const uint8_t *pairs,
                      size_t count, char separator)
{
    lv_inspect_field(store, name);
    lv_output_text(&store->output, store->is_json ? "[" : "");
    for (size_t i = 0; i < count; i++) {
        uint64_t pair[2];
        const char *comma = i == 0 ? "" : ",";

        memcpy(pair, pairs + i * sizeof pair, sizeof pair);
        if (store->is_json)
            lv_output_print(&store->output, "%s[%" PRIu64 ",%" PRIu64 "]", comma, pair[0], pair[1]);
        else
            lv_output_print(&store->output, "%s%" PRIu64 "%c%" PRIu64, comma, pair[0], separator,
                            pair[1]);
    }
    assert(separator != '\0');
    lv_output_text(&store->output, store->is_json ? "]" : "");
}

static void put_queue(struct lv_inspect *store, const struct lv_record_head *head,
                      const uint8_t *payload)
{
    struct lv_record_queue queue;

    assert(head->size >= sizeof queue);
    memcpy(&queue, payload, sizeof queue);
    lv_inspect_number(store, "queue", queue.queue_id);
    lv_inspect_number(store, "low", queue.low);
    lv_inspect_number(store, "delivered", queue.delivered);
    lv_inspect_number(store, "next", queue.next);
}

static void put_ranges(struct lv_inspect *store, const struct lv_record_head *head,
                       const uint8_t *payload)
{
    put_queue(store, head, payload);
    assert(head->kind != LV_RECORD_BITS);
    put_pairs(store, "gone", payload + sizeof(struct lv_record_queue), head->count, '-');
}

/* As ranges, too. */
static void put_bits(struct lv_inspect *store, const struct lv_record_head *head,
                     const uint8_t *payload)
{
    const uint8_t *words = payload + sizeof(struct lv_record_queue) + sizeof(struct lv_record_bits);
    struct lv_record_bits bits;
    uint64_t word = 0;
    bool was = false, is_first = true;

    put_queue(store, head, payload);
    memcpy(&bits, payload + sizeof(struct lv_record_queue), sizeof bits);
    lv_inspect_field(store, "gone");
    lv_output_text(&store->output, store->is_json ? "[" : "");
    for (uint64_t i = 0; i <= head->count * UINT64_C(64); i++) {
        if (i % 64 == 0)
            word = 0;
        if (i % 64 == 0 && i < head->count * UINT64_C(64))
            memcpy(&word, words + i / 8, sizeof word);
        if ((word >> i % 64 & 1) == was)
            continue;
        was = !was;
        if (was)
            lv_output_print(&store->output, "%s%s%" PRIu64, is_first ? "" : ",",
                            store->is_json ? "[" : "", bits.from + i);
        else
            lv_output_print(&store->output, "%c%" PRIu64 "%s", store->is_json ? ',' : '-',
                            bits.from + i - 1, store->is_json ? "]" : "");
        is_first = false;
    }
    lv_output_text(&store->output, store->is_json ? "]" : "");
}

static const char *change_word(enum lv_change_kind kind)
{
    switch (kind) {
    case LV_CHANGE_EXCHANGE_DECLARE:
        return "exchange.declare";
    case LV_CHANGE_EXCHANGE_DELETE:
        return "exchange.delete";
    case LV_CHANGE_QUEUE_DECLARE:
        return "queue.declare";
    case LV_CHANGE_QUEUE_DELETE:
        return "queue.delete";
    case LV_CHANGE_BIND:
        return "bind";
    case LV_CHANGE_UNBIND:
        return "unbind";
    case LV_CHANGE_VHOST_PUT:
        return "vhost.put";
    case LV_CHANGE_VHOST_DELETE:
        return "vhost.delete";
    case LV_CHANGE_USER_PUT:
        return "user.put";
    case LV_CHANGE_USER_DELETE:
        return "user.delete";
    case LV_CHANGE_PERMISSION_PUT:
        return "permission.put";
    case LV_CHANGE_PERMISSION_DELETE:
        return "permission.delete";
    case LV_CHANGE_TOPIC_PERMISSION_PUT:
        return "topic_permission.put";
    case LV_CHANGE_TOPIC_PERMISSION_DELETE:
        return "topic_permission.delete";
    case LV_CHANGE_LIMITS_PUT:
        return "limits.put";
    case LV_CHANGE_LIMITS_DELETE:
        return "limits.delete";
    case LV_CHANGE_USER_PASSWORD:
    case LV_CHANGE_USER_TAGS:
    case LV_CHANGE_COUNT:
        break; /* the log has them as what they make of the user */
    }
    LV_IMPOSSIBLE("decoding has looked at the kind");
}

static void put_binding(struct lv_inspect *store, const struct lv_change *change)
{
    assert(change->kind == LV_CHANGE_BIND || change->kind == LV_CHANGE_UNBIND);
    lv_inspect_string(store, "source", change->other);
    lv_inspect_string(store, change->to_exchange ? "to_exchange" : "to_queue", change->name);
    lv_inspect_string(store, "key", change->key);
}

/* The hash of a password is not shown. */
static void put_user(struct lv_inspect *store, const struct lv_change *change)
{
    assert(change->kind > LV_CHANGE_UNBIND);
    if (change->name.size > 0)
        lv_inspect_string(store, "user", change->name);
    if (change->kind == LV_CHANGE_USER_PUT)
        lv_inspect_string(store, "tags", change->key);
    if (change->kind == LV_CHANGE_TOPIC_PERMISSION_PUT ||
        change->kind == LV_CHANGE_TOPIC_PERMISSION_DELETE)
        lv_inspect_string(store, "exchange", change->other);
}

/* -LV_E_CORRUPT: it is none. */
static int put_change(struct dump *dump, uint64_t offset, struct lv_bytes bytes)
{
    struct lv_inspect *store = dump->store;
    struct lv_change change;
    int rc;

    lv_arena_reset(&dump->arena);
    rc = lv_change_decode(bytes, &dump->arena, &change);
    if (rc < 0)
        return rc;
    begin(dump, &offset, change_word(change.kind));
    if (change.vhost.size > 0)
        lv_inspect_string(store, "vhost", change.vhost);
    if (change.kind == LV_CHANGE_BIND || change.kind == LV_CHANGE_UNBIND)
        put_binding(store, &change);
    else if (change.kind > LV_CHANGE_UNBIND)
        put_user(store, &change);
    else
        lv_inspect_string(store, "name", change.name);
    if (change.kind == LV_CHANGE_EXCHANGE_DECLARE)
        lv_inspect_string(store, "type", change.other);
    if (change.kind == LV_CHANGE_QUEUE_DECLARE || change.kind == LV_CHANGE_QUEUE_DELETE)
        lv_inspect_number(store, "queue", change.queue_id);
    if (change.kind == LV_CHANGE_QUEUE_DECLARE)
        lv_inspect_number(store, "home", change.home);
    lv_inspect_table(store, "arguments", change.arguments);
    assert(store->output.fd >= 0);
    return 0;
}

/* The line is begun by the kind of record, as changes have many. */
static int put_record(struct dump *dump, uint64_t offset, const struct lv_record_head *head,
                      const uint8_t *payload)
{
    struct lv_inspect *store = dump->store;
    size_t places = head->count * sizeof(struct lv_record_place);

    assert(head->kind >= LV_RECORD_MESSAGE);
    switch ((enum lv_record_kind)head->kind) {
    case LV_RECORD_MESSAGE:
        begin(dump, &offset, "message");
        put_pairs(store, "to", payload, head->count, ':');
        put_message(store, lv_bytes(payload + places, head->size - places));
        return 0;
    case LV_RECORD_SETTLE:
        begin(dump, &offset, "settle");
        put_ranges(store, head, payload);
        return 0;
    case LV_RECORD_STATE:
        begin(dump, &offset, "state");
        put_ranges(store, head, payload);
        return 0;
    case LV_RECORD_BITS:
        begin(dump, &offset, "bits");
        put_bits(store, head, payload);
        return 0;
    case LV_RECORD_CHANGE:
        return put_change(dump, offset, lv_bytes(payload, head->size));
    case LV_RECORD_CLEAN:
        begin(dump, &offset, "clean");
        return 0;
    }
    LV_IMPOSSIBLE("the scan has looked at the kind");
}

static int see_record(void *ctx, uint64_t lsn, const struct lv_record_head *head,
                      const uint8_t *payload)
{
    struct dump *dump = ctx;
    uint64_t offset = lsn - sizeof *head - dump->base;
    char sentence[LV_DISK_NAME_SIZE + 120];
    int rc = put_record(dump, offset, head, payload);

    assert(lsn > dump->base);
    if (rc == 0) {
        lv_inspect_end(dump->store);
        return dump->store->output.error;
    }
    if (rc == -LV_E_NOMEM)
        return lv_fail(&dump->store->diag, rc, "out of memory");
    snprintf(sentence, sizeof sentence, "%s: the change at offset %" PRIu64 " can't be read",
             dump->file, offset);
    complain(dump, sentence);
    return 0;
}

static int see_block(void *ctx, const struct lv_logfile *file, const struct lv_block_head *block,
                     const uint8_t *bytes)
{
    struct dump *dump = ctx;

    if (block->lsn < dump->seen) /* printed when the files were listed before */
        return 0;
    assert(block->size > sizeof *block);
    dump->file = file->name;
    dump->base = file->head.number * LV_LOG_FILE_SIZE;
    dump->seen = block->lsn + block->size;
    return lv_block_each(block, bytes, see_record, dump);
}

static int see_damage(void *ctx, const struct lv_logfile_damage *damage)
{
    struct dump *dump = ctx;

    assert(damage->file != NULL);
    if (damage->file->head.number * LV_LOG_FILE_SIZE + damage->offset >= dump->seen)
        complain(dump, damage->sentence);
    return 0;
}

static void see_other(void *ctx, const char *name, int rc, const char *sentence)
{
    assert(name[0] != '\0');
    if (rc != -LV_E_NOT_FOUND)
        complain(ctx, sentence);
}

static int dump_log(struct dump *dump, uint32_t shard)
{
    const struct lv_logfile_visitor visitor = {see_block, see_damage, dump};
    struct lv_inspect *store = dump->store;
    int rc = -LV_E_NOT_FOUND;

    dump->seen = 0;
    for (unsigned i = 0; rc == -LV_E_NOT_FOUND && i < LV_INSPECT_ATTEMPTS; i++) {
        struct lv_logfile_end end;
        struct lv_logfile *files = NULL;
        size_t count = 0;

        rc = i == 0 ? 0 : lv_inspect_list(store);
        if (rc == 0)
            rc = lv_inspect_heads(store, shard, &files, &count, i == 0 ? see_other : NULL, dump);
        if (rc == 0)
            rc = lv_logfile_scan(&store->disk.disk, files, count, &visitor, &end, &store->diag);
        assert(rc <= 0);
        lv_free(files);
    }
    return rc;
}

static int see_entry(void *ctx, const struct lv_segment_entry *entry)
{
    struct dump *dump = ctx;
    struct lv_inspect *store = dump->store;

    begin(dump, NULL, "message");
    assert(entry->data != NULL || entry->size == 0);
    lv_inspect_number(store, "queue", entry->queue_id);
    lv_inspect_number(store, "seq", entry->seq);
    lv_inspect_flag(store, "transient", (entry->flags & LV_SEGMENT_TRANSIENT) != 0);
    lv_inspect_flag(store, "redelivered", (entry->flags & LV_SEGMENT_REDELIVERED) != 0);
    put_message(store, lv_bytes(entry->data, entry->size));
    lv_inspect_end(store);
    return store->output.error;
}

static int dump_run(struct dump *dump, struct lv_segment *segment, const struct lv_segment_run *run)
{
    struct lv_segment_reading reading = {
        .from_seq = run->first_seq, .max_size = READ_SIZE, .each = see_entry, .ctx = dump};
    int rc = 0;

    assert(run->count > 0);
    do {
        struct lv_diag diag = {""};

        rc = lv_segment_read(segment, run, &reading, &diag);
        if (rc == -LV_E_CLOSED || rc == -LV_E_NOMEM || dump->store->output.error < 0)
            return rc;
        if (rc < 0 || reading.damaged_count > 0)
            complain(dump, diag.text);
        reading.from_seq = reading.next_seq;
    } while (rc == 0 && reading.next_seq != UINT64_MAX);
    return 0;
}

static int dump_segment(struct dump *dump, const char *name, uint32_t shard, uint64_t number)
{
    struct lv_segment *segment;
    const struct lv_segment_run *runs;
    struct lv_diag diag = {""};
    size_t count;
    int rc = lv_segment_open(&dump->store->disk.disk, shard, number, &segment, &diag);

    assert(rc <= 0);
    if (rc == -LV_E_NOT_FOUND) /* a broker has removed it meanwhile */
        return 0;
    if (rc == -LV_E_NOMEM)
        return lv_fail(&dump->store->diag, rc, "out of memory");
    if (rc < 0) {
        complain(dump, diag.text);
        return 0;
    }
    dump->file = name;
    runs = lv_segment_runs(segment, &count);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = dump_run(dump, segment, &runs[i]);
    lv_segment_close(segment);
    return rc;
}

static int dump_segments(struct dump *dump)
{
    struct lv_inspect *store = dump->store;
    int rc = lv_inspect_list(store);

    for (size_t i = 0; rc == 0 && i < store->name_count; i++) {
        uint32_t shard;
        uint64_t number;

        if (lv_segment_parse_name(store->names[i], &shard, &number))
            rc = dump_segment(dump, store->names[i], shard, number);
    }
    assert(rc <= 0);
    return rc;
}

/* Who may do what; the hash of a password is not shown. */
static void put_access(struct lv_inspect *store, const struct lv_row *row)
{
    if (row->kind != LV_ROW_USER)
        lv_inspect_string(store, "vhost", row->vhost);
    if (row->kind != LV_ROW_VHOST)
        lv_inspect_string(store, "user", row->name);
    if (row->kind == LV_ROW_USER)
        lv_inspect_string(store, "tags", row->key);
    if (row->kind == LV_ROW_TOPIC_PERMISSION)
        lv_inspect_string(store, "exchange", row->other);
}

/* What messages go through. */
static void put_object(struct lv_inspect *store, const struct lv_row *row)
{
    lv_inspect_string(store, "vhost", row->vhost);
    if (row->kind == LV_ROW_BINDING) {
        lv_inspect_string(store, "source", row->other);
        lv_inspect_string(store, row->to_exchange ? "to_exchange" : "to_queue", row->name);
        lv_inspect_string(store, "key", row->key);
    } else {
        lv_inspect_string(store, "name", row->name);
        lv_inspect_flag(store, "auto_delete", row->auto_delete);
    }
    if (row->kind == LV_ROW_EXCHANGE) {
        lv_inspect_string(store, "type", row->other);
        lv_inspect_flag(store, "internal", row->internal);
    }
    if (row->kind == LV_ROW_QUEUE) {
        lv_inspect_number(store, "queue", row->queue_id);
        lv_inspect_number(store, "home", row->home);
    }
}

static int see_row(void *ctx, const struct lv_row *row)
{
    static const char *const kinds[] = {
        "exchange", "queue", "binding", "vhost", "user", "permission", "topic_permission", "limits",
    };
    struct dump *dump = ctx;
    struct lv_inspect *store = dump->store;

    static_assert(LV_COUNT(kinds) == LV_ROW_COUNT, "every kind has its word");
    begin(dump, NULL, kinds[row->kind]);
    if (row->kind <= LV_ROW_BINDING)
        put_object(store, row);
    else
        put_access(store, row);
    lv_inspect_table(store, "arguments", row->arguments);
    lv_inspect_end(store);
    return store->output.error;
}

static int dump_metadata(struct dump *dump)
{
    struct lv_inspect *store = dump->store;
    struct lv_metadata *metadata = NULL;
    struct lv_diag diag = {"metadata.sqlite can't be read"};
    int rc = lv_metadata_open_read_only(store->directory, &metadata, &diag);

    if (rc == -LV_E_NOT_FOUND)
        return 0;
    dump->file = "metadata.sqlite";
    if (rc == 0)
        rc = lv_metadata_load(metadata, see_row, dump, &diag);
    lv_metadata_close(metadata);
    assert(rc <= 0);
    if (rc < 0 && store->output.error == 0) {
        complain(dump, diag.text);
        rc = 0;
    }
    return rc;
}

int lv_inspect_dump(struct lv_inspect *store)
{
    struct dump dump = {.store = store};
    uint32_t shard = 0;
    int rc;

    lv_arena_init(&dump.arena, ARENA_MAX);
    rc = dump_metadata(&dump);
    while (rc == 0 && lv_inspect_next_shard(store, shard, &shard))
        rc = dump_log(&dump, shard++);
    if (rc == 0)
        rc = dump_segments(&dump);
    lv_arena_fini(&dump.arena);
    assert(rc <= 0);
    return rc < 0 ? rc : dump.is_damaged ? 1 : 0;
}
