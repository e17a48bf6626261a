#include "base/heap.h"

#include "base/alloc.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void the_smallest_key_comes_first(void **state)
{
    struct lv_heap_node nodes[5];
    static const uint64_t keys[] = {30, 10, UINT64_MAX, 0, 20};
    static const uint64_t sorted[] = {0, 10, 20, 30, UINT64_MAX};
    struct lv_heap heap = {.root = NULL};

    (void)state;
    assert_null(lv_heap_first(&heap));
    for (size_t i = 0; i < LV_COUNT(keys); i++)
        lv_heap_insert(&heap, &nodes[i], keys[i]);
    for (size_t i = 0; i < LV_COUNT(keys); i++) {
        struct lv_heap_node *first = lv_heap_first(&heap);
        assert_true(first->key == sorted[i]);
        lv_heap_remove(&heap, first);
    }
    assert_null(lv_heap_first(&heap));
}

static void equal_keys_all_come(void **state)
{
    struct lv_heap_node nodes[100];
    struct lv_heap heap = {.root = NULL};
    size_t count = 0;

    (void)state;
    for (size_t i = 0; i < LV_COUNT(nodes); i++)
        lv_heap_insert(&heap, &nodes[i], 7);
    for (; lv_heap_first(&heap) != NULL; count++)
        lv_heap_remove(&heap, lv_heap_first(&heap));
    assert_int_equal(count, LV_COUNT(nodes));
}

static void a_removed_node_may_come_back(void **state)
{
    struct lv_heap_node a, b;
    struct lv_heap heap = {.root = NULL};

    (void)state;
    lv_heap_insert(&heap, &a, 1);
    lv_heap_insert(&heap, &b, 2);
    lv_heap_remove(&heap, &a);
    lv_heap_insert(&heap, &a, 3);
    assert_ptr_equal(lv_heap_first(&heap), &b);
    lv_heap_remove(&heap, &b);
    assert_ptr_equal(lv_heap_first(&heap), &a);
}

/* Rising keys hang all nodes under the root, falling ones make a chain: neither may recurse. */
static void a_million_nodes_in_a_row_or_in_a_chain_need_no_stack(void **state)
{
    enum { COUNT = 1000000 };
    struct lv_heap_node *nodes = lv_calloc(COUNT, sizeof *nodes);

    (void)state;
    assert_non_null(nodes);
    for (int rising = 0; rising < 2; rising++) {
        struct lv_heap heap = {.root = NULL};
        uint64_t last = 0;
        for (uint64_t i = 0; i < COUNT; i++)
            lv_heap_insert(&heap, &nodes[i], rising ? i : COUNT - i);
        for (uint64_t i = 0; i < COUNT; i++) {
            struct lv_heap_node *first = lv_heap_first(&heap);
            assert_true(first->key >= last);
            last = first->key;
            lv_heap_remove(&heap, first);
        }
        assert_null(lv_heap_first(&heap));
    }
    lv_free(nodes);
}

static const struct lv_heap_node *smallest(const struct lv_heap_node *nodes, const bool *in,
                                           size_t count)
{
    const struct lv_heap_node *best = NULL;

    for (size_t i = 0; i < count; i++) {
        if (in[i] && (best == NULL || nodes[i].key < best->key))
            best = &nodes[i];
    }
    return best;
}

static void it_agrees_with_a_search_at_random(void **state)
{
    enum { COUNT = 60 };
    struct lv_heap_node nodes[COUNT];
    bool in[COUNT] = {false};
    struct lv_heap heap = {.root = NULL};
    struct lv_random random;

    (void)state;
    lv_random_seed(&random, 99);
    for (int step = 0; step < 50000; step++) {
        size_t i = lv_random_below(&random, COUNT);
        const struct lv_heap_node *first;
        if (in[i])
            lv_heap_remove(&heap, &nodes[i]); /* from anywhere in the heap */
        else
            lv_heap_insert(&heap, &nodes[i], lv_random_below(&random, 50));
        in[i] = !in[i];
        first = smallest(nodes, in, COUNT);
        assert_true((first == NULL) == (lv_heap_first(&heap) == NULL));
        if (first != NULL)
            assert_true(lv_heap_first(&heap)->key == first->key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_key_comes_first),
        cmocka_unit_test(equal_keys_all_come),
        cmocka_unit_test(a_removed_node_may_come_back),
        cmocka_unit_test(a_million_nodes_in_a_row_or_in_a_chain_need_no_stack),
        cmocka_unit_test(it_agrees_with_a_search_at_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
