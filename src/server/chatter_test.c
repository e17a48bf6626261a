#include "server/chatter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NAME "channel.error"

/* Lines that the log was given, and the last of them. */
static struct {
    char line[256];
    unsigned count;
} heard;

static void hear(void *ctx, enum lv_level level, struct lv_bytes line)
{
    (void)ctx;
    (void)level;
    assert_true(line.size < sizeof heard.line);
    memcpy(heard.line, line.data, line.size);
    heard.line[line.size] = '\0';
    heard.count++;
}

static struct lv_deadlines deadlines;
static struct lv_chatter chatter;

static int begin(void **state)
{
    (void)state;
    heard.count = 0;
    heard.line[0] = '\0';
    lv_event_sink(hear, NULL, LV_DEBUG);
    deadlines = (struct lv_deadlines){.running = false};
    lv_chatter_init(&chatter, &deadlines);
    return 0;
}

/* How many of `count` lines may be written at this moment. */
static unsigned say(const char *name, unsigned count, uint64_t now)
{
    unsigned said = 0;

    for (unsigned i = 0; i < count; i++)
        said += lv_chatter_may_say(&chatter, LV_WARN, name, now);
    return said;
}

static void a_flood_is_cut_and_counted(void **state)
{
    (void)state;
    assert_int_equal(say(NAME, 1000, 1), LV_CHATTER_LINES);
    assert_int_equal(heard.count, 0);
    assert_true(lv_deadlines_next(&deadlines) == 1 + LV_CHATTER_WINDOW_NS);
    lv_deadlines_run(&deadlines, 1 + LV_CHATTER_WINDOW_NS);
    assert_string_equal(heard.line,
                        "level=warning event=log.suppressed like=\"channel.error\" lines=950\n");
    assert_true(lv_deadlines_next(&deadlines) == LV_NEVER);
}

static void a_few_lines_arm_no_deadline(void **state)
{
    (void)state;
    assert_int_equal(say(NAME, LV_CHATTER_LINES, 1), LV_CHATTER_LINES);
    assert_true(lv_deadlines_next(&deadlines) == LV_NEVER);
    lv_chatter_fini(&chatter);
    assert_int_equal(heard.count, 0);
}

static void the_next_window_has_lines_again(void **state)
{
    (void)state;
    say(NAME, 60, 1);
    assert_int_equal(say(NAME, 60, LV_CHATTER_WINDOW_NS), 0);
    assert_int_equal(say(NAME, 60, LV_CHATTER_WINDOW_NS + 1), LV_CHATTER_LINES);
    assert_int_equal(heard.count, 1); /* of the first window, before the second one's lines */
    assert_non_null(strstr(heard.line, "lines=70"));
    lv_deadlines_run(&deadlines, 2 * LV_CHATTER_WINDOW_NS + 1);
    assert_int_equal(heard.count, 2);
    assert_non_null(strstr(heard.line, "lines=10"));
}

static void names_do_not_hide_each_other(void **state)
{
    (void)state;
    say(NAME, 1000, 1);
    assert_int_equal(say("login.refused", 55, 5), LV_CHATTER_LINES);
    lv_deadlines_run(&deadlines, 1 + LV_CHATTER_WINDOW_NS);
    assert_int_equal(heard.count, 1); /* the other window goes on */
    assert_true(lv_deadlines_next(&deadlines) == 5 + LV_CHATTER_WINDOW_NS);
    lv_deadlines_run(&deadlines, 5 + LV_CHATTER_WINDOW_NS);
    assert_non_null(strstr(heard.line, "like=\"login.refused\" lines=5"));
}

static void the_same_name_from_another_file_is_the_same(void **state)
{
    char copy[] = NAME;

    (void)state;
    say(NAME, LV_CHATTER_LINES, 1);
    assert_int_equal(say(copy, 1, 1), 0);
    lv_chatter_fini(&chatter);
}

static void what_was_asked_for_is_not_limited(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 1000; i++)
        assert_true(lv_chatter_may_say(&chatter, LV_DEBUG, NAME, 1));
}

static void the_end_tells_what_is_left(void **state)
{
    (void)state;
    say(NAME, 51, 1);
    lv_chatter_fini(&chatter);
    assert_int_equal(heard.count, 1);
    assert_non_null(strstr(heard.line, "lines=1\n"));
    assert_true(lv_deadlines_next(&deadlines) == LV_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_flood_is_cut_and_counted, begin),
        cmocka_unit_test_setup(a_few_lines_arm_no_deadline, begin),
        cmocka_unit_test_setup(the_next_window_has_lines_again, begin),
        cmocka_unit_test_setup(names_do_not_hide_each_other, begin),
        cmocka_unit_test_setup(the_same_name_from_another_file_is_the_same, begin),
        cmocka_unit_test_setup(what_was_asked_for_is_not_limited, begin),
        cmocka_unit_test_setup(the_end_tells_what_is_left, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
