#include "base/alloc.h"
#include "base/err.h"
#include "broker/harness.h"
#include "broker/refs.h"

static struct lv_ref ref(uint64_t number)
{
    return (struct lv_ref){.lsn = number, .size = (uint32_t)number + 1};
}

static void push(struct lv_refs *refs, struct lv_refs_pool *pool, uint64_t number)
{
    assert_int_equal(lv_refs_push(refs, pool, number, ref(number)), 0);
}

static uint64_t first(const struct lv_refs *refs)
{
    uint64_t seq;
    struct lv_ref oldest = lv_refs_first(refs, &seq);

    assert_int_equal(seq, oldest.lsn);
    return seq;
}

/* Small gaps, large ones, and ones around the ends of chunks. */
static void numbers_come_out_as_they_went_in(void **state)
{
    static const uint64_t gaps[] = {1, 2, 3, 8, 9, 10, 200, 100000};
    struct lv_refs_pool pool;
    struct lv_random random;

    (void)state;
    lv_refs_pool_init(&pool);
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct lv_refs refs;
        uint64_t numbers[1000], seq = 0;
        size_t out = 0;
        lv_random_seed(&random, seed);
        lv_refs_init(&refs);
        for (size_t in = 0; in < LV_COUNT(numbers); in++) {
            bool is_gap = lv_random_below(&random, 1 + seed % 20) == 0;
            seq += is_gap ? gaps[lv_random_below(&random, LV_COUNT(gaps))] : 1;
            numbers[in] = seq;
            push(&refs, &pool, seq);
            if (lv_random_below(&random, 3) == 0) {
                assert_int_equal(first(&refs), numbers[out]);
                assert_int_equal(lv_refs_pop(&refs, &pool).lsn, numbers[out++]);
            }
            assert_int_equal(refs.count, in + 1 - out);
        }
        for (; out < LV_COUNT(numbers); out++) {
            assert_int_equal(first(&refs), numbers[out]);
            assert_int_equal(lv_refs_pop(&refs, &pool).lsn, numbers[out]);
        }
        assert_int_equal(refs.count, 0);
        lv_refs_fini(&refs, &pool);
    }
    lv_refs_pool_fini(&pool);
}

static void references_come_out_in_order(void **state)
{
    struct lv_refs_pool pool;
    struct lv_refs refs;

    (void)state;
    lv_refs_pool_init(&pool);
    lv_refs_init(&refs);
    for (uint64_t i = 0; i < 10000; i++)
        push(&refs, &pool, i);
    for (uint64_t i = 0; i < 10000; i++) {
        assert_int_equal(refs.count, 10000 - i);
        assert_int_equal(first(&refs), i);
        assert_int_equal(lv_refs_pop(&refs, &pool).lsn, i);
    }
    assert_int_equal(refs.count, 0);
    lv_refs_fini(&refs, &pool);
    lv_refs_pool_fini(&pool);
}

/* Every length around the ends of chunks, by pushes and pops at random. */
static void a_deque_is_like_a_plain_one_whatever_is_done_to_it(void **state)
{
    struct lv_refs_pool pool;
    struct lv_random random;

    (void)state;
    lv_refs_pool_init(&pool);
    lv_random_seed(&random, 4);
    for (int round = 0; round < 200; round++) {
        struct lv_refs refs;
        uint64_t in = 0, out = 0;
        uint64_t longest = 1 + lv_random_below(&random, round % 2 == 0 ? 20 : 900);
        lv_refs_init(&refs);
        for (int step = 0; step < 2000; step++) {
            if (in - out < longest && lv_random_below(&random, 2) == 0)
                push(&refs, &pool, in++);
            else if (in > out)
                assert_int_equal(lv_refs_pop(&refs, &pool).lsn, out++);
            assert_int_equal(refs.count, in - out);
        }
        lv_refs_fini(&refs, &pool);
    }
    lv_refs_pool_fini(&pool);
}

static void a_short_queue_costs_little_and_a_long_one_gives_its_memory_back(void **state)
{
    struct lv_refs_pool pool;
    struct lv_refs refs;

    (void)state;
    lv_refs_pool_init(&pool);
    lv_refs_init(&refs);
    assert_int_equal(pool.memory_size, 0);
    push(&refs, &pool, 1);
    assert_in_range(pool.memory_size, 16, 256);
    (void)lv_refs_pop(&refs, &pool);
    assert_in_range(pool.memory_size, 0, 256);
    for (uint64_t i = 0; i < 1000000; i++)
        push(&refs, &pool, i);
    assert_in_range(pool.memory_size, 16000000, 16400000);
    while (refs.count > 0)
        (void)lv_refs_pop(&refs, &pool);
    assert_in_range(pool.memory_size, 0, 300000);
    lv_refs_fini(&refs, &pool);
    lv_refs_pool_fini(&pool);
}

static void a_push_without_memory_changes_nothing(void **state)
{
    struct lv_refs_pool pool;
    struct lv_refs refs;
    uint64_t count = 0;

    (void)state;
    lv_refs_pool_init(&pool);
    lv_refs_init(&refs);
    for (uint64_t i = 0; i < 600; i++) {
        lv_alloc_fail_after(1, 0);
        int rc = lv_refs_push(&refs, &pool, i, ref(i));
        lv_alloc_fail_after(0, 0);
        assert_true(rc == 0 || rc == -LV_E_NOMEM);
        if (rc < 0)
            push(&refs, &pool, i);
        assert_int_equal(refs.count, ++count);
    }
    for (uint64_t i = 0; i < 600; i++)
        assert_int_equal(lv_refs_pop(&refs, &pool).lsn, i);
    lv_refs_fini(&refs, &pool);
    lv_refs_pool_fini(&pool);
}

/* What was reserved and never came is no part of the deque, whatever its length. */
static void a_place_that_was_reserved_in_vain_is_no_place(void **state)
{
    struct lv_refs_pool pool;

    (void)state;
    lv_refs_pool_init(&pool);
    for (uint64_t count = 0; count < 600; count++) {
        struct lv_refs refs;
        lv_refs_init(&refs);
        for (uint64_t i = 0; i < count; i++)
            push(&refs, &pool, i);
        assert_int_equal(lv_refs_reserve(&refs, &pool, count), 0);
        assert_int_equal(refs.count, count);
        for (uint64_t i = 0; i < count; i++)
            assert_int_equal(lv_refs_pop(&refs, &pool).lsn, i);
        push(&refs, &pool, count + 3);
        assert_int_equal(first(&refs), count + 3);
        lv_refs_fini(&refs, &pool);
    }
    lv_refs_pool_fini(&pool);
}

/* Whether the number follows the last one, or lies behind a small or a large gap. */
static void a_place_that_was_reserved_is_there_without_memory(void **state)
{
    static const uint64_t gaps[] = {1, 2, 5, 9, 10, 1000};
    struct lv_refs_pool pool;

    (void)state;
    lv_refs_pool_init(&pool);
    for (size_t gap = 0; gap < LV_COUNT(gaps); gap++) {
        struct lv_refs refs;
        lv_refs_init(&refs);
        for (uint64_t i = 0, seq = 0; i < 600; i++, seq += i % 4 == 0 ? gaps[gap] : 1) {
            assert_int_equal(lv_refs_reserve(&refs, &pool, seq), 0);
            lv_alloc_fail_after(1, 1);
            push(&refs, &pool, seq);
            lv_alloc_fail_after(0, 0);
        }
        assert_int_equal(refs.count, 600);
        lv_refs_fini(&refs, &pool);
    }
    lv_refs_pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_come_out_in_order),
        cmocka_unit_test(numbers_come_out_as_they_went_in),
        cmocka_unit_test(a_deque_is_like_a_plain_one_whatever_is_done_to_it),
        cmocka_unit_test(a_short_queue_costs_little_and_a_long_one_gives_its_memory_back),
        cmocka_unit_test(a_push_without_memory_changes_nothing),
        cmocka_unit_test(a_place_that_was_reserved_in_vain_is_no_place),
        cmocka_unit_test(a_place_that_was_reserved_is_there_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
