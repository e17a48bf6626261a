#include "broker/tx.h"

#include "base/alloc.h"
#include "broker/reply_to.h"

#define SETTLES_CAPACITY_MIN 16u
#define TAGS_CAPACITY_MIN    32u

/* An acknowledgement that waits for the commit. */
struct kept_settle {
    uint64_t tag; /* on the wire */
    enum lv_settle how;
};

/* A set of tags: open addressing, at most half full. 0 is no tag. */
struct tag_set {
    uint64_t *tags;    /* own */
    uint32_t capacity; /*     0 or a power of two */
    uint32_t count;
};

/* What a channel has published and settled since the last commit. */
struct lv_tx {
    struct lv_list ops;          /* own   in the order of the publishes; `from` is where they go */
    struct kept_settle *settles; /* own   in the order in which they came */
    struct tag_set settled;      /*       the tags of `settles` */
    struct lv_pending *commit;   /* own   under way; NULL: none is */
    uint64_t size;               /*       bytes of all that is kept */
    uint64_t message_count;      /*       publishes, those that no queue takes included */
    uint64_t swept;              /*       up to this tag all that was open is kept as settled */
    uint32_t settle_count, settle_capacity;
    uint32_t awaited; /*       operations of the commit that are still out */
};

/* ---- tags ---- */

/* Open addressing: never more than half full, so the search ends. */
static uint32_t tag_index(const struct tag_set *set, uint64_t tag)
{
    uint32_t mask = set->capacity - 1;
    uint32_t index = (uint32_t)((tag * 0x9e3779b97f4a7c15u) >> 32) & mask;

    assert(set->count < set->capacity);
    while (set->tags[index] != 0 && set->tags[index] != tag)
        index = (index + 1) & mask;
    return index;
}

/* A transaction may settle a tag once only. */
static bool tag_set_has(const struct tag_set *set, uint64_t tag)
{
    assert(tag != 0);
    return set->count > 0 && set->tags[tag_index(set, tag)] == tag;
}

/* Doubling keeps the cost per tag constant. */
static int tag_set_grow(struct tag_set *set)
{
    struct tag_set larger = {.capacity =
                                 set->capacity == 0 ? TAGS_CAPACITY_MIN : 2 * set->capacity};

    larger.tags = lv_calloc(larger.capacity, sizeof *larger.tags);
    if (larger.tags == NULL)
        return -LV_E_NOMEM;
    for (uint32_t i = 0; i < set->capacity; i++)
        if (set->tags[i] != 0) {
            larger.tags[tag_index(&larger, set->tags[i])] = set->tags[i];
            larger.count++;
        }
    assert(larger.count == set->count);
    lv_free(set->tags);
    *set = larger;
    return 0;
}

/* The caller has looked that it is new. */
static int tag_set_add(struct tag_set *set, uint64_t tag)
{
    assert(tag != 0);
    if (2 * (set->count + 1) > set->capacity && tag_set_grow(set) < 0)
        return -LV_E_NOMEM;
    uint32_t index = tag_index(set, tag);
    assert(set->tags[index] == 0);
    set->tags[index] = tag;
    set->count++;
    return 0;
}

/* ---- what is kept ---- */

/* More bytes are kept, or fewer. */
static void account(struct lv_channel *channel, int64_t size)
{
    assert(size >= 0 || channel->tx->size >= (uint64_t)-size);
    channel->tx->size += (uint64_t)size;
    channel->broker->memory_size += (uint64_t)size;
}

/* A transaction is held in memory until it ends, so it is a peer's choice that needs a bound. */
static int check_size(const struct lv_channel *channel, uint64_t more, struct lv_diag *diag)
{
    assert(channel->tx->size <= LV_TX_SIZE_MAX);
    if (channel->tx->size + more <= LV_TX_SIZE_MAX)
        return 0;
    return lv_fail(diag, -LV_E_PRECONDITION, "transaction is larger than the maximum of %u bytes",
                   LV_TX_SIZE_MAX);
}

/* They were only noted: the deliveries are as open as before. */
static void forget_settles(struct lv_channel *channel)
{
    struct lv_tx *tx = channel->tx;

    assert(tx->settle_count <= tx->settle_capacity);
    lv_free(tx->settles);
    lv_free(tx->settled.tags);
    tx->settles = NULL;
    tx->settled = (struct tag_set){0};
    tx->settle_count = tx->settle_capacity = 0;
    tx->swept = 0;
}

/* At a rollback, and after a commit has sent what there was. */
static void forget(struct lv_channel *channel)
{
    struct lv_tx *tx = channel->tx;
    struct lv_link *link;

    while ((link = lv_list_pop_front(&tx->ops)) != NULL)
        lv_op_free(lv_container(link, struct lv_op, link));
    tx->message_count = 0;
    forget_settles(channel);
    account(channel, -(int64_t)tx->size);
    assert(tx->size == 0);
}

/* ---- publishes ---- */

/* Takes an operation that a commit sends to `shard`. */
static int keep(struct lv_channel *channel, uint32_t shard, struct lv_op *op, struct lv_diag *diag)
{
    uint64_t size = sizeof *op + op->size;
    int rc = check_size(channel, size, diag);

    assert(op->enqueue.publish_tag == 0); /* of no confirm */
    if (rc < 0) {
        lv_op_free(op);
        return rc;
    }
    op->enqueue.channel = channel;
    op->enqueue.transacted = true;
    op->from = shard; /* until it is sent */
    lv_list_push_back(&channel->tx->ops, &op->link);
    account(channel, (int64_t)size);
    return 0;
}

/* The message is encoded now, as its frame's bytes are gone at the commit. */
static int keep_for(struct lv_channel *channel, const struct lv_message *message,
                    const struct lv_targets *targets, uint32_t shard, struct lv_diag *diag)
{
    struct lv_op *op = lv_enqueue_op(channel->broker, message, targets, shard);

    assert(shard < channel->broker->config.shard_count);
    if (op == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory for a message");
    return keep(channel, shard, op, diag);
}

/* To a channel that asked. */
static int keep_answer(struct lv_channel *channel, const struct lv_message *message, bool mandatory,
                       struct lv_diag *diag)
{
    uint32_t shard = 0;
    struct lv_op *op = lv_reply_to_op(channel->broker, message, mandatory, &shard);

    assert(lv_reply_to_is_name(message->key));
    if (op == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory for a message");
    return keep(channel, shard, op, diag);
}

/* Routed now and not at the commit, as RabbitMQ does it: bindings made in between do not count. */
int lv_tx_publish(struct lv_channel *channel, const struct lv_message *message,
                  const struct lv_targets *targets, bool mandatory, struct lv_diag *diag)
{
    uint64_t done = 0;

    assert(channel->tx->commit == NULL);
    channel->tx->message_count++;
    if (targets->count == 0 && message->exchange.size == 0 && lv_reply_to_is_name(message->key))
        return keep_answer(channel, message, mandatory, diag);
    if (targets->count == 0 && !mandatory)
        return 0;
    if (targets->count == 0) /* an operation for no queue: to be returned */
        return keep_for(channel, message, targets, channel->broker->config.shard, diag);
    for (uint32_t i = 0; i < targets->count; i++) {
        uint32_t shard = targets->entries[i]->home;
        if ((done >> shard & 1) != 0)
            continue;
        done |= 1ull << shard;
        int rc = keep_for(channel, message, targets, shard, diag);
        if (rc < 0)
            return rc; /* the channel fails, and all goes with it */
    }
    return 0;
}

/* ---- settles ---- */

/* The first delivery of at least *tag that awaits an answer. False: there is none. */
static bool seek_open(const struct lv_channel *channel, uint64_t *tag)
{
    const void *item =
        channel->mapped
            ? lv_tags_seek(&channel->wire, sizeof(struct lv_wire_tag), tag)
            : lv_tags_seek(&channel->subscriber.unacked, sizeof(struct lv_unacked), tag);

    assert(*tag > 0);
    return item != NULL;
}

/* Exactly this one, where seek_open() takes the next. */
static bool is_open(const struct lv_channel *channel, uint64_t tag)
{
    uint64_t at = tag;

    assert(channel->tx != NULL);
    return tag != 0 && seek_open(channel, &at) && at == tag;
}

/* Noted until the commit; whether the tag is right was checked at once, so that the client hears of
 * it here. */
static int keep_settle(struct lv_channel *channel, uint64_t tag, enum lv_settle how,
                       struct lv_diag *diag)
{
    struct lv_tx *tx = channel->tx;
    int rc = check_size(channel, sizeof *tx->settles, diag);

    assert(channel->tx->commit == NULL);
    if (rc < 0)
        return rc;
    if (tx->settle_count == tx->settle_capacity) {
        uint32_t capacity =
            tx->settle_capacity == 0 ? SETTLES_CAPACITY_MIN : 2 * tx->settle_capacity;
        struct kept_settle *settles = lv_realloc(tx->settles, capacity * sizeof *settles);
        if (settles == NULL)
            return lv_fail(diag, -LV_E_NOMEM, "out of memory for a transaction");
        tx->settles = settles;
        tx->settle_capacity = capacity;
    }
    if (tag_set_add(&tx->settled, tag) < 0)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory for a transaction");
    tx->settles[tx->settle_count++] = (struct kept_settle){.tag = tag, .how = how};
    account(channel, sizeof *tx->settles);
    return 0;
}

/* All that is open up to the tag and not kept yet. */
static int keep_settles_to(struct lv_channel *channel, uint64_t tag, enum lv_settle how,
                           struct lv_diag *diag)
{
    struct lv_tx *tx = channel->tx;
    int rc = 0;

    assert(channel->tx->commit == NULL);
    for (uint64_t at = tx->swept + 1; rc == 0 && seek_open(channel, &at) && at <= tag; at++) {
        if (!tag_set_has(&tx->settled, at))
            rc = keep_settle(channel, at, how, diag);
        tx->swept = at;
    }
    return rc;
}

/* The same error for the same mistake as without a transaction. */
int lv_tx_settle(struct lv_channel *channel, uint64_t tag, bool multiple, enum lv_settle how,
                 struct lv_diag *diag)
{
    assert(channel->tx->commit == NULL);
    if (multiple && tag == 0)
        return keep_settles_to(channel, UINT64_MAX, how, diag);
    if (!is_open(channel, tag) || tag_set_has(&channel->tx->settled, tag))
        return lv_fail(diag, -LV_E_PRECONDITION, "unknown delivery tag %llu",
                       (unsigned long long)tag);
    return multiple ? keep_settles_to(channel, tag, how, diag)
                    : keep_settle(channel, tag, how, diag);
}

/* Everything that is not acknowledged goes back (0-9-1 basic.recover). In a transaction an
 * acknowledgement that is noted has not happened for others but has for this channel. */
void lv_channel_recover(struct lv_channel *channel)
{
    struct lv_diag diag;
    int rc = 0;

    assert(!channel->closing);
    if (channel->tx == NULL)
        rc = lv_channel_settle(channel, 0, true, LV_SETTLE_REQUEUE, &diag);
    for (uint64_t at = 1; channel->tx != NULL && seek_open(channel, &at); at++)
        if (!tag_set_has(&channel->tx->settled, at)) /* else it is no longer unacknowledged */
            rc = lv_channel_settle_now(channel, at, false, LV_SETTLE_REQUEUE, &diag);
    if (rc < 0)
        LV_IMPOSSIBLE("what is open can be settled");
    lv_broker_settle_local(channel->broker);
}

/* ---- the ends of a transaction ---- */

/* Confirms and transactions exclude each other. */
bool lv_channel_is_transactional(const struct lv_channel *channel)
{
    assert(channel->client != NULL);
    return channel->tx != NULL;
}

/* Selecting twice is fine. */
int lv_channel_tx_select(struct lv_channel *channel, struct lv_diag *diag)
{
    assert(!channel->closing);
    if (channel->confirm)
        return lv_fail(diag, -LV_E_PRECONDITION, "cannot switch from confirm to tx mode");
    if (channel->tx != NULL)
        return 0;
    channel->tx = lv_calloc(1, sizeof *channel->tx);
    if (channel->tx == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory for a transaction");
    lv_list_init(&channel->tx->ops);
    return 0;
}

/* RabbitMQ's words for commit and rollback without select. */
static int check_selected(const struct lv_channel *channel, struct lv_diag *diag)
{
    assert(channel->broker != NULL);
    return channel->tx != NULL ? 0
                               : lv_fail(diag, -LV_E_PRECONDITION, "channel is not transactional");
}

/* Everything leaves at once, in the order in which it came; what no queue takes is returned. */
static void send_kept(struct lv_channel *channel)
{
    struct lv_tx *tx = channel->tx;
    struct lv_broker *broker = channel->broker;
    struct lv_link *link;

    assert(tx->commit != NULL);
    while ((link = lv_list_pop_front(&tx->ops)) != NULL) {
        struct lv_op *op = lv_container(link, struct lv_op, link);
        uint32_t shard = op->from;
        if (op->kind == LV_OP_ENQUEUE && op->enqueue.queue_count == 0) {
            struct lv_message message = lv_message_view(op->data);
            channel->client->ops->returned(channel->ctx, &message);
            lv_op_free(op);
            continue;
        }
        op->from = broker->config.shard;
        tx->awaited++;
        channel->refs++;
        lv_op_send(broker, shard, op);
    }
}

/* After the publishes: whoever gets what is requeued here may get the new messages behind it. */
static void settle_kept(struct lv_channel *channel)
{
    struct lv_tx *tx = channel->tx;
    struct lv_diag diag;

    for (uint32_t i = 0; i < tx->settle_count; i++)
        if (lv_channel_settle_now(channel, tx->settles[i].tag, false, tx->settles[i].how, &diag) <
            0)
            LV_IMPOSSIBLE("what a transaction has settled nobody else settles");
}

/* What was settled here is on disk before the commit is answered. Without memory to wait for that
 * it is answered at once: a crash may bring back what was settled. */
static void finish_self(struct lv_channel *channel)
{
    struct lv_broker *broker = channel->broker;
    struct lv_op *op = broker->config.log == NULL ? NULL : lv_op_new(broker, LV_OP_ENQUEUED, 0);

    if (op == NULL) {
        lv_tx_enqueued(channel);
        return;
    }
    op->enqueue.channel = channel;
    op->enqueue.transacted = true;
    lv_promise_send(broker, broker->config.shard, op);
}

/* commit-ok is sent when every queue of every shard has its messages: nothing of it is lost then,
 * whatever else ends. */
void lv_channel_tx_commit(struct lv_channel *channel)
{
    struct lv_broker *broker = channel->broker;
    struct lv_tx *tx = channel->tx;
    struct lv_diag diag;
    int rc = check_selected(channel, &diag);

    if (rc < 0) {
        lv_command_refuse(channel, LV_COMMAND_TX_COMMIT, rc, &diag);
        return;
    }
    assert(tx->commit == NULL);
    tx->commit = lv_pending_new(channel->client, channel, LV_COMMAND_TX_COMMIT);
    if (tx->commit == NULL) {
        lv_command_refuse_memory(channel, LV_COMMAND_TX_COMMIT);
        return;
    }
    tx->awaited = 1; /* this function itself */
    channel->refs++;
    send_kept(channel);
    settle_kept(channel);
    forget(channel);
    finish_self(channel);
    lv_broker_settle_local(broker);
}

/* Deliveries that were acknowledged in it are open again. */
int lv_channel_tx_rollback(struct lv_channel *channel, struct lv_diag *diag)
{
    int rc = check_selected(channel, diag);

    assert(!channel->closing);
    if (rc == 0)
        forget(channel);
    return rc;
}

/* The last of them answers the commit, even when the channel is closing meanwhile. */
void lv_tx_enqueued(struct lv_channel *channel)
{
    struct lv_tx *tx = channel->tx;
    struct lv_pending *commit = tx->commit;

    assert(tx->awaited > 0);
    assert(channel->refs > 0);
    channel->refs--;
    if (--tx->awaited > 0)
        return;
    tx->commit = NULL;
    if (channel->closing) {
        lv_free(tx);
        channel->tx = NULL;
    }
    lv_pending_finish(commit, NULL); /* may free the channel */
}

/* What was not committed never was. */
void lv_tx_close(struct lv_channel *channel)
{
    assert(channel->closing);
    forget(channel);
    if (channel->tx->commit != NULL)
        return; /* its messages are on their way; the last of them ends it */
    lv_free(channel->tx);
    channel->tx = NULL;
}

struct lv_tx_counts lv_tx_counts(const struct lv_channel *channel)
{
    const struct lv_tx *tx = channel->tx;

    assert(tx == NULL || tx->settle_count <= tx->settle_capacity);
    if (tx == NULL)
        return (struct lv_tx_counts){.messages = 0};
    return (struct lv_tx_counts){.messages = tx->message_count, .settles = tx->settle_count};
}
