#include "server/chatter.h"

#include <string.h>

/* What was left out since the row's window began, in one line. */
static void tell(struct lv_chatter_row *row)
{
    assert(row->name != NULL);
    if (row->held == 0)
        return;
    lv_event(row->level, "log.suppressed", LV_S("like", row->name), LV_U("lines", row->held));
    row->held = 0;
}

/* A window begins with the first line after the last one's end: silence needs no clock. */
static void open_window(struct lv_chatter_row *row, uint64_t now)
{
    assert(row->held == 0);
    row->said = 0;
    row->ends_at = now + LV_CHATTER_WINDOW_NS;
}

/* Tells of windows that are over, and waits for the next one's end. */
static void tick(struct lv_deadline *deadline, uint64_t now)
{
    struct lv_chatter *chatter = lv_container(deadline, struct lv_chatter, deadline);
    uint64_t next = LV_NEVER;

    assert(!deadline->armed);
    for (size_t i = 0; i < LV_CHATTER_NAMES && chatter->rows[i].name != NULL; i++) {
        struct lv_chatter_row *row = &chatter->rows[i];

        if (row->held > 0 && row->ends_at <= now)
            tell(row);
        if (row->held > 0 && row->ends_at < next)
            next = row->ends_at;
    }
    if (next != LV_NEVER)
        lv_deadline_set(chatter->deadlines, deadline, next);
}

/* Names are few and literals, so walking over them is cheap beside writing a line. */
static struct lv_chatter_row *find(struct lv_chatter *chatter, const char *name)
{
    size_t i = 0;

    while (i < LV_CHATTER_NAMES && chatter->rows[i].name != NULL &&
           strcmp(chatter->rows[i].name, name) != 0)
        i++;
    assert(i < LV_CHATTER_NAMES); /* a new event wants LV_CHATTER_NAMES raised */
    chatter->rows[i].name = name;
    return &chatter->rows[i];
}

void lv_chatter_init(struct lv_chatter *chatter, struct lv_deadlines *deadlines)
{
    assert(deadlines != NULL);
    *chatter = (struct lv_chatter){.deadlines = deadlines};
    lv_deadline_init(&chatter->deadline, tick);
}

void lv_chatter_fini(struct lv_chatter *chatter)
{
    assert(chatter->deadlines != NULL);
    lv_deadline_cancel(chatter->deadlines, &chatter->deadline);
    for (size_t i = 0; i < LV_CHATTER_NAMES && chatter->rows[i].name != NULL; i++)
        tell(&chatter->rows[i]);
}

bool lv_chatter_may_say(struct lv_chatter *chatter, enum lv_level level, const char *name,
                        uint64_t now)
{
    struct lv_chatter_row *row;

    assert(name != NULL);
    if (level == LV_DEBUG)
        return true;
    row = find(chatter, name);
    row->level = level;
    if (row->ends_at <= now) {
        tell(row);
        open_window(row, now);
    }
    if (row->said < LV_CHATTER_LINES) {
        row->said++;
        return true;
    }
    row->held++;
    if (!chatter->deadline.armed) /* else its tick finds this row too */
        lv_deadline_set(chatter->deadlines, &chatter->deadline, row->ends_at);
    return false;
}
