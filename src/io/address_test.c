#include "io/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct lv_address address_of(const char *host, uint16_t port)
{
    struct lv_address addresses[4];

    assert_true(lv_address_resolve(host, port, addresses, 4, NULL) >= 1);
    return addresses[0];
}

static void addresses_are_written_as_people_do(void **state)
{
    char text[LV_ADDRESS_TEXT_SIZE];
    struct lv_address v4 = address_of("192.0.2.7", 5672), v6 = address_of("2001:db8::1", 1);

    (void)state;
    assert_string_equal(lv_address_text(&v4, text), "192.0.2.7:5672");
    assert_string_equal(lv_address_text(&v6, text), "[2001:db8::1]:1");
    assert_true(lv_address_is_ipv4(&v4));
    assert_false(lv_address_is_ipv4(&v6));
}

static void loopback_is_all_of_127_and_one_ipv6_address(void **state)
{
    static const char *const local[] = {"127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"};
    static const char *const remote[] = {"126.0.0.1", "128.0.0.1",       "10.0.0.1",
                                         "::2",       "::ffff:10.0.0.1", "2001:db8::1"};

    (void)state;
    for (size_t i = 0; i < LV_COUNT(local); i++) {
        struct lv_address address = address_of(local[i], 1);
        assert_true(lv_address_is_loopback(&address));
    }
    for (size_t i = 0; i < LV_COUNT(remote); i++) {
        struct lv_address address = address_of(remote[i], 1);
        assert_false(lv_address_is_loopback(&address));
    }
}

static void all_addresses_are_those_of_zeros(void **state)
{
    static const char *const any[] = {"0.0.0.0", "::", "::ffff:0.0.0.0"};
    static const char *const one[] = {"0.0.0.1", "::1", "127.0.0.1", "::ffff:10.0.0.1"};

    (void)state;
    for (size_t i = 0; i < LV_COUNT(any); i++) {
        struct lv_address address = address_of(any[i], 1);
        assert_true(lv_address_is_any(&address));
    }
    for (size_t i = 0; i < LV_COUNT(one); i++) {
        struct lv_address address = address_of(one[i], 1);
        assert_false(lv_address_is_any(&address));
    }
}

static void endpoints_are_host_and_port(void **state)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
    } good[] = {
        {"127.0.0.1:5672", "127.0.0.1", 5672},
        {"localhost:0", "localhost", 0},
        {"[::1]:5672", "::1", 5672},
        {"5672", "", 5672},
        {":5672", "", 5672},
        {"*:65535", "", 65535},
    };
    struct lv_endpoint endpoint;

    (void)state;
    for (size_t i = 0; i < LV_COUNT(good); i++) {
        assert_int_equal(lv_endpoint_parse(good[i].text, &endpoint, NULL), 0);
        assert_string_equal(endpoint.host, good[i].host);
        assert_int_equal(endpoint.port, good[i].port);
    }
}

static void bad_endpoints_are_refused_with_an_example(void **state)
{
    static const char *const bad[] = {"",     "localhost", "localhost:", "localhost:65536",
                                      "a:-1", "::1:5672",  "a:1x"};
    struct lv_endpoint endpoint;

    (void)state;
    for (size_t i = 0; i < LV_COUNT(bad); i++) {
        struct lv_diag diag = {""};
        assert_int_equal(lv_endpoint_parse(bad[i], &endpoint, &diag), -LV_E_USAGE);
        assert_non_null(strstr(diag.text, "127.0.0.1:5672"));
    }
}

static void a_host_longer_than_names_are_is_refused(void **state)
{
    struct lv_endpoint endpoint;
    char text[400];

    (void)state;
    memset(text, 'h', sizeof text);
    memcpy(text + sizeof text - 3, ":1", 3);
    assert_int_equal(lv_endpoint_parse(text, &endpoint, NULL), -LV_E_USAGE);
}

static void names_resolve_without_doubles(void **state)
{
    struct lv_address addresses[8];
    int count = lv_address_resolve("localhost", 7, addresses, 8, NULL);

    (void)state;
    if (count < 0 && access("/etc/hosts", R_OK) != 0) {
        print_message("# without /etc/hosts there is no name to resolve\n");
        skip();
    }
    assert_true(count >= 1 && count <= 2);
    for (int i = 0; i < count; i++) {
        assert_true(lv_address_is_loopback(&addresses[i]));
        assert_int_equal(addresses[i].port, 7);
    }
}

static void no_host_means_all_addresses(void **state)
{
    struct lv_address address;
    char text[LV_ADDRESS_TEXT_SIZE];

    (void)state;
    assert_int_equal(lv_address_resolve("", 5672, &address, 1, NULL), 1);
    assert_string_equal(lv_address_text(&address, text), "[::]:5672");
}

static void an_unknown_name_is_named(void **state)
{
    struct lv_address address;
    struct lv_diag diag = {""};

    (void)state;
    assert_int_equal(lv_address_resolve("no such host", 1, &address, 1, &diag), -LV_E_NOT_FOUND);
    assert_non_null(strstr(diag.text, "\"no such host\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_written_as_people_do),
        cmocka_unit_test(loopback_is_all_of_127_and_one_ipv6_address),
        cmocka_unit_test(all_addresses_are_those_of_zeros),
        cmocka_unit_test(endpoints_are_host_and_port),
        cmocka_unit_test(bad_endpoints_are_refused_with_an_example),
        cmocka_unit_test(a_host_longer_than_names_are_is_refused),
        cmocka_unit_test(names_resolve_without_doubles),
        cmocka_unit_test(no_host_means_all_addresses),
        cmocka_unit_test(an_unknown_name_is_named),
    };

    return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
