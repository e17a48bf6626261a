#include "broker/tally.h"

#include "base/alloc.h"
#include "broker/core.h"

void lv_tally_init(struct lv_tally *tally)
{
    assert(tally != NULL);
    *tally = (struct lv_tally){.max_connections = -1, .max_channels = -1};
}

void lv_tally_forget_limits(struct lv_tally *tally)
{
    assert(tally != NULL);
    tally->max_connections = tally->max_channels = -1;
}

void lv_tally_fini(struct lv_tally *tally)
{
    assert(tally->here.connections == 0);
    lv_free(tally->there);
    tally->there = NULL;
}

/* Without memory a shard is not told: it counts the one that it was told of last. */
void lv_tally_tell(struct lv_broker *broker, const struct lv_tally *tally, bool is_vhost,
                   struct lv_bytes name)
{
    if (tally->max_connections < 0 && tally->max_channels < 0)
        return;
    assert(name.size <= UINT8_MAX);
    for (uint32_t shard = 0; shard < broker->config.shard_count; shard++) {
        struct lv_op *op;
        if (shard == broker->config.shard)
            continue;
        op = lv_op_new(broker, LV_OP_COUNT, (uint32_t)name.size);
        if (op == NULL)
            continue;
        op->count.counts = tally->here;
        op->count.is_vhost = is_vhost;
        lv_put_bytes(op->data, name);
        lv_op_send(broker, shard, op);
    }
}

void lv_tally_count_connection(struct lv_broker *broker, struct lv_tally *tally, bool is_vhost,
                               struct lv_bytes name, int change)
{
    assert(change > 0 || tally->here.connections > 0);
    tally->here.connections += (uint32_t)change;
    lv_tally_tell(broker, tally, is_vhost, name);
}

void lv_tally_count_channel(struct lv_broker *broker, struct lv_tally *tally, bool is_vhost,
                            struct lv_bytes name, int change)
{
    assert(change > 0 || tally->here.channels > 0);
    tally->here.channels += (uint32_t)change;
    lv_tally_tell(broker, tally, is_vhost, name);
}

/* Here and on all other shards. */
static struct lv_counts total(const struct lv_broker *broker, const struct lv_tally *tally)
{
    struct lv_counts sum = tally->here;

    assert(broker->config.shard_count <= LV_SHARDS_MAX);
    for (uint32_t shard = 0; tally->there != NULL && shard < broker->config.shard_count; shard++) {
        sum.connections += tally->there[shard].connections;
        sum.channels += tally->there[shard].channels;
    }
    return sum;
}

bool lv_tally_is_full_of_connections(const struct lv_broker *broker, const struct lv_tally *tally)
{
    return tally->max_connections >= 0 &&
           total(broker, tally).connections >= (uint64_t)tally->max_connections;
}

bool lv_tally_is_full_of_channels(const struct lv_broker *broker, const struct lv_tally *tally)
{
    return tally->max_channels >= 0 &&
           total(broker, tally).channels >= (uint64_t)tally->max_channels;
}

/* NULL: no such user or vhost here. */
static struct lv_tally *find(const struct lv_broker *broker, const struct lv_op *op)
{
    struct lv_bytes name = lv_bytes(op->data, op->size);

    assert(op->kind == LV_OP_COUNT);
    if (op->count.is_vhost) {
        struct lv_vhost *vhost = lv_topology_vhost(&broker->topology, name);
        return vhost == NULL ? NULL : &vhost->tally;
    }
    struct lv_user *user = lv_access_user(&broker->access, name);
    return user == NULL ? NULL : &user->tally;
}

/* Who is not known yet may be on the way; who is gone needs no count. */
void lv_tally_take(struct lv_broker *broker, struct lv_op *op)
{
    struct lv_tally *tally = find(broker, op);

    if (lv_op_is_early(broker, op)) {
        lv_list_push_back(&broker->early, &op->link);
        return;
    }
    assert(op->from != broker->config.shard);
    if (tally != NULL && tally->there == NULL)
        tally->there = lv_calloc(broker->config.shard_count, sizeof *tally->there);
    if (tally != NULL && tally->there != NULL)
        tally->there[op->from] = op->count.counts;
    lv_op_free(op);
}
