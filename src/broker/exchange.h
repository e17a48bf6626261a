/*
 * broker/exchange.h - one exchange's own work: keeping bindings where routing finds them.
 *
 * Bindings with one key hang on one struct lv_binding_key, so that a direct exchange finds them all
 * by one look and the key is stored once; a topic exchange has it in a trie, a headers exchange has
 * bindings by their arguments. Adding, finding and removing a binding costs O(length of
 * its key), whatever the number of others: few bindings of a key are looked through, many have an
 * index of their own. Owning shard only.
 */
#pragma once

#include "base/err.h"
#include "broker/topology.h"

/* Gives an exchange without bindings, or NULL when out of memory. Does not enter it anywhere. */
struct lv_exchange *lv_exchange_new(struct lv_broker *broker, struct lv_vhost *vhost,
                                    struct lv_bytes name, enum lv_exchange_type type) LV_MUST_CHECK;
/* Takes NULL. Its bindings go too, those that lead to it as well. */
void lv_exchange_free(struct lv_exchange *exchange);

/* NULL when there is none with just these. */
struct lv_binding *lv_exchange_find(const struct lv_exchange *exchange, struct lv_target *target,
                                    struct lv_bytes key, const struct lv_table *arguments);
/* The binding must not exist yet. -LV_E_PRECONDITION: exchanges of this type can't have it. */
int lv_exchange_bind(struct lv_exchange *exchange, struct lv_target *target, struct lv_bytes key,
                     const struct lv_table *arguments, struct lv_diag *diag) LV_MUST_CHECK;
/* Removes and frees. */
void lv_binding_free(struct lv_binding *binding);

/* The bindings with this key, or NULL when there are none. */
struct lv_binding_key *lv_exchange_key(const struct lv_exchange *exchange, struct lv_bytes key);
