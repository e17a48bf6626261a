#include "broker/harness.h"

static void begin(struct lv_sim *sim, struct lv_sim_client *a, struct lv_sim_client *b)
{
    lv_sim_client_open(a, sim, 0);
    lv_sim_client_open(b, sim, 2);
    lv_sim_declare(a, "q", "");
    assert_hears(a, "declare-ok q 0 0");
    for (char body[2] = "1"; body[0] <= '5'; body[0]++)
        lv_sim_publish(a, "", "q", body);
    lv_sim_settle(sim);
}

static void end(struct lv_sim_client *a, struct lv_sim_client *b)
{
    lv_sim_client_fini(a);
    lv_sim_client_fini(b);
}

static void consume_five(struct lv_sim_client *b)
{
    lv_sim_consume(b, "q", "t", "");
    assert_hears(b, "consume-ok t\nt #1 1\nt #2 2\nt #3 3\nt #4 4\nt #5 5");
}

/* The message of a settle that fails. */
static const char *settle_error(struct lv_sim_client *client, uint64_t tag, bool multiple)
{
    static struct lv_diag diag;

    assert_int_equal(
        lv_channel_settle(client->channels[0].core, tag, multiple, LV_SETTLE_ACK, &diag),
        -LV_E_PRECONDITION);
    return diag.text;
}

SCENARIO(acknowledged_messages_are_gone)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    consume_five(&b);
    lv_sim_settle_tag(&b, 3, "a"); /* in any order */
    lv_sim_settle_tag(&b, 1, "a");
    lv_sim_settle_tag(&b, 2, "r"); /* there is nowhere to put what was rejected */
    lv_sim_settle(sim);
    assert_int_equal(lv_sim_live_count(sim), 2);
    lv_sim_settle_tag(&b, 5, "+a");
    lv_sim_settle(sim);
    assert_int_equal(lv_sim_live_count(sim), 0);
    end(&a, &b);
}

SCENARIO(an_unknown_delivery_tag_is_an_error)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    assert_string_equal(settle_error(&b, 1, false), "unknown delivery tag 1");
    assert_string_equal(settle_error(&b, 1, true), "unknown delivery tag 1");
    consume_five(&b);
    assert_string_equal(settle_error(&b, 0, false), "unknown delivery tag 0");
    assert_string_equal(settle_error(&b, 6, false), "unknown delivery tag 6");
    assert_string_equal(settle_error(&b, 6, true), "unknown delivery tag 6");
    assert_string_equal(settle_error(&b, UINT64_MAX, true),
                        "unknown delivery tag 18446744073709551615");
    lv_sim_settle_tag(&b, 2, "a");
    assert_string_equal(settle_error(&b, 2, false), "unknown delivery tag 2");
    assert_string_equal(settle_error(&b, 2, true), "unknown delivery tag 2");
    lv_sim_settle_tag(&b, 3, "+a");
    assert_string_equal(settle_error(&b, 1, false), "unknown delivery tag 1");
    assert_string_equal(settle_error(&b, 3, false), "unknown delivery tag 3");
    assert_string_equal(settle_error(&a, 4, false), "unknown delivery tag 4"); /* another's */
    end(&a, &b);
}

SCENARIO(tag_zero_with_multiple_means_all)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_sim_settle_tag(&b, 0, "+a"); /* even when there are none */
    consume_five(&b);
    lv_sim_settle_tag(&b, 2, "a");
    lv_sim_settle_tag(&b, 0, "+a");
    lv_sim_settle_tag(&b, 0, "+a");
    lv_sim_settle(sim);
    assert_int_equal(lv_sim_live_count(sim), 0);
    end(&a, &b);
}

SCENARIO(requeued_messages_go_back_to_their_places)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    for (int i = 0; i < 4; i++)
        lv_sim_get(&b, "q", "");
    assert_hears(&b, "get-ok #1 1, 4 left\nget-ok #2 2, 3 left\nget-ok #3 3, 2 left\n"
                     "get-ok #4 4, 1 left");
    lv_sim_settle_tag(&b, 3, "q");
    lv_sim_settle_tag(&b, 1, "q");
    lv_sim_settle_tag(&b, 2, "a");
    lv_sim_settle_tag(&b, 4, "+q");
    lv_sim_settle(sim);
    for (int i = 0; i < 5; i++)
        lv_sim_get(&a, "q", "n");
    assert_hears(&a, "get-ok #1 1 again, 3 left\nget-ok #2 3 again, 2 left\n"
                     "get-ok #3 4 again, 1 left\nget-ok #4 5, 0 left\nget-empty");
    end(&a, &b);
}

SCENARIO(a_requeued_message_comes_again_in_its_place)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_channel_qos(b.channels[0].core, 2, false);
    lv_sim_consume(&b, "q", "t", "");
    assert_hears(&b, "consume-ok t\nt #1 1\nt #2 2");
    lv_sim_settle_tag(&b, 1, "q");
    assert_hears(&b, "t #3 1 again");
    lv_sim_settle_tag(&b, 0, "+q");
    assert_hears(&b, "t #4 1 again\nt #5 2 again");
    lv_sim_settle_tag(&b, 5, "+a");
    assert_hears(&b, "t #6 3\nt #7 4");
    end(&a, &b);
}

SCENARIO(a_closing_channel_puts_its_messages_back)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_sim_get(&b, "q", "");
    lv_channel_qos(b.channels[0].core, 2, false);
    lv_sim_consume(&b, "q", "t", "");
    assert_hears(&b, "get-ok #1 1, 4 left\nconsume-ok t\nt #2 2\nt #3 3");
    lv_sim_settle_tag(&b, 2, "a");
    assert_hears(&b, "t #4 4");
    lv_sim_channel_close(&b, 1);
    assert_hears(&b, "channel-closed");
    lv_sim_consume(&a, "q", "t", "");
    assert_hears(&a, "consume-ok t\nt #1 1 again\nt #2 3 again\nt #3 4 again\nt #4 5");
    lv_sim_channel_open(&b, 1);
    assert_string_equal(settle_error(&b, 1, false), "unknown delivery tag 1"); /* starts anew */
    end(&a, &b);
}

SCENARIO(what_one_client_leaves_the_next_one_gets)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    consume_five(&b);
    lv_sim_consume(&a, "q", "s", "");
    assert_hears(&a, "consume-ok s");
    lv_sim_client_close(&b);
    assert_hears(&a, "s #1 1 again\ns #2 2 again\ns #3 3 again\ns #4 4 again\ns #5 5 again");
    assert_hears(&b, "channel-closed\nclient-closed");
    end(&a, &b);
}

SCENARIO(tags_that_were_out_keep_their_meaning_when_a_second_shard_joins)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_sim_declare(&b, "mine", "x");
    assert_hears(&b, "declare-ok mine 0 0");
    for (char body[2] = "a"; body[0] <= 'd'; body[0]++)
        lv_sim_publish(&b, "", "mine", body);
    lv_sim_consume(&b, "mine", "m", "");
    assert_hears(&b, "consume-ok m\nm #1 a\nm #2 b\nm #3 c\nm #4 d");
    lv_sim_settle_tag(&b, 2, "a");
    lv_sim_consume(&b, "q", "t", ""); /* lives elsewhere */
    assert_hears(&b, "consume-ok t\nt #5 1\nt #6 2\nt #7 3\nt #8 4\nt #9 5");
    assert_string_equal(settle_error(&b, 2, false), "unknown delivery tag 2");
    lv_sim_publish(&b, "", "mine", "e");
    assert_hears(&b, "m #10 e");
    lv_sim_settle_tag(&b, 3, "q");
    assert_hears(&b, "m #11 c again");
    lv_sim_settle_tag(&b, 6, "+a"); /* 1, 4, 5 and 6 */
    lv_sim_settle(sim);
    assert_int_equal(lv_sim_live_count(sim), 5);
    lv_sim_settle_tag(&b, 8, "q");
    assert_hears(&b, "t #12 4 again");
    lv_sim_settle_tag(&b, 0, "+a");
    lv_sim_settle(sim);
    assert_int_equal(lv_sim_live_count(sim), 0);
    end(&a, &b);
}

/* A consumer that keeps one message for hours must not cost memory for all that pass it by. */
SCENARIO(a_message_that_is_kept_costs_the_others_nothing)
{
    struct lv_sim_client a, b;
    struct lv_broker_stats before, after;
    uint64_t memory = 0;

    begin(sim, &a, &b);
    lv_sim_get(&b, "q", "");
    lv_sim_get(&b, "q", "");
    lv_sim_purge(&b, "q");
    lv_sim_consume(&b, "q", "t", "");
    assert_hears(&b, "get-ok #1 1, 4 left\nget-ok #2 2, 3 left\npurge-ok 3\nconsume-ok t");
    for (uint64_t tag = 3; tag < 2000; tag++) {
        lv_sim_publish(&a, "", "q", "m");
        lv_sim_settle(sim);
        assert_int_equal(b.delivered, tag - 2);
        lv_sim_settle_tag(&b, tag, "a");
        lv_sim_settle(sim);
        if (tag == 100)
            for (uint32_t i = 0; i < sim->shard_count; i++) {
                lv_broker_stats(sim->shards[i].broker, &before);
                memory += before.memory_size;
            }
    }
    for (uint32_t i = 0; i < sim->shard_count; i++) {
        lv_broker_stats(sim->shards[i].broker, &after);
        memory -= after.memory_size;
    }
    assert_int_equal(memory, 0);
    assert_string_equal(settle_error(&b, 3, false), "unknown delivery tag 3");
    assert_string_equal(settle_error(&b, 1000, true), "unknown delivery tag 1000");
    lv_sim_settle_tag(&b, 2, "q");
    lv_sim_heard(&b);
    lv_sim_settle_tag(&b, 1, "a");
    lv_sim_settle_tag(&b, 2000, "+a");
    lv_sim_settle(sim);
    assert_int_equal(lv_sim_live_count(sim), 0);
    end(&a, &b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO_TEST(acknowledged_messages_are_gone),
        SCENARIO_TEST(an_unknown_delivery_tag_is_an_error),
        SCENARIO_TEST(tag_zero_with_multiple_means_all),
        SCENARIO_TEST(requeued_messages_go_back_to_their_places),
        SCENARIO_TEST(a_requeued_message_comes_again_in_its_place),
        SCENARIO_TEST(a_closing_channel_puts_its_messages_back),
        SCENARIO_TEST(what_one_client_leaves_the_next_one_gets),
        SCENARIO_TEST(tags_that_were_out_keep_their_meaning_when_a_second_shard_joins),
        SCENARIO_TEST(a_message_that_is_kept_costs_the_others_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
