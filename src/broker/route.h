/*
 * broker/route.h - which queues a message goes to.
 *
 * A small cache of routes found stands in front: direct-mapped by a hash of exchange and key,
 * verified by full compare, and good only for the topology's version it was found under.
 * Owning shard only.
 */
#pragma once

#include "base/err.h"
#include "broker/topology.h"

struct lv_targets {
    struct lv_queue_entry **entries; /* view  each queue once, those of this shard first */
    uint32_t count;
    uint32_t local_count;
};

struct lv_route; /* a slot of the cache */

struct lv_router {
    struct lv_route *slots;          /* own   made when first used */
    struct lv_queue_entry **entries; /* own   the last route found without the cache */
    uint32_t capacity;
    uint64_t mark; /*       number of the last routing */
};

void lv_router_fini(struct lv_router *router);

/* The queues for a message published to this exchange with this key; valid until the next call or
 * change. -LV_E_NOT_FOUND, -LV_E_ACCESS_REFUSED (internal exchange), -LV_E_NOMEM. */
int lv_route(struct lv_broker *broker, const struct lv_vhost *vhost, struct lv_bytes exchange,
             struct lv_bytes key, struct lv_diag *diag, struct lv_targets *ret_targets)
    LV_MUST_CHECK;
