/*
 * codec/amqp091/trace.h - one line of text about a method, for traces and tests.
 *
 * Text is cut where the buffer ends and always terminated. Pure; any thread.
 */
#pragma once

#include "base/bytes.h"

/* A text of fixed room; what does not fit is cut. */
struct lv_amqp091_trace {
    char *text;  /* view  the caller's */
    size_t size; /* of text, > 0 */
    size_t used; /* without the end */
};

/* The text starts with the title. */
void lv_amqp091_trace_begin(struct lv_amqp091_trace *trace, char *text, size_t size,
                            const char *title);
/* ` name=7` */
void lv_amqp091_trace_number(struct lv_amqp091_trace *trace, const char *name, uint64_t value);
/* ` name=1`, and nothing at all for false: most bits are not set. */
void lv_amqp091_trace_bit(struct lv_amqp091_trace *trace, const char *name, bool value);
/* ` name="text"`; quotes, backslashes and whatever is not printable ASCII as \xHH. */
void lv_amqp091_trace_string(struct lv_amqp091_trace *trace, const char *name,
                             struct lv_bytes value);
/* ` name=(7 bytes)`: tables, and what nobody should see. */
void lv_amqp091_trace_opaque(struct lv_amqp091_trace *trace, const char *name,
                             struct lv_bytes value);
