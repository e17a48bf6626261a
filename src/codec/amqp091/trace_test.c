#include "codec/amqp091/trace.h"

#include "codec/testing.h"

static void shows_numbers_bits_strings_and_sizes(void **state)
{
    (void)state;
    struct lv_amqp091_trace trace;
    char text[128];

    lv_amqp091_trace_begin(&trace, text, sizeof text, "queue.declare");
    lv_amqp091_trace_string(&trace, "queue", lv_text("tasks"));
    lv_amqp091_trace_bit(&trace, "passive", false);
    lv_amqp091_trace_bit(&trace, "durable", true);
    lv_amqp091_trace_number(&trace, "tag", UINT64_MAX);
    lv_amqp091_trace_opaque(&trace, "arguments", lv_text("secret"));
    assert_string_equal(text, "queue.declare queue=\"tasks\" durable=1 tag=18446744073709551615"
                              " arguments=(6 bytes)");
    assert_int_equal(trace.used, strlen(text));
}

static void escapes_what_is_not_plain_text(void **state)
{
    (void)state;
    struct lv_amqp091_trace trace;
    char text[64];

    lv_amqp091_trace_begin(&trace, text, sizeof text, "t");
    lv_amqp091_trace_string(&trace, "s", golden("'a' 22 5c 0a 00 7f c3a4 '~ '"));
    assert_string_equal(text, "t s=\"a\\x22\\x5c\\x0a\\x00\\x7f\\xc3\\xa4~ \"");
}

static void is_cut_at_every_size_and_terminated(void **state)
{
    (void)state;
    static const char whole[] = "title name=\"\\x01\" n=12";

    for (size_t size = 1; size <= sizeof whole; size++) {
        char *text = lv_alloc(size);
        struct lv_amqp091_trace trace;
        assert_non_null(text);
        lv_amqp091_trace_begin(&trace, text, size, "title");
        lv_amqp091_trace_string(&trace, "name", golden("01"));
        lv_amqp091_trace_number(&trace, "n", 12);
        assert_int_equal(trace.used, size - 1);
        assert_int_equal(text[size - 1], '\0');
        assert_memory_equal(text, whole, size - 1);
        lv_free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shows_numbers_bits_strings_and_sizes),
        cmocka_unit_test(escapes_what_is_not_plain_text),
        cmocka_unit_test(is_cut_at_every_size_and_terminated),
    };
    return cmocka_run_group_tests_name("codec amqp091 trace", tests, NULL, NULL);
}
