#include "cli/ctl_table.h"

#include "base/alloc.h"

#include <string.h>

static const char *const forms[LV_CTL_FORM_COUNT] = {
    [LV_CTL_TABLE] = "table",
    [LV_CTL_JSON] = "json",
    [LV_CTL_CSV] = "csv",
    [LV_CTL_PRETTY] = "pretty_table",
};

enum lv_ctl_form lv_ctl_form_find(const char *name)
{
    enum lv_ctl_form form = (enum lv_ctl_form)0;

    assert(name != NULL);
    while (form < LV_CTL_FORM_COUNT && strcmp(forms[form], name) != 0)
        form++;
    return form;
}

/* ---- one line for each row ---- */

static void write_quoted(FILE *file, const char *text)
{
    assert(file != NULL);
    fputc('"', file);
    for (; *text != '\0'; text++) {
        if (*text == '"')
            fputc('"', file);
        fputc(*text, file);
    }
    fputc('"', file);
}

static void write_cell(const struct lv_ctl_table *table, unsigned column, const char *text)
{
    assert(column < table->column_count);
    if (column > 0)
        fputc(table->form == LV_CTL_CSV ? ',' : '\t', table->file);
    if (table->form == LV_CTL_CSV)
        write_quoted(table->file, text);
    else
        fputs(text, table->file);
}

static void write_line(const struct lv_ctl_table *table, const json_t *row)
{
    struct lv_ctl_text text = {.data = NULL};

    for (unsigned i = 0; i < table->column_count; i++) {
        text.size = 0;
        lv_ctl_text_value(&text, table->columns[i], json_array_get(row, i));
        write_cell(table, i, text.data);
    }
    assert(table->column_count > 0);
    fputc('\n', table->file);
    lv_ctl_text_fini(&text);
}

static void write_names(const struct lv_ctl_table *table)
{
    assert(table->row_count == 0);
    for (unsigned i = 0; i < table->column_count; i++)
        write_cell(table, i, table->columns[i]);
    fputc('\n', table->file);
}

/* One object for each row, so that the whole need not be held to be read. */
static void write_object(const struct lv_ctl_table *table, const json_t *row)
{
    assert(json_array_size(row) == table->column_count);
    fputs(table->row_count > 0 ? ",{" : "{", table->file);
    for (unsigned i = 0; i < table->column_count; i++) {
        fprintf(table->file, "%s\"%s\":", i > 0 ? "," : "", table->columns[i]);
        if (json_dumpf(json_array_get(row, i), table->file, JSON_COMPACT | JSON_ENCODE_ANY) < 0)
            clearerr(table->file); /* the last flush tells */
    }
    fputs("}\n", table->file);
}

/* ---- the one with a frame ---- */

/* Characters on the screen: bytes that don't continue one. */
static size_t width_of(const char *text)
{
    size_t width = 0;

    assert(text != NULL);
    for (; *text != '\0'; text++)
        width += ((uint8_t)*text & 0xc0) != 0x80;
    return width;
}

/* Takes what is in the text. */
static void keep_cell(struct lv_ctl_table *table, const struct lv_ctl_text *text)
{
    if (table->cell_count == table->cell_capacity) {
        size_t capacity = table->cell_capacity < 64 ? 64 : 2 * table->cell_capacity;

        table->cells = lv_realloc(table->cells, capacity * sizeof *table->cells);
        if (table->cells == NULL) {
            fprintf(stderr, "Error: out of memory\n");
            exit(1);
        }
        table->cell_capacity = capacity;
    }
    assert(text->data != NULL);
    table->cells[table->cell_count++] = *text;
}

static void keep_row(struct lv_ctl_table *table, const json_t *row)
{
    assert(table->column_count > 0);
    for (unsigned i = 0; i < table->column_count; i++) {
        struct lv_ctl_text text = {.data = NULL};

        if (row == NULL)
            lv_ctl_text_put(&text, lv_text(table->columns[i]));
        else
            lv_ctl_text_value(&text, table->columns[i], json_array_get(row, i));
        keep_cell(table, &text);
    }
    assert(table->cell_count % table->column_count == 0);
}

static size_t column_width(const struct lv_ctl_table *table, unsigned column)
{
    size_t widest = 0;

    assert(column < table->column_count);
    for (size_t i = column; i < table->cell_count; i += table->column_count) {
        size_t width = width_of(table->cells[i].data);

        widest = width > widest ? width : widest;
    }
    return widest;
}

/* The terminal's line-drawing set, as rabbitmqctl uses it: corners are l k m j, crossings t n u. */
static void write_rule(const struct lv_ctl_table *table, const size_t *widths, const char *marks)
{
    assert(strlen(marks) == 3);
    fprintf(table->file, "\033(0%c", marks[0]);
    for (unsigned i = 0; i < table->column_count; i++) {
        for (size_t n = 0; n < widths[i] + 2; n++)
            fputc('q', table->file);
        fputc(i + 1 < table->column_count ? marks[1] : marks[2], table->file);
    }
    fputs("\033(B\n", table->file);
}

static void write_framed(const struct lv_ctl_table *table, const size_t *widths, size_t first)
{
    bool is_bold = first == 0 && !table->is_plain;

    assert(first < table->cell_count);
    fputs("\033(0x\033(B", table->file);
    for (unsigned i = 0; i < table->column_count; i++) {
        const char *text = table->cells[first + i].data;

        fprintf(table->file, " %s%s%s%*s \033(0x\033(B", is_bold ? "\033[1m" : "", text,
                is_bold ? "\033[0m" : "", (int)(widths[i] - width_of(text)), "");
    }
    fputc('\n', table->file);
}

static void write_frame(const struct lv_ctl_table *table)
{
    size_t *widths = lv_calloc(table->column_count, sizeof *widths);

    assert(table->cell_count >= table->column_count);
    if (widths == NULL) {
        fprintf(stderr, "Error: out of memory\n");
        exit(1);
    }
    for (unsigned i = 0; i < table->column_count; i++)
        widths[i] = column_width(table, i);
    for (size_t i = 0; i < table->cell_count; i += table->column_count) {
        write_rule(table, widths, i == 0 ? "lwk" : "tnu");
        write_framed(table, widths, i);
    }
    write_rule(table, widths, "mvj");
    lv_free(widths);
}

/* ---- all of them ---- */

void lv_ctl_table_begin(struct lv_ctl_table *table)
{
    assert(table->column_count > 0);
    if (table->form == LV_CTL_JSON && !table->is_blank_when_empty)
        fputs("[\n", table->file);
}

void lv_ctl_table_row(struct lv_ctl_table *table, const json_t *row)
{
    assert(table->form < LV_CTL_FORM_COUNT);
    if (table->form == LV_CTL_JSON) {
        if (table->row_count == 0 && table->is_blank_when_empty)
            fputs("[\n", table->file);
        write_object(table, row);
    } else if (table->form == LV_CTL_PRETTY) {
        if (table->row_count == 0)
            keep_row(table, NULL);
        keep_row(table, row);
    } else {
        if (table->row_count == 0 && table->has_header)
            write_names(table);
        write_line(table, row);
    }
    table->row_count++;
}

void lv_ctl_table_end(struct lv_ctl_table *table)
{
    assert(table->file != NULL);
    if (table->row_count == 0 && table->is_blank_when_empty)
        fputs(table->form == LV_CTL_JSON ? "[]\n" : "\n", table->file);
    else if (table->form == LV_CTL_JSON)
        fputs("]\n", table->file);
    if (table->row_count > 0 && table->form == LV_CTL_PRETTY)
        write_frame(table);
    for (size_t i = 0; i < table->cell_count; i++)
        lv_ctl_text_fini(&table->cells[i]);
    lv_free(table->cells);
    table->cells = NULL;
    table->cell_count = 0;
}
