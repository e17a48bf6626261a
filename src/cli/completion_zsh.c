#include "cli/completion.h"

#include "cli/ctl_words.h"
#include "cli/pages.h"

#include <string.h>

/* Between single quotes, in a place where a colon and brackets have a meaning. */
static void put_quoted(FILE *file, const char *text)
{
    assert(text != NULL);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '\'')
            fputs("'\\''", file);
        else if (*c == '\n')
            fputc(' ', file);
        else if (strchr("[]:\\", *c) != NULL)
            fprintf(file, "\\%c", *c);
        else
            fputc(*c, file);
    }
}

static const char *action_of(enum lv_page_value value)
{
    switch (value) {
    case LV_PAGE_FILE:
        return "_files";
    case LV_PAGE_DIRECTORY:
        return "_files -/";
    case LV_PAGE_FREE:
        return " ";
    }
    LV_IMPOSSIBLE("every value has its case");
}

/* zshcompsys(1), _arguments: an option that may come again begins with a star, another excludes
 * itself. */
static void put_option(FILE *file, const struct lv_option *option)
{
    assert(option->name != NULL);
    fputs(" \\\n            ", file);
    if (option->kind == LV_OPTION_CALL)
        fputs("'*'", file);
    else if (option->letter != 0)
        fprintf(file, "'(-%c --%s)'", option->letter, option->name);
    if (option->letter != 0)
        fprintf(file, "{-%c,--%s}'[", option->letter, option->name);
    else
        fprintf(file, "'--%s[", option->name);
    put_quoted(file, option->help);
    fputc(']', file);
    if (option->value != NULL) {
        fputc(':', file);
        put_quoted(file, option->value);
        fprintf(file, ":%s", action_of(lv_pages_value(option->value)));
    }
    fputc('\'', file);
}

static void put_words(FILE *file, struct lv_bytes words)
{
    assert(words.size > 0);
    fputs(" \\\n            '1:word:(", file);
    for (size_t i = 0; i < words.size; i++)
        fputc(words.data[i] == '|' ? ' ' : words.data[i], file);
    fputs(")'", file);
}

/* A branch for a command; one with two words is for its sub-command, and stands before it. */
static void put_usage(void *ctx, const struct lv_usage *usage)
{
    struct lv_bytes words = lv_pages_words(usage);
    enum lv_page_value argument = lv_pages_argument(usage);
    const char *name = usage->command + strlen("leveret ");
    FILE *file = ctx;

    assert(usage->options != NULL);
    fprintf(file, "    '%s')\n        _arguments", name);
    for (const struct lv_option *option = usage->options; option->name != NULL; option++)
        put_option(file, option);
    fputs(" \\\n            '(- *)--help[print the options]' '(- *)--version[print the version]'",
          file);
    if (words.size > 0)
        put_words(file, words);
    if (argument != LV_PAGE_FREE)
        fprintf(file, " \\\n            '*:argument:%s'", action_of(argument));
    fputs("\n        ;;\n", file);
}

/* _describe's rows. */
static void put_row(FILE *file, const char *name, const char *help)
{
    assert(name[0] != '\0');
    fprintf(file, "        '%s:", name);
    put_quoted(file, help);
    fputs("'\n", file);
}

static void put_ctl(FILE *file)
{
    const char *name;
    bool takes_value;
    char letter;

    fputs("    ctl)\n        _arguments -C", file);
    for (unsigned i = 0; (name = lv_ctl_words_option(i, &letter, &takes_value)) != NULL; i++) {
        const char *action = strcmp(name, "data-dir") == 0 ? "_files -/" : " ";

        if (letter != 0)
            fprintf(file, " \\\n            '(-%c --%s)'{-%c,--%s}'", letter, name, letter, name);
        else
            fprintf(file, " \\\n            '--%s", name);
        if (takes_value)
            fprintf(file, ":%s:%s", name, action);
        fputc('\'', file);
    }
    fputs(" \\\n            '1:command:->ctl' '*:column:->columns' && return\n"
          "        case $state in\n"
          "        ctl) _describe -t commands command ctl_commands ;;\n"
          "        columns)\n"
          "            case $line[1] in\n",
          file);
    for (unsigned i = 0; i < LV_CTL_PLUGINS_LIST; i++) {
        struct lv_ctl_page page = lv_ctl_words_page(i);

        assert(page.name != NULL);
        if (page.columns == NULL)
            continue;
        fprintf(file, "            %s) compadd --", page.name);
        for (size_t at = 0; page.columns[at] != NULL; at++)
            fprintf(file, " %s", page.columns[at]);
        fputs(" ;;\n", file);
    }
    fputs("            esac\n            ;;\n        esac\n        ;;\n", file);
}

/* Sourced, or as a file of $fpath, which is run as the function itself. */
void lv_completion_zsh(FILE *file)
{
    struct lv_page page;

    fputs("#compdef leveret\n# Completion for zsh, printed by `leveret completion zsh`.\n\n"
          "_leveret_command() {\n"
          "    local curcontext=$curcontext state line name=$words[1]\n"
          "    local -a ctl_commands\n"
          "    ctl_commands=(\n",
          file);
    for (unsigned i = 0; i < LV_CTL_PLUGINS_LIST; i++)
        put_row(file, lv_ctl_words_page(i).name, lv_ctl_words_page(i).summary);
    fputs("    )\n"
          "    # A sub-command with options of its own.\n"
          "    if ((CURRENT > 2)) && [[ \" $_leveret_subcommands \" == *\" $words[1]-$words[2] "
          "\"* ]]; then\n"
          "        name=\"$words[1] $words[2]\"\n"
          "        shift words\n"
          "        ((CURRENT--))\n"
          "    fi\n"
          "    case $name in\n",
          file);
    lv_pages_tell_all(put_usage, file);
    put_ctl(file);
    fputs("    esac\n}\n\n_leveret() {\n"
          "    local curcontext=$curcontext state line\n"
          "    local _leveret_subcommands='",
          file);
    for (unsigned i = 0; lv_pages_subcommand(i) != NULL; i++)
        fprintf(file, "%s%s", i == 0 ? "" : " ", lv_pages_subcommand(i));
    fputs("'\n    local -a commands\n    commands=(\n", file);
    for (unsigned i = 0; lv_pages_at(i, &page); i++)
        put_row(file, page.name, page.help);
    assert(!ferror(file));
    fputs("    )\n"
          "    _arguments -C '(- *)--help[print the commands]' '(- *)--version[print the version]' "
          "\\\n"
          "        '1:command:->command' '*::argument:->argument' && return\n"
          "    case $state in\n"
          "    command) _describe -t commands command commands ;;\n"
          "    argument) _leveret_command ;;\n"
          "    esac\n}\n\n"
          "if [[ $funcstack[1] == _leveret ]]; then\n    _leveret \"$@\"\nelse\n"
          "    compdef _leveret leveret\nfi\n",
          file);
}
