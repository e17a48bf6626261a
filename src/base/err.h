/*
 * base/err.h - every failure the project knows, once, and the sentence that explains it.
 *
 * A function that can fail returns 0 (or a count) when it is well and -LV_E_… when it is not. The
 * table gives each failure its AMQP 0-9-1 reply code (0: never told to a peer), its AMQP 1.0
 * condition and the name that starts a reply text ("NOT_FOUND - no queue 'q' in vhost '/'").
 * Pure; any thread.
 */
#pragma once

#include "base/defs.h"

#include <stdbool.h>

/* X(name, 0-9-1 code, 1.0 condition, name in reply texts) */
#define LV_ERRORS(X)                                                                               \
    X(NOMEM, 506, "amqp:resource-limit-exceeded", "RESOURCE_ERROR")                                \
    X(CONTENT_TOO_LARGE, 311, "amqp:link:message-size-exceeded", "CONTENT_TOO_LARGE")              \
    X(NO_ROUTE, 312, "amqp:not-found", "NO_ROUTE")                                                 \
    X(CONNECTION_FORCED, 320, "amqp:connection:forced", "CONNECTION_FORCED")                       \
    X(ACCESS_REFUSED, 403, "amqp:unauthorized-access", "ACCESS_REFUSED")                           \
    X(NOT_FOUND, 404, "amqp:not-found", "NOT_FOUND")                                               \
    X(LOCKED, 405, "amqp:resource-locked", "RESOURCE_LOCKED")                                      \
    X(PRECONDITION, 406, "amqp:precondition-failed", "PRECONDITION_FAILED")                        \
    X(BAD_FRAME, 501, "amqp:connection:framing-error", "FRAME_ERROR")                              \
    X(SYNTAX, 502, "amqp:decode-error", "SYNTAX_ERROR")                                            \
    X(COMMAND_INVALID, 503, "amqp:not-implemented", "COMMAND_INVALID")                             \
    X(CHANNEL, 504, "amqp:illegal-state", "CHANNEL_ERROR")                                         \
    X(UNEXPECTED_FRAME, 505, "amqp:illegal-state", "UNEXPECTED_FRAME")                             \
    X(RESOURCE, 506, "amqp:resource-limit-exceeded", "RESOURCE_ERROR")                             \
    X(NOT_ALLOWED, 530, "amqp:not-allowed", "NOT_ALLOWED")                                         \
    X(NOT_IMPLEMENTED, 540, "amqp:not-implemented", "NOT_IMPLEMENTED")                             \
    X(INTERNAL, 541, "amqp:internal-error", "INTERNAL_ERROR")                                      \
    X(CLOSED, 0, "amqp:connection:forced", "CLOSED")                                               \
    X(TIMEOUT, 0, "amqp:resource-limit-exceeded", "TIMEOUT")                                       \
    X(STOPPED, 0, "amqp:connection:forced", "STOPPED")                                             \
    X(IO, 0, "amqp:internal-error", "IO_ERROR")                                                    \
    X(FULL, 0, "amqp:resource-limit-exceeded", "DISK_FULL")                                        \
    X(CORRUPT, 0, "amqp:internal-error", "CORRUPT")                                                \
    X(VERSION, 0, "amqp:internal-error", "UNKNOWN_VERSION")                                        \
    X(USAGE, 0, "amqp:invalid-field", "USAGE")

enum lv_error {
    LV_E_NONE,
#define LV_ERROR_CONSTANT(name, code, condition, text) LV_E_##name,
    LV_ERRORS(LV_ERROR_CONSTANT)
#undef LV_ERROR_CONSTANT
        LV_E_COUNT
};

/* The caller's fixed buffer for the human sentence. Libraries fill it and never log. */
struct lv_diag {
    char text[512];
};

/* Writes the sentence (cut at the buffer's end, always terminated) and returns `error` unchanged,
 * so that a failing function ends with `return lv_fail(diag, -LV_E_X, "…")`. `diag` may be NULL. */
int lv_fail(struct lv_diag *diag, int error, const char *fmt, ...) LV_PRINTF(3, 4);

/* The properties of an error, given as returned (-LV_E_X). */
int lv_error_code(int error);              /* 0-9-1 reply code, 0 when no peer is told */
const char *lv_error_name(int error);      /* "NOT_FOUND" */
const char *lv_error_condition(int error); /* "amqp:not-found" */

/* 0-9-1 §1.2 and RabbitMQ: soft errors end the channel, hard ones the connection. */
bool lv_error_is_hard(int error);
