#include "broker/harness.h"

/* `a` owns the exclusive queue "q"; `b` wants it. On different shards, where there are several. */
static void begin(struct lv_sim *sim, struct lv_sim_client *a, struct lv_sim_client *b)
{
    static const struct lv_sim_identity me = {.user = "guest", .origin = 7};

    lv_sim_client_open_as(a, sim, 2, &me);
    lv_sim_client_open_as(b, sim, 0, &me);
    lv_sim_declare(a, "q", "x");
    assert_hears(a, "declare-ok q 0 0");
}

static void end(struct lv_sim_client *a, struct lv_sim_client *b)
{
    lv_sim_client_fini(a);
    lv_sim_client_fini(b);
}

static bool probe(struct lv_sim_client *client, const char *queue)
{
    while (client->awaited > 0 && lv_sim_step(client->sim))
        continue;
    client->awaited = 1;
    if (lv_channel_probe_owner(client->channels[0].core, lv_text(queue)))
        return true;
    client->awaited = 0;
    return false;
}

SCENARIO(a_living_owner_keeps_its_queue)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    assert_true(probe(&b, "q"));
    assert_hears(&a, "probed by himself");
    assert_hears(&b, ""); /* not known yet */
    lv_client_alive(a.core);
    assert_hears(&b, "probe-ok");
    lv_client_alive(a.core); /* nobody asks any more */
    lv_sim_declare(&b, "q", "x");
    assert_non_null(strstr(lv_sim_heard(&b), "declare: 405 cannot obtain exclusive access"));
    end(&a, &b);
}

SCENARIO(a_dead_owners_queue_is_gone_before_the_answer)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_sim_publish(&b, "", "q", "m");
    assert_true(probe(&b, "q"));
    assert_hears(&a, "probed by himself");
    lv_sim_client_close(&a);
    while (b.awaited > 0)
        assert_true(lv_sim_step(sim));
    assert_heard_now(&b, "probe-ok");
    lv_sim_declare(&b, "q", "x"); /* whatever is still on its way elsewhere */
    assert_hears(&b, "declare-ok q 0 0");
    end(&a, &b);
}

SCENARIO(an_owner_on_its_way_out_is_waited_for)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_client_close(a.core);
    if (probe(&b, "q")) /* with one shard it is gone already */
        while (b.awaited > 0)
            assert_true(lv_sim_step(sim));
    lv_sim_declare(&b, "q", "x");
    assert_non_null(strstr(lv_sim_heard(&b), "declare-ok q 0 0"));
    end(&a, &b);
}

SCENARIO(only_other_clients_are_asked)
{
    struct lv_sim_client a, b;

    begin(sim, &a, &b);
    lv_sim_declare(&b, "free", "");
    assert_hears(&b, "declare-ok free 0 0");
    assert_false(probe(&b, "free"));
    assert_false(probe(&b, "none"));
    assert_false(probe(&b, "")); /* the last one declared: free */
    assert_false(probe(&a, "q"));
    assert_hears(&a, "");
    end(&a, &b);
}

SCENARIO(who_is_who)
{
    static const struct {
        struct lv_sim_identity owner, other;
        const char *heard;
    } cases[] = {
        {{"u", 1, 0, NULL}, {"u", 1, 0, NULL}, "probed by himself"},
        {{"u", 1, 5, NULL}, {"u", 2, 5, NULL}, "probed by himself"},
        {{"u", 1, 5, NULL}, {"u", 1, 6, NULL}, "probed by himself"},
        {{"u", 1, 5, NULL}, {"v", 1, 5, NULL}, "probed by another"},
        {{"u", 1, 5, NULL}, {"u", 2, 6, NULL}, "probed by another"},
        {{"u", 0, 0, NULL}, {"u", 0, 0, NULL}, "probed by another"},
    };

    for (size_t i = 0; i < LV_COUNT(cases); i++) {
        struct lv_sim_client a, b;
        lv_sim_client_open_as(&a, sim, 1, &cases[i].owner);
        lv_sim_client_open_as(&b, sim, 0, &cases[i].other);
        lv_sim_declare(&a, "q", "x");
        assert_hears(&a, "declare-ok q 0 0");
        assert_true(probe(&b, "q"));
        assert_hears(&a, cases[i].heard);
        lv_client_alive(a.core);
        assert_hears(&b, "probe-ok");
        end(&a, &b);
    }
}

SCENARIO(who_asks_may_go_before_the_answer)
{
    struct lv_sim_client a, b, c;

    begin(sim, &a, &b);
    lv_sim_client_open(&c, sim, 1);
    assert_true(probe(&b, "q"));
    assert_true(probe(&c, "q"));
    lv_sim_settle(sim);
    assert_true(a.awaits_probe);
    lv_client_close(b.core);
    lv_sim_settle(sim);
    lv_client_alive(a.core);
    assert_hears(&b, "channel-closed\nclient-closed");
    assert_hears(&c, "probe-ok");
    lv_sim_client_fini(&c);
    end(&a, &b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO_TEST(a_living_owner_keeps_its_queue),
        SCENARIO_TEST(a_dead_owners_queue_is_gone_before_the_answer),
        SCENARIO_TEST(an_owner_on_its_way_out_is_waited_for),
        SCENARIO_TEST(only_other_clients_are_asked),
        SCENARIO_TEST(who_is_who),
        SCENARIO_TEST(who_asks_may_go_before_the_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
