#include "broker/broker.h"

#include "base/alloc.h"
#include "broker/core.h"

/* Going on would break a promise: a message that was accepted would be gone, or a shard would know
 * another topology than the rest. */
_Noreturn void lv_broker_exhausted(void)
{
    LV_IMPOSSIBLE("out of memory for the broker's own bookkeeping");
}

/* Every part is made before any is used; on failure the half-made broker holds nothing yet that
 * would have to be told to others. */
struct lv_broker *lv_broker_new(const struct lv_broker_config *config)
{
    struct lv_broker *broker = lv_calloc(1, sizeof *broker);

    assert(config->shard < config->shard_count);
    assert(config->shard_count <= LV_SHARDS_MAX);
    if (broker == NULL)
        return NULL;
    broker->config = *config;
    lv_refs_pool_init(&broker->refs_pool);
    lv_router_init(&broker->router);
    lv_map_init(&broker->homes, &broker->config.hash_key);
    lv_map_init(&broker->clients, &broker->config.hash_key);
    lv_map_init(&broker->reply_tos, &broker->config.hash_key);
    lv_list_init(&broker->dirty);
    lv_list_init(&broker->confirming);
    lv_list_init(&broker->local);
    lv_list_init(&broker->waiting);
    lv_list_init(&broker->early);
    lv_list_init(&broker->leaving);
    lv_list_init(&broker->redeclaring);
    lv_list_init(&broker->remotes);
    lv_list_init(&broker->segments);
    lv_list_init(&broker->dead_segments);
    lv_list_init(&broker->sparse_segments);
    lv_list_init(&broker->cold_queues);
    lv_promises_init(&broker->promises);
    lv_random_seed(&broker->random, config->seed);
    broker->last_queue_id = config->first_serial;
    lv_topology_init(broker, &broker->topology);
    if (lv_access_init(&broker->access, &broker->config.hash_key) < 0) {
        lv_broker_free(broker);
        return NULL;
    }
    return broker;
}

/* What was under way when the shards stopped; nobody is left who would do it. */
static void drop_ops(struct lv_list *ops)
{
    struct lv_link *link;

    assert(ops != NULL);
    while ((link = lv_list_pop_front(ops)) != NULL)
        lv_op_free(lv_container(link, struct lv_op, link));
}

/* Subscribers whose channels were on shards that have stopped already. */
static void drop_remotes(struct lv_broker *broker)
{
    struct lv_link *link;

    assert(broker->clients.count == 0);
    while ((link = lv_list_pop_front(&broker->remotes)) != NULL) {
        struct lv_subscriber *subscriber = lv_container(link, struct lv_subscriber, remote_link);
        lv_subscriber_fini(subscriber);
        lv_free(subscriber);
    }
}

/* Channels whose late confirms will come no more. */
static void drop_leaving(struct lv_broker *broker)
{
    struct lv_link *link;

    assert(broker->clients.count == 0);
    while ((link = lv_list_pop_front(&broker->leaving)) != NULL)
        lv_free(lv_container(link, struct lv_channel, link));
}

/* What is known of them; the files stay. */
static void drop_segments(struct lv_list *segments)
{
    struct lv_link *link;

    while ((link = lv_list_pop_front(segments)) != NULL)
        lv_free(lv_container(link, struct lv_segment_use, link));
}

/* Clients are gone first, as their channels hold subscribers; queues go before the pool that their
 * refs come from. */
void lv_broker_free(struct lv_broker *broker)
{
    if (broker == NULL)
        return;
    assert(broker->clients.count == 0);
    assert(lv_list_is_empty(&broker->redeclaring));
    drop_leaving(broker);
    broker->config.shard_count = 1; /* nobody is left to tell */
    broker->config.shard = 0;
    drop_remotes(broker);
    lv_topology_fini(&broker->topology);
    lv_access_fini(&broker->access);
    drop_ops(&broker->local);
    drop_ops(&broker->waiting);
    drop_segments(&broker->segments);
    drop_segments(&broker->dead_segments);
    lv_promises_fini(&broker->promises);
    drop_ops(&broker->early);
    lv_router_fini(&broker->router);
    lv_map_fini(&broker->homes);
    lv_map_fini(&broker->clients);
    assert(broker->reply_tos.count == 0);
    lv_map_fini(&broker->reply_tos);
    lv_refs_pool_fini(&broker->refs_pool);
    lv_free(broker);
}

/* By id and not by name: a name may have been declared anew since the operation was sent. */
struct lv_queue_entry *lv_broker_home(const struct lv_broker *broker, uint64_t queue_id)
{
    return lv_map_get(&broker->homes, lv_bytes(&queue_id, sizeof queue_id));
}

/* From another shard, through the mesh. */
void lv_broker_take(struct lv_broker *broker, struct lv_op *op)
{
    assert(op != NULL);
    /* Like one to itself: what it causes here comes behind it. */
    lv_list_push_back(&broker->local, &op->link);
    lv_broker_settle_local(broker);
}

/* Are its consumers so far behind that what comes in now would have to leave the log's window
 * before it is theirs? A queue in memory alone may be long. */
static bool is_lagging(const struct lv_queue *queue)
{
    uint64_t seq;

    if (LV_LIKELY(queue->kept == NULL && queue->cold == NULL) || queue->consumer_count == 0)
        return false;
    if (queue->cold != NULL && queue->cold->waiting_count > 0)
        return true;
    if (queue->ready.count == 0)
        return false;
    struct lv_ref oldest = lv_refs_first(&queue->ready, &seq);
    return (oldest.flags & LV_REF_LOGGED) != 0 &&
           lv_log_end(queue->broker->config.log) - oldest.lsn > LV_LAG_SIZE;
}

/* Every queue that is dirty now has its turn; what could go on is dirty again afterwards. */
static void drain(struct lv_broker *broker)
{
    struct lv_list queues;
    struct lv_link *link;

    assert(!broker->settling);
    lv_list_init(&queues);
    lv_list_splice_back(&queues, &broker->dirty);
    while ((link = lv_list_pop_front(&queues)) != NULL) {
        struct lv_queue *queue = lv_container(link, struct lv_queue, dirty_link);
        if (lv_queue_drain(queue, LV_DRAIN_BUDGET))
            lv_queue_touch(queue);
        if (LV_UNLIKELY(queue->kept != NULL))
            lv_kept_note(queue);
        if (LV_UNLIKELY(queue->cold != NULL))
            lv_cold_read_ahead(queue);
        queue->is_lagging = is_lagging(queue);
    }
}

/* Deliveries before confirms, so that what one turn took in is also on its way out when its
 * publishers hear of it. */
bool lv_broker_turn(struct lv_broker *broker)
{
    struct lv_link *link;

    assert(!broker->settling);
    /* What waited for memory is older than anything this turn brings. */
    lv_broker_retry(broker);
    drain(broker);
    while ((link = lv_list_pop_front(&broker->confirming)) != NULL)
        lv_channel_confirm(lv_container(link, struct lv_channel, confirm_link));
    lv_broker_settle_local(broker);
    return !lv_list_is_empty(&broker->dirty) || !lv_list_is_empty(&broker->waiting);
}

bool lv_broker_user(const struct lv_broker *broker, struct lv_bytes name,
                    struct lv_user_view *ret_user)
{
    const struct lv_user *user = lv_access_user(&broker->access, name);

    assert(ret_user != NULL);
    if (user == NULL)
        return false;
    *ret_user = (struct lv_user_view){
        .name = lv_user_name(user),
        .hash = lv_text(user->hash),
        .tags = lv_text(user->tags),
        .version = user->version,
    };
    return true;
}

/* Counters that others keep are read where they are, so that they cannot run apart. */
void lv_broker_stats(const struct lv_broker *broker, struct lv_broker_stats *ret_stats)
{
    struct lv_store_stats store;

    assert(ret_stats != NULL);
    assert(broker->config.store != NULL);
    lv_store_stats(broker->config.store, &store);
    *ret_stats = broker->stats;
    ret_stats->queues = broker->homes.count;
    ret_stats->exchanges = broker->topology.exchange_count;
    ret_stats->vhosts = broker->topology.vhosts.count;
    ret_stats->memory_size =
        store.memory_size + broker->refs_pool.memory_size + broker->memory_size;
}

uint64_t lv_broker_delivered(const struct lv_broker *broker)
{
    return broker->stats.delivered;
}

bool lv_broker_is_warm(const struct lv_broker *broker, struct lv_ref ref)
{
    return (ref.flags & LV_REF_LOGGED) == 0 || lv_log_view(broker->config.log, ref.lsn) != NULL;
}

const void *lv_broker_view(const struct lv_broker *broker, struct lv_ref ref)
{
    const void *record;

    if (LV_LIKELY((ref.flags & LV_REF_LOGGED) == 0))
        return lv_store_view(broker->config.store, ref);
    record = lv_log_view(broker->config.log, ref.lsn);
    assert(record != NULL);
    return record;
}

lv_out_release_fn *lv_broker_pin(struct lv_broker *broker, struct lv_ref ref, void **ret_owner)
{
    assert(ref.size > 0);
    if (LV_LIKELY((ref.flags & LV_REF_LOGGED) == 0)) {
        *ret_owner = lv_store_pin(broker->config.store, ref);
        return lv_store_unpin;
    }
    *ret_owner = lv_log_pin(broker->config.log, ref.lsn);
    return lv_log_unpin;
}

void lv_broker_synced(struct lv_broker *broker, uint64_t topology_lsn)
{
    assert(topology_lsn >= broker->topology_synced_lsn);
    broker->topology_synced_lsn = topology_lsn;
    lv_promises_keep(broker);
    lv_broker_settle_local(broker);
}

uint64_t lv_broker_topology_lsn(const struct lv_broker *broker)
{
    return broker->topology_lsn;
}

void lv_broker_rest(struct lv_broker *broker)
{
    assert(!broker->restoring);
    broker->resting = true;
}

/* Promises stay as they are: nothing that could come would keep them. */
void lv_broker_log_failed(struct lv_broker *broker)
{
    uint32_t cursor = 0;
    struct lv_client *client;

    assert(!broker->settling);
    if (broker->log_failed)
        return;
    while ((client = lv_map_next(&broker->clients, &cursor)) != NULL)
        LV_LIST_EACH(&client->channels, link)
        {
            struct lv_channel *channel = lv_container(link, struct lv_channel, link);
            if (!channel->closing)
                lv_channel_refuse(channel);
        }
    broker->log_failed = true;
}

bool lv_broker_awaits_log(const struct lv_broker *broker)
{
    return broker->promises.first < broker->promises.next;
}
