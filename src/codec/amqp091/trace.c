#include "codec/amqp091/trace.h"

#include "base/defs.h"

#include <stdarg.h>
#include <stdio.h>

/* What does not fit is left out, here and by all that follows. */
LV_PRINTF(2, 3)
static void append(struct lv_amqp091_trace *trace, const char *fmt, ...)
{
    size_t room = trace->size - trace->used;
    va_list args;
    int length;

    assert(room > 0);
    va_start(args, fmt);
    length = vsnprintf(trace->text + trace->used, room, fmt, args);
    va_end(args);
    assert(length >= 0);
    trace->used += (size_t)length < room ? (size_t)length : room - 1;
    assert(trace->used < trace->size);
}

/* Golden texts of tests are compared with it, so its form is kept stable. */
void lv_amqp091_trace_begin(struct lv_amqp091_trace *trace, char *text, size_t size,
                            const char *title)
{
    assert(size > 0);
    assert(title != NULL);
    *trace = (struct lv_amqp091_trace){.text = text, .size = size};
    append(trace, "%s", title);
}

/* In decimal, whatever its width. */
void lv_amqp091_trace_number(struct lv_amqp091_trace *trace, const char *name, uint64_t value)
{
    assert(name != NULL);
    append(trace, " %s=%llu", name, (unsigned long long)value);
}

/* Only when it is set: most bits of most methods are not. */
void lv_amqp091_trace_bit(struct lv_amqp091_trace *trace, const char *name, bool value)
{
    assert(name != NULL);
    if (value)
        append(trace, " %s=1", name);
}

/* Escaped, as a peer may have chosen it. */
void lv_amqp091_trace_string(struct lv_amqp091_trace *trace, const char *name,
                             struct lv_bytes value)
{
    assert(value.data != NULL || value.size == 0);
    append(trace, " %s=\"", name);
    for (size_t i = 0; i < value.size; i++) {
        uint8_t c = value.data[i];
        bool plain = c >= ' ' && c <= '~' && c != '"' && c != '\\';
        append(trace, plain ? "%c" : "\\x%02x", c);
    }
    append(trace, "\"");
}

/* Tables and passwords: their size is all that is shown. */
void lv_amqp091_trace_opaque(struct lv_amqp091_trace *trace, const char *name,
                             struct lv_bytes value)
{
    assert(name != NULL);
    append(trace, " %s=(%zu bytes)", name, value.size);
}
