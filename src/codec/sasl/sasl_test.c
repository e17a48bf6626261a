#include "codec/sasl/sasl.h"

#include "codec/testing.h"

typedef int decode_fn(struct lv_bytes response, struct lv_sasl_credentials *ret_credentials,
                      struct lv_diag *diag);

/* As `decode` answers to an exact copy of what `text` says; the credentials are compared there. */
static int decoded(decode_fn *decode, const char *text, const char *user, const char *password)
{
    struct lv_bytes bytes = golden(text);
    uint8_t *copy = exact_copy(bytes);
    struct lv_sasl_credentials credentials;
    int rc = decode(lv_bytes(copy, bytes.size), &credentials, NULL);

    if (rc == 0) {
        assert_text_equal(credentials.user, user);
        assert_text_equal(credentials.password, password);
    }
    lv_free(copy);
    return rc;
}

static void plain_gives_user_and_password(void **state)
{
    (void)state;
    assert_int_equal(decoded(lv_sasl_plain_decode, "00 'guest' 00 'guest'", "guest", "guest"), 0);
    assert_int_equal(decoded(lv_sasl_plain_decode, "00 'a' 00", "a", ""), 0);
    assert_int_equal(decoded(lv_sasl_plain_decode, "00 00 'b'", "", "b"), 0);
    assert_int_equal(decoded(lv_sasl_plain_decode, "00 00", "", ""), 0);
}

static void plain_refuses_every_other_layout(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "00",
        "'guest'",
        "00 'guest'",
        "'admin' 00 'guest' 00 'guest'", /* acting for another */
        "'guest' 00 'guest'",
        "00 'guest' 00 'gu' 00 'est'",
        "00 'guest' 00 'guest' 00",
    };

    for (size_t i = 0; i < LV_COUNT(bad); i++)
        assert_int_equal(decoded(lv_sasl_plain_decode, bad[i], "", ""), -LV_E_SYNTAX);
}

static void amqplain_gives_user_and_password(void **state)
{
    (void)state;
    decode_fn *decode = lv_sasl_amqplain_decode;

    assert_int_equal(decoded(decode,
                             "05 'LOGIN' 'S' 00000005 'guest' 08 'PASSWORD' 'S' 00000002 'pw'",
                             "guest", "pw"),
                     0);
    assert_int_equal(
        decoded(decode,
                "08 'PASSWORD' 'S' 00000000 01 'x' 'I' 00000007 05 'LOGIN' 'S' 00000001 "
                "'u'",
                "u", ""),
        0);
}

static void amqplain_takes_the_first_of_two(void **state)
{
    (void)state;
    assert_int_equal(decoded(lv_sasl_amqplain_decode,
                             "05 'LOGIN' 'S' 00000001 'a' 05 'LOGIN' 'S' 00000001 'b' "
                             "08 'PASSWORD' 'S' 00000001 'p'",
                             "a", "p"),
                     0);
}

static void amqplain_refuses_what_is_missing_mistyped_or_malformed(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "05 'LOGIN' 'S' 00000005 'guest'",
        "08 'PASSWORD' 'S' 00000005 'guest'",
        "05 'LOGIN' 'I' 00000005 08 'PASSWORD' 'S' 00000001 'p'",
        "05 'LOGIN' 'S' 00000001 'a' 08 'PASSWORD' 'x' 00000001 'p'",
        "05 'login' 'S' 00000001 'a' 08 'PASSWORD' 'S' 00000001 'p'",
        /* with the length that AMQPLAIN leaves out */
        "00000020 05 'LOGIN' 'S' 00000005 'guest' 08 'PASSWORD' 'S' 00000002 'pw'",
        /* well-formed as far as it is needed, but not to its end */
        "05 'LOGIN' 'S' 00000001 'a' 08 'PASSWORD' 'S' 00000001 'p' 01",
    };

    for (size_t i = 0; i < LV_COUNT(bad); i++)
        assert_int_equal(decoded(lv_sasl_amqplain_decode, bad[i], "", ""), -LV_E_SYNTAX);
}

static void errors_never_show_the_response(void **state)
{
    (void)state;
    struct lv_sasl_credentials credentials;
    struct lv_diag diag;

    assert_int_equal(lv_sasl_plain_decode(golden("00 'u' 00 'AAAA' 00"), &credentials, &diag),
                     -LV_E_SYNTAX);
    assert_string_equal(diag.text, "PLAIN response invalid: more than two parts");
    assert_int_equal(lv_sasl_plain_decode(golden("'AAAA'"), &credentials, &diag), -LV_E_SYNTAX);
    assert_string_equal(diag.text, "PLAIN response invalid: not NUL user NUL password");
    assert_int_equal(lv_sasl_amqplain_decode(golden("'AAAA'"), &credentials, &diag), -LV_E_SYNTAX);
    assert_string_equal(diag.text, "AMQPLAIN response invalid: not a field table");
    assert_int_equal(
        lv_sasl_amqplain_decode(golden("08 'PASSWORD' 'S' 00000004 'AAAA'"), &credentials, &diag),
        -LV_E_SYNTAX);
    assert_string_equal(diag.text, "AMQPLAIN response invalid: LOGIN or PASSWORD missing");
}

static void truncated_anywhere_it_is_refused(void **state)
{
    (void)state;
    static const char whole[] = "05 'LOGIN' 'S' 00000005 'guest' 08 'PASSWORD' 'S' 00000002 'pw'";
    struct lv_bytes bytes = golden(whole);
    struct lv_sasl_credentials credentials;

    for (size_t size = 0; size < bytes.size; size++) {
        uint8_t *copy = exact_copy(lv_bytes(bytes.data, size));
        assert_int_equal(lv_sasl_amqplain_decode(lv_bytes(copy, size), &credentials, NULL),
                         -LV_E_SYNTAX);
        lv_free(copy);
    }
}

static void encoders_write_what_decoders_read(void **state)
{
    (void)state;
    struct lv_sasl_credentials credentials = {lv_text("guest"), lv_text("pw")};
    uint8_t out[64];

    assert_int_equal(lv_sasl_plain_size(&credentials), 9);
    assert_true(lv_sasl_plain_encode(&credentials, out) == out + 9);
    assert_bytes_equal(lv_bytes(out, 9), golden("00 'guest' 00 'pw'"));
    assert_int_equal(lv_sasl_amqplain_size(&credentials), 32);
    assert_true(lv_sasl_amqplain_encode(&credentials, out) == out + 32);
    assert_bytes_equal(lv_bytes(out, 32),
                       golden("05 'LOGIN' 'S' 00000005 'guest' 08 'PASSWORD' 'S' 00000002 'pw'"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_gives_user_and_password),
        cmocka_unit_test(plain_refuses_every_other_layout),
        cmocka_unit_test(amqplain_gives_user_and_password),
        cmocka_unit_test(amqplain_takes_the_first_of_two),
        cmocka_unit_test(amqplain_refuses_what_is_missing_mistyped_or_malformed),
        cmocka_unit_test(errors_never_show_the_response),
        cmocka_unit_test(truncated_anywhere_it_is_refused),
        cmocka_unit_test(encoders_write_what_decoders_read),
    };
    return cmocka_run_group_tests_name("codec sasl", tests, NULL, NULL);
}
