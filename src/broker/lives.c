#include "broker/lives.h"

#include "base/alloc.h"
#include "broker/change.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lv_lives_block {
    struct lv_log_head file;
    uint64_t lsn;
    uint8_t *bytes; /* own */
    uint64_t size;
};

struct lv_lives_change {
    uint64_t lsn_end;
    uint8_t *bytes; /* own */
    size_t size;
};

/* In a row that is short enough to be copied. */
static void *grow(void *row, uint32_t count, size_t size)
{
    void *grown = realloc(row, (count + 1) * size);

    if (grown == NULL)
        abort();
    return grown;
}

static uint8_t *copy_of(const void *bytes, size_t size)
{
    uint8_t *copy = malloc(size + 1);

    if (copy == NULL)
        abort();
    memcpy(copy, bytes, size);
    return copy;
}

/* ---- what the broker asks for ---- */

static int on_load(void *ctx, uint64_t queue_id, uint64_t segment, uint64_t from_seq, bool one)
{
    struct lv_lives *lives = ctx;

    assert_true(lives->load_count < LV_COUNT(lives->loads));
    lives->loads[lives->load_count++] = (struct lv_lives_load){
        .queue_id = queue_id, .segment = segment, .from = from_seq, .one = one};
    return 0;
}

static void free_segment(struct lv_lives_segment *segment)
{
    for (uint64_t i = 0; i < segment->count; i++) {
        uint8_t *data;
        memcpy(&data, &segment->entries[i].data, sizeof data);
        free(data);
    }
    free(segment->entries);
    *segment = (struct lv_lives_segment){0};
}

static int on_drop(void *ctx, uint64_t segment)
{
    struct lv_lives *lives = ctx;

    assert_true(segment < LV_LIVES_SEGMENTS);
    assert_non_null(lives->segments[segment].entries);
    if (lives->is_stuck)
        return -LV_E_NOMEM;
    free_segment(&lives->segments[segment]);
    assert_true(lives->dropped_count < LV_LIVES_SEGMENTS);
    lives->dropped[lives->dropped_count++] = segment;
    return 0;
}

static const struct lv_cold_ops cold_ops = {.load = on_load, .drop = on_drop};

static void on_changed(void *ctx, uint64_t lsn_end, struct lv_bytes change)
{
    struct lv_lives *lives = ctx;

    lives->changes = grow(lives->changes, lives->change_count, sizeof *lives->changes);
    lives->changes[lives->change_count++] = (struct lv_lives_change){
        .lsn_end = lsn_end, .bytes = copy_of(change.data, change.size), .size = change.size};
}

static void configure(void *ctx, struct lv_broker_config *config)
{
    struct lv_lives *lives = ctx;

    lives->log = lv_log_new(0, 1, 7);
    assert_non_null(lives->log);
    config->log = lives->log;
    config->cold = &cold_ops;
    config->changed = on_changed;
    config->log_ctx = lives;
    config->first_segment = lives->first_segment = lives->next_segment;
}

/* ---- to the disk ---- */

/* Fillers of files are left out, see lv_lives_turn_file(). */
static void keep_write(struct lv_lives *lives, const struct lv_log_write *write)
{
    uint64_t at = 0;

    while (at < write->size) {
        struct lv_block_head head;
        memcpy(&head, write->data + at, sizeof head);
        if (head.size <= LV_PAGE_SIZE) {
            lives->blocks = grow(lives->blocks, lives->block_count, sizeof *lives->blocks);
            lives->blocks[lives->block_count++] =
                (struct lv_lives_block){.file = {.number = write->number,
                                                 .file_size = write->file_size,
                                                 .seed = write->seed},
                                        .lsn = head.lsn,
                                        .bytes = copy_of(write->data + at, head.size),
                                        .size = head.size};
        }
        at += head.size;
    }
    lives->synced = write->lsn + write->size;
    lives->next_number =
        (write->number * LV_LOG_FILE_SIZE + write->file_size - 1) / LV_LOG_FILE_SIZE + 1;
}

void lv_lives_sync(struct lv_lives *lives)
{
    struct lv_log_write write;

    lv_log_seal(lives->log);
    while (lv_log_next_write(lives->log, &write)) {
        keep_write(lives, &write);
        lv_log_synced(lives->log, lives->synced);
    }
    lv_broker_synced(lives->broker, lives->synced);
    lv_cold_drop_dead(lives->broker);
    while (lives->dropped_count > 0)
        lv_broker_dropped(lives->broker, lives->dropped[--lives->dropped_count], true);
}

/* Of a record that fills a file of its own to the last byte. */
#define FILLER_SIZE                                                                                \
    (LV_LOG_FILE_SIZE + LV_PAGE_SIZE - LV_LOG_HEAD_SIZE - sizeof(struct lv_block_head) -           \
     sizeof(struct lv_record_head))

/* By a message that is in no queue. */
void lv_lives_turn_file(struct lv_lives *lives)
{
    uint64_t lsn;
    void *payload;

    lv_lives_sync(lives);
    assert_int_equal(lv_log_append(lives->log, LV_RECORD_MESSAGE, 0, FILLER_SIZE, &lsn, &payload),
                     0);
    lv_lives_sync(lives);
    assert_int_equal(lv_log_append(lives->log, LV_RECORD_MESSAGE, 0, 8, &lsn, &payload), 0);
    lv_lives_sync(lives);
}

void lv_lives_spill_begin(struct lv_lives *lives)
{
    uint64_t end = (lv_log_end(lives->log) - 1) / LV_LOG_FILE_SIZE * LV_LOG_FILE_SIZE;

    assert_false(lives->is_spilling);
    assert_int_equal(lv_broker_spill(lives->broker, end, lives->next_segment, &lives->spill), 0);
    lives->is_spilling = true;
}

/* Sorted by queue and number, as a segment is. */
static int compare(const void *left, const void *right)
{
    const struct lv_segment_entry *a = left, *b = right;

    if (a->queue_id != b->queue_id)
        return a->queue_id < b->queue_id ? -1 : 1;
    return a->seq < b->seq ? -1 : a->seq > b->seq;
}

void lv_lives_write_segment(struct lv_lives *lives)
{
    const struct lv_spill *spill = &lives->spill;
    struct lv_lives_segment *segment = &lives->segments[lives->next_segment++];

    assert_true(lives->is_spilling);
    assert_true(spill->count > 0);
    lv_lives_sync(lives); /* the log says first what is missing in its runs */
    assert_true(lives->synced >= spill->log_end);
    assert_true(lives->next_segment < LV_LIVES_SEGMENTS);
    *segment = (struct lv_lives_segment){.count = spill->count, .covers = spill->end};
    segment->entries = malloc(spill->count * sizeof *segment->entries);
    if (segment->entries == NULL)
        abort();
    memcpy(segment->entries, spill->entries, spill->count * sizeof *segment->entries);
    for (uint64_t i = 0; i < spill->count; i++)
        segment->entries[i].data = copy_of(segment->entries[i].data, segment->entries[i].size);
    qsort(segment->entries, segment->count, sizeof *segment->entries, compare);
}

static void free_block(struct lv_lives_block *block)
{
    free(block->bytes);
    *block = (struct lv_lives_block){0};
}

void lv_lives_spill_end(struct lv_lives *lives)
{
    uint64_t end = lives->spill.end;
    uint32_t kept = 0;

    assert_true(lives->is_spilling);
    if (lives->spill.count > 0)
        lv_lives_write_segment(lives);
    lv_lives_sync(lives);
    assert_true(lives->synced >= lives->spill.log_end);
    lv_broker_spilled(lives->broker, &lives->spill);
    lives->is_spilling = false;
    for (uint32_t i = 0; i < lives->block_count; i++) {
        if (lives->blocks[i].lsn < end)
            free_block(&lives->blocks[i]);
        else
            lives->blocks[kept++] = lives->blocks[i];
    }
    lives->block_count = kept;
    lv_lives_sync(lives);
}

void lv_lives_spill(struct lv_lives *lives)
{
    lv_lives_turn_file(lives);
    lv_lives_spill_begin(lives);
    lv_lives_spill_end(lives);
}

/* ---- from the disk ---- */

bool lv_lives_read_one(struct lv_lives *lives)
{
    struct lv_lives_load load = lives->loads[0];
    const struct lv_lives_segment *segment = &lives->segments[load.segment];
    struct lv_segment_entry found[256];
    uint64_t count = 0, next = UINT64_MAX;
    uint32_t size = load.one ? 1 : lives->load_size;

    if (lives->load_count == 0)
        return false;
    lives->load_count--;
    memmove(lives->loads, lives->loads + 1, lives->load_count * sizeof *lives->loads);
    for (uint64_t i = 0; i < segment->count; i++) {
        const struct lv_segment_entry *entry = &segment->entries[i];
        if (entry->queue_id != load.queue_id || entry->seq < load.from)
            continue;
        if (entry->seq >= lives->damaged_from && entry->seq <= lives->damaged_to)
            continue;
        if (count == size) {
            next = entry->seq;
            break;
        }
        found[count++] = *entry;
    }
    lv_broker_loaded(lives->broker, load.queue_id, load.segment, found, count, next);
    return true;
}

void lv_lives_read(struct lv_lives *lives)
{
    do
        lv_sim_settle(&lives->sim);
    while (lv_lives_read_one(lives));
}

static void restore_runs(struct lv_lives *lives, uint64_t number)
{
    const struct lv_lives_segment *segment = &lives->segments[number];
    struct lv_segment_run run = {0};

    for (uint64_t i = 0; i < segment->count; i++) {
        const struct lv_segment_entry *entry = &segment->entries[i];
        bool is_last = i + 1 == segment->count || entry[1].queue_id != entry->queue_id;
        if (run.count == 0)
            run = (struct lv_segment_run){.queue_id = entry->queue_id, .first_seq = entry->seq};
        run.last_seq = entry->seq;
        run.count++;
        run.transient_count += (entry->flags & LV_SEGMENT_TRANSIENT) != 0;
        if (!is_last)
            continue;
        if (run.count > run.transient_count)
            assert_int_equal(lv_broker_restore_run(lives->broker, number, &run), 0);
        run.count = 0;
    }
}

struct walk {
    struct lv_lives *lives;
    uint64_t covers;
    bool is_clean;
};

static void restore_gone(void *ctx, uint64_t lsn, const struct lv_record_head *head,
                         const uint8_t *payload)
{
    const struct walk *walk = ctx;

    (void)lsn;
    if (lv_record_is_gone(head))
        assert_int_equal(lv_broker_restore_gone(walk->lives->broker, head, payload), 0);
}

static void restore_message(void *ctx, uint64_t lsn, const struct lv_record_head *head,
                            const uint8_t *payload)
{
    const struct walk *walk = ctx;

    if (head->kind == LV_RECORD_MESSAGE && lsn >= walk->covers)
        assert_int_equal(
            lv_broker_restore_message(walk->lives->broker, lsn, head, payload, walk->is_clean), 0);
}

static void restore_topology(struct lv_lives *lives)
{
    struct lv_arena arena;

    lv_arena_init(&arena, 1 << 20);
    for (uint32_t i = 0; i < lives->change_count; i++) {
        struct lv_change change;
        if (lives->changes[i].lsn_end > lives->synced)
            continue;
        assert_int_equal(lv_change_decode(lv_bytes(lives->changes[i].bytes, lives->changes[i].size),
                                          &arena, &change),
                         0);
        assert_int_equal(lv_broker_restore_change(lives->broker, &change, NULL), 0);
        lv_arena_reset(&arena);
    }
    lv_arena_fini(&arena);
}

static void restore(struct lv_lives *lives, bool is_clean)
{
    struct walk walk = {.lives = lives, .is_clean = is_clean};

    restore_topology(lives);
    for (uint32_t i = 0; i < lives->block_count; i++) {
        const struct lv_lives_block *block = &lives->blocks[i];
        assert_int_equal(lv_log_restore(lives->log, &block->file, block->lsn,
                                        lv_bytes(block->bytes, block->size)),
                         0);
    }
    lv_log_start(lives->log, lives->next_number);
    lv_log_each(lives->log, UINT64_MAX, false, restore_gone, &walk);
    for (uint64_t number = 1; number < lives->next_segment; number++) {
        struct lv_lives_segment *segment = &lives->segments[number];
        restore_runs(lives, number);
        if (segment->covers > walk.covers)
            walk.covers = segment->covers;
        if (segment->entries == NULL)
            continue;
        if (lv_broker_uses_segment(lives->broker, number))
            lv_broker_restored_segment(lives->broker, number, segment->count, 100 * segment->count);
        else
            free_segment(segment);
    }
    lv_log_each(lives->log, UINT64_MAX, false, restore_message, &walk);
    assert_int_equal(lv_broker_restored(lives->broker, is_clean), 0);
}

/* What is under way when the process ends never comes. */
static void stop(struct lv_lives *lives)
{
    if (lives->is_spilling) {
        for (uint64_t i = 0; i < lives->spill.ref_count; i++) {
            lv_store_unpin(lives->spill.refs[i].page);
            lv_store_release(lives->sim.shards[0].store, lives->spill.refs[i].ref);
        }
        lv_free(lives->spill.refs);
        lv_free(lives->spill.entries);
        lives->is_spilling = false;
    }
    lives->load_count = 0;
    lv_sim_client_fini(&lives->a);
    lv_sim_fini(&lives->sim);
}

static void start(struct lv_lives *lives)
{
    lv_sim_init_with(&lives->sim, 1, 0, configure, lives);
    lives->broker = lives->sim.shards[0].broker;
}

void lv_lives_restart(struct lv_lives *lives, bool is_clean)
{
    if (is_clean) {
        lv_sim_client_close(&lives->a); /* what is out goes back */
        lv_sim_settle(&lives->sim);
        assert_int_equal(lv_broker_log_clean(lives->broker), 0);
        lv_lives_sync(lives);
    }
    stop(lives);
    start(lives);
    restore(lives, is_clean);
    lv_sim_client_open(&lives->a, &lives->sim, 0);
}

void lv_lives_begin(struct lv_lives *lives)
{
    *lives =
        (struct lv_lives){.next_segment = 1, .load_size = 4, .next_number = 1, .damaged_from = 1};
    start(lives);
    lv_sim_client_open(&lives->a, &lives->sim, 0);
    lv_sim_declare(&lives->a, "q", "d");
    lv_sim_settle(&lives->sim);
    lv_lives_sync(lives);
    assert_hears(&lives->a, "declare-ok q 0 0");
    lv_sim_declare(&lives->a, "t", "");
    assert_hears(&lives->a, "declare-ok t 0 0");
}

void lv_lives_end(struct lv_lives *lives)
{
    stop(lives);
    for (uint32_t i = 0; i < lives->block_count; i++)
        free_block(&lives->blocks[i]);
    for (uint32_t i = 0; i < lives->change_count; i++)
        free(lives->changes[i].bytes);
    for (uint32_t i = 0; i < LV_LIVES_SEGMENTS; i++)
        free_segment(&lives->segments[i]);
    free(lives->blocks);
    free(lives->changes);
}

/* ---- commands ---- */

void lv_lives_publish(struct lv_lives *lives, const char *queue, const char *body,
                      bool is_persistent)
{
    const struct lv_message message = {.key = lv_text(queue),
                                       .body = lv_text(body),
                                       .flags = is_persistent ? LV_MESSAGE_PERSISTENT : 0};

    assert_int_equal(lv_channel_publish(lives->a.channels[0].core, &message, false, NULL), 0);
}

void lv_lives_publish_many(struct lv_lives *lives, const char *queue, unsigned first, unsigned last)
{
    for (unsigned i = first; i <= last; i++) {
        char body[16];
        (void)snprintf(body, sizeof body, "%u", i);
        lv_lives_publish(lives, queue, body, true);
    }
}

struct lv_queue *lv_lives_queue(const struct lv_lives *lives, const char *name)
{
    const struct lv_vhost *vhost = lv_topology_vhost(&lives->broker->topology, lv_text("/"));
    const struct lv_queue_entry *entry = lv_vhost_queue(vhost, lv_text(name));

    assert_non_null(entry);
    return entry->queue;
}

/* "get-ok #TAG BODY[ again], N left" becomes "BODY[!]". */
static bool hear_got(const char *heard, char *text, size_t size)
{
    size_t at = strlen(text);
    const char *body = strchr(heard, '#');
    size_t length;

    if (strcmp(heard, "get-empty") == 0)
        return false;
    if (body == NULL || strncmp(heard, "get-ok", 6) != 0)
        fail_msg("heard: %s", heard);
    body = strchr(body, ' ') + 1;
    length = strcspn(body, " ,");
    (void)snprintf(text + at, size - at, "%s%.*s%s", at > 0 ? " " : "", (int)length, body,
                   strncmp(body + length, " again", 6) == 0 ? "!" : "");
    return true;
}

void lv_lives_expect(struct lv_lives *lives, const char *queue, const char *bodies)
{
    static char text[65536];

    text[0] = '\0';
    do {
        lv_sim_get(&lives->a, queue, "n");
        lv_lives_read(lives);
    } while (hear_got(lv_sim_heard(&lives->a), text, sizeof text));
    assert_string_equal(text, bodies);
    assert_int_equal(lv_queue_ready_count(lv_lives_queue(lives, queue)), 0);
}

unsigned lv_lives_segment_count(const struct lv_lives *lives)
{
    unsigned count = 0;

    for (uint32_t i = 0; i < LV_LIVES_SEGMENTS; i++)
        count += lives->segments[i].entries != NULL;
    return count;
}
