/*
 * cli/ctl_text.h - values of the broker's answers as rabbitmqctl prints them in tables.
 *
 * Tables of arguments look like Erlang terms: [{"x-priority",3}]. Main thread.
 */
#pragma once

#include "base/bytes.h"
#include "base/defs.h"

#include <jansson.h>

/* A growing text. All zeros is empty. Without memory the program ends with a sentence. */
struct lv_ctl_text {
    char *data; /* own   ends with a zero byte once something was put */
    size_t size, capacity;
};

void lv_ctl_text_fini(struct lv_ctl_text *text);
void lv_ctl_text_put(struct lv_ctl_text *text, struct lv_bytes bytes);
void lv_ctl_text_print(struct lv_ctl_text *text, const char *fmt, ...) LV_PRINTF(2, 3);

/* A column's value. Control characters, which would break the row or drive the terminal, appear as
 * three octal digits behind a backslash. */
void lv_ctl_text_value(struct lv_ctl_text *text, const char *column, const json_t *value);
