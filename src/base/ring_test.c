#include "base/ring.h"

#include "base/alloc.h"
#include "base/err.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void items_come_out_in_order_once_published(void **state)
{
    struct lv_ring ring;
    int items[4];

    (void)state;
    assert_int_equal(lv_ring_init(&ring, 4), 0);
    assert_null(lv_ring_take(&ring));
    assert_false(lv_ring_publish(&ring)); /* nothing new to show */
    assert_true(lv_ring_put(&ring, &items[0]));
    assert_true(lv_ring_put(&ring, &items[1]));
    assert_null(lv_ring_take(&ring)); /* not shown yet */
    assert_true(lv_ring_publish(&ring));
    assert_false(lv_ring_publish(&ring));
    assert_ptr_equal(lv_ring_take(&ring), &items[0]);
    assert_ptr_equal(lv_ring_take(&ring), &items[1]);
    assert_null(lv_ring_take(&ring));
    lv_ring_fini(&ring);
}

static void a_full_ring_refuses_until_something_is_taken(void **state)
{
    struct lv_ring ring;
    int items[3];

    (void)state;
    assert_int_equal(lv_ring_init(&ring, 2), 0);
    assert_true(lv_ring_put(&ring, &items[0]));
    assert_true(lv_ring_put(&ring, &items[1]));
    assert_false(lv_ring_put(&ring, &items[2]));
    assert_true(lv_ring_publish(&ring));
    assert_false(lv_ring_put(&ring, &items[2]));
    assert_ptr_equal(lv_ring_take(&ring), &items[0]);
    assert_true(lv_ring_put(&ring, &items[2]));
    assert_true(lv_ring_publish(&ring));
    assert_ptr_equal(lv_ring_take(&ring), &items[1]);
    assert_ptr_equal(lv_ring_take(&ring), &items[2]);
    lv_ring_fini(&ring);
}

static void a_ring_of_one_works(void **state)
{
    struct lv_ring ring;
    int item;

    (void)state;
    assert_int_equal(lv_ring_init(&ring, 1), 0);
    for (int i = 0; i < 5; i++) {
        assert_true(lv_ring_put(&ring, &item));
        assert_false(lv_ring_put(&ring, &item));
        assert_true(lv_ring_publish(&ring));
        assert_ptr_equal(lv_ring_take(&ring), &item);
    }
    lv_ring_fini(&ring);
}

static void the_counters_may_wrap(void **state)
{
    struct lv_ring ring;
    int items[3];

    (void)state;
    assert_int_equal(lv_ring_init(&ring, 2), 0);
    ring.filled = ring.taken_seen = UINT32_MAX;
    atomic_store(&ring.published, UINT32_MAX);
    atomic_store(&ring.taken, UINT32_MAX);
    assert_true(lv_ring_put(&ring, &items[0]));
    assert_true(lv_ring_put(&ring, &items[1]));
    assert_false(lv_ring_put(&ring, &items[2]));
    assert_true(lv_ring_publish(&ring));
    assert_ptr_equal(lv_ring_take(&ring), &items[0]);
    assert_ptr_equal(lv_ring_take(&ring), &items[1]);
    assert_null(lv_ring_take(&ring));
    lv_ring_fini(&ring);
}

static void out_of_memory_makes_no_ring(void **state)
{
    struct lv_ring ring;

    (void)state;
    lv_alloc_fail_after(1, 0);
    assert_int_equal(lv_ring_init(&ring, 64), -LV_E_NOMEM);
    lv_alloc_fail_after(0, 0);
}

#define ITEM_COUNT 200000u

/* Not atomic on purpose: the ring has to order the writes before the reads. */
struct item {
    uint32_t number;
    uint32_t square;
};

struct producer {
    struct lv_ring *ring;
    struct item *items;
};

static void *produce(void *arg)
{
    struct producer *p = arg;

    for (uint32_t i = 0; i < ITEM_COUNT; i++) {
        p->items[i] = (struct item){.number = i, .square = i * i};
        while (!lv_ring_put(p->ring, &p->items[i])) {
            (void)lv_ring_publish(p->ring);
            sched_yield();
        }
        if (i % 17 == 0) /* in batches, as a turn does */
            (void)lv_ring_publish(p->ring);
    }
    (void)lv_ring_publish(p->ring);
    return NULL;
}

static void nothing_is_lost_or_torn_between_two_threads(void **state)
{
    struct lv_ring ring;
    struct producer producer = {.ring = &ring};
    pthread_t thread;
    uint32_t taken = 0;
    uint32_t wrong = 0;

    (void)state;
    producer.items = lv_calloc(ITEM_COUNT, sizeof *producer.items);
    assert_non_null(producer.items);
    assert_int_equal(lv_ring_init(&ring, 64), 0);
    assert_int_equal(pthread_create(&thread, NULL, produce, &producer), 0);
    while (taken < ITEM_COUNT) {
        const struct item *item = lv_ring_take(&ring);
        if (item == NULL) {
            sched_yield();
            continue;
        }
        wrong += item->number != taken || item->square != taken * taken;
        taken++;
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(wrong, 0);
    assert_null(lv_ring_take(&ring));
    lv_ring_fini(&ring);
    lv_free(producer.items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_out_in_order_once_published),
        cmocka_unit_test(a_full_ring_refuses_until_something_is_taken),
        cmocka_unit_test(a_ring_of_one_works),
        cmocka_unit_test(the_counters_may_wrap),
        cmocka_unit_test(out_of_memory_makes_no_ring),
        cmocka_unit_test(nothing_is_lost_or_torn_between_two_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
