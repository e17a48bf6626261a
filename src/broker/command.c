#include "base/alloc.h"
#include "broker/change.h"
#include "broker/core.h"

/* ---- pending commands and their answers ---- */

/* The name's 255 bytes are not cleared: this runs once per command. */
struct lv_pending *lv_pending_new(struct lv_client *client, struct lv_channel *channel,
                                  enum lv_command command)
{
    struct lv_pending *pending = lv_alloc(sizeof *pending);

    assert(channel == NULL || channel->client == client);
    assert(channel == NULL || !client->closing);
    if (pending == NULL)
        return NULL;
    memset(pending, 0, offsetof(struct lv_pending, name));
    pending->diag.text[0] = '\0';
    pending->client = client;
    pending->channel = channel;
    pending->command = command;
    if (client != NULL)
        lv_client_ref(client);
    if (channel != NULL) {
        channel->commands++;
        pending->is_hurried = channel->is_hurried;
        channel->is_hurried = false;
    }
    return pending;
}

/* Kept here since the frame that it came in is gone when the answer arrives. */
void lv_pending_set_name(struct lv_pending *pending, struct lv_bytes name)
{
    assert(name.size <= sizeof pending->name);
    pending->name_size = (uint8_t)name.size;
    lv_put_bytes((uint8_t *)pending->name, name);
}

/* Only before the command was sent: afterwards the answer would find nobody. */
void lv_pending_free(struct lv_pending *pending)
{
    struct lv_channel *channel;

    if (pending == NULL)
        return;
    channel = pending->channel;
    lv_op_free(pending->again);
    if (channel != NULL)
        channel->commands--;
    if (pending->client != NULL) {
        pending->client->refs--; /* it is not closing: it has just given this command */
        assert(!pending->client->closing);
    }
    lv_free(pending);
}

/* Of the queue, or of the consumer for cancel. */
static struct lv_bytes pending_name(const struct lv_pending *pending)
{
    assert(pending->done == NULL);
    return lv_bytes(pending->name, pending->name_size);
}

/* What had to wait until the command was answered. */
static void run_deferred(struct lv_channel *channel)
{
    struct lv_link *link;

    while (channel->commands == 0 && (link = lv_list_pop_front(&channel->deferred)) != NULL)
        lv_op_run(channel->broker, lv_container(link, struct lv_op, link));
}

/* Takes the operator's change, which is done or refused. */
static void finish_change(struct lv_pending *pending)
{
    lv_change_done_fn *done = pending->done;
    void *ctx = pending->done_ctx;
    int error = pending->error;
    struct lv_diag diag = pending->diag;

    assert(pending->client == NULL);
    if (pending->ret_message_count != NULL)
        *pending->ret_message_count = pending->message_count;
    lv_free(pending);
    done(ctx, error, diag.text);
}

/* The session's step comes first and the references go last, since closing may free both. */
void lv_pending_finish(struct lv_pending *pending, const struct lv_delivery *delivery)
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

    assert(!lv_link_is_linked(&pending->link));
    if (channel != NULL && !channel->closing)
        client->ops->reply(channel->ctx, &reply);
    lv_op_free(pending->again);
    lv_free(pending);
    if (channel != NULL) {
        channel->commands--;
        run_deferred(channel);
        lv_channel_progress(channel);
    }
    lv_client_unref(client);
}

/* Nothing was sent anywhere, so there is no pending command to finish. */
void lv_command_refuse(struct lv_channel *channel, enum lv_command command, int error,
                       const struct lv_diag *diag)
{
    struct lv_reply reply = {.command = command, .error = error, .text = diag->text};

    assert(error < 0);
    channel->client->ops->reply(channel->ctx, &reply);
}

/* The same words wherever it happens. */
static int no_memory(struct lv_diag *diag)
{
    assert(diag != NULL);
    return lv_fail(diag, -LV_E_NOMEM, "out of memory");
}

/* A peer whose command finds no memory loses its channel; the others go on. */
void lv_command_refuse_memory(struct lv_channel *channel, enum lv_command command)
{
    struct lv_diag diag;
    int rc = no_memory(&diag);

    assert(!channel->closing);
    lv_command_refuse(channel, command, rc, &diag);
}

/* Turns the operation into one that says how it ended, with the sentence behind it. */
static void become_answer(struct lv_op *op, enum lv_op_kind kind, const struct lv_op_answer *answer,
                          const char *text)
{
    size_t size = strlen(text) + 1;

    assert(op->size >= sizeof(struct lv_diag));
    op->kind = kind;
    op->answer = *answer;
    memcpy(op->data, text, size);
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
    assert(p <= op->data + op->size);
}

/* The strings are copied into the operation, as it outlives the frame that they were read from. */
struct lv_op *lv_change_op(const struct lv_broker *broker, const struct lv_change *change)
{
    size_t size = change->vhost.size + change->name.size + change->other.size + change->key.size;
    /* Room for the sentence when it becomes the answer. */
    size_t room = size < sizeof(struct lv_diag) ? sizeof(struct lv_diag) : size;
    struct lv_op *op = lv_op_new(broker, LV_OP_SUBMIT, (uint32_t)room);

    assert(change->name.size <= UINT8_MAX);
    assert(change->key.size <= UINT8_MAX);
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

/* All changes go through shard 0, which makes the one order that every shard applies them in. */
int lv_change_submit(struct lv_broker *broker, const struct lv_change *change,
                     struct lv_pending *pending, uint32_t origin)
{
    struct lv_op *op = lv_change_op(broker, change);

    assert(origin < broker->config.shard_count);
    if (op == NULL)
        return -LV_E_NOMEM;
    op->change.pending = pending;
    op->change.is_hurried = pending != NULL && pending->is_hurried;
    op->change.origin = origin;
    lv_op_send(broker, 0, op);
    return 0;
}

/* Takes the operation: APPLIED is on its way to who waits, from shard 0 when the topology as it is
 * now is on disk. */
static void applied(struct lv_broker *broker, struct lv_op *op, const struct lv_op_answer *answer,
                    const char *text)
{
    uint32_t origin = op->change.origin;
    bool is_promise = broker->config.shard == 0 && !op->change.is_hurried;

    assert(answer->pending != NULL);
    lv_free(op->change.arguments);
    become_answer(op, LV_OP_APPLIED, answer, text);
    op->from = broker->config.shard;
    if (is_promise)
        lv_promise_topology(broker, origin, op);
    else
        lv_op_send(broker, origin, op);
}

/* The change could not be sent to all shards, so it is sent to none. */
static void refuse_change(struct lv_broker *broker, struct lv_op *op)
{
    struct lv_op_answer answer = {.pending = op->change.pending, .refused = true};
    struct lv_diag diag;

    assert(broker->config.shard == 0);
    if (op->change.pending == NULL)
        lv_broker_exhausted(); /* a queue that nobody uses any more must go */
    answer.error = no_memory(&diag);
    applied(broker, op, &answer, diag.text);
}

/* All copies are made before the first one is sent: a change reaches every shard or none. */
void lv_change_sequence(struct lv_broker *broker, struct lv_op *op)
{
    uint32_t shard_count = broker->config.shard_count;
    struct lv_op *copies[LV_SHARDS_MAX];

    assert(broker->config.shard == 0);
    for (uint32_t shard = 1; shard < shard_count; shard++) {
        copies[shard] = lv_change_op(broker, &op->change.change);
        if (copies[shard] != NULL)
            continue;
        while (--shard > 0)
            lv_op_free(copies[shard]);
        refuse_change(broker, op);
        return;
    }
    for (uint32_t shard = 1; shard < shard_count; shard++) {
        copies[shard]->kind = LV_OP_APPLY;
        copies[shard]->change.pending = op->change.pending;
        copies[shard]->change.origin = op->change.origin;
    }
    op->kind = LV_OP_APPLY;
    op->from = broker->config.shard;
    lv_op_run(broker, op); /* first here: where it stands in the log is known then */
    for (uint32_t shard = 1; shard < shard_count; shard++) {
        copies[shard]->change.topology_lsn = broker->topology_lsn;
        lv_op_send(broker, shard, copies[shard]);
    }
}

/* The same result on every shard, so the one that asked may take any answer for all of them. */
void lv_change_apply(struct lv_broker *broker, struct lv_op *op)
{
    struct lv_change_result result = {0};
    struct lv_diag diag = {.text = ""};
    int rc = lv_topology_apply(broker, &op->change.change, &diag, &result);
    bool is_delete = op->change.change.kind == LV_CHANGE_QUEUE_DELETE ||
                     op->change.change.kind == LV_CHANGE_VHOST_DELETE;

    assert(op->kind == LV_OP_APPLY);
    if (broker->config.shard != 0)
        broker->topology_lsn = op->change.topology_lsn;
    if (op->change.pending == NULL) { /* nobody waits, and what nobody waits for cannot fail */
        lv_op_free(op);
    } else {
        struct lv_op_answer answer = {
            .pending = op->change.pending,
            .error = rc,
            .message_count = result.message_count,
        };
        applied(broker, op, &answer, diag.text);
    }
    if (is_delete && !lv_list_is_empty(&broker->redeclaring))
        lv_command_redeclare(broker);
}

/* With the id, so that a namesake declared meanwhile is left alone. */
void lv_queue_submit_delete(struct lv_broker *broker, const struct lv_queue_entry *entry,
                            struct lv_pending *pending)
{
    struct lv_change change = {
        .kind = LV_CHANGE_QUEUE_DELETE,
        .vhost = lv_vhost_name(entry->vhost),
        .name = lv_entry_name(entry),
        .queue_id = entry->id,
    };

    assert(entry->id != 0);
    if (lv_change_submit(broker, &change, pending, broker->config.shard) < 0)
        lv_broker_exhausted();
}

/* ---- the channel's side of commands ---- */

/* A subscriber that the channel already has on that shard goes along, so that the shard need not
 * look for it. */
struct lv_op *lv_command_op(struct lv_broker *broker, enum lv_op_kind kind,
                            struct lv_pending *pending, const struct lv_queue_entry *entry)
{
    struct lv_op *op = lv_op_new(broker, kind, sizeof(struct lv_diag));

    assert(pending->home < broker->config.shard_count);
    if (op == NULL)
        return NULL;
    op->command.pending = pending;
    op->command.channel = pending->channel;
    op->command.queue_id = pending->queue_id;
    op->command.is_hurried = pending->is_hurried;
    if (pending->channel != NULL && pending->home != broker->config.shard) {
        struct lv_remote *remote = lv_channel_remote(pending->channel, pending->home);
        op->command.subscriber = remote == NULL ? NULL : remote->subscriber;
    } else if (pending->channel != NULL) {
        op->command.subscriber = &pending->channel->subscriber;
    }
    if (entry != NULL) {
        op->command.name_size = entry->name_size;
        op->command.vhost_size = entry->vhost->name_size;
        lv_put_bytes(lv_put_bytes(op->data, lv_entry_name(entry)), lv_vhost_name(entry->vhost));
    }
    return op;
}

/* A queue has been declared: the channel may call it by no name from now on. */
static int remember_queue(struct lv_channel *channel, struct lv_bytes name)
{
    char *copy = lv_strndup((const char *)name.data, name.size);

    assert(name.size <= UINT8_MAX);
    if (copy == NULL)
        return -LV_E_NOMEM;
    lv_free(channel->last_queue);
    channel->last_queue = copy;
    channel->last_queue_size = (uint8_t)name.size;
    return 0;
}

/* Takes the pending declare: the queue is there. */
static void finish_declare(struct lv_pending *pending)
{
    struct lv_channel *channel = pending->channel;

    assert(pending->command == LV_COMMAND_QUEUE_DECLARE);
    if (!channel->closing && remember_queue(channel, pending_name(pending)) < 0)
        pending->error = no_memory(&pending->diag);
    lv_pending_finish(pending, NULL);
}

/* The declare has been applied everywhere: its counts are asked for. */
static void declared(struct lv_broker *broker, struct lv_pending *pending)
{
    struct lv_queue_entry *entry = lv_vhost_queue(pending->client->vhost, pending_name(pending));

    assert(pending->error == 0);
    if (entry == NULL) { /* deleted again by somebody else: it was there, and empty */
        finish_declare(pending);
        return;
    }
    pending->home = entry->home;
    pending->queue_id = entry->id;
    struct lv_op *op = lv_command_op(broker, LV_OP_QUERY, pending, entry);
    if (op == NULL) {
        pending->error = no_memory(&pending->diag);
        lv_pending_finish(pending, NULL);
        return;
    }
    lv_op_send(broker, pending->home, op);
}

/* Answered when the last shard has applied it: whoever hears declare-ok may use the queue through
 * any connection at once. */
void lv_command_applied(struct lv_broker *broker, struct lv_op *op)
{
    struct lv_pending *pending = op->answer.pending;

    assert(pending != NULL);
    assert(pending->applied < broker->config.shard_count);
    pending->message_count += op->answer.message_count;
    if (op->answer.error < 0) {
        pending->error = op->answer.error;
        lv_fail(&pending->diag, op->answer.error, "%s", (const char *)op->data);
    }
    if (++pending->applied < broker->config.shard_count && !op->answer.refused)
        return;
    if (pending->done != NULL)
        finish_change(pending);
    else if (pending->command == LV_COMMAND_QUEUE_DECLARE && pending->error == 0)
        declared(broker, pending);
    else
        lv_pending_finish(pending, NULL);
}

/* Declares anew what was found to be gone. Takes the pending command. */
static void declare_again(struct lv_broker *broker, struct lv_pending *pending)
{
    struct lv_op *op = pending->again;

    assert(op != NULL);
    if (pending->channel->closing) {
        lv_pending_finish(pending, NULL);
        return;
    }
    pending->again = NULL;
    lv_queue_place(broker, &op->change.change);
    op->change.pending = pending;
    op->change.origin = broker->config.shard;
    lv_op_send(broker, 0, op);
}

/* Is the queue that was asked about still in this shard's directory? */
static bool is_known(const struct lv_pending *pending)
{
    const struct lv_queue_entry *entry =
        lv_vhost_queue(pending->client->vhost, pending_name(pending));

    assert(pending->name_size > 0);
    return entry != NULL && entry->id == pending->queue_id;
}

/* A declare that met a queue on its way out goes on once the name is free on this shard. */
void lv_command_redeclare(struct lv_broker *broker)
{
    LV_LIST_EACH(&broker->redeclaring, link)
    {
        struct lv_pending *pending = lv_container(link, struct lv_pending, link);
        if (is_known(pending))
            continue;
        lv_link_remove(link);
        declare_again(broker, pending);
    }
}

/* The home has answered how much is in the queue, or that it is gone or going. */
static void answer_declare(struct lv_broker *broker, struct lv_pending *pending, bool is_going)
{
    bool is_gone = pending->error == -LV_E_NOT_FOUND;

    assert(pending->command == LV_COMMAND_QUEUE_DECLARE);
    if (is_gone && pending->again != NULL && !is_known(pending)) {
        pending->error = 0;
        declare_again(broker, pending);
    } else if (is_gone && pending->again != NULL && !is_going) {
        /* This shard has not heard of its end yet: it was there when the declare came. */
        pending->error = 0;
        declared(broker, pending);
    } else if (is_gone && pending->again != NULL) {
        /* Its removal is under way; only behind that is the declare sure to make a new one. */
        pending->error = 0;
        lv_list_push_back(&broker->redeclaring, &pending->link);
    } else if (is_gone && pending->applied > 0) {
        pending->error = 0; /* deleted again by somebody else: it was there, and empty */
        finish_declare(pending);
    } else if (pending->error < 0) {
        lv_pending_finish(pending, NULL);
    } else {
        finish_declare(pending);
    }
}

/* A new subscriber of the channel on the shard that answers. */
static void learn_subscriber(struct lv_broker *broker, const struct lv_op *op)
{
    struct lv_channel *channel = op->answer.pending->channel;
    struct lv_subscriber *subscriber = op->answer.subscriber;

    if (subscriber == NULL)
        return;
    assert(op->from != broker->config.shard);
    if (channel->closing)
        lv_channel_detach(channel, op->from, subscriber);
    else
        lv_channel_learn(channel, op->from, subscriber);
}

/* A message that finds nobody any more goes back to its place. */
static void answer_get(struct lv_pending *pending, const struct lv_op *op)
{
    struct lv_channel *channel = pending->channel;
    bool is_here = op->from == channel->broker->config.shard;

    assert(pending->command == LV_COMMAND_GET);
    if (!op->answer.found || channel->closing) {
        lv_pending_finish(pending, NULL);
        return;
    }
    struct lv_wire_tag what = {
        .tag = op->answer.tag,
        .remote = is_here ? NULL : lv_channel_remote(channel, op->from),
    };
    struct lv_delivery delivery = {
        .tag = lv_channel_wire_tag(channel, &what),
        .redelivered = op->answer.redelivered,
        .message = lv_message_view(op->data),
    };
    if (delivery.tag == 0) {
        lv_channel_give_back(channel, &what);
        pending->error = no_memory(&pending->diag);
        lv_pending_finish(pending, NULL);
        return;
    }
    lv_pending_finish(pending, &delivery);
}

/* The channel has ended its consumer itself: it needs no notice any more. */
static void drop_notice(struct lv_channel *channel, const struct lv_subscription *subscription)
{
    assert(subscription->channel == channel);
    LV_LIST_EACH(&channel->deferred, link)
    {
        struct lv_op *op = lv_container(link, struct lv_op, link);
        if (op->delivery.subscription != subscription)
            continue;
        lv_link_remove(link);
        lv_op_free(op);
    }
}

/* Whether consume failed or cancel worked: the tag is free again. */
static void answer_consumer(struct lv_pending *pending)
{
    struct lv_channel *channel = pending->channel;
    struct lv_subscription *subscription =
        channel->closing ? NULL : lv_channel_subscription(channel, pending_name(pending));
    bool is_gone = pending->command == LV_COMMAND_CANCEL || pending->error < 0;

    assert(pending->command == LV_COMMAND_CONSUME || pending->command == LV_COMMAND_CANCEL);
    if (is_gone && subscription != NULL) {
        drop_notice(channel, subscription);
        lv_subscription_free(subscription);
    }
    lv_pending_finish(pending, NULL);
}

/* What each command does with its answer; declares have steps left. */
void lv_command_answer(struct lv_broker *broker, struct lv_op *op)
{
    struct lv_pending *pending = op->answer.pending;

    assert(pending != NULL);
    pending->error = op->answer.error;
    pending->message_count = op->answer.message_count;
    pending->consumer_count = op->answer.consumer_count;
    if (op->answer.error < 0)
        lv_fail(&pending->diag, op->answer.error, "%s", (const char *)op->data);
    if (pending->done != NULL) {
        finish_change(pending);
        return;
    }
    learn_subscriber(broker, op);
    switch (pending->command) {
    case LV_COMMAND_GET:
        answer_get(pending, op);
        return;
    case LV_COMMAND_CONSUME:
    case LV_COMMAND_CANCEL:
        answer_consumer(pending);
        return;
    case LV_COMMAND_QUEUE_DECLARE:
        answer_declare(broker, pending, op->answer.is_going);
        return;
    default:
        lv_pending_finish(pending, NULL);
    }
}
