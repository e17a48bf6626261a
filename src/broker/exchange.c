#include "broker/exchange.h"

#include "base/alloc.h"
#include "broker/core.h"

struct lv_exchange *lv_exchange_new(struct lv_broker *broker, struct lv_vhost *vhost,
                                    struct lv_bytes name, enum lv_exchange_type type)
{
    struct lv_exchange *exchange = lv_calloc(1, sizeof *exchange + name.size);

    assert(name.size <= UINT8_MAX);
    if (exchange == NULL)
        return NULL;
    exchange->vhost = vhost;
    exchange->type = type;
    exchange->is_default = name.size == 0;
    lv_list_init(&exchange->bindings);
    lv_map_init(&exchange->identities, &broker->config.hash_key);
    lv_map_init(&exchange->keys, &broker->config.hash_key);
    exchange->name_size = (uint8_t)name.size;
    lv_put_bytes((uint8_t *)exchange->name, name);
    return exchange;
}

void lv_exchange_free(struct lv_exchange *exchange)
{
    if (exchange == NULL)
        return;
    LV_LIST_EACH(&exchange->bindings, link)
    lv_binding_free(lv_container(link, struct lv_binding, source_link));
    lv_map_fini(&exchange->identities);
    lv_map_fini(&exchange->keys);
    lv_free(exchange->arguments);
    lv_free(exchange);
}

static void write_identity(uint8_t *identity, uint64_t queue_id, struct lv_bytes key)
{
    lv_put_bytes(lv_put64(identity, queue_id), key);
}

static bool same_arguments(const struct lv_table *a, const struct lv_table *b)
{
    static const struct lv_table none = {.count = 0};
    struct lv_value left = {.type = LV_TYPE_TABLE, .table = a == NULL ? &none : a};
    struct lv_value right = {.type = LV_TYPE_TABLE, .table = b == NULL ? &none : b};

    return lv_value_equal(&left, &right);
}

struct lv_binding *lv_exchange_find(const struct lv_exchange *exchange,
                                    const struct lv_queue_entry *target, struct lv_bytes key,
                                    const struct lv_table *arguments)
{
    uint8_t identity[8 + UINT8_MAX];

    assert(key.size <= UINT8_MAX);
    write_identity(identity, target->id, key);
    struct lv_binding *binding =
        lv_map_get(&exchange->identities, lv_bytes(identity, 8 + key.size));
    while (binding != NULL && !same_arguments(binding->arguments, arguments))
        binding = binding->same_next;
    return binding;
}

static struct lv_bytes identity_of(const struct lv_binding *binding)
{
    return lv_bytes(binding->identity, binding->identity_size);
}

/* Enters `binding` as one more of the chain under `key`. The map's key must lie in the chain's
 * first binding, so a newcomer goes behind it. */
static int chain_in(struct lv_map *map, struct lv_bytes key, struct lv_binding *binding,
                    size_t next_offset)
{
    struct lv_binding *first = lv_map_get(map, key);

    if (first == NULL)
        return lv_map_put(map, key, binding);
    struct lv_binding **first_next = (struct lv_binding **)(void *)((char *)first + next_offset);
    struct lv_binding **own_next = (struct lv_binding **)(void *)((char *)binding + next_offset);
    *own_next = *first_next;
    *first_next = binding;
    return 0;
}

/* The key a binding has in a map of chains: all of its identity, or the routing key alone. */
typedef struct lv_bytes key_fn(const struct lv_binding *binding);

static void chain_out(struct lv_map *map, key_fn *key_of, struct lv_binding *binding,
                      size_t next_offset)
{
    struct lv_binding *first = lv_map_get(map, key_of(binding));
    struct lv_binding **own_next = (struct lv_binding **)(void *)((char *)binding + next_offset);

    if (first == NULL)
        return; /* a binding that never got that far */
    if (first != binding) {
        struct lv_binding **next = (struct lv_binding **)(void *)((char *)first + next_offset);
        while (*next != NULL && *next != binding)
            next = (struct lv_binding **)(void *)((char *)*next + next_offset);
        if (*next == binding)
            *next = *own_next;
        return;
    }
    struct lv_binding *heir = *own_next;
    lv_map_remove(map, key_of(binding));
    /* The slot that was just freed is there for the heir: this cannot need memory. */
    if (heir != NULL && lv_map_put(map, key_of(heir), heir) < 0)
        lv_broker_exhausted();
}

int lv_exchange_bind(struct lv_exchange *exchange, struct lv_queue_entry *target,
                     struct lv_bytes key, const struct lv_table *arguments)
{
    struct lv_binding *binding = lv_calloc(1, sizeof *binding + 8 + key.size);

    assert(key.size <= UINT8_MAX);
    if (binding == NULL)
        return -LV_E_NOMEM;
    binding->source = exchange;
    binding->target = target;
    binding->identity_size = (uint16_t)(8 + key.size);
    write_identity(binding->identity, target->id, key);
    lv_list_push_back(&exchange->bindings, &binding->source_link);
    lv_list_push_back(&target->bindings, &binding->target_link);
    if (arguments != NULL && arguments->count > 0) {
        binding->arguments = lv_table_dup(arguments);
        if (binding->arguments == NULL)
            goto fail;
    }
    if (chain_in(&exchange->identities, identity_of(binding), binding,
                 offsetof(struct lv_binding, same_next)) < 0)
        goto fail;
    if (exchange->type == LV_EXCHANGE_DIRECT &&
        chain_in(&exchange->keys, lv_binding_key(binding), binding,
                 offsetof(struct lv_binding, key_next)) < 0)
        goto fail;
    return 0;
fail:
    lv_binding_free(binding);
    return -LV_E_NOMEM;
}

void lv_binding_free(struct lv_binding *binding)
{
    struct lv_exchange *exchange = binding->source;

    chain_out(&exchange->identities, identity_of, binding, offsetof(struct lv_binding, same_next));
    if (exchange->type == LV_EXCHANGE_DIRECT)
        chain_out(&exchange->keys, lv_binding_key, binding, offsetof(struct lv_binding, key_next));
    lv_link_remove(&binding->source_link);
    lv_link_remove(&binding->target_link);
    lv_free(binding->arguments);
    lv_free(binding);
}

struct lv_binding *lv_exchange_by_key(const struct lv_exchange *exchange, struct lv_bytes key)
{
    assert(exchange->type == LV_EXCHANGE_DIRECT);
    return lv_map_get(&exchange->keys, key);
}
