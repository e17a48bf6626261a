#include "cli/bench_plan.h"

#include "base/alloc.h"
#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void a_topic_key_matches_word_by_word(void **state)
{
    static const struct {
        const char *pattern, *key;
        bool matches;
    } rows[] = {
        {"a.b", "a.b", true},
        {"a.b", "a.c", false},
        {"a.*", "a.b", true},
        {"a.*", "a", false},
        {"a.*", "a.b.c", false},
        {"#", "", true},
        {"#", "a.b.c", true},
        {"a.#", "a", true},
        {"a.#", "a.b.c", true},
        {"a.#", "b", false},
        {"#.c", "a.b.c", true},
        {"#.c", "c", true},
        {"#.c", "a.b", false},
        {"a.#.c", "a.c", true},
        {"a.#.c", "a.b.b.c", true},
        {"a.#.c", "a.b", false},
        {"*", "", true},
        {"a..b", "a..b", true},
        {"a.*.b", "a..b", true},
        {"ab", "a", false},
        {"a", "ab", false},
        {"*.*", "a", false},
        {"a.b.#", "a.b.x1.y2", true},
    };

    (void)state;
    for (size_t i = 0; i < LV_COUNT(rows); i++)
        if (lv_bench_topic_matches(rows[i].pattern, rows[i].key) != rows[i].matches)
            fail_msg("'%s' and '%s'", rows[i].pattern, rows[i].key);
}

static struct lv_bench_plan plan_of(enum lv_bench_exchange exchange, uint64_t producers,
                                    uint64_t queues, uint64_t bindings)
{
    const struct lv_bench_shape shape = {.exchange = exchange,
                                         .producers = producers,
                                         .consumers = queues,
                                         .queues = queues,
                                         .bindings = bindings,
                                         .size = 16};
    struct lv_bench_plan plan;

    assert_int_equal(lv_bench_plan_init(&plan, &shape), 0);
    return plan;
}

static void producers_share_queues_of_the_default_exchange(void **state)
{
    struct lv_bench_plan plan = plan_of(LV_BENCH_DEFAULT, 4, 3, 0);

    (void)state;
    assert_int_equal(lv_bench_plan_rank(&plan, 0, 0, 7), 7);
    assert_true(lv_bench_plan_rank(&plan, 0, 1, 7) == LV_BENCH_NOT_ROUTED);
    assert_int_equal(lv_bench_plan_rank(&plan, 3, 0, 9), 9);
    assert_int_equal(lv_bench_plan_expected(&plan, 3, 0, 100), 100);
    assert_int_equal(lv_bench_plan_expected(&plan, 3, 2, 100), 0);
    lv_bench_plan_fini(&plan);
}

static void a_fanout_reaches_every_queue(void **state)
{
    struct lv_bench_plan plan = plan_of(LV_BENCH_FANOUT, 1, 10, 0);

    (void)state;
    for (uint64_t queue = 0; queue < 10; queue++) {
        assert_int_equal(lv_bench_plan_rank(&plan, 0, queue, 5), 5);
        assert_int_equal(lv_bench_plan_expected(&plan, 0, queue, 50), 50);
    }
    lv_bench_plan_fini(&plan);
}

/* Ranks of a queue are 0, 1, 2, … in the order of sending, and `expected` counts them. */
static void check_ranks(enum lv_bench_exchange exchange, uint64_t queues, uint64_t bindings)
{
    struct lv_bench_plan plan = plan_of(exchange, 1, queues, bindings);
    uint64_t count = plan.slot_count * 2u + 17, reached = 0;

    for (uint64_t queue = 0; queue < queues; queue++) {
        uint64_t next = 0;

        for (uint64_t sequence = 0; sequence < count; sequence++) {
            uint64_t rank = lv_bench_plan_rank(&plan, 0, queue, sequence);

            if (sequence % 501 == 0)
                assert_int_equal(lv_bench_plan_expected(&plan, 0, queue, sequence), next);
            if (rank == LV_BENCH_NOT_ROUTED)
                continue;
            assert_int_equal(rank, next);
            next++;
        }
        assert_int_equal(lv_bench_plan_expected(&plan, 0, queue, count), next);
        reached += next;
    }
    assert_true(reached >= count); /* every key was made for some binding */
    lv_bench_plan_fini(&plan);
}

static void ranks_have_no_gaps(void **state)
{
    (void)state;
    check_ranks(LV_BENCH_DIRECT, 1, 1);
    check_ranks(LV_BENCH_DIRECT, 10, 100);
    check_ranks(LV_BENCH_TOPIC, 10, 1000);
    check_ranks(LV_BENCH_TOPIC, 3, 0);
}

static void a_plan_is_the_same_every_time(void **state)
{
    struct lv_bench_plan one = plan_of(LV_BENCH_TOPIC, 1, 2, 50);
    struct lv_bench_plan two = plan_of(LV_BENCH_TOPIC, 1, 2, 50);

    (void)state;
    assert_int_equal(one.slot_count, two.slot_count);
    assert_memory_equal(one.keys, two.keys, one.slot_count * sizeof *one.keys);
    lv_bench_plan_fini(&one);
    lv_bench_plan_fini(&two);
}

static void large_bodies_make_short_rounds(void **state)
{
    const struct lv_bench_shape shape = {.queues = 1, .size = 16 << 20};
    struct lv_bench_plan plan;

    (void)state;
    assert_int_equal(lv_bench_plan_init(&plan, &shape), 0);
    assert_int_equal(plan.slot_count, 1);
    lv_bench_plan_fini(&plan);
}

static void lack_of_memory_leaves_nothing_behind(void **state)
{
    const struct lv_bench_shape shape = {.exchange = LV_BENCH_DIRECT, .queues = 2, .size = 16};

    (void)state;
    for (uint64_t nth = 1; nth <= 4; nth++) {
        struct lv_bench_plan plan;

        lv_alloc_fail_after(nth, 0);
        assert_int_equal(lv_bench_plan_init(&plan, &shape), -LV_E_NOMEM);
        lv_alloc_fail_after(0, 0);
        assert_null(plan.keys);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_topic_key_matches_word_by_word),
        cmocka_unit_test(producers_share_queues_of_the_default_exchange),
        cmocka_unit_test(a_fanout_reaches_every_queue),
        cmocka_unit_test(ranks_have_no_gaps),
        cmocka_unit_test(a_plan_is_the_same_every_time),
        cmocka_unit_test(large_bodies_make_short_rounds),
        cmocka_unit_test(lack_of_memory_leaves_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
