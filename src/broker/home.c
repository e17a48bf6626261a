/* The home's side of commands about its queues. */
#include "base/alloc.h"
#include "broker/core.h"

/* Takes the operation: it goes back as the answer. */
static void answer(struct lv_broker *broker, struct lv_op *op, struct lv_op_answer answer,
                   const char *text)
{
    size_t size = strlen(text) + 1;
    uint32_t to = op->from;

    assert(op->size >= size);
    answer.pending = op->command.pending;
    op->kind = LV_OP_ANSWER;
    op->from = broker->config.shard;
    op->answer = answer;
    memcpy(op->data, text, size);
    lv_op_send(broker, to, op);
}

static void fail(struct lv_broker *broker, struct lv_op *op, int error, const struct lv_diag *diag)
{
    assert(error < 0);
    answer(broker, op, (struct lv_op_answer){.error = error}, diag->text);
}

static void fail_memory(struct lv_broker *broker, struct lv_op *op)
{
    struct lv_diag diag;
    int rc = lv_fail(&diag, -LV_E_NOMEM, "out of memory");

    fail(broker, op, rc, &diag);
}

static void answer_counts(struct lv_broker *broker, struct lv_op *op, uint64_t messages,
                          uint64_t consumers)
{
    struct lv_op_answer counts = {.message_count = messages, .consumer_count = consumers};

    answer(broker, op, counts, "");
}

/* Says of a declare that the queue is there, so that has to be on disk: somebody else's declare may
 * be on its way. */
static void answer_query(struct lv_broker *broker, const struct lv_queue *queue, struct lv_op *op)
{
    uint32_t to = op->from;
    bool is_promise = !op->command.is_hurried;

    op->answer = (struct lv_op_answer){
        .pending = op->command.pending,
        .message_count = lv_queue_ready_count(queue),
        .consumer_count = queue->consumer_count,
    };
    op->kind = LV_OP_ANSWER;
    op->from = broker->config.shard;
    op->data[0] = '\0';
    if (is_promise)
        lv_promise_topology(broker, to, op);
    else
        lv_op_send(broker, to, op);
}

/* The queue is on its way out (`is_here`), or unknown: then it has gone since the other shard
 * looked. */
static void fail_gone(struct lv_broker *broker, struct lv_op *op, bool is_here)
{
    struct lv_bytes name = lv_bytes(op->data, op->command.name_size);
    struct lv_bytes vhost = lv_bytes(op->data + name.size, op->command.vhost_size);
    struct lv_diag diag;
    int rc = lv_fail(&diag, -LV_E_NOT_FOUND, "no queue '%.*s' in vhost '%.*s'", LV_FMT(name),
                     LV_FMT(vhost));

    assert(op->size >= (size_t)op->command.name_size + op->command.vhost_size);
    answer(broker, op, (struct lv_op_answer){.error = rc, .is_going = is_here}, diag.text);
}

static void fail_refused(struct lv_broker *broker, struct lv_op *op, int error, const char *why)
{
    struct lv_bytes name = lv_bytes(op->data, op->command.name_size);
    struct lv_bytes vhost = lv_bytes(op->data + name.size, op->command.vhost_size);
    struct lv_diag diag;
    int rc =
        lv_fail(&diag, error, "queue '%.*s' in vhost '%.*s' %s", LV_FMT(name), LV_FMT(vhost), why);

    assert(why != NULL);
    fail(broker, op, rc, &diag);
}

/* The channel's subscriber on this shard, made when there is none yet; NULL: out of memory. */
static struct lv_subscriber *command_subscriber(struct lv_broker *broker, const struct lv_op *op)
{
    if (op->command.subscriber != NULL)
        return op->command.subscriber;
    struct lv_subscriber *subscriber = lv_calloc(1, sizeof *subscriber);
    if (subscriber == NULL)
        return NULL;
    lv_subscriber_init(subscriber, broker, op->command.channel);
    subscriber->remote = true;
    subscriber->front = op->from;
    lv_list_push_back(&broker->remotes, &subscriber->remote_link);
    return subscriber;
}

/* What the answer says of the subscriber: only what is news. A channel that closes while its
 * command is under way detaches those it knows of, and would do so twice. */
static struct lv_subscriber *made(const struct lv_op *op, struct lv_subscriber *subscriber)
{
    assert(subscriber != NULL);
    return op->command.subscriber == NULL ? subscriber : NULL;
}

/* The command came to nothing: nobody will hear of the subscriber that it made. */
static void unmake(const struct lv_op *op, struct lv_subscriber *subscriber)
{
    if (subscriber == NULL || made(op, subscriber) == NULL)
        return;
    lv_subscriber_fini(subscriber);
    lv_link_remove(&subscriber->remote_link);
    lv_free(subscriber);
}

/* What deletes passes on to the shard that decides the order of changes. */
static void run_delete(struct lv_broker *broker, struct lv_queue *queue, struct lv_op *op)
{
    struct lv_change change = {
        .kind = LV_CHANGE_QUEUE_DELETE,
        .vhost = lv_vhost_name(queue->entry->vhost),
        .name = lv_entry_name(queue->entry),
        .queue_id = queue->entry->id,
    };

    assert(!queue->deleting);
    if (op->command.if_unused && queue->consumer_count > 0) {
        fail_refused(broker, op, -LV_E_PRECONDITION, "in use");
    } else if (op->command.if_empty && lv_queue_ready_count(queue) > 0) {
        fail_refused(broker, op, -LV_E_PRECONDITION, "not empty");
    } else if (lv_change_submit(broker, &change, op->command.pending, op->from) < 0) {
        fail_memory(broker, op);
    } else {
        queue->deleting = true;
        lv_op_free(op);
    }
}

/* The answer of a get that finds a message, with the message behind, or NULL. */
static struct lv_op *got_op(struct lv_broker *broker, const struct lv_op *op, struct lv_ref ref)
{
    struct lv_op *reply = lv_op_new(broker, LV_OP_ANSWER, ref.size);

    if (reply == NULL)
        return NULL;
    reply->answer.pending = op->command.pending;
    reply->answer.found = true;
    reply->answer.redelivered = (ref.flags & LV_REF_REDELIVERED) != 0;
    memcpy(reply->data, lv_broker_view(broker, ref), ref.size);
    return reply;
}

/* The message stays with the channel until it is settled. False: out of memory. */
static bool hold(struct lv_broker *broker, struct lv_queue *queue, const struct lv_op *op,
                 struct lv_op *reply)
{
    struct lv_subscriber *subscriber = command_subscriber(broker, op);
    struct lv_consumer *getter = NULL;
    uint64_t seq = 0;
    struct lv_ref ref = {0};

    assert(lv_queue_ready_count(queue) > 0);
    if (subscriber != NULL && lv_subscriber_reserve(subscriber) == 0)
        getter = lv_subscriber_getter(subscriber, queue);
    if (getter == NULL) {
        unmake(op, subscriber);
        return false;
    }
    bool taken = lv_queue_take(queue, &seq, &ref);
    reply->answer.subscriber = made(op, subscriber);
    reply->answer.tag = subscriber->unacked.next;
    int rc = lv_subscriber_remember(subscriber, getter, seq, ref);
    assert(taken);
    assert(rc == 0); /* its place was reserved */
    return taken && rc == 0;
}

/* Until something is here that the command needs. Its channel may close meanwhile. */
static void wait_in(struct lv_list *list, struct lv_op *op)
{
    lv_list_push_back(list, &op->link);
    if (op->command.subscriber == NULL)
        return;
    assert(op->command.subscriber->waiting == NULL); /* a channel gives one command at a time */
    op->command.subscriber->waiting = op;
}

/* Takes the message for the getter, so that the answer can carry it. */
static void run_get(struct lv_broker *broker, struct lv_queue *queue, struct lv_op *op)
{
    uint64_t seq;
    struct lv_ref ref;

    assert(queue->entry->queue == queue);
    if (broker->resting || !lv_queue_peek(queue, &seq, &ref)) {
        if (!broker->resting && lv_cold_want(queue))
            wait_in(&queue->cold->getters, op); /* until its front is here */
        else
            answer(broker, op, (struct lv_op_answer){.found = false}, "");
        return;
    }
    struct lv_op *reply = got_op(broker, op, ref);
    if (reply == NULL || (!op->command.no_ack && !hold(broker, queue, op, reply))) {
        lv_op_free(reply);
        fail_memory(broker, op);
        return;
    }
    if (op->command.no_ack && lv_queue_take(queue, &seq, &ref))
        lv_queue_release(broker, queue, seq, ref);
    lv_kept_note(queue);
    reply->answer.message_count = lv_queue_ready_count(queue);
    broker->stats.delivered++;
    lv_op_send(broker, op->from, reply);
    lv_op_free(op);
}

static void run_consume(struct lv_broker *broker, struct lv_queue *queue, struct lv_op *op)
{
    struct lv_consumer_config config = {
        .subscription = op->command.subscription,
        .priority = op->command.priority,
        .prefetch = op->command.prefetch,
        .no_ack = op->command.no_ack,
        .exclusive = op->command.exclusive,
    };

    assert(config.subscription != NULL);
    if (queue->exclusive != NULL || (op->command.exclusive && queue->consumer_count > 0)) {
        fail_refused(broker, op, -LV_E_ACCESS_REFUSED, "in exclusive use");
        return;
    }
    struct lv_subscriber *subscriber = command_subscriber(broker, op);
    if (subscriber == NULL || lv_consumer_new(subscriber, queue, &config) == NULL) {
        unmake(op, subscriber);
        fail_memory(broker, op);
        return;
    }
    answer(broker, op, (struct lv_op_answer){.subscriber = made(op, subscriber)}, "");
}

static void run_cancel(struct lv_broker *broker, struct lv_op *op)
{
    struct lv_consumer *consumer =
        op->command.subscriber == NULL
            ? NULL
            : lv_subscriber_find(op->command.subscriber, op->command.subscription);

    if (consumer != NULL)
        lv_consumer_cancel(consumer);
    answer_counts(broker, op, 0, 0);
}

void lv_command_run(struct lv_broker *broker, struct lv_op *op)
{
    struct lv_queue_entry *entry = lv_broker_home(broker, op->command.queue_id);
    struct lv_queue *queue = entry == NULL || entry->queue->deleting ? NULL : entry->queue;

    assert(op->command.pending != NULL);
    if (op->command.subscriber != NULL && op->command.subscriber->waiting == op)
        op->command.subscriber->waiting = NULL;
    if (op->kind == LV_OP_CANCEL)
        run_cancel(broker, op);
    else if (LV_UNLIKELY(op->command.is_dropped))
        answer_counts(broker, op, 0, 0); /* to nobody but the channel's end */
    else if (LV_UNLIKELY(entry == NULL && lv_op_is_early(broker, op)))
        wait_in(&broker->early, op); /* its declare is on its way here */
    else if (queue == NULL && op->kind == LV_OP_DELETE)
        answer_counts(broker, op, 0, 0); /* deleting what is gone succeeds */
    else if (queue == NULL)
        fail_gone(broker, op, entry != NULL);
    else if (op->kind == LV_OP_QUERY)
        answer_query(broker, queue, op);
    else if (op->kind == LV_OP_DELETE)
        run_delete(broker, queue, op);
    else if (op->kind == LV_OP_PURGE)
        answer_counts(broker, op, lv_queue_clear(queue), 0);
    else if (op->kind == LV_OP_GET)
        run_get(broker, queue, op);
    else
        run_consume(broker, queue, op);
}
