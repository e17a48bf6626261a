#include "cli/bench_scan.h"

#include "codec/amqp091/frame.h"

#define STAMP_SIZE 16u
/* Method frames and headers of a consumer are shorter than this. */
#define FRAME_SIZE_MAX 131080u

/* No details: a broker that does this is broken. */
static int refuse_frame(struct lv_diag *diag)
{
    return lv_fail(diag, -LV_E_BAD_FRAME, "the broker sent a malformed frame");
}

/* All methods but basic.deliver. */
static int take_method(struct lv_bytes payload, struct lv_diag *diag)
{
    struct lv_amqp091_method method;
    int rc = lv_amqp091_method_decode(payload, &method, diag);

    if (rc < 0)
        return rc;
    switch (method.id) {
    case LV_AMQP091_CONNECTION_CLOSE:
        return lv_fail(diag, -LV_E_CLOSED, "the broker closed the connection: %.*s",
                       LV_FMT(method.connection_close.reply_text));
    case LV_AMQP091_CHANNEL_CLOSE:
        return lv_fail(diag, -LV_E_CLOSED, "the broker closed the channel: %.*s",
                       LV_FMT(method.channel_close.reply_text));
    case LV_AMQP091_BASIC_CANCEL:
        return lv_fail(diag, -LV_E_CLOSED, "the broker cancelled a consumer");
    default:
        return 0; /* consume-ok and the like */
    }
}

/* 0-9-1 §1.8.3.14: consumer tag, delivery tag, redelivered. */
static int take_delivery(struct lv_scan *scan, struct lv_bytes payload, struct lv_diag *diag)
{
    const uint8_t *tag = payload.data + 5;

    if (payload.size < 5 || payload.size < 5u + payload.data[4] + 9)
        return refuse_frame(diag);
    tag += payload.data[4];
    scan->tag = lv_get64(tag);
    scan->redelivered = (tag[8] & 1) != 0;
    return 0;
}

/* The last byte of a message has come. */
static void finish(struct lv_scan *scan)
{
    assert(scan->body_seen == scan->body_size);
    scan->message(scan->ctx, scan);
}

/* 0-9-1 §4.2.6.1: the body's size is all that counts. */
static int take_header(struct lv_scan *scan, struct lv_bytes payload, struct lv_diag *diag)
{
    if (payload.size < 14)
        return refuse_frame(diag);
    scan->body_size = lv_get64(payload.data + 4);
    scan->body_seen = 0;
    scan->identity = UINT64_MAX;
    scan->stamp = 0;
    if (scan->body_size == 0)
        finish(scan);
    return 0;
}

/* A whole frame other than a body: its size, 0 for more, or an error. */
static ssize_t take_frame(struct lv_scan *scan, struct lv_bytes input, uint32_t size,
                          struct lv_diag *diag)
{
    struct lv_bytes payload = lv_bytes(input.data + LV_AMQP091_FRAME_HEAD_SIZE, size);
    int rc = 0;

    if (size > FRAME_SIZE_MAX)
        return refuse_frame(diag);
    if (input.size < (size_t)size + LV_AMQP091_FRAME_OVERHEAD_SIZE)
        return 0;
    if (payload.data[size] != LV_AMQP091_FRAME_END)
        return refuse_frame(diag);
    assert(input.data[0] != LV_AMQP091_FRAME_BODY);
    if (input.data[0] == LV_AMQP091_FRAME_HEADER)
        rc = take_header(scan, payload, diag);
    else if (input.data[0] == LV_AMQP091_FRAME_METHOD && size >= 4)
        rc = lv_get32(payload.data) == LV_AMQP091_BASIC_DELIVER ? take_delivery(scan, payload, diag)
                                                                : take_method(payload, diag);
    return rc < 0 ? rc : (ssize_t)(size + LV_AMQP091_FRAME_OVERHEAD_SIZE);
}

/* The head of a body frame and, at the body's start, the bytes behind it: 0 for more. */
static size_t take_body_head(struct lv_scan *scan, struct lv_bytes input, uint32_t size)
{
    const uint8_t *body = input.data + LV_AMQP091_FRAME_HEAD_SIZE;
    size_t wanted = size < STAMP_SIZE ? size : STAMP_SIZE;

    assert(scan->skip == 0);
    if (scan->body_seen == 0) {
        if (input.size < LV_AMQP091_FRAME_HEAD_SIZE + wanted)
            return 0;
        if (wanted >= 8)
            memcpy(&scan->identity, body, 8);
        if (wanted >= 16)
            memcpy(&scan->stamp, body + 8, 8);
    }
    scan->skip = (uint64_t)size + 1;
    return LV_AMQP091_FRAME_HEAD_SIZE;
}

/* Passes over a part of a body frame; its last byte is the frame's end. */
static ssize_t take_body(struct lv_scan *scan, struct lv_bytes input, struct lv_diag *diag)
{
    size_t size = input.size < scan->skip ? input.size : (size_t)scan->skip;

    assert(scan->skip > 0);
    scan->skip -= size;
    scan->body_seen += size - (scan->skip == 0);
    if (scan->skip > 0)
        return (ssize_t)size;
    if (input.data[size - 1] != LV_AMQP091_FRAME_END || scan->body_seen > scan->body_size)
        return refuse_frame(diag);
    if (scan->body_seen == scan->body_size)
        finish(scan);
    return (ssize_t)size;
}

ssize_t lv_scan_input(struct lv_scan *scan, struct lv_bytes input, struct lv_diag *diag)
{
    size_t at = 0;

    while (at < input.size) {
        struct lv_bytes rest = lv_bytes(input.data + at, input.size - at);
        uint32_t size;
        ssize_t used;

        if (scan->skip > 0) {
            used = take_body(scan, rest, diag);
        } else {
            if (rest.size < LV_AMQP091_FRAME_OVERHEAD_SIZE)
                break;
            size = lv_get32(rest.data + 3);
            if (rest.data[0] == LV_AMQP091_FRAME_BODY)
                used = (ssize_t)take_body_head(scan, rest, size);
            else
                used = take_frame(scan, rest, size, diag);
        }
        if (used < 0)
            return used;
        if (used == 0)
            break;
        at += (size_t)used;
    }
    assert(at <= input.size);
    return (ssize_t)at;
}

size_t lv_scan_unwanted(const struct lv_scan *scan)
{
    assert(scan->body_seen <= scan->body_size);
    return scan->skip > 1 ? (size_t)scan->skip - 1 : 0;
}

void lv_scan_dropped(struct lv_scan *scan, size_t size)
{
    assert(size <= lv_scan_unwanted(scan));
    scan->skip -= size;
    scan->body_seen += size;
}
