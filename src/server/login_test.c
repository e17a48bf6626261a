#include "server/login.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct lv_settings settings;
static struct lv_diag diag;

static int make_settings(void **state)
{
    (void)state;
    return lv_settings_init(&settings);
}

static int free_settings(void **state)
{
    (void)state;
    lv_settings_fini(&settings);
    return 0;
}

static const char *refusal(const char *from, const char *user, const char *password)
{
    const struct lv_login login = {
        .mechanism = "PLAIN", .user = lv_text(user), .password = lv_text(password)};
    struct lv_address peer;

    assert_int_equal(lv_address_resolve(from, 1, &peer, 1, NULL), 1);
    return lv_login_refusal(&settings, &peer, &login, &diag);
}

static void guest_may_come_in_from_this_machine(void **state)
{
    (void)state;
    assert_null(refusal("127.0.0.1", "guest", "guest"));
    assert_null(refusal("::1", "guest", "guest"));
    assert_null(refusal("::ffff:127.0.0.1", "guest", "guest"));
}

static void guest_may_not_come_from_elsewhere(void **state)
{
    (void)state;
    assert_string_equal(refusal("192.0.2.1", "guest", "guest"),
                        "user 'guest' can only connect via localhost (loopback_users)");
    assert_non_null(refusal("2001:db8::1", "guest", "guest"));
}

static void without_loopback_users_everybody_comes_from_everywhere(void **state)
{
    (void)state;
    assert_int_equal(lv_settings_set(&settings, "loopback_users", "none", NULL), 0);
    assert_null(refusal("192.0.2.1", "guest", "guest"));
}

static void a_wrong_password_is_refused_whatever_its_length(void **state)
{
    static const char *const wrong[] = {"", "g", "gues", "Guest", "guestguest", "guest "};

    (void)state;
    for (size_t i = 0; i < LV_COUNT(wrong); i++) {
        const char *why = refusal("127.0.0.1", "guest", wrong[i]);
        assert_non_null(why);
        assert_non_null(strstr(why, "default_pass"));
    }
}

static void an_unknown_user_is_named(void **state)
{
    const char *why = refusal("127.0.0.1", "mallory", "guest");

    (void)state;
    assert_non_null(why);
    assert_non_null(strstr(why, "'mallory'"));
    assert_non_null(strstr(why, "default_user"));
}

static void a_blank_password_is_refused_even_if_it_is_right(void **state)
{
    (void)state;
    assert_int_equal(lv_settings_set(&settings, "default_pass", "", NULL), 0);
    assert_non_null(refusal("127.0.0.1", "guest", ""));
}

static void the_user_of_the_settings_comes_from_everywhere(void **state)
{
    (void)state;
    assert_int_equal(lv_settings_set(&settings, "default_user", "app", NULL), 0);
    assert_int_equal(lv_settings_set(&settings, "default_pass", "s3cret", NULL), 0);
    assert_null(refusal("192.0.2.1", "app", "s3cret"));
    assert_non_null(refusal("127.0.0.1", "guest", "guest"));
}

#define LOGIN_TEST(name) cmocka_unit_test_setup_teardown(name, make_settings, free_settings)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOGIN_TEST(guest_may_come_in_from_this_machine),
        LOGIN_TEST(guest_may_not_come_from_elsewhere),
        LOGIN_TEST(without_loopback_users_everybody_comes_from_everywhere),
        LOGIN_TEST(a_wrong_password_is_refused_whatever_its_length),
        LOGIN_TEST(an_unknown_user_is_named),
        LOGIN_TEST(a_blank_password_is_refused_even_if_it_is_right),
        LOGIN_TEST(the_user_of_the_settings_comes_from_everywhere),
    };

    return cmocka_run_group_tests_name("login", tests, NULL, NULL);
}
