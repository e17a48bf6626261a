#include "base/utf8.h"

#include "base/defs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Decodes the plain way: the number first, then what RFC 3629 forbids. */
static bool is_valid_character(const uint8_t *p, size_t size)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    static const uint8_t marks[] = {0, 0, 0x6, 0xe, 0x1e}; /* the first byte's upper bits */
    uint32_t number = size == 1 ? p[0] : p[0] & (0x7fu >> size);

    if (size == 1)
        return p[0] < 0x80;
    if (p[0] >> (7 - size) != marks[size])
        return false;
    for (size_t i = 1; i < size; i++) {
        if (p[i] >> 6 != 2)
            return false;
        number = number << 6 | (p[i] & 0x3f);
    }
    return number >= least[size] && number <= 0x10ffff && !(number >= 0xd800 && number < 0xe000);
}

static void text_of_all_scripts_is_valid(void **state)
{
    static const char *const texts[] = {"",       "plain ASCII of more than eight bytes",
                                        "Zürich", "κόσμος",
                                        "日本語", "🐇 runs",
                                        "\x7f",   "\xf4\x8f\xbf\xbf",
                                        "\x01",   "\xed\x9f\xbf\xee\x80\x80"};

    (void)state;
    for (size_t i = 0; i < LV_COUNT(texts); i++)
        assert_true(lv_utf8_is_valid(lv_text(texts[i])));
    assert_true(lv_utf8_is_valid(lv_bytes("a\0b", 3)));
}

static void what_rfc_3629_forbids_is_not_valid(void **state)
{
    static const char *const texts[] = {
        "\x80",             /* goes on without a beginning */
        "\xc0\x80",         /* overlong */
        "\xc1\xbf",         /* overlong */
        "\xe0\x9f\xbf",     /* overlong */
        "\xf0\x8f\xbf\xbf", /* overlong */
        "\xed\xa0\x80",     /* a surrogate */
        "\xed\xbf\xbf",     /* a surrogate */
        "\xf4\x90\x80\x80", /* above U+10FFFF */
        "\xf5\x80\x80\x80", /* above U+10FFFF */
        "\xff",             /* never used */
        "\xc3",             /* cut */
        "\xe2\x82",         /* cut */
        "\xf0\x9f\x90",     /* cut */
        "\xe2\x28\xa1",     /* broken */
        "eight by\xffteight by",
    };

    (void)state;
    for (size_t i = 0; i < LV_COUNT(texts); i++)
        assert_false(lv_utf8_is_valid(lv_text(texts[i])));
}

static void every_sequence_of_three_bytes_agrees_with_plain_decoding(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 1u << 24; i++) {
        uint8_t p[] = {(uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
        size_t expected = 0;
        for (size_t size = 1; size <= 3 && expected == 0; size++)
            expected = is_valid_character(p, size) ? size : 0;
        if (lv_utf8_char(lv_bytes(p, 3)) != expected)
            fail_msg("%02x %02x %02x", p[0], p[1], p[2]);
    }
}

static void every_four_byte_character_agrees_with_plain_decoding(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 1u << 22; i++) {
        /* All first and second bytes from F0 on; the last two at their borders. */
        uint8_t p[] = {(uint8_t)(0xf0 | i >> 18), (uint8_t)(i >> 10), (uint8_t)((i >> 2) << 0),
                       (uint8_t)(0x7f + (i & 3) * 0x20)};
        size_t expected = is_valid_character(p, 4) ? 4 : 0;
        if (lv_utf8_char(lv_bytes(p, 4)) != expected)
            fail_msg("%02x %02x %02x %02x", p[0], p[1], p[2], p[3]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_of_all_scripts_is_valid),
        cmocka_unit_test(what_rfc_3629_forbids_is_not_valid),
        cmocka_unit_test(every_sequence_of_three_bytes_agrees_with_plain_decoding),
        cmocka_unit_test(every_four_byte_character_agrees_with_plain_decoding),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
