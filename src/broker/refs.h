/*
 * broker/refs.h - a deque of 16-byte references: what waits in a queue, with its numbers.
 *
 * Numbers grow, nearly always by one, so a chunk has that of its first reference only; a small gap
 * is filled with references to nothing, a larger one begins a chunk.
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

/* Makes sure that the next lv_refs_push() needs no memory, if its number follows the last. */
int lv_refs_reserve(struct lv_refs *refs, struct lv_refs_pool *pool) LV_MUST_CHECK;
/* Takes the ref, whose size is not 0, to the end; `seq` is above all before. -LV_E_NOMEM changes
 * nothing, and the ref stays the caller's. */
int lv_refs_push(struct lv_refs *refs, struct lv_refs_pool *pool, uint64_t seq,
                 struct lv_ref ref) LV_MUST_CHECK;
/* The oldest, which stays, and its number. The deque must not be empty. */
struct lv_ref lv_refs_first(const struct lv_refs *refs, uint64_t *ret_seq);
/* The deque must not be empty. */
struct lv_ref lv_refs_pop(struct lv_refs *refs, struct lv_refs_pool *pool);
