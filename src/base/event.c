#include "base/event.h"

#include "base/defs.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#define LINE_SIZE_MAX  8192u
#define VALUE_SIZE_MAX 1024u /* of a value, escaped */
#define NAME_SIZE_MAX  64u   /* of an event's or a field's name; our own code chooses them */
#define ESCAPE_SIZE    6u    /* no character takes more, escaped or not */

/* What a field may take: ` name=` or `,"name":`, the value in quotes, the mark that it was cut. */
#define FIELD_SIZE_MAX (NAME_SIZE_MAX + VALUE_SIZE_MAX + 12u)

/* Set once, before any thread starts; read by all. */
static struct lv_event_sink heard_by[LV_EVENT_SINKS_MAX];
static unsigned sink_count;

/* A line that is being built, on the stack of whoever says something. */
struct line {
    char text[LINE_SIZE_MAX];
    size_t used;
    bool is_json;
};

/* As people filter for it, and as the settings have it. */
static const char *level_name(enum lv_level level)
{
    static const char *const names[] = {
        [LV_DEBUG] = "debug", [LV_INFO] = "info", [LV_WARN] = "warning", [LV_ERROR] = "error"};

    assert(level <= LV_ERROR);
    return names[level];
}

/* There is always room: a field is only begun when all of it fits. */
static void add(struct line *line, struct lv_bytes bytes)
{
    assert(bytes.size <= sizeof line->text - line->used);
    memcpy(line->text + line->used, bytes.data, bytes.size);
    line->used += bytes.size;
}

/* Our own words only: values go through add_quoted(). */
static void add_text(struct line *line, const char *text)
{
    assert(text != NULL);
    add(line, lv_text(text));
}

/* The byte in a form that is harmless everywhere. JSON has no bytes: what is not ASCII is the mark
 * for what can't be shown. */
static void add_escape(struct line *line, uint8_t byte)
{
    char escape[ESCAPE_SIZE + 1];

    assert(LINE_SIZE_MAX - line->used >= ESCAPE_SIZE);
    switch (byte) {
    case '\n':
        add_text(line, "\\n");
        return;
    case '\r':
        add_text(line, "\\r");
        return;
    case '\t':
        add_text(line, "\\t");
        return;
    case '"':
        add_text(line, "\\\"");
        return;
    case '\\':
        add_text(line, "\\\\");
        return;
    }
    if (!line->is_json)
        (void)snprintf(escape, sizeof escape, "\\x%02X", byte);
    else
        (void)snprintf(escape, sizeof escape, "\\u%04x", byte < 0x80 ? byte : 0xfffd);
    add_text(line, escape);
}

/* A character that may stand in a line as it is. U+0080 to U+009F are control characters as much as
 * those below U+0020: some terminals obey them. */
static bool is_harmless(struct lv_bytes character)
{
    const uint8_t *p = character.data;

    assert(character.size > 0);
    if (character.size == 1)
        return p[0] >= 0x20 && p[0] < 0x7f && p[0] != '"' && p[0] != '\\';
    return !(p[0] == 0xc2 && p[1] < 0xa0);
}

/* Returns how many bytes of `rest` it took. */
static size_t add_character(struct line *line, struct lv_bytes rest)
{
    size_t size = lv_utf8_char(rest);

    assert(rest.size > 0);
    if (size > 0 && is_harmless(lv_bytes(rest.data, size))) {
        add(line, lv_bytes(rest.data, size));
        return size;
    }
    add_escape(line, rest.data[0]);
    return 1;
}

/* A value that somebody else chose. */
static void add_quoted(struct line *line, struct lv_bytes value)
{
    size_t limit = line->used + VALUE_SIZE_MAX;
    size_t at = 0;

    add_text(line, "\"");
    while (at < value.size && line->used + ESCAPE_SIZE <= limit)
        at += add_character(line, lv_bytes(value.data + at, value.size - at));
    assert(at <= value.size);
    if (at == value.size)
        add_text(line, "\"");
    else
        add_text(line, line->is_json ? "...\"" : "\"...");
}

/* Numbers need no quotes, so what reads them need not look for any. */
static void add_value(struct line *line, const struct lv_event_field *field)
{
    char digits[24];

    switch (field->kind) {
    case LV_EVENT_TEXT:
        if (field->text == NULL)
            add_text(line, line->is_json ? "null" : "none");
        else
            add_quoted(line, lv_text(field->text));
        return;
    case LV_EVENT_BYTES:
        add_quoted(line, field->bytes);
        return;
    case LV_EVENT_UNSIGNED:
        (void)snprintf(digits, sizeof digits, "%" PRIu64, field->number);
        add_text(line, digits);
        return;
    case LV_EVENT_SIGNED:
        (void)snprintf(digits, sizeof digits, "%" PRId64, field->integer);
        add_text(line, digits);
        return;
    }
    LV_IMPOSSIBLE("an event field of no kind");
}

/* The name is a literal of ours; its size is a programmer's matter. */
static void add_field(struct line *line, const struct lv_event_field *field)
{
    assert(strlen(field->name) + 2 <= NAME_SIZE_MAX);
    add_text(line, line->is_json ? ",\"" : " ");
    add_text(line, field->name);
    add_text(line, line->is_json ? "\":" : "=");
    add_value(line, field);
}

/* All of the line that the sink does not add. */
static void build(struct line *line, enum lv_level level, const struct lv_event_line *event)
{
    const size_t limit = LINE_SIZE_MAX - FIELD_SIZE_MAX - sizeof ",\"cut\":true}";

    line->used = 0;
    add_text(line, line->is_json ? "\"level\":\"" : "level=");
    add_text(line, level_name(level));
    add_text(line, line->is_json ? "\",\"event\":\"" : " event=");
    add_text(line, event->name);
    if (line->is_json)
        add_text(line, "\"");
    for (const struct lv_event_field *field = event->fields; field->name != NULL; field++) {
        if (line->used > limit) {
            add_text(line, line->is_json ? ",\"cut\":true" : " ...");
            break;
        }
        add_field(line, field);
    }
    add_text(line, line->is_json ? "}\n" : "\n");
    assert(line->used <= sizeof line->text);
}

void lv_event_sinks(const struct lv_event_sink *sinks, unsigned count)
{
    assert(count <= LV_EVENT_SINKS_MAX);
    for (unsigned i = 0; i < count; i++) {
        assert(sinks[i].write != NULL);
        heard_by[i] = sinks[i];
    }
    sink_count = count;
}

void lv_event_sink(lv_event_sink_fn *write, void *ctx, enum lv_level lowest)
{
    const struct lv_event_sink one = {.write = write, .ctx = ctx, .lowest = lowest};

    assert(lowest <= LV_ERROR);
    lv_event_sinks(&one, write != NULL);
}

bool lv_event_is_heard(enum lv_level level)
{
    assert(level <= LV_ERROR);
    for (unsigned i = 0; i < sink_count; i++) {
        if (level >= heard_by[i].lowest)
            return true;
    }
    return false;
}

/* On the speaker's stack and in one call of each sink: lines of several threads cannot mix. Levels
 * below the lowest cost a compare and no formatting. */
void lv_event_write(enum lv_level level, struct lv_event_line event)
{
    struct line line;

    assert(event.name != NULL);
    assert(strlen(event.name) <= NAME_SIZE_MAX);
    for (unsigned i = 0; i < sink_count; i++) {
        if (level < heard_by[i].lowest)
            continue;
        line.is_json = heard_by[i].form == LV_EVENT_JSON;
        build(&line, level, &event);
        heard_by[i].write(heard_by[i].ctx, level, lv_bytes(line.text, line.used));
    }
}
