#include "broker/kept.h"

#include "base/alloc.h"
#include "broker/lives.h"

#include <stdio.h>

/* What the log says of "q" and is in the window. */
struct said {
    struct lv_lives *lives;
    unsigned messages, settles, states, bits, ranges;
    uint64_t size; /* bytes of the records that say what is gone */
    struct lv_record_queue last;
    struct lv_record_range range; /* the last one */
};

static void see(void *ctx, uint64_t lsn, const struct lv_record_head *head, const uint8_t *payload)
{
    struct said *said = ctx;

    (void)lsn;
    said->messages += head->kind == LV_RECORD_MESSAGE;
    said->settles += head->kind == LV_RECORD_SETTLE;
    said->states += head->kind == LV_RECORD_STATE;
    said->bits += head->kind == LV_RECORD_BITS;
    if (!lv_record_is_gone(head))
        return;
    said->size += lv_record_size(head->size);
    memcpy(&said->last, payload, sizeof said->last);
    if (head->kind == LV_RECORD_BITS)
        return;
    said->ranges += head->count;
    if (head->count > 0)
        memcpy(&said->range, payload + sizeof said->last + (head->count - 1u) * sizeof said->range,
               sizeof said->range);
}

static struct said said(struct lv_lives *lives)
{
    struct said said = {.lives = lives};

    lv_lives_sync(lives);
    lv_log_each(lives->log, UINT64_MAX, false, see, &said);
    return said;
}

static const struct lv_kept *kept(const struct lv_lives *lives)
{
    const struct lv_queue *queue = lv_lives_queue(lives, "q");

    assert_non_null(queue->kept);
    return queue->kept;
}

static void consume(struct lv_lives *lives)
{
    lv_sim_consume(&lives->a, "q", "c", "");
    lv_sim_settle(&lives->sim);
}

static void ack(struct lv_lives *lives, uint64_t tag)
{
    lv_sim_settle_tag(&lives->a, tag, "a");
}

static void a_queue_without_persistent_messages_keeps_nothing(void **state)
{
    struct lv_lives lives;

    (void)state;
    lv_lives_begin(&lives);
    lv_lives_publish(&lives, "q", "a", false);
    lv_lives_publish(&lives, "t", "b", true); /* nor does a transient queue */
    assert_null(lv_lives_queue(&lives, "q")->kept);
    assert_null(lv_lives_queue(&lives, "t")->kept);
    lv_lives_expect(&lives, "q", "a");
    lv_lives_expect(&lives, "t", "b");
    assert_int_equal(said(&lives).messages, 0);
    lv_lives_end(&lives);
}

static void numbers_settled_in_a_row_share_a_range(void **state)
{
    struct lv_lives lives;
    struct said all;

    (void)state;
    lv_lives_begin(&lives);
    lv_lives_publish_many(&lives, "q", 1, 100);
    consume(&lives);
    lv_lives_sync(&lives);
    for (uint64_t tag = 1; tag <= 50; tag++)
        ack(&lives, tag);
    all = said(&lives);
    assert_int_equal(all.messages, 100);
    assert_int_equal(all.ranges, 1);
    assert_int_equal(all.range.from, 0);
    assert_int_equal(all.range.to, 49);
    assert_int_equal(all.last.low, 50);
    assert_int_equal(all.last.next, 100);
    assert_int_equal(all.last.delivered, 100);
    assert_int_equal(kept(&lives)->live_count, 50);
    lv_lives_end(&lives);
}

/* The second half after a crash: what was not settled comes again, marked. */
static void what_is_settled_out_of_order_does_not_come_back(void **state)
{
    struct lv_lives lives;

    (void)state;
    lv_lives_begin(&lives);
    lv_lives_publish_many(&lives, "q", 1, 10);
    consume(&lives);
    for (uint64_t tag = 10; tag >= 1; tag -= 2)
        ack(&lives, tag);
    assert_int_equal(said(&lives).ranges, 5);
    lv_lives_restart(&lives, false);
    assert_int_equal(kept(&lives)->live_count, 5);
    lv_lives_expect(&lives, "q", "1! 3! 5! 7! 9!");
    assert_int_equal(kept(&lives)->live_count, 0);
    lv_lives_end(&lives);
}

static void a_record_that_is_sealed_is_not_changed(void **state)
{
    struct lv_lives lives;

    (void)state;
    lv_lives_begin(&lives);
    lv_lives_publish_many(&lives, "q", 1, 4);
    consume(&lives);
    ack(&lives, 1);
    lv_lives_sync(&lives);
    ack(&lives, 2);
    lv_lives_restart(&lives, false); /* the second settle was not on the disk */
    lv_lives_expect(&lives, "q", "2! 3! 4!");
    lv_lives_end(&lives);
}

/* The state is said anew, as its records go. */
static struct said said_anew(struct lv_lives *lives)
{
    struct said all;

    lv_lives_turn_file(lives);
    lv_lives_spill_begin(lives);
    lv_lives_spill_end(lives);
    all = said(lives);
    assert_int_equal(all.messages, 1); /* the filler's */
    assert_int_equal(all.states, 1);
    return all;
}

/* Every hundredth message is gone. */
static void a_state_of_few_ranges_says_them(void **state)
{
    struct lv_lives lives;
    struct said all;
    const unsigned count = 10000;

    (void)state;
    lv_lives_begin(&lives);
    lv_lives_publish_many(&lives, "q", 1, count);
    consume(&lives);
    (void)lv_sim_heard(&lives.a);
    for (uint64_t tag = 200; tag <= count; tag += 200)
        ack(&lives, tag);
    all = said_anew(&lives);
    assert_int_equal(all.settles + all.bits, 0);
    assert_int_equal(all.ranges, count / 200);
    lv_lives_restart(&lives, false);
    assert_int_equal(kept(&lives)->live_count, count - count / 200);
    lv_lives_end(&lives);
}

/* Every second message is gone. */
static void a_state_of_many_ranges_says_a_bit_for_each_number(void **state)
{
    struct lv_lives lives;
    struct said all;
    const unsigned count = 10002;

    (void)state;
    lv_lives_begin(&lives);
    lv_lives_publish_many(&lives, "q", 1, count);
    consume(&lives);
    (void)lv_sim_heard(&lives.a);
    for (uint64_t tag = 2; tag <= count; tag += 2)
        ack(&lives, tag);
    all = said_anew(&lives);
    assert_int_equal(all.settles, 0);
    assert_int_equal(all.ranges, 0);
    assert_int_equal(all.bits, 1);
    assert_in_range(all.size, count / 8, count / 8 + 1000);
    lv_lives_restart(&lives, false);
    assert_int_equal(kept(&lives)->live_count, count / 2);
    assert_int_equal(lv_queue_ready_count(lv_lives_queue(&lives, "q")), count / 2);
    lv_lives_end(&lives);
}

/* The queue's numbers as if so many messages had come and most of them gone: each that `is_gone`.
 */
static void settle_numbers(struct lv_lives *lives, uint64_t count, bool (*is_gone)(uint64_t))
{
    struct lv_queue *queue = lv_lives_queue(lives, "q");

    queue->next_seq = count;
    for (uint64_t seq = 1; seq < count; seq++)
        if (is_gone(seq))
            assert_int_equal(lv_seqs_add(&queue->kept->gone, seq), 0);
}

/* Into a second set. */
static void see_again(void *ctx, uint64_t lsn, const struct lv_record_head *head,
                      const uint8_t *payload)
{
    struct lv_lives *other = ctx;
    struct lv_record_queue *queue = (struct lv_record_queue *)(void *)(uintptr_t)payload;

    (void)lsn;
    if (!lv_record_is_gone(head))
        return;
    queue->queue_id = lv_lives_queue(other, "q")->entry->id;
    assert_int_equal(lv_broker_restore_gone(other->broker, head, payload), 0);
}

static bool every_second(uint64_t seq)
{
    return seq % 2 == 1;
}

/* Sparse and dense pieces by turns, and whole ones. */
static bool by_turns(uint64_t seq)
{
    uint64_t piece = seq / 5000;

    return piece % 4 == 0   ? seq % 1000 == 7
           : piece % 4 == 1 ? seq * 2654435761u % 256 < 128
           : piece % 4 == 2 ? seq % 33 != 0
                            : true;
}

/* 20 million numbers: a log file is given up for 16 MiB. */
static void a_state_takes_little_more_than_a_bit_for_each_number(void **state)
{
    static bool (*const patterns[])(uint64_t) = {every_second, by_turns};
    const uint64_t count = 20000000;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct lv_lives lives, other;
        struct said all = {.messages = 0};
        const struct lv_seqs *before, *after;

        lv_lives_begin(&lives);
        lv_lives_begin(&other);
        lv_lives_publish_many(&lives, "q", 1, 1);
        settle_numbers(&lives, count, patterns[i]);
        assert_int_equal(lv_kept_state(lv_lives_queue(&lives, "q")), 0);
        lv_lives_sync(&lives);
        lv_log_each(lives.log, UINT64_MAX, false, see, &all);
        assert_true(all.size < count / 8 + count / 40);
        lv_log_each(lives.log, UINT64_MAX, false, see_again, &other);
        before = &kept(&lives)->gone;
        after = &kept(&other)->gone;
        assert_int_equal(after->low, before->low);
        assert_int_equal(after->top, before->top);
        for (uint64_t seq = 0; seq < count; seq += 64)
            assert_int_equal(lv_seqs_word(after, seq), lv_seqs_word(before, seq));
        lv_lives_end(&other);
        lv_lives_end(&lives);
    }
}

/* Each allocation of the state fails once: what was said before must stay needed until all of it is
 * said again. */
static void a_state_without_memory_leaves_the_older_one_needed(void **state)
{
    struct lv_lives lives;
    uint64_t before, room, lsn;
    void *payload;

    (void)state;
    lv_lives_begin(&lives);
    lv_lives_publish_many(&lives, "q", 1, 10002);
    consume(&lives);
    (void)lv_sim_heard(&lives.a);
    for (uint64_t tag = 2; tag <= 10002; tag += 2)
        ack(&lives, tag);
    lv_lives_sync(&lives);
    assert_int_equal(lv_kept_state(lv_lives_queue(&lives, "q")), 0);
    before = kept(&lives)->state_lsn;
    assert_true(before > 0);
    room = LV_PAGE_SIZE - lv_log_end(lives.log) % LV_PAGE_SIZE;
    assert_true(room > 1000);
    assert_int_equal(lv_log_append(lives.log, LV_RECORD_MESSAGE, 0, room - 200, &lsn, &payload), 0);
    lv_alloc_fail_after(1, 1); /* the first record has room, the second needs a page */
    assert_int_equal(lv_kept_state(lv_lives_queue(&lives, "q")), -LV_E_NOMEM);
    lv_alloc_fail_after(0, 0);
    assert_int_equal(kept(&lives)->state_lsn, before);
    assert_int_equal(lv_kept_state(lv_lives_queue(&lives, "q")), 0);
    assert_true(kept(&lives)->state_lsn > before);
    lv_lives_end(&lives);
}

static void transient_messages_between_persistent_ones_are_gone_after_a_crash(void **state)
{
    struct lv_lives lives;

    (void)state;
    lv_lives_begin(&lives);
    lv_lives_publish(&lives, "q", "t0", false);
    for (unsigned i = 1; i <= 5; i++) {
        lv_lives_publish_many(&lives, "q", i, i);
        lv_lives_publish(&lives, "q", "t", false);
    }
    lv_lives_sync(&lives);
    lv_lives_restart(&lives, true);
    lv_lives_expect(&lives, "q", "1 2 3 4 5");
    lv_lives_end(&lives);
}

static void a_purge_is_one_range(void **state)
{
    struct lv_lives lives;
    struct said all;

    (void)state;
    lv_lives_begin(&lives);
    lv_lives_publish_many(&lives, "q", 1, 1000);
    lv_sim_purge(&lives.a, "q");
    assert_hears(&lives.a, "purge-ok 1000");
    all = said(&lives);
    assert_int_equal(all.ranges, 1);
    assert_int_equal(all.last.low, 1000);
    assert_int_equal(kept(&lives)->live_count, 0);
    lv_lives_restart(&lives, false);
    lv_lives_expect(&lives, "q", "");
    lv_lives_publish_many(&lives, "q", 1, 1);
    lv_lives_expect(&lives, "q", "1");
    lv_lives_end(&lives);
}

static void what_is_in_a_queue_that_was_deleted_does_not_come_back(void **state)
{
    struct lv_lives lives;

    (void)state;
    lv_lives_begin(&lives);
    lv_lives_publish_many(&lives, "q", 1, 10);
    lv_sim_delete(&lives.a, "q", "");
    lv_lives_sync(&lives);
    assert_hears(&lives.a, "delete-ok 10");
    lv_sim_declare(&lives.a, "q", "d");
    lv_lives_sync(&lives);
    assert_hears(&lives.a, "declare-ok q 0 0");
    lv_lives_publish_many(&lives, "q", 11, 11);
    lv_lives_sync(&lives);
    lv_lives_restart(&lives, false);
    lv_lives_expect(&lives, "q", "11!");
    lv_lives_end(&lives);
}

static void bind_three(struct lv_lives *lives)
{
    lv_sim_declare(&lives->a, "r", "d");
    lv_lives_sync(lives);
    assert_hears(&lives->a, "declare-ok r 0 0");
    lv_sim_bind(&lives->a, "q", "amq.fanout", "");
    lv_lives_sync(lives);
    assert_hears(&lives->a, "bind-ok");
    lv_sim_bind(&lives->a, "r", "amq.fanout", "");
    lv_lives_sync(lives);
    assert_hears(&lives->a, "bind-ok");
    lv_sim_bind(&lives->a, "t", "amq.fanout", "");
    assert_hears(&lives->a, "bind-ok");
}

static int publish_to_all(struct lv_lives *lives, const char *body)
{
    const struct lv_message message = {
        .exchange = lv_text("amq.fanout"), .body = lv_text(body), .flags = LV_MESSAGE_PERSISTENT};

    return lv_channel_publish(lives->a.channels[0].core, &message, false, NULL);
}

/* One record for those that keep it, one copy for those that don't. */
static void a_message_for_several_queues_is_in_the_log_once(void **state)
{
    struct lv_lives lives;
    struct said all;

    (void)state;
    lv_lives_begin(&lives);
    bind_three(&lives);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(publish_to_all(&lives, i == 0 ? "a" : i == 1 ? "b" : "c"), 0);
    all = said(&lives);
    assert_int_equal(all.messages, 3);
    assert_int_equal(lv_log_held(lives.log, UINT64_MAX), 6);
    assert_int_equal(lv_sim_live_count(&lives.sim), 3);
    lv_lives_expect(&lives, "q", "a b c");
    lv_lives_expect(&lives, "t", "a b c");
    assert_int_equal(lv_log_held(lives.log, UINT64_MAX), 3);
    lv_lives_sync(&lives);
    lv_lives_restart(&lives, false);
    lv_lives_expect(&lives, "q", "");
    lv_lives_expect(&lives, "r", "a! b! c!");
    lv_lives_end(&lives);
}

static void publish_big(struct lv_sim_client *client)
{
    static const uint8_t body[1u << 20];
    const struct lv_message message = {
        .key = lv_text("q"), .body = lv_bytes(body, sizeof body), .flags = LV_MESSAGE_PERSISTENT};

    assert_int_equal(lv_channel_publish(client->channels[0].core, &message, false, NULL), 0);
}

/* Who publishes is told that consumers should catch up before their messages leave the log. */
static void a_publisher_is_ahead_while_consumers_lag_far_behind(void **state)
{
    struct lv_sim_client consumer;
    struct lv_lives lives;
    unsigned count = 0;

    (void)state;
    lv_lives_begin(&lives);
    for (; count < 6; count++)
        publish_big(&lives.a);
    lv_sim_settle(&lives.sim);
    publish_big(&lives.a);
    assert_false(lv_client_took_lead(lives.a.core)); /* of whom? nobody consumes */
    lv_sim_client_open(&consumer, &lives.sim, 0);
    lv_channel_qos(consumer.channels[0].core, 1, false);
    lv_sim_consume(&consumer, "q", "c", "");
    lv_sim_settle(&lives.sim);
    assert_false(lv_client_took_lead(lives.a.core));
    publish_big(&lives.a);
    assert_true(lv_client_took_lead(lives.a.core));
    assert_false(lv_client_took_lead(lives.a.core)); /* said once */
    for (uint64_t tag = 1; tag <= 6; tag++) {
        lv_sim_settle_tag(&consumer, tag, "a");
        lv_sim_settle(&lives.sim);
    }
    publish_big(&lives.a);
    assert_false(lv_client_took_lead(lives.a.core)); /* two wait, the last of them new */
    lv_sim_client_fini(&consumer);
    lv_lives_end(&lives);
}

/* Its acknowledgements come the same way as what it publishes. */
static void who_consumes_is_never_told_to_wait_for_consumers(void **state)
{
    struct lv_lives lives;

    (void)state;
    lv_lives_begin(&lives);
    lv_channel_qos(lives.a.channels[0].core, 1, false);
    lv_sim_consume(&lives.a, "q", "c", "");
    for (unsigned i = 0; i < 8; i++)
        publish_big(&lives.a);
    lv_sim_settle(&lives.sim);
    publish_big(&lives.a);
    assert_false(lv_client_took_lead(lives.a.core));
    lv_lives_end(&lives);
}

/* A record counts its queues in 16 bits. */
static void a_message_for_more_queues_than_a_record_can_name_is_in_several(void **state)
{
    const struct lv_message message = {
        .exchange = lv_text("amq.fanout"), .body = lv_text("m"), .flags = LV_MESSAGE_PERSISTENT};
    enum { COUNT = LV_KEEP_MAX + 5 };
    struct said all = {.messages = 0};
    struct lv_broker_stats stats;
    struct lv_sim_client client;
    struct lv_sim sim;
    char name[16];

    (void)state;
    lv_sim_init_logged(&sim, 1, 0);
    lv_sim_client_open(&client, &sim, 0);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "%u", i);
        lv_sim_declare(&client, name, "d");
        lv_sim_sync(&sim);
        lv_sim_bind(&client, name, "amq.fanout", "");
        lv_sim_sync(&sim);
        (void)lv_sim_heard(&client);
    }
    assert_int_equal(lv_channel_publish(client.channels[0].core, &message, false, NULL), 0);
    lv_sim_sync(&sim);
    lv_broker_stats(sim.shards[0].broker, &stats);
    assert_int_equal(stats.ready, COUNT);
    lv_log_each(sim.shards[0].log, UINT64_MAX, false, see, &all);
    assert_int_equal(all.messages, 2);
    lv_sim_client_fini(&client);
    lv_sim_fini(&sim);
}

/* Every allocation of it fails once: all queues have the message, or none has. */
static void a_message_goes_to_all_queues_or_to_none(void **state)
{
    unsigned failed = 0, published = 0;

    (void)state;
    for (uint64_t after = 1; after < 25; after++) {
        struct lv_lives lives;
        int rc;
        lv_lives_begin(&lives);
        bind_three(&lives);
        lv_alloc_fail_after(after, 0);
        rc = publish_to_all(&lives, "x");
        lv_alloc_fail_after(0, 0);
        published += rc == 0;
        failed += rc != 0;
        assert_true(rc == 0 || rc == -LV_E_NOMEM);
        assert_int_equal(lives.broker->stats.ready, rc == 0 ? 3 : 0);
        assert_int_equal(lv_log_held(lives.log, UINT64_MAX), rc == 0 ? 2 : 0);
        assert_int_equal(lv_sim_live_count(&lives.sim), rc == 0 ? 1 : 0);
        assert_int_equal(publish_to_all(&lives, "y"), 0);
        lv_lives_expect(&lives, "q", rc == 0 ? "x y" : "y");
        lv_lives_expect(&lives, "r", rc == 0 ? "x y" : "y");
        lv_lives_expect(&lives, "t", rc == 0 ? "x y" : "y");
        lv_lives_end(&lives);
    }
    assert_true(failed > 3);
    assert_true(published > 0);
}

/* As after a restart, when the next number lies far behind the last message. */
static void a_message_behind_a_gap_of_numbers_needs_no_memory_that_was_not_reserved(void **state)
{
    struct lv_lives lives;

    (void)state;
    lv_lives_begin(&lives);
    lv_lives_publish_many(&lives, "q", 1, 5);
    consume(&lives);
    (void)lv_sim_heard(&lives.a);
    lv_lives_publish_many(&lives, "q", 6, 60);
    lv_sim_settle(&lives.sim);
    for (uint64_t tag = 6; tag <= 60; tag++)
        ack(&lives, tag);
    lv_lives_sync(&lives);
    lv_lives_restart(&lives, true);
    lv_alloc_fail_after(1, 1);
    const struct lv_message message = {
        .key = lv_text("q"), .body = lv_text("61"), .flags = LV_MESSAGE_PERSISTENT};
    int rc = lv_channel_publish(lives.a.channels[0].core, &message, false, NULL);
    lv_alloc_fail_after(0, 0);
    assert_int_equal(rc, -LV_E_NOMEM);
    lv_lives_publish_many(&lives, "q", 61, 61);
    lv_lives_expect(&lives, "q", "1! 2! 3! 4! 5! 61");
    lv_lives_end(&lives);
}

/* Delivered and not settled: known after a restart in good order, assumed of all after another. */
static void who_was_delivered_is_known_after_a_clean_restart(void **state)
{
    struct lv_lives lives;

    (void)state;
    for (int is_clean = 0; is_clean <= 1; is_clean++) {
        lv_lives_begin(&lives);
        lv_lives_publish_many(&lives, "q", 1, 4);
        lv_sim_get(&lives.a, "q", "");
        assert_hears(&lives.a, "get-ok #1 1, 3 left");
        lv_lives_sync(&lives);
        lv_lives_restart(&lives, is_clean == 1);
        lv_lives_expect(&lives, "q", is_clean == 1 ? "1! 2 3 4" : "1! 2! 3! 4!");
        lv_lives_end(&lives);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_queue_without_persistent_messages_keeps_nothing),
        cmocka_unit_test(numbers_settled_in_a_row_share_a_range),
        cmocka_unit_test(what_is_settled_out_of_order_does_not_come_back),
        cmocka_unit_test(a_record_that_is_sealed_is_not_changed),
        cmocka_unit_test(a_state_of_few_ranges_says_them),
        cmocka_unit_test(a_state_of_many_ranges_says_a_bit_for_each_number),
        cmocka_unit_test(a_state_takes_little_more_than_a_bit_for_each_number),
        cmocka_unit_test(a_state_without_memory_leaves_the_older_one_needed),
        cmocka_unit_test(transient_messages_between_persistent_ones_are_gone_after_a_crash),
        cmocka_unit_test(a_purge_is_one_range),
        cmocka_unit_test(what_is_in_a_queue_that_was_deleted_does_not_come_back),
        cmocka_unit_test(a_message_for_several_queues_is_in_the_log_once),
        cmocka_unit_test(a_message_for_more_queues_than_a_record_can_name_is_in_several),
        cmocka_unit_test(a_publisher_is_ahead_while_consumers_lag_far_behind),
        cmocka_unit_test(who_consumes_is_never_told_to_wait_for_consumers),
        cmocka_unit_test(a_message_goes_to_all_queues_or_to_none),
        cmocka_unit_test(a_message_behind_a_gap_of_numbers_needs_no_memory_that_was_not_reserved),
        cmocka_unit_test(who_was_delivered_is_known_after_a_clean_restart),
    };

    return cmocka_run_group_tests_name("kept", tests, NULL, NULL);
}
