#include "cli/json.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct lv_output output;

/* What was put since the last call. */
static const char *text(void)
{
    static char copy[sizeof output.buffer + 1];

    memcpy(copy, output.buffer, output.size);
    copy[output.size] = '\0';
    output.size = 0;
    return copy;
}

static void a_message_is_one_line(void **state)
{
    const uint8_t properties[] = {0x80, 0x08, 1, 't', 2, 'm', 'e'};
    struct lv_engine_message message = {.method = {.id = LV_AMQP091_BASIC_GET_OK,
                                                   .basic_get_ok = {.redelivered = true,
                                                                    .exchange = lv_text("x"),
                                                                    .routing_key = lv_text("k")}},
                                        .properties = lv_bytes(properties, sizeof properties),
                                        .body = lv_text("line\n")};

    (void)state;
    assert_int_equal(lv_json_message(&output, &message, NULL), 0);
    assert_string_equal(text(), "{\"exchange\":\"x\",\"routing_key\":\"k\",\"redelivered\":true,"
                                "\"properties\":{\"content_type\":\"t\",\"app_id\":\"me\"},"
                                "\"body\":\"line\\n\"}\n");
    message.body = lv_bytes("\xff", 1);
    message.properties.size--; /* cut off */
    assert_int_equal(lv_json_message(&output, &message, NULL), -LV_E_BAD_FRAME);
    assert_non_null(strstr(text(), "\"body_base64\":\"/w==\""));
}

static void a_gone_reader_is_told(void **state)
{
    static uint8_t large[200000];
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    lv_output_init(&output, ends[1], NULL);
    lv_output_text(&output, "kept");
    assert_int_equal(lv_output_flush(&output), 0);
    (void)close(ends[0]);
    lv_output_put(&output, lv_bytes(large, sizeof large));
    assert_int_equal(lv_output_flush(&output), -LV_E_CLOSED);
    lv_output_text(&output, "more"); /* goes nowhere and does no harm */
    assert_int_equal(lv_output_flush(&output), -LV_E_CLOSED);
    (void)close(ends[1]);
}

static int setup(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    lv_output_init(&output, STDOUT_FILENO, NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_one_line),
        cmocka_unit_test(a_gone_reader_is_told),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
