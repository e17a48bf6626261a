/*
 * broker/exchange.h - one exchange's own work: keeping bindings where routing finds them.
 *
 * Adding and removing a binding costs O(length of its key), whatever the number of others. Owning
 * shard only.
 */
#pragma once

#include "base/err.h"
#include "broker/topology.h"

/* Gives an exchange without bindings, or NULL when out of memory. Does not enter it anywhere. */
struct lv_exchange *lv_exchange_new(struct lv_broker *broker, struct lv_vhost *vhost,
                                    struct lv_bytes name, enum lv_exchange_type type) LV_MUST_CHECK;
/* Its bindings go too. */
void lv_exchange_free(struct lv_exchange *exchange);

/* NULL when there is none with just these. */
struct lv_binding *lv_exchange_find(const struct lv_exchange *exchange,
                                    const struct lv_queue_entry *target, struct lv_bytes key,
                                    const struct lv_table *arguments);
/* The binding must not exist yet. */
int lv_exchange_bind(struct lv_exchange *exchange, struct lv_queue_entry *target,
                     struct lv_bytes key, const struct lv_table *arguments) LV_MUST_CHECK;
/* Removes and frees. */
void lv_binding_free(struct lv_binding *binding);

/* The first binding of a direct exchange with this key; others follow by key_next. */
struct lv_binding *lv_exchange_by_key(const struct lv_exchange *exchange, struct lv_bytes key);
