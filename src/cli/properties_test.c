#include "cli/properties.h"

#include "base/alloc.h"
#include "codec/amqp091/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void nothing_given_is_no_property(void **state)
{
    static struct lv_property_options options;
    uint8_t *raw;
    size_t size;

    (void)state;
    assert_int_equal(lv_property_encode(&options, &raw, &size, NULL), 0);
    assert_int_equal(size, 2);
    assert_int_equal(lv_get16(raw), 0);
    lv_free(raw);
}

static void what_is_given_is_encoded(void **state)
{
    static struct lv_property_options options = {.content_type = "text/plain", .app_id = "a"};
    struct lv_amqp091_properties p;
    uint8_t *raw;
    size_t size;

    (void)state;
    assert_int_equal(lv_property_persistent(&options, NULL, NULL), 0);
    assert_int_equal(lv_property_priority(&options, "9", NULL), 0);
    assert_int_equal(lv_property_expiration(&options, "0100", NULL), 0);
    assert_int_equal(lv_property_timestamp(&options, "17", NULL), 0);
    assert_int_equal(lv_property_encode(&options, &raw, &size, NULL), 0);
    assert_int_equal(lv_amqp091_properties_decode(lv_bytes(raw, size), &p, NULL), 0);
    assert_int_equal(p.flags, LV_AMQP091_PROPERTY_CONTENT_TYPE | LV_AMQP091_PROPERTY_APP_ID |
                                  LV_AMQP091_PROPERTY_DELIVERY_MODE | LV_AMQP091_PROPERTY_PRIORITY |
                                  LV_AMQP091_PROPERTY_EXPIRATION | LV_AMQP091_PROPERTY_TIMESTAMP);
    assert_true(lv_bytes_equal(p.content_type, lv_text("text/plain")));
    assert_true(lv_bytes_equal(p.expiration, lv_text("100")));
    assert_int_equal(p.delivery_mode, 2);
    assert_int_equal(p.priority, 9);
    assert_int_equal(p.timestamp, 17);
    lv_free(raw);
}

static void now_is_a_timestamp(void **state)
{
    static struct lv_property_options options;

    (void)state;
    assert_int_equal(lv_property_timestamp(&options, "now", NULL), 0);
    assert_true(options.properties.timestamp > 1600000000);
}

static void headers_have_types(void **state)
{
    static const struct {
        const char *text, *name;
        enum lv_type type;
        int64_t integer;
    } rows[] = {
        {"a=1", "a", LV_TYPE_STRING, 0},        {"a:str=", "a", LV_TYPE_STRING, 0},
        {"n:int=-7", "n", LV_TYPE_I64, -7},     {"t:time=5", "t", LV_TYPE_TIMESTAMP, 5},
        {"b:bool=false", "b", LV_TYPE_BOOL, 0}, {"f:float=1e3", "f", LV_TYPE_F64, 0},
        {"v:void=", "v", LV_TYPE_VOID, 0},      {"x:y:int=3", "x:y", LV_TYPE_I64, 3},
        {"u=a:b=c", "u", LV_TYPE_STRING, 0},
    };
    static struct lv_property_options options;
    struct lv_amqp091_properties p;
    uint8_t *raw;
    size_t size;

    (void)state;
    for (size_t i = 0; i < LV_COUNT(rows); i++) {
        const struct lv_field *field = &options.headers[options.header_count];

        assert_int_equal(lv_property_header(&options, rows[i].text, NULL), 0);
        assert_true(lv_bytes_equal(field->name, lv_text(rows[i].name)));
        assert_int_equal(field->value.type, rows[i].type);
        if (rows[i].integer != 0)
            assert_int_equal(field->value.integer, rows[i].integer);
    }
    assert_int_equal(lv_property_encode(&options, &raw, &size, NULL), 0);
    assert_int_equal(lv_amqp091_properties_decode(lv_bytes(raw, size), &p, NULL), 0);
    assert_int_equal(lv_amqp091_table_check(p.headers, NULL), 0);
    assert_true(p.headers.size > 30);
    lv_free(raw);
}

static void wrong_headers_say_what_would_be_right(void **state)
{
    static const struct {
        const char *text, *word;
    } rows[] = {
        {"a", "NAME=VALUE"},      {"=v", "NAME=VALUE"},
        {":int=5", "NAME=VALUE"}, {"a:b=c", "str"},
        {"a:int=x", "int"},       {"a:int=", "int"},
        {"a:bool=1", "bool"},     {"a:void=x", "void"},
        {"a:float=", "float"},    {"a:int=99999999999999999999", "int"},
    };
    static struct lv_property_options options;

    (void)state;
    for (size_t i = 0; i < LV_COUNT(rows); i++) {
        struct lv_diag diag = {.text = ""};

        assert_int_equal(lv_property_header(&options, rows[i].text, &diag), -LV_E_USAGE);
        assert_non_null(strstr(diag.text, rows[i].word));
    }
    assert_int_equal(options.header_count, 0);
}

static void everything_has_a_limit(void **state)
{
    static struct lv_property_options options;
    char text[600] = "";
    uint8_t *raw;
    size_t size;

    (void)state;
    assert_int_equal(lv_property_priority(&options, "256", NULL), -LV_E_USAGE);
    assert_int_equal(lv_property_expiration(&options, "-1", NULL), -LV_E_USAGE);
    assert_int_equal(lv_property_timestamp(&options, "soon", NULL), -LV_E_USAGE);
    memset(text, 'n', 256);
    memcpy(text + 256, "=v", 3);
    assert_int_equal(lv_property_header(&options, text, NULL), -LV_E_USAGE);
    assert_int_equal(lv_property_header(&options, text + 1, NULL), 0);
    while (options.header_count < LV_PROPERTIES_HEADERS_MAX)
        assert_int_equal(lv_property_header(&options, "a=b", NULL), 0);
    assert_int_equal(lv_property_header(&options, "a=b", NULL), -LV_E_USAGE);
    options.message_id = text;
    assert_int_equal(lv_property_encode(&options, &raw, &size, NULL), -LV_E_USAGE);
}

static void lack_of_memory_is_told(void **state)
{
    static struct lv_property_options options;
    uint8_t *raw;
    size_t size;

    (void)state;
    assert_int_equal(lv_property_header(&options, "a=b", NULL), 0);
    for (uint64_t nth = 1; nth <= 3; nth++) {
        lv_alloc_fail_after(nth, 0);
        assert_int_equal(lv_property_encode(&options, &raw, &size, NULL), -LV_E_NOMEM);
        lv_alloc_fail_after(0, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_given_is_no_property),
        cmocka_unit_test(what_is_given_is_encoded),
        cmocka_unit_test(now_is_a_timestamp),
        cmocka_unit_test(headers_have_types),
        cmocka_unit_test(wrong_headers_say_what_would_be_right),
        cmocka_unit_test(everything_has_a_limit),
        cmocka_unit_test(lack_of_memory_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
