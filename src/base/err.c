#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

/* A row of LV_ERRORS. */
struct error {
    int code;
    const char *condition;
    const char *name;
};

static const struct error table[LV_E_COUNT] = {[LV_E_NONE] = {0, "", "NONE"},
#define ERROR_ROW(id, code, condition, text) [LV_E_##id] = {code, condition, text},
                                               LV_ERRORS(ERROR_ROW)
#undef ERROR_ROW
};

/* Errors are given as functions return them: negative. */
static const struct error *lookup(int error)
{
    assert(error <= 0);
    assert(error > -(int)LV_E_COUNT);
    return &table[-error];
}

/* The sentence may be cut; the error never is. */
int lv_fail(struct lv_diag *diag, int error, const char *fmt, ...)
{
    va_list args;

    assert(error < 0);
    if (diag == NULL)
        return error;
    va_start(args, fmt);
    (void)vsnprintf(diag->text, sizeof diag->text, fmt, args);
    va_end(args);
    return error;
}

/* 0-9-1's reply code. */
int lv_error_code(int error)
{
    assert(error < 0);
    return lookup(error)->code;
}

/* For logs and tests, as the constant is called. */
const char *lv_error_name(int error)
{
    assert(error < 0);
    return lookup(error)->name;
}

/* 1.0's symbol for the same failure. */
const char *lv_error_condition(int error)
{
    assert(error < 0);
    return lookup(error)->condition;
}

/* 0-9-1 §1.2: these end the channel, all others the connection. */
bool lv_error_is_hard(int error)
{
    assert(error < 0);
    switch (lv_error_code(error)) {
    case 311: /* content-too-large */
    case 312: /* no-route */
    case 313: /* no-consumers */
    case 403: /* access-refused */
    case 404: /* not-found */
    case 405: /* resource-locked */
    case 406: /* precondition-failed */
        return false;
    default:
        return true;
    }
}
