#include "base/event.h"

#include "base/defs.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* The last line that the sink was given, and how many there were. */
struct heard {
    char line[16384];
    size_t size;
    enum lv_level level;
    unsigned count;
};

static void hear(void *ctx, enum lv_level level, struct lv_bytes line)
{
    struct heard *heard = ctx;

    assert(line.size < sizeof heard->line);
    memcpy(heard->line, line.data, line.size);
    heard->line[line.size] = '\0';
    heard->size = line.size;
    heard->level = level;
    heard->count++;
}

static struct heard heard;

static int listen_to_all(void **state)
{
    (void)state;
    heard.count = 0;
    lv_event_sink(hear, &heard, LV_DEBUG);
    return 0;
}

static void a_line_has_level_name_and_fields(void **state)
{
    (void)state;
    lv_event(LV_WARN, "connection.refused", LV_S("peer", "127.0.0.1:5000"), LV_U("limit", 5));
    assert_string_equal(heard.line,
                        "level=warning event=connection.refused peer=\"127.0.0.1:5000\" limit=5\n");
    assert_int_equal(heard.level, LV_WARN);
    assert_int_equal(heard.count, 1);
}

static void an_event_needs_no_fields(void **state)
{
    (void)state;
    lv_event(LV_INFO, "ready");
    assert_string_equal(heard.line, "level=info event=ready\n");
}

static void numbers_are_written_in_full(void **state)
{
    (void)state;
    lv_event(LV_DEBUG, "n", LV_U("u", UINT64_MAX), LV_I("i", INT64_MIN), LV_I("zero", 0));
    assert_string_equal(heard.line, "level=debug event=n u=18446744073709551615 "
                                    "i=-9223372036854775808 zero=0\n");
}

static void no_text_is_not_an_empty_text(void **state)
{
    (void)state;
    lv_event(LV_ERROR, "x", LV_S("none", NULL), LV_S("empty", ""),
             LV_B("bytes", lv_bytes(NULL, 0)));
    assert_string_equal(heard.line, "level=error event=x none=none empty=\"\" bytes=\"\"\n");
}

static void nothing_in_a_value_can_end_it(void **state)
{
    (void)state;
    lv_event(LV_INFO, "x", LV_S("a", "say \"hi\\\" =\n\r\tlevel=error\x1b[2J\x7f"),
             LV_B("b", lv_bytes("\0\x01", 2)));
    assert_string_equal(heard.line,
                        "level=info event=x a=\"say \\\"hi\\\\\\\" =\\n\\r\\tlevel=error\\x1B[2J"
                        "\\x7F\" b=\"\\x00\\x01\"\n");
}

static void text_stays_readable_and_other_bytes_become_hex(void **state)
{
    (void)state;
    lv_event(LV_INFO, "x", LV_S("good", "Zürich 🐇"), LV_S("bad", "a\xff\xc3 \xed\xa0\x80"),
             LV_S("c1", "\xc2\x9b"));
    assert_string_equal(heard.line, "level=info event=x good=\"Zürich 🐇\" "
                                    "bad=\"a\\xFF\\xC3 \\xED\\xA0\\x80\" c1=\"\\xC2\\x9B\"\n");
}

static void a_long_value_is_cut_with_a_mark(void **state)
{
    char text[5000];

    (void)state;
    memset(text, 'a', sizeof text);
    lv_event(LV_INFO, "x", LV_B("v", lv_bytes(text, sizeof text)), LV_U("n", 1));
    assert_in_range(heard.size, 1000, 1100);
    assert_non_null(strstr(heard.line, "aaa\"... n=1\n"));
    memset(text, '\x01', sizeof text);
    lv_event(LV_INFO, "x", LV_B("v", lv_bytes(text, sizeof text)), LV_U("n", 1));
    assert_in_range(heard.size, 1000, 1100); /* the bound is on what is written */
    assert_non_null(strstr(heard.line, "\\x01\"... n=1\n"));
    lv_event(LV_INFO, "x", LV_B("v", lv_bytes(text + 1, 1)), LV_U("n", 1000));
    assert_string_equal(heard.line, "level=info event=x v=\"\\x01\" n=1000\n");
}

static void too_many_fields_end_with_a_mark(void **state)
{
    char text[5000];
    struct lv_event_field fields[101] = {{.name = NULL}};

    (void)state;
    memset(text, 'b', sizeof text);
    for (size_t i = 0; i < 100; i++)
        fields[i] = LV_B("field", lv_bytes(text, sizeof text));
    lv_event_write(LV_INFO, (struct lv_event_line){.name = "x", .fields = fields});
    assert_true(heard.size <= 8192);
    assert_string_equal(heard.line + heard.size - 9, "\"... ...\n");
    assert_int_equal(strcspn(heard.line, "\n"), heard.size - 1);
}

static void what_is_below_the_level_is_dropped(void **state)
{
    (void)state;
    lv_event_sink(hear, &heard, LV_WARN);
    lv_event(LV_INFO, "quiet");
    assert_int_equal(heard.count, 0);
    lv_event(LV_WARN, "loud");
    assert_int_equal(heard.count, 1);
}

/* ---- as JSON ---- */

static void hear_json(enum lv_level lowest)
{
    const struct lv_event_sink sink = {
        .write = hear, .ctx = &heard, .lowest = lowest, .form = LV_EVENT_JSON};

    heard.count = 0;
    lv_event_sinks(&sink, 1);
}

static void in_json_a_line_is_an_object_without_its_beginning(void **state)
{
    (void)state;
    hear_json(LV_DEBUG);
    lv_event(LV_WARN, "connection.refused", LV_S("peer", "127.0.0.1:5000"), LV_U("limit", 5),
             LV_I("left", -1), LV_S("why", NULL), LV_B("bytes", lv_bytes(NULL, 0)));
    assert_string_equal(heard.line, "\"level\":\"warning\",\"event\":\"connection.refused\","
                                    "\"peer\":\"127.0.0.1:5000\",\"limit\":5,\"left\":-1,"
                                    "\"why\":null,\"bytes\":\"\"}\n");
    lv_event(LV_INFO, "x");
    assert_string_equal(heard.line, "\"level\":\"info\",\"event\":\"x\"}\n");
}

static void in_json_nothing_in_a_value_can_end_it(void **state)
{
    (void)state;
    hear_json(LV_DEBUG);
    lv_event(LV_INFO, "x", LV_S("a", "say \"hi\\\" =\n\r\t\x1b[2J\x7f"),
             LV_S("bad", "a\xff\xc3 \xc2\x9b"), LV_S("good", "Zürich 🐇"));
    assert_string_equal(heard.line, "\"level\":\"info\",\"event\":\"x\","
                                    "\"a\":\"say \\\"hi\\\\\\\" =\\n\\r\\t\\u001b[2J\\u007f\","
                                    "\"bad\":\"a\\ufffd\\ufffd \\ufffd\\ufffd\","
                                    "\"good\":\"Zürich 🐇\"}\n");
}

static void in_json_what_is_cut_is_still_an_object(void **state)
{
    static const char end[] = "\\u0001...\",\"cut\":true}\n";
    char text[5000];
    struct lv_event_field fields[101] = {{.name = NULL}};

    (void)state;
    hear_json(LV_DEBUG);
    memset(text, '\x01', sizeof text);
    for (size_t i = 0; i < 100; i++)
        fields[i] = LV_B("field", lv_bytes(text, sizeof text));
    lv_event_write(LV_INFO, (struct lv_event_line){.name = "x", .fields = fields});
    assert_true(heard.size <= 8192);
    assert_string_equal(heard.line + heard.size - strlen(end), end);
    assert_int_equal(strcspn(heard.line, "\n"), heard.size - 1);
}

static void each_sink_has_a_level_and_a_form(void **state)
{
    struct heard other = {.count = 0};
    const struct lv_event_sink sinks[] = {
        {.write = hear, .ctx = &heard, .lowest = LV_WARN},
        {.write = hear, .ctx = &other, .lowest = LV_INFO, .form = LV_EVENT_JSON},
    };

    (void)state;
    lv_event_sinks(sinks, 2);
    assert_false(lv_event_is_heard(LV_DEBUG));
    assert_true(lv_event_is_heard(LV_INFO));
    lv_event(LV_INFO, "x");
    assert_int_equal(heard.count, 0);
    assert_int_equal(other.count, 1);
    lv_event(LV_ERROR, "y");
    assert_string_equal(heard.line, "level=error event=y\n");
    assert_string_equal(other.line, "\"level\":\"error\",\"event\":\"y\"}\n");
    lv_event_sinks(NULL, 0);
    assert_false(lv_event_is_heard(LV_ERROR));
}

static void without_a_sink_nothing_happens(void **state)
{
    (void)state;
    lv_event_sink(NULL, NULL, LV_DEBUG);
    lv_event(LV_ERROR, "unheard", LV_U("n", 1));
    assert_int_equal(heard.count, 0);
}

/* ---- from several threads ---- */

#define THREAD_COUNT 4u

static _Thread_local unsigned good;

/* Runs in the thread that speaks: what it is given must be that thread's own whole line. */
static void count_good(void *ctx, enum lv_level level, struct lv_bytes line)
{
    static const char expected[] = "level=info event=spoken by=\"me\" twice=\"me\"\n";

    (void)ctx;
    (void)level;
    good += lv_bytes_equal(line, lv_text(expected));
}

static void *speak(void *ret_good)
{
    for (int i = 0; i < 1000; i++)
        lv_event(LV_INFO, "spoken", LV_S("by", "me"), LV_S("twice", "me"));
    *(unsigned *)ret_good = good;
    return NULL;
}

static void threads_do_not_mix_their_lines(void **state)
{
    pthread_t threads[THREAD_COUNT];
    unsigned counts[THREAD_COUNT] = {0};

    (void)state;
    lv_event_sink(count_good, NULL, LV_INFO);
    for (size_t i = 0; i < THREAD_COUNT; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, speak, &counts[i]), 0);
    for (size_t i = 0; i < THREAD_COUNT; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (size_t i = 0; i < THREAD_COUNT; i++)
        assert_int_equal(counts[i], 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_line_has_level_name_and_fields, listen_to_all),
        cmocka_unit_test_setup(an_event_needs_no_fields, listen_to_all),
        cmocka_unit_test_setup(numbers_are_written_in_full, listen_to_all),
        cmocka_unit_test_setup(no_text_is_not_an_empty_text, listen_to_all),
        cmocka_unit_test_setup(nothing_in_a_value_can_end_it, listen_to_all),
        cmocka_unit_test_setup(text_stays_readable_and_other_bytes_become_hex, listen_to_all),
        cmocka_unit_test_setup(a_long_value_is_cut_with_a_mark, listen_to_all),
        cmocka_unit_test_setup(too_many_fields_end_with_a_mark, listen_to_all),
        cmocka_unit_test_setup(what_is_below_the_level_is_dropped, listen_to_all),
        cmocka_unit_test_setup(in_json_a_line_is_an_object_without_its_beginning, listen_to_all),
        cmocka_unit_test_setup(in_json_nothing_in_a_value_can_end_it, listen_to_all),
        cmocka_unit_test_setup(in_json_what_is_cut_is_still_an_object, listen_to_all),
        cmocka_unit_test_setup(each_sink_has_a_level_and_a_form, listen_to_all),
        cmocka_unit_test_setup(without_a_sink_nothing_happens, listen_to_all),
        cmocka_unit_test(threads_do_not_mix_their_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
