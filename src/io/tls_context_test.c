#include "io/tls_context.h"

#include "io/tls_testing.h"

#include <openssl/pem.h>

/* A server with the certificate and key of these names. */
static int serve(struct lv_tls_place *place, struct lv_tls_server_options *options,
                 const char *certfile, const char *keyfile, struct lv_diag *diag)
{
    struct lv_tls_pair pair = {path_of(place, certfile),
                               keyfile == NULL ? NULL : path_of(place, keyfile)};
    struct lv_tls_context *context = NULL;
    int rc;

    options->pairs = &pair;
    options->pair_count = 1;
    rc = lv_tls_server_context(options, &context, diag);
    if (rc == 0)
        assert_true(lv_tls_context_is_server(context));
    else
        assert_null(context);
    lv_tls_context_unref(context);
    return rc;
}

/* Fails with a sentence that has both words in it. */
static void expect_refused(struct lv_tls_place *place, const char *certfile, const char *keyfile,
                           const char *word, const char *other)
{
    struct lv_tls_server_options options = {.depth = 1};
    struct lv_diag diag = {""};

    assert_true(serve(place, &options, certfile, keyfile, &diag) < 0);
    if (strstr(diag.text, word) == NULL || strstr(diag.text, other) == NULL)
        fail_msg("\"%s\" says nothing of %s and %s", diag.text, word, other);
}

static void a_certificate_with_its_key_is_enough(void **state)
{
    struct lv_tls_server_options options = {.depth = 1};

    assert_int_equal(serve(*state, &options, "server.pem", "server.key", NULL), 0);
}

static void a_file_that_is_not_there_is_named(void **state)
{
    expect_refused(*state, "nothing.pem", "server.key", "nothing.pem", "No such file");
    expect_refused(*state, "server.pem", "nothing.key", "nothing.key", "No such file");
}

static void a_file_with_something_else_in_it_is_named(void **state)
{
    write_file(*state, "empty.pem", "");
    write_file(*state, "text.pem", "what is this?\n");
    write_file(*state, "torn.pem",
               "-----BEGIN CERTIFICATE-----\nMIIBAAAA\n-----END CERTIFICATE-----\n");
    expect_refused(*state, "empty.pem", "server.key", "empty.pem", "no certificate");
    expect_refused(*state, "text.pem", "server.key", "text.pem", "no certificate");
    expect_refused(*state, "torn.pem", "server.key", "torn.pem", "damaged");
    expect_refused(*state, "server.pem", "text.pem", "text.pem", "no key");
    expect_refused(*state, "server.pem", "server.pem", "server.pem", "no key");
}

static void a_key_that_does_not_fit_is_refused(void **state)
{
    expect_refused(*state, "server.pem", "client.key", "client.key", "does not fit");
}

static void a_certificate_that_has_expired_is_refused_with_its_date(void **state)
{
    expect_refused(*state, "expired.pem", "expired.key", "has expired on 20", " UTC");
    expect_refused(*state, "early.pem", "early.key", "is not valid before 20", " UTC");
}

/* The key behind the certificate in one file, and a chain that has an expired part. */
static void all_of_a_chain_is_looked_at(void **state)
{
    struct lv_tls_place *place = *state;
    struct lv_tls_server_options options = {.depth = 1};
    struct lv_diag diag = {""};
    char command[512];

    snprintf(command, sizeof command, "cat %s %s > %s", path_of(place, "server.pem"),
             path_of(place, "server.key"), path_of(place, "both.pem"));
    assert_int_equal(system(command), 0);
    assert_int_equal(serve(place, &options, "both.pem", NULL, &diag), 0);
    snprintf(command, sizeof command, "cat %s %s > %s", path_of(place, "server.pem"),
             path_of(place, "expired.pem"), path_of(place, "chain.pem"));
    assert_int_equal(system(command), 0);
    assert_int_equal(serve(place, &options, "chain.pem", "server.key", &diag), -LV_E_USAGE);
    assert_non_null(strstr(diag.text, "chain.pem has expired"));
}

/* Writes server.key once more, encrypted. */
static void encrypt_key(struct lv_tls_place *place, const char *password)
{
    FILE *from = fopen(path_of(place, "server.key"), "r");
    FILE *to = fopen(path_of(place, "locked.key"), "w");
    EVP_PKEY *key;

    assert_non_null(from);
    assert_non_null(to);
    key = PEM_read_PrivateKey(from, NULL, NULL, NULL);
    assert_non_null(key);
    assert_int_equal(PEM_write_PKCS8PrivateKey(to, key, EVP_aes_128_cbc(), password,
                                               (int)strlen(password), NULL, NULL),
                     1);
    EVP_PKEY_free(key);
    fclose(from);
    fclose(to);
}

/* Nobody is asked on the terminal. */
static void an_encrypted_key_needs_its_password(void **state)
{
    struct lv_tls_server_options options = {.depth = 1};
    struct lv_diag diag = {""};

    encrypt_key(*state, "sesame");
    expect_refused(*state, "server.pem", "locked.key", "locked.key", "no password");
    options.password = "wrong";
    assert_int_equal(serve(*state, &options, "server.pem", "locked.key", &diag), -LV_E_USAGE);
    assert_non_null(strstr(diag.text, "the password does not open it"));
    options.password = "sesame";
    assert_int_equal(serve(*state, &options, "server.pem", "locked.key", &diag), 0);
}

static void asking_clients_for_certificates_needs_an_authority(void **state)
{
    struct lv_tls_server_options options = {.depth = 1, .verify_peer = true};
    struct lv_diag diag = {""};

    assert_int_equal(serve(*state, &options, "server.pem", "server.key", &diag), -LV_E_USAGE);
    assert_non_null(strstr(diag.text, "cacertfile"));
    options.cacertfile = path_of(*state, "nothing.pem");
    assert_int_equal(serve(*state, &options, "server.pem", "server.key", &diag), -LV_E_IO);
    options.cacertfile = path_of(*state, "ca.pem");
    assert_int_equal(serve(*state, &options, "server.pem", "server.key", &diag), 0);
    options.verify_peer = false;
    options.fail_if_no_peer_cert = true;
    assert_int_equal(serve(*state, &options, "server.pem", "server.key", &diag), -LV_E_USAGE);
    assert_non_null(strstr(diag.text, "verify_peer"));
}

static void a_cipher_that_nobody_knows_is_refused(void **state)
{
    static const char *const bad[] = {"ECDHE-ECDSA-AES256-GCM-SHA384", "ROT13"};
    static const char *const alias[] = {"ALL"};
    static const char *const bad13[] = {"TLS_ROT13"};
    struct lv_tls_server_options options = {.depth = 1, .ciphers = bad, .cipher_count = 2};
    struct lv_diag diag = {""};

    assert_int_equal(serve(*state, &options, "server.pem", "server.key", &diag), -LV_E_USAGE);
    assert_non_null(strstr(diag.text, "ROT13"));
    options.ciphers = alias;
    options.cipher_count = 1;
    assert_int_equal(serve(*state, &options, "server.pem", "server.key", &diag), -LV_E_USAGE);
    options.ciphers = bad13;
    assert_int_equal(serve(*state, &options, "server.pem", "server.key", &diag), -LV_E_USAGE);
    assert_non_null(strstr(diag.text, "TLS_ROT13"));
}

static void a_version_needs_a_cipher(void **state)
{
    static const char *const old[] = {"ECDHE-ECDSA-AES128-GCM-SHA256"};
    struct lv_tls_server_options options = {
        .depth = 1, .ciphers = old, .cipher_count = 1, .tls13 = true};
    struct lv_diag diag = {""};

    assert_int_equal(serve(*state, &options, "server.pem", "server.key", &diag), -LV_E_USAGE);
    assert_non_null(strstr(diag.text, "TLS 1.3"));
    options.tls13 = false; /* none is asked for: the one that there is a cipher for */
    assert_int_equal(serve(*state, &options, "server.pem", "server.key", &diag), 0);
}

static void a_client_needs_no_files(void **state)
{
    struct lv_tls_client_options options = {.cacertfile = NULL};
    struct lv_tls_context *context;
    struct lv_diag diag = {""};

    assert_int_equal(lv_tls_client_context(&options, &context, &diag), 0);
    assert_false(lv_tls_context_is_server(context));
    lv_tls_context_unref(context);
    options.cacertfile = path_of(*state, "nothing.pem");
    assert_int_equal(lv_tls_client_context(&options, &context, &diag), -LV_E_IO);
    assert_non_null(strstr(diag.text, "nothing.pem"));
    options.cacertfile = path_of(*state, "ca.pem");
    options.pair.certfile = path_of(*state, "client.pem");
    options.pair.keyfile = path_of(*state, "server.key");
    assert_int_equal(lv_tls_client_context(&options, &context, &diag), -LV_E_USAGE);
    options.pair.keyfile = path_of(*state, "client.key");
    assert_int_equal(lv_tls_client_context(&options, &context, &diag), 0);
    assert_ptr_equal(lv_tls_context_ref(context), context);
    lv_tls_context_unref(context);
    lv_tls_context_unref(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_with_its_key_is_enough),
        cmocka_unit_test(a_file_that_is_not_there_is_named),
        cmocka_unit_test(a_file_with_something_else_in_it_is_named),
        cmocka_unit_test(a_key_that_does_not_fit_is_refused),
        cmocka_unit_test(a_certificate_that_has_expired_is_refused_with_its_date),
        cmocka_unit_test(all_of_a_chain_is_looked_at),
        cmocka_unit_test(an_encrypted_key_needs_its_password),
        cmocka_unit_test(asking_clients_for_certificates_needs_an_authority),
        cmocka_unit_test(a_cipher_that_nobody_knows_is_refused),
        cmocka_unit_test(a_version_needs_a_cipher),
        cmocka_unit_test(a_client_needs_no_files),
    };
    return cmocka_run_group_tests(tests, make_tls_place, remove_tls_place);
}
