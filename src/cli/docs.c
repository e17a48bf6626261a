/*
 * cli/docs.c - `leveret docs`: the pages that are printed from the program's own tables.
 */
#include "cli/command.h"
#include "cli/options.h"
#include "lv_version.h"
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

/* The settings' part comes from their table as well. */
static void print_man(void)
{
    printf(
        ".TH LEVERET 1 \"\" \"Leveret %s\" \"User Commands\"\n"
        ".SH NAME\nleveret \\- AMQP messaging: a broker and its clients\n"
        ".SH SYNOPSIS\n.B leveret\n.I COMMAND\n[\\fIOPTION\\fR...] [\\fIARGUMENT\\fR...]\n"
        ".SH DESCRIPTION\nLeveret is a message broker that speaks AMQP 0\\-9\\-1 with RabbitMQ's "
        "extensions, and the commands that talk to such brokers.\n"
        "Each command explains its options with \\fB\\-\\-help\\fR.\n"
        ".SH COMMANDS\n",
        LV_VERSION);
#define MAN_COMMAND(name, help) printf(".TP\n.B %s\n%s\n", #name, help);
    LV_COMMANDS(MAN_COMMAND)
#undef MAN_COMMAND
    printf(".SH SETTINGS\nFor \\fBleveret serve\\fR, as \\fB\\-\\-set\\fR "
           "\\fINAME\\fR=\\fIVALUE\\fR or as "
           "lines \\fINAME\\fR = \\fIVALUE\\fR of the file that \\fB\\-\\-config\\fR names:\n");
    lv_settings_print_man(stdout);
    printf(
        ".SH EXIT STATUS\n0 when all went well, 1 when the work could not be done, 2 for a wrong "
        "option, argument or setting.\n");
}

/* For the build, which makes the manual page, and for whoever changes a table. */
int lv_run_docs(int argc, char **argv)
{
    static const struct lv_option options[] = {LV_OPTION_END};
    const struct lv_usage usage = {
        .command = "leveret docs",
        .arguments = "settings|limits|man",
        .summary = "Prints a page of the manual from the program's own tables: docs/settings.md, "
                   "docs/limits.md or the manual page leveret(1).",
        .options = options,
        .arguments_min = 1,
        .arguments_max = 1,
    };
    int status;

    if (!lv_options_parse(&usage, &argc, argv, &status))
        return status;
    assert(argc == 2);
    if (strcmp(argv[1], "settings") == 0)
        lv_settings_print_markdown(stdout);
    else if (strcmp(argv[1], "limits") == 0)
        print_limits();
    else if (strcmp(argv[1], "man") == 0)
        print_man();
    else
        return lv_options_refuse(
            &usage, "there is no page \"%s\"; there are settings, limits and man", argv[1]);
    return fflush(stdout) == 0 ? LV_EXIT_OK : LV_EXIT_FAILED;
}
