#include "base/deadline.h"

/* NULL when the heap is empty. */
static struct lv_deadline *first_of(const struct lv_heap *heap)
{
    struct lv_heap_node *node = lv_heap_first(heap);

    return node != NULL ? lv_container(node, struct lv_deadline, node) : NULL;
}

/* During a run, what is due already goes aside: else a deadline that always arms itself for now
 * would never let the run end. */
static void arm(struct lv_deadlines *set, struct lv_deadline *deadline, uint64_t at)
{
    assert(!deadline->armed);
    deadline->armed = true;
    deadline->late = set->running && at <= set->now;
    lv_heap_insert(deadline->late ? &set->late : &set->heap, &deadline->node, at);
}

/* From whichever heap it waits in. */
static void disarm(struct lv_deadlines *set, struct lv_deadline *deadline)
{
    assert(deadline->armed);
    lv_heap_remove(deadline->late ? &set->late : &set->heap, &deadline->node);
    deadline->armed = deadline->late = false;
}

/* Once in its life; setting and firing leave it ready to be set again. */
void lv_deadline_init(struct lv_deadline *deadline, lv_deadline_fn *fire)
{
    assert(fire != NULL);
    *deadline = (struct lv_deadline){.fire = fire};
}

/* Moving is the common case: a heartbeat's deadline moves with every frame. */
void lv_deadline_set(struct lv_deadlines *set, struct lv_deadline *deadline, uint64_t at)
{
    assert(deadline->fire != NULL);
    lv_deadline_cancel(set, deadline);
    arm(set, deadline, at);
}

/* So that who ends need not know whether anything is still to come. */
void lv_deadline_cancel(struct lv_deadlines *set, struct lv_deadline *deadline)
{
    assert(deadline->fire != NULL);
    if (deadline->armed)
        disarm(set, deadline);
}

/* What was armed in the last run for a moment that had passed is due at once. */
uint64_t lv_deadlines_next(const struct lv_deadlines *set)
{
    const struct lv_deadline *soon = first_of(&set->heap);
    const struct lv_deadline *late = first_of(&set->late);
    uint64_t at = soon != NULL ? soon->node.key : LV_NEVER;

    assert(!set->running);
    return late != NULL && late->node.key < at ? late->node.key : at;
}

/* Each is disarmed before it fires, since it may free itself or what it belongs to. */
void lv_deadlines_run(struct lv_deadlines *set, uint64_t now)
{
    struct lv_deadline *due;

    assert(!set->running);
    set->running = true;
    set->now = now;
    while ((due = first_of(&set->heap)) != NULL && due->node.key <= now) {
        disarm(set, due);
        due->fire(due, now); /* it may be gone after this */
    }
    set->running = false;
    assert(first_of(&set->heap) == NULL || first_of(&set->heap)->node.key > now);
    while ((due = first_of(&set->late)) != NULL) {
        uint64_t at = due->node.key;
        disarm(set, due);
        arm(set, due, at);
    }
}
