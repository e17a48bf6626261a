#include "broker/harness.h"

#include "base/alloc.h"
#include "broker/core.h"
#include "broker/guest.h"
#include "broker/words.h"

#include <stdio.h>

/* ---- the roads ---- */

static void send_op(void *ctx, uint32_t to, struct lv_op *op)
{
    struct lv_sim_shard *shard = ctx;
    struct lv_sim_road *road = &shard->roads[to];

    assert(to < shard->sim->shard_count);
    assert(op != NULL);
    if (road->end == road->capacity) {
        /* The road itself is no part of what is tested: it never runs out of memory. */
        road->capacity = road->capacity == 0 ? 64 : 2 * road->capacity;
        void *grown = realloc(road->ops, road->capacity * sizeof(struct lv_op *));
        if (grown == NULL)
            abort();
        road->ops = grown;
    }
    road->ops[road->end++] = op;
}

/* The oldest one of this road: roads keep their order, as rings do. */
bool lv_sim_carry(struct lv_sim *sim, uint32_t from, uint32_t to)
{
    struct lv_sim_road *road = &sim->shards[from].roads[to];

    assert(from < sim->shard_count);
    assert(to < sim->shard_count);
    if (road->begin == road->end)
        return false;
    struct lv_op *op = road->ops[road->begin++];
    if (road->begin == road->end)
        road->begin = road->end = 0;
    lv_broker_take(sim->shards[to].broker, op);
    return true;
}

/* One operation of some road. */
static bool carry_any(struct lv_sim *sim)
{
    uint32_t roads = sim->shard_count * sim->shard_count;
    uint32_t first = sim->is_random ? (uint32_t)lv_random_below(&sim->random, roads) : 0;

    assert(sim->shard_count > 0);
    for (uint32_t i = 0; i < roads; i++) {
        uint32_t road = (first + i) % roads;
        if (lv_sim_carry(sim, road / sim->shard_count, road % sim->shard_count))
            return true;
    }
    return false;
}

/* Every shard, whether it has something to do or not. */
void lv_sim_turn(struct lv_sim *sim)
{
    assert(sim->shard_count > 0);
    for (uint32_t i = 0; i < sim->shard_count; i++)
        (void)lv_broker_turn(sim->shards[i].broker);
}

/* Between shards only; what a shard has for itself is done within its turn. */
static bool is_under_way(const struct lv_sim *sim)
{
    assert(sim->shard_count <= LV_SIM_SHARDS_MAX);
    for (uint32_t i = 0; i < sim->shard_count; i++)
        for (uint32_t to = 0; to < sim->shard_count; to++)
            if (sim->shards[i].roads[to].begin != sim->shards[i].roads[to].end)
                return true;
    return false;
}

/* At random when the scenario has a seed, else always in the same order, which is easier to follow.
 */
bool lv_sim_step(struct lv_sim *sim)
{
    bool more = false;

    assert(sim->shard_count > 0);
    /* A turn now and then, so that operations and turns meet in many orders. */
    if (sim->is_random && is_under_way(sim) && lv_random_below(&sim->random, 4) > 0)
        return carry_any(sim);
    if (sim->is_random && is_under_way(sim)) {
        uint32_t shard = (uint32_t)lv_random_below(&sim->random, sim->shard_count);
        (void)lv_broker_turn(sim->shards[shard].broker);
        return true;
    }
    if (carry_any(sim))
        return true;
    for (uint32_t i = 0; i < sim->shard_count; i++)
        more |= lv_broker_turn(sim->shards[i].broker);
    return more || is_under_way(sim);
}

/* Until nobody has anything to do: what is still not heard then will never be. */
void lv_sim_settle(struct lv_sim *sim)
{
    assert(sim != NULL);
    while (lv_sim_step(sim))
        ;
}

/* ---- the world ---- */

void lv_sim_init_with(struct lv_sim *sim, uint32_t shard_count, uint64_t seed,
                      lv_sim_configure_fn *configure, void *ctx)
{
    assert(shard_count <= LV_SIM_SHARDS_MAX);
    *sim = (struct lv_sim){.shard_count = shard_count, .is_random = seed != 0};
    lv_random_seed(&sim->random, seed);
    for (uint32_t i = 0; i < shard_count; i++) {
        struct lv_sim_shard *shard = &sim->shards[i];
        shard->sim = sim;
        shard->store = lv_store_new();
        assert_non_null(shard->store);
        struct lv_broker_config config = {
            .shard = i,
            .shard_count = shard_count,
            .store = shard->store,
            .properties = &lv_words_properties,
            .hash_key = {.k0 = 1, .k1 = 2},
            .seed = 1000 * (seed + 1) + i,
            .send = send_op,
            .send_ctx = shard,
        };
        configure(ctx, &config);
        shard->log = config.log;
        shard->broker = lv_broker_new(&config);
        assert_non_null(shard->broker);
        assert_int_equal(lv_guest_begin(shard->broker), 0);
    }
}

static void configure_nothing(void *ctx, struct lv_broker_config *config)
{
    assert_null(ctx);
    assert_null(config->log);
}

static void configure_log(void *ctx, struct lv_broker_config *config)
{
    const uint64_t *seed = ctx;

    config->log = lv_log_new(config->shard, 1, *seed);
    assert_non_null(config->log);
}

void lv_sim_init(struct lv_sim *sim, uint32_t shard_count, uint64_t seed)
{
    lv_sim_init_with(sim, shard_count, seed, configure_nothing, NULL);
}

void lv_sim_init_logged(struct lv_sim *sim, uint32_t shard_count, uint64_t seed)
{
    lv_sim_init_with(sim, shard_count, seed, configure_log, &seed);
}

/* ---- operators ---- */

static char verdict[600];

static void on_changed(void *ctx, int error, const char *why)
{
    assert_null(ctx);
    assert_string_equal(verdict, ""); /* it is told once */
    if (error == 0)
        snprintf(verdict, sizeof verdict, "ok");
    else
        snprintf(verdict, sizeof verdict, "%d %s", lv_error_code(error), why);
}

const char *lv_sim_change(struct lv_sim *sim, uint32_t shard, const struct lv_change *change)
{
    verdict[0] = '\0';
    lv_broker_change(sim->shards[shard % sim->shard_count].broker, change, on_changed, NULL);
    lv_sim_settle(sim);
    if (sim->shards[0].log != NULL) {
        lv_sim_sync(sim);
        lv_sim_settle(sim);
    }
    assert_true(verdict[0] != '\0');
    return verdict;
}

const char *lv_sim_put_vhost(struct lv_sim *sim, const char *vhost)
{
    return lv_sim_change(sim, 1,
                         &(struct lv_change){.kind = LV_CHANGE_VHOST_PUT, .vhost = lv_text(vhost)});
}

const char *lv_sim_put_user(struct lv_sim *sim, const char *user)
{
    return lv_sim_change(sim, 2,
                         &(struct lv_change){.kind = LV_CHANGE_USER_PUT,
                                             .name = lv_text(user),
                                             .other = lv_text("hash"),
                                             .key = lv_text("administrator")});
}

static const char *put_patterns(struct lv_sim *sim, struct lv_change *change,
                                const char *const patterns[3])
{
    static const char *const names[] = {"configure", "write", "read"};
    struct {
        uint32_t count;
        struct lv_field fields[3];
    } table = {.count = 3};

    for (unsigned i = 0; i < 3; i++)
        table.fields[i] =
            (struct lv_field){.name = lv_text(names[i]), .value = lv_sim_string(patterns[i])};
    change->arguments = (const struct lv_table *)(const void *)&table;
    return lv_sim_change(sim, 1, change);
}

const char *lv_sim_permit(struct lv_sim *sim, const char *user, const char *vhost,
                          const char *const patterns[3])
{
    struct lv_change change = {
        .kind = LV_CHANGE_PERMISSION_PUT, .vhost = lv_text(vhost), .name = lv_text(user)};

    return put_patterns(sim, &change, patterns);
}

const char *lv_sim_permit_topic(struct lv_sim *sim, const char *user, const char *exchange,
                                const char *write, const char *read)
{
    struct lv_change change = {.kind = LV_CHANGE_TOPIC_PERMISSION_PUT,
                               .vhost = lv_text("/"),
                               .name = lv_text(user),
                               .other = lv_text(exchange)};

    return put_patterns(sim, &change, (const char *const[]){"", write, read});
}

/* Shard 0's first: the others are told of it. */
void lv_sim_sync(struct lv_sim *sim)
{
    struct lv_log_write write;

    for (uint32_t i = 0; i < sim->shard_count; i++) {
        struct lv_sim_shard *shard = &sim->shards[i];
        lv_log_seal(shard->log);
        while (lv_log_next_write(shard->log, &write))
            lv_log_synced(shard->log, write.lsn + write.size);
        lv_broker_synced(shard->broker, lv_log_synced_lsn(sim->shards[0].log));
    }
}

void lv_sim_fini(struct lv_sim *sim)
{
    for (uint32_t i = 0; i < sim->shard_count; i++) {
        struct lv_sim_shard *shard = &sim->shards[i];
        for (uint32_t to = 0; to < sim->shard_count; to++) {
            struct lv_sim_road *road = &shard->roads[to];
            for (size_t at = road->begin; at < road->end; at++)
                lv_op_free(road->ops[at]);
            free(road->ops);
        }
        lv_broker_free(shard->broker);
        struct lv_store_stats stats;
        lv_store_stats(shard->store, &stats);
        assert_int_equal(stats.live_count, 0); /* nobody forgot to let go of a message */
        lv_store_free(shard->store);
        lv_log_free(shard->log);
    }
}

/* What runs now, for the report of a failure. */
static struct {
    uint32_t shard_count;
    uint64_t seed;
} running;

/* The same scenario in several worlds: a fault that needs a certain order shows in one of them. */
void lv_sim_each(lv_sim_scenario_fn *scenario)
{
    assert(scenario != NULL);
    for (uint32_t shard_count = 1; shard_count <= 3; shard_count += 2)
        for (uint64_t seed = 0; seed < (shard_count == 1 ? 1 : LV_SIM_SEEDS); seed++) {
            struct lv_sim sim;
            running.shard_count = shard_count;
            running.seed = seed;
            lv_sim_init(&sim, shard_count, seed);
            scenario(&sim);
            lv_sim_fini(&sim);
        }
    running.shard_count = 0;
}

int lv_sim_report(void **state)
{
    (void)state;
    if (running.shard_count > 0)
        print_message("# failed with %u shards, seed %llu\n", running.shard_count,
                      (unsigned long long)running.seed);
    running.shard_count = 0;
    return 0;
}

/* As that shard knows it; another one may not have heard of it yet. */
static struct lv_queue_entry *find(const struct lv_sim *sim, uint32_t shard, const char *queue)
{
    const struct lv_vhost *vhost =
        lv_topology_vhost(&sim->shards[shard].broker->topology, lv_text("/"));

    assert(shard < sim->shard_count);
    return lv_vhost_queue(vhost, lv_text(queue));
}

uint32_t lv_sim_home(const struct lv_sim *sim, const char *queue)
{
    uint32_t home = UINT32_MAX;

    for (uint32_t i = 0; i < sim->shard_count; i++) {
        const struct lv_queue_entry *entry = find(sim, i, queue);
        assert_non_null(entry);
        assert_true(home == UINT32_MAX || home == entry->home);
        home = entry->home;
    }
    return home;
}

/* On every shard. */
bool lv_sim_is_gone(const struct lv_sim *sim, const char *queue)
{
    assert(queue != NULL);
    for (uint32_t i = 0; i < sim->shard_count; i++)
        if (find(sim, i, queue) != NULL)
            return false;
    return true;
}

/* Messages that any store still holds: 0 at the end, or something was leaked. */
uint64_t lv_sim_live_count(const struct lv_sim *sim)
{
    uint64_t count = 0;

    assert(sim->shard_count > 0);
    for (uint32_t i = 0; i < sim->shard_count; i++) {
        struct lv_store_stats stats;
        lv_store_stats(sim->shards[i].store, &stats);
        count += stats.live_count;
    }
    return count;
}

/* ---- what clients hear ---- */

static void LV_PRINTF(2, 3) hear(struct lv_sim_channel *channel, const char *fmt, ...)
{
    struct lv_sim_client *client = channel->client;
    size_t room = 1024;
    va_list args;

    if (client->trace_capacity - client->trace_size < room) {
        client->trace_capacity = 2 * client->trace_capacity + room;
        char *grown = realloc(client->trace, client->trace_capacity);
        if (grown == NULL)
            abort();
        client->trace = grown;
    }
    char *p = client->trace + client->trace_size;
    if (client->trace_size > 0)
        *p++ = '\n';
    if (channel->number > 1)
        p += snprintf(p, 8, "%u: ", channel->number);
    va_start(args, fmt);
    int size = vsnprintf(p, room - 16, fmt, args);
    va_end(args);
    assert(size >= 0);
    client->trace_size = (size_t)(p - client->trace) + strlen(p);
}

/* As they are heard. */
static const char *const command_words[LV_COMMAND_COUNT] = {
    [LV_COMMAND_EXCHANGE_DECLARE] = "exchange-declare",
    [LV_COMMAND_EXCHANGE_DELETE] = "exchange-delete",
    [LV_COMMAND_QUEUE_DECLARE] = "declare",
    [LV_COMMAND_QUEUE_DELETE] = "delete",
    [LV_COMMAND_QUEUE_PURGE] = "purge",
    [LV_COMMAND_BIND] = "bind",
    [LV_COMMAND_UNBIND] = "unbind",
    [LV_COMMAND_CONSUME] = "consume",
    [LV_COMMAND_CANCEL] = "cancel",
    [LV_COMMAND_GET] = "get",
    [LV_COMMAND_TX_COMMIT] = "commit",
    [LV_COMMAND_PROBE] = "probe",
};

/* The body, and headers when there are any. */
static const char *shown(const struct lv_message *message)
{
    static char text[900];
    bool has_words = message->properties.size > 0 && message->properties.data[0] != 0;

    assert(message->body.size == 0 || message->body.data != NULL);
    (void)snprintf(text, sizeof text, has_words ? "%.*s {%.*s}" : "%.*s", LV_FMT(message->body),
                   LV_FMT(message->properties));
    return text;
}

/* With the tag that an acknowledgement would name. */
static void hear_got(struct lv_sim_channel *channel, const struct lv_reply *reply)
{
    const struct lv_delivery *delivery = reply->delivery;

    assert(channel->client != NULL);
    if (delivery == NULL)
        hear(channel, "get-empty");
    else
        hear(channel, "get-ok #%llu %s%s, %llu left", (unsigned long long)delivery->tag,
             shown(&delivery->message), delivery->redelivered ? " again" : "",
             (unsigned long long)reply->message_count);
}

/* Every answer is one line, with just what tests ask about. */
static void on_reply(void *channel_ctx, const struct lv_reply *reply)
{
    struct lv_sim_channel *channel = channel_ctx;
    struct lv_sim_client *client = channel->client;
    const char *word = command_words[reply->command];

    assert_true(client->awaited > 0); /* exactly one answer for each command */
    client->awaited--;
    if (reply->error < 0)
        hear(channel, "%s: %d %s", word, lv_error_code(reply->error), reply->text);
    else if (reply->command == LV_COMMAND_QUEUE_DECLARE)
        hear(channel, "declare-ok %.*s %llu %llu", LV_FMT(reply->name),
             (unsigned long long)reply->message_count, (unsigned long long)reply->consumer_count);
    else if (reply->command == LV_COMMAND_QUEUE_DELETE || reply->command == LV_COMMAND_QUEUE_PURGE)
        hear(channel, "%s-ok %llu", word, (unsigned long long)reply->message_count);
    else if (reply->command == LV_COMMAND_CONSUME || reply->command == LV_COMMAND_CANCEL)
        hear(channel, "%s-ok %.*s", word, LV_FMT(reply->name));
    else if (reply->command == LV_COMMAND_GET)
        hear_got(channel, reply);
    else
        hear(channel, "%s-ok", word);
    if (client->close_after > 0 && --client->close_after == 0)
        lv_sim_client_close(client);
}

/* Also stops or closes where the scenario says so, from within the delivery as a session would. */
static void on_deliver(void *channel_ctx, const struct lv_delivery *delivery)
{
    struct lv_sim_channel *channel = channel_ctx;
    struct lv_sim_client *client = channel->client;

    assert_non_null(channel->core);
    client->delivered++;
    hear(channel, "%.*s #%llu %s%s", LV_FMT(delivery->consumer_tag),
         (unsigned long long)delivery->tag, shown(&delivery->message),
         delivery->redelivered ? " again" : "");
    if (client->stop_after > 0 && --client->stop_after == 0)
        lv_client_set_writable(client->core, false);
}

/* The number, or ..number for all up to it. */
static void on_confirm(void *channel_ctx, uint64_t tag, bool multiple)
{
    assert(channel_ctx != NULL);
    hear(channel_ctx, "confirm %s%llu", multiple ? ".." : "", (unsigned long long)tag);
}

static void on_refused(void *channel_ctx, uint64_t tag, bool multiple)
{
    assert(channel_ctx != NULL);
    hear(channel_ctx, "refused %s%llu", multiple ? ".." : "", (unsigned long long)tag);
}

/* With its body, so that a test sees which one it was. */
static void on_returned(void *channel_ctx, const struct lv_message *message)
{
    assert(channel_ctx != NULL);
    hear(channel_ctx, "returned %s", shown(message));
}

/* When the queue has gone. */
static void on_cancelled(void *channel_ctx, struct lv_bytes consumer_tag, void *consumer_ctx)
{
    assert_ptr_equal(consumer_ctx, channel_ctx);
    hear(channel_ctx, "cancelled %.*s", LV_FMT(consumer_tag));
}

/* Tests answer it when they want to. */
static void on_probe(void *client_ctx, bool is_same)
{
    struct lv_sim_client *client = client_ctx;

    assert(client_ctx != NULL);
    hear(&client->channels[0], is_same ? "probed by himself" : "probed by another");
    client->awaits_probe = true;
}

static void on_warned(void *client_ctx, const char *name, const char *why)
{
    struct lv_sim_client *client = client_ctx;

    assert(client_ctx != NULL);
    hear(&client->channels[0], "warned %s %s", name, why);
}

/* The test closes it when it likes. */
static void on_forced(void *client_ctx, const char *why)
{
    struct lv_sim_client *client = client_ctx;

    assert(client_ctx != NULL);
    hear(&client->channels[0], "forced %s", why);
}

/* The core has let go of it. */
static void on_channel_closed(void *channel_ctx)
{
    struct lv_sim_channel *channel = channel_ctx;

    assert(channel_ctx != NULL);
    channel->core = NULL;
    hear(channel, "channel-closed");
}

/* The last that is ever heard. */
static void on_client_closed(void *client_ctx)
{
    struct lv_sim_client *client = client_ctx;

    assert(client_ctx != NULL);
    client->core = NULL;
    hear(&client->channels[0], "client-closed");
}

/* What a session would do, done with a pencil. */
static const struct lv_client_ops recording = {
    .reply = on_reply,
    .deliver = on_deliver,
    .confirm = on_confirm,
    .refused = on_refused,
    .returned = on_returned,
    .cancelled = on_cancelled,
    .channel_closed = on_channel_closed,
    .probe = on_probe,
    .warned = on_warned,
    .forced = on_forced,
    .client_closed = on_client_closed,
};

/* Forgets it: the next call tells what is new. */
const char *lv_sim_heard_now(struct lv_sim_client *client)
{
    assert(client->sim != NULL);
    if (client->trace == NULL)
        return "";
    client->trace[client->trace_size] = '\0';
    client->trace_size = 0;
    return client->trace;
}

/* What most tests want. */
const char *lv_sim_heard(struct lv_sim_client *client)
{
    assert(client->sim != NULL);
    lv_sim_settle(client->sim);
    return lv_sim_heard_now(client);
}

/* ---- clients and channels ---- */

void lv_sim_client_open_as(struct lv_sim_client *client, struct lv_sim *sim, uint32_t shard,
                           const struct lv_sim_identity *identity)
{
    struct lv_client_config config = {
        .ops = &recording,
        .ctx = client,
        .vhost = lv_text(identity->vhost == NULL ? "/" : identity->vhost),
        .user = lv_text(identity->user),
        .origin = identity->origin,
        .alias = identity->alias,
    };

    *client = (struct lv_sim_client){.sim = sim, .shard = shard % sim->shard_count};
    for (uint32_t i = 0; i < sim->shard_count; i++)
        if (identity->vhost == NULL &&
            lv_access_user(&sim->shards[i].broker->access, config.user) == NULL)
            assert_int_equal(lv_guest_add(sim->shards[i].broker, identity->user), 0);
    assert_int_equal(
        lv_client_open(sim->shards[client->shard].broker, &config, NULL, &client->core), 0);
    for (uint32_t i = 0; i < LV_SIM_CHANNELS_MAX; i++) {
        client->channels[i].client = client;
        client->channels[i].number = i + 1;
    }
    lv_sim_channel_open(client, 1);
}

/* As user "guest" of nowhere in particular. */
void lv_sim_client_open(struct lv_sim_client *client, struct lv_sim *sim, uint32_t shard)
{
    assert(sim->shard_count > 0);
    lv_sim_client_open_as(client, sim, shard, &(struct lv_sim_identity){.user = "guest"});
}

/* Settling is the test's, as what happens before that may be what it is about. */
void lv_sim_client_close(struct lv_sim_client *client)
{
    assert(client->sim != NULL);
    client->awaited = 0;
    lv_client_close(client->core);
}

void lv_sim_client_fini(struct lv_sim_client *client)
{
    if (client->core != NULL) {
        lv_sim_client_close(client);
        lv_sim_settle(client->sim);
    }
    assert_null(client->core);
    free(client->trace);
    client->trace = NULL;
}

struct lv_sim_channel *lv_sim_channel(struct lv_sim_client *client, uint32_t number)
{
    assert(number >= 1);
    assert(number <= LV_SIM_CHANNELS_MAX);
    return &client->channels[number - 1];
}

struct lv_sim_channel *lv_sim_channel_open(struct lv_sim_client *client, uint32_t number)
{
    struct lv_sim_channel *channel = lv_sim_channel(client, number);

    assert_null(channel->core);
    assert_int_equal(lv_channel_open(client->core, channel, NULL, &channel->core), 0);
    return channel;
}

/* The session may go on hearing of other channels. */
void lv_sim_channel_close(struct lv_sim_client *client, uint32_t number)
{
    assert(number > 0);
    lv_channel_close(lv_sim_channel(client, number)->core);
}

/* ---- commands ---- */

/* Letters instead of booleans keep a test's command on one line. */
static bool has(const char *letters, char letter)
{
    assert(letters != NULL);
    return strchr(letters, letter) != NULL;
}

/* The channel a command is given on; nothing else may be awaited. */
static struct lv_channel *ask(struct lv_sim_client *client)
{
    while (client->awaited > 0 && lv_sim_step(client->sim))
        ; /* no further than the answer: what else is under way stays so */
    assert_int_equal(client->awaited, 0);
    client->awaited = 1;
    return client->channels[0].core;
}

/* What each letter means stands in the header. */
void lv_sim_declare_args(struct lv_sim_client *client, const char *queue, const char *letters,
                         const struct lv_table *arguments)
{
    struct lv_queue_declare declare = {
        .name = lv_text(queue),
        .passive = has(letters, 'p'),
        .durable = has(letters, 'd'),
        .exclusive = has(letters, 'x'),
        .auto_delete = has(letters, 'a'),
        .arguments = arguments,
    };

    assert(queue != NULL);
    lv_queue_declare(ask(client), &declare);
}

/* The usual one. */
void lv_sim_declare(struct lv_sim_client *client, const char *queue, const char *letters)
{
    assert(queue != NULL);
    lv_sim_declare_args(client, queue, letters, NULL);
}

/* On channel 1, like everything here that names no channel. */
void lv_sim_delete(struct lv_sim_client *client, const char *queue, const char *letters)
{
    assert(queue != NULL);
    lv_queue_delete(ask(client), lv_text(queue), has(letters, 'u'), has(letters, 'e'));
}

/* Heard as an answer with a count. */
void lv_sim_purge(struct lv_sim_client *client, const char *queue)
{
    assert(queue != NULL);
    lv_queue_purge(ask(client), lv_text(queue));
}

/* Any type, also one that is not known. */
void lv_sim_exchange_args(struct lv_sim_client *client, const char *name, const char *type,
                          const char *letters, const struct lv_table *arguments)
{
    struct lv_exchange_declare declare = {
        .name = lv_text(name),
        .type = lv_text(type),
        .passive = has(letters, 'p'),
        .durable = has(letters, 'd'),
        .auto_delete = has(letters, 'a'),
        .internal = has(letters, 'i'),
        .arguments = arguments,
    };

    assert(type != NULL);
    lv_exchange_declare(ask(client), &declare);
}

/* The usual one. */
void lv_sim_exchange(struct lv_sim_client *client, const char *name, const char *type,
                     const char *letters)
{
    assert(name != NULL);
    lv_sim_exchange_args(client, name, type, letters, NULL);
}

/* Predeclared ones refuse. */
void lv_sim_exchange_delete(struct lv_sim_client *client, const char *name, const char *letters)
{
    assert(name != NULL);
    lv_exchange_delete(ask(client), lv_text(name), has(letters, 'u'));
}

/* Views of the test's own words, which outlive the command. */
static struct lv_bind bind_of(const char *queue, const char *exchange, const char *key,
                              const struct lv_table *arguments)
{
    assert(queue != NULL);
    assert(exchange != NULL);
    return (struct lv_bind){.queue = lv_text(queue),
                            .exchange = lv_text(exchange),
                            .key = lv_text(key),
                            .arguments = arguments};
}

/* The same for two exchanges. */
static struct lv_exchange_bind link_of(const char *source, const char *destination, const char *key,
                                       const struct lv_table *arguments)
{
    assert(source != NULL);
    assert(destination != NULL);
    return (struct lv_exchange_bind){.destination = lv_text(destination),
                                     .source = lv_text(source),
                                     .key = lv_text(key),
                                     .arguments = arguments};
}

/* The broker copies what it keeps, so the strings may be the caller's. */
void lv_sim_bind_args(struct lv_sim_client *client, const char *queue, const char *exchange,
                      const char *key, const struct lv_table *arguments)
{
    struct lv_bind bind = bind_of(queue, exchange, key, arguments);

    lv_queue_bind(ask(client), &bind);
}

/* The usual one. */
void lv_sim_bind(struct lv_sim_client *client, const char *queue, const char *exchange,
                 const char *key)
{
    assert(exchange != NULL);
    lv_sim_bind_args(client, queue, exchange, key, NULL);
}

/* With another table it is another binding. */
void lv_sim_unbind_args(struct lv_sim_client *client, const char *queue, const char *exchange,
                        const char *key, const struct lv_table *arguments)
{
    struct lv_bind bind = bind_of(queue, exchange, key, arguments);

    lv_queue_unbind(ask(client), &bind);
}

/* The usual one. */
void lv_sim_unbind(struct lv_sim_client *client, const char *queue, const char *exchange,
                   const char *key)
{
    assert(exchange != NULL);
    lv_sim_unbind_args(client, queue, exchange, key, NULL);
}

void lv_sim_link(struct lv_sim_client *client, const char *source, const char *destination,
                 const char *key, const struct lv_table *arguments)
{
    struct lv_exchange_bind bind = link_of(source, destination, key, arguments);

    lv_exchange_bind_exchange(ask(client), &bind);
}

/* The mirror image of linking. */
void lv_sim_unlink(struct lv_sim_client *client, const char *source, const char *destination,
                   const char *key, const struct lv_table *arguments)
{
    struct lv_exchange_bind bind = link_of(source, destination, key, arguments);

    lv_exchange_unbind_exchange(ask(client), &bind);
}

/* The consumer's context is its channel, so that deliveries are heard where they belong. */
void lv_sim_consume_on(struct lv_sim_channel *channel, const char *queue, const char *tag,
                       const char *letters)
{
    struct lv_consume consume = {
        .queue = lv_text(queue),
        .tag = lv_text(tag),
        .no_ack = has(letters, 'n'),
        .exclusive = has(letters, 'x'),
        .consumer_ctx = channel,
    };

    assert(channel->core != NULL);
    (void)ask(channel->client);
    lv_channel_consume(channel->core, &consume);
}

/* On channel 1. */
void lv_sim_consume(struct lv_sim_client *client, const char *queue, const char *tag,
                    const char *letters)
{
    assert(tag != NULL);
    lv_sim_consume_on(&client->channels[0], queue, tag, letters);
}

/* The tag need not be known. */
void lv_sim_cancel(struct lv_sim_client *client, const char *tag)
{
    assert(tag != NULL);
    lv_channel_cancel(ask(client), lv_text(tag));
}

/* One message at most. */
void lv_sim_get(struct lv_sim_client *client, const char *queue, const char *letters)
{
    assert(queue != NULL);
    lv_channel_get(ask(client), lv_text(queue), has(letters, 'n'));
}

int lv_sim_try_publish(struct lv_sim_client *client, const char *exchange, const char *key,
                       const char *body, bool mandatory, struct lv_diag *diag)
{
    static const uint8_t no_properties[2] = {0, 0};
    struct lv_message message = {
        .exchange = lv_text(exchange),
        .key = lv_text(key),
        .properties = lv_bytes(no_properties, sizeof no_properties),
        .body = lv_text(body),
    };

    assert(client->channels[0].core != NULL);
    return lv_channel_publish(client->channels[0].core, &message, mandatory, diag);
}

int lv_sim_try_publish_words(struct lv_sim_client *client, const char *exchange, const char *key,
                             const char *words, const char *body, struct lv_diag *diag)
{
    struct lv_message message = {
        .exchange = lv_text(exchange),
        .key = lv_text(key),
        .properties = lv_text(words),
        .body = lv_text(body),
        .flags = lv_words_have_extra_keys(lv_text(words)) ? LV_MESSAGE_EXTRA_KEYS : 0,
    };

    assert(client->channels[0].core != NULL);
    return lv_channel_publish(client->channels[0].core, &message, true, diag);
}

void lv_sim_publish(struct lv_sim_client *client, const char *exchange, const char *key,
                    const char *body)
{
    assert_int_equal(lv_sim_try_publish(client, exchange, key, body, false, NULL), 0);
}

void lv_sim_settle_tag(struct lv_sim_client *client, uint64_t tag, const char *letters)
{
    enum lv_settle how = has(letters, 'a')   ? LV_SETTLE_ACK
                         : has(letters, 'r') ? LV_SETTLE_REJECT
                                             : LV_SETTLE_REQUEUE;

    assert_int_equal(lv_channel_settle(client->channels[0].core, tag, has(letters, '+'), how, NULL),
                     0);
}

const struct lv_table *lv_sim_table(struct lv_sim_table *memory, const char *name,
                                    struct lv_value value)
{
    static_assert(offsetof(struct lv_sim_table, field) == offsetof(struct lv_table, fields),
                  "a table with one field");
    memory->count = 1;
    memory->field = (struct lv_field){.name = lv_text(name), .value = value};
    return (const struct lv_table *)(const void *)memory;
}
