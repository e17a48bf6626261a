/*
 * cli/pages.h - the tables of all commands' options, for the pages that are made from them.
 *
 * A command tells its own table when it is asked for help, so nothing is written down twice. Of
 * `leveret ctl`, which has rabbitmqctl's command line, cli/ctl_words.h tells. Main thread.
 */
#pragma once

#include "base/bytes.h"
#include "cli/options.h"

/* A row of the table in cli/command.h. */
struct lv_page {
    const char *name; /* "publish" */
    const char *help; /* one line */
};

/* In the table's order; false behind the last. */
bool lv_pages_at(unsigned place, struct lv_page *ret_page);

/* "bench-relay": a command and the word of a sub-command of it. NULL behind the last. */
const char *lv_pages_subcommand(unsigned place);

/* Calls `take` with the table of a command, then with those of its sub-commands. Not for ctl. */
void lv_pages_tell(const char *command, lv_options_page_fn *take, void *ctx);
/* The same for every command, in the table's order. */
void lv_pages_tell_all(lv_options_page_fn *take, void *ctx);

/* How a value, or an argument, is called in a usage line, and so what may be typed there. */
enum lv_page_value {
    LV_PAGE_FREE,     /* anything */
    LV_PAGE_FILE,     /* FILE */
    LV_PAGE_DIRECTORY /* DIR */
};
enum lv_page_value lv_pages_value(const char *placeholder);
/* The first argument's words, when the usage line has them: "check|dump DIR" gives those two, with
 * spaces between. Empty when it has none. */
struct lv_bytes lv_pages_words(const struct lv_usage *usage);
/* What stands behind the words, or in their place. */
enum lv_page_value lv_pages_argument(const struct lv_usage *usage);
