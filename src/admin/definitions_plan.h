/*
 * admin/definitions_plan.h - what an import changes: a wanted list against what the broker has.
 *
 * Nothing is ever deleted. Vhosts, users, permissions and limits become what the file says; queues,
 * exchanges and bindings are added, and one that is there must be the same as a declare would have
 * to be. Pure; any thread that owns the lists.
 */
#pragma once

#include "admin/definitions.h"
#include "base/err.h"

struct lv_plan_step {
    const struct lv_definition *wanted; /* view  in the wanted list */
    bool is_change;                     /*       it is there and becomes this */
};

/* All zeros is a plan to do nothing. */
struct lv_plan {
    struct lv_plan_step *steps; /* own   in the order in which they can be made */
    size_t count;
};

/* Both lists are sorted. -LV_E_PRECONDITION: nothing of it can be done; the sentence begins with
 * where it is in the file; -LV_E_NOMEM. */
int lv_plan_make(const struct lv_definitions *current, const struct lv_definitions *wanted,
                 struct lv_plan *ret_plan, struct lv_diag *diag) LV_MUST_CHECK;
void lv_plan_fini(struct lv_plan *plan);
