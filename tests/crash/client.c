#include "client.h"

#include "broker/core.h"

#include <stdlib.h>

#define EXCHANGE "crash.all"

static uint32_t below(const struct crash_client *client, uint32_t bound)
{
    return (uint32_t)lv_random_below(client->random, bound);
}

static void *grow(void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    *capacity = *capacity == 0 ? 64 : 2 * *capacity;
    array = realloc(array, *capacity * size);
    if (array == NULL)
        abort();
    return array;
}

/* ---- what it hears ---- */

static struct crash_copy *copy_of(const struct crash_client *client, uint32_t queue, uint32_t id)
{
    assert(queue < CRASH_QUEUES);
    assert(id < client->model->id_count);
    return &client->model->copies[queue][id];
}

static void note(struct crash_client *client, const struct lv_delivery *delivery, uint32_t queue,
                 bool no_ack)
{
    uint32_t id = crash_body_read(client->model, delivery->message.body);
    struct crash_copy *copy = copy_of(client, queue, id);
    const char *name = client->model->queues[queue].name;
    struct crash_held held = {.queue = queue, .id = no_ack ? 0 : id};

    crash_trace("%u of %s comes%s%s", id, name, no_ack ? ", for good" : "",
                delivery->redelivered ? ", again" : "");
    CRASH_RULE(delivery->tag == client->held_count + 1, "a tag is left out");
    if (!copy->sent) {
        CRASH_RULE(client->epochs[queue] > 0, "queue %s: %u comes from nowhere", name, id);
        held.id = 0;
    } else {
        CRASH_RULE(!copy->out, "queue %s: %u is given to two", name, id);
        CRASH_RULE(!copy->settled, "queue %s: %u comes after it was settled", name, id);
        CRASH_RULE(delivery->redelivered || !(copy->delivered || copy->redelivered),
                   "queue %s: %u is not marked", name, id);
        copy->delivered = true;
        copy->out = !no_ack;
        copy->settled = no_ack;
    }
    client->held =
        grow(client->held, client->held_count, &client->held_capacity, sizeof *client->held);
    client->held[client->held_count++] = held;
}

static void committed(struct crash_client *client)
{
    for (size_t i = 0; i < client->committing; i++)
        crash_model_confirmed(client->model, client->sent[i].id);
    client->sent_count = client->committing = 0;
}

/* What the manager wanted has happened, or can't. */
static void changed(struct crash_client *client, const struct lv_reply *reply)
{
    struct crash_queue *queue = &client->model->queues[client->command_queue];
    enum crash_known known = reply->error == 0 ? CRASH_PRESENT : CRASH_ABSENT;

    crash_trace("command %d about %s is answered: %d", (int)reply->command, queue->name,
                reply->error);
    switch (reply->command) {
    case LV_COMMAND_EXCHANGE_DECLARE:
        CRASH_RULE(reply->error == 0, "the exchange can't be declared: %s", reply->text);
        client->model->exchange = known;
        break;
    case LV_COMMAND_QUEUE_DECLARE:
        CRASH_RULE(reply->error == 0, "queue %s can't be declared: %s", queue->name, reply->text);
        if (queue->known == CRASH_PERHAPS)
            queue->bound = CRASH_ABSENT;
        queue->known = known;
        break;
    case LV_COMMAND_QUEUE_DELETE:
        CRASH_RULE(reply->error == 0, "queue %s can't be deleted: %s", queue->name, reply->text);
        crash_model_deleted(client->model, client->command_queue);
        break;
    case LV_COMMAND_BIND:
        queue->bound = known;
        break;
    case LV_COMMAND_UNBIND:
        queue->bound = CRASH_ABSENT;
        break;
    default:
        break;
    }
}

static void on_reply(void *ctx, const struct lv_reply *reply)
{
    struct crash_client *client = ctx;

    CRASH_RULE(client->waits && reply->command == client->command, "an answer nobody waits for");
    client->waits = false;
    if (client->checks_count && reply->error == 0)
        CRASH_RULE(reply->message_count >= client->count_min &&
                       reply->message_count <= client->count_max,
                   "queue %s has %llu messages, not %llu to %llu",
                   client->model->queues[client->command_queue].name,
                   (unsigned long long)reply->message_count, (unsigned long long)client->count_min,
                   (unsigned long long)client->count_max);
    else if (!client->checks_count)
        changed(client, reply);
    client->checks_count = false;
    if (reply->command == LV_COMMAND_TX_COMMIT && reply->error == 0)
        committed(client);
    if (reply->command == LV_COMMAND_CANCEL ||
        (reply->command == LV_COMMAND_CONSUME && reply->error < 0))
        client->consumers[client->command_queue].is_on = false;
    if (reply->delivery != NULL)
        note(client, reply->delivery, client->command_queue, client->got_no_ack);
}

static void on_deliver(void *ctx, const struct lv_delivery *delivery)
{
    const struct crash_consumer *consumer = delivery->consumer_ctx;

    CRASH_RULE(consumer->client == ctx && consumer->is_on, "a delivery to nobody");
    note(ctx, delivery, consumer->queue, consumer->no_ack);
}

static void on_confirm(void *ctx, uint64_t tag, bool multiple)
{
    struct crash_client *client = ctx;

    CRASH_RULE(tag > client->confirmed && tag <= client->sent_count, "confirm of an unknown tag");
    if (!multiple)
        CRASH_RULE(tag == client->confirmed + 1, "a confirm is left out");
    for (; client->confirmed < tag; client->confirmed++)
        crash_model_confirmed(client->model, client->sent[client->confirmed].id);
}

static void on_returned(void *ctx, const struct lv_message *message)
{
    const struct crash_client *client = ctx;

    (void)crash_body_read(client->model, message->body);
}

static void on_cancelled(void *ctx, struct lv_bytes tag, void *consumer_ctx)
{
    struct crash_consumer *consumer = consumer_ctx;

    (void)tag;
    assert(consumer->client == ctx);
    consumer->is_on = false;
}

static void on_channel_closed(void *ctx)
{
    struct crash_client *client = ctx;

    assert(client->channel != NULL);
    client->channel = NULL;
}

static void on_client_closed(void *ctx)
{
    struct crash_client *client = ctx;

    assert(client->core != NULL);
    client->core = NULL;
}

static const struct lv_client_ops ops = {
    .reply = on_reply,
    .deliver = on_deliver,
    .confirm = on_confirm,
    .returned = on_returned,
    .cancelled = on_cancelled,
    .channel_closed = on_channel_closed,
    .client_closed = on_client_closed,
};

/* ---- coming and going ---- */

/* What it had goes back to the queues. */
static void let_go(struct crash_client *client)
{
    for (size_t i = 0; i < client->held_count; i++)
        if (client->held[i].id != 0)
            copy_of(client, client->held[i].queue, client->held[i].id)->out = false;
    client->held_count = client->sent_count = client->confirmed = client->committing = 0;
    client->waits = client->checks_count = false;
    for (uint32_t i = 0; i < CRASH_QUEUES; i++)
        client->consumers[i].is_on = false;
}

static void open_client(struct crash_client *client)
{
    uint32_t shard = below(client, client->world->sim.shard_count);
    struct lv_client_config config = {
        .ops = &ops, .ctx = client, .vhost = lv_text("/"), .user = lv_text("guest")};

    let_go(client);
    client->is_closing = false;
    client->source = (uint16_t)client->model->source_count++;
    assert(client->source < CRASH_SOURCES_MAX);
    if (lv_client_open(client->world->sim.shards[shard].broker, &config, NULL, &client->core) < 0 ||
        lv_channel_open(client->core, client, NULL, &client->channel) < 0)
        abort();
    client->mode = (enum crash_mode)below(client, 4);
    if (client->mode == CRASH_TX) {
        if (lv_channel_tx_select(client->channel, NULL) < 0)
            abort();
    } else if (client->mode != CRASH_PLAIN) {
        client->mode = CRASH_CONFIRM;
        lv_channel_confirm_select(client->channel);
    }
    for (uint32_t i = 0; i < CRASH_QUEUES; i++)
        client->consumers[i] = (struct crash_consumer){.client = client, .queue = i};
}

void crash_client_lose(struct crash_client *client)
{
    client->waits = false;
    if (client->core != NULL && !client->is_closing)
        lv_client_close(client->core);
    client->is_closing = true;
}

void crash_client_fini(struct crash_client *client)
{
    assert(client->core == NULL);
    free(client->held);
    free(client->sent);
}

/* ---- messages ---- */

static uint32_t body_size(const struct crash_client *client)
{
    uint32_t what = below(client, 200);

    if (what == 0)
        return 70000 + below(client, 40000); /* more than a file of the log has */
    if (what < 4)
        return 12000 + below(client, 9000); /* about a page */
    return 8 + below(client, what < 20 ? 3000 : 200);
}

/* To whom it goes, as far as that is known. */
static struct crash_sent aim(const struct crash_client *client, bool is_fanout, uint32_t queue)
{
    struct crash_sent sent = {.id = 0};

    for (uint32_t i = 0; i < CRASH_QUEUES; i++) {
        const struct crash_queue *at = &client->model->queues[i];
        bool is_certain = at->known == CRASH_PRESENT && (!is_fanout || at->bound == CRASH_PRESENT);
        if ((!is_fanout && i != queue) || at->known == CRASH_ABSENT ||
            (is_fanout && at->bound == CRASH_ABSENT))
            continue;
        sent.queues |= 1u << i;
        sent.certain |= (uint32_t)is_certain << i;
        sent.epochs[i] = client->epochs[i];
    }
    return sent;
}

static void tell_model(struct crash_client *client, const struct crash_sent *sent)
{
    for (uint32_t i = 0; i < CRASH_QUEUES; i++) {
        enum crash_known known = client->model->queues[i].known;
        bool is_same = sent->epochs[i] == client->epochs[i];

        if ((sent->queues >> i & 1) == 0 || (!is_same && known != CRASH_PERHAPS))
            continue; /* what a transaction sends to a queue that is gone since is lost */
        crash_model_sent(client->model, i, sent->id,
                         is_same && known == CRASH_PRESENT && (sent->certain >> i & 1) != 0);
    }
}

static void publish(struct crash_client *client)
{
    static uint8_t body[110000];
    uint32_t queue = below(client, 3) == 0 ? 0 : below(client, CRASH_QUEUES);
    bool is_fanout = client->model->exchange == CRASH_PRESENT && below(client, 4) == 0;
    bool is_persistent = below(client, 6) > 0;
    struct crash_sent sent = aim(client, is_fanout, queue);
    struct lv_message message = {
        .exchange = lv_text(is_fanout ? EXCHANGE : ""),
        .key = lv_text(client->model->queues[queue].name),
        .properties = lv_bytes("\0", 2),
        .body = lv_bytes(body, body_size(client)),
        .flags = is_persistent ? LV_MESSAGE_PERSISTENT : 0,
    };

    if (client->model->id_count >= CRASH_IDS_MAX)
        return;
    sent.id = crash_model_new_id(client->model, client->source, is_persistent);
    crash_body_write(sent.id, body, (uint32_t)message.body.size);
    client->sent =
        grow(client->sent, client->sent_count, &client->sent_capacity, sizeof *client->sent);
    if (client->mode != CRASH_PLAIN)
        client->sent[client->sent_count++] = sent;
    if (client->mode != CRASH_TX)
        tell_model(client, &sent);
    if (lv_channel_publish(client->channel, &message, below(client, 5) == 0, NULL) < 0)
        crash_fail(__FILE__, __LINE__, "a publish fails");
}

/* Its end, or its return. */
static void let_one_go(struct crash_client *client, struct crash_held *held, enum lv_settle how)
{
    struct crash_copy *copy = copy_of(client, held->queue, held->id);

    copy->out = false;
    if (how != LV_SETTLE_REQUEUE && copy->sent)
        copy->settled = true;
    crash_trace("settled %u of %s: %d", held->id, client->model->queues[held->queue].name,
                (int)how);
    held->id = 0;
    held->is_pending = false;
}

static void settle(struct crash_client *client)
{
    enum lv_settle how = below(client, 4) == 0   ? LV_SETTLE_REQUEUE
                         : below(client, 4) == 0 ? LV_SETTLE_REJECT
                                                 : LV_SETTLE_ACK;
    bool multiple = below(client, 5) == 0;
    size_t back = below(client, 12), tag;

    if (back >= client->held_count)
        return;
    tag = client->held_count - back;
    if (lv_channel_settle(client->channel, tag, multiple, how, NULL) < 0)
        return; /* settled already */
    for (size_t at = multiple ? 1 : tag; at <= tag; at++) {
        struct crash_held *held = &client->held[at - 1];
        if (held->id == 0 || held->is_pending)
            continue;
        held->is_pending = true;
        held->how = how;
        if (client->mode != CRASH_TX)
            let_one_go(client, held, how);
    }
}

static void commit(struct crash_client *client)
{
    for (size_t i = 0; i < client->held_count; i++)
        if (client->held[i].is_pending)
            let_one_go(client, &client->held[i], client->held[i].how);
    for (size_t i = 0; i < client->sent_count; i++)
        tell_model(client, &client->sent[i]);
    client->committing = client->sent_count;
    client->command = LV_COMMAND_TX_COMMIT;
    client->waits = true;
    lv_channel_tx_commit(client->channel);
}

static void roll_back(struct crash_client *client)
{
    for (size_t i = 0; i < client->held_count; i++)
        client->held[i].is_pending = false;
    client->sent_count = 0;
    if (lv_channel_tx_rollback(client->channel, NULL) < 0)
        crash_fail(__FILE__, __LINE__, "a rollback fails");
}

/* ---- commands ---- */

static void await(struct crash_client *client, enum lv_command command, uint32_t queue)
{
    assert(!client->waits);
    crash_trace("command %d about %s", (int)command, client->model->queues[queue].name);
    client->command = command;
    client->command_queue = queue;
    client->waits = true;
}

static void declare(struct crash_client *client, uint32_t at)
{
    struct crash_queue *queue = &client->model->queues[at];
    struct lv_queue_declare command = {.name = lv_text(queue->name), .durable = queue->durable};

    if (queue->known == CRASH_ABSENT) {
        queue->known = CRASH_PERHAPS;
        queue->bound = CRASH_ABSENT;
    }
    await(client, LV_COMMAND_QUEUE_DECLARE, at);
    lv_queue_declare(client->channel, &command);
}

static void bind(struct crash_client *client, uint32_t at, bool is_bind)
{
    struct crash_queue *queue = &client->model->queues[at];
    struct lv_bind command = {.queue = lv_text(queue->name), .exchange = lv_text(EXCHANGE)};

    if (queue->known != CRASH_PRESENT)
        return;
    if (queue->bound != (is_bind ? CRASH_PRESENT : CRASH_ABSENT))
        queue->bound = CRASH_PERHAPS;
    await(client, is_bind ? LV_COMMAND_BIND : LV_COMMAND_UNBIND, at);
    if (is_bind)
        lv_queue_bind(client->channel, &command);
    else
        lv_queue_unbind(client->channel, &command);
}

/* The topology; it is the only one that changes it, so it knows what there is. */
static void manage(struct crash_client *client)
{
    uint32_t queue = below(client, CRASH_QUEUES), what = below(client, 20);
    struct lv_exchange_declare exchange = {
        .name = lv_text(EXCHANGE), .type = lv_text("fanout"), .durable = true};

    if (client->model->exchange != CRASH_PRESENT) {
        client->model->exchange = CRASH_PERHAPS;
        await(client, LV_COMMAND_EXCHANGE_DECLARE, 0);
        lv_exchange_declare(client->channel, &exchange);
    } else if (client->model->queues[queue].known == CRASH_ABSENT || what < 2) {
        declare(client, queue);
    } else if (what == 2 && queue >= 2) {
        crash_model_deleting(client->model, queue);
        client->epochs[queue]++;
        await(client, LV_COMMAND_QUEUE_DELETE, queue);
        lv_queue_delete(client->channel, lv_text(client->model->queues[queue].name), false, false);
    } else if (what < 8) {
        bind(client, queue, what < 6);
    }
}

/* Two queues will do. */
static bool may_leak(uint32_t queue)
{
    assert(queue < CRASH_QUEUES);
    return queue == 1 || queue == 4;
}

static void consume(struct crash_client *client, uint32_t queue)
{
    struct crash_consumer *consumer = &client->consumers[queue];
    struct lv_consume command = {.queue = lv_text(client->model->queues[queue].name),
                                 .tag = lv_text(client->model->queues[queue].name),
                                 .no_ack = may_leak(queue) && below(client, 3) == 0,
                                 .consumer_ctx = consumer};

    consumer->is_on = true;
    consumer->no_ack = command.no_ack;
    client->model->queues[queue].leaks |= command.no_ack;
    await(client, LV_COMMAND_CONSUME, queue);
    lv_channel_consume(client->channel, &command);
}

static void command(struct crash_client *client)
{
    uint32_t queue = below(client, CRASH_QUEUES - 1), what = below(client, 20);
    struct lv_bytes name = lv_text(client->model->queues[queue].name);

    if (client->mode == CRASH_TX && below(client, 2) == 0) {
        if (below(client, 5) == 0)
            roll_back(client);
        else
            commit(client);
    } else if (what < 4 && !client->consumers[queue].is_on) {
        consume(client, queue);
    } else if (what < 10) {
        await(client, LV_COMMAND_CANCEL, queue);
        lv_channel_cancel(client->channel, name);
    } else {
        client->got_no_ack = may_leak(queue) && below(client, 3) == 0;
        client->model->queues[queue].leaks |= client->got_no_ack;
        await(client, LV_COMMAND_GET, queue);
        lv_channel_get(client->channel, name, client->got_no_ack);
    }
}

void crash_client_act(struct crash_client *client, bool is_manager)
{
    uint32_t what = below(client, 200);

    if (client->core == NULL) {
        open_client(client);
        return;
    }
    if (client->is_closing)
        return;
    if (what == 0 && !is_manager) {
        client->model->is_exact = false;
        let_go(client);
        crash_client_lose(client);
    } else if (what < 4) {
        lv_channel_qos(client->channel, (uint16_t)below(client, 20), below(client, 2) == 0);
    } else if (client->waits) {
        return;
    } else if (is_manager) {
        manage(client);
    } else if (what < 110) {
        publish(client);
    } else if (what < 170) {
        settle(client);
    } else {
        command(client);
    }
}

/* How many messages wait, as far as that is certain. */
static void expect_count(struct crash_client *client, uint32_t queue)
{
    client->count_min = client->count_max = 0;
    for (uint32_t id = 1; id < client->model->id_count; id++) {
        const struct crash_copy *copy = copy_of(client, queue, id);
        if (!copy->sent || copy->out || copy->settled)
            continue;
        client->count_max++;
        client->count_min += copy->certain && !client->model->queues[queue].leaks;
    }
    client->checks_count = true;
}

void crash_client_purge(struct crash_client *client, uint32_t queue)
{
    if (client->core == NULL || client->is_closing || client->waits ||
        client->model->queues[queue].known != CRASH_PRESENT)
        return;
    expect_count(client, queue);
    await(client, LV_COMMAND_QUEUE_PURGE, queue);
    lv_queue_purge(client->channel, lv_text(client->model->queues[queue].name));
    for (uint32_t id = 1; id < client->model->id_count; id++) {
        struct crash_copy *copy = copy_of(client, queue, id);
        if (copy->sent && !copy->out)
            copy->settled = true;
    }
}

void crash_client_measure(struct crash_client *client, uint32_t queue)
{
    struct lv_queue_declare command = {.name = lv_text(client->model->queues[queue].name),
                                       .passive = true};

    if (client->core == NULL || client->is_closing || client->waits ||
        client->model->queues[queue].known != CRASH_PRESENT)
        return;
    expect_count(client, queue);
    await(client, LV_COMMAND_QUEUE_DECLARE, queue);
    lv_queue_declare(client->channel, &command);
}

/* ---- what a recovered broker has ---- */

/* A client that takes all and tells nobody but the findings. */
struct drain {
    struct crash_world *world;       /* view */
    const struct crash_model *model; /* view */
    struct crash_found *found;       /* view  of the queue that is emptied */
    struct lv_client *core;
    struct lv_channel *channel;
    uint64_t count; /* of messages, as the last declare has told */
    bool is_answered, got;
    int error;
};

static void found_one(struct drain *drain, const struct lv_delivery *delivery)
{
    struct crash_found *found = drain->found;

    assert(found->count < CRASH_IDS_MAX);
    found->ids[found->count] = crash_body_read(drain->model, delivery->message.body);
    found->redelivered[found->count++] = delivery->redelivered;
}

static void drain_reply(void *ctx, const struct lv_reply *reply)
{
    struct drain *drain = ctx;

    drain->is_answered = true;
    drain->error = reply->error;
    drain->count = reply->message_count;
    drain->got = reply->delivery != NULL;
    if (drain->got)
        found_one(drain, reply->delivery);
}

static void drain_deliver(void *ctx, const struct lv_delivery *delivery)
{
    assert(ctx != NULL);
    found_one(ctx, delivery);
}

static void drain_channel_closed(void *ctx)
{
    struct drain *drain = ctx;

    drain->channel = NULL;
}

static void drain_client_closed(void *ctx)
{
    struct drain *drain = ctx;

    drain->core = NULL;
}

static const struct lv_client_ops drain_ops = {
    .reply = drain_reply,
    .deliver = drain_deliver,
    .channel_closed = drain_channel_closed,
    .client_closed = drain_client_closed,
};

static void answered(struct drain *drain, const char *what)
{
    crash_world_settle(drain->world);
    CRASH_RULE(drain->is_answered, "no answer to a %s", what);
    drain->is_answered = false;
}

static uint64_t ask_count(struct drain *drain, const char *name)
{
    struct lv_queue_declare declare = {.name = lv_text(name), .passive = true};

    lv_queue_declare(drain->channel, &declare);
    answered(drain, "declare");
    return drain->count;
}

static bool is_bound(const struct crash_world *world, const char *name)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < world->sim.shard_count; i++) {
        const struct lv_vhost *vhost =
            lv_topology_vhost(&world->sim.shards[i].broker->topology, lv_text("/"));
        const struct lv_queue_entry *entry = lv_vhost_queue(vhost, lv_text(name));
        count += entry != NULL && !lv_list_is_empty(&entry->target.incoming);
    }
    CRASH_RULE(count == 0 || count == world->sim.shard_count, "shards differ about %s", name);
    return count > 0;
}

static void drain_queue(struct drain *drain, const char *name, bool by_get)
{
    struct lv_consume consume = {.queue = lv_text(name), .no_ack = true};
    uint64_t count = ask_count(drain, name), damaged = drain->world->damaged_count;

    drain->found->is_there = drain->error == 0;
    crash_trace("queue %s has %llu messages", name, (unsigned long long)count);
    if (drain->error < 0)
        return;
    drain->found->is_bound = is_bound(drain->world, name);
    do {
        if (by_get)
            lv_channel_get(drain->channel, lv_text(name), true);
        else
            lv_channel_consume(drain->channel, &consume);
        answered(drain, "get");
    } while (by_get && drain->got);
    damaged = drain->world->damaged_count - damaged;
    /* What is settled already may be damaged, too. */
    CRASH_RULE(count >= drain->found->count &&
                   (count <= drain->found->count + damaged || drain->world->is_cut),
               "queue %s: %u messages come, not %llu", name, drain->found->count,
               (unsigned long long)count);
    count = ask_count(drain, name);
    CRASH_RULE(count == 0, "queue %s: %llu messages don't come", name, (unsigned long long)count);
}

static bool has_exchange(const struct crash_world *world)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < world->sim.shard_count; i++) {
        const struct lv_vhost *vhost =
            lv_topology_vhost(&world->sim.shards[i].broker->topology, lv_text("/"));
        count += lv_vhost_exchange(vhost, lv_text(EXCHANGE)) != NULL;
    }
    CRASH_RULE(count == 0 || count == world->sim.shard_count, "shards differ about the exchange");
    return count > 0;
}

void crash_drain(struct crash_world *world, const struct crash_model *model,
                 struct lv_random *random, struct crash_findings *ret_findings)
{
    struct drain drain = {.world = world, .model = model};
    struct lv_client_config config = {
        .ops = &drain_ops, .ctx = &drain, .vhost = lv_text("/"), .user = lv_text("guest")};
    uint32_t shard = (uint32_t)lv_random_below(random, world->sim.shard_count);

    *ret_findings = (struct crash_findings){.has_exchange = has_exchange(world)};
    if (lv_client_open(world->sim.shards[shard].broker, &config, NULL, &drain.core) < 0 ||
        lv_channel_open(drain.core, &drain, NULL, &drain.channel) < 0)
        abort();
    for (uint32_t i = 0; i < CRASH_QUEUES; i++) {
        drain.found = &ret_findings->queues[i];
        drain_queue(&drain, model->queues[i].name, lv_random_below(random, 3) == 0);
    }
    lv_client_close(drain.core);
    crash_world_end(world);
    crash_world_settle(world);
}
