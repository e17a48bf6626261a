#include "server/config_file.h"

#include "base/defs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What the reader said, one line for each call. */
static char heard[8192];

static void say(unsigned line, const char *what, const char *value, const char *end)
{
    size_t used = strlen(heard);

    snprintf(heard + used, sizeof heard - used, "%u %s%s%s\n", line, what, value, end);
}

static void on_set(void *ctx, unsigned line, const char *name, const char *value)
{
    (void)ctx;
    char what[LV_CONFIG_NAME_SIZE_MAX + 2];

    snprintf(what, sizeof what, "%s=[", name);
    say(line, what, value, "]");
}

static void on_wrong(void *ctx, unsigned line, const char *sentence)
{
    (void)ctx;
    say(line, "wrong: ", sentence, "");
}

static const char *on_variable(void *ctx, const char *name)
{
    static char long_value[LV_CONFIG_VALUE_SIZE_MAX];

    (void)ctx;
    if (strcmp(name, "LONG") == 0)
        return memset(long_value, 'x', sizeof long_value - 1);
    return strcmp(name, "WHO") == 0 ? "app" : strcmp(name, "EMPTY") == 0 ? "" : NULL;
}

static void read_bytes(const void *bytes, size_t size)
{
    const struct lv_config_reader reader = {
        .set = on_set, .wrong = on_wrong, .variable = on_variable};

    heard[0] = '\0';
    lv_config_file_parse(&reader, lv_bytes(bytes, size));
}

static void assert_reads(const char *text, const char *wanted)
{
    read_bytes(text, strlen(text));
    assert_string_equal(heard, wanted);
}

static void assert_wrong(const char *text, const char *hint)
{
    read_bytes(text, strlen(text));
    if (strncmp(heard, "1 wrong: ", 9) != 0 || strstr(heard, hint) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", heard, hint);
}

static void lines_are_names_and_values(void **state)
{
    (void)state;
    assert_reads("a=1\n  b.c =  two words \nk\t=\t3\r\n", "1 a=[1]\n2 b.c=[two words]\n3 k=[3]\n");
    assert_reads("last = line", "1 last=[line]\n");
    assert_reads("a = b = c\n", "1 a=[b = c]\n");
    assert_reads("", "");
}

static void comments_and_empty_lines_say_nothing(void **state)
{
    (void)state;
    assert_reads("# a = 1\n\n   \t\n  ## b = 2\na = 1 # one\n", "5 a=[1]\n");
    assert_reads("a = #\n", "1 a=[]\n");
    assert_reads("a =\n", "1 a=[]\n");
}

static void quotes_keep_what_is_in_them(void **state)
{
    (void)state;
    assert_reads("a = ' x # y '  # why\n", "1 a=[ x # y ]\n");
    assert_reads("a = ''\n", "1 a=[]\n");
    assert_reads("a = '$(WHO)'\n", "1 a=[$(WHO)]\n");
    assert_reads("a = it's\n", "1 a=[it's]\n");
    assert_reads("a = \"b\"\n", "1 a=[\"b\"]\n"); /* as RabbitMQ: these are no quotes */
}

static void quotes_that_do_not_end_are_refused(void **state)
{
    (void)state;
    assert_wrong("a = 'b\n", "begins with ' and does not end so");
    assert_wrong("a = '\n", "begins with ' and does not end so");
    assert_wrong("a = 'b' c\n", "something behind the value in quotes");
    assert_wrong("a = 'b'c'\n", "something behind the value in quotes");
}

static void variables_are_put_in(void **state)
{
    (void)state;
    assert_reads("a = $(WHO)\n", "1 a=[app]\n");
    assert_reads("a = x$(WHO)y$(WHO)$(EMPTY)\n", "1 a=[xappyapp]\n");
    assert_reads("a = $WHO $(WHO $() $(W-O)\n", "1 a=[$WHO $(WHO $() $(W-O)]\n");
    assert_wrong("a = $(NOBODY)\n", "a wants the variable NOBODY, which is not set");
    assert_wrong("a = $(LONG)$(WHO)\n", "more than 4095 bytes");
}

static void a_dot_in_a_name_may_be_escaped(void **state)
{
    (void)state;
    assert_reads("loopback_users.a\\.b = true\n", "1 loopback_users.a.b=[true]\n");
    assert_reads("a\\ = 1\n", "1 a\\=[1]\n");
}

static void a_line_that_is_none_is_told_what_one_is(void **state)
{
    (void)state;
    assert_wrong("heartbeat\n", "a line is `name = value`");
    assert_wrong("= 5\n", "this one has no name");
    assert_wrong("default user = x\n", "no blanks");
    assert_wrong("[{rabbit, []}].\n", "classic format");
    assert_wrong("%% a comment\n", "classic format");
    assert_wrong("include more.conf\n", "conf.d");
}

static void the_lines_behind_a_wrong_one_are_read(void **state)
{
    (void)state;
    assert_reads("a\nb = 1\nc\n",
                 "1 wrong: a line is `name = value`\n2 b=[1]\n3 wrong: a line is `name = value`\n");
}

static void bytes_that_are_no_text_are_refused(void **state)
{
    static const char zero[] = "a = b\0c\nk = 1\n";
    static const char wide[] = "\xff\xfe"
                               "a\0=\0"
                               "1\0\n\0";

    (void)state;
    read_bytes(zero, sizeof zero - 1);
    assert_non_null(strstr(heard, "1 wrong: byte 6 of the line is 0x00"));
    assert_non_null(strstr(heard, "2 k=[1]\n"));
    read_bytes(wide, sizeof wide - 1);
    assert_non_null(strstr(heard, "1 wrong: "));
    assert_null(strstr(heard, "=["));
    assert_wrong("a = \x1b[2J\n", "0x1b");
}

static void a_mark_of_utf8_at_the_beginning_is_passed_over(void **state)
{
    (void)state;
    assert_reads("\xef\xbb\xbf"
                 "a = \xc3\xbc\n",
                 "1 a=[\xc3\xbc]\n");
}

static void lines_of_any_length_have_a_bound(void **state)
{
    size_t size = 1u << 20;
    char *text = malloc(size + 1);

    (void)state;
    assert_non_null(text);
    memset(text, 'x', size);
    text[size] = '\0';
    assert_wrong(text, "a line is `name = value`");
    text[size - 4] = '=';
    assert_wrong(text, "a name has at most 255 bytes, this one has 1048572");
    text[size - 4] = 'x';
    memcpy(text, "a = ", 4);
    assert_wrong(text, "a has a value of more than 4095 bytes");
    text[4] = '\'';
    text[size - 1] = '\'';
    assert_wrong(text, "a has a value of more than 4095 bytes");
    assert_true(strlen(heard) < 200); /* and none of it is said again */
    text[4 + LV_CONFIG_VALUE_SIZE_MAX] = '\'';
    text[5 + LV_CONFIG_VALUE_SIZE_MAX] = '\0';
    assert_int_equal(strlen(text), LV_CONFIG_VALUE_SIZE_MAX + 5);
    read_bytes(text, strlen(text));
    assert_non_null(strstr(heard, "a=[xxx"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_names_and_values),
        cmocka_unit_test(comments_and_empty_lines_say_nothing),
        cmocka_unit_test(quotes_keep_what_is_in_them),
        cmocka_unit_test(quotes_that_do_not_end_are_refused),
        cmocka_unit_test(variables_are_put_in),
        cmocka_unit_test(a_dot_in_a_name_may_be_escaped),
        cmocka_unit_test(a_line_that_is_none_is_told_what_one_is),
        cmocka_unit_test(the_lines_behind_a_wrong_one_are_read),
        cmocka_unit_test(bytes_that_are_no_text_are_refused),
        cmocka_unit_test(a_mark_of_utf8_at_the_beginning_is_passed_over),
        cmocka_unit_test(lines_of_any_length_have_a_bound),
    };

    return cmocka_run_group_tests_name("config_file", tests, NULL, NULL);
}
