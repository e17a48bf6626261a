#include "codec/amqp091/frame.h"

#include "codec/amqp091/wire.h"

#include <limits.h>
#include <stdio.h>

/* How much of a payload an error shows. */
#define SHOWN_MAX 16u
/* The largest payload when nothing limits it: a frame's size has to be an int. */
#define SIZE_MAX_EVER (INT_MAX - LV_AMQP091_FRAME_OVERHEAD_SIZE - LV_AMQP091_FRAME_TOLERANCE_SIZE)

const uint8_t lv_amqp091_header_bytes[LV_AMQP091_HEADER_SIZE] = {'A', 'M', 'Q', 'P', 0, 0, 9, 1};
/* What RabbitMQ answers strangers with, so that clients of 1.0 can tell. */
static const uint8_t header_1_0_sasl[LV_AMQP091_HEADER_SIZE] = {'A', 'M', 'Q', 'P', 3, 1, 0, 0};

/* `error` as RabbitMQ prints it behind what it knows of the frame. */
static int bad_frame(uint8_t type, struct lv_bytes payload, const char *error, struct lv_diag *diag)
{
    char octets[LV_AMQP091_OCTETS_SIZE];
    bool all = payload.size <= SHOWN_MAX;

    assert(payload.data != NULL || payload.size == 0);
    if (!all)
        payload.size = SHOWN_MAX;
    return lv_fail(diag, -LV_E_BAD_FRAME, "type %u, %s octets = %s: %s", type,
                   all ? "all" : "first 16", lv_amqp091_octets(payload, SHOWN_MAX, octets), error);
}

/* Seven octets are enough to judge a frame before any of its payload is kept. */
size_t lv_amqp091_frame_head_decode(struct lv_bytes input, struct lv_amqp091_frame_head *ret_head)
{
    if (input.size < LV_AMQP091_FRAME_HEAD_SIZE)
        return 0;
    assert(ret_head != NULL);
    *ret_head = (struct lv_amqp091_frame_head){
        .type = input.data[0],
        .channel = lv_get16(input.data + 1),
        .size = lv_get32(input.data + 3),
    };
    return LV_AMQP091_FRAME_HEAD_SIZE;
}

/* Before the payload has come: a size over the limit must not make anybody wait for so many bytes.
 */
int lv_amqp091_frame_head_check(const struct lv_amqp091_frame_head *head, uint32_t frame_max,
                                struct lv_diag *diag)
{
    uint32_t size_max = SIZE_MAX_EVER;
    char error[64];

    assert(frame_max == 0 || frame_max >= LV_AMQP091_FRAME_OVERHEAD_SIZE);
    if (frame_max != 0 && frame_max - LV_AMQP091_FRAME_OVERHEAD_SIZE < size_max)
        size_max = frame_max - LV_AMQP091_FRAME_OVERHEAD_SIZE;
    if (LV_UNLIKELY(head->size > size_max + LV_AMQP091_FRAME_TOLERANCE_SIZE)) {
        snprintf(error, sizeof error, "{frame_too_large,%u,%u}", head->size, size_max);
        return bad_frame(head->type, lv_bytes(NULL, 0), error, diag);
    }
    switch (head->type) {
    case LV_AMQP091_FRAME_METHOD:
    case LV_AMQP091_FRAME_HEADER:
    case LV_AMQP091_FRAME_BODY:
    case LV_AMQP091_FRAME_HEARTBEAT:
        return 0;
    default:
        return bad_frame(head->type, lv_bytes(NULL, 0), "unknown_frame", diag);
    }
}

/* 0-9-1 §4.2.3: without its end octet a frame is out of step with its size, and nothing behind it
 * can be trusted. */
int lv_amqp091_frame_end_check(uint8_t type, struct lv_bytes payload, uint8_t end,
                               struct lv_diag *diag)
{
    char error[64];

    assert(payload.size == 0 || payload.data != NULL);
    if (LV_LIKELY(end == LV_AMQP091_FRAME_END))
        return 0;
    snprintf(error, sizeof error, "{invalid_frame_end_marker,%u}", end);
    return bad_frame(type, payload, error, diag);
}

/* Whole frames only; the caller keeps what is left over. */
int lv_amqp091_frame_decode(struct lv_bytes input, uint32_t frame_max,
                            struct lv_amqp091_frame *ret_frame, struct lv_diag *diag)
{
    struct lv_amqp091_frame_head head;
    struct lv_bytes payload;
    int rc;

    if (lv_amqp091_frame_head_decode(input, &head) == 0)
        return 0;
    rc = lv_amqp091_frame_head_check(&head, frame_max, diag);
    if (rc < 0)
        return rc;
    if (input.size < (size_t)head.size + LV_AMQP091_FRAME_OVERHEAD_SIZE)
        return 0;
    assert(head.size <= INT_MAX - LV_AMQP091_FRAME_OVERHEAD_SIZE); /* checked with the head */
    payload = lv_bytes(input.data + LV_AMQP091_FRAME_HEAD_SIZE, head.size);
    rc = lv_amqp091_frame_end_check(head.type, payload, payload.data[payload.size], diag);
    if (rc < 0)
        return rc;
    *ret_frame = (struct lv_amqp091_frame){head.type, head.channel, payload};
    return (int)(head.size + LV_AMQP091_FRAME_OVERHEAD_SIZE);
}

/* Head and end octet included. */
size_t lv_amqp091_frame_method_size(const struct lv_amqp091_method *method)
{
    assert(method != NULL);
    return lv_amqp091_method_size(method) + LV_AMQP091_FRAME_OVERHEAD_SIZE;
}

/* The size goes into the head when the payload is there: measuring first would walk it twice. */
uint8_t *lv_amqp091_frame_encode_method(const struct lv_amqp091_method *method, uint16_t channel,
                                        uint8_t *p)
{
    uint8_t *payload = p + LV_AMQP091_FRAME_HEAD_SIZE;
    uint8_t *end = lv_amqp091_method_encode(method, payload);

    assert(end > payload);
    LV_EXPENSIVE_ASSERT((size_t)(end - payload) == lv_amqp091_method_size(method));
    lv_amqp091_frame_head_encode(p, LV_AMQP091_FRAME_METHOD, channel, (size_t)(end - payload));
    return lv_put8(end, LV_AMQP091_FRAME_END);
}

/* Of eight bytes of data. */
static bool starts_with(const uint8_t *data, const char *text)
{
    assert(strlen(text) <= LV_AMQP091_HEADER_SIZE);
    return memcmp(data, text, strlen(text)) == 0;
}

/* The version of a header that starts with AMQP; `v` is id, major, minor, revision. 1.0 §2.2 has
 * protocol ids 0 (plain), 2 (TLS) and 3 (SASL); 0-9 and older had 1 and a number of instance there.
 */
static enum lv_amqp091_header version_of(const uint8_t *v)
{
    static const uint8_t v0_9[] = {1, 1, 0, 9};
    static const uint8_t v0_9_1[] = {0, 0, 9, 1};
    static const uint8_t v1_0[] = {0, 1, 0, 0};
    static const uint8_t v1_0_tls[] = {2, 1, 0, 0};
    static const uint8_t v1_0_sasl[] = {3, 1, 0, 0};

    assert(v != NULL);
    if (memcmp(v, v0_9_1, 4) == 0 || memcmp(v, v0_9, 4) == 0)
        return LV_AMQP091_HEADER_0_9_1;
    if (memcmp(v, v1_0_sasl, 4) == 0)
        return LV_AMQP091_HEADER_1_0_SASL;
    if (v[0] == 0 && v[1] == 0 && v[2] >= 9)
        return LV_AMQP091_HEADER_NEWER;
    if (memcmp(v, v1_0, 4) == 0 || memcmp(v, v1_0_tls, 4) == 0)
        return LV_AMQP091_HEADER_1_0;
    return LV_AMQP091_HEADER_OTHER;
}

/* Not AMQP; but whoever came to the wrong port gets a word in the log. */
static enum lv_amqp091_header stranger(const uint8_t *data)
{
    static const char *const http[] = {"GET ",   "HEAD ",    "POST ",   "PUT ",  "DELETE ",
                                       "PATCH ", "OPTIONS ", "CONNECT", "TRACE", "PRI * "};

    assert(data != NULL);
    if (data[0] == 0x16 && data[1] == 0x03)
        return LV_AMQP091_HEADER_TLS;
    for (size_t i = 0; i < LV_COUNT(http); i++) {
        if (starts_with(data, http[i]))
            return LV_AMQP091_HEADER_HTTP;
    }
    return LV_AMQP091_HEADER_GARBAGE;
}

/* Eight octets tell even who is no AMQP client at all, so that the log can. */
size_t lv_amqp091_header_decode(struct lv_bytes input, enum lv_amqp091_header *ret_header)
{
    if (input.size < LV_AMQP091_HEADER_SIZE)
        return 0;
    assert(ret_header != NULL);
    *ret_header =
        starts_with(input.data, "AMQP") ? version_of(input.data + 4) : stranger(input.data);
    return LV_AMQP091_HEADER_SIZE;
}

/* 0-9-1 §4.2.2: a header that suits nobody is answered with one that does. */
const uint8_t *lv_amqp091_header_reply(enum lv_amqp091_header header)
{
    assert(header < LV_AMQP091_HEADER_COUNT);
    switch (header) {
    case LV_AMQP091_HEADER_0_9_1:
        return NULL;
    case LV_AMQP091_HEADER_NEWER:
        return lv_amqp091_header_bytes;
    default:
        return header_1_0_sasl;
    }
}
