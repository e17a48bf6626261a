/* `leveret bench fsync`: what it costs here to have bytes on the disk. See cli/bench_disk.h. */
#include "base/alloc.h"
#include "base/deadline.h"
#include "cli/bench_disk.h"
#include "cli/bench_histogram.h"
#include "cli/bench_report.h"
#include "cli/command.h"
#include "cli/options.h"
#include "io/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SIZE_MAX_BYTES ((uint64_t)16 << 20)

/* Writes and syncs for a time; at least once. */
static int measure(struct lv_bench_disk *disk, uint64_t size, double duration,
                   struct lv_histogram *histogram)
{
    uint8_t *bytes = lv_calloc(1, size);
    uint64_t end = lv_clock_now() + (uint64_t)(duration * (double)LV_NS_PER_S), now;
    int rc = bytes == NULL ? -LV_E_NOMEM : 0;

    assert(size > 0);
    while (rc == 0) {
        uint64_t began = lv_clock_now();
        struct iovec piece = {bytes, size};

        rc = lv_bench_disk_append(disk, &piece, 1);
        if (rc == 0)
            rc = lv_bench_disk_sync(disk);
        now = lv_clock_now();
        lv_histogram_add(histogram, now - began);
        bytes[0]++; /* not the bytes that are there already */
        if (now >= end)
            break;
    }
    lv_free(bytes);
    return rc;
}

/* As `leveret bench` does. */
static void report(const struct lv_histogram *histogram, uint64_t size, bool json)
{
    struct lv_report out;

    assert(histogram->count > 0);
    lv_report_begin(&out, stdout, json);
    lv_report_text(&out, "mode", "fsync");
    lv_report_count(&out, "size", size);
    lv_report_count(&out, "syncs", histogram->count);
    lv_report_latencies(&out, "fsync", histogram);
    lv_report_bool(&out, "good", true);
    lv_report_end(&out);
}

int lv_bench_fsync(int argc, char **argv)
{
    static struct lv_histogram histogram;
    const char *directory = ".";
    uint64_t size = 4096;
    double duration = 2;
    bool json = false;
    const struct lv_option options[] = {
        LV_TEXT_OPTION("dir", 0, "DIR", &directory, "on the disk that is meant [.]"),
        LV_SIZE_OPTION("size", 's', "BYTES", &size, 1, SIZE_MAX_BYTES, "bytes written [4096]"),
        LV_DECIMAL_OPTION("duration", 'd', "S", &duration, "for S seconds [2]"),
        LV_FLAG_OPTION("json", 0, &json, "print one JSON object"),
        LV_OPTION_END,
    };
    const struct lv_usage usage = {
        .command = "leveret bench fsync",
        .arguments = "",
        .summary = "writes into a file of zeros and calls fdatasync, again and again",
        .options = options};
    struct lv_diag diag = {.text = ""};
    struct lv_bench_disk disk;
    int exit_code, rc;

    if (!lv_options_parse(&usage, &argc, argv, &exit_code))
        return exit_code;
    rc = lv_bench_disk_open(directory, &disk, &diag);
    if (rc == 0) {
        rc = measure(&disk, size, duration, &histogram);
        if (rc < 0)
            rc = lv_fail(&diag, rc, "%s: %s", directory, strerror(errno));
        lv_bench_disk_close(&disk);
    }
    if (rc < 0) {
        fprintf(stderr, "leveret bench fsync: %s\n", diag.text);
        return LV_EXIT_FAILED;
    }
    report(&histogram, size, json);
    return LV_EXIT_OK;
}
