#include "server/settings.h"

#include "base/bytes.h"
#include "server/settings_text.h"
#include "session/amqp091/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct lv_settings settings;
static struct lv_diag diag;

static int make_settings(void **state)
{
    (void)state;
    diag.text[0] = '\0';
    return lv_settings_init(&settings);
}

static int free_settings(void **state)
{
    (void)state;
    lv_settings_fini(&settings);
    return 0;
}

static int set(const char *name, const char *value)
{
    return lv_settings_set(&settings, name, value, &diag);
}

static void assert_refused(const char *name, const char *value, const char *hint)
{
    assert_int_equal(set(name, value), -LV_E_USAGE);
    if (strstr(diag.text, hint) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", diag.text, hint);
}

static void defaults_are_what_the_session_has_as_its_bounds(void **state)
{
    (void)state;
    assert_int_equal(settings.heartbeat, LV_BOUND_HEARTBEAT);
    assert_int_equal(settings.frame_max, LV_BOUND_FRAME_MAX);
    assert_int_equal(settings.channel_max, LV_BOUND_CHANNEL_MAX);
    assert_int_equal(settings.handshake_timeout, LV_BOUND_HANDSHAKE);
    assert_int_equal(settings.max_message_size, LV_BOUND_MESSAGE);
}

static void by_default_it_listens_on_loopback_for_a_local_guest(void **state)
{
    (void)state;
    assert_int_equal(settings.listeners.count, 1);
    assert_string_equal(settings.listeners.items[0], "127.0.0.1:5672");
    assert_string_equal(settings.default_user, "guest");
    assert_true(lv_names_have(&settings.loopback_users, "guest", 5));
    assert_int_equal(settings.log_level, 1);   /* info */
    assert_int_equal(settings.log_console, 0); /* true */
}

static void numbers_have_a_range(void **state)
{
    (void)state;
    assert_int_equal(set("heartbeat", "0"), 0);
    assert_int_equal(settings.heartbeat, 0);
    assert_int_equal(set("channel_max", "65535"), 0);
    assert_refused("channel_max", "0", "from 1 to 65535 (channels)");
    assert_refused("channel_max", "65536", "from 1 to 65535");
    assert_refused("heartbeat", "-1", "from 0 to 65535 (s)");
    assert_refused("heartbeat", "ten", "not \"ten\"");
    assert_int_equal(settings.channel_max, 65535);
}

static void sizes_have_units(void **state)
{
    (void)state;
    assert_int_equal(set("frame_max", "64k"), 0);
    assert_int_equal(settings.frame_max, 65536);
    assert_int_equal(set("max_message_size", "1MB"), 0);
    assert_int_equal(settings.max_message_size, 1000000);
    assert_refused("frame_max", "8191", "from 8192");
    assert_refused("max_message_size", "1 parsec", "like 64k");
}

static void memory_is_a_share_or_a_size(void **state)
{
    (void)state;
    assert_true(lv_memory_limit_size(&settings.memory_limit, 1000) == 600);
    assert_int_equal(set("vm_memory_high_watermark", "0.4"), 0);
    assert_true(lv_memory_limit_size(&settings.memory_limit, 1000) == 400);
    assert_int_equal(set("vm_memory_high_watermark.relative", "1"), 0);
    assert_true(lv_memory_limit_size(&settings.memory_limit, 1000) == 1000);
    assert_int_equal(set("vm_memory_high_watermark.absolute", "512MB"), 0);
    assert_true(lv_memory_limit_size(&settings.memory_limit, 1000) == 512000000);
    assert_int_equal(set("vm_memory_high_watermark", "2G"), 0);
    assert_true(lv_memory_limit_size(&settings.memory_limit, 1000) == 2147483648u);
}

static void memory_that_makes_no_sense_is_refused(void **state)
{
    (void)state;
    assert_refused("vm_memory_high_watermark", "1.1", "up to 1.0");
    assert_refused("vm_memory_high_watermark", "0.0", "above 0");
    assert_refused("vm_memory_high_watermark", "much", "like 0.6");
    assert_refused("vm_memory_high_watermark.relative", "512MB", "a share");
    assert_refused("vm_memory_high_watermark.absolute", "0.6", "a size like 512MB");
    assert_refused("vm_memory_high_watermark.absolute", "0", "a size like 512MB");
}

static void listeners_are_added_by_name_and_replaced_as_a_whole(void **state)
{
    (void)state;
    assert_int_equal(set("listeners.tcp.default", "5672"), 0); /* the default is gone */
    assert_int_equal(set("listeners.tcp.local", "[::1]:5673"), 0);
    assert_int_equal(settings.listeners.count, 2);
    assert_string_equal(settings.listeners.items[0], "5672");
    assert_int_equal(set("listeners.tcp", "127.0.0.1:1, 127.0.0.1:2"), 0);
    assert_int_equal(settings.listeners.count, 2);
    assert_string_equal(settings.listeners.items[1], "127.0.0.1:2");
    assert_int_equal(set("listeners.tcp", "none"), 0);
    assert_int_equal(settings.listeners.count, 0);
}

static void listeners_that_are_no_addresses_are_refused(void **state)
{
    (void)state;
    assert_refused("listeners.tcp.x", "localhost", "HOST:PORT");
    assert_refused("listeners.tcp", "127.0.0.1:1,,127.0.0.1:2", "HOST:PORT");
}

static void a_list_has_an_end(void **state)
{
    char text[16];

    (void)state;
    for (unsigned i = 0; i < LV_NAMES_MAX; i++) {
        snprintf(text, sizeof text, "%u", 1000 + i);
        assert_int_equal(set("listeners.tcp.more", text), 0);
    }
    assert_refused("listeners.tcp.more", "999", "at most 32");
    assert_int_equal(set("listeners.tcp.more", "1000"), 0); /* it is there already */
}

static void a_list_of_values_grows_by_numbers(void **state)
{
    (void)state;
    assert_int_equal(settings.tls_versions.count, 0);
    assert_int_equal(set("ssl_options.versions.1", "tlsv1.3"), 0);
    assert_int_equal(set("ssl_options.versions.2", "tlsv1.2"), 0);
    assert_int_equal(settings.tls_versions.count, 2);
    assert_string_equal(settings.tls_versions.items[0], "tlsv1.3");
    assert_string_equal(settings.tls_versions.items[1], "tlsv1.2");
    assert_int_equal(set("ssl_options.sni.shop", "/a, b.pem,/c.pem"), 0); /* as it is */
    assert_string_equal(settings.tls_sni.items[0], "/a, b.pem,/c.pem");
    assert_int_equal(set("ssl_options.versions", "none"), 0);
    assert_int_equal(settings.tls_versions.count, 0);
}

static void plain_listeners_may_be_none(void **state)
{
    (void)state;
    assert_int_equal(settings.tls_listeners.count, 0);
    assert_int_equal(set("listeners.tcp", "none"), 0);
    assert_int_equal(settings.listeners.count, 0);
    assert_int_equal(set("listeners.ssl.default", "5671"), 0);
    assert_int_equal(settings.tls_listeners.count, 1);
    assert_refused("listeners.ssl.default", "host:port:port", "port");
    assert_refused("ssl_options.verify", "maybe", "verify_none or verify_peer");
}

static void loopback_users_follow_rabbitmqs_two_forms(void **state)
{
    (void)state;
    assert_int_equal(set("loopback_users.monitor", "true"), 0);
    assert_true(lv_names_have(&settings.loopback_users, "guest", 5));
    assert_true(lv_names_have(&settings.loopback_users, "monitor", 7));
    assert_int_equal(set("loopback_users.guest", "false"), 0);
    assert_int_equal(set("loopback_users.nobody", "false"), 0);
    assert_false(lv_names_have(&settings.loopback_users, "guest", 5));
    assert_int_equal(set("loopback_users", "none"), 0);
    assert_int_equal(settings.loopback_users.count, 0);
    assert_refused("loopback_users.guest", "maybe", "true or false");
}

static void versions_are_three_numbers(void **state)
{
    (void)state;
    assert_int_equal(set("product_version", "3.13.7"), 0);
    assert_string_equal(settings.product_version, "3.13.7");
    assert_refused("product_version", "4", "like 4.1.0");
    assert_refused("product_version", "4.1.0-rc1", "like 4.1.0");
    assert_refused("product_version", "four.1.0", "like 4.1.0");
}

static void levels_have_rabbitmqs_names(void **state)
{
    (void)state;
    assert_int_equal(set("log.level", "debug"), 0);
    assert_int_equal(settings.log_level, 0);
    assert_int_equal(set("log.level", "none"), 0);
    assert_int_equal(settings.log_level, LV_LOG_LEVEL_NONE);
    assert_int_equal(settings.log_file_level, 0);
    assert_int_equal(set("log.file.level", "none"), 0);
    assert_int_equal(settings.log_file_level, LV_LOG_LEVEL_NONE + 1);
    assert_refused("log.level", "loud", "debug, info, notice, warning, error");
    assert_refused("log.level", "default", "emergency or none");
}

static void durability_is_one_of_two_words(void **state)
{
    (void)state;
    assert_int_equal(settings.durability, LV_DURABILITY_DISK);
    assert_int_equal(set("durability", "os"), 0);
    assert_int_equal(settings.durability, LV_DURABILITY_OS);
    assert_int_equal(set("durability", "disk"), 0);
    assert_int_equal(settings.durability, LV_DURABILITY_DISK);
    assert_refused("durability", "or", "disk or os, not \"or\"");
    assert_refused("durability", "dis", "disk or os");
    assert_refused("durability", "", "disk or os");
}

static void room_on_the_disk_may_be_more_than_the_memory(void **state)
{
    (void)state;
    assert_true(lv_memory_limit_size(&settings.disk_free_limit, 1000) == 50000000);
    assert_int_equal(set("disk_free_limit.relative", "1.5"), 0);
    assert_true(lv_memory_limit_size(&settings.disk_free_limit, 1000) == 1500);
    assert_int_equal(set("disk_free_limit.absolute", "2GB"), 0);
    assert_true(lv_memory_limit_size(&settings.disk_free_limit, 1000) == 2000000000);
    assert_refused("disk_free_limit.relative", "1001", "up to 1000.0");
}

static void an_unknown_name_gets_the_nearest_one(void **state)
{
    (void)state;
    assert_int_equal(set("hartbeat", "1"), -LV_E_NOT_FOUND);
    assert_string_equal(diag.text, "there is no setting \"hartbeat\"; did you mean \"heartbeat\"?");
    assert_int_equal(set("completely.different", "1"), -LV_E_NOT_FOUND);
    assert_string_equal(diag.text, "there is no setting \"completely.different\"");
    assert_int_equal(set("heartbeat.", "1"), -LV_E_NOT_FOUND);
    assert_int_equal(set("vm_memory_high_watermark.total", "1"), -LV_E_NOT_FOUND);
}

static void every_row_is_in_help_page_and_manual(void **state)
{
    char *page, *manual;
    size_t size;
    FILE *file = open_memstream(&page, &size);

    (void)state;
    lv_settings_print_markdown(file);
    fclose(file);
    file = open_memstream(&manual, &size);
    lv_settings_print_man(file);
    fclose(file);
    for (const struct lv_setting *row = lv_setting_rows; row->name != NULL; row++) {
        assert_non_null(strstr(lv_settings_help(), row->name));
        assert_non_null(strstr(page, row->name));
        assert_non_null(strstr(manual, row->name));
    }
    free(page);
    free(manual);
}

#define SETTINGS_TEST(name) cmocka_unit_test_setup_teardown(name, make_settings, free_settings)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SETTINGS_TEST(defaults_are_what_the_session_has_as_its_bounds),
        SETTINGS_TEST(by_default_it_listens_on_loopback_for_a_local_guest),
        SETTINGS_TEST(numbers_have_a_range),
        SETTINGS_TEST(sizes_have_units),
        SETTINGS_TEST(memory_is_a_share_or_a_size),
        SETTINGS_TEST(memory_that_makes_no_sense_is_refused),
        SETTINGS_TEST(listeners_are_added_by_name_and_replaced_as_a_whole),
        SETTINGS_TEST(listeners_that_are_no_addresses_are_refused),
        SETTINGS_TEST(a_list_has_an_end),
        SETTINGS_TEST(a_list_of_values_grows_by_numbers),
        SETTINGS_TEST(plain_listeners_may_be_none),
        SETTINGS_TEST(loopback_users_follow_rabbitmqs_two_forms),
        SETTINGS_TEST(versions_are_three_numbers),
        SETTINGS_TEST(levels_have_rabbitmqs_names),
        SETTINGS_TEST(durability_is_one_of_two_words),
        SETTINGS_TEST(room_on_the_disk_may_be_more_than_the_memory),
        SETTINGS_TEST(an_unknown_name_gets_the_nearest_one),
        SETTINGS_TEST(every_row_is_in_help_page_and_manual),
    };

    return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
