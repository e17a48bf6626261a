#include "server/merger.h"

#include "base/alloc.h"
#include "server/harness.h"

#define SIZE  500u
#define COUNT 2000u
/* Every so many-th message is left. */
#define EVERY 40u

static bool is_left(unsigned number)
{
    return number % EVERY == 0;
}

/* Segments with little in them: nearly all that was in them is settled. */
static void make_sparse(struct lv_hand *hand)
{
    lv_hand_begin(hand);
    lv_hand_fill(hand, 0, COUNT, SIZE);
    lv_hand_settle(hand);
    for (unsigned i = 0; i < COUNT; i++) {
        lv_sim_get(&hand->a, "q", "");
        lv_hand_settle(hand);
    }
    (void)lv_sim_heard(&hand->a);
    for (unsigned i = 0; i < COUNT; i++)
        if (!is_left(i))
            lv_sim_settle_tag(&hand->a, i + 1, "a");
    lv_hand_settle(hand);
    assert_true(lv_hand_count_files(hand, "seg-") > 10);
}

/* In order, with no others. */
static void expect_left(struct lv_hand *hand)
{
    unsigned number;
    bool again;

    for (unsigned i = 0; i < COUNT; i++) {
        if (!is_left(i))
            continue;
        if (!lv_hand_get(hand, "q", &number, &again))
            fail_msg("%u is missing", i);
        assert_int_equal(number, i);
        assert_true(again);
    }
    assert_false(lv_hand_get(hand, "q", &number, &again));
}

/* Several times as long as it waits to look. */
static void merge(struct lv_hand *hand)
{
    for (unsigned i = 0; i < 20; i++) {
        lv_hand_wait(hand, LV_NS_PER_S);
        lv_hand_settle(hand);
    }
}

static void end(struct lv_hand *hand)
{
    lv_hand_close(hand, true);
    lv_hand_end(hand);
}

static void sparse_segments_become_few(void **state)
{
    struct lv_hand hand;
    unsigned before;

    (void)state;
    make_sparse(&hand);
    before = lv_hand_count_files(&hand, "seg-");
    merge(&hand);
    assert_true(lv_hand_count_files(&hand, "seg-") <= before / 4);
    assert_int_equal(hand.error, 0);
    lv_hand_restart(&hand, false);
    expect_left(&hand);
    assert_int_equal(lv_hand_count_files(&hand, "seg-"), 0);
    end(&hand);
}

/* What was unsettled goes back to the queue, and is read from the new segment. */
static void what_was_merged_is_read_without_a_restart(void **state)
{
    struct lv_hand hand;

    (void)state;
    make_sparse(&hand);
    merge(&hand);
    lv_sim_channel_close(&hand.a, 1);
    lv_hand_settle(&hand);
    lv_sim_channel_open(&hand.a, 1);
    (void)lv_sim_heard(&hand.a);
    expect_left(&hand);
    end(&hand);
}

/* The sources stay until there is room. */
static void a_full_disk_is_tried_again_later(void **state)
{
    static const enum lv_image_op ops[] = {LV_IMAGE_CREATE, LV_IMAGE_WRITE, LV_IMAGE_RENAME};

    (void)state;
    for (size_t i = 0; i < LV_COUNT(ops); i++) {
        struct lv_hand hand;
        unsigned before;

        make_sparse(&hand);
        before = lv_hand_count_files(&hand, "seg-");
        lv_image_disk_fail(hand.image, ops[i], 1, -LV_E_FULL, true);
        merge(&hand);
        assert_int_equal(hand.error, 0);
        assert_true(lv_hand_count_files(&hand, "seg-") >= before);
        lv_image_disk_fail(hand.image, ops[i], 0, 0, false);
        merge(&hand);
        assert_true(lv_hand_count_files(&hand, "seg-") <= before / 4);
        lv_hand_restart(&hand, false);
        expect_left(&hand);
        end(&hand);
    }
}

static void any_other_error_is_the_end_and_loses_nothing(void **state)
{
    static const enum lv_image_op ops[] = {LV_IMAGE_CREATE, LV_IMAGE_WRITE,
                                           LV_IMAGE_SYNC,   LV_IMAGE_RENAME,
                                           LV_IMAGE_REMOVE, LV_IMAGE_SYNC_DIRECTORY};

    (void)state;
    for (size_t i = 0; i < LV_COUNT(ops); i++)
        for (uint64_t after = 1; after < 4; after++) {
            struct lv_hand hand;

            make_sparse(&hand);
            lv_image_disk_fail(hand.image, ops[i], after, -LV_E_IO, true);
            merge(&hand);
            assert_true(hand.error == -LV_E_IO || (hand.error == 0 && after > 1));
            lv_image_disk_fail(hand.image, ops[i], 0, 0, false);
            lv_hand_restart(&hand, false);
            expect_left(&hand);
            end(&hand);
        }
}

/* Each allocation of the writing fails once. */
static void memory_that_is_missing_leaves_the_sources(void **state)
{
    unsigned failures = 0;
    bool is_enough = false;

    (void)state;
    for (uint64_t after = 1; after < 400 && !is_enough; after++) {
        struct lv_hand hand;
        struct lv_merger *merger = &hand.shard.durable.merger;

        make_sparse(&hand);
        for (unsigned i = 0; merger->state != LV_MERGER_WRITING; i++) {
            assert_true(i < 100);
            lv_hand_wait(&hand, LV_NS_PER_S);
            (void)lv_hand_sync(&hand);
        }
        lv_alloc_fail_after(after, false);
        while (lv_hand_run_job(&hand))
            ;
        lv_alloc_fail_after(0, false);
        is_enough = merger->error == 0;
        assert_true(is_enough || merger->error == -LV_E_NOMEM);
        failures += !is_enough;
        merge(&hand);
        assert_int_equal(hand.error, 0);
        lv_hand_restart(&hand, false);
        expect_left(&hand);
        end(&hand);
    }
    assert_true(failures > 3);
    assert_true(is_enough);
}

/* It is said once, and the others are merged without it. */
static void a_damaged_source_is_left_alone(void **state)
{
    struct lv_hand hand;
    unsigned before;
    char name[LV_DISK_NAME_SIZE];

    (void)state;
    make_sparse(&hand);
    before = lv_hand_count_files(&hand, "seg-");
    lv_segment_name(0, 5, name);
    lv_hand_restart(&hand, false); /* none is open any more */
    assert_int_equal(lv_image_disk_zero(hand.image, name, 8, 8), 0);
    merge(&hand);
    assert_int_equal(hand.error, 0);
    assert_int_equal(hand.damaged_count, 1);
    assert_true(lv_hand_count_files(&hand, "seg-") <= before / 3);
    end(&hand);
}

/* It may end at any moment of it. */
static void a_crash_in_between_loses_and_doubles_nothing(void **state)
{
    (void)state;
    for (unsigned steps = 0; steps < 40; steps++) {
        struct lv_hand hand;

        make_sparse(&hand);
        for (unsigned i = 0; i < steps; i++) {
            if (i % 2 == 0)
                lv_hand_wait(&hand, LV_NS_PER_S / 2);
            else if (!lv_hand_run_job(&hand))
                (void)lv_hand_sync(&hand);
        }
        lv_hand_restart(&hand, false);
        expect_left(&hand);
        end(&hand);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sparse_segments_become_few),
        cmocka_unit_test(what_was_merged_is_read_without_a_restart),
        cmocka_unit_test(a_full_disk_is_tried_again_later),
        cmocka_unit_test(any_other_error_is_the_end_and_loses_nothing),
        cmocka_unit_test(memory_that_is_missing_leaves_the_sources),
        cmocka_unit_test(a_damaged_source_is_left_alone),
        cmocka_unit_test(a_crash_in_between_loses_and_doubles_nothing),
    };
    return cmocka_run_group_tests_name("server merger", tests, NULL, NULL);
}
