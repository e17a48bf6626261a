#include "broker/inspect.h"

#include "broker/arguments.h"
#include "broker/core.h"
#include "broker/tx.h"

/* A slice that is being made. */
struct slice {
    struct lv_vhost *vhost; /* view */
    struct lv_walk *walk;   /* view */
    union {
        lv_queue_show_fn *queue;
        lv_exchange_show_fn *exchange;
        lv_binding_show_fn *binding;
        lv_entry_show_fn *entry;
        lv_vhost_show_fn *vhost;
        lv_user_show_fn *user;
        lv_grant_show_fn *grant;
        lv_topic_show_fn *topic;
    } show;
    struct lv_bytes of_vhost, of_user; /* view  permissions: empty for all */
    void *ctx;                         /* view  of `show` */
    uint64_t seen;                     /*       things of the objects at this position */
    uint64_t shown;                    /*       of these, by this and earlier slices */
    bool is_full;
};

/* Positions one by one, until the slice is full. One that was not finished is visited again. */
static bool walk_map(struct slice *slice, const struct lv_map *map, lv_map_visit_fn *visit)
{
    struct lv_walk *walk = slice->walk;

    for (unsigned i = 0; i < LV_WALK_STEPS && !slice->is_full; i++) {
        uint64_t next = walk->position;
        bool has_more;

        slice->seen = 0;
        slice->shown = walk->skip;
        has_more = lv_map_scan(map, &next, visit, slice);
        if (slice->shown < slice->seen) {
            walk->skip = slice->shown;
            return true;
        }
        walk->skip = 0;
        walk->position = next;
        if (!has_more)
            return false;
    }
    assert(walk->position <= UINT32_MAX);
    return true;
}

/* What this slice has to show: not what earlier ones have, and nothing more once it is full. */
static bool is_next(struct slice *slice)
{
    bool is_new = slice->seen++ >= slice->shown;

    assert(slice->seen > 0);
    return is_new && !slice->is_full;
}

static void showed(struct slice *slice, bool has_room)
{
    slice->shown++;
    assert(slice->shown == slice->seen);
    slice->is_full = !has_room;
}

/* ---- queues ---- */

/* What a queue costs besides its messages, as far as it can be told without counting. */
static uint64_t memory_of(const struct lv_queue_entry *entry)
{
    const struct lv_queue *queue = entry->queue;
    uint64_t size = sizeof *entry + entry->name_size + lv_arguments_size(entry->arguments);

    assert(queue != NULL);
    return size + sizeof *queue + queue->returned_capacity * sizeof *queue->returned +
           queue->ready.count * sizeof(struct lv_ref);
}

static void visit_queue(void *ctx, void *value)
{
    struct slice *slice = ctx;
    const struct lv_queue_entry *entry = value;

    if (entry->vhost != slice->vhost || !is_next(slice))
        return;
    struct lv_queue_view view = {
        .entry = entry,
        .ready = lv_queue_ready_count(entry->queue),
        .unacked = entry->queue->unacked_count,
        .consumers = entry->queue->consumer_count,
        .memory_size = memory_of(entry),
    };
    showed(slice, slice->show.queue(slice->ctx, &view));
}

bool lv_inspect_queues(const struct lv_broker *broker, struct lv_bytes vhost, struct lv_walk *walk,
                       lv_queue_show_fn *show, void *ctx)
{
    struct slice slice = {.walk = walk, .show.queue = show, .ctx = ctx};

    assert(show != NULL);
    slice.vhost = lv_topology_vhost(&broker->topology, vhost);
    return slice.vhost != NULL && walk_map(&slice, &broker->homes, visit_queue);
}

static void visit_entry(void *ctx, void *value)
{
    struct slice *slice = ctx;

    assert(value != NULL);
    if (is_next(slice))
        showed(slice, slice->show.entry(slice->ctx, value));
}

bool lv_inspect_entries(const struct lv_broker *broker, struct lv_bytes vhost, struct lv_walk *walk,
                        lv_entry_show_fn *show, void *ctx)
{
    struct slice slice = {.walk = walk, .show.entry = show, .ctx = ctx};

    assert(show != NULL);
    slice.vhost = lv_topology_vhost(&broker->topology, vhost);
    return slice.vhost != NULL && walk_map(&slice, &slice.vhost->queues, visit_entry);
}

/* ---- exchanges ---- */

static void visit_exchange(void *ctx, void *value)
{
    struct slice *slice = ctx;

    if (is_next(slice))
        showed(slice, slice->show.exchange(slice->ctx, value));
}

bool lv_inspect_exchanges(const struct lv_broker *broker, struct lv_bytes vhost,
                          struct lv_walk *walk, lv_exchange_show_fn *show, void *ctx)
{
    struct slice slice = {.walk = walk, .show.exchange = show, .ctx = ctx};

    assert(show != NULL);
    slice.vhost = lv_topology_vhost(&broker->topology, vhost);
    return slice.vhost != NULL && walk_map(&slice, &slice.vhost->exchanges, visit_exchange);
}

/* ---- vhosts, users and permissions ---- */

static void visit_vhost(void *ctx, void *value)
{
    struct slice *slice = ctx;

    if (is_next(slice))
        showed(slice, slice->show.vhost(slice->ctx, value));
}

bool lv_inspect_vhosts(const struct lv_broker *broker, struct lv_walk *walk, lv_vhost_show_fn *show,
                       void *ctx)
{
    struct slice slice = {.walk = walk, .show.vhost = show, .ctx = ctx};

    assert(show != NULL);
    return walk_map(&slice, &broker->topology.vhosts, visit_vhost);
}

static void visit_user(void *ctx, void *value)
{
    struct slice *slice = ctx;

    if (is_next(slice))
        showed(slice, slice->show.user(slice->ctx, value));
}

bool lv_inspect_users(const struct lv_broker *broker, struct lv_walk *walk, lv_user_show_fn *show,
                      void *ctx)
{
    struct slice slice = {.walk = walk, .show.user = show, .ctx = ctx};

    assert(show != NULL);
    return walk_map(&slice, &broker->access.users, visit_user);
}

static bool is_asked_for(const struct slice *slice, const struct lv_user *user,
                         const struct lv_grant *grant)
{
    struct lv_bytes vhost = lv_bytes(grant->name, grant->name_size);

    return (slice->of_user.size == 0 || lv_bytes_equal(slice->of_user, lv_user_name(user))) &&
           (slice->of_vhost.size == 0 || lv_bytes_equal(slice->of_vhost, vhost));
}

static void visit_grants(void *ctx, void *value)
{
    struct slice *slice = ctx;
    const struct lv_user *user = value;
    const struct lv_grant *grant;
    uint32_t cursor = 0;

    while ((grant = lv_map_next(&user->grants, &cursor)) != NULL)
        if (grant->is_granted && is_asked_for(slice, user, grant) && is_next(slice))
            showed(slice, slice->show.grant(slice->ctx, user, grant));
}

bool lv_inspect_permissions(const struct lv_broker *broker, struct lv_bytes vhost,
                            struct lv_bytes user, struct lv_walk *walk, lv_grant_show_fn *show,
                            void *ctx)
{
    struct slice slice = {
        .walk = walk, .show.grant = show, .ctx = ctx, .of_vhost = vhost, .of_user = user};

    assert(show != NULL);
    return walk_map(&slice, &broker->access.users, visit_grants);
}

static void visit_topics(void *ctx, void *value)
{
    struct slice *slice = ctx;
    const struct lv_user *user = value;
    const struct lv_grant *grant;
    const struct lv_topic_grant *topic;
    uint32_t cursor = 0;

    while ((grant = lv_map_next(&user->grants, &cursor)) != NULL) {
        uint32_t within = 0;
        if (!is_asked_for(slice, user, grant))
            continue;
        while ((topic = lv_map_next(&grant->topics, &within)) != NULL)
            if (is_next(slice))
                showed(slice, slice->show.topic(slice->ctx, user, grant, topic));
    }
}

bool lv_inspect_topic_permissions(const struct lv_broker *broker, struct lv_bytes vhost,
                                  struct lv_bytes user, struct lv_walk *walk,
                                  lv_topic_show_fn *show, void *ctx)
{
    struct slice slice = {
        .walk = walk, .show.topic = show, .ctx = ctx, .of_vhost = vhost, .of_user = user};

    assert(show != NULL);
    return walk_map(&slice, &broker->access.users, visit_topics);
}

/* ---- bindings ---- */

/* False: there is one that has to wait. */
static bool visit_binding(struct slice *slice, const struct lv_binding_view *view)
{
    if (is_next(slice))
        showed(slice, slice->show.binding(slice->ctx, view));
    return slice->seen <= slice->shown;
}

/* Those that lead to the object; `name` is the object's. */
static void visit_incoming(struct slice *slice, const struct lv_target *target,
                           struct lv_bytes name)
{
    LV_LIST_EACH(&target->incoming, link)
    {
        const struct lv_binding *binding = lv_container(link, struct lv_binding, target_link);
        struct lv_binding_view view = {
            .source = lv_exchange_name(binding->key->exchange),
            .target = name,
            .key = lv_bytes(binding->key->bytes, binding->key->size),
            .arguments = binding->arguments,
            .to_exchange = target->is_exchange,
        };

        if (!visit_binding(slice, &view))
            return;
    }
}

/* 0-9-1 §3.1.3.1: every queue is bound to the default exchange under its name. */
static void visit_bound_queue(void *ctx, void *value)
{
    struct lv_queue_entry *entry = value;
    struct lv_bytes name = lv_entry_name(entry);
    struct lv_binding_view implied = {.source = lv_text(""), .target = name, .key = name};

    assert(!entry->target.is_exchange);
    if (visit_binding(ctx, &implied))
        visit_incoming(ctx, &entry->target, name);
}

static void visit_bound_exchange(void *ctx, void *value)
{
    struct lv_exchange *exchange = value;

    assert(exchange->target.is_exchange);
    visit_incoming(ctx, &exchange->target, lv_exchange_name(exchange));
}

bool lv_inspect_bindings(const struct lv_broker *broker, struct lv_bytes vhost,
                         struct lv_walk *walk, lv_binding_show_fn *show, void *ctx)
{
    struct slice slice = {.walk = walk, .show.binding = show, .ctx = ctx};

    assert(walk->stage <= 1);
    slice.vhost = lv_topology_vhost(&broker->topology, vhost);
    if (slice.vhost == NULL)
        return false;
    if (walk->stage == 0) {
        if (!walk_map(&slice, &slice.vhost->queues, visit_bound_queue))
            *walk = (struct lv_walk){.stage = 1};
        return true;
    }
    return walk_map(&slice, &slice.vhost->exchanges, visit_bound_exchange);
}

/* ---- channels and their consumers ---- */

/* Deliveries that await an answer. What is delivered without waiting for one has no item. */
static uint64_t count_open(const struct lv_channel *channel)
{
    const struct lv_tags *tags = channel->mapped ? &channel->wire : &channel->subscriber.unacked;
    size_t size = channel->mapped ? sizeof(struct lv_wire_tag) : sizeof(struct lv_unacked);
    uint64_t count = tags->old_live;

    for (uint64_t tag = tags->base; tag < tags->next; tag++)
        count += lv_tags_is_used(lv_tags_slot(tags, size, tag));
    assert(count <= tags->next);
    return count;
}

bool lv_inspect_has_unacked(const struct lv_channel *channel)
{
    const struct lv_tags *tags = channel->mapped ? &channel->wire : &channel->subscriber.unacked;
    size_t size = channel->mapped ? sizeof(struct lv_wire_tag) : sizeof(struct lv_unacked);
    uint64_t tag = 0;

    assert(size > 0);
    return lv_tags_seek(tags, size, &tag) != NULL;
}

bool lv_inspect_has_unconfirmed(const struct lv_channel *channel)
{
    assert(channel->confirmed_tag <= channel->publish_tag);
    return channel->confirm && channel->publish_tag > channel->confirmed_tag;
}

static uint64_t count_consumers(const struct lv_channel *channel)
{
    uint64_t count = 0;

    LV_LIST_EACH(&channel->subscriptions, link)
    count++;
    assert(count >= (channel->reply_to != NULL));
    return count - (channel->reply_to != NULL); /* which is of no queue */
}

struct lv_client_view lv_inspect_client(const struct lv_client *client)
{
    assert(client->vhost != NULL);
    return (struct lv_client_view){
        .user = lv_user_name(client->user),
        .vhost = lv_vhost_name(client->vhost),
        .id = client->id,
    };
}

bool lv_inspect_channel(const struct lv_channel *channel, struct lv_channel_view *ret_view)
{
    struct lv_tx_counts tx = lv_tx_counts(channel);
    struct lv_client_view client;

    assert(ret_view != NULL);
    if (channel->client == NULL)
        return false;
    client = lv_inspect_client(channel->client);
    *ret_view = (struct lv_channel_view){
        .user = client.user,
        .vhost = client.vhost,
        .client = client.id,
        .consumers = count_consumers(channel),
        .unacked = count_open(channel) - tx.settles,
        .unconfirmed = channel->confirm ? channel->publish_tag - channel->confirmed_tag : 0,
        .uncommitted = tx.messages,
        .acks_uncommitted = tx.settles,
        .global_prefetch = channel->global_limit,
        .prefetch = channel->prefetch,
        .confirm = channel->confirm,
        .transactional = channel->tx != NULL,
    };
    return true;
}

bool lv_inspect_consumers(const struct lv_channel *channel, struct lv_walk *walk,
                          lv_consumer_show_fn *show, void *ctx)
{
    uint64_t seen = 0;

    assert(show != NULL);
    if (channel->client == NULL)
        return false;
    LV_LIST_EACH(&channel->subscriptions, link)
    {
        const struct lv_subscription *subscription =
            lv_container(link, struct lv_subscription, link);
        struct lv_consumer_view view = {
            .queue = lv_bytes(subscription->tag + subscription->tag_size, subscription->queue_size),
            .tag = lv_bytes(subscription->tag, subscription->tag_size),
            .vhost = lv_vhost_name(channel->client->vhost),
            .arguments = subscription->arguments,
            .prefetch = subscription->prefetch,
            .no_ack = subscription->no_ack,
            .exclusive = subscription->exclusive,
        };

        if (seen++ < walk->skip || subscription->is_reply_to)
            continue;
        walk->skip = seen;
        if (!show(ctx, &view))
            return true;
    }
    return false;
}
