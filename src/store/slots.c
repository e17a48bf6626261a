#include "store/slots.h"

#include "base/alloc.h"
#include "base/err.h"

#define LOG2_MIN 4u
#define LOG2_MAX 31u

int lv_slots_init(struct lv_slots *slots)
{
    *slots = (struct lv_slots){.log2 = LOG2_MIN};
    slots->slots = lv_calloc(lv_slots_capacity(slots), sizeof *slots->slots);
    return slots->slots != NULL ? 0 : -LV_E_NOMEM;
}

void lv_slots_fini(struct lv_slots *slots)
{
    lv_free(slots->slots);
    slots->slots = NULL;
}

int lv_slots_reserve(struct lv_slots *slots)
{
    struct lv_slots grown = {.log2 = slots->log2 + 1};

    if ((slots->count + 1) * 2 <= lv_slots_capacity(slots))
        return 0;
    if (grown.log2 > LOG2_MAX)
        return -LV_E_NOMEM;
    grown.slots = lv_calloc(lv_slots_capacity(&grown), sizeof *grown.slots);
    if (grown.slots == NULL)
        return -LV_E_NOMEM;
    for (uint32_t i = 0; i < lv_slots_capacity(slots); i++) {
        if (slots->slots[i].page != NULL)
            lv_slots_put(&grown, slots->slots[i].number, slots->slots[i].page);
    }
    assert(grown.count == slots->count);
    lv_free(slots->slots);
    *slots = grown;
    return 0;
}

void lv_slots_put(struct lv_slots *slots, uint64_t number, struct lv_page *page)
{
    struct lv_slot *slot = lv_slots_find(slots, number);

    assert(page != NULL);
    assert(slot->page == NULL);
    assert((slots->count + 1) * 2 <= lv_slots_capacity(slots));
    *slot = (struct lv_slot){.number = number, .page = page};
    slots->count++;
}

void lv_slots_remove(struct lv_slots *slots, uint64_t number)
{
    struct lv_slot *table = slots->slots;
    uint32_t mask = lv_slots_capacity(slots) - 1;
    uint32_t hole = (uint32_t)(lv_slots_find(slots, number) - table);

    assert(table[hole].page != NULL);
    /* What lies behind the hole moves forward, so there are no tombstones. */
    for (uint32_t at = (hole + 1) & mask; table[at].page != NULL; at = (at + 1) & mask) {
        uint32_t home = lv_slots_home(slots, table[at].number);
        /* It may move when its home isn't between the hole (exclusive) and where it lies. */
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            table[hole] = table[at];
            hole = at;
        }
    }
    table[hole] = (struct lv_slot){.page = NULL};
    slots->count--;
}
