#include "admin/slice.h"

#include <inttypes.h>
#include <stdio.h>

/* Objects that have no number of their own in the protocol get a name in the form of RabbitMQ's
 * pids. A queue's begins with 1, a connection's with 0; a channel's ends with its number. */
#define PID_FORMAT "<leveret.%u.%" PRIu64 ".%u>"

/* Only AMQP 0-9-1 is spoken, over plain TCP. */
static const uint64_t protocol[] = {0, 9, 1};

static void put_client_pid(struct lv_rows *rows, uint64_t client, unsigned channel)
{
    if (client == 0)
        lv_rows_text(rows, lv_text(""));
    else
        lv_rows_print(rows, PID_FORMAT, 0u, client, channel);
}

/* ---- queues ---- */

static void put_queue_column(struct lv_rows *rows, const struct lv_queue_view *queue,
                             enum lv_queue_column column)
{
    const struct lv_queue_entry *entry = queue->entry;

    switch (column) {
    case LV_COLUMN_QUEUE_NAME:
        lv_rows_text(rows, lv_entry_name(entry));
        break;
    case LV_COLUMN_QUEUE_DURABLE:
        lv_rows_bool(rows, entry->durable);
        break;
    case LV_COLUMN_QUEUE_AUTO_DELETE:
        lv_rows_bool(rows, entry->auto_delete);
        break;
    case LV_COLUMN_QUEUE_ARGUMENTS:
        lv_rows_arguments(rows, entry->arguments);
        break;
    case LV_COLUMN_QUEUE_POLICY:
        lv_rows_text(rows, lv_text(""));
        break;
    case LV_COLUMN_QUEUE_PID:
        lv_rows_print(rows, PID_FORMAT, 1u, entry->id, 0u);
        break;
    case LV_COLUMN_QUEUE_OWNER_PID:
        put_client_pid(rows, entry->owner, 0);
        break;
    case LV_COLUMN_QUEUE_EXCLUSIVE:
        lv_rows_bool(rows, entry->owner != 0);
        break;
    case LV_COLUMN_QUEUE_MESSAGES_READY:
        lv_rows_number(rows, queue->ready);
        break;
    case LV_COLUMN_QUEUE_MESSAGES_UNACKNOWLEDGED:
        lv_rows_number(rows, queue->unacked);
        break;
    case LV_COLUMN_QUEUE_MESSAGES:
        lv_rows_number(rows, queue->ready + queue->unacked);
        break;
    case LV_COLUMN_QUEUE_CONSUMERS:
        lv_rows_number(rows, queue->consumers);
        break;
    case LV_COLUMN_QUEUE_MEMORY:
        lv_rows_number(rows, queue->memory_size);
        break;
    case LV_COLUMN_QUEUE_STATE:
        lv_rows_text(rows, lv_text("running"));
        break;
    case LV_COLUMN_QUEUE_TYPE:
        lv_rows_text(rows, lv_text("classic"));
        break;
    }
}

static bool show_queue(void *ctx, const struct lv_queue_view *queue)
{
    struct lv_slice *slice = ctx;

    assert(slice->kind == LV_LIST_QUEUE);
    lv_rows_begin(&slice->rows);
    for (unsigned i = 0; i < slice->column_count; i++)
        put_queue_column(&slice->rows, queue, (enum lv_queue_column)slice->columns[i]);
    lv_rows_end(&slice->rows);
    return lv_slice_has_room(slice);
}

/* ---- exchanges ---- */

static void put_exchange_column(struct lv_rows *rows, const struct lv_exchange *exchange,
                                enum lv_exchange_column column)
{
    switch (column) {
    case LV_COLUMN_EXCHANGE_NAME:
        lv_rows_text(rows, lv_exchange_name(exchange));
        break;
    case LV_COLUMN_EXCHANGE_TYPE:
        lv_rows_text(rows, lv_text(lv_exchange_type_word(exchange->type)));
        break;
    case LV_COLUMN_EXCHANGE_DURABLE:
        lv_rows_bool(rows, exchange->durable);
        break;
    case LV_COLUMN_EXCHANGE_AUTO_DELETE:
        lv_rows_bool(rows, exchange->auto_delete);
        break;
    case LV_COLUMN_EXCHANGE_INTERNAL:
        lv_rows_bool(rows, exchange->internal);
        break;
    case LV_COLUMN_EXCHANGE_ARGUMENTS:
        lv_rows_arguments(rows, exchange->arguments);
        break;
    case LV_COLUMN_EXCHANGE_POLICY:
        lv_rows_text(rows, lv_text(""));
        break;
    }
}

static bool show_exchange(void *ctx, const struct lv_exchange *exchange)
{
    struct lv_slice *slice = ctx;

    assert(slice->kind == LV_LIST_EXCHANGE);
    lv_rows_begin(&slice->rows);
    for (unsigned i = 0; i < slice->column_count; i++)
        put_exchange_column(&slice->rows, exchange, (enum lv_exchange_column)slice->columns[i]);
    lv_rows_end(&slice->rows);
    return lv_slice_has_room(slice);
}

/* ---- bindings ---- */

static void put_binding_column(struct lv_rows *rows, const struct lv_binding_view *binding,
                               enum lv_binding_column column)
{
    switch (column) {
    case LV_COLUMN_BINDING_SOURCE_NAME:
        lv_rows_text(rows, binding->source);
        break;
    case LV_COLUMN_BINDING_SOURCE_KIND:
        lv_rows_text(rows, lv_text("exchange"));
        break;
    case LV_COLUMN_BINDING_DESTINATION_NAME:
        lv_rows_text(rows, binding->target);
        break;
    case LV_COLUMN_BINDING_DESTINATION_KIND:
        lv_rows_text(rows, lv_text(binding->to_exchange ? "exchange" : "queue"));
        break;
    case LV_COLUMN_BINDING_ROUTING_KEY:
        lv_rows_text(rows, binding->key);
        break;
    case LV_COLUMN_BINDING_ARGUMENTS:
        lv_rows_arguments(rows, binding->arguments);
        break;
    }
}

static bool show_binding(void *ctx, const struct lv_binding_view *binding)
{
    struct lv_slice *slice = ctx;

    assert(slice->kind == LV_LIST_BINDING);
    lv_rows_begin(&slice->rows);
    for (unsigned i = 0; i < slice->column_count; i++)
        put_binding_column(&slice->rows, binding, (enum lv_binding_column)slice->columns[i]);
    lv_rows_end(&slice->rows);
    return lv_slice_has_room(slice);
}

void lv_slice_fill(struct lv_slice *slice, const struct lv_broker *broker)
{
    bool has_more = false;

    assert(!slice->is_over);
    switch (slice->kind) {
    case LV_LIST_QUEUE:
        has_more = lv_inspect_queues(broker, slice->vhost, &slice->walk, show_queue, slice);
        break;
    case LV_LIST_EXCHANGE:
        has_more = lv_inspect_exchanges(broker, slice->vhost, &slice->walk, show_exchange, slice);
        break;
    case LV_LIST_BINDING:
        has_more = lv_inspect_bindings(broker, slice->vhost, &slice->walk, show_binding, slice);
        break;
    default:
        LV_IMPOSSIBLE("the others are not the core's to list");
    }
    slice->is_over = !has_more;
}

/* ---- connections ---- */

/* As an Erlang term of numbers: four for IPv4, eight for IPv6. */
static void put_host(struct lv_rows *rows, const struct lv_address *address)
{
    uint64_t numbers[8];

    if (lv_address_is_ipv4(address)) {
        for (unsigned i = 0; i < 4; i++)
            numbers[i] = address->ip[12 + i];
        lv_rows_numbers(rows, numbers, 4);
        return;
    }
    for (size_t i = 0; i < 8; i++)
        numbers[i] = (uint64_t)address->ip[2 * i] << 8 | address->ip[2 * i + 1];
    lv_rows_numbers(rows, numbers, 8);
}

/* "127.0.0.1:5000 -> 127.0.0.1:5672". Returns `text`. */
static const char *name_of(const struct lv_connection_view *connection,
                           char text[2 * LV_ADDRESS_TEXT_SIZE + 4])
{
    char peer[LV_ADDRESS_TEXT_SIZE], local[LV_ADDRESS_TEXT_SIZE];

    assert(connection != NULL);
    snprintf(text, 2 * LV_ADDRESS_TEXT_SIZE + 4, "%s -> %s",
             lv_address_text(&connection->peer, peer), lv_address_text(&connection->local, local));
    return text;
}

/* A flat table of columns. */
static void put_connection_column(struct lv_rows *rows, const struct lv_connection_view *connection,
                                  enum lv_connection_column column)
{
    char text[2 * LV_ADDRESS_TEXT_SIZE + 4];

    switch (column) {
    case LV_COLUMN_CONNECTION_PID:
        put_client_pid(rows, connection->client, 0);
        break;
    case LV_COLUMN_CONNECTION_NAME:
        lv_rows_text(rows, lv_text(name_of(connection, text)));
        break;
    case LV_COLUMN_CONNECTION_PORT:
        lv_rows_number(rows, connection->local.port);
        break;
    case LV_COLUMN_CONNECTION_HOST:
        put_host(rows, &connection->local);
        break;
    case LV_COLUMN_CONNECTION_PEER_PORT:
        lv_rows_number(rows, connection->peer.port);
        break;
    case LV_COLUMN_CONNECTION_PEER_HOST:
        put_host(rows, &connection->peer);
        break;
    case LV_COLUMN_CONNECTION_SSL:
        lv_rows_bool(rows, connection->is_tls);
        break;
    case LV_COLUMN_CONNECTION_STATE:
        lv_rows_text(rows, lv_text(connection->state));
        break;
    case LV_COLUMN_CONNECTION_CHANNELS:
        lv_rows_number(rows, connection->channels);
        break;
    case LV_COLUMN_CONNECTION_PROTOCOL:
        lv_rows_numbers(rows, protocol, LV_COUNT(protocol));
        break;
    case LV_COLUMN_CONNECTION_AUTH_MECHANISM:
        lv_rows_text(rows, lv_text(connection->mechanism));
        break;
    case LV_COLUMN_CONNECTION_USER:
        lv_rows_text(rows, connection->user);
        break;
    case LV_COLUMN_CONNECTION_VHOST:
        lv_rows_text(rows, connection->vhost);
        break;
    case LV_COLUMN_CONNECTION_TIMEOUT:
        lv_rows_number(rows, connection->heartbeat_s);
        break;
    case LV_COLUMN_CONNECTION_FRAME_MAX:
        lv_rows_number(rows, connection->frame_max);
        break;
    case LV_COLUMN_CONNECTION_CHANNEL_MAX:
        lv_rows_number(rows, connection->channel_max);
        break;
    case LV_COLUMN_CONNECTION_CLIENT_PROPERTIES:
        lv_rows_arguments(rows, connection->properties);
        break;
    case LV_COLUMN_CONNECTION_CONNECTED_AT:
        lv_rows_number(rows, connection->connected_ms);
        break;
    case LV_COLUMN_CONNECTION_SEND_PEND:
        lv_rows_number(rows, connection->send_pending);
        break;
    }
}

void lv_slice_connection(struct lv_slice *slice, const struct lv_connection_view *connection)
{
    assert(slice->kind == LV_LIST_CONNECTION);
    lv_rows_begin(&slice->rows);
    for (unsigned i = 0; i < slice->column_count; i++)
        put_connection_column(&slice->rows, connection,
                              (enum lv_connection_column)slice->columns[i]);
    lv_rows_end(&slice->rows);
}

/* ---- channels ---- */

/* What its connection is called, and which of the connection's channels it is. */
struct channel_names {
    const struct lv_connection_view *connection; /* view */
    unsigned number;
};

static void put_channel_name(struct lv_rows *rows, const struct channel_names *names)
{
    char text[2 * LV_ADDRESS_TEXT_SIZE + 4];

    assert(names->number > 0);
    lv_rows_print(rows, "%s (%u)", name_of(names->connection, text), names->number);
}

/* A flat table of columns. */
static void put_channel_column(struct lv_rows *rows, const struct lv_channel_view *channel,
                               const struct channel_names *names, enum lv_channel_column column)
{
    switch (column) {
    case LV_COLUMN_CHANNEL_PID:
        put_client_pid(rows, channel->client, names->number);
        break;
    case LV_COLUMN_CHANNEL_CONNECTION:
        put_client_pid(rows, channel->client, 0);
        break;
    case LV_COLUMN_CHANNEL_NAME:
        put_channel_name(rows, names);
        break;
    case LV_COLUMN_CHANNEL_NUMBER:
        lv_rows_number(rows, names->number);
        break;
    case LV_COLUMN_CHANNEL_USER:
        lv_rows_text(rows, channel->user);
        break;
    case LV_COLUMN_CHANNEL_VHOST:
        lv_rows_text(rows, channel->vhost);
        break;
    case LV_COLUMN_CHANNEL_TRANSACTIONAL:
        lv_rows_bool(rows, channel->transactional);
        break;
    case LV_COLUMN_CHANNEL_CONFIRM:
        lv_rows_bool(rows, channel->confirm);
        break;
    case LV_COLUMN_CHANNEL_CONSUMER_COUNT:
        lv_rows_number(rows, channel->consumers);
        break;
    case LV_COLUMN_CHANNEL_MESSAGES_UNACKNOWLEDGED:
        lv_rows_number(rows, channel->unacked);
        break;
    case LV_COLUMN_CHANNEL_MESSAGES_UNCOMMITTED:
        lv_rows_number(rows, channel->uncommitted);
        break;
    case LV_COLUMN_CHANNEL_ACKS_UNCOMMITTED:
        lv_rows_number(rows, channel->acks_uncommitted);
        break;
    case LV_COLUMN_CHANNEL_MESSAGES_UNCONFIRMED:
        lv_rows_number(rows, channel->unconfirmed);
        break;
    case LV_COLUMN_CHANNEL_PREFETCH_COUNT:
        lv_rows_number(rows, channel->prefetch);
        break;
    case LV_COLUMN_CHANNEL_GLOBAL_PREFETCH_COUNT:
        lv_rows_number(rows, channel->global_prefetch);
        break;
    }
}

void lv_slice_channel(struct lv_slice *slice, const struct lv_connection_view *connection,
                      const struct lv_channel *channel, unsigned number)
{
    const struct channel_names names = {.connection = connection, .number = number};
    struct lv_channel_view view;

    assert(slice->kind == LV_LIST_CHANNEL);
    if (!lv_inspect_channel(channel, &view))
        return;
    lv_rows_begin(&slice->rows);
    for (unsigned i = 0; i < slice->column_count; i++)
        put_channel_column(&slice->rows, &view, &names, (enum lv_channel_column)slice->columns[i]);
    lv_rows_end(&slice->rows);
}

/* ---- consumers ---- */

/* The consumers of one channel, on their way into the slice. */
struct consumers {
    struct lv_slice *slice; /* view */
    uint64_t client;        /*       id */
    unsigned number;        /*       the channel's */
};

static void put_consumer_column(struct lv_rows *rows, const struct lv_consumer_view *consumer,
                                const struct consumers *of, enum lv_consumer_column column)
{
    switch (column) {
    case LV_COLUMN_CONSUMER_QUEUE_NAME:
        lv_rows_text(rows, consumer->queue);
        break;
    case LV_COLUMN_CONSUMER_CHANNEL_PID:
        put_client_pid(rows, of->client, of->number);
        break;
    case LV_COLUMN_CONSUMER_CONSUMER_TAG:
        lv_rows_text(rows, consumer->tag);
        break;
    case LV_COLUMN_CONSUMER_ACK_REQUIRED:
        lv_rows_bool(rows, !consumer->no_ack);
        break;
    case LV_COLUMN_CONSUMER_PREFETCH_COUNT:
        lv_rows_number(rows, consumer->prefetch);
        break;
    case LV_COLUMN_CONSUMER_ACTIVE: /* a single active consumer is refused at its declare */
        lv_rows_bool(rows, true);
        break;
    case LV_COLUMN_CONSUMER_ACTIVITY_STATUS:
        lv_rows_text(rows, lv_text("up"));
        break;
    case LV_COLUMN_CONSUMER_ARGUMENTS:
        lv_rows_arguments(rows, consumer->arguments);
        break;
    }
}

static bool show_consumer(void *ctx, const struct lv_consumer_view *consumer)
{
    const struct consumers *of = ctx;
    struct lv_slice *slice = of->slice;

    assert(slice->kind == LV_LIST_CONSUMER);
    lv_rows_begin(&slice->rows);
    for (unsigned i = 0; i < slice->column_count; i++)
        put_consumer_column(&slice->rows, consumer, of, (enum lv_consumer_column)slice->columns[i]);
    lv_rows_end(&slice->rows);
    return lv_slice_has_room(slice);
}

bool lv_slice_consumers(struct lv_slice *slice, const struct lv_connection_view *connection,
                        const struct lv_channel *channel, unsigned number)
{
    struct consumers of = {.slice = slice, .client = connection->client, .number = number};

    assert(number > 0);
    return lv_inspect_consumers(channel, &slice->walk, show_consumer, &of);
}
