/*
 * base/ring.h - a bounded queue of pointers between two threads: one puts, one takes.
 *
 * The producer fills slots privately and shows them in one release store (publish), so a turn's
 * worth costs one cache line's traffic. Only the two threads may call, each its own functions.
 */
#pragma once

#include "base/defs.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What only one side touches is apart from what the other reads, so that cache lines do not wander
 * for every item. */
struct lv_ring {
    void **slots;                 /* own */
    uint32_t mask;                /*       capacity - 1 */
    _Alignas(64) uint32_t filled; /* producer's: filled but perhaps not yet published */
    uint32_t taken_seen;          /* producer's: last known `taken` */
    _Alignas(64) atomic_uint published;
    _Alignas(64) atomic_uint taken;
};

/* `capacity` is a power of two; before the threads start. -LV_E_NOMEM. */
int lv_ring_init(struct lv_ring *ring, uint32_t capacity) LV_MUST_CHECK;
/* After the threads have ended. What nobody took is the owner's to find and free. */
void lv_ring_fini(struct lv_ring *ring);

/* Producer: false when full. Takes the item on true. */
bool lv_ring_put(struct lv_ring *ring, void *item) LV_MUST_CHECK;
/* Producer: true when something new was shown. */
bool lv_ring_publish(struct lv_ring *ring);
/* Consumer: gives the oldest item or NULL. */
void *lv_ring_take(struct lv_ring *ring);
