#include "client/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct good {
    const char *text;
    const char *user, *password, *host, *vhost;
    uint16_t port, heartbeat_s;
};

static void every_part_is_found_or_has_its_default(void **state)
{
    static const struct good goods[] = {
        {"amqp://", "guest", "guest", "localhost", "/", 5672, 60},
        {"amqp://h", "guest", "guest", "h", "/", 5672, 60},
        {"amqp://h/", "guest", "guest", "h", "/", 5672, 60},
        {"amqp://h:1/v", "guest", "guest", "h", "v", 1, 60},
        {"amqp://u@h", "u", "guest", "h", "/", 5672, 60},
        {"amqp://u:p@h:65535/v", "u", "p", "h", "v", 65535, 60},
        {"amqp://:@h", "", "", "h", "/", 5672, 60},
        {"amqp://u:p@", "u", "p", "localhost", "/", 5672, 60},
        {"amqp://:7/", "guest", "guest", "localhost", "/", 7, 60},
        {"amqp://u:p@[::1]:7/v", "u", "p", "::1", "v", 7, 60},
        {"amqp://[fe80::1]", "guest", "guest", "fe80::1", "/", 5672, 60},
        {"amqp://h?heartbeat=0", "guest", "guest", "h", "/", 5672, 0},
        {"amqp://h/v?heartbeat=5", "guest", "guest", "h", "v", 5672, 5},
        {LV_URL_DEFAULT, "guest", "guest", "localhost", "/", 5672, 60},
    };

    (void)state;
    for (size_t i = 0; i < LV_COUNT(goods); i++) {
        struct lv_diag diag = {.text = ""};
        struct lv_url url;

        assert_int_equal(lv_url_parse(goods[i].text, &diag, &url), 0);
        assert_string_equal(url.user, goods[i].user);
        assert_string_equal(url.password, goods[i].password);
        assert_string_equal(url.host, goods[i].host);
        assert_string_equal(url.vhost, goods[i].vhost);
        assert_int_equal(url.port, goods[i].port);
        assert_int_equal(url.heartbeat_s, goods[i].heartbeat_s);
    }
}

static void amqps_has_tls_with_rabbitmqs_parameters(void **state)
{
    struct lv_url url;

    (void)state;
    assert_int_equal(lv_url_parse("amqps://h", NULL, &url), 0);
    assert_true(url.is_tls);
    assert_false(url.verify_none);
    assert_int_equal(url.port, 5671);
    assert_string_equal(url.cacertfile, "");
    assert_int_equal(
        lv_url_parse("amqps://u:p@h:7/v?cacertfile=/a%20b/ca.pem&certfile=c.pem&keyfile=k.pem"
                     "&verify=verify_none&server_name_indication=two.example&heartbeat=9"
                     "&auth_mechanism=external",
                     NULL, &url),
        0);
    assert_string_equal(url.cacertfile, "/a b/ca.pem");
    assert_string_equal(url.certfile, "c.pem");
    assert_string_equal(url.keyfile, "k.pem");
    assert_string_equal(url.server_name, "two.example");
    assert_true(url.verify_none);
    assert_true(url.is_external);
    assert_int_equal(url.heartbeat_s, 9);
    assert_int_equal(url.port, 7);
    assert_int_equal(lv_url_parse("amqp://h?auth_mechanism=plain&", NULL, &url), 0);
    assert_false(url.is_external);
    assert_false(url.is_tls);
}

static void parts_are_percent_decoded(void **state)
{
    struct lv_url url;

    (void)state;
    assert_int_equal(lv_url_parse("amqp://a%40b:p%3a%2F%25@h/%2fx%20y", NULL, &url), 0);
    assert_string_equal(url.user, "a@b");
    assert_string_equal(url.password, "p:/%");
    assert_string_equal(url.vhost, "/x y");
}

static void the_last_at_sign_ends_the_login(void **state)
{
    struct lv_url url;

    (void)state;
    assert_int_equal(lv_url_parse("amqp://u:p@ss@host:9", NULL, &url), 0);
    assert_string_equal(url.password, "p@ss");
    assert_string_equal(url.host, "host");
    assert_int_equal(url.port, 9);
}

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *text, *word;
    } bads[] = {
        {"", "amqp://"},
        {"http://h", "amqp://"},
        {"amqp://h?cacertfile=/a", "amqps://"},
        {"amqps://h?verify=maybe", "verify_peer"},
        {"amqp://h?auth_mechanism=magic", "external"},
        {"amqps://h?cacertfile=/a&depth=1", "depth"},
        {"amqp://h:0", "port"},
        {"amqp://h:65536", "port"},
        {"amqp://h:", "port"},
        {"amqp://h:12a", "port"},
        {"amqp://h:999999", "port"},
        {"amqp://[::1", "bracket"},
        {"amqp://[::1]x", "port"},
        {"amqp://h/a/b", "%2F"},
        {"amqp://h/a%2", "vhost"},
        {"amqp://h/a%zz", "vhost"},
        {"amqp://u%00@h", "zero byte"},
        {"amqp://h?frame_max=1", "heartbeat"},
        {"amqp://h?heartbeat=-1", "heartbeat"},
        {"amqp://h?heartbeat=65536", "heartbeat"},
    };

    (void)state;
    for (size_t i = 0; i < LV_COUNT(bads); i++) {
        struct lv_diag diag = {.text = ""};
        struct lv_url url = {.port = 42};

        assert_int_equal(lv_url_parse(bads[i].text, &diag, &url), -LV_E_USAGE);
        assert_non_null(strstr(diag.text, bads[i].word));
        assert_int_equal(url.port, 42); /* outputs are written on success only */
    }
}

static void a_password_is_never_repeated(void **state)
{
    struct lv_diag diag = {.text = ""};
    struct lv_url url;

    (void)state;
    assert_int_equal(lv_url_parse("amqp://u:s3cret%@h", &diag, &url), -LV_E_USAGE);
    assert_null(strstr(diag.text, "s3cret"));
    assert_int_equal(lv_url_parse("amqp://u:s3cret@h:99999999", &diag, &url), -LV_E_USAGE);
    assert_null(strstr(diag.text, "s3cret"));
}

static void parts_have_a_limit(void **state)
{
    char text[400] = "amqp://h/";
    struct lv_diag diag = {.text = ""};
    struct lv_url url;
    size_t start = strlen(text);

    (void)state;
    memset(text + start, 'v', 255);
    assert_int_equal(lv_url_parse(text, &diag, &url), 0);
    assert_int_equal(strlen(url.vhost), 255);
    text[start + 255] = 'v';
    assert_int_equal(lv_url_parse(text, &diag, &url), -LV_E_USAGE);
    assert_non_null(strstr(diag.text, "255"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_part_is_found_or_has_its_default),
        cmocka_unit_test(amqps_has_tls_with_rabbitmqs_parameters),
        cmocka_unit_test(parts_are_percent_decoded),
        cmocka_unit_test(the_last_at_sign_ends_the_login),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(a_password_is_never_repeated),
        cmocka_unit_test(parts_have_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
