#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void numbers_are_big_endian_at_any_address(void **state)
{
    static const uint8_t golden[] = {0xff, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06,
                                     0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d};
    uint8_t buffer[sizeof golden + 1];
    uint8_t *end = lv_put8(buffer, 0xff);

    (void)state;
    end = lv_put16(end, 0x0102);
    end = lv_put32(end, 0x03040506);
    end = lv_put64(end, 0x0708090a0b0c0d0e);
    assert_int_equal(end - buffer, sizeof buffer);
    assert_memory_equal(buffer, golden, sizeof golden);
    assert_int_equal(lv_get16(buffer + 1), 0x0102);
    assert_int_equal(lv_get32(buffer + 3), 0x03040506);
    assert_true(lv_get64(buffer + 7) == 0x0708090a0b0c0d0e);
}

static void views_are_equal_by_what_they_show(void **state)
{
    char copy[] = "text";

    (void)state;
    assert_true(lv_bytes_equal(lv_text("text"), lv_text(copy)));
    assert_false(lv_bytes_equal(lv_text("text"), lv_text("test")));
    assert_false(lv_bytes_equal(lv_text("text"), lv_text("texts")));
    assert_true(lv_bytes_equal(lv_bytes(NULL, 0), lv_text("")));
    assert_false(lv_bytes_equal(lv_bytes("a\0b", 3), lv_bytes("a\0c", 3)));
}

static void put_bytes_takes_nothing_from_an_empty_view(void **state)
{
    uint8_t buffer[3] = {7, 7, 7};

    (void)state;
    assert_ptr_equal(lv_put_bytes(buffer, lv_bytes(NULL, 0)), buffer);
    assert_ptr_equal(lv_put_bytes(buffer, lv_text("ab")), buffer + 2);
    assert_memory_equal(buffer, "ab\a", 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_big_endian_at_any_address),
        cmocka_unit_test(views_are_equal_by_what_they_show),
        cmocka_unit_test(put_bytes_takes_nothing_from_an_empty_view),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
