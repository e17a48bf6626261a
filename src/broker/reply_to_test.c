#include "broker/harness.h"

#include <stdio.h>

/* Clients on different shards, where there are several; `a` asks. */
static void begin(struct lv_sim *sim, struct lv_sim_client *a, struct lv_sim_client *b)
{
    lv_sim_client_open(a, sim, 2);
    lv_sim_client_open(b, sim, 1);
}

static void end(struct lv_sim_client *a, struct lv_sim_client *b)
{
    lv_sim_client_fini(a);
    lv_sim_client_fini(b);
}

/* The name under which answers reach the client. */
struct name {
    char text[64];
};

static struct name name_of(const struct lv_sim_client *client)
{
    struct lv_bytes name = lv_channel_reply_to(client->channels[0].core);
    struct name copy;

    assert_in_range(name.size, 1, sizeof copy.text - 1);
    snprintf(copy.text, sizeof copy.text, "%.*s", LV_FMT(name));
    return copy;
}

static struct name ask(struct lv_sim_client *client)
{
    lv_sim_consume(client, "amq.rabbitmq.reply-to", "t", "n");
    assert_heard_now(client, "consume-ok t");
    return name_of(client);
}

SCENARIO(answers_reach_the_channel_that_asked)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    assert_int_equal(lv_channel_reply_to(a.channels[0].core).size, 0);
    struct name name = ask(&a);
    lv_sim_publish(&b, "", name.text, "1");
    lv_sim_publish(&b, "", name.text, "2");
    lv_sim_publish(&a, "", name.text, "3");
    lv_sim_settle(sim);
    const char *heard = lv_sim_heard(&a);
    assert_non_null(strstr(heard, "3"));
    assert_true(strstr(heard, " 1") < strstr(heard, " 2"));
    assert_int_equal(a.delivered, 3);
    assert_int_equal(lv_sim_live_count(sim), 0);
    lv_sim_cancel(&a, "t");
    assert_hears(&a, "cancel-ok t");
    lv_sim_publish(&b, "", name.text, "4");
    assert_hears(&a, "");
    end(&a, &b);
}

SCENARIO(deliveries_and_answers_share_the_channels_tags)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    struct name name = ask(&a);
    lv_sim_declare(&b, "q", "");
    (void)lv_sim_heard(&b);
    lv_sim_publish(&b, "", "q", "1");
    lv_sim_publish(&b, "", name.text, "2");
    assert_hears(&a, "t #1 2");
    lv_sim_get(&a, "q", "");
    assert_hears(&a, "get-ok #2 1, 0 left");
    lv_sim_publish(&b, "", name.text, "3");
    assert_hears(&a, "t #3 3");
    assert_int_equal(lv_channel_settle(a.channels[0].core, 1, false, LV_SETTLE_ACK, NULL),
                     -LV_E_PRECONDITION);
    assert_int_equal(lv_channel_settle(a.channels[0].core, 3, false, LV_SETTLE_ACK, NULL),
                     -LV_E_PRECONDITION);
    lv_sim_settle_tag(&a, 2, "a");
    end(&a, &b);
}

SCENARIO(names_are_of_one_consumer_and_not_alike)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    struct name one = ask(&a), two = ask(&b);
    assert_string_not_equal(one.text, two.text);
    lv_sim_cancel(&a, "t");
    assert_hears(&a, "cancel-ok t");
    struct name three = ask(&a);
    assert_string_not_equal(one.text, three.text);
    assert_int_equal(memcmp(one.text, "amq.rabbitmq.reply-to.", 22), 0);
    assert_int_not_equal(memcmp(one.text + 22, three.text + 22, 16), 0);
    lv_sim_publish(&b, "", one.text, "to nobody");
    lv_sim_publish(&b, "", three.text, "to a");
    assert_hears(&a, "t #1 to a");
    end(&a, &b);
}

SCENARIO(a_channel_has_one_reply_consumer_without_acks)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_sim_consume(&a, "amq.rabbitmq.reply-to", "t", "");
    assert_hears(&a, "consume: 406 reply consumer cannot acknowledge");
    lv_sim_consume(&a, "amq.rabbitmq.reply-to", "t", "n");
    lv_sim_consume(&a, "amq.rabbitmq.reply-to", "u", "n");
    lv_sim_consume(&a, "amq.rabbitmq.reply-to", "t", "n");
    assert_hears(&a, "consume-ok t\nconsume: 406 reply consumer already set\n"
                     "consume: 530 attempt to reuse consumer tag 't'");
    lv_sim_consume(&b, "amq.rabbitmq.reply-to", "", "n");
    assert_int_equal(strlen(lv_sim_heard_now(&b)), strlen("consume-ok amq.ctag-") + 22);
    end(&a, &b);
}

SCENARIO(declaring_the_name_asks_whether_it_is_alive)
{
    struct lv_sim_client a, b;
    char text[160];

    begin(sim, &a, &b);
    struct name name = ask(&a);
    snprintf(text, sizeof text, "declare-ok %s 0 1", name.text);
    lv_sim_declare(&b, name.text, "p");
    assert_hears(&b, text);
    lv_sim_declare(&b, name.text, "dx"); /* whatever it is declared as */
    assert_hears(&b, text);
    lv_sim_declare(&b, "amq.rabbitmq.reply-to", "");
    assert_hears(&b, "declare-ok amq.rabbitmq.reply-to 0 1");
    lv_sim_channel_close(&a, 1);
    assert_hears(&a, "channel-closed");
    snprintf(text, sizeof text, "declare: 404 no queue '%s' in vhost '/'", name.text);
    lv_sim_declare(&b, name.text, "");
    assert_hears(&b, text);
    lv_sim_declare(&b, name.text, "p");
    assert_hears(&b, text);
    lv_sim_declare(&b, "amq.rabbitmq.reply-to.x", "p");
    lv_sim_declare(&b, "amq.rabbitmq.reply-to.made up.99", "p");
    assert_hears(&b, "declare: 404 no queue 'amq.rabbitmq.reply-to.x' in vhost '/'\n"
                     "declare: 404 no queue 'amq.rabbitmq.reply-to.made up.99' in vhost '/'");
    end(&a, &b);
}

SCENARIO(nobody_binds_such_a_name)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    struct name name = ask(&a);
    lv_sim_bind(&a, name.text, "amq.direct", "k");
    lv_sim_unbind(&a, "amq.rabbitmq.reply-to", "amq.direct", "k");
    assert_hears(&a, "bind: 403 cannot bind or unbind to a volatile (direct reply-to) queue\n"
                     "unbind: 403 cannot bind or unbind to a volatile (direct reply-to) queue");
    end(&a, &b);
}

SCENARIO(a_mandatory_answer_to_nobody_comes_back_before_its_confirm)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    struct name name = ask(&a);
    assert_int_equal(lv_sim_try_publish(&b, "", name.text, "1", true, NULL), 0);
    assert_hears(&b, "");
    lv_channel_confirm_select(b.channels[0].core);
    assert_int_equal(lv_sim_try_publish(&b, "", name.text, "2", true, NULL), 0);
    assert_hears(&b, "confirm 1");
    lv_sim_client_close(&a);
    assert_hears(&a, "t #1 1\nt #2 2\nchannel-closed\nclient-closed");
    lv_sim_publish(&b, "", name.text, "3"); /* dropped in silence, and confirmed */
    assert_hears(&b, "confirm 2");
    assert_int_equal(lv_sim_try_publish(&b, "", name.text, "4", true, NULL), 0);
    assert_hears(&b, "returned 4\nconfirm 3");
    /* The prefix says it only where the default exchange reads it. */
    assert_int_equal(lv_sim_try_publish(&b, "amq.direct", name.text, "5", true, NULL), 0);
    assert_hears(&b, "returned 5\nconfirm 4");
    end(&a, &b);
}

SCENARIO(a_closing_publisher_hears_of_no_answer)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    struct name name = ask(&a);
    lv_sim_cancel(&a, "t");
    (void)lv_sim_heard(&a);
    lv_sim_channel_open(&b, 2);
    assert_int_equal(lv_sim_try_publish(&b, "", name.text, "1", true, NULL), 0);
    lv_sim_client_close(&b);
    lv_sim_settle(sim);
    const char *heard = lv_sim_heard(&b);
    assert_non_null(strstr(heard, "client-closed"));
    end(&a, &b);
}

SCENARIO(a_transactions_answers_leave_with_its_commit)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    struct name name = ask(&a);
    assert_int_equal(lv_channel_tx_select(b.channels[0].core, NULL), 0);
    lv_sim_publish(&b, "", name.text, "1");
    assert_hears(&a, "");
    b.awaited++;
    lv_channel_tx_commit(b.channels[0].core);
    assert_hears(&a, "t #1 1");
    assert_hears(&b, "commit-ok");
    lv_sim_channel_close(&a, 1);
    lv_sim_settle(sim);
    assert_int_equal(lv_sim_try_publish(&b, "", name.text, "2", true, NULL), 0);
    b.awaited++;
    lv_channel_tx_commit(b.channels[0].core);
    assert_hears(&b, "returned 2\ncommit-ok");
    end(&a, &b);
}

SCENARIO(answers_wait_for_a_client_that_does_not_read)
{
    struct lv_sim_client a, b;
    static char body[1 << 20];
    struct lv_broker_stats before, after;

    begin(sim, &a, &b);
    struct name name = ask(&a);
    a.stop_after = 1;
    lv_sim_publish(&b, "", name.text, "1");
    lv_sim_publish(&b, "", name.text, "2");
    lv_sim_publish(&b, "", name.text, "3");
    assert_hears(&a, "t #1 1");
    lv_broker_stats(sim->shards[a.shard].broker, &before);
    memset(body, 'x', sizeof body - 1);
    for (int i = 0; i < 20; i++)
        lv_sim_publish(&b, "", name.text, body);
    lv_sim_settle(sim);
    lv_broker_stats(sim->shards[a.shard].broker, &after);
    assert_in_range(after.memory_size - before.memory_size, 2 * sizeof body, 6 * sizeof body);
    lv_client_set_writable(a.core, true);
    assert_in_range(a.delivered, 5, 7); /* the first ones, the rest is gone */
    (void)lv_sim_heard(&a);
    lv_sim_publish(&b, "", name.text, "last");
    assert_non_null(strstr(lv_sim_heard(&a), "last"));
    lv_client_set_writable(a.core, false);
    lv_sim_publish(&b, "", name.text, "unread");
    lv_sim_client_close(&a);
    assert_hears(&a, "channel-closed\nclient-closed");
    end(&a, &b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO_TEST(answers_reach_the_channel_that_asked),
        SCENARIO_TEST(deliveries_and_answers_share_the_channels_tags),
        SCENARIO_TEST(names_are_of_one_consumer_and_not_alike),
        SCENARIO_TEST(a_channel_has_one_reply_consumer_without_acks),
        SCENARIO_TEST(declaring_the_name_asks_whether_it_is_alive),
        SCENARIO_TEST(nobody_binds_such_a_name),
        SCENARIO_TEST(a_mandatory_answer_to_nobody_comes_back_before_its_confirm),
        SCENARIO_TEST(a_closing_publisher_hears_of_no_answer),
        SCENARIO_TEST(a_transactions_answers_leave_with_its_commit),
        SCENARIO_TEST(answers_wait_for_a_client_that_does_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
