#include "session/amqp091/testing.h"

#include "base/alloc.h"
#include "broker/guest.h"
#include "codec/amqp091/content.h"
#include "codec/amqp091/table.h"
#include "session/amqp091/limits.h"
#include "session/amqp091/properties.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- bytes that grow; tests may run out of memory only where they want to ---- */

static void must(bool fine)
{
    if (!fine)
        abort();
}

static void append(uint8_t **data, size_t *size, size_t *capacity, struct lv_bytes bytes)
{
    if (bytes.size == 0)
        return;
    if (*size + bytes.size > *capacity) {
        *capacity = 2 * (*size + bytes.size);
        *data = lv_realloc(*data, *capacity);
        must(*data != NULL);
    }
    lv_put_bytes(*data + *size, bytes);
    *size += bytes.size;
}

static void LV_PRINTF(2, 3) note(struct lv_peer *peer, const char *fmt, ...)
{
    char line[2048];
    va_list args;

    va_start(args, fmt);
    int size = vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    must(size >= 0 && (size_t)size < sizeof line);
    append(&peer->trace, &peer->trace_size, &peer->trace_capacity, lv_bytes(line, (size_t)size));
}

/* ---- the world ---- */

static void send_op(void *ctx, uint32_t to, struct lv_op *op)
{
    struct lv_world_shard *shard = ctx;
    struct lv_world_road *road = &shard->roads[to];

    assert(to < shard->world->shard_count && to != shard->number);
    if (road->count == road->capacity) {
        road->capacity = road->capacity == 0 ? 16 : 2 * road->capacity;
        road->ops = lv_realloc(road->ops, road->capacity * sizeof(struct lv_op *));
        must(road->ops != NULL);
    }
    road->ops[road->count++] = op;
}

static void shard_init(struct lv_world *world, uint32_t number)
{
    struct lv_world_shard *shard = &world->shards[number];

    shard->world = world;
    shard->number = number;
    shard->store = lv_store_new();
    must(shard->store != NULL);
    struct lv_broker_config config = {
        .shard = number,
        .shard_count = world->shard_count,
        .store = shard->store,
        .properties = &lv_session_properties,
        .hash_key = {1, 2},
        .seed = 100 + number,
        .send = send_op,
        .send_ctx = shard,
    };
    shard->broker = lv_broker_new(&config);
    must(shard->broker != NULL);
    must(lv_guest_begin(shard->broker) == 0);
    lv_chunk_pool_init(&shard->pool);
}

void lv_world_init(struct lv_world *world, uint32_t shard_count)
{
    assert(shard_count >= 1 && shard_count <= LV_WORLD_SHARDS_MAX);
    *world = (struct lv_world){.shard_count = shard_count, .now = LV_NS_PER_S};
    world->limits = (struct lv_session_limits){
        .frame_max = LV_BOUND_FRAME_MAX,
        .channel_max = LV_BOUND_CHANNEL_MAX,
        .heartbeat_s = LV_BOUND_HEARTBEAT,
        .handshake_ms = LV_BOUND_HANDSHAKE,
        .max_message_size = LV_BOUND_MESSAGE,
        .assembly_size = LV_BOUND_ASSEMBLY,
        .out_high = LV_BOUND_OUT_HIGH,
        .out_low = LV_BOUND_OUT_LOW,
        .out_full = LV_BOUND_OUT_FULL,
    };
    for (uint32_t i = 0; i < shard_count; i++)
        shard_init(world, i);
}

void lv_world_fini(struct lv_world *world)
{
    assert(world->peers == NULL);
    lv_world_settle(world);
    for (uint32_t i = 0; i < world->shard_count; i++)
        lv_broker_free(world->shards[i].broker);
    for (uint32_t i = 0; i < world->shard_count; i++) {
        struct lv_world_shard *shard = &world->shards[i];
        lv_store_free(shard->store);
        lv_chunk_pool_fini(&shard->pool);
        for (uint32_t to = 0; to < world->shard_count; to++) {
            assert(shard->roads[to].count == 0);
            lv_free(shard->roads[to].ops);
        }
    }
}

bool lv_world_carry(struct lv_world *world, uint32_t from, uint32_t to)
{
    struct lv_world_road *road = &world->shards[from].roads[to];

    if (road->count == 0)
        return false;
    struct lv_op *op = road->ops[0];
    road->count--;
    memmove(road->ops, road->ops + 1, road->count * sizeof(struct lv_op *));
    lv_broker_take(world->shards[to].broker, op);
    return true;
}

static bool carry_all(struct lv_world *world)
{
    bool moved = false;

    for (uint32_t from = 0; from < world->shard_count; from++)
        for (uint32_t to = 0; to < world->shard_count; to++)
            while (lv_world_carry(world, from, to))
                moved = true;
    return moved;
}

static bool step_peers(struct lv_world *world)
{
    bool moved = false;

    for (struct lv_peer *peer = world->peers; peer != NULL; peer = peer->next) {
        if (lv_peer_reap(peer))
            moved = true;
        if (peer->must_resume) {
            moved = true;
            lv_peer_push(peer, SIZE_MAX);
        }
        if (peer->must_flush && !peer->is_deaf) {
            moved = true;
            lv_peer_hear(peer, SIZE_MAX);
        }
    }
    return moved;
}

void lv_world_settle(struct lv_world *world)
{
    bool moved;

    for (struct lv_peer *peer = world->peers; peer != NULL; peer = peer->next)
        lv_peer_push(peer, SIZE_MAX);
    do {
        moved = carry_all(world);
        for (uint32_t i = 0; i < world->shard_count; i++)
            moved |= lv_broker_turn(world->shards[i].broker);
        moved |= step_peers(world);
        moved |= carry_all(world);
    } while (moved);
}

static uint64_t next_deadline(const struct lv_world *world)
{
    uint64_t next = LV_NEVER;

    for (uint32_t i = 0; i < world->shard_count; i++) {
        uint64_t at = lv_deadlines_next(&world->shards[i].deadlines);
        next = at < next ? at : next;
    }
    return next;
}

void lv_world_wait_ms(struct lv_world *world, uint64_t ms)
{
    uint64_t end = world->now + ms * LV_NS_PER_MS;

    lv_world_settle(world);
    while (next_deadline(world) <= end) {
        uint64_t next = next_deadline(world);
        world->now = next > world->now ? next : world->now;
        for (uint32_t i = 0; i < world->shard_count; i++)
            lv_deadlines_run(&world->shards[i].deadlines, world->now);
        lv_world_settle(world);
    }
    world->now = end;
}

/* ---- the host of a peer's session ---- */

static void host_flush(void *ctx)
{
    struct lv_peer *peer = ctx;

    peer->must_flush = true;
}

static void host_login(void *ctx, const struct lv_login *login)
{
    struct lv_peer *peer = ctx;
    bool right = lv_bytes_equal(login->user, lv_text("guest")) &&
                 (login->is_proved || lv_bytes_equal(login->password, lv_text("guest")));

    assert(!peer->is_asked);
    if (peer->logs_in_later)
        peer->is_asked = true;
    else
        lv_session_login(peer->session, right ? NULL : "wrong name or password");
}

static void host_resume(void *ctx)
{
    struct lv_peer *peer = ctx;

    peer->must_resume = true;
    peer->resume_count++;
}

static void host_probe(void *ctx, bool is_same)
{
    struct lv_peer *peer = ctx;

    peer->probe_count++;
    if (peer->shows_events)
        note(peer, "* probed by %s\n", is_same ? "himself" : "another");
    if (!peer->is_numb)
        lv_session_alive(peer->session);
}

static void host_event(void *ctx, enum lv_level level, const char *name, const char *why)
{
    struct lv_peer *peer = ctx;

    (void)level;
    if (peer->shows_events)
        note(peer, "* %s%s%s\n", name, why[0] != '\0' ? " " : "", why);
}

/* Who let this happen may still have something to do with the session: it goes a little later. */
static void host_finished(void *ctx)
{
    struct lv_peer *peer = ctx;

    assert(!peer->is_finished);
    peer->is_finished = true;
}

/* Does at once what a server does at the end of its turn. */
static const struct lv_session_host host = {
    .flush = host_flush,
    .login = host_login,
    .resume = host_resume,
    .probe = host_probe,
    .event = host_event,
    .finished = host_finished,
};

/* ---- peers ---- */

void lv_peer_init(struct lv_peer *peer, struct lv_world *world, uint32_t shard)
{
    assert(shard < world->shard_count);
    *peer = (struct lv_peer){.shard = &world->shards[shard], .next = world->peers};
    world->peers = peer;
    struct lv_session_config config = {
        .host = &host,
        .host_ctx = peer,
        .broker = peer->shard->broker,
        .deadlines = &peer->shard->deadlines,
        .pool = &peer->shard->pool,
        .limits = &world->limits,
        .version = "4.1.0",
        .information = "Leveret 0.1.0",
        .origin = world->origin,
        .certified = world->certified,
    };
    peer->session = lv_session_new(&config, world->now);
    must(peer->session != NULL);
}

void lv_peer_vanish(struct lv_peer *peer)
{
    if (peer->session != NULL && !peer->is_finished)
        lv_session_lost(peer->session);
}

bool lv_peer_reap(struct lv_peer *peer)
{
    if (!peer->is_finished || peer->session == NULL)
        return false;
    lv_peer_hear(peer, SIZE_MAX);
    lv_session_free(peer->session);
    peer->session = NULL;
    peer->must_flush = peer->must_resume = false;
    if (peer->heard_size > 0)
        note(peer, "(%zu bytes of a frame)\n", peer->heard_size);
    note(peer, "closed\n");
    return true;
}

void lv_peer_fini(struct lv_peer *peer)
{
    struct lv_peer **place = &peer->shard->world->peers;

    if (peer->session != NULL) {
        peer->shows_events = false;
        lv_peer_vanish(peer);
        lv_world_settle(peer->shard->world);
        must(peer->session == NULL);
    }
    while (*place != peer)
        place = &(*place)->next;
    *place = peer->next;
    lv_free(peer->said);
    lv_free(peer->heard);
    lv_free(peer->trace);
}

void lv_peer_say(struct lv_peer *peer, struct lv_bytes bytes)
{
    if (peer->said_begin > 0)
        memmove(peer->said, peer->said + peer->said_begin, peer->said_size);
    peer->said_begin = 0;
    append(&peer->said, &peer->said_size, &peer->said_capacity, bytes);
}

void lv_peer_say_method(struct lv_peer *peer, uint16_t channel,
                        const struct lv_amqp091_method *method)
{
    size_t size = lv_amqp091_frame_method_size(method);
    uint8_t *frame = lv_alloc(size);

    must(frame != NULL);
    lv_amqp091_frame_encode_method(method, channel, frame);
    lv_peer_say(peer, lv_bytes(frame, size));
    lv_free(frame);
}

static void say_frame(struct lv_peer *peer, uint8_t type, uint16_t channel, struct lv_bytes payload)
{
    uint8_t head[LV_AMQP091_FRAME_HEAD_SIZE], end = LV_AMQP091_FRAME_END;

    lv_amqp091_frame_head_encode(head, type, channel, payload.size);
    lv_peer_say(peer, lv_bytes(head, sizeof head));
    lv_peer_say(peer, payload);
    lv_peer_say(peer, lv_bytes(&end, 1));
}

void lv_peer_say_publish(struct lv_peer *peer, uint16_t channel,
                         const struct lv_peer_publish *publish)
{
    static const uint8_t no_properties[] = {0, 0};
    struct lv_amqp091_method method = {.id = LV_AMQP091_BASIC_PUBLISH};
    struct lv_amqp091_content content = {publish->body.size, publish->properties};
    uint32_t frame_max = publish->frame_max != 0 ? publish->frame_max : LV_BOUND_FRAME_MAX;
    struct lv_bytes rest = publish->body;

    method.basic_publish.exchange = lv_text(publish->exchange);
    method.basic_publish.routing_key = lv_text(publish->key);
    method.basic_publish.mandatory = publish->mandatory;
    lv_peer_say_method(peer, channel, &method);
    if (content.properties.size == 0)
        content.properties = lv_bytes(no_properties, sizeof no_properties);
    uint8_t *header = lv_alloc(lv_amqp091_content_size(&content));
    must(header != NULL);
    lv_amqp091_content_encode(&content, header);
    say_frame(peer, LV_AMQP091_FRAME_HEADER, channel,
              lv_bytes(header, lv_amqp091_content_size(&content)));
    lv_free(header);
    while (rest.size > 0) {
        size_t max = frame_max - LV_AMQP091_FRAME_OVERHEAD_SIZE;
        size_t size = rest.size < max ? rest.size : max;
        say_frame(peer, LV_AMQP091_FRAME_BODY, channel, lv_bytes(rest.data, size));
        rest = lv_bytes(rest.data + size, rest.size - size);
    }
}

void lv_peer_say_hello(struct lv_peer *peer)
{
    static const char response[] = "\0guest\0guest";
    static const char *const capabilities[] = {"authentication_failure_close", "connection.blocked",
                                               "consumer_cancel_notify"};
    struct lv_amqp091_method start_ok = {.id = LV_AMQP091_CONNECTION_START_OK};
    struct lv_amqp091_method tune_ok = {.id = LV_AMQP091_CONNECTION_TUNE_OK};
    struct lv_amqp091_method open = {.id = LV_AMQP091_CONNECTION_OPEN};
    uint8_t properties[256], *p = properties;

    /* {"capabilities": {each: true}} by hand: names, types and lengths. */
    p = lv_put_bytes(lv_put8(p, 12), lv_text("capabilities"));
    p = lv_put8(p, 'F');
    uint8_t *size_at = p;
    p += 4;
    for (size_t i = 0; i < LV_COUNT(capabilities); i++) {
        p = lv_put_bytes(lv_put8(p, (uint8_t)strlen(capabilities[i])), lv_text(capabilities[i]));
        p = lv_put8(lv_put8(p, 't'), 1);
    }
    lv_put32(size_at, (uint32_t)(p - size_at - 4));
    start_ok.connection_start_ok.client_properties = lv_bytes(properties, (size_t)(p - properties));
    start_ok.connection_start_ok.mechanism = lv_text("PLAIN");
    start_ok.connection_start_ok.response = lv_bytes(response, sizeof response - 1);
    start_ok.connection_start_ok.locale = lv_text("en_US");
    tune_ok.connection_tune_ok.channel_max = peer->shard->world->limits.channel_max;
    tune_ok.connection_tune_ok.frame_max = peer->shard->world->limits.frame_max;
    tune_ok.connection_tune_ok.heartbeat = peer->shard->world->limits.heartbeat_s;
    open.connection_open.virtual_host = lv_text("/");
    lv_peer_say(peer, lv_bytes(lv_amqp091_header_bytes, LV_AMQP091_HEADER_SIZE));
    lv_peer_say_method(peer, 0, &start_ok);
    lv_peer_say_method(peer, 0, &tune_ok);
    lv_peer_say_method(peer, 0, &open);
}

void lv_peer_open(struct lv_peer *peer)
{
    struct lv_amqp091_method open = {.id = LV_AMQP091_CHANNEL_OPEN};

    lv_peer_say_hello(peer);
    lv_peer_say_method(peer, 1, &open);
    lv_world_settle(peer->shard->world);
    peer->trace_size = 0;
}

bool lv_peer_push_piece(struct lv_peer *peer, size_t size)
{
    size_t fresh = peer->said_size - peer->shown_size;

    if (peer->session == NULL || peer->is_finished || (fresh == 0 && !peer->must_resume))
        return false;
    if (lv_session_is_paused(peer->session) && !peer->must_resume)
        return false; /* nobody would read the socket */
    peer->must_resume = false;
    peer->shown_size += fresh < size ? fresh : size;
    const uint8_t *from = peer->said_begin > 0 ? peer->said + peer->said_begin : peer->said;
    size_t used =
        lv_session_input(peer->session, lv_bytes(from, peer->shown_size), peer->shard->world->now);
    must(used <= peer->shown_size);
    peer->said_size -= used;
    peer->shown_size -= used;
    peer->said_begin = peer->said_size > 0 ? peer->said_begin + used : 0;
    return true;
}

void lv_peer_push(struct lv_peer *peer, size_t piece)
{
    while (lv_peer_push_piece(peer, piece))
        continue;
}

/* ---- hearing ---- */

static void note_frame(struct lv_peer *peer, const struct lv_amqp091_frame *frame)
{
    struct lv_amqp091_method method;
    char text[1024];

    if (frame->type == LV_AMQP091_FRAME_METHOD) {
        must(lv_amqp091_method_decode(frame->payload, &method, NULL) == 0);
        lv_amqp091_method_print(&method, text, sizeof text);
        note(peer, "%u %s\n", frame->channel, text);
    } else if (frame->type == LV_AMQP091_FRAME_HEADER) {
        struct lv_amqp091_content content;
        must(lv_amqp091_content_decode(frame->payload, &content, NULL) == 0);
        note(peer, "%u header body=%u properties=%u\n", frame->channel, (unsigned)content.body_size,
             (unsigned)content.properties.size);
    } else if (frame->type == LV_AMQP091_FRAME_BODY) {
        if (frame->payload.size <= 64)
            note(peer, "%u body %.*s\n", frame->channel, LV_FMT(frame->payload));
        else
            note(peer, "%u body (%zu bytes)\n", frame->channel, frame->payload.size);
    } else {
        note(peer, "%u heartbeat\n", frame->channel);
    }
}

static void take_heard(struct lv_peer *peer)
{
    size_t at = 0;

    if (!peer->header_heard && peer->heard_size >= 4 && memcmp(peer->heard, "AMQP", 4) == 0) {
        must(peer->heard_size == LV_AMQP091_HEADER_SIZE);
        note(peer, "AMQP %u %u %u %u\n", peer->heard[4], peer->heard[5], peer->heard[6],
             peer->heard[7]);
        peer->header_heard = true;
        peer->heard_size = 0;
    }
    for (;;) {
        struct lv_amqp091_frame frame;
        int used = lv_amqp091_frame_decode(lv_bytes(peer->heard + at, peer->heard_size - at), 0,
                                           &frame, NULL);
        must(used >= 0);
        if (used == 0)
            break;
        if (peer->on_frame != NULL)
            peer->on_frame(peer, &frame);
        else
            note_frame(peer, &frame);
        at += (size_t)used;
    }
    peer->heard_size -= at;
    if (at > 0)
        memmove(peer->heard, peer->heard + at, peer->heard_size);
}

void lv_peer_hear(struct lv_peer *peer, size_t max)
{
    struct lv_out *out = lv_session_out(peer->session);
    struct lv_bytes piece;

    peer->must_flush = false;
    while (max > 0 && lv_out_gather(out, &piece, 1) > 0) {
        if (piece.size > max)
            piece.size = max;
        append(&peer->heard, &peer->heard_size, &peer->heard_capacity, piece);
        max -= piece.size;
        lv_out_consume(out, piece.size);
    }
    if (peer->heard_size > 0)
        take_heard(peer);
    lv_session_flushed(peer->session);
    if (out->size > 0)
        peer->must_flush = true;
}

const char *lv_peer_trace(struct lv_peer *peer)
{
    append(&peer->trace, &peer->trace_size, &peer->trace_capacity, lv_bytes("", 1));
    peer->trace_size = 0;
    return (const char *)peer->trace;
}
