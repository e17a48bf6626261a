#include "server/settings_text.h"

#include "base/text.h"
#include "server/settings.h"

#include <string.h>

#define EXAMPLE_WIDTH 90u

#define HELP_ROW(field, name, kind, standard, min, max, unit, text)                                \
    "  " name " = " standard "\n      " text "\n"

const char lv_settings_help[] = "Settings, for --set NAME=VALUE and lines of --config FILE, with "
                                "their defaults:\n" LV_SETTINGS(HELP_ROW);

/* "0 to 65535 s", "share or bytes". */
static void print_range(FILE *file, const struct lv_setting *row)
{
    assert(row->unit != NULL);
    if (row->kind == LV_SETTING_NUMBER || row->kind == LV_SETTING_SIZE)
        fprintf(file, "%llu to %llu %s", (unsigned long long)row->min, (unsigned long long)row->max,
                row->unit);
    else
        fprintf(file, "%s", row->unit);
}

/* `make test` compares what this prints with the page in docs. */
void lv_settings_print_markdown(FILE *file)
{
    assert(file != NULL);
    fprintf(file,
            "# Settings\n"
            "`leveret docs settings` prints this page from the table that the program uses.\n\n"
            "A setting is given as `--set NAME=VALUE`, or as a line `NAME = VALUE` of the file "
            "that `--config` names. The file has rabbitmq.conf's\nformat: `#` begins a comment, "
            "and a value in single quotes is taken as it is. Where names are rabbitmq.conf's, so "
            "are meanings. Sizes take\nk, M, G (1024) and kB, MB, GB (1000). What the command "
            "line says goes over what the file says.\n\n"
            "| name | default | range | what it is |\n|---|---|---|---|\n");
    for (const struct lv_setting *row = lv_setting_rows; row->name != NULL; row++) {
        fprintf(file, "| `%s` | %s%s%s | ", row->name, row->standard[0] == '\0' ? "" : "`",
                row->standard, row->standard[0] == '\0' ? "" : "`");
        print_range(file, row);
        fprintf(file, " | %s |\n", row->text);
    }
}

/* A line that begins with a dot would be a macro, a hyphen would be typeset as a dash. */
static void print_escaped(FILE *file, const char *text)
{
    assert(text != NULL);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '-' || *c == '\\')
            fputc('\\', file);
        fputc(*c, file);
    }
}

/* Tagged paragraphs, one for each row. */
void lv_settings_print_man(FILE *file)
{
    assert(file != NULL);
    for (const struct lv_setting *row = lv_setting_rows; row->name != NULL; row++) {
        fprintf(file, ".TP\n.BR %s\n", row->name);
        print_escaped(file, row->text);
        fprintf(file, " (");
        print_range(file, row);
        fprintf(file, "; default: ");
        print_escaped(file, row->standard[0] == '\0' ? "empty" : row->standard);
        fprintf(file, ").\n");
    }
}

/* Lines of comment, broken at blanks. */
static void print_comment(FILE *file, const char *text)
{
    assert(text != NULL);
    while (strlen(text) > EXAMPLE_WIDTH) {
        size_t cut = EXAMPLE_WIDTH;

        while (cut > 1 && text[cut] != ' ')
            cut--;
        fprintf(file, "## %.*s\n", (int)cut, text);
        text += cut + 1;
    }
    fprintf(file, "## %s\n", text);
}

/* Two # are words, one # is a setting: so every line with one can be made to hold. */
void lv_settings_print_example(FILE *file)
{
    assert(file != NULL);
    fprintf(file, "## Settings of leveret serve, each with its default; see leveret.conf(5).\n");
    for (const struct lv_setting *row = lv_setting_rows; row->name != NULL; row++) {
        fprintf(file, "\n");
        print_comment(file, row->text);
        fprintf(file, "# %s = %s\n", row->name, row->standard[0] == '\0' ? "''" : row->standard);
    }
}
