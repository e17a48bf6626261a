#include "broker/core.h"
#include "broker/harness.h"

SCENARIO(a_vhost_that_is_not_there_is_refused)
{
    struct lv_client_config config = {.vhost = lv_text("other"), .user = lv_text("guest")};
    struct lv_client *client;
    struct lv_diag diag;

    assert_int_equal(lv_client_open(sim->shards[0].broker, &config, &diag, &client),
                     -LV_E_NOT_ALLOWED);
    assert_string_equal(diag.text, "vhost other not found");
}

SCENARIO(a_closing_client_closes_its_channels_first)
{
    struct lv_sim_client a;

    lv_sim_client_open(&a, sim, 0);
    lv_sim_channel_open(&a, 2);
    lv_sim_channel_open(&a, 3);
    lv_sim_channel_close(&a, 2);
    assert_hears(&a, "2: channel-closed");
    lv_sim_client_close(&a);
    assert_hears(&a, "channel-closed\n3: channel-closed\nclient-closed");
    lv_sim_client_fini(&a);
}

SCENARIO(a_closing_client_takes_its_exclusive_queues_along)
{
    struct lv_sim_client a, b;

    lv_sim_client_open(&a, sim, 1);
    lv_sim_client_open(&b, sim, 2);
    lv_sim_declare(&a, "one", "x");
    lv_sim_declare(&a, "two", "x");
    lv_sim_declare(&a, "gone", "x");
    lv_sim_declare(&a, "stays", "");
    lv_sim_delete(&a, "gone", "");
    lv_sim_bind(&a, "one", "amq.fanout", "");
    lv_sim_consume(&a, "two", "t", "");
    lv_sim_settle(sim);
    lv_sim_publish(&b, "amq.fanout", "", "m");
    lv_sim_publish(&b, "", "two", "m");
    lv_sim_settle(sim);
    lv_sim_heard_now(&a);
    lv_sim_client_close(&a);
    assert_hears(&a, "channel-closed\nclient-closed");
    assert_true(lv_sim_is_gone(sim, "one"));
    assert_true(lv_sim_is_gone(sim, "two"));
    assert_false(lv_sim_is_gone(sim, "stays"));
    assert_int_equal(lv_sim_live_count(sim), 0);
    lv_sim_client_fini(&a);
    lv_sim_client_fini(&b);
}

SCENARIO(a_client_that_is_not_writable_gets_nothing)
{
    struct lv_sim_client a, b;

    lv_sim_client_open(&a, sim, 0);
    lv_sim_client_open(&b, sim, 0);
    lv_sim_declare(&a, "q", "x");
    lv_sim_consume(&a, "q", "t", "n");
    assert_hears(&a, "declare-ok q 0 0\nconsume-ok t");
    a.stop_after = 2; /* from within the second delivery */
    for (int i = 0; i < 5; i++)
        lv_sim_publish(&b, "", "q", "m");
    assert_hears(&a, "t #1 m\nt #2 m");
    lv_client_set_writable(a.core, true);
    assert_hears(&a, "t #3 m\nt #4 m\nt #5 m");
    lv_client_set_writable(a.core, false);
    lv_client_set_writable(a.core, false);
    lv_sim_publish(&b, "", "q", "m");
    lv_sim_get(&a, "q", "n"); /* asked for, so it comes */
    assert_hears(&a, "get-ok #6 m, 0 left");
    lv_sim_client_fini(&a);
    lv_sim_client_fini(&b);
}

SCENARIO(what_is_sent_ahead_to_another_shard_is_bounded)
{
    struct lv_sim_client a, b;
    unsigned bound = 2 * LV_REMOTE_WINDOW;

    lv_sim_client_open(&a, sim, 0);
    lv_sim_client_open(&b, sim, 2);
    lv_sim_declare(&a, "q", "");
    lv_sim_settle(sim);
    lv_sim_consume(&b, "q", "t", "n");
    lv_sim_settle(sim);
    lv_client_set_writable(b.core, false);
    for (unsigned i = 0; i < 3 * LV_REMOTE_WINDOW; i++)
        lv_sim_publish(&a, "", "q", "m");
    lv_sim_settle(sim);
    assert_in_range(b.delivered, 0, LV_REMOTE_WINDOW);
    lv_client_set_writable(b.core, true);
    for (unsigned i = 0; i < bound; i++)
        lv_sim_publish(&a, "", "q", "m");
    lv_sim_settle(sim);
    assert_int_equal(b.delivered, 5 * LV_REMOTE_WINDOW);
    lv_sim_client_fini(&a);
    lv_sim_client_fini(&b);
}

SCENARIO(large_messages_sent_ahead_are_bounded_by_their_bytes)
{
    struct lv_sim_client a, b;
    static uint8_t body[1000000];
    struct lv_message message = {.key = lv_text("q"),
                                 .properties = lv_text("\x10\x01"),
                                 .body = lv_bytes(body, sizeof body)};

    lv_sim_client_open(&a, sim, 0);
    lv_sim_client_open(&b, sim, 2);
    lv_sim_declare(&a, "q", "");
    lv_sim_settle(sim);
    lv_sim_consume(&b, "q", "t", "n");
    lv_sim_settle(sim);
    lv_client_set_writable(b.core, false);
    for (int i = 0; i < 40; i++)
        assert_int_equal(lv_channel_publish(a.channels[0].core, &message, false, NULL), 0);
    lv_sim_settle(sim);
    assert_in_range(b.delivered, 0, LV_REMOTE_WINDOW_SIZE / sizeof body + 1);
    lv_client_set_writable(b.core, true);
    lv_sim_settle(sim);
    assert_int_equal(b.delivered, 40);
    lv_sim_client_fini(&a);
    lv_sim_client_fini(&b);
}

/* The answer to a command may make the session close everything. */
SCENARIO(a_client_may_close_in_a_reply)
{
    for (uint32_t reply = 1; reply <= 7; reply++) {
        struct lv_sim_client a, b;
        lv_sim_client_open(&a, sim, 0);
        lv_sim_client_open(&b, sim, 1);
        lv_sim_channel_open(&b, 2);
        b.close_after = reply;
        for (uint32_t step = 1; step <= reply; step++) {
            if (step == 1)
                lv_sim_declare(&b, "q", "a");
            else if (step == 2)
                lv_sim_declare(&b, "x", "x");
            else if (step == 3)
                lv_sim_consume(&b, "q", "t", "");
            else if (step == 4)
                lv_sim_get(&b, "x", "");
            else if (step == 5)
                lv_sim_bind(&b, "q", "no such exchange", "");
            else if (step == 6)
                lv_sim_delete(&b, "x", "");
            else
                lv_sim_cancel(&b, "t");
            lv_sim_settle(sim);
        }
        assert_null(b.core);
        assert_true(lv_sim_is_gone(sim, "x"));
        lv_sim_delete(&a, "q", "");
        assert_hears(&a, "delete-ok 0");
        lv_sim_client_fini(&b);
        lv_sim_client_fini(&a);
    }
}

static void give(struct lv_sim_client *client, uint32_t command)
{
    switch (command) {
    case 0:
        lv_sim_declare(client, "new", "");
        break;
    case 1:
        lv_sim_declare(client, "mine", "x");
        break;
    case 2:
        lv_sim_consume(client, "q", "t", "");
        break;
    case 3:
        lv_sim_consume(client, "q", "s", "");
        break;
    case 4:
        lv_sim_get(client, "q", "");
        break;
    case 5:
        lv_sim_bind(client, "q", "amq.fanout", "");
        break;
    case 6:
        lv_sim_cancel(client, "t");
        break;
    case 7:
        lv_sim_purge(client, "auto");
        break;
    default:
        lv_sim_delete(client, "auto", "");
        break;
    }
}

/* Whatever is asked and not answered yet when the connection dies, nothing of it stays behind. */
SCENARIO(a_client_may_die_while_anything_is_awaited)
{
    for (uint32_t commands = 1; commands <= 9; commands++)
        for (uint32_t steps = 0; steps < 3; steps++) {
            struct lv_sim_client a, b;
            lv_sim_client_open(&a, sim, 0);
            lv_sim_client_open(&b, sim, 2);
            lv_sim_declare(&a, "auto", "a");
            lv_sim_declare(&a, "q", "");
            lv_sim_settle(sim);
            lv_sim_consume(&b, "auto", "other", "");
            lv_sim_settle(sim);
            for (int i = 0; i < 3; i++)
                lv_sim_publish(&a, "", "q", "m");
            for (uint32_t i = 0; i < commands; i++)
                give(&b, i);
            for (uint32_t i = 0; i < steps; i++)
                (void)lv_sim_step(sim);
            lv_sim_client_close(&b);
            lv_sim_settle(sim);
            assert_null(b.core);
            assert_true(lv_sim_is_gone(sim, "auto"));
            assert_true(lv_sim_is_gone(sim, "mine"));
            lv_sim_heard_now(&a);
            lv_sim_delete(&a, "q", "u");
            lv_sim_delete(&a, "new", "");
            assert_hears(&a, "delete-ok 3\ndelete-ok 0");
            lv_sim_client_fini(&b);
            lv_sim_client_fini(&a);
        }
}

/* Deliveries, acks and the end of channel and queue meet at any time. */
SCENARIO(queues_and_channels_may_go_while_deliveries_are_under_way)
{
    for (uint32_t steps = 0; steps < 12; steps++) {
        struct lv_sim_client a, b, c;
        lv_sim_client_open(&a, sim, 0);
        lv_sim_client_open(&b, sim, 2);
        lv_sim_client_open(&c, sim, 1);
        lv_sim_declare(&a, "q", "");
        lv_sim_declare(&a, "r", "");
        lv_sim_settle(sim);
        lv_channel_qos(b.channels[0].core, 2, true);
        lv_sim_consume(&b, "q", "s", "");
        lv_sim_consume(&b, "r", "t", "");
        lv_sim_consume(&c, "q", "t", "n");
        for (int i = 0; i < 6; i++) {
            lv_sim_publish(&a, "", "q", "m");
            lv_sim_publish(&a, "", "r", "m");
        }
        for (uint32_t i = 0; i < steps; i++)
            (void)lv_sim_step(sim);
        if (b.delivered > 0)
            lv_sim_settle_tag(&b, 0, "+a");
        lv_sim_delete(&a, "q", "");
        for (uint32_t i = 0; i < steps / 2; i++)
            (void)lv_sim_step(sim);
        while (b.awaited > 0)
            (void)lv_sim_step(sim);
        if (steps % 2 == 0)
            lv_sim_channel_close(&b, 1);
        else
            lv_sim_cancel(&b, "s"); /* perhaps cancelled by then */
        lv_sim_settle(sim);
        assert_true(lv_sim_is_gone(sim, "q"));
        lv_sim_client_fini(&b);
        lv_sim_client_fini(&c);
        lv_sim_heard(&a);
        lv_sim_delete(&a, "r", "");
        assert_memory_equal(lv_sim_heard(&a), "delete-ok ", 10);
        assert_int_equal(lv_sim_live_count(sim), 0);
        lv_sim_client_fini(&a);
    }
}

/* A consumer's own cancel and the end of its queue cross each other. */
SCENARIO(a_cancel_may_cross_the_end_of_the_queue)
{
    struct lv_sim_client a, b;

    lv_sim_client_open(&a, sim, 0);
    lv_sim_client_open(&b, sim, 2);
    lv_sim_declare(&a, "q", "");
    assert_hears(&a, "declare-ok q 0 0");
    lv_sim_consume(&b, "q", "t", "");
    assert_hears(&b, "consume-ok t");
    lv_sim_delete(&a, "q", "");
    for (uint64_t steps = lv_random_below(&sim->random, 8); steps > 0; steps--)
        (void)lv_sim_step(sim);
    lv_sim_cancel(&b, "t");
    const char *heard = lv_sim_heard(&b);
    if (strcmp(heard, "cancelled t\ncancel-ok t") != 0) /* told once, one way or the other */
        assert_string_equal(heard, "cancel-ok t");
    lv_sim_declare(&b, "p", "");
    lv_sim_consume(&b, "p", "t", "");
    assert_hears(&b, "declare-ok p 0 0\nconsume-ok t");
    lv_sim_client_fini(&a);
    lv_sim_client_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO_TEST(a_vhost_that_is_not_there_is_refused),
        SCENARIO_TEST(a_closing_client_closes_its_channels_first),
        SCENARIO_TEST(a_closing_client_takes_its_exclusive_queues_along),
        SCENARIO_TEST(a_client_that_is_not_writable_gets_nothing),
        SCENARIO_TEST(what_is_sent_ahead_to_another_shard_is_bounded),
        SCENARIO_TEST(large_messages_sent_ahead_are_bounded_by_their_bytes),
        SCENARIO_TEST(a_client_may_close_in_a_reply),
        SCENARIO_TEST(a_client_may_die_while_anything_is_awaited),
        SCENARIO_TEST(queues_and_channels_may_go_while_deliveries_are_under_way),
        SCENARIO_TEST(a_cancel_may_cross_the_end_of_the_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
