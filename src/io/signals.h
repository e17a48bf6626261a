/*
 * io/signals.h - the signals that end the program or have it reload, as something to read. Main
 * thread, once, before other threads start.
 */
#pragma once

#include "base/defs.h"

/* SIGTERM, SIGINT and SIGHUP no longer end the program but make the descriptor readable; SIGPIPE
 * and SIGXFSZ are ignored: a write says by its result what they would end the program for. */
int lv_signals_open(int *ret_fd) LV_MUST_CHECK;
/* The number of a signal that came, or 0. */
int lv_signals_take(int fd);
/* The signals do again what they do by themselves. */
void lv_signals_close(int fd);
