/*
 * Methods on an open channel, as commands for the core.
 *
 * One function per method, and one flat switch that knows them all. Commands that have a reply set
 * the session's `pending` first, as the reply may come before the call returns.
 */
#include "base/alloc.h"
#include "codec/amqp091/method.h"
#include "codec/amqp091/table.h"
#include "session/amqp091/machine.h"

/* A name as RabbitMQ reads it where things are made, bound and deleted: without line ends. */
struct name {
    struct lv_bytes bytes; /* of the method, or of `stripped` */
    uint8_t stripped[UINT8_MAX];
};

/* What a command needs besides the method itself. */
struct step {
    struct lv_session_channel *channel;
    const struct lv_amqp091_method *method;
    struct lv_fault *fault;
    struct name names[2];
    struct lv_arena arena;
    const struct lv_table *arguments; /* in the arena */
};

/* Copied only when there is something to take out, which is nearly never. */
static void strip(struct name *name, struct lv_bytes from)
{
    size_t size = 0;

    assert(from.size <= sizeof name->stripped);
    name->bytes = from;
    if (from.size == 0 ||
        (memchr(from.data, '\n', from.size) == NULL && memchr(from.data, '\r', from.size) == NULL))
        return;
    for (size_t i = 0; i < from.size; i++) {
        if (from.data[i] != '\n' && from.data[i] != '\r')
            name->stripped[size++] = from.data[i];
    }
    name->bytes = lv_bytes(name->stripped, size);
}

/* No frame is judged before the core's reply. */
static void await_reply(const struct step *step, bool no_wait)
{
    struct lv_session *session = step->channel->session;

    assert(session->pending.channel == NULL);
    session->pending.channel = step->channel;
    session->pending.method = step->method->id;
    session->pending.no_wait = no_wait;
    session->pause |= LV_PAUSE_ANSWER;
    if (no_wait)
        lv_channel_hurry(step->channel->core);
}

/* The core copies what it keeps of them, so that they need not outlive the step. */
static int decode_arguments(struct step *step, struct lv_bytes entries)
{
    assert(step->arguments == NULL);
    return lv_amqp091_table_decode(entries, &step->arena, &step->arguments, &step->fault->diag);
}

/* An answer without fields, on the method's channel. */
static void send(const struct step *step, uint32_t id)
{
    struct lv_amqp091_method method = {.id = id};

    assert(step->channel->state == LV_SESSION_CHANNEL_OPEN);
    lv_session_send(step->channel->session, step->channel->number, &method);
}

/* ---- channel ---- */

/* Only the answer to what is the case already; nobody may stop the broker's deliveries this way. */
static int channel_flow(const struct step *step)
{
    struct lv_amqp091_method flow_ok = {.id = LV_AMQP091_CHANNEL_FLOW_OK};

    assert(step->method->id == LV_AMQP091_CHANNEL_FLOW);
    if (!step->method->channel_flow.active)
        return lv_fail(&step->fault->diag, -LV_E_NOT_IMPLEMENTED, "active=false");
    flow_ok.channel_flow_ok.active = true;
    lv_session_send(step->channel->session, step->channel->number, &flow_ok);
    return 0;
}

/* ---- exchange ---- */

/* The core judges names, types and what is there already; here are only the wire's own matters. */
static int exchange_declare(struct step *step)
{
    const struct lv_amqp091_exchange_declare *method = &step->method->exchange_declare;
    struct lv_exchange_declare declare;
    int rc = decode_arguments(step, method->arguments);

    assert(step->method->id == LV_AMQP091_EXCHANGE_DECLARE);
    if (rc < 0)
        return rc;
    strip(&step->names[0], method->exchange);
    declare = (struct lv_exchange_declare){
        .name = step->names[0].bytes,
        .type = method->type,
        .passive = method->passive,
        .durable = method->durable,
        .auto_delete = method->auto_delete,
        .internal = method->internal,
        .arguments = step->arguments,
    };
    await_reply(step, method->no_wait);
    lv_exchange_declare(step->channel->core, &declare);
    return 0;
}

/* Answered also when there is no such exchange, as in RabbitMQ. */
static int exchange_delete(struct step *step)
{
    const struct lv_amqp091_exchange_delete *method = &step->method->exchange_delete;

    assert(step->method->id == LV_AMQP091_EXCHANGE_DELETE);
    strip(&step->names[0], method->exchange);
    await_reply(step, method->no_wait);
    lv_exchange_delete(step->channel->core, step->names[0].bytes, method->if_unused);
    return 0;
}

/* Both names without the line ends that some clients leave in them. */
static struct lv_exchange_bind make_exchange_bind(struct step *step, struct lv_bytes destination,
                                                  struct lv_bytes source, struct lv_bytes key)
{
    assert(step->channel->core != NULL);
    strip(&step->names[0], destination);
    strip(&step->names[1], source);
    return (struct lv_exchange_bind){
        .destination = step->names[0].bytes,
        .source = step->names[1].bytes,
        .key = key,
        .arguments = step->arguments,
    };
}

/* RabbitMQ's extension: what matches at the source goes on to the destination. */
static int exchange_bind(struct step *step)
{
    const struct lv_amqp091_exchange_bind *method = &step->method->exchange_bind;
    struct lv_exchange_bind bind;
    int rc = decode_arguments(step, method->arguments);

    assert(step->method->id == LV_AMQP091_EXCHANGE_BIND);
    if (rc < 0)
        return rc;
    bind = make_exchange_bind(step, method->destination, method->source, method->routing_key);
    await_reply(step, method->no_wait);
    lv_exchange_bind_exchange(step->channel->core, &bind);
    return 0;
}

/* The arguments are part of the binding, so they are decoded here too. */
static int exchange_unbind(struct step *step)
{
    const struct lv_amqp091_exchange_unbind *method = &step->method->exchange_unbind;
    struct lv_exchange_bind bind;
    int rc = decode_arguments(step, method->arguments);

    assert(step->method->id == LV_AMQP091_EXCHANGE_UNBIND);
    if (rc < 0)
        return rc;
    bind = make_exchange_bind(step, method->destination, method->source, method->routing_key);
    await_reply(step, method->no_wait);
    lv_exchange_unbind_exchange(step->channel->core, &bind);
    return 0;
}

/* ---- queue ---- */

/* The answer names the queue, which the broker may have chosen. */
static int queue_declare(struct step *step)
{
    const struct lv_amqp091_queue_declare *method = &step->method->queue_declare;
    struct lv_queue_declare declare;
    int rc = decode_arguments(step, method->arguments);

    assert(step->method->id == LV_AMQP091_QUEUE_DECLARE);
    if (rc < 0)
        return rc;
    strip(&step->names[0], method->queue);
    declare = (struct lv_queue_declare){
        .name = step->names[0].bytes,
        .passive = method->passive,
        .durable = method->durable,
        .exclusive = method->exclusive,
        .auto_delete = method->auto_delete,
        .arguments = step->arguments,
    };
    await_reply(step, method->no_wait);
    lv_queue_declare(step->channel->core, &declare);
    return 0;
}

/* if-unused and if-empty are judged where the queue lives, in one step with the deletion. */
static int queue_delete(struct step *step)
{
    const struct lv_amqp091_queue_delete *method = &step->method->queue_delete;

    assert(step->method->id == LV_AMQP091_QUEUE_DELETE);
    strip(&step->names[0], method->queue);
    await_reply(step, method->no_wait);
    lv_queue_delete(step->channel->core, step->names[0].bytes, method->if_unused, method->if_empty);
    return 0;
}

/* The name as it is: RabbitMQ strips line ends only where something is made, bound or deleted. */
static int queue_purge(const struct step *step)
{
    const struct lv_amqp091_queue_purge *method = &step->method->queue_purge;

    assert(step->method->id == LV_AMQP091_QUEUE_PURGE);
    await_reply(step, method->no_wait);
    lv_queue_purge(step->channel->core, method->queue);
    return 0;
}

/* Both names without line ends; an empty queue is the last one declared. */
static struct lv_bind make_bind(struct step *step, struct lv_bytes queue, struct lv_bytes exchange,
                                struct lv_bytes key)
{
    assert(step->channel->core != NULL);
    strip(&step->names[0], queue);
    strip(&step->names[1], exchange);
    return (struct lv_bind){
        .queue = step->names[0].bytes,
        .exchange = step->names[1].bytes,
        .key = key,
        .arguments = step->arguments,
    };
}

/* An empty key with an empty queue is the queue's name (0-9-1 queue.bind). */
static int queue_bind(struct step *step)
{
    const struct lv_amqp091_queue_bind *method = &step->method->queue_bind;
    struct lv_bind bind;
    int rc = decode_arguments(step, method->arguments);

    assert(step->method->id == LV_AMQP091_QUEUE_BIND);
    if (rc < 0)
        return rc;
    bind = make_bind(step, method->queue, method->exchange, method->routing_key);
    await_reply(step, method->no_wait);
    lv_queue_bind(step->channel->core, &bind);
    return 0;
}

/* Has no no-wait in 0-9-1. */
static int queue_unbind(struct step *step)
{
    const struct lv_amqp091_queue_unbind *method = &step->method->queue_unbind;
    struct lv_bind bind;
    int rc = decode_arguments(step, method->arguments);

    assert(step->method->id == LV_AMQP091_QUEUE_UNBIND);
    if (rc < 0)
        return rc;
    bind = make_bind(step, method->queue, method->exchange, method->routing_key);
    await_reply(step, false);
    lv_queue_unbind(step->channel->core, &bind);
    return 0;
}

/* ---- basic ---- */

/* Has no answer in the core, so it never pauses; the same goes for acks and confirm.select. */
static int basic_qos(const struct step *step)
{
    const struct lv_amqp091_basic_qos *method = &step->method->basic_qos;

    assert(step->method->id == LV_AMQP091_BASIC_QOS);
    if (method->prefetch_size != 0)
        return lv_fail(&step->fault->diag, -LV_E_NOT_IMPLEMENTED, "prefetch_size!=0 (%u)",
                       (unsigned)method->prefetch_size);
    lv_channel_qos(step->channel->core, method->prefetch_count, method->global);
    send(step, LV_AMQP091_BASIC_QOS_OK);
    return 0;
}

/* The prefix for deliveries is made before the reply can come, and filled when the tag is known. */
static int basic_consume(struct step *step)
{
    const struct lv_amqp091_basic_consume *method = &step->method->basic_consume;
    struct lv_session *session = step->channel->session;
    struct lv_session_consumer *consumer;
    struct lv_consume consume;
    int rc = decode_arguments(step, method->arguments);

    assert(step->method->id == LV_AMQP091_BASIC_CONSUME);
    if (rc < 0)
        return rc;
    if (step->channel->consumer_count >= LV_BOUND_CONSUMERS)
        return lv_fail(&step->fault->diag, -LV_E_NOT_ALLOWED,
                       "reached maximum (%u) of consumers per channel",
                       (unsigned)LV_BOUND_CONSUMERS);
    consumer = lv_session_consumer_new(method->consumer_tag);
    if (consumer == NULL)
        return lv_fail(&step->fault->diag, -LV_E_NOMEM, "no memory for a consumer");
    consume = (struct lv_consume){
        .queue = method->queue,
        .tag = method->consumer_tag,
        .no_ack = method->no_ack,
        .exclusive = method->exclusive,
        .consumer_ctx = consumer,
        .arguments = step->arguments,
    };
    await_reply(step, method->no_wait);
    session->pending.consumer = consumer;
    lv_channel_consume(step->channel->core, &consume);
    return 0;
}

/* Deliveries may come until the answer, none after it. */
static int basic_cancel(const struct step *step)
{
    const struct lv_amqp091_basic_cancel *method = &step->method->basic_cancel;

    assert(step->method->id == LV_AMQP091_BASIC_CANCEL);
    await_reply(step, method->no_wait);
    lv_channel_cancel(step->channel->core, method->consumer_tag);
    return 0;
}

/* Has no no-wait: the answer is the message. */
static int basic_get(const struct step *step)
{
    const struct lv_amqp091_basic_get *method = &step->method->basic_get;

    assert(step->method->id == LV_AMQP091_BASIC_GET);
    await_reply(step, false);
    lv_channel_get(step->channel->core, method->queue, method->no_ack);
    return 0;
}

/* An unknown tag is a soft error (406), also after a channel was closed and opened again. */
static int settle(const struct step *step, uint64_t tag, bool multiple, enum lv_settle how)
{
    assert(step->channel->core != NULL);
    return lv_channel_settle(step->channel->core, tag, multiple, how, &step->fault->diag);
}

/* Never answered, so it never pauses the input. */
static int basic_ack(const struct step *step)
{
    const struct lv_amqp091_basic_ack *method = &step->method->basic_ack;

    assert(step->method->id == LV_AMQP091_BASIC_ACK);
    return settle(step, method->delivery_tag, method->multiple, LV_SETTLE_ACK);
}

/* RabbitMQ's extension: a reject of several. */
static int basic_nack(const struct step *step)
{
    const struct lv_amqp091_basic_nack *method = &step->method->basic_nack;

    assert(step->method->id == LV_AMQP091_BASIC_NACK);
    return settle(step, method->delivery_tag, method->multiple,
                  method->requeue ? LV_SETTLE_REQUEUE : LV_SETTLE_REJECT);
}

/* Without requeue the message is gone: there are no dead letters yet. */
static int basic_reject(const struct step *step)
{
    const struct lv_amqp091_basic_reject *method = &step->method->basic_reject;

    assert(step->method->id == LV_AMQP091_BASIC_REJECT);
    return settle(step, method->delivery_tag, false,
                  method->requeue ? LV_SETTLE_REQUEUE : LV_SETTLE_REJECT);
}

/* recover-async is the same without an answer. */
static int recover(const struct step *step, bool requeue)
{
    assert(step->channel->core != NULL);
    if (!requeue) /* RabbitMQ has never kept deliveries for the consumer they went to */
        return lv_fail(&step->fault->diag, -LV_E_NOT_IMPLEMENTED, "requeue=false");
    lv_channel_recover(step->channel->core);
    if (step->method->id == LV_AMQP091_BASIC_RECOVER)
        send(step, LV_AMQP091_BASIC_RECOVER_OK);
    return 0;
}

/* ---- access, confirm, tx ---- */

/* 0-9-1 has no access tickets; libraries of older versions ask for one all the same. */
static int access_request(const struct step *step)
{
    struct lv_amqp091_method request_ok = {.id = LV_AMQP091_ACCESS_REQUEST_OK};

    assert(step->method->id == LV_AMQP091_ACCESS_REQUEST);
    request_ok.access_request_ok.ticket = 1;
    lv_session_send(step->channel->session, step->channel->number, &request_ok);
    return 0;
}

/* Confirms and transactions exclude each other, whichever comes first. */
static int confirm_select(const struct step *step)
{
    assert(step->method->id == LV_AMQP091_CONFIRM_SELECT);
    if (lv_channel_is_transactional(step->channel->core))
        return lv_fail(&step->fault->diag, -LV_E_PRECONDITION,
                       "cannot switch from tx to confirm mode");
    lv_channel_confirm_select(step->channel->core);
    if (!step->method->confirm_select.no_wait)
        send(step, LV_AMQP091_CONFIRM_SELECT_OK);
    return 0;
}

/* Answered at once: nothing has to be asked elsewhere. */
static int tx_select(const struct step *step)
{
    int rc = lv_channel_tx_select(step->channel->core, &step->fault->diag);

    assert(step->method->id == LV_AMQP091_TX_SELECT);
    if (rc == 0)
        send(step, LV_AMQP091_TX_SELECT_OK);
    return rc;
}

/* The input waits, as what follows may depend on what is committed. */
static int tx_commit(const struct step *step)
{
    assert(step->method->id == LV_AMQP091_TX_COMMIT);
    await_reply(step, false);
    lv_channel_tx_commit(step->channel->core);
    return 0;
}

/* Nothing of it has left the channel, so nothing has to be awaited. */
static int tx_rollback(const struct step *step)
{
    int rc = lv_channel_tx_rollback(step->channel->core, &step->fault->diag);

    assert(step->method->id == LV_AMQP091_TX_ROLLBACK);
    if (rc == 0)
        send(step, LV_AMQP091_TX_ROLLBACK_OK);
    return rc;
}

/* One flat switch over what a client may send on a channel. */
static int run(struct step *step)
{
    assert(step->channel->state == LV_SESSION_CHANNEL_OPEN);
    switch (step->method->id) {
    case LV_AMQP091_CHANNEL_OPEN:
        return lv_fail(&step->fault->diag, -LV_E_CHANNEL, "second 'channel.open' seen");
    case LV_AMQP091_CHANNEL_CLOSE:
        lv_session_channel_close(step->channel);
        return 0;
    case LV_AMQP091_CHANNEL_FLOW:
        return channel_flow(step);
    case LV_AMQP091_EXCHANGE_DECLARE:
        return exchange_declare(step);
    case LV_AMQP091_EXCHANGE_DELETE:
        return exchange_delete(step);
    case LV_AMQP091_EXCHANGE_BIND:
        return exchange_bind(step);
    case LV_AMQP091_EXCHANGE_UNBIND:
        return exchange_unbind(step);
    case LV_AMQP091_QUEUE_DECLARE:
        return queue_declare(step);
    case LV_AMQP091_QUEUE_DELETE:
        return queue_delete(step);
    case LV_AMQP091_QUEUE_PURGE:
        return queue_purge(step);
    case LV_AMQP091_QUEUE_BIND:
        return queue_bind(step);
    case LV_AMQP091_QUEUE_UNBIND:
        return queue_unbind(step);
    case LV_AMQP091_BASIC_QOS:
        return basic_qos(step);
    case LV_AMQP091_BASIC_CONSUME:
        return basic_consume(step);
    case LV_AMQP091_BASIC_CANCEL:
        return basic_cancel(step);
    case LV_AMQP091_BASIC_GET:
        return basic_get(step);
    case LV_AMQP091_BASIC_ACK:
        return basic_ack(step);
    case LV_AMQP091_BASIC_NACK:
        return basic_nack(step);
    case LV_AMQP091_BASIC_REJECT:
        return basic_reject(step);
    case LV_AMQP091_CONFIRM_SELECT:
        return confirm_select(step);
    case LV_AMQP091_BASIC_RECOVER:
        return recover(step, step->method->basic_recover.requeue);
    case LV_AMQP091_BASIC_RECOVER_ASYNC:
        return recover(step, step->method->basic_recover_async.requeue);
    case LV_AMQP091_ACCESS_REQUEST:
        return access_request(step);
    case LV_AMQP091_TX_SELECT:
        return tx_select(step);
    case LV_AMQP091_TX_COMMIT:
        return tx_commit(step);
    case LV_AMQP091_TX_ROLLBACK:
        return tx_rollback(step);
    default: /* a server's method, or one of connection */
        return lv_fail(&step->fault->diag, -LV_E_COMMAND_INVALID, "unimplemented method");
    }
}

/* The step lives on the stack; its two names are left as they are, since clearing 500 bytes for
 * every acknowledgement would show. */
static int run_once(struct lv_session_channel *channel, const struct lv_amqp091_method *method,
                    struct lv_fault *fault)
{
    struct step step;
    int rc;

    assert(channel->core != NULL);
    step.channel = channel;
    step.method = method;
    step.fault = fault;
    step.arguments = NULL;
    lv_arena_init(&step.arena, LV_BOUND_TABLE);
    rc = run(&step);
    lv_arena_fini(&step.arena);
    return rc;
}

/* The queue that the method is about, as it was written. */
static struct lv_bytes queue_of(const struct lv_amqp091_method *method)
{
    switch (method->id) {
    case LV_AMQP091_QUEUE_DECLARE:
        return method->queue_declare.queue;
    case LV_AMQP091_QUEUE_BIND:
        return method->queue_bind.queue;
    case LV_AMQP091_QUEUE_UNBIND:
        return method->queue_unbind.queue;
    case LV_AMQP091_QUEUE_PURGE:
        return method->queue_purge.queue;
    case LV_AMQP091_QUEUE_DELETE:
        return method->queue_delete.queue;
    case LV_AMQP091_BASIC_CONSUME:
        return method->basic_consume.queue;
    case LV_AMQP091_BASIC_GET:
        return method->basic_get.queue;
    default:
        LV_IMPOSSIBLE("no other method is about a queue that can be locked");
    }
}

/* The queue is another client's. Before the refusal is told, that client's peer is looked at; the
 * input stays where it is until it is known, and then the same frame is judged again. False: the
 * refusal is true as it stands. */
static bool ask_owner(struct lv_session_channel *channel, const struct lv_amqp091_method *method)
{
    struct lv_session *session = channel->session;
    struct name name;

    strip(&name, queue_of(method));
    session->pending.channel = channel;
    session->pause |= LV_PAUSE_ANSWER;
    session->is_retried = true;
    if (lv_channel_probe_owner(channel->core, name.bytes))
        return true;
    session->pending.channel = NULL;
    session->is_retried = false;
    lv_session_resume(session, LV_PAUSE_ANSWER);
    return false;
}

int lv_session_command(struct lv_session_channel *channel, const struct lv_amqp091_method *method,
                       struct lv_fault *fault)
{
    struct lv_session *session = channel->session;
    int rc;

    assert(channel->state == LV_SESSION_CHANNEL_OPEN);
    assert(channel->core != NULL);
    session->may_probe = !session->has_probed;
    session->has_probed = false;
    rc = run_once(channel, method, fault);
    session->may_probe = false;
    if (LV_LIKELY(!session->is_locked_out))
        return rc;
    session->is_locked_out = false;
    if (!ask_owner(channel, method))
        return run_once(channel, method, fault);
    session->has_probed = true;
    return 0;
}
