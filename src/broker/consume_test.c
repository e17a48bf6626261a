#include "broker/harness.h"

/* A queue "q" on another shard than the second client's, where there are several. */
static void begin(struct lv_sim *sim, struct lv_sim_client *a, struct lv_sim_client *b)
{
    lv_sim_client_open(a, sim, 0);
    lv_sim_client_open(b, sim, 2);
    lv_sim_declare(a, "q", "");
    assert_hears(a, "declare-ok q 0 0");
}

static void publish(struct lv_sim_client *client, const char *bodies)
{
    for (char body[2] = {0}; *bodies != '\0'; bodies++) {
        body[0] = *bodies;
        lv_sim_publish(client, "", "q", body);
    }
    lv_sim_settle(client->sim);
}

static void end(struct lv_sim_client *a, struct lv_sim_client *b)
{
    lv_sim_client_fini(a);
    lv_sim_client_fini(b);
}

SCENARIO(messages_come_in_order_and_after_the_answer)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    publish(&a, "1234");
    lv_sim_consume(&b, "q", "t", "");
    assert_hears(&b, "consume-ok t\nt #1 1\nt #2 2\nt #3 3\nt #4 4");
    publish(&a, "56");
    assert_hears(&b, "t #5 5\nt #6 6");
    end(&a, &b);
}

SCENARIO(consumers_take_turns)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_sim_consume(&b, "q", "r", "");
    lv_sim_consume(&b, "q", "s", "");
    lv_sim_consume(&b, "q", "t", "n");
    assert_hears(&b, "consume-ok r\nconsume-ok s\nconsume-ok t");
    publish(&a, "1234567");
    assert_hears(&b, "r #1 1\ns #2 2\nt #3 3\nr #4 4\ns #5 5\nt #6 6\nr #7 7");
    lv_sim_cancel(&b, "s");
    assert_hears(&b, "cancel-ok s");
    publish(&a, "89");
    assert_hears(&b, "t #8 8\nr #9 9");
    end(&a, &b);
}

SCENARIO(prefetch_limits_each_consumer_made_after_it)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_sim_consume(&b, "q", "free", "");
    assert_hears(&b, "consume-ok free");
    lv_channel_qos(b.channels[0].core, 2, false);
    publish(&a, "123");
    assert_hears(&b, "free #1 1\nfree #2 2\nfree #3 3"); /* made before */
    lv_sim_cancel(&b, "free");
    lv_sim_consume(&b, "q", "s", "");
    lv_sim_consume(&b, "q", "t", "");
    assert_hears(&b, "cancel-ok free\nconsume-ok s\nconsume-ok t");
    publish(&a, "456789");
    assert_hears(&b, "s #4 4\nt #5 5\ns #6 6\nt #7 7");
    lv_sim_settle_tag(&b, 6, "a");
    assert_hears(&b, "s #8 8");
    lv_sim_settle_tag(&b, 3, "+a"); /* those of the cancelled one */
    assert_hears(&b, "");
    lv_sim_settle_tag(&b, 5, "+a");
    assert_hears(&b, "s #9 9");
    end(&a, &b);
}

SCENARIO(prefetch_is_nothing_to_a_consumer_without_acks)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_channel_qos(b.channels[0].core, 1, false);
    lv_channel_qos(b.channels[0].core, 1, true);
    lv_sim_consume(&b, "q", "t", "n");
    publish(&a, "123");
    assert_hears(&b, "consume-ok t\nt #1 1\nt #2 2\nt #3 3");
    assert_int_equal(lv_sim_live_count(sim), 0);
    assert_int_equal(lv_channel_settle(b.channels[0].core, 2, false, LV_SETTLE_ACK, NULL),
                     -LV_E_PRECONDITION);
    end(&a, &b);
}

SCENARIO(a_global_limit_is_shared_by_the_channels_consumers)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_sim_consume(&b, "q", "s", "");
    assert_hears(&b, "consume-ok s");
    lv_channel_qos(b.channels[0].core, 3, true); /* at once */
    publish(&a, "12345678");
    assert_hears(&b, "s #1 1\ns #2 2\ns #3 3");
    lv_sim_settle_tag(&b, 2, "a");
    assert_hears(&b, "s #4 4");
    lv_sim_settle_tag(&b, 0, "+a");
    assert_hears(&b, "s #5 5\ns #6 6\ns #7 7");
    lv_channel_qos(b.channels[0].core, 4, true);
    assert_hears(&b, "s #8 8");
    publish(&a, "9");
    assert_hears(&b, "");
    lv_channel_qos(b.channels[0].core, 0, true); /* no limit */
    assert_hears(&b, "s #9 9");
    end(&a, &b);
}

SCENARIO(a_global_limit_counts_over_queues)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_sim_declare(&b, "mine", "x"); /* on the consumer's own shard */
    lv_sim_declare(&b, "other", "");
    lv_channel_qos(b.channels[0].core, 2, true);
    assert_hears(&b, "declare-ok mine 0 0\ndeclare-ok other 0 0");
    for (int i = 0; i < 4; i++) {
        lv_sim_publish(&a, "", "q", "q");
        lv_sim_publish(&a, "", "mine", "m");
        lv_sim_publish(&a, "", "other", "o");
    }
    lv_sim_consume(&b, "q", "s", "");
    lv_sim_consume(&b, "mine", "t", "");
    lv_sim_consume(&b, "other", "u", "");
    lv_sim_settle(sim);
    assert_int_equal(b.delivered, 2);
    for (unsigned left = 12; left > 2; left--) {
        assert_int_equal(b.delivered, 14 - left);
        lv_sim_settle_tag(&b, b.delivered - 1, "a");
        lv_sim_settle(sim);
    }
    lv_sim_settle_tag(&b, 0, "+a");
    lv_sim_settle(sim);
    assert_int_equal(b.delivered, 12);
    assert_int_equal(lv_sim_live_count(sim), 0);
    end(&a, &b);
}

SCENARIO(what_a_global_limit_sends_back_keeps_its_place)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_channel_qos(b.channels[0].core, 1, true);
    lv_sim_consume(&b, "q", "t", "");
    assert_hears(&b, "consume-ok t");
    publish(&a, "123456");
    /* Acknowledged at any time, with what was sent too much still on its way back. */
    for (uint64_t tag = 1; tag <= 6; tag++) {
        for (int step = 0; step < 1000 && b.delivered < tag; step++)
            (void)lv_sim_step(sim);
        assert_int_equal(b.delivered, tag);
        lv_sim_settle_tag(&b, tag, "a");
    }
    assert_hears(&b, "t #1 1\nt #2 2\nt #3 3\nt #4 4\nt #5 5\nt #6 6");
    end(&a, &b);
}

SCENARIO(an_exclusive_consumer_is_the_only_one)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_sim_consume(&a, "q", "s", "");
    assert_hears(&a, "consume-ok s");
    lv_sim_consume(&b, "q", "t", "x");
    assert_hears(&b, "consume: 403 queue 'q' in vhost '/' in exclusive use");
    lv_sim_cancel(&a, "s");
    assert_hears(&a, "cancel-ok s");
    lv_sim_consume(&b, "q", "t", "x");
    assert_hears(&b, "consume-ok t");
    lv_sim_consume(&a, "q", "s", "");
    assert_hears(&a, "consume: 403 queue 'q' in vhost '/' in exclusive use");
    lv_sim_channel_close(&b, 1);
    assert_hears(&b, "channel-closed");
    lv_sim_consume(&a, "q", "s", "");
    assert_hears(&a, "consume-ok s");
    end(&a, &b);
}

SCENARIO(consumer_tags_belong_to_a_channel)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_sim_channel_open(&b, 2);
    lv_sim_consume(&b, "q", "t", "");
    lv_sim_consume(&b, "q", "t", "");
    assert_hears(&b, "consume-ok t\nconsume: 530 attempt to reuse consumer tag 't'");
    lv_sim_consume_on(lv_sim_channel(&b, 2), "q", "t", "");
    assert_hears(&b, "2: consume-ok t");
    publish(&a, "123");
    assert_hears(&b, "t #1 1\n2: t #1 2\nt #2 3");
    lv_sim_cancel(&b, "t");
    assert_hears(&b, "cancel-ok t");
    lv_sim_consume(&b, "q", "t", "");
    assert_hears(&b, "consume-ok t"); /* free again */
    end(&a, &b);
}

SCENARIO(a_consumer_without_a_tag_gets_one)
{
    struct lv_sim_client a, b;
    char tag[32] = {0};

    begin(sim, &a, &b);
    lv_sim_consume(&b, "q", "", "");
    const char *heard = lv_sim_heard(&b);
    assert_memory_equal(heard, "consume-ok amq.ctag-", 20);
    assert_int_equal(strlen(heard), 20 + 22);
    memcpy(tag, heard + 11, 31);
    lv_sim_cancel(&b, tag);
    assert_memory_equal(lv_sim_heard(&b), "cancel-ok amq.ctag-", 19);
    end(&a, &b);
}

SCENARIO(a_cancelled_consumers_deliveries_stay_unacknowledged)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    publish(&a, "123");
    lv_sim_consume(&b, "q", "t", "");
    assert_hears(&b, "consume-ok t\nt #1 1\nt #2 2\nt #3 3");
    lv_sim_cancel(&b, "t");
    assert_hears(&b, "cancel-ok t");
    lv_sim_cancel(&b, "t");
    assert_hears(&b, "cancel-ok t"); /* knows it no more, which is no error */
    lv_sim_settle_tag(&b, 1, "a");
    lv_sim_settle_tag(&b, 2, "q");
    lv_sim_settle(sim);
    lv_sim_declare(&a, "q", "p");
    assert_hears(&a, "declare-ok q 1 0");
    end(&a, &b);
}

SCENARIO(get_takes_one_message)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_sim_get(&b, "q", "");
    assert_hears(&b, "get-empty");
    publish(&a, "1234");
    lv_sim_get(&b, "q", "");
    lv_sim_get(&b, "q", "n");
    assert_hears(&b, "get-ok #1 1, 3 left\nget-ok #2 2, 2 left");
    lv_channel_qos(b.channels[0].core, 1, false);
    lv_channel_qos(b.channels[0].core, 1, true);
    lv_sim_consume(&b, "q", "t", ""); /* what was got doesn't count for its prefetch */
    assert_hears(&b, "consume-ok t\nt #3 3");
    lv_sim_get(&b, "q", "");
    lv_sim_get(&b, "q", "");
    assert_hears(&b, "get-ok #4 4, 0 left\nget-empty");
    lv_sim_settle_tag(&b, 1, "q");
    assert_hears(&b, "");
    lv_sim_settle_tag(&b, 3, "a");
    assert_hears(&b, "t #5 1 again");
    lv_sim_get(&b, "nowhere", "");
    assert_hears(&b, "get: 404 no queue 'nowhere' in vhost '/'");
    end(&a, &b);
}

SCENARIO(gets_from_several_queues_share_the_channels_tags)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_sim_declare(&b, "r", "");
    lv_sim_declare(&b, "s", "x");
    publish(&a, "12");
    for (int i = 0; i < 2; i++) {
        lv_sim_publish(&b, "", "r", "r");
        lv_sim_publish(&b, "", "s", "s");
    }
    assert_hears(&b, "declare-ok r 0 0\ndeclare-ok s 0 0");
    lv_sim_get(&b, "s", "");
    lv_sim_get(&b, "q", "");
    lv_sim_get(&b, "r", "");
    lv_sim_get(&b, "q", "");
    lv_sim_get(&b, "s", "");
    assert_hears(&b, "get-ok #1 s, 1 left\nget-ok #2 1, 1 left\nget-ok #3 r, 1 left\n"
                     "get-ok #4 2, 0 left\nget-ok #5 s, 0 left");
    lv_sim_settle_tag(&b, 4, "q");
    lv_sim_settle_tag(&b, 3, "+a");
    lv_sim_settle_tag(&b, 5, "a");
    lv_sim_settle(sim);
    assert_int_equal(lv_sim_live_count(sim), 2); /* the other r, and 2 */
    lv_sim_get(&b, "q", "");
    assert_hears(&b, "get-ok #6 2 again, 0 left");
    end(&a, &b);
}

/* A consumer of "q" with a priority. */
static void consume_with(struct lv_sim_client *client, const char *tag, struct lv_value priority)
{
    struct lv_sim_table table;
    struct lv_consume consume = {
        .queue = lv_text("q"),
        .tag = lv_text(tag),
        .consumer_ctx = &client->channels[0],
        .arguments = lv_sim_table(&table, "x-priority", priority),
    };

    while (client->awaited > 0 && lv_sim_step(client->sim))
        continue;
    client->awaited = 1;
    lv_channel_consume(client->channels[0].core, &consume);
}

SCENARIO(higher_priorities_are_served_first_while_they_can_take)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_channel_qos(b.channels[0].core, 2, false);
    lv_sim_consume(&b, "q", "none", "");
    consume_with(&b, "low", lv_sim_integer(LV_TYPE_I8, -1));
    consume_with(&b, "high", lv_sim_integer(LV_TYPE_I64, INT64_MAX));
    assert_hears(&b, "consume-ok none\nconsume-ok low\nconsume-ok high");
    publish(&a, "1234567");
    assert_hears(&b, "high #1 1\nhigh #2 2\nnone #3 3\nnone #4 4\nlow #5 5\nlow #6 6");
    lv_sim_settle_tag(&b, 5, "a");
    assert_hears(&b, "low #7 7");
    lv_sim_settle_tag(&b, 3, "a");
    lv_sim_settle_tag(&b, 2, "a");
    assert_hears(&b, "");
    publish(&a, "89");
    assert_hears(&b, "high #8 8\nnone #9 9");
    lv_sim_cancel(&b, "high");
    assert_hears(&b, "cancel-ok high");
    end(&a, &b);
}

SCENARIO(consumers_of_one_priority_take_turns)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    consume_with(&b, "r", lv_sim_integer(LV_TYPE_U16, 5));
    lv_sim_consume(&b, "q", "never", "");
    consume_with(&b, "s", lv_sim_integer(LV_TYPE_I32, 5));
    assert_hears(&b, "consume-ok r\nconsume-ok never\nconsume-ok s");
    publish(&a, "12345");
    assert_hears(&b, "r #1 1\ns #2 2\nr #3 3\ns #4 4\nr #5 5");
    lv_sim_cancel(&b, "s");
    assert_hears(&b, "cancel-ok s");
    publish(&a, "67");
    assert_hears(&b, "r #6 6\nr #7 7");
    lv_sim_cancel(&b, "r"); /* the last one with a priority: as if there had never been any */
    lv_sim_consume(&b, "q", "t", "");
    assert_hears(&b, "cancel-ok r\nconsume-ok t");
    publish(&a, "890");
    assert_hears(&b, "never #8 8\nt #9 9\nnever #10 0");
    end(&a, &b);
}

SCENARIO(a_priority_is_an_integer)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    consume_with(&a, "t", lv_sim_string("9"));
    assert_hears(&a, "consume: 406 invalid arg 'x-priority' for queue 'q' in vhost '/': "
                     "\"expected integer, got longstr\"");
    end(&a, &b);
}

SCENARIO(consumer_arguments_not_known_yet_are_refused)
{
    struct lv_sim_client a, b;
    struct lv_sim_table table;
    struct lv_consume consume = {.queue = lv_text("q"), .tag = lv_text("t")};

    begin(sim, &a, &b);
    consume.arguments = lv_sim_table(&table, "x-consumer-timeout", lv_sim_integer(LV_TYPE_I32, 1));
    a.awaited = 1;
    lv_channel_consume(a.channels[0].core, &consume);
    assert_hears(&a, "consume: 540 argument 'x-consumer-timeout'");
    consume.arguments = lv_sim_table(&table, "x-stream-offset", lv_sim_string("first"));
    a.awaited = 1;
    lv_channel_consume(a.channels[0].core, &consume);
    assert_hears(&a, "consume: 406 invalid arg 'x-stream-offset' for queue 'q' in vhost '/' of "
                     "queue type rabbit_classic_queue");
    lv_sim_consume(&a, "nowhere", "t", "");
    assert_hears(&a, "consume: 404 no queue 'nowhere' in vhost '/'");
    end(&a, &b);
}

SCENARIO(a_purge_leaves_what_is_unacknowledged)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    publish(&a, "1234");
    lv_sim_get(&b, "q", "");
    lv_sim_get(&b, "q", "");
    assert_hears(&b, "get-ok #1 1, 3 left\nget-ok #2 2, 2 left");
    lv_sim_settle_tag(&b, 2, "q");
    lv_sim_settle(sim);
    lv_sim_purge(&a, "q"); /* 2, 3 and 4 */
    assert_hears(&a, "purge-ok 3");
    lv_sim_settle_tag(&b, 1, "q");
    lv_sim_settle(sim);
    lv_sim_get(&b, "q", "n");
    assert_hears(&b, "get-ok #3 1 again, 0 left");
    lv_sim_purge(&a, "nowhere");
    assert_hears(&a, "purge: 404 no queue 'nowhere' in vhost '/'");
    end(&a, &b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO_TEST(messages_come_in_order_and_after_the_answer),
        SCENARIO_TEST(consumers_take_turns),
        SCENARIO_TEST(prefetch_limits_each_consumer_made_after_it),
        SCENARIO_TEST(prefetch_is_nothing_to_a_consumer_without_acks),
        SCENARIO_TEST(a_global_limit_is_shared_by_the_channels_consumers),
        SCENARIO_TEST(a_global_limit_counts_over_queues),
        SCENARIO_TEST(what_a_global_limit_sends_back_keeps_its_place),
        SCENARIO_TEST(an_exclusive_consumer_is_the_only_one),
        SCENARIO_TEST(consumer_tags_belong_to_a_channel),
        SCENARIO_TEST(a_consumer_without_a_tag_gets_one),
        SCENARIO_TEST(a_cancelled_consumers_deliveries_stay_unacknowledged),
        SCENARIO_TEST(get_takes_one_message),
        SCENARIO_TEST(gets_from_several_queues_share_the_channels_tags),
        SCENARIO_TEST(higher_priorities_are_served_first_while_they_can_take),
        SCENARIO_TEST(consumers_of_one_priority_take_turns),
        SCENARIO_TEST(a_priority_is_an_integer),
        SCENARIO_TEST(consumer_arguments_not_known_yet_are_refused),
        SCENARIO_TEST(a_purge_leaves_what_is_unacknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
