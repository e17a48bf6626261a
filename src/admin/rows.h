/*
 * admin/rows.h - a growing text of rows, each a JSON array on a line of its own.
 *
 * Values are added one after the other and get their commas by themselves. Without memory for a row
 * the text stays at the last whole one and says so. Pure; any thread that owns the text.
 */
#pragma once

#include "base/value.h"

struct lv_rows {
    char *text; /* own */
    size_t size, capacity;
    size_t whole; /* bytes of whole rows */
    uint64_t count;
    bool is_short;  /* of memory: a row is missing */
    bool has_value; /* the next one needs a comma */
};

/* All zeros is an empty text. */
void lv_rows_fini(struct lv_rows *rows);
/* Empty again; keeps the memory. */
void lv_rows_reset(struct lv_rows *rows);

void lv_rows_begin(struct lv_rows *rows);
void lv_rows_end(struct lv_rows *rows);

/* A string; what is not UTF-8 as {"base64": "…"}. */
void lv_rows_text(struct lv_rows *rows, struct lv_bytes text);
/* A string in printf's way, of at most 511 bytes of UTF-8. */
void lv_rows_print(struct lv_rows *rows, const char *fmt, ...) LV_PRINTF(2, 3);
void lv_rows_number(struct lv_rows *rows, uint64_t number);
/* An array of them. */
void lv_rows_numbers(struct lv_rows *rows, const uint64_t *numbers, size_t count);
void lv_rows_bool(struct lv_rows *rows, bool value);
/* As rabbitmqctl shows argument tables: [["name", "type", value], …]. NULL is an empty one. */
void lv_rows_arguments(struct lv_rows *rows, const struct lv_table *table);
/* A string that is the table's JSON text; NULL is an empty one. */
void lv_rows_table_text(struct lv_rows *rows, const struct lv_table *table);
/* An array of the words between commas. */
void lv_rows_words(struct lv_rows *rows, struct lv_bytes words);
/* Bytes as they are, as one row. */
void lv_rows_bytes(struct lv_rows *rows, struct lv_bytes bytes);
/* JSON as it is, outside any row. */
void lv_rows_raw(struct lv_rows *rows, const char *text);
/* A string, outside any row. */
void lv_rows_raw_text(struct lv_rows *rows, const char *text);
