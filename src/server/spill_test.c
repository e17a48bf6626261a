#include "server/spill.h"

#include "base/alloc.h"
#include "server/harness.h"

/* Larger than a page of the test's log holds many of. */
#define SIZE 500u

/* Everything comes, in order, each as new or (`again`) as delivered before. */
static void expect_numbers(struct lv_hand *hand, const char *queue, unsigned from, unsigned to,
                           bool again)
{
    unsigned number;
    bool was_delivered;

    for (unsigned i = from; i < to; i++) {
        if (!lv_hand_get(hand, queue, &number, &was_delivered))
            fail_msg("%u is missing", i);
        assert_int_equal(number, i);
        assert_int_equal(was_delivered, again);
    }
    assert_false(lv_hand_get(hand, queue, &number, &was_delivered));
    assert_int_equal(lv_hand_ready(hand, queue), 0);
}

static void a_backlog_goes_to_segments_and_comes_back_in_order(void **state)
{
    struct lv_hand hand;

    (void)state;
    lv_hand_begin(&hand);
    lv_hand_fill(&hand, 0, 2000, SIZE);
    lv_hand_settle(&hand);
    assert_true(lv_log_window_size(hand.shard.durable.log) <= LV_WINDOW_SIZE + LV_PAGE_SIZE);
    assert_true(lv_hand_count_files(&hand, "seg-") > 10);
    assert_true(lv_hand_count_files(&hand, "log-") < 5);
    expect_numbers(&hand, "q", 0, 2000, false);
    assert_int_equal(lv_hand_count_files(&hand, "seg-"), 0);
    assert_int_equal(hand.error, 0);
    lv_hand_close(&hand, true);
    lv_hand_end(&hand);
}

/* Those that were used longest ago are closed, and opened again when they are wanted. */
static void more_segments_are_read_than_are_kept_open(void **state)
{
    struct lv_hand hand;
    unsigned count = 0;

    (void)state;
    lv_hand_begin(&hand);
    lv_hand_fill(&hand, 0, 9000, SIZE);
    lv_hand_settle(&hand);
    assert_true(lv_hand_count_files(&hand, "seg-") > 65);
    for (; lv_hand_ready(&hand, "q") > 0; count++) { /* none is settled, so every segment stays */
        lv_sim_get(&hand.a, "q", "");
        lv_hand_settle(&hand);
    }
    assert_int_equal(count, 9000);
    (void)lv_sim_heard(&hand.a);
    lv_hand_restart(&hand, false);
    expect_numbers(&hand, "q", 0, 9000, true);
    lv_hand_close(&hand, true);
    lv_hand_end(&hand);
}

/* A spill that is about to be written. */
static void begin_spill(struct lv_hand *hand)
{
    lv_hand_begin(hand);
    lv_hand_fill(hand, 0, 400, SIZE);
    assert_int_equal(lv_hand_sync(hand), 0);
    lv_hand_turn(hand); /* it waits for the log to say what is not in it */
    assert_int_equal(hand->shard.durable.spiller.state, LV_SPILL_SYNCING);
    assert_int_equal(lv_hand_sync(hand), 0);
    lv_hand_turn(hand);
    assert_int_equal(hand->shard.durable.spiller.state, LV_SPILL_WRITING);
}

/* Wherever it fills up: nothing is lost, consumers go on, and it ends by itself. */
static void a_full_disk_holds_up_nobody_who_consumes(void **state)
{
    static const enum lv_image_op ops[] = {LV_IMAGE_CREATE, LV_IMAGE_WRITE, LV_IMAGE_RENAME};

    (void)state;
    for (size_t i = 0; i < LV_COUNT(ops); i++)
        for (uint64_t after = 1; after < 12; after += 5) {
            struct lv_hand hand;
            unsigned number;
            bool again;

            begin_spill(&hand);
            lv_image_disk_fail(hand.image, ops[i], after, -LV_E_FULL, true);
            assert_true(lv_hand_get(&hand, "q", &number, &again));
            assert_int_equal(number, 0);
            lv_image_disk_fail(hand.image, ops[i], 0, 0, false);
            assert_int_equal(hand.error, 0);
            lv_hand_wait(&hand, LV_NS_PER_S);
            lv_hand_settle(&hand);
            assert_int_not_equal(hand.shard.durable.spiller.state, LV_SPILL_FAILED);
            assert_true(lv_hand_count_files(&hand, "seg-") > 0);
            expect_numbers(&hand, "q", 1, 400, false);
            lv_hand_close(&hand, true);
            lv_hand_end(&hand);
        }
}

/* Whatever it was that failed: what had been confirmed is there at the next start. */
static void any_other_error_is_the_end_and_loses_nothing(void **state)
{
    static const enum lv_image_op ops[] = {LV_IMAGE_CREATE, LV_IMAGE_WRITE, LV_IMAGE_SYNC,
                                           LV_IMAGE_RENAME, LV_IMAGE_SYNC_DIRECTORY};

    (void)state;
    for (size_t i = 0; i < LV_COUNT(ops); i++) {
        unsigned stops = 0; /* a spare file that can't be kept is no reason to */

        for (uint64_t after = 1; after < 12; after += ops[i] == LV_IMAGE_WRITE ? 5 : 1) {
            struct lv_hand hand;
            uint64_t asked;

            lv_hand_begin(&hand);
            lv_hand_fill(&hand, 0, 400, SIZE);
            assert_int_equal(lv_hand_sync(&hand), 0);
            asked = lv_image_disk_count(hand.image, ops[i]);
            lv_image_disk_fail(hand.image, ops[i], after, -LV_E_IO, true);
            lv_hand_settle(&hand);
            asked = lv_image_disk_count(hand.image, ops[i]) - asked;
            assert_true(hand.error == 0 || (hand.error == -LV_E_IO && asked >= after));
            stops += hand.error < 0;
            lv_image_disk_fail(hand.image, ops[i], 0, 0, false);
            lv_hand_restart(&hand, false);
            expect_numbers(&hand, "q", 0, 400, true);
            lv_hand_close(&hand, true);
            lv_hand_end(&hand);
        }
        assert_true(stops > 0);
    }
}

/* A get may wait for a segment that will never be written: it is answered, so its client can go. */
static void who_waits_for_what_was_not_written_gets_it_from_memory(void **state)
{
    struct lv_hand hand;

    (void)state;
    begin_spill(&hand);
    lv_image_disk_fail(hand.image, LV_IMAGE_SYNC, 1, -LV_E_IO, true);
    lv_sim_get(&hand.a, "q", "n");
    lv_sim_settle(&hand.sim);
    while (lv_hand_run_job(&hand))
        lv_hand_turn(&hand);
    assert_int_equal(hand.error, -LV_E_IO);
    lv_sim_settle(&hand.sim);
    assert_int_equal(strncmp(lv_sim_heard(&hand.a), "get-ok #1 0:", 12), 0);
    lv_hand_close(&hand, false);
    lv_hand_end(&hand);
}

/* The job, with one allocation that fails. */
static void run_short_of_memory(struct lv_hand *hand, uint64_t after)
{
    lv_alloc_fail_after(after, false);
    assert_true(lv_hand_run_job(hand));
    lv_alloc_fail_after(0, false);
}

/* Each allocation of writing a segment, and of reading from it, fails once. */
static void memory_that_is_missing_loses_nothing(void **state)
{
    bool is_enough = false;
    unsigned failures = 0;

    (void)state;
    for (uint64_t after = 1; after < 20; after++) {
        struct lv_hand hand;

        begin_spill(&hand);
        run_short_of_memory(&hand, after);
        lv_hand_turn(&hand);
        is_enough = hand.shard.durable.spiller.state != LV_SPILL_FAILED;
        failures += !is_enough;
        lv_hand_wait(&hand, LV_NS_PER_S);
        lv_hand_settle(&hand);
        assert_true(lv_hand_count_files(&hand, "seg-") > 0);
        lv_sim_get(&hand.a, "q", "n");
        lv_sim_settle(&hand.sim);
        run_short_of_memory(&hand, after);
        lv_hand_settle(&hand);
        assert_int_equal(strncmp(lv_sim_heard(&hand.a), "get-ok #1 0:", 12), 0);
        assert_int_equal(hand.error, 0);
        assert_int_equal(hand.damaged_count, 0);
        expect_numbers(&hand, "q", 1, 400, false);
        lv_hand_close(&hand, true);
        lv_hand_end(&hand);
    }
    assert_true(failures > 0);
    assert_true(is_enough);
}

/* It is asked for again. */
static void a_job_there_is_no_memory_for_is_not_begun(void **state)
{
    struct lv_hand hand;

    (void)state;
    lv_hand_begin(&hand);
    lv_hand_fill(&hand, 0, 400, SIZE);
    lv_hand_settle(&hand);
    lv_alloc_fail_after(1, false);
    assert_int_equal(lv_spiller_ops.load(&hand.shard.durable, 1, 1, 0, false), -LV_E_NOMEM);
    lv_alloc_fail_after(1, false);
    assert_int_equal(lv_spiller_ops.drop(&hand.shard.durable, 1), -LV_E_NOMEM);
    lv_alloc_fail_after(0, false);
    assert_false(lv_hand_run_job(&hand));
    lv_hand_close(&hand, true);
    lv_hand_end(&hand);
}

/* What is settled while segments can't go must be gone at the next start, too, when the log's files
 * that said so have gone long since. */
static void a_segment_that_can_not_be_removed_brings_nothing_back(void **state)
{
    static const int errors[] = {-LV_E_FULL, -LV_E_NOMEM};

    (void)state;
    for (size_t i = 0; i < LV_COUNT(errors); i++) {
        struct lv_hand hand;
        unsigned segments;

        lv_hand_begin(&hand);
        lv_hand_fill(&hand, 0, 400, SIZE);
        lv_hand_settle(&hand);
        segments = lv_hand_count_files(&hand, "seg-");
        assert_true(segments > 1);
        if (errors[i] == -LV_E_FULL)
            lv_image_disk_fail(hand.image, LV_IMAGE_REMOVE, 1, -LV_E_FULL, true);
        else
            hand.shard.durable.spiller.no_drop_before = LV_NEVER;
        expect_numbers(&hand, "q", 0, 400, false);
        for (unsigned round = 0; round < 5; round++) { /* the log's files pass */
            lv_hand_fill(&hand, 400, 1400, SIZE);
            lv_hand_settle(&hand);
            expect_numbers(&hand, "q", 400, 1400, false);
        }
        assert_true(lv_hand_count_files(&hand, "seg-") >= segments);
        assert_int_equal(hand.error, 0);
        lv_image_disk_fail(hand.image, LV_IMAGE_REMOVE, 0, 0, false);
        lv_hand_restart(&hand, false);
        expect_numbers(&hand, "q", 0, 0, false);
        assert_int_equal(lv_hand_count_files(&hand, "seg-"), 0);
        lv_hand_close(&hand, true);
        lv_hand_end(&hand);
    }
}

static void a_segment_goes_when_it_can_be_removed_again(void **state)
{
    struct lv_hand hand;

    (void)state;
    lv_hand_begin(&hand);
    lv_hand_fill(&hand, 0, 400, SIZE);
    lv_hand_settle(&hand);
    lv_image_disk_fail(hand.image, LV_IMAGE_REMOVE, 1, -LV_E_FULL, false);
    expect_numbers(&hand, "q", 0, 400, false);
    lv_hand_wait(&hand, LV_NS_PER_S);
    lv_hand_settle(&hand);
    assert_int_equal(lv_hand_count_files(&hand, "seg-"), 0);
    lv_hand_fill(&hand, 0, 400, SIZE);
    lv_hand_settle(&hand);
    lv_image_disk_fail(hand.image, LV_IMAGE_REMOVE, 1, -LV_E_IO, true);
    for (unsigned i = 0; i < 400 && hand.error == 0; i++) {
        lv_sim_get(&hand.a, "q", "n");
        lv_hand_settle(&hand);
    }
    assert_int_equal(hand.error, -LV_E_IO); /* any other error is the end */
    lv_image_disk_fail(hand.image, LV_IMAGE_REMOVE, 0, 0, false);
    lv_hand_restart(&hand, false);
    lv_hand_close(&hand, true);
    lv_hand_end(&hand);
}

/* Nothing is left out for an error that may be over: the queue waits. */
static void what_can_not_be_read_is_tried_again(void **state)
{
    struct lv_hand hand;

    (void)state;
    for (uint64_t after = 1; after < 4; after++) { /* its head, its table, its messages */
        lv_hand_begin(&hand);
        lv_hand_fill(&hand, 0, 400, SIZE);
        lv_hand_settle(&hand);
        lv_hand_restart(&hand, false); /* no segment is open */
        lv_hand_settle(&hand);
        hand.is_held = true; /* nothing else reads */
        lv_image_disk_fail(hand.image, LV_IMAGE_READ, after, -LV_E_IO, true);
        lv_sim_get(&hand.a, "q", "n");
        lv_hand_settle(&hand);
        assert_non_null(hand.shard.durable.spiller.unread);
        lv_hand_wait(&hand, 6 * LV_NS_PER_S);
        lv_hand_settle(&hand);
        assert_non_null(hand.shard.durable.spiller.unread);
        lv_image_disk_fail(hand.image, LV_IMAGE_READ, 0, 0, false);
        hand.is_held = false;
        lv_hand_wait(&hand, 6 * LV_NS_PER_S);
        lv_hand_settle(&hand);
        assert_null(hand.shard.durable.spiller.unread);
        assert_int_equal(hand.damaged_count, 0);
        assert_int_equal(hand.error, 0);
        assert_int_equal(strncmp(lv_sim_heard(&hand.a), "get-ok", 6), 0);
        expect_numbers(&hand, "q", 1, 400, true);
        lv_hand_close(&hand, true);
        lv_hand_end(&hand);
    }
}

static void publish_transient(struct lv_hand *hand, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        char body[101];

        (void)snprintf(body, sizeof body, "%u:%090u", i, i);
        lv_hand_publish(hand, "t", body, false);
    }
}

static void transient_messages_go_when_memory_is_short_and_are_gone_after_a_restart(void **state)
{
    struct lv_hand hand;
    struct lv_store_stats before, after;

    (void)state;
    lv_hand_begin(&hand);
    publish_transient(&hand, 0, 1000);
    lv_hand_settle(&hand);
    assert_int_equal(lv_hand_count_files(&hand, "seg-"), 0);
    lv_store_stats(hand.shard.store, &before);
    lv_memory_init(&hand.shared.memory, &hand.shared.alarms, 1000);
    (void)lv_memory_report(&hand.shared.memory, 600);
    lv_hand_settle(&hand);
    lv_store_stats(hand.shard.store, &after);
    assert_true(lv_hand_count_files(&hand, "seg-") > 0);
    assert_true(after.live_size < before.live_size / 2);
    publish_transient(&hand, 1000, 1100);
    expect_numbers(&hand, "t", 0, 1100, false);
    publish_transient(&hand, 0, 1000);
    lv_hand_settle(&hand);
    assert_true(lv_hand_count_files(&hand, "seg-") > 0);
    lv_hand_restart(&hand, false);
    assert_int_equal(lv_hand_count_files(&hand, "seg-"), 0);
    lv_hand_close(&hand, true);
    lv_hand_end(&hand);
}

/* Many queues that have a little each may fill the memory for long. */
static void that_no_queue_is_long_is_not_looked_for_in_every_turn(void **state)
{
    struct lv_hand hand;

    (void)state;
    lv_hand_begin(&hand);
    lv_memory_init(&hand.shared.memory, &hand.shared.alarms, 1000);
    (void)lv_memory_report(&hand.shared.memory, 600);
    for (unsigned i = 0; i < 5; i++) {
        static char body[5000];

        memset(body, 'x', sizeof body - 1);
        lv_hand_publish(&hand, "t", body, false);
    }
    lv_hand_settle(&hand);
    publish_transient(&hand, 0, 1000);
    lv_hand_settle(&hand);
    assert_int_equal(lv_hand_count_files(&hand, "seg-"), 0);
    lv_hand_wait(&hand, LV_NS_PER_S);
    lv_hand_settle(&hand);
    assert_true(lv_hand_count_files(&hand, "seg-") > 0);
    lv_hand_close(&hand, true);
    lv_hand_end(&hand);
}

/* Reading on would only make it worse; but where publishers are blocked already, acks must get in.
 */
static void the_log_is_behind_when_its_window_can_not_move(void **state)
{
    struct lv_hand hand;
    const struct lv_spiller *spiller = &hand.shard.durable.spiller;

    (void)state;
    lv_hand_begin(&hand);
    hand.is_held = true;
    assert_false(lv_spiller_is_behind(spiller));
    for (unsigned i = 0; lv_log_window_size(hand.shard.durable.log) <= LV_WINDOW_MAX; i += 100)
        lv_hand_fill(&hand, i, i + 100, 60000);
    lv_hand_settle(&hand);
    assert_int_equal(spiller->state, LV_SPILL_WRITTEN); /* the metadata has not got so far */
    assert_true(lv_spiller_is_behind(spiller));
    hand.shard.alarms = 1;
    assert_false(lv_spiller_is_behind(spiller));
    hand.shard.alarms = 0;
    hand.is_held = false;
    lv_hand_settle(&hand);
    assert_false(lv_spiller_is_behind(spiller));
    lv_hand_close(&hand, true);
    lv_hand_end(&hand);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_backlog_goes_to_segments_and_comes_back_in_order),
        cmocka_unit_test(more_segments_are_read_than_are_kept_open),
        cmocka_unit_test(a_full_disk_holds_up_nobody_who_consumes),
        cmocka_unit_test(any_other_error_is_the_end_and_loses_nothing),
        cmocka_unit_test(who_waits_for_what_was_not_written_gets_it_from_memory),
        cmocka_unit_test(memory_that_is_missing_loses_nothing),
        cmocka_unit_test(a_job_there_is_no_memory_for_is_not_begun),
        cmocka_unit_test(a_segment_that_can_not_be_removed_brings_nothing_back),
        cmocka_unit_test(a_segment_goes_when_it_can_be_removed_again),
        cmocka_unit_test(what_can_not_be_read_is_tried_again),
        cmocka_unit_test(transient_messages_go_when_memory_is_short_and_are_gone_after_a_restart),
        cmocka_unit_test(that_no_queue_is_long_is_not_looked_for_in_every_turn),
        cmocka_unit_test(the_log_is_behind_when_its_window_can_not_move),
    };
    return cmocka_run_group_tests_name("server spill", tests, NULL, NULL);
}
