/*
 * sim_test [SEED [COUNT]] - sessions over the broker's core, with one shard and with three.
 *
 * Every run is a world of clients that publish, consume, fail and go. Who moves next is drawn by
 * the seed: one operation between two shards arrives (in order per pair, at random between pairs),
 * a shard has its turn, a session takes some bytes or sends some, a client says something or is cut
 * off, a reader stops reading. At the end all that was promised must have been kept.
 */
#include "base/alloc.h"
#include "client.h"
#include "codec/amqp091/content.h"

#include <stdio.h>

#define CLIENTS_MAX 12u
#define STEPS       20000u
#define OUT_HIGH    8000u
#define OUT_FULL    30000u

/* Deliveries that may be under way between two shards. */
#define UNDER_WAY_MAX 512u

/* What all runs together have seen, to be said at the end. */
static struct {
    unsigned long long messages, deliveries, losses;
} total;

/* ---- moving ---- */

static bool carry(struct sim_run *run, uint32_t from, uint32_t to)
{
    if (!lv_world_carry(&run->world, from, to))
        return false;
    run->carried[from][to]++;
    return true;
}

static void hear(struct sim_client *client, size_t size)
{
    if (client->peer.session != NULL && client->peer.must_flush && !client->peer.is_deaf)
        lv_peer_hear(&client->peer, size);
}

/* Who has finished begins anew, as somebody else. */
static void replace(struct sim_client *client)
{
    struct sim_run *run = client->run;

    if (!client->is_open || !lv_peer_reap(&client->peer))
        return;
    sim_client_end(client);
    if (!run->is_ending && run->model.publisher_count < SIM_PUBLISHERS)
        sim_client_connect(client);
}

/* One message more than the mark, and answers, which stop when input is no longer taken; besides
 * that what other shards had sent already. */
static void check_output(const struct sim_client *client)
{
    uint32_t others = client->run->world.shard_count - 1;
    size_t max = OUT_FULL + 2 * SIM_BODY_MAX + (size_t)others * UNDER_WAY_MAX * SIM_BODY_MAX;

    if (client->peer.session != NULL)
        SIM_RULE(lv_session_out(client->peer.session)->size <= max,
                 "the output for a slow reader is bounded");
}

static void step_client(struct sim_client *client)
{
    struct sim_model *model = &client->run->model;
    static const size_t pieces[] = {1, 7, 100, 5000, 100000};

    if (!client->is_open)
        return;
    switch (sim_below(model, 16)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
        sim_client_act(client);
        break;
    case 5:
    case 6:
    case 7:
    case 8:
    case 9:
        sim_client_push(client, 1 + sim_below(model, (uint32_t)pieces[sim_below(model, 5)]));
        break;
    case 10:
        if (sim_once_in(model, 20))
            client->peer.is_deaf = !client->peer.is_deaf;
        break;
    case 11:
        if (sim_once_in(model, 60))
            sim_client_lose(client);
        else if (sim_once_in(model, 60))
            sim_client_leave(client);
        break;
    default:
        hear(client, 1 + sim_below(model, (uint32_t)pieces[sim_below(model, 5)]));
        break;
    }
    check_output(client);
    replace(client);
}

static void step(struct sim_run *run)
{
    struct sim_model *model = &run->model;
    uint32_t shards = run->world.shard_count;

    switch (sim_below(model, 4)) {
    case 0:
        (void)carry(run, sim_below(model, shards), sim_below(model, shards));
        break;
    case 1:
        (void)lv_broker_turn(run->world.shards[sim_below(model, shards)].broker);
        break;
    default:
        step_client(&run->clients[sim_below(model, run->client_count)]);
        break;
    }
}

/* Everything goes on, in a random order, until nothing moves. */
static void settle(struct sim_run *run)
{
    uint32_t shards = run->world.shard_count;
    bool moved;

    assert(shards > 0);
    do {
        moved = false;
        for (uint32_t i = 0; i < shards * shards; i++)
            while (carry(run, i / shards, i % shards))
                moved = true;
        for (uint32_t i = 0; i < shards; i++)
            moved |= lv_broker_turn(run->world.shards[i].broker);
        for (uint32_t i = 0; i < run->client_count; i++) {
            struct sim_client *client = &run->clients[i];
            if (!client->is_open)
                continue;
            uint64_t left = client->peer.said_size;
            bool must_flush = client->peer.must_flush;
            client->peer.is_deaf = false;
            sim_client_push(client, SIZE_MAX);
            hear(client, SIZE_MAX);
            moved |= must_flush || client->peer.said_size != left || client->peer.must_resume;
            replace(client);
        }
    } while (moved);
}

/* ---- the beginning ---- */

static void say_admin(struct lv_peer *peer, const struct lv_amqp091_method *method,
                      const char *heard)
{
    lv_peer_say_method(peer, 1, method);
    lv_world_settle(peer->shard->world);
    SIM_RULE(strcmp(lv_peer_trace(peer), heard) == 0, "the administrator gets his answers");
}

#define ADMIN(peer, heard, name, member, ...)                                                      \
    say_admin((peer),                                                                              \
              &(struct lv_amqp091_method){.id = LV_AMQP091_##name, .member = {__VA_ARGS__}},       \
              heard)

/* Where a queue lives is the broker's business; but its shard's number of queues tells. */
static uint32_t find_home(const struct sim_run *run, const uint64_t before[LV_WORLD_SHARDS_MAX])
{
    for (uint32_t i = 0; i < run->world.shard_count; i++) {
        struct lv_broker_stats stats;
        lv_broker_stats(run->world.shards[i].broker, &stats);
        if (stats.queues != before[i])
            return i;
    }
    SIM_RULE(false, "a queue has a home");
}

static void set_up(struct sim_run *run)
{
    struct lv_peer admin;
    char name[8], heard[128];

    lv_peer_init(&admin, &run->world, 0);
    lv_peer_open(&admin);
    ADMIN(&admin, "1 exchange.declare-ok\n", EXCHANGE_DECLARE, exchange_declare,
          .exchange = lv_text("f"), .type = lv_text("fanout"));
    ADMIN(&admin, "1 exchange.declare-ok\n", EXCHANGE_DECLARE, exchange_declare,
          .exchange = lv_text("g"), .type = lv_text("fanout"));
    for (uint32_t queue = 0; queue < SIM_QUEUES; queue++) {
        uint64_t before[LV_WORLD_SHARDS_MAX];
        for (uint32_t i = 0; i < run->world.shard_count; i++) {
            struct lv_broker_stats stats;
            lv_broker_stats(run->world.shards[i].broker, &stats);
            before[i] = stats.queues;
        }
        snprintf(name, sizeof name, "q%u", queue);
        snprintf(heard, sizeof heard,
                 "1 queue.declare-ok queue=\"%s\" message_count=0 consumer_count=0\n", name);
        ADMIN(&admin, heard, QUEUE_DECLARE, queue_declare, .queue = lv_text(name));
        run->homes[queue] = find_home(run, before);
        if (queue < SIM_FANOUT)
            ADMIN(&admin, "1 queue.bind-ok\n", QUEUE_BIND, queue_bind, .queue = lv_text(name),
                  .exchange = lv_text("f"));
    }
    lv_peer_fini(&admin);
}

/* ---- the end ---- */

/* What the auditor finds in the queues. */
struct audit {
    struct sim_run *run;
    uint32_t queue;
    bool is_empty, redelivered;
    uint8_t body[SIM_BODY_MAX];
    size_t size, expected;
};

static void audit_frame(struct lv_peer *peer, const struct lv_amqp091_frame *frame)
{
    struct audit *audit = peer->ctx;
    struct lv_amqp091_content header;
    struct lv_amqp091_method method;

    if (frame->type == LV_AMQP091_FRAME_METHOD) {
        SIM_RULE(lv_amqp091_method_decode(frame->payload, &method, NULL) == 0, "methods are valid");
        audit->is_empty = method.id == LV_AMQP091_BASIC_GET_EMPTY;
        audit->redelivered =
            method.id == LV_AMQP091_BASIC_GET_OK && method.basic_get_ok.redelivered;
        return;
    }
    if (frame->type == LV_AMQP091_FRAME_HEADER) {
        SIM_RULE(lv_amqp091_content_decode(frame->payload, &header, NULL) == 0, "it is a header");
        audit->expected = header.body_size;
        audit->size = 0;
        return;
    }
    SIM_RULE(audit->size + frame->payload.size <= SIM_BODY_MAX, "a body has its size");
    lv_put_bytes(audit->body + audit->size, frame->payload);
    audit->size += frame->payload.size;
    if (audit->size < audit->expected)
        return;
    uint32_t number = sim_message_identify(&audit->run->model, audit->body, audit->size);
    sim_copy_delivered(&audit->run->model, number, audit->queue, audit->redelivered);
    sim_copy_settled(&audit->run->model, number, audit->queue);
}

static void drain(struct sim_run *run, uint32_t queue)
{
    struct audit audit = {.run = run, .queue = queue};
    struct lv_peer auditor;
    char name[8], tail[64];

    snprintf(name, sizeof name, "q%u", queue);
    lv_peer_init(&auditor, &run->world, sim_below(&run->model, run->world.shard_count));
    lv_peer_open(&auditor);
    auditor.ctx = &audit;
    auditor.on_frame = audit_frame;
    while (!audit.is_empty) {
        SAY(&auditor, 1, BASIC_GET, basic_get, .queue = lv_text(name), .no_ack = true);
        lv_world_settle(&run->world);
    }
    auditor.on_frame = NULL;
    snprintf(tail, sizeof tail, "1 queue.delete-ok message_count=0\n");
    ADMIN(&auditor, tail, QUEUE_DELETE, queue_delete, .queue = lv_text(name), .if_unused = true,
          .if_empty = true);
    lv_peer_fini(&auditor);
}

static void check_messages(const struct sim_run *run)
{
    for (uint32_t number = 0; number < run->model.count; number++)
        for (uint32_t queue = 0; queue < SIM_QUEUES; queue++) {
            uint8_t state = run->model.messages[number].copies[queue].state;
            if (queue == SIM_LOSSY && run->lossy_lost && state == SIM_QUEUED)
                continue;
            SIM_RULE(state == SIM_ABSENT || state == SIM_SETTLED, "no message is lost");
        }
}

static void check_nothing_is_left(struct sim_run *run)
{
    struct lv_peer admin;
    char name[24];

    lv_peer_init(&admin, &run->world, 0);
    lv_peer_open(&admin);
    for (uint32_t i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "churn%u", i);
        SAY(&admin, 1, QUEUE_DELETE, queue_delete, .queue = lv_text(name));
    }
    lv_world_settle(&run->world);
    lv_peer_fini(&admin);
    for (uint32_t i = 0; i < run->world.shard_count; i++) {
        struct lv_broker_stats stats;
        struct lv_store_stats store;
        lv_broker_stats(run->world.shards[i].broker, &stats);
        lv_store_stats(run->world.shards[i].store, &store);
        SIM_RULE(stats.connections == 0 && stats.channels == 0, "connections end");
        SIM_RULE(stats.consumers == 0 && stats.queues == 0, "consumers and queues end");
        SIM_RULE(stats.ready == 0 && stats.unacked == 0, "messages are counted right");
        SIM_RULE(store.live_count == 0 && store.live_size == 0, "the store lets go of all");
    }
}

static void check_answers(const struct sim_run *run)
{
    for (uint32_t i = 0; i < run->client_count; i++) {
        const struct sim_client *client = &run->clients[i];
        SIM_RULE(!client->is_open || client->expected_count == 0, "every question is answered");
        SIM_RULE(!client->is_open || client->confirmed_count == client->taken_count,
                 "every publish is confirmed");
        SIM_RULE(!client->is_open || client->peer.said_size == 0, "everything said is taken");
    }
}

static void finish(struct sim_run *run)
{
    settle(run);
    check_answers(run);
    run->is_ending = true;
    for (uint32_t i = 0; i < run->client_count; i++) {
        if (run->clients[i].is_open && sim_once_in(&run->model, 2))
            sim_client_leave(&run->clients[i]);
        else if (run->clients[i].is_open)
            sim_client_lose(&run->clients[i]);
    }
    settle(run);
    for (uint32_t queue = 0; queue < SIM_QUEUES; queue++)
        drain(run, queue);
    check_messages(run);
    check_nothing_is_left(run);
    total.messages += run->model.count;
    total.deliveries += run->model.delivery_count;
    total.losses += run->model.loss_count;
}

static void simulate(uint64_t seed, uint32_t shards)
{
    struct sim_run *run = lv_calloc(1, sizeof *run);

    SIM_RULE(run != NULL, "the simulation has memory");
    sim_model_init(&run->model, seed);
    lv_world_init(&run->world, shards);
    run->frame_max = sim_once_in(&run->model, 2) ? 4096 : 131072;
    run->world.limits.frame_max = run->frame_max;
    run->world.limits.heartbeat_s = 0;
    run->world.limits.out_low = 2000;
    run->world.limits.out_high = OUT_HIGH;
    run->world.limits.out_full = OUT_FULL;
    set_up(run);
    run->client_count = 3 + sim_below(&run->model, CLIENTS_MAX - 2);
    run->clients = lv_calloc(run->client_count, sizeof *run->clients);
    SIM_RULE(run->clients != NULL, "the simulation has memory");
    for (uint32_t i = 0; i < run->client_count; i++) {
        run->clients[i].run = run;
        run->clients[i].role = i % 5 == 4 ? SIM_CHURNER : i % 2 == 0 ? SIM_PUBLISHER : SIM_CONSUMER;
        sim_client_connect(&run->clients[i]);
    }
    for (uint32_t i = 0; i < STEPS; i++)
        step(run);
    finish(run);
    lv_world_fini(&run->world);
    lv_free(run->clients);
    sim_model_fini(&run->model);
    lv_free(run);
}

/* Without arguments as many as the size of the test run allows. */
static uint64_t default_count(void)
{
    const char *size = getenv("LEVERET_TEST_SIZE");

    return size != NULL && strcmp(size, "long") == 0 ? 100000 : 200;
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : argc > 1 ? 1 : default_count();

    for (uint64_t i = 0; i < count; i++)
        for (uint32_t shards = 1; shards <= 3; shards += 2) {
            /* on a line of its own: after a crash it is the last one but the reason */
            fprintf(stderr, "seed %llu, shards %u\n", (unsigned long long)seed + i, shards);
            simulate(seed + i, shards);
        }
    printf("%llu seeds, %llu messages, %llu deliveries, %llu lost connections\n",
           (unsigned long long)count, total.messages, total.deliveries, total.losses);
    return 0;
}
