#include "cli/bench_report.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The same result, printed one way or the other. The caller frees the text. */
static char *printed(bool json)
{
    struct lv_histogram *latencies = lv_calloc(1, sizeof *latencies);
    struct lv_histogram *none = lv_calloc(1, sizeof *none);
    struct lv_report report;
    size_t size = 0;
    char *text = NULL;
    FILE *file = open_memstream(&text, &size);

    assert_true(file != NULL && latencies != NULL && none != NULL);
    lv_histogram_add(latencies, 5000);
    lv_report_begin(&report, file, json);
    lv_report_text(&report, "broker", "a \"quoted\" \\ \n name");
    lv_report_count(&report, "lost", 12345678901ull);
    lv_report_number(&report, "messages_per_s", 1234567.8, "");
    lv_report_number(&report, "window_s", 0.25, "s");
    lv_report_bool(&report, "good", true);
    lv_report_latencies(&report, "latency", latencies);
    lv_report_latencies(&report, "confirm", none);
    lv_report_end(&report);
    assert_int_equal(fclose(file), 0);
    lv_free(latencies);
    lv_free(none);
    return text;
}

static void programs_get_one_object_on_one_line(void **state)
{
    char *text = printed(true);

    (void)state;
    assert_string_equal(text, "{\"broker\":\"a \\\"quoted\\\" \\\\ \\u000a name\","
                              "\"lost\":12345678901,\"messages_per_s\":1.23457e+06,"
                              "\"window_s\":0.25,\"good\":true,\"latency_p50_us\":5,"
                              "\"latency_p99_us\":5,\"latency_p999_us\":5,\"latency_max_us\":5}\n");
    free(text); /* of open_memstream */
}

static void people_get_a_line_for_each_figure(void **state)
{
    char *text = printed(false);

    (void)state;
    assert_non_null(strstr(text, "messages per s               1.23 M\n"));
    assert_non_null(strstr(text, "window s                     0.25 s\n"));
    assert_non_null(strstr(text, "good                         yes\n"));
    assert_non_null(strstr(text, "latency p99 us               5\n"));
    assert_null(strstr(text, "confirm"));
    free(text);
}

static void nothing_is_an_empty_object(void **state)
{
    struct lv_report report;
    size_t size = 0;
    char *text = NULL;
    FILE *file = open_memstream(&text, &size);

    (void)state;
    assert_non_null(file);
    lv_report_begin(&report, file, true);
    lv_report_end(&report);
    assert_int_equal(fclose(file), 0);
    assert_string_equal(text, "{}\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(programs_get_one_object_on_one_line),
        cmocka_unit_test(people_get_a_line_for_each_figure),
        cmocka_unit_test(nothing_is_an_empty_object),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
