#include "auth/password.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SHA256 "rabbit_password_hashing_sha256"
#define SHA512 "rabbit_password_hashing_sha512"
#define MD5    "rabbit_password_hashing_md5"

/* As RabbitMQ 3.10 exported them for these passwords, in the file's own words. */
static const struct exported {
    const char *algorithm, *text, *password;
} exported[] = {
    {SHA256, "sC3G1EGqBOfACDqISjivE0wC+yM09uprbI9JzIp9ux1GlJZo", "guest"},
    {SHA256, "gDb+xB5Ff6Mgij/Q30YSM8GtZDf9As1gra0BxUl9eT0xEv/T", "pässwörd ☃"},
    {SHA512,
     "mjxjL++Zsn/d6xrFugB3Pw8av49Poq3HJk/uQ8M29oO0NI3u+2kL1XrYD7o22PBSoRDOWQ5m4CT2PXA+iRJSrAm7wMc=",
     "geheim"},
    {MD5, "Z8ox4fJ+FYX8cOreqkA5zt3p6/U=", "geheim"},
};

/* As libxcrypt's own tools make them, of costs 1, 4 and 5. */
static const char *const yescrypt[] = {
    "$y$j75$k2XAnEHBqQ1Ct2aMXFKNa/$El8aNvAzfE0RVHbQIs6xyB1nvh4oLgxiwLM5Oq9lFd7",
    "$y$j8T$k2XAnEHBqQ1Ct2aMXFKNa/$cLS.QcfBoOMgWGqkjH56B2l1HJZgPqgcafV2MbifgS9",
    "$y$j9T$k2XAnEHBqQ1Ct2aMXFKNa/$4EDTX/TPn9TIf6UY4KwU3zeJg4AKjBtMC0PF7lcAd/1",
};
/* In base64. */
#define YESCRYPT_EXPORTED                                                                          \
    "JHkkajc1JGsyWEFuRUhCcVExQ3QyYU1YRktOYS8kRWw4YU52QXpmRTBSVkhiUUlzNnh5QjFudmg0b0xneGl3TE01T3E5" \
    "bE"                                                                                           \
    "ZkNw=="

static struct lv_diag diag;

static int verify(const char *hash, const char *password)
{
    return lv_password_verify(hash, lv_text(password));
}

/* The sentence, as the import said it; "" when it took the hash. */
static const char *import(const char *algorithm, const char *text, char *hash)
{
    diag.text[0] = '\0';
    if (lv_password_import(lv_text(algorithm), lv_text(text), hash, &diag) < 0)
        assert_true(diag.text[0] != '\0');
    return diag.text;
}

static void what_rabbitmq_exported_is_right_here(void **state)
{
    char hash[LV_PASSWORD_HASH_SIZE];

    (void)state;
    for (size_t i = 0; i < LV_COUNT(exported); i++) {
        assert_string_equal(import(exported[i].algorithm, exported[i].text, hash), "");
        assert_int_equal(lv_password_check(hash, NULL), 0);
        assert_int_equal(verify(hash, exported[i].password), 1);
        assert_int_equal(verify(hash, "Guest"), 0);
        assert_int_equal(verify(hash, ""), 0);
    }
}

static void what_is_stored_is_the_algorithm_and_the_text(void **state)
{
    char hash[LV_PASSWORD_HASH_SIZE];

    (void)state;
    assert_string_equal(import(MD5, exported[3].text, hash), "");
    assert_string_equal(hash, MD5 ":Z8ox4fJ+FYX8cOreqkA5zt3p6/U=");
}

static void every_stored_hash_is_exported_as_it_was_imported(void **state)
{
    char hash[LV_PASSWORD_HASH_SIZE], again[LV_PASSWORD_HASH_SIZE];
    struct lv_password_export out;

    (void)state;
    for (size_t i = 0; i < LV_COUNT(exported); i++) {
        assert_string_equal(import(exported[i].algorithm, exported[i].text, hash), "");
        lv_password_export(hash, &out);
        assert_string_equal(out.algorithm, exported[i].algorithm);
        assert_string_equal(out.text, exported[i].text);
    }
    lv_password_export(yescrypt[0], &out);
    assert_string_equal(out.algorithm, "yescrypt");
    assert_string_equal(out.text, YESCRYPT_EXPORTED);
    assert_string_equal(import(out.algorithm, out.text, again), "");
    assert_string_equal(again, yescrypt[0]);
    lv_password_export("", &out);
    assert_string_equal(out.algorithm, SHA256);
    assert_string_equal(out.text, "");
}

static void crypts_own_hashes_are_right_here(void **state)
{
    char hash[LV_PASSWORD_HASH_SIZE];

    (void)state;
    for (size_t i = 0; i < LV_COUNT(yescrypt); i++) {
        assert_string_equal(import("yescrypt", yescrypt[i], hash), "");
        assert_string_equal(hash, yescrypt[i]);
        assert_int_equal(verify(hash, "guest"), 1);
        assert_int_equal(verify(hash, "guesT"), 0);
    }
}

static void a_new_hash_is_yescrypt_with_a_salt_of_its_own(void **state)
{
    char one[LV_PASSWORD_HASH_SIZE], two[LV_PASSWORD_HASH_SIZE];

    (void)state;
    assert_int_equal(lv_password_hash(lv_text("s3cret"), one, &diag), 0);
    assert_int_equal(lv_password_hash(lv_text("s3cret"), two, &diag), 0);
    assert_memory_equal(one, "$y$j9T$", 7);
    assert_string_not_equal(one, two);
    assert_int_equal(lv_password_check(one, &diag), 0);
    assert_int_equal(verify(one, "s3cret"), 1);
    assert_int_equal(verify(one, "s3cret "), 0);
    assert_int_equal(verify(one, ""), 0);
}

static void a_password_may_be_as_long_as_crypt_takes_it(void **state)
{
    static const char sentence[] = "a password has at most 511 bytes, and none of them is NUL";
    char hash[LV_PASSWORD_HASH_SIZE] = "untouched", password[LV_PASSWORD_MAX + 1];

    (void)state;
    memset(password, 'p', sizeof password);
    assert_int_equal(lv_password_hash(lv_bytes(password, sizeof password), hash, &diag),
                     -LV_E_USAGE);
    assert_string_equal(diag.text, sentence);
    assert_string_equal(hash, "untouched");
    assert_int_equal(lv_password_hash(lv_bytes(password, LV_PASSWORD_MAX), hash, &diag), 0);
    assert_int_equal(lv_password_verify(hash, lv_bytes(password, LV_PASSWORD_MAX)), 1);
    assert_int_equal(lv_password_verify(hash, lv_bytes(password, LV_PASSWORD_MAX - 1)), 0);
    assert_int_equal(lv_password_verify(hash, lv_bytes(password, sizeof password)), 0);
}

/* crypt(3) would only see what is before the NUL. */
static void a_nul_byte_does_not_end_a_password(void **state)
{
    char hash[LV_PASSWORD_HASH_SIZE];

    (void)state;
    assert_int_equal(lv_password_verify(yescrypt[0], lv_bytes("guest\0", 6)), 0);
    assert_int_equal(lv_password_verify(yescrypt[0], lv_bytes("guest\0x", 7)), 0);
    assert_int_equal(lv_password_hash(lv_bytes("guest\0x", 7), hash, &diag), -LV_E_USAGE);
    assert_string_equal(import(SHA256, exported[0].text, hash), "");
    assert_int_equal(lv_password_verify(hash, lv_bytes("guest\0", 6)), 0);
}

static void an_empty_password_is_never_right(void **state)
{
    /* RabbitMQ 3.10's of an empty password. */
    static const char of_empty[] = SHA256 ":BeEyiPWCbmYsgVvlYSUu239uwK5jFOtJdZFvtYYeT/90SoL5";
    char hash[LV_PASSWORD_HASH_SIZE];

    (void)state;
    assert_int_equal(lv_password_check(of_empty, NULL), 0);
    assert_int_equal(verify(of_empty, ""), 0);
    assert_int_equal(lv_password_hash(lv_text(""), hash, &diag), -LV_E_USAGE);
    assert_string_equal(diag.text, "a password can't be empty");
}

static void no_password_is_right_for_an_empty_hash(void **state)
{
    char hash[LV_PASSWORD_HASH_SIZE] = "x";

    (void)state;
    assert_string_equal(import(SHA256, "", hash), "");
    assert_string_equal(hash, "");
    assert_int_equal(lv_password_check("", NULL), 0);
    assert_int_equal(verify("", ""), 0);
    assert_int_equal(verify("", "guest"), 0);
}

static void an_unknown_algorithm_is_named(void **state)
{
    char hash[LV_PASSWORD_HASH_SIZE], name[1000];

    (void)state;
    assert_string_equal(import("rabbit_password_hashing_sha1", exported[0].text, hash),
                        "unknown hashing_algorithm 'rabbit_password_hashing_sha1': " SHA256
                        ", " SHA512 ", " MD5 " and yescrypt are known");
    assert_non_null(strstr(import("", exported[0].text, hash), "''"));
    assert_non_null(strstr(import("sha256", "", hash), "'sha256'")); /* also without a hash */
    memset(name, 'n', sizeof name);
    assert_int_equal(lv_password_import(lv_bytes(name, sizeof name), lv_text(""), hash, &diag),
                     -LV_E_USAGE);
    assert_non_null(strstr(diag.text, "nnn': " SHA256));
}

static void a_hash_of_the_wrong_form_says_what_is_right(void **state)
{
    static const struct {
        const char *algorithm, *text, *sentence;
    } cases[] = {
        {SHA256, "not base64!", "a password hash is not base64"},
        {SHA256, "sC3G1EGqBOfACDqISjivE0wC+yM09uprbI9JzIp9ux1GlJZ",
         "a password hash is not base64"},
        {SHA256, "sC3G1EGqBOfA\nDqISjivE0wC+yM09uprbI9JzIp9ux1GlJZo",
         "a password hash is not base64"},
        {SHA256, "====", "a password hash is not base64"},
        {SHA256, "A===", "a password hash is not base64"},
        {SHA256, "sC3=G1E=", "a password hash is not base64"},
        {MD5, "Z8ox4fJ+FYX8cOreqkA5zt3p6/V=", "a password hash is not base64"}, /* stray bits */
        {MD5, "Z8ox", "a password hash of " MD5 " is a salt of 4 bytes and 16 more, not 3 bytes"},
        {SHA512, "sC3G1EGqBOfACDqISjivE0wC+yM09uprbI9JzIp9ux1GlJZo",
         "a password hash of " SHA512 " is a salt of 4 bytes and 64 more, not 36 bytes"},
    };
    char hash[LV_PASSWORD_HASH_SIZE] = "untouched";

    (void)state;
    for (size_t i = 0; i < LV_COUNT(cases); i++)
        assert_string_equal(import(cases[i].algorithm, cases[i].text, hash), cases[i].sentence);
    assert_string_equal(hash, "untouched");
}

static void what_is_no_yescrypt_hash_is_refused(void **state)
{
    static const char *const cases[] = {
        "$",
        "$y$",
        "$y$j9T$",
        "$y$j9T$salt",
        "$y$j9T$salt$short",
        "$2b$05$abcdefghijklmnopqrstuv",
        "x",
        "AAAA",
        "JHkk",
        /* more work than one may ask for, and other kinds of it */
        "$y$jDT$k2XAnEHBqQ1Ct2aMXFKNa/$El8aNvAzfE0RVHbQIs6xyB1nvh4oLgxiwLM5Oq9lFd7",
        "$y$jz5$k2XAnEHBqQ1Ct2aMXFKNa/$El8aNvAzfE0RVHbQIs6xyB1nvh4oLgxiwLM5Oq9lFd7",
        "$y$j7z$k2XAnEHBqQ1Ct2aMXFKNa/$El8aNvAzfE0RVHbQIs6xyB1nvh4oLgxiwLM5Oq9lFd7",
        "$y$j75.$k2XAnEHBqQ1Ct2aMXFKNa/$El8aNvAzfE0RVHbQIs6xyB1nvh4oLgxiwLM5Oq9lFd7",
        "$y$/75$k2XAnEHBqQ1Ct2aMXFKNa/$El8aNvAzfE0RVHbQIs6xyB1nvh4oLgxiwLM5Oq9lFd7",
        "$y$j75$$El8aNvAzfE0RVHbQIs6xyB1nvh4oLgxiwLM5Oq9lFd7",
        "$y$j75$k2XAnEHBqQ1Ct2aMXFKNa/$El8aNvAzfE0RVHbQIs6xyB1nvh4oLgxiwLM5Oq9lFd7x",
        "$y$j75$k2XAnEHBqQ1Ct2aMXFKNa/$El8aNvAzfE0RVHbQIs6xyB1nvh4oLgxiwLM5Oq9lFd7\n",
    };
    char hash[LV_PASSWORD_HASH_SIZE] = "untouched", text[1000];

    (void)state;
    for (size_t i = 0; i < LV_COUNT(cases); i++) {
        assert_non_null(strstr(import("yescrypt", cases[i], hash), "a yescrypt hash is $y$j9T$"));
        assert_true(lv_password_check(cases[i], &diag) == -LV_E_USAGE);
        assert_true(lv_password_verify(cases[i], lv_text("guest")) < 0);
    }
    for (size_t size = 1; size < sizeof text; size += 37) {
        memset(text, size % 2 ? '$' : 'A', size);
        assert_int_equal(lv_password_import(lv_text("yescrypt"), lv_bytes(text, size), hash, &diag),
                         -LV_E_USAGE);
    }
    assert_string_equal(hash, "untouched");
}

static void what_was_never_stored_here_is_no_hash(void **state)
{
    static const char *const cases[] = {
        "guest",
        ":",
        SHA256,
        SHA256 ":",
        SHA256 ":AAAA",
        ":Z8ox4fJ+FYX8cOreqkA5zt3p6/U=",
        "rabbit_password_hashing_sha1:Z8ox4fJ+FYX8cOreqkA5zt3p6/U=",
    };
    char text[LV_PASSWORD_HASH_SIZE + 1];

    (void)state;
    for (size_t i = 0; i < LV_COUNT(cases); i++) {
        assert_int_equal(lv_password_check(cases[i], &diag), -LV_E_USAGE);
        assert_int_equal(verify(cases[i], "guest"), -LV_E_SYNTAX);
    }
    memset(text, 'x', sizeof text);
    text[LV_PASSWORD_HASH_SIZE] = '\0';
    assert_int_equal(lv_password_check(text, &diag), -LV_E_USAGE);
    assert_string_equal(diag.text, "a password hash has less than 192 characters");
}

static void without_memory_nothing_is_said_of_the_password(void **state)
{
    char hash[LV_PASSWORD_HASH_SIZE] = "untouched";

    (void)state;
    lv_alloc_fail_after(1, 1);
    assert_int_equal(verify(yescrypt[0], "guest"), -LV_E_NOMEM);
    assert_int_equal(lv_password_hash(lv_text("guest"), hash, &diag), -LV_E_NOMEM);
    lv_alloc_fail_after(0, 0);
    assert_string_equal(diag.text, "no memory for the hash of a password");
    assert_string_equal(hash, "untouched");
}

static void portable_hashes_are_rabbitmqs_and_salted(void **state)
{
    char first[LV_PASSWORD_HASH_SIZE], second[LV_PASSWORD_HASH_SIZE];
    struct lv_password_export said;

    (void)state;
    assert_int_equal(lv_password_hash_portable(lv_text("secret"), first, NULL), 0);
    assert_int_equal(lv_password_hash_portable(lv_text("secret"), second, NULL), 0);
    assert_string_not_equal(first, second);
    assert_int_equal(lv_password_verify(first, lv_text("secret")), 1);
    assert_int_equal(lv_password_verify(first, lv_text("Secret")), 0);
    lv_password_export(first, &said);
    assert_string_equal(said.algorithm, "rabbit_password_hashing_sha256");
    assert_int_equal(lv_password_hash_portable(lv_text(""), first, NULL), -LV_E_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_rabbitmq_exported_is_right_here),
        cmocka_unit_test(what_is_stored_is_the_algorithm_and_the_text),
        cmocka_unit_test(every_stored_hash_is_exported_as_it_was_imported),
        cmocka_unit_test(crypts_own_hashes_are_right_here),
        cmocka_unit_test(a_new_hash_is_yescrypt_with_a_salt_of_its_own),
        cmocka_unit_test(a_password_may_be_as_long_as_crypt_takes_it),
        cmocka_unit_test(a_nul_byte_does_not_end_a_password),
        cmocka_unit_test(an_empty_password_is_never_right),
        cmocka_unit_test(no_password_is_right_for_an_empty_hash),
        cmocka_unit_test(an_unknown_algorithm_is_named),
        cmocka_unit_test(a_hash_of_the_wrong_form_says_what_is_right),
        cmocka_unit_test(what_is_no_yescrypt_hash_is_refused),
        cmocka_unit_test(what_was_never_stored_here_is_no_hash),
        cmocka_unit_test(without_memory_nothing_is_said_of_the_password),
        cmocka_unit_test(portable_hashes_are_rabbitmqs_and_salted),
    };

    return cmocka_run_group_tests_name("password", tests, NULL, NULL);
}
