/*
 * cli/bench_report.h - results of `leveret bench`, for people and for programs.
 *
 * A result is a list of named numbers. On a terminal each is a line; with --json all of them are
 * one object on one line, with the same names. Main thread.
 */
#pragma once

#include "cli/bench_histogram.h"

#include <stdbool.h>
#include <stdio.h>

struct lv_report {
    FILE *file; /* view */
    bool json;
    bool begun;
};

/* Nothing is printed before the first figure. */
void lv_report_begin(struct lv_report *report, FILE *file, bool json);
/* Quotes and control characters are escaped in JSON. */
void lv_report_text(struct lv_report *report, const char *name, const char *text);
/* yes or no; true or false in JSON. */
void lv_report_bool(struct lv_report *report, const char *name, bool value);
/* Exact, however large. */
void lv_report_count(struct lv_report *report, const char *name, uint64_t value);
/* `unit` is shown to people only. */
void lv_report_number(struct lv_report *report, const char *name, double value, const char *unit);
/* Median, 99th and 99.9th percentile and the maximum, in µs: NAME_p50_us and so on. */
void lv_report_latencies(struct lv_report *report, const char *name,
                         const struct lv_histogram *histogram);
/* Ends the line in JSON, and flushes. */
void lv_report_end(struct lv_report *report);
