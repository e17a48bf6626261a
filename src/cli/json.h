/*
 * cli/json.h - messages as JSON: one object on one line.
 *
 * Values as base/json.h writes them; a body that is not UTF-8 is "body_base64". Main thread.
 */
#pragma once

#include "cli/output.h"

/* {"exchange": …, "routing_key": …, "redelivered": …, "properties": {…}, "body": …} and the end of
 * the line. */
int lv_json_message(struct lv_output *output, const struct lv_engine_message *message,
                    struct lv_diag *diag) LV_MUST_CHECK;
