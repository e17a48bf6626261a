/*
 * routing_model_test [SEED [COUNT]] - exchanges, bindings and keys beside a model.
 *
 * Exchanges of all types come and go, are bound to queues and to each other in circles, have
 * alternates and delete themselves; messages have keys, CC, BCC and headers. The model is a list of
 * bindings that is searched from the front for every message. With one shard and with three, where
 * changes and messages travel in an order drawn from the seed.
 */
#include "base/alloc.h"
#include "broker/harness.h"
#include "broker/naive.h"
#include "broker/words.h"

#include <stdio.h>

enum { EXCHANGES = 8, QUEUES = 8, BINDINGS_MAX = 400, STEPS = 400, KEYS_MAX = 6 };

static const char *const types[] = {"direct", "fanout", "topic", "headers"};
static const char *const patterns[] = {"a",   "b",   "a.b",   "*", "#",   "a.*",  "*.b",
                                       "#.b", "a.#", "#.a.#", "",  "*.*", "a..b", "*.#.b"};
static const char *const keys[] = {"a", "b", "a.b", "", "a..b", "b.a.b", "q0", "q3"};
static const char *const arguments[] = {
    "",          "x-match=all k=1",         "x-match=any k=1 l=x",
    "k=~",       "x-match=all k=1h l=~",    "x-match=any",
    "l=x x-n=5", "x-match=all-with-x x-n=5"};
static const char *const headers[] = {"", "k=1", "k=2 l=x", "x-n=5 k=1h", "l=y", "l=x"};

/* A node of the graph: exchanges first, then queues. */
struct node {
    bool exists, auto_delete, internal;
    int type;
    char alternate[8]; /* '-': none */
};

struct binding {
    int source, target;
    const char *key, *arguments;
};

struct model {
    struct lv_random random;
    struct node nodes[EXCHANGES + QUEUES];
    struct binding bindings[BINDINGS_MAX];
    uint32_t binding_count;
    struct lv_sim sim;
    struct lv_sim_client clients[2]; /* who changes things, who has all the consumers */
    struct lv_arena arena;
};

static uint64_t running_seed;
static uint32_t running_shards;

#define RULE(condition, rule)                                                                      \
    do {                                                                                           \
        if (!(condition))                                                                          \
            broken(rule);                                                                          \
    } while (0)

_Noreturn static void broken(const char *rule)
{
    printf("broken: %s (seed %llu, %u shards)\n", rule, (unsigned long long)running_seed,
           running_shards);
    exit(1);
}

static uint32_t below(struct model *model, uint32_t bound)
{
    return (uint32_t)lv_random_below(&model->random, bound);
}

#define PICK(model, array) (array)[below((model), LV_COUNT(array))]

static bool is_queue(int node)
{
    return node >= EXCHANGES;
}

/* "x3" or "q3". */
static const char *name_of(int node)
{
    static char names[EXCHANGES + QUEUES][16];

    (void)snprintf(names[node], sizeof names[node], "%c%d", is_queue(node) ? 'q' : 'x',
                   is_queue(node) ? node - EXCHANGES : node);
    return names[node];
}

/* A table that lives until the next message or change. */
static const struct lv_table *table(struct model *model, const char *words)
{
    return lv_words_table(&model->arena, lv_text(words));
}

/* Nothing went wrong, or what was expected. */
static void expect(struct model *model, int code)
{
    const char *heard = lv_sim_heard(&model->clients[0]);
    char wanted[16];

    (void)snprintf(wanted, sizeof wanted, ": %d ", code);
    RULE(code == 0 ? strchr(heard, ':') == NULL : strstr(heard, wanted) != NULL,
         "commands end as the model says");
    (void)lv_sim_heard(&model->clients[1]);
}

/* ---- changes ---- */

static bool has_bindings(const struct model *model, int source)
{
    for (uint32_t i = 0; i < model->binding_count; i++)
        if (model->bindings[i].source == source)
            return true;
    return false;
}

static void remove_node(struct model *model, int node);

static void remove_binding(struct model *model, uint32_t index)
{
    int source = model->bindings[index].source;

    model->bindings[index] = model->bindings[--model->binding_count];
    if (model->nodes[source].exists && model->nodes[source].auto_delete &&
        !has_bindings(model, source))
        remove_node(model, source);
}

static void remove_node(struct model *model, int node)
{
    uint32_t i = 0;

    model->nodes[node].exists = false;
    while (i < model->binding_count) {
        const struct binding *binding = &model->bindings[i];
        if (binding->source != node && binding->target != node) {
            i++;
            continue;
        }
        remove_binding(model, i);
        i = 0; /* more may have gone */
    }
}

static void declare(struct model *model, int node)
{
    struct node *made = &model->nodes[node];

    if (made->exists)
        return;
    *made = (struct node){.exists = true, .type = (int)below(model, 4), .alternate = "-"};
    if (is_queue(node)) {
        lv_sim_declare(&model->clients[0], name_of(node), "");
        expect(model, 0);
        lv_sim_consume(&model->clients[1], name_of(node), name_of(node), "n");
        expect(model, 0);
        return;
    }
    made->auto_delete = below(model, 3) == 0;
    made->internal = below(model, 6) == 0;
    if (below(model, 3) == 0) /* which need not be there; the default exchange has no bindings */
        (void)snprintf(made->alternate, sizeof made->alternate, "%s",
                       below(model, 5) == 0 ? "" : name_of((int)below(model, EXCHANGES)));
    char words[64] = "";
    if (made->alternate[0] != '-')
        (void)snprintf(words, sizeof words, "alternate-exchange=%s", made->alternate);
    lv_sim_exchange_args(&model->clients[0], name_of(node), types[made->type],
                         made->auto_delete ? (made->internal ? "ai" : "a")
                                           : (made->internal ? "i" : ""),
                         table(model, words));
    expect(model, 0);
}

static void delete_node(struct model *model, int node)
{
    bool if_unused = below(model, 2) == 0;

    if (is_queue(node)) {
        lv_sim_delete(&model->clients[0], name_of(node), "");
        expect(model, 0);
    } else {
        bool in_use = if_unused && model->nodes[node].exists && has_bindings(model, node);
        lv_sim_exchange_delete(&model->clients[0], name_of(node), if_unused ? "u" : "");
        expect(model, in_use ? 406 : 0);
        if (in_use)
            return;
    }
    if (model->nodes[node].exists)
        remove_node(model, node);
}

static int find_binding(const struct model *model, const struct binding *wanted)
{
    for (uint32_t i = 0; i < model->binding_count; i++) {
        const struct binding *binding = &model->bindings[i];
        if (binding->source == wanted->source && binding->target == wanted->target &&
            binding->key == wanted->key && binding->arguments == wanted->arguments)
            return (int)i;
    }
    return -1;
}

static struct binding random_binding(struct model *model)
{
    if (model->binding_count > 0 && below(model, 3) > 0)
        return model->bindings[below(model, model->binding_count)];
    return (struct binding){
        .source = (int)below(model, EXCHANGES),
        .target = (int)below(model, EXCHANGES + QUEUES),
        .key = PICK(model, patterns),
        .arguments = PICK(model, arguments),
    };
}

static void bind(struct model *model)
{
    struct lv_sim_client *client = &model->clients[0];
    struct binding binding = {
        .source = (int)below(model, EXCHANGES),
        .target = (int)below(model, EXCHANGES + QUEUES),
        .key = PICK(model, patterns),
        .arguments = PICK(model, arguments),
    };
    bool both = model->nodes[binding.source].exists && model->nodes[binding.target].exists;
    const char *source = name_of(binding.source), *target = name_of(binding.target);

    if (is_queue(binding.target))
        lv_sim_bind_args(client, target, source, binding.key, table(model, binding.arguments));
    else
        lv_sim_link(client, source, target, binding.key, table(model, binding.arguments));
    expect(model, both ? 0 : 404);
    if (both && find_binding(model, &binding) < 0) {
        RULE(model->binding_count < BINDINGS_MAX, "the model has room");
        model->bindings[model->binding_count++] = binding;
    }
}

static void unbind(struct model *model)
{
    struct lv_sim_client *client = &model->clients[0];
    struct binding binding = random_binding(model);
    const char *source = name_of(binding.source), *target = name_of(binding.target);
    int index = find_binding(model, &binding);

    if (is_queue(binding.target))
        lv_sim_unbind_args(client, target, source, binding.key, table(model, binding.arguments));
    else
        lv_sim_unlink(client, source, target, binding.key, table(model, binding.arguments));
    expect(model, 0); /* also where an end is missing */
    if (index >= 0)
        remove_binding(model, (uint32_t)index);
}

/* ---- messages ---- */

struct message {
    const char *keys[KEYS_MAX];
    uint32_t key_count;
    const struct lv_table *headers;
};

static bool matches(const struct model *model, const struct binding *binding,
                    const struct message *message, const struct lv_table *wanted)
{
    int type = model->nodes[binding->source].type;

    if (type == 1)
        return true;
    if (type == 3)
        return lv_naive_headers_match(wanted, message->headers);
    for (uint32_t i = 0; i < message->key_count; i++)
        if (type == 0 ? strcmp(binding->key, message->keys[i]) == 0
                      : lv_naive_topic_matches(binding->key, message->keys[i]))
            return true;
    return false;
}

/* The queues the message gets to: every exchange once, whoever was found first goes first. */
static uint32_t route(struct model *model, int first, const struct message *message)
{
    int list[EXCHANGES];
    uint32_t count = 1, seen = 1u << first, queues = 0;

    list[0] = first;
    for (uint32_t at = 0; at < count; at++) {
        const struct node *exchange = &model->nodes[list[at]];
        uint32_t targets = 0; /* bits of nodes */
        for (uint32_t i = 0; i < model->binding_count; i++) {
            const struct binding *binding = &model->bindings[i];
            if (binding->source == list[at] &&
                matches(model, binding, message, table(model, binding->arguments)))
                targets |= 1u << binding->target;
        }
        if (targets == 0 && exchange->alternate[0] == 'x' &&
            model->nodes[exchange->alternate[1] - '0'].exists)
            targets = 1u << (exchange->alternate[1] - '0');
        queues |= targets >> EXCHANGES;
        for (int node = 0; node < EXCHANGES; node++)
            if ((targets & ~seen & 1u << node) != 0) {
                seen |= 1u << node;
                list[count++] = node;
            }
    }
    return queues;
}

/* Up to two more keys in a header: their words, or nothing. */
static const char *more_keys(struct model *model, struct message *message, const char *name,
                             char text[64])
{
    uint32_t count = below(model, 4) == 0 ? 1 + below(model, 2) : 0;
    const char *one = PICK(model, keys), *two = PICK(model, keys);

    text[0] = '\0';
    if (count == 0 || one[0] == '\0' || two[0] == '\0')
        return text;
    message->keys[message->key_count++] = one;
    if (count == 2)
        message->keys[message->key_count++] = two;
    (void)snprintf(text, 64, "%s=[%s%s%s]", name, one, count == 2 ? ";" : "",
                   count == 2 ? two : "");
    return text;
}

/* Which queues' consumers have heard of it, each at most once: bits. */
static uint32_t heard_by(struct model *model)
{
    uint32_t queues = 0;

    for (const char *line = lv_sim_heard(&model->clients[1]); line != NULL && *line != '\0';) {
        uint32_t bit = 1u << (line[1] - '0');
        RULE(line[0] == 'q', "consumers hear of messages only");
        RULE((queues & bit) == 0, "a queue gets one copy");
        RULE(strstr(line, "BCC") == NULL, "nobody sees BCC");
        queues |= bit;
        line = strchr(line, '\n');
        line = line == NULL ? NULL : line + 1;
    }
    return queues;
}

static void publish(struct model *model)
{
    int exchange = (int)below(model, EXCHANGES);
    const struct node *node = &model->nodes[exchange];
    struct message message = {.keys = {PICK(model, keys)}, .key_count = 1};
    char words[256], cc[64], bcc[64];
    const char *plain = PICK(model, headers);
    uint32_t expected = 0;

    more_keys(model, &message, "CC", cc);
    more_keys(model, &message, "BCC", bcc);
    (void)snprintf(words, sizeof words, "%s%s%s%s%s", plain, plain[0] != '\0' ? " " : "", cc,
                   cc[0] != '\0' ? " " : "", bcc);
    while (words[0] != '\0' && words[strlen(words) - 1] == ' ')
        words[strlen(words) - 1] = '\0';
    message.headers = table(model, words);
    int rc = lv_sim_try_publish_words(&model->clients[0], name_of(exchange), message.keys[0], words,
                                      "m", NULL);
    if (!node->exists)
        RULE(rc == -LV_E_NOT_FOUND, "an exchange that is not there is not found");
    else if (node->internal)
        RULE(rc == -LV_E_ACCESS_REFUSED, "an internal exchange is closed to clients");
    else
        RULE(rc == 0, "a publish succeeds");
    if (rc == 0)
        expected = route(model, exchange, &message);
    bool returned = strncmp(lv_sim_heard(&model->clients[0]), "returned", 8) == 0;
    RULE(returned == (rc == 0 && expected == 0), "what no queue takes is returned");
    RULE(heard_by(model) == expected, "a message gets where the model says");
}

/* ---- the whole ---- */

static void step(struct model *model)
{
    uint32_t what = below(model, 32);

    lv_arena_reset(&model->arena);
    if (what < 5)
        declare(model, (int)below(model, EXCHANGES + QUEUES));
    else if (what == 5)
        delete_node(model, (int)below(model, EXCHANGES + QUEUES));
    else if (what < 14)
        bind(model);
    else if (what < 17)
        unbind(model);
    else
        publish(model);
}

static void run(uint64_t seed, uint32_t shard_count)
{
    struct model *model = lv_calloc(1, sizeof *model);

    running_seed = seed;
    running_shards = shard_count;
    lv_random_seed(&model->random, seed);
    lv_arena_init(&model->arena, 4 << 20);
    lv_sim_init(&model->sim, shard_count, seed);
    for (uint32_t i = 0; i < 2; i++)
        lv_sim_client_open(&model->clients[i], &model->sim, below(model, 3));
    for (uint32_t i = 0; i < STEPS; i++)
        step(model);
    for (int node = 0; node < EXCHANGES + QUEUES; node++) {
        lv_arena_reset(&model->arena);
        delete_node(model, node);
    }
    for (uint32_t i = 0; i < 2; i++)
        lv_sim_client_fini(&model->clients[i]);
    lv_sim_fini(&model->sim);
    lv_arena_fini(&model->arena);
    lv_free(model);
}

int main(int argc, char **argv)
{
    const char *size = getenv("LEVERET_TEST_SIZE");
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    uint64_t count = size != NULL && strcmp(size, "long") == 0 ? 50000 : 500;

    if (argc > 1)
        count = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    for (uint64_t i = 0; i < count; i++, seed++)
        for (uint32_t shard_count = 1; shard_count <= 3; shard_count += 2)
            run(seed, shard_count);
    printf("%llu seeds kept to the model, with one shard and with three\n",
           (unsigned long long)count);
    return 0;
}
