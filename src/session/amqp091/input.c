/*
 * From bytes to frames, and from frames to whoever has to judge them.
 *
 * What the answer to some bytes is must not depend on how they were cut. So a frame is judged when
 * it is there as a whole, but for what its first seven bytes decide (type, size), and bodies, which
 * nobody needs as a whole frame.
 */
#include "codec/amqp091/frame.h"
#include "codec/amqp091/wire.h"
#include "session/amqp091/machine.h"

/* How much of a frame an error text shows. */
#define SHOWN_MAX 16u

static const char *const handshake_states[] = {
    [LV_SESSION_STARTING] = "starting",
    [LV_SESSION_TUNING] = "tuning",
    [LV_SESSION_OPENING] = "opening",
    [LV_SESSION_RUNNING] = "running",
};

static int unexpected_method(const struct lv_session *session, struct lv_diag *diag)
{
    assert(handshake_states[session->state] != NULL);
    return lv_fail(diag, -LV_E_CHANNEL, "unexpected method in connection state %s",
                   handshake_states[session->state]);
}

static int bad_frame(const struct lv_amqp091_frame *frame, int error, const char *why,
                     struct lv_diag *diag)
{
    char octets[LV_AMQP091_OCTETS_SIZE];
    bool all = frame->payload.size <= SHOWN_MAX;
    struct lv_bytes shown = all ? frame->payload : lv_bytes(frame->payload.data, SHOWN_MAX);

    return lv_fail(diag, error, "type %u, %s octets = %s%s", frame->type, all ? "all" : "first 16",
                   lv_amqp091_octets(shown, SHOWN_MAX, octets), why);
}

static int unexpected_frame(const struct lv_amqp091_frame *frame, struct lv_diag *diag)
{
    return bad_frame(frame, -LV_E_UNEXPECTED_FRAME, "", diag);
}

/* The id, even of what can't be decoded further; 0 when there is none. */
static uint32_t method_id(const struct lv_amqp091_frame *frame)
{
    return frame->payload.size >= 4 ? lv_get32(frame->payload.data) : 0;
}

/* close-ok is sent when the core has let go, so that exclusive queues are gone by then. */
static int close_connection(struct lv_session *session)
{
    assert(!session->owes_close_ok);
    session->owes_close_ok = true;
    session->pause |= LV_PAUSE_ANSWER;
    if (session->state == LV_SESSION_RUNNING)
        lv_session_defer(session);
    else
        lv_session_release(session);
    return 0;
}

/* A password does not expire and neither does the login it was good for, so a new one changes
 * nothing. That it is taken is what clients want to hear (RabbitMQ's internal users: the same). */
static int update_secret(struct lv_session *session)
{
    struct lv_amqp091_method ok = {.id = LV_AMQP091_CONNECTION_UPDATE_SECRET_OK};

    assert(session->state == LV_SESSION_RUNNING);
    lv_session_send(session, 0, &ok);
    return 0;
}

static int take_connection_method(struct lv_session *session, const struct lv_amqp091_frame *frame,
                                  uint64_t now, struct lv_fault *fault)
{
    struct lv_amqp091_method method;
    int rc = lv_amqp091_method_decode(frame->payload, &method, &fault->diag);

    assert(session->state >= LV_SESSION_STARTING);
    assert(session->state <= LV_SESSION_RUNNING);
    fault->method = method_id(frame);
    if (rc < 0)
        return rc;
    if (method.id == LV_AMQP091_CONNECTION_START_OK && session->state == LV_SESSION_STARTING)
        return lv_session_start_ok(session, &method, fault);
    if (method.id == LV_AMQP091_CONNECTION_TUNE_OK && session->state == LV_SESSION_TUNING)
        return lv_session_tune_ok(session, &method, fault);
    if (method.id == LV_AMQP091_CONNECTION_OPEN && session->state == LV_SESSION_OPENING)
        return lv_session_open(session, &method, fault, now);
    if (method.id == LV_AMQP091_CONNECTION_CLOSE && session->state >= LV_SESSION_TUNING)
        return close_connection(session);
    if (method.id == LV_AMQP091_CONNECTION_UPDATE_SECRET && session->state == LV_SESSION_RUNNING)
        return update_secret(session);
    return unexpected_method(session, &fault->diag);
}

/* Channel 0, or any before the connection is open. */
static int take_connection_frame(struct lv_session *session, const struct lv_amqp091_frame *frame,
                                 uint64_t now, struct lv_fault *fault)
{
    assert(session->state != LV_SESSION_CLOSING);
    if (frame->channel != 0)
        return unexpected_frame(frame, &fault->diag);
    if (frame->type == LV_AMQP091_FRAME_METHOD)
        return take_connection_method(session, frame, now, fault);
    if (frame->type != LV_AMQP091_FRAME_HEARTBEAT)
        return unexpected_frame(frame, &fault->diag);
    return frame->payload.size == 0
               ? 0
               : bad_frame(frame, -LV_E_BAD_FRAME, ": unknown_frame", &fault->diag);
}

/* The first frame on a channel. */
static int open_channel(struct lv_session *session, const struct lv_amqp091_frame *frame,
                        struct lv_fault *fault)
{
    struct lv_amqp091_method method;
    int rc;

    assert(frame->channel > 0);
    if (frame->type != LV_AMQP091_FRAME_METHOD)
        return lv_fail(&fault->diag, -LV_E_UNEXPECTED_FRAME,
                       "expected method frame, got non method frame instead");
    fault->method = method_id(frame);
    rc = lv_amqp091_method_decode(frame->payload, &method, &fault->diag);
    if (rc < 0)
        return rc;
    if (method.id != LV_AMQP091_CHANNEL_OPEN)
        return lv_fail(&fault->diag, -LV_E_CHANNEL, "expected 'channel.open'");
    return lv_session_channel_open(session, frame->channel, fault);
}

/* Channel methods; only basic.publish has content. */
static int take_method(struct lv_session_channel *channel, const struct lv_amqp091_frame *frame,
                       struct lv_fault *fault)
{
    struct lv_amqp091_method method;
    int rc;

    assert(channel->state == LV_SESSION_CHANNEL_OPEN);
    fault->method = method_id(frame);
    rc = lv_amqp091_method_decode(frame->payload, &method, &fault->diag);
    if (rc < 0)
        return rc;
    if (method.id == LV_AMQP091_BASIC_PUBLISH)
        return lv_content_begin(channel, &method, fault);
    return lv_session_command(channel, &method, fault);
}

/* A failed channel hears nothing but the end of it. */
static int discard(struct lv_session_channel *channel, const struct lv_amqp091_frame *frame)
{
    assert(channel->state == LV_SESSION_CHANNEL_FAILED);
    if (frame->type != LV_AMQP091_FRAME_METHOD)
        return 0;
    if (method_id(frame) == LV_AMQP091_CHANNEL_CLOSE)
        lv_session_channel_close(channel);
    else if (method_id(frame) == LV_AMQP091_CHANNEL_CLOSE_OK)
        lv_session_channel_close_ok(channel);
    return 0;
}

static int take_channel_frame(struct lv_session_channel *channel,
                              const struct lv_amqp091_frame *frame, struct lv_fault *fault)
{
    assert(channel->number == frame->channel);
    switch ((enum lv_session_channel_state)channel->state) {
    case LV_SESSION_CHANNEL_OPEN:
        if (frame->type == LV_AMQP091_FRAME_METHOD)
            return take_method(channel, frame, fault);
        return lv_fail(&fault->diag, -LV_E_UNEXPECTED_FRAME,
                       "expected method frame, got non method frame instead");
    case LV_SESSION_CHANNEL_HEADER:
        fault->method = LV_AMQP091_BASIC_PUBLISH;
        if (frame->type == LV_AMQP091_FRAME_HEADER)
            return lv_content_header(channel, frame->payload, fault);
        return lv_fail(
            &fault->diag, -LV_E_UNEXPECTED_FRAME,
            "expected content header for class 60, got non content header frame instead");
    case LV_SESSION_CHANNEL_BODY:
        fault->method = LV_AMQP091_BASIC_PUBLISH;
        return lv_fail(&fault->diag, -LV_E_UNEXPECTED_FRAME,
                       "expected content body, got non content body frame instead");
    case LV_SESSION_CHANNEL_FAILED:
        return discard(channel, frame);
    case LV_SESSION_CHANNEL_LEAVING:
    case LV_SESSION_CHANNEL_STATE_COUNT:
        break;
    }
    LV_IMPOSSIBLE("input is paused while a channel leaves");
}

/* connection.close is sent: only its answer counts, or the client's own close. */
static void take_last_frame(struct lv_session *session, const struct lv_amqp091_frame *frame)
{
    struct lv_amqp091_method close_ok = {.id = LV_AMQP091_CONNECTION_CLOSE_OK};

    assert(session->state == LV_SESSION_CLOSING);
    if (frame->type != LV_AMQP091_FRAME_METHOD || frame->channel != 0)
        return;
    if (method_id(frame) == LV_AMQP091_CONNECTION_CLOSE)
        lv_session_send(session, 0, &close_ok);
    else if (method_id(frame) == LV_AMQP091_CONNECTION_CLOSE_OK)
        lv_session_move_to(session, LV_SESSION_FINISHED);
}

/* A whole frame, by the connection's state and its channel's. */
static void judge(struct lv_session *session, const struct lv_amqp091_frame *frame, uint64_t now)
{
    struct lv_session_channel *channel = NULL;
    struct lv_fault fault;
    int rc;

    fault.method = 0;
    if (session->state == LV_SESSION_CLOSING) {
        take_last_frame(session, frame);
        return;
    }
    if (session->state != LV_SESSION_RUNNING || frame->channel == 0) {
        rc = take_connection_frame(session, frame, now, &fault);
    } else if (frame->type == LV_AMQP091_FRAME_HEARTBEAT) {
        rc = unexpected_frame(frame, &fault.diag);
    } else {
        channel = lv_session_channel(session, frame->channel);
        rc = channel == NULL ? open_channel(session, frame, &fault)
                             : take_channel_frame(channel, frame, &fault);
    }
    if (rc < 0)
        lv_session_fail(session, channel, rc, &fault);
}

/* What follows can't be found any more, not even a close-ok. */
static void framing_error(struct lv_session *session, int error, struct lv_fault *fault)
{
    assert(error < 0);
    fault->method = 0;
    session->out_of_step = true;
    lv_session_fail(session, NULL, error, fault);
}

/* More of a body frame, as far as it came, and its end byte. Whose channel failed meanwhile goes to
 * nobody. */
static size_t take_body(struct lv_session *session, struct lv_bytes input)
{
    struct lv_session_channel *channel = lv_session_channel(session, session->frame_channel);
    size_t body = session->frame_left - 1;
    size_t size = body < input.size ? body : input.size;
    struct lv_fault fault;
    int rc = 0;

    assert(session->frame_left > 0);
    if (channel != NULL && channel->state != LV_SESSION_CHANNEL_BODY)
        channel = NULL;
    fault.method = LV_AMQP091_BASIC_PUBLISH;
    if (channel != NULL && size > 0)
        rc = lv_content_body(channel, lv_bytes(input.data, size), &fault);
    session->frame_left -= (uint32_t)size;
    if (rc == 0 && session->frame_left == 1 && size < input.size) {
        session->frame_left = 0;
        /* What the body was is no longer known, or would depend on how it was cut. */
        rc = lv_amqp091_frame_end_check(LV_AMQP091_FRAME_BODY, lv_bytes(NULL, 0), input.data[size],
                                        &fault.diag);
        size++;
        if (rc < 0) {
            framing_error(session, rc, &fault);
            return size;
        }
        if (channel != NULL)
            lv_content_end(channel);
    }
    if (rc < 0)
        lv_session_fail(session, channel, rc, &fault);
    return size;
}

/* Body frames are taken as they come where somebody expects or discards them. False: it is to be
 * judged as a whole. */
static bool begin_body(struct lv_session *session, const struct lv_amqp091_frame_head *head)
{
    struct lv_session_channel *channel = lv_session_channel(session, head->channel);
    struct lv_fault fault;

    assert(session->frame_left == 0);
    if (channel == NULL ||
        (channel->state != LV_SESSION_CHANNEL_BODY && channel->state != LV_SESSION_CHANNEL_FAILED))
        return false;
    session->frame_channel = head->channel;
    session->frame_left = head->size + 1;
    if (channel->state == LV_SESSION_CHANNEL_BODY) {
        int rc = lv_content_frame(channel, head->size, &fault);
        fault.method = LV_AMQP091_BASIC_PUBLISH;
        if (rc < 0)
            lv_session_fail(session, channel, rc, &fault);
    }
    return true;
}

/* The type and the size are judged as soon as they are known, the rest when all of it is there. */
static size_t take_frame(struct lv_session *session, struct lv_bytes input, uint64_t now)
{
    struct lv_amqp091_frame_head head;
    struct lv_amqp091_frame frame;
    struct lv_fault fault;
    int rc;

    assert(session->frame_left == 0);
    if (lv_amqp091_frame_head_decode(input, &head) == 0)
        return 0;
    rc = lv_amqp091_frame_head_check(&head, session->frame_max, &fault.diag);
    if (rc < 0) {
        framing_error(session, rc, &fault);
        return input.size;
    }
    if (head.type == LV_AMQP091_FRAME_BODY && session->state == LV_SESSION_RUNNING &&
        begin_body(session, &head))
        return LV_AMQP091_FRAME_HEAD_SIZE;
    if (input.size < (size_t)head.size + LV_AMQP091_FRAME_OVERHEAD_SIZE)
        return 0;
    frame = (struct lv_amqp091_frame){head.type, head.channel,
                                      lv_bytes(input.data + LV_AMQP091_FRAME_HEAD_SIZE, head.size)};
    rc = lv_amqp091_frame_end_check(head.type, frame.payload, frame.payload.data[head.size],
                                    &fault.diag);
    if (rc < 0) {
        framing_error(session, rc, &fault);
        return input.size;
    }
    judge(session, &frame, now);
    if (LV_UNLIKELY(session->is_retried))
        return 0;
    return (size_t)head.size + LV_AMQP091_FRAME_OVERHEAD_SIZE;
}

/* The bulk of all traffic: messages that lie in the input as a whole. 0: look closer. */
static size_t take_publish(struct lv_session *session, struct lv_bytes input)
{
    struct lv_session_channel *channel;

    assert(session->state == LV_SESSION_RUNNING);
    if (input.size < LV_CONTENT_WHOLE_MIN || input.data[0] != LV_AMQP091_FRAME_METHOD ||
        lv_get32(input.data + LV_AMQP091_FRAME_HEAD_SIZE) != LV_AMQP091_BASIC_PUBLISH)
        return 0;
    channel = lv_session_channel(session, lv_get16(input.data + 1));
    if (channel == NULL || channel->state != LV_SESSION_CHANNEL_OPEN)
        return 0;
    return lv_content_take_whole(channel, input);
}

size_t lv_session_take(struct lv_session *session, struct lv_bytes input, uint64_t now)
{
    size_t used = 0;

    assert(session->pause == 0);
    if (LV_LIKELY(session->state == LV_SESSION_RUNNING)) {
        if (session->frame_left > 0)
            return take_body(session, input);
        used = take_publish(session, input);
        return used > 0 ? used : take_frame(session, input, now);
    }
    if (session->state == LV_SESSION_HEADER)
        return lv_session_take_header(session, input);
    if (session->state == LV_SESSION_LINGERING || session->state == LV_SESSION_FINISHED)
        return input.size; /* nobody listens any more */
    if (session->frame_left > 0)
        return take_body(session, input);
    return take_frame(session, input, now);
}
