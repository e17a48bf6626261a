/*
 * Conversations of two clients with a broker of one or three shards: the input is a program of
 * valid steps, with mutations, noise, splits and losses between them. The session may end, but what
 * it says is always well-formed, and a quiet third client is served as if nothing had happened.
 */
#include "codec/amqp091/content.h"
#include "session/amqp091/testing.h"

#include <stdlib.h>

#define STEPS_MAX 400u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct program {
    const uint8_t *p, *end;
    struct lv_world world;
    struct lv_peer peers[2];
    struct lv_peer *peer;  /* whose turn it is */
    uint8_t flip_at, flip; /* mutation of what is said next */
};

static uint8_t next(struct program *program)
{
    return program->p < program->end ? *program->p++ : 0;
}

static struct lv_bytes next_bytes(struct program *program, size_t max)
{
    size_t size = next(program) % (max + 1);
    const uint8_t *from = program->p;

    if (size > (size_t)(program->end - from))
        size = (size_t)(program->end - from);
    program->p += size;
    return lv_bytes(from, size);
}

static struct lv_bytes next_name(struct program *program)
{
    static const char *const names[] = {"",           "q",         "r",         "amq.direct",
                                        "amq.fanout", "x",         "amq.gen-1", "a\nb",
                                        "none",       "amq.topic", "\xff"};

    return lv_text(names[next(program) % LV_COUNT(names)]);
}

static struct lv_bytes next_tag(struct program *program)
{
    static const char *const tags[] = {"", "c", "d", "e"};

    return lv_text(tags[next(program) % LV_COUNT(tags)]);
}

static uint16_t next_channel(struct program *program)
{
    static const uint16_t channels[] = {1, 1, 1, 2, 2, 3, 2047, 0};

    return channels[next(program) % LV_COUNT(channels)];
}

static struct lv_bytes next_table(struct program *program)
{
    static const char expires[] = "\x09x-expiresI\x00\x00\x03\xe8";
    static const char nested[] = "\x01kF\x00\x00\x00\x04\x01kt\x01";

    switch (next(program) % 4) {
    case 0:
        return lv_bytes(expires, sizeof expires - 1);
    case 1:
        return lv_bytes(nested, sizeof nested - 1);
    case 2:
        return next_bytes(program, 40);
    default:
        return lv_bytes(NULL, 0);
    }
}

static void say_publish(struct program *program, uint16_t channel)
{
    static const uint8_t body[8192];
    static const char *const exchanges[] = {"", "", "", "amq.fanout", "amq.direct", "x", "none"};
    static const char *const keys[] = {"q", "r", "", "k"};
    static const uint8_t persistent[] = {0x10, 0, 2}, typed[] = {0x80, 0, 1, 't'};
    struct lv_peer_publish publish = {
        .exchange = exchanges[next(program) % LV_COUNT(exchanges)],
        .key = keys[next(program) % LV_COUNT(keys)],
        .mandatory = next(program) & 1,
        .frame_max = 8u + 1u + next(program) * 64u,
    };
    uint8_t kind = next(program);

    publish.body = lv_bytes(body, (size_t)next(program) << (kind & 7) >> 2);
    if (kind & 8)
        publish.properties = lv_bytes(persistent, sizeof persistent);
    else if (kind & 16)
        publish.properties = lv_bytes(typed, sizeof typed);
    else if (kind & 32)
        publish.properties = next_bytes(program, 30);
    if (publish.properties.size == 1)
        publish.properties.size = 0; /* there are at least the flags */
    lv_peer_say_publish(program->peer, channel, &publish);
}

static struct lv_bytes next_type(struct program *program)
{
    static const char *const types[] = {"fanout", "direct", "topic", "headers"};

    return lv_text(types[next(program) % LV_COUNT(types)]);
}

/* What is said less often: bindings between exchanges, transactions, other types of exchanges. */
static void say_rare_method(struct program *program, uint16_t channel, uint8_t kind, uint8_t bits)
{
    struct lv_peer *peer = program->peer;

    switch (kind % 8) {
    case 0:
        SAY(peer, channel, EXCHANGE_BIND, exchange_bind, .destination = next_name(program),
            .source = next_name(program), .routing_key = next_tag(program), .no_wait = bits & 1,
            .arguments = next_table(program));
        break;
    case 1:
        SAY(peer, channel, EXCHANGE_UNBIND, exchange_unbind, .destination = next_name(program),
            .source = next_name(program), .routing_key = next_tag(program), .no_wait = bits & 1,
            .arguments = next_table(program));
        break;
    case 2:
        SAY(peer, channel, EXCHANGE_DECLARE, exchange_declare, .exchange = next_name(program),
            .type = next_type(program), .arguments = next_table(program));
        break;
    case 3:
        SAY_PLAIN(peer, channel, TX_SELECT);
        break;
    case 4:
        SAY_PLAIN(peer, channel, TX_COMMIT);
        break;
    case 5:
        SAY_PLAIN(peer, channel, TX_ROLLBACK);
        break;
    case 6:
        SAY(peer, channel, BASIC_RECOVER, basic_recover, .requeue = (bits & 7) != 7);
        break;
    default:
        SAY(peer, channel, BASIC_CONSUME, basic_consume, .queue = lv_text("amq.rabbitmq.reply-to"),
            .no_ack = (bits & 7) != 7);
        break;
    }
}

/* One flat switch: something that a client may say. */
static void say_method(struct program *program, uint16_t channel)
{
    struct lv_peer *peer = program->peer;
    uint8_t kind = next(program), bits = next(program);

    if (kind >= 240) {
        say_rare_method(program, channel, kind, bits);
        return;
    }
    switch (kind % 24) {
    case 0:
    case 1:
        SAY(peer, channel, QUEUE_DECLARE, queue_declare, .queue = next_name(program),
            .passive = (bits & 3) == 3, .durable = bits & 4, .exclusive = (bits & 24) == 24,
            .auto_delete = (bits & 96) == 96, .no_wait = bits & 128,
            .arguments = next_table(program));
        break;
    case 2:
        SAY(peer, channel, EXCHANGE_DECLARE, exchange_declare, .exchange = next_name(program),
            .type = lv_text(bits & 1 ? "fanout" : "direct"), .passive = (bits & 6) == 6,
            .durable = bits & 8, .auto_delete = bits & 16, .internal = (bits & 96) == 96,
            .no_wait = bits & 128, .arguments = next_table(program));
        break;
    case 3:
        SAY(peer, channel, QUEUE_BIND, queue_bind, .queue = next_name(program),
            .exchange = next_name(program), .routing_key = next_tag(program), .no_wait = bits & 1,
            .arguments = next_table(program));
        break;
    case 4:
        SAY(peer, channel, QUEUE_UNBIND, queue_unbind, .queue = next_name(program),
            .exchange = next_name(program), .routing_key = next_tag(program),
            .arguments = next_table(program));
        break;
    case 5:
        SAY(peer, channel, QUEUE_PURGE, queue_purge, .queue = next_name(program),
            .no_wait = bits & 1);
        break;
    case 6:
        SAY(peer, channel, QUEUE_DELETE, queue_delete, .queue = next_name(program),
            .if_unused = bits & 1, .if_empty = bits & 2, .no_wait = bits & 4);
        break;
    case 7:
        SAY(peer, channel, EXCHANGE_DELETE, exchange_delete, .exchange = next_name(program),
            .if_unused = bits & 1, .no_wait = bits & 2);
        break;
    case 8:
    case 9:
        SAY(peer, channel, BASIC_CONSUME, basic_consume, .queue = next_name(program),
            .consumer_tag = next_tag(program), .no_ack = bits & 1, .exclusive = (bits & 6) == 6,
            .no_wait = bits & 8, .arguments = next_table(program));
        break;
    case 10:
        SAY(peer, channel, BASIC_CANCEL, basic_cancel, .consumer_tag = next_tag(program),
            .no_wait = bits & 1);
        break;
    case 11:
    case 12:
        SAY(peer, channel, BASIC_GET, basic_get, .queue = next_name(program), .no_ack = bits & 1);
        break;
    case 13:
        SAY(peer, channel, BASIC_ACK, basic_ack, .delivery_tag = bits >> 2, .multiple = bits & 1);
        break;
    case 14:
        SAY(peer, channel, BASIC_NACK, basic_nack, .delivery_tag = bits >> 2, .multiple = bits & 1,
            .requeue = bits & 2);
        break;
    case 15:
        SAY(peer, channel, BASIC_REJECT, basic_reject, .delivery_tag = bits >> 2,
            .requeue = bits & 2);
        break;
    case 16:
        SAY(peer, channel, BASIC_QOS, basic_qos, .prefetch_count = bits >> 2, .global = bits & 1);
        break;
    case 17:
        SAY(peer, channel, CONFIRM_SELECT, confirm_select, .no_wait = bits & 1);
        break;
    case 18:
        SAY_PLAIN(peer, channel, CHANNEL_OPEN);
        break;
    case 19:
        SAY(peer, channel, CHANNEL_CLOSE, channel_close, .reply_code = 200);
        break;
    case 20:
        SAY_PLAIN(peer, channel, CHANNEL_CLOSE_OK);
        SAY_PLAIN(peer, channel, CHANNEL_OPEN);
        break;
    case 21:
        SAY(peer, channel, CHANNEL_FLOW, channel_flow, .active = (bits & 7) != 7);
        break;
    case 22:
        SAY(peer, 0, CONNECTION_CLOSE, connection_close, .reply_code = 200);
        break;
    default:
        SAY_PLAIN(peer, 0, CONNECTION_CLOSE_OK);
        break;
    }
}

/* A method frame around any bytes. */
static void say_raw_method(struct program *program, uint16_t channel)
{
    struct lv_bytes payload = next_bytes(program, 60);
    uint8_t head[LV_AMQP091_FRAME_HEAD_SIZE], end = LV_AMQP091_FRAME_END;

    lv_amqp091_frame_head_encode(head, 1 + (next(program) & 3), channel, payload.size);
    lv_peer_say(program->peer, lv_bytes(head, sizeof head));
    lv_peer_say(program->peer, payload);
    lv_peer_say(program->peer, lv_bytes(&end, 1));
}

/* What the server says has to be well-formed; lv_peer_hear() has looked at the frames. */
static void on_frame(struct lv_peer *peer, const struct lv_amqp091_frame *frame)
{
    struct lv_amqp091_method method;
    struct lv_amqp091_content content;

    (void)peer;
    if (frame->type == LV_AMQP091_FRAME_METHOD &&
        lv_amqp091_method_decode(frame->payload, &method, NULL) < 0)
        abort();
    if (frame->type == LV_AMQP091_FRAME_HEADER &&
        lv_amqp091_content_decode(frame->payload, &content, NULL) < 0)
        abort();
}

static void arrive(struct program *program, struct lv_peer *peer, uint8_t how)
{
    lv_peer_init(peer, &program->world, how % program->world.shard_count);
    peer->on_frame = on_frame;
    if (how & 4)
        return;
    lv_peer_say_hello(peer);
    SAY_PLAIN(peer, 1, CHANNEL_OPEN);
    SAY_PLAIN(peer, 2, CHANNEL_OPEN);
    lv_world_settle(&program->world);
}

static void arrive_again(struct program *program, uint8_t how)
{
    lv_peer_fini(program->peer);
    arrive(program, program->peer, how);
}

/* What isn't said but done. */
static void act(struct program *program, uint8_t kind, uint8_t amount)
{
    struct lv_peer *peer = program->peer;

    switch (kind % 8) {
    case 0:
        lv_peer_push(peer, 1u + amount);
        break;
    case 1:
        lv_world_wait_ms(&program->world, (uint64_t)amount * 500);
        break;
    case 2:
        peer->is_deaf = !peer->is_deaf;
        break;
    case 3:
        arrive_again(program, amount);
        break;
    case 4:
        if (peer->session != NULL && !peer->is_finished)
            lv_session_alarm(peer->session, amount & 1 ? "low on memory" : NULL);
        break;
    case 5:
        if (peer->session != NULL && !peer->is_finished && amount == 1)
            lv_session_stop(peer->session, "shutdown");
        break;
    case 6:
        (void)lv_world_carry(&program->world, amount % program->world.shard_count,
                             (amount >> 4) % program->world.shard_count);
        break;
    default:
        (void)lv_broker_turn(peer->shard->broker);
        break;
    }
}

static void step(struct program *program)
{
    uint8_t kind = next(program);
    size_t said = program->peer->said_size;
    uint16_t channel;

    program->peer = &program->peers[kind >> 7];
    said = program->peer->said_size;
    switch (kind % 16) {
    case 0:
        lv_peer_say(program->peer, next_bytes(program, 50));
        break;
    case 1:
        channel = next_channel(program);
        say_raw_method(program, channel);
        break;
    case 2:
        program->flip_at = next(program);
        program->flip = next(program);
        return;
    case 3:
    case 4:
        act(program, kind >> 4, next(program));
        return;
    case 5:
    case 6:
        lv_world_settle(&program->world);
        return;
    case 7:
    case 8:
    case 9:
    case 10:
        channel = next_channel(program);
        say_publish(program, channel);
        break;
    default:
        channel = next_channel(program);
        say_method(program, channel);
        break;
    }
    if (program->flip != 0 && program->peer->said_size > said) {
        program->peer->said[said + program->flip_at % (program->peer->said_size - said)] ^=
            program->flip;
        program->flip = 0;
    }
}

/* Somebody who did nothing wrong gets all that he asks for. */
static void serve_a_quiet_client(struct program *program, uint32_t shard)
{
    static const char heard[] =
        "1 confirm.select-ok\n"
        "1 queue.declare-ok queue=\"quiet\" message_count=0 consumer_count=0\n"
        "1 basic.ack delivery_tag=1\n";
    static const char got[] = "1 basic.get-ok delivery_tag=1 exchange=\"\" routing_key=\"quiet\" "
                              "message_count=0\n1 header body=5 properties=2\n1 body hello\n";
    struct lv_peer peer;

    lv_peer_init(&peer, &program->world, shard);
    lv_peer_open(&peer);
    SAY_PLAIN(&peer, 1, CONFIRM_SELECT);
    SAY(&peer, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text("quiet"), .exclusive = true);
    lv_peer_say_publish(
        &peer, 1,
        &(struct lv_peer_publish){.exchange = "", .key = "quiet", .body = lv_text("hello")});
    lv_world_settle(&program->world);
    if (strcmp(lv_peer_trace(&peer), heard) != 0)
        abort();
    SAY(&peer, 1, BASIC_GET, basic_get, .queue = lv_text("quiet"), .no_ack = true);
    lv_world_settle(&program->world);
    if (strcmp(lv_peer_trace(&peer), got) != 0)
        abort();
    lv_peer_fini(&peer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct program program = {.p = data, .end = data + size};
    uint8_t how = next(&program);

    lv_world_init(&program.world, how & 1 ? 3 : 1);
    program.world.limits.out_low = 1000;
    program.world.limits.out_high = 20000;
    program.world.limits.out_full = 40000;
    program.world.limits.max_message_size = 10000;
    program.world.limits.assembly_size = 15000;
    arrive(&program, &program.peers[0], how >> 1);
    arrive(&program, &program.peers[1], how >> 4);
    program.peer = &program.peers[0];
    for (unsigned steps = 0; program.p < program.end && steps < STEPS_MAX; steps++)
        step(&program);
    for (uint32_t shard = 0; shard < program.world.shard_count; shard++)
        serve_a_quiet_client(&program, shard);
    lv_peer_fini(&program.peers[0]);
    lv_peer_fini(&program.peers[1]);
    lv_world_fini(&program.world);
    return 0;
}
