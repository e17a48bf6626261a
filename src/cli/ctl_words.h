/*
 * cli/ctl_words.h - `leveret ctl`'s command line, which is rabbitmqctl's: commands, options, exit
 * codes and what is said of mistakes. Main thread.
 */
#pragma once

#include "admin/list.h"
#include "cli/ctl_deeds.h"
#include "cli/ctl_table.h"

#include <stdint.h>

/* rabbitmqctl's exit codes, from sysexits.h. By the name of `leveret ctl` a wrong command line is
 * LV_EXIT_USAGE, as for every command of leveret. */
enum lv_ctl_exit {
    LV_CTL_OK = 0,
    LV_CTL_USAGE = 64,
    LV_CTL_DATA = 65, /* no such virtual host, no or a wrong password, no such file */
    LV_CTL_NO_USER = 67,
    LV_CTL_UNAVAILABLE = 69, /* no broker, or not for this user */
    LV_CTL_SOFTWARE = 70,    /* the broker could not do it */
    LV_CTL_OUTPUT = 74,      /* standard output could not be written */
    LV_CTL_TIMEOUT = 75
};

/* X(constant, name, arguments in the usage line, what it does) of commands that list nothing. */
#define LV_CTL_VERBS(X)                                                                            \
    X(STATUS, status, "[--unit <unit>] [--timeout <timeout>]",                                     \
      "Shows the broker's version, memory, totals and listeners.")                                 \
    X(STOP, stop, "[--idempotent] [<pidfile>]",                                                    \
      "Stops the broker as SIGTERM does, and waits until its process is gone.")                    \
    X(SHUTDOWN, shutdown, "[--timeout <timeout>]", "The same as stop.")                            \
    X(DRAIN, drain, "[--timeout <timeout>]",                                                       \
      "Takes nobody in and delivers nothing any more, lets clients acknowledge what they have "    \
      "(60 seconds long, or <timeout>), then stops the broker.")                                   \
    X(VERSION, version, "", "Prints the version.")                                                 \
    X(HELP, help, "[<command>]", "Says how a command is used.")

/* Lists first, by their kind; those of rabbitmq-plugins last, from LV_CTL_PLUGINS_LIST on. */
enum lv_ctl_verb {
    LV_CTL_LIST_LAST = LV_LIST_COUNT - 1,
#define LV_CTL_VERB(NAME, ...) LV_CTL_##NAME,
    LV_CTL_VERBS(LV_CTL_VERB) LV_CTL_DEEDS(LV_CTL_VERB) LV_CTL_PLUGIN_DEEDS(LV_CTL_VERB)
#undef LV_CTL_VERB
        LV_CTL_VERB_COUNT
};

/* By which name the program was called. */
enum lv_ctl_tool {
    LV_CTL_TOOL_LEVERET,
    LV_CTL_TOOL_CTL,
    LV_CTL_TOOL_DIAGNOSTICS,
    LV_CTL_TOOL_PLUGINS
};

#define LV_CTL_ARGUMENTS_MAX 64u

/* What the command line says; all views of it. */
struct lv_ctl_words {
    enum lv_ctl_tool tool;
    const char *program; /* the tool's name: "leveret ctl", "rabbitmqctl" … */
    enum lv_ctl_verb verb;
    const char *arguments[LV_CTL_ARGUMENTS_MAX]; /* behind the command */
    unsigned argument_count;
    const char *data_dir; /* "": the default */
    const char *vhost, *unit;
    const char *user;                            /* of limits; NULL: none was given */
    const char *description, *tags, *queue_type; /* of a new vhost; NULL: none were given */
    const char *address;                         /* to connect to; NULL: where it listens */
    const char *formatter;                       /* NULL: none was named */
    enum lv_ctl_form form;                       /* the one that it names */
    uint64_t timeout_s;                          /* 0: none was given */
    uint64_t limit;                              /* of connections; 0: all */
    bool has_timeout;
    bool is_quiet, is_silent, has_no_headers, is_offline, is_idempotent;
    bool is_global, if_empty, if_unused, is_plan, is_minimal, is_verbose, is_enabled;
    bool wants_help;
    uint8_t columns[LV_COLUMNS_MAX]; /* of a list, by their places in its table */
    unsigned column_count;
    int given_count; /* the command line as it was, for what is said of mistakes */
    char **given;
};

/* By the name that the program was called by. */
enum lv_ctl_tool lv_ctl_tool_of(const char *program);
/* False when the program should end with *ret_exit: help was asked for, or a mistake was named. */
bool lv_ctl_words_parse(int argc, char **argv, struct lv_ctl_words *ret_words, int *ret_exit)
    LV_MUST_CHECK;
/* Names the mistake on standard error, as rabbitmqctl does. Returns LV_CTL_USAGE. */
int lv_ctl_words_refuse(const struct lv_ctl_words *words, const char *fmt, ...) LV_PRINTF(2, 3);
/* The command's name. */
const char *lv_ctl_words_command(const struct lv_ctl_words *words);
/* A command as pages about it show it. */
struct lv_ctl_page {
    const char *name;
    const char *arguments;      /* "[--vhost <vhost>] …" */
    const char *summary;        /* a sentence */
    const char *const *columns; /* of a list, ended by NULL; NULL: it is none */
};
/* By enum lv_ctl_verb. */
struct lv_ctl_page lv_ctl_words_page(unsigned verb);
/* The name of an option, with its letter and whether it takes a value. NULL behind the last. */
const char *lv_ctl_words_option(unsigned place, char *ret_letter, bool *ret_has_value);
/* What help says of the options that every command has. */
extern const char lv_ctl_words_options[];

/* NO_COLOR is not set. */
bool lv_ctl_is_bold(void);
