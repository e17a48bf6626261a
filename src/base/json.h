/*
 * base/json.h - values as JSON (RFC 8259), piece by piece into whatever takes bytes.
 *
 * Text that is not UTF-8 appears as {"base64": "…"}. Pure; any thread that owns the sink.
 */
#pragma once

#include "base/value.h"

/* Gets the next bytes of the text; valid during the call only. Keeps its errors to itself. */
typedef void lv_json_put_fn(void *ctx, struct lv_bytes bytes);

struct lv_json {
    lv_json_put_fn *put;
    void *ctx; /* view */
};

/* As it is, for what needs no escaping: brackets, commas, numbers. */
void lv_json_raw(const struct lv_json *json, const char *text);
/* A string with its quotes; `text` is UTF-8. */
void lv_json_string(const struct lv_json *json, struct lv_bytes text);
/* A string when it is UTF-8, else the object with "base64". */
void lv_json_text(const struct lv_json *json, struct lv_bytes text);
/* RFC 4648 with padding, and the quotes. */
void lv_json_base64(const struct lv_json *json, struct lv_bytes bytes);
/* Numbers stay numbers; what is not finite is null. */
void lv_json_value(const struct lv_json *json, const struct lv_value *value);
/* An object, with bytes that are not UTF-8 in names as question marks; NULL is an empty one. */
void lv_json_table(const struct lv_json *json, const struct lv_table *table);
