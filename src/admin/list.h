/*
 * admin/list.h - what can be listed, and the columns that each list can show.
 *
 * Names are rabbitmqctl's. A column stands here when something is behind it. Pure; any thread.
 */
#pragma once

#include "base/bytes.h"

#include <stdbool.h>

/* X(constant, name) */
#define LV_QUEUE_COLUMNS(X)                                                                        \
    X(NAME, name)                                                                                  \
    X(DURABLE, durable)                                                                            \
    X(AUTO_DELETE, auto_delete)                                                                    \
    X(ARGUMENTS, arguments)                                                                        \
    X(POLICY, policy)                                                                              \
    X(PID, pid)                                                                                    \
    X(OWNER_PID, owner_pid)                                                                        \
    X(EXCLUSIVE, exclusive)                                                                        \
    X(MESSAGES_READY, messages_ready)                                                              \
    X(MESSAGES_UNACKNOWLEDGED, messages_unacknowledged)                                            \
    X(MESSAGES, messages)                                                                          \
    X(CONSUMERS, consumers)                                                                        \
    X(MEMORY, memory)                                                                              \
    X(STATE, state)                                                                                \
    X(TYPE, type)

#define LV_EXCHANGE_COLUMNS(X)                                                                     \
    X(NAME, name)                                                                                  \
    X(TYPE, type)                                                                                  \
    X(DURABLE, durable)                                                                            \
    X(AUTO_DELETE, auto_delete)                                                                    \
    X(INTERNAL, internal)                                                                          \
    X(ARGUMENTS, arguments)                                                                        \
    X(POLICY, policy)

#define LV_BINDING_COLUMNS(X)                                                                      \
    X(SOURCE_NAME, source_name)                                                                    \
    X(SOURCE_KIND, source_kind)                                                                    \
    X(DESTINATION_NAME, destination_name)                                                          \
    X(DESTINATION_KIND, destination_kind)                                                          \
    X(ROUTING_KEY, routing_key)                                                                    \
    X(ARGUMENTS, arguments)

#define LV_CONNECTION_COLUMNS(X)                                                                   \
    X(PID, pid)                                                                                    \
    X(NAME, name)                                                                                  \
    X(PORT, port)                                                                                  \
    X(HOST, host)                                                                                  \
    X(PEER_PORT, peer_port)                                                                        \
    X(PEER_HOST, peer_host)                                                                        \
    X(SSL, ssl)                                                                                    \
    X(STATE, state)                                                                                \
    X(CHANNELS, channels)                                                                          \
    X(PROTOCOL, protocol)                                                                          \
    X(AUTH_MECHANISM, auth_mechanism)                                                              \
    X(USER, user)                                                                                  \
    X(VHOST, vhost)                                                                                \
    X(TIMEOUT, timeout)                                                                            \
    X(FRAME_MAX, frame_max)                                                                        \
    X(CHANNEL_MAX, channel_max)                                                                    \
    X(CLIENT_PROPERTIES, client_properties)                                                        \
    X(CONNECTED_AT, connected_at)                                                                  \
    X(SEND_PEND, send_pend)

#define LV_CHANNEL_COLUMNS(X)                                                                      \
    X(PID, pid)                                                                                    \
    X(CONNECTION, connection)                                                                      \
    X(NAME, name)                                                                                  \
    X(NUMBER, number)                                                                              \
    X(USER, user)                                                                                  \
    X(VHOST, vhost)                                                                                \
    X(TRANSACTIONAL, transactional)                                                                \
    X(CONFIRM, confirm)                                                                            \
    X(CONSUMER_COUNT, consumer_count)                                                              \
    X(MESSAGES_UNACKNOWLEDGED, messages_unacknowledged)                                            \
    X(MESSAGES_UNCOMMITTED, messages_uncommitted)                                                  \
    X(ACKS_UNCOMMITTED, acks_uncommitted)                                                          \
    X(MESSAGES_UNCONFIRMED, messages_unconfirmed)                                                  \
    X(PREFETCH_COUNT, prefetch_count)                                                              \
    X(GLOBAL_PREFETCH_COUNT, global_prefetch_count)

#define LV_CONSUMER_COLUMNS(X)                                                                     \
    X(QUEUE_NAME, queue_name)                                                                      \
    X(CHANNEL_PID, channel_pid)                                                                    \
    X(CONSUMER_TAG, consumer_tag)                                                                  \
    X(ACK_REQUIRED, ack_required)                                                                  \
    X(PREFETCH_COUNT, prefetch_count)                                                              \
    X(ACTIVE, active)                                                                              \
    X(ACTIVITY_STATUS, activity_status)                                                            \
    X(ARGUMENTS, arguments)

#define LV_USER_COLUMNS(X)                                                                         \
    X(USER, user)                                                                                  \
    X(TAGS, tags)

#define LV_VHOST_COLUMNS(X)                                                                        \
    X(NAME, name)                                                                                  \
    X(TRACING, tracing)                                                                            \
    X(DESCRIPTION, description)                                                                    \
    X(TAGS, tags)                                                                                  \
    X(DEFAULT_QUEUE_TYPE, default_queue_type)

#define LV_PERMISSION_COLUMNS(X)                                                                   \
    X(USER, user)                                                                                  \
    X(CONFIGURE, configure)                                                                        \
    X(WRITE, write)                                                                                \
    X(READ, read)

#define LV_USER_PERMISSION_COLUMNS(X)                                                              \
    X(VHOST, vhost)                                                                                \
    X(CONFIGURE, configure)                                                                        \
    X(WRITE, write)                                                                                \
    X(READ, read)

#define LV_TOPIC_PERMISSION_COLUMNS(X)                                                             \
    X(USER, user)                                                                                  \
    X(EXCHANGE, exchange)                                                                          \
    X(WRITE, write)                                                                                \
    X(READ, read)

#define LV_USER_TOPIC_PERMISSION_COLUMNS(X)                                                        \
    X(VHOST, vhost)                                                                                \
    X(EXCHANGE, exchange)                                                                          \
    X(WRITE, write)                                                                                \
    X(READ, read)

#define LV_VHOST_LIMIT_COLUMNS(X)                                                                  \
    X(VHOST, vhost)                                                                                \
    X(LIMITS, limits)

#define LV_USER_LIMIT_COLUMNS(X)                                                                   \
    X(USER, user)                                                                                  \
    X(LIMITS, limits)

/* X(constant, command, columns, default columns, whether only the objects of a vhost are listed) */
#define LV_LISTS(X)                                                                                \
    X(QUEUE, list_queues, LV_QUEUE_COLUMNS, "name messages", true)                                 \
    X(EXCHANGE, list_exchanges, LV_EXCHANGE_COLUMNS, "name type", true)                            \
    X(BINDING, list_bindings, LV_BINDING_COLUMNS,                                                  \
      "source_name source_kind destination_name destination_kind routing_key arguments", true)     \
    X(CONNECTION, list_connections, LV_CONNECTION_COLUMNS, "user peer_host peer_port state",       \
      false)                                                                                       \
    X(CHANNEL, list_channels, LV_CHANNEL_COLUMNS,                                                  \
      "pid user consumer_count messages_unacknowledged", false)                                    \
    X(CONSUMER, list_consumers, LV_CONSUMER_COLUMNS,                                               \
      "queue_name channel_pid consumer_tag ack_required prefetch_count active arguments", true)    \
    X(USER, list_users, LV_USER_COLUMNS, "user tags", false)                                       \
    X(VHOST, list_vhosts, LV_VHOST_COLUMNS, "name", false)                                         \
    X(PERMISSION, list_permissions, LV_PERMISSION_COLUMNS, "user configure write read", true)      \
    X(USER_PERMISSION, list_user_permissions, LV_USER_PERMISSION_COLUMNS,                          \
      "vhost configure write read", false)                                                         \
    X(TOPIC_PERMISSION, list_topic_permissions, LV_TOPIC_PERMISSION_COLUMNS,                       \
      "user exchange write read", true)                                                            \
    X(USER_TOPIC_PERMISSION, list_user_topic_permissions, LV_USER_TOPIC_PERMISSION_COLUMNS,        \
      "vhost exchange write read", false)                                                          \
    X(VHOST_LIMIT, list_vhost_limits, LV_VHOST_LIMIT_COLUMNS, "vhost limits", false)               \
    X(USER_LIMIT, list_user_limits, LV_USER_LIMIT_COLUMNS, "user limits", false)

enum lv_list_kind {
#define LV_LIST_CONSTANT(NAME, ...) LV_LIST_##NAME,
    LV_LISTS(LV_LIST_CONSTANT)
#undef LV_LIST_CONSTANT
        LV_LIST_COUNT
};

/* Those from here on list changes of kinds that broker/access.h knows. */
#define LV_LIST_ACCESS_FIRST LV_LIST_USER

/* LV_COLUMN_QUEUE_NAME … in the order of the tables. */
#define LV_QUEUE_COLUMN(NAME, name)      LV_COLUMN_QUEUE_##NAME,
#define LV_EXCHANGE_COLUMN(NAME, name)   LV_COLUMN_EXCHANGE_##NAME,
#define LV_BINDING_COLUMN(NAME, name)    LV_COLUMN_BINDING_##NAME,
#define LV_CONNECTION_COLUMN(NAME, name) LV_COLUMN_CONNECTION_##NAME,
#define LV_CHANNEL_COLUMN(NAME, name)    LV_COLUMN_CHANNEL_##NAME,
#define LV_CONSUMER_COLUMN(NAME, name)   LV_COLUMN_CONSUMER_##NAME,
#define LV_VHOST_COLUMN(NAME, name)      LV_COLUMN_VHOST_##NAME,
enum lv_queue_column { LV_QUEUE_COLUMNS(LV_QUEUE_COLUMN) };
enum lv_exchange_column { LV_EXCHANGE_COLUMNS(LV_EXCHANGE_COLUMN) };
enum lv_binding_column { LV_BINDING_COLUMNS(LV_BINDING_COLUMN) };
enum lv_connection_column { LV_CONNECTION_COLUMNS(LV_CONNECTION_COLUMN) };
enum lv_channel_column { LV_CHANNEL_COLUMNS(LV_CHANNEL_COLUMN) };
enum lv_consumer_column { LV_CONSUMER_COLUMNS(LV_CONSUMER_COLUMN) };
enum lv_vhost_column { LV_VHOST_COLUMNS(LV_VHOST_COLUMN) };
#undef LV_QUEUE_COLUMN
#undef LV_EXCHANGE_COLUMN
#undef LV_BINDING_COLUMN
#undef LV_CONNECTION_COLUMN
#undef LV_CHANNEL_COLUMN
#undef LV_CONSUMER_COLUMN
#undef LV_VHOST_COLUMN

/* More than any list has. */
#define LV_COLUMNS_MAX 32u

struct lv_list_row {
    const char *command;        /* "list_queues" */
    const char *const *columns; /* names in the table's order; NULL ends them */
    const char *standard;       /* those shown when none is asked for, with spaces between */
    bool has_vhost;
    bool has_user; /* of one user, who has to be named */
};

/* By enum lv_list_kind. */
extern const struct lv_list_row lv_list_rows[LV_LIST_COUNT];

/* LV_LIST_COUNT: no such command. */
enum lv_list_kind lv_list_find(struct lv_bytes command);
/* The column's place in the table, -1 when the list has none of this name. */
int lv_list_column(enum lv_list_kind kind, struct lv_bytes name);
