/*
 * broker/headers.h - bindings of a headers exchange, grouped by the names they ask about.
 *
 * A binding is one or more rules, each of which wants some headers to be there, with a value or
 * (asked for as void) with any: x-match `all` makes one rule of all arguments, `any` one rule of
 * each. Rules about the same names form a group; a message's values for these names are hashed once
 * and looked up, so a message costs the number of groups, not the number of bindings. Values are
 * equal as lv_value_equal() says: integers of all widths are one kind, 1 is not 1.0 and not "1".
 * Owning shard only.
 */
#pragma once

#include "base/err.h"
#include "base/list.h"
#include "base/map.h"
#include "base/value.h"

struct lv_headers_seen;
struct lv_headers_binding;

/* Bindings are grouped by which names they ask for: a message is hashed once per group, whatever
 * the number of bindings in it. */
struct lv_headers {
    struct lv_map groups;          /* own   by the names asked about */
    struct lv_list group_list;     /* view  the same, in the order they came */
    struct lv_headers_seen *seen;  /* own   the message's headers by name, during a match */
    const struct lv_hash_key *key; /* view  outlives it */
    uint32_t seen_capacity;
};

/* Keeps a view of `key`. Without bindings it owns no memory. */
void lv_headers_init(struct lv_headers *headers, const struct lv_hash_key *key);
/* No binding may be left. */
void lv_headers_fini(struct lv_headers *headers);

/* Can this be bound? 0, or -LV_E_PRECONDITION with RabbitMQ's text. NULL is an empty table. */
int lv_headers_check(const struct lv_table *arguments, struct lv_diag *diag) LV_MUST_CHECK;
/* Arguments that were checked; keeps a view of them and of `owner`, which is given back by a match.
 * Gives what lv_headers_remove() takes. -LV_E_NOMEM changes nothing. */
int lv_headers_add(struct lv_headers *headers, const struct lv_table *arguments, void *owner,
                   struct lv_headers_binding **ret_binding) LV_MUST_CHECK;
/* Frees it. */
void lv_headers_remove(struct lv_headers *headers, struct lv_headers_binding *binding);

/* An error ends the match. */
typedef int lv_headers_visit_fn(void *ctx, void *owner);

/* Visits the owners of all bindings that match a message with these headers (NULL: none); one that
 * matches `any` in several ways is visited several times. Returns 0, -LV_E_NOMEM, or the error of
 * `visit`. */
int lv_headers_match(struct lv_headers *headers, const struct lv_table *message,
                     lv_headers_visit_fn *visit, void *ctx) LV_MUST_CHECK;
