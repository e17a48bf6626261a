/*
 * codec/amqp091/content.h - content headers: how long the body is and what properties it has.
 *
 * 0-9-1 §4.2.6.1: class (2), weight (2), body size (8), property flags (2), property list. Brokers
 * keep flags and list as they came ("raw") and look at single properties only. Flag bits without a
 * property are ignored, as RabbitMQ does. Pure; any thread.
 */
#pragma once

#include "codec/amqp091/properties.h"

/* Bytes before the raw properties. */
#define LV_AMQP091_CONTENT_HEAD_SIZE 12u
/* RabbitMQ's limit that no setting raises. */
#define LV_AMQP091_BODY_SIZE_MAX (UINT64_C(512) << 20)

/* The payload of a content header, its properties as they lie on the wire. */
struct lv_amqp091_content {
    uint64_t body_size;
    struct lv_bytes properties; /* view  raw: flags and list */
};

/* The payload of a header frame for a method of class basic, checked to the end: what `properties`
 * views is well-formed, headers included. 0, -LV_E_UNEXPECTED_FRAME (another class) or
 * -LV_E_BAD_FRAME. */
int lv_amqp091_content_decode(struct lv_bytes payload, struct lv_amqp091_content *ret_content,
                              struct lv_diag *diag) LV_MUST_CHECK;

/* Bytes of the payload of a header frame. */
static inline size_t lv_amqp091_content_size(const struct lv_amqp091_content *content)
{
    return LV_AMQP091_CONTENT_HEAD_SIZE + content->properties.size;
}

/* Writes the payload of a header frame and returns the byte behind it. */
uint8_t *lv_amqp091_content_encode(const struct lv_amqp091_content *content, uint8_t *p);

/* The value of one property as it lies there, without the length of strings and tables. False when
 * it is not there. `raw` should have been checked; if not, nothing behind its end is read. */
bool lv_amqp091_property_find(struct lv_bytes raw, enum lv_amqp091_property property,
                              struct lv_bytes *ret_value);
