#include "cli/completion.h"

#include "cli/ctl_words.h"
#include "cli/pages.h"

#include <string.h>

/* Between single quotes. */
static void put_quoted(FILE *file, const char *text)
{
    assert(text != NULL);
    fputc('\'', file);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '\'' || *c == '\\')
            fputc('\\', file);
        fputc(*c == '\n' ? ' ' : *c, file);
    }
    fputc('\'', file);
}

/* What begins every line of a command. */
static void put_place(FILE *file, const char *command)
{
    assert(command[0] != '\0');
    fprintf(file, "complete -c leveret -n '__fish_seen_subcommand_from %s'", command);
}

static const char *action_of(enum lv_page_value value)
{
    switch (value) {
    case LV_PAGE_FILE:
        return " -r -F";
    case LV_PAGE_DIRECTORY:
        return " -x -a '(__fish_complete_directories)'";
    case LV_PAGE_FREE:
        return " -x";
    }
    LV_IMPOSSIBLE("every value has its case");
}

static void put_usage(void *ctx, const struct lv_usage *usage)
{
    const char *blank = strrchr(usage->command, ' ');
    struct lv_bytes words = lv_pages_words(usage);
    enum lv_page_value argument = lv_pages_argument(usage);
    FILE *file = ctx;

    assert(blank != NULL);
    for (const struct lv_option *option = usage->options; option->name != NULL; option++) {
        put_place(file, blank + 1);
        if (option->letter != 0)
            fprintf(file, " -s %c", option->letter);
        fprintf(file, " -l %s", option->name);
        if (option->value != NULL)
            fputs(action_of(lv_pages_value(option->value)), file);
        fputs(" -d ", file);
        put_quoted(file, option->help);
        fputc('\n', file);
    }
    if (words.size > 0) {
        put_place(file, blank + 1);
        fputs(" -a '", file);
        for (size_t i = 0; i < words.size; i++)
            fputc(words.data[i] == '|' ? ' ' : words.data[i], file);
        fputs("'\n", file);
    }
    if (argument != LV_PAGE_FREE) {
        put_place(file, blank + 1);
        fputs(argument == LV_PAGE_FILE ? " -F\n" : " -a '(__fish_complete_directories)'\n", file);
    }
}

static void put_ctl(FILE *file)
{
    const char *name;
    bool takes_value;
    char letter;

    for (unsigned i = 0; (name = lv_ctl_words_option(i, &letter, &takes_value)) != NULL; i++) {
        put_place(file, "ctl");
        if (letter != 0)
            fprintf(file, " -s '%c'", letter);
        fprintf(file, " -l %s", name);
        if (takes_value)
            fputs(action_of(strcmp(name, "data-dir") == 0 ? LV_PAGE_DIRECTORY : LV_PAGE_FREE),
                  file);
        fputc('\n', file);
    }
    for (unsigned i = 0; i < LV_CTL_PLUGINS_LIST; i++) {
        struct lv_ctl_page page = lv_ctl_words_page(i);

        assert(page.name != NULL);
        put_place(file, "ctl");
        fprintf(file, " -a %s -d ", page.name);
        put_quoted(file, page.summary);
        fputc('\n', file);
        if (page.columns == NULL)
            continue;
        put_place(file, page.name);
        fputs(" -a '", file);
        for (size_t at = 0; page.columns[at] != NULL; at++)
            fprintf(file, "%s%s", at == 0 ? "" : " ", page.columns[at]);
        fputs("'\n", file);
    }
}

void lv_completion_fish(FILE *file)
{
    struct lv_page page;

    fputs("# Completion for fish, printed by `leveret completion fish`.\n"
          "complete -c leveret -f\n"
          "complete -c leveret -l help -d 'print what there is'\n"
          "complete -c leveret -l version -d 'print the version'\n",
          file);
    for (unsigned i = 0; lv_pages_at(i, &page); i++) {
        fprintf(file, "complete -c leveret -n __fish_use_subcommand -a %s -d ", page.name);
        put_quoted(file, page.help);
        fputc('\n', file);
    }
    assert(!ferror(file));
    lv_pages_tell_all(put_usage, file);
    put_ctl(file);
}
