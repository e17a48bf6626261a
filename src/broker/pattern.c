#include "broker/pattern.h"

#include "base/alloc.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define ALL ".*"

/* All of PCRE2's memory goes through lv_alloc(), so tests can refuse it. */
static void *pcre_alloc(size_t size, void *ctx)
{
    assert(ctx == NULL);
    return lv_alloc(size);
}

static void pcre_free(void *block, void *ctx)
{
    assert(ctx == NULL);
    lv_free(block);
}

/* Not in UTF mode: names are bytes, as RabbitMQ's re:run/3 takes them. */
static int compile(struct lv_pattern *pattern, struct lv_diag *diag)
{
    pcre2_general_context *memory = pcre2_general_context_create(pcre_alloc, pcre_free, NULL);
    pcre2_compile_context *context = NULL;
    PCRE2_UCHAR why[128];
    PCRE2_SIZE offset = 0;
    int error = PCRE2_ERROR_NOMEMORY;

    assert(pattern->code == NULL);
    if (memory != NULL)
        context = pcre2_compile_context_create(memory);
    if (context != NULL)
        pattern->code =
            pcre2_compile((PCRE2_SPTR)pattern->text, pattern->size, 0, &error, &offset, context);
    pcre2_compile_context_free(context);
    pcre2_general_context_free(memory);
    if (pattern->code != NULL)
        return 0;
    if (error == PCRE2_ERROR_NOMEMORY || error == PCRE2_ERROR_HEAP_FAILED)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory");
    (void)pcre2_get_error_message(error, why, sizeof why);
    return lv_fail(diag, -LV_E_PRECONDITION,
                   "invalid regular expression '%.200s' at offset %zu: %s", pattern->text,
                   (size_t)offset, (const char *)why);
}

int lv_pattern_init(struct lv_pattern *pattern, struct lv_bytes text, struct lv_diag *diag)
{
    int rc = 0;

    assert(text.size == 0 || text.data != NULL);
    *pattern = (struct lv_pattern){.size = (uint32_t)text.size};
    if (text.size > LV_PATTERN_SIZE_MAX)
        return lv_fail(diag, -LV_E_PRECONDITION,
                       "a regular expression of %zu bytes is longer than %u", text.size,
                       LV_PATTERN_SIZE_MAX);
    if (text.size > 0 && memchr(text.data, 0, text.size) != NULL)
        return lv_fail(diag, -LV_E_PRECONDITION, "a regular expression may not have a zero byte");
    pattern->text = lv_strndup((const char *)text.data, text.size);
    if (pattern->text == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory");
    pattern->is_all = lv_bytes_equal(text, lv_text(ALL));
    if (text.size > 0 && !pattern->is_all)
        rc = compile(pattern, diag);
    if (rc < 0)
        lv_pattern_fini(pattern);
    return rc;
}

void lv_pattern_fini(struct lv_pattern *pattern)
{
    assert(pattern->code == NULL || pattern->text != NULL);
    pcre2_code_free(pattern->code);
    lv_free(pattern->text);
    *pattern = (struct lv_pattern){0};
}

int lv_matcher_init(struct lv_matcher *matcher)
{
    pcre2_general_context *memory = pcre2_general_context_create(pcre_alloc, pcre_free, NULL);

    *matcher = (struct lv_matcher){0};
    if (memory != NULL) {
        matcher->data = pcre2_match_data_create(1, memory);
        matcher->limits = pcre2_match_context_create(memory);
    }
    pcre2_general_context_free(memory);
    if (matcher->data == NULL || matcher->limits == NULL)
        return -LV_E_NOMEM;
    (void)pcre2_set_match_limit(matcher->limits, LV_PATTERN_STEPS);
    (void)pcre2_set_depth_limit(matcher->limits, LV_PATTERN_STEPS);
    (void)pcre2_set_heap_limit(matcher->limits, LV_PATTERN_MEMORY);
    return 0;
}

void lv_matcher_fini(struct lv_matcher *matcher)
{
    assert(matcher != NULL);
    pcre2_match_data_free(matcher->data);
    pcre2_match_context_free(matcher->limits);
    *matcher = (struct lv_matcher){0};
}

enum lv_match lv_pattern_match(const struct lv_pattern *pattern, struct lv_matcher *matcher,
                               struct lv_bytes subject)
{
    PCRE2_SPTR data = subject.size > 0 ? subject.data : (PCRE2_SPTR) "";
    int rc;

    assert(matcher->data != NULL);
    if (pattern->is_all)
        return LV_MATCH_YES;
    if (pattern->code == NULL)
        return subject.size == 0 ? LV_MATCH_YES : LV_MATCH_NO;
    rc = pcre2_match(pattern->code, data, subject.size, 0, 0, matcher->data, matcher->limits);
    if (rc >= 0)
        return LV_MATCH_YES;
    return rc == PCRE2_ERROR_NOMATCH ? LV_MATCH_NO : LV_MATCH_GAVE_UP;
}
