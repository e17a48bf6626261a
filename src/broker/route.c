#include "broker/route.h"

#include "base/alloc.h"
#include "broker/core.h"
#include "broker/exchange.h"

#define CACHE_SLOTS      256u /* a power of two */
#define CACHE_NAMES_SIZE 80u  /* bytes: exchange and key together, longer ones are not kept */
#define CACHE_ENTRIES    4u   /* queues that a slot holds without memory of its own */
#define CACHE_MANY_MAX   256u /* queues of a route that is kept: slots times this is all it takes */

struct lv_route {
    uint64_t version;                          /*       of the topology; 0: empty */
    const struct lv_vhost *vhost;              /* view */
    struct lv_queue_entry *few[CACHE_ENTRIES]; /* view */
    struct lv_queue_entry **many;              /* own   when there are more */
    uint32_t count, local_count;
    uint8_t exchange_size, key_size;
    uint8_t names[CACHE_NAMES_SIZE];
};

void lv_router_fini(struct lv_router *router)
{
    for (uint32_t i = 0; router->slots != NULL && i < CACHE_SLOTS; i++)
        lv_free(router->slots[i].many);
    lv_free(router->slots);
    lv_free(router->entries);
    *router = (struct lv_router){0};
}

/* The last up to eight bytes as a number. */
static uint64_t tail(struct lv_bytes bytes)
{
    uint64_t value = 0;
    size_t size = bytes.size < sizeof value ? bytes.size : sizeof value;

    if (size > 0)
        memcpy(&value, bytes.data + bytes.size - size, size);
    return value ^ ((uint64_t)bytes.size << 56);
}

/* Which slot; any will do, what is found there is compared in full. */
static uint32_t slot_index(struct lv_bytes exchange, struct lv_bytes key)
{
    uint64_t hash = (tail(exchange) ^ (tail(key) * 0x9e3779b97f4a7c15u)) * 0xd6e8feb86659fd93u;

    return (uint32_t)(hash >> 40) & (CACHE_SLOTS - 1);
}

static bool slot_matches(const struct lv_route *slot, const struct lv_vhost *vhost,
                         struct lv_bytes exchange, struct lv_bytes key)
{
    return slot->vhost == vhost &&
           lv_bytes_equal(lv_bytes(slot->names, slot->exchange_size), exchange) &&
           lv_bytes_equal(lv_bytes(slot->names + slot->exchange_size, slot->key_size), key);
}

/* Adds a queue to the route being found, once. */
static int add(struct lv_broker *broker, struct lv_queue_entry *entry, struct lv_targets *targets)
{
    struct lv_router *router = &broker->router;

    if (entry->mark == router->mark)
        return 0;
    entry->mark = router->mark;
    if (targets->count == router->capacity) {
        uint32_t capacity = router->capacity == 0 ? 16 : 2 * router->capacity;
        struct lv_queue_entry **entries =
            lv_realloc(router->entries, capacity * sizeof(struct lv_queue_entry *));
        if (entries == NULL)
            return -LV_E_NOMEM;
        router->entries = entries;
        router->capacity = capacity;
    }
    router->entries[targets->count] = entry;
    if (entry->home == broker->config.shard) { /* to the front, among its kind */
        router->entries[targets->count] = router->entries[targets->local_count];
        router->entries[targets->local_count++] = entry;
    }
    targets->count++;
    return 0;
}

static int find_direct(struct lv_broker *broker, const struct lv_exchange *exchange,
                       struct lv_bytes key, struct lv_targets *targets)
{
    struct lv_binding_key *bound = lv_exchange_key(exchange, key);
    int rc = 0;

    if (bound == NULL)
        return 0;
    LV_LIST_EACH(&bound->bindings, link)
    {
        rc = add(broker, lv_container(link, struct lv_binding, key_link)->identity.target, targets);
        if (rc < 0)
            break;
    }
    return rc;
}

static int find_fanout(struct lv_broker *broker, struct lv_exchange *exchange,
                       struct lv_targets *targets)
{
    int rc = 0;

    LV_LIST_EACH(&exchange->bindings, link)
    {
        struct lv_binding *binding = lv_container(link, struct lv_binding, source_link);
        rc = add(broker, binding->identity.target, targets);
        if (rc < 0)
            break;
    }
    return rc;
}

static int find_bound(struct lv_broker *broker, struct lv_exchange *exchange, struct lv_bytes key,
                      struct lv_targets *targets)
{
    assert(!exchange->is_default);
    switch (exchange->type) {
    case LV_EXCHANGE_DIRECT:
        return find_direct(broker, exchange, key, targets);
    case LV_EXCHANGE_FANOUT:
        return find_fanout(broker, exchange, targets);
    case LV_EXCHANGE_TOPIC:
    case LV_EXCHANGE_HEADERS:
        return 0; /* nothing can be bound to these yet */
    }
    LV_IMPOSSIBLE("unknown exchange type");
}

static int find(struct lv_broker *broker, const struct lv_vhost *vhost, struct lv_bytes name,
                struct lv_bytes key, struct lv_diag *diag, struct lv_targets *targets)
{
    struct lv_exchange *exchange = lv_vhost_exchange(vhost, name);
    int rc = 0;

    if (exchange == NULL)
        return lv_fail(diag, -LV_E_NOT_FOUND, "no exchange '%.*s' in vhost '%.*s'", LV_FMT(name),
                       LV_FMT(lv_vhost_name(vhost)));
    if (exchange->internal)
        return lv_fail(diag, -LV_E_ACCESS_REFUSED,
                       "cannot publish to internal exchange '%.*s' in vhost '%.*s'", LV_FMT(name),
                       LV_FMT(lv_vhost_name(vhost)));
    *targets = (struct lv_targets){0};
    broker->router.mark++;
    if (exchange->is_default) {
        struct lv_queue_entry *entry = lv_vhost_queue(vhost, key);
        if (entry != NULL)
            rc = add(broker, entry, targets);
    } else {
        rc = find_bound(broker, exchange, key, targets);
    }
    targets->entries = broker->router.entries;
    return rc < 0 ? lv_fail(diag, rc, "out of memory for a route") : 0;
}

/* Keeps a route that was found; without memory it is just not kept. */
static void keep(struct lv_broker *broker, struct lv_route *slot, const struct lv_vhost *vhost,
                 struct lv_bytes exchange, struct lv_bytes key, const struct lv_targets *targets)
{
    slot->version = 0;
    lv_free(slot->many);
    slot->many = NULL;
    if (exchange.size + key.size > CACHE_NAMES_SIZE || targets->count > CACHE_MANY_MAX)
        return;
    struct lv_queue_entry **entries = slot->few;
    if (targets->count > CACHE_ENTRIES) {
        slot->many = lv_alloc(targets->count * sizeof(struct lv_queue_entry *));
        entries = slot->many;
        if (entries == NULL)
            return;
    }
    if (targets->count > 0)
        memcpy(entries, targets->entries, targets->count * sizeof(struct lv_queue_entry *));
    lv_put_bytes(lv_put_bytes(slot->names, exchange), key);
    slot->exchange_size = (uint8_t)exchange.size;
    slot->key_size = (uint8_t)key.size;
    slot->vhost = vhost;
    slot->count = targets->count;
    slot->local_count = targets->local_count;
    slot->version = broker->topology.version;
}

int lv_route(struct lv_broker *broker, const struct lv_vhost *vhost, struct lv_bytes exchange,
             struct lv_bytes key, struct lv_diag *diag, struct lv_targets *ret_targets)
{
    struct lv_router *router = &broker->router;

    if (router->slots == NULL) {
        router->slots = lv_calloc(CACHE_SLOTS, sizeof *router->slots);
        if (router->slots == NULL)
            return find(broker, vhost, exchange, key, diag, ret_targets);
    }
    struct lv_route *slot = &router->slots[slot_index(exchange, key)];
    if (slot->version == broker->topology.version && slot_matches(slot, vhost, exchange, key)) {
        ret_targets->entries = slot->many != NULL ? slot->many : slot->few;
        ret_targets->count = slot->count;
        ret_targets->local_count = slot->local_count;
        return 0;
    }
    int rc = find(broker, vhost, exchange, key, diag, ret_targets);
    if (rc == 0)
        keep(broker, slot, vhost, exchange, key, ret_targets);
    return rc;
}
