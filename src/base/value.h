/*
 * base/value.h - typed values and tables, as arguments, headers and properties carry them.
 *
 * The broker's core speaks in these; each protocol's codec turns its own encoding into them and
 * back. Integers of every width are one kind for comparisons (RabbitMQ: int 5 as `I` equals `l`),
 * yet keep the width they came with. Tables keep the order they came in; on duplicate names the
 * first one counts. Everything is a view into an arena or into one block made by lv_table_dup().
 * Pure; any thread that owns the memory.
 */
#pragma once

#include "base/arena.h"
#include "base/bytes.h"

/* Of AMQP 0-9-1 and 1.0 together; widths are kept, since they show in texts and go back out. */
enum lv_type {
    LV_TYPE_VOID,
    LV_TYPE_BOOL,
    LV_TYPE_I8,
    LV_TYPE_U8,
    LV_TYPE_I16,
    LV_TYPE_U16,
    LV_TYPE_I32,
    LV_TYPE_U32,
    LV_TYPE_I64,
    LV_TYPE_F32,
    LV_TYPE_F64,
    LV_TYPE_DECIMAL,
    LV_TYPE_STRING,
    LV_TYPE_BINARY,
    LV_TYPE_TIMESTAMP,
    LV_TYPE_ARRAY,
    LV_TYPE_TABLE,
    LV_TYPE_COUNT
};

struct lv_table;

/* A copy costs nothing: strings and tables are views. */
struct lv_value {
    enum lv_type type;
    uint8_t scale; /* of a decimal: value = integer / 10^scale */
    union {
        bool boolean;
        int64_t integer;              /* all integers, timestamps (s), decimals */
        double real;                  /* F32 and F64 */
        struct lv_bytes bytes;        /* strings and binaries */
        const struct lv_table *table; /* tables; arrays are tables without names */
    };
};

/* In an array the names are empty. */
struct lv_field {
    struct lv_bytes name; /* empty in arrays */
    struct lv_value value;
};

/* Fields in the order in which they came; names may come twice, and then the first counts. */
struct lv_table {
    uint32_t count;
    struct lv_field fields[];
};

/* NULL when there is none; `table` may be NULL, which is an empty one. */
const struct lv_value *lv_table_get(const struct lv_table *table, const char *name);
/* Of any width; a timestamp is none. */
bool lv_value_is_integer(const struct lv_value *value);
/* By value, integers of all widths as one kind; tables by name, whatever their order. */
bool lv_value_equal(const struct lv_value *a, const struct lv_value *b);
/* RabbitMQ's word for the type in reply texts: "longstr", "signedint", "long", … */
const char *lv_type_name(enum lv_type type);
/* The value as RabbitMQ's reply texts show it (a number, a string, true), cut at `size`. Returns
 * `text`. */
const char *lv_value_print(const struct lv_value *value, char *text, size_t size);
/* Gives a deep copy in one block (lv_free), NULL when out of memory. `table` may not be NULL. */
struct lv_table *lv_table_dup(const struct lv_table *table) LV_MUST_CHECK;
