/*
 * cli/ctl_table.h - rows on standard output in one of rabbitmqctl's forms.
 *
 * The header of `table` and `csv` comes with the first row: a list of nothing prints nothing.
 * `pretty_table` knows its widths at the end only and keeps all rows until then. Main thread.
 */
#pragma once

#include "cli/ctl_text.h"

#include <stdio.h>

enum lv_ctl_form { LV_CTL_TABLE, LV_CTL_JSON, LV_CTL_CSV, LV_CTL_PRETTY, LV_CTL_FORM_COUNT };

struct lv_ctl_table {
    FILE *file;                 /* view */
    const char *const *columns; /* view */
    unsigned column_count;
    enum lv_ctl_form form;
    bool has_header;          /*       wanted */
    bool is_plain;            /*       no bold */
    bool is_blank_when_empty; /* an empty line, or [] in one line, for a list of nothing */
    size_t row_count;
    struct lv_ctl_text *cells; /* own   PRETTY: header and rows */
    size_t cell_count, cell_capacity;
};

/* LV_CTL_FORM_COUNT: no such form. */
enum lv_ctl_form lv_ctl_form_find(const char *name);

void lv_ctl_table_begin(struct lv_ctl_table *table);
/* An array with a value for each column. */
void lv_ctl_table_row(struct lv_ctl_table *table, const json_t *row);
/* Frees what it has kept. */
void lv_ctl_table_end(struct lv_ctl_table *table);
