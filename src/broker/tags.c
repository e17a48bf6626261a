#include "broker/tags.h"

#include "base/alloc.h"
#include "base/err.h"

#define RING_CAPACITY_MIN 8u
#define OLD_CAPACITY_MIN  8u
#define CAPACITY_MAX      (1u << 30)

/* Tags begin at 1: 0 means "all" in acknowledgements. */
void lv_tags_init(struct lv_tags *tags, uint64_t *account)
{
    assert(account != NULL);
    *tags = (struct lv_tags){.account = account, .base = 1, .next = 1};
}

/* What the items refer to has been let go of before. */
void lv_tags_fini(struct lv_tags *tags, size_t size)
{
    assert(*tags->account >= tags->capacity * size);
    *tags->account -= tags->capacity * size;
    *tags->account -= tags->old_capacity * (sizeof(uint64_t) + size);
    lv_free(tags->ring);
    lv_free(tags->old);
    lv_tags_init(tags, tags->account);
}

/* ---- the old ones ---- */

/* A tag and its item, side by side. */
static uint8_t *old_entry(const struct lv_tags *tags, size_t size, uint32_t index)
{
    assert(index < tags->old_end);
    return tags->old + index * (sizeof(uint64_t) + size);
}

/* Copied out, as entries need not be aligned. */
static uint64_t old_tag(const struct lv_tags *tags, size_t size, uint32_t index)
{
    uint64_t tag;

    assert(size >= sizeof(uint64_t));
    memcpy(&tag, old_entry(tags, size, index), sizeof tag);
    return tag;
}

/* Valid until the next change of the old ones. */
static uint8_t *old_item(const struct lv_tags *tags, size_t size, uint32_t index)
{
    assert(size >= sizeof(uint64_t));
    return old_entry(tags, size, index) + sizeof(uint64_t);
}

/* The first index whose tag is at least `tag`, or old_end. */
static uint32_t old_index(const struct lv_tags *tags, size_t size, uint64_t tag)
{
    uint32_t low = tags->old_begin, high = tags->old_end;

    assert(tags->old_begin <= tags->old_end);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (old_tag(tags, size, middle) < tag)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Moves what is in use to the front. */
static void old_compact(struct lv_tags *tags, size_t size)
{
    size_t entry_size = sizeof(uint64_t) + size;
    uint32_t to = 0;

    for (uint32_t from = tags->old_begin; from < tags->old_end; from++) {
        if (!lv_tags_is_used(old_item(tags, size, from)))
            continue;
        if (to != from)
            memcpy(tags->old + to * entry_size, tags->old + from * entry_size, entry_size);
        to++;
    }
    assert(to == tags->old_live);
    tags->old_begin = 0;
    tags->old_end = to;
}

/* Room for `count` more behind the last. */
static int old_reserve(struct lv_tags *tags, size_t size, uint32_t count)
{
    size_t entry_size = sizeof(uint64_t) + size;
    uint32_t capacity = tags->old_capacity == 0 ? OLD_CAPACITY_MIN : tags->old_capacity;

    assert(tags->old_live <= tags->old_end);
    if (tags->old_live <= tags->old_end / 2)
        old_compact(tags, size);
    if (tags->old_capacity - tags->old_end >= count)
        return 0;
    while (capacity - tags->old_end < count)
        capacity *= 2;
    if (capacity > CAPACITY_MAX)
        return -LV_E_NOMEM;
    uint8_t *old = lv_realloc(tags->old, capacity * entry_size);
    if (old == NULL)
        return -LV_E_NOMEM;
    *tags->account += (capacity - tags->old_capacity) * entry_size;
    tags->old = old;
    tags->old_capacity = capacity;
    return 0;
}

/* In the order of tags, so that they are found by halving. */
static void old_append(struct lv_tags *tags, size_t size, uint64_t tag, const void *item)
{
    assert(tags->old_end < tags->old_capacity);
    assert(lv_tags_is_used(item));
    uint8_t *entry = old_entry(tags, size, tags->old_end++);
    memcpy(entry, &tag, sizeof tag);
    memcpy(entry + sizeof tag, item, size);
    tags->old_live++;
}

/* An acknowledgement that came very late. */
void *lv_tags_find_old(const struct lv_tags *tags, size_t size, uint64_t tag)
{
    uint32_t index = old_index(tags, size, tag);

    assert(tag < tags->base);
    if (index == tags->old_end || old_tag(tags, size, index) != tag)
        return NULL;
    uint8_t *item = old_item(tags, size, index);
    return lv_tags_is_used(item) ? item : NULL;
}

/* The memory goes when the last late one has been settled. */
void lv_tags_drop_old(struct lv_tags *tags, size_t size)
{
    assert(tags->old_live > 0);
    tags->old_live--;
    while (tags->old_begin < tags->old_end &&
           !lv_tags_is_used(old_item(tags, size, tags->old_begin)))
        tags->old_begin++;
    if (tags->old_live > 0)
        return;
    *tags->account -= tags->old_capacity * (sizeof(uint64_t) + size);
    lv_free(tags->old);
    tags->old = NULL;
    tags->old_begin = tags->old_end = tags->old_capacity = 0;
}

/* A tag chosen elsewhere; between it and the ring nothing can be open. */
int lv_tags_put(struct lv_tags *tags, size_t size, uint64_t tag, const void *item)
{
    int rc = old_reserve(tags, size, 1);

    assert(tags->base == tags->next);
    assert(tag >= tags->next);
    if (rc < 0)
        return rc;
    old_append(tags, size, tag, item);
    tags->base = tags->next = tag + 1;
    return 0;
}

/* ---- the ring ---- */

/* Counted only when the ring is full, not kept for every message. */
static uint32_t ring_live(const struct lv_tags *tags, size_t size)
{
    uint32_t live = 0;

    assert(tags->next - tags->base <= tags->capacity);
    for (uint64_t tag = tags->base; tag < tags->next; tag++)
        live += lv_tags_is_used(lv_tags_slot(tags, size, tag));
    return live;
}

/* The little that is left in the ring moves to the old ones. */
static int retire(struct lv_tags *tags, size_t size, uint32_t live)
{
    int rc = old_reserve(tags, size, live);

    assert(live <= tags->capacity);
    if (rc < 0)
        return rc;
    for (; tags->base < tags->next; tags->base++) {
        const uint8_t *item = lv_tags_slot(tags, size, tags->base);
        if (lv_tags_is_used(item))
            old_append(tags, size, tags->base, item);
    }
    return 0;
}

/* A few deliveries that stay open for long must not make the ring ever larger: they move to the old
 * ones, and the ring goes on. */
int lv_tags_make_room(struct lv_tags *tags, size_t size)
{
    uint32_t capacity = tags->capacity == 0 ? RING_CAPACITY_MIN : 2 * tags->capacity;

    assert(tags->next - tags->base <= tags->capacity);
    if (tags->capacity > 0) {
        uint32_t live = ring_live(tags, size);
        if (live <= tags->capacity / 4)
            return retire(tags, size, live);
    }
    if (capacity > CAPACITY_MAX)
        return -LV_E_NOMEM;
    uint8_t *ring = lv_alloc(capacity * size);
    if (ring == NULL)
        return -LV_E_NOMEM;
    for (uint64_t tag = tags->base; tag < tags->next; tag++)
        memcpy(ring + (tag & (capacity - 1)) * size, lv_tags_slot(tags, size, tag), size);
    *tags->account += (capacity - tags->capacity) * size;
    lv_free(tags->ring);
    tags->ring = ring;
    tags->capacity = capacity;
    return 0;
}

/* Old ones first: they have the lower tags. */
void *lv_tags_seek(const struct lv_tags *tags, size_t size, uint64_t *tag)
{
    assert(tags->base <= tags->next);
    if (LV_UNLIKELY(tags->old_live > 0 && *tag < tags->base)) {
        for (uint32_t i = old_index(tags, size, *tag); i < tags->old_end; i++)
            if (lv_tags_is_used(old_item(tags, size, i))) {
                *tag = old_tag(tags, size, i);
                return old_item(tags, size, i);
            }
    }
    for (uint64_t at = *tag < tags->base ? tags->base : *tag; at < tags->next; at++)
        if (lv_tags_is_used(lv_tags_slot(tags, size, at))) {
            *tag = at;
            return lv_tags_slot(tags, size, at);
        }
    return NULL;
}
