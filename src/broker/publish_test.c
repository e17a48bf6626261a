#include "broker/harness.h"

/* Queues "p", "q" and "r", which live on different shards where there are several. */
static void begin(struct lv_sim *sim, struct lv_sim_client *a, struct lv_sim_client *b)
{
    lv_sim_client_open(a, sim, 0);
    lv_sim_client_open(b, sim, 1);
    lv_sim_declare(a, "p", "");
    lv_sim_declare(a, "q", "");
    lv_sim_declare(a, "r", "");
    assert_hears(a, "declare-ok p 0 0\ndeclare-ok q 0 0\ndeclare-ok r 0 0");
}

static void end(struct lv_sim_client *a, struct lv_sim_client *b)
{
    lv_sim_client_fini(a);
    lv_sim_client_fini(b);
}

/* How many messages each queue has, as "p q r". */
#define assert_counts(client, text)                                                                \
    do {                                                                                           \
        lv_sim_settle((client)->sim);                                                              \
        lv_sim_purge(client, "p");                                                                 \
        lv_sim_purge(client, "q");                                                                 \
        lv_sim_purge(client, "r");                                                                 \
        assert_hears(client, text);                                                                \
    } while (0)
#define COUNTS(p, q, r) "purge-ok " #p "\npurge-ok " #q "\npurge-ok " #r

SCENARIO(the_default_exchange_knows_queues_by_name)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_sim_publish(&b, "", "p", "m");
    lv_sim_publish(&b, "", "r", "m");
    lv_sim_publish(&b, "", "nowhere", "m"); /* dropped in silence */
    assert_counts(&b, COUNTS(1, 0, 1));
    end(&a, &b);
}

SCENARIO(a_direct_exchange_compares_keys)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_sim_exchange(&a, "x", "direct", "");
    lv_sim_bind(&a, "p", "x", "k");
    lv_sim_bind(&a, "p", "x", "k"); /* the same again is no other */
    lv_sim_bind(&a, "p", "x", "l");
    lv_sim_bind(&a, "q", "x", "k");
    lv_sim_bind(&a, "r", "x", "");
    assert_hears(&a, "exchange-declare-ok\nbind-ok\nbind-ok\nbind-ok\nbind-ok\nbind-ok");
    lv_sim_publish(&b, "x", "k", "m");
    lv_sim_publish(&b, "x", "l", "m");
    lv_sim_publish(&b, "x", "K", "m");
    assert_counts(&b, COUNTS(2, 1, 0));
    lv_sim_publish(&b, "x", "", "m");
    lv_sim_unbind(&b, "p", "x", "k");
    assert_hears(&b, "unbind-ok");
    lv_sim_publish(&b, "x", "k", "m");
    lv_sim_publish(&b, "x", "l", "m");
    assert_counts(&b, COUNTS(1, 1, 1));
    end(&a, &b);
}

SCENARIO(a_fanout_exchange_gives_each_queue_one_copy)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_sim_bind(&a, "p", "amq.fanout", "k");
    lv_sim_bind(&a, "p", "amq.fanout", "l");
    lv_sim_bind(&a, "q", "amq.fanout", "");
    lv_sim_bind(&a, "r", "amq.fanout", "k");
    assert_hears(&a, "bind-ok\nbind-ok\nbind-ok\nbind-ok");
    lv_sim_publish(&b, "amq.fanout", "whatever", "m");
    lv_sim_settle(sim);
    assert_in_range(lv_sim_live_count(sim), 1, 3); /* one for each shard, not for each queue */
    assert_counts(&b, COUNTS(1, 1, 1));
    lv_sim_unbind(&b, "p", "amq.fanout", "k");
    lv_sim_unbind(&b, "r", "amq.fanout", "k");
    assert_hears(&b, "unbind-ok\nunbind-ok");
    lv_sim_publish(&b, "amq.fanout", "k", "m");
    assert_counts(&b, COUNTS(1, 1, 0));
    end(&a, &b);
}

SCENARIO(bindings_with_other_arguments_are_others)
{
    struct lv_sim_client a, b;
    struct lv_sim_table table;
    struct lv_bind bind = {
        .queue = lv_text("p"), .exchange = lv_text("amq.direct"), .key = lv_text("k")};

    begin(sim, &a, &b);
    for (int i = 0; i < 3; i++) {
        lv_sim_bind(&a, "p", "amq.direct", "k");
        assert_hears(&a, "bind-ok");
        bind.arguments = lv_sim_table(&table, "n", lv_sim_integer(LV_TYPE_I32, i));
        a.awaited = 1;
        lv_queue_bind(a.channels[0].core, &bind);
        assert_hears(&a, "bind-ok");
    }
    /* The queue has four bindings with this key: it is bound until the last is gone. */
    for (int i = 0; i < 3; i++) {
        bind.arguments = lv_sim_table(&table, "n", lv_sim_integer(LV_TYPE_I64, i));
        a.awaited = 1;
        lv_queue_unbind(a.channels[0].core, &bind);
        assert_hears(&a, "unbind-ok");
        lv_sim_publish(&b, "amq.direct", "k", "m");
    }
    lv_sim_unbind(&a, "p", "amq.direct", "k");
    assert_hears(&a, "unbind-ok");
    lv_sim_publish(&b, "amq.direct", "k", "m");
    assert_counts(&b, COUNTS(3, 0, 0));
    end(&a, &b);
}

SCENARIO(publishing_is_refused_where_it_cannot_be)
{
    struct lv_sim_client a, b;
    struct lv_diag diag;

    begin(sim, &a, &b);
    assert_int_equal(lv_sim_try_publish(&a, "x", "k", "m", false, &diag), -LV_E_NOT_FOUND);
    assert_string_equal(diag.text, "no exchange 'x' in vhost '/'");
    lv_sim_exchange(&a, "x", "direct", "i");
    assert_hears(&a, "exchange-declare-ok");
    assert_int_equal(lv_sim_try_publish(&a, "x", "k", "m", true, &diag), -LV_E_ACCESS_REFUSED);
    assert_string_equal(diag.text, "cannot publish to internal exchange 'x' in vhost '/'");
    assert_int_equal(lv_sim_try_publish(&a, "amq.rabbitmq.trace", "k", "m", true, &diag),
                     -LV_E_ACCESS_REFUSED);
    assert_hears(&a, "");
    end(&a, &b);
}

SCENARIO(confirms_count_from_the_first_publish_after_the_select)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_sim_publish(&b, "", "p", "uncounted");
    lv_channel_confirm_select(b.channels[0].core);
    lv_sim_publish(&b, "", "p", "m");
    assert_hears(&b, "confirm 1");
    lv_channel_confirm_select(b.channels[0].core); /* changes nothing */
    lv_sim_publish(&b, "", "q", "m");
    assert_hears(&b, "confirm 2");
    lv_sim_publish(&b, "", "nowhere", "m"); /* nobody has to take it */
    assert_hears(&b, "confirm 3");
    assert_int_equal(lv_sim_try_publish(&b, "x", "k", "m", false, NULL), -LV_E_NOT_FOUND);
    lv_sim_publish(&b, "", "r", "m"); /* what failed was not counted */
    assert_hears(&b, "confirm 4");
    assert_counts(&a, COUNTS(2, 1, 1));
    end(&a, &b);
}

SCENARIO(every_publish_is_confirmed_and_none_before_its_time)
{
    struct lv_sim_client a, b;
    static const char *const keys[] = {"p", "q", "r", "nowhere"};
    const char *heard;
    uint64_t last = 0;

    begin(sim, &a, &b);
    lv_sim_bind(&a, "p", "amq.fanout", "");
    lv_sim_bind(&a, "q", "amq.fanout", "");
    lv_sim_bind(&a, "r", "amq.fanout", "");
    assert_hears(&a, "bind-ok\nbind-ok\nbind-ok");
    lv_channel_confirm_select(b.channels[0].core);
    for (uint64_t i = 0; i < 300; i++) {
        lv_sim_publish(&b, i % 5 == 4 ? "amq.fanout" : "", keys[i % 4], "m");
        if (i % 7 == 0)
            (void)lv_sim_step(sim);
    }
    heard = lv_sim_heard(&b);
    for (const char *line = heard; line != NULL; line = strchr(line, '\n')) {
        unsigned long long tag;
        line += line != heard;
        bool multiple = sscanf(line, "confirm ..%llu", &tag) == 1;
        assert_true(multiple || sscanf(line, "confirm %llu", &tag) == 1);
        assert_true(multiple ? tag > last + 1 : tag == last + 1);
        last = tag;
    }
    assert_int_equal(last, 300);
    assert_counts(&a, COUNTS(120, 120, 120));
    end(&a, &b);
}

SCENARIO(confirms_of_a_turn_are_one)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_channel_confirm_select(a.channels[0].core);
    lv_sim_publish(&a, "", "nowhere", "1");
    lv_sim_publish(&a, "", "nowhere", "2");
    lv_sim_publish(&a, "", "nowhere", "3");
    assert_heard_now(&a, "");
    lv_sim_turn(sim);
    assert_heard_now(&a, "confirm ..3");
    lv_sim_turn(sim);
    assert_heard_now(&a, "");
    end(&a, &b);
}

SCENARIO(what_no_queue_takes_comes_back_before_its_confirm)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    assert_int_equal(lv_sim_try_publish(&b, "", "nowhere", "early", true, NULL), 0);
    assert_heard_now(&b, "returned early");
    lv_channel_confirm_select(b.channels[0].core);
    assert_int_equal(lv_sim_try_publish(&b, "amq.direct", "nowhere", "late", true, NULL), 0);
    assert_int_equal(lv_sim_try_publish(&b, "", "p", "taken", true, NULL), 0);
    assert_int_equal(lv_sim_try_publish(&b, "", "q", "taken", true, NULL), 0);
    const char *heard = lv_sim_heard(&b);
    assert_memory_equal(heard, "returned late\nconfirm ", 22);
    assert_null(strstr(heard, "returned taken"));
    end(&a, &b);
}

SCENARIO(a_closed_channel_forgets_its_confirms)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_channel_confirm_select(b.channels[0].core);
    for (int i = 0; i < 5; i++)
        lv_sim_publish(&b, "", i < 3 ? "q" : "r", "m");
    lv_sim_channel_close(&b, 1);
    assert_heard_now(&b, "channel-closed");
    lv_sim_channel_open(&b, 1); /* while answers to the old one are under way */
    lv_channel_confirm_select(b.channels[0].core);
    lv_sim_publish(&b, "", "r", "m");
    assert_hears(&b, "confirm 1");
    assert_counts(&a, COUNTS(0, 3, 3));
    end(&a, &b);
}

SCENARIO(what_is_published_to_a_queue_that_goes_is_confirmed)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_channel_confirm_select(b.channels[0].core);
    lv_sim_delete(&a, "q", "");
    for (int i = 0; i < 4; i++) {
        lv_sim_publish(&b, "", "q", "m");
        (void)lv_sim_step(sim);
    }
    const char *heard = lv_sim_heard(&b);
    assert_string_equal(strrchr(heard, '4'), "4"); /* the last line confirms the last */
    assert_memory_equal(lv_sim_heard(&a), "delete-ok ", 10);
    assert_int_equal(lv_sim_live_count(sim), 0);
    end(&a, &b);
}

/* In every order in which shards may hear of the queue, of the messages and of their confirms. */
SCENARIO(what_is_published_while_its_queue_is_declared_arrives_or_comes_back)
{
    struct lv_sim_client a, b;
    char want[64];
    int returned = 0;

    begin(sim, &a, &b);
    lv_channel_confirm_select(b.channels[0].core);
    for (int queue = 0; queue < 3; queue++) { /* on every shard one */
        char name[] = {'n', (char)('0' + queue), '\0'};
        lv_sim_declare(&a, name, "");
        for (int i = 0; i < 8; i++) {
            assert_int_equal(lv_sim_try_publish(&b, "", name, "m", true, NULL), 0);
            (void)lv_sim_step(sim);
        }
        const char *heard = lv_sim_heard(&b);
        for (returned = 0; (heard = strstr(heard, "returned ")) != NULL; heard++)
            returned++;
        (void)lv_sim_heard(&a);
        lv_sim_purge(&a, name);
        snprintf(want, sizeof want, "purge-ok %d", 8 - returned);
        assert_hears(&a, want);
    }
    end(&a, &b);
}

SCENARIO(large_messages_arrive_whole)
{
    struct lv_sim_client a, b;
    static uint8_t body[3000000];
    struct lv_message message = {
        .key = lv_text("q"),
        .exchange = lv_text(""),
        .properties = lv_text("\x10\x01\x02"),
        .body = lv_bytes(body, sizeof body),
        .flags = LV_MESSAGE_PERSISTENT,
    };

    begin(sim, &a, &b);
    memset(body, 'x', 64);
    assert_int_equal(lv_channel_publish(b.channels[0].core, &message, false, NULL), 0);
    assert_counts(&a, COUNTS(0, 1, 0));
    assert_int_equal(lv_sim_live_count(sim), 0);
    end(&a, &b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO_TEST(the_default_exchange_knows_queues_by_name),
        SCENARIO_TEST(a_direct_exchange_compares_keys),
        SCENARIO_TEST(a_fanout_exchange_gives_each_queue_one_copy),
        SCENARIO_TEST(bindings_with_other_arguments_are_others),
        SCENARIO_TEST(publishing_is_refused_where_it_cannot_be),
        SCENARIO_TEST(confirms_count_from_the_first_publish_after_the_select),
        SCENARIO_TEST(every_publish_is_confirmed_and_none_before_its_time),
        SCENARIO_TEST(confirms_of_a_turn_are_one),
        SCENARIO_TEST(what_no_queue_takes_comes_back_before_its_confirm),
        SCENARIO_TEST(a_closed_channel_forgets_its_confirms),
        SCENARIO_TEST(what_is_published_to_a_queue_that_goes_is_confirmed),
        SCENARIO_TEST(what_is_published_while_its_queue_is_declared_arrives_or_comes_back),
        SCENARIO_TEST(large_messages_arrive_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
