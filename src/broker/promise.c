#include "broker/promise.h"

#include "base/alloc.h"
#include "broker/core.h"

#define CAPACITY_MIN 64u

/* Without a log there is never a promise, so no memory is taken before the first. */
void lv_promises_init(struct lv_promises *promises)
{
    assert(promises != NULL);
    *promises = (struct lv_promises){0};
}

/* Numbers only grow: a promise keeps its own wherever in the ring it lies. */
static struct lv_promise *at(const struct lv_promises *promises, uint64_t number)
{
    assert(promises->capacity > 0);
    assert(number - promises->first < promises->capacity);
    return &promises->ring[number & (promises->capacity - 1)];
}

/* The broker ends: who was promised something is not told any more. */
void lv_promises_fini(struct lv_promises *promises)
{
    assert(promises->first <= promises->next);
    for (uint64_t i = promises->first; i < promises->next; i++)
        lv_op_free(at(promises, i)->op);
    lv_free(promises->ring);
    lv_promises_init(promises);
}

/* Before the message is logged, which cannot be undone. */
int lv_promise_reserve(struct lv_broker *broker)
{
    struct lv_promises *promises = &broker->promises;
    struct lv_promises larger = *promises;

    assert(promises->next - promises->first <= promises->capacity);
    if (LV_LIKELY(promises->next - promises->first < promises->capacity))
        return 0;
    larger.capacity = promises->capacity == 0 ? CAPACITY_MIN : 2 * promises->capacity;
    larger.ring = lv_alloc(larger.capacity * sizeof *larger.ring);
    if (larger.ring == NULL)
        return -LV_E_NOMEM;
    for (uint64_t i = promises->first; i < promises->next; i++)
        *at(&larger, i) = *at(promises, i);
    broker->memory_size += (larger.capacity - promises->capacity) * sizeof *larger.ring;
    lv_free(promises->ring);
    *promises = larger;
    return 0;
}

/* To be kept when all that is logged now is on disk, here and of the topology. */
static struct lv_promise *add(struct lv_broker *broker)
{
    assert(broker->promises.next - broker->promises.first < broker->promises.capacity);
    struct lv_promise *promise = at(&broker->promises, broker->promises.next++);

    *promise = (struct lv_promise){
        .lsn = lv_log_end(broker->config.log),
        .topology_lsn = broker->topology_lsn,
    };
    return promise;
}

/* Publishes one after the other share a promise as long as they will be in one block. */
void lv_promise_confirm(struct lv_broker *broker, struct lv_channel *channel, uint64_t tag)
{
    struct lv_promises *promises = &broker->promises;
    struct lv_promise *last;

    assert(channel->broker == broker);
    if (promises->next > promises->first) {
        last = at(promises, promises->next - 1);
        if (last->channel == channel && last->to + 1 == tag &&
            lv_log_is_open(broker->config.log, last->lsn) &&
            last->topology_lsn == broker->topology_lsn) {
            last->to = tag;
            last->lsn = lv_log_end(broker->config.log);
            return;
        }
    }
    last = add(broker);
    last->channel = channel;
    last->from = last->to = tag;
    channel->refs++;
}

/* Is everything that was logged here and that the topology needs on disk? */
static bool is_due(const struct lv_broker *broker, uint64_t lsn, uint64_t topology_lsn)
{
    assert(lsn <= lv_log_end(broker->config.log));
    return lsn <= lv_log_synced_lsn(broker->config.log) &&
           topology_lsn <= broker->topology_synced_lsn;
}

/* In its turn behind older promises, although it may be due already: answers keep their order. */
void lv_promise_send(struct lv_broker *broker, uint32_t shard, struct lv_op *op)
{
    struct lv_promise *promise;

    assert(op != NULL);
    assert(shard < broker->config.shard_count);
    if (broker->config.log == NULL ||
        (broker->promises.first == broker->promises.next &&
         is_due(broker, lv_log_end(broker->config.log), broker->topology_lsn))) {
        lv_op_send(broker, shard, op);
        return;
    }
    if (lv_promise_reserve(broker) < 0)
        lv_broker_exhausted();
    promise = add(broker);
    promise->op = op;
    promise->shard = shard;
}

/* Mostly nothing of the topology is under way, and then nobody waits. */
void lv_promise_topology(struct lv_broker *broker, uint32_t shard, struct lv_op *op)
{
    assert(op != NULL);
    if (LV_UNLIKELY(broker->topology_lsn > broker->topology_synced_lsn))
        lv_promise_send(broker, shard, op);
    else
        lv_op_send(broker, shard, op);
}

/* A promise that is kept may make another one, so each is taken out before. */
void lv_promises_keep(struct lv_broker *broker)
{
    struct lv_promises *promises = &broker->promises;

    assert(broker->config.log != NULL || promises->first == promises->next);
    while (promises->first < promises->next) {
        struct lv_promise promise = *at(promises, promises->first);

        if (!is_due(broker, promise.lsn, promise.topology_lsn))
            return;
        promises->first++;
        if (promise.op != NULL)
            lv_op_send(broker, promise.shard, promise.op);
        else
            lv_channel_logged(promise.channel, promise.from, promise.to);
    }
}
