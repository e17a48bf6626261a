/*
 * base/pack.h - a table of typed values as bytes, for what is kept on disk.
 *
 * Keeps every type, width and order, so that what comes back equals what went in. Little-endian;
 * one byte of type, then the value; strings and tables with their size in front. Pure; any thread
 * that owns the memory.
 */
#pragma once

#include "base/arena.h"
#include "base/value.h"

#define LV_PACK_DEPTH_MAX 32u /* tables in tables */

/* Bytes that lv_table_pack() writes; `table` may be NULL, which packs like an empty one. */
uint32_t lv_table_packed_size(const struct lv_table *table);
/* Returns where the bytes end. */
uint8_t *lv_table_pack(const struct lv_table *table, uint8_t *bytes);
/* Gives a table in the arena whose strings are views into `bytes`, NULL for an empty one.
 * -LV_E_CORRUPT: not what lv_table_pack() writes, or too deep; -LV_E_NOMEM. */
int lv_table_unpack(struct lv_bytes bytes, struct lv_arena *arena, struct lv_table **ret_table)
    LV_MUST_CHECK;
