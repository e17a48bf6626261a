/* Queues locked by a client that may be dead: whoever wants one has that client's peer looked at.
 */
#include "base/alloc.h"
#include "broker/core.h"

/* Is this the same application come back? It has the same user, and the same place or name. */
static bool is_same(const struct lv_client *client, const struct lv_op *op)
{
    struct lv_bytes user = lv_user_name(client->user);
    const struct lv_op_probe *probe = &op->probe;

    assert(op->kind == LV_OP_PROBE);
    if (!lv_bytes_equal(user, lv_bytes(op->data, op->size)))
        return false;
    return (probe->origin != 0 && probe->origin == client->origin) ||
           (probe->alias != 0 && probe->alias == client->alias);
}

/* Takes the operation: whoever waits may look again. */
static void answer(struct lv_broker *broker, struct lv_op *op)
{
    uint32_t to = op->from;

    assert(op->kind == LV_OP_PROBE);
    op->kind = LV_OP_PROBED;
    op->from = broker->config.shard;
    lv_op_send(broker, to, op);
}

/* Each goes back to the shard that asked; what it finds there now is its own matter. */
void lv_client_answer_probes(struct lv_client *client)
{
    struct lv_link *link;

    assert(client->broker != NULL);
    while ((link = lv_list_pop_front(&client->probes)) != NULL)
        answer(client->broker, lv_container(link, struct lv_op, link));
}

/* Whoever wanted its queue gets 405 as RabbitMQ would have told at once. */
void lv_client_alive(struct lv_client *client)
{
    struct lv_broker *broker = client->broker;

    assert(!client->closing);
    lv_client_answer_probes(client);
    lv_broker_settle_local(broker);
}

/* On the owner's shard, since only there its socket can be looked at. */
void lv_owner_probe(struct lv_broker *broker, struct lv_op *op)
{
    struct lv_client *client = lv_client_find(broker, op->probe.owner);

    assert(op->kind == LV_OP_PROBE);
    if (client == NULL) { /* gone, and so are its queues, on every shard */
        answer(broker, op);
        return;
    }
    bool same = is_same(client, op);
    lv_list_push_back(&client->probes, &op->link);
    if (!client->closing) /* else it is answered with the client's end */
        client->ops->probe(client->ctx, same);
}

/* The command is tried again now: either the lock is gone, or 405 is right. */
void lv_owner_probed(struct lv_op *op)
{
    struct lv_pending *pending = op->probe.pending;

    assert(pending != NULL);
    lv_op_free(op);
    lv_pending_finish(pending, NULL);
}

/* False where there is nobody to ask; then the lock is as it is. */
bool lv_channel_probe_owner(struct lv_channel *channel, struct lv_bytes queue)
{
    struct lv_client *client = channel->client;
    struct lv_broker *broker = channel->broker;

    assert(!channel->closing);
    if (queue.size == 0 && channel->last_queue != NULL)
        queue = lv_bytes(channel->last_queue, channel->last_queue_size);
    const struct lv_queue_entry *entry = lv_vhost_queue(client->vhost, queue);
    if (entry == NULL || entry->owner == 0 || entry->owner == client->id)
        return false;
    struct lv_pending *pending = lv_pending_new(client, channel, LV_COMMAND_PROBE);
    if (pending == NULL)
        return false;
    struct lv_op *op = lv_op_new(broker, LV_OP_PROBE, client->user->name_size);
    if (op == NULL) {
        lv_pending_free(pending);
        return false;
    }
    op->probe = (struct lv_op_probe){
        .pending = pending,
        .owner = entry->owner,
        .origin = client->origin,
        .alias = client->alias,
    };
    lv_put_bytes(op->data, lv_user_name(client->user));
    lv_op_send(broker, lv_client_shard(entry->owner), op);
    lv_broker_settle_local(broker);
    return true;
}
