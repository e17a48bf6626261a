/*
 * base/event.h - what happened, for the log: an event's name, then typed fields.
 *
 *   lv_event(LV_WARN, "connection.refused", LV_S("peer", peer), LV_U("limit", limit));
 *
 * becomes `level=warning event=connection.refused peer="127.0.0.1:5000" limit=5`, or in JSON
 * `"level":"warning","event":"connection.refused","peer":"127.0.0.1:5000","limit":5}`, behind
 * whatever a sink puts before it. One line per event that matters, never one per message. Text is
 * always quoted and escaped, so a peer cannot forge a line: control characters, quotes, backslashes
 * and what isn't UTF-8. A long value is cut and gets "..." at its end; a line with too many fields
 * ends with " ...", in JSON with `"cut":true`. Any thread; one line is one write.
 */
#pragma once

#include "base/bytes.h"

enum lv_level { LV_DEBUG, LV_INFO, LV_WARN, LV_ERROR };

enum lv_event_kind { LV_EVENT_TEXT, LV_EVENT_BYTES, LV_EVENT_UNSIGNED, LV_EVENT_SIGNED };

/* Made by the macros below, on the stack of whoever speaks. */
struct lv_event_field {
    const char *name; /* view; NULL ends the list */
    enum lv_event_kind kind;
    union {
        const char *text; /* view, may be NULL */
        struct lv_bytes bytes;
        uint64_t number;
        int64_t integer;
    };
};

#define LV_S(field, value)                                                                         \
    ((struct lv_event_field){.name = (field), .kind = LV_EVENT_TEXT, .text = (value)})
#define LV_B(field, value)                                                                         \
    ((struct lv_event_field){.name = (field), .kind = LV_EVENT_BYTES, .bytes = (value)})
#define LV_U(field, value)                                                                         \
    ((struct lv_event_field){.name = (field), .kind = LV_EVENT_UNSIGNED, .number = (value)})
#define LV_I(field, value)                                                                         \
    ((struct lv_event_field){.name = (field), .kind = LV_EVENT_SIGNED, .integer = (value)})

#define lv_event(level, ...)                                                                       \
    lv_event_write((level), (const struct lv_event_line){LV_EVENT_LINE(__VA_ARGS__, LV_EVENT_END)})
#define LV_EVENT_END ((struct lv_event_field){.name = NULL})
/* The end goes in above, so that an event without fields leaves no empty list of arguments. */
#define LV_EVENT_LINE(event, ...)                                                                  \
    .name = (event), .fields = (const struct lv_event_field[])                                     \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

/* What lv_event() puts together; valid for the call. */
struct lv_event_line {
    const char *name;                    /* view */
    const struct lv_event_field *fields; /* view  ends with a field without a name */
};

/* Where lines go: one call per line, the line ends with '\n'. The sink adds the time. */
typedef void lv_event_sink_fn(void *ctx, enum lv_level level, struct lv_bytes line);

/* The names of an object in JSON: the sink's `time`, then `level`, `event`, and the fields'. */
enum lv_event_form { LV_EVENT_PLAIN, LV_EVENT_JSON };

#define LV_EVENT_SINKS_MAX 2u

struct lv_event_sink {
    lv_event_sink_fn *write;
    void *ctx; /* view */
    enum lv_level lowest;
    enum lv_event_form form;
};

/* Before any thread starts, or when there are none any more. Without a sink events are dropped. */
void lv_event_sinks(const struct lv_event_sink *sinks, unsigned count);
/* One sink, for people; NULL: none. */
void lv_event_sink(lv_event_sink_fn *sink, void *ctx, enum lv_level lowest);
/* Whether a line of this level goes anywhere: for what is costly to put together. */
bool lv_event_is_heard(enum lv_level level);
/* What lv_event() calls. */
void lv_event_write(enum lv_level level, struct lv_event_line line);
