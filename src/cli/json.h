/*
 * cli/json.h - messages as JSON: one object on one line.
 *
 * Text that is not UTF-8 appears as {"base64": "…"}, a body that is not as "body_base64". Main
 * thread.
 */
#pragma once

#include "base/value.h"
#include "cli/output.h"

/* A string with its quotes; `text` is UTF-8. */
void lv_json_string(struct lv_output *output, struct lv_bytes text);
/* RFC 4648 with padding, and the quotes. */
void lv_json_base64(struct lv_output *output, struct lv_bytes bytes);
/* Numbers stay numbers; what is not finite is null. */
void lv_json_value(struct lv_output *output, const struct lv_value *value);
/* {"exchange": …, "routing_key": …, "redelivered": …, "properties": {…}, "body": …} and the end of
 * the line. */
int lv_json_message(struct lv_output *output, const struct lv_engine_message *message,
                    struct lv_diag *diag) LV_MUST_CHECK;
