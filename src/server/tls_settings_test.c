#include "server/tls_settings.h"

#include "io/tls_testing.h"

static struct lv_settings settings;

static void set(const char *name, const char *value)
{
    struct lv_diag diag = {""};

    if (lv_settings_set(&settings, name, value, &diag) != 0)
        fail_msg("%s", diag.text);
}

/* The settings of a server that works. */
static int begin(void **state)
{
    if (lv_settings_init(&settings) != 0)
        return -1;
    set("ssl_options.certfile", path_of(*state, "server.pem"));
    set("ssl_options.keyfile", path_of(*state, "server.key"));
    return 0;
}

static int end(void **state)
{
    (void)state;
    lv_settings_fini(&settings);
    return 0;
}

static void expect_refused(const char *words)
{
    struct lv_tls_context *context;
    struct lv_diag diag = {""};

    assert_true(lv_tls_settings_context(&settings, &context, &diag) < 0);
    if (strstr(diag.text, words) == NULL)
        fail_msg("\"%s\" says nothing of %s", diag.text, words);
}

static void expect_good(void)
{
    struct lv_tls_context *context;
    struct lv_diag diag = {""};

    if (lv_tls_settings_context(&settings, &context, &diag) != 0)
        fail_msg("%s", diag.text);
    lv_tls_context_unref(context);
}

static void a_certificate_is_needed_and_enough(void **state)
{
    (void)state;
    expect_good();
    set("ssl_options.certfile", "");
    expect_refused("ssl_options.certfile");
}

static void files_are_named(void **state)
{
    set("ssl_options.keyfile", path_of(*state, "client.key"));
    expect_refused("client.key does not fit");
    set("ssl_options.keyfile", path_of(*state, "server.key"));
    set("ssl_options.cacertfile", "/nowhere.pem");
    expect_refused("/nowhere.pem");
}

static void versions_that_nobody_should_use_are_refused(void **state)
{
    (void)state;
    set("ssl_options.versions.1", "tlsv1.3");
    expect_good();
    set("ssl_options.versions.2", "tlsv1.1");
    expect_refused("tlsv1.1");
}

static void certificates_for_other_names_have_a_key_of_their_own(void **state)
{
    char both[300];

    snprintf(both, sizeof both, "%s, %s", path_of(*state, "second.pem"),
             path_of(*state, "second.key"));
    set("ssl_options.sni.shop", both);
    expect_good();
    set("ssl_options.sni.other", path_of(*state, "second.pem"));
    expect_refused("holds no key");
}

static void asking_for_certificates_needs_an_authority(void **state)
{
    set("ssl_options.verify", "verify_peer");
    expect_refused("cacertfile");
    set("ssl_options.cacertfile", path_of(*state, "ca.pem"));
    expect_good();
    set("ssl_options.ciphers.1", "NULL-MD5-ROT13");
    expect_refused("NULL-MD5-ROT13");
}

#define SETTINGS_TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SETTINGS_TEST(a_certificate_is_needed_and_enough),
        SETTINGS_TEST(files_are_named),
        SETTINGS_TEST(versions_that_nobody_should_use_are_refused),
        SETTINGS_TEST(certificates_for_other_names_have_a_key_of_their_own),
        SETTINGS_TEST(asking_for_certificates_needs_an_authority),
    };

    return cmocka_run_group_tests(tests, make_tls_place, remove_tls_place);
}
