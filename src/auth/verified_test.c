#include "auth/verified.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct lv_verified *verified;

static int begin(void **state)
{
    (void)state;
    verified = lv_verified_new();
    return verified == NULL;
}

static int end(void **state)
{
    (void)state;
    lv_verified_free(verified);
    return 0;
}

static struct lv_verified_digest digest_of(const char *hash, const char *password)
{
    return lv_verified_digest(verified, hash, lv_text(password));
}

static bool knows(const char *hash, const char *password, uint64_t now)
{
    struct lv_verified_digest digest = digest_of(hash, password);

    return lv_verified_has(verified, &digest, now);
}

static void put(const char *hash, const char *password, uint64_t now)
{
    struct lv_verified_digest digest = digest_of(hash, password);

    lv_verified_put(verified, &digest, now);
}

static void nothing_is_known_at_first(void **state)
{
    (void)state;
    assert_false(knows("$y$a", "guest", 1));
    assert_false(knows("", "", 1));
}

static void only_the_same_password_for_the_same_hash_is_known(void **state)
{
    (void)state;
    put("$y$a", "guest", 1);
    assert_true(knows("$y$a", "guest", 2));
    assert_false(knows("$y$a", "Guest", 2));
    assert_false(knows("$y$a", "", 2));
    assert_false(knows("$y$a", "guestguest", 2));
    assert_false(knows("$y$b", "guest", 2)); /* the user has a new hash, of whatever password */
    assert_false(knows("$y$agu", "est", 2)); /* the same bytes, cut elsewhere */
    assert_false(knows("$y$", "aguest", 2));
}

static void it_is_forgotten_in_minutes_however_often_it_is_used(void **state)
{
    (void)state;
    put("$y$a", "guest", 1000);
    for (uint64_t now = 1000; now < 1000 + LV_VERIFIED_NS; now += LV_VERIFIED_NS / 7)
        assert_true(knows("$y$a", "guest", now));
    assert_true(knows("$y$a", "guest", 999 + LV_VERIFIED_NS));
    assert_false(knows("$y$a", "guest", 1000 + LV_VERIFIED_NS));
    put("$y$a", "guest", 1000 + LV_VERIFIED_NS);
    assert_true(knows("$y$a", "guest", 1000 + LV_VERIFIED_NS));
}

static void another_table_has_another_key(void **state)
{
    struct lv_verified *other = lv_verified_new();
    struct lv_verified_digest digest, same = digest_of("$y$a", "guest");

    (void)state;
    assert_non_null(other);
    digest = lv_verified_digest(other, "$y$a", lv_text("guest"));
    assert_memory_not_equal(&digest, &same, sizeof same);
    digest = digest_of("$y$a", "guest");
    assert_memory_equal(&digest, &same, sizeof same);
    lv_verified_free(other);
}

/* A digest made up, so that all fall into one set. */
static struct lv_verified_digest of_one_set(uint8_t number)
{
    return (struct lv_verified_digest){.words = {4096 * 7 + 1, number}};
}

static void where_it_is_full_the_one_that_ends_first_makes_room(void **state)
{
    struct lv_verified_digest digest;

    (void)state;
    for (uint8_t i = 0; i < 4; i++) {
        digest = of_one_set(i);
        lv_verified_put(verified, &digest, i);
    }
    digest = of_one_set(0);
    lv_verified_put(verified, &digest, 10); /* again: it needs no second place */
    digest = of_one_set(100);
    lv_verified_put(verified, &digest, 11);
    for (uint8_t i = 0; i < 4; i++) {
        digest = of_one_set(i);
        assert_true(lv_verified_has(verified, &digest, 12) == (i != 1));
    }
    digest = of_one_set(100);
    assert_true(lv_verified_has(verified, &digest, 12));
}

static void thousands_are_known_at_once(void **state)
{
    char password[16];
    unsigned known = 0;

    (void)state;
    for (unsigned i = 0; i < 4000; i++) {
        snprintf(password, sizeof password, "p%u", i);
        put("$y$a", password, 1);
    }
    for (unsigned i = 0; i < 4000; i++) {
        snprintf(password, sizeof password, "p%u", i);
        known += knows("$y$a", password, 2);
    }
    assert_in_range(known, 3900, 4000);
}

static void without_memory_there_is_no_table(void **state)
{
    (void)state;
    lv_alloc_fail_after(1, 1);
    assert_null(lv_verified_new());
    lv_alloc_fail_after(0, 0);
    lv_verified_free(NULL);
}

#define VERIFIED_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        VERIFIED_TEST(nothing_is_known_at_first),
        VERIFIED_TEST(only_the_same_password_for_the_same_hash_is_known),
        VERIFIED_TEST(it_is_forgotten_in_minutes_however_often_it_is_used),
        VERIFIED_TEST(another_table_has_another_key),
        VERIFIED_TEST(where_it_is_full_the_one_that_ends_first_makes_room),
        VERIFIED_TEST(thousands_are_known_at_once),
        cmocka_unit_test(without_memory_there_is_no_table),
    };

    return cmocka_run_group_tests_name("verified", tests, NULL, NULL);
}
