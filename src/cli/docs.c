/*
 * cli/docs.c - `leveret docs`: the pages that are printed from the program's own tables.
 */
#include "cli/command.h"
#include "cli/man.h"
#include "cli/options.h"
#include "server/settings_text.h"
#include "session/amqp091/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Printed and not written, so that the page and the program cannot disagree. */
static void print_limits(void)
{
    assert(lv_session_bounds[0].name != NULL);
    printf(
        "# Limits\n"
        "`leveret docs limits` prints this page from the table that the program uses: every bound "
        "on what an AMQP 0-9-1 peer may choose,\nand why it is there. Those that can be set are in "
        "[settings.md](settings.md).\n\n"
        "| what is bounded | limit | why |\n|---|---|---|\n");
    for (const struct lv_bound *bound = lv_session_bounds; bound->name != NULL; bound++)
        printf("| %s | %" PRIu64 " %s | %s |\n", bound->what, bound->value, bound->unit,
               bound->reason);
}

/* A command's page, or one of the two others. False: there is none of this name. */
static bool print_man(const char *name)
{
    assert(name != NULL);
    if (strcmp(name, "leveret") == 0) {
        lv_man_program(stdout);
        return true;
    }
    if (strcmp(name, "leveret.conf") == 0) {
        lv_man_settings(stdout);
        return true;
    }
    return lv_man_command(stdout, name);
}

/* For the build, which makes the manual page, and for whoever changes a table. */
int lv_run_docs(int argc, char **argv)
{
    static const struct lv_option options[] = {LV_OPTION_END};
    const struct lv_usage usage = {
        .command = "leveret docs",
        .arguments = "settings|limits|example|man [PAGE]",
        .summary = "Prints a page of the manual from the program's own tables.",
        .options = options,
        .arguments_min = 1,
        .arguments_max = 2,
        .details = "  settings  docs/settings.md\n"
                   "  limits    docs/limits.md\n"
                   "  example   a file for `leveret serve --config` with every setting\n"
                   "  man PAGE  a manual page: leveret, leveret.conf, or that of a command\n",
    };
    bool is_man;
    int status;

    if (!lv_options_parse(&usage, &argc, argv, &status))
        return status;
    assert(argc >= 2);
    is_man = strcmp(argv[1], "man") == 0;
    if (!is_man && argc > 2)
        return lv_options_refuse(&usage, "\"%s\" is one argument too many", argv[2]);
    if (strcmp(argv[1], "settings") == 0)
        lv_settings_print_markdown(stdout);
    else if (strcmp(argv[1], "limits") == 0)
        print_limits();
    else if (strcmp(argv[1], "example") == 0)
        lv_settings_print_example(stdout);
    else if (!is_man)
        return lv_options_refuse(
            &usage, "there is no page \"%s\"; there are settings, limits, example and man",
            argv[1]);
    else if (!print_man(argc > 2 ? argv[2] : "leveret"))
        return lv_options_refuse(&usage, "there is no command \"%s\"; `leveret` lists them",
                                 argv[2]);
    return fflush(stdout) == 0 ? LV_EXIT_OK : LV_EXIT_FAILED;
}
