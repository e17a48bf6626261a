/*
 * server/config_file.h - reads rabbitmq.conf's format, line by line. Pure; any thread.
 *
 * A line is `name = value`. # begins a comment, also behind a value. A value in single quotes is
 * taken as it is; in any other, $(NAME) stands for the variable NAME of the environment. Blanks
 * around names and values don't count, nor do empty lines, nor a \r at a line's end.
 */
#pragma once

#include "base/bytes.h"

#define LV_CONFIG_NAME_SIZE_MAX  256u  /* with the zero byte behind it */
#define LV_CONFIG_VALUE_SIZE_MAX 4096u /* also when variables are put in */

/* What somebody does with the lines. */
struct lv_config_reader {
    void *ctx; /* view */
    /* A line that is well; name and value are for the call only. */
    void (*set)(void *ctx, unsigned line, const char *name, const char *value);
    /* A line that isn't, and what would be right. */
    void (*wrong)(void *ctx, unsigned line, const char *sentence);
    /* A variable's value, NULL: there is none of that name. */
    const char *(*variable)(void *ctx, const char *name);
};

/* Every line once, in order; a wrong one does not keep the others from being read. */
void lv_config_file_parse(const struct lv_config_reader *reader, struct lv_bytes text);
