#include "client/handshake.h"

#include "codec/amqp091/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void properties_are_a_well_formed_table(void **state)
{
    static const char name[] =
        "a name that is much longer than what the table has room for: "
        "0123456789012345678901234567890123456789012345678901234567890123456"
        "0123456789012345678901234567890123456789012345678901234567890123456"
        "0123456789012345678901234567890123456789012345678901234567890123456"
        "0123456789012345678901234567890123456789012345678901234567890123456";
    const struct lv_engine_config config = {.name = name, .version = "1.2.3"};
    uint8_t entries[LV_HANDSHAKE_PROPERTIES_SIZE];
    struct lv_bytes rest = lv_bytes(entries, lv_handshake_properties(&config, entries));
    struct lv_amqp091_field field;
    bool named = false, capable = false;

    (void)state;
    assert_int_equal(lv_amqp091_table_check(rest, NULL), 0);
    while (lv_amqp091_field_next(&rest, &field, NULL) > 0) {
        if (lv_bytes_equal(field.name, lv_text("connection_name"))) {
            named = true;
            assert_true(field.value.size <= 255);
            assert_memory_equal(field.value.data, name, field.value.size);
        }
        if (lv_bytes_equal(field.name, lv_text("capabilities")))
            capable = field.octet == 'F' && field.value.size > 0;
    }
    assert_true(named);
    assert_true(capable);
}

static void the_smaller_wish_counts_and_zero_is_none(void **state)
{
    static const struct {
        uint16_t ours, theirs, agreed;
    } limits[] = {{0, 0, 0}, {0, 9, 9}, {9, 0, 9}, {8, 9, 8}, {9, 8, 8}};
    static const struct {
        uint16_t ours, theirs, agreed;
    } beats[] = {{0, 60, 0}, {60, 0, 60}, {10, 60, 10}, {60, 10, 10}, {0, 0, 0}};

    (void)state;
    for (size_t i = 0; i < LV_COUNT(limits); i++) {
        const struct lv_engine_config config = {.channel_max = limits[i].ours, .frame_max = 8192};
        const struct lv_amqp091_connection_tune offer = {.channel_max = limits[i].theirs};

        assert_int_equal(lv_handshake_tune(&config, &offer).channel_max, limits[i].agreed);
        assert_int_equal(lv_handshake_tune(&config, &offer).frame_max, 8192);
    }
    for (size_t i = 0; i < LV_COUNT(beats); i++) {
        const struct lv_engine_config config = {.heartbeat_s = beats[i].ours, .frame_max = 8192};
        const struct lv_amqp091_connection_tune offer = {.heartbeat = beats[i].theirs,
                                                         .frame_max = 4096};

        assert_int_equal(lv_handshake_tune(&config, &offer).heartbeat, beats[i].agreed);
        assert_int_equal(lv_handshake_tune(&config, &offer).frame_max, 4096);
    }
}

static void mechanisms_are_whole_words(void **state)
{
    (void)state;
    assert_true(lv_handshake_offers(lv_text("PLAIN"), "PLAIN"));
    assert_true(lv_handshake_offers(lv_text("AMQPLAIN PLAIN"), "PLAIN"));
    assert_true(lv_handshake_offers(lv_text("PLAIN AMQPLAIN"), "PLAIN"));
    assert_false(lv_handshake_offers(lv_text("AMQPLAIN PLAINER"), "PLAIN"));
    assert_false(lv_handshake_offers(lv_text("plain"), "PLAIN"));
    assert_false(lv_handshake_offers(lv_text(""), "PLAIN"));
}

static void a_server_without_a_name_is_unknown(void **state)
{
    char text[64];

    (void)state;
    assert_string_equal(lv_handshake_server(lv_text(""), text, sizeof text), "an unknown broker ");
    assert_string_equal(lv_handshake_server(lv_text("malformed"), text, 4), "an ");
}

static void reply_codes_become_errors(void **state)
{
    (void)state;
    assert_int_equal(lv_handshake_error(404), -LV_E_NOT_FOUND);
    assert_int_equal(lv_handshake_error(403), -LV_E_ACCESS_REFUSED);
    assert_int_equal(lv_handshake_error(506), -LV_E_RESOURCE);
    assert_int_equal(lv_handshake_error(0), -LV_E_INTERNAL);
    assert_int_equal(lv_handshake_error(999), -LV_E_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(properties_are_a_well_formed_table),
        cmocka_unit_test(the_smaller_wish_counts_and_zero_is_none),
        cmocka_unit_test(mechanisms_are_whole_words),
        cmocka_unit_test(a_server_without_a_name_is_unknown),
        cmocka_unit_test(reply_codes_become_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
