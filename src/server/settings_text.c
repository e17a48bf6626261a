#include "server/settings_text.h"

#include "base/text.h"
#include "server/config.h"
#include "server/foreign.h"

#include <string.h>

#define EXAMPLE_WIDTH 90u

#define HELP_SIZE     32768u

/* In one literal it would be longer than compilers have to take. */
const char *lv_settings_help(void)
{
    static char help[HELP_SIZE];
    size_t size = (size_t)snprintf(help, sizeof help,
                                   "Settings, for --set NAME=VALUE and lines "
                                   "of --config FILE, with their defaults:\n");

    for (const struct lv_setting *row = lv_setting_rows; row->name != NULL; row++) {
        size += (size_t)snprintf(help + size, sizeof help - size, "  %s = %s\n      %s\n",
                                 row->name, row->standard, row->text);
        assert(size < sizeof help);
    }
    return help;
}

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

static void print_variables(FILE *file)
{
    fputs("\n## Variables of the environment\n"
          "Those of RabbitMQ and of its image that mean something here. They go over the files; an "
          "empty one is none. $RABBITMQ_CONFIG_FILE and\n$RABBITMQ_CONFIG_FILES name files. All "
          "others are not looked at.\n\n"
          "| variable | what it does |\n|---|---|\n",
          file);
    assert(lv_config_variables[0].name != NULL);
    for (const struct lv_config_variable *row = lv_config_variables; row->name != NULL; row++) {
        if (row->setting[0] == '\0')
            fprintf(file, "| `%s` | refused: %s |\n", row->name, row->why);
        else
            fprintf(file, "| `%s` | sets `%s` |\n", row->name, row->setting);
    }
}

static void print_foreign(FILE *file)
{
    fputs("\n## Keys of RabbitMQ that are no settings here\n"
          "A key is refused when the broker would be another one than the file asks for, and "
          "ignored, with a note, when it is about RabbitMQ's own\nmachinery. A value that asks for "
          "what is so anyway is fine. The first row that matches counts, the settings above count "
          "before all of them.\nA name that is in neither table is an error.\n\n"
          "| key | | but not | why |\n|---|---|---|---|\n",
          file);
    assert(lv_foreign_rows[0].pattern != NULL);
    for (const struct lv_foreign *row = lv_foreign_rows; row->pattern != NULL; row++)
        fprintf(file, "| `%s` | %s | %s | %s |\n", row->pattern,
                row->verdict == LV_FOREIGN_REFUSED ? "refused" : "ignored", row->same, row->why);
}

/* `make test` compares what this prints with the page in docs. */
void lv_settings_print_markdown(FILE *file)
{
    assert(file != NULL);
    fputs("# Settings\n"
          "`leveret docs settings` prints this page from the tables that the program uses.\n\n"
          "A setting is given as `--set NAME=VALUE`, or as a line `NAME = VALUE` of a file in "
          "rabbitmq.conf's format; [the manual](manual.md#configuration)\nsays which files are "
          "read and what goes over what. Where names are rabbitmq.conf's, so are meanings. Sizes "
          "take k, M, G (1024) and\nkB, MB, GB (1000). `leveret serve --check-config` says "
          "whether all is well.\n\n"
          "| name | default | range | what it is |\n|---|---|---|---|\n",
          file);
    for (const struct lv_setting *row = lv_setting_rows; row->name != NULL; row++) {
        fprintf(file, "| `%s` | %s%s%s | ", row->name, row->standard[0] == '\0' ? "" : "`",
                row->standard, row->standard[0] == '\0' ? "" : "`");
        print_range(file, row);
        fprintf(file, " | %s |\n", row->text);
    }
    print_variables(file);
    print_foreign(file);
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

void lv_settings_print_man_variables(FILE *file)
{
    assert(file != NULL);
    for (const struct lv_config_variable *row = lv_config_variables; row->name != NULL; row++) {
        fprintf(file, ".TP\n.BR %s\n%s", row->name,
                row->setting[0] == '\0' ? "refused: " : "sets ");
        print_escaped(file, row->setting[0] == '\0' ? row->why : row->setting);
        fprintf(file, "\n");
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

/* The word at the place in "a, b or c". */
static void print_choice(const char *words, uint64_t place, char *text, size_t size)
{
    static const char between[] = ", ";

    assert(words != NULL);
    for (words += strspn(words, between); *words != '\0'; words += strspn(words, between)) {
        size_t length = strcspn(words, between);

        if (length == 2 && memcmp(words, "or", 2) == 0) {
            words += length;
            continue;
        }
        if (place-- == 0) {
            snprintf(text, size, "%.*s", (int)length, words);
            return;
        }
        words += length;
    }
}

static void print_names(const struct lv_names *names, char *text, size_t size)
{
    size_t at = 0;

    assert(names->count <= LV_NAMES_MAX);
    for (unsigned i = 0; i < names->count && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%s", i > 0 ? "," : "", names->items[i]);
}

static void print_memory(const struct lv_memory_limit *limit, char *text, size_t size)
{
    assert(limit->relative == 0 || limit->absolute == 0);
    if (limit->absolute > 0)
        snprintf(text, size, "%llu", (unsigned long long)limit->absolute);
    else
        snprintf(text, size, "%g", limit->relative);
}

const char *lv_setting_value(const struct lv_settings *settings, const struct lv_setting *row,
                             char text[LV_SETTING_VALUE_SIZE])
{
    const void *value = (const char *)settings + row->offset;
    const char *string;

    assert(row->offset < sizeof *settings);
    text[0] = '\0';
    switch (row->kind) {
    case LV_SETTING_NUMBER:
    case LV_SETTING_SIZE:
        snprintf(text, LV_SETTING_VALUE_SIZE, "%llu", (unsigned long long)*(const uint64_t *)value);
        break;
    case LV_SETTING_CHOICE:
        print_choice(row->unit, *(const uint64_t *)value, text, LV_SETTING_VALUE_SIZE);
        break;
    case LV_SETTING_MEMORY:
        print_memory(value, text, LV_SETTING_VALUE_SIZE);
        break;
    case LV_SETTING_LISTENERS:
    case LV_SETTING_USERS:
    case LV_SETTING_LIST:
        print_names(value, text, LV_SETTING_VALUE_SIZE);
        break;
    default:
        string = *(const char *const *)value;
        if (strstr(row->name, "pass") != NULL && string != NULL && string[0] != '\0')
            string = "[redacted]";
        snprintf(text, LV_SETTING_VALUE_SIZE, "%s", string == NULL ? "" : string);
    }
    return text;
}
