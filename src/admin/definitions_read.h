/*
 * admin/definitions_read.h - definitions.json, as RabbitMQ and this broker write it, as a list.
 *
 * Everything that can be judged without a broker is: types however deep, names' sizes, patterns,
 * hashes, arguments that aren't understood, the same thing twice. What is left out is noted.
 * Clear passwords are hashed, so a helper thread or start-up calls it, never a shard.
 */
#pragma once

#include "admin/definitions.h"
#include "base/err.h"

/* Gives a sorted list in `list`, which is all zeros or has been ended. -LV_E_SYNTAX: the sentence
 * begins with where it is ("queues[3].arguments.x-max-length") and says what would be right;
 * -LV_E_NOMEM. Then there is no list. */
int lv_definitions_read(struct lv_bytes text, struct lv_definitions *list, struct lv_diag *diag)
    LV_MUST_CHECK;
