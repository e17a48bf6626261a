/*
 * codec/amqp091/table.h - field tables: bytes, single fields, and the values of base/value.h.
 *
 * 0-9-1 §4.2.5.5 with the type octets that RabbitMQ and its clients mean: `s` is a 16-bit number,
 * `L` a signed 64-bit one. "Entries" are the bytes of a table's or array's fields without the
 * length before them; names need not be UTF-8. A peer's table is bounded in depth and in fields, so
 * walking it takes time linear in its size and little stack. Pure; any thread.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/value.h"

/* Tables and arrays in each other, the outermost included. */
#define LV_AMQP091_TABLE_DEPTH_MAX 64u
/* Fields in a table and all that it contains. */
#define LV_AMQP091_TABLE_FIELDS_MAX 65536u

/* One field of raw entries. */
struct lv_amqp091_field {
    struct lv_bytes name;  /* view  empty in arrays */
    uint8_t octet;         /* its type on the wire */
    struct lv_bytes value; /* view  of strings, arrays, tables without the length */
};

/* Takes the first field off `entries`: 1, 0 when there is none left, or -LV_E_BAD_FRAME. */
int lv_amqp091_field_next(struct lv_bytes *entries, struct lv_amqp091_field *ret_field,
                          struct lv_diag *diag) LV_MUST_CHECK;

/* 0 when all of it is well-formed and within the limits, else -LV_E_BAD_FRAME. No allocation. */
int lv_amqp091_table_check(struct lv_bytes entries, struct lv_diag *diag) LV_MUST_CHECK;

/* Strings in the table are views of `entries`, all else is in `arena`. 0, -LV_E_BAD_FRAME, or
 * -LV_E_NOMEM when the arena is used up. */
int lv_amqp091_table_decode(struct lv_bytes entries, struct lv_arena *arena,
                            const struct lv_table **ret_table, struct lv_diag *diag) LV_MUST_CHECK;

/* Bytes of the entries. NULL is an empty table. Names are at most 255 bytes and nesting is at most
 * LV_AMQP091_TABLE_DEPTH_MAX, which holds for all that was decoded. */
size_t lv_amqp091_table_size(const struct lv_table *table);
/* Writes the entries and returns the byte behind them. */
uint8_t *lv_amqp091_table_encode(const struct lv_table *table, uint8_t *p);
