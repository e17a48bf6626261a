#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Values that everybody's XXH3 gives: files of today are read by the programs of tomorrow. */
static void values_are_those_of_xxh3(void **state)
{
    (void)state;
    assert_int_equal(lv_xxh3(NULL, 0, 0), 0x2d06800538d394c2u);
    assert_int_equal(lv_xxh3("abc", 3, 0), 0x78af5f94892f3950u);
}

/* All of XXH3's ways: up to 16, up to 128, up to 240 bytes and longer. */
static void every_byte_and_the_seed_count(void **state)
{
    static const size_t sizes[] = {1, 3, 8, 16, 17, 128, 129, 240, 241, 1023, 1024, 4096};
    uint8_t data[4096];

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 31);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint64_t hash = lv_xxh3(data, sizes[i], 7);

        assert_int_not_equal(hash, lv_xxh3(data, sizes[i], 8));
        for (size_t at = 0; at < sizes[i]; at++) {
            data[at] ^= 1;
            assert_int_not_equal(hash, lv_xxh3(data, sizes[i], 7));
            data[at] ^= 1;
        }
        assert_int_equal(hash, lv_xxh3(data, sizes[i], 7));
    }
}

static void the_address_does_not_count(void **state)
{
    uint8_t data[300] = {0};

    (void)state;
    for (size_t i = 0; i < 264; i++)
        data[i] = data[i + 8] = 0xa5;
    for (size_t shift = 0; shift < 8; shift++)
        assert_int_equal(lv_xxh3(data + shift, 250, 1), lv_xxh3(data, 250, 1));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_those_of_xxh3),
        cmocka_unit_test(every_byte_and_the_seed_count),
        cmocka_unit_test(the_address_does_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
