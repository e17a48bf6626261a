#include "admin/definitions_plan.h"

#include "base/alloc.h"

/* Makes what is there into something else, where others refuse. */
static bool is_overwritten(enum lv_change_kind kind)
{
    assert(kind < LV_CHANGE_COUNT);
    return kind != LV_CHANGE_EXCHANGE_DECLARE && kind != LV_CHANGE_QUEUE_DECLARE &&
           kind != LV_CHANGE_BIND;
}

static int check_needs(const struct lv_definitions *current, const struct lv_definitions *wanted,
                       const struct lv_definition *item, struct lv_diag *diag)
{
    char text[LV_DEFINITION_TEXT_SIZE];
    struct lv_bytes name;
    const char *missing = lv_definition_missing(current, wanted, &item->change, &name);

    assert(missing == NULL || missing[0] != '\0');
    if (missing == NULL)
        return 0;
    return lv_fail(diag, -LV_E_PRECONDITION,
                   "%s[%u]: %.200s: there is no %s '%.*s', neither in the broker nor in the file",
                   lv_definition_section(item->change.kind), item->place,
                   lv_definition_print(&item->change, text), missing,
                   (int)(name.size < 100 ? name.size : 100), (const char *)name.data);
}

/* What is there under this name has to be what is wanted. */
static int check_same(const struct lv_definition *item, const struct lv_definition *found,
                      struct lv_diag *diag)
{
    struct lv_diag why = {""};
    char text[LV_DEFINITION_TEXT_SIZE];
    int rc;

    assert(!is_overwritten(item->change.kind));
    if (item->change.kind == LV_CHANGE_BIND)
        return 0; /* all of it is its identity */
    if (found->change.exclusive)
        return lv_fail(diag, -LV_E_PRECONDITION,
                       "%s[%u]: %.300s is there and exclusive to a connection",
                       lv_definition_section(item->change.kind), item->place,
                       lv_definition_print(&item->change, text));
    rc = lv_declare_check_same(&item->change, &found->change, &why);
    if (rc < 0)
        return lv_fail(diag, -LV_E_PRECONDITION, "%s[%u]: %.460s",
                       lv_definition_section(item->change.kind), item->place, why.text);
    return 0;
}

/* Limits that limit nothing. */
static bool is_nothing(const struct lv_change *change)
{
    assert(change->kind < LV_CHANGE_COUNT);
    return change->kind == LV_CHANGE_LIMITS_PUT && change->arguments == NULL;
}

int lv_plan_make(const struct lv_definitions *current, const struct lv_definitions *wanted,
                 struct lv_plan *ret_plan, struct lv_diag *diag)
{
    struct lv_plan plan = {.steps = lv_calloc(wanted->count + 1, sizeof *plan.steps)};

    assert(wanted->is_sorted || wanted->count == 0);
    if (plan.steps == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory for definitions");
    for (size_t i = 0; i < wanted->count; i++) {
        const struct lv_definition *item = &wanted->items[i];
        const struct lv_definition *found = lv_definitions_find(current, &item->change);
        bool is_fixed = !is_overwritten(item->change.kind);
        int rc = check_needs(current, wanted, item, diag);

        if (rc == 0 && found != NULL && is_fixed)
            rc = check_same(item, found, diag);
        if (rc < 0) {
            lv_plan_fini(&plan);
            return rc;
        }
        if (found == NULL ? !is_nothing(&item->change)
                          : !is_fixed && !lv_definition_equals(item, found))
            plan.steps[plan.count++] = (struct lv_plan_step){item, found != NULL};
    }
    *ret_plan = plan;
    return 0;
}

void lv_plan_fini(struct lv_plan *plan)
{
    assert(plan->count == 0 || plan->steps != NULL);
    lv_free(plan->steps);
    *plan = (struct lv_plan){.steps = NULL};
}
