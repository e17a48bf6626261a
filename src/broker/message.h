/*
 * broker/message.h - how a message lies in the log, and a view of it.
 *
 * One record: a fixed head, then exchange, routing key, properties and body back to back, as they
 * were received. Properties stay in the encoding of the protocol that published them (`format`);
 * the session that delivers converts where it speaks another. Pure; any thread that holds the
 * bytes.
 */
#pragma once

#include "base/value.h"

enum lv_message_format { LV_MESSAGE_AMQP091 /* 0-9-1 §4.2.6.1: property flags and list, raw */ };

/* What the session has found out, so that nobody has to look again. */
enum lv_message_flag {
    LV_MESSAGE_PERSISTENT = 1u << 0,
    LV_MESSAGE_EXTRA_KEYS = 1u << 1 /* the headers have CC or BCC: routing keys besides the one */
};

/* Views of one published message. */
struct lv_message {
    struct lv_bytes exchange;   /* ≤ 255 bytes */
    struct lv_bytes key;        /* routing key, ≤ 255 bytes */
    struct lv_bytes properties; /* raw, as `format` says */
    struct lv_bytes body;
    uint8_t format; /* enum lv_message_format */
    uint8_t flags;  /* enum lv_message_flag */
};

/* The head of a record; sizes of what follows it. */
struct lv_message_head {
    uint32_t body_size;
    uint32_t properties_size;
    uint8_t exchange_size;
    uint8_t key_size;
    uint8_t format;
    uint8_t flags;
};

/* Bytes of the message's record. Its parts together must be below 4 GiB. */
static inline uint32_t lv_message_record_size(const struct lv_message *message)
{
    return (uint32_t)(sizeof(struct lv_message_head) + message->exchange.size + message->key.size +
                      message->properties.size + message->body.size);
}

/* Writes lv_message_record_size() bytes. */
static inline void lv_message_write(const struct lv_message *message, void *record)
{
    struct lv_message_head head = {
        .body_size = (uint32_t)message->body.size,
        .properties_size = (uint32_t)message->properties.size,
        .exchange_size = (uint8_t)message->exchange.size,
        .key_size = (uint8_t)message->key.size,
        .format = message->format,
        .flags = message->flags,
    };
    memcpy(record, &head, sizeof head);
    uint8_t *p = (uint8_t *)record + sizeof head;
    p = lv_put_bytes(p, message->exchange);
    p = lv_put_bytes(p, message->key);
    p = lv_put_bytes(p, message->properties);
    lv_put_bytes(p, message->body);
}

/* Of a record. */
static inline bool lv_message_is_persistent(const void *record)
{
    struct lv_message_head head;

    memcpy(&head, record, sizeof head);
    return (head.flags & LV_MESSAGE_PERSISTENT) != 0;
}

/* A view of the record's parts, valid as long as the record is. */
static inline struct lv_message lv_message_view(const void *record)
{
    struct lv_message_head head;
    memcpy(&head, record, sizeof head);
    const uint8_t *p = (const uint8_t *)record + sizeof head;
    struct lv_message message = {.format = head.format, .flags = head.flags};
    message.exchange = lv_bytes(p, head.exchange_size);
    message.key = lv_bytes(p += head.exchange_size, head.key_size);
    message.properties = lv_bytes(p += head.key_size, head.properties_size);
    message.body = lv_bytes(p + head.properties_size, head.body_size);
    return message;
}

/* How to look into properties, for the few rules that need it; the rest of the core doesn't know
 * their encoding. */
struct lv_properties {
    /* The headers, in the arena and in the message; NULL when there are none. -LV_E_NOMEM. */
    int (*headers)(const struct lv_message *message, struct lv_arena *arena,
                   const struct lv_table **ret_headers);
    /* Properties like the message's, in the arena, without the header of this name. -LV_E_NOMEM. */
    int (*without_header)(const struct lv_message *message, const char *name,
                          struct lv_arena *arena, struct lv_bytes *ret_properties);
};
