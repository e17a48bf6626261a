#include "cli/pages.h"

#include "cli/command.h"

#include <ctype.h>
#include <string.h>

#define NAME_SIZE 32u

/* A command, and the word of a sub-command or NULL. */
struct row {
    const char *name;
    const char *word;
    const char *help;
    int (*run)(int argc, char **argv);
};

static const struct row rows[] = {
#define COMMAND_ROW(name, help) {#name, NULL, help, lv_run_##name},
    LV_COMMANDS(COMMAND_ROW)
#undef COMMAND_ROW
#define SUBCOMMAND_ROW(name, word) {#name, #word, NULL, lv_run_##name},
        LV_SUBCOMMANDS(SUBCOMMAND_ROW)
#undef SUBCOMMAND_ROW
};

bool lv_pages_at(unsigned place, struct lv_page *ret_page)
{
    if (place >= LV_COUNT(rows) || rows[place].word != NULL)
        return false;
    assert(rows[place].help != NULL);
    *ret_page = (struct lv_page){.name = rows[place].name, .help = rows[place].help};
    return true;
}

const char *lv_pages_subcommand(unsigned place)
{
    static const char *const names[] = {
#define SUBCOMMAND_NAME(name, word) #name "-" #word,
        LV_SUBCOMMANDS(SUBCOMMAND_NAME)
#undef SUBCOMMAND_NAME
    };

    assert(LV_COUNT(names) < LV_COUNT(rows));
    return place < LV_COUNT(names) ? names[place] : NULL;
}

/* As if somebody had typed --help behind it. */
static void tell(const struct row *row, lv_options_page_fn *take, void *ctx)
{
    char name[NAME_SIZE], word[NAME_SIZE], help[] = "--help";
    char *argv[] = {name, row->word == NULL ? help : word, help, NULL};

    assert(strlen(row->name) < NAME_SIZE);
    snprintf(name, sizeof name, "%s", row->name);
    snprintf(word, sizeof word, "%s", row->word == NULL ? "" : row->word);
    lv_options_help_by(take, ctx);
    row->run(row->word == NULL ? 2 : 3, argv);
    lv_options_help_by(NULL, NULL);
}

void lv_pages_tell(const char *command, lv_options_page_fn *take, void *ctx)
{
    assert(strcmp(command, "ctl") != 0);
    for (size_t i = 0; i < LV_COUNT(rows); i++) {
        if (strcmp(rows[i].name, command) == 0)
            tell(&rows[i], take, ctx);
    }
}

void lv_pages_tell_all(lv_options_page_fn *take, void *ctx)
{
    struct lv_page page;

    assert(take != NULL);
    for (unsigned i = 0; lv_pages_at(i, &page); i++) {
        if (strcmp(page.name, "ctl") != 0)
            lv_pages_tell(page.name, take, ctx);
    }
}

enum lv_page_value lv_pages_value(const char *placeholder)
{
    assert(placeholder != NULL);
    if (strncmp(placeholder, "FILE", 4) == 0)
        return LV_PAGE_FILE;
    if (strncmp(placeholder, "DIR", 3) == 0)
        return LV_PAGE_DIRECTORY;
    return LV_PAGE_FREE;
}

/* Words are in small letters, what stands for something in capitals. */
struct lv_bytes lv_pages_words(const struct lv_usage *usage)
{
    const char *text = usage->arguments;
    size_t size = strcspn(text, " ");

    assert(text != NULL);
    for (size_t i = 0; i < size; i++) {
        if (!islower((unsigned char)text[i]) && text[i] != '|')
            return lv_bytes(text, 0);
    }
    return lv_bytes(text, size);
}

enum lv_page_value lv_pages_argument(const struct lv_usage *usage)
{
    const char *text = usage->arguments + lv_pages_words(usage).size;

    assert(text >= usage->arguments);
    text += strspn(text, " [");
    return lv_pages_value(text);
}
