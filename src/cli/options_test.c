#include "cli/options.h"

#include "cli/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* What the options of a made-up command fill. */
static struct {
    bool loud;
    const char *name;
    uint64_t count, size;
    double rate;
    char listed[64];
} got;

static int list(void *ctx, const char *value, struct lv_diag *diag)
{
    assert_ptr_equal(ctx, &got);
    if (strcmp(value, "bad") == 0)
        return lv_fail(diag, -LV_E_USAGE, "anything but bad");
    snprintf(got.listed + strlen(got.listed), sizeof got.listed - strlen(got.listed), "%s;", value);
    return 0;
}

static const struct lv_option options[] = {
    LV_FLAG_OPTION("loud", 'l', &got.loud, "says more"),
    LV_TEXT_OPTION("name", 'n', "NAME", &got.name, "what it is called"),
    LV_NUMBER_OPTION("count", 'c', "N", &got.count, 1, 10, "how often"),
    LV_SIZE_OPTION("size", 0, "BYTES", &got.size, 1, 1u << 20, "how large"),
    LV_DECIMAL_OPTION("rate", 0, "R", &got.rate, "how fast\nper second"),
    LV_CALL_OPTION("item", 'i', "ITEM", list, &got, "one more"),
    LV_OPTION_END,
};

static const struct lv_usage usage = {
    .command = "leveret try",
    .arguments = "FROM [TO]",
    .summary = "Tries this and that.",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 2,
    .details = "  In detail:\n",
};

static char output[8192];
static int status;
static char *words[16];

/* Runs the parser with stdout and stderr caught in `output`. Returns the arguments' count + 1, or
 * 0 when the program should end. */
static int parse(char *line)
{
    int saved[2] = {dup(1), dup(2)}, argc = 0, pipes[2];
    bool goes_on;
    ssize_t size;

    memset(&got, 0, sizeof got);
    words[argc++] = (char *)(uintptr_t) "try";
    for (char *at = line; *at != '\0' && argc < 15;) {
        words[argc++] = at;
        at += strcspn(at, " ");
        if (*at == ' ')
            *at++ = '\0';
    }
    words[argc] = NULL;
    fflush(stdout);
    assert_int_equal(pipe(pipes), 0);
    dup2(pipes[1], 1);
    dup2(pipes[1], 2);
    close(pipes[1]);
    status = -1;
    goes_on = lv_options_parse(&usage, &argc, words, &status);
    fflush(stdout);
    dup2(saved[0], 1);
    dup2(saved[1], 2);
    close(saved[0]);
    close(saved[1]);
    size = read(pipes[0], output, sizeof output - 1);
    close(pipes[0]);
    output[size < 0 ? 0 : size] = '\0';
    return goes_on ? argc : 0;
}

static void assert_refused(const char *text, const char *why)
{
    char line[128];

    snprintf(line, sizeof line, "%s", text);
    assert_int_equal(parse(line), 0);
    assert_int_equal(status, LV_EXIT_USAGE);
    if (strstr(output, why) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", output, why);
}

static void options_fill_their_targets(void **state)
{
    char line[] = "--loud --name Joe --count 7 --size 64k --rate 0.5 here";

    (void)state;
    assert_int_equal(parse(line), 2);
    assert_true(got.loud);
    assert_string_equal(got.name, "Joe");
    assert_int_equal(got.count, 7);
    assert_int_equal(got.size, 65536);
    assert_true(got.rate > 0.49 && got.rate < 0.51);
    assert_string_equal(words[1], "here");
    assert_string_equal(output, "");
}

static void values_may_follow_in_every_usual_way(void **state)
{
    char line[] = "-n Ann -c3 --size=1MB here --item=a -ib --item c=d";

    (void)state;
    assert_int_equal(parse(line), 2);
    assert_string_equal(got.name, "Ann");
    assert_int_equal(got.count, 3);
    assert_int_equal(got.size, 1000000);
    assert_string_equal(got.listed, "a;b;c=d;");
}

static void options_and_arguments_may_be_mixed(void **state)
{
    char line[] = "here -l there";

    (void)state;
    assert_int_equal(parse(line), 3);
    assert_true(got.loud);
    assert_string_equal(words[1], "here");
    assert_string_equal(words[2], "there");
}

static void two_dashes_end_the_options_and_one_is_an_argument(void **state)
{
    char line[] = "- -- --loud";

    (void)state;
    assert_int_equal(parse(line), 3);
    assert_false(got.loud);
    assert_string_equal(words[1], "-");
    assert_string_equal(words[2], "--loud");
}

static void wrong_options_are_named_with_what_would_be_right(void **state)
{
    (void)state;
    assert_refused("--lout x", "leveret try: there is no option --lout; did you mean --loud?");
    assert_refused("--cuont=3 x", "did you mean --count?");
    assert_refused("--zzzzzz x", "there is no option --zzzzzz\n");
    assert_refused("-z x", "there is no option -z\n");
    assert_refused("--loud=yes x", "--loud takes no value");
    assert_refused("x --name", "--name needs a value: NAME");
    assert_refused("--count 11 x", "--count: a whole number from 1 to 10, not \"11\"");
    assert_refused("--count ten x", "not \"ten\"");
    assert_refused("--size 2M x", "like 4096, 64k or 10MB");
    assert_refused("--rate fast x", "--rate: a number like 10 or 0.5, not \"fast\"");
    assert_refused("--item bad x", "--item: anything but bad");
    assert_refused("--zzz x", "`leveret try --help` says what there is");
}

static void the_number_of_arguments_is_checked(void **state)
{
    (void)state;
    assert_refused("--loud", "an argument is missing: FROM [TO]");
    assert_refused("a b c", "\"c\" is one argument too many");
}

static void help_lists_every_option_and_ends_well(void **state)
{
    char line[] = "--count 3 --help --nonsense";

    (void)state;
    assert_int_equal(parse(line), 0);
    assert_int_equal(status, LV_EXIT_OK);
    assert_non_null(strstr(output, "leveret try [OPTION...] FROM [TO]\n"));
    assert_non_null(strstr(output, "Tries this and that."));
    assert_non_null(strstr(output, "-c, --count N"));
    assert_non_null(strstr(output, "      --size BYTES"));
    assert_non_null(strstr(output, "how fast\n"));
    assert_non_null(strstr(output, "--help"));
    assert_non_null(strstr(output, "  In detail:\n"));
}

static void version_is_printed(void **state)
{
    char line[] = "--version";

    (void)state;
    assert_int_equal(parse(line), 0);
    assert_int_equal(status, LV_EXIT_OK);
    assert_int_equal(strncmp(output, "leveret ", 8), 0);
}

static void long_lines_of_details_are_broken_at_blanks(void **state)
{
    static const struct lv_option none[] = {LV_OPTION_END};
    static const struct lv_usage wordy = {
        .command = "c",
        .arguments = "",
        .summary = "s",
        .options = none,
        .details = "  word word word word word word word word word word word word word word word "
                   "word word word word word word word word word word word word word word word\n",
    };
    int saved = dup(1), pipes[2];
    ssize_t size;

    (void)state;
    assert_int_equal(pipe(pipes), 0);
    fflush(stdout);
    dup2(pipes[1], 1);
    close(pipes[1]);
    lv_options_help(&wordy);
    fflush(stdout);
    dup2(saved, 1);
    close(saved);
    size = read(pipes[0], output, sizeof output - 1);
    assert_true(size > 0);
    output[size] = '\0';
    close(pipes[0]);
    assert_non_null(strstr(output, "word\n  word"));
    for (const char *at = output; *at != '\0'; at += strcspn(at, "\n") + 1)
        assert_true(strcspn(at, "\n") <= 96);
}

static void note(void *ctx, const struct lv_usage *told)
{
    *(const struct lv_usage **)ctx = told;
}

/* Manual pages and completion are made of it. */
static void the_table_goes_to_whom_help_was_given(void **state)
{
    const struct lv_usage *told = NULL;
    char line[] = "try --help";

    (void)state;
    lv_options_help_by(note, &told);
    assert_int_equal(parse(line), 0);
    lv_options_help_by(NULL, NULL);
    assert_ptr_equal(told, &usage);
    assert_string_equal(output, "");
    assert_int_equal(status, LV_EXIT_OK);
    told = NULL;
    char again[] = "try --help";

    assert_int_equal(parse(again), 0);
    assert_null(told);
    assert_non_null(strstr(output, "leveret try [OPTION...] FROM [TO]"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_fill_their_targets),
        cmocka_unit_test(values_may_follow_in_every_usual_way),
        cmocka_unit_test(options_and_arguments_may_be_mixed),
        cmocka_unit_test(two_dashes_end_the_options_and_one_is_an_argument),
        cmocka_unit_test(wrong_options_are_named_with_what_would_be_right),
        cmocka_unit_test(the_number_of_arguments_is_checked),
        cmocka_unit_test(help_lists_every_option_and_ends_well),
        cmocka_unit_test(version_is_printed),
        cmocka_unit_test(long_lines_of_details_are_broken_at_blanks),
        cmocka_unit_test(the_table_goes_to_whom_help_was_given),
    };

    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
