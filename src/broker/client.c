#include "base/alloc.h"
#include "broker/core.h"
#include "broker/reply_to.h"

static_assert(LV_SHARDS_MAX == 1u << 6, "a client's id has room for its shard");
#define SHARD_BITS 6u /* a client's id is its serial number on its shard, then the shard */

/* The low bits say where it lives, so a queue's home can ask its owner without a table. */
uint32_t lv_client_shard(uint64_t id)
{
    return (uint32_t)(id & (LV_SHARDS_MAX - 1));
}

/* Not found is usual: a client may be gone before what was sent about it arrives. */
struct lv_client *lv_client_find(const struct lv_broker *broker, uint64_t id)
{
    return lv_map_get(&broker->clients, lv_bytes(&id, sizeof id));
}

/* RabbitMQ's order: the vhost's limit, the user's, then whether he may use the vhost, for which any
 * permission in it will do. */
static int check_open(const struct lv_broker *broker, const struct lv_client_config *config,
                      struct lv_diag *diag, struct lv_vhost **ret_vhost, struct lv_user **ret_user)
{
    struct lv_vhost *vhost = lv_topology_vhost(&broker->topology, config->vhost);
    struct lv_user *user = lv_access_user(&broker->access, config->user);
    const struct lv_grant *grant;

    if (vhost == NULL)
        return lv_fail(diag, -LV_E_NOT_ALLOWED, "vhost %.*s not found", LV_FMT(config->vhost));
    if (lv_tally_is_full_of_connections(broker, &vhost->tally))
        return lv_fail(diag, -LV_E_NOT_ALLOWED,
                       "access to vhost '%.*s' refused for user '%.*s': connection limit (%lld) is "
                       "reached",
                       LV_FMT(config->vhost), LV_FMT(config->user),
                       (long long)vhost->tally.max_connections);
    if (user != NULL && lv_tally_is_full_of_connections(broker, &user->tally))
        return lv_fail(
            diag, -LV_E_NOT_ALLOWED,
            "connection refused for user '%.*s': user connection limit (%lld) is reached",
            LV_FMT(config->user), (long long)user->tally.max_connections);
    grant = user == NULL ? NULL : lv_user_grant(user, config->vhost);
    if (grant == NULL || !grant->is_granted)
        return lv_fail(diag, -LV_E_NOT_ALLOWED, "access to vhost '%.*s' refused for user '%.*s'",
                       LV_FMT(config->vhost), LV_FMT(config->user));
    *ret_vhost = vhost;
    *ret_user = user;
    return 0;
}

/* The id is unique over all shards without asking any of them: a serial of our own, then the shard.
 */
int lv_client_open(struct lv_broker *broker, const struct lv_client_config *config,
                   struct lv_diag *diag, struct lv_client **ret_client)
{
    struct lv_vhost *vhost = NULL;
    struct lv_user *user = NULL;
    struct lv_client *client;
    int rc = check_open(broker, config, diag, &vhost, &user);

    if (rc < 0)
        return rc;
    client = lv_calloc(1, sizeof *client);
    if (client == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory for a connection");
    client->broker = broker;
    client->ops = config->ops;
    client->ctx = config->ctx;
    client->vhost = vhost;
    client->user = user;
    client->id = ++broker->last_client_id << SHARD_BITS | broker->config.shard;
    client->origin = config->origin;
    client->alias = config->alias;
    client->writable = true;
    lv_list_init(&client->channels);
    lv_list_init(&client->owned);
    lv_list_init(&client->probes);
    if (lv_map_put(&broker->clients, lv_bytes(&client->id, sizeof client->id), client) < 0) {
        lv_free(client);
        return lv_fail(diag, -LV_E_NOMEM, "out of memory for a connection");
    }
    assert(vhost != NULL);
    assert(user != NULL);
    vhost->refs++;
    user->refs++;
    lv_tally_count_connection(broker, &vhost->tally, true, lv_vhost_name(vhost), 1);
    lv_tally_count_connection(broker, &user->tally, false, lv_user_name(user), 1);
    broker->stats.connections++;
    *ret_client = client;
    return 0;
}

/* Exclusive queues end with their connection (0-9-1 queue.declare, exclusive). The client waits for
 * it, so that its name is free when the session says closed. */
static void delete_owned(struct lv_client *client)
{
    struct lv_broker *broker = client->broker;

    assert(client->closing);
    assert(lv_list_is_empty(&client->channels));
    LV_LIST_EACH(&client->owned, link)
    {
        struct lv_queue_entry *entry = lv_container(link, struct lv_queue_entry, owned_link);
        struct lv_pending *pending = lv_pending_new(client, NULL, LV_COMMAND_QUEUE_DELETE);
        if (pending == NULL)
            lv_broker_exhausted();
        lv_queue_submit_delete(broker, entry, pending);
    }
}

/* There is room for one more. */
static void forget_open(struct lv_client *client)
{
    struct lv_broker *broker = client->broker;
    struct lv_vhost *vhost = client->vhost;
    struct lv_user *user = client->user;

    lv_tally_count_connection(broker, &vhost->tally, true, lv_vhost_name(vhost), -1);
    lv_tally_count_connection(broker, &user->tally, false, lv_user_name(user), -1);
    lv_vhost_unref(vhost);
    lv_user_unref(user);
}

/* Channels first, then exclusive queues, then who waited for this client's end. */
void lv_client_progress(struct lv_client *client)
{
    struct lv_broker *broker = client->broker;

    if (!client->closing || !lv_list_is_empty(&client->channels) || client->refs > 0)
        return;
    if (!client->deleting && !lv_list_is_empty(&client->owned)) {
        client->deleting = true;
        delete_owned(client);
        return;
    }
    assert(lv_list_is_empty(&client->owned));
    const struct lv_client_ops *ops = client->ops;
    void *ctx = client->ctx;
    lv_map_remove(&broker->clients, lv_bytes(&client->id, sizeof client->id));
    broker->stats.connections--;
    lv_client_answer_probes(client);
    forget_open(client);
    lv_permits_fini(&client->permits);
    lv_free(client);
    ops->client_closed(ctx);
}

/* Commands under way keep the client: their answers name it. */
void lv_client_ref(struct lv_client *client)
{
    assert(client->broker != NULL);
    client->refs++;
}

/* May be the last thing that a closing client waited for. */
void lv_client_unref(struct lv_client *client)
{
    assert(client->refs > 0);
    client->refs--;
    lv_client_progress(client);
}

/* Every channel begins to close before any of them is waited for, as they may be on different
 * shards. */
void lv_client_close(struct lv_client *client)
{
    struct lv_broker *broker = client->broker;

    assert(!client->closing);
    client->closing = true;
    lv_client_ref(client); /* until all of its channels have been told */
    LV_LIST_EACH(&client->channels, link)
    {
        struct lv_channel *channel = lv_container(link, struct lv_channel, link);
        if (!channel->closing)
            lv_channel_begin_close(channel);
    }
    lv_client_unref(client);
    lv_broker_settle_local(broker);
}

/* Of the connection: 0-9-1 user-id is checked against it. */
struct lv_bytes lv_channel_user(const struct lv_channel *channel)
{
    assert(channel->client != NULL);
    return lv_user_name(channel->client->user);
}

/* Those that are closing already need not be told. */
void lv_clients_force(struct lv_broker *broker, const struct lv_vhost *vhost,
                      const struct lv_user *user, const char *why)
{
    struct lv_client *client;
    uint32_t cursor = 0;

    assert((vhost == NULL) != (user == NULL));
    while ((client = lv_map_next(&broker->clients, &cursor)) != NULL) {
        if ((vhost != NULL && client->vhost != vhost) || (user != NULL && client->user != user) ||
            client->closing || client->is_forced)
            continue;
        client->is_forced = true;
        client->ops->forced(client->ctx, why);
    }
}

/* One that consumes as well says over the same connection what it has taken. */
static bool is_consuming(const struct lv_client *client)
{
    LV_LIST_EACH(&client->channels, link)
    {
        const struct lv_channel *channel = lv_container(link, struct lv_channel, link);
        if (!lv_list_is_empty(&channel->subscriptions))
            return true;
    }
    return false;
}

bool lv_client_took_lead(struct lv_client *client)
{
    bool was_ahead = client->is_ahead;

    assert(client->ops != NULL);
    client->is_ahead = false;
    return LV_UNLIKELY(was_ahead) && !is_consuming(client);
}

/* A reader that takes output again is served in the same turn; nothing else would wake its queues.
 */
void lv_client_set_writable(struct lv_client *client, bool writable)
{
    assert(client->ops != NULL);
    if (client->writable == writable)
        return;
    client->writable = writable;
    if (!writable)
        return;
    LV_LIST_EACH(&client->channels, link)
    {
        struct lv_channel *channel = lv_container(link, struct lv_channel, link);
        lv_subscriber_wake(&channel->subscriber);
        lv_channel_grant(channel);
        lv_reply_to_flush(channel);
    }
}
