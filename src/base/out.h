/*
 * base/out.h - the bytes a connection has still to send: a chain of chunks.
 *
 * Small things are copied into chunks of a pool that the connections of one shard share; large
 * bodies stay where they are and are only pointed at (lv_out_view), their owner told when they have
 * gone. An empty chain holds no chunk, so idle connections cost nothing. Pure; one owner.
 */
#pragma once

#include "base/bytes.h"
#include "base/defs.h"

#define LV_OUT_CHUNK_SIZE (32768u - 64u) /* bytes of room; with its header a chunk is 32 KiB */
#define LV_OUT_POOL_MAX   64u            /* free chunks that a pool keeps */

struct lv_chunk;
struct lv_piece;

struct lv_chunk_pool {
    struct lv_chunk *free_chunks; /* own   the one used last first, as it is still in the cache */
    uint32_t free_count;
    uint64_t used_count; /* chunks in chains: memory that the shard accounts for */
};

/*
 * A chain of chunks, and through their room a row of pieces. A piece is a run of bytes: copied ones
 * in the room itself, or viewed ones elsewhere. Only the last piece, `open`, grows; where it ends
 * is `tail`. The small struct that describes a view lies in the room too, so a view allocates
 * nothing.
 */
struct lv_out {
    struct lv_chunk_pool *pool; /* view  outlives the chain */
    struct lv_chunk *first;     /* own   NULL when nothing waits */
    struct lv_chunk *last;      /* view */
    struct lv_piece *oldest;    /* view  lies in `first` */
    struct lv_piece *open;      /* view  lies in `last` */
    uint8_t *tail;              /* view  where the next copied byte goes */
    uint8_t *end;               /* view  of the last chunk's room */
    size_t size;                /*       bytes not yet consumed */
};

/* Told once when viewed bytes are no longer needed. */
typedef void lv_out_release_fn(void *owner);

/* Takes no memory before it is needed. */
void lv_chunk_pool_init(struct lv_chunk_pool *pool);
/* After all chains: asserts that every chunk has come back. */
void lv_chunk_pool_fini(struct lv_chunk_pool *pool);

/* Keeps a view of the pool. */
void lv_out_init(struct lv_out *out, struct lv_chunk_pool *pool);
/* Releases all that is left; the chain may be used again. */
void lv_out_fini(struct lv_out *out);

/* lv_out_reserve() when the last chunk is too full. */
uint8_t *lv_out_reserve_chunk(struct lv_out *out) LV_MUST_CHECK;

/* Room for `size` (1 to LV_OUT_CHUNK_SIZE) bytes in one piece, or NULL when out of memory. Becomes
 * part of the chain by lv_out_commit() with what was really used; nothing may come between. */
static inline LV_MUST_CHECK uint8_t *lv_out_reserve(struct lv_out *out, size_t size)
{
    assert(size > 0 && size <= LV_OUT_CHUNK_SIZE);
    if (LV_LIKELY((size_t)(out->end - out->tail) >= size))
        return out->tail;
    return lv_out_reserve_chunk(out);
}

/* Adds the first `size` bytes of what was reserved just before. */
static inline void lv_out_commit(struct lv_out *out, size_t size)
{
    assert(size <= (size_t)(out->end - out->tail));
    out->tail += size;
    out->size += size;
}

/* A copy of any size, over several chunks. -LV_E_NOMEM may have added a part: drop the chain. */
int lv_out_copy(struct lv_out *out, struct lv_bytes bytes) LV_MUST_CHECK;
/* Points at bytes that stay valid until `release(owner)`; on failure nothing is kept. */
int lv_out_view(struct lv_out *out, struct lv_bytes bytes, lv_out_release_fn *release, void *owner)
    LV_MUST_CHECK;

/* The oldest pieces, at most `max`; returns how many. They stay valid until lv_out_consume(). */
size_t lv_out_gather(const struct lv_out *out, struct lv_bytes *pieces, size_t max);
/* `size` bytes (≤ out->size) have been sent: owners of views that went out whole are told, chunks
 * with nothing left go back to the pool. */
void lv_out_consume(struct lv_out *out, size_t size);
