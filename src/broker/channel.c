#include "base/alloc.h"
#include "broker/core.h"

#define TAGS_CAPACITY_MIN 16u
#define GRANT_EVERY       (LV_REMOTE_WINDOW / 4) /* deliveries per CREDIT */

int lv_channel_open(struct lv_client *client, void *channel_ctx, struct lv_channel **ret_channel)
{
    struct lv_channel *channel = lv_calloc(1, sizeof *channel);

    assert(!client->closing);
    if (channel == NULL)
        return -LV_E_NOMEM;
    channel->client = client;
    channel->broker = client->broker;
    channel->ctx = channel_ctx;
    lv_subscriber_init(&channel->subscriber, client->broker, channel);
    lv_list_init(&channel->subscriptions);
    lv_list_init(&channel->deferred);
    channel->confirms.base = channel->confirms.next = 1;
    lv_list_push_back(&client->channels, &channel->link);
    client->broker->stats.channels++;
    *ret_channel = channel;
    return 0;
}

/* ---- other shards ---- */

struct lv_remote *lv_channel_remote(struct lv_channel *channel, uint32_t shard)
{
    struct lv_remote *remote = channel->remotes;

    while (remote != NULL && remote->shard != shard)
        remote = remote->next;
    return remote;
}

/* An operation about deliveries, to a shard that the channel consumes from. */
static void send_about(struct lv_channel *channel, enum lv_op_kind kind, uint32_t shard,
                       struct lv_op_delivery delivery)
{
    struct lv_op *op = lv_op_new(channel->broker, kind, 0);

    if (op == NULL)
        lv_broker_exhausted();
    delivery.channel = channel;
    op->delivery = delivery;
    lv_op_send(channel->broker, shard, op);
}

/* From now on tags on the wire are the channel's own: what is unacked so far keeps its number. */
static void map_tags(struct lv_channel *channel)
{
    const struct lv_subscriber *local = &channel->subscriber;
    uint32_t capacity = TAGS_CAPACITY_MIN;

    while (capacity < local->next_tag - local->base_tag)
        capacity *= 2;
    channel->wire.ring = lv_calloc(capacity, sizeof *channel->wire.ring);
    if (channel->wire.ring == NULL)
        lv_broker_exhausted();
    channel->wire.capacity = capacity;
    channel->wire.base = local->base_tag;
    channel->wire.next = local->next_tag;
    for (uint64_t tag = local->base_tag; tag < local->next_tag; tag++)
        if (lv_subscriber_is_unacked(local, tag))
            channel->wire.ring[tag & (capacity - 1)].tag = tag;
    channel->broker->memory_size += capacity * sizeof *channel->wire.ring;
}

void lv_channel_add_remote(struct lv_channel *channel, uint32_t shard,
                           struct lv_subscriber *subscriber)
{
    struct lv_remote *remote = lv_calloc(1, sizeof *remote);

    if (remote == NULL)
        lv_broker_exhausted();
    remote->shard = shard;
    remote->subscriber = subscriber;
    remote->next = channel->remotes;
    channel->remotes = remote;
    if (channel->wire.ring == NULL)
        map_tags(channel);
}

void lv_channel_detach(struct lv_channel *channel, uint32_t shard, struct lv_subscriber *subscriber)
{
    channel->detaching++;
    send_about(channel, LV_OP_DETACH, shard, (struct lv_op_delivery){.subscriber = subscriber});
}

static struct lv_wire_tag *wire_slot(const struct lv_channel *channel, uint64_t tag)
{
    return &channel->wire.ring[tag & (channel->wire.capacity - 1)];
}

static void grow_wire(struct lv_channel *channel)
{
    struct lv_wire_tags *wire = &channel->wire;
    uint32_t capacity = 2 * wire->capacity;
    struct lv_wire_tag *ring = lv_calloc(capacity, sizeof *ring);

    if (ring == NULL)
        lv_broker_exhausted();
    for (uint64_t tag = wire->base; tag < wire->next; tag++)
        ring[tag & (capacity - 1)] = *wire_slot(channel, tag);
    channel->broker->memory_size += (capacity - wire->capacity) * sizeof *ring;
    lv_free(wire->ring);
    wire->ring = ring;
    wire->capacity = capacity;
}

uint64_t lv_channel_wire_tag(struct lv_channel *channel, struct lv_remote *remote, uint64_t tag,
                             bool counted)
{
    struct lv_wire_tags *wire = &channel->wire;

    if (wire->ring == NULL) { /* this shard's own numbers */
        assert(remote == NULL);
        if (tag != 0)
            return tag;
        tag = channel->subscriber.next_tag;
        if (lv_subscriber_skip(&channel->subscriber) < 0)
            lv_broker_exhausted();
        return tag;
    }
    if (tag == 0 && wire->base == wire->next) { /* nothing is unacked: nothing to remember */
        wire->base++;
        return wire->next++;
    }
    if (wire->next - wire->base == wire->capacity)
        grow_wire(channel);
    *wire_slot(channel, wire->next) =
        (struct lv_wire_tag){.tag = tag, .remote = remote, .counted = counted};
    return wire->next++;
}

/* ---- deliveries ---- */

bool lv_channel_has_room(const struct lv_channel *channel)
{
    return channel->global_limit == 0 || channel->global_count < channel->global_limit;
}

/* There is room again: this shard's consumers first, then those of the others. */
static void make_room(struct lv_channel *channel)
{
    lv_subscriber_wake(&channel->subscriber);
    for (struct lv_remote *remote = channel->remotes; remote != NULL; remote = remote->next)
        if (remote->held) {
            remote->held = false;
            send_about(channel, LV_OP_RESUME, remote->shard,
                       (struct lv_op_delivery){.subscriber = remote->subscriber});
        }
}

void lv_channel_count(struct lv_channel *channel, int change)
{
    bool had_room = lv_channel_has_room(channel);

    channel->global_count += (uint32_t)change;
    if (LV_UNLIKELY(!had_room && !channel->closing && lv_channel_has_room(channel)))
        make_room(channel);
}

void lv_channel_deliver_local(struct lv_channel *channel, const struct lv_consumer *consumer,
                              uint64_t tag, struct lv_ref ref)
{
    const struct lv_subscription *subscription = consumer->subscription;
    struct lv_store *store = channel->broker->config.store;
    struct lv_delivery delivery = {
        .consumer_ctx = subscription->ctx,
        .consumer_tag = lv_bytes(subscription->tag, subscription->tag_size),
        .tag = tag,
        .redelivered = (ref.flags & LV_REF_REDELIVERED) != 0,
        .message = lv_message_view(lv_store_view(store, ref)),
        .ref = ref,
    };

    if (LV_UNLIKELY(channel->wire.ring != NULL))
        delivery.tag = lv_channel_wire_tag(channel, NULL, consumer->no_ack ? 0 : tag, false);
    channel->client->ops->deliver(channel->ctx, &delivery);
}

static void grant(struct lv_channel *channel, struct lv_remote *remote)
{
    send_about(channel, LV_OP_CREDIT, remote->shard,
               (struct lv_op_delivery){.subscriber = remote->subscriber, .count = remote->taken});
    remote->taken = 0;
}

void lv_channel_grant(struct lv_channel *channel)
{
    for (struct lv_remote *remote = channel->remotes; remote != NULL; remote = remote->next)
        if (remote->taken >= GRANT_EVERY)
            grant(channel, remote);
}

void lv_channel_take_delivery(struct lv_channel *channel, const struct lv_op *op)
{
    const struct lv_op_delivery *from = &op->delivery;
    const struct lv_subscription *subscription = from->subscription;
    struct lv_remote *remote;

    if (channel->closing)
        return; /* DETACH puts it back */
    remote = lv_channel_remote(channel, op->from);
    assert(remote != NULL);
    remote->taken++;
    if (!from->no_ack && !lv_channel_has_room(channel)) {
        remote->held = true;
        send_about(channel, LV_OP_BOUNCE, op->from,
                   (struct lv_op_delivery){.subscriber = from->subscriber, .tag = from->tag});
    } else {
        struct lv_delivery delivery = {
            .consumer_ctx = subscription->ctx,
            .consumer_tag = lv_bytes(subscription->tag, subscription->tag_size),
            .tag =
                lv_channel_wire_tag(channel, remote, from->no_ack ? 0 : from->tag, !from->no_ack),
            .redelivered = from->redelivered,
            .message = lv_message_view(op->data),
        };
        if (!from->no_ack)
            lv_channel_count(channel, 1);
        channel->client->ops->deliver(channel->ctx, &delivery);
    }
    if (remote->taken >= GRANT_EVERY && channel->client->writable)
        grant(channel, remote);
}

void lv_channel_qos(struct lv_channel *channel, uint16_t prefetch_count, bool global)
{
    if (!global) {
        channel->prefetch = prefetch_count;
        return;
    }
    channel->global_limit = prefetch_count;
    if (lv_channel_has_room(channel))
        make_room(channel);
}

/* ---- settling ---- */

static int unknown_tag(struct lv_diag *diag, uint64_t tag)
{
    return lv_fail(diag, -LV_E_PRECONDITION, "unknown delivery tag %llu", (unsigned long long)tag);
}

static int settle_local(struct lv_channel *channel, uint64_t tag, bool multiple,
                        enum lv_settle settle, struct lv_diag *diag)
{
    struct lv_subscriber *subscriber = &channel->subscriber;

    if (multiple && tag == 0) {
        if (subscriber->next_tag > subscriber->base_tag)
            lv_subscriber_settle_to(subscriber, subscriber->next_tag - 1, settle);
        return 0;
    }
    if (!lv_subscriber_is_unacked(subscriber, tag))
        return unknown_tag(diag, tag);
    if (multiple)
        lv_subscriber_settle_to(subscriber, tag, settle);
    else
        lv_subscriber_settle(subscriber, tag, settle);
    return 0;
}

static void settle_wire_tag(struct lv_channel *channel, struct lv_wire_tag *wire,
                            enum lv_settle settle)
{
    struct lv_wire_tag what = *wire;

    if (what.tag == 0)
        return;
    wire->tag = 0;
    if (what.remote == NULL) {
        lv_subscriber_settle(&channel->subscriber, what.tag, settle);
        return;
    }
    send_about(channel, LV_OP_SETTLE, what.remote->shard,
               (struct lv_op_delivery){
                   .subscriber = what.remote->subscriber, .tag = what.tag, .settle = settle});
    if (what.counted)
        lv_channel_count(channel, -1);
}

static int settle_wire(struct lv_channel *channel, uint64_t tag, bool multiple,
                       enum lv_settle settle, struct lv_diag *diag)
{
    struct lv_wire_tags *wire = &channel->wire;
    bool all = multiple && tag == 0;

    if (all)
        tag = wire->next - 1;
    else if (tag < wire->base || tag >= wire->next || wire_slot(channel, tag)->tag == 0)
        return unknown_tag(diag, tag);
    for (uint64_t at = multiple ? wire->base : tag; at <= tag; at++)
        settle_wire_tag(channel, wire_slot(channel, at), settle);
    while (wire->base < wire->next && wire_slot(channel, wire->base)->tag == 0)
        wire->base++;
    return 0;
}

int lv_channel_settle(struct lv_channel *channel, uint64_t tag, bool multiple,
                      enum lv_settle settle, struct lv_diag *diag)
{
    assert(!channel->closing);
    return LV_LIKELY(channel->wire.ring == NULL)
               ? settle_local(channel, tag, multiple, settle, diag)
               : settle_wire(channel, tag, multiple, settle, diag);
}

/* ---- the end ---- */

void lv_channel_progress(struct lv_channel *channel)
{
    struct lv_client *client = channel->client;

    if (!channel->closing)
        return;
    if (client != NULL && channel->commands == 0 && channel->detaching == 0) {
        channel->client = NULL; /* closed; what is left waits for late confirms */
        lv_link_remove(&channel->link);
        channel->broker->stats.channels--;
        client->ops->channel_closed(channel->ctx);
        lv_client_progress(client);
    }
    if (channel->client == NULL && channel->refs == 0)
        lv_free(channel);
}

void lv_channel_detached(struct lv_channel *channel)
{
    assert(channel->detaching > 0);
    channel->detaching--;
    lv_channel_progress(channel);
}

static void forget_remotes(struct lv_channel *channel)
{
    while (channel->remotes != NULL) {
        struct lv_remote *remote = channel->remotes;
        channel->remotes = remote->next;
        lv_channel_detach(channel, remote->shard, remote->subscriber);
        lv_free(remote);
    }
    channel->broker->memory_size -= channel->wire.capacity * sizeof *channel->wire.ring;
    lv_free(channel->wire.ring);
    channel->wire = (struct lv_wire_tags){0};
}

void lv_channel_close(struct lv_channel *channel)
{
    struct lv_broker *broker = channel->broker;
    struct lv_link *link;

    assert(!channel->closing);
    channel->closing = true;
    lv_subscriber_fini(&channel->subscriber);
    forget_remotes(channel);
    while ((link = lv_list_pop_front(&channel->deferred)) != NULL)
        lv_op_free(lv_container(link, struct lv_op, link));
    while ((link = lv_list_pop_front(&channel->subscriptions)) != NULL)
        lv_subscription_free(lv_container(link, struct lv_subscription, link));
    lv_link_clear(&channel->confirm_link);
    broker->memory_size -= channel->confirms.capacity * sizeof *channel->confirms.awaited;
    lv_free(channel->confirms.awaited);
    channel->confirms = (struct lv_confirms){0};
    lv_free(channel->last_queue);
    channel->last_queue = NULL;
    lv_channel_progress(channel);
    lv_broker_settle_local(broker);
}
