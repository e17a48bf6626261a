#include "cli/bench_report.h"

#include "base/defs.h"

#include <inttypes.h>
#include <string.h>

#define NAME_WIDTH 28
#define NS_PER_US  1000.0

void lv_report_begin(struct lv_report *report, FILE *file, bool json)
{
    assert(file != NULL);
    *report = (struct lv_report){.file = file, .json = json};
}

/* Before each figure: a key, or a column. */
static void name(struct lv_report *report, const char *text)
{
    assert(text[0] != '\0');
    if (report->json) {
        fprintf(report->file, "%s\"%s\":", report->begun ? "," : "{", text);
    } else {
        char shown[NAME_WIDTH + 1];
        size_t i;

        for (i = 0; i < NAME_WIDTH && text[i] != '\0'; i++)
            shown[i] = text[i] == '_' ? ' ' : text[i];
        shown[i] = '\0';
        fprintf(report->file, "%-*s ", NAME_WIDTH, shown);
    }
    report->begun = true;
}

/* People get a line per figure. */
static void end_of_line(struct lv_report *report)
{
    assert(report->begun);
    if (!report->json)
        (void)fputc('\n', report->file);
}

void lv_report_text(struct lv_report *report, const char *what, const char *text)
{
    name(report, what);
    assert(text != NULL);
    if (!report->json) {
        fprintf(report->file, "%s\n", text);
        return;
    }
    (void)fputc('"', report->file);
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\')
            fprintf(report->file, "\\%c", *p);
        else if ((unsigned char)*p < 0x20)
            fprintf(report->file, "\\u%04x", (unsigned)(unsigned char)*p);
        else
            (void)fputc(*p, report->file);
    }
    (void)fputc('"', report->file);
}

void lv_report_bool(struct lv_report *report, const char *what, bool value)
{
    name(report, what);
    if (report->json)
        fprintf(report->file, "%s", value ? "true" : "false");
    else
        fprintf(report->file, "%s", value ? "yes" : "no");
    end_of_line(report);
}

void lv_report_count(struct lv_report *report, const char *what, uint64_t value)
{
    name(report, what);
    fprintf(report->file, "%" PRIu64, value);
    end_of_line(report);
}

/* People read 1.23 M faster than 1234567. */
static void print_for_people(FILE *file, double value, const char *unit)
{
    assert(unit != NULL);
    if (value >= 1e6)
        fprintf(file, "%.3g M%s%s", value / 1e6, unit[0] != '\0' ? " " : "", unit);
    else if (value >= 1e4)
        fprintf(file, "%.3g k%s%s", value / 1e3, unit[0] != '\0' ? " " : "", unit);
    else
        fprintf(file, "%.4g%s%s", value, unit[0] != '\0' ? " " : "", unit);
}

void lv_report_number(struct lv_report *report, const char *what, double value, const char *unit)
{
    name(report, what);
    if (report->json)
        fprintf(report->file, "%.6g", value);
    else
        print_for_people(report->file, value, unit);
    end_of_line(report);
}

void lv_report_latencies(struct lv_report *report, const char *what,
                         const struct lv_histogram *histogram)
{
    static const struct {
        const char *suffix;
        double quantile;
    } rows[] = {{"p50_us", 0.5}, {"p99_us", 0.99}, {"p999_us", 0.999}, {"max_us", 1}};

    if (histogram->count == 0)
        return;
    assert(strlen(what) < 32);
    for (size_t i = 0; i < LV_COUNT(rows); i++) {
        char full[64];

        snprintf(full, sizeof full, "%s_%s", what, rows[i].suffix);
        lv_report_number(report, full,
                         (double)lv_histogram_quantile(histogram, rows[i].quantile) / NS_PER_US,
                         "");
    }
}

void lv_report_end(struct lv_report *report)
{
    if (report->json)
        fprintf(report->file, "%s}\n", report->begun ? "" : "{");
    (void)fflush(report->file);
    assert(report->file != NULL);
}
