#include "base/heap.h"

/* Joins two heaps; both may be NULL. The roots have no siblings and no parent. */
static struct lv_heap_node *merge(struct lv_heap_node *a, struct lv_heap_node *b)
{
    if (a == NULL)
        return b;
    if (b == NULL)
        return a;
    assert(a->next == NULL);
    assert(b->next == NULL);
    if (b->key < a->key) {
        struct lv_heap_node *swap = a;
        a = b;
        b = swap;
    }
    b->prev = a;
    b->next = a->child;
    if (b->next != NULL) {
        assert(b->next->prev == a);
        b->next->prev = b;
    }
    a->child = b;
    return a;
}

/* Takes the first of a row of siblings out of it. */
static struct lv_heap_node *pop_sibling(struct lv_heap_node **row)
{
    struct lv_heap_node *node = *row;

    assert(row != NULL);
    if (node == NULL)
        return NULL;
    *row = node->next;
    node->prev = node->next = NULL;
    return node;
}

/* The two passes of a pairing heap, as loops: how many siblings there are, and how deep they nest,
 * is chosen by whoever sets the keys. */
static struct lv_heap_node *merge_siblings(struct lv_heap_node *row)
{
    struct lv_heap_node *pairs = NULL; /* linked by `next`, the last pair first */
    struct lv_heap_node *root = NULL;

    assert(row == NULL || row->prev != NULL);
    while (row != NULL) {
        struct lv_heap_node *a = pop_sibling(&row);
        struct lv_heap_node *pair = merge(a, pop_sibling(&row));
        pair->next = pairs;
        pairs = pair;
    }
    while (pairs != NULL)
        root = merge(root, pop_sibling(&pairs));
    return root;
}

/* Cuts a node that isn't the root, with all below it, out of the heap. */
static void cut(struct lv_heap_node *node)
{
    assert(node->prev != NULL);
    if (node->prev->child == node)
        node->prev->child = node->next;
    else
        node->prev->next = node->next;
    if (node->next != NULL)
        node->next->prev = node->prev;
    node->prev = node->next = NULL;
}

/* Constant time: a new node is merged with the root and looked at later. */
void lv_heap_insert(struct lv_heap *heap, struct lv_heap_node *node, uint64_t key)
{
    assert(node != heap->root);
    *node = (struct lv_heap_node){.key = key};
    heap->root = merge(heap->root, node);
}

/* Any node, not the first one only: most deadlines never fire. */
void lv_heap_remove(struct lv_heap *heap, struct lv_heap_node *node)
{
    assert(heap->root != NULL);
    if (node == heap->root) {
        heap->root = merge_siblings(node->child);
    } else {
        cut(node);
        heap->root = merge(heap->root, merge_siblings(node->child));
    }
    node->child = NULL;
}
