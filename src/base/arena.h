/*
 * base/arena.h - memory for one short job, given back in one step.
 *
 * Blocks of at least 1 KiB; a limit bounds what a peer's input may make it hold. One owner.
 */
#pragma once

#include "base/bytes.h"
#include "base/defs.h"

struct lv_arena_block;

/* All zeros is no arena: the limit has to be chosen. */
struct lv_arena {
    struct lv_arena_block *blocks; /* own */
    size_t used;                   /* bytes handed out since the last reset */
    size_t limit;                  /* bytes that may be handed out */
};

/* Takes no memory before it is needed. */
void lv_arena_init(struct lv_arena *arena, size_t limit);
/* Gives back all that was handed out. Keeps one small block for the next job. */
void lv_arena_reset(struct lv_arena *arena);
/* Gives back everything; a reset is not needed before. */
void lv_arena_fini(struct lv_arena *arena);

/* Aligned to 8, not zeroed. NULL when memory or the limit is used up. */
void *lv_arena_alloc(struct lv_arena *arena, size_t size) LV_MUST_CHECK;
