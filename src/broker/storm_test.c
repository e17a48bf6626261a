/*
 * Commands of many clients that never wait for each other: nothing settles in between, clients and
 * queues go at any time. What has to hold is little and absolute: one answer for each command,
 * every publish confirmed, delivery tags without gaps, no message after it was acknowledged, none
 * left over in the end.
 */
#include "broker/core.h"
#include "broker/harness.h"

enum { CLIENTS = 6, STEPS = 1200, QUEUES = 5, REPLIES = QUEUES, IDS_MAX = STEPS * 4 };

struct client;

struct consumer {
    struct client *client;
    int queue;
    bool no_ack;
};

/* A connection with one channel. */
struct client {
    struct storm *storm;
    struct lv_client *core;
    struct lv_channel *channel;
    uint64_t published, confirmed, last_tag, settled_to;
    uint64_t ids[IDS_MAX];                 /* by delivery tag: message and queue */
    struct consumer consumers[QUEUES + 1]; /* the last one of direct answers */
    bool consumes[QUEUES + 1];
    int got_queue;
    bool got_no_ack;
    bool waits; /* for an answer */
    bool channel_closing, transactional;
    enum lv_command command;
    int command_queue;
};

struct storm {
    struct lv_sim sim;
    struct lv_random random;
    struct client clients[CLIENTS];
    uint64_t last_id;
    bool done[QUEUES][IDS_MAX]; /* acknowledged, or given without need of that */
    bool seen[QUEUES][IDS_MAX];
    uint64_t deliveries;
    bool wild;
};

static const char *const names[QUEUES] = {"q0", "q1", "q2", "q3", "q4"};

static uint32_t below(struct storm *storm, uint32_t bound)
{
    return (uint32_t)lv_random_below(&storm->random, bound);
}

static void note(struct client *client, const struct lv_delivery *delivery, int queue, bool no_ack)
{
    struct storm *storm = client->storm;
    uint64_t id;

    assert_int_equal(delivery->message.body.size, sizeof id);
    memcpy(&id, delivery->message.body.data, sizeof id);
    assert_int_equal(delivery->tag, client->last_tag + 1);
    client->last_tag = delivery->tag;
    assert_in_range(id, 1, storm->last_id);
    storm->deliveries++;
    client->ids[delivery->tag] = 0;
    if (storm->wild)
        return;
    assert_false(storm->done[queue][id]);
    if (storm->seen[queue][id])
        assert_true(delivery->redelivered);
    storm->seen[queue][id] = true;
    storm->done[queue][id] = no_ack;
    client->ids[delivery->tag] = no_ack ? 0 : id * QUEUES + (uint64_t)queue;
}

static void on_reply(void *ctx, const struct lv_reply *reply)
{
    struct client *client = ctx;

    assert_true(client->waits);
    assert_int_equal(reply->command, client->command);
    client->waits = false;
    if (reply->command == LV_COMMAND_CONSUME && reply->error < 0)
        client->consumes[client->command_queue] = false;
    if (reply->command == LV_COMMAND_CANCEL)
        client->consumes[client->command_queue] = false;
    if (reply->delivery != NULL)
        note(client, reply->delivery, client->got_queue, client->got_no_ack);
}

static void on_deliver(void *ctx, const struct lv_delivery *delivery)
{
    const struct consumer *consumer = delivery->consumer_ctx;

    assert_ptr_equal(consumer->client, ctx);
    assert_true(consumer->client->consumes[consumer->queue]);
    note(ctx, delivery, consumer->queue, consumer->no_ack);
}

static void on_confirm(void *ctx, uint64_t tag, bool multiple)
{
    struct client *client = ctx;

    assert_true(multiple ? tag > client->confirmed + 1 : tag == client->confirmed + 1);
    assert_true(tag <= client->published);
    client->confirmed = tag;
}

static void on_returned(void *ctx, const struct lv_message *message)
{
    (void)ctx;
    (void)message;
}

static void on_cancelled(void *ctx, struct lv_bytes tag, void *consumer_ctx)
{
    const struct consumer *consumer = consumer_ctx;

    (void)tag;
    assert_ptr_equal(consumer->client, ctx);
    assert_true(consumer->client->consumes[consumer->queue]);
    consumer->client->consumes[consumer->queue] = false;
}

static void on_channel_closed(void *ctx)
{
    struct client *client = ctx;

    client->channel = NULL;
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

static void open_channel(struct client *client)
{
    client->published = client->confirmed = client->last_tag = client->settled_to = 0;
    memset(client->consumes, 0, sizeof client->consumes);
    client->channel_closing = false;
    assert_int_equal(lv_channel_open(client->core, client, NULL, &client->channel), 0);
    client->transactional = client->storm->wild && below(client->storm, 3) == 0;
    if (client->transactional)
        assert_int_equal(lv_channel_tx_select(client->channel, NULL), 0);
    else
        lv_channel_confirm_select(client->channel);
}

static void open_client(struct client *client)
{
    struct storm *storm = client->storm;
    uint32_t shard = below(storm, storm->sim.shard_count);
    struct lv_client_config config = {
        .ops = &ops, .ctx = client, .vhost = lv_text("/"), .user = lv_text("guest")};

    assert_int_equal(lv_client_open(storm->sim.shards[shard].broker, &config, NULL, &client->core),
                     0);
    client->waits = false;
    open_channel(client);
}

static void publish(struct client *client)
{
    struct storm *storm = client->storm;
    uint64_t id = ++storm->last_id;
    bool fanout = below(storm, 3) == 0;
    struct lv_message message = {
        .exchange = lv_text(fanout ? "amq.fanout" : ""),
        .key = lv_text(names[below(storm, QUEUES)]),
        .properties = lv_bytes("\0", 2),
        .body = lv_bytes(&id, sizeof id),
    };

    struct client *other = &storm->clients[below(storm, CLIENTS)];
    if (storm->wild && !fanout && other->channel != NULL && !other->channel->closing &&
        lv_channel_reply_to(other->channel).size > 0)
        message.key = lv_channel_reply_to(other->channel);
    client->published += !client->transactional;
    assert_int_equal(lv_channel_publish(client->channel, &message, below(storm, 2) == 0, NULL), 0);
}

static void settle(struct client *client)
{
    struct storm *storm = client->storm;
    enum lv_settle how = (enum lv_settle)below(storm, 3);
    bool multiple = below(storm, 4) == 0;
    uint64_t tag = client->last_tag - below(storm, 12);

    if (storm->wild) {
        int rc = lv_channel_settle(client->channel, tag, multiple, how, NULL);
        assert_true(rc == 0 || rc == -LV_E_PRECONDITION);
        return;
    }
    if (tag == 0 || tag > client->last_tag || client->ids[tag] == 0) {
        if (tag > 0)
            assert_int_equal(lv_channel_settle(client->channel, tag, multiple, how, NULL),
                             -LV_E_PRECONDITION);
        return;
    }
    assert_int_equal(lv_channel_settle(client->channel, tag, multiple, how, NULL), 0);
    for (uint64_t at = multiple ? 1 : tag; at <= tag; at++) {
        uint64_t id = client->ids[at];
        client->ids[at] = 0;
        if (id != 0 && how != LV_SETTLE_REQUEUE)
            storm->done[id % QUEUES][id / QUEUES] = true;
    }
}

/* What only some storms have. */
static void wild_command(struct client *client)
{
    struct storm *storm = client->storm;
    struct lv_exchange_bind bind = {.destination = lv_text("amq.direct"),
                                    .source = lv_text("amq.fanout"),
                                    .key = lv_text(names[below(storm, QUEUES)])};
    struct consumer *consumer = &client->consumers[REPLIES];
    struct lv_consume consume = {.queue = lv_text("amq.rabbitmq.reply-to"),
                                 .tag = lv_text("replies"),
                                 .no_ack = true,
                                 .consumer_ctx = consumer};
    uint32_t what = below(storm, 10);

    if (what < 3 && client->transactional) {
        client->command = LV_COMMAND_TX_COMMIT;
        lv_channel_tx_commit(client->channel);
    } else if (what == 3 && client->transactional) {
        client->waits = false;
        assert_int_equal(lv_channel_tx_rollback(client->channel, NULL), 0);
    } else if (what < 6 && !client->consumes[REPLIES]) {
        *consumer = (struct consumer){.client = client, .queue = REPLIES, .no_ack = true};
        client->consumes[REPLIES] = true;
        client->command_queue = REPLIES;
        client->command = LV_COMMAND_CONSUME;
        lv_channel_consume(client->channel, &consume);
    } else if (what < 7) {
        client->command_queue = REPLIES;
        client->command = LV_COMMAND_CANCEL;
        lv_channel_cancel(client->channel, lv_text("replies"));
    } else if (what < 8) {
        client->command = LV_COMMAND_BIND;
        lv_exchange_bind_exchange(client->channel, &bind);
    } else {
        client->waits = false;
        lv_channel_recover(client->channel);
    }
}

/* Something that is answered. */
static void command(struct client *client)
{
    struct storm *storm = client->storm;
    int queue = (int)below(storm, QUEUES);
    struct lv_bytes name = lv_text(names[queue]);
    struct lv_queue_declare declare = {.name = name,
                                       .exclusive = queue == 3 && below(storm, 2) == 0,
                                       .auto_delete = queue == 4,
                                       .passive = below(storm, 8) == 0};
    struct lv_bind bind = {.queue = name, .exchange = lv_text("amq.fanout"), .key = lv_text("k")};
    struct consumer *consumer = &client->consumers[queue];
    struct lv_consume consume = {.queue = name,
                                 .tag = name,
                                 .no_ack = below(storm, 3) == 0,
                                 .exclusive = below(storm, 10) == 0,
                                 .consumer_ctx = consumer};
    uint32_t what = below(storm, 100);

    client->waits = true;
    client->command_queue = client->got_queue = queue;
    if (storm->wild && below(storm, 4) == 0) {
        wild_command(client);
    } else if (what < 30) {
        client->command = LV_COMMAND_QUEUE_DECLARE;
        lv_queue_declare(client->channel, &declare);
    } else if (what < 50 && !client->consumes[queue]) {
        *consumer = (struct consumer){.client = client, .queue = queue, .no_ack = consume.no_ack};
        client->consumes[queue] = true;
        client->command = LV_COMMAND_CONSUME;
        lv_channel_consume(client->channel, &consume);
    } else if (what < 60) {
        client->command = LV_COMMAND_CANCEL;
        lv_channel_cancel(client->channel, name);
    } else if (what < 75) {
        client->got_no_ack = below(storm, 2) == 0;
        client->command = LV_COMMAND_GET;
        lv_channel_get(client->channel, name, client->got_no_ack);
    } else if (what < 85) {
        client->command = LV_COMMAND_BIND;
        lv_queue_bind(client->channel, &bind);
    } else if (what < 90) {
        client->command = LV_COMMAND_UNBIND;
        lv_queue_unbind(client->channel, &bind);
    } else if (what < 96) {
        client->command = LV_COMMAND_QUEUE_PURGE;
        lv_queue_purge(client->channel, name);
    } else {
        client->command = LV_COMMAND_QUEUE_DELETE;
        lv_queue_delete(client->channel, name, false, false);
    }
}

static void act(struct client *client)
{
    struct storm *storm = client->storm;
    uint32_t what = below(storm, 100);

    if (client->core == NULL) {
        open_client(client);
    } else if (client->core->closing) {
        return; /* nothing may be said any more */
    } else if (what == 0) {
        client->waits = false;
        client->channel_closing = true;
        lv_client_close(client->core);
    } else if (client->waits || client->channel_closing) {
        if (client->channel == NULL)
            open_channel(client);
    } else if (what < 3) {
        client->channel_closing = true;
        lv_channel_close(client->channel);
    } else if (what < 6) {
        lv_channel_qos(client->channel, (uint16_t)below(storm, 4), below(storm, 2) == 0);
    } else if (what < 8) {
        lv_client_set_writable(client->core, below(storm, 2) == 0);
    } else if (what < 35) {
        settle(client);
    } else if (what < 65) {
        publish(client);
    } else {
        command(client);
    }
}

/* Everybody listens, everything arrives. */
static void calm(struct storm *storm)
{
    lv_sim_settle(&storm->sim);
    for (int i = 0; i < CLIENTS; i++) {
        struct client *client = &storm->clients[i];
        assert_false(client->waits);
        if (client->core != NULL)
            lv_client_set_writable(client->core, true); /* to let more come before the end */
        if (client->channel != NULL)
            assert_int_equal(client->confirmed, client->published);
    }
    for (int i = 0; i < CLIENTS; i++)
        if (storm->clients[i].core != NULL)
            lv_client_close(storm->clients[i].core);
    lv_sim_settle(&storm->sim);
    for (int i = 0; i < CLIENTS; i++)
        assert_null(storm->clients[i].core);
}

static uint64_t run(uint32_t shard_count, uint64_t seed)
{
    struct storm *storm = calloc(1, sizeof *storm);
    struct lv_sim_client last;

    assert_non_null(storm);
    lv_sim_init(&storm->sim, shard_count, seed);
    lv_random_seed(&storm->random, seed);
    storm->wild = seed % 2 == 0;
    for (int i = 0; i < CLIENTS; i++)
        storm->clients[i].storm = storm;
    for (int i = 0; i < STEPS; i++) {
        act(&storm->clients[below(storm, CLIENTS)]);
        for (uint32_t steps = below(storm, 6); steps > 0; steps--)
            (void)lv_sim_step(&storm->sim);
    }
    calm(storm);
    lv_sim_client_open(&last, &storm->sim, 0);
    for (int i = 0; i < QUEUES; i++)
        lv_sim_delete(&last, names[i], "");
    lv_sim_client_fini(&last);
    for (int i = 0; i < QUEUES; i++)
        assert_true(lv_sim_is_gone(&storm->sim, names[i]));
    assert_int_equal(lv_sim_live_count(&storm->sim), 0);
    for (uint32_t i = 0; i < shard_count; i++) {
        struct lv_broker_stats stats;
        lv_broker_stats(storm->sim.shards[i].broker, &stats);
        assert_int_equal(stats.ready + stats.unacked + stats.consumers + stats.channels, 0);
        assert_true(lv_list_is_empty(&storm->sim.shards[i].broker->remotes));
        assert_true(lv_list_is_empty(&storm->sim.shards[i].broker->leaving));
    }
    uint64_t deliveries = storm->deliveries;
    lv_sim_fini(&storm->sim);
    free(storm);
    return deliveries;
}

static uint64_t running;

static int report(void **state)
{
    (void)state;
    if (running > 0)
        print_message("# failed: LEVERET_SEED=%llu\n", (unsigned long long)running);
    return 0;
}

static void weather(uint32_t shard_count, uint64_t count)
{
    const char *only = getenv("LEVERET_SEED"), *size = getenv("LEVERET_TEST_SIZE");
    uint64_t first = only == NULL ? 1 : strtoull(only, NULL, 10);
    uint64_t deliveries = 0;

    if (size != NULL && strcmp(size, "long") == 0)
        count *= 100;
    for (running = first; running < first + (only == NULL ? count : 1); running++)
        deliveries += run(shard_count, running);
    assert_true(deliveries > 50 * count || only != NULL); /* there was a storm */
    running = 0;
}

static void one_shard_weathers_it(void **state)
{
    (void)state;
    weather(1, 50);
}

static void three_shards_weather_it(void **state)
{
    (void)state;
    weather(3, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(one_shard_weathers_it, report),
        cmocka_unit_test_teardown(three_shards_weather_it, report),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
