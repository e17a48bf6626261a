/*
 * store/slots.h - from page numbers to pages.
 *
 * Open addressing, at most half full. Not an array from the oldest number to the newest: a message
 * that stays for a year must not make that array grow for a year. Nobody outside chooses the
 * numbers, so the hash needs no secret. Pure; one owner.
 */
#pragma once

#include "base/defs.h"

#include <stdint.h>

struct lv_page;

struct lv_slot {
    uint64_t number;
    struct lv_page *page; /* view  NULL: the slot is free */
};

struct lv_slots {
    struct lv_slot *slots; /* own   1 << log2 of them */
    uint32_t log2;
    uint32_t count; /*       slots in use */
};

/* An empty table, of the smallest size. -LV_E_NOMEM. */
int lv_slots_init(struct lv_slots *slots) LV_MUST_CHECK;
/* Frees the table, not the pages. */
void lv_slots_fini(struct lv_slots *slots);

/* How many slots there are, used and free. */
static inline uint32_t lv_slots_capacity(const struct lv_slots *slots)
{
    assert(slots->log2 < 32);
    return 1u << slots->log2;
}

/* Where a number's slot should be. Fibonacci hashing spreads neighbours, which is what page numbers
 * mostly are, so evenly that they hardly ever meet. */
static inline uint32_t lv_slots_home(const struct lv_slots *slots, uint64_t number)
{
    return (uint32_t)((number * 0x9e3779b97f4a7c15u) >> (64 - slots->log2));
}

/* The number's slot, or the free one where it would go. */
static inline struct lv_slot *lv_slots_find(const struct lv_slots *slots, uint64_t number)
{
    uint32_t at = lv_slots_home(slots, number);

    assert(slots->count < lv_slots_capacity(slots));
    while (LV_UNLIKELY(slots->slots[at].number != number) && slots->slots[at].page != NULL)
        at = (at + 1) & (lv_slots_capacity(slots) - 1);
    return &slots->slots[at];
}

/* NULL when there is none. */
static inline struct lv_page *lv_slots_get(const struct lv_slots *slots, uint64_t number)
{
    return lv_slots_find(slots, number)->page;
}

/* Makes sure that the next lv_slots_put() finds room. -LV_E_NOMEM changes nothing. */
int lv_slots_reserve(struct lv_slots *slots) LV_MUST_CHECK;
/* The number must be absent, and room reserved. */
void lv_slots_put(struct lv_slots *slots, uint64_t number, struct lv_page *page);
/* The number must be there. */
void lv_slots_remove(struct lv_slots *slots, uint64_t number);
