#include "server/inspect.h"

#include "admin/gather.h"
#include "admin/slice.h"
#include "base/arena.h"
#include "codec/amqp091/table.h"
#include "io/socket.h"
#include "server/connection.h"
#include "server/shard.h"
#include "session/amqp091/inspect.h"
#include "session/amqp091/limits.h"

static void add_totals(struct lv_shard *shard, struct lv_totals *totals)
{
    struct lv_broker_stats stats;

    lv_broker_stats(shard->broker, &stats);
    totals->connections += stats.connections;
    totals->channels += stats.channels;
    totals->consumers += stats.consumers;
    totals->ready += stats.ready;
    totals->unacked += stats.unacked;
    totals->queues += stats.queues;
    totals->exchanges = stats.exchanges; /* every shard has all of them */
    totals->vhosts = stats.vhosts;
}

/* The client's properties are decoded when somebody looks, into the arena. */
static void view_connection(const struct lv_connection *connection, struct lv_arena *arena,
                            struct lv_connection_view *ret_view)
{
    struct lv_session_view session;
    const struct lv_table *properties = NULL;

    assert(connection->session != NULL);
    lv_session_inspect(connection->session, &session);
    if (session.properties.size > 0 &&
        lv_amqp091_table_decode(session.properties, arena, &properties, NULL) < 0)
        properties = NULL;
    *ret_view = (struct lv_connection_view){
        .peer = connection->peer,
        .local = lv_socket_local(connection->watch.fd),
        .client = session.client,
        .state = session.state,
        .mechanism = session.mechanism,
        .user = session.user,
        .vhost = session.vhost,
        .properties = properties,
        .connected_ms = connection->connected_ms,
        .send_pending = session.out_size,
        .channels = session.channels,
        .frame_max = session.frame_max,
        .channel_max = session.channel_max,
        .heartbeat_s = session.heartbeat_s,
        .is_tls = connection->tls != NULL,
    };
}

/* The connection's channels from the slice's on, or their consumers. False: the slice is full. */
static bool inspect_channels(struct lv_slice *slice, const struct lv_connection *connection,
                             const struct lv_connection_view *view)
{
    struct lv_channel *channel;
    uint32_t number = slice->channel;

    assert(slice->kind == LV_LIST_CHANNEL || slice->kind == LV_LIST_CONSUMER);
    while ((channel = lv_session_next_channel(connection->session, &number)) != NULL) {
        if (number != slice->channel) {
            slice->channel = number;
            slice->walk = (struct lv_walk){.position = 0};
        }
        if (!lv_slice_has_room(slice))
            return false;
        if (slice->kind == LV_LIST_CHANNEL)
            lv_slice_channel(slice, view, channel, number);
        else if (lv_slice_consumers(slice, view, channel, number))
            return false;
        number++;
    }
    return true;
}

/* False: the slice is full, and the connection has more. */
static bool inspect_connection(struct lv_slice *slice, const struct lv_connection *connection)
{
    struct lv_connection_view view;
    struct lv_arena arena;
    bool is_done = true;

    lv_arena_init(&arena, LV_BOUND_CLIENT_PROPERTIES);
    view_connection(connection, &arena, &view);
    if (slice->kind == LV_LIST_CONNECTION)
        lv_slice_connection(slice, &view);
    else if (slice->kind == LV_LIST_CHANNEL || lv_bytes_equal(view.vhost, slice->vhost))
        is_done = inspect_channels(slice, connection, &view);
    assert(is_done || slice->kind != LV_LIST_CONNECTION);
    lv_arena_fini(&arena);
    return is_done;
}

/* At most so many connections in one slice, as those without channels don't fill it. They stand in
 * the order of their numbers; most lists fit into one slice, so looking from the front costs
 * little. */
static void inspect_connections(struct lv_shard *shard, struct lv_slice *slice)
{
    unsigned looked_at = 0;

    LV_LIST_EACH(&shard->connections, link)
    {
        const struct lv_connection *connection = lv_container(link, struct lv_connection, all);

        if (connection->number < slice->connection || connection->is_lost)
            continue;
        if (slice->connection != connection->number) {
            slice->connection = connection->number;
            slice->channel = 0;
            slice->walk = (struct lv_walk){.position = 0};
        }
        if (looked_at++ == LV_SLICE_ROWS || !lv_slice_has_room(slice) ||
            !inspect_connection(slice, connection))
            return;
        slice->connection++;
        slice->channel = 0;
    }
    assert(looked_at <= LV_SLICE_ROWS);
    slice->is_over = true;
}

void lv_shard_inspect(struct lv_shard *shard, struct lv_slice *slice)
{
    assert(slice->shard == shard->number);
    if (slice->is_status) {
        add_totals(shard, &slice->totals);
        slice->is_over = true;
    } else if (slice->is_gathered) {
        lv_gather_fill(slice, shard->broker);
    } else if (slice->kind >= LV_LIST_ACCESS_FIRST) {
        lv_slice_access(slice, shard->broker);
    } else if (slice->kind == LV_LIST_CONNECTION || slice->kind == LV_LIST_CHANNEL ||
               slice->kind == LV_LIST_CONSUMER) {
        inspect_connections(shard, slice);
    } else {
        lv_slice_fill(slice, shard->broker);
    }
}
