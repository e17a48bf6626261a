#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void numbers_are_digits_and_nothing_else(void **state)
{
    uint64_t number = 7;

    (void)state;
    assert_int_equal(lv_text_number("0", &number), 0);
    assert_int_equal(number, 0);
    assert_int_equal(lv_text_number("18446744073709551615", &number), 0);
    assert_true(number == UINT64_MAX);
    assert_true(lv_text_number("18446744073709551616", &number) < 0);
    assert_true(lv_text_number("", &number) < 0);
    assert_true(lv_text_number("-1", &number) < 0);
    assert_true(lv_text_number(" 1", &number) < 0);
    assert_true(lv_text_number("1x", &number) < 0);
    assert_true(number == UINT64_MAX); /* a failure writes nothing */
}

static void sizes_have_units_of_1024_or_1000(void **state)
{
    static const struct {
        const char *text;
        uint64_t size;
    } good[] = {
        {"4096", 4096},   {"64k", 65536},          {"64KiB", 65536},          {"64kib", 65536},
        {"1M", 1048576},  {"1MiB", 1048576},       {"1MB", 1000000},          {"2 GB", 2000000000},
        {"2G", 1u << 31}, {"1T", 1099511627776ll}, {"1tb", 1000000000000ull},
    };
    uint64_t size;

    (void)state;
    for (size_t i = 0; i < LV_COUNT(good); i++) {
        assert_int_equal(lv_text_size(good[i].text, &size), 0);
        assert_true(size == good[i].size);
    }
    assert_true(lv_text_size("M", &size) < 0);
    assert_true(lv_text_size("1X", &size) < 0);
    assert_true(lv_text_size("1.5M", &size) < 0);
    assert_true(lv_text_size("18446744073709551615k", &size) < 0);
}

static void decimals_are_plain(void **state)
{
    double number;

    (void)state;
    assert_int_equal(lv_text_decimal("0.6", &number), 0);
    assert_true(number > 0.59 && number < 0.61);
    assert_int_equal(lv_text_decimal("3", &number), 0);
    assert_true(number > 2.9 && number < 3.1);
    assert_true(lv_text_decimal("inf", &number) < 0);
    assert_true(lv_text_decimal("-1", &number) < 0);
    assert_true(lv_text_decimal("1e3", &number) < 0);
    assert_true(lv_text_decimal("1.2.3", &number) < 0);
    assert_true(lv_text_decimal("", &number) < 0);
}

static void sizes_are_shown_in_the_unit_that_fits(void **state)
{
    char text[LV_SIZE_TEXT_SIZE];

    (void)state;
    assert_string_equal(lv_size_text(0, text), "0 bytes");
    assert_string_equal(lv_size_text(1023, text), "1023 bytes");
    assert_string_equal(lv_size_text(1024, text), "1 KiB");
    assert_string_equal(lv_size_text(1536, text), "1.5 KiB");
    assert_string_equal(lv_size_text(512ull << 20, text), "512 MiB");
    assert_string_equal(lv_size_text(14ull << 30, text), "14 GiB");
    assert_string_equal(lv_size_text(UINT64_MAX, text), "16777216 TiB");
}

static void distance_counts_letters_to_change(void **state)
{
    (void)state;
    assert_int_equal(lv_text_distance("", ""), 0);
    assert_int_equal(lv_text_distance("serve", "serve"), 0);
    assert_int_equal(lv_text_distance("serv", "serve"), 1);
    assert_int_equal(lv_text_distance("kitten", "sitting"), 3);
    assert_int_equal(lv_text_distance("", "abc"), 3);
}

static void distance_looks_at_64_letters(void **state)
{
    char text[200];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(lv_text_distance(text, ""), 64);
}

static void nearest_name_wins_if_it_is_near(void **state)
{
    struct lv_nearest meant = {.name = "hartbeat"}, strange = {.name = "xyzzy"};

    (void)state;
    lv_nearest_try(&meant, "shards");
    assert_null(meant.best);
    lv_nearest_try(&meant, "heartbeat");
    lv_nearest_try(&meant, "heartbeats");
    assert_string_equal(meant.best, "heartbeat");
    lv_nearest_try(&strange, "heartbeat");
    assert_null(strange.best);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_digits_and_nothing_else),
        cmocka_unit_test(sizes_have_units_of_1024_or_1000),
        cmocka_unit_test(decimals_are_plain),
        cmocka_unit_test(sizes_are_shown_in_the_unit_that_fits),
        cmocka_unit_test(distance_counts_letters_to_change),
        cmocka_unit_test(distance_looks_at_64_letters),
        cmocka_unit_test(nearest_name_wins_if_it_is_near),
    };

    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
