#include "client/engine.h"

#include "base/alloc.h"
#include "client/channel.h"
#include "client/handshake.h"
#include "codec/amqp091/content.h"
#include "codec/amqp091/frame.h"

#include <stdio.h>

/* Frames that are taken before both sides have agreed on a size: server-properties can be long. */
#define HANDSHAKE_FRAME_MAX 131072u
#define TEXT_SIZE           512u

/* In the order of the handshake; what comes out of turn ends the connection. */
enum state {
    STATE_START,   /* waits for connection.start */
    STATE_TUNE,    /* waits for connection.tune */
    STATE_OPENING, /* waits for connection.open-ok */
    STATE_RUNNING,
    STATE_CLOSING, /* waits for connection.close-ok */
    STATE_CLOSED,
};

/* The states that may follow each. */
static const uint8_t allowed[] = {
    [STATE_START] = 1u << STATE_TUNE | 1u << STATE_CLOSED,
    [STATE_TUNE] = 1u << STATE_OPENING | 1u << STATE_CLOSED,
    [STATE_OPENING] = 1u << STATE_RUNNING | 1u << STATE_CLOSED,
    [STATE_RUNNING] = 1u << STATE_CLOSING | 1u << STATE_CLOSED,
    [STATE_CLOSING] = 1u << STATE_CLOSED,
    [STATE_CLOSED] = 0,
};

/* No socket and no clock: bytes and time in, bytes and events out. */
struct lv_engine {
    struct lv_engine_config config;
    enum state state;
    bool blocked;
    uint32_t frame_max; /* agreed; 0 before */
    uint64_t heartbeat; /* interval in ns, 0: none */
    uint64_t heard_at;  /* when bytes came last */
    uint64_t tick_at;
    uint64_t put_count;      /* frames put into the output */
    uint64_t put_count_seen; /* the same at the last tick */
    struct lv_out out;
    struct lv_engine_channel **channels; /* own   by number; NULL where never used */
    uint32_t channel_count;              /*       length of the array */
    uint16_t channel_max;
    char server[128];
};

/* The one place where the state changes; a way that is not in the table is a mistake of ours. */
static void move_to(struct lv_engine *engine, enum state state)
{
    assert(allowed[engine->state] & (1u << state));
    engine->state = state;
}

/* Events go out in the order in which things happened on the wire. */
static void tell(struct lv_engine *engine, const struct lv_engine_event *event)
{
    assert(event->kind <= LV_ENGINE_CLOSED);
    engine->config.event(engine->config.event_ctx, event);
}

/* The connection is over; `reply_code` is what the broker gave as the reason, if it did. */
static void end(struct lv_engine *engine, int error, uint16_t reply_code, const char *text)
{
    const struct lv_engine_event event = {
        .kind = LV_ENGINE_CLOSED, .error = error, .reply_code = reply_code, .text = text};

    assert(error <= 0);
    if (engine->state == STATE_CLOSED)
        return;
    move_to(engine, STATE_CLOSED);
    tell(engine, &event);
}

/* NULL for a number that was never opened. */
static struct lv_engine_channel *find_channel(const struct lv_engine *engine, uint16_t number)
{
    assert(engine->channel_count <= UINT16_MAX + 1u);
    return number < engine->channel_count ? engine->channels[number] : NULL;
}

/* Room for one frame: in the output itself, or for a long one in a block of its own. */
struct room {
    uint8_t *at;  /* view */
    uint8_t *own; /* own   NULL, or the block */
    size_t size;
};

/* Frames that fit are built in the output itself; larger ones are copied into it. */
static int begin_frame(struct lv_engine *engine, size_t size, struct room *ret_room)
{
    struct room room = {.size = size};

    assert(size >= LV_AMQP091_FRAME_OVERHEAD_SIZE);
    if (engine->frame_max != 0 && size > engine->frame_max)
        return -LV_E_RESOURCE;
    if (size > LV_OUT_CHUNK_SIZE)
        room.at = room.own = lv_alloc(size);
    else
        room.at = lv_out_reserve(&engine->out, size);
    if (room.at == NULL)
        return -LV_E_NOMEM;
    *ret_room = room;
    return 0;
}

/* What the frame holds has been written to its room: it becomes part of the output. */
static int end_frame(struct lv_engine *engine, struct room *room)
{
    int rc = 0;

    assert(room->at != NULL);
    if (room->own != NULL)
        rc = lv_out_copy(&engine->out, lv_bytes(room->own, room->size));
    else
        lv_out_commit(&engine->out, room->size);
    lv_free(room->own);
    engine->put_count++;
    return rc;
}

/* -LV_E_RESOURCE when the method is longer than frames may be. */
static int put_method(struct lv_engine *engine, uint16_t channel,
                      const struct lv_amqp091_method *method)
{
    struct room room;
    int rc = begin_frame(engine, lv_amqp091_frame_method_size(method), &room);

    assert(method != NULL);
    if (rc < 0)
        return rc;
    lv_amqp091_frame_encode_method(method, channel, room.at);
    return end_frame(engine, &room);
}

/* For methods whose sending is our own idea: failing to send them ends the connection. */
static void put_or_end(struct lv_engine *engine, uint16_t channel,
                       const struct lv_amqp091_method *method)
{
    int rc = put_method(engine, channel, method);

    assert(method->id != 0);
    if (rc < 0)
        end(engine, rc, 0, "out of memory");
}

/* The broker broke the protocol, or we cannot go on: it is told, then the connection is over. */
static void give_up(struct lv_engine *engine, int error, const char *text)
{
    char shown[TEXT_SIZE];
    size_t size;

    assert(error < 0);
    snprintf(shown, sizeof shown, "%s - %s", lv_error_name(error), text);
    size = strlen(shown) < 255 ? strlen(shown) : 255;
    if (engine->state >= STATE_TUNE && engine->state <= STATE_RUNNING) {
        const struct lv_amqp091_method close = {
            .id = LV_AMQP091_CONNECTION_CLOSE,
            .connection_close = {.reply_code = (uint16_t)lv_error_code(error),
                                 .reply_text = lv_bytes(shown, size)}};
        put_or_end(engine, 0, &close);
    }
    end(engine, error, 0, text);
}

/* Logs in. Brokers tell a refusal either by connection.close or by closing the socket. */
static void answer_start(struct lv_engine *engine, const struct lv_amqp091_connection_start *start)
{
    uint8_t entries[LV_HANDSHAKE_PROPERTIES_SIZE];
    size_t user_size = strlen(engine->config.user);
    size_t password_size = strlen(engine->config.password);
    uint8_t response[2 * TEXT_SIZE], *p = response;
    const char *mechanism = engine->config.is_external ? "EXTERNAL" : "PLAIN";
    struct lv_amqp091_method method = {.id = LV_AMQP091_CONNECTION_START_OK};

    lv_handshake_server(start->server_properties, engine->server, sizeof engine->server);
    if (start->version_major != 0 || start->version_minor != 9) {
        give_up(engine, -LV_E_NOT_IMPLEMENTED, "the broker speaks another version than 0-9-1");
        return;
    }
    if (!lv_handshake_offers(start->mechanisms, mechanism)) {
        give_up(engine, -LV_E_ACCESS_REFUSED,
                engine->config.is_external
                    ? "the broker does not offer to log in by certificate (EXTERNAL)"
                    : "the broker does not offer to log in with PLAIN");
        return;
    }
    /* RFC 4616: authorization id, which is empty, then user and password behind zero bytes. */
    assert(user_size + password_size + 2 <= sizeof response);
    if (!engine->config.is_external) {
        p = lv_put_bytes(lv_put8(p, 0), lv_bytes(engine->config.user, user_size));
        p = lv_put_bytes(lv_put8(p, 0), lv_bytes(engine->config.password, password_size));
    }
    method.connection_start_ok = (struct lv_amqp091_connection_start_ok){
        .client_properties = lv_bytes(entries, lv_handshake_properties(&engine->config, entries)),
        .mechanism = lv_text(mechanism),
        .response = lv_bytes(response, (size_t)(p - response)),
        .locale = lv_text("en_US"),
    };
    move_to(engine, STATE_TUNE);
    put_or_end(engine, 0, &method);
}

/* tune-ok and open go out together: open needs no answer to tune-ok (0-9-1 §2.2.4). */
static void answer_tune(struct lv_engine *engine, const struct lv_amqp091_connection_tune *offer)
{
    struct lv_amqp091_method method = {
        .id = LV_AMQP091_CONNECTION_TUNE_OK,
        .connection_tune_ok = lv_handshake_tune(&engine->config, offer),
    };

    assert(engine->config.frame_max >= LV_AMQP091_FRAME_SIZE_MIN);
    if (offer->frame_max != 0 && offer->frame_max < LV_AMQP091_FRAME_SIZE_MIN) {
        give_up(engine, -LV_E_NOT_ALLOWED, "the broker's frame-max is below 4096");
        return;
    }
    move_to(engine, STATE_OPENING);
    put_or_end(engine, 0, &method);
    engine->frame_max = method.connection_tune_ok.frame_max;
    engine->channel_max = method.connection_tune_ok.channel_max;
    if (engine->channel_max == 0)
        engine->channel_max = UINT16_MAX;
    engine->heartbeat = method.connection_tune_ok.heartbeat * LV_NS_PER_S;
    engine->tick_at = engine->heard_at;
    method = (struct lv_amqp091_method){
        .id = LV_AMQP091_CONNECTION_OPEN,
        .connection_open = {.virtual_host = lv_text(engine->config.vhost)},
    };
    put_or_end(engine, 0, &method);
}

/* connection.close from the broker. */
static void take_close(struct lv_engine *engine, const struct lv_amqp091_connection_close *close)
{
    const struct lv_amqp091_method ok = {.id = LV_AMQP091_CONNECTION_CLOSE_OK};
    char text[TEXT_SIZE];

    snprintf(text, sizeof text, "%.*s", LV_FMT(close->reply_text));
    assert(engine->state != STATE_CLOSED);
    put_or_end(engine, 0, &ok);
    end(engine, lv_handshake_error(close->reply_code), close->reply_code, text);
}

/* RabbitMQ's word for "publishing has to wait": the broker stops reading, calls included. */
static void take_blocked(struct lv_engine *engine, const struct lv_amqp091_method *method,
                         bool blocked)
{
    const struct lv_engine_event event = {.kind = blocked ? LV_ENGINE_BLOCKED : LV_ENGINE_UNBLOCKED,
                                          .method = method};

    assert(engine->state >= STATE_OPENING);
    engine->blocked = blocked;
    tell(engine, &event);
}

/* Methods that come once, before the connection is open. */
static bool is_handshake(uint32_t id)
{
    assert(id != 0);
    return id == LV_AMQP091_CONNECTION_START || id == LV_AMQP091_CONNECTION_TUNE ||
           id == LV_AMQP091_CONNECTION_OPEN_OK;
}

/* Which handshake method the state waits for. */
static bool is_in_turn(const struct lv_engine *engine, uint32_t id)
{
    assert(engine->state != STATE_CLOSED);
    switch (engine->state) {
    case STATE_START:
        return id == LV_AMQP091_CONNECTION_START;
    case STATE_TUNE:
        return id == LV_AMQP091_CONNECTION_TUNE;
    case STATE_OPENING:
        return id == LV_AMQP091_CONNECTION_OPEN_OK;
    default:
        return !is_handshake(id);
    }
}

/* A well-formed method that has no place here. */
static void unexpected(struct lv_engine *engine, uint32_t id)
{
    char text[TEXT_SIZE];

    assert(lv_amqp091_method_name(id) != NULL);
    snprintf(text, sizeof text, "%s came when nobody waited for it", lv_amqp091_method_name(id));
    give_up(engine, -LV_E_COMMAND_INVALID, text);
}

/* Channel 0. A close may come in any state; all else has its turn. */
static void take_connection_method(struct lv_engine *engine, const struct lv_amqp091_method *method)
{
    const struct lv_engine_event opened = {.kind = LV_ENGINE_OPENED};

    assert(method->id != 0);
    if (method->id == LV_AMQP091_CONNECTION_CLOSE) {
        take_close(engine, &method->connection_close);
        return;
    }
    if (!is_in_turn(engine, method->id)) {
        unexpected(engine, method->id);
        return;
    }
    switch (method->id) {
    case LV_AMQP091_CONNECTION_START:
        answer_start(engine, &method->connection_start);
        break;
    case LV_AMQP091_CONNECTION_TUNE:
        answer_tune(engine, &method->connection_tune);
        break;
    case LV_AMQP091_CONNECTION_OPEN_OK:
        move_to(engine, STATE_RUNNING);
        tell(engine, &opened);
        break;
    case LV_AMQP091_CONNECTION_CLOSE_OK:
        end(engine, 0, 0, "closed");
        break;
    case LV_AMQP091_CONNECTION_BLOCKED:
    case LV_AMQP091_CONNECTION_UNBLOCKED:
        take_blocked(engine, method, method->id == LV_AMQP091_CONNECTION_BLOCKED);
        break;
    default:
        unexpected(engine, method->id);
    }
}

/* channel.close from the broker: what was awaited will not come. */
static void take_channel_close(struct lv_engine *engine, uint16_t number,
                               const struct lv_amqp091_method *method)
{
    const struct lv_amqp091_method ok = {.id = LV_AMQP091_CHANNEL_CLOSE_OK};
    const struct lv_amqp091_channel_close *close = &method->channel_close;
    struct lv_engine_channel *channel = find_channel(engine, number);
    char text[TEXT_SIZE];
    const struct lv_engine_event event = {.kind = LV_ENGINE_CHANNEL_CLOSED,
                                          .channel = number,
                                          .method = method,
                                          .error = lv_handshake_error(close->reply_code),
                                          .reply_code = close->reply_code,
                                          .text = text};

    assert(channel != NULL);
    snprintf(text, sizeof text, "%.*s", LV_FMT(close->reply_text));
    put_or_end(engine, number, &ok);
    lv_engine_channel_reset(channel);
    tell(engine, &event);
}

/* Carries the context of one basic.ack or basic.nack into the event. */
struct settling {
    struct lv_engine *engine;
    uint16_t channel;
    bool refused;
};

/* One run of tags: a broker that confirms many at once is told of by one event. */
static void settled(void *ctx, uint64_t first, uint64_t last)
{
    const struct settling *settling = ctx;
    const struct lv_engine_event event = {.kind = LV_ENGINE_CONFIRMED,
                                          .channel = settling->channel,
                                          .first = first,
                                          .last = last,
                                          .refused = settling->refused};

    assert(first <= last);
    tell(settling->engine, &event);
}

/* A confirm for a tag that is not open means that we and the broker count differently: nothing
 * can be trusted after that. */
static void take_confirm(struct lv_engine *engine, uint16_t number,
                         struct lv_engine_channel *channel, const struct lv_amqp091_method *method)
{
    bool refused = method->id == LV_AMQP091_BASIC_NACK;
    uint64_t tag = refused ? method->basic_nack.delivery_tag : method->basic_ack.delivery_tag;
    bool multiple = refused ? method->basic_nack.multiple : method->basic_ack.multiple;
    struct settling settling = {engine, number, refused};
    char text[TEXT_SIZE];

    assert(refused || method->id == LV_AMQP091_BASIC_ACK);
    if (lv_unconfirmed_settle(&channel->confirms, tag, multiple, settled, &settling) < 0) {
        snprintf(text, sizeof text, "publish %llu was confirmed twice or never made",
                 (unsigned long long)tag);
        give_up(engine, -LV_E_COMMAND_INVALID, text);
    }
}

/* An answer to the oldest call, which may change what the channel is. */
static void take_answer(struct lv_engine *engine, uint16_t number,
                        struct lv_engine_channel *channel, const struct lv_amqp091_method *method)
{
    const struct lv_engine_event event = {
        .kind = LV_ENGINE_REPLIED, .channel = number, .method = method};

    assert(number != 0);
    if (!lv_engine_channel_answer(channel, method->id)) {
        unexpected(engine, method->id);
        return;
    }
    if (method->id == LV_AMQP091_CONFIRM_SELECT_OK)
        channel->confirming = true;
    if (method->id == LV_AMQP091_CHANNEL_CLOSE_OK)
        lv_engine_channel_reset(channel);
    tell(engine, &event);
}

/* What a broker may say by itself on an open channel; the rest are answers. */
static void take_channel_method(struct lv_engine *engine, uint16_t number,
                                struct lv_engine_channel *channel,
                                const struct lv_amqp091_method *method)
{
    const struct lv_engine_event cancelled = {
        .kind = LV_ENGINE_CANCELLED, .channel = number, .method = method};
    struct lv_amqp091_method flow_ok = {.id = LV_AMQP091_CHANNEL_FLOW_OK};

    assert(channel->open);
    switch (method->id) {
    case LV_AMQP091_CHANNEL_CLOSE:
        take_channel_close(engine, number, method);
        break;
    case LV_AMQP091_CHANNEL_FLOW: /* RabbitMQ never sends it; it is answered, not obeyed */
        flow_ok.channel_flow_ok.active = method->channel_flow.active;
        put_or_end(engine, number, &flow_ok);
        break;
    case LV_AMQP091_BASIC_CANCEL:
        tell(engine, &cancelled);
        break;
    case LV_AMQP091_BASIC_ACK:
    case LV_AMQP091_BASIC_NACK:
        take_confirm(engine, number, channel, method);
        break;
    default:
        take_answer(engine, number, channel, method);
    }
}

/* A whole message: its method says what it is for. */
static void take_message(struct lv_engine *engine, uint16_t number,
                         struct lv_engine_channel *channel, const struct lv_engine_message *message)
{
    struct lv_engine_event event = {.channel = number, .message = message};

    assert(lv_amqp091_method_has_content(message->method.id));
    switch (message->method.id) {
    case LV_AMQP091_BASIC_DELIVER:
        event.kind = LV_ENGINE_DELIVERED;
        break;
    case LV_AMQP091_BASIC_RETURN:
        event.kind = LV_ENGINE_RETURNED;
        break;
    case LV_AMQP091_BASIC_GET_OK:
        event.kind = LV_ENGINE_GOT;
        if (lv_engine_channel_answer(channel, message->method.id))
            break;
        /* fall through */
    default:
        unexpected(engine, message->method.id);
        return;
    }
    tell(engine, &event);
}

/* Methods with content wait in the assembly until their body has come. */
static void take_method_frame(struct lv_engine *engine, const struct lv_amqp091_frame *frame,
                              struct lv_engine_channel *channel)
{
    struct lv_diag diag = {.text = "malformed method"};
    struct lv_amqp091_method method;
    int rc = lv_amqp091_method_decode(frame->payload, &method, &diag);

    if (rc < 0) {
        give_up(engine, rc, diag.text);
    } else if (frame->channel == 0) {
        take_connection_method(engine, &method);
    } else if (channel == NULL || !channel->open) {
        /* Late news for a channel that is closed already; close-ok is the usual one. */
        assert(frame->channel != 0);
    } else if (lv_amqp091_method_has_content(method.id)) {
        rc = lv_assembly_method(&channel->assembly, frame->payload, &diag);
        if (rc < 0)
            give_up(engine, rc, diag.text);
    } else {
        take_channel_method(engine, frame->channel, channel, &method);
    }
}

/* Content for a channel that was closed meanwhile is passed over: the broker sent it before it
 * knew. */
static void take_content_frame(struct lv_engine *engine, const struct lv_amqp091_frame *frame,
                               struct lv_engine_channel *channel)
{
    struct lv_diag diag = {.text = "out of memory"};
    struct lv_engine_message message;
    int rc;

    assert(frame->type == LV_AMQP091_FRAME_HEADER || frame->type == LV_AMQP091_FRAME_BODY);
    if (channel == NULL || !channel->open) {
        if (engine->state < STATE_RUNNING || frame->channel == 0)
            give_up(engine, -LV_E_UNEXPECTED_FRAME, "content came before there was a channel");
        return;
    }
    if (frame->type == LV_AMQP091_FRAME_HEADER)
        rc = lv_assembly_header(&channel->assembly, frame->payload, engine->config.body_max,
                                &message, &diag);
    else
        rc = lv_assembly_body(&channel->assembly, frame->payload, &message, &diag);
    if (rc < 0)
        give_up(engine, rc, diag.text);
    else if (rc > 0)
        take_message(engine, frame->channel, channel, &message);
}

/* 0-9-1 §4.2.3; the type was checked when the frame was decoded. */
static void take_frame(struct lv_engine *engine, const struct lv_amqp091_frame *frame)
{
    struct lv_engine_channel *channel = find_channel(engine, frame->channel);

    assert(engine->state != STATE_CLOSED);
    switch (frame->type) {
    case LV_AMQP091_FRAME_METHOD:
        take_method_frame(engine, frame, channel);
        break;
    case LV_AMQP091_FRAME_HEADER:
    case LV_AMQP091_FRAME_BODY:
        take_content_frame(engine, frame, channel);
        break;
    default: /* a heartbeat, which has been heard by coming */
        break;
    }
}

/* A server that does not like our protocol header answers with its own and closes (§4.2.2). */
static bool is_refused(struct lv_engine *engine, struct lv_bytes input)
{
    char text[TEXT_SIZE];

    if (engine->state != STATE_START || memcmp(input.data, "AMQP", 4) != 0)
        return false;
    assert(input.size >= LV_AMQP091_HEADER_SIZE);
    snprintf(text, sizeof text,
             "the server answers with protocol header AMQP %u %u %u %u: it does "
             "not speak AMQP 0-9-1 here",
             input.data[4], input.data[5], input.data[6], input.data[7]);
    end(engine, -LV_E_NOT_IMPLEMENTED, 0, text);
    return true;
}

/* The protocol header is its first output (0-9-1 §4.2.2). */
struct lv_engine *lv_engine_new(const struct lv_engine_config *config, uint64_t now)
{
    struct lv_engine *engine = lv_calloc(1, sizeof *engine);

    assert(config->event != NULL);
    assert(config->frame_max >= LV_AMQP091_FRAME_SIZE_MIN);
    if (engine == NULL)
        return NULL;
    engine->config = *config;
    engine->heard_at = now;
    lv_out_init(&engine->out, config->pool);
    if (lv_out_copy(&engine->out, lv_bytes(lv_amqp091_header_bytes, LV_AMQP091_HEADER_SIZE)) < 0) {
        lv_engine_free(engine);
        return NULL;
    }
    return engine;
}

/* Says nothing to anybody; whoever wants a goodbye calls it before. */
void lv_engine_free(struct lv_engine *engine)
{
    if (engine == NULL)
        return;
    assert(engine->channel_count == 0 || engine->channels != NULL);
    for (uint32_t i = 0; i < engine->channel_count; i++)
        lv_engine_channel_free(engine->channels[i]);
    lv_free(engine->channels);
    lv_out_fini(&engine->out);
    lv_free(engine);
}

/* Bytes that nobody has read yet count too. */
void lv_engine_heard(struct lv_engine *engine, uint64_t now)
{
    assert(now >= engine->heard_at);
    engine->heard_at = now;
}

/* Frame by frame; what is left over is less than one and comes again with more. */
size_t lv_engine_input(struct lv_engine *engine, struct lv_bytes input, uint64_t now)
{
    struct lv_diag diag = {.text = "malformed frame"};
    size_t used = 0;

    assert(input.size == 0 || input.data != NULL);
    if (input.size > 0)
        lv_engine_heard(engine, now);
    while (engine->state != STATE_CLOSED) {
        struct lv_bytes rest = lv_bytes(input.data + used, input.size - used);
        uint32_t limit = engine->state < STATE_OPENING ? HANDSHAKE_FRAME_MAX : engine->frame_max;
        struct lv_amqp091_frame frame;
        int size;

        if (rest.size < LV_AMQP091_HEADER_SIZE || is_refused(engine, rest))
            break;
        size = lv_amqp091_frame_decode(rest, limit, &frame, &diag);
        if (size == 0)
            break;
        if (size < 0) {
            give_up(engine, size, diag.text);
            break;
        }
        take_frame(engine, &frame);
        used += (size_t)size;
    }
    return engine->state == STATE_CLOSED ? input.size : used;
}

/* The one case in which silence has a meaning is told as what it means. */
void lv_engine_lost(struct lv_engine *engine, const char *why)
{
    assert(why != NULL);
    /* RabbitMQ closes the socket without a word when it refuses a login of an old client. */
    if (engine->state == STATE_TUNE)
        end(engine, -LV_E_ACCESS_REFUSED, 0, "the broker ended the connection during the login");
    else
        end(engine, -LV_E_CLOSED, 0, why);
}

/* 0-9-1 §4.2.7: a heartbeat twice per interval; two intervals of silence are the end. */
void lv_engine_tick(struct lv_engine *engine, uint64_t now)
{
    uint8_t heartbeat[LV_AMQP091_FRAME_OVERHEAD_SIZE];
    uint8_t *p;

    if (engine->heartbeat == 0 || engine->state == STATE_CLOSED || now < lv_engine_next(engine))
        return;
    assert(now >= engine->heard_at);
    /* 0-9-1 §4.2.7: two intervals of silence mean that the peer is gone. */
    if (now - engine->heard_at >= 2 * engine->heartbeat) {
        end(engine, -LV_E_TIMEOUT, 0, "the broker sent no heartbeat for two intervals");
        return;
    }
    engine->tick_at = now;
    if (engine->put_count == engine->put_count_seen) {
        p = lv_amqp091_frame_head_encode(heartbeat, LV_AMQP091_FRAME_HEARTBEAT, 0, 0);
        lv_put8(p, LV_AMQP091_FRAME_END);
        if (lv_out_copy(&engine->out, lv_bytes(heartbeat, sizeof heartbeat)) < 0)
            end(engine, -LV_E_NOMEM, 0, "out of memory");
    }
    engine->put_count_seen = engine->put_count;
}

/* Half an interval, so that ours are never late. */
uint64_t lv_engine_next(const struct lv_engine *engine)
{
    assert(engine != NULL);
    if (engine->heartbeat == 0 || engine->state == STATE_CLOSED)
        return LV_NEVER;
    return engine->tick_at + engine->heartbeat / 2;
}

/* Whoever has the socket sends from it. */
struct lv_out *lv_engine_out(struct lv_engine *engine)
{
    assert(engine != NULL);
    return &engine->out;
}

/* Makes the array reach up to `number`. */
static int add_channel(struct lv_engine *engine, uint16_t number)
{
    uint32_t count = number + 1u;

    assert(number > 0);
    assert(number <= engine->channel_max);
    if (count > engine->channel_count) {
        struct lv_engine_channel **channels =
            lv_realloc(engine->channels, count * sizeof *engine->channels);

        if (channels == NULL)
            return -LV_E_NOMEM;
        for (uint32_t i = engine->channel_count; i < count; i++)
            channels[i] = NULL;
        engine->channels = channels;
        engine->channel_count = count;
    }
    if (engine->channels[number] == NULL)
        engine->channels[number] = lv_engine_channel_new();
    return engine->channels[number] == NULL ? -LV_E_NOMEM : 0;
}

/* May the channel be used now (or opened, when `opens`)? */
static int check_channel(struct lv_engine *engine, uint16_t number, bool opens,
                         struct lv_diag *diag)
{
    struct lv_engine_channel *channel = find_channel(engine, number);
    bool open = channel != NULL && channel->open;

    assert(number != 0);
    if (engine->state != STATE_RUNNING)
        return lv_fail(diag, -LV_E_CLOSED, "the connection is not open");
    if (opens && number > engine->channel_max)
        return lv_fail(diag, -LV_E_CHANNEL, "channel %u is above the broker's limit of %u", number,
                       engine->channel_max);
    if (opens && !open)
        return add_channel(engine, number);
    if (open != opens)
        return 0;
    return lv_fail(diag, -LV_E_CHANNEL, "channel %u is %s", number, open ? "open" : "not open");
}

/* Only connection.close: nothing else goes to channel 0 once the connection is open. */
static int call_connection(struct lv_engine *engine, const struct lv_amqp091_method *method,
                           struct lv_diag *diag)
{
    int rc;

    assert(method->id == LV_AMQP091_CONNECTION_CLOSE);
    if (engine->state != STATE_RUNNING)
        return lv_fail(diag, -LV_E_CLOSED, "the connection is not open");
    rc = put_method(engine, 0, method);
    if (rc < 0)
        return lv_fail(diag, rc, "out of memory");
    move_to(engine, STATE_CLOSING);
    return 0;
}

/* What it sends is remembered until the answer has come. */
int lv_engine_call(struct lv_engine *engine, uint16_t channel,
                   const struct lv_amqp091_method *method, struct lv_diag *diag)
{
    bool opens = method->id == LV_AMQP091_CHANNEL_OPEN;
    struct lv_engine_channel *to;
    int rc;

    assert(!lv_amqp091_method_has_content(method->id));
    if (channel == 0)
        return call_connection(engine, method, diag);
    rc = check_channel(engine, channel, opens, diag);
    if (rc < 0)
        return rc;
    to = find_channel(engine, channel);
    if (lv_engine_channel_is_answered(method->id) && to->awaited_count == LV_ENGINE_AWAITED_MAX)
        return lv_fail(diag, -LV_E_RESOURCE, "channel %u has %u calls without an answer", channel,
                       LV_ENGINE_AWAITED_MAX);
    rc = put_method(engine, channel, method);
    if (rc < 0)
        return lv_fail(diag, rc, "%s with its arguments is longer than the broker's frames (%u)",
                       lv_amqp091_method_name(method->id), engine->frame_max);
    if (lv_engine_channel_is_answered(method->id))
        rc = lv_engine_channel_await(to, method->id);
    assert(rc == 0);
    to->open = to->open || opens;
    return rc;
}

/* Flags and properties are as the caller encoded them. */
static int put_header(struct lv_engine *engine, uint16_t channel,
                      const struct lv_amqp091_content *content)
{
    size_t payload_size = lv_amqp091_content_size(content);
    struct room room;
    uint8_t *p;
    int rc = begin_frame(engine, LV_AMQP091_FRAME_OVERHEAD_SIZE + payload_size, &room);

    assert(content != NULL);
    if (rc < 0)
        return rc;
    p = lv_amqp091_frame_head_encode(room.at, LV_AMQP091_FRAME_HEADER, channel, payload_size);
    p = lv_amqp091_content_encode(content, p);
    lv_put8(p, LV_AMQP091_FRAME_END);
    return end_frame(engine, &room);
}

/* 0-9-1 §4.2.6.2: a body is cut into frames of at most frame-max; an empty one has none. */
static int put_body(struct lv_engine *engine, uint16_t channel, struct lv_bytes body)
{
    size_t most = engine->frame_max == 0 ? HANDSHAKE_FRAME_MAX : engine->frame_max;
    const uint8_t last = LV_AMQP091_FRAME_END;
    int rc = 0;

    assert(most > LV_AMQP091_FRAME_OVERHEAD_SIZE);
    most -= LV_AMQP091_FRAME_OVERHEAD_SIZE;
    while (rc == 0 && body.size > 0) {
        uint8_t head[LV_AMQP091_FRAME_HEAD_SIZE];
        size_t size = body.size < most ? body.size : most;

        lv_amqp091_frame_head_encode(head, LV_AMQP091_FRAME_BODY, channel, size);
        rc = lv_out_copy(&engine->out, lv_bytes(head, sizeof head));
        if (rc == 0)
            rc = lv_out_copy(&engine->out, lv_bytes(body.data, size));
        if (rc == 0)
            rc = lv_out_copy(&engine->out, lv_bytes(&last, 1));
        body = lv_bytes(body.data + size, body.size - size);
    }
    return rc;
}

/* Checked before any of it is written: a half-sent message ends the connection. */
int lv_engine_publish(struct lv_engine *engine, uint16_t channel,
                      const struct lv_amqp091_basic_publish *publish,
                      const struct lv_engine_content *content, uint64_t *ret_tag,
                      struct lv_diag *diag)
{
    const struct lv_amqp091_method method = {.id = LV_AMQP091_BASIC_PUBLISH,
                                             .basic_publish = *publish};
    const struct lv_amqp091_content header = {content->body.size, content->properties};
    size_t header_size = LV_AMQP091_FRAME_OVERHEAD_SIZE + lv_amqp091_content_size(&header);
    struct lv_engine_channel *to;
    uint64_t tag = 0;
    int rc = check_channel(engine, channel, false, diag);

    assert(content->body.size == 0 || content->body.data != NULL);
    if (rc < 0)
        return rc;
    if (engine->frame_max != 0 && header_size > engine->frame_max)
        return lv_fail(diag, -LV_E_RESOURCE,
                       "the message's properties are longer than the broker's frames (%u bytes)",
                       engine->frame_max);
    to = find_channel(engine, channel);
    if (to->confirming)
        rc = lv_unconfirmed_open(&to->confirms, &tag);
    if (rc < 0)
        return lv_fail(diag, rc, "too many publishes wait for their confirm");
    rc = put_method(engine, channel, &method);
    if (rc == 0)
        rc = put_header(engine, channel, &header);
    if (rc == 0)
        rc = put_body(engine, channel, content->body);
    if (rc < 0) { /* a part of the message may be on its way: nothing can follow it */
        end(engine, rc, 0, "out of memory");
        return lv_fail(diag, rc, "out of memory");
    }
    *ret_tag = tag;
    return 0;
}

/* None on a channel that was never opened. */
uint64_t lv_engine_unconfirmed(const struct lv_engine *engine, uint16_t channel)
{
    const struct lv_engine_channel *of = find_channel(engine, channel);

    assert(channel != 0);
    return of == NULL ? 0 : lv_unconfirmed_count(&of->confirms);
}

/* By either side, or lost. */
bool lv_engine_is_closed(const struct lv_engine *engine)
{
    assert(engine != NULL);
    return engine->state == STATE_CLOSED;
}

/* RabbitMQ's extension: publishing would only fill buffers. */
bool lv_engine_is_blocked(const struct lv_engine *engine)
{
    assert(engine != NULL);
    return engine->blocked;
}

/* Product and version, for messages to people. */
const char *lv_engine_server(const struct lv_engine *engine)
{
    assert(engine != NULL);
    return engine->server;
}

/* As negotiated; 0 is none. */
uint32_t lv_engine_frame_max(const struct lv_engine *engine)
{
    assert(engine != NULL);
    return engine->frame_max;
}
