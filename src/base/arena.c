#include "base/arena.h"

#include "base/alloc.h"

#define ALIGNMENT      8u
#define BLOCK_SIZE_MIN 1024u
#define BLOCK_SIZE_MAX ((size_t)64 * 1024) /* what doubling leads to */

/* Blocks grow with the arena, so their number stays small. The newest comes first. */
struct lv_arena_block {
    struct lv_arena_block *next; /* own   older */
    size_t size;                 /*       of the room */
    size_t used;
    _Alignas(ALIGNMENT) uint8_t room[];
};

/* From any of them to the oldest. */
static void free_blocks(struct lv_arena_block *block)
{
    while (block != NULL) {
        assert(block->used <= block->size);
        struct lv_arena_block *next = block->next;
        lv_free(block);
        block = next;
    }
}

/* Each block is twice as large as the one before, so a big job takes few of them. */
static size_t block_size(const struct lv_arena *arena, size_t need)
{
    size_t size = BLOCK_SIZE_MIN - sizeof(struct lv_arena_block);

    assert(need <= arena->limit);
    if (arena->blocks != NULL && arena->blocks->size < BLOCK_SIZE_MAX)
        size = arena->blocks->size * 2;
    return size > need ? size : need;
}

/* Gives a block with room for `need` bytes, from which pieces are cut from now on. What is left of
 * the one before stays unused. */
static struct lv_arena_block *add_block(struct lv_arena *arena, size_t need)
{
    size_t size = block_size(arena, need);
    struct lv_arena_block *block = lv_alloc(sizeof *block + size);

    assert(size >= need);
    if (block == NULL)
        return NULL;
    block->next = arena->blocks;
    block->size = size;
    block->used = 0;
    arena->blocks = block;
    return block;
}

/* Nothing is allocated until something is wanted. */
void lv_arena_init(struct lv_arena *arena, size_t limit)
{
    assert(limit <= SIZE_MAX / 2);
    *arena = (struct lv_arena){.limit = limit};
}

/* For the next job of the same kind: it keeps a little, so that usual jobs allocate nothing. */
void lv_arena_reset(struct lv_arena *arena)
{
    struct lv_arena_block *block = arena->blocks;

    assert(arena->used <= arena->limit);
    arena->used = 0;
    if (block == NULL)
        return;
    /* The oldest block is the smallest: one big job does not leave much behind. */
    while (block->next != NULL) {
        struct lv_arena_block *next = block->next;
        lv_free(block);
        block = next;
    }
    block->used = 0;
    arena->blocks = block;
}

/* All of what it gave is gone with it. */
void lv_arena_fini(struct lv_arena *arena)
{
    assert(arena->used == 0 || arena->blocks != NULL);
    free_blocks(arena->blocks);
    arena->blocks = NULL;
    arena->used = 0;
}

/* The limit is what keeps a peer's tables from taking all memory: it counts what was given, not
 * what the blocks hold. */
void *lv_arena_alloc(struct lv_arena *arena, size_t size)
{
    struct lv_arena_block *block = arena->blocks;
    size_t need;
    void *memory;

    assert(arena->used <= arena->limit);
    if (size > arena->limit)
        return NULL;
    need = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (need > arena->limit - arena->used)
        return NULL;
    if (block == NULL || need > block->size - block->used) {
        block = add_block(arena, need);
        if (block == NULL)
            return NULL;
    }
    assert(block->used + need <= block->size);
    memory = block->room + block->used;
    block->used += need;
    arena->used += need;
    return memory;
}
