/*
 * client/assembly.h - puts a message together from its method, header and body frames.
 *
 * One per channel, since frames of channels interleave (0-9-1 §4.2.6). Method and properties are
 * copied; a body that comes in one frame is not. Memory for the rest grows with what has come, not
 * with what the peer announces. Pure; one owner.
 */
#pragma once

#include "codec/amqp091/method.h"

/* 0-9-1 §4.2.6: in this order and in no other. */
enum lv_assembly_state {
    LV_ASSEMBLY_IDLE,   /* no message is on its way */
    LV_ASSEMBLY_HEADER, /* the method has come */
    LV_ASSEMBLY_BODY,   /* the header too */
};

/* Kept from message to message unless it has become large. */
struct lv_assembly_buffer {
    uint8_t *data; /* own */
    size_t size;
    size_t capacity;
};

/* The one message that a channel may be in the middle of. */
struct lv_assembly {
    enum lv_assembly_state state;
    struct lv_assembly_buffer method; /* its frame's payload */
    struct lv_assembly_buffer properties;
    struct lv_assembly_buffer body;
    uint64_t body_size; /* as announced */
};

/* A whole message; all views are valid until the assembly or the input is touched again. */
struct lv_engine_message {
    struct lv_amqp091_method method; /* basic.deliver, basic.get-ok or basic.return */
    struct lv_bytes properties;      /* raw: codec/amqp091/properties.h decodes them */
    struct lv_bytes body;
};

/* All zeros is an idle one. */
void lv_assembly_fini(struct lv_assembly *assembly);

/* Payload of a method frame that content follows. -LV_E_NOMEM or -LV_E_UNEXPECTED_FRAME. */
int lv_assembly_method(struct lv_assembly *assembly, struct lv_bytes payload, struct lv_diag *diag)
    LV_MUST_CHECK;
/* Payload of a header or body frame: 1 when that completes a message, 0 when there is more to come,
 * or an error; bodies above `body_max` are -LV_E_CONTENT_TOO_LARGE. */
int lv_assembly_header(struct lv_assembly *assembly, struct lv_bytes payload, uint64_t body_max,
                       struct lv_engine_message *ret_message, struct lv_diag *diag) LV_MUST_CHECK;
/* The same for a body frame's payload, which may complete a message of several. */
int lv_assembly_body(struct lv_assembly *assembly, struct lv_bytes payload,
                     struct lv_engine_message *ret_message, struct lv_diag *diag) LV_MUST_CHECK;
