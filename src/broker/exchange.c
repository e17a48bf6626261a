#include "broker/exchange.h"

#include "base/alloc.h"
#include "broker/arguments.h"
#include "broker/core.h"

/* Up to this many bindings of one key are looked through; more have an index. */
#define UNINDEXED_MAX 8u

/* The name is part of the same block: exchanges are many and small. */
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
    lv_list_init(&exchange->target.incoming);
    exchange->target.is_exchange = true;
    lv_map_init(&exchange->keys, &broker->config.hash_key);
    if (type == LV_EXCHANGE_TOPIC)
        lv_trie_init(&exchange->topics, &broker->config.hash_key);
    else if (type == LV_EXCHANGE_HEADERS)
        lv_headers_init(&exchange->headers, &broker->config.hash_key);
    exchange->name_size = (uint8_t)name.size;
    lv_put_bytes((uint8_t *)exchange->name, name);
    return exchange;
}

/* Both its own bindings and those that lead to it: an exchange may be either end of one. */
void lv_exchange_free(struct lv_exchange *exchange)
{
    if (exchange == NULL)
        return;
    LV_LIST_EACH(&exchange->bindings, link)
    lv_binding_free(lv_container(link, struct lv_binding, source_link));
    LV_LIST_EACH(&exchange->target.incoming, link)
    lv_binding_free(lv_container(link, struct lv_binding, target_link));
    assert(exchange->keys.count == 0);
    lv_map_fini(&exchange->keys);
    if (exchange->type == LV_EXCHANGE_TOPIC)
        lv_trie_fini(&exchange->topics);
    else if (exchange->type == LV_EXCHANGE_HEADERS)
        lv_headers_fini(&exchange->headers);
    lv_free(exchange->arguments);
    lv_free(exchange);
}

/* ---- keys ---- */

/* A view into the key, valid as long as the binding is. */
static struct lv_bytes key_bytes(const struct lv_binding_key *key)
{
    assert(key->exchange != NULL);
    return lv_bytes(key->bytes, key->size);
}

/* A topic exchange finds patterns in its trie; all others by the key as it is. */
struct lv_binding_key *lv_exchange_key(const struct lv_exchange *exchange, struct lv_bytes key)
{
    assert(key.size <= UINT8_MAX);
    return exchange->type == LV_EXCHANGE_TOPIC ? lv_trie_get(&exchange->topics, key)
                                               : lv_map_get(&exchange->keys, key);
}

/* The key's object, made when it is new; NULL: out of memory. */
static struct lv_binding_key *need_key(struct lv_exchange *exchange, struct lv_bytes bytes)
{
    struct lv_binding_key *key = lv_exchange_key(exchange, bytes);

    assert(bytes.size <= UINT8_MAX);
    if (key != NULL)
        return key;
    key = lv_calloc(1, sizeof *key + bytes.size);
    if (key == NULL)
        return NULL;
    key->exchange = exchange;
    lv_list_init(&key->bindings);
    key->size = (uint8_t)bytes.size;
    lv_put_bytes(key->bytes, bytes);
    int rc = exchange->type == LV_EXCHANGE_TOPIC
                 ? lv_trie_add(&exchange->topics, key_bytes(key), key)
                 : lv_map_put(&exchange->keys, key_bytes(key), key);
    if (rc < 0) {
        lv_free(key);
        return NULL;
    }
    return key;
}

/* The last of its bindings may have gone. */
static void drop_key(struct lv_binding_key *key)
{
    if (!lv_list_is_empty(&key->bindings))
        return;
    assert(key->count == 0);
    if (key->exchange->type == LV_EXCHANGE_TOPIC)
        lv_trie_remove(&key->exchange->topics, key_bytes(key));
    else
        lv_map_remove(&key->exchange->keys, key_bytes(key));
    if (key->index != NULL)
        lv_map_fini(key->index);
    lv_free(key->index);
    lv_free(key);
}

/* The struct is compared as bytes, so it has no padding. */
static struct lv_bytes identity_bytes(const struct lv_binding_identity *identity)
{
    assert(identity->target != NULL);
    return lv_bytes(identity, sizeof *identity);
}

/* Makes the index with all that is there. */
static int make_index(struct lv_binding_key *key)
{
    struct lv_map *index = lv_alloc(sizeof *index);

    assert(key->index == NULL);
    if (index == NULL)
        return -LV_E_NOMEM;
    lv_map_init(index, key->exchange->keys.key);
    LV_LIST_EACH(&key->bindings, link)
    {
        struct lv_binding *binding = lv_container(link, struct lv_binding, key_link);
        if (lv_map_put(index, identity_bytes(&binding->identity), binding) == 0)
            continue;
        lv_map_fini(index);
        lv_free(index);
        return -LV_E_NOMEM;
    }
    key->index = index;
    return 0;
}

/* Makes sure that the key's index, if it has or needs one, knows the binding. */
static int enter(struct lv_binding_key *key, struct lv_binding *binding)
{
    assert(key->index == NULL || key->count > 0);
    if (key->index == NULL && key->count >= UNINDEXED_MAX) {
        int rc = make_index(key);
        if (rc < 0)
            return rc;
    }
    return key->index == NULL ? 0
                              : lv_map_put(key->index, identity_bytes(&binding->identity), binding);
}

/* ---- bindings ---- */

/* By identity; the arguments behind its hash are still to be compared. */
static struct lv_binding *look_up(const struct lv_binding_key *key,
                                  const struct lv_binding_identity *identity)
{
    assert(identity->target != NULL);
    if (key->index != NULL)
        return lv_map_get(key->index, identity_bytes(identity));
    LV_LIST_EACH(&key->bindings, link)
    {
        struct lv_binding *binding = lv_container(link, struct lv_binding, key_link);
        if (lv_bytes_equal(identity_bytes(&binding->identity), identity_bytes(identity)))
            return binding;
    }
    return NULL;
}

/* Equal hashes are not enough: a client could make two tables with one hash. */
struct lv_binding *lv_exchange_find(const struct lv_exchange *exchange, struct lv_target *target,
                                    struct lv_bytes key, const struct lv_table *arguments)
{
    const struct lv_binding_key *found = lv_exchange_key(exchange, key);
    struct lv_binding_identity identity = {.target = target};

    assert(target != NULL);
    if (found == NULL)
        return NULL;
    identity.arguments_hash = lv_arguments_hash(arguments, exchange->keys.key);
    struct lv_binding *binding = look_up(found, &identity);
    return binding != NULL && lv_arguments_same(binding->arguments, arguments) ? binding : NULL;
}

/* Enters what is complete but for the lists, or nothing. */
static int enter_all(struct lv_exchange *exchange, struct lv_binding *binding)
{
    bool has_headers = exchange->type == LV_EXCHANGE_HEADERS;
    int rc = 0;

    assert(binding->key != NULL);
    if (look_up(binding->key, &binding->identity) != NULL)
        return -LV_E_INTERNAL; /* other arguments with the same hash */
    if (has_headers)
        rc = lv_headers_add(&exchange->headers, binding->arguments, binding, &binding->headers[0]);
    if (rc < 0)
        return rc;
    rc = enter(binding->key, binding);
    if (rc < 0 && has_headers)
        lv_headers_remove(&exchange->headers, binding->headers[0]);
    return rc;
}

/* Either all indexes know the binding afterwards or none does. */
int lv_exchange_bind(struct lv_exchange *exchange, struct lv_target *target,
                     struct lv_bytes key_text, const struct lv_table *arguments,
                     struct lv_diag *diag)
{
    int rc = exchange->type == LV_EXCHANGE_HEADERS ? lv_headers_check(arguments, diag) : 0;

    assert(target != NULL);
    if (rc < 0)
        return rc;
    struct lv_binding_key *key = need_key(exchange, key_text);
    if (key == NULL)
        return -LV_E_NOMEM;
    size_t extra = exchange->type == LV_EXCHANGE_HEADERS ? sizeof(struct lv_headers_binding *) : 0;
    struct lv_binding *binding = lv_calloc(1, sizeof *binding + extra);
    if (binding == NULL) {
        drop_key(key);
        return -LV_E_NOMEM;
    }
    binding->key = key;
    binding->identity.target = target;
    binding->identity.arguments_hash = lv_arguments_hash(arguments, exchange->keys.key);
    rc = lv_arguments_copy(arguments, &binding->arguments);
    if (rc == 0)
        rc = enter_all(exchange, binding);
    /* Nothing of it is in any list yet. */
    if (rc < 0) {
        lv_free(binding->arguments);
        lv_free(binding);
        drop_key(key);
        return rc;
    }
    lv_list_push_back(&exchange->bindings, &binding->source_link);
    lv_list_push_back(&target->incoming, &binding->target_link);
    lv_list_push_back(&key->bindings, &binding->key_link);
    key->count++;
    return 0;
}

/* The key's last binding takes the key along, so that an exchange never holds empty keys. */
void lv_binding_free(struct lv_binding *binding)
{
    struct lv_binding_key *key = binding->key;

    assert(key->count > 0);
    if (key->index != NULL)
        lv_map_remove(key->index, identity_bytes(&binding->identity));
    if (key->exchange->type == LV_EXCHANGE_HEADERS)
        lv_headers_remove(&key->exchange->headers, binding->headers[0]);
    lv_link_remove(&binding->source_link);
    lv_link_remove(&binding->target_link);
    lv_link_remove(&binding->key_link);
    key->count--;
    drop_key(key);
    lv_free(binding->arguments);
    lv_free(binding);
}
