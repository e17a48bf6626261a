/*
 * broker/tags.h - things by delivery tag: given out in order, settled in any.
 *
 * The recent ones lie in a ring, so that the usual order costs one index. A thing that is kept
 * while many pass it by would make the ring as long as all that passed, so when a full ring has
 * little left in it, that little moves to a sorted array, where it is found by halving; the ring
 * starts over. Memory is thus bounded by what is unsettled, not by how far apart it lies.
 *
 * An item is `size` bytes, the same in all calls, and begins with a word that is not zero while the
 * item is in use. One owner.
 */
#pragma once

#include "base/defs.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* A ring for the recent ones and a sorted array for the few that stay open for long, so that one
 * forgotten acknowledgement does not keep room for millions. */
struct lv_tags {
    uint8_t *ring;     /* own   items by tag; NULL while nothing had to be remembered */
    uint8_t *old;      /* own   each a tag and an item, in order; all below base */
    uint64_t *account; /* view  bytes held are added there */
    uint64_t base;     /*       [base, next) is in the ring */
    uint64_t next;
    uint32_t capacity;           /* of the ring, 0 or a power of two */
    uint32_t old_begin, old_end; /* of the array; in front of begin all is settled */
    uint32_t old_live;           /* in use of [begin, end) */
    uint32_t old_capacity;
};

/* The first tag is 1. */
void lv_tags_init(struct lv_tags *tags, uint64_t *account);
/* The items' memory only; what they refer to is the caller's to let go of before. */
void lv_tags_fini(struct lv_tags *tags, size_t size);

/* Makes room for one tag more, slowly. -LV_E_NOMEM changes nothing. */
int lv_tags_make_room(struct lv_tags *tags, size_t size) LV_MUST_CHECK;
/* An item among the old ones, or NULL. */
void *lv_tags_find_old(const struct lv_tags *tags, size_t size, uint64_t tag);
/* The first item in use of at least *tag, whose tag *tag becomes, or NULL. */
void *lv_tags_seek(const struct lv_tags *tags, size_t size, uint64_t *tag);
/* The item was among the old ones. */
void lv_tags_drop_old(struct lv_tags *tags, size_t size);
/* Only while the ring is empty: a copy of the item under a tag above all others. The ring begins
 * behind it. */
int lv_tags_put(struct lv_tags *tags, size_t size, uint64_t tag, const void *item) LV_MUST_CHECK;

/* The first word of an item is 0 when it is settled, so no flags are needed beside the ring. */
static inline bool lv_tags_is_used(const void *item)
{
    uint64_t word;

    memcpy(&word, item, sizeof word);
    return word != 0;
}

/* Where the tag's item lies while it is in the ring; the capacity is a power of two. */
static inline uint8_t *lv_tags_slot(const struct lv_tags *tags, size_t size, uint64_t tag)
{
    return tags->ring + (tag & (tags->capacity - 1)) * size;
}

/* Room for one lv_tags_push(). */
static inline int lv_tags_reserve(struct lv_tags *tags, size_t size)
{
    if (LV_LIKELY(tags->next - tags->base < tags->capacity))
        return 0;
    return lv_tags_make_room(tags, size);
}

/* The item of the next tag, to be filled, or NULL when out of memory. */
static inline void *lv_tags_push(struct lv_tags *tags, size_t size)
{
    if (LV_UNLIKELY(lv_tags_reserve(tags, size) < 0))
        return NULL;
    return lv_tags_slot(tags, size, tags->next++);
}

/* Uses up a tag that needs no item. */
static inline int lv_tags_skip(struct lv_tags *tags, size_t size)
{
    if (tags->base == tags->next) { /* nothing before it in the ring: nothing to remember */
        tags->base = ++tags->next;
        return 0;
    }
    int rc = lv_tags_reserve(tags, size);
    if (rc == 0)
        memset(lv_tags_slot(tags, size, tags->next++), 0, sizeof(uint64_t));
    return rc;
}

/* NULL when the tag is not in use. */
static inline void *lv_tags_find(const struct lv_tags *tags, size_t size, uint64_t tag)
{
    if (LV_LIKELY(tag >= tags->base)) {
        if (tag >= tags->next)
            return NULL;
        uint8_t *item = lv_tags_slot(tags, size, tag);
        return lv_tags_is_used(item) ? item : NULL;
    }
    return tags->old_live == 0 ? NULL : lv_tags_find_old(tags, size, tag);
}

/* The item of this tag is settled. */
static inline void lv_tags_drop(struct lv_tags *tags, size_t size, uint64_t tag, void *item)
{
    memset(item, 0, sizeof(uint64_t));
    if (LV_UNLIKELY(tag < tags->base)) {
        lv_tags_drop_old(tags, size);
        return;
    }
    while (tags->base < tags->next && !lv_tags_is_used(lv_tags_slot(tags, size, tags->base)))
        tags->base++;
}
