#include "cli/ctl_words.h"

#include "base/text.h"
#include "lv_version.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INVALID_MAX   16u

#define ARGUMENTS_ANY 64u

struct command {
    const char *name;
    const char *arguments; /* of the usage line */
    const char *summary;
    unsigned least, most; /* arguments; of a list that takes none: no columns */
};

/* Names of the program, by enum lv_ctl_tool. */
static const char *const tools[] = {"leveret ctl", "rabbitmqctl", "rabbitmq-diagnostics",
                                    "rabbitmq-plugins"};

/* The lists' rows, then the others, in the order of enum lv_ctl_verb. */
static const struct command commands[LV_CTL_VERB_COUNT] = {
    [LV_LIST_QUEUE] = {"list_queues",
                       "[--vhost <vhost>] [--online] [--offline] [--local] [--no-table-headers] "
                       "[<column>, ...] [--timeout <timeout>]",
                       "Lists queues and their properties.", 0, ARGUMENTS_ANY},
    [LV_LIST_EXCHANGE] = {"list_exchanges",
                          "[--vhost <vhost>] [--no-table-headers] [<column> ...] "
                          "[--timeout <timeout>]",
                          "Lists exchanges.", 0, ARGUMENTS_ANY},
    [LV_LIST_BINDING] = {"list_bindings",
                         "[--vhost <vhost>] [--no-table-headers] [<column> ...] "
                         "[--timeout <timeout>]",
                         "Lists the bindings of a vhost, those of the default exchange included.",
                         0, ARGUMENTS_ANY},
    [LV_LIST_CONNECTION] = {"list_connections",
                            "[--no-table-headers] [<column> ...] [--timeout <timeout>]",
                            "Lists connections.", 0, ARGUMENTS_ANY},
    [LV_LIST_CHANNEL] = {"list_channels", "[--no-table-headers] [<column> ...]",
                         "Lists the channels of all connections.", 0, ARGUMENTS_ANY},
    [LV_LIST_CONSUMER] = {"list_consumers",
                          "[--vhost <vhost>] [--no-table-headers] [<column> ...] "
                          "[--timeout <timeout>]",
                          "Lists the consumers of a vhost's queues.", 0, ARGUMENTS_ANY},
    [LV_LIST_USER] = {"list_users", "[--no-table-headers] [--timeout <timeout>]",
                      "Lists users and their tags.", 0, 0},
    [LV_LIST_VHOST] = {"list_vhosts", "[--no-table-headers] [<column> ...] [--timeout <timeout>]",
                       "Lists virtual hosts.", 0, ARGUMENTS_ANY},
    [LV_LIST_PERMISSION] = {"list_permissions",
                            "[--vhost <vhost>] [--no-table-headers] [--timeout <timeout>]",
                            "Lists what users may do in a virtual host.", 0, 0},
    [LV_LIST_USER_PERMISSION] = {"list_user_permissions",
                                 "[--no-table-headers] <username> [--timeout <timeout>]",
                                 "Lists what a user may do in virtual hosts.", 1, 1},
    [LV_LIST_TOPIC_PERMISSION] = {"list_topic_permissions",
                                  "[--vhost <vhost>] [--no-table-headers] [--timeout <timeout>]",
                                  "Lists users' topic permissions in a virtual host.", 0, 0},
    [LV_LIST_USER_TOPIC_PERMISSION] = {"list_user_topic_permissions",
                                       "[--no-table-headers] <username> [--timeout <timeout>]",
                                       "Lists a user's topic permissions.", 1, 1},
    [LV_LIST_VHOST_LIMIT] = {"list_vhost_limits",
                             "[--vhost <vhost>] [--global] [--no-table-headers]",
                             "Shows the limits of a virtual host, or of all.", 0, 0},
    [LV_LIST_USER_LIMIT] = {"list_user_limits", "[--user <username>] [--global]",
                            "Shows the limits of a user, or of all.", 0, 0},
#define COMMAND(NAME, name, arguments, summary)                                                    \
    [LV_CTL_##NAME] = {#name, arguments, summary, 0,                                               \
                       LV_CTL_##NAME == LV_CTL_STOP || LV_CTL_##NAME == LV_CTL_HELP},
    LV_CTL_VERBS(COMMAND)
#undef COMMAND
#define COMMAND(NAME, name, arguments, least, most, summary)                                       \
    [LV_CTL_##NAME] = {#name, arguments, summary, least, most},
        LV_CTL_DEEDS(COMMAND) LV_CTL_PLUGIN_DEEDS(COMMAND)
#undef COMMAND
};

/* What is written where an option's value goes, and which commands know the option. */
enum option_kind { OPTION_FLAG, OPTION_UNFLAG, OPTION_TEXT, OPTION_NUMBER };
enum option_place {
    PLACE_ALL,
    PLACE_LIST,
    PLACE_QUEUES,
    PLACE_STATUS,
    PLACE_STOP,
    PLACE_ADD_VHOST,
    PLACE_CLOSE_ALL,
    PLACE_GLOBAL,
    PLACE_USER_LIMITS,
    PLACE_DELETE_QUEUE,
    PLACE_IMPORT,
    PLACE_PORTS,
    PLACE_PLUGINS,
    PLACE_PLUGINS_LIST
};

/* Options that are taken and not looked at. */
#define NOWHERE   SIZE_MAX
#define TO(field) offsetof(struct lv_ctl_words, field)

static const struct option {
    const char *name;
    char letter; /* 0: none */
    enum option_kind kind;
    enum option_place place;
    size_t offset; /* of its value in struct lv_ctl_words */
} options[] = {
    {"node", 'n', OPTION_TEXT, PLACE_ALL, NOWHERE},
    {"data-dir", 'd', OPTION_TEXT, PLACE_ALL, TO(data_dir)},
    {"longnames", 'l', OPTION_FLAG, PLACE_ALL, NOWHERE},
    {"timeout", 't', OPTION_NUMBER, PLACE_ALL, TO(timeout_s)},
    {"quiet", 'q', OPTION_FLAG, PLACE_ALL, TO(is_quiet)},
    {"silent", 's', OPTION_FLAG, PLACE_ALL, TO(is_silent)},
    {"vhost", 'p', OPTION_TEXT, PLACE_ALL, TO(vhost)},
    {"formatter", 0, OPTION_TEXT, PLACE_ALL, TO(formatter)},
    {"help", '?', OPTION_FLAG, PLACE_ALL, TO(wants_help)},
    {"no-table-headers", 0, OPTION_FLAG, PLACE_LIST, TO(has_no_headers)},
    {"table-headers", 0, OPTION_UNFLAG, PLACE_LIST, TO(has_no_headers)},
    {"online", 0, OPTION_FLAG, PLACE_QUEUES, NOWHERE},
    {"offline", 0, OPTION_FLAG, PLACE_QUEUES, TO(is_offline)},
    {"local", 0, OPTION_FLAG, PLACE_QUEUES, NOWHERE},
    {"unit", 0, OPTION_TEXT, PLACE_STATUS, TO(unit)},
    {"idempotent", 0, OPTION_FLAG, PLACE_STOP, TO(is_idempotent)},
    {"description", 0, OPTION_TEXT, PLACE_ADD_VHOST, TO(description)},
    {"tags", 0, OPTION_TEXT, PLACE_ADD_VHOST, TO(tags)},
    {"default-queue-type", 0, OPTION_TEXT, PLACE_ADD_VHOST, TO(queue_type)},
    {"limit", 0, OPTION_NUMBER, PLACE_CLOSE_ALL, TO(limit)},
    {"per-connection-delay", 0, OPTION_TEXT, PLACE_CLOSE_ALL, NOWHERE},
    {"global", 0, OPTION_FLAG, PLACE_GLOBAL, TO(is_global)},
    {"user", 0, OPTION_TEXT, PLACE_USER_LIMITS, TO(user)},
    {"if-empty", 'e', OPTION_FLAG, PLACE_DELETE_QUEUE, TO(if_empty)},
    {"if-unused", 'u', OPTION_FLAG, PLACE_DELETE_QUEUE, TO(if_unused)},
    {"plan", 0, OPTION_FLAG, PLACE_IMPORT, TO(is_plan)},
    {"skip-if-unchanged", 0, OPTION_FLAG, PLACE_IMPORT, NOWHERE},
    {"address", 0, OPTION_TEXT, PLACE_PORTS, TO(address)},
    {"offline", 0, OPTION_FLAG, PLACE_PLUGINS, NOWHERE},
    {"online", 0, OPTION_FLAG, PLACE_PLUGINS, NOWHERE},
    {"all", 0, OPTION_FLAG, PLACE_PLUGINS, TO(is_global)},
    {"verbose", 'v', OPTION_FLAG, PLACE_PLUGINS_LIST, TO(is_verbose)},
    {"minimal", 'm', OPTION_FLAG, PLACE_PLUGINS_LIST, TO(is_minimal)},
    {"enabled", 'E', OPTION_FLAG, PLACE_PLUGINS_LIST, TO(is_enabled)},
    {"implicitly-enabled", 'e', OPTION_FLAG, PLACE_PLUGINS_LIST, TO(is_enabled)},
};

/* Where the parser is, and what it could not make sense of. */
struct parser {
    struct lv_ctl_words *words; /* view */
    const char *command;        /* view  NULL: none yet */
    struct {
        char option[64];
        const char *value; /* view  "" when there is none */
    } invalid[INVALID_MAX];
    unsigned invalid_count;
};

bool lv_ctl_is_bold(void)
{
    const char *value = getenv("NO_COLOR");

    return value == NULL || value[0] == '\0';
}

const char *lv_ctl_words_command(const struct lv_ctl_words *words)
{
    assert(words->verb < LV_CTL_VERB_COUNT);
    return commands[words->verb].name;
}

static const char *bold(const char *escape)
{
    assert(escape[0] == '\033');
    return lv_ctl_is_bold() ? escape : "";
}

static void print_usage(FILE *file, const char *program, const struct command *command)
{
    assert(command->name != NULL);
    fprintf(file,
            "\n%sUsage%s\n\n%s [--node <node>] [--longnames] [--quiet] [--data-dir <dir>] "
            "%s %s\n",
            bold("\033[1m"), bold("\033[0m"), program, command->name, command->arguments);
}

static void print_arguments(const struct lv_ctl_words *words)
{
    assert(words->given_count >= 1);
    fprintf(stderr, "Arguments given:\n\t");
    for (int i = 1; i < words->given_count; i++)
        fprintf(stderr, "%s%s", i > 1 ? " " : "", words->given[i]);
    fprintf(stderr, "\n");
}

int lv_ctl_words_refuse(const struct lv_ctl_words *words, const char *fmt, ...)
{
    va_list args;

    assert(words->verb < LV_CTL_VERB_COUNT);
    fprintf(stderr, "Error (argument validation): ");
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "\n");
    print_arguments(words);
    print_usage(stderr, words->program, &commands[words->verb]);
    return LV_CTL_USAGE;
}

/* ---- options ---- */

static bool fits(enum option_place place, enum lv_ctl_verb verb)
{
    switch (place) {
    case PLACE_ALL:
        return true;
    case PLACE_LIST:
        return verb <= LV_CTL_LIST_LAST;
    case PLACE_QUEUES:
        return verb == (enum lv_ctl_verb)LV_LIST_QUEUE;
    case PLACE_STATUS:
        return verb == LV_CTL_STATUS;
    case PLACE_STOP:
        return verb == LV_CTL_STOP;
    case PLACE_ADD_VHOST:
        return verb == LV_CTL_ADD_VHOST;
    case PLACE_CLOSE_ALL:
        return verb == LV_CTL_CLOSE_ALL_CONNECTIONS;
    case PLACE_GLOBAL:
        return verb == LV_CTL_CLOSE_ALL_CONNECTIONS ||
               verb == (enum lv_ctl_verb)LV_LIST_VHOST_LIMIT ||
               verb == (enum lv_ctl_verb)LV_LIST_USER_LIMIT;
    case PLACE_USER_LIMITS:
        return verb == (enum lv_ctl_verb)LV_LIST_USER_LIMIT;
    case PLACE_DELETE_QUEUE:
        return verb == LV_CTL_DELETE_QUEUE;
    case PLACE_IMPORT:
        return verb == LV_CTL_IMPORT_DEFINITIONS;
    case PLACE_PORTS:
        return verb == LV_CTL_CHECK_PORT_CONNECTIVITY;
    case PLACE_PLUGINS:
        return verb >= LV_CTL_PLUGINS_LIST;
    case PLACE_PLUGINS_LIST:
        return verb == LV_CTL_PLUGINS_LIST;
    }
    LV_IMPOSSIBLE("every place has its case");
}

/* `name` is with its dashes and without a value. NULL: there is none. Of a command that isn't known
 * yet every option is looked at. */
static const struct option *find_option(const char *name, size_t size, enum lv_ctl_verb verb)
{
    assert(name[0] == '-');
    for (size_t i = 0; i < LV_COUNT(options); i++) {
        const struct option *option = &options[i];

        if (verb < LV_CTL_VERB_COUNT && !fits(option->place, verb))
            continue;
        if (size == 2 && option->letter != 0 && name[1] == option->letter)
            return option;
        if (size > 2 && name[1] == '-' && strlen(option->name) == size - 2 &&
            memcmp(option->name, name + 2, size - 2) == 0)
            return option;
    }
    return NULL;
}

static void mark_invalid(struct parser *parser, const char *option, size_t size, const char *value)
{
    unsigned at = parser->invalid_count;

    assert(option[0] == '-');
    if (at == INVALID_MAX)
        return; /* those that are named will do */
    snprintf(parser->invalid[at].option, sizeof parser->invalid[at].option, "%.*s", (int)size,
             option);
    parser->invalid[at].value = value == NULL ? "" : value;
    parser->invalid_count++;
}

static bool takes_value(const struct option *option)
{
    assert(option->name != NULL);
    return option->kind == OPTION_TEXT || option->kind == OPTION_NUMBER;
}

/* False: the value is no number. */
static bool apply(struct lv_ctl_words *words, const struct option *option, const char *value)
{
    void *to = option->offset == NOWHERE ? NULL : (char *)words + option->offset;
    uint64_t number;

    assert(takes_value(option) == (value != NULL));
    if (option->kind == OPTION_NUMBER && lv_text_number(value, &number) < 0)
        return false;
    if (to == NULL)
        return true;
    if (option->kind == OPTION_TEXT)
        *(const char **)to = value;
    else if (option->kind == OPTION_NUMBER)
        *(uint64_t *)to = number;
    else
        *(bool *)to = option->kind == OPTION_FLAG;
    if (to == &words->timeout_s)
        words->has_timeout = true;
    return true;
}

/* `--name value`, `--name=value` and `-n value`. Returns how many words it took. */
static int take_option(struct parser *parser, const char *word, const char *next)
{
    const char *equals = word[1] == '-' ? strchr(word, '=') : NULL;
    size_t size = equals == NULL ? strlen(word) : (size_t)(equals - word);
    const struct option *option = find_option(word, size, parser->words->verb);
    const char *value = equals == NULL ? NULL : equals + 1;
    bool takes_next;

    assert(word[0] == '-');
    if (option == NULL || (!takes_value(option) && value != NULL)) {
        mark_invalid(parser, word, size, value);
        return 1;
    }
    takes_next = takes_value(option) && value == NULL;
    if (takes_next)
        value = next;
    if (takes_value(option) && value == NULL) {
        mark_invalid(parser, word, size, NULL);
        return 1;
    }
    if (!apply(parser->words, option, value))
        mark_invalid(parser, word, size, value);
    return takes_next ? 2 : 1;
}

/* ---- commands ---- */

/* rabbitmq-plugins has commands of its own, and help. */
static bool is_for(enum lv_ctl_verb verb, enum lv_ctl_tool tool)
{
    bool is_common = verb == LV_CTL_HELP || verb == LV_CTL_VERSION;

    assert(verb < LV_CTL_VERB_COUNT);
    return is_common || (verb >= LV_CTL_PLUGINS_LIST) == (tool == LV_CTL_TOOL_PLUGINS);
}

static int refuse_command(const char *word, enum lv_ctl_tool tool)
{
    struct lv_nearest nearest = {.name = word};

    for (enum lv_ctl_verb i = (enum lv_ctl_verb)0; i < LV_CTL_VERB_COUNT; i++)
        if (is_for(i, tool))
            lv_nearest_try(&nearest, commands[i].name);
    assert(word != NULL);
    fprintf(stderr, "\nCommand '%s' not found. \n", word);
    if (nearest.best != NULL)
        fprintf(stderr, "Did you mean '%s'? \n", nearest.best);
    fprintf(stderr, "\n");
    return LV_CTL_USAGE;
}

static enum lv_ctl_verb find_command(const char *word, enum lv_ctl_tool tool)
{
    enum lv_ctl_verb verb = (enum lv_ctl_verb)0;

    assert(word != NULL);
    while (verb < LV_CTL_VERB_COUNT &&
           (!is_for(verb, tool) || strcmp(commands[verb].name, word) != 0))
        verb++;
    return verb;
}

static void print_commands(FILE *file, enum lv_ctl_tool tool)
{
    const char *program = tools[tool];

    assert(program != NULL);
    fprintf(file,
            "\n%sUsage%s\n\n%s [--node <node>] [--timeout <timeout>] [--quiet] [--data-dir <dir>] "
            "<command> [<command options>]\n\n"
            "Asks the broker whose data directory it is. The socket is there for the user that\n"
            "the broker runs as, and for root.\n\nAvailable commands:\n\n",
            bold("\033[1m"), bold("\033[0m"), program);
    for (enum lv_ctl_verb i = (enum lv_ctl_verb)0; i < LV_CTL_VERB_COUNT; i++)
        if (is_for(i, tool))
            fprintf(file, "   %-28s%s\n", commands[i].name, commands[i].summary);
}

const char lv_ctl_words_options[] =
    "-d <dir>         --data-dir <dir>   the broker's data directory (default: as leveret serve)\n"
    "-n <node>        --node <node>      taken and not looked at\n"
    "-t <n>           --timeout <n>      give up after so many seconds\n"
    "-q               --quiet            no lines but the answer\n"
    "-s               --silent           and no header either\n"
    "-p <vhost>       --vhost <vhost>    the virtual host (default /)\n"
    "                 --formatter <form> table, json, csv or pretty_table\n"
    "-?               --help             this text\n";

static void print_help(const struct lv_ctl_words *words)
{
    const struct command *command = &commands[words->verb];

    assert(words->verb < LV_CTL_VERB_COUNT);
    print_usage(stdout, words->program, command);
    printf("\n%s\n", command->summary);
    if (words->verb <= LV_CTL_LIST_LAST && command->most == ARGUMENTS_ANY) {
        const struct lv_list_row *row = &lv_list_rows[words->verb];

        printf("\n<column>\n\tone of");
        for (size_t i = 0; row->columns[i] != NULL; i++)
            printf("%s %s", i > 0 ? "," : "", row->columns[i]);
        printf("\n\tshown when none is named: %s\n", row->standard);
    }
    printf("\n%s", lv_ctl_words_options);
}

/* ---- columns ---- */

/* Names that the list has no column of. */
struct unknown {
    struct lv_bytes names[LV_COLUMNS_MAX]; /* view */
    size_t count;
};

static int compare_names(const void *a, const void *b)
{
    const struct lv_bytes *left = a, *right = b;
    size_t size = left->size < right->size ? left->size : right->size;
    int order = memcmp(left->data, right->data, size);

    assert(size > 0);
    return order != 0 ? order : (left->size > right->size) - (left->size < right->size);
}

static int refuse_columns(const struct lv_ctl_words *words, struct unknown *unknown)
{
    char list[1024] = "";
    size_t size = 0;

    assert(unknown->count > 0);
    qsort(unknown->names, unknown->count, sizeof *unknown->names, compare_names);
    for (size_t i = 0; i < unknown->count && size < sizeof list; i++)
        size += (size_t)snprintf(list + size, sizeof list - size, "%s%.*s", i > 0 ? "," : "",
                                 LV_FMT(unknown->names[i]));
    return lv_ctl_words_refuse(words, "Info key(s) %s are not supported", list);
}

/* Each once; consumers' in the order of the table, as rabbitmqctl has it. */
static void add_column(struct lv_ctl_words *words, int place)
{
    unsigned at = words->column_count;

    assert(place >= 0);
    for (unsigned i = 0; i < words->column_count; i++) {
        if (words->columns[i] == place)
            return;
    }
    while (words->verb == (enum lv_ctl_verb)LV_LIST_CONSUMER && at > 0 &&
           words->columns[at - 1] > place) {
        words->columns[at] = words->columns[at - 1];
        at--;
    }
    words->columns[at] = (uint8_t)place;
    words->column_count++;
}

/* Names with commas or spaces between them. */
static void split_columns(struct lv_ctl_words *words, const char *text, struct unknown *unknown)
{
    static const char between[] = ", ";

    assert(words->verb <= LV_CTL_LIST_LAST);
    for (text += strspn(text, between); *text != '\0'; text += strspn(text, between)) {
        struct lv_bytes name = lv_bytes(text, strcspn(text, between));
        int place = lv_list_column((enum lv_list_kind)words->verb, name);

        text += name.size;
        if (place >= 0)
            add_column(words, place);
        else if (unknown->count < LV_COLUMNS_MAX)
            unknown->names[unknown->count++] = name;
    }
}

static int take_columns(struct lv_ctl_words *words)
{
    struct unknown unknown = {.count = 0};

    for (unsigned i = 0; i < words->argument_count; i++)
        split_columns(words, words->arguments[i], &unknown);
    if (unknown.count > 0)
        return refuse_columns(words, &unknown);
    if (words->column_count == 0)
        split_columns(words, lv_list_rows[words->verb].standard, &unknown);
    assert(words->column_count > 0);
    return LV_CTL_OK;
}

/* Of a list that knows no others. */
static int take_standard_columns(struct lv_ctl_words *words)
{
    struct unknown unknown = {.count = 0};

    split_columns(words, lv_list_rows[words->verb].standard, &unknown);
    assert(words->column_count > 0);
    return LV_CTL_OK;
}

/* ---- the whole line ---- */

/* Options may stand in front of the command, so it is found first: the first word that is neither
 * an option nor an option's value. */
static const char *find_word(int argc, char **argv)
{
    assert(argc >= 1);
    for (int i = 1; i < argc; i++) {
        const struct option *option;

        if (argv[i][0] != '-' || argv[i][1] == '\0')
            return argv[i];
        option = find_option(argv[i], strlen(argv[i]), LV_CTL_VERB_COUNT);
        if (option != NULL && takes_value(option))
            i++;
    }
    return NULL;
}

static void take_words(struct parser *parser, int argc, char **argv)
{
    struct lv_ctl_words *words = parser->words;
    bool is_over = false; /* of options: a password may begin with a dash */

    assert(words->argument_count == 0);
    for (int i = 1; i < argc;) {
        if (!is_over && strcmp(argv[i], "--") == 0) {
            is_over = true;
            i++;
            continue;
        }
        if (!is_over && argv[i][0] == '-' && argv[i][1] != '\0') {
            i += take_option(parser, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
            continue;
        }
        if (argv[i] != parser->command && words->argument_count < LV_CTL_ARGUMENTS_MAX)
            words->arguments[words->argument_count++] = argv[i];
        i++;
    }
}

static int refuse_options(const struct parser *parser)
{
    const struct lv_ctl_words *words = parser->words;

    assert(parser->invalid_count > 0);
    fprintf(stderr, "Error (argument validation): Invalid options for this command:\n");
    for (unsigned i = 0; i < parser->invalid_count; i++)
        fprintf(stderr, "%s : %s\n", parser->invalid[i].option, parser->invalid[i].value);
    print_arguments(words);
    print_usage(stderr, words->program, &commands[words->verb]);
    return LV_CTL_USAGE;
}

/* What each command may be given. */
static int check(struct parser *parser)
{
    struct lv_ctl_words *words = parser->words;
    const struct command *command = &commands[words->verb];

    if (parser->invalid_count > 0)
        return refuse_options(parser);
    if (words->formatter != NULL) {
        words->form = lv_ctl_form_find(words->formatter);
        if (words->form == LV_CTL_FORM_COUNT)
            return lv_ctl_words_refuse(
                words,
                "Formatter '%s' is not supported; it is one of table, json, csv and "
                "pretty_table",
                words->formatter);
    }
    if (words->verb <= LV_CTL_LIST_LAST && command->most == ARGUMENTS_ANY)
        return take_columns(words);
    if (words->argument_count > command->most)
        return lv_ctl_words_refuse(words, "too many arguments.");
    if (words->argument_count < command->least)
        return lv_ctl_words_refuse(words, "not enough arguments.");
    if (words->verb <= LV_CTL_LIST_LAST)
        return take_standard_columns(words);
    if (words->unit != NULL && strcmp(words->unit, "bytes") != 0 &&
        strcmp(words->unit, "mb") != 0 && strcmp(words->unit, "gb") != 0)
        return lv_ctl_words_refuse(
            words, "unit '%s' is not supported. Please use one of: bytes, mb, gb", words->unit);
    return LV_CTL_OK;
}

/* `help list_queues` and `list_queues --help` are the same. */
static bool help(struct lv_ctl_words *words, int *ret_exit)
{
    *ret_exit = LV_CTL_OK;
    if (words->verb == LV_CTL_HELP && words->argument_count == 0) {
        print_commands(stdout, words->tool);
        return false;
    }
    if (words->verb == LV_CTL_HELP) {
        words->verb = find_command(words->arguments[0], words->tool);
        if (words->verb == LV_CTL_VERB_COUNT) {
            *ret_exit = refuse_command(words->arguments[0], words->tool);
            return false;
        }
    }
    print_help(words);
    assert(words->program != NULL);
    return false;
}

/* Without a command: help, or the version, or a mistake. */
static bool no_command(const struct lv_ctl_words *words, int argc, char **argv, int *ret_exit)
{
    bool wants_version = argc == 2 && strcmp(argv[1], "--version") == 0;
    bool wants_help = argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-?") == 0);

    assert(words->program != NULL);
    *ret_exit = wants_version || wants_help ? LV_CTL_OK : LV_CTL_USAGE;
    if (wants_version)
        printf("leveret %s\n", LV_VERSION);
    else
        print_commands(wants_help ? stdout : stderr, words->tool);
    return false;
}

enum lv_ctl_tool lv_ctl_tool_of(const char *program)
{
    const char *slash = strrchr(program, '/');
    unsigned tool = LV_COUNT(tools);

    assert(program != NULL);
    while (--tool > 0 && strcmp(slash == NULL ? program : slash + 1, tools[tool]) != 0)
        continue;
    return (enum lv_ctl_tool)tool;
}

bool lv_ctl_words_parse(int argc, char **argv, struct lv_ctl_words *ret_words, int *ret_exit)
{
    struct lv_ctl_words *words = ret_words;
    struct parser parser = {.words = words, .command = find_word(argc, argv)};

    assert(argc >= 1);
    *words = (struct lv_ctl_words){.data_dir = "", .vhost = "/", .form = LV_CTL_TABLE};
    words->tool = lv_ctl_tool_of(argv[0]);
    words->program = tools[words->tool];
    words->given_count = argc;
    words->given = argv;
    if (parser.command == NULL)
        return no_command(words, argc, argv, ret_exit);
    words->verb = find_command(parser.command, words->tool);
    if (words->verb == LV_CTL_VERB_COUNT) {
        *ret_exit = refuse_command(parser.command, words->tool);
        return false;
    }
    take_words(&parser, argc, argv);
    if (words->verb == LV_CTL_HELP || (words->wants_help && parser.invalid_count == 0))
        return help(words, ret_exit);
    *ret_exit = check(&parser);
    return *ret_exit == LV_CTL_OK;
}

struct lv_ctl_page lv_ctl_words_page(unsigned verb)
{
    bool is_list = verb <= LV_CTL_LIST_LAST && commands[verb].most == ARGUMENTS_ANY;

    assert(verb < LV_CTL_VERB_COUNT);
    return (struct lv_ctl_page){
        .name = commands[verb].name,
        .arguments = commands[verb].arguments,
        .summary = commands[verb].summary,
        .columns = is_list ? lv_list_rows[verb].columns : NULL,
    };
}

const char *lv_ctl_words_option(unsigned place, char *ret_letter, bool *ret_has_value)
{
    if (place >= LV_COUNT(options))
        return NULL;
    assert(options[place].name != NULL);
    *ret_letter = options[place].letter;
    *ret_has_value = takes_value(&options[place]);
    return options[place].name;
}
