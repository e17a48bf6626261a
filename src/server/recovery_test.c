#include "server/recovery.h"

#include "base/alloc.h"
#include "server/harness.h"
#include "store/segment.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE  500u
#define COUNT 600u
/* Settled, from the first on; the next ones are with a consumer. */
#define GONE 100u
#define OUT  5u

/* Segments, a log of several files, and something of everything in it. */
static void live(struct lv_hand *hand)
{
    unsigned number;
    bool again;

    lv_hand_begin(hand);
    lv_hand_fill(hand, 0, COUNT, SIZE);
    lv_hand_settle(hand);
    for (unsigned i = 0; i < GONE; i++)
        assert_true(lv_hand_get(hand, "q", &number, &again));
    for (unsigned i = 0; i < OUT; i++) {
        lv_sim_get(&hand->a, "q", "");
        lv_hand_settle(hand);
    }
    (void)lv_sim_heard(&hand->a);
    assert_true(lv_hand_count_files(hand, "seg-") > 2);
    assert_true(lv_hand_count_files(hand, "log-") > 1);
    assert_int_equal(lv_hand_sync(hand), 0);
}

/* What is left, in order. */
static void expect_left(struct lv_hand *hand, unsigned again_count)
{
    unsigned number;
    bool again;

    for (unsigned i = GONE; i < COUNT; i++) {
        if (!lv_hand_get(hand, "q", &number, &again))
            fail_msg("%u is missing", i);
        assert_int_equal(number, i);
        assert_int_equal(again, i - GONE < again_count);
    }
    assert_false(lv_hand_get(hand, "q", &number, &again));
}

static void end(struct lv_hand *hand)
{
    lv_hand_close(hand, true);
    lv_hand_end(hand);
}

static void after_a_crash_everything_may_have_been_delivered(void **state)
{
    struct lv_hand hand;

    (void)state;
    live(&hand);
    lv_hand_restart(&hand, false);
    assert_false(hand.end.is_clean);
    expect_left(&hand, COUNT);
    end(&hand);
}

static void after_a_stop_it_is_known_who_was_delivered(void **state)
{
    struct lv_hand hand;

    (void)state;
    live(&hand);
    lv_hand_restart(&hand, true);
    assert_true(hand.end.is_clean);
    expect_left(&hand, OUT);
    end(&hand);
}

/* The log still ends with the mark of the stop before: what was delivered since is not in it. */
static void a_crash_right_after_a_start_is_a_crash(void **state)
{
    struct lv_hand hand;

    (void)state;
    live(&hand);
    lv_hand_restart(&hand, true);
    lv_hand_restart(&hand, false);
    assert_false(hand.end.is_clean);
    expect_left(&hand, COUNT);
    end(&hand);
}

enum attempt { ATTEMPT_ENOUGH = 10, ATTEMPT_REFUSED, ATTEMPT_WRONG };

/* A start with one allocation that fails and, when it is refused, another one. In a process of its
 * own, since memory for the broker's bookkeeping is not done without: that ends the process. */
static enum attempt attempt(struct lv_hand *hand, uint64_t after)
{
    struct lv_diag diag = {.text = ""};
    int rc;

    lv_hand_close(hand, false);
    hand->fail_after = after;
    rc = lv_hand_open(hand, hand->image, &diag);
    if (rc == 0)
        return ATTEMPT_ENOUGH;
    if (rc != -LV_E_NOMEM || strstr(diag.text, "memory") == NULL)
        return ATTEMPT_WRONG;
    hand->fail_after = 0;
    if (lv_hand_open(hand, hand->image, &diag) < 0 || lv_hand_ready(hand, "q") != COUNT - GONE)
        return ATTEMPT_WRONG;
    return ATTEMPT_REFUSED;
}

static void without_memory_it_does_not_start(void **state)
{
    struct lv_hand hand;
    unsigned refused = 0;
    int status = 0;

    (void)state;
    live(&hand);
    for (uint64_t after = 1; !WIFEXITED(status) || WEXITSTATUS(status) != ATTEMPT_ENOUGH; after++) {
        pid_t child = fork();

        assert_true(child >= 0);
        if (child == 0) {
            if (freopen("/dev/null", "w", stderr) == NULL)
                _exit(ATTEMPT_WRONG);
            _exit((int)attempt(&hand, after));
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFSIGNALED(status))
            assert_int_equal(WTERMSIG(status), SIGABRT);
        else
            assert_in_range(WEXITSTATUS(status), ATTEMPT_ENOUGH, ATTEMPT_REFUSED);
        refused += WIFEXITED(status) && WEXITSTATUS(status) == ATTEMPT_REFUSED;
    }
    assert_true(refused > 20);
    assert_int_equal(lv_hand_ready(&hand, "q"), COUNT - GONE - OUT);
    end(&hand);
}

/* Each thing that is asked of the disk fails once, with all that come after it. What was done until
 * then must not be in the way of the next start. */
static void fail_each(enum lv_image_op op, int error)
{
    bool is_enough = false;
    uint64_t after;

    for (after = 1; !is_enough; after++) {
        struct lv_hand hand;
        struct lv_diag diag = {.text = ""};
        int rc;

        live(&hand);
        lv_hand_close(&hand, false);
        lv_image_disk_fail(hand.image, op, after, error, true);
        rc = lv_hand_open(&hand, hand.image, &diag);
        lv_image_disk_fail(hand.image, op, 0, 0, false);
        is_enough = rc == 0;
        if (!is_enough) {
            assert_int_equal(rc, error);
            if (diag.text[0] == '\0')
                fail_msg("operation %d, the %llu.: no sentence", (int)op,
                         (unsigned long long)after);
            if (lv_hand_open(&hand, hand.image, &diag) < 0)
                fail_msg("%s", diag.text);
        }
        assert_int_equal(lv_hand_ready(&hand, "q"), COUNT - GONE);
        end(&hand);
    }
    assert_true(after > 2);
}

static void a_broken_disk_is_said_and_spoils_nothing(void **state)
{
    static const enum lv_image_op ops[] = {LV_IMAGE_OPEN, LV_IMAGE_READ,   LV_IMAGE_WRITE,
                                           LV_IMAGE_SYNC, LV_IMAGE_CREATE, LV_IMAGE_SYNC_DIRECTORY};

    (void)state;
    for (size_t i = 0; i < LV_COUNT(ops); i++)
        fail_each(ops[i], -LV_E_IO);
}

/* The operator hears which file it is about. */
static void a_full_disk_is_no_obstacle(void **state)
{
    static const enum lv_image_op ops[] = {LV_IMAGE_CREATE, LV_IMAGE_WRITE};

    (void)state;
    for (size_t i = 0; i < LV_COUNT(ops); i++) {
        struct lv_hand hand;
        struct lv_diag diag = {.text = ""};

        live(&hand);
        lv_hand_close(&hand, false);
        lv_image_disk_fail(hand.image, ops[i], 1, -LV_E_FULL, true);
        if (lv_hand_open(&hand, hand.image, &diag) < 0)
            fail_msg("%s", diag.text);
        lv_image_disk_fail(hand.image, ops[i], 0, 0, false);
        expect_left(&hand, COUNT);
        end(&hand);
    }
}

static void put(struct lv_hand *hand, const char *name, const char *data)
{
    assert_int_equal(hand->shared.disk->ops->sync_directory(hand->shared.disk), 0);
    lv_image_disk_put(hand->image, name, lv_text(data));
}

static void what_was_half_written_goes(void **state)
{
    struct lv_hand hand;

    (void)state;
    live(&hand);
    put(&hand, "seg-00-00000000000000ff.tmp", "half a segment");
    put(&hand, "seg-01-00000000000000ff.tmp", "of another shard");
    lv_hand_restart(&hand, false);
    assert_int_equal(lv_hand_count_files(&hand, "seg-00-00000000000000ff"), 0);
    assert_int_equal(lv_hand_count_files(&hand, "seg-01-00000000000000ff"), 1);
    expect_left(&hand, COUNT);
    end(&hand);
}

/* The broker ended after the last message was settled and before the files went. */
static void segments_that_nobody_wants_go(void **state)
{
    struct lv_hand hand;

    (void)state;
    live(&hand);
    lv_sim_purge(&hand.a, "q");
    lv_sim_settle(&hand.sim);
    assert_int_equal(lv_hand_sync(&hand), 0);
    lv_sim_channel_close(&hand.a, 1);
    lv_sim_settle(&hand.sim);
    lv_sim_channel_open(&hand.a, 1);
    lv_sim_purge(&hand.a, "q"); /* those that were out, too */
    lv_sim_settle(&hand.sim);
    assert_int_equal(lv_hand_sync(&hand), 0);
    assert_true(lv_hand_count_files(&hand, "seg-") > 0);
    lv_hand_restart(&hand, false);
    assert_int_equal(lv_hand_count_files(&hand, "seg-"), 0);
    assert_int_equal(lv_hand_ready(&hand, "q"), 0);
    end(&hand);
}

/* Numbers of segments are never used twice, whatever shard a file is of. */
static void the_next_segment_comes_behind_all_others(void **state)
{
    struct lv_hand hand;
    uint64_t next;

    (void)state;
    lv_hand_begin(&hand);
    assert_int_equal(lv_recovery_next_segment(hand.shared.disk, 0, &next), 0);
    assert_int_equal(next, 1);
    put(&hand, "seg-00-0000000000000009", "");
    put(&hand, "seg-00-0000000000000003", "");
    put(&hand, "seg-01-0000000000000022", "");
    put(&hand, "seg-00-0000000000000033.tmp", "");
    put(&hand, "seg-00-nonsense", "");
    assert_int_equal(lv_recovery_next_segment(hand.shared.disk, 0, &next), 0);
    assert_int_equal(next, 10);
    assert_int_equal(lv_recovery_next_segment(hand.shared.disk, 1, &next), 0);
    assert_int_equal(next, 0x23);
    assert_int_equal(lv_recovery_next_segment(hand.shared.disk, 2, &next), 0);
    assert_int_equal(next, 1);
    lv_hand_close(&hand, false);
    lv_hand_end(&hand);
}

/* Somebody has put an old one back. */
static void metadata_that_ends_before_the_log_begins_is_refused(void **state)
{
    struct lv_hand hand;
    struct lv_diag diag = {.text = ""};

    (void)state;
    live(&hand);
    lv_hand_close(&hand, false);
    hand.applied = 1;
    assert_int_equal(lv_hand_open(&hand, hand.image, &diag), -LV_E_CORRUPT);
    assert_non_null(strstr(diag.text, "metadata.sqlite ends at LSN 1 and"));
    assert_non_null(strstr(diag.text, "put a whole metadata.sqlite back"));
    lv_hand_end(&hand);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_crash_everything_may_have_been_delivered),
        cmocka_unit_test(after_a_stop_it_is_known_who_was_delivered),
        cmocka_unit_test(a_crash_right_after_a_start_is_a_crash),
        cmocka_unit_test(without_memory_it_does_not_start),
        cmocka_unit_test(a_broken_disk_is_said_and_spoils_nothing),
        cmocka_unit_test(a_full_disk_is_no_obstacle),
        cmocka_unit_test(what_was_half_written_goes),
        cmocka_unit_test(segments_that_nobody_wants_go),
        cmocka_unit_test(the_next_segment_comes_behind_all_others),
        cmocka_unit_test(metadata_that_ends_before_the_log_begins_is_refused),
    };
    return cmocka_run_group_tests_name("server recovery", tests, NULL, NULL);
}
