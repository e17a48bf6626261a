/*
 * base/pack.h - a table of typed values as bytes, for what is kept on disk.
 *
 * Keeps every type, width and order, so that what comes back equals what went in. Little-endian; a
 * table is the number of its fields, then each one's name (not in arrays), one byte of type and the
 * value; strings have their size in front. A table has one encoding only. Pure; any thread that
 * owns the memory.
 */
#pragma once

#include "base/arena.h"
#include "base/value.h"

/* Tables in tables: more than any codec lets in, so that whatever is declared can be kept. */
#define LV_PACK_DEPTH_MAX 128u

/* Bytes that lv_table_pack() writes; `table` may be NULL, which packs like an empty one. At most
 * 4 GiB. */
uint32_t lv_table_packed_size(const struct lv_table *table);
/* Returns where the bytes end. */
uint8_t *lv_table_pack(const struct lv_table *table, uint8_t *bytes);
/* Gives a table in the arena whose strings are views into `bytes`, NULL for an empty one. The arena
 * hands out at most 48 bytes for each of these. -LV_E_CORRUPT: not what lv_table_pack() writes, or
 * too deep; -LV_E_NOMEM. */
int lv_table_unpack(struct lv_bytes bytes, struct lv_arena *arena, struct lv_table **ret_table)
    LV_MUST_CHECK;
