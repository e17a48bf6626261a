#include "base/alloc.h"
#include "broker/core.h"
#include "broker/reply_to.h"
#include "broker/tx.h"

#define CONFIRMS_CAPACITY_MIN 64u

static void confirm_soon(struct lv_channel *channel)
{
    assert(!channel->closing);
    if (!lv_link_is_linked(&channel->confirm_link))
        lv_list_push_back(&channel->broker->confirming, &channel->confirm_link);
}

void lv_channel_hurry(struct lv_channel *channel)
{
    channel->is_hurried = true;
}

void lv_channel_confirm_select(struct lv_channel *channel)
{
    channel->confirm = true;
}

static uint16_t *awaited(const struct lv_channel *channel, uint64_t tag)
{
    return &channel->confirms.awaited[tag & (channel->confirms.capacity - 1)];
}

/* Room for one tag more in the ring. */
static int grow(struct lv_channel *channel)
{
    struct lv_confirms *confirms = &channel->confirms;
    uint32_t capacity = confirms->capacity == 0 ? CONFIRMS_CAPACITY_MIN : 2 * confirms->capacity;
    uint16_t *ring = lv_alloc(capacity * sizeof *ring);

    if (ring == NULL)
        return -LV_E_NOMEM;
    for (uint64_t tag = confirms->base; tag < confirms->next; tag++)
        ring[tag & (capacity - 1)] = *awaited(channel, tag);
    lv_free(confirms->awaited);
    channel->broker->memory_size += (capacity - confirms->capacity) * sizeof *ring;
    confirms->awaited = ring;
    confirms->capacity = capacity;
    return 0;
}

/* The publish's place in the ring, with the number of those that have to take it: shards, and this
 * shard's log. */
static int await_all(struct lv_channel *channel, uint64_t homes, bool is_logged)
{
    struct lv_confirms *confirms = &channel->confirms;

    if (confirms->next - confirms->base == confirms->capacity && grow(channel) < 0)
        return -LV_E_NOMEM;
    if (is_logged && lv_promise_reserve(channel->broker) < 0)
        return -LV_E_NOMEM;
    if (is_logged)
        lv_promise_confirm(channel->broker, channel, confirms->next);
    *awaited(channel, confirms->next++) = (uint16_t)(__builtin_popcountll(homes) + is_logged);
    return 0;
}

/* Counts a publish that the other shards in `homes`, and the log, have to take before it is
 * confirmed. */
static LV_ALWAYS_INLINE int begin_confirm(struct lv_channel *channel, uint64_t homes,
                                          bool is_logged)
{
    struct lv_confirms *confirms = &channel->confirms;

    if (LV_LIKELY(homes == 0 && !is_logged && confirms->base == confirms->next))
        confirms->base = ++confirms->next;
    else if (await_all(channel, homes, is_logged) < 0)
        return -LV_E_NOMEM;
    channel->publish_tag++;
    assert(confirms->next == channel->publish_tag + 1);
    confirm_soon(channel);
    return 0;
}

/* What nobody is awaited for any more is confirmed, up to the first that waits. */
static void advance(struct lv_channel *channel)
{
    struct lv_confirms *confirms = &channel->confirms;

    while (confirms->base < confirms->next && *awaited(channel, confirms->base) == 0)
        confirms->base++;
    confirm_soon(channel);
}

void lv_channel_enqueued(const struct lv_op *op)
{
    struct lv_channel *channel = op->enqueue.channel;
    struct lv_confirms *confirms = &channel->confirms;
    uint64_t publish_tag = op->enqueue.publish_tag;

    if (LV_UNLIKELY(op->enqueue.transacted)) {
        lv_tx_enqueued(channel);
        return;
    }
    assert(channel->refs > 0);
    channel->refs--;
    if (channel->closing) {
        lv_channel_progress(channel);
        return;
    }
    if (LV_UNLIKELY(publish_tag == 0)) /* an answer that might have been returned */
        return;
    assert(publish_tag >= confirms->base);
    assert(publish_tag < confirms->next);
    *awaited(channel, publish_tag) -= 1;
    advance(channel);
}

void lv_channel_logged(struct lv_channel *channel, uint64_t from, uint64_t to)
{
    assert(channel->refs > 0);
    channel->refs--;
    if (channel->closing) {
        lv_channel_progress(channel);
        return;
    }
    assert(from >= channel->confirms.base);
    assert(to < channel->confirms.next);
    for (uint64_t tag = from; tag <= to; tag++)
        *awaited(channel, tag) -= 1;
    advance(channel);
}

void lv_channel_confirm(struct lv_channel *channel)
{
    uint64_t upto = channel->confirms.base - 1;
    bool multiple = upto > channel->confirmed_tag + 1;

    if (upto <= channel->confirmed_tag || channel->broker->log_failed)
        return;
    assert(upto > channel->confirmed_tag);
    channel->confirmed_tag = upto;
    channel->client->ops->confirm(channel->ctx, upto, multiple);
}

/* Those that are done are confirmed, all behind them refused. */
void lv_channel_refuse(struct lv_channel *channel)
{
    bool multiple;

    assert(!channel->closing);
    if (!channel->confirm)
        return;
    lv_channel_confirm(channel);
    multiple = channel->publish_tag > channel->confirmed_tag + 1;
    if (channel->publish_tag == channel->confirmed_tag)
        return;
    channel->confirmed_tag = channel->publish_tag;
    channel->client->ops->refused(channel->ctx, channel->publish_tag, multiple);
}

/* As publish_here(), of a persistent message. */
static int publish_kept(struct lv_channel *channel, const struct lv_message *message,
                        const struct lv_targets *targets)
{
    uint32_t count;

    assert(targets->local_count > 0);
    for (uint32_t at = 0; at < targets->local_count; at += count) {
        void *records[2];
        count = targets->local_count - at < LV_KEEP_MAX ? targets->local_count - at : LV_KEEP_MAX;
        int rc = lv_broker_keep(channel->broker, targets->entries + at, count,
                                lv_message_record_size(message), records);
        if (rc < 0)
            return rc;
        for (int i = 0; i < 2; i++)
            if (records[i] != NULL)
                lv_message_write(message, records[i]);
    }
    return 0;
}

/* Into the queues of this shard: one copy in the store, a holder for each queue. */
static int publish_here(struct lv_channel *channel, const struct lv_message *message,
                        const struct lv_targets *targets)
{
    struct lv_store *store = channel->broker->config.store;
    struct lv_ref ref;
    void *record;
    int rc = lv_store_append(store, lv_message_record_size(message), &ref, &record);

    assert(targets->local_count > 0);
    if (rc < 0)
        return rc;
    lv_message_write(message, record);
    if (targets->local_count > 1)
        lv_store_share(store, &ref, targets->local_count - 1);
    for (uint32_t i = 0; i < targets->local_count; i++) {
        rc = lv_queue_push(targets->entries[i]->queue, ref);
        if (LV_LIKELY(rc == 0))
            continue;
        for (; i < targets->local_count; i++)
            lv_store_release(store, ref);
        return rc;
    }
    return 0;
}

struct lv_op *lv_enqueue_op(const struct lv_broker *broker, const struct lv_message *message,
                            const struct lv_targets *targets, uint32_t shard)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < targets->count; i++)
        count += targets->entries[i]->home == shard;
    size_t ids_size = count * sizeof(uint64_t);
    struct lv_op *op =
        lv_op_new(broker, LV_OP_ENQUEUE, (uint32_t)ids_size + lv_message_record_size(message));
    if (op == NULL)
        return NULL;
    uint8_t *id = op->data;
    for (uint32_t i = 0; i < targets->count; i++)
        if (targets->entries[i]->home == shard) {
            memcpy(id, &targets->entries[i]->id, sizeof(uint64_t));
            id += sizeof(uint64_t);
        }
    lv_message_write(message, op->data + ids_size);
    op->enqueue.queue_count = count;
    return op;
}

static int publish_there(struct lv_channel *channel, const struct lv_message *message,
                         const struct lv_targets *targets, uint32_t shard)
{
    struct lv_op *op = lv_enqueue_op(channel->broker, message, targets, shard);

    if (op == NULL)
        return -LV_E_NOMEM;
    if (channel->confirm) {
        op->enqueue.channel = channel;
        op->enqueue.publish_tag = channel->publish_tag;
        channel->refs++;
    }
    lv_op_send(channel->broker, shard, op);
    return 0;
}

/* The shards other than this one that have queues of the route, as bits. */
static uint64_t other_homes(const struct lv_targets *targets)
{
    uint64_t homes = 0;

    assert(targets->local_count <= targets->count);
    for (uint32_t i = targets->local_count; i < targets->count; i++)
        homes |= 1ull << targets->entries[i]->home;
    return homes;
}

static int publish_out(struct lv_channel *channel, const struct lv_message *message,
                       const struct lv_targets *targets, uint64_t homes)
{
    for (uint32_t shard = 0; homes != 0; shard++, homes >>= 1)
        if ((homes & 1) != 0) {
            int rc = publish_there(channel, message, targets, shard);
            if (rc < 0)
                return rc;
        }
    return 0;
}

/* An answer to a channel that asked. Whether it is there its shard knows; only those who want to
 * hear of it have to wait for that. */
static int publish_answer(struct lv_channel *channel, const struct lv_message *message,
                          bool mandatory)
{
    struct lv_broker *broker = channel->broker;
    uint32_t shard = 0;
    struct lv_op *op = lv_reply_to_op(broker, message, mandatory, &shard);

    if (op == NULL || (channel->confirm && begin_confirm(channel, 1ull << shard, false) < 0)) {
        lv_op_free(op);
        return -LV_E_NOMEM;
    }
    if (channel->confirm || mandatory) {
        op->enqueue.channel = channel;
        op->enqueue.publish_tag = channel->confirm ? channel->publish_tag : 0;
        channel->refs++;
    }
    lv_op_send(broker, shard, op);
    lv_broker_settle_local(broker);
    return 0;
}

/* What no queue takes. */
static int publish_nowhere(struct lv_channel *channel, const struct lv_message *message,
                           bool mandatory)
{
    if (message->exchange.size == 0 && lv_reply_to_is_name(message->key))
        return publish_answer(channel, message, mandatory);
    if (mandatory)
        channel->client->ops->returned(channel->ctx, message);
    return channel->confirm ? begin_confirm(channel, 0, false) : 0;
}

int lv_channel_check_publish(struct lv_channel *channel, const struct lv_message *message,
                             struct lv_diag *diag)
{
    struct lv_targets targets;
    int rc = lv_permit_publish(channel->client, message, diag);

    assert(!channel->closing);
    return rc < 0 ? rc : lv_route(channel->broker, channel->client->vhost, message, diag, &targets);
}

/* Is there a queue on this shard that keeps persistent messages? Else nothing is logged, and no
 * confirm may wait for the log. */
static bool is_keeping(const struct lv_targets *targets)
{
    for (uint32_t i = 0; i < targets->local_count; i++)
        if (lv_queue_is_keeping(targets->entries[i]->queue))
            return true;
    return false;
}

/* Does one of these queues have consumers that don't keep up? */
static bool is_outrun(const struct lv_targets *targets)
{
    for (uint32_t i = 0; i < targets->local_count; i++)
        if (targets->entries[i]->queue->is_lagging)
            return true;
    return false;
}

/* The route is known; now the message goes along it. */
static int publish_to(struct lv_channel *channel, const struct lv_message *message, bool mandatory,
                      const struct lv_targets *targets, struct lv_diag *diag)
{
    int rc = 0;

    channel->broker->stats.published++;
    if (LV_UNLIKELY(channel->tx != NULL))
        return lv_tx_publish(channel, message, targets, mandatory, diag);
    if (LV_UNLIKELY(targets->count == 0)) {
        rc = publish_nowhere(channel, message, mandatory);
        return rc < 0 ? lv_fail(diag, rc, "out of memory for a message") : 0;
    }
    uint64_t homes = other_homes(targets);
    bool is_logged = (message->flags & LV_MESSAGE_PERSISTENT) != 0 && is_keeping(targets);
    if (LV_UNLIKELY(is_logged))
        rc = publish_kept(channel, message, targets);
    else if (targets->local_count > 0)
        rc = publish_here(channel, message, targets);
    if (LV_UNLIKELY(is_outrun(targets)))
        channel->client->is_ahead = true;
    /* Counted only now: what failed gets no confirm. What fails below awaits one for ever. */
    if (rc == 0 && channel->confirm)
        rc = begin_confirm(channel, homes, is_logged);
    if (rc == 0 && homes != 0)
        rc = publish_out(channel, message, targets, homes);
    return rc < 0 ? lv_fail(diag, rc, "out of memory for a message") : 0;
}

int lv_channel_publish(struct lv_channel *channel, const struct lv_message *message, bool mandatory,
                       struct lv_diag *diag)
{
    bool has_extra_keys = (message->flags & LV_MESSAGE_EXTRA_KEYS) != 0;
    struct lv_message visible;
    struct lv_targets targets;
    int rc = lv_permit_publish(channel->client, message, diag);

    assert(!channel->closing);
    if (LV_LIKELY(rc == 0))
        rc = lv_route(channel->broker, channel->client->vhost, message, diag, &targets);
    if (rc != 0)
        return rc;
    /* BCC is nobody's business but ours: neither receivers see it nor who gets it back. */
    if (LV_UNLIKELY(has_extra_keys)) {
        visible = *message;
        rc = lv_route_visible(channel->broker, message, &visible.properties);
        message = &visible;
    }
    rc = rc < 0 ? lv_fail(diag, rc, "out of memory for a message")
                : publish_to(channel, message, mandatory, &targets, diag);
    if (LV_UNLIKELY(has_extra_keys))
        lv_route_forget(channel->broker);
    return rc;
}
