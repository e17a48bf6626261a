/*
 * broker/naive.h - matchers that are too simple to be wrong, to compare with. Tests only.
 */
#pragma once

#include "base/value.h"

/* Reference: each word in turn, `#` tries every number of words. Keys of at most 64 words. */
bool lv_naive_topic_matches(const char *pattern, const char *key);
/* x-match and all; the arguments are valid. Either may be NULL. */
bool lv_naive_headers_match(const struct lv_table *arguments, const struct lv_table *message);
