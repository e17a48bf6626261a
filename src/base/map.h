/*
 * base/map.h - open addressing from byte strings to objects, hashed with a secret key.
 *
 * Keys come from strangers: SipHash under a key that they don't know keeps them from choosing
 * collisions. The map stores a view of the key, which must live as long as the entry (usually it
 * lies in the value); an empty map owns no memory. Not in the order of insertion. One owner.
 */
#pragma once

#include "base/bytes.h"
#include "base/defs.h"

/* A secret of the process: who knows it can choose keys that collide. */
struct lv_hash_key {
    uint64_t k0, k1;
};

/* SipHash-1-3 of the bytes under the key. */
uint64_t lv_siphash(const struct lv_hash_key *key, struct lv_bytes bytes);

struct lv_map_entry; /* 24 bytes; what lies where is nobody else's business */

/* Open addressing, at most three quarters full. It owns its table and neither keys nor values. */
struct lv_map {
    struct lv_map_entry *entries;  /* own */
    const struct lv_hash_key *key; /* view  outlives the map */
    uint32_t capacity;             /*       0 or a power of two */
    uint32_t count;
};

/* Keeps a view of `key`, which outlives the map. */
void lv_map_init(struct lv_map *map, const struct lv_hash_key *key);
/* Frees the table, not the values. */
void lv_map_fini(struct lv_map *map);

/* The value put under these bytes, NULL when there is none. */
void *lv_map_get(const struct lv_map *map, struct lv_bytes key);
/* The key must be absent. Keeps a view of `key` and `value` (not NULL). -LV_E_NOMEM changes
 * nothing. */
int lv_map_put(struct lv_map *map, struct lv_bytes key, void *value) LV_MUST_CHECK;
/* Gives the value that was there, or NULL. Never fails, never allocates. */
void *lv_map_remove(struct lv_map *map, struct lv_bytes key);
/* Walks all values: start with *cursor = 0; NULL at the end. The value just given may be removed
 * during the walk only when the walk then starts again. */
void *lv_map_next(const struct lv_map *map, uint32_t *cursor);

typedef void lv_map_visit_fn(void *ctx, void *value);

/* Walks all values in steps between which the map may change in any way: what is there from the
 * beginning of the walk to its end is visited once. Start with *position = 0. One step visits the
 * values of one place, often none; `visit` may not change the map. False: that was the last. */
bool lv_map_scan(const struct lv_map *map, uint64_t *position, lv_map_visit_fn *visit, void *ctx);
