/*
 * base/heap.h - an intrusive priority queue (a pairing heap): no allocation, so it cannot fail.
 *
 * A node lives inside its object and carries its key, smallest first; equal keys come in any order.
 * Insert and peek are O(1), removing the first or any other node O(log n) amortised. One owner.
 */
#pragma once

#include "base/defs.h"

#include <stdbool.h>
#include <stdint.h>

/* Lives in the element. A pairing heap: no array that would have to grow, and so no lack of memory.
 * */
struct lv_heap_node {
    struct lv_heap_node *child; /* view */
    struct lv_heap_node *next;  /* view  next sibling */
    struct lv_heap_node *prev;  /* view  previous sibling, or the parent for a first child */
    uint64_t key;
};

/* All zeros is an empty heap. */
struct lv_heap {
    struct lv_heap_node *root; /* view */
};

/* All zeros is an empty heap. Takes a node that is in no heap, whatever it holds, until it is
 * removed. */
void lv_heap_insert(struct lv_heap *heap, struct lv_heap_node *node, uint64_t key);
/* Any node of this heap, first or not. */
void lv_heap_remove(struct lv_heap *heap, struct lv_heap_node *node);

/* The node with the smallest key, NULL when empty. */
static inline struct lv_heap_node *lv_heap_first(const struct lv_heap *heap)
{
    return heap->root;
}
