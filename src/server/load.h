/*
 * server/load.h - definitions that a start imports: the setting load_definitions.
 *
 * Main thread, when everything is restored and before the shards' threads begin.
 */
#pragma once

#include "server/shared.h"

/* All of the file or nothing. What is left out of it is logged. The sentence begins with the
 * setting and the file. */
int lv_load_definitions(struct lv_shared *shared, const char *path, struct lv_diag *diag)
    LV_MUST_CHECK;
