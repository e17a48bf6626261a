#include "admin/deed.h"

#include "admin/definitions_read.h"
#include "admin/definitions_write.h"

#include <inttypes.h>
#include <stdio.h>

static void put(void *ctx, struct lv_bytes bytes)
{
    struct lv_rows *rows = ctx;

    assert(bytes.data != NULL);
    if (!rows->is_short)
        lv_rows_bytes(rows, bytes);
}

void lv_deed_export(struct lv_deed *deed)
{
    struct lv_rows text = {.text = NULL};
    const struct lv_json json = {.put = put, .ctx = &text};
    char line[40];

    lv_definitions_prune(&deed->gather->list);
    lv_definitions_write(&deed->gather->list, deed->version, &json);
    if (text.is_short) {
        deed->error = lv_fail(&deed->diag, -LV_E_NOMEM, "out of memory for definitions");
        lv_rows_fini(&text);
        return;
    }
    snprintf(line, sizeof line, "{\"size\":%zu}\n", text.size);
    lv_rows_raw(&deed->rows, line);
    lv_rows_bytes(&deed->rows, lv_bytes(text.text, text.size));
    lv_rows_fini(&text);
    assert(deed->error == 0);
}

/* Each as an object of one member. */
static void put_line(struct lv_rows *rows, const char *member, const char *text)
{
    assert(member != NULL);
    lv_rows_raw(rows, "{\"");
    lv_rows_raw(rows, member);
    lv_rows_raw(rows, "\":");
    lv_rows_raw_text(rows, text);
    lv_rows_raw(rows, "}\n");
}

static void put_notes(struct lv_deed *deed)
{
    const struct lv_definitions *wanted = &deed->wanted;
    char text[sizeof(struct lv_diag)];

    for (size_t i = 0; i < wanted->note_count && i < LV_DEFINITIONS_NOTES_MAX; i++) {
        snprintf(text, sizeof text, "%.*s", LV_FMT(wanted->notes[i]));
        put_line(&deed->rows, "note", text);
    }
    assert(deed->error == 0);
    if (wanted->note_count <= LV_DEFINITIONS_NOTES_MAX)
        return;
    snprintf(text, sizeof text, "and %zu more are left out",
             wanted->note_count - LV_DEFINITIONS_NOTES_MAX);
    put_line(&deed->rows, "note", text);
}

static void put_plan(struct lv_deed *deed)
{
    char text[LV_DEFINITION_TEXT_SIZE + 2];

    assert(deed->request->is_plan);
    for (size_t i = 0; i < deed->plan.count; i++) {
        const struct lv_plan_step *step = &deed->plan.steps[i];

        text[0] = step->is_change ? '~' : '+';
        text[1] = ' ';
        (void)lv_definition_print(&step->wanted->change, text + 2);
        put_line(&deed->rows, "step", text);
    }
}

void lv_deed_import(struct lv_deed *deed)
{
    assert(deed->error == 0);
    deed->error = lv_definitions_read(deed->body, &deed->wanted, &deed->diag);
    if (deed->error == 0)
        deed->error = lv_plan_make(&deed->gather->list, &deed->wanted, &deed->plan, &deed->diag);
    if (deed->error < 0)
        return;
    put_notes(deed);
    if (deed->request->is_plan)
        put_plan(deed);
    deed->count = deed->plan.count;
    if (deed->rows.is_short)
        deed->error = lv_fail(&deed->diag, -LV_E_NOMEM, "out of memory for definitions");
}

void lv_deed_fini(struct lv_deed *deed)
{
    assert(deed->error <= 0);
    lv_plan_fini(&deed->plan);
    if (deed->wanted.arena.limit > 0)
        lv_definitions_fini(&deed->wanted);
    lv_rows_fini(&deed->rows);
}
