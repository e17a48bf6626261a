/*
 * session/amqp091/limits.h - every bound that a 0-9-1 peer's choice meets, and why it is there.
 *
 * One table: the code uses the constants, help texts and the manual print the rows. Where a row is
 * the default of a setting, struct lv_session_limits carries what is in force. Pure; any thread.
 */
#pragma once

#include "broker/broker.h"
#include "codec/amqp091/content.h"
#include "codec/amqp091/frame.h"
#include "codec/amqp091/table.h"

/* X(name, value, unit, what it bounds, reason) */
#define LV_SESSION_BOUNDS(X)                                                                       \
    X(FRAME_MIN, 4096, "bytes", "smallest frame_max a client may ask for",                         \
      "0-9-1 §4.2.3 promises it, and older libraries ask for exactly this")                        \
    X(HANDSHAKE_FRAME, 8192, "bytes", "a frame before connection.tune-ok",                         \
      "a stranger who has not logged in yet makes the broker hold no more")                        \
    X(FRAME_TOLERANCE, LV_AMQP091_FRAME_TOLERANCE_SIZE, "bytes",                                   \
      "payload above the negotiated frame_max - 8",                                                \
      "RabbitMQ tolerates libraries that forget a frame's overhead")                               \
    X(FRAME_MAX, 131072, "bytes", "frame_max offered",                                             \
      "bounds what one unfinished frame of a connection may occupy")                               \
    X(CHANNEL_MAX, 2047, "channels", "channels of one connection",                                 \
      "each costs memory; RabbitMQ's default, on which libraries rely")                            \
    X(HANDSHAKE, 10000, "ms", "from accept to connection.open-ok",                                 \
      "a socket that says nothing may not be held for ever")                                       \
    X(HEARTBEAT, 60, "s", "heartbeat offered", "RabbitMQ's default; the client's answer counts")   \
    X(MESSAGE, 16777216, "bytes", "body of one message", "RabbitMQ 4's default max_message_size")  \
    X(CONTENT, LV_AMQP091_BODY_SIZE_MAX, "bytes", "body size that a content header may announce",  \
      "above it the connection is closed, not only its channel")                                   \
    X(ASSEMBLY, 67108864, "bytes", "incomplete bodies held for one connection",                    \
      "every channel may have begun a message: 2047 times the largest would be too much")          \
    X(TABLE_DEPTH, LV_AMQP091_TABLE_DEPTH_MAX, "levels", "tables and arrays in each other",        \
      "reading them takes stack")                                                                  \
    X(TABLE_FIELDS, LV_AMQP091_TABLE_FIELDS_MAX, "fields", "fields of a table and all in it",      \
      "reading them takes time")                                                                   \
    X(TABLE, 131072, "bytes", "decoded size of one argument table",                                \
      "values grow when they are decoded; arguments that mean something are small")                \
    X(CLIENT_PROPERTIES, 65536, "bytes", "decoded size of the client's properties",                \
      "the same, for a peer that has not logged in")                                               \
    X(SHOWN_PROPERTIES, 4096, "bytes", "client's properties that are kept to be listed",           \
      "longer ones are read and forgotten: each connection would hold them")                       \
    X(USER, 255, "bytes", "name of a user", "it goes into messages' user-id, a short string")      \
    X(CLIENT_NAME, 255, "bytes", "connection_name that is shown", "longer names are cut")          \
    X(CONSUMERS, 10000, "consumers", "consumers of one channel",                                   \
      "each costs memory, and a tag is found by looking through them")                             \
    X(TX, LV_TX_SIZE_MAX, "bytes", "messages and acknowledgements of one transaction",             \
      "all of it is held until the commit; above it the channel is closed (406)")                  \
    X(REPLY_TO, LV_REPLY_TO_SIZE_MAX, "bytes",                                                     \
      "answers by direct reply-to that wait for a requester that does not read",                   \
      "no queue holds them; what comes on top is dropped")                                         \
    X(OUT_HIGH, 1048576, "bytes", "output at which deliveries to a connection stop",               \
      "a slow reader keeps its messages in the queue, not in its output")                          \
    X(OUT_LOW, 262144, "bytes", "output at which they go on", "enough to keep the socket busy")    \
    X(OUT_FULL, 4194304, "bytes", "output at which a connection's input is no longer taken",       \
      "answers to a peer that never reads pile up otherwise")                                      \
    X(CLOSE_OK, 10000, "ms", "wait for connection.close-ok",                                       \
      "a client that no longer answers is cut off")                                                \
    X(LINGER, 3000, "ms", "from a refusal to the end of the socket",                               \
      "slows down those who guess passwords; lets a last frame be read before the socket closes")

/* A name for each row, so that code and table use one number. */
enum lv_session_bound {
#define LV_SESSION_BOUND_VALUE(name, value, unit, what, reason) LV_BOUND_##name = (value),
    LV_SESSION_BOUNDS(LV_SESSION_BOUND_VALUE)
#undef LV_SESSION_BOUND_VALUE
};

/* A row of docs/limits.md. */
struct lv_bound {
    const char *name; /* "HANDSHAKE_FRAME" */
    uint64_t value;
    const char *unit;
    const char *what;
    const char *reason;
};

/* The rows in the table's order; ends with a row without a name. */
extern const struct lv_bound lv_session_bounds[];
