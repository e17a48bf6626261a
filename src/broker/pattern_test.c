#include "broker/pattern.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct lv_matcher matcher;
static struct lv_diag diag;

static int set_up(void **state)
{
    (void)state;
    return lv_matcher_init(&matcher);
}

static int tear_down(void **state)
{
    (void)state;
    lv_alloc_fail_after(0, 0);
    lv_matcher_fini(&matcher);
    return 0;
}

static enum lv_match try_it(const char *text, struct lv_bytes subject)
{
    struct lv_pattern pattern;
    enum lv_match match;

    assert_int_equal(lv_pattern_init(&pattern, lv_text(text), &diag), 0);
    assert_true(lv_bytes_equal(lv_pattern_text(&pattern), lv_text(text)));
    match = lv_pattern_match(&pattern, &matcher, subject);
    lv_pattern_fini(&pattern);
    return match;
}

static void a_pattern_is_searched_anywhere_in_the_name(void **state)
{
    static const struct {
        const char *pattern, *subject;
        enum lv_match match;
    } cases[] = {
        {"b", "abc", LV_MATCH_YES},
        {"^b", "abc", LV_MATCH_NO},
        {"^(amq\\.gen.*|amq\\.default)$", "amq.default", LV_MATCH_YES},
        {"^(amq\\.gen.*|amq\\.default)$", "amq.defaults", LV_MATCH_NO},
        {"^a+$", "aaa\n", LV_MATCH_YES}, /* PCRE's dollar, as in RabbitMQ */
        {"(?i)QUEUE", "a queue", LV_MATCH_YES},
        {".*", "", LV_MATCH_YES},
        {".*", "a\nb", LV_MATCH_YES},
        {"^$", "", LV_MATCH_YES},
        {"^$", "a", LV_MATCH_NO},
        {"", "", LV_MATCH_YES}, /* nothing but nothing */
        {"", "a", LV_MATCH_NO},
    };

    (void)state;
    for (size_t i = 0; i < LV_COUNT(cases); i++)
        assert_int_equal(try_it(cases[i].pattern, lv_text(cases[i].subject)), cases[i].match);
}

static void names_are_bytes(void **state)
{
    (void)state;
    assert_int_equal(try_it("^a.b$", lv_bytes("a\xff"
                                              "b",
                                              3)),
                     LV_MATCH_YES);
    assert_int_equal(try_it("^a.b$", lv_text("a\xc3\xa4"
                                             "b")),
                     LV_MATCH_NO);
    assert_int_equal(try_it("^a\\x00b$", lv_bytes("a\0b", 3)), LV_MATCH_YES);
    assert_int_equal(try_it("^$", lv_bytes(NULL, 0)), LV_MATCH_YES);
}

static void one_that_takes_too_long_gives_up(void **state)
{
    (void)state;
    assert_int_equal(
        try_it("^(a+)+$", lv_text("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab")),
        LV_MATCH_GAVE_UP);
    /* Of bytes that are no UTF-8 a pattern that wants it can say nothing. */
    assert_int_equal(try_it("(*UTF)a", lv_text("\xff")), LV_MATCH_GAVE_UP);
}

static void what_does_not_compile_says_where_and_why(void **state)
{
    static const struct {
        const char *pattern, *sentence;
    } cases[] = {
        {"[", "invalid regular expression '[' at offset 1: missing terminating ] for character "
              "class"},
        {"a(b", "invalid regular expression 'a(b' at offset 3: missing closing parenthesis"},
        {"*", "invalid regular expression '*' at offset 0: quantifier does not follow a "
              "repeatable item"},
    };
    struct lv_pattern pattern;

    (void)state;
    for (size_t i = 0; i < LV_COUNT(cases); i++) {
        assert_int_equal(lv_pattern_init(&pattern, lv_text(cases[i].pattern), &diag),
                         -LV_E_PRECONDITION);
        assert_string_equal(diag.text, cases[i].sentence);
        lv_pattern_fini(&pattern); /* nothing is left */
    }
}

static void one_that_is_too_long_or_has_a_zero_is_refused(void **state)
{
    size_t size = LV_PATTERN_SIZE_MAX + 1;
    char *text = lv_alloc(size);
    struct lv_pattern pattern;

    (void)state;
    assert_non_null(text);
    memset(text, 'a', size);
    assert_int_equal(lv_pattern_init(&pattern, lv_bytes(text, size - 1), &diag), 0);
    lv_pattern_fini(&pattern);
    assert_int_equal(lv_pattern_init(&pattern, lv_bytes(text, size), &diag), -LV_E_PRECONDITION);
    assert_string_equal(diag.text, "a regular expression of 16385 bytes is longer than 16384");
    assert_int_equal(lv_pattern_init(&pattern, lv_bytes("a\0b", 3), &diag), -LV_E_PRECONDITION);
    assert_string_equal(diag.text, "a regular expression may not have a zero byte");
    lv_free(text);
}

static void memory_that_runs_out_is_told(void **state)
{
    int rc = -LV_E_NOMEM;

    (void)state;
    for (uint64_t after = 1; rc < 0; after++) {
        struct lv_pattern pattern;
        lv_alloc_fail_after(after, 1);
        rc = lv_pattern_init(&pattern, lv_text("^a[b-c]+"), &diag);
        lv_alloc_fail_after(0, 0);
        assert_true(rc == 0 || rc == -LV_E_NOMEM);
        lv_pattern_fini(&pattern);
        assert_true(after < 20);
    }
    rc = -LV_E_NOMEM;
    for (uint64_t after = 1; rc < 0; after++) {
        struct lv_matcher small;
        lv_alloc_fail_after(after, 1);
        rc = lv_matcher_init(&small);
        lv_alloc_fail_after(0, 0);
        lv_matcher_fini(&small);
        assert_true(after < 20);
    }
}

#define WITH_MATCHER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_MATCHER(a_pattern_is_searched_anywhere_in_the_name),
        WITH_MATCHER(names_are_bytes),
        WITH_MATCHER(one_that_takes_too_long_gives_up),
        WITH_MATCHER(what_does_not_compile_says_where_and_why),
        WITH_MATCHER(one_that_is_too_long_or_has_a_zero_is_refused),
        WITH_MATCHER(memory_that_runs_out_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
