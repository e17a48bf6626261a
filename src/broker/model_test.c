/*
 * The engine beside a model: random commands by several clients on several shards. After every
 * command all settles, in an order drawn at random, and whatever the engine said or did must be
 * what the model says of the same command.
 */
#include "broker/core.h"
#include "broker/harness.h"

enum {
    CLIENTS = 4,
    CHANNELS = 2,
    QUEUES = 4,
    CONSUMERS_MAX = 64,
    BINDINGS_MAX = 64,
    STEPS = 1500,
};

enum state { READY, UNACKED, GONE };

struct item {
    uint64_t id; /* of the message */
    enum state state;
    bool redelivered;
};

/* One life of a queue; deliveries outlive it. */
struct queue {
    struct queue *next_life; /* own   to be freed at the end */
    struct item *items;      /* own   in the order of the queue */
    size_t count, capacity, first;
    char name[4];
    bool alive, auto_delete, had_consumer;
    int owner; /* client, -1: none */
    uint32_t consumers;
    struct consumer *exclusive;
};

struct delivery {
    uint64_t tag;
    struct queue *queue;
    size_t item;
    struct consumer *consumer; /* NULL: got */
};

struct channel {
    struct client *client;
    struct lv_channel *core;
    struct delivery *unacked; /* own */
    size_t unacked_count, unacked_capacity;
    uint64_t last_tag;
    uint32_t global_limit, global_count;
    uint16_t prefetch;
    uint64_t published, confirmed, returned;
};

struct consumer {
    struct channel *channel;
    struct queue *queue;
    char tag[8];
    uint32_t unacked;
    uint16_t prefetch;
    bool no_ack, active;
    size_t next_item; /* in this step it can only get this or a later one */
};

struct client {
    struct model *model;
    struct lv_client *core;
    struct channel channels[CHANNELS];
    int number;
    bool writable;
};

struct binding {
    bool used;
    int exchange; /* index of exchanges */
    int queue;
    char key[2];
};

struct model {
    struct lv_sim sim;
    struct lv_random random;
    struct client clients[CLIENTS];
    struct queue *queues[QUEUES]; /* alive, or NULL */
    struct queue *lives;          /* own   all of them */
    struct consumer consumers[CONSUMERS_MAX];
    struct binding bindings[BINDINGS_MAX];
    struct lv_reply reply; /* the last one */
    uint32_t replies;
    struct lv_delivery got;
    uint64_t got_id;
    uint64_t last_id, seed;
    uint32_t last_consumer;
    bool x_exists;
    bool disordered; /* messages come back by several ways in this step */
    bool bounces;    /* a global limit may send messages back at any time */
};

static const char *const exchanges[] = {"", "amq.direct", "amq.fanout", "x"};
static const char *const keys[] = {"a", "b", "c"};
static const char *const names[QUEUES] = {"q0", "q1", "q2", "q3"};

static uint32_t below(struct model *model, uint32_t bound)
{
    return (uint32_t)lv_random_below(&model->random, bound);
}

/* ---- the model's queue ---- */

static uint64_t ready_count(const struct queue *queue)
{
    uint64_t count = 0;

    for (size_t i = queue->first; i < queue->count; i++)
        count += queue->items[i].state == READY;
    return count;
}

static struct item *first_ready(struct queue *queue)
{
    for (size_t i = queue->first; i < queue->count; i++)
        if (queue->items[i].state == READY)
            return &queue->items[i];
    return NULL;
}

static void append(struct queue *queue, uint64_t id)
{
    if (queue->count == queue->capacity) {
        queue->capacity = 2 * queue->capacity + 16;
        struct item *grown = realloc(queue->items, queue->capacity * sizeof *queue->items);
        assert_non_null(grown);
        queue->items = grown;
    }
    queue->items[queue->count++] = (struct item){.id = id};
}

static void gone(struct queue *queue, size_t item)
{
    queue->items[item].state = GONE;
    while (queue->first < queue->count && queue->items[queue->first].state == GONE)
        queue->first++;
}

static void queue_end(struct model *model, struct queue *queue)
{
    queue->alive = false;
    for (int i = 0; i < QUEUES; i++)
        if (model->queues[i] == queue)
            model->queues[i] = NULL;
    for (int i = 0; i < BINDINGS_MAX; i++) {
        struct binding *binding = &model->bindings[i];
        if (binding->used && strcmp(names[binding->queue], queue->name) == 0)
            binding->used = false;
    }
}

static void consumer_end(struct model *model, struct consumer *consumer)
{
    struct queue *queue = consumer->queue;

    assert_true(consumer->active);
    consumer->active = false;
    queue->consumers--;
    if (queue->exclusive == consumer)
        queue->exclusive = NULL;
    if (queue->alive && queue->auto_delete && queue->consumers == 0)
        queue_end(model, queue);
}

/* The consumer or getter has a message. */
static void hold(struct channel *channel, struct delivery delivery)
{
    if (channel->unacked_count == channel->unacked_capacity) {
        channel->unacked_capacity = 2 * channel->unacked_capacity + 16;
        struct delivery *grown =
            realloc(channel->unacked, channel->unacked_capacity * sizeof *channel->unacked);
        assert_non_null(grown);
        channel->unacked = grown;
    }
    delivery.queue->items[delivery.item].state = UNACKED;
    channel->unacked[channel->unacked_count++] = delivery;
    if (delivery.consumer != NULL) {
        delivery.consumer->unacked++;
        channel->global_count++;
    }
}

static void settle_one(struct channel *channel, size_t index, enum lv_settle how)
{
    struct delivery delivery = channel->unacked[index];
    struct item *item = &delivery.queue->items[delivery.item];

    memmove(&channel->unacked[index], &channel->unacked[index + 1],
            (channel->unacked_count - index - 1) * sizeof delivery);
    channel->unacked_count--;
    if (delivery.consumer != NULL) {
        delivery.consumer->unacked--;
        channel->global_count--;
    }
    if (how == LV_SETTLE_REQUEUE) {
        item->state = READY;
        item->redelivered = true;
    } else {
        gone(delivery.queue, delivery.item);
    }
}

static void channel_end(struct model *model, struct channel *channel)
{
    for (int i = 0; i < CONSUMERS_MAX; i++)
        if (model->consumers[i].active && model->consumers[i].channel == channel)
            consumer_end(model, &model->consumers[i]);
    while (channel->unacked_count > 0)
        settle_one(channel, channel->unacked_count - 1, LV_SETTLE_REQUEUE);
}

/* ---- what the engine says ---- */

static uint64_t id_of(struct lv_bytes body)
{
    uint64_t id;

    assert_int_equal(body.size, sizeof id);
    memcpy(&id, body.data, sizeof id);
    return id;
}

static void on_reply(void *ctx, const struct lv_reply *reply)
{
    struct channel *channel = ctx;
    struct model *model = channel->client->model;

    model->replies++;
    model->reply = *reply;
    model->got = (struct lv_delivery){.tag = 0};
    if (reply->delivery != NULL) {
        model->got = *reply->delivery;
        model->got_id = id_of(reply->delivery->message.body);
    }
}

static void check_tag(struct channel *channel, uint64_t tag)
{
    assert_int_equal(tag, channel->last_tag + 1);
    channel->last_tag = tag;
}

static void on_deliver(void *ctx, const struct lv_delivery *delivery)
{
    struct channel *channel = ctx;
    struct consumer *consumer = delivery->consumer_ctx;
    struct queue *queue = consumer->queue;
    uint64_t id = id_of(delivery->message.body);
    size_t item = consumer->next_item;

    assert_true(consumer->active);
    assert_ptr_equal(consumer->channel, channel);
    assert_true(lv_bytes_equal(delivery->consumer_tag, lv_text(consumer->tag)));
    check_tag(channel, delivery->tag);
    while (item < queue->count && queue->items[item].id != id)
        item++;
    assert_true(item < queue->count); /* known, and not out of order */
    assert_int_equal(queue->items[item].state, READY);
    /* What was on its way to a channel of another shard when that closed comes again as well. */
    if (channel->client->model->sim.shard_count > 1)
        queue->items[item].redelivered |= delivery->redelivered;
    assert_int_equal(delivery->redelivered, queue->items[item].redelivered);
    consumer->next_item = channel->client->model->disordered ? 0 : item + 1;
    if (consumer->no_ack) {
        gone(queue, item);
        return;
    }
    assert_true(consumer->prefetch == 0 || consumer->unacked < consumer->prefetch);
    assert_true(channel->global_limit == 0 || channel->global_count < channel->global_limit);
    hold(channel, (struct delivery){delivery->tag, queue, item, consumer});
}

static void on_confirm(void *ctx, uint64_t tag, bool multiple)
{
    struct channel *channel = ctx;

    assert_true(multiple ? tag > channel->confirmed + 1 : tag == channel->confirmed + 1);
    assert_true(tag <= channel->published);
    channel->confirmed = tag;
}

static void on_returned(void *ctx, const struct lv_message *message)
{
    struct channel *channel = ctx;

    (void)message;
    channel->returned++;
}

/* Its queue is gone, which the model knows already. */
static void on_cancelled(void *ctx, struct lv_bytes tag, void *consumer_ctx)
{
    struct consumer *consumer = consumer_ctx;
    struct channel *channel = ctx;

    assert_true(consumer->active);
    assert_false(consumer->queue->alive);
    assert_true(lv_bytes_equal(tag, lv_text(consumer->tag)));
    consumer_end(channel->client->model, consumer);
}

static void on_channel_closed(void *ctx)
{
    struct channel *channel = ctx;

    channel->core = NULL;
}

static void on_client_closed(void *ctx)
{
    struct client *client = ctx;

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

/* ---- clients ---- */

static void channel_open(struct channel *channel)
{
    struct client *client = channel->client;

    assert_null(channel->core);
    channel->last_tag = channel->published = channel->confirmed = channel->returned = 0;
    channel->global_limit = channel->global_count = 0;
    channel->prefetch = 0;
    assert_int_equal(lv_channel_open(client->core, channel, NULL, &channel->core), 0);
    lv_channel_confirm_select(channel->core);
}

static void client_open(struct client *client)
{
    struct model *model = client->model;
    struct lv_client_config config = {
        .ops = &ops, .ctx = client, .vhost = lv_text("/"), .user = lv_text("guest")};
    uint32_t shard = below(model, model->sim.shard_count);

    assert_int_equal(lv_client_open(model->sim.shards[shard].broker, &config, NULL, &client->core),
                     0);
    client->writable = true;
    for (int i = 0; i < CHANNELS; i++) {
        client->channels[i].client = client;
        channel_open(&client->channels[i]);
    }
}

static void channel_close(struct channel *channel)
{
    struct model *model = channel->client->model;

    for (int i = 0; i < CONSUMERS_MAX; i++)
        model->consumers[i].next_item = 0;
    channel_end(model, channel);
    lv_channel_close(channel->core);
    lv_sim_settle(&model->sim);
    assert_null(channel->core);
}

static bool has_no_ack_consumer(const struct client *client)
{
    for (int i = 0; i < CONSUMERS_MAX; i++) {
        const struct consumer *consumer = &client->model->consumers[i];
        if (consumer->active && consumer->no_ack && consumer->channel->client == client)
            return true;
    }
    return false;
}

static void client_close(struct client *client)
{
    struct model *model = client->model;

    /* What one of its channels gives back another one's consumer without acks may still take, on
     * its way out, and nobody hears of it: here one channel goes after the other. */
    if (has_no_ack_consumer(client))
        for (int i = 0; i < CHANNELS; i++) {
            channel_close(&client->channels[i]);
            channel_open(&client->channels[i]);
        }
    /* Each of its channels goes by itself, on each shard; messages of one may be out again when
     * those of the other come back. */
    model->disordered |= model->sim.shard_count > 1;
    for (int i = 0; i < CONSUMERS_MAX; i++)
        model->consumers[i].next_item = 0;
    for (int i = 0; i < CHANNELS; i++)
        channel_end(model, &client->channels[i]);
    for (int i = 0; i < QUEUES; i++)
        if (model->queues[i] != NULL && model->queues[i]->owner == client->number)
            queue_end(model, model->queues[i]);
    lv_client_close(client->core);
    lv_sim_settle(&model->sim);
    assert_null(client->core);
}

/* ---- commands ---- */

/* All settles; the command was answered with this error (0: none). */
static void answered(struct model *model, int error)
{
    lv_sim_settle(&model->sim);
    assert_int_equal(model->replies, 1);
    assert_int_equal(model->reply.error, error);
    model->replies = 0;
}

/* What a command about the queue meets before anything else. */
static int access_error(const struct queue *queue, const struct channel *channel)
{
    if (queue == NULL)
        return -LV_E_NOT_FOUND;
    return queue->owner >= 0 && queue->owner != channel->client->number ? -LV_E_LOCKED : 0;
}

static void declare(struct model *model, struct channel *channel, int name)
{
    struct queue *queue = model->queues[name];
    struct lv_queue_declare command = {
        .name = lv_text(names[name]),
        .passive = below(model, 4) == 0,
        .exclusive = below(model, 4) == 0,
        .auto_delete = below(model, 3) == 0,
    };
    int owner = command.exclusive ? channel->client->number : -1;
    int error = 0;

    if (command.passive)
        error = access_error(queue, channel);
    else if (queue != NULL && queue->owner != owner)
        error = -LV_E_LOCKED;
    else if (queue != NULL && queue->auto_delete != command.auto_delete)
        error = -LV_E_PRECONDITION;
    uint64_t ready = queue == NULL ? 0 : ready_count(queue);
    uint32_t consumers = queue == NULL ? 0 : queue->consumers;
    if (queue == NULL && error == 0) {
        queue = calloc(1, sizeof *queue);
        assert_non_null(queue);
        (void)snprintf(queue->name, sizeof queue->name, "%s", names[name]);
        queue->alive = true;
        queue->auto_delete = command.auto_delete;
        queue->owner = owner;
        queue->next_life = model->lives;
        model->lives = queue;
        model->queues[name] = queue;
    }
    lv_queue_declare(channel->core, &command);
    answered(model, error);
    if (error < 0)
        return;
    assert_int_equal(model->reply.message_count, ready);
    assert_int_equal(model->reply.consumer_count, consumers);
}

static void delete_queue(struct model *model, struct channel *channel, int name)
{
    struct queue *queue = model->queues[name];
    bool if_unused = below(model, 2) == 0, if_empty = below(model, 2) == 0;
    int error = queue == NULL ? 0 : access_error(queue, channel);
    uint64_t ready = queue == NULL ? 0 : ready_count(queue);

    if (error == 0 && queue != NULL &&
        ((if_unused && queue->consumers > 0) || (if_empty && ready > 0)))
        error = -LV_E_PRECONDITION;
    if (error == 0 && queue != NULL)
        queue_end(model, queue);
    lv_queue_delete(channel->core, lv_text(names[name]), if_unused, if_empty);
    answered(model, error);
    if (error == 0)
        assert_int_equal(model->reply.message_count, ready);
}

static void purge(struct model *model, struct channel *channel, int name)
{
    struct queue *queue = model->queues[name];
    int error = access_error(queue, channel);
    uint64_t ready = queue == NULL ? 0 : ready_count(queue);

    for (size_t i = 0; error == 0 && i < queue->count; i++)
        if (queue->items[i].state == READY)
            gone(queue, i);
    lv_queue_purge(channel->core, lv_text(names[name]));
    answered(model, error);
    if (error == 0)
        assert_int_equal(model->reply.message_count, ready);
}

static void exchange(struct model *model, struct channel *channel)
{
    struct lv_exchange_declare command = {
        .name = lv_text("x"), .type = lv_text("direct"), .auto_delete = false};

    model->x_exists = below(model, 3) > 0;
    if (model->x_exists) {
        lv_exchange_declare(channel->core, &command);
    } else {
        for (int i = 0; i < BINDINGS_MAX; i++)
            if (model->bindings[i].exchange == 3)
                model->bindings[i].used = false;
        lv_exchange_delete(channel->core, lv_text("x"), false);
    }
    answered(model, 0);
}

static struct binding *find_binding(struct model *model, const struct binding *like)
{
    for (int i = 0; i < BINDINGS_MAX; i++) {
        struct binding *binding = &model->bindings[i];
        if (binding->used && binding->exchange == like->exchange && binding->queue == like->queue &&
            binding->key[0] == like->key[0])
            return binding;
    }
    return NULL;
}

static void bind(struct model *model, struct channel *channel, int name)
{
    bool unbind = below(model, 3) == 0;
    struct binding wanted = {.used = true, .exchange = (int)below(model, 4), .queue = name};
    struct lv_bind command = {.queue = lv_text(names[name])};
    int error = access_error(model->queues[name], channel);

    wanted.key[0] = keys[below(model, 3)][0];
    command.exchange = lv_text(exchanges[wanted.exchange]);
    command.key = lv_text(wanted.key);
    if (wanted.exchange == 0)
        error = -LV_E_ACCESS_REFUSED;
    else if (wanted.exchange == 3 && !model->x_exists)
        error = -LV_E_NOT_FOUND;
    if (unbind && error == -LV_E_NOT_FOUND)
        error = 0;
    struct binding *found = find_binding(model, &wanted);
    for (int i = 0; error == 0 && !unbind && found == NULL; i++)
        if (!model->bindings[i].used) {
            model->bindings[i] = wanted;
            break;
        }
    if (error == 0 && unbind && found != NULL)
        found->used = false;
    if (unbind)
        lv_queue_unbind(channel->core, &command);
    else
        lv_queue_bind(channel->core, &command);
    answered(model, error);
}

/* Would a message with this key go there? */
static bool routes(const struct model *model, int exchange_, const char *key, int name)
{
    if (exchange_ == 0)
        return strcmp(names[name], key) == 0;
    for (int i = 0; i < BINDINGS_MAX; i++) {
        const struct binding *binding = &model->bindings[i];
        if (binding->used && binding->exchange == exchange_ && binding->queue == name &&
            (exchange_ == 2 || binding->key[0] == key[0]))
            return true;
    }
    return false;
}

static void publish_one(struct model *model, struct channel *channel)
{
    int to = (int)below(model, 4);
    const char *key = to == 0 ? names[below(model, QUEUES)] : keys[below(model, 3)];
    bool mandatory = below(model, 2) == 0, taken = false;
    uint64_t id = ++model->last_id, returned = channel->returned;
    struct lv_message message = {
        .exchange = lv_text(exchanges[to]),
        .key = lv_text(key),
        .properties = lv_bytes("\0", 2),
        .body = lv_bytes(&id, sizeof id),
    };
    bool refused = to == 3 && !model->x_exists;

    for (int i = 0; !refused && i < QUEUES; i++)
        if (model->queues[i] != NULL && routes(model, to, key, i)) {
            append(model->queues[i], id);
            taken = true;
        }
    channel->published += !refused;
    assert_int_equal(lv_channel_publish(channel->core, &message, mandatory, NULL),
                     refused ? -LV_E_NOT_FOUND : 0);
    assert_int_equal(channel->returned - returned, !refused && !taken && mandatory);
}

static void publish(struct model *model, struct channel *channel)
{
    for (uint32_t count = 1 + below(model, 12); count > 0; count--)
        publish_one(model, channel);
    lv_sim_settle(&model->sim);
}

static void consume(struct model *model, struct channel *channel, int name)
{
    struct queue *queue = model->queues[name];
    struct consumer *consumer = NULL;
    bool exclusive = below(model, 8) == 0;
    int error = access_error(queue, channel);

    for (int i = 0; i < CONSUMERS_MAX && consumer == NULL; i++)
        if (!model->consumers[i].active && model->consumers[i].unacked == 0)
            consumer = &model->consumers[i];
    if (consumer == NULL)
        return;
    *consumer = (struct consumer){
        .channel = channel,
        .queue = queue,
        .prefetch = channel->prefetch,
        .no_ack = below(model, 3) == 0,
    };
    (void)snprintf(consumer->tag, sizeof consumer->tag, "t%u", ++model->last_consumer);
    if (error == 0 && (queue->exclusive != NULL || (exclusive && queue->consumers > 0)))
        error = -LV_E_ACCESS_REFUSED;
    if (error == 0) {
        consumer->active = true;
        queue->consumers++;
        queue->had_consumer = true;
        if (exclusive)
            queue->exclusive = consumer;
    }
    struct lv_consume command = {
        .queue = lv_text(names[name]),
        .tag = lv_text(consumer->tag),
        .no_ack = consumer->no_ack,
        .exclusive = exclusive,
        .consumer_ctx = consumer,
    };
    lv_channel_consume(channel->core, &command);
    answered(model, error);
}

static void cancel(struct model *model, struct channel *channel)
{
    struct consumer *consumer = &model->consumers[below(model, CONSUMERS_MAX)];

    if (!consumer->active || consumer->channel != channel)
        return;
    lv_channel_cancel(channel->core, lv_text(consumer->tag));
    lv_sim_settle(&model->sim); /* what was under way arrives before the answer */
    consumer_end(model, consumer);
    answered(model, 0);
}

static void get(struct model *model, struct channel *channel, int name)
{
    struct queue *queue = model->queues[name];
    int error = access_error(queue, channel);
    bool no_ack = below(model, 2) == 0;

    lv_channel_get(channel->core, lv_text(names[name]), no_ack);
    answered(model, error);
    if (error < 0)
        return;
    struct item *item = first_ready(queue);
    assert_int_equal(model->got.tag != 0, item != NULL);
    if (item == NULL)
        return;
    check_tag(channel, model->got.tag);
    assert_int_equal(model->got_id, item->id);
    item->redelivered |= model->got.redelivered && model->sim.shard_count > 1;
    assert_int_equal(model->got.redelivered, item->redelivered);
    size_t index = (size_t)(item - queue->items);
    if (no_ack)
        gone(queue, index);
    else
        hold(channel, (struct delivery){model->got.tag, queue, index, NULL});
    assert_int_equal(model->reply.message_count, ready_count(queue));
}

static void settle(struct model *model, struct channel *channel)
{
    enum lv_settle how = (enum lv_settle)below(model, 3);
    bool multiple = below(model, 3) == 0;
    uint64_t tag = 0;
    size_t at = 0;

    if (below(model, 10) == 0) /* known or not */
        tag = below(model, (uint32_t)channel->last_tag + 3);
    else if (channel->unacked_count > 0)
        tag = channel->unacked[below(model, (uint32_t)channel->unacked_count)].tag;
    while (at < channel->unacked_count && channel->unacked[at].tag != tag)
        at++;
    bool all = multiple && tag == 0;
    int error = at == channel->unacked_count && !all ? -LV_E_PRECONDITION : 0;
    if (error == 0 && multiple) {
        while (channel->unacked_count > 0 && (all || channel->unacked[0].tag <= tag))
            settle_one(channel, 0, how);
    } else if (error == 0) {
        settle_one(channel, at, how);
    }
    assert_int_equal(lv_channel_settle(channel->core, tag, multiple, how, NULL), error);
    lv_sim_settle(&model->sim);
}

static void qos(struct model *model, struct channel *channel)
{
    uint16_t limit = (uint16_t)below(model, 6);

    if (model->seed % 2 == 0 && below(model, 3) == 0) { /* order is looked at in the others */
        channel->global_limit = limit;
        model->bounces = model->sim.shard_count > 1;
        lv_channel_qos(channel->core, limit, true);
    } else {
        channel->prefetch = limit;
        lv_channel_qos(channel->core, limit, false);
    }
    lv_sim_settle(&model->sim);
}

static void step(struct model *model)
{
    struct client *client = &model->clients[below(model, CLIENTS)];
    struct channel *channel = &client->channels[below(model, CHANNELS)];
    int name = (int)below(model, QUEUES);
    uint32_t what = below(model, 1000);

    if (what < 250) {
        publish(model, channel);
    } else if (what < 520) {
        settle(model, channel);
    } else if (what < 600) {
        get(model, channel, name);
    } else if (what < 670) {
        consume(model, channel, name);
    } else if (what < 740) {
        cancel(model, channel);
    } else if (what < 830) {
        declare(model, channel, name);
    } else if (what < 845) {
        delete_queue(model, channel, name);
    } else if (what < 860) {
        purge(model, channel, name);
    } else if (what < 940) {
        bind(model, channel, name);
    } else if (what < 955) {
        exchange(model, channel);
    } else if (what < 970) {
        qos(model, channel);
    } else if (what < 980) {
        channel_close(channel);
        channel_open(channel);
    } else if (what < 985) {
        client_close(client);
        client_open(client);
    } else {
        client->writable = below(model, 2) == 0;
        lv_client_set_writable(client->core, client->writable);
        lv_sim_settle(&model->sim);
    }
}

/* ---- what always holds when nothing is under way ---- */

static bool is_able(const struct consumer *consumer)
{
    const struct channel *channel = consumer->channel;

    if (!consumer->active || !channel->client->writable)
        return false;
    return consumer->no_ack ||
           ((consumer->prefetch == 0 || consumer->unacked < consumer->prefetch) &&
            (channel->global_limit == 0 || channel->global_count < channel->global_limit));
}

static void check(struct model *model)
{
    model->disordered = model->bounces;
    for (int i = 0; i < CONSUMERS_MAX; i++) {
        struct consumer *consumer = &model->consumers[i];
        if (is_able(consumer) && consumer->queue->alive)
            assert_int_equal(ready_count(consumer->queue), 0);
        consumer->next_item = 0;
    }
    for (int i = 0; i < CLIENTS; i++)
        for (int j = 0; j < CHANNELS; j++) {
            struct channel *channel = &model->clients[i].channels[j];
            assert_int_equal(channel->confirmed, channel->published);
        }
    for (int i = 0; i < QUEUES; i++)
        assert_int_equal(lv_sim_is_gone(&model->sim, names[i]), model->queues[i] == NULL);
}

static void run(uint32_t shard_count, uint64_t seed, int steps)
{
    struct model *model = calloc(1, sizeof *model);

    assert_non_null(model);
    lv_sim_init(&model->sim, shard_count, seed);
    lv_random_seed(&model->random, seed + 7);
    model->seed = seed;
    for (int i = 0; i < CLIENTS; i++) {
        model->clients[i].model = model;
        model->clients[i].number = i;
        client_open(&model->clients[i]);
    }
    for (int i = 0; i < steps; i++) {
        step(model);
        check(model);
    }
    for (int i = 0; i < CLIENTS; i++) {
        client_close(&model->clients[i]);
        check(model);
        for (int j = 0; j < CHANNELS; j++)
            free(model->clients[i].channels[j].unacked);
    }
    while (model->lives != NULL) {
        struct queue *queue = model->lives;
        model->lives = queue->next_life;
        free(queue->items);
        free(queue);
    }
    lv_sim_fini(&model->sim);
    free(model);
}

static struct {
    uint32_t shard_count;
    uint64_t seed;
} running;

static int report(void **state)
{
    (void)state;
    if (running.shard_count > 0)
        print_message("# failed: LEVERET_SHARDS=%u LEVERET_SEED=%llu\n", running.shard_count,
                      (unsigned long long)running.seed);
    return 0;
}

/* One seed from the environment, or many; LEVERET_TEST_SIZE makes it more. */
static void run_seeds(uint32_t shard_count, uint64_t count)
{
    const char *only = getenv("LEVERET_SEED"), *size = getenv("LEVERET_TEST_SIZE");
    uint64_t first = only == NULL ? 1 : strtoull(only, NULL, 10);

    if (size != NULL && strcmp(size, "long") == 0)
        count *= 100;
    for (uint64_t seed = first; seed < first + (only == NULL ? count : 1); seed++) {
        running.shard_count = shard_count;
        running.seed = seed;
        run(shard_count, seed, STEPS);
    }
    running.shard_count = 0;
}

static void one_shard_does_as_the_model(void **state)
{
    (void)state;
    run_seeds(1, 100);
}

static void three_shards_do_as_the_model(void **state)
{
    (void)state;
    run_seeds(3, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(one_shard_does_as_the_model, report),
        cmocka_unit_test_teardown(three_shards_do_as_the_model, report),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
