#include "codec/amqp091/wire.h"

#include "codec/testing.h"

static void reads_every_basic_type_big_endian(void **state)
{
    (void)state;
    struct lv_bytes bytes =
        golden("01 0203 04050607 08090a0b0c0d0e0f 03 'abc' 00000002 'de' 02 fffe 7a");
    struct lv_amqp091_reader reader = lv_amqp091_reader(bytes);

    assert_int_equal(lv_amqp091_read_octet(&reader), 0x01);
    assert_int_equal(lv_amqp091_read_short(&reader), 0x0203);
    assert_int_equal(lv_amqp091_read_long(&reader), 0x04050607);
    assert_true(lv_amqp091_read_longlong(&reader) == 0x08090a0b0c0d0e0fu);
    assert_text_equal(lv_amqp091_read_shortstr(&reader), "abc");
    assert_text_equal(lv_amqp091_read_longstr(&reader), "de");
    assert_bytes_equal(lv_amqp091_read_shortbytes(&reader), golden("fffe"));
    assert_int_equal(lv_amqp091_reader_left(&reader), 1);
    lv_amqp091_skip(&reader, 1);
    assert_int_equal(lv_amqp091_reader_end(&reader, bytes, NULL), 0);
}

static void a_failed_read_makes_all_later_ones_fail(void **state)
{
    (void)state;
    struct lv_bytes bytes = golden("05 'abcd'");
    uint8_t *copy = exact_copy(bytes);
    struct lv_amqp091_reader reader = lv_amqp091_reader(lv_bytes(copy, bytes.size));
    struct lv_diag diag;

    assert_int_equal(lv_amqp091_read_shortstr(&reader).size, 0);
    assert_int_equal(lv_amqp091_read_octet(&reader), 0);
    assert_int_equal(lv_amqp091_read_short(&reader), 0);
    assert_int_equal(lv_amqp091_read_long(&reader), 0);
    assert_true(lv_amqp091_read_longlong(&reader) == 0);
    assert_int_equal(lv_amqp091_reader_end(&reader, bytes, &diag), -LV_E_BAD_FRAME);
    assert_string_equal(diag.text, "cannot decode <<5,97,98,99,100>>: it ends too early");
    lv_free(copy);
}

static void the_first_of_several_reasons_is_told(void **state)
{
    (void)state;
    struct lv_bytes bytes = golden("02 c328 01");
    struct lv_amqp091_reader reader = lv_amqp091_reader(bytes);
    struct lv_diag diag;

    assert_int_equal(lv_amqp091_read_shortstr(&reader).size, 2);
    lv_amqp091_skip(&reader, 9);
    assert_int_equal(lv_amqp091_reader_end(&reader, bytes, &diag), -LV_E_BAD_FRAME);
    assert_string_equal(diag.text, "Malformed UTF-8 in shortstr");
}

static void bytes_left_over_are_an_error(void **state)
{
    (void)state;
    struct lv_bytes bytes = golden("01 02");
    struct lv_amqp091_reader reader = lv_amqp091_reader(bytes);
    struct lv_diag diag;

    lv_amqp091_skip(&reader, 1);
    assert_int_equal(lv_amqp091_reader_end(&reader, bytes, &diag), -LV_E_BAD_FRAME);
    assert_string_equal(diag.text, "cannot decode <<1,2>>: bytes are left over");
}

static void nothing_at_all_can_be_read(void **state)
{
    (void)state;
    struct lv_amqp091_reader reader = lv_amqp091_reader(lv_bytes(NULL, 0));

    assert_non_null(lv_amqp091_take(&reader, 0));
    assert_int_equal(lv_amqp091_reader_end(&reader, lv_bytes(NULL, 0), NULL), 0);
    assert_null(lv_amqp091_take(&reader, 1));
    assert_int_equal(lv_amqp091_reader_end(&reader, lv_bytes(NULL, 0), NULL), -LV_E_BAD_FRAME);
}

static void octets_are_shown_as_rabbitmq_does_and_cut(void **state)
{
    (void)state;
    char text[LV_AMQP091_OCTETS_SIZE];
    uint8_t many[40];

    assert_string_equal(lv_amqp091_octets(lv_bytes(NULL, 0), 16, text), "<<>>");
    assert_string_equal(lv_amqp091_octets(golden("00 ff 2a"), 16, text), "<<0,255,42>>");
    assert_string_equal(lv_amqp091_octets(golden("00 ff 2a"), 2, text), "<<0,255,...>>");
    memset(many, 255, sizeof many); /* the longest text there can be */
    lv_amqp091_octets(lv_bytes(many, sizeof many), 32, text);
    assert_int_equal(strlen(text), 2 + 32 * 4 - 1 + 6);
}

static void writes_what_it_reads(void **state)
{
    (void)state;
    uint8_t out[64];
    uint8_t *p = out;

    p = lv_amqp091_write_octet(p, 1);
    p = lv_amqp091_write_short(p, 0x0203);
    p = lv_amqp091_write_long(p, 0x04050607);
    p = lv_amqp091_write_longlong(p, 0x08090a0b0c0d0e0fu);
    p = lv_amqp091_write_shortstr(p, lv_text("abc"));
    p = lv_amqp091_write_longstr(p, lv_text("de"));
    p = lv_amqp091_write_shortstr(p, lv_bytes(NULL, 0));
    assert_bytes_equal(lv_bytes(out, (size_t)(p - out)),
                       golden("01 0203 04050607 08090a0b0c0d0e0f 03 'abc' 00000002 'de' 00"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_basic_type_big_endian),
        cmocka_unit_test(a_failed_read_makes_all_later_ones_fail),
        cmocka_unit_test(the_first_of_several_reasons_is_told),
        cmocka_unit_test(bytes_left_over_are_an_error),
        cmocka_unit_test(nothing_at_all_can_be_read),
        cmocka_unit_test(octets_are_shown_as_rabbitmq_does_and_cut),
        cmocka_unit_test(writes_what_it_reads),
    };
    return cmocka_run_group_tests_name("codec amqp091 wire", tests, NULL, NULL);
}
