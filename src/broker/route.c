#include "broker/route.h"

#include "base/alloc.h"
#include "broker/core.h"
#include "broker/exchange.h"

#define CACHE_SLOTS      256u /* a power of two */
#define CACHE_NAMES_SIZE 80u  /* bytes: exchange and key together, longer ones are not kept */
#define CACHE_ENTRIES    4u   /* queues that a slot holds without memory of its own */
#define CACHE_MANY_MAX   256u /* queues of a route that is kept: slots times this is all it takes */
#define ARENA_SIZE_MAX   ((size_t)8 << 20) /* bytes of one message's headers when they are parsed */

/* A slot of the cache: where messages of an exchange with a key went last. */
struct lv_route {
    uint64_t version;                          /*       of the topology; 0: empty */
    const struct lv_vhost *vhost;              /* view */
    struct lv_queue_entry *few[CACHE_ENTRIES]; /* view */
    struct lv_queue_entry **many;              /* own   when there are more */
    uint32_t count, local_count;
    uint8_t exchange_size, key_size;
    uint8_t names[CACHE_NAMES_SIZE];
};

/* What is wanted of one message, and how far the search for it has come. */
struct search {
    struct lv_broker *broker;
    const struct lv_vhost *vhost;
    const struct lv_message *message;
    const struct lv_table *headers; /* view  when `has_headers` */
    const struct lv_bytes *keys;    /* view  the routing key, CC and BCC */
    struct lv_exchange *first;      /* view  to be visited, by lv_exchange.next */
    struct lv_exchange **last_next; /* view  where the next one is entered */
    struct lv_targets *targets;
    uint32_t key_count;
    bool has_headers; /* they have been asked for */
    bool is_matched;  /* some binding of the exchange just visited leads on */
    bool is_lasting;  /* another message with this key goes the same way */
};

/* The cache is made with the first message: a shard without publishers needs none. */
void lv_router_init(struct lv_router *router)
{
    assert(router != NULL);
    *router = (struct lv_router){.slots = NULL};
    lv_arena_init(&router->arena, ARENA_SIZE_MAX);
}

/* May follow an init that nothing came after. */
void lv_router_fini(struct lv_router *router)
{
    assert(router->capacity == 0 || router->entries != NULL);
    lv_arena_fini(&router->arena);

    for (uint32_t i = 0; router->slots != NULL && i < CACHE_SLOTS; i++)
        lv_free(router->slots[i].many);
    lv_free(router->slots);
    lv_free(router->entries);
    *router = (struct lv_router){0};
}

/* The last up to eight bytes as a number. */
static LV_ALWAYS_INLINE uint64_t tail(struct lv_bytes bytes)
{
    uint64_t value = 0;
    size_t size = bytes.size < sizeof value ? bytes.size : sizeof value;

    assert(bytes.size == 0 || bytes.data != NULL);
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

/* In full: the index is no proof, and a message in a wrong queue would be one too many. */
static bool slot_matches(const struct lv_route *slot, const struct lv_vhost *vhost,
                         struct lv_bytes exchange, struct lv_bytes key)
{
    return slot->vhost == vhost &&
           lv_bytes_equal(lv_bytes(slot->names, slot->exchange_size), exchange) &&
           lv_bytes_equal(lv_bytes(slot->names + slot->exchange_size, slot->key_size), key);
}

/* ---- the search ---- */

/* Adds a queue to the route being found, once. */
static int add_queue(struct search *search, struct lv_queue_entry *entry)
{
    struct lv_targets *targets = search->targets;
    struct lv_router *router = &search->broker->router;

    assert(entry->id != 0);
    search->is_matched = true;
    if (entry->target.mark == router->mark)
        return 0;
    if (targets->count == router->capacity) {
        uint32_t capacity = router->capacity == 0 ? 16 : 2 * router->capacity;
        struct lv_queue_entry **entries =
            lv_realloc(router->entries, capacity * sizeof(struct lv_queue_entry *));
        if (entries == NULL)
            return -LV_E_NOMEM;
        router->entries = entries;
        router->capacity = capacity;
    }
    entry->target.mark = router->mark;
    router->entries[targets->count] = entry;
    if (entry->home == search->broker->config.shard) { /* to the front, among its kind */
        router->entries[targets->count] = router->entries[targets->local_count];
        router->entries[targets->local_count++] = entry;
    }
    targets->count++;
    return 0;
}

/* An exchange to be visited, once. */
static void add_exchange(struct search *search, struct lv_exchange *exchange)
{
    assert(search->last_next != NULL);
    search->is_matched = true;
    if (exchange->target.mark == search->broker->router.mark)
        return;
    exchange->target.mark = search->broker->router.mark;
    exchange->next = NULL;
    *search->last_next = exchange;
    search->last_next = &exchange->next;
}

/* Queues are by far the most. */
static int add(struct search *search, const struct lv_binding *binding)
{
    struct lv_target *target = binding->identity.target;

    assert(target != NULL);
    if (LV_LIKELY(!target->is_exchange))
        return add_queue(search, lv_container(target, struct lv_queue_entry, target));
    add_exchange(search, lv_container(target, struct lv_exchange, target));
    return 0;
}

/* All bindings with this key match, whatever they lead to. */
static int add_key(struct search *search, const struct lv_binding_key *key)
{
    int rc = 0;

    assert(key->count > 0);
    LV_LIST_EACH(&key->bindings, link)
    {
        rc = add(search, lv_container(link, struct lv_binding, key_link));
        if (rc < 0)
            break;
    }
    return rc;
}

/* The message's headers, parsed when something first asks for them. */
static int need_headers(struct search *search)
{
    struct lv_broker *broker = search->broker;
    int rc;

    assert(search->broker != NULL);
    if (search->has_headers || broker->config.properties == NULL)
        return 0;
    lv_arena_reset(&broker->router.arena);
    rc = broker->config.properties->headers(search->message, &broker->router.arena,
                                            &search->headers);
    search->has_headers = rc == 0;
    return rc;
}

/* The default exchange: every queue is bound to it by its name (0-9-1 §3.1.3.1). */
static int visit_queue_names(struct search *search)
{
    int rc = 0;

    assert(search->key_count > 0);
    for (uint32_t i = 0; i < search->key_count && rc == 0; i++) {
        struct lv_queue_entry *entry = lv_vhost_queue(search->vhost, search->keys[i]);
        if (entry != NULL)
            rc = add_queue(search, entry);
    }
    return rc;
}

/* A look-up for each key, however many bindings there are. */
static int visit_direct(struct search *search, const struct lv_exchange *exchange)
{
    int rc = 0;

    assert(search->key_count > 0);
    for (uint32_t i = 0; i < search->key_count && rc == 0; i++) {
        const struct lv_binding_key *key = lv_exchange_key(exchange, search->keys[i]);
        if (key != NULL)
            rc = add_key(search, key);
    }
    return rc;
}

/* Keys do not count. */
static int visit_fanout(struct search *search, const struct lv_exchange *exchange)
{
    int rc = 0;

    assert(exchange->type == LV_EXCHANGE_FANOUT);
    LV_LIST_EACH(&exchange->bindings, link)
    {
        rc = add(search, lv_container(link, struct lv_binding, source_link));
        if (rc < 0)
            break;
    }
    return rc;
}

/* A pattern of the trie that matches, with all bindings that have it. */
static int add_topic(void *ctx, void *value)
{
    assert(ctx != NULL);
    return add_key(ctx, value);
}

/* CC and BCC are matched like the routing key itself. */
static int visit_topic(struct search *search, struct lv_exchange *exchange)
{
    int rc = 0;

    assert(search->key_count > 0);
    for (uint32_t i = 0; i < search->key_count && rc == 0; i++)
        rc = lv_trie_match(&exchange->topics, search->keys[i], add_topic, search);
    return rc;
}

/* A binding of a headers exchange that matches. */
static int add_owner(void *ctx, void *owner)
{
    assert(ctx != NULL);
    return add(ctx, owner);
}

/* Decodes the headers only when some binding asks; such a route holds for this one message and is
 * not kept. */
static int visit_headers(struct search *search, struct lv_exchange *exchange)
{
    int rc;

    assert(exchange->type == LV_EXCHANGE_HEADERS);
    if (lv_list_is_empty(&exchange->bindings))
        return 0;
    search->is_lasting = false;
    rc = need_headers(search);
    return rc < 0 ? rc : lv_headers_match(&exchange->headers, search->headers, add_owner, search);
}

/* The default exchange is a direct one whose bindings need not be stored. */
static int visit(struct search *search, struct lv_exchange *exchange)
{
    if (exchange->is_default)
        return visit_queue_names(search);
    switch (exchange->type) {
    case LV_EXCHANGE_DIRECT:
        return visit_direct(search, exchange);
    case LV_EXCHANGE_FANOUT:
        return visit_fanout(search, exchange);
    case LV_EXCHANGE_TOPIC:
        return visit_topic(search, exchange);
    case LV_EXCHANGE_HEADERS:
        return visit_headers(search, exchange);
    }
    LV_IMPOSSIBLE("unknown exchange type");
}

/* Goes from the exchange as far as bindings and alternates lead. */
static int walk(struct search *search, struct lv_exchange *exchange)
{
    int rc = 0;

    assert(exchange != NULL);
    search->last_next = &search->first;
    add_exchange(search, exchange);
    for (; search->first != NULL && rc == 0; search->first = exchange->next) {
        exchange = search->first;
        search->is_matched = false;
        rc = visit(search, exchange);
        if (search->is_matched || exchange->alternate.data == NULL)
            continue;
        struct lv_exchange *alternate = lv_vhost_exchange(search->vhost, exchange->alternate);
        /* As an alternate the default exchange has no bindings: RabbitMQ knows its rule only where
         * it is published to. */
        if (alternate != NULL && !alternate->is_default)
            add_exchange(search, alternate);
    }
    return rc;
}

/* ---- CC and BCC ---- */

/* RabbitMQ's sender-selected distribution. */
static const char *const key_headers[] = {"CC", "BCC"};

/* How many keys a header may have; -LV_E_PRECONDITION when it is no array. */
static int count_keys(const struct lv_table *headers, const char *name, struct lv_diag *diag)
{
    const struct lv_value *value = lv_table_get(headers, name);

    assert(name != NULL);
    if (value == NULL)
        return 0;
    if (value->type == LV_TYPE_ARRAY)
        return value->table == NULL ? 0 : (int)value->table->count;
    return lv_fail(diag, -LV_E_PRECONDITION,
                   "invalid message: {unacceptable_type_in_header,\"%s\",%s}", name,
                   lv_type_name(value->type));
}

/* All keys the message has; what is no string in the arrays is none. */
static int collect_keys(struct search *search, struct lv_diag *diag)
{
    uint32_t count = 1;
    struct lv_bytes *keys;
    int rc = need_headers(search);

    assert(search->message->flags & LV_MESSAGE_EXTRA_KEYS);
    for (size_t i = 0; i < LV_COUNT(key_headers) && rc >= 0; i++) {
        rc = count_keys(search->headers, key_headers[i], diag);
        count += rc > 0 ? (uint32_t)rc : 0;
    }
    if (rc < 0)
        return rc;
    keys = lv_arena_alloc(&search->broker->router.arena, count * sizeof *keys);
    if (keys == NULL)
        return -LV_E_NOMEM;
    keys[0] = search->message->key;
    count = 1;
    for (size_t i = 0; i < LV_COUNT(key_headers); i++) {
        const struct lv_value *value = lv_table_get(search->headers, key_headers[i]);
        for (uint32_t at = 0; value != NULL && at < value->table->count; at++)
            if (value->table->fields[at].value.type == LV_TYPE_STRING)
                keys[count++] = value->table->fields[at].value.bytes;
    }
    search->keys = keys;
    search->key_count = count;
    search->is_lasting = false;
    return 0;
}

/* Blind copies: a BCC header is removed before anybody reads the message. */
int lv_route_visible(struct lv_broker *broker, const struct lv_message *message,
                     struct lv_bytes *ret_properties)
{
    assert((message->flags & LV_MESSAGE_EXTRA_KEYS) != 0);
    *ret_properties = message->properties;
    if (broker->config.properties == NULL)
        return 0;
    return broker->config.properties->without_header(message, "BCC", &broker->router.arena,
                                                     ret_properties);
}

/* Headers and keys of one message were decoded there. */
void lv_route_forget(struct lv_broker *broker)
{
    assert(broker != NULL);
    lv_arena_reset(&broker->router.arena);
}

/* ---- the whole ---- */

/* Finds without the cache. */
static int find(struct search *search, struct lv_diag *diag)
{
    const struct lv_message *message = search->message;
    const struct lv_vhost *vhost = search->vhost;
    struct lv_exchange *exchange = lv_vhost_exchange(vhost, message->exchange);
    struct lv_router *router = &search->broker->router;
    int rc = 0;

    assert(search->targets != NULL);
    if (exchange == NULL)
        return lv_fail(diag, -LV_E_NOT_FOUND, "no exchange '%.*s' in vhost '%.*s'",
                       LV_FMT(message->exchange), LV_FMT(lv_vhost_name(vhost)));
    if (exchange->internal)
        return lv_fail(diag, -LV_E_ACCESS_REFUSED,
                       "cannot publish to internal exchange '%.*s' in vhost '%.*s'",
                       LV_FMT(message->exchange), LV_FMT(lv_vhost_name(vhost)));
    *search->targets = (struct lv_targets){0};
    router->mark++;
    if (message->flags & LV_MESSAGE_EXTRA_KEYS)
        rc = collect_keys(search, diag);
    if (rc == 0)
        rc = walk(search, exchange);
    search->targets->entries = router->entries;
    if (search->has_headers && (message->flags & LV_MESSAGE_EXTRA_KEYS) == 0)
        lv_route_forget(search->broker);
    return rc == -LV_E_NOMEM ? lv_fail(diag, rc, "out of memory for a route") : rc;
}

/* Keeps a route that was found; without memory it is just not kept. */
static void keep(struct lv_broker *broker, struct lv_route *slot, const struct lv_vhost *vhost,
                 struct lv_bytes exchange, struct lv_bytes key, const struct lv_targets *targets)
{
    assert(slot != NULL);
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

/* Finds the route and keeps it in the slot (NULL: there is none) if another message with this key
 * goes the same way. Apart from lv_route(), so that a route that is kept costs no room for a
 * search.
 */
__attribute__((noinline)) static int
route_anew(struct lv_broker *broker, const struct lv_vhost *vhost, const struct lv_message *message,
           struct lv_route *slot, struct lv_diag *diag, struct lv_targets *targets)
{
    struct search search = {
        .broker = broker,
        .vhost = vhost,
        .message = message,
        .keys = &message->key,
        .key_count = 1,
        .is_lasting = true,
        .targets = targets,
    };
    int rc = find(&search, diag);

    assert(targets != NULL);
    if (rc == 0 && slot != NULL && search.is_lasting)
        keep(broker, slot, vhost, message->exchange, message->key, targets);
    return rc;
}

/* The slot for the message's route, NULL when there is no cache. */
static struct lv_route *slot_for(struct lv_router *router, const struct lv_message *message)
{
    if (LV_UNLIKELY(router->slots == NULL)) {
        router->slots = lv_calloc(CACHE_SLOTS, sizeof *router->slots);
        if (router->slots == NULL)
            return NULL;
    }
    return &router->slots[slot_index(message->exchange, message->key)];
}

/* A route that was kept costs two comparisons of names; any change of the topology makes all stale
 * at once. */
int lv_route(struct lv_broker *broker, const struct lv_vhost *vhost,
             const struct lv_message *message, struct lv_diag *diag, struct lv_targets *ret_targets)
{
    struct lv_route *slot = slot_for(&broker->router, message);
    bool is_plain = (message->flags & LV_MESSAGE_EXTRA_KEYS) == 0;

    assert(ret_targets != NULL);
    if (LV_LIKELY(slot != NULL && slot->version == broker->topology.version && is_plain &&
                  slot_matches(slot, vhost, message->exchange, message->key))) {
        ret_targets->entries = slot->many != NULL ? slot->many : slot->few;
        ret_targets->count = slot->count;
        ret_targets->local_count = slot->local_count;
        return 0;
    }
    return route_anew(broker, vhost, message, slot, diag, ret_targets);
}
