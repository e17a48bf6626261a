#include "base/ring.h"

#include "base/alloc.h"
#include "base/err.h"

/* A power of two, so that positions may count on for ever and wrap by a mask. */
int lv_ring_init(struct lv_ring *ring, uint32_t capacity)
{
    void **slots;

    assert(capacity > 0);
    assert((capacity & (capacity - 1)) == 0);
    slots = lv_calloc(capacity, sizeof *slots);
    if (slots == NULL)
        return -LV_E_NOMEM;
    ring->slots = slots;
    ring->mask = capacity - 1;
    ring->filled = 0;
    ring->taken_seen = 0;
    atomic_init(&ring->published, 0);
    atomic_init(&ring->taken, 0);
    return 0;
}

/* Both threads have let go of it. */
void lv_ring_fini(struct lv_ring *ring)
{
    assert(ring->slots == NULL || atomic_load(&ring->published) == atomic_load(&ring->taken));
    lv_free(ring->slots);
    ring->slots = NULL;
}

/* The counters run freely and wrap; only their differences mean something. */
bool lv_ring_put(struct lv_ring *ring, void *item)
{
    assert(item != NULL);
    assert(ring->slots != NULL);
    if (ring->filled - ring->taken_seen > ring->mask) {
        /* Acquire: the consumer has read the slot before it is written again. */
        ring->taken_seen = atomic_load_explicit(&ring->taken, memory_order_acquire);
        if (ring->filled - ring->taken_seen > ring->mask)
            return false;
    }
    ring->slots[ring->filled & ring->mask] = item;
    ring->filled++;
    return true;
}

/* Once for many items: the consumer's cache line is touched once per turn. */
bool lv_ring_publish(struct lv_ring *ring)
{
    assert(ring->slots != NULL);
    /* Nobody else writes `published`, so the producer may read it without order. */
    if (atomic_load_explicit(&ring->published, memory_order_relaxed) == ring->filled)
        return false;
    /* Release: the slots, and what they point at, are written before they are seen. */
    atomic_store_explicit(&ring->published, ring->filled, memory_order_release);
    return true;
}

/* Wraps with the counter; both sides count in 32 bits and compare for equality only. */
void *lv_ring_take(struct lv_ring *ring)
{
    /* Nobody else writes `taken`. */
    uint32_t taken = atomic_load_explicit(&ring->taken, memory_order_relaxed);
    void *item;

    if (taken == atomic_load_explicit(&ring->published, memory_order_acquire))
        return NULL;
    item = ring->slots[taken & ring->mask];
    assert(item != NULL);
    /* Release: the slot has been read before the producer may write it again. */
    atomic_store_explicit(&ring->taken, taken + 1, memory_order_release);
    return item;
}
