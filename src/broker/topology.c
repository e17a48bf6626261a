#include "broker/topology.h"

#include "base/alloc.h"
#include "broker/arguments.h"
#include "broker/change.h"
#include "broker/core.h"
#include "broker/exchange.h"

#include <stdio.h>

#define RESOURCE "%s '%.*s' in vhost '%.*s'"

static const struct {
    const char *word;
    enum lv_exchange_type type;
} types[] = {
    {"direct", LV_EXCHANGE_DIRECT},
    {"fanout", LV_EXCHANGE_FANOUT},
    {"topic", LV_EXCHANGE_TOPIC},
    {"headers", LV_EXCHANGE_HEADERS},
};

/* What every vhost is born with. */
static const struct {
    const char *name;
    enum lv_exchange_type type;
    bool internal;
} predeclared[] = {
    {"", LV_EXCHANGE_DIRECT, false},
    {"amq.direct", LV_EXCHANGE_DIRECT, false},
    {"amq.fanout", LV_EXCHANGE_FANOUT, false},
    {"amq.topic", LV_EXCHANGE_TOPIC, false},
    {"amq.headers", LV_EXCHANGE_HEADERS, false},
    {"amq.match", LV_EXCHANGE_HEADERS, false},
    {"amq.rabbitmq.trace", LV_EXCHANGE_TOPIC, true},
};

/* As it is told in error texts and matched in declares. */
const char *lv_exchange_type_word(enum lv_exchange_type type)
{
    for (size_t i = 0; i < LV_COUNT(types); i++)
        if (types[i].type == type)
            return types[i].word;
    LV_IMPOSSIBLE("unknown exchange type");
}

/* Exactly: RabbitMQ does not take "Direct". */
bool lv_exchange_type_parse(struct lv_bytes word, enum lv_exchange_type *ret_type)
{
    assert(ret_type != NULL);
    for (size_t i = 0; i < LV_COUNT(types); i++)
        if (lv_bytes_equal(word, lv_text(types[i].word))) {
            *ret_type = types[i].type;
            return true;
        }
    return false;
}

/* Once for each connection. */
struct lv_vhost *lv_topology_vhost(const struct lv_topology *topology, struct lv_bytes name)
{
    assert(name.size <= UINT8_MAX);
    return lv_map_get(&topology->vhosts, name);
}

/* For the first message of a route; later ones find it in the cache. */
struct lv_exchange *lv_vhost_exchange(const struct lv_vhost *vhost, struct lv_bytes name)
{
    assert(vhost != NULL);
    return lv_map_get(&vhost->exchanges, name);
}

/* Every shard knows all names, wherever the messages are. */
struct lv_queue_entry *lv_vhost_queue(const struct lv_vhost *vhost, struct lv_bytes name)
{
    assert(vhost != NULL);
    return lv_map_get(&vhost->queues, name);
}

/* ---- making and ending ---- */

/* Another object with these arguments: is there room for them? */
static int check_arguments_size(const struct lv_broker *broker, const struct lv_change *change,
                                struct lv_diag *diag)
{
    const struct lv_topology *topology = &broker->topology;

    assert(topology->limits.arguments_size > 0);
    if (LV_LIKELY(change->arguments == NULL) ||
        topology->arguments_size + lv_arguments_size(change->arguments) <=
            topology->limits.arguments_size)
        return 0;
    return lv_fail(diag, -LV_E_RESOURCE, "arguments of all kinds exceed %llu bytes",
                   (unsigned long long)topology->limits.arguments_size);
}

/* What follows from a change (an auto-delete exchange goes) is a change of its own there. */
void lv_topology_log(struct lv_broker *broker, const struct lv_change *change)
{
    struct lv_log *log = broker->config.log;
    void *bytes;
    uint64_t lsn;

    if (log == NULL || broker->config.shard != 0 || broker->restoring)
        return;
    if (lv_log_append(log, LV_RECORD_CHANGE, 0, lv_change_size(change), &lsn, &bytes) < 0)
        lv_broker_exhausted(); /* routing has changed already */
    lv_change_encode(change, bytes);
    broker->topology_lsn = lv_log_end(log);
    if (broker->config.changed != NULL)
        broker->config.changed(broker->config.log_ctx, broker->topology_lsn,
                               lv_bytes(bytes, lv_change_size(change)));
}

/* A new name may change where alternates and bindings lead, so kept routes become stale. */
static int add_exchange(struct lv_broker *broker, struct lv_vhost *vhost,
                        struct lv_exchange *exchange)
{
    int rc = lv_map_put(&vhost->exchanges, lv_exchange_name(exchange), exchange);

    assert(exchange->vhost == vhost);
    if (rc < 0)
        return rc;
    broker->topology.exchange_count++;
    broker->topology.version++;
    return 0;
}

/* Idempotent: the same exchange again is fine, another one of the name is not (0-9-1
 * exchange.declare). */
static int declare_exchange(struct lv_broker *broker, struct lv_vhost *vhost,
                            const struct lv_change *change, struct lv_diag *diag)
{
    struct lv_exchange *exchange = lv_vhost_exchange(vhost, change->name);
    enum lv_exchange_type type;
    int rc;

    assert(change->name.size > 0);
    if (exchange != NULL)
        return lv_exchange_check_same(exchange, change, diag);
    if (!lv_exchange_type_parse(change->other, &type))
        return lv_fail(diag, -LV_E_PRECONDITION, "unknown exchange type '%.*s'",
                       LV_FMT(change->other));
    if (broker->topology.exchange_count >= broker->topology.limits.exchanges)
        return lv_fail(diag, -LV_E_PRECONDITION,
                       "cannot declare " RESOURCE ": exchange limit of %u is reached", "exchange",
                       LV_FMT(change->name), LV_FMT(lv_vhost_name(vhost)),
                       broker->topology.limits.exchanges);
    rc = check_arguments_size(broker, change, diag);
    if (rc < 0)
        return rc;
    exchange = lv_exchange_new(broker, vhost, change->name, type);
    if (exchange == NULL)
        return -LV_E_NOMEM;
    exchange->durable = change->durable;
    exchange->auto_delete = change->auto_delete;
    exchange->internal = change->internal;
    rc = lv_arguments_copy(change->arguments, &exchange->arguments);
    if (rc == 0)
        rc = add_exchange(broker, vhost, exchange);
    if (rc < 0) {
        lv_exchange_free(exchange);
        return rc;
    }
    broker->topology.arguments_size += lv_arguments_size(exchange->arguments);
    const struct lv_value *alternate = lv_table_get(exchange->arguments, LV_ALTERNATE_EXCHANGE);
    if (alternate != NULL) {
        assert(alternate->type == LV_TYPE_STRING);
        exchange->alternate = alternate->bytes;
    }
    if (exchange->durable)
        lv_topology_log(broker, change);
    return 0;
}

/* Counts and frees a binding; the exchange stays. */
static void remove_binding(struct lv_broker *broker, struct lv_binding *binding)
{
    assert(broker->topology.binding_count > 0);
    broker->topology.arguments_size -= lv_arguments_size(binding->arguments);
    broker->topology.binding_count--;
    broker->topology.version++;
    lv_binding_free(binding);
}

/* A binding goes, and with the last one of its source an auto-delete exchange: but not at once,
 * since that one's going may end more bindings and exchanges, as far as they reach. */
static void unbind(struct lv_broker *broker, struct lv_binding *binding)
{
    struct lv_exchange *source = binding->key->exchange;

    assert(source != NULL);
    remove_binding(broker, binding);
    if (source->auto_delete && lv_list_is_empty(&source->bindings) && !broker->restoring)
        lv_list_push_back(&broker->topology.doomed, &source->doomed_link);
}

/* The exchange alone; lv_topology.doomed has what follows from it. */
static void remove_one_exchange(struct lv_broker *broker, struct lv_exchange *exchange)
{
    struct lv_change change = {
        .kind = LV_CHANGE_EXCHANGE_DELETE,
        .vhost = lv_vhost_name(exchange->vhost),
        .name = lv_exchange_name(exchange),
    };

    assert(broker->topology.exchange_count > 0);
    if (exchange->durable)
        lv_topology_log(broker, &change);
    lv_map_remove(&exchange->vhost->exchanges, lv_exchange_name(exchange));
    broker->topology.exchange_count--;
    broker->topology.version++;
    broker->topology.arguments_size -= lv_arguments_size(exchange->arguments);
    LV_LIST_EACH(&exchange->bindings, link)
    remove_binding(broker, lv_container(link, struct lv_binding, source_link));
    LV_LIST_EACH(&exchange->target.incoming, link)
    unbind(broker, lv_container(link, struct lv_binding, target_link));
    lv_exchange_free(exchange);
}

/* A loop and no recursion, as a chain of auto-delete exchanges may be as long as clients like. */
static void remove_doomed(struct lv_broker *broker)
{
    struct lv_link *link;

    assert(broker->topology.exchange_count > 0 || lv_list_is_empty(&broker->topology.doomed));
    while ((link = lv_list_pop_front(&broker->topology.doomed)) != NULL)
        remove_one_exchange(broker, lv_container(link, struct lv_exchange, doomed_link));
}

/* Deleting what is not there is fine, as in RabbitMQ. */
static int delete_exchange(struct lv_broker *broker, struct lv_vhost *vhost,
                           const struct lv_change *change, struct lv_diag *diag)
{
    struct lv_exchange *exchange = lv_vhost_exchange(vhost, change->name);

    assert(change->kind == LV_CHANGE_EXCHANGE_DELETE);
    if (exchange == NULL)
        return 0;
    if (change->if_unused && !lv_list_is_empty(&exchange->bindings))
        return lv_fail(diag, -LV_E_PRECONDITION, RESOURCE " in use", "exchange",
                       LV_FMT(change->name), LV_FMT(lv_vhost_name(vhost)));
    remove_one_exchange(broker, exchange);
    remove_doomed(broker);
    return 0;
}

/* Bindings are gone by now; the queue, if it lives here, lets its consumers go. */
static void entry_free(struct lv_queue_entry *entry)
{
    assert(lv_list_is_empty(&entry->target.incoming));
    lv_queue_free(entry->queue);
    lv_link_clear(&entry->owned_link);
    lv_free(entry->arguments);
    lv_free(entry);
}

/* The entry becomes known: by name everywhere, by id at home. */
static int add_entry(struct lv_broker *broker, struct lv_queue_entry *entry)
{
    struct lv_bytes id = lv_bytes(&entry->id, sizeof entry->id);
    int rc = lv_map_put(&entry->vhost->queues, lv_entry_name(entry), entry);

    assert(entry->id != 0);
    if (rc < 0)
        return rc;
    if (entry->queue != NULL) {
        rc = lv_map_put(&broker->homes, id, entry);
        if (rc < 0) {
            lv_map_remove(&entry->vhost->queues, lv_entry_name(entry));
            return rc;
        }
    }
    broker->topology.queue_count++;
    broker->topology.version++;
    broker->topology.arguments_size += lv_arguments_size(entry->arguments);
    return 0;
}

/* Bindings first: the last one of an auto-delete exchange takes that along. */
static void remove_entry(struct lv_broker *broker, struct lv_queue_entry *entry)
{
    struct lv_change change = {
        .kind = LV_CHANGE_QUEUE_DELETE,
        .vhost = lv_vhost_name(entry->vhost),
        .name = lv_entry_name(entry),
        .queue_id = entry->id,
    };

    assert(broker->topology.queue_count > 0);
    if (entry->durable)
        lv_topology_log(broker, &change);
    LV_LIST_EACH(&entry->target.incoming, link)
    unbind(broker, lv_container(link, struct lv_binding, target_link));
    remove_doomed(broker);
    lv_map_remove(&entry->vhost->queues, lv_entry_name(entry));
    if (entry->queue != NULL)
        lv_map_remove(&broker->homes, lv_bytes(&entry->id, sizeof entry->id));
    broker->topology.queue_count--;
    broker->topology.version++;
    broker->topology.arguments_size -= lv_arguments_size(entry->arguments);
    entry_free(entry);
}

/* The queue itself is made on its home shard only; the others know its name and bindings. */
static struct lv_queue_entry *entry_new(struct lv_broker *broker, struct lv_vhost *vhost,
                                        const struct lv_change *change)
{
    struct lv_queue_entry *entry = lv_calloc(1, sizeof *entry + change->name.size);

    assert(change->name.size > 0);
    assert(change->name.size <= UINT8_MAX);
    if (entry == NULL)
        return NULL;
    entry->vhost = vhost;
    entry->id = change->queue_id;
    entry->home = change->home;
    entry->owner = change->exclusive ? change->client : 0;
    entry->durable = change->durable && !change->exclusive;
    entry->auto_delete = change->auto_delete;
    lv_list_init(&entry->target.incoming);
    entry->name_size = (uint8_t)change->name.size;
    lv_put_bytes((uint8_t *)entry->name, change->name);
    if (lv_arguments_copy(change->arguments, &entry->arguments) < 0)
        goto fail;
    if (entry->home == broker->config.shard) {
        entry->queue = lv_queue_new(broker, entry);
        if (entry->queue == NULL)
            goto fail;
    }
    return entry;
fail:
    entry_free(entry);
    return NULL;
}

/* The vhost's limit, or what all vhosts together may have. What comes from the disk was let in when
 * it was declared. */
static int check_queue_count(const struct lv_broker *broker, const struct lv_vhost *vhost,
                             const struct lv_change *change, struct lv_diag *diag)
{
    int64_t most = broker->topology.limits.queues;

    assert(most > 0);
    if (vhost->max_queues >= 0 && vhost->max_queues <= vhost->queues.count && !broker->restoring)
        most = vhost->max_queues;
    else if (broker->topology.queue_count < broker->topology.limits.queues)
        return 0;
    return lv_fail(diag, -LV_E_PRECONDITION,
                   "cannot declare queue '%.*s': queue limit in vhost '%.*s' (%lld) is reached",
                   LV_FMT(change->name), LV_FMT(lv_vhost_name(vhost)), (long long)most);
}

/* The owner's list is on the owner's shard alone, which is the one that ends the queue with it. */
static int declare_queue(struct lv_broker *broker, struct lv_vhost *vhost,
                         const struct lv_change *change, struct lv_diag *diag)
{
    struct lv_queue_entry *entry = lv_vhost_queue(vhost, change->name);

    assert(change->kind == LV_CHANGE_QUEUE_DECLARE);
    assert(change->queue_id != 0);
    if (entry != NULL)
        return lv_entry_check_same(entry, change, diag);
    int rc = check_queue_count(broker, vhost, change, diag);
    if (rc == 0)
        rc = check_arguments_size(broker, change, diag);
    if (rc < 0)
        return rc;
    entry = entry_new(broker, vhost, change);
    if (entry == NULL)
        return -LV_E_NOMEM;
    if (add_entry(broker, entry) < 0) {
        entry_free(entry);
        return -LV_E_NOMEM;
    }
    struct lv_client *owner = entry->owner == 0 ? NULL : lv_client_find(broker, entry->owner);
    if (owner != NULL)
        lv_list_push_back(&owner->owned, &entry->owned_link);
    if (entry->durable)
        lv_topology_log(broker, change);
    return 0;
}

/* With an id only that queue: a namesake may have been declared since somebody decided. */
static void delete_queue(struct lv_broker *broker, struct lv_vhost *vhost,
                         const struct lv_change *change, struct lv_change_result *ret_result)
{
    struct lv_queue_entry *entry = lv_vhost_queue(vhost, change->name);

    assert(change->kind == LV_CHANGE_QUEUE_DELETE);
    if (entry == NULL || (change->queue_id != 0 && change->queue_id != entry->id))
        return;
    if (entry->queue != NULL && ret_result != NULL)
        ret_result->message_count = lv_queue_ready_count(entry->queue);
    remove_entry(broker, entry);
}

/* RabbitMQ's 404. */
static int no_such(struct lv_diag *diag, const char *kind, struct lv_bytes name,
                   const struct lv_vhost *vhost)
{
    assert(kind != NULL);
    return lv_fail(diag, -LV_E_NOT_FOUND, "no " RESOURCE, kind, LV_FMT(name),
                   LV_FMT(lv_vhost_name(vhost)));
}

/* The two ends of a binding. */
static int find_ends(const struct lv_vhost *vhost, const struct lv_change *change,
                     struct lv_diag *diag, struct lv_exchange **ret_source,
                     struct lv_target **ret_target)
{
    struct lv_exchange *source = lv_vhost_exchange(vhost, change->other);
    struct lv_exchange *exchange = lv_vhost_exchange(vhost, change->name);
    struct lv_queue_entry *entry = lv_vhost_queue(vhost, change->name);

    assert(ret_source != NULL);
    assert(ret_target != NULL);
    if (source == NULL)
        return no_such(diag, "exchange", change->other, vhost);
    if (!change->to_exchange && entry == NULL)
        return no_such(diag, "queue", change->name, vhost);
    if (change->to_exchange && exchange == NULL)
        return no_such(diag, "exchange", change->name, vhost);
    *ret_source = source;
    *ret_target = change->to_exchange ? &exchange->target : &entry->target;
    return 0;
}

/* Limits are the same on every shard, so that all of them refuse alike. */
static int check_room(const struct lv_broker *broker, const struct lv_vhost *vhost,
                      const struct lv_change *change, struct lv_diag *diag)
{
    assert(change->kind == LV_CHANGE_BIND);
    if (broker->topology.binding_count >= broker->topology.limits.bindings)
        return lv_fail(diag, -LV_E_PRECONDITION,
                       "cannot bind " RESOURCE ": binding limit of %u is reached",
                       change->to_exchange ? "exchange" : "queue", LV_FMT(change->name),
                       LV_FMT(lv_vhost_name(vhost)), broker->topology.limits.bindings);
    return check_arguments_size(broker, change, diag);
}

/* A binding survives a restart with both of its ends. */
static bool is_durable(struct lv_target *target)
{
    return target->is_exchange ? lv_container(target, struct lv_exchange, target)->durable
                               : lv_container(target, struct lv_queue_entry, target)->durable;
}

/* Idempotent as well: the same binding twice is one. */
static int bind(struct lv_broker *broker, const struct lv_vhost *vhost,
                const struct lv_change *change, struct lv_diag *diag)
{
    struct lv_exchange *source = NULL;
    struct lv_target *target = NULL;
    int rc = find_ends(vhost, change, diag, &source, &target);

    assert(change->kind == LV_CHANGE_BIND);
    if (rc < 0 || lv_exchange_find(source, target, change->key, change->arguments) != NULL)
        return rc;
    rc = check_room(broker, vhost, change, diag);
    if (rc == 0)
        rc = lv_exchange_bind(source, target, change->key, change->arguments, diag);
    if (rc < 0)
        return rc;
    assert(source != NULL);
    broker->topology.arguments_size += lv_arguments_size(change->arguments);
    broker->topology.binding_count++;
    broker->topology.version++;
    if (source->durable && is_durable(target))
        lv_topology_log(broker, change);
    return 0;
}

/* A binding that isn't there needs no unbinding, for whatever reason it isn't there. */
static void unbind_change(struct lv_broker *broker, const struct lv_vhost *vhost,
                          const struct lv_change *change)
{
    struct lv_exchange *source = NULL;
    struct lv_target *target = NULL;

    assert(change->kind == LV_CHANGE_UNBIND);
    if (find_ends(vhost, change, NULL, &source, &target) < 0)
        return;
    assert(source != NULL);
    struct lv_binding *binding = lv_exchange_find(source, target, change->key, change->arguments);
    if (binding != NULL) {
        if (source->durable && is_durable(target))
            lv_topology_log(broker, change);
        unbind(broker, binding);
    }
    remove_doomed(broker);
}

/* A change of what is in a vhost. */
static int apply_within(struct lv_broker *broker, const struct lv_change *change,
                        struct lv_diag *diag, struct lv_change_result *ret_result)
{
    struct lv_vhost *vhost = lv_topology_vhost(&broker->topology, change->vhost);
    int rc = 0;

    if (vhost == NULL) /* deleted while the change was on its way */
        return lv_vhost_missing(change->vhost, diag);
    switch (change->kind) {
    case LV_CHANGE_EXCHANGE_DECLARE:
        rc = declare_exchange(broker, vhost, change, diag);
        break;
    case LV_CHANGE_EXCHANGE_DELETE:
        rc = delete_exchange(broker, vhost, change, diag);
        break;
    case LV_CHANGE_QUEUE_DECLARE:
        rc = declare_queue(broker, vhost, change, diag);
        break;
    case LV_CHANGE_QUEUE_DELETE:
        delete_queue(broker, vhost, change, ret_result);
        break;
    case LV_CHANGE_BIND:
        rc = bind(broker, vhost, change, diag);
        break;
    case LV_CHANGE_UNBIND:
        unbind_change(broker, vhost, change);
        break;
    default:
        LV_IMPOSSIBLE("the others are not about what is in a vhost");
    }
    return rc;
}

/* ---- vhosts ---- */

/* All at once: nothing leaves its map by itself, which would take the square of their number. */
static void drop_all(struct lv_vhost *vhost)
{
    struct lv_exchange *exchange;
    struct lv_queue_entry *entry;
    uint32_t cursor = 0;

    while ((exchange = lv_map_next(&vhost->exchanges, &cursor)) != NULL)
        lv_exchange_free(exchange);
    cursor = 0;
    while ((entry = lv_map_next(&vhost->queues, &cursor)) != NULL)
        entry_free(entry);
    lv_map_fini(&vhost->queues);
    lv_map_fini(&vhost->exchanges);
}

void lv_vhost_unref(struct lv_vhost *vhost)
{
    assert(vhost->refs > 0);
    if (--vhost->refs > 0)
        return;
    drop_all(vhost);
    lv_tally_fini(&vhost->tally);
    lv_free(vhost->arguments);
    lv_free(vhost);
}

/* The exchanges that 0-9-1 §3.1.3 promises and those that RabbitMQ adds. */
static int add_predeclared(struct lv_broker *broker, struct lv_vhost *vhost)
{
    for (size_t i = 0; i < LV_COUNT(predeclared); i++) {
        struct lv_exchange *exchange =
            lv_exchange_new(broker, vhost, lv_text(predeclared[i].name), predeclared[i].type);
        if (exchange == NULL)
            return -LV_E_NOMEM;
        exchange->durable = true;
        exchange->internal = predeclared[i].internal;
        if (add_exchange(broker, vhost, exchange) < 0) {
            lv_exchange_free(exchange);
            return -LV_E_NOMEM;
        }
    }
    assert(vhost->exchanges.count == LV_COUNT(predeclared));
    return 0;
}

static int add_vhost(struct lv_broker *broker, const struct lv_change *change)
{
    struct lv_vhost *vhost = lv_calloc(1, sizeof *vhost + change->vhost.size);
    int rc;

    if (vhost == NULL)
        return -LV_E_NOMEM;
    lv_map_init(&vhost->exchanges, &broker->config.hash_key);
    lv_map_init(&vhost->queues, &broker->config.hash_key);
    lv_tally_init(&vhost->tally);
    vhost->max_queues = -1;
    vhost->refs = 1;
    vhost->name_size = (uint8_t)change->vhost.size;
    lv_put_bytes((uint8_t *)vhost->name, change->vhost);
    rc = lv_arguments_copy(change->arguments, &vhost->arguments);
    if (rc == 0)
        rc = add_predeclared(broker, vhost);
    if (rc == 0)
        rc = lv_map_put(&broker->topology.vhosts, lv_vhost_name(vhost), vhost);
    if (rc < 0) {
        broker->topology.exchange_count -= vhost->exchanges.count;
        lv_vhost_unref(vhost);
    }
    return rc;
}

/* What operators say of one that is there may change. */
static int put_vhost(struct lv_broker *broker, const struct lv_change *change, struct lv_diag *diag)
{
    struct lv_vhost *vhost = lv_topology_vhost(&broker->topology, change->vhost);
    struct lv_table *arguments = NULL;
    int rc = lv_access_check_name("virtual host", change->vhost, diag);

    if (rc < 0)
        return rc;
    if (vhost != NULL && change->is_new)
        return lv_fail(diag, -LV_E_PRECONDITION, "Virtual host '%.*s' already exists",
                       LV_FMT(change->vhost));
    if (vhost == NULL && broker->topology.vhosts.count >= LV_VHOSTS_MAX)
        return lv_fail(diag, -LV_E_PRECONDITION,
                       "cannot add virtual host '%.*s': virtual host limit of %u is reached",
                       LV_FMT(change->vhost), LV_VHOSTS_MAX);
    if (vhost == NULL) {
        rc = add_vhost(broker, change);
    } else {
        rc = lv_arguments_copy(change->arguments, &arguments);
        if (rc == 0) {
            lv_free(vhost->arguments);
            vhost->arguments = arguments;
        }
    }
    if (rc < 0)
        return rc;
    broker->access.version++;
    lv_topology_log(broker, change);
    return 0;
}

int lv_vhost_missing(struct lv_bytes name, struct lv_diag *diag)
{
    assert(name.size <= UINT8_MAX);
    return lv_fail(diag, -LV_E_NOT_FOUND, "Virtual host '%.*s' does not exist", LV_FMT(name));
}

/* What is in the vhost is not counted any more, and not found by its id. */
static void discount(struct lv_broker *broker, const struct lv_vhost *vhost)
{
    struct lv_topology *topology = &broker->topology;
    const struct lv_exchange *exchange;
    const struct lv_queue_entry *entry;
    uint32_t cursor = 0;

    while ((exchange = lv_map_next(&vhost->exchanges, &cursor)) != NULL) {
        topology->arguments_size -= lv_arguments_size(exchange->arguments);
        LV_LIST_EACH(&exchange->bindings, link)
        {
            struct lv_binding *binding = lv_container(link, struct lv_binding, source_link);
            remove_binding(broker, binding);
        }
    }
    cursor = 0;
    while ((entry = lv_map_next(&vhost->queues, &cursor)) != NULL) {
        topology->arguments_size -= lv_arguments_size(entry->arguments);
        if (entry->queue != NULL)
            lv_map_remove(&broker->homes, lv_bytes(&entry->id, sizeof entry->id));
    }
    topology->exchange_count -= vhost->exchanges.count;
    topology->queue_count -= vhost->queues.count;
    topology->version++;
}

/* Everything in it goes with this one change; who is in it is told to go. */
static int delete_vhost(struct lv_broker *broker, const struct lv_change *change,
                        struct lv_diag *diag)
{
    struct lv_vhost *vhost = lv_topology_vhost(&broker->topology, change->vhost);
    char why[LV_WHY_SIZE];

    if (vhost == NULL)
        return lv_vhost_missing(change->vhost, diag);
    lv_topology_log(broker, change);
    lv_map_remove(&broker->topology.vhosts, lv_vhost_name(vhost));
    lv_tally_forget_limits(&vhost->tally);
    discount(broker, vhost);
    drop_all(vhost);
    lv_map_init(&vhost->exchanges, &broker->config.hash_key);
    lv_map_init(&vhost->queues, &broker->config.hash_key);
    lv_access_forget_vhost(&broker->access, lv_vhost_name(vhost));
    broker->access.version++;
    snprintf(why, sizeof why, "vhost '%.*s' is deleted", LV_FMT(lv_vhost_name(vhost)));
    lv_clients_force(broker, vhost, NULL, why);
    lv_vhost_unref(vhost);
    return 0;
}

/* ---- the whole ---- */

/* Nothing here may depend on anything but state and change: other shards apply the same. */
int lv_topology_apply(struct lv_broker *broker, const struct lv_change *change,
                      struct lv_diag *diag, struct lv_change_result *ret_result)
{
    int rc;

    assert(change->kind < LV_CHANGE_COUNT);
    if (change->kind <= LV_CHANGE_UNBIND)
        rc = apply_within(broker, change, diag, ret_result);
    else if (change->kind == LV_CHANGE_VHOST_PUT)
        rc = put_vhost(broker, change, diag);
    else if (change->kind == LV_CHANGE_VHOST_DELETE)
        rc = delete_vhost(broker, change, diag);
    else
        rc = lv_access_apply(broker, change, diag);
    if (rc == -LV_E_NOMEM && broker->config.shard_count > 1)
        lv_broker_exhausted(); /* shards that differ would be worse than none */
    return rc == -LV_E_NOMEM ? lv_fail(diag, rc, "out of memory") : rc;
}

/* Version 0 is kept for routes that were never looked up. */
void lv_topology_init(struct lv_broker *broker, struct lv_topology *topology)
{
    assert(topology == &broker->topology);
    *topology = (struct lv_topology){
        .version = 1,
        .limits =
            {
                .queues = LV_QUEUES_MAX,
                .exchanges = LV_EXCHANGES_MAX,
                .bindings = LV_BINDINGS_MAX,
                .arguments_size = LV_ARGUMENTS_SIZE_MAX,
            },
    };
    lv_list_init(&topology->doomed);
    lv_map_init(&topology->vhosts, &broker->config.hash_key);
}

/* Only with the broker: there are no clients left, and nobody is told. */
void lv_topology_fini(struct lv_topology *topology)
{
    uint32_t cursor = 0;

    assert(lv_list_is_empty(&topology->doomed));
    for (struct lv_vhost *vhost; (vhost = lv_map_next(&topology->vhosts, &cursor)) != NULL;)
        lv_vhost_unref(vhost);
    lv_map_fini(&topology->vhosts);
}
