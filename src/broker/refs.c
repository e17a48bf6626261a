#include "broker/refs.h"

#include "base/alloc.h"
#include "base/err.h"

#define CHUNK_SMALL      12u  /* references: 200 bytes, for queues with little in them */
#define CHUNK_FULL       254u /* references: 4 KiB */
#define GAP_MAX          8u   /* numbers that are left out within a chunk */
#define LV_REFS_POOL_MAX 64u

/* The refs follow the head in the same block. */
static size_t chunk_size(uint32_t capacity)
{
    assert(capacity > 0);
    return sizeof(struct lv_refs_chunk) + capacity * sizeof(struct lv_ref);
}

/* Small ones for queues that hold next to nothing; they are not kept, as full ones are what busy
 * queues take and give all the time. */
static struct lv_refs_chunk *chunk_new(struct lv_refs_pool *pool, uint32_t capacity)
{
    struct lv_refs_chunk *chunk = pool->free_chunks;

    assert(capacity == CHUNK_SMALL || capacity == CHUNK_FULL);
    if (capacity == CHUNK_FULL && chunk != NULL) {
        pool->free_chunks = chunk->next;
        pool->free_count--;
    } else {
        chunk = lv_alloc(chunk_size(capacity));
        if (chunk == NULL)
            return NULL;
        pool->memory_size += chunk_size(capacity);
    }
    chunk->next = NULL;
    chunk->capacity = chunk->end = capacity;
    return chunk;
}

/* A few full chunks are kept for the next burst; the rest goes back. */
static void chunk_free(struct lv_refs_pool *pool, struct lv_refs_chunk *chunk)
{
    assert(pool->memory_size >= chunk_size(chunk->capacity));
    if (chunk->capacity == CHUNK_FULL && pool->free_count < LV_REFS_POOL_MAX) {
        chunk->next = pool->free_chunks;
        pool->free_chunks = chunk;
        pool->free_count++;
        return;
    }
    pool->memory_size -= chunk_size(chunk->capacity);
    lv_free(chunk);
}

/* A shard has one for all of its queues. */
void lv_refs_pool_init(struct lv_refs_pool *pool)
{
    assert(pool != NULL);
    *pool = (struct lv_refs_pool){0};
}

/* Whatever is left is unused: deques give theirs back first. */
void lv_refs_pool_fini(struct lv_refs_pool *pool)
{
    while (pool->free_chunks != NULL) {
        struct lv_refs_chunk *chunk = pool->free_chunks;
        pool->free_chunks = chunk->next;
        pool->memory_size -= chunk_size(chunk->capacity);
        lv_free(chunk);
    }
    assert(pool->memory_size == 0); /* every deque has been emptied */
}

/* An empty deque owns nothing, so a million idle queues cost no chunk. */
void lv_refs_init(struct lv_refs *refs)
{
    assert(refs != NULL);
    *refs = (struct lv_refs){0};
}

/* What the refs point to has been released by who knows the store. */
void lv_refs_fini(struct lv_refs *refs, struct lv_refs_pool *pool)
{
    assert(refs->count == 0 || refs->first != NULL);
    while (refs->first != NULL) {
        struct lv_refs_chunk *chunk = refs->first;
        refs->first = chunk->next;
        chunk_free(pool, chunk);
    }
    lv_refs_init(refs);
}

/* The first chunk of a deque is small, the ones after it are full: who queues once queues more. */
static int grow(struct lv_refs *refs, struct lv_refs_pool *pool, uint32_t capacity)
{
    struct lv_refs_chunk *chunk = chunk_new(pool, capacity);

    assert(refs->last == NULL || refs->tail <= refs->last->capacity);
    if (chunk == NULL)
        return -LV_E_NOMEM;
    if (refs->last == NULL) {
        refs->first = chunk;
    } else {
        refs->last->next = chunk;
        refs->last->end = refs->tail;
    }
    refs->last = chunk;
    refs->tail = 0;
    return 0;
}

/* A number that lies behind a gap too large for the chunk begins another one. */
static bool has_room(const struct lv_refs *refs, uint64_t seq)
{
    const struct lv_refs_chunk *last = refs->last;
    uint64_t expected = last->first_seq + refs->tail;

    if (LV_LIKELY(refs->tail == 0 || seq == expected))
        return refs->tail < last->capacity;
    assert(seq > expected);
    return seq - expected <= GAP_MAX && seq - expected < last->capacity - refs->tail;
}

int lv_refs_reserve(struct lv_refs *refs, struct lv_refs_pool *pool, uint64_t seq)
{
    assert(refs->last == NULL || refs->tail <= refs->last->capacity);
    if (refs->last == NULL)
        return grow(refs, pool, CHUNK_SMALL);
    if (LV_LIKELY(has_room(refs, seq)))
        return 0;
    return grow(refs, pool, refs->tail == refs->last->capacity ? CHUNK_FULL : CHUNK_SMALL);
}

int lv_refs_push_slowly(struct lv_refs *refs, struct lv_refs_pool *pool, uint64_t seq,
                        struct lv_ref ref)
{
    int rc = lv_refs_reserve(refs, pool, seq);

    assert(ref.size > 0);
    if (LV_UNLIKELY(rc < 0))
        return rc;
    if (refs->tail == 0)
        refs->last->first_seq = seq;
    while (LV_UNLIKELY(refs->last->first_seq + refs->tail < seq))
        refs->last->refs[refs->tail++] = (struct lv_ref){.size = 0};
    refs->last->refs[refs->tail++] = ref;
    refs->count++;
    return 0;
}

/* The last chunk may be empty: reserved for what never came. */
void lv_refs_advance(struct lv_refs *refs, struct lv_refs_pool *pool)
{
    struct lv_refs_chunk *used = refs->first;

    assert(used != NULL);
    if (refs->count > 0 && refs->head < used->end) { /* a gap is never a chunk's end */
        while (used->refs[refs->head].size == 0)
            refs->head++;
        return;
    }
    refs->head = 0;
    if (used != refs->last) {
        refs->first = used->next;
        chunk_free(pool, used);
        used = refs->first;
    }
    if (refs->count > 0)
        return;
    assert(used == refs->last);
    refs->tail = 0;
    if (used->capacity == CHUNK_SMALL)
        return;
    refs->first = refs->last = NULL;
    chunk_free(pool, used);
}
