#include "base/alloc.h"
#include "broker/core.h"

/* ---- pending commands and their answers ---- */

struct lv_pending *lv_pending_new(struct lv_client *client, struct lv_channel *channel,
                                  enum lv_command command)
{
    struct lv_pending *pending = lv_alloc(sizeof *pending);

    if (pending == NULL)
        return NULL;
    memset(pending, 0, offsetof(struct lv_pending, name));
    pending->diag.text[0] = '\0';
    pending->client = client;
    pending->channel = channel;
    pending->command = command;
    lv_client_ref(client);
    if (channel != NULL)
        channel->commands++;
    return pending;
}

void lv_pending_set_name(struct lv_pending *pending, struct lv_bytes name)
{
    assert(name.size <= sizeof pending->name);
    pending->name_size = (uint8_t)name.size;
    lv_put_bytes((uint8_t *)pending->name, name);
}

static struct lv_bytes pending_name(const struct lv_pending *pending)
{
    return lv_bytes(pending->name, pending->name_size);
}

/* What had to wait until the command was answered. */
static void run_deferred(struct lv_channel *channel)
{
    struct lv_link *link;

    while (channel->commands == 0 && (link = lv_list_pop_front(&channel->deferred)) != NULL)
        lv_op_run(channel->broker, lv_container(link, struct lv_op, link));
}

/* Takes the pending command: the session hears how it ended. */
static void finish(struct lv_pending *pending, const struct lv_delivery *delivery)
{
    struct lv_channel *channel = pending->channel;
    struct lv_client *client = pending->client;
    struct lv_reply reply = {
        .command = pending->command,
        .error = pending->error,
        .text = pending->diag.text,
        .name = pending_name(pending),
        .message_count = pending->message_count,
        .consumer_count = pending->consumer_count,
        .delivery = delivery,
    };

    if (channel != NULL && !channel->closing)
        client->ops->reply(channel->ctx, &reply);
    lv_free(pending);
    if (channel != NULL) {
        channel->commands--;
        run_deferred(channel);
        lv_channel_progress(channel);
    }
    lv_client_unref(client);
}

void lv_command_refuse(struct lv_channel *channel, enum lv_command command, int error,
                       const struct lv_diag *diag)
{
    struct lv_reply reply = {.command = command, .error = error, .text = diag->text};

    assert(error < 0);
    channel->client->ops->reply(channel->ctx, &reply);
}

/* ---- changes of the topology ---- */

/* Where the strings of a change that travels lie: behind the operation, in this order. */
static void place_strings(struct lv_op *op)
{
    struct lv_change *change = &op->change.change;
    struct lv_bytes *strings[] = {&change->vhost, &change->name, &change->other, &change->key};
    uint8_t *p = op->data;

    for (size_t i = 0; i < LV_COUNT(strings); i++) {
        uint8_t *at = p;
        p = lv_put_bytes(p, *strings[i]);
        strings[i]->data = at;
    }
}

/* An operation with a copy of the change, or NULL. */
static struct lv_op *change_op(const struct lv_broker *broker, enum lv_op_kind kind,
                               const struct lv_change *change)
{
    size_t size = change->vhost.size + change->name.size + change->other.size + change->key.size;
    struct lv_op *op = lv_op_new(broker, kind, (uint32_t)size);

    if (op == NULL)
        return NULL;
    op->change.change = *change;
    place_strings(op);
    op->change.change.arguments = NULL;
    if (change->arguments != NULL && change->arguments->count > 0) {
        op->change.arguments = lv_table_dup(change->arguments);
        op->change.change.arguments = op->change.arguments;
        if (op->change.arguments == NULL) {
            lv_op_free(op);
            return NULL;
        }
    }
    return op;
}

int lv_change_submit(struct lv_broker *broker, const struct lv_change *change,
                     struct lv_pending *pending, uint32_t origin)
{
    struct lv_op *op = change_op(broker, LV_OP_SUBMIT, change);

    if (op == NULL)
        return -LV_E_NOMEM;
    op->change.pending = pending;
    op->change.origin = origin;
    lv_op_send(broker, 0, op);
    return 0;
}

void lv_change_sequence(struct lv_broker *broker, const struct lv_op *op)
{
    assert(broker->config.shard == 0);
    for (uint32_t shard = 0; shard < broker->config.shard_count; shard++) {
        struct lv_op *apply = change_op(broker, LV_OP_APPLY, &op->change.change);
        if (apply == NULL)
            lv_broker_exhausted();
        apply->change.pending = op->change.pending;
        apply->change.origin = op->change.origin;
        lv_op_send(broker, shard, apply);
    }
}

/* An ANSWER or APPLIED with the sentence behind it. */
static struct lv_op *answer_op(const struct lv_broker *broker, enum lv_op_kind kind,
                               struct lv_pending *pending, const char *text)
{
    struct lv_op *op = lv_op_new(broker, kind, (uint32_t)strlen(text) + 1);

    if (op == NULL)
        lv_broker_exhausted();
    memcpy(op->data, text, op->size);
    op->answer.pending = pending;
    return op;
}

void lv_change_apply(struct lv_broker *broker, const struct lv_op *op)
{
    struct lv_change_result result = {0};
    struct lv_diag diag = {.text = ""};
    int rc = lv_topology_apply(broker, &op->change.change, &diag, &result);

    if (op->change.pending == NULL)
        return; /* nobody waits, and what nobody waits for cannot fail */
    struct lv_op *applied = answer_op(broker, LV_OP_APPLIED, op->change.pending, diag.text);
    applied->answer.error = rc;
    applied->answer.message_count = result.message_count;
    lv_op_send(broker, op->change.origin, applied);
}

void lv_queue_submit_delete(struct lv_broker *broker, const struct lv_queue_entry *entry,
                            struct lv_pending *pending)
{
    struct lv_change change = {
        .kind = LV_CHANGE_QUEUE_DELETE,
        .vhost = lv_vhost_name(entry->vhost),
        .name = lv_entry_name(entry),
        .queue_id = entry->id,
    };

    if (lv_change_submit(broker, &change, pending, broker->config.shard) < 0)
        lv_broker_exhausted();
}

/* ---- a command for a queue's home ---- */

struct lv_op *lv_command_op(struct lv_broker *broker, enum lv_op_kind kind,
                            struct lv_pending *pending)
{
    struct lv_op *op = lv_op_new(broker, kind, 0);

    if (op == NULL)
        lv_broker_exhausted();
    op->command.pending = pending;
    op->command.channel = pending->channel;
    op->command.queue_id = pending->queue_id;
    if (pending->channel != NULL && pending->home != broker->config.shard) {
        struct lv_remote *remote = lv_channel_remote(pending->channel, pending->home);
        op->command.subscriber = remote == NULL ? NULL : remote->subscriber;
    } else if (pending->channel != NULL) {
        op->command.subscriber = &pending->channel->subscriber;
    }
    return op;
}

/* Asks the home of a declared queue for its counts. */
static void query(struct lv_broker *broker, struct lv_pending *pending)
{
    lv_op_send(broker, pending->home, lv_command_op(broker, LV_OP_QUERY, pending));
}

/* A queue has been declared: the channel may call it by no name from now on. */
static void remember_queue(struct lv_channel *channel, struct lv_bytes name)
{
    char *copy = lv_strndup((const char *)name.data, name.size);

    if (copy == NULL)
        lv_broker_exhausted();
    lv_free(channel->last_queue);
    channel->last_queue = copy;
    channel->last_queue_size = (uint8_t)name.size;
}

/* The declare has been applied everywhere: on to its counts. */
static void declared(struct lv_broker *broker, struct lv_pending *pending)
{
    struct lv_queue_entry *entry = lv_vhost_queue(pending->client->vhost, pending_name(pending));

    if (entry == NULL) { /* deleted again by somebody else: it was there, and empty */
        finish(pending, NULL);
        return;
    }
    pending->home = entry->home;
    pending->queue_id = entry->id;
    query(broker, pending);
}

void lv_command_applied(struct lv_broker *broker, struct lv_op *op)
{
    struct lv_pending *pending = op->answer.pending;

    pending->message_count += op->answer.message_count;
    if (op->answer.error < 0) {
        pending->error = op->answer.error;
        lv_fail(&pending->diag, op->answer.error, "%s", (const char *)op->data);
    }
    if (++pending->applied < broker->config.shard_count)
        return;
    if (pending->command == LV_COMMAND_QUEUE_DECLARE && pending->error == 0)
        declared(broker, pending);
    else
        finish(pending, NULL);
}

/* A new subscriber of the channel on the shard that answers. */
static void learn_subscriber(struct lv_broker *broker, const struct lv_op *op)
{
    struct lv_channel *channel = op->answer.pending->channel;
    struct lv_subscriber *subscriber = op->answer.subscriber;

    if (subscriber == NULL || op->from == broker->config.shard)
        return;
    if (channel->closing)
        lv_channel_detach(channel, op->from, subscriber);
    else if (lv_channel_remote(channel, op->from) == NULL)
        lv_channel_add_remote(channel, op->from, subscriber);
}

static void answer_get(struct lv_pending *pending, const struct lv_op *op)
{
    struct lv_channel *channel = pending->channel;

    if (!op->answer.found || channel->closing) {
        finish(pending, NULL);
        return;
    }
    struct lv_remote *remote =
        op->from == channel->broker->config.shard ? NULL : lv_channel_remote(channel, op->from);
    struct lv_delivery delivery = {
        .tag = lv_channel_wire_tag(channel, remote, op->answer.tag, false),
        .redelivered = op->answer.redelivered,
        .message = lv_message_view(op->data),
    };
    finish(pending, &delivery);
}

static void answer_consumer(struct lv_pending *pending)
{
    struct lv_channel *channel = pending->channel;
    struct lv_subscription *subscription = lv_channel_subscription(channel, pending_name(pending));
    bool gone = pending->command == LV_COMMAND_CANCEL || pending->error < 0;

    if (gone && subscription != NULL && !channel->closing) {
        lv_link_remove(&subscription->link);
        lv_subscription_free(subscription);
    }
    finish(pending, NULL);
}

void lv_command_answer(struct lv_broker *broker, struct lv_op *op)
{
    struct lv_pending *pending = op->answer.pending;

    pending->error = op->answer.error;
    pending->message_count = op->answer.message_count;
    pending->consumer_count = op->answer.consumer_count;
    if (op->answer.error < 0)
        lv_fail(&pending->diag, op->answer.error, "%s", (const char *)op->data);
    learn_subscriber(broker, op);
    switch (pending->command) {
    case LV_COMMAND_GET:
        answer_get(pending, op);
        return;
    case LV_COMMAND_CONSUME:
    case LV_COMMAND_CANCEL:
        answer_consumer(pending);
        return;
    case LV_COMMAND_QUEUE_DECLARE: {
        /* Who deleted it between the declare and the question loses nothing by an empty queue. */
        pending->error = 0;
        if (pending->channel != NULL && !pending->channel->closing)
            remember_queue(pending->channel, pending_name(pending));
        break;
    }
    default:
        break;
    }
    finish(pending, NULL);
}

/* ---- the home's side ---- */

static struct lv_subscriber *command_subscriber(struct lv_broker *broker, const struct lv_op *op)
{
    if (op->command.subscriber != NULL)
        return op->command.subscriber;
    struct lv_subscriber *subscriber = lv_calloc(1, sizeof *subscriber);
    if (subscriber == NULL)
        lv_broker_exhausted();
    lv_subscriber_init(subscriber, broker, op->command.channel);
    subscriber->remote = true;
    subscriber->front = op->from;
    lv_list_push_back(&broker->remotes, &subscriber->remote_link);
    return subscriber;
}

/* What the answer says of the subscriber: only what is news. A channel that closes while its command
 * is under way detaches those it knows of, and would do so twice. */
static struct lv_subscriber *made(const struct lv_op *op, struct lv_subscriber *subscriber)
{
    return op->command.subscriber == NULL ? subscriber : NULL;
}

static void answer(struct lv_broker *broker, const struct lv_op *op, int error,
                   const struct lv_diag *diag)
{
    struct lv_op *reply =
        answer_op(broker, LV_OP_ANSWER, op->command.pending, diag == NULL ? "" : diag->text);

    reply->answer.error = error;
    lv_op_send(broker, op->from, reply);
}

static void answer_counts(struct lv_broker *broker, const struct lv_op *op, uint64_t messages,
                          uint64_t consumers)
{
    struct lv_op *reply = answer_op(broker, LV_OP_ANSWER, op->command.pending, "");

    reply->answer.message_count = messages;
    reply->answer.consumer_count = consumers;
    lv_op_send(broker, op->from, reply);
}

static int refused(struct lv_diag *diag, int error, const struct lv_queue *queue, const char *why)
{
    return lv_fail(diag, error, "queue '%.*s' in vhost '%.*s' %s",
                   LV_FMT(lv_entry_name(queue->entry)), LV_FMT(lv_vhost_name(queue->entry->vhost)),
                   why);
}

/* What deletes passes on to the shard that decides the order of changes. */
static void run_delete(struct lv_broker *broker, struct lv_queue *queue, const struct lv_op *op)
{
    struct lv_diag diag;
    struct lv_change change = {
        .kind = LV_CHANGE_QUEUE_DELETE,
        .vhost = lv_vhost_name(queue->entry->vhost),
        .name = lv_entry_name(queue->entry),
        .queue_id = queue->entry->id,
    };
    int rc = 0;

    if (op->command.if_unused && queue->consumer_count > 0)
        rc = refused(&diag, -LV_E_PRECONDITION, queue, "in use");
    else if (op->command.if_empty && lv_queue_ready_count(queue) > 0)
        rc = refused(&diag, -LV_E_PRECONDITION, queue, "not empty");
    if (rc < 0) {
        answer(broker, op, rc, &diag);
        return;
    }
    queue->deleting = true;
    if (lv_change_submit(broker, &change, op->command.pending, op->from) < 0)
        lv_broker_exhausted();
}

/* Takes the message for the getter, so that the answer can carry it. */
static void run_get(struct lv_broker *broker, struct lv_queue *queue, const struct lv_op *op)
{
    struct lv_subscriber *subscriber = op->command.no_ack ? NULL : command_subscriber(broker, op);
    uint64_t seq;
    struct lv_ref ref;

    if (!lv_queue_take(queue, &seq, &ref)) {
        struct lv_op *empty = answer_op(broker, LV_OP_ANSWER, op->command.pending, "");
        empty->answer.subscriber = made(op, subscriber);
        lv_op_send(broker, op->from, empty);
        return;
    }
    struct lv_op *reply = lv_op_new(broker, LV_OP_ANSWER, ref.size);
    if (reply == NULL)
        lv_broker_exhausted();
    reply->answer.pending = op->command.pending;
    reply->answer.subscriber = made(op, subscriber);
    reply->answer.found = true;
    reply->answer.redelivered = (ref.flags & LV_REF_REDELIVERED) != 0;
    reply->answer.message_count = lv_queue_ready_count(queue);
    memcpy(reply->data, lv_store_view(broker->config.store, ref), ref.size);
    broker->stats.delivered++;
    if (op->command.no_ack) {
        lv_store_release(broker->config.store, ref);
    } else {
        struct lv_consumer *getter = lv_subscriber_getter(subscriber, queue);
        reply->answer.tag = subscriber->next_tag;
        if (getter == NULL || lv_subscriber_remember(subscriber, getter, seq, ref) < 0)
            lv_broker_exhausted();
    }
    lv_op_send(broker, op->from, reply);
}

static void run_consume(struct lv_broker *broker, struct lv_queue *queue, const struct lv_op *op)
{
    struct lv_diag diag;

    if (queue->exclusive != NULL || (op->command.exclusive && queue->consumer_count > 0)) {
        answer(broker, op, refused(&diag, -LV_E_ACCESS_REFUSED, queue, "in exclusive use"), &diag);
        return;
    }
    struct lv_subscriber *subscriber = command_subscriber(broker, op);
    struct lv_consumer_config config = {
        .subscription = op->command.subscription,
        .prefetch = op->command.prefetch,
        .no_ack = op->command.no_ack,
        .exclusive = op->command.exclusive,
    };
    if (lv_consumer_new(subscriber, queue, &config) == NULL)
        lv_broker_exhausted();
    struct lv_op *reply = answer_op(broker, LV_OP_ANSWER, op->command.pending, "");
    reply->answer.subscriber = made(op, subscriber);
    lv_op_send(broker, op->from, reply);
}

static void run_cancel(struct lv_broker *broker, const struct lv_op *op)
{
    struct lv_consumer *consumer =
        op->command.subscriber == NULL
            ? NULL
            : lv_subscriber_find(op->command.subscriber, op->command.subscription);

    if (consumer != NULL)
        lv_consumer_cancel(consumer);
    answer(broker, op, 0, NULL);
}

void lv_command_run(struct lv_broker *broker, struct lv_op *op)
{
    struct lv_queue_entry *entry = lv_broker_home(broker, op->command.queue_id);

    if (op->kind == LV_OP_CANCEL) {
        run_cancel(broker, op);
        return;
    }
    if (entry == NULL || (entry->queue->deleting && op->kind != LV_OP_QUERY)) {
        /* Gone since the other shard looked; deleting what is gone succeeds. */
        struct lv_diag gone;
        int rc = lv_fail(&gone, -LV_E_NOT_FOUND, "the queue has just been deleted");
        answer(broker, op, op->kind == LV_OP_DELETE ? 0 : rc, &gone);
        return;
    }
    struct lv_queue *queue = entry->queue;
    switch (op->kind) {
    case LV_OP_QUERY:
        answer_counts(broker, op, lv_queue_ready_count(queue), queue->consumer_count);
        return;
    case LV_OP_DELETE:
        run_delete(broker, queue, op);
        return;
    case LV_OP_PURGE:
        answer_counts(broker, op, lv_queue_clear(queue), 0);
        return;
    case LV_OP_GET:
        run_get(broker, queue, op);
        return;
    case LV_OP_CONSUME:
        run_consume(broker, queue, op);
        return;
    default:
        LV_IMPOSSIBLE("not a command for a queue's home");
    }
}
