#include "io/clock.h"

#include "base/defs.h"

#include <stdio.h>
#include <time.h>

static uint64_t read_clock(clockid_t id)
{
    struct timespec time;
    int rc = clock_gettime(id, &time);

    assert(rc == 0);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Not the coarse clock: its steps of 4 ms would show in heartbeats of nobody, but in latencies that
 * `leveret bench` measures. The fine one costs 25 ns, once per turn. */
uint64_t lv_clock_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t lv_clock_thread(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t lv_clock_wall_us(void)
{
    struct timespec now;
    int rc = clock_gettime(CLOCK_REALTIME, &now);

    assert(rc == 0);
    (void)rc;
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

/* UTC, so that the logs of two machines can be laid side by side. */
const char *lv_clock_text(char text[LV_CLOCK_TEXT_SIZE])
{
    struct timespec time;
    struct tm utc;
    size_t size;

    clock_gettime(CLOCK_REALTIME, &time);
    gmtime_r(&time.tv_sec, &utc);
    size = strftime(text, LV_CLOCK_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &utc);
    assert(size > 0);
    snprintf(text + size, LV_CLOCK_TEXT_SIZE - size, ".%03ldZ", time.tv_nsec / 1000000);
    return text;
}
