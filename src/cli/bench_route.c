#include "cli/bench_route.h"

#include "base/alloc.h"
#include "cli/bench_plan.h"

#include <string.h>

#define BUCKETS 65536u

enum kind { KIND_DIRECT, KIND_FANOUT, KIND_TOPIC };

struct exchange {
    struct exchange *next; /* own */
    enum kind kind;
    char name[256];
};

struct binding {
    struct binding *next; /* own */
    char queue[256], exchange[256], key[256];
};

struct lv_relay_table {
    struct lv_relay_queue *queues[LV_RELAY_QUEUES_MAX]; /* own */
    uint32_t queue_count;
    struct exchange *exchanges;              /* own */
    struct binding *bindings;                /* own */
    struct lv_relay_route *buckets[BUCKETS]; /* own */
    uint64_t version;
};

struct lv_relay_table *lv_relay_new(void)
{
    return lv_calloc(1, sizeof(struct lv_relay_table));
}

/* Whatever was found before has to be looked up again. */
static void forget_routes(struct lv_relay_table *routes)
{
    assert(routes != NULL);
    for (size_t i = 0; i < BUCKETS; i++)
        while (routes->buckets[i] != NULL) {
            struct lv_relay_route *route = routes->buckets[i];

            routes->buckets[i] = route->next;
            lv_free(route->targets);
            lv_free(route);
        }
    routes->version++;
}

void lv_relay_free(struct lv_relay_table *routes)
{
    if (routes == NULL)
        return;
    forget_routes(routes);
    assert(routes->queue_count <= LV_RELAY_QUEUES_MAX);
    for (uint32_t i = 0; i < routes->queue_count; i++)
        lv_free(routes->queues[i]);
    while (routes->exchanges != NULL) {
        struct exchange *exchange = routes->exchanges;

        routes->exchanges = exchange->next;
        lv_free(exchange);
    }
    while (routes->bindings != NULL) {
        struct binding *binding = routes->bindings;

        routes->bindings = binding->next;
        lv_free(binding);
    }
    lv_free(routes);
}

/* Short strings are at most 255 bytes. */
static void copy_name(char name[256], struct lv_bytes bytes)
{
    assert(bytes.size < 256);
    if (bytes.size > 0)
        memcpy(name, bytes.data, bytes.size);
    name[bytes.size] = '\0';
}

/* The terminated one equals the view. */
static bool is_name(const char *name, struct lv_bytes bytes)
{
    assert(bytes.size < 256);
    return strlen(name) == bytes.size && memcmp(name, bytes.data, bytes.size) == 0;
}

struct lv_relay_queue *lv_relay_queue(struct lv_relay_table *routes, struct lv_bytes name)
{
    struct lv_relay_queue *queue;

    assert(routes->queue_count <= LV_RELAY_QUEUES_MAX);
    for (uint32_t i = 0; i < routes->queue_count; i++)
        if (is_name(routes->queues[i]->name, name))
            return routes->queues[i];
    if (routes->queue_count == LV_RELAY_QUEUES_MAX)
        return NULL;
    queue = lv_calloc(1, sizeof *queue);
    if (queue == NULL)
        return NULL;
    copy_name(queue->name, name);
    routes->queues[routes->queue_count++] = queue;
    forget_routes(routes);
    return queue;
}

int lv_relay_exchange(struct lv_relay_table *routes, struct lv_bytes name, struct lv_bytes type)
{
    struct exchange *exchange = routes->exchanges;

    assert(name.size < 256);
    while (exchange != NULL && !is_name(exchange->name, name))
        exchange = exchange->next;
    if (exchange == NULL) {
        exchange = lv_calloc(1, sizeof *exchange);
        if (exchange == NULL)
            return -LV_E_NOMEM;
        copy_name(exchange->name, name);
        exchange->next = routes->exchanges;
        routes->exchanges = exchange;
    }
    exchange->kind = is_name("fanout", type)  ? KIND_FANOUT
                     : is_name("topic", type) ? KIND_TOPIC
                                              : KIND_DIRECT;
    forget_routes(routes);
    return 0;
}

int lv_relay_bind(struct lv_relay_table *routes, struct lv_bytes queue, struct lv_bytes exchange,
                  struct lv_bytes key)
{
    struct binding *binding = lv_calloc(1, sizeof *binding);

    if (binding == NULL)
        return -LV_E_NOMEM;
    copy_name(binding->queue, queue);
    copy_name(binding->exchange, exchange);
    copy_name(binding->key, key);
    assert(routes->bindings != binding);
    binding->next = routes->bindings;
    routes->bindings = binding;
    forget_routes(routes);
    return 0;
}

void lv_relay_delete_queue(struct lv_relay_table *routes, struct lv_bytes name)
{
    struct binding **at = &routes->bindings;

    while (*at != NULL) {
        struct binding *binding = *at;

        if (is_name(binding->queue, name)) {
            *at = binding->next;
            lv_free(binding);
        } else {
            at = &binding->next;
        }
    }
    forget_routes(routes);
    for (uint32_t i = 0; i < routes->queue_count; i++)
        if (is_name(routes->queues[i]->name, name)) {
            lv_free(routes->queues[i]);
            routes->queues[i] = routes->queues[--routes->queue_count];
            break;
        }
    assert(routes->queue_count <= LV_RELAY_QUEUES_MAX);
}

void lv_relay_forget(struct lv_relay_table *routes, const void *consumer)
{
    assert(consumer != NULL);
    for (uint32_t i = 0; i < routes->queue_count; i++)
        if (routes->queues[i]->consumer == consumer)
            routes->queues[i]->consumer = NULL;
}

/* Predeclared exchanges are not known here and count as direct. */
static enum kind kind_of(const struct lv_relay_table *routes, const char *exchange)
{
    assert(exchange[0] != '\0');
    for (const struct exchange *e = routes->exchanges; e != NULL; e = e->next)
        if (strcmp(e->name, exchange) == 0)
            return e->kind;
    return KIND_DIRECT;
}

/* Does this binding match? */
static bool leads(const struct binding *binding, enum kind kind, const char *key)
{
    assert(key != NULL);
    switch (kind) {
    case KIND_FANOUT:
        return true;
    case KIND_TOPIC:
        return lv_bench_topic_matches(binding->key, key);
    default:
        return strcmp(binding->key, key) == 0;
    }
}

/* The queue goes into the route once, however many bindings lead there. */
static void add_target(struct lv_relay_route *route, struct lv_relay_queue *queue)
{
    assert(queue != NULL);
    for (uint32_t i = 0; i < route->target_count; i++)
        if (route->targets[i] == queue)
            return;
    route->targets[route->target_count++] = queue;
}

/* The queue of the name, NULL when there is none. */
static struct lv_relay_queue *find_queue(const struct lv_relay_table *routes, const char *name)
{
    assert(routes->queue_count <= LV_RELAY_QUEUES_MAX);
    for (uint32_t i = 0; i < routes->queue_count; i++)
        if (strcmp(routes->queues[i]->name, name) == 0)
            return routes->queues[i];
    return NULL;
}

/* Goes over all bindings once: with thousands of them a look per queue would take longer than what
 * is measured. */
static void add_targets(const struct lv_relay_table *routes, struct lv_relay_route *route,
                        const char *exchange, const char *key)
{
    struct lv_relay_queue *queue;
    enum kind kind;

    assert(route->target_count == 0);
    if (exchange[0] == '\0') {
        queue = find_queue(routes, key);
        if (queue != NULL)
            add_target(route, queue);
        return;
    }
    kind = kind_of(routes, exchange);
    for (const struct binding *b = routes->bindings; b != NULL; b = b->next) {
        if (strcmp(b->exchange, exchange) != 0 || !leads(b, kind, key))
            continue;
        queue = find_queue(routes, b->queue);
        if (queue != NULL)
            add_target(route, queue);
    }
}

/* FNV-1a: short keys of our own. */
static uint32_t hash_of(struct lv_bytes key)
{
    uint32_t hash = 2166136261u;

    assert(key.size > 0);
    for (size_t i = 0; i < key.size; i++)
        hash = (hash ^ key.data[i]) * 16777619u;
    return hash;
}

/* Looks through everything: it happens once per key. */
static struct lv_relay_route *resolve(struct lv_relay_table *routes, struct lv_bytes key,
                                      uint32_t hash)
{
    struct lv_relay_route *route = lv_calloc(1, sizeof *route);
    char exchange[256], routing_key[256];

    if (route == NULL)
        return NULL;
    assert(key.size >= 2);
    assert(key.size <= LV_RELAY_KEY_MAX);
    copy_name(exchange, lv_bytes(key.data + 1, key.data[0]));
    copy_name(routing_key, lv_bytes(key.data + 2 + key.data[0], key.data[1 + key.data[0]]));
    route->hash = hash;
    route->key_size = key.size;
    memcpy(route->key, key.data, key.size);
    route->targets = lv_calloc(routes->queue_count + 1u, sizeof(struct lv_relay_queue *));
    if (route->targets == NULL) {
        lv_free(route);
        return NULL;
    }
    add_targets(routes, route, exchange, routing_key);
    return route;
}

const struct lv_relay_route *lv_relay_find(struct lv_relay_table *routes, struct lv_bytes key)
{
    uint32_t hash = hash_of(key);
    struct lv_relay_route **bucket = &routes->buckets[hash % BUCKETS];
    struct lv_relay_route *route = *bucket;

    assert(key.size <= LV_RELAY_KEY_MAX);
    while (route != NULL && (route->hash != hash || route->key_size != key.size ||
                             memcmp(route->key, key.data, key.size) != 0))
        route = route->next;
    if (route != NULL)
        return route;
    route = resolve(routes, key, hash);
    if (route == NULL)
        return NULL;
    route->next = *bucket;
    *bucket = route;
    return route;
}

uint64_t lv_relay_version(const struct lv_relay_table *routes)
{
    return routes->version;
}
