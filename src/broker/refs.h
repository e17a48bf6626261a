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

/* A link of the deque: filled at the end of the last one, emptied at the start of the first. */
struct lv_refs_chunk {
    struct lv_refs_chunk *next; /* own */
    uint32_t capacity;
    uint32_t end;       /*       behind what it has or may get */
    uint64_t first_seq; /*       number of refs[0] */
    struct lv_ref refs[];
};

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

/* Makes sure that the next lv_refs_push(), of this number, needs no memory. */
int lv_refs_reserve(struct lv_refs *refs, struct lv_refs_pool *pool, uint64_t seq) LV_MUST_CHECK;
/* lv_refs_push() when there is no room, or the number does not follow the last one. */
int lv_refs_push_slowly(struct lv_refs *refs, struct lv_refs_pool *pool, uint64_t seq,
                        struct lv_ref ref) LV_MUST_CHECK;
/* The first chunk is used up, or goes on behind a gap. */
void lv_refs_advance(struct lv_refs *refs, struct lv_refs_pool *pool);

/* Takes the ref, whose size is not 0, to the end; `seq` is above all before. -LV_E_NOMEM changes
 * nothing, and the ref stays the caller's. */
static inline LV_MUST_CHECK int lv_refs_push(struct lv_refs *refs, struct lv_refs_pool *pool,
                                             uint64_t seq, struct lv_ref ref)
{
    struct lv_refs_chunk *last = refs->last;

    if (LV_UNLIKELY(last == NULL || refs->tail == last->capacity || refs->tail == 0 ||
                    last->first_seq + refs->tail != seq))
        return lv_refs_push_slowly(refs, pool, seq, ref);
    last->refs[refs->tail++] = ref;
    refs->count++;
    return 0;
}

/* The oldest, which stays, and its number. The deque must not be empty. */
static inline struct lv_ref lv_refs_first(const struct lv_refs *refs, uint64_t *ret_seq)
{
    assert(refs->count > 0);
    *ret_seq = refs->first->first_seq + refs->head;
    return refs->first->refs[refs->head];
}

/* Takes the oldest out. The deque must not be empty; an empty one gives its last chunk back too. */
static inline struct lv_ref lv_refs_pop(struct lv_refs *refs, struct lv_refs_pool *pool)
{
    const struct lv_refs_chunk *first = refs->first;
    struct lv_ref ref = first->refs[refs->head++];

    assert(refs->count > 0);
    refs->count--;
    if (LV_UNLIKELY(refs->count == 0 || refs->head == first->end ||
                    first->refs[refs->head].size == 0))
        lv_refs_advance(refs, pool);
    return ref;
}
