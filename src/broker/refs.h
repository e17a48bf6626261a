/*
 * broker/refs.h - a deque of 16-byte references: what waits in a queue, in order.
 *
 * A chain of chunks, the first of a queue small, so that a queue with little in it costs little and
 * one with a long backlog 16 bytes a message. An empty deque keeps at most its small chunk. One
 * owner.
 */
#pragma once

#include "base/defs.h"
#include "store/store.h"

struct lv_refs_chunk;

/* One for a shard: chunks that one queue has emptied serve the next one. */
struct lv_refs_pool {
    struct lv_refs_chunk *free_chunks; /* own   full-size chunks, at most LV_REFS_POOL_MAX */
    uint32_t free_count;
    uint64_t memory_size; /* bytes in use and kept, by all deques of this pool */
};

/* A deque of 16-byte refs: what a queue costs per message. */
struct lv_refs {
    struct lv_refs_chunk *first; /* own */
    struct lv_refs_chunk *last;  /* view */
    uint32_t head;               /*       index of the oldest in `first` */
    uint32_t tail;               /*       index behind the newest in `last` */
    uint64_t count;
};

/* Holds no memory until a deque grows. */
void lv_refs_pool_init(struct lv_refs_pool *pool);
/* Every deque of the pool must be empty. */
void lv_refs_pool_fini(struct lv_refs_pool *pool);

/* Empty, and without memory. */
void lv_refs_init(struct lv_refs *refs);
/* Forgets what is left in it; releasing that in the store is the caller's. */
void lv_refs_fini(struct lv_refs *refs, struct lv_refs_pool *pool);

/* Takes the ref to the end. -LV_E_NOMEM changes nothing, and the ref stays the caller's. */
/* Makes sure that the next lv_refs_push() needs no memory. */
int lv_refs_reserve(struct lv_refs *refs, struct lv_refs_pool *pool) LV_MUST_CHECK;
int lv_refs_push(struct lv_refs *refs, struct lv_refs_pool *pool, struct lv_ref ref) LV_MUST_CHECK;
/* The oldest, which stays. The deque must not be empty. */
struct lv_ref lv_refs_first(const struct lv_refs *refs);
/* The deque must not be empty. */
struct lv_ref lv_refs_pop(struct lv_refs *refs, struct lv_refs_pool *pool);
