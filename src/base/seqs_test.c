#include "base/seqs.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MODEL_SIZE (10 * LV_SEQS_PIECE)

static void add(struct lv_seqs *seqs, uint64_t seq)
{
    assert_int_equal(lv_seqs_add(seqs, seq), 0);
}

static uint64_t add_range(struct lv_seqs *seqs, uint64_t from, uint64_t to)
{
    uint64_t added = 12345;

    assert_int_equal(lv_seqs_add_range(seqs, from, to, &added), 0);
    return added;
}

static void numbers_in_order_move_low_and_take_no_memory(void **state)
{
    struct lv_seqs seqs;

    (void)state;
    lv_seqs_init(&seqs, 7);
    assert_true(lv_seqs_has(&seqs, 6));
    assert_false(lv_seqs_has(&seqs, 7));
    lv_alloc_fail_after(1, 1);
    for (uint64_t seq = 7; seq < 3 * LV_SEQS_PIECE; seq++)
        add(&seqs, seq);
    add(&seqs, 8);
    lv_alloc_fail_after(0, 0);
    assert_int_equal(seqs.low, 3 * LV_SEQS_PIECE);
    assert_int_equal(seqs.memory_size, 0);
    lv_seqs_fini(&seqs);
}

static void low_moves_over_what_was_added_before(void **state)
{
    struct lv_seqs seqs;

    (void)state;
    lv_seqs_init(&seqs, 0);
    for (uint64_t seq = 1; seq < 2 * LV_SEQS_PIECE + 100; seq++)
        add(&seqs, seq);
    assert_int_equal(seqs.low, 0);
    add(&seqs, 0);
    assert_int_equal(seqs.low, 2 * LV_SEQS_PIECE + 100);
    assert_int_equal(seqs.top, seqs.low);
    assert_false(lv_seqs_has(&seqs, seqs.low));
    lv_seqs_fini(&seqs);
}

/* As a message that nobody settles while millions pass. */
static void one_old_number_costs_a_pointer_for_each_piece(void **state)
{
    struct lv_seqs seqs;
    const uint64_t count = 2000 * (uint64_t)LV_SEQS_PIECE;

    (void)state;
    lv_seqs_init(&seqs, 0);
    for (uint64_t seq = 1; seq < count; seq++)
        add(&seqs, seq);
    assert_true(seqs.memory_size <= 2048 * sizeof(void *) + LV_SEQS_PIECE / 8);
    add(&seqs, 0);
    assert_int_equal(seqs.low, count);
    assert_int_equal(seqs.memory_size, 0); /* and goes with it */
    lv_seqs_fini(&seqs);
}

static void ranges_are_shown_as_they_are(void **state)
{
    struct lv_seqs seqs;
    uint64_t from = 99, to = 99;

    (void)state;
    lv_seqs_init(&seqs, 10);
    assert_false(lv_seqs_next(&seqs, 0, &from, &to));
    assert_int_equal(add_range(&seqs, 12, 20), 9);
    assert_int_equal(add_range(&seqs, 63, 64), 2);
    assert_int_equal(add_range(&seqs, LV_SEQS_PIECE - 1, 3 * LV_SEQS_PIECE), 2 * LV_SEQS_PIECE + 2);
    assert_true(lv_seqs_next(&seqs, 0, &from, &to));
    assert_int_equal(from, 12);
    assert_int_equal(to, 20);
    assert_true(lv_seqs_next(&seqs, 15, &from, &to)); /* from the middle of one */
    assert_int_equal(from, 15);
    assert_true(lv_seqs_next(&seqs, to + 1, &from, &to));
    assert_int_equal(from, 63);
    assert_int_equal(to, 64);
    assert_true(lv_seqs_next(&seqs, to + 1, &from, &to));
    assert_int_equal(from, LV_SEQS_PIECE - 1);
    assert_int_equal(to, 3 * LV_SEQS_PIECE);
    assert_false(lv_seqs_next(&seqs, to + 1, &from, &to));
    lv_seqs_fini(&seqs);
}

/* A copy made of words is the same set, whatever low is. */
static void words_are_the_set_bit_by_bit(void **state)
{
    struct lv_random random;

    (void)state;
    lv_random_seed(&random, 3);
    for (unsigned round = 0; round < 40; round++) {
        struct lv_seqs seqs, copy;
        uint64_t low = lv_random_below(&random, 200), from, to;

        lv_seqs_init(&seqs, low);
        for (unsigned i = 0; i < 30; i++) {
            from = lv_random_below(&random, MODEL_SIZE);
            to = from + lv_random_below(&random, i % 5 == 0 ? 2 * LV_SEQS_PIECE : 70);
            (void)add_range(&seqs, from, to);
        }
        lv_seqs_init(&copy, round % 3 == 0 ? 0 : low / 2);
        for (uint64_t seq = 0; seq < MODEL_SIZE + 3 * LV_SEQS_PIECE; seq += 64) {
            uint64_t word = lv_seqs_word(&seqs, seq);

            for (uint64_t i = 0; i < 64; i++)
                assert_int_equal(word >> i & 1, lv_seqs_has(&seqs, seq + i));
            assert_int_equal(lv_seqs_add_word(&copy, seq, word), 0);
        }
        assert_int_equal(copy.low, seqs.low);
        assert_int_equal(copy.top, seqs.top);
        assert_true(copy.memory_size <= seqs.memory_size + 64 * sizeof(void *));
        for (uint64_t seq = 0; seq < seqs.top; seq++)
            assert_int_equal(lv_seqs_has(&copy, seq), lv_seqs_has(&seqs, seq));
        lv_seqs_fini(&copy);
        lv_seqs_fini(&seqs);
    }
}

static void a_word_without_memory_adds_nothing(void **state)
{
    struct lv_seqs seqs;

    (void)state;
    lv_seqs_init(&seqs, 3);
    lv_alloc_fail_after(1, 1);
    assert_int_equal(lv_seqs_add_word(&seqs, 0, 7), 0); /* below low already */
    assert_int_equal(lv_seqs_add_word(&seqs, 64, 0), 0);
    assert_int_equal(lv_seqs_add_word(&seqs, 64, 1), -LV_E_NOMEM);
    assert_int_equal(lv_seqs_add_word(&seqs, 0, 16), -LV_E_NOMEM);
    lv_alloc_fail_after(0, 0);
    assert_int_equal(seqs.top, 3);
    lv_seqs_fini(&seqs);
}

static void a_range_counts_what_is_new_in_it(void **state)
{
    struct lv_seqs seqs;

    (void)state;
    lv_seqs_init(&seqs, 10);
    assert_int_equal(add_range(&seqs, 3, 9), 0);
    add(&seqs, 15);
    assert_int_equal(add_range(&seqs, 5, 12), 3); /* 10, 11, 12 */
    assert_int_equal(seqs.low, 13);
    assert_int_equal(add_range(&seqs, 14, 16), 2);
    assert_int_equal(lv_seqs_count(&seqs, 11, 20), 5);
    assert_int_equal(lv_seqs_count(&seqs, 0, 4), 5);
    assert_int_equal(add_range(&seqs, 13, 13), 1);
    assert_int_equal(seqs.low, 17);
    lv_seqs_fini(&seqs);
}

/* As the purge of a long backlog: neither time nor memory for each number. */
static void a_huge_range_is_cheap(void **state)
{
    struct lv_seqs seqs;
    const uint64_t many = (uint64_t)1 << 32;

    (void)state;
    lv_seqs_init(&seqs, 0);
    assert_int_equal(add_range(&seqs, 1, many), many);
    assert_true(seqs.memory_size <= 2 * sizeof(void *) * (many / LV_SEQS_PIECE + 1) + 1024);
    assert_true(lv_seqs_has(&seqs, many));
    assert_false(lv_seqs_has(&seqs, many + 1));
    assert_int_equal(add_range(&seqs, 0, 2 * many), many + 1);
    assert_int_equal(seqs.low, 2 * many + 1);
    lv_seqs_fini(&seqs);
}

static void a_gap_beyond_all_memory_is_no_memory(void **state)
{
    struct lv_seqs seqs;

    (void)state;
    lv_seqs_init(&seqs, 0);
    assert_int_equal(lv_seqs_add(&seqs, UINT64_MAX - 1), -LV_E_NOMEM);
    assert_false(lv_seqs_has(&seqs, 1));
    assert_int_equal(seqs.memory_size, 0);
    lv_seqs_raise(&seqs, UINT64_MAX - 10); /* costs nothing */
    add(&seqs, UINT64_MAX - 8);
    assert_true(lv_seqs_has(&seqs, UINT64_MAX - 8));
    assert_false(lv_seqs_has(&seqs, UINT64_MAX - 9));
    lv_seqs_fini(&seqs);
}

static void without_memory_nothing_changes(void **state)
{
    (void)state;
    for (uint64_t after = 1; after <= 2; after++) {
        struct lv_seqs seqs;

        lv_seqs_init(&seqs, 5);
        lv_alloc_fail_after(after, 0);
        assert_int_equal(lv_seqs_add(&seqs, 9), -LV_E_NOMEM);
        lv_alloc_fail_after(0, 0);
        assert_false(lv_seqs_has(&seqs, 9));
        assert_int_equal(seqs.top, 5);
        add(&seqs, 9);
        assert_true(lv_seqs_has(&seqs, 9));
        lv_seqs_fini(&seqs);
        assert_int_equal(seqs.memory_size, 0);
    }
}

/* ---- against a plain array ---- */

static void compare(const struct lv_seqs *seqs, const uint8_t *model)
{
    uint64_t at = 0, from, to;

    for (uint64_t seq = 0; seq < MODEL_SIZE; seq++)
        if (lv_seqs_has(seqs, seq) != (model[seq] != 0))
            fail_msg("%llu", (unsigned long long)seq);
    while (at < MODEL_SIZE && model[at] != 0)
        at++;
    assert_int_equal(seqs->low, at);
    while (lv_seqs_next(seqs, at, &from, &to)) {
        for (; at < from; at++)
            assert_int_equal(model[at], 0);
        for (; at <= to; at++)
            assert_int_equal(model[at], 1);
    }
    for (; at < MODEL_SIZE; at++)
        assert_int_equal(model[at], 0);
}

static uint64_t model_add(uint8_t *model, uint64_t from, uint64_t to)
{
    uint64_t added = 0;

    for (uint64_t seq = from; seq <= to; seq++) {
        added += model[seq] == 0;
        model[seq] = 1;
    }
    return added;
}

/* Most numbers lie in a row, some far off, some whole pieces; low is raised now and then. */
static void step(struct lv_seqs *seqs, uint8_t *model, struct lv_random *random)
{
    uint64_t limit = seqs->low + 1 + lv_random_below(random, 3 * LV_SEQS_PIECE);
    uint64_t seq = seqs->low + lv_random_below(random, limit - seqs->low);
    uint64_t size = lv_random_below(random, 100);

    if (lv_random_below(random, 20) == 0)
        size = lv_random_below(random, 3 * LV_SEQS_PIECE);
    if (seq + size >= MODEL_SIZE)
        seq = size = 0;
    switch (lv_random_below(random, 12)) {
    case 0:
        lv_seqs_raise(seqs, seq);
        if (seq > 0)
            (void)model_add(model, 0, seq - 1);
        break;
    case 1:
    case 2:
        assert_int_equal(add_range(seqs, seq, seq + size), model_add(model, seq, seq + size));
        break;
    case 3:
        seq = seqs->low < MODEL_SIZE ? seqs->low : 0;
        add(seqs, seq);
        model[seq] = 1;
        break;
    default:
        for (uint64_t at = seq; at <= seq + size; at += 1 + lv_random_below(random, 3)) {
            add(seqs, at);
            model[at] = 1;
        }
    }
}

static void any_numbers_in_any_order_are_as_in_a_plain_set(void **state)
{
    static uint8_t model[MODEL_SIZE + LV_SEQS_PIECE];
    struct lv_random random;

    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct lv_seqs seqs;

        memset(model, 0, sizeof model);
        lv_random_seed(&random, seed);
        lv_seqs_init(&seqs, 0);
        for (int i = 0; i < 120; i++) {
            step(&seqs, model, &random);
            if (i % 10 == 0)
                compare(&seqs, model);
        }
        (void)add_range(&seqs, 0, MODEL_SIZE - 1);
        assert_int_equal(seqs.low, MODEL_SIZE);
        assert_true(seqs.memory_size <= 8 * sizeof(void *));
        lv_seqs_fini(&seqs);
        assert_int_equal(seqs.memory_size, 0);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_in_order_move_low_and_take_no_memory),
        cmocka_unit_test(low_moves_over_what_was_added_before),
        cmocka_unit_test(one_old_number_costs_a_pointer_for_each_piece),
        cmocka_unit_test(ranges_are_shown_as_they_are),
        cmocka_unit_test(words_are_the_set_bit_by_bit),
        cmocka_unit_test(a_word_without_memory_adds_nothing),
        cmocka_unit_test(a_range_counts_what_is_new_in_it),
        cmocka_unit_test(a_huge_range_is_cheap),
        cmocka_unit_test(a_gap_beyond_all_memory_is_no_memory),
        cmocka_unit_test(without_memory_nothing_changes),
        cmocka_unit_test(any_numbers_in_any_order_are_as_in_a_plain_set),
    };

    return cmocka_run_group_tests_name("seqs", tests, NULL, NULL);
}
