/*
 * admin/deed.h - something that a client of the control socket wants done, on its way through
 * helpers and shards.
 *
 * Whoever holds the deed owns it; the request is its sender's and outlives it. The parts that need
 * neither shards nor helpers are here: what an import changes, and what an export says. They may
 * take as long as definitions are large, so a helper thread does them.
 */
#pragma once

#include "admin/definitions_plan.h"
#include "admin/gather.h"
#include "admin/request.h"

struct lv_deed {
    struct lv_letter letter;          /*       of who carries it back */
    const struct lv_request *request; /* view */
    struct lv_gather *gather;         /* view  EXPORT, IMPORT: what there is */
    struct lv_bytes body;             /* view  IMPORT: the file */
    const char *version;              /* view  EXPORT: of RabbitMQ, as clients are told */
    struct lv_definitions wanted;     /* own   IMPORT */
    struct lv_plan plan;              /* own   IMPORT */
    struct lv_rows rows;              /* own   what is said besides how it went */
    uint64_t count;                   /*       messages or connections that went */
    int error;
    struct lv_diag diag;
};

/* EXPORT: the definitions are in the rows, as a line {"size": N} and N bytes. */
void lv_deed_export(struct lv_deed *deed);
/* IMPORT: reads the file and makes the plan; rows are the notes on what is left out and, when only
 * the plan is wanted, its steps. */
void lv_deed_import(struct lv_deed *deed);
void lv_deed_fini(struct lv_deed *deed);
