#include "broker/restore.h"

#include "base/alloc.h"
#include "broker/change.h"
#include "broker/core.h"

/* Also of queues that are gone: what the disk still has of them must never be a new one's. */
void lv_broker_restore_last_id(struct lv_broker *broker, uint64_t queue_id)
{
    assert(!broker->restoring);
    if (queue_id / LV_SHARDS_MAX > broker->last_queue_id)
        broker->last_queue_id = queue_id / LV_SHARDS_MAX;
}

/* As any change, but for what it would log and promise. */
int lv_broker_restore_change(struct lv_broker *broker, const struct lv_change *change,
                             struct lv_diag *diag)
{
    int rc;

    assert(change != NULL);
    broker->restoring = true;
    rc = lv_topology_apply(broker, change, diag, NULL);
    broker->restoring = false;
    lv_broker_restore_last_id(broker, change->queue_id);
    return rc;
}

int lv_broker_begin_change(struct lv_broker *broker, const struct lv_change *change,
                           struct lv_diag *diag)
{
    int rc = lv_change_check_sizes(change, diag);

    assert(broker->clients.count == 0);
    return rc < 0 ? rc : lv_topology_apply(broker, change, diag, NULL);
}

static void put_pattern(struct lv_field *field, const char *name, struct lv_bytes pattern)
{
    assert(name != NULL);
    field->name = lv_text(name);
    field->value = (struct lv_value){.type = LV_TYPE_STRING, .bytes = pattern};
}

/* RabbitMQ's rule: whoever has deleted the last user does not get the first one back. */
bool lv_broker_is_new(const struct lv_broker *broker)
{
    assert(broker->clients.count == 0);
    return broker->topology.vhosts.count == 0 && broker->access.users.count == 0;
}

int lv_broker_begin(struct lv_broker *broker, const struct lv_first *first, struct lv_diag *diag)
{
    union {
        struct lv_table table;
        uint8_t room[sizeof(struct lv_table) + LV_PERMISSIONS * sizeof(struct lv_field)];
    } patterns = {.table = {.count = LV_PERMISSIONS}};
    const struct lv_change changes[] = {
        {.kind = LV_CHANGE_VHOST_PUT, .vhost = first->vhost},
        {.kind = LV_CHANGE_USER_PUT, .name = first->user, .other = first->hash, .key = first->tags},
        {.kind = LV_CHANGE_PERMISSION_PUT,
         .vhost = first->vhost,
         .name = first->user,
         .arguments = &patterns.table},
    };
    int rc = 0;

    if (!lv_broker_is_new(broker))
        return 0;
    put_pattern(&patterns.table.fields[0], "configure", first->configure);
    put_pattern(&patterns.table.fields[1], "write", first->write);
    put_pattern(&patterns.table.fields[2], "read", first->read);
    for (size_t i = 0; rc == 0 && i < LV_COUNT(changes); i++)
        rc = lv_broker_begin_change(broker, &changes[i], diag);
    return rc;
}

/* The queue here that keeps what the log has of it, or NULL. */
static struct lv_queue *find(const struct lv_broker *broker, uint64_t queue_id)
{
    struct lv_queue_entry *entry = lv_broker_home(broker, queue_id);

    assert(entry == NULL || entry->queue != NULL);
    return entry == NULL || !lv_queue_is_keeping(entry->queue) ? NULL : entry->queue;
}

/* Who says more than is possible would have it taken for millions of numbers. */
static int restore_ranges(struct lv_kept *kept, const struct lv_record_queue *said, uint32_t count)
{
    const struct lv_record_range *ranges = (const struct lv_record_range *)(const void *)(said + 1);
    uint64_t added;

    for (uint32_t i = 0; i < count; i++) {
        if (ranges[i].from > ranges[i].to || ranges[i].to >= said->next)
            return -LV_E_CORRUPT;
        if (lv_seqs_add_range(&kept->gone, ranges[i].from, ranges[i].to, &added) < 0)
            return -LV_E_NOMEM;
    }
    assert(kept->gone.low >= said->low);
    return 0;
}

static int restore_bits(struct lv_kept *kept, const struct lv_record_queue *said, uint32_t count)
{
    const struct lv_record_bits *bits = (const struct lv_record_bits *)(const void *)(said + 1);
    const uint64_t *words = (const uint64_t *)(const void *)(bits + 1);

    assert(kept->gone.low >= said->low);
    if (bits->from % 64 != 0 || bits->from >= said->next)
        return -LV_E_CORRUPT;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t from = bits->from + 64 * (uint64_t)i;
        if (words[i] != 0 && from + 63 - (uint64_t)__builtin_clzll(words[i]) >= said->next)
            return -LV_E_CORRUPT;
        if (lv_seqs_add_word(&kept->gone, from, words[i]) < 0)
            return -LV_E_NOMEM;
    }
    return 0;
}

/* What is gone only grows, so records may come in any order and more than once. */
int lv_broker_restore_gone(struct lv_broker *broker, const struct lv_record_head *head,
                           const uint8_t *payload)
{
    const struct lv_record_queue *said = (const struct lv_record_queue *)(const void *)payload;
    struct lv_queue *queue = find(broker, said->queue_id);
    struct lv_kept *kept;

    assert(lv_record_is_gone(head));
    if (said->low > said->next || said->next > LV_SEQ_MAX)
        return -LV_E_CORRUPT;
    if (queue == NULL)
        return 0;
    kept = lv_queue_kept(queue);
    if (kept == NULL)
        return -LV_E_NOMEM;
    lv_seqs_raise(&kept->gone, said->low);
    if (said->delivered > kept->delivered)
        kept->delivered = said->delivered;
    if (said->next > queue->next_seq)
        queue->next_seq = said->next;
    return head->kind == LV_RECORD_BITS ? restore_bits(kept, said, head->count)
                                        : restore_ranges(kept, said, head->count);
}

/* One more holder of the message, unless the queue is done with it. */
static int restore_place(struct lv_broker *broker, const struct lv_record_place *place,
                         struct lv_ref ref, bool is_clean)
{
    struct lv_queue *queue = find(broker, place->queue_id);
    int rc;

    assert((ref.flags & LV_REF_LOGGED) != 0);
    if (queue == NULL)
        return 0;
    if (place->seq >= LV_SEQ_MAX)
        return -LV_E_CORRUPT;
    if (lv_queue_kept(queue) == NULL)
        return -LV_E_NOMEM;
    if (place->seq >= queue->next_seq)
        queue->next_seq = place->seq + 1;
    if (lv_seqs_has(&queue->kept->gone, place->seq))
        return 0;
    rc = lv_kept_follow(queue, place->seq, place->seq);
    if (!is_clean || place->seq < queue->kept->delivered)
        ref.flags |= LV_REF_REDELIVERED;
    if (rc == 0)
        rc = lv_refs_push(&queue->ready, &broker->refs_pool, place->seq, ref);
    if (rc < 0)
        return rc;
    broker->stats.ready++;
    queue->kept->live_count++;
    lv_log_hold(broker->config.log, ref.lsn, 1);
    return 0;
}

/* It stays where it is: the log's window was filled with what the disk has. */
int lv_broker_restore_message(struct lv_broker *broker, uint64_t lsn,
                              const struct lv_record_head *head, const uint8_t *payload,
                              bool is_clean)
{
    const struct lv_record_place *places = (const struct lv_record_place *)(const void *)payload;
    uint32_t places_size = head->count * (uint32_t)sizeof *places;
    struct lv_ref ref = {
        .lsn = lsn + places_size, .size = head->size - places_size, .flags = LV_REF_LOGGED};
    int rc = 0;

    assert(head->kind == LV_RECORD_MESSAGE);
    for (uint32_t i = 0; rc == 0 && i < head->count; i++)
        rc = restore_place(broker, &places[i], ref, is_clean);
    return rc;
}

/* Behind the last message all is gone as well. */
static int finish(struct lv_queue *queue, bool is_clean)
{
    struct lv_kept *kept = queue->kept;
    int rc = lv_kept_follow(queue, queue->next_seq, queue->next_seq - 1);

    kept->fresh = kept->fresh_end = 0;
    kept->old = is_clean ? kept->delivered : queue->next_seq;
    return rc;
}

/* From here on numbers that are not gone are messages. */
int lv_broker_restored(struct lv_broker *broker, bool is_clean)
{
    uint32_t cursor = 0;
    struct lv_queue_entry *entry;

    assert(broker->config.log != NULL);
    while ((entry = lv_map_next(&broker->homes, &cursor)) != NULL)
        if (entry->queue->kept != NULL && finish(entry->queue, is_clean) < 0)
            return -LV_E_NOMEM;
    return 0;
}

/* Who was delivered is known only if all of this reaches the disk. */
int lv_broker_log_clean(struct lv_broker *broker)
{
    uint32_t cursor = 0;
    struct lv_queue_entry *entry;
    uint64_t lsn;
    void *payload;

    assert(broker->config.log != NULL);
    while ((entry = lv_map_next(&broker->homes, &cursor)) != NULL)
        if (lv_kept_is_needed(entry->queue, lv_broker_oldest_segment(broker)) &&
            lv_kept_state(entry->queue) < 0)
            return -LV_E_NOMEM;
    return lv_log_append(broker->config.log, LV_RECORD_CLEAN, 0, 0, &lsn, &payload);
}
