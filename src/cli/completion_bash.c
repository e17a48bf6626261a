#include "cli/completion.h"

#include "cli/ctl_words.h"
#include "cli/pages.h"
#include "server/settings.h"

#include <string.h>

/* What is the same whatever the tables say. Works without the package bash-completion. */
static const char machinery[] =
    "_leveret_has() { [[ $1 == *\" $2 \"* ]]; }\n"
    "\n"
    "_leveret_reply() {\n"
    "    mapfile -t COMPREPLY < <(compgen \"$@\" -- \"$cur\")\n"
    "}\n"
    "\n"
    "_leveret_reply_path() {\n"
    "    case $1 in\n"
    "    file) _leveret_reply -f ;;\n"
    "    directory) _leveret_reply -d ;;\n"
    "    *) return ;;\n"
    "    esac\n"
    "    compopt -o filenames 2>/dev/null\n"
    "}\n"
    "\n"
    "_leveret_value() {\n"
    "    if _leveret_has \"$files\" \"$1\"; then\n"
    "        _leveret_reply_path file\n"
    "    elif _leveret_has \"$directories\" \"$1\"; then\n"
    "        _leveret_reply_path directory\n"
    "    elif _leveret_has \"$assignments\" \"$1\"; then\n"
    "        _leveret_reply -W \"$_leveret_settings\"\n"
    "        compopt -o nospace 2>/dev/null\n"
    "    fi\n"
    "}\n"
    "\n"
    "_leveret() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} last=${COMP_WORDS[COMP_CWORD - 1]}\n"
    "    local command='' count=0 i word\n"
    "    local options values files directories assignments words argument again\n"
    "\n"
    "    COMPREPLY=()\n"
    "    # `--option=value` is three words to bash.\n"
    "    [[ $last == '=' ]] && last=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "    [[ $cur == '=' ]] && cur=''\n"
    "    _leveret_table '' # until a command is known\n"
    "    case ${COMP_WORDS[0]##*/} in\n"
    "    rabbitmq*) command=ctl && _leveret_table ctl ;;\n"
    "    esac\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        word=${COMP_WORDS[i]}\n"
    "        if [[ $word == '=' ]]; then\n"
    "            i=$((i + 1))\n"
    "        elif [[ $word == -* ]]; then\n"
    "            _leveret_has \"$values\" \"$word\" && [[ ${COMP_WORDS[i + 1]} != '=' ]] && "
    "i=$((i + 1))\n"
    "        elif [[ -z $command ]]; then\n"
    "            command=$word\n"
    "            _leveret_table \"$command\" || return 0\n"
    "        else\n"
    "            ((count == 0)) && _leveret_table \"$command $word\" && continue\n"
    "            count=$((count + 1))\n"
    "        fi\n"
    "    done\n"
    "    if _leveret_has \"$values\" \"$last\"; then\n"
    "        _leveret_value \"$last\"\n"
    "    elif [[ $cur == -* ]]; then\n"
    "        _leveret_reply -W \"$options\"\n"
    "    elif [[ -n $words && ($count == 0 || -n $again) ]]; then\n"
    "        _leveret_reply -W \"$words\"\n"
    "    else\n"
    "        _leveret_reply_path \"$argument\"\n"
    "    fi\n"
    "}\n"
    "\n"
    "complete -F _leveret leveret\n"
    "# As the completion of a link by another name.\n"
    "case ${BASH_SOURCE[0]##*/} in\n"
    "rabbitmq*) complete -F _leveret \"${BASH_SOURCE[0]##*/}\" ;;\n"
    "esac\n";

typedef bool choose_fn(const struct lv_option *option);

static bool any(const struct lv_option *option)
{
    return option->name != NULL;
}

static bool has_value(const struct lv_option *option)
{
    return option->value != NULL;
}

static bool is_file(const struct lv_option *option)
{
    return has_value(option) && lv_pages_value(option->value) == LV_PAGE_FILE;
}

static bool is_directory(const struct lv_option *option)
{
    return has_value(option) && lv_pages_value(option->value) == LV_PAGE_DIRECTORY;
}

static bool is_assignment(const struct lv_option *option)
{
    return has_value(option) && strcmp(option->name, "set") == 0;
}

/* A variable with a blank around every word, so that a word can be looked for. */
static void put_options(FILE *file, const char *name, const struct lv_usage *usage,
                        choose_fn *choose)
{
    fprintf(file, "        %s=' ", name);
    for (const struct lv_option *option = usage->options; option->name != NULL; option++) {
        if (!choose(option))
            continue;
        if (option->letter != 0)
            fprintf(file, "-%c ", option->letter);
        fprintf(file, "--%s ", option->name);
    }
    assert(usage->options != NULL);
    fputs(choose == any ? "--help --version '\n" : "'\n", file);
}

static const char *name_of(enum lv_page_value value)
{
    switch (value) {
    case LV_PAGE_FILE:
        return "file";
    case LV_PAGE_DIRECTORY:
        return "directory";
    case LV_PAGE_FREE:
        return "";
    }
    LV_IMPOSSIBLE("every value has its case");
}

/* A branch of _leveret_table(). */
static void put_usage(void *ctx, const struct lv_usage *usage)
{
    static const char program[] = "leveret ";
    struct lv_bytes words = lv_pages_words(usage);
    FILE *file = ctx;

    assert(strncmp(usage->command, program, strlen(program)) == 0);
    fprintf(file, "    '%s')\n        _leveret_clear\n", usage->command + strlen(program));
    put_options(file, "options", usage, any);
    put_options(file, "values", usage, has_value);
    put_options(file, "files", usage, is_file);
    put_options(file, "directories", usage, is_directory);
    put_options(file, "assignments", usage, is_assignment);
    fputs("        words='", file);
    for (size_t i = 0; i < words.size; i++)
        fputc(words.data[i] == '|' ? ' ' : words.data[i], file);
    fprintf(file, "'\n        argument='%s'\n        ;;\n", name_of(lv_pages_argument(usage)));
}

/* rabbitmqctl's options are the same for all commands, as far as completion goes. */
static void put_ctl(FILE *file)
{
    const char *name;
    bool takes_value;
    char letter;

    for (unsigned pass = 0; pass < 2; pass++) {
        fprintf(file, pass == 0 ? "    ctl)\n        _leveret_clear\n        options=' "
                                : "'\n        values=' ");
        for (unsigned i = 0; (name = lv_ctl_words_option(i, &letter, &takes_value)) != NULL; i++) {
            if (pass == 1 && !takes_value)
                continue;
            if (letter != 0)
                fprintf(file, "-%c ", letter);
            fprintf(file, "--%s ", name);
        }
    }
    fputs("'\n        directories=' -d --data-dir '\n        words='", file);
    for (unsigned i = 0; i < LV_CTL_PLUGINS_LIST; i++)
        fprintf(file, "%s%s", i == 0 ? "" : " ", lv_ctl_words_page(i).name);
    fputs("'\n        ;;\n", file);
    for (unsigned i = 0; i < LV_CTL_PLUGINS_LIST; i++) {
        struct lv_ctl_page page = lv_ctl_words_page(i);

        assert(page.name != NULL);
        fprintf(file, "    'ctl %s')\n        _leveret_table ctl\n        words='", page.name);
        for (size_t at = 0; page.columns != NULL && page.columns[at] != NULL; at++)
            fprintf(file, "%s%s", at == 0 ? "" : " ", page.columns[at]);
        fprintf(file, "' again=yes\n        ;;\n");
    }
}

void lv_completion_bash(FILE *file)
{
    struct lv_page page;

    assert(file != NULL);
    fputs("# Completion for bash, printed by `leveret completion bash`.\n\n"
          "# shellcheck disable=SC2034 # the caller's variables\n"
          "_leveret_clear() {\n"
          "    options='' values='' files='' directories='' assignments='' words='' argument='' "
          "again=''\n"
          "}\n\n"
          "# Fails, and changes nothing, when there is no such command.\n"
          "# shellcheck disable=SC2034\n"
          "_leveret_table() {\n"
          "    case $1 in\n"
          "    '')\n"
          "        _leveret_clear\n"
          "        options=' --help --version '\n"
          "        words='",
          file);
    for (unsigned i = 0; lv_pages_at(i, &page); i++)
        fprintf(file, "%s%s", i == 0 ? "" : " ", page.name);
    fputs("'\n        ;;\n", file);
    lv_pages_tell_all(put_usage, file);
    put_ctl(file);
    fputs("    *) return 1 ;;\n    esac\n}\n\n_leveret_settings='", file);
    for (const struct lv_setting *row = lv_setting_rows; row->name != NULL; row++)
        fprintf(file, "%s%s=", row == lv_setting_rows ? "" : " ", row->name);
    fprintf(file, "'\n\n%s", machinery);
}
