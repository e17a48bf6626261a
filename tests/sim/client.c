#include "client.h"

#include "base/alloc.h"
#include "codec/amqp091/content.h"

#include <stdio.h>

static struct sim_model *model_of(struct sim_client *client)
{
    return &client->run->model;
}

/* ---- saying ---- */

/* Bytes were added to what the peer says. */
static void count_said(struct sim_client *client, size_t before)
{
    client->said += client->peer.said_size - before;
}

static void say(struct sim_client *client, const struct lv_amqp091_method *method)
{
    size_t before = client->peer.said_size;

    lv_peer_say_method(&client->peer, 1, method);
    count_said(client, before);
}

static void expect(struct sim_client *client, uint32_t id)
{
    SIM_RULE(client->expected_count < SIM_EXPECTED_MAX, "the simulation is patient");
    client->expected[client->expected_count++] = id;
}

/* A question, and the reply that has to come in its turn. */
static void ask(struct sim_client *client, const struct lv_amqp091_method *method, uint32_t reply)
{
    say(client, method);
    expect(client, reply);
}

#define ASK(client, name, member, ...)                                                             \
    ask((client), &(struct lv_amqp091_method){.id = LV_AMQP091_##name, .member = {__VA_ARGS__}},   \
        LV_AMQP091_##name##_OK)

static void ask_plain(struct sim_client *client, uint32_t id, uint32_t reply)
{
    ask(client, &(struct lv_amqp091_method){.id = id}, reply);
}

static void will(struct sim_client *client, enum sim_event_kind kind, uint32_t number, uint64_t tag)
{
    SIM_RULE(client->event_count < LV_COUNT(client->events), "the simulation has room");
    client->events[client->event_count++] =
        (struct sim_event){.at = client->said, .kind = kind, .number = number, .tag = tag};
}

static const char *queue_name(uint32_t queue, char name[8])
{
    snprintf(name, 8, "q%u", queue);
    return name;
}

static const char *tag_of(uint32_t queue, char tag[8])
{
    snprintf(tag, 8, "c%u", queue);
    return tag;
}

/* ---- publishers ---- */

static void remember_published(struct sim_client *client, uint32_t number)
{
    if (client->published_count == client->published_capacity) {
        client->published_capacity = 64 + 2 * client->published_capacity;
        client->published =
            lv_realloc(client->published, client->published_capacity * sizeof *client->published);
        SIM_RULE(client->published != NULL, "the simulation has memory");
    }
    client->published[client->published_count++] = number;
}

static void publish(struct sim_client *client)
{
    struct sim_model *model = model_of(client);
    uint32_t kind = sim_below(model, 10), queue = sim_below(model, SIM_QUEUES);
    uint8_t body[SIM_BODY_MAX], targets = (uint8_t)(1u << queue);
    struct lv_peer_publish what = {.exchange = "", .frame_max = client->run->frame_max};
    size_t before = client->peer.said_size;
    char name[8];

    what.key = queue_name(queue, name);
    if (kind == 0) {
        what.exchange = "f";
        targets = (1u << SIM_FANOUT) - 1;
    } else if (kind == 1) {
        what.key = "nowhere";
        targets = 0;
        what.mandatory = true;
    } else if (kind == 2) {
        what.exchange = "g"; /* the churners' queues, which nobody counts */
        targets = 0;
    } else {
        what.mandatory = kind == 3;
    }
    uint32_t number = sim_message_new(model, client->publisher, targets, what.mandatory);
    sim_message_body(model, number, body);
    what.body = lv_bytes(body, model->messages[number].size);
    lv_peer_say_publish(&client->peer, 1, &what);
    count_said(client, before);
    remember_published(client, number);
    will(client, SIM_PUBLISH, number, 0);
}

static void confirmed(struct sim_client *client, uint32_t at)
{
    struct sim_run *run = client->run;
    struct sim_message *message = &run->model.messages[client->published[at]];
    uint32_t shard = client->peer.shard->number;

    SIM_RULE(at < client->taken_count && message->taken, "only what was published is confirmed");
    SIM_RULE(!message->confirmed, "a publish is confirmed once");
    SIM_RULE(!message->mandatory || message->targets != 0 || message->returned,
             "a return comes before its confirm");
    for (uint32_t queue = 0; queue < SIM_QUEUES; queue++)
        if (message->targets & 1u << queue)
            SIM_RULE(run->carried[shard][run->homes[queue]] >= message->carried_mark[queue],
                     "a confirm comes after the message has arrived");
    message->confirmed = true;
    client->confirmed_count++;
}

static void take_confirm(struct sim_client *client, const struct lv_amqp091_basic_ack *ack)
{
    SIM_RULE(ack->delivery_tag >= 1 && ack->delivery_tag <= client->published_count,
             "a confirm names a publish");
    uint32_t last = (uint32_t)ack->delivery_tag - 1;

    if (!ack->multiple) {
        confirmed(client, last);
        return;
    }
    for (uint32_t at = 0; at <= last; at++)
        if (!model_of(client)->messages[client->published[at]].confirmed)
            confirmed(client, at);
}

/* ---- consumers ---- */

static void consume(struct sim_client *client, uint32_t queue)
{
    struct sim_consumer *consumer = &client->consumers[queue];
    char name[8], tag[8];

    consumer->wanted = true;
    consumer->said_prefetch = client->next_prefetch;
    ASK(client, BASIC_CONSUME, basic_consume, .queue = lv_text(queue_name(queue, name)),
        .consumer_tag = lv_text(tag_of(queue, tag)), .no_ack = queue == SIM_LOSSY);
}

static void cancel(struct sim_client *client, uint32_t queue)
{
    char tag[8];

    client->consumers[queue].wanted = false;
    ASK(client, BASIC_CANCEL, basic_cancel, .consumer_tag = lv_text(tag_of(queue, tag)));
}

static void qos(struct sim_client *client, uint32_t count, bool global)
{
    ASK(client, BASIC_QOS, basic_qos, .prefetch_count = (uint16_t)count, .global = global);
}

static void get(struct sim_client *client)
{
    uint32_t queue = sim_below(model_of(client), SIM_QUEUES - 1);
    char name[8];

    client->got_queue[client->expected_count] = queue;
    ASK(client, BASIC_GET, basic_get, .queue = lv_text(queue_name(queue, name)));
}

static struct sim_held *held_of(struct sim_client *client, uint64_t tag)
{
    for (uint32_t i = 0; i < client->held_count; i++)
        if (client->held[i].tag == tag)
            return &client->held[i];
    return NULL;
}

/* The entry is done with. */
static void let_go(struct sim_client *client, struct sim_held *held)
{
    struct sim_consumer *consumer = &client->consumers[held->queue];

    if (held->consumer != 0 && held->consumer == consumer->id)
        consumer->held--;
    client->held_count--;
    memmove(held, held + 1, (size_t)(&client->held[client->held_count] - held) * sizeof *held);
}

/* Answers one delivery, or all up to it. */
static void settle(struct sim_client *client)
{
    struct sim_model *model = model_of(client);
    uint32_t which = sim_below(model, client->held_count), kind = sim_below(model, 6);
    uint64_t tag = client->held[which].tag;
    bool multiple = kind < 4 && sim_once_in(model, 4);
    enum sim_event_kind then = kind == 4 ? SIM_REQUEUE : SIM_ACK;

    if (client->held[which].answered)
        return;
    if (kind < 4)
        say(client,
            &(struct lv_amqp091_method){.id = LV_AMQP091_BASIC_ACK,
                                        .basic_ack = {.delivery_tag = tag, .multiple = multiple}});
    else if (sim_once_in(model, 2))
        say(client, &(struct lv_amqp091_method){
                        .id = LV_AMQP091_BASIC_REJECT,
                        .basic_reject = {.delivery_tag = tag, .requeue = then == SIM_REQUEUE}});
    else
        say(client, &(struct lv_amqp091_method){
                        .id = LV_AMQP091_BASIC_NACK,
                        .basic_nack = {.delivery_tag = tag, .requeue = then == SIM_REQUEUE}});
    for (uint32_t i = 0; i < client->held_count; i++) {
        struct sim_held *held = &client->held[i];
        if (held->answered || (multiple ? held->tag > tag : held->tag != tag))
            continue;
        held->answered = true;
        will(client, then, held->number, held->tag);
    }
}

/* All that the channel held goes back to its queues. */
static void release_all(struct sim_client *client)
{
    for (uint32_t i = 0; i < client->held_count; i++)
        sim_copy_returned(model_of(client), client->held[i].number, client->held[i].queue);
    client->held_count = 0;
    for (uint32_t queue = 0; queue < SIM_QUEUES; queue++)
        client->consumers[queue].id = 0;
}

static void check_order(struct sim_client *client, struct sim_consumer *consumer, uint32_t number)
{
    const struct sim_message *message = &model_of(client)->messages[number];

    SIM_RULE(number >= consumer->heard_next[message->publisher],
             "a consumer sees a publisher's messages in their order");
    consumer->heard_next[message->publisher] = number + 1;
}

static void check_prefetch(const struct sim_client *client, const struct sim_consumer *consumer)
{
    uint32_t total = 0;

    for (uint32_t i = 0; i < client->held_count; i++)
        total += client->held[i].consumer != 0;
    SIM_RULE(consumer->prefetch == 0 || consumer->held <= consumer->prefetch,
             "a consumer holds no more than its prefetch count");
    SIM_RULE(client->global_prefetch == 0 || total <= client->global_prefetch,
             "a channel holds no more than its prefetch count");
}

/* A delivery or the answer to a get is complete. */
static void delivered(struct sim_client *client)
{
    struct sim_content *content = &client->content;
    struct sim_model *model = model_of(client);
    uint32_t number = sim_message_identify(model, content->body, content->got);
    struct sim_consumer *consumer = NULL;
    bool is_get = content->id == LV_AMQP091_BASIC_GET_OK;

    if (content->queue == SIM_UNCOUNTED)
        return;
    if (client->is_released && content->queue != SIM_LOSSY)
        return; /* back in its queue already */
    consumer = &client->consumers[content->queue];
    sim_copy_delivered(model, number, content->queue, content->redelivered);
    if (content->queue == SIM_LOSSY) {
        sim_copy_settled(model, number, content->queue);
        return;
    }
    SIM_RULE(is_get || consumer->id != 0, "deliveries come between consume-ok and cancel-ok");
    SIM_RULE(client->held_count < SIM_HELD_MAX, "the simulation has room");
    client->held[client->held_count++] = (struct sim_held){
        .tag = content->tag,
        .number = number,
        .queue = content->queue,
        .consumer = is_get ? 0 : consumer->id,
    };
    if (is_get)
        return;
    if (!content->redelivered)
        check_order(client, consumer, number);
    consumer->held++;
    check_prefetch(client, consumer);
}

/* ---- churners: topology that comes and goes, consumers that lose it, and errors ---- */

static uint32_t churn_tag(struct lv_bytes tag)
{
    uint32_t number = 0;

    SIM_RULE(tag.size >= 2 && tag.data[0] == 'x', "a consumer's tag is its own");
    for (size_t i = 1; i < tag.size; i++)
        number = number * 10 + (uint32_t)(tag.data[i] - '0');
    SIM_RULE(number < SIM_TAGS_MAX, "a consumer's tag is its own");
    return number;
}

static void churn_consumers(struct sim_client *client, const char *queue)
{
    struct sim_model *model = model_of(client);
    char tag[16];

    if (sim_once_in(model, 2) && client->tag_count < SIM_TAGS_MAX) {
        snprintf(tag, sizeof tag, "x%u", client->tag_count);
        client->tags[client->tag_count++] = SIM_TAG_ASKED;
        ASK(client, BASIC_CONSUME, basic_consume, .queue = lv_text(queue),
            .consumer_tag = lv_text(tag), .no_ack = sim_once_in(model, 2),
            .exclusive = sim_once_in(model, 8));
    } else if (client->tag_count > 0) {
        snprintf(tag, sizeof tag, "x%u", sim_below(model, client->tag_count));
        ASK(client, BASIC_CANCEL, basic_cancel, .consumer_tag = lv_text(tag));
    }
}

/* The broker says that the queue is gone: nothing may come from there any more. */
static void take_cancel(struct sim_client *client, struct lv_bytes tag)
{
    SIM_RULE(client->role == SIM_CHURNER, "no queue goes that others use");
    SIM_RULE(client->tags[churn_tag(tag)] == SIM_TAG_LIVE, "only live consumers are cancelled");
    client->tags[churn_tag(tag)] = SIM_TAG_GONE;
}

static void churn(struct sim_client *client)
{
    struct sim_model *model = model_of(client);
    char name[16];

    snprintf(name, sizeof name, "churn%u", sim_below(model, 3));
    switch (sim_below(model, 11)) {
    case 8:
    case 9:
    case 10:
        churn_consumers(client, name);
        break;
    case 0:
    case 1:
        ASK(client, QUEUE_DECLARE, queue_declare, .queue = lv_text(name),
            .auto_delete = sim_once_in(model, 4));
        break;
    case 2:
        ASK(client, QUEUE_DECLARE, queue_declare, .exclusive = true);
        break;
    case 3:
        ASK(client, QUEUE_BIND, queue_bind, .queue = lv_text(name), .exchange = lv_text("g"));
        break;
    case 4:
        ASK(client, QUEUE_UNBIND, queue_unbind, .queue = lv_text(name), .exchange = lv_text("g"));
        break;
    case 5:
        ASK(client, QUEUE_PURGE, queue_purge, .queue = lv_text(name));
        break;
    case 6:
        ASK(client, QUEUE_DELETE, queue_delete, .queue = lv_text(name),
            .if_unused = sim_once_in(model, 2));
        break;
    default:
        ASK(client, QUEUE_DECLARE, queue_declare, .queue = lv_text(name), .passive = true);
        break;
    }
}

/* ---- hearing ---- */

static void take_reply(struct sim_client *client, const struct lv_amqp091_method *method)
{
    uint32_t id = method->id == LV_AMQP091_BASIC_GET_EMPTY ? LV_AMQP091_BASIC_GET_OK : method->id;
    struct lv_bytes tag = method->basic_consume_ok.consumer_tag; /* lies as in cancel-ok */

    SIM_RULE(client->expected_count > 0, "nothing is answered that was not asked");
    SIM_RULE(client->expected[0] == id, "questions are answered in their order");
    client->content.queue = client->got_queue[0];
    client->expected_count--;
    memmove(client->expected, client->expected + 1, client->expected_count * sizeof(uint32_t));
    memmove(client->got_queue, client->got_queue + 1, client->expected_count * sizeof(uint32_t));
    if (id == LV_AMQP091_BASIC_CONSUME_OK && client->role == SIM_CHURNER) {
        client->tags[churn_tag(tag)] = SIM_TAG_LIVE;
    } else if (id == LV_AMQP091_BASIC_CANCEL_OK && client->role == SIM_CHURNER) {
        client->tags[churn_tag(tag)] = SIM_TAG_GONE;
    } else if (id == LV_AMQP091_BASIC_CONSUME_OK) {
        struct sim_consumer *consumer = &client->consumers[tag.data[1] - '0'];
        consumer->id = ++client->next_consumer;
        consumer->held = 0;
        consumer->prefetch = consumer->said_prefetch;
        memset(consumer->heard_next, 0, sizeof consumer->heard_next);
    } else if (id == LV_AMQP091_BASIC_CANCEL_OK) {
        client->consumers[tag.data[1] - '0'].id = 0;
    } else if (id == LV_AMQP091_CHANNEL_OPEN_OK) {
        client->global_prefetch = client->said_global;
    } else if (id == LV_AMQP091_CHANNEL_CLOSE_OK) {
        client->is_closing = client->is_released = false;
    }
}

/* Churners make mistakes: their channel is closed, and they open it again. */
static void take_channel_close(struct sim_client *client)
{
    SIM_RULE(client->role == SIM_CHURNER, "who does nothing wrong is not closed");
    client->expected_count = 0;
    memset(client->tags, SIM_TAG_FREE, sizeof client->tags);
    client->tag_count = 0;
    say(client, &(struct lv_amqp091_method){.id = LV_AMQP091_CHANNEL_CLOSE_OK});
    if (client->has_left)
        expect(client, LV_AMQP091_CONNECTION_CLOSE_OK);
    else
        ask_plain(client, LV_AMQP091_CHANNEL_OPEN, LV_AMQP091_CHANNEL_OPEN_OK);
}

/* Where a delivery comes from. */
static uint32_t queue_of(struct sim_client *client, struct lv_bytes tag)
{
    if (client->role != SIM_CHURNER)
        return (uint32_t)(tag.data[1] - '0');
    SIM_RULE(client->tags[churn_tag(tag)] == SIM_TAG_LIVE, "only live consumers get deliveries");
    return SIM_UNCOUNTED;
}

/* A method that has content: what is to come. */
static void begin_content(struct sim_client *client, const struct lv_amqp091_method *method)
{
    struct sim_content *content = &client->content;

    content->id = method->id;
    content->got = 0;
    if (method->id == LV_AMQP091_BASIC_DELIVER) {
        content->tag = method->basic_deliver.delivery_tag;
        content->redelivered = method->basic_deliver.redelivered;
        content->queue = queue_of(client, method->basic_deliver.consumer_tag);
    } else if (method->id == LV_AMQP091_BASIC_GET_OK) {
        content->tag = method->basic_get_ok.delivery_tag;
        content->redelivered = method->basic_get_ok.redelivered;
    }
}

static void take_method(struct sim_client *client, const struct lv_amqp091_method *method)
{
    switch (method->id) {
    case LV_AMQP091_BASIC_ACK:
        take_confirm(client, &method->basic_ack);
        break;
    case LV_AMQP091_CHANNEL_CLOSE:
        take_channel_close(client);
        break;
    case LV_AMQP091_BASIC_CANCEL:
        take_cancel(client, method->basic_cancel.consumer_tag);
        break;
    case LV_AMQP091_BASIC_GET_OK:
        take_reply(client, method);
        begin_content(client, method);
        break;
    case LV_AMQP091_BASIC_DELIVER:
    case LV_AMQP091_BASIC_RETURN:
        begin_content(client, method);
        break;
    default:
        take_reply(client, method);
        break;
    }
}

static void end_content(struct sim_client *client)
{
    struct sim_content *content = &client->content;
    struct sim_message *message;

    if (content->id != LV_AMQP091_BASIC_RETURN) {
        delivered(client);
        return;
    }
    message = &model_of(client)
                   ->messages[sim_message_identify(model_of(client), content->body, content->got)];
    SIM_RULE(message->mandatory && message->targets == 0 && message->taken,
             "only mandatory messages without a queue are returned");
    SIM_RULE(!message->returned && !message->confirmed, "a message is returned once");
    message->returned = true;
}

static void on_frame(struct lv_peer *peer, const struct lv_amqp091_frame *frame)
{
    struct sim_client *client = peer->ctx;
    struct sim_content *content = &client->content;
    struct lv_amqp091_content header;
    struct lv_amqp091_method method;

    if (frame->type == LV_AMQP091_FRAME_METHOD) {
        SIM_RULE(content->id == 0, "content is not interrupted");
        SIM_RULE(lv_amqp091_method_decode(frame->payload, &method, NULL) == 0, "methods are valid");
        take_method(client, &method);
        return;
    }
    SIM_RULE(content->id != 0, "content follows its method");
    if (frame->type == LV_AMQP091_FRAME_HEADER) {
        SIM_RULE(lv_amqp091_content_decode(frame->payload, &header, NULL) == 0, "it is a header");
        content->size = header.body_size;
    } else {
        SIM_RULE(content->got + frame->payload.size <= SIM_BODY_MAX, "a body has its size");
        lv_put_bytes(content->body + content->got, frame->payload);
        content->got += frame->payload.size;
    }
    if (content->got < content->size)
        return;
    end_content(client);
    content->id = 0;
}

/* ---- what was said is taken ---- */

static void happen(struct sim_client *client, const struct sim_event *event)
{
    struct sim_held *held;

    switch (event->kind) {
    case SIM_PUBLISH:
        sim_message_taken(model_of(client), event->number);
        client->taken_count++;
        break;
    case SIM_ACK:
    case SIM_REQUEUE:
        held = held_of(client, event->tag);
        SIM_RULE(held != NULL, "the simulation settles what it holds");
        if (event->kind == SIM_ACK)
            sim_copy_settled(model_of(client), held->number, held->queue);
        else
            sim_copy_returned(model_of(client), held->number, held->queue);
        let_go(client, held);
        break;
    case SIM_CLOSE:
        release_all(client);
        client->is_released = true;
        break;
    }
}

/* A message to another shard is confirmed only after the operation that carries it has arrived. It
 * is at least the n-th one behind those that were sent before. */
static void mark(struct sim_client *client, uint32_t number, uint64_t sent[LV_WORLD_SHARDS_MAX])
{
    struct sim_run *run = client->run;
    struct sim_message *message = &run->model.messages[number];
    uint32_t shard = client->peer.shard->number;
    bool counted[LV_WORLD_SHARDS_MAX] = {false};

    for (uint32_t queue = 0; queue < SIM_QUEUES; queue++) {
        uint32_t home = run->homes[queue];
        if ((message->targets & 1u << queue) == 0 || home == shard)
            continue;
        if (!counted[home])
            sent[home]++;
        counted[home] = true;
        message->carried_mark[queue] = sent[home];
    }
}

void sim_client_push(struct sim_client *client, size_t size)
{
    struct lv_world_shard *shard = client->peer.shard;
    struct sim_run *run = client->run;
    uint64_t sent[LV_WORLD_SHARDS_MAX];
    uint32_t done = 0;

    for (uint32_t to = 0; to < run->world.shard_count; to++)
        sent[to] = run->carried[shard->number][to] + shard->roads[to].count;
    if (!lv_peer_push_piece(&client->peer, size))
        return;
    uint64_t taken = client->said - client->peer.said_size;
    while (done < client->event_count && client->events[done].at <= taken) {
        const struct sim_event *event = &client->events[done++];
        if (event->kind == SIM_PUBLISH)
            mark(client, event->number, sent);
        happen(client, event);
    }
    client->event_count -= done;
    memmove(client->events, client->events + done, client->event_count * sizeof *client->events);
}

/* ---- life ---- */

static void say_hello(struct sim_client *client)
{
    size_t before = client->peer.said_size;

    lv_peer_say_hello(&client->peer);
    count_said(client, before);
    expect(client, LV_AMQP091_CONNECTION_START);
    expect(client, LV_AMQP091_CONNECTION_TUNE);
    expect(client, LV_AMQP091_CONNECTION_OPEN_OK);
}

static void open_channel(struct sim_client *client)
{
    struct sim_model *model = model_of(client);

    ask_plain(client, LV_AMQP091_CHANNEL_OPEN, LV_AMQP091_CHANNEL_OPEN_OK);
    client->global_prefetch = client->said_global = client->next_prefetch = 0;
    if (client->role == SIM_PUBLISHER)
        ask_plain(client, LV_AMQP091_CONFIRM_SELECT, LV_AMQP091_CONFIRM_SELECT_OK);
    if (client->role != SIM_CONSUMER)
        return;
    if (sim_once_in(model, 4)) {
        client->said_global = 1 + sim_below(model, 10);
        qos(client, client->said_global, true);
    }
    client->next_prefetch = 1 + sim_below(model, 20);
    qos(client, client->next_prefetch, false);
    consume(client, sim_below(model, SIM_QUEUES));
}

void sim_client_connect(struct sim_client *client)
{
    struct sim_run *run = client->run;
    enum sim_role role = client->role;
    uint32_t publisher = run->model.publisher_count;

    *client = (struct sim_client){.run = run, .role = role, .is_open = true};
    if (role == SIM_PUBLISHER) {
        SIM_RULE(publisher < SIM_PUBLISHERS, "the simulation has room");
        client->publisher = run->model.publisher_count++;
    }
    lv_peer_init(&client->peer, &run->world, sim_below(&run->model, run->world.shard_count));
    client->peer.on_frame = on_frame;
    client->peer.ctx = client;
    say_hello(client);
    open_channel(client);
}

static void act_as_consumer(struct sim_client *client)
{
    struct sim_model *model = model_of(client);
    uint32_t queue = sim_below(model, SIM_QUEUES);

    if (client->held_count > 0 && !sim_once_in(model, 4)) {
        settle(client);
    } else if (client->expected_count > 0) {
        return; /* one question at a time is enough */
    } else if (sim_once_in(model, 30)) {
        ASK(client, CHANNEL_CLOSE, channel_close, .reply_code = 200);
        client->is_closing = true;
        client->run->lossy_lost |= client->consumers[SIM_LOSSY].wanted;
        will(client, SIM_CLOSE, 0, 0);
        for (queue = 0; queue < SIM_QUEUES; queue++)
            client->consumers[queue].wanted = false;
        open_channel(client);
    } else if (sim_once_in(model, 3)) {
        get(client);
    } else if (client->consumers[queue].wanted) {
        cancel(client, queue);
    } else {
        client->next_prefetch = sim_once_in(model, 4) ? 100 : 1 + sim_below(model, 20);
        qos(client, client->next_prefetch, false);
        consume(client, queue);
    }
}

void sim_client_act(struct sim_client *client)
{
    if (client->is_closing || client->peer.session == NULL)
        return;
    if (client->role == SIM_CONSUMER)
        act_as_consumer(client);
    else if (client->role == SIM_PUBLISHER &&
             client->published_count - client->confirmed_count < SIM_WINDOW)
        publish(client);
    else if (client->role == SIM_CHURNER && client->expected_count < SIM_EXPECTED_MAX / 2)
        churn(client);
}

void sim_client_leave(struct sim_client *client)
{
    size_t before = client->peer.said_size;

    if (client->is_closing)
        return;
    client->is_closing = client->has_left = true;
    client->run->lossy_lost |= client->role == SIM_CONSUMER;
    SAY(&client->peer, 0, CONNECTION_CLOSE, connection_close, .reply_code = 200);
    count_said(client, before);
    expect(client, LV_AMQP091_CONNECTION_CLOSE_OK);
    will(client, SIM_CLOSE, 0, 0);
}

void sim_client_lose(struct sim_client *client)
{
    model_of(client)->loss_count++;
    client->run->lossy_lost |= client->role == SIM_CONSUMER;
    client->event_count = 0; /* what was said and not taken has not been */
    client->expected_count = 0;
    release_all(client);
    client->peer.on_frame = NULL; /* what is still in its buffers reaches nobody */
    client->is_closing = true;
    lv_peer_vanish(&client->peer);
}

void sim_client_end(struct sim_client *client)
{
    SIM_RULE(client->peer.session == NULL, "the simulation waits for the end");
    SIM_RULE(client->expected_count == 0, "every question is answered");
    lv_peer_fini(&client->peer);
    lv_free(client->published);
    client->published = NULL;
    client->is_open = false;
}
