#include "broker/harness.h"

#include <string.h>

/* What was answered to an order. */
static struct {
    unsigned times;
    int error;
    char why[200];
    uint64_t count;
} answer;

static void on_done(void *ctx, int error, const char *why)
{
    assert_ptr_equal(ctx, &answer);
    answer.times++;
    answer.error = error;
    snprintf(answer.why, sizeof answer.why, "%s", error < 0 ? why : "");
}

static void order(struct lv_sim *sim, struct lv_queue_order order)
{
    memset(&answer, 0, sizeof answer);
    order.vhost = lv_text("/");
    order.done = on_done;
    order.ctx = &answer;
    order.ret_message_count = &answer.count;
    lv_broker_order(sim->shards[0].broker, &order);
    lv_sim_settle(sim);
    assert_int_equal(answer.times, 1);
}

static void fill(struct lv_sim_client *client, const char *queue, unsigned count)
{
    lv_sim_declare(client, queue, "");
    for (unsigned i = 0; i < count; i++)
        lv_sim_publish(client, "", queue, "m");
    lv_sim_settle(client->sim);
}

SCENARIO(a_queue_is_purged_wherever_it_lives)
{
    struct lv_sim_client a;

    lv_sim_client_open(&a, sim, 0);
    fill(&a, "one", 3);
    fill(&a, "two", 2);
    fill(&a, "three", 0);
    order(sim, (struct lv_queue_order){.name = lv_text("one"), .is_purge = true});
    assert_int_equal(answer.error, 0);
    assert_int_equal(answer.count, 3);
    order(sim, (struct lv_queue_order){.name = lv_text("two"), .is_purge = true});
    assert_int_equal(answer.count, 2);
    order(sim, (struct lv_queue_order){.name = lv_text("three"), .is_purge = true});
    assert_int_equal(answer.count, 0);
    assert_int_equal(lv_sim_live_count(sim), 0);
    lv_sim_client_fini(&a);
}

SCENARIO(a_queue_is_deleted_with_its_messages)
{
    struct lv_sim_client a;

    lv_sim_client_open(&a, sim, 0);
    fill(&a, "one", 3);
    fill(&a, "two", 1);
    order(sim, (struct lv_queue_order){.name = lv_text("one"), .if_empty = true});
    assert_int_equal(answer.error, -LV_E_PRECONDITION);
    assert_string_equal(answer.why, "queue 'one' in vhost '/' not empty");
    order(sim, (struct lv_queue_order){.name = lv_text("one")});
    assert_int_equal(answer.error, 0);
    assert_int_equal(answer.count, 3);
    assert_true(lv_sim_is_gone(sim, "one"));
    order(sim, (struct lv_queue_order){.name = lv_text("two"), .if_unused = true});
    assert_int_equal(answer.error, 0);
    assert_true(lv_sim_is_gone(sim, "two"));
    lv_sim_client_fini(&a);
}

SCENARIO(what_is_not_there_is_told_of)
{
    order(sim, (struct lv_queue_order){.name = lv_text("none"), .is_purge = true});
    assert_int_equal(answer.error, -LV_E_NOT_FOUND);
    assert_string_equal(answer.why, "no queue 'none' in vhost '/'");
    order(sim, (struct lv_queue_order){.name = lv_text("none")});
    assert_int_equal(answer.error, -LV_E_NOT_FOUND);
}

SCENARIO(an_operator_declares_a_queue_that_clients_use)
{
    struct lv_sim_client a;
    const struct lv_change change = {
        .kind = LV_CHANGE_QUEUE_DECLARE, .vhost = lv_text("/"), .name = lv_text("q")};

    lv_sim_client_open(&a, sim, 0);
    assert_string_equal(lv_sim_change(sim, 0, &change), "ok");
    lv_sim_publish(&a, "", "q", "m");
    lv_sim_settle(sim);
    assert_int_equal(lv_sim_live_count(sim), 1);
    order(sim, (struct lv_queue_order){.name = lv_text("q")});
    assert_int_equal(answer.count, 1);
    lv_sim_client_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO_TEST(a_queue_is_purged_wherever_it_lives),
        SCENARIO_TEST(a_queue_is_deleted_with_its_messages),
        SCENARIO_TEST(what_is_not_there_is_told_of),
        SCENARIO_TEST(an_operator_declares_a_queue_that_clients_use),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
