/*
 * cli/properties.h - a message's properties and headers as options of the command line.
 *
 * Main thread.
 */
#pragma once

#include "base/value.h"
#include "cli/options.h"
#include "codec/amqp091/properties.h"

#define LV_PROPERTIES_HEADERS_MAX 256u

/* As they stand on the command line; encoded once, for all messages of a run. */
struct lv_property_options {
    const char *content_type, *content_encoding, *correlation_id, *reply_to; /* view  NULL: none */
    const char *message_id, *type, *user_id, *app_id;                        /* view */
    struct lv_amqp091_properties properties; /* what is not a plain text */
    char expiration[24];
    uint32_t header_count;
    struct lv_field headers[LV_PROPERTIES_HEADERS_MAX]; /* names and texts are views of argv */
};

/* Functions for LV_CALL_OPTION. --header: see the usage text. */
int lv_property_header(void *ctx, const char *value, struct lv_diag *diag);
/* --persistent, which has no value. */
int lv_property_persistent(void *ctx, const char *value, struct lv_diag *diag);
/* --priority: 0 to 255. */
int lv_property_priority(void *ctx, const char *value, struct lv_diag *diag);
/* --expiration: milliseconds, sent as text (0-9-1 has it so). */
int lv_property_expiration(void *ctx, const char *value, struct lv_diag *diag);
/* --timestamp: seconds since 1970, or `now`. */
int lv_property_timestamp(void *ctx, const char *value, struct lv_diag *diag);

#define LV_PROPERTY_OPTIONS(options)                                                               \
    LV_CALL_OPTION("persistent", 'p', NULL, lv_property_persistent, options,                       \
                   "survive a restart in a durable queue"),                                        \
        LV_CALL_OPTION("header", 'H', "NAME=VALUE", lv_property_header, options,                   \
                       "a header; NAME:TYPE=VALUE with TYPE str, int, bool,\n"                     \
                       "float, time or void; repeatable"),                                         \
        LV_TEXT_OPTION("content-type", 0, "TYPE", &(options)->content_type, "such as text/plain"), \
        LV_TEXT_OPTION("content-encoding", 0, "NAME", &(options)->content_encoding,                \
                       "such as gzip"),                                                            \
        LV_CALL_OPTION("priority", 0, "0..255", lv_property_priority, options,                     \
                       "its priority, for consumers to read: no queue of Leveret\n"                \
                       "sorts by it yet, RabbitMQ's queues with x-max-priority do"),               \
        LV_TEXT_OPTION("correlation-id", 0, "ID", &(options)->correlation_id,                      \
                       "what it answers to"),                                                      \
        LV_TEXT_OPTION("reply-to", 0, "QUEUE", &(options)->reply_to, "where answers should go"),   \
        LV_CALL_OPTION("expiration", 0, "MS", lv_property_expiration, options,                     \
                       "passed on as a property: RabbitMQ drops the message after so\n"            \
                       "many milliseconds in a queue, Leveret keeps it for now"),                  \
        LV_TEXT_OPTION("message-id", 0, "ID", &(options)->message_id, "its own name"),             \
        LV_CALL_OPTION("timestamp", 0, "SECONDS|now", lv_property_timestamp, options,              \
                       "when it was made"),                                                        \
        LV_TEXT_OPTION("type", 0, "NAME", &(options)->type, "what kind of message it is"),         \
        LV_TEXT_OPTION("user-id", 0, "USER", &(options)->user_id,                                  \
                       "who sends it; checked by the broker"),                                     \
        LV_TEXT_OPTION("app-id", 0, "NAME", &(options)->app_id, "the program that sends it")

/* Gives the raw properties (lv_free()). -LV_E_USAGE for a text that is too long, -LV_E_NOMEM. */
int lv_property_encode(const struct lv_property_options *options, uint8_t **ret_raw,
                       size_t *ret_size, struct lv_diag *diag) LV_MUST_CHECK;
