#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void errors_keep_the_reply_codes_of_the_specification(void **state)
{
    static const struct {
        int error;
        int code;
        const char *name;
    } facts[] = {
        {-LV_E_CONTENT_TOO_LARGE, 311, "CONTENT_TOO_LARGE"},
        {-LV_E_ACCESS_REFUSED, 403, "ACCESS_REFUSED"},
        {-LV_E_NOT_FOUND, 404, "NOT_FOUND"},
        {-LV_E_LOCKED, 405, "RESOURCE_LOCKED"},
        {-LV_E_PRECONDITION, 406, "PRECONDITION_FAILED"},
        {-LV_E_BAD_FRAME, 501, "FRAME_ERROR"},
        {-LV_E_UNEXPECTED_FRAME, 505, "UNEXPECTED_FRAME"},
        {-LV_E_NOT_ALLOWED, 530, "NOT_ALLOWED"},
        {-LV_E_INTERNAL, 541, "INTERNAL_ERROR"},
    };

    (void)state;
    for (size_t i = 0; i < LV_COUNT(facts); i++) {
        assert_int_equal(lv_error_code(facts[i].error), facts[i].code);
        assert_string_equal(lv_error_name(facts[i].error), facts[i].name);
    }
    assert_string_equal(lv_error_condition(-LV_E_NOT_FOUND), "amqp:not-found");
}

static void every_error_has_a_name_and_a_condition(void **state)
{
    (void)state;
    for (int error = 1; error < LV_E_COUNT; error++) {
        assert_true(strlen(lv_error_name(-error)) > 0);
        assert_memory_equal(lv_error_condition(-error), "amqp:", 5);
        assert_true(lv_error_code(-error) == 0 || lv_error_code(-error) >= 311);
    }
}

/* 0-9-1 §1.2 marks each reply code as an error of the channel or of the connection. */
static void soft_errors_end_the_channel_and_all_others_the_connection(void **state)
{
    (void)state;
    assert_false(lv_error_is_hard(-LV_E_CONTENT_TOO_LARGE));
    assert_false(lv_error_is_hard(-LV_E_NO_ROUTE));
    assert_false(lv_error_is_hard(-LV_E_ACCESS_REFUSED));
    assert_false(lv_error_is_hard(-LV_E_NOT_FOUND));
    assert_false(lv_error_is_hard(-LV_E_LOCKED));
    assert_false(lv_error_is_hard(-LV_E_PRECONDITION));
    assert_true(lv_error_is_hard(-LV_E_CONNECTION_FORCED));
    assert_true(lv_error_is_hard(-LV_E_BAD_FRAME));
    assert_true(lv_error_is_hard(-LV_E_SYNTAX));
    assert_true(lv_error_is_hard(-LV_E_COMMAND_INVALID));
    assert_true(lv_error_is_hard(-LV_E_CHANNEL));
    assert_true(lv_error_is_hard(-LV_E_RESOURCE));
    assert_true(lv_error_is_hard(-LV_E_NOT_ALLOWED));
    assert_true(lv_error_is_hard(-LV_E_NOT_IMPLEMENTED));
    assert_true(lv_error_is_hard(-LV_E_INTERNAL));
    assert_true(lv_error_is_hard(-LV_E_IO)); /* no peer is told, but nothing goes on either */
}

static void fail_writes_the_sentence_and_returns_the_error(void **state)
{
    struct lv_diag diag;

    (void)state;
    assert_int_equal(lv_fail(&diag, -LV_E_IO, "segment %d: %s", 7, "bad"), -LV_E_IO);
    assert_string_equal(diag.text, "segment 7: bad");
    assert_int_equal(lv_fail(NULL, -LV_E_NOMEM, "nobody %s", "listens"), -LV_E_NOMEM);
}

static void a_long_sentence_is_cut_and_terminated(void **state)
{
    struct lv_diag diag;

    (void)state;
    (void)lv_fail(&diag, -LV_E_IO, "%0*d", 2000, 1);
    assert_int_equal(strlen(diag.text), sizeof diag.text - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_keep_the_reply_codes_of_the_specification),
        cmocka_unit_test(every_error_has_a_name_and_a_condition),
        cmocka_unit_test(soft_errors_end_the_channel_and_all_others_the_connection),
        cmocka_unit_test(fail_writes_the_sentence_and_returns_the_error),
        cmocka_unit_test(a_long_sentence_is_cut_and_terminated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
