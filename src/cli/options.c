#include "cli/options.h"

#include "base/text.h"
#include "cli/command.h"
#include "lv_version.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE_WIDTH 96u
#define NAME_WIDTH 26 /* columns for an option in help */

/* Who gets a command's table in place of the help's reader. Main thread. */
static struct {
    lv_options_page_fn *page; /* NULL: nobody */
    void *ctx;                /* view */
} help_by;

/* One option as it was found in argv. */
struct found {
    const struct lv_option *option; /* view */
    const char *value;              /* view  NULL: none, or in the next word */
};

static bool ends(const struct lv_option *option)
{
    return option->name == NULL;
}

static const struct lv_option *find_letter(const struct lv_usage *usage, char letter)
{
    for (const struct lv_option *option = usage->options; !ends(option); option++) {
        if (option->letter == letter)
            return option;
    }
    return NULL;
}

static const struct lv_option *find_name(const struct lv_usage *usage, const char *name,
                                         size_t size)
{
    for (const struct lv_option *option = usage->options; !ends(option); option++) {
        if (strlen(option->name) == size && memcmp(option->name, name, size) == 0)
            return option;
    }
    return NULL;
}

int lv_options_refuse(const struct lv_usage *usage, const char *fmt, ...)
{
    va_list args;

    assert(usage->command != NULL);
    fprintf(stderr, "%s: ", usage->command);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "\n`%s --help` says what there is.\n", usage->command);
    return LV_EXIT_USAGE;
}

/* Short options have no near names worth guessing. */
static int refuse_unknown(const struct lv_usage *usage, const char *word)
{
    struct lv_nearest nearest = {0};
    char name[65];

    assert(word[0] == '-');
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
    nearest.name = name;
    for (const struct lv_option *option = usage->options; !ends(option); option++)
        lv_nearest_try(&nearest, option->name);
    if (word[1] == '-' && nearest.best != NULL)
        return lv_options_refuse(usage, "there is no option --%s; did you mean --%s?", name,
                                 nearest.best);
    return lv_options_refuse(usage, "there is no option %s", word);
}

/* The option that `word` begins; NULL: unknown. */
static struct found read_word(const struct lv_usage *usage, const char *word)
{
    struct found found = {0};

    assert(word[0] == '-');
    assert(word[1] != '\0');
    if (word[1] == '-') {
        size_t size = strcspn(word + 2, "=");

        found.option = find_name(usage, word + 2, size);
        if (word[2 + size] == '=')
            found.value = word + 2 + size + 1;
    } else {
        found.option = find_letter(usage, word[1]);
        if (word[2] != '\0')
            found.value = word + 2;
    }
    return found;
}

/* The sentence names the range, so that nobody has to look it up. */
static int take_number(const struct lv_option *option, const char *value, struct lv_diag *diag)
{
    bool is_size = option->kind == LV_OPTION_SIZE;
    uint64_t number;
    int rc = is_size ? lv_text_size(value, &number) : lv_text_number(value, &number);

    assert(option->min <= option->max);
    if (rc < 0 || number < option->min || number > option->max)
        return lv_fail(diag, -LV_E_USAGE, "%s from %llu to %llu, not \"%s\"",
                       is_size ? "a size (like 4096, 64k or 10MB)" : "a whole number",
                       (unsigned long long)option->min, (unsigned long long)option->max, value);
    *(uint64_t *)option->target = number;
    return 0;
}

static int take(const struct lv_option *option, const char *value, struct lv_diag *diag)
{
    switch (option->kind) {
    case LV_OPTION_FLAG:
        *(bool *)option->target = true;
        return 0;
    case LV_OPTION_TEXT:
        *(const char **)option->target = value;
        return 0;
    case LV_OPTION_NUMBER:
    case LV_OPTION_SIZE:
        return take_number(option, value, diag);
    case LV_OPTION_DECIMAL:
        if (lv_text_decimal(value, (double *)option->target) < 0)
            return lv_fail(diag, -LV_E_USAGE, "a number like 10 or 0.5, not \"%s\"", value);
        return 0;
    case LV_OPTION_CALL:
        return option->call(option->target, value, diag);
    }
    LV_IMPOSSIBLE("kinds are constants");
}

/* Returns how many words of argv were used, or minus the exit code. */
static int take_option(const struct lv_usage *usage, char **argv, int at, int argc)
{
    struct found found = read_word(usage, argv[at]);
    struct lv_diag diag = {""};
    int used = 1;

    assert(at < argc);
    if (found.option == NULL)
        return -refuse_unknown(usage, argv[at]);
    if (found.option->value == NULL && found.value != NULL)
        return -lv_options_refuse(usage, "--%s takes no value", found.option->name);
    if (found.option->value != NULL && found.value == NULL) {
        if (at + 1 == argc)
            return -lv_options_refuse(usage, "--%s needs a value: %s", found.option->name,
                                      found.option->value);
        found.value = argv[at + 1];
        used = 2;
    }
    if (take(found.option, found.value, &diag) < 0)
        return -lv_options_refuse(usage, "--%s: %s", found.option->name, diag.text);
    return used;
}

/* Words behind a left column; newlines in the help go on in the right one. */
static void print_row(const char *left, const char *help)
{
    int width = (int)strlen(left);

    assert(width >= 0);
    printf("  %s%*s", left, width < NAME_WIDTH ? NAME_WIDTH - width : 0, "");
    if (width >= NAME_WIDTH)
        printf("\n  %*s", NAME_WIDTH, "");
    for (const char *line = help; line != NULL;) {
        size_t size = strcspn(line, "\n");

        printf("%.*s\n", (int)size, line);
        line = line[size] == '\0' ? NULL : line + size + 1;
        if (line != NULL)
            printf("  %*s", NAME_WIDTH, "");
    }
}

/* One line, broken at blanks so that it fits; what follows keeps its indent. */
static void print_line(const char *line, size_t size)
{
    size_t indent = strspn(line, " ");

    assert(line != NULL);
    for (size_t limit = LINE_WIDTH; size > limit; limit = LINE_WIDTH - indent) {
        size_t cut = limit;

        while (cut > indent && line[cut] != ' ')
            cut--;
        if (cut <= indent)
            break; /* a word as long as the line */
        printf("%.*s\n%*s", (int)cut, line, (int)indent, "");
        line += cut + 1;
        size -= cut + 1;
    }
    printf("%.*s\n", (int)size, line);
}

static void print_wrapped(const char *text)
{
    assert(text != NULL);
    putchar('\n');
    while (*text != '\0') {
        size_t size = strcspn(text, "\n");

        print_line(text, size);
        text += size;
        text += *text == '\n';
    }
}

void lv_options_help_by(lv_options_page_fn *page, void *ctx)
{
    assert(page == NULL || help_by.page == NULL);
    help_by.page = page;
    help_by.ctx = ctx;
}

void lv_options_help(const struct lv_usage *usage)
{
    assert(usage->summary != NULL);
    assert(usage->arguments != NULL);
    if (help_by.page != NULL) {
        help_by.page(help_by.ctx, usage);
        return;
    }
    printf("%s [OPTION...]%s%s\n", usage->command, usage->arguments[0] == '\0' ? "" : " ",
           usage->arguments);
    print_wrapped(usage->summary);
    putchar('\n');
    for (const struct lv_option *option = usage->options; !ends(option); option++) {
        char left[80], letter[5] = "    ";

        if (option->letter != 0)
            snprintf(letter, sizeof letter, "-%c, ", option->letter);
        snprintf(left, sizeof left, "%s--%s%s%s", letter, option->name,
                 option->value == NULL ? "" : " ", option->value == NULL ? "" : option->value);
        print_row(left, option->help);
    }
    print_row("    --help", "print this");
    print_row("    --version", "print the version");
    if (usage->details != NULL)
        print_wrapped(usage->details);
}

/* What every command has: it is looked for first, so that it works beside a wrong option. */
static bool is_common(const struct lv_usage *usage, const char *word, int *ret_exit)
{
    assert(ret_exit != NULL);
    if (strcmp(word, "--help") == 0)
        lv_options_help(usage);
    else if (strcmp(word, "--version") == 0)
        printf("leveret %s\n", LV_VERSION);
    else
        return false;
    *ret_exit = fflush(stdout) == 0 ? LV_EXIT_OK : LV_EXIT_FAILED;
    return true;
}

static bool count_is_right(const struct lv_usage *usage, unsigned count, char **argv, int *ret_exit)
{
    assert(usage->arguments_min <= usage->arguments_max);
    if (count > usage->arguments_max) {
        *ret_exit = lv_options_refuse(usage, "\"%s\" is one argument too many",
                                      argv[usage->arguments_max + 1]);
        return false;
    }
    if (count < usage->arguments_min) {
        *ret_exit = lv_options_refuse(usage, "an argument is missing: %s", usage->arguments);
        return false;
    }
    return true;
}

bool lv_options_parse(const struct lv_usage *usage, int *argc, char **argv, int *ret_exit)
{
    int kept = 1;
    bool options = true;

    assert(*argc >= 1);
    assert(usage->options != NULL);
    for (int at = 1; at < *argc;) {
        int used;

        if (options && strcmp(argv[at], "--") == 0) {
            options = false;
            at++;
            continue;
        }
        if (!options || argv[at][0] != '-' || argv[at][1] == '\0') { /* "-" alone: an argument */
            argv[kept++] = argv[at++];
            continue;
        }
        if (is_common(usage, argv[at], ret_exit))
            return false;
        used = take_option(usage, argv, at, *argc);
        if (used < 0) {
            *ret_exit = -used;
            return false;
        }
        at += used;
    }
    *argc = kept;
    return count_is_right(usage, (unsigned)(kept - 1), argv, ret_exit);
}
