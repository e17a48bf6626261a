#include "base/alloc.h"
#include "broker/core.h"
#include "broker/reply_to.h"
#include "broker/tx.h"

#define WIRE_SIZE sizeof(struct lv_wire_tag)

/* A CREDIT for so many deliveries, or for so many bytes of them. */
#define GRANT_EVERY      (LV_REMOTE_WINDOW / 4)
#define GRANT_EVERY_SIZE (LV_REMOTE_WINDOW_SIZE / 4)

/* The map of consumer tags takes the broker's key, since clients choose the tags. */
int lv_channel_open(struct lv_client *client, void *channel_ctx, struct lv_diag *diag,
                    struct lv_channel **ret_channel)
{
    struct lv_user *user = client->user;
    struct lv_channel *channel;

    assert(!client->closing);
    if (lv_tally_is_full_of_channels(client->broker, &user->tally))
        return lv_fail(diag, -LV_E_NOT_ALLOWED,
                       "number of channels opened for user '%.*s' has reached the maximum allowed "
                       "user limit of (%lld)",
                       LV_FMT(lv_user_name(user)), (long long)user->tally.max_channels);
    channel = lv_calloc(1, sizeof *channel);
    if (channel == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "no memory for a channel");
    lv_tally_count_channel(client->broker, &user->tally, false, lv_user_name(user), 1);
    channel->client = client;
    channel->broker = client->broker;
    channel->ctx = channel_ctx;
    lv_subscriber_init(&channel->subscriber, client->broker, channel);
    lv_list_init(&channel->subscriptions);
    lv_list_init(&channel->deferred);
    lv_map_init(&channel->by_tag, &channel->broker->config.hash_key);
    lv_tags_init(&channel->wire, &channel->broker->memory_size);
    channel->confirms.base = channel->confirms.next = 1;
    lv_list_push_back(&client->channels, &channel->link);
    client->broker->stats.channels++;
    *ret_channel = channel;
    return 0;
}

/* ---- other shards ---- */

/* A channel consumes from few shards, so a list is enough. */
struct lv_remote *lv_channel_remote(struct lv_channel *channel, uint32_t shard)
{
    struct lv_remote *remote = channel->remotes;

    assert(shard != channel->broker->config.shard);
    while (remote != NULL && remote->shard != shard)
        remote = remote->next;
    return remote;
}

/* An operation about deliveries, to a shard that the channel consumes from. */
static void send_about(struct lv_channel *channel, enum lv_op_kind kind, uint32_t shard,
                       struct lv_op_delivery delivery)
{
    struct lv_op *op = lv_op_new(channel->broker, kind, 0);

    assert(shard != channel->broker->config.shard);
    if (op == NULL)
        lv_broker_exhausted();
    delivery.channel = channel;
    op->delivery = delivery;
    lv_op_send(channel->broker, shard, op);
}

/* From now on tags on the wire are the channel's own: what is unacked so far keeps its number. */
static int map_tags(struct lv_channel *channel)
{
    const struct lv_tags *local = &channel->subscriber.unacked;

    assert(!channel->mapped);
    for (uint64_t tag = 0; lv_tags_seek(local, sizeof(struct lv_unacked), &tag) != NULL; tag++) {
        struct lv_wire_tag what = {.tag = tag};
        if (lv_tags_put(&channel->wire, WIRE_SIZE, tag, &what) < 0) {
            lv_tags_fini(&channel->wire, WIRE_SIZE);
            return -LV_E_NOMEM;
        }
    }
    channel->wire.base = channel->wire.next = local->next;
    channel->mapped = true;
    return 0;
}

/* Tags are mapped from now on, and before anything can come: two shards number their deliveries by
 * themselves, and the client may see each number once only. */
int lv_channel_expect(struct lv_channel *channel, uint32_t shard)
{
    assert(shard != channel->broker->config.shard);
    if (lv_channel_remote(channel, shard) != NULL)
        return 0;
    struct lv_remote *remote = lv_calloc(1, sizeof *remote);
    if (remote == NULL)
        return -LV_E_NOMEM;
    if (!channel->mapped && map_tags(channel) < 0) {
        lv_free(remote);
        return -LV_E_NOMEM;
    }
    remote->shard = shard;
    remote->next = channel->remotes;
    channel->remotes = remote;
    return 0;
}

/* From the answer to consume; no delivery can have overtaken it in the ring. */
void lv_channel_learn(struct lv_channel *channel, uint32_t shard, struct lv_subscriber *subscriber)
{
    struct lv_remote *remote = lv_channel_remote(channel, shard);

    assert(remote != NULL);
    assert(remote->subscriber == NULL);
    remote->subscriber = subscriber;
}

/* The subscriber is gone only when DETACHED has come back; until then deliveries may still arrive.
 */
void lv_channel_detach(struct lv_channel *channel, uint32_t shard, struct lv_subscriber *subscriber)
{
    assert(subscriber != NULL);
    channel->detaching++;
    send_about(channel, LV_OP_DETACH, shard, (struct lv_op_delivery){.subscriber = subscriber});
}

/* Without remote consumers the subscriber's own tags are used as they are and nothing is kept. */
uint64_t lv_channel_wire_tag(struct lv_channel *channel, const struct lv_wire_tag *what)
{
    struct lv_tags *wire = &channel->wire;

    if (!channel->mapped) { /* this shard's own numbers */
        assert(what->remote == NULL);
        uint64_t tag = what->tag != 0 ? what->tag : channel->subscriber.unacked.next;
        return what->tag != 0 || lv_subscriber_skip(&channel->subscriber) == 0 ? tag : 0;
    }
    uint64_t tag = wire->next;
    if (what->tag == 0)
        return lv_tags_skip(wire, WIRE_SIZE) == 0 ? tag : 0;
    struct lv_wire_tag *item = lv_tags_push(wire, WIRE_SIZE);
    if (item == NULL)
        return 0;
    *item = *what;
    return tag;
}

/* ---- deliveries ---- */

/* 0 means no limit (0-9-1 basic.qos). */
bool lv_channel_has_room(const struct lv_channel *channel)
{
    return channel->global_limit == 0 || channel->global_count < channel->global_limit;
}

/* There is room again: this shard's consumers first, then those of the others. */
static void make_room(struct lv_channel *channel)
{
    assert(lv_channel_has_room(channel));
    lv_subscriber_wake(&channel->subscriber);
    for (struct lv_remote *remote = channel->remotes; remote != NULL; remote = remote->next)
        if (remote->held && remote->drained) {
            remote->held = false;
            send_about(channel, LV_OP_RESUME, remote->shard,
                       (struct lv_op_delivery){.subscriber = remote->subscriber});
        }
}

/* Who waits is only woken when the count falls below the limit, not for every ack. */
void lv_channel_count(struct lv_channel *channel, int change)
{
    bool had_room = lv_channel_has_room(channel);

    assert(change == 1 || change == -1);
    assert(change == 1 || channel->global_count > 0);
    channel->global_count += (uint32_t)change;
    if (LV_UNLIKELY(!had_room && !channel->closing && lv_channel_has_room(channel)))
        make_room(channel);
}

/* The body is viewed where it lies; the session copies it or refers to it before it returns. */
void lv_channel_deliver_local(struct lv_channel *channel, const struct lv_consumer *consumer,
                              uint64_t tag, struct lv_ref ref)
{
    const struct lv_subscription *subscription = consumer->subscription;
    struct lv_delivery delivery = {
        .consumer_ctx = subscription->ctx,
        .consumer_tag = lv_bytes(subscription->tag, subscription->tag_size),
        .tag = tag,
        .redelivered = (ref.flags & LV_REF_REDELIVERED) != 0,
        .message = lv_message_view(lv_broker_view(channel->broker, ref)),
        .ref = ref,
    };

    if (LV_UNLIKELY(channel->mapped)) {
        struct lv_wire_tag what = {.tag = consumer->no_ack ? 0 : tag};
        delivery.tag = lv_channel_wire_tag(channel, &what);
        assert(delivery.tag != 0); /* it was reserved */
    }
    channel->client->ops->deliver(channel->ctx, &delivery);
}

/* Messages that bounced are back in their queue; from here on RESUME may let them come again. */
void lv_channel_drained(struct lv_channel *channel, uint32_t shard)
{
    if (channel->closing)
        return;
    struct lv_remote *remote = lv_channel_remote(channel, shard);
    assert(remote != NULL);
    assert(remote->held);
    remote->drained = true;
    if (lv_channel_has_room(channel))
        make_room(channel);
}

/* One CREDIT for many deliveries: a message per delivery would double the traffic in the rings. */
static void grant(struct lv_channel *channel, struct lv_remote *remote)
{
    struct lv_op_delivery credit = {
        .subscriber = remote->subscriber,
        .count = remote->taken,
        .size = remote->taken_size,
    };

    assert(remote->subscriber != NULL);
    send_about(channel, LV_OP_CREDIT, remote->shard, credit);
    remote->taken = 0;
    remote->taken_size = 0;
}

/* By count and by bytes: a few large messages fill a reader's output as well as many small ones. */
static bool is_grant_due(const struct lv_remote *remote)
{
    return remote->taken >= GRANT_EVERY || remote->taken_size >= GRANT_EVERY_SIZE;
}

/* When the reader takes output again, what was held back for it is granted at once. */
void lv_channel_grant(struct lv_channel *channel)
{
    for (struct lv_remote *remote = channel->remotes; remote != NULL; remote = remote->next)
        if (is_grant_due(remote))
            grant(channel, remote);
}

/* There is no room for it, or something before it was sent back: back to its place. */
static void bounce(struct lv_channel *channel, struct lv_remote *remote, uint64_t tag)
{
    assert(tag != 0);
    if (!remote->held)
        remote->drained = false;
    remote->held = true;
    send_about(channel, LV_OP_BOUNCE, remote->shard,
               (struct lv_op_delivery){.subscriber = remote->subscriber, .tag = tag});
}

/* Hands a delivery of another shard to the session. */
static void deliver(struct lv_channel *channel, struct lv_remote *remote, const struct lv_op *op)
{
    const struct lv_op_delivery *from = &op->delivery;
    const struct lv_subscription *subscription = from->subscription;
    struct lv_wire_tag what = {
        .tag = from->no_ack ? 0 : from->tag, .remote = remote, .counted = !from->no_ack};
    struct lv_delivery delivery = {
        .consumer_ctx = subscription->ctx,
        .consumer_tag = lv_bytes(subscription->tag, subscription->tag_size),
        .tag = lv_channel_wire_tag(channel, &what),
        .redelivered = from->redelivered,
        .message = lv_message_view(op->data),
    };

    assert(!channel->closing);
    assert(op->data != NULL);
    if (delivery.tag == 0 && from->no_ack)
        lv_broker_exhausted(); /* its queue has it no more: it would be lost */
    if (delivery.tag == 0) {
        bounce(channel, remote, from->tag);
        return;
    }
    if (!from->no_ack)
        lv_channel_count(channel, 1);
    channel->client->ops->deliver(channel->ctx, &delivery);
}

/* While bounces are on their way back everything bounces, or later messages would overtake them. */
void lv_channel_take_delivery(struct lv_channel *channel, const struct lv_op *op)
{
    struct lv_remote *remote;

    if (channel->closing)
        return; /* DETACH puts it back */
    remote = lv_channel_remote(channel, op->from);
    assert(remote != NULL);
    remote->taken++;
    remote->taken_size += op->size;
    if (!op->delivery.no_ack && (remote->held || !lv_channel_has_room(channel)))
        bounce(channel, remote, op->delivery.tag);
    else
        deliver(channel, remote, op);
    if (is_grant_due(remote) && channel->client->writable)
        grant(channel, remote);
}

/* RabbitMQ's reading of `global`: false is for consumers that come later, true for the channel. */
void lv_channel_qos(struct lv_channel *channel, uint16_t prefetch_count, bool global)
{
    assert(!channel->closing);
    if (!global) {
        channel->prefetch = prefetch_count;
        return;
    }
    channel->global_limit = prefetch_count;
    if (lv_channel_has_room(channel))
        make_room(channel);
}

/* ---- settling ---- */

/* RabbitMQ's words; a tag that was settled before is unknown too. */
static int unknown_tag(struct lv_diag *diag, uint64_t tag)
{
    return lv_fail(diag, -LV_E_PRECONDITION, "unknown delivery tag %llu", (unsigned long long)tag);
}

/* Tag 0 with multiple is everything so far (0-9-1 basic.ack, rule zero delivery tag). */
static int settle_local(struct lv_channel *channel, uint64_t tag, bool multiple,
                        enum lv_settle settle, struct lv_diag *diag)
{
    struct lv_subscriber *subscriber = &channel->subscriber;

    assert(!channel->mapped);
    if (LV_LIKELY(!multiple))
        return lv_subscriber_settle(subscriber, tag, settle) ? 0 : unknown_tag(diag, tag);
    if (tag != 0 && !lv_subscriber_is_unacked(subscriber, tag))
        return unknown_tag(diag, tag);
    lv_subscriber_settle_to(subscriber, tag == 0 ? UINT64_MAX : tag, settle);
    return 0;
}

/* With `to` for all up to the tag: one operation however many messages are acknowledged. */
static void send_settle(struct lv_channel *channel, struct lv_remote *remote, uint64_t tag,
                        enum lv_settle settle, bool to)
{
    struct lv_op_delivery what = {
        .subscriber = remote->subscriber, .tag = tag, .settle = settle, .to = to};

    assert(tag != 0);
    send_about(channel, LV_OP_SETTLE, remote->shard, what);
}

/* The queue has counted it as unacknowledged already, so giving it back is a requeue like any
 * other. */
void lv_channel_give_back(struct lv_channel *channel, const struct lv_wire_tag *what)
{
    if (what->tag == 0)
        return;
    if (what->remote != NULL)
        send_settle(channel, what->remote, what->tag, LV_SETTLE_REQUEUE, false);
    else if (!lv_subscriber_settle(&channel->subscriber, what->tag, LV_SETTLE_REQUEUE))
        LV_IMPOSSIBLE("what was just taken is unacknowledged");
}

/* One of this shard's, or counts what another shard will be told. Gives what the tag stood for. */
static struct lv_wire_tag settle_item(struct lv_channel *channel, uint64_t tag,
                                      struct lv_wire_tag *item, enum lv_settle settle)
{
    struct lv_wire_tag what = *item;

    lv_tags_drop(&channel->wire, WIRE_SIZE, tag, item);
    if (what.remote == NULL && !lv_subscriber_settle(&channel->subscriber, what.tag, settle))
        LV_IMPOSSIBLE("the wire knows a delivery that the subscriber doesn't");
    if (what.counted)
        lv_channel_count(channel, -1);
    return what;
}

/* All up to `tag`. What came from another shard came in the order of its tags there, so one
 * operation for each shard says it. */
static void settle_wire_to(struct lv_channel *channel, uint64_t tag, enum lv_settle settle)
{
    struct lv_wire_tag *item;

    assert(channel->mapped);
    for (uint64_t at = 0;
         (item = lv_tags_seek(&channel->wire, WIRE_SIZE, &at)) != NULL && at <= tag;) {
        struct lv_wire_tag what = settle_item(channel, at, item, settle);
        if (what.remote != NULL)
            what.remote->settle_to = what.tag;
    }
    for (struct lv_remote *remote = channel->remotes; remote != NULL; remote = remote->next) {
        if (remote->settle_to == 0)
            continue;
        send_settle(channel, remote, remote->settle_to, settle, true);
        remote->settle_to = 0;
    }
}

/* The tags of the client are this channel's; each shard is told in its own. */
static int settle_wire(struct lv_channel *channel, uint64_t tag, bool multiple,
                       enum lv_settle settle, struct lv_diag *diag)
{
    struct lv_wire_tag *item = lv_tags_find(&channel->wire, WIRE_SIZE, tag);

    assert(channel->mapped);
    if (item == NULL && (tag != 0 || !multiple))
        return unknown_tag(diag, tag);
    if (multiple) {
        settle_wire_to(channel, tag == 0 ? UINT64_MAX : tag, settle);
    } else {
        struct lv_wire_tag what = settle_item(channel, tag, item, settle);
        if (what.remote != NULL)
            send_settle(channel, what.remote, what.tag, settle, false);
    }
    return 0;
}

/* Almost every channel consumes from its own shard only and never maps a tag. */
int lv_channel_settle_now(struct lv_channel *channel, uint64_t tag, bool multiple,
                          enum lv_settle settle, struct lv_diag *diag)
{
    return LV_LIKELY(!channel->mapped) ? settle_local(channel, tag, multiple, settle, diag)
                                       : settle_wire(channel, tag, multiple, settle, diag);
}

/* Under tx.select an acknowledgement counts at the commit only. */
int lv_channel_settle(struct lv_channel *channel, uint64_t tag, bool multiple,
                      enum lv_settle settle, struct lv_diag *diag)
{
    assert(!channel->closing);
    return LV_LIKELY(channel->tx == NULL)
               ? lv_channel_settle_now(channel, tag, multiple, settle, diag)
               : lv_tx_settle(channel, tag, multiple, settle, diag);
}

/* ---- the end ---- */

/* Two steps: the session hears of the end once no answer can come any more; the memory stays while
 * late confirms still name it. */
void lv_channel_progress(struct lv_channel *channel)
{
    struct lv_client *client = channel->client;

    assert(channel->client != NULL || channel->closing);
    if (!channel->closing)
        return;
    if (client != NULL && channel->commands == 0 && channel->detaching == 0) {
        channel->client = NULL; /* closed; what is left waits for late confirms */
        lv_link_remove(&channel->link);
        channel->broker->stats.channels--;
        lv_tally_count_channel(channel->broker, &client->user->tally, false,
                               lv_user_name(client->user), -1);
        lv_list_push_back(&channel->broker->leaving, &channel->link);
        client->ops->channel_closed(channel->ctx);
        lv_client_progress(client);
    }
    if (channel->client == NULL && channel->refs == 0) {
        lv_link_remove(&channel->link);
        lv_free(channel);
    }
}

/* One shard has put everything back. */
void lv_channel_detached(struct lv_channel *channel)
{
    assert(channel->detaching > 0);
    channel->detaching--;
    lv_channel_progress(channel);
}

/* Each shard puts back what it had delivered to us, then says DETACHED. */
static void forget_remotes(struct lv_channel *channel)
{
    assert(channel->closing);
    while (channel->remotes != NULL) {
        struct lv_remote *remote = channel->remotes;
        channel->remotes = remote->next;
        if (remote->subscriber != NULL)
            lv_channel_detach(channel, remote->shard, remote->subscriber);
        lv_free(remote);
    }
    lv_tags_fini(&channel->wire, WIRE_SIZE);
}

/* Own deliveries are put back at once; the rest of the way is lv_channel_progress()'s. */
void lv_channel_begin_close(struct lv_channel *channel)
{
    struct lv_broker *broker = channel->broker;
    struct lv_link *link;

    assert(!channel->closing);
    channel->closing = true;
    if (channel->tx != NULL)
        lv_tx_close(channel);
    lv_reply_to_end(channel);
    lv_subscriber_fini(&channel->subscriber);
    forget_remotes(channel);
    while ((link = lv_list_pop_front(&channel->deferred)) != NULL)
        lv_op_free(lv_container(link, struct lv_op, link));
    while ((link = lv_list_first(&channel->subscriptions)) != NULL)
        lv_subscription_free(lv_container(link, struct lv_subscription, link));
    lv_link_clear(&channel->confirm_link);
    broker->memory_size -= channel->confirms.capacity * sizeof *channel->confirms.awaited;
    lv_free(channel->confirms.awaited);
    channel->confirms = (struct lv_confirms){0};
    lv_free(channel->last_queue);
    channel->last_queue = NULL;
    lv_channel_progress(channel);
}

/* From outside a step of the broker, so what it causes here may run at once. */
void lv_channel_close(struct lv_channel *channel)
{
    struct lv_broker *broker = channel->broker;

    assert(!broker->settling);
    lv_channel_begin_close(channel);
    lv_broker_settle_local(broker);
}
