/*
 * broker/pattern.h - regular expressions of permissions: PCRE2 over bytes, searched anywhere.
 *
 * Operators write them and clients' names are matched, so both are bounded: a match gives up after
 * LV_PATTERN_STEPS steps, some milliseconds at most. The empty pattern is `^$` and ".*" is not
 * even tried, as in RabbitMQ, whose patterns these are. Pure; one thread at a time for a matcher.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

#include <stdbool.h>

/* Bytes of one pattern. */
#define LV_PATTERN_SIZE_MAX 16384u
/* PCRE2's match and depth limit, and the memory of one match in KiB. */
#define LV_PATTERN_STEPS  200000u
#define LV_PATTERN_MEMORY 4096u

/* All zeros is one that matches nothing but the empty name. */
struct lv_pattern {
    void *code; /* own   pcre2_code; NULL: nothing to be tried */
    char *text; /* own   as it was given, ended by a zero */
    uint32_t size;
    bool is_all; /*      matches whatever there is */
};

/* What matching needs, for all patterns of a thread. */
struct lv_matcher {
    void *data;   /* own   pcre2_match_data */
    void *limits; /* own   pcre2_match_context */
};

enum lv_match {
    LV_MATCH_NO,
    LV_MATCH_YES,
    LV_MATCH_GAVE_UP /* took too long, or the bytes are not what the pattern asks for (UTF-8) */
};

/* Copies the text. -LV_E_PRECONDITION: it doesn't compile, with where and why; -LV_E_NOMEM. */
int lv_pattern_init(struct lv_pattern *pattern, struct lv_bytes text, struct lv_diag *diag)
    LV_MUST_CHECK;
/* Leaves it all zeros, which it may have been. */
void lv_pattern_fini(struct lv_pattern *pattern);

/* -LV_E_NOMEM. */
int lv_matcher_init(struct lv_matcher *matcher) LV_MUST_CHECK;
/* Takes one that lv_matcher_init() has failed on, too. */
void lv_matcher_fini(struct lv_matcher *matcher);

/* Does the pattern match somewhere in the subject? */
enum lv_match lv_pattern_match(const struct lv_pattern *pattern, struct lv_matcher *matcher,
                               struct lv_bytes subject);

/* Valid as long as the pattern is. */
static inline struct lv_bytes lv_pattern_text(const struct lv_pattern *pattern)
{
    return lv_bytes(pattern->text, pattern->size);
}
