#include "cli/ctl_words.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct lv_ctl_words words;

/* A command line with spaces between its words; the exit code of one that is refused, -1 for one
 * that is to be run. What is said of mistakes is the business of tests/clients/ctl. */
static int parse(const char *line)
{
    static char text[512];
    static char *argv[LV_CTL_ARGUMENTS_MAX + 8];
    int argc = 0, status = -2;
    char *rest = text;

    snprintf(text, sizeof text, "%s", line);
    for (char *word; (word = strsep(&rest, " ")) != NULL && argc < (int)LV_COUNT(argv) - 1;)
        argv[argc++] = word;
    argv[argc] = NULL;
    return lv_ctl_words_parse(argc, argv, &words, &status) ? -1 : status;
}

static int saved_error;

static int be_quiet(void **state)
{
    int nothing = open("/dev/null", O_WRONLY);

    (void)state;
    saved_error = dup(STDERR_FILENO);
    return nothing < 0 || saved_error < 0 || dup2(nothing, STDERR_FILENO) < 0 || close(nothing);
}

static int speak_again(void **state)
{
    (void)state;
    return dup2(saved_error, STDERR_FILENO) < 0 || close(saved_error);
}

static void a_command_alone_has_what_is_usual(void **state)
{
    (void)state;
    assert_int_equal(parse("ctl list_queues"), -1);
    assert_int_equal(words.verb, LV_LIST_QUEUE);
    assert_string_equal(words.vhost, "/");
    assert_string_equal(words.data_dir, "");
    assert_string_equal(words.program, "leveret ctl");
    assert_string_equal(lv_ctl_words_command(&words), "list_queues");
    assert_int_equal(words.form, LV_CTL_TABLE);
    assert_int_equal(words.column_count, 2);
    assert_int_equal(words.columns[0], LV_COLUMN_QUEUE_NAME);
    assert_int_equal(words.columns[1], LV_COLUMN_QUEUE_MESSAGES);
    assert_false(words.is_quiet || words.is_silent || words.has_no_headers || words.has_timeout);
}

static void the_name_it_is_called_by_is_its_name(void **state)
{
    (void)state;
    assert_int_equal(parse("/usr/sbin/rabbitmqctl status"), -1);
    assert_string_equal(words.program, "rabbitmqctl");
    assert_int_equal(words.verb, LV_CTL_STATUS);
}

static void options_stand_in_front_behind_and_between(void **state)
{
    (void)state;
    assert_int_equal(parse("ctl -q -p v list_bindings --data-dir d arguments -t 5 --formatter=json "
                           "source_name -n rabbit@host -s --no-table-headers"),
                     -1);
    assert_int_equal(words.verb, LV_LIST_BINDING);
    assert_true(words.is_quiet && words.is_silent && words.has_no_headers && words.has_timeout);
    assert_string_equal(words.vhost, "v");
    assert_string_equal(words.data_dir, "d");
    assert_int_equal(words.timeout_s, 5);
    assert_int_equal(words.form, LV_CTL_JSON);
    assert_int_equal(words.column_count, 2);
    assert_int_equal(words.columns[0], LV_COLUMN_BINDING_ARGUMENTS);
    assert_int_equal(words.columns[1], LV_COLUMN_BINDING_SOURCE_NAME);
}

static void columns_come_once_and_consumers_in_their_own_order(void **state)
{
    (void)state;
    assert_int_equal(parse("ctl list_queues name,messages messages name"), -1);
    assert_int_equal(words.column_count, 2);
    assert_int_equal(parse("ctl list_consumers arguments active queue_name active"), -1);
    assert_int_equal(words.column_count, 3);
    assert_int_equal(words.columns[0], LV_COLUMN_CONSUMER_QUEUE_NAME);
    assert_int_equal(words.columns[1], LV_COLUMN_CONSUMER_ACTIVE);
    assert_int_equal(words.columns[2], LV_COLUMN_CONSUMER_ARGUMENTS);
}

static void mistakes_are_usage_errors(void **state)
{
    static const char *const lines[] = {
        "ctl list_queues bogus",
        "ctl list_queues --bogus",
        "ctl list_queues -x",
        "ctl list_queues -p",
        "ctl list_queues --timeout",
        "ctl list_queues -t x",
        "ctl list_queues --quiet=yes",
        "ctl list_queues --formatter erlang",
        "ctl list_queues --unit gb",
        "ctl list_exchanges --offline",
        "ctl status --unit tb",
        "ctl status name",
        "ctl status --no-table-headers",
        "ctl stop a b",
        "ctl stop --unit mb",
        "ctl dance",
        "ctl help dance",
        "ctl -q",
        "ctl",
    };

    (void)state;
    for (size_t i = 0; i < LV_COUNT(lines); i++)
        assert_int_equal(parse(lines[i]), LV_CTL_USAGE);
}

static void stop_and_status_have_options_of_their_own(void **state)
{
    (void)state;
    assert_int_equal(parse("ctl stop --idempotent /run/x.pid"), -1);
    assert_int_equal(words.verb, LV_CTL_STOP);
    assert_true(words.is_idempotent);
    assert_int_equal(words.argument_count, 1);
    assert_int_equal(parse("ctl status --unit bytes"), -1);
    assert_string_equal(words.unit, "bytes");
    assert_int_equal(parse("ctl list_queues --offline --table-headers"), -1);
    assert_true(words.is_offline);
}

static void no_color_means_no_bold(void **state)
{
    (void)state;
    assert_int_equal(setenv("NO_COLOR", "1", 1), 0);
    assert_false(lv_ctl_is_bold());
    assert_int_equal(setenv("NO_COLOR", "", 1), 0);
    assert_true(lv_ctl_is_bold());
    assert_int_equal(unsetenv("NO_COLOR"), 0);
    assert_true(lv_ctl_is_bold());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_alone_has_what_is_usual),
        cmocka_unit_test(the_name_it_is_called_by_is_its_name),
        cmocka_unit_test(options_stand_in_front_behind_and_between),
        cmocka_unit_test(columns_come_once_and_consumers_in_their_own_order),
        cmocka_unit_test(stop_and_status_have_options_of_their_own),
        cmocka_unit_test(no_color_means_no_bold),
        cmocka_unit_test_setup_teardown(mistakes_are_usage_errors, be_quiet, speak_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
