#include "broker/cold.h"

#include "base/alloc.h"
#include "broker/lives.h"

#include <stdio.h>
#include <string.h>

static const struct lv_cold *cold(const struct lv_lives *lives, const char *queue)
{
    return lv_lives_queue(lives, queue)->cold;
}

static uint64_t ready(const struct lv_lives *lives, const char *queue)
{
    const struct lv_queue *q = lv_lives_queue(lives, queue);

    return lv_queue_ready_count(q);
}

/* "FROM ... TO" with spaces between, each followed by `mark`. */
static const char *numbers(unsigned from, unsigned to, const char *mark)
{
    static char text[65536];
    size_t at = 0;

    text[0] = '\0';
    for (unsigned i = from; i <= to; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%u%s", i > from ? " " : "", i, mark);
    return text;
}

/* What is heard of deliveries, as numbers alone. */
static const char *bodies(const char *heard)
{
    static char text[65536];
    size_t at = 0;

    text[0] = '\0';
    while (*heard != '\0') {
        size_t line = strcspn(heard, "\n");
        const char *body = memchr(heard, '#', line);
        if (body != NULL) {
            body = strchr(body, ' ') + 1;
            size_t size = strcspn(body, " \n,");
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%.*s", at > 0 ? " " : "",
                                   (int)size, body);
        }
        heard += line + (heard[line] == '\n');
    }
    return text;
}

static void a_backlog_in_segments_comes_back_in_order(void **state)
{
    struct lv_lives lives;

    (void)state;
    lv_lives_begin(&lives);
    for (unsigned i = 0; i < 5; i++) {
        lv_lives_publish_many(&lives, "q", 20 * i + 1, 20 * i + 20);
        if (i < 4)
            lv_lives_spill(&lives);
    }
    assert_int_equal(cold(&lives, "q")->count, 4);
    assert_int_equal(cold(&lives, "q")->waiting_count, 80);
    assert_int_equal(lv_lives_queue(&lives, "q")->ready.count, 20);
    assert_int_equal(ready(&lives, "q"), 100);
    assert_int_equal(lives.broker->stats.ready, 100);
    lv_lives_expect(&lives, "q", numbers(1, 100, ""));
    assert_int_equal(lives.broker->stats.ready, 0);
    lv_lives_sync(&lives);
    assert_int_equal(lv_lives_segment_count(&lives), 0);
    assert_null(cold(&lives, "q"));
    lv_lives_end(&lives);
}

/* A spilled queue costs its runs. */
static void memory_is_given_back_as_a_queue_is_spilled(void **state)
{
    struct lv_lives lives;
    struct lv_broker_stats before, after;

    (void)state;
    lv_lives_begin(&lives);
    lv_lives_publish_many(&lives, "q", 1, 5000);
    lv_broker_stats(lives.broker, &before);
    lv_lives_spill(&lives);
    lv_broker_stats(lives.broker, &after);
    assert_true(after.memory_size <= before.memory_size);
    assert_int_equal(lv_lives_queue(&lives, "q")->ready.count, 0);
    assert_int_equal(lv_log_held(lives.log, UINT64_MAX), 0);
    assert_int_equal(ready(&lives, "q"), 5000);
    lv_lives_end(&lives);
}

static void a_queue_without_consumers_loads_nothing(void **state)
{
    struct lv_lives lives;

    (void)state;
    lv_lives_begin(&lives);
    lv_lives_publish_many(&lives, "q", 1, 10);
    lv_lives_spill(&lives);
    lv_lives_publish_many(&lives, "q", 11, 20);
    lv_sim_settle(&lives.sim);
    assert_int_equal(lives.load_count, 0);
    lv_sim_consume(&lives.a, "q", "c", "");
    lv_sim_settle(&lives.sim);
    assert_int_equal(lives.load_count, 1);
    lv_lives_end(&lives);
}

static void a_consumer_gets_what_is_in_segments_and_then_the_rest(void **state)
{
    struct lv_lives lives;

    (void)state;
    lv_lives_begin(&lives);
    lv_lives_publish_many(&lives, "q", 1, 30);
    lv_lives_spill(&lives);
    lv_lives_publish_many(&lives, "q", 31, 40);
    lv_sim_consume(&lives.a, "q", "c", "");
    lv_lives_read(&lives);
    assert_string_equal(bodies(lv_sim_heard(&lives.a)), numbers(1, 40, ""));
    lv_sim_settle_tag(&lives.a, 40, "a+");
    lv_lives_sync(&lives);
    assert_int_equal(lv_lives_segment_count(&lives), 0);
    lv_lives_restart(&lives, false);
    lv_lives_expect(&lives, "q", "");
    lv_lives_end(&lives);
}

/* Delivered before its page went, requeued afterwards: it is read by its number alone. */
static void what_comes_back_after_its_page_has_gone_is_read_again(void **state)
{
    struct lv_lives lives;

    (void)state;
    lv_lives_begin(&lives);
    lv_lives_publish_many(&lives, "q", 1, 10);
    lv_sim_consume(&lives.a, "q", "c", "");
    (void)lv_sim_heard(&lives.a);
    lv_sim_cancel(&lives.a, "c");
    lv_lives_publish_many(&lives, "q", 11, 15);
    lv_lives_spill(&lives);
    lv_lives_publish_many(&lives, "q", 16, 20);
    assert_int_equal(cold(&lives, "q")->waiting_count, 5);
    lv_sim_settle_tag(&lives.a, 2, "a");
    lv_sim_settle_tag(&lives.a, 9, "r"); /* rejected: settled */
    lv_sim_settle_tag(&lives.a, 3, "q");
    lv_sim_settle_tag(&lives.a, 10, "q+");
    assert_hears(&lives.a, "cancel-ok c");
    assert_int_equal(ready(&lives, "q"), 18);
    lv_lives_expect(&lives, "q", "1! 3! 4! 5! 6! 7! 8! 10! 11 12 13 14 15 16 17 18 19 20");
    lv_lives_sync(&lives);
    assert_int_equal(lv_lives_segment_count(&lives), 0);
    lv_lives_end(&lives);
}

/* In its place, whatever it waits for. */
static void what_is_delivered_before_and_settled_after_a_spill_frees_the_segment(void **state)
{
    struct lv_lives lives;

    (void)state;
    lv_lives_begin(&lives);
    lv_lives_publish_many(&lives, "q", 1, 10);
    lv_sim_consume(&lives.a, "q", "c", "");
    (void)lv_sim_heard(&lives.a);
    lv_lives_spill(&lives);
    lv_sim_settle_tag(&lives.a, 9, "a+");
    lv_lives_sync(&lives);
    assert_int_equal(lv_lives_segment_count(&lives), 1);
    lv_sim_settle_tag(&lives.a, 10, "a");
    assert_int_equal(lv_lives_segment_count(&lives), 1); /* until that is on the disk */
    lv_lives_sync(&lives);
    assert_int_equal(lv_lives_segment_count(&lives), 0);
    lv_lives_end(&lives);
}

static void transient_messages_go_along_and_keep_their_places(void **state)
{
    struct lv_lives lives;

    (void)state;
    for (int restart = 0; restart <= 2; restart++) {
        lv_lives_begin(&lives);
        lv_lives_publish(&lives, "q", "t0", false);
        for (unsigned i = 1; i <= 6; i++) {
            lv_lives_publish_many(&lives, "q", i, i);
            lv_lives_publish(&lives, "q", "t", false);
            if (i % 2 == 0)
                lv_lives_spill(&lives); /* each leaves its last transient one */
        }
        assert_int_equal(ready(&lives, "q"), 13);
        if (restart == 0) {
            lv_lives_expect(&lives, "q", "t0 1 t 2 t 3 t 4 t 5 t 6 t");
        } else {
            lv_lives_restart(&lives, restart == 2);
            assert_int_equal(ready(&lives, "q"), 6);
            lv_lives_expect(&lives, "q", restart == 2 ? "1 2 3 4 5 6" : "1! 2! 3! 4! 5! 6!");
        }
        assert_int_equal(lives.broker->stats.ready, 0);
        lv_lives_sync(&lives);
        assert_int_equal(lv_lives_segment_count(&lives), 0);
        lv_lives_end(&lives);
    }
}

static void spill_oldest_file(struct lv_lives *lives)
{
    uint64_t end = lv_log_next_file(lives->log, lv_log_begin(lives->log));

    assert_int_equal(lv_broker_spill(lives->broker, end, lives->next_segment, &lives->spill), 0);
    lives->is_spilling = true;
    lv_lives_spill_end(lives);
}

/* A record of what was settled is newer than the file, but no state is. */
static void a_segment_is_read_with_the_numbers_of_transient_messages_known(void **state)
{
    struct lv_lives lives;

    (void)state;
    lv_lives_begin(&lives);
    for (unsigned i = 1; i <= 8; i++) {
        lv_lives_publish_many(&lives, "q", i, i);
        lv_lives_publish(&lives, "q", "t", false);
    }
    lv_lives_turn_file(&lives);
    lv_sim_get(&lives.a, "q", "n");
    assert_hears(&lives.a, "get-ok #1 1, 15 left");
    lv_lives_turn_file(&lives);
    spill_oldest_file(&lives);
    lv_lives_restart(&lives, false);
    assert_int_equal(ready(&lives, "q"), 7);
    lv_lives_expect(&lives, "q", numbers(2, 8, "!"));
    lv_lives_end(&lives);
}

/* A crash when the segment is durable and the log's file is still there. */
static void what_is_in_a_segment_and_in_the_log_counts_once(void **state)
{
    struct lv_lives lives;

    (void)state;
    lv_lives_begin(&lives);
    for (unsigned i = 1; i <= 6; i++) {
        lv_lives_publish_many(&lives, "q", i, i);
        lv_lives_publish(&lives, "q", "t", false);
    }
    lv_lives_turn_file(&lives);
    lv_lives_spill_begin(&lives);
    lv_lives_write_segment(&lives);
    lv_lives_restart(&lives, false);
    assert_int_equal(ready(&lives, "q"), 6);
    lv_lives_expect(&lives, "q", "1! 2! 3! 4! 5! 6!");
    assert_int_equal(lives.broker->stats.ready, 0);
    assert_int_equal(lv_lives_queue(&lives, "q")->kept->live_count, 0);
    lv_lives_sync(&lives);
    assert_int_equal(lv_lives_segment_count(&lives), 0);
    lv_lives_end(&lives);
}

static void a_crash_while_a_segment_is_written_loses_and_doubles_nothing(void **state)
{
    struct lv_lives lives;

    (void)state;
    for (int is_written = 0; is_written <= 1; is_written++) {
        lv_lives_begin(&lives);
        lv_lives_publish_many(&lives, "q", 1, 5);
        lv_lives_spill(&lives);
        lv_lives_publish_many(&lives, "q", 6, 10);
        lv_lives_turn_file(&lives);
        lv_lives_spill_begin(&lives);
        if (is_written == 1)
            lv_lives_write_segment(&lives);
        lv_lives_restart(&lives, false);
        assert_int_equal(ready(&lives, "q"), 10);
        lv_lives_publish_many(&lives, "q", 11, 12);
        lv_lives_spill(&lives); /* what is there twice is not spilled twice */
        lv_lives_expect(&lives, "q", "1! 2! 3! 4! 5! 6! 7! 8! 9! 10! 11 12");
        lv_lives_end(&lives);
    }
}

/* The queue's own records are long gone, and the segment stays for another queue's sake. */
static void a_segment_that_others_keep_brings_nothing_back(void **state)
{
    struct lv_lives lives;

    (void)state;
    for (int is_clean = 0; is_clean <= 1; is_clean++) {
        lv_lives_begin(&lives);
        lv_sim_declare(&lives.a, "r", "d");
        lv_lives_sync(&lives);
        assert_hears(&lives.a, "declare-ok r 0 0");
        lv_lives_publish_many(&lives, "q", 1, 5);
        lv_lives_publish_many(&lives, "r", 1, 1);
        lv_lives_spill(&lives);
        lv_lives_expect(&lives, "q", "1 2 3 4 5");
        for (unsigned i = 0; i < 3; i++)
            lv_lives_spill(&lives); /* files with nothing in them but what was settled */
        lv_lives_restart(&lives, is_clean == 1);
        assert_int_equal(ready(&lives, "q"), 0);
        lv_lives_expect(&lives, "q", "");
        lv_lives_expect(&lives, "r", is_clean == 1 ? "1" : "1!");
        lv_lives_end(&lives);
    }
}

static void a_get_waits_for_its_message(void **state)
{
    struct lv_lives lives;

    (void)state;
    lv_lives_begin(&lives);
    lv_lives_publish_many(&lives, "q", 1, 3);
    lv_lives_spill(&lives);
    lv_sim_get(&lives.a, "q", "");
    assert_hears(&lives.a, "");
    assert_int_equal(lives.load_count, 1);
    assert_true(lv_lives_read_one(&lives));
    assert_hears(&lives.a, "get-ok #1 1, 2 left");
    lv_sim_get(&lives.a, "q", "");
    assert_hears(&lives.a, "get-ok #2 2, 1 left"); /* came along */
    lv_lives_end(&lives);
}

static void a_queue_may_be_purged_or_deleted_while_its_front_is_read(void **state)
{
    struct lv_lives lives;

    (void)state;
    for (int is_deleted = 0; is_deleted <= 1; is_deleted++) {
        struct lv_sim_client b;
        lv_lives_begin(&lives);
        lv_sim_client_open(&b, &lives.sim, 0);
        lv_lives_publish_many(&lives, "q", 1, 10);
        lv_lives_spill(&lives);
        lv_lives_publish_many(&lives, "q", 11, 12);
        lv_sim_get(&lives.a, "q", "");
        assert_hears(&lives.a, "");
        if (is_deleted == 1) {
            lv_sim_delete(&b, "q", "");
            lv_sim_settle(&lives.sim);
            lv_lives_sync(&lives);
            assert_hears(&b, "delete-ok 12");
            assert_hears(&lives.a, "get: 404 no queue 'q' in vhost '/'");
        } else {
            lv_sim_purge(&b, "q");
            assert_hears(&b, "purge-ok 12");
            assert_hears(&lives.a, "");
        }
        assert_int_equal(lives.broker->stats.ready, 0);
        assert_true(lv_lives_read_one(&lives)); /* comes too late */
        assert_hears(&lives.a, is_deleted == 1 ? "" : "get-empty");
        lv_lives_sync(&lives);
        assert_int_equal(lv_lives_segment_count(&lives), 0);
        lv_sim_client_fini(&b);
        lv_lives_end(&lives);
    }
}

/* The answer to what was asked before the purge says nothing of what was spilled after it. */
static void what_is_spilled_after_a_purge_is_not_taken_for_what_was_asked_before(void **state)
{
    struct lv_lives lives;

    (void)state;
    lv_lives_begin(&lives);
    lv_lives_publish_many(&lives, "q", 1, 3);
    lv_lives_spill(&lives);
    lv_sim_consume(&lives.a, "q", "c", "");
    assert_hears(&lives.a, "consume-ok c");
    assert_int_equal(lives.load_count, 1);
    lv_sim_purge(&lives.a, "q");
    assert_hears(&lives.a, "purge-ok 3");
    lv_sim_cancel(&lives.a, "c");
    assert_hears(&lives.a, "cancel-ok c");
    lv_lives_publish_many(&lives, "q", 4, 9);
    lv_lives_spill(&lives);
    lv_lives_read(&lives);
    lv_lives_expect(&lives, "q", "4 5 6 7 8 9");
    lv_lives_end(&lives);
}

static void purging_leaves_what_is_out_with_consumers(void **state)
{
    struct lv_lives lives;

    (void)state;
    lv_lives_begin(&lives);
    lv_lives_publish_many(&lives, "q", 1, 10);
    lv_sim_get(&lives.a, "q", "");
    assert_hears(&lives.a, "get-ok #1 1, 9 left");
    lv_lives_spill(&lives);
    lv_lives_publish_many(&lives, "q", 11, 15);
    lv_lives_spill(&lives);
    lv_sim_get(&lives.a, "q", "");
    lv_lives_read(&lives);
    assert_hears(&lives.a, "get-ok #2 2, 13 left");
    lv_sim_purge(&lives.a, "q");
    assert_hears(&lives.a, "purge-ok 13");
    lv_sim_settle_tag(&lives.a, 2, "q+");
    lv_sim_settle(&lives.sim);
    assert_int_equal(ready(&lives, "q"), 2);
    lv_lives_sync(&lives);
    lv_lives_restart(&lives, false);
    lv_lives_expect(&lives, "q", "1! 2!");
    lv_lives_end(&lives);
}

/* ---- damage ---- */

static void what_can_not_be_read_is_left_out_and_counted(void **state)
{
    struct lv_lives lives;

    (void)state;
    lv_lives_begin(&lives);
    lv_lives_publish_many(&lives, "q", 1, 20);
    lv_lives_spill(&lives);
    lv_lives_publish_many(&lives, "q", 21, 22);
    lives.damaged_from = 4; /* numbers begin with 0 */
    lives.damaged_to = 9;
    lv_lives_expect(&lives, "q", "1 2 3 4 11 12 13 14 15 16 17 18 19 20 21 22");
    assert_int_equal(lives.broker->stats.ready, 0);
    for (unsigned i = 0; i < 3; i++)
        lv_lives_spill(&lives);
    assert_int_equal(lv_lives_segment_count(&lives), 1); /* what could not be read stays there */
    lv_lives_restart(&lives, true);
    assert_int_equal(ready(&lives, "q"), 6);
    lives.damaged_to = 0; /* the cable was loose */
    lv_lives_expect(&lives, "q", "5! 6! 7! 8! 9! 10!");
    lv_lives_sync(&lives);
    assert_int_equal(lv_lives_segment_count(&lives), 0);
    lv_lives_end(&lives);
}

static void a_segment_of_which_nothing_can_be_read_does_not_hold_up_the_queue(void **state)
{
    struct lv_lives lives;

    (void)state;
    lv_lives_begin(&lives);
    lv_lives_publish_many(&lives, "q", 1, 10);
    lv_sim_get(&lives.a, "q", "");
    assert_hears(&lives.a, "get-ok #1 1, 9 left");
    lv_lives_spill(&lives);
    lv_lives_publish_many(&lives, "q", 11, 12);
    lives.damaged_from = 0;
    lives.damaged_to = 10;
    lv_sim_settle_tag(&lives.a, 1, "q"); /* nor that one */
    lv_lives_expect(&lives, "q", "11 12");
    assert_int_equal(lives.broker->stats.ready, 0);
    lv_lives_publish_many(&lives, "q", 13, 13);
    lv_lives_expect(&lives, "q", "13");
    lv_lives_end(&lives);
}

static void lost_transient_messages_do_not_wait_for_ever(void **state)
{
    struct lv_lives lives;

    (void)state;
    lv_lives_begin(&lives);
    for (unsigned i = 1; i <= 4; i++) {
        lv_lives_publish_many(&lives, "q", i, i);
        lv_lives_publish(&lives, "q", "t", false);
    }
    lv_lives_publish_many(&lives, "q", 5, 5);
    lv_sim_get(&lives.a, "q", "");
    assert_hears(&lives.a, "get-ok #1 1, 8 left");
    lv_lives_spill(&lives);
    lives.damaged_from = 3;
    lives.damaged_to = 8;
    lv_lives_expect(&lives, "q", "t 2");
    assert_int_equal(lives.broker->stats.ready, 0);
    lv_sim_settle_tag(&lives.a, 1, "a"); /* still counted right */
    lv_sim_settle(&lives.sim);
    assert_int_equal(lv_lives_queue(&lives, "q")->kept->live_count, 3);
    lv_lives_end(&lives);
}

/* ---- transient backlogs ---- */

static void spill_longest(struct lv_lives *lives, uint64_t max_size)
{
    assert_int_equal(
        lv_broker_spill_longest(lives->broker, lives->next_segment, max_size, &lives->spill), 0);
    lives->is_spilling = true;
    if (lives->spill.count > 0)
        lv_lives_spill_end(lives);
    lives->is_spilling = false;
}

static void publish_transient(struct lv_lives *lives, const char *queue, unsigned from, unsigned to)
{
    for (unsigned i = from; i <= to; i++) {
        char body[16];
        (void)snprintf(body, sizeof body, "%u", i);
        lv_lives_publish(lives, queue, body, false);
    }
}

static void a_long_transient_queue_is_spilled_piece_by_piece(void **state)
{
    struct lv_lives lives;
    struct lv_store_stats stats;

    (void)state;
    lv_lives_begin(&lives);
    publish_transient(&lives, "t", 1, 1000);
    publish_transient(&lives, "q", 1, 10);
    for (unsigned i = 0; i < 10; i++)
        spill_longest(&lives, 2000);
    assert_true(lv_lives_segment_count(&lives) > 5);
    assert_true(cold(&lives, "t")->waiting_count > 500);
    assert_null(cold(&lives, "q"));
    lv_store_stats(lives.sim.shards[0].store, &stats);
    assert_int_equal(stats.live_count, 1010 - cold(&lives, "t")->waiting_count);
    lives.load_size = 50;
    lv_lives_expect(&lives, "t", numbers(1, 1000, ""));
    lv_lives_sync(&lives);
    assert_int_equal(lv_lives_segment_count(&lives), 0);
    lv_lives_end(&lives);
}

/* A durable queue's, before, between and behind persistent ones. */
static void transient_and_persistent_spills_of_a_queue_go_together(void **state)
{
    struct lv_lives lives;

    (void)state;
    lv_lives_begin(&lives);
    publish_transient(&lives, "q", 1, 400);
    lv_lives_publish_many(&lives, "q", 401, 410);
    publish_transient(&lives, "q", 411, 500);
    spill_longest(&lives, UINT64_MAX);
    assert_int_equal(cold(&lives, "q")->waiting_count, 400);
    lv_lives_publish_many(&lives, "q", 501, 510);
    lv_lives_spill(&lives);
    assert_int_equal(cold(&lives, "q")->waiting_count, 510);
    lives.load_size = 37;
    lv_lives_expect(&lives, "q", numbers(1, 510, ""));
    lv_lives_sync(&lives);
    assert_int_equal(lv_lives_segment_count(&lives), 0);
    lv_lives_end(&lives);
}

/* One that is out with a consumer is in the log still, and will come to a later segment. */
static void an_older_message_that_is_out_does_not_end_up_behind_newer_ones(void **state)
{
    struct lv_lives lives;

    (void)state;
    lv_lives_begin(&lives);
    lv_lives_publish_many(&lives, "q", 1, 3);
    lv_sim_get(&lives.a, "q", "");
    assert_hears(&lives.a, "get-ok #1 1, 2 left");
    lv_lives_expect(&lives, "q", "2 3");
    publish_transient(&lives, "q", 4, 600);
    spill_longest(&lives, UINT64_MAX);
    lv_lives_publish_many(&lives, "q", 601, 603);
    lv_lives_spill(&lives);
    lv_sim_settle_tag(&lives.a, 1, "q");
    lives.load_size = 100;
    lv_sim_get(&lives.a, "q", "");
    lv_lives_read(&lives);
    assert_hears(&lives.a, "get-ok #4 1 again, 600 left");
    lv_lives_expect(&lives, "q", numbers(4, 603, ""));
    lv_lives_end(&lives);
}

/* ---- at random ---- */

/* What a queue must have: numbers that were published, of each how it is. */
struct model {
    uint8_t state[20000]; /* 0 not there, 1 waits, 2 out, 3 came back */
    bool is_transient[20000];
    unsigned first, next;
    uint64_t tags[20000]; /* number of each delivery tag */
    uint64_t last_tag;
};

static struct model model;

static void model_publish(struct lv_lives *lives, struct lv_random *random)
{
    unsigned count = 1 + (unsigned)lv_random_below(random, 20);

    for (unsigned i = 0; i < count; i++) {
        char body[16];
        model.is_transient[model.next] = lv_random_below(random, 4) == 0;
        model.state[model.next] = 1;
        (void)snprintf(body, sizeof body, "%u", model.next);
        lv_lives_publish(lives, "q", body, !model.is_transient[model.next]);
        model.next++;
    }
}

/* The oldest that is ready, or 0. */
static unsigned model_front(void)
{
    while (model.first < model.next && model.state[model.first] == 0)
        model.first++;
    for (unsigned i = model.first; i < model.next; i++)
        if (model.state[i] == 1 || model.state[i] == 3)
            return i;
    return 0;
}

static void model_get(struct lv_lives *lives)
{
    unsigned front = model_front(), got = 0;
    char expected[64];
    const char *heard;

    lv_sim_get(&lives->a, "q", "");
    lv_lives_read(lives);
    heard = lv_sim_heard(&lives->a);
    if (front == 0) {
        assert_string_equal(heard, "get-empty");
        return;
    }
    (void)snprintf(expected, sizeof expected, "get-ok #%llu %u", 1ull + model.last_tag, front);
    if (strncmp(heard, expected, strlen(expected)) != 0)
        fail_msg("%s, not %s", expected, heard);
    got = front;
    if (model.state[front] == 3)
        assert_non_null(strstr(heard, " again,"));
    model.tags[++model.last_tag] = got;
    model.state[got] = 2;
}

static void model_settle(struct lv_lives *lives, struct lv_random *random)
{
    uint64_t tag;
    bool is_back = lv_random_below(random, 3) == 0;

    if (model.last_tag == 0)
        return;
    tag = 1 + lv_random_below(random, model.last_tag);
    if (model.tags[tag] == 0)
        return;
    lv_sim_settle_tag(&lives->a, tag, is_back ? "q" : "a");
    lv_sim_settle(&lives->sim);
    model.state[model.tags[tag]] = is_back ? 3 : 0;
    model.tags[tag] = 0;
}

/* What was transient is gone, what was out is back. */
static void model_restart(struct lv_lives *lives, bool is_clean)
{
    lv_lives_sync(lives);
    lv_lives_restart(lives, is_clean);
    for (unsigned i = model.first; i < model.next; i++) {
        if (model.is_transient[i])
            model.state[i] = 0;
        else if (model.state[i] == 2 || (model.state[i] == 1 && !is_clean))
            model.state[i] = 3;
    }
    model.last_tag = 0;
}

static uint64_t model_ready(void)
{
    uint64_t count = 0;

    for (unsigned i = model.first; i < model.next; i++)
        count += model.state[i] == 1 || model.state[i] == 3;
    return count;
}

static void model_purge(struct lv_lives *lives)
{
    char expected[64];

    (void)snprintf(expected, sizeof expected, "purge-ok %llu", (unsigned long long)model_ready());
    lv_sim_purge(&lives->a, "q");
    assert_hears(&lives->a, expected);
    for (unsigned i = model.first; i < model.next; i++)
        if (model.state[i] != 2)
            model.state[i] = 0;
}

static void model_step(struct lv_lives *lives, struct lv_random *random)
{
    uint64_t what = lv_random_below(random, 100);

    if (what < 25)
        model_publish(lives, random);
    else if (what < 60)
        model_get(lives);
    else if (what < 84)
        model_settle(lives, random);
    else if (what < 92)
        lv_lives_sync(lives);
    else if (what < 96 && lives->next_segment < 150)
        lv_lives_spill(lives);
    else if (what < 98)
        spill_longest(lives, 1 + lv_random_below(random, 4000));
    else if (what < 99)
        model_restart(lives, lv_random_below(random, 2) == 0);
    else if (lv_random_below(random, 3) == 0)
        model_purge(lives);
    assert_int_equal(ready(lives, "q"), model_ready());
}

static void whatever_happens_every_message_is_there_once_and_in_its_place(void **state)
{
    struct lv_random random;

    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct lv_lives lives;
        memset(&model, 0, sizeof model);
        model.first = model.next = 1;
        lv_random_seed(&random, seed);
        lv_lives_begin(&lives);
        lives.load_size = 1 + (uint32_t)lv_random_below(&random, 40);
        for (unsigned i = 0; i < 250; i++)
            model_step(&lives, &random);
        while (model_front() != 0)
            model_get(&lives);
        lv_sim_settle_tag(&lives.a, 0, "a+");
        lv_sim_settle(&lives.sim);
        lv_lives_sync(&lives);
        assert_int_equal(lv_lives_segment_count(&lives), 0);
        lv_lives_end(&lives);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_backlog_in_segments_comes_back_in_order),
        cmocka_unit_test(memory_is_given_back_as_a_queue_is_spilled),
        cmocka_unit_test(a_queue_without_consumers_loads_nothing),
        cmocka_unit_test(a_consumer_gets_what_is_in_segments_and_then_the_rest),
        cmocka_unit_test(what_comes_back_after_its_page_has_gone_is_read_again),
        cmocka_unit_test(what_is_delivered_before_and_settled_after_a_spill_frees_the_segment),
        cmocka_unit_test(transient_messages_go_along_and_keep_their_places),
        cmocka_unit_test(a_segment_is_read_with_the_numbers_of_transient_messages_known),
        cmocka_unit_test(what_is_in_a_segment_and_in_the_log_counts_once),
        cmocka_unit_test(a_crash_while_a_segment_is_written_loses_and_doubles_nothing),
        cmocka_unit_test(a_segment_that_others_keep_brings_nothing_back),
        cmocka_unit_test(a_get_waits_for_its_message),
        cmocka_unit_test(a_queue_may_be_purged_or_deleted_while_its_front_is_read),
        cmocka_unit_test(what_is_spilled_after_a_purge_is_not_taken_for_what_was_asked_before),
        cmocka_unit_test(purging_leaves_what_is_out_with_consumers),
        cmocka_unit_test(what_can_not_be_read_is_left_out_and_counted),
        cmocka_unit_test(a_segment_of_which_nothing_can_be_read_does_not_hold_up_the_queue),
        cmocka_unit_test(lost_transient_messages_do_not_wait_for_ever),
        cmocka_unit_test(a_long_transient_queue_is_spilled_piece_by_piece),
        cmocka_unit_test(transient_and_persistent_spills_of_a_queue_go_together),
        cmocka_unit_test(an_older_message_that_is_out_does_not_end_up_behind_newer_ones),
        cmocka_unit_test(whatever_happens_every_message_is_there_once_and_in_its_place),
    };

    return cmocka_run_group_tests_name("cold", tests, NULL, NULL);
}
