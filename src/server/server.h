/*
 * server/server.h - the daemon: shards, listeners, and what happens when a signal comes.
 *
 * Main thread.
 */
#pragma once

#include "server/config.h"

/* Runs the broker until SIGTERM or SIGINT; the configuration has been applied. What operators want
 * to know at the start goes to stdout, ending with the line that begins with `ready`; events go to
 * stderr. Negative when it could not start, with the sentence in `diag`. */
int lv_server_run(const struct lv_config *config, struct lv_diag *diag) LV_MUST_CHECK;
