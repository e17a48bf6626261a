#include "io/identity.h"

#include "io/pem.h"
#include "io/tls_testing.h"

#include <openssl/x509v3.h>

/* The first certificate of the file; the caller frees it. */
static X509 *load(struct lv_tls_place *place, const char *name)
{
    STACK_OF(X509) * all;
    X509 *first;

    assert_int_equal(lv_pem_certificates(path_of(place, name), &all, NULL), 0);
    assert_int_equal(sk_X509_num(all), 1);
    first = sk_X509_shift(all);
    lv_pem_certificates_free(all);
    return first;
}

static void what_an_authority_signs_is_verified_by_it(void **state)
{
    X509 *ca = load(*state, "ca.pem"), *other = load(*state, "other.pem");
    X509 *server = load(*state, "server.pem");

    assert_int_equal(X509_verify(server, X509_get0_pubkey(ca)), 1);
    assert_int_not_equal(X509_verify(server, X509_get0_pubkey(other)), 1);
    assert_int_equal(X509_check_ca(ca), 1);
    assert_int_equal(X509_check_ca(server), 0);
    X509_free(ca);
    X509_free(other);
    X509_free(server);
}

static void a_certificate_is_for_what_it_was_made_for(void **state)
{
    X509 *server = load(*state, "server.pem"), *client = load(*state, "client.pem");

    assert_int_equal(X509_check_purpose(server, X509_PURPOSE_SSL_SERVER, 0), 1);
    assert_int_equal(X509_check_purpose(server, X509_PURPOSE_SSL_CLIENT, 0), 0);
    assert_int_equal(X509_check_purpose(client, X509_PURPOSE_SSL_CLIENT, 0), 1);
    assert_int_equal(X509_check_purpose(client, X509_PURPOSE_SSL_SERVER, 0), 0);
    assert_int_equal(X509_check_host(server, "localhost", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(server, "elsewhere", 0, 0, NULL), 0);
    assert_int_equal(X509_check_ip_asc(client, "10.0.0.7", 0), 1);
    assert_int_equal(lv_pem_check_dates("", server, NULL), 0);
    X509_free(server);
    X509_free(client);
}

static void files_are_for_their_owner_and_never_overwritten(void **state)
{
    struct lv_tls_place *place = *state;
    struct lv_diag diag = {""};
    struct stat status;

    assert_int_equal(stat(path_of(place, "server.key"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(stat(path_of(place, "server.pem"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(lv_identity_write(place->ca, path_of(place, "server.pem"), NULL, &diag),
                     -LV_E_LOCKED);
    assert_non_null(strstr(diag.text, "is not overwritten"));
    /* Not one of the two alone. */
    assert_int_equal(lv_identity_write(place->ca, path_of(place, "new.pem"),
                                       path_of(place, "server.key"), &diag),
                     -LV_E_LOCKED);
    assert_int_not_equal(access(path_of(place, "new.pem"), F_OK), 0);
    assert_int_equal(lv_identity_write(place->ca, "/nowhere/at/all.pem", NULL, &diag), -LV_E_IO);
}

static void names_that_no_certificate_can_hold_are_refused(void **state)
{
    static const char *const bad[] = {"two words", "a,DNS:b", "", "ä"};
    struct lv_identity *identity = NULL;
    struct lv_diag diag = {""};

    (void)state;
    for (size_t i = 0; i < LV_COUNT(bad); i++) {
        const struct lv_identity_spec spec = {.use = LV_IDENTITY_SERVER,
                                              .name = "x",
                                              .hosts = &bad[i],
                                              .host_count = 1,
                                              .until_s = DAY_OF_TEST};

        assert_int_equal(lv_identity_new(&spec, NULL, &identity, &diag), -LV_E_USAGE);
    }
    {
        char name[66];
        struct lv_identity_spec spec = {
            .use = LV_IDENTITY_CLIENT, .name = name, .until_s = DAY_OF_TEST};

        memset(name, 'x', sizeof name);
        name[65] = '\0';
        assert_int_equal(lv_identity_new(&spec, NULL, &identity, &diag), -LV_E_USAGE);
        assert_non_null(strstr(diag.text, "64"));
        name[64] = '\0';
        assert_int_equal(lv_identity_new(&spec, NULL, &identity, &diag), 0);
        lv_identity_free(identity);
    }
}

static void names_are_shown_as_rabbitmq_shows_them(void **state)
{
    const struct lv_identity_spec spec = {
        .use = LV_IDENTITY_CLIENT, .name = "Jürgen, M.", .until_s = DAY_OF_TEST};
    struct lv_tls_place *place = *state;
    char text[LV_PEM_NAME_SIZE];
    X509 *client;

    issue(place, "odd", place->ca, &spec);
    client = load(place, "odd.pem");
    assert_string_equal(lv_pem_name(X509_get_subject_name(client), text), "CN=Jürgen\\, M.");
    assert_string_equal(lv_pem_name(X509_get_issuer_name(client), text), "CN=Test CA");
    X509_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_an_authority_signs_is_verified_by_it),
        cmocka_unit_test(a_certificate_is_for_what_it_was_made_for),
        cmocka_unit_test(files_are_for_their_owner_and_never_overwritten),
        cmocka_unit_test(names_that_no_certificate_can_hold_are_refused),
        cmocka_unit_test(names_are_shown_as_rabbitmq_shows_them),
    };
    return cmocka_run_group_tests(tests, make_tls_place, remove_tls_place);
}
