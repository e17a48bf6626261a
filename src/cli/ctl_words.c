#include "cli/ctl_words.h"

#include "base/text.h"
#include "lv_version.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INVALID_MAX 16u

struct command {
    const char *name;
    const char *arguments; /* of the usage line */
    const char *summary;
};

/* The lists' rows, then the others, in the order of enum lv_ctl_verb. */
static const struct command commands[LV_CTL_VERB_COUNT] = {
    [LV_LIST_QUEUE] = {"list_queues",
                       "[--vhost <vhost>] [--online] [--offline] [--local] [--no-table-headers] "
                       "[<column>, ...] [--timeout <timeout>]",
                       "Lists queues and their properties."},
    [LV_LIST_EXCHANGE] = {"list_exchanges",
                          "[--vhost <vhost>] [--no-table-headers] [<column> ...] "
                          "[--timeout <timeout>]",
                          "Lists exchanges."},
    [LV_LIST_BINDING] = {"list_bindings",
                         "[--vhost <vhost>] [--no-table-headers] [<column> ...] "
                         "[--timeout <timeout>]",
                         "Lists the bindings of a vhost, those of the default exchange included."},
    [LV_LIST_CONNECTION] = {"list_connections",
                            "[--no-table-headers] [<column> ...] [--timeout <timeout>]",
                            "Lists connections."},
    [LV_LIST_CHANNEL] = {"list_channels", "[--no-table-headers] [<column> ...]",
                         "Lists the channels of all connections."},
    [LV_LIST_CONSUMER] = {"list_consumers",
                          "[--vhost <vhost>] [--no-table-headers] [<column> ...] "
                          "[--timeout <timeout>]",
                          "Lists the consumers of a vhost's queues."},
#define COMMAND(NAME, name, arguments, summary) [LV_CTL_##NAME] = {#name, arguments, summary},
    LV_CTL_VERBS(COMMAND)
#undef COMMAND
};

/* What is written where an option's value goes, and which commands know the option. */
enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_NUMBER };
enum option_place { PLACE_ALL, PLACE_LIST, PLACE_QUEUES, PLACE_STATUS, PLACE_STOP };

enum option_id {
    OPTION_NODE,
    OPTION_DATA_DIR,
    OPTION_LONGNAMES,
    OPTION_TIMEOUT,
    OPTION_QUIET,
    OPTION_SILENT,
    OPTION_VHOST,
    OPTION_FORMATTER,
    OPTION_HELP,
    OPTION_NO_HEADERS,
    OPTION_HEADERS,
    OPTION_ONLINE,
    OPTION_OFFLINE,
    OPTION_LOCAL,
    OPTION_UNIT,
    OPTION_IDEMPOTENT
};

static const struct option {
    const char *name;
    char letter; /* 0: none */
    enum option_kind kind;
    enum option_place place;
    enum option_id id;
} options[] = {
    {"node", 'n', OPTION_TEXT, PLACE_ALL, OPTION_NODE},
    {"data-dir", 'd', OPTION_TEXT, PLACE_ALL, OPTION_DATA_DIR},
    {"longnames", 'l', OPTION_FLAG, PLACE_ALL, OPTION_LONGNAMES},
    {"timeout", 't', OPTION_NUMBER, PLACE_ALL, OPTION_TIMEOUT},
    {"quiet", 'q', OPTION_FLAG, PLACE_ALL, OPTION_QUIET},
    {"silent", 's', OPTION_FLAG, PLACE_ALL, OPTION_SILENT},
    {"vhost", 'p', OPTION_TEXT, PLACE_ALL, OPTION_VHOST},
    {"formatter", 0, OPTION_TEXT, PLACE_ALL, OPTION_FORMATTER},
    {"help", '?', OPTION_FLAG, PLACE_ALL, OPTION_HELP},
    {"no-table-headers", 0, OPTION_FLAG, PLACE_LIST, OPTION_NO_HEADERS},
    {"table-headers", 0, OPTION_FLAG, PLACE_LIST, OPTION_HEADERS},
    {"online", 0, OPTION_FLAG, PLACE_QUEUES, OPTION_ONLINE},
    {"offline", 0, OPTION_FLAG, PLACE_QUEUES, OPTION_OFFLINE},
    {"local", 0, OPTION_FLAG, PLACE_QUEUES, OPTION_LOCAL},
    {"unit", 0, OPTION_TEXT, PLACE_STATUS, OPTION_UNIT},
    {"idempotent", 0, OPTION_FLAG, PLACE_STOP, OPTION_IDEMPOTENT},
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
    const char *formatter; /* view */
    bool wants_help;
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
    }
    LV_IMPOSSIBLE("every place has its case");
}

/* `name` is with its dashes and without a value. NULL: there is none. */
static const struct option *find_option(const char *name, size_t size)
{
    assert(name[0] == '-');
    for (size_t i = 0; i < LV_COUNT(options); i++) {
        const struct option *option = &options[i];

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

/* A flat table of options. */
static void apply(struct parser *parser, enum option_id id, const char *value)
{
    struct lv_ctl_words *words = parser->words;

    switch (id) {
    case OPTION_NODE: /* the data directory says which broker is meant */
    case OPTION_LONGNAMES:
    case OPTION_ONLINE: /* every queue is */
    case OPTION_LOCAL:
        break;
    case OPTION_DATA_DIR:
        words->data_dir = value;
        break;
    case OPTION_TIMEOUT:
        words->has_timeout = true;
        break;
    case OPTION_QUIET:
        words->is_quiet = true;
        break;
    case OPTION_SILENT:
        words->is_silent = true;
        break;
    case OPTION_VHOST:
        words->vhost = value;
        break;
    case OPTION_FORMATTER:
        parser->formatter = value;
        break;
    case OPTION_HELP:
        parser->wants_help = true;
        break;
    case OPTION_NO_HEADERS:
        words->has_no_headers = true;
        break;
    case OPTION_HEADERS:
        words->has_no_headers = false;
        break;
    case OPTION_OFFLINE:
        words->is_offline = true;
        break;
    case OPTION_UNIT:
        words->unit = value;
        break;
    case OPTION_IDEMPOTENT:
        words->is_idempotent = true;
        break;
    }
}

/* `--name value`, `--name=value` and `-n value`. Returns how many words it took. */
static int take_option(struct parser *parser, const char *word, const char *next)
{
    const char *equals = word[1] == '-' ? strchr(word, '=') : NULL;
    size_t size = equals == NULL ? strlen(word) : (size_t)(equals - word);
    const struct option *option = find_option(word, size);
    const char *value = equals == NULL ? NULL : equals + 1;
    bool takes_next;

    assert(word[0] == '-');
    if (option == NULL || !fits(option->place, parser->words->verb) ||
        (option->kind == OPTION_FLAG && value != NULL)) {
        mark_invalid(parser, word, size, value);
        return 1;
    }
    takes_next = option->kind != OPTION_FLAG && value == NULL;
    if (takes_next)
        value = next;
    if (option->kind != OPTION_FLAG && value == NULL) {
        mark_invalid(parser, word, size, NULL);
        return 1;
    }
    if (option->kind == OPTION_NUMBER && lv_text_number(value, &parser->words->timeout_s) < 0)
        mark_invalid(parser, word, size, value);
    else
        apply(parser, option->id, value);
    return takes_next ? 2 : 1;
}

/* ---- commands ---- */

static int refuse_command(const char *word)
{
    struct lv_nearest nearest = {.name = word};

    for (size_t i = 0; i < LV_CTL_VERB_COUNT; i++)
        lv_nearest_try(&nearest, commands[i].name);
    assert(word != NULL);
    fprintf(stderr, "\nCommand '%s' not found. \n", word);
    if (nearest.best != NULL)
        fprintf(stderr, "Did you mean '%s'? \n", nearest.best);
    fprintf(stderr, "\n");
    return LV_CTL_USAGE;
}

static enum lv_ctl_verb find_command(const char *word)
{
    enum lv_ctl_verb verb = (enum lv_ctl_verb)0;

    assert(word != NULL);
    while (verb < LV_CTL_VERB_COUNT && strcmp(commands[verb].name, word) != 0)
        verb++;
    return verb;
}

static void print_commands(FILE *file, const char *program)
{
    assert(program != NULL);
    fprintf(file,
            "\n%sUsage%s\n\n%s [--node <node>] [--timeout <timeout>] [--quiet] [--data-dir <dir>] "
            "<command> [<command options>]\n\n"
            "Asks the broker whose data directory it is. The socket is there for the user that\n"
            "the broker runs as, and for root.\n\nAvailable commands:\n\n",
            bold("\033[1m"), bold("\033[0m"), program);
    for (size_t i = 0; i < LV_CTL_VERB_COUNT; i++)
        fprintf(file, "   %-17s %s\n", commands[i].name, commands[i].summary);
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
    if (words->verb <= LV_CTL_LIST_LAST) {
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
        option = find_option(argv[i], strlen(argv[i]));
        if (option != NULL && option->kind != OPTION_FLAG)
            i++;
    }
    return NULL;
}

static void take_words(struct parser *parser, int argc, char **argv)
{
    struct lv_ctl_words *words = parser->words;

    assert(words->argument_count == 0);
    for (int i = 1; i < argc;) {
        if (argv[i][0] == '-' && argv[i][1] != '\0') {
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
    unsigned most = words->verb == LV_CTL_STOP || words->verb == LV_CTL_HELP ? 1 : 0;

    if (parser->invalid_count > 0)
        return refuse_options(parser);
    if (parser->formatter != NULL) {
        words->form = lv_ctl_form_find(parser->formatter);
        if (words->form == LV_CTL_FORM_COUNT)
            return lv_ctl_words_refuse(
                words,
                "Formatter '%s' is not supported; it is one of table, json, csv and "
                "pretty_table",
                parser->formatter);
    }
    if (words->verb <= LV_CTL_LIST_LAST)
        return take_columns(words);
    if (words->argument_count > most)
        return lv_ctl_words_refuse(words, "too many arguments.");
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
        print_commands(stdout, words->program);
        return false;
    }
    if (words->verb == LV_CTL_HELP) {
        words->verb = find_command(words->arguments[0]);
        if (words->verb == LV_CTL_VERB_COUNT) {
            *ret_exit = refuse_command(words->arguments[0]);
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
        print_commands(wants_help ? stdout : stderr, words->program);
    return false;
}

bool lv_ctl_words_parse(int argc, char **argv, struct lv_ctl_words *ret_words, int *ret_exit)
{
    struct lv_ctl_words *words = ret_words;
    struct parser parser = {.words = words, .command = find_word(argc, argv)};
    const char *slash = strrchr(argv[0], '/');

    assert(argc >= 1);
    *words = (struct lv_ctl_words){.data_dir = "", .vhost = "/", .form = LV_CTL_TABLE};
    words->program = strcmp(slash == NULL ? argv[0] : slash + 1, "rabbitmqctl") == 0
                         ? "rabbitmqctl"
                         : "leveret ctl";
    words->given_count = argc;
    words->given = argv;
    if (parser.command == NULL)
        return no_command(words, argc, argv, ret_exit);
    words->verb = find_command(parser.command);
    if (words->verb == LV_CTL_VERB_COUNT) {
        *ret_exit = refuse_command(parser.command);
        return false;
    }
    take_words(&parser, argc, argv);
    if (words->verb == LV_CTL_HELP || (parser.wants_help && parser.invalid_count == 0))
        return help(words, ret_exit);
    *ret_exit = check(&parser);
    return *ret_exit == LV_CTL_OK;
}

struct lv_ctl_page lv_ctl_words_page(unsigned verb)
{
    bool is_list = verb <= LV_CTL_LIST_LAST;

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
    *ret_has_value = options[place].kind != OPTION_FLAG;
    return options[place].name;
}
