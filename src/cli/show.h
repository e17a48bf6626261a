/*
 * cli/show.h - how received messages are printed: options, and the printing.
 *
 * Main thread.
 */
#pragma once

#include "cli/options.h"
#include "cli/output.h"

/* How messages are printed. */
struct lv_show {
    bool raw, null, json;
};

#define LV_SHOW_OPTIONS(show)                                                                      \
    LV_FLAG_OPTION("json", 'j', &(show)->json,                                                     \
                   "one JSON object per message, with its properties"),                            \
        LV_FLAG_OPTION("null", '0', &(show)->null, "a zero byte behind each body, not a newline"), \
        LV_FLAG_OPTION("raw", 0, &(show)->raw, "bodies as they are, with nothing between them")

/* False after the usage error was printed. */
bool lv_show_is_sound(const struct lv_show *show, const struct lv_usage *usage);
/* Into the output's buffer. -LV_E_BAD_FRAME when a header table is malformed. */
int lv_show_message(const struct lv_show *show, struct lv_output *output,
                    const struct lv_engine_message *message, struct lv_diag *diag) LV_MUST_CHECK;
