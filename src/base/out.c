#include "base/out.h"

#include "base/alloc.h"
#include "base/err.h"

struct lv_piece {
    struct lv_piece *next;      /* view  NULL for the open one */
    const uint8_t *data;        /* view  the first byte not yet consumed */
    const uint8_t *end;         /* view  NULL for the open one, which ends at the chain's tail */
    lv_out_release_fn *release; /*       NULL for copied bytes */
    void *owner;                /* ref   handed to `release` */
};

struct lv_chunk {
    struct lv_chunk *next; /* own   newer in a chain, or the next free one */
    struct lv_piece piece; /*       the first of those that lie in this chunk */
    _Alignas(8) uint8_t room[LV_OUT_CHUNK_SIZE];
};

static_assert(sizeof(struct lv_chunk) <= 32768, "a chunk fills an allocator's size class");

/* Gives a chunk, from the pool when there is one: it was used last, so it is still cached. */
static struct lv_chunk *chunk_take(struct lv_chunk_pool *pool)
{
    struct lv_chunk *chunk = pool->free_chunks;

    if (chunk != NULL) {
        assert(pool->free_count > 0);
        pool->free_chunks = chunk->next;
        pool->free_count--;
    } else {
        chunk = lv_alloc(sizeof *chunk);
        if (chunk == NULL)
            return NULL;
    }
    pool->used_count++;
    return chunk;
}

/* Takes a chunk that is in no chain any more. */
static void chunk_give(struct lv_chunk_pool *pool, struct lv_chunk *chunk)
{
    assert(pool->used_count > 0);
    pool->used_count--;
    if (pool->free_count >= LV_OUT_POOL_MAX) {
        lv_free(chunk);
        return;
    }
    chunk->next = pool->free_chunks;
    pool->free_chunks = chunk;
    pool->free_count++;
}

/* Ends the open piece, if there is one, and puts `piece` behind it. */
static void close_piece(struct lv_out *out, struct lv_piece *piece)
{
    if (out->open == NULL) {
        assert(out->oldest == NULL);
        out->oldest = piece;
        return;
    }
    out->open->end = out->tail;
    out->open->next = piece;
}

/* Copied bytes go to `data` from now on. */
static void open_piece(struct lv_out *out, struct lv_piece *piece, uint8_t *data)
{
    assert(data <= out->end);
    *piece = (struct lv_piece){.data = data};
    out->open = piece;
    out->tail = data;
}

/* Copying goes on in a new chunk; what is left of the room in the last one stays unused. */
static int add_chunk(struct lv_out *out)
{
    struct lv_chunk *chunk = chunk_take(out->pool);

    if (chunk == NULL)
        return -LV_E_NOMEM;
    chunk->next = NULL;
    if (out->last != NULL)
        out->last->next = chunk;
    else
        out->first = chunk;
    close_piece(out, &chunk->piece);
    out->last = chunk;
    out->end = chunk->room + sizeof chunk->room;
    open_piece(out, &chunk->piece, chunk->room);
    return 0;
}

/* Where a piece ends: the open one grows with the chain's tail. */
static const uint8_t *piece_end(const struct lv_out *out, const struct lv_piece *piece)
{
    assert((piece->end == NULL) == (piece == out->open));
    return piece->end != NULL ? piece->end : out->tail;
}

/* Drops the oldest piece, which isn't the open one; its chunk goes with the last piece in it. */
static void drop_piece(struct lv_out *out)
{
    struct lv_piece *piece = out->oldest;
    struct lv_chunk *chunk = out->first;

    assert(piece != out->open);
    if (piece->release != NULL)
        piece->release(piece->owner);
    out->oldest = piece->next;
    if (chunk->next != NULL && out->oldest == &chunk->next->piece) {
        out->first = chunk->next;
        chunk_give(out->pool, chunk);
    }
}

/* The first address in the room that a struct lv_piece may have. */
static uint8_t *align_tail(uint8_t *tail)
{
    return tail + (-(uintptr_t)tail & (_Alignof(struct lv_piece) - 1));
}

void lv_chunk_pool_init(struct lv_chunk_pool *pool)
{
    *pool = (struct lv_chunk_pool){.free_chunks = NULL};
}

void lv_chunk_pool_fini(struct lv_chunk_pool *pool)
{
    assert(pool->used_count == 0);
    while (pool->free_chunks != NULL) {
        struct lv_chunk *next = pool->free_chunks->next;
        lv_free(pool->free_chunks);
        pool->free_chunks = next;
    }
    pool->free_count = 0;
}

void lv_out_init(struct lv_out *out, struct lv_chunk_pool *pool)
{
    assert(pool != NULL);
    *out = (struct lv_out){.pool = pool};
}

void lv_out_fini(struct lv_out *out)
{
    while (out->oldest != out->open)
        drop_piece(out);
    assert((out->first == NULL) == (out->open == NULL));
    if (out->first != NULL) {
        assert(out->first == out->last);
        chunk_give(out->pool, out->first);
    }
    lv_out_init(out, out->pool);
}

uint8_t *lv_out_reserve_chunk(struct lv_out *out)
{
    return add_chunk(out) < 0 ? NULL : out->tail;
}

int lv_out_copy(struct lv_out *out, struct lv_bytes bytes)
{
    while (bytes.size > 0) {
        size_t room = (size_t)(out->end - out->tail);
        size_t size = bytes.size < room ? bytes.size : room;
        if (size == 0) {
            int rc = add_chunk(out);
            if (rc < 0)
                return rc;
            continue;
        }
        memcpy(out->tail, bytes.data, size);
        lv_out_commit(out, size);
        bytes = lv_bytes(bytes.data + size, bytes.size - size);
    }
    return 0;
}

int lv_out_view(struct lv_out *out, struct lv_bytes bytes, lv_out_release_fn *release, void *owner)
{
    /* The view, and the piece that goes on with copied bytes behind it. */
    size_t need = 2 * sizeof(struct lv_piece) + _Alignof(struct lv_piece);
    struct lv_piece *pair;

    assert(bytes.size > 0);
    assert(release != NULL);
    if ((size_t)(out->end - out->tail) < need) {
        int rc = add_chunk(out);
        if (rc < 0)
            return rc;
    }
    pair = (struct lv_piece *)(void *)align_tail(out->tail);
    close_piece(out, &pair[0]);
    pair[0] = (struct lv_piece){.next = &pair[1],
                                .data = bytes.data,
                                .end = bytes.data + bytes.size,
                                .release = release,
                                .owner = owner};
    open_piece(out, &pair[1], (uint8_t *)&pair[2]);
    out->size += bytes.size;
    return 0;
}

size_t lv_out_gather(const struct lv_out *out, struct lv_bytes *pieces, size_t max)
{
    size_t count = 0;

    assert(pieces != NULL);
    for (const struct lv_piece *piece = out->oldest; piece != NULL && count < max;
         piece = piece->next) {
        size_t size = (size_t)(piece_end(out, piece) - piece->data);
        if (size > 0)
            pieces[count++] = lv_bytes(piece->data, size);
    }
    return count;
}

void lv_out_consume(struct lv_out *out, size_t size)
{
    assert(size <= out->size);
    out->size -= size;
    if (out->size == 0) {
        lv_out_fini(out); /* an empty chain holds no chunk */
        return;
    }
    for (;;) {
        struct lv_piece *piece = out->oldest;
        size_t left = (size_t)(piece_end(out, piece) - piece->data);
        if (size < left || piece == out->open) {
            assert(size <= left);
            piece->data += size;
            return;
        }
        size -= left;
        drop_piece(out);
    }
}
