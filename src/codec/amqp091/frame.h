/*
 * codec/amqp091/frame.h - the eight bytes a connection starts with, and the frames behind them.
 *
 * 0-9-1 §4.2.3: type (1), channel (2), payload size (4), payload, end byte. A session that takes
 * bodies as they come reads the head, checks it and streams the payload; everybody else takes whole
 * frames. Texts of errors are RabbitMQ's. Pure; any thread.
 */
#pragma once

#include "codec/amqp091/method.h"

#define LV_AMQP091_FRAME_HEAD_SIZE     7u
#define LV_AMQP091_FRAME_OVERHEAD_SIZE 8u
/* RabbitMQ lets payloads be this much longer than frame-max allows, for peers that forget about the
 * overhead. */
#define LV_AMQP091_FRAME_TOLERANCE_SIZE 8u

/* 0-9-1 §4.2.3, without the end octet. */
struct lv_amqp091_frame_head {
    uint8_t type;
    uint16_t channel;
    uint32_t size; /* of the payload, as the peer says */
};

/* The payload is a view of the input. */
struct lv_amqp091_frame {
    uint8_t type;
    uint16_t channel;
    struct lv_bytes payload; /* view of the input */
};

/* Bytes used, which is LV_AMQP091_FRAME_HEAD_SIZE, or 0: more is needed. */
size_t lv_amqp091_frame_head_decode(struct lv_bytes input, struct lv_amqp091_frame_head *ret_head);
/* 0 when frames of this type exist and the payload fits into `frame_max` (0: no limit but what an
 * int can hold), else -LV_E_BAD_FRAME. */
int lv_amqp091_frame_head_check(const struct lv_amqp091_frame_head *head, uint32_t frame_max,
                                struct lv_diag *diag) LV_MUST_CHECK;
/* 0 when `end` is the byte that ends frames, else -LV_E_BAD_FRAME; `payload` (or what is still
 * known of it) is for the text. */
int lv_amqp091_frame_end_check(uint8_t type, struct lv_bytes payload, uint8_t end,
                               struct lv_diag *diag) LV_MUST_CHECK;

/* A whole frame: bytes used, 0 when more is needed, or -LV_E_BAD_FRAME as soon as that is known.
 * `frame_max` as above. */
int lv_amqp091_frame_decode(struct lv_bytes input, uint32_t frame_max,
                            struct lv_amqp091_frame *ret_frame, struct lv_diag *diag) LV_MUST_CHECK;

/* Writes the head of a frame and returns the byte behind it. */
static inline uint8_t *lv_amqp091_frame_head_encode(uint8_t *p, uint8_t type, uint16_t channel,
                                                    size_t payload_size)
{
    assert(payload_size <= UINT32_MAX);
    return lv_put32(lv_put16(lv_put8(p, type), channel), (uint32_t)payload_size);
}

/* Bytes of the method's frame. */
size_t lv_amqp091_frame_method_size(const struct lv_amqp091_method *method);
/* Writes the method's frame and returns the byte behind it. */
uint8_t *lv_amqp091_frame_encode_method(const struct lv_amqp091_method *method, uint16_t channel,
                                        uint8_t *p);

/* What stands in the eight bytes before the first frame (0-9-1 §4.2.2). */
enum lv_amqp091_header {
    LV_AMQP091_HEADER_0_9_1,    /* 0-9 too, which nobody tells apart */
    LV_AMQP091_HEADER_1_0_SASL, /* 1.0 §5.3 */
    LV_AMQP091_HEADER_1_0,      /* 1.0 without SASL, or asking for TLS inside */
    LV_AMQP091_HEADER_NEWER,    /* AMQP 0 0 minor revision, but not 0-9-1 */
    LV_AMQP091_HEADER_OTHER,    /* AMQP of some other version, such as 0-8 */
    LV_AMQP091_HEADER_HTTP,
    LV_AMQP091_HEADER_TLS,
    LV_AMQP091_HEADER_GARBAGE,
    LV_AMQP091_HEADER_COUNT
};

#define LV_AMQP091_HEADER_SIZE 8u

/* Bytes used (8), or 0: more is needed, whatever the first ones are. */
size_t lv_amqp091_header_decode(struct lv_bytes input, enum lv_amqp091_header *ret_header);
/* The eight bytes that a server of both protocols answers with, after which it closes, but for 1.0
 * with SASL, where they mean yes. NULL for 0-9-1, where the answer is connection.start. */
const uint8_t *lv_amqp091_header_reply(enum lv_amqp091_header header);
/* What a client of 0-9-1 sends. */
extern const uint8_t lv_amqp091_header_bytes[LV_AMQP091_HEADER_SIZE];
