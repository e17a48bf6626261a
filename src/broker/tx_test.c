#include "broker/harness.h"

#include "broker/tx.h"

/* Queues "p", "q" and "r" on different shards where there are several; `b` has transactions. */
static void begin(struct lv_sim *sim, struct lv_sim_client *a, struct lv_sim_client *b)
{
    lv_sim_client_open(a, sim, 0);
    lv_sim_client_open(b, sim, 1);
    lv_sim_declare(a, "p", "");
    lv_sim_declare(a, "q", "");
    lv_sim_declare(a, "r", "");
    assert_hears(a, "declare-ok p 0 0\ndeclare-ok q 0 0\ndeclare-ok r 0 0");
    assert_int_equal(lv_channel_tx_select(b->channels[0].core, NULL), 0);
}

static void end(struct lv_sim_client *a, struct lv_sim_client *b)
{
    lv_sim_client_fini(a);
    lv_sim_client_fini(b);
}

static void commit(struct lv_sim_client *client)
{
    while (client->awaited > 0 && lv_sim_step(client->sim))
        continue;
    client->awaited = 1;
    lv_channel_tx_commit(client->channels[0].core);
}

static void rollback(struct lv_sim_client *client)
{
    assert_int_equal(lv_channel_tx_rollback(client->channels[0].core, NULL), 0);
}

/* How many messages each queue has, as "p q r"; they are gone then. */
#define assert_counts(client, p, q, r)                                                             \
    do {                                                                                           \
        lv_sim_settle((client)->sim);                                                              \
        lv_sim_purge(client, "p");                                                                 \
        lv_sim_purge(client, "q");                                                                 \
        lv_sim_purge(client, "r");                                                                 \
        assert_hears(client, "purge-ok " #p "\npurge-ok " #q "\npurge-ok " #r);                    \
    } while (0)

SCENARIO(publishes_wait_for_the_commit)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_sim_bind(&a, "p", "amq.fanout", "");
    lv_sim_bind(&a, "q", "amq.fanout", "");
    lv_sim_bind(&a, "r", "amq.fanout", "");
    assert_hears(&a, "bind-ok\nbind-ok\nbind-ok");
    lv_sim_publish(&b, "", "p", "1");
    lv_sim_publish(&b, "amq.fanout", "", "2");
    lv_sim_publish(&b, "", "nowhere", "3");
    assert_counts(&a, 0, 0, 0);
    commit(&b);
    assert_hears(&b, "commit-ok");
    assert_counts(&a, 2, 1, 1);
    commit(&b); /* an empty one */
    assert_hears(&b, "commit-ok");
    assert_counts(&a, 0, 0, 0);
    end(&a, &b);
}

SCENARIO(a_commit_is_answered_when_every_queue_has_its_messages)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    for (int i = 0; i < 5; i++) {
        lv_sim_publish(&b, "", "p", "m");
        lv_sim_publish(&b, "", "r", "m");
    }
    commit(&b);
    while (b.awaited > 0)
        assert_true(lv_sim_step(sim));
    /* Whatever is still on its way, the messages are there. */
    assert_int_equal(lv_sim_live_count(sim), 10);
    assert_counts(&a, 5, 0, 5);
    assert_hears(&b, "commit-ok");
    end(&a, &b);
}

SCENARIO(a_rollback_forgets_publishes)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_sim_publish(&b, "", "p", "1");
    lv_sim_publish(&b, "", "q", "2");
    rollback(&b);
    commit(&b);
    assert_hears(&b, "commit-ok");
    assert_counts(&a, 0, 0, 0);
    lv_sim_publish(&b, "", "r", "3");
    commit(&b);
    assert_hears(&b, "commit-ok");
    assert_counts(&a, 0, 0, 1);
    end(&a, &b);
}

SCENARIO(errors_come_with_the_publish_and_returns_with_the_commit)
{
    struct lv_sim_client a, b;
    struct lv_diag diag;

    begin(sim, &a, &b);
    assert_int_equal(lv_sim_try_publish(&b, "none", "", "1", false, &diag), -LV_E_NOT_FOUND);
    assert_string_equal(diag.text, "no exchange 'none' in vhost '/'");
    assert_int_equal(lv_sim_try_publish(&b, "", "nowhere", "2", true, NULL), 0);
    assert_int_equal(lv_sim_try_publish(&b, "", "p", "3", true, NULL), 0);
    assert_int_equal(lv_sim_try_publish(&b, "", "nowhere", "4", true, NULL), 0);
    assert_hears(&b, "");
    commit(&b);
    assert_hears(&b, "returned 2\nreturned 4\ncommit-ok");
    assert_counts(&a, 1, 0, 0);
    end(&a, &b);
}

SCENARIO(a_queue_deleted_before_the_commit_takes_nothing)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_sim_publish(&b, "", "p", "1");
    lv_sim_delete(&a, "p", "");
    assert_hears(&a, "delete-ok 0");
    lv_sim_declare(&a, "p", ""); /* another queue of that name */
    assert_hears(&a, "declare-ok p 0 0");
    commit(&b);
    assert_hears(&b, "commit-ok");
    assert_counts(&a, 0, 0, 0);
    end(&a, &b);
}

SCENARIO(settles_wait_for_the_commit)
{
    struct lv_sim_client a, b;
    struct lv_diag diag;

    begin(sim, &a, &b);
    lv_sim_publish(&a, "", "p", "1");
    lv_sim_publish(&a, "", "p", "2");
    lv_sim_publish(&a, "", "p", "3");
    lv_sim_settle(sim);
    lv_sim_consume(&b, "p", "t", "");
    assert_hears(&b, "consume-ok t\nt #1 1\nt #2 2\nt #3 3");
    lv_sim_settle_tag(&b, 2, "a");
    lv_sim_settle(sim);
    assert_int_equal(lv_sim_live_count(sim), 3);
    /* Nobody can settle it again, and nobody can settle what isn't there. */
    assert_int_equal(lv_channel_settle(b.channels[0].core, 2, false, LV_SETTLE_ACK, &diag),
                     -LV_E_PRECONDITION);
    assert_string_equal(diag.text, "unknown delivery tag 2");
    assert_int_equal(lv_channel_settle(b.channels[0].core, 4, true, LV_SETTLE_ACK, NULL),
                     -LV_E_PRECONDITION);
    assert_int_equal(lv_channel_settle(b.channels[0].core, 0, false, LV_SETTLE_ACK, NULL),
                     -LV_E_PRECONDITION);
    commit(&b);
    assert_hears(&b, "commit-ok");
    assert_int_equal(lv_sim_live_count(sim), 2);
    lv_sim_settle_tag(&b, 3, "q");
    lv_sim_settle_tag(&b, 0, "+r");
    lv_sim_settle_tag(&b, 0, "+a"); /* nothing is left */
    assert_hears(&b, "");
    commit(&b);
    assert_hears(&b, "commit-ok\nt #4 3 again");
    assert_int_equal(lv_sim_live_count(sim), 1);
    end(&a, &b);
}

SCENARIO(a_rollback_makes_deliveries_unacknowledged_again)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_channel_qos(b.channels[0].core, 2, false);
    for (char body[2] = "1"; body[0] <= '4'; body[0]++)
        lv_sim_publish(&a, "", "q", body);
    lv_sim_settle(sim);
    lv_sim_consume(&b, "q", "t", "");
    assert_hears(&b, "consume-ok t\nt #1 1\nt #2 2");
    lv_sim_settle_tag(&b, 2, "+a");
    assert_hears(&b, ""); /* the prefetch is still used up */
    rollback(&b);
    lv_sim_settle_tag(&b, 1, "a"); /* can be settled once more */
    commit(&b);
    assert_hears(&b, "commit-ok\nt #3 3");
    lv_sim_channel_close(&b, 1);
    assert_hears(&b, "channel-closed");
    lv_sim_get(&a, "q", "n");
    assert_hears(&a, "get-ok #1 2 again, 2 left");
    end(&a, &b);
}

SCENARIO(a_commit_settles_what_came_from_several_shards)
{
    struct lv_sim_client a, b;
    static const char *const queues[] = {"p", "q", "r"};

    begin(sim, &a, &b);
    for (int round = 0; round < 10; round++)
        for (int i = 0; i < 3; i++)
            lv_sim_publish(&a, "", queues[i], "m");
    lv_sim_settle(sim);
    for (int round = 0; round < 10; round++)
        for (int i = 0; i < 3; i++)
            lv_sim_get(&b, queues[i], "");
    (void)lv_sim_heard(&b);
    lv_sim_settle_tag(&b, 7, "a");
    lv_sim_settle_tag(&b, 12, "+a");
    lv_sim_settle_tag(&b, 30, "q");
    lv_sim_settle_tag(&b, 20, "+r");
    commit(&b);
    assert_hears(&b, "commit-ok");
    assert_int_equal(lv_sim_live_count(sim), 10);
    lv_sim_client_close(&b);
    assert_hears(&b, "channel-closed\nclient-closed");
    assert_counts(&a, 3, 3, 4);
    end(&a, &b);
}

SCENARIO(closing_the_channel_rolls_back)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_sim_publish(&a, "", "p", "1");
    lv_sim_settle(sim);
    lv_sim_get(&b, "p", "");
    assert_hears(&b, "get-ok #1 1, 0 left");
    lv_sim_publish(&b, "", "q", "2");
    lv_sim_settle_tag(&b, 1, "a");
    lv_sim_channel_close(&b, 1);
    assert_hears(&b, "channel-closed");
    assert_counts(&a, 1, 0, 0);
    end(&a, &b);
}

SCENARIO(a_commit_under_way_ends_before_its_channel)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_sim_publish(&b, "", "p", "1");
    lv_sim_publish(&b, "", "q", "2");
    lv_sim_publish(&b, "", "r", "3");
    commit(&b);
    b.awaited = 0; /* the answer may be lost with the client */
    lv_sim_client_close(&b);
    lv_sim_settle(sim);
    assert_non_null(strstr(lv_sim_heard(&b), "client-closed"));
    assert_counts(&a, 1, 1, 1);
    end(&a, &b);
}

SCENARIO(recover_gives_all_back_but_what_a_transaction_has_settled)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_sim_publish(&a, "", "p", "1");
    lv_sim_publish(&a, "", "p", "2");
    lv_sim_settle(sim);
    lv_sim_get(&b, "p", "");
    lv_sim_get(&b, "p", "");
    lv_sim_get(&a, "q", "");
    assert_hears(&b, "get-ok #1 1, 1 left\nget-ok #2 2, 0 left");
    lv_sim_settle_tag(&b, 1, "a");
    lv_channel_recover(b.channels[0].core);
    lv_channel_recover(a.channels[0].core); /* nothing to give back */
    assert_hears(&a, "get-empty");
    lv_sim_get(&a, "p", "n");
    assert_hears(&a, "get-ok #1 2 again, 0 left");
    commit(&b);
    assert_hears(&b, "commit-ok");
    assert_int_equal(lv_sim_live_count(sim), 0);
    end(&a, &b);
}

SCENARIO(a_transaction_has_a_limit)
{
    struct lv_sim_client a, b;
    struct lv_diag diag;
    static char body[1 << 20];
    int rc = 0, count = 0;

    begin(sim, &a, &b);
    memset(body, 'x', sizeof body - 1);
    while ((rc = lv_sim_try_publish(&b, "", "p", body, false, &diag)) == 0)
        count++;
    assert_int_equal(count, LV_TX_SIZE_MAX / sizeof body - 1);
    assert_int_equal(rc, -LV_E_PRECONDITION);
    assert_string_equal(diag.text, "transaction is larger than the maximum of 67108864 bytes");
    rollback(&b);
    lv_sim_publish(&b, "", "p", body);
    lv_sim_client_close(&b);
    assert_hears(&b, "channel-closed\nclient-closed");
    assert_counts(&a, 0, 0, 0);
    end(&a, &b);
}

SCENARIO(confirms_and_transactions_exclude_each_other)
{
    struct lv_sim_client a, b;
    struct lv_diag diag;

    begin(sim, &a, &b);
    assert_true(lv_channel_is_transactional(b.channels[0].core));
    assert_false(lv_channel_is_transactional(a.channels[0].core));
    assert_int_equal(lv_channel_tx_select(b.channels[0].core, &diag), 0); /* changes nothing */
    assert_int_equal(lv_channel_tx_rollback(a.channels[0].core, &diag), -LV_E_PRECONDITION);
    assert_string_equal(diag.text, "channel is not transactional");
    commit(&a);
    assert_hears(&a, "commit: 406 channel is not transactional");
    lv_channel_confirm_select(a.channels[0].core);
    assert_int_equal(lv_channel_tx_select(a.channels[0].core, &diag), -LV_E_PRECONDITION);
    assert_string_equal(diag.text, "cannot switch from confirm to tx mode");
    end(&a, &b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO_TEST(publishes_wait_for_the_commit),
        SCENARIO_TEST(a_commit_is_answered_when_every_queue_has_its_messages),
        SCENARIO_TEST(a_rollback_forgets_publishes),
        SCENARIO_TEST(errors_come_with_the_publish_and_returns_with_the_commit),
        SCENARIO_TEST(a_queue_deleted_before_the_commit_takes_nothing),
        SCENARIO_TEST(settles_wait_for_the_commit),
        SCENARIO_TEST(a_rollback_makes_deliveries_unacknowledged_again),
        SCENARIO_TEST(a_commit_settles_what_came_from_several_shards),
        SCENARIO_TEST(closing_the_channel_rolls_back),
        SCENARIO_TEST(a_commit_under_way_ends_before_its_channel),
        SCENARIO_TEST(recover_gives_all_back_but_what_a_transaction_has_settled),
        SCENARIO_TEST(a_transaction_has_a_limit),
        SCENARIO_TEST(confirms_and_transactions_exclude_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
