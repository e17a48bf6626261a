/*
 * cli/options.h - one small parser for the options of every command.
 *
 * A command describes its options in a table of struct lv_option, made by the macros below, that
 * ends with LV_OPTION_END. Options and arguments may be mixed; `--name value`, `--name=value` and
 * for one-letter options `-n value` and `-nvalue` are understood; `--` ends the options. --help and
 * --version are there by themselves. A wrong option is named on stderr together with what would be
 * right. Main thread.
 */
#pragma once

#include "base/defs.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* What the target points to. */
enum lv_option_kind {
    LV_OPTION_FLAG,    /* bool *: set true */
    LV_OPTION_TEXT,    /* const char **: a view of argv */
    LV_OPTION_NUMBER,  /* uint64_t *, within min and max */
    LV_OPTION_SIZE,    /* uint64_t *, bytes: 4096, 64k, 1MiB, 10MB; within min and max */
    LV_OPTION_DECIMAL, /* double *, not negative */
    LV_OPTION_CALL     /* lv_option_fn for each time it is given: lists, and what needs judging */
};

/* `value` is NULL for a row without a value's name. Not 0: the sentence in `diag` says what would
 * be right; the parser adds the option's name. */
typedef int lv_option_fn(void *ctx, const char *value, struct lv_diag *diag);

/* A row of a command's table. The help is printed from it, so it cannot be forgotten. */
struct lv_option {
    const char *name;  /* view  without dashes */
    char letter;       /*       0: none */
    const char *value; /* view  the value's name in help; NULL: the option takes none */
    const char *help;  /* view */
    enum lv_option_kind kind;
    void *target;       /* view  as the kind says; the context of `call` */
    uint64_t min, max;  /*       NUMBER and SIZE */
    lv_option_fn *call; /*       CALL */
};

#define LV_FLAG_OPTION(name, letter, target, help)                                                 \
    {                                                                                              \
        name, letter, NULL, help, LV_OPTION_FLAG, 1 ? (target) : (bool *)NULL, 0, 0, NULL          \
    }
#define LV_TEXT_OPTION(name, letter, value, target, help)                                          \
    {                                                                                              \
        name, letter, value, help, LV_OPTION_TEXT, 1 ? (target) : (const char **)NULL, 0, 0, NULL  \
    }
#define LV_NUMBER_OPTION(name, letter, value, target, min, max, help)                              \
    {                                                                                              \
        name, letter, value, help, LV_OPTION_NUMBER, 1 ? (target) : (uint64_t *)NULL, min, max,    \
            NULL                                                                                   \
    }
#define LV_SIZE_OPTION(name, letter, value, target, min, max, help)                                \
    {                                                                                              \
        name, letter, value, help, LV_OPTION_SIZE, 1 ? (target) : (uint64_t *)NULL, min, max, NULL \
    }
#define LV_DECIMAL_OPTION(name, letter, value, target, help)                                       \
    {                                                                                              \
        name, letter, value, help, LV_OPTION_DECIMAL, 1 ? (target) : (double *)NULL, 0, 0, NULL    \
    }
#define LV_CALL_OPTION(name, letter, value, call, ctx, help)                                       \
    {                                                                                              \
        name, letter, value, help, LV_OPTION_CALL, ctx, 0, 0, call                                 \
    }
#define LV_OPTION_END                                                                              \
    {                                                                                              \
        0                                                                                          \
    }

/* What --help prints around the options. */
struct lv_usage {
    const char *command;             /* view  "leveret publish" */
    const char *arguments;           /* view  "[BODY...]"; "" when there are none */
    const char *summary;             /* view  one sentence */
    const struct lv_option *options; /* view */
    unsigned arguments_min, arguments_max;
    const char *details; /* view  printed behind the options; NULL: nothing */
};

/* Fills the options' targets and moves the arguments to argv[1] … argv[*argc - 1]. False when the
 * program should end with *ret_exit: help or version was printed, or an error. */
bool lv_options_parse(const struct lv_usage *usage, int *argc, char **argv, int *ret_exit)
    LV_MUST_CHECK;

/* "leveret publish: <the sentence>", and where help is, on stderr. Returns LV_EXIT_USAGE. */
int lv_options_refuse(const struct lv_usage *usage, const char *fmt, ...) LV_PRINTF(2, 3);

/* What --help prints. */
void lv_options_help(const struct lv_usage *usage);

typedef void lv_options_page_fn(void *ctx, const struct lv_usage *usage);
/* From now on --help calls `page` and prints nothing itself: manual pages and completion are made
 * from the same tables. NULL: it prints again. */
void lv_options_help_by(lv_options_page_fn *page, void *ctx);
