#include "broker/core.h"
#include "broker/reply_to.h"

#define RESERVED_PREFIX "amq."
/* The argument that names who takes what a queue lets go. */
#define DEAD_LETTER_EXCHANGE "x-dead-letter-exchange"

/* Arguments that RabbitMQ gives a meaning which this broker doesn't know yet. To accept them
 * silently would promise what isn't kept. */
static const char *const unknown_to_queues[] = {
    "x-message-ttl",
    "x-expires",
    "x-max-length",
    "x-max-length-bytes",
    "x-overflow",
    DEAD_LETTER_EXCHANGE,
    "x-dead-letter-routing-key",
    "x-dead-letter-strategy",
    "x-max-priority",
    "x-single-active-consumer",
    "x-delivery-limit",
};

/* The first argument that is in the list is refused. */
static int check_arguments(const struct lv_table *arguments, const char *const *unknown,
                           size_t count, struct lv_diag *diag)
{
    for (size_t i = 0; i < count; i++)
        if (lv_table_get(arguments, unknown[i]) != NULL)
            return lv_fail(diag, -LV_E_NOT_IMPLEMENTED, "argument '%s'", unknown[i]);
    return 0;
}

static int check_alternate(const struct lv_change *change, struct lv_diag *diag)
{
    const struct lv_value *value = lv_table_get(change->arguments, LV_ALTERNATE_EXCHANGE);

    assert(change->kind == LV_CHANGE_EXCHANGE_DECLARE);
    if (value == NULL || value->type == LV_TYPE_STRING)
        return 0;
    return lv_fail(diag, -LV_E_PRECONDITION,
                   "invalid type '%s' for arg 'alternate-exchange' in exchange '%.*s' in vhost "
                   "'%.*s'",
                   lv_type_name(value->type), LV_FMT(change->name), LV_FMT(change->vhost));
}

static int check_queue_arguments(const struct lv_change *change, struct lv_diag *diag)
{
    const struct lv_value *type = lv_table_get(change->arguments, "x-queue-type");

    assert(change->kind == LV_CHANGE_QUEUE_DECLARE);
    if (type != NULL && type->type != LV_TYPE_STRING)
        return lv_fail(diag, -LV_E_PRECONDITION,
                       "invalid arg 'x-queue-type' for queue '%.*s' in vhost '%.*s': "
                       "{unacceptable_type,%s}",
                       LV_FMT(change->name), LV_FMT(change->vhost), lv_type_name(type->type));
    if (type != NULL && (lv_bytes_equal(type->bytes, lv_text("quorum")) ||
                         lv_bytes_equal(type->bytes, lv_text("stream"))))
        return lv_fail(diag, -LV_E_NOT_IMPLEMENTED, "queue type '%.*s'", LV_FMT(type->bytes));
    if (type != NULL && !lv_bytes_equal(type->bytes, lv_text("classic")))
        return lv_fail(diag, -LV_E_PRECONDITION,
                       "invalid arg 'x-queue-type' for queue '%.*s' in vhost '%.*s': "
                       "\"unsupported queue type '%.*s'\"",
                       LV_FMT(change->name), LV_FMT(change->vhost), LV_FMT(type->bytes));
    return check_arguments(change->arguments, unknown_to_queues, LV_COUNT(unknown_to_queues), diag);
}

int lv_declare_check_arguments(const struct lv_change *change, struct lv_diag *diag)
{
    assert(diag != NULL);
    return change->kind == LV_CHANGE_QUEUE_DECLARE ? check_queue_arguments(change, diag)
                                                   : check_alternate(change, diag);
}

static bool is_reserved(struct lv_bytes name)
{
    size_t size = sizeof RESERVED_PREFIX - 1;

    return name.size >= size && memcmp(name.data, RESERVED_PREFIX, size) == 0;
}

static int reserved(struct lv_diag *diag, const char *kind, struct lv_bytes name)
{
    return lv_fail(diag, -LV_E_ACCESS_REFUSED, "%s name '%.*s' contains reserved prefix 'amq.*'",
                   kind, LV_FMT(name));
}

static int not_on_default(struct lv_diag *diag)
{
    return lv_fail(diag, -LV_E_ACCESS_REFUSED, "operation not permitted on the default exchange");
}

static int no_such(struct lv_diag *diag, const struct lv_channel *channel, const char *kind,
                   struct lv_bytes name)
{
    return lv_fail(diag, -LV_E_NOT_FOUND, "no %s '%.*s' in vhost '%.*s'", kind, LV_FMT(name),
                   LV_FMT(lv_vhost_name(channel->client->vhost)));
}

/* Tells that the command is done without anybody else's help. */
static void done(struct lv_channel *channel, enum lv_command command)
{
    struct lv_reply reply = {.command = command, .text = ""};

    channel->client->ops->reply(channel->ctx, &reply);
}

/* Sends the change on its way; its answer comes when every shard has applied it. */
static void submit(struct lv_channel *channel, enum lv_command command, struct lv_change *change)
{
    struct lv_broker *broker = channel->broker;
    struct lv_pending *pending = lv_pending_new(channel->client, channel, command);

    change->vhost = lv_vhost_name(channel->client->vhost);
    change->client = channel->client->id;
    if (pending != NULL)
        lv_pending_set_name(pending, change->name);
    if (pending == NULL || lv_change_submit(broker, change, pending, broker->config.shard) < 0) {
        lv_pending_free(pending);
        lv_command_refuse_memory(channel, command);
        return;
    }
    lv_broker_settle_local(broker);
}

/* What passes messages on does so in the name of who declares it: he must be allowed to read there
 * and to write here. RabbitMQ asks before it judges such an argument in other ways. */
static int check_passing_on(const struct lv_channel *channel, enum lv_resource kind,
                            const struct lv_change *change, const char *argument,
                            struct lv_diag *diag)
{
    const struct lv_value *value = lv_table_get(change->arguments, argument);
    int rc;

    if (value == NULL || value->type != LV_TYPE_STRING)
        return 0;
    rc = lv_permit(channel->client, kind, change->name, LV_PERMISSION_READ, diag);
    return rc < 0 ? rc
                  : lv_permit(channel->client, LV_RESOURCE_EXCHANGE, value->bytes,
                              LV_PERMISSION_WRITE, diag);
}

/* Does the exchange exist for who may do anything with it? */
static int check_passive_exchange(const struct lv_channel *channel, struct lv_bytes name,
                                  struct lv_diag *diag)
{
    int rc = lv_permit_any(channel->client, LV_RESOURCE_EXCHANGE, name, diag);

    if (rc < 0)
        return rc;
    return lv_vhost_exchange(channel->client->vhost, name) != NULL
               ? 0
               : no_such(diag, channel, "exchange", name);
}

/* What can be said of a declare before anything changes; > 0: go on, 0: it is there and the same.
 */
static int check_exchange(struct lv_channel *channel, const struct lv_exchange_declare *declare,
                          const struct lv_change *change, struct lv_diag *diag)
{
    const struct lv_exchange *exchange = lv_vhost_exchange(channel->client->vhost, declare->name);
    enum lv_exchange_type type;
    int rc;

    if (!declare->passive && !lv_exchange_type_parse(declare->type, &type))
        return lv_fail(diag, -LV_E_PRECONDITION, "%s exchange type '%.*s'",
                       declare->type.size == 0 ? "invalid" : "unknown", LV_FMT(declare->type));
    if (declare->name.size == 0)
        return not_on_default(diag);
    if (declare->passive)
        return check_passive_exchange(channel, declare->name, diag);
    rc = lv_permit(channel->client, LV_RESOURCE_EXCHANGE, declare->name, LV_PERMISSION_CONFIGURE,
                   diag);
    if (rc < 0)
        return rc;
    if (exchange != NULL)
        return lv_exchange_check_same(exchange, change, diag);
    if (is_reserved(declare->name))
        return reserved(diag, "exchange", declare->name);
    rc = lv_declare_check_arguments(change, diag);
    if (rc == 0)
        rc = check_passing_on(channel, LV_RESOURCE_EXCHANGE, change, LV_ALTERNATE_EXCHANGE, diag);
    return rc < 0 ? rc : 1;
}

void lv_exchange_declare(struct lv_channel *channel, const struct lv_exchange_declare *declare)
{
    struct lv_diag diag;
    struct lv_change change = {
        .kind = LV_CHANGE_EXCHANGE_DECLARE,
        .vhost = lv_vhost_name(channel->client->vhost),
        .name = declare->name,
        .other = declare->type,
        .arguments = declare->arguments,
        .durable = declare->durable,
        .auto_delete = declare->auto_delete,
        .internal = declare->internal,
    };
    int rc = check_exchange(channel, declare, &change, &diag);
    const struct lv_broker *broker = channel->broker;

    if (rc == 0 && !declare->passive && broker->topology_lsn > broker->topology_synced_lsn)
        rc = 1; /* somebody's declare of it may not be on disk yet: shard 0 knows */
    if (rc < 0)
        lv_command_refuse(channel, LV_COMMAND_EXCHANGE_DECLARE, rc, &diag);
    else if (rc == 0)
        done(channel, LV_COMMAND_EXCHANGE_DECLARE);
    else
        submit(channel, LV_COMMAND_EXCHANGE_DECLARE, &change);
}

/* By its name: the broker's own ones need not be there for that. */
static int check_exchange_delete(const struct lv_channel *channel, struct lv_bytes name,
                                 struct lv_diag *diag)
{
    assert(!channel->closing);
    if (name.size == 0)
        return not_on_default(diag);
    if (is_reserved(name))
        return lv_fail(diag, -LV_E_ACCESS_REFUSED,
                       "deletion of system exchange '%.*s' in vhost '%.*s' not allowed",
                       LV_FMT(name), LV_FMT(lv_vhost_name(channel->client->vhost)));
    return lv_permit(channel->client, LV_RESOURCE_EXCHANGE, name, LV_PERMISSION_CONFIGURE, diag);
}

void lv_exchange_delete(struct lv_channel *channel, struct lv_bytes name, bool if_unused)
{
    struct lv_diag diag;
    struct lv_change change = {
        .kind = LV_CHANGE_EXCHANGE_DELETE, .name = name, .if_unused = if_unused};
    int rc = check_exchange_delete(channel, name, &diag);

    if (rc < 0)
        lv_command_refuse(channel, LV_COMMAND_EXCHANGE_DELETE, rc, &diag);
    else
        submit(channel, LV_COMMAND_EXCHANGE_DELETE, &change);
}

/* ---- queues ---- */

/* No name means the queue that the channel declared last. */
static int complete_name(const struct lv_channel *channel, struct lv_bytes *name,
                         struct lv_diag *diag)
{
    if (name->size > 0)
        return 0;
    if (channel->last_queue == NULL)
        return lv_fail(diag, -LV_E_NOT_FOUND, "no previously declared queue");
    *name = lv_bytes(channel->last_queue, channel->last_queue_size);
    assert(name->size > 0);
    return 0;
}

int lv_channel_queue(const struct lv_channel *channel, struct lv_bytes *name,
                     enum lv_permission permission, struct lv_diag *diag,
                     struct lv_queue_entry **ret_entry)
{
    int rc = complete_name(channel, name, diag);

    if (rc == 0)
        rc = lv_permit(channel->client, LV_RESOURCE_QUEUE, *name, permission, diag);
    if (rc < 0)
        return rc;
    *ret_entry = lv_vhost_queue(channel->client->vhost, *name);
    if (*ret_entry == NULL)
        return no_such(diag, channel, "queue", *name);
    return lv_entry_check_access(*ret_entry, channel->client->id, diag);
}

/* The operation with the command, ready to be sent; NULL: out of memory, and nothing has changed.
 */
static struct lv_op *ask_op(struct lv_channel *channel, enum lv_command command,
                            const struct lv_queue_entry *entry, const struct lv_op_command *ask)
{
    static const enum lv_op_kind kinds[LV_COMMAND_COUNT] = {
        [LV_COMMAND_QUEUE_DECLARE] = LV_OP_QUERY, [LV_COMMAND_QUEUE_DELETE] = LV_OP_DELETE,
        [LV_COMMAND_QUEUE_PURGE] = LV_OP_PURGE,   [LV_COMMAND_GET] = LV_OP_GET,
        [LV_COMMAND_CONSUME] = LV_OP_CONSUME,
    };
    struct lv_broker *broker = channel->broker;
    bool subscribes = command == LV_COMMAND_CONSUME || command == LV_COMMAND_GET;

    assert(entry != NULL);
    if (subscribes && entry->home != broker->config.shard &&
        lv_channel_expect(channel, entry->home) < 0)
        return NULL;
    if (command == LV_COMMAND_GET && lv_channel_reserve_tag(channel) < 0)
        return NULL; /* better no answer than one that cannot be told */
    struct lv_pending *pending = lv_pending_new(channel->client, channel, command);
    if (pending == NULL)
        return NULL;
    pending->home = entry->home;
    pending->queue_id = entry->id;
    lv_pending_set_name(pending, ask->subscription == NULL ? lv_entry_name(entry)
                                                           : lv_bytes(ask->subscription->tag,
                                                                      ask->subscription->tag_size));
    struct lv_op *op = lv_command_op(broker, kinds[command], pending, entry);
    if (op == NULL) {
        lv_pending_free(pending);
        return NULL;
    }
    op->command.subscription = ask->subscription;
    op->command.priority = ask->priority;
    op->command.prefetch = ask->prefetch;
    op->command.no_ack = ask->no_ack;
    op->command.exclusive = ask->exclusive;
    op->command.if_unused = ask->if_unused;
    op->command.if_empty = ask->if_empty;
    return op;
}

void lv_channel_ask(struct lv_channel *channel, enum lv_command command,
                    const struct lv_queue_entry *entry, const struct lv_op_command *ask,
                    struct lv_op *again)
{
    struct lv_broker *broker = channel->broker;
    struct lv_op *op = ask_op(channel, command, entry, ask);

    if (op == NULL) {
        lv_op_free(again);
        lv_subscription_free(ask->subscription);
        lv_command_refuse_memory(channel, command);
        return;
    }
    op->command.pending->again = again;
    lv_op_send(broker, entry->home, op);
    lv_broker_settle_local(broker);
}

/* The queue is there: it must be the same, and its counts are asked for. Should it turn out to be
 * on its way out, it is declared anew. */
static int redeclare(struct lv_channel *channel, const struct lv_queue_declare *declare,
                     const struct lv_change *change, const struct lv_queue_entry *entry,
                     struct lv_diag *diag)
{
    struct lv_op_command ask = {0};
    struct lv_op *again = NULL;
    int rc = declare->passive ? lv_entry_check_access(entry, channel->client->id, diag)
                              : lv_entry_check_same(entry, change, diag);

    if (rc < 0)
        return rc;
    if (!declare->passive) {
        again = lv_change_op(channel->broker, change);
        if (again == NULL)
            return lv_fail(diag, -LV_E_NOMEM, "out of memory");
    }
    lv_channel_ask(channel, LV_COMMAND_QUEUE_DECLARE, entry, &ask, again);
    return 0;
}

void lv_queue_place(struct lv_broker *broker, struct lv_change *change)
{
    uint64_t serial = ++broker->last_queue_id;

    /* An exclusive queue lives beside its owner, others spread over the shards. */
    change->queue_id = serial * LV_SHARDS_MAX + broker->config.shard;
    change->home = change->exclusive
                       ? broker->config.shard
                       : (uint32_t)((serial + broker->config.shard) % broker->config.shard_count);
}

static int declare_queue(struct lv_channel *channel, const struct lv_queue_declare *declare,
                         struct lv_change *change, struct lv_diag *diag)
{
    const struct lv_queue_entry *entry = lv_vhost_queue(channel->client->vhost, change->name);
    int rc;

    if (!declare->passive && entry == NULL && declare->name.size > 0 && is_reserved(declare->name))
        return reserved(diag, "queue", declare->name);
    if (declare->passive)
        rc = lv_permit_any(channel->client, LV_RESOURCE_QUEUE, change->name, diag);
    else
        rc = lv_permit(channel->client, LV_RESOURCE_QUEUE, change->name, LV_PERMISSION_CONFIGURE,
                       diag);
    if (rc < 0)
        return rc;
    if (entry != NULL)
        return redeclare(channel, declare, change, entry, diag);
    if (declare->passive)
        return no_such(diag, channel, "queue", change->name);
    rc = check_passing_on(channel, LV_RESOURCE_QUEUE, change, DEAD_LETTER_EXCHANGE, diag);
    if (rc == 0)
        rc = lv_declare_check_arguments(change, diag);
    if (rc < 0)
        return rc;
    lv_queue_place(channel->broker, change);
    submit(channel, LV_COMMAND_QUEUE_DECLARE, change);
    return 0;
}

void lv_queue_declare(struct lv_channel *channel, const struct lv_queue_declare *declare)
{
    char generated[] = "amq.gen-0123456789012345678901";
    struct lv_diag diag;
    struct lv_change change = {
        .kind = LV_CHANGE_QUEUE_DECLARE,
        .vhost = lv_vhost_name(channel->client->vhost),
        .name = declare->name,
        .arguments = declare->arguments,
        .client = channel->client->id,
        .durable = declare->durable,
        .exclusive = declare->exclusive,
        .auto_delete = declare->auto_delete,
    };

    if (lv_reply_to_is_pseudo(declare->name) || lv_reply_to_is_name(declare->name)) {
        lv_reply_to_declare(channel, declare->name);
        return;
    }
    if (declare->name.size == 0 && !declare->passive) {
        lv_random_name(&channel->broker->random, generated + sizeof "amq.gen-" - 1);
        change.name = lv_text(generated);
    }
    int rc = declare_queue(channel, declare, &change, &diag);
    if (rc < 0)
        lv_command_refuse(channel, LV_COMMAND_QUEUE_DECLARE, rc, &diag);
}

void lv_queue_delete(struct lv_channel *channel, struct lv_bytes name, bool if_unused,
                     bool if_empty)
{
    struct lv_op_command ask = {.if_unused = if_unused, .if_empty = if_empty};
    struct lv_queue_entry *entry = NULL;
    struct lv_diag diag;
    bool named = name.size > 0;
    int rc = lv_channel_queue(channel, &name, LV_PERMISSION_CONFIGURE, &diag, &entry);

    if (rc == -LV_E_NOT_FOUND && (named || channel->last_queue != NULL))
        done(channel, LV_COMMAND_QUEUE_DELETE); /* deleting what isn't there succeeds */
    else if (rc < 0)
        lv_command_refuse(channel, LV_COMMAND_QUEUE_DELETE, rc, &diag);
    else
        lv_channel_ask(channel, LV_COMMAND_QUEUE_DELETE, entry, &ask, NULL);
}

void lv_queue_purge(struct lv_channel *channel, struct lv_bytes name)
{
    struct lv_op_command ask = {0};
    struct lv_queue_entry *entry = NULL;
    struct lv_diag diag;
    int rc = lv_channel_queue(channel, &name, LV_PERMISSION_READ, &diag, &entry);

    if (rc < 0)
        lv_command_refuse(channel, LV_COMMAND_QUEUE_PURGE, rc, &diag);
    else
        lv_channel_ask(channel, LV_COMMAND_QUEUE_PURGE, entry, &ask, NULL);
}

/* ---- bindings ---- */

/* May the channel have messages with this key from there? */
static int check_source(const struct lv_channel *channel, struct lv_bytes name, struct lv_bytes key,
                        struct lv_diag *diag)
{
    struct lv_client *client = channel->client;
    const struct lv_exchange *exchange = lv_vhost_exchange(client->vhost, name);
    int rc;

    if (name.size == 0)
        return not_on_default(diag);
    rc = lv_permit(client, LV_RESOURCE_EXCHANGE, name, LV_PERMISSION_READ, diag);
    if (rc < 0)
        return rc;
    if (exchange == NULL)
        return no_such(diag, channel, "exchange", name);
    return lv_permit_topic(client, exchange, key, LV_PERMISSION_READ, diag);
}

/* RabbitMQ looks for the exchange first. */
static int check_bind(struct lv_channel *channel, const struct lv_bind *bind,
                      struct lv_change *change, struct lv_diag *diag)
{
    struct lv_queue_entry *entry = NULL;
    int rc;

    if (lv_reply_to_is_pseudo(bind->queue) || lv_reply_to_is_name(bind->queue))
        return lv_fail(diag, -LV_E_ACCESS_REFUSED,
                       "cannot bind or unbind to a volatile (direct reply-to) queue");
    rc = complete_name(channel, &change->name, diag);
    if (rc < 0)
        return rc;
    if (bind->queue.size == 0 && bind->key.size == 0)
        change->key = change->name;
    rc = lv_permit(channel->client, LV_RESOURCE_QUEUE, change->name, LV_PERMISSION_WRITE, diag);
    if (rc == 0)
        rc = check_source(channel, bind->exchange, change->key, diag);
    return rc < 0 ? rc
                  : lv_channel_queue(channel, &change->name, LV_PERMISSION_WRITE, diag, &entry);
}

/* The end of both: `rc` says what was found wrong. Unbinding what isn't there succeeds. */
static void bind_or_unbind(struct lv_channel *channel, struct lv_change *change, int rc,
                           const struct lv_diag *diag)
{
    bool binds = change->kind == LV_CHANGE_BIND;
    enum lv_command command = binds ? LV_COMMAND_BIND : LV_COMMAND_UNBIND;

    assert(binds || change->kind == LV_CHANGE_UNBIND);
    if (rc == -LV_E_NOT_FOUND && !binds && change->name.size > 0)
        done(channel, command);
    else if (rc < 0)
        lv_command_refuse(channel, command, rc, diag);
    else
        submit(channel, command, change);
}

static void bind_or_unbind_queue(struct lv_channel *channel, const struct lv_bind *bind,
                                 enum lv_change_kind kind)
{
    struct lv_diag diag;
    struct lv_change change = {
        .kind = kind,
        .name = bind->queue,
        .other = bind->exchange,
        .key = bind->key,
        .arguments = bind->arguments,
    };
    int rc = check_bind(channel, bind, &change, &diag);

    bind_or_unbind(channel, &change, rc, &diag);
}

void lv_queue_bind(struct lv_channel *channel, const struct lv_bind *bind)
{
    bind_or_unbind_queue(channel, bind, LV_CHANGE_BIND);
}

void lv_queue_unbind(struct lv_channel *channel, const struct lv_bind *bind)
{
    bind_or_unbind_queue(channel, bind, LV_CHANGE_UNBIND);
}

static int check_exchange_bind(const struct lv_channel *channel,
                               const struct lv_exchange_bind *bind, struct lv_diag *diag)
{
    const struct lv_vhost *vhost = channel->client->vhost;
    int rc = lv_permit(channel->client, LV_RESOURCE_EXCHANGE, bind->destination,
                       LV_PERMISSION_WRITE, diag);

    if (rc < 0)
        return rc;
    if (bind->destination.size == 0)
        return not_on_default(diag);
    rc = check_source(channel, bind->source, bind->key, diag);
    if (rc < 0)
        return rc;
    if (lv_vhost_exchange(vhost, bind->destination) == NULL)
        return no_such(diag, channel, "exchange", bind->destination);
    return 0;
}

static void bind_or_unbind_exchange(struct lv_channel *channel, const struct lv_exchange_bind *bind,
                                    enum lv_change_kind kind)
{
    struct lv_diag diag;
    struct lv_change change = {
        .kind = kind,
        .name = bind->destination,
        .other = bind->source,
        .key = bind->key,
        .arguments = bind->arguments,
        .to_exchange = true,
    };
    int rc = check_exchange_bind(channel, bind, &diag);

    bind_or_unbind(channel, &change, rc, &diag);
}

void lv_exchange_bind_exchange(struct lv_channel *channel, const struct lv_exchange_bind *bind)
{
    bind_or_unbind_exchange(channel, bind, LV_CHANGE_BIND);
}

void lv_exchange_unbind_exchange(struct lv_channel *channel, const struct lv_exchange_bind *bind)
{
    bind_or_unbind_exchange(channel, bind, LV_CHANGE_UNBIND);
}
