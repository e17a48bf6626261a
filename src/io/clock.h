/*
 * io/clock.h - what time it is. Any thread.
 */
#pragma once

#include <stdint.h>

/* Nanoseconds since some moment before the program began; never goes back. The unit and the zero of
 * base/deadline.h. */
uint64_t lv_clock_now(void);
/* Nanoseconds of processor time that this thread has used. */
uint64_t lv_clock_thread(void);

/* Microseconds since 1970, as far as this machine knows; may go back. */
uint64_t lv_clock_wall_us(void);

#define LV_CLOCK_TEXT_SIZE 32
/* The wall clock's time in UTC, "2026-11-21T12:52:23.123Z". Returns `text`. */
const char *lv_clock_text(char text[LV_CLOCK_TEXT_SIZE]);
