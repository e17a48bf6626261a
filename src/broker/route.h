/*
 * broker/route.h - which queues a message goes to.
 *
 * From the exchange a message was published to, bindings lead to queues and to further exchanges;
 * one that no binding leads away from hands over to its alternate. Each exchange is visited once
 * per message, in whatever ways it can be reached, and each queue gets one copy.
 *
 * A small cache of routes found stands in front: direct-mapped by a hash of exchange and key,
 * verified by full compare, and good only for the topology's version it was found under. Routes
 * that depend on headers are not kept. Owning shard only.
 */
#pragma once

#include "base/err.h"
#include "broker/message.h"
#include "broker/topology.h"

/* A view of the router's memory, valid until the next routing. */
struct lv_targets {
    struct lv_queue_entry **entries; /* view  each queue once, those of this shard first */
    uint32_t count;
    uint32_t local_count;
};

struct lv_route; /* a slot of the cache */

/* One for a shard, so that routing allocates nothing. */
struct lv_router {
    struct lv_route *slots;          /* own   made when first used */
    struct lv_queue_entry **entries; /* own   the last route found without the cache */
    struct lv_arena arena;           /*       headers, while a message is routed by them */
    uint32_t capacity;
    uint64_t mark; /*       number of the last routing */
};

/* Holds no memory until the first message. */
void lv_router_init(struct lv_router *router);
/* May follow an init, or nothing but zeros. */
void lv_router_fini(struct lv_router *router);

/* The queues for a message; valid until the next call or change. -LV_E_NOT_FOUND,
 * -LV_E_ACCESS_REFUSED (internal exchange), -LV_E_PRECONDITION (CC or BCC is no array),
 * -LV_E_NOMEM. */
int lv_route(struct lv_broker *broker, const struct lv_vhost *vhost,
             const struct lv_message *message, struct lv_diag *diag, struct lv_targets *ret_targets)
    LV_MUST_CHECK;
/* The properties that receivers may see, without BCC; valid until the next lv_route(). For messages
 * with LV_MESSAGE_EXTRA_KEYS. */
int lv_route_visible(struct lv_broker *broker, const struct lv_message *message,
                     struct lv_bytes *ret_properties) LV_MUST_CHECK;
/* Gives back the memory that these have used. */
void lv_route_forget(struct lv_broker *broker);
